"""Randomness as an argument: a seed text, and the ids, numbers and fractions drawn from it.

`entropy = f(seed, account, ordinal of the account's request)`, so the same calls in the same order give the same ids.
"""

from __future__ import annotations

import base64
import re
from hashlib import blake2b
from uuid import UUID

from kling_mock.core.problems import closest

LONGEST = {"digits": 90, "hex": 128, "base64url": 86, "uuid": 36}
FORM = re.compile(r"\{([a-z0-9]+)(?::([0-9]+))?\}")


def seed(*parts: object) -> str:
    """Mix the parts to a new seed text (32 hex digits)."""
    return blake2b("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def fraction(source: str, purpose: str) -> float:
    """A number in [0, 1) drawn from `source` for one purpose."""
    return int(seed(source, purpose)[:13], 16) / 16**13


def check_pattern(pattern: str) -> str | None:
    """Say what is wrong with an id pattern such as "{digits:18}", or None."""
    for written in re.findall(r"\{[^}]*\}?", pattern):
        match = FORM.fullmatch(written)
        form = written.strip("{}").partition(":")[0]
        if match is None or form not in LONGEST:
            return f"unknown id form {written!r}{closest(form, LONGEST)}"
        if form == "uuid":
            if match[2]:
                return "'uuid' takes no length"
        elif not match[2] or not 1 <= int(match[2]) <= LONGEST[form]:
            return f"{form!r} needs a length from 1 to {LONGEST[form]}"
    return None


def draw(pattern: str, source: str, purpose: str) -> str:
    """Fill an id pattern from `source`: `draw("kling_{hex:12}", ...)`; different purposes give unrelated ids."""
    digest = blake2b(f"{source}\0{purpose}".encode("utf-8", "surrogatepass"), digest_size=64).digest()

    def fill(match: re.Match[str]) -> str:
        form, length = match[1], int(match[2] or 0)
        if form == "uuid":
            return str(UUID(bytes=digest[:16], version=4))
        if form == "hex":
            return digest.hex()[:length]
        if form == "digits":
            # No leading zero: clients read these as numbers too.
            return str(int.from_bytes(digest[:40], "big") % (9 * 10 ** (length - 1)) + 10 ** (length - 1))
        return base64.urlsafe_b64encode(digest).decode()[:length]

    return FORM.sub(fill, pattern)
