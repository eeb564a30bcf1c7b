"""Conduct: what is told of a client from its exchanges and its tasks; no server, no store, no clock."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kling_mock.core.conduct import Abandoned, DuplicateSpend, Fate, Made, Polling, abandoned, duplicate_spend, polling
from kling_mock.core.model import Exchange, Sight
from kling_mock.core.waiting import Wait

S = 1000
NOW = 1000 * S
PAID = Fate(NOW, 0, 300 * S, "success")
FAILED = Fate(NOW, 0, 5 * S, "failure")
OPEN = Fate(NOW, 0)


class Story:
    """Exchanges of one account, numbered as they are told."""

    def __init__(self) -> None:
        self.rows: list[Exchange] = []

    def tell(self, at: int, role: str, task: str | None = None, retry_after: object = None, **words: Any) -> Story:
        """Add an exchange."""
        headers = {} if retry_after is None else {"retry-AFTER": retry_after}
        given = {"account": "one", "operation": f"{role}Video", "request": {}, "reply": {"headers": headers}}
        row = Exchange(at=at, ordinal=len(self.rows) + 1, provider="p", role=role, task=task, **(given | words))
        self.rows.append(row)
        return self

    def create(self, at: int, task: str | None, job: str = "job", **words: Any) -> Story:
        """Add a create; one without a task was refused."""
        billed = {"billed": Decimal("2.5"), "unit": "units"} if task else {}
        return self.tell(at, "create", task, fingerprint=job, **(billed | words))

    def poll(self, at: int, task: str, ended: bool = False, **words: Any) -> Story:
        """Add a query that shows the task."""
        return self.tell(at, "query", task, **({"saw": (Sight(task, "done" if ended else "open", ended),)} | words))


# Paid twice


def test_a_create_sent_again_after_a_lost_answer_is_certain() -> None:
    """Both requests, the gap between them and the money are named."""
    story = Story().create(0, "a", lost=True).create(31 * S, "b")
    assert duplicate_spend(story.rows, {"a": PAID, "b": PAID}) == (
        DuplicateSpend(
            "one",
            "createVideo",
            "certain",
            Made(1, 0, "a"),
            Made(2, 31 * S, "b"),
            31 * S,
            Decimal("2.5"),
            "units",
            "paid twice",
        ),
    )


def test_the_same_job_after_an_answer_that_arrived_is_possible() -> None:
    """Someone may want two of the same: it is not held against them."""
    [found] = duplicate_spend(Story().create(0, "a").create(S, "b").rows, {"a": PAID, "b": PAID})
    assert found.verdict == "possible"


def test_each_repetition_is_held_against_the_one_before() -> None:
    """Lost, lost, arrived, and once more: two are certain, the last is possible; nobody is counted twice."""
    story = Story().create(0, "a", lost=True).create(S, "b", lost=True).create(3 * S, "c").create(6 * S, "d")
    found = duplicate_spend(story.rows, {})
    assert [(row.first.task, row.second.task, row.gap_ms, row.verdict) for row in found] == [
        ("a", "b", S, "certain"),
        ("b", "c", 2 * S, "certain"),
        ("c", "d", 3 * S, "possible"),
    ]


def test_a_refused_create_made_nothing() -> None:
    """Refusals before, between and after count neither as first nor as second."""
    story = Story().create(0, None).create(S, "a", lost=True).create(2 * S, None).create(3 * S, None)
    assert duplicate_spend(story.rows, {"a": PAID}) == ()
    [found] = duplicate_spend(story.create(4 * S, "b").rows, {})
    assert (found.first.task, found.second.task) == ("a", "b")


@pytest.mark.parametrize("other", [{"job": "another"}, {"account": "two"}, {"provider": "q"}])
def test_other_jobs_and_other_accounts_are_no_repetition(other: dict[str, str]) -> None:
    """Only the same payload of the same account is the same job."""
    story = Story().create(0, "a", lost=True)
    story.create(S, "b", other.get("job", "job"))
    row = {name: value for name, value in other.items() if name != "job"}
    rows = [story.rows[0], Exchange(**({n: getattr(story.rows[1], n) for n in Exchange.__struct_fields__} | row))]
    assert duplicate_spend(rows, {}) == ()


def test_a_retry_after_a_failure_that_was_back_is_no_duplicate() -> None:
    """The first had failed and was paid back when the second came; but a client that never heard of it was lucky."""
    tasks = {"a": FAILED, "b": PAID}
    assert duplicate_spend(Story().create(0, "a").create(5 * S, "b").rows, tasks) == ()
    [early] = duplicate_spend(Story().create(0, "a").create(5 * S - 1, "b").rows, tasks)
    assert (early.verdict, early.outcome) == ("possible", "given back")
    [blind] = duplicate_spend(Story().create(0, "a", lost=True).create(5 * S, "b").rows, tasks)
    assert (blind.verdict, blind.outcome) == ("certain", "given back")


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (PAID, PAID, "paid twice"),
        (PAID, FAILED, "given back"),
        (FAILED, PAID, "given back"),
        (FAILED, None, "given back"),
        (PAID, OPEN, "open"),
        (OPEN, OPEN, "open"),
        (None, PAID, "forgotten"),
        (PAID, None, "forgotten"),
    ],
)
def test_what_came_of_it(first: Fate | None, second: Fate | None, outcome: str) -> None:
    """Money that came back is not lost, and what is not known is not claimed."""
    tasks = {id_: fate for id_, fate in (("a", first), ("b", second)) if fate}
    [found] = duplicate_spend(Story().create(0, "a", lost=True).create(S, "b").rows, tasks)
    assert found.outcome == outcome


def test_a_job_without_a_known_price_is_a_duplicate_of_unknown_cost() -> None:
    """The real one would have billed it; how much is not known and not called 0."""
    story = Story().create(0, "a", lost=True, billed=None).create(S, "b", billed=None)
    [found] = duplicate_spend(story.rows, {})
    assert (found.verdict, found.amount) == ("certain", None)


# Never read to the end


def test_a_task_that_ended_unseen_is_abandoned() -> None:
    """It says what was seen last, and whether the client ever knew of it."""
    story = Story().create(7, "a").poll(S, "a")
    assert abandoned(story.rows, {"a": PAID}) == (
        Abandoned("one", "createVideo", "a", 1, 7, 300 * S, "success", True, "open", Decimal("2.5"), "units"),
    )
    [untold] = abandoned(Story().create(0, "a", lost=True).rows, {"a": FAILED})
    assert (untold.told, untold.state, untold.ends) == (False, None, "failure")


def test_a_task_that_is_open_is_not_abandoned() -> None:
    """Nobody can have read an end that has not come; nor is a forgotten task judged."""
    story = Story().create(0, "a").poll(S, "a")
    assert abandoned(story.rows, {"a": OPEN}) == abandoned(story.rows, {}) == ()


def test_any_answer_that_showed_the_end_counts() -> None:
    """A query, a list or a webhook will do; a lost answer showed nothing."""
    tasks = {"a": PAID}
    listed = Story().create(0, "a").tell(300 * S, "list", saw=(Sight("b", "open", False), Sight("a", "done", True)))
    assert abandoned(Story().create(0, "a").poll(300 * S, "a", True).rows, tasks) == ()
    assert abandoned(listed.rows, tasks) == ()
    assert abandoned(Story().create(0, "a").rows, {"a": Fate(NOW, 0, 1, "success", True)}) == ()
    [unseen] = abandoned(Story().create(0, "a").poll(300 * S, "a", True, lost=True).rows, tasks)
    assert unseen.state is None


def test_an_end_from_which_the_task_went_on_is_not_read() -> None:
    """The client was told of a failure and stopped; the job succeeded later, and was paid."""
    story = Story().create(0, "a").poll(5 * S, "a", True)
    [row] = abandoned(story.rows, {"a": PAID})
    assert (row.task, row.ends, row.state) == ("a", "success", "done")
    assert abandoned(story.poll(300 * S, "a", True).rows, {"a": PAID}) == ()


# Polling


def polls(*seconds: float, end: int | None = None, fate: Fate = PAID, **words: Any) -> Polling:
    """The verdict on a task that was polled at these seconds; the poll number `end` shows that it has ended."""
    story = Story().create(0, "a")
    for index, at in enumerate(seconds):
        story.poll(int(at * S), "a", end is not None and index >= end, **words)
    [found] = polling(story.rows, {"a": fate})
    return found


def test_a_polled_task_in_full() -> None:
    """Every key, for a client that backs off and stops at the end."""
    assert polls(1, 3, 7, 15, end=3) == Polling(
        "one", "a", "queryVideo", 4, 2 * S, 4 * S, True, 0, 0, 0, (), "at the end", 15 * S
    )


def test_one_poll_has_no_interval() -> None:
    """What is not there is null, not 0."""
    found = polls(9, end=0)
    assert (found.polls, found.least_ms, found.median_ms, found.backs_off) == (1, None, None, None)
    assert polls(9, 12, end=1).backs_off is None


@pytest.mark.parametrize(
    ("seconds", "backs_off"),
    [
        ((0, 5, 10, 15), False),
        ((0, 1, 3, 7, 15, 25, 35), True),
        ((0, 8, 12, 14), False),
        ((0, 1, 2, 4, 5), False),
        ((0, 5, 9.8, 19), True),
        ((0, 0, 0, 0), False),
    ],
)
def test_back_off_means_that_intervals_grow(seconds: tuple[float, ...], backs_off: bool) -> None:
    """A fixed pace, a shrinking one and a zigzag are none; a capped ladder and a little jitter are."""
    assert polls(*seconds).backs_off is backs_off


def test_polls_after_the_end_are_counted_apart() -> None:
    """They say that the client does not stop; their intervals say nothing of how it waited."""
    found = polls(5, 15, 16, 17, end=1)
    assert (found.after_end, found.stopped, found.least_ms, found.last_ms) == (2, "after the end", 10 * S, 17 * S)


def test_an_answer_that_was_lost_did_not_show_the_end() -> None:
    """The next poll is not one too many."""
    story = Story().create(0, "a").poll(S, "a", True, lost=True).poll(2 * S, "a", True)
    [found] = polling(story.rows, {"a": PAID})
    assert (found.after_end, found.stopped) == (0, "at the end")


@pytest.mark.parametrize(
    ("now", "stopped"), [(30, "not yet"), (80, "not yet"), (80.001, "given up"), (9999, "given up")]
)
def test_a_client_that_falls_silent_has_given_up(now: float, stopped: str) -> None:
    """Nothing for a minute, and three times the longest interval: it has a deadline, or it died."""
    assert polls(10, 20, fate=Fate(int(now * S), 0)).stopped == stopped


def test_a_slow_client_is_given_more_time() -> None:
    """With a minute between polls, a minute of silence says nothing."""
    assert polls(0, 60, fate=Fate(240 * S, 0)).stopped == "not yet"
    assert polls(0, 60, fate=Fate(241 * S, 0)).stopped == "given up"


def test_a_task_may_be_polled_by_lists() -> None:
    """Lists that show it are its polls where no query asks for it; beside queries they are somebody's overview."""
    story = Story().create(0, "a").create(0, "b", "other")
    for at in (1, 2, 4):
        story.tell(at * S, "list", saw=(Sight("a", "open", False), Sight("b", "open", False)))
    story.poll(9 * S, "b")
    a, b = polling(story.rows, {"a": PAID, "b": PAID})
    assert (a.operation, a.polls, a.median_ms) == ("listVideo", 3, 1500)
    assert (b.operation, b.polls) == ("queryVideo", 1)


