"""What is said about an image before a request is judged: every kind of text and every image fixture."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from PIL import Image

from kling_mock.server.facts import MOST_PIXELS, Facts, measure

MEDIA = Path(__file__).parents[2] / "fixtures" / "media"
SQUARE = (MEDIA / "square-300x300.png").read_bytes()


def sized(format: str, width: int, height: int, decodes: bool = True) -> Facts:
    """The facts of a picture, without where it came from and how long it is."""
    ratio = round(width / height, 4)
    return {"format": format, "width": width, "height": height, "ratio": ratio, "decodes": decodes}


FILES: dict[str, Facts] = {
    "square-300x300.png": sized("png", 300, 300),
    "just-too-small-299x300.png": sized("png", 299, 300),
    "just-too-small-300x299.png": sized("png", 300, 299),
    "widest-750x300.png": sized("png", 750, 300),
    "too-wide-751x300.png": sized("png", 751, 300),
    "tallest-300x750.png": sized("png", 300, 750),
    "too-tall-300x751.png": sized("png", 300, 751),
    "photo-1280x720.jpg": sized("jpeg", 1280, 720),
    "mask-1280x720.png": sized("png", 1280, 720),
    "mask-of-another-size-640x360.png": sized("png", 640, 360),
    "truncated.jpg": sized("jpeg", 1280, 720, decodes=False),
    "truncated.png": sized("png", 300, 300, decodes=False),
    "jpeg-named.png": sized("jpeg", 320, 320),
    "animation.gif": {"format": "gif", "decodes": False},
    "photo.webp": {"format": "webp", "decodes": False},
    "too-many-pixels-6400x6400.png": {"format": "png", "width": 6400, "height": 6400, "ratio": 1.0},
    "not-an-image.bin": {"decodes": False},
    "empty.bin": {"decodes": False},
}


@pytest.mark.parametrize("name", FILES)
def test_an_uploaded_fixture_is_measured(name: str) -> None:
    """Each image file gives the facts its README line promises, and its own length."""
    content = (MEDIA / name).read_bytes()
    assert measure(content) == {"given": "file", "bytes": len(content), **FILES[name]}


@pytest.mark.parametrize("name", [name for name in FILES if name != "empty.bin"])
def test_base64_says_the_same_as_the_file(name: str) -> None:
    """Sending an image as text changes only how it was given."""
    content = (MEDIA / name).read_bytes()
    assert measure(base64.b64encode(content).decode()) == {**measure(content), "given": "base64"}


def test_every_fixture_is_listed_and_explained() -> None:
    """A file in the folder is in the table above and has its line in the README, and the other way round."""
    stored = {path.name for path in MEDIA.iterdir()} - {"README.md"}
    explained = {line.split("`")[1] for line in (MEDIA / "README.md").read_text().splitlines() if line[:3] == "| `"}
    assert stored == set(FILES) == explained


@pytest.mark.parametrize("url", ["http://h/a.png", "https://h", "HTTPS://H/", "http://[::1]:80/x"])
def test_a_url_is_only_named(url: str) -> None:
    """An address with a host is a URL, in any letter case, and nothing is fetched."""
    assert measure(url) == {"given": "url"}


@pytest.mark.parametrize("text", ["data:image/png;base64,QUJD", "DATA:,x", "data:"])
def test_a_data_prefix_is_named(text: str) -> None:
    """The prefix that browsers put before base64 is its own kind of mistake."""
    assert measure(text) == {"given": "prefixed"}


@pytest.mark.parametrize(
    "text",
    ["", "\n", "xxx", "aaaaa", "a cat sits", "a-b_", "QUI=QUI=", "test=", "test====", "====", "t===",
     "ümläut!", "\ud800", "http://", "https:///path", "http://[", "ftp://h/a.png", "/tmp/cat.png"],
)  # fmt: skip
def test_anything_else_is_text(text: str) -> None:
    """Neither URL nor prefix nor base64: among them urlsafe letters, blanks, wrong padding, no host."""
    assert measure(text) == {"given": "text"}


def test_a_word_that_happens_to_be_base64_does_not_decode() -> None:
    """Four letters are valid base64; the facts say so, and that three bytes are no image."""
    assert measure("test") == {"given": "base64", "bytes": 3, "decodes": False}


@pytest.mark.parametrize("end", [b"", b"\0", b"\0\0"])
def test_missing_padding_is_forgiven_for_images(end: bytes) -> None:
    """An image's base64 counts without its padding, whatever its length is modulo three."""
    text = base64.b64encode(SQUARE + end).decode().rstrip("=")
    assert measure(text) == {"given": "base64", **sized("png", 300, 300), "bytes": len(SQUARE + end)}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_breaks_in_base64_are_forgiven(newline: str) -> None:
    """What the `base64` command and MIME encoders print is base64."""
    text = base64.encodebytes(SQUARE).decode().replace("\n", newline)
    assert measure(text)["decodes"] is True


