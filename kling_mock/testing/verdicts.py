"""What the assertions of a test say: what was wrong and where, what was expected, what came, and what to do next.

Each function gives the text of a failure, or nothing where all is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from kling_mock.core.conduct import Abandoned, DuplicateSpend, Polling
from kling_mock.core.documents import tokens
from kling_mock.core.expressions import ABSENT, point
from kling_mock.core.lifecycle import observe
from kling_mock.core.messages import show
from kling_mock.core.model import Account, Balance, Exchange, Task, Violation
from kling_mock.core.problems import closest
from kling_mock.core.verdicts import amount
from kling_mock.payloads import CannotJudge, Judge
from kling_mock.reports import details, plain
from kling_mock.server.mock import Mock
from kling_mock.testing.witness import Offence, Taken, counts

ROUNDING_MS = 10
"""Clocks are read in whole ms, twice: an interval may look so much shorter than it was."""

MOST_SHOWN = 20


def seconds(ms: int) -> str:
    """A duration as one reads it."""
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".") + " s"


def counted(number: int, what: str) -> str:
    """ "1 request", "2 requests"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


# Requests


def violations(mock: Mock, rows: Sequence[Exchange], warnings: bool) -> str:
    """Every request was as the documents have it."""
    found = [Offence(row, wrong) for row in rows if (wrong := tuple(v for v in row.violations if counts(v, warnings)))]
    if not found:
        return ""
    return "\n".join(
        [
            f"{len(found)} of {len(rows)} requests wrong; expected: all as documented",
            *_offences(mock, found),
            _next(found, "a request that a test means to be wrong is no matter of this assertion"),
        ]
    )


def strict(mock: Mock, taken: Taken) -> str:
    """What a server's threads saw while a test ran."""
    lines = []
    if taken.offences:
        lines.append(f"the mock saw {counted(len(taken.offences), 'wrong request')} of this test")
        lines += _offences(mock, taken.offences)
        rule = taken.offences[0].violations[0].rule
        lines.append(_next(taken.offences, f'if the test means it: kling.allow_violations("{rule}")'))
    for error in taken.errors:
        lines += ["the mock itself failed, which is no fault of the client:", error]
    if taken.errors:
        lines.append("next: please report this, with the request that brought it about")
    return "\n".join(lines)


def _next(found: Sequence[Offence], otherwise: str) -> str:
    rule = found[0].violations[0].rule
    known = "" if rule.startswith("mock/") else f" (`kling-mock explain {rule}` tells all that is known)"
    return f"next: mend the request{known}; {otherwise}"


def _offences(mock: Mock, found: Sequence[Offence]) -> Iterator[str]:
    for offence in found[:MOST_SHOWN]:
        yield f"  {asked(offence.exchange)}"
        for violation in offence.violations:
            yield from (f"    {plain(line)}" for line in _violation(mock, offence.exchange, violation))
    if len(found) > MOST_SHOWN:
        yield f"  ... and {len(found) - MOST_SHOWN} more"


def asked(row: Exchange) -> str:
    """An exchange in one line."""
    request = row.request
    line = f"{request['method']} {request['path']} -> {row.reply['status']}"
    number = f"request {row.ordinal} of {row.account}" if row.account else "by no account"
    return plain(f"{row.operation or 'no operation'}: {line} ({number})")


def _violation(mock: Mock, row: Exchange, violation: Violation) -> Iterator[str]:
    yield f"{violation.pointer or '/'}  {violation.message}  [{violation.severity}: {violation.rule}]"
    sent = point(row.request["body"], tokens(violation.pointer)) if violation.pointer.startswith("/") else ABSENT
    if sent is not ABSENT:
        yield f"  sent: {show(sent)}"
    yield from (f"  {line}" for line in _known(mock, row, violation))
    hint = row.reply["headers"].get("X-Mock-Hint")
    if hint:
        yield f"  hint: {hint}"


