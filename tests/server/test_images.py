"""Images in requests: really decoded, each edge with its rule and text, never fetched and never echoed."""

from __future__ import annotations

import base64
import json
import logging
import re
import socket
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from kling_mock.loading import bundled
from tests.conftest import Answer, Client

MakeClient = Callable[..., Client]
MEDIA = bundled("fixtures") / "media"
VIDEOS = "/v1/videos/image2video"
FORM = "/klingai/m2v_21_img2video"
LIMIT = 10 * 1024 * 1024
RUN = re.compile(r"[A-Za-z0-9+/=_-]{101,}")

UNREADABLE = "File is not in a valid base64 format"
TOO_SMALL = "Image pixel is invalid"
OUT_OF_RANGE = (
    "The resolution or aspect ratio of the input image is invalid. Please ensure it meets the required specifications."
)
# File: the rules it breaks as a first frame at Kling with the vendor's text, and as a file of the gateway's form.
EDGES: dict[str, tuple[list[str], str, list[str]]] = {
    "square-300x300.png": ([], "SUCCEED", []),
    "widest-750x300.png": ([], "SUCCEED", []),
    "tallest-300x750.png": ([], "SUCCEED", []),
    "photo-1280x720.jpg": ([], "SUCCEED", []),
    "jpeg-named.png": ([], "SUCCEED", []),
    "just-too-small-299x300.png": (["image-is-at-least-300-px"], TOO_SMALL, ["image-is-at-least-300-px"]),
    "just-too-small-300x299.png": (["image-is-at-least-300-px"], TOO_SMALL, ["image-is-at-least-300-px"]),
    "too-wide-751x300.png": (["image-is-not-too-long"], OUT_OF_RANGE, []),
    "too-tall-300x751.png": (["image-is-not-too-long"], OUT_OF_RANGE, []),
    "truncated.jpg": (["image-is-whole"], UNREADABLE, ["image-is-whole"]),
    "truncated.png": (["image-is-whole"], UNREADABLE, ["image-is-whole"]),
    "too-many-pixels-6400x6400.png": ([], "SUCCEED", []),
    "animation.gif": (["image-is-jpg-or-png"], UNREADABLE, ["image-is-jpg-or-png"]),
    "photo.webp": (["image-is-jpg-or-png"], UNREADABLE, ["image-is-jpg-or-png"]),
    "not-an-image.bin": (["image-is-readable"], UNREADABLE, ["image-is-readable"]),
    "empty.bin": (["first-or-last-frame"], "image or image_tail must be given", ["image-is-readable"]),
}


def encoded(content: bytes) -> str:
    """Raw base64, as the vendor wants it."""
    return base64.b64encode(content).decode()


def file(name: str) -> str:
    """A file of the fixtures as raw base64."""
    return encoded((MEDIA / name).read_bytes())


def padded(size: int) -> bytes:
    """A whole PNG of 300x300 pixels and exactly this many bytes: the rest is a chunk that every decoder skips."""
    png = (MEDIA / "square-300x300.png").read_bytes()
    filling = bytes(size - len(png) - 12)
    chunk = len(filling).to_bytes(4, "big") + b"fiLl" + filling
    made = png[:33] + chunk + zlib.crc32(chunk[4:]).to_bytes(4, "big") + png[33:]
    assert len(made) == size
    return made


def upload(
    client: Client, content: bytes, name: str = "picture.png", field: str = "input_image", **more: str
) -> Answer:
    """Send a form with one file as a real client writes it."""
    files = {field: (name, content)}
    if field != "input_image":
        files["input_image"] = ("square.png", (MEDIA / "square-300x300.png").read_bytes())
    ready = requests.Request("POST", "http://localhost" + FORM, data=more, files=files).prepare()
    return client.send(
        "POST", FORM, body=bytes(ready.body or b""), headers={"content-type": ready.headers["Content-Type"]}
    )


def refused(answer: Answer) -> list[tuple[str, str]]:
    """Rule and pointer of each violation that is no mere warning."""
    return [(row["rule"], row["pointer"]) for row in answer.violations if row["severity"] == "refused"]


@pytest.fixture
def kling(client: MakeClient) -> Client:
    """A client of the vendor's own API."""
    return client("kling")


def test_every_file_of_the_fixtures_is_an_edge_here() -> None:
    """No image lies in the fixtures without being sent."""
    masks = {"mask-1280x720.png", "mask-of-another-size-640x360.png"}
    assert {path.name for path in MEDIA.iterdir()} - {"README.md"} == EDGES.keys() | masks


