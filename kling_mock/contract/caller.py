"""Who calls a target: sends requests, holds every answer against the documents, and writes down what passed.

A caller is one account at one target during one probe. What it sends is judged first, by the same judge as the mock's;
so it is known of every request what the documents say of it and what it may cost.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Never

from msgspec import Struct
from msgspec.structs import replace

from kling_mock.contract.agreement import Agreement, Sighting
from kling_mock.contract.commands import Commands
from kling_mock.contract.control import Control
from kling_mock.contract.messages import Message, judged
from kling_mock.contract.notes import Notes
from kling_mock.contract.purse import LeftOut, MoneySpent, Purse, Spent
from kling_mock.contract.referee import Referee
from kling_mock.contract.target import Answer, Target, Unanswered
from kling_mock.core.calls import preferences
from kling_mock.core.expressions import ABSENT, text
from kling_mock.core.judging import Judgement
from kling_mock.core.model import Attempt, Exchange, Request, Sight, Violation
from kling_mock.core.provider import Operation
from kling_mock.core.redaction import redacted
from kling_mock.credentials import credential as credential_of

WAITS_MS = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000)
"""How long a busy target is given, a probe long."""


class Ended(Exception):
    """A probe that cannot go on after what it found; the failure is told already."""


class Seen(Struct, frozen=True):
    """One call: what was asked, what the documents say of that, and what came back."""

    operation: Operation
    request: Request
    judgement: Judgement
    answer: Answer
    exchange: Exchange
    tasks: tuple[Sighting, ...]
    errors: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether it was answered with success; some refusals come with a status of success."""
        return self.answer.status < 300 and not self.errors


