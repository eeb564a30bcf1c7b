"""The Flask application by itself: the same answers as the server's, under any WSGI server and Flask's test client."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from kling_mock.core.provider import Provider
from kling_mock.loading import load_providers
from kling_mock.server import app as application
from kling_mock.server.app import create_app, is_control
from kling_mock.server.mock import Mock
from tests.conftest import Client
from tests.exchanges import EXCHANGES, catalogued, creates, every_provider, written
from tests.server.wire import BODY as RAW
from tests.server.wire import PATH, shown

BODY = json.loads(RAW)


@pytest.fixture
def web(mock: Mock) -> FlaskClient:
    """Flask's test client of all providers."""
    return create_app(mock).test_client()


def wrong(answer: TestResponse) -> list[tuple[str, str]]:
    """Rule and pointer of each violation."""
    return [(row["rule"], row["pointer"]) for row in json.loads(answer.headers.get("X-Mock-Violations", "[]"))]


def test_it_is_complete_without_an_argument() -> None:
    """`create_app()` serves every bundled provider with its default account, and the control API."""
    web = create_app().test_client()
    key = load_providers()["kling"].credentials["api_key"].default
    made = web.post(PATH, json=BODY, headers={"Authorization": f"Bearer {key}"})
    assert made.status_code == 200
    assert made.json["data"]["task_status"] == "submitted"
    assert [row["id"] for row in web.get("/_mock/tasks").json["tasks"]] == [made.json["data"]["task_id"]]
    assert {row["name"] for row in web.get("/_mock/providers").json["providers"]} == set(load_providers())


@pytest.mark.parametrize("name", EXCHANGES)
def test_it_answers_as_the_mock_does(name: str, providers: Mapping[str, Provider], make_mock: Any) -> None:
    """Every fixture's request: the same status, headers and bytes through Flask as from the function inside."""
    provider = providers[name.partition("/")[0]]
    request = written(name)
    inside, outside = make_mock(provider), make_mock(provider)
    headers = {**request.headers, **shown(inside, request.path, provider.name)}
    target = request.path + "?" * bool(request.query) + request.query
    expected = Client(inside, provider).send(
        request.method, request.path, query=request.query, body=request.body, headers=headers
    )
    got = (
        create_app(outside)
        .test_client()
        .open(target, method=request.method, data=request.body or None, headers=headers)
    )
    assert (got.status_code, got.data) == (expected.status, expected.body)
    assert sorted((k.lower(), v) for k, v in got.headers.items()) == sorted(expected.headers.items())


@pytest.mark.parametrize("method", ["PROPFIND", "DELETE", "PATCH", "PUT", "OPTIONS", "TRACE", "BREW"])
def test_strange_methods_get_the_providers_answer(method: str, web: FlaskClient) -> None:
    """Flask's own 405 and its automatic OPTIONS never show; the vendor's answer does, with `Allow`."""
    got = web.open(PATH, method=method)
    assert (got.status_code, got.json["code"]) == (404, 1202)
    assert got.headers["Allow"] == "GET, POST"
    assert wrong(got) == [("mock/route.method", "")]


def test_head_has_no_body(web: FlaskClient) -> None:
    """HEAD is a method that the path has not, and its answer has no body."""
    got = web.head(PATH)
    assert (got.status_code, got.data) == (404, b"")


@pytest.mark.parametrize("path", ["/", "/v1", "/static/x", "/v1/%00", "/%ff", "/v1/videos/image2video%2f", "/_mockery"])
def test_a_path_of_nobody_gets_the_default_providers_404(path: str, web: FlaskClient) -> None:
    """Flask's HTML 404 never shows."""
    got = web.get(path)
    assert (got.status_code, got.json["error"]) == (404, "Not Found")
    assert wrong(got) == [("mock/route.path", "")]


@pytest.mark.parametrize("raw", [True, False])
def test_percent_encoded_paths(raw: bool, mock: Mock, web: FlaskClient) -> None:
    """An external id with a slash and an umlaut is found by its encoded form, whatever the WSGI server tells."""
    name = "jöb/7 %"
    encoded = "j%C3%B6b%2F7%20%25" if raw else "j%C3%B6b-7%20%25"
    name = name if raw else name.replace("/", "-")
    web.post(PATH, json={**BODY, "external_task_id": name}, headers=shown(mock))
    environ = {"RAW_URI": f"{PATH}/{encoded}", "REQUEST_URI": f"{PATH}/{encoded}"} if raw else {"REQUEST_URI": ""}
    got = web.get(f"{PATH}/{encoded}", headers=shown(mock), environ_overrides=environ)
    assert got.status_code == 200, got.json
    assert got.json["data"]["task_info"]["external_task_id"] == name


