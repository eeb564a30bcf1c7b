"""The phases of single requests: the examples of the documents, and those of rules and features."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.caller import Caller, Seen
from kling_mock.contract.messages import Message, example_messages
from kling_mock.contract.phases.jobs import Jobs
from kling_mock.contract.phases.rule_examples import RuleExamples, Shown
from kling_mock.contract.probes import Probe

ABOUT_A_TASK = ("query", "cancel")
PATIENCE_MS = 86_400_000
"""How long a task may take that is to fail: a mock's day passes at once."""


def examples(agreement: Agreement) -> Iterator[Probe]:
    """A probe for each fixture."""
    for name, message in example_messages(agreement):
        yield Probe("examples", name, partial(_example, message=message), (message,), operation=message.operation.id)


def _example(caller: Caller, message: Message) -> None:
    """It is accepted or refused as the judge has it; the task of an example may be nobody's at this target."""
    seen = caller.call(message)
    if seen.operation.role in ABOUT_A_TASK and not seen.judgement.refused:
        if not seen.ok:
            caller.refused(seen, caller.reason("task.unknown"))
    else:
        _as_judged(caller, seen)


def _as_judged(caller: Caller, seen: Seen) -> None:
    refused = seen.judgement.refused
    if refused:
        caller.refused(seen, caller.answers(refused[0]))
    else:
        caller.accepted(seen)


def rules(agreement: Agreement, jobs: Jobs) -> Iterator[Probe]:
    """Two probes for each rule and feature: its valid example and its invalid one."""
    for shown in RuleExamples(agreement, jobs).each():
        for message, what in ((shown.valid, "just not"), (shown.invalid, "broken")):
            if message is not None:
                run = partial(_rule, jobs=jobs, message=message, shown=shown, broken=what == "broken")
                slow = shown.severity == "fails" and what == "broken"
                name = f"{shown.of}, {what}"
                yield Probe("rules", name, run, (message,), only_mock=slow, operation=message.operation.id)


def _rule(caller: Caller, jobs: Jobs, message: Message, shown: Shown, broken: bool) -> None:
    """What breaks a rule is refused for it, or fails for it; what just does not, or is only warned of, is accepted."""
    if not broken or shown.severity != "refused":
        message, _ = jobs.with_parent(message, caller)
    seen = caller.call(message)
    if broken and shown.severity == "refused":
        caller.refused(seen, caller.answers(seen.judgement.refused[0]))
        _named(caller, seen, shown.rule)
        return
    caller.accepted(seen)
    if broken and shown.severity == "fails":
        _failed(caller, seen)


def _named(caller: Caller, seen: Seen, rule: str) -> None:
    """A target that says for which rules it refuses a request names this one too."""
    said = seen.answer.headers.get("x-mock-violations")
    if said is not None and rule not in said:
        caller.fail("reason", "the rule is not among those that the target names", seen, expected=rule, got=said)


def _failed(caller: Caller, seen: Seen) -> None:
    """The task that was created ends in failure."""
    from kling_mock.contract.phases.following import Follower

    follower = Follower(caller, seen)
    follower.to_the_end()
    last = follower.last
    states = caller.provider.lifecycle.states
    if not any(states[name].ends == "failure" for name in last.states):
        caller.fail("fails", "the task did not fail", *follower.seen[-1:], expected="failure", got=list(last.states))
