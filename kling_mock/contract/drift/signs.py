"""Signs of drift: what a recorded exchange shows and the specs do not explain.

An exchange is explained when its reply is as documented, an error is one that the catalogue makes, states are known and
come in an order that the lifecycle allows, and what was accepted or refused is what the rules accept or refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.drift import novelties, sightings
from kling_mock.contract.drift.exchanges import Recorded
from kling_mock.contract.drift.novelties import Novelty
from kling_mock.contract.drift.requests import Measure, abridged, judged, keyword_of, refused, strange_keys
from kling_mock.contract.replies import UNSEEN, Misfit, ReplyJudge, Unseen
from kling_mock.core.calls import body_for
from kling_mock.core.documents import pointer
from kling_mock.core.expressions import ABSENT
from kling_mock.core.judging import Judgement
from kling_mock.core.messages import json_type, show
from kling_mock.core.provider import Operation, Provider

Kind = Literal[
    "unknown-path",
    "unknown-status",
    "unknown-content-type",
    "no-json",
    "unknown-field",
    "missing-field",
    "new-value",
    "wrong-type",
    "off-bounds",
    "new-error-text",
    "new-error-code",
    "new-error-status",
    "new-error-envelope",
    "new-state",
    "mixed-states",
    "illegal-transition",
    "accepted-though-refused",
    "refused-though-accepted",
    "unknown-request-field",
]
KINDS: Mapping[str, Kind] = {
    "status": "unknown-status",
    "content-type": "unknown-content-type",
    "syntax": "no-json",
    "unknown": "unknown-field",
    "required": "missing-field",
    "enum": "new-value",
    "const": "new-value",
    "type": "wrong-type",
}
WEAK: frozenset[Kind] = frozenset({"unknown-request-field"})
"""What alone is no drift: many a provider takes any key and ignores it."""
NOT_OF_THE_REQUEST = frozenset({401, 402, 403, 404, 405, 407, 408, 429})
"""Statuses of refusals that say nothing of the request's content."""
UNNAMED = "is a key that the documents do not name, in a request that was accepted; it may have been ignored"
OF_HTTP = ("status", "content-type")
SEGMENT_OF_AN_ID = re.compile(r"[^/]*[0-9]{4}[^/]*|[0-9a-f-]{12,}")


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing in one exchange that the specs do not explain. What has the same `key` is the same drift.

    `about` is what a suggestion needs to know: a `Misfit`, a `Novelty`, a `Violation`, words of a state.
    """

    kind: Kind
    key: tuple[Any, ...]
    operation: str
    pointer: str
    message: str
    one: Recorded
    about: Any = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """A reply and what is found of it: whether its body is `known`, whether it is an error, and what is new in that."""

    operation: Operation
    path: Mapping[str, str]
    one: Recorded
    misfits: list[Misfit]
    known: bool
    error: bool
    new: Novelty | None


Courses = dict[str, sightings.Course]


class Comparison:
    """Compares exchanges with the documents of one provider. `measure` tells a picture's facts."""

    def __init__(self, agreement: Agreement, measure: Measure | None = None) -> None:
        self.provider, self.root, self.catalogue = agreement.provider, agreement.root, agreement.errors
        self.measure = measure
        self.judge = ReplyJudge(agreement.documents, self.provider.name)
        self._pages = _pages(self.provider)
        self._templates = {name: [form.template for form in forms] for name, forms in agreement.forms.items()}

    def signs(self, exchanges: Iterable[Recorded]) -> Iterator[Sign]:
        """Everything that the exchanges, in the order of time, show and the documents do not explain."""
        seen: Courses = {}
        for one in exchanges:
            if one.status >= 500 and one.reply is ABSENT and _type(one.content_type) in self._pages:
                continue  # a page of something in between, as the scenarios of the wire show it
            operations, path = routed(self.provider, one) or ({}, {})
            operation = operations.get(one.method) or (operations.get("GET") if one.method == "HEAD" else None)
            if operation is None:
                yield from self._unknown(one)
                continue
            look = self._look(operation, path, one)
            yield from self._reply(look)
            if not isinstance(one.document, Unseen):
                yield from self._request(look)
            if look.known and not look.error:
                yield from self._states(operation, one, seen)

    def _look(self, operation: Operation, path: Mapping[str, str], one: Recorded) -> Look:
        """A reply held against the documents and the catalogue of errors."""
        body = UNSEEN if one.method == "HEAD" else one.reply
        misfits = self.judge.misfits(operation.id, one.status, one.content_type, body)
        fits = all(row.violation.severity == "warning" for row in misfits)
        known = body is not ABSENT and not isinstance(body, Unseen)
        error = self.catalogue.is_error(body, one.status, fits) if known else one.status >= 300
        new = novelties.novelty(self.catalogue, body, one.status, _asked(one, path)) if known and error else None
        return Look(operation, path, one, misfits, known, error, new)

    def _unknown(self, one: Recorded) -> Iterator[Sign]:
        """A path or method that the documents do not have: fine as long as the provider says so too."""
        body = one.reply
        if one.status >= 400:
            if body is ABSENT or isinstance(body, Unseen):
                return
            new = novelties.novelty(self.catalogue, body, one.status, _asked(one, {}))
            if new is not None:
                yield _error("", one, new)
            return
        path = "/".join("{id}" if SEGMENT_OF_AN_ID.fullmatch(part) else part for part in one.path.split("/"))
        message = f"no operation is {one.method} {path}; it answered {one.status}"
        yield Sign("unknown-path", (one.method, path), "", "", message, one, about=path)

    def _reply(self, look: Look) -> Iterator[Sign]:
        """What the documents do not say of a reply. An error of another form is one thing, not a list of its keys."""
        for row in look.misfits:
            if look.new is None or look.new.kind != "new-error-envelope" or (not row.path and row.keyword in OF_HTTP):
                yield _misfit(look.operation, row, look.one)
        if look.new is not None:
            yield _error(look.operation.id, look.one, look.new)

    def _request(self, look: Look) -> Iterator[Sign]:
        """Where the rules and the provider differ over a request."""
        judgement = judged(self.provider, look.operation, look.path, look.one, self.measure)
        if not look.error:
            yield from self._stricter(look.operation, look.one, judgement)
            yield from self._unnamed(look.operation, look.one)
        elif look.known and not abridged(look.one.document):
            yield from self._laxer(look.operation, look.one, judgement, look.new)

    def _stricter(self, operation: Operation, one: Recorded, judgement: Judgement) -> Iterator[Sign]:
        """What was accepted, and the rules refuse."""
        kind: Kind = "accepted-though-refused"
        media_type = _type(one.headers.get("content-type"))
        if one.document is not ABSENT and operation.bodies and body_for(operation, media_type) is None:
            message = f"a body of the type {media_type} was accepted; the documents know {', '.join(operation.bodies)}"
            yield Sign(kind, (operation.id, media_type), operation.id, "", message, one, about=media_type)
        for violation in refused(judgement, one):
            message = f"was accepted, against our rule: {violation.message} [{violation.rule}]"
            misfit = keyword_of(self.judge, operation, violation, one)
            key = (violation.rule, repr(misfit.value) if misfit and misfit.keyword == "enum" else "")
            more = {"misfit": misfit, "job": judgement.parameters, "operation": operation}
            yield Sign(kind, key, operation.id, _starred(violation.pointer), message, one, violation, more)

    def _unnamed(self, operation: Operation, one: Recorded) -> Iterator[Sign]:
        """Keys that a request had and no schema names, where it was accepted."""
        for row in strange_keys(self.judge, operation, one):
            key, message = (row.place.file, row.place.at, row.path[-1]), UNNAMED
            yield Sign("unknown-request-field", key, operation.id, _wild(row.path), message, one, row)

    def _laxer(self, operation: Operation, one: Recorded, judgement: Judgement, new: Novelty | None) -> Iterator[Sign]:
        """What was refused for what it asks for, and the rules accept."""
        if judgement.refused or one.status in NOT_OF_THE_REQUEST or one.status >= 500:
            return
        names = self.catalogue.made_by(one.reply, one.status)
        if new is not None:
            names = [new.like] if new.like else []
            mine = new.kind in ("new-error-text", "new-error-code") and operation.role == "create"
        else:
            mine = bool(names)
        if mine and all(novelties.judged(self.provider, name, operation) for name in names):
            says = new.text if new else novelties.said(self.catalogue, one.reply)
            message = f"was refused ({one.status}: {says}); our rules accept it"
            more = {"judgement": judgement, "operation": operation, "error": None if new else names[0], "new": new}
            yield Sign("refused-though-accepted", (operation.id, says), operation.id, "", message, one, says, more)

    def _states(self, operation: Operation, one: Recorded, seen: Courses) -> Iterator[Sign]:
        """Words for states that no state has, and tasks that took a way that there is not."""
        lifecycle = self.provider.lifecycle
        for sighting in sightings.sightings(self._templates[operation.id], one.reply):
            strange = sightings.strange(lifecycle, sighting)
            for word in strange:
                message = f"no state has the word {show(word.value)} for {word.column}"
                course = seen.get(sighting.id or "", sightings.Course())
                more = {"before": course.before(one.at or 0), "words": sighting.words}
                key = (word.column, repr(word.value))
                yield Sign("new-state", key, operation.id, _starred(word.pointer), message, one, word, more)
            states = sightings.states(lifecycle, sighting.words)
            if strange or not sighting.words:
                continue
            if not states:
                told = ", ".join(f"{word.column} {show(word.value)}" for word in sighting.words)
                message = f"no state has these words together: {told}"
                yield Sign("mixed-states", (told,), operation.id, _starred(sighting.words[0].pointer), message, one)
            elif sighting.id is not None:
                yield from self._course(
                    operation, one, sighting, states, seen.setdefault(sighting.id, sightings.Course())
                )

    def _course(
        self,
        operation: Operation,
        one: Recorded,
        sighting: sightings.Sighting,
        states: frozenset[str],
        course: sightings.Course,
    ) -> Iterator[Sign]:
        """Whether a task may be in one of these states after those that it was seen in by calls that had ended."""
        start = one.at or 0
        before = course.before(start)
        course.saw(start, start + one.took, states)
        if before and not sightings.may_follow(self.provider.lifecycle, before, states):
            was, now = " or ".join(sorted(before)), " or ".join(sorted(states))
            message = f"a task was {now} after it had been {was}; no way leads there"
            at = _starred(sighting.words[0].pointer)
            yield Sign("illegal-transition", (was, now), operation.id, at, message, one, (before, states))


