"""A provider's document in one piece, for tools that open no other file, and openapi-core as the referee over it.

The documents come from the package's own loader (YAML with JSON's scalars only), since a tool's loader would read
`on` as true. Other files are put below `x-documents`, and every `$ref` to them becomes a local one.
"""

from __future__ import annotations

from posixpath import dirname, join, normpath
from typing import Any

from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from contract_tests.providers import specs_of
from contract_tests.target import Reply
from kling_mock.core.documents import escape
from kling_mock.core.provider import Operation
from kling_mock.loading import read_documents


def bundle(name: str) -> dict[str, Any]:
    """The provider's OpenAPI document without the mock's words, as if it were served at /, all `$ref`s local."""
    documents, main = read_documents(specs_of(name), name), f"{name}/openapi.yaml"
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
    """An implementation that is not ours judges replies; a verdict is a list of messages, empty when all is well."""

    def __init__(self, name: str) -> None:
        self._api = OpenAPI.from_dict(bundle(name))

    def reply(self, operation: Operation, reply: Reply) -> list[str]:
        """What is wrong with an operation's reply: an unknown status or content type, a body off its schema."""
        request = MockRequest("http://localhost", operation.method.lower(), operation.path)
        response = MockResponse(reply.body, status_code=reply.status, content_type=reply.headers.get("Content-Type"))
        return [told(error) for error in self._api.unmarshal_response(request, response).errors]


def told(error: Any) -> str:
    """An error of openapi-core in short; its own text repeats the whole body."""
    inner = getattr(error.__cause__, "schema_errors", None) or []
    rows = [f"/{'/'.join(map(str, row.absolute_path))}: {row.validator}: {row.message[:120]}" for row in inner]
    return "; ".join(rows) or f"{type(error).__name__}: {str(error)[:200]}"
