"""A user's own scenario file: scenarios beside the providers', and rules that choose one by call, body and turn.

docs/scenario-rules.md explains it, by examples that a test runs. A rule without `nth`, `every` or `probability` fits
every matching call. The first rule whose turn it is wins; what a request asks for itself (marker or Prefer) goes before
all rules, an account's own scenario comes after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
from msgspec import Struct

from kling_mock.core.calls import Pick
from kling_mock.core.documents import Documents, Place, pointer
from kling_mock.core.messages import json_type, show
from kling_mock.core.model import Account
from kling_mock.core.problems import MEANT, Problem, SpecError, closest
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.words import malformed, narrowed, stated
from kling_mock.loading import bundled_words
from kling_mock.yaml_files import read_yaml

EXPECTED = (
    "expected is `rules:` with a list, `scenarios:` with a mapping, or both, such as\n"
    "  rules:\n"
    "    - {operation: createImageToVideo, nth: 2, scenario: charged-no-answer}"
)
WORDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
"""JSON's types as people call them who write YAML."""
ONE_OF = ("nth", "every", "probability")
RULE = {
    "type": "object",
    "properties": {
        "scenario": {"type": "string"},
        "provider": {"type": "string"},
        "operation": {"type": "string"},
        "account": {"type": "string"},
        "body": {"type": "object"},
        "nth": {"type": "integer", "minimum": 1},
        "every": {"type": "integer", "minimum": 1},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["scenario"],
    "additionalProperties": False,
}


class UserRule(Struct, frozen=True):
    """Which calls a rule is about (None: any), and what it picks when it is their turn."""

    pick: Pick
    providers: frozenset[str]
    operation: str | None = None
    account: str | None = None
    body: Mapping[str, Any] = {}

    def fits(self, provider: str, operation: str, account: str | None, document: object) -> bool:
        """Whether a call is one of those that the rule is about."""
        return (
            provider in self.providers
            and self.operation in (None, operation)
            and self.account in (None, account)
            and (not self.body or _holds(self.body, document))
        )


class ScenarioFile(Struct, frozen=True):
    """The providers with a user's scenarios added, and the user's rules."""

    providers: Mapping[str, Provider]
    rules: tuple[UserRule, ...]


def read_scenario_file(path: Path, providers: Mapping[str, Provider]) -> ScenarioFile:
    """Read a user's file. Raises `SpecError` with file, pointer and what was meant."""
    document = read_yaml(path, path.name)
    documents: Documents = {path.name: document}
    root = Place(documents, path.name, "", document)
    if problems := _shape(root):
        raise SpecError(problems)
    more = _with_scenarios(root.get("scenarios", {}), providers)
    return ScenarioFile(more, tuple(_rule(row, index, more) for index, row in enumerate(root.get("rules", []).each())))


def doubts(rules: Iterable[UserRule], providers: Mapping[str, Provider], accounts: Iterable[Account]) -> Iterator[str]:
    """What may be a slip: a rule for an account that is not there (yet), or for a body that no document knows."""
    there = {account.id: account.provider for account in accounts}
    for rule in rules:
        at = f"/rules/{rule.pick.name}"
        if rule.account is not None and rule.account not in there:
            near = closest(rule.account, there)
            yield f"{at}/account: there is no account {rule.account!r} yet{near}; the rule waits for it"
        elif rule.account is not None and there[rule.account] not in rule.providers:
            others = ", ".join(sorted(rule.providers))
            yield f"{at}/account: {rule.account!r} is {there[rule.account]}'s, the rule is for {others}; it never fits"
        operations = [
            operation
            for name in rule.providers
            for operation in providers[name].operations.values()
            if operation.bodies and rule.operation in (None, operation.id)
        ]
        if rule.body and not operations:
            yield f"{at}/body: calls of {rule.operation} have no body; the rule never fits"
        elif unknown := _unknown(rule.body, operations):
            path, known = unknown
            yield f"{at}/body{pointer(path)}: no request has {str(path[-1])!r} here{closest(str(path[-1]), known)}"


def _unknown(
    part: Mapping[str, Any], operations: Iterable[Operation]
) -> tuple[tuple[str | int, ...], frozenset[str]] | None:
    """The first key that none of the operations knows, with all that are known there; None if one knows them all."""
    found = []
    for operation in operations:
        rows = next(iter(operation.bodies.values())).reader.unknown(part)
        if not rows:
            return None
        found.append(rows[0])
    deepest = max((path for path, _ in found), key=len, default=())
    known = (names for path, names in found if path == deepest)
    return (deepest, frozenset().union(*known)) if found else None


def _shape(root: Place) -> list[Problem]:
    words = bundled_words()["$defs"]
    scenario = {**words["scenario"], "required": []}
    scenario["properties"] = {**scenario["properties"], "provider": {"type": "string"}}
    schema = {
        "type": "object",
        "properties": {
            "scenarios": {"type": "object", "additionalProperties": scenario},
            "rules": {"type": "array", "items": RULE},
        },
        "additionalProperties": False,
        "$defs": words,
    }
    if root.node in (None, {}):
        return [root.problem(f"the file is empty; {EXPECTED}")]
    if not isinstance(root.node, dict):
        near = "; put `rules:` above the list and indent it" if isinstance(root.node, list) else ""
        return [root.problem(f"should be a mapping, is {_called(root.node)}{near}; {EXPECTED}")]
    errors = jsonschema_rs.Draft202012Validator(schema).iter_errors(root.node)
    return [_told(root, schema, error) for error in errors]


def _told(root: Place, schema: Any, error: jsonschema_rs.ValidationError) -> Problem:
    """A breach of the file's shape: what is expected where, and what is there."""
    nearest = narrowed(error)
    if len(nearest) > 1:
        return malformed(root, error, schema)
    error = nearest[0]
    place, kind = root, error.kind
    for token in error.instance_path:
        place = place.item(token) if isinstance(token, int) else place.get(token)
    at = stated(schema, error)
    match str(error.schema_path[-1]):
        case "type":
            types = [at["type"]] if isinstance(at["type"], str) else at["type"]
            expected = " or ".join(WORDS[name] for name in types)
            return place.problem(f"should be {expected}, is {_called(error.instance)}")
        case "minimum" | "maximum" as keyword:
            least = "at least" if keyword == "minimum" else "at most"
            return place.problem(f"should be {least} {at[keyword]}, is {show(error.instance)}")
        case "required":
            there = ", ".join(place.node) or "nothing"
            return place.problem(f"needs {kind.property!r}; it has {there}")  # type: ignore[attr-defined]
    return malformed(root, error, schema)


def _called(value: object) -> str:
    """A value as people call it who write YAML."""
    name = json_type(value)
    return WORDS[name] if isinstance(value, (dict, list)) or value is None else f"{WORDS[name]} ({show(value)})"


def _with_scenarios(rows: Place, providers: Mapping[str, Provider]) -> dict[str, Provider]:
    """Each scenario is added to the provider that it names, or to all whose states and errors it can be read with."""
    found = dict(providers)
    for name, row in rows.items():
        node = {"shows": name, "evidence": {"kind": "assumed"}, **row.node}
        wanted = node.pop("provider", None)
        if wanted is not None and wanted not in providers:
            raise row.get("provider").error(f"there is no provider {wanted!r}{closest(wanted, providers)}")
        place = Place(row.documents, row.file, row.at, node)
        refusals: dict[str, SpecError] = {}
        for provider in [wanted] if wanted else list(providers):
            try:
                scenarios = found[provider].scenarios.with_more({name: place})
            except SpecError as error:
                refusals[provider] = error
            else:
                found[provider] = replace(found[provider], scenarios=scenarios)
        if len(refusals) == (1 if wanted else len(providers)):
            raise _refused(refusals, providers)
    return found


def _refused(refusals: Mapping[str, SpecError], providers: Mapping[str, Provider]) -> SpecError:
    """Why no provider can have a scenario: by whom it was nearly taken, else by the default one, with who says so."""
    told = {name: error.problems[0] for name, error in refusals.items()}
    names = sorted(told, key=lambda name: (MEANT not in told[name].message, not providers[name].default))
    problem = told[names[0]]
    same = [name for name in told if told[name] == problem]
    if len(same) == len(providers):
        return SpecError([problem])
    return SpecError([replace(problem, message=f"{', '.join(same)}: {problem.message}")])


def _rule(place: Place, index: int, providers: Mapping[str, Provider]) -> UserRule:
    node = place.node
    if sum(word in node for word in ONE_OF) > 1:
        raise place.error(f"takes one of {', '.join(ONE_OF)}, not several")
    served = _served(place, providers)
    operation = node.get("operation")
    known = {name for provider in served for name in providers[provider].operations}
    if operation is not None and operation not in known:
        raise place.get("operation").error(f"there is no operation {operation!r}{closest(operation, known)}")
    served = [name for name in served if operation is None or operation in providers[name].operations]
    able, why = [], ""
    for provider in served:
        if problem := _unmet(providers[provider], operation, node["scenario"]):
            why = why or problem
        else:
            able.append(provider)
    if not able:
        raise place.get("scenario").error(why)
    pick = Pick(str(index), node["scenario"], node.get("nth"), node.get("every"), node.get("probability"))
    return UserRule(pick, frozenset(able), operation, node.get("account"), node.get("body", {}))


def _unmet(provider: Provider, operation: str | None, reference: str) -> str | None:
    """Why calls of an operation (None: of any) can never meet a scenario, if they cannot."""
    known = provider.scenarios
    try:
        scenario = known.find(reference)
    except ValueError as error:
        return str(error)
    if operation is None or scenario.meets(role := provider.operations[operation].role, known.roles):
        return None
    return f"{scenario.unmet(reference, role)}; name another operation, or none"


def _served(place: Place, providers: Mapping[str, Provider]) -> list[str]:
    wanted = place.node.get("provider")
    if wanted is None:
        return list(providers)
    if wanted not in providers:
        raise place.get("provider").error(f"there is no provider {wanted!r}{closest(wanted, providers)}")
    return [wanted]


def _holds(part: object, whole: object) -> bool:
    """Whether `whole` has all of `part`; 5 and "5" are the same, as they are to most providers."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            key in whole and _holds(value, whole[key]) for key, value in part.items()
        )
    return part == whole or (not isinstance(whole, (dict, list)) and str(part) == str(whole))
