"""Running the lane under uvicorn: in the foreground for `kling-mock serve`, in a thread for tests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from types import FrameType

import uvicorn

from kling_mock.server.app import create_app
from kling_mock.server.lane import Lane, Protocol
from kling_mock.server.mock import Mock

KEEP_ALIVE_SECONDS = 75
SHUTDOWN_SECONDS = 3


class Server(uvicorn.Server):
    """A uvicorn server that says when it answers, and whose process may end with 0 after a signal."""

    def __init__(self, config: uvicorn.Config, lane: Lane, mock: Mock, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._lane, self._mock, self._ready = lane, mock, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._mock.addresses.listening = next(map(address, sockets or ()), None)
            self._mock.deliverer.start()
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what runs come to its end, then end the threads of the lane and of the deliverer."""
        await super().shutdown(sockets)
        await asyncio.to_thread(self._mock.deliverer.stop)
        self._lane.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in order at SIGINT and SIGTERM; uvicorn would raise the signal once more afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `OSError` when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it on, each reply waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def address(listener: socket.socket) -> str:
    """The address by which this machine reaches a listening socket."""
    host, port = listener.getsockname()[:2]
    everywhere = ip_address(host).is_unspecified
    if ":" in host:
        return f"http://[{'::1' if everywhere else host}]:{port}"
    return f"http://{'127.0.0.1' if everywhere else host}:{port}"


def server(mock: Mock, allowed_hosts: Iterable[str], ready: Callable[[], None]) -> Server:
    """A server for `mock`, not yet running."""
    lane = Lane(mock, create_app(mock, allowed_hosts))
    config = uvicorn.Config(
        lane,
        http=Protocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,  # the same calls give the same bytes
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        backlog=2048,
    )
    return Server(config, lane, mock, ready)


def serve(mock: Mock, listener: socket.socket, allowed_hosts: Iterable[str], ready: Callable[[], None]) -> None:
    """Serve until a signal comes."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    server(mock, allowed_hosts, ready).run(sockets=[listener])


class Running:
    """The same server in a thread, on a free port: `with Running(mock) as running: running.url`."""

    def __init__(self, mock: Mock, host: str = "127.0.0.1", port: int = 0) -> None:
        self.mock = mock
        self._listener = listen(host, port)
        self.port: int = self._listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"
        self._started = threading.Event()
        self._server = server(mock, (host,), self._started.set)
        self._thread = threading.Thread(target=self._run, name="kling-mock", daemon=True)

    @property
    def server(self) -> Server:
        """The server itself, for who would have it listen elsewhere too."""
        return self._server

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._server.serve(sockets=[self._listener]))

    def __enter__(self) -> Running:
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the server did not start within 10 s")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()
