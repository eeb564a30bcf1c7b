"""The examples that `explain` finds for features and keywords are what they are said to be, by the public judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from kling_mock.contract.agreement import Agreement, agreements
from kling_mock.core.provider import Provider
from kling_mock.payloads import Judge
from kling_mock.report_examples import Example, Examples, shown
from kling_mock.report_explain import example_of, explained
from tests.conftest import TOYS
from tests.test_rules import EDGES, I2V

AGREED = agreements(folders=[TOYS])
TABLES = {name: row.provider.capabilities for name, row in AGREED.items()}
FEATURES = [(name, feature) for name, table in TABLES.items() if table for feature in table.features]
KEYWORDS = [f"{I2V}/{id_}" for id_ in EDGES]


def found(provider: Provider, operation: str, body: Any) -> Mapping[str, str]:
    """The rules that a payload breaks, with their severities, by the public judge."""
    verdict = Judge({provider.name: provider})(body, provider.name, operation)
    return {row.rule: row.severity for row in verdict.violations}


def lines(about: Agreement, name: str) -> list[str]:
    """The lines of `explain` that show a payload."""
    return [line.strip() for line in explained(about, name) if line.startswith(("  valid ", "  invalid "))]


def told(example: Example) -> list[str]:
    """How an example stands in the lines of `explain`."""
    rows = (("valid", example.valid), ("invalid", example.invalid))
    return [f"{label:16}  {example.operation} {shown(body)}" for label, body in rows]


@pytest.mark.parametrize(("provider", "feature"), FEATURES)
def test_a_features_examples_are_valid_and_invalid(provider: str, feature: str) -> None:
    """One asks for the feature and is accepted, one is refused for the feature alone; both are printed."""
    about = AGREED[provider]
    table = about.provider.capabilities
    example = Examples(about.provider, about.root).of_feature(feature)
    assert table is not None
    assert example is not None
    assert {"refused", "fails"}.isdisjoint(found(about.provider, example.operation, example.valid).values())
    assert table.features[feature].asked.holds(example.valid)
    wrong = found(about.provider, example.operation, example.invalid)
    assert {rule for rule, severity in wrong.items() if severity != "warning"} == {feature}
    assert lines(about, feature) == told(example)


@pytest.mark.parametrize("id_", KEYWORDS)
def test_a_keywords_examples_are_valid_and_invalid(id_: str) -> None:
    """One has the value and breaks nothing at all, one breaks the keyword (and at most one thing beside it)."""
    about = AGREED["kling"]
    example = example_of(about, id_)
    assert example is not None
    operation = example.operation
    assert found(about.provider, operation, example.valid) == {}
    wrong = found(about.provider, operation, example.invalid)
    assert id_ in wrong
    assert len(wrong) <= 2, wrong
    assert lines(about, id_) == told(example)


LIMITS = {
    "cfg_scale/maximum": ["maximum: 1"],
    "shot_type/enum": ['enum: ["customize", "intelligence", "", null, []]'],
    "multi_prompt/maxItems": ["maxItems: 6"],
    "multi_prompt/*/prompt/maxLength": ["maxLength: 512"],
    "prompt/minLength": [],  # only rules ask for it
}


@pytest.mark.parametrize("id_", LIMITS)
def test_a_limit_that_holds_under_a_condition_is_told(id_: str) -> None:
    """What is asked of a value only where it is heeded is shown too; what rules ask is said by the rules."""
    told = [line for line in explained(AGREED["kling"], f"{I2V}/{id_}") if line.startswith("  accepted ")]
    assert told == [f"  {'accepted':16}  {limit}" for limit in LIMITS[id_]]


def test_a_broken_limit_is_broken_by_as_little_as_can_be() -> None:
    """A field's own limit goes before those of others."""
    example = example_of(AGREED["kling"], f"{I2V}/cfg_scale/maximum")
    assert example is not None
    assert (example.valid["cfg_scale"], example.invalid["cfg_scale"]) == (1, 2)


def test_a_payload_is_shown_in_short() -> None:
    """A text or list that is long by intention does not fill the terminal; everything else is JSON as it is sent."""
    assert json.loads(shown({"a": [1, {"b": "x" * 100}]})) == {"a": [1, {"b": "x" * 100}]}
    long = {"prompt": "x" * 2501, "list": [{"a": 1}] * 7}
    assert json.loads(shown(long)) == {
        "prompt": "xxxxxxxxxx... <2501 characters>",
        "list": [{"a": 1}, "... <7 of them>"],
    }


def test_what_has_no_example_is_explained_without_one() -> None:
    """A keyword that no payload can break by what is tried has no example, and the rest is told."""
    about = AGREED["toymaker"]
    assert example_of(about, "orderToy/toy/contentEncoding") is None
    assert lines(about, "orderToy/toy/enum") != []
