"""Bearer tokens: taken apart without trust, judged by form, signature and time."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_mock.core.clock import IDENTITY, Line, paced, start, virtual
from kling_mock.core.tokens import JwtWay, Token, count_parts, mistimed, read_token, signed_with, wrong_shape

SECRET = "a secret of the tests that opens nothing, long enough"
OTHER = "another secret of the tests that opens nothing, long enough"
WAY = JwtWay("key", "secret", ("HS256",), ("iss", "exp"), backdated_ms=5000)
NOW = 1_767_225_600
CLAIMS = {"iss": "me", "exp": NOW + 1800, "nbf": NOW - 5}
MINUTE = 60_000


def token(claims: dict[str, Any] = CLAIMS, secret: str = SECRET, algorithm: str = "HS256") -> Token:
    """A token, signed and taken apart again."""
    read = read_token(jwt.encode(claims, secret, algorithm))
    assert read is not None
    return read


def unsigned(header: Any, claims: Any, signature: str = "") -> str:
    """A token's text with any header and claims."""
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims))
    return ".".join([*parts, signature])


def test_a_token_is_taken_apart() -> None:
    """Header and claims are read without looking at the signature."""
    assert token(secret=OTHER).claims == CLAIMS
    assert token().header["alg"] == "HS256"


@pytest.mark.parametrize(
    "raw",
    ["", ".", "..", "a.b.c", "one two", "a.b", "a.b.c.d", unsigned([], {}), unsigned({"alg": "HS256"}, []), "é.é.é"],
)
def test_what_is_no_token_is_none(raw: str) -> None:
    """Anything that is no three parts of JSON objects is no token, without an exception."""
    assert read_token(raw) is None


@given(st.one_of(st.text(), st.tuples(st.text(), st.text(), st.text()).map(".".join)))
def test_no_text_breaks_the_reading(raw: str) -> None:
    """Hostile texts give a token or None."""
    assert read_token(raw) is None or isinstance(read_token(raw), Token)


@pytest.mark.parametrize(("raw", "parts"), [("", 0), ("abc", 0), ("a.b", 2), ("a.b.c", 3), ("....", 5)])
def test_parts_are_counted(raw: str, parts: int) -> None:
    """Error texts say how many parts there were; a text without a dot has none."""
    assert count_parts(raw) == parts


@pytest.mark.parametrize(
    ("header", "claims", "reason"),
    [
        ({"alg": "HS256"}, CLAIMS, None),
        ({"alg": "HS256", "typ": "JWT", "more": 1}, {**CLAIMS, "more": 1}, None),
        ({"alg": "none"}, CLAIMS, "algorithm"),
        ({"alg": "HS512"}, CLAIMS, "algorithm"),
        ({"alg": "RS256"}, CLAIMS, "algorithm"),
        ({}, CLAIMS, "algorithm"),
        ({"alg": "HS256"}, {"exp": NOW}, "claims"),
        ({"alg": "HS256"}, {"iss": "me"}, "claims"),
        ({"alg": "HS256"}, {**CLAIMS, "iss": 5}, "claims"),
        ({"alg": "HS256"}, {**CLAIMS, "exp": str(NOW)}, "claims"),
        ({"alg": "HS256"}, {**CLAIMS, "exp": True}, "claims"),
        ({"alg": "HS256"}, {**CLAIMS, "exp": 1e300}, "claims"),
        ({"alg": "HS256"}, {**CLAIMS, "exp": float("nan")}, "claims"),
        ({"alg": "HS256"}, {**CLAIMS, "nbf": "soon"}, "claims"),
        ({"alg": "HS256"}, {**CLAIMS, "iat": None}, "claims"),
        ({"alg": "HS256"}, {**CLAIMS, "exp": NOW + 0.5}, None),
    ],
)
def test_a_token_of_the_wrong_shape(header: dict[str, Any], claims: dict[str, Any], reason: str | None) -> None:
    """The algorithm and the claims that are needed are looked at before the signature; more is no harm."""
    assert wrong_shape(Token(b"", b"", header, claims), WAY) == reason


def test_a_signature_fits_one_secret() -> None:
    """Another secret, another algorithm's name, a cut or no signature do not fit."""
    good = token()
    assert signed_with(good, SECRET)
    assert not signed_with(good, OTHER)
    assert not signed_with(token(secret=OTHER), SECRET)
    for header, signature in (({"alg": "HS512"}, good.signature), ({"alg": "HS256"}, good.signature[:-1])):
        assert not signed_with(Token(good.signed, signature, header, good.claims), SECRET)
    for alg in ("none", "RS256", "nonsense", None):
        assert not signed_with(Token(good.signed, b"", {"alg": alg}, good.claims), SECRET)


def judged(
    claims: dict[str, Any], wall: int, first: int | None = None, base: Line | None = None, own: Line = IDENTITY
) -> str | None:
    """Judge a token's times at a wall time, first seen at `first`, by clocks with a history."""
    line, seen = base or start(0), wall if first is None else first
    gone: Callable[[int, int], int] = lambda since, until: paced(line, own, since, until)  # noqa: E731
    return mistimed(
        Token(b"", b"", {}, {"iss": "me", **claims}),
        WAY,
        wall,
        seen,
        gone,
        virtual(line, own, wall) - virtual(line, own, seen),
        virtual(line, own, wall),
    )


