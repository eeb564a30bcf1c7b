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
PARAMETRIC = r"^[^{]*\{[a-z_]+\}[^{]*$"
"""How the schema of words asks for a text with a parameter in it."""
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def check_words(documents: Documents, root: Place) -> list[Problem]:
    """Every problem with the words of one provider, `root` being its OpenAPI document."""
    misplaced = list(_misplaced(documents, root.file))
    told = {(problem.file, problem.pointer) for problem in misplaced}
    malformed = _malformed(documents[WORDS], root)
    return [*misplaced, *(problem for problem in malformed if (problem.file, problem.pointer) not in told)]


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
            yield malformed(place, error, schema)


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


def malformed(place: Place, error: jsonschema_rs.ValidationError, schema: Any) -> Problem:
    """A breach of the schema of words, said at the place it is about; `place` is what was validated."""
    nearest = narrowed(error)
    error = nearest[0]
    for token in error.instance_path:
        place = place.item(token) if isinstance(token, int) else place.get(token)
    if isinstance(inner := getattr(error.kind, "error", None), jsonschema_rs.ValidationError):
        return _misnamed(place, inner)
    keyword = str(error.schema_path[-1])
    unexpected = getattr(error.kind, "unexpected", None)
    if keyword == "additionalProperties" and unexpected:
        hint = closest(unexpected[0], stated(schema, error).get("properties", {}))
        return place.get(unexpected[0]).problem(f"unknown word {unexpected[0]!r} here{hint}")
    if keyword == "required":
        return place.problem(f"needs {error.kind.property!r}")  # type: ignore[attr-defined]
    if options := [option for row in nearest for option in _options(row)]:
        return place.problem(f"{show(error.instance)!r} is not known{closest(str(error.instance), options)}")
    if keyword == "type":
        return place.problem(f"should not be of type {json_type(error.instance)}")
    return place.problem(error.message[:200])


def stated(schema: Any, error: jsonschema_rs.ValidationError) -> Any:
    """The part of the schema whose keyword is broken."""
    for token in error.schema_path[:-1]:
        schema = schema[token]
    return schema


def narrowed(error: jsonschema_rs.ValidationError) -> list[jsonschema_rs.ValidationError]:
    """A breach of several alternatives as that of the one that was meant, or of those that list words; else itself.

    That a value is of another type, or no text with a parameter in it, says only which alternative was not meant.
    """
    leaves = [
        leaf
        for leaf in _leaves(error)
        if str(leaf.schema_path[-1]) != "type" and getattr(leaf.kind, "pattern", None) != PARAMETRIC
    ]
    deepest = max((len(leaf.instance_path) for leaf in leaves), default=0)
    leaves = [leaf for leaf in leaves if len(leaf.instance_path) == deepest]
    return leaves if len(leaves) == 1 or (leaves and all(map(_options, leaves))) else [error]


def _leaves(error: jsonschema_rs.ValidationError) -> Iterator[jsonschema_rs.ValidationError]:
    """The breaches that a breach of alternatives is made of; any other is its own."""
    if str(error.schema_path[-1]) != "anyOf":
        yield error
        return
    for alternative in error.kind.context:  # type: ignore[attr-defined]
        for part in alternative:
            yield from _leaves(part)


def _options(error: jsonschema_rs.ValidationError) -> list[str]:
    """The values of which one is asked for, as texts, where it is that which was broken."""
    kind = error.kind
    listed = [kind.expected_value] if hasattr(kind, "expected_value") else getattr(kind, "options", ())
    return [str(value) for value in listed]


def _misnamed(place: Place, error: jsonschema_rs.ValidationError) -> Problem:
    """A key that is none of those that may stand here."""
    name, options = str(error.instance), map(str, getattr(error.kind, "options", ()))
    return place.get(name).problem(f"{show(name)!r} is not known here{closest(name, options)}")
