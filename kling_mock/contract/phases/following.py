"""Following a task from its create to its end: what every reply about it must agree on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import pairwise

from kling_mock.contract.agreement import Sighting
from kling_mock.contract.caller import Caller, Ended, Seen
from kling_mock.contract.messages import Message
from kling_mock.contract.phases.links import links
from kling_mock.contract.target import Unanswered
from kling_mock.core.expressions import ABSENT

DAY = 86_400_000
POLL_MS, LONGEST_MS = 1_000, 30_000
CONSTANT = frozenset({"task.created", "task.alias", "task.kind"})
"""What is held against the create already."""
PATIENCE_MS = 20 * 60_000
"""A target without a clock of ours is polled after a second, then ever more seldom, for twenty minutes at most."""
SKEW_MS = 10 * 60_000
"""How far a target's clock may be from ours."""


class Follower:
    """Follows one task by the links of its create's reply; `seen` are the calls about it, oldest first."""

    def __init__(self, caller: Caller, created: Seen, headers: dict[str, str] | None = None) -> None:
        self.caller, self.created, self.headers = caller, created, headers or {}
        self.lifecycle = caller.provider.lifecycle
        self.seen: list[Seen] = [created]
        self.task = self._task()
        self.history: list[Sighting] = [self.task]
        self.given: str | None = None
        agreement = caller.agreement
        self.ways = list(links(agreement, created.operation, created.answer))

    @property
    def last(self) -> Sighting:
        """The task as it was shown last."""
        return self.history[-1]

    @property
    def ended(self) -> bool:
        """Whether the task was shown in a state that it does not leave."""
        return bool(self.last.states) and all(self.lifecycle.ended(name) for name in self.last.states)

    def alias(self, given: str) -> None:
        """The caller's own id, where replies show it, is the one that was sent."""
        told = self.task.values.get("task.alias", given)
        if told != given:
            self.caller.fail("alias", "the caller's own id is another one", self.created, expected=given, got=told)
        self.given = given

    def _task(self) -> Sighting:
        if not self.created.tasks:
            self.caller.stop("id", "the create's reply has no id of a task", self.created)
        return self.created.tasks[0]

    # The way to the end

    def to_the_end(self) -> None:
        """Look at the task until it has ended, and once long after. Raises `Ended` where it cannot be followed."""
        if not self.ways:
            self.caller.stop("found", "no link of the create's reply leads to its task", self.created)
        self.look()
        self._dated()
        for ms in self._pauses():
            self.caller.wait(ms)
            self.look()
            if self.ended:
                break
        else:
            if not self.last.states and any(name.startswith("state.") for name in self.last.values):
                raise Ended  # a word that nobody knows tells of no end, and is told already
            states = " or ".join(self.last.states)
            self.caller.stop("end", f"the task has not ended; it is {states} still", *self.seen[-1:])
        self.caller.wait(DAY if self.caller.control else POLL_MS)
        self.look()

    def look(self) -> None:
        """Ask by every way, and hold what is shown against all that was shown before."""
        shown = []
        for way in self.ways:
            seen = self.caller.call(self._asking(way))
            self.seen.append(seen)
            if not seen.ok:
                self.caller.stop("found", "the task cannot be found", self.created, seen, got=seen.answer.status)
            task = next((task for task in seen.tasks if task.id == self.task.id), None)
            if task is None:
                got = [task.id for task in seen.tasks]
                self.caller.stop(
                    "id", "the reply shows another task", self.created, seen, expected=self.task.id, got=got
                )
            shown.append((seen, task))
            self._keeps(seen, task)
        for (_, one), (seen, other) in pairwise(shown):
            self.agree(one, other, seen)
        self._steps(*shown[0])
        self.history.append(shown[0][1])

    def _asking(self, way: Message) -> Message:
        return Message(way.operation, way.document, way.files, way.path, way.query, {**way.headers, **self.headers})

    def _pauses(self) -> Iterator[int]:
        """How long to wait before each look: around every change if the mock says when they are, else by patience."""
        control = self.caller.control
        if control is None:
            yield from _patience()
            return
        known = control.task(self.task.id)
        changes, now = [moment["at"] for moment in known["timeline"]], known["created_at"]
        between = [(before + after) // 2 for before, after in pairwise(changes)]
        moments = sorted({at for change in changes for at in (change - 1, change, change + 1)} | set(between))
        for at in moments:
            if at > now:
                yield at - now
                now = at

    # What must hold

    def _dated(self) -> None:
        """The time of creation is now, in the unit that the documents have."""
        known = self.caller.control
        now = time.time() * 1000 if known is None else known.task(self.task.id)["created_at"]
        for seen, task in ((self.created, self.task), (self.seen[1], self.last)):
            if task.created is not None and abs(task.created - now) > SKEW_MS:
                told = "the time of creation is not that of the create"
                self.caller.fail("time", told, seen, expected=now, got=task.values["task.created"])

    def _keeps(self, seen: Seen, task: Sighting) -> None:
        """What a task never changes."""
        before = {**self.history[0].values, **self.last.values}
        for name, check in (("task.created", "time"), ("task.alias", "alias"), ("task.kind", "id")):
            if name in before and name in task.values and task.values[name] != before[name]:
                told = f"{name.removeprefix('task.')} has changed"
                self.caller.fail(check, told, self.created, seen, expected=before[name], got=task.values[name])
        # No schema requires it: only a mock of ours has to show it.
        if self.given is not None and "task.alias" in task.absent and self.caller.control is not None:
            self.caller.fail("alias", "the caller's own id is not shown", self.created, seen, expected=self.given)

    def _steps(self, seen: Seen, task: Sighting) -> None:
        """The state is one that can be reached from the last one; what has ended does not move."""
        before = self.last
        if task.states and before.states and not any(self._reaches(a, b) for a in before.states for b in task.states):
            check = "end" if self.ended else "order"
            expected = sorted({b for a in before.states for b in self.lifecycle.states[a].then})
            words = f"from {' or '.join(before.states)} to {' or '.join(task.states)}"
            self.caller.fail(
                check, f"the state went {words}", *self.seen[-2:], expected=expected, got=list(task.states)
            )
        changed, earlier = task.values.get("task.changed"), before.values.get("task.changed")
        if type(changed) is type(earlier) and changed is not None and changed < earlier:
            self.caller.fail(
                "time", "the last change went back", *self.seen[-2:], expected=f">= {earlier}", got=changed
            )
        if self.ended and task.states == before.states and len(self.history) > 1:
            self._stays(before, task)

    def _stays(self, before: Sighting, task: Sighting) -> None:
        """What has ended does not change any more."""
        if not self._same_files(before, task):
            self.caller.fail("end", "the files have changed", *self.seen[-2:], expected=before.urls, got=task.urls)
        for name in before.values.keys() & task.values.keys() - CONSTANT:
            if before.values[name] != task.values[name]:
                expected, got = before.values[name], task.values[name]
                self.caller.fail(
                    "end", f"{name} has changed after the end", *self.seen[-2:], expected=expected, got=got
                )

    def _reaches(self, before: str, after: str) -> bool:
        """Whether a task may be seen in one state and later in the other."""
        found, waiting = {before}, [before]
        while waiting:
            for name in self.lifecycle.states[waiting.pop()].then:
                if name not in found:
                    found.add(name)
                    waiting.append(name)
        return after in found

    def agree(self, one: Sighting, other: Sighting, seen: Seen) -> None:
        """Two that show the task at one moment say the same of it."""
        known = one.values.keys() & other.values.keys()
        for name in sorted(known):
            if one.values[name] != other.values[name]:
                told = f"{name} is not the same"
                self.caller.fail(
                    "agreement", told, *self.seen[-1:], seen, expected=one.values[name], got=other.values[name]
                )
        words = any(name.startswith("state.") for name in known)
        if not words and one.states and other.states and not set(one.states) & set(other.states):
            told = "the states are not the same"
            self.caller.fail("agreement", told, *self.seen[-1:], seen, expected=one.states, got=other.states)
        if one.files and other.files and not self._same_files(one, other):
            self.caller.fail("agreement", "the files are not the same", seen, expected=one.urls, got=other.urls)

    def _same_files(self, one: Sighting, other: Sighting) -> bool:
        """Whether two show the same files. Addresses may be signed anew for each answer; a mock's are not."""
        return one.urls == other.urls if self.caller.control is not None else len(one.urls) == len(other.urls)

    # After the end

    def lists(self) -> None:
        """A list of this kind of task shows it first, and as the query does."""
        for operation in self.caller.provider.operations.values():
            if operation.role != "list" or operation.page is None:
                continue
            task_words = self.created.operation.task
            scope = self.created.judgement.scope
            if task_words is None or operation.page.kind({"request": {}}) != task_words.kind(scope):
                continue
            seen = self.caller.call(Message(operation, headers=self.headers))
            self.caller.accepted(seen)
            if not seen.tasks or seen.tasks[0].id != self.task.id:
                got = [task.id for task in seen.tasks[:3]]
                self.caller.fail("found", "the newest task is not the list's first", self.created, seen, got=got)
                continue
            self.agree(self.last, seen.tasks[0], seen)

    def result(self) -> None:
        """A success has files at addresses where they can be had; a failure has none."""
        ends = {self.lifecycle.states[name].ends for name in self.last.states}
        if ends == {"success"} and not self.last.urls:
            self.caller.fail("result", "the task has succeeded and shows no file", *self.seen[-1:])
        if ends == {"failure"} and self.last.urls:
            self.caller.fail("result", "the task has failed and shows files", *self.seen[-1:], got=self.last.urls)
        promised = self.created.judgement.result
        if ends == {"success"} and promised is not None and len(self.last.urls) not in (0, promised.count):
            told, got = "there are more or fewer files than were asked for", len(self.last.urls)
            self.caller.fail("result", told, *self.seen[-1:], expected=promised.count, got=got)
        for url in self.last.urls:
            self._had(url)

    def _had(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            self.caller.fail("result", "the file's address is no URL", *self.seen[-1:], got=url)
            return
        if self.caller.control is None:
            return  # an address of the provider's is not ours to load from
        try:
            answer = self.caller.target.fetch(url)
        except Unanswered as error:
            self.caller.fail("result", f"the file cannot be had: {error}", *self.seen[-1:], got=url)
            return
        type_ = answer.headers.get("content-type", "")
        if answer.status != 200 or not type_.startswith(("video/", "image/")) or not answer.body:
            got = f"{answer.status} {type_}, {len(answer.body)} bytes"
            self.caller.fail(
                "result", "the file cannot be had", *self.seen[-1:], expected="a video or picture", got=got
            )

    def price(self) -> None:
        """A reply that shows what the task has cost shows its quote; for a failure nothing."""
        told, quote = self.last.values.get("task.price", ABSENT), self.created.judgement.quote
        if told is ABSENT or quote is None:
            return
        if self.caller.control is None and quote.evidence.get("kind") == "assumed":
            return  # nobody's promise
        failed = any(self.lifecycle.states[name].ends == "failure" for name in self.last.states)
        expected = Decimal(0) if failed else quote.amount
        try:
            same = Decimal(str(told)) == expected
        except InvalidOperation:
            same = False
        if not same:
            self.caller.fail("money", "the price is not the quote's", *self.seen[-1:], expected=str(expected), got=told)


def _patience() -> Iterator[int]:
    waited, pause = 0, POLL_MS
    while waited < PATIENCE_MS:
        yield pause
        waited, pause = waited + pause, min(LONGEST_MS, pause * 3 // 2)
