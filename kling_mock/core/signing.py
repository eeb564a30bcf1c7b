"""Signatures of webhooks, in the scheme of Standard Webhooks, and how an account's secrets follow one another.

What is signed is `ID.SECONDS.BODY`, by HMAC-SHA256, once for each secret that is still good.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from msgspec.structs import replace

from kling_mock.core import entropy as ids
from kling_mock.core.callbacks import Signing
from kling_mock.core.model import Secret

VERSION = 1
"""The scheme's: symmetric signatures."""


def headers(
    words: Signing, secrets: Iterable[Secret], now: int, id_: str, seconds: int, body: bytes, forged: bool = False
) -> dict[str, str]:
    """The headers of a signed webhook; none for an account without secrets.

    `now` is virtual (which secrets are good), `seconds` is the receiver's time. A `forged` one is signed by a secret
    that nobody has, also where nothing else is signed: a receiver must refuse it either way.
    """
    keys = [key(words.prefix, secret.value) for secret in good(secrets, now)]
    if forged:
        keys = [hashlib.sha256(id_.encode()).digest()]
    if not keys:
        return {}
    return {
        words.id_header: id_,
        words.timestamp_header: str(seconds),
        words.signature_header: " ".join(signature(key, id_, seconds, body) for key in keys),
    }


def signature(key: bytes, id_: str, seconds: int, body: bytes) -> str:
    """One signature, with its version."""
    digest = hmac.digest(key, f"{id_}.{seconds}.".encode() + body, "sha256")
    return f"v{VERSION}," + base64.b64encode(digest).decode()


def key(prefix: str, secret: str) -> bytes:
    """The bytes that a secret stands for. Raises `ValueError` when it is none."""
    written = secret.removeprefix(prefix)
    padding = "=" * (-len(written) % 4)
    try:
        found = base64.b64decode(written + padding, validate=True) if secret.startswith(prefix) else b""
    except (binascii.Error, ValueError):
        found = b""
    if not found:
        raise ValueError(f"a secret is {prefix!r} and then base64")
    return found


def draw(words: Signing, source: str) -> str:
    """A new secret, of 32 bytes drawn from `source`."""
    drawn = bytes.fromhex(ids.seed(source, "secret") + ids.seed(source, "secret, second half"))
    return words.prefix + base64.b64encode(drawn).decode()


def good(secrets: Iterable[Secret], now: int) -> tuple[Secret, ...]:
    """The secrets that sign at `now`, the newest first."""
    return tuple(secret for secret in secrets if secret.until is None or now < secret.until)


def rotated(words: Signing, secrets: Iterable[Secret], value: str, now: int, emergency: bool) -> tuple[Secret, ...]:
    """The secrets after a new one: the old ones sign too for the overlap, or in an emergency no longer."""
    until = now + words.overlap_ms
    old = (secret for secret in good(secrets, now) if secret.value != value and not emergency)
    return (Secret(value), *(replace(secret, until=until) if secret.until is None else secret for secret in old))
