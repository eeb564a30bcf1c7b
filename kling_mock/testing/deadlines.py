"""Deadlines of asyncio in slept time: `asyncio.timeout` and `asyncio.wait_for` of a client whose sleeps are followed.

The real ones stay what they are, on the loop's own timers. Beside them each is written down with the slept time at
which it comes. No sleep of a loop's tasks passes one by: it stops there until the task has heard of its deadline.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

TURNS = 6
"""In so many turns of its loop a deadline that has come has reached its task: it needs four."""
PATIENCE_SECONDS = 1.0
"""How long is really waited for a loop that does not turn: its thread may be in a sleep of its own."""


class Deadlines:
    """The timeouts that clients have opened, and the slept ms at which each comes; from any thread and loop."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rows: list[tuple[int, asyncio.Timeout, asyncio.AbstractEventLoop]] = []
        self._unheard = 0

    def add(self, scope: asyncio.Timeout, at: int) -> None:
        """Write a timeout of the running loop down."""
        with self._changed:
            self._rows.append((at, scope, asyncio.get_running_loop()))

    def next(self, until: int) -> int:
        """How far a sleep may go: to the first deadline, or to its end."""
        with self._changed:
            return min([until, *(at for at, _, _ in self._rows)])

    def expire(self, now: int) -> None:
        """Bring about what comes at `now` or came before."""
        with self._changed:
            due = [row for row in self._rows if row[0] <= now]
            self._rows = [row for row in self._rows if row[0] > now]
            open_ = [(scope, loop) for _, scope, loop in due if not loop.is_closed()]
            self._unheard += len(open_)
        for scope, loop in open_:
            loop.call_soon_threadsafe(self._end, scope, loop)

    @property
    def quiet(self) -> bool:
        """Whether there is nothing that has come and is not known of."""
        with self._changed:
            return not self._unheard

    def heard(self) -> bool:
        """Whether the tasks know of all that has come; waits a little for it."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._unheard, PATIENCE_SECONDS)

    def _end(self, scope: asyncio.Timeout, loop: asyncio.AbstractEventLoop) -> None:
        try:
            scope.reschedule(loop.time())
        except RuntimeError:
            self._turned(loop, TURNS)  # it was left, or never entered
        else:
            self._turned(loop, 0)

    def _turned(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        if turns < TURNS:
            loop.call_soon(self._turned, loop, turns + 1)
            return
        with self._changed:
            self._unheard -= 1
            self._changed.notify_all()


async def waited_for(scope: asyncio.Timeout, awaited: Any) -> Any:
    """What `asyncio.wait_for` does since Python 3.12: wait in the task itself, within a timeout."""
    async with scope:
        return await awaited
