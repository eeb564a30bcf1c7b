"""What the control API answers about money: an account's ledger, and the report on how clients behaved."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask import Response
from msgspec import to_builtins

from kling_mock.core.model import Account, Balance, Entry
from kling_mock.core.packs import slots_of, stands, validity
from kling_mock.server import money, steering
from kling_mock.server.control_document import Given
from kling_mock.server.mock import Mock
from kling_mock.server.problem_details import reply


def number(amount: Decimal) -> int | float:
    """An amount as a JSON number, without a needless fraction."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def pack(mock: Mock, owner: Account, row: Balance, now: int, taken: Mapping[str, int]) -> dict[str, Any]:
    """A pack with what it holds, when it can be spent, and how many slots are `taken`, by pack."""
    valid = validity(mock.providers[owner.provider].packs, owner, row.pack, now)
    return {
        "type": row.pack.type,
        "unit": row.pack.unit,
        "total": number(row.pack.total),
        "balance": number(row.balance),
        "reserved": number(row.reserved),
        "spent": number(row.spent),
        "standing": stands(row, valid, now),
        "effective_at": valid.since,
        "invalid_at": valid.until,
        "slots": slots_of(owner, row.pack.type),
        "open_slots": taken.get(row.pack.type, 0),
    }


def ledger(mock: Mock, given: Given) -> Response:
    """GET /_mock/accounts/{id}/ledger"""
    owner = steering.account(mock, given.path["id"], why="missing")
    found = money.ledger(mock, owner)
    packs = [pack(mock, owner, row, found.now, found.open_slots) for row in found.balances]
    entries = [_entry(row, found.now) for row in found.entries]
    return reply({"packs": packs, "entries": entries})


def _entry(row: Entry, now: int) -> dict[str, Any]:
    return {
        "at": row.at,
        "pack": row.pack or None,
        "of": row.of,
        "amount": number(row.amount),
        "task": row.task,
        "due": row.at <= now,
    }


def report(mock: Mock, given: Given) -> Response:
    """GET /_mock/report"""
    account = given.query.get("account")
    if account is not None:
        steering.account(mock, account, "query/account")
    found: Mapping[str, Any] = to_builtins(money.report(mock, account), builtin_types=(Decimal,))
    return reply({name: [_numbered(row) for row in rows] for name, rows in found.items()})


def _numbered(row: dict[str, Any]) -> dict[str, Any]:
    return {name: number(value) if isinstance(value, Decimal) else value for name, value in row.items()}
