"""Webhooks as a test sees them: there when a followed sleep returns, typed in the handle, signed by a known secret."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook as Oracle

from kling_mock.testing.handle import Kling
from tests.server.receiver import Receiver, Says

README = Path(__file__).parents[2] / "README.md"
CREATE = "/v1/videos/text2video"
REAL: dict[str, Any] = {"clock": time.perf_counter}
"""A clock that nobody takes over."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Where webhooks go."""
    with Receiver() as receiver:
        yield receiver


SECRETS = ("alpha-pass", "bravo-token")


def hook(receiver: Receiver) -> str:
    """An address with secrets in it."""
    return receiver.url.replace("://", "://me:alpha-pass@") + "?job=42&token=bravo-token"


def create(kling: Kling, url: str) -> str:
    """Create a task that calls back; its id."""
    body = {"prompt": "a lighthouse", "callback_url": url}
    made = requests.post(
        kling.base_url + CREATE, json=body, headers={"Authorization": f"Bearer {kling.api_key}"}, timeout=9
    )
    return str(made.json()["data"]["task_id"])


def states(receiver: Receiver) -> list[str]:
    """What has come."""
    return [got.document["task_status"] for got in receiver.got]


# Followed sleeps


def test_a_webhook_is_there_when_a_followed_sleep_returns(kling: Kling, receiver: Receiver) -> None:
    """A client that sleeps and then looks for its webhook finds it, each time."""
    create(kling, receiver.url)
    with kling.clock.follow_sleep():
        for seconds, told in ((2, ["submitted", "processing"]), (10, ["submitted", "processing", "succeed"])):
            time.sleep(seconds)
            assert states(receiver) == told


def test_an_asynchronous_sleep_waits_too_and_holds_up_no_loop(kling: Kling, receiver: Receiver) -> None:
    """Other tasks of the loop go on meanwhile: the receiver may be one of them."""
    create(kling, receiver.url)
    ticks = []

    async def tick() -> None:
        while not ticks or ticks[-1] < 1_000_000:
            ticks.append(len(ticks))
            await asyncio.sleep(0)

    async def sleep() -> list[str]:
        ticking = asyncio.create_task(tick())
        await asyncio.sleep(60)
        ticking.cancel()
        return states(receiver)

    with kling.clock.follow_sleep():
        assert asyncio.run(sleep()) == ["submitted", "processing", "succeed"]
    assert len(ticks) > 3


def test_an_events_timeout_waits_too(kling: Kling, receiver: Receiver) -> None:
    """The receiver sets the event that the client waits for."""
    done = threading.Event()

    def answer(got: Any) -> Says:
        if got.document["task_status"] == "succeed":
            done.set()
        return Says()

    receiver.answer = answer
    create(kling, receiver.url)
    with kling.clock.follow_sleep():
        assert done.wait(60)


def test_a_slow_receiver_is_waited_for_a_second_and_once(kling: Kling, receiver: Receiver) -> None:
    """Sleeps must not hang with it: it costs each attempt that second, and only the first sleep."""
    receiver.says = Says(after=30)
    create(kling, receiver.url)
    with kling.clock.follow_sleep():
        began = REAL["clock"]()
        time.sleep(1)
        assert 0.9 < REAL["clock"]() - began < 5
        began = REAL["clock"]()
        for _ in range(5):
            time.sleep(0.01)
        assert REAL["clock"]() - began < 0.9


def test_a_receiver_that_sleeps_itself_ends_nobodys_sleep_late(kling: Kling, receiver: Receiver) -> None:
    """Its sleeps are followed too; the two must not wait for each other."""

    def answer(got: Any) -> Says:
        time.sleep(5)
        return Says()

    receiver.answer = answer
    create(kling, receiver.url)
    with kling.clock.follow_sleep():
        began = REAL["clock"]()
        time.sleep(60)
        receiver.wait(3)
        assert REAL["clock"]() - began < 15


# The handle


