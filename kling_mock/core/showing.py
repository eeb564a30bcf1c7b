"""Tasks as replies show them: what templates may say of one, and the files that it made."""

from __future__ import annotations

from typing import Any

from kling_mock.core import entropy as ids
from kling_mock.core.lifecycle import deducted
from kling_mock.core.model import Account, Balance, Task, View
from kling_mock.core.packs import Validity
from kling_mock.core.provider import Provider
from kling_mock.core.scenarios import Sees

EXTENSIONS = {"video": "mp4", "image": "png"}


class Spoken(dict[str, Any]):
    """A task as templates speak of it; `kind` is an attribute too, for `$when`."""

    @property
    def kind(self) -> str:
        return str(self["kind"])


def speak(provider: Provider, task: Task, view: View, media: str) -> Spoken:
    """A task as replies show it, its files under the URL `media`.

    `results` is empty until it has succeeded, `reason` until it has failed; `price` is what the ledger has taken.
    """
    shown = Spoken(
        id=task.id,
        kind=task.kind,
        alias=task.alias,
        created=task.created,
        changed=view.changed,
        request=task.request,
        parameters=task.parameters,
        price=deducted(provider.lifecycle, task, view.changed),
        reason=task.reason if view.ends == "failure" else None,
        results=results(task, media) if view.ends == "success" else [],
        operation=task.operation,
        media=f"{media}/{provider.name}/{task.id}",
    )
    return Spoken((name, value) for name, value in shown.items() if value is not None)


def shown_as(provider: Provider, task: Task, view: View, media: str, sees: Sees | None = None) -> dict[str, Any]:
    """The part of a scope that tells of a task: `$task`, `$state` and the view, as a scenario's call sees them."""
    if sees is None:
        return {"task": speak(provider, task, view, media), "state": view.words, "view": view}
    if sees.state:
        state = provider.lifecycle.states[sees.state]
        view = View(state.name, state.words, view.changed, view.following, state.ends)
    spoken = Spoken({**speak(provider, task, view, media), **sees.task})
    return {"task": spoken, "state": {**view.words, **sees.words}, "view": view}


def spoken_pack(row: Balance, owner: Account, valid: Validity, word: str) -> dict[str, Any]:
    """A pack as templates speak of it, `until` only if it ever expires; `word` is the provider's for how it stands."""
    shown = {
        "id": ids.draw("{uuid}", owner.id, f"pack {row.pack.type}"),
        "name": row.pack.name,
        "type": row.pack.type,
        "unit": row.pack.unit,
        "total": row.pack.total,
        "balance": row.balance,
        "bought": owner.created,
        "since": valid.since,
        "until": valid.until,
        "word": word,
    }
    return {name: value for name, value in shown.items() if value is not None}


def results(task: Task, media: str) -> list[dict[str, Any]]:
    """The files of a task that succeeded, in order: index, id, URLs below `media`, size in pixels, length in ms."""
    if task.result is None:
        return []
    made, base = task.result, f"{media}/{task.provider}/{task.id}"
    extension = EXTENSIONS[made.of]
    return [
        {
            "index": index,
            "number": index + 1,
            "id": ids.draw(made.id, task.entropy, f"result {index}"),
            "url": f"{base}/{index}.{extension}",
            "watermarked": f"{base}/{index}-watermarked.{extension}",
            "cover": f"{base}/{index}-cover.jpg",
            "width": made.width,
            "height": made.height,
            "duration": made.duration,
        }
        for index in range(made.count)
    ]
