"""Sleeps that move an account's clock: a client that polls every ten seconds walks a five-minute job in milliseconds.

While it is on, `time.sleep`, `asyncio.sleep` and the timeout of `threading.Event.wait` do not wait; they advance the
clock, and those that begin together end together. `time.monotonic`, `time.perf_counter`, `time.time` and their `_ns`
forms run ahead by as much, so that a client's deadlines come too; so do asyncio's (`deadlines`). All that holds for the
names under which a client's modules have imported them, too (`from time import sleep`). Left alone are the mock's own
threads, the standard library, and the libraries that measure sockets and event loops: their time is the wall's. So is
that of `datetime.now()`, a method of a type that cannot be changed, and of a loop's `time()`: a deadline that is
measured by these does not come (`kling.clock.now` is what it should read in a test).
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Self
from weakref import WeakKeyDictionary

from kling_mock.testing.deadlines import Deadlines, FollowedTimeout, LoopSleeps, waited, waited_for

OWN_THREADS = "kling-mock"
"""Threads whose names begin so are the mock's."""

UNTOUCHED = frozenset(
    {"asyncio", "concurrent", "http", "logging", "queue", "selectors", "socket", "ssl", "threading", "urllib"}
    | {"aiohttp", "anyio", "gevent", "h11", "httpcore", "httpx", "requests", "sniffio", "tornado", "trio", "urllib3"}
    | {"a2wsgi", "kling_mock", "uvicorn", "werkzeug"}
    | {"_pytest", "execnet", "hypothesis", "pluggy", "pytest", "pytest_asyncio", "pytest_timeout", "xdist"}
    | {"freezegun", "time_machine"}
)
"""Packages whose sleeps and clocks are about sockets, threads and event loops."""

CLOCKS: Mapping[str, float] = {
    **dict.fromkeys(("monotonic", "perf_counter", "time"), 0.001),
    **dict.fromkeys(("monotonic_ns", "perf_counter_ns", "time_ns"), 1_000_000),
}
"""The clocks of `time`, and what each counts in a millisecond."""

GRACE_SECONDS = 0.005
"""How long is really waited for other threads: one may be about to set an event, or to begin its own sleep."""

Pairs = Iterable[tuple[Any, Any]]


class SleptTooLong(Exception):
    """The client slept for longer, in the account's time, than any job lasts: it would wait for ever.

    Or it has a deadline that it measures by `datetime.now()`, which sleeps do not move; `time.monotonic()` they do.
    """