def test_webhooks_are_typed(kling: Kling, receiver: Receiver) -> None:
    """Those to come included; what each tells, where, and what became of it."""
    task = create(kling, receiver.url)
    create(kling, receiver.url)
    first, second, third = kling.webhooks(task)
    assert [row.state for row in (first, second, third)] == ["submitted", "processing", "succeed"]
    assert [row.outcome for row in (first, second, third)] == ["delivered", None, None]
    assert (first.task, first.url, first.reason, second.attempts) == (task, receiver.url, None, ())
    with pytest.raises(ValueError, match=f"has no task '{task}x'; did you mean '{task}'"):
        kling.webhooks(f"{task}x")
    [attempt] = first.attempts
    assert (attempt.status, attempt.error) == (200, None)
    assert third.due - first.due == timedelta(seconds=5)
    kling.clock.advance("1m")
    assert [row.outcome for row in kling.webhooks()] == ["delivered"] * 6
    documents = [row.json for row in kling.webhooks(task)]
    assert documents == [got.document for got in receiver.got if got.document["task_id"] == task]
    assert documents[2]["task_result"]["videos"][0]["url"] == kling.tasks()[0].files[0]


def test_a_webhook_that_may_not_be_sent_says_why(kling: Kling) -> None:
    """A fixture's real address is never called."""
    create(kling, "https://hooks.example.com/kling")
    row = kling.webhooks()[0]
    assert (row.outcome, row.attempts) == ("refused", ())
    assert row.reason is not None
    assert "--callback-allow" in row.reason


def test_a_test_can_check_a_signature(kling: Kling, receiver: Receiver) -> None:
    """The secret is made when it is asked for; the formula is the README's, and the oracle agrees."""
    secret = kling.webhook_secret()
    assert kling.webhook_secret() == secret
    create(kling, receiver.url)
    got = receiver.wait(1)[0]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    assert got.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert Oracle(secret).verify(got.body, got.headers) == json.loads(got.body)
    assert kling.webhooks()[0].id == got.headers["webhook-id"]


def test_a_rotated_secret_signs_beside_the_old_one(kling: Kling, receiver: Receiver) -> None:
    """Two signatures, the newest first."""
    old, new = kling.webhook_secret(), kling.webhook_secret(rotate=True)
    assert old != new == kling.webhook_secret()
    create(kling, receiver.url)
    got = receiver.wait(1)[0]
    assert len(got.headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        Oracle(secret).verify(got.body, got.headers)


def test_the_readmes_example_runs(kling: Kling, receiver: Receiver) -> None:
    """The block below its mark, with the client and the receiver that it leaves to the reader."""

    class MyClient:
        def __init__(self, url: str, access_key: str, secret_key: str) -> None:
            self.url = url

        def image_to_video(self, image: str, callback_url: str) -> None:
            create(kling, callback_url)

    block = re.search(r"<!-- run: webhooks -->\n```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert block is not None
    words: dict[str, Any] = {"base64": base64, "hmac": hmac, "time": time, "MyClient": MyClient, "PNG": "a.png"}
    exec(block[1], words)
    try:
        words["test_my_receiver_is_told"](kling, receiver)
    finally:
        kling.clock.stop()
    assert len(receiver.got) == 3
    forged = {**receiver.got[0].headers, "webhook-signature": "v1,AAAA"}
    assert not words["signed"](kling.webhook_secret(), forged, receiver.got[0].body)


def test_a_provider_that_signs_nothing_says_so(kling: Kling) -> None:
    """There is no secret to be had."""
    with pytest.raises(ValueError, match="nothing is known of pixazo signing its webhooks"):
        kling.provider("pixazo").webhook_secret()


def test_what_a_test_sees_of_an_address_has_no_secrets(kling: Kling, receiver: Receiver) -> None:
    """A failed assertion prints all of a row; the receiver was called with everything, and the task can be forced."""
    task = create(kling, hook(receiver))
    rows: list[object] = [*kling.webhooks(), *kling.tasks(), *kling.requests()]
    assert [secret for row in rows for secret in SECRETS if secret in repr(row)] == []
    shown = receiver.url.replace("://", "://<credential>@") + "?job=42&token=<credential>"
    assert {row.url for row in kling.webhooks(task)} == {shown}
    assert kling.requests()[0].json["callback_url"] == shown
    assert receiver.wait(1)[0].path == "/webhook?job=42&token=bravo-token"
    kling.tasks()[0].force("failed")
    assert kling.tasks()[0].state == kling.webhooks(task)[-1].state == "failed"
