"""Compiled schemas: what is refused, what is only off the documents, by which rule, where and in which words."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from kling_mock.core.documents import Place
from kling_mock.core.model import Violation
from kling_mock.core.problems import SpecError
from kling_mock.core.schemas import Rule, Schema, Schemas, unknown_keys

BASE64 = "iVBORw0KGgo" * 400
RULE = {
    "message": "must blow",
    "severity": "refused",
    "field": "/wind",
    "error": "calm",
    "evidence": {"kind": "assumed"},
}


def schema(node: Any, rules: dict[str, dict[str, Any]] | None = None, **others: Any) -> Schema:
    """Compile a schema as the subject "op"; `rules` maps pointers of this document to entries."""
    documents = {"toy/s.yaml": {"here": node, **others}}
    schemas = Schemas(documents)
    for at, entry in (rules or {}).items():
        schemas.rules[f"toy/s.yaml#{at}"] = Rule(at.strip("/"), entry)
    return schemas.compile(Place(documents, "toy/s.yaml", "/here", node), "op")


def one(node: Any, value: Any) -> Violation:
    """The one violation of a value."""
    [violation] = schema(node).violations(value, "body")
    return violation


@pytest.mark.parametrize(
    ("node", "value", "keyword", "message"),
    [
        ({"type": "integer"}, "x", "type", "should be of type integer; is string"),
        ({"type": ["string", "null"]}, True, "type", "should be of type string, null; is boolean"),
        ({"type": "string"}, None, "type", "should be of type string; is null"),
        ({"type": "object"}, [], "type", "should be of type object; is array"),
        ({"enum": ["a", 5, "", None]}, "b", "enum", "should be one of a, 5; is b"),
        ({"enum": [5, "5"]}, 6, "enum", "should be one of 5; is 6"),
        ({"const": "a"}, "b", "const", "should be a; is b"),
        ({"maxLength": 2}, "abc", "maxLength", "should have at most 2 characters; has 3"),
        ({"maxLength": 1}, "\U0001f600\U0001f600", "maxLength", "should have at most 1 characters; has 2"),
        ({"minLength": 1}, "", "minLength", "should have at least 1 characters; has 0"),
        ({"maximum": 3}, 4, "maximum", "should be at most 3; is 4"),
        ({"minimum": 0.5}, 0.25, "minimum", "should be at least 0.5; is 0.25"),
        ({"exclusiveMaximum": 3}, 3, "exclusiveMaximum", "should be less than 3; is 3"),
        ({"exclusiveMinimum": 3}, 3, "exclusiveMinimum", "should be more than 3; is 3"),
        ({"maxItems": 1}, [1, 2], "maxItems", "should have at most 1 items; has 2"),
        ({"minItems": 1}, [], "minItems", "should have at least 1 items; has 0"),
        ({"pattern": "^[0-9]+$"}, "x", "pattern", "should match ^[0-9]+$; is x"),
        ({"multipleOf": 2}, 3, "multipleOf", "does not satisfy multipleOf"),
    ],
)
def test_a_keyword_has_its_words(node: dict[str, Any], value: Any, keyword: str, message: str) -> None:
    """Each keyword: its rule id, situation and message, with what was asked and what is there."""
    violation = one({"properties": {"a": node}}, {"a": value})
    assert (violation.rule, violation.pointer) == (f"op/a/{keyword}", "/a")
    assert (violation.severity, violation.situation) == ("refused", f"body.{keyword}")
    assert violation.message == message


NUMERAL = {"pattern": "^[0-9]+(\\.[0-9]+)?$"}


@pytest.mark.parametrize(
    ("node", "value", "message"),
    [
        ({**NUMERAL, "type": ["string", "integer"]}, "abc", "should be a whole number; is abc"),
        ({"pattern": "^[0-9]+$", "x-mock-documented": {"type": "integer"}}, "5.5", "should be a whole number; is 5.5"),
        ({**NUMERAL, "if": True, "then": {"type": ["number", "string"]}}, "1,5", "should be a number; is 1,5"),
        (
            {**NUMERAL, "type": ["number", "string"], "x-mock-documented": {"type": "integer"}},
            "left",
            "should be a number; is left",
        ),
        ({**NUMERAL, "type": ["number", "string"]}, "-5", "should match ^[0-9]+(\\.[0-9]+)?$; is -5"),  # it is one
        ({**NUMERAL, "type": "string"}, "abc", "should match ^[0-9]+(\\.[0-9]+)?$; is abc"),
        ({**NUMERAL, "type": ["number", "string"], "x-mock-pattern": "digits"}, "-5", "should be digits; is -5"),
        ({**NUMERAL, "type": ["number", "string"], "x-mock-pattern": "digits"}, "abc", "should be a number; is abc"),
        ({**NUMERAL, "type": "string", "x-mock-pattern": "digits"}, "abc", "should be digits; is abc"),
    ],
)
def test_a_text_that_should_say_a_number_is_told_so(node: dict[str, Any], value: str, message: str) -> None:
    """A pattern beside a number's type is there for texts that say the number; nobody wants to read it."""
    violation = schema(node).violations(value, "body")[0]
    assert (violation.rule, violation.message) == ("op/pattern", message)


