"""Recorded requests judged by the rules, as far as a recording allows: what the mock would refuse of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from kling_mock.contract.drift.exchanges import FORM, PARTS, Recorded
from kling_mock.contract.replies import Misfit, ReplyJudge
from kling_mock.core.calls import Call, body_for, images
from kling_mock.core.checks_shapes import raw
from kling_mock.core.documents import Place, tokens
from kling_mock.core.expressions import ABSENT, point
from kling_mock.core.judging import Judgement, judge
from kling_mock.core.model import Request, Violation
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.reading import Reader, convert

Measure = Callable[[str], Mapping[str, Any]]
ABRIDGED = re.compile(r"<[0-9]+ characters>|<credential>")


def judged(
    provider: Provider, operation: Operation, path: Mapping[str, str], one: Recorded, measure: Measure | None
) -> Judgement:
    """The judgement of a recorded request. Pictures are measured where their bytes are there; the caller is not asked
    for.
    """
    body = body_for(operation, one.headers.get("content-type", ""))
    form = body is not None and body.media_type in (FORM, PARTS)
    document = one.document
    if form and body is not None and isinstance(document, dict):
        document = {name: _typed(value, body.reader.members.get(name)) for name, value in document.items()}
    # What is meant for the mock alone is not asked of the provider.
    headers = {name: value for name, value in one.headers.items() if name != "prefer"}
    request = Request(operation.method, one.path, one.query, headers)
    call = Call(provider, request, operation, path, document=document)
    rows = [] if form or document is ABSENT or measure is None else list(images(operation, document))
    facts = {at: measure(value) for _, at, value in rows if measure and not ABRIDGED.search(value)}
    return judge(call, facts)


def abridged(document: Any) -> bool:
    """Whether a recording left something of a request out, so that what it was cannot be told."""
    if isinstance(document, dict | list):
        return any(map(abridged, document.values() if isinstance(document, dict) else document))
    return isinstance(document, str) and ABRIDGED.search(document) is not None


def refused(found: Judgement, one: Recorded) -> list[Violation]:
    """The violations for which the rules would refuse a request, but for those that the recording itself brought in."""
    return [row for row in found.refused if not abridged(point(one.document, tokens(row.pointer)))]


def strange_keys(judge: ReplyJudge, operation: Operation, one: Recorded) -> list[Misfit]:
    """The keys of a request's body that its open schemas do not name; where a schema is closed a rule has fired."""
    if not isinstance(one.document, dict):
        return []
    schema = _schema(judge.operations[operation.id], operation, one)
    rows = judge.off(operation.id, schema, one.document) if schema else []
    return [row for row in rows if (row.keyword, row.violation.severity) == ("unknown", "warning")]


def _schema(place: Place, operation: Operation, one: Recorded) -> Place | None:
    """The schema of a request's body, by the content type that it came with."""
    body = body_for(operation, one.headers.get("content-type", ""))
    content = place.get("requestBody").get("content").items()
    found = (media for name, media in content if body and name == body.media_type)
    return next((raw(media, "schema") for media in found if "schema" in media.node), None)


def _typed(value: Any, reader: Reader | None) -> Any:
    """A form's value: a text on the way, and there what its schema says, as far as it can be read as that."""
    if not isinstance(value, str) or reader is None or reader.type in (None, "string"):
        return value
    read = convert(value, reader.type)
    return value if read is ABSENT else read


def keyword_of(judge: ReplyJudge, operation: Operation, violation: Violation, one: Recorded) -> Misfit | None:
    """The keyword of a request schema that a violation is about; None for rules and features."""
    schema, value, at = _judged_by(judge.operations[operation.id], operation, violation, one)
    keyword = violation.rule.rpartition("/")[2]
    rows = judge.off(operation.id, schema, value) if schema else []
    return next((row for row in rows if (row.keyword, row.violation.pointer) == (keyword, at)), None)


def _judged_by(
    place: Place, operation: Operation, violation: Violation, one: Recorded
) -> tuple[Place | None, Any, str]:
    """The schema that a violation comes from, the value that it judged, and the pointer into that value."""
    if violation.stage != "parameters":
        return _schema(place, operation, one), one.document, violation.pointer
    where, _, name = violation.pointer.partition("/")
    query = dict(parse_qsl(one.query))
    for parameter in operation.parameters:
        if (parameter.where, parameter.name) == (where, name) == ("query", name) and name in query:
            rows = (row for row in place.get("parameters").each() if row.node["name"] == name)
            read = parameter.reader.read(query[name])
            return next((raw(row, "schema") for row in rows), None), query[name] if read is ABSENT else read, ""
    return None, None, ""