@pytest.mark.parametrize("name", EDGES)
def test_a_first_frame_as_base64(name: str, kling: Client) -> None:
    """Each edge has its rule at /image, and the vendor's 400/1201 with the text for it."""
    rules, message, _ = EDGES[name]
    answer = kling.send("POST", VIDEOS, {"prompt": "dusk", "image": file(name)})
    assert answer.wrong == [(rule, "/image") for rule in rules]
    assert (answer.status, answer.json["code"]) == ((400, 1201) if rules else (200, 0))
    assert answer.json["message"] == message
    assert answer.json.keys() == {"code", "message", "request_id"} | (set() if rules else {"data"})


@pytest.mark.parametrize("name", [name for name in EDGES if name != "empty.bin"])
def test_a_last_frame_as_base64(name: str, kling: Client) -> None:
    """The last frame is judged like the first one, but for its shape, of which the page says nothing."""
    rules = [rule for rule in EDGES[name][0] if rule != "image-is-not-too-long"]
    answer = kling.send(
        "POST", VIDEOS, {"prompt": "dusk", "image": "https://example.com/a.png", "image_tail": file(name)}
    )
    assert answer.wrong == [(rule, "/image_tail") for rule in rules]
    assert answer.status == (400 if rules else 200)


@pytest.mark.parametrize("name", EDGES)
def test_a_file_of_a_form(name: str, client: MakeClient) -> None:
    """The gateway takes the same files as parts of a form and refuses them in its own envelope."""
    answer = upload(client("302ai"), (MEDIA / name).read_bytes(), name)
    rules = EDGES[name][2]
    assert answer.wrong == [(rule, "/input_image") for rule in rules]
    assert answer.status == (400 if rules else 200)
    if rules:
        assert answer.json["error"]["err_code"] == -10011
        assert answer.json["error"]["message"] == "Invalid request"


def test_a_second_file_of_a_form(client: MakeClient) -> None:
    """A last frame is a file too, judged at its own pointer."""
    small = (MEDIA / "just-too-small-299x300.png").read_bytes()
    answer = upload(client("302ai"), small, field="tail_image")
    assert answer.wrong == [("image-is-at-least-300-px", "/tail_image"), ("last-frame-is-on-no-page", "/tail_image")]


@pytest.mark.parametrize("provider", ["pixazo", "rixapi"])
@pytest.mark.parametrize("name", [name for name in EDGES if name != "empty.bin"])
def test_the_other_relays_judge_as_the_vendor_does(provider: str, name: str, client: MakeClient) -> None:
    """What is passed on to Kling is held against Kling's rules, in the relay's envelope."""
    caller = client(provider)
    path = {"pixazo": "/kling-ai-video/v1/getImageToVideoTask", "rixapi": "/kling/v1/videos/image2video"}[provider]
    answer = caller.send("POST", path, {"prompt": "dusk", "image": file(name)})
    rules, message, _ = EDGES[name]
    assert answer.wrong == [(rule, "/image") for rule in rules]
    assert answer.status == (400 if rules else 200)
    if rules and provider == "pixazo":
        assert answer.json == {"error": "Invalid request parameters"}
    elif rules:
        assert (answer.json["code"], answer.json["message"]) == (1201, message)


@pytest.mark.parametrize("field", ["static_mask", "image_tail", "image"])
@pytest.mark.parametrize("prefix", ["data:image/png;base64,", "DATA:image/jpeg;base64,", "data:,"])
def test_a_data_prefix_is_refused_as_the_vendor_does(prefix: str, field: str, kling: Client) -> None:
    """The most common mistake has the vendor's observed text."""
    body = {"prompt": "dusk", "image": "https://example.com/a.png", field: prefix + file("square-300x300.png")}
    answer = kling.send("POST", VIDEOS, body)
    assert (answer.status, answer.json["code"], answer.json["message"]) == (400, 1201, UNREADABLE)
    assert answer.wrong == [("image-is-readable", f"/{field}")]


def test_a_data_prefix_passes_where_nobody_was_seen_to_refuse_it(client: MakeClient) -> None:
    """The gateway's own format takes it: doubt means mercy, so a prefix is another thing than any text."""
    gateway, path = client("302ai"), "/klingai/v1/videos/image2video"
    prefixed = gateway.send("POST", path, {"image": "data:image/png;base64," + file("square-300x300.png")})
    assert (prefixed.status, prefixed.wrong) == (200, [])
    assert gateway.send("POST", path, {"image": "any text"}).wrong == [("image-is-readable", "/image")]


@pytest.mark.parametrize("text", ["hello world", "./picture.png", "ftp://example.com/a.png", "xxx", "https://", "é"])
def test_a_text_that_is_no_image(text: str, kling: Client) -> None:
    """A file's name, another scheme, any word: unreadable."""
    answer = kling.send("POST", VIDEOS, {"prompt": "dusk", "image": text})
    assert (answer.status, answer.json["message"]) == (400, UNREADABLE)
    assert answer.wrong == [("image-is-readable", "/image")]


