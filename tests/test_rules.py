"""Kling's restrictions, each in the mock and, where JSON Schema states it, in openapi-core; no sentence is lost.

A rule's own examples are sent. Where an example is no body (a fact of an image, a comparison of images) files are sent
instead, named below. SOURCES.md says which sentence of the vendor's page is judged by what; that table is held to it.
"""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from kling_mock.core.errors import SITUATIONS
from kling_mock.core.repairing import apply
from kling_mock.loading import bundled, load_providers, read_documents
from tests.conftest import Answer, Client
from tests.referee import referee

MakeClient = Callable[..., Client]
SPECS, MEDIA = bundled("specs"), bundled("fixtures") / "media"
DOCUMENTS = read_documents(SPECS)
RULES: dict[str, dict[str, Any]] = DOCUMENTS["kling/rules.yaml"]
KLING = load_providers(["kling"])["kling"]
FEATURES = set(KLING.capabilities.features if KLING.capabilities else ())
PATHS = {
    "createImageToVideo": "/v1/videos/image2video",
    "createTextToVideo": "/v1/videos/text2video",
    "createImage": "/v1/images/generations",
}
OPERATIONS = {
    "ImageToVideoRequest": "createImageToVideo",
    "TextToVideoRequest": "createTextToVideo",
    "ImageRequest": "createImage",
}
KINDS = {"videos/image2video": "createImageToVideo", "videos/text2video": "createTextToVideo"}


def native() -> list[tuple[str, str]]:
    """Each rule that stands in a request schema, with the operations of those schemas."""
    schemas = DOCUMENTS["kling/schemas.yaml"]
    rows = ((OPERATIONS[name], part["$ref"]) for name in OPERATIONS for part in schemas[name]["allOf"])
    return [(at.split("/")[1], operation) for operation, at in rows if at.startswith("rules.yaml#")]


NATIVE = native()
READ = [name for name, rule in RULES.items() if "kinds" in rule and "images" not in rule.get("compare", {})]
FIRST = dict(reversed(NATIVE)) | dict.fromkeys(READ, "createImageToVideo")
# What the vendor ignores; everything else it refuses, but for masks of another size, which make the task fail.
WARNINGS = {
    "model-is-the-old-name",
    "customize-ignores-the-prompt",
    "shot-type-without-multi-shot",
    "shots-without-multi-shot",
    "voice-is-named",
    "cfg-scale-is-ignored",
    # What the page asks for and nobody saw enforced.
    "prompt-is-asked-for",
    "shots-of-intelligence-fill-the-video",
    "shots-are-numbered",
    "shots-have-prompts",
    "voice-in-a-shot-is-listed",
    "mode-is-not-for-masters",
}
# Rules whose invalid example cannot help breaking something else: the other id.
BESIDE = {"elements-or-voices": {"voice"}}

UNREADABLE = "File is not in a valid base64 format"
UNFIT = (
    "The resolution or aspect ratio of the input image is invalid. Please ensure it meets the required specifications."
)
# Rule over one image: a file that passes, one that does not (or a text), and the vendor's text.
PICTURES: dict[str, tuple[str | bytes, str | bytes, str]] = {
    "image-is-readable": ("square-300x300.png", b"data:image/png;base64,iVBORw0KGgo=", UNREADABLE),
    "image-is-jpg-or-png": ("photo-1280x720.jpg", "photo.webp", UNREADABLE),
    "image-is-whole": ("photo-1280x720.jpg", "truncated.jpg", UNREADABLE),
    "image-is-at-most-10-mb": ("+10485760", "+10485761", "image should be a file of at most 10 MB"),
    "image-is-at-least-300-px": ("square-300x300.png", "just-too-small-300x299.png", "Image pixel is invalid"),
    "image-is-not-too-long": ("widest-750x300.png", "too-wide-751x300.png", UNFIT),
}


def picture(name: str | bytes) -> str:
    """A file as base64; bytes are the text itself, "+N" is a picture that is followed by nothing up to N bytes."""
    if isinstance(name, bytes):
        return name.decode()
    if name.startswith("+"):
        content = (MEDIA / "square-300x300.png").read_bytes()
        return base64.b64encode(content + bytes(int(name) - len(content))).decode()
    return base64.b64encode((MEDIA / name).read_bytes()).decode()


