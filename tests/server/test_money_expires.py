"""Packs expire: outside their validity, on the account's clock, nothing is spent from them; asked by HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock, Options
from kling_mock.server.serving import Running
from kling_mock.server.store import open_store
from tests.conftest import AT, SEED, Answer, Wall
from tests.server.storing import URLS
from tests.server.wire import Remote

VIDEOS, IMAGES = "/v1/videos/image2video", "/v1/images/generations"
PRICED = {
    "model_name": "kling-v2-6",
    "mode": "pro",
    "duration": "5",
    "image": "https://example.com/a.png",
    "prompt": "x",
}
"""2.5 units."""
UNPRICED = {"model_name": "kling-v2-1", "prompt": "a lighthouse", "n": 3}
PICTURE = {"model_name": "kling-v3", "prompt": "a lighthouse", "resolution": "1k"}  # 8
HOUR, DAY = 3_600_000, 86_400_000

Open = Callable[..., Remote]


@pytest.fixture(params=list(URLS))
def opened(request: pytest.FixtureRequest, tmp_path: Path, providers: Mapping[str, Provider]) -> Iterator[Open]:
    """Makes a client by HTTP of a new account with these packs; time is frozen."""
    store = open_store(URLS[request.param].format(folder=tmp_path))
    mock = Mock([providers["kling"]], Options(at=AT, seed=SEED), wall=Wall(), store=store)
    with Running(mock) as running:

        def make(*packs: dict[str, Any]) -> Remote:
            client = Remote(mock, providers["kling"], url=running.url)
            made = client.send("POST", "/_mock/accounts", {"provider": "kling", **({"packs": packs} if packs else {})})
            assert made.status == 201, made.json
            client.account = mock.accounts.get(made.json["id"])
            return client

        yield make
    store.close()


def mine(client: Remote) -> str:
    """The control API's path of the client's account."""
    assert client.account is not None
    return f"/_mock/accounts/{client.account.id}"


def advance(client: Remote, by: str) -> None:
    """Let the account's time jump."""
    assert client.account is not None
    assert client.send("POST", "/_mock/clock", {"advance": by, "account": client.account.id}).status == 200


def renew(client: Remote, *packs: dict[str, Any]) -> Answer:
    """Give packs another validity."""
    return client.send("PATCH", mine(client), {"packs": packs})


def held(client: Remote, type_: str = "video") -> dict[str, Any]:
    """A pack by the ledger; the account says the same, and nothing of it is lost."""
    found = client.send("GET", f"{mine(client)}/ledger").json["packs"]
    assert client.send("GET", mine(client)).json["packs"] == found
    [row] = [row for row in found if row["type"] == type_]
    assert row["balance"] + row["reserved"] + row["spent"] == row["total"]
    return dict(row)


def official(client: Remote) -> dict[str, Any]:
    """The first pack by the official API."""
    answer = client.send("GET", "/account/costs", query={"start_time": 0, "end_time": 1})
    return dict(answer.json["data"]["resource_pack_subscribe_infos"][0])


def standing(client: Remote) -> tuple[str, str]:
    """How the first pack stands by the control API and by the official one."""
    return held(client)["standing"], official(client)["status"]


def refused(answer: Answer) -> str:
    """What is said of a create that the pack does not pay."""
    assert (answer.status, answer.json["code"]) == (429, 1102)
    assert answer.json["message"] == "Account balance not enough"
    assert answer.wrong == [("mock/balance.empty", "")]
    return str(answer.violations[0]["message"])


def test_a_pack_is_spent_until_its_last_millisecond(opened: Open) -> None:
    """From invalid_time on creates are refused as by an empty pack, and told why."""
    kling = opened({"type": "video", "total": 10, "valid": "30d"})
    pack = official(kling)
    assert pack["purchase_time"] == pack["effective_time"] == AT
    assert pack["invalid_time"] == AT + 30 * DAY
    assert (held(kling)["effective_at"], held(kling)["invalid_at"]) == (AT, AT + 30 * DAY)
    advance(kling, "719h59m59.999s")
    assert standing(kling) == ("open", "online")
    assert kling.send("POST", VIDEOS, PRICED).status == 200
    advance(kling, "1ms")
    assert standing(kling) == ("expired", "expired")
    at = "2026-01-31T00:00:00.000+00:00"
    message = refused(kling.send("POST", VIDEOS, PRICED))
    assert (
        message == f"the video pack expired at {at}, the account's clock is at {at}; the account's PATCH renews packs"
    )
    assert len(kling.send("GET", VIDEOS).json["data"]) == 1


