"""Accounts over the control API: made with fresh credentials, shown with what they hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock
from tests.conftest import AT, Client
from tests.server.control_client import Control


def test_a_new_account_has_its_own_credentials(control: Control) -> None:
    """The reply is the account, its address and the environment of a client, whose base URL is the server called."""
    reply = control.send("POST", "/_mock/accounts", b'{"provider": "kling"}', {"Host": "localhost:9"})
    made = reply.json
    assert (reply.status_code, reply.headers["Location"]) == (201, f"/_mock/accounts/{made['id']}")
    assert made["env"] == {
        "KLING_BASE_URL": "http://localhost:9",
        "KLING_ACCESS_KEY": made["credentials"]["access_key"],
        "KLING_SECRET_KEY": made["credentials"]["secret_key"],
        "KLING_API_KEY": made["credentials"]["api_key"],
    }
    assert [pack["total"] for pack in made["packs"]] == [100000, 100000]
    assert (made["slots"], made["scenario"], made["open_slots"]) == (None, None, 0)
    assert control.create(key=made["credentials"]["api_key"])


def test_a_mounted_provider_has_its_prefix_in_the_base_url(
    make_mock: Callable[..., Mock], providers: Mapping[str, Provider]
) -> None:
    """Under --mount the base URL ends in the prefix; --public-url replaces what the caller called."""
    mounted = Control(make_mock(providers["kling"], mounts={"kling": "/there"}, public_url="https://mock.test/"))
    assert (
        mounted.post("/_mock/accounts", {"provider": "kling"}, 201)["env"]["KLING_BASE_URL"]
        == "https://mock.test/there"
    )


def test_packs_slots_and_scenario_are_kept(control: Control) -> None:
    """What was asked for is what there is, and what a job reserves is seen at once and spent in the end."""
    asked = {"provider": "kling", "packs": [{"type": "video", "total": 10.5}], "slots": 2, "scenario": "slow"}
    made = control.post("/_mock/accounts", asked, 201)
    full = {"type": "video", "unit": "units", "total": 10.5, "balance": 10.5, "reserved": 0, "spent": 0}
    full |= {"standing": "open", "effective_at": AT, "invalid_at": AT + 30 * 86_400_000, "slots": 2, "open_slots": 0}
    assert (made["packs"], made["slots"], made["scenario"]) == ([full], 2, "slow")
    id_ = control.create(key=made["credentials"]["api_key"], model_name="kling-v1")
    price = control.get(f"/_mock/tasks/{id_}")["price"]
    found = control.get(f"/_mock/accounts/{made['id']}")
    assert found["packs"] == [full | {"balance": 10.5 - price, "reserved": price, "open_slots": 1}]
    assert found["open_slots"] == 1
    control.post("/_mock/clock", {"advance": "1h", "account": made["id"]})
    found = control.get(f"/_mock/accounts/{made['id']}")
    assert found["packs"] == [full | {"balance": 10.5 - price, "spent": price}]
    assert found["open_slots"] == 0


def test_the_unit_of_a_pack_may_be_named(control: Control) -> None:
    """A unit of one's own replaces the provider's."""
    asked = {"provider": "kling", "packs": [{"type": "image", "total": 1, "unit": "pictures"}]}
    assert control.post("/_mock/accounts", asked, 201)["packs"][0]["unit"] == "pictures"


@pytest.mark.parametrize(
    ("change", "pointer", "message"),
    [
        ({"provider": "klin"}, "/provider", "there is no provider 'klin'; did you mean 'kling'?"),
        ({"scenario": "fale"}, "/scenario", "kling has no scenario 'fale'; did you mean 'fail'?"),
        (
            {"packs": [{"type": "vidio", "total": 1}]},
            "/packs/0/type",
            "kling has no pack of the type 'vidio'; did you mean 'video'?",
        ),
        (
            {"packs": [{"type": "video", "total": 1}] * 2},
            "/packs/1/type",
            "there is a pack of the type 'video' already",
        ),
    ],
)
def test_a_name_that_means_nothing_is_refused(
    control: Control, change: dict[str, Any], pointer: str, message: str
) -> None:
    """Unknown providers, scenarios and packs are refused, and no account is made."""
    problem = control.refused(422, "POST", "/_mock/accounts", {"provider": "kling"} | change)
    assert problem["errors"] == [{"pointer": pointer, "message": message}]
    assert len(control.get("/_mock/accounts")["accounts"]) == 1


def test_every_account_is_listed(control: Control) -> None:
    """The default account first, then the others; each is the same as by its own address."""
    made = control.post("/_mock/accounts", {"provider": "kling"}, 201)
    listed = control.get("/_mock/accounts")["accounts"]
    assert [row["id"] for row in listed] == ["kling-default", made["id"]]
    assert listed[1] == control.get(f"/_mock/accounts/{made['id']}") == made


def test_an_unknown_account_is_not_found(control: Control) -> None:
    """404 with the account that was probably meant."""
    problem = control.refused(404, "GET", "/_mock/accounts/kling-defaul")
    assert problem["detail"] == "there is no account 'kling-defaul'; did you mean 'kling-default'?"


# Another default scenario


def change(control: Control, id_: str, scenario: str | None) -> Any:
    """Give an account this scenario; its new form."""
    reply = control.send("PATCH", f"/_mock/accounts/{id_}", json.dumps({"scenario": scenario}).encode())
    assert reply.status_code == 200, reply.text
    return reply.json


def test_an_account_is_given_another_scenario(control: Control) -> None:
    """It rules what is created from then on, and null ends it; what was made keeps its own."""
    made = control.post("/_mock/accounts", {"provider": "kling", "scenario": "fail"}, 201)
    key = made["credentials"]["api_key"]
    first = control.create(key=key)
    assert change(control, made["id"], "slow seconds=90") == {
        **control.get(f"/_mock/accounts/{made['id']}"),
        "scenario": "slow seconds=90",
    }
    second = control.create(key=key)
    assert change(control, made["id"], None)["scenario"] is None
    third = control.create(key=key)
    found = [control.get(f"/_mock/tasks/{id_}")["scenario"] for id_ in (first, second, third)]
    assert found == ["fail", "slow seconds=90", None]
    assert control.get("/_mock/accounts/kling-default")["scenario"] is None


def test_a_scenario_given_anew_is_counted_anew(control: Control) -> None:
    """The first create is refused again, though it is the same payload."""
    made = control.post("/_mock/accounts", {"provider": "kling", "scenario": "overloaded"}, 201)
    kling = Client(control.mock, control.mock.providers["kling"], control.mock.accounts.get(made["id"]))

    def create() -> int:
        return kling.send("POST", "/v1/videos/text2video", {"prompt": "a cat"}).status

    assert [create(), create()] == [429, 200]
    change(control, made["id"], "overloaded")
    assert [create(), create()] == [429, 200]


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("charged-no-anser", "kling has no scenario 'charged-no-anser'; did you mean 'charged-no-answer'?"),
        ("slow second=9", "the scenario 'slow' has no parameter 'second'; did you mean 'seconds'?"),
        (
            "bad-gateway status=99999",
            "the parameter status of 'bad-gateway' is 500, 502, 503 or 504, not '99999'",
        ),
        ("slow seconds=", "the scenario 'slow' is given no value for 'seconds'; its parameters are seconds=280"),
        (5, "should be of type string, null; is integer"),
    ],
)
def test_an_unknown_scenario_changes_nothing(control: Control, scenario: Any, said: str) -> None:
    """It is told with the closest match, at its pointer."""
    problem = control.refused(422, "PATCH", "/_mock/accounts/kling-default", {"scenario": scenario})
    [error] = problem["errors"]
    assert error["pointer"] == "/scenario"
    assert error["message"].startswith(said)
    assert control.get("/_mock/accounts/kling-default")["scenario"] is None


def test_what_cannot_be_changed_is_told(control: Control) -> None:
    """An account that is not there, a key that is not known, and no key at all."""
    detail = control.refused(404, "PATCH", "/_mock/accounts/kling-defalt", {"scenario": None})["detail"]
    assert detail == "there is no account 'kling-defalt'; did you mean 'kling-default'?"
    [error] = control.refused(422, "PATCH", "/_mock/accounts/kling-default", {"scenario": None, "slot": 1})["errors"]
    assert error["pointer"] == "/slot"
    [error] = control.refused(422, "PATCH", "/_mock/accounts/kling-default", {})["errors"]
    assert (error["pointer"], error["message"]) == ("", "give at least one of scenario, packs")
