"""An account's own variant, over HTTP: Prefer goes before it, it goes before `serve --variant`; tasks keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from kling_mock.core.model import Request
from kling_mock.core.provider import Provider
from kling_mock.loading import load_providers
from kling_mock.server.app import create_app
from kling_mock.server.mock import Mock
from tests.conftest import Client
from tests.exchanges import creates, written

SEVERAL = [provider for provider in load_providers().values() if len(provider.variants) > 1]
SINGLE = next(provider for provider in load_providers().values() if len(provider.variants) == 1)
each = pytest.mark.parametrize("provider", SEVERAL, ids=lambda provider: provider.name)


@dataclass
class Served:
    """A mock's Flask application, and requests to it as clients send them."""

    mock: Mock
    provider: Provider
    http: FlaskClient

    def register(self, **more: Any) -> dict[str, Any]:
        """A new account of the provider."""
        reply = self.control("POST", "/_mock/accounts", {"provider": self.provider.name} | more)
        assert reply.status_code == 201, reply.text
        return dict(reply.json)

    def control(self, method: str, path: str, body: Any = None) -> TestResponse:
        """A call of the control API."""
        return self.http.open(path, method=method, json=body)

    def create(self, account: Mapping[str, Any] | None = None, prefer: str = "") -> TestResponse:
        """Create a task as the provider's first fixture does, with an account's credential."""
        owner = self.mock.accounts.get(account["id"]) if account else None
        client = Client(self.mock, self.provider, owner)
        asked: Request = written(next(creates(client)))
        headers = {**asked.headers, **client.credential(asked.method, asked.path)}
        headers |= {"prefer": prefer} if prefer else {}
        reply = self.http.open(asked.path, method=asked.method, data=asked.body, headers=headers)
        assert reply.status_code < 300, reply.text
        return reply

    def variant_of(self, made: TestResponse) -> str:
        """The variant that a new task keeps."""
        return str(self.control("GET", f"/_mock/tasks/{made.headers['X-Mock-Task']}").json["variant"])


MakeServed = Callable[..., Served]


@pytest.fixture
def serve(make_mock: Callable[..., Mock]) -> MakeServed:
    """Serve one provider; options by keyword."""

    def make(provider: Provider, **options: Any) -> Served:
        mock = make_mock(provider, **options)
        return Served(mock, provider, create_app(mock).test_client())

    return make


def shape(value: Any) -> Any:
    """The keys of a document at every depth, without the values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else None


@each
def test_an_account_answers_in_its_own_variant(provider: Provider, serve: MakeServed) -> None:
    """The reply has the shape that Prefer asks for elsewhere, the task keeps it, and another account is untouched."""
    served = serve(provider)
    shapes = {name: shape(served.create(prefer=f"variant={name}").json) for name in provider.variants}
    for name in provider.variants:
        account = served.register(variant=name)
        assert account["variant"] == name
        made = served.create(account)
        assert (shape(made.json), served.variant_of(made)) == (shapes[name], name)
    plain = served.register()
    assert plain["variant"] is None
    assert served.variant_of(served.create(plain)) == provider.variants[0]


@each
def test_the_order_is_prefer_account_server_default(provider: Provider, serve: MakeServed) -> None:
    """Each goes before the next one, whatever the next one says."""
    first, second = provider.variants[:2]
    for ruling, other in ((first, second), (second, first)):
        served = serve(provider, variants={provider.name: other})
        account = served.register(variant=ruling)
        assert served.variant_of(served.create()) == other
        assert served.variant_of(served.create(account)) == ruling
        assert served.variant_of(served.create(account, prefer=f"variant={other}")) == other
    served = serve(provider)
    assert served.variant_of(served.create()) == first


@each
def test_an_unknown_variant_is_refused(provider: Provider, serve: MakeServed) -> None:
    """422 with its place and the closest match, as for a scenario; no account is made."""
    served = serve(provider)
    meant = provider.variants[-1]
    reply = served.control("POST", "/_mock/accounts", {"provider": provider.name, "variant": meant[:-1]})
    message = f"{provider.name} has no variant {meant[:-1]!r}; did you mean {meant!r}?"
    assert (reply.status_code, reply.content_type) == (422, "application/problem+json")
    assert reply.json["errors"] == [{"pointer": "/variant", "message": message}]
    assert len(served.control("GET", "/_mock/accounts").json["accounts"]) == 1


def test_a_provider_with_one_variant_says_which(serve: MakeServed) -> None:
    """Its name is taken, another one is refused with it."""
    served = serve(SINGLE)
    [only] = SINGLE.variants
    assert served.register(variant=only)["variant"] == only
    reply = served.control("POST", "/_mock/accounts", {"provider": SINGLE.name, "variant": "~"})
    assert reply.json["detail"] == f"/variant: {SINGLE.name} has no variant '~'; known are {only}"


def test_there_are_providers_with_several_variants() -> None:
    """Else nothing above would be tested."""
    assert len(SEVERAL) >= 2
