"""JSON templates: expressions in documents, repetition, conditions, and dropped keys."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kling_mock.core.documents import Place
from kling_mock.core.expressions import ABSENT
from kling_mock.core.problems import Problem, SpecError
from kling_mock.core.templates import Template, compile_template


class Spoken(dict[str, Any]):
    """A task in a scope: its kind is an attribute."""

    kind = "film"


SCOPE = {
    "task": Spoken(id="t1", results=[{"url": "a"}, {"url": "b"}], none=None),
    "state": {"word": 3},
    "view": SimpleNamespace(state="ready"),
    "variant": "plain",
}


def template(node: Any, **others: Any) -> Template:
    """Compile a node of a document that can refer to others."""
    documents = {"toy/replies.yaml": {"here": node, **others}}
    return compile_template(Place(documents, "toy/replies.yaml", "/here", node))


def render(node: Any, **others: Any) -> Any:
    """A node rendered in the scope."""
    return template(node, **others)(SCOPE)


def test_plain_json_is_itself() -> None:
    """Scalars, null, empty objects and lists are kept, in order."""
    node = {"b": None, "a": [1, 1.5, True, {}, []], "text": "plain"}
    assert render(node) == node
    assert list(render(node)) == ["b", "a", "text"]


def test_an_absent_value_drops_its_key() -> None:
    """An absent value is left out of its object or list; null stays; the object around it stays."""
    node = {"id": "{$task.id}", "alias": "{$task.alias}", "none": "{$task.none}", "info": {"alias": "{$task.alias}"}}
    assert render(node) == {"id": "t1", "none": None, "info": {}}
    assert render(["{$task.alias}", "{$state.word}", "{$task.none}"]) == [3, None]


def test_each_repeats_with_item() -> None:
    """`$each` makes a list of `$as`, in which `$item` is the value and the rest of the scope is still there."""
    node = {"$each": "{$task.results}", "$as": {"u": "{$item.url}", "of": "{$task.id}"}}
    assert render(node) == [{"u": "a", "of": "t1"}, {"u": "b", "of": "t1"}]


def test_each_drops_absent_items_and_absent_lists() -> None:
    """An item that is rejected is left out; a list that is not there drops the key."""
    node = {"list": {"$each": "{$task.results}", "$as": "{$item.missing}"}, "no": {"$each": "{$task.no}", "$as": 1}}
    assert render(node) == {"list": []}


def test_a_row_of_a_page_speaks_of_its_own_task() -> None:
    """An item that is a task with its view replaces `$task`, `$state` and what `$when` asks."""
    row = {"task": Spoken(id="t9"), "state": {"word": 9}, "view": SimpleNamespace(state="broken")}
    node = {
        "$each": "{$page}",
        "$as": {"id": "{$task.id}", "w": "{$state.word}", "ok": {"$when": {"state": ["ready"]}}},
    }
    assert template(node)({**SCOPE, "page": [row]}) == [{"id": "t9", "w": 9}]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"state": ["ready"]}, True),
        ({"state": "ready"}, True),
        ({"state": ["waiting", "broken"]}, False),
        ({"kind": ["film"]}, True),
        ({"kind": ["picture"], "state": ["ready"]}, False),
        ({"kind": ["film"], "state": ["ready"], "variant": ["plain"]}, True),
        ({"variant": ["fancy"]}, False),
    ],
)
def test_when_keeps_its_object_only_if_all_hold(condition: dict[str, Any], holds: bool) -> None:
    """A rejected object is absent: its key goes, the list around it loses it."""
    assert render({"x": {"$when": condition, "a": 1}}) == ({"x": {"a": 1}} if holds else {})
    assert render([{"$when": condition, "$value": 5}]) == ([5] if holds else [])


def test_when_with_value_is_the_value() -> None:
    """`$value` beside `$when` is kept itself: a list, a scalar, even null."""
    for kept in ([1], "{$state.word}", None):
        expected = 3 if kept == "{$state.word}" else kept
        assert render({"$when": {"state": ["ready"]}, "$value": kept}) == expected
    assert render({"$when": {"state": ["broken"]}, "$value": 1}) is ABSENT


def test_a_reference_is_followed() -> None:
    """A template may be written elsewhere, and parts of it."""
    assert render({"one": {"$ref": "#/part"}}, part={"id": "{$task.id}"}) == {"one": {"id": "t1"}}


def test_two_renderings_share_nothing() -> None:
    """What one reply does with its body does not reach the next."""
    made = template({"list": [{"a": 1}]})
    made(SCOPE)["list"][0]["a"] = 2
    assert made(SCOPE) == {"list": [{"a": 1}]}


@pytest.mark.parametrize(
    ("node", "pointer", "message"),
    [
        ({"a": {"$whn": {}}}, "/here/a", "unknown template word '$whn'; did you mean '$when'?"),
        ({"$when": {"sate": ["x"]}}, "/here/$when/sate", "unknown condition 'sate'; did you mean 'state'?"),
        ({"a": [1, "{$tsk.id}"]}, "/here/a/1", "'$tsk.id' does not start with one of"),
        ({"$each": "{$page|sze}", "$as": 1}, "/here/$each", "unknown filter 'sze'"),
        ({"a/b": "{$task.id"}, "/here/a~1b", "unclosed expression"),
        ({"a": {"$ref": "#/prt"}}, "/here/a", "$ref '#/prt' has no 'prt'; did you mean 'part'?"),
        ({"a": {"$ref": "../no/x.yaml"}}, "/here/a", "$ref names 'no/x.yaml', which is not a document here"),
    ],
)
def test_what_cannot_be_read_is_refused(node: Any, pointer: str, message: str) -> None:
    """A mistake is a SpecError with the file, the pointer and the closest word."""
    with pytest.raises(SpecError) as error:
        template(node, part=1)
    [problem] = error.value.problems
    assert (problem.file, problem.pointer) == ("toy/replies.yaml", pointer)
    assert message in problem.message


def test_a_circle_of_references_is_refused() -> None:
    """References that lead nowhere end in a message, not in a hanging load."""
    with pytest.raises(SpecError) as error:
        template({"a": {"$ref": "#/b"}}, b={"$ref": "#/c"}, c={"$ref": "#/b"})
    assert error.value.problems == (Problem("toy/replies.yaml", "/b", "$ref goes round in a circle"),)