def faults(answer: Answer) -> set[str]:
    """What was wrong with a request beyond warnings."""
    return {row["rule"] for row in answer.violations if row["severity"] != "warning"}


@pytest.fixture
def kling(client: MakeClient) -> Client:
    """A caller of the vendor's own API."""
    return client("kling")


def refereed(operation: str, body: Any) -> list[str]:
    """What openapi-core has against a body."""
    return referee("kling").request(operation, body)


def create(caller: Client, operation: str, body: Any) -> Answer:
    """Send a body to one of the three creates."""
    prefix = "" if caller.provider.name == "kling" else "/kling"
    return caller.send("POST", prefix + PATHS[operation], body)


def test_every_rule_is_tested() -> None:
    """Each rule is one of: in a request schema, over the read document, over images; none is missed below."""
    over_images = {name for name, rule in RULES.items() if "images" in rule.get("compare", {})}
    facts = {name for name, rule in RULES.items() if "fact" in rule}
    assert facts == set(PICTURES)
    assert over_images == {name for name, *_ in MASKS}
    assert set(RULES) == {name for name, _ in NATIVE} | set(READ) | facts | over_images
    assert {name for name, _ in NATIVE} == {n for n, r in RULES.items() if "schema" in r and "kinds" not in r}
    assert {name for name, rule in RULES.items() if rule["severity"] == "warning"} == WARNINGS
    assert {name for name, rule in RULES.items() if rule["severity"] == "fails"} == over_images
    assert len(RULES) >= 30


# Examples


def example(name: str, which: str) -> Any:
    """A rule's example as a body."""
    found = RULES[name][which]
    return copy.deepcopy(found["document"] if "compare" in RULES[name] else found)


@pytest.mark.parametrize("name", FIRST)
def test_a_valid_example_is_accepted(name: str, kling: Client) -> None:
    """The valid example breaks no rule at all and is accepted."""
    answer = create(kling, FIRST[name], example(name, "valid"))
    assert (answer.status, faults(answer)) == (200, set())
    assert name not in {row["rule"] for row in answer.violations}


@pytest.mark.parametrize("name", FIRST)
def test_an_invalid_example_breaks_its_rule_and_no_other(name: str, kling: Client) -> None:
    """Rule, pointer and severity as the rule says; a refusal is HTTP 400, code 1201 and the vendor's form of a text."""
    rule = RULES[name]
    answer = create(kling, FIRST[name], example(name, "invalid"))
    found = {(row["rule"], row["pointer"], row["severity"]) for row in answer.violations}
    assert (name, rule["field"], rule["severity"]) in found
    if rule["severity"] == "warning":
        assert (answer.status, faults(answer)) == (200, set())
    else:
        assert faults(answer) == {name} | BESIDE.get(name, set())
        text = f"{rule['field'].rpartition('/')[2]} {rule['message']}"
        assert (answer.status, answer.json["code"], answer.json["message"]) == (400, 1201, text)