def test_tasks_nobody_polled_and_forgotten_ones_are_not_judged() -> None:
    """There is nothing to say of them."""
    assert polling(Story().create(0, "a").rows, {"a": PAID}) == ()
    assert polling(Story().create(0, "a").poll(S, "a").rows, {}) == ()


# Retry-After


def test_a_poll_before_its_time_is_too_early() -> None:
    """Retry-After: 2 asks for two seconds; at exactly two it is obeyed."""
    for at, early in ((2.999, 1), (3, 0)):
        story = Story().create(0, "a").poll(S, "a", retry_after="2", saw=()).poll(int(at * S), "a")
        [found] = polling(story.rows, {"a": PAID})
        assert (found.asked_to_wait, found.too_early) == (1, early)


def test_waiting_for_one_task_is_not_for_another() -> None:
    """Only the same call again is a repetition, and it is early once."""
    story = Story().create(0, "a").create(0, "b", "other").poll(S, "a", retry_after="9")
    story.poll(2 * S, "b").poll(3 * S, "a").poll(4 * S, "a")
    found = {row.task: row.too_early for row in polling(story.rows, {"a": PAID, "b": PAID})}
    assert found == {"a": 1, "b": 0}


def test_a_create_that_came_too_early_is_told_with_its_task() -> None:
    """Refused creates have no task; they are told with the one that they led to."""
    story = Story().create(0, None, retry_after="2").create(S, None, retry_after="2").create(5 * S, "a")
    story.create(6 * S, "b").poll(7 * S, "a").poll(8 * S, "b")
    a, b = polling(story.rows, {"a": PAID, "b": PAID})
    assert (a.asked_to_wait, a.too_early) == (2, 1)
    assert (b.asked_to_wait, b.too_early) == (0, 0)


