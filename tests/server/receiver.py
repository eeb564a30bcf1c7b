"""A receiver of webhooks: a real HTTP server that writes down what comes and answers as it is told."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HELD = 30.0
"""Seconds: longer than any sender waits for an answer."""


@dataclass(frozen=True)
class Got:
    """One request as it came in; header names are lower case. `ordinal` counts from 0."""

    ordinal: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Says:
    """What a receiver does: its status after so many seconds, or (None) a reset."""

    status: int | None = 200
    after: float = 0
    location: str | None = None
    drips: bool = False


class Receiver:
    """`with Receiver() as receiver: receiver.url`; `answer` decides by the request, `says` is for all."""

    def __init__(self, says: Says | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.says, self.got = says or Says(), list[Got]()
        self.answer: Callable[[Got], Says] = lambda got: self.says
        self._came = threading.Condition()
        self._over = threading.Event()
        self.at_once = self.most_at_once = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._take(self)

            do_GET = do_PUT = do_POST

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 1024
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server((host, port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/hook"

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        length = int(headers.get("content-length", 0))
        body = handler.rfile.read(length)
        if len(body) < length:
            return  # the sender was killed in the middle of it: nothing has come
        with self._came:
            got = Got(len(self.got), handler.command, handler.path, headers, body)
            self.got.append(got)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self._came.notify_all()
        try:
            self._say(handler, self.answer(got))
        finally:
            with self._came:
                self.at_once -= 1

    def _say(self, handler: BaseHTTPRequestHandler, says: Says) -> None:
        handler.close_connection = True
        self._over.wait(says.after)
        if says.status is None:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        elif says.drips:
            while not self._over.wait(0.05):
                handler.wfile.write(b"H" if not self._over.is_set() else b"")
        else:
            handler.send_response(says.status)
            if says.location:
                handler.send_header("Location", says.location)
            handler.send_header("Content-Length", "2")
            handler.end_headers()
            handler.wfile.write(b"ok")

    def wait(self, count: int, seconds: float = 20) -> list[Got]:
        """The requests, as soon as there are so many of them."""
        with self._came:
            enough = self._came.wait_for(lambda: len(self.got) >= count, seconds)
        assert enough, f"{len(self.got)} of {count} webhooks came within {seconds} s"
        return list(self.got)

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


def main(port: str, file: str, most: str = "1000000") -> None:
    """A receiver as a process of its own: it writes each body to a file, and only then answers.

    What comes after `most` of them is answered so late that there is time to kill it.
    """
    with Receiver(port=int(port)) as receiver, Path(file).open("ab", buffering=0) as log:

        def answer(got: Got) -> Says:
            log.write(got.body + b"\n")
            return Says(after=HELD if got.ordinal >= int(most) else 0)

        receiver.answer = answer
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
