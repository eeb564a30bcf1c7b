"""The suite: plans the probes of one provider, runs them at a target, and reports what holds and what does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal

from msgspec import Struct, field

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.caller import Caller, Ended
from kling_mock.contract.control import Control
from kling_mock.contract.examples import examples, rules
from kling_mock.contract.failures import Failure
from kling_mock.contract.jobs import Jobs
from kling_mock.contract.lifecycles import lifecycles
from kling_mock.contract.probes import PHASES, Probe, most
from kling_mock.contract.purse import MoneySpent, Purse, Spent, TooDear
from kling_mock.contract.referee import Referee
from kling_mock.contract.target import Http, Target, Unanswered
from kling_mock.contract.webhooks import webhooks
from kling_mock.contract.wrongs import errors
from kling_mock.core.model import Exchange, Request


class CannotRun(Exception):
    """The suite cannot begin: no credentials, or nobody answers."""


class Outcome(Struct, frozen=True):
    """What came of one probe: its failures and exchanges, or why it was left out."""

    phase: str
    probe: str
    operation: str | None
    failures: tuple[Failure, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    left_out: str | None = None


class Report(Struct):
    """What came of a run. `stopped` says why it ended before its end: money was spent that nobody wanted to spend."""

    provider: str
    url: str
    outcomes: list[Outcome] = field(default_factory=list)
    spent: list[Spent] = field(default_factory=list)
    stopped: str | None = None

    @property
    def failures(self) -> list[Failure]:
        """Every failure, in the order in which they were found."""
        return [failure for outcome in self.outcomes for failure in outcome.failures]

    @property
    def exchanges(self) -> Iterator[Exchange]:
        """Every exchange, in order."""
        return (exchange for outcome in self.outcomes for exchange in outcome.exchanges)

    @property
    def exit_code(self) -> int:
        """0: all of it holds; 1: something does not; 3: money was spent that the plan did not cover."""
        return 3 if self.stopped else 1 if self.failures else 0


class Settings(Struct, frozen=True):
    """How a run is: its phases in order, the examples of fuzzing per operation, what may be spent (None: nothing).

    `scenario` is what a mock's accounts have by default.
    """

    phases: tuple[str, ...] = tuple(PHASES)
    max_examples: int = 12
    allow_spend: Decimal | None = None
    scenario: str | None = None


class Suite:
    """The suite of one provider for one target."""

    def __init__(
        self,
        agreement: Agreement,
        url: str,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        environment: Mapping[str, str] = os.environ,
        referee: Referee | None = None,
    ) -> None:
        self.agreement, self.settings = agreement, settings
        self.target: Target = Http(url)
        self.control = Control.find(url)
        self.purse = Purse(None if self.control else settings.allow_spend or Decimal(0))
        self.jobs = Jobs(agreement)
        self._referee = referee or Referee(agreement)
        self._given = self._credentials(environment)

    # The plan

    def plan(self) -> list[Probe]:
        """The probes, in order; nothing is sent for it."""
        judge = self._caller({}, None)
        makers: Mapping[str, Callable[[], Iterable[Probe]]] = {
            "examples": lambda: examples(self.agreement),
            "rules": lambda: rules(self.agreement, judge),
            "lifecycle": lambda: lifecycles(self.agreement, self.jobs, judge),
            "errors": lambda: errors(self.agreement, self.jobs, judge),
            "webhooks": lambda: webhooks(self.agreement, self.jobs, judge),
            "fuzz": self._fuzz,
        }
        return [probe for phase in self.settings.phases for probe in makers[phase]()]

    def _fuzz(self) -> Iterable[Probe]:
        from kling_mock.contract.fuzz import fuzz

        return fuzz(self.agreement, self.settings.max_examples)

    def price(self, probe: Probe) -> Decimal | None:
        """What a probe costs at most at a target that bills; None where a price is not known."""
        return most(self._caller({}, None), probe.sends)

    # The run

    def run(self, probes: Iterable[Probe], told: Callable[[Outcome], None] = lambda outcome: None) -> Report:
        """Run probes one after the other; `told` hears of each. Raises `CannotRun`."""
        self._reach()
        if self.control is None and self._given is None:
            names = ", ".join(row.variable for row in self.agreement.provider.credentials.values())
            raise CannotRun(f"no credentials: set {names}, as `kling-mock env` prints them")
        report = Report(self.agreement.provider.name, self.target.url, spent=self.purse.spent)
        for probe in probes:
            try:
                outcome = self.run_one(probe)
            except _Stopped as stop:
                outcome, report.stopped = stop.outcome, stop.why
            report.outcomes.append(outcome)
            told(outcome)
            if report.stopped:
                break
        return report

    def _reach(self) -> None:
        """Make sure that somebody answers at all."""
        try:
            self.target.send(Request("GET", "/"))
        except Unanswered as error:
            told = f"nobody answers at {self.target.url} ({error}); is it running, and is the address right?"
            raise CannotRun(told) from None

    def run_one(self, probe: Probe) -> Outcome:
        """Run one probe as an account of its own, where the target can make one."""
        if probe.only_mock and self.control is None:
            return Outcome(probe.phase, probe.name, probe.operation, left_out="only a mock can be made to do this")
        caller = self._opened()
        caller.phase, caller.probe = probe.phase, probe.name
        left_out = None
        try:
            probe.run(caller)
        except Ended:
            pass  # the failure is written down
        except TooDear as error:
            left_out = str(error)
        except MoneySpent as error:
            raise _Stopped(self._outcome(probe, caller), str(error)) from None
        return self._outcome(probe, caller, left_out)

    def _outcome(self, probe: Probe, caller: Caller, left_out: str | None = None) -> Outcome:
        rows = tuple(caller.failures), tuple(caller.exchanges)
        return Outcome(probe.phase, probe.name, probe.operation, *rows, left_out)

    # The account

    def _credentials(self, environment: Mapping[str, str]) -> Mapping[str, str] | None:
        """The credentials of the environment, if all are there."""
        rows = self.agreement.provider.credentials.values()
        found = {row.name: environment[row.variable] for row in rows if environment.get(row.variable)}
        return found if len(found) == len(rows) else None

    def _opened(self) -> Caller:
        """A caller with an account: a fresh one at a mock, whose time stands still, or the one of the environment."""
        if self.control is None:
            return self._caller(self._given or {}, None)
        account = self.control.open_account(self.agreement.provider.name, self.settings.scenario)
        self.control.freeze(account.id)
        return self._caller(account.credentials, account.id)

    def _caller(self, credentials: Mapping[str, str], account: str | None) -> Caller:
        return Caller(self.agreement, self.target, credentials, self.purse, self._referee, self.control, account)


class _Stopped(Exception):
    def __init__(self, outcome: Outcome, why: str) -> None:
        super().__init__(why)
        self.outcome, self.why = outcome, why
