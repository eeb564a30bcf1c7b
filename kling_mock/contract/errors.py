"""Which error of a provider's catalogue a reply is: the one way in which replies are recognised as errors.

An error is an envelope that an entry has filled in. So a body is read by each envelope, backwards, and what it says is
held against the values of each entry. A number, a boolean or a word is a code, and has to be the entry's own; a
sentence is a pattern, whose holes take what may stand in them. Of the entries that fit the most specific is meant. What
has to do with the call alone (ids, the time) does not count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from msgspec import Struct

from kling_mock.contract.readings import HOLE, Bound, Reading, own, pattern, read, same
from kling_mock.core.errors import SPECIAL
from kling_mock.core.expressions import ABSENT, text
from kling_mock.core.messages import MESSAGES
from kling_mock.core.provider import Provider

JUDGED = ("body", "parameters", "rules", "capabilities")
UNJUDGED = ("body.syntax", "body.size", "body.media-type")
DEFAULT = re.compile(r".*\?\?\s*'([^']*)'")


class Entry(Struct, frozen=True):
    """A catalogue entry as the replies that it makes: `values` by expression ("error.code"), with holes as patterns."""

    name: str
    status: int
    envelope: str
    values: Mapping[str, Any]

    def value(self, place: Bound) -> Any:
        """What the entry writes at a place of its envelope; ABSENT where that is not for it to say."""
        return self.values.get(place.name, default(place))

    def own(self, reading: Reading, sentences: bool = True) -> int | None:
        """How many characters of a reply are the entry's own; None where it did not make that.

        Sentences may be left aside: they are nobody's promise.
        """
        total = reading.own
        for place in reading.places:
            value = self.value(place)
            if value is not ABSENT and (sentences or is_code(value)):
                part = _own(value, place.value)
                if part is None:
                    return None
                total += part
        return total


class Catalogue:
    """A provider's table of errors, read backwards."""

    def __init__(self, provider: Provider) -> None:
        self.place = provider.errors.place
        self.envelopes = dict(self.place.get("envelopes").items())
        first, said = next(iter(self.envelopes)), _said(provider)
        self.entries = [
            Entry(name, row.node["status"], row.node.get("envelope", first), _values(name, row.node, provider, said))
            for name, row in self.place.get("catalogue").items()
        ]

    def made_by(self, document: Any, status: int | None = None) -> list[str]:
        """The entry that makes a body under this status, or any: the one with most text of its own, or those alike."""
        fits = [
            (part, row.name) for row, reading in self._read(document, status) if (part := row.own(reading)) is not None
        ]
        most = max((part for part, _ in fits), default=0)
        return [name for part, name in fits if part == most]

    def coded(self, document: Any, status: int | None = None) -> list[str]:
        """The entries that a body may be by its envelope and codes."""
        rows = self._read(document, status)
        return [row.name for row, reading in rows if row.own(reading, sentences=False) is not None]

    def recognised(self, document: Any, status: int) -> list[str]:
        """The entry that makes a body; where none has the sentence that came, the only one with its codes."""
        if made := self.made_by(document, status):
            return made
        coded = self.coded(document, status)
        return coded if len(coded) == 1 else []

    def said(self, document: Any, status: int) -> tuple[list[str], str]:
        """The codes of an error reply, and the text that it has for people; nothing where no envelope has its form."""
        soft = {row.envelope for row in self.entries if row.status == status}
        forms = self.forms(document, soft) or self.forms(document)
        values = [place.value for reading in list(forms.values())[:1] for place in shown(reading)]
        codes = [text(value) for value in values if is_code(value)]
        return codes, next((value for value in values if is_sentence(value)), "")

    def is_error(self, document: Any, status: int, fits: bool) -> bool:
        """Whether a reply is an error: by its status, by the form of an error under a good one, or, where its body
        does not fit what is documented for a good one, by an entry that makes it.
        """
        soft = {row.envelope for row in self.entries if row.status == status}
        return status >= 400 or bool(self.forms(document, soft)) or (not fits and bool(self.made_by(document)))

    def forms(self, document: Any, envelopes: Collection[str] | None = None) -> dict[str, Reading]:
        """The envelopes whose form a body has, with a plain value wherever an entry's goes."""
        found = self._readings(document, self.envelopes if envelopes is None else envelopes)
        return {name: row for name, row in found.items() if all(map(_is_plain, shown(row)))}

    def _read(self, document: Any, status: int | None) -> Iterator[tuple[Entry, Reading]]:
        rows = [row for row in self.entries if status in (None, row.status)]
        readings = self._readings(document, {row.envelope for row in rows})
        return ((row, readings[row.envelope]) for row in rows if row.envelope in readings)

    def _readings(self, document: Any, envelopes: Collection[str]) -> dict[str, Reading]:
        found = {name: read(self.envelopes[name], document) for name in envelopes}
        return {name: row for name, row in found.items() if not row.misfits and (row.bound or row.own)}


