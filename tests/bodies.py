"""Request bodies made from the documents: drawn from a schema's own words, and examples with something broken."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hypothesis import strategies as st

from kling_mock.core.documents import Place
from kling_mock.core.provider import Operation, Provider
from kling_mock.loading import bundled, load_providers, read_documents

JSON = "application/json"
FORM = "multipart/form-data"
PROVIDERS = load_providers()
DOCUMENTS = read_documents(bundled("specs"))

JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 5, 7.5, 99, 10**17, "", " ", "0", "1", "5", "7", "true", "on", "nonsense", "é" * 3000,
    "https://example.com/a.png", [], [1], [None], [[]], [{}], ["5", 5], {}, {"": None}, {"type": "simple"},
    {"a": [{"b": {}}]},
)  # fmt: skip
NUMBERS = (-10, -1, -0.5, 0, 0.5, 1, 1.0, 2, 2.5, 5, 10, 11, 120, 10**6)
TEXTS = (
    "",
    " ",
    "a",
    "5",
    "05",
    "0.5",
    "1.0",
    "-3",
    "160",
    "std",
    "<<<voice_1>>> waves",
    "<<<voice_3>>>",
    "x" * 121,
    "x" * 2501,
)


def rows() -> Iterator[tuple[Provider, Operation, str]]:
    """Every operation with a body, once for JSON or else for its form."""
    for provider in PROVIDERS.values():
        for operation in provider.operations.values():
            if operation.bodies:
                yield provider, operation, JSON if JSON in operation.bodies else next(iter(operation.bodies))


def schema_at(provider: str, operation: str, media_type: str) -> tuple[str, Place]:
    """The path of an operation and the schema of its body."""
    root = Place(DOCUMENTS, f"{provider}/openapi.yaml", "", DOCUMENTS[f"{provider}/openapi.yaml"])
    for path, item in root.get("paths").items():
        for _, place in item.items():
            if isinstance(place.node, Mapping) and place.node.get("operationId") == operation:
                return path, place.get("requestBody").get("content").get(media_type).get("schema")
    raise LookupError(operation)


def members(schema: Place) -> dict[str, Place]:
    """The properties of a schema, those of its `allOf` too."""
    found: dict[str, Place] = {}
    for part in schema.get("allOf").each():
        found |= members(part)
    return found | dict(schema.get("properties").items())


def words(schema: Place) -> dict[str, Any]:
    """The keywords of a schema, those of its `allOf` too."""
    found: dict[str, Any] = {}
    for part in schema.get("allOf").each():
        found |= words(part)
    return found | (schema.node if isinstance(schema.node, dict) else {})


def items(schema: Place) -> Place:
    """The schema of a list's items; one that takes anything, where nothing is said."""
    for place in (schema, *schema.get("allOf").each()):
        if "items" in place.node:
            return place.get("items")
    return schema.get("items", {})


def values(schema: Place) -> st.SearchStrategy[Any]:
    """Values that the words of a schema speak of; most of them fit it, not all."""
    node = words(schema)
    choices: list[st.SearchStrategy[Any]] = []
    if "enum" in node:
        choices.append(st.sampled_from(node["enum"]))
    named = node.get("type", [])
    for name in [named] if isinstance(named, str) else named:
        choices.append(typed(name, schema))
    if not choices:
        choices.append(objects(schema) if members(schema) else st.sampled_from(JUNK))
    return st.one_of(choices)


def typed(name: str, schema: Place) -> st.SearchStrategy[Any]:
    """Values of one JSON type with a schema's limits and a little beyond them."""
    node = words(schema)
    if name == "string":
        limits = [node[word] + by for word in ("minLength", "maxLength") if word in node for by in (-1, 0, 1)]
        return st.sampled_from([*TEXTS, *("m" * size for size in limits if size >= 0)])
    if name in ("number", "integer"):
        limits = [node[word] + by for word in ("minimum", "maximum") if word in node for by in (-1, -0.25, 0, 0.25, 1)]
        return st.sampled_from([*NUMBERS, *limits])
    if name == "array":
        return st.lists(values(items(schema)), min_size=0, max_size=min(node.get("maxItems", 3), 9) + 1)
    if name == "object":
        return objects(schema)
    return st.sampled_from({"boolean": [True, False], "null": [None]}[name])


def objects(schema: Place) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of a schema's properties, those it requires more often."""
    inner = {name: values(place) for name, place in members(schema).items()}
    needed = {name: inner[name] for name in words(schema).get("required", ()) if name in inner}
    return st.fixed_dictionaries(needed, optional={k: v for k, v in inner.items() if k not in needed})


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value in a document, itself first."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def put(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy of the document with another value at the path."""
    if not path:
        return value
    result = copy.deepcopy(document)
    parent = result
    for token in path[:-1]:
        parent = parent[token]
    parent[path[-1]] = value
    return result


def without(document: Any, path: tuple[str | int, ...]) -> Any:
    """A copy of the document without what is at the path."""
    result = copy.deepcopy(document)
    parent = result
    for token in path[:-1]:
        parent = parent[token]
    del parent[path[-1]]
    return result


@dataclass(frozen=True)
class Known:
    """The schema of an operation's body, and examples of it; short to print, since hypothesis prints it."""

    operation: str
    schema: Place = field(repr=False)
    examples: tuple[Any, ...] = field(repr=False)


@st.composite
def mutated(draw: st.DrawFn, known: Known) -> Any:
    """An example with nothing to three things changed: something else put in, taken out, or drawn from its schema."""
    body = draw(st.sampled_from(known.examples))
    fields = members(known.schema)
    for _ in range(draw(st.integers(0, 3))):
        way = draw(st.sampled_from(["put", "take", "add", "draw"]))
        at = draw(st.sampled_from([path for path in places(body) if path] or [()]))
        if way == "put":
            body = put(body, at, draw(st.sampled_from(JUNK)))
        elif way == "take" and at:
            body = without(body, at)
        elif isinstance(body, dict):
            name = draw(st.sampled_from([*fields, "a key that nobody knows"]))
            fits = values(fields[name]) if name in fields and way == "draw" else st.sampled_from(JUNK)
            body = {**body, name: draw(fits)}
    return body


@cache
def strategy(provider: str, operation: str, media_type: str, examples: str) -> st.SearchStrategy[Any]:
    """Bodies of an operation: the examples (one JSON text) as they are and broken, what its schema speaks of, junk."""
    schema = schema_at(provider, operation, media_type)[1]
    known = Known(operation, schema, tuple(json.loads(examples)) or ({},))
    return st.one_of(mutated(known), mutated(known), objects(schema), st.sampled_from(JUNK))
