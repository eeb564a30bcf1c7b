"""States as a table, and a task's state as a function of time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_mock.core.documents import Place
from kling_mock.core.lifecycle import FOR_EVER, Lifecycle, compile_lifecycle, observe, redirect, timeline
from kling_mock.core.model import Moment, Task
from kling_mock.core.problems import SpecError
from kling_mock.core.provider import Provider

TABLE: dict[str, Any] = {
    "states": {
        "waiting": {"words": {"n": 0}, "then": ["carving", "cancelled"]},
        "carving": {"words": {"n": 1}, "then": ["ready", "broken", "waiting"]},
        "ready": {"words": {"n": 2}, "ends": "success"},
        "broken": {"words": {"n": 3}, "ends": "failure"},
        "cancelled": {"words": {"n": 4}, "ends": "failure"},
    },
    "usual": ["waiting", "carving", "ready"],
    "latency": {"fast": {"waiting": "1s", "carving": ["2s", "4s"]}},
}


def lifecycle(table: dict[str, Any] = TABLE) -> Lifecycle:
    """A compiled table."""
    return compile_lifecycle(Place({"l.yaml": table}, "l.yaml", "", table))


def test_nothing_comes_after_a_state_that_lasts_for_ever() -> None:
    """Its task is seen in it at any time, and never changes again."""
    moments = timeline(["waiting", "carving", "ready"], {"waiting": (5, 5), "carving": FOR_EVER}, 0, "e")
    assert moments == (Moment(0, "waiting"), Moment(5, "carving"))
    view = observe(lifecycle(), task(moments), 10**15)
    assert (view.state, view.following) == ("carving", None)


def task(moments: tuple[Moment, ...]) -> Task:
    """A task that walks these moments."""
    return Task("t", "toymaker", "a", "o", "order", "default", moments[0].at, moments, "e")


WALKED = task((Moment(1000, "waiting"), Moment(3000, "carving"), Moment(9000, "ready")))


@pytest.mark.parametrize(
    ("path", "legal"),
    [
        (["waiting", "carving", "ready"], True),
        (["waiting", "carving", "broken"], True),
        (["waiting", "cancelled"], True),
        (["waiting", "carving", "waiting", "cancelled"], True),
        (["carving", "ready"], False),
        (["waiting", "ready"], False),
        (["waiting", "carving"], False),
        (["waiting"], False),
        (["waiting", "carving", "ready", "waiting"], False),
        ([], False),
    ],
)
def test_a_legal_path_starts_first_steps_as_the_table_says_and_ends(path: list[str], legal: bool) -> None:
    """Wrong starts, steps that no `then` allows, and paths that do not end or go on after the end are illegal."""
    assert lifecycle().legal(path) is legal


@pytest.mark.parametrize(
    ("now", "state", "changed", "following"),
    [
        (0, "waiting", 1000, 3000),
        (999, "waiting", 1000, 3000),
        (1000, "waiting", 1000, 3000),
        (2999, "waiting", 1000, 3000),
        (3000, "carving", 3000, 9000),
        (3001, "carving", 3000, 9000),
        (8999, "carving", 3000, 9000),
        (9000, "ready", 9000, None),
        (9001, "ready", 9000, None),
        (10**15, "ready", 9000, None),
    ],
)
def test_a_task_is_observed(now: int, state: str, changed: int, following: int | None) -> None:
    """A state holds from its moment on, to the millisecond; before the create the first one is seen."""
    view = observe(lifecycle(), WALKED, now)
    assert (view.state, view.changed, view.following) == (state, changed, following)
    assert view.words == {"n": ["waiting", "carving", "ready"].index(state)}
    assert view.ends == ("success" if state == "ready" else None)


def test_states_that_last_no_time_are_passed_over() -> None:
    """Of moments at one instant the last is seen."""
    moments = timeline(["waiting", "carving", "ready"], {}, 500, "e")
    assert [moment.at for moment in moments] == [500, 500, 500]
    assert observe(lifecycle(), task(moments), 500).state == "ready"


def test_a_forgotten_state_is_still_shown() -> None:
    """A task made before the spec lost a state shows its name, without words."""
    view = observe(lifecycle(), task((Moment(0, "gone"),)), 5)
    assert (view.state, view.words, view.ends) == ("gone", {}, None)


def test_a_range_is_drawn_from_the_task() -> None:
    """The same task has the same latency, other tasks another, all within the range."""
    latency = lifecycle().latency["fast"]
    dates = {entropy: timeline(["waiting", "carving", "ready"], latency, 0, entropy)[-1].at for entropy in "abcdef"}
    assert len(set(dates.values())) > 3
    assert all(3000 <= at < 5000 for at in dates.values())
    assert timeline(["waiting", "carving", "ready"], latency, 0, "a")[-1].at == dates["a"]


def test_a_course_is_changed_from_now_on() -> None:
    """What has come stays, what was to come is replaced; a moment at `now` has come."""
    changed = redirect(WALKED, [Moment(3000, "cancelled")], 3000)
    assert changed == (Moment(1000, "waiting"), Moment(3000, "carving"), Moment(3000, "cancelled"))
    assert observe(lifecycle(), task(changed), 2999).state == "waiting"
    assert observe(lifecycle(), task(changed), 3000).state == "cancelled"


def test_the_end_that_may_follow_is_found() -> None:
    """`may_end` names the state that ends a task so, or nothing."""
    assert lifecycle().may_end("carving", "failure") == "broken"
    assert lifecycle().may_end("waiting", "success") is None
    assert lifecycle().may_end("ready", "failure") is None


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[str], tuple[Moment, ...]]:
    """A random legal path through the table, dated by random latencies."""
    table = lifecycle()
    path = [table.usual[0]]
    while table.states[path[-1]].then:
        path.append(draw(st.sampled_from(table.states[path[-1]].then[: 2 if len(path) > 9 else None])))
    spans = st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)).map(lambda pair: (min(pair), max(pair)))
    latency = draw(st.dictionaries(st.sampled_from(sorted(table.states)), spans))
    return path, timeline(path, latency, draw(st.integers(0, 10**13)), draw(st.text(max_size=8)))


@given(walks(), st.lists(st.integers(-(10**4), 2 * 10**8), max_size=20))
def test_every_timeline_is_monotone_and_legal(walk: tuple[list[str], tuple[Moment, ...]], offsets: list[int]) -> None:
    """Whatever is drawn, moments never go back, walk the path, and what observers see in order is that path."""
    path, moments = walk
    table, subject = lifecycle(), task(moments)
    assert [moment.state for moment in moments] == path
    assert table.legal(path)
    assert all(before.at <= after.at for before, after in pairwise(moments))
    last = 0
    for now in sorted(moments[0].at + offset for offset in offsets):
        view = observe(table, subject, now)
        index = moments.index(Moment(view.changed, view.state), last)
        assert index >= last
        assert view.following is None or view.following > now
        assert view.changed <= max(now, moments[0].at)
        last = index


@given(walks(), st.integers(0, 10**7), st.sampled_from(["broken", "cancelled"]))
def test_a_changed_course_stays_monotone(walk: tuple[list[str], tuple[Moment, ...]], after: int, end: str) -> None:
    """A cancel at any time keeps the past and the order of time."""
    _, moments = walk
    now = moments[0].at + after
    changed = redirect(task(moments), [Moment(now, end)], now)
    assert all(one.at <= other.at for one, other in pairwise(changed))
    assert list(changed[:-1]) == [moment for moment in moments if moment.at <= now]
    assert observe(lifecycle(), task(changed), now).state == end


def test_a_lifecycle_is_compiled_from_documents(toymaker: Provider) -> None:
    """The toy's table: five states, words of three types, two profiles of which the first is the default."""
    table = toymaker.lifecycle
    assert table.usual == ("waiting", "carving", "ready")
    assert table.states["cancelled"].ends == "failure"
    assert table.states["broken"].words == {"step": -1, "says": "In the stove", "open": False}
    assert list(table.latency) == ["brisk", "lazy"]
    assert table.latency["lazy"] == {"waiting": (60_000, 120_000), "carving": (3_600_000, 3_600_000)}


