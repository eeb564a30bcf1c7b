"""The options, which are those of `kling-mock contract`, and the suites that the tests are made of.

Nothing here loads a provider while it is imported: the options have not been read by then.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kling_mock.contract.suite import Suite

PHASES = ("examples", "rules", "lifecycle", "errors", "webhooks", "fuzz")
TOYS = Path(__file__).parents[1] / "tests" / "providers"
KNOWN: dict[str, Any] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the command line."""
    group = parser.getgroup("contract", "a target and a provider's documents")
    group.addoption("--target", metavar="URL", help="what is tested; by default the mock itself, in process")
    group.addoption("--provider", action="append", default=[], metavar="NAME", help="whose documents it is held to")
    group.addoption("--specs", action="append", default=[], type=Path, metavar="FOLDER", help="more providers")
    group.addoption("--phases", metavar="LIST", help="what is done, by commas: rules,lifecycle,...")
    group.addoption(
        "--max-examples", type=int, default=12, metavar="N", help="requests that fuzzing makes of each sort"
    )
    group.addoption("--allow-spend", type=_amount, metavar="UNITS", help="what may be spent at a target that bills")


def _amount(value: str) -> Decimal:
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError(f"{value!r} is no amount such as 100")
    return amount


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Refuse options that say nothing, and let one process alone ask a target: there is one purse."""
    target, names = config.getoption("--target"), config.getoption("--provider")
    if target is not None and len(names) != 1:
        raise pytest.UsageError("a target is one provider's: give its name with --provider")
    folders = [TOYS, *config.getoption("--specs"), Path(__file__).parents[1] / "specs"]
    known = sorted({path.parent.name for folder in folders for path in folder.glob("*/openapi.yaml")})
    if strange := set(names) - set(known):
        raise pytest.UsageError(f"there is no provider {' or '.join(sorted(strange))}; there are {', '.join(known)}")
    phases = (config.getoption("--phases") or "").split(",")
    if strange := set(filter(None, phases)) - set(PHASES):
        raise pytest.UsageError(f"there is no phase {' or '.join(sorted(strange))}; there are {', '.join(PHASES)}")
    if target is not None and hasattr(config.option, "numprocesses"):
        config.option.numprocesses, config.option.dist, config.option.tx = None, "no", []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what was spent, or may have been."""
    if config.getoption("--target") is None or "suites" not in KNOWN:
        return
    from kling_mock.contract.reports import spent_lines

    for suite in KNOWN["suites"].values():
        for line in spent_lines(suite.purse.spent):
            terminalreporter.write_line(line)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each probe of each provider's plan; a plan needs no target."""
    if "probe" not in metafunc.fixturenames:
        return
    rows = [
        pytest.param(name, index, id=f"{name}-{probe.phase}-{probe.name}")
        for name, suite in suites(metafunc.config).items()
        for index, probe in suite.numbered(ordered=metafunc.config.getoption("--target") is not None)
    ]
    metafunc.parametrize(("provider", "probe"), rows)


def suites(config: pytest.Config) -> dict[str, Suite]:
    """The suites of a run by provider; made once."""
    if "suites" not in KNOWN:
        from kling_mock.contract.agreement import agreements
        from kling_mock.contract.suite import Settings, Suite

        target, names = config.getoption("--target"), config.getoption("--provider")
        folders = [TOYS, *(folder.resolve() for folder in config.getoption("--specs"))]
        phases = tuple((config.getoption("--phases") or ",".join(PHASES)).split(","))
        settings = Settings(phases, config.getoption("--max-examples"), config.getoption("--allow-spend"))
        found = agreements(names, folders)
        KNOWN["suites"] = {name: Suite(row, target or "", settings) for name, row in found.items()}
    known: dict[str, Suite] = KNOWN["suites"]
    return known


@pytest.fixture(scope="session")
def started(request: pytest.FixtureRequest) -> Iterator[dict[str, Suite]]:
    """The suites that have begun, with the servers that they need; each is begun with its first probe."""
    with ExitStack() as stack:
        begun: dict[str, Suite] = {}
        request.config.stash[STACK] = stack
        yield begun


STACK = pytest.StashKey[ExitStack]()


@pytest.fixture
def suite(request: pytest.FixtureRequest, started: dict[str, Suite], provider: str) -> Suite:
    """The suite of a provider, its target running."""
    if provider not in started:
        found = suites(request.config)[provider]
        if request.config.getoption("--target") is None:
            found.aim(request.config.stash[STACK].enter_context(itself(found)))
        _begin(found)
        started[provider] = found
    return started[provider]


def _begin(suite: Suite) -> None:
    """Begin, or end pytest: no test could tell anything."""
    from kling_mock.contract.suite import CannotRun

    try:
        suite.begin()
    except CannotRun as error:
        pytest.exit(str(error), returncode=2)


def itself(suite: Suite) -> Any:
    """The mock of one provider, in this process."""
    from kling_mock.cli_contract import itself as mock

    return mock(suite.agreement.provider)
