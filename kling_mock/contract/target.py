"""What is under test: something with an address that answers HTTP requests. Nothing here knows whose address it is."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from kling_mock.core.expressions import ABSENT
from kling_mock.core.model import Request

TIMEOUT = 30.0
"""Seconds without a byte after which a target has not answered."""


class Unanswered(OSError):
    """A request to which no answer came: refused, reset, cut or timed out."""


class Answer(Struct, frozen=True):
    """What came back; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The decoded JSON body; ABSENT where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return ABSENT

    @property
    def shown(self) -> Any:
        """The body as it may be shown: JSON, or the beginning of a text."""
        document = self.document
        return self.body[:300].decode("utf-8", "replace") if document is ABSENT else document


class Target(Protocol):
    """Something that answers: `url` takes the place of the provider's own address, without a slash at its end."""

    url: str

    def send(self, request: Request) -> Answer:
        """Send a request as it stands, its path below `url`. Raises `Unanswered`."""

    def fetch(self, url: str) -> Answer:
        """Get an address as it stands, without credentials. Raises `Unanswered`."""

    def wait(self, ms: int) -> None:
        """Let time pass."""


class Http:
    """A target that is reached over HTTP; redirects are answers like any other."""

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        import requests

        self.url, self.timeout = url.rstrip("/"), timeout
        self._session = requests.Session()

    def send(self, request: Request) -> Answer:
        """Send a request; the path and query go out byte for byte."""
        query = f"?{request.query}" if request.query else ""
        return self._sent(request.method, f"{self.url}{request.path}{query}", request.headers, request.body)

    def fetch(self, url: str) -> Answer:
        """Get an address."""
        return self._sent("GET", url, {}, b"")

    def wait(self, ms: int) -> None:
        """Sleep: a target without a clock of ours takes its time."""
        time.sleep(ms / 1000)

    def _sent(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        import requests

        try:
            prepared = self._session.prepare_request(requests.Request(method, url, dict(headers), data=body or None))
            prepared.url = url  # as it is: percent-encoding is part of what is tested
            settings = self._session.merge_environment_settings(url, {}, False, None, None)
            reply = self._session.send(prepared, timeout=self.timeout, allow_redirects=False, **settings)
        except requests.RequestException as error:
            raise Unanswered(f"{method} {_path(url)}: {type(error).__name__}") from None
        return Answer(reply.status_code, {name.lower(): value for name, value in reply.headers.items()}, reply.content)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _path(url: str) -> str:
    """The path of an address, which need not be a good one."""
    return "/" + url.partition("://")[2].partition("/")[2].partition("?")[0]
