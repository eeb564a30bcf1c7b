"""States as a table, and a task's state as a function of time.

A lifecycle is read from YAML: each state, the states that may follow, the provider's own words for it (any JSON type,
one column per place where it is written) and whether it ends the task. A create fixes the whole timeline; `observe`
looks at it. Nothing is ever stored when time passes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

from msgspec import Struct

from kling_mock.core.documents import Place
from kling_mock.core.durations import milliseconds
from kling_mock.core.entropy import fraction
from kling_mock.core.model import Moment, Task, View
from kling_mock.core.problems import closest


class State(Struct, frozen=True):
    """One row of the table. `ends` is None for a state that is left again."""

    name: str
    words: Mapping[str, Any]
    then: tuple[str, ...] = ()
    ends: Literal["success", "failure"] | None = None


Latency = Mapping[str, tuple[int, int]]
FOR_EVER = (-1, -1)
"""How long a state lasts that a scenario never lets go of."""


class Lifecycle(Struct, frozen=True):
    """The table, the usual path through it, and how long each state lasts by latency profile (the first is default)."""

    states: Mapping[str, State]
    usual: tuple[str, ...]
    latency: Mapping[str, Latency]

    def legal(self, path: Sequence[str]) -> bool:
        """Whether a task may walk this path from the first state to an end."""
        steps = pairwise(path)
        starts = bool(path) and path[0] == self.usual[0]
        return starts and all(after in self.states[before].then for before, after in steps) and self.ended(path[-1])

    def ended(self, state: str) -> bool:
        """Whether a task in this state stays there; of a state that the table lacks nobody knows."""
        return state in self.states and not self.states[state].then

    def may_end(self, state: str, by: Literal["success", "failure"]) -> str | None:
        """The first state that may follow `state` and ends the task so, or None."""
        return next((name for name in self.states[state].then if self.states[name].ends == by), None)


def timeline(path: Iterable[str], latency: Latency, start: int, entropy: str) -> tuple[Moment, ...]:
    """Date a path: each state lasts what `latency` says, a range is drawn from the task's entropy.

    After a state that lasts for ever nothing comes.
    """
    moments, at = [], start
    for state in path:
        moments.append(Moment(at, state))
        least, most = latency.get(state, (0, 0))
        if (least, most) == FOR_EVER:
            break
        at += least + int((most - least) * fraction(entropy, f"latency {state} {len(moments)}"))
    return tuple(moments)


def observe(lifecycle: Lifecycle, task: Task, now: int) -> View:
    """How the task looks at `now`: the newest moment that has come (before its create: the first)."""
    index = max(0, bisect_right(task.timeline, now, key=lambda moment: moment.at) - 1)
    moment = task.timeline[index]
    following = task.timeline[index + 1].at if index + 1 < len(task.timeline) else None
    state = lifecycle.states.get(moment.state) or State(moment.state, {})
    return View(moment.state, state.words, moment.at, following, state.ends)


def ending(lifecycle: Lifecycle, task: Task) -> Moment | None:
    """The moment at which a task's money is settled and its slots are freed; None if it never ends.

    A task that was moved out of its end stays settled; of a scenario's several ends the last one counts.
    """
    last = task.timeline[-1]
    return task.settled or (last if lifecycle.ended(last.state) else None)


def deducted(lifecycle: Lifecycle, task: Task, at: int) -> Decimal | None:
    """What the ledger has taken for a task at an instant: its price until that is given back, whatever its state is.

    None where no price is known.
    """
    end = ending(lifecycle, task)
    if task.price is None or end is None or end.at > at:
        return task.price
    state = lifecycle.states.get(end.state)
    return task.price if state is None or state.ends == "success" else Decimal(0)


def redirect(task: Task, moments: Iterable[Moment], now: int) -> tuple[Moment, ...]:
    """The task's timeline up to `now`, then `moments` instead of what was to come."""
    return (*(moment for moment in task.timeline if moment.at <= now), *moments)


def compile_lifecycle(place: Place) -> Lifecycle:
    """Read a lifecycle. Raises `SpecError` for unknown or unreachable states and for paths that lead nowhere."""
    states = {name: _state(name, row) for name, row in place.get("states").items()}
    for name, row in place.get("states").items():
        for index, after in enumerate(states[name].then):
            if after not in states:
                raise row.get("then").item(index).error(f"unknown state {after!r}{closest(after, states)}")
    usual = tuple(place.get("usual").node)
    lifecycle = Lifecycle(states, usual, _latency(place.get("latency"), states))
    for index, name in enumerate(usual):
        if name not in states:
            raise place.get("usual").item(index).error(f"unknown state {name!r}{closest(name, states)}")
    if not lifecycle.legal(usual):
        raise place.get("usual").error("the usual path takes a step that no state's `then` allows, or does not end")
    for name in set(states) - _reachable(lifecycle):
        raise place.get("states").get(name).error(f"the state {name!r} cannot be reached from {usual[0]!r}")
    _check_words(place, states)
    return lifecycle


def _check_words(place: Place, states: Mapping[str, State]) -> None:
    """Every state has the same columns, so that no reply can miss a word in one state only."""
    columns = {column for state in states.values() for column in state.words}
    for name, state in states.items():
        if missing := columns - set(state.words):
            raise (
                place.get("states").get(name).error(f"the state {name!r} has no word for {', '.join(sorted(missing))}")
            )


def _state(name: str, row: Place) -> State:
    node = row.node
    return State(name, dict(node.get("words", {})), tuple(node.get("then", ())), node.get("ends"))


def _reachable(lifecycle: Lifecycle) -> set[str]:
    found: set[str] = set()
    waiting = [lifecycle.usual[0]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(lifecycle.states[name].then)
    return found


def _latency(place: Place, states: Mapping[str, State]) -> dict[str, Latency]:
    profiles: dict[str, Latency] = {}
    for name, profile in place.items():
        rows = {key: value for key, value in profile.items() if key != "evidence"}
        for state, row in rows.items():
            if state not in states:
                raise row.error(f"unknown state {state!r}{closest(state, states)}")
        profiles[name] = {state: span(row) for state, row in rows.items()}
    return profiles


def span(row: Place) -> tuple[int, int]:
    """How long a state lasts, in ms: one duration, or the least and the most."""
    bounds = row.node if isinstance(row.node, list) else [row.node, row.node]
    try:
        least, most = map(milliseconds, bounds)
    except ValueError as error:
        raise row.error(str(error)) from None
    if least > most:
        raise row.error("the least is more than the most")
    return least, most