FRAMES = {"image": "https://example.com/first.png", "image_tail": "https://example.com/last.png"}
# Other ways to break a rule than its example's: what is changed in the valid example.
ALSO: list[tuple[str, dict[str, Any]]] = [
    ("first-or-last-frame", {"image": None}),
    ("last-frame-or-motion-brush", {"dynamic_masks": [{"mask": "https://x.test/m.png", "trajectories": []}]}),
    ("multi-shot-has-no-last-frame", FRAMES | {"multi_shot": "true"}),
    ("multi-shot-needs-a-shot-type", {"shot_type": None}),
    ("customize-needs-shots", {"multi_prompt": None, "multi_shot": "true"}),
    ("prompt-or-shots", {"prompt": None}),
    ("prompt-or-shots", {"prompt": "", "multi_shot": True, "shot_type": "intelligence"}),
    ("prompt-or-shots", {"prompt": "", "multi_shot": "false", "multi_prompt": [{"prompt": "x", "duration": "5"}]}),
    ("voice-is-listed", {"voice_list": []}),
    ("voice-is-listed", {"voice_list": None, "prompt": "<<<voice_1>>> sings"}),
    ("voice-is-listed", {"prompt": "<<<voice_3>>> sings"}),
    ("voice-is-listed", {"prompt": "<<<voice_0>>> sings"}),
    ("voice-needs-sound", {"sound": "off"}),
    ("voice-needs-sound", {"sound": ""}),
    ("simple-camera-needs-a-config", {"camera_control": {"type": "simple", "config": None}}),
    ("simple-camera-needs-a-config", {"camera_control": {"type": "simple", "config": {}}}),
    ("simple-camera-moves-one-way", {"camera_control": {"type": "simple", "config": {"pan": 0, "zoom": 0}}}),
    ("simple-camera-moves-one-way", {"camera_control": {"config": {"pan": 1, "zoom": 1}}}),
    ("last-frame-or-camera", FRAMES | {"camera_control": {"config": {"zoom": 5}}}),
    ("last-frame-or-camera", FRAMES | {"camera_control": {"type": "", "config": {"zoom": 5}}}),
    ("motion-brush-or-camera", {"camera_control": {"config": {"zoom": 5}}}),
    ("preset-camera-has-no-config", {"camera_control": {"type": "left_turn_forward", "config": {"tilt": -0.5}}}),
]


@pytest.mark.parametrize(("name", "change"), ALSO)
def test_other_ways_to_break_a_rule(name: str, change: dict[str, Any], kling: Client) -> None:
    """What is nothing is not given, and each side of a rule counts; openapi-core agrees."""
    body = example(name, "valid") | change
    assert name in faults(create(kling, FIRST[name], body))
    assert refereed(FIRST[name], body) != []


@pytest.mark.parametrize(("name", "operation"), NATIVE)
def test_openapi_core_agrees(name: str, operation: str) -> None:
    """A rule in a request schema is a rule for every OpenAPI tool."""
    assert refereed(operation, example(name, "valid")) == []
    assert refereed(operation, example(name, "invalid")) != []


@pytest.mark.parametrize(("name", "operation"), NATIVE)
def test_a_rule_is_judged_in_each_of_its_operations(name: str, operation: str, kling: Client) -> None:
    """A field that operations share has one rule for all of them."""
    assert name not in faults(create(kling, operation, example(name, "valid")))
    assert name in faults(create(kling, operation, example(name, "invalid")))


@pytest.mark.parametrize("name", READ)
def test_a_rule_over_the_read_document_is_judged_for_each_of_its_kinds(name: str, kling: Client) -> None:
    """What a rule says of text2video and of images is judged there too."""
    kinds = {"images/generations": "createImage"} | KINDS
    for kind in RULES[name]["kinds"]:
        for which, expected in (("valid", False), ("invalid", True)):
            answer = create(kling, kinds[kind], example(name, which))
            assert (name in {row["rule"] for row in answer.violations}) is expected, (kind, which)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if "repair" in rule])
def test_a_repair_mends_the_example(name: str, kling: Client) -> None:
    """Applied to the invalid example, the rule's JSON Patch leaves a body that is accepted and breaks it no more."""
    answer = create(kling, FIRST[name], apply(RULES[name]["repair"], example(name, "invalid")))
    assert (answer.status, faults(answer)) == (200, set())
    assert name not in {row["rule"] for row in answer.violations}


@pytest.mark.parametrize("name", FIRST)
def test_the_relay_says_what_the_vendor_says(name: str, client: MakeClient) -> None:
    """A relay that passes bodies on refuses the same examples at the same place, in Kling's envelope."""
    relay, rule = client("rixapi"), RULES[name]
    if name not in relay.provider.rules:
        assert name == "voice-is-named"  # it speaks of the vendor's prices
        return
    assert create(relay, FIRST[name], example(name, "valid")).status == 200
    answer = create(relay, FIRST[name], example(name, "invalid"))
    assert (name, rule["field"]) in answer.wrong
    assert answer.status == (200 if rule["severity"] == "warning" else 400)
    assert rule["severity"] == "warning" or answer.json["code"] == 1201


