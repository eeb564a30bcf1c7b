"""openapi-core, an implementation that is not ours, as the referee of a target's replies.

It reads a provider's document in one piece: the documents come from the package's own loader (YAML with JSON's scalars
only), other files are put below `x-documents`, and every `$ref` to them becomes a local one.
"""

from __future__ import annotations

from posixpath import dirname, join, normpath
from typing import Any, NamedTuple

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.target import Answer
from kling_mock.core.documents import Place, escape, pointer
from kling_mock.core.provider import Operation


class Fault(NamedTuple):
    """What is wrong with a reply: the check that finds it, the place in the body, and what it is."""

    check: str
    pointer: str | None
    message: str


def bundle(agreement: Agreement) -> dict[str, Any]:
    """The provider's OpenAPI document without the mock's words, as if it were served at /, all `$ref`s local."""
    documents, main = agreement.documents, agreement.root.file
    foreign: dict[str, Any] = {}

    def localized(node: Any, file: str) -> Any:
        if isinstance(node, list):
            return [localized(item, file) for item in node]
        if not isinstance(node, dict):
            return node
        kept = {key: localized(item, file) for key, item in node.items() if not key.startswith("x-mock-")}
        if isinstance(node.get("$ref"), str):
            kept["$ref"] = local(node["$ref"], file)
        return kept

    def local(reference: str, file: str) -> str:
        path, _, pointer = reference.partition("#")
        target = normpath(join(dirname(file), path)) if path else file
        if target == main:
            return f"#{pointer}"
        if target not in foreign:
            foreign[target] = None  # documents refer to each other in circles
            foreign[target] = localized(documents[target], target)
        return f"#/x-documents/{escape(target)}{pointer}"

    return {**localized(documents[main], main), "servers": [{"url": "/"}], "x-documents": foreign}


class Referee:
    """Judges the replies of one provider's operations; a verdict is a list of faults, empty when all is well."""

    def __init__(self, agreement: Agreement) -> None:
        from openapi_core import OpenAPI
        from openapi_core.validation.request.validators import V31RequestBodyValidator

        self._agreement = agreement
        self._document = bundle(agreement)
        self._main = agreement.root.file
        self._api = OpenAPI.from_dict(self._document)
        self._bodies = V31RequestBodyValidator(self._api.spec)

    def request(self, operation: Operation, body: bytes) -> list[Fault]:
        """What is wrong with a JSON body of an operation; its credential and parameters are left aside.

        Of a whole request without a credential openapi-core would say only that, and never look at the body.
        """
        from openapi_core.testing import MockRequest

        method, type_ = operation.method.lower(), "application/json"
        request = MockRequest("http://localhost", method, operation.path, data=body, content_type=type_)
        return [fault for error in self._bodies.iter_errors(request) for fault in _faults(error)]

    def reply(self, operation: Operation, answer: Answer) -> list[Fault]:
        """What is wrong with an operation's reply: an unknown status or content type, a body off its schema."""
        from openapi_core.testing import MockRequest, MockResponse

        known = self._agreement.place(operation).get("responses").node
        if answer.status < 400 and not {str(answer.status), f"{answer.status // 100}XX"} & known.keys():
            # What is documented as "default" are errors.
            return [Fault("status", None, f"a success of status {answer.status} is not documented")]
        request = MockRequest("http://localhost", operation.method.lower(), operation.path)
        type_ = answer.headers.get("content-type", "")
        response = MockResponse(answer.body, status_code=answer.status, content_type=type_)
        try:
            errors = self._api.unmarshal_response(request, response).errors
            return [fault for error in errors for fault in _faults(error)]
        except (UnicodeDecodeError, RecursionError) as error:
            return [Fault("readable", None, f"{type(error).__name__}: {str(error)[:200]}")]

    def document(self, schema: Place, document: Any) -> list[Fault]:
        """What is wrong with a document that no operation answers, a webhook's body, by the schema at a place."""
        from jsonschema_rs import validator_for

        below = "" if schema.file == self._main else f"/x-documents/{escape(schema.file)}"
        validator = validator_for({**self._document, "$ref": f"#{below}{schema.at}"})
        return [
            Fault("webhook", pointer(row.instance_path), row.message[:120]) for row in validator.iter_errors(document)
        ]


def _faults(error: Any) -> list[Fault]:
    """An error of openapi-core in short; its own text repeats the whole body."""
    name = type(error.__cause__ or error).__name__ + type(error).__name__
    inner = getattr(error.__cause__, "schema_errors", None) or []
    rows = [
        Fault(
            "schema", "".join(f"/{escape(part)}" for part in row.absolute_path), f"{row.validator}: {row.message[:120]}"
        )
        for row in inner
    ]
    if rows:
        return rows
    other = "MediaType" in name and "Deserialize" not in name
    check = "status" if "ResponseNotFound" in name else "content-type" if other else "schema"
    return [Fault(check, None, f"{type(error).__name__}: {str(error.__cause__ or error)[:200]}")]
