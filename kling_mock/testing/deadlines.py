"""Sleeps and deadlines of asyncio in slept time: those of a client whose sleeps are followed.

A loop's tasks sleep in one order: one task of ours lets time pass to the end of the first sleep, or to the first
deadline, and no further until whoever is meant has heard of it. `asyncio.timeout`, `timeout_at`, `wait_for` and `wait`
get a timeout that is a real one on its loop's timers, and is written down beside with the slept time at which it comes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Self

TURNS = 6
"""In so many turns of its loop whoever sleeps no more, or is out of time, has heard of it: it needs four."""

Yield = Callable[[float], Any]


class Deadlines:
    """The timeouts that clients have opened, and the slept ms at which each comes; from any thread and loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[FollowedTimeout, tuple[int, asyncio.AbstractEventLoop]] = {}

    def set(self, scope: FollowedTimeout, at: int | None) -> None:
        """Write down when a timeout of the running loop comes; None is never."""
        with self._lock:
            self._rows.pop(scope, None)
            if at is not None:
                self._rows[scope] = at, asyncio.get_running_loop()

    def next(self, until: int) -> int:
        """How far a sleep may go: to the first deadline, or to its end."""
        with self._lock:
            return min([until, *(at for at, _ in self._rows.values())])

    def expire(self, now: int) -> None:
        """Bring about what comes at `now` or came before."""
        with self._lock:
            due = [(scope, loop) for scope, (at, loop) in self._rows.items() if at <= now]
            for scope, _ in due:
                del self._rows[scope]
        for scope, loop in due:
            if not loop.is_closed():
                loop.call_soon_threadsafe(scope.come)


class LoopSleeps:
    """The followed sleeps of one loop. `passing` lets time pass as far as it may, and gives how much was slept then."""

    def __init__(self, passing: Callable[[int], int], real: Yield, grace_seconds: float) -> None:
        self._passing, self._real, self._grace = passing, real, grace_seconds
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._driver: asyncio.Task[None] | None = None

    async def sleep(self, wake: int) -> None:
        """Sleep until so many ms were slept in all."""
        ended = asyncio.get_running_loop().create_future()
        self._waiting[ended] = wake
        if self._driver is None:
            self._driver = asyncio.get_running_loop().create_task(self._drive())
        try:
            await ended
        finally:
            self._waiting.pop(ended, None)

    async def _drive(self) -> None:
        try:
            while await self._settled():
                # The clock may be another process's: asking it must not hold up the client's other tasks.
                until = min(self._waiting.values())
                reached = await asyncio.get_running_loop().run_in_executor(None, self._passing, until)
                await self._turns()  # a deadline that comes with a sleep's end comes first
                self._end(reached)
        except Exception as error:
            for ended in self._waiting:
                if not ended.done():
                    ended.set_exception(error)
        finally:
            self._driver = None

    async def _settled(self) -> bool:
        """Let tasks begin their sleeps that were started or woken together; whether anybody sleeps."""
        await self._turns()
        mine = asyncio.current_task()
        busy = sum(task is not mine for task in asyncio.all_tasks()) > len(self._waiting)
        if busy and self._waiting:
            await self._real(self._grace)  # others wait for something real, or for these
        return bool(self._waiting)

    async def _turns(self) -> None:
        for _ in range(TURNS):
            await self._real(0)

    def _end(self, reached: int) -> None:
        for ended, wake in self._waiting.items():
            if wake <= reached and not ended.done():
                ended.set_result(None)


class FollowedTimeout(asyncio.Timeout):  # type: ignore[misc]  # final to type checkers only
    """A timeout in so many seconds (None: never), which pass by sleeps too; `slept` gives the slept ms now."""

    def __init__(self, seconds: float | None, deadlines: Deadlines, slept: Callable[[], int]) -> None:
        super().__init__(None if seconds is None else asyncio.get_running_loop().time() + seconds)
        self._deadlines, self._slept = deadlines, slept
        self._at = self._comes(seconds)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._deadlines.set(self, self._at)
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._deadlines.set(self, None)
        await super().__aexit__(*error)

    def reschedule(self, when: float | None) -> None:
        """Let it come at another time of its loop, or never (None)."""
        super().reschedule(when)
        self._deadlines.set(self, self._comes(None if when is None else when - asyncio.get_running_loop().time()))

    def come(self) -> None:
        """Let it come now, unless it was left meanwhile."""
        try:
            super().reschedule(asyncio.get_running_loop().time())
        except RuntimeError:
            return

    def _comes(self, seconds: float | None) -> int | None:
        """How much will have been slept in so many seconds."""
        return None if seconds is None else self._slept() + max(0, round(seconds * 1000))


async def waited_for(scope: FollowedTimeout, awaited: Any) -> Any:
    """What `asyncio.wait_for` does since Python 3.12: wait in the task itself, within a timeout."""
    async with scope:
        return await awaited


async def waited(scope: FollowedTimeout, waiting: Any, futures: set[Any]) -> tuple[set[Any], set[Any]]:
    """What `asyncio.wait` does at its timeout: those that are done, and the others, which go on."""
    try:
        async with scope:
            done, pending = await waiting
            return done, pending
    except TimeoutError:
        done = {each for each in futures if each.done()}
        return done, futures - done
