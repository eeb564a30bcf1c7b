"""What every store must do, asked of each kind: deciding, tasks, ledgers, journal, accounts and clocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from kling_mock.core.clock import IDENTITY, Line, start
from kling_mock.core.model import (
    Account,
    Append,
    Attempt,
    Count,
    Counter,
    Decision,
    Entry,
    Found,
    Page,
    Post,
    PutTask,
    Reads,
    Record,
    Result,
    Secret,
    Violation,
    Withdraw,
)
from kling_mock.server.store import StoreError, open_store
from tests.conftest import AT
from tests.server.storing import ANN, BOB, DONE, URLS, VIDEO, Keeper, at_once, entry, exchange, hook, ids, keeper, task

Open = Callable[..., Keeper]
ODD = ["\ud800", "nul\0in it", "日本語 🎬", "'; DROP TABLE tasks; --", ""]


@pytest.fixture(params=URLS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens a store of each kind."""
    made: list[Keeper] = []

    def make(**retention: Any) -> Keeper:
        made.append(keeper(request.param, tmp_path / str(len(made)), **retention))
        return made[-1]

    for number in range(3):
        (tmp_path / str(number)).mkdir()
    yield make
    for one in made:
        one.store.close()


@pytest.fixture
def kept(opened: Open) -> Keeper:
    """A store of each kind with two accounts."""
    one = opened()
    assert one.store.add_account(ANN), "a new account is kept"
    assert one.store.add_account(BOB), "a new account is kept"
    return one


def test_a_url_that_names_no_store() -> None:
    """Neither another scheme nor one without a file is guessed at; the message names what there is."""
    for url in ("redis://localhost", "sqlite://", "sqlite:///", "", "memory"):
        with pytest.raises(StoreError, match="memory:// and sqlite:///FILE are known"):
            open_store(url)


# Deciding


def test_a_step_that_raises_leaves_nothing_behind(kept: Keeper) -> None:
    """Neither the number of the request nor anything that would have been done."""

    def step(found: Found) -> Decision:
        raise LookupError(found.ordinal)

    kept.found()
    with pytest.raises(LookupError, match="2"):
        kept.store.decide(Reads(), "toy", ANN, None, lambda: AT, step)
    assert kept.found().ordinal == 2, "the number was given back"


def test_the_effects_of_one_decision_come_together(kept: Keeper) -> None:
    """All of them are seen by the next call, and none by the step itself."""
    seen: list[Found] = []

    def step(found: Found) -> Decision:
        seen.append(found)
        return Decision(DONE, (PutTask(task("t")), Append((entry("reserve", 7),)), Count("ann", "n", AT)))

    asked = Reads(("t",), balances=True, counters=("n",))
    for _ in range(2):
        kept.store.decide(asked, "toy", ANN, None, lambda: AT, step)
    before, after = seen
    assert before.tasks == {}
    assert before.counters == {"n": Counter()}
    assert ids(after.tasks.values()) == ["t"]
    assert after.balances[0].reserved == 7
    assert after.counters == {"n": Counter(1, AT)}


def test_two_decisions_never_overlap(kept: Keeper) -> None:
    """A step that reads and writes what others do loses no update: a hundred calls by eight threads count to 100."""

    def raised(found: Found) -> Decision:
        before = found.tasks.get("t")
        count = before.request if before else 0
        return Decision(DONE, (PutTask(task("t", request=count + 1)),))

    at_once(100, lambda _: kept.store.decide(Reads(("t",)), "toy", ANN, None, lambda: AT, raised))
    assert kept.found(tasks=("t",)).tasks["t"].request == 100


def test_a_step_runs_alone(kept: Keeper) -> None:
    """While one step takes its time no other is begun, whatever it reads."""
    inside: list[int] = []
    most: list[int] = []

    def slow(found: Found) -> Decision:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.005)
        inside.pop()
        return Decision(DONE)

    at_once(8, lambda _: kept.store.decide(Reads(), "toy", ANN, None, lambda: AT, slow))
    assert most == [1] * 8


def test_requests_are_numbered_by_account_or_by_whom_they_claim_to_be(kept: Keeper) -> None:
    """From 1, each on its own; what claims to be nobody has no number."""
    assert [kept.found(ANN).ordinal, kept.found(ANN).ordinal, kept.found(BOB).ordinal] == [1, 2, 1]
    assert kept.found(None).ordinal == 0, "nobody"
    assert [kept.found(None, claimed=claimed).ordinal for claimed in ("ann", "toy")] == [3, 1], (
        "a claim counts as a call of that account"
    )
    assert kept.store.fetch(Reads(), "toy", ANN, lambda: AT).ordinal == 3, "to look is not to call"


