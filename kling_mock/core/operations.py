"""One OpenAPI operation, compiled: its parameters, bodies, replies and x-mock-* words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kling_mock.core.callbacks import compile_callbacks
from kling_mock.core.documents import Place, tokens
from kling_mock.core.durations import milliseconds
from kling_mock.core.entropy import check_pattern
from kling_mock.core.expressions import Expression, ExpressionError, compile_expression
from kling_mock.core.packs import STANDINGS
from kling_mock.core.pricing import Prices, compile_prices
from kling_mock.core.problems import closest
from kling_mock.core.provider import (
    Body,
    Operation,
    PacksWords,
    PageWords,
    Parameter,
    Parent,
    ReplyWords,
    ResultWords,
    Scheme,
    TaskWords,
)
from kling_mock.core.reading import compile_reader
from kling_mock.core.schemas import Schemas
from kling_mock.core.security import required
from kling_mock.core.templates import by_variant

BODY_POINTER = re.compile(r"\{\$request\.body#(/[^}|?]+)\}")


def compile_operation(
    root: Place,
    path: str,
    item: Place,
    method: str,
    schemas: Schemas,
    schemes: Mapping[str, Scheme],
    variants: tuple[str, ...],
) -> Operation:
    """Compile one operation. Raises `SpecError`."""
    place = item.get(method)
    id_ = place.node.get("operationId")
    if not isinstance(id_, str):
        raise place.error("an operation needs an operationId")
    job = _job(item, place)
    role = place.node["x-mock-role"]
    _check_role(place, role)
    return Operation(
        id=id_,
        method=method.upper(),
        path=path,
        role=role,
        security=required(root, place, schemes),
        parameters=_parameters(item, place, schemas, id_),
        bodies=_bodies(place, schemas, id_),
        body_required=bool(place.get("requestBody").get("required", False).node),
        replies=_replies(place, variants),
        job=job,
        pointers=_pointers(item, place),
        images=_images(item, place),
        task=_task(place.get("x-mock-task"), variants) if "x-mock-task" in place.node else None,
        result=_result(place.get("x-mock-result"), job) if "x-mock-result" in place.node else None,
        page=_page(place.get("x-mock-page")) if "x-mock-page" in place.node else None,
        packs=_packs(place.get("x-mock-packs")) if "x-mock-packs" in place.node else None,
        callbacks=compile_callbacks(place.get("callbacks"), variants),
        incidental=_incidental(item, place),
    )


NEEDS: Mapping[str, tuple[str, ...]] = {
    "create": ("x-mock-task", "x-mock-result"),
    "query": ("x-mock-task",),
    "cancel": ("x-mock-task",),
    "list": ("x-mock-page",),
    "balance": ("x-mock-packs",),
}
TASK_NEEDS: Mapping[str, tuple[str, ...]] = {"create": ("new",), "query": ("find",), "cancel": ("find", "to")}


def _check_role(place: Place, role: str) -> None:
    """An operation has the words without which its role cannot be played."""
    for word in NEEDS[role]:
        if word not in place.node:
            raise place.error(f"an operation of the role {role!r} needs {word}")
    for word in TASK_NEEDS.get(role, ()):
        task = place.get("x-mock-task")
        if word not in task.node:
            raise task.error(f"the task of the role {role!r} needs {word!r}")


def _pattern(place: Place) -> str:
    """An id's pattern. Raises `SpecError` for one that cannot be drawn."""
    if problem := check_pattern(place.node):
        raise place.error(problem)
    return str(place.node)


def _expression(place: Place) -> Expression:
    try:
        return compile_expression(place.expand())
    except ExpressionError as error:
        raise place.error(str(error)) from None


def _constant(value: Any) -> Expression:
    return lambda scope: value


def _parameters(item: Place, place: Place, schemas: Schemas, id_: str) -> tuple[Parameter, ...]:
    found: dict[tuple[str, str], Parameter] = {}
    for parameter in (*item.get("parameters").each(), *place.get("parameters").each()):
        node = parameter.node
        schema = parameter.get("schema", {})
        compiled = schemas.compile(schema, id_)
        required_ = bool(node.get("required", False))
        if node.get("in") not in ("path", "query", "header"):
            raise parameter.error(f"parameters in {node.get('in')!r} are not understood; path, query and header are")
        found[node["in"], node["name"]] = Parameter(
            node["name"], node["in"], required_, compiled, compile_reader(schema)
        )
    return tuple(found.values())


def _bodies(place: Place, schemas: Schemas, id_: str) -> dict[str, Body]:
    found = {}
    for media_type, media in place.get("requestBody").get("content").items():
        schema = media.get("schema", {})
        compiled, reader = schemas.compile(schema, id_), compile_reader(schema)
        found[media_type] = Body(media_type, compiled, reader, schemas.rules_in(schema))
    return found


