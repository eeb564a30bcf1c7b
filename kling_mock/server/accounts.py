"""Accounts, their credentials, and who it is that calls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from kling_mock.core import entropy as ids
from kling_mock.core.model import Account, Pack, Request, Violation
from kling_mock.core.packs import usual
from kling_mock.core.provider import Operation, Provider, Scheme, Way
from kling_mock.core.security import shown
from kling_mock.core.tokens import (
    WHOLE,
    Token,
    count_parts,
    just_signed,
    mistimed,
    read_token,
    signed_with,
    wrong_shape,
)
from kling_mock.server.clocks import Clocks
from kling_mock.server.store import Store

MOST_TOKENS = 4096
MESSAGES = {
    "missing": "there is no credential in the {header} header",
    "malformed": "the credential in the {header} header is of no known form",
    "encoding": "the token in the {header} header has three parts and cannot be decoded",
    "algorithm": "the token is signed with an algorithm that is not accepted, or not at all",
    "claims": "the token lacks a claim that is needed, or has one of the wrong type",
    "unknown": "the credential belongs to no account",
    "signature": "the token is signed with another secret than its account's",
    "not-yet-valid": "the token is not valid yet",
    "expired": "the token has expired",
}

HINTS = {
    "unknown": "only registered credentials are taken, unless it serves with --auth any; ",
    "signature": "the secret must be the same account's as the issuer; ",
    "not-yet-valid": "nbf lies in the future by this machine's clock; ",
    "expired": "sign anew: times are judged by the account's clock (GET /_mock/clock); ",
}

Auth = Literal["registered", "any"]


class Caller(Struct, frozen=True):
    """Who calls: an account, nobody (where that is allowed), or somebody who could not prove it.

    `claimed` is the account that the credential names, even if it does not prove it; `claims` are a token's.
    """

    account: Account | None = None
    anonymous: bool = False
    claimed: str | None = None
    claims: Mapping[str, object] | None = None
    violation: Violation | None = None


class _Seen(Struct):
    """A token that was seen before: what it says, when first (wall and virtual ms), and the secret that signed it.

    While the second lasts in which it was signed it may have been signed anew, and is as if first seen now.
    """

    token: Token | None
    first: int
    first_virtual: int | None = None
    verified_with: str | None = None


class Accounts:
    """The registered accounts of all providers. Registering and looking up cost O(1)."""

    def __init__(
        self, providers: Iterable[Provider], store: Store, clocks: Clocks, seed: str, auth: Auth = "registered"
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._store, self._clocks, self._seed, self._auth = store, clocks, seed, auth
        self._tokens: OrderedDict[str, _Seen] = OrderedDict()
        self.followed: set[str] = set()
        """The accounts whose clients' clocks run with theirs: to sign anew later is to get other bytes."""
        self.defaults: dict[str, Account] = {}
        for provider in self._providers.values():
            credentials = {name: row.default for name, row in provider.credentials.items()}
            self.defaults[provider.name] = self._add(provider, f"{provider.name}-default", credentials)

    def _add(
        self,
        provider: Provider,
        id_: str,
        credentials: Mapping[str, str],
        packs: tuple[Pack, ...] | None = None,
        slots: int | None = None,
        scenario: str | None = None,
        variant: str | None = None,
    ) -> Account:
        bought = usual(provider.packs) if packs is None else packs
        account = Account(id_, provider.name, credentials, self._clocks.now(), bought, slots, scenario, variant)
        return account if self._store.add_account(account) else self._store.account(id_) or account

    def register(
        self,
        provider: Provider,
        packs: tuple[Pack, ...] | None,
        slots: int | None,
        scenario: str | None,
        variant: str | None = None,
    ) -> Account:
        """A new account with fresh credentials; the provider's packs unless others are given."""
        source = ids.seed(self._seed, "account", self._store.number("accounts"))
        id_ = f"{provider.name}-{ids.draw('{hex:12}', source, 'id')}"
        credentials = {name: ids.draw(row.new, source, name) for name, row in provider.credentials.items()}
        return self._add(provider, id_, credentials, packs, slots, scenario, variant)

    def get(self, id_: str) -> Account | None:
        """An account by id."""
        return self._store.account(id_)

    def all(self) -> list[Account]:
        """Every account, in the order of their making."""
        return self._store.accounts()

    def identify(self, provider: Provider, operation: Operation, request: Request) -> Caller:
        """Who makes this request, by the operation's security."""
        refusals = []
        for alternative in operation.security:
            for scheme in alternative:
                credential = shown(scheme, request.headers)
                if credential is not None:
                    caller = self._judge(provider, scheme, credential)
                    if caller.account:
                        return caller
                    refusals.append(caller)
        if refusals:
            return refusals[0]
        if not operation.security or () in operation.security:
            return Caller(anonymous=True)
        return _refused(operation.security[0][0], "missing")

    def _judge(self, provider: Provider, scheme: Scheme, credential: str) -> Caller:
        found = _refused(scheme, "malformed", parts=count_parts(credential))
        if not credential:
            return found
        for way in scheme.ways:
            caller = (
                self._by_jwt(provider, scheme, way, credential)
                if way.jwt
                else self._static(provider, scheme, way, credential)
            )
            if caller is not None:
                if caller.account:
                    return caller
                found = caller
        return found

    def _static(self, provider: Provider, scheme: Scheme, way: Way, credential: str) -> Caller | None:
        account = self._store.owner(provider.name, way.credential, credential)
        if account:
            return Caller(account, claimed=account.id)
        if way.pattern and not way.pattern.search(credential):
            return None
        could_be_token = any(other.jwt for other in scheme.ways) and count_parts(credential) == WHOLE
        if self._auth == "any" and not could_be_token:
            return self._welcome(provider, way.credential, credential)
        # Where a token could be meant, only the last way knows what is wrong with a text that is neither.
        return _refused(scheme, "unknown") if len(scheme.ways) == 1 else None

    def _welcome(self, provider: Provider, name: str, value: str) -> Caller:
        """Under --auth any, whoever shows a well-formed credential has the account of that credential."""
        account = self._store.owner(provider.name, name, value)
        if account is None:
            id_ = f"{provider.name}-{ids.seed(name, value)[:12]}"
            account = self._add(provider, id_, {name: value})
        return Caller(account, claimed=account.id)

    def _by_jwt(self, provider: Provider, scheme: Scheme, way: Way, credential: str) -> Caller | None:
        assert way.jwt is not None
        seen = self._seen(credential)
        if seen.token is None:
            return _refused(scheme, "encoding") if count_parts(credential) == WHOLE else None
        token = seen.token
        if reason := wrong_shape(token, way.jwt):
            return _refused(scheme, reason)
        issuer = str(token.claims["iss"]) if "iss" in token.claims else ""
        account = self._store.owner(provider.name, way.jwt.issuer, issuer)
        if account is None:
            if self._auth == "registered":
                return _refused(scheme, "unknown", claims=token.claims)
            account = self._welcome(provider, way.jwt.issuer, issuer).account
        assert account is not None
        id_ = account.id
        secret = account.credentials.get(way.jwt.secret)
        if secret is not None and self._auth == "registered" and seen.verified_with != secret:
            if not signed_with(token, secret):
                return _refused(scheme, "signature", claimed=id_, claims=token.claims)
            seen.verified_with = secret
        wall = self._clocks.wall()
        now = self._clocks.now(id_)
        anew = id_ not in self.followed and just_signed(token, way.jwt, wall, seen.first)
        if seen.first_virtual is None or anew:
            seen.first, seen.first_virtual = wall, now
        elapsed = now - seen.first_virtual
        # A client whose sleeps are followed has the wall's time and all jumps, also while the account's clock stands.
        ahead = max(now, self._clocks.paced(id_, 0, wall))
        reason = mistimed(token, way.jwt, wall, seen.first, lambda a, b: self._clocks.paced(id_, a, b), elapsed, ahead)
        if reason:
            return _refused(scheme, reason, claimed=id_, claims=token.claims)
        return Caller(account, claimed=id_, claims=token.claims)

    def _seen(self, credential: str) -> _Seen:
        """The token, taken apart once: verified tokens are cached by their text."""
        seen = self._tokens.get(credential)
        if seen is None:
            seen = self._tokens[credential] = _Seen(read_token(credential), self._clocks.wall())
            if len(self._tokens) > MOST_TOKENS:
                self._tokens.popitem(last=False)
        return seen


