"""Webhooks: what is due in the store's outbox, rendered, signed, sent and written back.

One row at a time and no threads: `deliver_due` is all that a caller needs who wants to say when. The server has a
`Deliverer` beside it. A row is leased while it is sent, so that several processes may share an outbox; what a killed
one had leased is due again when the lease runs out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from kling_mock.core.callbacks import CallbackWords, attempted
from kling_mock.core.hiding import hidden
from kling_mock.core.model import Attempt, Task, Webhook
from kling_mock.core.notices import callback_of, notice
from kling_mock.core.provider import Provider
from kling_mock.core.signing import headers
from kling_mock.server.bodies import encode
from kling_mock.server.clocks import Clocks
from kling_mock.server.store import Lease, Store
from kling_mock.server.targets import refusal

log = logging.getLogger("kling_mock")
USUAL_TIMEOUT_MS = 10_000
MARGIN_MS = 4_000


class Webhooks:
    """The outbox of one mock, and its way out."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        store: Store,
        clocks: Clocks,
        media: Callable[[Task], str],
        allowed: Collection[str] = (),
    ) -> None:
        self.store, self.clocks, self.allowed = store, clocks, frozenset(allowed)
        self._media = media
        self._providers = providers
        words = [row for provider in providers.values() for op in provider.operations.values() for row in op.callbacks]
        self.longest_ms = max((row.timeout_ms for row in words), default=USUAL_TIMEOUT_MS) + MARGIN_MS
        """What one attempt takes at most. A lease lasts twice as long: a row may have to wait for its turn."""

    def deliver_due(self) -> int:
        """Send all that is due now, one after the other, until nothing is; gives how many attempts were made."""
        count = 0
        while leases := self.lease(1):
            count += sum(self.attempt(lease) is not None for lease in leases)
        return count

    def lease(self, most: int) -> list[Lease]:
        """Take on what is due."""
        wall = self.clocks.wall()
        return self.store.lease(wall, wall + 2 * self.longest_ms, most)

    def attempt(self, lease: Lease) -> Webhook | None:
        """Try one row and write down what came of it; None if the row is another server's to deliver."""
        row = lease.webhook
        if row.provider not in self._providers:
            return None
        try:
            after = self._attempted(self._providers[row.provider], lease)
        except Exception:
            log.exception("the webhook %s of the task %s could not be made", row.id, row.task)
            after = replace(row, outcome="given up", reason="the mock failed to make it; its log says why")
        self.store.settle_webhook(after)
        self._tell(after)
        return after

    def _attempted(self, provider: Provider, lease: Lease) -> Webhook:
        row = lease.webhook
        task = self.store.task(row.provider, row.task)
        words = callback_of(provider, task) if task else None
        if task is None or words is None:
            why = "the task was forgotten" if task is None else "the task's operation calls nobody back any more"
            return replace(row, outcome="given up", reason=why)
        if reason := refusal(row.url, self.allowed):
            return replace(row, outcome="refused", reason=reason)
        return self._sent(provider, words, task, lease)

    def _sent(self, provider: Provider, words: CallbackWords, task: Task, lease: Lease) -> Webhook:
        # Loaded by the first webhook: a server that sends none starts without it.
        from kling_mock.server.posting import TargetRefused, Undelivered, post

        row, wall = lease.webhook, self.clocks.wall()
        body = encode(notice(provider, words, task, row, self._media(task)))
        sent = {"Content-Type": words.content_type, **self._signed(words, lease, wall, body)}
        try:
            status = post(words.method, row.url, body, sent, words.timeout_ms / 1000, self.allowed)
        except TargetRefused as refused:
            return replace(row, outcome="refused", reason=str(refused))
        except Undelivered as failed:
            return attempted(words, row, Attempt(lease.now, wall, None, str(failed)))
        return attempted(words, row, Attempt(lease.now, wall, status))

    def _signed(self, words: CallbackWords, lease: Lease, wall: int, body: bytes) -> dict[str, str]:
        """The signature's headers; its time is the receiver's, whatever the account's clock says."""
        row = lease.webhook
        account = self.store.account(row.account)
        if words.signing is None or account is None:
            return {}
        return headers(words.signing, account.secrets, lease.now, row.id, wall // 1000, body, row.forged)

    def _tell(self, row: Webhook) -> None:
        to = hidden(row.url)[:200]
        if row.outcome == "refused":
            log.warning("the webhook %s of the task %s was not sent to %s: %s", row.state, row.task, to, row.reason)
        elif row.attempts and log.isEnabledFor(logging.INFO):
            last = row.attempts[-1]
            came = last.error if last.status is None else last.status
            log.info("webhook %s of the task %s to %s: %s", row.state, row.task, to, came)
