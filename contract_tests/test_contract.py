"""Does a target answer what the provider's documents say? One test for each probe of the contract suite."""

from __future__ import annotations

import pytest

from kling_mock.contract.reports import failure_lines
from kling_mock.contract.suite import Stopped, Suite


def test_the_target_keeps_to_the_documents(suite: Suite, probe: int) -> None:
    """What the probe finds out is what the documents say."""
    try:
        outcome = suite.run_one(suite.plan()[probe])
    except Stopped as stop:
        pytest.exit(f"{stop.why}; look at the account's bill", returncode=3)
    if outcome.left_out:
        pytest.skip(outcome.left_out)
    told = "\n".join(line for failure in outcome.failures for line in failure_lines(failure, lambda text, color: text))
    if told:
        pytest.fail(told, pytrace=False)
