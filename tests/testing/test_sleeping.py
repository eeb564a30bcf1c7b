"""Sleeps that move a clock instead of waiting."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from kling_mock.testing.sleeping import CLOCKS, FollowedSleep, SleptTooLong

MINUTE = 60_000
REAL: dict[str, Any] = {"clock": time.perf_counter, "sleep": time.sleep}
"""A clock and a sleep that nobody takes over."""

CLIENT = """
import asyncio as aio
from asyncio import sleep as pause
from time import monotonic, perf_counter_ns as ticks, sleep, time as now

def poll(seconds):
    deadline, polls = monotonic() + seconds, 0
    while monotonic() < deadline:
        polls += 1
        sleep(10)
    return polls
"""


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a client under a name."""

    def load(name: str) -> ModuleType:
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(CLIENT, vars(module))
        return module

    return load


@pytest.fixture
def moved() -> list[int]:
    """By how many ms the clock was advanced, call by call."""
    return []


@pytest.fixture
def followed(moved: list[int]) -> Iterator[FollowedSleep]:
    """Sleeps that are followed, at most an hour of them."""
    with FollowedSleep(moved.append, 60 * MINUTE) as followed:
        yield followed


@pytest.mark.usefixtures("followed")
def test_time_sleep_advances_and_does_not_wait(moved: list[int]) -> None:
    """Five minutes pass at once, and the clock hears of each sleep."""
    before = REAL["clock"]()
    for _ in range(30):
        time.sleep(10)
    assert REAL["clock"]() - before < 5
    assert moved == [10_000] * 30


@pytest.mark.usefixtures("followed")
def test_asyncio_sleep_advances_and_gives_its_result(moved: list[int]) -> None:
    """A coroutine's sleep too; the loop goes on meanwhile."""
    assert asyncio.run(asyncio.sleep(2.5, "woken")) == "woken"
    assert moved == [2500]


@pytest.mark.usefixtures("followed")
def test_an_events_timeout_advances(moved: list[int]) -> None:
    """Nobody sets it: the timeout passes on the clock. Somebody did: nothing passes."""
    event = threading.Event()
    assert event.wait(3) is False
    event.set()
    assert event.wait(3) is True
    assert moved == [3000]


@pytest.mark.usefixtures("followed")
def test_an_event_that_is_set_in_a_moment_is_waited_for(moved: list[int]) -> None:
    """Without a timeout it is a real wait."""
    event = threading.Event()
    threading.Thread(target=event.set).start()
    assert event.wait() is True
    assert moved == []


@pytest.mark.usefixtures("followed")
@pytest.mark.parametrize(("name", "second"), [(name, round(unit * 1000)) for name, unit in CLOCKS.items()])
def test_deadlines_come(name: str, second: int) -> None:
    """A client that measures its patience by any clock of `time` gives up after as long as it says."""
    clock = getattr(time, name)
    assert isinstance(clock(), int if name.endswith("_ns") else float)
    deadline, polls = clock() + 300 * second, 0
    while clock() < deadline:
        polls += 1
        time.sleep(10)
    assert polls in (29, 30)


def test_names_that_a_client_has_imported_are_followed(imported: Callable[[str], ModuleType], moved: list[int]) -> None:
    """`from time import sleep` does not really sleep, nor do its deadlines fail; afterwards it has its own again."""
    client = imported("a_client")
    before = dict(vars(client))
    with FollowedSleep(moved.append, 60 * MINUTE) as followed:
        assert client.poll(300) in (29, 30)
        assert asyncio.run(client.pause(5, "woken")) == "woken"
        assert client.ticks() / 1e9 - REAL["clock"]() > 290
        assert client.now() == pytest.approx(time.time(), abs=5)
        assert sum(moved) == followed.slept_ms >= 295_000
    after = dict(vars(client))
    assert all(after[name] is before[name] for name in ("sleep", "monotonic", "ticks", "now", "pause"))


def test_a_client_that_is_imported_meanwhile_is_given_back(
    imported: Callable[[str], ModuleType], moved: list[int]
) -> None:
    """What it took for `time.sleep` was ours: it has the real one afterwards, and what it hid away is as good."""
    real = (time.sleep, time.monotonic, asyncio.sleep)
    with FollowedSleep(moved.append, 60 * MINUTE):
        client = imported("a_late_client")
        hidden = {"sleep": client.sleep, "clock": client.monotonic}
        client.sleep(600)
    assert (client.sleep, client.monotonic, client.pause) == real
    hidden["sleep"](0.001)
    assert hidden["clock"]() == pytest.approx(time.monotonic(), abs=5)
    assert moved == [600_000]


