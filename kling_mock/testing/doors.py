"""Doors: further listeners of a running mock, for connections that were meant for other hosts."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import Coroutine
from typing import Any

from kling_mock.server.lane import Protocol
from kling_mock.server.serving import Running, listen

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 10
TURNS = 5
"""Of the loop, until an aborted TLS connection has closed the socket under it."""


class Doors:
    """One listener without TLS and one with it, in the mock's own loop; whoever came in by them leaves with them."""

    def __init__(self, running: Running, context: ssl.SSLContext) -> None:
        self._server = running.server
        self._loop = self._server.servers[0].get_loop()
        self._open: list[asyncio.Server] = []
        self._guests: weakref.WeakSet[Protocol] = weakref.WeakSet()
        self.plain, self.secure = self._run(self._listen(None)), self._run(self._listen(context))

    def close(self) -> None:
        """Close them, unless the mock has ended before."""
        if self._loop.is_running():
            self._run(self._close())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _listen(self, context: ssl.SSLContext | None) -> tuple[str, int]:
        opened = await self._loop.create_server(self._welcome, sock=listen(LOOPBACK, 0), ssl=context)
        self._open.append(opened)
        self._server.servers.append(opened)
        return LOOPBACK, opened.sockets[0].getsockname()[1]

    def _welcome(self) -> Protocol:
        guest = Protocol(self._server.config, self._server.server_state, {})
        self._guests.add(guest)
        return guest

    async def _close(self) -> None:
        """Close the listeners and their connections: one that a client kept would lead to the mock for ever."""
        for opened in self._open:
            self._server.servers.remove(opened)
            opened.close()
        for guest in self._guests:
            # There is none before the end of the TLS handshake.
            if guest.transport is not None:
                guest.transport.abort()
        for _ in range(TURNS):
            await asyncio.sleep(0)
