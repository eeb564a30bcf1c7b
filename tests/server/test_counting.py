"""What is counted, for whom and under which name: scenarios one after the other, calls without a key, retries."""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from kling_mock.core.calls import Pick
from kling_mock.core.provider import Provider
from kling_mock.server import money
from kling_mock.server.mock import Mock, Options
from kling_mock.server.scenario_file import UserRule, read_scenario_file
from kling_mock.server.serving import Running
from kling_mock.server.store import Store, open_store
from tests.conftest import AT, PROVIDERS, Client
from tests.exchanges import created_as, every_provider, make, operation_of, poll
from tests.server.wire import Remote

VIDEOS = "/v1/videos/image2video"
BODY = {"image": "https://example.com/a.png", "prompt": "a lighthouse"}
KEYLESS = [
    row for row in PROVIDERS.values() if any(() in o.security for o in row.operations.values() if o.role == "query")
]


@pytest.fixture(params=["memory://", "sqlite:///{}/x.db"])
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Store:
    """Each store, fresh."""
    return open_store(request.param.format(tmp_path))


def choose(client: Client, reference: str | None) -> None:
    """Give the client's account another scenario, as the plugin does."""
    assert client.account is not None
    old = client.mock.accounts.get(client.account.id)
    assert old is not None
    assert client.mock.store.change_account(old, replace(old, scenario=reference, chosen=old.chosen + 1))


@every_provider
def test_scenarios_one_after_the_other(provider: Provider, client: Callable[..., Client]) -> None:
    """Each counts the same payload for itself, and one that is chosen anew counts anew."""
    if "bad-gateway" not in provider.scenarios:
        assert provider.name == "toymaker"
        return
    caller = client(provider).other()
    seen = []
    for reference in ("dropped", "bad-gateway", "charged-no-answer", None, "dropped", "dropped"):
        choose(caller, reference)
        answer = make(caller)
        seen.append((answer.status, answer.delivery.cut_at))
    assert seen == [(200, 0), (502, None), (200, 0), (200, None), (200, 0), (200, 0)]


@every_provider
def test_a_query_may_ask_for_a_scenario(provider: Provider, client: Callable[..., Client]) -> None:
    """Prefer on the call itself goes before the task's own scenario; without a word on queries it changes nothing."""
    caller = client(provider)
    own = next(name for name, row in provider.scenarios.items() if any("create" in a.on for a in row.answers))
    id_ = make(caller).headers["x-mock-task"]
    assert poll(caller, id_, prefer=f"scenario={own}").status < 300
    if "bad-gateway" in provider.scenarios:
        statuses = [poll(caller, id_, prefer='scenario="bad-gateway call=query"').status for _ in range(2)]
        assert statuses == [502, 200]


def test_the_names_of_preferences_have_no_case(client: Callable[..., Client]) -> None:
    """As RFC 7240 has it."""
    assert make(client("kling").other(), prefer="Scenario=server-error").status == 500


@pytest.mark.parametrize("provider", KEYLESS, ids=lambda provider: provider.name)
def test_calls_without_a_key_are_the_tasks_accounts(provider: Provider, store: Store) -> None:
    """They are numbered, counted and written down for the account whose task they ask for, on every store."""
    rule = UserRule(Pick("0", "empty-answer call=query times=9", nth=2), frozenset({provider.name}), operation=None)
    mock = Mock([provider], Options(at=AT, seed="x"), store=store)
    query = next(o for o in provider.operations.values() if o.role == "query" and () in o.security)
    mock.rules = (replace(rule, operation=query.id),)
    two = [Client(mock, provider, mock.accounts.register(provider, None, None, None)) for _ in range(2)]
    ids = [make(who).headers["x-mock-task"] for who in two]
    keyless = {scheme.header.lower(): None for alternative in query.security for scheme in alternative}
    for _ in range(2):
        assert [bool(poll(who, id_, **keyless).body) for who, id_ in zip(two, ids, strict=True)] == [_ == 0] * 2
    for who, id_ in zip(two, ids, strict=True):
        assert who.account is not None
        who.advance("10s")
        poll(who, id_, **keyless)
        report = money.report(mock, who.account.id)
        assert report.abandoned == ()
        assert [(row.task, row.polls) for row in report.polling] == [(id_, 3)]