def _known(mock: Mock, row: Exchange, violation: Violation) -> list[str]:
    """What is known of a violation: the provider's words, the nearest valid payload, the evidence."""
    operation = mock.providers[row.provider].operations.get(row.operation or "")
    if operation is None or operation.role != "create" or not isinstance(row.request["body"], Mapping):
        return []
    try:
        verdict = Judge(mock.providers)(row.request["body"], row.provider, row.operation)
    except CannotJudge:
        return []
    same = (finding for finding in verdict.violations if (finding.rule, finding.pointer) == _place(violation))
    return [line for finding in same for line in details(verdict, finding)]


def _place(violation: Violation) -> tuple[str, str]:
    return violation.rule, violation.pointer


# Money


def duplicates(rows: Iterable[DuplicateSpend], possible: bool) -> str:
    """No job was paid for twice."""
    found = [row for row in rows if possible or row.verdict == "certain"]
    if not found:
        return ""
    return "\n".join(
        [
            f"{counted(len(found), 'job')} paid for again; expected: each is created once",
            *(line for row in found for line in _duplicate(row)),
            "next: after a lost answer look whether the task is there (by the client's own id for it, or in the list) "
            "before the create is sent again",
        ]
    )


def _duplicate(row: DuplicateSpend) -> Iterator[str]:
    lost = "its answer did not reach the client" if row.verdict == "certain" else "its answer arrived"
    price = "an unknown price" if row.amount is None else f"{amount(row.amount)} {row.unit}"
    yield f"  {row.operation} ({row.verdict}, {row.outcome})"
    yield f"    request {row.first.ordinal} made {row.first.task}; {lost}"
    yield f"    request {row.second.ordinal}, {seconds(row.gap_ms)} later, made {row.second.task}: {price} more"


def units(balances: Iterable[Balance]) -> dict[str, Decimal]:
    """What was spent of each unit: what is settled, and what open tasks have reserved."""
    found: dict[str, Decimal] = {}
    for row in balances:
        found[row.pack.unit] = found.get(row.pack.unit, Decimal(0)) + row.reserved + row.spent
    return found


def spend(mock: Mock, balances: Sequence[Balance], tasks: Sequence[Task], most: Decimal, unit: str | None) -> str:
    """No more was spent than expected; a price that nobody knows is not nothing."""
    sums = units(balances)
    if unit is not None and unit not in sums:
        raise ValueError(f"nothing is paid in {unit!r} here{closest(unit, sums)}")
    held = {row.pack.type for row in balances}
    unknown = [task for task in tasks if task.price is None or task.result is None or task.result.pack not in held]
    over = {name: spent for name, spent in sums.items() if spent > most and unit in (None, name)}
    if not over and not unknown:
        return ""
    told = ", ".join(f"{amount(spent)} {name}" for name, spent in over.items())
    lines = [f"{told} spent; expected: at most {amount(most)}"] if over else []
    if unknown:
        lines.append(f"what was spent cannot be told: the price of {counted(len(unknown), 'task')} is not known")
    shown = unknown if not over else tasks
    lines += [f"  {_priced(mock, task)}" for task in shown[:MOST_SHOWN]]
    return "\n".join([*lines, "next: `kling-mock price PAYLOAD` says what a payload costs, and how that is computed"])


def _priced(mock: Mock, task: Task) -> str:
    price = "price unknown" if task.price is None else f"{amount(task.price)}"
    view = observe(mock.providers[task.provider].lifecycle, task, mock.clocks.now(task.account))
    back = ", given back" if view.ends == "failure" else ""
    return f"{task.operation} {task.id} ({view.state}): {price}{back}"


