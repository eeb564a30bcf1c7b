"""The file under a `SqliteStore`: how it is recognised, made and locked, and its errors in plain words.

A file that is not ours, is of a later format or is damaged is refused before SQLite may write to it. What was answered
survives `kill -9`: a commit is in the kernel's hands by then (WAL, synchronous=NORMAL). When the power fails, the last
commits before it may be lost, but the file stays whole; a mock needs no fsync for each call.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection, connect
from threading import Lock

from kling_mock.server.store import StoreError

MAGIC = b"SQLite format 3\0"
APPLICATION = 0x6B6C6D6B  # "klmk"
FORMAT = 1
PAUSE = 0.0005
LOG = 4000  # pages (16 MB) after which the log is written back, which is when the disk is waited for
NEEDED = (3, 35)  # RETURNING
SCHEMA = """
CREATE TABLE accounts (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE credentials (provider TEXT, name TEXT, value TEXT, account TEXT NOT NULL,
  PRIMARY KEY (provider, name, value)) WITHOUT ROWID;
CREATE TABLE clocks (account TEXT PRIMARY KEY, line BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE numbers (of TEXT, name TEXT, value INTEGER NOT NULL, PRIMARY KEY (of, name)) WITHOUT ROWID;
CREATE TABLE counters (account TEXT, name TEXT, count INTEGER NOT NULL, since INTEGER NOT NULL,
  PRIMARY KEY (account, name)) WITHOUT ROWID;
CREATE TABLE tasks (seq INTEGER PRIMARY KEY, provider TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL,
  kind TEXT NOT NULL, place INTEGER NOT NULL, alias TEXT, created INTEGER NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX tasks_id ON tasks (provider, id);
CREATE UNIQUE INDEX tasks_page ON tasks (account, kind, place);
CREATE INDEX tasks_alias ON tasks (account, alias) WHERE alias IS NOT NULL;
CREATE TABLE ledgers (account TEXT PRIMARY KEY, totals BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE dated (seq INTEGER PRIMARY KEY, account TEXT NOT NULL, at INTEGER NOT NULL, task TEXT NOT NULL,
  body BLOB NOT NULL);
CREATE INDEX dated_at ON dated (account, at);
CREATE TABLE past (account TEXT, place INTEGER, body BLOB NOT NULL, PRIMARY KEY (account, place)) WITHOUT ROWID;
CREATE TABLE exchanges (seq INTEGER PRIMARY KEY, account TEXT, ordinal INTEGER NOT NULL, provider TEXT NOT NULL,
  body BLOB NOT NULL);
CREATE INDEX exchanges_ordinal ON exchanges (account, ordinal);
CREATE TABLE webhooks (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, copy INTEGER NOT NULL, account TEXT NOT NULL,
  task TEXT NOT NULL, due INTEGER NOT NULL, tried INTEGER NOT NULL, settled INTEGER, leased INTEGER NOT NULL DEFAULT 0,
  body BLOB NOT NULL);
CREATE UNIQUE INDEX webhooks_id ON webhooks (id, copy);
CREATE INDEX webhooks_waiting ON webhooks (account, due) WHERE settled IS NULL;
CREATE INDEX webhooks_settled ON webhooks (settled) WHERE settled IS NOT NULL;
"""
NEW = "name a new file, or move this one (and its -wal and -shm) away"
TOLD = {
    sqlite3.SQLITE_BUSY: "is locked by another program; stop what holds it, or name another file",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; make its folder writable for this user",
    sqlite3.SQLITE_CORRUPT: f"is damaged; {NEW}",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; make room and try again",
    sqlite3.SQLITE_NOTADB: "is no SQLite database; name another file",
    sqlite3.SQLITE_PERM: "may not be opened; make it readable and writable for this user",
    sqlite3.SQLITE_READONLY: "may not be written; make it and its folder writable for this user",
}


def told(path: str, error: sqlite3.Error) -> StoreError:
    """An error of SQLite's as one line: the file, what is wrong with it, and what to do."""
    return StoreError(
        f"the store {path} " + TOLD.get(_code(error), f"cannot be used ({error}); check the disk it is on")
    )


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


class Database:
    """A file, one connection that writes and as many that read as there are calls at a time.

    Any thread may come with any call. Who wants to write waits `timeout` seconds for other processes.
    """

    def __init__(self, path: str, timeout: float = 5.0) -> None:
        self.path, self._timeout = os.path.abspath(path), timeout
        self._renew()
        if sqlite3.sqlite_version_info < NEEDED:
            raise StoreError(
                f"the store {self.path} needs SQLite 3.35; this Python has {sqlite3.sqlite_version}; use a newer Python"
            )
        inspect(self.path, timeout)
        try:
            with self.writing() as connection:
                _make(connection)
            with self._borrowed(self._writers, 0) as connection:
                self._log_ahead(connection)
        except StoreError:
            self.close()
            raise

    def _renew(self) -> None:
        self._process, self._turn, self._open = os.getpid(), Lock(), True
        self._readers: list[Connection] = []
        self._writers: list[Connection] = []

    def _log_ahead(self, connection: Connection) -> None:
        if self._patiently(connection, "PRAGMA journal_mode = WAL") != ("wal",):
            raise StoreError(f"the store {self.path} lies where SQLite cannot share memory; name a local file")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write: all of it happens, or nothing. Threads of this process queue here."""
        self._belong()
        with self._turn, self._borrowed(self._writers, 0) as connection:
            self._patiently(connection, "BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads: one state of the file, whoever writes meanwhile."""
        with self.asking() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def asking(self) -> Iterator[Connection]:
        """For a single SELECT, which is a transaction by itself."""
        self._belong()
        with self._borrowed(self._readers, self._timeout) as connection:
            yield connection

    def _patiently(self, connection: Connection, statement: str) -> object:
        """Wait for another process's transaction, which takes less than a millisecond.

        SQLite's own waiting sleeps for up to a tenth of a second at a time, and two busy processes starve each other.
        """
        end = time.monotonic() + self._timeout
        while True:
            try:
                return connection.execute(statement).fetchone()
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(PAUSE)

    @contextmanager
    def _borrowed(self, idle: list[Connection], timeout: float) -> Iterator[Connection]:
        connection = None
        try:
            connection = idle.pop() if idle else self._connect(timeout)
            yield connection
        except sqlite3.Error as error:
            raise told(self.path, error) from error
        finally:
            if connection is not None:
                self._give_back(connection, idle)

    def _connect(self, timeout: float) -> Connection:
        if not self._open:
            raise StoreError(f"the store {self.path} is closed")
        connection = connect(
            self.path, timeout=timeout, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        self._patiently(connection, "PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG}")
        return connection

    def _give_back(self, connection: Connection, idle: list[Connection]) -> None:
        # After some errors (a full disk) SQLite has rolled back by itself.
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if self._open and not connection.in_transaction:
            idle.append(connection)
        else:
            connection.close()

    def _belong(self) -> None:
        """Connections must not be carried over a fork, not even to close them: their locks are the parent's."""
        if self._process != os.getpid():
            self._inherited = [*self._readers, *self._writers]
            self._renew()

    def close(self) -> None:
        """Close what is not in use; what is follows when it is done."""
        self._belong()
        self._open = False
        for idle in (self._readers, self._writers):
            while idle:
                idle.pop().close()

    def __del__(self) -> None:
        """A store that is forgotten lets go of its file."""
        self.close()


def _make(connection: Connection) -> None:
    """Make the tables, if the file is new."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        for statement in SCHEMA.split(";\n"):
            connection.execute(statement)
        # In the same transaction as the tables, and before the log: the file's first page always tells whose it is.
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")


def inspect(path: str, timeout: float = 5.0) -> None:
    """Raise `StoreError` for a file that is not a store of ours, without writing a byte to it."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return _inspect_folder(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", error)
        raise StoreError(f"the store {path!r} cannot be reached ({why}); name another file") from error
    if stat.S_ISDIR(found.st_mode):
        raise StoreError(f"the store {path} is a directory; name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"the store {path} is no regular file; name another one")
    if found.st_size:
        _inspect_head(path)
        _inspect_pages(path, timeout)
    return None


def _inspect_folder(path: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise StoreError(f"the store {path} cannot be made: there is no folder {folder}; make it first")


def _inspect_head(path: str) -> None:
    """Whose file it is stands in its first 100 bytes (https://www.sqlite.org/fileformat.html#the_database_header)."""
    try:
        with open(path, "rb") as file:
            head = file.read(100)
    except OSError as error:
        raise StoreError(f"the store {path} cannot be read ({error.strerror}); name another file") from error
    if not head.startswith(MAGIC):
        raise StoreError(f"the store {path} is no SQLite database; name another file")
    if len(head) < 100:
        raise _damaged(path)
    version, application = (int.from_bytes(head[at : at + 4], "big") for at in (60, 68))
    if application != APPLICATION:
        raise StoreError(f"the store {path} is another program's SQLite database; name another file")
    if version != FORMAT:
        raise StoreError(
            f"the store {path} was written by another kling-mock (format {version}, this one knows {FORMAT}); {NEW}"
        )


def _inspect_pages(path: str, timeout: float) -> None:
    """Read the whole file once, through a connection that cannot write: about a second for a gigabyte."""
    wrong = None if _in_use(path) else _wrong(path, "immutable=1", timeout)
    # Without a lock nothing is left beside a damaged file. If somebody writes to it, only a lock shows it whole.
    if _in_use(path):
        wrong = _wrong(path, "mode=ro", timeout)
    if wrong is not None:
        raise wrong


def _in_use(path: str) -> bool:
    return any(os.path.exists(path + end) for end in ("-wal", "-journal"))


def _wrong(path: str, way: str, timeout: float) -> StoreError | None:
    connection = None
    try:
        connection = connect(f"{Path(path).as_uri()}?{way}", uri=True, timeout=timeout)
        whole = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        return None if whole else _damaged(path)
    except sqlite3.Error as error:
        return told(path, error)
    finally:
        if connection is not None:
            connection.close()


def _damaged(path: str) -> StoreError:
    return StoreError(f"the store {path} {TOLD[sqlite3.SQLITE_CORRUPT]}")
