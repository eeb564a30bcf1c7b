"""A broken spec is told with file and pointer, never with a traceback: what once was one, and chance."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kling_mock.core.checks import check_deeply
from kling_mock.core.compiling import compile_provider
from kling_mock.core.documents import pointer, tokens
from kling_mock.core.examples import check_examples
from kling_mock.core.problems import Problem, SpecError
from kling_mock.core.words import WORDS
from kling_mock.loading import bundled, read_documents

TOYS = Path(__file__).parent / "providers"
SMALL = ("lifecycle", "scenarios", "replies", "pricing", "capabilities", "errors")
GONE = object()  # taken away instead of put

Documents = dict[str, Any]
Path_ = tuple[str | int, ...]


def own(folder: Path, name: str) -> Documents:
    """A provider's documents with the shared ones and without those of others, each part on its own."""
    found = read_documents(folder, name)
    return {file: _apart(node) for file, node in found.items() if "/" not in file or file.startswith(f"{name}/")}


def _apart(node: Any) -> Any:
    """A copy in which YAML's aliases are parts of their own, so that a change is one change."""
    if isinstance(node, dict):
        return {key: _apart(value) for key, value in node.items()}
    return [_apart(value) for value in node] if isinstance(node, list) else node


TOY, KLING = own(TOYS, "toymaker"), own(bundled("specs"), "kling")


def places(node: Any, at: Path_ = ()) -> Iterator[Path_]:
    """The path of every part of a document."""
    rows = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in rows:
        yield (*at, key)
        yield from places(value, (*at, key))


def changed(node: Any, at: Path_, value: Any) -> Any:
    """A copy with something else at a path, or nothing."""
    if not at:
        return value
    own_ = copy(node)
    if len(at) == 1 and value is GONE:
        del own_[at[0]]
    else:
        own_[at[0]] = changed(node[at[0]] if at[1:] else None, at[1:], value)
    return own_


def problems(documents: Documents, name: str) -> tuple[Problem, ...]:
    """All that check-spec would tell."""
    try:
        provider = compile_provider(documents, name)
        return (*check_examples(documents, name), *check_deeply(documents, name, provider))
    except SpecError as error:
        return error.problems


def told(documents: Documents, name: str, file: str, at: Path_, value: Any) -> tuple[Problem, ...]:
    """What is told of one change; every problem has a place that there is, or that something is missing from."""
    broken = {**documents, file: changed(documents[file], at, value)}
    found = problems(broken, name)
    for problem in found:
        assert problem.message
        node = broken[problem.file]
        for token in tokens(problem.pointer)[:-1]:
            node = node[int(token)] if isinstance(node, list) else node[token]
    return found


VALUES = st.sampled_from(
    [GONE, None, True, 7, -1.5, "", "zzz", [], {}, [7], {"zzz": 7}, {"$ref": "#/nowhere"}, {"$ref": ""}]
)


CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(CALM, max_examples=120)
@given(st.sampled_from([(f, at) for f in TOY if f != WORDS for at in places(TOY[f])]), VALUES)
def test_the_toy_with_anything_anywhere(spot: tuple[str, Path_], value: Any) -> None:
    """One part of the toy's documents is gone or is something else: problems or none, and no other exception."""
    told(TOY, "toymaker", *spot, value)


@settings(CALM, max_examples=40)
@given(
    st.sampled_from([(f"kling/{f}.yaml", at) for f in SMALL for at in places(KLING[f"kling/{f}.yaml"])]),
    st.one_of(st.just(GONE), VALUES),
)
def test_kling_with_anything_in_its_small_files(spot: tuple[str, Path_], value: Any) -> None:
    """The same of the vendor's tables; deletion is tried most."""
    told(KLING, "kling", *spot, value)