def test_no_number_of_a_sequence_is_given_twice(kept: Keeper) -> None:
    """Eight threads get the numbers from 1 on, each once; another sequence has its own."""
    assert sorted(at_once(200, lambda _: kept.store.number("accounts"))) == list(range(1, 201))
    assert kept.store.number("others") == 1


def test_counters_count_and_remember_the_first_time(kept: Keeper) -> None:
    """By account and name."""
    for at in (AT, AT + 5):
        kept.do(Count("ann", "query/t", at))
    assert kept.found(counters=("query/t", "other")).counters == {"query/t": Counter(2, AT), "other": Counter()}
    assert kept.found(BOB, counters=("query/t",)).counters == {"query/t": Counter()}


def test_looking_changes_nothing(kept: Keeper) -> None:
    """What `fetch` finds is what a decision would be shown."""
    kept.put(task("t", alias="mine"))
    kept.do(Append((entry("reserve", 7),)))
    asked: dict[str, Any] = {
        "tasks": ("t",),
        "alias": "mine",
        "page": Page("video", 1, 9),
        "balances": True,
        "counters": ("n",),
    }
    looked = kept.store.fetch(Reads(**asked), "toy", ANN, lambda: AT)
    assert replace(looked, ordinal=2) == kept.found(**asked)


# Tasks


def test_a_task_comes_back_as_it_went_in(kept: Keeper) -> None:
    """Every field, with its type: numbers of any size, decimals, nested documents."""
    document = {"a": [1, 2.0, None, True, {"b": "ü\ud800"}], "big": 10**30, "small": -(2**63), "": "\0"}
    result = Result("video", 2, 1280, 720, "16:9", 5000, 30, "video", 1, "{uuid}")
    words: dict[str, Any] = {
        "alias": "mine",
        "scenario": "slow seconds=90",
        "reason": "r",
        "request": document,
        "result": result,
    }
    whole = task(
        "t", **words, parameters={"seconds": 5.0}, price=Decimal("0.70"), media="http://x", callback="http://y"
    )
    kept.put(whole)
    found = kept.found(tasks=("t",), alias="mine", page=Page("video", 1, 9))
    assert found.tasks["t"] == found.alias == found.page[0] == kept.store.task("toy", "t") == whole
    assert str(found.tasks["t"].price) == "0.70", "not 0.7"


def test_an_account_sees_its_own_tasks_and_nobody_sees_all(kept: Keeper) -> None:
    """Somebody else's task is as good as none; a call without an account sees any, in the time of its owner."""
    kept.put(task("of-ann"), task("of-bob", "bob"))
    kept.store.turn("bob", None, IDENTITY.advance(AT, 5000))
    assert list(kept.found(ANN, tasks=("of-ann", "of-bob", "none")).tasks) == ["of-ann"]
    anybody = kept.found(None, tasks=("of-bob",))
    assert (list(anybody.tasks), anybody.now) == (["of-bob"], AT + 5000)


def test_ids_are_of_a_provider(kept: Keeper) -> None:
    """Two providers may give the same id."""
    kept.put(task("t", request="one"), task("t", "bob", provider="other", request="two"))
    assert kept.found(None, tasks=("t",)).tasks["t"].request == "one"
    assert kept.found(None, provider="other", tasks=("t",)).tasks["t"].request == "two"
    assert kept.store.task("third", "t") is None


def test_a_page_is_newest_first(kept: Keeper) -> None:
    """Of one kind and account; the last one is shorter, the next one empty."""
    kept.put(*(task(f"t{n}") for n in range(5)), task("image", kind="image"), task("other", "bob"))
    pages = [ids(kept.found(page=Page("video", number, 2)).page) for number in (1, 2, 3, 4)]
    assert pages == [["t4", "t3"], ["t2", "t1"], ["t0"], []]
    assert kept.found(page=Page("none", 1, 2)).page == ()
    assert kept.found(None, page=Page("video", 1, 2)).page == (), "nobody has no tasks"


def test_a_changed_task_keeps_its_place(kept: Keeper) -> None:
    """It is the same task, in every way in which it is found, and there are no more than before."""
    kept.put(task("old", alias="mine"), task("new"))
    kept.put(task("old", alias="mine", reason="forced"))
    found = kept.found(tasks=("old",), alias="mine", page=Page("video", 1, 9))
    assert ids(found.page) == ["new", "old"]
    assert found.tasks["old"].reason == "forced"
    assert found.alias == found.page[1] == found.tasks["old"]


