"""JSON templates: documents with expressions in their strings, compiled once to closures.

Three words beside plain JSON. `$each: LIST, $as: TEMPLATE` repeats with `$item`. `$when: {state: [...], kind: [...],
variant: [...]}` keeps its object only if all hold. `$value` beside `$when` is the value kept. A key whose value is
absent is dropped; an object that `$when` rejects is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kling_mock.core.documents import Place
from kling_mock.core.expressions import ABSENT, Expression, ExpressionError, Scope, compile_text
from kling_mock.core.problems import closest

Template = Callable[[Scope], Any]

CONDITIONS: Mapping[str, Callable[[Scope], Any]] = {
    "state": lambda scope: scope["view"].state,
    "kind": lambda scope: scope["task"].kind,
    "variant": lambda scope: scope["variant"],
}
WORDS = frozenset({"$each", "$as", "$when", "$value"})


def compile_template(place: Place) -> Template:
    """Compile the template at `place`. Raises `SpecError` with the file and pointer of what cannot be read."""
    place = place.follow()
    if isinstance(place.node, Mapping):
        return _object(place)
    if isinstance(place.node, list):
        return _array(place)
    if isinstance(place.node, str):
        return _string(place)
    return lambda scope: place.node


def by_variant(media: Place, variants: tuple[str, ...]) -> dict[str, Template]:
    """A media type's body for each variant: `x-mock-body` for all, or `x-mock-bodies` by name. Raises `SpecError`."""
    if "x-mock-body" in media.node:
        return dict.fromkeys(variants, compile_template(media.get("x-mock-body")))
    bodies = media.get("x-mock-bodies")
    for name, body in bodies.items():
        if name not in variants:
            raise body.error(f"unknown variant {name!r}{closest(name, variants)}")
    if missing := [name for name in variants if name not in (bodies.node or {})]:
        raise media.error(f"needs x-mock-body, or x-mock-bodies for each variant; missing {', '.join(missing)}")
    return {name: compile_template(body) for name, body in bodies.items()}


def _string(place: Place) -> Template:
    try:
        compiled = compile_text(place.node)
    except ExpressionError as error:
        raise place.error(str(error)) from None
    return compiled if callable(compiled) else lambda scope: compiled


def _array(place: Place) -> Template:
    parts = [compile_template(item) for item in place.each()]

    def render(scope: Scope) -> list[Any]:
        return [value for value in (part(scope) for part in parts) if value is not ABSENT]

    return render


def _object(place: Place) -> Template:
    for word in place.node:
        if word.startswith("$") and word not in WORDS:
            raise place.error(f"unknown template word {word!r}{closest(word, WORDS)}")
    if "$each" in place.node:
        return _each(place)
    holds = _condition(place.get("$when")) if "$when" in place.node else None
    body = compile_template(place.get("$value")) if "$value" in place.node else _members(place)
    if holds is None:
        return body

    def conditional(scope: Scope) -> Any:
        return body(scope) if holds(scope) else ABSENT

    return conditional


def _members(place: Place) -> Template:
    members = [(key, compile_template(value)) for key, value in place.items() if key != "$when"]

    def render(scope: Scope) -> dict[str, Any]:
        return {key: value for key, part in members if (value := part(scope)) is not ABSENT}

    return render


def _each(place: Place) -> Template:
    if not isinstance(place.node["$each"], str):
        raise place.get("$each").error("should be an expression")
    source: Expression = _string(place.get("$each"))
    part = compile_template(place.get("$as"))

    def render(scope: Scope) -> Any:
        values = source(scope)
        if values is ABSENT:
            return ABSENT
        rendered = (part({**scope, "item": value, **_task_of(value)}) for value in values)
        return [value for value in rendered if value is not ABSENT]

    return render


def _task_of(value: Any) -> Mapping[str, Any]:
    """An item that is itself a task with its view (a page's rows) is spoken of as `$task` and `$state`."""
    return value if isinstance(value, dict) and "task" in value and "view" in value else {}


def _condition(place: Place) -> Callable[[Scope], bool]:
    checks = []
    for name, allowed in place.items():
        if name not in CONDITIONS:
            raise allowed.error(f"unknown condition {name!r}{closest(name, CONDITIONS)}")
        values = allowed.node if isinstance(allowed.node, list) else [allowed.node]
        if any(isinstance(value, dict | list) for value in values):
            raise allowed.error("should be one value or a list of them")
        checks.append((CONDITIONS[name], frozenset(values)))
    return lambda scope: all(read(scope) in allowed for read, allowed in checks)
