"""The control API of a mock under test: its clock is moved and its scenarios are asked for, as anybody could do it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from msgspec import Struct

from kling_mock.contract.target import Answer, Http, Target, Unanswered
from kling_mock.core.model import Request


class Refused(RuntimeError):
    """The control API did not do what was asked."""


class Account(Struct, frozen=True):
    """An account that the control API made: its id and its credentials by name."""

    id: str
    credentials: Mapping[str, str]


class Control:
    """The control API at the origin of a target's address."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target: Target = Http(urlunsplit((parts.scheme, parts.netloc, "", "", "")))

    @classmethod
    def find(cls, url: str) -> Control | None:
        """The control API, if something that says it is a mock answers at `/_mock/health`."""
        control = cls(url)
        try:
            answer = control._target.send(Request("GET", "/_mock/health"))
        except Unanswered:
            return None
        said = answer.document
        return control if answer.status == 200 and isinstance(said, dict) and "providers" in said else None

    def open_account(self, provider: str, scenario: str | None = None) -> Account:
        """A fresh account with the usual packs, and a scenario where one is given."""
        chosen = {} if scenario is None else {"scenario": scenario}
        made = self.call("POST", "/_mock/accounts", {"provider": provider, **chosen})
        return Account(made["id"], made["credentials"])

    def freeze(self, account: str) -> None:
        """Let the account's time stand still: it moves by `advance` alone."""
        self.call("POST", "/_mock/clock", {"account": account, "freeze": True})

    def advance(self, account: str, ms: int) -> None:
        """Let the account's time pass."""
        if ms > 0:
            self.call("POST", "/_mock/clock", {"account": account, "advance": f"{ms}ms"})

    def task(self, id_: str) -> dict[str, Any]:
        """What the mock itself knows of a task."""
        found: dict[str, Any] = self.call("GET", f"/_mock/tasks/{quote(id_, safe='')}")
        return found

    def call(self, method: str, path: str, document: Any = None) -> Any:
        """One call. Raises `Refused` for any answer but success."""
        body = b"" if document is None else json.dumps(document).encode()
        headers = {"content-type": "application/json"} if body else {}
        where, _, query = path.partition("?")
        answer: Answer = self._target.send(Request(method, where, query, headers, body))
        if answer.status >= 300:
            raise Refused(f"{method} {path}: {answer.status} {answer.body[:300].decode('utf-8', 'replace')}")
        return answer.document
