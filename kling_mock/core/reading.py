"""From bytes to a document, and from a document as sent to a document as read.

Strict JSON first: no NaN or infinity, no duplicate keys, no lone surrogates, bounded depth. Later, once the schema has
judged the document as sent, reading gives every value its documented type, leaves out what counts as absent ("", null,
[]), and fills in defaults; rules, prices and replies see only the read document.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import force_setattr

from kling_mock.core.documents import Place, pointer
from kling_mock.core.expressions import ABSENT, text

DEPTH = 64
CONTAINERS = (dict, list)
BOUND = 10**64
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
NUMBER = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,2})?")


class NotJson(ValueError):
    """The bytes are no JSON document that is accepted; the message says why and where.

    `position` is the line and the column, both from 1, where they are known.
    """

    def __init__(self, message: str, position: tuple[int, int] | None = None) -> None:
        self.position = position
        super().__init__(message)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise NotJson(f"the key {twice[:60]!r} is there twice")
    return found


def _constant(name: str) -> Any:
    raise NotJson(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise NotJson("a number is too large")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 64:
        raise NotJson("a number is too long")
    return int(digits)


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_finite, parse_int=_integer)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH):
        level = [inner for item in level for inner in _containers(item)]
        if not level:
            return
    raise NotJson(f"nested deeper than {DEPTH} levels")


def _containers(value: Any) -> list[Any]:
    """The objects and arrays directly in an object or array."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [item for item in items if isinstance(item, dict | list | tuple)]


def _check_unicode(value: Any) -> None:
    for item in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else [value]:
        if isinstance(item, dict | list):
            _check_unicode(item)
        elif isinstance(item, str) and not item.isascii():
            try:
                item.encode()
            except UnicodeEncodeError:
                raise NotJson("a string holds half of a surrogate pair") from None


def check_document(value: Any) -> None:
    """Ask of a document what `parse_json` asks of its text. Raises `NotJson`."""
    level = [value] if isinstance(value, dict | list | tuple) else []
    if not level:
        _check_value(value, value)
    for _ in range(DEPTH):
        for item in level:
            for key in item if isinstance(item, dict) else ():
                if not (isinstance(key, str) and key.isascii()):
                    _check_key(key, item, value)
            for inner in item.values() if isinstance(item, dict) else item:
                if not (isinstance(inner, str) and inner.isascii()):
                    _check_value(inner, value)
        level = [inner for item in level for inner in _containers(item)]
        if not level:
            return
    raise NotJson(f"nested deeper than {DEPTH} levels")


def _check_key(key: Any, item: Any, document: Any) -> None:
    if not isinstance(key, str):
        raise NotJson(f"{_place(document, item) or '/'} has the key {key!r}, which is no text")
    _check_unicode(key)


