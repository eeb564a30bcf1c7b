"""The handle of a running mock, outside pytest: what a client needs, steering, time, and reading what was seen."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

import kling_mock
from kling_mock.loading import load_providers
from kling_mock.testing.handle import Kling
from kling_mock.testing.session import Server

TOYS = Path(__file__).parent.parent / "providers"
CREATE = "/v1/videos/text2video"


def bearer(kling: Kling, token: str | None = None) -> Mapping[str, str]:
    """The header that shows who calls."""
    return {"Authorization": f"Bearer {token or kling.api_key}"}


def create(kling: Kling, **body: Any) -> requests.Response:
    """Send a create as a client would."""
    body = {"prompt": "a lighthouse"} | body
    return requests.post(kling.base_url + CREATE, json=body, headers=bearer(kling), timeout=9)


def look(kling: Kling, token: str | None = None) -> requests.Response:
    """Look at the account's last task."""
    url = f"{kling.base_url}{CREATE}/{kling.tasks()[-1].id}"
    return requests.get(url, headers=bearer(kling, token), timeout=9)


# What a client needs


def test_running_gives_the_same_handle_outside_pytest() -> None:
    """A server with options, gone when the block ends."""
    with kling_mock.running(seed="other", at="2026-03-01T12:00:00Z") as kling:
        assert create(kling).status_code == 200
        assert kling.clock.now == datetime(2026, 3, 1, 12, tzinfo=UTC)
    with pytest.raises(requests.ConnectionError):
        create(kling)


def test_running_takes_another_provider_and_more_specs() -> None:
    """By name, from a folder of one's own."""
    with kling_mock.running("toymaker", specs=[TOYS]) as kling:
        assert kling.provider("kling").base_url == kling.base_url
        assert kling.requests() == []


def test_intercepting_outside_pytest_leads_real_hosts_to_a_mock() -> None:
    """The client asks the provider's own host; afterwards that leads nowhere on this machine again."""
    host = min(load_providers()["kling"].hosts)
    with kling_mock.intercept(hosts=["reseller.example"]) as kling:
        for name in (host, "reseller.example"):
            answer = requests.get(f"https://{name}{CREATE}", headers=bearer(kling), timeout=9)
            assert answer.json()["message"] == "SUCCEED"
        assert [row.operation for row in kling.requests()] == ["listTextToVideo"] * 2
        held = socket.getaddrinfo
    assert socket.getaddrinfo is not held


def test_an_unknown_option_is_refused_with_the_closest() -> None:
    """A misspelt option would change nothing and be missed."""
    with pytest.raises(ValueError, match="a mock has no option 'latncy'; did you mean 'latency'"):
        Server({"latncy": "fast"})


def test_importing_the_package_brings_no_server() -> None:
    """Judging payloads needs neither Flask nor uvicorn, nor does the plugin before its first fixture."""
    code = "import sys, kling_mock.testing.plugin; sys.exit(bool({'flask', 'uvicorn', 'requests'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_credentials_are_attributes_by_their_names_in_the_documents(kling: Kling) -> None:
    """Each account has its own."""
    assert kling.access_key.startswith("mock-access-key-")
    assert kling.env == {
        "KLING_BASE_URL": kling.base_url,
        "KLING_ACCESS_KEY": kling.access_key,
        "KLING_SECRET_KEY": kling.secret_key,
        "KLING_API_KEY": kling.api_key,
    }
    assert kling.register().api_key != kling.api_key


def test_a_misspelt_attribute_is_told_the_closest(kling: Kling) -> None:
    """Of the credentials and of the handle's own."""
    with pytest.raises(AttributeError, match=r"no 'acces_key' here; did you mean 'access_key'\?; of credentials kling"):
        _ = kling.acces_key
    with pytest.raises(AttributeError, match=r"no 'assert_setled' here; did you mean 'assert_settled'"):
        kling.assert_setled()  # type: ignore[operator]
    with pytest.raises(AttributeError, match="no 'zzz' here; of credentials kling has access_key and secret_key and"):
        _ = kling.zzz


def test_a_token_is_what_the_command_would_sign(kling: Kling) -> None:
    """It opens the account, and lasts as long as is asked for."""
    token = kling.token(seconds=60)
    assert jwt.decode(token, kling.secret_key, ["HS256"])["exp"] - time.time() == pytest.approx(60, abs=5)
    create(kling)
    assert look(kling, token).status_code == 200


def test_a_provider_without_tokens_says_so(kling: Kling) -> None:
    """There is nothing to sign."""
    with pytest.raises(ValueError, match="rixapi takes no tokens; its credentials are api_key"):
        kling.provider("rixapi").token()


def test_providers_are_found_from_the_documents(kling: Kling) -> None:
    """One account of each for the whole test; an unknown one is refused with the closest."""
    assert kling.provider("pixazo") is kling.provider("pixazo")
    assert kling.provider("pixazo").account.startswith("pixazo-")
    with pytest.raises(ValueError, match="there is no provider 'pixaso'; did you mean 'pixazo'"):
        kling.provider("pixaso")


