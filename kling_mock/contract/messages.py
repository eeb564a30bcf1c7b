"""Messages: requests before they are bytes, and those that the fixtures of a provider show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct, field
from msgspec.structs import replace

from kling_mock.contract.agreement import Agreement
from kling_mock.core.calls import Call
from kling_mock.core.documents import pointer
from kling_mock.core.expressions import ABSENT, Absent
from kling_mock.core.judging import Judgement, judge
from kling_mock.core.model import Request, Upload
from kling_mock.core.provider import Operation, Provider
from kling_mock.payloads import measured

BOUNDARY = "kling-mock-contract-boundary"


class Message(Struct, frozen=True):
    """A request before it is bytes: a document (JSON, or the fields of a form) for an operation, and its parameters."""

    operation: Operation
    document: Any = ABSENT
    files: Mapping[str, bytes] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None

    @property
    def media_type(self) -> str:
        """The media type of the body."""
        told = self.headers.get("content-type", "").partition(";")[0]
        form = next((name for name in self.operation.bodies if name.startswith("multipart/")), None)
        return told or (form if self.files and form else next(iter(self.operation.bodies), "application/json"))

    def request(self) -> Request:
        """The request as it goes out, without a credential; `target` replaces its path and query as they stand."""
        body, told = self._body()
        head = self.head()
        named = {name: value for name, value in head.headers.items() if name != "content-type" or body}
        return replace(head, headers={**named, **told}, body=body)

    def head(self) -> Request:
        """The request without its body: all that a judgement needs beside the document."""
        path = self.operation.path
        for name, value in self.path.items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        query = urlencode(self.query)
        if self.target is not None:
            path, _, query = self.target.partition("?")
        return Request(self.operation.method, path, query, {"content-type": self.media_type, **self.headers})

    def _body(self) -> tuple[bytes, dict[str, str]]:
        if self.document is ABSENT and not self.files:
            return b"", {}
        if not self.media_type.startswith("multipart/") or not isinstance(self.document, dict | Absent):
            body = json.dumps(self.document, ensure_ascii=False).encode("utf-8", "surrogatepass")
            return body, {"content-type": self.media_type}
        from urllib3.filepost import encode_multipart_formdata

        fields = self.document if isinstance(self.document, dict) else {}
        texts = {name: str(value) for name, value in fields.items()}
        parts = {name: (name, content, "application/octet-stream") for name, content in self.files.items()}
        body, type_ = encode_multipart_formdata({**texts, **parts}, BOUNDARY)
        return body, {"content-type": type_}


def judged(provider: Provider, message: Message) -> Judgement:
    """What the documents say of a message."""
    document, uploads = message.document, {}
    if message.files:
        document = {**(document if isinstance(document, dict) else {}), **dict.fromkeys(message.files, "file")}
        uploads = {pointer([name]): Upload(name, "", content) for name, content in message.files.items()}
    head, operation = message.head(), message.operation
    call = Call(provider, head, operation, message.path, document=document, uploads=uploads)
    return judge(call, measured(call))


def example_messages(agreement: Agreement) -> Iterator[tuple[str, Message]]:
    """The requests of the fixtures, by file name."""
    for name, row in agreement.examples.items():
        yield name, _example(agreement.provider, row, agreement.fixtures)


def _target(operation: Operation, path: str) -> str:
    """A path as it stands, but for a slash at its end: that some take it is no promise of the documents."""
    return operation.path if path.rstrip("/") == operation.path else path


def _example(provider: Provider, row: Mapping[str, Any], folder: Path) -> Message:
    operation, asked = provider.operations[row["operation"]], row["request"]
    found = provider.routes.find(asked["path"].partition("?")[0])
    body = asked.get("body", {})
    document = json.loads((folder / body["file"]).read_bytes()) if "file" in body else body.get("form", ABSENT)
    return Message(
        operation,
        document,
        files={name: (folder / file).read_bytes() for name, file in body.get("files", {}).items()},
        path=found[1] if found else {},
        headers={name.lower(): value for name, value in asked.get("headers", {}).items()},
        target=_target(operation, asked["path"]),
    )
