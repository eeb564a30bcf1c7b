"""The nearest valid payload: moves that together leave no fault behind, found by trial, the least change first.

The first fault is given each of its moves, and what is then wrong is mended in the same way; a move that leads to where
nothing helps is taken back. A fault that nothing mends (a picture that is too small) stays, and the others are mended
all the same. Nothing is offered that was not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from kling_mock.core.calls import Call, images
from kling_mock.core.documents import tokens
from kling_mock.core.expressions import ABSENT, point
from kling_mock.core.judging import Facts, Judgement, judge
from kling_mock.core.model import Quote, Violation
from kling_mock.core.moves import Inapplicable, Patch, apply, moves

MOST_TRIES = 300
GIVEN_UP, BROUGHT = 100.0, 1000.0  # what a fault that stays counts: more than any change; and one that a move brought
WORDLESS = 20.0  # what it counts to lose the prompt
GREED = (1.0, 10.0)  # what a fault that is left counts at first, and where that leads to no end
REPAIRABLE = ("body", "rules", "capabilities")

Measure = Callable[[str], Mapping[str, Any]]
Name = tuple[str, str]
Step = tuple[Violation, Patch]


class Suggestion(Struct, frozen=True):
    """A mechanical repair of one violation: apply in order; the price before and after, where both are known."""

    rule: str
    pointer: str
    patch: Patch
    before: Quote | None = None
    after: Quote | None = None


class State(Struct, frozen=True):
    """A payload on the way: the steps that led to it, what is said of it, what they cost, and the faults that stay."""

    steps: tuple[Step, ...]
    judgement: Judgement
    facts: Facts
    cost: float = 0.0
    staying: frozenset[Name] = frozenset()

    @property
    def left(self) -> list[Violation]:
        """The faults that are still to be mended."""
        return [violation for violation in faults(self.judgement) if _name(violation) not in self.staying]


class Trial(Struct):
    """The moves tried for one fault of one state: how many are to come, and whether one has mended it."""

    state: State
    target: Violation
    open: int
    mended: bool = False


def faults(judgement: Judgement) -> list[Violation]:
    """What keeps a payload from being accepted and succeeding, as far as the payload can mend it."""
    return [v for v in judgement.violations if v.severity != "warning" and v.stage in REPAIRABLE]


def suggest(call: Call, facts: Facts, measure: Measure | None = None) -> tuple[Suggestion, ...]:
    """Repairs that, applied in order, leave no fault that has one, and none that could be left out.

    `measure` tells the facts of a picture that a repair has changed.
    """
    pictures = Pictures(call, facts, measure)
    start = State((), judge(call, facts), facts)
    best = start
    for greed in GREED:
        best, whole = Search(pictures, faults(start.judgement), greed).best(best)
        if whole:
            break
    steps = _joined(list(best.steps), call.document)
    steps = _needed(steps, pictures, len(faults(best.judgement)))
    return tuple(_priced(_attributed(steps, faults(start.judgement)), pictures))


class Pictures:
    """The facts of a call's pictures after a change: those that stay the same are not measured again."""

    def __init__(self, call: Call, facts: Facts, measure: Measure | None) -> None:
        self.call, self._facts, self._measure = call, facts, measure
        self._known: dict[str, Mapping[str, Any]] = {}

    def judged(self, document: Any) -> tuple[Judgement, Facts]:
        """The judgement of another document in the same call."""
        facts = self._after(document)
        return judge(replace(self.call, document=document), facts), facts

    def _after(self, document: Any) -> Facts:
        if self.call.operation is None:
            return self._facts
        found = {}
        for _, at, value in images(self.call.operation, document):
            if at in self._facts and point(self.call.document, tokens(at)) == value:
                found[at] = self._facts[at]
            elif self._measure is not None:
                if value not in self._known:
                    self._known[value] = self._measure(value)
                found[at] = self._known[value]
        return found


