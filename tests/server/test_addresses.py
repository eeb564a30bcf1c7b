"""The addresses of results: after a restart on another port they are the new server's, in replies and in webhooks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from kling_mock.core.provider import Provider
from kling_mock.server.addresses import Addresses
from kling_mock.server.mock import Mock, Options
from kling_mock.server.serving import Running, address, listen
from kling_mock.server.store import open_store
from tests.conftest import AT, PROVIDERS
from tests.exchanges import every_provider, make, poll, task_of
from tests.server import storing
from tests.server.callbacks import ask
from tests.server.callbacks import task_of as id_of
from tests.server.receiver import Receiver
from tests.server.wire import Remote

FILE = re.compile(rb'"(http[^"]*/_mock/media/[^"]*)"')


@contextmanager
def served(file: Path, provider: Provider, **options: str) -> Iterator[Remote]:
    """A server over this file, on a free port."""
    store = open_store(f"sqlite:///{file}")
    mock = Mock([provider], Options(at=AT, seed="x", **options), store=store)
    with Running(mock) as running:
        yield Remote(mock, provider, url=running.url)
    store.close()


@every_provider
def test_results_are_reachable_after_a_restart_on_another_port(provider: Provider, tmp_path: Path) -> None:
    """A task that one server made is queried at the next one, and its file is there."""
    with served(tmp_path / "mock.db", provider) as before:
        id_ = task_of(before, make(before)).id
        before.advance("1h")
        [old, *_] = FILE.findall(poll(before, id_).body)
    with served(tmp_path / "mock.db", provider) as after:
        assert after.url != before.url
        found = [url.decode() for url in FILE.findall(poll(after, id_).body)]
        assert found[0].startswith(f"{after.url}/_mock/media/")
        assert found[0] == old.decode().replace(before.url, after.url)
        assert [requests.get(url, timeout=20).status_code for url in found] == [200] * len(found)
        told = requests.get(f"{after.url}/_mock/tasks/{id_}", timeout=20).json()
        assert told["result"]["files"][0]["url"].startswith(after.url)


def test_a_webhook_after_a_restart_names_a_file_that_is_there(tmp_path: Path) -> None:
    """Nobody called the new server yet: it is the address that it listens on."""
    with Receiver() as receiver:
        with served(tmp_path / "mock.db", PROVIDERS["kling"]) as before:
            id_of(ask(before, receiver.url, "createTextToVideo"))
            receiver.wait(1)
        with served(tmp_path / "mock.db", PROVIDERS["kling"]) as after:
            after.advance("1h")
            last = receiver.wait(3)[-1]
            [url, *_] = FILE.findall(last.body)
            assert url.decode().startswith(f"{after.url}/_mock/media/")
            assert requests.get(url.decode(), timeout=20).status_code == 200


def test_a_webhook_names_the_address_that_the_create_came_by(tmp_path: Path) -> None:
    """Another caller by another name changes nothing."""
    with Receiver() as receiver, served(tmp_path / "mock.db", PROVIDERS["kling"]) as kling:
        named = Remote(kling.mock, kling.provider, url=kling.url, headers={"host": "mock.test:99"})
        ask(named, receiver.url, "createTextToVideo")
        kling.send("GET", "/v1/videos/text2video")
        kling.advance("1h")
        [url, *_] = FILE.findall(receiver.wait(3)[-1].body)
    assert url.startswith(b"http://mock.test:99/_mock/media/")


def test_where_no_request_says_how_a_server_is_called() -> None:
    """First the public address, then the task's own if requests come by it, the last, where it listens, the task's."""
    task = storing.task("t", media="http://old.test:1/_mock/media")
    known = Addresses(None)
    assert known.media(task) == "http://old.test:1/_mock/media"
    known.listening = "http://127.0.0.1:2"
    assert known.media(task) == "http://127.0.0.1:2/_mock/media"
    known.called("http://new.test:3")
    assert known.media(task) == "http://new.test:3/_mock/media"
    known.called("http://old.test:1")
    known.called("http://new.test:3")
    assert known.media(task) == "http://old.test:1/_mock/media"
    assert Addresses("https://public.test").media(task) == "https://public.test/_mock/media"


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")])
def test_a_socket_is_reached_by_an_address_of_this_machine(host: str, shown: str) -> None:
    """Everywhere is no address to call."""
    with listen(host, 0) as listener:
        assert address(listener) == f"http://{shown}:{listener.getsockname()[1]}"
