"""The base clock and the accounts' own clocks, as histories over wall time."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from kling_mock.core.clock import IDENTITY, Line, paced, start, virtual

Change = Callable[[Line, int], Line]


def wall_ms() -> int:
    """The machine's time in ms since the epoch."""
    return time.time_ns() // 1_000_000


class Clocks:
    """Virtual time per account. The wall may step back; virtual time does not."""

    def __init__(self, at: int | None = None, speed: float = 1.0, wall: Callable[[], int] = wall_ms) -> None:
        self._wall, self._last, self._lock = wall, 0, Lock()
        first = self.wall()
        self._base = start(first, at)
        self._speed = speed
        if speed != 1.0 and at is None:
            self._base = self._base.run(first, speed)
        self._own: dict[str, Line] = {}

    def wall(self) -> int:
        """The wall time, never less than it was before."""
        self._last = max(self._last, self._wall())
        return self._last

    def line(self, account: str) -> Line:
        """The account's own line over the base."""
        return self._own.get(account, IDENTITY)

    def now(self, account: str | None = None) -> int:
        """Virtual time of an account, or of the base."""
        own = IDENTITY if account is None else self.line(account)
        return virtual(self._base, own, self.wall())

    def paced(self, account: str, since: int, until: int) -> int:
        """See `core.clock.paced`."""
        return paced(self._base, self.line(account), since, until)

    def change(self, account: str | None, change: Change) -> None:
        """Replace a line by what `change(line, its source time)` makes of it."""
        with self._lock:
            wall = self.wall()
            if account is None:
                self._base = change(self._base, wall)
            else:
                own = self._own.get(account) or IDENTITY
                changed = change(own, self._base.at(wall))
                self._own[account] = changed.stamped(wall, len(own.pieces))

    def speed(self, account: str | None) -> float:
        """How fast a clock runs against its source; 0 is frozen."""
        return self._base.speed if account is None else self.line(account).speed

    def pace(self, account: str | None) -> float:
        """The speed that ruled before the clock was frozen; of a base that was frozen from its start the server's."""
        line, otherwise = (self._base, self._speed or 1.0) if account is None else (self.line(account), 1.0)
        return next((piece.speed for piece in reversed(line.pieces) if piece.speed), otherwise)

    def reset(self, account: str | None) -> None:
        """Give one account the base's time again, or all of them. The base goes on: time never goes back."""
        if account is None:
            self._own.clear()
        else:
            self._own.pop(account, None)
