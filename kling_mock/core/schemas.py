"""Compiled JSON Schemas, and violations made of their errors.

Each schema is compiled twice, from the same documents: as written (what the provider accepts) and with every
`x-mock-documented` asked for too (what the documents say). Failing the second only is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

import jsonschema_rs
from jsonschema_rs import ValidationError, Validator
from msgspec import Struct
from msgspec.structs import replace

from kling_mock.core.documents import Documents, Place, escape, pointer, tokens
from kling_mock.core.expressions import ABSENT, text
from kling_mock.core.messages import MESSAGES, meant, show, told
from kling_mock.core.model import Severity, Violation
from kling_mock.core.nearness import Nearness
from kling_mock.core.problems import closest
from kling_mock.core.reading import convert

ACCEPTED, DOCUMENTED = "accepted:///", "documented:///"
FAR = Nearness()
SAFE = "/~!$&()*+,;=:@"  # what may stand in a URI's fragment, beside letters and digits


def documented(node: Any) -> Any:
    """A copy in which each schema with an `x-mock-documented` asks for it too."""
    if isinstance(node, dict):
        copy = {key: documented(value) for key, value in node.items() if key != "x-mock-documented"}
        word = node.get("x-mock-documented")
        return {**copy, "allOf": [*copy.get("allOf", []), word]} if isinstance(word, dict | bool) else copy
    return [documented(item) for item in node] if isinstance(node, list) else node


class Schemas:
    """All schemas of one set of documents; `rules` maps "file#pointer" of a rule's schema to the rule."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self.rules: dict[str, Rule] = {}
        self._by_scheme = {ACCEPTED: documents, DOCUMENTED: {name: documented(doc) for name, doc in documents.items()}}

    @cached_property
    def _accepted(self) -> jsonschema_rs.Registry:
        return self._registry(ACCEPTED)

    @cached_property
    def _documented(self) -> jsonschema_rs.Registry:
        return self._registry(DOCUMENTED)

    def _registry(self, scheme: str) -> jsonschema_rs.Registry:
        return jsonschema_rs.Registry([(scheme + name, doc) for name, doc in self._by_scheme[scheme].items()])

    def compile(self, place: Place, subject: str) -> Schema:
        """Compile the schema at `place`; `subject` (an operationId) starts the ids of its plain keywords."""
        wants = self._validator(place, DOCUMENTED, self._documented)
        return Schema(self, subject, self.accepting(place), wants, *_decided(place.node))

    def accepting(self, place: Place) -> Validator:
        """The schema at `place` as written, as a validator whose errors say where each keyword stands."""
        return self._validator(place, ACCEPTED, self._accepted)

    def _validator(self, place: Place, scheme: str, registry: jsonschema_rs.Registry) -> Validator:
        reference = f"{scheme}{place.file}#{quote(place.at, safe=SAFE)}"
        try:
            return jsonschema_rs.Draft202012Validator({"$ref": reference}, registry=registry)
        except (ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            raise place.error(f"no JSON Schema 2020-12: {str(error)[:300]}") from None

    def rules_in(self, place: Place) -> frozenset[str]:
        """The ids of the rules that stand in the schema at `place`, or in one that it refers to."""
        seen, waiting = {f"{place.file}#{place.at}"}, [place]
        while waiting:
            here = waiting.pop()
            for node in _referring(here.node):
                there = here.refer(node["$ref"])
                if (reference := f"{there.file}#{there.at}") not in seen:
                    seen.add(reference)
                    waiting.append(there)
        inside = (rule for at, rule in self.rules.items() if any(above in seen for above in _upward(at)))
        around = (self.rules[above] for at in seen for above in _upward(at) if above in self.rules)
        return frozenset(rule.id for rule in (*inside, *around))

    def at(self, location: str) -> tuple[str, Any]:
        """The "file#pointer" of an absolute keyword location, and the node there."""
        scheme, slashes, rest = location.partition(":///")
        reference = unquote(rest)
        file, _, path = reference.partition("#")
        node = self._by_scheme[scheme + slashes].get(file)
        for token in tokens(path):
            node = node.get(token) if isinstance(node, dict) else node[int(token)] if isinstance(node, list) else None
        return reference, node


def check_schema(place: Place) -> None:
    """What stands at `place` is a schema; what it refers to is not looked at. Raises `SpecError`."""
    try:
        jsonschema_rs.meta.validate(place.node)
    except (ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise place.error(f"no JSON Schema 2020-12: {str(error)[:300]}") from None


def _upward(reference: str) -> Iterator[str]:
    """A "file#pointer" and those of all that it stands in."""
    while "/" in reference:
        yield reference
        reference = reference.rpartition("/")[0]


def _referring(node: Any) -> Iterator[dict[str, Any]]:
    """Every object with a `$ref` at or below a node."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node
        for below in node.values():
            yield from _referring(below)
    elif isinstance(node, list):
        for below in node:
            yield from _referring(below)


class Rule:
    """A named restriction: what `rules.yaml` says of it. Its `field` is shown where the violation stands."""

    __slots__ = ("error", "evidence", "field", "id", "message", "near", "reason", "repair", "severity", "strike")

    def __init__(self, id: str, entry: Mapping[str, Any], near: Nearness = FAR) -> None:
        self.id = id
        self.near = near
        self.message: str = entry["message"]
        self.severity: Severity = entry["severity"]
        self.error: str | None = entry.get("error")
        self.reason: str | None = entry.get("reason")
        self.repair: tuple[Mapping[str, Any], ...] = tuple(entry.get("repair", ()))
        self.strike = re.compile(entry["strike"]) if "strike" in entry else None
        self.field: str | None = entry.get("field")
        self.evidence: Mapping[str, Any] = entry["evidence"]

    def violation(self, at: str, value: Any, situation: str = "rules") -> Violation:
        """This rule, broken by `value` at the pointer `at`."""
        where = self.field or at
        values = _values(tokens(where), value) | ({"reason": self.reason} if self.reason else {})
        return Violation(self.id, where, self.message, self.severity, situation, self.error, values)


def _values(path: list[str], value: Any) -> dict[str, Any]:
    name = next((token for token in reversed(path) if not token.isdigit()), "")
    return {"field": name, "value": show(value)}


class Failed(Struct, frozen=True):
    """One error of a validator: the place and value of the keyword, and the place and value that it refused.

    `meant` says what a pattern is there for, in words.
    """

    reference: str
    keyword: str
    limit: Any
    path: list[str | int]
    value: Any
    meant: str = ""


class Schema:
    """One compiled schema. `violations` gives what is refused and, after it, what is off the documents."""

    __slots__ = ("_accepts", "_all", "_keys", "_subject", "_wants", "_without")

    def __init__(
        self, all_: Schemas, subject: str, accepts: Validator, wants: Validator, keys: tuple[str, ...], without: bool
    ) -> None:
        self._all, self._subject, self._accepts, self._wants = all_, subject, accepts, wants
        self._keys, self._without = keys, without

    def holds(self, value: Any) -> bool:
        """Whether `value` is accepted; much cheaper than asking for what is wrong with it.

        Most schemas of rules and features speak of keys that most bodies do not have: these need no validator.
        """
        if isinstance(value, dict):
            for key in self._keys:
                if key not in value:
                    return self._without
        return bool(self._accepts.is_valid(value))

    def violations(self, value: Any, stage: str, prefix: str = "") -> list[Violation]:
        """Everything wrong with `value`, in document order; `prefix` stands before each pointer.

        A rule speaks of a document of the right type: of one that is none, most hold or fail for no reason.
        """
        if self._wants.is_valid(value):
            return []
        refused = [] if self._accepts.is_valid(value) else self._errors(self._accepts, value)
        warned = self._errors(self._wants, value)
        places = {(error.reference, tuple(error.path)) for error in refused}
        found = self._made(refused, stage, prefix, "refused")
        known = {violation.pointer for violation in found}
        extra = [error for error in warned if (error.reference, tuple(error.path)) not in places]
        more = self._made(extra, stage, prefix, "warning")
        return found + [violation for violation in more if not _covered(violation.pointer, known)]

    def _errors(self, validator: Validator, value: Any) -> list[Failed]:
        return [self._failed(error) for error in validator.iter_errors(value)]

    def _failed(self, error: ValidationError) -> Failed:
        location = error.absolute_keyword_location or ""
        reference, limit = self._all.at(location)
        path: list[str | int] = list(error.instance_path)
        keyword, value = str(error.schema_path[-1]), error.instance
        number = ""
        if keyword == "pattern":
            schema = self._all.at(location.rpartition("/")[0])[1]
            bound = _bound(schema, value)
            number = "" if bound else meant(schema, value)
            keyword, limit = bound or (keyword, limit)
        if keyword == "required":
            path.append(error.kind.property)  # type: ignore[attr-defined]
            value = None
        return Failed(reference, keyword, limit, path, value, number)

    def _made(self, errors: list[Failed], stage: str, prefix: str, severity: Severity) -> list[Violation]:
        mistyped = {_at(error) for error in errors if error.keyword == "type" and not self._rule(error.reference)}
        kept = (error for error in errors if _at(error) not in mistyped or not self._rule(error.reference))
        made = (self._violation(error, stage, prefix, severity) for error in kept)
        unique = {(v.rule, v.pointer): v for v in made}
        return sorted(unique.values(), key=lambda v: (v.pointer, v.rule))

    def _violation(self, error: Failed, stage: str, prefix: str, severity: Severity) -> Violation:
        at = prefix + pointer(error.path)
        # What only the documents ask for breaks no rule: it is off the documented type, whoever speaks of it.
        if severity == "refused" and (rule := self._rule(error.reference)):
            found = rule.violation(prefix + pointer(_at(error)), error.value)
            choices = {"choices": error.limit} if error.keyword == "enum" and found.pointer == at else {}
            most = {"most": error.limit} if error.keyword in ("maxItems", "maxLength") and found.pointer == at else {}
            return replace(found, values={**found.values, **choices, **most})
        wild = pointer(["*" if isinstance(token, int) else token for token in error.path])
        names = [str(token) for token in error.path] or [prefix.rpartition("/")[2] or "request body"]
        return Violation(
            rule=f"{self._subject}{prefix and '/'}{prefix}{wild}/{error.keyword}",
            pointer=at,
            message=told(error.keyword, error.limit, error.value, error.meant),
            severity=severity,
            situation=f"{stage}.{error.keyword}" if severity == "refused" else "",
            values={**_values(names, error.value), "limit": text(error.limit)[:200], "bound": error.limit},
        )

    def _rule(self, reference: str) -> Rule | None:
        """The rule whose schema holds this keyword: walk the location upward."""
        return next((self._all.rules[above] for above in _upward(reference) if above in self._all.rules), None)


def _decided(node: Any) -> tuple[tuple[str, ...], bool]:
    """The keys without which an object needs no validator, and whether it holds then.

    What requires them fails; what is only a `not`, or only a condition, that requires them holds.
    """
    if not isinstance(node, dict):
        return (), False
    if "required" in node:
        return tuple(node["required"]), False
    inner = node.get("not") if set(node) == {"not"} else node.get("if") if set(node) == {"if", "then"} else None
    return tuple(inner.get("required", ())) if isinstance(inner, dict) else (), True


def _at(error: Failed) -> tuple[str | int, ...]:
    """Where the value is that a keyword refused: what lacks a key stands above the key."""
    return tuple(error.path[:-1] if error.keyword == "required" else error.path)


def _bound(schema: Any, value: Any) -> tuple[str, Any] | None:
    """The bound beside a pattern that a text which says a number breaks: it is then as wrong as the number."""
    number = convert(value, "number")
    if number is ABSENT or not isinstance(schema, dict):
        return None
    if number < schema.get("minimum", number):
        return "minimum", schema["minimum"]
    return ("maximum", schema["maximum"]) if number > schema.get("maximum", number) else None


def _covered(at: str, known: Collection[str]) -> bool:
    """Whether a pointer or one above it is known; a step for each level, however many are known."""
    while at and at not in known:
        at = at.rpartition("/")[0]
    return at in known


def unknown_keys(subject: str, found: Iterable[tuple[tuple[str | int, ...], frozenset[str]]]) -> Iterator[Violation]:
    """Warnings for keys that the schema does not know."""
    for path, known in found:
        wild = ["*" if isinstance(token, int) else token for token in path]
        yield _unknown(f"{subject}{pointer(wild)}", pointer(path), path[-1], known)


def unknown_parameters(subject: str, query: Iterable[str], known: Collection[str]) -> Iterator[Violation]:
    """Warnings for query parameters that an operation does not name."""
    for name in query:
        if name not in known:
            at = f"query/{name[:60]}"
            yield _unknown(f"{subject}/query/*", at, name[:60], known)


def _unknown(subject: str, at: str, name: str | int, known: Collection[str]) -> Violation:
    near = closest(str(name), known) if known else ""
    return Violation(
        rule=f"{subject}/unknown",
        pointer=at,
        message=MESSAGES["unknown"] + (near if near.startswith("; did") else ""),
        severity="warning",
        values={"field": escape(name)},
    )
