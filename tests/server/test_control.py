"""The control API as a whole: its document is what is served, and it refuses strangers and nonsense with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask

from kling_mock import __version__
from kling_mock.server.control import control as make_blueprint
from kling_mock.server.control_document import document
from tests.server.control_client import Control


def test_the_document_and_the_routes_are_the_same(control: Control) -> None:
    """Each documented method of each path is a route, and each route is documented."""
    app = Flask("routes", static_folder=None)
    app.register_blueprint(make_blueprint(control.mock, frozenset()))
    rules = {
        (rule.rule.replace("<", "{").replace(">", "}"), method)
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    served = {(path, method) for path, method in rules if method not in ("HEAD", "OPTIONS")}
    paths = document().node["paths"]
    assert served == {(path, method.upper()) for path, item in paths.items() for method in item}
    assert {path for path, method in rules if method == "HEAD"} == {path for path, method in served if method == "GET"}


def examples(node: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Every schema's examples, with the pointer of the schema."""
    for name, schema in node["components"]["schemas"].items():
        for example in schema.get("examples", []):
            yield f"#/components/schemas/{name}", example


def test_every_example_is_valid() -> None:
    """The examples of the document's schemas are what the schemas describe."""
    node = document().node
    found = list(examples(node, ""))
    assert len(found) > 15
    for reference, example in found:
        jsonschema_rs.validate({"$ref": reference, "components": node["components"]}, example)


def test_the_mock_is_healthy(control: Control) -> None:
    """The health says which version serves which providers."""
    assert control.get("/_mock/health") == {"status": "ok", "version": __version__, "providers": ["kling"]}


def test_the_document_is_served(control: Control) -> None:
    """A client can generate itself from the served document."""
    assert control.get("/_mock/openapi.json") == document().node


def test_the_providers_are_described(control: Control) -> None:
    """A front end learns the variables, operations and scenarios of each provider."""
    [found] = control.get("/_mock/providers")["providers"]
    provider = control.mock.providers["kling"]
    assert found["environment"]["base_url"] == "KLING_BASE_URL"
    assert found["environment"]["api_key"] == "KLING_API_KEY"
    assert {"id": "getImageToVideo", "method": "GET", "path": "/v1/videos/image2video/{id}", "role": "query"} in found[
        "operations"
    ]
    assert {row["name"] for row in found["scenarios"]} == set(provider.scenarios)
    assert found["states"] == list(provider.lifecycle.states)
    assert found["digest"] == provider.digest
    assert found["evidence"] == provider.evidence
    assert found["default"] is True


# Nonsense


@pytest.mark.parametrize(
    ("query", "pointer", "message"),
    [
        ("acount=x", "query/acount", "is no parameter of /_mock/tasks; did you mean 'account'?"),
        ("zzz", "query/zzz", "is no parameter of /_mock/tasks; known are account, provider, state"),
        ("state=failed&state=failed", "query/state", "is there more than once"),
    ],
)
def test_an_unknown_parameter_is_refused(control: Control, query: str, pointer: str, message: str) -> None:
    """A misspelt filter would otherwise show everything."""
    problem = control.refused(400, "GET", f"/_mock/tasks?{query}")
    assert problem["errors"] == [{"pointer": pointer, "message": message}]


def test_an_endpoint_without_parameters_says_so(control: Control) -> None:
    """Where nothing is known nothing is suggested."""
    problem = control.refused(400, "GET", "/_mock/health?verbose=1")
    assert problem["detail"] == "query/verbose: is no parameter of /_mock/health; it takes none"


@pytest.mark.parametrize(
    ("filter_", "message"),
    [
        ("provider=klinng", "there is no provider 'klinng'; did you mean 'kling'?"),
        ("account=kling-defualt", "there is no account 'kling-defualt'; did you mean 'kling-default'?"),
        ("state=sucseed", "there is no state 'sucseed'; did you mean 'succeed'?"),
        ("provider=%ED%A0%80&state=failed", "there is no provider '%ED%A0%80'; known are kling"),
    ],
)
def test_a_filter_must_name_something(control: Control, filter_: str, message: str) -> None:
    """A filter that can match nothing is refused with what was probably meant."""
    problem = control.refused(422, "GET", f"/_mock/tasks?{filter_}")
    assert problem["errors"] == [{"pointer": f"query/{filter_.partition('=')[0]}", "message": message}]


