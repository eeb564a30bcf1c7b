"""Webhooks over the control API: the delivery log, replays, and the secrets that sign."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock
from tests.server.control_client import Control
from tests.server.receiver import Receiver, Says

AT = 1_767_225_600_000
MINE = "kling-default"
VECTOR = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="
SECRETS = "/_mock/webhooks/secrets"
DAY = 24 * 3600 * 1000


@pytest.fixture
def control(make_mock: Callable[..., Mock], providers: Mapping[str, Provider]) -> Control:
    """The control API of a mock of two providers, frozen."""
    return Control(make_mock(providers["kling"], providers["rixapi"], mounts={"rixapi": "/rix"}))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that takes everything."""
    with Receiver() as server:
        yield server


def log(control: Control, query: str = "") -> Any:
    """The delivery log."""
    return control.get(f"/_mock/webhooks{query}")["webhooks"]


# The delivery log


def test_the_log_shows_every_attempt(control: Control, receiver: Receiver) -> None:
    """What was sent, what is still to come, and what the receiver answered, in virtual time."""
    receiver.answer = lambda got: Says(503) if got.ordinal == 0 else Says()
    task = control.create(callback_url=receiver.url)
    control.mock.deliver_due()
    control.post("/_mock/clock", {"advance": "5s"})
    control.mock.deliver_due()
    first, second, third = sorted(
        log(control), key=lambda row: ["submitted", "processing", "succeed"].index(row["state"])
    )
    assert first == {
        "id": first["id"],
        "provider": "kling",
        "account": MINE,
        "task": task,
        "url": receiver.url,
        "state": "submitted",
        "due": AT + 5000,
        "outcome": "delivered",
        "reason": None,
        "copy": 0,
        "attempts": [{"at": AT, "status": 503, "error": None}, {"at": AT + 5000, "status": 200, "error": None}],
    }
    assert second["outcome"] == "delivered"
    assert (third["state"], third["due"]) == ("succeed", AT + 5000)


def test_the_log_is_filtered(control: Control) -> None:
    """By account and by task; a misspelt account is refused, since it would look like silence."""
    other = control.post("/_mock/accounts", {"provider": "kling"}, 201)
    tasks = [
        control.create(callback_url="http://127.0.0.1:9/a", key=key)
        for key in ("", other["credentials"]["api_key"])
        if key
    ]
    tasks.append(control.create(callback_url="http://127.0.0.1:9/b"))
    assert {row["account"] for row in log(control)} == {MINE, other["id"]}
    assert {row["task"] for row in log(control, f"?account={MINE}")} == {tasks[1]}
    assert {row["task"] for row in log(control, f"?task={tasks[0]}")} == {tasks[0]}
    assert log(control, f"?task={tasks[0]}&account={MINE}") == []
    problem = control.refused(422, "GET", "/_mock/webhooks?account=kling-defualt")
    assert problem["errors"][0]["pointer"] == "query/account"


def test_rows_stand_in_the_order_in_which_they_are_due(control: Control) -> None:
    """Not in that of the creates."""
    for _ in range(2):
        control.create(callback_url="http://127.0.0.1:9/a")
    due = [row["due"] for row in log(control)]
    assert due == sorted(due)
    assert len(set(due)) < len(due)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:word@127.0.0.1:9/a", "http://<credential>@127.0.0.1:9/a"),
        ("http://key@127.0.0.1:9/a", "http://<credential>@127.0.0.1:9/a"),
        ("http://127.0.0.1:9/a?token=eyJhbGciOi.eyJpc3Mi.c2ln", "http://127.0.0.1:9/a?token=<credential>"),
        ("http://127.0.0.1:9/me@example.com", "http://127.0.0.1:9/me@example.com"),
    ],
)
def test_credentials_in_an_address_are_hidden(control: Control, url: str, shown: str) -> None:
    """In the log and in the journal; nothing else of it is."""
    control.create(callback_url=url)
    assert {row["url"] for row in log(control)} == {shown}
    assert control.get("/_mock/journal")["exchanges"][-1]["request"]["body"]["callback_url"] == shown


# Replays


def test_a_webhook_is_replayed(control: Control, receiver: Receiver) -> None:
    """It waits again, is sent, and the log has both attempts."""
    control.create(callback_url=receiver.url)
    control.mock.deliver_due()
    id_ = log(control)[0]["id"]
    waiting = control.post(f"/_mock/webhooks/{id_}/replay", {})
    assert (waiting["id"], waiting["outcome"], len(waiting["attempts"])) == (id_, None, 1)
    control.mock.deliver_due()
    assert [each["status"] for each in log(control)[0]["attempts"]] == [200, 200]
    assert len(receiver.got) == 2
    assert control.send("POST", f"/_mock/webhooks/{id_}/replay").status_code == 415


def test_a_copy_is_replayed(control: Control, receiver: Receiver) -> None:
    """Copies share the id and are told apart by their number."""
    control.create(callback_url=receiver.url, prompt="a cat [mock:webhook-repeated]")
    control.mock.deliver_due()
    id_ = log(control)[0]["id"]
    assert control.post(f"/_mock/webhooks/{id_}/replay", {"copy": 1})["copy"] == 1
    assert control.mock.deliver_due() == 1
    problem = control.refused(404, "POST", f"/_mock/webhooks/{id_}/replay", {"copy": 2})
    assert problem["detail"] == f"there is no webhook '{id_}' with the copy 2"


