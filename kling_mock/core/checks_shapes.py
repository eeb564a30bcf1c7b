"""Looking into JSON Schemas without validating: what names, items and words they declare, and a plausible instance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from kling_mock.core.documents import Place, escape
from kling_mock.core.expressions import text
from kling_mock.core.reading import is_absent
from kling_mock.core.words import METHODS

SINGLE = (
    *("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then"),
    *("unevaluatedItems", "unevaluatedProperties", "x-mock-documented"),
)
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
TABLES = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
APPLIED = ("allOf", "anyOf", "oneOf")
DEPTH = 12
SAMPLES: Mapping[str, Any] = {"string": "text", "integer": 1, "number": 1, "boolean": True, "null": None}


def raw(place: Place, key: str) -> Place:
    """The place of `key` below this one, its `$ref` not followed."""
    node = place.node.get(key) if isinstance(place.node, Mapping) else None
    return Place(place.documents, place.file, f"{place.at}/{escape(key)}", node)


def rows(place: Place) -> Iterator[Place]:
    """Every item of an array, `$ref`s not followed."""
    for index, node in enumerate(place.node if isinstance(place.node, list) else ()):
        yield Place(place.documents, place.file, f"{place.at}/{index}", node)


def entries(place: Place) -> Iterator[tuple[str, Place]]:
    """Every key of a mapping with its place, `$ref`s not followed."""
    for key in place.node if isinstance(place.node, Mapping) else ():
        yield key, raw(place, key)


def operations(root: Place) -> Iterator[tuple[str, Place, Place]]:
    """Every operation as (path, path item, operation)."""
    for path, item in root.get("paths").items():
        for method in METHODS:
            if isinstance(item.node, Mapping) and method in item.node:
                yield path, item, item.get(method)


def subschemas(place: Place) -> Iterator[Place]:
    """The schemas directly below a schema."""
    for key in SINGLE:
        if isinstance(place.node, Mapping) and isinstance(place.node.get(key), Mapping):
            yield raw(place, key)
    for key in LISTS:
        yield from rows(raw(place, key))
    for key in TABLES:
        for _, below in entries(raw(place, key)):
            yield below


def reached(starts: Iterable[Place]) -> Iterator[Place]:
    """Every schema that is at or below `starts`, through `$ref`s, each once."""
    seen: set[tuple[str, str]] = set()
    waiting = list(starts)
    while waiting:
        place = waiting.pop()
        if (place.file, place.at) in seen or not isinstance(place.node, Mapping):
            continue
        seen.add((place.file, place.at))
        yield place
        if isinstance(place.node.get("$ref"), str):
            waiting.append(place.refer(place.node["$ref"]))
        waiting.extend(subschemas(place))


class Shapes:
    """What schemas declare. `rules` are the places of rules' own schemas: what these name is not declared thereby."""

    def __init__(self, rules: Collection[tuple[str, str]]) -> None:
        self.rules = rules

    def parts(self, places: Iterable[Place]) -> list[Place]:
        """The schemas and all that apply at the same spot, by `$ref`, `allOf` and the alternatives."""
        found: dict[tuple[str, str], Place] = {}
        waiting = list(places)
        while waiting:
            place = waiting.pop(0)
            key = (place.file, place.at)
            if key in found or key in self.rules or not isinstance(place.node, Mapping):
                continue
            found[key] = place
            if isinstance(place.node.get("$ref"), str):
                waiting.append(place.refer(place.node["$ref"]))
            waiting.extend(part for word in APPLIED for part in rows(raw(place, word)))
        return list(found.values())

    def members(self, places: Iterable[Place]) -> dict[str, list[Place]]:
        """The declared properties, each with its schemas."""
        found: dict[str, list[Place]] = {}
        for part in self.parts(places):
            for name, below in entries(raw(part, "properties")):
                found.setdefault(name, []).append(below)
        return found

    def items(self, places: Iterable[Place]) -> list[Place]:
        """The schemas of an array's items."""
        return [raw(part, "items") for part in self.parts(places) if "items" in part.node]

    def open(self, places: Iterable[Place]) -> bool:
        """Whether keys without a declaration are spoken of too."""
        return any(word in part.node for part in self.parts(places) for word in ("patternProperties", "not"))

    def step(self, places: list[Place], name: str) -> list[Place] | None:
        """The schemas of one name, "*" being every item; [] where nothing is declared, None where it cannot be."""
        members, items = self.members(places), self.items(places)
        if name == "*" or name.isdigit():
            return items if items else members.get(name) if members else []
        if name in members:
            return members[name]
        return None if (members or items) and not self.open(places) else []

    def lost(self, places: list[Place], path: Iterable[str]) -> tuple[str, Collection[str]] | None:
        """The first token of a pointer that the schemas do not have, and those that they have there."""
        here = places
        for token in path:
            below = self.step(here, token)
            if below is None:
                return token, self.members(here) or ["*"]
            if not below:
                return None
            here = below
        return None

    def values(self, places: list[Place], path: Iterable[str]) -> set[str] | None:
        """The words that an enum allows at a pointer, as texts; None if any value may stand there."""
        here = places
        for token in path:
            here = self.step(here, token) or []
        lists = [
            part.node.get("enum", [part.node.get("const")])
            for part in self.parts(here)
            if "enum" in part.node or "const" in part.node
        ]
        return {text(value) for values in lists for value in values} if lists else None

    def sample(self, places: list[Place], full: bool, depth: int = 0) -> Any:
        """A plausible instance: with every declared property, or only with those that are required."""
        parts = self.parts(places)
        for part in parts:
            if "default" in part.node or "const" in part.node:
                return part.node.get("default", part.node.get("const"))
            if words := [word for word in part.node.get("enum", ()) if not is_absent(word)]:
                return words[0]
        members = self.members(places)
        if members and depth < DEPTH:
            needed = [name for part in parts for name in part.node.get("required", ())]
            return {
                name: self.sample(below, full, depth + 1) for name, below in members.items() if full or name in needed
            }
        return self._plain(parts, places, full, depth)

    def _plain(self, parts: list[Place], places: list[Place], full: bool, depth: int) -> Any:
        """An instance by type alone."""
        named = next((type_ for part in parts if (type_ := _type(part))), "string")
        type_ = next((name for name in named if name != "null"), "null") if isinstance(named, list) else named
        if type_ == "array":
            items = self.items(places)
            return [self.sample(items, full, depth + 1)] if items and depth < DEPTH else []
        if type_ == "object":
            return {}
        least = next((part.node["minimum"] for part in parts if "minimum" in part.node), None)
        return least if least is not None and type_ in ("integer", "number") else SAMPLES.get(type_, "text")


def _type(part: Place) -> Any:
    """The type of a schema, else the documented one."""
    documented = part.node.get("x-mock-documented")
    return part.node.get("type") or (documented.get("type") if isinstance(documented, Mapping) else None)
