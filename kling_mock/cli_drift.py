"""`kling-mock drift`: recorded exchanges that the specs do not explain.

Exit codes: 0 all is explained but for weak signs; 1 there is drift; 2 a file cannot be read or holds no exchange of a
known provider.
"""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TID251 - a command line, not the core
from typing import TYPE_CHECKING

import click

from kling_mock.cli_judging import agreed
from kling_mock.cli_options import cannot, colored, content_of, known_providers, specs_option

if TYPE_CHECKING:  # no other command needs the contract kit
    from kling_mock.contract.drift.comparing import Compared, Known
    from kling_mock.contract.drift.exchanges import Recording


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))
@click.option("--provider", metavar="NAME", help="Whose exchanges they are.  [default: by the hosts that were called]")
@click.option("--format", "form", default="text", show_default=True, type=click.Choice(["text", "json", "github"]))
@specs_option
def drift(files: tuple[str, ...], provider: str | None, form: str, folders: tuple[Path, ...]) -> None:
    """Say what recorded exchanges show and the specs do not explain, with the edit of the specs that would.

    FILE is a HAR 1.2, as a browser or proxy saves it, or the JSON of the mock's own journal; "-" is standard input.
    Drift is a key, value, error, status or path that no document names, a state out of order, a request that was
    accepted or refused otherwise than our rules say. A key that no document names, in a request that was accepted, is
    told as a weak sign: many a provider takes any key and ignores it. The same in many exchanges is one row. Tokens and
    pictures are never printed. Exits 0 when all is explained but for weak signs, 1 when there is drift, 2 when a file
    cannot be read or holds no exchange of a known provider.

    \b
    kling-mock drift recorded.har
    kling-mock drift recorded.har --provider NAME --format github
    curl -s localhost:8787/_mock/journal | kling-mock drift -
    """
    from kling_mock.contract.drift.comparing import compare
    from kling_mock.report_drift import FORMATS, text_report
    from kling_mock.server.facts import measure

    known = agreed((), folders)
    known_providers([provider] if provider else [], known)
    found = compare([_read(file) for file in files], known, provider, measure)
    if not found.exchanges:
        cannot(_nobody(files, found, provider, known))
    if form == "text":
        report = text_report(found, lambda text, color: click.style(text, fg=color))
    else:
        report = FORMATS[form](found)
    click.echo(report, color=colored(), nl=bool(report))
    if form == "text" and any(row.edits for row in found.drifts):
        click.echo(f"\nnext: {_next(folders)}")
    sys.exit(0 if all(row.weak for row in found.drifts) else 1)


def _read(file: str) -> Recording:
    from kling_mock.contract.drift.recordings import Unreadable, read_recording

    name = "stdin" if file == "-" else file
    try:
        return read_recording(content_of(file), name)
    except OSError as error:
        cannot(f"{name} cannot be read: {error.strerror or error}")
    except Unreadable as error:
        cannot(f"{name} {error}")


def _nobody(files: tuple[str, ...], found: Compared, provider: str | None, known: Known) -> str:
    """Why there is nothing to compare, and what to do."""
    left = ", ".join(f"{count} {reason}" for reason, count in found.skipped.items())
    names = ", ".join("stdin" if file == "-" else file for file in files)
    hosts = ", ".join(name or "no host" for name in sorted(found.foreign)[:5])
    if not hosts:
        return f"there is no exchange in {names}{f' (left out: {left})' if left else ''}"
    whose = provider or "any provider here"
    todo = "" if provider else f"; say whose they are: --provider {', '.join(sorted(known))}"
    return f"no exchange in {names} is one of {whose}: they went to {hosts}{todo}"


def _next(folders: tuple[Path, ...]) -> str:
    """How the edits are made and tried: in the folders that were given, else in a copy of the bundled one."""
    if folders:
        return f"make the edits in {' or '.join(map(str, folders))}, and run kling-mock check-spec on it"
    return (
        'cp -r "$(kling-mock specs)" my-specs, make the edits there, kling-mock check-spec my-specs, then give '
        "--specs my-specs to serve, drift or contract"
    )
