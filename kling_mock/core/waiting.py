"""Waiting: what answers with Retry-After asked for, and whether clients kept it. Times are the account's virtual ms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from msgspec import Struct

from kling_mock.core.model import Exchange

K = TypeVar("K")
Key = tuple[str | None, str | None, str]
"""Which calls are repetitions of each other: those of one account, of one operation, for one thing."""


class Wait(Struct, frozen=True):
    """An answer with Retry-After to the request `ordinal`, and the next one that asked for the same, if there was one.

    `kept_ms` is how long after the first the second came: less than `asked_ms` is too early.
    """

    operation: str | None
    ordinal: int
    asked_ms: int
    again: int | None
    kept_ms: int | None

    @property
    def too_early(self) -> bool:
        """Whether the client came back before its time."""
        return self.kept_ms is not None and self.kept_ms < self.asked_ms


@dataclass
class _Asked:
    """An answer with Retry-After while exchanges are being read."""

    row: Exchange
    ms: int
    again: Exchange | None = None

    @property
    def wait(self) -> Wait:
        """What came of it."""
        row, again = self.row, self.again
        kept = (again.ordinal, again.at - row.at) if again else (None, None)
        return Wait(row.operation, row.ordinal, self.ms, *kept)


class Waits(Struct, frozen=True):
    """What was asked for: by task, its create's refusals included, and where there is no task by what was called."""

    tasks: Mapping[str, tuple[Wait, ...]]
    others: Mapping[Key, tuple[Wait, ...]]


def waits(exchanges: Iterable[Exchange]) -> Waits:
    """Every answer with Retry-After, oldest first.

    A repetition is the same operation for the same task, for the same job as long as there is no task, or the same
    request where it is about neither (a list).
    """
    tasks: dict[str, list[_Asked]] = defaultdict(list)
    others: dict[Key, list[_Asked]] = defaultdict(list)
    last: dict[Key, _Asked] = {}
    for row in exchanges:
        mark = _mark(row)
        if mark is None:
            continue
        key, ms = (row.account, row.operation, mark), _retry_after(row)
        if key in last:
            last.pop(key).again = row
        if ms is not None:
            last[key] = _Asked(row, ms)
            (tasks[mark] if mark == row.task else others[key]).append(last[key])
        if row.role == "create" and row.task is not None:
            tasks[row.task] += others.pop(key, [])
    return Waits(_told(tasks), _told(others))


def _told(found: Mapping[K, Sequence[_Asked]]) -> dict[K, tuple[Wait, ...]]:
    return {key: tuple(asked.wait for asked in rows) for key, rows in found.items() if rows}


def _mark(row: Exchange) -> str | None:
    """What a call is about; None where that is not known."""
    if row.role == "create":
        return row.fingerprint
    if row.task is not None or row.operation is None:
        return row.task
    asked = row.request
    return f"{asked.get('method')} {asked.get('path')} {asked.get('query')} {asked.get('body')}"


def _retry_after(row: Exchange) -> int | None:
    """What a reply's Retry-After asks for, in ms. A date says nothing to a clock that a test turns, and is left out."""
    return next((int(value) * 1000 for value in _headers(row, "retry-after") if value.isdecimal()), None)


def _headers(row: Exchange, name: str) -> Iterator[str]:
    return (str(value) for key, value in row.reply.get("headers", {}).items() if key.lower() == name)
