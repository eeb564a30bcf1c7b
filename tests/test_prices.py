"""Prices that no table alone says: a voice by the prompt that names it, a job by what the other provider lacks."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from kling_mock import judge
from kling_mock.report_prices import Offer, offers
from tests.conftest import Client

MakeClient = Callable[..., Client]
IMAGE = "https://example.com/first.png"
ONE, TWO = [{"voice_id": "11"}], [{"voice_id": "11"}, {"voice_id": "12"}]
LOUD = {"model_name": "kling-v2-6", "mode": "pro", "duration": "5", "sound": "on", "image": IMAGE}
WITHOUT, WITH = "5", "6"  # units: 1.0 and 1.2 a second for 5 s, by the vendor's price page

# What is added to `LOUD`, and its units. Billed with a voice: a list that is not empty, a prompt that names one of it.
VOICED: dict[str, tuple[dict[str, Any], str]] = {
    "no voice": ({"prompt": "she says hello"}, WITHOUT),
    "given and not named": ({"prompt": "she says hello", "voice_list": ONE}, WITHOUT),
    "given and named without its brackets": ({"prompt": "voice_1 says hello", "voice_list": ONE}, WITHOUT),
    "given without a prompt": ({"voice_list": ONE}, WITHOUT),
    "given and named": ({"prompt": "<<<voice_1>>> says hello", "voice_list": ONE}, WITH),
    "named twice": ({"prompt": "<<<voice_1>>> says: <<<voice_1>>>", "voice_list": ONE}, WITH),
    "two, both named": ({"prompt": "<<<voice_1>>> greets <<<voice_2>>>", "voice_list": TWO}, WITH),
    "two, the second named": ({"prompt": "<<<voice_2>>> says hello", "voice_list": TWO}, WITH),
    "two, none named": ({"prompt": "they say hello", "voice_list": TWO}, WITHOUT),
}


@pytest.mark.parametrize("case", VOICED)
def test_a_voice_is_billed_where_the_prompt_names_it(case: str, client: MakeClient) -> None:
    """The judge's quote and the mock's final_unit_deduction are the vendor's: with a voice only if it is named."""
    added, units = VOICED[case]
    verdict = judge(LOUD | added, "kling", "createImageToVideo")
    assert verdict.ok, verdict.violations
    assert verdict.quote is not None
    assert verdict.quote.amount == Decimal(units)
    caller = client("kling")
    made = caller.send("POST", "/v1/videos/image2video", LOUD | added).json["data"]["task_id"]
    caller.advance("1h")
    task = caller.send("GET", f"/v1/videos/image2video/{made}").json["data"]
    assert task["final_unit_deduction"] == units


@pytest.mark.parametrize("voices", [None, [], "11", 11, {"voice_id": "11"}])
def test_a_list_that_is_none_has_no_voice(voices: Any) -> None:
    """What is no list of voices changes no price and raises nothing, even where the prompt names a voice."""
    quote = judge(LOUD | {"prompt": "<<<voice_1>>>", "voice_list": voices}, "kling", "createImageToVideo").quote
    assert quote is not None
    assert quote.amount == Decimal(WITHOUT)


# The same job elsewhere

SHOTS = {"multi_shot": True, "shot_type": "intelligence", "prompt": "a chase"}
ELEMENTS = {"element_list": [{"element_id": 1}]}
V3 = {"model_name": "kling-v3", "duration": "5", "image": IMAGE, "sound": "off"}
# A job, and what a gateway that takes a picture, a prompt and seconds has no word for.
LACKED: dict[str, tuple[dict[str, Any], str | None]] = {
    "nothing": (V3, None),
    "elements": (V3 | ELEMENTS, "elements"),
    "shots": (V3 | SHOTS, "multi_shot"),
    "shots with elements": (V3 | SHOTS | ELEMENTS, "elements, multi_shot"),
    "sound": (V3 | {"sound": "on"}, "sound"),
    "voice": (LOUD | {"prompt": "<<<voice_1>>> sings", "voice_list": ONE}, "sound, voice"),
    "camera": (V3 | {"camera_control": {"type": "down_back"}}, "camera_preset"),
    "brush": (V3 | {"static_mask": IMAGE}, "motion_brush"),
    "a last frame": (V3 | {"image_tail": IMAGE}, None),
}


def offered(name: str, body: Any) -> Offer:
    """What one provider asks for the job of a payload."""
    [offer] = offers(judge, body, [name], "createImageToVideo")
    return offer


@pytest.mark.parametrize("case", LACKED)
def test_a_provider_without_a_word_for_it_quotes_nothing(case: str) -> None:
    """A video without its elements, shots or voices is another video: no price, and what is missing is named."""
    body, lacked = LACKED[case]
    offer = offered("pixazo", body)
    if lacked is None:
        assert offer.quote is not None
        assert offer.quote.amount == Decimal("0.35")
    else:
        assert (offer.quote, offer.operation, offer.why) == (None, None, f"has no word for {lacked}")


def test_ones_own_provider_has_a_word_for_everything() -> None:
    """The job's own provider is asked with the payload itself."""
    for body, _ in LACKED.values():
        assert offered("kling", body).quote is not None


def test_a_provider_in_the_same_words_takes_the_feature() -> None:
    """A relay that knows the field is not told to lack it: what is unknown there is the price alone."""
    offer = offered("rixapi", V3 | SHOTS | ELEMENTS)
    assert (offer.operation, offer.quote, offer.why) == ("createImageToVideo", None, "no table has a price for it")


# A job of an operation that takes pictures and can do without: what it is told where nobody makes images.
DRAWN: dict[str, dict[str, Any]] = {"words alone": {}, "pictures": {"image": IMAGE}}


@pytest.mark.parametrize("given", DRAWN)
def test_what_nobody_makes_is_named_by_what_the_job_gives(given: str) -> None:
    """An image of a text is not one from pictures, although its operation would take some."""
    [offer] = offers(judge, {"model_name": "kling-v3", "prompt": "dusk"} | DRAWN[given], ["302ai"], "createImage")
    assert (offer.operation, offer.why) == (None, f"has no operation that makes an image from {given}")


def test_a_word_that_is_on_no_page_is_said_to_be() -> None:
    """The gateway's page has no last frame: its price is told, and that clients alone know the field."""
    body = {"model_name": "kling-v2-1", "mode": "pro", "duration": "5", "image": IMAGE, "prompt": "dusk"}
    [plain], [ended] = (
        offers(judge, row, ["302ai"], "createImageToVideo") for row in (body, body | {"image_tail": IMAGE})
    )
    assert plain.quote == ended.quote is not None
    said = "tail_image is on no page of the gateway, which has no last frame there; client code sends it"
    assert ended.why == f"{plain.why}; {said}"