def test_creates_that_were_asked_to_wait_are_told_without_any_poll() -> None:
    """The job that was made has a row of its own, and so has one that never was; each says which requests, and when."""
    story = Story().create(0, None, retry_after="2").create(S, "a").create(2 * S, None, "other", retry_after="5")
    made, never = polling(story.create(8 * S, None, "other", retry_after="5").rows, {"a": PAID})
    early = Wait("createVideo", 1, 2 * S, 2, S)
    unpolled = (None, None, None, 0)
    assert made == Polling("one", "a", "createVideo", 0, *unpolled, 1, 1, (early,), "not polled", None)
    late = (Wait("createVideo", 3, 5 * S, 4, 6 * S), Wait("createVideo", 4, 5 * S, None, None))
    assert never == Polling("one", None, "createVideo", 0, *unpolled, 2, 0, late, "not polled", None)


def test_a_list_is_repeated_by_the_same_request() -> None:
    """The next page is another one; calls of nobody's operation are none."""
    first, second = ({"method": "GET", "path": "/videos", "query": f"page={page}", "body": None} for page in "12")
    story = Story().tell(0, "list", retry_after="3", request=first).tell(S, "list", request=second)
    story.tell(2 * S, "list", request=first).tell(0, "query", retry_after="3", operation=None)
    [found] = polling(story.rows, {})
    assert (found.task, found.operation, found.waits) == (None, "listVideo", (Wait("listVideo", 1, 3 * S, 3, 2 * S),))


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-1", ""])
def test_a_retry_after_that_is_no_number_asks_for_nothing(value: str) -> None:
    """A date cannot be held against a clock that a test turns."""
    story = Story().create(0, "a").poll(S, "a", retry_after=value).poll(S, "a")
    [found] = polling(story.rows, {"a": PAID})
    assert (found.asked_to_wait, found.too_early) == (0, 0)
