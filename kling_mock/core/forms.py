"""The forms of OpenAPI's objects, looked at before anything is read: objects, lists and texts where they must be.

Only what is read here later is asked for; whether a document is OpenAPI in every other respect is for other tools.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from kling_mock.core.documents import Place
from kling_mock.core.messages import json_type
from kling_mock.core.problems import Problem, SpecError
from kling_mock.core.words import METHODS

# What stands below each kind of object: a key, whether it holds one, a list or a table of them, and their kind.
BELOW: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "root": (
        ("info", "one", "info"),
        ("servers", "list", "server"),
        ("paths", "table", "pathItem"),
        ("webhooks", "table", "pathItem"),
        ("components", "one", "components"),
    ),
    "server": (("variables", "table", "variable"),),
    "components": (
        ("schemas", "table", "schema"),
        ("responses", "table", "response"),
        ("parameters", "table", "parameter"),
        ("requestBodies", "table", "requestBody"),
        ("headers", "table", "header"),
        ("securitySchemes", "table", "scheme"),
        ("links", "table", "link"),
        ("pathItems", "table", "pathItem"),
    ),
    "pathItem": (
        ("parameters", "list", "parameter"),
        *((method, "one", "operation") for method in METHODS),
    ),
    "operation": (
        ("parameters", "list", "parameter"),
        ("requestBody", "one", "requestBody"),
        ("responses", "table", "response"),
        ("callbacks", "table", "callback"),
    ),
    "callback": (("", "table", "pathItem"),),
    "parameter": (("schema", "one", "schema"), ("content", "table", "media")),
    "header": (("schema", "one", "schema"),),
    "requestBody": (("content", "table", "media"),),
    "response": (("content", "table", "media"), ("headers", "table", "header"), ("links", "table", "link")),
    "media": (("schema", "one", "schema"), ("encoding", "table", "encoding")),
}
NEEDED: Mapping[str, tuple[str, ...]] = {
    "root": ("info", "paths"),
    "info": ("title", "version"),
    "server": ("url",),
    "parameter": ("name", "in"),
    "scheme": ("type",),
}
SCHEMES: Mapping[str, tuple[str, ...]] = {"apiKey": ("name", "in"), "http": ("scheme",)}
TEXTS = frozenset({"title", "version", "url", "name", "in", "type", "scheme", "operationId", "description", "summary"})


def check_forms(root: Place) -> Iterator[Problem]:
    """Every place of an OpenAPI document whose form makes it unreadable."""
    seen: set[tuple[str, str, str]] = set()
    waiting = [("root", root)]
    while waiting:
        kind, place = waiting.pop(0)
        if (kind, place.file, place.at) not in seen:
            seen.add((kind, place.file, place.at))
            problems = list(_object(kind, place))
            yield from problems
            if not problems and kind != "schema":
                for key, form, below in BELOW.get(kind, ()):
                    if not key or key in place.node:
                        yield from _below(place, key, form, below, waiting)
            if not problems and kind in ("root", "operation"):
                yield from _security(place)


def _object(kind: str, place: Place) -> Iterator[Problem]:
    """What is wrong with one object itself: it is none, lacks a key, or has something else where a text must be."""
    if kind == "schema" and isinstance(place.node, bool):
        return
    if not isinstance(place.node, Mapping):
        yield place.problem(f"should be an object; is of type {json_type(place.node)}")
        return
    asked = SCHEMES.get(str(place.node.get("type")), ()) if kind == "scheme" else ()
    for name in (*NEEDED.get(kind, ()), *asked):
        if name not in place.node:
            yield place.problem(f"needs {name!r}{_near(name, place.node)}")
    for name in sorted(TEXTS & set(place.node)) if kind != "schema" and kind != "callback" else ():
        if not isinstance(place.node[name], str):
            yield _raw(place, name).problem(f"should be a text; is of type {json_type(place.node[name])}")


def _near(name: str, keys: Mapping[str, object]) -> str:
    """The key that was probably meant to be `name`."""
    near = get_close_matches(name, list(keys), n=1, cutoff=0.6)
    return f"; did you mean {name!r} by {near[0]!r}?" if near else ""


def _below(place: Place, key: str, form: str, kind: str, waiting: list[tuple[str, Place]]) -> Iterator[Problem]:
    """Queue what a key holds, if it has the form that it must have."""
    try:
        holder = place.get(key) if key else place
        if form == "one":
            waiting.append((kind, holder))
        elif form == "list" and not isinstance(holder.node, list):
            yield holder.problem(f"should be a list; is of type {json_type(holder.node)}")
        elif form == "table" and not isinstance(holder.node, Mapping):
            yield holder.problem(f"should be an object; is of type {json_type(holder.node)}")
        else:
            rows = holder.each() if form == "list" else (row for name, row in holder.items() if name[:2] != "x-")
            waiting.extend((kind, row) for row in rows)
    except SpecError as error:
        yield from error.problems


def _security(place: Place) -> Iterator[Problem]:
    """`security` is a list of alternatives, each an object of schemes."""
    rows = place.node.get("security", [])
    if not isinstance(rows, list):
        yield _raw(place, "security").problem(f"should be a list; is of type {json_type(rows)}")
        return
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            at = f"{place.at}/security/{index}"
            yield Problem(place.file, at, f"should be an object of security schemes; is of type {json_type(row)}")


def _raw(place: Place, key: str) -> Place:
    return Place(place.documents, place.file, f"{place.at}/{key}", place.node[key])
