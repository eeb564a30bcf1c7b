"""Errors, rendered from plausible values, must fit their responses' schemas and speak of values that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kling_mock.core.checks_replies import Fit, rendered
from kling_mock.core.checks_requests import texts
from kling_mock.core.checks_samples import Sampler
from kling_mock.core.checks_shapes import operations, raw
from kling_mock.core.documents import Place, tokens
from kling_mock.core.errors import SPECIAL, CatalogueEntry
from kling_mock.core.problems import Problem, closest
from kling_mock.core.provider import Provider

VIOLATION = frozenset(
    {"rule", "pointer", "message", "field", "value", "limit", "bound", "reason", "dimensions", "values", "called"}
    | {"parts", "allowed", "hint"}
)
PLAUSIBLE = dict.fromkeys(VIOLATION, "text")
REPEATED = re.compile(r"\{\$error\.([A-Za-z0-9_-]+)\}")
NAMED = re.compile(r"\$(violation|error)\.([A-Za-z0-9_-]+)")


def check_error_names(root: Place) -> Iterator[Problem]:
    """Values of violations and entries that there cannot be, in the envelopes, texts and headers of errors."""
    errors = root.get("x-mock-errors")
    first = next(iter(errors.get("envelopes").node))
    owned: dict[str, set[str]] = {}
    for _, entry in errors.get("catalogue").items():
        names = set(entry.node) - SPECIAL | {"status", "name"}
        owned.setdefault(entry.node.get("envelope", first), set()).update(names)
        yield from _names(entry.get("headers"), names)
        for key, value in entry.items():
            if key not in SPECIAL:
                yield from _names(value, set())
    for name, envelope in errors.get("envelopes").items():
        yield from _names(envelope, owned.get(name, {"status", "name"}))


def _names(place: Place, owned: set[str]) -> Iterator[Problem]:
    known = {"violation": VIOLATION, "error": frozenset(owned)}
    for spot in texts(place):
        for root, name in NAMED.findall(spot.node):
            if name not in known[root]:
                yield spot.problem(f"${root} has no {name!r}{closest(name, known[root])}")


def check_errors(root: Place, provider: Provider, sampler: Sampler, fit: Fit) -> Iterator[Problem]:
    """Every entry of the catalogue must fit what some operation says an error of its status looks like."""
    errors = root.get("x-mock-errors")
    first = next(iter(errors.get("envelopes").node))
    thrown = {answer.error for scenario in provider.scenarios.values() for answer in scenario.answers}
    _, item, place = next(iter(operations(root)))
    operation = provider.operations[place.node["operationId"]]
    for name, entry in provider.errors.catalogue.items():
        row = errors.get("catalogue").get(name)
        envelope = errors.get("envelopes").get(row.node.get("envelope", first))
        for violation in (PLAUSIBLE, {}) if name in thrown else (PLAUSIBLE,):
            scope = {**sampler.scope(item, place, operation, True, provider.variants[0]), "violation": violation}
            _error(root, entry, row, envelope, scope, fit)
    yield from fit.found.values()


def _error(root: Place, entry: CatalogueEntry, row: Place, envelope: Place, scope: dict[str, Any], fit: Fit) -> None:
    """Render one entry and compare it with the nearest of the schemas for its status."""
    where = f"the error {entry.name!r}"

    def template(inner: Mapping[str, Any]) -> Any:
        values = entry.values(inner)
        return entry.envelope({**inner, "error": {"status": entry.status, "name": entry.name, **values}})

    body = rendered(row, template, scope, where, fit)
    schemas = _error_schemas(root, entry.status)
    if body is None or not schemas:
        return
    schema = min(schemas, key=lambda place: len(fit.wrong(place, body)))
    before = set(fit.found)
    fit.report(envelope, schema, body, where)
    for key in set(fit.found) - before:
        _blamed(fit, key, row)


def _blamed(fit: Fit, key: tuple[str, str, str], row: Place) -> None:
    """What an envelope merely repeats from the entry is wrong there, or missing."""
    problem = fit.found[key]
    text = row.refer(f"#{problem.pointer}").node if problem.file == row.file else None
    match = REPEATED.fullmatch(text) if isinstance(text, str) else None
    if match is None or tokens(key[2])[-1:] != tokens(problem.pointer)[-1:]:
        return
    spot = raw(row, match[1])
    if spot.node is None:
        hint = f"; the entry has no {match[1]!r}{closest(match[1], set(row.node) - SPECIAL)}"
        fit.found[key] = Problem(row.file, row.at, problem.message + hint)
    else:
        del fit.found[key]
        fit.found[spot.file, spot.at, key[2]] = spot.problem(problem.message)


def _error_schemas(root: Place, status: int) -> list[Place]:
    """What operations say of the body of a reply with this status, each schema once."""
    found: dict[tuple[str, str], Place] = {}
    for _, _, operation in operations(root):
        responses = operation.get("responses")
        for name in (str(status), f"{status // 100}XX", "default"):
            if name in responses.node:
                for _, media in responses.get(name).get("content").items():
                    if "schema" in media.node:
                        schema = raw(media, "schema")
                        target = schema.follow()
                        found.setdefault((target.file, target.at), schema)
                break
    return list(found.values())
