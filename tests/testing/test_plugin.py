"""The pytest plugin, by tests of a client that are run inside these."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jwt  # noqa: F401  what inner runs import must be here already: they forget what they were first to import
import pytest
import requests  # noqa: F401
from plugin_user import runner

import kling_mock.testing.session  # noqa: F401

if TYPE_CHECKING:
    from plugin_user import Run

pytest_plugins = ["pytester"]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test module of a user's."""
    return runner(pytester, monkeypatch)


def test_a_client_that_polls_every_ten_seconds_walks_five_minutes_at_once(run: Run) -> None:
    """The whole of the README's example: a job of five minutes, watched to its end, in a moment."""
    before = time.perf_counter()
    result = run("""
        def test_it(kling, client):
            kling.clock.follow_sleep()
            began = kling.clock.now
            assert client.wait(client.create(prompt="[mock:slow]"))["task_status"] == "succeed"
            assert (kling.clock.now - began).total_seconds() >= 290
            assert 25 < len(kling.requests()) < 40
            kling.assert_no_violations()
            kling.assert_no_duplicate_spend()
            kling.assert_spend(max_units=2)
            kling.assert_settled()
            kling.assert_polling(min_interval=1, stops=True)
            assert kling.requests("createImageToVideo")[0].json["prompt"] == "[mock:slow]"
    """)
    result.assert_outcomes(passed=1)
    assert time.perf_counter() - before < 15