POSTS = ["/_mock/accounts", "/_mock/clock", "/_mock/reset", "/_mock/tasks/1/state"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_a_change_needs_json(control: Control, path: str, content_type: str) -> None:
    """The content types that a foreign page's form can send are refused before the body is looked at."""
    problem = control.refused(415, "POST", path, b"{}", {"Content-Type": content_type})
    said = f"the content type should be application/json; is {content_type or 'missing'}; for example: curl -X POST "
    assert problem["detail"].startswith(said)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"provider": NaN}', "NaN is no JSON number"),
        (b'{"provider": 1e999}', "a number is too large"),
        (b'{"provider": "\\ud800"}', "half of a surrogate pair"),
        (b'{"provider": "\xff"}', "is not UTF-8"),
        (b'{"provider": "a", "provider": "b"}', "the key 'provider' is there twice"),
        (b'{"provider": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested deeper than 64 levels"),
    ],
)
def test_broken_json_is_refused(control: Control, body: bytes, why: str) -> None:
    """400 and where it breaks, for all that the strict reading refuses."""
    problem = control.refused(400, "POST", "/_mock/accounts", body)
    assert problem["detail"].startswith("the body is no JSON: ")
    assert why in problem["detail"]


@pytest.mark.parametrize(
    ("path", "body", "pointer", "message"),
    [
        ("accounts", {}, "/provider", "is required"),
        ("accounts", [], "", "should be of type object; is array"),
        ("accounts", {"provider": "kling", "slot": 1}, "/slot", "is no known key here; did you mean 'slots'?"),
        ("accounts", {"provider": "kling", "slots": 1.5}, "/slots", "should be of type integer; is number"),
        ("accounts", {"provider": "kling", "slots": -1}, "/slots", "should be at least 0; is -1"),
        ("accounts", {"provider": "kling", "slots": 10**60}, "/slots", f"should be at most 1000000; is {10**60}"),
        ("accounts", {"packs": [{"totl": 1}]}, "/packs/0/totl", "is no known key here; did you mean 'total'?"),
        ("accounts", {"packs": [{"type": "x"}]}, "/packs/0/total", "is required"),
        ("clock", {"freeze": False}, "/freeze", "should be true; is false"),
        ("clock", {}, "", "give exactly one of advance, freeze, resume, speed, set"),
        ("clock", {"freeze": True, "resume": True}, "", "give exactly one of advance, freeze, resume, speed, set"),
        ("reset", {"acount": "x"}, "/acount", "is no known key here; did you mean 'account'?"),
        ("tasks/1/state", {"state": 1}, "/state", "should be of type string; is integer"),
        ("tasks/1/state", {"a/b": 1}, "/a~1b", "is no known key here; known are break, reason, state"),
    ],
)  # fmt: skip
def test_a_wrong_body_is_refused_with_its_pointer(
    control: Control, path: str, body: Any, pointer: str, message: str
) -> None:
    """422 with each wrong place and what would be right."""
    problem = control.refused(422, "POST", f"/_mock/{path}", body)
    assert {"pointer": pointer, "message": message} in problem["errors"]
    assert all("does not satisfy" not in error["message"] for error in problem["errors"])


def test_many_errors_are_counted_not_listed(control: Control) -> None:
    """The list has an end, and the sentence names the first three."""
    problem = control.refused(422, "POST", "/_mock/accounts", {"provider": "kling"} | {f"x{n}": n for n in range(50)})
    assert len(problem["errors"]) == 20
    assert problem["detail"].count("is no known key here") == 3
    assert problem["detail"].endswith("; and 17 more")


def test_a_body_that_did_not_arrive_is_not_taken_for_an_empty_one(control: Control) -> None:
    """Some servers hand on no chunked bodies: a reset of one account must not become a reset of all."""
    chunked = {"Transfer-Encoding": "chunked"}
    assert control.refused(411, "POST", "/_mock/reset", b"", chunked)["title"] == "Length Required"


def test_a_long_body_is_refused(control: Control) -> None:
    """The control API takes a megabyte."""
    problem = control.refused(413, "POST", "/_mock/accounts", b'{"provider": "' + b"x" * 1_100_000 + b'"}')
    assert problem["title"] == "Request Entity Too Large"
