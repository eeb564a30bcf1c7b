"""Replies and errors, rendered from plausible values, must fit the schemas that the OpenAPI document gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from kling_mock.core.checks_anchors import Anchors, starred
from kling_mock.core.checks_samples import Sampler
from kling_mock.core.checks_shapes import Shapes, operations, raw, rows
from kling_mock.core.documents import Place, pointer, tokens
from kling_mock.core.model import Violation
from kling_mock.core.problems import Problem, closest
from kling_mock.core.provider import Operation
from kling_mock.core.schemas import Schemas
from kling_mock.core.templates import Template, compile_template

CANNOT = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError)


class Fit:
    """Compares rendered bodies with schemas; each thing that does not fit is said once."""

    def __init__(self, schemas: Schemas, shapes: Shapes, anchors: Anchors) -> None:
        self.schemas, self.shapes, self.anchors = schemas, shapes, anchors
        self.compiled: dict[tuple[str, str], Any] = {}
        self.found: dict[tuple[str, str, str], Problem] = {}

    def wrong(self, schema: Place, body: Any) -> list[Violation]:
        """What does not fit; of alternatives that all fail, what is wrong with the nearest."""
        key = (schema.file, schema.at)
        if key not in self.compiled:
            self.compiled[key] = self.schemas.compile(schema, "")
        found = [v for v in self.compiled[key].violations(body, "body") if v.severity == "refused"]
        whole = schema.follow()
        choices = [place for word in ("anyOf", "oneOf") for place in rows(raw(whole, word))]
        if not found or not choices or set(whole.node) & {"properties", "allOf", "required"}:
            return found
        return min((self.wrong(choice, body) for choice in choices), key=len) or found

    def report(self, template: Place, schema: Place, body: Any, where: str) -> None:
        """Add what is wrong with a body that a template made."""
        for violation in self.wrong(schema, body):
            path = tokens(violation.pointer)
            place, hint = _located(template, path), ""
            if violation.rule.endswith("/required"):
                place, hint = _missing(place, path[-1], set(self.shapes.members([schema])))
            message = f"{where}: {violation.pointer or 'the body'} {violation.message}{hint}"
            self.add(place.problem(message), violation.pointer)
        for near, known in self.strangers([schema], body, ()):
            place = _located(template, list(near))
            message = f"{where}: the schema has no {near[-1]!r}{closest(near[-1], known)}"
            self.add(place.problem(message), pointer(near))

    def add(self, problem: Problem, at: str) -> None:
        """Add a problem that shows at the pointer `at` of a body, unless it is known."""
        problem = self.anchors.first(problem)
        self.found.setdefault((problem.file, problem.pointer, starred(at)), problem)

    def strangers(
        self, schemas: list[Place], body: Any, path: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], set[str]]]:
        """Keys that are nearly one that the schema has and the body has not."""
        if isinstance(body, list):
            for index, value in enumerate(body):
                yield from self.strangers(self.shapes.items(schemas), value, (*path, str(index)))
        if isinstance(body, dict):
            members = self.shapes.members(schemas)
            free = set(members) - set(body)
            for key, value in body.items():
                if key in members:
                    yield from self.strangers(members[key], value, (*path, key))
                elif get_close_matches(key, sorted(free), n=1, cutoff=0.75):
                    yield (*path, key), free


def _missing(place: Place, name: str, known: set[str]) -> tuple[Place, str]:
    """Where a missing key is nearly written, and what to say of it."""
    keys = [key for key in place.node if key not in known] if isinstance(place.node, Mapping) else []
    near = get_close_matches(name, keys, n=1, cutoff=0.6)
    return (place.get(near[0]), f"; did you mean {name!r} by {near[0]!r}?") if near else (place, "")


def _located(place: Place, path: list[str]) -> Place:
    """The part of a template that makes what stands at a path of its body, as near as it can be told."""
    for token in path:
        while isinstance(place.node, Mapping) and "$value" in place.node:
            place = place.get("$value")
        if isinstance(place.node, Mapping) and "$each" in place.node:
            place = place.get("$as")
        elif isinstance(place.node, Mapping) and token in place.node:
            place = place.get(token)
        elif isinstance(place.node, list) and token.isdigit() and int(token) < len(place.node):
            place = place.item(int(token))
        else:
            return place
    return place


def plain(body: Any) -> Any:
    """A body as it is on the wire."""
    return msgspec.json.decode(msgspec.json.encode(body))


def check_replies(sampler: Sampler, fit: Fit) -> Iterator[Problem]:
    """Every reply of every operation, in every variant and state that it is given for."""
    for _, item, place in operations(sampler.root):
        operation = sampler.provider.operations[place.node["operationId"]]
        for variant in sampler.provider.variants:
            for state, full, more in _scopes(sampler, item, place, operation, variant):
                scope = {**sampler.scope(item, place, operation, full, variant), **more}
                _reply(place, operation, variant, state, scope, fit)
    yield from fit.found.values()


def _scopes(
    sampler: Sampler, item: Place, place: Place, operation: Operation, variant: str
) -> Iterator[tuple[str | None, bool, dict[str, Any]]]:
    """The states that an operation's replies speak of, and what the templates see then."""
    lifecycle = sampler.provider.lifecycle
    if operation.role == "create" and operation.task:
        for full in (True, False):
            task = sampler.task(item, place, operation, variant, lifecycle.usual[0], full)
            yield lifecycle.usual[0], full, sampler.shown(task)
    elif operation.role == "balance":
        yield None, True, {"packs": sampler.packs(operation)}
    elif operation.role == "list":
        yield (
            None,
            True,
            {"page": [row for state in lifecycle.states for row in _shown(sampler, place, variant, state)]},
        )
    elif operation.task:
        to = operation.task.to
        for state in [to] if to in lifecycle.states else lifecycle.states:
            for row in _shown(sampler, place, variant, state or ""):
                yield state, True, row


