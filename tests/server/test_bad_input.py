"""Bad input: never a 5xx, always the provider's envelope. And odd input that the real thing takes: warnings at most."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kling_mock.core.model import Request
from kling_mock.core.provider import Operation, Provider
from kling_mock.server.mock import Mock, Options
from tests.conftest import AT, PROVIDERS, Answer, Client, Wall
from tests.exchanges import EXCHANGES, catalogued, every_provider, load, written
from tests.referee import referee

MakeClient = Callable[..., Client]
VIDEOS = "/v1/videos/image2video"
JSON = "application/json"
HEADERS = {scheme.header for p in PROVIDERS.values() for o in p.operations.values() for a in o.security for scheme in a}
WRONG_KEYS = dict.fromkeys(HEADERS, "Bearer nobody's")
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "get",
    "x" * 5000,
)
OPERATIONS = [(provider.name, row.id) for provider in PROVIDERS.values() for row in provider.operations.values()]
WITH_BODY = [(name, id_) for name, id_ in OPERATIONS if PROVIDERS[name].operations[id_].bodies]
every_operation = pytest.mark.parametrize(("name", "id_"), OPERATIONS)
every_body = pytest.mark.parametrize(("name", "id_"), WITH_BODY)

# What each provider answers to a body that is no JSON: status, and the values in its envelope, written down by hand.
NO_JSON: dict[str, tuple[int, dict[str, Any]]] = {
    "kling": (400, {"code": 1200}),
    "302ai": (400, {"err_code": -10011, "message": "Invalid request"}),
    "pixazo": (400, {"error": "Invalid request parameters"}),
    "rixapi": (400, {"code": "invalid_request", "type": "rix_api_error"}),
    "toymaker": (400, {"kind": "unreadable"}),
}
TOO_LONG: dict[str, dict[str, Any]] = {
    "kling": {"code": 1200, "message": "The request body is too large"},
    "302ai": {"err_code": -10011},
    "pixazo": {"error": "Invalid request parameters"},
    "rixapi": {"code": "invalid_request", "message": "The body is too large"},
    "toymaker": {"kind": "too-long", "text": "The order fills more than one sheet"},
}
WRONG_TYPE: dict[str, int] = {"kling": 415, "302ai": 400, "pixazo": 400, "rixapi": 400, "toymaker": 415}

BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b"  \r\n",
    "an open object": b"{",
    "a trailing comma": b'{"image": "x",}',
    "single quotes": b"{'image': 'x'}",
    "two documents": b"{}{}",
    "a comment": b'{"image": "x" /* first */}',
    "NaN": b'{"cfg_scale": NaN}',
    "Infinity": b'{"cfg_scale": Infinity}',
    "minus Infinity": b'{"cfg_scale": -Infinity}',
    "a number beyond doubles": b'{"cfg_scale": 1e400}',
    "a number of 5000 digits": b'{"cfg_scale": ' + b"9" * 5000 + b"}",
    "a duplicate key": b'{"image": "a", "image": "b"}',
    "a duplicate key below": b'{"image": "a", "camera_control": {"type": "", "type": ""}}',
    "a lone surrogate": b'{"prompt": "\\ud800"}',
    "a lone low surrogate as a key": b'{"\\udc00": 1}',
    "surrogates as UTF-8": b'{"prompt": "\xed\xa0\x80"}',
    "latin-1": b'{"prompt": "caf\xe9"}',
    "UTF-16": '{"prompt": "x"}'.encode("utf-16"),
    "a control character": b'{"prompt": "\x00"}',
    "100 levels": b'{"camera_control": ' + b"[" * 100 + b"]" * 100 + b"}",
    "100 levels of objects": b'{"a":' * 100 + b"1" + b"}" * 100,
    "100000 levels": b"[" * 100_000 + b"]" * 100_000,
    "100000 open brackets": b"[" * 100_000,
    "100000 levels of objects": b'{"a":' * 100_000,
}


def json_bodied(provider: Provider) -> Operation:
    """An operation of the provider that creates from a JSON body."""
    return next(
        row for row in provider.operations.values() if row.role == "create" and "application/json" in row.bodies
    )


def path_of(operation: Operation) -> str:
    """The operation's path with something in the place of each parameter."""
    allowed = {"{action}": "videos", "{action2}": "image2video"}
    return "/".join(allowed.get(part, part.strip("{}")) for part in operation.path.split("/"))


