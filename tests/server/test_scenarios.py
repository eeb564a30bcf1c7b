"""Scenarios: courses of events asked for by a marker, by Prefer or by the account; and variants of a reply's shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

import pytest

from kling_mock.core.expressions import point
from kling_mock.core.model import NOW
from kling_mock.core.provider import Provider
from kling_mock.core.scenarios import Answer as Rewrite
from kling_mock.loading import load_providers
from tests.conftest import PROVIDERS, Answer, Client
from tests.exchanges import every_provider, make, poll, prompted, task_of
from tests.server.control_client import Control

MakeClient = Callable[..., Client]
REASON = "Failure to pass the risk control system"
VIDEOS = "/v1/videos/image2video"
PROMPTED = {"prompt": "a lighthouse [mock:fail]", "image": "https://example.com/a.png"}

# Where each provider and variant says that a task failed, and why: (word's place, word, reason's place, reason).
FAILED: dict[tuple[str, str], tuple[str, Any, str, str]] = {
    ("kling", "default"): ("data/task_status", "failed", "data/task_status_msg", REASON),
    ("302ai", "web"): ("data/task/status", 50, "data/message", REASON),
    ("302ai", "official"): ("data/task_status", "failed", "data/task_status_msg", REASON),
    ("pixazo", "legacy"): ("data/task_status", "failed", "data/task_status_msg", REASON),
    ("rixapi", "default"): ("data/task_status", "failed", "data/task_status_msg", REASON),
    ("toymaker", "default"): ("order/step", -1, "order/why", "The wood had a knot"),
}
# What the first create is refused with: status, where the provider's code or text stands, and it.
OVERLOADED: dict[str, tuple[int, str, Any]] = {
    "kling": (429, "code", 1303),
    "302ai": (503, "error/err_code", -10008),
    "pixazo": (429, "error", "Rate limit exceeded, please retry later"),
    "rixapi": (429, "code", 1303),
    "toymaker": (429, "slip/kind", "workshop-busy"),
}


def at(answer: Answer, place: str) -> Any:
    """The value at a place in a reply's body."""
    return point(answer.json, place.split("/"))


def refusing(provider: Provider) -> str:
    """The provider's scenario that refuses the first create, found by what it does."""
    return named(provider, lambda row: row.when == "before" and row.times == 1 and row.error is not None)


def losing(provider: Provider) -> str:
    """The provider's scenario that cuts the answer to the first create, found by what it does."""
    return named(provider, lambda row: row.delivery.cut_at is not None and row.times == 1 and row.when == "after")


def named(provider: Provider, fits: Callable[[Rewrite], bool]) -> str:
    """The provider's first scenario with an answer to creates that fits."""
    for scenario in provider.scenarios.values():
        if any("create" in row.on and fits(row) for row in scenario.answers):
            return scenario.name
    raise AssertionError(f"{provider.name} has no such scenario")


def test_every_provider_and_shape_is_looked_at() -> None:
    """The tables of this file leave out nobody; a shape without a query fixture has a test of its own."""
    shapes = {(provider.name, variant) for provider in PROVIDERS.values() for variant in provider.variants}
    assert shapes - FAILED.keys() == {("pixazo", "current")}
    assert OVERLOADED.keys() == PROVIDERS.keys()


@pytest.mark.parametrize("way", ["marker", "prefer"])
@pytest.mark.parametrize(("name", "variant"), FAILED)
def test_fail_ends_with_the_reason_in_its_place(name: str, variant: str, way: str, client: MakeClient) -> None:
    """The create is accepted, the task ends with the provider's word for failed and the observed reason."""
    caller, (place, word, reason, text) = client(name), FAILED[name, variant]
    prefer = f"variant={variant}"
    if way == "marker":
        made = prompted(caller, "a lighthouse [mock:fail] at dusk", prefer=prefer)
    else:
        made = make(caller, prefer=f"{prefer}, scenario=fail")
    assert made.status < 300, made.json
    task = task_of(caller, made)
    caller.advance(f"{task.timeline[-1].at - task.created - 1}ms")
    assert at(poll(caller, task.id), reason) != text
    caller.advance("1ms")
    ended = poll(caller, task.id)
    assert ended.status == 200
    assert (at(ended, place), at(ended, reason)) == (word, text)
    assert "http://" not in ended.body.decode(), "a failed task has no files"


