"""Expressions: what a string with {$...} in it becomes, and what is refused before it can become anything."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_mock.core.expressions import ABSENT, ExpressionError, compile_expression, compile_text, point, text

NOON = 1_767_268_800_250  # 2026-01-01T12:00:00.250Z
SCOPE: Mapping[str, Any] = {
    "task": {"id": "t1", "created": NOON, "whole": 5000, "price": Decimal("1.50"), "none": None, "yes": True},
    "state": {"word": 7, "list": [1, 2]},
    "request": {
        "header": {"x-ticket": "42"},
        "body": {
            "a/b": {"~": 1},
            "shots": [{"prompt": "one"}, {}, {"prompt": "two"}],
            "told": "shot0 shot1, shot3; shot4 and shot3",
            "null": None,
            "empty": "",
        },
    },
}


def value(source: str) -> Any:
    """The value of a string that holds an expression."""
    compiled = compile_text(source)
    assert callable(compiled)
    return compiled(SCOPE)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{$task.id}", "t1"),
        ("{$state.word}", 7),
        ("{$task.yes}", True),
        ("{$task.none}", None),
        ("{$state.list}", [1, 2]),
        ("{$task.price}", Decimal("1.50")),
        ("{$state}", SCOPE["state"]),
    ],
)
def test_a_single_expression_keeps_its_type(source: str, expected: object) -> None:
    """A string that is exactly one expression is its value: number, truth, null, list or object."""
    assert value(source) == expected
    assert type(value(source)) is type(expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("is {$state.word}!", "is 7!"),
        ("{$task.id}{$state.word}", "t17"),
        ("{$task.yes} {$task.none} {$state.list}", "true null [1,2]"),
        ("costs {$task.price}", "costs 1.5"),
        ("[{$task.nothing}]", "[]"),
    ],
)
def test_inside_a_longer_string_values_are_text(source: str, expected: str) -> None:
    """Values within text are written as JSON would say them; an absent one leaves nothing."""
    assert value(source) == expected


@pytest.mark.parametrize("source", ["", "plain", "{curly}", "{ $task.id }", "a } b { c", "$task.id"])
def test_text_without_an_expression_stays(source: str) -> None:
    """Braces and dollars that are no expression are no mistake either."""
    assert compile_text(source) == source


@pytest.mark.parametrize(
    "source",
    [
        "{$task.nothing}",
        "{$task.id.deeper}",
        "{$now}",
        "{$request.body#/nothing}",
        "{$request.body#/shots/9}",
        "{$request.body#/shots/one}",
        "{$request.body#/a~1b/*}",
        "{$task.nothing|iso}",
        "{$task.none|s}",
        "{$task.id|named N in $task.id}",
    ],
)
def test_what_is_not_there_is_absent(source: str) -> None:
    """Missing names, pointers and roots are ABSENT, never an error; filters pass it on."""
    assert value(source) is ABSENT


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{$request.body#/a~1b/~0}", 1),
        ("{$request.body#/shots/0/prompt}", "one"),
        ("{$request.body#/shots/*/prompt}", ["one", "two"]),
        ("{$request.body#/null}", None),
        ("{$request.header.X-Ticket}", "42"),
        ("{$request.header.x-TICKET}", "42"),
    ],
)
def test_a_pointer_leads_into_the_body(source: str, expected: object) -> None:
    """Pointers unescape ~0 and ~1, * collects from every item that has it; header names have no case."""
    assert value(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{$task.nothing ?? 'other'}", "other"),
        ("{$task.none ?? ''}", ""),
        ("{$task.nothing ?? 5}", 5),
        ("{$task.nothing ?? false}", False),
        ("{$task.nothing ?? null}", None),
        ("{$task.nothing ?? $task.none ?? $task.id ?? 'never'}", "t1"),
        ("{$request.body#/empty ?? 'other'}", ""),
        ("{$task.nothing|iso ?? 'undated'}", "undated"),
    ],
)
def test_an_alternative_stands_in(source: str, expected: object) -> None:
    """`??` gives the first that is neither absent nor null; "" is a value; literals are JSON or quoted text."""
    assert value(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{$task.created|ms}", NOON),
        ("{$task.created|s}", 1_767_268_800.25),
        ("{$task.whole|s}", 5),
        ("{$task.created|iso}", "2026-01-01T12:00:00.250+00:00"),
        ("{$task.created|iso +08:00}", "2026-01-01T20:00:00.250+08:00"),
        ("{$task.created|iso -05:30}", "2026-01-01T06:30:00.250-05:30"),
        ("{$task.created|parts +08:00}", [2026, 1, 1, 20, 0, 0, 250_000_000]),
        ("{$task.price|text}", "1.5"),
        ("{$task.price|number}", 1.5),
        ("{$state.list|size}", 2),
        ("{$request.body#/shots|named shotN in $request.body#/told}", 2),
        ("{$request.body#/shots|named *N* in $request.body#/told}", 0),
        ("{$request.body#/shots|named oN in $request.body#/shots/*/prompt}", 0),
        ("{$request.body#/shots|named shotN in $request.body#/nothing}", 0),
        ("{$task.whole|s|text}", "5"),
        ("{$task.created | s | text}", "1767268800.25"),
    ],
)
def test_a_filter_rewrites_the_value(source: str, expected: object) -> None:
    """Each filter, with its argument and in a row; seconds are whole when they can be."""
    assert value(source) == expected
    assert type(value(source)) is type(expected)


@given(st.integers(min_value=0, max_value=10**18))
def test_a_date_is_written_for_every_instant(ms: int) -> None:
    """No instant is too late to be written: past the calendar's end it is the calendar's last."""
    compiled = compile_text("{$task.at|iso +08:00}")
    assert callable(compiled)
    assert compiled({"task": {"at": ms}})[:4] >= "1970"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{$taks.id}", "'$taks.id' does not start with one of $account, "),
        ("{$}", "'$' does not start with one of"),
        ("{$task..id}", "'$task..id' does not start with one of"),
        ("{$task.id ?? {$x}}", "unclosed expression in '{$task.id ?? {$x}}'"),
        ("{$task.id|isoo}", "unknown filter 'isoo'; known are ms, s, iso"),
        ("{$task.id|named shotN}", "'shotN' is no mark with an N, then 'in' and where the text is"),
        ("{$task.id|named shot in $task.id}", "'shot in $task.id' is no mark with an N"),
        ("{$task.id|named N in task}", "'task' does not start with one of"),
        ("{$task.id|iso CET}", "'CET' is no offset such as +08:00"),
        ("{$task.id|parts +99:00}", "'+99:00' is no offset such as +08:00"),
        ("{$task.id ?? other}", "'other' is neither an expression nor a JSON literal"),
        ("{$task.id ?? '}", "is neither an expression nor a JSON literal"),
        ("{$task.id", "unclosed expression in '{$task.id'"),
        ("{$task.id} and {$task.id", "unclosed expression in '{$task.id} and {$task.id'"),
    ],
)
def test_what_cannot_be_read_is_refused(source: str, message: str) -> None:
    """A mistake in an expression is said when it is compiled, not when a reply lacks a key."""
    with pytest.raises(ExpressionError) as error:
        compile_text(source)
    assert message in str(error.value)


def test_a_list_is_flattened() -> None:
    """A list of expressions is the values that are there, lists among them item by item."""
    source = ["{$task.id}", "{$request.body#/shots/*/prompt}", "{$task.nothing}", "{$task.none}", 3]
    assert compile_expression(source)(SCOPE) == ["t1", "one", "two", 3]


@pytest.mark.parametrize("constant", [5, 1.5, True, None, {"a": 1}, "text"])
def test_a_constant_is_itself(constant: object) -> None:
    """What holds no expression is the same in every scope."""
    assert compile_expression(constant)({}) == constant


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (Decimal("100"), "100"),
        (Decimal("0.50"), "0.5"),
        (Decimal("1E+3"), "1000"),
        (5.0, "5"),
        (0.1, "0.1"),
        (True, "true"),
        (None, "null"),
        ({"é": [1]}, '{"é":[1]}'),
    ],
)
def test_text_writes_numbers_plainly(written: object, expected: str) -> None:
    """No needless fraction, no exponent, no lost zero."""
    assert text(written) == expected


def test_a_star_on_what_is_no_list_is_absent() -> None:
    """* looks into arrays only."""
    assert point({"a": {"b": 1}}, ["a", "*", "b"]) is ABSENT
