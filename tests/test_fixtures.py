"""Every fixture is accepted or answered by the running mock as it stands, and every reply example fits its schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kling_mock.core.messages import json_type
from tests.conftest import PROVIDERS, Answer, Client
from tests.exchanges import (
    EXCHANGES,
    ends,
    folder_of,
    in_state,
    load,
    of_role,
    operation_of,
    path_of,
    provider_of,
    send,
    written,
)
from tests.referee import referee

MakeClient = Callable[..., Client]

# Keys that an example shows and the mock's answer in that state has not, or the other way round, with the evidence.
KEYS_OFF: dict[tuple[str, str], str] = {
    ("kling/create-from-first-and-last-frame.yaml", "/data/task_info/external_task_id"): (
        "observed: task_info is {} when no external id was given (kling-official 7.4); the request sends an empty one"
    ),
    ("kling/query-a-task-that-succeeded.yaml", "/data/task_info/external_task_id"): "as above",
    ("kling/list-the-first-thirty-tasks.yaml", "/data/*/task_info/external_task_id"): "as above",
}


def abbreviated(name: str) -> bool:
    """Whether the document itself prints only a part of the reply."""
    return bool(load(name).get("abbreviated", False))


def shape(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Every pointer of a document with its JSON type; array items share one pointer, and numbers are one type."""
    yield at, "number" if json_type(value) == "integer" else json_type(value)
    if isinstance(value, dict):
        for key, item in value.items():
            yield from shape(item, f"{at}/{key}")
    if isinstance(value, list):
        for item in value:
            yield from shape(item, f"{at}/*")


def shown(client: Client, name: str) -> Answer:
    """The mock's answer to a fixture's request, of a task in the fixture's state."""
    create = operation_of(name).role == "create"
    return send(client, written(name)) if create else in_state(client, name, load(name)["state"])


CREATES = [name for provider in PROVIDERS.values() for name in of_role(provider, "create")]
PAYLOADS = [name for name in EXCHANGES if "file" in load(name)["request"].get("body", {})]


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_fixture_names_the_operation_that_its_request_reaches(name: str, client: MakeClient) -> None:
    """The operation that a fixture names is the one that the mock finds by path and method."""
    routed = client(provider_of(name)).mock.router.find(written(name))
    assert routed.operation is not None
    assert (routed.provider.name, routed.operation.id) == (provider_of(name).name, load(name)["operation"])


@pytest.mark.parametrize("name", [name for name in EXCHANGES if "reply" in load(name) and not abbreviated(name)])
def test_an_example_reply_fits_its_schema(name: str) -> None:
    """openapi-core, which is not ours, accepts every reply that the documents print."""
    reply = load(name)["reply"]
    assert referee(provider_of(name).name).reply(operation_of(name).id, reply["status"], reply["body"]) == []


@pytest.mark.parametrize("name", CREATES)
def test_an_example_request_is_accepted(name: str, client: MakeClient) -> None:
    """The documents' own requests pass; what is off the documented type is a warning and nothing more."""
    answer = send(client(provider_of(name)), written(name))
    assert answer.status < 300, answer.json
    assert {violation["severity"] for violation in answer.violations} <= {"warning"}


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_referee_and_the_mock_agree_on_a_body(name: str) -> None:
    """openapi-core takes every payload; as a list and with nonsense in its first key both refuse it, for that place."""
    operation, body = operation_of(name), json.loads(written(name).body)
    judge, schema = referee(provider_of(name).name), operation.bodies["application/json"].schema
    first = next(iter(body))
    for document, at in ((body, None), ([body], "/: type:"), (body | {first: {"nonsense": 1}}, f"/{first}: ")):
        told = judge.request(operation.id, document)
        assert schema.holds(document) == (told == []) == (at is None), told
        assert at is None or at in told[0]


@pytest.mark.parametrize("name", [name for name in EXCHANGES if "state" in load(name)])
def test_the_mock_answers_with_the_keys_and_types_of_the_example(name: str, client: MakeClient) -> None:
    """A task brought into the example's state is answered with the same keys and JSON types."""
    fixture, answer = load(name), shown(client(provider_of(name)), name)
    assert answer.status == fixture["reply"]["status"]
    expected, got = dict(shape(fixture["reply"]["body"])), dict(shape(answer.json))
    allowed = {at for fixture_name, at in KEYS_OFF if fixture_name == name}
    assert expected.keys() - got.keys() <= allowed
    assert abbreviated(name) or got.keys() - expected.keys() <= allowed
    assert {at: got[at] for at in expected.keys() & got.keys()} == {
        at: expected[at] for at in expected.keys() & got.keys()
    }