def _refused(
    scheme: Scheme,
    reason: str,
    parts: int | None = None,
    claimed: str | None = None,
    claims: Mapping[str, object] | None = None,
) -> Caller:
    values = {"field": scheme.header, "value": "", "hint": hint(scheme, reason)}
    violation = Violation(
        rule=f"mock/token.{reason}",
        pointer=f"header/{scheme.header}",
        message=MESSAGES[reason].format(header=scheme.header),
        situation=f"token.{reason}",
        values=values if parts is None else {**values, "parts": parts},
    )
    return Caller(claimed=claimed, claims=claims, violation=violation)


def hint(scheme: Scheme, reason: str) -> str:
    """What the mock would take instead, for the `X-Mock-Hint` header."""
    forms = " or ".join(_form(scheme, way) for way in scheme.ways)
    return f"{HINTS.get(reason, '')}send {scheme.header}: {forms}; `kling-mock env` prints what is registered"


def _form(scheme: Scheme, way: Way) -> str:
    prefix = f"{scheme.prefix} " if scheme.prefix else ""
    if way.jwt is None:
        like = f" that matches {way.pattern.pattern}" if way.pattern else ""
        return f"{prefix}<{way.credential}>{like}"
    algorithms, claims = "/".join(way.jwt.algorithms), ", ".join(way.jwt.requires)
    return f"{prefix}<JWT signed with {way.jwt.secret} by {algorithms}, claims {claims}> (`kling-mock token` makes one)"