def inner(answer: Answer) -> dict[str, Any]:
    """The envelope's values, whether they stand in an inner object or not."""
    body: dict[str, Any] = answer.json
    return next((item for item in body.values() if isinstance(item, dict)), body)


def assert_enveloped(provider: Provider, operation: Operation | None, answer: Answer) -> None:
    """No 5xx; an error is JSON that fits the operation's documents, by openapi-core."""
    assert answer.status < 500, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert all(name.isascii() and value.isascii() for name, value in answer.headers.items())
    assert not any(mark in value for value in answer.headers.values() for mark in "\r\n\0")
    assert len(answer.headers.get("x-mock-violations", "")) <= 4096
    if answer.status >= 400:
        assert answer.violations, "a refusal says why"
        row = operation or next(iter(provider.operations.values()))
        assert referee(provider.name).reply(row.id, answer.status, answer.json) == []


@pytest.mark.parametrize("case", BROKEN)
@every_provider
def test_what_is_no_json_is_refused(provider: Provider, case: str, client: MakeClient) -> None:
    """Broken, ambiguous and hostile documents have the provider's answer to a body that cannot be read."""
    operation = json_bodied(provider)
    answer = client(provider).send(
        operation.method, operation.path, body=BROKEN[case], headers={"content-type": "application/json"}
    )
    assert answer.wrong == [("mock/body.syntax", "")]
    status, values = NO_JSON[provider.name]
    assert answer.status == status
    assert {key: inner(answer).get(key) for key in values} == values
    assert_enveloped(provider, operation, answer)


@pytest.mark.parametrize("body", [[], ["x"], "text", 7, 1.5, True, None, "", 0, [[]]])
@every_body
def test_a_body_that_is_no_object_is_refused(name: str, id_: str, body: Any, client: MakeClient) -> None:
    """JSON of another type is refused by the schema, at the whole document."""
    provider = PROVIDERS[name]
    operation = provider.operations[id_]
    sent = json.dumps(body).encode()
    answer = client(provider).send(
        operation.method, operation.path, body=sent, headers={"content-type": "application/json"}
    )
    assert 400 <= answer.status < 500
    assert (f"{id_}/type", "") in answer.wrong
    assert_enveloped(provider, operation, answer)


@pytest.mark.parametrize("size", [64 * 1024 * 1024 + 1])
@every_body
def test_a_body_over_the_limit_is_refused(name: str, id_: str, size: int, client: MakeClient) -> None:
    """413 in the provider's envelope when the server says that the body was too long and is not here."""
    provider, operation = PROVIDERS[name], PROVIDERS[name].operations[id_]
    caller = client(provider)
    framed = {"content-type": "application/json", "content-length": str(size)}
    headers = caller.sent(operation.method, operation.path, framed)
    wire = caller.mock.answer(Request(operation.method, operation.path, "", headers, b"", oversized=True))
    answer = Answer(wire.status, {key.lower(): value for key, value in wire.headers.items()}, wire.body, wire.delivery)
    assert answer.status == 413
    assert answer.wrong == [("mock/body.size", "")]
    assert {key: inner(answer).get(key) for key in TOO_LONG[name]} == TOO_LONG[name]
    assert_enveloped(provider, operation, answer)


