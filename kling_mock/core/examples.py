"""Every rule is shown right and wrong: its valid example must pass it, its invalid one must break it.

The examples of a `compare` rule are `{document: ...}` or, for images, `{facts: {role: [facts of an image, ...]}}`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kling_mock.core.documents import Documents, Place
from kling_mock.core.problems import Problem
from kling_mock.core.rules import Image, compile_compare
from kling_mock.core.schemas import Schemas


def check_examples(documents: Documents, name: str) -> list[Problem]:
    """The problems with the examples of a provider's rules."""
    file = f"{name}/openapi.yaml"
    schemas = Schemas(documents)
    found = []
    for id_, rule in Place(documents, file, "", documents[file]).get("x-mock-rules").items():
        broken = _broken(rule, id_, schemas)
        if broken(rule.node["valid"]):
            found.append(rule.get("valid").problem(f"the valid example breaks the rule {id_!r}"))
        if not broken(rule.node["invalid"]):
            found.append(rule.get("invalid").problem(f"the invalid example does not break the rule {id_!r}"))
    return found


def _broken(rule: Place, id_: str, schemas: Schemas) -> Callable[[Any], bool]:
    """Whether an example breaks a rule."""
    if "compare" in rule.node:
        return _compared(rule.get("compare"))
    place = rule.get("schema") if "schema" in rule.node else rule.get("fact").get("schema")
    schema = schemas.compile(place, id_)
    return lambda example: bool(schema.violations(example, "rules"))


def _compared(place: Place) -> Callable[[Any], bool]:
    """Whether an example breaks a comparison."""
    compare = compile_compare(place)

    def broken(example: Any) -> bool:
        told = example if isinstance(example, dict) else {}
        facts = told.get("facts", {})
        images = [Image(role, f"/{role}/{n}", "", fact) for role, some in facts.items() for n, fact in enumerate(some)]
        return compare.broken(told.get("document", {}), images)

    return broken