# Images


@pytest.mark.parametrize("name", PICTURES)
def test_a_rule_over_an_image(name: str, kling: Client) -> None:
    """A picture at the edge passes, one beyond it is refused with the vendor's text."""
    good, bad, text = PICTURES[name]
    assert create(kling, "createImageToVideo", {"image": picture(good), "prompt": "dusk"}).status == 200
    answer = create(kling, "createImageToVideo", {"image": picture(bad), "prompt": "dusk"})
    assert answer.wrong == [(name, "/image")]
    assert (answer.status, answer.json["code"], answer.json["message"]) == (400, 1201, text)


def mask(name: str) -> dict[str, Any]:
    """A dynamic mask with the shortest trajectory."""
    return {"mask": picture(name), "trajectories": [{"x": 1, "y": 1}, {"x": 9, "y": 9}]}


MASKS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "masks-have-the-images-ratio",
        "/image",
        {"static_mask": picture("mask-of-another-size-640x360.png")},
        {"static_mask": picture("square-300x300.png")},
    ),
    (
        "masks-have-one-resolution",
        "/dynamic_masks",
        {"static_mask": picture("mask-1280x720.png"), "dynamic_masks": [mask("mask-1280x720.png")]},
        {"static_mask": picture("mask-1280x720.png"), "dynamic_masks": [mask("mask-of-another-size-640x360.png")]},
    ),
]


@pytest.mark.parametrize(("name", "pointer", "good", "bad"), MASKS, ids=[row[0] for row in MASKS])
def test_masks_of_another_size_make_the_task_fail(
    name: str, pointer: str, good: dict[str, Any], bad: dict[str, Any], kling: Client
) -> None:
    """Accepted, then failed with the reason that was observed: it costs the wait."""
    body = {"image": picture("photo-1280x720.jpg"), "prompt": "dusk"}
    ends = []
    for masks in (good, bad):
        answer = create(kling, "createImageToVideo", body | masks)
        assert answer.status == 200
        ends.append((answer.violations, answer.json["data"]["task_id"]))
    assert ends[0][0] == []
    assert [(v["rule"], v["pointer"], v["severity"]) for v in ends[1][0]] == [(name, pointer, "fails")]
    kling.advance("1h")
    tasks = [kling.send("GET", f"/v1/videos/image2video/{id_}").json["data"] for _, id_ in ends]
    assert [(task["task_status"], task["task_status_msg"]) for task in tasks] == [("succeed", ""), ("failed", UNFIT)]


def test_masks_with_an_image_that_is_not_known_are_not_judged(kling: Client) -> None:
    """The size of a URL's image is unknown, so masks cannot be held against it."""
    body = {"image": "https://example.com/a.png", "prompt": "dusk", "static_mask": picture("square-300x300.png")}
    assert create(kling, "createImageToVideo", body).violations == []


# What the rules must not do


@pytest.mark.parametrize(
    "body",
    [
        {"image_tail": "", "static_mask": "", "dynamic_masks": [], "camera_control": None, "multi_prompt": []},
        {"image_tail": None, "static_mask": None, "dynamic_masks": None, "voice_list": [], "element_list": []},
        {"image_tail": "", "dynamic_masks": [], "camera_control": {}, "shot_type": "", "multi_shot": ""},
        {"multi_shot": "false", "shot_type": None, "voice_list": None, "sound": "", "cfg_scale": 0.5},
    ],
)
def test_what_clients_send_empty_is_not_given(body: dict[str, Any], kling: Client) -> None:
    """Clients fill in every field with nothing; no rule and no feature takes that for a wish."""
    answer = create(kling, "createImageToVideo", {"image": "https://example.com/a.png", "prompt": "dusk"} | body)
    assert (answer.status, faults(answer)) == (200, set())
    assert {row["rule"] for row in answer.violations} & (set(RULES) | FEATURES) == set()