def test_what_cannot_be_replayed(control: Control, receiver: Receiver) -> None:
    """One that there is not, and one that has not been sent yet: it says when it is due."""
    assert control.refused(404, "POST", "/_mock/webhooks/12/replay", {})["detail"] == "there is no webhook '12'"
    control.create(callback_url=receiver.url)
    id_ = log(control)[0]["id"]
    problem = control.refused(409, "POST", f"/_mock/webhooks/{id_}/replay", {})
    assert problem["detail"].startswith("the webhook is on its way: it is due at 2026-01-01T00:00:00.000+00:00")
    control.mock.deliver_due()
    control.refused(422, "POST", f"/_mock/webhooks/{id_}/replay", {"copy": -1})
    assert receiver.got[1:] == []


def test_one_that_was_given_up_is_replayed(control: Control, receiver: Receiver) -> None:
    """As a person does who has repaired the receiver."""
    receiver.says = Says(410)
    control.create(callback_url=receiver.url)
    control.mock.deliver_due()
    row = log(control)[0]
    assert (row["outcome"], row["reason"]) == ("given up", "the receiver answered 410")
    receiver.says = Says()
    assert control.post(f"/_mock/webhooks/{row['id']}/replay", {})["reason"] is None
    control.mock.deliver_due()
    assert log(control)[0]["outcome"] == "delivered"


# Secrets


def test_a_secret_is_made_shown_and_removed(control: Control) -> None:
    """There is none at first; one that is drawn has the vendor's form; removing leaves none."""
    none = {"account": MINE, "secret": None, "secrets": []}
    assert control.get(f"{SECRETS}?account={MINE}") == none
    made = control.post(SECRETS, {"account": MINE})
    assert made["secret"].startswith("whsec_")
    assert made == {"account": MINE, "secret": made["secret"], "secrets": [{"secret": made["secret"], "until": None}]}
    assert control.get(f"{SECRETS}?account={MINE}") == made
    removed = control.send("DELETE", f"{SECRETS}?account={MINE}")
    assert (removed.status_code, removed.json) == (200, none)
    assert control.get(f"{SECRETS}?account={MINE}") == none


def test_a_secret_may_be_brought_along(control: Control) -> None:
    """Such as that of the vendor's test vector."""
    assert control.post(SECRETS, {"account": MINE, "secret": VECTOR})["secret"] == VECTOR


def test_secrets_are_rotated(control: Control) -> None:
    """The old one has an end by the account's clock, after which it is not shown; an emergency ends all at once."""
    old = control.post(SECRETS, {"account": MINE})["secret"]
    found = control.post(SECRETS, {"account": MINE, "rotate": "standard"})
    assert found["secrets"] == [{"secret": found["secret"], "until": None}, {"secret": old, "until": AT + 7 * DAY}]
    control.post("/_mock/clock", {"advance": "7d", "account": MINE})
    assert control.get(f"{SECRETS}?account={MINE}")["secrets"] == found["secrets"][:1]
    last = control.post(SECRETS, {"account": MINE, "rotate": "emergency"})
    assert [row["secret"] for row in last["secrets"]] == [last["secret"]]
    assert len({old, found["secret"], last["secret"]}) == 3


def test_secrets_are_drawn_from_the_seed(make_mock: Callable[..., Mock], providers: Mapping[str, Provider]) -> None:
    """The same calls give the same secrets; another seed or account gives others."""

    def drawn(**options: Any) -> list[str]:
        control = Control(make_mock(providers["kling"], **options))
        other = control.post("/_mock/accounts", {"provider": "kling"}, 201)["id"]
        return [control.post(SECRETS, {"account": who})["secret"] for who in (MINE, MINE, other)]

    assert drawn() == drawn()
    assert len({*drawn(), *drawn(seed="other")}) == 6


@pytest.mark.parametrize(
    ("status", "body", "pointer", "message"),
    [
        (422, {"account": "nobody"}, "/account", "there is no account 'nobody'"),
        (422, {"account": MINE, "secret": "test"}, "/secret", "a secret is 'whsec_' and then base64"),
        (422, {"account": MINE, "rotate": "now"}, "/rotate", ""),
        (422, {}, "/account", "is required"),
        (409, {"account": "rixapi-default"}, "/account", "nothing is known of rixapi signing its webhooks"),
    ],
)
def test_what_is_no_secret_of_an_account(control: Control, status: int, body: Any, pointer: str, message: str) -> None:
    """An unknown account, a text that is no secret, an unknown word, a provider that signs nothing."""
    [error] = control.refused(status, "POST", SECRETS, body)["errors"]
    assert error["pointer"] == pointer
    assert error["message"].startswith(message)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_whose_secrets_must_be_said(control: Control, method: str) -> None:
    """Without an account nothing is shown and nothing removed."""
    assert control.refused(400, method, SECRETS)["errors"] == [{"pointer": "query/account", "message": "is required"}]
    assert control.refused(422, method, f"{SECRETS}?account=nobody")["errors"][0]["pointer"] == "query/account"
