"""Renders the MP4 files beside it, once, on a developer's machine; nothing imports this.

Run ``python -m kling_mock.server.clips.render`` (needs PyAV and Pillow) after changing a size or the drawing.
A square steps from left to right and a bar grows along the lower edge, one step a second, so that anyone
who looks sees that the video plays and how far it is. Everything lies on a 16-pixel grid: unmoved blocks
then cost no bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from av.video.stream import VideoStream
from PIL import Image, ImageDraw

from kling_mock.server.media import LONGEST, SHORTEST, SIZES, clip_name

GRID = 16
BACKGROUND, SQUARE, BAR = "#1d3557", "#f1faee", "#e63946"
OPTIONS = {"crf": "34", "preset": "veryslow", "bf": "0", "x264-params": "keyint=15:scenecut=0"}


def frame(second: int, seconds: int, width: int, height: int) -> Image.Image:
    """The picture shown during one second (counted from 0) of a clip, ``width`` x ``height`` pixels."""
    image = Image.new("RGBA", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(image)
    side = _on_grid(min(width, height) // 4)
    left = _on_grid((width - side) * second // (seconds - 1))
    top = _on_grid((height - side) // 2)
    draw.rectangle((left, top, left + side - 1, top + side - 1), fill=SQUARE)
    reached = _on_grid(width * (second + 1) // seconds)
    draw.rectangle((0, _on_grid(height) - 2 * GRID, reached - 1, _on_grid(height) - 1), fill=BAR)
    return image


def _on_grid(pixels: int) -> int:
    return pixels // GRID * GRID


def render(path: Path, seconds: int, width: int, height: int) -> None:
    """Write an H.264 clip of exactly ``seconds`` to ``path``: one frame a second, index at the front."""
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=1, options=OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for packet in _packets(stream, seconds):
            container.mux(packet)


def _packets(stream: VideoStream, seconds: int) -> Iterator[list[av.Packet[VideoStream]]]:
    for second in range(seconds):
        size = (stream.width, stream.height)
        pixels = frame(second, seconds, *size).tobytes()
        yield stream.encode(av.VideoFrame.from_bytes(pixels, *size))
    yield stream.encode(None)


def main() -> None:
    """Render every clip into the folder of this file, replacing what is there."""
    here = Path(__file__).parent
    av.logging.set_level(av.logging.ERROR)
    with TemporaryDirectory() as folder:  # faststart reopens the file by name, so it must be a real one
        for seconds in range(SHORTEST, LONGEST + 1):
            for width, height in SIZES.values():
                name = clip_name(seconds, width, height)
                render(Path(folder) / name, seconds, width, height)
                shutil.copyfile(Path(folder) / name, here / name)


if __name__ == "__main__":
    main()
