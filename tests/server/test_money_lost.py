"""Answers that never reach their client, over real HTTP: the journal says so, since the money is spent all the same."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from kling_mock.core.model import Exchange
from kling_mock.core.provider import Provider
from kling_mock.server import steering
from kling_mock.server.mock import Mock
from kling_mock.server.serving import Running
from tests.conftest import Client

PATH = "/v1/videos/image2video"
BODY = {"model_name": "kling-v2-6", "mode": "pro", "duration": "5", "image": "https://example.com/a.png"}


@pytest.fixture
def running(make_mock: Callable[..., Mock], providers: Mapping[str, Provider]) -> Iterator[Running]:
    """The default provider, served."""
    with Running(make_mock(providers["kling"])) as server:
        yield server


def send(running: Running, scenario: str, timeout: float, method: str = "POST", path: str = PATH) -> Any:
    """Send a request as a client that waits so long."""
    caller = Client(running.mock, running.mock.providers["kling"])
    headers = {**caller.credential(method, path), "prefer": f'scenario="{scenario}"'}
    body = BODY if method == "POST" else None
    return requests.request(method, running.url + path, json=body, headers=headers, timeout=timeout)


def journal(running: Running, until: Callable[[list[Exchange]], bool]) -> list[Exchange]:
    """The exchanges, as soon as they are as expected: the server hears of a closed connection a little later."""
    for _ in range(200):
        rows = list(running.mock.store.exchanges())
        if until(rows):
            return rows
        time.sleep(0.02)
    raise AssertionError(rows)


def any_lost(rows: list[Exchange]) -> bool:
    """Whether an answer is known to be lost."""
    return any(row.lost for row in rows)


def test_a_client_that_gives_up_waiting_loses_the_answer(running: Running) -> None:
    """The create is billed; the client's timeout is shorter than the answer is slow, so it never learns of the task."""
    with pytest.raises(requests.Timeout):
        send(running, "slow-answer call=create seconds=30", timeout=0.3)
    [row] = journal(running, any_lost)
    assert (row.role, row.billed is not None, row.lost) == ("create", True, True)
    assert row.task == next(running.mock.store.tasks()).id


def test_a_client_that_waits_long_enough_has_it(running: Running) -> None:
    """The same answer, waited for, is not lost."""
    assert send(running, "slow-answer call=create seconds=1", timeout=10).status_code == 200
    time.sleep(0.1)
    assert [row.lost for row in running.mock.store.exchanges()] == [False]


def test_a_client_that_leaves_in_the_middle_of_the_body_loses_the_answer(running: Running) -> None:
    """Some bytes came; without the rest they are worth nothing."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", running.port), timeout=10)) as connection:
        caller = Client(running.mock, running.mock.providers["kling"])
        content = b'{"image": "https://example.com/a.png", "prompt": "a lighthouse"}'
        fields = {**caller.credential("POST", PATH), "host": "127.0.0.1", "content-type": "application/json"}
        fields |= {"content-length": str(len(content)), "prefer": 'scenario="slow-body call=create seconds=2"'}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        connection.sendall(f"POST {PATH} HTTP/1.1\r\n{head}\r\n".encode() + content)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    [row] = journal(running, any_lost)
    assert row.lost


def test_a_body_that_trickled_in_whole_is_not_lost(running: Running) -> None:
    """The client closes its connection as soon as it has the last byte: nothing is waited for after that."""
    for _ in range(2):
        with requests.Session() as session:
            caller = Client(running.mock, running.mock.providers["kling"])
            prefer = {"prefer": 'scenario="slow-body call=create seconds=1 times=9"', "connection": "close"}
            began = time.monotonic()
            answer = session.post(running.url + PATH, json=BODY, headers={**caller.credential("POST", PATH), **prefer})
            assert answer.json()["code"] == 0
            assert time.monotonic() - began >= 0.9
    time.sleep(0.3)
    assert [row.lost for row in running.mock.store.exchanges()] == [False, False]


def test_an_answer_from_before_a_reset_is_lost_to_nobody(running: Running) -> None:
    """Its exchange is forgotten; the one that has its number now has arrived."""
    clocks = running.mock.clocks

    def leave() -> None:
        with pytest.raises(requests.Timeout):
            send(running, "slow-answer call=create seconds=30", timeout=1)

    with ThreadPoolExecutor() as pool:
        left = pool.submit(leave)
        assert journal(running, bool)
        steering.reset(running.mock, "kling-default")
        clocks.change("kling-default", lambda line, at: line.advance(at, 1))
        assert send(running, "", timeout=5).status_code == 200
        left.result()
    time.sleep(0.3)
    assert [(row.ordinal, row.lost) for row in running.mock.store.exchanges()] == [(1, False)]


def test_a_poll_that_is_given_up_showed_nothing(running: Running) -> None:
    """An answer to a query that was not waited for does not count as having shown the task's end."""
    made = send(running, "slow-answer call=query seconds=30", timeout=10).json()["data"]["task_id"]
    running.mock.clocks.change(next(running.mock.store.tasks()).account, lambda line, at: line.advance(at, 60_000))
    with pytest.raises(requests.Timeout):
        send(running, "", timeout=0.3, method="GET", path=f"{PATH}/{made}")
    rows = journal(running, any_lost)
    assert [(row.role, row.lost) for row in rows] == [("create", False), ("query", True)]
    assert [sight.ended for sight in rows[1].saw] == [True]


def test_a_slow_answer_delays_nobody_else(running: Running) -> None:
    """While one client waits, others are answered, and those that left meanwhile are all noticed."""
    gone = []

    def leave() -> None:
        try:
            send(running, "slow-answer call=create seconds=30 times=99", timeout=0.5)
        except requests.Timeout:
            gone.append(1)

    threads = [threading.Thread(target=leave) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert send(running, "", timeout=5, method="GET", path=PATH).status_code == 200
    for thread in threads:
        thread.join()
    rows = journal(running, lambda rows: sum(row.lost for row in rows) == 20)
    assert len(gone) == 20
    assert all(row.role == "create" for row in rows if row.lost)