def test_an_alias_is_its_accounts(kept: Keeper) -> None:
    """The same word may mean another task to somebody else; the newest of one's own."""
    kept.put(task("a", alias="x"), task("b", "bob", alias="x"), task("c", alias="x"), task("d", alias=""))
    assert [found.id if (found := kept.found(by, alias="x").alias) else None for by in (ANN, BOB)] == ["c", "b"]
    assert kept.found(alias="y").alias is None
    assert kept.found(alias="").alias is None, "no alias is no alias"


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_any_word_may_come_from_outside(kept: Keeper, odd: str) -> None:
    """As an id, an alias, a counter, a credential: it is found again, or not, but nothing breaks."""
    kept.put(task(f"t{odd}", alias=f"a{odd}"))
    kept.do(Count("ann", odd, AT))
    found = kept.found(tasks=(f"t{odd}", odd), alias=f"a{odd}", counters=(odd,))
    assert list(found.tasks) == [f"t{odd}"]
    assert found.alias == found.tasks[f"t{odd}"]
    assert found.counters == {odd: Counter(1, AT)}
    assert kept.store.owner("toy", "key", odd) is None
    assert kept.store.add_account(Account("odd", "toy", {"key": odd}, AT))
    assert kept.store.owner("toy", "key", odd) == kept.store.account("odd")


def test_tasks_are_listed_oldest_first(kept: Keeper) -> None:
    """All, an account's, a provider's; what is made while one reads is not among them."""
    kept.put(*(task(f"t{n}", "ann" if n % 2 else "bob") for n in range(1200)), task("x", provider="other"))
    assert ids(kept.store.tasks()) == [*(f"t{n}" for n in range(1200)), "x"]
    assert ids(kept.store.tasks("bob")) == [f"t{n}" for n in range(0, 1200, 2)]
    assert ids(kept.store.tasks("ann", "other")) == ["x"]
    reading = kept.store.tasks()
    next(reading)
    kept.put(task("late"))
    assert "late" not in ids(reading)


def test_the_oldest_tasks_make_room(opened: Open) -> None:
    """By count; they are gone from pages and aliases, and what follows keeps its place."""
    kept = opened(tasks=3)
    kept.put(*(task(f"t{n}", alias=f"a{n}") for n in range(5)))
    assert ids(kept.store.tasks()) == ["t2", "t3", "t4"]
    found = kept.found(tasks=("t0", "t2"), alias="a0", page=Page("video", 1, 2))
    assert (list(found.tasks), found.alias, ids(found.page)) == (["t2"], None, ["t4", "t3"])
    assert ids(kept.found(page=Page("video", 2, 2)).page) == ["t2"]


def test_old_tasks_make_room_by_age(opened: Open) -> None:
    """Age is counted from the newest create; one of that very age stays."""
    kept = opened(age_ms=10)
    kept.put(task("a", created=AT), task("b", created=AT + 1), task("c", created=AT + 11))
    assert ids(kept.store.tasks()) == ["b", "c"]


def test_age_is_an_accounts_own(opened: Open) -> None:
    """Time that passed for one account makes nobody else's tasks old."""
    kept = opened(age_ms=10)
    kept.put(task("a", created=AT), task("b", "bob", created=AT), task("c", "bob", created=AT + 1000))
    assert ids(kept.store.tasks()) == ["a", "c"]


def test_room_is_made_after_a_reset_as_before(opened: Open) -> None:
    """What was forgotten does not count."""
    kept = opened(tasks=3, exchanges=3, webhooks=3)
    kept.put(task("a"), task("b", "bob"), task("c"))
    kept.do(*(Record(exchange(1, name)) for name in ("ann", "bob", "ann")))
    kept.store.reset("ann")
    kept.put(task("d"), task("e"))
    kept.do(*(Record(exchange(n, "ann")) for n in (1, 2)))
    assert ids(kept.store.tasks()) == ["b", "d", "e"]
    assert [row.account for row in kept.store.exchanges()] == ["bob", "ann", "ann"]


def test_what_is_decided_later_is_later(kept: Keeper) -> None:
    """Time is read within the transaction: nobody decides by a time from before somebody else's decision."""
    wall, seen = count(AT), list[tuple[int, int]]()

    def step(found: Found) -> Decision:
        seen.append((found.ordinal, found.now))
        return Decision(DONE)

    def call(_: int) -> None:
        kept.store.decide(Reads(), "toy", ANN, None, wall.__next__, step)

    at_once(50, call)
    assert [now for _, now in sorted(seen)] == [AT + n for n in range(50)]