@pytest.mark.parametrize("extra", [0, 1])
def test_flask_counts_the_body(extra: int, make_mock: Callable[..., Mock]) -> None:
    """The application takes a body of exactly max_body bytes, and refuses one byte more unread."""
    from kling_mock.server.app import create_app

    mock = make_mock(PROVIDERS["kling"], max_body=1000)
    body = b'{"image": "https://example.com/a.png"}'.ljust(1000 + extra)
    caller = Client(mock, PROVIDERS["kling"])
    headers = caller.sent("POST", VIDEOS, {"content-type": "application/json"})
    answer = create_app(mock).test_client().post(VIDEOS, data=body, headers=headers)
    assert answer.status_code == (413 if extra else 200)


FOREIGN_TYPES = ["text/plain", "application/xml", "multipart/form-data", "application/x-www-form-urlencoded"]
FOREIGN_TYPES += ["nonsense", "x" * 9999, "application/json, text/plain", "é/é", "application/problem+json"]


def takes_json_only(provider: Provider, content_type: str) -> Operation | None:
    """An operation of the provider that takes JSON and not this type."""
    taken = (row for row in provider.operations.values() if "application/json" in row.bodies)
    return next((row for row in taken if content_type not in row.bodies), None)


FOREIGN = [(row, type_) for row in PROVIDERS.values() for type_ in FOREIGN_TYPES if takes_json_only(row, type_)]


@pytest.mark.parametrize(("provider", "content_type"), FOREIGN, ids=[f"{p.name}-{ascii(t)[:40]}" for p, t in FOREIGN])
def test_another_content_type_is_refused(provider: Provider, content_type: str, client: MakeClient) -> None:
    """A type that the operation does not take is refused by its name; none of them is read as JSON."""
    operation = takes_json_only(provider, content_type)
    assert operation is not None
    body = b'{"image": "https://example.com/a.png"}'
    answer = client(provider).send(operation.method, operation.path, body=body, headers={"content-type": content_type})
    assert answer.wrong == [("mock/body.media-type", "")]
    assert answer.status == WRONG_TYPE[provider.name]
    assert_enveloped(provider, operation, answer)


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json", "application/json; charset=utf-8", "Application/JSON;x", ";"]
)
@every_body
def test_json_is_taken_with_and_without_its_type(
    name: str, id_: str, content_type: str | None, client: MakeClient
) -> None:
    """No operation breaks without a content type; parameters and case of the type mean nothing."""
    provider, operation = PROVIDERS[name], PROVIDERS[name].operations[id_]
    answer = client(provider).send(
        operation.method, operation.path, body=b'{"a": 1}', headers={"content-type": content_type}
    )
    assert_enveloped(provider, operation, answer)
    assert ("mock/body.media-type", "") not in answer.wrong


