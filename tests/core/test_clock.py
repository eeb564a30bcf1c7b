"""Virtual time: advance, freeze, resume, speed, set; never backwards; and how old a token is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_mock.core.clock import IDENTITY, Line, Piece, paced, start, virtual

WALL = 1_000_000
MINUTE = 60_000


def test_time_runs_with_the_wall() -> None:
    """A line that nobody touched is the wall's time, even before its start."""
    line = start(WALL)
    assert [line.at(wall) for wall in (WALL - 5, WALL, WALL + 7)] == [WALL - 5, WALL, WALL + 7]


def test_a_start_at_an_instant_is_frozen() -> None:
    """`--at` stands still however the wall runs."""
    line = start(WALL, 42)
    assert (line.at(WALL), line.at(WALL + MINUTE), line.speed) == (42, 42, 0.0)


def test_advance_jumps_and_keeps_the_speed() -> None:
    """An advance adds to the present; a frozen line is frozen after it, a fast one fast."""
    for speed, later in ((0.0, 0), (1.0, 10), (60.0, 600)):
        line = start(WALL).run(WALL, speed).advance(WALL + 100, 31 * MINUTE)
        jumped = line.at(WALL + 100)
        assert jumped == WALL + int(100 * speed) + 31 * MINUTE
        assert line.at(WALL + 110) - jumped == later


def test_freeze_and_resume() -> None:
    """Frozen time stands, resumed time goes on from there at the wall's pace."""
    line = start(WALL).run(WALL + 10, 0).run(WALL + 500, 1)
    assert [line.at(WALL + after) for after in (10, 400, 500, 507)] == [WALL + 10, WALL + 10, WALL + 10, WALL + 17]


def test_speed_counts_from_its_change_only() -> None:
    """What passed before keeps its pace."""
    line = start(WALL).run(WALL + 100, 60)
    assert [line.at(WALL + after) for after in (50, 100, 101)] == [WALL + 50, WALL + 100, WALL + 160]


def test_set_goes_forward_only() -> None:
    """Setting a later instant jumps there; an earlier one leaves the time where it is."""
    line = start(WALL)
    assert line.turn(WALL + 5, WALL + MINUTE, 1).at(WALL + 5) == WALL + MINUTE
    assert line.turn(WALL + 5, 0, 1).at(WALL + 5) == WALL + 5


def test_a_history_is_kept() -> None:
    """A change is a new line: the old one and the past of the new one are as before."""
    before = start(WALL).run(WALL + 10, 2)
    after = before.advance(WALL + 20, MINUTE)
    assert [before.at(WALL + 25), after.at(WALL + 15)] == [WALL + 40, WALL + 20]
    assert after.pieces[:2] == before.pieces


def test_changes_at_one_instant_add_up() -> None:
    """Two changes within the same millisecond both count."""
    line = start(WALL).advance(WALL, 5).advance(WALL, 7).run(WALL, 0)
    assert line.at(WALL) == line.at(WALL + 100) == WALL + 12


def test_an_account_runs_over_the_base() -> None:
    """An account's line maps the base's time: both advances count, a frozen base freezes it."""
    base = start(WALL).advance(WALL + 1, 100)
    own = IDENTITY.advance(base.at(WALL + 2), 1000)
    assert virtual(base, own, WALL + 2) == WALL + 2 + 100 + 1000
    frozen = base.run(WALL + 2, 0)
    assert virtual(frozen, own, WALL + 500) == virtual(base, own, WALL + 2)


Change = tuple[str, int, int]
changes = st.lists(
    st.tuples(
        st.sampled_from(["advance", "freeze", "resume", "speed", "set"]),
        st.integers(0, 10**6),
        st.integers(0, 10**7),
    ),
    max_size=12,
)


def change(line: Line, source: int, name: str, by: int) -> Line:
    """Apply one change as the control API would; "set" aims anywhere, the past too."""
    match name:
        case "advance":
            return line.advance(source, by)
        case "freeze":
            return line.run(source, 0)
        case "resume":
            return line.run(source, 1)
        case "speed":
            return line.run(source, by / 1000)
    return line.turn(source, by, line.speed)


