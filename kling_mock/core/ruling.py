"""Which scenario rules a call, what it does to the call, and under which names the call is counted.

First what the request asks for, then a user's rule, the task's own scenario, the account's. Any call but a create is
ruled by the first of them that says something of such calls; a list by those of the tasks on it, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from kling_mock.core.judging import Judgement, counter_of, standing
from kling_mock.core.model import Count, Counter, Effect, Found, Task, counter_in_lists
from kling_mock.core.scenarios import Answer, Scenario


class Ruling:
    """The scenario that rules one call and its reference, and the `answer` that it has for this call, if any.

    It is `asked` for by the request, a user's rule or a task, or else the account's own.

    `task` is the one task that the call is about, if it exists, is of the right kind and visible. `seen_by` is the
    scenario by which a list shows one of its tasks otherwise than it is.
    """

    def __init__(self, judgement: Judgement, found: Found, entropy: str) -> None:
        self._judgement, self._found, self._entropy = judgement, found, entropy
        self._scenarios = judgement.call.provider.scenarios
        self._role = judgement.call.operation.role if judgement.call.operation else ""
        self.task = self._task()
        self.scenario: Scenario | None = None
        self.reference: str | None = None
        self.asked = False
        self._counter = ""
        self.seen_by: str | None = None
        if self._role and not judgement.refused:  # a call that is refused anyway has no scenario
            self._choose()
        self.answer = self._answer(self.scenario, self._counter)

    def _task(self) -> Task | None:
        operation = self._judgement.call.operation
        if operation is None or operation.task is None or operation.task.find is None:
            return None
        task = next(iter(self._found.tasks.values()), None) or self._found.alias
        return task if task and task.kind == operation.task.kind(self._judgement.scope) else None

    def _choose(self) -> None:
        for reference, counter, asked in self._candidates():
            scenario = self._scenarios.recall(reference)
            if scenario and (self._role == "create" or scenario.answers_to(self._role)):
                self.scenario, self.reference, self._counter, self.asked = scenario, reference, counter, asked
                return

    def _candidates(self) -> Iterator[tuple[str, str, bool]]:
        """What may rule this call, the name under which it is then counted, and whether somebody asked for it."""
        judgement, account = self._judgement, self._judgement.call.account
        for reference in (judgement.scenario, self._picked()):
            if reference:
                yield reference, counter_of(judgement, reference), True
        if self.task and self.task.scenario:
            yield self.task.scenario, counter_of(judgement, None), True
        for task in self._found.page:
            # What a task has from its account is the account's; and what lets one be seen otherwise is not the list's.
            if task.scenario and task.asked and (own := self._own(task)) and not own.sees:
                yield task.scenario, counter_in_lists(task.id), True
        if account and account.scenario:
            yield account.scenario, counter_of(judgement, standing(judgement)), False

    def _picked(self) -> str | None:
        """The scenario of the first of the user's rules whose turn it is."""
        for pick in self._judgement.call.picks:
            before = self._found.counters.get(pick.counter, Counter()).count
            if pick.chosen(before, self._entropy):
                return pick.scenario
        return None

    def _answer(self, scenario: Scenario | None, counter: str) -> Answer | None:
        found = self._found
        return scenario.answer(self._role, found.counters.get(counter, Counter()), found.now) if scenario else None

    def _own(self, task: Task) -> Answer | None:
        """What the scenario of a task does to a list with it."""
        return self._answer(self._scenarios.recall(task.scenario), counter_in_lists(task.id))

    def listing(self, task: Task) -> Answer | None:
        """How a list lets one of its tasks be seen: as the call asks, the task's own scenario has it, the account's."""
        own, by = self._own(task), task.scenario
        of_call = self.reference in (self._judgement.scenario, self._picked())
        if self.answer and self.answer.sees and (of_call or not (own and own.sees)):
            own, by = self.answer, self.reference
        if own and own.sees:
            self.seen_by = self.seen_by or by
        return own

    def counted(self) -> tuple[Effect, ...]:
        """Count the call, where a scenario's answers or a user's rules depend on how often it was made."""
        names = [pick.counter for pick in self._judgement.call.picks]
        if self.scenario and self.scenario.limited(self._role):
            names.append(self._counter)
        for task in self._found.page:
            scenario = self._scenarios.recall(task.scenario)
            if scenario and scenario.limited("list"):
                names.append(counter_in_lists(task.id))
        return tuple(Count(self._found.owner, name, self._found.now) for name in dict.fromkeys(names))
