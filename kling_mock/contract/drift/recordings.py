"""Recordings as exchanges: HAR 1.2 as browsers and proxies save it, and the mock's own journal as JSON.

What is no exchange of an API (WebSockets, preflights, calls without an answer) is counted and left out. Nothing here
knows a provider.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from kling_mock.contract.drift.exchanges import Recorded, Recording, Skipped
from kling_mock.contract.drift.har import har_entry
from kling_mock.contract.drift.journals import journal_entry
from kling_mock.core.expressions import ABSENT
from kling_mock.core.messages import json_type


class Unreadable(ValueError):
    """A file that is no recording; the message says why and where."""


def read_recording(content: bytes, name: str = "") -> Recording:
    """Read a HAR, or a journal: `{"exchanges": [...]}` as the mock answers it, or the list alone. `name` is the file's.

    Raises `Unreadable`.
    """
    document = _parsed(content)
    if isinstance(document, dict) and isinstance(document.get("log"), dict):
        entries, at, read = document["log"].get("entries", ABSENT), "/log/entries", har_entry
    else:
        bare = isinstance(document, list)
        entries, at, read = document if bare else _keyed(document), "" if bare else "/exchanges", journal_entry
    if not isinstance(entries, list):
        found_there = "missing" if entries is ABSENT else json_type(entries)
        raise Unreadable(f"{at} should be a list; is {found_there}")
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
