"""Time over the control API: jumps, freezes and speeds, of the base and of one account, never backwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock
from tests.conftest import AT
from tests.server.control_client import Control

MINE = "kling-default"


@pytest.fixture
def control(make_mock: Callable[..., Mock], providers: Mapping[str, Provider]) -> Control:
    """The control API of a mock of the default provider, whose clock runs with the wall's."""
    return Control(make_mock(providers["kling"], at=None))


def clock(now: int, iso: str, speed: float = 1, frozen: bool = False, account: str | None = None) -> dict[str, Any]:
    """A clock as it is shown."""
    return {"now": now, "iso": iso, "speed": speed, "frozen": frozen, "account": account}


def test_a_clock_is_read(control: Control, wall: Any) -> None:
    """It runs with the wall's time, which is what a server starts with."""
    wall.forward("5s")
    assert control.get("/_mock/clock") == clock(AT + 5000, "2026-01-01T00:00:05.000+00:00")
    mine = clock(AT + 5000, "2026-01-01T00:00:05.000+00:00", account=MINE)
    assert control.get(f"/_mock/clock?account={MINE}") == mine


@pytest.mark.parametrize(
    ("written", "by"), [("31m", 31 * 60_000), ("1h30m", 90 * 60_000), (90, 90_000), (0.5, 500), ("0s", 0)]
)
def test_time_jumps_ahead(control: Control, written: Any, by: int) -> None:
    """By a duration as people write them, or by seconds; the pace stays."""
    found = control.post("/_mock/clock", {"advance": written})
    assert (found["now"], found["speed"]) == (AT + by, 1)
    assert control.get("/_mock/clock") == found


def test_an_account_has_its_own_time(control: Control) -> None:
    """A jump of one account is not seen by another, a jump of the base is seen by all."""
    other = control.post("/_mock/accounts", {"provider": "kling"}, 201)["id"]
    assert control.post("/_mock/clock", {"advance": "1m", "account": MINE})["now"] == AT + 60_000
    assert control.get("/_mock/clock")["now"] == control.get(f"/_mock/clock?account={other}")["now"] == AT
    control.post("/_mock/clock", {"advance": "1s"})
    assert control.get(f"/_mock/clock?account={MINE}")["now"] == AT + 61_000
    assert control.get(f"/_mock/clock?account={other}")["now"] == AT + 1000


def test_time_freezes_and_resumes(control: Control, wall: Any) -> None:
    """It goes on from the instant where it stopped, at the speed that ruled before."""
    control.post("/_mock/clock", {"speed": 60})
    wall.forward("1s")
    frozen = control.post("/_mock/clock", {"freeze": True})
    assert frozen == clock(AT + 60_000, "2026-01-01T00:01:00.000+00:00", 0, True)
    wall.forward("1h")
    assert control.get("/_mock/clock") == frozen
    assert control.post("/_mock/clock", {"resume": True}) == clock(AT + 60_000, "2026-01-01T00:01:00.000+00:00", 60)
    wall.forward("1s")
    assert control.get("/_mock/clock")["now"] == AT + 120_000


@pytest.mark.parametrize("account", [None, MINE])
@pytest.mark.parametrize("stop", [{"freeze": True}, {"speed": 0}])
def test_a_resume_finds_the_speed_behind_jumps_and_freezes(
    control: Control, account: str | None, stop: dict[str, Any]
) -> None:
    """Time that is frozen twice, and travels while it stands, resumes as fast as it last ran; so does an account's."""
    mine = {"account": account} if account else {}
    for change in ({"speed": 7}, {"speed": 2.5}, stop, {"advance": "1h"}, stop, {"set": "2026-03-01T12:00:00Z"}):
        control.post("/_mock/clock", change | mine)
    resumed = control.post("/_mock/clock", {"resume": True} | mine)
    assert (resumed["iso"], resumed["speed"]) == ("2026-03-01T12:00:00.000+00:00", 2.5)


@pytest.mark.parametrize("account", [None, MINE])
def test_a_resume_of_a_running_clock_changes_nothing(control: Control, account: str | None) -> None:
    """One that nobody froze has the speed that it has; the plain pace is {"speed": 1}."""
    mine = {"account": account} if account else {}
    assert control.post("/_mock/clock", {"resume": True} | mine)["speed"] == 1
    control.post("/_mock/clock", {"speed": 60} | mine)
    assert control.post("/_mock/clock", {"resume": True} | mine)["speed"] == 60
    assert control.post("/_mock/clock", {"speed": 1} | mine)["speed"] == 1


