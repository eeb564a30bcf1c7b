"""An account's ledger over the control API: its lines, its sums, and that both APIs agree on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kling_mock.core.provider import Provider
from kling_mock.server import steering
from kling_mock.server.mock import Mock
from tests.conftest import AT, Client
from tests.server.control_client import Control

VIDEOS, IMAGES = "/v1/videos/image2video", "/v1/images/generations"
PRICED = {"model_name": "kling-v2-6", "mode": "pro", "duration": "5", "image": "https://example.com/a.png"}  # 5 x 0.5
UNPRICED = {"model_name": "kling-v2-1", "prompt": "a lighthouse", "n": 3}
PACKS = [{"type": "video", "total": 10}, {"type": "image", "total": 20}]


@pytest.fixture
def kling(make_mock: Callable[..., Mock], providers: Mapping[str, Provider]) -> Client:
    """A client with 10 video units and 20 image units."""
    mock = make_mock(providers["kling"])
    return Client(mock, providers["kling"], steering.register(mock, "kling", PACKS))


def create(client: Client, scenario: str = "") -> str:
    """Create a task; gives its id."""
    answer = client.send("POST", VIDEOS, PRICED, {"prefer": f'scenario="{scenario}"'} if scenario else {})
    assert answer.status == 200, answer.json
    return answer.headers["x-mock-task"]


def ledger(client: Client) -> Any:
    """The ledger, checked against control.yaml."""
    assert client.account is not None
    return Control(client.mock).get(f"/_mock/accounts/{client.account.id}/ledger")


def video(client: Client) -> tuple[float, float, float]:
    """What the video pack holds: balance, reserved, spent."""
    row = next(row for row in ledger(client)["packs"] if row["type"] == "video")
    return row["balance"], row["reserved"], row["spent"]


def lines(client: Client, task: str) -> list[tuple[str, float, bool]]:
    """The lines of a task's money, without those of its slots."""
    rows = [row for row in ledger(client)["entries"] if row["task"] == task and row["of"] != "slots"]
    return [(row["of"], row["amount"], row["due"]) for row in rows]


def force(client: Client, task: str, state: str, jump: bool = False) -> None:
    """Force a state, as a test does."""
    steering.force_state(client.mock, task, state, jump=jump)


def test_a_ledger_in_full(kling: Client) -> None:
    """Every key: what is reserved now, and what the end will settle and free."""
    task = create(kling)
    row = {"task": task, "at": AT, "due": True}
    end = {"task": task, "at": AT + 5000, "due": False}
    valid = {"standing": "open", "effective_at": AT, "invalid_at": AT + 30 * 86_400_000, "slots": None}
    video = {"type": "video", "unit": "units", "total": 10, "balance": 7.5, "reserved": 2.5, "spent": 0}
    image = {"type": "image", "unit": "image units", "total": 20, "balance": 20, "reserved": 0, "spent": 0}
    assert ledger(kling) == {
        "packs": [valid | video | {"open_slots": 1}, valid | image | {"open_slots": 0}],
        "entries": [
            row | {"pack": "video", "of": "slots", "amount": 1},
            row | {"pack": "video", "of": "reserve", "amount": 2.5},
            end | {"pack": "video", "of": "slots", "amount": -1},
            end | {"pack": "video", "of": "settle", "amount": 2.5},
        ],
    }


def test_the_time_of_a_line_comes(kling: Client) -> None:
    """At its end a task's price moves from reserved to spent, or back to the balance."""
    good, bad = create(kling), create(kling, "fail")
    assert video(kling) == (5, 5, 0)
    kling.advance("4999ms")
    assert video(kling) == (5, 5, 0)
    kling.advance("1ms")
    assert video(kling) == (7.5, 0, 2.5)
    assert lines(kling, good) == [("reserve", 2.5, True), ("settle", 2.5, True)]
    assert lines(kling, bad) == [("reserve", 2.5, True), ("refund", 2.5, True)]


def test_a_job_of_unknown_price_takes_slots_alone(kling: Client) -> None:
    """No line of money is made up for it."""
    answer = kling.send("POST", IMAGES, UNPRICED)
    assert lines(kling, answer.headers["x-mock-task"]) == []
    assert [row["amount"] for row in ledger(kling)["entries"]] == [3, -3]


