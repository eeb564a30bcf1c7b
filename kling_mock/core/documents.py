"""Parsed documents, and the two ways to follow a `$ref` through them.

A provider is a set of documents named by path ("kling/openapi.yaml"). Schemas keep their `$ref`s and are resolved by
the validator, from a registry; everything else is resolved here, once, while a provider is compiled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote

from kling_mock.core.problems import Problem, SpecError, closest

Documents = Mapping[str, Any]


def escape(token: str | int) -> str:
    """Write one reference token of a JSON pointer (RFC 6901)."""
    return str(token).replace("~", "~0").replace("/", "~1")


def pointer(tokens: Iterable[str | int]) -> str:
    """Join reference tokens to a JSON pointer: `["a", 0]` gives "/a/0"; nothing gives ""."""
    return "".join("/" + escape(token) for token in tokens)


def tokens(path: str) -> list[str]:
    """Split a JSON pointer into its reference tokens."""
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


@dataclass(frozen=True, slots=True)
class Place:
    """A node of a document together with where it stands, so that every message can say where."""

    documents: Documents
    file: str
    at: str
    node: Any

    def problem(self, message: str) -> Problem:
        """One problem at this place."""
        return Problem(self.file, self.at, message)

    def error(self, message: str) -> SpecError:
        """A `SpecError` with the one problem `message` at this place."""
        return SpecError([self.problem(message)])

    def get(self, key: str, default: Any = None) -> Place:
        """The place of `key` below this one, `$ref`s followed; its node is `default` where there is none."""
        node = self.node.get(key, default) if isinstance(self.node, dict) else default
        return Place(self.documents, self.file, f"{self.at}/{escape(key)}", node).follow()

    def item(self, index: int) -> Place:
        """The place of one array item, `$ref`s followed."""
        return Place(self.documents, self.file, f"{self.at}/{index}", self.node[index]).follow()

    def items(self) -> Iterator[tuple[str, Place]]:
        """Every key of a mapping with its place; nothing for any other node."""
        if isinstance(self.node, dict):
            for key in self.node:
                yield key, self.get(key)

    def each(self) -> Iterator[Place]:
        """Every item of an array with its place; nothing for any other node."""
        if isinstance(self.node, list):
            for index in range(len(self.node)):
                yield self.item(index)

    def follow(self) -> Place:
        """The place a `$ref` points to (through chains of them), or this place. Raises `SpecError` for a dead one."""
        seen: set[tuple[str, str]] = set()
        place = self
        while isinstance(place.node, dict) and isinstance(place.node.get("$ref"), str):
            if (place.file, place.at) in seen:
                raise place.error("$ref goes round in a circle")
            seen.add((place.file, place.at))
            place = place.refer(place.node["$ref"])
        return place

    def refer(self, reference: str) -> Place:
        """The place that a relative reference "file.yaml#/pointer" names, seen from this document."""
        name, _, fragment = reference.partition("#")
        file = normpath(join(dirname(self.file), name)) if name else self.file
        if file not in self.documents:
            raise self.error(f"$ref names {file!r}, which is not a document here{closest(file, self.documents)}")
        node = self.documents[file]
        for token in tokens(unquote(fragment)):
            node = self._child(node, token, reference)
        return Place(self.documents, file, unquote(fragment), node)

    def _child(self, node: Any, token: str, reference: str) -> Any:
        if isinstance(node, dict) and token in node:
            return node[token]
        if isinstance(node, list) and token.isdigit() and int(token) < len(node):
            return node[int(token)]
        known = map(str, node) if isinstance(node, dict) else ()
        raise self.error(f"$ref {reference!r} has no {token!r}{closest(token, known)}")

    def expand(self, above: frozenset[tuple[str, str]] = frozenset()) -> Any:
        """The plain node with every `$ref` below it replaced by what it names (for words that are not schemas).

        Raises `SpecError` for one that leads back to what it stands in.
        """
        if (self.file, self.at) in above:
            raise self.error("$ref leads back to what it stands in")
        here = above | {(self.file, self.at)}
        if isinstance(self.node, dict):
            return {key: place.expand(here) for key, place in self.items()}
        if isinstance(self.node, list):
            return [place.expand(here) for place in self.each()]
        return self.node
