"""Tasks as replies show them: which places of a body hold a task's id and its state, read from the reply templates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kling_mock.core.documents import Place
from kling_mock.core.lifecycle import Lifecycle

Path = tuple[str | int, ...]
STATE = re.compile(r"\{\$state\.([A-Za-z0-9_-]+)\}")
ID = "{$task.id}"


@dataclass(frozen=True, slots=True)
class Word:
    """A word for a task's state: the column of the lifecycle, where it stands in a reply, and what stands there."""

    column: str
    path: Path
    value: Any


@dataclass(frozen=True, slots=True)
class Sighting:
    """One task of a reply: its id, where it is shown, and the words for its state."""

    id: str | None
    words: tuple[Word, ...]


@dataclass(slots=True)
class _Seen:
    ids: list[Any] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)


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


def spots(template: Place, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The places of a template that show a task: a column of its state, or "" for its id; "*" is each item."""
    place = template.follow()
    node = place.node
    if isinstance(node, str):
        if match := STATE.fullmatch(node):
            yield path, match[1]
        elif node == ID:
            yield path, ""
    elif isinstance(node, Mapping) and "$each" in node:
        yield from spots(place.get("$as"), (*path, "*"))
    elif isinstance(node, Mapping) and "$value" in node:
        yield from spots(place.get("$value"), path)
    else:
        for key, below in place.items():
            yield from spots(below, (*path, key))
        for index, below in enumerate(place.each()):
            yield from spots(below, (*path, index))


def readings(operation: Place) -> list[list[tuple[Path, str]]]:
    """The places of an operation's good replies that show tasks: a list for each template, one per variant."""
    found = []
    for status, response in operation.get("responses").items():
        for _, media in response.get("content").items() if status.startswith("2") else ():
            found += [media.get("x-mock-body")] if "x-mock-body" in media.node else []
            found += [body for _, body in media.get("x-mock-bodies").items()]
    return [list(spots(template)) for template in found]


def sightings(readings: Iterable[Sequence[tuple[Path, str]]], document: Any) -> list[Sighting]:
    """The tasks that a reply shows, by the template of which it has the most."""
    found = [list(_read(places, document)) for places in readings]
    return max(found, key=lambda rows: sum(len(row.words) for row in rows), default=[])


def _read(places: Sequence[tuple[Path, str]], document: Any) -> Iterator[Sighting]:
    tasks: dict[Path, _Seen] = {}
    for pattern, column in places:
        for path, value in _found(document, pattern, ()):
            stars = [index for index, step in enumerate(pattern) if step == "*"]
            seen = tasks.setdefault(path[: stars[-1] + 1] if stars else (), _Seen())
            if column:
                seen.words.append(Word(column, path, value))
            else:
                seen.ids.append(value)
    for seen in tasks.values():
        yield Sighting(next((one for one in seen.ids if isinstance(one, str)), None), tuple(seen.words))


def _found(value: Any, pattern: Path, path: Path) -> Iterator[tuple[Path, Any]]:
    """What stands at a path of a document, "*" being every item of a list."""
    if not pattern:
        yield path, value
    elif pattern[0] == "*":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _found(item, pattern[1:], (*path, index))
    elif isinstance(pattern[0], int):
        if isinstance(value, list) and pattern[0] < len(value):
            yield from _found(value[pattern[0]], pattern[1:], (*path, pattern[0]))
    elif isinstance(value, dict) and pattern[0] in value:
        yield from _found(value[pattern[0]], pattern[1:], (*path, pattern[0]))


def strange(lifecycle: Lifecycle, sighting: Sighting) -> list[Word]:
    """The words that no state has."""
    return [
        word
        for word in sighting.words
        if not any(_same(state.words.get(word.column), word.value) for state in lifecycle.states.values())
    ]


def states(lifecycle: Lifecycle, words: Iterable[Word]) -> frozenset[str]:
    """The states that all of these words fit."""
    told = list(words)
    rows = lifecycle.states.values()
    return frozenset(row.name for row in rows if all(_same(row.words.get(word.column), word.value) for word in told))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def may_follow(lifecycle: Lifecycle, before: Iterable[str], after: Iterable[str]) -> bool:
    """Whether a task seen in one of these states may later be in one of those, perhaps by ways that nobody saw."""
    reach, waiting = set(before), list(before)
    while waiting:
        fresh = set(lifecycle.states[waiting.pop()].then) - reach
        reach |= fresh
        waiting += fresh
    return not reach.isdisjoint(after)
