"""Where a value stands in a JSON text: a pointer's line and column, for what marks files.

The standard library's own decoder reads what lies between, so there is no second opinion of what JSON is. Only texts
that it has read already are asked about.
"""

from __future__ import annotations

from json import JSONDecoder
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined]
from typing import NamedTuple

from kling_mock.core.documents import tokens

_DECODER = JSONDecoder()


class Position(NamedTuple):
    """A place in a text, both from 1; a line ends at its line feed."""

    line: int
    column: int


def position(content: bytes, pointer: str) -> Position:
    """Where the value stands that a pointer names; of what is not there, the innermost object or list that lacks it."""
    text = content.decode("utf-8-sig")
    at = _skipped(text, 0)
    for token in tokens(pointer):
        below = _member(text, at, token) if text[at] == "{" else _item(text, at, token) if text[at] == "[" else None
        if below is None:
            break
        at = below
    return Position(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))


def _member(text: str, at: int, name: str) -> int | None:
    """Where the value of a key begins in the object that begins here."""
    at = _skipped(text, at + 1)
    while text[at] == '"':
        key, at = scanstring(text, at + 1)
        value = _skipped(text, _skipped(text, at) + 1)  # past the colon
        if key == name:
            return value
        at = _skipped(text, _skipped(text, _DECODER.raw_decode(text, value)[1]) + 1)  # past the comma, or out
        if at >= len(text):
            break
    return None


def _item(text: str, at: int, index: str) -> int | None:
    """Where an item begins in the list that begins here."""
    at = _skipped(text, at + 1)
    for _ in range(int(index) if index.isdecimal() else 0):
        if text[at] == "]":
            return None
        at = _skipped(text, _DECODER.raw_decode(text, at)[1])
        if text[at] == "]":
            return None
        at = _skipped(text, at + 1)
    return at if index.isdecimal() and text[at] != "]" else None


def _skipped(text: str, at: int) -> int:
    """The first place from here on that is no white space."""
    found = WHITESPACE.match(text, at)
    return int(found.end())
