"""Every scenario of every provider, met by a client over real HTTP, beside its line in docs/scenarios.md."""

from __future__ import annotations

import pytest

from kling_mock.core.provider import Provider
from kling_mock.loading import load_providers
from tests.conftest import PROVIDERS
from tests.scenarios import PAGE, called, line, walked, written

BUNDLED = [(provider, name) for provider in load_providers().values() for name in provider.scenarios]
EVERY = [(provider, name) for provider in PROVIDERS.values() for name in provider.scenarios]
ids = lambda value: value if isinstance(value, str) else value.name  # noqa: E731


@pytest.mark.parametrize(("provider", "name"), BUNDLED, ids=ids)
def test_what_a_client_meets_is_what_the_page_says(provider: Provider, name: str) -> None:
    """`python -m tests.scenarios --write` renews the page; read the diff."""
    assert line(provider, name) == written(provider, name)


@pytest.mark.parametrize(("provider", "name"), EVERY, ids=ids)
def test_a_scenario_shows_something(provider: Provider, name: str) -> None:
    """No scenario leaves a client's walk, or its webhooks, as they are without one."""
    scenario = provider.scenarios[name]
    usual = walked(provider, "").told()
    assert walked(provider, name).told() != usual or scenario.hooks != type(scenario.hooks)() or scenario.longer_ms


def test_the_page_has_no_lines_of_scenarios_that_are_gone() -> None:
    """As many rows as there are scenarios, and none twice."""
    rows = [row for row in PAGE.read_text().splitlines() if row.startswith("| `")]
    assert len(rows) == len(BUNDLED)
    assert {row.split("`")[1] for row in rows} == {called(provider, name) for provider, name in BUNDLED}
