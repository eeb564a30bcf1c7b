"""Where webhooks may be sent: to this machine, and to hosts that the user has named.

Requests carry URLs of real services, copied from somewhere; none of these is to be called by a mock. What a URL says is
looked at here; where a connection really goes is decided by the same `allowed` once more, in `posting`.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
LOOPBACK = ("127.0.0.1", "::1")


def refusal(url: str, allowed: Collection[str]) -> str | None:
    """Why no webhook is sent to `url`; None if one is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        # The error's own text repeats what stands in the place of the host or the port: it may be a password.
        return "it is no URL: its host or its port cannot be read"
    if "\\" in url:
        return "it is no URL: a backslash stands in it, which some take for a slash"
    if parts.scheme not in PORTS:
        return "only http and https URLs are called"
    if not host:
        return "the URL names no host"
    return None if permitted(host, allowed) else not_permitted(host)


def not_permitted(host: str) -> str:
    """Why a host is not called, and what would let it be."""
    return f"{bare(host)[:80]} is no loopback address; `kling-mock serve --callback-allow {bare(host)[:80]}` lets it in"


def permitted(host: str, allowed: Collection[str]) -> bool:
    """Whether webhooks may go to a host: one of this machine, or one that the user has named."""
    return bool(loopback(host)) or bare(host) in {bare(name) for name in allowed}


def loopback(host: str) -> tuple[str, ...]:
    """The addresses of a host that is this machine by its very name; nobody is asked for them (RFC 6761)."""
    name = bare(host)
    if name == "localhost" or name.endswith(".localhost"):
        return LOOPBACK
    try:
        return (name,) if ip_address(name).is_loopback else ()
    except ValueError:
        return ()


def receiver(url: str) -> str:
    """Which receiver a URL belongs to: one that is slow keeps only itself waiting."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def bare(host: str) -> str:
    """A host as it is compared."""
    return host.strip("[]").lower().rstrip(".")
