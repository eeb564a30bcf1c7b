"""Where webhooks may go: what a URL says, and where a connection is made whatever a URL says."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kling_mock.server.posting import TargetRefused, Undelivered, post
from kling_mock.server.targets import loopback, permitted, receiver, refusal
from tests.server.receiver import Receiver, Says, free_port

NONE: frozenset[str] = frozenset()
TLS = b"\x16\x03"


@pytest.fixture
def listener() -> Iterator[Receiver]:
    """One that takes everything."""
    with Receiver() as server:
        yield server


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/hook",
        "http://127.8.9.10:8000/",
        "https://localhost:8443/hook?x=1",
        "http://LOCALHOST./",
        "http://app.localhost/",
        "http://[::1]:8000/",
        "http://user:word@localhost/",
    ],
)
def test_this_machine_is_called(url: str) -> None:
    """By its names and by every address that is loopback's."""
    assert refusal(url, NONE) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/hook", "example.com is no loopback address"),
        ("http://10.0.0.1/", "10.0.0.1 is no loopback address"),
        ("http://0.0.0.0/", "0.0.0.0 is no loopback address"),
        ("http://169.254.169.254/latest", "169.254.169.254 is no loopback address"),
        ("http://2130706433/", "2130706433 is no loopback address"),
        ("http://127.1/", "127.1 is no loopback address"),
        ("http://localhost.example.com/", "localhost.example.com is no loopback address"),
        ("http://notlocalhost/", "notlocalhost is no loopback address"),
        ("http://127.0.0.1@example.com/", "example.com is no loopback address"),
        ("http://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1 is no loopback address"),
        ("http://[::1/", "it is no URL"),
        ("http://localhost:99999/", "it is no URL"),
        ("ftp://localhost/", "only http and https URLs are called"),
        ("localhost:8000/hook", "only http and https URLs are called"),
        ("/hook", "only http and https URLs are called"),
        ("http:///hook", "the URL names no host"),
        ("http://example.com\\@127.0.0.1:9/", "it is no URL: a backslash stands in it"),
    ],
)
def test_everything_else_is_refused(url: str, why: str) -> None:
    """Real services, private networks, this machine in disguise, and what is no address: with the reason."""
    assert (refusal(url, NONE) or "").startswith(why)


def test_named_hosts_are_called() -> None:
    """By exactly the name that the user gave, in whatever case; not their neighbours."""
    allowed = {"Hooks.Internal", "10.0.0.1"}
    assert refusal("http://hooks.internal:8000/", allowed) is None
    assert refusal("https://10.0.0.1/", allowed) is None
    assert not permitted("a.hooks.internal", allowed)
    assert not permitted("10.0.0.2", allowed)


def test_receivers_are_told_apart() -> None:
    """By host and port; not by path or credentials."""
    urls = ["http://a:b@LOCALHOST:1/x", "http://localhost:1/y?z", "http://localhost:2/x", "http://[::1"]
    assert [receiver(url) for url in urls] == ["localhost:1", "localhost:1", "localhost:2", ""]


