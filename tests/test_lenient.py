"""No provider is stricter here than in practice: each optional field may be filled with nothing, each number be a text.

The fields are read from the compiled specs, so that a new one is held to this too; openapi-core must agree.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from openapi_core.testing import MockRequest
from openapi_core.validation.request.validators import V31RequestBodyValidator

from kling_mock.core.checks_requests import bodies
from kling_mock.core.checks_shapes import Shapes, operations
from kling_mock.core.documents import Place, pointer
from kling_mock.core.model import Violation
from kling_mock.core.provider import Operation
from kling_mock.core.reading import Reader
from kling_mock.loading import bundled, load_providers, read_documents
from tests.conftest import Client
from tests.referee import opened, told
from tests.test_rules import MakeClient, faults

SPECS = bundled("specs")
PROVIDERS = load_providers()
SHAPES = Shapes(())
NOTHING = ("", None, [])
NO_NUMBERS = ("wide", "1,5", "0x1", "1 0", "NaN", "Infinity", "1e9", "--1", ".", "1..0", "true")

Path = tuple[str | int, ...]


class Member:
    """A field of a request: where it stands, its schemas, and whether it may be left out."""

    def __init__(self, path: Path, places: list[Place], optional: bool) -> None:
        self.path, self.parts, self.optional = path, SHAPES.parts(places), optional

    def limit(self, keyword: str) -> Any:
        """A bound that the field's schema sets, if it does."""
        return next((part.node[keyword] for part in self.parts if keyword in part.node), None)


def members(places: list[Place], path: Path = ()) -> Iterator[Member]:
    """Every field of a request, those of objects and of an array's first item too."""
    needed = {name for part in SHAPES.parts(places) for name in part.node.get("required", ())}
    for name, below in SHAPES.members(places).items():
        yield Member((*path, name), below, name not in needed)
        yield from members(below, (*path, name))
        yield from members(SHAPES.items(below), (*path, name, 0))


def creates() -> Iterator[tuple[str, Operation, list[Place]]]:
    """Every create of every provider, with the schemas of its body."""
    for name, provider in PROVIDERS.items():
        file = f"{name}/openapi.yaml"
        documents = read_documents(SPECS, name)
        for _, _, place in operations(Place(documents, file, "", documents[file])):
            operation = provider.operations[place.node["operationId"]]
            if operation.role == "create":
                yield name, operation, bodies(place)[:1]


CREATES = [pytest.param(*row, id=f"{row[0]}-{row[1].id}") for row in creates()]


def filled(document: Any, path: Path, value: Any) -> Any:
    """A copy of a document with a value at a path, objects and lists made on the way."""
    if not path:
        return value
    if isinstance(path[0], int):
        return [filled(document[0] if isinstance(document, list) and document else {}, path[1:], value)]
    own = copy.copy(document) if isinstance(document, Mapping) else {}
    own[path[0]] = filled(own.get(path[0]), path[1:], value)
    return own


def refusals(operation: Operation, document: Any, path: Path) -> list[Violation]:
    """What the schema refuses of one field, rules left aside."""
    schema = next(iter(operation.bodies.values())).schema
    at = pointer(path)
    found = schema.violations(document, "body")
    return [v for v in found if v.severity == "refused" and v.pointer == at and v.rule.startswith(operation.id)]


@cache
def bodies_of(name: str) -> V31RequestBodyValidator:
    """openapi-core's judge of a provider's bodies, credentials left aside."""
    return V31RequestBodyValidator(opened(SPECS, name).spec)


def refereed(name: str, operation: Operation, document: Any) -> list[str]:
    """What openapi-core has against a body, each as pointer, keyword and message."""
    data = json.dumps(document).encode()
    request = MockRequest("http://localhost", "post", operation.path, data=data, content_type="application/json")
    return [row for error in bodies_of(name).iter_errors(request) for row in told(error).split("; ")]


@pytest.mark.parametrize(("name", "operation", "places"), CREATES)
def test_every_optional_field_may_be_filled_with_nothing(name: str, operation: Operation, places: list[Place]) -> None:
    """An empty text, null and an empty list are as good as leaving the field out; openapi-core finds no fault there."""
    optional = [member for member in members(places) if member.optional]
    assert len(optional) >= 3
    for member in optional:
        for nothing in NOTHING:
            document = filled({}, member.path, nothing)
            assert refusals(operation, document, member.path) == [], (member.path, nothing)