def settled(mock: Mock, owner: Account, tasks: Sequence[Task], left: Sequence[Abandoned]) -> str:
    """Every task has come to its end, and its client was shown it."""
    now = mock.clocks.now(owner.id)
    lifecycle = mock.providers[owner.provider].lifecycle
    views = [(task, observe(lifecycle, task, now)) for task in tasks]
    lines = [f"  {_open(task.id, view.state, view.following, now)}" for task, view in views if view.ends is None]
    lines += [f"  {_left(row)}" for row in left]
    if not lines:
        return ""
    return "\n".join(
        [
            f"{len(lines)} of {len(tasks)} tasks not settled; expected: each ends, and its client is shown the end",
            *lines,
            "next: poll until an answer tells of the end (or take the webhook); where the client is not to blame, let "
            'time pass first: kling.clock.advance("1h")',
        ]
    )


def _open(task: str, state: str, following: int | None, now: int) -> str:
    due = f"changes in {seconds(following - now)}" if following is not None else "never changes again"
    return f"{task} is {state!r} and {due}: its money is reserved"


def _left(row: Abandoned) -> str:
    price = "an unknown price" if row.amount is None else f"{amount(row.amount)} {row.unit}"
    told = f"last seen as {row.state!r}" if row.state else "never looked at"
    lost = "" if row.told else "; the answer to its create was lost"
    return f"{row.task} ended in {row.ends}, which no answer told ({told}{lost}): {price}, request {row.ordinal}"


# Polling


def polling(
    rows: Sequence[Polling], least_ms: int | None, stops: bool, backs_off: bool, patience_ms: int | None
) -> str:
    """Tasks were polled, and in the way that was expected."""
    if not any(row.polls or row.too_early for row in rows):
        return "no task was polled, so nothing can be said of how\nnext: let the client wait for a task first"
    found = [(row, list(_habits(row, least_ms, stops, backs_off, patience_ms))) for row in rows]
    wrong = [(row, habits) for row, habits in found if habits]
    if not wrong:
        return ""
    lines = [
        f"{len(wrong)} of {len(rows)} {'tasks' if all(row.task for row in rows) else 'calls'} not polled as expected"
    ]
    for row, habits in wrong:
        lines.append(f"  {row.task or 'no task'} by {row.operation}: {_rhythm(row)}")
        lines += [f"    {habit}" for habit in habits]
    return "\n".join([*lines, "next: GET /_mock/report, or kling.requests(), has each poll; times are the account's"])


def _rhythm(row: Polling) -> str:
    if not row.polls:
        return "never polled"
    if row.least_ms is None or row.median_ms is None:
        return counted(row.polls, "poll")
    return f"{counted(row.polls, 'poll')}, {seconds(row.least_ms)} apart at least, {seconds(row.median_ms)} mostly"


def _habits(row: Polling, least_ms: int | None, stops: bool, backs_off: bool, patience_ms: int | None) -> Iterator[str]:
    """What a client did otherwise than expected."""
    if least_ms is not None and row.least_ms is not None and row.least_ms < least_ms - ROUNDING_MS:
        yield f"expected at least {seconds(least_ms)} between polls, got {seconds(row.least_ms)}"
    if stops and row.after_end:
        yield f"expected no poll after the answer that told of the end, got {row.after_end}"
    if stops and row.stopped == "not yet":
        yield (
            "expected polling to stop: no answer has told of the end, and it is too early to say that the client gave "
            'up; kling.clock.advance("5m") first'
        )
    if backs_off and row.backs_off is False:
        yield "expected intervals that grow, got steady or shorter ones"
    if patience_ms is not None and row.last_ms is not None and row.last_ms > patience_ms:
        late = seconds(row.last_ms)
        yield f"expected no poll later than {seconds(patience_ms)} after the create, got one {late} after"
    for wait in row.waits:
        if wait.too_early and wait.kept_ms is not None:
            asked, kept = f"request {wait.ordinal} was told to wait {seconds(wait.asked_ms)}", seconds(wait.kept_ms)
            yield f"expected Retry-After to be obeyed; {asked}, request {wait.again} came after {kept}"
