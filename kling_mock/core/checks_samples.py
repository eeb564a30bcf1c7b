"""Plausible calls and tasks, made from a spec's own schemas, to try its templates on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from kling_mock.core import entropy as ids
from kling_mock.core.checks_requests import parameters
from kling_mock.core.checks_shapes import Shapes, operations, raw
from kling_mock.core.documents import Place
from kling_mock.core.expressions import ABSENT
from kling_mock.core.judging import job_of
from kling_mock.core.lifecycle import timeline
from kling_mock.core.model import Account, Balance, Result, Task, View
from kling_mock.core.packs import validity
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.reading import convert
from kling_mock.core.showing import speak, spoken_pack

NOW = 1_767_225_600_000
SEED = "check-spec"
REASON = "a plausible reason"


class Sampler(Struct):
    """Makes calls and tasks of one provider."""

    root: Place
    provider: Provider
    shapes: Shapes

    def scope(self, item: Place, place: Place, operation: Operation, full: bool, variant: str) -> dict[str, Any]:
        """What expressions see of a plausible call: with all that it may say, or only what it must."""
        body: Any = ABSENT
        for media_type, content in place.get("requestBody").get("content").items():
            document = self.shapes.sample([raw(content, "schema")], full)
            reader = operation.bodies[media_type].reader
            body = reader.read(document) if isinstance(document, dict) else document
            break
        request: dict[str, Any] = {
            "id": ids.draw(self.provider.request_ids, SEED, "request"),
            "method": operation.method,
            "url": f"http://localhost{operation.path}",
            "base": "http://localhost",
            "target": operation.path,
            "body": body,
            **self._parameters(item, place, full),
        }
        scope: dict[str, Any] = {"request": request, "variant": variant, "now": NOW, "account": None}
        return {**scope, "parameters": job_of(operation, scope)}

    def _parameters(self, item: Place, place: Place, full: bool) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
        for parameter in parameters(item, place):
            spot = parameter.follow()
            name, where = spot.node["name"], spot.node["in"]
            schema = raw(spot, "schema")
            node = schema.follow().node
            if full or spot.node.get("required") or (isinstance(node, Mapping) and "default" in node):
                value = self.shapes.sample([schema], full)
                found[where][name.lower() if where == "header" else name] = value
        return found

    def tasks(self, variant: str, state: str) -> Iterator[tuple[str, Task]]:
        """For each create, the tasks of a full and of a bare request as they come to be in `state`."""
        for _, item, place in operations(self.root):
            operation = self.provider.operations[place.node["operationId"]]
            if operation.role == "create" and operation.task and operation.result:
                for full in (True, False):
                    yield operation.id, self.task(item, place, operation, variant, state, full)

    def task(self, item: Place, place: Place, operation: Operation, variant: str, state: str, full: bool) -> Task:
        """The task of one create."""
        assert operation.task
        scope = self.scope(item, place, operation, full, variant)
        alias = operation.task.alias(scope) if operation.task.alias else ABSENT
        failed = self.provider.lifecycle.states[state].ends == "failure"
        return Task(
            id=ids.draw(operation.task.new[variant], SEED, "task"),
            provider=self.provider.name,
            account=SEED,
            operation=operation.id,
            kind=str(operation.task.kind(scope)),
            variant=variant,
            created=NOW - 60_000,
            timeline=timeline([state], {}, NOW - 30_000, SEED),
            entropy=SEED,
            alias=alias if isinstance(alias, str) and alias and full else None,
            reason=REASON if failed else None,
            request=scope["request"]["body"],
            parameters=scope["parameters"],
            result=_result(operation, scope),
            price=Decimal("1.5") if full and operation.result and operation.result.prices else None,
            media="http://localhost/_mock/media",
        )

    def shown(self, task: Task, reason: bool = True) -> dict[str, Any]:
        """What templates see of a task."""
        name = task.timeline[0].state
        state = self.provider.lifecycle.states[name]
        view = View(name, state.words, task.timeline[0].at, None, state.ends)
        spoken = speak(self.provider, task, view, task.media)
        if not reason:
            spoken.pop("reason", None)
        return {"task": spoken, "view": view, "state": view.words}

    def packs(self, operation: Operation) -> list[dict[str, Any]]:
        """What a balance sees: each pack by each of the provider's words, the used up one without a rest."""
        assert operation.packs
        owner = Account(SEED, self.provider.name, {}, NOW, self.provider.packs)
        found = []
        for pack in owner.packs:
            valid = validity(owner.packs, owner, pack, NOW)
            for stands, word in operation.packs.words.items():
                spent = pack.total if stands == "empty" else Decimal(0)
                found.append(spoken_pack(Balance(pack, Decimal(0), spent), owner, valid, word))
        return found


def _result(operation: Operation, scope: Mapping[str, Any]) -> Result:
    words = operation.result
    assert words
    count, seconds = convert(words.count(scope), "integer"), scope["parameters"].get("seconds", 0)
    aspect, (width, height) = next(iter(words.sizes.items()))
    duration = int(seconds * 1000) if isinstance(seconds, int | float) else 0
    number = count if isinstance(count, int) and count > 0 else 1
    return Result(words.of, number, width, height, aspect, duration, words.expires_ms, words.pack, id=words.id)
