"""Tasks over the control API: listed, shown, and put into states; the journal; and forgetting all of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import AT
from tests.server.control_client import Control


def spent(control: Control, account: str = "kling-default") -> tuple[float, float, int]:
    """What the account's video pack has reserved and spent, and its open slots."""
    found = control.get(f"/_mock/accounts/{account}")
    return found["packs"][0]["reserved"], found["packs"][0]["spent"], found["open_slots"]


def test_a_task_is_listed_with_its_timeline(control: Control) -> None:
    """The whole course is known from the start; the state is that of now."""
    id_ = control.create()
    timeline = [
        {"at": AT, "state": "submitted"},
        {"at": AT + 1000, "state": "processing"},
        {"at": AT + 5000, "state": "succeed"},
    ]
    row = {"id": id_, "provider": "kling", "account": "kling-default", "kind": "videos/text2video", "created_at": AT}
    assert control.get("/_mock/tasks") == {"tasks": [row | {"state": "submitted", "timeline": timeline}]}
    control.post("/_mock/clock", {"advance": "1s"})
    assert control.get("/_mock/tasks") == {"tasks": [row | {"state": "processing", "timeline": timeline}]}


def test_tasks_are_filtered(control: Control) -> None:
    """By account, by provider and by the state of now, alone and together."""
    account = control.post("/_mock/accounts", {"provider": "kling"}, 201)
    mine, theirs = control.create(), control.create(key=account["credentials"]["api_key"])
    control.post("/_mock/clock", {"advance": "1h", "account": account["id"]})

    def ids(query: str) -> list[str]:
        return [row["id"] for row in control.get(f"/_mock/tasks?{query}")["tasks"]]

    assert ids("") == ids("provider=kling") == [mine, theirs]
    assert ids(f"account={account['id']}") == ids("state=succeed") == [theirs]
    assert ids("state=submitted&provider=kling") == [mine]
    assert ids("account=kling-default&state=succeed") == []


def test_a_task_is_shown_in_full(control: Control) -> None:
    """What was asked, what it costs and what comes of it; the files once they are there."""
    prompt = "[mock:slow] a cat for sk-abcdefgh1234"
    id_ = control.create(model_name="kling-v1", external_task_id="mine", aspect_ratio="9:16", prompt=prompt)
    found = control.get(f"/_mock/tasks/{id_}")
    assert (found["alias"], found["scenario"], found["reason"]) == ("mine", "slow", None)
    assert found["parameters"]["model"] == "kling-v1"
    assert "sk-abc" not in str(found["parameters"])
    assert found["price"] == 1
    assert found["result"] == {
        "of": "video", "count": 1, "width": 720, "height": 1280, "aspect": "9:16", "duration": 5100,
        "expires_ms": 30 * 86_400_000, "pack": "video", "slots": 1, "files": [],
    }  # fmt: skip
    control.post("/_mock/clock", {"advance": "1h"})
    base = f"http://127.0.0.1:8787/_mock/media/kling/{id_}/0"
    assert control.get(f"/_mock/tasks/{id_}")["result"]["files"] == [
        {"url": f"{base}.mp4", "watermarked": f"{base}-watermarked.mp4", "cover": f"{base}-cover.jpg"}
    ]


@pytest.mark.parametrize("id_", ["1", "%ED%A0%80", "a%00b", "..%2f..%2f", "x" * 5000])
def test_an_unknown_task_is_not_found(control: Control, id_: str) -> None:
    """404 for any text that is no task's id, to read or to change."""
    assert control.refused(404, "GET", f"/_mock/tasks/{id_}")["detail"].startswith("there is no ")
    problem = control.refused(404, "POST", f"/_mock/tasks/{id_}/state", {"state": "failed"})
    assert problem["detail"].startswith("there is no ")


def test_a_task_fails_when_told_to(control: Control) -> None:
    """It fails now, for the reason given, what it had reserved is given back and its slot closes."""
    id_ = control.create(model_name="kling-v1")
    assert spent(control) == (1, 0, 1)
    found = control.post(f"/_mock/tasks/{id_}/state", {"state": "failed", "reason": "no cats"})
    assert (found["state"], found["reason"]) == ("failed", "no cats")
    assert found["timeline"] == [{"at": AT, "state": "submitted"}, {"at": AT, "state": "failed"}]
    assert spent(control) == (0, 0, 0)
    control.post("/_mock/clock", {"advance": "1h"})
    assert control.get(f"/_mock/tasks/{id_}")["state"] == "failed"
    assert spent(control) == (0, 0, 0)


def test_a_failure_has_the_reason_of_the_documents_by_default(control: Control) -> None:
    """Without a reason of one's own the provider's observed one is told."""
    found = control.post(f"/_mock/tasks/{control.create()}/state", {"state": "failed"})
    assert found["reason"] == "Failure to pass the risk control system"


