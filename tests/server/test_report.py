"""The report over a real journal: clients that behave well and badly, driven through scenarios in process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock
from tests.conftest import AT, Answer, Client
from tests.server.callbacks import ask
from tests.server.control_client import Control
from tests.server.receiver import Receiver, Says

VIDEOS = "/v1/videos/image2video"
PRICED = {"model_name": "kling-v2-6", "mode": "pro", "duration": "5", "image": "https://example.com/a.png"}


@pytest.fixture
def kling(make_mock: Callable[..., Mock], providers: Mapping[str, Provider]) -> Client:
    """A client of the default provider with an account of its own."""
    mock = make_mock(providers["kling"])
    return Client(mock, providers["kling"]).other()


def create(client: Client, scenario: str = "", **body: Any) -> Answer:
    """Create a task under a scenario."""
    return client.send("POST", VIDEOS, PRICED | body, {"prefer": f'scenario="{scenario}"'} if scenario else {})


def task_of(answer: Answer) -> str:
    """The task that an answer is about."""
    return answer.headers["x-mock-task"]


def poll(client: Client, task: str) -> str:
    """Ask for a task; gives the word for its state."""
    answer = client.send("GET", f"{VIDEOS}/{task}")
    return str(answer.json["data"]["task_status"]) if answer.status == 200 else str(answer.status)


def report(client: Client, of: str | None = None) -> Any:
    """The report on an account, checked against control.yaml."""
    assert client.account is not None
    return Control(client.mock).get(f"/_mock/report?account={of or client.account.id}")


def test_a_lost_answer_that_is_sent_again_is_paid_twice(kling: Client) -> None:
    """The scenario that the tool is for: the create is billed, its answer lost, and the client sends it once more."""
    lost = create(kling, "charged-no-answer")
    assert lost.delivery.cut_at == 0
    kling.advance("31s")
    again = create(kling)
    assert kling.account is not None
    [found] = report(kling)["duplicate_spend"]
    assert found == {
        "account": kling.account.id,
        "operation": "createImageToVideo",
        "verdict": "certain",
        "first": {"ordinal": 1, "at": AT, "task": task_of(lost)},
        "second": {"ordinal": 2, "at": AT + 31_000, "task": task_of(again)},
        "gap_ms": 31_000,
        "amount": 2.5,
        "unit": "units",
        "outcome": "open",
    }
    kling.advance("1m")
    assert [row["outcome"] for row in report(kling)["duplicate_spend"]] == ["paid twice"]


@pytest.mark.parametrize("bytes_", ["whole", "one less"])
def test_an_answer_that_is_cut_behind_its_end_is_not_lost(kling: Client, bytes_: str) -> None:
    """It arrives whole, and so it is delivered; one byte less is lost."""
    whole = create(kling, prompt="first")
    size = len(whole.body) if bytes_ == "whole" else len(whole.body) - 1
    cut = create(kling, f"truncated call=create bytes={size}", prompt="other")
    row = list(kling.mock.exchanges(kling.account.id if kling.account else None))[-1]
    assert row["lost"] is (bytes_ != "whole")
    assert (cut.delivery.cut_at, "delivery" in row["reply"]) == ((None, False) if bytes_ == "whole" else (size, True))
    assert [sight["task"] for sight in row["saw"]] == ([task_of(cut)] if bytes_ == "whole" else [])
    assert row["scenario"] == f"truncated call=create bytes={size}"


@pytest.mark.parametrize(
    "scenario", ["charged-no-answer", "charged-hanging", "charged-bad-gateway", "charged-server-timeout"]
)
def test_every_answer_that_hides_the_task_is_lost(kling: Client, scenario: str) -> None:
    """Dropped, never come, or in another's words: the client cannot know that a task was made."""
    create(kling, scenario)
    create(kling)
    assert [row["verdict"] for row in report(kling)["duplicate_spend"]] == ["certain"]


@pytest.mark.parametrize("scenario", ["dropped", "hanging", "bad-gateway", "overloaded", "server-error"])
def test_what_made_nothing_costs_nothing(kling: Client, scenario: str) -> None:
    """The same failures before anything happened: sending again is right."""
    create(kling, scenario)
    assert create(kling).status == 200
    assert report(kling)["duplicate_spend"] == []


def test_two_of_the_same_are_only_possible(kling: Client) -> None:
    """Both answers arrived: the client may want two. Its own id and its webhook make no other job of it."""
    create(kling, external_task_id="mine-1")
    create(kling, external_task_id="mine-2")
    assert [row["verdict"] for row in report(kling)["duplicate_spend"]] == ["possible"]