def _asked(one: Recorded, path: Mapping[str, str]) -> Any:
    """All that a message may repeat of a request."""
    document = None if one.document is ABSENT or isinstance(one.document, Unseen) else one.document
    return [dict(path), document, [part.partition("=")[2] for part in one.query.split("&")]]


def routed(provider: Provider, one: Recorded) -> tuple[Mapping[str, Operation], Mapping[str, str]] | None:
    """The operations of a call's path, and its parameters; on a foreign host something may stand before the path."""
    path = one.path
    found = provider.routes.find(path)
    while found is None and one.host not in provider.hosts and "/" in path[1:]:
        path = path[path.index("/", 1) :]
        found = provider.routes.find(path)
    return found


def _misfit(operation: Operation, row: Misfit, one: Recorded) -> Sign:
    kind = KINDS.get(row.keyword, "off-bounds")
    detail: Any = row.path[-1] if row.keyword in ("unknown", "required") else ""
    if kind == "new-value" or row.keyword in ("status", "content-type"):
        detail = repr(row.value) if row.keyword != "content-type" else _type(str(row.value))
    if kind == "wrong-type":
        detail = json_type(row.value)
    message = "is missing, and the documents require it" if kind == "missing-field" else row.violation.message
    key = (row.place.file, row.place.at, detail)
    return Sign(kind, key, operation.id, _wild(row.path), message, one, row)


