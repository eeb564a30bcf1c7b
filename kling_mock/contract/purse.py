"""What a run may spend at a target that bills: nothing is sent that could be accepted unless it is covered."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from kling_mock.core.judging import Judgement
from kling_mock.core.model import Violation
from kling_mock.core.verdicts import evidence


class Spent(Struct, frozen=True):
    """A create that was accepted or may have been: its task (None: nobody told), and what it costs by its quote.

    `amount` is None where no price is known; `wanted` says that the documents allow the job, so it was to be paid.
    """

    task: str | None
    amount: Decimal | None
    unit: str | None
    wanted: bool


class LeftOut(Exception):
    """What is not tried, and why: a probe that meets it is neither held nor failed."""


class TooDear(LeftOut):
    """A request that is not sent: it could cost more than is left, or nobody knows what."""


class MoneySpent(Exception):
    """The target accepted, or may have, and will bill what the documents say that it refuses: the run stops here."""


class Purse:
    """The money of a run. Without a limit everything may be sent: the target is a mock and bills nobody.

    A provider's units are added up whatever they are called: rather too little is spent than too much.
    """

    def __init__(self, limit: Decimal | None = None) -> None:
        self.limit, self.spent = limit, list[Spent]()

    @property
    def left(self) -> Decimal:
        """What may still be spent, in the provider's unit."""
        assert self.limit is not None
        return self.limit - sum((row.amount or Decimal(0) for row in self.spent), Decimal(0))

    def cover(self, judgement: Judgement) -> None:
        """Let a request pass that is free or covered. Raises `TooDear`."""
        if self.limit is None:
            return
        price = at_risk(judgement)
        if price is None:
            raise TooDear("could be accepted at a price that nobody knows")
        if price and price > self.left:
            raise TooDear("could cost more than may be spent")


def at_risk(judgement: Judgement) -> Decimal | None:
    """What a request costs if it is accepted after all; None where no price is known.

    Only creates cost anything. One that is refused for a reason that was observed is sure to be free; a reason that is
    only documented may be stale, so its request counts in full.
    """
    if judgement.call.operation is None or judgement.call.operation.role != "create":
        return Decimal(0)
    if any(observed(judgement, violation) for violation in judgement.refused):
        return Decimal(0)
    return judgement.quote.amount if judgement.quote else None


def observed(judgement: Judgement, violation: Violation) -> bool:
    """Whether somebody has seen the provider refuse something for this reason."""
    known = evidence(judgement.call.provider, violation)
    return known is not None and known.get("kind") == "observed"
