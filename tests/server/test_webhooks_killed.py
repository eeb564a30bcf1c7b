"""A thousand webhooks on their way, and the sender or the receiver is killed: none is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from kling_mock.core.provider import Provider
from kling_mock.server import steering
from kling_mock.server.clocks import wall_ms
from kling_mock.server.deliverer import Deliverer
from kling_mock.server.mock import Mock, Options
from kling_mock.server.store import Store, open_store
from tests.conftest import AT, SEED, Client
from tests.server.callbacks import ask, task_of
from tests.server.receiver import HELD, Receiver, Says, free_port, until

ROOT = Path(__file__).parents[2]
TASKS = 334
TOLD = ("submitted", "processing", "succeed")
SENDER = """
import sys, threading
from kling_mock.loading import load_providers
from kling_mock.server.mock import Mock
from kling_mock.server.store import open_store
Mock(load_providers(["kling"]).values(), store=open_store(sys.argv[1])).deliverer.start()
threading.Event().wait()
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in a file."""
    opened = open_store(f"sqlite:///{tmp_path}/mock.db")
    yield opened
    opened.close()


@contextmanager
def process(*words: str) -> Iterator[Callable[[], None]]:
    """A Python process; what it gives kills it without warning."""
    child = subprocess.Popen([sys.executable, *words], cwd=ROOT)

    def kill() -> None:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()

    try:
        yield kill
    finally:
        if child.poll() is None:
            kill()


def full(store: Store, provider: Provider, url: str) -> list[tuple[str, str]]:
    """Fill the outbox with a thousand webhooks that are due; gives what they tell."""
    client = Client(Mock([provider], Options(at=AT, seed=SEED), wall=wall_ms, store=store), provider)
    tasks = [task_of(ask(client, url, "createTextToVideo")) for _ in range(TASKS)]
    steering.advance(client.mock, "1m")
    return [(task, state) for task in tasks for state in TOLD]


def said(bodies: list[bytes]) -> Counter[tuple[str, str]]:
    """How often each webhook was received."""
    return Counter((row["task_id"], row["task_status"]) for row in map(json.loads, bodies))


def test_the_sender_is_killed(store: Store, tmp_path: Path, providers: Mapping[str, Provider]) -> None:
    """Another one sends what is left; only what was just being sent may come twice, under the same id."""
    with Receiver() as receiver:
        due = full(store, providers["kling"], receiver.url)
        # From the 300th on it takes its time: the sender is killed in the middle, however busy this machine is.
        receiver.answer = lambda got: Says(after=HELD if got.ordinal >= 300 else 0)
        with process("-c", SENDER, f"sqlite:///{tmp_path}/mock.db") as kill:
            receiver.wait(301, 60)
            kill()
        receiver.answer = lambda got: Says()
        before = len(receiver.got)
        assert 300 <= before < len(due), "the sender was killed too late"
        assert store.waiting() >= len(due) - before
        # The leases of the dead have run out a minute later.
        later = Mock([providers["kling"]], wall=lambda: wall_ms() + 60_000, store=store)
        later.deliverer.start()
        until(lambda: not store.waiting(), 120)
        later.deliverer.stop()
        found = said([got.body for got in receiver.got])
    assert found.keys() == set(due)
    assert 0 <= found.total() - len(due) <= 2 * 8
    assert {row.outcome for row in store.webhooks()} == {"delivered"}


def test_the_receiver_is_killed(store: Store, tmp_path: Path, providers: Mapping[str, Provider]) -> None:
    """What it did not take is sent again when its time has come, to the one that came in its place."""
    port, file = free_port(), tmp_path / "received"
    file.touch()

    def received() -> list[bytes]:
        return file.read_bytes().splitlines()

    due = full(store, providers["kling"], f"http://127.0.0.1:{port}/hook")
    mock = Mock([providers["kling"]], wall=wall_ms, store=store)
    with process("-m", "tests.server.receiver", str(port), str(file), "300") as kill:
        until(lambda: _listens(port), 60)
        mock.deliverer.start()
        until(lambda: len(received()) >= 300, 60)
        kill()
    assert len(received()) < len(due), "the receiver was killed too late"
    until(lambda: _settled(mock), 60)
    assert store.waiting() > 0
    with process("-m", "tests.server.receiver", str(port), str(file)):
        until(lambda: _listens(port), 60)
        steering.advance(mock, "1h")
        until(lambda: not store.waiting(), 120)
    mock.deliverer.stop()
    found = said(received())
    assert found.keys() == set(due)
    assert 0 <= found.total() - len(due) <= 2 * 8
    assert {row.outcome for row in store.webhooks()} == {"delivered"}


def _listens(port: int) -> bool:
    import socket

    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _settled(mock: Mock) -> bool:
    """Whether everything that was due has been tried."""
    now = mock.clocks.now("kling-default")
    return all(row.outcome or row.due > now for row in mock.store.webhooks())


def test_a_deliverer_is_ended_in_order(store: Store, providers: Mapping[str, Provider]) -> None:
    """Stopped in the middle, it gives everything back: another one needs no leases to run out."""
    with Receiver() as receiver:
        due = full(store, providers["kling"], receiver.url)
        first = Mock([providers["kling"]], wall=wall_ms, store=store)
        first.deliverer.start()
        receiver.wait(100, 60)
        first.deliverer.stop()
        second = Deliverer(Mock([providers["kling"]], wall=wall_ms, store=store).webhooks)
        second.start()
        until(lambda: not store.waiting(), 120)
        second.stop()
        found = said([got.body for got in receiver.got])
    assert found == Counter(due)
