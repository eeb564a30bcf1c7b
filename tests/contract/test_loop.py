"""The suite aimed at the mock itself: for every folder of documents all of it holds, everything is reached, and the
mock's own faults on command are found for what they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest

import pytest

from kling_mock.contract.probes import PHASES, Probe
from kling_mock.contract.suite import Report, Settings, Suite
from kling_mock.core.lifecycle import FOR_EVER
from kling_mock.core.model import Request, Violation
from kling_mock.core.provider import Provider
from kling_mock.core.scenarios import Hooks, Scenario
from kling_mock.server.mock import Mock
from tests.conftest import PROVIDERS
from tests.contract.breaking import agreed, planned, serving, told

EXAMPLES = 2
"""Requests of each sort that fuzzing makes: fewer are not enough for a create that a link follows."""

ALL = ("operations", "fired", "held", "states", "errors")
BY_CHANCE = re.compile(r"[0-9a-f]{32}|127\.0\.0\.1:\d+")
"""The boundaries that a library draws for forms, and ports of this machine."""
UNREACHED: Mapping[str, str] = {
    "body.size": "how large is too large no document says, and the mock's own limit is 64 MB",
}
"""The situations whose errors the suite need not reach, and why."""

ALSO: Mapping[str, set[str]] = {
    "unknown-word": {"shape"},  # the words of a state are listed in the replies' schemas: another one fits none
}
"""Scenarios that cannot but break something else too: what, by the scenario's name."""


# All of it


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_suite_holds_for_the_mock_and_reaches_everything(name: str) -> None:
    """Every phase holds, tasks are made and found by links, nothing of the documents is left out, and a second run
    sends the same."""
    report, asked = ran(name)
    provider = agreed()[name].provider
    assert not report.failures, told(report)
    assert not [outcome for outcome in report.outcomes if outcome.left_out]
    assert {outcome.phase for outcome in report.outcomes} >= set(PHASES) - {"webhooks"}
    assert followed(report) == {row.id for row in provider.operations.values() if row.role == "create"}
    assert sorted(unreached(provider, report)) == []
    _, again = ran(name)
    for number, (one, other) in enumerate(zip_longest(asked, again), 1):
        assert one == other, f"request {number} is another one in the second run"


def ran(name: str) -> tuple[Report, list[str]]:
    """A whole run at a new mock with the same seed, and what the mock was asked."""
    asked: list[str] = []

    def listen(mock: Mock) -> None:
        prepare = mock.prepare

        def prepared(request: Request) -> object:
            asked.append(plain(request))
            return prepare(request)

        mock.prepare = prepared  # type: ignore[method-assign, assignment]

    with serving(name, listen) as url:
        suite = Suite(agreed()[name], url, Settings(max_examples=EXAMPLES), {})
        return suite.run(suite.plan()), asked


def plain(request: Request) -> str:
    """A request without its credential and what is drawn by chance."""
    headers = {key: value for key, value in request.headers.items() if key in ("content-type", "prefer", "accept")}
    said = f"{request.method} {request.path}?{request.query} {headers} {request.body!r}"
    return BY_CHANCE.sub("", said)


def followed(report: Report) -> set[str]:
    """The creates whose tasks were found later: nothing but a link of the create's reply leads to a task."""
    made = {row.task: row.operation for row in report.exchanges if row.role == "create" and row.task}
    found = {row.task for row in report.exchanges if row.role == "query" and row.reply["status"] < 300}
    return {str(operation) for task, operation in made.items() if task in found}


def unreached(provider: Provider, report: Report) -> Iterator[str]:
    """What of the documents the run has not met and should have, and what it has met and need not."""
    coverage = report.coverage(provider)
    excused = {provider.errors.answer(Violation("", "", "", situation=name)) for name in UNREACHED}
    for dimension in ALL:
        for point in (*coverage.missing(dimension), *coverage.covered(dimension)):
            needless = dimension == "errors" and point.name.split(" ")[-1] in excused
            if bool(coverage.hits[point]) is needless:
                yield f"{dimension}: {point.label}" + (" is reached after all" if needless else "")


# Scenarios


def scenarios(choose: Callable[[Scenario], bool]) -> list[tuple[str, str]]:
    """Provider and name of the scenarios that are so."""
    return [(name, row.name) for name, one in PROVIDERS.items() for row in one.scenarios.values() if choose(row)]


def commanded(name: str, scenario: str) -> Report:
    """What the suite says of tasks of an account that has a scenario."""
    hooks = agreed()[name].provider.scenarios[scenario].hooks != Hooks()
    rows = planned(name, ("webhooks" if hooks else "lifecycle",))
    probes = [probe for probe in rows if (hooks or "usual" in probe.name) and not _builds(name, probe)]
    with serving(name) as url:
        return Suite(agreed()[name], url, Settings(scenario=scenario), {}).run(probes)


def _builds(name: str, probe: Probe) -> bool:
    """Whether a probe's task builds upon another, which the account's scenario may let fail."""
    words = agreed()[name].provider.operations[probe.operation or ""].task
    return bool(words and words.parents)


@pytest.mark.parametrize(("name", "scenario"), scenarios(lambda row: bool(row.breaks)))
def test_a_scenario_is_found_to_break_what_it_says(name: str, scenario: str) -> None:
    """A scenario that contradicts the documents on purpose fails the suite for just what it declares."""
    report = commanded(name, scenario)
    found = {failure.breaks for failure in report.failures if failure.breaks}
    assert found == set(agreed()[name].provider.scenarios[scenario].breaks) | ALSO.get(scenario, set()), told(report)
    assert all(failure.operation for failure in report.failures)


@pytest.mark.parametrize(
    ("name", "scenario"), scenarios(lambda row: bool(row.timeline or row.latency) and not row.breaks)
)
def test_a_scenario_of_another_course_passes(name: str, scenario: str) -> None:
    """A task that fails, takes long or goes another legal way is what the documents say; one that never ends is not."""
    report = commanded(name, scenario)
    never = FOR_EVER in agreed()[name].provider.scenarios[scenario].latency.values()
    assert {failure.check for failure in report.failures} == ({"end"} if never else set()), told(report)
    assert any(exchange.role == "create" and exchange.task for exchange in report.exchanges)
