"""Tasks as their account sees them: lists, the caller's own ids, what they cost and how many may run at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from kling_mock.core.model import Pack
from kling_mock.core.provider import Provider
from kling_mock.server import steering
from tests.conftest import Answer, Client
from tests.exchanges import every_provider, make, poll

MakeClient = Callable[..., Client]
VIDEOS = "/v1/videos/image2video"
IMAGES = "/v1/images/generations"
COSTS = {"start_time": 0, "end_time": 1}
IMAGE = {"image": "https://example.com/a.png", "prompt": "dusk"}
PRICED = IMAGE | {"model_name": "kling-v2-6", "mode": "pro", "duration": "5"}  # 5 x 0.5
PICTURES = {"model_name": "kling-v3", "prompt": "a lighthouse", "resolution": "1k"}  # 8 each


@pytest.fixture
def kling(client: MakeClient) -> Client:
    """A client of the vendor's own API with an account of its own."""
    return client("kling").other()


def account(client: Client, video: str | None = None, slots: int | None = None, image: str = "100") -> Client:
    """A client whose account has packs of these sizes and so many slots."""
    packs = (Pack("video", "units", Decimal(video or 0), "Videos"), Pack("image", "units", Decimal(image), "Images"))
    new = client.mock.accounts.register(client.provider, packs if video else None, slots, None)
    return Client(client.mock, client.provider, new)


def ids(answer: Answer) -> list[str]:
    """The task ids of a list."""
    assert answer.status == 200, answer.json
    return [row["task_id"] for row in answer.json["data"]]


def created(answer: Answer) -> str:
    """The id of a task that was just accepted."""
    assert answer.status == 200, answer.json
    return str(answer.json["data"]["task_id"])


def packs(client: Client, **query: Any) -> dict[str, float]:
    """What is left in each of the account's packs, by name."""
    answer = client.send("GET", "/account/costs", query={**COSTS, **query})
    assert answer.status == 200, answer.json
    rows = answer.json["data"]["resource_pack_subscribe_infos"]
    return {row["resource_pack_name"]: row["remaining_quantity"] for row in rows}


# Lists.


def test_a_list_shows_the_newest_task_first(kling: Client) -> None:
    """Without parameters a list is the first page, newest first, and of its own kind only."""
    made = [created(kling.send("POST", VIDEOS, PRICED)) for _ in range(3)]
    picture = created(kling.send("POST", IMAGES, PICTURES))
    assert ids(kling.send("GET", VIDEOS)) == made[::-1]
    assert ids(kling.send("GET", IMAGES)) == [picture]
    assert ids(kling.send("GET", "/v1/videos/text2video")) == []


def test_pages_split_the_list_without_gap_or_overlap(kling: Client) -> None:
    """Pages 1 to n hold every task once; the last one is short, and those beyond the end are empty, not errors."""
    made = [created(kling.send("POST", VIDEOS, PRICED)) for _ in range(7)]
    pages = [ids(kling.send("GET", VIDEOS, query={"pageNum": n, "pageSize": 3})) for n in range(1, 6)]
    assert list(map(len, pages)) == [3, 3, 1, 0, 0]
    assert [id_ for page in pages for id_ in page] == made[::-1]
    assert ids(kling.send("GET", VIDEOS, query={"pageNum": 1000, "pageSize": 500})) == []


def test_the_default_page_holds_thirty(kling: Client) -> None:
    """pageSize defaults to 30, as documented."""
    made = [created(kling.send("POST", VIDEOS, PRICED)) for _ in range(31)]
    assert ids(kling.send("GET", VIDEOS)) == made[:0:-1]
    assert ids(kling.send("GET", VIDEOS, query={"pageNum": 2})) == made[:1]


@pytest.mark.parametrize(
    ("name", "value", "keyword"),
    [
        ("pageNum", "0", "minimum"),
        ("pageNum", "1001", "maximum"),
        ("pageSize", "0", "minimum"),
        ("pageSize", "501", "maximum"),
        ("pageNum", "first", "type"),
    ],
)
def test_a_page_outside_the_limits_is_refused(kling: Client, name: str, value: str, keyword: str) -> None:
    """pageNum is 1..1000 and pageSize 1..500; the text has the vendor's pattern for bad values."""
    answer = kling.send("GET", VIDEOS, query={name: value})
    assert (answer.status, answer.json["code"]) == (400, 1201)
    assert answer.json["message"] == f"{name} value '{value}' is invalid"
    assert answer.wrong == [(f"listImageToVideo/query/{name}/{keyword}", f"query/{name}")]