FORMS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", b"--x\r\n\r\n--x--"),
    "an empty boundary": ("multipart/form-data; boundary=", b"----"),
    "a boundary that is not there": ("multipart/form-data; boundary=x", b"nothing"),
    "no end": ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb'),
    "no name": ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nb\r\n--x--\r\n"),
    "no disposition": ("multipart/form-data; boundary=x", b"--x\r\n\r\nb\r\n--x--\r\n"),
    "a bad charset": ("multipart/form-data; boundary=x; charset=klingon", b"--x--\r\n"),
    "a long boundary": ("multipart/form-data; boundary=" + "x" * 9999, b"--" + b"x" * 9999 + b"--"),
    "bytes": ("multipart/form-data; boundary=x", bytes(range(256))),
    "500 parts": (
        "multipart/form-data; boundary=x",
        b"".join(b'--x\r\nContent-Disposition: form-data; name="a%d"\r\n\r\nb\r\n' % n for n in range(500))
        + b"--x--\r\n",
    ),
    "a long head": ("multipart/form-data; boundary=x", b"--x\r\nX: " + b"y" * 100_000 + b"\r\n\r\nb\r\n--x--\r\n"),
    "bad escapes": ("application/x-www-form-urlencoded", b"%zz=%&%ff=%ed%a0%80&=&&;"),
    "300 fields": ("application/x-www-form-urlencoded", b"&".join(b"a%d=b" % n for n in range(300))),
    "nothing": ("multipart/form-data; boundary=x", b""),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_broken_form_is_refused(case: str, client: MakeClient) -> None:
    """Forms that no parser can make sense of have the gateway's envelope."""
    content_type, body = FORMS[case]
    provider = PROVIDERS["302ai"]
    operation = provider.operations["m2v21ImageToVideo"]
    answer = client(provider).send("POST", operation.path, body=body, headers={"content-type": content_type})
    assert (answer.status, inner(answer)["err_code"]) == (400, -10011)
    rules = [row["rule"] for row in answer.violations if "rule" in row]
    assert {rule.rpartition("/")[2] for rule in rules} <= {"body.syntax", "required", "unknown"}
    assert "mock/body.syntax" in rules or "m2v21ImageToVideo/input_image/required" in rules
    assert_enveloped(provider, operation, answer)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [(b"a.png", ("image-is-readable", "/input_image")), (b"\xff\xed\xa0\x80.png", ("mock/body.syntax", ""))],
)
def test_a_form_with_bytes_that_are_no_text(name: bytes, wrong: tuple[str, str], client: MakeClient) -> None:
    """Bytes that are no UTF-8 do not break anything, in a field or in a file's name."""
    png = b'--x\r\nContent-Disposition: form-data; name="input_image"; filename="' + name + b'"\r\n\r\nno\r\n'
    text = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\xed\xa0\x80\x00\r\n--x--\r\n'
    caller = client("302ai")
    path = caller.provider.operations["m2v21ImageToVideo"].path
    answer = caller.send("POST", path, body=png + text, headers={"content-type": "multipart/form-data; boundary=x"})
    assert answer.wrong == [wrong]
    assert json.dumps(list(caller.mock.exchanges())).encode()


# Paths, queries, headers, methods.

IDS = [
    "é",
    "%C3%A9",
    "%00",
    "%0d%0aX-Evil:1",
    "%2F",
    "..",
    "%2e%2e",
    "%2e%2e%2f",
    "a b",
    "x" * 10_000,
    "%F0%9F%98%80",
    "😀",
]
IDS += [
    "%ED%A0%80",
    "%",
    "%zz",
    "%uD800",
    "null",
    "{id}",
    "{}",
    "%7B%7D",
    ";x=1",
    "'\"<>",
    "[mock:fail]",
    "\u00ff\u0080",
    "%",
]
QUERIES = [
    "pageNum=abc",
    "pageNum=-1",
    "pageNum=1e9",
    "pageNum=1&pageNum=2",
    "&&&",
    ";",
    "=",
    "pageNum",
    "pageNum=",
    "%",
    "\xff",
]
QUERIES += [
    "pageSize=99999999999999999999999",
    "pageSize=1e400",
    "pageNum=%00",
    "pageNum=%ED%A0%80",
    "pageNum=1.5",
    "a=" * 5000,
]
QUERIES += [
    "pageNum=NaN",
    "pageNum[]=1",
    "pageNum=+1",
    "start_time=1e99&end_time=-0",
    "geo=" + "x" * 10_000,
    "?",
    "#",
    "pageNum=٣",
]
HEADERS = [
    "",
    " ",
    ",",
    ";;;",
    "=",
    "a" * 10_000,
    "é" * 100,
    "\x80\xff",
    "scenario=",
    "scenario==",
    'scenario="',
    "variant=é",
]
HEADERS += [
    "scenario=" + "a" * 10_000,
    "scenario=a, " * 1000,
    "a " * 5000 + "=",
    "Bearer " * 1000,
    "Bearer é",
    "Bearer \xff.\xff.\xff",
]
HEADERS += [
    "Bearer " + "a" * 10_000,
    "Bearer " + "." * 10_000,
    "\t",
    "\x00",
    "Bearer\tx",
    "latency=nonsense",
    "variant=nonsense",
]


