"""What is sent to a receiver, over real HTTP, when the test says that it is time: `deliver_due`, on a frozen clock."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Oracle
from standardwebhooks.webhooks import WebhookVerificationError

from kling_mock.core.model import Webhook
from kling_mock.core.provider import Provider
from kling_mock.loading import bundled, load_providers
from kling_mock.server import steering, steering_webhooks
from kling_mock.server.clocks import wall_ms
from kling_mock.server.mock import Mock, Options
from tests.conftest import AT, SEED, Client
from tests.exchanges import created_as, load, poll
from tests.server.callbacks import CALLED_BACK, CREATES, ask, task_of, told_of, wrong
from tests.server.receiver import Got, Receiver, Says, free_port

MakeClient = Callable[..., Client]
STEPS = [5, 30, 300, 1800, 7200, 43200, 86400]
ENDS = 10  # s after which the default latency has brought every task to its end


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that takes everything."""
    with Receiver() as server:
        yield server


@pytest.fixture
def kling(client: MakeClient) -> Client:
    """A client of the default provider."""
    return client("kling")


@pytest.fixture
def quick(tmp_path: Path, make_mock: Callable[..., Mock]) -> Client:
    """A client of a provider that waits 400 ms for a receiver."""
    shutil.copytree(bundled("specs"), tmp_path / "specs")
    words = tmp_path / "specs" / "kling" / "webhooks.yaml"
    text = words.read_text(encoding="utf-8")
    assert "timeout: 10s" in text
    words.write_text(text.replace("timeout: 10s", "timeout: 400ms"), encoding="utf-8")
    provider = load_providers(["kling"], [tmp_path / "specs"])["kling"]
    return Client(make_mock(provider), provider)


def rows(client: Client) -> list[Webhook]:
    """The delivery log."""
    return steering_webhooks.delivery_log(client.mock)


def row_of(client: Client, state: str) -> Webhook:
    """The one webhook that tells of a state."""
    [row] = [row for row in rows(client) if row.state == state]
    return row


def outcomes(client: Client) -> list[str | None]:
    """What became of each webhook."""
    return [row.outcome for row in rows(client)]


def statuses(row: Webhook) -> list[int | None]:
    """What the receiver answered to each attempt."""
    return [attempt.status for attempt in row.attempts]


# What is told, and when


def test_every_provider_that_calls_back_is_looked_at(providers: Mapping[str, Provider]) -> None:
    """The tests below are about somebody; a provider whose document has callbacks is among them."""
    assert len(CREATES) >= 4
    assert set(CALLED_BACK) <= providers.keys()


@pytest.mark.parametrize(("name", "operation", "variant"), CREATES)
@pytest.mark.parametrize("scenario", ["", "fail"])
def test_each_state_is_told_in_order(
    name: str, operation: str, variant: str, scenario: str, client: MakeClient, receiver: Receiver
) -> None:
    """One POST per told state, when it begins and not before, whose body fits the documented schema."""
    caller = client(name)
    prefer = f"variant={variant}" + (f", scenario={scenario}" if scenario else "")
    task = task_of(ask(caller, receiver.url, operation, prefer=prefer))
    moments = told_of(caller.provider, caller, task)
    caller.mock.deliver_due()
    for before, (due, _) in enumerate(moments):
        now = caller.mock.clocks.now(f"{name}-default")
        if due > now:
            caller.advance(f"{due - now - 1}ms")
            caller.mock.deliver_due()
            assert len(receiver.got) == before, "a webhook came before its state began"
            caller.advance("1ms")
            caller.mock.deliver_due()
    words = caller.provider.operations[operation].callbacks[0]
    assert [row.state for row in rows(caller)] == [state for _, state in moments]
    assert outcomes(caller) == ["delivered"] * len(moments)
    assert [got.method for got in receiver.got] == ["POST"] * len(moments)
    assert {got.headers["content-type"] for got in receiver.got} == {words.content_type}
    assert [wrong(name, operation, got.document) for got in receiver.got] == [[] for _ in moments]
    assert all(task in got.body.decode() for got in receiver.got)