@pytest.mark.parametrize(("scenario", "word"), [("fail", "FAILED"), ("error", "ERROR")])
def test_the_current_generation_has_its_own_words(scenario: str, word: str, client: MakeClient) -> None:
    """The newer status route says FAILED or ERROR and puts the reason into `error`, which other states lack."""
    caller = client("pixazo")
    made = make(caller, prefer=f"variant=current, scenario={scenario}")
    path = f"/v2/requests/status/{made.json['request_id']}"
    assert caller.send("GET", path).json == {"request_id": made.json["request_id"], "status": "QUEUED"}
    caller.advance("5s")
    ended = caller.send("GET", path).json
    assert ended.keys() == {"request_id", "status", "error"}
    assert ended["status"] == word
    assert ended["error"] == caller.provider.scenarios[scenario].reason


def test_a_marker_in_any_shot_counts(client: MakeClient) -> None:
    """The prompts of a multi-shot video can carry the marker too."""
    shots = [{"prompt": "a pier", "duration": "2"}, {"prompt": "[mock:fail]", "duration": "3"}]
    kling = client("kling")
    made = kling.send("POST", VIDEOS, {"image": "https://example.com/a.png", "multi_prompt": shots})
    kling.advance("5s")
    assert poll(kling, made.headers["x-mock-task"]).json["data"]["task_status"] == "failed"


def test_the_marker_stays_in_what_is_remembered_and_its_scenario_with_the_task(client: MakeClient) -> None:
    """A task keeps its scenario: nothing that a later call prefers changes it."""
    kling = client("kling")
    made = kling.send("POST", VIDEOS, PROMPTED)
    kling.advance("5s")
    asked = kling.send("GET", f"{VIDEOS}/{made.json['data']['task_id']}", headers={"prefer": "scenario=slow"})
    assert asked.json["data"]["task_status"] == "failed"


@every_provider
def test_a_lost_answer_leaves_the_task(provider: Provider, client: MakeClient) -> None:
    """The answer is cut as the scenario says, yet the task exists and succeeds; the next create is answered."""
    caller, prefer = client(provider), f"scenario={losing(provider)}"
    cut_at = next(row.delivery.cut_at for row in provider.scenarios[losing(provider)].answers)
    lost = make(caller, prefer=prefer)
    assert lost.delivery.cut_at == cut_at
    [task] = [task for task in caller.mock.store.tasks() if task.provider == provider.name]
    caller.advance("10s")
    found = poll(caller, task.id)
    assert (found.status, found.delivery.cut_at) == (200, None)
    assert make(caller, prefer=prefer).delivery.cut_at is None
    written_down = list(caller.mock.exchanges(provider=provider.name))
    expected = {"after_ms": 0, "over_ms": 0, "cut_at": cut_at, "never": False}
    assert written_down[0]["reply"]["delivery"] == expected
    assert "delivery" not in written_down[-1]["reply"]


def test_the_charged_task_is_in_the_list_and_in_the_bill(client: MakeClient) -> None:
    """A client that lost the answer finds its task in the list, and its price in the ledger."""
    kling = client("kling").other()
    body = {**PROMPTED, "prompt": "[mock:charged-no-answer]", "model_name": "kling-v2-6", "mode": "pro"}
    assert kling.send("POST", VIDEOS, body).delivery.cut_at == 0
    rows = kling.send("GET", VIDEOS).json["data"]
    assert [row["task_status"] for row in rows] == ["submitted"]
    assert kling.account is not None
    assert Control(kling.mock).get(f"/_mock/accounts/{kling.account.id}")["packs"][0]["balance"] == 99997.5


@every_provider
def test_overloaded_refuses_once(provider: Provider, client: MakeClient) -> None:
    """The first create is refused with the provider's own error and leaves no task; the second one is taken."""
    caller, (status, place, value) = client(provider), OVERLOADED[provider.name]
    first = make(caller, prefer=f"scenario={refusing(provider)}")
    assert (first.status, at(first, place)) == (status, value)
    assert "x-mock-task" not in first.headers
    assert not [task for task in caller.mock.store.tasks() if task.provider == provider.name]
    assert make(caller, prefer=f"scenario={refusing(provider)}").status < 300


@every_provider
def test_each_account_is_overloaded_by_itself(provider: Provider, client: MakeClient) -> None:
    """ "The first" is counted by account."""
    caller = client(provider)
    prefer = f"scenario={refusing(provider)}"
    statuses = [make(who, prefer=prefer).status for who in (caller, caller.other(), caller)]
    assert statuses[0] == statuses[1] >= 400
    assert statuses[2] < 300


@pytest.mark.parametrize("kind", [refusing, losing])
@every_provider
def test_a_scenario_never_hides_a_wrong_credential(
    provider: Provider, kind: Callable[[Provider], str], client: MakeClient
) -> None:
    """Who cannot prove who they are hears of that, whatever scenario they ask for."""
    caller = client(provider)
    header = next(iter(provider.operations.values())).security[0][0].header
    plain = make(caller, **{header: ""})
    asked = make(caller, **{header: "", "prefer": f"scenario={kind(provider)}"})
    assert plain.status >= 400
    assert (asked.status, asked.delivery.cut_at, asked.wrong) == (plain.status, None, plain.wrong)


