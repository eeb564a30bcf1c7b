"""What every test folder can use: the compiled providers, a mock with a fixed seed and time, and a client for it.

`PROVIDERS` are those that ship with the package and those of `tests/providers/`, which exist to be shaped differently.
A test that holds for every provider is parametrised over it. Nothing here names a provider but the toy's folder; how a
request proves who calls is read from the security scheme.
"""

from __future__ import annotations

import copy
import json as jsonlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from hypothesis import settings

from kling_mock.core.durations import milliseconds
from kling_mock.core.model import Account, Delivery, Request
from kling_mock.core.provider import Provider, Scheme
from kling_mock.loading import load_providers, read_documents
from kling_mock.server.mock import Mock, Options

TOYS = Path(__file__).parent / "providers"
PROVIDERS: Mapping[str, Provider] = load_providers(folders=[TOYS])
AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z
SEED = "tests"

# What is generated is the same in each run, so that a change is red for what it changes; `--hypothesis-profile=search`
# looks elsewhere, for what nobody thought of (CONTRIBUTING.md).
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("same")


@dataclass
class Wall:
    """The machine's time as a test sets it, in ms."""

    ms: int = AT

    def __call__(self) -> int:
        return self.ms

    def forward(self, duration: str) -> None:
        """Let wall time pass: "5s", "31m"."""
        self.ms += milliseconds(duration)


@dataclass(frozen=True)
class Answer:
    """A reply as a client sees it; header names are lower case, `json` is the decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    delivery: Delivery

    @property
    def json(self) -> Any:
        return jsonlib.loads(self.body)

    @property
    def violations(self) -> list[dict[str, Any]]:
        """What the mock says was wrong with the request."""
        rows: list[dict[str, Any]] = jsonlib.loads(self.headers.get("x-mock-violations", "[]"))
        return rows

    @property
    def judged(self) -> list[dict[str, Any]]:
        """The violations that a judge of payloads can know of: not those of this server's own policy."""
        return [row for row in self.violations if row.get("rule") != "mock/callback.refused"]

    @property
    def wrong(self) -> list[tuple[str, str]]:
        """Rule and pointer of each violation."""
        return [(row["rule"], row["pointer"]) for row in self.violations]


@dataclass
class Client:
    """Calls one provider of a mock in process, as one of its accounts (the default one unless another is given).

    `way` is the kind of credential that is shown, among those that the security scheme takes.
    """

    mock: Mock
    provider: Provider
    account: Account | None = None
    way: int = 0
    headers: Mapping[str, str | None] = field(default_factory=dict)

    def send(
        self,
        method: str,
        path: str,
        json: Any = None,
        headers: Mapping[str, str | None] | None = None,
        query: Mapping[str, Any] | str = "",
        body: bytes | None = None,
    ) -> Answer:
        """Send one request. `json` becomes the body unless `body` is given; a header that is None is not sent."""
        asked = query if isinstance(query, str) else urlencode(query)
        content = body if body is not None else b"" if json is None else jsonlib.dumps(json).encode()
        typed = {"content-type": "application/json"} if content else {}
        sent = self.sent(method, path, {**typed, **self.headers, **(headers or {})})
        wire = self.mock.answer(Request(method, path, asked, sent, content))
        lower = {name.lower(): value for name, value in wire.headers.items()}
        return Answer(wire.status, lower, wire.body, wire.delivery)

    def sent(self, method: str, path: str, headers: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """These headers in lower case, with the credential unless they have one; those that are None left out."""
        given = {name.lower(): value for name, value in (headers or {}).items()}
        every = {**self.credential(method, path), **given}
        return {name: value for name, value in every.items() if value is not None}

    def credential(self, method: str, path: str) -> dict[str, str]:
        """The header that proves who calls, as the operation of this path asks for it (unknown ones: as any does)."""
        found = self.provider.routes.find(path)
        operations = (found[0] if found else {}) or self.provider.operations
        alternatives = (operations.get(method) or next(iter(operations.values()))).security
        scheme = next((scheme for alternative in alternatives for scheme in alternative), None)
        return {} if scheme is None else {scheme.header: f"{scheme.prefix} {self.token(scheme)}".strip()}

    def token(self, scheme: Scheme, **claims: Any) -> str:
        """The static credential of the scheme's way, or a token signed now; `claims` replace its own."""
        way = scheme.ways[self.way]
        account = self.account or self.mock.accounts.defaults[self.provider.name]
        if way.jwt is None:
            return account.credentials[way.credential]
        now = self.mock.clocks.wall() // 1000
        own = {"iss": account.credentials[way.jwt.issuer], "exp": now + 1800, "nbf": now - way.jwt.backdated_ms // 1000}
        return jwt.encode(own | claims, account.credentials[way.jwt.secret], way.jwt.algorithms[0])

    def advance(self, duration: str) -> None:
        """Let the account's virtual time jump ahead: "5s", "31m"."""
        account = self.account or self.mock.accounts.defaults[self.provider.name]
        by = milliseconds(duration)
        self.mock.clocks.change(account.id, lambda line, source: line.advance(source, by))

    def other(self) -> Client:
        """A client with a new account at the same provider."""
        return Client(self.mock, self.provider, self.mock.accounts.register(self.provider, None, None, None), self.way)


@pytest.fixture(scope="session")
def providers() -> Mapping[str, Provider]:
    """Every provider, by name."""
    return PROVIDERS


@pytest.fixture(scope="session")
def toymaker() -> Provider:
    """A provider that does not exist, of another shape than the real ones."""
    return PROVIDERS["toymaker"]


@pytest.fixture
def toy_documents() -> dict[str, Any]:
    """The toy's parsed documents, to be broken: a copy of one's own."""
    return copy.deepcopy(dict(read_documents(TOYS)))


@pytest.fixture
def wall() -> Wall:
    """The wall clock of `mock`."""
    return Wall()


@pytest.fixture
def make_mock(wall: Wall) -> Callable[..., Mock]:
    """Make a mock of the given providers: a fixed seed, time frozen at `AT`; options by keyword."""

    def make(*providers: Provider, **options: Any) -> Mock:
        words: dict[str, Any] = {"at": AT, "seed": SEED} | options
        return Mock(providers, Options(**words), wall=wall)

    return make


@pytest.fixture
def mock(providers: Mapping[str, Provider], make_mock: Callable[..., Mock]) -> Mock:
    """All the providers in one mock."""
    return make_mock(*providers.values())


@pytest.fixture
def client(mock: Mock) -> Callable[..., Client]:
    """A client of `mock` for one provider, by name or compiled."""

    def make(provider: Provider | str, **words: Any) -> Client:
        return Client(mock, mock.providers[provider] if isinstance(provider, str) else provider, **words)

    return make