def test_a_pack_without_an_end_of_its_own_is_bought_anew(opened: Open) -> None:
    """Every 30 days, with what it held: whoever has said nothing of packs never meets an expired one."""
    kling = opened()
    assert kling.send("POST", VIDEOS, PRICED).status == 200
    advance(kling, "29d")
    assert (official(kling)["effective_time"], official(kling)["invalid_time"]) == (AT, AT + 30 * DAY)
    advance(kling, "1d")
    assert (official(kling)["effective_time"], official(kling)["invalid_time"]) == (AT + 30 * DAY, AT + 60 * DAY)
    advance(kling, "3000d")
    assert standing(kling) == ("open", "online")
    assert (held(kling)["effective_at"], held(kling)["spent"]) == (AT + 3030 * DAY, 2.5)
    assert kling.send("POST", VIDEOS, PRICED).status == 200


def test_validity_is_the_accounts_own_and_by_its_own_clock(opened: Open) -> None:
    """A pack of an hour expires where an hour passed, and only there; the other pack of the account lasts."""
    kling = opened({"type": "video", "total": 10, "valid": "1h"}, {"type": "image", "total": 100})
    other = opened({"type": "video", "total": 10, "valid": 3600})
    advance(kling, "1h")
    assert (standing(kling), standing(other)) == (("expired", "expired"), ("open", "online"))
    assert "expired" in refused(kling.send("POST", VIDEOS, PRICED))
    assert kling.send("POST", IMAGES, PICTURE).status == 200
    assert other.send("POST", VIDEOS, PRICED).status == 200


def test_what_is_reserved_is_settled_or_given_back_all_the_same(opened: Open) -> None:
    """Tasks that run when their pack expires end as ever; what comes back cannot be spent."""
    kling = opened({"type": "video", "total": 10, "valid": "2s"})
    assert kling.send("POST", VIDEOS, PRICED).status == 200
    assert kling.send("POST", VIDEOS, PRICED, {"prefer": "scenario=fail"}).status == 200
    advance(kling, "2s")
    row = held(kling)
    assert (row["standing"], row["balance"], row["reserved"], row["spent"]) == ("expired", 5, 5, 0)
    advance(kling, "1h")
    row = held(kling)
    assert (row["standing"], row["balance"], row["reserved"], row["spent"]) == ("expired", 7.5, 0, 2.5)
    assert official(kling)["remaining_quantity"] == 7.5
    assert "expired" in refused(kling.send("POST", VIDEOS, PRICED))


def test_a_pack_that_starts_later_cannot_be_spent_yet(opened: Open) -> None:
    """toBeOnline until its effective_time; it lasts from then on."""
    kling = opened({"type": "video", "total": 10, "starts": "1d", "valid": "1h"})
    assert standing(kling) == ("pending", "toBeOnline")
    pack = official(kling)
    assert [pack[f"{name}_time"] - AT for name in ("purchase", "effective", "invalid")] == [0, DAY, DAY + HOUR]
    message = refused(kling.send("POST", VIDEOS, PRICED))
    assert message.startswith("the video pack can be spent from 2026-01-02T00:00:00.000+00:00 on")
    advance(kling, "1d")
    assert standing(kling) == ("open", "online")
    assert kling.send("POST", VIDEOS, PRICED).status == 200
    advance(kling, "1h")
    assert standing(kling) == ("expired", "expired")


