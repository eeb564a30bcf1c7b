"""The outbox in a SQLite file: rows that wait, by account and due time, and settled ones in the order of settling.

A lease is a wall time on the row: until then nobody else is given it, and if its holder dies it is due again.
"""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection

from msgspec.structs import replace

from kling_mock.core.model import Webhook
from kling_mock.server.sqlite_rows import WEBHOOK, packed, resized
from kling_mock.server.store import Lease

# One step per account, not per row: SQLite's DISTINCT would read all rows that wait.
ACCOUNTS = """
WITH RECURSIVE waiting (account) AS (
  SELECT min(account) FROM webhooks WHERE settled IS NULL
  UNION ALL
  SELECT (SELECT min(account) FROM webhooks WHERE settled IS NULL AND account > waiting.account)
  FROM waiting WHERE waiting.account IS NOT NULL
)
SELECT account FROM waiting WHERE account IS NOT NULL
"""
DUE = """
SELECT seq, body FROM webhooks WHERE account = ? AND settled IS NULL AND due <= ? AND leased <= ?
ORDER BY due, seq LIMIT ?
"""
ADD = "INSERT OR IGNORE INTO webhooks (id, copy, account, task, due, tried, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
SETTLE = """
UPDATE webhooks SET due = ?, tried = ?, body = ?, leased = 0,
settled = CASE WHEN ? THEN (SELECT coalesce(max(settled), 0) + 1 FROM webhooks WHERE settled IS NOT NULL) END
WHERE id = ? AND copy = ?
"""
WITHDRAW = "DELETE FROM webhooks WHERE account = ? AND settled IS NULL AND due > ? AND task = ? AND tried = 0"
OLDEST = """
DELETE FROM webhooks WHERE seq IN (
  SELECT seq FROM webhooks WHERE settled IS NOT NULL ORDER BY settled LIMIT ?
)
"""

Found = list[tuple[int, Lease]]


def add(db: Connection, row: Webhook, most: int) -> None:
    """Keep a row, unless it is there already; forget the oldest settled ones beyond what is kept."""
    words = (row.id, row.copy, row.account, row.task, row.due, len(row.attempts), packed(row))
    if not db.execute(ADD, words).rowcount:
        return
    if row.outcome is not None:
        settle(db, row)
    excess = resized(db, "webhooks", 1) - most
    if excess > 0:
        resized(db, "webhooks", -db.execute(OLDEST, (excess,)).rowcount)


def withdraw(db: Connection, account: str, task: str, now: int) -> None:
    """Take back a task's rows that are dated after `now` and were never tried. O(the account's waiting rows)."""
    gone = db.execute(WITHDRAW, (account, now, task)).rowcount
    if gone:
        resized(db, "webhooks", -gone)


def due(db: Connection, now: Callable[[str], int], wall: int, most: int) -> Found:
    """What is due by each account's time and has no lease; `now` gives an account's time."""
    found: Found = []
    for (account,) in db.execute(ACCOUNTS).fetchall():
        at = now(account)
        rows = db.execute(DUE, (account, at, wall, most - len(found)))
        found += [(seq, Lease(WEBHOOK(body), at)) for seq, body in rows]
    return found


def lease(db: Connection, found: Found, until: int) -> list[Lease]:
    """Take these on."""
    db.executemany("UPDATE webhooks SET leased = ? WHERE seq = ?", [(until, seq) for seq, _ in found])
    return [taken for _, taken in found]


def settle(db: Connection, row: Webhook) -> None:
    """Write a row back, and end its lease."""
    settled = row.outcome is not None
    db.execute(SETTLE, (row.due, len(row.attempts), packed(row), settled, row.id, row.copy))


def replay(db: Connection, id_: str, copy: int) -> Webhook | None:
    """Make a row wait again."""
    found = db.execute("SELECT body FROM webhooks WHERE id = ? AND copy = ?", (id_, copy)).fetchone()
    if found is None:
        return None
    row = replace(WEBHOOK(found[0]), outcome=None, reason=None)
    settle(db, row)
    return row