def test_the_documented_body_is_sent(kling: Client, receiver: Receiver) -> None:
    """Bare, with the same words, instants and files as the query of that moment shows."""
    task = task_of(ask(kling, receiver.url, "createTextToVideo"))
    kling.advance("10s")
    kling.mock.deliver_due()
    first, _, last = (got.document for got in receiver.got)
    shown = kling.send("GET", f"/v1/videos/text2video/{task}").json["data"]
    assert first == {
        "task_id": task,
        "task_status": "submitted",
        "task_status_msg": "",
        "created_at": AT,
        "updated_at": AT,
        "final_unit_deduction": shown["final_unit_deduction"],
        "task_info": {},
        "task_result": {},
    }
    assert {key: last[key] for key in ("task_id", "task_status", "updated_at")} == {
        key: shown[key] for key in ("task_id", "task_status", "updated_at")
    }
    assert last["task_result"]["videos"][0]["url"] == shown["task_result"]["videos"][0]["url"]


def test_a_task_that_asks_for_none_gets_none(kling: Client, receiver: Receiver) -> None:
    """Neither without an address nor with the empty one that clients send."""
    ask(kling, "", "createTextToVideo")
    kling.advance("1h")
    assert kling.mock.deliver_due() == 0
    assert rows(kling) == []


def test_a_frozen_clock_delivers_what_is_due_and_nothing_more(kling: Client, receiver: Receiver, wall: Any) -> None:
    """However much of the wall's time passes, and however often it looks."""
    task_of(ask(kling, receiver.url))
    for _ in range(3):
        kling.mock.deliver_due()
        wall.forward("3d")
    assert [got.document["task_status"] for got in receiver.got] == ["submitted"]
    assert outcomes(kling) == ["delivered", None, None]


def test_a_forced_state_is_told(kling: Client, receiver: Receiver) -> None:
    """What was still to come is withdrawn, and what was forced comes in its place."""
    task = task_of(ask(kling, receiver.url))
    kling.mock.deliver_due()
    kling.advance("500ms")
    steering.force_state(kling.mock, task, "failed", "the reason")
    kling.mock.deliver_due()
    kling.advance("1h")
    kling.mock.deliver_due()
    told = [(got.document["task_status"], got.document["task_status_msg"]) for got in receiver.got]
    assert told == [("submitted", ""), ("failed", "the reason")]


def test_two_runs_send_the_same_bytes(providers: Mapping[str, Provider], make_mock: Callable[..., Mock]) -> None:
    """With a seed and a frozen clock the ids and bodies are the same; of the headers only the wall's time is not."""
    runs = []
    port = free_port()
    for _ in range(2):
        with Receiver(port=port) as receiver:
            caller = Client(make_mock(providers["kling"], public_url="http://mock.test"), providers["kling"])
            steering_webhooks.rotate(caller.mock, "kling-default")
            ask(caller, receiver.url)
            caller.advance("10s")
            caller.mock.deliver_due()
            runs.append([(got.path, got.headers, got.body) for got in receiver.got])
    assert runs[0] == runs[1]
    assert len(runs[0]) == 3


# Receivers that fail


@pytest.mark.parametrize(
    ("says", "status", "error"),
    [
        (Says(500), 500, None),
        (Says(404), 404, None),
        (Says(302, location="http://127.0.0.1:1/elsewhere"), 302, None),
        (Says(None), None, "Connection reset by peer"),
    ],
)
def test_a_receiver_that_fails_is_tried_again(
    says: Says, status: int | None, error: str | None, kling: Client, receiver: Receiver
) -> None:
    """Anything but a 2xx is a failed attempt; the next is due one step after the last was due; then it goes well."""
    receiver.answer = lambda got: says if got.ordinal == 0 else Says()
    ask(kling, receiver.url)
    kling.mock.deliver_due()
    row = row_of(kling, "submitted")
    assert (statuses(row), row.attempts[0].error, row.outcome) == ([status], error, None)
    assert row.due == AT + 5000
    kling.advance("4999ms")
    kling.mock.deliver_due()
    assert statuses(row_of(kling, "submitted")) == [status]
    kling.advance("1ms")
    kling.mock.deliver_due()
    row = row_of(kling, "submitted")
    assert (statuses(row), row.outcome) == ([status, 200], "delivered")
    again = [got for got in receiver.got if got.document["task_status"] == "submitted"]
    assert again[0].body == again[1].body


def test_a_redirect_is_not_followed(kling: Client, receiver: Receiver) -> None:
    """Not even to where a webhook might go: a 3xx is the receiver's answer."""
    with Receiver() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            receiver.says = Says(status, location=elsewhere.url)
            ask(kling, receiver.url)
            kling.mock.deliver_due()
        assert elsewhere.got == []
    assert sorted(row.attempts[0].status for row in rows(kling) if row.attempts) == [301, 302, 303, 307, 308]


