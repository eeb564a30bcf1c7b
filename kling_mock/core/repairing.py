"""The nearest valid payload: small JSON Patches (RFC 6902), each tried before it is offered.

A violation has candidates: what its rule says in YAML, what its keyword allows, or another length, mode or partner from
the capability table. The first candidate that leaves fewer faults behind is taken, and the rest is judged again;
a fault that was hidden by the one that is gone does not count against it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from kling_mock.core.calls import Call
from kling_mock.core.documents import tokens
from kling_mock.core.expressions import ABSENT, point, text
from kling_mock.core.judging import Facts, Judgement, judge
from kling_mock.core.model import Quote, Violation
from kling_mock.core.reading import Reader, convert, is_absent

MOST_STEPS = 24
REPAIRABLE = ("body", "rules", "capabilities")

Patch = tuple[Mapping[str, Any], ...]
Step = tuple[Violation, Patch]


class Suggestion(Struct, frozen=True):
    """A mechanical repair of one violation: apply in order; the price before and after, where both are known."""

    rule: str
    pointer: str
    patch: Patch
    before: Quote | None = None
    after: Quote | None = None


def apply(patch: Iterable[Mapping[str, Any]], document: Any) -> Any:
    """A copy of the document with the operations (add, remove, replace) carried out; one that cannot be is left out."""
    result = copy.deepcopy(document)
    for operation in patch:
        *parents, last = tokens(operation["path"])
        parent = point(result, parents)
        if isinstance(parent, list) and last.isdigit() and int(last) < len(parent):
            if operation["op"] == "remove":
                del parent[int(last)]
            else:
                parent[int(last)] = operation["value"]
        elif isinstance(parent, dict):
            if operation["op"] == "remove":
                parent.pop(last, None)
            else:
                parent[last] = operation["value"]
    return result


def faults(judgement: Judgement) -> list[Violation]:
    """What keeps a payload from being accepted and succeeding, as far as the payload can mend it."""
    return [v for v in judgement.violations if v.severity != "warning" and v.stage in REPAIRABLE]


def suggest(call: Call, facts: Facts) -> tuple[Suggestion, ...]:
    """Repairs that, applied in order, leave no fault that has a mechanical repair, and none that could be left out."""
    steps: list[Step] = []
    current, judgement = call, judge(call, facts)
    for _ in range(MOST_STEPS):
        step = _step(current, judgement, facts)
        if step is None:
            break
        violation, patch, current, judgement = step
        _append(steps, violation, patch)
    left = len(faults(judgement))
    for needless in reversed(steps[:-1]):  # what a later step mends with its own fault need not be mended before
        others = [other for other in steps if other is not needless]
        if len(faults(judge(_after(call, others), facts))) <= left:
            steps = others
    return tuple(_priced(call, steps, facts))


def _append(steps: list[Step], violation: Violation, patch: Patch) -> None:
    """Add a step; one that changes the very value that an earlier step has put takes the place of its patch."""
    for number, (earlier, before) in enumerate(steps):
        if len(patch) == len(before) == 1 and patch[0]["path"] == before[0]["path"] and patch[0]["op"] == "replace":
            steps[number] = earlier, ({**patch[0], "op": before[0]["op"]},)
            return
    steps.append((violation, patch))


def _after(call: Call, steps: Iterable[Step]) -> Call:
    """The call with some steps taken."""
    document = call.document
    for _, patch in steps:
        document = apply(patch, document)
    return replace(call, document=document)


def _priced(call: Call, steps: list[Step], facts: Facts) -> Iterator[Suggestion]:
    """The steps as suggestions, each with what the payload costs before and after it."""
    before = judge(call, facts).quote
    for number, (violation, patch) in enumerate(steps, start=1):
        after = judge(_after(call, steps[:number]), facts).quote
        yield Suggestion(violation.rule, violation.pointer, patch, before, after)
        before = after


def _step(call: Call, judgement: Judgement, facts: Facts) -> tuple[Violation, Patch, Call, Judgement] | None:
    """The first violation that a candidate mends, best of all without a new fault in its place.

    What could not be judged before may come up; nothing else may.
    """
    before, second = faults(judgement), None
    for violation in before:
        for patch in candidates(judgement, violation):
            mended = replace(call, document=apply(patch, call.document))
            after = judge(mended, facts)
            left = faults(after)
            if len(left) < len(before):
                return violation, patch, mended, after
            if second is None and _weight(left) < _weight(before):
                second = violation, patch, mended, after
    return second


def _weight(found: Iterable[Violation]) -> list[int]:
    """How many faults there are by stage: each stage is judged of what those before it have let pass."""
    stages = [violation.stage for violation in found]
    return [stages.count(stage) for stage in REPAIRABLE]


def candidates(judgement: Judgement, violation: Violation) -> Iterator[Patch]:
    """Patches that might mend a violation, the smallest change first."""
    provider = judgement.call.provider
    if not violation.pointer:
        return  # nothing but another document would mend the document itself
    rule = provider.rules.get(violation.rule)
    if rule is not None:
        if rule.repair:
            yield rule.repair
        yield from _sums(judgement, violation.rule)
        if isinstance(choices := violation.values.get("choices"), list):
            value = point(judgement.call.document, tokens(violation.pointer))
            yield from (_put(violation.pointer, choice) for choice in _nearest(value, choices))
    elif violation.stage == "capabilities":
        yield from _other_cells(judgement, violation)
    else:
        value = point(judgement.call.document, tokens(violation.pointer))
        keyword = violation.rule.rpartition("/")[2]
        bound = violation.values.get("bound")
        if keyword in ("maximum", "minimum"):
            bound = _typed(judgement, violation.pointer, bound)
        yield from _by_keyword(keyword, bound, violation.pointer, value)


def _sums(judgement: Judgement, rule: str) -> Iterator[Patch]:
    """Another number where the numbers of a comparison should add up."""
    document = judgement.scope["request"]["body"]
    compares = (row.compare for row in judgement.call.provider.judged if row.rule.id == rule)
    for compare in compares:
        for at, number in compare.mended(document) if compare else ():
            yield _set(judgement, at, number)


def _typed(judgement: Judgement, pointer: str, value: Any) -> Any:
    """A value in the type that the documents ask for at a pointer."""
    reader: Reader | None = next(iter(judgement.operation.bodies.values())).reader
    for token in tokens(pointer):
        reader = None if reader is None else reader.items if token.isdigit() else reader.members.get(token)
    return convert(value, reader.type) if reader and reader.type else value


def _by_keyword(keyword: str, limit: Any, pointer: str, value: Any) -> Iterator[Patch]:
    if keyword == "enum" and isinstance(limit, list):
        yield from (_put(pointer, choice) for choice in _nearest(value, limit))
    elif keyword == "type":
        types = limit if isinstance(limit, list) else [limit]
        read = (convert(value, name) for name in types if name not in ("null", None))
        yield from (_put(pointer, converted) for converted in read if converted is not ABSENT)
    elif keyword in ("maximum", "minimum"):
        yield _put(pointer, limit)
    elif keyword in ("maxLength", "maxItems") and isinstance(value, str | list):
        yield _put(pointer, value[:limit])
    if value is not ABSENT and pointer:
        yield ({"op": "remove", "path": pointer},)


def _put(pointer: str, value: Any) -> Patch:
    return ({"op": "replace", "path": pointer, "value": value},)


def _nearest(value: Any, choices: list[Any]) -> list[Any]:
    """The choices that were probably meant: the numbers, nearest first, else the closest text."""
    wanted = [choice for choice in choices if not is_absent(choice)]
    number = convert(value, "number")
    numbers = {choice: convert(choice, "number") for choice in wanted if not isinstance(choice, bool)}
    if number is not ABSENT and numbers and ABSENT not in numbers.values():
        same = [choice for choice in wanted if type(choice) is type(value)] or wanted
        return sorted(same, key=lambda choice: abs(numbers[choice] - number))
    texts = {text(choice).lower(): choice for choice in sorted(wanted, key=lambda choice: type(choice) is type(value))}
    return [texts[name] for name in get_close_matches(text(value).lower(), list(texts), n=1, cutoff=0.5)]


def _other_cells(judgement: Judgement, violation: Violation) -> Iterator[Patch]:
    """Another length in the same mode, another mode, without the clashing feature, without the feature."""
    table, job = judgement.call.provider.capabilities, judgement.parameters
    assert table is not None
    feature = table.features[violation.rule]
    model, mode, seconds = str(job.get("model")), str(job.get("mode", "*")), job.get("seconds")
    here = table.cell(model, mode, feature.name)
    if here is not None:
        yield from (patch for length in here.nearest(seconds) if (patch := _parameter(judgement, "seconds", length)))
        yield from (({"op": "remove", "path": table.features[name].field},) for name in here.without)
    elsewhere = [row for row in table.choices(feature.name, model) if row[0] not in (mode, "*")]
    for other, cell in sorted(elsewhere, key=lambda row: not row[1].has(seconds)):
        lengths = [] if cell.has(seconds) else cell.nearest(seconds)[:1]
        changes = [_parameter(judgement, "mode", other), *(_parameter(judgement, "seconds", row) for row in lengths)]
        if None not in changes:
            yield tuple(operation for patch in changes for operation in patch or ())
    if feature.field != judgement.operation.pointers.get("model"):
        yield ({"op": "remove", "path": feature.field},)
        return
    # Without its model a request would mean the default one: it is another model that is wanted, the nearest by name.
    cells = ((name, table.cell(name, mode, feature.name)) for name in table.matrix)
    having = [name for name, there in cells if there and there.has(seconds)]
    for other in get_close_matches(model, having, n=1, cutoff=0.0):
        yield _set(judgement, feature.field, other)


def _parameter(judgement: Judgement, name: str, value: Any) -> Patch | None:
    """Set a parameter of the job where the body says it, in the type that the documents ask for."""
    operation = judgement.operation
    pointer = operation.pointers.get(name)
    if pointer is None:
        return None
    return _set(judgement, pointer, value)


def _set(judgement: Judgement, pointer: str, value: Any) -> Patch:
    """Put a value where a pointer points, in the type that the documents ask for."""
    written = _typed(judgement, pointer, value)
    given = point(judgement.call.document, tokens(pointer)) is not ABSENT
    return ({"op": "replace" if given else "add", "path": pointer, "value": written},)