@pytest.mark.parametrize(("name", "near"), [("pagenum", "; did you mean 'pageNum'?"), ("lang", "")])
def test_an_unknown_parameter_is_a_warning(kling: Client, name: str, near: str) -> None:
    """It is ignored, as unknown keys of a body are, and told."""
    answer = kling.send("GET", VIDEOS, query={name: "2", "pageSize": "1"})
    assert answer.status == 200
    [told] = answer.violations
    assert (told["rule"], told["pointer"], told["severity"]) == (
        "listImageToVideo/query/*/unknown",
        f"query/{name}",
        "warning",
    )
    assert told["message"] == f"is no known key here and is ignored{near}"


def test_each_row_of_a_list_shows_its_own_state(kling: Client) -> None:
    """A list observes each task at the present: the old one has ended, the new one waits."""
    kling.send("POST", VIDEOS, PRICED)
    kling.advance("10s")
    kling.send("POST", VIDEOS, PRICED)
    assert [row["task_status"] for row in kling.send("GET", VIDEOS).json["data"]] == ["submitted", "succeed"]


# The caller's own ids.


def test_a_task_is_found_by_its_external_id(kling: Client) -> None:
    """The path takes task_id or external_task_id, and both show the same task."""
    id_ = created(kling.send("POST", VIDEOS, {**PRICED, "external_task_id": "my own 1"}))
    found = kling.send("GET", f"{VIDEOS}/my%20own%201").json["data"]
    assert found == kling.send("GET", f"{VIDEOS}/{id_}").json["data"]
    assert (found["task_id"], found["task_info"]) == (id_, {"external_task_id": "my own 1"})


def test_a_duplicate_external_id_is_refused(kling: Client) -> None:
    """The vendor's observed text; no second task is made and nothing is paid."""
    body = {**PRICED, "external_task_id": "once"}
    first = created(kling.send("POST", VIDEOS, body))
    before = packs(kling)
    again = kling.send("POST", VIDEOS, body)
    assert (again.status, again.json["code"]) == (400, 1201)
    assert again.json["message"] == "External_task_id once already exists"
    assert again.wrong == [("mock/alias.taken", "")]
    assert ids(kling.send("GET", VIDEOS)) == [first]
    assert packs(kling) == before


def test_an_empty_external_id_is_none(kling: Client) -> None:
    """The vendor's own examples send "" with every create, so it cannot be taken twice."""
    for _ in range(2):
        assert created(kling.send("POST", VIDEOS, {**PRICED, "external_task_id": ""}))


def test_two_accounts_may_use_the_same_external_id(kling: Client) -> None:
    """The id is unique in an account, not in the world, and leads each to its own task."""
    other, body = kling.other(), {**PRICED, "external_task_id": "once"}
    mine, theirs = (created(client.send("POST", VIDEOS, body)) for client in (kling, other))
    assert mine != theirs
    assert kling.send("GET", f"{VIDEOS}/once").json["data"]["task_id"] == mine
    assert other.send("GET", f"{VIDEOS}/once").json["data"]["task_id"] == theirs


def test_a_task_of_another_kind_is_unknown_on_this_path(kling: Client) -> None:
    """Queries are by product: an image's id is nobody's on a video path."""
    id_ = created(kling.send("POST", IMAGES, PICTURES))
    answer = kling.send("GET", f"{VIDEOS}/{id_}")
    assert (answer.status, answer.json["code"]) == (400, 1201)
    assert answer.json["message"] == f"Task not found by id/external id: {id_}"
    assert answer.wrong == [("mock/task.unknown", "")]


# What a task costs.


