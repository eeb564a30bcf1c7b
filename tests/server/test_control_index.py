"""The control API for a person: an index of what is there, and refusals that say what to type instead."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

import pytest

from kling_mock.core.provider import Provider
from kling_mock.server.control_document import document
from kling_mock.server.mock import Mock
from tests.server.control_client import Control

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
POSTS = [path for path, item in document().node["paths"].items() if "post" in item]


@pytest.fixture
def control(make_mock: Callable[..., Mock], providers: Mapping[str, Provider]) -> Control:
    """The control API of a mock of the default provider."""
    return Control(make_mock(providers["kling"]))


def documented() -> list[tuple[str, str, str]]:
    """Method, path and summary of every operation of the document."""
    rows = ((path, method, item) for path, each in document().node["paths"].items() for method, item in each.items())
    return [(method.upper(), path, item["summary"]) for path, method, item in rows]


@pytest.mark.parametrize("path", ["/_mock", "/_mock/"])
def test_the_index_is_the_documents_own(control: Control, path: str) -> None:
    """Every endpoint with the line that control.yaml has on it, in its order; a slash at the end is no mistake."""
    reply = control.app.test_client().get(path, headers={"Host": "127.0.0.1:8787"})
    assert (reply.status_code, reply.content_type) == (200, "application/json")
    found = [(row["method"], row["path"], row["summary"]) for row in reply.json["endpoints"]]
    assert found == documented()
    assert control.get(reply.json["document"]) == document().node
    assert control.get("/_mock") == reply.json


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/*", "nonsense", "image/png"])
def test_programs_get_json(control: Control, accept: str) -> None:
    """curl, fetch and clients that say nothing."""
    assert control.send("GET", "/_mock", headers={"Accept": accept}).content_type == "application/json"


@pytest.mark.parametrize("accept", [BROWSER["Accept"], "text/plain", "text/*"])
def test_a_browser_gets_a_text_to_read(control: Control, accept: str) -> None:
    """A line for each endpoint, in columns; no markup, so nothing in it can run."""
    reply = control.send("GET", "/_mock", headers={"Accept": accept})
    assert reply.content_type == "text/plain; charset=utf-8"
    lines = [tuple(line.split(maxsplit=2)) for line in reply.text.splitlines()]
    assert lines == documented()
    assert len({line.index(summary) for line, (*_, summary) in zip(reply.text.splitlines(), lines, strict=True)}) == 1


def test_the_index_is_for_the_same_callers_as_the_rest(control: Control) -> None:
    """A foreign page gets no index, and it takes neither parameters nor other methods."""
    assert control.refused(403, "GET", "/_mock", headers={"Host": "evil.test"})
    assert control.refused(400, "GET", "/_mock?all=1")
    assert control.send("POST", "/_mock", b"{}").headers["Allow"] == "GET, HEAD, OPTIONS"


def test_every_summary_is_a_line() -> None:
    """What the index shows is one sentence or two, on one line."""
    for method, path, summary in documented():
        assert summary.endswith("."), (method, path)
        assert "\n" not in summary
        assert len(summary) <= 120


@pytest.mark.parametrize("path", POSTS)
def test_a_change_without_json_is_told_what_to_type(control: Control, path: str) -> None:
    """`curl -X POST .../_mock/reset` is what people type: the refusal has the line that works, and it does work."""
    asked = path.replace("{id}", "it's")
    problem = control.refused(415, "POST", asked)
    said, _, typed = problem["detail"].partition("; for example: ")
    assert said == "the content type should be application/json; is missing"
    words = shlex.split(typed)
    assert words[:4] == ["curl", "-X", "POST", f"http://127.0.0.1:8787{asked}"]
    assert words[4:7] == ["-H", "Content-Type: application/json", "-d"]
    reply = control.send("POST", asked, words[7].encode())
    assert reply.status_code in (200, 201, 404), reply.text
    assert (reply.status_code == 404) == ("{id}" in path)


def test_the_typed_line_has_the_callers_address(control: Control) -> None:
    """It is the server as the caller reached it."""
    problem = control.refused(415, "POST", "/_mock/reset", headers={"Host": "localhost:9"})
    assert problem["detail"].endswith(
        "curl -X POST http://localhost:9/_mock/reset -H 'Content-Type: application/json' -d '{}'"
    )


def test_a_reset_counts_requests_anew_and_so_gives_the_same_ids(control: Control) -> None:
    """As the document says: ids start over, accounts and clocks stay."""
    control.post("/_mock/clock", {"advance": "1h"})
    new = control.post("/_mock/accounts", {"provider": "kling"}, 201)
    before = control.get("/_mock/clock")
    ids = [control.create() for _ in range(3)]
    assert control.post("/_mock/reset", {})["reset"]["tasks"] == 3
    assert [control.create() for _ in range(3)] == ids
    assert control.get("/_mock/clock") == before
    assert control.get(f"/_mock/accounts/{new['id']}") == new
    described = document().node["paths"]["/_mock/reset"]["post"]["description"]
    assert "the same ids as before" in described


def test_a_control_reply_has_no_date(control: Control) -> None:
    """Two runs with the same seed and instant are the same to the byte, the control API's replies included."""
    for path in ("/_mock", "/_mock/health", "/_mock/accounts", "/_mock/clock", "/_mock/journal", "/_mock/nothing"):
        assert "Date" not in control.send("GET", path).headers
