"""schemathesis asks everything that the document allows and forbids, and chains calls by the document's links.

Every run sends the same requests: the mock's seed and clock are fixed, and so are Hypothesis's choices.

Multipart operations take part like the others, with the parts as texts (a picture by its URL). schemathesis cannot make
a picture, so uploaded files are the part of the fixtures (test_examples, test_lifecycle).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.generation.meta import REQUEST_SHAPE_PROBES, CoverageScenario, coverage_scenario
from schemathesis.generation.stateful.state_machine import StepInput, StepOutput
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from contract_tests.bundle import bundle
from contract_tests.providers import PROVIDERS
from contract_tests.target import Target, first_scheme, rules_beyond_schemas
from kling_mock.core.calls import images
from kling_mock.core.documents import tokens
from kling_mock.core.provider import Operation

PICTURE = "https://example.com/first.png"  # URLs are not fetched, so any is a picture
CONFIG = {
    "generation": {"deterministic": True, "database": "none", "allow-x00": False},
    "phases": {
        "coverage": {"enabled": True, "generate-duplicate-query-parameters": False},
        # By default links are guessed from replies as well, and a run then passes without a single create.
        "stateful": {"max-steps": 4, "inference": {"algorithms": []}},
    },
}
STEADY = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


def surface(target: Target) -> Any:
    """The provider's document as schemathesis reads it, with the target's application and credentials."""
    config = schemathesis.Config.from_dict(CONFIG)
    found = schemathesis.openapi.from_dict(bundle(target.provider.name), config=config)
    found.app = target.app

    @found.auth()  # type: ignore[misc]
    class Credential:
        """The account's credential; the mock's clock stands still, so a token stays valid."""

        def get(self, case: Case, context: Any) -> dict[str, str]:
            return target.credential(operation_of(target, case))

        def set(self, case: Case, data: dict[str, str], context: Any) -> None:
            case.headers.update(data)

    return found


def fitted(target: Target, case: Case) -> Case:
    """The case with pictures for the random texts where the operation wants pictures: no schema can say what one is.

    A form has no null; it would be sent as the text "null", which is another value. It is left out instead.
    """
    body = case.body
    if isinstance(body, dict) and case.media_type != "application/json":
        body = {key: value for key, value in body.items() if value is not None}
    for _, pointer, _ in list(images(operation_of(target, case), body)):
        body = replaced(body, tokens(pointer))
    if body is not case.body:
        case.body = body
    return case


def replaced(node: Any, path: list[str]) -> Any:
    """The document with a picture at the path."""
    if not path:
        return PICTURE
    if isinstance(node, list):
        return [replaced(item, path[1:]) if str(index) == path[0] else item for index, item in enumerate(node)]
    return {**node, path[0]: replaced(node[path[0]], path[1:])}


def operation_of(target: Target, case: Case) -> Operation:
    """The compiled operation of a case."""
    return target.provider.operations[case.operation.definition.raw["operationId"]]


def refused(response: Response) -> list[str]:
    """The rules for which the target refused a request, as its header tells them."""
    rows = json.loads((response.headers.get("x-mock-violations") or ["[]"])[0])
    return [row["rule"] for row in rows if row.get("severity") == "refused"]


class Judge:
    """schemathesis's checks, and ours where the providers differ from its ideas of HTTP."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def judge(self, case: Case, response: Response) -> None:
        """Run the checks on one exchange."""
        plain = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
        ours = [self.unsupported_method, self.ignored_auth, self.positive_data_acceptance, self.negative_data_rejection]
        case.validate_response(response, checks=[*plain, *ours])

    def unsupported_method(self, ctx: CheckContext, response: Response, case: Case) -> None:
        """A wrong method gets the provider's own answer, not always a 405, and Allow lists the path's methods."""
        if coverage_scenario(case) != CoverageScenario.UNSPECIFIED_HTTP_METHOD:
            return
        path = case.operation.path
        methods = {row.method for row in self.target.provider.operations.values() if row.path == path}
        allow = (response.headers.get("allow") or [""])[0]
        assert response.status_code == self.target.status_of("route.method")
        assert {word.strip() for word in allow.split(",")} == methods

    def ignored_auth(self, ctx: CheckContext, response: Response, case: Case) -> None:
        """What was accepted is refused without a credential, or with one of nobody, in the provider's own way."""
        operation = operation_of(self.target, case)
        scheme = first_scheme(operation)
        if scheme is None or response.status_code >= 300:
            return
        if () not in operation.security:
            assert self.again(response, {}) == self.target.status_of("token.missing")
        wrong = {scheme.header: f"{scheme.prefix} nobody".strip()}
        assert self.again(response, wrong) in {
            self.target.status_of(f"token.{why}") for why in ("malformed", "unknown")
        }

    def again(self, response: Response, credential: dict[str, str]) -> int:
        """The status of the same request with another credential."""
        request, headers = response.request, dict(response.request.headers)
        known = {scheme.header for row in self.target.provider.operations.values() if (scheme := first_scheme(row))}
        kept = {name: value for name, value in headers.items() if name.lower() not in known}
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        path, _, query = request.path_url.partition("?")
        return self.target.send(request.method or "", path, {**kept, **credential}, body, query).status

    def positive_data_acceptance(self, ctx: CheckContext, response: Response, case: Case) -> None:
        """What fits the document is accepted, unless it asks for what is not there.

        That is the only lenience: an unknown task or parent, an alias taken twice and a text that is no picture cannot
        be stated in a schema. The target has to say that it was one of these.
        """
        if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code < 400:
            return
        if coverage_scenario(case) in REQUEST_SHAPE_PROBES:
            return
        beyond = rules_beyond_schemas(self.target.provider)
        others = [rule for rule in refused(response) if rule not in beyond and not rule.startswith(BEYOND)]
        assert refused(response), "a refusal without a reason"
        assert not others, f"valid data was refused for {others}"

    def negative_data_rejection(self, ctx: CheckContext, response: Response, case: Case) -> None:
        """What breaks the document is refused; only a header or parameter that the document does not name is not."""
        data = case.meta.phase.data if case.meta else None
        unnamed = coverage_scenario(case) == CoverageScenario.OBJECT_UNEXPECTED_PROPERTIES
        if not (unnamed and data is not None and data.parameter_location != ParameterLocation.BODY):
            negative_data_rejection(ctx, response, case)


