"""The cost of judging grows no faster than the body: executed lines and calls are counted, nothing is timed.

What is counted is Python: each line that runs (each round of a loop again), each function called, built in or not. What
a built-in does inside one call (a text searched, a schema validated) is not seen, and is linear by what it is.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest

from kling_mock import judge
from kling_mock.core.calls import Call
from kling_mock.core.judging import judge as judge_call
from kling_mock.core.model import Request

GROWTH, SLACK = 2.1, 500  # the cost of twice the body is at most GROWTH times the cost, and SLACK
IMAGE = "https://example.com/a.png"
GOOD: dict[str, Any] = {"model_name": "kling-v3", "image": IMAGE, "prompt": "a chase", "duration": "5"}
POINT = {"x": 1, "y": 2}
DEEP = 60  # levels; more than 64 are no JSON that is read


def cost(run: Callable[[], Any]) -> int:
    """How many lines and calls a run takes; the first run, which imports and caches, is not counted."""
    run()
    count = 0

    def line(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    def call(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    traced, profiled = sys.gettrace(), sys.getprofile()
    sys.settrace(line)
    sys.setprofile(call)
    try:
        run()
    finally:
        sys.setprofile(profiled)
        sys.settrace(traced)
    return count


def shots(n: int) -> dict[str, Any]:
    """A body with so many shots that fill it."""
    rows = [{"index": i + 1, "prompt": "a door", "duration": "1"} for i in range(n)]
    return GOOD | {"multi_shot": True, "shot_type": "customize", "multi_prompt": rows, "prompt": ""}


def brush(groups: int, points: int) -> dict[str, Any]:
    """A body with so many dynamic masks of so many points, for the model that has them."""
    mask = {"mask": IMAGE, "trajectories": [POINT] * points}
    return GOOD | {"model_name": "kling-v1", "dynamic_masks": [mask] * groups}


def nested(n: int) -> Any:
    """Objects in objects, as deep as is read, each with more beside it."""
    value: Any = "x"
    for level in range(DEEP):
        value = {f"level{level}": value, **{f"k{k}": k for k in range(n // 20)}}
    return value


# A body of the size n. Most are refused, which costs more than to accept: each violation is told, and mended.
BODIES: dict[str, Callable[[int], dict[str, Any]]] = {
    "shots": shots,
    "shots that are wrong": lambda n: GOOD | {"multi_shot": True, "shot_type": "customize", "multi_prompt": [{}] * n},
    "points of a mask": lambda n: brush(1, n),
    "points that are wrong": lambda n: GOOD | {"dynamic_masks": [{"mask": IMAGE, "trajectories": [{"x": "a"}] * n}]},
    "masks": lambda n: brush(n, 2),
    "base64": lambda n: GOOD | {"image": base64.b64encode(bytes(n * 1000)).decode()},
    "a long prompt": lambda n: GOOD | {"prompt": "a chase " * n * 10},
    "voices in a prompt": lambda n: GOOD | {"prompt": "<<<voice_1>>> " * n, "voice_list": [{"voice_id": "1"}] * n},
    "extra keys": lambda n: GOOD | {f"key{k:04}": k for k in range(n)},
    "extra keys that look like known ones": lambda n: GOOD | {f"image{k:04}": k for k in range(n)},
    "deep nesting": lambda n: GOOD | {"extra": nested(n)},
    "elements": lambda n: GOOD | {"element_list": [{"element_id": k} for k in range(n)]},
    "elements that are wrong": lambda n: GOOD | {"element_list": [{"element": "x"}] * n},
}


def inner(body: Any) -> Callable[[], Any]:
    """The judgement inside a request to the mock: no picture is measured, nothing is mended."""
    provider, operation = judge.target(body, "kling", "createImageToVideo", {})
    request = Request(operation.method, operation.path, "", {"content-type": "application/json"})
    call = Call(provider, request, operation, document=body)
    return lambda: judge_call(call, {})


def public(body: Any) -> Callable[[], Any]:
    """`judge()`: pictures measured, the nearest valid payload looked for."""
    return lambda: judge(body, "kling", "createImageToVideo")


def text(body: Any) -> Callable[[], Any]:
    """`judge()` of a JSON text, by whichever operation fits it best."""
    written = json.dumps(body)
    return lambda: judge(written, "kling")


WAYS = {
    "in the mock": (inner, (80, 160, 320, 640)),
    "judge()": (public, (80, 160, 320)),
    "judge() of a text": (text, (80, 160)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", BODIES)
def test_twice_the_body_costs_at_most_twice(family: str, way: str) -> None:
    """From one size to twice that size, three times over, the count at most doubles."""
    make, sizes = WAYS[way]
    costs = [cost(make(BODIES[family](n))) for n in sizes]
    steps = [later <= GROWTH * earlier + SLACK for earlier, later in pairwise(costs)]
    assert all(steps), costs


def test_a_longer_picture_costs_the_same() -> None:
    """What a built-in reads in one go is one call: a picture of 1 MB takes the lines that one of 1 kB takes."""
    for make, _ in WAYS.values():
        assert cost(make(BODIES["base64"](1000))) == cost(make(BODIES["base64"](1)))


def test_the_count_would_see_a_square() -> None:
    """A loop in a loop is not linear by this measure, however it is written."""

    def pairs(n: int) -> Callable[[], Any]:
        return lambda: [1 for a in range(n) for b in range(n) if a == b]

    def anys(n: int) -> Callable[[], Any]:
        return lambda: [any(a == -b for b in range(1, n)) for a in range(n)]

    for square in (pairs, anys):
        small, large = cost(square(80)), cost(square(160))
        assert large > GROWTH * small + SLACK
