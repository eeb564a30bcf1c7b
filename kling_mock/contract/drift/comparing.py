"""Drift: the same sign in however many exchanges is one row, with the edit of the specs that would explain it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, get_args

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.drift.edits import Edit
from kling_mock.contract.drift.exchanges import Recorded, Recording
from kling_mock.contract.drift.requests import Measure
from kling_mock.contract.drift.signs import WEAK, Comparison, Kind, Sign, routed
from kling_mock.contract.drift.suggestions import suggestions
from kling_mock.core.documents import pointer, tokens
from kling_mock.core.hiding import hidden

Known = Mapping[str, Agreement]
ORDER = {kind: number for number, kind in enumerate(get_args(Kind))}


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that the specs do not explain: how often it was seen, where first, and the edits that would.

    `operations` are those that showed it; none where the path is unknown. `pointer` leads into the reply, or for what
    was accepted or refused into the request; "*" is any item of a list.
    """

    kind: Kind
    provider: str
    operations: tuple[str, ...]
    pointer: str
    message: str
    count: int
    first: str
    date: str | None
    edits: tuple[Edit, ...]

    @property
    def weak(self) -> bool:
        """Whether it is shown, and alone says nothing against the specs."""
        return self.kind in WEAK

    def as_json(self) -> dict[str, Any]:
        """The drift as a JSON document."""
        return {
            "kind": self.kind,
            "weak": self.weak,
            "provider": self.provider,
            "operations": list(self.operations),
            "pointer": self.pointer,
            "message": self.message,
            "count": self.count,
            "first": self.first,
            "date": self.date,
            "edits": [edit.as_json() for edit in self.edits],
        }


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of recordings: exchanges by provider, those with hosts of nobody, entries left out, and the drift."""

    exchanges: Mapping[str, int]
    foreign: Mapping[str, int]
    skipped: Mapping[str, int]
    drifts: tuple[Drift, ...]

    def as_json(self) -> dict[str, Any]:
        """The comparison as a JSON document."""
        return {
            "exchanges": dict(self.exchanges),
            "foreign": dict(self.foreign),
            "skipped": dict(self.skipped),
            "drift": [drift.as_json() for drift in self.drifts],
        }


def compare(
    recordings: Sequence[Recording], known: Known, only: str | None = None, measure: Measure | None = None
) -> Compared:
    """Hold recordings against the documents of the providers whose exchanges they are; `only` names the one meant."""
    everything = [one for recording in recordings for one in recording.exchanges]
    skipped: Counter[str] = Counter()
    for recording in recordings:
        skipped.update(recording.skipped)
    owned, foreign = _owned(everything, known, only)
    found: list[Drift] = []
    for name, exchanges in owned.items():
        comparison = Comparison(known[name], measure)
        ordered = sorted(exchanges, key=lambda one: one.at or 0)
        found += drifts(comparison, comparison.signs(ordered), {text for one in ordered for text in one.secrets})
    counts = {name: len(exchanges) for name, exchanges in owned.items()}
    return Compared(counts, foreign, skipped, tuple(found))


def _owned(
    exchanges: Iterable[Recorded], known: Known, only: str | None
) -> tuple[dict[str, list[Recorded]], Counter[str]]:
    """The exchanges by provider, and how many went to hosts of nobody."""
    providers = [known[only].provider] if only else [row.provider for row in known.values()]
    rows = list(exchanges)
    hosts = {host: provider.name for provider in providers for host in provider.hosts}
    if only:  # named by who asks: whichever host has its paths is its
        hosts |= {one.host: only for one in rows if one.provider is None and routed(providers[0], one)}
    owned: dict[str, list[Recorded]] = {}
    foreign: Counter[str] = Counter()
    names = {provider.name for provider in providers}
    for one in rows:
        name = one.provider if one.provider is not None else hosts.get(one.host)
        if name in names:
            owned.setdefault(str(name), []).append(one)
        else:
            foreign[one.provider or one.host] += 1
    return owned, foreign


def drifts(comparison: Comparison, signs: Iterable[Sign], secrets: Collection[str] = ()) -> list[Drift]:
    """Signs by what they are signs of; nothing shaped like a credential, and none of `secrets`, is in them."""
    groups: dict[tuple[Any, ...], list[Sign]] = {}
    for sign in signs:
        groups.setdefault((sign.kind, *sign.key), []).append(sign)
    rows = [_drift(comparison, group, secrets) for group in groups.values()]
    return sorted(rows, key=lambda row: (ORDER[row.kind], row.pointer, row.message))


def _drift(comparison: Comparison, signs: Sequence[Sign], secrets: Collection[str]) -> Drift:
    first = signs[0]
    date = next((told for sign in signs if (told := day(sign.one.at))), None)
    name = PurePath(first.one.place.rpartition("#")[0]).name or "a recording"
    source = "".join(one if one.isprintable() else "?" for one in name)
    evidence = {"kind": "observed", "source": source} | ({"date": date} if date else {})
    edits = suggestions(comparison, signs, evidence)
    return Drift(
        kind=first.kind,
        provider=comparison.provider.name,
        operations=tuple(sorted({sign.operation for sign in signs if sign.operation})),
        pointer=_covered_path(first.pointer, secrets),
        message=covered(first.message, secrets),
        count=len({sign.one.place for sign in signs}),
        first=first.one.place,
        date=date,
        edits=tuple(
            replace(edit, path=_covered_path(edit.path, secrets), value=covered(edit.value, secrets)) for edit in edits
        ),
    )


def covered(value: Any, secrets: Collection[str]) -> Any:
    """A document without what is shaped like a credential or a file, and without any of these secrets."""
    return _without(hidden(value), sorted(secrets, key=len, reverse=True))


def _covered_path(path: str, secrets: Collection[str]) -> str:
    """A JSON pointer of which each part is covered by itself: the whole of a long one looks like a file.

    And as it was before it was escaped: "~1sk-..." looks like nothing.
    """
    return str(covered(path.partition("/")[0], secrets)) + pointer(covered(part, secrets) for part in tokens(path))


def _without(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {_without(key, secrets): _without(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, secrets) for item in value]
    for secret in secrets if isinstance(value, str) else ():
        value = value.replace(secret, "<credential>")
    return value


def day(at: int | None) -> str | None:
    """The day of an instant, as evidence is dated: in this century."""
    try:
        told = "" if at is None else datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return None
    return told if told.startswith("20") else None
