"""Virtual time as a value: a history of pieces, each running from (source, virtual) at a speed.

The base clock maps wall time to virtual time; an account's clock maps the base's virtual time to its own. Both are
`Line`s, so "advance", "freeze" and the rest are written once. Times are integer milliseconds. A line never goes back.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from msgspec import Struct


class Piece(Struct, frozen=True, array_like=True):
    """From `source` on, virtual time is `virtual + (now - source) * speed`.

    `made` is the wall time of the change; None says that `source` is wall time.
    """

    source: int
    virtual: int
    speed: float
    made: int | None = None


class Line(Struct, frozen=True):
    """An immutable history of pieces, oldest first; every change returns a new line."""

    pieces: tuple[Piece, ...]

    def piece(self, source: int) -> Piece:
        """The piece in force at `source` (before the first one: the first)."""
        if len(self.pieces) == 1:
            return self.pieces[0]
        index = bisect_right(self.pieces, source, key=lambda piece: piece.source)
        return self.pieces[max(0, index - 1)]

    def at(self, source: int) -> int:
        """Virtual time at `source`. Before the first piece time ran at its own pace."""
        piece = self.piece(source)
        speed = piece.speed if source >= piece.source else 1.0
        return piece.virtual + int((source - piece.source) * speed)

    @property
    def speed(self) -> float:
        """How fast the newest piece runs; 0 is frozen."""
        return self.pieces[-1].speed

    def turn(self, source: int, virtual: int, speed: float) -> Line:
        """From `source` on run from `virtual` at `speed`; `virtual` before the present stays at the present."""
        piece = Piece(source, max(virtual, self.at(source)), speed)
        return Line((*self.pieces, piece))

    def stamped(self, made: int, since: int) -> Line:
        """The line with the wall time `made` on its pieces from index `since` on."""
        fresh = (Piece(piece.source, piece.virtual, piece.speed, made) for piece in self.pieces[since:])
        return Line((*self.pieces[:since], *fresh))

    def advance(self, source: int, by: int) -> Line:
        """Jump ahead by `by` ms, at the same speed as before."""
        return self.turn(source, self.at(source) + by, self.speed)

    def run(self, source: int, speed: float) -> Line:
        """Go on from here at `speed` (0 freezes, 1 resumes)."""
        return self.turn(source, self.at(source), speed)

    def jumps(self, since: int, until: int) -> int:
        """How far the line jumped (in all) between two wall times, apart from flowing."""
        total = 0
        for before, after in pairwise(self.pieces):
            made = after.source if after.made is None else after.made
            if since < made <= until:
                total += after.virtual - Line((before,)).at(after.source)
        return total


IDENTITY = Line((Piece(0, 0, 1.0),))


def start(wall: int, at: int | None = None) -> Line:
    """The base line of a server started at `wall`: real time, or frozen at `at`."""
    return Line((Piece(wall, wall, 1.0),)) if at is None else Line((Piece(wall, at, 0.0),))


def virtual(base: Line, own: Line, wall: int) -> int:
    """An account's virtual time: its own line over the base's."""
    return own.at(base.at(wall))


def paced(base: Line, own: Line, since: int, until: int) -> int:
    """How much virtual time passed between two wall times if only jumps count beside the wall's own pace.

    This dates a token's signature: time travel made since then counts, a clock's speed does not, so that a freshly
    signed token is fresh however fast the clock runs.
    """
    own_speed = own.piece(base.at(until)).speed
    jumped = own.jumps(since, until) + int(base.jumps(since, until) * min(own_speed, 1.0))
    return (until - since) + jumped
