"""Whoever is asked says the same: our validators and openapi-core, the judge and the mock, a repair and its judge."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema_path import SchemaPath
from openapi_core.validation.schemas import oas31_schema_validators_factory

from kling_mock import Finding, Verdict, judge
from kling_mock.core.documents import Place
from kling_mock.core.moves import pictured
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.repairing import Suggestion
from kling_mock.loading import bundled
from kling_mock.payloads import blocking
from kling_mock.yaml_files import read_yaml
from tests import bodies, corpus
from tests.bodies import PROVIDERS
from tests.patching import strictly
from tests.referee import Referee

MakeClient = Callable[..., Any]
ROWS = list(bodies.rows())
IDS = [f"{provider.name}-{operation.id}" for provider, operation, _ in ROWS]
every_body = pytest.mark.parametrize(("provider", "operation", "media_type"), ROWS, ids=IDS)
calm = settings(
    max_examples=400,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


URL = "https://example.com/a.png"

# openapi-core and ours


@cache
def read(uri: str) -> Any:
    """A document by its URI. openapi-core's own reader parses the file again for every `$ref`: 0.2 s a body."""
    path = Path(unquote(urlsplit(uri).path))
    return read_yaml(path, path.name)


@cache
def referee(provider: str, operation: str, media_type: str) -> Any:
    """openapi-core's validator of a body: its schema dialect, its reading of the documents."""
    file = bundled("specs").resolve() / provider / "openapi.yaml"
    spec = SchemaPath.from_dict(read(file.as_uri()), base_uri=file.as_uri(), handlers={"file": read})
    path, _ = bodies.schema_at(provider, operation, media_type)
    schema = spec / "paths" / path / "post" / "requestBody" / "content" / media_type / "schema"
    return oas31_schema_validators_factory.create(spec, schema).validator


@cache
def examples(provider: str, operation: str) -> str:
    """The corpus's bodies of an operation, as one JSON text; every picture and file is given by a URL there."""
    names = [name for name in corpus.PAYLOADS if corpus.provider_of(name) == provider]
    found = [row for row in map(corpus.load, names) if row["operation"] == operation]
    whole = [dict.fromkeys(row.get("files", {}), URL) | row["body"] for row in found]
    return corpus.MEDIA.sub(URL, json.dumps(whole))


def drawn(provider: Provider, operation: Operation, media_type: str) -> st.SearchStrategy[Any]:
    """Bodies of an operation, the corpus's among them."""
    return bodies.strategy(provider.name, operation.id, media_type, examples(provider.name, operation.id))


@every_body
def test_openapi_core_agrees(provider: Provider, operation: Operation, media_type: str) -> None:
    """Both accept or both refuse: bodies that fit, bodies that do not, and everything between."""
    ours, theirs = operation.bodies[media_type].schema, referee(provider.name, operation.id, media_type)
    seen: Counter[bool] = Counter()

    @calm
    @given(drawn(provider, operation, media_type))
    def agree(body: Any) -> None:
        accepted = ours.holds(body)
        seen[accepted] += 1
        assert theirs.is_valid(body) is accepted

    agree()
    assert min(seen[True], seen[False]) >= 10, seen


