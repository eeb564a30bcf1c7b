"""The mock: one function from request to reply, called by the server, the Flask application and tests alike.

A request goes one way: route -> who calls -> body -> facts -> judge (no lock) -> fetch, decide, apply (one short
transaction) -> reply. Nothing here knows a provider.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote as percent

from msgspec import Struct
from msgspec.structs import replace

from kling_mock.core import entropy as ids
from kling_mock.core.callbacks import asked_at
from kling_mock.core.calls import Call, Pick, images
from kling_mock.core.deciding import arriving, decide
from kling_mock.core.hiding import hidden
from kling_mock.core.judging import Facts, Judgement, judge, reads
from kling_mock.core.model import (
    NOW,
    Count,
    Counter,
    Decision,
    Exchange,
    Found,
    Post,
    PutTask,
    Reads,
    Record,
    Reply,
    Request,
    Violation,
    Wire,
)
from kling_mock.core.problems import closest
from kling_mock.core.provider import Operation, Provider
from kling_mock.server.accounts import Accounts, Auth, Caller
from kling_mock.server.addresses import MEDIA, Addresses
from kling_mock.server.bodies import decode, encode
from kling_mock.server.clocks import Clocks, wall_ms
from kling_mock.server.deliverer import Deliverer
from kling_mock.server.journal import answered, asked, listed, shown
from kling_mock.server.memory import MemoryStore
from kling_mock.server.routing import Router
from kling_mock.server.scenario_file import UserRule
from kling_mock.server.store import Store, StoreError
from kling_mock.server.targets import refusal
from kling_mock.server.webhooks import Webhooks

log = logging.getLogger("kling_mock")


class Options(Struct, frozen=True, kw_only=True):
    """How a mock behaves. `at` is ms since the epoch; `variants` and `mounts` are by provider name.

    `callback_allow` are the hosts that webhooks may be sent to beside this machine.
    """

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
    callback_allow: frozenset[str] = frozenset()


class Prepared(Struct, frozen=True):
    """A call with the images in it that still have to be measured: (pointer, text or bytes)."""

    call: Call
    caller: Caller
    images: tuple[tuple[str, str | bytes], ...]


class Mock:
    """The providers of one server with their state."""

    def __init__(
        self,
        providers: Iterable[Provider],
        options: Options | None = None,
        wall: Callable[[], int] = wall_ms,
        store: Store | None = None,
        rules: Iterable[UserRule] = (),
    ) -> None:
        self.options = options or Options()
        self.providers = {provider.name: provider for provider in providers}
        self.rules = tuple(rules)
        self.store = store or MemoryStore()
        self.clocks = Clocks(self.store, self.options.at, self.options.speed, wall)
        self.accounts = Accounts(self.providers.values(), self.store, self.clocks, self.options.seed, self.options.auth)
        self._check_options()
        self.router = Router(self.providers, self.options.mounts)
        self.addresses = Addresses(self.options.public_url)
        self.webhooks = Webhooks(
            self.providers, self.store, self.clocks, self.addresses.media, self.options.callback_allow
        )
        self.deliverer = Deliverer(self.webhooks)
        self.clocks.changed = self.deliverer.wake

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
        decoded = decode(operation, request, self.options.max_body)
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
            self._picks(provider, operation, caller, decoded.document),
        )
        found = (
            (at, decoded.uploads[at].content if at in decoded.uploads else value)
            for _, at, value in images(operation, decoded.document)
        )
        return Prepared(call, caller, tuple(found))

    def _picks(self, provider: Provider, operation: Operation, caller: Caller, document: object) -> tuple[Pick, ...]:
        """The user's rules that this call may be the turn of."""
        account = caller.account.id if caller.account else None
        return tuple(r.pick for r in self.rules if r.fits(provider.name, operation.id, account, document))

    def _preferences(self, provider: Provider, caller: Caller) -> dict[str, str]:
        """The choices of variant, latency and scenario: the account's go before the server's."""
        chosen = {"variant": self.options.variants.get(provider.name), "latency": self.options.latency}
        if caller.account:
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
            log.warning("the image at %s was not fetched: %s", hidden(url)[:200], error)
            return {"given": "url", "reachable": False, "why": error.reason}

    def finish(self, prepared: Prepared, facts: Facts) -> Wire:
        """Judge the call, decide it in one transaction, and write it down."""
        call, caller = prepared.call, prepared.caller
        account = call.account.id if call.account else (caller.claimed or call.provider.name)
        judgement = judge(call, facts)
        request = asked(call.request, call.document, caller.claims)
        base = self._base(call.request)
        self.addresses.called(base)

        def step(found: Found) -> Decision:
            decision = decide(judgement, found, ids.seed(self.options.seed, found.owner, found.ordinal), base + MEDIA)
            wrong = (*judgement.violations, *decision.violations, *self._unreachable(judgement, decision))
            violations = ranked(call.provider, wrong)
            notes = self._notes(call, decision, violations)
            if decision.reply.delivery.lossy:
                decision = arriving(decision, len(wire(decision.reply).body))
            reply = replace(decision.reply, headers={**decision.reply.headers, **notes})
            known = call.account is not None or caller.claimed is not None or bool(found.tasks)
            named = found.owner if known else None
            record = Record(_exchange(judgement, found, decision, named, request, reply, violations))
            return replace(decision, reply=reply, effects=(*decision.effects, record), violations=violations)

        wall = self.clocks.wall
        decision = self.store.decide(reads(judgement), call.provider.name, call.account, account, wall, step)
        if any(isinstance(effect, Post) for effect in decision.effects):
            self.deliverer.wake()
        self._tell(call, decision.reply, decision.violations, decision.scenario)
        told = next((_told(e.exchange) for e in decision.effects if isinstance(e, Record)), None)
        return replace(wire(decision.reply), tells=told)

    def download(self, method: str, path: str) -> Reply | None:
        """What a scenario does to the download of a task's file, if anything: another reply or another delivery."""
        parts = path.removeprefix(MEDIA + "/").split("/")
        if method != "GET" or not path.startswith(MEDIA + "/") or len(parts) != 3 or parts[0] not in self.providers:
            return None
        provider, task = self.providers[parts[0]], self.store.task(parts[0], parts[1])
        scenario = provider.scenarios.recall(task.scenario) if task else None
        if task is None or scenario is None or not scenario.answers_to("download"):
            return None
        name = f"download/{task.id}"

        def step(found: Found) -> Decision:
            counter = found.counters.get(name, Counter())
            answer = scenario.answer("download", counter, found.now)
            reply = answer.over(Reply(200, None)) if answer else Reply(200, None)
            return Decision(reply, (Count(found.owner, name, found.now),), task=task.id if answer else None)

        decision = self.store.decide(
            Reads((task.id,), counters=(name,)), provider.name, None, None, self.clocks.wall, step
        )
        if decision.task is None:
            return None
        log.info("%s %s %s download (scenario %s)", method, hidden(path)[:200], provider.name, task.scenario)
        return decision.reply

    def exchanges(self, account: str | None = None, provider: str | None = None) -> Iterator[dict[str, Any]]:
        """The journal as JSON documents, oldest first."""
        return map(shown, self.store.exchanges(account, provider))

    def failure(self, request: Request, error: Exception | None = None) -> Wire:
        """The reply when the mock itself failed: the provider's own 500. The log says why, of a store a header too."""
        provider = self.router.find(request).provider
        violation = Violation("mock/failure", "", "the mock failed; its log says why", situation="mock.failure")
        scope = {
            "request": {
                "id": ids.draw(provider.request_ids, self.options.seed, "failure"),
                "method": request.method,
                "target": request.path,
            }
        }
        reply = provider.refuse(violation, {**scope, "now": self.clocks.wall()})
        if isinstance(error, StoreError):
            reply = replace(reply, headers={**reply.headers, "X-Mock-Hint": " ".join(str(error).split())[:500]})
        return wire(reply)

    def garbled(self, request: Request) -> Wire:
        """The reply to what is no well-formed HTTP, of which `request` is what could be read: nothing is done.

        A parser that knows HTTP's own methods takes any other for broken, on a path that is well known too.
        """
        routed = self.router.find(request)
        unread = Violation("mock/http.syntax", "", "the bytes are no well-formed HTTP request", situation="body.syntax")
        base = self._base(request) + routed.mount
        violations = tuple(row for row in routed.violations if "allowed" in row.values) or (unread,)
        return self.finish(Prepared(Call(routed.provider, request, base=base, violations=violations), Caller(), ()), {})

    def deliver_due(self) -> int:
        """Send the webhooks that are due now, whether or not a deliverer runs; gives how many attempts were made."""
        return self.webhooks.deliver_due()

    def _unreachable(self, judgement: Judgement, decision: Decision) -> tuple[Violation, ...]:
        """A warning for a create whose webhooks will be sent nowhere."""
        reason = refusal(judgement.callback, self.options.callback_allow) if judgement.callback else None
        if reason is None or decision.task is None:
            return ()
        at = asked_at(judgement.operation.callbacks, judgement.scope)
        return (Violation("mock/callback.refused", at, f"no webhook is sent there: {reason}", "warning"),)

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

    def _tell(self, call: Call, reply: Reply, violations: tuple[Violation, ...], scenario: str | None) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        name = call.operation.id if call.operation else "-"
        path = hidden(call.request.path)[:200]
        dropped = "" if reply.delivery == NOW else ": late, cut or never delivered"
        ruled = f" (scenario {scenario}{dropped})" if scenario else ""
        log.info("%s %s %s %s %s%s", call.request.method[:20], path, reply.status, call.provider.name, name, ruled)
        for violation in violations:
            told = hidden(listed(violation))
            log.info("  %s %s: %s [%s]", told["severity"], told["pointer"], told["message"], told["rule"])


