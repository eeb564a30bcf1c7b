"""The ways out of this process, taken over: names, connections and TLS of all that goes through Python's sockets.

`join` adds a `Way` (hosts that lead to a mock) or a `Wall` (hosts that nobody may reach). The functions are taken over
with the first member and given back, the same objects, with the last; members may leave in any order. Where members
speak of the same host the ways come first, the youngest of them foremost.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import ssl
import sys
import threading
from asyncio import proactor_events, selector_events
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeVar

Address = tuple[str, int]
Owner = Any
PLAIN_PORT = 80
MISSING = object()


@dataclass(frozen=True, eq=False)
class Way:
    """Hosts that lead to a mock: connections to port 80 to `plain`, all others to `secure`, which `trust` trusts."""

    hosts: frozenset[str]
    plain: Address
    secure: Address
    trust: ssl.SSLContext

    def door(self, port: int) -> Address:
        """Where a connection to this port really goes."""
        return self.plain if port == PLAIN_PORT else self.secure


class Wall(Protocol):
    """Hosts that nobody may reach."""

    hosts: frozenset[str]

    def refuse(self, host: str) -> NoReturn:
        """Raise what the client is to see."""


Member = TypeVar("Member", bound=Way | Wall)


class Patches:
    """Attributes that were replaced. What an owner had only inherited is deleted again."""

    def __init__(self) -> None:
        self._kept: list[tuple[Owner, str, object]] = []

    def put(self, owner: Owner, name: str, value: object) -> None:
        """Replace one attribute."""
        self._kept.append((owner, name, vars(owner).get(name, MISSING)))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Put everything back."""
        for owner, name, before in reversed(self._kept):
            if before is MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._kept.clear()


_lock = threading.Lock()
_members: tuple[Way | Wall, ...] = ()
_patches = Patches()
_proxies: dict[str, str | None] = {}
_shown: dict[str, str] = {}
"""The address that each host is said to have: the same for ever, as clients remember them."""
_named: dict[str, str] = {}


@contextmanager
def join(member: Member) -> Iterator[Member]:
    """Let a way or a wall hold."""
    enter(member)
    try:
        yield member
    finally:
        leave(member)


def enter(member: Way | Wall) -> None:
    """Let a way or a wall hold until it leaves."""
    global _members
    with _lock:
        for host in sorted(member.hosts - _shown.keys()):
            number = len(_shown) + 1
            _shown[host] = f"127.77.{number >> 8}.{number & 255}"
            _named[_shown[host]] = host
        if not _members:
            _take_over(_patches)
        _members = (member, *_members)
        _spare_from_proxies(os.environ)


def leave(member: Way | Wall) -> None:
    """Let it hold no longer, or once less if it was entered more than once."""
    global _members
    with _lock:
        at = next((i for i, one in enumerate(_members) if one is member), len(_members))
        _members = _members[:at] + _members[at + 1 :]
        _spare_from_proxies(os.environ)
        if not _members:
            _patches.undo()


def spelled(host: object) -> str:
    """A host as specs write it; anyio has it in bytes, and a name may end in a dot."""
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("latin-1")
    return host.lower().removesuffix(".") if isinstance(host, str) else ""


def way_to(host: object) -> Way | None:
    """The way on which a host, or the address that it is said to have, lies."""
    name = _meant(host)
    return next((one for one in _members if isinstance(one, Way) and name in one.hosts), None)


def forbid(host: object) -> None:
    """Raise what the wall before a host raises, if there is one and no way leads there."""
    name = _meant(host)
    for one in _members:
        if not isinstance(one, Way) and name in one.hosts and not way_to(name):
            one.refuse(name)


def _meant(host: object) -> str:
    """The host that is meant by its name, or by an address that somebody remembers from an interception."""
    name = spelled(host)
    return _named.get(name, name)


def _address_of(host: Any) -> Any:
    """What a host is to be resolved as."""
    if way_to(host):
        return _shown.get(spelled(host), host)
    forbid(host)
    return host


def _led(address: Any) -> Any:
    """Where a connection to an address really goes."""
    if not isinstance(address, tuple) or len(address) < 2:
        return address
    way = way_to(address[0])
    if way is None:
        forbid(address[0])
        return address
    return way.door(address[1])


def _take_over(patches: Patches) -> None:
    for name in ("getaddrinfo", "gethostbyname"):
        patches.put(socket, name, _resolving(getattr(socket, name)))
    for name in ("connect", "connect_ex"):
        patches.put(socket.socket, name, _connecting(getattr(socket.socket, name)))
    # Windows' loops connect without the socket's own method.
    for loop in (selector_events.BaseSelectorEventLoop, proactor_events.BaseProactorEventLoop):
        patches.put(loop, "sock_connect", _connecting_in_loop(loop.sock_connect))
    patches.put(ssl.SSLContext, "wrap_socket", _wrapping(ssl.SSLContext.wrap_socket))
    patches.put(ssl.SSLContext, "wrap_bio", _wrapping(ssl.SSLContext.wrap_bio))
    if "uvloop" in sys.modules:
        _take_over_uvloop(patches, sys.modules["uvloop"].Loop)


def _take_over_uvloop(patches: Patches, loop: Any) -> None:
    """The loop that has resolving and connecting of its own."""
    resolve, connect = loop.getaddrinfo, loop.create_connection

    async def getaddrinfo(self: Any, host: Any, port: Any, **words: Any) -> Any:
        return await resolve(self, _address_of(host), port, **words)

    async def create_connection(self: Any, make: Any, host: Any = None, port: Any = None, **words: Any) -> Any:
        if words.get("ssl") and host:
            words.setdefault("server_hostname", host)
        return await connect(self, make, *_led((host, port)), **words)

    patches.put(loop, "getaddrinfo", getaddrinfo)
    patches.put(loop, "create_connection", create_connection)


def _resolving(real: Any) -> Any:
    def resolve(host: Any, *args: Any, **words: Any) -> Any:
        return real(_address_of(host), *args, **words)

    return resolve


def _connecting(real: Any) -> Any:
    def connect(self: socket.socket, address: Any, /) -> Any:
        return real(self, _led(address))

    return connect


def _connecting_in_loop(real: Any) -> Any:
    async def sock_connect(self: asyncio.AbstractEventLoop, sock: socket.socket, address: Any) -> Any:
        return await real(self, sock, _led(address))

    return sock_connect


def _wrapping(real: Any) -> Any:
    """TLS towards a host on a way is made by a context of ours: the client's own never learns of our authority.

    It trusts nothing else, so that whoever reached the real host by a way round fails before the first request.
    """

    signature = inspect.signature(real)

    def wrap(self: ssl.SSLContext, *args: Any, **words: Any) -> Any:
        given = signature.bind(self, *args, **words).arguments
        host = given.get("server_hostname")
        way = None if given.get("server_side") else way_to(host)
        if way is None:
            forbid(host)
            return real(self, *args, **words)
        return real(**{**given, "self": way.trust, "session": None})

    return wrap


def _spare_from_proxies(environ: MutableMapping[str, str]) -> None:
    """Name the ways' hosts in `no_proxy`: a proxy would look for them in the world."""
    hosts = sorted({host for one in _members if isinstance(one, Way) for host in one.hosts})
    if hosts and not _proxies:
        _proxies.update({name: environ.get(name) for name in ("no_proxy", "NO_PROXY")})
    if hosts:
        before = _proxies["no_proxy"] or _proxies["NO_PROXY"]
        environ["no_proxy"] = environ["NO_PROXY"] = ",".join([before, *hosts] if before else hosts)
        return
    for name, value in _proxies.items():
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = value
    _proxies.clear()
