"""Kling's capability map as its page prints it, copied by hand (kling-official, section 4), and the mock.

Cells: the seconds for which a feature is there, `-` where it is not, `?` where the sources do not say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Answer, Client

MakeClient = Callable[..., Client]

MAP = """
model             mode start start_end end_only motion_brush camera_control camera_preset sound voice elements multi_shot text camera_control_text
kling-v1          std  5,10  5         -        5            -              -             -     -     -        -          5,10 5
kling-v1          pro  5,10  5         -        5            -              -             -     -     -        -          5,10 -
kling-v1-5        std  5,10  -         -        -            -              -             -     -     -        -          -    -
kling-v1-5        pro  5,10  5,10      5,10     5            5              -             -     -     -        -          -    -
kling-v1-6        std  5,10  -         -        -            -              -             -     -     -        -          5,10 -
kling-v1-6        pro  5,10  5,10      5,10     -            -              -             -     -     -        -          5,10 -
kling-v2-master   std  5,10  -         -        -            -              -             -     -     -        -          5,10 -
kling-v2-master   pro  5,10  -         -        -            -              -             -     -     -        -          5,10 -
kling-v2-1        std  5,10  -         -        -            -              -             -     -     -        -          -    -
kling-v2-1        pro  5,10  5,10      -        -            -              -             -     -     -        -          -    -
kling-v2-1-master std  5,10  -         -        -            -              -             -     -     -        -          5,10 -
kling-v2-1-master pro  5,10  -         -        -            -              -             -     -     -        -          5,10 -
kling-v2-5-turbo  std  5,10  -         -        -            -              -             -     -     -        -          5,10 -
kling-v2-5-turbo  pro  5,10  5,10      -        -            -              -             -     -     -        -          5,10 -
kling-v2-6        std  5,10  -         -        -            -              -             -     -     -        -          5,10 -
kling-v2-6        pro  5,10  5,10      -        -            -              -             5,10  5,10  -        -          5,10 -
kling-v3          std  any   any       -        ?            ?              ?             any   -     any      any        any  ?
kling-v3          pro  any   any       -        ?            ?              ?             any   -     any      any        any  ?
"""  # noqa: E501
FIRST, LAST = "https://example.com/first.png", "https://example.com/last.png"
SIMPLE = {"type": "simple", "config": {"zoom": 5}}
VOICED = {"image": FIRST, "prompt": "<<<voice_1>>> sings", "voice_list": [{"voice_id": "1"}], "sound": "on"}
ASKED: dict[str, dict[str, Any]] = {
    "start": {"image": FIRST},
    "start_end": {"image": FIRST, "image_tail": LAST},
    "end_only": {"image_tail": LAST},
    "motion_brush": {"image": FIRST, "static_mask": "https://example.com/mask.png"},
    "camera_control": {"image": FIRST, "camera_control": SIMPLE},
    "camera_preset": {"image": FIRST, "camera_control": {"type": "down_back"}},
    "sound": {"image": FIRST, "sound": "on"},
    "voice": VOICED,
    "elements": {"image": FIRST, "element_list": [{"element_id": 1}]},
    "multi_shot": {"image": FIRST, "multi_shot": True, "shot_type": "intelligence"},
    "text": {},
    "camera_control_text": {"camera_control": SIMPLE},
}
CREATE = "createImageToVideo"
IN_TEXT = {"text", "camera_control_text"}
# What the vendor says; m, d and s are model, mode and seconds. The first two and the last were observed.
SAID = {
    "start_end": "model/mode/duration({m}/{d}/{s}) is not supported with image_tail",
    "sound": "model/mode({m}/{d}) is not supported with sound on",
    "start": "duration value '{s}' is invalid",
    "end_only": "model/mode/duration({m}/{d}/{s}) is not supported with image_tail",
    "motion_brush": "model/mode/duration({m}/{d}/{s}) is not supported with dynamic_masks/static_mask",
    "camera_control": "model/mode/duration({m}/{d}/{s}) is not supported with camera_control",
    "camera_preset": "model/mode/duration({m}/{d}/{s}) is not supported with camera_control",
    "voice": "model/mode/duration({m}/{d}/{s}) is not supported with voice_list",
    "elements": "model/mode/duration({m}/{d}/{s}) is not supported with element_list",
    "multi_shot": "model/mode/duration({m}/{d}/{s}) is not supported with multi_shot",
    "text": "model/mode/duration({m}/{d}/{s}) is not supported with text2video",
    "camera_control_text": "camera_control is only supported in std mode with 5s duration and kling-v1",
}
# A model that has a last frame in no mode gets another text.
NO_LAST_FRAME = {"kling-v2-master", "kling-v2-1-master"}
NOWHERE = "Image tail is not supported by the current model"


def rows() -> list[tuple[str, str, dict[str, str]]]:
    """Model, mode and the cells by feature."""
    head, *lines = (line.split() for line in MAP.strip().splitlines())
    return [(line[0], line[1], dict(zip(head[2:], line[2:], strict=True))) for line in lines]


def expected(cell: str, seconds: int) -> str | None:
    """The severity with which a feature in this cell is spoken of."""
    if cell == "?":
        return "warning"
    there = cell == "any" or str(seconds) in cell.split(",")
    return None if there else "refused"


def ask(caller: Client, feature: str, model: str, mode: str, seconds: int, **more: Any) -> Answer:
    """Ask for a feature."""
    prefix = "" if caller.provider.name == "kling" else "/kling"
    path = f"{prefix}/v1/videos/{'text2video' if feature in IN_TEXT else 'image2video'}"
    body = {"model_name": model, "mode": mode, "duration": str(seconds), "prompt": "dusk"}
    return caller.send("POST", path, body | ASKED[feature] | more)


@pytest.mark.parametrize(("model", "mode", "cells"), rows(), ids=[f"{m}-{d}" for m, d, _ in rows()])
def test_the_map(model: str, mode: str, cells: dict[str, str], client: MakeClient) -> None:
    """Every cell for every length: there, refused with the vendor's text, or a warning where nobody knows."""
    caller = client("kling")
    for feature, cell in cells.items():
        for seconds in range(3, 16):
            answer = ask(caller, feature, model, mode, seconds)
            found = {row["rule"]: row["severity"] for row in answer.violations}
            where = (feature, seconds, answer.violations)
            assert found.get(feature) == expected(cell, seconds), where
            refused = [rule for rule, severity in found.items() if severity == "refused"]
            assert answer.status == (400 if refused else 200), where
            if refused == [feature]:
                nowhere = feature == "start_end" and model in NO_LAST_FRAME
                text = NOWHERE if nowhere else SAID[feature].format(m=model, d=mode, s=seconds)
                assert (answer.json["code"], answer.json["message"]) == (1201, text)


