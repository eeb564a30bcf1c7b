"""TLS for hosts that are somebody else's: an authority that lives in this process and is trusted where we say."""

from __future__ import annotations

import ssl
from functools import lru_cache

from kling_mock.extras import INSTALL_CONTRACT


@lru_cache(maxsize=8)
def contexts(hosts: frozenset[str]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for these hosts, and a client's that trusts that server and nobody else."""
    try:
        import trustme
    except ImportError as error:
        raise RuntimeError(f"interception needs trustme: {INSTALL_CONTRACT}") from error
    authority = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert(*sorted(hosts)).configure_cert(serving)
    authority.configure_trust(trusting)
    return serving, trusting
