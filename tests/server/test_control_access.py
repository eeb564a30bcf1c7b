"""Who may call the control API, and what the wrong path or method gets: always a problem that says why."""

from __future__ import annotations

import pytest

from tests.server.control_client import Control

HOSTS = ["localhost", "LOCALHOST:8787", "127.0.0.1:1", "127.8.9.1", "[::1]:8787", "localhost.", "mock.test:80"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_of_this_machine_is_let_in(control: Control, host: str) -> None:
    """Loopback names with any port, and the names that were allowed."""
    assert Control(control.mock, frozenset({"Mock.test"})).get("/_mock/health", {"Host": host})


@pytest.mark.parametrize(
    "host",
    ["evil.test", "128.0.0.1", "127.0.0.1.evil.test", "localhost@evil.test", "[::2]", "a b", "localhost:x", "10.0.0.1"],
)
@pytest.mark.parametrize("path", ["/_mock/health", "/_mock/nowhere", "/_mock/reset"])
def test_a_foreign_host_is_refused(control: Control, host: str, path: str) -> None:
    """A name that a web page's author pointed here gets nothing, not even which paths there are."""
    problem = control.refused(403, "POST" if path.endswith("reset") else "GET", path, headers={"Host": host})
    assert problem["detail"].startswith(f"the host {host!r} is not this server's")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8787", "localhost:8787"),
        ("http://LOCALHOST", "localhost"),
        ("http://localhost", "localhost:80"),
        ("https://localhost", "localhost:443"),
        ("http://[::1]:8787", "[::1]:8787"),
    ],
)
def test_a_page_of_the_same_origin_may_call(control: Control, origin: str, host: str) -> None:
    """The mock's own pages send an Origin that is the Host."""
    assert control.get("/_mock/tasks", {"Origin": origin, "Host": host}) == {"tasks": []}


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.test",
        "http://127.0.0.1",
        "http://localhost:8787",
        "http://127.0.0.1:8788",
        "127.0.0.1:8787",
        "file://127.0.0.1:8787",
        "http://[",
        "http://127.0.0.1:8787/x",
        "http://a@127.0.0.1:8787",
    ],
)
def test_a_page_of_another_origin_is_refused(control: Control, origin: str) -> None:
    """Another name, another port, no origin at all: none of them may change or read anything."""
    headers = {"Origin": origin or " ", "Content-Type": "application/json"}
    problem = control.refused(403, "POST", "/_mock/reset", {}, headers)
    assert problem["detail"].endswith("may not call the control API")
    assert control.refused(403, "OPTIONS", "/_mock/reset", headers=headers) == problem


# Paths and methods


@pytest.mark.parametrize(
    "path",
    [
        "/_mock//",
        "/_mock/helth",
        "/_mock/health/",
        "/_mock/%2568ealth",
        "/_mock/a%00%ff",
        "/_mock/tasks//state",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "BREW"])
def test_an_unknown_path_is_a_problem(control: Control, path: str, method: str) -> None:
    """Whatever else the application serves, nothing under the prefix falls through to it."""
    problem = control.refused(404, method, path)
    assert problem["detail"].startswith("there is no /_mock")
    assert "did you mean '/_mock/health'" in problem["detail"] or "helth" not in path


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/_mock/health", "GET, HEAD, OPTIONS"),
        ("DELETE", "/_mock/accounts", "GET, HEAD, OPTIONS, POST"),
        ("GET", "/_mock/reset", "OPTIONS, POST"),
        ("HEAD", "/_mock/reset", "OPTIONS, POST"),
        ("BREW", "/_mock/tasks/1/state", "OPTIONS, POST"),
        ("PUT", "/_mock/media/kling/1/0.mp4", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(control: Control, method: str, path: str, allowed: str) -> None:
    """405 with Allow, and the same in words."""
    reply = control.send(method, path)
    assert (reply.status_code, reply.headers["Allow"]) == (405, allowed)
    assert method == "HEAD" or reply.json["detail"] == f"the path takes {allowed}, not {method}"


def test_options_and_head_are_answered(control: Control) -> None:
    """OPTIONS names the methods; HEAD is GET without its body."""
    reply = control.send("OPTIONS", "/_mock/clock")
    assert (reply.status_code, reply.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    head, got = control.send("HEAD", "/_mock/health"), control.send("GET", "/_mock/health")
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(got.data)))


def test_other_paths_are_left_alone(control: Control) -> None:
    """The guard looks at nothing outside the prefix, not even the host."""
    reply = control.app.test_client().get("/_mocked", headers={"Host": "evil.test", "Origin": "null"})
    assert reply.text == "not the control API"
