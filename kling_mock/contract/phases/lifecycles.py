"""The phase of lifecycles: a task of every create, followed to its end, in every variant and on every legal course."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import partial

from msgspec.structs import replace

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.caller import Caller, Seen
from kling_mock.contract.messages import Message, example_messages
from kling_mock.contract.phases.following import Follower
from kling_mock.contract.phases.jobs import Jobs
from kling_mock.contract.phases.lists import in_order, lists
from kling_mock.contract.probes import Probe
from kling_mock.core.lifecycle import FOR_EVER
from kling_mock.core.provider import Operation, Provider

PLACES = ("path", "query", "header")


def lifecycles(agreement: Agreement, jobs: Jobs) -> Iterator[Probe]:
    """A probe of every create on its usual course; of a mock, also of every variant and every other legal course."""
    for operation in jobs.creates:
        job = jobs.of(operation)
        if job is None:
            continue
        for name, headers in _ways(agreement.provider):
            run = partial(lifecycle, jobs=jobs, job=job, headers=headers)
            yield Probe("lifecycle", f"{operation.id}, {name}", run, (job,), bool(headers), operation.id)
    yield from lists(agreement, jobs)
    for row in agreement.provider.operations.values():
        if row.role == "balance":
            yield Probe("lifecycle", f"{row.id}, read", partial(_read, operation=row), operation=row.id)
        if row.role == "list":
            yield Probe("lifecycle", f"{row.id}, read", partial(_read, operation=row), operation=row.id)
        if row.role == "cancel":
            yield from _cancels(jobs, row)


def _ways(provider: Provider) -> Iterator[tuple[str, dict[str, str]]]:
    yield "usual course", {}
    for variant in provider.variants[1:]:
        yield f"variant {variant}", {"prefer": f"variant={variant}"}
    for scenario in provider.scenarios.values():
        ends = FOR_EVER not in scenario.latency.values()
        if (scenario.timeline or scenario.latency) and ends and not scenario.breaks:
            yield f"scenario {scenario.name}", {"prefer": f"scenario={scenario.name}"}


def lifecycle(caller: Caller, jobs: Jobs, job: Message, headers: dict[str, str]) -> None:
    """A task goes a legal way to its end, and all that is said of it on the way agrees."""
    message, _ = jobs.with_parent(job, caller)
    named = jobs.named(message, alias := caller.alias()) or message
    before = _balance(caller)
    seen = caller.call(replace(named, headers={**named.headers, **headers}))
    caller.accepted(seen)
    follower = Follower(caller, seen, headers)
    follower.alias(alias)
    follower.to_the_end()
    follower.lists()
    follower.result()
    follower.price()
    _paid(caller, follower, before)


# Money


def _balance(caller: Caller) -> Decimal | None:
    """What all packs hold, where an operation shows it and no time has to pass until it does."""
    operation = next((row for row in caller.provider.operations.values() if row.role == "balance"), None)
    if operation is None or caller.control is None:
        return None
    return _sum(caller, caller.call(_asked(caller, operation)))


def _sum(caller: Caller, seen: Seen) -> Decimal | None:
    reading = caller.agreement.reading(seen.operation, seen.answer)
    rows = [row.value("item.balance") for one in ([reading] if reading else []) for row in one.each()]
    try:
        return sum((Decimal(str(value)) for value in rows if isinstance(value, str | int | float)), Decimal(0))
    except InvalidOperation:
        return None


def _paid(caller: Caller, follower: Follower, before: Decimal | None) -> None:
    """The packs hold less by the quote after a success, and as much as before after a failure."""
    after, quote = _balance(caller), follower.created.judgement.quote
    words = follower.created.operation.result
    if before is None or after is None or quote is None or words is None or words.pack is None:
        return
    states = caller.provider.lifecycle.states
    if not follower.ended:
        return
    succeeded = any(states[name].ends == "success" for name in follower.last.states)
    expected = quote.amount if succeeded else Decimal(0)
    if before - after != expected:
        told = "the packs do not hold less by the quote" if succeeded else "a failure was paid for"
        caller.fail("money", told, follower.created, expected=str(expected), got=str(before - after))


# Reading and cancelling


def _asked(caller: Caller, operation: Operation) -> Message:
    """A reading operation with its required parameters, by the examples or by what their schemas show."""
    shown = next((row for _, row in example_messages(caller.agreement) if row.operation is operation), None)
    if shown is not None:
        return shown
    query = {}
    for row in caller.agreement.place(operation).get("parameters").each():
        node = row.node
        if node.get("in") == "query" and node.get("required"):
            query[node["name"]] = node.get("example", row.get("schema").node.get("example", "1"))
    return Message(operation, query=query)


def _read(caller: Caller, operation: Operation) -> None:
    """What only reads is answered; a list that shows several tasks shows the newest first."""
    seen = caller.call(_asked(caller, operation))
    caller.accepted(seen)
    if operation.role == "list":
        in_order(caller, seen)


def _about(operation: Operation, id_: str) -> Message:
    """The message of an operation whose parameters are all the id of one task."""
    told = {where: {row.name: id_ for row in operation.parameters if row.where == where} for where in PLACES}
    return Message(operation, path=told["path"], query=told["query"], headers=_lower(told["header"]))


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _cancels(jobs: Jobs, operation: Operation) -> Iterator[Probe]:
    for create in jobs.creates:
        job = jobs.of(create)
        if job is not None:
            run = partial(_cancelled, jobs=jobs, job=job, operation=operation)
            yield Probe("lifecycle", f"{operation.id}, {create.id}", run, (job,), operation=operation.id)


def _cancelled(caller: Caller, jobs: Jobs, job: Message, operation: Operation) -> None:
    """A task that is cancelled ends, costs nothing, and cannot be cancelled again."""
    seen = caller.call(job)
    caller.accepted(seen)
    follower = Follower(caller, seen)
    message = _about(operation, follower.task.id)
    cancelled = caller.call(message)
    caller.accepted(cancelled)
    follower.look()
    if not follower.ended:
        caller.fail("end", "a task that was cancelled goes on", cancelled, got=list(follower.last.states))
    caller.refused(caller.call(message), caller.reason("task.finished"))
