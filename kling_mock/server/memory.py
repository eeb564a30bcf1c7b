"""A store in this process's memory: dictionaries behind one lock that is held for microseconds.

| operation                 | cost as tasks grow                                          |
|---------------------------|-------------------------------------------------------------|
| task by id, alias         | O(1)                                                        |
| page of a kind            | O(page), from the newest                                    |
| create                    | O(log n) in the account's lines and webhooks not yet due    |
| balances, slots           | O(1) beside the lines that have come due                    |
| lease of due webhooks     | O(accounts that have waiting ones + what is due)            |
| forgetting the oldest     | O(1) amortized                                              |
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count
from threading import RLock

from msgspec.structs import replace

from kling_mock.core.clock import IDENTITY, Line, virtual
from kling_mock.core.model import (
    Account,
    Append,
    Count,
    Counter,
    Decision,
    Effect,
    Entry,
    Exchange,
    Found,
    Page,
    Post,
    PutTask,
    Reads,
    Record,
    Task,
    Webhook,
    Withdraw,
)
from kling_mock.server.journal import written
from kling_mock.server.ledger import Ledger
from kling_mock.server.store import Lease, Retention, Step, Wall

TaskKey = tuple[str, str]
HookKey = tuple[str, int]


class MemoryStore:
    """A `Store` in memory."""

    waits = False

    def __init__(self, retention: Retention | None = None) -> None:
        self._kept = retention or Retention()
        self._lock = RLock()
        self._accounts: dict[str, Account] = {}
        self._owners: dict[tuple[str, str, str], str] = {}
        self._lines: dict[str | None, Line] = {}
        self._sequences: dict[str, int] = defaultdict(int)
        self._clear()

    def _clear(self) -> None:
        self._tasks: OrderedDict[TaskKey, Task] = OrderedDict()
        self._aliases: dict[tuple[str, str], TaskKey] = {}
        self._own: dict[str, deque[TaskKey]] = defaultdict(deque)
        self._pages: dict[tuple[str, str], _PageIndex] = defaultdict(_PageIndex)
        self._ledgers: dict[str, Ledger] = defaultdict(lambda: Ledger(self._kept.entries))
        self._counters: dict[tuple[str, str], Counter] = {}
        self._ordinals: dict[str, int] = defaultdict(int)
        self._journal: deque[Exchange] = deque(maxlen=self._kept.exchanges)
        self._outbox = _Outbox(self._kept.webhooks)

    # Deciding

    def decide(
        self, reads: Reads, provider: str, account: Account | None, claimed: str | None, wall: Wall, step: Step
    ) -> Decision:
        """See `Store.decide`: here the lock is the transaction."""
        with self._lock:
            counted = account.id if account else claimed and (self._holder(provider, reads) or claimed)
            ordinal = 0 if counted is None else self._ordinals[counted] + 1
            decision = step(self._fetch(reads, provider, account, counted or "", wall, ordinal))
            # A step that raised leaves nothing behind, not even a number.
            if counted is not None:
                self._ordinals[counted] = ordinal
            for effect in decision.effects:
                self._apply(provider, effect)
            return decision

    def fetch(self, reads: Reads, provider: str, account: Account | None, wall: Wall) -> Found:
        """What `reads` names, to look at only."""
        with self._lock:
            ordinal = self._ordinals.get(account.id, 0) if account else 0
            return self._fetch(reads, provider, account, account.id if account else "", wall, ordinal)

    def number(self, name: str) -> int:
        """The next number of a sequence, from 1."""
        with self._lock:
            self._sequences[name] += 1
            return self._sequences[name]

    def _fetch(
        self, reads: Reads, provider: str, account: Account | None, claimed: str, wall: Wall, ordinal: int
    ) -> Found:
        owner = account.id if account else None
        tasks = {id_: task for id_ in reads.tasks if (task := self._visible(provider, id_, owner))}
        clock = owner or next((task.account for task in tasks.values()), claimed)
        now = self._now(clock, wall())
        ledger = self._ledgers[owner] if reads.balances and owner else None
        page = self._page(owner, reads.page) if owner and reads.page else ()
        return Found(
            now=now,
            owner=clock,
            ordinal=ordinal,
            tasks=tasks,
            alias=self._by_alias(owner, reads.alias) if owner and reads.alias else None,
            page=page,
            balances=ledger.balances(account.packs, now) if ledger and account else (),
            open_slots=ledger.open_slots(now) if ledger else {},
            counters={name: self._counters.get((clock, name), Counter()) for name in reads.counted(page)},
        )

    def _holder(self, provider: str, reads: Reads) -> str | None:
        """The account of the task that a call without one asks for."""
        found = (self._visible(provider, id_, None) for id_ in reads.tasks)
        return next((task.account for task in found if task), None)

    def _now(self, account: str, wall: int) -> int:
        return virtual(self._lines.get(None, IDENTITY), self._lines.get(account, IDENTITY), wall)

    def _visible(self, provider: str, id_: str, owner: str | None) -> Task | None:
        task = self._tasks.get((provider, id_))
        return task if task and owner in (None, task.account) else None

    def _by_alias(self, owner: str, alias: str) -> Task | None:
        key = self._aliases.get((owner, alias))
        return self._tasks.get(key) if key else None

    def _page(self, owner: str, page: Page) -> tuple[Task, ...]:
        index = self._pages.get((owner, page.kind))
        return tuple(self._tasks[key] for key in index.page(page.number, page.size)) if index else ()

    def _apply(self, provider: str, effect: Effect) -> None:
        match effect:
            case PutTask(task):
                self._put(provider, task)
            case Append(entries):
                for entry in entries:
                    self._ledgers[entry.account].append((entry,))
            case Withdraw(account, id_, now):
                self._ledgers[account].withdraw(id_, now)
                self._outbox.withdraw(account, id_, now)
            case Count(account, name, at):
                before = self._counters.get((account, name))
                self._counters[account, name] = Counter(before.count + 1, before.since) if before else Counter(1, at)
            case Post(webhooks):
                for webhook in webhooks:
                    self._outbox.add(webhook)
            case Record(exchange):
                self._journal.append(exchange)

    def _put(self, provider: str, task: Task) -> None:
        key = (provider, task.id)
        if key not in self._tasks:
            self._pages[task.account, task.kind].add(key)
            self._own[task.account].append(key)
            if task.alias:
                self._aliases[task.account, task.alias] = key
        self._tasks[key] = task
        self._forget(task)

    def _forget(self, newest: Task) -> None:
        """Forget the oldest tasks beyond what is kept. Their lines and webhooks go on by themselves."""
        while len(self._tasks) > self._kept.tasks:
            self._drop(next(iter(self._tasks)))
        if self._kept.age_ms is not None:
            mine, since = self._own[newest.account], newest.created - self._kept.age_ms
            while mine and self._tasks[mine[0]].created < since:
                self._drop(mine[0])

    def _drop(self, key: TaskKey) -> None:
        """Forget a task that is the oldest of its account."""
        task = self._tasks.pop(key)
        self._own[task.account].popleft()
        self._pages[task.account, task.kind].forget(key)
        if task.alias and self._aliases.get((task.account, task.alias)) == key:
            del self._aliases[task.account, task.alias]

    # Reading

    def task(self, provider: str, id_: str) -> Task | None:
        """A task by id, whoever's it is."""
        return self._tasks.get((provider, id_))

    def tasks(self, account: str | None = None, provider: str | None = None) -> Iterator[Task]:
        """Tasks, oldest first."""
        with self._lock:
            tasks = list(self._tasks.values())
        yield from (task for task in tasks if account in (None, task.account) and provider in (None, task.provider))

    def exchanges(self, account: str | None = None, provider: str | None = None) -> Iterator[Exchange]:
        """The journal, oldest first, without secrets and long texts."""
        with self._lock:
            rows = list(self._journal)
        yield from (written(row) for row in rows if account in (None, row.account) and provider in (None, row.provider))

    def lose(self, account: str, ordinal: int, at: int) -> None:
        """Write down that the answer to a request did not reach its client. O(exchanges since then)."""
        with self._lock:
            for index in range(len(self._journal) - 1, -1, -1):
                row = self._journal[index]
                if (row.account, row.ordinal, row.at) == (account, ordinal, at):
                    self._journal[index] = replace(row, lost=True)
                    return

    def entries(self, account: str) -> list[Entry]:
        """The newest lines of an account's ledger, oldest first, those to come included."""
        with self._lock:
            return self._ledgers[account].lines() if account in self._ledgers else []

    # Accounts and clocks

    def add_account(self, account: Account) -> bool:
        """Keep a new account; False if there is one of that id already."""
        with self._lock:
            if account.id in self._accounts:
                return False
            self._accounts[account.id] = account
            for name, value in account.credentials.items():
                self._owners[account.provider, name, value] = account.id
            return True

    def change_account(self, old: Account, new: Account) -> bool:
        """Replace an account, if it still is `old`."""
        with self._lock:
            if self._accounts.get(old.id) != old:
                return False
            self._accounts[old.id] = new
            return True

    def account(self, id_: str) -> Account | None:
        """An account by id."""
        return self._accounts.get(id_)

    def owner(self, provider: str, credential: str, value: str) -> Account | None:
        """The account that a credential belongs to."""
        id_ = self._owners.get((provider, credential, value))
        return self._accounts[id_] if id_ else None

    def accounts(self) -> list[Account]:
        """Every account, in the order of their making."""
        with self._lock:
            return list(self._accounts.values())

    def line(self, account: str | None) -> Line | None:
        """The clock of an account, or the base clock."""
        return self._lines.get(account)

    def turn(self, account: str | None, old: Line | None, new: Line) -> bool:
        """Replace a clock, if it still is `old`."""
        with self._lock:
            if self._lines.get(account) != old:
                return False
            self._lines[account] = new
            return True

    # Webhooks

    def webhooks(self, account: str | None = None) -> Iterator[Webhook]:
        """The outbox, in the order in which rows are due."""
        with self._lock:
            rows = [row for row in self._outbox.rows.values() if account in (None, row.account)]
        yield from sorted(rows, key=lambda row: row.due)

    def lease(self, wall: int, until: int, most: int) -> list[Lease]:
        """Take on what is due and nobody else's."""
        with self._lock:
            return self._outbox.lease(lambda account: self._now(account, wall), wall, until, most)

    def settle_webhook(self, webhook: Webhook) -> None:
        """Write a row back after an attempt, and end its lease."""
        with self._lock:
            self._outbox.settle(webhook)

    def replay(self, id_: str, copy: int = 0) -> Webhook | None:
        """Make a row due at once."""
        with self._lock:
            row = self._outbox.rows.get((id_, copy))
            if row is not None:
                row = replace(row, outcome=None, reason=None)
                self._outbox.settle(row)
            return row

    def waiting(self) -> int:
        """How many rows of the outbox have not been settled."""
        with self._lock:
            return sum(1 for row in self._outbox.rows.values() if row.outcome is None)

    # Forgetting

    def reset(self, account: str | None) -> int:
        """Forget the tasks, lines, exchanges, counters and webhooks of one account, or everybody's."""
        with self._lock:
            if account is None:
                count_ = len(self._tasks)
                self._clear()
                return count_
            mine = [key for key, task in self._tasks.items() if task.account == account]
            for key in mine:
                del self._tasks[key]
            self._aliases = {alias: key for alias, key in self._aliases.items() if alias[0] != account}
            self._pages = defaultdict(_PageIndex, {k: v for k, v in self._pages.items() if k[0] != account})
            self._counters = {name: row for name, row in self._counters.items() if name[0] != account}
            self._own.pop(account, None)
            self._ledgers.pop(account, None)
            self._ordinals.pop(account, None)
            kept = [row for row in self._journal if row.account != account]
            self._journal = deque(kept, maxlen=self._kept.exchanges)
            self._outbox.reset(account)
            return len(mine)

    def close(self) -> None:
        """There is nothing to let go of."""