def test_an_empty_pack_is_used_up_until_it_expires(opened: Open) -> None:
    """Before invalid_time the reason is the amount, afterwards the time."""
    kling = opened({"type": "video", "total": 2.5, "valid": "1h"})
    assert kling.send("POST", VIDEOS, PRICED).status == 200
    assert standing(kling) == ("empty", "runOut")
    assert "holds 0.0 units" in refused(kling.send("POST", VIDEOS, PRICED))
    advance(kling, "1h")
    assert standing(kling) == ("expired", "expired")
    assert "expired" in refused(kling.send("POST", VIDEOS, PRICED))


def test_a_job_of_unknown_price_is_not_paid_by_an_expired_pack(opened: Open) -> None:
    """While the pack is valid it is taken without a charge; no price is small enough for one that is not."""
    kling = opened({"type": "image", "total": 1, "valid": "1h"})
    assert kling.send("POST", IMAGES, UNPRICED).status == 200
    advance(kling, "1h")
    assert "the image pack expired" in refused(kling.send("POST", IMAGES, UNPRICED))


def test_a_pack_is_renewed(opened: Open) -> None:
    """From now on, as long as is said or as usual; what it holds stays, and the other pack."""
    kling = opened({"type": "video", "total": 10, "valid": "1h"}, {"type": "image", "total": 100, "valid": "1h"})
    assert kling.send("POST", VIDEOS, PRICED).status == 200
    advance(kling, "1d")
    answer = renew(kling, {"type": "video"})
    assert (answer.status, answer.json["packs"][0]) == (200, held(kling))
    assert (held(kling)["effective_at"], held(kling)["invalid_at"]) == (AT + DAY, AT + 31 * DAY)
    assert (held(kling)["balance"], held(kling)["spent"], held(kling, "image")["standing"]) == (7.5, 2.5, "expired")
    assert kling.send("POST", VIDEOS, PRICED).status == 200
    assert renew(kling, {"type": "video", "valid": "0s"}).status == 200
    assert standing(kling) == ("expired", "expired")
    assert renew(kling, {"type": "video", "starts": "1s", "valid": "1s"}).status == 200
    assert standing(kling) == ("pending", "toBeOnline")


@pytest.mark.parametrize(
    ("pack", "pointer", "message"),
    [
        ({"type": "video", "valid": "soon"}, "/packs/0/valid", "'soon' is no duration such as 90s, 31m, 1h30m or 3d"),
        ({"type": "video", "starts": "-1s"}, "/packs/0/starts", "'-1s' is no duration such as"),
        ({"type": "vidio"}, "/packs/0/type", "the account has no pack of the type 'vidio'; did you mean 'video'?"),
        ({"type": "video", "total": 5}, "/packs/0/total", "is no known key here"),
    ],
)
def test_what_cannot_be_renewed_changes_nothing(opened: Open, pack: Any, pointer: str, message: str) -> None:
    """Neither the packs nor the scenario that came with it."""
    kling = opened({"type": "video", "total": 10})
    before = kling.send("GET", mine(kling)).json
    answer = kling.send("PATCH", mine(kling), {"scenario": "fail", "packs": [pack]})
    assert answer.status == 422
    [error] = answer.json["errors"]
    assert error["pointer"] == pointer
    assert error["message"].startswith(message)
    assert kling.send("GET", mine(kling)).json == before


def test_a_scenario_and_packs_are_changed_together(opened: Open) -> None:
    """One PATCH takes both."""
    kling = opened({"type": "video", "total": 10})
    answer = kling.send("PATCH", mine(kling), {"scenario": "fail", "packs": [{"type": "video", "valid": "1h"}]})
    assert (answer.json["scenario"], answer.json["packs"][0]["invalid_at"]) == ("fail", AT + HOUR)


@pytest.mark.parametrize("key", ["valid", "starts"])
def test_a_new_account_takes_no_validity_that_is_none(opened: Open, key: str) -> None:
    """It is refused with what is accepted, at its pointer."""
    kling = opened()
    asked = {"provider": "kling", "packs": [{"type": "video", "total": 1, key: "next week"}]}
    answer = kling.send("POST", "/_mock/accounts", asked)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, f"/packs/0/{key}")
    assert "'next week' is no duration" in answer.json["errors"][0]["message"]
