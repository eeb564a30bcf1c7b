"""Verdicts as people read them: the text of `kling-mock validate`, and what all of its formats share."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from kling_mock.core.documents import tokens
from kling_mock.core.messages import show
from kling_mock.core.model import Quote
from kling_mock.core.moves import Patch
from kling_mock.core.redaction import redacted
from kling_mock.core.repairing import Suggestion
from kling_mock.core.verdicts import Finding, Says, Verdict, amount
from kling_mock.payloads import blocking
from kling_mock.positions import Position

MOST_COLUMN = 24
COLORS = {"refused": "red", "fails": "red", "warning": "yellow"}

Paint = Callable[[str, str], str]


class Item(NamedTuple):
    """One payload: its file's name, and either its verdict or why it cannot be judged.

    `positions` tell where in the file the pointers of violations lead, and "" where it stops being JSON.
    """

    file: str
    verdict: Verdict | None = None
    problem: str = ""
    positions: Mapping[str, Position] = {}


class Total(NamedTuple):
    """What several payloads cost together: the sum of each unit, and the files whose price nobody knows."""

    sums: Mapping[str, Decimal]
    unknown: tuple[str, ...]


def unpainted(text: str, color: str) -> str:
    """The text as it is: for pipes and files."""
    return text


def plain(text: str) -> str:
    """A text on one line that no terminal takes for a command: what cannot be printed is written as an escape."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def wrong(verdict: Verdict, strict: bool) -> list[Finding]:
    """The findings that count against a payload; with `strict` warnings do too."""
    return list(verdict.violations) if strict else blocking(verdict)


def exit_code(items: Collection[Item], strict: bool) -> int:
    """0 fine, 1 something would be refused or would fail (or warned of, if strict), 2 something cannot be judged."""
    if any(item.verdict is None for item in items):
        return 2
    return int(any(wrong(item.verdict, strict) for item in items if item.verdict))


def total(items: Iterable[Item]) -> Total:
    """The sum of what the payloads cost."""
    return summed((item.file, item.verdict.quote) for item in items if item.verdict)


def summed(quotes: Iterable[tuple[str, Quote | None]]) -> Total:
    """The sum of what files cost. An unknown price is named, and never taken as 0."""
    sums: dict[str, Decimal] = {}
    unknown = []
    for file, quote in quotes:
        if quote is None:
            unknown.append(file)
        else:
            sums[quote.unit] = sums.get(quote.unit, Decimal(0)) + quote.amount
    return Total(sums, tuple(unknown))


def total_lines(found: Total, files: int) -> Iterator[str]:
    """The sum in words."""
    known = ", ".join(f"{amount(value)} {unit}" for unit, value in found.sums.items())
    least = "at least " if found.unknown and known else ""
    yield f"{files} file{'' if files == 1 else 's'}: {least}{known or 'price unknown'}"
    if found.unknown:
        yield f"  price unknown: {', '.join(plain(name) for name in found.unknown)}"


def over_budget(found: Total, budget: Decimal) -> list[str]:
    """By how much each unit's sum is over the budget; nothing when all are within."""
    return [
        f"over budget by {amount(value - budget)} {unit}: {amount(value)} of {amount(budget)}"
        for unit, value in found.sums.items()
        if value > budget
    ]


def headline(verdict: Verdict) -> str:
    """Whether a payload would be accepted, by which operation, and with what it would be refused."""
    name = f"{verdict.provider} {verdict.operation}"
    says = first_refusal(verdict)
    if says is not None:
        code = "" if says.code is None else f", code {says.code}"
        return f"refused by {name} (HTTP {says.status}{code})"
    if not verdict.ok:
        return f"accepted by {name}, then the task would fail"
    warnings = len(verdict.violations)
    return f"accepted by {name}" + (f" with {warnings} warning{'' if warnings == 1 else 's'}" if warnings else "")


def first_refusal(verdict: Verdict) -> Says | None:
    """What the provider would answer: its refusals come first in a verdict, in its own order."""
    return next((finding.provider_says for finding in verdict.violations if finding.provider_says), None)


def priced_in_words(quote: Quote) -> str:
    """A price with its dollars where a rate is known: "2.5 units (0.35 USD)"."""
    usd = "" if quote.usd is None or quote.unit == "USD" else f" ({amount(quote.usd)} USD)"
    return f"{amount(quote.amount)} {quote.unit}{usd}"


def evidence_in_words(evidence: Mapping[str, Any] | None) -> str:
    """Where a restriction comes from: "documented 2026-03, seed 004; the text is assumed"."""
    if evidence is None:
        return "no evidence is noted"
    told = " ".join(str(evidence[name]) for name in ("kind", "date") if name in evidence)
    source = f", {evidence['source']}" if "source" in evidence else ""
    note = f"; {evidence['note']}" if "note" in evidence else ""
    return told + source + note


