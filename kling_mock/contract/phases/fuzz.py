"""The phase of fuzzing: schemathesis asks what a document allows and forbids, and chains calls by its links.

Hypothesis's choices are fixed, so two runs send the same requests as far as the target answers the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.generation.stateful.state_machine import StepInput, StepOutput

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.caller import Caller
from kling_mock.contract.phases.asker import AnyCase, Asker
from kling_mock.contract.probes import Probe
from kling_mock.contract.referee import bundle

CONFIG = {
    "generation": {"deterministic": True, "database": "none", "allow-x00": False},
    "phases": {
        "coverage": {
            "enabled": True,
            "generate-duplicate-query-parameters": False,
            # Others are answered by what stands before an application, and a POST could make something.
            "unexpected-methods": ["DELETE", "PATCH", "PUT"],
        },
        # By default links are guessed from replies as well, and a run then passes without a single create.
        "stateful": {"max-steps": 4, "inference": {"algorithms": []}},
    },
}
STEADY = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
MODES = [HypothesisTestMode.EXAMPLES, HypothesisTestMode.COVERAGE, HypothesisTestMode.FUZZING]


def fuzz(agreement: Agreement, max_examples: int) -> Iterator[Probe]:
    """A probe for each operation, and one that follows links."""
    surface = Surface(agreement, max_examples)
    for label, operation in surface.operations.items():
        of = agreement.provider.operations[label]
        costs = of.role == "create"
        run = partial(surface.one, operation=operation)
        yield Probe("fuzz", label, run, only_mock=costs, operation=label)
    yield Probe("fuzz", "linked calls", surface.linked, only_mock=True)


class Surface:
    """A provider's document as schemathesis reads it."""

    def __init__(self, agreement: Agreement, max_examples: int) -> None:
        self.agreement, self.max_examples = agreement, max_examples
        config = schemathesis.Config.from_dict(CONFIG)
        self.schema = schemathesis.openapi.from_dict(bundle(agreement), config=config)
        self._caller: Caller | None = None
        surface = self

        @self.schema.auth(refresh_interval=None)
        class Credential:
            """The credential of who calls now."""

            def get(self, case: AnyCase, context: Any) -> dict[str, str]:
                return surface.credential(case)

            def set(self, case: AnyCase, data: dict[str, str], context: Any) -> None:
                case.headers.update(data)

    def credential(self, case: AnyCase) -> dict[str, str]:
        """The header that proves who calls a case's operation."""
        assert self._caller is not None
        operation = self.agreement.provider.operations[case.operation.definition.raw["operationId"]]
        return dict(self._caller.credential(operation))

    @cached_property
    def operations(self) -> dict[str, Any]:
        """schemathesis's operations by the ids of ours."""
        found = (result.ok() for result in self.schema.get_all_operations() if isinstance(result, Ok))
        return {row.definition.raw["operationId"]: row for row in found}

    def one(self, caller: Caller, operation: Any) -> None:
        """Valid, invalid and boundary requests of an operation get the answers that the document promises."""
        self._caller, asker = caller, Asker(caller)

        def ask(case: AnyCase) -> None:
            asker.ask(case)

        config = HypothesisTestConfig(
            project=self.schema.config,
            modes=MODES,
            settings=settings(STEADY, max_examples=self.max_examples),
        )
        create_test(operation=operation, test_func=ask, config=config)()
        asker.end()

    def linked(self, caller: Caller) -> None:
        """Calls chained by the document's links: creates happen, links are followed, and what was created is found."""
        self._caller = caller
        asker, posts, followed = Asker(caller), set[str](), set[str]()

        class Chain(self.schema.as_state_machine()):  # type: ignore[misc]
            """Creates and the queries that their replies link to."""

            def setup(self) -> None:
                # Hypothesis repeats what it drew: the same calls must find the same tasks.
                caller.forget()

            def step(self, input: StepInput) -> StepOutput | None:
                case = input.case
                response = asker.ask(case)
                if response is None:
                    return None
                self.after_call(response, case)
                if case.method == "POST" and response.status_code < 300:
                    posts.add(case.path)
                if whole(input) and case.meta and case.meta.generation.mode.is_positive:
                    followed.add(case.operation.label)
                    if response.status_code >= 300:
                        asker.fail("found", f"a created task is lost: {case.operation.label}", case, response)
                return StepOutput(response, case)

        Chain.run(settings=settings(STEADY, stateful_step_count=4, max_examples=2 * self.max_examples + 1))
        asker.end()
        creates = {row.path for row in caller.provider.operations.values() if row.role == "create"}
        if not asker.lost and (not creates & posts or not followed):
            caller.fail("found", "no create was followed by a link", expected=sorted(creates), got=sorted(followed))


def whole(step: StepInput) -> bool:
    """Whether a step takes from a link all that the link gives; schemathesis leaves out parts of it now and then."""
    if step.transition is None:
        return False
    given = {name for members in step.transition.parameters.values() for name in members}
    taken = {name for _, name in step.applied_parameters}
    body = step.transition.request_body is None or any(
        where == ParameterLocation.BODY for where, _ in step.applied_parameters
    )
    return given <= taken and body
