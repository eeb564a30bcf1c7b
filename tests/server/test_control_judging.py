"""The control API judges payloads and tells what works with which model, in the documented shapes."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kling_mock import Judge
from kling_mock.core.compiling import compile_provider
from kling_mock.core.provider import Provider
from kling_mock.loading import bundled
from kling_mock.server.mock import Mock
from tests.server.control_client import Control

MakeMock = Callable[..., Mock]
MEDIA = bundled("fixtures") / "media"
MAP: Mapping[str, Any] = {
    "evidence": {"kind": "assumed", "date": "2026-01"},
    "features": {
        "breeze": {
            "kinds": ["order"],
            "asked": {"required": ["wind"]},
            "field": "/wind",
            "dimensions": {"model": "toy", "seconds": "length"},
            "called": "wind",
            "evidence": {"kind": "observed", "source": "the workshop's window"},
        },
        "likeness": {
            "kinds": ["order"],
            "asked": {"required": ["photo"]},
            "field": "/photo",
            "dimensions": {"model": "toy"},
            "called": "a photo",
            "severity": "fails",
            "evidence": {"kind": "assumed"},
        },
    },
    "matrix": {
        "bear": {"*": {"breeze": [4, 2], "likeness": "undocumented"}},
        "kite": {"*": {"breeze": {"from": 2, "to": 8}, "likeness": {"seconds": [4], "without": ["breeze"]}}},
        "train": {},
    },
}


@pytest.fixture
def mapped(toy_documents: dict[str, Any]) -> Provider:
    """The toy with a capability table."""
    root = toy_documents["toymaker/openapi.yaml"]
    root["x-mock-capabilities"] = copy.deepcopy(dict(MAP))
    return compile_provider(toy_documents, "toymaker")


@pytest.fixture
def control(make_mock: MakeMock, mapped: Provider) -> Control:
    """The control API of a mock of the toy."""
    return Control(make_mock(mapped))


def test_the_capabilities_are_those_of_the_documents(control: Control) -> None:
    """Lists are sorted, ranges are ranges, exclusions are said; what is not there is not in the matrix."""
    found = control.get("/_mock/providers/toymaker/capabilities")
    assert found["matrix"] == {
        "bear": {"*": {"breeze": [2, 4], "likeness": "undocumented"}},
        "kite": {"*": {"breeze": {"from": 2, "to": 8}, "likeness": {"seconds": [4], "without": ["breeze"]}}},
        "train": {},
    }
    assert found["features"] == {
        "breeze": {
            "called": "wind",
            "field": "/wind",
            "kinds": ["order"],
            "severity": "refused",
            "evidence": {"kind": "observed", "source": "the workshop's window"},
        },
        "likeness": {
            "called": "a photo",
            "field": "/photo",
            "kinds": ["order"],
            "severity": "fails",
            "evidence": {"kind": "assumed"},
        },
    }
    assert found["evidence"] == {"kind": "assumed", "date": "2026-01"}


def test_the_bundled_tables_are_served(make_mock: MakeMock, providers: Mapping[str, Provider]) -> None:
    """Each provider with a table serves it in the documented shape; each other one has a 404 that says so."""
    control = Control(make_mock(*providers.values()))
    for name, provider in providers.items():
        if provider.capabilities is None:
            problem = control.refused(404, "GET", f"/_mock/providers/{name}/capabilities")
            assert problem["detail"] == f"{name} has no capability table: what works with which model is not known"
        else:
            found = control.get(f"/_mock/providers/{name}/capabilities")
            assert set(found["features"]) == set(provider.capabilities.features)
            assert set(found["matrix"]) == set(provider.capabilities.matrix)
    start_end = control.get("/_mock/providers/kling/capabilities")["matrix"]["kling-v2-1"]
    assert start_end["pro"]["start_end"] == [5, 10]
    assert "start_end" not in start_end["std"]


def test_an_unknown_provider_has_no_capabilities(control: Control) -> None:
    """404 with what was probably meant."""
    problem = control.refused(404, "GET", "/_mock/providers/toymakr/capabilities")
    assert problem["detail"] == "there is no provider 'toymakr'; did you mean 'toymaker'?"


@pytest.mark.parametrize(
    ("body", "ok", "rules"),
    [
        ({"toy": "bear", "wind": 1, "seconds": 4}, True, []),
        ({"toy": "bear", "wind": 1, "seconds": 8}, False, ["breeze"]),
        ({"toy": "kite"}, False, ["a-kite-needs-wind"]),
        ({"toy": "bear", "hat": 1}, True, ["orderToy/hat/unknown"]),
        ({"toy": "beer"}, False, ["orderToy/toy/enum"]),
    ],
)
def test_a_payload_is_judged(control: Control, mapped: Provider, body: Any, ok: bool, rules: list[str]) -> None:
    """The verdict is the one of the Python call, good or bad with 200."""
    found = control.post("/_mock/judge", {"body": body})
    assert (found["ok"], [row["rule"] for row in found["violations"]]) == (ok, rules)
    assert found == Judge({"toymaker": mapped})(body).as_json()


def test_provider_and_operation_may_be_named(make_mock: MakeMock, providers: Mapping[str, Provider]) -> None:
    """The same words, judged as somebody else's."""
    control = Control(make_mock(*providers.values()))
    body = {"image": "https://x.example/a.png", "prompt": "waves", "duration": "5"}
    found = control.post("/_mock/judge", {"body": body, "provider": "pixazo"})
    assert (found["provider"], found["quote"]["amount"], found["quote"]["unit"]) == ("pixazo", "0.35", "USD")
    found = control.post("/_mock/judge", {"body": body, "operation": "createTextToVideo", "provider": "kling"})
    assert found["operation"] == "createTextToVideo"


