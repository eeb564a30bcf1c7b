"""The examples of rules and features as messages: what is accepted, and what is refused for this reason.

A rule over the body shows bodies. A rule over pictures shows facts; pictures with these facts are put into a body that
some other example shows. Only what the judge confirms is an example.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.messages import Message, example_messages, judged
from kling_mock.contract.phases import pictures
from kling_mock.contract.phases.jobs import Jobs, objects
from kling_mock.contract.phases.placing import placed
from kling_mock.core.capabilities import Feature
from kling_mock.core.expressions import ABSENT
from kling_mock.core.judging import Judgement
from kling_mock.core.provider import Operation
from kling_mock.report_examples import Examples
from kling_mock.report_explain import members_of

Which = Literal["valid", "invalid"]


class Shown(Struct, frozen=True):
    """A rule or feature with its two messages; one that is not to be had is None. `of` is what it is called."""

    of: str
    rule: str
    severity: str
    valid: Message | None
    invalid: Message | None


class RuleExamples:
    """The messages of one provider's rules."""

    def __init__(self, agreement: Agreement, jobs: Jobs) -> None:
        self.agreement, self.provider, self._jobs = agreement, agreement.provider, jobs
        self._rules = {name: place.node for name, place in agreement.root.get("x-mock-rules").items()}
        creates = [row for row in self.provider.operations.values() if row.role == "create"]
        self._creates = creates
        self._bodies = [row for row in (self._shown(name, "valid") for name in self._rules) if row is not None]

    def each(self) -> Iterator[Shown]:
        """Every rule and feature, in the order of the documents."""
        for name, node in self._rules.items():
            invalid = self._message(name, "invalid", self._creates)
            # What does not break a rule says nothing of an operation for which there is no such rule.
            valid = self._message(name, "valid", [invalid.operation] if invalid else self._creates)
            yield Shown(name, name, node["severity"], valid, invalid)
        for feature in self.provider.capabilities.features.values() if self.provider.capabilities else ():
            yield from self._featured(feature)

    def _featured(self, feature: Feature) -> Iterator[Shown]:
        """A feature's example, and with each model the payload that is taken or refused for it."""
        found = Examples(self.provider, self.agreement.root)
        example = found.of_feature(feature.name)
        if example is None:
            return
        operation = self.provider.operations[example.operation]
        valid, invalid = (Message(operation, body) for body in (example.valid, example.invalid))
        yield Shown(feature.name, feature.name, feature.severity, valid, invalid)
        for model, body, taken in found.on_models(feature.name, example):
            if body not in (example.valid, example.invalid):
                message, of = Message(operation, body), f"{feature.name} on {model}"
                shown = (message, None) if taken else (None, message)
                yield Shown(of, feature.name, feature.severity, *shown)

    def _shown(self, name: str, which: Which) -> Mapping[str, Any] | None:
        """The body that an example shows, if it shows one."""
        example = self._rules[name][which]
        if "fact" in self._rules[name] or not isinstance(example, dict) or "facts" in example:
            return None
        found: Mapping[str, Any] = example.get("document", example)
        return found

    def _message(self, name: str, which: Which, operations: list[Operation]) -> Message | None:
        """The message that shows it best: what is just not broken has no fault, what is broken has no other."""
        best: tuple[int, Message] | None = None
        for message in self._candidates(name, self._rules[name][which], operations):
            others = self._others(name, which, judged(self.provider, message))
            if others is not None and (best is None or others < best[0]):
                best = others, message
            if others == 0:
                break
        return best[1] if best else None

    def _candidates(self, name: str, example: Any, operations: list[Operation]) -> Iterator[Message]:
        pictured = "fact" in self._rules[name] or (isinstance(example, dict) and "facts" in example)
        for operation in operations:
            if pictured:
                yield from self._pictured(operation, name, example)
            else:
                whole = example.get("document", example) if isinstance(example, dict) else example
                job = self._jobs.of(operation)
                bases = [job.document] if job is not None and isinstance(job.document, dict) else []
                bodies = placed(bases, self._rules[name].get("field"), whole)
                yield from (Message(operation, body) for body in bodies)

    def _others(self, name: str, which: Which, judgement: Judgement) -> int | None:
        """How many other rules a message breaks; None where it is no example of this one."""
        broken = {row.rule: row.severity for row in judgement.violations}
        faults = {rule for rule, severity in broken.items() if severity != "warning"}
        if which == "valid":
            return None if faults or name in broken else 0
        if name not in broken or (broken[name] != "refused" and faults - {name}):
            return None
        return len(faults - {name})

    # Pictures

    def _pictured(self, operation: Operation, name: str, example: Mapping[str, Any]) -> Iterator[Message]:
        """Bodies with pictures of these facts, in any of the places that the rule looks at."""
        node = self._rules[name]
        if "facts" in example:
            wanted = [(role, facts) for role, rows in example["facts"].items() for facts in rows]
            sets = [wanted]
        else:
            sets = [[(role, example)] for role in node["fact"]["of"]]
        for wanted in sets:
            if all(role in operation.images for role, _ in wanted):
                yield from self._with(operation, wanted)

    def _with(self, operation: Operation, wanted: list[tuple[str, Mapping[str, Any]]]) -> Iterator[Message]:
        files = any(name.startswith("multipart/") for name in operation.bodies)
        for body in [*self._bodies, *self._fixtures(operation), {}]:
            document, parts = copy.deepcopy(dict(body)), {}
            for role, facts in wanted:
                path = operation.images[role]
                if files and len(path) == 1 and facts.get("given") == "file":
                    document.pop(path[0], None)
                    parts[path[0]] = pictures.content(facts)
                else:
                    document = _put(document, path, pictures.text(facts), self._item(operation, path))
            yield Message(operation, document or ABSENT, parts)

    def _item(self, operation: Operation, path: tuple[str, ...]) -> Any:
        """What an item of the list on a path needs beside its picture."""
        if "*" not in path:
            return {}
        places = members_of(self.agreement, operation.id, path[: path.index("*") + 1])
        return next((item for place in places for item in objects(place)), {})

    def _fixtures(self, operation: Operation) -> Iterator[Mapping[str, Any]]:
        for _, row in example_messages(self.agreement):
            if row.operation is operation and isinstance(row.document, dict):
                yield row.document


def _put(value: Any, path: tuple[str, ...], new: Any, item: Any) -> Any:
    """A copy with another value at a path; what is not there is made, a list's one item of `item`."""
    if not path:
        return new
    head, *rest = path
    if head == "*":
        items = value if isinstance(value, list) and value else [item]
        return [_put(items[0], tuple(rest), new, item)]
    known = value if isinstance(value, dict) else {}
    return {**known, head: _put(known.get(head), tuple(rest), new, item)}
