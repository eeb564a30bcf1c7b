"""What expressions, paths and links speak of: parameters, parts of request and reply bodies, operations."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from kling_mock.core.checks_shapes import Shapes, entries, operations, raw, rows
from kling_mock.core.documents import Place, tokens
from kling_mock.core.problems import Problem, closest

VARIABLE = re.compile(r"\{([^{}]+)\}")
BODY = re.compile(r"\$(request\.body|task\.request)#(/[^}\s|?]*)")
PARAMETER = re.compile(r"\$request\.(path|query|header)\.([A-Za-z0-9_-]+)")
JOB = re.compile(r"\$(task\.parameters|parameters)\.([A-Za-z0-9_-]+)")
RESPONSE = re.compile(r"\{?\$response\.body#(/[^}]*)\}?")
WORDS = ("x-mock-task", "x-mock-parameters", "x-mock-page", "x-mock-packs", "x-mock-result")


def texts(place: Place) -> Iterator[Place]:
    """Every text at or below a place, `$ref`s followed."""
    place = place.follow()
    if isinstance(place.node, str):
        yield place
    for _, below in place.items():
        yield from texts(below)
    for below in place.each():
        yield from texts(below)


def bodies(operation: Place) -> list[Place]:
    """The schemas of an operation's request body."""
    return [raw(media, "schema") for _, media in operation.get("requestBody").get("content").items()]


def templates(operation: Place) -> Iterator[Place]:
    """The templates of an operation's replies."""
    for _, response in operation.get("responses").items():
        for _, media in response.get("content").items():
            yield media.get("x-mock-body")
            yield from (body for _, body in media.get("x-mock-bodies").items())


def parameters(item: Place, operation: Place) -> list[Place]:
    """The declared parameters of an operation, `$ref`s not followed."""
    return [*rows(raw(item, "parameters")), *rows(raw(operation, "parameters"))]


def declared(item: Place, operation: Place) -> dict[str, set[str]]:
    """The names of an operation's parameters, by where they stand."""
    found: dict[str, set[str]] = {"path": set(), "query": set(), "header": set()}
    for parameter in parameters(item, operation):
        node = parameter.follow().node
        found.setdefault(node["in"], set()).add(node["name"])
    return found


def check_paths(root: Place) -> Iterator[Problem]:
    """The variables of a path are its declared path parameters, and the other way round."""
    for path, item, operation in operations(root):
        variables, names = set(VARIABLE.findall(path)), declared(item, operation)["path"]
        for name in sorted(variables - names):
            yield operation.problem(f"no path parameter is declared for {{{name}}}{closest(name, names - variables)}")
        for parameter in parameters(item, operation):
            node = parameter.follow().node
            if node["in"] == "path" and node["name"] not in variables:
                hint = closest(node["name"], variables - names)
                yield parameter.problem(f"the path has no {{{node['name']}}}{hint}")
            elif node["in"] == "path" and node.get("required") is not True:
                yield parameter.problem(f"the path parameter {node['name']!r} needs required: true")


def check_expressions(root: Place, shapes: Shapes) -> Iterator[Problem]:
    """Expressions in an operation's words and templates, and in the error tables, speak of what is declared."""
    created = [
        schema for _, _, op in operations(root) if op.node.get("x-mock-role") == "create" for schema in bodies(op)
    ]
    every = [schema for _, _, op in operations(root) for schema in bodies(op)]
    jobs = {name for _, item, op in operations(root) for spot in (item, op) for name in _job(spot)}
    union: dict[str, set[str]] = {}
    for _, item, operation in operations(root):
        names = declared(item, operation)
        for where, some in names.items():
            union.setdefault(where, set()).update(some)
        own = _job(item) | _job(operation)
        for place in _spoken(item, operation):
            yield from _check(place, shapes, {"request.body": bodies(operation), "task.request": created})
            yield from _parameters(place, names)
            yield from _jobs(place, {"task.parameters": jobs, "parameters": own})
    for place in texts(root.get("x-mock-errors")):
        yield from _check(place, shapes, {"request.body": every, "task.request": created})
        yield from _parameters(place, union)


def _job(spot: Place) -> set[str]:
    return set(spot.get("x-mock-parameters").node or ()) - {"images"}


