"""What of a provider's behaviour can be covered: every point that some client of this provider can come to.

A point counts only if there is a way to it in the documents themselves, or a percentage of them would be a lie: an
error that neither a situation which can arise nor a scenario answers with is none, nor is a state that no course leads
through. Each function is one dimension; none of them knows what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from msgspec import Struct

from kling_mock.core.capabilities import Capabilities, Cell, Feature
from kling_mock.core.courses import failing
from kling_mock.core.documents import tokens
from kling_mock.core.errors import KEYWORDS, SITUATIONS, CatalogueEntry
from kling_mock.core.expressions import text
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.reading import Reader
from kling_mock.core.scenarios import Hooks, Scenario

CREATED = "create"
SCOPE: dict[str, Any] = {"request": {}, "violation": {}, "now": 0}


class Point(Struct, frozen=True):
    """One thing that a client can do or meet: of which dimension, of which operation (None: of any), and its name."""

    dimension: str
    operation: str | None
    name: str

    @property
    def label(self) -> str:
        """The point in one line, without its dimension."""
        return self.name if self.operation in (None, self.name) else f"{self.operation} {self.name}"


def creates(provider: Provider) -> list[Operation]:
    """The operations that make tasks."""
    return [operation for operation in provider.operations.values() if operation.role == CREATED]


def kind_of(operation: Operation) -> str:
    """The kind of task that an operation makes."""
    return str(operation.task.kind({})) if operation.task else ""


def operations(provider: Provider) -> Iterator[Point]:
    """Every operation."""
    return (Point("operations", name, name) for name in provider.operations)


def values(provider: Provider) -> Iterator[Point]:
    """Every value of every listed field or parameter; of headers none, for no journal keeps them all."""
    for operation in provider.operations.values():
        places = [(row.name, row.reader) for row in operation.parameters if row.where != "header"]
        rows = [row for name, reader in places for row in listed(reader, (name,))]
        rows += [row for body in operation.bodies.values() for row in listed(body.reader)]
        for at, value in rows:
            yield value_point(operation, at, value)


def listed(reader: Reader, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that a reader lists for the place of itself or of something below it; "*" is an item of an array."""
    yield from ((path, value) for value in reader.choices)
    for name, member in reader.members.items():
        yield from listed(member, (*path, name))
    if reader.items is not None:
        yield from listed(reader.items, (*path, "*"))


def value_point(operation: Operation, path: Iterable[str], value: Any) -> Point:
    """The point of one value of one place."""
    return Point("values", operation.id, f"{'/'.join(path)}={text(value)}")


def features(provider: Provider) -> Iterator[Point]:
    """Every feature with every model that has it in some mode; what the documents do not say of a model is left out."""
    table = provider.capabilities
    if table is None:
        return
    kinds = {kind_of(operation) for operation in creates(provider)}
    for model, modes in table.matrix.items():
        for feature in table.features.values():
            if feature.kinds & kinds and any(_there(cells.get(feature.name)) for cells in modes.values()):
                yield feature_point(table, feature, model)


def _there(cell: Cell | None) -> bool:
    return cell is not None and bool(cell.seconds)


def feature_point(table: Capabilities, feature: Feature, model: str) -> Point:
    """The point of a feature that a model has."""
    return Point("features", None, f"{called(table, feature)} on {model}")


def called(table: Capabilities, feature: Feature) -> str:
    """A feature as its refusals call it, and by its own name where they call several so."""
    alike = sum(other.called == feature.called for other in table.features.values())
    return feature.called if alike == 1 or feature.called == feature.name else f"{feature.called} ({feature.name})"


def fired(provider: Provider) -> Iterator[Point]:
    """Every rule that stands in some operation's schema or speaks of what some operation makes, and every feature
    that some model lacks."""
    yield from (Point("fired", None, name) for name in judged(provider))
    table = provider.capabilities
    for feature in table.features.values() if table else ():
        if feature.severity == "refused" and _lacking(provider, feature):
            yield Point("fired", None, feature.name)


