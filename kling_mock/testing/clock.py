"""The clock of a test: all of its accounts live in the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from kling_mock.core.durations import milliseconds
from kling_mock.server import steering
from kling_mock.server.mock import Mock
from kling_mock.testing.sleeping import FollowedSleep

DELIVERY_SECONDS, LOOK_SECONDS = 1.0, 0.002
Attempts = set[tuple[str, int, int]]
Duration = str | int | float | timedelta


class Clock:
    """Reads and turns the clock of a test's accounts, and of nobody else's. Time never goes back."""

    def __init__(self, mock: Mock) -> None:
        self._mock, self._accounts = mock, list[str]()
        self._followed: FollowedSleep | None = None
        self._slow: Attempts = set()

    def join(self, account: str) -> None:
        """Let an account live in this time too; it must be new."""
        if self._accounts:
            self._mock.store.turn(account, None, self._mock.clocks.line(self._accounts[0]))
        self._accounts.append(account)
        if self._accounts[0] in self._mock.accounts.followed:
            self._mock.accounts.followed.add(account)

    @property
    def now(self) -> datetime:
        """The accounts' time, in UTC."""
        return moment(self._mock.clocks.now(self._accounts[0]))

    @property
    def frozen(self) -> bool:
        """Whether time stands still."""
        return steering.clock(self._mock, self._accounts[0]).frozen

    def freeze(self) -> None:
        """Stop time; only `advance`, `set` and followed sleeps move it."""
        self.speed(0)

    def resume(self) -> None:
        """Let time go on from where it is, as fast as before it was frozen."""
        self._turn(lambda account: steering.resume(self._mock, account))

    def speed(self, times: float) -> None:
        """Let time go on so many times faster than the server's."""
        self._turn(lambda account: steering.run(self._mock, times, account))

    def advance(self, by: Duration) -> None:
        """Let time jump ahead: "31m", or seconds."""
        written = by.total_seconds() if isinstance(by, timedelta) else by
        self._turn(lambda account: steering.advance(self._mock, written, account))

    def set(self, at: str | int | float | datetime) -> None:
        """Let time jump to an instant that is not past: "2026-03-01T12:00:00Z", or seconds since 1970."""
        written = at.timestamp() if isinstance(at, datetime) else at
        self._turn(lambda account: steering.set_time(self._mock, written, account))

    def follow_sleep(self, limit: Duration = "7d") -> FollowedSleep:
        """Let the sleeps of this process move the clock instead of waiting, until the test (or the block) ends.

        `limit` is how much may be slept in all: a client that waits for ever is told so. The webhooks that come due in
        a sleep are delivered before it returns, unless their receiver takes longer than a second.
        """
        self.stop()
        written = limit.total_seconds() if isinstance(limit, timedelta) else limit
        known = self._mock.accounts.followed
        self._followed = FollowedSleep(
            lambda ms: self.advance(ms / 1000),
            milliseconds(written),
            self.deliver,
            lambda: known.difference_update(self._accounts),
        )
        self._followed.start()
        known.update(self._accounts)
        return self._followed

    def deliver(self) -> None:
        """Wait until the webhooks that are due now have been delivered or refused; for a second at most.

        An attempt that took longer once is not waited for again.
        """
        waiting, until = threading.Event(), time.monotonic() + DELIVERY_SECONDS
        while due := self._due() - self._slow:
            if time.monotonic() > until:
                self._slow |= due
            waiting.wait(LOOK_SECONDS)

    def _due(self) -> Attempts:
        """The attempts that are due."""
        now = self._mock.clocks.now(self._accounts[0])
        rows = (row for account in self._accounts for row in self._mock.store.webhooks(account))
        return {(row.id, row.copy, len(row.attempts)) for row in rows if row.outcome is None and row.due <= now}

    def stop(self) -> None:
        """Let sleeps be sleeps again."""
        if self._followed is not None:
            self._followed.stop()

    def _turn(self, change: Callable[[str], object]) -> None:
        """Turn the first account's clock; the others get the very same."""
        first, *others = self._accounts
        change(first)
        store, line = self._mock.store, self._mock.clocks.line(first)
        for account in others:
            while not store.turn(account, store.line(account), line):
                pass
        self._mock.clocks.changed()


def moment(ms: int) -> datetime:
    """An instant as Python has it."""
    return datetime.fromtimestamp(ms / 1000, UTC)
