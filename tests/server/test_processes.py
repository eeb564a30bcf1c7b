"""Two processes of one seed and instant give the same bytes, whatever order Python's sets have in each."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from kling_mock.core.model import Request
from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock
from tests.conftest import TOYS
from tests.exchanges import created_as, every_provider, of_role, poll, send, written
from tests.server.wire import Remote

COMMAND = [sys.executable, "-P", "-m", "kling_mock", "serve", "--port", "0", "--quiet", "--at", "2026-01-01T00:00:00Z"]
HOST = {"host": "127.0.0.1:8787"}  # each process has a port of its own, and replies show the address that was called
HASHES = ("0", "4242")
FILE = re.compile(r"/_mock/media/[^\"]+")
Seen = tuple[int, list[tuple[str, str]], bytes]


@contextmanager
def served(hashes: str, *options: str) -> Iterator[str]:
    """The URL of a server in a process of its own, with this seed of Python's hashes."""
    environment = {**os.environ, "PYTHONHASHSEED": hashes}
    process = subprocess.Popen(
        [*COMMAND, "--specs", str(TOYS), *options], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("kling-mock ready on "), line
        yield line.split()[-1]
    finally:
        process.kill()
        process.communicate()


def day(url: str, provider: Provider, create: Request) -> list[Seen]:
    """All that a client sees of a day's work: creates, polls while time passes, lists, a file, the journal."""
    seen: list[Seen] = []
    with requests.Session() as session:

        def note(answer: requests.Response, **_: object) -> None:
            seen.append((answer.status_code, list(answer.headers.items()), answer.content))

        session.hooks["response"].append(note)
        caller = Remote(Mock([provider]), provider, headers=HOST, url=url, session=session)
        made = send(caller, create).headers["x-mock-task"]
        send(caller, create, prefer="scenario=fail")
        send(caller, create, prefer="latency=nonsense, scenario=nonsense")
        for _ in range(3):
            poll(caller, made)
            session.post(f"{url}/_mock/clock", json={"advance": "4s"}, headers=HOST, timeout=20)
        for name in of_role(provider, "list"):
            send(caller, written(name))
        polled = poll(caller, made)
        found = FILE.search(polled.body.decode())
        assert found, polled.body
        session.get(url + found[0], headers=HOST, timeout=20)
        session.post(f"{url}/_mock/accounts", json={"provider": provider.name}, headers=HOST, timeout=20)
        for path in ("tasks", "accounts", "providers", "clock", "journal"):
            session.get(f"{url}/_mock/{path}", headers=HOST, timeout=20)
    return seen


@every_provider
def test_two_processes_give_the_same_bytes(provider: Provider) -> None:
    """Same seed, instant and calls: every status, header and byte, files and journal too; with another seed not."""
    create = written(created_as(Remote(Mock([provider]), provider)))
    runs = []
    for hashes, seed in ((HASHES[0], "7"), (HASHES[1], "7"), (HASHES[0], "8")):
        with served(hashes, "--seed", seed) as url:
            runs.append(day(url, provider, create))
    one, other, another = runs
    assert len(one) >= 14
    for first, second in zip(one, other, strict=True):
        assert first == second
    assert b"exchanges" in one[-1][2]
    assert one[0] != another[0]


def test_the_processes_order_sets_differently() -> None:
    """The two seeds of Python's hashes above are worth trying: they give a set of words another order."""
    code = [sys.executable, "-c", "print(list(set('abcdefgh')))"]
    one, other = (
        subprocess.run(code, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in HASHES
    )
    assert one != other
