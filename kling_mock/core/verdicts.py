"""Verdicts: a judgement told to the one who will pay: what is wrong, what the provider would say, what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from kling_mock.core.calls import Call
from kling_mock.core.expressions import point, text
from kling_mock.core.judging import Facts, Judgement, judge
from kling_mock.core.model import Quote, Severity, Violation
from kling_mock.core.moves import Patch
from kling_mock.core.provider import Provider
from kling_mock.core.reading import is_absent
from kling_mock.core.repairing import Measure, Suggestion, faults, suggest


class Says(Struct, frozen=True):
    """What the provider would answer: the HTTP status, its own code and its message, where its errors have them."""

    status: int
    code: int | str | None
    message: str | None


class Finding(Struct, frozen=True):
    """One violation with all that is known of it. `suggestion` is a JSON Patch, `evidence` as in the specs.

    `reason` is what the task would say for itself, where it is accepted and then fails.
    """

    rule: str
    pointer: str
    severity: Severity
    message: str
    provider_says: Says | None
    suggestion: Patch | None
    evidence: Mapping[str, Any] | None
    reason: str | None = None


class NotJudgedYet(Struct, frozen=True):
    """A restriction that the request alone cannot decide."""

    rule: str
    why: str


class Verdict(Struct, frozen=True):
    """The judgement of one payload. `ok` is whether it would be accepted and succeed as far as can be told."""

    ok: bool
    provider: str
    operation: str
    violations: tuple[Finding, ...]
    quote: Quote | None
    suggestions: tuple[Suggestion, ...]
    not_judged: tuple[NotJudgedYet, ...]

    def as_json(self) -> dict[str, Any]:
        """The verdict as a JSON document; amounts are texts."""
        return {
            "ok": self.ok,
            "provider": self.provider,
            "operation": self.operation,
            "violations": [_finding(finding) for finding in self.violations],
            "quote": priced(self.quote),
            "suggestions": [
                {
                    "rule": row.rule,
                    "pointer": row.pointer,
                    "patch": list(row.patch),
                    "before": priced(row.before),
                    "after": priced(row.after),
                }
                for row in self.suggestions
            ],
            "not_judged": [{"rule": row.rule, "why": row.why} for row in self.not_judged],
        }


def priced(quote: Quote | None) -> dict[str, Any] | None:
    """A quote as JSON; an unknown price is null, never 0."""
    if quote is None:
        return None
    usd = None if quote.usd is None else amount(quote.usd)
    known = dict(quote.evidence)
    return {"amount": amount(quote.amount), "unit": quote.unit, "usd": usd, "how": quote.how, "evidence": known}


def amount(value: Decimal) -> str:
    """A decimal without needless zeros: "2.5"."""
    return text(value)


def _finding(finding: Finding) -> dict[str, Any]:
    says = finding.provider_says
    return {
        "rule": finding.rule,
        "pointer": finding.pointer,
        "severity": finding.severity,
        "message": finding.message,
        "provider_says": says and {"status": says.status, "code": says.code, "message": says.message},
        "suggestion": None if finding.suggestion is None else list(finding.suggestion),
        "reason": finding.reason,
        "evidence": None if finding.evidence is None else dict(finding.evidence),
    }


def verdict(call: Call, facts: Facts, measure: Measure | None = None) -> Verdict:
    """Judge a call and tell everything about it; `measure` tells the facts of a picture that a repair changes."""
    judgement = judge(call, facts)
    suggestions = suggest(call, facts, measure) if faults(judgement) else ()
    by_violation = {(row.rule, row.pointer): row.patch for row in reversed(suggestions)}
    rank = {"refused": 0, "fails": 1, "warning": 2}
    stages = call.provider.errors.order
    ordered = sorted(judgement.violations, key=lambda v: (rank[v.severity], stages.get(v.stage, 0)))
    findings = tuple(
        Finding(
            rule=violation.rule,
            pointer=violation.pointer,
            severity=violation.severity,
            message=violation.message,
            provider_says=says(judgement, violation),
            suggestion=by_violation.get((violation.rule, violation.pointer)),
            evidence=evidence(call.provider, violation),
            reason=violation.values.get("reason") if violation.severity == "fails" else None,
        )
        for violation in ordered
    )
    return Verdict(
        ok=all(violation.severity == "warning" for violation in judgement.violations),
        provider=call.provider.name,
        operation=judgement.operation.id,
        violations=findings,
        quote=judgement.quote,
        suggestions=suggestions,
        not_judged=tuple(_not_judged(judgement, facts)),
    )


def says(judgement: Judgement, violation: Violation) -> Says | None:
    """What the provider would answer to this violation alone; nothing to a warning."""
    if violation.severity != "refused":
        return None
    provider = judgement.call.provider
    status, values = provider.told(violation, {**judgement.scope, "now": 0})
    code = values.get("code", next((v for k, v in values.items() if k.endswith("code")), None))
    message = values.get("message", next((v for v in values.values() if isinstance(v, str)), None))
    return Says(status, code, message)


def evidence(provider: Provider, violation: Violation) -> Mapping[str, Any] | None:
    """Where the restriction comes from."""
    if rule := provider.rules.get(violation.rule):
        return rule.evidence
    if provider.capabilities and (feature := provider.capabilities.features.get(violation.rule)):
        return feature.evidence
    schemas = violation.stage in ("body", "parameters") or (not violation.stage and "bound" in violation.values)
    return provider.keyword_evidence if schemas else None


def _not_judged(judgement: Judgement, facts: Facts) -> Iterator[NotJudgedYet]:
    document = judgement.scope["request"]["body"]
    for row in judgement.call.provider.not_judged.values():
        if row.field is None or not is_absent(point(document, row.path)):
            yield NotJudgedYet(row.name, row.why)
    for pointer, fact in facts.items():
        if fact.get("given") == "url" and "bytes" not in fact:
            yield NotJudgedYet(pointer, "the image is a URL and was not fetched: its format and size are not known")
        elif "bytes" in fact and "decodes" not in fact:
            why = "the image has more pixels than are decoded here: whether it is whole is not known"
            yield NotJudgedYet(pointer, why)
    if judgement.quote is None and judgement.operation.result is not None:
        yield NotJudgedYet("price", "no table has a price for this combination")
