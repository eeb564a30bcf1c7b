"""A receiver of webhooks: it takes what is sent to it, and says so."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from msgspec import Struct


class Got(Struct, frozen=True):
    """One request that came: when (by the performance counter), its headers in lower case, and its body."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The decoded JSON body; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Receiver:
    """An HTTP server on a free port of this machine; `status` says what it answers to the nth request, from 0."""

    def __init__(self, status: Callable[[int], int] = lambda number: 200) -> None:
        got = self.got = list[Got]()

        class Handler(BaseHTTPRequestHandler):
            """Reads a request to its end and keeps it."""

            def do_POST(self) -> None:
                """Take it."""
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if len(body) < int(self.headers.get("content-length", 0)):
                    return
                got.append(
                    Got(
                        time.perf_counter(),
                        self.command,
                        self.path,
                        {k.lower(): v for k, v in self.headers.items()},
                        body,
                    )
                )
                self.send_response(status(len(got) - 1))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhook"
        self._thread = threading.Thread(target=self._server.serve_forever, name="kling-mock receiver", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
