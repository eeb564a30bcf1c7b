"""What the lane bears: long bodies and heads, slow and broken clients, many at once. Each case ends in health."""

from __future__ import annotations

import base64
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import requests

from kling_mock.core.judging import Facts
from kling_mock.core.provider import Provider
from kling_mock.loading import bundled
from kling_mock.server import lane, serving
from kling_mock.server.mock import Mock, Prepared
from kling_mock.server.serving import Running
from tests.conftest import Client
from tests.exchanges import catalogued, creates, every_provider, written
from tests.server.wire import BODY, JSON, PATH, connected, head, read_to_end, shown, whole

LIMIT = 10_000
CLIENTS = 128
Serve = Callable[..., Running]


@pytest.fixture
def serve(
    providers: Mapping[str, Provider], make_mock: Callable[..., Mock], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Serve]:
    """Serve all providers with the given options; afterwards the server must be healthy and end in order."""
    monkeypatch.setattr(serving, "SHUTDOWN_SECONDS", 1)
    with ExitStack() as stack:
        servers = []

        def start(**options: Any) -> Running:
            servers.append(stack.enter_context(Running(make_mock(*providers.values(), **options))))
            return servers[-1]

        yield start
        for server in servers:
            assert requests.get(f"{server.url}/_mock/health", timeout=5).status_code == 200