def test_another_prompt_is_another_job(kling: Client) -> None:
    """Nothing is said of jobs that differ."""
    create(kling, "charged-no-answer", prompt="a cat")
    create(kling, prompt="a dog")
    assert report(kling)["duplicate_spend"] == []


def test_a_retry_after_a_failure_is_right(kling: Client) -> None:
    """The task failed and the money came back: to ask again is what a client should do."""
    task = task_of(create(kling, "fail"))
    kling.advance("10s")
    assert poll(kling, task) == "failed"
    create(kling)
    assert report(kling)["duplicate_spend"] == []


def test_a_task_that_nobody_reads_is_abandoned(kling: Client) -> None:
    """As soon as it has ended, not before; reading its end takes it off the list."""
    task = task_of(create(kling))
    poll(kling, task)
    assert report(kling)["abandoned"] == []
    kling.advance("5s")
    [found] = report(kling)["abandoned"]
    assert (found["task"], found["state"], found["ends"], found["told"]) == (task, "submitted", "success", True)
    assert (found["at"], found["ended"], found["amount"]) == (AT, AT + 5000, 2.5)
    poll(kling, task)
    assert report(kling)["abandoned"] == []


@pytest.mark.parametrize("status", [200, 302, 410, 500, None])
def test_a_webhook_that_was_delivered_tells_of_the_end(kling: Client, status: int | None) -> None:
    """A client whose receiver took it needs no poll; one whose receiver fails (or resets) was told nothing."""
    with Receiver(Says(status)) as receiver:
        task = task_of(create(kling, callback_url=receiver.url))
        kling.advance("5s")
        kling.mock.webhooks.deliver_due()
        assert "succeed" in [got.document["task_status"] for got in receiver.got]
        assert [row["task"] for row in report(kling)["abandoned"]] == [task] * (status != 200)
        # When no attempt is left, it still was told nothing.
        kling.advance("3d")
        kling.mock.webhooks.deliver_due()
    rows = list(kling.mock.store.webhooks())
    assert {row.outcome for row in rows} == {"delivered" if status == 200 else "given up"}
    assert [row["task"] for row in report(kling)["abandoned"]] == [task] * (status != 200)


@pytest.mark.parametrize("scenario", ["webhook-answered status=410", "webhook-answered-late times=20"])
def test_a_webhook_whose_answer_was_misread_told_of_the_end(kling: Client, scenario: str) -> None:
    """The receiver has it and said so, whatever its sender made of that."""
    with Receiver() as receiver:
        create(kling, scenario, callback_url=receiver.url)
        for by in ("5s", "3d"):
            kling.advance(by)
            kling.mock.webhooks.deliver_due()
            assert report(kling)["abandoned"] == []
    assert {row.outcome for row in kling.mock.store.webhooks()} == {"given up"}


@pytest.mark.parametrize("scenario", ["webhook-disagrees", "webhook-forged"])
def test_a_webhook_that_may_not_be_believed_tells_of_no_end(kling: Client, scenario: str) -> None:
    """It told of another end than the task's, or its signature was wrong: a client that trusts it has read nothing."""
    with Receiver() as receiver:
        task = task_of(create(kling, scenario, callback_url=receiver.url))
        kling.advance("5s")
        kling.mock.webhooks.deliver_due()
        last = "failed" if scenario == "webhook-disagrees" else "succeed"
        assert [got.document["task_status"] for got in receiver.got] == ["submitted", "processing", last]
    assert {row.outcome for row in kling.mock.store.webhooks()} == {"delivered"}
    [found] = report(kling)["abandoned"]
    assert (found["task"], found["ends"], found["state"]) == (task, "success", "submitted")
    assert poll(kling, task) == "succeed"
    assert report(kling)["abandoned"] == []


def test_a_scenario_that_happens_to_tell_the_truth_is_believed(kling: Client) -> None:
    """What counts is what was told: the task did fail, and the webhook said so."""
    with Receiver() as receiver:
        task = task_of(create(kling, "webhook-disagrees", callback_url=receiver.url))
        Control(kling.mock).post(f"/_mock/tasks/{task}/state", {"state": "failed"})
        kling.mock.webhooks.deliver_due()
        assert receiver.got[-1].document["task_status"] == "failed"
    assert report(kling)["abandoned"] == []


def test_a_forged_webhook_is_as_good_as_any_where_none_is_signed(
    make_mock: Callable[..., Mock], providers: Mapping[str, Provider]
) -> None:
    """A receiver that has no signature to look at cannot know better."""
    client = Client(make_mock(providers["rixapi"]), providers["rixapi"]).other()
    with Receiver() as receiver:
        ask(client, receiver.url, "createTextToVideo", prefer="scenario=webhook-forged")
        client.advance("1h")
        client.mock.webhooks.deliver_due()
        assert [name for got in receiver.got for name in got.headers if "signature" in name] == []
    assert {row.forged for row in client.mock.store.webhooks()} == {True}
    assert report(client)["abandoned"] == []


