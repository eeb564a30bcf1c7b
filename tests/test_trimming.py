"""Repairs that keep what they can: a name out of a text, a number to 0, the end off a list, a switch's other word."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from kling_mock import judge
from kling_mock.core.compiling import compile_provider
from kling_mock.core.problems import SpecError
from kling_mock.core.repairing import apply
from kling_mock.loading import bundled, read_documents

V26 = {"model_name": "kling-v2-6", "mode": "pro", "image": "https://example.com/first.png", "sound": "on"}
V15 = {"model_name": "kling-v1-5", "mode": "pro", "image": "https://example.com/first.png", "prompt": "dusk"}
V3 = {"model_name": "kling-v3", "image": "https://example.com/first.png", "prompt": "dusk"}
ONE = [{"voice_id": "11"}]
TEN = [{"element_id": number} for number in range(12)]
SHOTS = {"shot_type": "intelligence", "prompt": "a chase"}


def config(**moves: Any) -> dict[str, Any]:
    """A simple camera's movement."""
    return {"type": "simple", "config": moves}


# What is wrong, and the fields that are otherwise in the nearest valid payload.
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "a voice beyond the list": (
        "createImageToVideo",
        V26 | {"voice_list": ONE, "prompt": "<<<voice_1>>> greets<<<voice_2>>> her"},
        {"prompt": "<<<voice_1>>> greets her"},
    ),
    "a voice without a list": ("createImageToVideo", V26 | {"prompt": "<<<voice_1>>> sings"}, {"prompt": "sings"}),
    "two voices without a list": (
        "createImageToVideo",
        V26 | {"prompt": "she<<<voice_1>>> sings, he<<<voice_2>>> too"},
        {"prompt": "she sings, he too"},
    ),
    "a camera that moves two ways": (
        "createImageToVideo",
        V15 | {"camera_control": config(pan=1, zoom=-7, roll=0)},
        {"camera_control": config(pan=0, zoom=-7, roll=0)},
    ),
    "a camera that moves all ways": (
        "createImageToVideo",
        V15 | {"camera_control": config(horizontal=1, vertical="2", pan=9, tilt=4, roll=5, zoom=6)},
        {"camera_control": config(horizontal=0, vertical=0, pan=9, tilt=0, roll=0, zoom=0)},
    ),
    "elements beside an image": (
        "createImage",
        {"model_name": "kling-v3", "prompt": "a group", "image": "https://example.com/a.png", "element_list": TEN[:10]},
        {"element_list": TEN[:9]},
    ),
    "yes for on": ("createImageToVideo", V26 | {"prompt": "dusk", "sound": "yes"}, {"sound": "on"}),
    "true for on": ("createImageToVideo", V26 | {"prompt": "dusk", "sound": "true"}, {"sound": "on"}),
    "1 for on": ("createImageToVideo", V26 | {"prompt": "dusk", "sound": 1}, {"sound": "on"}),
    "no for off": ("createImageToVideo", V26 | {"prompt": "dusk", "sound": "no"}, {"sound": "off"}),
    "1 for true": ("createImageToVideo", V3 | SHOTS | {"multi_shot": 1}, {"multi_shot": True}),
    "yes for true": ("createImageToVideo", V3 | SHOTS | {"multi_shot": "yes"}, {"multi_shot": True}),
    "0 for false": (
        "createImageToVideo",
        V3 | {"watermark_info": {"enabled": 0}},
        {"watermark_info": {"enabled": False}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_repair_keeps_what_it_can(case: str) -> None:
    """One step, and no field is otherwise than it must be."""
    operation, body, expected = CASES[case]
    verdict = judge(body, "kling", operation)
    assert not verdict.ok
    assert len(verdict.suggestions) == 1
    mended = apply(verdict.suggestions[0].patch, body)
    assert mended == body | expected
    assert [type(mended[name]) for name in expected] == [type(value) for value in expected.values()]
    assert judge(mended, "kling", operation).ok


def test_a_prompt_of_names_alone_is_not_emptied() -> None:
    """What would leave no prompt at all is no trimming: the voice is left in or the whole prompt goes."""
    verdict = judge(V26 | {"prompt": "<<<voice_1>>>"}, "kling", "createImageToVideo")
    assert [row["op"] for step in verdict.suggestions for row in step.patch] == ["remove"]


def test_a_pattern_of_words_that_is_none_is_told() -> None:
    """Where it stands and what is wrong with it; nothing ends in a traceback."""
    documents = deepcopy(read_documents(bundled("specs")))
    documents["kling/rules.yaml"]["voice-is-listed"]["strike"] = "<<<voice_["
    with pytest.raises(SpecError, match=r"rules\.yaml#/voice-is-listed/strike: is no pattern: unterminated"):
        compile_provider(documents, "kling")
