"""Sleeps that move a clock instead of waiting."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from kling_mock.testing.sleeping import FollowedSleep, SleptTooLong

MINUTE = 60_000


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
    before = time.perf_counter()
    for _ in range(30):
        time.sleep(10)
    assert time.perf_counter() - before < 5
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
def test_deadlines_come() -> None:
    """A client that measures its patience by either clock gives up after as long as it says."""
    for clock in (time.monotonic, time.time):
        deadline, polls = clock() + 300, 0
        while clock() < deadline:
            polls += 1
            time.sleep(10)
        assert polls in (29, 30)


def test_a_client_without_a_deadline_is_told(moved: list[int]) -> None:
    """It would wait for ever: the sleep beyond the limit says so, and moves nothing."""
    with FollowedSleep(moved.append, MINUTE):
        for _ in range(6):
            time.sleep(10)
        with pytest.raises(SleptTooLong, match=r"has slept 70 s .* has it a deadline"):
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
    before = (time.sleep, time.monotonic, time.time, asyncio.sleep, threading.Event.wait)
    with pytest.raises(KeyError), FollowedSleep(lambda ms: None, MINUTE):
        raise KeyError
    assert (time.sleep, time.monotonic, time.time, asyncio.sleep, threading.Event.wait) == before


def test_no_sleep_is_no_time(followed: FollowedSleep) -> None:
    """A sleep of nothing only yields."""
    time.sleep(0)
    asyncio.run(asyncio.sleep(0))
    assert followed.slept_ms == 0
