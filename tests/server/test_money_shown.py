"""What replies and webhooks show as deducted is what the ledger has taken for the task at that instant.

However a task was moved, and wherever its money was when it was: both sides are asked by HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock, Options
from kling_mock.server.serving import Running
from tests.conftest import AT, SEED, Wall
from tests.server.receiver import Receiver, until
from tests.server.wire import Remote

VIDEOS = "/v1/videos/image2video"
PRICED = {"model_name": "kling-v2-6", "mode": "pro", "duration": "5", "image": "https://example.com/a.png"}  # 5 x 0.5
MINE = "kling-default"
TOTAL = 100_000
TO_COME, PAID, BACK = ("settle", False), ("settle", True), ("refund", True)
"""How a task's money ends in the ledger, and whether that is due."""


@pytest.fixture
def kling(providers: Mapping[str, Provider]) -> Iterator[Remote]:
    """A client by HTTP of a server whose time is frozen."""
    mock = Mock([providers["kling"]], Options(at=AT, seed=SEED), wall=Wall())
    with Running(mock) as running:
        yield Remote(mock, providers["kling"], url=running.url)


def create(kling: Remote, scenario: str = "", **body: Any) -> str:
    """Create a task of 2.5 units; gives its id."""
    answer = kling.send("POST", VIDEOS, PRICED | body, {"prefer": f'scenario="{scenario}"'} if scenario else {})
    assert answer.status == 200, answer.json
    return str(answer.json["data"]["task_id"])


def advance(kling: Remote, by: str) -> None:
    """Let the machine's time jump."""
    assert kling.send("POST", "/_mock/clock", {"advance": by}).status == 200


def force(kling: Remote, task: str, *states: str) -> None:
    """Jump from state to state."""
    for state in states:
        answer = kling.send("POST", f"/_mock/tasks/{task}/state", {"state": state, "break": True})
        assert (answer.status, answer.json["state"]) == (200, state)


def shown(kling: Remote, task: str) -> tuple[str, str]:
    """The state and the deduction that a query shows; a list shows the same."""
    found = kling.send("GET", f"{VIDEOS}/{task}").json["data"]
    assert [row for row in kling.send("GET", VIDEOS).json["data"] if row["task_id"] == task] == [found]
    return found["task_status"], found["final_unit_deduction"]


def booked(kling: Remote, task: str) -> tuple[str, tuple[str, bool]]:
    """What the ledger has taken for the account's only task, by its sums, and how its lines end."""
    found = kling.send("GET", f"/_mock/accounts/{MINE}/ledger").json
    pack = next(row for row in found["packs"] if row["type"] == "video")
    assert pack["balance"] + pack["reserved"] + pack["spent"] == pack["total"] == TOTAL
    first, *last = [row for row in found["entries"] if row["task"] == task and row["of"] != "slots"]
    assert (first["of"], first["amount"], first["due"]) == ("reserve", 2.5, True)
    [end] = last
    assert end["amount"] == 2.5
    return f"{pack['reserved'] + pack['spent']:g}", (end["of"], end["due"])


@pytest.mark.parametrize(
    ("scenario", "after", "jumps", "taken", "end"),
    [
        ("", "5s", ["failed"], "2.5", PAID),  # was paid: no second refund
        ("", "1h", ["failed"], "2.5", PAID),
        ("", "3s", ["failed"], "0", BACK),  # was still to be paid
        ("", "3s", ["succeed", "failed"], "2.5", PAID),
        ("", "3s", ["failed", "succeed"], "0", BACK),
        ("", "0s", ["failed", "submitted"], "0", BACK),
        ("", "5s", ["processing", "succeed"], "2.5", PAID),
        ("", "5s", ["processing", "failed", "succeed"], "2.5", PAID),
        ("", "3s", ["submitted"], "2.5", TO_COME),
        ("fail", "5s", ["succeed"], "0", BACK),  # was given back: nothing is paid for it again
        ("fail", "1h", ["processing"], "0", BACK),
        ("fail", "5s", ["processing", "failed"], "0", BACK),
        ("fail", "3s", ["succeed"], "2.5", PAID),
        ("fail", "3s", ["submitted"], "2.5", TO_COME),
    ],
)
def test_a_reply_shows_what_the_ledger_has_taken(
    kling: Remote, scenario: str, after: str, jumps: list[str], taken: str, end: tuple[str, bool]
) -> None:
    """In the state that was jumped to, and in whatever it goes on to from there."""
    task = create(kling, scenario)
    advance(kling, after)
    force(kling, task, *jumps)
    assert shown(kling, task) == (jumps[-1], taken)
    assert booked(kling, task) == (taken, end)
    advance(kling, "1h")
    state, deducted = shown(kling, task)
    assert state == ("failed" if jumps[-1] == "failed" else "succeed")
    assert deducted == taken
    assert booked(kling, task) == (taken, (end[0], True))


def test_a_failure_that_is_left_again_gives_nothing_back(kling: Remote) -> None:
    """comes-back-to-life is paid at its last end: while it is failed its price is still reserved, and shown so."""
    task = create(kling, "comes-back-to-life")
    advance(kling, "5s")
    assert shown(kling, task) == ("failed", "2.5")
    assert booked(kling, task) == ("2.5", TO_COME)
    advance(kling, "1h")
    assert shown(kling, task) == ("succeed", "2.5")
    assert booked(kling, task) == ("2.5", PAID)


@pytest.mark.parametrize(
    ("scenario", "first", "then", "taken", "end"),
    [("", "succeed", "failed", "2.5", PAID), ("fail", "failed", "succeed", "0", BACK)],
)
def test_webhooks_show_what_was_taken_when_their_state_began(
    kling: Remote, scenario: str, first: str, then: str, taken: str, end: tuple[str, bool]
) -> None:
    """What ended is told with its money; so is the state that it was forced into, and the first when sent again."""
    with Receiver() as receiver:

        def told(state: str) -> list[str]:
            rows = [row.document for row in receiver.got]
            return [row["final_unit_deduction"] for row in rows if row["task_status"] == state]

        task = create(kling, scenario, callback_url=receiver.url)
        advance(kling, "5s")
        until(lambda: bool(told(first)))
        force(kling, task, then)
        until(lambda: bool(told(then)))
        [row] = [row for row in kling.send("GET", "/_mock/webhooks").json["webhooks"] if row["state"] == first]
        assert kling.send("POST", f"/_mock/webhooks/{row['id']}/replay", {}).status == 200
        until(lambda: len(told(first)) == 2)
        assert (told(first), told(then), told("submitted")) == ([taken, taken], [taken], ["2.5"])
    assert booked(kling, task) == (taken, end)


def test_a_webhook_that_disagrees_tells_the_ledgers_money(kling: Remote) -> None:
    """webhook-disagrees tells of a failure of what was paid: the deduction is the account's, whatever the state."""
    with Receiver() as receiver:
        task = create(kling, "webhook-disagrees", callback_url=receiver.url)
        advance(kling, "5s")
        until(lambda: any(row.document["task_status"] == "failed" for row in receiver.got))
        assert {row.document["final_unit_deduction"] for row in receiver.got} == {"2.5"}
    assert shown(kling, task) == ("succeed", "2.5")
    assert booked(kling, task) == ("2.5", PAID)
