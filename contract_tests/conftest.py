"""The target of each test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contract_tests.bundle import Referee
from contract_tests.exchanges import PROVIDERS
from contract_tests.target import Target


@pytest.fixture
def aim() -> Callable[[str], Target]:
    """Make a fresh target of a provider, by name."""
    return lambda name: Target(PROVIDERS[name])


@pytest.fixture(scope="session")
def referee() -> Callable[[str], Referee]:
    """The referee of a provider, by name; each is made once."""
    known: dict[str, Referee] = {}
    return lambda name: known.get(name) or known.setdefault(name, Referee(name))
