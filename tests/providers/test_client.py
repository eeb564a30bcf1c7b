"""The tests' own client finds its way to every operation of every provider without knowing any."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock
from tests.conftest import PROVIDERS, Client, Wall


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_door_opens(mock: Mock, name: str, client: Callable[..., Client]) -> None:
    """Each way to prove who calls, in each operation, as the default and as a new account: no stage of it fails."""
    provider = mock.providers[name]
    for operation in provider.operations.values():
        path = re.sub(r"\{[^}]+\}", "x", operation.path)
        ways = max((len(scheme.ways) for alternative in operation.security for scheme in alternative), default=1)
        for way in range(ways):
            for caller in (client(name, way=way), client(name, way=way).other()):
                answer = caller.send(operation.method, path)
                assert not [rule for rule, _ in answer.wrong if rule.startswith(("mock/token", "mock/route"))]


def test_an_account_has_its_own_clock(
    toymaker: Provider, make_mock: Callable[..., Mock], client: Callable[..., Client], wall: Wall
) -> None:
    """Advancing one account moves nobody else; the frozen mock does not move with the wall."""
    toys = client(toymaker)
    toys.mock = make_mock(toymaker)
    other = toys.other()
    toys.advance("1m")
    wall.forward("1h")
    assert other.account
    clocks = toys.mock.clocks
    assert clocks.now("toymaker-default") - clocks.now(other.account.id) == 60_000
    assert clocks.now() == clocks.now(other.account.id)
