"""The journal names the scenario that hit: that changed an answer, or that rules the task which a call made."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock, Options
from kling_mock.server.scenario_file import read_scenario_file
from tests.conftest import AT, PROVIDERS, Answer, Client
from tests.exchanges import make, poll, task_of

MakeClient = Callable[..., Client]
VIDEOS = "/v1/videos/image2video"
BODY = {"image": "https://example.com/a.png", "prompt": "a lighthouse"}
ON_WIRES = [provider for provider in PROVIDERS.values() if "dropped" in provider.scenarios]


def named(client: Client) -> list[str | None]:
    """The scenario of each exchange of this client's account, oldest first."""
    assert client.account is not None
    return [row["scenario"] for row in client.mock.exchanges(client.account.id)]


@pytest.fixture
def kling(client: MakeClient) -> Client:
    """A client with an account of its own."""
    return client("kling").other()


def query(client: Client, made: Answer, **headers: str) -> Answer:
    """Ask for the task of a create."""
    return client.send("GET", f"{VIDEOS}/{made.headers['x-mock-task']}", headers=headers)


@pytest.mark.parametrize("provider", ON_WIRES, ids=lambda provider: provider.name)
def test_a_task_that_a_scenario_rules_is_named_at_its_create(provider: Provider, client: MakeClient) -> None:
    """As it was asked for, parameters included; later calls that it leaves alone name nothing."""
    caller = client(provider).other()
    made = make(caller, prefer='scenario="slow seconds=90"')
    poll(caller, task_of(caller, made).id)
    make(caller)
    assert named(caller) == ["slow seconds=90", None, None]


@pytest.mark.parametrize("provider", ON_WIRES, ids=lambda provider: provider.name)
def test_an_answer_that_a_scenario_changes_is_named(provider: Provider, client: MakeClient) -> None:
    """The first query is cut by the task's own scenario, the second is not."""
    caller = client(provider).other()
    id_ = task_of(caller, make(caller, prefer='scenario="dropped call=query"')).id
    assert poll(caller, id_).delivery.cut_at == 0
    assert poll(caller, id_).delivery.cut_at is None
    assert named(caller) == ["dropped call=query", "dropped call=query", None]


def test_a_create_that_made_nothing_names_what_refused_it(kling: Client) -> None:
    """A refusal by a scenario has its name; one by the documents, or by an unknown name, has none."""
    kling.send("POST", VIDEOS, BODY, {"prefer": "scenario=in-arrears"})
    kling.send("POST", VIDEOS, {"prompt": "no image [mock:in-arrears]"})
    kling.send("POST", VIDEOS, {**BODY, "prompt": "[mock:in-arears]"})
    assert named(kling) == ["in-arrears", None, None]


def test_a_call_that_asks_for_itself_is_named(kling: Client) -> None:
    """What Prefer does to one query is written to that query."""
    made = kling.send("POST", VIDEOS, BODY)
    assert query(kling, made, prefer="scenario=empty-answer").body == b""
    query(kling, made)
    assert named(kling) == [None, "empty-answer", None]


def test_an_accounts_own_scenario_is_named(client: MakeClient) -> None:
    """Nobody asked for it in the call."""
    kling = client("kling")
    failing = Client(kling.mock, kling.provider, kling.mock.accounts.register(kling.provider, None, None, "fail"))
    failing.send("POST", VIDEOS, BODY)
    assert named(failing) == ["fail"]


@pytest.mark.parametrize("way", ["the create", "the list"])
def test_a_list_that_shows_a_task_otherwise_is_named(kling: Client, way: str) -> None:
    """By the task's own scenario, or by the list's; both show a finished task as submitted."""
    prefer = {"prefer": "scenario=list-disagrees"}
    kling.send("POST", VIDEOS, BODY, prefer if way == "the create" else {})
    kling.advance("1h")
    listed = kling.send("GET", VIDEOS, headers=prefer if way == "the list" else {})
    assert [row["task_status"] for row in listed.json["data"]] == ["submitted"]
    assert named(kling)[1] == "list-disagrees"


def test_the_nearest_wish_shows_a_list(client: MakeClient) -> None:
    """The call's goes before the task's own, and that before the account's."""
    kling = client("kling")
    account = kling.mock.accounts.register(kling.provider, None, None, "list-disagrees")
    mine = Client(kling.mock, kling.provider, account)
    mine.send("POST", VIDEOS, BODY, {"prefer": "scenario=unknown-word"})
    mine.advance("1h")

    def words(**headers: str) -> list[str]:
        return [row["task_status"] for row in mine.send("GET", VIDEOS, headers=headers).json["data"]]

    assert words() == ["queueing"]
    assert words(prefer="scenario=list-disagrees") == ["submitted"]
    assert named(mine)[1:] == ["unknown-word", "list-disagrees"]


def test_a_rule_names_the_scenario_that_it_chose(tmp_path: Path) -> None:
    """Of a file of rules it is the scenario of the rule whose turn it was."""
    path = tmp_path / "mine.yaml"
    rules: dict[str, Any] = {"rules": [{"nth": 2, "scenario": "fail"}, {"nth": 3, "scenario": "slow seconds=9"}]}
    path.write_text(yaml.safe_dump(rules))
    found = read_scenario_file(path, PROVIDERS)
    mock = Mock(found.providers.values(), Options(at=AT), wall=lambda: AT, rules=found.rules)
    kling = Client(mock, mock.providers["kling"]).other()
    for _ in range(4):
        kling.send("POST", VIDEOS, BODY)
    assert named(kling) == [None, "fail", "slow seconds=9", None]


def test_the_log_tells_of_a_spoilt_download(kling: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The journal has no downloads; the log says which scenario the first one met, and nothing of the second."""
    made = kling.send("POST", VIDEOS, {**BODY, "prompt": "[mock:dropped call=download]"})
    kling.advance("1h")
    path = urlsplit(query(kling, made).json["data"]["task_result"]["videos"][0]["url"]).path
    with caplog.at_level(logging.INFO, "kling_mock"):
        assert kling.mock.download("GET", path) is not None
        assert kling.mock.download("GET", path) is None
    assert [row.getMessage() for row in caplog.records] == [
        f"GET {path} kling download (scenario dropped call=download)"
    ]


def test_the_log_line_names_it(kling: Client, caplog: pytest.LogCaptureFixture) -> None:
    """With what became of the answer; a call without a scenario says nothing of it."""
    with caplog.at_level(logging.INFO, "kling_mock"):
        kling.send("POST", VIDEOS, {**BODY, "prompt": "[mock:charged-no-answer]"})
        kling.send("POST", VIDEOS, {**BODY, "prompt": "[mock:slow seconds=90]"})
        kling.send("POST", VIDEOS, BODY)
    assert [row.getMessage().partition("createImageToVideo")[2] for row in caplog.records] == [
        " (scenario charged-no-answer: late, cut or never delivered)",
        " (scenario slow seconds=90)",
        "",
    ]
