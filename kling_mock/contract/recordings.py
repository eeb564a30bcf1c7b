"""Recordings as exchanges: HAR 1.2 as browsers and proxies save it, and the mock's own journal as JSON.

What is no exchange of an API (WebSockets, preflights, calls without an answer) is counted and left out. Nothing here
knows a provider.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kling_mock.contract.replies import UNSEEN
from kling_mock.core.expressions import ABSENT
from kling_mock.core.reading import NotJson, check_document, parse_json

TELLS = re.compile(r"authorization|cookie|key|token|secret|signature|password|session", re.IGNORECASE)
SHORTEST_SECRET = 8
FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data"


class Unreadable(ValueError):
    """A file that is no recording; the message says why and where."""


class Skipped(Exception):
    """An entry that is no exchange with an API; the message says what it is instead."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One exchange. `place` is its file and JSON pointer in it, `at` when it began (ms since 1970), `took` ms.

    Header names are lower case. A document is `ABSENT` where there is none or it is no JSON, and `UNSEEN` where the
    recording left it out. `provider` is its name, where the recording says it. `secrets` are never to be shown.
    """

    place: str
    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    document: Any
    status: int
    content_type: str | None
    reply: Any
    at: int | None = None
    took: int = 0
    provider: str | None = None
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file holds: its exchanges in the order of time, and how many entries were left out for which reason."""

    exchanges: tuple[Recorded, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)


def read_recording(content: bytes, name: str = "") -> Recording:
    """Read a HAR, or a journal: `{"exchanges": [...]}` as the mock answers it, or the list alone. `name` is the file's.

    Raises `Unreadable`.
    """
    document = _parsed(content)
    if isinstance(document, dict) and isinstance(document.get("log"), dict):
        entries, at, read = document["log"].get("entries"), "/log/entries", _har
    else:
        bare = isinstance(document, list)
        entries, at, read = document if bare else _keyed(document), "" if bare else "/exchanges", _journal
    if not isinstance(entries, list):
        raise Unreadable(f"{at} should be a list; is {type(entries).__name__}")
    found: dict[tuple[object, ...], Recorded] = {}
    skipped: Counter[str] = Counter()
    for index, entry in enumerate(entries):
        try:
            one = read(entry, f"{name}#{at}/{index}")
        except Skipped as reason:
            skipped[str(reason)] += 1
            continue
        key = _identity(one)
        skipped["recorded twice"] += key in found
        found.setdefault(key, one)
    ordered = sorted(found.values(), key=lambda one: one.at or 0)
    return Recording(tuple(ordered), {reason: count for reason, count in skipped.items() if count})


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Unreadable(f"is no text in UTF-8: byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"is no JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise Unreadable("is no recording: its JSON is nested too deeply") from None


def _keyed(document: Any) -> Any:
    if isinstance(document, dict) and "exchanges" in document:
        return document["exchanges"]
    has = f"has {', '.join(list(document)[:5]) or 'no key'}" if isinstance(document, dict) else "is no object"
    raise Unreadable(f"is neither a HAR, which has /log/entries, nor a journal, which has /exchanges: it {has}")


def _identity(one: Recorded) -> tuple[object, ...]:
    """What two entries have in common only if they are the same exchange."""
    bodies = (repr(one.document), repr(one.reply))
    # A moment alone may be shared by two calls; without one no two entries can be told to be the same.
    when = one.place if one.at is None or one.provider is not None else one.at
    return (when, one.method, one.host, one.path, one.query, one.status, *bodies)


def _har(entry: Any, place: str) -> Recorded:
    """One entry of a HAR."""
    asked, answered = _part(entry, "request"), _part(entry, "response")
    url = urlsplit(_url(asked))
    headers, method = _headers(asked), str(asked.get("method", "")).upper()
    status = answered.get("status")
    _only_exchanges(entry, url.scheme, method, status, headers)
    assert isinstance(status, int)
    replied, content = _headers(answered), _part(answered, "content", {})
    post = _part(asked, "postData", {})
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
        secrets=frozenset(_secrets({**replied, **headers}, url.query)),
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


def _part(node: Any, name: str, default: Any = None) -> Any:
    """An object in an object; an entry without it is malformed, unless there is a default."""
    found = node.get(name, default) if isinstance(node, dict) else None
    if found is None and default is not None:
        return default
    if not isinstance(found, dict):
        raise Skipped(f"malformed: no {name}")
    return found


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
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str):
            value = part.get_payload(decode=True)
            said = value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
            yield name, part.get_filename() or said


def _instant(value: Any) -> int | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _took(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9 else 0


def _secrets(headers: Mapping[str, str], query: str) -> Iterator[str]:
    """The values of all that proves who calls, without the words around them."""
    for name, value in (*headers.items(), *parse_qsl(query)):
        if TELLS.search(name):
            pieces = value.split(";") if "cookie" in name.lower() else value.split()[-1:]
            values = [piece.partition("=")[2] if "cookie" in name.lower() else piece for piece in pieces]
            yield from (text.strip() for text in values if len(text.strip()) >= SHORTEST_SECRET)


def _journal(entry: Any, place: str) -> Recorded:
    """One exchange of the mock's journal; a text where a document should be is what no provider wrote."""
    asked, answered = _part(entry, "request"), _part(entry, "reply")
    status, body = answered.get("status"), answered.get("body")
    if not isinstance(status, int) or not isinstance(entry.get("provider"), str):
        raise Skipped("malformed: no status or provider")
    delivery = _part(answered, "delivery", {})
    if delivery.get("never") or delivery.get("cut_at") is not None:
        raise Skipped("not delivered, by a scenario")
    headers = {str(name).lower(): str(value) for name, value in _part(asked, "headers", {}).items()}
    replied = {str(name).lower(): str(value) for name, value in _part(answered, "headers", {}).items()}
    raw = isinstance(body, str)
    return Recorded(
        place=place,
        method=str(asked.get("method", "")),
        host=headers.get("host", ""),
        path=str(asked.get("path", "/")),
        query=str(asked.get("query", "")),
        headers=headers,
        document=_kept(asked.get("body")),
        status=status,
        content_type=replied.get("content-type") or ("text/html" if raw and body.lstrip()[:1] == "<" else None),
        reply=ABSENT if raw else body,
        at=entry["at"] if isinstance(entry.get("at"), int) else None,
        provider=entry["provider"],
        secrets=frozenset(_secrets({**replied, **headers}, str(asked.get("query", "")))),
    )


def _kept(body: Any) -> Any:
    """A request's document as the journal keeps it; null is none."""
    try:
        check_document(body)
    except NotJson:
        return ABSENT
    return ABSENT if body is None else body
