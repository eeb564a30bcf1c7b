"""Ledgers in a SQLite file: lines to come by account and date, totals of those that came, and the newest of these."""

from __future__ import annotations

from collections.abc import Iterable
from sqlite3 import Connection

from kling_mock.core.model import Entry
from kling_mock.server.ledger import Totals
from kling_mock.server.sqlite_rows import ENTRY, TOTALS, packed

DUE = "SELECT body FROM dated WHERE account = ? AND at <= ? ORDER BY at, seq"
KEEP = "INSERT INTO ledgers VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET totals = excluded.totals"


def totals(db: Connection, account: str) -> Totals:
    """What the account's counted lines sum up to."""
    row = db.execute("SELECT totals FROM ledgers WHERE account = ?", (account,)).fetchone()
    return TOTALS(row[0]) if row else Totals()


def fold(db: Connection, account: str, now: int, most: int) -> Totals:
    """Count what has come due. O(1) beside that."""
    due = [ENTRY(body) for (body,) in db.execute(DUE, (account, now))]
    found = totals(db, account)
    if due:
        db.execute("DELETE FROM dated WHERE account = ? AND at <= ?", (account, now))
        _count(db, account, found, due, most)
    return found


def append(db: Connection, entries: Iterable[Entry], now: int, most: int) -> None:
    """Add lines: those due are counted at once, after what came due before them."""
    due: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.at <= now:
            due.setdefault(entry.account, []).append(entry)
        else:
            row = (entry.account, entry.at, entry.task, packed(entry))
            db.execute("INSERT INTO dated (account, at, task, body) VALUES (?, ?, ?, ?)", row)
    for account, rows in due.items():
        _count(db, account, fold(db, account, now, most), sorted(rows, key=lambda entry: entry.at), most)


def _count(db: Connection, account: str, found: Totals, entries: list[Entry], most: int) -> None:
    first = found.counted + 1
    for entry in entries:
        found.count(entry)
    rows = [(account, place, packed(entry)) for place, entry in enumerate(entries, first)]
    db.executemany("INSERT INTO past VALUES (?, ?, ?)", rows)
    db.execute(KEEP, (account, packed(found)))
    if found.counted > most:
        db.execute("DELETE FROM past WHERE account = ? AND place <= ?", (account, found.counted - most))


def withdraw(db: Connection, account: str, task: str, now: int) -> None:
    """Take back the lines of a task that are dated after `now`. O(the account's lines not yet due)."""
    db.execute("DELETE FROM dated WHERE account = ? AND at > ? AND task = ?", (account, now, task))


def lines(db: Connection, account: str) -> list[Entry]:
    """The newest lines that were counted, then those to come."""
    past = db.execute("SELECT body FROM past WHERE account = ? ORDER BY place", (account,)).fetchall()
    to_come = db.execute("SELECT body FROM dated WHERE account = ? ORDER BY at, seq", (account,)).fetchall()
    return [ENTRY(body) for (body,) in (*past, *to_come)]
