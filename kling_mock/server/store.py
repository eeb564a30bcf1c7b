"""What the mock needs of a store, and how one is opened by its URL.

A store holds all that outlives a call: tasks, accounts, ledgers, the journal, clocks, counters and the outbox. There
are two, `memory://` and `sqlite:///FILE`, and one suite of tests for both. Nothing here assumes a single process; the
only code of ours that runs inside a transaction is the `step` of `decide`, which is pure and may be run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from msgspec import Struct

from kling_mock.core.clock import Line
from kling_mock.core.model import Account, Decision, Entry, Exchange, Found, Reads, Task, Webhook

Step = Callable[[Found], Decision]
Wall = Callable[[], int]


class Retention(Struct, frozen=True):
    """How much is kept. What is forgotten takes no money with it: its lines are in the ledger's totals.

    Counts are of the whole store, `entries` per account. `age_ms` is how much older than its account's
    newest a task may be, by their creates.
    """

    tasks: int = 100_000
    exchanges: int = 10_000
    entries: int = 10_000
    webhooks: int = 10_000
    age_ms: int | None = None


class StoreError(Exception):
    """A store that cannot be used: the file, what is wrong with it, and what to do."""


class Lease(Struct, frozen=True):
    """A webhook whose delivery this process has taken on, and the virtual time of its account."""

    webhook: Webhook
    now: int


class Store(Protocol):
    """All methods may be called from any thread. `wall` is, or gives, wall time in ms; everything else is virtual.

    `waits` says that a call may wait for a file or another process: an event loop leaves it to a thread.
    """

    waits: bool

    def decide(
        self, reads: Reads, provider: str, account: Account | None, claimed: str | None, wall: Wall, step: Step
    ) -> Decision:
        """One short transaction: fetch what `reads` names, let `step` decide, carry out its effects.

        The account (None: anybody) sees its own tasks; `Found.now` is its virtual time, or that of the task's account
        for a call without one. `wall` is asked within the transaction: whatever was decided before, here or in another
        process, was decided earlier. The request is numbered under the account or under `claimed` (None: not at all).
        """

    def fetch(self, reads: Reads, provider: str, account: Account | None, wall: Wall) -> Found:
        """What `reads` names, to look at only."""

    def number(self, name: str) -> int:
        """The next number of a sequence, from 1; nobody else gets the same."""

    def task(self, provider: str, id_: str) -> Task | None:
        """A task by id, whoever's it is."""

    def tasks(self, account: str | None = None, provider: str | None = None) -> Iterator[Task]:
        """Tasks, oldest first."""

    def add_account(self, account: Account) -> bool:
        """Keep a new account; False if there is one of that id already."""

    def change_account(self, old: Account, new: Account) -> bool:
        """Replace an account (its credentials stay), if it still is `old`."""

    def account(self, id_: str) -> Account | None:
        """An account by id."""

    def owner(self, provider: str, credential: str, value: str) -> Account | None:
        """The account that a credential belongs to."""

    def accounts(self) -> list[Account]:
        """Every account, in the order of their making."""

    def line(self, account: str | None) -> Line | None:
        """The clock of an account, or (None) the base clock; None if it was never set."""

    def turn(self, account: str | None, old: Line | None, new: Line) -> bool:
        """Replace a clock, if it still is `old`."""

    def exchanges(self, account: str | None = None, provider: str | None = None) -> Iterator[Exchange]:
        """The journal, oldest first, without secrets and long texts."""

    def lose(self, account: str, ordinal: int, at: int) -> None:
        """Write down that the answer to a request did not reach its client.

        `at` is when the account made it: after a reset others have its ordinal.
        """

    def entries(self, account: str) -> list[Entry]:
        """The newest lines of an account's ledger, oldest first, those to come included."""

    def webhooks(self, account: str | None = None) -> Iterator[Webhook]:
        """The outbox, in the order in which rows are due."""

    def lease(self, wall: int, until: int, most: int) -> list[Lease]:
        """Take on what is due and nobody else's; until the wall time `until` no other process gets it."""

    def settle_webhook(self, webhook: Webhook) -> None:
        """Write a row back after an attempt, and end its lease."""

    def replay(self, id_: str, copy: int = 0) -> Webhook | None:
        """Make a row due at once, with its id and its attempts; None if there is none."""

    def waiting(self) -> int:
        """How many rows of the outbox have not been settled."""

    def reset(self, account: str | None) -> int:
        """Forget the tasks, lines, exchanges, counters and webhooks of one account, or of all; gives how many tasks."""

    def close(self) -> None:
        """Let go of files."""


def open_store(url: str, retention: Retention | None = None) -> Store:
    """The store of a URL: `memory://`, or `sqlite:///FILE` (relative; four slashes for an absolute path).

    Raises `StoreError` for any other URL and for a file that cannot be used.
    """
    kept = retention or Retention()
    if url == "memory://":
        from kling_mock.server.memory import MemoryStore

        return MemoryStore(kept)
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path:
        from kling_mock.server.sqlite import SqliteStore

        return SqliteStore(path, kept)
    raise StoreError(f"there is no store {url[:100]!r}; memory:// and sqlite:///FILE are known")
