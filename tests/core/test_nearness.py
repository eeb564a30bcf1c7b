"""How near a request comes to a rule that it keeps."""

from __future__ import annotations

from typing import Any

import pytest

from kling_mock.core.documents import Place
from kling_mock.core.nearness import Nearness, nearness


def near(valid: Any, **words: Any) -> Nearness:
    """The nearness of a rule with this valid example."""
    node = {"valid": valid, **words}
    documents = {"toy/rules.yaml": {"a": node}, "toy/s.yaml": {"Tail": {"required": ["tail"]}}}
    return nearness(Place(documents, "toy/rules.yaml", "/a", node))


EITHER = {"not": {"allOf": [{"$ref": "s.yaml#/Tail"}, {"required": ["mask"]}]}}


def test_only_what_the_rule_speaks_of_and_the_example_gives_counts() -> None:
    """Of two that exclude each other the example gives one; what stands beside is of no interest."""
    found = near({"tail": "t", "mask": "", "prompt": "p"}, schema=EITHER)
    assert found.fields == {"tail"}
    assert found.fits({"tail": "x"})
    assert not found.fits({"mask": "m"})
    assert not found.fits({"tail": "", "prompt": "p"})


def test_values_that_the_rule_names_must_be_on_the_examples_side() -> None:
    """A kite with wind is near; a train with wind is as far as one can be."""
    schema = {"if": {"properties": {"toy": {"const": "kite"}}, "required": ["toy"]}, "then": {"required": ["wind"]}}
    found = near({"toy": "kite", "wind": 3}, schema=schema)
    assert found.fits({"toy": "kite", "wind": 9})
    assert not found.fits({"toy": "train", "wind": 3})
    assert not found.fits({"toy": "kite"})


def test_an_example_outside_the_named_values_asks_for_another_value() -> None:
    """Where the example is right because its model is none of those, so must the request's be."""
    schema = {"not": {"required": ["scale"], "properties": {"model": {"enum": ["old", "older"]}}}}
    found = near({"scale": 1, "model": "new"}, schema=schema)
    assert found.fits({"scale": 2, "model": "newer"})
    assert not found.fits({"scale": 2, "model": "older"})


def test_texts_of_truths_are_truths() -> None:
    """The document is read, the example and the schema are written as they are sent."""
    schema = {"required": ["many"], "properties": {"many": {"enum": [True, "true"]}}}
    assert near({"many": "true"}, schema=schema).fits({"many": True})


def test_a_comparison_is_near_by_its_numbers_and_by_when_it_counts() -> None:
    """Its example is a document, or facts, of which nothing can be said."""
    compare = {"sum": "/shots/*/seconds", "equals": "/seconds", "when": {"required": ["many"]}}
    document = {"shots": [{"seconds": 1}], "seconds": 1, "many": True, "other": 1}
    assert near({"document": document}, compare=compare).fields == {"shots", "seconds", "many"}
    assert near({"facts": {"mask": []}}, compare={"images": ["mask"], "same": ["width"]}) == Nearness()


def test_a_rule_may_stand_within_a_part_of_the_document() -> None:
    """Its field says where; that of a rule over the document may be deeper than what the rule names of it."""
    schema = {"required": ["mode", "text"]}
    found = near({"mode": "a", "text": "b"}, schema=schema, field="/input/text")
    assert found.fits({"input": {"mode": "c", "text": "d"}})
    assert not found.fits({"mode": "c", "text": "d"})
    assert not found.fits({"input": "text"})
    deep = near(
        {"camera": {"zoom": 1}}, schema={"properties": {"camera": {"required": ["zoom"]}}}, field="/camera/zoom"
    )
    assert deep.fits({"camera": {"zoom": 2}})


def test_a_rule_over_the_value_of_a_field_is_near_whoever_gives_that_field() -> None:
    """Its example is such a value."""
    found = near("bear", schema={"enum": ["bear"]}, field="/toy")
    assert found.fits({"toy": "bear"})
    assert not found.fits({"toy": ""})
    assert near("bear", schema={"enum": ["bear"]}) == Nearness()


@pytest.mark.parametrize("document", [None, [], "text", {}])
def test_nothing_comes_near_a_rule_whose_example_gives_none_of_its_fields(document: Any) -> None:
    """Not the empty request either."""
    found = near({"prompt": "p"}, schema={"not": {"required": ["old"]}})
    assert found == Nearness()
    assert not found.fits(document)