# Ledgers


def test_balances_are_those_of_the_accounts_time(kept: Keeper) -> None:
    """A line counts from its date on, by the clock of its account."""
    kept.do(
        Append((entry("reserve", 30), entry("settle", 30, AT + 10), entry("slots", 2), entry("slots", -2, AT + 10)))
    )
    assert kept.held() == (70, 30, 0)
    assert kept.found(balances=True).open_slots == {"video": 2}
    kept.store.turn("ann", None, IDENTITY.advance(AT, 9))
    assert kept.held() == (70, 30, 0), "a moment before"
    assert kept.held(wall=AT + 1) == (70, 0, 30)
    assert kept.found(wall=AT + 1, balances=True).open_slots == {}
    assert kept.held(BOB) == (100, 0, 0), "somebody else's"


def test_looking_at_balances_loses_no_line(kept: Keeper) -> None:
    """While others append, and time goes on."""

    def work(n: int) -> None:
        if n % 2:
            kept.do(Append((entry("reserve", 1, AT + n + 1),)), wall=AT + n)
        else:
            kept.store.fetch(Reads(balances=True), "toy", ANN, lambda: AT + n)

    at_once(200, work)
    assert kept.held(wall=AT + 500) == (0, 100, 0)


def test_decimals_are_summed_exactly(kept: Keeper) -> None:
    """Tenths add up."""
    kept.do(Append(tuple(Entry(AT, "ann", "video", "reserve", Decimal("0.10"), "t") for _ in range(3))))
    assert str(kept.found(balances=True).balances[0].reserved) == "0.30"


def test_what_is_withdrawn_never_counts_and_what_was_due_stays(kept: Keeper) -> None:
    """A forced task: its end is taken back and dated anew, in one decision; other tasks keep theirs."""
    kept.do(Append((entry("reserve", 30), entry("settle", 30, AT + 10), entry("refund", 5, AT + 10, "u"))))
    kept.do(Withdraw("ann", "t", AT), Append((entry("refund", 30, AT + 5),)))
    assert [(row.of, row.at - AT, row.task) for row in kept.store.entries("ann")] == [
        ("reserve", 0, "t"),
        ("refund", 5, "t"),
        ("refund", 10, "u"),
    ]
    assert kept.held(wall=AT + 20) == (105, -5, 0)
    kept.do(Withdraw("ann", "t", AT), wall=AT + 20)
    assert kept.held(wall=AT + 20) == (105, -5, 0), "what was counted cannot be taken back"
    kept.do(Append((entry("reserve", 9, AT + 30),)), wall=AT + 20)
    kept.do(Withdraw("ann", "t", AT + 30), wall=AT + 30)
    assert kept.held(wall=AT + 30) == (96, 4, 0), "nor what is due at that very moment"


def test_lines_are_shown_by_date_and_the_counted_ones_first(kept: Keeper) -> None:
    """Those to come are included; of the same date, in the order of their making."""
    kept.do(Append((entry("settle", 1, AT + 9), entry("reserve", 2, AT), entry("slots", 3, AT + 5))))
    kept.do(Append((entry("slots", 4, AT + 5),)))
    assert [int(row.amount) for row in kept.store.entries("ann")] == [2, 3, 4, 1]
    kept.held(wall=AT + 20)
    assert [int(row.amount) for row in kept.store.entries("ann")] == [2, 3, 4, 1], "also when all have come"
    assert kept.store.entries("nobody") == []


def test_forgotten_lines_stay_in_the_totals(opened: Open) -> None:
    """The newest counted ones are kept for show; the sums are of all."""
    kept = opened(entries=3)
    for n in range(1, 8):
        kept.do(Append((entry("reserve", n, AT + n),)))
    assert kept.held(wall=AT + 7) == (72, 28, 0)
    assert [int(row.amount) for row in kept.store.entries("ann")] == [5, 6, 7]


def test_forgotten_tasks_take_no_money_with_them(opened: Open) -> None:
    """What their lines settle later is spent all the same, and balance + reserved + spent stays what was bought."""
    kept = opened(tasks=1)
    for n in range(4):
        lines = (entry("reserve", 10, AT, f"t{n}"), entry("settle", 10, AT + 10 + n, f"t{n}"))
        kept.do(PutTask(task(f"t{n}")), Append(lines))
    held = [kept.held(wall=AT + later) for later in (0, 10, 12, 99)]
    assert held == [(60, 40, 0), (60, 30, 10), (60, 10, 30), (60, 0, 40)]
    assert {sum(row) for row in held} == {100}


