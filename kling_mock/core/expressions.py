"""OpenAPI runtime expressions, compiled once to closures.

`{$request.body#/image}`, `{$task.id}`, `{$state.word ?? ''}`, `{$task.created|parts +08:00}`. A string that is exactly
one expression keeps the type of its value; inside a longer string values are written as text. What is not there is
`ABSENT`, never an error: a template drops it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from kling_mock.core.documents import tokens


class Absent:
    """The type of `ABSENT`: a value that is not there, as different from null."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()

Scope = Mapping[str, Any]
Expression = Callable[[Scope], Any]

ROOTS = frozenset(
    {
        "request",
        "task",
        "state",
        "parameters",
        "item",
        "error",
        "violation",
        "page",
        "account",
        "packs",
        "now",
        "variant",
    }
)
SINGLE = re.compile(r"\{(\$[^{}]*)\}")
NAME = re.compile(r"\$([a-z]+)((?:\.[A-Za-z0-9_-]+)*)(?:#(/.*)?)?$")


class ExpressionError(ValueError):
    """An expression that cannot be read; the message says what and why."""


def text(value: Any) -> str:
    """Write a value as it stands inside a longer string: numbers without a needless fraction, booleans as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Decimal):
        plain = format(value, "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    return str(value)


def _zone(argument: str) -> timezone:
    if not argument:
        return UTC
    match = re.fullmatch(r"([+-])([0-9]{2}):([0-9]{2})", argument)
    if not match:
        raise ExpressionError(f"{argument!r} is no offset such as +08:00")
    sign, hours, minutes = match.groups()
    if int(hours) > 23 or int(minutes) > 59:
        raise ExpressionError(f"{argument!r} is no offset such as +08:00")
    return timezone(timedelta(minutes=int(sign + "1") * (int(hours) * 60 + int(minutes))))


def _moment(value: Any, zone: timezone) -> datetime:
    """An instant in ms as a date; past the calendar's end the last one there is."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        return (epoch + timedelta(milliseconds=value)).astimezone(zone)
    except OverflowError:
        return datetime.max.replace(tzinfo=zone)


def _iso(value: Any, argument: str) -> str:
    return _moment(value, _zone(argument)).isoformat(timespec="milliseconds")


def _parts(value: Any, argument: str) -> list[int]:
    at = _moment(value, _zone(argument))
    return [at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond * 1000]


def _seconds(value: Any, argument: str) -> int | float:
    whole, rest = divmod(value, 1000)
    return int(whole) if not rest else value / 1000


FILTERS: Mapping[str, Callable[[Any, str], Any]] = {
    "ms": lambda value, _: int(value),
    "s": _seconds,
    "iso": _iso,
    "parts": _parts,
    "text": lambda value, _: text(value),
    "number": lambda value, _: float(value) if value % 1 else int(value),
    "size": lambda value, _: len(value),
}


def _named(argument: str) -> Callable[[Any, Scope], int]:
    """How many items of a list a text names by a mark, in it N for the item's number: "[N] in $request.body#/x"."""
    mark, within, source = argument.partition(" in ")
    before, number, after = mark.partition("N")
    if not within or not number:
        raise ExpressionError(f"{argument!r} is no mark with an N, then 'in' and where the text is")
    marks = re.compile(f"{re.escape(before)}([1-9][0-9]{{0,8}}){re.escape(after)}")
    read = _reference(source)

    def count(value: Any, scope: Scope) -> int:
        if not isinstance(value, list):
            raise TypeError("no list")
        told, items = read(scope), len(value)
        texts = (text for text in (told if isinstance(told, list) else [told]) if isinstance(text, str))
        return len({number for text in texts for number in map(int, marks.findall(text)) if number <= items})

    return count