def _spoken(item: Place, operation: Place) -> Iterator[Place]:
    """The texts of an operation that may hold expressions."""
    if operation.node.get("x-mock-role") == "create":
        yield from texts(item.get("x-mock-parameters"))
    for word in WORDS:
        yield from texts(operation.get(word))
    for template in templates(operation):
        yield from texts(template)
    for _, callback in operation.get("callbacks").items():
        for key, place in entries(callback):
            yield Place(place.documents, place.file, place.at, key)


def _check(place: Place, shapes: Shapes, schemas: Mapping[str, list[Place]]) -> Iterator[Problem]:
    """Pointers into request bodies."""
    for root, path in BODY.findall(place.node):
        if not schemas[root]:
            yield place.problem(f"${root}#{path} speaks of a request body, and there is none")
        elif lost := _lost(schemas[root], tokens(path), shapes):
            yield place.problem(f"no request body has {path}: there is no {lost[0]!r}{closest(*lost)}")


def _lost(schemas: list[Place], path: list[str], shapes: Shapes) -> tuple[str, Collection[str]] | None:
    """What every one of the schemas lacks of a pointer; None if one of them has it."""
    found = [shapes.lost([schema], path) for schema in schemas]
    wrong = [row for row in found if row is not None]
    if not wrong or len(wrong) < len(found):
        return None
    names = {name for token, some in wrong if token == wrong[0][0] for name in some}
    return wrong[0][0], names


def _parameters(place: Place, names: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    """Parameters of path and query must be declared; a header only if a declared one was nearly meant."""
    for where, name in PARAMETER.findall(place.node):
        known = names.get(where, ())
        if where == "header":
            lower = {known_name.lower() for known_name in known}
            if name.lower() in lower or not get_close_matches(name.lower(), sorted(lower), n=1):
                continue
        elif name in known:
            continue
        yield place.problem(f"no {where} parameter {name!r} is declared{closest(name, known)}")


def _jobs(place: Place, names: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    """Parameters of the job must be named in x-mock-parameters."""
    for root, name in JOB.findall(place.node):
        if name not in names[root]:
            yield place.problem(f"${root} has no {name!r}{closest(name, names[root])}")


def check_links(root: Place, shapes: Shapes) -> Iterator[Problem]:
    """Links lead to operations that there are, with parameters that these have, from parts of a reply that it has."""
    known = {op.node["operationId"]: (item, op) for _, item, op in operations(root)}
    for _, _, operation in operations(root):
        for _, response in operation.get("responses").items():
            schemas = [raw(media, "schema") for _, media in response.get("content").items()]
            for _, link in response.get("links").items():
                yield from _link(link, known, schemas, shapes)


def _link(
    link: Place, known: Mapping[str, tuple[Place, Place]], schemas: list[Place], shapes: Shapes
) -> Iterator[Problem]:
    target = link.node.get("operationId")
    if target is None:
        return
    if target not in known:
        yield raw(link, "operationId").problem(f"there is no operation {target!r}{closest(str(target), known)}")
        return
    names = {name for some in declared(*known[target]).values() for name in some}
    for name, value in entries(raw(link, "parameters")):
        if name.partition(".")[2] not in names and name not in names:
            yield value.problem(f"{target} has no parameter {name!r}{closest(name, names)}")
        yield from _answered(value, schemas, shapes)
    wanted = bodies(known[target][1])
    for path, value in _leaves(raw(link, "requestBody")):
        if lost := _lost(wanted, path, shapes):
            yield value.problem(f"the request of {target} has no {lost[0]!r}{closest(*lost)}")
        yield from _answered(value, schemas, shapes)


def _leaves(place: Place, path: tuple[str, ...] = ()) -> Iterable[tuple[list[str], Place]]:
    below = list(entries(place))
    if not below:
        return [(list(path), place)] if place.node is not None else []
    return [leaf for key, value in below for leaf in _leaves(value, (*path, key))]


def _answered(place: Place, schemas: list[Place], shapes: Shapes) -> Iterator[Problem]:
    """A pointer into the reply from which a link leads."""
    match: Any = RESPONSE.fullmatch(place.node) if isinstance(place.node, str) else None
    if match and schemas and (lost := _lost(schemas, tokens(match[1]), shapes)):
        yield place.problem(f"the reply has no {match[1]}: there is no {lost[0]!r}{closest(*lost)}")
