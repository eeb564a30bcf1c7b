"""A user's own scenario file: scenarios beside the providers', and rules that choose one by call, body and turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kling_mock.core.model import NOW, Delivery
from kling_mock.core.problems import SpecError
from kling_mock.server.mock import Mock, Options
from kling_mock.server.scenario_file import doubts, read_scenario_file
from tests.conftest import PROVIDERS, Answer, Client

AT = 1_767_225_600_000
VIDEOS = "/v1/videos/image2video"
BODY = {"image": "https://example.com/a.png", "prompt": "a lighthouse"}


def client(tmp_path: Path, document: Any, seed: str = "x") -> Client:
    """A client of the first provider on a mock with this file."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    found = read_scenario_file(path, PROVIDERS)
    mock = Mock(found.providers.values(), Options(at=AT, seed=seed), wall=lambda: AT, rules=found.rules)
    return Client(mock, mock.providers["kling"])


def deliveries(who: Client, count: int, body: Any = BODY) -> list[Delivery]:
    """How so many creates are answered."""
    return [who.send("POST", VIDEOS, body).delivery for _ in range(count)]


RESET = Delivery(cut_at=0)


def test_the_nth_matching_call(tmp_path: Path) -> None:
    """Only the second create of mode pro is dropped, whatever comes between."""
    rule = {"operation": "createImageToVideo", "body": {"mode": "pro"}, "nth": 2, "scenario": "charged-no-answer"}
    kling = client(tmp_path, {"rules": [rule]})
    pro = {**BODY, "mode": "pro"}
    assert deliveries(kling, 1, pro) == [NOW]
    assert deliveries(kling, 2) == [NOW, NOW]
    assert deliveries(kling, 2, pro) == [RESET, NOW]


def test_every_third_call(tmp_path: Path) -> None:
    """The third, the sixth and so on; each payload is another, since a scenario counts its own times by payload."""
    kling = client(tmp_path, {"rules": [{"every": 3, "scenario": "charged-no-answer"}]})
    found = [deliveries(kling, 1, {**BODY, "prompt": str(n)})[0] for n in range(6)]
    assert found == [NOW, NOW, RESET, NOW, NOW, RESET]


def test_a_probability_is_drawn_from_the_seed(tmp_path: Path) -> None:
    """About as many as asked for, the same ones for the same seed, others for another."""
    document = {"rules": [{"probability": 0.3, "scenario": "charged-no-answer times=1000"}]}
    drops = [[row == RESET for row in deliveries(client(tmp_path, document, seed), 60)] for seed in ("x", "x", "y")]
    assert drops[0] == drops[1] != drops[2]
    assert 8 < sum(drops[0]) < 32


def test_what_the_request_asks_for_goes_first_and_the_account_last(tmp_path: Path) -> None:
    """A marker beats a rule, a rule beats the account's own scenario."""
    kling = client(tmp_path, {"rules": [{"scenario": "fail", "body": {"mode": "pro"}}]})
    account = kling.mock.accounts.register(kling.provider, None, None, "slow")
    mine = Client(kling.mock, kling.provider, account)

    def scenario(body: Any) -> str | None:
        task = mine.mock.store.task("kling", mine.send("POST", VIDEOS, body).headers["x-mock-task"])
        return task.scenario if task else None

    assert scenario({**BODY, "mode": "pro", "prompt": "[mock:stuck]"}) == "stuck"
    assert scenario({**BODY, "mode": "pro"}) == "fail"
    assert scenario(BODY) == "slow"


def test_a_rule_for_an_account(tmp_path: Path) -> None:
    """Others are left alone."""
    kling = client(tmp_path, {"rules": [{"account": "kling-default", "scenario": "dropped"}]})
    other = Client(kling.mock, kling.provider, kling.mock.accounts.register(kling.provider, None, None, None))
    assert deliveries(other, 1) == [NOW]
    assert deliveries(kling, 1) == [RESET]


