"""Addresses that a client sends may hold secrets: they are used as they are, and shown nowhere with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import requests

from kling_mock.core.provider import Provider
from kling_mock.server.clocks import wall_ms
from kling_mock.server.fetching import FetchRefused, fetch_image
from kling_mock.server.mock import Mock, Options
from kling_mock.server.posting import post
from kling_mock.server.serving import Running
from kling_mock.server.targets import refusal
from tests.conftest import AT, SEED
from tests.server.receiver import Receiver, until
from tests.server.wire import Remote

VIDEOS = "/v1/videos/image2video"
SECRETS = ("alpha-pass", "bravo-token", "charlie-sign", "delta-inner", "echo-inner", "foxtrot-id", "golf-image")
HOOK = (
    "job=42&token=bravo-token&X-Amz-Signature=charlie-sign"
    "&next=https%3A%2F%2Fme%3Adelta-inner%40example.com%2F%3Fsecret%3Decho-inner"
)
IMAGE = "https://example.com/a.png?Expires=9&OSSAccessKeyId=foxtrot-id&x-oss-signature=golf-image"
SHORT = "http://me:alpha-pass@h/?sig=bravo-token"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that takes everything."""
    with Receiver() as server:
        yield server


@pytest.fixture
def served(providers: Mapping[str, Provider], caplog: pytest.LogCaptureFixture) -> Iterator[Remote]:
    """A client by HTTP of a server whose time is frozen, and which logs all that it can."""
    caplog.set_level(logging.DEBUG, "kling_mock")
    mock = Mock([providers["kling"]], Options(at=AT, seed=SEED), wall=wall_ms)
    with Running(mock) as running:
        yield Remote(mock, providers["kling"], url=running.url)


def hook(receiver: Receiver) -> str:
    """The address of a receiver, with everything in it that an address can hide."""
    return f"http://me:alpha-pass@127.0.0.1:{receiver.port}/hook?{HOOK}"


def create(served: Remote, **body: Any) -> str:
    """Create a task; its id."""
    asked = {"image": IMAGE, "prompt": "a lighthouse", "external_task_id": "mine", **body}
    answer = served.send("POST", VIDEOS, asked, query=f"from={SHORT.replace('&', '%26')}&key=golf-image")
    assert answer.status == 200
    return answer.headers["x-mock-task"]


def leaks(text: str) -> list[str]:
    """The secrets that a text shows."""
    return [secret for secret in SECRETS if secret in text]


def read(served: Remote, path: str) -> str:
    """What the control API says, as it came over the wire."""
    reply = requests.get(served.url + path, timeout=9)
    reply.raise_for_status()
    return reply.text


def test_a_webhook_goes_where_it_should(served: Remote, receiver: Receiver) -> None:
    """With every secret, also at a replay: what is hidden is only what is shown."""
    create(served, callback_url=hook(receiver))
    receiver.wait(1)
    until(lambda: '"delivered"' in read(served, "/_mock/webhooks"))
    id_ = json.loads(read(served, "/_mock/webhooks"))["webhooks"][0]["id"]
    replayed = requests.post(f"{served.url}/_mock/webhooks/{id_}/replay", json={}, timeout=9)
    assert (replayed.status_code, leaks(replayed.text)) == (200, [])
    first, second = receiver.wait(2)
    assert first.path == second.path == f"/hook?{HOOK}"
    assert first.headers["authorization"] == second.headers["authorization"] == "Basic bWU6YWxwaGEtcGFzcw=="


@pytest.mark.parametrize("path", ["/_mock/journal", "/_mock/webhooks", "/_mock/tasks/{task}"])
def test_the_control_api_shows_no_secret_of_an_address(served: Remote, receiver: Receiver, path: str) -> None:
    """Neither of the hook nor of the image; but people recognise what is theirs."""
    task = create(served, callback_url=hook(receiver), external_task_id=SHORT)
    receiver.wait(1)
    text = read(served, path.format(task=task))
    assert leaks(text) == []
    assert "<credential>@" in text
    if path in ("/_mock/journal", "/_mock/webhooks"):
        assert f"127.0.0.1:{receiver.port}/hook?job=42&token=<credential>&X-Amz-Signature=<credential>&next=" in text
    if path == "/_mock/journal":
        assert "/a.png?Expires=9&OSSAccessKeyId=<credential>&x-oss-signature=<credential>" in text
        assert "from=http://<credential>@h/?sig=<credential>&key=<credential>" in text


