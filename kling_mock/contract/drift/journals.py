"""The mock's own journal, as `GET /_mock/journal` answers it."""

from __future__ import annotations

from typing import Any

from kling_mock.contract.drift.exchanges import Recorded, Skipped, part, secrets_of
from kling_mock.core.expressions import ABSENT
from kling_mock.core.reading import NotJson, check_document


def journal_entry(entry: Any, place: str) -> Recorded:
    """One exchange of the mock's journal; a text where a document should be is what no provider wrote."""
    asked, answered = part(entry, "request"), part(entry, "reply")
    status, body = answered.get("status"), answered.get("body")
    if not isinstance(status, int) or not isinstance(entry.get("provider"), str):
        raise Skipped("malformed: no status or provider")
    delivery = part(answered, "delivery", {})
    if delivery.get("never") or delivery.get("cut_at") is not None:
        raise Skipped("not delivered, by a scenario")
    headers = {str(name).lower(): str(value) for name, value in part(asked, "headers", {}).items()}
    replied = {str(name).lower(): str(value) for name, value in part(answered, "headers", {}).items()}
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
        secrets=frozenset(secrets_of({**replied, **headers}, str(asked.get("query", "")))),
    )


def _kept(body: Any) -> Any:
    """A request's document as the journal keeps it; null is none."""
    try:
        check_document(body)
    except NotJson:
        return ABSENT
    return ABSENT if body is None else body
