"""The files of finished tasks: playable, in ranges, for anybody, and only while they last."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from kling_mock.server.media import clip
from tests.server.control_client import Control


@pytest.fixture
def video(control: Control) -> str:
    """The path of a finished video task's files."""
    id_ = control.create(aspect_ratio="9:16", duration="10")
    control.post("/_mock/clock", {"advance": "5s"})
    return f"/_mock/media/kling/{id_}"


@pytest.fixture
def images(control: Control) -> str:
    """The path of a finished image task's files, three of them."""
    id_ = control.create("/v1/images/generations", n=3, aspect_ratio="21:9")
    control.post("/_mock/clock", {"advance": "5s"})
    return f"/_mock/media/kling/{id_}"


@pytest.mark.parametrize("file", ["0.mp4", "0-watermarked.mp4"])
def test_a_video_is_served(control: Control, video: str, file: str) -> None:
    """The clip of the task's length and shape, with its type; HEAD says how long it is."""
    reply, content = control.send("GET", f"{video}/{file}"), clip(10, "9:16").read_bytes()
    assert (reply.status_code, reply.content_type, reply.data) == (200, "video/mp4", content)
    head = control.send("HEAD", f"{video}/{file}")
    assert (head.status_code, head.content_length, head.headers["Accept-Ranges"]) == (200, len(content), "bytes")


def test_the_address_in_the_reply_is_served(control: Control, video: str) -> None:
    """The URLs that the task tells are those of its files."""
    files = control.get(f"/_mock/tasks/{video.rpartition('/')[2]}")["result"]["files"]
    for url in files[0].values():
        assert url.startswith(f"http://127.0.0.1:8787{video}/")
        assert control.send("GET", url.removeprefix("http://127.0.0.1:8787")).status_code == 200


def test_a_range_is_served(control: Control, video: str) -> None:
    """A player may seek; a range beyond the end is refused as a problem that says how long the file is."""
    content = clip(10, "9:16").read_bytes()
    part = control.send("GET", f"{video}/0.mp4", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.data) == (206, content[4:8] == b"ftyp" and b"ftyp")
    assert part.headers["Content-Range"] == f"bytes 4-7/{len(content)}"
    tail = control.send("GET", f"{video}/0.mp4", headers={"Range": "bytes=-3"})
    assert (tail.status_code, tail.data) == (206, content[-3:])
    beyond = control.send("GET", f"{video}/0.mp4", headers={"Range": f"bytes={len(content)}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(content)}")


@pytest.mark.parametrize("file", ["0.mp4", "0-cover.jpg"])
def test_an_unchanged_file_is_not_sent_again(control: Control, video: str, file: str) -> None:
    """Its tag stays the same."""
    tag = control.send("GET", f"{video}/{file}").headers["ETag"]
    assert control.send("GET", f"{video}/{file}", headers={"If-None-Match": tag}).status_code == 304


def test_a_cover_is_a_picture_of_the_videos_size(control: Control, video: str) -> None:
    """A JPEG for galleries."""
    reply = control.send("GET", f"{video}/0-cover.jpg")
    picture = Image.open(BytesIO(reply.data))
    assert (reply.content_type, picture.format, picture.size) == ("image/jpeg", "JPEG", (720, 1280))


def test_pictures_are_served(control: Control, images: str) -> None:
    """Three PNGs of the promised size, each another, and the watermarked one another still."""
    names = ["0.png", "1.png", "2.png", "2-watermarked.png"]
    replies = [control.send("GET", f"{images}/{name}") for name in names]
    assert {reply.content_type for reply in replies} == {"image/png"}
    assert {Image.open(BytesIO(reply.data)).size for reply in replies} == {(1568, 672)}
    assert len({reply.data for reply in replies}) == 4


def test_any_page_may_show_a_video(control: Control, video: str) -> None:
    """No credential, host or origin is asked for, and the query that some players add is ignored."""
    headers = {"Host": "cdn.test", "Origin": "https://app.test"}
    assert control.send("GET", f"{video}/0.mp4?t=1&t=2", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("file", "near"),
    [("1.mp4", "0.mp4"), ("0.png", "0.mp4"), ("00.mp4", "0.mp4"), ("0-covr.jpg", "0-cover.jpg"), ("-1.mp4", "0.mp4")],
)
def test_a_file_that_is_not_there(control: Control, video: str, file: str, near: str) -> None:
    """404 with the file that was probably meant."""
    problem = control.refused(404, "GET", f"{video}/{file}")
    assert problem["detail"] == f"the task has no file {file!r}; did you mean {near!r}?"


def test_a_task_that_is_not_there(control: Control, video: str) -> None:
    """404 for another provider's or nobody's task."""
    id_ = video.rpartition("/")[2]
    assert control.refused(404, "GET", "/_mock/media/kling/1/0.mp4")["detail"] == "there is no task '1' at 'kling'"
    problem = control.refused(404, "GET", f"/_mock/media/clink/{id_}/0.mp4")
    assert problem["detail"] == f"there is no task '{id_}' at 'clink'"


@pytest.mark.parametrize("state", ["submitted", "processing", "failed"])
def test_a_task_has_no_files_before_it_succeeds(control: Control, state: str) -> None:
    """404 that says in which state it is."""
    id_ = control.create()
    if state != "submitted":
        control.post(f"/_mock/tasks/{id_}/state", {"state": state})
    problem = control.refused(404, "GET", f"/_mock/media/kling/{id_}/0.mp4")
    assert problem["detail"] == f"the task is {state}; it has files once it has succeeded"


def test_files_expire_by_the_accounts_clock(control: Control, video: str) -> None:
    """They are there until thirty days after the end, and then it says since when they are not."""
    control.post("/_mock/clock", {"advance": "29d", "account": "kling-default"})
    control.post("/_mock/clock", {"set": "2026-01-31T00:00:04.999Z", "account": "kling-default"})
    assert control.send("GET", f"{video}/0.mp4").status_code == 200
    control.post("/_mock/clock", {"advance": "1ms", "account": "kling-default"})
    problem = control.refused(404, "GET", f"{video}/0.mp4")
    assert problem["detail"] == "the files expired at 2026-01-31T00:00:05.000+00:00 by the account's clock"