def judged(provider: Provider) -> list[str]:
    """The rules that are ever judged."""
    made = creates(provider)
    kinds, roles = {kind_of(operation) for operation in made}, {role for operation in made for role in operation.images}
    standing = {name for o in provider.operations.values() for body in o.bodies.values() for name in body.rules}
    standing |= {row.rule.id for row in provider.judged if row.kinds & kinds}
    standing |= {row.rule.id for row in provider.measured if row.of & roles}
    return [name for name in provider.rules if name in standing]


def _lacking(provider: Provider, feature: Feature) -> bool:
    """Whether there is a model, mode and length that a request can name and that do not have the feature."""
    table = provider.capabilities
    made = [operation for operation in creates(provider) if kind_of(operation) in feature.kinds]
    lengths: list[float | None] = [
        float(value) for operation in made for value in _listed_at(operation, "seconds") if text(value).isdecimal()
    ]
    cells = [cells.get(feature.name) for modes in (table.matrix if table else {}).values() for cells in modes.values()]
    return bool(made) and any(
        cell is None or cell.without or not all(map(cell.has, lengths or [None])) for cell in cells
    )


def _listed_at(operation: Operation, parameter: str) -> list[Any]:
    """The values that are listed for the field which says a parameter of the job."""
    found: list[Any] = []
    for body in operation.bodies.values():
        reader: Reader | None = body.reader
        for token in tokens(operation.pointers.get(parameter, "/")):
            reader = reader.members.get(token) if reader else None
        found += reader.choices if reader else ()
    return found


def held(provider: Provider) -> Iterator[Point]:
    """Every rule that a request can nearly break: its own valid example does, or it is about images."""
    compared = {row.rule.id for row in provider.judged if row.compare is not None and row.compare.images}
    measured = {row.rule.id for row in provider.measured}
    for name in judged(provider):
        if provider.rules[name].near.fields or name in compared | measured:
            yield Point("held", None, name)


def courses(provider: Provider) -> list[tuple[str, ...]]:
    """Every path that a task can take: the usual one, the one of a create that is bound to fail, and scenarios'."""
    lifecycle = provider.lifecycle
    told = [row.timeline for row in provider.scenarios.values() if row.timeline]
    return [lifecycle.usual, failing(lifecycle), *told]


def cancelled(provider: Provider) -> set[str]:
    """The states into which a task can be cancelled."""
    words = (operation.task for operation in provider.operations.values() if operation.role == "cancel")
    return {row.to for row in words if row and row.to}


def states(provider: Provider) -> Iterator[Point]:
    """Every state that some course leads through, or into which a task can be cancelled."""
    reached = {state for course in courses(provider) for state in course} | cancelled(provider)
    return (Point("states", None, state) for state in provider.lifecycle.states if state in reached)


def transitions(provider: Provider) -> Iterator[Point]:
    """Every step of some course, with the one into its first state, and every cancelling."""
    found = {(CREATED, course[0]): None for course in courses(provider)}
    found |= {step: None for course in courses(provider) for step in pairwise(course)}
    reached = {state for course in courses(provider) for state in course}
    for before, row in provider.lifecycle.states.items():
        found |= {(before, to): None for to in row.then if before in reached and to in cancelled(provider)}
    return (transition_point(before, after) for before, after in found)


def transition_point(before: str, after: str) -> Point:
    """The point of a step from one state to another, or of a create into its first."""
    return Point("transitions", None, f"{before} -> {after}")