def test_a_create_reserves_and_success_settles(kling: Client) -> None:
    """The price leaves the pack at the create and stays away; the task says what it cost."""
    rich = account(kling, "100")
    id_ = created(rich.send("POST", VIDEOS, PRICED))
    assert packs(rich) == {"Videos": 97.5, "Images": 100}
    rich.advance("10s")
    assert packs(rich) == {"Videos": 97.5, "Images": 100}
    entries = rich.mock.store.entries(rich.account.id if rich.account else "")
    assert [(row.of, row.amount) for row in entries if row.of != "slots"] == [
        ("reserve", Decimal("2.5")),
        ("settle", Decimal("2.5")),
    ]
    assert rich.send("GET", f"{VIDEOS}/{id_}").json["data"]["final_unit_deduction"] == "2.5"


def test_a_failure_refunds_at_its_end_and_not_before(kling: Client) -> None:
    """A failed task costs nothing in the end: the reserve comes back when it fails."""
    rich = account(kling, "100")
    rich.send("POST", VIDEOS, {**PRICED, "prompt": "[mock:fail]"})
    rich.advance("4s")
    assert packs(rich)["Videos"] == 97.5
    rich.advance("1s")
    assert packs(rich)["Videos"] == 100


def test_a_failed_task_does_not_say_that_units_were_deducted(kling: Client) -> None:
    """What was refunded is not shown as a final deduction."""
    id_ = created(kling.send("POST", VIDEOS, {**PRICED, "prompt": "[mock:fail]"}))
    kling.advance("10s")
    found = kling.send("GET", f"{VIDEOS}/{id_}").json["data"]
    assert found["task_status"] == "failed"
    assert found.get("final_unit_deduction", "0") == "0"


def test_images_are_paid_by_the_image_pack(kling: Client) -> None:
    """Packs are separate by type: nine images take 72 image units and no video unit."""
    rich = account(kling, "100")
    assert rich.send("POST", IMAGES, {**PICTURES, "n": 9}).status == 200
    assert packs(rich) == {"Videos": 100, "Images": 28}
    assert packs(rich, resource_pack_name="Images") == {"Images": 28}
    assert packs(rich, resource_pack_name="Nothing") == {}


def test_costs_have_the_documented_double_envelope(kling: Client) -> None:
    """data has its own code and msg, each pack all nine documented keys; an empty one is runOut."""
    poor = account(kling, "2.5")
    poor.send("POST", VIDEOS, PRICED)
    data = poor.send("GET", "/account/costs", query=COSTS).json["data"]
    assert (data["code"], data["msg"]) == (0, "success")
    video = data["resource_pack_subscribe_infos"][0]
    assert (video["total_quantity"], video["remaining_quantity"], video["status"]) == (2.5, 0, "runOut")
    assert video["resource_pack_type"] == "decreasing_total"
    assert video["purchase_time"] == video["effective_time"] < video["invalid_time"]


@pytest.mark.parametrize("missing", ["start_time", "end_time"])
def test_costs_need_their_times(kling: Client, missing: str) -> None:
    """start_time and end_time are required."""
    answer = kling.send("GET", "/account/costs", query={key: 1 for key in COSTS if key != missing})
    assert (answer.status, answer.json["code"]) == (400, 1201)
    assert answer.wrong == [(f"getAccountCosts/query/{missing}/required", f"query/{missing}")]


def test_a_balance_that_is_too_small_refuses_the_create(kling: Client) -> None:
    """429/1102 with the observed text; no task exists, nothing is paid, and a cheaper one still passes."""
    poor = account(kling, "3")
    created(poor.send("POST", VIDEOS, PRICED))
    answer = poor.send("POST", VIDEOS, PRICED)
    assert (answer.status, answer.json["code"]) == (429, 1102)
    assert answer.json["message"] == "Account balance not enough"
    assert answer.wrong == [("mock/balance.empty", "")]
    assert "0.5" in answer.violations[0]["message"]
    assert packs(poor)["Videos"] == 0.5
    assert len(ids(poor.send("GET", VIDEOS))) == 1


def test_a_balance_that_is_just_enough_passes(kling: Client) -> None:
    """The last unit can be spent."""
    poor = account(kling, "2.5")
    assert poor.send("POST", VIDEOS, PRICED).status == 200
    assert packs(poor)["Videos"] == 0


def test_a_refund_can_be_spent_again(kling: Client) -> None:
    """What a failure gave back pays the next create."""
    poor = account(kling, "2.5")
    poor.send("POST", VIDEOS, {**PRICED, "prompt": "[mock:fail]"})
    assert poor.send("POST", VIDEOS, PRICED).status == 429
    poor.advance("5s")
    assert poor.send("POST", VIDEOS, PRICED).status == 200


