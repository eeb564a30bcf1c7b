"""`kling-mock validate` and `explain`: payloads judged before they cost anything.

Exit codes: 0 fine; 1 something would be refused, would fail or is over the budget; 2 something cannot be judged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path  # noqa: TID251 - a command line, not the core
from typing import TYPE_CHECKING, Any, NoReturn

import click

from kling_mock import reports
from kling_mock.cli_options import cannot, colored, content_of, fail, known_providers, malformed, specs_option
from kling_mock.core.problems import SpecError, closest
from kling_mock.core.reading import NotJson, parse_json
from kling_mock.loading import load_providers
from kling_mock.payloads import CannotJudge, Judge
from kling_mock.positions import Position, position
from kling_mock.report_explain import explained, ids
from kling_mock.report_formats import FORMATS
from kling_mock.reports import Item, plain

if TYPE_CHECKING:  # only some commands need the documents themselves
    from kling_mock.contract.agreement import Agreement

GUESSED = "[default: guessed from the payload]"
LONG = 10
"""From so many files on a terminal shows how far it is."""


class Unreadable(Exception):
    """A payload that cannot be read as JSON; the message says why, and `position` where, if it is known."""

    def __init__(self, message: str, position: Position | None = None) -> None:
        self.position = position
        super().__init__(message)


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


def unread(error: SpecError) -> NoReturn:
    """End with the problems of the documents by which nothing can be judged."""
    cannot("; ".join(map(str, error.problems)))


def agreed(
    names: tuple[str, ...], folders: tuple[Path, ...], end: Callable[[SpecError], NoReturn] = unread
) -> dict[str, Agreement]:
    """The providers with their documents, all by default; a clear end where these are wrong."""
    from kling_mock.contract.agreement import agreements

    try:
        return agreements(names, folders)
    except SpecError as error:
        end(error)


def once(context: click.Context, parameter: click.Parameter, values: tuple[Any, ...]) -> Any:
    """The value of an option that may be given once: the last of several would be taken without a word."""
    if len(values) > 1:
        told = f"is given {len(values)} times ({', '.join(map(str, values))}) and can be one thing only"
        raise click.BadParameter(f"{told}: run the command once for each", context, parameter)
    return values[0] if values else None


def read(file: str) -> Any:
    """The JSON document in a file; "-" is standard input. Raises `Unreadable`."""
    return parsed(content_of_payload(file))


def content_of_payload(file: str) -> bytes:
    """The bytes of a payload. Raises `Unreadable`."""
    try:
        return content_of(file)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from None


def parsed(content: bytes) -> Any:
    """The JSON document in a payload. Raises `Unreadable`."""
    try:
        return parse_json(content)
    except NotJson as error:
        raise Unreadable(f"is no JSON: {error}", Position(*error.position) if error.position else None) from None


def judges(folders: tuple[Path, ...]) -> Judge:
    """A judge by the bundled providers and those of the folders; exit 2 where their documents are wrong."""
    try:
        return Judge(load_providers((), folders)) if folders else Judge()
    except SpecError as error:
        unread(error)


def judged(judge: Judge, file: str, provider: str | None, operation: str | None) -> Item:
    """One file with its verdict and where what is wrong stands in it, or with why there is none."""
    name = "stdin" if file == "-" else file
    try:
        content = content_of_payload(file)
        verdict = judge(parsed(content), provider, operation, parsed=True)
    except CannotJudge as error:
        return Item(name, problem=str(error))
    except Unreadable as error:
        return Item(name, problem=str(error), positions={"": error.position} if error.position else {})
    pointers = {finding.pointer for finding in verdict.violations}
    return Item(name, verdict, positions={pointer: position(content, pointer) for pointer in pointers})


def progress(files: tuple[str, ...], one: Callable[[str], Item]) -> list[Item]:
    """Judge each file; where there are many and somebody watches, a bar on standard error says how far it is."""
    hidden = len(files) < LONG or not sys.stderr.isatty()
    with click.progressbar(files, label="judging", file=sys.stderr, hidden=hidden) as bar:
        return [one(file) for file in bar]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))
@click.option("--provider", metavar="NAME", multiple=True, callback=once, help=f"Whose API it is for.  {GUESSED}")
@click.option("--operation", metavar="ID", multiple=True, callback=once, help=f"Which operation it is for.  {GUESSED}")
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

    --format json is one object for one FILE, as `kling_mock.judge(...).as_json()` gives it, and an array of such
    objects for several, each with its "file"; one that cannot be judged has "ok": null and a "problem".

    \b
    kling-mock validate payload.json
    kling-mock validate jobs/*.json --budget 100
    cat payload.json | kling-mock validate - --format json
    """
    judge = judges(folders)
    known_providers([provider] if provider else [], judge.providers)
    items = progress(files, lambda file: judged(judge, file, provider, operation))
    click.echo(written(items, form, strict), color=colored(), nl=form != "github" or any_said(items))
    beyond = tell_total(items, form, budget)
    sys.exit(reports.exit_code(items, strict) or beyond)


def any_said(items: list[Item]) -> bool:
    """Whether a report of workflow commands has any."""
    return any(item.verdict is None or item.verdict.violations for item in items)


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
@click.argument("name", required=False)
@click.option(
    "--provider", metavar="NAME", multiple=True, callback=once, help="Only what this provider's documents say."
)
@specs_option
def explain(name: str | None, provider: str | None, folders: tuple[Path, ...]) -> None:
    """Say what is known of a rule, a feature, an error or its code, a scenario or a keyword, or list them all.

    What it says, where that is known from, what is valid and what is not, and what the provider answers.

    \b
    kling-mock explain
    kling-mock explain createImageToVideo/mode/enum
    kling-mock explain mock/token.missing
    """
    every = agreed((), folders, malformed)
    known_providers([provider] if provider else [], every)
    found = [every[provider]] if provider else list(every.values())
    others = [row for row in every.values() if row not in found]
    click.echo("\n".join(map(plain, listed(found) if name is None else told(found, name, others))))


def listed(found: list[Agreement]) -> Iterator[str]:
    """A line for everything that can be explained."""
    for agreement in found:
        yield agreement.provider.name
        yield from (f"  {kind:10}  {known:32}  {says}" for kind, known, says in ids(agreement))


def told(found: list[Agreement], name: str, others: list[Agreement]) -> Iterator[str]:
    """What each provider's documents say under a name, with an empty line between them; exit 1 where none does."""
    blocks = [lines for agreement in found if (lines := list(explained(agreement, name)))]
    if not blocks:
        if having := [agreement.provider.name for agreement in others if list(explained(agreement, name))]:
            has = f"{' and '.join(having)} {'has' if len(having) == 1 else 'have'} it"
            fail(f"{found[0].provider.name} has no {plain(name)!r}; {has}")
        near = closest(name, {row[1] for agreement in found for row in ids(agreement)})
        fail(
            f"nothing here is called {plain(name)!r}"
            + (near if "did you" in near else "; `kling-mock explain` lists all")
        )
    for number, lines in enumerate(blocks):
        yield from ("", *lines) if number else lines