def test_a_rule_for_a_query(tmp_path: Path) -> None:
    """The task's own scenario gives way to the rule for this call."""
    rule = {"operation": "getImageToVideo", "nth": 2, "scenario": "empty-answer times=9"}
    kling = client(tmp_path, {"rules": [rule]})
    id_ = kling.send("POST", VIDEOS, BODY).json["data"]["task_id"]
    bodies = [kling.send("GET", f"{VIDEOS}/{id_}").body for _ in range(3)]
    assert [bool(body) for body in bodies] == [True, False, True]


def test_a_scenario_of_ones_own(tmp_path: Path) -> None:
    """It is added where its states are known, takes parameters, and needs neither evidence nor a description."""
    document = {"scenarios": {"lunch": {"parameters": {"hours": 1}, "latency": {"submitted": "{hours}h"}}}}
    kling = client(tmp_path, document)
    toy = kling.mock.providers["toymaker"]
    assert "lunch" not in toy.scenarios
    id_ = kling.send("POST", VIDEOS, {**BODY, "prompt": "[mock:lunch hours=2]"}).json["data"]["task_id"]
    kling.advance("119m")
    assert kling.send("GET", f"{VIDEOS}/{id_}").json["data"]["task_status"] == "submitted"
    kling.advance("2m")
    assert kling.send("GET", f"{VIDEOS}/{id_}").json["data"]["task_status"] == "succeed"


def answered(answer: Answer) -> list[tuple[str, str]]:
    """The rule and message of each violation."""
    return [(row["rule"], row["message"]) for row in answer.violations]


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("[mock:slow minutes=3]", "the scenario 'slow' has no parameter 'minutes'; known are seconds"),
        ("[mock:slow seconds=ten]", "the parameter seconds is a number such as 280, not 'ten'"),
        (
            "[mock:webhook-answered status=210]",
            "the scenario 'webhook-answered' cannot be with status=210: "
            "should be a status from 300 to 599, or 'late'; 210 is none of them",
        ),
        (
            "[mock:bad-gateway status=600]",
            "the parameter status of 'bad-gateway' is 500, 502, 503 or 504, not '600'",
        ),
        (
            "[mock:down call=create status=418]",
            "the parameter status of 'down' is 500, 502, 503 or 504, not '418'",
        ),
        (
            "[mock:odd status=199]",
            "the scenario 'odd' cannot be with status=199: should be a status from 200 to 599; 199 is none",
        ),
        ("[mock:odd status=418]", "the parameter status of 'odd' is 199 or 599, not '418'"),
        ("[mock:too-fast seconds=-1]", "the parameter seconds is a number such as 2, not '-1'"),
        ("[mock:stuck seconds=3]", "the scenario 'stuck' has no parameter 'seconds'; it takes none"),
        (
            "[mock:dropped call=balance]",
            "the scenario 'dropped call=balance' is for calls of the sort balance; a create never meets it; "
            "give it to the account, or ask for it by Prefer on such a call",
        ),
    ],
)
def test_a_parameter_that_cannot_be_is_a_warning(tmp_path: Path, marker: str, message: str) -> None:
    """The call goes on without the scenario, and says why."""
    reply = {"status": "{status}", "type": "text/plain"}
    odd = {
        "parameters": {"status": 599},
        "enum": {"status": [199, 599]},
        "answers": [{"call": "create", "reply": reply}],
    }
    kling = client(tmp_path, {"scenarios": {"lunch": {"latency": {"submitted": "1h"}}, "odd": odd}})
    answer = kling.send("POST", VIDEOS, {**BODY, "prompt": marker})
    assert answer.status == 200
    assert answered(answer) == [("mock/scenario", f"{message}; the call goes on without one")]


