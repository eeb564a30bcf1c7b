"""The spend firewall: whoever asks for a provider's real host gets an exception that names it, and is remembered.

Python's own audit events tell of look-ups and connections, also of those by functions that a library kept from before;
TLS is refused by the name it asks for, which is seen behind proxies and remembered addresses too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NoReturn, Self

from kling_mock.testing import network

LOOK_UPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})


class RealHostContacted(Exception):
    """Somebody asked for a provider's real host while a firewall stood."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host} is a provider's real host, where work costs money, and the firewall forbids it: give the client "
            "the mock's base_url, or send the host to the mock with `kling.intercept()`"
        )
        self.host = host


class Firewall:
    """Forbids hosts; as a context manager, or from `start()` to `stop()`. `contacted` are those that were asked for."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self.hosts = frozenset(network.spelled(host) for host in hosts)
        self.contacted: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Let it stand."""
        _listen()
        network.enter(self)

    def stop(self) -> None:
        """Tear it down."""
        network.leave(self)

    def refuse(self, host: str) -> NoReturn:
        """Remember the host and raise `RealHostContacted`."""
        self.contacted.append(host)
        raise RealHostContacted(host)


_listening = False


def _listen() -> None:
    """Hear of look-ups from now on: an audit hook can never be removed, so there is one for all."""
    global _listening
    if not _listening:
        sys.addaudithook(_heard)
        _listening = True


def _heard(event: str, args: tuple[Any, ...]) -> None:
    if event in LOOK_UPS:
        network.forbid(args[0])
    elif event == "socket.connect" and isinstance(args[1], tuple) and args[1]:
        network.forbid(args[1][0])