@pytest.mark.parametrize("scenario", ["overloaded", "charged-no-answer"])
def test_a_scenario_never_hides_a_bad_request(scenario: str, client: MakeClient) -> None:
    """A body that is refused makes no task, so there is nothing to charge and nothing to be overloaded with."""
    kling = client("kling")
    answer = kling.send("POST", VIDEOS, {"prompt": f"[mock:{scenario}]"})
    assert (answer.status, answer.delivery.cut_at) == (400, None)
    assert answer.json["code"] == 1201
    assert answer.wrong == [("first-or-last-frame", "/image")]


@every_provider
def test_an_unknown_scenario_is_a_warning_with_the_closest_match(provider: Provider, client: MakeClient) -> None:
    """A misspelt name is reported, and the create goes on as usual."""
    caller = client(provider)
    made = make(caller, prefer="scenario=fial")
    assert made.status < 300
    warning = next(row for row in made.violations if row["rule"] == "mock/scenario")
    assert (warning["severity"], warning["pointer"]) == ("warning", "")
    assert warning["message"].startswith("there is no scenario 'fial'; did you mean 'fail'?")
    assert task_of(caller, made).scenario is None


@every_provider
def test_an_accounts_own_scenario_holds_for_each_of_its_creates(provider: Provider, client: MakeClient) -> None:
    """An account registered with a scenario needs no marker; others are not touched."""
    caller = client(provider)
    failing = Client(caller.mock, provider, caller.mock.accounts.register(provider, None, None, "fail"))
    for who, expected in ((failing, "fail"), (caller, None)):
        task = task_of(who, make(who))
        assert (task.scenario, task.reason) == (expected, provider.scenarios["fail"].reason if expected else None)


def test_prefer_goes_before_the_account_and_the_marker_before_both(client: MakeClient) -> None:
    """The nearest wish wins."""
    kling = client("kling")
    failing = Client(kling.mock, kling.provider, kling.mock.accounts.register(kling.provider, None, None, "fail"))
    body = {"image": "https://example.com/a.png"}
    slow = failing.send("POST", VIDEOS, body, {"prefer": "scenario=slow"})
    marked = failing.send("POST", VIDEOS, {**body, "prompt": "[mock:fail]"}, {"prefer": "scenario=slow"})
    found = [failing.mock.store.task("kling", row.headers["x-mock-task"]) for row in (slow, marked)]
    assert [task.scenario for task in found if task] == ["slow", "fail"]


@every_provider
def test_slow_takes_five_minutes_at_least(provider: Provider, client: MakeClient) -> None:
    """A scenario's latency replaces the profile's, state by state."""
    caller, lifecycle = client(provider), provider.lifecycle
    task = task_of(caller, make(caller, prefer="scenario=slow"))
    lasting = {**next(iter(lifecycle.latency.values())), **provider.scenarios["slow"].latency}
    passed = accumulate((lasting[state][0] for state in lifecycle.usual[:-1]), initial=0)
    assert [moment.at - task.created for moment in task.timeline] == list(passed)
    assert task.timeline[-1].at - task.created >= 300_000


def test_a_stumbling_query_counts_polls_of_one_task(client: MakeClient) -> None:
    """Two queries of the task are answered 503 while it goes on; another task's are not touched."""
    caller = client("302ai")
    stumbling = make(caller, prefer="scenario=fetch-stumbles").headers["x-mock-task"]
    plain = make(caller).headers["x-mock-task"]
    caller.advance("10s")
    assert [poll(caller, stumbling).status for _ in range(3)] == [503, 503, 200]
    assert poll(caller, plain).status == 200


def test_a_lost_relay_still_made_the_task(client: MakeClient) -> None:
    """The relay's timeout comes after the effects: an error for the caller, and a task at the vendor."""
    caller = client("rixapi")
    answer = make(caller, prefer="scenario=timeout")
    assert (answer.status, answer.json["error"]["code"]) == (408, "Timeout")
    assert len(list(caller.mock.store.tasks())) == 1


# Variants.


def test_prefer_chooses_a_variant_and_the_task_keeps_it(client: MakeClient) -> None:
    """A task made in the official shape is shown in it, even to a caller who asks for nothing or for the other."""
    caller = client("302ai")
    web, official = make(caller), make(caller, prefer="variant=official")
    assert web.json["result"] == 1
    assert official.json["code"] == 0
    caller.advance("10s")
    assert poll(caller, official.headers["x-mock-task"]).json["data"]["task_status"] == "succeed"
    found = poll(caller, web.headers["x-mock-task"], prefer="variant=official")
    assert found.json["data"]["status"] == 99


