"""What is struck out of a text before it is shown: whatever is shaped like a credential, and what URLs hide.

Of a URL the userinfo goes always, and the value of every parameter whose name says that it proves something; names
and other values stay, so that people recognise their own hook. Delivering and fetching never pass through here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote_plus

STRUCK = "<credential>"

SHAPED = re.compile(r"eyJ[\w-]{5,}\.[\w-]*\.[\w-]*|\bsk-[\w-]{8,}|(?i:\bbearer\s+[\w.~+/-]{8,}=*)")
USERINFO = re.compile(
    r"(?<=[/\\]{2})[^\s/?#]{1,2000}(?=@)"
    r"|(?<=[/\\]{2})[^\s/?#@:\[]*:(?!\d{0,5}(?:[/?#\s]|$))\S{0,2000}(?=@)"  # no port follows: a password with any sign
    r"|^[^\s/?#@:]+:[^\s/?#@\\]+(?=@)"  # an address without its scheme
)
PARAMETER = re.compile(r"(?<=[?&;#])([^\s=&;#?]{1,200})=((?:(?i:basic|bearer|digest)\s+)?[^\s&#]+)")
DEEPEST = 4
"""How many URLs inside of URLs are looked into; what is deeper is struck out whole."""

NAMES = frozenset(
    (
        *("ak", "auth", "authorization", "code", "cookie", "hdnts", "hmac", "jwt", "key", "keys", "otp", "pass", "pw"),
        *("pwd", "session", "sessionid", "sid", "sig", "sign", "sk"),
    )
)
PARTS = re.compile(
    r"token|secret|signature|passw|passphrase|credential"
    r"|(?:access|api|app|auth|client|function|hook|master|private|service|shared|subscription)key"
)
WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")


def redacted(text: str) -> str:
    """A text in which every credential is struck out."""
    shown = _addresses(text, DEEPEST)
    # Looking for these first takes a hundredth of the time, and hardly a text has one.
    likely = "eyJ" in shown or "sk-" in shown or "bearer" in shown.lower()
    return SHAPED.sub(STRUCK, shown) if likely else shown


def redacted_query(query: str) -> str:
    """A URL's query, without its question mark, in which every credential is struck out."""
    return redacted(f"?{query}")[1:]


def names_credential(name: str) -> bool:
    """Whether the name of a parameter or header says that its value proves something: accessKeyId, X-Amz-Signature."""
    words = [word.lower() for word in WORDS.split(name) if word]
    return any(word in NAMES or PARTS.search(word) for word in words)


@lru_cache(maxsize=4096)
def names_secret(key: str) -> bool:
    """Whether a key of a document holds a credential; unlike a URL's `code` or `key` it must say so itself."""
    return PARTS.search("".join(WORDS.split(key)).lower()) is not None


def _addresses(text: str, depth: int) -> str:
    if "@" in text:
        text = USERINFO.sub(STRUCK, text)
    return PARAMETER.sub(lambda found: _parameter(found[1], found[2], depth), text) if "=" in text else text


def _parameter(name: str, value: str, depth: int) -> str:
    """A parameter of a URL; one that is not struck out may hold another URL, percent-encoded or as it is."""
    if names_credential(unquote_plus(name)):
        return f"{name}={STRUCK}"
    plain = unquote_plus(value)
    if "%" in plain and plain != value:
        return f"{name}={value if redacted(unquote_plus(plain)) == unquote_plus(plain) else STRUCK}"
    if "@" not in plain and "=" not in plain:
        return f"{name}={value}"
    shown = _addresses(plain, depth - 1) if depth else STRUCK
    if shown == plain:
        return f"{name}={value}"
    return f"{name}={shown if plain == value else quote(shown, safe='<>')}"
