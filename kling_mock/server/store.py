"""Where tasks and ledgers live: a dictionary, behind one lock that is held for microseconds.

| operation          | cost as tasks grow                            |
|--------------------|-----------------------------------------------|
| task by id, alias  | O(1)                                          |
| page of a kind     | O(page), from the newest                      |
| create             | O(log n) in the account's lines not yet due   |
| balances, slots    | O(1) beside the lines that have come due      |
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from threading import RLock
from typing import Protocol

from kling_mock.core.model import Account, Append, Count, Effect, Found, PutTask, Reads, Task, Withdraw
from kling_mock.server.ledger import Ledger


class Store(Protocol):
    """What the mock needs of a store. `transaction` must exclude every other one of the same account."""

    def transaction(self) -> RLock:
        """A context within which fetch, decide and apply are one step."""

    def fetch(self, reads: Reads, provider: str, account: Account | None, now: int) -> Found:
        """All that `reads` names, as the account (None: anybody) may see it at `now`."""

    def apply(self, provider: str, effects: tuple[Effect, ...]) -> None:
        """Carry out a decision's effects."""

    def task(self, provider: str, id_: str) -> Task | None:
        """A task by id, whoever's it is."""

    def tasks(self) -> Iterator[Task]:
        """Every task, oldest first."""

    def reset(self, account: str | None) -> None:
        """Forget one account's tasks, lines and counters, or everybody's."""


class MemoryStore:
    """A `Store` in this process's memory."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._tasks: dict[tuple[str, str], Task] = {}
        self._aliases: dict[tuple[str, str], tuple[str, str]] = {}
        self._pages: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        self._ledgers: dict[str, Ledger] = defaultdict(Ledger)
        self._counters: Counter[tuple[str, str]] = Counter()

    def transaction(self) -> RLock:
        """The one lock."""
        return self._lock

    def fetch(self, reads: Reads, provider: str, account: Account | None, now: int) -> Found:
        """All that `reads` names, as the account may see it."""
        owner = account.id if account else None
        tasks = {id_: task for id_ in reads.tasks if (task := self._visible(provider, id_, owner))}
        ledger = self._ledgers[owner] if reads.balances and owner else None
        return Found(
            tasks=tasks,
            alias=self._by_alias(owner, reads.alias) if owner and reads.alias else None,
            page=self._page(owner, reads) if owner else (),
            balances=ledger.balances(account.packs, now) if ledger and account else (),
            open_slots=ledger.open_slots(now) if ledger else 0,
            counter=self._counters[owner or "", reads.counter] if reads.counter else 0,
        )

    def _visible(self, provider: str, id_: str, owner: str | None) -> Task | None:
        task = self._tasks.get((provider, id_))
        return task if task and owner in (None, task.account) else None

    def _by_alias(self, owner: str, alias: str) -> Task | None:
        key = self._aliases.get((owner, alias))
        return self._tasks.get(key) if key else None

    def _page(self, owner: str, reads: Reads) -> tuple[Task, ...]:
        if reads.page is None:
            return ()
        ids = self._pages.get((owner, reads.page.kind), [])
        end = len(ids) - (reads.page.number - 1) * reads.page.size
        if end <= 0:
            return ()
        return tuple(self._tasks[key] for key in reversed(ids[max(0, end - reads.page.size) : end]))

    def apply(self, provider: str, effects: tuple[Effect, ...]) -> None:
        """Carry out a decision's effects."""
        for effect in effects:
            match effect:
                case PutTask(task):
                    self._put(provider, task)
                case Append(entries):
                    for entry in entries:
                        self._ledgers[entry.account].append((entry,))
                case Withdraw(account, id_, now):
                    self._ledgers[account].withdraw(id_, now)
                case Count(account, name):
                    self._counters[account, name] += 1

    def _put(self, provider: str, task: Task) -> None:
        key = (provider, task.id)
        if key not in self._tasks:
            self._pages[task.account, task.kind].append(key)
            if task.alias:
                self._aliases[task.account, task.alias] = key
        self._tasks[key] = task

    def task(self, provider: str, id_: str) -> Task | None:
        """A task by id, whoever's it is."""
        return self._tasks.get((provider, id_))

    def tasks(self) -> Iterator[Task]:
        """Every task, oldest first."""
        with self._lock:
            tasks = list(self._tasks.values())
        yield from tasks

    def ledger(self, account: str) -> Ledger:
        """The account's ledger."""
        return self._ledgers[account]

    def reset(self, account: str | None) -> None:
        """Forget one account's tasks, lines and counters, or everybody's."""
        with self._lock:
            mine = {key for key, task in self._tasks.items() if account in (None, task.account)}
            self._tasks = {key: task for key, task in self._tasks.items() if key not in mine}
            self._aliases = {alias: key for alias, key in self._aliases.items() if key not in mine}
            for table in (self._pages, self._counters):
                for key in [key for key in table if account in (None, key[0])]:
                    del table[key]
            if account is None:
                self._ledgers.clear()
            else:
                self._ledgers.pop(account, None)
