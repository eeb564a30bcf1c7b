"""A store in a SQLite file: several processes on one machine, and nothing that was answered is lost by `kill -9`.

One call is one transaction (`BEGIN IMMEDIATE`: writers come one by one, readers never wait for them). Nouns are JSON,
with columns for what is looked up.

| operation                 | cost as tasks grow (O(log n) is a walk down an index)       |
|---------------------------|-------------------------------------------------------------|
| task by id, alias         | O(log n)                                                    |
| page of a kind            | O(log n + page): a task knows its place in its kind         |
| create                    | O(log n)                                                    |
| balances, slots           | O(log n) beside the lines that have come due: totals        |
| lease of due webhooks     | O(accounts that have waiting ones + what is due and leased) |
| forgetting the oldest     | O(log n) amortized; the file keeps its size                 |
| opening                   | O(file): its pages are checked                              |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from sqlite3 import Connection
from typing import TypeVar

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
from kling_mock.server import sqlite_ledger as ledger
from kling_mock.server import sqlite_outbox as outbox
from kling_mock.server.journal import written
from kling_mock.server.sqlite_file import Database
from kling_mock.server.sqlite_rows import ACCOUNT, EXCHANGE, LINE, TASK, WEBHOOK, bumped, key, number, packed, resized
from kling_mock.server.store import Lease, Retention, Step, Wall

T = TypeVar("T")

CHUNK = 500
BASE = "*"  # stands for an account where the base clock is; no id is like it
LINES = "SELECT (SELECT line FROM clocks WHERE account = '*'), (SELECT line FROM clocks WHERE account = ?)"
ALIASED = "SELECT body FROM tasks WHERE account = ? AND alias = ? ORDER BY seq DESC LIMIT 1"
LAST_PLACE = "SELECT max(place) FROM tasks WHERE account = ? AND kind = ?"
PAGE = "SELECT body FROM tasks WHERE account = ? AND kind = ? AND place > ? AND place <= ? ORDER BY place DESC"
PUT = """
INSERT INTO tasks (provider, id, account, kind, place, alias, created, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
COUNT = """
INSERT INTO counters VALUES (?, ?, 1, ?) ON CONFLICT (account, name) DO UPDATE SET count = count + 1
"""
RECORD = "INSERT INTO exchanges (account, ordinal, provider, body) VALUES (?, ?, ?, ?)"
OLDEST_EXCHANGES = "DELETE FROM exchanges WHERE seq IN (SELECT seq FROM exchanges ORDER BY seq LIMIT ?)"
NEWEST_ORDINAL = "SELECT seq, body FROM exchanges WHERE account IS ? AND ordinal = ? ORDER BY seq DESC LIMIT 1"
OWNER = """
SELECT body FROM accounts WHERE id = (SELECT account FROM credentials WHERE provider = ? AND name = ? AND value = ?)
"""
SCANS = {
    table: (
        f"SELECT seq, body FROM {table} WHERE seq > ? AND seq <= ? AND account IS coalesce(?, account) "  # noqa: S608
        f"AND provider = coalesce(?, provider) ORDER BY seq LIMIT {CHUNK}"
    )
    for table in ("tasks", "exchanges")
}
LAST = {table: f"SELECT max(seq) FROM {table}" for table in SCANS}  # noqa: S608
AGED = "DELETE FROM tasks WHERE account = ? AND created < ?"
MINE = ("tasks", "exchanges", "webhooks", "counters", "ledgers", "dated", "past")
FORGET = {table: f"DELETE FROM {table}" for table in MINE}  # noqa: S608


class SqliteStore:
    """A `Store` in a file."""

    waits = True

    def __init__(self, path: str, retention: Retention | None = None, timeout: float = 5.0) -> None:
        self._kept = retention or Retention()
        self._file = Database(path, timeout)

    # Deciding

    def decide(
        self, reads: Reads, provider: str, account: Account | None, claimed: str | None, wall: Wall, step: Step
    ) -> Decision:
        """See `Store.decide`."""
        with self._file.writing() as db:
            counted = account.id if account else claimed and (_holder(db, provider, reads) or claimed)
            ordinal = 0 if counted is None else bumped(db, "ordinal", counted)
            found = self._found(db, reads, provider, account, counted or "", wall, ordinal)
            decision = step(found)
            for effect in decision.effects:
                self._apply(db, provider, effect, found.now)
        return decision

    def fetch(self, reads: Reads, provider: str, account: Account | None, wall: Wall) -> Found:
        """What `reads` names, to look at only; balances are folded on the way."""
        with self._file.writing() if reads.balances else self._file.reading() as db:
            ordinal = number(db, "ordinal", account.id) if account else 0
            return self._found(db, reads, provider, account, account.id if account else "", wall, ordinal)

    def number(self, name: str) -> int:
        """The next number of a sequence, from 1."""
        with self._file.writing() as db:
            return bumped(db, "sequence", name)

    def _found(
        self,
        db: Connection,
        reads: Reads,
        provider: str,
        account: Account | None,
        claimed: str,
        wall: Wall,
        ordinal: int,
    ) -> Found:
        owner = account.id if account else None
        tasks = {id_: task for id_ in reads.tasks if (task := _visible(db, provider, id_, owner))}
        clock = owner or next((task.account for task in tasks.values()), claimed)
        now = _now(db, clock, wall())
        totals = ledger.fold(db, owner, now, self._kept.entries) if reads.balances and owner else None
        page = _page(db, owner, reads.page) if owner and reads.page else ()
        return Found(
            now=now,
            owner=clock,
            ordinal=ordinal,
            tasks=tasks,
            alias=_one(db, TASK, ALIASED, owner, key(reads.alias)) if owner and reads.alias else None,
            page=page,
            balances=totals.balances(account.packs) if totals and account else (),
            open_slots=totals.open_slots if totals else {},
            counters={name: _counter(db, clock, name) for name in reads.counted(page)},
        )

    def _apply(self, db: Connection, provider: str, effect: Effect, now: int) -> None:
        match effect:
            case PutTask(task):
                self._put(db, provider, task)
            case Append(entries):
                ledger.append(db, entries, now, self._kept.entries)
            case Withdraw(account, id_, since):
                ledger.withdraw(db, account, id_, since)
                outbox.withdraw(db, account, id_, since)
            case Count(account, name, at):
                db.execute(COUNT, (account, key(name), at))
            case Post(webhooks):
                for webhook in webhooks:
                    outbox.add(db, webhook, self._kept.webhooks)
            case Record(exchange):
                self._record(db, written(exchange))

    def _put(self, db: Connection, provider: str, task: Task) -> None:
        body, id_ = packed(task), key(task.id)
        changed = db.execute("UPDATE tasks SET body = ? WHERE provider = ? AND id = ?", (body, provider, id_))
        size = resized(db, "tasks", 0 if changed.rowcount else 1)
        if not changed.rowcount:
            place = (db.execute(LAST_PLACE, (task.account, task.kind)).fetchone()[0] or 0) + 1
            alias = key(task.alias) if task.alias else None
            db.execute(PUT, (provider, id_, task.account, task.kind, place, alias, task.created, body))
        self._forget(db, task, size)

    def _forget(self, db: Connection, newest: Task, size: int) -> None:
        """Forget the oldest tasks beyond what is kept. Their lines and webhooks go on by themselves."""
        if self._kept.age_ms is not None:
            since = newest.created - self._kept.age_ms
            size = resized(db, "tasks", -db.execute(AGED, (newest.account, since)).rowcount)
        while size > self._kept.tasks:
            db.execute("DELETE FROM tasks WHERE seq = (SELECT min(seq) FROM tasks)")
            size = resized(db, "tasks", -1)

    def _record(self, db: Connection, row: Exchange) -> None:
        db.execute(RECORD, (row.account, row.ordinal, row.provider, packed(row)))
        excess = resized(db, "exchanges", 1) - self._kept.exchanges
        if excess > 0:
            resized(db, "exchanges", -db.execute(OLDEST_EXCHANGES, (excess,)).rowcount)

    # Reading

    def task(self, provider: str, id_: str) -> Task | None:
        """A task by id, whoever's it is."""
        with self._file.asking() as db:
            return _visible(db, provider, id_, None)

    def tasks(self, account: str | None = None, provider: str | None = None) -> Iterator[Task]:
        """Tasks, oldest first; what is made meanwhile is not among them."""
        return map(TASK, self._scan("tasks", account, provider))

    def exchanges(self, account: str | None = None, provider: str | None = None) -> Iterator[Exchange]:
        """The journal, oldest first: it is kept without secrets and long texts."""
        return map(EXCHANGE, self._scan("exchanges", account, provider))

    def _scan(self, table: str, account: str | None, provider: str | None) -> Iterator[bytes]:
        """A table in pieces, so that no transaction stays open while the caller thinks."""
        with self._file.asking() as db:
            last = db.execute(LAST[table]).fetchone()[0] or 0
        seq = 0
        while True:
            with self._file.asking() as db:
                rows = db.execute(SCANS[table], (seq, last, account, provider)).fetchall()
            if not rows:
                return
            yield from (body for _, body in rows)
            seq = rows[-1][0]

    def lose(self, account: str, ordinal: int, at: int) -> None:
        """Write down that the answer to a request did not reach its client."""
        with self._file.writing() as db:
            row = db.execute(NEWEST_ORDINAL, (account, ordinal)).fetchone()
            exchange = EXCHANGE(row[1]) if row else None
            if exchange is not None and exchange.at == at:
                lost = packed(replace(exchange, lost=True))
                db.execute("UPDATE exchanges SET body = ? WHERE seq = ?", (lost, row[0]))

    def entries(self, account: str) -> list[Entry]:
        """The newest lines of an account's ledger, oldest first, those to come included."""
        with self._file.reading() as db:
            return ledger.lines(db, account)

    # Accounts and clocks

    def add_account(self, account: Account) -> bool:
        """Keep a new account; False if there is one of that id already."""
        with self._file.writing() as db:
            row = (account.id, packed(account))
            if not db.execute("INSERT OR IGNORE INTO accounts (id, body) VALUES (?, ?)", row).rowcount:
                return False
            rows = [(account.provider, name, key(value), account.id) for name, value in account.credentials.items()]
            db.executemany("INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?)", rows)
            return True

    def change_account(self, old: Account, new: Account) -> bool:
        """Replace an account, if it still is `old`."""
        with self._file.writing() as db:
            if _account(db, old.id) != old:
                return False
            db.execute("UPDATE accounts SET body = ? WHERE id = ?", (packed(new), old.id))
            return True

    def account(self, id_: str) -> Account | None:
        """An account by id."""
        with self._file.asking() as db:
            return _account(db, id_)

    def owner(self, provider: str, credential: str, value: str) -> Account | None:
        """The account that a credential belongs to."""
        with self._file.asking() as db:
            return _one(db, ACCOUNT, OWNER, provider, credential, key(value))

    def accounts(self) -> list[Account]:
        """Every account, in the order of their making."""
        with self._file.asking() as db:
            return [ACCOUNT(body) for (body,) in db.execute("SELECT body FROM accounts ORDER BY seq")]

    def line(self, account: str | None) -> Line | None:
        """The clock of an account, or the base clock."""
        with self._file.asking() as db:
            return _line(db, account)

    def turn(self, account: str | None, old: Line | None, new: Line) -> bool:
        """Replace a clock, if it still is `old`."""
        with self._file.writing() as db:
            if _line(db, account) != old:
                return False
            db.execute("INSERT OR REPLACE INTO clocks VALUES (?, ?)", (account or BASE, packed(new)))
            return True

    # Webhooks

    def webhooks(self, account: str | None = None) -> Iterator[Webhook]:
        """The outbox, in the order in which rows are due."""
        with self._file.asking() as db:
            asked = "SELECT body FROM webhooks WHERE account = coalesce(?, account) ORDER BY due, seq"
            rows = db.execute(asked, (account,)).fetchall()
        return (WEBHOOK(body) for (body,) in rows)

    def lease(self, wall: int, until: int, most: int) -> list[Lease]:
        """Take on what is due and nobody else's. Nothing is locked while nothing is due."""
        with self._file.reading() as db:
            if not outbox.due(db, lambda account: _now(db, account, wall), wall, 1):
                return []
        with self._file.writing() as db:
            return outbox.lease(db, outbox.due(db, lambda account: _now(db, account, wall), wall, most), until)

    def settle_webhook(self, webhook: Webhook) -> None:
        """Write a row back after an attempt, and end its lease."""
        with self._file.writing() as db:
            outbox.settle(db, webhook)

    def replay(self, id_: str, copy: int = 0) -> Webhook | None:
        """Make a row due at once."""
        with self._file.writing() as db:
            return outbox.replay(db, key(id_), copy)

    def waiting(self) -> int:
        """How many rows of the outbox have not been settled."""
        with self._file.asking() as db:
            return int(db.execute("SELECT count(*) FROM webhooks WHERE settled IS NULL").fetchone()[0])

    # Forgetting

    def reset(self, account: str | None) -> int:
        """Forget the tasks, lines, exchanges, counters and webhooks of one account, or everybody's."""
        with self._file.writing() as db:
            if account is None:
                gone = {table: db.execute(FORGET[table]).rowcount for table in MINE}
                db.execute("DELETE FROM numbers WHERE of <> 'sequence'")
                return gone["tasks"]
            gone = {table: db.execute(f"{FORGET[table]} WHERE account = ?", (account,)).rowcount for table in MINE}
            for table in ("tasks", "exchanges", "webhooks"):
                resized(db, table, -gone[table])
            db.execute("DELETE FROM numbers WHERE of = 'ordinal' AND name = ?", (account,))
            return gone["tasks"]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _one(db: Connection, read: Callable[[bytes], T], asked: str, *words: object) -> T | None:
    row = db.execute(asked, words).fetchone()
    return read(row[0]) if row else None


def _visible(db: Connection, provider: str, id_: str, owner: str | None) -> Task | None:
    task = _one(db, TASK, "SELECT body FROM tasks WHERE provider = ? AND id = ?", provider, key(id_))
    return task if task and owner in (None, task.account) else None


def _holder(db: Connection, provider: str, reads: Reads) -> str | None:
    """The account of the task that a call without one asks for."""
    found = (_visible(db, provider, id_, None) for id_ in reads.tasks)
    return next((task.account for task in found if task), None)


def _page(db: Connection, owner: str, page: Page) -> tuple[Task, ...]:
    last = db.execute(LAST_PLACE, (owner, page.kind)).fetchone()[0] or 0
    end = last - (page.number - 1) * page.size
    rows = db.execute(PAGE, (owner, page.kind, end - page.size, end)) if end > 0 else ()
    return tuple(TASK(body) for (body,) in rows)


def _counter(db: Connection, owner: str, name: str) -> Counter:
    row = db.execute("SELECT count, since FROM counters WHERE account = ? AND name = ?", (owner, key(name))).fetchone()
    return Counter(*row) if row else Counter()


def _account(db: Connection, id_: str) -> Account | None:
    return _one(db, ACCOUNT, "SELECT body FROM accounts WHERE id = ?", key(id_))


def _line(db: Connection, account: str | None) -> Line | None:
    return _one(db, LINE, "SELECT line FROM clocks WHERE account = ?", BASE if account is None else account)


def _now(db: Connection, account: str, wall: int) -> int:
    base, own = db.execute(LINES, (account,)).fetchone()
    return virtual(LINE(base) if base else IDENTITY, LINE(own) if own else IDENTITY, wall)
