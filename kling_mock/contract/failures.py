"""What can be wrong with a target: a closed vocabulary of checks, and a failure with the exchange that shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from kling_mock.core.model import Exchange

Breaks = Literal["order", "word", "agreement", "shape"]


class Check(Struct, frozen=True):
    """One thing that is looked at: what holds where it passes, and which declared breakage (`breaks`) it would find."""

    holds: str
    breaks: Breaks | None = None


CHECKS: Mapping[str, Check] = {
    # Of every exchange
    "answered": Check("a request gets an answer"),
    "readable": Check("an answer is of a form that can be read at all", "shape"),
    "status": Check("the status is one that the operation documents", "shape"),
    "content-type": Check("the content type is one that the response documents", "shape"),
    "schema": Check("the body fits the response's schema", "shape"),
    "error": Check("an error is one of the provider's catalogue: envelope, status and code", "shape"),
    # Of what was asked
    "accepted": Check("what the documents allow is accepted"),
    "refused": Check("what the documents forbid is refused"),
    "reason": Check("a refusal has the status and code that the documents give for its reason"),
    "fails": Check("what is accepted and then fails does fail"),
    "credential": Check("nobody is served without a credential that is good"),
    "method": Check("a method that a path does not have is refused, and Allow lists those that it has"),
    # Of a task
    "id": Check("a task keeps the id that its create answered", "shape"),
    "found": Check("a task that was created is found, by its id and in the list"),
    "word": Check("a state is told in words that the lifecycle has", "word"),
    "order": Check("states follow each other as the lifecycle allows", "order"),
    "end": Check("a task comes to an end and stays there", "order"),
    "time": Check("the time of creation stays, the time of the last change never goes back"),
    "alias": Check("the caller's own id comes back as it was sent"),
    "agreement": Check("all that show a task at one moment show the same", "agreement"),
    "result": Check("a task that succeeded has files, and they can be had", "shape"),
    "money": Check("what a task costs is what its quote says, and a failure costs nothing"),
    # Of webhooks
    "webhook": Check("a change of state is told to the address that the create named"),
}


class Failure(Struct, frozen=True):
    """A target that does not keep to the documents: which check, in which probe, what was expected and what came.

    `curl` repeats the last request; credentials are variables of the shell in it.
    """

    check: str
    provider: str
    phase: str
    probe: str
    message: str
    operation: str | None = None
    pointer: str | None = None
    expected: Any = None
    got: Any = None
    exchanges: tuple[Exchange, ...] = ()
    curl: str | None = None
    breaks: Breaks | None = field(default=None)

    @property
    def title(self) -> str:
        """Where it was, in short."""
        return f"{self.provider} {self.phase}: {self.probe}"


def brief(value: Any, longest: int = 200) -> str:
    """A value as it may stand in a line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"