class _PageIndex:
    """The tasks of one account and kind, oldest first, of which the oldest are forgotten in time."""

    def __init__(self) -> None:
        self._keys: list[TaskKey] = []
        self._gone = 0

    def add(self, key: TaskKey) -> None:
        self._keys.append(key)

    def forget(self, key: TaskKey) -> None:
        """Forget the oldest, which `key` is."""
        assert self._keys[self._gone] == key
        self._gone += 1
        if self._gone * 2 > len(self._keys):
            del self._keys[: self._gone]
            self._gone = 0

    def page(self, number: int, size: int) -> list[TaskKey]:
        """A page from the newest on."""
        end = len(self._keys) - (number - 1) * size
        return self._keys[max(self._gone, end - size) : end][::-1] if end > self._gone else []


class _Outbox:
    """Rows by (id, copy), per account a heap of those that wait, and the settled ones in the order of settling."""

    def __init__(self, most: int) -> None:
        self.rows: dict[HookKey, Webhook] = {}
        self._settled: OrderedDict[HookKey, None] = OrderedDict()
        self._most = most
        self._waiting: dict[str, list[tuple[int, int, HookKey]]] = defaultdict(list)
        self._leased: dict[HookKey, int] = {}
        self._order = count()

    def add(self, row: Webhook) -> None:
        """Keep a row, unless it is there already; forget the oldest settled ones beyond what is kept."""
        key = (row.id, row.copy)
        if key in self.rows:
            return
        self.rows[key] = row
        self._queue(row)
        while len(self.rows) > self._most and self._settled:
            del self.rows[self._settled.popitem(last=False)[0]]

    def _queue(self, row: Webhook) -> None:
        """Among those that wait, or among the settled ones."""
        self._settled.pop((row.id, row.copy), None)
        if row.outcome is None:
            self._wait(row)
        else:
            self._settled[row.id, row.copy] = None

    def _wait(self, row: Webhook) -> None:
        heappush(self._waiting[row.account], (row.due, next(self._order), (row.id, row.copy)))

    def withdraw(self, account: str, task: str, now: int) -> None:
        """Take back a task's rows that are dated after `now` and were never tried. O(the account's waiting rows)."""
        for due, _, key in self._waiting.get(account, ()):
            row = self.rows.get(key)
            if row and row.task == task and due > now and not row.attempts:
                del self.rows[key]

    def lease(self, now: Callable[[str], int], wall: int, until: int, most: int) -> list[Lease]:
        """Take on what is due, the longest due first within an account; `now` gives an account's time.

        Rows whose lease ran out are due again.
        """
        for key in [key for key, end in self._leased.items() if end <= wall]:
            del self._leased[key]
            if (row := self.rows.get(key)) is not None:
                self._wait(row)
        found: list[Lease] = []
        for name, heap in list(self._waiting.items()):
            at = now(name)
            while heap and heap[0][0] <= at and len(found) < most:
                due, _, key = heappop(heap)
                row = self.rows.get(key)
                if row is None or row.outcome is not None or row.due != due or key in self._leased:
                    continue
                self._leased[key] = until
                found.append(Lease(row, at))
            if not heap:
                del self._waiting[name]
        return found

    def settle(self, row: Webhook) -> None:
        """Write a row back; one that still waits is queued again."""
        key = (row.id, row.copy)
        self._leased.pop(key, None)
        if key in self.rows:
            self.rows[key] = row
            self._queue(row)

    def reset(self, account: str) -> None:
        """Forget an account's rows."""
        self.rows = {key: row for key, row in self.rows.items() if row.account != account}
        self._settled = OrderedDict((key, None) for key in self._settled if key in self.rows)
        self._waiting.pop(account, None)
        self._leased = {key: end for key, end in self._leased.items() if key in self.rows}
