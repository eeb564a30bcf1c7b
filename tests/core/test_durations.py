"""Durations and instants as people write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_mock.core.durations import instant, milliseconds


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("90s", 90_000),
        ("31m", 1_860_000),
        ("1h30m", 5_400_000),
        ("250ms", 250),
        ("1.5s", 1500),
        ("1.001s", 1001),
        (1.001, 1001),
        ("3d", 259_200_000),
        ("0s", 0),
        (5, 5000),
        (0.25, 250),
    ],
)
def test_a_duration_is_read(written: object, ms: int) -> None:
    """Units add up; a bare number is seconds."""
    assert milliseconds(written) == ms


@pytest.mark.parametrize(
    "written", ["", "5", "s", "5 s", "-5s", "5S", "1h-3m", "1e3s", -1, True, None, [5], 1e300, "9" * 40 + "d", "abc5s"]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    """Signs, blanks, other units, truths and eternities are told with what is accepted."""
    with pytest.raises(ValueError, match="is no duration such as 90s, 31m, 1h30m or 3d"):
        milliseconds(written)


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("2026-03-01T12:00:00Z", 1_772_366_400_000),
        ("2026-03-01T12:00:00", 1_772_366_400_000),
        ("2026-03-01T20:00:00+08:00", 1_772_366_400_000),
        ("2026-03-01T12:00:00.250Z", 1_772_366_400_250),
        ("2026-03-01", 1_772_323_200_000),
        (1_772_366_400, 1_772_366_400_000),
        (0.5, 500),
    ],
)
def test_an_instant_is_read(written: object, ms: int) -> None:
    """ISO 8601, in UTC unless it has an offset, or seconds since 1970."""
    assert instant(written) == ms


@pytest.mark.parametrize("written", ["", "soon", "2026-13-01", "12:00", None, True, -1, 1e300, float("nan")])
def test_what_is_no_instant_is_refused(written: object) -> None:
    """Anything else is told with what is accepted."""
    with pytest.raises(ValueError, match="is no instant such as 2026-03-01T12:00:00Z"):
        instant(written)


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none()))
def test_only_value_errors_are_raised(written: object) -> None:
    """Hostile input gives a number of ms or a ValueError."""
    for read in (milliseconds, instant):
        with suppress(ValueError):
            assert isinstance(read(written), int)


@given(st.integers(1, 253_402_300_799))
def test_whole_milliseconds_are_kept(seconds: int) -> None:
    """An instant written with milliseconds is that instant, not one beside it."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, milliseconds=1)
    assert instant(at.isoformat()) == seconds * 1000 + 1
