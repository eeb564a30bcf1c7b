"""Doors: further listeners of a running mock, for connections that were meant for other hosts."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import Coroutine
from typing import Any

from kling_mock.server.lane import Protocol
from kling_mock.server.serving import Running, listen
from kling_mock.testing.certificates import contexts
from kling_mock.testing.network import Way

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 10
TURNS = 5
"""Of the loop, until an aborted TLS connection has closed the socket under it."""


class Doors:
    """One listener without TLS and one with it, in the mock's own loop; `way` leads there. They end with the mock."""

    def __init__(self, running: Running, hosts: frozenset[str]) -> None:
        self._server = running.server
        self._loop = self._server.servers[0].get_loop()
        self._guests: weakref.WeakSet[Protocol] = weakref.WeakSet()
        serving, trusting = contexts(hosts)
        self.way = Way(hosts, self._run(self._listen(None)), self._run(self._listen(serving)), trusting)
        self.users = 0

    def cut(self) -> None:
        """Cut the connections: one that a client kept would lead to the mock for ever."""
        if self._loop.is_running():
            self._run(self._cut())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _listen(self, context: ssl.SSLContext | None) -> tuple[str, int]:
        opened = await self._loop.create_server(self._welcome, sock=listen(LOOPBACK, 0), ssl=context)
        # It is closed where the others are. (Closed earlier, asyncio fails at a connection just accepted.)
        self._server.servers.append(opened)
        return LOOPBACK, opened.sockets[0].getsockname()[1]

    def _welcome(self) -> Protocol:
        guest = Protocol(self._server.config, self._server.server_state, {})
        self._guests.add(guest)
        return guest

    async def _cut(self) -> None:
        for guest in self._guests:
            # There is none before the end of the TLS handshake.
            if guest.transport is not None:
                guest.transport.abort()
        for _ in range(TURNS):
            await asyncio.sleep(0)
