"""The suite is tested by what it finds: mocks that are broken on purpose fail, each for what is broken in it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kling_mock.contract.failures import CHECKS
from kling_mock.contract.phases import webhooks
from kling_mock.contract.suite import Settings, Suite
from tests.contract import mutants, mutants_at_work
from tests.contract.breaking import Mutant, agreed, held, planned, referee, serving, told

MUTANTS: Mapping[str, Mutant] = {**mutants.BY_DOCUMENTS, **mutants_at_work.AT_WORK}
PHASES = sorted({(row.provider, row.phases) for row in MUTANTS.values()})


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_mock_fails_the_check_that_looks_at_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The named check fails, and no other one but those that cannot but fail too."""
    mutant = MUTANTS[name]
    expected = {mutant.check, *mutant.also.split()}
    if "webhook" in expected:
        monkeypatch.setattr(webhooks, "PATIENCE_S", 1.0)  # what does not come is not waited for long
    report = held(mutant)
    assert {failure.check for failure in report.failures} == expected, told(report)
    assert report.exit_code == 1
    assert all(failure.phase == mutant.phases and mutant.probes in failure.probe for failure in report.failures)


@pytest.mark.parametrize(("provider", "phase"), PHASES)
def test_a_mock_that_is_not_broken_passes(provider: str, phase: str) -> None:
    """The same probes hold for the mock as it is."""
    asked = [row.probes for row in MUTANTS.values() if (row.provider, row.phases) == (provider, phase)]
    probes = [probe for probe in planned(provider, (phase,)) if any(name in probe.name for name in asked)]
    with serving(provider) as url:
        report = Suite(agreed()[provider], url, Settings(), {}, referee(provider)).run(probes)
    assert not report.failures, told(report)
    assert len(report.outcomes) == len(probes) > 0
    assert not any(outcome.left_out for outcome in report.outcomes)


def test_every_check_kills_a_mutant() -> None:
    """No check is there for nothing: each is the one that finds some broken mock."""
    assert {row.check for row in MUTANTS.values()} == set(CHECKS)
    assert len(MUTANTS) == len(mutants.BY_DOCUMENTS) + len(mutants_at_work.AT_WORK) >= 30
