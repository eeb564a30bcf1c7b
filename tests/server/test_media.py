"""The clips are MP4 files of the promised length and size; pictures are real, exact and repeatable."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Literal

import pytest
from PIL import Image

from kling_mock.server import media
from kling_mock.server.media import (
    LONGEST,
    LONGEST_LABEL,
    MOST_SIDE,
    SHORTEST,
    SIZES,
    clip,
    nearest_aspect,
    picture,
)

CLIPS = [(seconds, aspect) for seconds in range(SHORTEST, LONGEST + 1) for aspect in SIZES]


def boxes(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The MP4 boxes that lie one after another in ``content``: their names and what is inside."""
    while content:
        length, name = struct.unpack(">I4s", content[:8])
        yield name.decode(), content[8:length]
        content = content[length:]


def box(content: bytes, path: str) -> bytes:
    """The content of the box at a path such as "moov/trak/tkhd"."""
    for name in path.split("/"):
        content = dict(boxes(content))[name]
    return content


@pytest.mark.parametrize(("seconds", "aspect"), CLIPS)
def test_a_clip_lasts_and_measures_what_it_says(seconds: int, aspect: str) -> None:
    """Film, track and samples last exactly so long; the track has its size; one frame a second."""
    film = clip(seconds, aspect).read_bytes()
    scale, length = struct.unpack(">II", box(film, "moov/mvhd")[12:20])
    assert length == seconds * scale
    track = box(film, "moov/trak/tkhd")
    assert struct.unpack(">I", track[20:24]) == (length,)
    width, height = struct.unpack(">II", track[-8:])
    assert (width / 65536, height / 65536) == SIZES[aspect]
    scale, length = struct.unpack(">II", box(film, "moov/trak/mdia/mdhd")[12:20])
    assert length == seconds * scale
    assert struct.unpack(">4xIII", box(film, "moov/trak/mdia/minf/stbl/stts")) == (1, seconds, scale)


@pytest.mark.parametrize(("seconds", "aspect"), CLIPS)
def test_a_clip_starts_at_once_in_every_browser(seconds: int, aspect: str) -> None:
    """H.264 with 4:2:0 colours, the index before the pictures, and small enough to be in the package."""
    film = clip(seconds, aspect).read_bytes()
    names = [name for name, _ in boxes(film)]
    assert names.index("moov") < names.index("mdat")
    sample = box(film, "moov/trak/mdia/minf/stbl/stsd")[8:]
    assert sample[4:8] == b"avc1"
    assert sample[86:][4:8] == b"avcC"
    assert sample[86 + 8 + 1] in (66, 77, 100)  # Baseline, Main and High know 4:2:0 only
    assert len(film) <= 12_000


def test_a_clip_moves() -> None:
    """Every second's picture holds something new: an unmoved one costs x264 some 20 bytes here."""
    sizes = box(clip(10, "16:9").read_bytes(), "moov/trak/mdia/minf/stbl/stsz")[12:]
    assert min(struct.unpack(">10I", sizes)) > 60


def test_all_clips_are_there_and_nothing_else() -> None:
    """The folder holds one file per duration and aspect, under 700 kB together."""
    stored = set(clip(5, "1:1").parent.glob("*.mp4"))
    assert stored == {clip(*wanted) for wanted in CLIPS}
    assert sum(path.stat().st_size for path in stored) < 700_000


@pytest.mark.parametrize(
    ("seconds", "whole"),
    [
        (5, 5),
        (5.1, 5),
        (4.5, 5),
        (10.49, 10),
        (0, 3),
        (-1, 3),
        (60, 15),
        (float("inf"), 15),
        (float("nan"), 3),
    ],
)
def test_the_nearest_duration_is_chosen(seconds: float, whole: int) -> None:
    """Durations between and outside the stored ones get the nearest; halves go up."""
    assert clip(seconds, "16:9").name == f"{whole}s-1280x720.mp4"


@pytest.mark.parametrize(
    ("aspect", "size"),
    [("16:9", "1280x720"), ("9:16", "720x1280"), ("1:1", "960x960"), ("4:3", "960x960"), ("3:2", "1280x720"),
     ("3:4", "960x960"), ("2:3", "720x1280"), ("21:9", "1280x720"), ("1e308:1e-308", "1280x720"),
     ("1e-308:1e308", "720x1280"), ("", "1280x720"), ("auto", "1280x720"), ("0:1", "1280x720"),
     ("-1:-1", "1280x720"), ("nan:1", "1280x720"), ("1:2:3", "1280x720"), ("inf:inf", "1280x720")],
)  # fmt: skip
def test_the_nearest_shape_is_chosen(aspect: str, size: str) -> None:
    """Shapes between the stored ones get the nearest by ratio; text that is no shape gets 16:9."""
    assert clip(5, aspect).name == f"5s-{size}.mp4"


@pytest.mark.parametrize(
    ("width", "height", "aspect"),
    [
        (1920, 1080, "16:9"),
        (300, 750, "9:16"),
        (1000, 999, "1:1"),
        (4, 3, "1:1"),
        (0, 5, "16:9"),
        (5, -5, "16:9"),
    ],
)
def test_an_image_gets_the_aspect_nearest_to_it(width: int, height: int, aspect: str) -> None:
    """A video made from an image takes after the image; a size that cannot be counts as unknown."""
    assert nearest_aspect(width, height) == aspect


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1024, 1024), (720, 1280), (3, 700)])
def test_a_picture_has_the_format_and_size_asked_for(format: Literal["PNG", "JPEG"], width: int, height: int) -> None:
    """The file decodes wholly, and is what was asked for to the pixel."""
    with Image.open(BytesIO(picture(width, height, "1 of 2", format))) as image:
        image.load()
        assert (image.format, image.size) == (format, (width, height))


def test_a_picture_repeats_and_labels_tell_pictures_apart() -> None:
    """Drawn anew in another process the bytes are the same; another label gives another picture."""
    code = "from kling_mock.server.media import picture; print(picture(320, 180, 'one', 'PNG').hex())"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert bytes.fromhex(again.stdout) == picture(320, 180, "one", "PNG")
    assert picture(320, 180, "two", "PNG") != picture(320, 180, "one", "PNG")


@pytest.mark.parametrize("label", ["", "Fahrstühle", "电梯", "\ud800", "a\nb", "x" * 5000])
def test_any_label_can_be_drawn(label: str) -> None:
    """Labels come from callers' own texts, so none of them may end in an error."""
    assert picture(64, 64, label, "PNG").startswith(b"\x89PNG")


def test_a_whole_prompt_as_label_is_cut() -> None:
    """Only the beginning of a long label is drawn, so a prompt of any length costs the same."""
    start = "a" * LONGEST_LABEL
    image, longer = (Image.new("RGB", (300, 40)) for _ in range(2))
    media._write(image, start)
    media._write(longer, start + "b")
    assert image.tobytes() == longer.tobytes()


@pytest.mark.parametrize(("width", "height"), [(0, 1), (1, -1), (MOST_SIDE + 1, 1)])
def test_an_absurd_picture_is_refused(width: int, height: int) -> None:
    """A side outside the limits is an error that names the size."""
    with pytest.raises(ValueError, match=f"{width}x{height} pixels: each side must be 1 to {MOST_SIDE}"):
        picture(width, height, "", "PNG")


def test_pillow_and_the_encoder_are_not_imported_with_the_module() -> None:
    """A server that only sends clips never loads Pillow, and nobody needs PyAV."""
    code = "import sys, kling_mock.server.media as m; m.clip(5, '1:1'); print({'PIL', 'av'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
