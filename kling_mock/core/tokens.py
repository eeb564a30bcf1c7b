"""Bearer tokens: read without trust, then judged against a key and the time.

A token's times are the client's wall times. Its signing moment (iat, else nbf plus the usual back-dating) is placed in
virtual time by how much the clock has jumped since (see `clock.paced`), so advancing the clock expires old tokens and
no setting of the clock refuses a fresh one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct


class Token(Struct, frozen=True):
    """What a JWT says of itself, unverified; `signed` is the text that `signature` was made over."""

    signed: bytes
    signature: bytes
    header: Mapping[str, Any]
    claims: Mapping[str, Any]


class JwtWay(Struct, frozen=True):
    """How a provider's JWTs are made: claims and credential names are the spec's words."""

    issuer: str
    secret: str
    algorithms: tuple[str, ...]
    requires: tuple[str, ...]
    backdated_ms: int = 0


WHOLE = 3
"""Of how many parts a token is made."""


def count_parts(raw: str) -> int:
    """How many parts a token splits into; 0 where there is no dot at all."""
    return raw.count(".") + 1 if "." in raw else 0


def read_token(raw: str) -> Token | None:
    """Take a JWT apart without verifying it; None when it is no JWT."""
    import jwt  # a tenth of a start's time, which only a first token needs

    try:
        whole = jwt.decode_complete(raw, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError, TypeError):
        return None
    signed = raw.rpartition(".")[0].encode("utf-8", "replace")
    return Token(signed, whole["signature"], whole["header"], whole["payload"])


def wrong_shape(token: Token, way: JwtWay) -> str | None:
    """The reason why a token cannot be judged further: "algorithm" or "claims", or None."""
    if token.header.get("alg") not in way.algorithms:
        return "algorithm"
    for claim in way.requires:
        value = token.claims.get(claim)
        expected = str if claim == "iss" else int | float
        if not isinstance(value, expected) or isinstance(value, bool):
            return "claims"
    for claim in ("exp", "nbf", "iat"):
        value = token.claims.get(claim, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
            return "claims"
    return None


def signed_with(token: Token, secret: str) -> bool:
    """Whether the signature was made with `secret`, by the algorithm that the header names."""
    import jwt

    try:
        algorithm = jwt.get_algorithm_by_name(str(token.header.get("alg")))
        key = algorithm.prepare_key(secret)
        return algorithm.verify(token.signed, key, token.signature)
    except (jwt.PyJWTError, NotImplementedError, ValueError, TypeError):
        return False


def just_signed(token: Token, way: JwtWay, wall: int, first_seen: int) -> bool:
    """Whether `wall` lies in the second that the token says it was signed in.

    Claims mostly are whole seconds, so a client that signs anew within that second gives the same bytes: what is
    shown again then may be another token, and nobody can tell.
    """
    claims = token.claims
    if "jti" in claims:
        return False  # the same bytes are the same token
    if "iat" in claims:
        second = claims["iat"] * 1000
    elif "nbf" in claims:
        second = claims["nbf"] * 1000
        second += way.backdated_ms if second + way.backdated_ms <= first_seen else 0
    else:
        return False
    return bool(second % 1000 == 0 and second <= wall < second + 1000)


def mistimed(
    token: Token, way: JwtWay, wall: int, first_seen: int, paced: Callable[[int, int], int], elapsed: int, now: int
) -> str | None:
    """Judge the token's times: "expired", "not-yet-valid" or None.

    `wall` and `first_seen` are wall times in ms; `paced(a, b)` is the virtual time that passed between two wall times
    counting only jumps beside the wall's pace; `elapsed` is the account's virtual time since `first_seen`, `now` its
    virtual time. A token signed ahead of the wall, but not of the account's clock, is of a client that lives in
    the account's time, and is judged by it.
    """
    claims = {name: int(token.claims[name] * 1000) for name in ("iat", "nbf", "exp") if name in token.claims}
    signed = claims.get("iat")
    if signed is None and "nbf" in claims:
        signed = min(claims["nbf"] + way.backdated_ms, max(first_seen, claims["nbf"]))
    age = None
    if signed is not None and wall < signed <= now:
        wall = now
    elif signed is not None and signed <= wall:
        # Claims mostly are whole seconds: only a jump after that second surely came after the signature.
        latest = max(signed, min(signed + (0 if signed % 1000 else 999), first_seen))
        age = (latest - signed) + (paced(latest, first_seen) if latest < first_seen else 0) + elapsed
    for name, reason in (("nbf", "not-yet-valid"), ("exp", "expired")):
        if name not in claims:
            continue
        come = claims[name] <= wall if age is None or signed is None else claims[name] - signed <= age
        if come == (name == "exp"):
            return reason
    return None