BEYOND = ("mock/task.", "mock/alias.")
TARGETS = {name: Target(provider) for name, provider in PROVIDERS.items()}
SURFACES = {name: surface(target) for name, target in TARGETS.items()}


def reset(target: Target) -> None:
    """Let the target forget everything, and count its requests anew."""
    target.control("POST", "/_mock/reset", {})


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Every test starts with targets that know nothing, so that the order of tests does not matter."""
    for target in TARGETS.values():
        reset(target)


def fuzzed(name: str) -> Any:
    """The test of one provider; schemathesis makes one of it for each operation."""

    @SURFACES[name].parametrize()
    @STEADY
    def test(case: Case) -> None:
        """Valid, invalid and boundary requests of an operation get the answers that the document promises."""
        Judge(TARGETS[name]).judge(case, fitted(TARGETS[name], case).call())

    return test


for provider_name in PROVIDERS:
    globals()[f"test_every_reply_keeps_to_the_document_of_{provider_name}"] = fuzzed(provider_name)


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


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_a_created_task_is_found_by_its_links(name: str) -> None:
    """Calls chained by the document's links: creates happen, links are followed, and what was created is found."""
    target = TARGETS[name]
    judge, posts, followed = Judge(target), set(), set()

    class Chain(SURFACES[name].as_state_machine()):  # type: ignore[misc]
        """Creates and the queries that their replies link to."""

        def setup(self) -> None:
            reset(target)

        def before_call(self, case: Case) -> None:
            fitted(target, case)

        def step(self, input: StepInput) -> StepOutput:
            output: StepOutput = super().step(input)
            if output.case.method == "POST" and output.response.status_code < 300:
                posts.add(output.case.path)
            if whole(input) and input.case.meta.generation.mode.is_positive:
                followed.add(output.case.operation.label)
                assert output.response.status_code < 300, f"a created task is lost: {output.response.text[:300]}"
            return output

        def validate_response(self, response: Response, case: Case, **_: Any) -> None:
            judge.judge(case, response)

    Chain.run(settings=settings(STEADY, stateful_step_count=4, max_examples=25))
    operations = target.provider.operations.values()
    assert {row.path for row in operations if row.role == "create"} & posts
    assert followed
