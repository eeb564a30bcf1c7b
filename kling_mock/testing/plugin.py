"""The pytest plugin: fixtures and their lifetimes, and the test that fails for what the server saw of it.

Every fixture can be overridden: `kling_options` and `kling_specs` say how the server is, `kling_provider` whose account
`kling` is. What is imported here is imported in every test run, so the server comes only with the first fixture.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kling_mock.core.problems import SpecError
from kling_mock.testing import coverage_plugin

if TYPE_CHECKING:
    from kling_mock.testing.firewall import Firewall
    from kling_mock.testing.handle import Kling
    from kling_mock.testing.session import Server, Session

SERVERS = pytest.StashKey[list["Server"]]()
FIREWALL = pytest.StashKey["Firewall"]()
MARKER = "kling_intercept"


class LateRequest(pytest.PytestWarning):
    """A wrong request came for an account whose test was over: a thread of that test goes on."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the plugin."""
    group = parser.getgroup("kling", "the fake Kling")
    group.addoption(
        "--kling-strict",
        action="store_true",
        dest="kling_strict",
        default=True,
        help="Fail a test for each wrong request that the mock sees of it (the default).",
    )
    group.addoption(
        "--no-kling-strict",
        action="store_false",
        dest="kling_strict",
        help="Let wrong requests pass, unless the test asserts that there are none.",
    )
    group.addoption(
        "--kling-firewall",
        action="store_true",
        help="Fail each test that tries to reach a provider's real host, where work costs money.",
    )
    coverage_plugin.add_options(group)


def pytest_configure(config: pytest.Config) -> None:
    """Nothing runs yet but the firewall, if it is asked for."""
    config.addinivalue_line("markers", f"{MARKER}(*hosts): send the providers' real hosts (and these) to the mock.")
    config.stash[SERVERS] = []
    coverage_plugin.configure(config)
    if config.getoption("kling_firewall"):
        from kling_mock.payloads import bundled_providers
        from kling_mock.testing.firewall import Firewall

        config.stash[FIREWALL] = Firewall(host for row in bundled_providers().values() for host in row.hosts)
        config.stash[FIREWALL].start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """The firewall stands no longer."""
    if FIREWALL in config.stash:
        config.stash[FIREWALL].stop()


# The fixtures


@pytest.fixture(scope="session")
def kling_options() -> Mapping[str, Any]:
    """How the mock is: {"latency": "realistic"}, {"at": "2026-03-01T12:00:00Z"}; all of `kling-mock serve`'s."""
    return {}


@pytest.fixture(scope="session")
def kling_specs() -> Iterable[str | Path]:
    """Folders of more providers."""
    return ()


@contextmanager
def mistaken(fixture: str) -> Iterator[None]:
    """A mistake in what a fixture gives is told in its own words, without the plugin's source around them."""
    try:
        yield
    except (ValueError, SpecError) as error:
        raise pytest.fail.Exception(f"the fixture {fixture}: {error}", pytrace=False) from None


@pytest.fixture(scope="session")
def kling_server(
    request: pytest.FixtureRequest, kling_options: Mapping[str, Any], kling_specs: Iterable[str | Path]
) -> Iterator[Server]:
    """The server: one per run, or per worker under pytest-xdist."""
    from kling_mock.testing.session import Server

    servers = request.config.stash[SERVERS]
    with mistaken("kling_options or kling_specs"):
        made = Server(kling_options, kling_specs)
    with made as server, coverage_plugin.listening(request.config, server):
        servers.append(server)
        yield server
        servers.remove(server)


@pytest.fixture
def kling_provider(kling_server: Server) -> str:
    """The name of the provider that `kling` is an account of."""
    return kling_server.default


@pytest.fixture
def kling_session(kling_server: Server) -> Iterator[Session]:
    """This test's part of the server."""
    with kling_server.session() as session:
        yield session


@pytest.fixture
def kling(kling_session: Session, kling_provider: str) -> Kling:
    """A running mock with a fresh account of this test alone."""
    with mistaken("kling_provider"):
        return kling_session.provider(kling_provider)


@pytest.fixture(autouse=True)
def _kling_intercepted(request: pytest.FixtureRequest) -> None:
    """What the marker asks for."""
    for marker in request.node.iter_markers(MARKER):
        request.getfixturevalue("kling_session").intercept(*marker.args)


# What the server saw


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail the test for what its requests were; a test that failed already is told of them."""
    __tracebackhide__ = True
    try:
        result = yield
    except BaseException:
        if text := _seen(item):
            item.add_report_section("call", "kling", text)
        raise
    if text := _seen(item):
        pytest.fail(text, pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """What came after the test itself, while its fixtures ended."""
    result = yield
    if text := _seen(item):
        pytest.fail(text, pytrace=False)
    return result


def _seen(item: pytest.Item) -> str:
    """What must be told since the last time: of the servers' threads, and of the firewall."""
    texts = [_told(server) for server in item.config.stash[SERVERS]]
    if not item.config.getoption("kling_strict"):
        texts = []
    if FIREWALL in item.config.stash:
        texts.append(_contacted(item.config.stash[FIREWALL]))
    return "\n".join(text for text in texts if text)


def _contacted(firewall: Firewall) -> str:
    hosts, firewall.contacted[:] = sorted(set(firewall.contacted)), []
    if not hosts:
        return ""
    return (
        f"the test tried to reach {' and '.join(hosts)}, where work costs money; the firewall kept it from that\n"
        "next: give the client kling.base_url, or send the hosts to the mock: kling.intercept()"
    )


def _told(server: Server) -> str:
    from kling_mock.testing.verdicts import asked, strict
    from kling_mock.testing.witness import Taken

    taken = server.suspicions.take()
    late = [row for row in taken.offences if row.late]
    for row in late:
        warnings.warn(LateRequest(f"a test is over and its client goes on: {asked(row.exchange)}"), stacklevel=2)
    return strict(server.mock, Taken(tuple(row for row in taken.offences if not row.late), taken.errors))
