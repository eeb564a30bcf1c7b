"""Pictures made to measure: what an example says of a picture ("300 by 299, a PNG that does not decode") as bytes."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

FORMATS = {"png": "PNG", "jpeg": "JPEG", "jpg": "JPEG", "gif": "GIF", "webp": "WEBP"}
USUAL = 600
"""Pixels of a side of which nothing is said: no provider's limit is near."""


def content(facts: Mapping[str, Any]) -> bytes:
    """The bytes of a picture with these facts: format, width, height, ratio, bytes, decodes."""
    width, height = _size(facts)
    made = _made(FORMATS[facts.get("format") or "png"], width, height, whole=facts.get("decodes") is not False)
    return made + bytes(max(0, int(facts.get("bytes", 0)) - len(made))) if "bytes" in facts else made


def text(facts: Mapping[str, Any]) -> str:
    """A picture as it stands in JSON: base64, with the prefix of a data URL, an address, or no picture at all."""
    given = facts.get("given", "base64")
    if given == "url":
        return "https://example.com/picture.png"
    if given == "text":
        return "no picture"
    written = base64.b64encode(content(facts)).decode()
    return f"data:image/png;base64,{written}" if given == "prefixed" else written


def _size(facts: Mapping[str, Any]) -> tuple[int, int]:
    ratio = float(facts.get("ratio", 1))
    if "width" in facts or "height" in facts:
        width = int(facts.get("width") or round(facts["height"] * ratio))
        return width, int(facts.get("height") or round(width / ratio))
    return (round(USUAL * ratio), USUAL) if ratio >= 1 else (USUAL, round(USUAL / ratio))


def _made(format_: str, width: int, height: int, whole: bool) -> bytes:
    if format_ == "PNG":
        return _png(width, height, whole)
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (width, height), "gray").save(file, format_)
    made = file.getvalue()
    return made if whole else made[: len(made) // 2]


def _png(width: int, height: int, whole: bool) -> bytes:
    """A black PNG, the same bytes on every machine; one that is not whole breaks off in its pixels."""
    rows = zlib.compress(b"\0" * (height * (width + 1)), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", rows if whole else rows[: len(rows) // 2]), (b"IEND", b"")]
    parts = (struct.pack(">I", len(c)) + kind + c + struct.pack(">I", zlib.crc32(kind + c)) for kind, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
