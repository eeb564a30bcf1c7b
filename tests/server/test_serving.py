"""The server in a thread, over real sockets: creates, polls, downloads, and every way an answer can go missing."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from kling_mock.core.model import Delivery, Task
from kling_mock.core.provider import Provider
from kling_mock.core.showing import results
from kling_mock.server import serving
from kling_mock.server.addresses import MEDIA
from kling_mock.server.media import clip
from kling_mock.server.mock import Mock
from kling_mock.server.serving import Running, listen
from tests.conftest import PROVIDERS
from tests.exchanges import (
    EXCHANGES,
    creates,
    ends,
    every_provider,
    in_state,
    load,
    operation_of,
    provider_of,
    send,
    task_of,
    written,
)
from tests.server.wire import BODY, JSON, PATH, Remote, connected, read_to_end, shown, whole

MADE = re.compile(r'"(http[^"]*/_mock/media/[^"]*)"')
HANGING = 200


@pytest.fixture
def running(mock: Mock) -> Iterator[Running]:
    """All the providers, served."""
    with Running(mock) as server:
        yield server


@pytest.fixture
def remote(running: Running) -> Callable[..., Remote]:
    """A client by HTTP for one provider, by name."""

    def make(name: str, **words: Any) -> Remote:
        return Remote(running.mock, running.mock.providers[name], url=running.url, **words)

    return make


@pytest.fixture
def cut(cutting: Mock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The default provider with a scenario for each delivery, served."""
    monkeypatch.setattr(serving, "SHUTDOWN_SECONDS", 1)
    with Running(cutting) as server:
        yield server


def preferring(server: Running, scenario: str = "", *lines: str) -> bytes:
    """A create as bytes, under a scenario."""
    return whole(server, *lines, *([f"Prefer: scenario={scenario}"] if scenario else []))


def made(remote: Remote, of: str) -> tuple[str, Task]:
    """A create fixture of the provider that makes a video or an image, sent; its name and its task."""
    for name in creates(remote):
        task = task_of(remote, send(remote, written(name)))
        assert task.result is not None
        if task.result.of == of:
            return name, task
    raise AssertionError(f"no fixture of {remote.provider.name} makes a {of}")


def file_of(running: Running, task: Task) -> str:
    """The address of a task's first file, on this server."""
    return running.url + urlsplit(str(results(task, MEDIA)[0]["url"])).path


# One life, for each provider


def test_health_is_200_as_soon_as_the_server_runs(running: Running) -> None:
    """The health check answers once `Running` is entered; no Date and no Server header makes two runs differ."""
    got = requests.get(f"{running.url}/_mock/health", timeout=10)
    assert got.status_code == 200
    assert not {"date", "server"} & {name.lower() for name in got.headers}


@every_provider
def test_a_create_is_listed_and_its_state_follows_the_clock(provider: Provider, remote: Callable[..., Remote]) -> None:
    """Over HTTP: the task of a create is in GET /_mock/tasks, first in its first state, and after 10 s at its end."""
    caller = remote(provider.name)
    _, task = made(caller, "video")
    listed = f"{caller.url}/_mock/tasks?provider={provider.name}"
    states = caller.provider.lifecycle.usual

    def state() -> str:
        rows = requests.get(listed, timeout=10).json()["tasks"]
        return next(str(row["state"]) for row in rows if row["id"] == task.id)

    assert state() == states[0]
    moved = requests.post(f"{caller.url}/_mock/clock", json={"advance": "10s"}, timeout=10)
    assert moved.status_code == 200
    assert state() == states[-1]


FINISHED = [name for name in EXCHANGES if ends(name) == "success"]


