"""What is written down of one probe: the exchanges that passed, as the journal has them, and what was wrong."""

from __future__ import annotations

from typing import Any

from kling_mock.contract.failures import CHECKS, Failure
from kling_mock.contract.target import Answer
from kling_mock.core.expressions import ABSENT
from kling_mock.core.hiding import hidden
from kling_mock.core.model import Exchange, Request
from kling_mock.core.redaction import redacted

SHOWN = frozenset({"content-type", "prefer"})
"""The headers of a request that are kept: credentials are not."""


class Notes:
    """The exchanges and failures of a probe at one provider, whoever of its callers brings them."""

    def __init__(self, provider: str, phase: str, probe: str) -> None:
        self.failures: list[Failure] = []
        self.exchanges: list[Exchange] = []
        self._where = provider, phase, probe

    def passed(self, request: Request, document: Any, answer: Answer, **words: Any) -> Exchange:
        """Write an exchange down; `words` are what is known of it beyond request and answer."""
        asked = {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": {name: value for name, value in request.headers.items() if name in SHOWN},
            "body": None if document is ABSENT else document,
        }
        known = {"operation": None, "role": None, "task": None, **words}
        exchange = Exchange(
            ordinal=len(self.exchanges) + 1,
            provider=self._where[0],
            request=asked,
            reply={"status": answer.status, "headers": dict(answer.headers), "body": answer.shown},
            **known,
        )
        self.exchanges.append(exchange)
        return exchange

    def failed(self, check: str, message: str, expected: Any, got: Any, **words: Any) -> None:
        """Write a failure down, without secrets; `words` are what is known of it beyond the probe and the check."""
        told = {"expected": hidden(expected), "got": hidden(got), "breaks": CHECKS[check].breaks, **words}
        self.failures.append(Failure(check, *self._where, redacted(message), **told))
