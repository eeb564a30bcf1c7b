"""What every suggestion shares: words for the evidence, names for what is new, and schemas that let a value pass."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kling_mock.contract.drift.edits import Edit, added, one_or_list
from kling_mock.contract.replies import Misfit
from kling_mock.core.messages import json_type
from kling_mock.core.redaction import redacted

Evidence = Mapping[str, str]
GROWN = frozenset({"maximum", "maxLength", "maxItems", "maxProperties"})
SHRUNK = frozenset({"minimum", "minLength", "minItems", "minProperties"})
LONGEST_NAME = 6
"""Words: a name that is made of a text has so many of it."""


def why_of(evidence: Evidence) -> str:
    """Evidence in a comment: "observed 2026-11-21, recorded.har"."""
    return f"{' '.join(evidence[name] for name in ('kind', 'date') if name in evidence)}, {evidence['source']}"


def slug(text: str) -> str:
    """A text's first words as a name: "task-is-locked". A name no longer has the shape of the secrets in it."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"\{[^}]*\}", "", redacted(text)).lower())
    return "-".join(words[:LONGEST_NAME])


def free(name: str, taken: Mapping[str, Any]) -> str:
    """The name, or with the first number that nobody has."""
    number = next(n for n in range(1, len(taken) + 2) if (name if n == 1 else f"{name}-{n}") not in taken)
    return name if number == 1 else f"{name}-{number}"


def mended(misfits: Sequence[Misfit], why: str) -> list[Edit]:
    """The edits of a schema's keyword that let the values of misfits pass."""
    first = misfits[0]
    place, above = first.place, first.place.at.rpartition("/")[0]
    values = [misfit.value for misfit in misfits]
    if first.keyword == "required":
        return [Edit("remove", place.file, f"{place.at}/{place.node.index(first.path[-1])}", why=why)]
    if first.keyword == "enum":
        return [added(place.file, place.at, "-", first.value, why)]
    if first.keyword == "const":
        choices = [place.node, first.value]
        return [Edit("remove", place.file, place.at), added(place.file, above, "enum", choices, why)]
    if first.keyword == "type":
        known = place.node if isinstance(place.node, list) else [place.node]
        return [Edit("replace", place.file, place.at, one_or_list([*known, *map(json_type, values)]), why)]
    if first.keyword in GROWN | SHRUNK:
        sizes = [len(value) if isinstance(value, str | list | dict) else value for value in values]
        bound = max(sizes) if first.keyword in GROWN else min(sizes)
        return [Edit("replace", place.file, place.at, bound, why)]
    return [Edit("remove", place.file, place.at, why=why)]
