"""Probes of the phase of errors: who calls is nobody, or what is asked about is somebody else's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.caller import Caller
from kling_mock.contract.messages import Message, example_messages
from kling_mock.contract.phases.jobs import Jobs
from kling_mock.contract.phases.links import links, strange_links
from kling_mock.contract.probes import Probe
from kling_mock.contract.purse import LeftOut
from kling_mock.core.entropy import draw
from kling_mock.core.provider import Operation, Scheme, Way
from kling_mock.credentials import way_of

NOBODY = "nobody-of-the-contract-suite"
SECRET = "a secret of nobody, thirty-two bytes long"  # noqa: S105 - it opens nothing
HOUR = 3600


def harmless(agreement: Agreement) -> Operation:
    """An operation that costs nothing and asks for a credential, if there is one."""
    rows = sorted(agreement.provider.operations.values(), key=lambda row: (row.role == "create", not row.security))
    return rows[0]


def addressed(operation: Operation) -> Message:
    """The operation with ids of nobody in its path."""
    names = [row.name for row in operation.parameters if row.where == "path"]
    return Message(operation, path=dict.fromkeys(names, NOBODY))


# Credentials


def credentials(agreement: Agreement) -> Iterator[Probe]:
    """A probe of every way in which a credential can be wrong."""
    operation = harmless(agreement)
    for scheme in dict.fromkeys(one for way in operation.security for one in way):
        known = {**FORMS, **(TOKENS if scheme.ways[-1].jwt else {})}
        for situation, made in known.items():
            if made is not None or () not in operation.security:
                run = partial(_credential, situation=situation, scheme=scheme, made=made)
                yield Probe("errors", situation, run, operation=operation.id)


def _token(caller: Caller, way: Way, **claims: Any) -> str:
    """A token of the caller's own, signed by nobody unless a secret is given."""
    import jwt

    assert way.jwt is not None
    now = int(time.time())
    secret = claims.pop("secret", SECRET)
    known = {"iss": caller.credentials.get(way.jwt.issuer, NOBODY), "exp": now + HOUR, "nbf": now - 5}
    return jwt.encode(known | claims, secret, algorithm=way.jwt.algorithms[0])


def _stranger(caller: Caller, way: Way) -> str:
    """A credential that is well formed and nobody's."""
    if way.jwt is not None:
        return _token(caller, way, iss=NOBODY)
    return draw(caller.provider.credentials[way.credential].new, NOBODY, "credential")


def _expired(caller: Caller, way: Way) -> str:
    """A token of the caller's own that was good an hour ago."""
    assert way.jwt is not None
    now = int(time.time())
    return _token(caller, way, exp=now - HOUR, nbf=now - 2 * HOUR, secret=caller.credentials[way.jwt.secret])


def _early(caller: Caller, way: Way) -> str:
    """A token of the caller's own that will be good in an hour."""
    assert way.jwt is not None
    now = int(time.time())
    return _token(caller, way, exp=now + 2 * HOUR, nbf=now + HOUR, secret=caller.credentials[way.jwt.secret])


Made = Callable[[Caller, Way], str]
FORMS: Mapping[str, Made | None] = {
    "token.missing": None,
    "token.malformed": lambda caller, way: "nobody",
    "token.unknown": _stranger,
}
TOKENS: Mapping[str, Made] = {
    "token.signature": _token,
    "token.expired": _expired,
    "token.not-yet-valid": _early,
}
WORDS: Mapping[str, str] = {
    "token.unknown": "$A_CREDENTIAL_OF_NOBODY",
    "token.signature": "$A_TOKEN_WITH_A_WRONG_SIGNATURE",
    "token.expired": "$AN_EXPIRED_TOKEN",
    "token.not-yet-valid": "$A_TOKEN_THAT_IS_NOT_YET_VALID",
}
"""What stands for them in a line for a shell: some hold the account's own name, signed by its secret."""
SAME = frozenset({"token.malformed", "token.unknown"})
"""Not every form of a key says of itself whether it is well formed."""


def _credential(caller: Caller, situation: str, scheme: Scheme, made: Made | None) -> None:
    """Nobody is served who does not show who he is; the refusal is the provider's own."""
    operation, way = harmless(caller.agreement), way_of(caller.credentials, scheme)
    if situation in TOKENS and way.jwt is None:
        raise LeftOut("a key alone signs no tokens: give the credentials that do")
    shown = {} if made is None else {scheme.header: f"{scheme.prefix} {made(caller, way)}".strip()}
    words = f"{scheme.prefix} {WORDS[situation]}".strip() if situation in WORDS else None
    seen = caller.call(anything(caller.agreement, operation), shown, words)
    if seen.ok:
        caller.stop("credential", f"it was served ({situation})", seen, expected="a refusal", got=seen.answer.status)
    reasons = SAME if situation in SAME else {situation}
    caller.refused(seen, *(caller.reason(reason) for reason in sorted(reasons)))


def anything(agreement: Agreement, operation: Operation) -> Message:
    """Any message of an operation: an example, or the operation with ids of nobody."""
    shown = next((row for _, row in example_messages(agreement) if row.operation is operation), None)
    return shown or addressed(operation)


# Tasks


def unknown_tasks(agreement: Agreement, jobs: Jobs) -> Iterator[Probe]:
    """A probe of each query and cancel, about a task of nobody, and of each create, about a task of somebody else."""
    for message in _messages(agreement):
        name = f"task.unknown, {message.operation.id}"
        yield Probe("errors", name, partial(_unknown, message=message), operation=message.operation.id)
    for create in jobs.creates:
        job = jobs.of(create)
        if job is not None:
            run = partial(_others, jobs=jobs, job=job)
            yield Probe("errors", f"task.unknown, another's of {create.id}", run, (job,), True, create.id)


def _messages(agreement: Agreement) -> Iterator[Message]:
    for operation in agreement.provider.operations.values():
        if operation.role in ("query", "cancel"):
            shown = next((row for _, row in example_messages(agreement) if row.operation is operation), None)
            linked = next((row for row in _linked(agreement) if row.operation is operation), None)
            yield linked or shown or addressed(operation)


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


def _others(caller: Caller, jobs: Jobs, job: Message) -> None:
    """A task of another account is not found."""
    other = caller.stranger()
    message, _ = jobs.with_parent(job, other)
    seen = other.call(message)
    caller.accepted(seen)
    for way in links(caller.agreement, seen.operation, seen.answer):
        caller.refused(caller.call(way), caller.reason("task.unknown"))