@pytest.mark.parametrize(("speed", "pace"), [(1.0, 1), (60.0, 60), (0.0, 1)])
def test_a_server_that_starts_frozen_resumes_at_its_speed(
    make_mock: Callable[..., Mock], providers: Mapping[str, Provider], speed: float, pace: float
) -> None:
    """`serve --at INSTANT --speed 60`: nothing ruled before, so the option does; where it is 0 too, the plain pace."""
    frozen = Control(make_mock(providers["kling"], speed=speed))
    assert frozen.get("/_mock/clock")["frozen"]
    assert frozen.post("/_mock/clock", {"resume": True}) == clock(AT, "2026-01-01T00:00:00.000+00:00", pace)


def test_an_account_stands_still_on_a_frozen_base(control: Control) -> None:
    """Its own pace is 1, and it says that nothing moves."""
    control.post("/_mock/clock", {"freeze": True})
    found = control.get(f"/_mock/clock?account={MINE}")
    assert (found["speed"], found["frozen"]) == (1, True)


def test_time_runs_faster(control: Control, wall: Any) -> None:
    """60 times faster: a second is a minute."""
    assert control.post("/_mock/clock", {"speed": 60, "account": MINE})["speed"] == 60
    wall.forward("2s")
    assert control.get(f"/_mock/clock?account={MINE}")["now"] == AT + 120_000
    assert control.get("/_mock/clock")["now"] == AT + 2000


@pytest.mark.parametrize("written", ["2026-03-01T12:00:00Z", "2026-03-01 13:00:00+01:00", 1772366400])
def test_time_is_set(control: Control, written: Any) -> None:
    """To an instant with any offset, or to seconds since the epoch."""
    found = control.post("/_mock/clock", {"set": written})
    assert found == clock(1_772_366_400_000, "2026-03-01T12:00:00.000+00:00")


@pytest.mark.parametrize("account", [None, MINE])
def test_time_is_never_set_back(control: Control, account: str | None) -> None:
    """The past is a conflict, and the clock is not moved."""
    body = {"set": "2025-12-31T23:59:59Z"} | ({"account": account} if account else {})
    problem = control.refused(409, "POST", "/_mock/clock", body)
    message = "the clock is at 2026-01-01T00:00:00.000+00:00 and time never goes back"
    assert problem["errors"] == [{"pointer": "/set", "message": message}]
    assert control.get("/_mock/clock")["now"] == AT


def test_time_ends_with_the_year_9999(control: Control) -> None:
    """No jump leads where dates cannot be written and numbers overflow."""
    for _ in range(7):
        control.post("/_mock/clock", {"advance": "365000d"})
    for body in ({"advance": "365000d"}, {"advance": 31_000_000_000}):
        problem = control.refused(409, "POST", "/_mock/clock", body)
        assert problem["errors"] == [{"pointer": "/advance", "message": "the clock would go beyond the year 9999"}]
    assert control.refused(409, "POST", "/_mock/clock", {"set": "9999-12-31T23:59:59-23:59"})
    assert control.create()


@pytest.mark.parametrize(
    ("body", "pointer", "message"),
    [
        ({"advance": "soon"}, "/advance", "'soon' is no duration such as 90s, 31m, 1h30m or 3d (at most 1000 years)"),
        ({"advance": -1}, "/advance", "'-1' is no duration such as 90s, 31m, 1h30m or 3d (at most 1000 years)"),
        ({"advance": 1e308}, "/advance", "'1e+308' is no duration such as 90s, 31m, 1h30m or 3d (at most 1000 years)"),
        ({"set": "tomorrow"}, "/set", "'tomorrow' is no instant such as 2026-03-01T12:00:00Z"),
        ({"set": 1772366400000}, "/set", "'1772366400000' is no instant such as 2026-03-01T12:00:00Z"),
        ({"speed": -1}, "/speed", "should be at least 0; is -1"),
        ({"speed": 1e6}, "/speed", "should be at most 10000; is 1000000"),
        ({"resume": 1}, "/resume", "should be true; is 1"),
        ({"advance": "1s", "account": "nobody"}, "/account", "there is no account 'nobody'"),
    ],
)
def test_a_change_that_means_nothing_is_refused(
    control: Control, body: dict[str, Any], pointer: str, message: str
) -> None:
    """422 with what is accepted; no clock is moved."""
    problem = control.refused(422, "POST", "/_mock/clock", body)
    assert {"pointer": pointer, "message": message} in problem["errors"]
    assert control.get("/_mock/clock") == clock(AT, "2026-01-01T00:00:00.000+00:00")


def test_the_clock_of_nobody_is_refused(control: Control) -> None:
    """An unknown account has no time."""
    problem = control.refused(422, "GET", "/_mock/clock?account=kling-defaul")
    message = "there is no account 'kling-defaul'; did you mean 'kling-default'?"
    assert problem["errors"] == [{"pointer": "query/account", "message": message}]
