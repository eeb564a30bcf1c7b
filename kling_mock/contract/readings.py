"""Templates read backwards: what a reply says, by the expressions that the documents would have rendered it from.

A reply template states where a task's id, its words, its times and its files stand. Read backwards it finds them in
the reply of any target, without a provider's word in the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from kling_mock.core.documents import Place, escape
from kling_mock.core.expressions import ABSENT

HOLE = re.compile(r"\{\$([^{}]*)\}")
NAME = re.compile(r"[\w.#/-]+")
UNITS = {"ms": 1, "s": 1000}
"""How many ms one of a number is, by the form in which an expression writes an instant."""


class Bound(NamedTuple):
    """A value that stands where the template has an expression, where that is, and the expression as it is written."""

    pointer: str
    value: Any
    written: str

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
    """What a document says: `bound` by expression ("task.id"), `rows` by the list that they were rendered from.

    `absent` are the expressions that the template has and the document does not say.
    """

    def __init__(self) -> None:
        self.bound: dict[str, Bound] = {}
        self.absent: set[str] = set()
        self.rows: dict[str, list[Reading]] = {}
        self.misfits: list[Misfit] = []

    def value(self, expression: str) -> Any:
        """The value of an expression; ABSENT where the document does not say it."""
        return self.bound[expression].value if expression in self.bound else ABSENT

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
        _text(node, holes, value, at, into)
    elif value != node or isinstance(value, bool) != isinstance(node, bool):
        into.misfits.append(Misfit(at, node, value))


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
        into.absent.update(_name(hole) for hole in holes)
    elif not isinstance(node, list):
        into.misfits.append(Misfit(at, node, ABSENT))


def _rows(place: Place, value: Any, at: str, into: Reading) -> None:
    if not isinstance(value, list):
        into.misfits.append(Misfit(at, [], value))
        return
    name = _name(HOLE.findall(place.node["$each"])[0])
    rows = into.rows.setdefault(name, [])
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


def _text(node: str, holes: list[str], value: Any, at: str, into: Reading) -> None:
    if len(holes) == 1 and HOLE.fullmatch(node):
        # The first to be seen counts: a row of another list may say the same of another thing.
        into.bound.setdefault(_name(holes[0]), Bound(at, value, holes[0]))
        return
    pattern = "".join("(.*)" if index % 2 else re.escape(part) for index, part in enumerate(HOLE.split(node)))
    match = re.fullmatch(pattern, value, re.DOTALL) if isinstance(value, str) else None
    if match is None:
        into.misfits.append(Misfit(at, node, value))


def _name(expression: str) -> str:
    """The name that an expression begins with: "task.reason ?? ''" speaks of task.reason."""
    match = NAME.match(expression)
    return match[0] if match else expression


def fits(template: Place, document: Any, values: Mapping[str, Any]) -> bool:
    """Whether a document is what a template renders with these values; what is not among them may be anything."""
    reading = read(template, document)
    told = {name: bound.value for name, bound in reading.bound.items()}
    missing = reading.absent & values.keys()
    same = all(told[name] == value for name, value in values.items() if name in told)
    return same and not missing and not reading.misfits and bool(reading.bound)
