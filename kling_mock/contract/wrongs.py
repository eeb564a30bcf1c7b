"""The phase of errors: requests that are wrong before anybody reads what they ask for, and errors on command.

Each situation is one row: how it is brought about. What the provider answers to it is in its own table of errors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.caller import Caller, Seen
from kling_mock.contract.jobs import Jobs
from kling_mock.contract.links import links, strange_links
from kling_mock.contract.messages import Message, example_messages
from kling_mock.contract.probes import Probe
from kling_mock.core.entropy import draw
from kling_mock.core.model import Request
from kling_mock.core.provider import Operation, Scheme, Way

NOBODY = "nobody-of-the-contract-suite"
METHODS = ("DELETE", "PUT", "PATCH", "POST", "GET")
HOUR = 3600


def errors(agreement: Agreement, jobs: Jobs) -> Iterator[Probe]:
    """The probes of every situation that a request can bring about, and of every error that a scenario does."""
    operation = _harmless(agreement)
    for situation, made in CREDENTIALS.items():
        for scheme in dict.fromkeys(one for way in operation.security for one in way):
            if made is not None or () not in operation.security:
                yield _probe(situation, partial(_credential, situation=situation, scheme=scheme), operation)
    yield _probe("route.path", partial(_no_path), None)
    for path in agreement.provider.paths():
        yield _probe("route.method", partial(_no_method, path=path), None, path)
    for message in _strangers(agreement):
        yield _probe("task.unknown", partial(_unknown, message=message), message.operation, message.operation.id)
    for create in jobs.creates:
        yield from _bodies(create, jobs)
    yield from _on_command(agreement, jobs)


def _probe(situation: str, run: Callable[[Caller], None], operation: Operation | None, of: str = "") -> Probe:
    name = f"{situation}, {of}" if of else situation
    return Probe("errors", name, run, operation=operation.id if operation else None)


# Credentials


def _token(caller: Caller, way: Way, **claims: Any) -> str:
    import jwt

    assert way.jwt is not None
    now = int(time.time())
    known = {"iss": NOBODY, "exp": now + HOUR, "nbf": now - 5} | claims
    secret = "a secret of nobody, thirty-two bytes long"  # noqa: S105 - it opens nothing
    return jwt.encode(known, secret, algorithm=way.jwt.algorithms[0])


def _stranger(caller: Caller, scheme: Scheme) -> str:
    """A credential that is well formed and nobody's."""
    way = scheme.ways[-1]
    if way.jwt is not None:
        return _token(caller, way)
    return draw(caller.provider.credentials[way.credential].new, NOBODY, "credential")


CREDENTIALS: Mapping[str, Callable[[Caller, Scheme], str] | None] = {
    "token.missing": None,
    "token.malformed": lambda caller, scheme: "nobody",
    "token.unknown": _stranger,
}
SAME = frozenset({"token.malformed", "token.unknown"})
"""Not every form of a key says of itself whether it is well formed."""


def _harmless(agreement: Agreement) -> Operation:
    """An operation that costs nothing and asks for a credential, if there is one."""
    rows = sorted(agreement.provider.operations.values(), key=lambda row: (row.role == "create", not row.security))
    return rows[0]


def _credential(caller: Caller, situation: str, scheme: Scheme) -> None:
    """Nobody is served who does not show who he is; the refusal is the provider's own."""
    operation = _harmless(caller.agreement)
    made = CREDENTIALS[situation]
    shown = {} if made is None else {scheme.header: f"{scheme.prefix} {made(caller, scheme)}".strip()}
    seen = caller.call(_anything(caller.agreement, operation), shown)
    if seen.ok:
        caller.stop("credential", f"it was served ({situation})", seen, expected="a refusal", got=seen.answer.status)
    reasons = SAME if situation in SAME else {situation}
    caller.refused(seen, *(caller.reason(reason) for reason in sorted(reasons)))


def _anything(agreement: Agreement, operation: Operation) -> Message:
    """Any message of an operation: an example, or the operation with ids of nobody."""
    shown = next((row for _, row in example_messages(agreement) if row.operation is operation), None)
    return shown or _addressed(operation)


def _addressed(operation: Operation) -> Message:
    names = [row.name for row in operation.parameters if row.where == "path"]
    return Message(operation, path=dict.fromkeys(names, NOBODY))


# Routes


def _no_path(caller: Caller) -> None:
    """A path that nobody has is refused in the provider's own way."""
    # Beside a path of the provider's: an address may serve several.
    beside = min(caller.provider.paths()).split("{")[0].rstrip("/").rpartition("/")[0]
    shown = caller.credential(_harmless(caller.agreement))
    answer = caller.plain(Request("GET", f"{beside}/{NOBODY}/{NOBODY}", headers=shown))
    caller.told(answer, "reason", caller.reason("route.path"))


def _no_method(caller: Caller, path: str) -> None:
    """A method that a path does not have is refused, and Allow, where it is sent, lists those that it has."""
    known = {row.method for row in caller.provider.operations.values() if row.path == path}
    # What would create something at another path is not tried.
    method = next(name for name in METHODS if name not in known)
    operation = next(row for row in caller.provider.operations.values() if row.path == path)
    asked = _addressed(operation).request()
    answer = caller.plain(replace(asked, method=method, headers={**asked.headers, **caller.credential(operation)}))
    caller.told(answer, "method", caller.reason("route.method"))
    allow = answer.headers.get("allow")
    if allow is not None and {word.strip() for word in allow.split(",")} != known:
        caller.fail("method", "Allow does not list the path's methods", expected=sorted(known), got=allow)