def test_a_job_without_a_known_price_is_not_charged(kling: Client) -> None:
    """An unknown price is not 0 and not refused: the pack is untouched, and no deduction is shown."""
    poor = account(kling, "1")
    before = packs(poor)
    id_ = created(poor.send("POST", IMAGES, {"model_name": "kling-v2-1", "prompt": "a lighthouse", "n": 9}))
    assert packs(poor) == before
    assert "final_unit_deduction" not in poor.send("GET", f"{IMAGES}/{id_}").json["data"]


# How many may run at once.


def test_full_slots_refuse_until_a_task_ends(kling: Client) -> None:
    """429/1303 with the vendor's text while as many tasks run as may; the end of one makes room."""
    busy = account(kling, slots=2)
    for _ in range(2):
        created(busy.send("POST", VIDEOS, PRICED))
    answer = busy.send("POST", VIDEOS, PRICED)
    assert (answer.status, answer.json["code"]) == (429, 1303)
    assert answer.json["message"] == "parallel task over resource pack limit"
    assert answer.wrong == [("mock/slots.full", "")]
    busy.advance("4999ms")
    assert busy.send("POST", VIDEOS, PRICED).status == 429
    busy.advance("1ms")
    assert busy.send("POST", VIDEOS, PRICED).status == 200


def test_a_failed_task_frees_its_slot(kling: Client) -> None:
    """A failure is an end too."""
    busy = account(kling, slots=1)
    busy.send("POST", VIDEOS, {**PRICED, "prompt": "[mock:fail]"})
    busy.advance("5s")
    assert busy.send("POST", VIDEOS, PRICED).status == 200


def test_an_image_task_takes_a_slot_per_image(kling: Client) -> None:
    """n images take n slots, as documented."""
    busy = account(kling, slots=9)
    assert busy.send("POST", IMAGES, {**PICTURES, "n": 8}).status == 200
    refused = busy.send("POST", IMAGES, {**PICTURES, "n": 2})
    assert (refused.status, refused.json["code"], refused.wrong) == (429, 1303, [("mock/slots.full", "")])
    assert busy.send("POST", IMAGES, {**PICTURES, "n": 1}).status == 200


def test_each_pack_has_its_own_slots(kling: Client) -> None:
    """As documented, per account and pack type: pictures go on while no video does."""
    busy = account(kling, slots=2)
    for _ in range(2):
        created(busy.send("POST", VIDEOS, PRICED))
    assert busy.send("POST", VIDEOS, PRICED).status == 429
    assert busy.send("POST", IMAGES, {**PICTURES, "n": 2}).status == 200
    answer = busy.send("POST", IMAGES, {**PICTURES, "n": 1})
    assert answer.violations[0]["message"] == "2 of 2 image slots are taken, the job needs 1"


def test_a_pack_may_say_its_slots_itself(kling: Client) -> None:
    """As packs are sold: five jobs at once for videos, nine for pictures."""
    packs = [{"type": "video", "total": 100, "slots": 1}, {"type": "image", "total": 1000, "slots": 9}]
    made = steering.register(kling.mock, "kling", packs, slots=3)
    busy = Client(kling.mock, kling.provider, made)
    created(busy.send("POST", VIDEOS, PRICED))
    assert busy.send("POST", VIDEOS, PRICED).violations[0]["message"] == "1 of 1 video slots are taken, the job needs 1"
    assert busy.send("POST", IMAGES, {**PICTURES, "n": 9}).status == 200
    busy.advance("10s")
    assert busy.send("POST", VIDEOS, PRICED).status == 200


def test_queries_and_lists_take_no_slot(kling: Client) -> None:
    """Only creates count."""
    busy = account(kling, slots=1)
    id_ = created(busy.send("POST", VIDEOS, PRICED))
    assert [busy.send("GET", path).status for path in (f"{VIDEOS}/{id_}", VIDEOS)] == [200, 200]


# Results.