def test_a_list_is_ruled_by_the_tasks_on_it(store: Store) -> None:
    """By a marker in a prompt: as often as it says for each task, in lists that show it, on every store."""
    mock = Mock(PROVIDERS.values(), Options(at=AT, seed="x"), store=store)
    kling = Client(mock, mock.providers["kling"], mock.accounts.register(mock.providers["kling"], None, None, None))

    def lists(query: str = "") -> list[int]:
        return [kling.send("GET", VIDEOS, query=query).status for _ in range(3)]

    marked = {**BODY, "prompt": "[mock:server-unavailable call=list times=2]"}
    assert kling.send("POST", VIDEOS, marked).status == 200
    assert (lists("pageNum=2&pageSize=1"), lists(), lists()) == ([200] * 3, [503, 503, 200], [200] * 3)
    kling.send("POST", VIDEOS, marked)
    kling.send("POST", VIDEOS, BODY)
    assert (lists("pageNum=1&pageSize=1"), lists()) == ([200] * 3, [503, 503, 200])
    named = [row["scenario"] for row in mock.exchanges() if row["role"] == "list"]
    assert Counted(named) == {None: 11, "server-unavailable call=list times=2": 4}


def test_a_list_scenario_of_the_account_ends_with_it(client: Callable[..., Client]) -> None:
    """Its tasks keep the course that they have from it, not what it does to lists; one asked for later is met anew."""
    kling, asked = client("kling").other(), "server-unavailable call=list times=1"

    def lists() -> list[int]:
        return [kling.send("GET", VIDEOS).status for _ in range(2)]

    choose(kling, asked)
    kling.send("POST", VIDEOS, BODY)
    before = lists()
    choose(kling, None)
    after = lists()
    choose(kling, asked)
    anew = lists()
    kling.send("POST", VIDEOS, {**BODY, "prompt": f"[mock:{asked}]"})
    assert (before, after, anew, lists()) == ([503, 200], [200, 200], [503, 200], [503, 200])


def test_a_list_shows_a_task_otherwise_as_often_as_its_scenario_says(tmp_path: Path) -> None:
    """Once, and for the task alone; the other one on the page is shown as it is."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "scenarios: {lags: {provider: kling, breaks: [agreement], "
        "answers: [{call: list, skip: 1, times: 1, sees: {state: submitted}}]}}"
    )
    found = read_scenario_file(path, PROVIDERS)
    mock = Mock(found.providers.values(), Options(at=AT, seed="x"), wall=lambda: AT)
    kling = Client(mock, mock.providers["kling"])
    for prompt in ("[mock:lags]", "x"):
        kling.send("POST", VIDEOS, {**BODY, "prompt": prompt})
    kling.advance("1m")
    seen = [[row["task_status"] for row in kling.send("GET", VIDEOS).json["data"]] for _ in range(3)]
    assert seen == [["succeed", "succeed"], ["succeed", "submitted"], ["succeed", "succeed"]]


def test_a_retry_may_have_another_address_to_call_back(client: Callable[..., Client]) -> None:
    """Neither that nor the caller's own id makes it another job; a field of the same text does."""
    kling = client("kling").other()
    lost = {**BODY, "callback_url": "http://127.0.0.1:9/?n=1", "external_task_id": "one"}
    kling.send("POST", VIDEOS, {**lost, "prompt": "[mock:charged-no-answer] x"})
    again = {**lost, "callback_url": "http://127.0.0.1:9/?n=2", "external_task_id": "two"}
    assert kling.send("POST", VIDEOS, {**again, "prompt": "[mock:charged-no-answer] x"}).delivery.cut_at is None
    [found] = money.report(kling.mock, kling.account.id if kling.account else None).duplicate_spend
    assert found.verdict == "certain"
    marks = [row["fingerprint"] for row in kling.mock.exchanges()]
    kling.send("POST", VIDEOS, {**BODY, "prompt": "3", "external_task_id": "3"})
    kling.send("POST", VIDEOS, {**BODY, "prompt": "4", "external_task_id": "4"})
    assert len({row["fingerprint"] for row in kling.mock.exchanges()} - set(marks)) == 2


def test_a_download_of_the_wrong_type_has_one_content_type(client: Callable[..., Client]) -> None:
    """The scenario's header replaces the file's."""
    kling = client("kling").other()
    with Running(kling.mock) as running:
        remote = Remote(kling.mock, kling.provider, kling.account, url=running.url)
        body = {**BODY, "prompt": "[mock:wrong-type call=download]"}
        made = remote.send("POST", VIDEOS, body).json["data"]["task_id"]
        remote.advance("10s")
        url = remote.send("GET", f"{VIDEOS}/{made}").json["data"]["task_result"]["videos"][0]["url"]
        types = [remote.send("GET", url.removeprefix(running.url)).headers["content-type"] for _ in range(2)]
    assert types == ["text/html", "video/mp4"]


def test_each_provider_with_a_keyless_query_is_here() -> None:
    """The cases above are some."""
    assert KEYLESS
    assert all(operation_of(created_as(Client(Mock([row]), row))) for row in KEYLESS)
