"""What a verdict adds to a judgement: the failure's reason, computed repairs, prices with their evidence."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kling_mock import judge
from kling_mock.core.capabilities import Capabilities
from kling_mock.loading import bundled, load_providers
from kling_mock.reports import change_in_words, details

MEDIA = bundled("fixtures") / "media"
UNFIT = (
    "The resolution or aspect ratio of the input image is invalid. Please ensure it meets the required specifications."
)
SHOTS = {"model_name": "kling-v3", "mode": "pro", "image": "https://example.com/a.png", "multi_shot": True}


def picture(name: str) -> str:
    """A file as base64."""
    return base64.b64encode((MEDIA / name).read_bytes()).decode()


def shots(*seconds: Any, duration: Any = "5", shot_type: str = "customize") -> dict[str, Any]:
    """A video of some shots."""
    rows = [{"index": n, "prompt": "a door", "duration": each} for n, each in enumerate(seconds, 1)]
    given = {} if duration is None else {"duration": duration}
    return SHOTS | given | {"shot_type": shot_type, "multi_prompt": rows}


# Failures


def test_a_failure_says_what_the_task_would_say() -> None:
    """Masks of another shape are accepted; the verdict says with which reason the task then fails, in all its forms."""
    mask = picture("square-300x300.png")
    verdict = judge({"image": picture("photo-1280x720.jpg"), "prompt": "dusk", "static_mask": mask})
    [finding] = verdict.violations
    assert (finding.rule, finding.pointer, finding.severity) == ("masks-have-the-images-ratio", "/image", "fails")
    assert (finding.reason, finding.provider_says) == (UNFIT, None)
    assert verdict.as_json()["violations"][0]["reason"] == UNFIT
    assert f"the task would fail: {UNFIT}" in list(details(verdict, finding))


def test_what_is_refused_or_warned_of_has_no_reason() -> None:
    """A refusal has the provider's error instead, a warning nothing."""
    verdict = judge({"image": "https://example.com/a.png", "prompt": "x", "mode": "prro", "cfg_scale": "0.5"})
    assert [(row.severity, row.reason) for row in verdict.violations] == [("refused", None), ("warning", None)]


# Shots


@pytest.mark.parametrize(
    ("body", "patch"),
    [
        # the last shot first: the video and its price stay
        (shots("2", "4"), {"op": "replace", "path": "/multi_prompt/1/duration", "value": "3"}),
        (shots("2", "2"), {"op": "replace", "path": "/multi_prompt/1/duration", "value": "3"}),
        (shots("2", "4", duration=None), {"op": "replace", "path": "/multi_prompt/1/duration", "value": "3"}),
        (shots(2, 4, duration=5), {"op": "replace", "path": "/multi_prompt/1/duration", "value": "3"}),
        # no second is left for it: then the video's length
        (shots("5", "4"), {"op": "replace", "path": "/duration", "value": "9"}),
        (shots("5", "4", duration=None), {"op": "add", "path": "/duration", "value": "9"}),
    ],
)
def test_shots_that_do_not_fill_the_video_are_mended(body: dict[str, Any], patch: dict[str, Any]) -> None:
    """The computed repair, in the documented type; carried out it leaves nothing to refuse."""
    verdict = judge(body)
    [finding] = [row for row in verdict.violations if row.severity == "refused"]
    assert (finding.rule, finding.pointer) == ("shots-fill-the-video", "/multi_prompt")
    assert finding.suggestion == (patch,)


def test_shots_beyond_the_longest_video_are_mended_in_two_steps() -> None:
    """Neither the last shot nor the whole can be chosen so that it fits: both are."""
    verdict = judge(shots("9", "9"))
    assert [row.rule for row in verdict.violations] == ["shots-fill-the-video"]
    assert [row.patch for row in verdict.suggestions] == [
        ({"op": "replace", "path": "/multi_prompt/1/duration", "value": "1"},),
        ({"op": "replace", "path": "/duration", "value": "10"},),
    ]
    assert judge(shots("9", "1", duration="10")).ok


