"""Repairs: which patch is offered for a mistake, and what several mistakes at once do to each other's."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kling_mock import Verdict, judge
from kling_mock.core import repairing
from kling_mock.loading import bundled
from kling_mock.payloads import blocking
from kling_mock.report_formats import FORMATS
from kling_mock.reports import Item, text_report
from tests.patching import strictly

FRAME = "https://example.com/a.png"
BODY = {"model_name": "kling-v2-6", "image": FRAME, "prompt": "waves", "mode": "pro", "duration": "5"}


def asked(change: dict[str, Any], operation: str = "createImageToVideo", provider: str = "kling") -> Verdict:
    """The verdict of a good body with some fields changed."""
    return judge({**BODY, **change}, provider, operation)


def patches(verdict: Verdict) -> list[tuple[str, str, list[tuple[Any, ...]]]]:
    """Rule, pointer and operations of each suggestion."""
    return [
        (row.rule, row.pointer, [(op["op"], op["path"], op.get("value")) for op in row.patch])
        for row in verdict.suggestions
    ]


@pytest.mark.parametrize(
    ("field", "wrong", "meant"),
    [
        ("mode", "PRO", "pro"),
        ("mode", "Standard", "std"),
        ("model_name", "Kling-V2.6", "kling-v2-6"),
        ("model_name", "kling-v2.5-turbo-pro", "kling-v2-5-turbo"),
        ("sound", "Off", "off"),
        ("duration", "10s", "10"),
        ("duration", "45", "10"),
        ("duration", 1, 5),
    ],
)
def test_the_choice_that_was_meant(field: str, wrong: Any, meant: Any) -> None:
    """The nearest number that the model takes too, or the closest text, in whatever case it was written."""
    verdict = asked({field: wrong})
    [(_, pointer, [operation])] = patches(verdict)
    assert (pointer, operation) == (f"/{field}", ("replace", f"/{field}", meant))
    assert asked({field: meant}).ok


def test_a_name_that_a_rule_asks_for_has_a_nearest_one_too() -> None:
    """The relay refuses a model by a rule of its own, over the same list."""
    verdict = asked({"model_name": "kling-v2.6"}, provider="rixapi")
    assert [row.rule for row in blocking(verdict)] == ["video-model-is-served"]
    assert patches(verdict) == [
        ("video-model-is-served", "/model_name", [("replace", "/model_name", "kling-v2-6")]),
    ]


def test_a_model_that_lacks_the_whole_operation_is_another_not_none() -> None:
    """Without its model the payload would mean the default one, which nobody asked for."""
    body = {"model_name": "kling-v2-1", "prompt": "A calm sea", "duration": "5", "mode": "std"}
    verdict = judge(body, "kling", "createTextToVideo")
    assert [(row.rule, row.pointer) for row in blocking(verdict)] == [("text", "/model_name")]
    assert patches(verdict) == [("text", "/model_name", [("replace", "/model_name", "kling-v2-6")])]


def test_a_fault_that_another_one_hid_is_mended_too() -> None:
    """A mode that there is not hides what the mode has: 15 s are near to 45, but no length of this model.

    The first repair of the length is replaced by the second one: one step for each mistake.
    """
    verdict = asked({"mode": "prro", "duration": "45"})
    assert sorted(row.pointer for row in blocking(verdict)) == ["/duration", "/mode"]
    assert sorted(patches(verdict)) == [
        ("createImageToVideo/duration/enum", "/duration", [("replace", "/duration", "10")]),
        ("createImageToVideo/mode/enum", "/mode", [("replace", "/mode", "pro")]),
    ]


def test_a_number_is_repaired_so_that_what_depends_on_it_holds() -> None:
    """Of the lengths that there are it is the shots' sum that was meant, not the nearest one."""
    shots = [{"index": 1, "prompt": "a door opens", "duration": "2"}, {"index": 2, "prompt": "a cat", "duration": "4"}]
    change = {"model_name": "kling-v3", "multi_shot": True, "shot_type": "customize", "multi_prompt": shots}
    verdict = asked({**change, "duration": "45"})
    assert patches(verdict) == [
        ("createImageToVideo/duration/enum", "/duration", [("replace", "/duration", "6")]),
    ]


