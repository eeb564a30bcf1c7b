"""Deciding: from a judgement and what the store found to the reply and its effects, in microseconds.

This is the only step that runs inside the store's transaction. What depends on time is dated: a create appends what it
reserves now and what it settles or refunds at the end that it already knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from kling_mock.core import entropy as ids
from kling_mock.core.calls import lightened
from kling_mock.core.courses import failing, ledger, moved, told
from kling_mock.core.expressions import ABSENT
from kling_mock.core.judging import Judgement, alias_of
from kling_mock.core.lifecycle import Latency, observe, timeline
from kling_mock.core.messages import show
from kling_mock.core.model import (
    Account,
    Append,
    Decision,
    Effect,
    Found,
    Moment,
    PutTask,
    Reply,
    Result,
    Sight,
    Task,
    View,
    Violation,
)
from kling_mock.core.packs import slots_of, stands, unusable, validity
from kling_mock.core.provider import Provider
from kling_mock.core.ruling import Ruling
from kling_mock.core.scenarios import Answer
from kling_mock.core.showing import shown_as, spoken_pack


def decide(judgement: Judgement, found: Found, entropy: str, media: str = "") -> Decision:
    """Decide a call at `found.now` (the account's virtual time). `media` is the URL under which results are served."""
    step = _Step(judgement, found, entropy, media)
    answer = step.chosen
    if answer and answer.when == "before":
        asked = step.ruling.task
        reply = step.instead(None, answer)
        return Decision(reply, step.ruling.counted(), task=asked.id if asked else None, scenario=step.ruling.reference)
    decision = step.refusal() or ROLES[judgement.operation.role](step)
    decision = replace(decision, effects=(*decision.effects, *step.ruling.counted()), scenario=step.ruled(decision))
    if answer is None:
        return replace(decision, saw=tuple(step.saw))
    reply = step.instead(decision.reply, answer)
    if answer.error is not None or answer.raw is not None:
        return replace(decision, reply=reply, lost=bool(decision.task))
    return replace(decision, reply=reply, saw=tuple(step.saw))


def arriving(decision: Decision, size: int) -> Decision:
    """A decision whose reply has a body of so many bytes: what the client misses of it by the reply's delivery.

    One that is cut at or behind its end arrives whole.
    """
    delivery = decision.reply.delivery
    if delivery.cut_at and delivery.cut_at >= size and not delivery.never:
        return replace(decision, reply=replace(decision.reply, delivery=replace(delivery, cut_at=None)))
    if not delivery.lossy:
        return decision
    return replace(decision, lost=decision.lost or bool(decision.task and decision.saw), saw=())


class _Step:
    """One decision's inputs, the scenario that rules it, and the scope in which its reply is rendered."""

    def __init__(self, judgement: Judgement, found: Found, entropy: str, media: str) -> None:
        self.judgement, self.found, self.now, self.entropy, self.media = judgement, found, found.now, entropy, media
        self.provider: Provider = judgement.call.provider
        self.account = judgement.call.account.id if judgement.call.account else ""
        request = {**judgement.scope["request"], "id": ids.draw(self.provider.request_ids, entropy, "request")}
        self.scope: dict[str, Any] = {**judgement.scope, "request": request, "now": found.now}
        self.saw: list[Sight] = []
        self.ruling = Ruling(judgement, found, entropy)
        self.chosen = self.ruling.answer

    def ruled(self, decision: Decision) -> str | None:
        """The scenario that changed the answer, or rules the task that the call made."""
        role = self.judgement.call.operation.role if self.judgement.call.operation else ""
        if role == "list" and (self.chosen is None or self.chosen.sees):
            return self.ruling.seen_by
        return self.ruling.reference if self.chosen or (role == "create" and decision.task) else None

    def instead(self, reply: Reply | None, answer: Answer) -> Reply:
        """The reply as the scenario changes it; without one, nothing that a client will see of it."""
        if answer.error:
            reply = self.error(answer.error)
        return answer.over(reply or Reply(200, None))

    def error(self, name: str) -> Reply:
        """A catalogue entry's reply that no violation brought about."""
        words = self.judgement.operation.task
        asked = words.find(self.scope) if words and words.find else ""
        return self.provider.errors.reply(name, {**self.scope, "violation": {"field": "", "value": asked}})

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
                wrong += self._parent(str(id_), parent.kinds)
        if found.alias is not None:
            wrong.append(stored("alias.taken", "the alias belongs to another task", found.alias.alias or ""))
        return wrong + self._limits()

    def _parent(self, id_: str, kinds: frozenset[str] | None) -> list[Violation]:
        task = self.found.tasks.get(id_)
        if task is None or (kinds is not None and task.kind not in kinds):
            return [stored("task.unknown", "there is no such task to build upon", id_)]
        if observe(self.provider.lifecycle, task, self.now).ends != "success":
            return [stored("task.unfinished", "the task to build upon has not succeeded", id_)]
        return []

    def _limits(self) -> list[Violation]:
        result, account = self.judgement.result, self.judgement.call.account
        wrong = []
        if result and account and (message := self._unpaid(account, result.pack)):
            price = self.judgement.quote
            wrong.append(stored("balance.empty", message, str(price.amount) if price else ""))
        if result and account and (full := _full(account, result, self.found.open_slots)):
            wrong.append(stored("slots.full", full, str(result.slots)))
        return wrong

    def _unpaid(self, account: Account, pack: str | None) -> str | None:
        """Why the pack that the job is paid from does not pay it: it is not valid now, or holds too little.

        What is free needs no pack; a job of unknown price is not.
        """
        balance = next((b for b in self.found.balances if b.pack.type == pack), None)
        price = self.judgement.quote
        if balance is None or (price and not price.amount):
            return None
        why = unusable(balance, validity(self.provider.packs, account, balance.pack, self.now), self.now)
        if why is None and price and balance.balance < price.amount:
            return f"the {pack} pack holds {balance.balance} {price.unit}, the job costs {price.amount}"
        return why

    def showing(self, task: Task, view: View, answer: Answer | None) -> dict[str, Any]:
        """The part of a scope that tells of a task as a scenario lets it be seen; what is seen is noted."""
        sees = answer.sees if answer else None
        shown = shown_as(self.provider, task, view, self.media, sees)
        # A word that no document names tells nobody that the task has ended.
        self.saw.append(Sight(task.id, shown["view"].state, bool(shown["view"].ends) and not (sees and sees.words)))
        return shown

    def render(self, task: Task | None, view: View | None) -> Reply:
        """The operation's reply, speaking of `task` as seen in `view`."""
        operation = self.judgement.operation
        variant = self.provider.variant(task.variant) if task else self.judgement.variant
        scope, state = {**self.scope, "variant": variant}, None
        if task and view:
            shown = self.showing(task, view, self.chosen)
            scope |= shown
            state = shown["view"].state
        words = next((r for r in operation.replies if r.states is None or state in r.states), operation.replies[0])
        return Reply(words.status, words.bodies[variant](scope))


def _full(account: Account, result: Result, taken: Mapping[str, int]) -> str | None:
    """Why an account has no slots left for a job, if it has none: each pack has its own."""
    pack = result.pack or ""
    limit = slots_of(account, pack)
    if limit is None or taken.get(pack, 0) + result.slots <= limit:
        return None
    return f"{taken.get(pack, 0)} of {limit} {pack} slots are taken, the job needs {result.slots}".replace("  ", " ")


def stored(situation: str, message: str, value: str) -> Violation:
    """A violation that only the store can know."""
    return Violation(f"mock/{situation}", "", message, situation=situation, values={"value": show(value)})


def _create(step: _Step) -> Decision:
    task = _new_task(step)
    lifecycle = step.provider.lifecycle
    first = lifecycle.states[task.timeline[0].state]
    view = View(first.name, first.words, task.created, None, first.ends)
    effects: tuple[Effect, ...] = (PutTask(task), Append(ledger(lifecycle, task)))
    return Decision(step.render(task, view), (*effects, *told(step.provider, task)), task=task.id)


def _new_task(step: _Step) -> Task:
    judgement, provider, scenario = step.judgement, step.provider, step.ruling.scenario
    operation = judgement.operation
    assert operation.task is not None
    path, latency, reason = _course(step)
    return Task(
        id=ids.draw(operation.task.new[judgement.variant], step.entropy, "task"),
        provider=provider.name,
        account=step.account,
        operation=operation.id,
        kind=str(operation.task.kind(step.scope)),
        variant=judgement.variant,
        created=step.now,
        timeline=timeline(path, latency, step.now, step.entropy),
        entropy=step.entropy,
        alias=alias_of(operation, step.scope),
        scenario=step.ruling.reference,
        asked=step.ruling.asked,
        reason=reason,
        request=lightened(step.scope["request"]["body"]),
        parameters=lightened(judgement.parameters),
        result=scenario.made(judgement.result) if scenario else judgement.result,
        price=judgement.quote.amount if judgement.quote else None,
        media=step.media,
        callback=judgement.callback,
    )


def _course(step: _Step) -> tuple[Sequence[str], Latency, str | None]:
    """The states a new task will walk through, how long each lasts, and why it fails, if it does."""
    judgement, lifecycle, scenario = step.judgement, step.provider.lifecycle, step.ruling.scenario
    profiles = lifecycle.latency
    latency = profiles.get(judgement.latency or "", next(iter(profiles.values())))
    path: Sequence[str] = lifecycle.usual
    reason = scenario.reason if scenario else None
    if scenario:
        latency, path = {**latency, **scenario.latency}, scenario.timeline or path
    if doomed := next((v for v in judgement.violations if v.severity == "fails"), None):
        path, reason = failing(lifecycle), doomed.values.get("reason", doomed.message)
    return path, latency, reason


def _query(step: _Step) -> Decision:
    task = step.ruling.task
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
    rows = []
    for task in step.found.page:
        rows.append(step.showing(task, observe(step.provider.lifecycle, task, step.now), step.ruling.listing(task)))
    step.scope["page"] = rows
    return Decision(step.render(None, None))


def _balance(step: _Step) -> Decision:
    words, account = step.judgement.operation.packs, step.judgement.call.account
    assert words is not None
    wanted = words.name(step.scope)
    rows = []
    for row in step.found.balances if account else ():
        assert account is not None
        if wanted in (ABSENT, None, "", row.pack.name):
            valid = validity(step.provider.packs, account, row.pack, step.now)
            rows.append(spoken_pack(row, account, valid, words.words[stands(row, valid, step.now)]))
    step.scope["packs"] = rows
    return Decision(step.render(None, None))


def _cancel(step: _Step) -> Decision:
    task = step.ruling.task
    if task is None:
        return _unknown(step)
    lifecycle, operation = step.provider.lifecycle, step.judgement.operation
    assert operation.task is not None
    to = operation.task.to or ""
    view = observe(lifecycle, task, step.now)
    if to not in lifecycle.states[view.state].then:
        violation = stored("task.finished", f"a task that is {view.state} cannot be changed", task.id)
        return Decision(step.provider.refuse(violation, step.scope), violations=(violation,))
    changed, effects = moved(step.provider, replace(task, reason=None), [Moment(step.now, to)], step.now)
    return Decision(step.render(changed, observe(lifecycle, changed, step.now)), effects, task=task.id)


ROLES: Mapping[str, Callable[[_Step], Decision]] = {
    "create": _create,
    "query": _query,
    "list": _list,
    "balance": _balance,
    "cancel": _cancel,
}