@pytest.mark.parametrize("count", [9, "9", 1, None])
def test_as_many_images_as_asked_for(kling: Client, count: int | str | None) -> None:
    """n gives n images with index 0..n-1 and addresses of their own; without n it is one."""
    id_ = created(kling.send("POST", IMAGES, {**PICTURES, "n": count}))
    assert kling.send("GET", f"{IMAGES}/{id_}").json["data"]["task_result"] == {}
    kling.advance("10s")
    shown = kling.send("GET", f"{IMAGES}/{id_}").json["data"]["task_result"]["images"]
    assert [row["index"] for row in shown] == list(range(int(count or 1)))
    assert len({row["url"] for row in shown}) == int(count or 1)


def test_results_are_addressed_by_the_host_that_was_asked(kling: Client) -> None:
    """A video's URL leads to the host that the query was sent to: there its reader can reach it."""
    id_ = created(kling.send("POST", VIDEOS, PRICED, headers={"host": "mock.test:1234"}))
    kling.advance("10s")
    found = kling.send("GET", f"{VIDEOS}/{id_}", headers={"host": "elsewhere"}).json["data"]
    assert found["task_result"]["videos"][0]["url"].startswith("http://elsewhere/_mock/media/")


def test_the_public_url_goes_before_the_host(providers: Mapping[str, Provider], make_mock: Callable[..., Any]) -> None:
    """--public-url is where results lie, whatever the Host says."""
    mock = make_mock(providers["kling"], public_url="https://files.test/base/")
    kling = Client(mock, providers["kling"])
    id_ = created(kling.send("POST", VIDEOS, PRICED, headers={"host": "mock.test"}))
    kling.advance("10s")
    url = kling.send("GET", f"{VIDEOS}/{id_}").json["data"]["task_result"]["videos"][0]["url"]
    assert url.startswith("https://files.test/base/_mock/media/")


# Whose they are.


@every_provider
def test_another_account_cannot_see_a_task_by_its_id(provider: Provider, client: MakeClient) -> None:
    """At every provider an id of another account is answered as if it did not exist."""
    mine = client(provider)
    id_ = make(mine).headers["x-mock-task"]
    assert poll(mine, id_).status < 300
    theirs = mine.other()
    hidden, unknown = poll(theirs, id_), poll(theirs, id_[:-1] + ("0" if id_[-1] != "0" else "1"))
    assert hidden.wrong == unknown.wrong == [("mock/task.unknown", "")]
    assert hidden.status == unknown.status >= 400
    assert hidden.json.keys() == unknown.json.keys()


def test_another_account_cannot_see_a_task_by_its_external_id(kling: Client) -> None:
    """An external id leads only its owner to the task."""
    kling.send("POST", VIDEOS, {**PRICED, "external_task_id": "secret-plan"})
    answer = kling.other().send("GET", f"{VIDEOS}/secret-plan")
    assert (answer.status, answer.json["code"]) == (400, 1201)
    assert answer.json["message"] == "Task not found by id/external id: secret-plan"


def test_another_account_cannot_see_a_task_in_its_list(kling: Client) -> None:
    """A list holds only one's own tasks."""
    kling.send("POST", VIDEOS, PRICED)
    assert ids(kling.other().send("GET", VIDEOS)) == []


def test_a_task_cannot_be_built_upon_by_another_account(client: MakeClient) -> None:
    """A parent task must be one's own, must exist and must have succeeded; each has its text."""
    relay = client("rixapi").other()
    image = {"model_name": "kling-v1", "image": "https://example.com/a.png"}
    parent = created(relay.send("POST", "/kling/v1/videos/image2video", image))
    body = {"task_id": parent, "video_id": "1"}
    early = relay.send("POST", "/kling/v1/videos/video-extend", body)
    assert (early.status, early.json["code"], early.wrong) == (400, 1201, [("mock/task.unfinished", "")])
    assert early.json["message"] == f"Task {parent} is not finished"
    relay.advance("10s")
    assert relay.send("POST", "/kling/v1/videos/video-extend", body).status == 200
    stranger = relay.other()
    stranger.advance("10s")
    refused = stranger.send("POST", "/kling/v1/videos/video-extend", body)
    assert (refused.status, refused.json["code"], refused.wrong) == (400, 1201, [("mock/task.unknown", "")])
    assert refused.json["message"] == f"Task not found by id/external id: {parent}"
