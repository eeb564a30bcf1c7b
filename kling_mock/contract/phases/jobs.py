"""Jobs: for every create a message that the documents accept, so that there is a task to look at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.caller import Caller, Seen
from kling_mock.contract.messages import Message, example_messages, judged
from kling_mock.contract.phases.placing import placed, put
from kling_mock.core.documents import Place, tokens
from kling_mock.core.provider import Operation, Provider
from kling_mock.report_examples import samples_of

BODY_POINTER = re.compile(r"\{\$request\.body#(/[^}|? ]+)")
MOST = 500
"""Combinations of values that are tried where no example is given."""
FEW = 20
"""Of these so many are tried with the examples of rules in them."""


class Jobs:
    """The jobs of one provider; what was found is kept."""

    def __init__(self, agreement: Agreement) -> None:
        self.agreement, self.provider = agreement, agreement.provider
        self._found: dict[str, Message | None] = {}

    @property
    def creates(self) -> list[Operation]:
        """The operations that make tasks."""
        return [row for row in self.provider.operations.values() if row.role == "create"]

    def of(self, operation: Operation) -> Message | None:
        """The cheapest message for an operation that is accepted; None where none is found."""
        if operation.id not in self._found:
            sound = [row for row in self._candidates(operation) if _sound(self.provider, row)]
            self._found[operation.id] = min(sound, key=lambda row: _price(self.provider, row), default=None)
        return self._found[operation.id]

    def _candidates(self, operation: Operation) -> Iterator[Message]:
        given = [row for _, row in example_messages(self.agreement) if row.operation is operation]
        yield from given
        made = [] if given else list(islice(self._made(operation), MOST))
        yield from (Message(operation, body) for body in made)
        for _, row in self.agreement.root.get("x-mock-rules").items():
            example = row.node["valid"]
            if "fact" in row.node or (isinstance(example, dict) and "facts" in example):
                continue
            whole = example.get("document", example) if isinstance(example, dict) else example
            bodies = placed(made[:FEW], row.node.get("field"), whole)
            yield from (Message(operation, body) for body in bodies)

    def _made(self, operation: Operation) -> Iterator[dict[str, Any]]:
        """Bodies of nothing but what is required."""
        media_type = next(iter(operation.bodies), "")
        content = self.agreement.place(operation).get("requestBody").get("content")
        yield from objects(content.get(media_type).get("schema"))

    # Parents and aliases

    def with_parent(self, message: Message, caller: Caller) -> tuple[Message, list[Seen]]:
        """The message with the id of a finished task where it builds upon one, and the calls that made that task."""
        from kling_mock.contract.phases.following import Follower

        if message.operation.task is None or not message.operation.task.parents:
            return message, []
        created = self.parent(message, caller)
        follower = Follower(caller, created)
        follower.to_the_end()
        return self.upon(message, created.tasks[0].id), follower.seen

    def parent(self, message: Message, caller: Caller) -> Seen:
        """The create of a task upon which the message may build."""
        assert message.operation.task is not None
        kinds = message.operation.task.parents[0].kinds
        jobs = ((row, self.of(row)) for row in self.creates if row is not message.operation)
        maker = next(job for row, job in jobs if job is not None and _suits(row, job, kinds))
        created = caller.call(maker)
        caller.accepted(created)
        return created

    def upon(self, message: Message, parent: str) -> Message:
        """The message that builds upon a task."""
        places = self.agreement.place(message.operation).get("x-mock-task").get("parents")
        at = next((match[1] for row in places.each() if (match := BODY_POINTER.match(row.node["id"]))), None)
        return message if at is None else _changed(message, put(message.document, tokens(at), parent))

    def named(self, message: Message, alias: str) -> Message | None:
        """The message with the caller's own id, where the operation has one."""
        written = self.agreement.place(message.operation).get("x-mock-task").get("alias").node
        match = BODY_POINTER.match(written) if isinstance(written, str) else None
        return None if match is None else _changed(message, put(message.document, tokens(match[1]), alias))


def _changed(message: Message, document: Any) -> Message:
    return Message(message.operation, document, message.files, headers=message.headers, target=message.target)


def _suits(operation: Operation, job: Message, kinds: frozenset[str] | None) -> bool:
    words = operation.task
    made = words.kind({"request": {"body": job.document}}) if words and not words.parents else None
    return made is not None and (kinds is None or made in kinds)


def _sound(provider: Provider, message: Message) -> bool:
    return all(row.severity == "warning" for row in judged(provider, message).violations)


def _price(provider: Provider, message: Message) -> tuple[bool, Any, int]:
    judgement = judged(provider, message)
    quote = judgement.quote
    return quote is None, quote.amount if quote else 0, len(judgement.violations)


def objects(schema: Place) -> Iterator[dict[str, Any]]:
    """Objects of the members that a schema requires, in any of its parts, with values that it may take."""
    parts = [schema, *schema.get("allOf").each(), *schema.get("anyOf").each()]
    required = {name for part in parts for name in _node(part).get("required", ())}
    members = {name: place for part in parts for name, place in part.get("properties").items()}
    names = sorted(required & set(members))
    ways = [list(islice(_values(members[name]), 6)) for name in names]
    for row in product(*ways):
        yield dict(zip(names, row, strict=True))


def _values(schema: Place) -> Iterator[Any]:
    if schema.get("properties").node:
        yield from islice(objects(schema), 20)
    yield from samples_of(schema)


def _node(place: Place) -> Mapping[str, Any]:
    return place.node if isinstance(place.node, Mapping) else {}
