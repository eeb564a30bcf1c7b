"""What the tests of stores share: one store of each kind, and small nouns to put into them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from kling_mock.core.model import (
    Account,
    Decision,
    Effect,
    Entry,
    Exchange,
    Found,
    Moment,
    Pack,
    PutTask,
    Reads,
    Reply,
    Task,
    Webhook,
)
from kling_mock.server.store import Retention, Store, open_store
from tests.conftest import AT

T = TypeVar("T")
URLS = {"memory": "memory://", "sqlite": "sqlite:///{folder}/store.db"}
VIDEO = Pack("video", "unit", Decimal(100))
ANN = Account("ann", "toy", {"key": "of-ann"}, AT, (VIDEO,))
BOB = Account("bob", "toy", {"key": "of-bob"}, AT, (VIDEO,))
DONE = Reply(200, None)
Of = Literal["reserve", "settle", "refund", "slots"]


def url(kind: str, folder: Path) -> str:
    """The URL of a store of this kind."""
    return URLS[kind].format(folder=folder)


@dataclass
class Keeper:
    """A store, asked in few words. The wall is at `AT` unless a test says otherwise, and nobody has set a clock."""

    store: Store

    def do(self, *effects: Effect, by: Account | None = ANN, wall: int = AT, claimed: str | None = None) -> None:
        """Carry out effects, as the call of an account."""
        provider = by.provider if by else "toy"
        self.store.decide(Reads(), provider, by, claimed, lambda: wall, lambda found: Decision(DONE, effects))

    def put(self, *tasks: Task) -> None:
        """Keep tasks, each by a call of its own."""
        for task in tasks:
            decision = Decision(DONE, (PutTask(task),))
            self.store.decide(Reads(), task.provider, None, None, lambda: AT, partial(_always, decision))

    def found(
        self,
        by: Account | None = ANN,
        wall: int = AT,
        provider: str = "toy",
        claimed: str | None = None,
        **reads: Any,
    ) -> Found:
        """What a decision is shown."""
        seen: list[Found] = []
        self.store.decide(Reads(**reads), provider, by, claimed, lambda: wall, lambda found: _noted(seen, found))
        return seen[0]

    def held(self, by: Account = ANN, wall: int = AT) -> tuple[int, int, int]:
        """What the account's first pack has: balance, reserved, spent."""
        row = self.found(by, wall, balances=True).balances[0]
        return int(row.balance), int(row.reserved), int(row.spent)


def _always(decision: Decision, found: Found) -> Decision:
    return decision


def _noted(seen: list[Found], found: Found) -> Decision:
    seen.append(found)
    return Decision(DONE)


def keeper(kind: str, folder: Path, **retention: Any) -> Keeper:
    """A store of this kind that keeps so much."""
    return Keeper(open_store(url(kind, folder), Retention(**retention)))


def task(id_: str, account: str = "ann", **words: Any) -> Task:
    """A task that runs for ten seconds."""
    own: dict[str, Any] = {
        "provider": "toy",
        "operation": "make",
        "kind": "video",
        "variant": "default",
        "created": AT,
        "timeline": (Moment(AT, "waiting"), Moment(AT + 10_000, "done")),
        "entropy": "e",
    }
    return Task(**(own | {"id": id_, "account": account} | words))


def entry(of: Of, amount: int, at: int = AT, task: str = "t", account: str = "ann") -> Entry:
    """A line of the ledger."""
    return Entry(at, account, "video", of, Decimal(amount), task)


def exchange(ordinal: int = 1, account: str | None = "ann", provider: str = "toy", **words: Any) -> Exchange:
    """A line of the journal."""
    own: dict[str, Any] = {"operation": None, "role": None, "task": None, "request": {}, "reply": {}}
    return Exchange(**(own | {"at": AT, "ordinal": ordinal, "provider": provider, "account": account} | words))


def hook(id_: str, account: str = "ann", due: int = AT, **words: Any) -> Webhook:
    """A row of the outbox."""
    own: dict[str, Any] = {"provider": "toy", "task": "t", "url": "http://127.0.0.1/", "state": "done", "changed": due}
    return Webhook(**(own | {"id": id_, "account": account, "due": due} | words))


def ids(rows: Iterable[Task] | Iterable[Webhook]) -> list[str]:
    """The ids of rows, in their order."""
    return [row.id for row in rows]


def at_once(times: int, call: Callable[[int], T]) -> list[T]:
    """What a call gives when eight threads make it and take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(call, range(times)))
    finally:
        sys.setswitchinterval(before)
