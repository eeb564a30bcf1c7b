"""A mock for tests: one server for many of them, and for each its own accounts and its own time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from kling_mock.core.durations import instant
from kling_mock.core.model import Exchange
from kling_mock.core.problems import closest
from kling_mock.loading import load_providers
from kling_mock.payloads import bundled_providers
from kling_mock.server import steering
from kling_mock.server.mock import Mock, Options
from kling_mock.server.serving import Running
from kling_mock.testing.clock import Clock
from kling_mock.testing.handle import Kling, Until
from kling_mock.testing.witness import Suspicions, WatchedStore

SEED = "pytest"


class Server:
    """A mock on a free port of this machine; as a context manager it runs.

    `options` are those of `kling_mock.server.mock.Options`; `specs` are folders of more providers.
    """

    def __init__(self, options: Options | Mapping[str, Any] | None = None, specs: Iterable[str | Path] = ()) -> None:
        folders = [Path(folder) for folder in specs]
        providers = load_providers(folders=folders) if folders else bundled_providers()
        self.store, self.suspicions = WatchedStore(), Suspicions()
        self.store.listeners.append(self.suspicions.hear)
        self.mock = Mock(providers.values(), _options(options or {}), store=self.store)
        self.running = Running(self.mock)
        self.url = self.running.url

    @property
    def default(self) -> str:
        """The provider that the documents call the default one; without such, the first."""
        names = [name for name, provider in self.mock.providers.items() if provider.default]
        return [*names, *self.mock.providers][0]

    def __enter__(self) -> Self:
        self.suspicions.start()
        self.running.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.running.__exit__()
        self.suspicions.stop()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """The part of one test."""
        session = Session(self)
        try:
            yield session
        finally:
            session.close()


def _options(given: Options | Mapping[str, Any]) -> Options:
    if isinstance(given, Options):
        return given
    known = Options.__struct_fields__
    for name in given:
        if name not in known:
            raise ValueError(f"a mock has no option {name!r}{closest(name, known)}")
    at = given.get("at")
    return Options(**{"seed": SEED, **given, "at": instant(at) if isinstance(at, str) else at})


class Session:
    """One test's part of a server: its accounts, their clock, what it saw, and what is undone when it ends."""

    def __init__(self, server: Server) -> None:
        self.server, self.mock = server, server.mock
        self.clock = Clock(self.mock)
        self.watched: list[Exchange] = []
        self.accounts: set[str | None] = {None}
        self.undo = ExitStack()
        self._handles: dict[str, Kling] = {}
        server.store.listeners.append(self.watched.append)

    def provider(self, name: str) -> Kling:
        """The handle of a provider, with an account that is this test's alone."""
        if name not in self._handles:
            self._handles[name] = self.register(name)
        return self._handles[name]

    def register(self, name: str, packs: Iterable[Mapping[str, Any]] | None = None, slots: int | None = None) -> Kling:
        """The handle of a new account."""
        ahead = next((self.mock.clocks.now(known) for known in self.accounts if known), None)
        account = steering.register(self.mock, name, packs, slots, at=ahead)
        self.clock.join(account.id)
        self.accounts.add(account.id)
        return Kling(self, account)

    def intercept(self, *hosts: str) -> Until:
        """Send the real hosts of every provider to the server."""
        from kling_mock.testing.interception import intercept

        block = ExitStack()
        block.enter_context(intercept(self.server.running, *hosts))
        until = Until(block.close)
        self.undo.callback(until.end)
        return until

    def close(self) -> None:
        """End what lasts until the test's end."""
        self.clock.stop()
        self.undo.close()
        self.server.store.listeners.remove(self.watched.append)
        self.server.suspicions.over |= self.accounts - {None}


@contextmanager
def running(provider: str | None = None, specs: Iterable[str | Path] = (), **options: Any) -> Iterator[Kling]:
    """A running mock outside pytest: the same handle as the fixture's."""
    with Server(options, specs) as server, server.session() as session:
        yield session.provider(provider or server.default)


@contextmanager
def intercepted(
    provider: str | None = None, specs: Iterable[str | Path] = (), hosts: Iterable[str] = (), **options: Any
) -> Iterator[Kling]:
    """A running mock outside pytest to which the providers' real hosts lead."""
    with running(provider, specs, **options) as kling, kling.intercept(*hosts):
        yield kling