def test_prices_run_through_the_steps() -> None:
    """Each step's price after it is the next one's before it; a step may need two changes, here mode and length."""
    change = {
        "model_name": "kling-v2-5-turbo",
        "image_tail": FRAME,
        "mode": "std",
        "duration": "9",
        "negative_prompt": "x" * 2501,
    }
    verdict = asked(change)
    assert patches(verdict) == [
        (
            "createImageToVideo/negative_prompt/maxLength",
            "/negative_prompt",
            [("replace", "/negative_prompt", "x" * 2500)],
        ),
        ("start_end", "/image_tail", [("replace", "/mode", "pro"), ("replace", "/duration", "10")]),
    ]
    first, last = verdict.suggestions
    assert first.before == first.after == last.before == verdict.quote
    document: Any = {**BODY, **change}
    for row in verdict.suggestions:
        document = strictly(row.patch, document)
    mended = judge(document, "kling", "createImageToVideo")
    assert (mended.ok, last.after) == (True, mended.quote)
    assert (str(verdict.quote.amount), str(mended.quote.amount)) == ("2.7", "5.0")  # type: ignore[union-attr]


# Several ways to mend, and dead ends among them

IMAGE = {"image": FRAME, "prompt": "a"}
VOICES = {"voice_list": [{"voice_id": "1"}]}
DEAD_ENDS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "a voice where the model has no sound: the voice goes": (
        {**IMAGE, **VOICES},
        [("remove", "/voice_list", None)],
    ),
    "sound on and a voice where the model has neither": (
        {**IMAGE, **VOICES, "sound": True},
        [("remove", "/sound", None), ("remove", "/voice_list", None)],
    ),
    "the brush goes, for without the last frame there would be none; the default model has no last frame alone": (
        {"image_tail": FRAME, "static_mask": FRAME, "prompt": "a"},
        [("remove", "/static_mask", None), ("add", "/model_name", "kling-v1-6"), ("add", "/mode", "pro")],
    ),
    "the model that has several shots is meant, which need a shot type": (
        {"model_name": "kling-v9", "image": FRAME, "prompt": "x" * 2501, "multi_shot": "true"},
        [
            ("replace", "/model_name", "kling-v3"),
            ("replace", "/prompt", "x" * 2500),
            ("add", "/shot_type", "intelligence"),
        ],
    ),
    "a camera that moves needs a config, which nobody can guess": (
        {**BODY, "model_name": "kling-v1-5", "camera_control": {"type": "simple"}},
        [("remove", "/camera_control", None)],
    ),
    "a last frame alone where no mode has one": (
        {"model_name": "kling-v1", "image_tail": FRAME, "prompt": "a"},
        [("replace", "/model_name", "kling-v1-6"), ("add", "/mode", "pro")],
    ),
    "a brush where there is none": (
        {**BODY, "static_mask": FRAME},
        [("remove", "/static_mask", None)],
    ),
    "both fields of a brush where there is none": (
        {**BODY, "static_mask": FRAME, "dynamic_masks": [{"mask": FRAME, "trajectories": [{"x": 1, "y": 1}] * 2}]},
        [("remove", "/dynamic_masks", None), ("remove", "/static_mask", None)],
    ),
}


@pytest.mark.parametrize("case", DEAD_ENDS)
def test_a_repair_that_leads_nowhere_is_taken_back(case: str) -> None:
    """Every step can be taken as RFC 6902 has it, and after the last one the judge accepts."""
    body, wanted = DEAD_ENDS[case]
    verdict = judge(body, "kling", "createImageToVideo")
    assert not verdict.ok
    found = [(row["op"], row["path"], row.get("value")) for step in verdict.suggestions for row in step.patch]
    assert sorted(found, key=str) == sorted(wanted, key=str)
    mended = body
    for step in verdict.suggestions:
        mended = strictly(step.patch, mended)
    assert blocking(judge(mended, "kling", "createImageToVideo")) == []


