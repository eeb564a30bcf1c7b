"""Edits as YAML: a person pastes it, and the specs' own loader and those of YAML 1.1 read what was meant."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kling_mock.contract.drift.edits import Edit, added, in_yaml, schema_of
from kling_mock.yaml_files import LOADER

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x85\ufeff"), max_size=12) | st.sampled_from(
    ["on", "no", "null", "~", "5", "0x1f", "1e5", "16:9", "2026-01-01", "a: b", "a #b", "- a", "{$x}", "yes", "=", "<<"]
)
KEYS = TEXTS.filter(lambda key: key != "<<")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_every_reader_of_yaml_reads_what_was_meant(value: Any) -> None:
    """The specs' loader, where only JSON's scalars are no texts, and YAML 1.1, where many are none, agree."""
    written = in_yaml({"value": value})
    assert yaml.load(written, LOADER) == {"value": value}
    assert yaml.safe_load(written) == {"value": value}


def test_what_is_short_stands_on_one_line() -> None:
    """The style of the specs; a comment says why, unless there is evidence inside."""
    short = added("a/schemas.yaml", "/Task/properties", "queue", {"type": ["integer", "null"]}, "seen")
    assert short.yaml() == 'queue: {type: [integer, "null"]}  # seen'
    assert short.where() == "at a/schemas.yaml#/Task/properties put"
    entry = added("a/errors.yaml", "/catalogue", "gone", {"status": 410, "evidence": {"kind": "observed"}}, "seen")
    assert entry.yaml() == "gone: {status: 410, evidence: {kind: observed}}"
    long = added("a/errors.yaml", "/catalogue", "gone", {"message": "x" * 99, "status": 410}, "seen")
    assert long.yaml().splitlines() == ["gone:  # seen", f"  message: {'x' * 99}", "  status: 410"]


@pytest.mark.parametrize(
    ("edit", "where", "written"),
    [
        (added("f", "/A/enum", "-", "on"), "at f#/A/enum put", '- "on"'),
        (Edit("replace", "f", "/A/type", ["string"]), "at f#/A put instead", "type: [string]"),
        (Edit("remove", "f", "/A/required/2"), "remove f#/A/required/2", ""),
        (added("f", "/paths", "/a~b", {}), "at f#/paths put", '"/a~b": {}'),
    ],
)
def test_an_edit_says_where_it_goes(edit: Edit, where: str, written: str) -> None:
    """One more of a list, another value, nothing any more, and a key whose pointer is escaped."""
    assert (edit.where(), edit.yaml()) == (where, written)


def test_a_schema_of_what_was_seen() -> None:
    """Types of all values, keys of all objects, items of all lists; an integer is a number, nothing is required."""
    assert schema_of([1, 2.5, None]) == {"type": ["number", "null"]}
    assert schema_of([True]) == {"type": "boolean"}
    assert schema_of([{"a": 1}, {"b": [{"c": "x"}, {}]}]) == {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string"}}}},
        },
    }
    assert schema_of([[]]) == {"type": "array"}
