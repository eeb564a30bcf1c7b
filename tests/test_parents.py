"""Creates that build upon another task: the relay's video-extend and lip-sync need a finished parent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Client

MakeClient = Callable[..., Client]
PREFIX = "/kling/v1/videos"
IMAGE = {"model_name": "kling-v1", "image": "https://example.com/a.png"}


def extend(parent: Any) -> dict[str, Any]:
    """A body of video-extend."""
    return {"task_id": parent, "video_id": "1"}


def speak(parent: Any) -> dict[str, Any]:
    """A body of lip-sync."""
    return {"input": {"task_id": parent, "video_id": "1", "mode": "text2video", "text": "good morning"}}


BUILDS = [
    pytest.param("video-extend", extend, "extendVideo", "/task_id", id="video-extend"),
    pytest.param("lip-sync", speak, "createLipSync", "/input/task_id", id="lip-sync"),
]


@pytest.fixture
def relay(client: MakeClient) -> Client:
    """An account of its own at the relay."""
    return client("rixapi").other()


def parent_of(caller: Client) -> str:
    """A new task to build upon."""
    return str(caller.send("POST", f"{PREFIX}/image2video", IMAGE).json["data"]["task_id"])


@pytest.mark.parametrize(("route", "body", "operation", "at"), BUILDS)
def test_a_parent_must_have_succeeded(
    route: str, body: Callable[[Any], Any], operation: str, at: str, relay: Client
) -> None:
    """A running parent is refused in Kling's words; once it has succeeded the create is taken and ends well."""
    parent = parent_of(relay)
    early = relay.send("POST", f"{PREFIX}/{route}", body(parent))
    assert (early.status, early.json["code"], early.wrong) == (400, 1201, [("mock/task.unfinished", "")])
    assert early.json["message"] == f"Task {parent} is not finished"
    relay.advance("10s")
    made = relay.send("POST", f"{PREFIX}/{route}", body(parent))
    assert (made.status, made.json["data"]["task_status"]) == (200, "submitted")
    relay.advance("10s")
    found = relay.send("GET", f"{PREFIX}/{route}/{made.json['data']['task_id']}")
    assert (found.status, found.json["data"]["task_status"]) == (200, "succeed")


@pytest.mark.parametrize(("route", "body", "operation", "at"), BUILDS)
def test_a_parent_that_failed_is_not_finished(
    route: str, body: Callable[[Any], Any], operation: str, at: str, relay: Client
) -> None:
    """A failed parent has no video to build upon, however long one waits."""
    made = relay.send("POST", f"{PREFIX}/image2video", IMAGE | {"prompt": "[mock:fail]"})
    relay.advance("1h")
    parent = made.json["data"]["task_id"]
    assert relay.send("GET", f"{PREFIX}/image2video/{parent}").json["data"]["task_status"] == "failed"
    refused = relay.send("POST", f"{PREFIX}/{route}", body(parent))
    assert (refused.status, refused.wrong) == (400, [("mock/task.unfinished", "")])


@pytest.mark.parametrize(("route", "body", "operation", "at"), BUILDS)
def test_a_parent_must_be_known(route: str, body: Callable[[Any], Any], operation: str, at: str, relay: Client) -> None:
    """Nobody's task and another account's task look the same: unknown."""
    theirs = parent_of(relay.other())
    for parent in ("1", theirs):
        refused = relay.send("POST", f"{PREFIX}/{route}", body(parent))
        assert (refused.status, refused.json["code"], refused.wrong) == (400, 1201, [("mock/task.unknown", "")])
        assert refused.json["message"] == f"Task not found by id/external id: {parent}"


@pytest.mark.parametrize(("route", "body", "operation", "at"), BUILDS)
def test_a_parent_must_be_a_video(
    route: str, body: Callable[[Any], Any], operation: str, at: str, relay: Client
) -> None:
    """An image has nothing to go on with or to speak: its task is as unknown as nobody's, though it succeeded."""
    made = relay.send("POST", "/kling/v1/images/generations", {"model_name": "kling-v1", "prompt": "a lighthouse"})
    parent = made.json["data"]["task_id"]
    relay.advance("1h")
    assert relay.send("GET", f"/kling/v1/images/generations/{parent}").json["data"]["task_status"] == "succeed"
    refused = relay.send("POST", f"{PREFIX}/{route}", body(parent))
    assert (refused.status, refused.json["code"], refused.wrong) == (400, 1201, [("mock/task.unknown", "")])
    assert refused.json["message"] == f"Task not found by id/external id: {parent}"


@pytest.mark.parametrize("of", ["video-extend", "lip-sync"])
def test_what_was_built_can_be_built_upon(of: str, relay: Client) -> None:
    """Every kind of video may be a parent: what was extended is extended again, what speaks speaks on."""
    bodies = {"video-extend": extend, "lip-sync": speak}
    parent = parent_of(relay)
    relay.advance("1h")
    parent = relay.send("POST", f"{PREFIX}/{of}", bodies[of](parent)).json["data"]["task_id"]
    relay.advance("1h")
    assert {relay.send("POST", f"{PREFIX}/{route}", make(parent)).status for route, make in bodies.items()} == {200}


@pytest.mark.parametrize(("route", "body", "operation", "at"), BUILDS)
def test_a_parent_must_be_named(route: str, body: Callable[[Any], Any], operation: str, at: str, relay: Client) -> None:
    """The relay cannot tell whose video is meant without its task: no id, null and an empty text are refused."""
    bare = body("x")
    (bare.get("input") or bare).pop("task_id")
    answer = relay.send("POST", f"{PREFIX}/{route}", bare)
    assert (answer.status, answer.wrong) == (400, [(f"{operation}{at}/required", at)])
    for nothing, keyword in ((None, "type"), ("", "minLength")):
        answer = relay.send("POST", f"{PREFIX}/{route}", body(nothing))
        assert (answer.status, answer.wrong) == (400, [(f"{operation}{at}/{keyword}", at)])