def without(table: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The table with some keys replaced."""
    return {**table, **changes}


@pytest.mark.parametrize(
    ("changes", "pointer", "message"),
    [
        (
            {"states": {**TABLE["states"], "lost": {"words": {"n": 5}, "ends": "failure"}}},
            "/states/lost",
            "the state 'lost' cannot be reached from 'waiting'",
        ),
        (
            {"states": {**TABLE["states"], "waiting": {"words": {"n": 0}, "then": ["carvin"]}}},
            "/states/waiting/then/0",
            "unknown state 'carvin'; did you mean 'carving'?",
        ),
        (
            {"states": {**TABLE["states"], "ready": {"words": {"m": 2}, "ends": "success"}}},
            "/states/waiting",
            "the state 'waiting' has no word for m",
        ),
        ({"usual": ["waiting", "redy"]}, "/usual/1", "unknown state 'redy'; did you mean 'ready'?"),
        ({"usual": ["waiting", "ready"]}, "/usual", "the usual path takes a step that no state's `then` allows"),
        ({"usual": ["waiting", "carving"]}, "/usual", "or does not end"),
        ({"latency": {"fast": {"wating": "1s"}}}, "/latency/fast/wating", "unknown state 'wating'; did you mean"),
        ({"latency": {"fast": {"waiting": "1 s"}}}, "/latency/fast/waiting", "'1 s' is no duration such as 90s"),
    ],
)
def test_a_table_that_leads_nowhere_is_refused(changes: dict[str, Any], pointer: str, message: str) -> None:
    """Each way to get a lifecycle wrong is told with its place."""
    with pytest.raises(SpecError) as error:
        lifecycle(without(TABLE, **changes))
    [problem] = error.value.problems
    assert (problem.file, problem.pointer) == ("l.yaml", pointer)
    assert message in problem.message