@pytest.mark.parametrize(
    "name", [name for name in FINISHED if operation_of(name).role == "query" or "https://" in str(load(name)["reply"])]
)
def test_a_poll_by_http_leads_to_files_that_download(name: str, remote: Callable[..., Remote]) -> None:
    """The reply to a query or list of a finished task has addresses on this server, and each gives its file."""
    caller = remote(provider_of(name).name)
    answer = in_state(caller, name, load(name)["state"])
    assert answer.status == 200
    addresses = MADE.findall(answer.body.decode())
    assert addresses
    for address in addresses:
        assert address.startswith(caller.url + "/_mock/media/")
        got = requests.get(address, timeout=10)
        assert got.status_code == 200, address
        assert got.headers["content-type"] in ("video/mp4", "image/png", "image/jpeg")
        assert int(got.headers["content-length"]) == len(got.content) > 0


@every_provider
def test_a_bad_credential_is_refused_by_http(provider: Provider, remote: Callable[..., Remote]) -> None:
    """A create with a credential that nobody has is the provider's refusal, with a hint, as in process."""
    caller = remote(provider.name)
    name = next(creates(caller))
    scheme = operation_of(name).security[0][0]
    answer = send(caller, written(name), **{scheme.header: f"{scheme.prefix} nobody".strip()})
    assert answer.status in (400, 401, 403)
    assert "x-mock-hint" in answer.headers
    refused = [row["rule"] for row in answer.violations if row["severity"] == "refused"]
    assert [rule.partition(".")[0] for rule in refused] == ["mock/token"]


# Files


def test_a_video_is_whole_and_of_the_right_type(running: Running, remote: Callable[..., Remote]) -> None:
    """GET gives the stored clip byte for byte as video/mp4, and says that parts can be had; HEAD gives no byte."""
    caller = remote("kling")
    _, task = made(caller, "video")
    caller.advance("10s")
    assert task.result is not None
    expected = clip(task.result.duration / 1000, task.result.aspect).read_bytes()
    whole = requests.get(file_of(running, task), timeout=10)
    assert (whole.status_code, whole.content) == (200, expected)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    only = requests.head(file_of(running, task), timeout=10)
    assert (only.status_code, only.content) == (200, b"")
    assert int(only.headers["content-length"]) == len(expected)
    assert only.headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    ("asked", "first", "last"), [("bytes=0-99", 0, 99), ("bytes=100-", 100, None), ("bytes=-50", -50, None)]
)
def test_a_part_of_a_video(
    running: Running, remote: Callable[..., Remote], asked: str, first: int, last: int | None
) -> None:
    """A range gives 206, exactly those bytes, and says which they are."""
    caller = remote("kling")
    _, task = made(caller, "video")
    caller.advance("10s")
    whole = requests.get(file_of(running, task), timeout=10).content
    part = requests.get(file_of(running, task), headers={"Range": asked}, timeout=10)
    start, end = first % len(whole), len(whole) - 1 if last is None else last
    assert part.status_code == 206
    assert part.content == whole[start : end + 1]
    assert part.headers["content-range"] == f"bytes {start}-{end}/{len(whole)}"
    assert int(part.headers["content-length"]) == end - start + 1


def test_a_range_behind_the_end_is_416(running: Running, remote: Callable[..., Remote]) -> None:
    """A range that starts behind the file's end is refused as HTTP has it."""
    caller = remote("kling")
    _, task = made(caller, "video")
    caller.advance("10s")
    got = requests.get(file_of(running, task), headers={"Range": "bytes=99999999-"}, timeout=10)
    assert got.status_code == 416


def test_an_image_task_gives_a_png(running: Running, remote: Callable[..., Remote]) -> None:
    """The first file of an image task is a PNG by type and by bytes."""
    caller = remote("kling")
    _, task = made(caller, "image")
    caller.advance("10s")
    got = requests.get(file_of(running, task), timeout=10)
    assert (got.status_code, got.headers["content-type"]) == (200, "image/png")
    assert got.content.startswith(b"\x89PNG\r\n\x1a\n")


def test_there_is_no_file_before_the_end(running: Running, remote: Callable[..., Remote]) -> None:
    """A task that is not finished has no file yet: 404, and the reason names its state."""
    caller = remote("kling")
    _, task = made(caller, "video")
    got = requests.get(file_of(running, task), timeout=10)
    assert got.status_code == 404
    assert "submitted" in got.text


