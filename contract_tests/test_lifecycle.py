"""A task as its caller sees it over time: a legal path to an end, the same ids, the same creation, in the list too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations, groupby, pairwise
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest

from contract_tests.bundle import Referee, bundle
from contract_tests.exchanges import CREATES, load, provider_of, send
from contract_tests.providers import PROVIDERS
from contract_tests.target import Reply, Target
from kling_mock.core.documents import tokens
from kling_mock.core.lifecycle import FOR_EVER, State

DAY = 86_400_000
Aim = Callable[[str], Target]
Judges = Callable[[str], Referee]


class Link(NamedTuple):
    """A link with its values filled in: the operation, its parameters and body, and the id that it passes on."""

    operation: str
    parameters: dict[str, Any]
    body: Any
    id: str


def courses() -> Iterator[Any]:
    """Every create fixture, in every variant, on the usual course and in every scenario that leads to an end."""
    for name in CREATES:
        provider = PROVIDERS[provider_of(name)]
        rows = [row for row in provider.scenarios.values() if FOR_EVER not in row.latency.values()]
        dated = [row.name for row in rows if (row.timeline or row.latency) and not row.breaks]
        for variant in provider.variants:
            for scenario in (None, *dated):
                yield pytest.param(name, variant, scenario, id=f"{name}-{variant}-{scenario or 'usual'}")


def leaves(node: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of a document with its pointer."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from leaves(child, f"{at}/{key}")
    if not isinstance(node, dict | list):
        yield at, node


def places(reply: Reply, value: Any) -> set[str]:
    """Where a reply shows a value of the same type."""
    return {at for at, leaf in leaves(reply.json) if type(leaf) is type(value) and leaf == value}


def links(target: Target, operation: str, created: Reply) -> list[Link]:
    """The links of a create's reply that its body can follow; the spec writes them for one variant each."""
    document = bundle(target.provider.name)
    row = next(row for item in document["paths"].values() for row in item.values() if row["operationId"] == operation)
    response = row["responses"][str(created.status)]
    if "$ref" in response:
        response = at_pointer(document, response["$ref"][1:])
    found = []
    for link in response.get("links", {}).values():
        passed: list[Any] = []
        try:
            parameters = value_of(link.get("parameters", {}), created.json, passed)
            body = value_of(link.get("requestBody"), created.json, passed)
        except (KeyError, TypeError):
            continue
        found.append(Link(link["operationId"], parameters, body, str(passed[0])))
    return found


def at_pointer(node: Any, pointer: str) -> Any:
    """The node at a JSON pointer."""
    for token in tokens(pointer):
        node = node[int(token)] if isinstance(node, list) else node[token]
    return node


def value_of(written: Any, body: Any, passed: list[Any]) -> Any:
    """A link's value, its expressions over the response's body (no others are used) replaced and noted in `passed`."""
    if isinstance(written, dict):
        return {key: value_of(item, body, passed) for key, item in written.items()}
    if isinstance(written, str) and written.startswith("$response.body#"):
        passed.append(at_pointer(body, written.removeprefix("$response.body#")))
        return passed[-1]
    return written


def follow(target: Target, link: Link, headers: dict[str, str]) -> Reply:
    """Make the call that a link describes."""
    operation = target.provider.operations[link.operation]
    where = {row.name: row.where for row in operation.parameters}
    path, query, sent = operation.path, {}, dict(headers)
    for name, value in link.parameters.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        if where.get(name) == "query":
            query[name] = value
        if where.get(name) == "header":
            sent[name] = str(value)
    content = b"" if link.body is None else json.dumps(link.body).encode()
    typed = {} if link.body is None else {"Content-Type": "application/json"}
    told = {**typed, **target.credential(operation), **sent}
    return target.send(operation.method, path, told, content, urlencode(query))


