"""Comparisons: numbers that add up, images of one size; what is not known is not judged."""

from __future__ import annotations

from typing import Any

import pytest

from kling_mock.core.rules import Compare, Image, seen

RATIO = Compare(images=frozenset({"paint"}), like="photo", same=("ratio",), tolerance=0.01)
SIZE = Compare(images=frozenset({"paint"}), same=("width", "height"))
SUM = Compare(sum="/rooms/*/chairs", equals="/chairs")
WIDE = {"width": 640, "height": 360, "ratio": 1.78}
SQUARE = {"width": 300, "height": 300, "ratio": 1.0}


def images(photo: Any, *paints: Any) -> list[Image]:
    """A photo and what is painted over it, by their facts."""
    rows = [Image("photo", "/photo", "", photo)]
    return rows + [Image("paint", f"/paints/{n}", "", fact) for n, fact in enumerate(paints)]


@pytest.mark.parametrize(
    ("compare", "facts", "broken"),
    [
        (RATIO, (WIDE, WIDE), False),
        (RATIO, (WIDE, SQUARE), True),
        (RATIO, (WIDE, WIDE, SQUARE), True),
        (RATIO, (WIDE, {**WIDE, "ratio": 1.785}), False),
        # the photo is a URL, or could not be measured: paints are not held against one another in its place
        (RATIO, (None, WIDE, SQUARE), False),
        (RATIO, ({"given": "url"}, WIDE, SQUARE), False),
        (RATIO, (WIDE, {"given": "url"}), False),
        (RATIO, (WIDE,), False),
        # that they have one size is a comparison of its own
        (SIZE, (None, WIDE, SQUARE), True),
        (SIZE, ({"given": "url"}, WIDE, WIDE), False),
        (SIZE, (SQUARE, WIDE, WIDE), False),
        (SIZE, (SQUARE, WIDE), False),
    ],
)
def test_images_are_compared_as_far_as_they_are_known(compare: Compare, facts: tuple[Any, ...], broken: bool) -> None:
    """`with` is what the others are held against; without it nothing is judged."""
    assert compare.broken({}, images(*facts)) is broken


def test_without_the_image_to_compare_with_nothing_is_judged() -> None:
    """No photo at all: the paints' ratios are nobody's concern."""
    assert RATIO.broken({}, images(None, WIDE, SQUARE)[1:]) is False


@pytest.mark.parametrize(
    ("rooms", "chairs", "mended"),
    [
        ([2, 4], 5, [("/rooms/1/chairs", 3), ("/chairs", 6)]),
        (["2", "4"], "5", [("/rooms/1/chairs", 3), ("/chairs", 6)]),
        ([7], 5, [("/rooms/0/chairs", 5), ("/chairs", 7)]),
        ([], 5, []),
        ([1, "some"], 5, []),
        ([1], "some", []),
    ],
)
def test_a_sum_can_be_mended_in_two_ways(rooms: list[Any], chairs: Any, mended: list[tuple[str, float]]) -> None:
    """Another last number first, since that leaves the whole as it was; then another whole."""
    document = {"rooms": [{"chairs": number} for number in rooms], "chairs": chairs}
    assert list(SUM.mended(document)) == mended


def test_images_have_no_sum_to_mend() -> None:
    """A comparison of images offers no numbers."""
    assert list(SIZE.mended({"rooms": [{"chairs": 1}], "chairs": 2})) == []


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        ({"given": "text"}, "is neither"),
        ({"given": "prefixed"}, "begins with data:"),
        ({"given": "url"}, "is a URL"),
        ({"given": "base64", "bytes": 36, "decodes": False}, "is base64 of 36 bytes that begin like no image"),
        ({"given": "file", "bytes": 36, "decodes": False}, "is 36 bytes that begin like no image"),
        ({"given": "file", "bytes": 9, "decodes": False, "format": "gif"}, "is a gif of 9 bytes"),
        ({"given": "base64", "bytes": 9, "format": "png", **SQUARE}, "is a png of 300 x 300 px (ratio 1.0), 9 bytes"),
    ],
)
def test_what_was_found_is_told_in_words(fact: dict[str, Any], words: str) -> None:
    """What was given where an image should be, as far as it could be measured."""
    assert seen(fact) == words
