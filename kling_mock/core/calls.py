"""A call: a request on its way to be judged, and the ways to look at it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct, field, msgpack

from kling_mock.core.documents import pointer
from kling_mock.core.entropy import fraction
from kling_mock.core.expressions import ABSENT
from kling_mock.core.model import Account, Request, Upload, Violation
from kling_mock.core.provider import Body, Operation, Provider

PREFERENCE = re.compile(r"\s*([A-Za-z]+)\s*=\s*(?:([A-Za-z0-9_.-]+)|\"([A-Za-z0-9_.:= -]+)\")\s*")
LONG = 1024
PACKED = msgpack.Encoder(order="deterministic")


class Pick(Struct, frozen=True):
    """A user's rule that fits a call but for its turn: the `nth` matching one, each `every`th, or by `probability`."""

    name: str
    scenario: str
    nth: int | None = None
    every: int | None = None
    probability: float | None = None

    @property
    def counter(self) -> str:
        """The name under which matching calls are counted."""
        return f"rule/{self.name}"

    def chosen(self, before: int, entropy: str) -> bool:
        """Whether it is this call's turn, after so many matching ones."""
        if self.nth is not None and before + 1 != self.nth:
            return False
        if self.every is not None and (before + 1) % self.every:
            return False
        return self.probability is None or fraction(entropy, self.counter) < self.probability


class Call(Struct, frozen=True):
    """A request on its way to be judged: routed, its caller identified, its body decoded, as far as each went well.

    `base` is the URL of the provider; `preferences` are the server's and the account's, those of the
    request's Prefer header go before them. `picks` are the user's rules that may give it a scenario.
    """

    provider: Provider
    request: Request
    operation: Operation | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    preferences: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    anonymous: bool = False
    document: Any = ABSENT
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    picks: tuple[Pick, ...] = ()


def preferences(headers: Mapping[str, str]) -> dict[str, str]:
    """The `name=value` preferences of a Prefer header (RFC 7240: of names, the case does not matter)."""
    if "prefer" not in headers:
        return {}
    parts = (PREFERENCE.fullmatch(part) for part in re.split("[,;]", headers["prefer"]))
    return {match[1].lower(): (match[2] or match[3]).strip() for match in parts if match}


def images(operation: Operation, document: Any) -> Iterator[tuple[str, str, str]]:
    """Every image in a document as (role, pointer, text)."""
    for role, path in operation.images.items():
        if isinstance(document, dict) and path[0] not in document:
            continue
        for at, value in _spread(document, path, ()):
            if isinstance(value, str) and value:
                yield role, pointer(at), value


def _spread(
    value: Any, path: tuple[str, ...], at: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if not path:
        yield at, value
    elif path[0] == "*" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _spread(item, path[1:], (*at, index))
    elif isinstance(value, dict) and path[0] in value:
        yield from _spread(value[path[0]], path[1:], (*at, path[0]))


def spoken(call: Call) -> dict[str, Any]:
    """The request as expressions speak of it."""
    request = call.request
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    return {
        "method": request.method,
        "url": f"{request.scheme}://{request.host}{request.path}",
        "base": call.base,
        "target": request.path,
        "path": dict(call.path),
        "query": query,
        "header": request.headers,
        "body": call.document,
    }


def body_for(operation: Operation, content_type: str) -> Body | None:
    """The body that takes this content type; a request without one is taken as JSON, if JSON is taken at all."""
    media_type = content_type.partition(";")[0].strip().lower() or "application/json"
    return operation.bodies.get(media_type)


def not_taken(operation: Operation, content_type: str) -> str:
    """What is wrong with a content type that an operation does not take."""
    accepted = ", ".join(operation.bodies)
    return f"the content type should be {accepted}; is {content_type[:60] or 'missing'}"


def fingerprint(call: Call, document: Any) -> str:
    """A digest of what a create asks for: equal for two requests for the same job.

    The caller's own id and the address to call back do not count: a client that retries may change them.
    """
    assert call.operation is not None
    for path in call.operation.incidental:
        document = _without(document, path)
    digest = sha256(call.operation.id.encode())
    digest.update(_written(document))
    for name in sorted(call.uploads):
        digest.update(call.uploads[name].content)
    return digest.hexdigest()[:32]


def _written(document: Any) -> bytes:
    """A document as bytes, its keys in order; what cannot be packed (half a surrogate pair, 2 ** 64) is spelt out."""
    try:
        return PACKED.encode(document)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return repr(_sorted(document)).encode("utf-8", "surrogatepass")


def _without(document: Any, path: tuple[str, ...]) -> Any:
    """A document without what stands at a path of keys."""
    if not isinstance(document, dict) or path[0] not in document:
        return document
    rest = {} if len(path) == 1 else {path[0]: _without(document[path[0]], path[1:])}
    return {key: value for key, value in document.items() if key != path[0]} | rest


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _sorted(item)) for key, item in value.items())
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def lightened(value: Any) -> Any:
    """A document without its long texts (images as base64), which a task need not remember."""
    if isinstance(value, dict):
        return {lightened(key): lightened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [lightened(item) for item in value]
    long = isinstance(value, str) and len(value) > LONG and " " not in value[:LONG]
    return f"<{len(value)} characters>" if long else value
