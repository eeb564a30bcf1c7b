"""What the documents say under one name: a rule, feature, error or scenario, or a keyword of a request's schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kling_mock.core.capabilities import Capabilities, Cell, Feature
from kling_mock.core.documents import Place
from kling_mock.core.errors import SITUATIONS, situation_of
from kling_mock.core.expressions import text
from kling_mock.core.model import Violation
from kling_mock.core.provider import Provider
from kling_mock.report_examples import Example, Examples, shown
from kling_mock.reports import evidence_in_words, patch_in_words

if TYPE_CHECKING:
    from kling_mock.contract.agreement import Agreement

WIDTH = 16
MOST_TEXT = 400
SCOPE: Mapping[str, Any] = {"request": {"id": "", "method": "POST", "target": "/"}, "now": 0}

Lines = Iterator[str]


def ids(agreement: Agreement) -> Iterator[tuple[str, str, str]]:
    """Everything that can be explained, as kind, id and a few words."""
    provider = agreement.provider
    yield from (("rule", rule.id, rule.message) for rule in provider.rules.values())
    if provider.capabilities:
        yield from (("feature", row.name, row.called) for row in provider.capabilities.features.values())
    for name, entry in provider.errors.catalogue.items():
        yield "error", name, f"HTTP {entry.status}"
    yield from (("scenario", row.name, row.shows) for row in provider.scenarios.values())
    yield from (("not judged", row.name, row.why) for row in provider.not_judged.values())


def explained(agreement: Agreement, name: str) -> Lines:
    """All that a provider's documents say under a name or an error's code; nothing when they do not know it."""
    for kind, known, _ in ids(agreement):
        if known.casefold() == name.casefold() or (kind == "error" and name in _codes(agreement, known)):
            yield f"{agreement.provider.name} {kind} {known}"
            yield from (_indented(label, value) for label, value in KINDS[kind](agreement, known))
    if situation := situation_of(name):
        yield f"{agreement.provider.name} answer to {name}"
        yield from (_indented(label, value) for label, value in _situation(agreement, situation))
    if facts := list(_keyword(agreement, name)):
        yield f"{agreement.provider.name} keyword {name}"
        yield from (_indented(label, value) for label, value in facts)


def _codes(agreement: Agreement, name: str) -> set[str]:
    """The numbers of an error, as texts: whatever its envelope calls them, its status too."""
    node = agreement.root.get("x-mock-errors").get("catalogue").get(name).node
    return {text(value) for value in node.values() if isinstance(value, int) and not isinstance(value, bool)}


def _situation(agreement: Agreement, situation: str) -> Facts:
    """What a rule of the mock's own is about, and what the provider answers to it."""
    errors = agreement.provider.errors
    name = errors.answering(situation)
    yield "says", SITUATIONS[situation]
    yield "error", name
    yield from list(_error(agreement, name))[:2]


def _indented(label: str, value: str) -> str:
    return f"  {label:{WIDTH}}  {value}"


def _json(value: Any) -> str:
    written = json.dumps(value, ensure_ascii=False)
    return written if len(written) <= MOST_TEXT else written[:MOST_TEXT] + " ..."


Facts = Iterator[tuple[str, str]]


def _rule(agreement: Agreement, name: str) -> Facts:
    rule, node = agreement.provider.rules[name], agreement.root.get("x-mock-rules").get(name).node
    yield "says", f"{rule.field} {rule.message}" if rule.field else rule.message
    yield "severity", rule.severity
    if rule.severity == "refused":
        yield from _told(agreement.provider, rule.violation(rule.field or "", "..."))
    if rule.reason:
        yield "the task fails", rule.reason
    yield "evidence", evidence_in_words(rule.evidence)
    yield "valid", _json(node["valid"])
    yield "invalid", _json(node["invalid"])
    if rule.repair:
        yield "nearest valid", patch_in_words(rule.repair)


def _told(provider: Provider, violation: Violation) -> Facts:
    """What the provider answers to a violation."""
    status, values = provider.told(violation, SCOPE)
    told = ", ".join(f"{key} {text(value)}" for key, value in values.items())
    yield "the provider", f"HTTP {status}" + (f": {told}" if told else "")


def _feature(agreement: Agreement, name: str) -> Facts:
    table = agreement.provider.capabilities
    assert table is not None
    feature = table.features[name]
    yield "says", f"{feature.called} works with the models, modes and seconds below"
    yield "asked for by", feature.field
    yield "in", ", ".join(sorted(feature.kinds))
    yield "severity", feature.severity
    if feature.severity == "refused":
        yield from _told(agreement.provider, _example(feature))
    yield "evidence", evidence_in_words(feature.evidence)
    yield from _shown(Examples(agreement.provider, agreement.root).of_feature(name))
    yield from _table(table, name)


def _shown(example: Example | None) -> Facts:
    """The examples that were found; a payload says of itself which operation it is for, if there are several."""
    if example is not None:
        yield "valid", f"{example.operation} {shown(example.valid)}"
        yield "invalid", f"{example.operation} {shown(example.invalid)}"


def _example(feature: Feature) -> Violation:
    """A violation of a feature that names no model in particular."""
    values = "/".join(f"<{name}>" for name in feature.dimensions)
    words = {
        "field": feature.field.rpartition("/")[2],
        "value": values,
        "values": values,
        "dimensions": "/".join(feature.dimensions.values()),
        "called": feature.called,
    }
    return Violation(
        feature.name, feature.field, "is not there", feature.severity, "capabilities", feature.error, words
    )


