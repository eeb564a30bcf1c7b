"""The phase of webhooks: what comes to a callback's address, held against what a query says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from kling_mock.contract.agreement import Agreement, Sighting, closest
from kling_mock.contract.caller import Caller
from kling_mock.contract.messages import Message
from kling_mock.contract.phases.following import Follower
from kling_mock.contract.phases.jobs import Jobs
from kling_mock.contract.phases.placing import put
from kling_mock.contract.probes import Probe
from kling_mock.contract.receiver import Got, Receiver
from kling_mock.core import signing
from kling_mock.core.callbacks import CallbackWords
from kling_mock.core.documents import Place, tokens
from kling_mock.core.provider import Operation

PATIENCE_S = 5.0
"""Seconds of the machine's time in which what is due has to come."""
GRACE_S = 0.1
"""Seconds of the machine's time in which what is too much would come."""


def webhooks(agreement: Agreement, jobs: Jobs) -> Iterator[Probe]:
    """A probe for each callback of each create. Only a mock on this machine can reach a receiver on it."""
    for operation in jobs.creates:
        job = jobs.of(operation)
        if job is None:
            continue
        for words in operation.callbacks:
            for name, run in WAYS.items():
                probe = partial(run, jobs=jobs, job=job, words=words)
                of = f"{operation.id}, {words.pointer.removeprefix('/')}{name}"
                yield Probe("webhooks", of, probe, (job,), only_mock=True, operation=operation.id)


def webhook(caller: Caller, jobs: Jobs, job: Message, words: CallbackWords) -> None:
    """Each state that is told comes once, in order, signed, and shows the task as a query does."""
    secret = _secret(caller, words)
    follower, expected, came = _received(caller, jobs, job, words)
    shown = [_shown(caller, follower, words, got) for got in _different(words, came)]
    _compare(caller, follower, expected, [row for row in shown if row is not None])
    for got in came if secret else ():
        _signed(caller, follower, words, secret, got)


def repeated(caller: Caller, jobs: Jobs, job: Message, words: CallbackWords) -> None:
    """What a receiver did not take comes again, the same to the byte, and nothing else does."""
    if not words.retries:
        return
    follower, expected, came = _received(caller, jobs, job, words, lambda number: 200 if number else 503, more=1)
    if len(came) != len(expected) + 1 or [got.body for got in came].count(came[0].body) != 2:
        told = "a webhook that was not taken did not come again"
        caller.fail("webhook", told, follower.created, expected=len(expected) + 1, got=len(came))


def stopped(caller: Caller, jobs: Jobs, job: Message, words: CallbackWords) -> None:
    """A receiver that wants no more of one gets it no more; asked for by hand it comes once again."""
    stop = next(iter(sorted(words.stops)), None)
    if stop is None or caller.control is None:
        return
    follower, expected, came = _received(caller, jobs, job, words, lambda number: stop, more=1, replay=True)
    if len(came) != len(expected) + 1:
        told = f"of webhooks that were answered {stop} each should come once, and the first again when asked for"
        caller.fail("webhook", told, follower.created, expected=len(expected) + 1, got=len(came))
    elif came[-1].body != came[0].body:
        caller.fail("webhook", "a replay is not what was sent before", follower.created, got=came[-1].document)


WAYS: Mapping[str, Callable[..., None]] = {"": webhook, ", not taken at first": repeated, ", not wanted": stopped}


def _received(
    caller: Caller,
    jobs: Jobs,
    job: Message,
    words: CallbackWords,
    status: Callable[[int], int] = lambda number: 200,
    more: int = 0,
    replay: bool = False,
) -> tuple[Follower, list[str], list[Got]]:
    """A task that is followed to its end, the states that its callback promises, and what came."""
    message, _ = jobs.with_parent(job, caller)
    with Receiver(status) as receiver:
        seen = caller.call(_calling_back(message, words, receiver.url))
        caller.accepted(seen)
        follower = Follower(caller, seen)
        follower.to_the_end()
        expected = _told(caller, words, follower)
        if replay:
            receiver.came(len(expected), PATIENCE_S)
            _replay(caller)
        receiver.came(len(expected) + more, PATIENCE_S)
        time.sleep(GRACE_S)
        return follower, expected, list(receiver.got)


def _replay(caller: Caller) -> None:
    """Ask the mock for the account's first webhook once more."""
    assert caller.control is not None
    rows = caller.control.call("GET", f"/_mock/webhooks?account={caller.account}")["webhooks"]
    if rows:
        caller.control.call("POST", f"/_mock/webhooks/{quote(rows[0]['id'], safe='')}/replay", {})