# Tasks


def _strangers(agreement: Agreement) -> Iterator[Message]:
    """A message of each query and cancel, about a task of nobody."""
    for operation in agreement.provider.operations.values():
        if operation.role in ("query", "cancel"):
            shown = next((row for _, row in example_messages(agreement) if row.operation is operation), None)
            linked = next((row for row in _linked(agreement) if row.operation is operation), None)
            yield linked or shown or _addressed(operation)


def _linked(agreement: Agreement) -> Iterator[Message]:
    """The messages of the links of creates, with an id of nobody."""
    for operation in agreement.provider.operations.values():
        if operation.role == "create":
            yield from strange_links(agreement, operation, NOBODY)


def _unknown(caller: Caller, message: Message) -> None:
    """A task of nobody is not found."""
    seen = caller.call(message)
    if seen.judgement.refused:
        caller.refused(seen, caller.answers(seen.judgement.refused[0]), caller.reason("task.unknown"))
    else:
        caller.refused(seen, caller.reason("task.unknown"))


# Bodies


def _bodies(operation: Operation, jobs: Jobs) -> Iterator[Probe]:
    """What is no body, an alias that is taken, a parent that is not there or not finished."""
    job = jobs.of(operation)
    if "application/json" in operation.bodies:
        yield _costly("body.syntax", partial(_no_json, operation=operation), operation)
    yield _costly("body.media-type", partial(_no_type, operation=operation), operation)
    if job is None:
        return
    if jobs.named(job, "x") is not None:
        yield _costly("alias.taken", partial(_taken, jobs=jobs, job=job), operation, job, job)
    if operation.task and operation.task.parents:
        stranger = jobs.upon(job, NOBODY)
        yield _costly("task.unknown", partial(_no_parent, message=stranger), operation, stranger)
        yield _costly("task.unfinished", partial(_unfinished, jobs=jobs, job=job), operation, job)


def _costly(situation: str, run: Callable[[Caller], None], operation: Operation, *sends: Message) -> Probe:
    return Probe("errors", f"{situation}, {operation.id}", run, sends, only_mock=True, operation=operation.id)


def _no_json(caller: Caller, operation: Operation) -> None:
    """A body that breaks off is refused."""
    _raw(caller, operation, b'{"prompt": ', "application/json", "body.syntax")


def _no_type(caller: Caller, operation: Operation) -> None:
    """A media type that the operation does not take is refused."""
    _raw(caller, operation, b"<job/>", "application/xml", "body.media-type")


def _raw(caller: Caller, operation: Operation, body: bytes, type_: str, situation: str) -> None:
    headers = {"content-type": type_, **caller.credential(operation)}
    answer = caller.plain(replace(Message(operation).request(), body=body, headers=headers))
    caller.told(answer, "refused", caller.reason(situation))


def _taken(caller: Caller, jobs: Jobs, job: Message) -> None:
    """An id of the caller's own is good for one task."""
    alias = caller.alias()
    first, second = (jobs.named(jobs.with_parent(job, caller)[0], alias) for _ in range(2))
    assert first is not None
    assert second is not None
    caller.accepted(caller.call(first))
    caller.refused(caller.call(second), caller.reason("alias.taken"))


def _no_parent(caller: Caller, message: Message) -> None:
    """What builds upon a task of nobody is refused."""
    caller.refused(caller.call(message), caller.reason("task.unknown"))


def _unfinished(caller: Caller, jobs: Jobs, job: Message) -> None:
    """What builds upon a task that is still running is refused."""
    made = jobs.parent(job, caller)
    caller.refused(caller.call(jobs.upon(job, made.tasks[0].id)), caller.reason("task.unfinished"))


# On command


def _on_command(agreement: Agreement, jobs: Jobs) -> Iterator[Probe]:
    """A probe for every scenario that answers with an error of the catalogue."""
    for scenario in agreement.provider.scenarios.values():
        named = {answer.error for answer in scenario.answers if answer.error}
        for operation in jobs.creates:
            job = jobs.of(operation)
            if named and job is not None:
                run = partial(_commanded, jobs=jobs, job=job, scenario=scenario.name, named=named)
                yield Probe("errors", f"scenario {scenario.name}", run, (job,), True, operation.id)
                break


def _commanded(caller: Caller, jobs: Jobs, job: Message, scenario: str, named: set[str]) -> None:
    """The scenario's errors come, and each is one of the catalogue."""
    wanted = {"prefer": f"scenario={scenario}"}
    message, _ = jobs.with_parent(job, caller)
    seen = [caller.call(_with(message, wanted))]
    if not seen[0].ok:
        seen.append(caller.call(_with(message, wanted)))
    made = next((row for row in seen if row.ok), None)
    if made is not None:
        ways = [*links(caller.agreement, made.operation, made.answer), *_lists(caller, made)]
        seen += [caller.call(_with(way, wanted)) for _ in range(3) for way in ways]
    told = {name for row in seen for name in row.errors}
    if missing := named - told:
        caller.fail("reason", "the scenario's error never came", *seen[-1:], expected=sorted(missing), got=sorted(told))


def _lists(caller: Caller, made: Seen) -> Iterator[Message]:
    for operation in caller.provider.operations.values():
        if operation.role == "list":
            yield Message(operation)


def _with(message: Message, headers: Mapping[str, str]) -> Message:
    return replace(message, headers={**message.headers, **headers})
