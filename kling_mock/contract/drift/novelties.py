"""What is new about an error reply that no entry of a provider's catalogue makes, and a new entry for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kling_mock.contract.drift.mending import free, slug
from kling_mock.contract.errors import Catalogue, default, is_code, is_sentence, judgeable, shown
from kling_mock.contract.readings import Reading
from kling_mock.core.errors import SPECIAL
from kling_mock.core.provider import Operation, Provider

LONG_ID = re.compile(r"(?<![\w-])(?:[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{24,}|[0-9]{14,})(?![\w-])", re.IGNORECASE)
SHORTEST = 4
"""Characters: a shorter value of a request stands in a message by chance."""


@dataclass(frozen=True, slots=True)
class Novelty:
    """What is new about an error reply. `values` are the new entry's, `like` the known entry that comes nearest."""

    kind: Literal["new-error-text", "new-error-code", "new-error-status", "new-error-envelope"]
    pointer: str
    envelope: str
    values: Mapping[str, Any]
    like: str | None = None

    @property
    def text(self) -> str:
        """The provider's words: the longest text among the values."""
        return max((value for value in self.values.values() if isinstance(value, str)), key=len, default="")


def novelty(catalogue: Catalogue, document: Any, status: int, request: Any) -> Novelty | None:
    """What is new about an error reply; None where an entry makes it."""
    if catalogue.made_by(document, status):
        return None
    if elsewhere := catalogue.made_by(document):
        envelope = next(row.envelope for row in catalogue.entries if row.name == elsewhere[0])
        return Novelty("new-error-status", "", envelope, {"status": status}, elsewhere[0])
    forms = catalogue.forms(document)
    if not forms:
        return Novelty("new-error-envelope", "", "", {})
    envelope = max(forms, key=lambda name: len(shown(forms[name])))
    values = dict(_values(forms[envelope], request))
    like = _like(catalogue, envelope, forms[envelope])
    kind: Literal["new-error-text", "new-error-code"] = "new-error-text"
    if like is None and not all(map(is_sentence, values.values())):
        kind = "new-error-code"
    at = next((row.pointer for row in shown(forms[envelope]) if _is_new(kind, values.get(_key(row.name)))), "")
    return Novelty(kind, at, envelope, values, like)


def judged(provider: Provider, name: str, operation: Operation) -> bool:
    """Whether an entry, in answer to this operation, speaks only of what can be told from the request alone."""
    answered = [row for row in provider.errors.answered(name) if _may_arise(row, operation)]
    named = [rule for rule in provider.rules.values() if rule.error == name]
    table = provider.capabilities
    features = [row for row in (table.features.values() if table else ()) if name in (row.error, row.nowhere)]
    return bool(answered or named or features) and all(judgeable(provider, row) for row in answered)


def said(catalogue: Catalogue, document: Any) -> str:
    """What an error reply says to people, as far as an envelope tells."""
    found = [place.value for reading in catalogue.forms(document).values() for place in shown(reading)]
    return max((value for value in found if isinstance(value, str)), key=len, default="")


def new_name(catalogue: Catalogue, new: Novelty, status: int) -> str:
    """A name for a new entry, made of what it says."""
    return free(slug(new.text) or f"error-{status}", catalogue.place.get("catalogue").node)


def _key(name: str) -> str:
    return name.removeprefix("error.")


def _values(reading: Reading, request: Any) -> Iterator[tuple[str, Any]]:
    """The values that an entry for this reply would have; of a text what comes from the request is a hole."""
    for place in shown(reading):
        if _key(place.name) not in SPECIAL and place.value != default(place):
            yield _key(place.name), general(place.value, request) if isinstance(place.value, str) else place.value


def _like(catalogue: Catalogue, envelope: str, reading: Reading) -> str | None:
    """The first entry that has the codes of a reply, of which there is one."""
    rows = [row for row in catalogue.entries if row.envelope == envelope]
    coded = [row for row in rows if any(is_code(row.value(place)) for place in shown(reading))]
    return next((row.name for row in coded if row.own(reading, sentences=False) is not None), None)


def _may_arise(situation: str, operation: Operation) -> bool:
    """Whether an operation can come into a situation at all: one that names no task cannot name a wrong one."""
    stage, task = situation.partition(".")[0], operation.task
    if stage == "task":
        return task is not None and bool(task.find or task.parents)
    return stage != "alias" or (task is not None and task.alias is not None)


def _is_new(kind: str, value: Any) -> bool:
    return is_sentence(value) if kind == "new-error-text" else value is not None and not is_sentence(value)


def general(text: str, request: Any) -> str:
    """A message as the catalogue writes it: what it repeats of the request, and ids of the call, are holes."""
    for value in sorted(_scalars(request), key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = re.sub(rf"(?<![\w.-]){re.escape(value)}(?![\w-])", "{$violation.value}", text)
    return LONG_ID.sub("{$request.id}", text)


def _scalars(node: Any) -> Iterator[str]:
    """The texts and numbers of a request, keys left aside."""
    if isinstance(node, dict | list):
        for item in node.values() if isinstance(node, dict) else node:
            yield from _scalars(item)
    elif isinstance(node, str | int | float) and not isinstance(node, bool):
        yield str(node)
