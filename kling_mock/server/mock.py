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
from kling_mock.core.calls import Call, images
from kling_mock.core.deciding import decide
from kling_mock.core.judging import Facts, judge, reads
from kling_mock.core.model import NOW, Decision, Reply, Request, Violation, Wire
from kling_mock.core.problems import closest
from kling_mock.core.provider import Provider
from kling_mock.server.accounts import Accounts, Auth, Caller
from kling_mock.server.bodies import decode
from kling_mock.server.clocks import Clocks, wall_ms
from kling_mock.server.journal import Journal, hidden, listed
from kling_mock.server.routing import Router
from kling_mock.server.store import MemoryStore

log = logging.getLogger("kling_mock")
MEDIA = "/_mock/media"


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
        self.router = Router(self.providers, self.options.mounts)

    def _check_options(self) -> None:
        for words, known in ((self.options.variants, "variants"), (self.options.mounts, "")):
            for name, value in words.items():
                provider = self.providers.get(name)
                if provider is None:
                    raise ValueError(f"there is no provider {name!r} here{closest(name, self.providers)}")
                if known and value not in provider.variants:
                    raise ValueError(f"{name} has no variant {value!r}{closest(value, provider.variants)}")
        latency = self.options.latency
        profiles = {profile for provider in self.providers.values() for profile in provider.lifecycle.latency}
        if latency and latency not in profiles:
            raise ValueError(f"there is no latency profile {latency!r}{closest(latency, profiles)}")

    def answer(self, request: Request) -> Wire:
        """The reply to a request, in full: whatever comes in, something goes out."""
        prepared = self.prepare(request)
        return self.finish(prepared, self.measure(prepared))

    def prepare(self, request: Request) -> Prepared:
        """Route the request, identify its caller and decode its body."""
        routed = self.router.find(request)
        provider, operation = routed.provider, routed.operation
        if operation is None:
            return Prepared(
                Call(provider, request, base=self._base(request) + routed.mount, violations=routed.violations),
                Caller(),
                (),
            )
        caller = self.accounts.identify(provider, operation, request)
        decoded = decode(operation, request)
        violations = (*((caller.violation,) if caller.violation else ()), *decoded.violations)
        call = Call(
            provider,
            request,
            operation,
            routed.path,
            self._base(request) + routed.mount,
            self._preferences(provider, caller),
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

    def _preferences(self, provider: Provider, caller: Caller) -> dict[str, str]:
        """The choices of variant, latency and scenario: the account's go before the server's."""
        chosen = {"variant": self.options.variants.get(provider.name), "latency": self.options.latency}
        if caller.account:
            chosen["scenario"] = caller.account.scenario
            chosen["variant"] = caller.account.variant or chosen["variant"]
        return {name: value for name, value in chosen.items() if value}

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
            wanted = reads(judgement)
            now = self.clocks.now(account)
            found = self.store.fetch(wanted, call.provider.name, call.account, now)
            if call.anonymous and (task := next(iter(found.tasks.values()), None)):
                now = self.clocks.now(task.account)
            decision = decide(judgement, found, now, entropy, self._base(call.request) + MEDIA)
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
        provider = self.router.find(request).provider
        violation = Violation("mock/failure", "", "the mock failed; its log says why", situation="mock.failure")
        scope = {
            "request": {
                "id": ids.draw(provider.request_ids, self.options.seed, "failure"),
                "method": request.method,
                "target": request.path,
            }
        }
        return wire(provider.refuse(violation, {**scope, "now": self.clocks.now()}))

    def _base(self, request: Request) -> str:
        """The address of this server as the client has it, or as --public-url says."""
        return (self.options.public_url or f"{request.scheme}://{request.host}").rstrip("/")

    def _notes(self, call: Call, decision: Decision, violations: tuple[Violation, ...]) -> dict[str, str]:
        """Headers that speak of the mock: what was wrong and what it would take."""
        notes = {}
        if violations:
            notes["X-Mock-Violations"] = header_value(violations)
        for violation in violations:
            if "hint" in violation.values:
                notes["X-Mock-Hint"] = violation.values["hint"]
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
        dropped = "" if reply.delivery == NOW else " (by scenario: late, cut or never delivered)"
        log.info("%s %s %s %s %s%s", call.request.method[:20], path, reply.status, call.provider.name, name, dropped)
        for violation in violations:
            told = hidden(listed(violation))
            log.info("  %s %s: %s [%s]", told["severity"], told["pointer"], told["message"], told["rule"])


def header_value(violations: tuple[Violation, ...], limit: int = 4096) -> str:
    """Violations as the JSON array of `X-Mock-Violations`: ASCII, at most `limit` bytes, then how many more.

    Warnings come last: what was refused must not be cut off.
    """
    ranked = sorted(violations, key=lambda violation: violation.severity == "warning")
    rows = [json.dumps(hidden(listed(violation)), separators=(",", ":")) for violation in ranked]
    size = 2
    kept: list[str] = []
    for row in rows:
        size += len(row) + 1
        if size > limit - 20:
            kept.append(f'{{"more":{len(rows) - len(kept)}}}')
            break
        kept.append(row)
    return f"[{','.join(kept)}]"


def wire(reply: Reply) -> Wire:
    """A reply as bytes."""
    try:
        body = msgspec.json.encode(reply.body)
    except UnicodeEncodeError:
        # A path given in process may hold half of a surrogate pair, which an error then repeats.
        body = json.dumps(reply.body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **reply.headers}
    return Wire(reply.status, headers, body, reply.delivery)
