"""Interception: the real hosts of every provider lead to a running mock, TLS included; clients need no change.

It holds for all that goes through this process' sockets and `ssl`: requests, httpx, aiohttp, urllib3, urllib and more,
in any thread, with sessions and contexts that were made before. Not for other processes, for connections that were open
before, nor for clients that pin a certificate's fingerprint.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kling_mock.server.serving import Running
from kling_mock.testing.certificates import contexts
from kling_mock.testing.doors import Doors
from kling_mock.testing.network import Way, join

Key = tuple[Running, frozenset[str]]
_lock = threading.Lock()
_open: dict[Key, tuple[Way, Doors, int]] = {}
"""The doors that are open, and how many interceptions use them."""


def hosts(running: Running) -> frozenset[str]:
    """The real hosts of the providers that a mock serves."""
    return frozenset(host for provider in running.mock.providers.values() for host in provider.hosts)


@contextmanager
def intercept(running: Running, *more: str) -> Iterator[Way]:
    """Send the providers' hosts to `running`, and `more` hosts: those that a spec cannot name, as a reseller's."""
    wanted = hosts(running) | {host.lower() for host in more}
    if not wanted:
        raise ValueError("no provider of this mock has a host of its own: name the hosts to be intercepted")
    with _way((running, wanted)) as way, join(way):
        yield way


@contextmanager
def _way(key: Key) -> Iterator[Way]:
    """The way through the doors of a mock. Threads share them: one that ends must not cut off another's call."""
    with _lock:
        way, doors, users = _open.get(key) or (*_opened(key), 0)
        _open[key] = way, doors, users + 1
    try:
        yield way
    finally:
        with _lock:
            way, doors, users = _open.pop(key)
            if users > 1:
                _open[key] = way, doors, users - 1
            else:
                doors.close()


def _opened(key: Key) -> tuple[Way, Doors]:
    running, wanted = key
    serving, trusting = contexts(wanted)
    doors = Doors(running, serving)
    return Way(wanted, doors.plain, doors.secure, trusting), doors
