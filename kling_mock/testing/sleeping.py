"""Sleeps that move an account's clock: a client that polls every ten seconds walks a five-minute job in milliseconds.

While it is on, `time.sleep`, `asyncio.sleep` and the timeout of `threading.Event.wait` do not wait; they advance the
clock. `time.monotonic` and `time.time` run ahead by as much, so that a client's deadlines come too. Left alone are the
mock's own threads and the libraries that measure sockets and event loops: their time is the wall's.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Self

OWN_THREADS = "kling-mock"
"""Threads whose names begin so are the mock's."""

UNTOUCHED = frozenset(
    {"asyncio", "concurrent", "http", "logging", "queue", "selectors", "socket", "ssl", "threading", "urllib"}
    | {"aiohttp", "anyio", "h11", "httpcore", "httpx", "requests", "sniffio", "urllib3"}
    | {"a2wsgi", "kling_mock", "uvicorn", "werkzeug"}
    | {"_pytest", "execnet", "hypothesis", "pluggy", "pytest", "xdist"}
)
"""Packages whose sleeps and clocks are about sockets, threads and event loops."""

GRACE_SECONDS = 0.005
"""How long an event is really waited for: what another thread is about to do is worth waiting for."""


class SleptTooLong(Exception):
    """The client slept for longer, in the account's time, than any job lasts: it would wait for ever."""


class FollowedSleep:
    """Sleeps that call `advance(ms)` instead of waiting; as a context manager, or until `stop()`.

    `limit_ms` is how much may be slept in all; then every sleep raises `SleptTooLong`.
    """

    def __init__(self, advance: Callable[[int], object], limit_ms: int) -> None:
        self._advance, self._limit = advance, limit_ms
        self._lock = threading.Lock()
        self._real: dict[str, Any] = {}
        self.slept_ms = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Take the functions over. Once is enough."""
        if self._real:
            return
        self._real = {
            "sleep": time.sleep,
            "monotonic": time.monotonic,
            "time": time.time,
            "asyncio": asyncio.sleep,
            "wait": threading.Event.wait,
        }
        time.sleep = self._sleep  # type: ignore[assignment]
        time.monotonic = self._clock(time.monotonic)
        time.time = self._clock(time.time)
        asyncio.sleep = self._async_sleep()
        threading.Event.wait = self._wait()  # type: ignore[method-assign]

    def stop(self) -> None:
        """Give the functions back."""
        if not self._real:
            return
        time.sleep, time.monotonic, time.time = (self._real[name] for name in ("sleep", "monotonic", "time"))
        asyncio.sleep = self._real["asyncio"]
        threading.Event.wait = self._real["wait"]  # type: ignore[method-assign]
        self._real = {}

    def _pass(self, seconds: float) -> None:
        """Let virtual time pass."""
        with self._lock:
            self.slept_ms += round(seconds * 1000)
            if self.slept_ms > self._limit:
                raise SleptTooLong(
                    f"the client has slept {self.slept_ms / 1000:.0f} s in the account's time and still waits; "
                    "has it a deadline? (follow_sleep(limit=...) allows more)"
                )
        self._advance(round(seconds * 1000))

    def _sleep(self, seconds: float, /) -> None:
        if _ours() or not seconds > 0:
            self._real["sleep"](seconds)
        else:
            self._pass(seconds)

    def _clock(self, real: Callable[[], float]) -> Callable[[], float]:
        """A clock that runs ahead by what was slept, for all but those that measure real things."""

        def now() -> float:
            ahead = 0 if _ours() or _caller(2) in UNTOUCHED else self.slept_ms / 1000
            return real() + ahead

        return now

    def _async_sleep(self) -> Any:
        real = self._real["asyncio"]

        async def follow(delay: float, result: Any) -> Any:
            # The clock may be another process's: asking it must not hold up the client's other tasks.
            await asyncio.get_running_loop().run_in_executor(None, self._pass, delay)
            return result

        def sleep(delay: float, result: Any = None) -> Any:
            alone = _ours() or not delay > 0 or _caller(2) in UNTOUCHED
            return real(delay, result) if alone else follow(delay, result)

        return sleep

    def _wait(self) -> Any:
        real = self._real["wait"]

        def wait(event: threading.Event, timeout: float | None = None) -> bool:
            if timeout is None or timeout <= GRACE_SECONDS or _ours() or _caller(2) in UNTOUCHED:
                return bool(real(event, timeout))
            if not real(event, GRACE_SECONDS):
                self._pass(timeout)
            return event.is_set()

        return wait


def _ours() -> bool:
    return threading.current_thread().name.startswith(OWN_THREADS)


def _caller(depth: int) -> str:
    """The top package of the code that called, `depth` frames up."""
    return str(sys._getframe(depth).f_globals.get("__name__", "")).partition(".")[0]