def _exchange(
    judgement: Judgement,
    found: Found,
    decision: Decision,
    account: str | None,
    request: Mapping[str, object],
    reply: Reply,
    violations: tuple[Violation, ...],
) -> Exchange:
    call, made = judgement.call, next((e.task for e in decision.effects if isinstance(e, PutTask)), None)
    created = made if call.operation and call.operation.role == "create" else None
    return Exchange(
        at=found.now,
        ordinal=found.ordinal,
        provider=call.provider.name,
        account=account,
        operation=call.operation.id if call.operation else None,
        role=call.operation.role if call.operation else None,
        task=decision.task,
        request=request,
        reply=answered(reply),
        violations=violations,
        billed=created.price if created else None,
        unit=judgement.quote.unit if created and judgement.quote else None,
        lost=decision.lost,
        fingerprint=judgement.fingerprint or None,
        saw=decision.saw,
        scenario=decision.scenario,
    )


def _told(row: Exchange) -> tuple[str, int, int] | None:
    """Whose exchange it is, which and when, if the reply tells of a task."""
    return (row.account, row.ordinal, row.at) if row.account is not None and row.saw else None


def ranked(provider: Provider, violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """Violations in the provider's order of stages, so that the one that is answered comes first; warnings last."""
    grave = {"refused": 0, "fails": 1, "warning": 2}
    rank = provider.errors.rank
    return tuple(sorted(violations, key=lambda v: (grave[v.severity], rank(v) if v.severity == "refused" else 0)))


def header_value(violations: tuple[Violation, ...], limit: int = 4096) -> str:
    """Violations as the JSON array of `X-Mock-Violations`: ASCII, at most `limit` bytes, then how many more.

    They come ranked: what was refused must not be cut off.
    """
    rows = [json.dumps(hidden(listed(violation)), separators=(",", ":")) for violation in violations]
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
    if reply.raw is not None:
        text = reply.raw.text.encode()
        plain = {"Content-Type": reply.raw.content_type, "Content-Length": str(len(text)), **reply.headers}
        return Wire(reply.raw.status, plain, text, reply.delivery)
    body = encode(reply.body)
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **reply.headers}
    return Wire(reply.status, headers, body, reply.delivery)