@pytest.mark.parametrize("nothing", NOTHING)
@pytest.mark.parametrize(("name", "operation", "places"), CREATES)
def test_openapi_core_takes_nothing_too(nothing: Any, name: str, operation: Operation, places: list[Place]) -> None:
    """Leniency stands in the schemas: any OpenAPI tool takes all these fields filled with nothing."""
    if "multipart/form-data" in operation.bodies:
        return  # there is no null in a form
    optional = [member for member in members(places) if member.optional]
    for deep in (False, True):
        document: Any = {}
        for member in optional:
            if (len(member.path) > 1) is deep:
                document = filled(document, member.path, nothing)
        wrong = refereed(name, operation, document)
        assert not [m.path for m in optional if any(row.startswith(f"{pointer(m.path)}: ") for row in wrong)]


@pytest.mark.parametrize(("name", "operation", "places"), CREATES)
def test_what_is_nothing_is_read_as_absent(name: str, operation: Operation, places: list[Place]) -> None:
    """Rules, prices and replies see the default, or no such field at all."""
    reader: Reader = next(iter(operation.bodies.values())).reader
    for member in members(places):
        if member.optional and len(member.path) == 1:
            for nothing in NOTHING:
                assert reader.read({member.path[0]: nothing}) == reader.read({}), (member.path, nothing)


def numbers(places: list[Place]) -> Iterator[tuple[Member, float, float]]:
    """The fields that are numbers within bounds."""
    for member in members(places):
        least, most = member.limit("minimum"), member.limit("maximum")
        if least is not None and most is not None:
            yield member, least, most


BOUNDED = [
    pytest.param(name, operation, member, least, most, id=f"{name}-{operation.id}{pointer(member.path)}")
    for name, operation, places in creates()
    for member, least, most in numbers(places)
]


def test_the_numbers_are_found() -> None:
    """The six moves of a camera, cfg_scale, both fidelities and the voice's speed are among those tested below."""
    found = {str(row.values[2].path[-1]) for row in BOUNDED if isinstance(row.values[2], Member)}
    moves = {"horizontal", "vertical", "pan", "tilt", "roll", "zoom"}
    assert found == moves | {"cfg_scale", "cfg", "image_fidelity", "human_fidelity", "voice_speed"}


@pytest.mark.parametrize(("name", "operation", "member", "least", "most"), BOUNDED)
def test_a_text_is_held_to_the_bounds_of_the_number(
    name: str, operation: Operation, member: Member, least: float, most: float
) -> None:
    """A number and its text are both taken, or both refused by the same keyword with the same words."""
    middle = (least + most) / 2
    values = (least, most, middle, middle + 0.125, least - 0.01, least - 10, most + 0.01, most + 0.5, most * 5, 99)
    for number in values:
        for written in (str(number), f"{number:+.4f}", f"00{number}" if number > 0 else f"{number}"):
            as_number = refusals(operation, filled({}, member.path, number), member.path)
            as_text = refusals(operation, filled({}, member.path, written), member.path)
            assert [v.rule for v in as_text] == [v.rule for v in as_number], written
            assert bool(as_number) is not (least <= number <= most)
            for one, other in zip(as_number, as_text, strict=True):
                assert one.message.partition(";")[0] == other.message.partition(";")[0]


@pytest.mark.parametrize(("name", "operation", "member", "least", "most"), BOUNDED)
def test_a_text_that_is_no_number_is_refused(
    name: str, operation: Operation, member: Member, least: float, most: float
) -> None:
    """Whatever cannot be read as a number within the bounds is refused."""
    for text in NO_NUMBERS:
        [violation] = refusals(operation, filled({}, member.path, text), member.path)
        assert violation.rule.rpartition("/")[2] == ("maximum" if text == "1e9" else "pattern"), text


@pytest.mark.parametrize("text", [*NO_NUMBERS, "50", "-50"])
def test_openapi_core_refuses_the_same_texts(text: str) -> None:
    """It knows no reading; the patterns say it all."""
    body = {"image": "https://example.com/a.png", "cfg_scale": text, "camera_control": {"config": {"pan": text}}}
    wrong = "; ".join(refereed("kling", PROVIDERS["kling"].operations["createImageToVideo"], body))
    assert "/cfg_scale: pattern" in wrong
    assert "/camera_control/config/pan: pattern" in wrong


