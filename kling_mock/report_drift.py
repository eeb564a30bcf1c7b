"""Drift as people and machines read it: the formats of `kling-mock drift`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from kling_mock.contract.drift.comparing import Compared, Drift
from kling_mock.contract.drift.edits import Edit
from kling_mock.report_formats import command
from kling_mock.reports import Paint, plain, unpainted

COLORS = {"accepted-though-refused": "red", "refused-though-accepted": "red"}


def text_report(found: Compared, paint: Paint = unpainted) -> str:
    """What was compared, then each drift with its edits."""
    lines = [plain(headline(found))]
    for row in found.drifts:
        lines += ["", *_drift(row, paint)]
    return "\n".join(lines)


def headline(found: Compared) -> str:
    """How many exchanges of whom were compared, what was left out, and how much drift there is."""
    parts = [f"{count} exchange{'' if count == 1 else 's'} of {name}" for name, count in found.exchanges.items()]
    others = ", ".join(f"{count} of {name or 'no host'}" for name, count in sorted(found.foreign.items())[:5])
    left = ", ".join(f"{count} {reason}" for reason, count in found.skipped.items())
    rest = [f"of nobody here: {others}"] if others else []
    rest += [f"left out: {left}"] if left else []
    weak = sum(row.weak for row in found.drifts)
    number = len(found.drifts) - weak
    told = f"{number} drift{'' if number == 1 else 's'}" if number else "all explained"
    told += f" and {weak} weak sign{'' if weak == 1 else 's'}" if weak else ""
    return f"{', '.join(parts)}: {told}" + (f" ({'; '.join(rest)})" if rest else "")


def _drift(row: Drift, paint: Paint) -> Iterator[str]:
    who = f"{row.provider} {', '.join(row.operations)}".rstrip()
    kind = paint(row.kind, "cyan" if row.weak else COLORS.get(row.kind, "yellow"))
    yield f"{kind}{' (weak)' if row.weak else ''}  {plain(who)}  {plain(row.pointer or '/')}"
    yield f"  {plain(row.message)}"
    yield f"  {plain(seen(row))}"
    if not row.edits:
        yield "  no edit is suggested: what explains it only a person can tell"
    for edit in row.edits:
        yield from (f"  {line}" for line in edit_lines(edit))


def seen(row: Drift) -> str:
    """How often it was seen, and where first."""
    times = "once" if row.count == 1 else f"{row.count} times, first"
    return f"seen {times} in {row.first}" + (f" on {row.date}" if row.date else "")


def edit_lines(edit: Edit) -> Iterator[str]:
    """An edit as a person carries it out: where, and the YAML to paste there."""
    yield plain(edit.where())
    yield from (f"    {plain(line)}" for line in edit.yaml().splitlines())


def json_report(found: Compared) -> str:
    """The comparison as one JSON document."""
    return json.dumps(found.as_json(), indent=2)


def github_report(found: Compared) -> str:
    """Workflow commands, one for each drift, that GitHub shows with the run: errors, and a notice of a weak sign."""
    lines = []
    for row in found.drifts:
        told = [f"{row.provider} {', '.join(row.operations)} {row.pointer or '/'}: {row.message}", seen(row)]
        told += [line for edit in row.edits for line in edit_lines(edit)]
        lines.append(
            command("notice" if row.weak else "error", row.first.rpartition("#")[0], row.kind, "\n".join(told))
        )
    return "\n".join(lines)


FORMATS: Mapping[str, Callable[[Compared], str]] = {"json": json_report, "github": github_report}