I2V = "/paths/~1v1~1videos~1image2video"
# Each of these was a traceback: the file, the pointer, what is put there (or GONE); then where it is told and how,
# or nothing where it is right.
ONCE: dict[str, tuple[str, str, Any, str, str, str]] = {
    "a parameter without a name": (
        "openapi",
        "/components/parameters/PageNumber/name",
        GONE,
        "openapi",
        "/components/parameters/PageNumber",
        "needs 'name'",
    ),
    "a parameter with a misspelt name": (
        "openapi",
        "/components/parameters/PageNumber",
        {"nmae": "pageNum", "in": "query", "schema": {"type": "integer"}},
        "openapi",
        "/components/parameters/PageNumber",
        "needs 'name'; did you mean 'name' by 'nmae'?",
    ),
    "a parameter with a list for a name": (
        "openapi",
        "/components/parameters/PageNumber/name",
        ["pageNum"],
        "openapi",
        "/components/parameters/PageNumber/name",
        "should be a text; is of type array",
    ),
    "a misspelt dimension": (
        "capabilities",
        "/features/sound/dimensions",
        {"modle": "model", "mode": "mode"},
        "capabilities",
        "/features/sound/dimensions/modle",
        "'modle' is not known here; did you mean 'mode",
    ),
    "a server that is nothing": (
        "openapi",
        "/servers/0",
        None,
        "openapi",
        "/servers/0",
        "should be an object; is of type null",
    ),
    "an operation that is nothing": (
        "openapi",
        f"{I2V}/get",
        None,
        "openapi",
        f"{I2V}/get",
        "should be an object; is of type null",
    ),
    "responses that are a list": (
        "openapi",
        f"{I2V}/get/responses",
        [],
        "openapi",
        f"{I2V}/get/responses",
        "should be an object; is of type array",
    ),
    "parameters that are an object": (
        "openapi",
        f"{I2V}/get/parameters",
        {"name": "pageNum"},
        "openapi",
        f"{I2V}/get/parameters",
        "should be a list; is of type object",
    ),
    "security that is nothing": (
        "openapi",
        "/security/0",
        None,
        "openapi",
        "/security/0",
        "should be an object of security schemes; is of type null",
    ),
    "an API without a title": ("openapi", "/info/title", GONE, "openapi", "/info", "needs 'title'"),
    "a bearer scheme without its scheme": (
        "openapi",
        "/components/securitySchemes/token/scheme",
        GONE,
        "openapi",
        "/components/securitySchemes/token",
        "needs 'scheme'",
    ),
    "a reference to the document that it stands in": (
        "openapi",
        "/x-mock-scenarios",
        {"$ref": ""},
        "openapi",
        "",
        "$ref leads back to what it stands in",
    ),
    "a required name that is no text": (
        "schemas",
        "/Task/required",
        [{}],
        "schemas",
        "/Task",
        "no JSON Schema 2020-12",
    ),
    "a rule's schema that is none": (
        "rules",
        "/model-is-the-old-name/schema/not/required",
        None,
        "rules",
        "/model-is-the-old-name/schema",
        "no JSON Schema 2020-12",
    ),
    "a number for a sort of calls": (
        "scenarios",
        "/too-fast-unsaid/parameters/call",
        -1.5,
        "scenarios",
        "/too-fast-unsaid/answers/0/call",
        "no calls of the sort -1.5",
    ),
    "a condition on an object": (
        "replies",
        "/query/data/task_result/videos/$when/state",
        [{"succeed": True}],
        "replies",
        "/query/data/task_result/videos/$when/state",
        "should be one value or a list of them",
    ),
    "a list from no expression": (
        "replies",
        "/list/data/$each",
        True,
        "replies",
        "/list/data/$each",
        "should be an expression",
    ),
    "a schema that is nothing but true": (
        "openapi",
        "/components/parameters/PageNumber/schema",
        True,
        "",
        "",
        "",
    ),
    "facts that are none": (
        "rules",
        "/masks-have-one-resolution/invalid/facts/mask",
        {"width": 7},
        "rules",
        "/masks-have-one-resolution/invalid",
        "the invalid example does not break the rule",
    ),
    "a fact that is no number": (
        "rules",
        "/masks-have-one-resolution/invalid/facts/mask/0/width",
        "",
        "rules",
        "/masks-have-one-resolution/invalid",
        "the invalid example does not break the rule",
    ),
}


@pytest.mark.parametrize("case", ONCE)
def test_what_was_a_traceback_is_told(case: str) -> None:
    """File, pointer, and what was probably meant."""
    file, at, value, where, pointer_, message = ONCE[case]
    node: Any = KLING[f"kling/{file}.yaml"]
    path: list[str | int] = []
    for token in tokens(at):
        path.append(int(token) if isinstance(node, list) else token)
        node = node[path[-1]] if token in node or isinstance(node, list) else None
    found = told(KLING, "kling", f"kling/{file}.yaml", tuple(path), value)
    if not where:
        assert found == ()
        return
    here = [
        problem.message for problem in found if (problem.file, problem.pointer) == (f"kling/{where}.yaml", pointer_)
    ]
    assert any(message in text for text in here), "\n".join(map(str, found)) or "nothing was found"


def test_a_pattern_for_each_variant() -> None:
    """A create whose ids differ by variant has one for each of them."""
    documents = {**KLING, **own(bundled("specs"), "pixazo")}
    at = ("paths", "/kling-ai-video/v1/getImageToVideoTask", "post", "x-mock-task", "new")
    problem, *_ = told(documents, "pixazo", "pixazo/openapi.yaml", (*at, "legacy"), GONE)
    assert (problem.file, problem.pointer) == ("pixazo/openapi.yaml", pointer(at))
    assert problem.message == "needs a pattern for each variant; missing legacy"


def test_a_schema_of_its_own_kind_is_read() -> None:
    """A schema may speak of itself, as JSON Schema allows: a tree in a request is left as it was sent."""
    tree = {"type": "object", "properties": {"branches": {"type": "array", "items": {"$ref": "#/Tree"}}}}
    at = ("ImageToVideoRequest", "properties", "tree")
    schemas = {**changed(KLING["kling/schemas.yaml"], at, {"$ref": "#/Tree"}), "Tree": tree}
    provider = compile_provider({**KLING, "kling/schemas.yaml": schemas}, "kling")
    reader = provider.operations["createImageToVideo"].bodies["application/json"].reader
    document = {"tree": {"branches": [{"branches": []}]}}
    assert reader.read(document)["tree"] == document["tree"]