def test_shots_that_are_ignored_need_not_fill_the_video(kling: Client) -> None:
    """While multi_shot is false the shots have no effect; their sum is nobody's concern."""
    body = RULES["shots-without-multi-shot"]["invalid"] | {"duration": "10"}
    assert create(kling, "createImageToVideo", body).status == 200


V26: dict[str, Any] = {"model_name": "kling-v2-6", "image": "https://example.com/a.png", "prompt": "dusk"}
CUSTOM = RULES["customize-ignores-the-prompt"]["valid"]


@pytest.mark.parametrize("value", ["abc", True, [1], {}, 5])
@pytest.mark.parametrize(
    ("field", "body"), [("cfg_scale", V26), ("multi_prompt", V26), ("shot_type", V26), ("prompt", CUSTOM)]
)
def test_what_is_ignored_may_be_anything(field: str, body: dict[str, Any], value: Any, kling: Client) -> None:
    """Whatever its type: accepted with a warning at its field, and openapi-core agrees."""
    answer = create(kling, "createImageToVideo", body | {field: value})
    assert (answer.status, faults(answer)) == (200, set())
    assert {row["pointer"].split("/")[1] for row in answer.violations} == {field}
    assert refereed("createImageToVideo", body | {field: value}) == []


def test_points_are_counted_at_five_seconds_only(kling: Client) -> None:
    """The page has its 77 for 5 s; of other lengths it says nothing."""
    body = {"model_name": "kling-v3", "image": "https://example.com/a.png", "prompt": "dusk"} | {
        "dynamic_masks": [{"mask": "https://example.com/m.png", "trajectories": [{"x": 1, "y": 1}] * 78}]
    }
    limit = "createImageToVideo/dynamic_masks/*/trajectories/maxItems"
    for duration, expected in (("5", {limit}), (5, {limit}), ("", {limit}), ("6", set()), (10, set())):
        assert faults(create(kling, "createImageToVideo", body | {"duration": duration})) == expected


@pytest.mark.parametrize("config", [{"zoom": 5}, {"pan": "-1", "zoom": 0}])
def test_a_camera_without_a_type_is_one(config: dict[str, Any], kling: Client) -> None:
    """A config that moves asks for the camera: the map is asked, and in a text's video too; one of nothing does not."""
    control = {"camera_control": {"config": config}}
    assert faults(create(kling, "createImageToVideo", V26 | control)) == {"camera_control"}
    text = {"model_name": "kling-v2-6", "prompt": "dusk"} | control
    assert faults(create(kling, "createTextToVideo", text)) == {"camera_control_text"}
    still = V26 | {"camera_control": {"type": "", "config": dict.fromkeys(config, 0)}}
    assert faults(create(kling, "createImageToVideo", still)) == set()


TWICE = {"index": 1, "prompt": "a door", "duration": "2"}
SHOTS = {"model_name": "kling-v3", "image": "https://example.com/a.png", "prompt": "dusk", "multi_shot": True}


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("shots-are-numbered", [TWICE | {"index": None}, TWICE | {"duration": "3"}]),
        ("shots-are-numbered", [TWICE, TWICE | {"index": "1", "duration": "3"}]),
        ("shots-of-intelligence-fill-the-video", [TWICE]),
        ("shots-have-prompts", [TWICE | {"prompt": "", "duration": "5"}]),
        ("voice-in-a-shot-is-listed", [TWICE | {"prompt": "<<<voice_2>>> sings", "duration": "5"}]),
    ],
)
def test_shots_beside_intelligence_are_looked_at(rule: str, rows: list[dict[str, Any]], kling: Client) -> None:
    """They pass, and what is odd about them is said."""
    answer = create(kling, "createImageToVideo", SHOTS | {"shot_type": "intelligence", "multi_prompt": rows})
    assert (answer.status, faults(answer)) == (200, set())
    assert rule in {row["rule"] for row in answer.violations if row["severity"] == "warning"}


# Plain keywords: what passes at the boundary and what is refused beyond it

VIDEO = {"model_name": "kling-v3", "image": "https://example.com/first.png", "prompt": "dusk", "mode": "pro"}
POINTS = [{"x": 1, "y": 1}, {"x": 9, "y": 9}]
MASK = "https://example.com/mask.png"


