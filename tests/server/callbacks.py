"""Creates that ask for callbacks, for every provider that has them, and the schemas that their bodies must fit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from kling_mock.core.documents import Place
from kling_mock.core.provider import Provider
from kling_mock.loading import bundled, load_providers, read_documents
from tests.conftest import Answer, Client
from tests.exchanges import creates, load, written

CREATES = [
    (provider.name, operation.id, variant)
    for provider in load_providers().values()
    for operation in provider.operations.values()
    for variant in provider.variants
    if operation.callbacks and operation.task and not operation.task.parents
]
CALLED_BACK = sorted({name for name, _, _ in CREATES})
BODIES: Mapping[str, Any] = {
    "createTextToVideo": {"prompt": "a lighthouse"},
    "createImageToVideo": {"image": "https://example.com/a.png", "prompt": "a lighthouse"},
    "createImage": {"prompt": "a lighthouse"},
    "createVirtualTryOn": {"human_image": "https://example.com/a.png", "cloth_image": "https://example.com/b.png"},
}
"""Valid bodies by operation."""


def ask(client: Client, url: str, operation: str | None = None, **headers: str) -> Answer:
    """Create a task that calls `url` back: by the operation, or as a fixture does."""
    words = client.provider.operations
    named = () if operation in BODIES else creates(client)
    for name in named:
        found = load(name)["operation"]
        if words[found].callbacks and operation in (None, found):
            request = written(name)
            return _send(client, found, json.loads(request.body), url, {**request.headers, **headers})
    assert operation is not None
    return _send(client, operation, BODIES[operation], url, headers)


def _send(client: Client, operation: str, body: Any, url: str, headers: Mapping[str, str]) -> Answer:
    words = client.provider.operations[operation]
    at = words.callbacks[0].pointer
    if at.startswith("header/"):
        return client.send(words.method, words.path, body, {**headers, at.removeprefix("header/"): url})
    return client.send(words.method, words.path, body | {at.removeprefix("/"): url}, headers)


def task_of(answer: Answer) -> str:
    """The id of the task that a create made."""
    assert answer.status < 300, answer.body
    return answer.headers["x-mock-task"]


def callback_schema(provider: str, operation: str) -> tuple[str, str]:
    """The file and the pointer of the schema that an operation's callback bodies must fit."""
    documents = read_documents(bundled("specs"))
    file = f"{provider}/openapi.yaml"
    root = Place(documents, file, "", documents[file])
    for _, item in root.get("paths").items():
        for _, row in item.follow().items():
            if isinstance(row.node, dict) and row.node.get("operationId") == operation:
                [schema, *_] = _schemas(row)
                return schema.file, schema.at
    raise AssertionError(f"{provider} has no {operation}")


def _schemas(operation: Place) -> Iterator[Place]:
    for _, callback in operation.get("callbacks").items():
        for _, item in callback.follow().items():
            for _, media in item.follow().get("post").get("requestBody").get("content").items():
                yield media.get("schema")


def wrong(provider: str, operation: str, body: Any) -> list[str]:
    """What does not fit, by an implementation of JSON Schema that is not ours."""
    return [error.message for error in _validator(*callback_schema(provider, operation)).iter_errors(body)]


@cache
def _validator(file: str, at: str) -> Draft202012Validator:
    documents = read_documents(bundled("specs"))
    resources = ((f"http://specs.test/{name}", Resource(node, DRAFT202012)) for name, node in documents.items())
    return Draft202012Validator(
        {"$ref": f"http://specs.test/{file}#{quote(at)}"}, registry=Registry().with_resources(resources)
    )


def told_of(provider: Provider, client: Client, task: str) -> list[tuple[int, str]]:
    """The moments of a task that its callbacks tell of."""
    made = client.mock.store.task(provider.name, task)
    assert made is not None
    states = provider.operations[made.operation].callbacks[0].states
    return [(moment.at, moment.state) for moment in made.timeline if moment.state in states]