def test_a_task_goes_the_legal_way(control: Control) -> None:
    """To succeed it passes through processing; the money is spent now."""
    id_ = control.create(model_name="kling-v1")
    found = control.post(f"/_mock/tasks/{id_}/state", {"state": "succeed"})
    assert [moment["state"] for moment in found["timeline"]] == ["submitted", "processing", "succeed"]
    assert {moment["at"] for moment in found["timeline"]} == {AT}
    assert spent(control) == (0, 1, 0)


def test_no_legal_way_is_a_conflict(control: Control) -> None:
    """What has ended stays so, unless the order is broken on purpose; then it goes on from there."""
    id_ = control.create()
    control.post(f"/_mock/tasks/{id_}/state", {"state": "failed"})
    problem = control.refused(409, "POST", f"/_mock/tasks/{id_}/state", {"state": "processing"})
    [error] = problem["errors"]
    assert error["pointer"] == "/state"
    assert error["message"].startswith("no legal way leads from 'failed' to 'processing'; \"break\": true")
    assert control.get(f"/_mock/tasks/{id_}")["state"] == "failed"
    assert control.refused(409, "POST", f"/_mock/tasks/{id_}/state", {"state": "processing", "break": False})
    found = control.post(f"/_mock/tasks/{id_}/state", {"state": "processing", "break": True})
    assert found["state"] == "processing"
    assert found["timeline"][-1] == {"at": AT + 4000, "state": "succeed"}


@pytest.mark.parametrize(
    ("body", "pointer", "message"),
    [
        ({"state": "faild"}, "/state", "there is no state 'faild'; did you mean 'failed'?"),
        ({"state": "zzz"}, "/state", "there is no state 'zzz'; known are failed, processing, submitted, succeed"),
        ({"state": "succeed", "reason": "x"}, "/reason", "a task that is 'succeed' has no reason to fail"),
    ],
)
def test_a_state_that_means_nothing_is_refused(
    control: Control, body: dict[str, Any], pointer: str, message: str
) -> None:
    """Unknown states, and reasons where there is none to give; the task stays as it is."""
    id_ = control.create()
    before = control.get(f"/_mock/tasks/{id_}")
    problem = control.refused(422, "POST", f"/_mock/tasks/{id_}/state", body)
    assert problem["errors"] == [{"pointer": pointer, "message": message}]
    assert control.get(f"/_mock/tasks/{id_}") == before


def test_the_journal_is_read(control: Control) -> None:
    """Each exchange with the provider, of all or of one account; calls of the control API are not among them."""
    account = control.post("/_mock/accounts", {"provider": "kling"}, 201)
    mine, theirs = control.create(), control.create(key=account["credentials"]["api_key"])
    exchanges = control.get("/_mock/journal")["exchanges"]
    assert [row["task"] for row in exchanges] == [mine, theirs]
    assert exchanges[0]["request"]["body"] == {"prompt": "a cat"}
    assert exchanges == control.get("/_mock/journal?provider=kling")["exchanges"]
    assert [row["task"] for row in control.get(f"/_mock/journal?account={account['id']}")["exchanges"]] == [theirs]
    problem = control.refused(422, "GET", "/_mock/journal?account=nobody")
    assert problem["errors"] == [{"pointer": "query/account", "message": "there is no account 'nobody'"}]


def test_all_is_forgotten(control: Control) -> None:
    """Tasks, ledger and journal are empty and ids start anew; accounts and the clock stay."""
    account = control.post("/_mock/accounts", {"provider": "kling"}, 201)
    first = control.create(model_name="kling-v1")
    control.post("/_mock/clock", {"advance": "2s"})
    assert control.post("/_mock/reset", {}) == {"reset": {"account": None, "tasks": 1}}
    assert control.get("/_mock/tasks") == {"tasks": []}
    assert control.get("/_mock/journal") == {"exchanges": []}
    assert spent(control) == (0, 0, 0)
    assert control.get("/_mock/clock")["now"] == AT + 2000
    assert control.get(f"/_mock/accounts/{account['id']}")
    assert control.create() == first


def test_one_account_is_forgotten(control: Control) -> None:
    """The others keep theirs."""
    account = control.post("/_mock/accounts", {"provider": "kling"}, 201)
    key = account["credentials"]["api_key"]
    mine, theirs = control.create(), control.create(key=key)
    body = {"account": account["id"]}
    assert control.post("/_mock/reset", body) == {"reset": {"account": account["id"], "tasks": 1}}
    assert [row["id"] for row in control.get("/_mock/tasks")["tasks"]] == [mine]
    assert [row["task"] for row in control.get("/_mock/journal")["exchanges"]] == [mine]
    assert control.create(key=key) == theirs
    problem = control.refused(422, "POST", "/_mock/reset", {"account": "kling-defau"})
    assert problem["errors"][0]["pointer"] == "/account"
    assert "did you mean 'kling-default'" in problem["detail"]


def test_a_reset_needs_no_body(control: Control) -> None:
    """Nothing is as good as {}; the content type is still needed."""
    assert control.send("POST", "/_mock/reset", b"").json == {"reset": {"account": None, "tasks": 0}}
    assert control.refused(415, "POST", "/_mock/reset")
