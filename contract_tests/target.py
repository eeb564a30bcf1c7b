"""What is under test: today one provider of the mock in process, as a WSGI application with a clock that tests move."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any
from urllib.parse import quote

import jwt
from flask import Flask

from kling_mock.core.model import Account
from kling_mock.core.provider import Operation, Provider, Scheme
from kling_mock.server.app import create_app
from kling_mock.server.mock import Mock, Options

AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z
NUMBERS = count(1)
SEED = "contract tests"


@dataclass(frozen=True)
class Reply:
    """A reply as a client sees it; header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


@dataclass
class Target:
    """One provider, its default account, and the application that answers for it. Time stands still until moved."""

    provider: Provider
    sent: list[tuple[str, str]] = field(default_factory=list)

    @cached_property
    def mock(self) -> Mock:
        """The mock: seeded, its clock frozen, the machine's time fixed too, so that every run is the same."""
        return Mock([self.provider], Options(at=AT, seed=SEED), wall=lambda: AT)

    @cached_property
    def app(self) -> Flask:
        """The application under test."""
        return create_app(self.mock)

    @property
    def account(self) -> Account:
        """The account whose credentials are used."""
        return self.mock.accounts.defaults[self.provider.name]

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", query: str = "") -> Reply:
        """Send one request as it stands."""
        answer = self.app.test_client().open(path, method=method, headers=dict(headers), data=body, query_string=query)
        return Reply(answer.status_code, answer.headers, answer.data)

    def control(self, method: str, path: str, document: Any = None) -> Any:
        """Call the control API; anything but success is an error of the test."""
        answer = self.app.test_client().open(path, method=method, json=document)
        assert answer.status_code < 300, answer.text
        return answer.json

    def advance(self, ms: int) -> None:
        """Let the account's time pass."""
        if ms:
            self.control("POST", "/_mock/clock", {"account": self.account.id, "advance": f"{ms}ms"})

    def task(self, id_: str) -> dict[str, Any]:
        """What the target itself knows of a task."""
        found: dict[str, Any] = self.control("GET", f"/_mock/tasks/{quote(id_, safe='')}")
        return found

    def credential(self, operation: Operation) -> dict[str, str]:
        """The header that proves who calls, in the last way that the operation's first scheme takes."""
        scheme = first_scheme(operation)
        return {} if scheme is None else {scheme.header: f"{scheme.prefix} {self._token(scheme)}".strip()}

    def _token(self, scheme: Scheme) -> str:
        way, known = scheme.ways[-1], self.account.credentials
        if way.jwt is None:
            return known[way.credential]
        # A claim of its own: tokens of one second would be the same bytes, and old ones after the clock was moved.
        claims = {"iss": known[way.jwt.issuer], "exp": AT // 1000 + 1800, "nbf": AT // 1000 - 5, "jti": next(NUMBERS)}
        return jwt.encode(claims, known[way.jwt.secret], way.jwt.algorithms[0])

    def status_of(self, situation: str) -> int:
        """The status with which the provider answers a situation, by its own table of errors."""
        table = self.provider.errors
        entry = table.situations.get(situation) or table.situations[situation.partition(".")[0]]
        return table.catalogue[entry].status

    def kind(self, operation: Operation) -> str:
        """The kind of tasks that a list shows."""
        assert operation.page is not None
        return str(operation.page.kind({"request": {}}))


def first_scheme(operation: Operation) -> Scheme | None:
    """The first security scheme of an operation."""
    return next((scheme for alternative in operation.security for scheme in alternative), None)


def rules_beyond_schemas(provider: Provider) -> frozenset[str]:
    """The rules that no request schema can state: over images, over the read document, and the capability table."""
    rules = (row.rule.id for row in (*provider.measured, *provider.judged))
    return frozenset(rules) | frozenset(provider.capabilities.features if provider.capabilities else ())
