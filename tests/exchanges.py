"""Fixtures as exchanges with a mock in process: a real client writes the request, the mock answers it.

Nothing here knows a provider: kinds, ids, states and the ways into them are read from the compiled spec.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from kling_mock.core.calls import Call, spoken
from kling_mock.core.model import Request, Task, Violation
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.reading import parse_json
from kling_mock.core.scenarios import Scenario
from kling_mock.loading import bundled
from kling_mock.yaml_files import read_yaml
from tests.conftest import PROVIDERS, TOYS, Answer, Client

NOTHING: Mapping[str, Any] = {}


def folder_of(provider: str) -> Path:
    """Where a provider's fixtures lie: the tests' own bring theirs beside their spec."""
    own = TOYS / provider
    return own / "fixtures" if own.is_dir() else bundled("fixtures") / provider


def path_of(name: str) -> Path:
    """The file of a fixture."""
    provider, _, file = name.partition("/")
    return folder_of(provider) / file


EXCHANGES = [f"{name}/{path.name}" for name in PROVIDERS for path in sorted(folder_of(name).glob("*.yaml"))]
every_provider = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda provider: provider.name)


def load(name: str) -> dict[str, Any]:
    """One fixture."""
    fixture: dict[str, Any] = read_yaml(path_of(name), name)
    return fixture


def provider_of(name: str) -> Provider:
    """The provider in whose folder a fixture lies."""
    return PROVIDERS[name.partition("/")[0]]


def operation_of(name: str) -> Operation:
    """The operation that a fixture names."""
    return provider_of(name).operations[load(name)["operation"]]


def ends(name: str) -> str | None:
    """How the task that a fixture shows has ended, if it shows one and it has."""
    state = load(name).get("state")
    return None if state is None else provider_of(name).lifecycle.states[state].ends


def written(name: str, values: Mapping[str, Any] = NOTHING) -> Request:
    """The fixture's request as a real client writes it, with other values at the top of its body."""
    asked = load(name)["request"]
    body, folder = asked.get("body", {}), path_of(name).parent
    files = {field: (Path(file).name, (folder / file).read_bytes()) for field, file in body.get("files", {}).items()}
    data: Any = {**body["form"], **values} if "form" in body else None
    if "file" in body:
        data = (folder / body["file"]).read_bytes()
        data = json.dumps({**json.loads(data), **values}).encode() if values else data
    url = "http://127.0.0.1:8787" + asked["path"]
    ready = requests.Request(asked["method"], url, headers=asked.get("headers", {}), data=data, files=files or None)
    prepared = ready.prepare()
    parts = urlsplit(prepared.url or "")
    headers = {name.lower(): value for name, value in prepared.headers.items()}
    content = prepared.body if isinstance(prepared.body, bytes) else (prepared.body or "").encode()
    return Request(prepared.method or "", parts.path, parts.query, {"host": "127.0.0.1:8787", **headers}, content)


def send(client: Client, request: Request, **headers: str | None) -> Answer:
    """Send a written request with the client's credential."""
    sent = {**request.headers, **headers}
    return client.send(request.method, request.path, query=request.query, body=request.body, headers=sent)


def of_role(provider: Provider, role: str) -> Iterator[str]:
    """The provider's fixtures of a role."""
    for name in EXCHANGES:
        if name.startswith(provider.name + "/") and operation_of(name).role == role:
            yield name


def creates(client: Client) -> Iterator[str]:
    """The provider's fixtures that create a task."""
    return of_role(client.provider, "create")


def queries(client: Client) -> dict[str, str]:
    """The provider's fixtures of a query, by the kind of task that each shows."""
    names = of_role(client.provider, "query")
    return {kind_asked(client, operation_of(name), written(name)): name for name in names}


def created_as(client: Client) -> str:
    """The provider's fixture of a create whose task a fixture's query can show."""
    known = queries(client)
    for name in creates(client):
        words = operation_of(name).task
        if words is not None and words.kind({}) in known:
            return name
    raise AssertionError(f"no fixture of {client.provider.name} queries what another one creates")


def make(client: Client, **headers: str | None) -> Answer:
    """Create a task as the provider's fixture does."""
    return send(client, written(created_as(client)), **headers)


def prompted(client: Client, prompt: str, **headers: str) -> Answer:
    """Create a task as the provider's fixture does, with this prompt, wherever the provider has it."""
    name = created_as(client)
    operation = operation_of(name)
    fields = next(iter(operation.bodies.values())).reader.members
    said = (field for field in fields if prompt in str(operation.job["prompt"]({"request": {"body": {field: prompt}}})))
    return send(client, written(name, {next(said): prompt}), **headers)


def task_of(client: Client, made: Answer) -> Task:
    """The task of a create, as the mock remembers it."""
    task = client.mock.store.task(client.provider.name, made.headers["x-mock-task"])
    assert task is not None
    return task


def poll(client: Client, id_: str, **headers: str | None) -> Answer:
    """Ask for the task that `make` made as a fixture of a query does."""
    words = operation_of(created_as(client)).task
    assert words is not None
    name = queries(client)[str(words.kind({}))]
    return send(client, asking_for(client, operation_of(name), written(name), id_), **headers)


def course_to(provider: Provider, state: str) -> Scenario | None:
    """The first scenario that brings a task into this state by legal steps; the usual course needs none."""
    found = (row for row in provider.scenarios.values() if state in (row.timeline or ()) and not row.breaks)
    return None if state in provider.lifecycle.usual else next(found, None)


def in_state(client: Client, name: str, state: str) -> Answer:
    """The answer to a fixture's query, list or cancel of a task that is in `state`, or that the cancel brings there."""
    request, operation = written(name), operation_of(name)
    scenario = course_to(client.provider, state)
    prefer = None if scenario is None else f"scenario={scenario.name}"
    for create in creates(client):
        task = task_of(client, send(client, written(create), prefer=prefer))
        if task.kind != kind_asked(client, operation, request):
            continue
        if operation.role != "cancel":
            bring(client, task, state)
        return send(client, asking_for(client, operation, request, task.id))
    raise AssertionError(f"no fixture creates a task that {operation.id} could show")


def bring(client: Client, task: Task, state: str) -> None:
    """Let time pass until the new task is in `state`, or cancel it if its course does not lead there."""
    due = next((moment.at for moment in task.timeline if moment.state == state), None)
    if due is not None:
        client.advance(f"{due - task.created}ms")
        return
    for name in of_role(client.provider, "cancel"):
        operation = operation_of(name)
        if operation.task is not None and operation.task.to == state:
            done = send(client, asking_for(client, operation, written(name), task.id))
            assert done.status < 300, done.body
            return
    raise AssertionError(f"nothing brings a task into the state {state!r}")


def kind_asked(client: Client, operation: Operation, request: Request) -> str:
    """The kind of task that a query or list asks for."""
    words = operation.page or operation.task
    assert words is not None
    return str(words.kind(scope(client, operation, request)))


def scope(client: Client, operation: Operation, request: Request) -> dict[str, Any]:
    """The request as expressions speak of it."""
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
        {name: value.replace(old, id_) for name, value in request.headers.items()},
        request.body.replace(old.encode(), id_.encode()),
    )


def catalogued(provider: Provider, situation: str) -> int:
    """The status with which the provider's table answers a situation."""
    return provider.errors.catalogue[provider.errors.answer(Violation("", "", "", situation=situation))].status
