"""One POST to a receiver: no redirects, no proxies, an end at the deadline, and only to where it is permitted.

The connection itself is made here, whatever a URL may look like to somebody's parser: names of this machine are not
asked of any name server, and every other host must be one that the user has named.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from http.client import HTTPException
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from kling_mock.server.fetching import FetchRefused, cut_at
from kling_mock.server.targets import loopback, not_permitted, permitted

MOST_READ = 64 * 1024
AGENT = "kling-mock"

Connect = Callable[[str, int], socket.socket]


class TargetRefused(Exception):
    """Nothing was sent: the host is none that webhooks may go to."""


class Undelivered(Exception):
    """No status came back; the text says why."""


def post(
    method: str, url: str, body: bytes, headers: Mapping[str, str], seconds: float, allowed: Collection[str]
) -> int:
    """Send one webhook; gives the receiver's status. Raises `TargetRefused` and `Undelivered`, and nothing else."""
    deadline = time.monotonic() + seconds
    try:
        return _post(method, url, body, headers, deadline, allowed)
    except TargetRefused:
        raise
    # requests' own are OSErrors; an AttributeError is urllib3's, whose socket was cut under its hands.
    except (OSError, ValueError, AttributeError, HTTPException, HTTPError, FetchRefused) as problem:
        late = time.monotonic() >= deadline
        raise Undelivered(f"no answer within {seconds:g} s" if late else _named(problem)) from problem


def _post(
    method: str, url: str, body: bytes, headers: Mapping[str, str], deadline: float, allowed: Collection[str]
) -> int:
    with ExitStack() as stack, requests.Session() as session:

        def connect(host: str, port: int) -> socket.socket:
            connection = _connected(host, port, deadline, allowed)
            stack.enter_context(cut_at(connection, deadline))
            return connection

        session.trust_env = False
        session.headers.clear()
        session.mount("http://", _Adapter(connect))
        session.mount("https://", _Adapter(connect))
        sent = {"User-Agent": AGENT, "Accept": "*/*", "Connection": "close", **headers}
        left = _left(deadline)
        with session.request(
            method, url, data=body, headers=sent, timeout=left, allow_redirects=False, stream=True
        ) as response:
            # What the receiver writes is of no interest, but its writing should not fail.
            with suppress(OSError, HTTPException, HTTPError):
                response.raw.read(MOST_READ)
            return response.status_code


def _connected(host: str, port: int, deadline: float, allowed: Collection[str]) -> socket.socket:
    """A connection to a host that is permitted."""
    if not permitted(host, allowed):
        raise TargetRefused(not_permitted(host))
    problem = OSError("the host has no address")
    for address in loopback(host) or (host,):
        try:
            connection = socket.create_connection((address, port), _left(deadline))
        except OSError as failed:
            problem = failed
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    raise problem


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


class _Adapter(HTTPAdapter):
    """requests' transport, but for who makes the connection."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **words: Any) -> None:
        """Make the pools whose connections are ours."""
        super().init_poolmanager(*args, **words)
        self.poolmanager.pool_classes_by_scheme = _pools(self._connect)


def _pools(connect: Connect) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connect(self.host, self.port or 80)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return connect(self.host, self.port or 443)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _named(problem: BaseException) -> str:
    """What went wrong at the bottom of it, in the system's words."""
    while (below := problem.__cause__ or problem.__context__) is not None:
        problem = below
    if isinstance(problem, ssl.SSLError):
        return f"TLS: {problem.reason}"
    return getattr(problem, "strerror", None) or type(problem).__name__
