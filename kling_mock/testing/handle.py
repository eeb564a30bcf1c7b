"""The handle that a test holds: one account of a running mock, what its client did, and what may be asked of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import replace

from kling_mock.core import model
from kling_mock.core.durations import milliseconds
from kling_mock.core.hiding import hidden
from kling_mock.core.problems import closest
from kling_mock.core.provider import Provider
from kling_mock.credentials import TOKEN_SECONDS, signed
from kling_mock.server import money, steering, steering_webhooks
from kling_mock.server.journal import written
from kling_mock.testing import verdicts
from kling_mock.testing.clock import Clock
from kling_mock.testing.exchanges import Exchange, Task, Webhook, shown

if TYPE_CHECKING:
    from kling_mock.testing.session import Session

Duration = str | int | float


class Until:
    """Something that holds at once: until its block ends, or without one until the test does."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end

    def end(self) -> None:
        """Let it hold no longer. Once is enough."""
        end, self._end = self._end, None
        if end is not None:
            end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Kling:
    """A running mock as one account of one provider knows it.

    The account's credentials are attributes, by their names in the provider's documents.
    """

    def __init__(self, session: Session, account: model.Account) -> None:
        self._session, self._account = session, account
        self._mock = session.mock

    def __repr__(self) -> str:
        return f"<Kling {self._account.id} at {self.base_url}>"

    def __getattr__(self, name: str) -> str:
        if name.startswith("_"):
            raise AttributeError(name)
        credentials = self._account.credentials
        if name not in credentials:
            known = [*credentials, *(word for word in dir(type(self)) if not word.startswith("_"))]
            has = f"{self._account.provider} has {' and '.join(credentials)}" if credentials else "there are none"
            near = closest(name, known)
            near = near if near.startswith("; did") else ""
            raise AttributeError(f"there is no {name!r} here{near}; of credentials {has}")
        return credentials[name]

    # What a client needs

    @property
    def base_url(self) -> str:
        """The address that takes the place of the provider's own."""
        return self._session.server.url + self._mock.options.mounts.get(self._account.provider, "")

    @property
    def env(self) -> dict[str, str]:
        """The environment variables by which a client finds the address and the credentials."""
        return steering.environment(self._mock, self._account, self._session.server.url)

    @property
    def account(self) -> str:
        """The account's id, as the control API has it."""
        return self._account.id

    def token(self, seconds: int = TOKEN_SECONDS) -> str:
        """A fresh JWT, signed as `kling-mock token` does."""
        schemes = (s for o in self._documents.operations.values() for one in o.security for s in one)
        way = next((way for scheme in schemes for way in scheme.ways if way.jwt), None)
        if way is None:
            known = " and ".join(self._account.credentials)
            raise ValueError(f"{self._account.provider} takes no tokens; its credentials are {known}")
        return signed(self._account.credentials, way, seconds)

    def provider(self, name: str) -> Kling:
        """Another provider of the same mock, with an account of its own; the same one for the whole test."""
        return self._session.provider(name)

    def register(self, packs: Iterable[Mapping[str, Any]] | None = None, slots: int | None = None) -> Kling:
        """Another account at this provider, with these packs and so many slots for open tasks.

        A pack is {type, total, unit?, valid?, starts?, slots?}; `valid="1h"` lets it expire on the test's clock.
        """
        return self._session.register(self._account.provider, packs, slots)

    def intercept(self, *hosts: str) -> Until:
        """Send the real hosts of every provider here, and `hosts` too, without any change of the client."""
        return self._session.intercept(*hosts)

    # Steering

    @property
    def clock(self) -> Clock:
        """The clock of all accounts of this test."""
        return self._session.clock

    def scenario(self, name: str, **parameters: object) -> Until:
        """Let this scenario rule what is created from now on: `"slow"`, `"slow seconds=90"` or `"slow", seconds=90`."""
        reference = " ".join([name, *(f"{key}={value}" for key, value in parameters.items())])
        self._documents.scenarios.find(reference)
        _, before = steering.give_scenario(self._mock, self._account.id, reference)
        return self._until(lambda: steering.give_scenario(self._mock, self._account.id, before))

    def allow_violations(self, *rules: str) -> Until:
        """Let wrong requests pass in spite of --kling-strict: those of these rules ("mock/token.*"), or all."""
        allowed, row = self._session.server.suspicions.allowed, rules or ("*",)
        allowed.append(row)
        return self._until(lambda: allowed.remove(row))

    def _until(self, end: Callable[[], object]) -> Until:
        until = Until(lambda: (end(), None)[1])
        self._session.undo.callback(until.end)
        return until

    # Reading

    def requests(self, operation: str | None = None) -> list[Exchange]:
        """What the client asked and was answered, oldest first; of one operation, or all."""
        known = self._documents.operations
        if operation is not None and operation not in known:
            raise ValueError(f"{self._account.provider} has no operation {operation!r}{closest(operation, known)}")
        return [Exchange(row) for row in self._journal() if operation in (None, row.operation)]

    def tasks(self) -> list[Task]:
        """The account's tasks, oldest first."""
        return [Task(self._mock, shown(row)) for row in self._tasks()]

    def webhooks(self, task: str | None = None) -> list[Webhook]:
        """The account's webhooks, those to come included, in the order in which they are due; of one task, or all.

        What is due now is delivered before, if its receiver takes it within a second.
        """
        known = [row.id for row in self._tasks()]
        if task is not None and task not in known:
            raise ValueError(f"{self._account.id} has no task {task!r}{closest(task, known)}")
        self.clock.deliver()
        rows = steering_webhooks.delivery_log(self._mock, self._account.id, task)
        return [Webhook(self._mock, replace(row, url=hidden(row.url))) for row in rows]

    def webhook_secret(self, rotate: bool = False) -> str:
        """The secret that signs the account's webhooks. Asked for the first time it is made: until then none is signed.

        `rotate` makes another; the one before signs too for a while, as the provider has it.
        """
        found = steering_webhooks.secrets(self._mock, self._account.id)
        if rotate or not found:
            found = steering_webhooks.rotate(self._mock, self._account.id)
        return found[0].value

    def _tasks(self) -> list[model.Task]:
        return list(self._mock.store.tasks(self._account.id))

    def _journal(self) -> list[model.Exchange]:
        """The account's exchanges, and those of nobody at this provider: a client may forget to say who it is."""
        stored = {row.ordinal: row for row in self._mock.store.exchanges(self._account.id)}
        rows = []
        for row in tuple(self._session.watched):
            if row.account == self._account.id:
                rows.append(stored.get(row.ordinal) or written(row))
            elif row.account is None and row.provider == self._account.provider:
                rows.append(written(row))
        return rows

    @property
    def _documents(self) -> Provider:
        return self._mock.providers[self._account.provider]

    # Asserting

    def assert_no_violations(self, warnings: bool = False) -> None:
        """Every request was as the documents have it, rules included; with `warnings`, no warning either."""
        __tracebackhide__ = True
        rows = self._heard()
        text = verdicts.violations(self._mock, rows, warnings)
        if text:
            self._session.server.suspicions.take()
        hold(text)

    def assert_no_duplicate_spend(self, possible: bool = False) -> None:
        """No job was paid for twice since an answer was lost; with `possible`, nor for any other reason."""
        __tracebackhide__ = True
        self._heard()
        hold(verdicts.duplicates(money.report(self._mock, self._account.id).duplicate_spend, possible))

    def assert_spend(self, max_units: float | str | Decimal, unit: str | None = None) -> None:
        """No more was spent, open tasks included: of each unit of the provider's, or of this one."""
        __tracebackhide__ = True
        self._heard()
        balances = steering.holdings(self._mock, self._account).balances
        hold(verdicts.spend(self._mock, balances, self._tasks(), Decimal(str(max_units)), unit))

    def assert_settled(self) -> None:
        """Every task has come to its end, and the client was shown it."""
        __tracebackhide__ = True
        self._heard()
        left = money.report(self._mock, self._account.id).abandoned
        hold(verdicts.settled(self._mock, self._account, self._tasks(), left))

    def assert_polling(
        self,
        min_interval: Duration | None = None,
        stops: bool = True,
        backs_off: bool = False,
        patience: Duration | None = None,
    ) -> None:
        """Tasks were polled, and well; times are the account's. Retry-After must always be obeyed.

        `min_interval` between two polls of a task; `stops` at the end or gives up; `backs_off`: intervals grow;
        `patience`: no poll later than that after the create.
        """
        __tracebackhide__ = True
        self._heard()
        rows = money.report(self._mock, self._account.id).polling
        hold(verdicts.polling(rows, _optional(min_interval), stops, backs_off, _optional(patience)))

    def _heard(self) -> list[model.Exchange]:
        """The journal, in which there must be something if the client used this provider at all."""
        __tracebackhide__ = True
        rows = self._journal()
        others = [row for row in tuple(self._session.watched) if row.provider == self._account.provider]
        strangers = {row.account for row in others} - self._session.accounts
        if not rows and strangers:
            hold(
                f"the account {self._account.id} saw no request, but {' and '.join(sorted(map(str, strangers)))} did\n"
                "next: give the client this account's credentials (kling.env has them all)"
            )
        return rows


def hold(text: str) -> None:
    """Fail if there is anything to say."""
    __tracebackhide__ = True
    if text:
        raise AssertionError(text)


def _optional(duration: Duration | None) -> int | None:
    return None if duration is None else milliseconds(duration)