def result_address(caller: Remote) -> str:
    """The first file's address, as a query shows it."""
    name = next(name for name in FINISHED if provider_of(name) == caller.provider)
    found: list[str] = MADE.findall(in_state(caller, name, load(name)["state"]).body.decode())
    return found[0]


@pytest.mark.parametrize("host", ["kling-mock:9999", "10.0.2.2:8787", "mock.test"])
def test_a_result_address_has_the_host_that_was_called(host: str, remote: Callable[..., Remote]) -> None:
    """A client in a container knows the server by another name: its results are there."""
    assert result_address(remote("kling", headers={"host": host})).startswith(f"http://{host}/_mock/media/")


def test_a_reply_names_the_address_that_its_request_came_by(running: Running, remote: Callable[..., Remote]) -> None:
    """Who polls by another name than who created can fetch the file by that name."""
    caller = remote("kling")
    _, task = made(caller, "video")
    caller.advance("10s")
    polled = remote("kling", headers={"host": "elsewhere.test"}).send("GET", f"{PATH}/{task.id}")
    assert {address.partition("/_mock/")[0] for address in MADE.findall(polled.body.decode())} == {
        "http://elsewhere.test"
    }


@pytest.mark.parametrize("url", ["https://mock.example/base", "https://mock.example/base/"])
def test_a_public_url_goes_before_the_host(url: str, make_mock: Callable[..., Mock]) -> None:
    """With --public-url all results are there, whatever the Host."""
    with Running(make_mock(PROVIDERS["kling"], public_url=url)) as server:
        caller = Remote(server.mock, PROVIDERS["kling"], url=server.url)
        assert result_address(caller).startswith("https://mock.example/base/_mock/media/")


# Deliveries


def test_the_plain_answer_comes_whole(cut: Running) -> None:
    """Without a scenario the same bytes are answered: what follows is due to the deliveries alone."""
    with connected(cut) as connection:
        connection.sendall(preferring(cut, "", "Connection: close"))
        received, reset = read_to_end(connection)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert not reset


def test_a_delivery_cut_at_0_is_a_reset_without_a_byte(cut: Running) -> None:
    """Not one byte comes, and the end is a reset, not a close; the task was made all the same."""
    with connected(cut) as connection:
        connection.sendall(preferring(cut, "reset"))
        assert read_to_end(connection) == (b"", True)
    assert len(requests.get(f"{cut.url}/_mock/tasks", timeout=10).json()["tasks"]) == 1


def test_a_real_client_sees_a_lost_connection(cut: Running) -> None:
    """`requests` raises its connection error, and the server goes on."""
    with pytest.raises(requests.ConnectionError):
        requests.post(
            cut.url + PATH,
            data=BODY,
            headers=shown(cut.mock, prefer="scenario=reset", **JSON),
            timeout=10,
        )
    assert requests.get(f"{cut.url}/_mock/health", timeout=10).status_code == 200


def test_a_delivery_cut_in_the_middle_ends_early(cut: Running) -> None:
    """The head with the full length comes, exactly 20 bytes of the body, then the connection is gone."""
    with connected(cut) as connection:
        connection.sendall(preferring(cut, "short"))
        received, _ = read_to_end(connection)
    above, _, body = received.partition(b"\r\n\r\n")
    promised = re.search(rb"content-length: ([0-9]+)", above)
    assert promised, above
    assert int(promised[1]) > 20
    assert len(body) == 20
    assert body.startswith(b'{"code":0')


def test_a_late_delivery_waits(cut: Running) -> None:
    """Nothing comes before the 600 ms have passed; then everything does."""
    with connected(cut) as connection:
        start = time.monotonic()
        connection.sendall(preferring(cut, "late", "Connection: close"))
        received, _ = read_to_end(connection)
    assert time.monotonic() - start >= 0.6
    assert received.startswith(b"HTTP/1.1 200 ")


