"""JSON replies and problem details (RFC 9457), the one form in which the control API refuses anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from flask import Response
from werkzeug.exceptions import HTTPException

from kling_mock.server.steering import Refused

STATUS = {"missing": 404, "value": 422, "conflict": 409}
SHOWN = 3


class Problem(Exception):
    """A request that is refused; `errors` are (pointer, message) of each wrong value."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        errors: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.errors = tuple(errors)
        self.status, self.headers = status, dict(headers or {})
        self.detail = detail or _summary(self.errors)
        super().__init__(self.detail)

    def response(self) -> Response:
        """The problem as a reply."""
        title = HTTPStatus(self.status).phrase
        body: dict[str, Any] = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}
        if self.errors:
            body["errors"] = [{"pointer": pointer, "message": message} for pointer, message in self.errors]
        return reply(body, self.status, self.headers, "application/problem+json")


def _summary(errors: tuple[tuple[str, str], ...]) -> str:
    shown = "; ".join(f"{pointer}: {message}" if pointer else message for pointer, message in errors[:SHOWN])
    return shown if len(errors) <= SHOWN else f"{shown}; and {len(errors) - SHOWN} more"


def from_refused(error: Refused) -> Problem:
    """What steering refused, as HTTP says it."""
    errors = [(error.pointer, str(error))] if error.pointer else []
    return Problem(STATUS[error.why], "" if errors else str(error), errors)


def from_http(error: HTTPException) -> Response:
    """What Flask or Werkzeug refused (a body that is too long, a range that is not there), as a problem."""
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    return Problem(error.code or 500, error.description or "", headers=headers).response()


def reply(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None, content_type: str = "application/json"
) -> Response:
    """A JSON document as a reply: ASCII, so that no text in the journal is impossible to write; never cached."""
    written = json.dumps(body, ensure_ascii=True, default=_plain)
    return Response(written, status, {"Cache-Control": "no-store", **(headers or {})}, content_type=content_type)


def _plain(value: object) -> str:
    """Amounts stand in the journal as they went over the wire: as text."""
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
