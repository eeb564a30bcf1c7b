"""`kling-mock validate`, `price` and `explain`: payloads judged before they cost anything.

Exit codes: 0 fine; 1 something would be refused, would fail or is over the budget; 2 something cannot be judged.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path  # noqa: TID251 - a command line, not the core
from typing import Any, NoReturn

import click

from kling_mock import reports
from kling_mock.cli_options import colored, fail, load, specs_option
from kling_mock.core.problems import SpecError, closest
from kling_mock.core.reading import NotJson, parse_json
from kling_mock.core.verdicts import priced
from kling_mock.loading import bundled, load_providers, provider_names, read_documents
from kling_mock.payloads import CannotJudge, Judge
from kling_mock.report_explain import Subject, explained, ids
from kling_mock.report_formats import FORMATS
from kling_mock.report_prices import Offer, offers
from kling_mock.reports import Item, plain

CANNOT, INTERRUPTED = 2, 130
LONG = 10
"""From so many files on a terminal shows how far it is."""


class Unreadable(Exception):
    """A payload that cannot be read as JSON; the message says why."""


class Amount(click.ParamType[Decimal]):
    """An amount of money, or of a provider's unit."""

    name = "units"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read "2.5"."""
        try:
            amount = Decimal(value)
        except InvalidOperation:
            amount = Decimal("nan")
        if not amount.is_finite() or amount < 0:
            self.fail(f"{value!r} is no amount such as 100", param, ctx)
        return amount


def cannot(message: str) -> NoReturn:
    """End with one clear line and the exit code of what cannot be judged."""
    click.echo(f"kling-mock: {plain(message)}", err=True)
    sys.exit(CANNOT)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends with one line and the shell's exit code for it, not with that of a refused payload."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("kling-mock: interrupted", err=True)
        sys.exit(INTERRUPTED)


def read(file: str) -> Any:
    """The JSON document in a file; "-" is standard input. Raises `Unreadable`."""
    try:
        with click.open_file(file, "rb") as stream:
            return parse_json(stream.read())
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from None
    except NotJson as error:
        raise Unreadable(f"is no JSON: {error}") from None


def judges(folders: tuple[Path, ...]) -> Judge:
    """A judge by the bundled providers and those of the folders; exit 2 where their documents are wrong."""
    try:
        return Judge(load_providers((), folders)) if folders else Judge()
    except SpecError as error:
        cannot("; ".join(map(str, error.problems)))


def judged(judge: Judge, file: str, provider: str | None, operation: str | None) -> Item:
    """One file with its verdict, or with why there is none."""
    name = "stdin" if file == "-" else file
    try:
        return Item(name, judge(read(file), provider, operation, parsed=True))
    except (Unreadable, CannotJudge) as error:
        return Item(name, problem=str(error))


def progress(files: tuple[str, ...], one: Callable[[str], Item]) -> list[Item]:
    """Judge each file; where there are many and somebody watches, a bar on standard error says how far it is."""
    hidden = len(files) < LONG or not sys.stderr.isatty()
    with click.progressbar(files, label="judging", file=sys.stderr, hidden=hidden) as bar:
        return [one(file) for file in bar]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))
@click.option("--provider", metavar="NAME", help="Whose API it is for.  [default: guessed from the payload]")
@click.option("--operation", metavar="ID", help="Which operation it is for.  [default: guessed from the payload]")
@click.option("--format", "form", default="text", show_default=True, type=click.Choice(["text", *FORMATS]))
@click.option("--strict", is_flag=True, help="Warnings count too.")
@click.option("--budget", type=Amount(), metavar="UNITS", help="Exit 1 when the sum of a unit is more than this.")
@specs_option
def validate(
    files: tuple[str, ...],
    provider: str | None,
    operation: str | None,
    form: str,
    strict: bool,
    budget: Decimal | None,
    folders: tuple[Path, ...],
) -> None:
    """Judge payloads before they cost anything: rules, capabilities, price, and the nearest valid payload.

    FILE is a JSON document, "-" is standard input. Exits 0 when all would be accepted and succeed, 1 when one would be
    refused or would fail, or costs more than --budget, 2 when one cannot be judged, or has no known price under a
    --budget.

    \b
    kling-mock validate payload.json
    kling-mock validate jobs/*.json --budget 100
    cat payload.json | kling-mock validate - --format json
    """
    with interruptible():
        judge = judges(folders)
        check_names(judge, [provider] if provider else [])
        items = progress(files, lambda file: judged(judge, file, provider, operation))
        click.echo(written(items, form, strict), color=colored(), nl=form != "github" or any_said(items))
        beyond = tell_total(items, form, budget)
    sys.exit(reports.exit_code(items, strict) or beyond)


def any_said(items: list[Item]) -> bool:
    """Whether a report of workflow commands has any."""
    return any(item.verdict is None or item.verdict.violations for item in items)


def check_names(judge: Judge, names: Iterable[str]) -> None:
    """Every provider named must be there; exit 2 with what was probably meant."""
    for name in names:
        if name not in judge.providers:
            cannot(f"there is no provider {name!r}{closest(name, judge.providers)}")


def written(items: list[Item], form: str, strict: bool) -> str:
    """The report in the wanted format."""
    if form == "text":
        return reports.text_report(items, strict, lambda text, color: click.style(text, fg=color))
    return FORMATS[form](items, strict)


def tell_total(items: list[Item], form: str, budget: Decimal | None) -> int:
    """Print the sum of several files, and whether it is within the budget; beside a machine's format, on the other
    stream. Gives the exit code: 1 for over it, 2 where an unknown price hides whether it is.
    """
    found = reports.total(items)
    other = form != "text"
    if len(items) > 1 or budget is not None:
        click.echo("\n".join(reports.total_lines(found, len(items))), err=other)
    over = reports.over_budget(found, budget) if budget is not None else []
    for line in over:
        click.echo(line, err=other)
    if over:
        return 1
    if budget is not None and found.unknown:
        click.echo("whether it is within the budget cannot be told: a price is unknown", err=other)
        return 2
    return 0


@click.command()
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--all-providers", is_flag=True, help="The same job at every provider.")
@click.option("--provider", "names", multiple=True, metavar="NAME", help="The same job at this provider. Repeatable.")
@click.option("--operation", metavar="ID", help="Which operation it is for.  [default: guessed from the payload]")
@click.option("--format", "form", default="text", show_default=True, type=click.Choice(["text", "json"]))
@specs_option
def price(
    file: str,
    all_providers: bool,
    names: tuple[str, ...],
    operation: str | None,
    form: str,
    folders: tuple[Path, ...],
) -> None:
    """What the job of a payload costs, at its own provider or at others.

    A job is carried over by model, mode, seconds, sound, count and aspect. A price that is not known is said to be
    unknown, with the reason. Exits 0, or 2 when the payload cannot be judged.

    \b
    kling-mock price payload.json --all-providers
    """
    with interruptible():
        judge = judges(folders)
        check_names(judge, names)
        try:
            wanted = list(judge.providers) if all_providers else list(names) or None
            found = list(offers(judge, read(file), wanted, operation))
        except (Unreadable, CannotJudge) as error:
            cannot(f"{file}: {error}")
        click.echo(json.dumps([_offer(row) for row in found], indent=2) if form == "json" else offers_in_words(found))


def offers_in_words(found: list[Offer]) -> str:
    """One line for each provider."""
    rows = [(row.provider, reports.priced_in_words(row.quote) if row.quote else "unknown", _why(row)) for row in found]
    width, wide = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(plain(f"{name:{width}}  {cost:{wide}}  {why}") for name, cost, why in rows)


def _why(offer: Offer) -> str:
    said = f"{offer.operation}: {offer.why}" if offer.operation else offer.why
    return f"{said}; it has no word for {', '.join(offer.without)}" if offer.without else said


def _offer(offer: Offer) -> dict[str, Any]:
    return {
        "provider": offer.provider,
        "operation": offer.operation,
        "quote": priced(offer.quote),
        "why": offer.why,
        "without": list(offer.without),
    }


@click.command()
@click.argument("name", required=False)
@click.option("--provider", metavar="NAME", help="Only what this provider's documents say.")
@specs_option
def explain(name: str | None, provider: str | None, folders: tuple[Path, ...]) -> None:
    """Say what is known of a rule, a feature, an error, a scenario or a keyword, or list them all.

    What it says, where that is known from, what is valid and what is not, and what the provider answers.

    \b
    kling-mock explain
    kling-mock explain createImageToVideo/mode/enum
    """
    found = list(subjects(provider, folders))
    if name is None:
        for subject in found:
            click.echo(subject.provider.name)
            for kind, known, says in ids(subject):
                click.echo(plain(f"  {kind:10}  {known:32}  {says}"))
        return
    blocks = [lines for subject in found if (lines := list(explained(subject, name)))]
    if not blocks:
        near = closest(name, {row[1] for subject in found for row in ids(subject)})
        fail(
            f"nothing here is called {plain(name)!r}"
            + (near if "did you" in near else "; `kling-mock explain` lists all")
        )
    click.echo("\n\n".join("\n".join(map(plain, lines)) for lines in blocks))


def subjects(wanted: str | None, folders: tuple[Path, ...]) -> Iterator[Subject]:
    """The providers with their documents: the one that is wanted, or all."""
    where = {name: folder for folder in (bundled("specs"), *folders) for name in provider_names(folder)}
    for name, provider in load((wanted,) if wanted else (), folders).items():
        yield Subject(provider, read_documents(where[name], name))