@pytest.mark.parametrize("name", ["httpx.a_part", "freezegun.a_part", "subprocess.a_part"])
def test_libraries_keep_their_names(imported: Callable[[str], ModuleType], moved: list[int], name: str) -> None:
    """What measures sockets, has taken the clock over itself, or is Python's has what it had."""
    part = imported(name)
    before = dict(vars(part))
    with FollowedSleep(moved.append, MINUTE):
        assert all(value is before[name] for name, value in vars(part).items())


@pytest.mark.usefixtures("followed")
def test_coroutines_that_sleep_together_wake_together(moved: list[int]) -> None:
    """Four sleeps of ten seconds take ten seconds; those that begin afterwards take theirs."""

    async def client() -> None:
        await asyncio.gather(*(asyncio.sleep(10) for _ in range(4)))
        await asyncio.gather(asyncio.sleep(5), asyncio.sleep(7))
        await asyncio.sleep(1)

    asyncio.run(client())
    assert sum(moved) == 18_000


@pytest.mark.usefixtures("followed")
def test_coroutines_that_sleep_for_different_times_wake_in_order(moved: list[int]) -> None:
    """One that sleeps for long passes nobody by: each wakes when its sleep ends, and begins its next one there."""
    seen: list[tuple[str, int]] = []

    async def one(name: str, seconds: int, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(seconds)
            seen.append((name, sum(moved) // 1000))

    async def client() -> None:
        await asyncio.gather(one("slow", 25, 2), one("quick", 10, 5), one("late", 500, 1))

    asyncio.run(client())
    quick = [("quick", at) for at in (10, 20, 30, 40)]
    assert seen[:2] + seen[3:5] == quick
    assert seen[2] == ("slow", 25)
    assert sorted(seen[5:7]) == [("quick", 50), ("slow", 50)]
    assert seen[7:] == [("late", 500)]


@pytest.mark.usefixtures("followed")
def test_threads_that_sleep_together_wake_together(moved: list[int]) -> None:
    """As far as can be told from outside: those that begin in the same moment."""
    barrier = threading.Barrier(4)

    def client(_: int) -> None:
        barrier.wait()
        time.sleep(10)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(client, range(4)))
    assert 10_000 <= sum(moved) < 40_000


async def polls(tries: list[int]) -> None:
    """A client that asks every ten seconds and never gets an end."""
    while True:
        tries.append(len(tries))
        await asyncio.sleep(10)


@pytest.mark.usefixtures("followed")
@pytest.mark.parametrize("seconds", [60, 25, 5])
@pytest.mark.parametrize("way", ["timeout", "wait_for"])
def test_deadlines_of_asyncio_come(way: str, seconds: int, moved: list[int]) -> None:
    """Where they are, also in the middle of a sleep; and no later sleep hears of them."""
    tries: list[int] = []

    async def client() -> None:
        if way == "wait_for":
            await asyncio.wait_for(polls(tries), seconds)
        async with asyncio.timeout(seconds):
            await polls(tries)

    async def patient() -> None:
        with pytest.raises(TimeoutError):
            await client()
        assert sum(moved) == seconds * 1000
        await asyncio.sleep(100)

    before = REAL["clock"]()
    asyncio.run(patient())
    assert sum(moved) == (seconds + 100) * 1000
    assert len(tries) == -(-seconds // 10) or len(tries) == seconds // 10 + 1
    assert REAL["clock"]() - before < 5


@pytest.mark.usefixtures("followed")
def test_deadlines_of_asyncio_that_are_met_do_nothing(moved: list[int]) -> None:
    """What is done in time has its result, whatever is slept afterwards; each task has its own deadline."""

    async def one(seconds: int) -> str:
        try:
            async with asyncio.timeout(seconds):
                await asyncio.sleep(30)
        except TimeoutError:
            return f"gave up at {sum(moved) // 1000}"
        await asyncio.sleep(300)
        return f"done at {sum(moved) // 1000}"

    async def client() -> list[str]:
        assert await asyncio.wait_for(asyncio.sleep(3, "woken"), 10) == "woken"
        assert await asyncio.wait_for(asyncio.sleep(0, "at once"), None) == "at once"
        return await asyncio.gather(one(20), one(60), one(7))

    assert asyncio.run(client()) == ["gave up at 23", "done at 333", "gave up at 10"]


@pytest.mark.usefixtures("followed")
def test_a_deadline_of_asyncio_may_be_moved(moved: list[int]) -> None:
    """Later, to never, from never, and to a time of the loop's."""

    async def ends(scope: asyncio.Timeout, when: float | None, seconds: int) -> int | None:
        began = sum(moved)
        try:
            async with scope:
                await asyncio.sleep(5)
                if when != 0:
                    scope.reschedule(when and asyncio.get_running_loop().time() + when)
                await asyncio.sleep(seconds)
        except TimeoutError:
            return (sum(moved) - began) // 1000
        return None

    async def client() -> list[int | None]:
        return [
            await ends(asyncio.timeout(10), 100, 20),
            await ends(asyncio.timeout(10), 100, 500),
            await ends(asyncio.timeout(10), None, 500),
            await ends(asyncio.timeout(None), 10, 500),
            await ends(asyncio.timeout_at(asyncio.get_running_loop().time() + 10), 0, 500),
        ]

    found = asyncio.run(client())
    assert (found[0], found[2]) == (None, None)
    assert [found[1], found[3], found[4]] == [pytest.approx(each, abs=1) for each in (105, 15, 10)]


@pytest.mark.usefixtures("followed")
def test_waiting_for_some_ends_in_slept_time(moved: list[int]) -> None:
    """Those that are not done go on, as asyncio has it."""

    async def client() -> tuple[list[str], int]:
        quick, slow = (asyncio.ensure_future(asyncio.sleep(s, name)) for s, name in ((5, "quick"), (500, "slow")))
        done, pending = await asyncio.wait([quick, slow], timeout=60)
        assert (done, pending) == ({quick}, {slow})
        at = sum(moved)
        first, _ = await asyncio.wait({slow}, timeout=9999, return_when=asyncio.FIRST_COMPLETED)
        return [each.result() for each in (*done, *first)], at

    assert asyncio.run(client()) == (["quick", "slow"], 60_000)
    assert sum(moved) == 500_000


def test_deadlines_of_libraries_are_the_walls(imported: Callable[[str], ModuleType], moved: list[int]) -> None:
    """A library that waits for sockets is not told that it has waited for five minutes."""
    library = imported("httpx")
    library.__dict__["asyncio"] = asyncio
    exec(
        "async def fetch(started):\n async with asyncio.timeout(60):\n  started.set()\n  await asyncio.Event().wait()",
        vars(library),
    )

    async def client() -> None:
        started = asyncio.Event()
        fetching = asyncio.ensure_future(library.fetch(started))
        await started.wait()
        await asyncio.sleep(300)
        assert not fetching.done()
        fetching.cancel()

    with FollowedSleep(moved.append, 60 * MINUTE):
        asyncio.run(client())
    assert sum(moved) == 300_000


def test_nobody_wakes_before_the_clock_has_moved() -> None:
    """One that sleeps until when another does waits for the other's advance, however long it takes."""
    clock: list[int] = []

    def advance(ms: int) -> None:
        REAL["sleep"](0.1)
        clock.append(ms)

    async def client() -> list[int]:
        async def one() -> int:
            await asyncio.sleep(10)
            return sum(clock)

        return await asyncio.gather(*(one() for _ in range(4)))

    with FollowedSleep(advance, MINUTE):
        assert asyncio.run(client()) == [10_000] * 4


def test_a_client_without_a_deadline_is_told(moved: list[int]) -> None:
    """It would wait for ever: the sleep beyond the limit says so, and moves nothing."""
    with FollowedSleep(moved.append, MINUTE):
        for _ in range(6):
            time.sleep(10)
        with pytest.raises(
            SleptTooLong, match=r"has slept 70 s .* has it a deadline.*datetime\.now\(\) is not.*time\.monotonic\(\) is"
        ):
            time.sleep(10)
    assert moved == [10_000] * 6


def test_the_mocks_own_threads_really_sleep(followed: FollowedSleep, moved: list[int]) -> None:
    """A server that waits for real things must not move its clients' time."""
    thread = threading.Thread(target=time.sleep, args=(0.05,), name="kling-mock-deliverer")
    before = time.perf_counter()
    thread.start()
    thread.join()
    assert time.perf_counter() - before >= 0.05
    assert (moved, followed.slept_ms) == ([], 0)


def test_everything_is_given_back() -> None:
    """Afterwards the functions are the ones from before, also after an error inside."""

    def functions() -> list[object]:
        return [
            time.sleep,
            asyncio.sleep,
            asyncio.timeout,
            asyncio.wait_for,
            threading.Event.wait,
            *(getattr(time, name) for name in CLOCKS),
        ]

    before = functions()
    with FollowedSleep(lambda ms: None, MINUTE):
        assert not set(map(id, functions())) & set(map(id, before))
    assert functions() == before
    with pytest.raises(KeyError), FollowedSleep(lambda ms: None, MINUTE):
        raise KeyError
    assert functions() == before


def test_no_sleep_is_no_time(followed: FollowedSleep) -> None:
    """A sleep of nothing only yields."""
    time.sleep(0)
    asyncio.run(asyncio.sleep(0))
    assert followed.slept_ms == 0
