"""Which provider and operation a request means: by its Host, by a mount, else by its path."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from kling_mock.core.model import Request, Violation
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.routes import segments


class Routed(Struct, frozen=True):
    """Where a request leads. `mount` is the prefix under which the provider was reached."""

    provider: Provider
    operation: Operation | None = None
    path: Mapping[str, str] = {}
    mount: str = ""
    violations: tuple[Violation, ...] = ()


Found = tuple[Mapping[str, Operation], Mapping[str, str]]


class Router:
    """All providers of one server. `mounts` puts a provider under a prefix, by name."""

    def __init__(self, providers: Mapping[str, Provider], mounts: Mapping[str, str]) -> None:
        self._hosts = {host: provider for provider in providers.values() for host in provider.hosts}
        self._mounted = {prefix: providers[name] for name, prefix in mounts.items()}
        self._open = [provider for name, provider in providers.items() if name not in mounts]
        everyone = list(providers.values())
        self._fallback = next((provider for provider in everyone if provider.default), everyone[0])

    def find(self, request: Request) -> Routed:
        """Where the request leads; a path or method that nobody has is a violation, in somebody's words."""
        provider, mount, found = self._provider(request)
        if found is None:
            message = f"no operation of {provider.name} has this path"
            wrong = Violation("mock/route.path", "", message, situation="route.path")
            return Routed(provider, mount=mount, violations=(wrong,))
        operations, parameters = found
        operation = operations.get(request.method)
        if operation is None:
            return Routed(provider, None, parameters, mount, (_wrong_method(request, operations),))
        return Routed(provider, operation, parameters, mount)

    def _provider(self, request: Request) -> tuple[Provider, str, Found | None]:
        """The provider, the prefix under which it was reached, and what its routes found."""
        by_host = self._hosts.get(hostname(request.host))
        if by_host:
            return by_host, "", by_host.routes.find(request.path)
        for prefix, provider in self._mounted.items():
            if request.path == prefix or request.path.startswith(prefix + "/"):
                return provider, prefix, provider.routes.find(request.path[len(prefix) :] or "/")
        for provider in self._open:
            if found := provider.routes.find(request.path):
                return provider, "", found
        return max(self._open, key=lambda one: _likeness(one, request.path), default=self._fallback), "", None


def hostname(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _wrong_method(request: Request, operations: Mapping[str, Operation]) -> Violation:
    allowed = ", ".join(sorted(operations))
    message = f"the path takes {allowed}, not {request.method[:20]}"
    return Violation("mock/route.method", "", message, situation="route.method", values={"allowed": allowed})


def _likeness(provider: Provider, path: str) -> tuple[int, bool]:
    """How many leading segments some template of the provider shares with a path; the default provider wins a draw."""
    parts = segments(path)
    best = 0
    for template in provider.paths():
        shared = 0
        for mine, theirs in zip(parts, segments(template), strict=False):
            if mine != theirs or not mine:
                break
            shared += 1
        best = max(best, shared)
    return best, provider.default
