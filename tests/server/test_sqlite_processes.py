"""One file, several processes: none passes a limit that another one reached, and none loses what it answered."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from kling_mock.core.model import Post
from kling_mock.loading import load_providers
from kling_mock.server import sqlite_file, steering
from kling_mock.server.mock import Mock, Options
from kling_mock.server.serving import Running
from kling_mock.server.sqlite import SqliteStore
from kling_mock.server.store import StoreError, open_store
from tests.conftest import AT, Client, Wall
from tests.server.sqlite_worker import VIDEOS, kling, make
from tests.server.storing import Keeper, hook

ROOT = Path(__file__).parents[2]
Worker = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "store.db"


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Starts processes, and ends them."""
    made: list[subprocess.Popen[str]] = []

    def start(*words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.server.sqlite_worker", *map(str, words)]
        made.append(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    """The next line of a worker."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(*processes: subprocess.Popen[str]) -> None:
    """Let workers go on, all at once."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def two(worker: Worker, *words: object) -> list[subprocess.Popen[str]]:
    """Two workers that are about to begin."""
    made = [worker(*words), worker(*words)]
    assert [said(process) for process in made] == ["ready", "ready"]
    return made


def both(worker: Worker, *words: object) -> list[list[str]]:
    """What two workers say that begin at the same time."""
    made = two(worker, *words)
    tell(*made)
    return [process.communicate(timeout=60)[0].split() for process in made]


def test_a_new_file_may_be_opened_by_two_at_once(worker: Worker, file: Path) -> None:
    """Neither finds it half made; sequences have no number twice."""
    one, other = both(worker, "number", file, 50)
    assert sorted(map(int, one + other)) == list(range(1, 101))


def test_two_processes_never_decide_at_once(worker: Worker, file: Path) -> None:
    """Each request has its own number."""
    one, other = both(worker, "decide", file, 100)
    assert sorted(map(int, one + other)) == list(range(1, 201))


def test_two_processes_never_both_pass_a_limit_of_one(worker: Worker, file: Path) -> None:
    """Both create at the same moment for each of a hundred accounts with one slot: a hundred tasks are made."""
    store = open_store(f"sqlite:///{file}")
    client = kling(store)
    for _ in range(100):
        client.mock.accounts.register(client.provider, None, 1, None)
    made = two(worker, "race", file)
    tell(*made)
    pairs = []
    for _ in range(100):
        tell(*made)
        pairs.append([said(process) for process in made])
    assert [sorted(pair) for pair in pairs] == [["200", "429"]] * 100
    assert len(list(store.tasks())) == 100
    assert len({tuple(pair) for pair in pairs}) == 2, "one was too late for every account: nothing was raced"


def test_two_processes_never_lease_the_same(worker: Worker, file: Path) -> None:
    """A hundred rows, each delivered by one."""
    store = open_store(f"sqlite:///{file}")
    Keeper(store).do(Post(tuple(hook(f"h{n}") for n in range(100))))
    one, other = both(worker, "lease", file)
    assert sorted(one + other) == sorted(f"h{n}" for n in range(100))


@pytest.mark.parametrize("answers", [1, 7, 60])
def test_what_was_answered_survives_kill_9(worker: Worker, file: Path, answers: int) -> None:
    """The file is whole, every answered create is there with its lines and its exchange, and nothing is half there."""
    process = worker("create", file)
    tell(process)
    known = {said(process) for _ in range(answers + 1)} - {"ready"}
    process.kill()
    assert process.stdout is not None
    lines = process.stdout.read()
    known |= set(lines[: lines.rfind("\n") + 1].split())
    with sqlite3.connect(file) as looked:
        assert looked.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    looked.close()
    client = kling(open_store(f"sqlite:///{file}"))
    account = client.mock.accounts.defaults["kling"]
    made = {task.id: task.price for task in client.mock.store.tasks()}
    assert known <= set(made), "an answer was lost"
    assert {entry.task for entry in client.mock.store.entries(account.id)} == set(made), "money without a task"
    assert [row.task for row in client.mock.store.exchanges()] == list(made), "a task without an exchange"
    (held,) = (row for row in steering.holdings(client.mock, account).balances if row.reserved)
    assert held.reserved == sum(price for price in made.values() if price)
    assert make(client).json["data"]["task_id"] not in made, "and it goes on"


def test_replicas_see_the_same_task_in_the_same_state(file: Path) -> None:
    """Two servers over one file, the later one restarted in between: at the same clock they answer the same bytes."""
    provider, wall = load_providers(["kling"])["kling"], Wall()

    def replica(**words: int) -> Client:
        store = open_store(f"sqlite:///{file}")
        return Client(Mock([provider], Options(seed="x", **words), wall=wall, store=store), provider)  # type: ignore[arg-type]

    one, two = replica(at=AT), replica()
    id_ = make(one).json["data"]["task_id"]
    states = []
    for step in ("0s", "2s", "5s", "10m"):
        one.advance(step)
        rows = [client.send("GET", f"{VIDEOS}/{id_}").json["data"] for client in (one, two, one)]
        assert rows[0] == rows[1] == rows[2], step
        states.append(rows[0]["task_status"])
        two.mock.store.close()
        wall.forward("3h")
        two = replica()
    assert states[0] != states[-1] == "succeed", "time travel went through the task's states"
    assert steering.holdings(one.mock, one.mock.accounts.all()[0]) == steering.holdings(
        two.mock, two.mock.accounts.all()[0]
    )


def test_a_forked_process_has_connections_of_its_own(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may be loaded once and then forked: SQLite's locks do not survive that, so nothing is carried over."""
    made: list[str] = []

    def connect(path: str, **words: Any) -> sqlite3.Connection:
        made.append(path)
        connection: sqlite3.Connection = sqlite3.connect(path, **words)
        return connection

    monkeypatch.setattr(sqlite_file, "connect", connect)
    kept = Keeper(open_store(f"sqlite:///{file}"))
    assert (kept.found().ordinal, len(made)) == (1, 1)
    child = os.fork()
    if child == 0:
        # No assertion or exit of pytest's may run here.
        os._exit(42 if (kept.found().ordinal, len(made)) == (2, 2) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
    assert (kept.found().ordinal, len(made)) == (3, 1)


def test_another_writer_is_waited_for(file: Path) -> None:
    """And named as the reason when it does not end; meanwhile everything can be read."""
    kept = Keeper(SqliteStore(str(file), timeout=0.1))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"store\.db is locked by another program; stop what holds it"):
        kept.found()
    assert kept.store.accounts() == []
    other.execute("COMMIT")
    assert kept.found().ordinal == 1, "the call that failed has no number"
    other.close()


def test_a_locked_file_holds_up_nobody_but_its_callers(tmp_path: Path) -> None:
    """While another process writes, the health check answers; a call that waited for it says what is wrong."""
    path = tmp_path / "store.db"
    mock = Mock(load_providers().values(), Options(), store=open_store(f"sqlite:///{path}"))
    other = sqlite3.connect(path, isolation_level=None)
    with Running(mock) as running, ThreadPoolExecutor(2) as pool:
        other.execute("BEGIN IMMEDIATE")
        key = mock.accounts.defaults["kling"].credentials["api_key"]
        asked = {"Authorization": f"Bearer {key}"}
        late = pool.submit(requests.get, f"{running.url}/v1/videos/image2video/nobody", headers=asked, timeout=60)
        reset = pool.submit(requests.post, f"{running.url}/_mock/reset", json={}, timeout=60)
        time.sleep(0.2)
        began = time.monotonic()
        assert requests.get(f"{running.url}/_mock/health", timeout=60).status_code == 200
        health = time.monotonic() - began
        answer, control = late.result(), reset.result()
        other.execute("ROLLBACK")
    other.close()
    assert answer.status_code == 500
    assert "is locked by another program; stop what holds it" in answer.headers["X-Mock-Hint"]
    assert (control.status_code, control.headers["Content-Type"]) == (503, "application/problem+json")
    assert "is locked by another program; stop what holds it" in control.json()["detail"]
    assert health < 3
