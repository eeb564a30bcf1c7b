"""Templates read backwards: where a reply says what, and where it is not what the template would have made."""

from __future__ import annotations

from typing import Any

import pytest

from kling_mock.contract.readings import Misfit, Reading, read
from kling_mock.core.documents import Place
from kling_mock.core.expressions import ABSENT


def place(node: Any) -> Place:
    """A template in a document of its own."""
    return Place({"file.yaml": node}, "file.yaml", "", node)


def reading(node: Any, document: Any) -> Reading:
    """A document read by a template."""
    return read(place(node), document)


def values(found: Reading) -> dict[str, Any]:
    """What a reading says, by expression."""
    return {name: bound.value for name, bound in found.bound.items()}


def test_an_expression_finds_its_value_and_where_it_stands() -> None:
    """A text that is one expression takes any value, and says the place of it."""
    found = reading({"data": {"a/b": "{$task.id}", "n": "{$task.price|text}"}}, {"data": {"a/b": "7", "n": None}})
    assert values(found) == {"task.id": "7", "task.price": None}
    assert found.bound["task.id"].pointer == "/data/a~1b"
    assert found.value("task.created") is ABSENT
    assert found.misfits == []


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("{$task.id}", "task.id"),
        ("{$task.created|ms}", "task.created"),
        ("{$task.reason ?? ''}", "task.reason"),
        ("{$task.request#/toy}", "task.request#/toy"),
        ("{$state.task_status}", "state.task_status"),
        ("{$now|parts +08:00}", "now"),
    ],
)
def test_an_expression_goes_by_the_name_that_it_begins_with(written: str, name: str) -> None:
    """Forms and defaults are no part of what is spoken of."""
    assert values(reading({"x": written}, {"x": 1})) == {name: 1}


def test_the_first_place_counts_where_one_thing_is_said_twice() -> None:
    """A later place does not overwrite what was found."""
    found = reading({"id": "{$task.id}", "task": {"id": "{$task.id}"}}, {"id": "1", "task": {"id": "2"}})
    assert (found.value("task.id"), found.bound["task.id"].pointer) == ("1", "/id")


@pytest.mark.parametrize(
    ("template", "document", "expected"),
    [
        ({"code": 0}, {"code": 1}, [Misfit("/code", 0, 1)]),
        ({"ok": 1}, {"ok": True}, [Misfit("/ok", 1, True)]),
        ({"ok": True}, {"ok": 1}, [Misfit("/ok", True, 1)]),
        ({"code": 0}, {}, [Misfit("/code", 0, ABSENT)]),
        ({"data": {"code": 0}}, {}, [Misfit("/data/code", 0, ABSENT)]),
        ({"data": {}}, {"data": []}, [Misfit("/data", {}, [])]),
        ({"data": [1]}, {"data": {}}, [Misfit("/data", [], {})]),
        ({"data": [1, 2]}, {"data": [1, 3]}, [Misfit("/data/1", 2, 3)]),
        ({"rows": {"$each": "{$page}", "$as": 1}}, {"rows": 1}, [Misfit("/rows", [], 1)]),
        ({"rows": {"$each": "{$page}", "$as": {"n": 1}}}, {"rows": [{"n": 1}, {"n": 2}]}, [Misfit("/rows/1/n", 1, 2)]),
        ({"path": "/tasks/{$task.id}"}, {"path": "/jobs/7"}, [Misfit("/path", "/tasks/{$task.id}", "/jobs/7")]),
        ({"path": "/tasks/{$task.id}"}, {"path": 7}, [Misfit("/path", "/tasks/{$task.id}", 7)]),
    ],
)
def test_what_the_template_would_not_have_made_is_told_with_its_place(
    template: Any, document: Any, expected: list[Misfit]
) -> None:
    """Other literals, other types and literals that are missing are misfits."""
    assert reading(template, document).misfits == expected


