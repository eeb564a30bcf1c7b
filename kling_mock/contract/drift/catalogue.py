"""Error replies held against the provider's catalogue: which entry can have made one, or what is new about it.

Envelopes are templates, and an entry's texts may have holes. Here each entry becomes a pattern of a reply: the values
that it fixes must be equal, a hole takes what could stand in it. What has to do with the call alone (ids, the time)
does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kling_mock.contract.drift.mending import free, slug
from kling_mock.core.documents import Place
from kling_mock.core.errors import SPECIAL
from kling_mock.core.expressions import ABSENT, SINGLE, point
from kling_mock.core.messages import MESSAGES, json_type
from kling_mock.core.provider import Operation, Provider

Tokens = tuple[str, ...]
SPOKEN = re.compile(r"\{\$error\.([A-Za-z0-9_-]+)\s*(?:\?\?\s*('[^']*'))?\}")
JUDGED = ("body", "parameters", "rules", "capabilities")
UNJUDGED = ("body.syntax", "body.size", "body.media-type")
LONG_ID = re.compile(r"(?<![\w-])(?:[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{24,}|[0-9]{14,})(?![\w-])", re.IGNORECASE)
SHORTEST = 4
"""Characters: a shorter value of a request stands in a message by chance."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """What an entry writes at one place of its envelope: a value, or a pattern; `of` is the entry's own key for it."""

    path: Tokens
    value: Any
    of: str | None = None

    def fits(self, document: Any) -> bool:
        """Whether a reply has it there."""
        found = point(document, list(self.path))
        if isinstance(self.value, re.Pattern):
            return isinstance(found, str) and self.value.fullmatch(found) is not None
        return found is not ABSENT and json_type(found) == json_type(self.value) and bool(found == self.value)


@dataclass(frozen=True, slots=True)
class Known:
    """A catalogue entry as the replies that it makes."""

    name: str
    status: int
    envelope: str
    leaves: tuple[Leaf, ...]

    def made(self, document: Any) -> bool:
        """Whether the entry can have made this body."""
        return bool(self.leaves) and all(leaf.fits(document) for leaf in self.leaves)


@dataclass(frozen=True, slots=True)
class Novelty:
    """What is new about an error reply. `values` are the new entry's, `like` the known entry that comes nearest."""

    kind: Literal["new-error-text", "new-error-code", "new-error-status", "new-error-envelope"]
    path: Tokens
    envelope: str
    values: Mapping[str, Any]
    like: str | None = None

    @property
    def text(self) -> str:
        """The provider's words: the longest text among the values."""
        return max((value for value in self.values.values() if isinstance(value, str)), key=len, default="")


