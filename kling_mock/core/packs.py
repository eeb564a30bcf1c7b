"""Packs in time: from when on and until when one can be spent, and how it stands at an instant.

Nothing happens when a pack expires: its balance stays what it is, and what running tasks have reserved is settled or
given back as ever. Only a create asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from kling_mock.core.expressions import FILTERS
from kling_mock.core.model import Account, Balance, Pack

Standing = Literal["pending", "open", "empty", "expired"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)


class Validity(Struct, frozen=True):
    """The instants (the account's virtual ms) from which and before which a pack can be spent; None: for ever."""

    since: int
    until: int | None


def usual(packs: Iterable[Pack]) -> tuple[Pack, ...]:
    """A provider's packs as an account gets them that asks for none: without an end of their own."""
    return tuple(replace(pack, valid_ms=None) for pack in packs)


def validity(own: Iterable[Pack], account: Account, pack: Pack, now: int) -> Validity:
    """When a pack of an account can be spent, as seen at `now`.

    One whose end nobody has chosen lasts as long as its provider's `own` packs do and is then bought anew, with what it
    held: a mock that has run for months, or a test that jumps a year, goes on. One with an end of its own expires.
    """
    since = account.created if pack.since is None else pack.since
    if pack.valid_ms is not None:
        return Validity(since, since + pack.valid_ms)
    lasts = next((row.valid_ms for row in own if row.type == pack.type), None)
    if not lasts:
        return Validity(since, None)
    since += max(0, now - since) // lasts * lasts
    return Validity(since, since + lasts)


def slots_of(account: Account, type_: str) -> int | None:
    """How many jobs of one pack's type an account may have open at once; None is no limit."""
    return next((row.slots for row in account.packs if row.type == type_ and row.slots is not None), account.slots)


def stands(balance: Balance, valid: Validity, now: int) -> Standing:
    """How a pack stands; one that has expired is no longer said to be empty."""
    if now < valid.since:
        return "pending"
    if valid.until is not None and now >= valid.until:
        return "expired"
    return "open" if balance.balance > 0 else "empty"


def unusable(balance: Balance, valid: Validity, now: int) -> str | None:
    """Why a pack cannot be spent at `now`, whatever it holds."""
    word, type_ = stands(balance, valid, now), balance.pack.type
    if word not in ("pending", "expired"):
        return None
    when = f"can be spent from {_iso(valid.since)} on" if word == "pending" else f"expired at {_iso(valid.until)}"
    return f"the {type_} pack {when}, the account's clock is at {_iso(now)}; the account's PATCH renews packs"


def _iso(at: int | None) -> str:
    return str(FILTERS["iso"](at, ""))