def _table(table: Capabilities, name: str) -> Facts:
    for model, modes in table.matrix.items():
        rows = {mode: cells[name] for mode, cells in modes.items() if name in cells}
        if not rows:
            yield model, "no"
        for mode, cell in rows.items():
            yield model, f"{'any mode' if mode == '*' else mode}: {_cell(table, cell)}"


def _cell(table: Capabilities, cell: Cell) -> str:
    told = "undocumented" if cell.seconds is None else cell.told() if cell.seconds else "no"
    without = ", ".join(table.features[name].called for name in cell.without)
    return f"{told}, without {without}" if without else told


def _error(agreement: Agreement, name: str) -> Facts:
    provider = agreement.provider
    entry = provider.errors.catalogue[name]
    node = agreement.root.get("x-mock-errors").get("catalogue").get(name).node
    yield "status", f"HTTP {entry.status}"
    for key, value in node.items():
        if key not in ("status", "evidence", "envelope"):
            yield key, text(value)
    yield "evidence", evidence_in_words(entry.evidence)
    if asked := provider.errors.answered(name):
        yield "answers", ", ".join(asked)
    features = provider.capabilities.features.values() if provider.capabilities else ()
    used = [rule.id for rule in provider.rules.values() if rule.error == name]
    used += [feature.name for feature in features if name in (feature.error, feature.nowhere)]
    if used:
        yield "of", ", ".join(used)


def _scenario(agreement: Agreement, name: str) -> Facts:
    scenario = agreement.provider.scenarios[name]
    yield "shows", scenario.shows
    yield "asked for by", f"[mock:{name}] in a prompt, or the header Prefer: scenario={name}"
    if scenario.parameters:
        yield "takes", ", ".join(f"{key} (usually {value})" for key, value in scenario.parameters.items())
    if scenario.timeline:
        yield "states", " -> ".join(scenario.timeline)
    if scenario.reason:
        yield "the task fails", scenario.reason
    for answer in scenario.answers:
        told = answer.error or (str(answer.raw.status) if answer.raw else "another delivery")
        yield "answers", f"{', '.join(sorted(answer.on))}: {told}"
    yield "evidence", evidence_in_words(scenario.evidence)


def _not_judged(agreement: Agreement, name: str) -> Facts:
    row = agreement.provider.not_judged[name]
    yield "why", row.why
    if row.field:
        yield "brought up by", row.field


KINDS: Mapping[str, Callable[[Agreement, str], Facts]] = {
    "rule": _rule,
    "feature": _feature,
    "error": _error,
    "scenario": _scenario,
    "not judged": _not_judged,
}


def _keyword(agreement: Agreement, name: str) -> Facts:
    """A keyword of a body's schema, named as violations name it: operation, pointer, keyword."""
    operation, *path = name.split("/")
    if operation not in agreement.provider.operations or not path:
        return
    if path[-1] == "unknown":
        yield "says", "the documents name no such key here: the provider ignores it"
        yield "severity", "warning"
        yield from _shown(example_of(agreement, name))
        return
    places = members_of(agreement, operation, path[:-1])
    if not places:
        return
    yield "in", f"{operation} /{'/'.join(path[:-1])}"
    parts = [part for place in places for part in _parts(place)]
    if description := next((part["description"] for part in parts if "description" in part), None):
        yield "says", str(description)
    yield from sorted(dict.fromkeys(fact for part in parts for fact in _limits(part, path[-1])))
    yield "evidence", evidence_in_words(agreement.provider.keyword_evidence)
    yield from _shown(example_of(agreement, name))


def example_of(agreement: Agreement, name: str) -> Example | None:
    """The examples of a keyword, if some are found."""
    operation, *path, keyword = name.split("/")
    schemas = members_of(agreement, operation, path[:-1] if keyword == "unknown" else path)
    tops = members_of(agreement, operation, path[:1]) or schemas
    if not schemas or not tops:
        return None
    return Examples(agreement.provider, agreement.root).of_keyword(name, schemas, tops)


def members_of(agreement: Agreement, operation: str, path: Iterable[str]) -> list[Place]:
    """The schemas of a member of an operation's body: what is always asked of it before what depends on others."""
    found = agreement.provider.operations[operation]
    asked = agreement.root.get("paths").get(found.path).get(found.method.lower()).get("requestBody")
    media_type = next(iter(found.bodies), "")
    places = [asked.get("content").get(media_type).get("schema")]
    rules = agreement.root.get("x-mock-rules")
    for name in path:
        places = [below for place in places for below in _below(place, name, rules)]
    return [place for place in places if isinstance(place.node, Mapping)]


def _limits(node: Mapping[str, Any], keyword: str) -> Facts:
    """The keyword as the provider accepts it, and as the documents have it."""
    if keyword in node:
        yield "accepted", f"{keyword}: {_json(node[keyword])}"
    documented = node.get("x-mock-documented")
    if isinstance(documented, dict) and keyword in documented:
        yield "documented", f"{keyword}: {_json(documented[keyword])}; anything else is a warning"


def _parts(place: Place) -> Iterator[Mapping[str, Any]]:
    """A schema, the parts that it is made of, and what they ask of a value that is given."""
    if isinstance(place.node, Mapping):
        yield place.node
        for part in (*place.get("allOf").each(), place.get("then")):
            yield from _parts(part)


def _below(place: Place, name: str, rules: Place) -> Iterable[Place]:
    """The schemas of one member or of the items, in the schema, in its parts and under conditions, but not in rules."""
    if not isinstance(place.node, Mapping) or (place.file == rules.file and place.at.startswith(f"{rules.at}/")):
        return
    found = place.get("items") if name == "*" else place.get("properties").get(name)
    if isinstance(found.node, Mapping):
        yield found
    for part in (*place.get("allOf").each(), place.get("then"), place.get("else")):
        yield from _below(part, name, rules)