def test_a_payload_that_nothing_mends_has_no_repair() -> None:
    """No frame can be invented; what else is wrong is mended all the same."""
    verdict = judge({"prompt": "a", "mode": "PRO"}, "kling", "createImageToVideo")
    assert sorted(row.rule for row in blocking(verdict)) == ["createImageToVideo/mode/enum", "first-or-last-frame"]
    assert patches(verdict) == [("createImageToVideo/mode/enum", "/mode", [("replace", "/mode", "pro")])]


def test_the_search_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many mistakes, the judge is asked a bounded number of times; what it found until then is offered."""
    asked_for = 0
    real = repairing.judge

    def counted(*words: Any) -> Any:
        nonlocal asked_for
        asked_for += 1
        return real(*words)

    monkeypatch.setattr(repairing, "judge", counted)
    wrong = {name: {"a": 1} for name in ("mode", "sound", "duration", "cfg_scale", "shot_type", "voice_list")}
    shots = [{"prompt": "x" * 600, "duration": "0"}] * 9
    body = {"prompt": 7, **wrong, "multi_shot": True, "multi_prompt": shots, "element_list": [{}] * 9}
    verdict = judge(body, "kling", "createImageToVideo")
    assert asked_for < 3 * repairing.MOST_TRIES
    assert verdict.suggestions


@pytest.mark.parametrize(
    ("field", "wrong", "meant"),
    [("model_name", "kling-v2-5", "kling-v2-5-turbo"), ("sound", True, "on"), ("sound", False, "off")],
)
def test_the_longer_name_and_the_switch_are_meant(field: str, wrong: Any, meant: str) -> None:
    """A name cut short means the one that it begins, before a closer one; true means on, whatever word that is."""
    verdict = asked({field: wrong})
    assert patches(verdict)[0][2] == [("replace", f"/{field}", meant)]


def test_a_step_that_no_violation_shows_yet_is_told_too() -> None:
    """Sound comes first, and only then is its mode looked at: every format says both."""
    change = {"prompt": "<<<voice_1>>> a", "voice_list": [{"voice_id": "1"}], "mode": "std"}
    verdict = asked(change)
    first, second = verdict.suggestions
    assert first.rule == "voice-needs-sound"
    assert not [row for row in verdict.violations if (row.rule, row.pointer) == (second.rule, second.pointer)]
    items = [Item("a.json", verdict)]
    for told in (text_report(items, False), *(FORMATS[name](items, False) for name in ("github", "junit", "sarif"))):
        plain = told.replace("&quot;", '"').replace('\\"', '"')
        assert 'set sound to "on"' in plain
        assert 'then: set mode to "pro"' in plain


def test_a_prefix_goes_and_no_report_shows_the_picture() -> None:
    """The vendor's "Important": raw base64 only. The patch has the text, the words its length."""
    raw = base64.b64encode((bundled("fixtures") / "media" / "square-300x300.png").read_bytes()).decode()
    verdict = asked({"image": f"data:image/png;base64,{raw}"})
    assert patches(verdict) == [("image-is-readable", "/image", [("replace", "/image", raw)])]
    assert asked({"image": raw}).ok
    told = text_report([Item("a.json", verdict)], False)
    assert f"nearest valid: set image to <{len(raw)} characters>" in told
    assert raw[:40] not in told


def test_a_prefix_stays_where_what_is_behind_it_is_no_better() -> None:
    """A picture that is too small is not mended by another way of sending it."""
    small = base64.b64encode((bundled("fixtures") / "media" / "just-too-small-299x300.png").read_bytes()).decode()
    for text in (small, "nonsense"):
        assert asked({"image": f"data:image/png;base64,{text}"}).suggestions == ()


def test_a_brush_is_shown_where_it_is() -> None:
    """The field that was sent, not the one that the feature is named after."""
    [finding] = blocking(asked({"static_mask": FRAME}))
    assert (finding.rule, finding.pointer) == ("motion_brush", "/static_mask")
    assert finding.suggestion == ({"op": "remove", "path": "/static_mask"},)


def test_a_share_is_held_to_its_bound_where_it_counts() -> None:
    """Not by the models that ignore it."""
    assert patches(asked({"model_name": "kling-v1-6", "cfg_scale": 7})) == [
        ("createImageToVideo/cfg_scale/maximum", "/cfg_scale", [("replace", "/cfg_scale", 1)])
    ]
    assert asked({"cfg_scale": 7}).ok
