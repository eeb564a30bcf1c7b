"""Conditions over the read document, of rules and features: they may only ask for parts that some request has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kling_mock.core.checks_shapes import DEPTH, Shapes, entries, raw, rows
from kling_mock.core.checks_tables import features, requests
from kling_mock.core.documents import Place
from kling_mock.core.problems import Problem, closest


def check_conditions(root: Place, shapes: Shapes) -> Iterator[Problem]:
    """What features and rules over the read document ask for must be in a request of their kinds."""
    for _, row in (*root.get("x-mock-rules").items(), *features(root)):
        schemas = requests(root, set(row.node.get("kinds", ())))
        for word in ("schema", "asked") if "kinds" in row.node else ():
            for path, place in _asked(raw(row, word), ()):
                found = [lost for schema in schemas if (lost := shapes.lost([schema], path))]
                if found and len(found) == len(schemas):
                    names = {name for _, some in found for name in some}
                    yield place.problem(f"no request has {found[0][0]!r} here{closest(found[0][0], names)}")


def _asked(place: Place, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Place]]:
    """The parts of a document that a schema speaks of, with the places where it does."""
    if not isinstance(place.node, Mapping) or len(path) > DEPTH:
        return
    place = place.follow()
    for row in rows(raw(place, "required")):
        yield (*path, str(row.node)), row
    for name, below in entries(raw(place, "properties")):
        yield (*path, name), below
        yield from _asked(below, (*path, name))
    for word in ("items", "contains"):
        yield from _asked(raw(place, word), (*path, "*"))
    for word in ("not", "if", "then", "else"):
        yield from _asked(raw(place, word), path)
    for word in ("allOf", "anyOf", "oneOf"):
        for part in rows(raw(place, word)):
            yield from _asked(part, path)