def patch_in_words(patch: Patch) -> str:
    """A JSON Patch as one would say it: "set mode to "pro" and remove sound"."""
    return " and ".join(_step(row) for row in patch)


def _step(row: Mapping[str, Any]) -> str:
    name = "/".join(tokens(row["path"])) or "the payload"
    if row["op"] == "remove":
        return f"remove {name}"
    value = redacted(row["value"]) if isinstance(row["value"], str) else row["value"]
    written = show(value) if isinstance(value, dict | list) else json.dumps(value, ensure_ascii=False)
    return f"set {name} to {written if len(written) <= 80 else show(value)}"


def change_in_words(before: Quote | None, after: Quote | None) -> str:
    """What a repair does to the price; nothing where it stays the same or was never known."""
    if after is None:
        return "" if before is None else f" (the price is unknown then, instead of {priced_in_words(before)})"
    now = f"{amount(after.amount)} {after.unit}"
    if before is None:
        return f" ({now}: {after.how})"
    if (before.amount, before.unit) == (after.amount, after.unit):
        return ""
    other = "" if before.unit == after.unit else f" {before.unit}"
    return f" ({after.what}: {now} instead of {amount(before.amount)}{other}, {after.evidence['kind']})"


def text_report(items: Sequence[Item], strict: bool, paint: Paint = unpainted) -> str:
    """The report for people: a headline for each file, and below it what is wrong and what to do."""
    return "\n".join(line for item in items for line in _item(item, paint))


def _item(item: Item, paint: Paint) -> Iterator[str]:
    file = plain(item.file)
    if item.verdict is None:
        yield f"{file}: {paint(f'cannot be judged: {plain(item.problem)}', 'red')}"
        return
    verdict = item.verdict
    color = "green" if not verdict.violations else "yellow" if verdict.ok else "red"
    yield f"{file}: {paint(plain(headline(verdict)), color)}"
    width = min(MOST_COLUMN, max((len(plain(row.pointer or "/")) for row in verdict.violations), default=0))
    for finding in verdict.violations:
        yield from _finding(verdict, finding, width, paint)
    yield plain(f"  price: {_price(verdict)}")
    for row in verdict.not_judged:
        if row.rule == "price":  # said already
            continue
        yield plain(f"  not judged: {row.rule}: {row.why}")


def _price(verdict: Verdict) -> str:
    """The price with how it comes about; an unknown one with why it is."""
    if verdict.quote:
        return f"{priced_in_words(verdict.quote)}, {verdict.quote.how}"
    return next((f"unknown: {row.why}" for row in verdict.not_judged if row.rule == "price"), "unknown")


def _finding(verdict: Verdict, finding: Finding, width: int, paint: Paint) -> Iterator[str]:
    mark = finding.rule if finding.severity == "refused" else f"{finding.severity}: {finding.rule}"
    at = plain(finding.pointer or "/")
    yield f"  {at:{width}}   {plain(finding.message)}   {paint(plain(f'[{mark}]'), COLORS[finding.severity])}"
    for line in details(verdict, finding):
        yield f"  {'':{width}}   {plain(line)}"


def repairs(verdict: Verdict, finding: Finding) -> Sequence[Suggestion]:
    """The repairs told with a finding: its own, and after it those of what is only found once that is mended."""
    names = {(row.rule, row.pointer) for row in verdict.violations}
    told: dict[tuple[str, str], list[Suggestion]] = {}
    owner = next((name for row in verdict.suggestions if (name := (row.rule, row.pointer)) in names), ("", ""))
    for row in verdict.suggestions:
        owner = (row.rule, row.pointer) if (row.rule, row.pointer) in names else owner
        told.setdefault(owner, []).append(row)
    return told.get((finding.rule, finding.pointer), [])


def details(verdict: Verdict, finding: Finding) -> Iterator[str]:
    """What stands below a violation: the provider's words, the nearest valid payload, and the evidence."""
    if finding.provider_says is not None and finding.provider_says.message is not None:
        yield f"the provider would say: {finding.provider_says.message}"
    if finding.reason is not None:
        yield f"the task would fail: {finding.reason}"
    for number, row in enumerate(repairs(verdict, finding)):
        word = "then" if number else "nearest valid"
        yield f"{word}: {patch_in_words(row.patch)}{change_in_words(row.before, row.after)}"
    if finding.evidence is not None:
        yield evidence_in_words(finding.evidence)
