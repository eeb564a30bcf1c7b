"""Probes of the phase of lifecycles: what a list shows of several tasks, and in which order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.caller import Caller, Seen
from kling_mock.contract.messages import Message
from kling_mock.contract.phases.jobs import Jobs
from kling_mock.contract.probes import Probe
from kling_mock.core.provider import Operation

QUERY = re.compile(r"\{\$request\.query\.([^}|? ]+)\}")
SECOND_MS = 1000


def lists(agreement: Agreement, jobs: Jobs) -> Iterator[Probe]:
    """A probe of each list: the account is a mock's fresh one, so it is known what there is to be listed."""
    made = {row.id: job for row in jobs.creates if not (row.task and row.task.parents) and (job := jobs.of(row))}
    for operation in agreement.provider.operations.values():
        if operation.role != "list" or operation.page is None:
            continue
        kind = operation.page.kind({"request": {}})
        same = [job for job in made.values() if _kind(job) == kind]
        other = [job for job in made.values() if _kind(job) != kind]
        if same:
            sent = (same[0], *other[:1], same[-1])
            run = partial(_newest_first, operation=operation, sent=sent)
            yield Probe("lifecycle", f"{operation.id}, newest first", run, sent, True, operation.id)


def _kind(job: Message) -> object:
    words = job.operation.task
    return words.kind({"request": {"body": job.document}}) if words else None


def _newest_first(caller: Caller, operation: Operation, sent: tuple[Message, ...]) -> None:
    """Two tasks are listed, the newest first, none of another kind; a page shows what falls on it."""
    ids = []
    for message in sent:
        seen = caller.call(message)
        caller.accepted(seen)
        ids += [task.id for task in seen.tasks[:1]]
        caller.wait(SECOND_MS)
    if len(set(ids)) < len(sent):
        caller.stop("id", "two creates have answered the same id, or none", seen, got=ids)
    expected = [ids[-1], ids[0]]
    _shows(caller, Message(operation), expected)
    names = _page(caller.agreement, operation)
    if names is not None:
        number, size = names
        for page, rows in ((1, expected[:1]), (2, expected[1:]), (3, [])):
            _shows(caller, Message(operation, query={number: page, size: 1}), rows)


def in_order(caller: Caller, seen: Seen) -> None:
    """What a list shows by itself, of whatever was there before, is the newest first."""
    dated = [(task.created, task.id) for task in seen.tasks if task.created is not None]
    for (before, one), (after, other) in pairwise(dated):
        if after > before:
            told = "the list is not the newest first: a task comes after an older one"
            caller.fail("found", told, seen, expected=[other, one], got=[one, other])
            return


def _page(agreement: Agreement, operation: Operation) -> tuple[str, str] | None:
    """The names of the query's parameters for a page's number and size, where both stand there."""
    words = agreement.place(operation).get("x-mock-page")
    found = [QUERY.fullmatch(str(words.get(name).node)) for name in ("number", "size")]
    number, size = (match[1] if match else "" for match in found)
    return (number, size) if number and size else None


def _shows(caller: Caller, message: Message, expected: list[str]) -> None:
    seen = caller.call(message)
    caller.accepted(seen)
    got = [task.id for task in seen.tasks]
    if got != expected:
        caller.fail("found", "the list does not show the tasks that there are", seen, expected=expected, got=got)
