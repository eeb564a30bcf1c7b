"""Examples of what the documents show none of: a payload that a feature or keyword accepts, and one that it refuses.

They are looked for, not written: what the rules show and what the schema says is put together, changed by the table of
features, and judged. Only what is really accepted or refused, for this reason and if possible no other, is an example.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple, TypeGuard

from kling_mock.core.capabilities import Capabilities, Feature
from kling_mock.core.documents import Place, tokens
from kling_mock.core.expressions import ABSENT, point, text
from kling_mock.core.judging import Judgement
from kling_mock.core.judging import judge as judge_call
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.reading import is_absent
from kling_mock.payloads import measured
from kling_mock.report_prices import call_of, put

DIMENSIONS = ("model", "mode", "seconds")
SECONDS = (5, 10, 3, 15, 1, 60)
ADDRESS, WORD = "https://example.com/a.png", "text"
MOST = 10_000
"""Longer texts and lists are no example that anybody wants to see."""


class Example(NamedTuple):
    """Two payloads of an operation; the second one differs by what makes it wrong."""

    operation: str
    valid: dict[str, Any]
    invalid: dict[str, Any]


class Examples:
    """Looks for examples in one provider's documents; `root` is its OpenAPI document."""

    def __init__(self, provider: Provider, root: Place) -> None:
        self.provider, self._documents = provider, root.documents
        shown = [row.node[which] for _, row in root.get("x-mock-rules").items() for which in ("valid", "invalid")]
        bodies = [row.get("document", row) for row in shown if isinstance(row, dict) and "given" not in row]
        self._shown = sorted((row for row in bodies if isinstance(row, dict)), key=_size)

    def of_feature(self, name: str) -> Example | None:
        """A payload that asks for a feature where it is there, and one that does where it is not."""
        table = self.provider.capabilities
        feature = table.features.get(name) if table else None
        if table is None or feature is None:
            return None
        kinds = (row for row in self._creates() if row.task and row.task.kind({}) in feature.kinds)
        bodies = [*self._shown, *self._given(feature)]
        # What is documented before what is only not refused.
        for operation, documented, body in product(kinds, (True, False), bodies):
            if found := self._featured(table, feature, operation, body, documented):
                return found
        return None

    def on_models(self, name: str, example: Example) -> Iterator[tuple[str, dict[str, Any], bool]]:
        """Of each model the payload nearest to a feature's example that is accepted, or else refused for it alone.

        Gives the model, the payload, and whether it is accepted; nothing of a model of which neither can be had.
        """
        table, operation = self.provider.capabilities, self.provider.operations[example.operation]
        feature = table.features[name] if table else None
        if table is None or feature is None:
            return
        job = self.judged(operation, example.valid).parameters
        for model in table.matrix:
            bodies = list(self._nearest(table, operation, example.valid, job, [model]))
            judged = [(body, self.judged(operation, body)) for body in bodies]
            asked = [(body, row) for body, row in judged if feature.asked.holds(row.scope["request"]["body"])]
            taken = next((body for body, row in asked if not _wrong(row)), None)
            refused = next((body for body, row in judged if {one.rule for one in _wrong(row)} == {name}), None)
            if taken is not None or refused is not None:
                yield model, taken if taken is not None else refused or {}, taken is not None

    def _given(self, feature: Feature) -> Iterator[dict[str, Any]]:
        """What is shown, with the fields of a feature as addresses: most of them are images."""
        for fields in (feature.fields[:1], feature.fields):
            for shown in self._shown:
                yield {**shown, **{tokens(at)[0]: ADDRESS for at in fields}}

    def _featured(
        self, table: Capabilities, feature: Feature, operation: Operation, shown: dict[str, Any], documented: bool
    ) -> Example | None:
        def asks(body: Any) -> bool:
            judged = self.judged(operation, body)
            return not _wrong(judged) and feature.asked.holds(judged.scope["request"]["body"])

        for model, modes in table.matrix.items():
            for mode, cells in modes.items():
                cell = cells.get(feature.name)
                there = cell is not None and (bool(cell.seconds) if documented else cell.seconds is None)
                for seconds in (length for length in SECONDS if cell and there and cell.has(length)):
                    body = _with(operation, shown, {"model": model, "mode": mode, "seconds": seconds})
                    if asks(body):
                        valid = self._least(operation, body, asks)
                        if invalid := self._lacking(table, feature, operation, valid):
                            return Example(operation.id, valid, invalid)
                        break
        return None

    def _lacking(
        self, table: Capabilities, feature: Feature, operation: Operation, valid: dict[str, Any]
    ) -> dict[str, Any] | None:
        """The payload with the fewest changes of model, mode and seconds that is refused for the feature alone."""
        job = self.judged(operation, valid).parameters
        models = [str(name) for name in (job.get("model"), *table.matrix) if name]
        for body in self._nearest(table, operation, valid, job, models):
            if {violation.rule for violation in _wrong(self.judged(operation, body))} == {feature.name}:
                return body
        return None

    def _nearest(
        self,
        table: Capabilities,
        operation: Operation,
        valid: dict[str, Any],
        job: Mapping[str, Any],
        models: list[str],
    ) -> Iterator[dict[str, Any]]:
        """The payload with other models, modes and seconds, those with the fewest changes first."""
        modes = sorted({mode for rows in table.matrix.values() for mode in rows if mode != "*"})
        ways: list[list[Any]] = [
            models,
            [name for name in (job.get("mode"), *modes) if name] or ["*"],
            [length for length in (job.get("seconds"), *SECONDS) if length],
        ]
        rows = [dict(zip(DIMENSIONS, row, strict=True)) for row in product(*(dict.fromkeys(way) for way in ways))]
        for row in sorted(rows, key=lambda row: sum(row[name] != job.get(name) for name in DIMENSIONS)):
            yield _with(operation, valid, {name: value for name, value in row.items() if value != job.get(name)})

    def of_keyword(self, id_: str, schemas: Sequence[Place], tops: Sequence[Place]) -> Example | None:
        """A payload with a value that a keyword takes, and one with a value that breaks it and, if possible, no more.

        `schemas` are those of the value, `tops` those of the member of the body in which the value is.
        """
        name, *path, keyword = id_.split("/")
        operation = self.provider.operations[name]
        own = (limit for schema in schemas for limit in _limits(schema, keyword) if _counts(limit))
        limits = list(dict.fromkeys((*own, *self._anywhere(keyword))))
        best: tuple[int, Example] | None = None
        for body in self._placed(operation, path[:-1] if keyword == "unknown" else path, schemas, tops):
            value = point(body, _first(path))
            for broken in _broken(value, keyword, limits):
                wrong = _set(body, path, broken)
                rules = {row.rule for row in self.judged(operation, wrong).violations}
                if id_ in rules and (best is None or len(rules) - 1 < best[0]):
                    best = len(rules) - 1, Example(name, body, wrong)
            if best and best[0] == 0:
                break
        return best[1] if best else None

    def _placed(
        self, operation: Operation, path: list[str], schemas: Sequence[Place], tops: Sequence[Place]
    ) -> Iterator[dict[str, Any]]:
        """Payloads without anything wrong that have a value at a path: what is shown there or what fits a schema."""
        at = _first(path)
        samples, around = ([value for place in places for value in samples_of(place)] for places in (schemas, tops))
        for shown in (*self._shown, {}):
            bodies = [shown] if point(shown, at) is not ABSENT else []
            bodies += [_set(shown, path, sample) for sample in samples]
            if len(at) > 1 and at[-1] != "0" and isinstance(point(shown, at[:-1]), dict):
                bodies += [_set(shown, path[:-1], {at[-1]: sample}) for sample in samples]
            bodies += [_set(shown, path[:1], sample) for sample in around if len(at) > 1]

            def keeps(body: Any) -> bool:
                return point(body, at) is not ABSENT and not self.judged(operation, body).violations

            for body in bodies:
                least = self._least(operation, body, lambda body: point(body, at) is not ABSENT)
                if keeps(least):
                    yield least

    def _anywhere(self, keyword: str) -> Iterator[int | float]:
        """The numbers that a keyword has anywhere: a limit may hold under conditions, far from the field."""
        waiting: list[Any] = list(self._documents.values())
        while waiting:
            node = waiting.pop()
            limit = node.get(keyword) if isinstance(node, dict) else None
            if _counts(limit):
                yield limit
            waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()

    def judged(self, operation: Operation, body: Any) -> Judgement:
        """A payload's judgement."""
        call = call_of(self.provider, operation, body)
        return judge_call(call, measured(call))

    def _creates(self) -> list[Operation]:
        return [operation for operation in self.provider.operations.values() if operation.role == "create"]

    def _least(self, operation: Operation, body: dict[str, Any], keep: Callable[[Any], bool]) -> dict[str, Any]:
        """A payload without the keys that nothing depends on: without them no more is wrong with it."""
        wrong = len(self.judged(operation, body).violations)
        for key in list(body):
            without = {name: value for name, value in body.items() if name != key}
            if without and keep(without) and (left := len(self.judged(operation, without).violations)) <= wrong:
                body, wrong = without, left
        return body


