"""Tasks as replies show them: which places of a body hold a task's id and its state, read from the reply templates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kling_mock.contract.readings import Reading, read, same
from kling_mock.core.documents import Place
from kling_mock.core.expressions import ABSENT
from kling_mock.core.lifecycle import Lifecycle


@dataclass(frozen=True, slots=True)
class Word:
    """A word for a task's state: the column of the lifecycle, where it stands in a reply, and what stands there."""

    column: str
    pointer: str
    value: Any


@dataclass(frozen=True, slots=True)
class Sighting:
    """One task of a reply: its id, where it is shown, and the words for its state."""

    id: str | None
    words: tuple[Word, ...]


@dataclass(slots=True)
class Course:
    """What was seen of one task: by calls that have ended, the latest of them, and by those that had not yet."""

    latest: tuple[int, frozenset[str]] = (-1, frozenset())
    open: list[tuple[int, int, frozenset[str]]] = field(default_factory=list)

    def saw(self, start: int, end: int, states: frozenset[str]) -> None:
        """A call from `start` to `end` showed the task in one of these states."""
        self.open.append((end, start, states))

    def before(self, now: int) -> frozenset[str]:
        """The states that the task was seen in by the latest call that had ended; calls come in the order of starts."""
        for end, start, states in self.open:
            if end <= now and start >= self.latest[0]:
                self.latest = (start, states)
        self.open = [row for row in self.open if row[0] > now]
        return self.latest[1]


def sightings(templates: Iterable[Place], document: Any) -> list[Sighting]:
    """The tasks that a reply shows, by the template of which it has the most."""
    found = [[seen for row in read(template, document).each() if (seen := _seen(row))] for template in templates]
    return max(found, key=lambda rows: sum(len(row.words) for row in rows), default=[])


def _seen(row: Reading) -> Sighting | None:
    """The task of a reading, without that of its rows."""
    places = [place for place in row.places if place.value is not ABSENT]
    ids = [place.value for place in places if place.name == "task.id"]
    words = [
        Word(place.name.removeprefix("state."), place.pointer, place.value)
        for place in places
        if place.name.startswith("state.")
    ]
    return Sighting(next((one for one in ids if isinstance(one, str)), None), tuple(words)) if ids or words else None


def strange(lifecycle: Lifecycle, sighting: Sighting) -> list[Word]:
    """The words that no state has."""
    return [
        word
        for word in sighting.words
        if not any(same(state.words.get(word.column), word.value) for state in lifecycle.states.values())
    ]


def states(lifecycle: Lifecycle, words: Iterable[Word]) -> frozenset[str]:
    """The states that all of these words fit."""
    told = list(words)
    rows = lifecycle.states.values()
    return frozenset(row.name for row in rows if all(same(row.words.get(word.column), word.value) for word in told))


def may_follow(lifecycle: Lifecycle, before: Iterable[str], after: Iterable[str]) -> bool:
    """Whether a task seen in one of these states may later be in one of those, perhaps by ways that nobody saw."""
    reach, waiting = set(before), list(before)
    while waiting:
        fresh = set(lifecycle.states[waiting.pop()].then) - reach
        reach |= fresh
        waiting += fresh
    return not reach.isdisjoint(after)
