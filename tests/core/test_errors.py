"""Errors as tables: which entry answers a violation, in which envelope."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kling_mock.core.errors import SITUATIONS, STAGES
from kling_mock.core.model import Violation
from kling_mock.core.provider import Provider, spoken


def violation(situation: str, error: str | None = None, **values: Any) -> Violation:
    """A violation in a situation."""
    return Violation("rule", "/wish", "is wrong", situation=situation, error=error, values=values)


@pytest.mark.parametrize(
    ("situation", "error", "entry"),
    [
        ("token.missing", None, "no-key"),
        ("token.expired", None, "wrong-key"),
        ("body.enum", None, "no-such-toy"),
        ("body.maxLength", None, "bad-order"),
        ("parameters.required", None, "bad-order"),
        ("rules", None, "bad-order"),
        ("rules", "no-wind", "no-wind"),
        ("body.enum", "fire", "fire"),
        ("mock.failure", None, "fire"),
    ],
)
def test_the_most_special_entry_answers(toymaker: Provider, situation: str, error: str | None, entry: str) -> None:
    """The violation's own error goes before its situation's row, that before its stage's."""
    assert toymaker.errors.answer(violation(situation, error)) == entry


def test_a_keyword_without_a_row_is_answered_as_its_schema_is(toymaker: Provider) -> None:
    """The stage needs no row, if its situations have theirs; those that are no keywords are left alone."""
    rows = {**dict.fromkeys(SITUATIONS, "bad-order"), "body.schema": "fire", "body.enum": "no-such-toy"}
    table = replace(toymaker.errors, situations=rows)
    found = [table.answering(f"body.{detail}") for detail in ("maxLength", "enum", "schema", "syntax")]
    assert found == ["fire", "no-such-toy", "fire", "bad-order"]
    assert replace(table, situations={**rows, "body": "fire"}).answering("body.size") == "bad-order"


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_situation_has_an_answer(toymaker: Provider, situation: str) -> None:
    """Whatever can be refused, an entry of the catalogue answers, with a status of an error and a body."""
    reply = toymaker.refuse(violation(situation), {"request": {"id": "r", "method": "GET", "target": "/x"}, "now": 0})
    assert 400 <= reply.status <= 599
    assert reply.body["ok"] is False
    assert reply.error in toymaker.errors.catalogue


def test_stages_are_ranked_as_the_provider_says(toymaker: Provider) -> None:
    """The toy looks at the body before the key, unlike the order of the list of situations."""
    ranks = {stage: toymaker.errors.rank(violation(f"{stage}.x")) for stage in STAGES}
    assert sorted(ranks.values()) == list(range(len(STAGES)))
    assert ranks["route"] < ranks["body"] < ranks["token"] < ranks["parameters"]


def test_an_envelope_speaks_of_the_violation(toymaker: Provider) -> None:
    """The entry's texts are filled from the violation, its envelope from the entry; absent values drop their key."""
    scope = {"request": {"id": "r1"}, "violation": spoken(violation("task.unknown", field="ticket", value="t9"))}
    reply = toymaker.errors.reply("no-such-ticket", scope)
    slip = {"kind": "no-such-ticket", "text": "Nothing hangs on ticket t9", "about": "ticket"}
    assert (reply.status, reply.body) == (404, {"ok": False, "slip": slip, "trace": "r1"})
    assert toymaker.errors.reply("fire", {"violation": {}}).body == {
        "ok": False,
        "slip": {"kind": "fire", "text": "The workshop burns"},
    }


def test_an_entry_has_its_own_envelope_and_headers(toymaker: Provider) -> None:
    """The second envelope is used where an entry names it; headers come with the entries that have them."""
    scope = {"request": {"method": "PUT", "target": "/a"}, "now": 5000, "violation": {}}
    reply = toymaker.errors.reply("no-such-room", scope)
    assert reply.body == {"ok": False, "door": "closed", "asked": "PUT /a", "at": 5}
    assert (reply.headers, reply.error) == ({}, "no-such-room")
    assert toymaker.errors.reply("workshop-busy", scope).headers == {"Retry-After": "3"}


def test_a_violation_speaks_of_itself() -> None:
    """Texts may use rule, pointer, message and all values."""
    assert spoken(violation("body.type", limit=5)) == {
        "rule": "rule",
        "pointer": "/wish",
        "message": "is wrong",
        "limit": 5,
    }
