"""The words of violations: what a keyword asks for, and a value as it may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kling_mock.core.expressions import ABSENT, text
from kling_mock.core.reading import convert, is_absent
from kling_mock.core.redaction import redacted

SHOWN = 120

MESSAGES: Mapping[str, str] = {
    "enum": "should be one of {limit}; is {shown}",
    "const": "should be {limit}; is {shown}",
    "type": "should be of type {limit}; is {type}",
    "required": "is required",
    "maxLength": "should have at most {limit} characters; has {size}",
    "minLength": "should have at least {limit} characters; has {size}",
    "maximum": "should be at most {limit}; is {shown}",
    "minimum": "should be at least {limit}; is {shown}",
    "exclusiveMaximum": "should be less than {limit}; is {shown}",
    "exclusiveMinimum": "should be more than {limit}; is {shown}",
    "maxItems": "should have at most {limit} items; has {size}",
    "minItems": "should have at least {limit} items; has {size}",
    "pattern": "should match {limit}; is {shown}",
    "unknown": "is no known key here and is ignored",
}


NUMBERS: Mapping[str, str] = {"integer": "a whole number", "number": "a number"}


def show(value: Any) -> str:
    """A value as it may stand in a message: short, and never the text of a file or a key."""
    if isinstance(value, dict | list):
        return f"<{json_type(value)} of {len(value)}>"
    written = redacted(text(value))
    if isinstance(value, str) and len(written) > 64 and " " not in written[:64]:
        return f"<{len(written)} characters>"
    return written if len(written) <= SHOWN else f"{written[:SHOWN]}... <{len(written)} characters>"


def json_type(value: Any) -> str:
    """The JSON name of a value's type."""
    names: list[tuple[type, str]] = [
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
        (dict, "object"),
    ]
    return next((name for type_, name in names if isinstance(value, type_)), "null")


def meant(schema: Any, value: Any) -> str:
    """What a pattern is there for: the number that a text must say by the types beside it, else its x-mock-pattern.

    "" where the pattern has to speak for itself.
    """
    parts = (schema, schema.get("then"), schema.get("x-mock-documented")) if isinstance(schema, dict) else ()
    names = [_listed(part.get("type")) for part in parts if isinstance(part, dict)]
    kind = next((kind for row in names for kind in NUMBERS if kind in row), None)  # what is accepted goes first
    if kind and convert(value, kind) is ABSENT:
        return NUMBERS[kind]
    return str(schema.get("x-mock-pattern", "")) if isinstance(schema, dict) else ""


def _listed(names: Any) -> list[Any]:
    return names if isinstance(names, list) else [names]


def told(keyword: str, limit: Any, value: Any, meant: str) -> str:
    """What a keyword asks for, with what it got; `meant` says what a pattern is there for."""
    if meant:
        return f"should be {meant}; is {show(value)}"
    shown = ", ".join(_choices(limit)) if isinstance(limit, list) else text(limit)
    size = len(value) if isinstance(value, str | list | dict) else 0
    form = MESSAGES.get(keyword, f"does not satisfy {keyword}")
    return form.format(limit=shown[:200], shown=show(value), size=size, type=json_type(value))


def _choices(limit: list[Any]) -> list[str]:
    """The choices worth naming: each once, without those that mean "not given"."""
    return list(dict.fromkeys(text(choice) for choice in limit if not is_absent(choice)))
