"""Lines for a shell that repeat a request, with words of the shell in place of what proves who calls."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from kling_mock.core.model import Request
from kling_mock.core.provider import Operation, Provider
from kling_mock.credentials import way_of


class Commands:
    """Lines that repeat the calls of one account at an address."""

    def __init__(self, provider: Provider, url: str, credentials: Mapping[str, str]) -> None:
        self._provider, self._url, self._credentials = provider, url, credentials

    def repeating(self, operation: Operation, request: Request) -> str:
        """A line that repeats an operation's request."""
        query = f"?{request.query}" if request.query else ""
        url = f"{self._url}{request.path}{query}"
        return curl(url, request.method, request.headers, request.body, self._secret(operation))

    def unfiltered(self, operation: Operation, command: str) -> str:
        """A line in which somebody has struck out the credential, with words of the shell in its place."""
        for header, value in self._secret(operation).items():
            struck = re.compile(rf"'{re.escape(header)}: \[Filtered\]'", re.IGNORECASE)
            command = struck.sub(f'"{header}: {value}"'.replace("\\", r"\\"), command)
        return command

    def _secret(self, operation: Operation) -> dict[str, str]:
        """The headers that hold a credential, as words of a shell."""
        words = {}
        for scheme in (scheme for alternative in operation.security for scheme in alternative):
            way = way_of(self._credentials, scheme)
            variable = self._provider.credentials[way.credential].variable
            value = f"$(kling-mock token --provider {self._provider.name})" if way.jwt else f"${variable}"
            words[scheme.header] = f"{scheme.prefix} {value}".strip()
        return words


def curl(url: str, method: str, headers: Mapping[str, str], body: bytes, secret: Mapping[str, str]) -> str:
    """A line for a shell that repeats a request. `secret` are the headers that hold a credential, as shell words."""
    words = ["curl", "-i", "-X", method, shlex.quote(url)]
    for name, value in headers.items():
        if name not in ("host", "content-length"):
            words += ["-H", f'"{name}: {secret[name]}"' if name in secret else shlex.quote(f"{name}: {value}")]
    if body:
        words += _data(body)
    return " ".join(words)


def _data(body: bytes) -> list[str]:
    """The body as it stands, never taken for a file's name, or the name of a file that is to be written."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return ["--data-binary", f"@body.bin  # {len(body)} bytes"]
    if len(text) <= 2000:
        return ["--data-raw", shlex.quote(text)]
    return ["--data-binary", f"@body.json  # {len(body)} bytes"]
