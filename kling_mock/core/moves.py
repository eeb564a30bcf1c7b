"""Moves: small JSON Patches (RFC 6902) that might mend a violation, each with how much of the payload it changes.

What a rule says in YAML, what a keyword allows, another length, mode or model from the capability table, and last
what can always be done: to leave out what asks for it. Every move can be applied as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from kling_mock.core.documents import escape, pointer, tokens
from kling_mock.core.expressions import ABSENT, point, text
from kling_mock.core.judging import Facts, Judgement
from kling_mock.core.model import Violation
from kling_mock.core.provider import Provider
from kling_mock.core.reading import Reader, convert, is_absent
from kling_mock.core.schemas import Rule
from kling_mock.core.trimming import cut, stilled, struck

Patch = tuple[Mapping[str, Any], ...]
Move = tuple[float, Patch]

# How much a move changes: a value, the feature that clashes out, the field out, another field out, the model.
VALUE, NEXT, OTHER, OUT, ELSEWHERE, MODEL = 1.0, 0.05, 2.0, 3.0, 4.0, 6.0
NEAR = 3
SWITCHED: Mapping[bool, tuple[str, ...]] = {True: ("on", "true", "yes", "1"), False: ("off", "false", "no", "0")}


class Inapplicable(LookupError):
    """A JSON Patch that cannot be carried out on a document as RFC 6902 has it."""


def apply(patch: Iterable[Mapping[str, Any]], document: Any) -> Any:
    """The document with the operations (add, remove, replace) carried out; itself unchanged. Raises `Inapplicable`."""
    for operation in patch:
        document = _applied(document, tokens(operation["path"]), operation)
    return document


def _applied(node: Any, path: list[str], operation: Mapping[str, Any]) -> Any:
    """A node with one operation carried out below it; what it does not reach is shared, not copied."""
    if not path or (
        point(node, path[:1]) is ABSENT and not (isinstance(node, dict) and len(path) == 1 and operation["op"] == "add")
    ):
        raise Inapplicable(operation["path"])
    copied: Any = list(node) if isinstance(node, list) else dict(node)
    key: Any = int(path[0]) if isinstance(node, list) else path[0]
    if len(path) > 1:
        copied[key] = _applied(node[key], path[1:], operation)
    elif operation["op"] == "remove":
        del copied[key]
    elif operation["op"] == "add" and isinstance(node, list):
        copied.insert(key, operation["value"])
    else:
        copied[key] = operation["value"]
    return copied


def moves(judgement: Judgement, violation: Violation, facts: Facts) -> list[Move]:
    """The moves that might mend a violation, the smallest change first; none for a fault in a picture itself."""
    document, found = judgement.call.document, []
    for cost, patch in _moves(judgement, violation, facts):
        try:
            apply(patch, document)
        except Inapplicable:
            continue
        found.append((cost, patch))
    return sorted(found, key=lambda move: move[0])


def _moves(judgement: Judgement, violation: Violation, facts: Facts) -> Iterator[Move]:
    provider, document = judgement.call.provider, judgement.call.document
    rule = provider.rules.get(violation.rule)
    if violation.stage == "capabilities":
        yield from _other_cells(judgement, violation)
    elif rule is None:
        yield from _by_keyword(judgement, violation)
        yield from _without(document, violation.pointer)
    elif violation.rule in pictured(provider):
        yield from _unprefixed(document, violation.pointer, facts)
    else:
        if rule.repair:
            yield VALUE, rule.repair
        yield from _sums(judgement, violation.rule)
        value = point(document, tokens(violation.pointer))
        if isinstance(choices := violation.values.get("choices"), list):
            yield from _chosen(violation.pointer, value, choices)
        yield from _trimmed(violation, rule, value)
        yield from _without(document, violation.pointer)
        own = tokens(violation.pointer)[:1]
        if isinstance(document, dict):  # which other field asks for it, the trial shows
            yield from ((ELSEWHERE, (_removal(pointer([name])),)) for name in document if [name] != own)


def _trimmed(violation: Violation, rule: Rule, value: Any) -> Iterator[Move]:
    """The value with less of what it asks for; a word that is left out of a text is a wish that is left out."""
    at = violation.pointer
    yield from ((VALUE, _put(at, row)) for row in cut(value, violation.values.get("most")))
    for number, zeros in enumerate(stilled(value)):
        yield VALUE + NEXT * number, tuple(row for key in zeros for row in _put(f"{at}/{escape(key)}", zeros[key]))
    yield from ((OUT + 0.5 + NEXT * number, _put(at, row)) for number, row in enumerate(struck(value, rule.strike)))


def pictured(provider: Provider) -> frozenset[str]:
    """The rules over pictures: no other picture can be made of one."""
    compared = {row.rule.id for row in provider.judged if row.compare and row.compare.images}
    return frozenset({row.rule.id for row in provider.measured} | compared)


def _removal(at: str) -> Mapping[str, Any]:
    return {"op": "remove", "path": at}


def _without(document: Any, at: str) -> Iterator[Move]:
    """The document without what is at a pointer, or without what it stands in: the further up, the more is lost."""
    path = tokens(at)
    for up in range(len(path)):
        here = path[: len(path) - up]
        if point(document, here) is not ABSENT:
            yield OUT + up * 0.5, (_removal(pointer(here)),)


def _unprefixed(document: Any, at: str, facts: Facts) -> Iterator[Move]:
    """A picture without the prefix of a data URL: the one mistake in a picture that a text can mend."""
    value = point(document, tokens(at))
    if isinstance(value, str) and facts.get(at, {}).get("given") == "prefixed":
        yield VALUE, _put(at, value.partition(",")[2])


def _sums(judgement: Judgement, rule: str) -> Iterator[Move]:
    """Another number where the numbers of a comparison should add up."""
    document = judgement.scope["request"]["body"]
    compares = (row.compare for row in judgement.call.provider.judged if row.rule.id == rule)
    for compare in compares:
        for number, (at, value) in enumerate(compare.mended(document) if compare else ()):
            yield VALUE + NEXT * number, _set(judgement, at, value)


def _typed(judgement: Judgement, at: str, value: Any) -> Any:
    """A value in the type that the documents ask for at a pointer."""
    reader: Reader | None = next(iter(judgement.operation.bodies.values())).reader
    for token in tokens(at):
        reader = None if reader is None else reader.items if token.isdigit() else reader.members.get(token)
    return convert(value, reader.type) if reader and reader.type else value


def _by_keyword(judgement: Judgement, violation: Violation) -> Iterator[Move]:
    at, keyword, limit = violation.pointer, violation.rule.rpartition("/")[2], violation.values.get("bound")
    value = point(judgement.call.document, tokens(at))
    if keyword == "enum" and isinstance(limit, list):
        yield from _chosen(at, value, limit)
    elif keyword == "type":
        types = limit if isinstance(limit, list) else [limit]
        read = (convert(value, name) for name in types if name not in ("null", None))
        yield from ((VALUE, _put(at, converted)) for converted in read if converted is not ABSENT)
    elif keyword in ("maximum", "minimum"):
        yield VALUE, _put(at, _typed(judgement, at, limit))
    elif keyword in ("maxLength", "maxItems") and isinstance(value, str | list):
        yield VALUE, _put(at, value[:limit])


def _put(at: str, value: Any) -> Patch:
    return ({"op": "replace", "path": at, "value": value},)


def _chosen(at: str, value: Any, choices: list[Any]) -> Iterator[Move]:
    yield from ((VALUE + NEXT * number, _put(at, choice)) for number, choice in enumerate(nearest(value, choices)))


def nearest(value: Any, choices: list[Any]) -> list[Any]:
    """The choices that were probably meant: the numbers, nearest first; the text that it begins; else the closest."""
    wanted = [choice for choice in choices if not is_absent(choice)]
    if isinstance(value, bool):
        return [choice for word in SWITCHED[value] for choice in wanted if choice == word]
    if meant := _switched(value, wanted):
        return meant
    number = convert(value, "number")
    numbers = {choice: convert(choice, "number") for choice in wanted if not isinstance(choice, bool)}
    if number is not ABSENT and numbers and ABSENT not in numbers.values():
        same = [choice for choice in wanted if type(choice) is type(value)] or wanted
        return sorted(same, key=lambda choice: abs(numbers[choice] - number))
    texts = {text(choice).lower(): choice for choice in sorted(wanted, key=lambda choice: type(choice) is type(value))}
    given = text(value).lower()
    begun = sorted((name for name in texts if len(given) > NEAR and name.startswith(given)), key=len)
    close = get_close_matches(given, list(texts), n=NEAR, cutoff=0.5)
    return [texts[name] for name in dict.fromkeys([*begun, *close])]


def _switched(value: Any, wanted: list[Any]) -> list[Any]:
    """The choices that switch the same way as another word for on or off, or as 1 or 0, where they are switches."""
    switch = next((switch for switch, words in SWITCHED.items() if text(value).lower() in words), None)
    meant = [choice for choice in wanted if choice is switch]
    words = [word for word in SWITCHED.get(bool(switch), ()) if not word.isdigit()] if switch is not None else []
    return [*meant, *(choice for word in words for choice in wanted if choice == word)]


def _other_cells(judgement: Judgement, violation: Violation) -> Iterator[Move]:
    """Another length in this mode, another mode, without the clashing feature, without the feature, another model."""
    table, job, document = judgement.call.provider.capabilities, judgement.parameters, judgement.call.document
    assert table is not None
    feature = table.features[violation.rule]
    model, mode, seconds = str(job.get("model")), str(job.get("mode", "*")), job.get("seconds")
    here = table.cell(model, mode, feature.name)
    if here is not None:
        lengths = here.nearest(seconds)
        yield from ((VALUE, patch) for length in lengths if (patch := _parameter(judgement, "seconds", length)))
        yield from ((OTHER, _removals(table.features[name].given(document))) for name in here.without)
    if feature.field != judgement.operation.pointers.get("model"):
        yield OUT, _removals(feature.given(document))
    for rank, name in enumerate(_like(model, table.matrix)):
        for other, cell in table.choices(feature.name, name):
            if (name, other) == (model, mode) or (name == model and other == "*"):
                continue
            wanted: dict[str, Any] = {} if name == model else {"model": name}
            wanted |= {} if other in (mode, "*") else {"mode": other}
            wanted |= {} if cell.has(seconds) else dict.fromkeys(["seconds"], *cell.nearest(seconds)[:1])
            changes = [_parameter(judgement, key, value) for key, value in wanted.items()]
            cost = NEXT * rank + sum(MODEL if key == "model" else VALUE for key in wanted)
            cost += OTHER if cell.seconds is None else 0  # undocumented
            if changes and None not in changes:
                yield cost, tuple(operation for patch in changes for operation in patch or ())


def _like(model: str, models: Iterable[str]) -> list[str]:
    """The models, this one first, then by how alike their names are."""
    names = list(models)
    return list(
        dict.fromkeys([*([model] if model in names else []), *get_close_matches(model, names, len(names), 0.0)])
    )


def _removals(fields: Iterable[str]) -> Patch:
    return tuple(_removal(at) for at in fields)


def _parameter(judgement: Judgement, name: str, value: Any) -> Patch | None:
    """Set a parameter of the job where the body says it, in the type that the documents ask for."""
    at = judgement.operation.pointers.get(name)
    return None if at is None else _set(judgement, at, value)


def _set(judgement: Judgement, at: str, value: Any) -> Patch:
    """Put a value where a pointer points, in the type that the documents ask for."""
    written = _typed(judgement, at, value)
    given = point(judgement.call.document, tokens(at)) is not ABSENT
    return ({"op": "replace" if given else "add", "path": at, "value": written},)
