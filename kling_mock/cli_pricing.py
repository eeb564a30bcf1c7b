"""`kling-mock price`: what the jobs of payloads cost, at their own provider or at others.

Exit codes: 0 fine; 2 something cannot be judged.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path  # noqa: TID251 - a command line, not the core
from typing import Any, NamedTuple

import click

from kling_mock import reports
from kling_mock.cli_ending import CANNOT
from kling_mock.cli_judging import GUESSED, Unreadable, judges, once, read
from kling_mock.cli_options import known_providers, specs_option
from kling_mock.core.model import Quote
from kling_mock.core.verdicts import priced
from kling_mock.payloads import CannotJudge, Judge
from kling_mock.report_prices import Offer, offers
from kling_mock.reports import plain


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))
@click.option("--all-providers", is_flag=True, help="The same job at every provider.")
@click.option("--provider", "names", multiple=True, metavar="NAME", help="The same job at this provider. Repeatable.")
@click.option("--operation", metavar="ID", multiple=True, callback=once, help=f"Which operation it is for.  {GUESSED}")
@click.option("--format", "form", default="text", show_default=True, type=click.Choice(["text", "json"]))
@specs_option
def price(
    files: tuple[str, ...],
    all_providers: bool,
    names: tuple[str, ...],
    operation: str | None,
    form: str,
    folders: tuple[Path, ...],
) -> None:
    """What the jobs of payloads cost, at their own provider or at others.

    A job is carried over by model, mode, seconds, sound, count and aspect. A price that is not known is said to be
    unknown, with the reason. Exits 0, or 2 when a payload cannot be judged.

    --format json is an array of offers for one FILE, and for several an array of objects with "file" and "offers", or
    "problem" for one that cannot be judged.

    \b
    kling-mock price payload.json --all-providers
    kling-mock price jobs/*.json
    """
    judge = judges(folders)
    known_providers(names, judge.providers)
    wanted = list(judge.providers) if all_providers else list(names) or None
    priced_files = [offered(judge, file, wanted, operation) for file in files]
    problems = [row for row in priced_files if row.problem]
    if form == "json":
        click.echo(offers_as_json(priced_files))
    else:
        click.echo("\n".join(offers_report(priced_files)), nl=len(problems) < len(files))
    for row in problems:
        click.echo(f"kling-mock: {plain(f'{row.file}: {row.problem}')}", err=True)
    sys.exit(CANNOT if problems else 0)


class Priced(NamedTuple):
    """One payload: its file's name, and what it costs where, or why it cannot be judged."""

    file: str
    offers: tuple[Offer, ...] = ()
    problem: str = ""


def offered(judge: Judge, file: str, wanted: list[str] | None, operation: str | None) -> Priced:
    """One file with its offers, or with why there are none."""
    try:
        return Priced(file, tuple(offers(judge, read(file), wanted, operation)))
    except (Unreadable, CannotJudge) as error:
        return Priced(file, problem=str(error))


def offers_report(files: list[Priced]) -> Iterator[str]:
    """The offers for one file; for several each under its name, and the sums at each provider."""
    if len(files) == 1:
        yield from offers_in_words(files[0].offers)
        return
    for row in files:
        if row.offers:
            yield plain(row.file)
            yield from (f"  {line}" for line in offers_in_words(row.offers))
    quotes: dict[str, list[tuple[str, Quote | None]]] = {}
    for row in files:
        for offer in row.offers:
            quotes.setdefault(offer.provider, []).append((row.file, offer.quote))
    for name, rows in quotes.items():
        first, *more = reports.total_lines(reports.summed(rows), len(rows))
        yield from (plain(f"{name}, {first}"), *more)


def offers_as_json(files: list[Priced]) -> str:
    """An array of offers for one file, for several one object each."""
    rows = [
        {"file": row.file, "problem": row.problem}
        if row.problem
        else {"file": row.file, "offers": [_offer(offer) for offer in row.offers]}
        for row in files
    ]
    return json.dumps(rows[0].get("offers", []) if len(rows) == 1 else rows, indent=2)


def offers_in_words(found: Sequence[Offer]) -> Iterator[str]:
    """One line for each provider."""
    rows = [(row.provider, reports.priced_in_words(row.quote) if row.quote else "unknown", _why(row)) for row in found]
    width, wide = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    return (plain(f"{name:{width}}  {cost:{wide}}  {why}") for name, cost, why in rows)


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
