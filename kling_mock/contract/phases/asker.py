"""Who sends the cases of schemathesis as one caller, and holds the answers against the documents.

Its checks of methods, credentials and valid data are replaced by ones that read the provider's own tables. Multipart
operations take part with texts as parts (a picture by its URL): schemathesis cannot make a picture, the examples send
files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import requests
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.core.failures import AcceptedNegativeData, CustomFailure, FailureGroup, ServerError
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.generation.meta import REQUEST_SHAPE_PROBES, CoverageScenario, coverage_scenario
from schemathesis.openapi.checks import UndefinedContentType, UndefinedStatusCode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from kling_mock.contract.caller import Caller, Ended
from kling_mock.contract.messages import Message
from kling_mock.contract.purse import TooDear
from kling_mock.core.calls import images
from kling_mock.core.documents import tokens
from kling_mock.core.expressions import ABSENT
from kling_mock.core.provider import Operation, Provider

AnyCase = Case[Any]
PICTURE = "https://example.com/first.png"
"""URLs are not fetched, so any is a picture."""
TIMEOUT, MOST_LOST = 30.0, 3
"""Seconds without a byte; and requests without an answer after which a probe ends."""
NOT_ASKED, TAKEN = "no credential is asked for", "a credential of nobody is taken"
BEYOND = tuple(f"mock/{stage}." for stage in ("task", "alias"))


class Asker:
    """Sends schemathesis's cases as one caller, and holds the answers against the documents."""

    def __init__(self, caller: Caller) -> None:
        self.caller, self.provider = caller, caller.provider
        self._told: set[tuple[str, str]] = set()
        self._showed: dict[str, dict[str, str]] = {}
        self._left: list[TooDear] = []
        self._lost: list[str] = []
        self._ended = False

    @property
    def lost(self) -> bool:
        """Whether a request got no answer."""
        return self._ended or bool(self._lost)

    def end(self) -> None:
        """Tell of requests without an answer. Raises `TooDear` where nothing at all could be sent."""
        if self._lost:
            self.caller.fail("answered", f"{self._lost[0]}; so {len(self._lost)} times")
        if self._left and not self.caller.notes.exchanges:
            raise self._left[0]

    def ask(self, case: AnyCase) -> Response | None:
        """Send a case and check its answer; None for one without an answer, or that could cost more than may be spent.

        After too many without an answer nothing more is sent. Nothing is raised for it: hypothesis tries again what
        raises, and a target that then answers otherwise would end the run.
        """
        if self._ended or len(self._lost) > MOST_LOST:
            return None
        operation = self._operation(case)
        fitted(operation, case)
        message = self._message(case)
        try:
            self.caller.purse.cover(self.caller.judged(message))
        except TooDear as error:
            self._left.append(error)
            return None
        try:
            response = case.call(base_url=self.caller.target.url, timeout=TIMEOUT)
        except requests.RequestException as error:
            self._lost.append(f"there was no answer: {case.method} {case.path}: {type(error).__name__}")
            return None
        self.caller.noted(operation, message, response.status_code, dict(response.headers), response.content)
        try:
            self._check(case, response)
        except Ended:
            self._ended = True  # the failure is written down
        return response

    def _check(self, case: AnyCase, response: Response) -> None:
        plain = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
        ours: list[Callable[..., None]] = [
            self._unsupported_method,
            self._ignored_auth,
            self._positive,
            self._negative,
        ]
        try:
            case.validate_response(response, checks=[*plain, *ours])
        except FailureGroup as group:
            for error in group.exceptions:
                self.fail(_check_of(error), _in_short(error), case, response)

    def fail(self, check: str, message: str, case: AnyCase, response: Response) -> None:
        """Write down a failure, each kind of one for an operation once."""
        operation = self._operation(case)
        if (operation.id, check + message[:60]) not in self._told:
            self._told.add((operation.id, check + message[:60]))
            got = response.content[:300].decode("utf-8", "replace")
            command = case.as_curl_command() if len(str(case.body)) < 2000 else None
            if command is not None:
                command = self.caller.commands.unfiltered(operation, command, self._showed.get(message))
            self.caller.fail(check, message, operation=operation, got=[response.status_code, got], command=command)

    def _operation(self, case: AnyCase) -> Operation:
        return self.provider.operations[case.operation.definition.raw["operationId"]]

    def _status(self, situation: str) -> int:
        """The status with which the provider answers a situation, by its own table of errors."""
        table = self.provider.errors
        return table.catalogue[table.answering(situation)].status

    # Checks

    def _unsupported_method(self, ctx: CheckContext, response: Response, case: AnyCase) -> None:
        """A wrong method gets the provider's own answer, not always a 405, and Allow lists the path's methods."""
        if coverage_scenario(case) != CoverageScenario.UNSPECIFIED_HTTP_METHOD:
            return
        methods = {row.method for row in self.provider.operations.values() if row.path == case.operation.path}
        allow = (response.headers.get("allow") or [""])[0]
        assert response.status_code == self._status("route.method"), "a wrong method has another status"
        assert not allow or {word.strip() for word in allow.split(",")} == methods, f"Allow is {allow!r}"

    def _ignored_auth(self, ctx: CheckContext, response: Response, case: AnyCase) -> None:
        """What was accepted is refused without a credential, or with one of nobody, in the provider's own way."""
        operation = self._operation(case)
        scheme = next((scheme for way in operation.security for scheme in way), None)
        if scheme is None or response.status_code >= 300 or self.caller.purse.limit is not None:
            return
        if () not in operation.security:
            self._refused(NOT_ASKED, response, {}, {self._status("token.missing")})
        wrong = {scheme.header: f"{scheme.prefix} nobody".strip()}
        known = {self._status(f"token.{why}") for why in ("malformed", "unknown")}
        self._refused(TAKEN, response, wrong, known)

    def _refused(self, otherwise: str, response: Response, shown: dict[str, str], statuses: set[int]) -> None:
        """The same request with another credential gets one of these statuses."""
        if self._again(response, shown) not in statuses:
            self._showed[otherwise] = shown
            # No assert: where pytest rewrites it, its text is another one.
            raise AssertionError(otherwise)

    def _again(self, response: Response, credential: dict[str, str]) -> int:
        """The status of the same request with another credential."""
        request = response.request
        shown = {s.header for row in self.provider.operations.values() for way in row.security for s in way}
        kept = {name: value for name, value in request.headers.items() if name.lower() not in shown}
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        return self.caller.repeated(request.method or "", request.url or "", {**kept, **credential}, body)

    def _positive(self, ctx: CheckContext, response: Response, case: AnyCase) -> None:
        """What fits the document is accepted, unless it asks for what is not there.

        That is the only lenience: an unknown task or parent, an alias taken twice, a text that is no picture and a rule
        that no schema states. A target that names its rules has to name one of these; of any other the judge says it.
        """
        if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code < 400:
            return
        if coverage_scenario(case) in REQUEST_SHAPE_PROBES:
            return
        rules = self._rules(case, response)
        others = [rule for rule in rules if rule not in beyond_schemas(self.provider) and not rule.startswith(BEYOND)]
        assert not others, f"valid data was refused for {', '.join(others)}"
        # What is about one task needs no rule to be refused: the task is made up.
        if not rules and self._operation(case).role not in ("query", "cancel"):
            raise AssertionError("valid data was refused for no reason")  # no assert: see `_refused`

    def _rules(self, case: AnyCase, response: Response) -> list[str]:
        """The rules for which a request was refused: as the target names them, or else as the judge does."""
        told = response.headers.get("x-mock-violations")
        if told:
            rows = json.loads(told[0])
            return [row["rule"] for row in rows if row.get("severity") == "refused"]
        return [row.rule for row in self.caller.judged(self._message(case)).refused]

    def _message(self, case: AnyCase) -> Message:
        """A case as a message of ours."""
        plain = case.body is None or isinstance(case.body, dict | list | str | int | float)
        headers = {"content-type": case.media_type} if case.media_type else {}
        path = {name: str(value) for name, value in (case.path_parameters or {}).items()}
        return Message(
            self._operation(case),
            case.body if plain else ABSENT,
            path=path,
            query=dict(case.query or {}),
            headers=headers,
        )

    def _negative(self, ctx: CheckContext, response: Response, case: AnyCase) -> None:
        """What breaks the document is refused; only a header or parameter that the document does not name is not."""
        data = case.meta.phase.data if case.meta else None
        unnamed = coverage_scenario(case) == CoverageScenario.OBJECT_UNEXPECTED_PROPERTIES
        if not (unnamed and data is not None and data.parameter_location != ParameterLocation.BODY):
            negative_data_rejection(ctx, response, case)


