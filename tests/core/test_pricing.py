"""Prices as tables; an unknown price stays unknown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kling_mock.core.documents import Place
from kling_mock.core.model import Quote
from kling_mock.core.pricing import Prices, compile_prices, quote
from kling_mock.core.problems import SpecError

DOCUMENTED = {"kind": "documented", "source": "the toymaker's price list", "date": "2026-01"}
ASSUMED = {"kind": "assumed"}
FILMS = {
    "evidence": DOCUMENTED,
    "unit": "thimbles",
    "per": "second",
    "by": ["model", "sound"],
    "usd_per_unit": "0.05",
    "rows": [["bear", "true", "0.1"], ["bear", "", "0.07"]],
}
SETS = {
    "evidence": ASSUMED,
    "unit": "thimbles",
    "per": "item",
    "by": ["model", "seconds"],
    "rows": [["train", "5", "3"], ["bear", "9", "1"]],
}
CALLS = {"evidence": ASSUMED, "unit": "buttons", "per": "call", "by": [], "rows": [["12.50"]]}


def tables(*nodes: dict[str, Any]) -> tuple[Prices, ...]:
    """Compiled tables."""
    return compile_prices(Place({"p.yaml": list(nodes)}, "p.yaml", "", list(nodes)))


def test_seconds_are_multiplied_exactly() -> None:
    """Three tenths are three tenths: amounts are decimals, and so is the rate."""
    found = quote(tables(FILMS), {"model": "bear", "sound": True, "seconds": 3}, 1)
    assert found == Quote(
        Decimal("0.3"),
        "thimbles",
        "3 seconds at 0.1 thimbles (documented)",
        Decimal("0.015"),
        what="3 s",
        evidence=DOCUMENTED,
    )


def test_half_seconds_count() -> None:
    """A fraction of a second is charged as such."""
    found = quote(tables(FILMS), {"model": "bear", "seconds": 2.5}, 1)
    assert found is not None
    assert (found.amount, found.how) == (Decimal("0.175"), "2.5 seconds at 0.07 thimbles (documented)")


def test_items_are_counted_and_calls_are_not() -> None:
    """`item` multiplies by the count, `call` by nothing; without a rate there are no dollars."""
    assert quote(tables(SETS), {"model": "train", "seconds": 5}, 4) == Quote(
        Decimal(12), "thimbles", "4 items at 3 thimbles (assumed)", what="4 items", evidence=ASSUMED
    )
    assert quote(tables(CALLS), {}, 4) == Quote(
        Decimal("12.50"), "buttons", "1 call at 12.5 buttons (assumed)", what="1 call", evidence=ASSUMED
    )


def test_a_call_says_for_which_length_it_is() -> None:
    """A price by the call depends on the seconds all the same; they are said."""
    found = quote(tables(CALLS), {"seconds": 5}, 1)
    assert found is not None
    assert (found.what, found.how) == ("5 s", "1 call of 5 s at 12.5 buttons (assumed)")


def test_a_price_says_how_well_it_is_known() -> None:
    """The evidence is that of the table with the row, not that of the first table."""
    both = tables(FILMS, SETS)
    known = [quote(both, {"model": model, "seconds": 5}, 1) for model in ("bear", "train")]
    assert [row.evidence for row in known if row] == [DOCUMENTED, ASSUMED]
    assert [row.how.rpartition(" ")[2] for row in known if row] == ["(documented)", "(assumed)"]


def test_the_first_table_with_a_row_prices() -> None:
    """Tables are asked in order; a later one answers what an earlier one does not know."""
    both = tables(FILMS, SETS, CALLS)
    assert [q.unit for model in ("bear", "nobody") if (q := quote(both, {"model": model, "seconds": 9}, 1))] == [
        "thimbles",
        "buttons",
    ]
    found = quote(both, {"model": "bear", "seconds": 9}, 1)
    assert found is not None
    assert found.amount == Decimal("0.63")


@pytest.mark.parametrize(
    "job", [{"model": "kite", "seconds": 5}, {}, {"model": "bear", "sound": "loud", "seconds": 5}, {"model": "bear"}]
)
def test_an_unknown_price_is_none(job: dict[str, Any]) -> None:
    """No row, or no seconds to multiply: no price, which is not the price 0."""
    assert quote(tables(FILMS), job, 1) is None


def test_no_tables_no_price() -> None:
    """A kind of job without tables has no known price."""
    assert quote((), {"model": "bear"}, 1) is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["bear", "0.1"], "a row needs a value for each of model, sound and an amount"),
        (["bear", "true", "x", "0.1"], "a row needs a value for each of model, sound and an amount"),
        (["bear", "true", "cheap"], "'cheap' is no amount"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(row: list[str], message: str) -> None:
    """A row of the wrong length, or an amount that is no number, is told with its place."""
    with pytest.raises(SpecError) as error:
        tables({**FILMS, "rows": [["bear", "true", "0.1"], row]})
    [problem] = error.value.problems
    assert (problem.file, problem.pointer) == ("p.yaml", "/0/rows/1")
    assert message in problem.message