# The journal


def test_the_journal_is_in_order_and_can_be_filtered(kept: Keeper) -> None:
    """By account, by provider, by both."""
    for n, (account, provider) in enumerate([("ann", "toy"), ("bob", "toy"), (None, "toy"), ("ann", "other")]):
        kept.do(Record(exchange(n, account, provider)))
    rows = [[row.ordinal for row in kept.store.exchanges(*words)] for words in ((), ("ann",), (None, "toy"))]
    assert rows == [[0, 1, 2, 3], [0, 3], [0, 1, 2]]
    assert [row.ordinal for row in kept.store.exchanges("ann", "other")] == [3]


def test_an_exchange_comes_back_whole_without_secrets_and_long_texts(kept: Keeper) -> None:
    """Credentials and files are replaced, everything else is as it was."""
    wrong = Violation("toy/rule", "/a", "wrong", "warning", "situation", "error", {"value": "x"})
    reply = {"status": 200, "body": {"a": [1, 2.5, None]}}
    whole = exchange(
        request={"body": {"token": "Bearer abcdefghijk", "image": "A" * 200}},
        reply=reply,
        violations=(wrong,),
        billed=Decimal("0.70"),
        unit="unit",
        fingerprint="f",
        task="t",
        operation="make",
        role="create",
    )
    kept.do(Record(whole))
    (row,) = kept.store.exchanges()
    assert row.request == {"body": {"token": "<credential>", "image": "<200 characters>"}}
    assert [(v.rule, v.pointer, v.message, v.severity) for v in row.violations] == [
        ("toy/rule", "/a", "wrong", "warning")
    ]
    assert replace(row, request=whole.request, violations=whole.violations) == whole


def test_the_oldest_exchanges_make_room(opened: Open) -> None:
    """By count, whoever's they are."""
    kept = opened(exchanges=3)
    for n in range(5):
        kept.do(Record(exchange(n, "ann" if n % 2 else "bob")))
    assert [row.ordinal for row in kept.store.exchanges()] == [2, 3, 4]


def test_a_lost_answer_is_written_down(kept: Keeper) -> None:
    """On the newest exchange of that number and time; one that is not there is not missed."""
    kept.do(*(Record(exchange(n, account, at=AT + n)) for account in ("ann", "bob") for n in (1, 2, 1)))
    for account, ordinal, at in (("ann", 1, AT + 1), ("bob", 2, AT + 2), ("bob", 1, AT), ("ann", 9, AT)):
        kept.store.lose(account, ordinal, at)
    assert [row.lost for row in kept.store.exchanges()] == [False, False, True, False, True, False]


# Accounts and clocks


def test_accounts_are_found_by_id_and_credential(kept: Keeper) -> None:
    """In the order of their making; a second one of the same id is not taken, nor its credentials."""
    twin = Account("ann", "toy", {"key": "of-twin"}, AT)
    assert not kept.store.add_account(twin)
    assert kept.store.accounts() == [ANN, BOB]
    assert kept.store.account("ann") == kept.store.owner("toy", "key", "of-ann") == ANN
    assert kept.store.account("none") is None
    for words in (("toy", "key", "of-twin"), ("toy", "other", "of-ann"), ("other", "key", "of-ann")):
        assert kept.store.owner(*words) is None, words


def test_a_pack_keeps_its_validity_and_expiry_takes_no_money(kept: Keeper) -> None:
    """It comes back as it went in; what it holds and what comes due is the same long after its end."""
    short = replace(ANN, packs=(replace(VIDEO, since=AT + 5, valid_ms=10),))
    assert kept.store.change_account(ANN, short)
    assert kept.store.account("ann") == kept.store.owner("toy", "key", "of-ann") == short
    kept.do(Append((entry("reserve", 30), entry("settle", 30, AT + 20))), by=short)
    assert kept.held(short, AT + 15) == (70, 30, 0)
    assert kept.held(short, AT + 20) == (70, 0, 30)
    assert kept.found(short, AT + 20, balances=True).balances[0].pack == short.packs[0]


