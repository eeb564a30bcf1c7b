"""Durations and instants as people write them: "31m", "1.5s", "30d"; "2026-03-01T12:00:00Z"."""

from __future__ import annotations

import re
from datetime import UTC, datetime

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
LIMIT = 365_000 * UNITS["d"]


def milliseconds(written: object) -> int:
    """A duration in ms: "1h30m", "250ms", or a number of seconds. Raises `ValueError` with what is accepted."""
    if isinstance(written, int | float) and not isinstance(written, bool) and 0 <= written <= LIMIT / 1000:
        return round(written * 1000)
    if isinstance(written, str) and written and not PART.sub("", written):
        total = sum(float(number) * UNITS[unit] for number, unit in PART.findall(written))
        if total <= LIMIT:
            return round(total)
    raise ValueError(f"{str(written)[:40]!r} is no duration such as 90s, 31m, 1h30m or 3d (at most 1000 years)")


def instant(written: object) -> int:
    """An instant in ms since the epoch: ISO 8601 (UTC unless it has an offset) or a number of seconds.

    Raises `ValueError` with what is accepted.
    """
    if isinstance(written, int | float) and not isinstance(written, bool) and 0 <= written <= 253_402_300_799:
        return round(written * 1000)
    try:
        at = datetime.fromisoformat(str(written))
    except ValueError:
        raise ValueError(f"{str(written)[:40]!r} is no instant such as 2026-03-01T12:00:00Z") from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
