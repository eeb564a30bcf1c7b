"""Fetches an image by its URL, only when the user asked for it (``--fetch-images``).

The mock runs inside people's networks and the URLs come from whatever calls it, so a fetch must not become
a way to reach what only this machine can reach. The host's name is resolved once, every address is checked,
and the connection goes to a checked address: asking the name server again would let it give another answer.
That is why the standard library's client is used with our own socket, and why proxies from the environment
are not.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from queue import Empty, SimpleQueue
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

REDIRECTS = 3
"""How many redirects are followed; each hop is checked like the first."""

Address = IPv4Address | IPv6Address

_CHUNK = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_SENT_AS_IS = "/%:@!$&'()*+,;=~?[]"  # people leave blanks and umlauts in URLs; a signature must stay as it is
_NAT64 = IPv6Network("64:ff9b::/96")


class FetchRefused(Exception):
    """The image was not fetched; ``reason`` says why in words for the user, without a final full stop."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Endpoint(NamedTuple):
    family: int
    address: tuple[str | int | bytes, ...]
    """As the resolver gave it: host in digits, port, and for IPv6 flow and scope."""


def fetch_image(url: str, *, timeout: float = 5.0, limit: int = 20 * 1024 * 1024, allow_private: bool = False) -> bytes:
    """The body behind an http or https ``url``, of at most ``limit`` bytes, whatever its content type.

    ``timeout`` is in seconds and covers everything: names, redirects, the last byte. Addresses that are not
    public are refused unless ``allow_private``. Raises FetchRefused for every failure, and nothing else.
    """
    deadline = time.monotonic() + timeout
    for _ in range(REDIRECTS + 1):
        answer = _explained(url, deadline, limit, allow_private)
        if isinstance(answer, bytes):
            return answer
        url = answer
    raise FetchRefused(f"more than {REDIRECTS} redirects")


def is_public(address: Address) -> bool:
    """Whether the address is on the public internet; an IPv6 one that carries an IPv4 one is judged by it."""
    inner = _carried(address) if isinstance(address, IPv6Address) else None
    if inner is not None:
        return is_public(inner)
    local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not address.is_multicast and not local


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside a mapped, 6to4 or NAT64 one."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _explained(url: str, deadline: float, limit: int, allow_private: bool) -> bytes | str:
    """One hop, with whatever went wrong told as a FetchRefused."""
    try:
        return _hop(url, deadline, limit, allow_private)
    except FetchRefused:
        raise
    except (OSError, HTTPException, ValueError) as problem:  # ValueError: a URL that no request line can hold
        _remaining(deadline)  # a connection cut at the deadline fails in many ways, for one reason
        raise FetchRefused(f"the connection failed: {_named(problem)}") from problem


def _named(problem: Exception) -> str:
    """What kind of failure; for TLS in OpenSSL's words, such as CERTIFICATE_VERIFY_FAILED."""
    reason = problem.reason if isinstance(problem, ssl.SSLError) else None
    return f"TLS: {reason}" if reason else type(problem).__name__