def test_an_end_from_which_the_task_went_on_was_not_told_by_its_webhook(kling: Client) -> None:
    """A failure was told, and the task came back to life: that it succeeded nobody has told yet."""
    with Receiver() as receiver:
        task = task_of(create(kling, "comes-back-to-life", callback_url=receiver.url))
        moments = Control(kling.mock).get(f"/_mock/tasks/{task}")["timeline"]
        at = {moment["state"]: moment["at"] - AT for moment in moments}
        kling.advance(f"{at['failed']}ms")
        kling.mock.webhooks.deliver_due()
        assert receiver.got[-1].document["task_status"] == "failed"
        kling.advance(f"{at['succeed'] - at['failed']}ms")
        assert [row["task"] for row in report(kling)["abandoned"]] == [task]
        kling.mock.webhooks.deliver_due()
    assert report(kling)["abandoned"] == []


def test_a_replay_that_fails_takes_nothing_back(kling: Client) -> None:
    """What its receiver took once it knows, whatever it answers when it is sent the same again."""
    with Receiver() as receiver:
        create(kling, callback_url=receiver.url)
        kling.advance("5s")
        kling.mock.webhooks.deliver_due()
        last = next(row for row in kling.mock.store.webhooks() if row.state == "succeed")
        Control(kling.mock).post(f"/_mock/webhooks/{last.id}/replay", {})
        assert report(kling)["abandoned"] == []
        receiver.says = Says(500)
        kling.mock.webhooks.deliver_due()
    row = next(row for row in kling.mock.store.webhooks() if row.id == last.id)
    assert [attempt.status for attempt in row.attempts] == [200, 500]
    assert report(kling)["abandoned"] == []


def test_a_webhook_of_a_step_or_to_nowhere_tells_of_no_end(kling: Client) -> None:
    """Only the last state's counts, and only if it may be sent at all."""
    refused = task_of(create(kling, callback_url="https://example.com/hook"))
    with Receiver() as receiver:
        stepped = task_of(create(kling, callback_url=receiver.url, prompt="a step"))
        kling.mock.webhooks.deliver_due()
        assert [got.document["task_status"] for got in receiver.got] == ["submitted"]
    kling.advance("5s")
    kling.mock.webhooks.deliver_due()
    assert {row.outcome for row in kling.mock.store.webhooks() if row.task == refused} == {"refused"}
    assert {row["task"] for row in report(kling)["abandoned"]} == {refused, stepped}


def test_a_list_shows_the_end_as_well(kling: Client) -> None:
    """A client that reads only its list has read the end; under list-disagrees it has not."""
    task = task_of(create(kling))
    hidden = task_of(create(kling, "list-disagrees", prompt="hidden"))
    kling.advance("5s")
    kling.send("GET", VIDEOS)
    assert [row["task"] for row in report(kling)["abandoned"]] == [hidden]
    assert task in kling.send("GET", VIDEOS).body.decode()


@pytest.mark.parametrize("scenario", ["unknown-word", "bad-gateway call=query times=9", "truncated times=9"])
def test_an_end_that_cannot_be_understood_was_not_shown(kling: Client, scenario: str) -> None:
    """A word that no document names, another's page, half an answer: the client knows nothing."""
    task = task_of(create(kling, scenario))
    kling.advance("5s")
    kling.send("GET", f"{VIDEOS}/{task}")
    assert [row["task"] for row in report(kling)["abandoned"]] == [task]


def test_a_client_that_polls_well(kling: Client) -> None:
    """A second, two, four, and it stops at the end."""
    task = task_of(create(kling, "slow seconds=10"))
    for seconds in (1, 2, 4, 8, 16):
        kling.advance(f"{seconds}s")
        word = poll(kling, task)
    assert word == "succeed"
    [found] = report(kling)["polling"]
    assert kling.account is not None
    assert found == {
        "account": kling.account.id,
        "task": task,
        "operation": "getImageToVideo",
        "polls": 5,
        "least_ms": 2000,
        "median_ms": 6000,
        "backs_off": True,
        "after_end": 0,
        "asked_to_wait": 0,
        "too_early": 0,
        "waits": [],
        "stopped": "at the end",
        "last_ms": 31_000,
    }


def test_a_client_that_does_not_stop(kling: Client) -> None:
    """It reads the end and goes on."""
    task = task_of(create(kling))
    for _ in range(5):
        kling.advance("3s")
        poll(kling, task)
    [found] = report(kling)["polling"]
    assert (found["stopped"], found["after_end"], found["backs_off"]) == ("after the end", 3, None)