@pytest.mark.parametrize("name", [name for name in EXCHANGES if "state" in load(name)])
def test_the_mocks_own_answer_fits_the_schema_too(name: str, client: MakeClient) -> None:
    """The referee accepts the mock's answer in the example's state."""
    answer = shown(client(provider_of(name)), name)
    assert referee(provider_of(name).name).reply(operation_of(name).id, answer.status, answer.json) == []


def test_every_payload_belongs_to_an_exchange() -> None:
    """No JSON file lies beside the exchanges without being one's body."""
    used = {path_of(name).parent / load(name)["request"]["body"]["file"] for name in PAYLOADS}
    assert {path for name in PROVIDERS for path in folder_of(name).glob("*.json")} == used
    assert all(json.loads(path.read_text(encoding="utf-8")) for path in used)


ENDED = [name for name in EXCHANGES if ends(name) == "success" and not abbreviated(name)]
OTHERS = [
    (name, state) for name in ENDED for state in provider_of(name).lifecycle.states if state != load(name)["state"]
]

# Keys of the finished task's example that an answer in another state lacks or has beside them, with the evidence.
NO_RESULTS = (
    "observed: task_result is {} until there are results (reference gateways, CometAPI's sample of a running task)"
)
STATES_OFF: dict[str, dict[str, str]] = {
    "kling/query-a-task-that-succeeded.yaml": {
        "/data/task_result/videos": NO_RESULTS,
        "/data/task_info/external_task_id": "observed: {} without an external id (kling-official 7.4)",
    },
    "kling/list-the-first-thirty-tasks.yaml": {
        "/data/*/task_result/videos": NO_RESULTS,
        "/data/*/task_info/external_task_id": "observed: {} without an external id (kling-official 7.4)",
    },
    "pixazo/query-a-task-that-succeeded.yaml": {
        "/data/task_result": "documented: seed 001's running task has none; a failed one: assumed",
        "/data/task_info": "documented: seed 001's running task has none",
    },
    "rixapi/query-a-task-that-succeeded.yaml": {"/data/task_result/videos": NO_RESULTS},
    "302ai/query-a-task-that-succeeded.yaml": {
        "/data/works/*": "observed: works is [] while a task is pending (reference gateways A4); a failed one: assumed"
    },
    "toymaker/show-an-order-that-is-ready.yaml": {
        "/order/films": "made up: only what is ready was filmed",
        "/order/why": "made up: only what broke has a reason",
    },
    "toymaker/list-a-sheet-of-orders.yaml": {},
}


@pytest.mark.parametrize(("name", "state"), OTHERS)
def test_other_states_have_the_same_keys_but_for_those_with_evidence(name: str, state: str, client: MakeClient) -> None:
    """An unfinished or failed task is shown with the finished one's keys and types, except for what is listed."""
    answer = in_state(client(provider_of(name)), name, state)
    expected, got = dict(shape(load(name)["reply"]["body"])), dict(shape(answer.json))
    off = expected.keys() ^ got.keys()
    excused = {at for at in off if any(at == row or at.startswith(row + "/") for row in STATES_OFF[name])}
    assert off - excused == set()
    assert {at: got[at] for at in expected.keys() & got.keys() if got[at] != expected[at]} == {}


@pytest.mark.parametrize("name", [name for name in ENDED if "toymaker" not in name and "list" not in name])
def test_a_video_is_as_long_as_in_the_example(name: str, client: MakeClient) -> None:
    """Longer by the same fraction of a second than what was asked for: no client may read whole seconds."""
    fixture = load(name)
    example, got = dict(leaves(fixture["reply"]["body"])), dict(leaves(shown(client(provider_of(name)), name).json))
    lengths = {at: value for at, value in example.items() if at.endswith("/duration")}
    assert lengths
    assert {at: str(got[at])[-len(str(value)) + 1 :] for at, value in lengths.items() if value} == {
        at: str(value)[1:] for at, value in lengths.items() if value
    }
    assert {"5.1", 5041} & set(lengths.values())


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every pointer of a document to what is neither object nor list, with what stands there."""
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in rows:
        yield from leaves(item, f"{at}/{key}")
    if not isinstance(value, dict | list):
        yield at, value
