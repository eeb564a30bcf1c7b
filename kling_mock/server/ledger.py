"""One account's ledger: what its dated lines sum up to, and the lines themselves where they are kept in memory.

An append costs O(log n) in the lines not yet due, reading the totals O(1) beside what has come due since; time never
goes back, so what is folded stays folded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count

from msgspec import Struct, field

from kling_mock.core.model import Balance, Entry, Pack

ZERO = Decimal(0)


class Totals(Struct):
    """What the lines that have come due sum up to, by pack: money, slots taken; `counted` is how many there were."""

    reserved: dict[str, Decimal] = field(default_factory=dict)
    spent: dict[str, Decimal] = field(default_factory=dict)
    taken: dict[str, Decimal] = field(default_factory=dict)
    counted: int = 0

    def count(self, entry: Entry) -> None:
        """Count a line that has come due."""
        self.counted += 1
        if entry.of == "slots":
            self.taken[entry.pack] = self.taken.get(entry.pack, ZERO) + entry.amount
            return
        reserved = entry.amount if entry.of == "reserve" else -entry.amount
        self.reserved[entry.pack] = self.reserved.get(entry.pack, ZERO) + reserved
        if entry.of == "settle":
            self.spent[entry.pack] = self.spent.get(entry.pack, ZERO) + entry.amount

    @property
    def open_slots(self) -> dict[str, int]:
        """How many slots open tasks take, by pack."""
        return {pack: int(amount) for pack, amount in self.taken.items() if amount}

    def balances(self, packs: Iterable[Pack]) -> tuple[Balance, ...]:
        """What each pack holds."""
        return tuple(
            Balance(pack, self.reserved.get(pack.type, ZERO), self.spent.get(pack.type, ZERO)) for pack in packs
        )


class Ledger:
    """Dated lines of one account, of which the newest `most` are kept for show. Times are the account's virtual ms."""

    def __init__(self, most: int = 10_000) -> None:
        self._past: deque[Entry] = deque(maxlen=most)
        self._waiting: list[tuple[int, int, Entry]] = []
        self._withdrawn: set[int] = set()
        self._order = count()
        self._totals = Totals()

    def append(self, entries: Iterable[Entry]) -> None:
        """Add lines, due now or later."""
        for entry in entries:
            heappush(self._waiting, (entry.at, next(self._order), entry))

    def withdraw(self, task: str, now: int) -> None:
        """Take back the lines of a task that are dated after `now`. O(lines not yet due)."""
        for at, order, entry in self._waiting:
            if entry.task == task and at > now:
                self._withdrawn.add(order)

    def fold(self, now: int) -> None:
        """Count every line that has come due."""
        while self._waiting and self._waiting[0][0] <= now:
            _, order, entry = heappop(self._waiting)
            if order in self._withdrawn:
                self._withdrawn.remove(order)
            else:
                self._past.append(entry)
                self._totals.count(entry)

    def lines(self) -> list[Entry]:
        """The newest lines that were counted, then those to come. O(n log n) in them."""
        due = sorted((at, order, entry) for at, order, entry in self._waiting if order not in self._withdrawn)
        return [*self._past, *(entry for _, _, entry in due)]

    def balances(self, packs: Iterable[Pack], now: int) -> tuple[Balance, ...]:
        """What each pack holds at `now`."""
        self.fold(now)
        return self._totals.balances(packs)

    def open_slots(self, now: int) -> dict[str, int]:
        """How many slots the account's open tasks take at `now`, by pack."""
        self.fold(now)
        return self._totals.open_slots
