"""By which address this server is known, where no request says so: in webhooks, and to who reads its store.

A reply names files under the address that its own request came by. Other texts name the one that the task was made
by; if this server was never called by it, as after a restart on another port, the one that it was called by last, or
else the one that it listens on.
"""

from __future__ import annotations

from kling_mock.core.model import Task

MEDIA = "/_mock/media"
MOST = 1000


class Addresses:
    """The addresses of one server; `public` goes before all, `listening` is known once a socket is."""

    def __init__(self, public: str | None) -> None:
        self._public = public
        self._called: set[str] = set()
        self._last: str | None = None
        self.listening: str | None = None

    def called(self, base: str) -> None:
        """A request came by this address."""
        if len(self._called) < MOST:
            self._called.add(base)
        self._last = base

    def media(self, task: Task) -> str:
        """The URL under which the files of a task are."""
        made = task.media.removesuffix(MEDIA)
        known = made if made in self._called else self._last or self.listening or made
        return (self._public or known) + MEDIA