def _calling_back(message: Message, words: CallbackWords, url: str) -> Message:
    if words.pointer.startswith("/"):
        return replace(message, document=put(message.document, tokens(words.pointer), url))
    where, _, name = words.pointer.partition("/")
    told = {where: {**getattr(message, {"header": "headers"}.get(where, where)), name: url}}
    return replace(message, **{"headers" if where == "header" else where: told[where]})


def _secret(caller: Caller, words: CallbackWords) -> str:
    """A secret for the account, where the callback can be signed."""
    if words.signing is None or caller.control is None:
        return ""
    made = caller.control.call("POST", "/_mock/webhooks/secrets", {"account": caller.account})
    return str(made["secrets"][0]["secret"])


def _told(caller: Caller, words: CallbackWords, follower: Follower) -> list[str]:
    """The states of the task that its callback tells, in order."""
    assert caller.control is not None
    timeline = caller.control.task(follower.task.id)["timeline"]
    return [moment["state"] for moment in timeline if moment["state"] in words.states]


def _different(words: CallbackWords, came: list[Got]) -> list[Got]:
    """What came without repetitions: the same again, or under the same id, is delivered at least once."""
    name = words.signing.id_header.lower() if words.signing else ""
    first: dict[str | bytes, Got] = {}
    for got in came:
        first.setdefault(got.headers.get(name) or got.body, got)
    return list(first.values())


def _shown(caller: Caller, follower: Follower, words: CallbackWords, got: Got) -> Sighting | None:
    """The task as a webhook shows it."""
    operation = follower.created.operation
    document: Any = got.document
    type_, schema, templates = _body(caller.agreement, operation, words)
    if got.method != words.method:
        caller.fail("webhook", "the method is another", follower.created, expected=words.method, got=got.method)
    told = got.headers.get("content-type", "").partition(";")[0]
    if told != type_:
        caller.fail("webhook", "the content type is another", follower.created, expected=type_, got=told)
    for fault in caller.referee.document(schema, document):
        caller.fail("webhook", fault.message, follower.created, at=fault.pointer)
    shown = caller.agreement.shown(closest(templates, document))
    if not shown or shown[0].id != follower.task.id:
        caller.fail(
            "webhook", "a webhook does not show the task", follower.created, expected=follower.task.id, got=document
        )
        return None
    return shown[0]


def _body(agreement: Agreement, operation: Operation, words: CallbackWords) -> tuple[str, Place, list[Place]]:
    """The content type of a callback's body, its schema and its templates."""
    for _, callback in agreement.place(operation).get("callbacks").items():
        for expression, item in callback.items():
            if expression.rpartition("#")[2].rstrip("}").lower().endswith(words.pointer.rpartition("/")[2]):
                content = item.get(words.method.lower()).get("requestBody").get("content")
                type_, media = next(content.items())
                bodies = [body for _, body in media.get("x-mock-bodies").items()]
                return type_, media.get("schema"), bodies or [media.get("x-mock-body")]
    raise LookupError(words.pointer)


def _compare(caller: Caller, follower: Follower, expected: list[str], shown: list[Sighting]) -> None:
    """The states came as the callback promises, and the end is the query's end."""
    lifecycle = caller.provider.lifecycle
    came = [row.states for row in shown]
    if len(came) != len(expected) or any(name not in states for name, states in zip(expected, came, strict=False)):
        told = [" or ".join(states) for states in came]
        caller.fail("webhook", "the states told are not the task's", follower.created, expected=expected, got=told)
    if shown and all(lifecycle.ended(name) for name in shown[-1].states):
        follower.agree(follower.last, shown[-1], follower.seen[-1])


def _signed(caller: Caller, follower: Follower, words: CallbackWords, secret: str, got: Got) -> None:
    """The signature is that of the body by the account's secret."""
    assert words.signing is not None
    names = words.signing
    told = [got.headers.get(name.lower()) for name in (names.id_header, names.timestamp_header, names.signature_header)]
    if None in told or not str(told[1]).isdigit():
        caller.fail("webhook", "a webhook is not signed, and the account has a secret", follower.created, got=told[:2])
        return
    key = signing.key(names.prefix, secret)
    good = signing.signature(key, str(told[0]), int(str(told[1])), got.body)
    if good not in str(told[2]).split():
        caller.fail("webhook", "the signature is not that of the body", follower.created)
