"""How near a request that a rule lets pass comes to it: as near as the rule's own valid example.

A rule is mostly let pass because nothing in the request concerns it. One that was nearly broken gives of the fields
that the rule speaks of what its valid example gives, and is with each value that the rule names on the example's side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from kling_mock.core.documents import Place, tokens
from kling_mock.core.expressions import point, text
from kling_mock.core.reading import is_absent

EVERY, ONE = ("allOf", "anyOf", "oneOf"), ("not", "if", "then", "else")


class Side(Struct, frozen=True):
    """The values that a rule names for a field, and whether the example has one of them."""

    values: frozenset[str]
    inside: bool

    def has(self, value: Any) -> bool:
        """Whether a value is on the example's side."""
        return (text(value) in self.values) == self.inside


class Nearness(Struct, frozen=True):
    """The fields of the valid example that the rule speaks of, and the sides on which their values are.

    `within` is the path to the object that has these fields, where that is not the whole document.
    """

    fields: frozenset[str] = frozenset()
    sides: Mapping[str, Side] = field(default_factory=dict)
    within: tuple[str, ...] = ()

    def fits(self, document: Any) -> bool:
        """Whether a read document comes as near; never, where the example itself gives no field of the rule."""
        document = point(document, list(self.within))
        if not self.fields or not isinstance(document, dict):
            return False
        given = all(not is_absent(document.get(name)) for name in self.fields)
        return given and all(side.has(document[name]) for name, side in self.sides.items())


def nearness(rule: Place) -> Nearness:
    """How near the valid example of a rule over a request is; of a rule over images nothing can be said so."""
    example, named = rule.node["valid"], dict[str, set[str]]()
    if "compare" in rule.node:
        example = example.get("document", {}) if isinstance(example, dict) else {}
        compare = rule.get("compare")
        for word in ("sum", "equals"):
            if word in compare.node:
                named.setdefault(tokens(compare.node[word])[0], set())
        schemas = [compare.get("when")]
    else:
        schemas = [rule.get("schema")]
    for schema in schemas:
        for name, values in _named(schema):
            named.setdefault(name, set()).update(values)
    if not isinstance(example, dict):  # of a rule over one field's value, it is such a value
        return Nearness(frozenset(tokens(rule.node.get("field", ""))[:1]))
    given = {name: values for name, values in named.items() if not is_absent(example.get(name))}
    sides = {name: Side(frozenset(some), text(example[name]) in some) for name, some in given.items() if some}
    path = tokens(rule.node.get("field", ""))
    within = next((path[:index] for index, name in enumerate(path) if name in named), [])
    return Nearness(frozenset(given), sides, tuple(within))


def _named(schema: Place) -> Iterator[tuple[str, set[str]]]:
    """Every field of the document that a schema speaks of, with the values that it names for it."""
    if not isinstance(schema.node, dict):
        return
    for name in schema.node.get("required", ()):
        yield name, set()
    for name, part in schema.get("properties").items():
        node = part.node if isinstance(part.node, dict) else {}
        listed = [*node.get("enum", ()), *([node["const"]] if "const" in node else [])]
        yield name, {text(value) for value in listed if not is_absent(value)}
    for word in ONE:
        yield from _named(schema.get(word))
    for word in EVERY:
        for part in schema.get(word).each():
            yield from _named(part)
