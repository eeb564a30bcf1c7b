"""Servers that are not the mock: it behind a proxy that hides its control API, and changes what goes through."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock, Options
from kling_mock.server.serving import Running

HOPS = {"content-length", "transfer-encoding", "connection", "x-mock-violations"}


class Passed(NamedTuple):
    """A reply on its way back; a `content_type` takes the place of the one that it has."""

    method: str
    path: str
    status: int
    body: bytes
    content_type: str = ""


Change = Callable[[Passed], Passed | None]
"""What becomes of a reply; None: the connection is closed instead."""


class Proxy:
    """What a client of the proxy sees: its address, the requests that came, and the mock behind it."""

    def __init__(self, mock: Mock, behind: str, change: Change) -> None:
        self.mock, self.asked = mock, list[tuple[str, str]]()
        there = urlsplit(behind)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                proxy.asked.append((self.command, self.path))
                if self.path.startswith("/_mock"):
                    self._say(404, {}, b"")
                    return
                line = http.client.HTTPConnection(there.netloc)
                line.request(self.command, self.path, body, dict(self.headers.items()))
                reply = line.getresponse()
                passed = change(Passed(self.command, self.path, reply.status, reply.read()))
                kept = {name: value for name, value in reply.getheaders() if name.lower() not in HOPS}
                line.close()
                if passed is None:
                    self.close_connection = True
                    return
                if passed.content_type:
                    kept = {name: value for name, value in kept.items() if name.lower() != "content-type"}
                    kept["Content-Type"] = passed.content_type
                self._say(passed.status, kept, passed.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _pass

            def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


@contextmanager
def billing(provider: Provider, change: Change = lambda passed: passed) -> Iterator[Proxy]:
    """A target that cannot be told from one that bills: no control API, a clock that nobody moves."""
    mock = Mock([provider], Options(seed="tests", latency="instant"))
    with Running(mock) as running, Proxy(mock, running.url, change).running() as proxy:
        yield proxy