def shown(reading: Reading) -> list[Bound]:
    """The places of a reading at which an entry's values stand."""
    return [place for place in reading.places if place.name.startswith("error.")]


def default(place: Bound) -> Any:
    """What stands where an entry has no value for a place of its envelope; ABSENT where that may be anything."""
    written = DEFAULT.fullmatch(place.written) if place.name.startswith("error.") else None
    return written[1] if written else ABSENT


def is_code(value: Any) -> bool:
    """Whether a value of an entry is one that programs compare: no sentence, and nothing with holes."""
    return not isinstance(value, re.Pattern) and not is_sentence(value)


def is_sentence(value: Any) -> bool:
    """Whether a value is a text for people; what is not ASCII needs no blank to be one."""
    return isinstance(value, str) and (" " in value or not value.isascii())


def judgeable(provider: Provider, situation: str) -> bool:
    """Whether a situation speaks only of what the request alone can tell."""
    stage = situation.partition(".")[0]
    others = [name for name in UNJUDGED if name not in provider.errors.situations]
    return stage in JUDGED and situation not in UNJUDGED and not (situation == "body" and others)


def _is_plain(place: Bound) -> bool:
    return place.value is not ABSENT and not isinstance(place.value, dict | list)


def _values(name: str, node: Mapping[str, Any], provider: Provider, said: str) -> dict[str, Any]:
    """What an entry says, by expression; in a hole for our own judgement's message stands only what that can say."""
    message = said if all(judgeable(provider, row) for row in provider.errors.answered(name)) else ".*"
    holes = {"$violation.message": message, "$violation.field": r"(?:request body|\S*)"}
    values = {f"error.{key}": value for key, value in node.items() if key not in SPECIAL}
    texts = {key: pattern(value, lambda hole: _hole(hole, holes)) for key, value in values.items() if _has_holes(value)}
    return {"error.name": name, "error.status": node["status"], **values, **texts}


def _has_holes(value: Any) -> bool:
    return isinstance(value, str) and HOLE.search(value) is not None


def _hole(expression: str, holes: Mapping[str, str]) -> str:
    first, *others = (part.strip() for part in f"${expression}".split("??"))
    choices = [holes.get(first, ".*"), *(re.escape(part.strip("'")) for part in others)]
    return f"(?:{'|'.join(choices)})"


def _own(value: Any, found: Any) -> int | None:
    """How many characters of what was found are a value's own; None where it is not found."""
    if isinstance(value, re.Pattern):
        match = value.fullmatch(found) if isinstance(found, str) else None
        return own(match) if match else None
    return len(text(value)) if same(value, found) else None


def _said(provider: Provider) -> str:
    """Whatever our judgement can say of a request, as a pattern."""
    forms = [re.sub(r"\\\{[a-z]+\\\}", ".*", re.escape(form)) for form in MESSAGES.values()]
    rules = [re.escape(rule.message) for rule in provider.rules.values()]
    table = provider.capabilities
    called = [re.escape(row.called) for row in table.features.values()] if table else []
    features = [f"(?:{'|'.join(called)}) (?:needs|cannot be combined|is not there) .*"] if called else []
    return f"(?:{'|'.join(['', *forms, 'does not satisfy .*', *rules, *features])})"
