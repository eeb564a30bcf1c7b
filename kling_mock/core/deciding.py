"""Deciding: from a judgement and what the store found to the reply and its effects, in microseconds.

This is the only step that runs inside the store's transaction. What depends on time is dated: a create appends what it
reserves now and what it settles or refunds at the end that it already knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from kling_mock.core import entropy as ids
from kling_mock.core.calls import lightened
from kling_mock.core.courses import failing, ledger, moved
from kling_mock.core.expressions import ABSENT
from kling_mock.core.judging import Judgement, reads
from kling_mock.core.lifecycle import observe, timeline
from kling_mock.core.model import (
    Append,
    Count,
    Decision,
    Effect,
    Found,
    Moment,
    PutTask,
    Reply,
    Task,
    View,
    Violation,
)
from kling_mock.core.provider import Answer, Provider, Scenario
from kling_mock.core.schemas import show
from kling_mock.core.showing import speak


def decide(judgement: Judgement, found: Found, now: int, entropy: str, media: str = "") -> Decision:
    """Decide a call at `now` (the account's virtual time). `media` is the URL under which results are served."""
    step = _Step(judgement, found, now, entropy, media)
    answer = step.answer()
    if answer and answer.when == "before" and answer.error:
        return Decision(replace(step.error(answer.error), delivery=answer.delivery), step.counted())
    decision = step.refusal() or ROLES[judgement.operation.role](step)
    reply = decision.reply
    if answer:
        changed = step.error(answer.error) if answer.error else reply
        reply = replace(changed, delivery=answer.delivery)
    return Decision(reply, (*decision.effects, *step.counted()), decision.violations, decision.task)


class _Step:
    """One decision's inputs, and the scope in which its reply is rendered."""

    def __init__(self, judgement: Judgement, found: Found, now: int, entropy: str, media: str) -> None:
        self.judgement, self.found, self.now, self.entropy, self.media = judgement, found, now, entropy, media
        self.provider: Provider = judgement.call.provider
        self.account = judgement.call.account.id if judgement.call.account else ""
        request = {**judgement.scope["request"], "id": ids.draw(self.provider.request_ids, entropy, "request")}
        self.scope: dict[str, Any] = {**judgement.scope, "request": request, "now": now}

    def scenario(self) -> Scenario | None:
        """The scenario of the task that is asked for, else of the call; a call that is refused anyway has none."""
        if self.judgement.refused:
            return None
        task = self.task()
        name = task.scenario if task else self.judgement.scenario
        return self.provider.scenarios.get(name) if name else None

    def task(self) -> Task | None:
        """The one task that the call is about, if it exists, is of the right kind and visible."""
        operation = self.judgement.call.operation
        if operation is None or operation.task is None or operation.task.find is None:
            return None
        task = next(iter(self.found.tasks.values()), None) or self.found.alias
        return task if task and task.kind == operation.task.kind(self.scope) else None

    def answer(self) -> Answer | None:
        """What the scenario does to this call."""
        scenario, operation = self.scenario(), self.judgement.call.operation
        if scenario is None or operation is None:
            return None
        return next(
            (a for a in scenario.answers if operation.role in a.on and (not a.times or self.found.counter < a.times)),
            None,
        )

    def counted(self) -> tuple[Effect, ...]:
        """Count the call, where a scenario's answers depend on how often it was made."""
        scenario, operation = self.scenario(), self.judgement.call.operation
        if scenario is None or operation is None or not any(operation.role in a.on for a in scenario.answers):
            return ()
        return (Count(self.account, reads(self.judgement).counter or ""),)

    def error(self, name: str) -> Reply:
        """A catalogue entry's reply that no violation brought about."""
        return self.provider.errors.reply(name, {**self.scope, "violation": {}})

    def refusal(self) -> Decision | None:
        """The reply to the first failing stage, if any stage fails."""
        failed = self.judgement.refused
        if not failed and self.judgement.operation.role == "create":
            failed = tuple(sorted(self._stored(), key=self.provider.errors.rank))
        if not failed:
            return None
        if not all(violation in self.judgement.violations for violation in failed):
            return Decision(self.provider.refuse(failed[0], self.scope), violations=failed)
        return Decision(self.provider.refuse(failed[0], self.scope))

    def _stored(self) -> list[Violation]:
        """What only the store can refuse a create for."""
        operation, found = self.judgement.operation, self.found
        assert operation.task is not None
        wrong = []
        for parent in operation.task.parents:
            id_ = parent(self.scope)
            if id_ is not ABSENT:
                wrong += self._parent(str(id_))
        if found.alias is not None:
            wrong.append(stored("alias.taken", "the alias belongs to another task", found.alias.alias or ""))
        return wrong + self._limits()

    def _parent(self, id_: str) -> list[Violation]:
        task = self.found.tasks.get(id_)
        if task is None:
            return [stored("task.unknown", "there is no such task to build upon", id_)]
        if observe(self.provider.lifecycle, task, self.now).ends != "success":
            return [stored("task.unfinished", "the task to build upon has not succeeded", id_)]
        return []

    def _limits(self) -> list[Violation]:
        price, result, account = self.judgement.quote, self.judgement.result, self.judgement.call.account
        wrong = []
        if price and result:
            balance = next((b for b in self.found.balances if b.pack.type == result.pack), None)
            if balance and balance.balance < price.amount:
                message = f"the {result.pack} pack holds {balance.balance} {price.unit}, the job costs {price.amount}"
                wrong.append(stored("balance.empty", message, str(price.amount)))
        if result and account and account.slots is not None and self.found.open_slots + result.slots > account.slots:
            message = f"{self.found.open_slots} of {account.slots} slots are taken, the job needs {result.slots}"
            wrong.append(stored("slots.full", message, str(result.slots)))
        return wrong

    def render(self, task: Task | None, view: View | None) -> Reply:
        """The operation's reply, speaking of `task` as seen in `view`."""
        operation = self.judgement.operation
        variant = task.variant if task else self.judgement.variant
        scope = {**self.scope, "variant": variant}
        if task and view:
            scope |= {"task": speak(self.provider, task, view), "state": view.words, "view": view}
        state = view.state if view else None
        words = next((r for r in operation.replies if r.states is None or state in r.states), operation.replies[0])
        return Reply(words.status, words.bodies[variant](scope))


def stored(situation: str, message: str, value: str) -> Violation:
    """A violation that only the store can know."""
    return Violation(f"mock/{situation}", "", message, situation=situation, values={"value": show(value)})


def _create(step: _Step) -> Decision:
    task = _new_task(step)
    first = step.provider.lifecycle.states[task.timeline[0].state]
    view = View(first.name, first.words, task.created, None, first.ends)
    effects: tuple[Effect, ...] = (PutTask(task), Append(ledger(step.provider.lifecycle, task)))
    return Decision(step.render(task, view), effects, task=task.id)


def _new_task(step: _Step) -> Task:
    judgement, provider = step.judgement, step.provider
    operation = judgement.operation
    assert operation.task is not None
    scenario = step.scenario()
    id_ = ids.draw(operation.task.new[judgement.variant], step.entropy, "task")
    alias = operation.task.alias(step.scope) if operation.task.alias else ABSENT
    profiles = provider.lifecycle.latency
    latency = profiles.get(judgement.latency or "", next(iter(profiles.values())))
    path = provider.lifecycle.usual
    reason = scenario.reason if scenario else None
    if scenario:
        latency, path = {**latency, **scenario.latency}, scenario.timeline or path
    if doomed := next((v for v in judgement.violations if v.severity == "fails"), None):
        path, reason = failing(provider.lifecycle), doomed.values.get("reason", doomed.message)
    return Task(
        id=id_,
        provider=provider.name,
        account=step.account,
        operation=operation.id,
        kind=str(operation.task.kind(step.scope)),
        variant=judgement.variant,
        created=step.now,
        timeline=timeline(path, latency, step.now, step.entropy),
        entropy=step.entropy,
        alias=alias if isinstance(alias, str) and alias else None,
        scenario=scenario.name if scenario else None,
        reason=reason,
        request=lightened(step.scope["request"]["body"]),
        parameters=lightened(judgement.parameters),
        result=judgement.result,
        price=judgement.quote.amount if judgement.quote else None,
        media=step.media,
    )


def _query(step: _Step) -> Decision:
    task = step.task()
    if task is None:
        return _unknown(step)
    return Decision(step.render(task, observe(step.provider.lifecycle, task, step.now)), task=task.id)


def _unknown(step: _Step) -> Decision:
    operation = step.judgement.operation
    assert operation.task is not None
    assert operation.task.find is not None
    violation = stored("task.unknown", "the account has no such task", str(operation.task.find(step.scope)))
    return Decision(step.provider.refuse(violation, step.scope), violations=(violation,))


def _list(step: _Step) -> Decision:
    lifecycle = step.provider.lifecycle
    seen = [(task, observe(lifecycle, task, step.now)) for task in step.found.page]
    step.scope["page"] = [
        {"task": speak(step.provider, task, view), "view": view, "state": view.words} for task, view in seen
    ]
    return Decision(step.render(None, None))


def _balance(step: _Step) -> Decision:
    words, account = step.judgement.operation.packs, step.judgement.call.account
    assert words is not None
    wanted = words.name(step.scope)
    since = account.created if account else 0
    step.scope["packs"] = [
        {
            "id": ids.draw("{uuid}", step.account, f"pack {balance.pack.type}"),
            "name": balance.pack.name,
            "type": balance.pack.type,
            "unit": balance.pack.unit,
            "total": balance.pack.total,
            "balance": balance.balance,
            "since": since,
            "until": since + words.valid_ms,
            "word": words.open if balance.balance > 0 else words.empty,
        }
        for balance in step.found.balances
        if wanted in (ABSENT, None, "", balance.pack.name)
    ]
    return Decision(step.render(None, None))


def _cancel(step: _Step) -> Decision:
    task = step.task()
    if task is None:
        return _unknown(step)
    lifecycle, operation = step.provider.lifecycle, step.judgement.operation
    assert operation.task is not None
    to = operation.task.to or ""
    view = observe(lifecycle, task, step.now)
    if to not in lifecycle.states[view.state].then:
        violation = stored("task.finished", f"a task that is {view.state} cannot be changed", task.id)
        return Decision(step.provider.refuse(violation, step.scope), violations=(violation,))
    changed, effects = moved(lifecycle, replace(task, reason=None), [Moment(step.now, to)], step.now)
    return Decision(step.render(changed, observe(lifecycle, changed, step.now)), effects, task=task.id)


ROLES: Mapping[str, Callable[[_Step], Decision]] = {
    "create": _create,
    "query": _query,
    "list": _list,
    "balance": _balance,
    "cancel": _cancel,
}
