"""The mock: one function from request to reply, called by the server, the Flask application and tests alike.

A request goes one way: route -> who calls -> body -> facts -> judge (no lock) -> fetch, decide, apply (one short
transaction) -> reply. Nothing here knows a provider.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote as percent

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kling_mock.core import entropy as ids
from kling_mock.core.deciding import decide
from kling_mock.core.judging import Call, Facts, Judgement, images, judge, reads
from kling_mock.core.model import Decision, Reply, Request, Violation, Wire
from kling_mock.core.problems import closest
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.routes import segments
from kling_mock.server.accounts import Accounts, Auth, Caller
from kling_mock.server.bodies import decode
from kling_mock.server.clocks import Clocks, wall_ms
from kling_mock.server.journal import Journal, hidden, listed
from kling_mock.server.store import MemoryStore

log = logging.getLogger("kling_mock")
MEDIA = "/_mock/media"
HINTS = {
    "missing": "send the credential that `kling-mock env` prints",
    "malformed": "send the credential that `kling-mock env` prints, in the form that the document's security scheme says",
    "algorithm": "sign with HS256; `kling-mock token` makes such a token",
    "claims": "a token needs iss (text), exp and nbf (seconds since 1970); `kling-mock token` makes one",
    "unknown": "only registered credentials are known here (`kling-mock env`); `kling-mock serve --auth any` takes every one",
    "signature": "sign with the secret of the same account; `kling-mock env` prints the default one",
    "not-yet-valid": "nbf lies in the future by this machine's clock",
    "expired": "sign anew; times are judged by the account's clock (GET /_mock/clock)",
}


class Options(Struct, frozen=True, kw_only=True):
    """How a mock behaves. `at` is ms since the epoch; `variants` and `mounts` are by provider name."""

    auth: Auth = "registered"
    at: int | None = None
    seed: str = ""
    speed: float = 1.0
    latency: str | None = None
    variants: Mapping[str, str] = {}
    mounts: Mapping[str, str] = {}
    public_url: str | None = None
    max_body: int = 64 * 1024 * 1024
    fetch_images: bool = False


class Prepared(Struct, frozen=True):
    """A call with the images in it that still have to be measured: (pointer, text or bytes)."""

    call: Call
    caller: Caller
    images: tuple[tuple[str, str | bytes], ...]


class Mock:
    """The providers of one server with their state."""

    def __init__(
        self, providers: Iterable[Provider], options: Options | None = None, wall: Callable[[], int] = wall_ms
    ) -> None:
        self.options = options or Options()
        self.providers = {provider.name: provider for provider in providers}
        self.clocks = Clocks(self.options.at, self.options.speed, wall)
        self.accounts = Accounts(self.providers.values(), self.clocks, self.options.seed, self.options.auth)
        self.store = MemoryStore()
        self.journal = Journal()
        self._check_options()
        self._hosts = {host: provider for provider in self.providers.values() for host in provider.hosts}
        self._fallback = next((p for p in self.providers.values() if p.default), next(iter(self.providers.values())))

    def _check_options(self) -> None:
        for words, known in ((self.options.variants, "variants"), (self.options.mounts, "")):
            for name, value in words.items():
                provider = self.providers.get(name)
                if provider is None:
                    raise ValueError(f"there is no provider {name!r} here{closest(name, self.providers)}")
                if known and value not in provider.variants:
                    raise ValueError(f"{name} has no variant {value!r}{closest(value, provider.variants)}")

    def answer(self, request: Request) -> Wire:
        """The reply to a request, in full: whatever comes in, something goes out."""
        prepared = self.prepare(request)
        return self.finish(prepared, self.measure(prepared))

    def prepare(self, request: Request) -> Prepared:
        """Route the request, identify its caller and decode its body."""
        provider, operation, path, wrong = self.route(request)
        if operation is None:
            return Prepared(Call(provider, request, violations=wrong), Caller(), ())
        caller = self.accounts.identify(provider, operation, request)
        decoded = decode(operation, request)
        violations = (*wrong, *((caller.violation,) if caller.violation else ()), *decoded.violations)
        call = Call(
            provider,
            request,
            operation,
            path,
            caller.account,
            caller.anonymous,
            decoded.document,
            decoded.uploads,
            violations,
        )
        found = (
            (at, decoded.uploads[at].content if at in decoded.uploads else value)
            for _, at, value in images(operation, decoded.document)
        )
        return Prepared(call, caller, tuple(found))

    def measure(self, prepared: Prepared) -> Facts:
        """Measure the images: pure CPU (and, with --fetch-images, network), so a server does it off its event loop."""
        if not prepared.images:
            return {}
        from kling_mock.server.facts import measure

        facts = {at: measure(given) for at, given in prepared.images}
        if self.options.fetch_images:
            facts |= {at: self._fetched(str(given)) for at, given in prepared.images if facts[at] == {"given": "url"}}
        return facts

    def _fetched(self, url: str) -> dict[str, object]:
        from kling_mock.server.facts import measure
        from kling_mock.server.fetching import FetchRefused, fetch_image

        try:
            return {**measure(fetch_image(url)), "given": "url", "reachable": True}
        except FetchRefused as error:
            log.warning("the image at %s was not fetched: %s", url[:200], error)
            return {"given": "url", "reachable": False}

    def finish(self, prepared: Prepared, facts: Facts) -> Wire:
        """Judge the call, decide it in one transaction, and write it down."""
        call, caller = prepared.call, prepared.caller
        account = call.account.id if call.account else (caller.claimed or call.provider.name)
        judgement = judge(call, facts)
        entropy = self.accounts.entropy(account)
        with self.store.transaction():
            now = self.clocks.now(account)
            found = self.store.fetch(reads(judgement), call.provider.name, call.account, now)
            decision = decide(judgement, found, now, entropy, self._media(call.request))
            self.store.apply(call.provider.name, decision.effects)
        violations = (*judgement.violations, *decision.violations)
        reply = replace(decision.reply, headers={**decision.reply.headers, **self._notes(call, decision, violations)})
        self.journal.add(
            now,
            call.provider.name,
            account if call.account or caller.claimed else None,
            call.operation.id if call.operation else None,
            decision.task,
            call.request,
            call.document,
            caller.claims,
            reply,
            violations,
        )
        self._tell(call, reply, violations)
        return wire(reply)

    def failure(self, request: Request) -> Wire:
        """The reply when the mock itself failed: the provider's own 500, and the log says why."""
        provider, *_ = self.route(request)
        violation = Violation("mock/failure", "", "the mock failed; its log says why", situation="mock.failure")
        scope = {
            "request": {"id": ids.draw(provider.request_id, self.options.seed, "failure"), "method": request.method}
        }
        return wire(provider.refuse(violation, {**scope, "now": self.clocks.now()}))

    def route(self, request: Request) -> tuple[Provider, Operation | None, Mapping[str, str], tuple[Violation, ...]]:
        """The provider and operation that a request means: by its Host, by a mount, else by its path."""
        provider, path = self._provider(request)
        found = provider.routes.find(path)
        if found is None:
            violation = Violation(
                "mock/route.path", "", f"no operation of {provider.name} has this path", situation="route.path"
            )
            return provider, None, {}, (violation,)
        operations, parameters = found
        operation = operations.get(request.method)
        if operation is None:
            allowed = ", ".join(sorted(operations))
            violation = Violation(
                "mock/route.method",
                "",
                f"the path takes {allowed}, not {request.method[:20]}",
                situation="route.method",
                values={"allowed": allowed},
            )
            return provider, None, parameters, (violation,)
        return provider, operation, parameters, ()

    def _provider(self, request: Request) -> tuple[Provider, str]:
        hostname = request.host.rpartition(":")[0] or request.host
        if by_host := self._hosts.get(hostname.lower()):
            return by_host, request.path
        for name, prefix in self.options.mounts.items():
            if request.path == prefix or request.path.startswith(prefix + "/"):
                return self.providers[name], request.path[len(prefix) :] or "/"
        unmounted = [p for name, p in self.providers.items() if name not in self.options.mounts]
        for provider in unmounted:
            if provider.routes.find(request.path):
                return provider, request.path
        return max(unmounted, key=lambda p: _likeness(p, request.path), default=self._fallback), request.path

    def _media(self, request: Request) -> str:
        if self.options.public_url:
            return self.options.public_url.rstrip("/") + MEDIA
        return f"{request.scheme}://{request.host}{MEDIA}"

    def _notes(self, call: Call, decision: Decision, violations: tuple[Violation, ...]) -> dict[str, str]:
        """Headers that speak of the mock: what was wrong and what it would take."""
        notes = {}
        if violations:
            notes["X-Mock-Violations"] = header_value(violations)
        for violation in violations:
            if violation.stage == "token":
                notes["X-Mock-Hint"] = HINTS[violation.situation.partition(".")[2]]
            if "allowed" in violation.values:
                notes["Allow"] = violation.values["allowed"]
        if decision.task:
            notes["X-Mock-Task"] = percent(decision.task)
        return notes

    def _tell(self, call: Call, reply: Reply, violations: tuple[Violation, ...]) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        name = call.operation.id if call.operation else "-"
        path = hidden(call.request.path[:200])
        log.info("%s %s %s %s %s", call.request.method[:20], path, reply.status, call.provider.name, name)
        for violation in violations:
            log.info(
                "  %s %s: %s [%s]", violation.severity, violation.pointer, hidden(violation.message), violation.rule
            )


def _likeness(provider: Provider, path: str) -> tuple[int, bool]:
    """How many leading segments of a path some template of the provider shares; the default provider wins a draw."""
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


def header_value(violations: tuple[Violation, ...], limit: int = 4096) -> str:
    """Violations as the JSON array of `X-Mock-Violations`: ASCII, at most `limit` bytes, then how many more."""
    rows = [json.dumps(hidden(listed(violation)), separators=(",", ":")) for violation in violations]
    size, kept = 2, []
    for row in rows:
        size += len(row) + 1
        if size > limit - 20:
            kept.append(f'{{"more":{len(rows) - len(kept)}}}')
            break
        kept.append(row)
    return f"[{','.join(kept)}]"


def wire(reply: Reply) -> Wire:
    """A reply as bytes."""
    body = msgspec.json.encode(reply.body)
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **reply.headers}
    return Wire(reply.status, headers, body, reply.delivery)


__all__ = ["Judgement", "Mock", "Options", "header_value", "wire"]
