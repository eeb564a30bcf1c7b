"""Tasks as replies show them: the places come from the templates, the states from the words, the course from both."""

from __future__ import annotations

import pytest

from kling_mock.contract.drift.sightings import Course, Sighting, Word, may_follow, sightings, states, strange
from tests.contract.recorded import KNOWN
from tests.exchanges import EXCHANGES, load, operation_of, provider_of


def seen(name: str) -> list[Sighting]:
    """What a fixture's reply shows."""
    forms = KNOWN[provider_of(name).name].forms[operation_of(name).id]
    return sightings([form.template for form in forms], load(name)["reply"]["body"])


@pytest.mark.parametrize("name", [name for name in EXCHANGES if "state" in load(name) and "reply" in load(name)])
def test_an_example_shows_its_task_in_its_state(name: str) -> None:
    """Every task of a printed reply is in the state that the fixture names, by each of its words; one has an id."""
    lifecycle = provider_of(name).lifecycle
    found = seen(name)
    assert [strange(lifecycle, row) for row in found] == [[]] * len(found)
    assert all(load(name)["state"] in states(lifecycle, row.words) for row in found)
    assert any(row.id is not None and row.words for row in found)


def test_the_variant_that_shows_most_is_read() -> None:
    """Of two shapes of a reply the one whose places are there; an unknown word is strange wherever it stands."""
    (task, work) = seen("302ai/query-a-task-that-succeeded.yaml")
    assert [word.pointer for word in task.words] == ["/data/status", "/data/task/status"]
    assert (task.id, work.id) == ("kling_9d44fd49ffc2", None)
    lifecycle = provider_of("302ai/query-a-task-that-succeeded.yaml").lifecycle
    odd = Sighting(None, (Word("web", "/status", 98), Word("web", "/state", "99"), Word("web", "/x", 99)))
    assert [word.value for word in strange(lifecycle, odd)] == [98, "99"]
    assert states(lifecycle, odd.words[2:]) == {"succeed"}


def test_what_nobody_saw_may_have_happened() -> None:
    """A poller skips states; what no sequence of steps leads to cannot have happened."""
    lifecycle = provider_of("kling/query-a-task-that-succeeded.yaml").lifecycle
    assert may_follow(lifecycle, {"submitted"}, {"succeed"})
    assert may_follow(lifecycle, {"failed"}, {"failed"})
    assert may_follow(lifecycle, {"failed", "processing"}, {"succeed"})
    assert not may_follow(lifecycle, {"failed"}, {"succeed", "processing"})


def test_a_course_remembers_no_more_than_it_needs() -> None:
    """Ten thousand polls of one task keep one state and the calls that are still open."""
    course = Course()
    for now in range(10_000):
        assert course.before(now) == (frozenset({str(now - 1)}) if now else frozenset())
        course.saw(now, now + 1, frozenset({str(now)}))
        assert len(course.open) == 1