def test_every_model_and_feature_is_in_the_map(client: MakeClient) -> None:
    """The copy above leaves nothing out."""
    table = client("kling").provider.capabilities
    assert table is not None
    assert {model for model, *_ in rows()} == set(table.matrix)
    assert set(rows()[0][2]) == set(table.features) == set(ASKED) == set(SAID)


@pytest.mark.parametrize("mode", ["std", "pro"])
@pytest.mark.parametrize("feature", ["sound", "multi_shot"])
def test_features_that_text_shares(feature: str, mode: str, client: MakeClient) -> None:
    """Sound and several shots are of the model, whatever the video starts from."""
    caller = client("kling")
    for model, row_mode, cells in rows():
        if row_mode == mode and cells["text"] != "-":
            asked = {key: value for key, value in ASKED[feature].items() if key != "image"}
            answer = ask(caller, "text", model, mode, 5, **asked)
            assert (feature in {rule for rule, _ in answer.wrong}) == (cells[feature] == "-"), model


def test_both_frames_and_sound_exclude_each_other_in_one_model(client: MakeClient) -> None:
    """kling-v2-6 has both, but not in one video; kling-v3 has them together."""
    caller = client("kling")
    assert ask(caller, "start_end", "kling-v2-6", "pro", 5).status == 200
    assert ask(caller, "start_end", "kling-v3", "pro", 5, sound="on").status == 200
    answer = ask(caller, "start_end", "kling-v2-6", "pro", 5, sound="on")
    assert answer.wrong == [("start_end", "/image_tail")]
    assert answer.json["message"] == "model/mode/duration(kling-v2-6/pro/5) is not supported with image_tail"