def test_a_client_with_a_deadline(kling: Client) -> None:
    """It polls a task that is stuck for a while, and then no more."""
    task = task_of(create(kling, "stuck"))
    for _ in range(3):
        kling.advance("10s")
        poll(kling, task)
    assert [row["stopped"] for row in report(kling)["polling"]] == ["not yet"]
    kling.advance("2m")
    assert [(row["stopped"], row["last_ms"]) for row in report(kling)["polling"]] == [("given up", 30_000)]


@pytest.mark.parametrize(("wait", "early"), [("1s", 1), ("2s", 0)])
@pytest.mark.parametrize("call", ["create", "query"])
def test_retry_after_is_obeyed_or_not(kling: Client, call: str, wait: str, early: int) -> None:
    """too-fast says 2 seconds: coming back after one is too early, for a create as for a query."""
    answer = create(kling, f"too-fast call={call} seconds=2")
    if call == "create":
        assert answer.status == 429
        kling.advance(wait)
        answer = create(kling)
    task = task_of(answer)
    if call == "query":
        assert poll(kling, task) == "429"
        kling.advance(wait)
    poll(kling, task)
    [found] = report(kling)["polling"]
    assert (found["asked_to_wait"], found["too_early"]) == (1, early)


@pytest.mark.parametrize(("wait", "early"), [("1s", 1), ("2s", 0)])
@pytest.mark.parametrize("made", [True, False])
def test_a_create_that_came_back_too_early_is_told_without_any_poll(
    kling: Client, made: bool, wait: str, early: int
) -> None:
    """Whether or not it got its task in the end; the requests are named, with what was asked for and what was kept."""
    scenario = f"too-fast call=create seconds=2 times={1 if made else 2}"
    assert create(kling, scenario).status == 429
    kling.advance(wait)
    again = create(kling, scenario)
    [found] = report(kling)["polling"]
    assert (found["task"], found["polls"]) == (again.headers.get("x-mock-task"), 0)
    assert (found["asked_to_wait"], found["too_early"], found["stopped"]) == (1 if made else 2, early, "not polled")
    kept = {"again": 2, "kept_ms": 1000 if early else 2000}
    assert found["waits"][0] == {"operation": "createImageToVideo", "ordinal": 1, "asked_ms": 2000} | kept
    assert found["waits"][1:] == [found["waits"][0] | {"ordinal": 2, "again": None, "kept_ms": None}] * (not made)


def test_a_list_that_came_back_too_early_is_told(kling: Client) -> None:
    """It is no task's; the next page is another request."""
    for query in ("pageNum=1", "pageNum=2", "pageNum=1"):
        kling.send("GET", VIDEOS, headers={"prefer": 'scenario="too-fast call=list seconds=9"'}, query=query)
    rows = [(row["task"], row["operation"], row["too_early"]) for row in report(kling)["polling"]]
    assert rows == [(None, "listImageToVideo", 1)]


def test_the_report_is_of_one_account_or_of_all(kling: Client) -> None:
    """What another account does is not in mine; an account that is not there is refused with a guess."""
    other = kling.other()
    for client in (kling, other):
        create(client, "charged-no-answer")
        create(client)
    assert kling.account is not None
    assert other.account is not None
    control = Control(kling.mock)
    assert [row["account"] for row in report(kling)["duplicate_spend"]] == [kling.account.id]
    everybody = {row["account"] for row in control.get("/_mock/report")["duplicate_spend"]}
    assert everybody == {kling.account.id, other.account.id}
    wrong = control.refused(422, "GET", "/_mock/report?account=kling-defualt")
    assert wrong["errors"][0]["pointer"] == "query/account"


def test_a_reset_forgets_the_report(kling: Client) -> None:
    """A test starts from nothing."""
    create(kling, "charged-no-answer")
    create(kling)
    assert kling.account is not None
    Control(kling.mock).post("/_mock/reset", {"account": kling.account.id})
    assert report(kling) == {"duplicate_spend": [], "abandoned": [], "polling": []}


def test_the_journal_says_what_was_seen(kling: Client) -> None:
    """Role, fingerprint and what each reply showed are there for a program of one's own."""
    task = task_of(create(kling))
    kling.advance("5s")
    poll(kling, task)
    assert kling.account is not None
    made, asked = Control(kling.mock).get(f"/_mock/journal?account={kling.account.id}")["exchanges"]
    assert (made["role"], asked["role"], asked["fingerprint"]) == ("create", "query", None)
    assert made["saw"] == [{"task": task, "state": "submitted", "ended": False}]
    assert asked["saw"] == [{"task": task, "state": "succeed", "ended": True}]
    assert json.dumps(made["fingerprint"]) != "null"
