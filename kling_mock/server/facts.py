"""Measures images before a request is judged, because the core is pure and may not decode anything.

What leaves this module is plain JSON (the *facts*), so rules can ask "at least 300 pixels wide?" without
Pillow. Every function here is pure CPU over its own arguments: safe in any thread, meant to run outside the
store's transaction and off the event loop (a large PNG takes a third of a second).
"""

from __future__ import annotations

import binascii
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

MOST_PIXELS = 40_000_000
"""Pictures of more pixels (width x height, from the header) are never decoded: this many can take 160 MB."""

Facts = dict[str, object]

_ISO_BRANDS = {
    b"heic": "heic", b"heix": "heic", b"hevc": "heic", b"hevx": "heic", b"mif1": "heic", b"msf1": "heic",
    b"avif": "avif", b"avis": "avif",
}  # fmt: skip

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
)


def measure(given: str | bytes) -> Facts:
    """Say what a caller gave as an image, and its size where that can be known; never raises.

    ``given`` is an uploaded file's bytes or the text of a JSON field. The answer always has ``"given"``:

    - ``"url"``: http or https with a host, not fetched; ``"prefixed"``: a ``data:`` text; ``"text"``: none
      of these;
    - ``"file"`` (bytes) and ``"base64"`` add ``"bytes"`` (decoded length) and ``"decodes"``: whether all the
      content decodes *as PNG or JPEG*, not told above `MOST_PIXELS`. Where the first bytes tell, ``"format"`` (lower
      case, by content, never by name), and for readable PNG and JPEG headers ``"width"`` and ``"height"``
      in stored pixels (before any EXIF rotation) and ``"ratio"`` (width / height, 4 decimals).
    """
    if isinstance(given, bytes):
        return {"given": "file", **_picture(given)}
    if _is_url(given):
        return {"given": "url"}
    if given[:5].lower() == "data:":
        return {"given": "prefixed"}
    content = _from_base64(given)
    return {"given": "text"} if content is None else {"given": "base64", **_picture(content)}


def _is_url(text: str) -> bool:
    if not text[:8].lower().startswith(("http://", "https://")):
        return False
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:  # such as an unclosed bracket of an IPv6 address
        return False


def _from_base64(text: str) -> bytes | None:
    """The decoded content, or None where the text is no base64.

    How strict the real service is about line breaks and missing padding is unknown, so neither is held
    against the caller. Without its padding, though, almost any word is base64 ("xxx"), so such text must at
    least begin like an image. The urlsafe alphabet and blanks are not accepted: two words of four letters
    are not an image.
    """
    try:
        packed = text.encode("ascii")
    except UnicodeEncodeError:
        return None
    if b"\n" in packed or b"\r" in packed:
        packed = packed.translate(None, b"\r\n")
    missing = -len(packed) % 4
    padded = packed + b"=" * missing if missing else packed
    if padded.endswith(b"==="):  # no text has three; some Pythons accept them in strict mode
        return None
    try:
        content = binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error:
        return None
    return content if content and (not missing or _format(content)) else None


def _format(content: bytes) -> str | None:
    for magic, name in _MAGIC:
        if content.startswith(magic):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    if content[:2] == b"BM" and content[6:10] == bytes(4):  # two letters alone would claim too much text
        return "bmp"
    return _ISO_BRANDS.get(content[8:12]) if content[4:8] == b"ftyp" else None


def _picture(content: bytes) -> Facts:
    facts: Facts = {"bytes": len(content), "decodes": False}
    name = _format(content)
    if name is not None:
        facts["format"] = name
    if name in ("png", "jpeg"):
        _decode(content, name, facts)
    return facts


def _decode(content: bytes, name: str, facts: Facts) -> None:
    """Add the size to ``facts`` once the header is read, then ``decodes`` if the rest keeps its promise."""
    try:
        with _opened(content, name) as image:
            width, height = image.size
            facts.update(width=width, height=height, ratio=round(width / height, 4))
            if width * height > MOST_PIXELS:
                del facts["decodes"]  # the limit is ours and no provider's
            else:
                image.draft("L", (1, 1))  # a JPEG at an eighth, in grey: all is read, in a 64th of the memory
                image.load()  # `verify()` lets a truncated JPEG pass
                facts["decodes"] = True
    except Exception:  # what broken images make Pillow raise is an open set: OSError, SyntaxError ...
        return


def _opened(content: bytes, name: str) -> ImageFile:
    """Pillow's image with only its header read.

    The two classes are named instead of asking `Image.open`: that warns above its own pixel limit, and
    turning the warning into an error means changing the process's warning filters, which other threads
    would see.
    """
    if name == "png":
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile(BytesIO(content))
    from PIL.JpegImagePlugin import JpegImageFile

    return JpegImageFile(BytesIO(content))
