"""Every rule is shown right and wrong: its valid example must pass it, its invalid one must break it."""

from __future__ import annotations

from kling_mock.core.documents import Documents, Place
from kling_mock.core.problems import Problem
from kling_mock.core.schemas import Schemas


def check_examples(documents: Documents, name: str) -> list[Problem]:
    """The problems with the examples of a provider's rules."""
    file = f"{name}/openapi.yaml"
    schemas = Schemas(documents)
    found = []
    for id_, rule in Place(documents, file, "", documents[file]).get("x-mock-rules").items():
        place = rule.get("schema") if "schema" in rule.node else rule.get("fact").get("schema")
        schema = schemas.compile(place, id_)
        if schema.violations(rule.node["valid"], "rules"):
            found.append(rule.get("valid").problem(f"the valid example breaks the rule {id_!r}"))
        if not schema.violations(rule.node["invalid"], "rules"):
            found.append(rule.get("invalid").problem(f"the invalid example does not break the rule {id_!r}"))
    return found
