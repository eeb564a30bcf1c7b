"""A task's course: the dated lines that follow from its timeline, and how it is changed later.

What is forced or cancelled withdraws what was not yet due and dates it anew; what is settled stays settled.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec.structs import replace

from kling_mock.core.callbacks import webhooks
from kling_mock.core.lifecycle import Lifecycle, ending, observe, redirect, timeline
from kling_mock.core.model import Append, Effect, Entry, Moment, Post, PutTask, Task, Withdraw
from kling_mock.core.provider import Provider
from kling_mock.core.scenarios import Hooks


def failing(lifecycle: Lifecycle) -> tuple[str, ...]:
    """The usual path, but for its end: what is accepted and then fails."""
    before = lifecycle.usual[:-1]
    return (*before, lifecycle.may_end(before[-1], "failure") or lifecycle.usual[-1])


def ledger(lifecycle: Lifecycle, task: Task) -> tuple[Entry, ...]:
    """The dated lines of a task: what it reserves and occupies at its create, what it settles and frees at its end."""
    if task.result is None:
        return ()
    return (*_lines(task, task.created, "reserve", 1), *_closing(lifecycle, task))


def _closing(lifecycle: Lifecycle, task: Task) -> tuple[Entry, ...]:
    """The lines of a task's end, if it comes to one."""
    last = ending(lifecycle, task)
    if last is None or task.result is None:
        return ()
    paid = lifecycle.states[last.state].ends == "success"
    return _lines(task, last.at, "settle" if paid else "refund", -1)


def _lines(task: Task, at: int, of: Literal["reserve", "settle", "refund"], sign: int) -> tuple[Entry, ...]:
    """The line for a task's slots, and the one for its money if its price is known."""
    assert task.result is not None
    slots = Entry(at, task.account, task.result.pack or "", "slots", Decimal(sign * task.result.slots), task.id)
    if task.result.pack is None or task.price is None:
        return (slots,)
    return (slots, Entry(at, task.account, task.result.pack, of, task.price, task.id))


def moved(provider: Provider, task: Task, moments: list[Moment], now: int) -> tuple[Task, tuple[Effect, ...]]:
    """Change a task's course: what was not yet due is withdrawn and dated anew. What is settled stays settled.

    So a task that is moved out of its end takes no slot again, and whatever end it comes to then costs nothing more.
    """
    end = ending(provider.lifecycle, task)
    settled = end if end and end.at <= now else None
    changed = replace(task, timeline=redirect(task, moments, now), settled=settled)
    entries = () if settled else _closing(provider.lifecycle, changed)
    effects = (PutTask(changed), Withdraw(task.account, task.id, now), Append(entries))
    return changed, (*effects, *told(provider, changed, now))


def told(provider: Provider, task: Task, since: int | None = None) -> tuple[Effect, ...]:
    """The webhooks that a task's course brings, from `since` on."""
    operation = provider.operations.get(task.operation)
    if task.callback is None or operation is None or not operation.callbacks:
        return ()
    scenario = provider.scenarios.recall(task.scenario)
    hooks = scenario.hooks if scenario else Hooks()
    return (Post(webhooks(operation.callbacks[0], task, hooks, since)),)


def force(provider: Provider, task: Task, state: str, reason: str | None, now: int, jump: bool) -> tuple[Effect, ...]:
    """Put a task into `state` now, by the shortest legal way, or by a jump that breaks the order.

    A state that is left again is left after its usual time. Raises `ValueError` when no legal way leads there.
    """
    lifecycle = provider.lifecycle
    here = observe(lifecycle, task, now).state
    path = [state] if jump else _way(lifecycle, here, state)
    latency = next(iter(lifecycle.latency.values()))
    onward = [state, *_onward(lifecycle, state)]
    moments = [Moment(now, step) for step in path[:-1]]
    moments += timeline(onward, latency, now, task.entropy)
    named = reason or task.reason or _default_reason(provider)
    changed = replace(task, reason=named if lifecycle.states[state].ends == "failure" else task.reason)
    return moved(provider, changed, moments, now)[1]


def _default_reason(provider: Provider) -> str | None:
    return next((scenario.reason for scenario in provider.scenarios.values() if scenario.reason), None)


def _way(lifecycle: Lifecycle, here: str, there: str) -> list[str]:
    """The states after `here` on the shortest legal way to `there`."""
    waiting: list[list[str]] = [[here]]
    seen = {here}
    while waiting:
        path = waiting.pop(0)
        for state in lifecycle.states[path[-1]].then:
            if state == there:
                return [*path[1:], state]
            if state not in seen:
                seen.add(state)
                waiting.append([*path, state])
    raise ValueError(f"no legal way leads from {here!r} to {there!r}")


def _onward(lifecycle: Lifecycle, state: str) -> list[str]:
    """The usual way on from `state` to success."""
    if lifecycle.ended(state):
        return []
    for there in lifecycle.states:
        if lifecycle.states[there].ends == "success":
            return _way(lifecycle, state, there)
    return []