HALF = {"iat": NOW, "exp": NOW + 1800}


@pytest.mark.parametrize(
    ("claims", "after", "reason"),
    [
        (HALF, 0, None),
        (HALF, 1_799_999, None),
        (HALF, 1_800_000, "expired"),
        ({"nbf": NOW, "exp": NOW + 1800}, 1_799_999, None),
        ({"nbf": NOW, "exp": NOW + 1800}, 1_800_000, "expired"),
        ({"exp": NOW + 10}, 9_999, None),
        ({"exp": NOW + 10}, 10_000, "expired"),
        ({"nbf": NOW + 10, "exp": NOW + 1800}, 9_999, "not-yet-valid"),
        ({"nbf": NOW + 10, "exp": NOW + 1800}, 10_000, None),
        ({"iat": NOW, "nbf": NOW + 10, "exp": NOW + 1800}, 9_999, "not-yet-valid"),
        ({"iat": NOW, "nbf": NOW + 10, "exp": NOW + 1800}, 10_000, None),
        ({"iat": NOW + 60, "exp": NOW + 1800}, 0, None),
        ({"nbf": NOW - 5, "exp": NOW - 5}, 0, "expired"),
        ({}, 0, None),
    ],
)
def test_times_are_judged_to_the_millisecond(claims: dict[str, int], after: int, reason: str | None) -> None:
    """On a clock that nobody touched, validity is what the claims say, iat or not."""
    assert judged(claims, NOW * 1000 + after) == reason


@pytest.mark.parametrize("claims", [HALF, {"nbf": NOW - 5, "exp": NOW + 1795}, {"nbf": NOW, "exp": NOW + 1800}])
@pytest.mark.parametrize("speed", [0.0, 0.5, 60.0, 10_000.0])
@pytest.mark.parametrize("held", [0, 900, 60_000])
def test_a_fresh_token_is_fresh_at_any_speed(claims: dict[str, int], speed: float, held: int) -> None:
    """Freezing or speeding time up, the base's or the account's, never refuses a token at its first use."""
    begun = NOW * 1000 - 3_600_000
    fast = start(begun).run(begun, speed)
    assert judged(claims, NOW * 1000 + held, base=fast) is None
    own = IDENTITY.run(begun, speed)
    assert judged(claims, NOW * 1000 + held, base=start(begun), own=own) is None


def test_a_token_in_use_ages_with_its_account() -> None:
    """After its first use virtual time counts: at 60 times the speed half an hour lasts half a minute."""
    first = NOW * 1000
    fast = start(first).run(first, 60)
    assert judged(HALF, first + 29_999, first, fast) is None
    assert judged(HALF, first + 30_000, first, fast) == "expired"
    assert judged(HALF, first + 10**9, first, start(first).run(first, 0)) is None


@pytest.mark.parametrize("seen", [None, 2000])
@pytest.mark.parametrize("whose", ["base", "own"])
def test_an_advance_between_signing_and_use_counts(whose: str, seen: int | None) -> None:
    """Advancing 31 minutes expires a token signed before, whether it was used before or not; 29 do not."""
    signed = NOW * 1000
    for minutes, reason in ((29, None), (31, "expired")):
        base, own = start(signed - 10), IDENTITY
        if whose == "base":
            base = base.advance(signed + 3000, minutes * MINUTE)
        else:
            own = own.advance(base.at(signed + 3000), minutes * MINUTE)
        first = None if seen is None else signed + seen
        assert judged(HALF, signed + 5000, first, base, own) == reason


@pytest.mark.parametrize("whose", ["base", "own"])
@pytest.mark.parametrize("after", [0, 1, 400, 999, 5000])
@pytest.mark.parametrize("claims", [HALF, {"nbf": NOW - 5, "exp": NOW + 1795}])
def test_a_token_signed_after_an_advance_is_fresh(claims: dict[str, int], after: int, whose: str) -> None:
    """Claims are whole seconds: one that was signed after a jump within the same second is fresh all the same."""
    jump = NOW * 1000 - 1000 if after == 5000 else NOW * 1000 + 300
    base, own = start(jump - 10), IDENTITY
    if whose == "base":
        base = base.advance(jump, 31 * MINUTE)
    else:
        own = own.advance(base.at(jump), 31 * MINUTE)
    assert judged(claims, max(jump, NOW * 1000 + after), None, base, own) is None


@pytest.mark.parametrize(
    ("ahead", "advanced", "reason"),
    [
        (600, 0, "not-yet-valid"),
        (600, 300, "not-yet-valid"),
        (600, 600, None),
        (600, 2399, None),
        (600, 2400, "expired"),
    ],
)
def test_a_token_signed_in_the_accounts_time(ahead: int, advanced: int, reason: str | None) -> None:
    """Signed ahead of the wall it is judged by the account's clock, once that is as far; before, by the wall."""
    own = IDENTITY.advance(NOW * 1000, advanced * 1000)
    claims = {"iat": NOW + ahead, "nbf": NOW + ahead, "exp": NOW + ahead + 1800}
    assert judged(claims, NOW * 1000, own=own) == reason
