"""Scenarios of the wire on each sort of call, as a client meets them over real HTTP at each provider."""

from __future__ import annotations

from functools import cache

import pytest

from kling_mock.core.provider import Provider
from kling_mock.loading import load_providers
from kling_mock.testing.walk import Step, Walker
from tests.exchanges import folder_of
from tests.scenarios import running

MEETS = {
    "dropped": "connection reset, no answer",
    "hanging": "no answer within 1.5 s",
    "bad-gateway": "502 text/html",
    "truncated": "200, broken off after 40 of ",
    "wrong-type": "200 text/html",
    "html-page": "200 text/html",
    "empty-answer": "200 application/json, no bytes",
}
"""What the first call of the sort meets, by scenario."""
BRIEF = ("dropped", "bad-gateway", "truncated")
"""Those that every provider is asked for; the default one is asked for all."""


def calls(provider: Provider) -> list[str]:
    """The sorts of calls that a provider has."""
    roles = {operation.role for operation in provider.operations.values()}
    return [role for role in ("create", "query", "list") if role in roles] + ["download"]


ALL = [
    (provider, name, call)
    for provider in load_providers().values()
    for name in (MEETS if provider.default else BRIEF)
    for call in calls(provider)
]


@cache
def steps(name: str, scenario: str | None) -> tuple[Step, ...]:
    """A client's walk at a provider."""
    return Walker(running(), running().mock.providers[name], folder_of(name), scenario).walk().steps


@pytest.mark.parametrize(("provider", "name", "call"), ALL, ids=lambda value: getattr(value, "name", value))
def test_it_meets_the_calls_that_it_was_asked_for(provider: Provider, name: str, call: str) -> None:
    """The first call of the sort and no other; what comes after it is as it usually is."""
    usual, met = steps(provider.name, None), steps(provider.name, f"{name} call={call}")
    hit = [step for step in met if step.role == call]
    assert hit[0].came.startswith(MEETS[name])
    assert not any(step.came.startswith(MEETS[name]) for step in met if step is not hit[0])
    for role in set(calls(provider)) - {call}:
        assert next(step.came for step in met if step.role == role) == next(s.came for s in usual if s.role == role)


def test_every_scenario_that_takes_a_call_is_here_or_slow() -> None:
    """None of the shared ones is left out; slow ones cost a second each, and are walked on their usual call."""
    for provider in load_providers().values():
        own = {"down", "slow-answer", "slow-body", *MEETS}
        taking = {row.name for row in provider.scenarios.values() if "call" in row.parameters}
        shared = {name for name in taking if all(name in other.scenarios for other in load_providers().values())}
        assert shared <= own | {"overloaded"}
