"""The pytest plugin's coverage of behaviour: what the tests' clients did and met of all that there is, and a gate.

Under pytest-xdist each worker sends what it saw, and the controller adds it up. Without its options nothing is loaded.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kling_mock.contract.coverage.counting import Coverage, Tally
    from kling_mock.core.model import Exchange
    from kling_mock.testing.session import Server

FORMATS = ("json", "junit", "html")
DIMENSIONS = "operations,values,features,fired,held,states,transitions,errors,scenarios,webhooks"
SENT = "kling_coverage"
COLLECTOR = pytest.StashKey["Collector"]()


def add_options(group: pytest.OptionGroup) -> None:
    """The options of coverage; any of the first three asks for it."""
    group.addoption(
        "--kling-coverage",
        action="store_true",
        help="Tell which operations, values, rules, states, errors and scenarios no test of a client has met.",
    )
    group.addoption(
        "--kling-coverage-report",
        action="append",
        default=[],
        type=_report,
        metavar="FORMAT:FILE",
        help=f"Write all of that to a file too; FORMAT is {', '.join(FORMATS)}. May be given more than once.",
    )
    group.addoption(
        "--kling-coverage-min",
        type=_percent,
        metavar="PERCENT",
        help="Fail the run if less of the behaviour of the providers that it used was covered.",
    )
    group.addoption(
        "--kling-coverage-of",
        metavar="DIMENSION,...",
        help=f"Count these dimensions only: {DIMENSIONS}.",
    )


def _report(value: str) -> str:
    name, _, file = value.partition(":")
    if name not in FORMATS or not file:
        raise argparse.ArgumentTypeError(f"should be FORMAT:FILE with {' or '.join(FORMATS)}; is {value!r}")
    return value


def _percent(value: str) -> float:
    try:
        percent = float(value.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise argparse.ArgumentTypeError(f"should be a percentage from 0 to 100; is {value!r}")
    return percent


def configure(config: pytest.Config) -> None:
    """Collect, if it is asked for. Raises `pytest.UsageError` for dimensions that there are not."""
    option = config.option
    if not (option.kling_coverage or option.kling_coverage_report or option.kling_coverage_min is not None):
        if option.kling_coverage_of:
            raise pytest.UsageError(
                "--kling-coverage-of says what to count: it needs --kling-coverage, or a report or minimum"
            )
        return
    config.stash[COLLECTOR] = Collector(config)
    config.pluginmanager.register(config.stash[COLLECTOR], "kling_coverage")


@contextmanager
def listening(config: pytest.Config, server: Server) -> Iterator[None]:
    """Hear what a server is asked and answers, if that is collected."""
    if COLLECTOR not in config.stash:
        yield
        return
    with config.stash[COLLECTOR].listening(server):
        yield


class Collector:
    """Adds up what servers and workers saw, and tells it at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, option = config, config.option
        self.minimum: float | None = option.kling_coverage_min
        self.dimensions = [name.strip() for name in (option.kling_coverage_of or "").split(",") if name.strip()]
        self.tallies: dict[str, Tally] = {}
        self.problems: list[str] = []
        self.written: list[str] = []
        self._heard: deque[Exchange] = deque()
        self._open: dict[str, Coverage] = {}
        self._server: Server | None = None
        if self.dimensions:
            self._check_dimensions()

    def _check_dimensions(self) -> None:
        from kling_mock.core.problems import closest

        known = DIMENSIONS.split(",")
        for name in self.dimensions:
            if name not in known:
                raise pytest.UsageError(f"--kling-coverage-of: there is no dimension {name!r}{closest(name, known)}")

    # What is seen

    @contextmanager
    def listening(self, server: Server) -> Iterator[None]:
        """Hear a server until it ends; then its webhooks have become what they will."""
        server.store.listeners.append(self._heard.append)
        self._server = server
        try:
            yield
        finally:
            server.store.listeners.remove(self._heard.append)
            self._count()
            for row in server.store.webhooks():
                if row.attempts and row.provider in self._open:
                    self._open[row.provider].add_attempts(row.attempts)
            for tally in self._open.values():
                self.add(tally)
            self._open, self._server = {}, None

    def pytest_runtest_logfinish(self) -> None:
        """Count what a test did: here, not in the server's threads, where a fault would spoil an answer."""
        self._count()

    def _count(self) -> None:
        from kling_mock.contract.coverage.counting import Coverage

        while self._heard and self._server is not None:
            row = self._heard.popleft()
            if row.provider not in self._open:
                self._open[row.provider] = Coverage(self._server.mock.providers[row.provider])
            self._open[row.provider].add(row)

    def add(self, tally: Tally) -> None:
        """Add what was seen of a provider."""
        known = self.tallies.setdefault(tally.provider, tally)
        if known is not tally:
            try:
                known.merge(tally)
            except ValueError as error:
                self.problems.append(str(error))

    # Across processes, and the end

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker of pytest-xdist saw; one that crashed took it along."""
        from kling_mock.contract.coverage.counting import Tally

        for document in getattr(node, "workeroutput", {}).get(SENT, ()):
            self.add(Tally.from_json(document))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send what was seen, or write the reports and hold it against the minimum."""
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output[SENT] = [tally.to_json() for tally in self.tallies.values()]
        elif not self.config.option.collectonly:
            self._write()
            self._hold()
            if self.problems and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _counted(self) -> list[Tally]:
        rows = [self.tallies[name] for name in sorted(self.tallies)]
        return [row.only(self.dimensions) for row in rows] if self.dimensions else rows

    def _write(self) -> None:
        from kling_mock.contract.coverage.reports import FORMATS as WRITERS

        for report in self.config.option.kling_coverage_report:
            name, _, file = report.partition(":")
            path = self.config.invocation_params.dir / Path(file)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(WRITERS[name](self._counted()), encoding="utf-8")
            except OSError as error:
                self.problems.append(f"the {name} report cannot be written: {error}")
            else:
                self.written.append(str(path))

    def _hold(self) -> None:
        from kling_mock.contract.coverage.reports import overall

        share = overall(self._counted())
        if self.minimum is not None and not (share.all and share.reaches(self.minimum)):
            came = (
                f"{share.covered} of {share.all} points, {share.percent}%"
                if share.all
                else "nothing: no test used the mock"
            )
            self.problems.append(
                f"{self.minimum:g}% of the behaviour should be covered (--kling-coverage-min); it is {came}"
            )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell it."""
        from kling_mock.contract.coverage.reports import table

        if hasattr(self.config, "workerinput") or self.config.option.collectonly:
            return
        terminalreporter.section("coverage of behaviour")
        if self.config.option.kling_coverage:
            told = table(self._counted())
            terminalreporter.write_line(told or "no test used the mock: nothing was covered")
            if " more" in told and not self.written:
                terminalreporter.write_line(
                    "next: --kling-coverage-report html:FILE (or json:, junit:) names all points"
                )
        for path in self.written:
            terminalreporter.write_line(f"wrote {path}")
        for problem in self.problems:
            terminalreporter.write_line(f"FAILED: {problem}", red=True)