def test_masks_are_judged_one_by_one(kling: Client) -> None:
    """Each dynamic mask is at its own pointer; masks may be smaller than frames."""
    path = [{"x": 1, "y": 2}, {"x": 3, "y": 4}]
    masks = [
        {"mask": file(name), "trajectories": path} for name in ("mask-1280x720.png", "animation.gif", "photo.webp")
    ]
    answer = kling.send("POST", VIDEOS, {"prompt": "dusk", "image": file("photo-1280x720.jpg"), "dynamic_masks": masks})
    assert answer.wrong == [("image-is-jpg-or-png", f"/dynamic_masks/{n}/mask") for n in (1, 2)]


def test_line_breaks_and_missing_padding_are_taken(kling: Client) -> None:
    """How strict the vendor is about these is unknown, so neither is held against the caller."""
    text = file("square-300x300.png")
    broken = "\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    for image in (broken, text.rstrip("=")):
        assert kling.send("POST", VIDEOS, {"prompt": "dusk", "image": image}).wrong == []


# Size.


@pytest.mark.parametrize(("size", "rules"), [(LIMIT, []), (LIMIT + 1, ["image-is-at-most-10-mb"])])
def test_ten_megabytes_are_the_limit_in_json(size: int, rules: list[str], kling: Client) -> None:
    """10 x 1024 x 1024 bytes of picture pass, one more does not: counted before base64."""
    answer = kling.send("POST", VIDEOS, {"prompt": "dusk", "image": encoded(padded(size))})
    assert answer.wrong == [(rule, "/image") for rule in rules]
    if rules:
        assert (answer.status, answer.json["code"]) == (400, 1201)
        assert answer.json["message"] == "image should be a file of at most 10 MB"


@pytest.mark.parametrize(("size", "rules"), [(LIMIT, []), (LIMIT + 1, ["image-is-at-most-10-mb"])])
def test_ten_megabytes_are_the_limit_in_a_form(size: int, rules: list[str], client: MakeClient) -> None:
    """The same limit for a file, in the gateway's envelope."""
    answer = upload(client("302ai"), padded(size))
    assert answer.wrong == [(rule, "/input_image") for rule in rules]
    assert answer.status == (400 if rules else 200)


def test_two_full_frames_in_one_body(kling: Client) -> None:
    """27 MB of base64 pass, and the task does not keep them."""
    frame = encoded(padded(LIMIT))
    answer = kling.send("POST", VIDEOS, {"prompt": "dusk", "image": frame, "image_tail": frame})
    assert (answer.status, answer.violations) == (200, [])
    task = kling.mock.store.task("kling", answer.json["data"]["task_id"])
    assert task is not None
    assert task.request["image"] == task.request["image_tail"] == f"<{len(frame)} characters>"


# Never fetched.


