"""The x-mock-* words: each must stand where the schema of words allows it and be of its form.

Whatever is not understood is an error with file, pointer and the closest match: a misspelt word must never be ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from kling_mock.core.documents import Documents, Place, escape
from kling_mock.core.messages import json_type, show
from kling_mock.core.problems import Problem, closest

WORDS = "x-mock.schema.json"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def check_words(documents: Documents, root: Place) -> list[Problem]:
    """Every problem with the words of one provider, `root` being its OpenAPI document."""
    return [*_misplaced(documents, root.file), *_malformed(documents[WORDS], root)]


def _misplaced(documents: Documents, file: str) -> Iterator[Problem]:
    """Words that the schema does not know at all, anywhere in the provider's own folder."""
    known = {name for row in documents[WORDS]["$defs"].values() for name in row.get("properties", {})}
    known = {name for name in known if name.startswith("x-mock-")}
    folder = file.rpartition("/")[0] + "/"
    for name, document in documents.items():
        if name.startswith(folder):
            for at, key in _keys(document, ""):
                if key.startswith("x-mock-") and key not in known:
                    yield Problem(name, at, f"unknown word {key!r}{closest(key, known)}")


def _keys(node: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{at}/{escape(key)}", str(key)
            yield from _keys(value, f"{at}/{escape(key)}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _keys(value, f"{at}/{index}")


def _malformed(words: Mapping[str, Any], root: Place) -> Iterator[Problem]:
    validators: dict[str, jsonschema_rs.Draft202012Validator] = {}
    for kind, place in _spots(root):
        if kind not in validators:
            schema = {"$ref": f"#/$defs/{kind}", "$defs": words["$defs"]}
            validators[kind] = jsonschema_rs.Draft202012Validator(schema)
        found = {key: place.get(key).expand() for key in place.node if str(key).startswith("x-mock-")}
        for error in validators[kind].iter_errors(found):
            yield malformed(place, error)


def _spots(root: Place) -> Iterator[tuple[str, Place]]:
    """Every place where words may stand, with the kind of place it is."""
    yield "root", root
    for _, scheme in root.get("components").get("securitySchemes").items():
        yield "securityScheme", scheme
    for _, item in root.get("paths").items():
        yield "pathItem", item
        for method, operation in item.items():
            if method in METHODS:
                yield "operation", operation
                yield from _callbacks(operation)
                for _, response in operation.get("responses").items():
                    yield "response", response
                    for _, media in response.get("content").items():
                        yield "mediaType", media


def _callbacks(operation: Place) -> Iterator[tuple[str, Place]]:
    """The operations that callbacks are made of, and their bodies."""
    for _, callback in operation.get("callbacks").items():
        for _, item in callback.items():
            for method, row in item.items():
                if method in METHODS:
                    yield "callback", row
                    for _, media in row.get("requestBody").get("content").items():
                        yield "mediaType", media


def malformed(place: Place, error: jsonschema_rs.ValidationError) -> Problem:
    """A breach of the schema of words, said at the place it is about; `place` is what was validated."""
    for token in error.instance_path:
        place = place.item(token) if isinstance(token, int) else place.get(token)
    if isinstance(inner := getattr(error.kind, "error", None), jsonschema_rs.ValidationError):
        return _misnamed(place, inner)
    keyword = str(error.schema_path[-1])
    unexpected = getattr(error.kind, "unexpected", None)
    if keyword == "additionalProperties" and unexpected:
        return place.get(unexpected[0]).problem(f"unknown word {unexpected[0]!r} here")
    if keyword == "required":
        return place.problem(f"needs {error.kind.property!r}")  # type: ignore[attr-defined]
    if keyword == "enum":
        options = [str(option) for option in error.kind.options]  # type: ignore[attr-defined]
        return place.problem(f"{show(error.instance)!r} is not known{closest(str(error.instance), options)}")
    if keyword == "type":
        return place.problem(f"should not be of type {json_type(error.instance)}")
    return place.problem(error.message[:200])


def _misnamed(place: Place, error: jsonschema_rs.ValidationError) -> Problem:
    """A key that is none of those that may stand here."""
    name, options = str(error.instance), map(str, getattr(error.kind, "options", ()))
    return place.get(name).problem(f"{show(name)!r} is not known here{closest(name, options)}")