def _error(operation: str, one: Recorded, new: Novelty) -> Sign:
    if new.kind == "new-error-envelope":
        keys = ", ".join(one.reply) if isinstance(one.reply, dict) else json_type(one.reply)
        message = f"an error of status {one.status} in a form that no envelope has: {keys}"
        return Sign(new.kind, (one.status, keys), operation, "", message, one, new)
    values = ", ".join(f"{name} {value}" for name, value in new.values.items())
    like = f"; the nearest is {new.like}" if new.like else ""
    message = {
        "new-error-status": f"the error {new.like} came with the status {one.status}",
        "new-error-code": f"no error of the catalogue has this code: {values}",
        "new-error-text": f"no error of the catalogue says this: {values}{like}",
    }[new.kind]
    return Sign(new.kind, (new.like, message), operation, new.pointer, message, one, new)


def _wild(path: Iterable[str | int]) -> str:
    return pointer("*" if isinstance(step, int) else step for step in path)


def _starred(at: str) -> str:
    return re.sub(r"/[0-9]+(?=/|$)", "/*", at)


def _type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _pages(provider: Provider) -> frozenset[str]:
    """The content types in which something between client and provider answers, by the scenarios of the wire."""
    answers = (answer for scenario in provider.scenarios.values() for answer in scenario.answers)
    return frozenset(_type(answer.raw.content_type) for answer in answers if answer.raw and answer.raw.text)