def test_a_url_is_never_fetched(kling: Client, client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default no name is looked up and nothing is connected to, whatever address is given."""

    def reached(*_args: object, **_words: object) -> None:
        raise AssertionError("the mock went to the network")

    for name in ("getaddrinfo", "create_connection", "gethostbyname"):
        monkeypatch.setattr(socket, name, reached)
    monkeypatch.setattr(socket.socket, "connect", reached)
    for url in ("http://127.0.0.1:1/a.png", "https://169.254.169.254/latest", "HTTP://[::1]/x", "https://nowhere.test"):
        rest = {"model_name": "kling-v1", "mode": "pro"}
        assert kling.send("POST", VIDEOS, {"prompt": "dusk", "image": url, "image_tail": url, **rest}).status == 200
        assert kling.send("POST", VIDEOS, {"prompt": "dusk", "image": url, "static_mask": url, **rest}).status == 200
        form = client("302ai").send("POST", FORM, {"input_image": url})
        assert (form.status, form.violations) == (200, [])


# Never echoed.


def strings(value: Any) -> Iterator[str]:
    """Every text in a document, keys included."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


SMALL = file("truncated.png")  # 740 characters
LARGE = file("photo-1280x720.jpg")
BODIES: dict[str, dict[str, Any]] = {
    "a good image": {"image": LARGE},
    "a bad image": {"image": file("animation.gif")},
    "a short image": {"image": SMALL},
    "a prefixed image": {"image": "data:image/png;base64," + LARGE},
    "an image that begins with a blank": {"image": " " + LARGE},
    "an image in wrapped lines": {"image": "\r\n".join(LARGE[at : at + 400] for at in range(0, len(LARGE), 400))},
    "an image in words": {"image": " ".join(LARGE[at : at + 400] for at in range(0, len(LARGE), 400))},
    "an image as a mode": {"image": LARGE, "mode": LARGE},
    "a short image as a mode": {"image": SMALL, "mode": SMALL},
    "an image as a duration": {"image": LARGE, "duration": LARGE},
    "an image as a key": {"image": LARGE, LARGE: 1},
    "an image as a number": {"image": LARGE, "cfg_scale": LARGE},
    "an image where there is none": {"image": LARGE, "camera_control": LARGE, "voice_list": [{"voice_id": [LARGE]}]},
    "an image as the caller's id": {"image": LARGE, "external_task_id": LARGE},
    "an image in a prompt": {"image": LARGE, "prompt": LARGE},
}


@pytest.mark.parametrize("name", BODIES)
def test_base64_is_never_echoed(name: str, kling: Client, caplog: pytest.LogCaptureFixture) -> None:
    """No header, error, journal entry or log record repeats more than 100 characters of it."""
    caplog.set_level(logging.INFO, "kling_mock")
    answer = kling.send("POST", VIDEOS, BODIES[name])
    assert answer.status in (200, 400)
    rows = list(kling.mock.exchanges())
    assert len(rows) == 1
    if answer.status >= 400:
        assert not RUN.search(answer.body.decode()), "the error's body"
    assert not RUN.search(answer.headers.get("x-mock-violations", "")), "the header"
    assert not [text[:60] for text in strings(rows) if RUN.search(text)], "the journal"
    assert not [text[:60] for text in caplog.messages if RUN.search(text)], "the log"
    assert len(json.dumps(rows)) < 20_000, "the journal keeps little"
    for task in kling.mock.store.tasks():
        assert len(json.dumps(task.request)) < 5000, "the task keeps little"


def test_a_broken_body_is_not_echoed_either(kling: Client, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be parsed is told by line and column alone."""
    caplog.set_level(logging.INFO, "kling_mock")
    answer = kling.send("POST", VIDEOS, body=b'{"image": "' + LARGE.encode() + b'", "image": "' + LARGE.encode() + b'"')
    assert (answer.status, answer.json["code"]) == (400, 1200)
    seen = answer.body.decode() + str(answer.headers) + str(list(kling.mock.exchanges())) + caplog.text
    assert not RUN.search(seen)


def test_an_upload_is_a_name_in_the_journal(client: MakeClient) -> None:
    """A form's file is written down by its name, without its content."""
    caller = client("302ai")
    upload(caller, (MEDIA / "photo-1280x720.jpg").read_bytes(), "holiday.jpg", prompt="a beach")
    row = list(caller.mock.exchanges())[-1]
    assert row["request"]["body"] == {"input_image": "holiday.jpg", "prompt": "a beach"}


@pytest.mark.parametrize("provider", ["kling", "302ai", "pixazo", "rixapi"])
@pytest.mark.parametrize("way", [0, -1])
def test_credentials_are_never_echoed(
    provider: str, way: int, client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the header's credential nor a secret comes back, even when it is put where it does not belong."""
    caplog.set_level(logging.INFO, "kling_mock")
    caller = client(provider, way=way)
    words = next(iter(caller.provider.operations.values())).security[0][0]
    token = caller.token(words)
    for path in [row.path for row in caller.provider.operations.values() if row.role == "create"]:
        caller.send("POST", path, {"image": "https://example.com/a.png"})
        caller.send("POST", path, body=b"{")
    secrets = {token, *caller.mock.accounts.defaults[provider].credentials.values()} - {"mock-kling-access-key"}
    told = caplog.text + json.dumps(list(caller.mock.exchanges()))
    assert not [secret for secret in secrets if secret in told]


@pytest.mark.parametrize("field", ["mode", "model_name", "duration", "external_task_id", "prompt", "unknown", None])
def test_a_credential_in_the_wrong_field_is_hidden(
    field: str | None, kling: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A token pasted into a body is not kept in header, journal or log."""
    caplog.set_level(logging.INFO, "kling_mock")
    token = Client(kling.mock, kling.provider, way=1).token(kling.provider.operations["createImage"].security[0][0])
    wrong = {"image": "https://example.com/a.png", field or token: token}
    answer = kling.send("POST", VIDEOS, wrong)
    assert answer.status in (200, 400)
    for seen in (str(answer.headers), json.dumps(list(kling.mock.exchanges())), caplog.text):
        assert token not in seen


def test_a_credential_in_the_path_is_hidden(kling: Client, caplog: pytest.LogCaptureFixture) -> None:
    """A token in the address is not written down."""
    caplog.set_level(logging.INFO, "kling_mock")
    token = Client(kling.mock, kling.provider, way=1).token(kling.provider.operations["createImage"].security[0][0])
    kling.send("GET", f"{VIDEOS}/{token}", query=f"token={token}")
    for seen in (json.dumps(list(kling.mock.exchanges())), caplog.text):
        assert token not in seen
