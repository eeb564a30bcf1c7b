"""Values that are like another one and ask for less: what a repair may try before it leaves the whole field out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from kling_mock.core.expressions import ABSENT
from kling_mock.core.reading import convert

MANY = 5  # so many words are left out one by one and together; more only all at once


def struck(value: Any, words: re.Pattern[str] | None) -> Iterator[str]:
    """A text without some of the words that a pattern finds in it, the fewest first; never an empty one."""
    if words is None or not isinstance(value, str):
        return
    found = list(dict.fromkeys(match.group() for match in words.finditer(value)))
    for size in range(1 if len(found) <= MANY else len(found), len(found) + 1):
        for gone in combinations(found, size):
            shorter = words.sub(lambda match, gone=gone: "" if match.group() in gone else match.group(), value).strip()  # type: ignore[misc]
            if shorter:
                yield shorter


def stilled(value: Any) -> Iterator[Mapping[str, int]]:
    """Zeros for all numbers of an object but one, by key: the greatest one is kept first."""
    if not isinstance(value, dict):
        return
    read = {key: convert(number, "number") for key, number in value.items() if not isinstance(number, bool)}
    moving = {key: abs(number) for key, number in read.items() if number is not ABSENT and number}
    if len(moving) > 1:
        for kept in sorted(moving, key=lambda key: -moving[key]):
            yield {key: 0 for key in moving if key != kept}


def cut(value: Any, most: Any) -> Iterator[Any]:
    """A text or a list with so much of it as there may be."""
    if isinstance(value, str | list) and isinstance(most, int) and len(value) > most > 0:
        yield value[:most]
