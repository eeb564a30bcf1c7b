"""Signs of drift: what a recorded exchange shows and the specs do not explain.

An exchange is explained when its reply is as documented, an error is one that the catalogue makes, states are known and
come in an order that the lifecycle allows, and what was accepted or refused is what the rules accept or refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kling_mock.contract import sightings
from kling_mock.contract.catalogue import Catalogue, Novelty
from kling_mock.contract.recordings import Recorded
from kling_mock.contract.replies import UNSEEN, Misfit, ReplyJudge, Unseen
from kling_mock.contract.requests import Measure, abridged, judged, keyword_of, refused
from kling_mock.core.calls import body_for
from kling_mock.core.documents import Documents, Place, pointer
from kling_mock.core.expressions import ABSENT
from kling_mock.core.judging import Judgement
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.schemas import json_type, show

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
NOT_OF_THE_REQUEST = frozenset({401, 402, 403, 404, 405, 407, 408, 429})
"""Statuses of refusals that say nothing of the request's content."""
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


class Comparison:
    """Compares exchanges with the documents of one provider. `measure` tells a picture's facts."""

    def __init__(self, provider: Provider, documents: Documents, measure: Measure | None = None) -> None:
        file = f"{provider.name}/openapi.yaml"
        self.provider, self.measure = provider, measure
        self.root = Place(documents, file, "", documents[file])
        self.judge = ReplyJudge(documents, provider.name)
        self.catalogue = Catalogue(self.root, provider)
        self._pages = _pages(provider)

    def signs(self, exchanges: Iterable[Recorded]) -> Iterator[Sign]:
        """Everything that the exchanges, in the order of time, show and the documents do not explain."""
        seen: dict[str, list[tuple[Recorded, frozenset[str]]]] = {}
        for one in exchanges:
            if one.status >= 500 and one.reply is ABSENT and _type(one.content_type) in self._pages:
                continue  # a page of something in between, as the scenarios of the wire show it
            operation, path = self._operation(one)
            if operation is None:
                yield from self._unknown(one)
                continue
            yield from self._reply(operation, path, one)
            if self._shows_tasks(operation, one):
                yield from self._states(operation, one, seen)

    def _operation(self, one: Recorded) -> tuple[Operation | None, Mapping[str, str]]:
        """The operation that was called."""
        if found := routed(self.provider, one):
            return found[0].get(one.method) or found[0].get("GET" if one.method == "HEAD" else ""), found[1]
        return None, {}

    def _unknown(self, one: Recorded) -> Iterator[Sign]:
        """A path or method that the documents do not have: fine as long as the provider says so too."""
        body = one.reply
        if one.status >= 400:
            if body is ABSENT or isinstance(body, Unseen):
                return
            new = self.catalogue.novelty(one.status, body, self._asked(one, {}))
            if new is not None:
                yield _error("", one, new)
            return
        path = "/".join("{id}" if SEGMENT_OF_AN_ID.fullmatch(part) else part for part in one.path.split("/"))
        message = f"no operation is {one.method} {path}; it answered {one.status}"
        yield Sign("unknown-path", (one.method, path), "", "", message, one, about=path)

    def _shows_tasks(self, operation: Operation, one: Recorded) -> bool:
        """Whether a reply is a good one with a body."""
        if isinstance(one.reply, Unseen) or one.reply is ABSENT or one.status >= 300:
            return False
        return not self._is_error(one, self.judge.misfits(operation.id, one.status, one.content_type, one.reply))

    def _is_error(self, one: Recorded, misfits: Iterable[Misfit]) -> bool:
        """Whether a known body is an error, whatever its status says."""
        fits = all(row.violation.severity == "warning" for row in misfits)
        return self.catalogue.is_error(one.status, one.reply, fits)

    def _asked(self, one: Recorded, path: Mapping[str, str]) -> Any:
        """All that a message may repeat of a request."""
        document = None if one.document is ABSENT or isinstance(one.document, Unseen) else one.document
        return [dict(path), document, [part.partition("=")[2] for part in one.query.split("&")]]

    def _reply(self, operation: Operation, path: Mapping[str, str], one: Recorded) -> Iterator[Sign]:
        body = one.reply
        if one.method == "HEAD":
            body = UNSEEN
        misfits = self.judge.misfits(operation.id, one.status, one.content_type, body)
        known = body is not ABSENT and not isinstance(body, Unseen)
        error = one.status >= 400 or (known and self._is_error(one, misfits))
        new = self.catalogue.novelty(one.status, body, self._asked(one, path)) if known and error else None
        if new is not None and new.kind == "new-error-envelope":
            misfits = [row for row in misfits if row.keyword in ("status", "content-type")]
        yield from (_misfit(operation, row, one) for row in misfits)
        if new is not None:
            yield _error(operation.id, one, new)
        if isinstance(one.document, Unseen):
            return
        judgement = judged(self.provider, operation, path, one, self.measure)
        if not error and one.status < 300:
            yield from self._stricter(operation, one, judgement)
        elif known and error and not abridged(one.document):
            yield from self._laxer(operation, one, judgement, new)

    def _stricter(self, operation: Operation, one: Recorded, judgement: Judgement) -> Iterator[Sign]:
        """What was accepted, and the rules refuse."""
        kind: Kind = "accepted-though-refused"
        if (
            one.document is not ABSENT
            and operation.bodies
            and body_for(operation, one.headers.get("content-type", "")) is None
        ):
            media_type = _type(one.headers.get("content-type"))
            message = f"a body of the type {media_type} was accepted; the documents know {', '.join(operation.bodies)}"
            yield Sign(kind, (operation.id, media_type), operation.id, "", message, one, about=media_type)
        for violation in refused(judgement, one):
            message = f"was accepted, against our rule: {violation.message} [{violation.rule}]"
            misfit = keyword_of(self.judge, operation, violation, one)
            key = (violation.rule, repr(misfit.value) if misfit and misfit.keyword == "enum" else "")
            more = {"misfit": misfit, "job": judgement.parameters, "operation": operation}
            yield Sign(kind, key, operation.id, _starred(violation.pointer), message, one, violation, more)

    def _laxer(self, operation: Operation, one: Recorded, judgement: Judgement, new: Novelty | None) -> Iterator[Sign]:
        """What was refused for what it asks for, and the rules accept."""
        if judgement.refused or one.status in NOT_OF_THE_REQUEST or one.status >= 500:
            return
        names = self.catalogue.made_by(one.status, one.reply)
        if new is not None:
            names = [new.like] if new.like else []
            mine = new.kind in ("new-error-text", "new-error-code") and operation.role == "create"
        else:
            mine = bool(names)
        if mine and all(self.catalogue.judged(name, operation) for name in names):
            says = new.text if new else self.catalogue.text(one.reply)
            message = f"was refused ({one.status}: {says}); our rules accept it"
            more = {"judgement": judgement, "operation": operation, "error": None if new else names[0], "new": new}
            yield Sign("refused-though-accepted", (operation.id, says), operation.id, "", message, one, says, more)

    def _states(
        self, operation: Operation, one: Recorded, seen: dict[str, list[tuple[Recorded, frozenset[str]]]]
    ) -> Iterator[Sign]:
        """Words for states that no state has, and tasks that took a way that there is not."""
        place, lifecycle = self.judge.operations[operation.id], self.provider.lifecycle
        for sighting in sightings.sightings(sightings.templates(place), one.reply):
            strange = sightings.strange(lifecycle, sighting)
            for word in strange:
                message = f"no state has the word {show(word.value)} for {word.column}"
                last = seen.get(sighting.id or "", [])
                more = {"before": last[-1][1] if last else frozenset(), "words": sighting.words}
                key = (word.column, repr(word.value))
                yield Sign("new-state", key, operation.id, _wild(word.path), message, one, word, more)
            states = sightings.states(lifecycle, sighting.words)
            if strange or not sighting.words:
                continue
            if not states:
                told = ", ".join(f"{word.column} {show(word.value)}" for word in sighting.words)
                message = f"no state has these words together: {told}"
                yield Sign("mixed-states", (told,), operation.id, _wild(sighting.words[0].path), message, one)
            elif sighting.id is not None:
                yield from self._course(operation, one, sighting, states, seen.setdefault(sighting.id, []))

    def _course(
        self,
        operation: Operation,
        one: Recorded,
        sighting: sightings.Sighting,
        states: frozenset[str],
        before: list[tuple[Recorded, frozenset[str]]],
    ) -> Iterator[Sign]:
        """Whether a task may be in one of these states after those that it was seen in by calls that had ended."""
        ended = [was for other, was in before if (other.at or 0) + other.took <= (one.at or 0)]
        before.append((one, states))
        if ended and not sightings.may_follow(self.provider.lifecycle, ended[-1], states):
            was, now = " or ".join(sorted(ended[-1])), " or ".join(sorted(states))
            message = f"a task was {now} after it had been {was}; no way leads there"
            at = _wild(sighting.words[0].path)
            yield Sign("illegal-transition", (was, now), operation.id, at, message, one, (ended[-1], states))


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
    return Sign(new.kind, (new.like, message), operation, pointer(new.path), message, one, new)


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
