"""Suggestions where rules and reality differ: requests accepted against the rules, or refused although they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kling_mock.contract.drift.edits import Edit, added
from kling_mock.contract.drift.mending import Evidence, free, mended, slug, why_of
from kling_mock.contract.drift.novelties import new_name
from kling_mock.contract.drift.signs import Comparison, Sign
from kling_mock.core.checks_shapes import raw, rows
from kling_mock.core.documents import escape


def stricter(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """What was accepted although the rules refuse it: the schema takes it, the rule or the table only warns."""
    sign = signs[0]
    if isinstance(sign.about, str):
        return _body_type(comparison, sign, evidence)
    misfits = [misfit for other in signs if (misfit := other.more["misfit"]) is not None]
    if misfits:
        return mended(misfits, why_of(evidence))
    if sign.about.rule in comparison.provider.rules:
        return _warned(comparison, sign, evidence)
    return _cell(comparison, sign, evidence)


def _body_type(comparison: Comparison, sign: Sign, evidence: Evidence) -> list[Edit]:
    """A content type of requests that the operation does not list."""
    content = comparison.judge.operations[sign.operation].get("requestBody").get("content")
    like = next(media.node for _, media in content.items())
    return [added(content.file, content.at, str(sign.about), like, why_of(evidence))]


def _warned(comparison: Comparison, sign: Sign, evidence: Evidence) -> list[Edit]:
    """A rule that only warns, on this evidence; one that stands in a request schema is taken out of it."""
    rule = comparison.root.get("x-mock-rules").get(sign.about.rule)
    found = [
        Edit("replace", rule.file, f"{rule.at}/severity", "warning"),
        Edit("replace", rule.file, f"{rule.at}/evidence", dict(evidence)),
    ]
    if "schema" not in rule.node or "kinds" in rule.node:
        return found
    operation = sign.more["operation"]
    found.append(added(rule.file, rule.at, "kinds", [str(operation.task.kind({}))] if operation.task else []))
    for _, media in comparison.judge.operations[operation.id].get("requestBody").get("content").items():
        schema = media.get("schema")
        for index, part in enumerate(rows(raw(schema, "allOf"))):
            if part.follow().at == f"{rule.at}/schema":
                found.append(Edit("remove", schema.file, f"{schema.at}/allOf/{index}"))
    return found


def _cell(comparison: Comparison, sign: Sign, evidence: Evidence) -> list[Edit]:
    """A feature that a model has after all: a cell of the table that only warns."""
    job, table = sign.more["job"], comparison.root.get("x-mock-capabilities").get("matrix")
    modes = table.get(str(job.get("model")))
    if not isinstance(modes.node, Mapping):
        return []
    mode = str(job.get("mode", "*"))
    mode = mode if mode in modes.node else "*" if "*" in modes.node else mode
    cell = added(table.file, f"{modes.at}/{escape(mode)}", sign.about.rule, "undocumented", why_of(evidence))
    return (
        [cell]
        if mode in modes.node
        else [added(table.file, modes.at, mode, {sign.about.rule: "undocumented"}, why_of(evidence))]
    )


def laxer(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """What was refused although the rules accept it: a rule that refuses what the requests have in common."""
    sign, operation = signs[0], signs[0].more["operation"]
    documents = [other.more["judgement"].scope["request"]["body"] for other in signs]
    if operation.role != "create" or operation.task is None or not all(isinstance(row, dict) for row in documents):
        return []
    told = set(comparison.provider.operations[operation.id].pointers.values())
    common = {
        key: value
        for key, value in documents[0].items()
        if f"/{key}" in told - _free_texts(operation) and all(row.get(key) == value for row in documents)
    }
    if not common:
        return []
    rules = comparison.root.get("x-mock-rules")
    error = sign.more["error"] or new_name(comparison.catalogue, sign.more["new"], sign.one.status)
    rule = {
        "kinds": [str(operation.task.kind({}))],
        "schema": {"not": {"required": list(common), "properties": {key: {"const": v} for key, v in common.items()}}},
        "message": f"is refused together: {', '.join(common)}",
        "severity": "refused",
        "error": error,
        "evidence": {**evidence, "note": "narrow the schema to what is really refused"},
        "valid": {},
        "invalid": common,
    }
    return [added(rules.file, rules.at, free(slug(str(sign.about)) or "observed", rules.node), rule)]


def _free_texts(operation: Any) -> set[str]:
    """Where people's own texts and addresses stand: no rule is about one of them."""
    return {operation.pointers[name] for name in ("prompt", "callback") if name in operation.pointers}
