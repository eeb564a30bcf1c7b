"""Misspelt keys: keywords unknown to JSON Schema, fields unknown to OpenAPI; and defaults that do not fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from kling_mock.core.checks_shapes import SINGLE, TABLES, entries, raw, reached, rows, subschemas
from kling_mock.core.documents import Place
from kling_mock.core.forms import BELOW
from kling_mock.core.problems import Problem, SpecError, closest
from kling_mock.core.schemas import Schemas
from kling_mock.core.words import METHODS

WORDS = """
$schema $id $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment title description default deprecated
readOnly writeOnly examples example type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum
maxLength minLength pattern maxItems minItems uniqueItems maxContains minContains maxProperties minProperties
required dependentRequired format contentEncoding contentMediaType discriminator xml externalDocs allOf anyOf
oneOf prefixItems
"""
KEYWORDS = frozenset(WORDS.split()) | {*SINGLE, *TABLES}
FIELDS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "root": "openapi info jsonSchemaDialect servers paths webhooks components security tags externalDocs",
        "info": "title summary description termsOfService contact license version",
        "server": "url description variables",
        "variable": "enum default description",
        "components": "schemas responses parameters examples requestBodies headers securitySchemes links callbacks "
        "pathItems",
        "pathItem": f"$ref summary description servers parameters {' '.join(METHODS)}",
        "operation": "tags summary description externalDocs operationId parameters requestBody responses callbacks "
        "deprecated security servers",
        "parameter": "name in description required deprecated allowEmptyValue style explode allowReserved schema "
        "example examples content",
        "header": "description required deprecated style explode schema example examples content",
        "requestBody": "description content required",
        "response": "description headers content links",
        "media": "schema example examples encoding",
        "encoding": "contentType headers style explode allowReserved",
        "link": "operationRef operationId parameters requestBody description server",
        "scheme": "type description name in scheme bearerFormat flows openIdConnectUrl",
    }.items()
}
STATUS = re.compile(r"[1-5]([0-9][0-9]|XX)|default")


def objects(root: Place) -> Iterator[tuple[str, Place]]:
    """Every object of an OpenAPI document with its kind, each once; a `$ref` is followed."""
    seen: set[tuple[str, str, str]] = set()
    waiting: list[tuple[str, Place]] = [("root", root)]
    while waiting:
        kind, place = waiting.pop()
        if kind != "schema":
            place = place.follow()
        if (kind, place.file, place.at) in seen or not isinstance(place.node, Mapping):
            continue
        seen.add((kind, place.file, place.at))
        yield kind, place
        for key, form, below in BELOW.get(kind, ()):
            holder = raw(place, key) if key else place
            waiting.extend((below, found) for found in _held(holder, form))


def _held(holder: Place, form: str) -> Iterable[Place]:
    if form == "one":
        return [holder]
    return rows(holder) if form == "list" else [place for key, place in entries(holder) if not key.startswith("x-")]


def check_fields(root: Place) -> Iterator[Problem]:
    """Keys that OpenAPI does not know, and statuses that are none."""
    for kind, place in objects(root):
        known = FIELDS.get(kind)
        for key in place.node if known else ():
            if not key.startswith("x-") and key not in (known or ()):
                yield raw(place, key).problem(f"OpenAPI has no {key!r} here{closest(key, known or ())}")
        for status in place.get("responses").node or () if kind == "operation" else ():
            if not STATUS.fullmatch(status) and not status.startswith("x-"):
                message = f"{status!r} is no status{closest(status, ['default', '200', '4XX'])}"
                yield raw(raw(place, "responses"), status).problem(message)


def schemas_of(root: Place) -> list[Place]:
    """Every schema that stands by itself: in the OpenAPI document, in schemas.yaml, in rules and in features."""
    found = [place for kind, place in objects(root) if kind == "schema"]
    folder = root.file.rpartition("/")[0]
    file = f"{folder}/schemas.yaml"
    if file in root.documents:
        found += [place for _, place in entries(Place(root.documents, file, "", root.documents[file]))]
    for _, rule in root.get("x-mock-rules").items():
        found += [raw(rule, "schema"), raw(rule.get("fact"), "schema")]
    for _, feature in root.get("x-mock-capabilities").get("features").items():
        found.append(raw(feature, "asked"))
    return [place for place in found if place.node is not None]


def check_schemas(root: Place, schemas: Schemas) -> Iterator[Problem]:
    """Unknown keywords, schemas that are none, defaults that their own schema refuses, misspelt required names."""
    starts = schemas_of(root)
    for place in starts:
        yield from _compiles(place, schemas)
    for place in reached(starts):
        for key in place.node:
            if key not in KEYWORDS and not key.startswith("x-"):
                yield raw(place, key).problem(f"JSON Schema has no {key!r}{closest(key, KEYWORDS)}")
        if "default" in place.node:
            yield from _default(place, schemas)
        yield from _required(place)
        yield from _documented(place)
        yield from _worded(place)


def _compiles(place: Place, schemas: Schemas) -> Iterator[Problem]:
    """What makes a schema none, at the innermost place that shows it."""
    try:
        schemas.compile(place, "")
    except SpecError as error:
        below = [problem for part in subschemas(place) for problem in _compiles(part, schemas)]
        yield from below or error.problems


def _default(place: Place, schemas: Schemas) -> Iterator[Problem]:
    """A default must be a value that its schema takes."""
    try:
        found = schemas.compile(place, "").violations(place.node["default"], "body")
    except SpecError:
        return
    for violation in found:
        if violation.severity == "refused":
            yield raw(place, "default").problem(f"the default is refused by its own schema: it {violation.message}")


def _required(place: Place) -> Iterator[Problem]:
    """A required name that is nearly that of a property."""
    properties = place.node.get("properties")
    if not isinstance(properties, Mapping) or not isinstance(place.node.get("required"), list):
        return
    for row in rows(raw(place, "required")):
        if not isinstance(row.node, str):
            continue  # no JSON Schema, which is said elsewhere
        free = set(properties) - {name for name in place.node["required"] if isinstance(name, str)}
        if row.node not in properties and get_close_matches(row.node, sorted(free), n=1, cutoff=0.75):
            yield row.problem(f"there is no property {row.node!r}{closest(row.node, free)}")


def _documented(place: Place) -> Iterator[Problem]:
    """A documented word that is not accepted."""
    accepted = place.node.get("enum")
    for row in rows(raw(raw(place, "x-mock-documented"), "enum")):
        if isinstance(accepted, list) and row.node not in accepted:
            words = [word for word in accepted if isinstance(word, str) and word]
            yield row.problem(f"{row.node!r} is documented and not accepted{closest(str(row.node), words)}")


def _worded(place: Place) -> Iterator[Problem]:
    """The words of a pattern that is not there, or that are none."""
    words = raw(place, "x-mock-pattern")
    if words.node is not None and "pattern" not in place.node:
        yield words.problem("says what a pattern asks for, and there is no 'pattern' beside it")
    if words.node is not None and not (isinstance(words.node, str) and words.node):
        yield words.problem("should be a text such as 'a number from 0 to 1'")
