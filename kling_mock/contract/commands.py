"""Lines for a shell that repeat a request, with words of the shell in place of what proves who calls."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from kling_mock.core.model import Request
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.redaction import redacted
from kling_mock.credentials import way_of


class Commands:
    """Lines that repeat the calls of one account at an address."""

    def __init__(self, provider: Provider, url: str, credentials: Mapping[str, str]) -> None:
        self._provider, self._url, self._credentials = provider, url, credentials
        self._words: dict[str, str | None] = {}

    def name(self, shown: Mapping[str, str], words: str | None) -> None:
        """Let `words` stand for what some headers show instead of the credential; None where that is no secret."""
        self._words.update(dict.fromkeys(shown.values(), words))

    def repeating(self, operation: Operation, request: Request) -> str:
        """A line that repeats an operation's request."""
        query = f"?{request.query}" if request.query else ""
        url = redacted(f"{self._url}{request.path}{query}")
        return curl(url, request.method, request.headers, request.body, self._struck(operation, request))

    def unfiltered(self, operation: Operation, command: str, shown: Mapping[str, str] | None = None) -> str:
        """A line in which somebody has struck out the credential, with words of the shell in its place.

        Where something else was `shown` instead, which is no secret, that stands there, or nothing.
        """
        words = {header: f'-H "{header}: {value}" ' for header, value in self._secret(operation).items()}
        if shown is not None:
            words = {name: f"-H '{name}: {shown[name]}' " if name in shown else "" for name in words}
        for header, told in words.items():
            struck = re.compile(rf"-H '{re.escape(header)}: \[Filtered\]' ?", re.IGNORECASE)
            command = struck.sub(told.replace("\\", r"\\"), command)
        return command

    def _struck(self, operation: Operation, request: Request) -> dict[str, str]:
        """The headers of a request that hold a credential, as words of a shell that say which one it was."""
        own, sent = self._secret(operation), request.headers
        told = {name: self._words.get(sent[name], own[name]) for name in own.keys() & sent.keys()}
        return {name: words for name, words in told.items() if words is not None}

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