@pytest.mark.parametrize("hostile", IDS, ids=lambda value: ascii(value)[:30])
def test_a_hostile_id_is_just_unknown(hostile: str, client: MakeClient) -> None:
    """Whatever stands in a path's parameter or after the path, the answer is the provider's 4xx."""
    for name, id_ in OPERATIONS:
        provider, operation = PROVIDERS[name], PROVIDERS[name].operations[id_]
        caller = client(provider)
        parts = zip(operation.path.split("/"), path_of(operation).split("/"), strict=True)
        inside = "/".join(hostile if "{" in mine and "action" not in mine else part for mine, part in parts)
        for path in {inside, path_of(operation) + "/" + hostile} - {operation.path}:
            answer = caller.send(operation.method, path, {} if operation.bodies else None)
            assert 400 <= answer.status < 500, path
            assert_enveloped(provider, None, answer)


@pytest.mark.parametrize(
    "hostile", ["é", "x" * 10_000, "😀", "..", "\u0000", "{$task.id}", "{id}", "[mock:fail]", "%s", 7, 10**50]
)
def test_a_hostile_id_in_the_body_is_just_unknown(hostile: Any, client: MakeClient) -> None:
    """Where the id is in the body the same holds."""
    provider = PROVIDERS["pixazo"]
    operation = provider.operations["getImageToVideoStatus"]
    answer = client(provider).send("POST", operation.path, {"task_id": hostile})
    assert answer.wrong == [("mock/task.unknown", "")] or answer.wrong == [
        ("getImageToVideoStatus/task_id/type", "/task_id")
    ]
    assert_enveloped(provider, operation, answer)


def test_a_template_in_a_value_is_not_evaluated(client: MakeClient) -> None:
    """What looks like one of the spec's expressions is only text when a caller sends it."""
    kling = client("kling")
    made = kling.send("POST", VIDEOS, {"image": "https://e.test/a.png", "external_task_id": "{$request.id}"})
    assert made.json["data"]["task_info"] == {"external_task_id": "{$request.id}"}


@pytest.mark.parametrize("query", QUERIES, ids=lambda value: ascii(value)[:30])
def test_a_hostile_query_breaks_nothing(query: str, client: MakeClient) -> None:
    """Bad parameters are refused or ignored."""
    for name, id_ in OPERATIONS:
        provider, operation = PROVIDERS[name], PROVIDERS[name].operations[id_]
        body = {} if operation.bodies else None
        assert_enveloped(
            provider, operation, client(provider).send(operation.method, path_of(operation), body, query=query)
        )


@pytest.mark.parametrize(
    ("query", "value"),
    [("pageNum=abc", "abc"), ("pageNum=-1", "-1"), ("pageNum=1e9", "1000000000"), ("pageNum=1.5", "1.5")],
)
def test_a_bad_page_has_the_vendors_text(query: str, value: str, client: MakeClient) -> None:
    """The text names the field and the value."""
    answer = client("kling").send("GET", VIDEOS, query=query)
    assert (answer.status, answer.json["code"]) == (400, 1201)
    assert answer.json["message"] == f"pageNum value '{value}' is invalid"
    assert answer.violations[0]["pointer"] == "query/pageNum"


@pytest.mark.parametrize(
    "header", ["prefer", "authorization", "content-type", "host", "ocp-apim-subscription-key", "cache-control"]
)
@pytest.mark.parametrize("value", HEADERS, ids=lambda value: ascii(value)[:30])
def test_a_hostile_header_breaks_nothing(header: str, value: str, client: MakeClient) -> None:
    """Long, empty and non-ASCII headers, in every provider's create and query."""
    for provider in PROVIDERS.values():
        caller = client(provider)
        for operation in provider.operations.values():
            body = {"image": "https://example.com/a.png"} if operation.bodies else None
            answer = caller.send(operation.method, path_of(operation), body, headers={header: value})
            assert_enveloped(provider, None if header == "host" else operation, answer)
        assert json.dumps(list(caller.mock.exchanges()), allow_nan=False).encode()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method[:10])
