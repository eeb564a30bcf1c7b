"""The videos and pictures a finished task points at: real, playable, tiny and always the same.

Videos were rendered once (`clips/render.py`) so that serving one needs no encoder; pictures are drawn on
demand.
"""

from __future__ import annotations

import math
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zlib import crc32

if TYPE_CHECKING:
    from PIL.Image import Image

SIZES: dict[str, tuple[int, int]] = {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960)}
"""Aspect -> (width, height) in pixels of the clips there are; the first is what unknown aspects get."""

SHORTEST, LONGEST = 3, 15
"""Whole seconds; there is a clip for each duration from the first to the second, both included."""

MOST_SIDE = 8192
"""Pixels; a larger picture is a mistake in a spec, not something to spend a gigabyte on."""

LONGEST_LABEL = 200
"""Characters; the rest is not drawn, since a label may be a whole prompt."""

_CLIPS = Path(__file__).parent / "clips"
_DEFAULT_ASPECT = next(iter(SIZES))


def clip(seconds: float, aspect: str) -> Path:
    """The stored MP4 nearest to ``seconds`` and to ``aspect`` ("width:height"; unknown text means 16:9)."""
    whole = math.floor(min(LONGEST, max(SHORTEST, seconds)) + 0.5)
    return _CLIPS / clip_name(whole, *SIZES[_known_aspect(aspect)])


def clip_name(seconds: int, width: int, height: int) -> str:
    """File name of the clip of so many seconds and pixels."""
    return f"{seconds}s-{width}x{height}.mp4"


def nearest_aspect(width: int, height: int) -> str:
    """The key of `SIZES` nearest in shape (by the ratio's logarithm) to ``width`` x ``height`` pixels."""
    return _nearest(width, height)


def _known_aspect(aspect: str) -> str:
    width, _, height = aspect.partition(":")
    try:
        return _nearest(float(width), float(height))
    except ValueError:
        return _DEFAULT_ASPECT


def _nearest(width: float, height: float) -> str:
    if not (0 < width < math.inf and 0 < height < math.inf):  # also refuses NaN
        return _DEFAULT_ASPECT
    wanted = math.log(width) - math.log(height)  # a quotient could overflow
    return min(SIZES, key=lambda name: abs(wanted - math.log(SIZES[name][0] / SIZES[name][1])))


@lru_cache(maxsize=16)
def picture(width: int, height: int, label: str, format: Literal["PNG", "JPEG"]) -> bytes:
    """An image file of exactly ``width`` x ``height`` pixels with ``label`` on it.

    The same arguments give the same bytes (for one version of Pillow); the label also chooses the colours.
    Sides outside 1..`MOST_SIDE` raise ValueError.
    """
    if not (1 <= width <= MOST_SIDE and 1 <= height <= MOST_SIDE):
        raise ValueError(f"a picture of {width}x{height} pixels: each side must be 1 to {MOST_SIDE}")
    file = BytesIO()
    image = _backdrop(width, height, crc32(label.encode("utf-8", "replace")))
    _write(image, label)
    image.save(file, format)
    return file.getvalue()


def _backdrop(width: int, height: int, seed: int) -> Image:
    """A two-colour gradient, dark enough for white letters; ``seed`` chooses the colours."""
    from PIL import Image, ImageOps

    dark, light = f"hsl({seed % 360}, 60%, 18%)", f"hsl({seed // 360 % 360}, 60%, 45%)"
    return ImageOps.colorize(Image.linear_gradient("L").resize((width, height)), dark, light)


def _write(image: Image, label: str) -> None:
    """Put the label and the size in the middle, at a twelfth of the picture's shorter side."""
    from PIL import ImageDraw, ImageFont

    # The only font sure to be there draws ASCII; whatever else is in a label becomes a question mark.
    text = f"{label[:LONGEST_LABEL]}\n{image.width} x {image.height}".encode("ascii", "replace").decode()
    font = ImageFont.load_default(max(8, min(image.size) // 12))
    middle = (image.width / 2, image.height / 2)
    ImageDraw.Draw(image).multiline_text(middle, text, fill="white", font=font, anchor="mm", align="center")
