"""The lane: an ASGI application that takes requests to the mock on the event loop and performs each reply's delivery.

Only what is slow leaves the loop: bodies of more than `HEAVY` bytes and the measuring of images go to threads. The
control API and media are Flask's, mounted behind. Connections are dropped by the transport, which `Protocol` hands on.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

from a2wsgi import WSGIMiddleware
from flask import Flask
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kling_mock.core.hiding import hidden
from kling_mock.core.judging import Facts
from kling_mock.core.model import Reply, Request, Wire
from kling_mock.server.app import SPOILT, is_control
from kling_mock.server.mock import Mock, wire

log = logging.getLogger("kling_mock")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HEAVY = 64 * 1024
HEADER_BYTES = 64 * 1024
HEADER_SECONDS = 20.0
BODY_SECONDS = 30.0
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
REQUEST_LINE = re.compile(rb"([!-~]{1,100}) +([^ \r\n]+) +HTTP/[0-9.]+\r?\n")
HOST = re.compile(rb"\nhost *: *([!-~]*)", re.IGNORECASE)
UPGRADE = re.compile(rb"\r\n(upgrade|http2-settings) *:", re.IGNORECASE)
MEASURED_AT_ONCE = 2
PARTS = 20
TRANSPORT = "kling_mock.transport"


class Gone(Exception):
    """The client went away, or was too slow, before its request was complete."""


class Lane:
    """The ASGI application of one mock."""

    def __init__(self, mock: Mock, app: Flask) -> None:
        self._mock = mock
        self._flask = WSGIMiddleware(_terminated(app), workers=16)
        self._measuring = asyncio.Semaphore(MEASURED_AT_ONCE)

    def close(self) -> None:
        """End the threads of the application behind the lane."""
        self._flask.executor.shutdown(wait=False)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        try:
            if is_control(scope["path"]):
                # Read here, so that a slow sender holds a task of the loop and not a thread of the application.
                # The endpoint says itself how much is too much; here as much is read as of any request.
                body, _ = await self._body(scope, receive, self._mock.options.max_body)
                spoilt = await self._spoilt(scope["method"], scope["path"])
                if spoilt is None:
                    await self._flask(scope, _replayed(body, receive), send)  # type: ignore[arg-type]
                else:
                    await self._deliver(await self._file(spoilt, scope, receive), scope, receive, send)
            else:
                request = await self._request(scope, receive)
                await self._deliver(await self._answer(request), scope, receive, send)
        except Gone:
            abort(scope)
            await _end(receive)
        except asyncio.CancelledError:
            # The server stops: who waits for an answer that never comes must not be given one.
            abort(scope)
            await _end(receive)

    def garbled(self, request: Request) -> bytes:
        """All bytes of the answer to what is no HTTP request, of which `request` is what could be read."""
        try:
            wire = self._mock.garbled(request)
        except Exception:
            log.exception("the mock failed at bytes that are no request")
            wire = self._mock.failure(request)
        lines = [f"HTTP/1.1 {wire.status} {_phrase(wire.status)}", *(f"{k}: {v}" for k, v in wire.headers.items())]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + wire.body

    async def _request(self, scope: Any, receive: Receive) -> Request:
        body, oversized = await self._body(scope, receive, self._mock.options.max_body)
        return Request(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=b"" if oversized else body,
            scheme=scope["scheme"],
            oversized=oversized,
        )

    async def _body(self, scope: Any, receive: Receive, limit: int) -> tuple[bytes, bool]:
        """The body, at most `limit` bytes of it; the rest is read and forgotten: the client is to hear the answer."""
        if not any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"]):
            return b"", False
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    message = await receive()
            except TimeoutError:
                raise Gone from None
            if message["type"] == "http.disconnect":
                raise Gone
            chunk = message.get("body", b"")
            if size < limit:
                chunks.append(chunk)
            size += len(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks), size > limit

    async def _answer(self, request: Request) -> Wire:
        try:
            if self._mock.store.waits or len(request.body) > HEAVY:
                prepared = await asyncio.to_thread(self._mock.prepare, request)
            else:
                prepared = self._mock.prepare(request)
            facts: Facts = {}
            if prepared.images:
                async with self._measuring:
                    facts = await asyncio.to_thread(self._mock.measure, prepared)
            if self._mock.store.waits or (prepared.images and len(request.body) > HEAVY):
                return await asyncio.to_thread(self._mock.finish, prepared, facts)
            return self._mock.finish(prepared, facts)
        except Exception as error:
            log.exception("the mock failed at %s %s", request.method, hidden(request.path)[:200])
            return self._mock.failure(request, error)

    async def _spoilt(self, method: str, path: str) -> Reply | None:
        if self._mock.store.waits:
            return await asyncio.to_thread(self._mock.download, method, path)
        return self._mock.download(method, path)

    async def _file(self, spoilt: Reply, scope: Any, receive: Receive) -> Wire:
        """A file that a scenario spoils on its way: what is sent in its place, or itself under another delivery."""
        if spoilt.raw is not None:
            return wire(spoilt)
        taken: list[Message] = []

        async def take(message: Message) -> None:
            taken.append(message)

        await self._flask(scope, _replayed(b"", receive), take)  # type: ignore[arg-type]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in taken[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in taken[1:])
        return Wire(
            taken[0]["status"],
            headers | {name.lower(): value for name, value in spoilt.headers.items()},
            body,
            spoilt.delivery,
        )

    async def _deliver(self, wire: Wire, scope: Any, receive: Receive, send: Send) -> None:
        if not await self._sent(wire, scope, receive, send) and wire.tells:
            self._mock.store.lose(*wire.tells)

    async def _sent(self, wire: Wire, scope: Any, receive: Receive, send: Send) -> bool:
        """Perform the delivery. False if the client went away before it was over.

        A loss that a scenario plans is written down already. What the kernel has taken over and never delivers is not
        seen from here.
        """
        delivery = wire.delivery
        if delivery.after_ms and not await _stays(delivery.after_ms / 1000, receive):
            return False
        if delivery.never:
            await _end(receive)
            return True
        if delivery.cut_at == 0:
            abort(scope)
            await _end(receive)
            return True
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in wire.headers.items()]
        body = b"" if scope["method"] == "HEAD" else wire.body
        await send({"type": "http.response.start", "status": wire.status, "headers": headers})
        body = body if delivery.cut_at is None else body[: delivery.cut_at]
        if delivery.over_ms:
            body = await _trickle(body, delivery.over_ms / 1000, send)
        if delivery.cut_at is None:
            # Asked before the last part: after it the server may close the connection itself.
            there = not _gone(scope)
            await send({"type": "http.response.body", "body": body})
            return there
        await send({"type": "http.response.body", "body": body, "more_body": True})
        # Closed and not reset: what was sent must be there to be read, and only then the early end.
        scope["extensions"][TRANSPORT].close()
        await _end(receive)
        return True


async def _stays(seconds: float, receive: Receive) -> bool:
    """Whether the client is still there after some seconds."""
    try:
        async with asyncio.timeout(seconds):
            await _end(receive)
    except TimeoutError:
        return True
    return False


async def _trickle(body: bytes, seconds: float, send: Send) -> bytes:
    """Send a body in small parts, spread over some seconds; gives the last one, which is then due."""
    step = max(1, len(body) // PARTS)
    parts = [body[at : at + step] for at in range(0, len(body), step)] or [b""]
    for part in parts[:-1]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(seconds / len(parts))
    await asyncio.sleep(seconds / len(parts))
    return parts[-1]


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that is here already, then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


async def _end(receive: Receive) -> None:
    """Wait until the connection is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _terminated(app: Flask) -> Callable[[Any, Any], Iterable[bytes]]:
    """The application, told that its input ends by itself: a2wsgi does not say so, and chunked bodies would be lost."""

    def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input_terminated"] = True
        environ[SPOILT] = True
        return app(environ, start_response)

    return wsgi