def test_another_account_may_have_little(kling: Kling) -> None:
    """Its own packs and slots; a refusal for these is no violation."""
    poor = kling.register(packs=[{"type": "video", "total": 0}])
    assert create(poor).status_code == 429
    narrow = kling.register(slots=1)
    assert [create(narrow).status_code for _ in range(2)] == [200, 429]
    poor.assert_no_violations()
    narrow.assert_no_violations()
    assert kling.requests() == []


def test_the_packs_of_a_later_account_last_from_the_tests_time(kling: Kling) -> None:
    """Not from the server's, which may be long past; one of an hour expires after an hour."""
    kling.clock.advance("31d")
    assert create(kling.register()).status_code == 200
    brief = kling.register(packs=[{"type": "video", "total": 10, "valid": "1h"}])
    assert create(brief).status_code == 200
    kling.clock.advance("1h")
    assert create(brief).status_code == 429
    brief.assert_no_violations()


# Scenarios


def test_a_scenario_rules_inside_its_block(kling: Kling) -> None:
    """What was created there goes on under it; what comes after is as usual."""
    with kling.scenario("slow seconds=90"):
        create(kling)
    create(kling, prompt="another")
    assert [task.scenario for task in kling.tasks()] == ["slow seconds=90", None]


def test_a_scenario_without_a_block_lasts_until_the_test_ends(server: Server) -> None:
    """With parameters by keyword."""
    with server.session() as session:
        kling = session.provider("kling")
        until = kling.scenario("slow", seconds=90)
        create(kling)
        until.end()
        create(kling, prompt="another")
        kling.scenario("stuck")
    create(kling, prompt="a third")
    assert [task.scenario for task in kling.tasks()] == ["slow seconds=90", None, None]


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("chared-no-answer", {}, "there is no scenario 'chared-no-answer'; did you mean 'charged-no-answer'"),
        ("slow", {"second": 9}, "the scenario 'slow' has no parameter 'second'; did you mean 'seconds'"),
        ("slow", {"seconds": "soon"}, "the parameter seconds is a number such as 280, not 'soon'"),
    ],
)
def test_an_unknown_scenario_is_refused_at_once(kling: Kling, name: str, parameters: Any, said: str) -> None:
    """Not at the first request, and with the closest match."""
    with pytest.raises(ValueError, match=said):
        kling.scenario(name, **parameters)


# Time


def test_the_clock_is_frozen_advanced_and_resumed(kling: Kling) -> None:
    """Time moves when it is told to, and the task with it."""
    kling.clock.freeze()
    began = kling.clock.now
    create(kling)
    assert kling.clock.frozen
    kling.clock.advance("31m")
    kling.clock.advance(timedelta(seconds=5))
    assert kling.clock.now - began == timedelta(minutes=31, seconds=5)
    assert kling.tasks()[0].ends == "success"
    kling.clock.resume()
    assert not kling.clock.frozen


def test_a_clock_that_was_fast_is_resumed_as_fast(kling: Kling) -> None:
    """As over HTTP."""
    kling.clock.speed(1000)
    kling.clock.freeze()
    began = kling.clock.now
    kling.clock.resume()
    time.sleep(0.05)
    assert kling.clock.now - began >= timedelta(seconds=50)


def test_the_clock_is_set_and_runs_faster(kling: Kling) -> None:
    """To an instant, by text or by Python's own; never back."""
    kling.clock.set("2100-01-01T00:00:00Z")
    kling.clock.set(datetime(2100, 1, 2, tzinfo=UTC))
    assert kling.clock.now.date().isoformat() == "2100-01-02"
    with pytest.raises(ValueError, match="time never goes back"):
        kling.clock.set("2099-01-01T00:00:00Z")
    kling.clock.speed(1000)
    before = kling.clock.now
    time.sleep(0.05)
    assert kling.clock.now - before > timedelta(seconds=40)


def test_a_test_has_one_time_and_nobody_elses(kling: Kling, server: Server) -> None:
    """Accounts of one test share it, whenever they were made; other tests' are elsewhere."""
    kling.clock.freeze()
    kling.clock.advance("1d")
    other, now = kling.provider("pixazo"), server.mock.clocks.now
    assert now(kling.account) == now(other.account)
    kling.clock.advance("1d")
    assert now(kling.account) == now(other.account) == kling.clock.now.timestamp() * 1000
    with server.session() as session:
        assert kling.clock.now - session.provider("kling").clock.now > timedelta(days=1)


def test_sleeps_are_followed_in_a_block(kling: Kling) -> None:
    """Or until the test ends; a client without a deadline is told."""
    began, clock = kling.clock.now, time.perf_counter()
    with kling.clock.follow_sleep():
        time.sleep(600)
    assert kling.clock.now - began >= timedelta(minutes=10)
    with kling.clock.follow_sleep(limit="1m"), pytest.raises(kling_mock.testing.sleeping.SleptTooLong):
        time.sleep(61)
    time.sleep(0.05)
    assert 0.05 < time.perf_counter() - clock < 30


