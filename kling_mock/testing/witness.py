"""What a server saw while a test ran: each exchange as it happens, and what must not pass unseen."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TypeVar

from msgspec import Struct

from kling_mock.core.model import Account, Decision, Exchange, Reads, Record, Violation
from kling_mock.server.memory import MemoryStore
from kling_mock.server.store import Step, Wall

LOGGERS = ("kling_mock", "uvicorn.error")
MOST = 1000
T = TypeVar("T")

OF_THE_ACCOUNT = frozenset({"mock/alias.taken", "mock/balance.empty", "mock/slots.full"})
"""Refusals for what the account has used up: a right request meets them too, and its client must live with them."""


class WatchedStore(MemoryStore):
    """A store in memory that tells its listeners of each exchange."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[Callable[[Exchange], None]] = []

    def decide(
        self, reads: Reads, provider: str, account: Account | None, claimed: str | None, wall: Wall, step: Step
    ) -> Decision:
        """See `Store.decide`; listeners hear of it after the transaction."""
        decision = super().decide(reads, provider, account, claimed, wall, step)
        for effect in decision.effects:
            if isinstance(effect, Record):
                for listener in tuple(self.listeners):
                    listener(effect.exchange)
        return decision


class Offence(Struct, frozen=True):
    """An exchange whose request was wrong, and what was wrong with it; `late` if its test was over by then."""

    exchange: Exchange
    violations: tuple[Violation, ...]
    late: bool = False


class Taken(Struct, frozen=True):
    """What had to be told: wrong requests, and errors of the mock itself with their tracebacks."""

    offences: tuple[Offence, ...]
    errors: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.offences or self.errors)


class Suspicions:
    """Collects what must fail the test that brought it about, until somebody takes it.

    What is allowed is asked at the moment of the exchange: a block that allows something may be over when it is told.
    """

    def __init__(self) -> None:
        self.allowed: list[tuple[str, ...]] = []
        self.over: set[str | None] = set()
        """The accounts whose tests are over."""
        self._offences: deque[Offence] = deque(maxlen=MOST)
        self._log = _ErrorLog()

    def hear(self, exchange: Exchange) -> None:
        """Look at an exchange."""
        found = tuple(row for row in exchange.violations if counts(row) and not self._allows(row))
        if found:
            self._offences.append(Offence(exchange, found, exchange.account in self.over))

    def _allows(self, violation: Violation) -> bool:
        return any(fnmatchcase(violation.rule, pattern) for patterns in self.allowed for pattern in patterns)

    def start(self) -> None:
        """Listen to the log of the server's threads."""
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._log)

    def stop(self) -> None:
        """Listen no more."""
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self._log)

    def take(self) -> Taken:
        """What was collected; from now on it counts as told."""
        return Taken(_emptied(self._offences), _emptied(self._log.lines))


def counts(violation: Violation, warnings: bool = False) -> bool:
    """Whether a violation says that the client did something wrong."""
    # A scenario that there is not is a slip of the test itself, which would pass for the wrong reason.
    wrong = warnings or violation.severity != "warning" or violation.rule == "mock/scenario"
    return violation.rule not in OF_THE_ACCOUNT and wrong


def _emptied(rows: deque[T]) -> tuple[T, ...]:
    found = []
    while rows:
        found.append(rows.popleft())
    return tuple(found)


class _ErrorLog(logging.Handler):
    """Keeps the errors that were logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: deque[str] = deque(maxlen=MOST)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line with its traceback."""
        self.lines.append(self.format(record))
