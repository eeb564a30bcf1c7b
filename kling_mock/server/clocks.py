"""The base clock and the accounts' own clocks, as histories over wall time."""

from __future__ import annotations

import time
from collections.abc import Callable

from kling_mock.core.clock import IDENTITY, Line, paced, start, virtual
from kling_mock.server.store import Store

Change = Callable[[Line, int], Line]


def wall_ms() -> int:
    """The machine's time in ms since the epoch."""
    return time.time_ns() // 1_000_000


class Clocks:
    """Virtual time per account, over the lines that the store keeps. The wall may step back; virtual time does not."""

    def __init__(
        self, store: Store, at: int | None = None, speed: float = 1.0, wall: Callable[[], int] = wall_ms
    ) -> None:
        self._store, self._wall, self._last = store, wall, 0
        self.changed: Callable[[], None] = lambda: None
        """Called after every change: something may have become due."""
        first = self.wall()
        self._speed = speed
        base = start(first, at)
        # A store that was used before goes on in its own time.
        self.fresh = store.turn(None, None, base.run(first, speed) if speed != 1.0 and at is None else base)

    def wall(self) -> int:
        """The wall time, never less than it was before."""
        self._last = max(self._last, self._wall())
        return self._last

    def base(self) -> Line:
        """The line of the base clock."""
        return self._store.line(None) or IDENTITY

    def line(self, account: str) -> Line:
        """The account's own line over the base."""
        return self._store.line(account) or IDENTITY

    def now(self, account: str | None = None) -> int:
        """Virtual time of an account, or of the base."""
        own = IDENTITY if account is None else self.line(account)
        return virtual(self.base(), own, self.wall())

    def paced(self, account: str, since: int, until: int) -> int:
        """See `core.clock.paced`."""
        return paced(self.base(), self.line(account), since, until)

    def change(self, account: str | None, change: Change) -> None:
        """Replace a line by what `change(line, its source time)` makes of it; again, if another process came first."""
        changed = False
        while not changed:
            wall, old = self.wall(), self._store.line(account)
            if account is None:
                changed = self._store.turn(None, old, change(old or IDENTITY, wall))
            else:
                own = old or IDENTITY
                new = change(own, self.base().at(wall)).stamped(wall, len(own.pieces))
                changed = self._store.turn(account, old, new)
        self.changed()

    def speed(self, account: str | None) -> float:
        """How fast a clock runs against its source; 0 is frozen."""
        return self.base().speed if account is None else self.line(account).speed

    def pace(self, account: str | None) -> float:
        """The speed that ruled before the clock was frozen; of a base that was frozen from its start the server's."""
        line, otherwise = (self.base(), self._speed or 1.0) if account is None else (self.line(account), 1.0)
        return next((piece.speed for piece in reversed(line.pieces) if piece.speed), otherwise)
