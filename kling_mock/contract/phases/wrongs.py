"""The phase of errors: requests that are wrong before anybody reads what they ask for, and errors on command.

Each situation is one row: how it is brought about. What the provider answers to it is in its own table of errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from msgspec.structs import replace

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.caller import Caller, Seen
from kling_mock.contract.messages import Message
from kling_mock.contract.phases.jobs import Jobs
from kling_mock.contract.phases.links import links
from kling_mock.contract.phases.strangers import NOBODY, addressed, credentials, harmless, unknown_tasks
from kling_mock.contract.probes import Probe
from kling_mock.core.model import Request
from kling_mock.core.provider import Operation

METHODS = ("DELETE", "PUT", "PATCH", "POST", "GET")


def errors(agreement: Agreement, jobs: Jobs) -> Iterator[Probe]:
    """The probes of every situation that a request can bring about, and of every error that a scenario does."""
    yield from credentials(agreement)
    yield _probe("route.path", partial(_no_path), None)
    for path in agreement.provider.paths():
        yield _probe("route.method", partial(_no_method, path=path), None, path)
    yield from unknown_tasks(agreement, jobs)
    for create in jobs.creates:
        yield from _bodies(create, jobs)
    yield from _on_command(agreement, jobs)


def _probe(situation: str, run: Callable[[Caller], None], operation: Operation | None, of: str = "") -> Probe:
    name = f"{situation}, {of}" if of else situation
    return Probe("errors", name, run, operation=operation.id if operation else None)


# Routes


def _no_path(caller: Caller) -> None:
    """A path that nobody has is refused in the provider's own way."""
    # Beside a path of the provider's: an address may serve several.
    beside = min(caller.provider.paths()).split("{")[0].rstrip("/").rpartition("/")[0]
    shown = caller.credential(harmless(caller.agreement))
    answer = caller.plain(Request("GET", f"{beside}/{NOBODY}/{NOBODY}", headers=shown))
    caller.told(answer, "reason", caller.reason("route.path"))


def _no_method(caller: Caller, path: str) -> None:
    """A method that a path does not have is refused, and Allow, where it is sent, lists those that it has."""
    known = {row.method for row in caller.provider.operations.values() if row.path == path}
    # What would create something at another path is not tried.
    method = next(name for name in METHODS if name not in known)
    operation = next(row for row in caller.provider.operations.values() if row.path == path)
    asked = addressed(operation).request()
    answer = caller.plain(replace(asked, method=method, headers={**asked.headers, **caller.credential(operation)}))
    caller.told(answer, "method", caller.reason("route.method"))
    allow = answer.headers.get("allow")
    if allow is None and answer.status == 405:
        caller.fail("method", "405 comes without Allow", expected=sorted(known))
    if allow is not None and {word.strip() for word in allow.split(",")} != known:
        caller.fail("method", "Allow does not list the path's methods", expected=sorted(known), got=allow)


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
    caller.told(answer, "refused" if answer.status < 400 else "reason", caller.reason(situation))


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
