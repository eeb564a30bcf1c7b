"""The headers by which an account proves itself, as a client of the provider writes them."""

from __future__ import annotations

import secrets
import time
import warnings

import jwt

from kling_mock.core.model import Account
from kling_mock.core.provider import Operation, Way

TOKEN_SECONDS = 1800


def credential(account: Account, operation: Operation) -> dict[str, str]:
    """The header that an operation asks for; nothing where it asks for none."""
    scheme = next((scheme for alternative in operation.security for scheme in alternative), None)
    if scheme is None:
        return {}
    way = scheme.ways[-1]
    value = account.credentials[way.credential] if way.jwt is None else signed(account, way)
    return {scheme.header: f"{scheme.prefix} {value}".strip()}


def signed(account: Account, way: Way, seconds: int = TOKEN_SECONDS) -> str:
    """A fresh JWT of the account."""
    assert way.jwt is not None
    now = int(time.time())
    claims = {
        "iss": account.credentials[way.jwt.issuer],
        "exp": now + seconds,
        "nbf": now - way.jwt.backdated_ms // 1000,
    }
    with warnings.catch_warnings():
        # PyJWT warns of secrets under 32 bytes; a mock's protects nothing.
        warnings.filterwarnings("ignore", message="The HMAC key is")
        claims["jti"] = secrets.token_hex(8)
        return jwt.encode(claims, account.credentials[way.jwt.secret], algorithm=way.jwt.algorithms[0])