def test_the_log_shows_no_secret_of_an_address(
    served: Remote, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a webhook that is sent, of one that is refused, and of a path; not even where a long one is cut."""
    create(served, callback_url=hook(receiver))
    receiver.wait(1)
    create(served, callback_url="https://me:alpha-pass@example.com/?token=bravo-token", external_task_id="b")
    create(served, callback_url=f"https://{'me' * 80}:alpha-pass{'x' * 60}@example.com/", external_task_id="c")
    until(lambda: caplog.text.count("was not sent to") >= 2)
    served.send("GET", "/nowhere;token=bravo-token/to")
    assert leaks(caplog.text) == []
    assert "/nowhere;token=<credential>" in caplog.text
    assert "was not sent to https://<credential>@example.com/?token=<credential>: example.com is no loop" in caplog.text
    assert f"to http://<credential>@127.0.0.1:{receiver.port}/hook?job=42" in caplog.text


def test_a_violation_shows_no_secret_of_an_address(served: Remote, caplog: pytest.LogCaptureFixture) -> None:
    """The header, the reply, the journal, the log and a judgement say what was sent instead of what was wanted."""
    body = {"image": IMAGE, "prompt": "a lighthouse", "mode": SHORT}
    answer = served.send("POST", VIDEOS, body)
    judged = requests.post(f"{served.url}/_mock/judge", json={"body": body, "provider": "kling"}, timeout=9)
    texts = [answer.headers["x-mock-violations"], read(served, "/_mock/journal"), caplog.text, judged.text]
    assert answer.status == 400
    for text in texts:
        assert "is http://<credential>@h/?sig=<credential>" in text
        assert leaks(text) == []
    assert leaks(answer.body.decode()) == []


@pytest.mark.parametrize(
    "url", ["http://me:alpha-pass", "http://me:alpha-pass/x", "http://me:alpha-pass\u2100@h/", "http://[alpha-pass/"]
)
def test_why_an_address_is_none_is_said_without_it(url: str) -> None:
    """Python's own words repeat what stands in the place of the port: with a slip it is a password."""
    assert refusal(url, ()) == "it is no URL: its host or its port cannot be read"
    with pytest.raises(FetchRefused, match=r"^not a URL: its host or its port cannot be read$") as refused:
        fetch_image(url)
    assert leaks(repr(refused.value.__cause__)) == []


def test_an_image_that_is_not_fetched_is_logged_without_its_secrets(
    make_mock: Callable[..., Mock], providers: Mapping[str, Provider], caplog: pytest.LogCaptureFixture
) -> None:
    """Its address is recognised."""
    mock = make_mock(providers["kling"], fetch_images=True)
    with Running(mock) as running:
        image = SHORT.replace("@h/", "@127.0.0.1:9/")
        answer = Remote(mock, providers["kling"], url=running.url).send("POST", VIDEOS, {"image": image, "prompt": "a"})
    [told] = answer.violations
    assert (answer.status, told["rule"], told["pointer"]) == (200, "mock/image.unfetched", "/image")
    assert told["message"] == (
        "was not fetched, so nothing of the image is judged: a URL with a user name or password is not fetched"
    )
    assert "the image at http://<credential>@127.0.0.1:9/?sig=<credential> was not fetched" in caplog.text
    assert leaks(caplog.text) == []


def test_what_fails_in_the_mock_is_logged_without_secrets(
    served: Remote, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log says at which path."""

    def broken(*_: object) -> None:
        raise RuntimeError("for the test")

    monkeypatch.setattr(served.mock, "prepare", broken)
    served.send("GET", "/v1/sk-alpha-pass-0123;token=bravo-token")
    assert "the mock failed at GET /v1/<credential>;token=<credential>" in caplog.text
    assert leaks(caplog.text) == []


def test_the_way_out_takes_the_address_as_it_is(receiver: Receiver) -> None:
    """Nothing is struck out of what is sent."""
    assert post("POST", hook(receiver), b"{}", {}, 5, ()) == 200
    assert receiver.got[0].path == f"/hook?{HOOK}"
