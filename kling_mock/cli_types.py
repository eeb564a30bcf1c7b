"""What the options of the `kling-mock` command take, each read once: sizes, instants, durations, addresses, hosts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

import click

from kling_mock.core.durations import instant, milliseconds

LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
NAME = re.compile(rf"{LABEL}(?:\.{LABEL})*\.?", re.IGNORECASE)
URL = re.compile(r"(?P<scheme>[^:/?#]*)://(?P<place>[^/?#]*)(?P<rest>.*)", re.DOTALL)
PLACE = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
EXAMPLE = "http://127.0.0.1:8787"
LONGEST_NAME = 253
LAST_PORT = 65535


class Size(click.ParamType[int]):
    """A number of bytes such as 64MB or 512kB."""

    name = "size"
    units: Mapping[str, int] = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read "64MB"."""
        if isinstance(value, int):
            return value
        digits = value.rstrip("bBkKmMgG ")
        unit = value[len(digits) :].strip().lower()
        if (
            not (digits.isascii() and digits.isdigit())
            or unit not in self.units
            or not 0 < int(digits) * self.units[unit] <= 4 * 1024**3
        ):
            self.fail(f"{value!r} is no size such as 64MB (at most 4GB)", param, ctx)
        return int(digits) * self.units[unit]


class Instant(click.ParamType[int]):
    """An instant such as 2026-03-01T12:00:00Z."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read ISO 8601 or seconds since 1970."""
        try:
            return instant(float(value) if str(value).replace(".", "", 1).isdigit() else value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Duration(click.ParamType[int]):
    """A duration such as 30d, in ms."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read "30d", "1h30m", or a number of seconds."""
        try:
            return milliseconds(float(value) if str(value).replace(".", "", 1).isdecimal() else value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Host(click.ParamType[str]):
    """A host name or IP address, without scheme and port. An IPv6 address loses its brackets."""

    name = "host"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read "mock.test" or "[::1]"."""
        host = bare(value)
        if host is None:
            found = URL.fullmatch(value)
            place = PLACE.fullmatch(found["place"] if found else value.partition("/")[0])
            meant = bare(place["host"]) if place else None
            near = f"; did you mean {meant!r}?" if meant else ""
            self.fail(
                f"{value!r} is no host name or IP address such as mock.test, without scheme, port and path{near}",
                param,
                ctx,
            )
        return host


class Address(click.ParamType[str]):
    """The address of a server: http(s)://host[:port] and nothing after it. A slash at the end is dropped."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read "https://mock.test:8443/"."""
        if wrong := wrong_address(value):
            self.fail(f"{value!r} {wrong}", param, ctx)
        return str(value).removesuffix("/")


def wrong_address(value: str) -> str | None:
    """What keeps a text from being a server's address, with what to do about it; None for one that is fine."""
    expected = f"expected is http(s)://host[:port] such as {EXAMPLE}"
    found = URL.fullmatch(value)
    if found is None or found["scheme"].lower() not in ("http", "https"):
        return f"does not begin with http:// or https://; {expected}"
    if "@" in found["place"]:
        return f"names a user; {expected}; credentials come from `kling-mock env`"
    place = PLACE.fullmatch(found["place"])
    if place is None or bare(place["host"]) is None or (":" in place["host"]) != place["host"].startswith("["):
        return f"has no host name or IP address (IPv6 in brackets) after {found['scheme']}://; {expected}"
    if place["port"] is not None and not is_port(place["port"]):
        return f"has the port {place['port']!r}, expected is a number from 1 to {LAST_PORT}, or no colon"
    if found["rest"] not in ("", "/"):
        return f"goes on with {found['rest']!r}; {expected}; --mount PROVIDER=/PREFIX puts a provider under a path"
    return None


def is_port(text: str) -> bool:
    """Whether a text is the number of a port that can be connected to."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(LAST_PORT)) and 0 < int(text) <= LAST_PORT


def bare(text: str) -> str | None:
    """A host name or IP address, without the brackets of an IPv6 one; None for anything else."""
    inside = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(inside)
    except ValueError:
        # Digits and dots alone are meant as an IPv4 address, and a wrong one.
        fits = len(text) <= LONGEST_NAME and NAME.fullmatch(text) and not re.fullmatch(r"[0-9.]+", text)
        return text if fits else None
    return inside if address.version == 6 or inside == text else None


def url_of(host: str, port: int) -> str:
    """The address of a server on a host, as `Host` reads it."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def number(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """A number that is one."""
    if value != value:
        raise click.BadParameter("nan is no number")
    return value