def test_shots_of_the_vendors_own_need_not_fill_the_video() -> None:
    """With intelligence the vendor cuts the video; the durations that come along are no concern."""
    verdict = judge(shots("2", "4", shot_type="intelligence") | {"prompt": "a chase"})
    assert "shots-fill-the-video" not in {row.rule for row in verdict.violations}
    assert verdict.ok


# Prices


@pytest.mark.parametrize(
    ("body", "how", "kind"),
    [
        ({"model_name": "kling-v2-6", "mode": "pro"}, "5 seconds at 0.5 units (documented)", "documented"),
        ({"model_name": "kling-v1-6", "mode": "pro"}, "1 call of 5 s at 3.5 units (assumed)", "assumed"),
    ],
)
def test_a_price_carries_its_evidence(body: dict[str, Any], how: str, kind: str) -> None:
    """Level and source are in the quote; `how` names the level."""
    quote = judge({"image": "https://example.com/a.png", "prompt": "dusk", **body}).quote
    assert quote is not None
    assert (quote.how, quote.what, quote.evidence["kind"]) == (how, "5 s", kind)
    assert "section 5" in quote.evidence["source"]


def test_a_repair_names_the_evidence_of_its_price() -> None:
    """As short as it can be: for which length, what instead of what, and how well that is known."""
    body = {"model_name": "kling-v1-6", "mode": "std", "prompt": "x"}
    frames = {"image": "https://example.com/a.png", "image_tail": "https://example.com/b.png"}
    [row] = judge(body | frames).suggestions
    assert change_in_words(row.before, row.after) == " (5 s: 3.5 units instead of 2, assumed)"


# What stands in words of its own


def test_a_filtered_expression_is_no_pointer() -> None:
    """How many voices there are is computed from the body, it is no part of it that could be set."""
    operation = load_providers(["kling"])["kling"].operations["createImageToVideo"]
    assert "voice" not in operation.pointers
    assert operation.pointers["seconds"] == "/duration"


@pytest.mark.parametrize("name", ["kling", "rixapi"])
def test_a_model_without_a_last_frame_is_told_so(name: str) -> None:
    """One text for a model that has it in another mode, another for one that has it in none; both in the catalogue."""
    frames = {"image": "https://example.com/a.png", "image_tail": "https://example.com/b.png", "prompt": "x"}
    said = {}
    for model in ("kling-v2-1", "kling-v2-master"):
        [row] = judge(frames | {"model_name": model, "mode": "std"}, provider=name).violations
        assert row.rule == "start_end"
        said[model] = row.provider_says.message if row.provider_says else None
    assert said == {
        "kling-v2-1": "model/mode/duration(kling-v2-1/std/5) is not supported with image_tail",
        "kling-v2-master": "Image tail is not supported by the current model",
    }


@pytest.mark.parametrize("wrong", [5, True, {"url": "https://example.com/a.png"}, ["https://example.com/a.png"]])
def test_a_frame_of_another_type_is_one_violation(wrong: Any) -> None:
    """It is given, if wrongly: nothing says that it is missing, and nobody is told to leave it out."""
    for field in ("image", "image_tail"):
        verdict = judge({field: wrong, "prompt": "dusk", "mode": "pro", "model_name": "kling-v1-6"})
        assert [(row.rule, row.suggestion) for row in verdict.violations if row.severity == "refused"] == [
            (f"createImageToVideo/{field}/type", None)
        ]
        for absent in ("", None, []):
            verdict = judge({field: absent, "prompt": "dusk"}, operation="createImageToVideo")
            assert "first-or-last-frame" in [row.rule for row in verdict.violations]


def test_every_error_of_a_feature_is_in_the_catalogue() -> None:
    """`error` and `nowhere` name entries that there are."""
    for provider in load_providers().values():
        table: Capabilities | None = provider.capabilities
        for feature in table.features.values() if table else ():
            assert {feature.error, feature.nowhere} - {None} <= set(provider.errors.catalogue)