def test_a_pack_that_is_not_held_pays_nothing(make_mock: Callable[..., Mock], providers: Any) -> None:
    """A job whose pack the account has not is not charged: its ledger has no line of a pack that is not there."""
    mock = make_mock(providers["kling"])
    client = Client(mock, providers["kling"], steering.register(mock, "kling", PACKS[1:]))
    task = create(client)
    assert lines(client, task) == []
    assert [row["type"] for row in ledger(client)["packs"]] == ["image"]


def test_the_official_api_says_the_same(kling: Client) -> None:
    """GET /account/costs and the ledger agree at every step of several tasks' lives."""

    def agree() -> None:
        answer = kling.send("GET", "/account/costs", query={"start_time": 0, "end_time": 1})
        told = {
            row["resource_pack_name"]: (row["total_quantity"], row["remaining_quantity"])
            for row in answer.json["data"]["resource_pack_subscribe_infos"]
        }
        packs = ledger(kling)["packs"]
        assert set(told.values()) == {(row["total"], row["balance"]) for row in packs}
        assert all(row["total"] == row["balance"] + row["reserved"] + row["spent"] for row in packs)

    agree()
    create(kling)
    failing = create(kling, "moderated-late minutes=3")
    agree()
    kling.advance("10s")
    agree()
    force(kling, failing, "failed")
    agree()
    kling.send("POST", IMAGES, {"model_name": "kling-v3", "prompt": "x", "resolution": "1k"})
    agree()
    kling.advance("1h")
    agree()


def test_the_account_says_the_same(kling: Client) -> None:
    """GET /_mock/accounts/{id} shows the same packs."""
    create(kling)
    assert kling.account is not None
    assert Control(kling.mock).get(f"/_mock/accounts/{kling.account.id}")["packs"] == ledger(kling)["packs"]


def test_an_account_that_is_not_there(kling: Client) -> None:
    """404 with the one that was probably meant."""
    problem = Control(kling.mock).refused(404, "GET", "/_mock/accounts/kling-defualt/ledger")
    assert "did you mean 'kling-default'" in problem["detail"]


# What is forced


def test_a_forced_end_is_settled_at_once_and_once(kling: Client) -> None:
    """What was to come is withdrawn: no second line comes due at the time of the old end."""
    task = create(kling)
    force(kling, task, "failed")
    assert lines(kling, task) == [("reserve", 2.5, True), ("refund", 2.5, True)]
    kling.advance("1h")
    assert video(kling) == (10, 0, 0)


def test_a_task_that_is_moved_out_of_its_end_stays_settled(kling: Client) -> None:
    """It costs nothing more, whatever it comes to afterwards, and gives nothing back; nor does it take a slot."""
    task = create(kling)
    kling.advance("5s")
    force(kling, task, "processing", jump=True)
    assert (video(kling), ledger(kling)["entries"][-1]["due"]) == ((7.5, 0, 2.5), True)
    force(kling, task, "failed")
    force(kling, task, "succeed", jump=True)
    kling.advance("1h")
    assert lines(kling, task) == [("reserve", 2.5, True), ("settle", 2.5, True)]
    assert sum(row["amount"] for row in ledger(kling)["entries"] if row["of"] == "slots") == 0


def test_a_task_that_was_refunded_is_free_from_then_on(kling: Client) -> None:
    """A failure that is brought back to life and succeeds was paid back already."""
    task = create(kling, "fail")
    kling.advance("5s")
    force(kling, task, "processing", jump=True)
    kling.advance("1h")
    assert steering.view(kling.mock, steering.task(kling.mock, task)).state == "succeed"
    assert video(kling) == (10, 0, 0)


def test_of_a_scenarios_two_ends_the_last_one_counts(kling: Client) -> None:
    """comes-back-to-life fails on the way and is paid all the same: who resubmits at the failure pays twice."""
    task = create(kling, "comes-back-to-life")
    kling.advance("5s")
    assert steering.view(kling.mock, steering.task(kling.mock, task)).state == "failed"
    assert video(kling) == (7.5, 2.5, 0)
    kling.advance("1h")
    assert video(kling) == (7.5, 0, 2.5)


def test_webhooks_of_a_course_that_was_left_are_withdrawn(kling: Client) -> None:
    """A task moved out of its end and then forced elsewhere tells of where it is, not of where it was going."""
    body = PRICED | {"callback_url": "http://127.0.0.1:9/hook"}
    task = kling.send("POST", VIDEOS, body).headers["x-mock-task"]
    kling.advance("5s")
    force(kling, task, "processing", jump=True)
    force(kling, task, "failed")
    now = AT + 5000
    assert [row.state for row in kling.mock.store.webhooks() if row.changed > now] == []