# Where openapi-core and ours differ: what it is, a body that shows it, and who is right.
DIFFERENCES: Mapping[str, tuple[str, str, Any]] = {
    # JSON Schema asks for ECMA-262's patterns.
    "a line break at the end of a text: Python's $ stands before it too, ECMA-262's does not": (
        "kling",
        "createImageToVideo",
        {"image": "https://example.com/a.png", "prompt": "waves", "element_list": [{"element_id": "160\n"}]},
    ),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_known_difference_is_still_there(difference: str) -> None:
    """We refuse, openapi-core accepts, and without the line break both accept. Gone? Then draw such texts above."""
    provider, operation, body = DIFFERENCES[difference]
    ours = PROVIDERS[provider].operations[operation].bodies[bodies.JSON].schema
    theirs = referee(provider, operation, bodies.JSON)
    assert (ours.holds(body), theirs.is_valid(body)) == (False, True)
    found = ours.violations(body, "body")
    assert [(row.rule, row.pointer) for row in found if row.severity == "refused"] == [
        ("createImageToVideo/element_list/*/element_id/pattern", "/element_list/0/element_id")
    ]
    plain = json.loads(json.dumps(body).replace("\\n", ""))
    assert (ours.holds(plain), theirs.is_valid(plain)) == (True, True)


@pytest.mark.parametrize("name", FIRST := sorted({corpus.load(n)["operation"]: n for n in corpus.PAYLOADS}.values()))
def test_openapi_core_says_the_same_of_a_whole_request(name: str) -> None:
    """The validator asked above is the one that openapi-core asks when it is given a request."""
    provider, operation = corpus.provider_of(name), corpus.load(name)["operation"]
    validator = referee(provider, operation, bodies.JSON)
    for body in (corpus.body(name), {}):
        assert (Referee(provider).request(operation, body) == []) is validator.is_valid(body)


# The judge and the mock


CREATES = [(provider, operation) for provider, operation, _ in ROWS if operation.role == "create"]
every_create = pytest.mark.parametrize(
    ("provider", "operation"), CREATES, ids=[f"{provider.name}-{operation.id}" for provider, operation in CREATES]
)
ELSEWHERE = "mock/task"  # what only the account knows: the parent task that a payload names


@every_create
def test_what_the_judge_accepts_the_mock_accepts(provider: Provider, operation: Operation, client: MakeClient) -> None:
    """And the other way round, with the same violations: one pipeline. Each body is sent by an account of its own."""
    caller, seen = client(provider.name), Counter[bool]()
    kind = {"content-type": bodies.JSON}

    @calm
    @given(drawn(provider, operation, bodies.JSON))
    def agree(body: Any) -> None:
        verdict = judge(json.dumps(body), provider.name, operation.id, headers=kind)
        refused = [row for row in verdict.violations if row.severity == "refused"]
        got = caller.other().send(operation.method, operation.path, body=json.dumps(body).encode(), headers=kind)
        told = [row for row in got.judged if "rule" in row]
        if any(row["rule"].startswith(ELSEWHERE) for row in told):
            assert not refused
            return
        seen[not refused] += 1
        assert (got.status < 300) is (not refused), (body, got.json)
        if refused:
            assert refused[0].provider_says is not None
            assert refused[0].provider_says.status == got.status
        if len(told) == len(got.violations):  # else the header was too long for all of them
            mine = sorted((row.rule, row.pointer, row.severity) for row in verdict.violations)
            assert mine == sorted((row["rule"], row["pointer"], row["severity"]) for row in told)

    agree()
    assert seen[False] >= 10
    assert seen[True] >= 10 or (operation.task is not None and operation.task.parents)


@every_create
def test_nothing_makes_the_judge_raise(provider: Provider, operation: Operation) -> None:
    """Junk at every place that a payload of the corpus or the schema has: a verdict that can be written as JSON."""
    fields = [(name,) for name in bodies.members(bodies.schema_at(provider.name, operation.id, bodies.JSON)[1])]
    kinds, seen = (bodies.JSON, next(iter(operation.bodies))), set()
    for body in json.loads(examples(provider.name, operation.id)):
        for path in (*bodies.places(body), *fields):
            if (wild := tuple("*" if isinstance(token, int) else token for token in path)) in seen:
                continue
            seen.add(wild)
            for number, junk in enumerate(bodies.JUNK):
                kind = kinds[number % len(kinds)]
                broken = bodies.put(body, path, junk)
                verdict = judge(json.dumps(broken), provider.name, operation.id, headers={"content-type": kind})
                assert json.dumps(verdict.as_json())
                assert all(row.message for row in verdict.violations)
                assert all((row.severity == "refused") == (row.provider_says is not None) for row in verdict.violations)
    assert seen >= {(), *fields}


# A repair and its judge


def absent(value: Any) -> bool:
    """What counts as not given."""
    return value is None or value in ("", [])


def wrong(schema: Place, value: Any) -> list[Any]:
    """Mistakes of a field that leave no doubt of what was meant, beginning with the smallest."""
    node = bodies.words(schema)
    found: list[Any] = []
    if value == 0:  # one of several numbers that are 0: another value would mean another thing
        return found
    choices = node.get("enum", [])
    if isinstance(value, str) and value in choices and value[:1].isalpha():
        found += [
            value + value[-1],
            value[:1] + value,
            value.upper(),
            value.title(),
            f" {value}",
            value.replace("-", "."),
        ]
    elif value in choices and not isinstance(value, bool):
        numbers = [float(choice) for choice in choices if isinstance(choice, str | int) and str(choice).isdigit()]
        found += [str(int(max(numbers) + 30)), int(max(numbers) + 30)] if numbers else []
    if "maximum" in node and not choices:
        found += [node["maximum"] + 0.5, node["maximum"] + 100]
    if "minimum" in node and not choices:
        found += [node["minimum"] - 0.5]
    if "maxLength" in node:
        found += ["m" * (node["maxLength"] + 1)]
    shots = isinstance(value, list) and any("duration" in row for row in value if isinstance(row, dict))
    if isinstance(value, list) and value and "maxItems" in node and not shots:  # too many shots are too many seconds
        found += [value * (node["maxItems"] + 1)]
    if "string" in node.get("type", ()) and "integer" not in node.get("type", ()) and isinstance(value, str):
        found += [7, True]
    return [row for row in found if row not in choices]


def good(provider: Provider, operation: Operation) -> list[Any]:
    """The bodies of the corpus that pass."""
    known = json.loads(examples(provider.name, operation.id))
    return [body for body in known if judge(body, provider.name, operation.id, headers=AS_JSON).ok]


AS_JSON = {"content-type": bodies.JSON}
Path_ = tuple[str | int, ...]


def breakable(schema: Place, body: Any, images: Collection[str], path: Path_ = ()) -> Iterator[tuple[Path_, list[Any]]]:
    """The fields of a body, those of objects in it too, with mistakes for each; no mistake in a picture is mended."""
    fields = bodies.members(schema)
    for name, value in body.items():
        if name in fields and name not in images and not absent(value):
            if isinstance(value, dict):
                yield from breakable(fields[name], value, images, (*path, name))
            elif found := wrong(fields[name], value):
                yield (*path, name), found


@st.composite
def mistaken(draw: st.DrawFn, known: bodies.Known, images: Collection[str]) -> tuple[Any, Any, int]:
    """A body that passes, the same with one to three fields mistaken, and how many."""
    body = draw(st.sampled_from(known.examples))
    ways = dict(breakable(known.schema, body, images))
    places = draw(st.lists(st.sampled_from(list(ways)), min_size=1, max_size=3, unique=True))
    if ("duration",) in places and body.get("multi_prompt"):
        places = [("duration",)]  # beside another mistake nothing would say that the shots' sum was meant
    broken = body
    for place in places:
        broken = bodies.put(broken, place, ways[place][draw(st.integers(0, len(ways[place]) - 1))])
    return body, broken, len(places)


def changed(before: Any, after: Any, at: Path_ = ()) -> set[Path_]:
    """The fields in which two bodies differ, what is absent being all the same."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = {*before, *after}
        return {row for name in names for row in changed(before.get(name), after.get(name), (*at, name))}
    return set() if before == after or (absent(before) and absent(after)) else {at}


@every_create
def test_the_suggestions_mend_a_payload_with_as_little_as_possible(provider: Provider, operation: Operation) -> None:
    """All applied, the judge accepts; no field is touched but the mistaken ones, and no step can be left out.

    The price runs through from the first step to the last: what it would have been, and what it will be.
    """
    schema = bodies.schema_at(provider.name, operation.id, bodies.JSON)[1]
    pictures = {name for way in operation.images.values() for name in way}
    fit = [body for body in good(provider, operation) if any(breakable(schema, body, pictures))]
    known = bodies.Known(operation.id, schema, tuple(fit))
    seen: Counter[int] = Counter()

    @calm
    @given(mistaken(known, pictures))
    def mend(case: tuple[Any, Any, int]) -> None:
        body, broken, mistakes = case
        verdict = ask(broken)
        assume(not verdict.ok)
        steps = verdict.suggestions
        mended = applied(steps, broken)
        after = ask(mended)
        assert after.ok, (broken, [row.rule for row in blocking(after)])
        assert changed(broken, mended) <= changed(broken, body), (broken, mended)
        assert len(steps) <= mistakes
        assert (steps[0].before, steps[-1].after) == (verdict.quote, after.quote)
        assert all(one.after == two.before for one, two in pairwise(steps))
        for number in range(len(steps)):
            assert not ask(applied(steps[:number] + steps[number + 1 :], broken)).ok
        seen[mistakes] += 1

    def ask(document: Any) -> Verdict:
        return judge(document, provider.name, operation.id, headers=AS_JSON)

    mend()
    assert seen.total() >= 3, seen


def applied(steps: Iterable[Suggestion], document: Any) -> Any:
    """The document after the patches of some suggestions, in their order, as RFC 6902 has them."""
    for step in steps:
        document = strictly(step.patch, document)
    return document


@st.composite
def combined(draw: st.DrawFn, known: bodies.Known, features: list[tuple[str, Any]]) -> Any:
    """A body of the corpus, good or bad, with fields of others added, fields left out, and some made wrong."""
    body = dict(draw(st.sampled_from(known.examples)))
    for name, value in draw(st.lists(st.sampled_from(features), min_size=1, max_size=4)):
        body[name] = value
    for name in draw(st.lists(st.sampled_from(sorted(body)), max_size=2, unique=True)):
        del body[name]
    for path, ways in dict(breakable(known.schema, body, ())).items() if draw(st.booleans()) else ():
        if draw(st.integers(0, 3)) == 0:
            body = bodies.put(body, path, draw(st.sampled_from(ways)))
    return body


@every_create
def test_the_suggestions_mend_whatever_can_be_mended(provider: Provider, operation: Operation) -> None:
    """Features added and removed, values broken, junk: what stays refused is a picture, or what nobody can invent.

    Each patch can be applied as RFC 6902 has it, no step can be left out, and the judge has nothing to add.
    """
    schema = bodies.schema_at(provider.name, operation.id, bodies.JSON)[1]
    examples_ = [body for body in json.loads(examples(provider.name, operation.id)) if body]
    known = bodies.Known(operation.id, schema, tuple(examples_))
    features = [(name, value) for body in examples_ for name, value in body.items()]
    needed = {"", *bodies.words(schema).get("required", ()), *(way[0] for way in operation.images.values())}
    seen: Counter[bool] = Counter()

    def ask(document: Any) -> Verdict:
        return judge(json.dumps(document), provider.name, operation.id, headers=AS_JSON)

    def stays(finding: Finding) -> bool:
        """A picture, or something that must be given and is not: no patch can make one."""
        field = finding.pointer.split("/")[1] if finding.pointer else ""
        return field in needed or finding.rule in {*pictured(provider), *NOT_INVENTED}

    @settings(calm, max_examples=150)
    @given(st.one_of(combined(known, features), bodies.mutated(known)))
    def mend(broken: Any) -> None:
        verdict = ask(broken)
        assume(not verdict.ok)
        steps = verdict.suggestions
        mended = applied(steps, broken)
        after = ask(mended)
        left = blocking(after)
        assert all(map(stays, left)), (broken, [(row.rule, row.pointer) for row in left], [row.patch for row in steps])
        assert after.suggestions == ()
        for number in range(len(steps)):
            try:
                fewer = applied(steps[:number] + steps[number + 1 :], broken)
            except LookupError:
                continue
            assert len(blocking(ask(fewer))) > len(left), (broken, [row.patch for row in steps], number)
        seen[after.ok] += 1

    mend()
    assert seen[True] >= 10, seen


# No frame, no file and no prompt (which several shots need, of whatever type) is made out of nothing.
NOT_INVENTED = {"first-or-last-frame", "prompt-or-shots", "multi-shot-needs-a-shot-type", "image-is-given"}