@pytest.mark.parametrize(
    ("template", "document"),
    [
        ({"path": "/tasks/{$task.id}/{$task.kind}"}, {"path": "/tasks/7/video"}),
        ({"path": "a+b ({$task.id})"}, {"path": "a+b (two\nlines)"}),
        ({"films": {"$when": {"state": ["ready"]}, "$value": [1]}}, {}),
        ({"films": {"$when": {"state": ["ready"]}, "x": 1}}, {}),
        ({"rows": {"$each": "{$page}", "$as": 1}}, {}),
        ({"rows": [1, 2]}, {"rows": [1]}),
        ({"a": 1}, {"a": 1, "more": 2}),
    ],
)
def test_what_the_template_leaves_open_is_no_misfit(template: Any, document: Any) -> None:
    """Mixed texts, parts that depend on the state, lists that are shorter, and members of which nothing is said."""
    assert reading(template, document).misfits == []


def test_a_condition_and_a_value_are_words_and_not_members() -> None:
    """`$when` is not looked for in a document, and what is under `$value` stands in its place."""
    template = {"why": {"$when": {"state": ["failed"]}, "$value": "{$task.reason}"}}
    assert values(reading(template, {"why": "a knot"})) == {"task.reason": "a knot"}


def test_each_row_of_a_list_is_a_reading_of_its_own() -> None:
    """Rows are found by the list that they were rendered from, also in rows."""
    template = {
        "data": {
            "$each": "{$page}",
            "$as": {"id": "{$task.id}", "files": {"$each": "{$task.results}", "$as": "{$item.url}"}},
        }
    }
    found = reading(template, {"data": [{"id": "1", "files": ["a", "b"]}, {"id": "2"}]})
    assert [row.value("task.id") for row in found.rows["page"]] == ["1", "2"]
    assert [file.value("item.url") for file in found.rows["page"][0].rows["task.results"]] == ["a", "b"]
    assert "task.results" not in found.rows["page"][1].rows
    assert [row.value("task.id") for row in found.each() if "task.id" in row.bound] == ["1", "2"]
    assert len(list(found.each())) == 5


def test_what_is_not_said_is_known_by_its_expression() -> None:
    """An expression whose member is missing is absent, whether its object is there or not."""
    template = {"id": "{$task.id}", "info": {"alias": "{$task.alias}"}, "path": "/{$task.kind}/{$task.price}"}
    assert reading(template, {"id": "1"}).absent == {"task.alias", "task.kind", "task.price"}
    assert reading(template, {"id": "1", "info": {}, "path": "/a/2"}).absent == {"task.alias"}


@pytest.mark.parametrize(
    ("written", "value", "instant"),
    [
        ("{$task.created|ms}", 1500, 1500.0),
        ("{$task.created|s}", 1.5, 1500.0),
        ("{$task.created|iso}", "1970-01-01T00:00:01.500Z", 1500.0),
        ("{$task.created|iso +01:00}", "1970-01-01T01:00:01.500+01:00", 1500.0),
        ("{$task.created|iso}", "yesterday", None),
        ("{$task.created|ms}", "1500", None),
        ("{$task.created}", 1500, None),
        ("{$now|parts +08:00}", {"year": 1970}, None),
    ],
)
def test_an_instant_is_understood_by_the_form_in_which_it_is_written(
    written: str, value: Any, instant: float | None
) -> None:
    """Milliseconds, seconds and ISO 8601; of any other form nothing is known."""
    (bound,) = reading({"at": written}, {"at": value}).bound.values()
    assert bound.instant == instant


@pytest.mark.parametrize(
    ("template", "document", "characters"),
    [
        ({"code": 1201, "id": "{$request.id}"}, {"code": 1201, "id": "x"}, 4),
        ({"path": "/tasks/{$task.id}", "ok": True}, {"path": "/tasks/7", "ok": True}, len("/tasks/true")),
        ({"code": 1201}, {"code": 1200}, 0),
    ],
)
def test_what_is_the_templates_own_is_counted(template: Any, document: Any, characters: int) -> None:
    """Literals that are there, and what stands around the holes of a text."""
    assert reading(template, document).own == characters
