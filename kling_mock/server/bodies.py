"""Bodies as bytes to documents: JSON by the core's strict reading, forms by Werkzeug, files apart."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import msgspec
from msgspec import Struct, field

from kling_mock.core.calls import body_for, not_taken
from kling_mock.core.documents import pointer
from kling_mock.core.expressions import ABSENT
from kling_mock.core.model import Request, Upload, Violation
from kling_mock.core.provider import Operation
from kling_mock.core.reading import NotJson, Reader, convert, parse_json

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
MOST_PARTS = 200


class Decoded(Struct, frozen=True):
    """A body as a document, its files by pointer, and what was wrong with it."""

    document: Any = ABSENT
    uploads: dict[str, Upload] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()


def _wrong(rule: str, message: str) -> Decoded:
    return Decoded(violations=(Violation(f"mock/body.{rule}", "", message, situation=f"body.{rule}"),))


def encode(document: Any) -> bytes:
    """A document as the bytes of a body."""
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        # A path given in process may hold half of a surrogate pair, which an error then repeats.
        return json.dumps(document).encode()


def decode(operation: Operation, request: Request, most: int) -> Decoded:
    """Decode the body by the operation's content types; `most` bytes are taken. Never raises for bad input."""
    if request.oversized:
        told = f"the body is longer than the {most:,} bytes that this server takes (kling-mock serve --max-body SIZE)"
        return _wrong("size", told)
    if not operation.bodies:
        return Decoded()
    content_type = request.headers.get("content-type", "")
    body = body_for(operation, content_type)
    if not request.body and not operation.body_required:
        return Decoded()
    if body is None:
        return _wrong("media-type", not_taken(operation, content_type))
    if not request.body:
        return _wrong("syntax", "a body is required")
    if (encoding := request.headers.get("content-encoding", "identity")) != "identity":
        return _wrong("media-type", f"the content encoding should be none; is {encoding[:60]}")
    if body.media_type in FORMS:
        return _form(request, body.reader)
    try:
        return Decoded(parse_json(request.body))
    except NotJson as error:
        return _wrong("syntax", f"the body is no JSON: {error}")


def _form(request: Request, reader: Reader) -> Decoded:
    """Parts become values by the schema; a file becomes its name in the document and an upload beside it."""
    from werkzeug.exceptions import HTTPException
    from werkzeug.formparser import FormDataParser
    from werkzeug.http import parse_options_header

    media_type, options = parse_options_header(request.headers["content-type"])
    parser = FormDataParser(
        # The body is in memory already: spooling a part to a temporary file would only cost a file handle.
        stream_factory=lambda *_args, **_words: BytesIO(),
        max_form_memory_size=len(request.body) + 1,
        max_form_parts=MOST_PARTS,
        silent=False,
    )
    try:
        _, form, files = parser.parse(BytesIO(request.body), media_type, len(request.body), options)
    except (ValueError, HTTPException) as error:
        return _wrong("syntax", f"the body is no {media_type}: {str(error)[:100]}")
    document: dict[str, Any] = {}
    for name in form:
        document[str(name or "")] = _value(form[name], reader.members.get(name))
    uploads = {}
    for key, file in files.items():
        name = str(key or "")
        upload = Upload(file.filename or name, file.content_type or "", file.read())
        document[name] = upload.name
        uploads[pointer([name])] = upload
    return Decoded(document, uploads)


def _value(text: str, reader: Reader | None) -> Any:
    if reader is None or reader.type in (None, "string"):
        return text
    value = convert(text, reader.type)
    return text if value is ABSENT else value