def moments(task: dict[str, Any]) -> list[int]:
    """When to look: just before, at and just after each change, half-way between them, and long after the end."""
    changes = [moment["at"] for moment in task["timeline"]]
    between = [(before + after) // 2 for before, after in pairwise(changes)]
    around = [at + off for at in changes for off in (-1, 0, 1)]
    return sorted({at for at in (*around, *between, changes[-1] + DAY) if at > task["created_at"]})


@pytest.mark.parametrize(("name", "variant", "scenario"), list(courses()))
def test_a_task_lives_as_the_spec_says(
    name: str, variant: str, scenario: str | None, aim: Aim, referee: Judges
) -> None:
    """Queried around each change, a task goes a legal path to its end and stays there, and its replies agree."""
    target = aim(provider_of(name))
    lifecycle = target.provider.lifecycle
    headers = {"Prefer": f"variant={variant}" + (f", scenario={scenario}" if scenario else "")}
    created = send(target, name, headers)
    assert created.status < 300, created.body[:500]
    ways = links(target, load(name)["operation"], created)
    if not ways and variant != target.provider.variants[0]:
        pytest.skip("the spec has no link that this variant's reply could follow")
    assert ways, "no link of the create's reply leads to its task"

    task = target.task(ways[0].id)
    now, seen = task["created_at"], []
    for at in moments(task):
        target.advance(at - now)
        now = at
        replies = [follow(target, way, headers) for way in ways]
        for way, reply in zip(ways, replies, strict=True):
            assert reply.status < 300, reply.body[:500]
            assert referee(target.provider.name).reply(target.provider.operations[way.operation], reply) == []
        seen.append((target.task(task["id"])["state"], replies))

    history = [state for state, _ in groupby(state for state, _ in seen)]
    assert lifecycle.legal(history), history
    assert lifecycle.ended(history[-1])
    assert seen[-1][0] == seen[-2][0]
    for index in range(len(ways)):
        told = [(state, replies[index]) for state, replies in seen]
        check_words(target, told)
        check_ids(task["id"], [created, *(reply for _, reply in told)])
        check_creation(task["created_at"], [reply for _, reply in told])
    check_list(target, task, seen[-1][1][0], headers, referee)


def check_words(target: Target, told: list[tuple[str, Reply]]) -> None:
    """Some place of the reply says at every moment, in one column of the spec's words, what the state is."""
    states = target.provider.lifecycle.states
    columns = {column for state in states.values() for column in state.words}
    telling = {column for column in columns if tells_the_end(states.values(), column)}
    found = [
        column for column in telling if set.intersection(*(places(r, states[name].words[column]) for name, r in told))
    ]
    shown = [(name, dict(leaves(reply.json))) for name, reply in told]
    assert found, f"no place of the reply follows the state through {sorted(telling)}: {shown}"


def tells_the_end(states: Iterable[State], column: str) -> bool:
    """Whether a column's words tell a running task, a success and a failure apart."""
    words: dict[str | None, set[str]] = {}
    for state in states:
        words.setdefault(state.ends, set()).add(repr(state.words[column]))
    return all(one.isdisjoint(other) for one, other in combinations(words.values(), 2))


def check_ids(id_: str, replies: list[Reply]) -> None:
    """The task's id is in every reply, and in all queries at the same place."""
    assert places(replies[0], id_)
    assert set.intersection(*(places(reply, id_) for reply in replies[1:]))


def check_creation(created: int, replies: list[Reply]) -> None:
    """Where a reply shows when the task was created, it never shows another time."""
    if places(replies[0], created):
        assert set.intersection(*(places(reply, created) for reply in replies))


def check_list(target: Target, task: dict[str, Any], query: Reply, headers: dict[str, str], referee: Judges) -> None:
    """Lists of this kind of task show it first, and as the query does."""
    for operation in target.provider.operations.values():
        if operation.role != "list" or target.kind(operation) != task["kind"]:
            continue
        reply = target.send(operation.method, operation.path, {**target.credential(operation), **headers})
        assert reply.status == 200
        assert referee(target.provider.name).reply(operation, reply) == []
        shown, listed = owner(query.json, task["id"]), owner(reply.json, task["id"])
        # A row without keys shows less of a task; what it shows is what the query shows.
        assert listed == shown or (isinstance(listed, list) and all(item in shown.values() for item in listed))


def owner(document: Any, id_: str) -> Any:
    """The innermost object that holds the id as a value."""
    at = next((at for at, leaf in leaves(document) if leaf == id_), None)
    return None if at is None else at_pointer(document, at.rpartition("/")[0])
