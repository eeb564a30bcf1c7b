"""Prices as tables: the first table with a row for the job's parameters prices it; no row means unknown, never 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from msgspec import Struct

from kling_mock.core.documents import Place
from kling_mock.core.expressions import text
from kling_mock.core.model import Quote


class Prices(Struct, frozen=True):
    """One table: what one `per` costs by the values of the parameters in `by`, and how well that is known."""

    unit: str
    per: Literal["second", "call", "item"]
    by: tuple[str, ...]
    rows: Mapping[tuple[str, ...], Decimal]
    evidence: Mapping[str, Any]
    usd_per_unit: Decimal | None = None


def compile_prices(place: Place) -> tuple[Prices, ...]:
    """Read the tables of one kind of job. Raises `SpecError` for a row whose length does not fit `by`."""
    return tuple(_table(table) for table in place.each())


def _table(place: Place) -> Prices:
    node = place.node
    by = tuple(node["by"])
    rows = {}
    for row in place.get("rows").each():
        *values, amount = row.node
        if len(values) != len(by):
            raise row.error(f"a row needs a value for each of {', '.join(by)} and an amount")
        try:
            rows[tuple(map(text, values))] = Decimal(amount)
        except InvalidOperation:
            raise row.error(f"{amount!r} is no amount") from None
    rate = node.get("usd_per_unit")
    return Prices(node["unit"], node["per"], by, rows, node["evidence"], Decimal(rate) if rate else None)


def quote(tables: Sequence[Prices], parameters: Mapping[str, Any], count: int) -> Quote | None:
    """What a job with these parameters costs; None when no table knows it."""
    for table in tables:
        amount = table.rows.get(tuple(text(parameters.get(name, "")) for name in table.by))
        if amount is not None:
            return _quote(table, amount, parameters, count)
    return None


def _quote(table: Prices, amount: Decimal, parameters: Mapping[str, Any], count: int) -> Quote | None:
    seconds = parameters.get("seconds")
    units: Any = {"second": seconds, "call": 1, "item": count}[table.per]
    if units is None:
        return None
    total = amount * Decimal(str(units))
    length = f"{text(seconds)} s" if seconds is not None and table.per != "item" else ""
    counted = f"{text(units)} {table.per}{'' if units == 1 else 's'}"
    named = f"{counted} of {length}" if length and table.per == "call" else counted
    how = f"{named} at {text(amount)} {table.unit} ({table.evidence['kind']})"
    usd = total * table.usd_per_unit if table.usd_per_unit else None
    return Quote(total, table.unit, how, usd, length or counted, table.evidence)