def test_no_name_server_is_asked_for_this_machine(listener: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that says something else of localhost, or changes its mind, leads nowhere."""

    def resolve(host: Any, *given: Any, **words: Any) -> Any:
        assert host in ("127.0.0.1", "::1"), f"{host!r} was looked up"
        return real(host, *given, **words)

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert loopback("app.localhost") == ("127.0.0.1", "::1")
    for host in ("localhost", "app.localhost", "127.0.0.1"):
        assert post("POST", f"http://{host}:{listener.port}/", b"{}", {}, 5, NONE) == 200
    assert [got.headers["host"].partition(":")[0] for got in listener.got] == [
        "localhost",
        "app.localhost",
        "127.0.0.1",
    ]


def test_a_receiver_may_listen_on_either_loopback() -> None:
    """`localhost` reaches one that has only the newer address."""
    with Receiver(host="::1") as newer:
        assert post("POST", f"http://localhost:{newer.port}/", b"{}", {}, 5, NONE) == 200


@pytest.mark.parametrize(
    "url", ["http://example.com/", "http://127.0.0.1\\@example.com/", "http://example.com\\@127.0.0.1/"]
)
def test_the_connection_is_checked_too(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the URL was read before: nobody is looked up and nothing is connected to but this machine."""
    asked = []

    def resolve(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        raise OSError("nobody answers")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises((TargetRefused, Undelivered)):
        post("POST", url, b"{}", {}, 5, NONE)
    assert set(asked) <= {"127.0.0.1"}


def test_the_bytes_are_those_that_were_given(listener: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Method, path, query, body and headers; nothing of the environment is mixed in."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    body = '{"a":  "ä"}'.encode()
    url = f"http://127.0.0.1:{listener.port}/a%20b/?q=1&r"
    assert post("PUT", url, body, {"Content-Type": "application/json; charset=utf-8"}, 5, NONE) == 200
    [got] = listener.got
    assert (got.method, got.path, got.body) == ("PUT", "/a%20b/?q=1&r", body)
    assert got.headers == {
        "host": f"127.0.0.1:{listener.port}",
        "user-agent": "kling-mock",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
        "content-type": "application/json; charset=utf-8",
        "content-length": str(len(body)),
    }


def test_credentials_in_the_url_reach_the_receiver(listener: Receiver) -> None:
    """As any client sends them."""
    post("POST", f"http://me:word@127.0.0.1:{listener.port}/", b"{}", {}, 5, NONE)
    assert listener.got[0].headers["authorization"] == "Basic bWU6d29yZA=="


@pytest.mark.parametrize("status", [200, 204, 302, 404, 500])
def test_every_status_is_an_answer(listener: Receiver, status: int) -> None:
    """A redirect is told, not followed."""
    listener.says = Says(status, location="http://127.0.0.1:9/")
    assert post("POST", listener.url, b"{}", {}, 5, NONE) == status
    assert len(listener.got) == 1


def speaking(says: bytes) -> str:
    """The URL of a server that says something to whoever connects."""
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with server, server.accept()[0] as connection:
            asked = b""
            # A request of which something is unread would make the end a reset.
            while not asked.startswith(TLS) and not asked.endswith(b"{}") and (chunk := connection.recv(65536)):
                asked += chunk
            connection.sendall(says)

    threading.Thread(target=run, daemon=True).start()
    return f"127.0.0.1:{server.getsockname()[1]}/"


@pytest.mark.parametrize(
    ("says", "error"),
    [(b"", "RemoteDisconnected"), (b"nonsense\r\n\r\n", "BadStatusLine"), (b"HTTP/1.1 2", "BadStatusLine")],
)
def test_what_is_no_answer_is_told(says: bytes, error: str) -> None:
    """By what HTTP's own client calls it."""
    with pytest.raises(Undelivered, match=error):
        post("POST", f"http://{speaking(says)}", b"{}", {}, 5, NONE)


def test_tls_is_checked() -> None:
    """A receiver that speaks no TLS under https is told so."""
    with pytest.raises(Undelivered, match="TLS: WRONG_VERSION_NUMBER"):
        post("POST", f"https://{speaking(b'HTTP/1.1 200 OK' + b' ' * 100)}", b"{}", {}, 5, NONE)
    assert ssl.OPENSSL_VERSION


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "http://localhost:{port}/"])
def test_nobody_listens(url: str) -> None:
    """In the system's words."""
    with pytest.raises(Undelivered, match=r"^Connection refused$"):
        post("POST", url.format(port=free_port()), b"{}", {}, 5, NONE)


def test_the_rest_of_an_answer_is_not_waited_for() -> None:
    """Its status counts; a body that never ends is left at the deadline."""
    head = b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\n{"
    assert post("POST", f"http://{speaking(head)}", b"{}", {}, 2, NONE) == 202
