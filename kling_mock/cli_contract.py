"""`kling-mock contract`: does a target keep to a provider's documents?

Exit codes: 0 it does; 1 it does not; 2 the suite cannot run; 3 money may have been spent that the plan did not cover.
"""

from __future__ import annotations

import json
import logging  # noqa: TID251 - a command line, not the core
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path  # noqa: TID251 - a command line, not the core
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from kling_mock.cli_judging import Amount, agreed
from kling_mock.cli_options import cannot, colored, specs_option
from kling_mock.core.problems import closest
from kling_mock.core.provider import Provider
from kling_mock.core.redaction import redacted
from kling_mock.extras import INSTALL_CONTRACT

if TYPE_CHECKING:
    from kling_mock.contract.probes import Probe
    from kling_mock.contract.suite import Outcome, Report, Settings, Suite

PHASES = ("examples", "rules", "lifecycle", "errors", "webhooks", "fuzz")
NEEDS = ("openapi_core", "schemathesis")


class Phases(click.ParamType[tuple[str, ...]]):
    """Names of phases, by commas."""

    name = "phases"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Read "rules,lifecycle"."""
        names = tuple(value) if isinstance(value, tuple) else tuple(name.strip() for name in str(value).split(","))
        for name in names:
            if name not in PHASES:
                self.fail(f"there is no phase {name!r}{closest(name, PHASES)}", param, ctx)
        return tuple(name for name in PHASES if name in names)


class CoverageFile(click.ParamType[tuple[str, Path]]):
    """Where a report of coverage goes, and how it is written."""

    name = "report"
    formats = ("json", "junit", "html")

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        """Read "html:coverage.html"."""
        form, _, file = str(value).partition(":")
        if form not in self.formats or not file:
            self.fail(f"{value!r} is not FORMAT:FILE with {', '.join(self.formats)}", param, ctx)
        return form, Path(file)


def is_address(url: str) -> bool:
    """Whether a text is the address of something that speaks HTTP."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unclosed bracket, a port beyond 65535
        return False


@click.command()
@click.option(
    "--target",
    metavar="URL",
    help="What is tested: the address in place of the provider's.  [default: the mock itself]",
)
@click.option(
    "--provider",
    "names",
    multiple=True,
    metavar="NAME",
    help="Whose documents it is held to.  [default: all, for the mock itself]",
)
@specs_option
@click.option(
    "--phases",
    type=Phases(),
    default=PHASES,
    metavar="LIST",
    help=f"What is done, by commas: {','.join(PHASES)}.  [default: all]",
)
@click.option(
    "--max-examples",
    type=click.IntRange(1),
    default=12,
    show_default=True,
    help="Requests of each sort that fuzzing makes for an operation.",
)
@click.option(
    "--allow-spend",
    type=Amount(),
    metavar="UNITS",
    help="What may be spent at a target that bills, all of the provider's units together.  [default: nothing]",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the plan with every probe; the target is only asked whether it is a mock.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
    help="How the report is written, on standard output.",
)
@click.option("--coverage", is_flag=True, help="Tell what of the provider's behaviour the run has not met.")
@click.option(
    "--coverage-report",
    "files",
    multiple=True,
    type=CoverageFile(),
    metavar="FORMAT:FILE",
    help="Write all of that to a file; FORMAT is json, junit or html. May be given more than once.",
)
@click.option(
    "--coverage-min",
    "minimum",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Exit with 1 if less of the behaviour was met.",
)
def contract(
    target: str | None,
    names: tuple[str, ...],
    folders: tuple[Path, ...],
    phases: tuple[str, ...],
    max_examples: int,
    allow_spend: Decimal | None,
    dry_run: bool,
    form: str,
    coverage: bool,
    files: tuple[tuple[str, Path], ...],
    minimum: float | None,
) -> None:
    """Hold a target to a provider's documents: the mock, a proxy, or the real API.

    \b
    kling-mock contract                                         the mock itself, every provider
    kling-mock contract --provider kling --phases rules,errors  a part of it
    kling-mock contract --target http://127.0.0.1:8787 --provider kling
    kling-mock contract --target https://... --provider kling --dry-run

    A target with the mock's control API has its clock moved and is given accounts of its own. Any other target is
    taken for one that bills: credentials come from the environment (`kling-mock env` names the variables), it is polled
    in real time, and nothing is sent that could be accepted unless --allow-spend covers its price. What is left are
    refusals that somebody has seen, unknown ids, lists and balances. The first job that is taken in spite of a
    documented refusal ends the run. Before the first probe a list is asked for: credentials that are refused, and an
    address at which nothing of the provider's is, are told as such.

    Exit codes: 0 it holds, 1 something does not, 2 the suite cannot run, 3 money was spent that nobody wanted to spend.
    """
    if absent := [name for name in NEEDS if find_spec(name) is None]:
        cannot(f"the contract suite needs {' and '.join(absent)}: {INSTALL_CONTRACT}")
    from kling_mock.contract.suite import Settings

    if target is not None and not is_address(target):
        cannot(f"{redacted(target)!r} is no URL such as http://127.0.0.1:8787")
    if target is not None and len(names) != 1:
        cannot("a target is one provider's: give its name with --provider")
    settings = Settings(phases, max_examples, allow_spend)
    with _suites(target, names, folders, settings) as suites:
        runs = [(suite.agreement.provider, _run(suite, dry_run, form)) for suite in suites]
    done = [(provider, report) for provider, report in runs if report is not None]
    _written([report for _, report in done], form, one=target is not None)
    met = _covered(done, coverage, form, files, minimum) if coverage or files or minimum is not None else True
    sys.exit(max((report.exit_code for _, report in done), default=0) or int(not met))


