"""HAR 1.2: the exchanges that a browser's network panel or a proxy has saved."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kling_mock.contract.drift.exchanges import FORM, PARTS, Recorded, Skipped, part, secrets_of
from kling_mock.contract.replies import UNSEEN
from kling_mock.core.expressions import ABSENT
from kling_mock.core.reading import NotJson, parse_json


def har_entry(entry: Any, place: str) -> Recorded:
    """One entry of a HAR; `place` is its own. Raises `Skipped` for what is no exchange."""
    asked, answered = part(entry, "request"), part(entry, "response")
    url = urlsplit(_url(asked))
    headers, method = _headers(asked), str(asked.get("method", "")).upper()
    status = answered.get("status")
    _only_exchanges(entry, url.scheme, method, status, headers)
    assert isinstance(status, int)
    replied, content = _headers(answered), part(answered, "content", {})
    post = part(asked, "postData", {})
    return Recorded(
        place=place,
        method=method,
        host=(url.hostname or "").lower(),
        path=url.path or "/",
        query=url.query,
        headers=headers if "content-type" in headers else headers | _typed(post),
        document=_posted(post, headers),
        status=status,
        content_type=replied.get("content-type") or _typed(content).get("content-type"),
        reply=_content(content),
        at=_instant(entry.get("startedDateTime")),
        took=_took(entry.get("time")),
        secrets=frozenset(secrets_of({**replied, **headers}, url.query)),
    )


def _only_exchanges(entry: Any, scheme: str, method: str, status: Any, headers: Mapping[str, str]) -> None:
    """Leave out what is no answered call of an API."""
    if scheme in ("ws", "wss") or status == 101 or "_webSocketMessages" in entry:
        raise Skipped("WebSocket")
    if scheme not in ("http", "https"):
        raise Skipped("not over HTTP")
    if method == "OPTIONS" and "access-control-request-method" in headers:
        raise Skipped("preflight of a browser")
    if isinstance(status, bool) or not isinstance(status, int) or status < 100:
        raise Skipped("without an answer")
    if status == 304:
        raise Skipped("answered by a cache")


def _url(asked: Mapping[str, Any]) -> str:
    url = asked.get("url")
    try:
        if isinstance(url, str) and urlsplit(url).hostname is not None:
            return url
    except ValueError:
        pass  # brackets that are no address
    if isinstance(url, str) and url[:5] in ("data:", "blob:", "about", "file:"):
        raise Skipped("not over HTTP")
    raise Skipped("malformed: no url")


def _headers(node: Mapping[str, Any]) -> dict[str, str]:
    """The headers of a HAR by lower-case name; those of HTTP/2 that begin with a colon are none."""
    rows = node.get("headers")
    found = {}
    for row in rows if isinstance(rows, list) else ():
        name, value = (row.get("name"), row.get("value")) if isinstance(row, dict) else (None, None)
        if isinstance(name, str) and isinstance(value, str) and not name.startswith(":"):
            found[name.lower()] = value
    return found


def _typed(body: Mapping[str, Any]) -> dict[str, str]:
    kind = body.get("mimeType")
    return {"content-type": kind} if isinstance(kind, str) and "/" in kind and kind != "x-unknown" else {}


def _content(content: Mapping[str, Any]) -> Any:
    """The document of a reply; a body that has a size but no text was left out by who saved the recording."""
    text = content.get("text")
    if not isinstance(text, str):
        return ABSENT if content.get("size") == 0 else UNSEEN
    if content.get("encoding") == "base64":
        try:
            return _json(b64decode(text, validate=False))
        except (NotBase64, ValueError):
            return UNSEEN
    return _json(text.encode("utf-8", "surrogatepass"))


def _json(body: bytes) -> Any:
    try:
        return parse_json(body)
    except NotJson:
        return ABSENT


def _posted(post: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
    """The document of a request: JSON, or the fields of a form with the names of its files."""
    kind = headers.get("content-type") or _typed(post).get("content-type", "")
    text, params = post.get("text"), post.get("params")
    if kind.partition(";")[0].strip().lower() in (FORM, PARTS):
        rows = list(_fields(params)) if isinstance(params, list) and params else list(_form(kind, text))
        return dict(rows) if rows else UNSEEN
    if isinstance(text, str) and text:
        return _json(text.encode("utf-8", "surrogatepass"))
    return UNSEEN if headers.get("content-length", "0") != "0" else ABSENT


def _fields(params: list[Any]) -> Iterator[tuple[str, Any]]:
    for row in params:
        if isinstance(row, dict) and isinstance(row.get("name"), str):
            yield row["name"], row.get("fileName") or row.get("value", "")


def _form(kind: str, text: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a form that was saved as text."""
    if not isinstance(text, str):
        return
    if kind.lower().startswith(FORM):
        yield from parse_qsl(text, keep_blank_values=True)
        return
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + text.encode("utf-8", "replace"))
    for row in message.iter_parts() if message.is_multipart() else ():
        name = row.get_param("name", header="content-disposition")
        if isinstance(name, str):
            value = row.get_payload(decode=True)
            said = value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
            yield name, row.get_filename() or said


def _instant(value: Any) -> int | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _took(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9 else 0