def shots(**shot: Any) -> dict[str, Any]:
    """A body of one shot."""
    row = {"index": 1, "prompt": "a door", "duration": "5"} | shot
    kept = {key: value for key, value in row.items() if value is not None}
    return {"multi_shot": True, "shot_type": "customize", "multi_prompt": [kept], "prompt": None}


def brush(count: int = 1, points: Any = POINTS, **row: Any) -> dict[str, Any]:
    """A body of some dynamic masks."""
    one = {"mask": MASK, "trajectories": points} | row
    kept = {key: value for key, value in one.items() if value is not None}
    return {"model_name": "kling-v1", "dynamic_masks": [kept] * count}


def six(count: int) -> dict[str, Any]:
    """A body of several shots that fill the video."""
    rows = [{"index": n, "prompt": "a door", "duration": "1"} for n in range(1, count + 1)]
    return {"multi_shot": True, "shot_type": "customize", "multi_prompt": rows, "duration": str(count), "prompt": None}


def spoken(voices: list[dict[str, str]]) -> dict[str, Any]:
    """A body with voices."""
    return {"model_name": "kling-v2-6", "voice_list": voices, "sound": "on", "prompt": "<<<voice_1>>> sings"}


def camera(**control: Any) -> dict[str, Any]:
    """A body with a camera's movement, for the model that has one."""
    return {"model_name": "kling-v1-5", "camera_control": control}


I2V = "createImageToVideo"
EDGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "duration/type": ({"duration": "5"}, {"duration": 5}),
    "multi_shot/type": ({"multi_shot": False}, {"multi_shot": "false"}),
    "model_name/enum": ({"model_name": "kling-v2-5-turbo"}, {"model_name": "kling-v2-5"}),
    "multi_shot/enum": ({"multi_shot": False}, {"multi_shot": "no"}),
    "shot_type/enum": (
        {"multi_shot": True, "shot_type": "intelligence"},
        {"multi_shot": True, "shot_type": "clever"},
    ),
    "prompt/maxLength": ({"prompt": "x" * 2500}, {"prompt": "x" * 2501}),
    "voice_list/maxItems": (spoken([{"voice_id": "1"}] * 2), spoken([{"voice_id": "1"}] * 3)),
    "voice_list/*/voice_id/required": (spoken([{"voice_id": "1"}]), spoken([{}])),
    "voice_list/*/voice_id/minLength": (spoken([{"voice_id": "1"}]), spoken([{"voice_id": ""}])),
    "multi_prompt/maxItems": (six(6), six(7)),
    "multi_prompt/*/prompt/required": (shots(), shots(prompt=None)),
    "multi_prompt/*/duration/required": (shots(), shots(duration=None)),
    "multi_prompt/*/prompt/maxLength": (shots(prompt="x" * 512), shots(prompt="x" * 513)),
    "multi_prompt/*/duration/pattern": (shots(), shots(duration="five")),
    "multi_prompt/*/duration/minimum": (shots(duration=5), shots(duration="0")),
    "negative_prompt/maxLength": ({"negative_prompt": "x" * 2500}, {"negative_prompt": "x" * 2501}),
    "element_list/maxItems": ({"element_list": [{"element_id": 1}] * 3}, {"element_list": [{"element_id": 1}] * 4}),
    "element_list/*/element_id/required": ({"element_list": [{"element_id": 1}]}, {"element_list": [{}]}),
    "sound/enum": ({"sound": "on"}, {"sound": "loud"}),
    "cfg_scale/minimum": ({"cfg_scale": 0}, {"cfg_scale": -0.01}),
    "cfg_scale/maximum": ({"cfg_scale": 1}, {"cfg_scale": 1.01}),
    "mode/enum": ({"mode": "std"}, {"mode": "standard"}),
    "dynamic_masks/maxItems": (brush(6), brush(7)),
    "dynamic_masks/*/mask/required": (brush(), brush(mask=None)),
    "dynamic_masks/*/mask/minLength": (brush(), brush(mask="")),
    "dynamic_masks/*/trajectories/required": (brush(), brush(points=None)),
    "dynamic_masks/*/trajectories/minItems": (brush(points=POINTS), brush(points=POINTS[:1])),
    "dynamic_masks/*/trajectories/maxItems": (brush(points=POINTS[:1] * 77), brush(points=POINTS[:1] * 78)),
    "dynamic_masks/*/trajectories/*/x/required": (brush(), brush(points=[{"y": 1}, {"x": 1, "y": 1}])),
    "dynamic_masks/*/trajectories/*/y/required": (brush(), brush(points=[{"x": 1}, {"x": 1, "y": 1}])),
    "camera_control/type/required": (camera(type="simple", config={"pan": 1}), camera(config={"pan": 1})),
    "camera_control/type/enum": (camera(type="simple", config={"pan": 1}), camera(type="dolly")),
    **{
        f"camera_control/config/{move}/{keyword}": (
            camera(type="simple", config={move: sign * 10}),
            camera(type="simple", config={move: sign * 10.5}),
        )
        for move in ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")
        for keyword, sign in (("minimum", -1), ("maximum", 1))
    },
    "duration/enum": ({"duration": "15"}, {"duration": "16"}),
    "watermark_info/enabled/enum": ({"watermark_info": {"enabled": True}}, {"watermark_info": {"enabled": "yes"}}),
    "watermark_info/text/unknown": ({"watermark_info": {}}, {"watermark_info": {"text": "mine"}}),
}
PAGES = {
    f"listImageToVideo/query/{name}/{keyword}": (f"{name}={good}", f"{name}={bad}")
    for name, keyword, good, bad in (
        ("pageNum", "minimum", 1, 0),
        ("pageNum", "maximum", 1000, 1001),
        ("pageSize", "minimum", 1, 0),
        ("pageSize", "maximum", 500, 501),
    )
}
MILD = {"duration/type", "multi_shot/type", "camera_control/type/required", "watermark_info/text/unknown"}


