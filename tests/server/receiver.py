"""A receiver of webhooks that answers as it is told: late, in drips, elsewhere, or not at all."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from kling_mock.contract import receiver
from kling_mock.contract.receiver import Got

HELD = 30.0
"""Seconds: longer than any sender waits for an answer."""


@dataclass(frozen=True)
class Says:
    """What a receiver does: its status after so many seconds, or (None) a reset."""

    status: int | None = 200
    after: float = 0
    location: str | None = None
    drips: bool = False


class Receiver(receiver.Receiver):
    """`with Receiver() as receiver: receiver.url`; `answer` decides by the request, `says` is for all."""

    def __init__(self, says: Says | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host=host, port=port)
        self.says = says or Says()
        self.answer: Callable[[Got], Says] = lambda got: self.says
        self._over = threading.Event()
        self.at_once = self.most_at_once = self._heard = 0

    def reply(self, handler: BaseHTTPRequestHandler, got: Got) -> None:
        """Answer as the request's `answer` says."""
        with self._came:
            self._heard += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self._came.notify_all()
        try:
            says = self.answer(got)
            self._over.wait(says.after)
        finally:
            # Not after the answer: who has it may send the next one before this thread goes on.
            with self._came:
                self.at_once -= 1
        self._say(handler, says)

    def _say(self, handler: BaseHTTPRequestHandler, says: Says) -> None:
        handler.close_connection = True
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
            enough = self._came.wait_for(lambda: self._heard >= count, seconds)
        assert enough, f"{self._heard} of {count} webhooks came within {seconds} s"
        return list(self.got)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        super().__exit__()


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