@pytest.mark.parametrize(
    ("asked", "pointer", "message"),
    [
        ({"body": {}, "provider": "toymakr"}, "/provider", "there is no provider 'toymakr'; did you mean 'toymaker'?"),
        (
            {"body": {}, "operation": "ordrToy"},
            "/operation",
            "no operation 'ordrToy' creates a task; did you mean 'orderToy'?",
        ),
        ({"provider": "toymaker"}, "/body", "is required"),
        ({"body": {}, "provder": "x"}, "/provder", "is no known key here; did you mean 'provider'?"),
        ({"body": {}, "provider": 7}, "/provider", "should be of type string; is integer"),
    ],
)
def test_what_cannot_be_judged_is_a_problem(control: Control, asked: Any, pointer: str, message: str) -> None:
    """422 with the member that is wrong."""
    problem = control.refused(422, "POST", "/_mock/judge", asked)
    assert problem["errors"] == [{"pointer": pointer, "message": message}]


def test_a_payload_without_a_shape_is_a_problem(make_mock: MakeMock, providers: Mapping[str, Provider]) -> None:
    """A list may be any operation's."""
    control = Control(make_mock(providers["kling"]))
    problem = control.refused(422, "POST", "/_mock/judge", {"body": [1]})
    assert problem["errors"][0]["pointer"] == "/body"
    assert "name an operation" in problem["detail"]


def test_judging_leaves_no_trace(make_mock: MakeMock, providers: Mapping[str, Provider]) -> None:
    """No task, no exchange, nothing charged."""
    control = Control(make_mock(providers["kling"]))
    before = control.get("/_mock/accounts/kling-default")
    assert control.post("/_mock/judge", {"body": {"prompt": "a cat"}, "operation": "createTextToVideo"})["ok"]
    assert control.get("/_mock/tasks") == {"tasks": []}
    assert control.get("/_mock/journal") == {"exchanges": []}
    assert control.get("/_mock/accounts/kling-default") == before


def test_pictures_are_measured_and_may_be_long(control: Control) -> None:
    """A payload of 3 MB is taken, although other endpoints take one; its picture is looked at."""
    wide = base64.b64encode((MEDIA / "too-wide-751x300.png").read_bytes()).decode()
    found = control.post("/_mock/judge", {"body": {"toy": "kite", "wind": 1, "photo": wide}})
    assert "a-photo-fits-the-bench" in [row["rule"] for row in found["violations"]]
    found = control.post("/_mock/judge", {"body": {"toy": "bear", "photo": "A" * 3_000_000}})
    assert [row["rule"] for row in found["violations"] if row["severity"] == "refused"] == ["a-photo-is-a-picture"]
    assert len(json.dumps(found)) < 10_000
    assert control.refused(413, "POST", "/_mock/accounts", {"provider": "a" * 3_000_000})