@pytest.mark.parametrize(("name", "operation", "member", "least", "most"), BOUNDED)
def test_a_text_is_read_as_its_number(
    name: str, operation: Operation, member: Member, least: float, most: float
) -> None:
    """What the schema lets pass is read: the default is never taken for a number that was given."""
    reader: Reader = next(iter(operation.bodies.values())).reader
    for written in (".9", "0.9", "1.", "01.0", "0.90000000000000000001", "9e-1"):
        assert refusals(operation, filled({}, member.path, written), member.path) == []
        read: Any = reader.read(filled({}, member.path, written))
        for token in member.path:
            read = read[token]
        assert read == float(written)


# What the rules make of it

CAMERA = {"model_name": "kling-v1-5", "mode": "pro", "image": "https://example.com/a.png", "prompt": "dusk"}
MOVES = [
    ({"pan": "5"}, set()),
    ({"pan": "5", "zoom": "0"}, set()),
    ({"pan": "-0.5", "zoom": "0.0", "roll": "", "tilt": None, "horizontal": []}, set()),
    ({"pan": "1e-1", "zoom": "0e-5"}, set()),
    ({"pan": "5", "zoom": "1"}, {"simple-camera-moves-one-way"}),
    ({"pan": "5", "zoom": 1}, {"simple-camera-moves-one-way"}),
    ({"pan": "0", "zoom": "-0.0"}, {"simple-camera-moves-one-way"}),
    ({"pan": ""}, {"simple-camera-moves-one-way"}),
    ({"pan": "50"}, {"createImageToVideo/camera_control/config/pan/maximum"}),
    ({"pan": 50}, {"createImageToVideo/camera_control/config/pan/maximum"}),
    ({"pan": "-10.5"}, {"createImageToVideo/camera_control/config/pan/minimum"}),
]


@pytest.mark.parametrize(("config", "expected"), MOVES)
def test_a_camera_moves_by_texts_as_by_numbers(config: dict[str, Any], expected: set[str], client: MakeClient) -> None:
    """Exactly one value that is not 0, within -10 to 10, however it is written."""
    body = CAMERA | {"camera_control": {"type": "simple", "config": config}}
    for name, prefix in (("kling", ""), ("rixapi", "/kling")):
        answer = client(name).send("POST", f"{prefix}/v1/videos/image2video", body)
        assert (answer.status, faults(answer)) == (400 if expected else 200, expected), name


def test_a_preset_camera_takes_texts_of_0(client: MakeClient) -> None:
    """Values of 0 are taken for empty, as texts too; another one is refused."""
    for zoom, expected in (("0", set()), ("", set()), ("5", {"preset-camera-has-no-config"})):
        control = {"type": "down_back", "config": {"zoom": zoom}}
        body = CAMERA | {"model_name": "kling-v3", "camera_control": control}
        answer = client("kling").send("POST", "/v1/videos/image2video", body)
        assert faults(answer) == expected, zoom


@pytest.mark.parametrize("nothing", NOTHING)
def test_a_form_filled_with_nothing_is_a_form_left_empty(nothing: Any, client: MakeClient) -> None:
    """All optional fields of the vendor's create at once: accepted, and the job is the default one."""
    kling: Client = client("kling")
    operation = kling.provider.operations["createImageToVideo"]
    [places] = [row[2] for row in creates() if row[0] == "kling" and row[1].id == operation.id]
    optional = {str(m.path[0]): copy.copy(nothing) for m in members(places) if len(m.path) == 1}
    answer = kling.send("POST", "/v1/videos/image2video", optional | {"image": "https://example.com/a.png"})
    assert (answer.status, faults(answer)) == (200, set())
    task = kling.mock.store.task("kling", answer.json["data"]["task_id"])
    assert task is not None
    assert {name: task.parameters[name] for name in ("model", "mode", "seconds")} == {
        "model": "kling-v1",
        "mode": "std",
        "seconds": 5,
    }


def test_a_bound_is_named_although_a_pattern_says_it(client: MakeClient) -> None:
    """The words are those of the number: at most 1, not a pattern."""
    body = {"image": "https://example.com/a.png", "prompt": "dusk", "cfg_scale": "1.5"}
    answer = client("kling").send("POST", "/v1/videos/image2video", body)
    assert answer.wrong == [("createImageToVideo/cfg_scale/maximum", "/cfg_scale")]
    assert answer.json["message"] == "cfg_scale should be at most 1; is 1.5"