def _lookup(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(name, ABSENT)
    found = getattr(value, name, None)
    return ABSENT if found is None else found


def point(value: Any, path: list[str]) -> Any:
    """Follow reference tokens into a document; "*" collects from every item of an array (absent ones left out)."""
    for index, step in enumerate(path):
        if step == "*":
            if not isinstance(value, list):
                return ABSENT
            inner = [point(item, path[index + 1 :]) for item in value]
            return [item for item in inner if item is not ABSENT]
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return ABSENT
    return value


def _reference(source: str) -> Expression:
    match = NAME.match(source)
    if not match or match[1] not in ROOTS:
        raise ExpressionError(f"{source!r} does not start with one of ${', $'.join(sorted(ROOTS))}")
    root, names, path = match[1], match[2].split(".")[1:], tokens(match[3] or "")
    if root == "request" and names[:1] == ["header"]:
        names = [name.lower() for name in names]

    if len(names) == len(path) == 1 and path != ["*"]:
        return _member(root, names[0], path[0])

    def read(scope: Scope) -> Any:
        value = scope.get(root, ABSENT)
        for name in names:
            value = _lookup(value, name)
        return point(value, path) if path else value

    return read


def _member(root: str, name: str, key: str) -> Expression:
    """What most expressions are, a field of the request's body, without loops."""

    def read(scope: Scope) -> Any:
        value = _lookup(scope.get(root, ABSENT), name)
        return value.get(key, ABSENT) if isinstance(value, dict) else point(value, [key])

    return read


def _filtered(source: str) -> Expression:
    head, *filters = [part.strip() for part in source.split("|")]
    read = _reference(head)
    steps = [_step(*part.partition(" ")[::2]) for part in filters]

    def evaluate(scope: Scope) -> Any:
        value = read(scope)
        for step in steps:
            if value is ABSENT or value is None:
                return ABSENT
            try:
                value = step(value, scope)
            except (TypeError, ValueError):
                return ABSENT  # a value of a type that the schema has refused already
        return value

    return evaluate if steps else read


def _step(name: str, argument: str) -> Callable[[Any, Scope], Any]:
    """One filter, compiled."""
    if name == "named":
        return _named(argument)
    if name not in FILTERS:
        raise ExpressionError(f"unknown filter {name!r}; known are {', '.join(FILTERS)}, named")
    if name in ("iso", "parts"):
        _zone(argument)
    filter_ = FILTERS[name]
    return lambda value, scope: filter_(value, argument)


def _alternative(source: str) -> Expression:
    if source.startswith("$"):
        return _filtered(source)
    try:
        quoted = len(source) > 1 and source[0] == source[-1] == "'"
        literal = source[1:-1] if quoted else json.loads(source)
    except ValueError:
        raise ExpressionError(f"{source!r} is neither an expression nor a JSON literal") from None
    return lambda scope: literal


def _choice(source: str) -> Expression:
    first, *others = [_alternative(part.strip()) for part in source.split("??")]
    if not others:
        return first

    def evaluate(scope: Scope) -> Any:
        value = first(scope)
        for other in others:
            if value is not ABSENT and value is not None:
                return value
            value = other(scope)
        return value

    return evaluate


def compile_text(source: str) -> Expression | str:
    """Compile a string: itself when it holds no expression, else a closure. Raises `ExpressionError`."""
    parts = SINGLE.split(source)
    if any("{$" in part for part in parts[::2]):
        raise ExpressionError(f"unclosed expression in {source!r}")
    if len(parts) == 1:
        return source
    if len(parts) == 3 and not parts[0] and not parts[2]:
        return _choice(parts[1])
    pieces = [_choice(part) if index % 2 else part for index, part in enumerate(parts)]

    def evaluate(scope: Scope) -> str:
        values = [piece if isinstance(piece, str) else piece(scope) for piece in pieces]
        return "".join("" if value is ABSENT else text(value) for value in values)

    return evaluate


def compile_expression(source: Any) -> Expression:
    """Compile any JSON value to a closure: strings by `compile_text`, lists item by item (flattened), others as is."""
    if isinstance(source, list):
        parts = [compile_expression(item) for item in source]

        def collect(scope: Scope) -> list[Any]:
            values = [part(scope) for part in parts]
            flat = [v for value in values for v in (value if isinstance(value, list) else [value])]
            return [value for value in flat if value is not ABSENT and value is not None]

        return collect
    compiled = compile_text(source) if isinstance(source, str) else source
    return compiled if callable(compiled) else lambda scope: compiled
