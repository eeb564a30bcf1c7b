"""Randomness as an argument."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_mock.core.entropy import check_pattern, draw, fraction, seed


def test_a_seed_depends_on_each_part() -> None:
    """Other parts, another order or other borders give another seed; the same parts the same."""
    seeds = {seed("a", "b"), seed("b", "a"), seed("ab"), seed("ab", ""), seed("a", "b", 1), seed("a", "b", 2)}
    assert len(seeds) == 6
    assert seed("a", 1) == seed("a", "1") == seed("a", 1)
    assert re.fullmatch("[0-9a-f]{32}", seed())


@given(st.text(), st.text())
def test_any_text_is_a_seed(one: str, other: str) -> None:
    """Lone surrogates and control characters too."""
    assert re.fullmatch("[0-9a-f]{32}", seed(one, other, "\ud800"))
    assert 0 <= fraction(one, other) < 1


def test_fractions_spread() -> None:
    """A thousand draws fill the range evenly enough."""
    drawn = [fraction(str(i), "latency") for i in range(1000)]
    assert all(70 < sum(low / 10 <= x < (low + 1) / 10 for x in drawn) < 130 for low in range(10))


@given(st.text(), st.integers(1, 40))
def test_a_pattern_is_filled(source: str, length: int) -> None:
    """Each form gives its alphabet at its length; the rest of the pattern stays."""
    assert re.fullmatch(rf"T-[0-9a-f]{{{length}}}!", draw(f"T-{{hex:{length}}}!", source, "id"))
    assert re.fullmatch(rf"[A-Za-z0-9_-]{{{length}}}", draw(f"{{base64url:{length}}}", source, "id"))
    assert re.fullmatch(rf"[1-9][0-9]{{{length - 1}}}", draw(f"{{digits:{length}}}", source, "id"))
    assert UUID(draw("{uuid}", source, "id")).version == 4


def test_purposes_are_unrelated() -> None:
    """One source gives another id for each purpose, and the same one again."""
    ids = {draw("{hex:12}", source, purpose) for source in "ab" for purpose in ("task", "request", "result 0")}
    assert len(ids) == 6
    assert draw("{hex:12}", "a", "task") in ids


@pytest.mark.parametrize("pattern", ["{digits:18}", "kling_{hex:12}", "{uuid}", "plain", "", "{hex:4}-{digits:1}"])
def test_a_pattern_that_is_understood(pattern: str) -> None:
    """Every form, several of them, or none."""
    assert check_pattern(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{digit:3}", "; did you mean 'digits'?"),
        ("a{hex}", "'hex' needs a length"),
        ("{uuid:4}", "'uuid' takes no length"),
        ("{digits:0}", "length"),
        ("{hex:200}", "length"),
        ("{HEX:4}", "HEX"),
        ("{hex:4", "{hex:4"),
    ],
)
def test_a_pattern_that_is_not_understood(pattern: str, message: str) -> None:
    """What would stay in the id as it is, or would not have the length it says, is a mistake."""
    problem = check_pattern(pattern)
    assert problem is not None
    assert message in problem