def errors(provider: Provider) -> Iterator[Point]:
    """Every entry of the catalogue that answers a situation which can arise, a rule, a feature or a scenario."""
    table = provider.errors
    answering: set[str | None] = {table.answering(row) for row in situations(provider)}
    roles = {operation.role for operation in provider.operations.values()}
    answering |= {
        answer.error for row in provider.scenarios.values() for answer in row.answers if answer.on & roles or _open(row)
    }
    answering |= {provider.rules[name].error for name in judged(provider) if _refuses(provider, name)}
    lacking = {point.name for point in fired(provider)}
    for feature in provider.capabilities.features.values() if provider.capabilities else ():
        answering |= {feature.error, feature.nowhere} if feature.name in lacking else set()
    return (error_point(entry) for name, entry in table.catalogue.items() if name in answering)


def _refuses(provider: Provider, rule: str) -> bool:
    return provider.rules[rule].severity == "refused"


def _open(scenario: Scenario) -> bool:
    """Whether the reference says which calls a scenario answers."""
    return "call" in scenario.parameters


def error_point(entry: CatalogueEntry) -> Point:
    """The point of a catalogue entry, under the code that a client reads: its own, else the HTTP status."""
    told = entry.values(SCOPE)
    own = told.get("code", next((value for key, value in told.items() if key.endswith("code")), entry.status))
    return Point("errors", None, f"{text(own)} {entry.name}")


def situations(provider: Provider) -> Iterator[str]:
    """The situations that some request or account of this provider can bring about; that the mock fails is none."""
    every = list(provider.operations.values())
    made = creates(provider)
    ways = [way for o in every for some in o.security for scheme in some for way in scheme.ways]
    tokens_ = any(way.jwt for way in ways)
    bodies = any(operation.bodies for operation in every)
    named = [
        *(name for name in SITUATIONS),
        *(f"{stage}.{word}" for stage in ("body", "parameters") for word in KEYWORDS),
    ]
    arises = {
        "token": bool(ways),
        "token.malformed": tokens_ or any(way.pattern for way in ways),
        "token.encoding": tokens_,
        "token.algorithm": tokens_,
        "token.claims": tokens_,
        "token.signature": tokens_,
        "token.not-yet-valid": tokens_,
        "token.expired": tokens_,
        "body": bodies,
        "parameters": any(operation.parameters for operation in every),
        "rules": any(_refuses(provider, name) and not provider.rules[name].error for name in judged(provider)),
        "capabilities": any(
            not row.error and row.severity == "refused" and _lacking(provider, row)
            for row in (provider.capabilities.features.values() if provider.capabilities else ())
        ),
        "task.unknown": any(o.task and (o.task.find or o.task.parents) for o in every),
        "task.unfinished": any(o.task and o.task.parents for o in made),
        "task.finished": bool(cancelled(provider)),
        "alias": any(o.task and o.task.alias for o in made),
        "balance": bool(provider.packs) and any(o.result and o.result.pack and o.result.prices for o in made),
        "slots": bool(made),
        "mock": False,
    }
    for situation in named:
        if arises.get(situation, arises.get(situation.partition(".")[0], True)):
            yield situation


def scenarios(provider: Provider) -> Iterator[Point]:
    """Every scenario that changes anything here: one about cancelling is none where nothing can be cancelled."""
    roles = {operation.role for operation in provider.operations.values()}
    calls_back = any(operation.callbacks for operation in provider.operations.values())
    for name, row in provider.scenarios.items():
        fixed = row.timeline or row.latency or row.reason or row.longer_ms or row.expires_ms is not None
        answers = _open(row) or any(answer.on & roles for answer in row.answers)
        if fixed or answers or (calls_back and row.hooks != Hooks()):
            yield Point("scenarios", None, name)


def webhooks(provider: Provider) -> Iterator[Point]:
    """What can become of an attempt, where somebody is called back at all."""
    rows = [row for operation in provider.operations.values() for row in operation.callbacks]
    if rows:
        names = [
            "delivered",
            "failed",
            *(["retried"] if any(row.retries for row in rows) else []),
            "given up",
            "replayed",
        ]
        yield from (Point("webhooks", None, name) for name in names)