def shown(body: Any) -> str:
    """A payload as it may stand in a line: long texts and lists in short."""
    return json.dumps(_short(body), ensure_ascii=False)


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > 100:
        return f"{value[:10]}... <{len(value)} characters>"
    if isinstance(value, list) and len(value) > 3 and all(item == value[0] for item in value):
        return [_short(value[0]), f"... <{len(value)} of them>"]
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return [_short(item) for item in value] if isinstance(value, list) else value


def _size(body: Any) -> int:
    return len(json.dumps(body))


def _wrong(judged: Judgement) -> list[Any]:
    """What is wrong beyond warnings."""
    return [violation for violation in judged.violations if violation.severity != "warning"]


def _with(operation: Operation, body: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
    """A payload with other parameters of its job; "*" is any mode, which is left to the default."""
    changed = dict(body)
    for name, value in job.items():
        at = operation.pointers.get(name, "")
        if value == "*":
            changed.pop(tokens(at)[0] if at else "", None)
        else:
            put(operation, changed, at, value)
    return changed


def _first(path: list[str]) -> list[str]:
    """A path to the first item of each list."""
    return [step.replace("*", "0") for step in path]


def _set(value: Any, path: list[str], new: Any) -> Any:
    """A copy with another value at a path ("*": the first item); ABSENT takes it away. What is not there is made."""
    if not path:
        return new
    head, *rest = path
    if head == "*":
        items = value if isinstance(value, list) and value else [{} if rest else new]
        return [_set(items[0], rest, new), *items[1:]]
    known = value if isinstance(value, dict) else {}
    if not rest and new is ABSENT:
        return {key: item for key, item in known.items() if key != head}
    return {**known, head: _set(known.get(head), rest, new)}


def _parts(schema: Place) -> Iterator[Mapping[str, Any]]:
    """A schema and the parts that it is made of, with what the documents ask for."""
    if isinstance(schema.node, Mapping):
        yield schema.node
        if isinstance(documented := schema.node.get("x-mock-documented"), Mapping):
            yield documented
        for part in (*schema.get("allOf").each(), schema.get("then")):
            yield from _parts(part)


def _counts(limit: Any) -> TypeGuard[int | float]:
    return isinstance(limit, int | float) and not isinstance(limit, bool)


def _limits(schema: Place, keyword: str) -> Iterator[Any]:
    return (part[keyword] for part in _parts(schema) if keyword in part)


def samples_of(schema: Place) -> Iterator[Any]:
    """Values that a schema may take; the judge says which it does."""
    for choices in _limits(schema, "enum"):
        yield from (choice for choice in choices if not is_absent(choice))
    for bound in (*_limits(schema, "minimum"), *_limits(schema, "maximum")):
        yield from (bound, text(bound))
    members = {name: next(samples_of(place), WORD) for name, place in schema.get("properties").items()}
    if members:
        yield members
    if "items" in (schema.node if isinstance(schema.node, dict) else {}):
        item = next(samples_of(schema.get("items")), WORD)
        yield from ([item] * 2, [item])
    types = [name for type_ in _limits(schema, "type") for name in (type_ if isinstance(type_, list) else [type_])]
    if "number" in types or "integer" in types:
        yield from (1, 5)
    yield from (ADDRESS, WORD, 1, "1", "5", True, {}, [WORD], [{}])


def _broken(value: Any, keyword: str, limits: list[int | float]) -> Iterator[Any]:
    """Values that may break a keyword; the judge says which do."""
    if keyword in ("required", "unknown"):
        yield ABSENT if keyword == "required" else WORD
        return
    if keyword == "enum":
        yield "something else"
    for limit in limits:
        yield from (limit + 1, limit - 1)
        if isinstance(limit, int) and 0 <= limit < MOST:
            yield from ("x" * (limit + 1), "x" * (limit - 1))
            if isinstance(value, list) and value:
                yield from (value[:1] * (limit + 1), value[: max(limit - 1, 0)])
    if isinstance(value, str) and value.isdigit():
        yield int(value)
    yield from (text(value), 5, "five", "5.5", True, 0.5, {}, [WORD])
