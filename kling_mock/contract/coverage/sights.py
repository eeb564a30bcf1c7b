"""When a point was covered: what one exchange shows of it. Violations are taken as they were found, not judged again.

A request came *as far as the rules* if nothing refused it but rules, features, or what an account has left: one that
was refused for its token or for a field of the wrong type says nothing of its other values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from kling_mock.contract.coverage.points import (
    CREATED,
    Point,
    error_point,
    feature_point,
    kind_of,
    transition_point,
    value_point,
)
from kling_mock.contract.errors import Catalogue
from kling_mock.core.calls import body_for, images
from kling_mock.core.expressions import text
from kling_mock.core.judging import job_of
from kling_mock.core.model import Attempt, Exchange
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.reading import Reader, is_absent
from kling_mock.core.routes import segments

STORED = frozenset({"task", "alias", "balance", "slots"})
"""The stages of the refusals that only the store can know of: they come after all that the request says."""


class Sighting:
    """One exchange, as the dimensions look at it. `shown` are the states in which tasks were shown before."""

    def __init__(self, provider: Provider, exchange: Exchange, catalogue: Catalogue, shown: Mapping[str, str]) -> None:
        self.provider, self.exchange, self.catalogue, self.shown = provider, exchange, catalogue, shown
        self.operation: Operation | None = provider.operations.get(exchange.operation or "")
        self.broken = {row.rule for row in exchange.violations}
        self.refused = {row.rule for row in exchange.violations if row.severity == "refused"}
        self.request: Mapping[str, Any] = exchange.request
        self.document = self.request.get("body")

    @cached_property
    def judged(self) -> Operation | None:
        """The operation, if the request came as far as the rules."""
        table = self.provider.capabilities
        known = {*self.provider.rules, *(table.features if table else ())}
        return self.operation if all(row in known or _stored(row) for row in self.refused) else None

    @cached_property
    def body(self) -> Any:
        """The request's document as it is read, with its defaults; None where there is none."""
        reader = self.reader
        return reader.read(self.document) if reader and isinstance(self.document, dict) else None

    @cached_property
    def reader(self) -> Reader | None:
        """How the request's document is read."""
        body = self._body
        return body.reader if body else None

    @cached_property
    def standing(self) -> frozenset[str]:
        """The rules that stand in the schema of the request's document."""
        body = self._body
        return body.rules if body else frozenset()

    @property
    def _body(self) -> Any:
        headers = {name.lower(): value for name, value in self.request.get("headers", {}).items()}
        return body_for(self.operation, str(headers.get("content-type", ""))) if self.operation else None

    @cached_property
    def pictures(self) -> list[tuple[str, str, bool]]:
        """The images of a create as (role, pointer, whether it is an address and so was not looked at)."""
        if self.operation is None or self.operation.role != CREATED:
            return []
        found = images(self.operation, self.document)
        return [(role, at, value[:8].lower().startswith(("http://", "https://"))) for role, at, value in found]


def _stored(rule: str) -> bool:
    by, _, situation = rule.partition("/")
    return by == "mock" and situation.partition(".")[0] in STORED


def operations(seen: Sighting) -> Iterator[Point]:
    """The operation, if it was answered with success and nothing refused the request."""
    status = seen.exchange.reply.get("status", 0)
    if seen.operation and not seen.refused and 200 <= int(status) < 300:
        yield Point("operations", seen.operation.id, seen.operation.id)


def values(seen: Sighting) -> Iterator[Point]:
    """Every listed value that was sent, not those that a default stands for."""
    operation = seen.judged
    if operation is None:
        return
    sent = {"query": dict(parse_qsl(str(seen.request.get("query", "")))), "path": _path(operation, seen.request)}
    for row in operation.parameters:
        value = sent.get(row.where, {}).get(row.name)
        if value is not None and row.reader.choices:
            yield value_point(operation, (row.name,), row.reader.read(value))
    if seen.reader:
        for at, value in _listed(seen.reader, seen.document, ()):
            yield value_point(operation, at, value)


def _path(operation: Operation, request: Mapping[str, Any]) -> dict[str, str]:
    """The parameters in a path, which may stand below a mount point."""
    named = segments(operation.path)
    given = segments(str(request.get("path", "")).rstrip("/"))[-len(named) :]
    return {name[1:-1]: value for name, value in zip(named, given, strict=False) if name.startswith("{")}