def test_sleeps_are_sleeps_again_when_a_test_ends(server: Server) -> None:
    """Also if they were followed anew in between."""
    real = time.sleep
    with server.session() as session:
        clock = session.provider("kling").clock
        clock.follow_sleep()
        clock.follow_sleep(limit=60)
        assert time.sleep is not real
    assert time.sleep is real


def test_a_client_that_lives_in_followed_time_signs_tokens_that_hold(kling: Kling) -> None:
    """Its clock runs ahead of the wall, as the account's does."""
    create(kling)
    kling.clock.follow_sleep()
    for _ in range(4):
        time.sleep(1200)
        now = int(time.time())
        claims = {"iss": kling.access_key, "exp": now + 1800, "nbf": now - 5}
        assert look(kling, jwt.encode(claims, kling.secret_key, "HS256")).status_code == 200


@pytest.mark.parametrize("later", [False, True])
def test_a_token_that_a_client_keeps_expires_in_followed_time(kling: Kling, later: bool) -> None:
    """As the vendor's sample signs it, without an id: signed once, good for half an hour of sleeps."""
    kling.clock.follow_sleep()
    client = kling.register() if later else kling
    now = int(time.time())
    token = jwt.encode({"iss": client.access_key, "exp": now + 1800, "nbf": now - 5}, client.secret_key, "HS256")
    create(client)
    statuses = []
    with kling.allow_violations("mock/token.expired"):
        for _ in range(5):
            statuses.append(look(client, token).status_code)
            time.sleep(599)
    assert statuses == [200, 200, 200, 200, 401]


# Reading


def test_the_journal_is_typed(kling: Kling) -> None:
    """What was asked and answered, without credentials."""
    create(kling, mode="fast")
    create(kling)
    look(kling)
    refused, made, looked = kling.requests()
    assert (refused.method, refused.path, refused.status, refused.operation) == (
        "POST",
        CREATE,
        400,
        "createTextToVideo",
    )
    assert (refused.violations[0].rule, refused.violations[0].pointer) == ("createTextToVideo/mode/enum", "/mode")
    assert refused.json == {"prompt": "a lighthouse", "mode": "fast"}
    assert (made.reply["data"]["task_id"], made.lost, made.billed) == (made.task, False, 1)
    assert made.headers["content-type"] == "application/json"
    assert abs(made.at - kling.clock.now) < timedelta(seconds=9)
    assert (looked.query, looked.task, looked.json) == ("", made.task, None)
    assert kling.api_key not in repr(kling.requests())
    assert kling.requests("createTextToVideo") == [refused, made]


def test_an_unknown_operation_is_refused_with_the_closest(kling: Kling) -> None:
    """It would look like no requests."""
    with pytest.raises(ValueError, match="kling has no operation 'createText2Video'; did you mean 'createTextToVideo'"):
        kling.requests("createText2Video")


def test_a_lost_answer_is_seen(kling: Kling) -> None:
    """The journal says that the client was not told of its task: by a scenario, or since it did not wait."""
    with kling.scenario("charged-no-answer"), pytest.raises(requests.ConnectionError):
        create(kling)
    assert kling.requests()[0].scenario == "charged-no-answer"
    with kling.scenario("slow-answer call=create"), pytest.raises(requests.ReadTimeout):
        requests.post(kling.base_url + CREATE, json={"prompt": "a"}, headers=bearer(kling), timeout=0.2)
    deadline = time.monotonic() + 30
    while not all(row.lost for row in kling.requests()) and time.monotonic() < deadline:
        time.sleep(0.01)  # the server hears of it a moment later
    assert [row.lost for row in kling.requests()] == [True, True]


def test_tasks_are_live_and_can_be_forced(kling: Kling) -> None:
    """State, price, parameters and files as they are when asked for."""
    kling.clock.freeze()
    create(kling)
    [task] = kling.tasks()
    assert (task.state, task.ends, task.price, task.files) == ("submitted", None, 1, [])
    assert (task.operation, task.kind, task.parameters["seconds"]) == ("createTextToVideo", "videos/text2video", 5)
    kling.clock.advance("1m")
    assert task.state == "succeed"
    assert requests.get(task.files[0], timeout=9).status_code == 200
    create(kling, prompt="another")
    kling.tasks()[1].force("failed", reason="because")
    assert kling.tasks()[1].ends == "failure"


def test_interception_lasts_until_the_block_ends(kling: Kling) -> None:
    """The real host leads to the mock."""
    with kling.intercept():
        url = "https://api-singapore.klingai.com" + CREATE
        reply = requests.post(url, json={"prompt": "a"}, headers=bearer(kling), timeout=9)
    assert reply.status_code == 200
    assert len(kling.requests("createTextToVideo")) == 1


def test_what_a_test_allows_is_its_own(server: Server) -> None:
    """All rules or some; in a block, or until the test ends."""
    server.suspicions.take()
    with server.session() as session:
        kling = session.provider("kling")
        with kling.allow_violations("*/mode/enum"):
            create(kling, mode="fast")
        create(kling, mode="fast")
        kling.allow_violations()
        create(kling, mode="fast")
    assert [row.exchange.ordinal for row in server.suspicions.take().offences] == [2]
    assert server.suspicions.allowed == []
