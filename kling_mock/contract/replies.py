"""Replies held against the documents: status, content type, and the body by its schema, unknown keys included.

Reply schemas are open, as OpenAPI's are by default; a client that meets a key which no document names should hear of
it all the same. Of alternatives (`anyOf`, `oneOf`) only those count that the value fits, or the nearest where it fits
none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from jsonschema_rs import ValidationError, Validator

from kling_mock.core.checks_shapes import entries, operations, raw, rows
from kling_mock.core.documents import Documents, Place, pointer
from kling_mock.core.expressions import ABSENT
from kling_mock.core.messages import show, told
from kling_mock.core.model import Severity, Violation
from kling_mock.core.schemas import Schemas

Path = tuple[str | int, ...]
ALTERNATIVES = ("anyOf", "oneOf")
UNKNOWN = "is a key that the documents do not name"
BODILESS = frozenset({204, 205, 304})


class Unseen:
    """The type of `UNSEEN`: a body that nobody wrote down."""

    def __repr__(self) -> str:
        return "UNSEEN"


UNSEEN: Final = Unseen()


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing in a reply that the documents do not say.

    `keyword` is the schema's own, or "unknown" (a key), "status", "content-type" or "syntax" (of the body). `place` is
    where the documents speak of it: the keyword; for an unknown key the schema whose `properties` lack it; for status
    and content type the table of responses or media types. `value` is what was found.
    """

    keyword: str
    path: Path
    place: Place
    value: Any
    violation: Violation


class ReplyJudge:
    """Judges the replies of one provider. The documents are read once, a schema is compiled when it is first asked."""

    def __init__(self, documents: Documents, name: str) -> None:
        root = Place(documents, f"{name}/openapi.yaml", "", documents[f"{name}/openapi.yaml"])
        self.operations = {place.node["operationId"]: place for _, _, place in operations(root)}
        self._schemas = Schemas(documents)
        self._compiled: dict[tuple[str, str], Validator] = {}
        self._enveloped = {at for _, place in root.get("x-mock-errors").get("envelopes").items() for at in _keys(place)}

    def violations(
        self, operation: str, status: int, content_type: str | None, document: Any = ABSENT
    ) -> list[Violation]:
        """What is wrong with a reply to the operation of this id; empty when all is as documented.

        `document` is the decoded body: `ABSENT` where there is none or it is no JSON, `UNSEEN` where it was not
        recorded. What breaks the documents is `refused`; a key that an open schema does not name is a `warning`. Rules
        are called `OPERATION/reply/POINTER/KEYWORD`.
        """
        return [misfit.violation for misfit in self.misfits(operation, status, content_type, document)]

    def misfits(self, operation: str, status: int, content_type: str | None, document: Any = ABSENT) -> list[Misfit]:
        """The same with the places in the documents, for those who want to mend them."""
        responses = self.operations[operation].get("responses")
        response, known = self._response(responses, status)
        found = [] if known else [self._status(operation, responses, status)]
        if response is None or not response.get("content").node or status in BODILESS:
            return found
        content = response.get("content")
        media = _media(content, content_type)
        if media is None:
            found.append(self._content_type(operation, content, content_type))
            media = next(place for _, place in content.items())
        elif document is ABSENT:
            return [*found, self._syntax(operation, media)]
        if isinstance(document, Unseen) or document is ABSENT or "schema" not in media.node:
            return found
        off = self.off(operation, raw(media, "schema"), document)
        # What the table of errors writes is documented there, where a schema of errors says little.
        return found + [
            row for row in off if row.keyword != "unknown" or status < 400 or row.path not in self._enveloped
        ]

    def off(self, operation: str, schema: Place, document: Any) -> list[Misfit]:
        """What a schema says of a document: what breaks it, and the keys that it does not name."""
        broken = self._flat(self._validator(schema).iter_errors(document))
        found = [self._broken(operation, error) for error in broken if error.kind.name != "additionalProperties"]
        closed = {tuple(error.instance_path) for error in broken if error.kind.name == "additionalProperties"}
        for path, owner, value in self._strangers([schema], document, ()):
            severity: Severity = "refused" if path[:-1] in closed else "warning"
            found.append(_misfit(operation, "unknown", path, owner, value, UNKNOWN, severity))
        unique = {(misfit.keyword, misfit.path): misfit for misfit in found}
        return sorted(unique.values(), key=lambda misfit: (pointer(misfit.path), misfit.keyword))

    def schema_of(self, operation: str, status: int) -> Place | None:
        """The schema of a reply's body, if the documents have one."""
        response, _ = self._response(self.operations[operation].get("responses"), status)
        content = response.get("content") if response else None
        media = next((place for _, place in content.items()), None) if content else None
        return raw(media, "schema") if media and "schema" in media.node else None

    def _response(self, responses: Place, status: int) -> tuple[Place | None, bool]:
        """The response that speaks of a status, and whether it means it.

        `default` is for errors, unless there is nothing else; a good status that is not listed is judged by the first
        good one that is.
        """
        listed = {str(code).upper(): place for code, place in responses.items()}
        for code in (str(status), f"{status // 100}XX"):
            if code in listed:
                return listed[code], True
        if "DEFAULT" in listed and (status >= 400 or len(listed) == 1):
            return listed["DEFAULT"], True
        like = (place for code, place in listed.items() if code[:1] == str(status)[:1] and 200 <= status < 300)
        return next(like, None), False

    def _status(self, operation: str, responses: Place, status: int) -> Misfit:
        listed = ", ".join(map(str, responses.node or ()))
        return _misfit(operation, "status", (), responses, status, f"the status should be one of {listed}; is {status}")

    def _content_type(self, operation: str, content: Place, content_type: str | None) -> Misfit:
        listed = ", ".join(content.node)
        got = show(content_type) if content_type else "missing"
        message = f"the content type should be {listed}; is {got}"
        return _misfit(operation, "content-type", (), content, content_type, message)

    def _syntax(self, operation: str, media: Place) -> Misfit:
        return _misfit(operation, "syntax", (), media, None, "the body should be JSON; is none")

    def _validator(self, schema: Place) -> Validator:
        key = (schema.file, schema.at)
        if key not in self._compiled:
            self._compiled[key] = self._schemas.accepting(schema)
        return self._compiled[key]

    def _flat(self, errors: Iterable[ValidationError]) -> list[ValidationError]:
        """The errors, with those of the nearest alternative in the place of "fits none of them"."""
        return [part for error in errors for part in self._inner(error)]

    def _inner(self, error: ValidationError) -> list[ValidationError]:
        context = getattr(error.kind, "context", None) if error.kind.name in ALTERNATIVES else None
        nearest = min((self._flat(branch) for branch in context or ()), key=len, default=[])
        return nearest or [error]

    def _broken(self, operation: str, error: ValidationError) -> Misfit:
        reference, limit = self._schemas.at(error.absolute_keyword_location or "")
        file, _, at = reference.partition("#")
        path: Path = tuple(error.instance_path)
        keyword, value = error.kind.name, error.instance
        if keyword == "required":
            path, value = (*path, error.kind.property), None  # type: ignore[attr-defined]
        place = Place(self._schemas.documents, file, at, limit)
        return _misfit(operation, at.rpartition("/")[2], path, place, value, told(keyword, limit, value, ""))

    def _strangers(self, schemas: list[Place], value: Any, path: Path) -> Iterator[tuple[Path, Place, Any]]:
        """Keys that no schema names, each with the schema that names most of their neighbours.

        An object of which no key is named is free to hold any.
        """
        if isinstance(value, list):
            items = [raw(part, "items") for part in self._parts(schemas, value) if "items" in part.node]
            for index, item in enumerate(value if items else ()):
                yield from self._strangers(items, item, (*path, index))
        if isinstance(value, dict):
            parts = self._parts(schemas, value)
            owners = [part for part in parts if part.node.get("properties")]
            for key, item in value.items():
                below = _spoken_of(parts, key)
                if below:
                    yield from self._strangers(below, item, (*path, key))
                elif owners:
                    yield (*path, key), max(owners, key=lambda part: len(value.keys() & part.node["properties"])), item

    def _parts(self, schemas: list[Place], value: Any) -> list[Place]:
        """The schemas and all that apply to this value: by `$ref`, `allOf`, and the alternatives that it fits."""
        found: dict[tuple[str, str], Place] = {}
        waiting = list(schemas)
        while waiting:
            place = waiting.pop(0)
            if (place.file, place.at) in found or not isinstance(place.node, dict):
                continue
            found[place.file, place.at] = place
            if isinstance(place.node.get("$ref"), str):
                waiting.append(place.refer(place.node["$ref"]))
            for word in ("then", "else"):
                waiting += [raw(place, word)] if word in place.node else []
            waiting += rows(raw(place, "allOf")) if "allOf" in place.node else ()
            for word in ALTERNATIVES:
                waiting += self._fitting(list(rows(raw(place, word))), value) if word in place.node else []
        return list(found.values())

    def _fitting(self, choices: list[Place], value: Any) -> list[Place]:
        fits = [place for place in choices if self._validator(place).is_valid(value)]
        if fits or not choices:
            return fits
        return [min(choices, key=lambda place: len(self._flat(self._validator(place).iter_errors(value))))]


