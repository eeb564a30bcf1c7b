"""Recordings made from the fixtures: HARs of a provider's own hosts, and the drift that is found in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from kling_mock.contract.agreement import agreements
from kling_mock.contract.drift.comparing import Compared, Drift, Known, compare
from kling_mock.contract.drift.edits import Edit
from kling_mock.contract.drift.recordings import read_recording
from kling_mock.core.compiling import compile_provider
from kling_mock.core.documents import Documents, tokens
from kling_mock.server.facts import measure
from tests.conftest import TOYS
from tests.exchanges import load, provider_of, written

KNOWN: Known = agreements(folders=[TOYS])
DAY = "2026-11-21"
EVIDENCE = {"kind": "observed", "source": "recorded.har", "date": DAY}
WHY = f"observed {DAY}, recorded.har"
Change = Callable[[Any], object]


def entry(
    name: str,
    change: Change | None = None,
    *,
    second: int = 0,
    status: int | None = None,
    body: Any = None,
    ask: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
    path: str | None = None,
    method: str | None = None,
) -> dict[str, Any]:
    """A HAR entry of a fixture's request and reply: with another body, status or path, or one change in the reply.

    `ask` replaces keys of the request's body.
    """
    fixture, request = load(name), written(name)
    reply = copy.deepcopy(body if body is not None else fixture.get("reply", {}).get("body"))
    if change is not None:
        change(reply)
    sent = json.dumps({**json.loads(request.body), **ask}) if ask is not None else request.body.decode()
    host = min(provider_of(name).hosts)
    query = f"?{request.query}" if request.query else ""
    text = reply if isinstance(reply, str) else json.dumps(reply)
    told = {**request.headers, "host": host, **(headers or {})}
    return {
        "startedDateTime": f"{DAY}T12:00:{second:02}.000Z",
        "time": 120.5,
        "request": {
            "method": method or request.method,
            "url": f"https://{host}{path or request.path + query}",
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": key.title(), "value": value} for key, value in told.items()],
            **({"postData": {"mimeType": told.get("content-type", ""), "text": sent}} if sent else {}),
        },
        "response": {
            "status": status or fixture["reply"]["status"],
            "headers": [{"name": "Content-Type", "value": content_type}],
            "content": {"size": len(text), "mimeType": content_type, "text": text},
        },
    }


def har(*entries: Any) -> bytes:
    """A HAR 1.2 of these entries."""
    creator = {"name": "tests", "version": "1"}
    return json.dumps({"log": {"version": "1.2", "creator": creator, "entries": list(entries)}}).encode()


def compared(*entries: Any, known: Known = KNOWN, only: str | None = None) -> Compared:
    """What comes of a HAR of these entries."""
    return compare([read_recording(har(*entries), "some/recorded.har")], known, only, measure)


def drifts(*entries: Any, known: Known = KNOWN) -> list[Drift]:
    """The drift in a HAR of these entries."""
    return list(compared(*entries, known=known).drifts)


def told(edits: Iterable[Edit]) -> list[tuple[str, str, str, Any]]:
    """Edits as tuples: operation, file, path, value."""
    return [(edit.op, edit.file, edit.path, edit.value) for edit in edits]


def applied(edits: Iterable[Edit], documents: Documents) -> dict[str, Any]:
    """A copy of documents after some edits: JSON Patch, by its own words."""
    found: dict[str, Any] = copy.deepcopy(dict(documents))
    for edit in edits:
        *above, last = tokens(edit.path)
        node = found[edit.file]
        for token in above:
            node = node[int(token)] if isinstance(node, list) else node[token]
        if edit.op == "remove":
            del node[int(last) if isinstance(node, list) else last]
        elif isinstance(node, list):
            assert (edit.op, last) == ("add", "-")
            node.append(edit.value)
        else:
            assert (edit.op == "add") == (last not in node), f"{edit.op} {edit.path}"
            node[last] = edit.value
    return found


def after(provider: str, edits: Iterable[Edit]) -> Known:
    """The providers after some edits of one's documents, compiled anew."""
    documents = applied(edits, KNOWN[provider].documents)
    changed = replace(KNOWN[provider], provider=compile_provider(documents, provider), documents=documents)
    return {**KNOWN, provider: changed}
