"""The files of finished tasks over HTTP: whole or in part, to anybody who has their address, until they expire."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any
from zlib import crc32

from flask import Response, request, send_file

from kling_mock.core.model import Result, Task
from kling_mock.core.problems import closest
from kling_mock.core.showing import results
from kling_mock.server import steering
from kling_mock.server.control_document import Given
from kling_mock.server.media import clip, picture
from kling_mock.server.mock import Mock
from kling_mock.server.steering import Refused

RANGE = re.compile(r"bytes=([0-9]+-[0-9]*|-[0-9]+)")


def media(mock: Mock, given: Given) -> Response:
    """GET /_mock/media/{provider}/{task}/{file}"""
    task = _task(mock, given.path["provider"], given.path["task"])
    files = {
        row[key].rpartition("/")[2]: (key, row) for row in results(task, "") for key in ("url", "watermarked", "cover")
    }
    file = steering.cut(given.path["file"])
    if task.result is None or file not in files:
        raise Refused("missing", f"the task has no file {file!r}{closest(file, files)}")
    key, row = files[file]
    if key == "cover":
        return _picture(task, key, row, "JPEG")
    return _clip(task.result) if task.result.of == "video" else _picture(task, key, row, "PNG")


def _task(mock: Mock, provider: str, id_: str) -> Task:
    """The task, if its files can be had now. Raises `Refused`."""
    task = mock.store.task(provider, id_)
    if task is None:
        raise Refused("missing", f"there is no task {steering.cut(id_)!r} at {steering.cut(provider)!r}")
    view = steering.view(mock, task)
    if view.ends != "success":
        raise Refused("missing", f"the task is {view.state}; it has files once it has succeeded")
    lasts = task.result.expires_ms if task.result else None
    if lasts is not None and mock.clocks.now(task.account) >= view.changed + lasts:
        raise Refused("missing", f"the files expired at {steering.iso(view.changed + lasts)} by the account's clock")
    return task


def _clip(made: Result) -> Response:
    path = clip(made.duration / 1000, made.aspect)
    return _sent(path.read_bytes(), "video/mp4")


def _picture(task: Task, key: str, row: dict[str, Any], format_: Any) -> Response:
    label = f"{task.id} {row['index']}" + ("" if key == "url" else f" {key}")
    content = picture(row["width"], row["height"], label, format_)
    return _sent(content, f"image/{format_.lower()}")


def _sent(content: bytes, type_: str) -> Response:
    """The whole file or the one range that is asked for; nothing in the reply depends on where and when it runs."""
    if not RANGE.fullmatch(request.headers.get("Range", "")):
        # RFC 9110: a Range that is not understood is no Range; several ranges may be answered with the whole.
        request.environ.pop("HTTP_RANGE", None)
    response = send_file(BytesIO(content), type_, conditional=True, etag=f"{crc32(content):08x}")
    del response.headers["Date"]
    return response
