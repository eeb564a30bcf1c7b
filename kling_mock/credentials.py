"""The headers by which a client of a provider proves who it is: static credentials, and JWTs signed now."""

from __future__ import annotations

import secrets  # noqa: TID251 - a client, not the core
import time  # noqa: TID251
import warnings
from collections.abc import Mapping

from kling_mock.core.provider import Operation, Scheme, Way

TOKEN_SECONDS = 1800


def credential(credentials: Mapping[str, str], operation: Operation) -> dict[str, str]:
    """The header that an operation asks for, made of an account's credentials; nothing where it asks for none.

    Of several ways the last counts for which all credentials are there. Raises `KeyError` where there is none.
    """
    scheme = next((scheme for alternative in operation.security for scheme in alternative), None)
    if scheme is None:
        return {}
    way = way_of(credentials, scheme)
    value = credentials[way.credential] if way.jwt is None else signed(credentials, way)
    return {scheme.header: f"{scheme.prefix} {value}".strip()}


def way_of(credentials: Mapping[str, str], scheme: Scheme) -> Way:
    """The last of a scheme's ways for which all credentials are there."""
    return next((way for way in reversed(scheme.ways) if needs(way) <= credentials.keys()), scheme.ways[-1])


def needs(way: Way) -> set[str]:
    """The names of the credentials that a way of proving who calls is made of."""
    return {way.credential} if way.jwt is None else {way.jwt.issuer, way.jwt.secret}


def signed(credentials: Mapping[str, str], way: Way, seconds: int = TOKEN_SECONDS) -> str:
    """A JWT by these credentials that is good for so many seconds; no two are the same."""
    import jwt

    assert way.jwt is not None
    now = int(time.time())
    times = {"exp": now + seconds, "nbf": now - way.jwt.backdated_ms // 1000}
    # Claims in whole seconds alone would make two tokens of one second the same bytes.
    claims = {"iss": credentials[way.jwt.issuer], **times, "jti": secrets.token_hex(8)}
    with warnings.catch_warnings():
        # PyJWT warns of secrets under 32 bytes. The secret of a mock protects nothing, and who pipes a token into a
        # client is not to read a library's source line for it.
        warnings.filterwarnings("ignore", message="The HMAC key is")
        return jwt.encode(claims, credentials[way.jwt.secret], algorithm=way.jwt.algorithms[0])
