"""A provider's errors as three tables: envelopes, a catalogue, and which entry answers which situation.

The situations are the closed set of reasons for which this mock can refuse a request. A provider's table names an
entry for each, either exactly ("token.expired") or for a whole stage ("token"); `order` ranks the stages, and the
first stage that fails gives the reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kling_mock.core.documents import Place
from kling_mock.core.expressions import Scope
from kling_mock.core.model import Reply, Violation
from kling_mock.core.problems import closest
from kling_mock.core.templates import Template, compile_template

SITUATIONS: Mapping[str, str] = {
    "route.path": "no operation has this path",
    "route.method": "the path has no operation of this method",
    "token.missing": "no credential",
    "token.malformed": "a credential of no known form",
    "token.encoding": "three parts, as a token has them, that cannot be decoded",
    "token.algorithm": "a token signed with an algorithm that is not accepted, or not signed",
    "token.claims": "a token without the claims that are needed",
    "token.unknown": "a credential of nobody",
    "token.signature": "a token whose signature is wrong",
    "token.not-yet-valid": "a token from the future",
    "token.expired": "a token that has expired",
    "body.size": "more bytes than the server takes",
    "body.media-type": "a content type that the operation does not take",
    "body.syntax": "no well-formed document of that content type",
    "body.schema": "a body that breaks its schema; body.KEYWORD answers one keyword",
    "parameters.schema": "a path, query or header parameter that breaks its schema",
    "rules": "a rule of rules.yaml that names no error of its own",
    "capabilities": "a feature that the model does not have",
    "task.unknown": "no such task, or another account's",
    "task.unfinished": "a task that has not succeeded yet is built upon",
    "task.finished": "a task that has ended cannot be changed",
    "alias.taken": "the alias belongs to another task of the account",
    "balance.empty": "the pack holds less than the price",
    "slots.full": "as many open tasks as the account may have",
    "mock.failure": "the mock itself failed",
}
OWN = "mock/"
"""Begins the ids of rules that are the mock's own: after it stands the situation."""
RENAMED: Mapping[str, str] = {"failure": "mock.failure", "http.syntax": "body.syntax"}
STAGES = tuple(dict.fromkeys(situation.partition(".")[0] for situation in SITUATIONS))
KEYWORDS = frozenset(
    {"type", "enum", "const", "required", "additionalProperties", "minItems", "maxItems", "uniqueItems"}
    | {"minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    | {"multipleOf", "anyOf", "oneOf", "not"}
)
SPECIAL = frozenset({"status", "envelope", "headers", "evidence"})


def situation_of(rule: str) -> str | None:
    """The situation that a rule of the mock's own is about; None for any other name."""
    name = rule.removeprefix(OWN)
    name = RENAMED.get(name, name)
    return name if rule.startswith(OWN) and name in SITUATIONS else None


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One error: its status, the envelope it comes in, its headers and the values the envelope speaks of."""

    name: str
    status: int
    envelope: Template
    headers: Template
    values: Template
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """A provider's three tables, compiled, and the `place` where they are written."""

    place: Place
    catalogue: Mapping[str, CatalogueEntry]
    order: Mapping[str, int]
    situations: Mapping[str, str]

    def answer(self, violation: Violation) -> str:
        """The name of the catalogue entry that answers a violation."""
        return violation.error if violation.error is not None else self.answering(violation.situation)

    def answering(self, situation: str) -> str:
        """The name of the catalogue entry that answers a situation: its own, a keyword's schema's, its stage's."""
        stage, _, detail = situation.partition(".")
        names = (situation, f"{stage}.schema", stage) if detail in KEYWORDS else (situation, stage)
        return next(self.situations[name] for name in names if name in self.situations)

    def answered(self, name: str) -> list[str]:
        """The situations that a catalogue entry answers."""
        return [situation for situation, answer in self.situations.items() if answer == name]

    def rank(self, violation: Violation) -> int:
        """The place of the violation's stage in the provider's order."""
        return self.order[violation.stage]

    def reply(self, name: str, scope: Scope) -> Reply:
        """The reply that a catalogue entry makes in `scope`."""
        entry = self.catalogue[name]
        values = entry.values(scope)
        inner = {**scope, "error": {"status": entry.status, "name": name, **values}}
        return Reply(entry.status, entry.envelope(inner), entry.headers(inner), error=name)


def compile_errors(place: Place) -> ErrorTable:
    """Read the three tables. Raises `SpecError` for unknown names and for situations without an answer."""
    envelopes = {name: compile_template(body) for name, body in place.get("envelopes").items()}
    first = next(iter(envelopes))
    catalogue = {}
    for name, row in place.get("catalogue").items():
        envelope = row.node.get("envelope", first)
        if envelope not in envelopes:
            raise row.get("envelope").error(f"unknown envelope {envelope!r}{closest(envelope, envelopes)}")
        catalogue[name] = _entry(name, row, envelopes[envelope])
    _check_situations(place, catalogue)
    order = place.get("order").node
    if sorted(order) != sorted(STAGES):
        raise place.get("order").error(f"must name each stage once: {', '.join(STAGES)}")
    return ErrorTable(place, catalogue, {stage: i for i, stage in enumerate(order)}, dict(place.get("situations").node))


def _entry(name: str, row: Place, envelope: Template) -> CatalogueEntry:
    values = {key: value for key, value in row.node.items() if key not in SPECIAL}
    return CatalogueEntry(
        name=name,
        status=row.node["status"],
        envelope=envelope,
        headers=compile_template(row.get("headers", {})),
        values=compile_template(Place(row.documents, row.file, row.at, values)),
        evidence=row.node["evidence"],
    )


def _check_situations(place: Place, catalogue: Mapping[str, CatalogueEntry]) -> None:
    rows = place.get("situations")
    for name, row in rows.items():
        stage, _, detail = name.partition(".")
        known = name in SITUATIONS or name in STAGES or (stage in ("body", "parameters") and detail in KEYWORDS)
        if not known:
            raise row.error(f"unknown situation {name!r}{closest(name, [*SITUATIONS, *STAGES])}")
        if row.node not in catalogue:
            raise row.error(f"no error {row.node!r} in the catalogue{closest(str(row.node), catalogue)}")
    for name in SITUATIONS:
        if name not in rows.node and name.partition(".")[0] not in rows.node:
            raise rows.error(f"nothing answers the situation {name!r} ({SITUATIONS[name]})")
