"""What a payload is taken for when it does not say: only a key can tell, and the default provider wins a draw."""

from __future__ import annotations

from typing import Any

import pytest

from kling_mock import CannotJudge, Judge, judge, load_providers

PROVIDERS = load_providers()
SHARED = "createImageToVideo"  # an operation of several providers


@pytest.mark.parametrize("body", [[], 7, None, True, {}, {"foo": 1, "bar": 2}])
def test_what_says_nothing_is_judged_by_the_default_provider_if_the_operation_is_named(body: Any) -> None:
    """Several providers have the operation; the one that stands first is not thereby meant."""
    assert next(iter(PROVIDERS.values())).name != "kling"
    assert sum(SHARED in provider.operations for provider in PROVIDERS.values()) > 2
    assert judge(body, None, SHARED).provider == "kling"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ([], "the payload is no JSON object, so nothing says what it is for; name an operation: m2v21ImageToVideo, "),
        ({}, "the payload is empty, so nothing says what it is for; name an operation: m2v21ImageToVideo, "),
        ({"foo": 1, "bar": 2}, "no operation knows 'foo', 'bar', so nothing says what it is for; name an operation: "),
    ],
)
def test_without_a_known_key_there_is_nothing_to_judge_by(body: Any, why: str) -> None:
    """The candidates are named, each once."""
    with pytest.raises(CannotJudge) as caught:
        judge(body)
    message = str(caught.value)
    assert message.startswith(why)
    assert message.count(SHARED) == 1
    assert "kling" not in message


def test_a_named_provider_narrows_the_candidates() -> None:
    """Its own operations only; with one operation there is nothing to guess."""
    with pytest.raises(CannotJudge, match=r"name an operation: createImageToVideo, createTextToVideo, createImage$"):
        judge({"foo": 1}, "kling")
    assert judge({"foo": 1}, "pixazo").operation == SHARED
    assert judge([], "pixazo").operation == SHARED


def test_without_a_default_provider_an_operation_of_several_is_not_enough() -> None:
    """The candidates are the providers then; a known key decides as ever."""
    some = Judge({name: PROVIDERS[name] for name in ("pixazo", "rixapi")})
    with pytest.raises(CannotJudge, match=r"the payload is empty.*; name a provider: pixazo, rixapi$"):
        some({}, None, SHARED)
    assert some({"image": "https://example.com/a.png", "sound": "on"}, None, SHARED).provider == "rixapi"


def test_one_known_key_is_enough() -> None:
    """Whatever stands beside it; a file of a form counts as a key."""
    assert judge({"foo": 1, "bar": 2, "image_tail": "https://example.com/a.png"}).operation == SHARED
    assert judge({"foo": 1}, files={"input_image": b""}).provider == "302ai"


def test_a_forms_numbers_are_texts_on_the_way() -> None:
    """As the mock reads a form: by the schema. In a JSON body the same text is off the documented type."""
    values = {"input_image": "https://example.com/a.png", "cfg": "0.5", "enable_audio": "true"}
    form = judge(values, "302ai", "m2v21ImageToVideo", headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert form.violations == ()
    sent = judge(values, "302ai", "m2v21ImageToVideo", headers={"Content-Type": "application/json"})
    assert [(row.rule.rpartition("/")[2], row.pointer, row.severity) for row in sent.violations] == [
        ("type", "/cfg", "warning"),
        ("type", "/enable_audio", "warning"),
    ]
    off = judge(
        {**values, "cfg": "much"}, "302ai", "m2v21ImageToVideo", headers={"Content-Type": "multipart/form-data"}
    )
    assert [(row.pointer, row.severity) for row in off.violations] == [("/cfg", "refused")]


WITH_RATIO = {"image": "https://example.com/a.png", "prompt": "x", "aspect_ratio": "16:9"}


def test_a_key_of_a_sister_operation_does_not_outweigh_a_refusal() -> None:
    """Clients send aspect_ratio to image2video; the model says that no still is meant."""
    verdict = judge({"model_name": "kling-v1-6", **WITH_RATIO})
    assert (verdict.ok, verdict.provider, verdict.operation) == (True, "kling", SHARED)
    assert [row.rule for row in verdict.violations] == [f"{SHARED}/aspect_ratio/unknown"]


URL = "https://example.com/a.png"


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"duration": "7"}, "start"),
        ({"sound": "on"}, "sound"),
        ({"cfg_scale": 2}, f"{SHARED}/cfg_scale/maximum"),
        ({"model_name": "kling-v3", "mode": "4k"}, f"{SHARED}/mode/enum"),
        ({"model_name": "kling-v3", "multi_shot": True}, "multi-shot-needs-a-shot-type"),
        ({"model_name": "kling-v2-1", "static_mask": URL}, "motion_brush"),
        ({"camera_control": {"type": "zzz"}}, f"{SHARED}/camera_control/type/enum"),
        ({"model_name": "kling-v3", "duration": "5", "element_list": [{"element_id": n} for n in range(1, 5)]},
         f"{SHARED}/element_list/maxItems"),
    ],
)  # fmt: skip
def test_a_wrong_value_does_not_make_another_job_of_it(body: dict[str, Any], rule: str) -> None:
    """The operation that knows all the keys is meant, and refuses the value; no sister takes the payload instead."""
    verdict = judge({"image": URL, "prompt": "x", **body})
    assert (verdict.ok, verdict.operation) == (False, SHARED)
    assert rule in [row.rule for row in verdict.violations]


def test_a_key_of_a_sister_operation_is_no_sign_of_another_provider() -> None:
    """The default provider knows the key, if not in this operation."""
    assert judge(WITH_RATIO, None, SHARED).provider == "kling"


@pytest.mark.parametrize(
    ("body", "guessed", "other"),
    [
        (
            {"model_name": "kling-v2-1", "prompt": "x", "mode": "std", "duration": "5"},
            SHARED,
            "createImage",
        ),
        (WITH_RATIO, "createImage", SHARED),
    ],
)
def test_the_runner_up_is_named(body: dict[str, Any], guessed: str, other: str) -> None:
    """Where a sister operation would take the payload too, and what was guessed is refused or a lesser one."""
    verdict = judge(body)
    assert verdict.operation == guessed
    told = [row.why for row in verdict.not_judged if row.rule == "operation"]
    assert told == [f"guessed from the keys; {other} takes this payload too: name the one that is meant"]
    assert not [row for row in judge(body, "kling", guessed).not_judged if row.rule == "operation"]


def test_what_was_not_guessed_or_is_plain_has_no_runner_up() -> None:
    """A frame and a prompt are a video from an image, the provider's first operation."""
    assert [row.rule for row in judge({"image": "https://example.com/a.png", "prompt": "x"}).not_judged] == ["/image"]
