"""From bytes to a document, strictly; from a document as sent to one as read, mildly."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_mock.core.documents import Place
from kling_mock.core.expressions import ABSENT
from kling_mock.core.reading import DEPTH, NotJson, Reader, compile_reader, convert, is_absent, parse_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**62), 10**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_json_is_read_as_it_was_written(document: Any, ascii: bool) -> None:
    """Every document that JSON can write comes back, escaped or not."""
    assert parse_json(json.dumps(document, ensure_ascii=ascii).encode()) == document


@given(st.binary())
def test_no_bytes_break_the_reading(body: bytes) -> None:
    """Any bytes are a document or NotJson."""
    with suppress(NotJson):
        parse_json(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Expecting value at line 1 column 1"),
        (b"   ", "Expecting value at line 1"),
        (b"{", "Expecting property name"),
        (b'{"a": 1,}', "at line 1 column"),
        (b"{'a': 1}", "Expecting property name"),
        (b"1 2", "Extra data at line 1 column 3"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b"Infinity", "Infinity is no JSON number"),
        (b"[-Infinity]", "-Infinity is no JSON number"),
        (b"1e400", "a number is too large"),
        (b'{"a": [-1e400]}', "a number is too large"),
        (b"1" * 65, "a number is too long"),
        (b"-" + b"1" * 64, "a number is too long"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' is there twice"),
        (b'[{"x": {"a": 1, "\\u0061": 1}}]', "the key 'a' is there twice"),
        (b'"\\ud83d"', "a string holds half of a surrogate pair"),
        (b'{"\\uDE00": 1}', "a string holds half of a surrogate pair"),
        (b'[{"a": ["\\ude00\\ud83d"]}]', "a string holds half of a surrogate pair"),
        (b'"\xed\xa0\x80"', "byte 1 is not UTF-8"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        ("{}".encode("utf-16"), "is not UTF-8"),
        (b'"a\nb"', "Invalid control character"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64 levels"),
        (b"[" * 200_000, "nested deeper than 64 levels"),
        (b'{"a":' * 100_000, "nested deeper than 64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested deeper than 64 levels"),
    ],
)
def test_bytes_that_are_no_json(body: bytes, message: str) -> None:
    """Each kind of bad bytes is refused with what is wrong, and where."""
    with pytest.raises(NotJson) as error:
        parse_json(body)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b" \r\n\t[1] \n", [1]),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud83d"', "\\ud83d"),
        ('"\U0001f600"'.encode(), "\U0001f600"),
        (b"1e-400", 0.0),
        (b"1" * 64, int("1" * 64)),
        (b'{"a": {"b": 1}, "b": {"a": 1}}', {"a": {"b": 1}, "b": {"a": 1}}),
        (b'"[[[[[[[["' + b"", "[[[[[[[["),
    ],
)
def test_bytes_that_are_json(body: bytes, document: Any) -> None:
    """A byte order mark, white space, pairs of surrogates and long numbers are fine."""
    assert parse_json(body) == document


@pytest.mark.parametrize("inner", [b"", b"1", b'"text"'])
def test_the_deepest_document_passes(inner: bytes) -> None:
    """As many levels as are allowed are allowed, whatever is in the innermost; braces in a text count for nothing."""
    assert parse_json(b"[" * DEPTH + inner + b"]" * DEPTH)
    assert parse_json(b"[[]," + b"[" * (DEPTH - 1) + inner + b"]" * DEPTH)
    assert parse_json(b'["' + b"[" * 500 + b'"]') == ["[" * 500]


@pytest.mark.parametrize("value", [ABSENT, None, "", []])
def test_what_counts_as_absent(value: Any) -> None:
    """Nothing, null, an empty text and an empty list mean: not given."""
    assert is_absent(value)


@pytest.mark.parametrize("value", [0, 0.0, False, {}, " ", "0", [None], [[]]])
def test_what_does_not_count_as_absent(value: Any) -> None:
    """Zero, false, an empty object and blank text were given."""
    assert not is_absent(value)


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        ("5", "integer", 5),
        (" +5 ", "integer", 5),
        ("-5", "integer", -5),
        ("5.0", "integer", 5),
        ("5e2", "integer", 500),
        (5.0, "integer", 5),
        (5, "integer", 5),
        ("0.5", "number", 0.5),
        ("5", "number", 5),
        (0.5, "number", 0.5),
        ("true", "boolean", True),
        ("FALSE", "boolean", False),
        (True, "boolean", True),
        (5, "string", "5"),
        (5.0, "string", "5"),
        (True, "string", "true"),
        ("x", "string", "x"),
        ("x", "object", "x"),
        ({"a": 1}, "object", {"a": 1}),
    ],
)
def test_a_value_takes_its_documented_type(value: Any, type_: str, expected: Any) -> None:
    """Texts that say a number or truth unmistakably are that; whole floats are integers."""
    assert convert(value, type_) == expected
    assert type(convert(value, type_)) is type(expected)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("5.5", "integer"),
        (5.5, "integer"),
        ("five", "integer"),
        ("5_0", "integer"),
        ("\u0665", "integer"),
        ("0x5", "integer"),
        ("", "integer"),
        (True, "integer"),
        (None, "integer"),
        ([5], "integer"),
        ("9" * 19, "integer"),
        ("nan", "number"),
        ("inf", "number"),
        ("1e999", "number"),
        ("yes", "boolean"),
        ("1", "boolean"),
        (1, "boolean"),
        (0, "boolean"),
        ([], "string"),
        ({}, "string"),
    ],
)
def test_a_value_that_cannot_be_had(value: Any, type_: str) -> None:
    """What is not unmistakable is absent, not guessed."""
    assert convert(value, type_) is ABSENT


@given(st.one_of(st.text(), st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.none()))
def test_converting_never_raises_and_gives_the_type(value: Any) -> None:
    """Any scalar, any type: the value in that type, or ABSENT."""
    kinds: dict[str, tuple[type, ...]] = {
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
    }
    for type_, classes in kinds.items():
        read = convert(value, type_)
        assert read is ABSENT or isinstance(read, classes)


def reader(schema: dict[str, Any], **others: Any) -> Reader:
    """A reader compiled from a schema that can refer to others."""
    documents = {"s.yaml": {"here": schema, **others}}
    return compile_reader(Place(documents, "s.yaml", "/here", schema))


ORDER = {
    "properties": {
        "seconds": {"enum": [2, "2", ""], "x-mock-documented": {"type": "integer"}, "default": 4},
        "wish": {"type": ["string", "null"]},
        "shots": {"type": "array", "items": {"properties": {"n": {"type": "integer"}, "t": {"default": "x"}}}},
        "more": {"$ref": "#/More"},
    },
    "allOf": [{"properties": {"inherited": {"type": "boolean"}, "wish": {"type": "integer"}}}],
}
MORE = {"properties": {"on": {"type": "boolean", "default": False}}}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({}, {"seconds": 4}),
        ({"seconds": "2"}, {"seconds": 2}),
        ({"seconds": ""}, {"seconds": 4}),
        ({"seconds": None}, {"seconds": 4}),
        ({"seconds": "many"}, {"seconds": 4}),
        ({"wish": 5, "inherited": "true"}, {"seconds": 4, "wish": "5", "inherited": True}),
        ({"wish": "", "shots": []}, {"seconds": 4}),
        ({"shots": [{"n": "1"}, {"t": ""}, 7]}, {"seconds": 4, "shots": [{"n": 1, "t": "x"}, {"t": "x"}, 7]}),
        ({"more": {}}, {"seconds": 4, "more": {"on": False}}),
        ({"more": {"on": "true"}, "extra": None}, {"seconds": 4, "more": {"on": True}, "extra": None}),
    ],
)
def test_a_document_is_read(sent: dict[str, Any], read: dict[str, Any]) -> None:
    """Types by x-mock-documented or type, absent values left out, defaults put in, unknown keys kept as they are."""
    assert reader(ORDER, More=MORE).read(sent) == read


def test_reading_leaves_the_sent_document_alone() -> None:
    """The document as sent is still there for the journal."""
    sent = {"seconds": "2", "shots": [{"n": "1"}]}
    reader(ORDER, More=MORE).read(sent)
    assert sent == {"seconds": "2", "shots": [{"n": "1"}]}


def test_no_list_holds_an_absent_item() -> None:
    """An item that cannot take its type leaves no ABSENT in the list, which no reply could write."""
    read = reader({"items": {"type": "integer"}}).read(["1", "one", 2])
    assert ABSENT not in read


def test_unknown_keys_are_found() -> None:
    """Keys that the schema does not know, in lists and objects too, with what is known there; closed ones never."""
    found = reader(ORDER, More=MORE).unknown({"wihs": 1, "more": {"no": 1}, "shots": [{}, {"m": 1}], "seconds": 2})
    assert dict(found) == {
        ("wihs",): frozenset({"seconds", "wish", "shots", "more", "inherited"}),
        ("more", "no"): frozenset({"on"}),
        ("shots", 1, "m"): frozenset({"n", "t"}),
    }
    assert reader({**ORDER, "additionalProperties": False}, More=MORE).unknown({"wihs": 1}) == []


@pytest.mark.parametrize(
    ("schema", "choices"),
    [
        ({"enum": ["a", "b", "", None, []]}, ("a", "b")),
        ({"enum": ["a", "", None], "x-mock-documented": {"type": "string"}}, ("a",)),
        ({"enum": [1, "1", 2, "2", "", None], "x-mock-documented": {"type": "integer"}}, (1, 2)),
        ({"enum": [True, False, "true", "false"], "x-mock-documented": {"type": "boolean"}}, (True, False)),
        ({"enum": ["a", "b", "c"], "x-mock-documented": {"enum": ["a", "b"], "type": "string"}}, ("a", "b")),
        ({"enum": [1, True]}, (1, True)),
        ({"allOf": [{"enum": ["a", "b"]}]}, ("a", "b")),
        ({"type": "string"}, ()),
    ],
)
def test_the_choices_are_what_the_documents_list_as_it_is_read(
    schema: dict[str, Any], choices: tuple[Any, ...]
) -> None:
    """Each value once, whether it is sent as a text or not; what is as good as absent is none."""
    reader = compile_reader(Place({"s": schema}, "s", "", schema))
    assert [(type(value), value) for value in reader.choices] == [(type(value), value) for value in choices]