class Caller:
    """One account at a target; `control` is there where the target is a mock, whose time it moves."""

    def __init__(
        self,
        agreement: Agreement,
        target: Target,
        credentials: Mapping[str, str],
        purse: Purse,
        referee: Referee,
        notes: Notes,
        control: Control | None = None,
        account: str | None = None,
    ) -> None:
        self.agreement, self.target, self.purse, self.referee = agreement, target, purse, referee
        self.provider = agreement.provider
        self.control, self.account = control, account
        self.notes = notes
        self.commands = Commands(self.provider, target.url, credentials)
        self.last: tuple[Seen, ...] = ()
        self.credentials = credentials
        self._now = self._named = self._waited = 0

    def stranger(self) -> Caller:
        """Somebody else at the same mock: a caller with an account of its own, who writes down with this one."""
        assert self.control is not None
        account = self.control.open_account(self.provider.name)
        known = self.agreement, self.target, account.credentials, self.purse, self.referee, self.notes
        return Caller(*known, self.control, account.id)

    # Time

    def wait(self, ms: int) -> None:
        """Let time pass for the target: the account's clock is moved where there is one, else it really passes."""
        self._now += ms
        if self.control is not None and self.account is not None:
            self.control.advance(self.account, ms)
        else:
            self.target.wait(ms)

    def forget(self) -> None:
        """Let a mock forget what the account did, so that the same calls get the same answers."""
        if self.control is not None and self.account is not None:
            self.control.call("POST", "/_mock/reset", {"account": self.account})

    def attempts(self) -> Iterator[tuple[Attempt, ...]]:
        """The attempts at each webhook of the account's, as a mock tells them."""
        if self.control is not None and self.account is not None:
            for row in self.control.call("GET", f"/_mock/webhooks?account={self.account}")["webhooks"]:
                rows = row["attempts"]
                yield tuple(Attempt(each["at"], each["at"], each["status"], each["error"]) for each in rows)

    def alias(self) -> str:
        """An id of the caller's own that no task of the account has."""
        self._named += 1
        # An account that was there before the run may have tasks of other runs.
        unique = f"{self._named}" if self.control is not None else f"{secrets.token_hex(6)}-{self._named}"
        return f"contract-suite-{unique}"

    # Calling

    def call(self, message: Message, shown: Mapping[str, str] | None = None, words: str | None = None) -> Seen:
        """Send a message with the account's credential, or with this one. Raises `TooDear`, `MoneySpent` and `Ended`.

        `words` stand for this one in a line for a shell; without them it is no secret, and stands there itself.
        """
        self.commands.name(shown or {}, words)
        headers = self.credential(message.operation) if shown is None else shown
        request = message.request()
        signed = replace(request, headers={**request.headers, **headers})
        return self.send(message.operation, signed, self.judged(message))

    def judged(self, message: Message) -> Judgement:
        """What the documents say of a message."""
        return judged(self.provider, message)

    def send(self, operation: Operation, request: Request, judgement: Judgement) -> Seen:
        """Send a request as it stands, whose judgement is known."""
        self.purse.cover(judgement)
        try:
            answer = self.target.send(request)
        except Unanswered as error:
            self.fail("answered", f"there was no answer: {error}", operation=operation, request=request)
            self._pay(operation, judgement, None)
            raise Ended from None
        seen = self._seen(operation, request, judgement, answer)
        if self._busy(seen):
            return self._later(operation, request, judgement, seen)
        self._check(seen)
        self._pay(operation, judgement, seen)
        return seen

    def _busy(self, seen: Seen) -> bool:
        """Whether a target that nobody steers has too much to do: that is no breach of anything."""
        empty = {self.reason("balance.empty")}
        return self.control is None and seen.answer.status == 429 and set(seen.errors) != empty

    def _later(self, operation: Operation, request: Request, judgement: Judgement, seen: Seen) -> Seen:
        """Send a request again once the target has had some time. Raises `LeftOut` if that is not enough."""
        asked = seen.answer.headers.get("retry-after", "")
        self._waited += 1
        if self._waited > len(WAITS_MS):
            raise LeftOut("the target was too busy (429)")
        self.wait(max(WAITS_MS[self._waited - 1], int(asked) * 1000 if asked.isdigit() and len(asked) < 4 else 0))
        return self.send(operation, request, judgement)

    def credential(self, operation: Operation) -> Mapping[str, str]:
        """The header that proves who calls an operation."""
        return credential_of(self.credentials, operation)

    def noted(
        self, operation: Operation, message: Message, status: int, headers: Mapping[str, Any], body: bytes
    ) -> None:
        """Write down a call that somebody else has made; whether it cost anything is written down too."""
        told = {name.lower(): str(value[0] if isinstance(value, list) else value) for name, value in headers.items()}
        judgement = self.judged(message)
        seen = self._seen(operation, message.head(), judgement, Answer(status, told, body))
        self._pay(operation, judgement, seen)

    def repeated(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status of a request that goes to a whole address of the target's."""
        path, _, query = url.removeprefix(self.target.url).partition("?")
        lower = {name.lower(): value for name, value in headers.items()}
        return self.plain(Request(method, path, query, lower, body)).status

    def plain(self, request: Request) -> Answer:
        """Send what is no operation's request; nothing that could create a task may be sent so. Raises `Ended`."""
        try:
            answer = self.target.send(request)
        except Unanswered as error:
            self.stop("answered", f"there was no answer: {error}")
        self.notes.passed(request, ABSENT, answer, at=self._now, account=self.account)
        return answer

    def told(self, answer: Answer, check: str, *reasons: str) -> None:
        """An answer to what is no operation's request is one of these entries of the catalogue.

        What stands before a provider may answer such a request in words of its own: of others than mocks the status
        counts.
        """
        statuses = {self.provider.errors.catalogue[name].status for name in reasons}
        if self.control is None and answer.status in statuses:
            return
        if not set(reasons) & set(self.agreement.errors.coded(answer.document, answer.status)):
            self.fail(
                check,
                "it was not refused as the documents have it",
                expected=reasons,
                got=[answer.status, answer.shown],
            )

    def _seen(self, operation: Operation, request: Request, judgement: Judgement, answer: Answer) -> Seen:
        tasks = tuple(self.agreement.sightings(operation, answer))
        billed = judgement.quote if operation.role == "create" and answer.status < 300 and tasks else None
        exchange = self.notes.passed(
            request,
            judgement.call.document,
            answer,
            at=self._now,
            account=self.account,
            operation=operation.id,
            role=operation.role,
            task=tasks[0].id if tasks and operation.role != "list" else None,
            violations=judgement.violations,
            billed=billed.amount if billed else None,
            unit=billed.unit if billed else None,
            fingerprint=judgement.fingerprint or None,
            saw=tuple(Sight(task.id, task.states[0], self._ended(task)) for task in tasks if task.states),
            scenario=preferences(request.headers).get("scenario") if self.control is not None else None,
        )
        seen = Seen(
            operation,
            request,
            judgement,
            answer,
            exchange,
            tasks,
            tuple(self.agreement.errors.coded(answer.document, answer.status)),
        )
        self.last = (seen,)
        return seen

    def _ended(self, task: Sighting) -> bool:
        return all(self.provider.lifecycle.ended(state) for state in task.states)

    def _pay(self, operation: Operation, judgement: Judgement, seen: Seen | None) -> None:
        """Write down what a target that bills has been made to do, or may have been; unasked for, it ends the run.

        A refusal is free: a reply that is one of the catalogue's, or has a status that blames the client. An answer
        that is lost, and one that tells of a fault inside, may stand for a task all the same.
        """
        if self.purse.limit is None or operation.role != "create":
            return
        if seen is not None and (self._refusal(seen) or 400 <= seen.answer.status < 500):
            return
        quote, refused = judgement.quote, judgement.refused
        task = seen.tasks[0].id if seen and seen.tasks else None
        self.purse.spent.append(
            Spent(task, quote.amount if quote else None, quote.unit if quote else None, not refused)
        )
        if not refused:
            return
        price = f"{text(quote.amount)} {quote.unit}" if quote else "a price that nobody knows"
        if seen is None or task is None:
            raise MoneySpent(f"nobody told what became of a job that should be refused for {refused[0].rule}; {price}")
        why = refused[0]
        self.fail("refused", f"it was accepted in spite of {why.rule}", seen, expected="a refusal", at=why.pointer)
        raise MoneySpent(f"task {task} was made, which the documents refuse for {why.rule}; {price}")

    def _refusal(self, seen: Seen) -> bool:
        """Whether an answer without a task says that the job was refused, under whatever status."""
        return not seen.tasks and seen.answer.status < 500 and bool(self.agreement.errors.coded(seen.answer.document))

    # Checking

    def _check(self, seen: Seen) -> None:
        if seen.ok and seen.tasks and seen.request.headers.get("content-type", "").startswith("application/json"):
            # A second opinion on what was accepted, by another implementation over the same documents.
            for _, at, message in self.referee.request(seen.operation, seen.request.body):
                self.fail("refused", f"it was accepted, and openapi-core refuses it: {message}", seen, at=at)
        for check, at, message in self.referee.reply(seen.operation, seen.answer):
            self.fail(check, message, seen, at=at)
        if seen.answer.status >= 400 and not seen.errors:
            self.fail(
                "error",
                "no entry of the catalogue has this status, envelope and code",
                seen,
                got=[seen.answer.status, seen.answer.shown],
            )
        for task in seen.tasks:
            shown = {name: value for name, value in task.values.items() if name.startswith("state.")}
            if shown and not task.states:
                self.fail("word", "no state of the lifecycle has these words", seen, got=shown)
            known = set(self._statuses(seen.operation, task))
            if known and seen.answer.status not in known:
                told = f"a task that is {' or '.join(task.states)} comes with another status"
                self.fail("status", told, seen, expected=sorted(known), got=seen.answer.status)

    def _statuses(self, operation: Operation, task: Sighting) -> Iterator[int]:
        """The statuses with which an operation shows a task in its state."""
        for state in task.states if operation.role != "list" else ():
            fit = (row.status for row in operation.replies if row.states is None or state in row.states)
            yield next(fit, operation.replies[0].status)

    def fail(
        self,
        check: str,
        message: str,
        *seen: Seen,
        expected: Any = None,
        got: Any = None,
        at: str | None = None,
        operation: Operation | None = None,
        request: Request | None = None,
        command: str | None = None,
    ) -> None:
        """Write down a failure; `command` repeats it where it was no request of ours."""
        last = seen[-1] if seen else None
        operation = last.operation if last else operation
        request = last.request if last else request
        if operation and request:
            command = self.commands.repeating(operation, request)
        self.notes.failed(
            check,
            message,
            operation=operation.id if operation else None,
            pointer=at,
            expected=expected,
            got=got,
            exchanges=tuple(row.exchange for row in seen),
            curl=self.commands.repeating(operation, request)
            if operation and request
            else command and redacted(command),
        )

    def stop(self, check: str, message: str, *seen: Seen, **words: Any) -> Never:
        """Write down a failure after which the probe makes no sense any more. Raises `Ended`."""
        self.fail(check, message, *seen, **words)
        raise Ended

    # Expecting

    def accepted(self, seen: Seen) -> None:
        """It was answered with success, as the documents allow it. Raises `Ended` where it was not."""
        if not seen.ok:
            got = [seen.answer.status, seen.answer.shown]
            self.stop("accepted", "it was refused", seen, expected="success", got=got)

    def refused(self, seen: Seen, *reasons: str) -> None:
        """It was refused with one of these entries of the catalogue."""
        expected = [f"{name} ({self.provider.errors.catalogue[name].status})" for name in reasons]
        if seen.ok:
            self.stop("refused", "it was accepted", seen, expected=" or ".join(expected), got=seen.answer.status)
        if not set(reasons) & set(seen.errors):
            got = [seen.answer.status, seen.answer.shown]
            self.fail("reason", "it was refused for another reason", seen, expected=expected, got=got)

    def answers(self, violation: Violation) -> str:
        """The entry of the catalogue that answers a violation."""
        return self.provider.errors.answer(violation)

    def reason(self, situation: str) -> str:
        """The entry of the catalogue that answers a situation."""
        return self.provider.errors.answering(situation)
