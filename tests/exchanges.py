"""Fixtures as exchanges with a mock in process: a real client writes the request, the mock answers it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from kling_mock.core.calls import Call, spoken
from kling_mock.core.model import Request
from kling_mock.core.provider import Operation
from kling_mock.loading import bundled, read_yaml
from tests.conftest import Answer, Client

FIXTURES = bundled("fixtures")
EXCHANGES = sorted(path.relative_to(FIXTURES).as_posix() for path in FIXTURES.glob("*/*.yaml"))
AFTER = {"submitted": "0s", "processing": "2s", "succeed": "10s", "failed": "10s"}


def load(name: str) -> dict[str, Any]:
    """One fixture."""
    fixture: dict[str, Any] = read_yaml(FIXTURES / name, name)
    return fixture


def written(name: str) -> Request:
    """The fixture's request as a real client writes it."""
    asked = load(name)["request"]
    body, folder = asked.get("body", {}), (FIXTURES / name).parent
    files = {field: (Path(file).name, (folder / file).read_bytes()) for field, file in body.get("files", {}).items()}
    data = (folder / body["file"]).read_bytes() if "file" in body else body.get("form")
    url = "http://127.0.0.1:8787" + asked["path"]
    ready = requests.Request(asked["method"], url, headers=asked.get("headers", {}), data=data, files=files or None)
    prepared = ready.prepare()
    parts = urlsplit(prepared.url or "")
    headers = {name.lower(): value for name, value in prepared.headers.items()}
    content = prepared.body if isinstance(prepared.body, bytes) else (prepared.body or "").encode()
    return Request(prepared.method or "", parts.path, parts.query, {"host": "127.0.0.1:8787", **headers}, content)


def send(client: Client, request: Request, **headers: str) -> Answer:
    """Send a written request with the client's credential."""
    sent = {**request.headers, **headers}
    return client.send(request.method, request.path, query=request.query, body=request.body, headers=sent)


def creates(client: Client) -> Iterator[str]:
    """The provider's fixtures that create a task."""
    for name in EXCHANGES:
        mine = name.startswith(client.provider.name + "/")
        if mine and client.provider.operations[load(name)["operation"]].role == "create":
            yield name


def in_state(client: Client, name: str, state: str) -> Answer:
    """The answer to a fixture's query or list, asked of a task that is in `state`."""
    request, operation = written(name), client.provider.operations[load(name)["operation"]]
    for create in creates(client):
        made = send(client, written(create), **({"prefer": "scenario=fail"} if state == "failed" else {}))
        task = client.mock.store.task(client.provider.name, made.headers["x-mock-task"])
        assert task is not None
        if task.kind == kind_asked(client, operation, request):
            client.advance(AFTER[state])
            return send(client, asking_for(client, operation, request, task.id))
    raise AssertionError(f"no fixture creates a task that {operation.id} could show")


def kind_asked(client: Client, operation: Operation, request: Request) -> str:
    """The kind of task that a query or list asks for."""
    words = operation.page or operation.task
    assert words is not None
    return str(words.kind(scope(client, operation, request)))


def scope(client: Client, operation: Operation, request: Request) -> dict[str, Any]:
    """The request as expressions speak of it."""
    from kling_mock.core.reading import parse_json

    found = client.provider.routes.find(request.path)
    assert found is not None
    body = parse_json(request.body) if request.body else None
    return {"request": spoken(Call(client.provider, request, operation, found[1], document=body))}


def asking_for(client: Client, operation: Operation, request: Request, id_: str) -> Request:
    """The same request for another task."""
    if operation.task is None or operation.task.find is None:
        return request
    old = str(operation.task.find(scope(client, operation, request)))
    return Request(
        request.method,
        request.path.replace(old, id_),
        request.query.replace(old, id_),
        request.headers,
        request.body.replace(old.encode(), id_.encode()),
    )
