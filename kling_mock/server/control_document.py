"""The control API's own document, and requests read by it: known query parameters, valid bodies.

Like a provider's document it is the only place where the API is described: routes, schemas and parameter names come
from here, so what is documented and what is served cannot differ.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flask import request
from msgspec import Struct

from kling_mock.core.documents import Place, escape
from kling_mock.core.problems import closest
from kling_mock.core.reading import NotJson, parse_json
from kling_mock.core.schemas import Schema, Schemas
from kling_mock.core.words import METHODS
from kling_mock.server.problem_details import Problem
from kling_mock.yaml_files import read_yaml

FILE = "control.yaml"
JSON = "application/json"
MOST_BYTES = 1024 * 1024
MOST_ERRORS = 20


class Body(Struct, frozen=True):
    """What an endpoint takes as a body, of at most so many bytes."""

    place: Place
    schema: Schema
    required: bool
    most_bytes: int


class Endpoint(Struct, frozen=True):
    """One operation of the document, with its summary. `public` ones are for every page, with any query."""

    id: str
    method: str
    path: str
    query: frozenset[str]
    body: Body | None
    public: bool
    summary: str


class Given(Struct, frozen=True):
    """A request to an endpoint, read: `url` is the server's as the caller knows it."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    url: str


@cache
def document() -> Place:
    """The document."""
    node = read_yaml(Path(__file__).with_name(FILE), FILE)
    return Place({FILE: node}, FILE, "", node)


@cache
def endpoints() -> tuple[Endpoint, ...]:
    """Every operation, in the document's order."""
    schemas = Schemas(document().documents)
    rows = [(path, method, item) for path, item in document().get("paths").items() for method in METHODS]
    return tuple(
        _endpoint(path, method, item.get(method), schemas) for path, method, item in rows if method in item.node
    )


def _endpoint(path: str, method: str, place: Place, schemas: Schemas) -> Endpoint:
    id_ = place.node["operationId"]
    parameters = [parameter.node for parameter in place.get("parameters").each()]
    asked = place.get("requestBody")
    body = None
    if asked.node is not None:
        schema = asked.get("content").get(JSON).get("schema")
        body = Body(
            schema, schemas.compile(schema, id_), asked.node["required"], asked.node.get("x-most-bytes", MOST_BYTES)
        )
    query = frozenset(row["name"] for row in parameters if row["in"] == "query")
    return Endpoint(id_, method.upper(), path, query, body, bool(place.node.get("x-public")), place.node["summary"])


def read(endpoint: Endpoint, path: Mapping[str, str], public_url: str | None) -> Given:
    """The current request as the endpoint reads it. Raises `Problem`."""
    url = public_url or f"{request.scheme}://{request.host}"
    if endpoint.public:
        return Given(path, {}, None, url)
    body = _body(endpoint.body) if endpoint.body else None
    return Given(path, _query(endpoint), body, url)


def _query(endpoint: Endpoint) -> dict[str, str]:
    wrong = []
    for name, values in request.args.lists():
        if name not in endpoint.query:
            near = closest(name[:60], endpoint.query) or "; it takes none"
            wrong.append((f"query/{name[:60]}", f"is no parameter of {endpoint.path}{near}"))
        elif len(values) > 1:
            wrong.append((f"query/{name}", "is there more than once"))
    if wrong:
        raise Problem(400, errors=wrong[:MOST_ERRORS])
    return request.args.to_dict()


def _body(body: Body) -> Any:
    if request.mimetype != JSON:
        raise Problem(
            415, f"the content type should be {JSON}; is {request.mimetype[:60] or 'missing'}; {_typed(body)}"
        )
    request.max_content_length = body.most_bytes
    sent = request.get_data(cache=False)
    if not sent and "Transfer-Encoding" in request.headers:
        raise Problem(411, "the body must come with a Content-Length; this server hands on no chunked ones")
    if not sent and not body.required:
        return {}
    try:
        value = parse_json(sent)
    except NotJson as error:
        raise Problem(400, f"the body is no JSON: {error}") from None
    if wrong := [*_unknown(body.place, value), *_invalid(body, value)]:
        raise Problem(422, errors=wrong[:MOST_ERRORS])
    return value


def _typed(body: Body) -> str:
    """The line to type instead: changes need the content type that no foreign page's form can send."""
    example = json.dumps(next(iter(body.place.get("examples").node or [{}])))
    words = ["curl", "-X", request.method, request.base_url, "-H", f"Content-Type: {JSON}", "-d", example]
    return f"for example: {shlex.join(words)}"


def _invalid(body: Body, value: Any) -> Iterator[tuple[str, str]]:
    """What the schema says is wrong, apart from unknown keys."""
    for violation in body.schema.violations(value, "body"):
        keyword = violation.rule.rpartition("/")[2]
        if keyword == "oneOf":
            names = [name for choice in body.place.get("oneOf").node for name in choice["required"]]
            yield violation.pointer, f"give exactly one of {', '.join(names)}"
        elif keyword == "minProperties":
            yield violation.pointer, f"give at least one of {', '.join(body.place.get('properties').node)}"
        elif keyword != "additionalProperties":
            yield violation.pointer, violation.message


def _unknown(place: Place, value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Keys that a closed schema does not know, with the one that was probably meant."""
    if isinstance(value, dict) and place.get("additionalProperties").node is False:
        members = dict(place.get("properties").items())
        for key, item in value.items():
            if key in members:
                yield from _unknown(members[key], item, f"{at}/{escape(key)}")
            else:
                yield f"{at}/{escape(key[:60])}", f"is no known key here{closest(key[:60], members)}"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(place.get("items"), item, f"{at}/{index}")