def test_nobody_listens(kling: Client) -> None:
    """The reason stands in the log, in the system's words."""
    ask(kling, f"http://127.0.0.1:{free_port()}/hook")
    kling.mock.deliver_due()
    [attempt] = row_of(kling, "submitted").attempts
    assert (attempt.status, attempt.error) == (None, "Connection refused")


@pytest.mark.parametrize("says", [Says(after=30), Says(drips=True)])
def test_a_slow_receiver_is_left_when_its_time_is_over(says: Says, quick: Client, receiver: Receiver) -> None:
    """Neither silence nor dripping bytes hold an attempt longer than the provider waits."""
    receiver.says = says
    ask(quick, receiver.url)
    began = time.monotonic()
    quick.mock.deliver_due()
    took = time.monotonic() - began
    [attempt] = row_of(quick, "submitted").attempts
    assert (attempt.status, attempt.error) == (None, "no answer within 0.4 s")
    assert 0.3 < took < 5


def test_a_gone_receiver_is_given_up(kling: Client, receiver: Receiver) -> None:
    """A 410 ends the row; the task's next state is told all the same, and the log says why."""
    receiver.says = Says(410)
    ask(kling, receiver.url)
    kling.advance("3d")
    kling.mock.deliver_due()
    assert [(row.outcome, row.reason, statuses(row)) for row in rows(kling)] == [
        ("given up", "the receiver answered 410", [410])
    ] * 3


def test_a_whole_ladder_runs_at_once(kling: Client, receiver: Receiver) -> None:
    """`advance 3d` makes every attempt due; each is dated one step after the last, and then no attempt is left."""
    receiver.says = Says(500)
    ask(kling, receiver.url)
    kling.advance("3d")
    began = time.monotonic()
    assert kling.mock.deliver_due() == 3 * (1 + len(STEPS))
    assert time.monotonic() - began < 10
    for row in rows(kling):
        assert (row.outcome, row.reason) == ("given up", "no attempt was left")
        assert statuses(row) == [500] * (1 + len(STEPS))
        assert row.due == row.changed + 1000 * sum(STEPS)
    assert kling.mock.deliver_due() == 0


def test_a_jump_is_as_many_small_steps(providers: Mapping[str, Provider], make_mock: Callable[..., Mock]) -> None:
    """A receiver that fails now and then sees the same order of webhooks, however time passes."""
    seen = []
    for steps in (["3d"], ["1s"] * 12 + ["30s", "5m", "30m", "2h", "3d"]):
        with Receiver() as receiver:
            receiver.answer = lambda got: Says(500 if got.ordinal % 3 == 0 else 200)
            caller = Client(make_mock(providers["kling"]), providers["kling"])
            ask(caller, receiver.url)
            for step in ["0s", *steps]:
                caller.advance(step)
                caller.mock.deliver_due()
            seen.append([got.document["task_status"] for got in receiver.got])
    assert seen[0] == seen[1]
    assert seen[0] == ["submitted", "processing", "succeed", "submitted", "submitted"]


def test_the_ladder_of_a_killed_one_goes_on(kling: Client, receiver: Receiver, wall: Any) -> None:
    """What was leased by a process that died is due again when the lease has run out, and not before."""
    ask(kling, receiver.url)
    [lease] = kling.mock.webhooks.lease(10)
    assert kling.mock.deliver_due() == 0
    wall.forward("1m")
    kling.mock.deliver_due()
    kling.mock.deliver_due()
    assert [got.document["task_status"] for got in receiver.got] == ["submitted"]
    assert rows(kling)[0].id == lease.webhook.id


def test_a_forgotten_task_is_not_dropped_silently(kling: Client, receiver: Receiver) -> None:
    """There is nothing left to tell of; the log says so."""
    from kling_mock.server.memory import MemoryStore
    from kling_mock.server.store import Retention

    store = MemoryStore(Retention(tasks=1))
    mock = Mock(kling.mock.providers.values(), Options(at=AT, seed=SEED), wall=lambda: AT, store=store)
    caller = Client(mock, kling.provider)
    ask(caller, receiver.url)
    task = task_of(ask(caller, receiver.url))
    mock.deliver_due()
    assert next((row.outcome, row.reason) for row in rows(caller) if row.task != task) == (
        "given up",
        "the task was forgotten",
    )
    assert len(receiver.got) == 1