def _replies(place: Place, variants: tuple[str, ...]) -> tuple[ReplyWords, ...]:
    """The 2xx responses that have a body, in the order of the document."""
    found = []
    for status, response in place.get("responses").items():
        for _, media in response.get("content").items():
            if status.startswith("2"):
                if not status.isdigit():
                    raise response.error(f"the status {status!r} is no number, and a reply needs one")
                states = response.get("x-mock-when").get("state").node
                found.append(
                    ReplyWords(int(status), frozenset(states) if states else None, by_variant(media, variants))
                )
    if not found:
        raise place.get("responses").error("has no 2xx response with a body")
    return tuple(found)


def _job(item: Place, place: Place) -> dict[str, Expression]:
    """The job's parameters: those of the path item, then the operation's own."""
    rows = [*item.get("x-mock-parameters").items(), *place.get("x-mock-parameters").items()]
    return {name: _expression(row) for name, row in rows if name != "images"}


def _pointers(item: Place, place: Place) -> dict[str, str]:
    """Where the body says a parameter of the job, for those that are plainly a part of it."""
    rows = (*item.get("x-mock-parameters").items(), *place.get("x-mock-parameters").items())
    written = ((name, BODY_POINTER.fullmatch(row.node)) for name, row in rows if isinstance(row.node, str))
    return {name: match[1] for name, match in written if match}


def _incidental(item: Place, place: Place) -> tuple[tuple[str, ...], ...]:
    """Where the body has the caller's own id and the address to call back."""
    written = [place.get("x-mock-task").get("alias").node, _pointers(item, place).get("callback")]
    found = [match[1] for text in written[:1] if isinstance(text, str) and (match := BODY_POINTER.fullmatch(text))]
    found += [str(pointer) for pointer in written[1:] if pointer]
    for _, callback in place.get("callbacks").items():
        found += [match[1] for text, _ in callback.items() if (match := BODY_POINTER.fullmatch(text))]
    return tuple(dict.fromkeys(tuple(tokens(pointer)) for pointer in found))


def _images(item: Place, place: Place) -> dict[str, tuple[str, ...]]:
    found = {}
    for spot in (item, place):
        for role, row in spot.get("x-mock-parameters").get("images").items():
            match = BODY_POINTER.fullmatch(row.node)
            if not match:
                raise row.error("an image is a plain {$request.body#/pointer}")
            found[role] = tuple(tokens(match[1]))
    return found


def _task(place: Place, variants: tuple[str, ...]) -> TaskWords:
    new = place.node.get("new", {})
    patterns = dict.fromkeys(variants, new) if isinstance(new, str) else dict(new)
    for variant, pattern in patterns.items():
        if variant not in variants:
            raise place.get("new").error(f"unknown variant {variant!r}{closest(variant, variants)}")
        if problem := check_pattern(pattern):
            raise place.get("new").error(problem)
    if patterns and (missing := [variant for variant in variants if variant not in patterns]):
        raise place.get("new").error(f"needs a pattern for each variant; missing {', '.join(missing)}")
    return TaskWords(
        kind=_expression(place.get("kind")),
        new=patterns,
        find=_expression(place.get("find")) if "find" in place.node else None,
        alias=_expression(place.get("alias")) if "alias" in place.node else None,
        parents=tuple(_parent(parent) for parent in place.get("parents").each()),
        to=place.node.get("to"),
    )


def _parent(place: Place) -> Parent:
    """A parent in short, as the place of its id, or with the kinds that it may be of."""
    if isinstance(place.node, str):
        return Parent(_expression(place))
    kinds = place.get("kinds").node
    return Parent(_expression(place.get("id")), frozenset(kinds) if kinds else None)


def _result(place: Place, job: Mapping[str, Expression]) -> ResultWords:
    node = place.node
    absent = _constant(None)
    return ResultWords(
        of=node["of"],
        sizes={name: (size[0], size[1]) for name, size in place.get("sizes").expand().items()},
        count=job.get("count", _constant(1)),
        seconds=job.get("seconds", absent),
        aspect=job.get("aspect", absent),
        slots=_expression(place.get("slots", 1)),
        id=_pattern(place.get("id", "{uuid}")),
        longer_ms=milliseconds(node.get("longer", "0s")),
        expires_ms=milliseconds(node["expires"]) if "expires" in node else None,
        pack=node.get("pack"),
        prices=_prices(place.get("price", []), job),
    )


def _prices(place: Place, job: Mapping[str, Expression]) -> tuple[Prices, ...]:
    """The tables of a job's price, which may only ask for parameters that the job has."""
    for table in place.each():
        for name in table.get("by").each():
            if name.node not in job:
                raise name.error(f"the job has no parameter {name.node!r}{closest(name.node, job)}")
    return compile_prices(place)


def _page(place: Place) -> PageWords:
    return PageWords(_expression(place.get("kind")), _expression(place.get("number")), _expression(place.get("size")))


def _packs(place: Place) -> PacksWords:
    name = _expression(place.get("name")) if "name" in place.node else _constant(None)
    return PacksWords(name, {stands: place.node["words"][stands] for stands in STANDINGS})
