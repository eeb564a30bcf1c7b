"""A client of the control API that holds every reply against control.yaml, with openapi-core as the referee."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs
from flask import Flask
from openapi_core import Config, OpenAPI
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.testing import MockRequest, MockResponse
from werkzeug.test import TestResponse

from kling_mock.core.model import Request
from kling_mock.server.control import control
from kling_mock.server.control_document import document
from kling_mock.server.mock import Mock

KEY = "mock-kling-api-key-that-opens-nothing"
PLAIN: dict[str, str] = {}


@cache
def referee() -> OpenAPI:
    """The control document, as openapi-core reads it."""
    read = {"application/problem+json": json.loads}
    return OpenAPI.from_dict(document().node, config=Config(extra_media_type_deserializers=read))


@cache
def problem_schema() -> jsonschema_rs.Validator:
    """The schema of every refusal."""
    return jsonschema_rs.validator_for(document().node["components"]["schemas"]["Problem"] | {"components": {}})


@dataclass
class Control:
    """The control API of one mock, in process."""

    mock: Mock
    allowed_hosts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.app = Flask("test", static_folder=None)
        self.app.testing = True
        self.app.register_blueprint(control(self.mock, self.allowed_hosts))
        self.app.add_url_rule("/<path:rest>", "rest", lambda rest: "not the control API", methods=["GET", "POST"])

    def send(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] = PLAIN) -> TestResponse:
        """Send a request and check that the reply is documented."""
        content_type = "application/json" if body is not None else None
        sent = {"Host": "127.0.0.1:8787"} | ({"Content-Type": content_type} if content_type else {}) | headers
        sent = {name: value for name, value in sent.items() if value}
        reply = self.app.test_client().open(path, method=method, data=body, headers=sent, buffered=True)
        check(method, path, body, reply)
        return reply

    def get(self, path: str, headers: dict[str, str] = PLAIN) -> Any:
        """The document at a path that must be there."""
        reply = self.send("GET", path, headers=headers)
        assert reply.status_code == 200, reply.text
        return reply.json

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        """Send a document; the reply must have this status."""
        reply = self.send("POST", path, json.dumps(body).encode())
        assert reply.status_code == status, reply.text
        return reply.json

    def refused(self, status: int, method: str, path: str, body: Any = None, headers: dict[str, str] = PLAIN) -> Any:
        """The problem that a request must get."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        reply = self.send(method, path, content, headers)
        assert reply.status_code == status, reply.text
        return reply.json

    def create(self, path: str = "/v1/videos/text2video", key: str = KEY, **body: Any) -> str:
        """Create a task at the provider's own API; gives its id."""
        headers = {"host": "127.0.0.1:8787", "authorization": f"Bearer {key}", "content-type": "application/json"}
        content = json.dumps({"prompt": "a cat"} | body).encode()
        wire = self.mock.answer(Request("POST", path, "", headers, content))
        assert wire.status == 200, wire.body
        return str(json.loads(wire.body)["data"]["task_id"])


def check(method: str, path: str, body: bytes | None, reply: TestResponse) -> None:
    """The reply is of a documented form; a refusal is a problem; what was accepted is a documented request."""
    if reply.status_code >= 400:
        assert reply.content_type == "application/problem+json"
        if method != "HEAD":
            problem_schema().validate(reply.json)
            assert reply.json["status"] == reply.status_code
    if method in ("HEAD", "OPTIONS"):
        assert reply.data == b"" or (method == "OPTIONS" and reply.status_code >= 400)
        return
    parts = urlsplit(path)
    asked = MockRequest(
        "http://127.0.0.1:8787",
        method.lower(),
        parts.path,
        args=dict(parse_qsl(parts.query)),
        data=body,
        content_type="application/json",
    )
    answered = MockResponse(
        reply.data, reply.status_code, dict(reply.headers), (reply.content_type or "").partition(";")[0]
    )
    try:
        referee().validate_response(asked, answered)
    except PathError:
        assert reply.status_code in (403, 404, 405)
        return
    if reply.status_code < 300 and "/media/" not in path:
        referee().validate_request(asked)