def test_a_wrong_method_is_answered_as_the_provider_does(method: str, client: MakeClient) -> None:
    """A method that the path has not gets the provider's error, and Allow says which it has."""
    for name, id_ in OPERATIONS:
        provider, operation = PROVIDERS[name], PROVIDERS[name].operations[id_]
        found = provider.routes.find(path_of(operation))
        assert found is not None
        if method in found[0]:
            continue
        answer = client(provider).send(method, path_of(operation))
        assert (answer.status, answer.wrong) == (catalogued(provider, "route.method"), [("mock/route.method", "")])
        assert answer.headers["allow"] == ", ".join(sorted(found[0]))
        assert method[:20] in answer.violations[0]["message"]
        assert_enveloped(provider, operation, answer)
        if name == "kling":
            assert (answer.json["code"], answer.json["message"]) == (1202, f"Method {method} is not supported")


# Whatever can be thought of.

TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["", "5", "std", "true", "https://e.test/a.png", "AAAA", "[mock:fail]"])
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS, st.just(10**60)
)
KEYS = sorted(
    {
        key
        for provider in PROVIDERS.values()
        for row in provider.operations.values()
        for body in row.bodies.values()
        for key in body.reader.members
    }
    | {"enabled", "config", "type", "element_id", "voice_id", "mask", "trajectories", "x", "y", "index"}
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inside: st.one_of(
        st.lists(inside, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=8)), inside, max_size=6),
    ),
    max_leaves=20,
)
QUIET = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@cache
def standing(name: str) -> Client:
    """A client whose mock outlives one example."""
    return Client(Mock([PROVIDERS[name]], Options(at=AT, seed="hypothesis"), wall=Wall()), PROVIDERS[name])


def sent(name: str, id_: str, body: bytes, content_type: str = "application/json") -> Answer:
    """Send these bytes to the operation and hold the answer against the documents."""
    operation = PROVIDERS[name].operations[id_]
    answer = standing(name).send(
        operation.method, path_of(operation), body=body, headers={"content-type": content_type}
    )
    assert_enveloped(PROVIDERS[name], operation, answer)
    return answer


@every_operation
def test_no_bytes_break_an_operation(name: str, id_: str) -> None:
    """Arbitrary bytes, as whatever type they are declared: no 5xx, and the provider's own error."""
    types = ["application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain"]

    @QUIET
    @given(st.binary(max_size=200), st.sampled_from(types))
    def check(body: bytes, content_type: str) -> None:
        sent(name, id_, body, content_type)

    check()


@every_body
def test_no_json_breaks_an_operation(name: str, id_: str) -> None:
    """Arbitrary JSON: no 5xx, and what is refused is refused in the provider's envelope."""

    @QUIET
    @given(DOCUMENTS)
    def check(document: Any) -> None:
        sent(name, id_, json.dumps(document).encode())

    check()