def test_an_account_is_changed_only_if_nobody_was_faster(kept: Keeper) -> None:
    """Its credentials stay."""
    one, two = (replace(ANN, secrets=(Secret(word),), slots=3, scenario="slow") for word in ("one", "two"))
    assert kept.store.change_account(ANN, one)
    assert not kept.store.change_account(ANN, two), "it is not that any more"
    assert not kept.store.change_account(Account("none", "toy", {}, AT), two)
    assert kept.store.accounts() == [one, BOB]
    assert kept.store.owner("toy", "key", "of-ann") == one


def test_a_clock_is_turned_only_if_nobody_was_faster(kept: Keeper) -> None:
    """The base clock and an account's, each on its own; None stands for a clock that was never set."""
    frozen, later = start(AT, AT), start(AT, AT + 5)
    assert kept.store.line(None) is kept.store.line("ann") is None
    assert kept.store.turn(None, None, frozen)
    assert not kept.store.turn(None, None, later), "it is set already"
    assert not kept.store.turn(None, later, later), "it is not that"
    assert kept.store.turn("ann", None, later)
    assert (kept.store.line(None), kept.store.line("ann"), kept.store.line("bob")) == (frozen, later, None)
    assert kept.store.turn(None, frozen, later)
    assert kept.store.line(None) == later


def test_a_clock_with_a_whole_speed_can_be_turned_again(kept: Keeper) -> None:
    """A speed may come as the number 2 and be kept as 2.0."""
    line = IDENTITY.run(AT, 2)
    assert kept.store.turn(None, None, line)
    assert kept.store.turn(None, line, line.advance(AT, 5)), "the same line"


def test_no_turn_of_a_clock_is_lost(kept: Keeper) -> None:
    """Eight threads advance it by one, again when another was faster: it has advanced by all of them."""

    def advance(_: int) -> None:
        while True:
            old: Line | None = kept.store.line("ann")
            if kept.store.turn("ann", old, (old or IDENTITY).advance(AT, 1)):
                return

    at_once(100, advance)
    assert kept.found().now == AT + 100


def test_time_is_the_accounts_over_the_base(kept: Keeper) -> None:
    """A call without an account is in the time of the one it claims to be, else in the base's."""
    kept.store.turn(None, None, start(AT, AT + 1000))
    kept.store.turn("ann", None, IDENTITY.advance(AT + 1000, 50))
    assert [kept.found(by, wall=AT + 7).now for by in (ANN, BOB, None)] == [AT + 1050, AT + 1000, AT + 1000]
    assert kept.found(None, claimed="ann").now == AT + 1050


# The outbox


def leased(kept: Keeper, wall: int = AT, until: int = 60_000, most: int = 100) -> list[tuple[str, int]]:
    """What is due at a wall time, as (id, virtual time after AT); taken on for so many ms."""
    return [(row.webhook.id, row.now - AT) for row in kept.store.lease(wall, wall + until, most)]


def test_what_is_due_is_leased_once(kept: Keeper) -> None:
    """The longest due first; not before its time; nobody else gets it while the lease lasts."""
    kept.do(Post((hook("b", due=AT + 5), hook("a"), hook("later", due=AT + 9))))
    assert leased(kept) == [("a", 0)]
    assert leased(kept, AT + 8) == [("b", 8)]
    assert leased(kept, AT + 8) == [], "both are taken"
    assert leased(kept, AT + 9) == [("later", 9)]


def test_due_is_by_the_accounts_time(kept: Keeper) -> None:
    """A frozen clock delivers what is due and nothing more, an advanced one everything up to then."""
    kept.store.turn("ann", None, IDENTITY.run(AT, 0))
    kept.store.turn("bob", None, IDENTITY.advance(AT, 3_000))
    kept.do(Post((hook("now"), hook("in 1 s", due=AT + 1000))))
    kept.do(Post((hook("in 3 s", "bob", AT + 3000), hook("in 4 s", "bob", AT + 4000))), by=BOB)
    assert sorted(leased(kept)) == [("in 3 s", 3000), ("now", 0)]
    assert leased(kept, AT + 2000) == [("in 4 s", 5000)], "ann's time stands still"


def test_an_expired_lease_is_given_anew(kept: Keeper) -> None:
    """Who took it on may have died: at the wall time of its end, not before."""
    kept.do(Post((hook("a"),)))
    assert leased(kept, AT, 10) == [("a", 0)]
    assert leased(kept, AT + 9) == []
    assert leased(kept, AT + 10, 10) == [("a", 10)]
    assert leased(kept, AT + 19) == [], "the new lease holds"