@pytest.mark.parametrize(
    ("feature", "model", "mode", "hint"),
    [
        ("start_end", "kling-v2-5-turbo", "std", "mode pro (5, 10 s)"),
        ("start_end", "kling-v2-master", "std", "kling-v2-5-turbo"),
        ("elements", "kling-v1", "std", "kling-v3"),
    ],
)
def test_the_detail_says_what_would_do(feature: str, model: str, mode: str, hint: str, client: MakeClient) -> None:
    """The violation names the mode or the models that have the feature; the vendor's text does not."""
    [violation] = ask(client("kling"), feature, model, mode, 5).violations
    assert hint in violation["message"]


def test_defaults_count(client: MakeClient) -> None:
    """A request that names no model, mode or length is judged as kling-v1, std, 5 s."""
    caller = client("kling")
    answer = caller.send("POST", "/v1/videos/image2video", {"image": FIRST, "prompt": "dusk", "sound": "on"})
    assert answer.json["message"] == "model/mode(kling-v1/std) is not supported with sound on"


def test_a_refused_value_is_not_held_against_the_map(client: MakeClient) -> None:
    """An unknown model or length is one mistake, not two."""
    caller = client("kling")
    assert ask(caller, "start_end", "kling-v9", "std", 5).wrong == [(f"{CREATE}/model_name/enum", "/model_name")]
    assert ask(caller, "start_end", "kling-v1", "std", 99).wrong == [(f"{CREATE}/duration/enum", "/duration")]


def test_a_relay_has_the_vendors_map(client: MakeClient) -> None:
    """What is passed on is refused with Kling's texts."""
    relay = client("rixapi")
    answer = ask(relay, "start_end", "kling-v2-5-turbo", "std", 10)
    text = "model/mode/duration(kling-v2-5-turbo/std/10) is not supported with image_tail"
    assert (answer.status, answer.json["code"], answer.json["message"]) == (400, 1201, text)
    assert ask(relay, "camera_control_text", "kling-v1-6", "std", 5).json["message"] == SAID["camera_control_text"]


# Prices: (model, mode, seconds, sound, voices): units, as section 5 gives them; None where it gives none

PRICES: list[tuple[str, str, int, str, int, str | None]] = [
    ("kling-v3", "std", 3, "off", 0, "1.8"),
    ("kling-v3", "pro", 15, "off", 0, "12"),
    ("kling-v3", "std", 10, "on", 0, "9"),
    ("kling-v3", "pro", 10, "on", 0, "12"),
    ("kling-v2-6", "std", 5, "off", 0, "1.5"),
    ("kling-v2-6", "pro", 5, "off", 0, "2.5"),
    ("kling-v2-6", "pro", 5, "on", 0, "5"),
    ("kling-v2-6", "pro", 5, "on", 1, "6"),
    ("kling-v2-6", "pro", 10, "on", 2, "12"),
    ("kling-v2-5-turbo", "std", 10, "off", 0, "3"),
    ("kling-v2-5-turbo", "pro", 10, "off", 0, "5"),
    ("kling-v1", "std", 5, "off", 0, "1"),
    ("kling-v1", "pro", 10, "off", 0, "7"),
    ("kling-v1-5", "pro", 5, "off", 0, "3.5"),
    ("kling-v1-6", "std", 10, "off", 0, "4"),
    ("kling-v2-1", "std", 5, "off", 0, "2"),
    ("kling-v2-master", "pro", 10, "off", 0, "20"),
    ("kling-v2-1-master", "std", 5, "off", 0, "10"),
]


@pytest.mark.parametrize(("model", "mode", "seconds", "sound", "voices", "units"), PRICES)
def test_a_task_costs_what_the_table_says(
    model: str, mode: str, seconds: int, sound: str, voices: int, units: str, client: MakeClient
) -> None:
    """The answer's final_unit_deduction, with and without sound and voices."""
    caller = client("kling")
    prompt = "<<<voice_1>>> sings" if voices else "dusk"
    listed = [{"voice_id": str(n)} for n in range(voices)]
    answer = ask(caller, "start", model, mode, seconds, sound=sound, voice_list=listed, prompt=prompt)
    caller.advance("1h")
    found = caller.send("GET", f"/v1/videos/image2video/{answer.json['data']['task_id']}").json["data"]
    assert found["final_unit_deduction"] == units
