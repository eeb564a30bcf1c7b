"""A whole mock over each kind of store: the same calls give the same bytes, and money is neither made nor lost."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from kling_mock.core.deciding import decide
from kling_mock.core.model import Decision, Request
from kling_mock.core.provider import Provider
from kling_mock.server import steering
from kling_mock.server.app import answer
from kling_mock.server.mock import Mock, Options
from kling_mock.server.store import Retention, StoreError, open_store
from tests import exchanges as fixtures
from tests.conftest import AT, Client, Wall
from tests.exchanges import every_provider
from tests.server.sqlite_worker import VIDEOS, make
from tests.server.storing import URLS, at_once, url
from tests.server.test_determinism import PROVIDERS, calls, seen

Over = Callable[..., Mock]


@pytest.fixture
def over(tmp_path: Path) -> Iterator[Over]:
    """Makes a mock of all providers over a store of a kind."""
    made: list[Mock] = []

    def make_mock(kind: str, seed: str = "x", **retention: int) -> Mock:
        store = open_store(url(kind, tmp_path), Retention(**retention))
        made.append(Mock(PROVIDERS.values(), Options(at=AT, seed=seed), wall=Wall(), store=store))
        return made[-1]

    yield make_mock
    for mock in made:
        mock.store.close()


@pytest.fixture(params=URLS)
def mock(request: pytest.FixtureRequest, over: Over) -> Mock:
    """A mock over each kind of store."""
    return over(request.param)


def client(mock: Mock, slots: int | None = None) -> Client:
    """A client with an account of its own."""
    provider: Provider = mock.providers["kling"]
    return Client(mock, provider, mock.accounts.register(provider, None, slots, None))


def test_the_same_calls_give_the_same_bytes_and_journals_on_every_store(over: Over) -> None:
    """A day's work: every answer, every line of the journal, every task and every line of the ledgers."""
    mocks = [over(kind) for kind in URLS]
    answers = [[seen(one) for one in calls(mock)] for mock in mocks]
    assert len(answers[0]) > 50
    assert answers[0] == answers[1]
    journals = [json.dumps(list(mock.exchanges())) for mock in mocks]
    assert journals[0] == journals[1]
    stores = [mock.store for mock in mocks]
    assert list(stores[0].tasks()) == list(stores[1].tasks())
    accounts = stores[0].accounts()
    assert accounts == stores[1].accounts()
    assert [stores[0].entries(row.id) for row in accounts] == [stores[1].entries(row.id) for row in accounts]
    assert list(stores[0].webhooks()) == list(stores[1].webhooks())


def slowly(*words: Any) -> Decision:
    """Decide, and let others come before it is done."""
    decision = decide(*words)
    time.sleep(0.002)
    return decision


def test_two_threads_never_both_pass_a_limit_of_one(mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty creates by eight threads for one slot: one is accepted, 39 get the vendor's refusal."""
    monkeypatch.setattr("kling_mock.server.mock.decide", slowly)
    only = client(mock, slots=1)
    statuses = at_once(40, lambda _: make(only).status)
    assert sorted(statuses) == [200, *[429] * 39]
    assert len(list(mock.store.tasks())) == 1


def test_no_task_is_made_that_the_pack_cannot_pay(mock: Mock) -> None:
    """Eight threads spend a pack to the last unit that buys a task, and not beyond."""
    rich = client(mock)
    make(rich)
    (paid,) = (task.price for task in mock.store.tasks())
    assert paid
    only = steering.register(mock, "kling", [{"type": "video", "total": float(paid * 3)}])
    statuses = at_once(24, lambda _: make(Client(mock, rich.provider, only)).status)
    assert statuses.count(200) == 3
    (held,) = steering.holdings(mock, only).balances
    assert held.balance == 0
    assert held.reserved == paid * 3


@pytest.mark.parametrize("kind", URLS)
def test_evicted_tasks_take_no_money_with_them(over: Over, kind: str) -> None:
    """With room for two tasks, twenty are settled or refunded all the same, when their time comes."""
    mock = over(kind, tasks=2)
    mine = client(mock)
    assert mine.account
    for n in range(20):
        wanted = {"prefer": "scenario=fail"} if n % 4 == 0 else {}
        mine.send("POST", VIDEOS, {"image": "https://example.com/a.png"}, wanted)
    (price,) = {task.price for task in mock.store.tasks()}
    assert price
    assert len(list(mock.store.tasks())) == 2

    def held() -> tuple[object, object, object]:
        row = next(row for row in steering.holdings(mock, mine.account).balances if row.spent or row.reserved)  # type: ignore[arg-type]
        return row.reserved, row.spent, row.pack.total - row.balance

    assert held() == (20 * price, 0, 20 * price)
    mine.advance("1h")
    assert held() == (0, 15 * price, 15 * price)
    assert steering.holdings(mock, mine.account).open_slots == {}


def test_a_store_that_fails_is_the_providers_500(mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the provider's own words; the next call goes on."""
    mine = client(mock)

    def fails(*words: object) -> None:
        raise StoreError("the store x cannot grow, the disk is full; make room and try again")

    headers = {"authorization": mine.credential("POST", VIDEOS)["authorization"] or ""}
    with monkeypatch.context() as patch:
        patch.setattr(mock.store, "decide", fails)
        wire = answer(mock, Request("GET", VIDEOS, "", headers))
    assert (wire.status, json.loads(wire.body)["code"]) == (500, 5000)
    assert make(mine).status == 200


@pytest.mark.parametrize("kind", URLS)
@every_provider
def test_a_changed_spec_does_not_change_a_task(provider: Provider, kind: str, over: Over) -> None:
    """It keeps its timeline, variant and price: states come when they were to come, and are said as they were."""
    before = Client(over(kind), provider)
    variant = provider.variants[-1]
    made = fixtures.task_of(before, fixtures.make(before, prefer=f"variant={variant}"))
    patient = {name: dict.fromkeys(rows, (10**9, 10**9)) for name, rows in provider.lifecycle.latency.items()}
    lifecycle = replace(provider.lifecycle, latency=patient)
    changed = dataclasses.replace(provider, lifecycle=lifecycle, variants=tuple(reversed(provider.variants)))
    after = Client(Mock([changed], Options(at=AT, seed="x"), wall=Wall(), store=before.mock.store), changed)
    for moment in made.timeline[1:]:
        before.advance(f"{moment.at - before.mock.clocks.now(made.account)}ms")
        assert steering.view(after.mock, made).state == moment.state
        assert fixtures.task_of(after, fixtures.poll(after, made.id)) == made
    assert (made.variant, fixtures.poll(after, made.id).json.keys()) == (
        variant,
        fixtures.poll(before, made.id).json.keys(),
    )
    assert fixtures.task_of(after, fixtures.make(after)).timeline[1].at >= made.timeline[-1].at + 10**9
