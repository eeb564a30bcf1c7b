"""Callbacks (webhooks): what the `callbacks` of a create promise, as dated rows for the outbox.

Which states are told, how long a receiver may take and when an attempt is repeated is data. A row is dated when the
task is made: it is due when its state begins. What is delivered is rendered from the task at the time of the attempt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from kling_mock.core import entropy as ids
from kling_mock.core.documents import Place
from kling_mock.core.durations import milliseconds
from kling_mock.core.expressions import Expression, ExpressionError, Scope, compile_text
from kling_mock.core.model import Attempt, Task, Webhook
from kling_mock.core.scenarios import Hooks
from kling_mock.core.templates import Template, by_variant

PLACE = re.compile(r"\{\$request\.(?:body#(?P<body>/.*)|(?P<where>header|query|path)\.(?P<name>.+))\}")


@dataclass(frozen=True, slots=True)
class Signing:
    """How a body is signed, in the scheme of Standard Webhooks: the names of the three headers, and the secret's form.

    `overlap_ms` is how long an old secret still signs after a rotation.
    """

    id_header: str
    timestamp_header: str
    signature_header: str
    prefix: str
    overlap_ms: int


@dataclass(frozen=True, slots=True)
class CallbackWords:
    """One callback of an operation. `retries` are the waits after each attempt that failed, in ms.

    `pointer` is where the request names the address, if it stands in one place.
    """

    url: Expression
    pointer: str
    method: str
    content_type: str
    bodies: Mapping[str, Template]
    states: frozenset[str]
    id: str
    timeout_ms: int
    retries: tuple[int, ...]
    stops: frozenset[int]
    signing: Signing | None

    def wanted(self, scope: Scope) -> str | None:
        """Where the request wants to be called back, if anywhere."""
        value = self.url(scope)
        return value if isinstance(value, str) and value else None


def webhooks(words: CallbackWords, task: Task, hooks: Hooks, since: int | None = None) -> tuple[Webhook, ...]:
    """A task's rows for the outbox: one for each moment of its timeline that is told, and a scenario's extra ones.

    `since` leaves out what is due before it (a task whose course was changed then).
    """
    if task.callback is None:
        return ()
    moments = [(number, moment) for number, moment in enumerate(task.timeline) if moment.state in words.states]
    rows = [
        Webhook(
            id=ids.draw(words.id, task.entropy, f"webhook {number} {moment.at}"),
            provider=task.provider,
            account=task.account,
            task=task.id,
            url=task.callback,
            state=hooks.state if hooks.state and number == len(task.timeline) - 1 else moment.state,
            changed=moment.at,
            due=moment.at,
            copy=copy,
            forged=hooks.forged,
            takes=hooks.takes,
            taken_for=hooks.taken_for,
        )
        for number, moment in moments
        for copy in range(hooks.copies)
    ]
    if hooks.reversed and rows:
        last = max(row.due for row in rows)
        rows = [replace(row, due=last) for row in reversed(rows)]
    return tuple(row for row in rows if since is None or row.due >= since)


def taken(attempt: Attempt) -> bool:
    """Whether the receiver took what was sent, whatever its sender made of its answer."""
    return _fine(attempt.status if attempt.said is None else attempt.said)


def _fine(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def attempted(words: CallbackWords, row: Webhook, attempt: Attempt) -> Webhook:
    """The row after an attempt: delivered, given up, or due again one step after it was due before."""
    attempt = _read(words, row, attempt)
    attempts = (*row.attempts, attempt)
    if _fine(attempt.status):
        return replace(row, attempts=attempts, outcome="delivered")
    if attempt.status in words.stops or len(attempts) > len(words.retries):
        why = f"the receiver answered {attempt.status}" if attempt.status in words.stops else "no attempt was left"
        return replace(row, attempts=attempts, outcome="given up", reason=why)
    return replace(row, attempts=attempts, due=row.due + words.retries[len(attempts) - 1])


def _read(words: CallbackWords, row: Webhook, attempt: Attempt) -> Attempt:
    """An attempt as its sender reads it: a scenario may have it misread what the receiver answered."""
    if attempt.status is None or len(row.attempts) >= row.takes:
        return attempt
    told = f"the receiver answered {attempt.status}"
    late = f"no answer within {words.timeout_ms / 1000:g} s ({told} in time)"
    error = late if row.taken_for is None else f"{told}, taken for {row.taken_for}"
    return replace(attempt, status=row.taken_for, said=attempt.status, error=error)


def compile_callbacks(place: Place, variants: tuple[str, ...]) -> tuple[CallbackWords, ...]:
    """Read an operation's `callbacks`. Raises `SpecError`."""
    found = []
    for _, callback in place.items():
        for expression, item in callback.items():
            found += [_callback(expression, item, method, post, variants) for method, post in _methods(item)]
    return tuple(found)


def _methods(item: Place) -> Iterator[tuple[str, Place]]:
    return ((method, row) for method, row in item.items() if method in ("post", "put"))


def _callback(expression: str, item: Place, method: str, place: Place, variants: tuple[str, ...]) -> CallbackWords:
    words = place.get("x-mock-webhook")
    if not isinstance(words.node, Mapping):
        raise place.error("a callback needs x-mock-webhook: which states it tells, and when it is tried again")
    try:
        url = compile_text(expression)
    except ExpressionError as error:
        raise item.error(str(error)) from None
    content_type, media = next(place.get("requestBody").get("content").items(), ("", None))
    if media is None:
        raise place.get("requestBody").error("a callback needs a body")
    node = words.node
    return CallbackWords(
        url=url if callable(url) else _constant(url),
        pointer=_pointer(expression),
        method=method.upper(),
        content_type=node.get("content_type", content_type),
        bodies=by_variant(media, variants),
        states=frozenset(node["states"]),
        id=node.get("id", "{uuid}"),
        timeout_ms=milliseconds(node["timeout"]),
        retries=tuple(milliseconds(step) for step in node["retries"]),
        stops=frozenset(node.get("stops", ())),
        signing=_signing(words.get("signing")),
    )


def _pointer(expression: str) -> str:
    match = PLACE.fullmatch(expression)
    if match is None:
        return ""
    return match["body"] or f"{match['where']}/{match['name']}".lower()


def _constant(value: Any) -> Expression:
    return lambda scope: value


def _signing(place: Place) -> Signing | None:
    node = place.node
    if not isinstance(node, Mapping):
        return None
    headers = node["headers"]
    return Signing(
        headers["id"], headers["timestamp"], headers["signature"], node["secret"], milliseconds(node["overlap"])
    )


def called_back(words: tuple[CallbackWords, ...], scope: Scope) -> str | None:
    """Where a request wants its callbacks, by the first of the operation's callbacks that it names an address for."""
    return next((url for row in words if (url := row.wanted(scope)) is not None), None)


def asked_at(words: tuple[CallbackWords, ...], scope: Scope) -> str:
    """The pointer of the address that `called_back` finds."""
    return next((row.pointer for row in words if row.wanted(scope) is not None), "")