def _listed(reader: Reader, value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of a place whose values are listed, as it is read."""
    if is_absent(value):
        return
    if reader.choices:
        yield path, reader.read(value)
    if isinstance(value, dict):
        for name, member in reader.members.items():
            if name in value:
                yield from _listed(member, value[name], (*path, name))
    elif isinstance(value, list) and reader.items is not None:
        for item in value:
            yield from _listed(reader.items, item, (*path, "*"))


def features(seen: Sighting) -> Iterator[Point]:
    """The features that a create asked for and got, with its model."""
    table, operation = seen.provider.capabilities, seen.operation
    if table is None or operation is None or operation.role != CREATED or seen.refused or seen.body is None:
        return
    model = job_of(operation, {"request": {"body": seen.body}}).get("model")
    kind = kind_of(operation)
    for feature in table.features.values():
        if kind in feature.kinds and feature.name not in seen.broken and feature.asked.holds(seen.body):
            yield feature_point(table, feature, text(model))


def fired(seen: Sighting) -> Iterator[Point]:
    """The rules and features that were broken, warnings included."""
    return (Point("fired", None, rule) for rule in seen.broken)


def held(seen: Sighting) -> Iterator[Point]:
    """The rules that the request kept although it came as near to breaking them as their valid example does.

    Of a rule over images: one was given that could be looked at, and no other rule over images had anything against
    it; of one that compares images: two of them were.
    """
    operation = seen.judged
    if operation is None:
        return
    names = [name for name in seen.standing if seen.provider.rules[name].near.fits(seen.body)]
    if operation.role == CREATED:
        kind = kind_of(operation)
        names += [row.rule.id for row in seen.provider.judged if kind in row.kinds and _nearly(row, seen)]
        names += _measured(seen)
    yield from (Point("held", None, name) for name in names if name not in seen.broken)


def _nearly(row: Any, seen: Sighting) -> bool:
    """Whether a rule over the read document was nearly broken."""
    if row.compare is None or not row.compare.images:
        return bool(row.rule.near.fits(seen.body))
    roles = {*row.compare.images, row.compare.like}
    return sum(role in roles and not address for role, _, address in seen.pictures) > 1


def _measured(seen: Sighting) -> Iterator[str]:
    """The rules over images that looked at one in which nothing was wrong."""
    rows = seen.provider.measured
    over = {row.rule.id for row in rows}
    spoilt = {row.pointer for row in seen.exchange.violations if row.rule in over and row.severity == "refused"}
    for role, at, address in seen.pictures:
        if at not in spoilt:
            yield from (row.rule.id for row in rows if role in row.of and not (address and row.passes))


def states(seen: Sighting) -> Iterator[Point]:
    """The states that the answer showed."""
    shown = () if seen.exchange.lost else seen.exchange.saw
    return (Point("states", None, sight.state) for sight in shown)


def transitions(seen: Sighting) -> Iterator[Point]:
    """The steps from what was last shown of a task to what this answer shows, and from a create to its first state."""
    for sight in () if seen.exchange.lost else seen.exchange.saw:
        before = CREATED if seen.exchange.role == CREATED else seen.shown.get(sight.task)
        if before is not None:
            yield transition_point(before, sight.state)


def errors(seen: Sighting) -> Iterator[Point]:
    """The entry of the catalogue that the answer is."""
    reply = seen.exchange.reply
    names = seen.catalogue.recognised(reply.get("body"), int(reply.get("status", 0)))
    return (error_point(seen.provider.errors.catalogue[name]) for name in names)


def scenarios(seen: Sighting) -> Iterator[Point]:
    """The scenario that ruled the call, whatever its parameters."""
    if seen.exchange.scenario:
        yield Point("scenarios", None, seen.exchange.scenario.partition(" ")[0])


def webhooks(provider: Provider, attempts: Sequence[Attempt]) -> Iterator[Point]:
    """What became of the attempts at one webhook, in the order in which they were made.

    One after the receiver took it, or after the last that the provider makes by itself, is a replay.
    """
    rows = [row for operation in provider.operations.values() for row in operation.callbacks]
    most, stops = max((len(row.retries) for row in rows), default=0), {s for row in rows for s in row.stops}
    over = False
    for number, attempt in enumerate(attempts):
        taken = attempt.status is not None and 200 <= attempt.status < 300
        if number:
            yield Point("webhooks", None, "replayed" if over else "retried")
        yield Point("webhooks", None, "delivered" if taken else "failed")
        over = over or taken or attempt.status in stops or number >= most
        if over and not taken:
            yield Point("webhooks", None, "given up")
