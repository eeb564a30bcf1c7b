"""A running server as its clients see it: by HTTP, and byte by byte."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests

from kling_mock.core.model import NOW
from kling_mock.server.mock import Mock
from kling_mock.server.serving import Running
from tests.conftest import Answer, Client

PATH = "/v1/videos/image2video"
BODY = b'{"image": "https://example.com/a.png", "prompt": "a lighthouse"}'
JSON = {"content-type": "application/json"}


@dataclass
class Remote(Client):
    """A client of a running server: what `Client` does in process, by HTTP."""

    url: str = ""
    session: requests.Session | None = None

    def send(
        self,
        method: str,
        path: str,
        json: Any = None,
        headers: Mapping[str, str | None] | None = None,
        query: Mapping[str, Any] | str = "",
        body: bytes | None = None,
    ) -> Answer:
        """Send one request; the Host header is the server's own unless `self.headers` has another."""
        asked = query if isinstance(query, str) else urlencode(query)
        given = {name: value for name, value in (headers or {}).items() if name not in ("host", "content-length")}
        sent = self.sent(method, path, {**given, **self.headers})
        url = f"{self.url}{path}{'?' * bool(asked)}{asked}"
        request = self.session.request if self.session else requests.request
        got = request(method, url, headers=sent, data=body, json=json, timeout=20)
        return Answer(got.status_code, {k.lower(): v for k, v in got.headers.items()}, got.content, NOW)


def shown(mock: Mock, path: str = PATH, provider: str = "kling", **headers: str) -> dict[str, str]:
    """The header with the default account's credential for a create, and others."""
    return Client(mock, mock.providers[provider]).sent("POST", path, headers)


def head(server: Running, *lines: str, method: str = "POST", path: str = PATH) -> bytes:
    """The head of a request with its credential and more lines."""
    fields = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(server.url).netloc}"]
    fields += [f"{name}: {value}" for name, value in shown(server.mock, **JSON).items()]
    return "\r\n".join([*fields, *lines, "", ""]).encode()


def whole(server: Running, *lines: str) -> bytes:
    """A create as bytes."""
    return head(server, f"Content-Length: {len(BODY)}", *lines) + BODY


@contextmanager
def connected(server: Running) -> Iterator[socket.socket]:
    """A plain connection to the server."""
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)) as connection:
        yield connection


def read_to_end(connection: socket.socket) -> tuple[bytes, bool]:
    """All that comes until the server ends the connection, and whether that was a reset.

    Fails when it does not end within the socket's timeout.
    """
    received = b""
    while True:
        try:
            chunk = connection.recv(65536)
        except ConnectionResetError:
            return received, True
        except TimeoutError:
            raise AssertionError(f"the server keeps the connection open after {received!r}") from None
        if not chunk:
            return received, False
        received += chunk
