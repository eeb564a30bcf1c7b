"""The journal: what was asked and answered, without secrets, files or wall times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from kling_mock.core.hiding import hidden
from kling_mock.core.model import NOW, Exchange, Reply, Request, Violation
from kling_mock.core.redaction import redacted_query

HEADERS = frozenset(
    {"accept", "cache-control", "content-length", "content-type", "host", "idempotency-key", "prefer", "user-agent"}
)
CLAIMS = ("iss", "iat", "nbf", "exp")


def asked(request: Request, document: Any, claims: Mapping[str, object] | None) -> dict[str, Any]:
    """A request as the journal keeps it: no credential, of a token its claims, of headers those that matter."""
    row: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "query": redacted_query(request.query),
        "headers": {name: value for name, value in request.headers.items() if name in HEADERS},
        "body": hidden(document) if len(request.body) > 1024 else document,
    }
    if claims is not None:
        row["token"] = {name: claims[name] for name in CLAIMS if isinstance(claims.get(name), str | int)}
    return row


def answered(reply: Reply) -> dict[str, Any]:
    """A reply as the journal keeps it; how it was delivered only where that was not whole and at once."""
    row: dict[str, Any] = {"status": reply.status, "headers": dict(reply.headers), "body": reply.body}
    if reply.raw is not None:
        row |= {"status": reply.raw.status, "body": reply.raw.text}
    if reply.delivery != NOW:
        row["delivery"] = to_builtins(reply.delivery)
    return row


def written(row: Exchange) -> Exchange:
    """An exchange as it may be shown and stored: what is shaped like a credential or a file is replaced."""
    violations = tuple(Violation(**hidden(listed(violation))) for violation in row.violations)
    return replace(row, request=hidden(row.request), reply=hidden(row.reply), violations=violations)


def shown(row: Exchange) -> dict[str, Any]:
    """An exchange as JSON."""
    return {
        "at": row.at,
        "ordinal": row.ordinal,
        "provider": row.provider,
        "account": row.account,
        "operation": row.operation,
        "role": row.role,
        "task": row.task,
        "request": row.request,
        "reply": row.reply,
        "violations": [listed(violation) for violation in row.violations],
        "billed": None if row.billed is None else {"amount": str(row.billed), "unit": row.unit},
        "lost": row.lost,
        "fingerprint": row.fingerprint,
        "saw": [{"task": sight.task, "state": sight.state, "ended": sight.ended} for sight in row.saw],
        "scenario": row.scenario,
    }


def listed(violation: Violation) -> dict[str, str]:
    """A violation as it is shown to callers: `{rule, pointer, message, severity}`."""
    return {
        "rule": violation.rule,
        "pointer": violation.pointer,
        "message": violation.message,
        "severity": violation.severity,
    }