def test_another_servers_provider_is_left_to_it(kling: Client, receiver: Receiver) -> None:
    """Over one store a server that does not serve the provider neither sends its webhooks nor gives them up."""
    ask(kling, receiver.url)
    other = Mock([kling.mock.providers["rixapi"]], Options(seed=SEED), wall=lambda: AT, store=kling.mock.store)
    assert other.deliver_due() == 0
    assert receiver.got == []
    assert outcomes(kling) == [None] * 3


def test_a_body_that_cannot_be_made_is_given_up(
    kling: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure of the mock itself stops nobody else's webhooks."""
    real = kling.mock.webhooks._sent

    def fails(provider: Any, words: Any, task: Any, lease: Any) -> Webhook:
        if lease.webhook.state == "submitted":
            raise KeyError("on purpose")
        return real(provider, words, task, lease)

    monkeypatch.setattr(kling.mock.webhooks, "_sent", fails)
    ask(kling, receiver.url)
    kling.advance("10s")
    kling.mock.deliver_due()
    assert outcomes(kling) == ["given up", "delivered", "delivered"]


# Scenarios


def scenario_ids(got: list[Got]) -> list[str]:
    """The ids under which signed webhooks came."""
    return [each.headers["webhook-id"] for each in got]


@pytest.mark.parametrize("name", CALLED_BACK)
def test_repeated(name: str, client: MakeClient, receiver: Receiver) -> None:
    """Each webhook comes twice, with the same body."""
    caller = client(name)
    task = task_of(ask(caller, receiver.url, prefer="scenario=webhook-repeated"))
    caller.advance(f"{ENDS}s")
    caller.mock.deliver_due()
    told = told_of(caller.provider, caller, task)
    assert len(receiver.got) == 2 * len(told)
    assert [one.body for one in receiver.got[::2]] == [other.body for other in receiver.got[1::2]]


def test_repeated_under_the_same_id(kling: Client, receiver: Receiver) -> None:
    """Only the id tells a receiver that it has seen one before."""
    steering_webhooks.rotate(kling.mock, "kling-default")
    ask(kling, receiver.url, prefer="scenario=webhook-repeated")
    kling.advance("10s")
    kling.mock.deliver_due()
    seen = scenario_ids(receiver.got)
    assert seen[::2] == seen[1::2]
    assert len(set(seen)) == 3


@pytest.mark.parametrize("name", CALLED_BACK)
def test_reordered(name: str, client: MakeClient, receiver: Receiver) -> None:
    """Nothing comes until the end; then the newest comes first, and the bodies' own instants show it."""
    caller = client(name)
    task = task_of(ask(caller, receiver.url, prefer="scenario=webhook-reordered"))
    caller.mock.deliver_due()
    told = told_of(caller.provider, caller, task)
    assert receiver.got == [] or len(told) == 1
    caller.advance(f"{ENDS}s")
    caller.mock.deliver_due()
    assert [(row.changed, row.state) for row in rows(caller)] == told[::-1]
    assert len(receiver.got) == len(told)


def test_reordered_bodies(kling: Client, receiver: Receiver) -> None:
    """A receiver that believes whatever came last would end at submitted."""
    ask(kling, receiver.url, prefer="scenario=webhook-reordered")
    kling.advance("10s")
    kling.mock.deliver_due()
    bodies = [got.document for got in receiver.got]
    assert [body["task_status"] for body in bodies] == ["succeed", "processing", "submitted"]
    assert all(later["updated_at"] > earlier["updated_at"] for later, earlier in pairwise(bodies))


@pytest.fixture
def timely(providers: Mapping[str, Provider]) -> Client:
    """A client of a mock whose wall clock is the machine's, as receivers that check signatures need it."""
    return Client(Mock([providers["kling"]], Options(seed=SEED), wall=wall_ms), providers["kling"])


def verified(secret: str | None, got: Got) -> bool:
    """Whether a receiver with this secret takes it, by the scheme's own library and the machine's time."""
    try:
        Oracle(secret or "").verify(got.body, got.headers)
    except WebhookVerificationError:
        return False
    return True


def test_forged(timely: Client, receiver: Receiver) -> None:
    """The signature is of the right form and wrong; without the scenario it is right."""
    [secret] = steering_webhooks.rotate(timely.mock, "kling-default")
    ask(timely, receiver.url, prefer="scenario=webhook-forged")
    timely.mock.deliver_due()
    ask(timely, receiver.url)
    timely.mock.deliver_due()
    assert [verified(secret.value, got) for got in receiver.got] == [False, True]
    assert len(receiver.got[0].headers["webhook-signature"]) == len(receiver.got[1].headers["webhook-signature"])


@pytest.mark.parametrize(
    ("asked", "attempts", "outcome"),
    [
        ("webhook-answered", [(500, "the receiver answered 200, taken for 500"), (200, None)], "delivered"),
        ("webhook-answered status=302", [(302, "the receiver answered 200, taken for 302"), (200, None)], "delivered"),
        ("webhook-answered status=410", [(410, "the receiver answered 200, taken for 410")], "given up"),
        (
            "webhook-answered-late times=2",
            [*[(None, "no answer within 10 s (the receiver answered 200 in time)")] * 2, (200, None)],
            "delivered",
        ),
    ],
)
@pytest.mark.parametrize("name", CALLED_BACK)
def test_answers_taken_for_others(
    name: str,
    asked: str,
    attempts: list[tuple[int | None, str | None]],
    outcome: str,
    client: MakeClient,
    receiver: Receiver,
) -> None:
    """The receiver has each of them, and again where the sender thinks that it has not: under the same id."""
    caller = client(name)
    task = task_of(ask(caller, receiver.url, prefer=f'scenario="{asked}"'))
    caller.advance("1h")
    caller.mock.deliver_due()
    told = told_of(caller.provider, caller, task)
    assert [[(each.status, each.error) for each in row.attempts] for row in rows(caller)] == [attempts] * len(told)
    assert outcomes(caller) == [outcome] * len(told)
    assert Counter(got.body for got in receiver.got) == {got.body: len(attempts) for got in receiver.got}
    assert len(receiver.got) == len(attempts) * len(told)


def test_an_answer_that_never_came_is_taken_for_no_other(kling: Client) -> None:
    """The scenario misreads answers: a receiver that closes the connection has given none."""
    with Receiver() as gone:
        url = gone.url
    ask(kling, url, prefer="scenario=webhook-answered")
    kling.mock.deliver_due()
    [tried] = [attempt for row in rows(kling) for attempt in row.attempts]
    assert (tried.status, tried.error) == (None, "Connection refused")


@pytest.mark.parametrize("name", CALLED_BACK)
def test_the_webhook_disagrees_with_the_poll(name: str, client: MakeClient, receiver: Receiver) -> None:
    """The last webhook says that the task failed, the query that it succeeded."""
    caller = client(name)
    operation = load(created_as(caller))["operation"]
    task = task_of(ask(caller, receiver.url, operation, prefer="scenario=webhook-disagrees"))
    caller.advance("1h")
    caller.mock.deliver_due()
    assert rows(caller)[-1].state == "failed"
    assert "failed" in receiver.got[-1].body.decode()
    assert "/_mock/media/" not in receiver.got[-1].body.decode()
    assert "/_mock/media/" in poll(caller, task).body.decode()


# Signatures


def test_the_wall_dates_the_signature(timely: Client, receiver: Receiver) -> None:
    """However far the account's clock is, a receiver's library takes the timestamp; the signed bytes are those sent."""
    [secret] = steering_webhooks.rotate(timely.mock, "kling-default")
    timely.advance("400d")
    ask(timely, receiver.url)
    timely.advance("10s")
    timely.mock.deliver_due()
    assert len(receiver.got) == 3
    assert all(verified(secret.value, got) for got in receiver.got)
    assert not verified("whsec_dGVzdA==", receiver.got[0])


def test_without_a_secret_there_are_no_headers(kling: Client, receiver: Receiver) -> None:
    """Nothing is signed until a secret is made, and nothing after all were removed."""
    named = {"webhook-id", "webhook-timestamp", "webhook-signature"}
    present = []
    for change in (lambda: None, steering_webhooks.rotate, steering_webhooks.remove_secrets):
        if change.__name__ != "<lambda>":
            change(kling.mock, "kling-default")
        ask(kling, receiver.url)
        kling.mock.deliver_due()
        present.append(named & receiver.got[-1].headers.keys())
    assert present == [set(), named, set()]


def test_a_rotation_overlaps(timely: Client, receiver: Receiver) -> None:
    """For seven days of the account's time both secrets are good, then only the new one."""
    [old] = steering_webhooks.rotate(timely.mock, "kling-default")
    new, _ = steering_webhooks.rotate(timely.mock, "kling-default")
    takes = []
    for step in ("6d", "2d"):
        timely.advance(step)
        ask(timely, receiver.url)
        timely.mock.deliver_due()
        takes.append([verified(each.value, receiver.got[-1]) for each in (new, old)])
    assert takes == [[True, True], [True, False]]
    assert [len(receiver.got[n].headers["webhook-signature"].split(" ")) for n in (0, -1)] == [2, 1]


def test_an_emergency_kills_the_old_secret(timely: Client, receiver: Receiver) -> None:
    """It is dead at once."""
    [old] = steering_webhooks.rotate(timely.mock, "kling-default")
    [new] = steering_webhooks.rotate(timely.mock, "kling-default", emergency=True)
    ask(timely, receiver.url)
    timely.mock.deliver_due()
    assert [verified(each.value, receiver.got[0]) for each in (new, old)] == [True, False]


def test_another_accounts_secret_is_its_own(timely: Client, receiver: Receiver) -> None:
    """A secret signs its own account's webhooks and nobody else's."""
    steering_webhooks.rotate(timely.mock, "kling-default")
    ask(timely.other(), receiver.url)
    timely.mock.deliver_due()
    assert "webhook-signature" not in receiver.got[0].headers


# Replays


def test_a_replay_keeps_its_id(timely: Client, receiver: Receiver) -> None:
    """The same id and body, signed anew: a receiver that has seen the id must not act twice."""
    [secret] = steering_webhooks.rotate(timely.mock, "kling-default")
    ask(timely, receiver.url)
    timely.mock.deliver_due()
    [row] = [each for each in rows(timely) if each.outcome]
    assert timely.mock.deliver_due() == 0
    steering_webhooks.replay(timely.mock, row.id)
    assert timely.mock.deliver_due() == 1
    first, again = receiver.got
    assert first.headers["webhook-id"] == again.headers["webhook-id"] == row.id
    assert first.body == again.body
    assert verified(secret.value, again)
    assert statuses(next(each for each in rows(timely) if each.id == row.id)) == [200, 200]


# Where webhooks may go


@pytest.mark.parametrize("name", CALLED_BACK)
def test_a_real_address_is_never_called(name: str, client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    """It is refused in the create's warnings, in the journal, in the delivery log and in one line of the log."""
    caller = client(name)
    made = ask(caller, "https://user:pass@example.com/hook")
    at = next(op.callbacks[0].pointer for op in caller.provider.operations.values() if op.callbacks)
    [warning] = [row for row in made.violations if row["rule"] == "mock/callback.refused"]
    assert (made.status, warning["pointer"], warning["severity"]) == (200, at, "warning")
    assert "--callback-allow example.com" in warning["message"]
    journal = next(iter(caller.mock.exchanges()))
    assert warning in journal["violations"]
    assert "pass@" not in str(journal["request"]["body"])
    caller.advance("1h")
    caller.mock.deliver_due()
    refused = rows(caller)
    assert {(row.outcome, row.attempts) for row in refused} == {("refused", ())}
    assert all("example.com is no loopback address" in (row.reason or "") for row in refused)
    lines = [line for line in caplog.messages if "was not sent to" in line]
    assert len(lines) == len(refused)
    assert "user:pass" not in caplog.text


def test_this_machine_is_no_warning(kling: Client, receiver: Receiver) -> None:
    """Neither is a request without an address."""
    for url in (receiver.url, ""):
        assert ask(kling, url, "createTextToVideo").wrong == []


def test_a_named_host_is_called(providers: Mapping[str, Provider], make_mock: Callable[..., Mock]) -> None:
    """`--callback-allow` lets a host in, by its name."""
    import socket

    host = socket.gethostname()
    caller = Client(make_mock(providers["kling"], callback_allow=frozenset({host.upper()})), providers["kling"])
    made = ask(caller, f"http://{host}:{free_port()}/hook", "createTextToVideo")
    assert made.wrong == []
    caller.mock.deliver_due()
    [attempt] = row_of(caller, "submitted").attempts
    assert attempt.error is not None