def without_none(body: dict[str, Any]) -> dict[str, Any]:
    """A body without what is None."""
    return {key: value for key, value in body.items() if value is not None}


@pytest.mark.parametrize("id_", EDGES)
def test_a_keyword_at_its_boundary(id_: str, kling: Client) -> None:
    """What stands at the boundary is accepted without a word, what is beyond it is refused (or warned of) by its id."""
    good, bad = EDGES[id_]
    answer = create(kling, I2V, without_none(VIDEO | good))
    assert (answer.status, faults(answer)) == (200, set())
    assert f"{I2V}/{id_}" not in {row["rule"] for row in answer.violations}
    answer = create(kling, I2V, without_none(VIDEO | bad))
    found = {row["rule"]: row["severity"] for row in answer.violations}
    assert found.get(f"{I2V}/{id_}") == ("warning" if id_ in MILD else "refused")
    assert answer.status == (200 if id_ in MILD else 400)


@pytest.mark.parametrize("id_", PAGES)
def test_a_page_at_its_boundary(id_: str, kling: Client) -> None:
    """The list's numbers, at the boundary and beyond it."""
    good, bad = PAGES[id_]
    assert kling.send("GET", "/v1/videos/image2video", query=good).wrong == []
    answer = kling.send("GET", "/v1/videos/image2video", query=bad)
    assert ([rule for rule, _ in answer.wrong], answer.status) == ([id_], 400)


# The table of sentences


