"""Notices: what a webhook says, rendered from its task when it is sent."""

from __future__ import annotations

from typing import Any

from kling_mock.core import entropy as ids
from kling_mock.core.callbacks import CallbackWords, taken
from kling_mock.core.lifecycle import State, observe
from kling_mock.core.model import Task, View, Webhook
from kling_mock.core.provider import Provider
from kling_mock.core.showing import shown_as


def callback_of(provider: Provider, task: Task) -> CallbackWords | None:
    """What the operation that made a task says of its callbacks; None if it says nothing (any more)."""
    operation = provider.operations.get(task.operation)
    return operation.callbacks[0] if operation and operation.callbacks else None


def told_end(provider: Provider, task: Task, row: Webhook) -> bool:
    """Whether a webhook told its receiver of an end that was the task's.

    One that was not taken told nothing, nor did one whose signature was wrong, which its receiver has to refuse. One
    that a scenario lets tell another state than the task's was believed, if at all, by a client that knows less.
    """
    words = callback_of(provider, task)
    forged = row.forged and words is not None and words.signing is not None
    view = observe(provider.lifecycle, task, row.changed)
    return view.ends is not None and view.state == row.state and not forged and any(map(taken, row.attempts))


def notice(provider: Provider, words: CallbackWords, task: Task, row: Webhook, media: str) -> Any:
    """The body: the task as it was when the row's state began, its files under the URL `media`.

    It is the same at every attempt, as long as the server has the same address.

    The row's state is what is told, whether or not the task was ever in it: a scenario may let the two disagree.
    """
    state = provider.lifecycle.states.get(row.state) or State(row.state, {})
    view = View(state.name, state.words, row.changed, None, state.ends)
    variant = provider.variant(task.variant)
    request = {"id": ids.draw(provider.request_ids, task.entropy, f"webhook {row.id}")}
    scope = {"request": request, "variant": variant, "now": row.changed, **shown_as(provider, task, view, media)}
    return words.bodies[variant](scope)
