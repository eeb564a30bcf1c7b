"""Webhooks of a running server: sent by themselves, at once, beside the requests and beside each other."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from kling_mock.core.model import Webhook
from kling_mock.core.provider import Provider
from kling_mock.server import deliverer, steering, steering_webhooks
from kling_mock.server.app import create_app
from kling_mock.server.clocks import wall_ms
from kling_mock.server.mock import Mock, Options
from kling_mock.server.serving import Running
from tests.conftest import AT, SEED, Client
from tests.server.callbacks import ask, task_of
from tests.server.receiver import Receiver, Says, until
from tests.server.test_serving import Remote

SOON = 5.0  # s in which what is due must have come, on a machine that is busy with other tests


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that takes everything."""
    with Receiver() as server:
        yield server


@pytest.fixture
def served(providers: Mapping[str, Provider], monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    """A client by HTTP of a server whose virtual time is frozen, and whose wall clock is the machine's.

    The deliverer hardly ever looks by itself, so that what comes at once does so because it was woken.
    """
    monkeypatch.setattr(deliverer, "LOOK_SECONDS", 60)
    mock = Mock([providers["kling"]], Options(at=AT, seed=SEED), wall=wall_ms)
    with Running(mock) as running:
        yield Remote(mock, providers["kling"], url=running.url)


def settled(client: Client) -> Callable[[], bool]:
    """Whether no webhook that is due waits."""

    def holds() -> bool:
        now = client.mock.clocks.now("kling-default")
        return all(row.outcome or row.due > now for row in client.mock.store.webhooks())

    return holds


def statuses(row: Webhook) -> list[int | None]:
    """What the receiver answered to each attempt."""
    return [attempt.status for attempt in row.attempts]


def test_what_a_create_brings_is_sent_at_once(served: Remote, receiver: Receiver) -> None:
    """No clock has to move for the first state; the others wait for theirs."""
    ask(served, receiver.url)
    receiver.wait(1, SOON)
    time.sleep(0.3)
    assert [got.document["task_status"] for got in receiver.got] == ["submitted"]


def test_a_jump_of_the_clock_is_seen_at_once(served: Remote, receiver: Receiver) -> None:
    """Over the control API, and for the base clock under the account's."""
    ask(served, receiver.url)
    for step, count in (("2s", 2), ("1m", 3)):
        requests.post(f"{served.url}/_mock/clock", json={"advance": step}, timeout=10).raise_for_status()
        receiver.wait(count, SOON)
    assert [got.document["task_status"] for got in receiver.got] == ["submitted", "processing", "succeed"]


def test_a_forced_state_is_seen_at_once(served: Remote, receiver: Receiver) -> None:
    """Over the control API."""
    task = task_of(ask(served, receiver.url))
    receiver.wait(1, SOON)
    until(settled(served))
    time.sleep(0.1)
    requests.post(f"{served.url}/_mock/tasks/{task}/state", json={"state": "failed"}, timeout=10).raise_for_status()
    assert [got.document["task_status"] for got in receiver.wait(2, SOON)] == ["submitted", "failed"]


def test_time_that_flows_brings_webhooks_by_itself(providers: Mapping[str, Provider], receiver: Receiver) -> None:
    """Nothing but the clock says when: at a hundred times the pace a task's webhooks are there in a moment."""
    mock = Mock([providers["kling"]], Options(seed=SEED, speed=100), wall=wall_ms)
    with Running(mock) as running:
        ask(Remote(mock, providers["kling"], url=running.url), receiver.url)
        assert [got.document["task_status"] for got in receiver.wait(3)] == ["submitted", "processing", "succeed"]


def test_a_ladder_runs_at_once(served: Remote, receiver: Receiver) -> None:
    """Every attempt of three days, in order, without anybody waiting."""
    receiver.says = Says(500)
    ask(served, receiver.url)
    steering.advance(served.mock, "3d")
    receiver.wait(24)
    until(settled(served))
    assert [(statuses(row), row.outcome) for row in served.mock.store.webhooks()] == [([500] * 8, "given up")] * 3


def test_a_jump_keeps_the_order_of_dates(served: Remote, receiver: Receiver) -> None:
    """The second attempt of the first state is due long before the end of a realistic task, and comes before it."""
    receiver.answer = lambda got: Says(500 if got.ordinal == 0 else 200)
    ask(served, receiver.url, prefer="latency=realistic")
    receiver.wait(1, SOON)
    steering.advance(served.mock, "1h")
    said = [got.document["task_status"] for got in receiver.wait(4)]
    assert (sorted(said[:3]), said[3]) == (["processing", "submitted", "submitted"], "succeed")


def test_one_jump_over_everything_keeps_it_too(served: Remote, receiver: Receiver) -> None:
    """Also where all of a task's webhooks were taken on together."""
    receiver.answer = lambda got: Says(500 if got.ordinal == 0 else 200)
    served.mock.deliverer.stop()
    ask(served, receiver.url, prefer="latency=realistic")
    steering.advance(served.mock, "1h")
    served.mock.deliverer.start()
    said = [got.document["task_status"] for got in receiver.wait(4)]
    assert (sorted(said[:3]), said[3]) == (["processing", "submitted", "submitted"], "succeed")


def test_the_first_webhook_overtakes_the_answer(served: Remote, receiver: Receiver) -> None:
    """A client that looks its task up by the webhook's id does not know it yet."""
    answered = []
    receiver.answer = lambda got: (answered.append(done.is_set()), Says())[1]
    done = threading.Event()
    ask(served, receiver.url, prefer='scenario="webhook-first seconds=1"')
    done.set()
    assert answered == [False]


def test_a_slow_receiver_keeps_only_itself_waiting(served: Remote, receiver: Receiver) -> None:
    """Neither calls nor other receivers notice, and it is not called more often at once than a sender would."""
    with Receiver(Says(after=30)) as slow:
        for _ in range(40):
            ask(served, slow.url)
        slow.wait(8, SOON)
        began = time.monotonic()
        ask(served, receiver.url)
        receiver.wait(1, SOON)
        assert time.monotonic() - began < SOON
        assert slow.most_at_once == 8


@pytest.mark.parametrize("most", [1000, 50])
def test_a_receiver_that_hangs_with_a_thousand_webhooks_keeps_only_itself_waiting(
    served: Remote, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """What it may hold of the deliverer is bounded: another's webhook comes, and what is beyond is given back.

    Also where more is given back than is read at once.
    """
    monkeypatch.setattr(deliverer, "MOST", most)
    with Receiver(Says(after=60)) as hanging:
        local = Client(served.mock, served.provider)
        for _ in range(1100):
            ask(local, hanging.url)
        hanging.wait(8, SOON)
        began = time.monotonic()
        ask(served, receiver.url)
        receiver.wait(1, 3)
        assert time.monotonic() - began < 3
        assert hanging.most_at_once == 8
        # Eight more than wait here are on their way; ten seconds later those are others.
        free = range(1100 - most - 24, 1100 - most - 7)
        until(lambda: len(served.mock.store.lease(wall_ms(), wall_ms() + 1, 2000)) in free, SOON)


def test_receivers_that_hang_leave_a_thread_to_others(served: Remote, receiver: Receiver) -> None:
    """Four of them have all the usual threads."""
    with ExitStack() as stack:
        hanging = [stack.enter_context(Receiver(Says(after=60))) for _ in range(4)]
        for server in hanging:
            for _ in range(10):
                ask(served, server.url)
        for server in hanging:
            server.wait(8, SOON)
        began = time.monotonic()
        ask(served, receiver.url)
        receiver.wait(1, 3)
        assert time.monotonic() - began < 3
        assert [server.most_at_once for server in hanging] == [8] * 4


def test_all_come_to_a_receiver_that_has_more_than_are_held(
    served: Remote, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was given back comes in its turn, once, each task's in order."""
    monkeypatch.setattr(deliverer, "MOST", 20)
    local = Client(served.mock, served.provider)
    tasks = [task_of(ask(local, receiver.url)) for _ in range(100)]
    steering.advance(served.mock, "1h")
    seen: dict[str, list[str]] = {task: [] for task in tasks}
    for got in receiver.wait(300, 30):
        seen[got.document["task_id"]].append(got.document["task_status"])
    assert set(map(tuple, seen.values())) == {("submitted", "processing", "succeed")}
    until(settled(served))
    assert len(receiver.got) == 300


def test_rows_that_waited_too_long_for_their_turn_are_taken_on_anew(served: Remote, receiver: Receiver) -> None:
    """A receiver may be too slow for all that is held: no lease has to run out for it, and none comes twice."""
    served.mock.webhooks.longest_ms = 300
    receiver.says = Says(after=0.1)
    served.mock.deliverer.stop()
    tasks = [task_of(ask(served, receiver.url, "createTextToVideo")) for _ in range(60)]
    served.mock.deliverer.start()
    receiver.wait(len(tasks), 20)
    until(settled(served))
    assert Counter(got.document["task_id"] for got in receiver.got) == Counter(tasks)


def test_webhooks_of_a_task_come_one_after_the_other(served: Remote, receiver: Receiver) -> None:
    """The next state is told when the receiver has answered the one before."""
    receiver.says = Says(after=0.2)
    ask(served, receiver.url)
    steering.advance(served.mock, "1h")
    assert [got.document["task_status"] for got in receiver.wait(3)] == ["submitted", "processing", "succeed"]
    assert receiver.most_at_once == 1


def test_a_thousand_webhooks_come_once_each(served: Remote, receiver: Receiver) -> None:
    """None is lost and none comes twice, each task's in order."""
    clients = [Client(served.mock, served.provider)] + [Client(served.mock, served.provider).other() for _ in range(4)]
    tasks = [task_of(ask(clients[n % 5], receiver.url)) for n in range(334)]
    steering.advance(served.mock, "1h")
    seen: dict[str, list[str]] = {task: [] for task in tasks}
    for got in receiver.wait(1002, 60):
        seen[got.document["task_id"]].append(got.document["task_status"])
    assert set(map(tuple, seen.values())) == {("submitted", "processing", "succeed")}
    until(settled(served))
    assert len(receiver.got) == 1002


def test_two_deliverers_share_an_outbox(providers: Mapping[str, Provider], receiver: Receiver) -> None:
    """Over one store no row is sent by both, however they hurry."""
    first = Mock([providers["kling"]], Options(seed=SEED, speed=1000), wall=wall_ms)
    second = Mock([providers["kling"]], Options(seed=SEED), wall=wall_ms, store=first.store)
    receiver.says = Says(after=0.01)
    first.deliverer.start()
    second.deliverer.start()
    tasks = [task_of(ask(Client(first, providers["kling"]), receiver.url)) for _ in range(100)]
    receiver.wait(300, 60)
    until(lambda: not first.store.waiting())
    first.deliverer.stop()
    second.deliverer.stop()
    said = [(got.document["task_id"], got.document["task_status"]) for got in receiver.got]
    assert len(said) == len(set(said)) == 3 * len(tasks)


def test_a_stopped_server_gives_back_what_it_had_taken(providers: Mapping[str, Provider], receiver: Receiver) -> None:
    """Another one over the same store need not wait for the leases to run out."""
    first = Mock([providers["kling"]], Options(at=AT, seed=SEED), wall=wall_ms)
    receiver.says = Says(after=0.3)
    with Running(first):
        for _ in range(30):
            ask(Client(first, providers["kling"]), receiver.url)
        receiver.wait(1)
    begun = len(receiver.got)
    assert begun < 30
    receiver.says = Says()
    second = Mock([providers["kling"]], Options(seed=SEED), wall=wall_ms, store=first.store)
    assert second.deliver_due() == 30 - begun
    said = [got.document["task_id"] for got in receiver.got]
    assert len(said) == len(set(said)) == 30


def test_a_server_starts_again(served: Remote, receiver: Receiver) -> None:
    """Its outbox goes on where it was."""
    served.mock.deliverer.stop()
    ask(served, receiver.url)
    time.sleep(0.3)
    assert receiver.got == []
    served.mock.deliverer.start()
    receiver.wait(1, SOON)


def test_a_reset_forgets_webhooks(served: Remote, receiver: Receiver) -> None:
    """What was still to come does not come."""
    ask(served, receiver.url)
    receiver.wait(1, SOON)
    until(settled(served))
    steering.reset(served.mock)
    steering.advance(served.mock, "1h")
    time.sleep(0.3)
    assert len(receiver.got) == 1


def test_a_store_that_fails_for_a_moment_stops_nothing(
    served: Remote, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading the outbox fails, is written to the log, and is tried again."""
    monkeypatch.setattr(deliverer, "LOOK_SECONDS", 0.02)
    real, failures = served.mock.store.lease, iter(range(3))

    def lease(*given: Any) -> Any:
        if next(failures, None) is not None:
            raise OSError("the disk is away")
        return real(*given)

    monkeypatch.setattr(served.mock.store, "lease", lease)
    ask(served, receiver.url)
    receiver.wait(1, 5)


def test_under_any_wsgi_server_webhooks_are_sent(providers: Mapping[str, Provider], receiver: Receiver) -> None:
    """The plain Flask application starts the deliverer with its first request."""
    mock = Mock([providers["kling"]], Options(at=AT, seed=SEED), wall=wall_ms)
    page, client = create_app(mock).test_client(), Client(mock, providers["kling"])
    url = "/v1/videos/text2video"
    body = {"prompt": "a lighthouse", "callback_url": receiver.url}
    made = page.post(url, json=body, headers={k: v for k, v in client.credential("POST", url).items() if v})
    assert made.status_code == 200
    receiver.wait(1, SOON)
    mock.deliverer.stop()


def test_replayed_over_http(served: Remote, receiver: Receiver) -> None:
    """It is sent at once."""
    ask(served, receiver.url)
    receiver.wait(1, SOON)
    until(settled(served))
    row = steering_webhooks.delivery_log(served.mock)[0]
    requests.post(f"{served.url}/_mock/webhooks/{row.id}/replay", json={}, timeout=10).raise_for_status()
    first, again = receiver.wait(2, SOON)
    assert first.body == again.body
