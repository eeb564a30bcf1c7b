"""Fetching an image by its URL: what is fetched, what is refused and why; all on the loopback."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from itertools import count
from typing import Any

import pytest

from kling_mock.server import fetching
from kling_mock.server.fetching import FetchRefused, fetch_image, is_public

Answer = bytes | Callable[[socket.socket], None]
Serve = Callable[[Answer], str]

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SCHEMES = "only http and https URLs are fetched"


class Loopback:
    """A server that gives one answer to every connection and remembers what it was sent."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        """Accept until the socket is closed."""
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.reply, args=(connection,), daemon=True).start()

    def reply(self, connection: socket.socket) -> None:
        """Read one request, then answer; the client may hang up at any time."""
        with connection:
            try:
                self.asked.append(connection.recv(65536))
                if isinstance(self.answer, bytes):
                    connection.sendall(self.answer)
                else:
                    self.answer(connection)
            except OSError:
                return

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])


@pytest.fixture
def started() -> Iterator[Callable[[Answer], Loopback]]:
    """Starts servers that stop with the test."""
    servers: list[Loopback] = []

    def start(answer: Answer) -> Loopback:
        servers.append(Loopback(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.listening.shutdown(socket.SHUT_RDWR)
        server.listening.close()


@pytest.fixture
def serve(started: Callable[[Answer], Loopback]) -> Serve:
    """Starts a server and gives only its URL."""
    return lambda answer: started(answer).url


def body(content: bytes) -> bytes:
    """A complete reply with this content."""
    return OK + b"Content-Length: %d\r\n\r\n" % len(content) + content


def moved(target: str) -> bytes:
    """A redirect to the target."""
    return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + target.encode() + b"\r\n\r\n"


def reason(url: str, **limits: Any) -> str:
    """Why the URL is not fetched."""
    with pytest.raises(FetchRefused) as refused:
        fetch_image(url, **limits)
    assert str(refused.value) == refused.value.reason
    return refused.value.reason


@pytest.mark.parametrize(
    "reply",
    [body(b"image"), OK + b"\r\nimage", CHUNKED + b"2\r\nim\r\n3\r\nage\r\n0\r\n\r\n"],
)
def test_the_body_is_fetched(serve: Serve, reply: bytes) -> None:
    """A body with its length, one that ends with the connection, and a chunked one."""
    assert fetch_image(serve(reply) + "/a.png", allow_private=True) == b"image"


def test_the_request_is_what_a_browser_would_send(started: Callable[[Answer], Loopback]) -> None:
    """Path and signed query go out unchanged but for what a request line cannot hold; no fragment."""
    server = started(body(b"image"))
    fetch_image(server.url + "/a b/ü%20.png?sig=a%2Fb+c==&x=[1]#top", allow_private=True)
    asked = server.asked[0].decode().split("\r\n")
    assert asked[0] == "GET /a%20b/%C3%BC%20.png?sig=a%2Fb+c==&x=[1] HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in asked
    assert "Accept-Encoding: identity" in asked


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("10.0.0.1", "10.0.0.1"), ("[::1]", "::1"), ("192.168.1.1", "192.168.1.1"),
     ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"), ("169.254.169.254", "169.254.169.254"),
     ("0.0.0.0", "0.0.0.0"), ("2130706433", "127.0.0.1"),
     ("0x7f.1", "127.0.0.1"),
     ("127.1", "127.0.0.1"), ("[fe80::1]", "fe80::1")],
)  # fmt: skip
def test_private_addresses_are_refused(host: str, address: str) -> None:
    """However it is written, an address that only this network reaches is named in the refusal."""
    assert reason(f"http://{host}:9/").replace("::ffff:7f00:1", "::ffff:127.0.0.1") == (
        f"the host's address {address} is not a public one"
    )


def test_localhost_is_refused() -> None:
    """A name is judged by what it resolves to."""
    assert reason("http://localhost:9/") in {
        f"the host's address {address} is not a public one" for address in ("127.0.0.1", "::1")
    }


def test_nothing_is_sent_to_a_private_address(started: Callable[[Answer], Loopback]) -> None:
    """The refusal comes before the connection."""
    server = started(body(b"image"))
    assert "127.0.0.1 is not a public one" in reason(server.url)
    assert server.asked == []


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_known(address: str) -> None:
    """Addresses on the internet, also those that carry a public IPv4 address."""
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "::", "::1",
     "fd00::1", "fe80::1%lo", "fec0::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:100.64.0.1",
     "64:ff9b::a00:1", "2002:7f00:1::"],
)  # fmt: skip
def test_addresses_that_are_not_public_are_known(address: str) -> None:
    """Private, shared, link-local, multicast and reserved ones, also when carried inside IPv6."""
    assert not is_public(ip_address(address))


def test_one_private_address_among_public_ones_refuses_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a public and a private address is not fetched from the public one either."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 80)) for host in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert reason("http://two.test/") == "the host's address 10.0.0.1 is not a public one"


def test_the_connection_goes_to_the_address_that_was_checked(
    started: Callable[[Answer], Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is resolved once; a name server that changes its answer is not asked again."""
    server = started(body(b"image"))
    asked: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert fetch_image(f"http://pinned.test:{server.port}/", allow_private=True) == b"image"
    assert asked == ["pinned.test"]
    assert f"Host: pinned.test:{server.port}\r\n".encode() in server.asked[0]