@given(changes, changes, st.lists(st.integers(0, 10**5), max_size=8))
def test_time_never_goes_back(base_changes: list[Change], own_changes: list[Change], waits: list[int]) -> None:
    """However the base's and the account's clocks are changed while the wall runs, nobody sees time go back."""
    wall, base, own = WALL, start(WALL), IDENTITY
    last = virtual(base, own, wall)
    for index, (name, wait, by) in enumerate([*base_changes, *own_changes]):
        wall += wait
        assert virtual(base, own, wall) >= last
        last = virtual(base, own, wall)
        if index < len(base_changes):
            base = change(base, wall, name, by)
        else:
            own = change(own, base.at(wall), name, by)
        assert virtual(base, own, wall) >= last
        last = virtual(base, own, wall)
    for wait in waits:
        wall += wait
        assert virtual(base, own, wall) >= last
        last = virtual(base, own, wall)


@given(changes, st.integers(0, 10**5))
def test_a_history_never_goes_back(made: list[Change], step: int) -> None:
    """A line with any history is monotone over its whole past too."""
    source, line = WALL, start(WALL)
    for name, wait, by in made:
        source += wait
        line = change(line, source, name, by)
    seen = [line.at(at) for at in range(WALL - 2 * step - 2, source + step, step + source // 500 + 1)]
    assert seen == sorted(seen)


# How much time passed for a token


@given(
    st.lists(st.tuples(st.integers(1, 10**5), st.floats(0, 10**4)), max_size=6),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_no_speed_ages_a_token(speeds: list[tuple[int, float]], own: bool, held: int) -> None:
    """Freezing and speeding any clock up, any number of times, ages a token by the wall's pace alone."""
    wall, base, line = WALL, start(WALL), IDENTITY
    for wait, speed in speeds:
        wall += wait
        if own:
            line = line.run(base.at(wall), speed)
        else:
            base = base.run(wall, speed)
    assert paced(base, line, WALL, wall + held) == wall + held - WALL


@pytest.mark.parametrize("speed", [0.0, 1.0, 60.0])
@pytest.mark.parametrize("whose", ["base", "own"])
def test_an_advance_after_the_signature_ages_it(whose: str, speed: float) -> None:
    """A jump between signing and use counts in full, at any speed of the clock that jumps."""
    base, own = start(WALL), IDENTITY
    if whose == "base":
        base = base.run(WALL, speed).advance(WALL + 50, 31 * MINUTE)
    else:
        own = own.run(WALL, speed).advance(base.at(WALL + 50), 31 * MINUTE)
    assert paced(base, own, WALL + 40, WALL + 60) == 20 + 31 * MINUTE


@pytest.mark.parametrize("whose", ["base", "own"])
def test_an_advance_before_the_signature_does_not_age_it(whose: str) -> None:
    """Who signs after a jump signs a fresh token."""
    base, own = start(WALL), IDENTITY
    if whose == "base":
        base = base.advance(WALL + 50, 31 * MINUTE)
    else:
        own = own.advance(base.at(WALL + 50), 31 * MINUTE)
    assert paced(base, own, WALL + 51, WALL + 60) == 9


def test_a_frozen_account_does_not_feel_the_base_jump() -> None:
    """An account whose own clock stands still is not aged by the base's advance."""
    own = IDENTITY.run(WALL, 0)
    base = start(WALL).advance(WALL + 50, 31 * MINUTE)
    assert virtual(base, own, WALL + 60) == WALL
    assert paced(base, own, WALL + 40, WALL + 60) == 20


def test_jumps_are_told_from_flow() -> None:
    """Only what was skipped counts, between the two times given."""
    line = Line((Piece(0, 0, 1.0), Piece(100, 100, 5.0), Piece(200, 1600, 0.0)))
    assert [line.jumps(0, 100), line.jumps(0, 199), line.jumps(0, 200), line.jumps(200, 900)] == [0, 0, 1000, 0]
