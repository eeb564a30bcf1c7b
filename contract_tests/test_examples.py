"""Every fixture's request gets a reply that fits its schema, judged by openapi-core."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contract_tests.bundle import Referee
from contract_tests.exchanges import CREATES, EXCHANGES, load, provider_of, send
from contract_tests.target import Target

Aim = Callable[[str], Target]
Judges = Callable[[str], Referee]


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_reply_to_an_example_fits_its_schema(name: str, aim: Aim, referee: Judges) -> None:
    """Whatever a new target answers to the example (its tasks are unknown there) is an answer that the spec knows."""
    target = aim(provider_of(name))
    reply = send(target, name)
    assert reply.status < 500
    assert referee(provider_of(name)).reply(target.provider.operations[load(name)["operation"]], reply) == []


@pytest.mark.parametrize("name", CREATES)
def test_an_example_that_creates_a_task_is_accepted(name: str, aim: Aim) -> None:
    """The documents' own creates make a task."""
    reply = send(aim(provider_of(name)), name)
    assert reply.status < 300, reply.body[:500]
