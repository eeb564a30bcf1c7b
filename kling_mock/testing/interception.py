"""Interception: the real hosts of every provider lead to a running mock, TLS included; clients need no change.

It holds for all that goes through this process' sockets and `ssl`: requests, httpx, aiohttp, urllib3, urllib and more,
in any thread, with sessions and contexts that were made before. Not for other processes, for connections that were open
before, nor for clients that pin a certificate's fingerprint.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from kling_mock.server.serving import Running
from kling_mock.testing.doors import Doors
from kling_mock.testing.network import Way, join

_lock = threading.Lock()
_doors: weakref.WeakKeyDictionary[Running, dict[frozenset[str], Doors]] = weakref.WeakKeyDictionary()


def hosts(running: Running) -> frozenset[str]:
    """The real hosts of the providers that a mock serves."""
    return frozenset(host for provider in running.mock.providers.values() for host in provider.hosts)


@contextmanager
def intercept(running: Running, *more: str) -> Iterator[Way]:
    """Send the providers' hosts to `running`, and `more` hosts: those that a spec cannot name, as a reseller's."""
    wanted = hosts(running) | {host.lower() for host in more}
    if not wanted:
        raise ValueError("no provider of this mock has a host of its own: name the hosts to be intercepted")
    with _way(running, wanted) as way, join(way):
        yield way


@contextmanager
def _way(running: Running, wanted: frozenset[str]) -> Iterator[Way]:
    """The way to a mock. Threads share its doors: who leaves must not cut off another's call."""
    with _lock:
        known = _doors.setdefault(running, {})
        doors = known[wanted] = known.get(wanted) or Doors(running, wanted)
        doors.users += 1
    try:
        yield doors.way
    finally:
        with _lock:
            doors.users -= 1
            if not doors.users:
                doors.cut()