class Search:
    """One search, the least change first, or with more `greed` the fewest faults: at most `MOST_TRIES` are judged."""

    def __init__(self, pictures: Pictures, first: Collection[Violation], greed: float) -> None:
        self.pictures, self.greed = pictures, greed
        self.first = {_name(violation) for violation in first}
        self.queue: list[tuple[float, int, int, State, Trial | None, Patch]] = []
        self.hopeless: set[Name] = set()
        self.seen: set[object] = set()
        self.number = self.tries = 0

    def best(self, start: State) -> tuple[State, bool]:
        """The state in which nothing is left to be mended; or the one with the fewest faults, and that it is not."""
        best = start
        self._push(start, start.cost)
        while self.queue and self.tries < MOST_TRIES:
            _, left, _, state, trial, patch = heappop(self.queue)
            if trial is not None:
                self._try(state, trial, patch)
                continue
            if not left:
                return state, True
            best = min(best, state, key=self._far)
            self._expand(state)
        return best, False

    def _far(self, state: State) -> float:
        """How far a state is from a good end, at most."""
        left = (GIVEN_UP if _name(violation) in self.first else BROUGHT for violation in state.left)
        return state.cost + sum(left)

    def _push(self, state: State, cost: float, trial: Trial | None = None, patch: Patch = ()) -> None:
        self.number += 1
        left = len(state.left) - (trial is not None)
        heappush(self.queue, (cost + self.greed * left, left, self.number, state, trial, patch))

    def _expand(self, state: State) -> None:
        """Line up what might mend the first fault; and to let it stay, which is dear."""
        target = state.left[0]
        ways = [] if _name(target) in self.hopeless else moves(state.judgement, target, state.facts)
        trial = Trial(state, target, len(ways))
        for cost, patch in ways:
            self._push(replace(state, cost=state.cost + cost), state.cost + cost, trial, patch)
        dear = GIVEN_UP if _name(target) in self.first else BROUGHT
        staying = replace(state, cost=state.cost + dear, staying=state.staying | {_name(target)})
        self._push(staying, staying.cost)

    def _try(self, state: State, trial: Trial, patch: Patch) -> None:
        """Judge a move; one that mends its fault leads on. A fault that no move mends is hopeless everywhere."""
        steps = (*state.steps, (trial.target, patch))
        trial.open -= 1
        if (changes := _changes(steps, state.staying)) not in self.seen:
            self.seen.add(changes)
            self.tries += 1
            judgement, facts = self.pictures.judged(apply(patch, state.judgement.call.document))
            rule = trial.target.rule
            if _count(judgement, rule) < _count(trial.state.judgement, rule):
                trial.mended = True
                lost = state.judgement.parameters.get("prompt") and not judgement.parameters.get("prompt")
                after = State(steps, judgement, facts, state.cost + WORDLESS * bool(lost), state.staying)
                self._push(after, after.cost)
        else:
            trial.mended = True  # for all that is known
        if not trial.open and not trial.mended:
            self.hopeless.add(_name(trial.target))


def _name(violation: Violation) -> Name:
    return violation.rule, violation.pointer


def _count(judgement: Judgement, rule: str) -> int:
    return sum(violation.rule == rule for violation in faults(judgement))


def _changes(steps: Iterable[Step], staying: frozenset[Name]) -> object:
    """What some steps come to, whatever their order: the last operation at each pointer."""
    last = {row["path"]: (row["op"] == "remove", repr(row.get("value"))) for _, patch in steps for row in patch}
    return frozenset(last.items()), staying


def _joined(steps: list[Step], document: Any) -> list[Step]:
    """The steps without what later ones undo; who undoes all of a step takes its place."""
    joined: list[Step] = []
    for violation, patch in steps:
        kept, owner = [], violation
        for earlier, operations in joined:
            rest = tuple(row for row in operations if not any(_undoes(new["path"], row["path"]) for new in patch))
            if rest:
                kept.append((earlier, rest))
            elif owner is violation:
                owner = earlier
        joined = [*kept, (owner, patch)]
    try:
        written = list(_written(joined, document))
        return written if _after(written, document) == _after(steps, document) else steps
    except Inapplicable:
        return steps


def _undoes(later: str, earlier: str) -> bool:
    """Whether an operation leaves nothing of an earlier one; among the items of a list pointers may have moved."""
    if any(token.isdigit() for token in tokens(later)):
        return False
    return earlier == later or earlier.startswith(later + "/")


def _written(steps: Iterable[Step], document: Any) -> Iterator[Step]:
    """The steps with each operation as the document asks for it: replace what is there, add what is not."""
    for violation, patch in steps:
        rows: list[Mapping[str, Any]] = []
        for row in patch:
            there = point(document, tokens(row["path"])) is not ABSENT
            if row["op"] == "remove" and not there:
                continue
            op = row["op"] if there or row["op"] == "remove" else "add"
            rows.append({**row, "op": "replace" if op == "add" and there else op})
            document = apply(rows[-1:], document)
        if rows:
            yield violation, tuple(rows)


def _after(steps: Iterable[Step], document: Any) -> Any:
    """The document with some steps taken. Raises `Inapplicable`."""
    for _, patch in steps:
        document = apply(patch, document)
    return document


def _needed(steps: list[Step], pictures: Pictures, left: int) -> list[Step]:
    """The steps without those that later ones have made needless."""
    for needless in reversed(steps):
        others = [other for other in steps if other is not needless]
        try:
            document = _after(others, pictures.call.document)
        except Inapplicable:
            continue
        if len(faults(pictures.judged(document)[0])) <= left:
            steps = others
    return steps


def _attributed(steps: list[Step], found: list[Violation]) -> list[Step]:
    """The steps, each with the violation whose field it changes, if it is not another step's."""
    taken = {_name(violation) for violation, patch in steps if violation.pointer in {row["path"] for row in patch}}
    told: list[Step] = []
    for violation, patch in steps:
        paths = {row["path"] for row in patch}
        if violation.pointer not in paths or violation not in found:
            mine = (one for one in found if one.pointer in paths and _name(one) not in taken)
            violation = next(mine, violation)
            taken.add(_name(violation))
        told.append((violation, patch))
    return told


def _priced(steps: list[Step], pictures: Pictures) -> Iterator[Suggestion]:
    """The steps as suggestions, each with what the payload costs before and after it."""
    document = pictures.call.document
    before = pictures.judged(document)[0].quote
    for violation, patch in steps:
        document = apply(patch, document)
        after = pictures.judged(document)[0].quote
        yield Suggestion(violation.rule, violation.pointer, patch, before, after)
        before = after