def test_the_next_address_is_tried_when_one_is_dead(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose first address refuses connections is fetched from its second."""
    port = int(serve(body(b"image")).rpartition(":")[2])
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.9", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert fetch_image("http://two.test/", allow_private=True) == b"image"


@pytest.mark.parametrize(
    ("url", "why"),
    [("ftp://h/a.png", SCHEMES), ("file:///etc/passwd", SCHEMES), ("a.png", SCHEMES),
     ("http:///a.png", "the URL names no host"),
     ("http://[::1", "not a URL: its host or its port cannot be read"),
     ("http://h:99999/", "not a URL: its host or its port cannot be read"),
     ("http://u:p@h/", "a URL with a user name or password is not fetched"),
     ("http://" + "a" * 64 + ".test/", "the host '" + "a" * 64 + ".test' cannot be resolved")],
)  # fmt: skip
def test_odd_urls_are_refused(url: str, why: str) -> None:
    """What cannot or should not be fetched is refused in words."""
    assert reason(url, allow_private=True) == why


def test_redirects_are_followed(serve: Serve) -> None:
    """Three redirects are followed, relative ones too."""
    url = serve(body(b"image"))
    for _ in range(3):
        url = serve(moved(url + "/next"))
    assert fetch_image(url, allow_private=True) == b"image"


def test_a_relative_redirect_stays_on_its_host(started: Callable[[Answer], Loopback]) -> None:
    """A target without a host is joined to the URL before it; a circle ends after three redirects."""
    server = started(moved("../b.png?x"))
    assert reason(server.url + "/dir/sub/a.png", allow_private=True) == "more than 3 redirects"
    paths = [line.split(b" ")[1] for line in server.asked]
    assert paths == [b"/dir/sub/a.png", b"/dir/b.png?x", b"/b.png?x", b"/b.png?x"]


@pytest.mark.parametrize(
    ("target", "why"),
    [("http://127.0.0.2:9/", "the host's address 127.0.0.2 is not a public one"),
     ("file:///etc/passwd", SCHEMES)],
)  # fmt: skip
def test_a_redirect_is_checked_like_the_first_url(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, target: str, why: str
) -> None:
    """A host that is allowed (127.0.0.1 plays a public one) cannot send the fetch where it may not go."""
    monkeypatch.setattr(fetching, "is_public", lambda address: str(address) == "127.0.0.1")
    assert reason(serve(moved(target))) == why


@pytest.mark.parametrize("status", [b"204 None", b"304 Same", b"404 Lost", b"500 Oops", b"302 Found"])
def test_other_answers_are_refused(serve: Serve, status: bytes) -> None:
    """Only a 200 has an image; a redirect without a target has none."""
    url = serve(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
    assert reason(url, allow_private=True) == f"the host answered {status[:3].decode()}"


def test_a_body_of_exactly_the_limit_is_fetched(serve: Serve) -> None:
    """The limit itself is allowed."""
    assert len(fetch_image(serve(body(b"x" * 1000)), limit=1000, allow_private=True)) == 1000


@pytest.mark.parametrize("head", [b"Content-Length: 1001\r\n\r\n", b"\r\n"])
def test_a_body_over_the_limit_is_refused(serve: Serve, head: bytes) -> None:
    """One byte more is refused, whether announced or not."""
    assert reason(serve(OK + head + b"x" * 1001), limit=1000, allow_private=True) == "larger than 1000 bytes"


def test_an_announced_length_over_the_limit_is_refused_at_once(serve: Serve) -> None:
    """Nothing of a body is awaited that is known to be too large."""
    url = serve(drip(OK + b"Content-Length: 1001\r\n\r\n"))
    assert reason(url, timeout=2, limit=1000, allow_private=True) == "larger than 1000 bytes"


def test_an_endless_body_is_refused_while_it_comes(serve: Serve) -> None:
    """A body without an end costs no more than the limit, long before the time is over."""

    def endless(connection: socket.socket) -> None:
        connection.sendall(OK + b"\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    before = time.monotonic()
    why = reason(serve(endless), timeout=60, limit=1_000_000, allow_private=True)
    assert why == "larger than 1000000 bytes"
    assert time.monotonic() - before < 10


def test_a_body_cut_short_is_refused(serve: Serve) -> None:
    """Half an image is not an image: the promised length counts."""
    why = reason(serve(OK + b"Content-Length: 10\r\n\r\nimage"), allow_private=True)
    assert why == "the body ended after 5 of 10 bytes"


def drip(start: bytes) -> Callable[[socket.socket], None]:
    """An answer that never stops sending a byte every few milliseconds: no single read times out."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return answer


def silent(connection: socket.socket) -> None:
    """Wait for the client to hang up."""
    while connection.recv(1):
        pass


@pytest.mark.parametrize("answer", [drip(b""), drip(OK + b"X-Long: "), drip(OK + b"\r\n"), silent])
def test_the_time_limit_covers_everything(serve: Serve, answer: Answer) -> None:
    """A status line, header or body that drips, and a server that says nothing, end at the deadline."""
    before = time.monotonic()
    assert reason(serve(answer), timeout=0.3, allow_private=True) == "it took too long"
    assert 0.3 <= time.monotonic() - before < 3


def test_a_tls_handshake_that_drips_ends_too(serve: Serve) -> None:
    """The deadline holds before any HTTP was spoken: a TLS record announced in full and sent byte by byte."""
    url = serve(drip(b"\x16\x03\x03\x3f\x00\x02\x00\x3e\xfc")).replace("http", "https")
    before = time.monotonic()
    assert reason(url, timeout=0.3, allow_private=True) == "it took too long"
    assert time.monotonic() - before < 3


def test_the_deadline_cuts_a_connection_that_tls_has_taken_over() -> None:
    """TLS moves the descriptor to a socket of its own; the cut must reach that one."""
    plain, server = socket.socketpair()
    with (
        server,
        fetching.cut_at(plain, time.monotonic() + 0.1),
        socket.socket(fileno=plain.detach()) as taken,
    ):
        taken.settimeout(3)
        assert taken.recv(1) == b""


def test_a_name_server_that_never_answers_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolving a name counts as well, though the resolver itself knows no limit."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(10) and [])
    before = time.monotonic()
    assert reason("http://slow.test/", timeout=0.2) == "it took too long"
    assert time.monotonic() - before < 3
    over.set()


def test_redirects_share_one_deadline(serve: Serve) -> None:
    """Each hop alone is in time, all together are not."""

    def slowly(connection: socket.socket) -> None:
        time.sleep(0.2)
        connection.sendall(moved("/again"))

    assert reason(serve(slowly), timeout=0.5, allow_private=True) == "it took too long"


@pytest.mark.parametrize("step", range(1, 8))
def test_no_connection_is_left_open_when_the_time_is_up(
    step: int, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever between two steps the deadline comes, the sockets of the fetch are closed."""
    remaining, asked, caller = fetching._remaining, count(1), threading.current_thread()
    made: list[socket.socket] = []

    def late(deadline: float) -> float:
        if next(asked) >= step:
            raise fetching._too_slow()
        return remaining(deadline)

    class Socket(socket.socket):
        def __init__(self, *words: Any, **more: Any) -> None:
            super().__init__(*words, **more)
            if threading.current_thread() is caller:
                made.append(self)

    url = serve(body(b"image"))
    monkeypatch.setattr(fetching, "_remaining", late)
    monkeypatch.setattr(fetching.socket, "socket", Socket)
    with suppress(FetchRefused):
        fetch_image(url, allow_private=True)
    monkeypatch.undo()
    assert [one for one in made if one.fileno() >= 0] == []


def test_connections_that_fail_are_told() -> None:
    """A closed port is a refusal in words, not an exception of the network."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    why = reason(f"http://127.0.0.1:{port}/", allow_private=True)
    assert why == "the connection failed: ConnectionRefusedError"


@pytest.mark.parametrize("reply", [b"", b"SSH-2.0-x\r\n", CHUNKED + b"zz\r\n"])
def test_answers_that_are_no_http_are_refused(serve: Serve, reply: bytes) -> None:
    """Hanging up, another protocol, chunks without a length."""
    assert reason(serve(reply), allow_private=True).startswith("the connection failed: ")


def test_tls_is_spoken_for_the_name_in_the_url(
    started: Callable[[Answer], Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to an address, yet the server is asked for its name; what is no TLS is refused."""
    server = started(b"HTTP/1.1 400 Plain HTTP\r\n\r\n")
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert "the connection failed: TLS: " in reason(f"https://named.test:{server.port}/", allow_private=True)
    assert server.asked[0][:1] == b"\x16"
    assert b"named.test" in server.asked[0]


def test_certificates_are_required() -> None:
    """A certificate must be trusted and must be for the host."""
    context = fetching._tls()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509_ca"] > 0