def _check_value(value: Any, document: Any) -> None:
    if isinstance(value, str):
        if not value.isascii():
            _check_unicode(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise NotJson(f"{json.dumps(value)} is no JSON number")
    elif isinstance(value, int):
        if not -BOUND < value < BOUND:
            raise NotJson("a number is too long")
    elif value is not None and not isinstance(value, dict | list | tuple):
        todo = "; base64-encode it" if isinstance(value, bytes | bytearray | memoryview) else ""
        raise NotJson(f"{_place(document, value) or '/'} is of Python's type {type(value).__name__}{todo}")


def _place(document: Any, wanted: Any, path: tuple[str | int, ...] = ()) -> str | None:
    """The pointer of a value in a document, by the value itself: there may be others that equal it."""
    if document is wanted:
        return pointer(path)
    rows: Iterable[tuple[str | int, Any]] = document.items() if isinstance(document, dict) else ()
    if isinstance(document, list | tuple):
        rows = enumerate(document)
    found = (_place(below, wanted, (*path, name)) for name, below in rows)
    return next((at for at in found if at is not None), None)


def parse_json(body: bytes) -> Any:
    """Decode a JSON body. Raises `NotJson`."""
    try:
        value = _DECODER.decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = body[: error.start].decode("utf-8-sig", "replace")
        position = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise NotJson(f"byte {error.start} is not UTF-8", position) from None
    except json.JSONDecodeError as error:
        message = f"{error.msg} at line {error.lineno} column {error.colno}"
        raise NotJson(message, (error.lineno, error.colno)) from None
    except RecursionError:
        raise NotJson(f"nested deeper than {DEPTH} levels") from None
    if body.count(b"{") + body.count(b"[") > DEPTH:
        _check_depth(value)
    if SURROGATE.search(body):
        _check_unicode(value)
    return value


class Reader(Struct, frozen=True):
    """How one schema reads a value: its documented type, members, items and default.

    `choices` are the values that it may have as read, where they are listed.
    """

    type: str | None = None
    members: Mapping[str, Reader] = field(default_factory=dict)
    items: Reader | None = None
    default: Any = ABSENT
    closed: bool = False
    choices: tuple[Any, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {key: member.default for key, member in self.members.items() if member.default is not ABSENT}
        force_setattr(self, "defaults", known)

    def read(self, value: Any) -> Any:
        """The value in its documented type; `ABSENT` when it cannot be had."""
        if isinstance(value, dict) and self.members:
            return self._read_object(value)
        if isinstance(value, list):
            items = self.items
            return value if items is None else [got for item in value if (got := items.read(item)) is not ABSENT]
        return convert(value, self.type) if self.type else value

    def _read_object(self, value: dict[str, Any]) -> dict[str, Any]:
        read = {**self.defaults}
        for key, item in value.items():
            member = self.members.get(key)
            if member is None:
                read[key] = item
            elif not is_absent(item):
                got = item if type(item) is str and member.type == "string" else member.read(item)
                if got is not ABSENT:
                    read[key] = got
        return read

    def unknown(
        self, value: Any, path: tuple[str | int, ...] = ()
    ) -> list[tuple[tuple[str | int, ...], frozenset[str]]]:
        """Every key that the schema does not know, as its path and the names that are known there."""
        if isinstance(value, dict) and self.members and not self.closed:
            found = [((*path, key), frozenset(self.members)) for key in value if key not in self.members]
            if any(isinstance(item, CONTAINERS) for item in value.values()):
                for key, member in self.members.items():
                    if isinstance(value.get(key), CONTAINERS):
                        found += member.unknown(value[key], (*path, key))
            return found
        if isinstance(value, list) and self.items is not None:
            return [row for i, item in enumerate(value) for row in self.items.unknown(item, (*path, i))]
        return []


def is_absent(value: Any) -> bool:
    """What counts as not given: nothing, null, "" and []."""
    return value is ABSENT or value is None or value == "" or value == []


def convert(value: Any, type_: str) -> Any:
    """`value` as the JSON type `type_`, where its text says so unmistakably; else `ABSENT`."""
    if type_ == "string":
        return value if isinstance(value, str) else ABSENT if isinstance(value, dict | list) else text(value)
    if type_ == "boolean":
        if isinstance(value, str):
            return {"true": True, "false": False}.get(value.lower(), ABSENT)
        return value if isinstance(value, bool) else ABSENT
    if type_ in ("integer", "number"):
        return _number(value, type_)
    return value


def _number(value: Any, type_: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ABSENT
    if isinstance(value, str):
        if INTEGER.fullmatch(value.strip()):
            return int(value)
        if not NUMBER.fullmatch(value.strip()):
            return ABSENT
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type_ == "number" or isinstance(value, int) else ABSENT


def compile_reader(schema: Place, above: frozenset[tuple[str, str]] = frozenset()) -> Reader:
    """How the schema at `schema` reads values; `$ref` and `allOf` are followed, alternatives are not.

    What a schema says of parts that are of its own kind again is not read: they stay as they were sent.
    """
    if (schema.file, schema.at) in above:
        return Reader()
    here = above | {(schema.file, schema.at)}
    node = schema.node if isinstance(schema.node, dict) else {}
    members = {name: compile_reader(place, here) for name, place in schema.get("properties").items()}
    type_, items = _documented_type(node), compile_reader(schema.get("items"), here) if "items" in node else None
    choices = _choices(node, type_)
    for part in schema.get("allOf").each():
        inherited = compile_reader(part, here)
        members = {**inherited.members, **members}
        type_, items = type_ or inherited.type, items or inherited.items
        choices = choices or inherited.choices
    return Reader(type_, members, items, node.get("default", ABSENT), "additionalProperties" in node, choices)


def _documented_type(node: Mapping[str, Any]) -> str | None:
    named = _documented(node, "type")
    if isinstance(named, list):
        named = next((name for name in named if name != "null"), None)
    return named if isinstance(named, str) else None


def _choices(node: Mapping[str, Any], type_: str | None) -> tuple[Any, ...]:
    """The values of an `enum` as they are read, each once; what counts as absent is none of them."""
    listed = [item for item in _documented(node, "enum") or () if not is_absent(item)]
    if not listed:
        return ()
    read = (convert(item, type_) if type_ else item for item in listed)
    return tuple({(type(item), text(item)): item for item in read if not is_absent(item)}.values())


def _documented(node: Mapping[str, Any], keyword: str) -> Any:
    """What a schema's keyword says in the documents; where they do not say it, what is accepted."""
    documented = node.get("x-mock-documented")
    return (documented if isinstance(documented, dict) else {}).get(keyword, node.get(keyword))