def _hop(url: str, deadline: float, limit: int, allow_private: bool) -> bytes | str:
    """The body, or the absolute URL to go on with."""
    parts = _checked_url(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    endpoints = _resolved(host, port, deadline)
    if not allow_private:
        _refuse_private(endpoints)
    with _connected(endpoints, deadline) as plain, cut_at(plain, deadline):
        channel = _secured(plain, host) if parts.scheme == "https" else plain
        with closing(channel), closing(_ask(channel, parts)) as response:
            target = _redirect(response)
            return urljoin(url, target) if target else _body(response, deadline, limit)


def _checked_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # its text repeats what stands in the place of the host or the port: it may be a password
        raise FetchRefused("not a URL: its host or its port cannot be read") from None
    if parts.scheme not in _PORTS:
        raise FetchRefused("only http and https URLs are fetched")
    if not host:
        raise FetchRefused("the URL names no host")
    if "@" in parts.netloc:
        raise FetchRefused("a URL with a user name or password is not fetched")
    return parts


def _resolved(host: str, port: int, deadline: float) -> list[_Endpoint]:
    """All addresses of the host, asked once; in a thread, since the resolver knows no time limit."""
    answers: SimpleQueue[list[_Endpoint] | Exception] = SimpleQueue()
    threading.Thread(target=_resolve, args=(host, port, answers), daemon=True).start()
    try:
        answer = answers.get(timeout=_remaining(deadline))
    except Empty:
        raise _too_slow() from None
    if isinstance(answer, Exception):
        raise FetchRefused(f"the host {host[:80]!r} cannot be resolved") from answer
    return answer


def _resolve(host: str, port: int, answers: SimpleQueue[list[_Endpoint] | Exception]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        answers.put([_Endpoint(family, address) for family, _, _, _, address in found])
    except (OSError, ValueError) as problem:  # ValueError: names that IDNA cannot encode
        answers.put(problem)


def _refuse_private(endpoints: list[_Endpoint]) -> None:
    for endpoint in endpoints:
        address = str(endpoint.address[0])
        if not is_public(ip_address(address)):
            raise FetchRefused(f"the host's address {address} is not a public one")


def _connected(endpoints: list[_Endpoint], deadline: float) -> socket.socket:
    """A connection to the first endpoint that accepts one; each gets its share of the time that is left."""
    problem = OSError("the host has no address")
    for position, endpoint in enumerate(endpoints):
        plain = socket.socket(endpoint.family, socket.SOCK_STREAM)
        try:
            plain.settimeout(_remaining(deadline) / (len(endpoints) - position))
            plain.connect(endpoint.address)
            plain.settimeout(_remaining(deadline))
            return plain
        except OSError as failed:
            plain.close()
            problem = failed
        except FetchRefused:  # the time was up between two steps
            plain.close()
            raise
    raise problem


@contextmanager
def cut_at(plain: socket.socket, deadline: float) -> Iterator[None]:
    """Cut the connection at the deadline: a server that drips bytes never meets a read timeout."""
    left = _remaining(deadline)
    twin = plain.dup()  # TLS takes over the descriptor of `plain`; a duplicate still reaches the connection
    timer = threading.Timer(left, _cut, (twin,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        twin.close()


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # it may have ended on its own
        connection.shutdown(socket.SHUT_RDWR)


def _secured(plain: socket.socket, host: str) -> ssl.SSLSocket:
    """TLS with the certificate checked against the URL's host, although the connection went to an address."""
    return _tls().wrap_socket(plain, server_hostname=host)


def _tls() -> ssl.SSLContext:
    import certifi  # slim containers have no certificates of their own

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _ask(channel: socket.socket, parts: SplitResult) -> HTTPResponse:
    """Send the GET over a connection that stands; http.client itself asks for no compression."""
    connection = HTTPConnection(parts.hostname or "", parts.port or _PORTS[parts.scheme])
    connection.default_port = _PORTS[parts.scheme]  # the Host header names the port only where it is another
    connection.sock = channel
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    connection.request("GET", quote(target, safe=_SENT_AS_IS), headers={"User-Agent": "kling-mock"})
    return connection.getresponse()


def _redirect(response: HTTPResponse) -> str | None:
    """The Location to go on with, None for a 200; anything else is refused."""
    target = response.getheader("Location") if response.status in (301, 302, 303, 307, 308) else None
    if target is None and response.status != 200:
        raise FetchRefused(f"the host answered {response.status}")
    return target


def _body(response: HTTPResponse, deadline: float, limit: int) -> bytes:
    promised = response.length
    if promised is not None and promised > limit:
        raise FetchRefused(f"larger than {limit} bytes")
    body = bytearray()
    while chunk := response.read1(_CHUNK):
        body += chunk
        if len(body) > limit:
            raise FetchRefused(f"larger than {limit} bytes")
    _remaining(deadline)  # being cut at the deadline looks like the end of the body
    if promised is not None and len(body) < promised:
        raise FetchRefused(f"the body ended after {len(body)} of {promised} bytes")
    return bytes(body)


def _remaining(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _too_slow()
    return left


def _too_slow() -> FetchRefused:
    return FetchRefused("it took too long")
