"""Parts of a document that stand at several places (YAML aliases): their problems are told once, at the first place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kling_mock.core.documents import Documents, pointer, tokens
from kling_mock.core.problems import Problem

INDEX = re.compile(r"/[0-9]+(?=/|$)")


def _children(node: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(node, Mapping):
        yield from node.items()
    elif isinstance(node, list):
        yield from enumerate(node)


class Anchors:
    """The first place of every object and array of some documents."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self._first: dict[str, dict[int, str]] = {}

    def first(self, problem: Problem) -> Problem:
        """The problem at the first place of what it is about."""
        places = self._places(problem.file)
        at, node = "", self.documents.get(problem.file)
        for token in tokens(problem.pointer):
            known = isinstance(node, Mapping) or (isinstance(node, list) and token.isdigit())
            node = dict(map(_text, _children(node))).get(token) if known else None
            at = places.get(id(node), at + pointer([token]))
        return Problem(problem.file, at, problem.message)

    def _places(self, file: str) -> dict[int, str]:
        if file not in self._first:
            self._first[file] = found = {}
            waiting = [("", self.documents.get(file))]
            while waiting:
                at, node = waiting.pop(0)
                if isinstance(node, Mapping | list) and id(node) not in found:
                    found[id(node)] = at
                    waiting[:0] = [(at + pointer([key]), value) for key, value in _children(node)]
        return self._first[file]


def _text(row: tuple[str | int, Any]) -> tuple[str, Any]:
    return str(row[0]), row[1]


def starred(at: str) -> str:
    """A pointer with a star for every index: what is wrong with all items is one problem."""
    return INDEX.sub("/*", at)