def test_no_more_is_leased_than_asked_for(kept: Keeper) -> None:
    """In all, over the accounts; the rest is there for the next."""
    kept.do(Post(tuple(hook(f"{name}{n}", name, AT - n) for name in ("ann", "bob") for n in range(3))))
    first = leased(kept, most=4)
    rest = leased(kept, most=4)
    assert [len(first), len(rest)] == [4, 2]
    assert len({*first, *rest}) == 6


def test_two_threads_never_lease_the_same(kept: Keeper) -> None:
    """Eight threads share two hundred rows."""
    kept.do(Post(tuple(hook(f"h{n}", due=AT - n) for n in range(200))))
    taken = [row for some in at_once(40, lambda _: leased(kept, most=7)) for row in some]
    assert len(taken) == len(set(taken)) == 200


def test_a_settled_row_is_done(kept: Keeper) -> None:
    """It is not leased again, nor counted as waiting; it is shown with what became of it."""
    kept.do(Post((hook("a"), hook("b", due=AT + 5))))
    (row,) = kept.store.lease(AT, AT + 10, 9)
    done = replace(row.webhook, attempts=(Attempt(AT, AT, 200),), outcome="delivered")
    kept.store.settle_webhook(done)
    assert kept.store.waiting() == 1
    assert leased(kept, AT + 99) == [("b", 99)]
    assert next(kept.store.webhooks()) == done


def test_a_row_that_failed_is_due_again_at_its_new_time(kept: Keeper) -> None:
    """Settling ends the lease, however long it would have lasted."""
    kept.do(Post((hook("a"),)))
    (row,) = kept.store.lease(AT, AT + 1_000_000, 9)
    kept.store.settle_webhook(replace(row.webhook, due=AT + 50, attempts=(Attempt(AT, AT, 500),)))
    assert leased(kept, AT + 49) == []
    (again,) = kept.store.lease(AT + 50, AT + 60, 9)
    assert [attempt.status for attempt in again.webhook.attempts] == [500]


def test_a_replayed_row_is_due_at_once_and_keeps_its_id(kept: Keeper) -> None:
    """With its attempts; one that does not exist is None, and so is another copy of it."""
    kept.do(Post((hook("a"),)))
    (row,) = kept.store.lease(AT, AT + 10, 9)
    kept.store.settle_webhook(
        replace(row.webhook, attempts=(Attempt(AT, AT, 410),), outcome="given up", reason="the receiver answered 410")
    )
    assert leased(kept, AT + 99) == []
    again = kept.store.replay("a")
    assert again == replace(row.webhook, attempts=(Attempt(AT, AT, 410),))
    assert kept.store.waiting() == 1
    assert leased(kept, AT + 99) == [("a", 99)]
    assert kept.store.replay("none") is kept.store.replay("a", 1) is None


def test_a_row_is_posted_once_and_copies_are_rows_of_their_own(kept: Keeper) -> None:
    """What is posted again is there already, whatever became of it."""
    kept.do(Post((hook("a"), hook("a", copy=1))))
    assert len(leased(kept)) == 2
    kept.do(Post((hook("a", url="http://elsewhere/"),)))
    assert [(row.copy, row.url) for row in kept.store.webhooks()] == [
        (0, "http://127.0.0.1/"),
        (1, "http://127.0.0.1/"),
    ]
    assert leased(kept) == []


def test_withdrawn_rows_are_never_delivered(kept: Keeper) -> None:
    """Those of the task that are still to come and were never tried; they may be posted anew."""
    tried = hook("tried", due=AT + 9, attempts=(Attempt(AT, AT, 500),))
    kept.do(Post((hook("due"), hook("to come", due=AT + 9), hook("other", due=AT + 9, task="u"), tried)))
    kept.do(Withdraw("ann", "t", AT))
    assert ids(kept.store.webhooks()) == ["due", "other", "tried"]
    kept.do(Post((hook("to come", due=AT + 5),)))
    assert [name for name, _ in leased(kept, AT + 99)] == ["due", "to come", "other", "tried"]


def test_the_outbox_is_listed_as_rows_are_due(kept: Keeper) -> None:
    """All or an account's; those due at the same time in the order of their posting."""
    kept.do(Post((hook("c", due=AT + 5), hook("b", "bob", AT + 1), hook("a", due=AT + 1), hook("d"))))
    assert ids(kept.store.webhooks()) == ["d", "b", "a", "c"]
    assert ids(kept.store.webhooks("ann")) == ["d", "a", "c"]


def settle(kept: Keeper, name: str) -> None:
    """Say that a row was delivered."""
    row = next(row for row in kept.store.webhooks() if row.id == name)
    kept.store.settle_webhook(replace(row, outcome="delivered"))


