"""Which violations say that a test's client, or the test itself, did something wrong."""

from __future__ import annotations

from kling_mock.core.model import Violation
from kling_mock.testing.witness import counts


def test_a_scenario_that_there_is_not_counts() -> None:
    """It is only a warning of the mock's, but the test would pass for the wrong reason; other warnings do not count."""
    assert counts(Violation("mock/scenario", "", "there is no scenario 'slo'", "warning"))
    assert not counts(Violation("mock/variant", "", "there is no variant 'x'", "warning"))