def test_a_bound_is_told_before_the_words_of_a_pattern() -> None:
    """A text that says a number beyond the bound is told the bound, as the number would be."""
    node = {"type": ["number", "string"], "maximum": 1, "pattern": "^[01]$", "x-mock-pattern": "digits"}
    [violation] = schema(node).violations("2", "body")
    assert (violation.rule, violation.message) == ("op/maximum", "should be at most 1; is 2")


DECIDED = [
    {"required": ["a"], "properties": {"a": {"const": 1}}},
    {"not": {"required": ["a", "b"], "properties": {"a": {"const": 1}}}},
    {"not": {"required": ["a"]}, "maxProperties": 1},
    {"if": {"required": ["a"]}, "then": {"required": ["b"]}},
    {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}},
    {"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}},
    {"not": {"required": ["a"]}, "required": ["b"]},
    {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    True,
]


@pytest.mark.parametrize("node", DECIDED)
@pytest.mark.parametrize(
    "value", [{}, {"a": 1}, {"a": 2}, {"b": 1}, {"a": 1, "b": 1}, {"c": 1}, {"a": 2, "b": 2}, {"b": 1, "c": 1}, [], 5]
)
def test_what_keys_decide_is_what_the_validator_says(node: Any, value: Any) -> None:
    """The short cut for keys that are not there never changes an answer."""
    assert schema(node).holds(value) is jsonschema_rs.Draft202012Validator(node).is_valid(value)


def test_a_missing_member_is_named_where_it_should_be() -> None:
    """`required` points at the member that is not there."""
    node = {"required": ["b"], "properties": {"b": {"type": "string"}}}
    violation = one({"properties": {"list": {"items": node}}}, {"list": [{"b": "x"}, {}]})
    assert (violation.rule, violation.pointer) == ("op/list/*/b/required", "/list/1/b")
    assert violation.message == "is required"
    assert violation.values["field"] == "b"


def test_every_violation_is_found_in_order() -> None:
    """All of them, by pointer, each once."""
    node = {"required": ["z"], "properties": {"b": {"type": "string", "minLength": 1}, "a": {"enum": [1]}}}
    found = schema(node).violations({"b": "", "a": 2}, "body")
    assert [(v.rule, v.pointer) for v in found] == [
        ("op/a/enum", "/a"),
        ("op/b/minLength", "/b"),
        ("op/z/required", "/z"),
    ]


def test_a_pointer_is_escaped_and_prefixed() -> None:
    """Names with / and ~ are escaped; a parameter's place stands before."""
    found = schema({"properties": {"a/b~c": {"type": "string"}}}).violations({"a/b~c": 1}, "body")
    assert found[0].pointer == "/a~1b~0c"
    found = schema({"type": "integer"}).violations("x", "parameters", "query/page")
    assert (found[0].rule, found[0].pointer) == ("op/query/page/type", "query/page")
    assert (found[0].situation, found[0].values["field"]) == ("parameters.type", "page")


# Documented and accepted

MILD = {"properties": {"n": {"enum": [1, 2, "1", "2", ""], "x-mock-documented": {"type": "integer", "maximum": 1}}}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, []),
        ("1", [("op/n/type", "warning", "should be of type integer; is string")]),
        (2, [("op/n/maximum", "warning", "should be at most 1; is 2")]),
        (3, [("op/n/enum", "refused", "should be one of 1, 2; is 3")]),
    ],
)
def test_what_is_accepted_but_not_documented_is_a_warning(value: Any, expected: list[tuple[str, str, str]]) -> None:
    """A value is judged by both schemas; what is refused is not warned of too; messages name what was asked."""
    found = schema(MILD).violations({"n": value}, "body")
    assert [(v.rule, v.severity, v.message) for v in found] == expected


def test_a_warning_needs_no_answer() -> None:
    """Warnings have no situation: no error of the provider answers them."""
    [violation] = schema(MILD).violations({"n": "1"}, "body")
    assert (violation.situation, violation.stage) == ("", "")


def test_documented_reaches_through_references() -> None:
    """An x-mock-documented behind a $ref counts, and the schema around it stays."""
    node = {"properties": {"a": {"$ref": "#/Mild"}, "b": {"type": "string"}}}
    found = schema(node, Mild={"x-mock-documented": {"type": "string"}}).violations({"a": 1, "b": 2}, "body")
    assert [(v.pointer, v.severity) for v in found] == [("/b", "refused"), ("/a", "warning")]


def test_documented_may_be_wider_than_accepted() -> None:
    """What the documents allow and the provider refuses is refused."""
    found = schema({"enum": [1], "x-mock-documented": {"type": "integer"}}).violations(2, "body")
    assert [(v.rule, v.severity) for v in found] == [("op/enum", "refused")]


# Rules

KITE = {"if": {"properties": {"toy": {"const": "kite"}}}, "then": {"required": ["wind"]}}