class Catalogue:
    """A provider's table of errors, as patterns."""

    def __init__(self, root: Place, provider: Provider) -> None:
        self.place = root.get("x-mock-errors")
        self._provider = provider
        self._texts = _said(provider)
        self._envelopes = dict(self.place.get("envelopes").items())
        self.known = [self._known(name, row) for name, row in self.place.get("catalogue").items()]

    def made_by(self, status: int, document: Any) -> list[str]:
        """The entries that can have made a reply."""
        return [row.name for row in self.known if row.status == status and row.made(document)]

    def is_error(self, status: int, document: Any, fits: bool) -> bool:
        """Whether a reply is an error: by its status, by the form of an error under a good one, or, where its body
        does not fit what is documented for a good one, by an entry that makes it.
        """
        soft = {row.envelope for row in self.known if row.status == status}
        if status >= 400 or any(self._frames(name, document) for name in soft):
            return True
        return not fits and any(row.made(document) for row in self.known)

    def judged(self, name: str, operation: Operation) -> bool:
        """Whether an entry, in answer to this operation, speaks only of what can be told from the request alone."""
        situations = [row for row in self._situations(name) if _may_arise(row, operation)]
        named = [rule for rule in self._provider.rules.values() if rule.error == name]
        table = self._provider.capabilities
        features = [row for row in (table.features.values() if table else ()) if name in (row.error, row.nowhere)]
        return bool(situations or named or features) and all(map(self._judgeable, situations))

    def novelty(self, status: int, document: Any, request: Any) -> Novelty | None:
        """What is new about an error reply; None where an entry can have made it."""
        if self.made_by(status, document):
            return None
        for row in self.known:
            if row.made(document):
                return Novelty("new-error-status", (), row.envelope, {"status": status}, row.name)
        frames = [name for name in self._envelopes if self._frames(name, document)]
        if not frames:
            return Novelty("new-error-envelope", (), "", {})
        envelope = max(frames, key=lambda name: len(list(self._spots(name))))
        values = dict(self._values(envelope, document, request))
        near = [row for row in self.known if row.envelope == envelope and _same_code(row, document)]
        kind: Literal["new-error-text", "new-error-code"] = "new-error-text"
        if not near and any(not isinstance(value, str) or " " not in value for value in values.values()):
            kind = "new-error-code"
        path = next((path for path, name in self._spots(envelope) if _is_new(kind, values.get(name))), ())
        return Novelty(kind, path, envelope, values, near[0].name if near else None)

    def text(self, document: Any) -> str:
        """What an error reply says to people, as far as an envelope tells."""
        frames = (name for name in self._envelopes if self._frames(name, document))
        found = [point(document, list(path)) for name in frames for path, _ in self._spots(name)]
        return max((text for text in found if isinstance(text, str)), key=len, default="")

    def new_name(self, new: Novelty, status: int) -> str:
        """A name for a new entry, made of what it says."""
        return free(slug(new.text) or f"error-{status}", self.place.get("catalogue").node)

    def _known(self, name: str, row: Place) -> Known:
        envelope = row.node.get("envelope", next(iter(self._envelopes)))
        values = {key: value for key, value in row.node.items() if key not in SPECIAL}
        own = {**values, "name": name, "status": row.node["status"]}
        leaves = tuple(self._leaves(self._envelopes[envelope], own, self._holes(name)))
        return Known(name, row.node["status"], envelope, leaves)

    def _leaves(self, place: Place, values: Mapping[str, Any], holes: Mapping[str, str]) -> Iterator[Leaf]:
        for path, node in _written(place):
            spoken = SPOKEN.fullmatch(node) if isinstance(node, str) else None
            value = values.get(spoken[1], _literal(spoken[2])) if spoken else node
            if value is not ABSENT and (spoken or not _of_the_call(node)):
                yield Leaf(path, _pattern(value, holes), spoken[1] if spoken else None)

    def _spots(self, envelope: str) -> Iterator[tuple[Tokens, str]]:
        """Where an envelope shows values of its entries."""
        for path, node in _written(self._envelopes[envelope]):
            if isinstance(node, str) and (spoken := SPOKEN.fullmatch(node)):
                yield path, spoken[1]

    def _frames(self, envelope: str, document: Any) -> bool:
        """Whether a body has the envelope's form: its fixed values, and something wherever an entry's value goes."""
        fixed = [Leaf(path, node) for path, node in _written(self._envelopes[envelope]) if not _has_hole(node)]
        spots = [path for path, _ in self._spots(envelope)]
        shown = all(not isinstance(point(document, list(path)), dict | list) for path in spots)
        there = all(point(document, list(path)) is not ABSENT for path in spots)
        return bool(fixed or spots) and shown and there and all(leaf.fits(document) for leaf in fixed)

    def _values(self, envelope: str, document: Any, request: Any) -> Iterator[tuple[str, Any]]:
        """The values that an entry for this reply would have; of a text what comes from the request is a hole."""
        for path, node in _written(self._envelopes[envelope]):
            spoken = SPOKEN.fullmatch(node) if isinstance(node, str) else None
            found = point(document, list(path))
            if spoken and spoken[1] not in SPECIAL and found != _literal(spoken[2]):
                yield spoken[1], general(found, request) if isinstance(found, str) else found

    def _holes(self, name: str) -> Mapping[str, str]:
        """What may stand in the holes of an entry's texts, as patterns by expression."""
        message = self._texts if all(map(self._judgeable, self._situations(name))) else ".*"
        return {"$violation.message": message, "$violation.field": r"(?:request body|\S*)"}

    def _situations(self, name: str) -> list[str]:
        """The rows of the table that an entry answers."""
        return [situation for situation, answer in self._provider.errors.situations.items() if answer == name]

    def _judgeable(self, situation: str) -> bool:
        """Whether a row of the table speaks only of what the request alone can tell."""
        stage = situation.partition(".")[0]
        others = [name for name in UNJUDGED if name not in self._provider.errors.situations]
        return stage in JUDGED and situation not in UNJUDGED and not (situation == "body" and others)


