"""The nouns as JSON in a row of a SQLite file, and what all tables need: keys that SQLite takes, and counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from sqlite3 import Connection
from typing import TypeVar

import msgspec

from kling_mock.core.clock import Line
from kling_mock.core.expressions import ABSENT
from kling_mock.core.model import Account, Entry, Exchange, Task, Webhook
from kling_mock.server.ledger import Totals
from kling_mock.server.store import StoreError

T = TypeVar("T")

BUMP = """
INSERT INTO numbers VALUES (?, ?, ?) ON CONFLICT (of, name) DO UPDATE SET value = value + excluded.value
RETURNING value
"""


def _plain(value: object) -> object:
    if value is ABSENT:
        return None
    raise TypeError(f"a row cannot hold a {type(value).__name__}")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)


def packed(value: object) -> bytes:
    """A value as JSON."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        # Half of a surrogate pair, which only a caller in this process can send: the escape keeps it.
        return json.dumps(msgspec.to_builtins(value, enc_hook=_plain)).encode()


def unpacker(of: type[T]) -> Callable[[bytes], T]:
    """What reads a value of this type back."""
    decoder = msgspec.json.Decoder(of)

    def unpacked(body: bytes) -> T:
        try:
            return decoder.decode(body)
        except msgspec.DecodeError:
            return _unusual(body, of)

    return unpacked


def _unusual(body: bytes, of: type[T]) -> T:
    try:
        return msgspec.convert(json.loads(body), of)
    except (ValueError, msgspec.ValidationError) as error:
        raise StoreError(f"the store holds a damaged {of.__name__.lower()} ({error}); name a new file") from error


ACCOUNT, TASK, EXCHANGE = unpacker(Account), unpacker(Task), unpacker(Exchange)
ENTRY, TOTALS, WEBHOOK = unpacker(Entry), unpacker(Totals), unpacker(Webhook)
LINE = lru_cache(maxsize=256)(unpacker(Line))


def key(word: str) -> str:
    """A word from outside as SQLite takes it: half of a surrogate pair is escaped."""
    return word if word.isascii() else word.encode("utf-8", "backslashreplace").decode()


def bumped(db: Connection, of: str, name: str, by: int = 1) -> int:
    """Add to a number that starts at 0, and give it."""
    row = db.execute(BUMP, (of, name, by)).fetchone()
    return int(row[0])


def number(db: Connection, of: str, name: str) -> int:
    """A number that starts at 0."""
    row = db.execute("SELECT value FROM numbers WHERE of = ? AND name = ?", (of, name)).fetchone()
    return int(row[0]) if row else 0


def resized(db: Connection, table: str, by: int) -> int:
    """Keep count of a table's rows, which SQLite would count one by one."""
    return bumped(db, "size", table, by) if by else number(db, "size", table)