def _written(reports: list[Report], form: str, one: bool) -> None:
    """Print the reports in a form for machines; `one` is written as itself, not in a list."""
    from kling_mock.contract.reports import as_json, junit

    if form == "json":
        documents = [as_json(report) for report in reports]
        click.echo(json.dumps(documents[0] if one and documents else documents, indent=2, ensure_ascii=False))
    elif form == "junit":
        click.echo(junit(reports))


def _covered(
    done: list[tuple[Provider, Report]],
    shown: bool,
    form: str,
    files: tuple[tuple[str, Path], ...],
    minimum: float | None,
) -> bool:
    """Tell, write and hold against the minimum what the runs have met; whether it was enough."""
    from kling_mock.contract.coverage.reports import FORMATS, overall, table

    tallies = [report.coverage(provider) for provider, report in done]
    if shown:
        click.echo(table(tallies), err=form != "text")
    for kind, file in files:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(FORMATS[kind](tallies), encoding="utf-8")
        except OSError as error:
            cannot(f"{file} cannot be written: {error.strerror or error}")
        click.echo(f"wrote {file}", err=True)
    share = overall(tallies)
    enough = minimum is None or not share.all or share.reaches(minimum)
    if not enough:
        told = f"{share.covered} of {share.all} points, {share.percent}%"
        click.echo(f"kling-mock: {minimum:g}% of the behaviour should be met (--coverage-min); it is {told}", err=True)
    return enough


@contextmanager
def _suites(
    target: str | None, names: tuple[str, ...], folders: tuple[Path, ...], settings: Settings
) -> Iterator[list[Suite]]:
    """The suites to run; the mock itself is started for them where no target is given."""
    from kling_mock.contract.suite import CannotRun, Suite

    found = agreed(names, folders)
    with ExitStack() as stack:
        where = {name: target or stack.enter_context(itself(row.provider)) for name, row in found.items()}
        try:
            yield [Suite(agreement, where[name], settings) for name, agreement in found.items()]
        except CannotRun as error:
            cannot(str(error))


@contextmanager
def itself(provider: Provider) -> Iterator[str]:
    """The mock of one provider, in this process, at a free port."""
    from kling_mock.server.mock import Mock, Options
    from kling_mock.server.serving import Running

    mock = Mock([provider], Options(seed="contract"))
    log = logging.getLogger("kling_mock")
    before = log.level
    log.setLevel(logging.ERROR)  # examples name receivers that no webhook may reach
    try:
        with Running(mock) as running:
            yield running.url + mock.options.mounts.get(provider.name, "")
    finally:
        log.setLevel(before)


def _run(suite: Suite, dry_run: bool, form: str) -> Report | None:
    """Print the plan, run it, print the report."""
    from kling_mock.contract.reports import dry_lines, lines, plan_lines

    plan = suite.plan()
    priced = [(probe, suite.price(probe)) for probe in plan]
    limit = suite.purse.limit
    quiet = form != "text"
    for line in plan_lines(suite.agreement.provider.name, suite.target.url, priced, limit is not None):
        click.echo(line, err=quiet)
    if dry_run:
        for line in dry_lines(priced, limit):
            click.echo(line, err=quiet)
        return None
    report = _watched(suite, plan)
    if form == "text":
        for line in lines(report, lambda text, color: click.style(text, fg=color)):
            click.echo(line, color=colored())
    return report


def _watched(suite: Suite, plan: list[Probe]) -> Report:
    """The run, with a bar on standard error where somebody watches."""
    hidden = not sys.stderr.isatty()
    with (
        noticed() as interrupted,
        click.progressbar(length=len(plan), label="probing", file=sys.stderr, hidden=hidden) as bar,
    ):

        def told(outcome: Outcome) -> None:
            bar.update(1)
            if interrupted:
                raise KeyboardInterrupt

        try:
            return suite.run(plan, told)
        except KeyboardInterrupt:
            from kling_mock.contract.reports import spent_lines

            for line in spent_lines(suite.purse.spent):
                click.echo(f"kling-mock: {line}", err=True)
            raise


@contextmanager
def noticed() -> Iterator[list[int]]:
    """Remember a Ctrl-C: what it raises is lost where it meets a callback of the garbage collector."""
    seen: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def remember(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    try:
        signal.signal(signal.SIGINT, remember)
    except ValueError:  # only the main thread hears of signals
        yield seen
        return
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