KINDS: tuple[tuple[type[Exception], str], ...] = (
    (ServerError, "answered"),
    (UndefinedStatusCode, "status"),
    (UndefinedContentType, "content-type"),
    (AcceptedNegativeData, "refused"),
)


CUSTOM = re.compile(r"Custom check failed: `\w+`\s*")


def _in_short(error: Exception) -> str:
    """A failure of schemathesis in one line: what, and the first of why."""
    title = "" if isinstance(error, CustomFailure) else getattr(error, "title", "")
    rest = " ".join(CUSTOM.sub("", str(error)).removeprefix(title).split())
    return f"{title}: {rest[:300]}" if title and rest else title or rest[:300]


def _check_of(error: Exception) -> str:
    """Which of our checks has failed."""
    for kind, check in KINDS:
        if isinstance(error, kind):
            return check
    text = str(error)
    for words, check in (
        ("credential", "credential"),
        ("method", "method"),
        ("Allow", "method"),
        ("valid data", "accepted"),
    ):
        if words in text:
            return check
    return "schema"


def fitted(operation: Operation, case: AnyCase) -> None:
    """Put pictures where the operation wants them: no schema can say what one is.

    A form has no null; it would be sent as the text "null", which is another value. It is left out instead.
    """
    body = case.body
    if isinstance(body, dict) and case.media_type != "application/json":
        body = {key: value for key, value in body.items() if value is not None}
    for _, pointer, _ in list(images(operation, body)):
        body = replaced(body, tokens(pointer))
    if body is not case.body:
        case.body = body


def replaced(node: Any, path: list[str]) -> Any:
    """The document with a picture at the path."""
    if not path:
        return PICTURE
    if isinstance(node, list):
        return [replaced(item, path[1:]) if str(index) == path[0] else item for index, item in enumerate(node)]
    return {**node, path[0]: replaced(node[path[0]], path[1:])}


def beyond_schemas(provider: Provider) -> frozenset[str]:
    """The rules that no request schema can state: over images, over the read document, and the capability table."""
    rules = {row.rule.id for row in provider.measured} | {row.rule.id for row in provider.judged}
    return frozenset(rules) | frozenset(provider.capabilities.features if provider.capabilities else ())
