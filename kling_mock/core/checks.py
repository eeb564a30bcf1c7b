"""Whether a spec that compiles also means what it says: names, tables and bodies that do not agree with each other.

Compiling refuses what cannot be understood. What is understood and yet wrong is found here: a pointer to a part that no
request has, a keyword that no validator knows, a rule that nothing refers to, a reply that its own schema refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kling_mock.core import checks_tables as tables
from kling_mock.core.checks_anchors import Anchors
from kling_mock.core.checks_conditions import check_conditions
from kling_mock.core.checks_errors import check_error_names, check_errors
from kling_mock.core.checks_keys import check_fields, check_schemas
from kling_mock.core.checks_replies import Fit, check_replies
from kling_mock.core.checks_requests import check_expressions, check_links, check_paths
from kling_mock.core.checks_samples import Sampler
from kling_mock.core.checks_shapes import Shapes, raw
from kling_mock.core.documents import Documents, Place
from kling_mock.core.problems import Problem, SpecError
from kling_mock.core.provider import Provider
from kling_mock.core.schemas import Schemas


def check_deeply(documents: Documents, name: str, provider: Provider) -> list[Problem]:
    """Every problem of the compiled provider `name` that compiling does not see, each once."""
    file = f"{name}/openapi.yaml"
    root = Place(documents, file, "", documents[file])
    schemas, shapes = Schemas(documents), Shapes(_rules(root))
    sampler, anchors = Sampler(root, provider, shapes), Anchors(documents)
    checks: list[Callable[[], Iterator[Problem]]] = [
        lambda: check_fields(root),
        lambda: check_schemas(root, schemas),
        lambda: check_paths(root),
        lambda: check_expressions(root, shapes),
        lambda: check_links(root, shapes),
        lambda: tables.check_kinds(root),
        lambda: tables.check_fields(root, shapes),
        lambda: check_conditions(root, shapes),
        lambda: tables.check_unused(root),
        lambda: tables.check_prices(root, provider, shapes),
        lambda: tables.check_matrix(root, provider, shapes),
        lambda: tables.check_accounts(root),
        lambda: tables.check_scenarios(root, provider.lifecycle),
        lambda: tables.check_responses(root),
        lambda: tables.check_texts(root),
        lambda: check_error_names(root),
        lambda: check_errors(root, provider, sampler, Fit(schemas, shapes, anchors)),
        lambda: check_replies(sampler, Fit(schemas, shapes, anchors)),
    ]
    return list(dict.fromkeys(anchors.first(problem) for check in checks for problem in _tried(check)))


def _tried(check: Callable[[], Iterator[Problem]]) -> Iterator[Problem]:
    """The problems of one check; a dead reference that it meets is one of them."""
    try:
        yield from check()
    except SpecError as error:
        yield from error.problems


def _rules(root: Place) -> frozenset[tuple[str, str]]:
    """The places of rules' schemas: the provider's own, and those that its rules are taken from."""
    found = set()
    for _, rule in root.get("x-mock-rules").items():
        place = raw(rule, "schema")
        if place.node is not None:
            found.add((place.file, place.at))
    return frozenset(found)
