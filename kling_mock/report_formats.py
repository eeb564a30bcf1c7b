"""Verdicts as machines read them: JSON, GitHub's workflow commands, JUnit's XML and SARIF 2.1.0."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import kling_mock
from kling_mock.core.verdicts import Finding, Verdict
from kling_mock.positions import Position
from kling_mock.reports import Item, details, evidence_in_words, headline, plain, wrong

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Mapping[str, str] = {"refused": "error", "fails": "error", "warning": "warning"}
NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def json_report(items: Sequence[Item], strict: bool) -> str:
    """One verdict for one file; a list of them for several, each with its `file`."""
    documents = [_document(item) for item in items]
    if len(documents) == 1:
        return json.dumps(documents[0], indent=2)
    return json.dumps([{"file": item.file, **row} for item, row in zip(items, documents, strict=True)], indent=2)


def _document(item: Item) -> dict[str, Any]:
    return item.verdict.as_json() if item.verdict else {"ok": None, "problem": item.problem}


def github_report(items: Sequence[Item], strict: bool) -> str:
    """Workflow commands that GitHub shows beside the file in a pull request."""
    lines = []
    for item in items:
        if item.verdict is None:
            lines.append(command("error", item.file, "cannot be judged", item.problem, item.positions.get("")))
        else:
            lines += [_annotation(item, item.verdict, row, strict) for row in item.verdict.violations]
    return "\n".join(lines)


def _annotation(item: Item, verdict: Verdict, finding: Finding, strict: bool) -> str:
    told = "\n".join([f"{finding.pointer or '/'} {finding.message}", *details(verdict, finding)])
    level = "error" if strict else LEVELS[finding.severity]
    return command(level, item.file, finding.rule, told, item.positions.get(finding.pointer))


def command(level: str, file: str, title: str, message: str, at: Position | None = None) -> str:
    """One workflow command, escaped as GitHub asks for it; `at` is the place in the file that it marks."""
    place = f",line={at.line},col={at.column}" if at else ""
    return f"::{level} file={_property(file)}{place},title={_property(title)}::{_escaped(message)}"


def _escaped(text: str) -> str:
    lines = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return plain(lines)


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def junit_report(items: Sequence[Item], strict: bool) -> str:
    """One test case for each file; a failure for what would be refused, an error for what cannot be judged."""
    failures = sum(bool(wrong(item.verdict, strict)) for item in items if item.verdict)
    counts = {
        "tests": str(len(items)),
        "failures": str(failures),
        "errors": str(sum(item.verdict is None for item in items)),
    }
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "kling-mock validate", **counts})
    for item in items:
        _case(suite, item, strict)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=False)


def _case(suite: ElementTree.Element, item: Item, strict: bool) -> None:
    verdict = item.verdict
    owner = f"{verdict.provider}.{verdict.operation}" if verdict else "kling-mock"
    case = ElementTree.SubElement(suite, "testcase", {"classname": xml(owner), "name": xml(item.file)})
    if verdict is None:
        ElementTree.SubElement(case, "error", {"message": xml(item.problem), "type": "cannot be judged"})
        return
    counted = wrong(verdict, strict)
    if counted:
        told = {"message": xml(headline(verdict)), "type": xml(counted[0].rule)}
        ElementTree.SubElement(case, "failure", told).text = xml("\n".join(_lines(verdict, counted)))
    if others := [row for row in verdict.violations if row not in counted]:
        ElementTree.SubElement(case, "system-out").text = xml("\n".join(_lines(verdict, others)))


def _lines(verdict: Verdict, findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding.pointer or '/'} {finding.message} [{finding.severity}: {finding.rule}]"
        yield from (f"  {line}" for line in details(verdict, finding))


def xml(text: str) -> str:
    """A text without the characters that XML 1.0 cannot hold, even escaped."""
    return NOT_XML.sub(lambda match: plain(match[0]), text)


def sarif_report(items: Sequence[Item], strict: bool) -> str:
    """A SARIF 2.1.0 log: every rule that was broken, and each result with its file and JSON pointer."""
    rows = [(item, item.verdict, finding) for item in items if item.verdict for finding in item.verdict.violations]
    rules = {finding.rule: finding for _, _, finding in reversed(rows)}
    index = {rule: number for number, rule in enumerate(rules)}
    log = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "kling-mock",
                        "version": kling_mock.__version__,
                        "rules": [_rule(finding) for finding in rules.values()],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [_invocation(items)],
                "results": [_result(item, verdict, row, index[row.rule], strict) for item, verdict, row in rows],
            }
        ],
    }
    return json.dumps(log, indent=2)


def _rule(finding: Finding) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": finding.rule,
        "shortDescription": {"text": finding.message},
        "defaultConfiguration": {"level": LEVELS[finding.severity]},
    }
    if finding.evidence is not None:
        told["help"] = {"text": evidence_in_words(finding.evidence)}
        told["properties"] = {"evidence": dict(finding.evidence)}
    return told


def _result(item: Item, verdict: Verdict, finding: Finding, index: int, strict: bool) -> dict[str, Any]:
    told = "\n".join([f"{finding.pointer or '/'} {finding.message}", *details(verdict, finding)])
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": "error" if strict else LEVELS[finding.severity],
        "message": {"text": told},
        "locations": [
            {
                "physicalLocation": _physical(item.file, item.positions.get(finding.pointer, Position(1, 1))),
                "logicalLocations": [{"fullyQualifiedName": finding.pointer or "/", "kind": "member"}],
            }
        ],
    }


def _physical(file: str, at: Position | None) -> dict[str, Any]:
    """A file, and the place in it if there is one."""
    place = {"region": {"startLine": at.line, "startColumn": at.column}} if at else {}
    return {"artifactLocation": {"uri": uri(file)}, **place}


def uri(file: str) -> str:
    """A file's name as a relative URI reference, or an absolute one."""
    path = quote(file.encode(errors="surrogateescape"), safe="/")
    return f"file://{path}" if path.startswith("/") else path


def _invocation(items: Sequence[Item]) -> dict[str, Any]:
    failed = [item for item in items if item.verdict is None]
    return {
        "executionSuccessful": not failed,
        "toolExecutionNotifications": [
            {
                "level": "error",
                "message": {"text": item.problem},
                "locations": [{"physicalLocation": _physical(item.file, item.positions.get(""))}],
            }
            for item in failed
        ],
    }


FORMATS: Mapping[str, Callable[[Sequence[Item], bool], str]] = {
    "json": json_report,
    "github": github_report,
    "junit": junit_report,
    "sarif": sarif_report,
}
