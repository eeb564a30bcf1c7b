"""Which entry of a provider's catalogue an answer was, told from its status and body alone.

Each entry is rendered once with holes where a request's own words would stand. An answer is the entry that fits and has
the most text of its own; entries that cannot be told apart are all of them the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from kling_mock.core.errors import CatalogueEntry
from kling_mock.core.expressions import text
from kling_mock.core.provider import Provider


class _Hole(dict[str, Any]):
    """What a request's words are while nobody asks: every name in it is a hole again."""

    def get(self, key: str, default: Any = None) -> Any:
        return self

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> Any:
        return self


HOLE = _Hole({"hole": 0})
MARK = text(HOLE)
INSTANTS = (0, 1_813_240_051_123)
"""Two times: what differs between them is a time, and no text of an entry's own."""


class Form(Struct, frozen=True):
    """An entry's status and body with holes."""

    entry: CatalogueEntry
    status: int
    body: Any


def forms(provider: Provider) -> tuple[Form, ...]:
    """The forms of every entry, in each of the provider's variants."""
    return tuple(
        Form(entry, entry.status, _body(provider, name, variant))
        for name, entry in provider.errors.catalogue.items()
        for variant in provider.variants
    )


def _body(provider: Provider, name: str, variant: str) -> Any:
    scope = {"request": HOLE, "violation": HOLE, "account": HOLE, "variant": variant}
    one, other = (provider.errors.reply(name, {**scope, "now": at}).body for at in INSTANTS)
    return _without_times(one, other)


def _without_times(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict) and one is not HOLE:
        return {key: _without_times(value, other[key]) for key, value in one.items()}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [_without_times(a, b) for a, b in zip(one, other, strict=True)]
    return one if one == other else HOLE


def recognised(known: Iterable[Form], status: int, body: Any) -> Iterator[CatalogueEntry]:
    """The entry that an answer is, or those that look the same.

    A sentence is nobody's promise: where no entry has the one that came, the only entry with its codes is meant.
    """
    rows = [form for form in known if form.status == status]
    fits = [(own, form.entry) for form in rows if (own := _own(form.body, body)) is not None]
    most = max((own for own, _ in fits), default=0)
    told = {entry.name: entry for own, entry in fits if own == most}
    coded = {form.entry.name: form.entry for form in rows if not told and _own(form.body, body, sentences=False)}
    return iter(told.values() or (coded.values() if len(coded) == 1 else ()))


def _own(form: Any, value: Any, sentences: bool = True) -> int | None:
    """How many characters of a value are the form's own; None where they do not fit. Sentences may be left aside."""
    if not sentences and isinstance(form, str) and " " in form and isinstance(value, str):
        return 0
    if form is HOLE:
        return 0
    if isinstance(form, dict):
        if not isinstance(value, dict):
            return None
        return _sum(0 if row is HOLE else _own(row, value.get(key), sentences) for key, row in form.items())
    if isinstance(form, list):
        if not isinstance(value, list) or len(value) != len(form):
            return None
        return _sum(_own(*pair, sentences) for pair in zip(form, value, strict=True))
    if isinstance(form, str) and MARK in form:
        return _within(form, value) if isinstance(value, str) else None
    return len(text(form)) if type(form) is type(value) and form == value else None


def _sum(parts: Iterable[int | None]) -> int | None:
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def _within(form: str, value: str) -> int | None:
    pieces = form.split(MARK)
    fits = re.fullmatch(".*".join(map(re.escape, pieces)), value, re.DOTALL)
    return sum(map(len, pieces)) if fits else None