def test_an_option_chooses_the_variant_of_all(make_mock: Callable[..., Any], providers: Mapping[str, Provider]) -> None:
    """`serve --variant 302ai=official`; Prefer still goes before it."""
    caller = Client(make_mock(providers["302ai"], variants={"302ai": "official"}), providers["302ai"])
    assert make(caller).json["code"] == 0
    assert make(caller, prefer="variant=web").json["result"] == 1
    assert make(caller, prefer="variant=nonsense").status == 200


def test_a_variant_nobody_has_is_refused_at_the_start(
    make_mock: Callable[..., Any], providers: Mapping[str, Provider]
) -> None:
    """A misspelt option is an error with the closest match, before anything is served."""
    with pytest.raises(ValueError, match="302ai has no variant 'oficial'; did you mean 'official'"):
        make_mock(providers["302ai"], variants={"302ai": "oficial"})
    with pytest.raises(ValueError, match="there is no latency profile 'quick'; known are fast, instant, realistic"):
        make_mock(providers["302ai"], latency="quick")


# Once, n times, or for a while.

LIMITED = [
    (provider, name)
    for provider in load_providers().values()
    for name, scenario in provider.scenarios.items()
    if any(answer.error or answer.raw or answer.delivery != NOW for answer in scenario.answers)
    and not name.startswith("webhook-")
]


@pytest.mark.parametrize(("provider", "name"), LIMITED, ids=lambda value: getattr(value, "name", value))
def test_what_goes_wrong_goes_wrong_n_times_or_for_a_while(provider: Provider, name: str) -> None:
    """Each scenario that answers with an error, a page or a loss takes `lasts`, which goes for each time in it."""
    if "times" in provider.scenarios[name].parameters:
        [answer] = provider.scenarios.find(f"{name} times=3 lasts=5m").answers
        assert (answer.times, answer.lasts_ms) == (3, 300_000)
    [answer] = provider.scenarios.find(f"{name} lasts=5m").answers
    assert (answer.times, answer.lasts_ms) == (None, 300_000)
    usual = provider.scenarios[name]
    for key, value in usual.parameters.items():
        said = provider.scenarios.find(f"{name} {key}={value}")
        assert said.answers == usual.answers, "what it takes by default changes nothing"


@pytest.mark.parametrize(
    ("name", "reference", "status"),
    [
        ("kling", "server-error lasts=30s", 500),
        ("kling", "in-arrears lasts=30s", 429),
        ("302ai", "overloaded lasts=30s", 503),
        ("pixazo", "gateway-failed lasts=30s", 500),
        ("rixapi", "overloaded lasts=30s", 429),
    ],
)
def test_a_while_is_the_accounts(name: str, reference: str, status: int, client: MakeClient) -> None:
    """Every create in it is refused; when half a minute of the account's clock has passed since the first, none is."""
    caller = client(name).other()
    prefer = f'scenario="{reference}"'
    assert [make(caller, prefer=prefer).status for _ in range(3)] == [status] * 3
    caller.advance("29999ms")
    assert make(caller, prefer=prefer).status == status
    caller.advance("1ms")
    assert make(caller, prefer=prefer).status < 300


def test_times_may_be_without_a_limit(client: MakeClient) -> None:
    """`any` is for ever, also where once is usual; another word is no number."""
    kling = client("kling").other()
    assert [make(kling, prefer='scenario="server-error times=any"').status for _ in range(5)] == [500] * 5
    told = make(kling, prefer='scenario="server-error times=some"').violations[-1]["message"]
    assert told.startswith("the parameter times is a number such as 1, or 'any', not 'some'")


@pytest.mark.parametrize("call", ["create", "query", "list"])
def test_an_error_meets_each_sort_of_call(call: str, client: MakeClient) -> None:
    """The vendor's 503, twice, on the calls that it was asked for; the others are left alone."""
    kling = client("kling")
    asked = f"server-unavailable call={call} times=2"
    mine = Client(kling.mock, kling.provider, kling.mock.accounts.register(kling.provider, None, None, asked))
    found = {}
    found["create"] = [make(mine).status for _ in range(3)]
    id_ = next(iter(mine.mock.store.tasks(mine.account.id if mine.account else None))).id
    found["query"] = [mine.send("GET", f"{VIDEOS}/{id_}").status for _ in range(3)]
    found["list"] = [mine.send("GET", VIDEOS).status for _ in range(3)]
    assert found == {role: [503, 503, 200] if role == call else [200] * 3 for role in found}
