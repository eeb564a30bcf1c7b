"""The journal: what was asked and answered, without secrets, files or wall times."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from kling_mock.core.calls import lightened
from kling_mock.core.expressions import ABSENT
from kling_mock.core.model import Reply, Request, Violation

HEADERS = frozenset(
    {"accept", "cache-control", "content-length", "content-type", "host", "idempotency-key", "prefer", "user-agent"}
)
SECRET = re.compile(r"eyJ[\w-]{5,}\.[\w-]*\.[\w-]*|\bsk-[\w-]{8,}|(?i:\bbearer\s+[\w.~+/-]{8,}=*)")
DENSE = re.compile(r"[A-Za-z0-9+/=_~-]{101,}")
CLAIMS = ("iss", "iat", "nbf", "exp")
MOST = 10_000


class Exchange(Struct, frozen=True):
    """One request and its reply. `at` is the account's virtual time in ms."""

    at: int
    provider: str
    account: str | None
    operation: str | None
    task: str | None
    request: Mapping[str, Any]
    reply: Mapping[str, Any]
    violations: tuple[Violation, ...]


def hidden(value: Any) -> Any:
    """A document in which what is shaped like a credential or a file is replaced, and long texts are cut."""
    if isinstance(value, str):
        written = lightened(value).encode("utf-8", "backslashreplace").decode()
        return DENSE.sub(_counted, SECRET.sub("<credential>", written))
    if isinstance(value, Mapping):
        return {hidden(str(key)): hidden(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(item) for item in value]
    return None if value is ABSENT else value


def _counted(match: re.Match[str]) -> str:
    return f"<{len(match[0])} characters>"


class Journal:
    """The newest exchanges; adding one costs O(1), beside O(size of its documents)."""

    def __init__(self, most: int = MOST) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=most)

    def add(
        self,
        at: int,
        provider: str,
        account: str | None,
        operation: str | None,
        task: str | None,
        request: Request,
        document: Any,
        claims: Mapping[str, object] | None,
        reply: Reply,
        violations: tuple[Violation, ...],
    ) -> None:
        """Write down one exchange."""
        asked: dict[str, Any] = {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": {name: value for name, value in request.headers.items() if name in HEADERS},
            "body": hidden(document) if len(request.body) > 1024 else document,
        }
        if claims is not None:
            asked["token"] = {name: claims[name] for name in CLAIMS if isinstance(claims.get(name), str | int)}
        answered = {"status": reply.status, "headers": reply.headers, "body": reply.body, "delivery": reply.delivery}
        self._exchanges.append(Exchange(at, provider, account, operation, task, asked, answered, violations))

    def read(self, account: str | None = None, provider: str | None = None) -> Iterator[dict[str, Any]]:
        """Exchanges as JSON documents, oldest first."""
        for row in list(self._exchanges):
            if account in (None, row.account) and provider in (None, row.provider):
                yield _written(row)

    def reset(self, account: str | None) -> None:
        """Forget one account's exchanges, or all."""
        kept = [] if account is None else [row for row in self._exchanges if row.account != account]
        self._exchanges = deque(kept, maxlen=self._exchanges.maxlen)


def _written(row: Exchange) -> dict[str, Any]:
    delivery = row.reply["delivery"]
    late = {"after_ms": delivery.after_ms, "cut_at": delivery.cut_at, "never": delivery.never}
    reply = {"status": row.reply["status"], "headers": dict(row.reply["headers"]), "body": row.reply["body"]}
    if any(late.values()) or delivery.cut_at == 0:
        reply["delivery"] = late
    return {
        "at": row.at,
        "provider": row.provider,
        "account": row.account,
        "operation": row.operation,
        "task": row.task,
        "request": hidden(row.request),
        "reply": hidden(reply),
        "violations": [hidden(listed(violation)) for violation in row.violations],
    }


def listed(violation: Violation) -> dict[str, str]:
    """A violation as it is shown to callers: `{rule, pointer, message, severity}`."""
    return {
        "rule": violation.rule,
        "pointer": violation.pointer,
        "message": violation.message,
        "severity": violation.severity,
    }