def test_a_rule_speaks_for_its_schema() -> None:
    """A keyword anywhere below a rule's schema is that rule: its id, field, message, severity and error."""
    made = schema({"allOf": [{"$ref": "#/kite"}]}, {"/kite": RULE}, kite=KITE)
    assert made.violations({"toy": "bear"}, "body") == []
    [violation] = made.violations({"toy": "kite"}, "body")
    assert (violation.rule, violation.pointer, violation.message) == ("kite", "/wind", "must blow")
    assert (violation.severity, violation.situation, violation.error) == ("refused", "rules", "calm")
    assert violation.values["field"] == "wind"


def test_a_rule_without_a_field_points_at_what_broke_it() -> None:
    """Without `field` the violation stands where the schema failed."""
    rule = {key: value for key, value in RULE.items() if key != "field"}
    made = schema({"properties": {"a": {"allOf": [{"$ref": "#/even"}]}}}, {"/even": rule}, even={"multipleOf": 2})
    [violation] = made.violations({"a": 3}, "body")
    assert (violation.rule, violation.pointer, violation.values["value"]) == ("even", "/a", "3")


def test_a_rule_is_reported_once_beside_plain_keywords() -> None:
    """Several broken keywords of one rule are one violation; keywords of no rule keep their own ids."""
    node = {"required": ["x"], "allOf": [{"$ref": "#/both"}]}
    made = schema(node, {"/both": RULE}, both={"required": ["p", "q"]})
    assert sorted(v.rule for v in made.violations({}, "body")) == ["both", "op/x/required"]


# What a message may say


@pytest.mark.parametrize(
    "node",
    [
        {"enum": ["a"]},
        {"const": "a"},
        {"pattern": "^a$"},
        {"type": "integer"},
        {"maxLength": 5},
        {"not": {}},
        {"anyOf": [{"const": 1}, {"const": 2}]},
    ],
)
@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: [text], lambda text: {"image": text}])
def test_no_base64_in_a_message(node: dict[str, Any], wrap: Any) -> None:
    """However an image's text fails, alone or inside something, neither message nor values repeat it."""
    for violation in schema(node).violations(wrap(BASE64), "body"):
        assert BASE64[:80] not in f"{violation.message} {violation.values}"
        assert len(violation.message) < 300


def test_a_long_text_is_cut() -> None:
    """Words are shown up to a limit, with how long they are."""
    violation = one({"enum": ["a"]}, "word " * 100)
    assert violation.message == f"should be one of a; is {('word ' * 24)}... <500 characters>"


def test_unknown_keys_are_warnings_with_the_closest_word() -> None:
    """A key that nobody knows is ignored, and told; without a close one no list of all keys is shown."""
    known = frozenset({"wish", "toy"})
    near, far = unknown_keys("op", [(("wihs",), known), (("shots", 3, "zzz"), known)])
    assert (near.rule, near.pointer, near.severity) == ("op/wihs/unknown", "/wihs", "warning")
    assert near.message == "is no known key here and is ignored; did you mean 'wish'?"
    assert (far.rule, far.pointer) == ("op/shots/*/zzz/unknown", "/shots/3/zzz")
    assert far.message == "is no known key here and is ignored"


@pytest.mark.parametrize("node", [{"type": "nonsense"}, {"$ref": "#/nowhere"}, {"pattern": "["}])
def test_what_is_no_schema_is_refused(node: dict[str, Any]) -> None:
    """A wrong keyword or a dead reference is a SpecError at the schema's place."""
    with pytest.raises(SpecError) as error:
        schema(node)
    [problem] = error.value.problems
    assert (problem.file, problem.pointer) == ("toy/s.yaml", "/here")
    assert problem.message.startswith("no JSON Schema 2020-12: ")


def test_the_rules_of_a_schema_are_those_that_its_keywords_can_break() -> None:
    """By way of others and in circles too, or holds, or is a part of; a rule that nobody refers to is in no schema."""
    documents = {
        "toy/s.yaml": {
            "here": {"allOf": [{"$ref": "#/more"}], "properties": {"wind": {"$ref": "rules.yaml#/deep/schema"}}},
            "own": {"properties": {"wind": {"type": "number"}}},
            "part": {"$ref": "rules.yaml#/deep/schema/not"},
            "more": {"items": [{"$ref": "rules.yaml#/list/schema"}, {"$ref": "#/here"}]},
            "direct": {"$ref": "rules.yaml#/deep/schema"},
            "chain": {"$ref": "#/direct"},
        },
        "toy/rules.yaml": {name: {"schema": {"not": {"type": "number"}}} for name in ("deep", "list", "lonely")},
    }
    schemas = Schemas(documents)
    for name in documents["toy/rules.yaml"]:
        schemas.rules[f"toy/rules.yaml#/{name}/schema"] = Rule(name, RULE)
    schemas.rules["toy/s.yaml#/own/properties/wind"] = Rule("own", RULE)
    found = {}
    for name, node in documents["toy/s.yaml"].items():
        found[name] = schemas.rules_in(Place(documents, "toy/s.yaml", f"/{name}", node))
    assert found == {
        "here": {"deep", "list"},
        "more": {"deep", "list"},
        "own": {"own"},
        "part": {"deep"},
        "direct": {"deep"},
        "chain": {"deep"},
    }