def reply(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One reply by its Content-Length: status, headers, body."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(1)
        assert chunk, f"the connection ended in {received!r}"
        received += chunk
    first, *lines = received.decode("latin-1").split("\r\n")[:-2]
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = b""
    while len(body) < int(headers["content-length"]):
        body += connection.recv(int(headers["content-length"]) - len(body))
    return int(first.split()[1]), headers, body


# Long bodies


def test_a_long_payload_is_judged_over_http(serve: Serve) -> None:
    """Three megabytes of base64 get a verdict; an endpoint that takes less says so."""
    server = serve()
    picture = base64.b64encode((bundled("fixtures") / "media" / "square-300x300.png").read_bytes() + bytes(3_000_000))
    asked = {"provider": "kling", "operation": "createImageToVideo", "body": {"image": picture.decode(), "prompt": "x"}}
    answer = requests.post(f"{server.url}/_mock/judge", json=asked, timeout=20)
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    answer = requests.post(f"{server.url}/_mock/accounts", json={"provider": "k" * 3_000_000}, timeout=20)
    assert answer.status_code == 413


@every_provider
def test_a_body_over_the_limit_gets_the_providers_413(provider: Provider, serve: Serve) -> None:
    """For each provider: 413 in its own envelope, read by a real client that sends a megabyte too much."""
    server = serve(max_body=LIMIT)
    caller = Client(server.mock, provider)
    request = written(next(creates(caller)))
    sent = {**shown(server.mock, request.path, provider.name), "Content-Type": request.headers["content-type"]}
    got = requests.post(server.url + request.path, data=b"x" * (LIMIT + 1_000_000), headers=sent, timeout=10)
    assert got.status_code == 413
    assert [(row["rule"], row["pointer"]) for row in json.loads(got.headers["x-mock-violations"])] == [
        ("mock/body.size", "")
    ]
    assert catalogued(caller.provider, "body.size") == 413
    assert got.json().keys() == caller.send("POST", request.path, body=b"{").json.keys()


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_limit_is_exact(size: int, status: int, chunked: bool, serve: Serve) -> None:
    """A body of exactly the limit passes, one byte more does not; the same in chunks, whose sum nobody announces."""
    server = serve(max_body=LIMIT)
    content = BODY + b" " * (size - len(BODY))
    pieces = (content[at : at + 999] for at in range(0, size, 999))
    headers = shown(server.mock, **JSON)
    got = requests.post(server.url + PATH, data=pieces if chunked else content, headers=headers, timeout=10)
    assert got.status_code == status, got.text


def test_the_connection_lives_on_after_a_413(serve: Serve) -> None:
    """The long body is read to its end, so the next request on the same connection is understood."""
    server = serve(max_body=LIMIT)
    with requests.Session() as session:
        session.headers.update(shown(server.mock, **JSON))
        codes = [
            session.post(server.url + PATH, data=content, timeout=10).status_code
            for content in (b"x" * 300_000, BODY, b"x" * 300_000, BODY)
        ]
    assert codes == [413, 200, 413, 200]


def test_27_megabytes_pass(serve: Serve) -> None:
    """Two frames of 10 MB each, as base64 in one body, are taken."""
    server = serve()
    image = (bundled("fixtures") / "media" / "square-300x300.png").read_bytes()
    frame = base64.b64encode(image + b"\0" * (10_000_000 - len(image))).decode()
    body = json.dumps({"image": frame, "image_tail": frame, "mode": "pro", "prompt": "a lighthouse"}).encode()
    assert len(body) > 26_000_000
    headers = shown(server.mock, **JSON)
    got = requests.post(server.url + PATH, data=body, headers=headers, timeout=60)
    assert got.status_code == 200, got.text[:500]


def test_a_client_that_waits_for_100_is_told_to_go_on(serve: Serve) -> None:
    """`Expect: 100-continue`, as curl sends it with long bodies, is answered before the body is there."""
    server = serve()
    with connected(server) as connection:
        connection.sendall(head(server, f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert reply(connection)[0] == 200


# Long heads


@pytest.mark.parametrize("lines", [["X-Long: " + "a" * 70_000], [f"X-{n}: {'a' * 100}" for n in range(700)]])
def test_a_head_over_64_kb_is_431(lines: list[str], serve: Serve) -> None:
    """One long header or many short ones, sent at once: refused, and the connection ends."""
    server = serve()
    with connected(server) as connection:
        connection.sendall(head(server, *lines, "Content-Length: 0"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")
        read_to_end(connection)[0]


def test_a_head_that_never_stops_is_431(serve: Serve) -> None:
    """A head without an end, sent bit by bit, is refused before it fills the memory."""
    server = serve()
    with connected(server) as connection:
        connection.sendall(head(server)[:-2])
        connection.settimeout(0.02)
        received = b""
        for _ in range(200):
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(b"X-More: " + b"a" * 1000 + b"\r\n")
            with suppress(TimeoutError, ConnectionResetError):
                received += connection.recv(65536)
            if received:
                break
        assert received.startswith(b"HTTP/1.1 431 ")


def test_a_long_head_on_a_used_connection_is_431(serve: Serve) -> None:
    """The bound holds for the second request of a connection too."""
    server = serve()
    with connected(server) as connection:
        connection.sendall(whole(server))
        assert reply(connection)[0] == 200
        connection.sendall(head(server, "X-Long: " + "a" * 70_000, "Content-Length: 0"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")


def test_a_head_of_60_kb_passes(serve: Serve) -> None:
    """What is below the bound is nobody's business, time and again on one connection."""
    server = serve()
    with connected(server) as connection:
        for _ in range(3):
            connection.sendall(whole(server, "X-Long: " + "a" * 60_000))
            assert reply(connection)[0] == 200


# Slow clients


@pytest.mark.parametrize("sent", [0, 1, 40])
def test_a_slow_head_is_closed(sent: int, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that says nothing, or not enough, is closed after the time for heads."""
    monkeypatch.setattr(lane, "HEADER_SECONDS", 0.3)
    server = serve()
    with connected(server) as connection:
        start = time.monotonic()
        connection.sendall(head(server)[:sent])
        assert read_to_end(connection)[0] == b""
    assert time.monotonic() - start >= 0.25


def test_a_slow_second_head_is_closed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on a connection that was used before."""
    monkeypatch.setattr(lane, "HEADER_SECONDS", 0.3)
    server = serve()
    with connected(server) as connection:
        connection.sendall(whole(server))
        assert reply(connection)[0] == 200
        connection.sendall(head(server)[:40])
        assert read_to_end(connection)[0] == b""


@pytest.mark.parametrize("sent", [0, 1, 40])
def test_a_slow_body_is_closed(sent: int, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that promises a body and stops, even before its first byte, is dropped without an answer."""
    monkeypatch.setattr(lane, "BODY_SECONDS", 0.3)
    server = serve()
    with connected(server) as connection:
        connection.sendall(head(server, f"Content-Length: {len(BODY)}") + BODY[:sent])
        assert read_to_end(connection)[0] == b""
    assert requests.get(f"{server.url}/_mock/journal", timeout=5).json()["exchanges"] == []


def test_the_time_for_heads_and_bodies_is_not_the_time_for_answers(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle connection that was answered stays open for its next request."""
    monkeypatch.setattr(lane, "HEADER_SECONDS", 0.2)
    monkeypatch.setattr(lane, "BODY_SECONDS", 0.2)
    server = serve()
    with connected(server) as connection:
        for _ in range(2):
            connection.sendall(whole(server))
            assert reply(connection)[0] == 200
            time.sleep(0.5)


def test_slow_bodies_to_the_control_api_do_not_block_it(serve: Serve) -> None:
    """More clients than the control API has threads promise a body and stop: health answers all the same."""
    server = serve()
    with ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(connected(server))
            connection.sendall(head(server, "Content-Length: 100", path="/_mock/clock") + b"{")
        time.sleep(0.3)
        assert requests.get(f"{server.url}/_mock/health", timeout=5).status_code == 200


@pytest.mark.parametrize("before_end", [1, 40, len(BODY)])
def test_a_client_that_leaves_within_the_body_is_no_error(
    before_end: int, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """A disconnect is the client's business: nothing is decided, and the log has no error."""
    server = serve()
    with connected(server) as connection:
        connection.sendall((head(server, f"Content-Length: {len(BODY)}") + BODY)[:-before_end])
        time.sleep(0.1)
    time.sleep(0.2)
    assert [row.getMessage() for row in caplog.records if row.levelno >= logging.ERROR] == []
    assert list(server.mock.store.tasks()) == []
    assert requests.get(f"{server.url}/_mock/journal", timeout=5).json()["exchanges"] == []


# Broken HTTP


@pytest.mark.parametrize(
    "sent",
    [
        b"NONSENSE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"BREW /v1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    ],
)
def test_broken_http_is_400(sent: bytes, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """What is no HTTP gets 400 and an end, and no traceback in the log."""
    server = serve()
    with connected(server) as connection:
        connection.sendall(sent)
        assert read_to_end(connection)[0].startswith(b"HTTP/1.1 400 ")
    assert [row.getMessage() for row in caplog.records if row.levelno >= logging.ERROR or row.exc_info] == []


@pytest.mark.parametrize("method", ["PROPFIND", "TRACE", "DELETE", "PATCH", "OPTIONS"])
def test_strange_methods_get_the_providers_answer(method: str, serve: Serve) -> None:
    """A method that HTTP knows and the path does not is answered in the provider's words, with `Allow`."""
    server = serve()
    got = requests.request(method, server.url + PATH, timeout=5)
    assert (got.status_code, got.json()["code"]) == (404, 1202)
    assert got.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    "target", ["*", "http://elsewhere.test/v1/nothing", "//v1//videos", "/%00%ff%2e%2e/%", "/;a=b"]
)
def test_strange_targets_get_the_providers_404(target: str, serve: Serve) -> None:
    """Any request target that can be read is a path that nobody has."""
    server = serve()
    with connected(server) as connection:
        connection.sendall(f"OPTIONS {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert read_to_end(connection)[0].startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
def test_an_offered_upgrade_is_ignored_and_the_body_kept(upgrade: str, serve: Serve) -> None:
    """A client that would rather speak HTTP/2 (Java's does so by default) is answered in HTTP/1.1, body and all."""
    server = serve()
    with connected(server) as connection:
        connection.sendall(
            whole(server, f"Upgrade: {upgrade}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAEAAEAA")
        )
        status, _, body = reply(connection)
    assert (status, json.loads(body)["code"]) == (200, 0)


# Connections


def test_one_connection_carries_many_requests(serve: Serve) -> None:
    """Keep-alive: provider calls, refusals, control calls and files on one connection, each answered in turn."""
    server = serve()
    with connected(server) as connection:
        for _ in range(5):
            connection.sendall(whole(server))
            assert reply(connection)[0] == 200
            connection.sendall(b"GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n")
            assert reply(connection)[0] == 404
            connection.sendall(b"GET /_mock/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert reply(connection)[0] == 200


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    """Ten creates in one write, each with its own external id: ten answers in that order."""
    server = serve()
    asked = b""
    for n in range(10):
        body = json.dumps({"image": "https://example.com/a.png", "external_task_id": f"job-{n}"}).encode()
        asked += head(server, f"Content-Length: {len(body)}") + body
    with connected(server) as connection:
        connection.sendall(asked)
        answers = [reply(connection) for _ in range(10)]
    assert [status for status, _, _ in answers] == [200] * 10
    named = [re.findall(rb"job-[0-9]", body) for _, _, body in answers]
    assert named == [[b"job-%d" % n] for n in range(10)]


@every_provider
def test_128_clients_at_once(provider: Provider, serve: Serve) -> None:
    """All create at the same moment; each gets a task of its own."""
    server = serve()
    caller = Client(server.mock, provider)
    name = next(creates(caller))
    request = written(name)
    sent = {**shown(server.mock, request.path, provider.name), "Content-Type": request.headers["content-type"]}
    body = re.sub(rb'"external_task_id": *"[^"]*"', b'"external_task_id": ""', request.body)
    together = threading.Barrier(CLIENTS)
    tasks: list[str] = []

    def create() -> None:
        together.wait(30)
        got = requests.post(server.url + request.path, data=body, headers=sent, timeout=30)
        assert got.status_code < 300, got.text
        tasks.append(got.headers["x-mock-task"])

    threads = [threading.Thread(target=create) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(tasks)) == CLIENTS


# Images


def test_images_are_measured_off_the_event_loop(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one create's image is being measured, others are answered; the create is, when it is done."""
    server = serve()
    measuring, go_on = threading.Event(), threading.Event()
    statuses: list[requests.Response] = []
    measure = server.mock.measure

    def slow(prepared: Prepared) -> Facts:
        measuring.set()
        assert go_on.wait(20), "nobody else was answered"
        return measure(prepared)

    def create() -> None:
        statuses.append(requests.post(server.url + PATH, data=BODY, headers=shown(server.mock, **JSON), timeout=30))

    monkeypatch.setattr(server.mock, "measure", slow)
    thread = threading.Thread(target=create)
    thread.start()
    try:
        assert measuring.wait(10), "the image is not looked at"
        listed = requests.get(server.url + PATH, headers=shown(server.mock), timeout=5)
        assert (listed.status_code, listed.json()["data"]) == (200, [])
        assert statuses == []
    finally:
        go_on.set()
        thread.join(20)
    assert [reply.status_code for reply in statuses] == [200]


# What is no HTTP


def refused(server: Running, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """The answer to bytes, after which the server ends the connection."""
    with connected(server) as connection:
        connection.sendall(sent)
        received, _ = read_to_end(connection)
    top, _, body = received.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def rules(headers: Mapping[str, str]) -> list[str]:
    """The rules that the header says were broken."""
    return [row["rule"] for row in json.loads(headers["x-mock-violations"])]


@every_provider
@pytest.mark.parametrize("method", ["FOO", "get", "G" * 100, "*"])
def test_a_method_that_http_does_not_know_is_the_providers_wrong_method(
    provider: Provider, method: str, serve: Serve
) -> None:
    """In its envelope, with `Allow`, and in the journal, although no HTTP parser lets it through."""
    server = serve()
    path = next(row.path for row in provider.operations.values() if row.role == "create")
    status, headers, body = refused(server, f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert status == catalogued(provider, "route.method")
    assert (headers["content-type"], rules(headers)) == ("application/json", ["mock/route.method"])
    assert "post" in headers["allow"]
    assert json.loads(body)
    (row,) = server.mock.exchanges(None, provider.name)
    assert row["request"]["method"] == method


@every_provider
@pytest.mark.parametrize(
    "garbled",
    [
        b"POST %s\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST %s HTTP/1.1\r\nno header\r\n\r\n",
        b"POST %s HTTP/1.1\r\nContent-Length: 9x\r\n\r\n",
        b"POST %s HTTP/9.9\r\n\r\n",
        b"POST %s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_the_envelope_of_its_path(
    provider: Provider, garbled: bytes, serve: Serve
) -> None:
    """With the provider's status for a body that cannot be read."""
    server = serve()
    path = next(row.path for row in provider.operations.values() if row.role == "create")
    status, headers, body = refused(server, garbled % path.encode())
    assert (status, rules(headers)) == (catalogued(provider, "body.syntax"), ["mock/http.syntax"])
    assert isinstance(json.loads(body), dict)
    assert list(server.mock.store.tasks()) == [], "nothing was made"


@pytest.mark.parametrize(
    "noise", [b"hello\r\n\r\n", b"\x16\x03\x01\x00\xf4", b"GET /_mock/health\xff HTTP/1.1\r\n\r\n"]
)
def test_what_names_no_path_of_a_provider_is_told_in_plain_text(noise: bytes, serve: Serve) -> None:
    """Noise, a TLS client, the control API."""
    status, headers, body = refused(serve(), noise)
    assert (status, headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert body == b"Invalid HTTP request received."


def test_a_line_that_comes_in_parts_is_put_together(serve: Serve) -> None:
    """What is wrong may come long after the path."""
    server = serve()
    with connected(server) as connection:
        for part in (b"POST /workshop/ord", b"ers HTTP/1.1\r\nHost: a\r\n", b"no header\r\n\r\n"):
            connection.sendall(part)
            time.sleep(0.05)
        received, _ = read_to_end(connection)
    assert b'"kind":"unreadable"' in received


# The mock's own failure


@every_provider
@pytest.mark.parametrize("step", ["prepare", "finish"])
def test_a_failure_of_the_mock_is_the_providers_500(
    provider: Provider, step: str, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception inside the mock: the provider's own 500, and the log has the reason with its traceback."""
    server = serve()

    def broken(*_: object) -> None:
        raise RuntimeError("the shelf fell down")

    caller = Client(server.mock, provider)
    request = written(next(creates(caller)))
    monkeypatch.setattr(server.mock, step, broken)
    with caplog.at_level(logging.ERROR, "kling_mock"):
        got = requests.post(server.url + request.path, data=request.body, headers=dict(request.headers), timeout=10)
    assert got.status_code == catalogued(caller.provider, "mock.failure") >= 500
    assert got.headers["content-type"] == "application/json"
    assert isinstance(got.json(), dict)
    rows = [row for row in caplog.records if row.name == "kling_mock"]
    assert [row.getMessage() for row in rows] == [f"the mock failed at POST {request.path}"]
    assert rows[0].exc_info is not None
    assert "the shelf fell down" in str(rows[0].exc_info[1])
