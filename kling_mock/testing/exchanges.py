"""The journal, the tasks and the webhooks as a test reads them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from kling_mock.core import model
from kling_mock.core.hiding import hidden
from kling_mock.core.notices import callback_of, notice
from kling_mock.core.showing import results
from kling_mock.server import steering
from kling_mock.server.mock import Mock
from kling_mock.testing.clock import moment


class Exchange(Struct, frozen=True):
    """One request of the client and what it was answered; no credentials, and no files, are in it."""

    row: model.Exchange

    @property
    def operation(self) -> str | None:
        """The operation's id; None where the request fits none."""
        return self.row.operation

    @property
    def method(self) -> str:
        """The HTTP method."""
        return str(self.row.request["method"])

    @property
    def path(self) -> str:
        """The path, without the query."""
        return str(self.row.request["path"])

    @property
    def query(self) -> str:
        """What stood behind the question mark."""
        return str(self.row.request["query"])

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers, names in lower case; only those that say something of the client."""
        found: Mapping[str, str] = self.row.request["headers"]
        return found

    @property
    def json(self) -> Any:
        """The document that was sent; of a form its fields."""
        return self.row.request["body"]

    @property
    def status(self) -> int:
        """The status that was answered, or would have been had the answer arrived."""
        return int(self.row.reply["status"])

    @property
    def reply(self) -> Any:
        """The document that was answered."""
        return self.row.reply["body"]

    @property
    def lost(self) -> bool:
        """Whether a task was made whose client was not told so."""
        return self.row.lost

    @property
    def scenario(self) -> str | None:
        """The scenario, as it was asked for, that changed the answer or rules the task that was made."""
        return self.row.scenario

    @property
    def violations(self) -> tuple[model.Violation, ...]:
        """What was wrong with the request: each has a `rule`, a `pointer`, a `message` and a `severity`."""
        return self.row.violations

    @property
    def task(self) -> str | None:
        """The id of the task that it was about."""
        return self.row.task

    @property
    def at(self) -> datetime:
        """When it was, by the account's clock."""
        return moment(self.row.at)

    @property
    def billed(self) -> Decimal | None:
        """What the create of a task cost; None for other calls, and where no price is known."""
        return self.row.billed


def shown(row: model.Task) -> model.Task:
    """A task without the credentials that its request had in its URLs: a failed assertion shows all of it."""
    asked, parameters = hidden(row.request), hidden(row.parameters)
    return replace(row, request=asked, parameters=parameters, alias=hidden(row.alias), callback=hidden(row.callback))


class Task(Struct, frozen=True):
    """A task of the account, as it is at the moment of asking."""

    mock: Mock
    row: model.Task

    @property
    def id(self) -> str:
        """The provider's id of it."""
        return self.row.id

    @property
    def operation(self) -> str:
        """The operation that made it."""
        return self.row.operation

    @property
    def kind(self) -> str:
        """Its kind, in the documents' word."""
        return self.row.kind

    @property
    def state(self) -> str:
        """Its state now, in the documents' word."""
        return self._view.state

    @property
    def ends(self) -> Literal["success", "failure"] | None:
        """How it has ended; None while it is open."""
        return self._view.ends

    @property
    def scenario(self) -> str | None:
        """The scenario that rules its course."""
        return self.row.scenario

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What was asked for, in the documents' words."""
        return self.row.parameters

    @property
    def price(self) -> Decimal | None:
        """What it costs; None where no price is known."""
        return self.row.price

    @property
    def files(self) -> list[str]:
        """The addresses of the files that it has made."""
        now = self._now
        made = results(now, self.mock.addresses.media(now)) if self.ends == "success" else []
        return [str(row["url"]) for row in made]

    def force(self, state: str, reason: str | None = None, jump: bool = False) -> None:
        """Put it into a state now, by the shortest legal way; `jump` breaks the order of states."""
        steering.force_state(self.mock, self.id, state, reason, jump)

    @property
    def _now(self) -> model.Task:
        return self.mock.store.task(self.row.provider, self.row.id) or self.row

    @property
    def _view(self) -> model.View:
        return steering.view(self.mock, self._now)


class Attempt(Struct, frozen=True):
    """One try to deliver a webhook: when, by the account's clock, and the receiver's status, or what went wrong."""

    at: datetime
    status: int | None
    error: str | None


class Webhook(Struct, frozen=True):
    """A webhook of the account's: what it tells, where it goes, and what has become of it."""

    mock: Mock
    row: model.Webhook

    @property
    def id(self) -> str:
        """Its id, the same at every attempt: the signature's first header has it."""
        return self.row.id

    @property
    def task(self) -> str:
        """The id of the task that it tells of."""
        return self.row.task

    @property
    def state(self) -> str:
        """The state that it tells of, in the documents' word."""
        return self.row.state

    @property
    def url(self) -> str:
        """Where it goes, without the credentials in it."""
        return self.row.url

    @property
    def due(self) -> datetime:
        """When its next attempt is due, or was, by the account's clock."""
        return moment(self.row.due)

    @property
    def outcome(self) -> Literal["delivered", "given up", "refused"] | None:
        """What has become of it; None while it waits for its time or its next attempt."""
        return self.row.outcome

    @property
    def reason(self) -> str | None:
        """Why it was given up or refused."""
        return self.row.reason

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """What was tried so far, oldest first."""
        return tuple(Attempt(moment(row.at), row.status, row.error) for row in self.row.attempts)

    @property
    def json(self) -> Any:
        """The document that it carries; None once its task is forgotten."""
        task, provider = self.mock.store.task(self.row.provider, self.row.task), self.mock.providers[self.row.provider]
        words = callback_of(provider, task) if task else None
        return notice(provider, words, task, self.row, self.mock.addresses.media(task)) if task and words else None