def _misfit(
    operation: str,
    keyword: str,
    path: Path,
    place: Place,
    value: Any,
    message: str,
    severity: Severity = "refused",
) -> Misfit:
    wild = pointer("*" if isinstance(token, int) else token for token in path)
    rule = f"{operation}/reply{wild}/{keyword}"
    return Misfit(keyword, path, place, value, Violation(rule, pointer(path), message, severity))


def _keys(place: Place, path: Path = ()) -> Iterator[Path]:
    """Every key that a template writes, with its way from the top."""
    for key, below in place.items():
        yield (*path, key)
        yield from _keys(below, (*path, key))


def _media(content: Place, content_type: str | None) -> Place | None:
    """What the documents say of a content type; without one the first is meant."""
    wanted = (content_type or "").partition(";")[0].strip().lower()
    known = {media_type.lower(): place for media_type, place in content.items()}
    if not wanted:
        return next(iter(known.values()))
    return next((known[name] for name in (wanted, f"{wanted.partition('/')[0]}/*", "*/*") if name in known), None)


def _spoken_of(parts: Iterable[Place], key: str) -> list[Place]:
    """The schemas that speak of a key: by its name, a pattern, or as one more."""
    found = []
    for part in parts:
        named = [raw(raw(part, "properties"), key)] if key in part.node.get("properties", ()) else []
        if "patternProperties" in part.node:
            named += [below for name, below in entries(raw(part, "patternProperties")) if re.search(name, key)]
        more = part.node.get("additionalProperties")
        found += named or ([raw(part, "additionalProperties")] if isinstance(more, dict) or more is True else [])
    return found