def _may_arise(situation: str, operation: Operation) -> bool:
    """Whether an operation can come into a situation at all: one that names no task cannot name a wrong one."""
    stage, task = situation.partition(".")[0], operation.task
    if stage == "task":
        return task is not None and bool(task.find or task.parents)
    return stage != "alias" or (task is not None and task.alias is not None)


def _said(provider: Provider) -> str:
    """Whatever our judgement can say of a request, as a pattern."""
    forms = [re.sub(r"\\\{[a-z]+\\\}", ".*", re.escape(form)) for form in MESSAGES.values()]
    rules = [re.escape(rule.message) for rule in provider.rules.values()]
    table = provider.capabilities
    called = [re.escape(row.called) for row in table.features.values()] if table else []
    features = [f"(?:{'|'.join(called)}) (?:needs|cannot be combined|is not there) .*"] if called else []
    return f"(?:{'|'.join(['', *forms, 'does not satisfy .*', *rules, *features])})"


def _written(place: Place, path: Tokens = ()) -> Iterator[tuple[Tokens, Any]]:
    """Every leaf of an envelope with its path."""
    place = place.follow()
    if not isinstance(place.node, dict | list):
        yield path, place.node
    for key, below in place.items():
        yield from _written(below, (*path, key))
    for index, below in enumerate(place.each()):
        yield from _written(below, (*path, str(index)))


def _has_hole(node: Any) -> bool:
    return isinstance(node, str) and "{$" in node


def _of_the_call(node: Any) -> bool:
    """Whether a leaf says something of the call, which no entry knows."""
    return _has_hole(node) and "{$error." not in node


def _literal(quoted: str | None) -> Any:
    return ABSENT if quoted is None else quoted[1:-1]


def _pattern(value: Any, holes: Mapping[str, str]) -> Any:
    """A value, or the pattern of a text with holes."""
    if not _has_hole(value):
        return value
    parts = SINGLE.split(value)
    written = (_hole(part, holes) if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return re.compile("".join(written), re.DOTALL)


def _hole(expression: str, holes: Mapping[str, str]) -> str:
    first, *others = (part.strip() for part in expression.split("??"))
    choices = [holes.get(first, ".*"), *(re.escape(part.strip("'")) for part in others)]
    return f"(?:{'|'.join(choices)})"


def _same_code(row: Known, document: Any) -> bool:
    """Whether an entry has the code of a reply: all its values but the texts for people, of which there is one."""
    codes = [
        leaf for leaf in row.leaves if leaf.of and not isinstance(leaf.value, re.Pattern) and not _text(leaf.value)
    ]
    return bool(codes) and all(leaf.fits(document) for leaf in codes)


def _text(value: Any) -> bool:
    return isinstance(value, str) and (" " in value or not value.isascii())


def _is_new(kind: str, value: Any) -> bool:
    return _text(value) if kind == "new-error-text" else value is not None and not _text(value)


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
