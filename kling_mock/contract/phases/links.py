"""OpenAPI links: which calls lead from a create's reply to its task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.messages import Message
from kling_mock.contract.target import Answer
from kling_mock.core.documents import tokens
from kling_mock.core.expressions import ABSENT
from kling_mock.core.provider import Operation

BODY = "$response.body#"


class Nowhere(Exception):
    """An expression of a link that names nothing in this reply."""


def links(agreement: Agreement, operation: Operation, answer: Answer) -> Iterator[Message]:
    """The calls that a reply links to; a link whose expressions name nothing in it is another variant's."""
    response = agreement.place(operation).get("responses").get(str(answer.status))
    for _, link in response.get("links").items():
        try:
            yield _message(agreement, link.node, answer.document)
        except Nowhere:
            continue


def strange_links(agreement: Agreement, operation: Operation, id_: str) -> Iterator[Message]:
    """The calls that a create's replies link to, for a task with this id."""
    for _, response in agreement.place(operation).get("responses").items():
        for _, link in response.get("links").items():
            yield _message(agreement, link.node, _Anything(id_))


class _Anything(dict[str, Any]):
    """A reply in which every expression finds the same id."""

    def __init__(self, id_: str) -> None:
        super().__init__()
        self.id = id_

    def __missing__(self, key: str) -> Any:
        return self


def _message(agreement: Agreement, link: dict[str, Any], document: Any) -> Message:
    operation = agreement.provider.operations[link["operationId"]]
    where = {row.name: row.where for row in operation.parameters}
    given = {name: value_of(value, document) for name, value in link.get("parameters", {}).items()}
    body = value_of(link["requestBody"], document) if "requestBody" in link else ABSENT
    return Message(
        operation,
        body,
        path={name: str(value) for name, value in given.items() if where.get(name) == "path"},
        query={name: value for name, value in given.items() if where.get(name) == "query"},
        headers={name.lower(): str(value) for name, value in given.items() if where.get(name) == "header"},
    )


def value_of(written: Any, document: Any) -> Any:
    """A link's value with its expressions over the reply's body (no others are used) replaced. Raises `Nowhere`."""
    if isinstance(written, dict):
        return {key: value_of(item, document) for key, item in written.items()}
    if not isinstance(written, str) or not written.startswith(BODY):
        return written
    for token in tokens(written.removeprefix(BODY)):
        document = _below(document, token)
    return document.id if isinstance(document, _Anything) else document


def _below(node: Any, token: str) -> Any:
    try:
        return node[int(token)] if isinstance(node, list) else node[token]
    except (KeyError, IndexError, TypeError, ValueError):
        raise Nowhere(token) from None
