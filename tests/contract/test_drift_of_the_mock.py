"""The mock's own journal is explained: whatever it answers is what the specs say, and the comparison finds it so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kling_mock.contract.drift.comparing import Compared, compare
from kling_mock.contract.drift.recordings import read_recording
from kling_mock.core.model import Request
from kling_mock.core.provider import Provider
from kling_mock.server.facts import measure
from tests.conftest import Client
from tests.contract.recorded import KNOWN
from tests.exchanges import (
    EXCHANGES,
    asking_for,
    every_provider,
    load,
    operation_of,
    path_of,
    provider_of,
    queries,
    send,
    written,
)

MakeClient = Callable[..., Client]
ODD = (None, "", [], 7, {"a": 1}, "odd text", "x" * 3000)


def journal(client: Client) -> Compared:
    """What comes of the journal as the control API gives it."""
    rows = {"exchanges": list(client.mock.exchanges())}
    return compare([read_recording(json.dumps(rows).encode(), "journal.json")], KNOWN, None, measure)


def explained(client: Client) -> int:
    """How many exchanges the journal has, none of which is drift."""
    found = journal(client)
    assert [(row.kind, row.operations, row.pointer, row.message) for row in found.drifts] == []
    return sum(found.exchanges.values())


def fixtures_of(provider: Provider) -> Iterator[str]:
    """The provider's fixtures."""
    return (name for name in EXCHANGES if provider_of(name) is provider)


@every_provider
def test_the_journal_of_every_fixture_is_explained(provider: Provider, client: MakeClient) -> None:
    """Every fixture's request, and every query of each task that was made, through all its states."""
    caller, asked = client(provider), queries(client(provider))
    for name in fixtures_of(provider):
        made = send(caller, written(name))
        for seconds in (0, 1, 5, 20) if operation_of(name).role == "create" else ():
            caller.advance(f"{seconds}s")
            for query in asked.values():
                send(caller, asking_for(caller, operation_of(query), written(query), made.headers["x-mock-task"]))
    assert explained(caller) > len(asked)


@every_provider
def test_the_journal_of_what_is_refused_is_explained(provider: Provider, client: MakeClient) -> None:
    """Broken bodies, wrong keys, unknown paths, and every key of every payload with seven odd values."""
    caller, count = client(provider), 0
    for name in fixtures_of(provider):
        good = written(name)
        for bad in (*broken(good), *odd(good)):
            send(caller, bad)
            count += 1
        for header in caller.credential(good.method, good.path):
            send(caller, good, **{header: None})
            send(caller, good, **{header: "Bearer nobody-knows-this-key"})
    assert explained(caller) >= count


def broken(good: Request) -> Iterator[Request]:
    """The request with a body, type, path or method that nobody takes."""
    for body, typed in ((b"{", {}), (b"{}", {}), (b"{}", {"content-type": "text/plain"})):
        yield Request(good.method, good.path, good.query, {**good.headers, **typed}, body)
    yield Request(good.method, good.path + "/no/such", good.query, good.headers, good.body)
    yield Request("PATCH", good.path, good.query, good.headers, good.body)


def odd(good: Request) -> Iterator[Request]:
    """The request with one key of its JSON after the other replaced by an odd value."""
    try:
        document = json.loads(good.body)
    except ValueError:
        return
    for key in document:
        for value in ODD:
            body = json.dumps({**document, key: value}).encode()
            yield Request(good.method, good.path, good.query, good.headers, body)


@every_provider
def test_scenarios_that_contradict_nothing_are_explained(provider: Provider, client: MakeClient) -> None:
    """Errors, courses and accidents of the wire are in the specs; a scenario that breaks the shape is drift."""
    caller, asked = client(provider), queries(client(provider))
    creates = [name for name in fixtures_of(provider) if operation_of(name).role == "create"]
    for scenario in provider.scenarios.values():
        if scenario.breaks:
            continue
        made = send(caller, written(creates[0]), prefer=f"scenario={scenario.name}")
        caller.advance("1h")
        for query in asked.values() if "x-mock-task" in made.headers else ():
            send(caller, asking_for(caller, operation_of(query), written(query), made.headers["x-mock-task"]))
    assert explained(caller) > 0


def test_a_scenario_that_breaks_the_shape_is_drift(client: MakeClient) -> None:
    """The right body under the type of a web page, and a task that goes backwards: what they contradict is found."""
    caller = client("kling")
    name = "kling/create-from-text-with-six-shots.yaml"
    made = send(caller, written(name), prefer="scenario=comes-back-to-life")
    path = f"{written(name).path}/{made.headers['x-mock-task']}"
    for _ in range(60):
        caller.send("GET", path)
        caller.advance("1s")
    kinds = {row.kind for row in journal(caller).drifts}
    assert kinds == {"illegal-transition"}


@pytest.mark.parametrize("name", [name for name in EXCHANGES if "reply" in load(name)])
def test_a_fixture_as_a_recording_is_explained(name: str) -> None:
    """Each printed exchange by itself, in the form of the journal, unless only a part of the reply is printed."""
    if load(name).get("abbreviated"):
        missing = {row.kind for row in of_fixture(name).drifts}
        assert missing == {"missing-field"}
    else:
        assert of_fixture(name).drifts == ()


def of_fixture(name: str) -> Compared:
    """What comes of a fixture, written as the journal would have it."""
    fixture, request = load(name), written(name)
    body = fixture["request"].get("body", {})
    document: Any = {**body.get("form", {}), **body.get("files", {})} or None
    if "file" in body:
        document = json.loads((path_of(name).parent / body["file"]).read_text(encoding="utf-8"))
    row = {
        "at": 0,
        "provider": provider_of(name).name,
        "request": {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": dict(request.headers),
            "body": document,
        },
        "reply": {"headers": {}, **fixture["reply"]},
    }
    found = compare([read_recording(json.dumps([row]).encode())], KNOWN, None, measure)
    assert found.exchanges == {provider_of(name).name: 1}
    return found
