"""Names that a template or table speaks of must exist: a misspelt one would silently drop a key or price nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from kling_mock.core.documents import Place
from kling_mock.core.lifecycle import Lifecycle
from kling_mock.core.problems import Problem, closest
from kling_mock.core.words import METHODS

SPOKEN = re.compile(r"\$(task|state|item|request)\.([A-Za-z0-9_-]+)")
TASK = frozenset(
    {"id", "kind", "alias", "created", "changed", "request", "parameters", "price", "reason", "results"}
    | {"operation", "media"}
)
ITEM = frozenset(
    {"index", "number", "id", "url", "watermarked", "cover", "width", "height", "duration"}
    | {"name", "type", "unit", "total", "balance", "bought", "since", "until", "word"}
)
REQUEST = frozenset({"id", "method", "url", "base", "target", "path", "query", "header", "body"})


def check_references(root: Place, lifecycle: Lifecycle, variants: Collection[str]) -> Iterator[Problem]:
    """Every name in templates and tables that nothing has."""
    columns = {column for state in lifecycle.states.values() for column in state.words}
    known = {"task": TASK, "item": ITEM, "request": REQUEST, "state": frozenset(columns)}
    conditions = {"state": lifecycle.states, "variant": variants}
    for place in _templates(root):
        yield from _check(place, known, conditions)
    errors = root.get("x-mock-errors")
    for _, envelope in errors.get("envelopes").items():
        yield from _check(envelope, known, None)
    for _, entry in errors.get("catalogue").items():
        yield from _check(entry, known, None)
    yield from _accounts(root)


def _templates(root: Place) -> Iterator[Place]:
    for _, item in root.get("paths").items():
        for method in METHODS:
            for _, response in item.get(method).get("responses").items():
                for _, media in response.get("content").items():
                    yield media.get("x-mock-body")
                    yield from (body for _, body in media.get("x-mock-bodies").items())


def _check(
    place: Place, known: Mapping[str, Collection[str]], conditions: Mapping[str, Collection[str]] | None
) -> Iterator[Problem]:
    if isinstance(place.node, str):
        for root, name in SPOKEN.findall(place.node):
            if name not in known[root]:
                yield place.problem(f"${root} has no {name!r}{closest(name, known[root])}")
    for key, value in place.items():
        if key == "$when" and conditions is None:
            yield value.problem("an error is about no task: $when cannot be used here")
        elif key == "$when" and conditions is not None:
            yield from _conditions(value, conditions)
        else:
            yield from _check(value, known, conditions)
    for value in place.each():
        yield from _check(value, known, conditions)


def _conditions(place: Place, conditions: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    for name, allowed in place.items():
        if name in conditions:
            for value in allowed.each() if isinstance(allowed.node, list) else [allowed]:
                if not isinstance(value.node, str) or value.node not in conditions[name]:
                    yield value.problem(f"unknown {name} {value.node!r}{closest(str(value.node), conditions[name])}")


def _accounts(root: Place) -> Iterator[Problem]:
    """Environment variables of no credential, and jobs paid from no pack."""
    accounts = root.get("x-mock-accounts")
    credentials = accounts.get("credentials").node
    for name, variable in root.get("x-mock-environment").items():
        if name != "base_url" and name not in credentials:
            yield variable.problem(f"unknown credential {name!r}{closest(name, credentials)}")
    packs = {pack.node.get("type") for pack in accounts.get("packs", []).each()}
    for _, item in root.get("paths").items():
        for method in METHODS:
            pack = item.get(method).get("x-mock-result").get("pack")
            if pack.node is not None and pack.node not in packs:
                yield pack.problem(f"there is no pack {pack.node!r}{closest(pack.node, packs)}")
