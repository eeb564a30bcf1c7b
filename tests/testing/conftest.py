"""A running mock, and a handle of a fresh account on it, for tests of what users' tests are given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kling_mock.testing.handle import Kling
from kling_mock.testing.session import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running mock."""
    with Server() as server:
        yield server


@pytest.fixture
def kling(server: Server) -> Iterator[Kling]:
    """A handle of a fresh account."""
    with server.session() as session:
        yield session.provider(server.default)