@every_provider
def test_a_body_over_the_limit(provider: Provider, make_mock: Any) -> None:
    """413 in the provider's words; exactly the limit is no matter of size."""
    mock = make_mock(provider, max_body=1000)
    request = written(next(creates(Client(mock, provider))))
    typed = {"content-type": request.headers["content-type"]}
    web, headers = create_app(mock).test_client(), shown(mock, request.path, provider.name, **typed)
    got = web.post(request.path, data=b"x" * 1001, headers=headers)
    assert (got.status_code, wrong(got)) == (413, [("mock/body.size", "")])
    below = web.post(request.path, data=b"x" * 1000, headers=headers)
    assert ("mock/body.size", "") not in wrong(below)


def test_a_chunked_body_has_the_same_limit(providers: Mapping[str, Provider], make_mock: Any) -> None:
    """Without a Content-Length the bytes are counted; a server that ends the input says so in the environment."""
    mock = make_mock(providers["kling"], max_body=1000)
    web = create_app(mock).test_client()
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    for size, status in ((1000, 200), (1001, 413)):
        body = json.dumps(BODY).encode().ljust(size)
        headers = {**shown(mock), "Content-Type": "application/json"}
        got = web.post(PATH, data=body, headers=headers, environ_overrides=environ)
        assert got.status_code == status, got.json


@pytest.mark.parametrize("length", ["-1", "nonsense", "1e3"])
def test_a_wrong_length_is_no_crash(length: str, mock: Mock, web: FlaskClient) -> None:
    """A Content-Length that is none: some refusal of the provider's, never a 5xx and never Flask's HTML."""
    headers = {**shown(mock), "Content-Type": "application/json"}
    got = web.post(PATH, data=json.dumps(BODY), headers=headers, environ_overrides={"CONTENT_LENGTH": length})
    assert got.status_code < 500
    assert "code" in got.json


# Deliveries, as far as WSGI can


def create(mock: Mock, scenario: str) -> TestResponse:
    """A create under a scenario, its body not read yet."""
    headers = {**shown(mock), "Prefer": f"scenario={scenario}"}
    return create_app(mock).test_client().post(PATH, json=BODY, headers=headers, buffered=False)


@pytest.mark.parametrize(("scenario", "kept"), [("reset", b""), ("short", b'{"code":0,"message":')])
def test_a_cut_delivery_breaks_off(scenario: str, kept: bytes, cutting: Mock) -> None:
    """The body begins, then the iteration ends in the exception that makes a WSGI server drop the connection."""
    answer = create(cutting, scenario)
    received = b""

    def read() -> None:
        nonlocal received
        for chunk in answer.iter_encoded():
            received += chunk

    with pytest.raises(ConnectionAbortedError, match="the scenario cuts the answer here"):
        read()
    answer.close()
    assert received == kept
    assert int(answer.headers["Content-Length"]) > len(kept)


def test_a_late_delivery_waits(cutting: Mock) -> None:
    """The answer comes after its time, whole."""
    start = time.monotonic()
    answer = create(cutting, "late")
    assert time.monotonic() - start >= 0.3
    assert answer.json["code"] == 0


def test_a_delivery_that_never_comes_sleeps(cutting: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    """WSGI can only hold the thread; for how long is a constant."""
    slept: list[float] = []
    monkeypatch.setattr(application.time, "sleep", slept.append)
    create(cutting, "hangs").close()
    assert slept == [application.NEVER_SECONDS]


# The mock's own failure


@every_provider
def test_a_failure_of_the_mock_is_the_providers_500(
    provider: Provider, mock: Mock, web: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception inside: the provider's own 500 in JSON, and one log record with the traceback."""

    def broken(*_: object) -> None:
        raise RuntimeError("the shelf fell down")

    monkeypatch.setattr(mock, "answer", broken)
    path = next(iter(provider.operations.values())).path
    with caplog.at_level(logging.ERROR, "kling_mock"):
        got = web.post(path)
    assert got.status_code == catalogued(provider, "mock.failure") >= 500
    assert isinstance(got.json, dict)
    assert [row.getMessage() for row in caplog.records] == [f"the mock failed at POST {path}"]
    assert caplog.records[0].exc_info is not None
    assert str(caplog.records[0].exc_info[1]) == "the shelf fell down"


@pytest.mark.parametrize(
    ("path", "control"),
    [("/_mock", True), ("/_mock/", True), ("/_mock/x", True), ("/_mocks", False), ("/a/_mock", False)]
)  # fmt: skip
def test_what_belongs_to_the_control_api(path: str, control: bool) -> None:
    """`/_mock` and what is below it, and nothing else."""
    assert is_control(path) is control