def places(document: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a document."""
    rows = list(document.items()) if isinstance(document, dict) else []
    rows += list(enumerate(document)) if isinstance(document, list) else []
    return [at, *(place for key, item in rows for place in places(item, (*at, key)))]


def replaced(document: Any, at: tuple[str | int, ...], value: Any) -> Any:
    """The document with another value at a place."""
    if not at:
        return value
    changed = copy.copy(document)
    changed[at[0]] = replaced(document[at[0]], at[1:], value)
    return changed


@pytest.mark.parametrize("exchange", [name for name in EXCHANGES if "file" in load(name)["request"].get("body", {})])
def test_no_change_of_a_good_body_breaks_anything(exchange: str) -> None:
    """The documents' own requests with one or two values replaced by anything."""
    name, id_ = exchange.partition("/")[0], load(exchange)["operation"]
    good = json.loads(written(exchange).body)

    @QUIET
    @given(st.lists(st.tuples(st.sampled_from(places(good)), DOCUMENTS), min_size=1, max_size=2))
    def check(changes: list[tuple[tuple[str | int, ...], Any]]) -> None:
        body = good
        for at, value in changes:
            if at in places(body):
                body = replaced(body, at, value)
        sent(name, id_, json.dumps(body).encode())

    check()


@every_body
@pytest.mark.parametrize("document", [b"[]", b"null", b'"x"', b"7", b"true", b'[{"image": "x"}]'])
def test_a_document_that_is_no_object_is_wrong_in_that_alone(
    name: str, id_: str, document: bytes, client: MakeClient
) -> None:
    """One violation: rules and required keys speak of objects, and none of them was broken."""
    operation = PROVIDERS[name].operations[id_]
    if JSON not in operation.bodies:
        return
    answer = client(name).send(operation.method, operation.path, body=document)
    assert answer.wrong == [(f"{id_}/type", "")]
    assert answer.status == catalogued(PROVIDERS[name], "body.type")


@every_body
def test_the_violation_that_is_answered_comes_first(name: str, id_: str, client: MakeClient) -> None:
    """The header has them in the provider's order of stages, whichever was found first; the journal too."""
    caller, operation = client(name), PROVIDERS[name].operations[id_]
    answer = caller.send(operation.method, operation.path, body=b"{", headers={"Content-Type": JSON, **WRONG_KEYS})
    rows = list(caller.mock.store.exchanges(None, name))[-1].violations
    situations = [row.rule.removeprefix("mock/") for row in rows]
    assert [name.partition(".")[0] for name in situations] == sorted(
        ["body", "token"] if operation.security else ["body"],
        key=lambda stage: caller.provider.errors.order[stage],
    )
    assert answer.wrong == [(row.rule, row.pointer) for row in rows]
    assert answer.status == catalogued(caller.provider, situations[0])


# Odd, and taken all the same.

TAKEN: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "a switch as text": ({"multi_shot": "false"}, {("createImageToVideo/multi_shot/type", "/multi_shot")}),
    "a duration as a number": ({"duration": 5}, {("createImageToVideo/duration/type", "/duration")}),
    "a number as text": ({"cfg_scale": "0.5"}, {("createImageToVideo/cfg_scale/type", "/cfg_scale")}),
    "an element's id as text": (
        {"model_name": "kling-v3", "element_list": [{"element_id": "160"}, {"element_id": 161}]},
        {("createImageToVideo/element_list/*/element_id/type", "/element_list/0/element_id")},
    ),
    "an external id as a number": (
        {"external_task_id": 12345},
        {("createImageToVideo/external_task_id/type", "/external_task_id")},
    ),
    "extra keys": (
        {"model": "kling-v1", "aspect_ratio": "16:9", "promt": "x"},
        {
            ("createImageToVideo/aspect_ratio/unknown", "/aspect_ratio"),
            ("createImageToVideo/promt/unknown", "/promt"),
            ("model-is-the-old-name", "/model"),
        },
    ),
    "an extra key below": (
        {"watermark_info": {"enabled": False, "text": "mine"}},
        {("createImageToVideo/watermark_info/text/unknown", "/watermark_info/text")},
    ),
    "empty texts": (
        dict.fromkeys(
            ("image_tail", "callback_url", "external_task_id", "negative_prompt", "prompt", "static_mask"), ""
        ),
        {("prompt-is-asked-for", "/prompt")},
    ),
    "empty choices": (dict.fromkeys(("mode", "sound", "duration", "model_name"), ""), set()),
    "empty lists": ({key: [] for key in ("element_list", "voice_list", "dynamic_masks", "multi_prompt")}, set()),
    "nulls": (
        dict.fromkeys(("image_tail", "callback_url", "mode", "sound", "element_list", "camera_control")),
        {
            (f"createImageToVideo/{key}/type", f"/{key}")
            for key in ("image_tail", "callback_url", "mode", "sound", "element_list", "camera_control")
        },
    ),
    "nothing off": ({"duration": "5", "mode": "std", "multi_shot": False, "cfg_scale": 0.5}, set()),
}