def test_settled_rows_make_room_and_waiting_ones_stay(opened: Open) -> None:
    """What was settled first goes first, even behind a row that will wait for long; a replayed one waits again."""
    kept = opened(webhooks=4)
    kept.do(Post((hook("waits", due=AT + 10**9), *(hook(f"h{n}") for n in range(4)))))
    assert kept.store.waiting() == 5, "none of them can go"
    for name in ("h3", "h1", "h0"):
        settle(kept, name)
    kept.store.replay("h3")
    left = []
    for name in ("a", "b", "c"):
        kept.do(Post((hook(name),)))
        left.append(sorted(ids(kept.store.webhooks())))
    assert left[0] == ["a", "h2", "h3", "waits"], "h1 and h0 were too many"
    assert left[1] == ["a", "b", "h2", "h3", "waits"], "none of them can go"
    settle(kept, "h3")
    settle(kept, "a")
    kept.do(Post((hook("d"),)))
    assert sorted(ids(kept.store.webhooks())) == ["b", "c", "d", "h2", "waits"]
    settle(kept, "h2")
    settle(kept, "b")
    kept.do(Post((hook("e"),)))
    assert sorted(ids(kept.store.webhooks())) == ["c", "d", "e", "waits"]


def test_the_first_settled_row_goes_first(opened: Open) -> None:
    """Not the one that was posted first."""
    kept = opened(webhooks=2)
    kept.do(Post((hook("a"), hook("b"))))
    settle(kept, "b")
    settle(kept, "a")
    kept.do(Post((hook("c"),)))
    assert ids(kept.store.webhooks()) == ["a", "c"]


def test_a_row_of_a_forgotten_task_is_delivered_all_the_same(opened: Open) -> None:
    """Its outbox row outlives the task."""
    kept = opened(tasks=1)
    kept.do(PutTask(task("t")), Post((hook("a", due=AT + 5),)))
    kept.put(task("u"))
    assert leased(kept, AT + 5) == [("a", 5)]


# Forgetting


def fill(kept: Keeper) -> None:
    """Something of every sort for both accounts."""
    for by in (ANN, BOB):
        name = by.id
        lines = (entry("reserve", 9, account=name), entry("settle", 9, AT + 9, account=name))
        kept.do(PutTask(task(f"of-{name}", name, alias="x")), Append(lines), Count(name, "n", AT), by=by)
        kept.do(Record(exchange(1, name)), Post((hook(f"due-{name}", name), hook(f"late-{name}", name, AT + 9))), by=by)
        kept.held(by)


def state(kept: Keeper, by: Account) -> tuple[object, ...]:
    """All that is known of an account, but for its identity and clock."""
    looked = kept.store.fetch(Reads((), "x", Page("video", 1, 9), True, ("n",)), "toy", by, lambda: AT + 5)
    listed = [*kept.store.tasks(by.id), *kept.store.exchanges(by.id), *kept.store.webhooks(by.id)]
    return looked, listed, kept.store.entries(by.id)


def test_a_reset_forgets_one_accounts_doings(kept: Keeper) -> None:
    """All of them, as if it had never called; the account, its clock and everybody else's stay."""
    kept.store.turn("ann", None, IDENTITY.advance(AT, 5))
    fresh = state(kept, ANN)
    fill(kept)
    others = state(kept, BOB)
    assert kept.store.reset("ann") == 1, "how many tasks there were"
    assert state(kept, ANN) == fresh
    assert state(kept, BOB) == others
    assert leased(kept, AT + 99) == [("due-bob", 99), ("late-bob", 99)]
    assert kept.store.account("ann") == ANN
    assert kept.found().ordinal == 1


def test_a_reset_forgets_all_doings(kept: Keeper) -> None:
    """Accounts, clocks and sequences stay: no id is given twice."""
    kept.store.turn(None, None, start(AT, AT))
    kept.store.number("accounts")
    fresh = [state(kept, by) for by in (ANN, BOB)]
    fill(kept)
    assert kept.store.reset(None) == 2
    assert [state(kept, by) for by in (ANN, BOB)] == fresh
    assert [*kept.store.tasks(), *kept.store.exchanges(), *kept.store.webhooks()] == []
    assert (kept.store.waiting(), leased(kept, AT + 99)) == (0, [])
    assert (kept.store.accounts(), kept.store.line(None)) == ([ANN, BOB], start(AT, AT))
    assert kept.store.number("accounts") == 2
