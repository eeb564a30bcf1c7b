"""A receiver of webhooks: it takes what is sent to it, and says so."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from msgspec import Struct


class Got(Struct, frozen=True):
    """One request that came: its number, from 0, when (by the performance counter), and what it was.

    Header names are in lower case.
    """

    ordinal: int
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

    def __init__(
        self, status: Callable[[int], int] = lambda number: 200, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.got = list[Got]()
        self._status, self._came = status, threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """Hands every request to the receiver."""

            def do_POST(self) -> None:
                """Take it."""
                receiver.take(self)

            do_GET = do_PUT = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            """Has room for many senders at once."""

            request_queue_size = 1024
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing of a sender that has gone."""

        self._server = Server((host, port), Handler)
        self.port = self._server.server_port
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/webhook"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="kling-mock receiver", daemon=True
        )

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Keep a request that came whole, and answer it; one whose sender has gone in the middle has not come."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        length = int(headers.get("content-length", 0))
        body = handler.rfile.read(length)
        if len(body) < length:
            return
        with self._came:
            got = Got(len(self.got), time.perf_counter(), handler.command, handler.path, headers, body)
            self.got.append(got)
            self._came.notify_all()
        self.reply(handler, got)

    def reply(self, handler: BaseHTTPRequestHandler, got: Got) -> None:
        """Answer a request."""
        handler.send_response(self._status(got.ordinal))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def came(self, count: int, seconds: float) -> bool:
        """Whether so many requests have come, as soon as they have, within some seconds."""
        with self._came:
            return self._came.wait_for(lambda: len(self.got) >= count, seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