@pytest.mark.parametrize("case", TAKEN)
def test_odd_types_pass_with_exactly_these_warnings(case: str, client: MakeClient) -> None:
    """What clients and the vendor's own examples send is taken; what is off the documented type is a warning."""
    fields, warnings = TAKEN[case]
    answer = client("kling").send("POST", VIDEOS, {"image": "https://example.com/a.png", "prompt": "dusk", **fields})
    assert (answer.status, answer.json["message"]) == (200, "SUCCEED")
    assert set(answer.wrong) == warnings
    assert {row["severity"] for row in answer.violations} <= {"warning"}


def test_a_misspelt_key_names_the_one_that_was_meant(client: MakeClient) -> None:
    """The warning has the closest match."""
    answer = client("kling").send("POST", VIDEOS, {"image": "https://example.com/a.png", "promt": "x"})
    assert answer.violations[0]["message"] == "is no known key here and is ignored; did you mean 'prompt'?"


def test_what_is_read_has_its_documented_type(client: MakeClient) -> None:
    """A number as a duration, a text as a count: the job is the same as with the documented types."""
    kling = client("kling")
    odd = kling.send("POST", "/v1/images/generations", {"prompt": "x", "n": "3", "model_name": "kling-v3"})
    assert odd.wrong == [("createImage/n/type", "/n")]
    task = kling.mock.store.task("kling", odd.json["data"]["task_id"])
    assert task is not None
    assert task.result is not None
    assert (task.result.count, task.parameters["count"], str(task.price)) == (3, 3, "24")


@pytest.mark.parametrize(
    ("field", "value", "message", "keyword"),
    [
        ("mode", "standard", "mode value 'standard' is invalid", "enum"),
        ("model_name", "kling-v3-0", "model_name value 'kling-v3-0' is invalid", "enum"),
        ("duration", "99", "duration value '99' is invalid", "enum"),
        ("duration", 2, "duration value '2' is invalid", "enum"),
        ("multi_shot", 1, "multi_shot value '1' is invalid", "enum"),
        ("prompt", "x" * 2501, "prompt should have at most 2500 characters; has 2501", "maxLength"),
        ("cfg_scale", 1.01, "cfg_scale should be at most 1; is 1.01", "maximum"),
        ("image", 7, None, "type"),
    ],
)
def test_what_the_vendor_refuses_is_refused(
    field: str, value: Any, message: str | None, keyword: str, client: MakeClient
) -> None:
    """400/1201 with the observed text for bad choices; rule and pointer name field and keyword."""
    answer = client("kling").send("POST", VIDEOS, {"image": "https://example.com/a.png", field: value})
    assert (answer.status, answer.json["code"]) == (400, 1201)
    assert message is None or answer.json["message"] == message
    assert (f"createImageToVideo/{field}/{keyword}", f"/{field}") in answer.wrong


def test_the_longest_prompt_passes(client: MakeClient) -> None:
    """2500 characters, not bytes."""
    answer = client("kling").send("POST", VIDEOS, {"image": "https://example.com/a.png", "prompt": "é" * 2500})
    assert (answer.status, answer.violations) == (200, [])


def test_many_violations_are_cut(client: MakeClient) -> None:
    """X-Mock-Violations stays below 4 kB and says how many more there are; the journal has them all."""
    kling = client("kling")
    keys = {f"key {n}": n for n in range(200)}
    answer = kling.send("POST", VIDEOS, {"image": "https://example.com/a.png", "prompt": "dusk", **keys})
    assert answer.status == 200
    assert len(answer.headers["x-mock-violations"]) <= 4096
    assert answer.violations[-1] == {"more": 200 - len(answer.violations) + 1}
    assert len(list(kling.mock.exchanges())[-1]["violations"]) == 200