def sentences() -> list[tuple[str, list[str]]]:
    """The rows of SOURCES.md: the sentence and the ids that judge it."""
    text = (SPECS / "kling" / "SOURCES.md").read_text(encoding="utf-8")
    section = text.partition("## Sentence by sentence")[2].partition("\n## ")[0]
    rows = [line.strip("|").rpartition(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    return [(sentence.strip(), re.findall(r"`([^`]+)`", ids)) for sentence, _, ids in rows]


# Every restriction on the page, read from the page and not from the table: in its order, in short words of ours.
PAGE = """
`model` is kept and has no effect
Content-Type is required
Authorization is required
fields have types
model_name: one of nine
image: base64 or a URL, accessible
image: no data: prefix
image: .jpg, .jpeg or .png
image: at most 10 MB
image: at least 300 px
image: aspect ratio 1:2.5 to 2.5:1
at least one of image and image_tail
image varies by model and mode
image_tail: base64 or a URL, no prefix, formats, 10 MB, 300 px
image_tail, masks and camera_control exclude each other
image_tail varies by model and mode
multi_shot is a switch
multi_shot true: prompt is invalid
multi_shot true: no first and last frame
multi_shot false: shot_type and multi_prompt are invalid
multi_shot is for some models
shot_type: customize or intelligence
shot_type is required when multi_shot is true
prompt: at most 2500 characters
prompt: not empty when multi_shot is false or shot_type is intelligence
prompt: <<<voice_1>>> follows the order of voice_list
prompt: at most 2 voices
prompt: a voice needs sound on
prompt: billed with a voice when it names one of the list
prompt varies by model and mode
multi_prompt: number, prompt and duration of each shot
multi_prompt: at most 6 shots
multi_prompt: at least 1 shot; required for customize
multi_prompt: each prompt at most 512 characters
multi_prompt: each at most the whole duration
multi_prompt: each at least 1
multi_prompt: the durations add up to the whole
negative_prompt: at most 2500 characters
element_list: at most 3
element_list: from the library, two kinds with scopes of their own
element_list varies by model and mode
element_id is required
voice_list: at most 2
voice_list: billed with a voice when the prompt names it
voice_id: of a custom or preset voice, not of lip-sync
element_list and voice_list exclude each other
voice_list varies by model and mode
sound: on or off
sound varies by model and mode
cfg_scale: 0 to 1
cfg_scale: not for v2.x
mode: std or pro
mode varies by model
static_mask: base64 or a URL, as image; formats
static_mask: aspect ratio of image, or the task fails
static_mask: resolution of dynamic_masks, or the task fails
static_mask varies by model and mode
dynamic_masks: at most 6 groups
dynamic_masks varies by model and mode
mask is required
mask: base64 or a URL, as image; formats
mask: aspect ratio of image, or the task fails
mask: resolution of static_mask, or the task fails
trajectories are required
trajectories: 2 to 77 points for 5 s
x and y are required
camera_control varies by model and mode
camera type is required
camera type: one of five
config is required for simple
config is left empty for other types
config: exactly one value is not 0
horizontal: -10 to 10
vertical: -10 to 10
pan: -10 to 10
tilt: -10 to 10
roll: -10 to 10
zoom: -10 to 10
duration: 3 to 15
duration varies by model and mode
watermark_info: enabled is a switch
watermark_info: no watermarks of one's own
external_task_id: unique in the account
query: task_id or external_task_id
list: pageNum 1 to 1000
list: pageSize 1 to 500
images/generations
"""
BESIDE_THE_WORDS = re.compile(r" \([^()]*\)")


def test_the_page_is_the_one_that_was_read() -> None:
    """No row of the table is lost, none is there twice, and none is of something that the page does not say."""
    rows = [BESIDE_THE_WORDS.sub("", sentence) for sentence, _ in sentences()]
    assert rows == PAGE.strip().splitlines()
    assert len(set(rows)) == len(rows)


def test_every_sentence_is_judged_by_something_that_exists() -> None:
    """Each row names at least one id, and each id is a rule, a feature, a tested keyword, a situation or not judged."""
    keywords = {f"{I2V}/{id_}" for id_ in EDGES} | set(PAGES)
    known = set(RULES) | FEATURES | keywords | set(SITUATIONS) | set(KLING.not_judged)
    rows = sentences()
    assert [sentence for sentence, ids in rows if not ids] == []
    assert [(sentence, id_) for sentence, ids in rows for id_ in ids if id_ not in known] == []


def test_nothing_is_judged_without_a_sentence() -> None:
    """Each rule, feature, keyword above and restriction that is not judged stands in the table."""
    named = {id_ for _, ids in sentences() for id_ in ids}
    keywords = {f"{I2V}/{id_}" for id_ in EDGES} | set(PAGES)
    assert (set(RULES) | FEATURES | keywords | set(KLING.not_judged)) - named == set()
