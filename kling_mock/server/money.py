"""Money: what an account's ledger holds, and what its client's conduct cost, as functions that know no HTTP.

The control API and the pytest plugin call the same ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct

from kling_mock.core.conduct import Abandoned, DuplicateSpend, Fate, Polling, abandoned, duplicate_spend, polling
from kling_mock.core.lifecycle import ending
from kling_mock.core.model import Account, Balance, Entry, Task, Webhook
from kling_mock.core.notices import told_end
from kling_mock.core.provider import Provider
from kling_mock.server import steering
from kling_mock.server.mock import Mock


class Ledger(Struct, frozen=True):
    """An account's packs at `now`, and the newest of its lines, those to come included."""

    now: int
    balances: tuple[Balance, ...]
    open_slots: Mapping[str, int]
    entries: tuple[Entry, ...]


class Report(Struct, frozen=True):
    """How clients behaved, as far back as the journal reaches."""

    duplicate_spend: tuple[DuplicateSpend, ...]
    abandoned: tuple[Abandoned, ...]
    polling: tuple[Polling, ...]


def ledger(mock: Mock, owner: Account) -> Ledger:
    """The ledger of an account; a pack that it does not hold pays nothing, so its lines are not shown."""
    found, held = steering.holdings(mock, owner), {pack.type for pack in owner.packs}
    rows = mock.store.entries(owner.id)
    return Ledger(
        found.now, found.balances, found.open_slots, tuple(row for row in rows if row.of == "slots" or row.pack in held)
    )


def report(mock: Mock, owner: str | None = None) -> Report:
    """The verdicts on one account's exchanges, or on everybody's."""
    rows, fates = tuple(mock.store.exchanges(owner)), _fates(mock, owner)
    return Report(duplicate_spend(rows, fates), abandoned(rows, fates), polling(rows, fates))


def _fates(mock: Mock, owner: str | None) -> dict[str, Fate]:
    """What has become of each task that is remembered, on its account's clock."""
    tasks = [task for task in mock.store.tasks(owner) if task.provider in mock.providers]
    now = {account: mock.clocks.now(account) for account in {task.account for task in tasks}}
    posted: dict[str, list[Webhook]] = defaultdict(list)
    for row in mock.store.webhooks(owner):
        posted[row.task].append(row)
    return {task.id: _fate(mock.providers[task.provider], task, now[task.account], posted[task.id]) for task in tasks}


def _fate(provider: Provider, task: Task, now: int, posted: Iterable[Webhook]) -> Fate:
    end = ending(provider.lifecycle, task)
    if end is None or end.at > now:
        return Fate(now, task.created)
    notified = any(row.changed >= end.at and told_end(provider, task, row) for row in posted)
    return Fate(now, task.created, end.at, provider.lifecycle.states[end.state].ends, notified)