def _shown(sampler: Sampler, place: Place, variant: str, state: str) -> Iterator[dict[str, Any]]:
    """The tasks that an operation may show in a state; one that was cancelled has no reason."""
    kind = _kind(place)
    to = {op.task.to for op in sampler.provider.operations.values() if op.task}
    for _, task in sampler.tasks(variant, state):
        if kind is None or task.kind == kind:
            yield sampler.shown(task)
            if state in to:
                yield sampler.shown(task, reason=False)


def _kind(place: Place) -> str | None:
    """The one kind that an operation is about; None if its request says which."""
    kind = place.get("x-mock-task").get("kind").node or place.get("x-mock-page").get("kind").node
    return None if kind is None or "{$" in kind else str(kind)


def _reply(
    place: Place, operation: Operation, variant: str, state: str | None, scope: dict[str, Any], fit: Fit
) -> None:
    """Render the reply for one state and compare it with the schema of its response."""
    for status, response in place.get("responses").items():
        states = response.get("x-mock-when").get("state").node
        if not status.startswith("2") or (states and state and state not in states):
            continue
        for _, media in response.get("content").items():
            template = (
                media.get("x-mock-body") if "x-mock-body" in media.node else media.get("x-mock-bodies").get(variant)
            )
            where = f"{operation.id}{f' in the state {state!r}' if state else ''}"
            body = rendered(template, compile_template(template), scope, where, fit)
            if "schema" in media.node and body is not None:
                fit.report(template, raw(media, "schema"), body, where)
        return


def rendered(place: Place, template: Template, scope: dict[str, Any], where: str, fit: Fit) -> Any:
    """The body of a template, or None with a problem."""
    try:
        return plain(template(scope))
    except CANNOT as error:
        fit.add(place.problem(f"{where}: cannot be written: {str(error)[:200]}"), "")
        return None