@pytest.mark.parametrize(
    ("document", "pointer", "message"),
    [
        ({"rules": [{"scenario": "fial"}]}, "/rules/0/scenario", "there is no scenario 'fial'; did you mean 'fail'?"),
        (
            {"rules": [{"scenario": "bad-gateway status=99999"}]},
            "/rules/0/scenario",
            "the parameter status of 'bad-gateway' is 500, 502, 503 or 504, not '99999'",
        ),
        (
            {"scenarios": {"a": {"answers": [{"call": "create", "reply": {"status": 600, "type": "text/html"}}]}}},
            "/scenarios/a/answers/0/reply/status",
            "should be at most 599, is 600",
        ),
        ({"rules": [{"scenario": "fail", "provider": "klang"}]}, "/rules/0/provider", "did you mean 'kling'?"),
        ({"rules": [{"scenario": "fail", "operation": "create"}]}, "/rules/0/operation", "no operation 'create'"),
        (
            {"rules": [{"scenario": "fail", "operation": "getImageToVideo"}]},
            "/rules/0/scenario",
            "the scenario 'fail' is for calls of the sort create; a query never meets it; name another",
        ),
        (
            {"rules": [{"scenario": "no-url", "operation": "listImageToVideo"}, {"scenario": "x"}]},
            "/rules/1/scenario",
            "there is no scenario 'x'",
        ),
        (
            {
                "rules": [
                    {"scenario": "dropped call=balance", "operation": "createImageToVideo", "provider": "kling"},
                ]
            },
            "/rules/0/scenario",
            "the scenario 'dropped call=balance' is for calls of the sort balance; a create never meets it",
        ),
        (
            {"rules": [{"scenario": "dropped call=list", "provider": "pixazo"}]},
            "/rules/0/scenario",
            "the scenario 'dropped' cannot be with call=list: there are no calls of the sort list here",
        ),
        (
            {"scenarios": {"a": {"provider": "pixazo", "answers": [{"call": "list", "delivery": {"never": True}}]}}},
            "/scenarios/a/answers",
            "there are no calls of the sort list here; known are create, query, download",
        ),
        ({"rules": [{"scenario": "fail", "nth": 1, "every": 2}]}, "/rules/0", "takes one of nth, every, probability"),
        ({"rules": [{"scenario": "fail", "nth": 0}]}, "/rules/0/nth", "should be at least 1, is 0"),
        ({"rules": [{"scenario": "fail", "body": 3}]}, "/rules/0/body", "should be a mapping, is a whole number (3)"),
        ({"rules": [{"scenario": "fail", "nth": "2"}]}, "/rules/0/nth", "should be a whole number, is a text (2)"),
        ({"rules": [{"scenario": ["fail"]}]}, "/rules/0/scenario", "should be a text, is a list"),
        ({"rules": [{"scenario": "fail", "probability": 2}]}, "/rules/0/probability", "should be at most 1, is 2"),
        ({"rules": ["fail"]}, "/rules/0", "should be a mapping, is a text (fail)"),
        ({"rules": {"scenario": "fail"}}, "/rules", "should be a list, is a mapping"),
        ({"rules": [{"scenario": "fail", "operaton": "x"}]}, "/rules/0/operaton", "did you mean 'operation'?"),
        ({"rules": [{"nth": 1}]}, "/rules/0", "needs 'scenario'; it has nth"),
        ({"rulez": []}, "/rulez", "unknown word 'rulez' here; did you mean 'rules'?"),
        ({"scenarios": {"a": {"latency": {"asleep": "1s"}}}}, "/scenarios/a/latency/asleep", "unknown state 'asleep'"),
        (
            {"scenarios": {"a": {"latancy": {}}}},
            "/scenarios/a/latancy",
            "unknown word 'latancy' here; did you mean 'latency'?",
        ),
        (
            {"scenarios": {"a": {"answers": [{"call": "create", "when": "before", "delivery": {"after": "5s"}}]}}},
            "/scenarios/a/answers/0",
            "what comes before the effects needs an `error` or a `reply`; or no answer: `never`, `cut_at: 0`",
        ),
        (
            {"scenarios": {"a": {"answers": [{"call": "creat", "delivery": {"never": True}}]}}},
            "/scenarios/a/answers/0/call",
            "'creat' is not known; did you mean 'create'?",
        ),
        (
            {"scenarios": {"a": {"answers": [{"call": ["create", "poll"], "delivery": {"never": True}}]}}},
            "/scenarios/a/answers/0/call/1",
            "'poll' is not known; known are balance, cancel, create, download, list, query",
        ),
        (
            {"scenarios": {"a": {"answers": [{"call": "create", "times": 0, "delivery": {"never": True}}]}}},
            "/scenarios/a/answers/0/times",
            "should be at least 1, is 0",
        ),
        (
            {"scenarios": {"a": {"answers": [{"call": "create", "when": "before", "error": "server-eror"}]}}},
            "/scenarios/a/answers/0/error",
            "kling: no error 'server-eror' in the catalogue; did you mean 'server-error'?",
        ),
        (
            {"scenarios": {"a": {"answers": [{"call": "create", "when": "before", "error": "zzz"}]}}},
            "/scenarios/a/answers/0/error",
            "kling: no error 'zzz' in the catalogue; known are ",
        ),
        *(
            (
                {"scenarios": {"a": {"answers": [{"call": "create", "headers": {name: value}}]}}},
                f"/scenarios/a/answers/0/headers/{name}",
                message,
            )
            for name, value, message in (
                ("A b", "x", "'A b' is no header that a reply can be given"),
                ("Content-Length", 3, "'Content-Length' is no header that a reply can be given"),
                ("X-Two", "a\nb", "a header's value is one line of Latin-1"),
                ("X-Town", "\u65e5\u672c", "a header's value is one line of Latin-1"),
            )
        ),
        ({"scenarios": {"a": 5}}, "/scenarios/a", "should be a mapping, is a whole number (5)"),
        ({"scenarios": {"a": {"provider": "klang"}}}, "/scenarios/a/provider", "did you mean 'kling'?"),
        ([], "", "should be a mapping, is a list; put `rules:` above the list and indent it; expected is `rules:`"),
        ([{"scenario": "fail"}], "", "should be a mapping, is a list; put `rules:` above"),
        (None, "", "the file is empty; expected is `rules:` with a list, `scenarios:` with a mapping, or both"),
        ({}, "", "the file is empty; expected is"),
        ("fail", "", "should be a mapping, is a text (fail); expected is"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, document: Any, pointer: str, message: str) -> None:
    """With file, pointer and what was meant."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(SpecError) as caught:
        read_scenario_file(path, PROVIDERS)
    problem = caught.value.problems[0]
    assert (problem.file, problem.pointer) == ("mine.yaml", pointer)
    assert message in problem.message


def test_what_no_provider_takes_is_told_without_one(tmp_path: Path) -> None:
    """All of them refuse it for the same reason: none is named."""
    path = tmp_path / "mine.yaml"
    answer = {"call": "create", "when": "before", "delivery": {"after": "5s"}}
    path.write_text(yaml.safe_dump({"scenarios": {"a": {"answers": [answer]}}}))
    with pytest.raises(SpecError) as caught:
        read_scenario_file(path, PROVIDERS)
    assert caught.value.problems[0].message.startswith("what comes before the effects needs an `error` or a `reply`")


@pytest.mark.parametrize(
    ("rule", "doubt"),
    [
        ({"body": {"mdoe": "pro"}}, "/rules/0/body/mdoe: no request has 'mdoe' here; did you mean 'mode'?"),
        (
            {"body": {"camera_control": {"typ": "simple"}}, "operation": "createImageToVideo"},
            "/rules/0/body/camera_control/typ: no request has 'typ' here; did you mean 'type'?",
        ),
        (
            {"account": "klang-default"},
            "/rules/0/account: there is no account 'klang-default' yet; did you mean 'kling-default'?; "
            "the rule waits for it",
        ),
        (
            {"operation": "getImageToVideo", "body": {"mode": "pro"}, "scenario": "empty-answer"},
            "/rules/0/body: calls of getImageToVideo have no body; the rule never fits",
        ),
        (
            {"account": "302ai-default", "provider": "kling"},
            "/rules/0/account: '302ai-default' is 302ai's, the rule is for kling; it never fits",
        ),
        ({"body": {"mode": "pro"}, "account": "kling-default"}, None),
        ({"body": {"camera_control": {"config": {"zoom": 5}}}}, None),
    ],
)
def test_a_rule_that_may_be_a_slip_is_told(tmp_path: Path, rule: dict[str, Any], doubt: str | None) -> None:
    """The file is taken: an account may come later, and a client may send what no document knows."""
    kling = client(tmp_path, {"rules": [{"scenario": "fail", **rule}]})
    found = doubts(kling.mock.rules, kling.mock.providers, kling.mock.accounts.all())
    assert list(found) == ([doubt] if doubt else [])
