"""Reports of the suite: as people read them, as JSON, and as JUnit's XML."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

from kling_mock.contract.failures import CHECKS, Failure, brief
from kling_mock.contract.probes import PHASES, Probe
from kling_mock.contract.purse import Spent
from kling_mock.contract.suite import Outcome, Report
from kling_mock.core.expressions import text
from kling_mock.core.redaction import redacted

Paint = Callable[[str, str], str]
MOST_FAILURES = 20
"""More are counted: the first ones are read."""


# Before


def plan_lines(provider: str, url: str, rows: Iterable[tuple[Probe, Decimal | None]], bills: bool) -> Iterator[str]:
    """The plan in short: of each phase how many probes, and what they cost at most where the target bills."""
    by_phase: dict[str, list[Decimal | None]] = {}
    for probe, price in rows:
        by_phase.setdefault(probe.phase, []).append(price)
    yield f"{provider} at {redacted(url)}" + ("" if bills else ", a mock: nothing is billed")
    for phase, prices in by_phase.items():
        yield f"  {phase:10} {len(prices):4} probe{'' if len(prices) == 1 else 's'}{_cost(prices) if bills else ''}"


def _cost(prices: list[Decimal | None]) -> str:
    known = [price for price in prices if price]
    unknown = sum(price is None for price in prices)
    told = [f"{len(known)} could cost up to {text(max(known))} each"] if known else []
    told += [f"{unknown} at a price that nobody knows"] if unknown else []
    return f", {' and '.join(told)}" if told else ", free"


def dry_lines(rows: Iterable[tuple[Probe, Decimal | None]], limit: Decimal | None) -> Iterator[str]:
    """Every probe of the plan, with what it could cost and whether it would be sent."""
    for probe, price in rows:
        sent = "" if limit is None else f"  {_sent(probe, price, limit)}"
        yield f"  {probe.phase:10} {probe.name}{sent}"


def _sent(probe: Probe, price: Decimal | None, limit: Decimal) -> str:
    if probe.only_mock:
        return "left out: only a mock can be made to do it"
    if price is None:
        return "left out: could be accepted at a price that nobody knows"
    if price > limit:
        return f"left out: could cost {text(price)}, and {text(limit)} may be spent"
    return f"could cost {text(price)}" if price else "free"


# After


def lines(report: Report, paint: Paint) -> Iterator[str]:
    """A report as people read it: failures with all that is needed to repeat them, then a line for each phase."""
    shown = report.failures[:MOST_FAILURES]
    for failure in shown:
        yield from failure_lines(failure, paint)
    if len(report.failures) > len(shown):
        yield f"... and {len(report.failures) - len(shown)} more failures: --format json has them all"
    for phase in (name for name in PHASES if any(row.phase == name for row in report.outcomes)):
        yield _phase_line([row for row in report.outcomes if row.phase == phase], phase, paint)
    yield from spent_lines(report.spent)
    if report.stopped:
        yield paint(f"stopped: {report.stopped}; look at the account's bill", "red")
    yield paint(f"{report.provider}: {_verdict(report)}", "red" if report.exit_code else "green")


def spent_lines(spent: Iterable[Spent]) -> Iterator[str]:
    """What was paid, or may have been."""
    for row in spent:
        amount = "a price that nobody knows" if row.amount is None else f"{text(row.amount)} {row.unit}"
        yield f"spent: {amount} for {f'task {row.task}' if row.task else 'a task of which the answer did not tell'}"


def failure_lines(failure: Failure, paint: Paint) -> Iterator[str]:
    """One failure."""
    yield paint(f"{failure.check}: {failure.title}", "red")
    yield f"  {failure.message}"
    place = " ".join(word for word in (failure.operation, failure.pointer) if word)
    for name, value in (("in", place or None), ("expected", failure.expected), ("got", failure.got)):
        if value is not None:
            yield f"  {name:8}  {brief(value)}"
    yield f"  {'holds if':8}  {CHECKS[failure.check].holds}"
    if failure.curl:
        yield f"  {'repeat':8}  {failure.curl}"


def _phase_line(rows: list[Outcome], phase: str, paint: Paint) -> str:
    failed = sum(bool(row.failures) for row in rows)
    left = [row for row in rows if row.left_out]
    held = len(rows) - failed - len(left)
    told = [f"{held} hold"] if held or not (failed or left) else []
    told += [paint(f"{failed} fail", "red")] if failed else []
    told += [f"{count} left out: {why}" for why, count in Counter(row.left_out for row in left).items()]
    return f"  {phase:10} {', '.join(told)}"


def _verdict(report: Report) -> str:
    probes = sum(not row.left_out for row in report.outcomes)
    if not report.failures:
        return f"all of {probes} probes hold"
    failed = sum(bool(row.failures) for row in report.outcomes)
    return f"{failed} of {probes} probes fail"


def as_json(report: Report) -> dict[str, Any]:
    """A report as a JSON document; amounts are texts."""
    return {
        "provider": report.provider,
        "target": report.url,
        "holds": report.exit_code == 0,
        "stopped": report.stopped,
        "probes": [
            {"phase": row.phase, "probe": row.probe, "operation": row.operation, "left_out": row.left_out}
            | {"calls": len(row.exchanges), "failures": [_failure(failure) for failure in row.failures]}
            for row in report.outcomes
        ],
        "spent": [
            {"task": row.task, "amount": None if row.amount is None else text(row.amount), "unit": row.unit}
            for row in report.spent
        ],
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "check": failure.check,
        "message": failure.message,
        "operation": failure.operation,
        "pointer": failure.pointer,
        "expected": _plain(failure.expected),
        "got": _plain(failure.got),
        "breaks": failure.breaks,
        "curl": failure.curl,
    }


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def junit(reports: Iterable[Report]) -> str:
    """Reports as JUnit's XML: a suite for each provider, a case for each probe."""
    root = ElementTree.Element("testsuites", name="kling-mock contract")
    for report in reports:
        rows = report.outcomes
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=report.provider,
            tests=str(len(rows)),
            failures=str(sum(bool(row.failures) for row in rows)),
            skipped=str(sum(bool(row.left_out) for row in rows)),
        )
        for row in rows:
            case = ElementTree.SubElement(suite, "testcase", classname=f"{report.provider}.{row.phase}", name=row.probe)
            for failure in row.failures:
                told = "\n".join(failure_lines(failure, lambda text, color: text))
                ElementTree.SubElement(case, "failure", type=failure.check, message=failure.message).text = _legal(told)
            if row.left_out:
                ElementTree.SubElement(case, "skipped", message=row.left_out)
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode")


def _legal(text: str) -> str:
    """A text without what XML has no way to write."""
    return "".join(one if one in "\t\n\r" or ord(one) >= 32 else "?" for one in text)
