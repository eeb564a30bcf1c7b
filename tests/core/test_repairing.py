"""Repairs: which patch is offered for a mistake, and what several mistakes at once do to each other's."""

from __future__ import annotations

from typing import Any

import pytest

from kling_mock import Verdict, judge
from kling_mock.core.repairing import apply
from kling_mock.payloads import blocking

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
        ("cfg_scale", 7, 1),
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
    change = {"model_name": "kling-v2-5-turbo", "image_tail": FRAME, "mode": "std", "duration": "9", "cfg_scale": 7}
    verdict = asked(change)
    assert patches(verdict) == [
        ("createImageToVideo/cfg_scale/maximum", "/cfg_scale", [("replace", "/cfg_scale", 1)]),
        ("start_end", "/image_tail", [("replace", "/mode", "pro"), ("replace", "/duration", "10")]),
    ]
    first, last = verdict.suggestions
    assert first.before == first.after == last.before == verdict.quote
    document: Any = {**BODY, **change}
    for row in verdict.suggestions:
        document = apply(row.patch, document)
    mended = judge(document, "kling", "createImageToVideo")
    assert (mended.ok, last.after) == (True, mended.quote)
    assert (str(verdict.quote.amount), str(mended.quote.amount)) == ("2.7", "5.0")  # type: ignore[union-attr]
