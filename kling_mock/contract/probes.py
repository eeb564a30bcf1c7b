"""A probe: one thing that is found out of a target, by one or more calls; and the plan that is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from msgspec import Struct, field

from kling_mock.contract.caller import Caller
from kling_mock.contract.messages import Message, judged
from kling_mock.contract.purse import at_risk
from kling_mock.core.provider import Provider

PHASES = {
    "examples": "each example of the documents is sent, and gets an answer that they know",
    "rules": "what each rule, feature and keyword allows is accepted, and what it forbids is refused for that reason",
    "lifecycle": "tasks are followed to their end: legal states, the same ids, lists and queries that agree, the price",
    "errors": "credentials, paths, methods and bodies that are wrong, and unknown tasks, get the provider's own errors",
    "webhooks": "what is told to a callback's address is what a query says",
    "fuzz": "schemathesis asks what the documents allow and forbid, and follows their links",
}


class Probe(Struct, frozen=True):
    """One probe of a phase. `sends` are the messages that could cost something; `only_mock` needs a mock's control."""

    phase: str
    name: str
    run: Callable[[Caller], None]
    sends: tuple[Message, ...] = ()
    only_mock: bool = False
    operation: str | None = field(default=None)


def most(provider: Provider, sends: Iterable[Message]) -> Decimal | None:
    """What these messages cost at most at a target that bills; None where a price is not known."""
    total = Decimal(0)
    for message in sends:
        price = at_risk(judged(provider, message))
        if price is None:
            return None
        total += price
    return total
