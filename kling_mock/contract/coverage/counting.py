"""Coverage of behaviour: which of all that a client can do and meet at a provider was done and met.

`Coverage` listens to exchanges, and to attempts at webhooks; `Tally` is what remains of it: points and how often each
was seen, to be merged, stored and reported without the provider. What counts is in one table, `DIMENSIONS`; which
points there are says `coverage.points`, when one was seen says `coverage.sights`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Self

from msgspec import Struct

from kling_mock.contract.coverage import points, sights
from kling_mock.contract.coverage.points import Point
from kling_mock.contract.errors import Catalogue
from kling_mock.core.model import Attempt, Exchange
from kling_mock.core.problems import closest
from kling_mock.core.provider import Provider


class Dimension(Struct, frozen=True):
    """One way to look at behaviour: what it means that a point was covered, which points there are, and when one is."""

    name: str
    means: str
    points: Callable[[Provider], Iterable[Point]]
    seen: Callable[[sights.Sighting], Iterable[Point]] = lambda _: ()


DIMENSIONS: Mapping[str, Dimension] = {
    row.name: row
    for row in (
        Dimension("operations", "did what was asked of it", points.operations, sights.operations),
        Dimension("values", "sent, in a request that was well-formed", points.values, sights.values),
        Dimension("features", "asked for with this model, and not refused", points.features, sights.features),
        Dimension("fired", "rules and limits of models that a request broke", points.fired, sights.fired),
        Dimension("held", "rules that a request came near to and kept", points.held, sights.held),
        Dimension("states", "shown in an answer", points.states, sights.states),
        Dimension("transitions", "shown by two answers in a row", points.transitions, sights.transitions),
        Dimension("errors", "answered", points.errors, sights.errors),
        Dimension("scenarios", "ruled a call", points.scenarios, sights.scenarios),
        Dimension("webhooks", "became of an attempt", points.webhooks),
    )
}


class Share(Struct, frozen=True):
    """How many of some points were covered."""

    covered: int
    all: int

    @property
    def percent(self) -> int:
        """The whole percent, never rounded up: 100 is everything. Of nothing it is 100."""
        return 100 * self.covered // self.all if self.all else 100

    def reaches(self, percent: float) -> bool:
        """Whether so many percent were covered, exactly."""
        return self.covered * 100 >= Fraction(str(percent)) * self.all


class Tally:
    """The points of a provider, and how often each was seen."""

    def __init__(self, provider: str, title: str, version: str, digest: str, hits: Mapping[Point, int]) -> None:
        self.provider, self.title, self.version, self.digest = provider, title, version, digest
        self.hits = dict(hits)

    def covered(self, dimension: str | None = None) -> list[Point]:
        """The points that were seen, of one dimension or of all."""
        return [point for point in self._of(dimension) if self.hits[point]]

    def missing(self, dimension: str | None = None) -> list[Point]:
        """The points that never were seen."""
        return [point for point in self._of(dimension) if not self.hits[point]]

    def share(self, dimension: str | None = None) -> Share:
        """How many points were seen."""
        return Share(len(self.covered(dimension)), sum(1 for _ in self._of(dimension)))

    def shares(self) -> dict[Dimension, Share]:
        """The share of each dimension in which there is a point at all."""
        rows = {row: self.share(row.name) for row in DIMENSIONS.values()}
        return {row: share for row, share in rows.items() if share.all}

    def _of(self, dimension: str | None) -> Iterator[Point]:
        return (point for point in self.hits if dimension in (None, point.dimension))

    def only(self, dimensions: Collection[str]) -> Tally:
        """The same of some dimensions only. Raises `ValueError` for one that there is not."""
        for name in dimensions:
            if name not in DIMENSIONS:
                raise ValueError(f"coverage has no dimension {name!r}{closest(name, DIMENSIONS)}")
        hits = {point: count for point, count in self.hits.items() if point.dimension in dimensions}
        return Tally(self.provider, self.title, self.version, self.digest, hits)

    def merge(self, other: Tally) -> None:
        """Add what was seen elsewhere of the same provider. Raises `ValueError` where its documents are others."""
        if (other.provider, other.digest) != (self.provider, self.digest):
            raise ValueError(
                f"the coverage of {other.provider} ({other.digest}) cannot be added to that of "
                f"{self.provider} ({self.digest}): the documents are not the same"
            )
        for point, count in other.hits.items():
            self.hits[point] = self.hits.get(point, 0) + count

    def to_json(self) -> dict[str, Any]:
        """A JSON document of it all, from which `from_json` makes it again."""
        rows = [
            {"dimension": row.dimension, "operation": row.operation, "name": row.name, "seen": count}
            for row, count in self.hits.items()
        ]
        known = {"provider": self.provider, "title": self.title, "version": self.version, "digest": self.digest}
        return {**known, "points": rows}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Tally:
        """What `to_json` wrote."""
        rows = document["points"]
        hits = {Point(row["dimension"], row["operation"], row["name"]): int(row["seen"]) for row in rows}
        return Tally(document["provider"], document["title"], document["version"], document["digest"], hits)


class Coverage(Tally):
    """Listens to what happens at one provider, and counts what was covered by it.

    Exchanges come in the order of their happening. Kept of them is only the state in which each task was shown last:
    a transition starts from it, so what came before a merge and what comes after it make none together.
    """

    def __init__(self, provider: Provider) -> None:
        every = dict.fromkeys((point for row in DIMENSIONS.values() for point in row.points(provider)), 0)
        super().__init__(provider.name, provider.title, provider.version, provider.digest, every)
        self._provider, self._catalogue = provider, Catalogue(provider)
        self._shown: dict[str, str] = {}

    def add(self, exchange: Exchange) -> Self:
        """Count what one exchange covers; one with another provider covers nothing here."""
        if exchange.provider == self.provider:
            sighting = sights.Sighting(self._provider, exchange, self._catalogue, self._shown)
            for row in DIMENSIONS.values():
                self._count(row.seen(sighting))
            self._remember(exchange)
        return self

    def add_attempts(self, attempts: Sequence[Attempt]) -> Self:
        """Count what became of one webhook; once for each, when no more attempts will come."""
        self._count(sights.webhooks(self._provider, attempts))
        return self

    def _count(self, seen: Iterable[Point]) -> None:
        for point in dict.fromkeys(seen):
            if point in self.hits:
                self.hits[point] += 1

    def _remember(self, exchange: Exchange) -> None:
        for sight in () if exchange.lost else exchange.saw:
            self._shown[sight.task] = sight.state
