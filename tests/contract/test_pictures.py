"""Pictures made to measure: the mock measures in them what was asked for."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kling_mock.contract.phases import pictures
from kling_mock.server.facts import measure


@pytest.mark.parametrize(
    "facts",
    [
        {"width": 300, "height": 299},
        {"width": 300},
        {"height": 299},
        {"ratio": 2.5},
        {"ratio": 2.51},
        {"ratio": 0.4},
        {"ratio": 0.39},
        {"width": 1000, "ratio": 2.0},
        {"format": "png"},
        {"format": "jpeg", "width": 640, "height": 360},
        {"format": "gif"},
        {"format": "webp"},
        {"bytes": 10_485_760},
        {"bytes": 10_485_761, "format": "jpeg"},
        {"decodes": True},
        {"decodes": False},
        {"decodes": False, "format": "jpeg"},
    ],
)
def test_what_is_asked_for_is_what_is_measured(facts: dict[str, Any]) -> None:
    """Size, ratio, format, length and whether it decodes, each to the last pixel and byte."""
    measured = measure(pictures.content(facts))
    assert measured["given"] == "file"
    expected = {name: value for name, value in facts.items() if name in measured}
    assert {name: measured[name] for name in expected} == pytest.approx(expected, abs=0.005)
    assert facts.keys() - measured.keys() == set()
    assert measured["decodes"] is (facts.get("decodes", True) and facts.get("format") not in ("gif", "webp"))


@pytest.mark.parametrize("facts", [{"ratio": 2.51}, {"ratio": 0.39}, {"ratio": 2.5}, {"ratio": 0.4}])
def test_a_ratio_is_on_the_side_of_a_limit_that_was_asked_for(facts: dict[str, Any]) -> None:
    """Rounding to pixels does not carry a ratio over a limit of 2.5 or 0.4."""
    measured: dict[str, Any] = measure(pictures.content(facts))
    assert (0.4 <= measured["ratio"] <= 2.5) is (0.4 <= facts["ratio"] <= 2.5)
    assert min(measured["width"], measured["height"]) == pictures.USUAL


@pytest.mark.parametrize("given", ["base64", "prefixed", "url", "text"])
def test_a_text_is_given_in_the_form_that_was_asked_for(given: str) -> None:
    """A field of JSON holds base64, a data URL, an address or no picture at all."""
    assert measure(pictures.text({"given": given}))["given"] == given


def test_a_picture_is_base64_unless_something_else_is_asked_for() -> None:
    """The text is that of the same bytes, which are the same every time."""
    content = pictures.content({"width": 301, "height": 302})
    prefixed = pictures.text({"width": 301, "height": 302, "given": "prefixed"})
    assert base64.b64decode(prefixed.removeprefix("data:image/png;base64,"), validate=True) == content
    assert base64.b64decode(pictures.text({"width": 301, "height": 302})) == content
    assert pictures.content({"width": 301, "height": 302}) == content