def test_hanging_calls_delay_nobody_and_end_with_their_clients(cut: Running) -> None:
    """200 calls without an answer: meanwhile health and a create answer; when the clients leave, nothing is left."""
    connections = [socket.create_connection(("127.0.0.1", cut.port), timeout=10) for _ in range(HANGING)]
    try:
        asked = preferring(cut, "hangs")
        for connection in connections:
            connection.sendall(asked)
        wait_for(lambda: len(cut._server.server_state.tasks) >= HANGING)
        start = time.monotonic()
        assert requests.get(f"{cut.url}/_mock/health", timeout=10).status_code == 200
        with connected(cut) as connection:
            connection.sendall(preferring(cut, "", "Connection: close"))
            assert read_to_end(connection)[0].startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - start < 5
        for connection in connections:
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)
    finally:
        for connection in connections:
            connection.close()
    wait_for(lambda: not cut._server.server_state.tasks)


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def test_a_server_with_a_hanging_call_can_be_ended(cut: Running) -> None:
    """Leaving `Running` ends the thread although a client still waits, and that client sees the end."""
    with connected(cut) as connection:
        connection.sendall(preferring(cut, "hangs"))
        wait_for(lambda: bool(cut._server.server_state.tasks))
        cut.__exit__()
        assert not cut._thread.is_alive()
        connection.settimeout(5)
        read_to_end(connection)


def test_an_answer_to_head_has_no_body(running: Running) -> None:
    """HEAD of a provider's path is answered without a byte of body, and the next call works."""
    with requests.Session() as session:
        got = session.head(running.url + PATH, timeout=10)
        assert (got.status_code, got.content) == (404, b"")
        assert "POST" in got.headers["allow"]
        assert session.get(f"{running.url}/_mock/health", timeout=10).status_code == 200


# The thread


def test_nothing_is_left_of_a_server() -> None:
    """After `Running` no thread lives on and the port can be had again."""
    before = set(threading.enumerate())
    with Running(Mock([PROVIDERS["kling"]])) as server:
        assert requests.get(f"{server.url}/_mock/health", timeout=10).status_code == 200
        assert requests.post(server.url + PATH, data=BODY, timeout=10).status_code == 401
    wait_for(lambda: not set(threading.enumerate()) - before, 5)
    listen("127.0.0.1", server.port).close()


def test_two_servers_at_once(providers: Mapping[str, Provider]) -> None:
    """Each has a port and a state of its own."""
    with Running(Mock([providers["kling"]])) as one, Running(Mock([providers["pixazo"]])) as other:
        assert one.port != other.port
        names = [requests.get(f"{server.url}/_mock/providers", timeout=10).text for server in (one, other)]
    assert "kling" in names[0]
    assert "rixapi" not in names[0] + names[1]


def test_a_taken_port_is_an_error_and_leaks_no_socket(running: Running) -> None:
    """`listen` raises what the system says; it does not steal the port."""
    with pytest.raises(OSError, match="Address already in use"):
        listen("127.0.0.1", running.port)


def test_it_listens_on_ipv6_too(mock: Mock) -> None:
    """`--host ::1` gives an address in brackets that answers."""
    try:
        server = Running(mock, host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        assert server.url == f"http://[::1]:{server.port}"
        assert requests.get(f"{server.url}/_mock/health", timeout=10).status_code == 200


def test_deliveries_of_scenarios_reach_the_wire(cut: Running) -> None:
    """The four scenarios above are what they say, so that the tests above test the server."""
    found = {
        name: cut.mock.providers["kling"].scenarios[name].answers[0].delivery
        for name in ("reset", "short", "hangs", "late")
    }
    assert found == {
        "reset": Delivery(cut_at=0),
        "short": Delivery(cut_at=20),
        "hangs": Delivery(never=True),
        "late": Delivery(after_ms=600),
    }
