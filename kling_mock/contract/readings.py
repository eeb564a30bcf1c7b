"""Templates read backwards: what a reply says, by the expressions that the documents would have rendered it from.

A reply template states where a task's id, its words, its times and its files stand. Read backwards it finds them in
the reply of any target, without a provider's word in the code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from kling_mock.core.documents import Place, escape
from kling_mock.core.expressions import ABSENT, text

HOLE = re.compile(r"\{\$([^{}]*)\}")
NAME = re.compile(r"[\w.#/-]+")
UNITS = {"ms": 1, "s": 1000}
"""How many ms one of a number is, by the form in which an expression writes an instant."""


class Bound(NamedTuple):
    """A value that stands where the template has an expression, where that is, and the expression as it is written.

    ABSENT is the value where nothing stands.
    """

    pointer: str
    value: Any
    written: str

    @property
    def name(self) -> str:
        """What the expression speaks of."""
        return _name(self.written)

    @property
    def instant(self) -> float | None:
        """The value as an instant in ms, where the expression says in which form it writes one."""
        way = self.written.partition("|")[2].split(" ")[0]
        if way in UNITS and isinstance(self.value, int | float):
            return float(self.value) * UNITS[way]
        if way != "iso" or not isinstance(self.value, str):
            return None
        try:
            return datetime.fromisoformat(self.value).timestamp() * 1000
        except ValueError:
            return None


class Misfit(NamedTuple):
    """A place at which a document is not what the template would have made."""

    pointer: str
    expected: Any
    got: Any


class Reading:
    """What a document says: every place of the template's expressions, and rows by the list they were rendered from.

    `own` counts the characters that are the template's own.
    """

    def __init__(self) -> None:
        self.places: list[Bound] = []
        self.rows: dict[str, list[Reading]] = {}
        self.misfits: list[Misfit] = []
        self.own = 0

    @property
    def bound(self) -> dict[str, Bound]:
        """What is said, by expression ("task.id"); of what is said twice the first place counts."""
        found: dict[str, Bound] = {}
        for place in self.places:
            if place.value is not ABSENT:
                found.setdefault(place.name, place)
        return found

    @property
    def absent(self) -> set[str]:
        """The expressions that the template has at a place where the document says nothing."""
        return {place.name for place in self.places if place.value is ABSENT}

    def value(self, expression: str) -> Any:
        """The value of an expression; ABSENT where the document does not say it."""
        found = self.bound
        return found[expression].value if expression in found else ABSENT

    def each(self) -> Iterator[Reading]:
        """This reading and those of all rows in it."""
        yield self
        for rows in self.rows.values():
            for row in rows:
                yield from row.each()


def read(template: Place, document: Any) -> Reading:
    """Read a document by the template at a place."""
    reading = Reading()
    _read(template.follow(), document, "", reading)
    return reading


def _read(place: Place, value: Any, at: str, into: Reading) -> None:
    node = place.node
    if isinstance(node, dict):
        _object(place, value, at, into)
    elif isinstance(node, list):
        _array(place, value, at, into)
    elif isinstance(node, str) and (holes := HOLE.findall(node)):
        _string(node, holes, value, at, into)
    elif value != node or isinstance(value, bool) != isinstance(node, bool):
        into.misfits.append(Misfit(at, node, value))
    else:
        into.own += len(text(node))


def _object(place: Place, value: Any, at: str, into: Reading) -> None:
    if "$each" in place.node:
        _rows(place, value, at, into)
    elif "$value" in place.node:
        _read(place.get("$value"), value, at, into)
    elif not isinstance(value, dict):
        into.misfits.append(Misfit(at, {}, value))
    else:
        for key, part in place.items():
            if key == "$when":
                continue
            if key in value:
                _read(part, value[key], f"{at}/{escape(key)}", into)
            else:
                _lacking(part, f"{at}/{escape(key)}", into)


def _lacking(place: Place, at: str, into: Reading) -> None:
    """Note what is not there; what the template itself leaves out at times is no misfit."""
    node = place.node
    if isinstance(node, dict):
        if not {"$when", "$each", "$value"} & node.keys():
            for key, part in place.items():
                _lacking(part, f"{at}/{escape(key)}", into)
    elif isinstance(node, str) and (holes := HOLE.findall(node)):
        into.places += [Bound(at, ABSENT, hole) for hole in holes]
    elif not isinstance(node, list):
        into.misfits.append(Misfit(at, node, ABSENT))


def _rows(place: Place, value: Any, at: str, into: Reading) -> None:
    if not isinstance(value, list):
        into.misfits.append(Misfit(at, [], value))
        return
    rows = into.rows.setdefault(_name(HOLE.findall(place.node["$each"])[0]), [])
    for index, item in enumerate(value):
        row = Reading()
        _read(place.get("$as"), item, f"{at}/{index}", row)
        rows.append(row)
        into.misfits += row.misfits


def _array(place: Place, value: Any, at: str, into: Reading) -> None:
    if not isinstance(value, list):
        into.misfits.append(Misfit(at, [], value))
        return
    # A template's items may be left out one by one; what is there is read from the front.
    for index, (part, item) in enumerate(zip(place.each(), value, strict=False)):
        _read(part, item, f"{at}/{index}", into)


def _string(node: str, holes: list[str], value: Any, at: str, into: Reading) -> None:
    if len(holes) == 1 and HOLE.fullmatch(node):
        into.places.append(Bound(at, value, holes[0]))
        return
    match = pattern(node).fullmatch(value) if isinstance(value, str) else None
    if match is None:
        into.misfits.append(Misfit(at, node, value))
    else:
        into.own += own(match)


def _name(expression: str) -> str:
    """The name that an expression begins with: "task.reason ?? ''" speaks of task.reason."""
    match = NAME.match(expression)
    return match[0] if match else expression


def pattern(written: str, hole: Callable[[str], str] = lambda _: ".*") -> re.Pattern[str]:
    """A text with holes as the texts that it can become; `hole` says what may stand in the place of an expression."""
    parts = (f"({hole(part)})" if index % 2 else re.escape(part) for index, part in enumerate(HOLE.split(written)))
    return re.compile("".join(parts), re.DOTALL)


def same(one: Any, other: Any) -> bool:
    """Whether two values are one in JSON: 1 is not true, and no text."""
    return type(one) is type(other) and bool(one == other)


def own(match: re.Match[str]) -> int:
    """How many characters of a text stand in none of the holes."""
    return len(match[0]) - sum(map(len, match.groups()))
