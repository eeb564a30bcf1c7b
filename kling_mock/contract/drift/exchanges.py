"""A recorded exchange, whatever it was recorded by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from kling_mock.core.redaction import names_credential

SHORTEST_SECRET = 8
FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data"


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


def part(node: Any, name: str, default: Any = None) -> Any:
    """An object in an object; an entry without it is malformed, unless there is a default."""
    found = node.get(name, default) if isinstance(node, dict) else None
    if found is None and default is not None:
        return default
    if not isinstance(found, dict):
        raise Skipped(f"malformed: no {name}")
    return found


def secrets_of(headers: Mapping[str, str], query: str) -> Iterator[str]:
    """The values of all that proves who calls, without the words around them."""
    for name, value in (*headers.items(), *parse_qsl(query)):
        if names_credential(name):
            pieces = value.split(";") if "cookie" in name.lower() else value.split()[-1:]
            values = [piece.partition("=")[2] if "cookie" in name.lower() else piece for piece in pieces]
            yield from (text.strip() for text in values if len(text.strip()) >= SHORTEST_SECRET)
