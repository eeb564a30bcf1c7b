"""The suite: plans the probes of one provider, runs them at a target, and reports what holds and what does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property

from msgspec import Struct, field

from kling_mock.contract.admission import objection
from kling_mock.contract.agreement import Agreement
from kling_mock.contract.caller import Caller, Ended
from kling_mock.contract.control import Control, Refused
from kling_mock.contract.coverage.counting import Coverage
from kling_mock.contract.failures import Failure
from kling_mock.contract.messages import judged
from kling_mock.contract.notes import Notes
from kling_mock.contract.phases.examples import examples, rules
from kling_mock.contract.phases.jobs import Jobs
from kling_mock.contract.phases.lifecycles import lifecycles
from kling_mock.contract.phases.webhooks import webhooks
from kling_mock.contract.phases.wrongs import errors
from kling_mock.contract.probes import PHASES, Probe, most
from kling_mock.contract.purse import LeftOut, MoneySpent, Purse, Spent
from kling_mock.contract.referee import Referee
from kling_mock.contract.target import Http, Target, Unanswered
from kling_mock.core.model import Attempt, Exchange, Request
from kling_mock.core.provider import Provider
from kling_mock.core.redaction import redacted
from kling_mock.credentials import needs

SILENT = 3
"""After so many probes in a row without any answer the rest is left out."""


class CannotRun(Exception):
    """The suite cannot begin: nobody answers, it is somebody else, or there are no credentials that are taken."""


class Outcome(Struct, frozen=True):
    """What came of one probe: its failures, exchanges and attempts at webhooks, or why it was left out."""

    phase: str
    probe: str
    operation: str | None
    failures: tuple[Failure, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    left_out: str | None = None
    attempts: tuple[tuple[Attempt, ...], ...] = ()


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

    def coverage(self, provider: Provider) -> Coverage:
        """What of a provider's behaviour the run met."""
        found = Coverage(provider)
        for outcome in self.outcomes:
            for exchange in outcome.exchanges:
                found.add(exchange)
            for attempts in outcome.attempts:
                found.add_attempts(attempts)
        return found

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
        self.jobs = Jobs(agreement)
        self._given = self._credentials(environment)
        self._known_referee = referee

    def aim(self, url: str) -> None:
        """Aim at another target, before the run begins."""
        self.target = Http(url)

    @cached_property
    def control(self) -> Control | None:
        """The control API of the target, if it is a mock."""
        return Control.find(self.target.url)

    @cached_property
    def purse(self) -> Purse:
        """What may be spent: at a mock anything, elsewhere what the settings allow."""
        return Purse(None if self.control else self.settings.allow_spend or Decimal(0))

    @cached_property
    def _referee(self) -> Referee:
        return self._known_referee or Referee(self.agreement)

    # The plan

    def plan(self) -> list[Probe]:
        """The probes, in order; nothing is sent for it."""
        return list(self._plan)

    def numbered(self, ordered: bool) -> list[tuple[int, Probe]]:
        """The probes of the plan with their numbers in it; in the order in which a run would have them, if wanted."""
        numbers = {id(probe): number for number, probe in enumerate(self._plan)}
        return [(numbers[id(probe)], probe) for probe in (self._ordered(self._plan) if ordered else self._plan)]

    def _ordered(self, probes: Iterable[Probe]) -> list[Probe]:
        """Where money is spent, what spends none first, then what tells most for it: a task followed to its end."""
        if self.purse.limit is None:
            return list(probes)
        return sorted(probes, key=lambda probe: (self._spends(probe), probe.phase != "lifecycle"))

    def _spends(self, probe: Probe) -> bool:
        """Whether a probe sends what is to be accepted, and paid."""
        return any(not judged(self.agreement.provider, message).refused for message in probe.sends)

    @cached_property
    def _plan(self) -> list[Probe]:
        makers: Mapping[str, Callable[[], Iterable[Probe]]] = {
            "examples": lambda: examples(self.agreement),
            "rules": lambda: rules(self.agreement, self.jobs),
            "lifecycle": lambda: lifecycles(self.agreement, self.jobs),
            "errors": lambda: errors(self.agreement, self.jobs),
            "webhooks": lambda: webhooks(self.agreement, self.jobs),
            "fuzz": self._fuzz,
        }
        return [probe for phase in self.settings.phases for probe in makers[phase]()]

    def _fuzz(self) -> Iterable[Probe]:
        from kling_mock.contract.phases.fuzz import fuzz

        return fuzz(self.agreement, self.settings.max_examples)

    def price(self, probe: Probe) -> Decimal | None:
        """What a probe costs at most at a target that bills; None where a price is not known."""
        return most(self.agreement.provider, probe.sends)

    # The run

    def run(self, probes: Iterable[Probe], told: Callable[[Outcome], None] = lambda outcome: None) -> Report:
        """Run probes one after the other; `told` hears of each. Raises `CannotRun`."""
        self.begin()
        report = Report(self.agreement.provider.name, redacted(self.target.url), spent=self.purse.spent)
        silent = 0
        for probe in self._ordered(probes):
            try:
                outcome = self.run_one(probe) if silent < SILENT else _given_up(probe)
            except Stopped as stop:
                outcome, report.stopped = stop.outcome, stop.why
            report.outcomes.append(outcome)
            told(outcome)
            if report.stopped:
                break
            unanswered = any(failure.check == "answered" for failure in outcome.failures)
            silent = silent + 1 if unanswered and len(outcome.exchanges) == 0 else silent if outcome.left_out else 0
        return report

    def begin(self) -> None:
        """Make sure that the provider answers, and takes the account's credentials. Raises `CannotRun`."""
        try:
            self.target.send(Request("GET", "/"))
        except Unanswered as error:
            told = f"nobody answers at {redacted(self.target.url)} ({error}); is it running, and is the address right?"
            raise CannotRun(told) from None
        if self.control is None and not self._given:
            raise CannotRun(f"no credentials: set {self._wanted()}; `kling-mock env` prints those of the mock")
        credentials, whose = self._given, ""
        if self.control is not None:
            credentials, whose = self._made(self.control), "the credentials that the mock's control API made"
        if why := objection(self.agreement, self.target, credentials, whose):
            raise CannotRun(why)

    def _made(self, control: Control) -> Mapping[str, str]:
        """The credentials of a new account at a mock. Raises `CannotRun`."""
        name = self.agreement.provider.name
        try:
            return control.open_account(name).credentials
        except Refused as error:
            told = f"the mock at {redacted(self.target.url)} made no account of {name}'s: {redacted(str(error))}"
            raise CannotRun(f"{told}; does it serve {name}?") from None

    def _wanted(self) -> str:
        """The variables of the environment that are needed, by way of proving who calls."""
        provider = self.agreement.provider
        schemes = (scheme for row in provider.operations.values() for way in row.security for scheme in way)
        ways = dict.fromkeys(tuple(sorted(needs(way))) for scheme in schemes for way in scheme.ways)
        return ", or ".join(" and ".join(provider.credentials[name].variable for name in way) for way in ways)

    def run_one(self, probe: Probe) -> Outcome:
        """Run one probe as an account of its own, where the target can make one. Raises `Stopped`."""
        if probe.only_mock and self.control is None:
            return Outcome(probe.phase, probe.name, probe.operation, left_out="only a mock can be made to do it")
        caller = self._opened(Notes(self.agreement.provider.name, probe.phase, probe.name))
        left_out = None
        try:
            probe.run(caller)
        except Ended:
            pass  # the failure is written down
        except LeftOut as error:
            left_out = str(error)
        except Refused as error:
            caller.fail("answered", f"the mock's control API did not do what was asked: {error}")
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            caller.fail(
                "readable", f"the answer could not be read: {type(error).__name__}: {error}"[:300], *caller.last
            )
        except MoneySpent as error:
            raise Stopped(self._outcome(probe, caller), str(error)) from None
        return self._outcome(probe, caller, left_out)

    def _outcome(self, probe: Probe, caller: Caller, left_out: str | None = None) -> Outcome:
        rows = tuple(caller.notes.failures), tuple(caller.notes.exchanges)
        attempts = tuple(caller.attempts()) if probe.phase == "webhooks" else ()
        return Outcome(probe.phase, probe.name, probe.operation, *rows, left_out, attempts)

    # The account

    def _credentials(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """The credentials of the environment, if they are enough for one way of proving who calls."""
        provider = self.agreement.provider
        rows = provider.credentials.values()
        found = {row.name: environment[row.variable] for row in rows if environment.get(row.variable)}
        schemes = [scheme for row in provider.operations.values() for way in row.security for scheme in way]
        enough = not schemes or any(needs(way) <= found.keys() for scheme in schemes for way in scheme.ways)
        return found if enough else {}

    def _opened(self, notes: Notes) -> Caller:
        """A caller with an account: a fresh one at a mock, whose time stands still, or the one of the environment."""
        if self.control is None:
            return self._caller(self._given, None, notes)
        account = self.control.open_account(self.agreement.provider.name, self.settings.scenario)
        self.control.freeze(account.id)
        return self._caller(account.credentials, account.id, notes)

    def _caller(self, credentials: Mapping[str, str], account: str | None, notes: Notes) -> Caller:
        known = self.agreement, self.target, credentials, self.purse, self._referee, notes
        return Caller(*known, self.control, account)


def _given_up(probe: Probe) -> Outcome:
    return Outcome(probe.phase, probe.name, probe.operation, left_out="the target does not answer any more")


class Stopped(Exception):
    """The run ends here: a job was taken, and will be billed, that the documents refuse."""

    def __init__(self, outcome: Outcome, why: str) -> None:
        super().__init__(why)
        self.outcome, self.why = outcome, why