def _phrase(status: int) -> str:
    """The words that go with a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _gone(scope: Any) -> bool:
    """Whether the connection is lost already."""
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]
    return transport.is_closing()


def abort(scope: Any) -> None:
    """Drop the connection: the client sees a reset, not an end."""
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]
    if transport.is_closing():
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which also hands its transport to the lane and bounds headers in size and time."""

    _head_bytes = 0
    _in_head = True
    _refused = False
    _last = b""
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected: its first headers must be here in time."""
        super().connection_made(transport)
        self._start_timer()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went away."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came in; what follows a head that was refused is not looked at."""
        if self._refused:
            return
        if self._in_head:
            self._head_bytes += len(data)
            # No protocol is ever switched to, and the parser would take the body for the new protocol's.
            head, end, rest = data.partition(b"\r\n\r\n")
            data = UPGRADE.sub(rb"\r\nx-\1:", head) + end + rest
        self._last = data
        super().data_received(data)
        if self._in_head and self._head_bytes > HEADER_BYTES:
            self._refuse()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True
        self._start_timer()
        self.scope["extensions"] = {TRANSPORT: self.transport}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        """Its head is complete."""
        self._stop_timer()
        self._in_head, self._head_bytes = False, 0
        if sum(len(name) + len(value) + 4 for name, value in self.headers) + len(self.url) > HEADER_BYTES:
            self._refuse()
        else:
            super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP, or has a method that HTTP does not know: the provider of its path answers."""
        lane, request = self.config.app, self._readable()
        if not isinstance(lane, Lane) or request is None or is_control(request.path):
            super().send_400_response(msg)
            return
        self.transport.write(lane.garbled(request))
        self.transport.close()

    def _readable(self) -> Request | None:
        """What can be read of a request that the parser gave up: its line and its host."""
        line = REQUEST_LINE.match(self._last)
        if line is None and not self.url:
            return None
        method, target = (line[1], line[2]) if line else (self.parser.get_method(), self.url)
        named = HOST.search(self._last)
        host = named[1] if named else dict(self.headers or ()).get(b"host", b"")
        path, _, query = target.decode("latin-1").partition("?")
        return Request(method.decode("latin-1"), path, query, {"host": host.decode("latin-1")})

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """It is complete."""
        self._in_head = True
        if not self._refused:
            super().on_message_complete()

    def _refuse(self) -> None:
        """Refuse a head that is too large."""
        if not self._refused and not self.transport.is_closing():
            self._refused = True
            self.transport.write(TOO_LARGE)
            self.transport.close()