class FollowedSleep:
    """Sleeps that call `advance(ms)` instead of waiting; as a context manager, or until `stop()`.

    `limit_ms` is how much may be slept in all; then every sleep raises `SleptTooLong`. `arrived` is called before a
    sleep returns: what has come due in it happens first. `ended` is called when sleeps are sleeps again.
    """

    def __init__(
        self,
        advance: Callable[[int], object],
        limit_ms: int,
        arrived: Callable[[], object] = lambda: None,
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        self._advance, self._limit, self._arrived, self._ended = advance, limit_ms, arrived, ended
        self._lock = threading.RLock()
        self._pairs: list[tuple[Any, Any]] = []
        self._wait: Any = None
        self._deadlines = Deadlines()
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopSleeps] = WeakKeyDictionary()
        self.slept_ms = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Take the functions over, under every name that a client's modules have for them. Once is enough."""
        if self._pairs:
            return
        clocks = [(getattr(time, name), unit) for name, unit in CLOCKS.items()]
        self._pairs = [(real, self._clock(real, unit)) for real, unit in clocks]
        self._pairs += [
            (time.sleep, self._sleep(time.sleep)),
            (asyncio.sleep, self._async_sleep(asyncio.sleep)),
            (asyncio.timeout, self._timeout(asyncio.timeout)),
            (asyncio.timeout_at, self._timeout_at(asyncio.timeout_at)),
            (asyncio.wait_for, self._wait_for(asyncio.wait_for)),
            (asyncio.wait, self._wait_some(asyncio.wait)),
        ]
        self._wait = threading.Event.wait
        threading.Event.wait = self._event_wait(self._wait)  # type: ignore[method-assign]
        _rebind(self._pairs, _clients_modules())

    def stop(self) -> None:
        """Give the functions back, also to modules that were imported meanwhile."""
        if not self._pairs:
            return
        pairs, self._pairs = self._pairs, []
        threading.Event.wait = self._wait  # type: ignore[method-assign]
        _rebind([(fake, real) for real, fake in pairs], list(sys.modules.values()))
        self._ended()

    def _pass(self, wake_ms: int) -> None:
        """Let virtual time pass until so much was slept, unless others have slept until then."""
        with self._lock:
            self._move(wake_ms)
        # Not under the lock: who takes what arrives may sleep too.
        self._arrived()

    def _pass_on(self, wake_ms: int) -> int:
        """Let it pass for a loop, as far as the first deadline; gives how much was slept then."""
        with self._lock:
            self._move(self._deadlines.next(wake_ms))
            reached = self.slept_ms
        self._arrived()
        return reached

    def _move(self, wake_ms: int) -> None:
        missing = wake_ms - self.slept_ms
        self.slept_ms += max(0, missing)
        if self.slept_ms > self._limit:
            raise SleptTooLong(
                f"the client has slept {self.slept_ms / 1000:.0f} s in the account's time and still waits; "
                "has it a deadline? One by datetime.now() is not followed, one by time.monotonic() is "
                "(follow_sleep(limit=...) allows more)"
            )
        # Nobody wakes before the clock has really been moved.
        if missing > 0:
            self._advance(missing)
        self._deadlines.expire(self.slept_ms)

    def _wakes(self, seconds: float) -> int:
        """How much will have been slept when a sleep that begins now ends."""
        return self.slept_ms + round(seconds * 1000)

    def _alone(self, depth: int) -> bool:
        """Whether the caller, `depth` frames up, is to have the real thing."""
        return not self._pairs or _ours() or _caller(depth + 1) in UNTOUCHED

    def _sleep(self, real: Callable[[float], None]) -> Any:
        def sleep(seconds: float, /) -> None:
            if not self._pairs or _ours() or not seconds > 0:
                return real(seconds)
            wake = self._wakes(seconds)
            if _others():
                real(GRACE_SECONDS)
            return self._pass(wake)

        return sleep

    def _clock(self, real: Callable[[], float], unit: float) -> Callable[[], float]:
        """A clock that runs ahead by what was slept, for all but those that measure real things."""

        def now() -> float:
            return real() + (0 if self._alone(2) else self.slept_ms * unit)

        return now

    def _async_sleep(self, real: Any) -> Any:
        async def follow(delay: float, result: Any) -> Any:
            loop = asyncio.get_running_loop()
            sleeps = self._loops.get(loop)
            if sleeps is None:
                sleeps = self._loops[loop] = LoopSleeps(self._pass_on, real, GRACE_SECONDS)
            await sleeps.sleep(self._wakes(delay))
            return result

        def sleep(delay: float, result: Any = None) -> Any:
            return real(delay, result) if not delay > 0 or self._alone(2) else follow(delay, result)

        return sleep

    def _opened(self, seconds: float | None) -> FollowedTimeout:
        return FollowedTimeout(seconds, self._deadlines, lambda: self.slept_ms)

    def _timeout(self, real: Any) -> Any:
        return lambda delay: real(delay) if self._alone(2) else self._opened(delay)

    def _timeout_at(self, real: Any) -> Any:
        def timeout_at(when: float | None) -> Any:
            if when is None or self._alone(2):
                return real(when)
            return self._opened(when - asyncio.get_running_loop().time())

        return timeout_at

    def _wait_for(self, real: Any) -> Any:
        async def follow(awaited: Any, seconds: float) -> Any:
            return await waited_for(self._opened(seconds), awaited)

        def wait_for(fut: Any, timeout: float | None) -> Any:
            if timeout is None or not timeout > 0 or self._alone(2):
                return real(fut, timeout)
            return follow(fut, timeout)

        return wait_for

    def _wait_some(self, real: Any) -> Any:
        async def follow(futures: Any, seconds: float, **words: Any) -> Any:
            every = set(futures)
            return await waited(self._opened(seconds), real(every, **words), every)

        def wait(fs: Any, *, timeout: float | None = None, **words: Any) -> Any:
            if timeout is None or not timeout > 0 or self._alone(2):
                return real(fs, timeout=timeout, **words)
            return follow(fs, timeout, **words)

        return wait

    def _event_wait(self, real: Any) -> Any:
        def wait(event: threading.Event, timeout: float | None = None) -> bool:
            if timeout is None or timeout <= GRACE_SECONDS or self._alone(2):
                return bool(real(event, timeout))
            wake = self._wakes(timeout)
            if not real(event, GRACE_SECONDS):
                self._pass(wake)
            return event.is_set()

        return wait


def _clients_modules() -> list[Any]:
    """The modules in which a client may have names of its own for the functions, and those that have the functions."""
    left = UNTOUCHED | sys.stdlib_module_names
    theirs = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] not in left]
    return [time, asyncio, *theirs]


def _rebind(pairs: Pairs, modules: Iterable[Any]) -> None:
    """Let every name of the modules that stands for the first of a pair stand for the second."""
    by_id = {id(old): (old, new) for old, new in pairs}
    for module in modules:
        names = vars(module) if isinstance(module, ModuleType) else {}
        for name, value in list(names.items()):
            if (pair := by_id.get(id(value))) is not None and pair[0] is value:
                names[name] = pair[1]


def _others() -> bool:
    """Whether there are threads beside this one and the mock's."""
    return sum(not thread.name.startswith(OWN_THREADS) for thread in threading.enumerate()) > 1


def _ours() -> bool:
    return threading.current_thread().name.startswith(OWN_THREADS)


def _caller(depth: int) -> str:
    """The top package of the code that called, `depth` frames up."""
    return str(sys._getframe(depth).f_globals.get("__name__", "")).partition(".")[0]