@pytest.mark.parametrize(
    ("start", "name"),
    [(b"GIF87a", "gif"), (b"II*\0", "tiff"), (b"MM\0*", "tiff"), (b"BM\x36\0\0\0\0\0\0\0", "bmp"),
     (b"\0\0\0\x18ftypheic", "heic"), (b"\0\0\0\x20ftypavif", "avif"), (b"RIFF\0\0\0\0WEBP", "webp")],
)  # fmt: skip
def test_other_formats_are_known_by_their_first_bytes(start: bytes, name: str) -> None:
    """A format that is not accepted is still called by its name, without decoding it."""
    assert measure(start) == {"given": "file", "bytes": len(start), "decodes": False, "format": name}


@pytest.mark.parametrize("content", [b"BMW is a car", b"\0\0\0\x18ftypmp42", b"RIFF\0\0\0\0WAVE"])
def test_other_content_has_no_format(content: bytes) -> None:
    """Bytes that only resemble an image's beginning are not given a format."""
    assert "format" not in measure(content)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\x10JFIF"])
def test_a_header_that_ends_too_early_gives_no_size(content: bytes) -> None:
    """The format is known by then, the size is not."""
    assert "width" not in measure(content)
    assert measure(content)["decodes"] is False


@pytest.mark.parametrize(("width", "decodes"), [(MOST_PIXELS // 100, True), (MOST_PIXELS // 100 + 1, None)])
def test_the_limit_of_pixels_is_exact(width: int, decodes: bool | None) -> None:
    """Forty million pixels are decoded, of one column more nothing is said; the size is told either way."""
    file = BytesIO()
    Image.new("1", (width, 100)).save(file, "PNG")
    facts = measure(file.getvalue())
    assert (facts["width"], facts["height"], facts.get("decodes")) == (width, 100, decodes)


def test_a_decompression_bomb_is_not_decoded_and_brings_no_warning() -> None:
    """A PNG that claims 400 million pixels costs nothing and leaves the process's warnings alone."""
    sides = {"width": 20_000, "height": 20_000, "ratio": 1.0}
    header = SQUARE[:16] + (20_000).to_bytes(4, "big") * 2 + SQUARE[24:29]
    crc = zlib.crc32(header[12:29]).to_bytes(4, "big")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        facts = measure(header + crc + SQUARE[33:])
    assert facts == {"given": "file", "bytes": len(SQUARE), "format": "png", **sides}


@pytest.mark.parametrize("end", ["", "\n", "!", "é"])
def test_thirteen_megabytes_of_text_are_judged_at_once(end: str) -> None:
    """The largest image anyone sends as text takes milliseconds, valid or not."""
    text = "A" * 13_333_336 + end
    before = time.perf_counter()
    facts = measure(text)
    assert time.perf_counter() - before < 1  # measured: 0.03 s; a backtracking pattern would take minutes
    assert facts == ({"given": "text"} if end.strip() else {"given": "base64", "bytes": 10_000_002, "decodes": False})


@drawn(st.one_of(st.text(), st.binary(), st.binary().map(lambda tail: SQUARE[:60] + tail + SQUARE[60:])))
def test_nothing_raises_and_facts_are_json(anything: str | bytes) -> None:
    """Whatever is given, the facts are plain JSON."""
    assert json.loads(json.dumps(measure(anything)))["given"] in {"file", "url", "prefixed", "base64", "text"}


@pytest.mark.parametrize("name", ["square-300x300.png", "photo-1280x720.jpg"])
def test_a_picture_cut_or_damaged_anywhere_is_measured_without_an_error(name: str) -> None:
    """No byte of an image is trusted: each cut ends in facts, and no strict beginning decodes."""
    content = (MEDIA / name).read_bytes()
    for position in range(1, len(content), 97):
        assert measure(content[:position])["decodes"] is False
        measure(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])


def test_threads_do_not_disturb_each_other() -> None:
    """Eight threads measuring all fixtures at once see what one alone sees."""
    contents = [(MEDIA / name).read_bytes() for name in FILES] * 4
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(measure, contents)) == [measure(content) for content in contents]


def test_pillow_and_the_fetcher_are_not_imported_with_the_module() -> None:
    """Starting the server does not pay for Pillow or the network client; the first image pays for Pillow."""
    code = "import sys, kling_mock.server.facts; print({'PIL', 'kling_mock.server.fetching'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
