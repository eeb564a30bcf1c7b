"""No call of a store in a file costs more because there is much in it: SQLite's steps are counted, not the time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kling_mock.core.model import Append, Count, Page, Post, PutTask, Record
from kling_mock.server import sqlite_file
from kling_mock.server.sqlite import SqliteStore
from kling_mock.server.store import Retention
from tests.conftest import AT
from tests.server.storing import ANN, BOB, Keeper, entry, exchange, hook, task

LITTLE, MUCH = 50, 3000


@dataclass
class Counted:
    """A store that holds `size` of everything, and how many of SQLite's steps its calls take."""

    size: int
    steps: int = 0
    kept: Keeper = field(init=False)

    def tick(self) -> int:
        """One more step; 0 lets SQLite go on."""
        self.steps += 1
        return 0

    def cost(self, call: Callable[[Counted], object]) -> int:
        """How many steps a call takes when it is made for the second time."""
        call(self)
        before = self.steps
        call(self)
        return self.steps - before


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Counted, Counted]]:
    """A store with little in it, and one with much. What a test adds makes room at the other end."""
    folder = tmp_path_factory.mktemp("growth")
    with pytest.MonkeyPatch.context() as patch:
        yield counted(patch, folder, LITTLE), counted(patch, folder, MUCH)


def counted(patch: pytest.MonkeyPatch, folder: Path, size: int) -> Counted:
    """A store whose connections count their steps."""
    path = folder / f"{size}.db"

    def connect(*words: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(*words, **named)
        connection.set_progress_handler(made.tick, 1)
        return connection

    patch.setattr(sqlite_file, "connect", connect)
    made = Counted(size)
    made.kept = Keeper(SqliteStore(str(path), Retention(size, size, size, size)))
    fill(made.kept, size)
    # The connection that reads is made now, while it is this store's to count.
    made.kept.store.accounts()
    return made


def fill(kept: Keeper, size: int) -> None:
    """So many tasks, counted lines, lines to come, exchanges, waiting and settled webhooks, counters and accounts."""
    kept.store.add_account(ANN)
    kept.do(*(PutTask(task(f"t{n}", alias=f"a{n}")) for n in range(size)))
    kept.do(*(Append((entry("reserve", 1, AT - n), entry("settle", 1, AT + 10**6 + n, f"t{n}"))) for n in range(size)))
    kept.do(*(Record(exchange(n)) for n in range(size)), *(Count("ann", f"n{n}", AT) for n in range(size)))
    kept.do(Post(tuple(hook(f"h{n}", "bob", AT + 10**6) for n in range(size))), by=BOB)


CALLS: dict[str, Callable[[Counted], object]] = {
    "a task by id": lambda it: it.kept.store.task("toy", f"t{it.size - 9}"),
    "a task by alias": lambda it: it.kept.found(alias=f"a{it.size - 9}"),
    "the first page": lambda it: it.kept.found(page=Page("video", 1, 5)),
    "the last page": lambda it: it.kept.found(page=Page("video", it.size // 5 - 3, 5)),
    "a counter": lambda it: it.kept.found(counters=(f"n{it.size - 1}",)),
    "balances": lambda it: it.kept.held(),
    "a create": lambda it: it.kept.do(
        PutTask(task(f"new{it.steps}")),
        Append((entry("reserve", 1), entry("settle", 1, AT + 10**6))),
        Post((hook(f"new{it.steps}", due=AT + 10**6),)),
        Record(exchange(it.size)),
        Count("ann", "x", AT),
    ),
    "a changed task": lambda it: it.kept.do(PutTask(task(f"t{it.size - 9}"))),
    "a lost answer": lambda it: it.kept.store.lose("ann", it.size - 9, AT),
    "what is due": lambda it: it.kept.store.lease(AT, AT + 10, 10),
    "an attempt": lambda it: it.kept.store.settle_webhook(hook(f"h{it.size - 1}", "bob", outcome="delivered")),
    "an account": lambda it: it.kept.store.owner("toy", "key", "of-ann"),
    "a clock": lambda it: it.kept.store.line("ann"),
    "a number": lambda it: it.kept.store.number("n"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_costs_the_same_however_much_there_is(pair: tuple[Counted, Counted], name: str) -> None:
    """Sixty times as much of everything, and not one step more."""
    little, much = (one.cost(CALLS[name]) for one in pair)
    assert much <= little, "it reads what it is not asked for"


def test_steps_are_counted(pair: tuple[Counted, Counted]) -> None:
    """What does read everything takes steps by the row: the test above could fail."""
    little, much = (one.cost(lambda it: list(it.kept.store.tasks())) for one in pair)
    assert much - little >= MUCH - LITTLE
