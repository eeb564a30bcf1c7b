"""Conduct: how a client behaved, and what it cost, from the journal and from what has become of the tasks.

Exchanges come oldest first, as far back as the journal reaches; tasks by id, as far as they are remembered. Times are
the account's virtual ms. Only what can be known from this side of the wire is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from statistics import median
from typing import Literal

from msgspec import Struct

from kling_mock.core.model import Exchange
from kling_mock.core.waiting import Wait, waits

STEADY = 0.9
GROWN = 1.5
PATIENCE, SILENCE_MS = 3, 60_000


class Fate(Struct, frozen=True):
    """What has become of a task by `now`: when it was made, when it ended if it has, and how.

    An end that is a failure gives back what was reserved. `notified` says that a webhook which told of this
    very end was taken by its receiver.
    """

    now: int
    created: int
    ended: int | None = None
    ends: Literal["success", "failure"] | None = None
    notified: bool = False


Fates = Mapping[str, Fate]


class Made(Struct, frozen=True):
    """A create that made a task: its number in the account, when it was, and which task."""

    ordinal: int
    at: int
    task: str


class DuplicateSpend(Struct, frozen=True):
    """The same job paid for again: `second` asks for what `first`, the create of that job before it, had made already.

    It is `certain` where the first answer did not reach the client, which then sent the request again; `possible`
    where it did: someone may want two of the same. `amount` is what the second one reserved, None if its price is not
    known. `outcome` says what came of it: with one of the two given back, the job was paid once in the end.
    """

    account: str | None
    operation: str | None
    verdict: Literal["certain", "possible"]
    first: Made
    second: Made
    gap_ms: int
    amount: Decimal | None
    unit: str | None
    outcome: Literal["paid twice", "given back", "open", "forgotten"]


class Abandoned(Struct, frozen=True):
    """A task that has ended, and whose end no answer and no webhook showed to its client.

    `told` says whether the answer to its create arrived; `state` is the last one that was shown.
    """

    account: str | None
    operation: str | None
    task: str
    ordinal: int
    at: int
    ended: int
    ends: Literal["success", "failure"] | None
    told: bool
    state: str | None
    amount: Decimal | None
    unit: str | None


class Polling(Struct, frozen=True):
    """How a task was polled, on its account's clock: by queries or, where there are none, by lists that showed it.

    Intervals are those up to the first answer that showed an end; `backs_off` needs two of them: none is shorter than
    the one before (by more than a tenth), and the last is half as long again as the first. `after_end` counts polls
    after that answer. `asked_to_wait` counts answers with Retry-After to this task's calls, its create's included, and
    `too_early` the repetitions that came before the time; `waits` are those answers.

    Calls that were asked to wait and belong to no task that was polled (a create that never made one, a list) have a
    row too: "not polled", with 0 polls.

    `stopped` is "given up" when no end was shown and nothing was asked for a minute and for three times the longest
    interval: a deadline, or a client that died; which of them cannot be told from here. Before that it is "not yet".
    `last_ms` is how long after the create the last poll came.
    """

    account: str | None
    task: str | None
    operation: str | None
    polls: int
    least_ms: int | None
    median_ms: int | None
    backs_off: bool | None
    after_end: int
    asked_to_wait: int
    too_early: int
    waits: tuple[Wait, ...]
    stopped: Literal["at the end", "after the end", "given up", "not yet", "not polled"]
    last_ms: int | None


def duplicate_spend(exchanges: Iterable[Exchange], tasks: Fates) -> tuple[DuplicateSpend, ...]:
    """Every create of a job that the same account had created before, each held against the one right before it.

    So of n repetitions each is named once, and the answer that was lost is the one that brought it about. A refused
    create made nothing and does not count; nor does a job that was seen to fail, whose money was back by then.
    """
    before: dict[tuple[str | None, str, str | None], Exchange] = {}
    found = []
    for row in exchanges:
        made = _made(row)
        if made is None or row.fingerprint is None:
            continue
        job = (row.account, row.provider, row.fingerprint)
        first, before[job] = before.get(job), row
        if first is not None and not _retried(first, row, tasks):
            found.append(_duplicate(first, row, tasks))
    return tuple(found)


def _made(row: Exchange) -> Made | None:
    """What a create made; None for one that was refused, and for other calls."""
    return Made(row.ordinal, row.at, row.task) if row.role == "create" and row.task is not None else None


def _retried(first: Exchange, second: Exchange, tasks: Fates) -> bool:
    """Whether the first had failed when the second was asked for, by a client that knew of it."""
    fate = tasks.get(first.task or "")
    return not first.lost and _given_back(fate) and fate is not None and (fate.ended or 0) <= second.at


def _given_back(fate: Fate | None) -> bool:
    return fate is not None and fate.ended is not None and fate.ends == "failure"


def _duplicate(first: Exchange, second: Exchange, tasks: Fates) -> DuplicateSpend:
    one, two = _made(first), _made(second)
    assert one is not None
    assert two is not None
    return DuplicateSpend(
        account=second.account,
        operation=second.operation,
        verdict="certain" if first.lost else "possible",
        first=one,
        second=two,
        gap_ms=second.at - first.at,
        amount=second.billed,
        unit=second.unit,
        outcome=_outcome([tasks.get(one.task), tasks.get(two.task)]),
    )


def _outcome(fates: Sequence[Fate | None]) -> Literal["paid twice", "given back", "open", "forgotten"]:
    if any(map(_given_back, fates)):
        return "given back"
    if None in fates:
        return "forgotten"
    return "paid twice" if all(fate and fate.ended is not None for fate in fates) else "open"


def abandoned(exchanges: Sequence[Exchange], tasks: Fates) -> tuple[Abandoned, ...]:
    """Every task that was made, has ended, and was never read to its end. One that is still open is not abandoned."""
    last: dict[str, str] = {}
    read = set()
    for row in exchanges:
        for sight in () if row.lost else row.saw:
            last[sight.task] = sight.state
            fate = tasks.get(sight.task)
            # An end that was none, since the task went on from there, is not what became of it.
            if sight.ended and (fate is None or fate.ended is None or row.at >= fate.ended):
                read.add(sight.task)
    rows = (_abandoned(row, tasks.get(row.task or ""), last) for row in exchanges if row.task not in read)
    return tuple(row for row in rows if row is not None)


def _abandoned(row: Exchange, fate: Fate | None, last: Mapping[str, str]) -> Abandoned | None:
    made = _made(row)
    if made is None or fate is None or fate.ended is None or fate.notified:
        return None
    return Abandoned(
        account=row.account,
        operation=row.operation,
        task=made.task,
        ordinal=row.ordinal,
        at=row.at,
        ended=fate.ended,
        ends=fate.ends,
        told=not row.lost,
        state=last.get(made.task),
        amount=row.billed,
        unit=row.unit,
    )


def polling(exchanges: Sequence[Exchange], tasks: Fates) -> tuple[Polling, ...]:
    """How each task that was polled at all was polled, and how other calls waited that were asked to."""
    queries: dict[str, list[Exchange]] = defaultdict(list)
    lists: dict[str, list[Exchange]] = defaultdict(list)
    for row in exchanges:
        if row.role == "query" and row.task is not None:
            queries[row.task].append(row)
        elif row.role == "list":
            for sight in row.saw:
                lists[sight.task].append(row)
    asked, polls = waits(exchanges), {**lists, **queries}
    polled = (
        _polling(task, polls[task], fate, asked.tasks.get(task, ())) for task, fate in tasks.items() if task in polls
    )
    owners = {row.task: row.account for row in exchanges if row.task is not None}
    unpolled = (_waited(owners[task], task, asked.tasks[task]) for task in tasks if task in asked.tasks.keys() - polls)
    return (*polled, *unpolled, *(_waited(key[0], None, rows) for key, rows in asked.others.items()))


def _waited(account: str | None, task: str | None, asked: tuple[Wait, ...]) -> Polling:
    """How calls that led to no poll waited."""
    return Polling(
        account=account,
        task=task,
        operation=asked[0].operation,
        polls=0,
        least_ms=None,
        median_ms=None,
        backs_off=None,
        after_end=0,
        asked_to_wait=len(asked),
        too_early=_early(asked),
        waits=asked,
        stopped="not polled",
        last_ms=None,
    )


def _early(asked: Iterable[Wait]) -> int:
    return sum(wait.too_early for wait in asked)


def _polling(task: str, polls: Sequence[Exchange], fate: Fate, asked: tuple[Wait, ...]) -> Polling:
    until = next((index for index, row in enumerate(polls) if _showed_end(row, task)), None)
    counted = polls if until is None else polls[: until + 1]
    intervals = [after.at - before.at for before, after in pairwise(counted)]
    return Polling(
        account=polls[0].account,
        task=task,
        operation=polls[0].operation,
        polls=len(polls),
        least_ms=min(intervals) if intervals else None,
        median_ms=int(median(intervals)) if intervals else None,
        backs_off=_grow(intervals) if len(intervals) > 1 else None,
        after_end=len(polls) - len(counted),
        asked_to_wait=len(asked),
        too_early=_early(asked),
        waits=asked,
        stopped=_silent(fate.now - polls[-1].at, intervals) if until is None else _ended(polls, counted),
        last_ms=polls[-1].at - fate.created,
    )


def _showed_end(row: Exchange, task: str) -> bool:
    return not row.lost and any(sight.task == task and sight.ended for sight in row.saw)


def _grow(intervals: Sequence[int]) -> bool:
    steady = all(after >= before * STEADY for before, after in pairwise(intervals))
    return steady and intervals[-1] >= intervals[0] * GROWN and intervals[-1] > 0


def _ended(polls: Sequence[Exchange], counted: Sequence[Exchange]) -> Literal["at the end", "after the end"]:
    return "at the end" if len(polls) == len(counted) else "after the end"


def _silent(silence: int, intervals: Sequence[int]) -> Literal["given up", "not yet"]:
    return "given up" if silence > max(SILENCE_MS, PATIENCE * max(intervals, default=0)) else "not yet"
