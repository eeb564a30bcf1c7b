"""Security schemes of a document, and the credential that a request shows."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kling_mock.core.documents import Place
from kling_mock.core.durations import milliseconds
from kling_mock.core.problems import closest
from kling_mock.core.provider import Scheme, Way
from kling_mock.core.tokens import JwtWay


def compile_schemes(root: Place) -> dict[str, Scheme]:
    """The document's security schemes by name. Raises `SpecError` for unknown credentials and kinds of scheme."""
    credentials = root.get("x-mock-accounts").get("credentials").node
    schemes = root.get("components").get("securitySchemes").items()
    return {name: _scheme(name, place, credentials) for name, place in schemes}


def _scheme(name: str, place: Place, credentials: Mapping[str, object]) -> Scheme:
    node = place.node
    ways = tuple(_way(way, credentials) for way in place.get("x-mock-token").each())
    if node.get("type") == "http" and str(node.get("scheme", "")).lower() == "bearer":
        return Scheme(name, "authorization", "Bearer", ways)
    if node.get("type") == "apiKey" and node.get("in") == "header":
        return Scheme(name, node["name"].lower(), "", ways)
    raise place.error("only http bearer schemes and API keys in a header are understood")


def _way(place: Place, credentials: Mapping[str, object]) -> Way:
    node = place.node
    if "static" in node:
        _known(place, node["static"], credentials)
        try:
            pattern = re.compile(node["pattern"]) if "pattern" in node else None
        except re.error as error:
            raise place.get("pattern").error(f"is no regular expression: {error}") from None
        return Way(node["static"], pattern)
    words = node["jwt"]
    for name in (words["issuer"], words["secret"]):
        _known(place, name, credentials)
    algorithms = tuple(words["algorithms"])
    if any(not name.startswith("HS") for name in algorithms):
        raise place.error("only HMAC algorithms (HS256, HS384, HS512) are understood")
    backdated = milliseconds(words.get("backdated", 0))
    jwt = JwtWay(words["issuer"], words["secret"], algorithms, tuple(words["requires"]), backdated)
    return Way(words["issuer"], None, jwt)


def _known(place: Place, name: str, credentials: Mapping[str, object]) -> None:
    if name not in credentials:
        raise place.error(f"unknown credential {name!r}{closest(name, credentials)}")


def required(root: Place, operation: Place, schemes: Mapping[str, Scheme]) -> tuple[tuple[Scheme, ...], ...]:
    """The alternatives of an operation's security, each a tuple of schemes (empty: nobody need say who they are)."""
    place = operation if "security" in operation.node else root
    alternatives = []
    for alternative in place.get("security", []).each():
        for name in alternative.node:
            if name not in schemes:
                raise alternative.error(f"unknown security scheme {name!r}{closest(name, schemes)}")
        alternatives.append(tuple(schemes[name] for name in alternative.node))
    return tuple(alternatives)


def shown(scheme: Scheme, headers: Mapping[str, str]) -> str | None:
    """The credential in the scheme's header; None when there is no header, "" when it is not of the scheme's form."""
    value = headers.get(scheme.header)
    if value is None or not value.strip():
        return None
    if not scheme.prefix:
        return value.strip()
    prefix, _, credential = value.strip().partition(" ")
    return credential.strip() if prefix.lower() == scheme.prefix.lower() else ""
