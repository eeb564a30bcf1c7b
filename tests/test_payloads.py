"""`judge(...)`: it names the right operation, agrees with the mock in every answer, and never raises on any JSON."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kling_mock
from kling_mock import CannotJudge, Finding, InvalidPayload, Judge, Verdict
from kling_mock.core.provider import Operation, Provider
from kling_mock.loading import bundled, provider_names, read_documents
from kling_mock.payloads import blocking
from tests.conftest import PROVIDERS, Answer, Client
from tests.exchanges import EXCHANGES, operation_of, path_of, provider_of
from tests.referee import referee

MEDIA = bundled("fixtures") / "media"
judge = Judge(PROVIDERS)
FRAME = "https://x.example/a.png"
START_END = {"model_name": "kling-v2-1", "image": FRAME, "image_tail": FRAME, "prompt": "waves", "mode": "std"}

MakeClient = Callable[..., Client]


def payload(name: str) -> Any:
    """The JSON body of a fixture."""
    return json.loads(path_of(name).with_suffix(".json").read_bytes())


def creates() -> Iterator[str]:
    """The fixtures that create a task with a JSON body."""
    for name in EXCHANGES:
        if operation_of(name).role == "create" and path_of(name).with_suffix(".json").is_file():
            yield name


CREATES = list(creates())


def meant(name: str) -> tuple[Provider, Operation]:
    """The provider and operation that a fixture names."""
    return provider_of(name), operation_of(name)


# Plain use


def test_the_packages_own_judge_knows_the_bundled_providers() -> None:
    """`kling_mock.judge` gives the verdicts of a judge of every provider that ships, found without being named."""
    name = "kling/create-from-first-and-last-frame.yaml"
    assert kling_mock.judge(payload(name)) == judge(payload(name))
    with pytest.raises(CannotJudge, match="no provider 'toymaker'"):
        kling_mock.judge({}, "toymaker")


def test_a_good_payload_is_ok_and_priced() -> None:
    """Five seconds at half a unit."""
    verdict = judge(payload("kling/create-from-first-and-last-frame.yaml"), "kling", "createImageToVideo")
    assert isinstance(verdict, Verdict)
    assert (verdict.ok, verdict.violations, verdict.suggestions) == (True, (), ())
    assert verdict.quote is not None
    assert (str(verdict.quote.amount), verdict.quote.unit, str(verdict.quote.usd)) == ("2.5", "units", "0.350")


def test_json_has_the_promised_keys_and_no_others() -> None:
    """The interface of the JSON verdict; `suggestions` are the repairs in the order they are to be applied."""
    verdict = json.loads(json.dumps(judge({**START_END, "mode": "prro"}, "kling").as_json()))
    promised = {"ok", "provider", "operation", "violations", "quote", "not_judged"}
    assert set(verdict) == promised | {"suggestions"}
    assert verdict["ok"] is False
    for row in verdict["violations"]:
        assert set(row) == {
            "rule",
            "pointer",
            "severity",
            "message",
            "provider_says",
            "suggestion",
            "reason",
            "evidence",
        }
    assert set(verdict["violations"][0]["provider_says"]) == {"status", "code", "message"}
    assert verdict["violations"][0]["provider_says"]["code"] == 1201
    good = judge({**START_END, "mode": "pro"}, "kling").as_json()
    assert good["quote"].keys() == {"amount", "unit", "usd", "how", "evidence"}
    assert {key for row in good["not_judged"] for key in row} == {"rule", "why"}


def test_require_lists_every_violation() -> None:
    """The text names provider, operation, and each thing that costs something; warnings are not among them."""
    body = {**START_END, "model_name": "kling-v1-6", "mode": "prro", "cfg_scale": 7, "hat": 1}
    with pytest.raises(InvalidPayload) as caught:
        judge.require(body, "kling", "createImageToVideo")
    first, *lines = str(caught.value).splitlines()
    assert first == "kling createImageToVideo would not accept this:"
    assert sorted(lines) == [
        "/cfg_scale should be at most 1; is 7 [createImageToVideo/cfg_scale/maximum]",
        "/mode should be one of std, pro; is prro [createImageToVideo/mode/enum]",
    ]
    verdict = caught.value.verdict
    assert [row.pointer for row in verdict.violations if row not in blocking(verdict)] == ["/hat"]
    assert isinstance(caught.value, ValueError)


def test_require_gives_the_verdict_of_a_good_payload() -> None:
    """A payload with warnings only is good."""
    verdict = judge.require({**START_END, "mode": "pro", "duration": 5}, "kling", "createImageToVideo")
    assert [row.rule for row in verdict.violations] == ["createImageToVideo/duration/type"]
    assert str(judge.price({**START_END, "mode": "pro"}, "kling").amount) == "3.5"  # type: ignore[union-attr]


def test_a_feature_that_is_not_there_is_told_in_the_vendors_words() -> None:
    """The issue's own example: who has it, what the vendor says, and the nearest payload with its price."""
    verdict = judge(START_END, "kling")
    [finding] = blocking(verdict)
    assert (finding.rule, finding.pointer, finding.severity) == ("start_end", "/image_tail", "refused")
    assert finding.message == "image_tail needs mode pro (5, 10 s) with kling-v2-1; this is std"
    assert finding.provider_says is not None
    assert finding.provider_says.message == "model/mode/duration(kling-v2-1/std/5) is not supported with image_tail"
    assert finding.suggestion is not None
    assert [(row["path"], row["value"]) for row in finding.suggestion] == [("/mode", "pro")]
    [suggestion] = verdict.suggestions
    assert (suggestion.before is not None, suggestion.after is not None) == (True, True)
    assert (str(suggestion.before.amount), str(suggestion.after.amount)) == ("2", "3.5")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"provider": "klin"}, "there is no provider 'klin'; did you mean 'kling'?"),
        (
            {"provider": "kling", "operation": "createImageToVido"},
            "no operation 'createImageToVido' creates a task; did you mean 'createImageToVideo'?",
        ),
    ],
)
def test_there_must_be_something_to_judge_by(words: Mapping[str, str], message: str) -> None:
    """A name that nobody has is told with the closest."""
    with pytest.raises(CannotJudge) as caught:
        judge({}, **words)
    assert str(caught.value) == message


@pytest.mark.parametrize("body", [[], "7", 7, None, True])
def test_what_is_no_object_cannot_be_guessed(body: Any) -> None:
    """Nothing in it says what it is for."""
    with pytest.raises(CannotJudge, match="name an operation"):
        judge(body)


@pytest.mark.parametrize("body", [[], {}, 7, None, True, [[1]]])
def test_a_named_operation_judges_anything(body: Any) -> None:
    """What is no object is refused by the schema, as the mock does."""
    verdict = judge(body, "kling", "createImageToVideo")
    assert not verdict.ok
    assert verdict.violations[0].provider_says is not None


def test_text_and_bytes_are_read_as_json() -> None:
    """The strict reading of the mock: a key that is there twice is no JSON."""
    text = json.dumps({**START_END, "mode": "pro"})
    assert judge(text, "kling") == judge(text.encode(), "kling") == judge(json.loads(text), "kling")
    with pytest.raises(ValueError, match="the key 'mode' is there twice"):
        judge('{"mode": "std", "mode": "pro"}', "kling")


def test_files_of_a_form_are_measured() -> None:
    """A picture that is too small is found in a file as in a text."""
    small = (MEDIA / "just-too-small-299x300.png").read_bytes()
    verdict = judge({"prompt": "waves"}, "302ai", "m2v21ImageToVideo", files={"input_image": small})
    assert [row.rule for row in blocking(verdict)] == ["image-is-at-least-300-px"]
    large = (MEDIA / "square-300x300.png").read_bytes()
    assert judge.require({"prompt": "waves"}, "302ai", "m2v21ImageToVideo", files={"input_image": large}).ok


# Guessing


GUESSES = {
    "kling/create-an-image-from-elements.yaml": ("kling", "createImage"),
    "kling/create-from-an-image-with-six-shots.yaml": ("kling", "createImageToVideo"),
    "kling/create-from-first-and-last-frame.yaml": ("kling", "createImageToVideo"),
    "kling/create-from-text-with-six-shots.yaml": ("kling", "createTextToVideo"),
    "kling/create-with-a-voice.yaml": ("kling", "createImageToVideo"),
    "pixazo/create-from-an-image.yaml": ("kling", "createImageToVideo"),  # every key is the default provider's too
    "rixapi/create-from-an-image.yaml": ("kling", "createImageToVideo"),  # a relay of the default provider's bodies
}


def test_every_payload_has_a_guess() -> None:
    """A new fixture must say what it is taken for."""
    assert set(GUESSES) <= set(CREATES)
    mine = [name for name in CREATES if name not in GUESSES]
    for name in mine:
        provider, operation = meant(name)
        found, chosen = judge.target(payload(name), provider.name, None, {})
        assert (found.name, bool(chosen.images)) == (provider.name, bool(operation.images)), name


@pytest.mark.parametrize("name", GUESSES)
def test_provider_and_operation_are_guessed(name: str) -> None:
    """By the keys, then by what fits; the default provider wins a draw."""
    found, operation = judge.target(payload(name), None, None, {})
    assert (found.name, operation.id) == GUESSES[name]


@pytest.mark.parametrize("name", GUESSES)
def test_the_operation_is_guessed_within_a_provider(name: str) -> None:
    """With the provider named, the fixture's own operation is found."""
    provider, operation = meant(name)
    found, chosen = judge.target(payload(name), provider.name, None, {})
    assert (found.name, chosen.id) == (provider.name, operation.id)


def test_a_form_is_guessed_by_its_own_words() -> None:
    """A key that only one provider has decides."""
    found, operation = judge.target({"input_image": FRAME, "prompt": "waves"}, None, None, {})
    assert (found.name, operation.images["first"]) == ("302ai", ("input_image",))


@pytest.mark.parametrize("wrong", [{}, {"mode": "prro"}, {"duration": "7"}, {"cfg_scale": 3}, {"image": ""}])
def test_a_mistake_does_not_make_it_somebody_elses_payload(wrong: Mapping[str, Any]) -> None:
    """The issue's transcript: a refused payload is refused by the default provider, not accepted by a laxer gateway."""
    assert judge({**START_END, **wrong}).provider == "kling"


# One truth: what is judged and what the mock answers


WRONG: tuple[Any, ...] = (None, "", "nonsense", 7, -1, 0.5, True, [], [1], {}, {"a": 1})
SEVERAL: Mapping[str, list[Mapping[str, Any]]] = {
    "kling": [
        START_END,
        {**START_END, "image": "", "image_tail": "", "duration": "7"},
        {**START_END, "mode": "prro", "cfg_scale": 9},
        {**START_END, "dynamic_masks": [{"mask": FRAME, "trajectories": [{"x": 1, "y": 1}, {"x": 2, "y": 2}]}]},
        {"prompt": "", "cfg_scale": 2},
        {"prompt": "a" * 2501, "duration": "6", "mode": "x"},
    ],
    "pixazo": [{}, {"duration": 7, "image": ""}],
    "rixapi": [{"prompt": ""}, START_END],
}


def mutations(body: Mapping[str, Any]) -> Iterator[Any]:
    """A payload as it is, without each key, and with each key of another value; unknown keys; no object."""
    yield body
    yield {**body, "a key that nobody knows": 1}
    yield from ([], 7, None, {})
    for key in body:
        yield {name: value for name, value in body.items() if name != key}
        yield from ({**body, key: value} for value in WRONG)


def post(client: Client, operation: Operation, body: Any) -> Answer:
    """The mock's answer to a fresh account, so that nothing but the payload counts."""
    content = json.dumps(body).encode()
    return client.other().send(
        operation.method, operation.path, body=content, headers={"content-type": "application/json"}
    )


def scalars(value: Any) -> Iterator[Any]:
    """Every value in a document that is neither object nor list."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from scalars(item)
    else:
        yield value


def assert_the_same(client: Client, operation: Operation, body: Any) -> bool:
    """The first refusal is what the mock answers, word for word; without one it accepts. Gives which it was."""
    verdict = judge(body, client.provider.name, operation.id, headers={"content-type": "application/json"})
    answer = post(client, operation, body)
    told = [(row.rule, row.pointer, row.severity) for row in verdict.violations]
    assert sorted(told) == sorted((row["rule"], row["pointer"], row["severity"]) for row in answer.judged)
    says = next((row.provider_says for row in verdict.violations if row.provider_says), None)
    if says is None:
        assert answer.status < 300, (body, answer.json)
        return True
    said = list(scalars(answer.json))
    assert answer.status == says.status, (body, answer.json)
    assert says.code is None or says.code in said, (says, answer.json)
    assert says.message in said, (body, says, answer.json)
    return False


@pytest.mark.parametrize("name", CREATES)
def test_the_judge_and_the_mock_say_the_same(name: str, client: MakeClient) -> None:
    """For each payload of the fixtures, and for everything that can be broken in it."""
    provider, operation = meant(name)
    caller = client(provider.name)
    outcomes = [assert_the_same(caller, operation, body) for body in mutations(payload(name))]
    assert outcomes[0] is True
    assert outcomes.count(False) > 10


@pytest.mark.parametrize(
    ("provider", "number"), [(name, n) for name, rows in SEVERAL.items() for n in range(len(rows))]
)
def test_of_several_violations_the_first_is_the_one_answered(provider: str, number: int, client: MakeClient) -> None:
    """The provider's order of stages decides which of its refusals comes first in a verdict."""
    caller = client(provider)
    for operation in caller.provider.operations.values():
        if operation.role == "create" and "application/json" in operation.bodies:
            assert_the_same(caller, operation, SEVERAL[provider][number])


# Any JSON


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def judged(draw: st.DrawFn) -> tuple[str, str, Any]:
    """An operation, and a body that has some of its keys with anything in them, or anything at all."""
    rows = [(provider, row) for provider in PROVIDERS.values() for row in provider.operations.values()]
    provider, operation = draw(st.sampled_from([row for row in rows if row[1].role == "create"]))
    members = sorted(next(iter(operation.bodies.values())).reader.members)
    words = ("std", "pro", "on", "5", "10", 5, True, "kling-v3", "kling-v2-1", FRAME, "customize", "")
    known = st.dictionaries(st.sampled_from(members), VALUES | st.sampled_from(words), max_size=8)
    return provider.name, operation.id, draw(known | VALUES)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(judged())
def test_the_judge_never_raises_and_changes_nothing(case: tuple[str, str, Any]) -> None:
    """Whatever the JSON: a verdict that can be written as JSON, whose texts are one provider's, and the same again."""
    provider, operation, body = case
    before = copy.deepcopy(body)
    # a text is read as JSON, so one that is a whole body is given as JSON
    verdict = judge(json.dumps(body) if isinstance(body, str) else body, provider, operation)
    assert body == before
    assert (verdict.provider, verdict.operation) == (provider, operation)
    assert verdict.ok == (not blocking(verdict))
    assert json.loads(json.dumps(verdict.as_json())) == verdict.as_json()
    assert all(isinstance(row, Finding) and row.message for row in verdict.violations)
    assert all((row.severity == "refused") == (row.provider_says is not None) for row in verdict.violations)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["image", "prompt", "mode", "input_image", "x"]), VALUES, max_size=4))
def test_an_object_with_a_known_key_is_guessed_as_something(body: dict[str, Any]) -> None:
    """It finds the operation that it fits least badly; without a known key there is nothing to go by."""
    if body.keys() <= {"x"}:
        with pytest.raises(CannotJudge, match="name an operation"):
            judge.target(body, None, None, {})
        return
    provider, operation = judge.target(body, None, None, {})
    assert provider.operations[operation.id].role == "create"


SHOT = {"index": 1, "prompt": "a", "duration": "5"}
CUSTOM = {"model_name": "kling-v3", "multi_shot": True, "shot_type": "customize", "multi_prompt": [SHOT]}
PATH = [{"mask": FRAME, "trajectories": [{"x": 1, "y": 1}] * 78}]
IGNORED: Mapping[str, tuple[dict[str, Any], str, str]] = {
    "shots without multi_shot": ({"multi_prompt": [{}]}, "shots-without-multi-shot", "/multi_prompt"),
    "shots that are none": ({"multi_prompt": ["a", 1, None]}, "shots-without-multi-shot", "/multi_prompt"),
    "seven shots with multi_shot false": (
        {"multi_shot": False, "multi_prompt": [SHOT] * 7},
        "shots-without-multi-shot",
        "/multi_prompt",
    ),
    "a shot type without multi_shot": ({"shot_type": "storyboard"}, "shot-type-without-multi-shot", "/shot_type"),
    "a long prompt beside shots": ({**CUSTOM, "prompt": "x" * 2501}, "customize-ignores-the-prompt", "/prompt"),
    "a voice in a prompt beside shots": (
        {**CUSTOM, "prompt": "<<<voice_3>>>"},
        "customize-ignores-the-prompt",
        "/prompt",
    ),
    "a share beyond 1 with v2.x": ({"model_name": "kling-v2-6", "cfg_scale": 7}, "cfg-scale-is-ignored", "/cfg_scale"),
}


VIDEOS = ("createImageToVideo", "createTextToVideo")


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("case", IGNORED)
def test_what_the_page_calls_ignored_is_not_refused(case: str, name: str, client: MakeClient) -> None:
    """A warning and no more; the mock and openapi-core take it too: nothing is known of a refusal."""
    change, rule, pointer = IGNORED[case]
    body = framed(name, change)
    verdict = judge(body, "kling", name)
    assert [(row.rule, row.pointer, row.severity) for row in verdict.violations] == [(rule, pointer, "warning")]
    assert post(client("kling"), PROVIDERS["kling"].operations[name], body).status == 200
    assert referee("kling").request(name, body) == []


def framed(name: str, change: dict[str, Any]) -> dict[str, Any]:
    """A job of an operation with something changed; one from a picture has its first frame."""
    return {"prompt": "waves", **({"image": FRAME} if name == "createImageToVideo" else {}), **change}


@pytest.mark.parametrize("name", VIDEOS)
def test_a_prompt_is_not_missed_where_it_is_ignored(name: str) -> None:
    """Beside shots of one's own an empty prompt is not even a warning."""
    assert judge(framed(name, {**CUSTOM, "prompt": ""}), "kling", name).violations == ()


HEEDED: Mapping[str, tuple[dict[str, Any], str]] = {
    "seven shots": ({**CUSTOM, "multi_prompt": [SHOT] * 7}, "multi_prompt/maxItems"),
    "an empty shot": ({**CUSTOM, "multi_shot": "true", "multi_prompt": [{}]}, "multi_prompt/*/prompt/required"),
    "a shot type": ({**CUSTOM, "shot_type": "storyboard"}, "shot_type/enum"),
    "a long prompt": ({"prompt": "x" * 2501}, "prompt/maxLength"),
    "a share beyond 1": ({"model_name": "kling-v1-6", "cfg_scale": "7"}, "cfg_scale/maximum"),
    "a long path": ({"dynamic_masks": PATH}, "dynamic_masks/*/trajectories/maxItems"),
}


@pytest.mark.parametrize("case", HEEDED)
def test_where_it_counts_it_has_its_limits(case: str) -> None:
    """The same values, where they are not ignored: refused, by openapi-core too."""
    change, rule = HEEDED[case]
    body = framed("createImageToVideo", change)
    assert f"createImageToVideo/{rule}" in [row.rule for row in blocking(judge(body, "kling", "createImageToVideo"))]
    assert referee("kling").request("createImageToVideo", body) != []


def nested(levels: int) -> Any:
    """A list in a list in a list."""
    found: Any = 1
    for _ in range(levels):
        found = [found]
    return found


NO_JSON: Mapping[str, Any] = {
    "half a surrogate pair": {"image": FRAME, "prompt": "\ud83d"},
    "half a surrogate pair as a key": {"image": FRAME, "\ud83d": 1},
    "65 levels": {"image": FRAME, "prompt": nested(64)},
    "3000 levels": {"image": FRAME, "prompt": nested(3000)},
    "no number": {"image": FRAME, "cfg_scale": float("nan")},
    "a number of 65 digits": {"image": FRAME, "cfg_scale": 10**64},
}


@pytest.mark.parametrize("case", NO_JSON)
@pytest.mark.parametrize("operation", [None, "createImageToVideo"])
def test_a_document_that_the_mock_would_not_read_is_refused(case: str, operation: str | None) -> None:
    """As its text is: by the syntax of the body, first of all and alone; nothing is raised."""
    body = NO_JSON[case]
    verdict = judge(body, "kling", operation)
    assert (verdict.ok, verdict.operation) == (False, "createImageToVideo")
    assert [(row.rule, row.pointer) for row in verdict.violations] == [("mock/body.syntax", "")]
    assert json.dumps(verdict.as_json())
    if "levels" not in case or "65" in case:
        assert judge(json.dumps(body), "kling", "createImageToVideo").violations == verdict.violations


def test_64_levels_are_judged() -> None:
    """The last depth that is read, in an object as in a text."""
    body = {"image": FRAME, "prompt": nested(62)}
    verdict = judge(body, "kling", "createImageToVideo")
    assert [row.rule for row in blocking(verdict)] == ["createImageToVideo/prompt/type"]
    assert judge(json.dumps(body), "kling", "createImageToVideo") == verdict


def test_a_text_that_is_no_json_is_refused_where_the_operation_is_known() -> None:
    """With nothing to guess by, the syntax is what is raised."""
    verdict = judge("{", "kling", "createImageToVideo")
    assert [(row.rule, row.provider_says.status) for row in blocking(verdict) if row.provider_says] == [
        ("mock/body.syntax", 400)
    ]
    with pytest.raises(ValueError, match="Expecting property name"):
        judge("{")


def test_off_the_documented_type_has_its_evidence() -> None:
    """A warning of the schema comes from the same documents as its refusals; an unknown key comes from none."""
    verdict = judge({**START_END, "mode": "pro", "duration": 5, "hat": 1}, "kling", "createImageToVideo")
    known = {row.rule: row.evidence for row in verdict.violations}
    assert known["createImageToVideo/duration/type"] is not None
    assert known["createImageToVideo/hat/unknown"] is None


# A judge of one's own


def test_a_judge_of_other_providers(toymaker: Provider) -> None:
    """The same judgement by any set of providers; the bundled ones are not asked."""
    mine = Judge({"toymaker": toymaker})
    assert mine({"toy": "bear"}).operation == "orderToy"
    with pytest.raises(InvalidPayload, match=r"/wind must blow for a kite \[a-kite-needs-wind\]"):
        mine.require({"toy": "kite"})
    with pytest.raises(CannotJudge, match="no provider 'kling'"):
        mine({}, "kling")


def test_a_json_string_is_a_document_when_it_was_parsed() -> None:
    """What a file or a request holds is judged as what it is: no object, and nothing raises."""
    verdict = Judge(PROVIDERS)("hi", "kling", "createImageToVideo", parsed=True)
    assert [(row.rule, row.pointer) for row in verdict.violations if row.severity == "refused"] == [
        ("createImageToVideo/type", "")
    ]


def test_a_content_type_that_is_not_taken_is_refused() -> None:
    """As the mock does it, before the body is looked at; none said is the operation's own."""
    body = {"image": "https://example.com/a.png", "prompt": "x"}
    for name in ("text/plain", "application/x-www-form-urlencoded"):
        verdict = judge(body, "kling", "createImageToVideo", headers={"Content-Type": name})
        (finding,) = verdict.violations
        assert (verdict.ok, finding.rule) == (False, "mock/body.media-type")
        assert finding.message == f"the content type should be application/json; is {name}"
        assert finding.provider_says is not None
        assert finding.provider_says.status == 415
    assert judge(body, "kling", "createImageToVideo", headers={"X-Other": "1"}).ok


def test_a_picture_of_too_many_pixels_is_no_violation() -> None:
    """The limit is the mock's own and no provider's: what was not looked at is said to be so."""
    content = (bundled("fixtures") / "media" / "too-many-pixels-6400x6400.png").read_bytes()
    body = {"image": base64.b64encode(content).decode(), "prompt": "x"}
    verdict = judge(body, "kling", "createImageToVideo")
    assert verdict.ok
    why = "the image has more pixels than are decoded here: whether it is whole is not known"
    assert [(row.rule, row.why) for row in verdict.not_judged] == [("/image", why)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"image": b"x"}, "/image is of Python's type bytes; base64-encode it"),
        (
            {"image": FRAME, "dynamic_masks": [{"mask": bytearray()}]},
            "/dynamic_masks/0/mask is of Python's type bytearray",
        ),
        ({"image": ("a", [b"x"])}, "/image/1/0 is of Python's type bytes; base64-encode it"),
        ({"image": FRAME, "cfg_scale": {1, 2}}, "/cfg_scale is of Python's type set"),
        ({"image": FRAME, "watermark_info": {7: 1}}, "/watermark_info has the key 7, which is no text"),
    ],
)
def test_what_json_cannot_say_is_told_with_its_place(body: Any, said: str) -> None:
    """A picture as bytes above all: the pointer, and what to do, instead of an exception from the depths."""
    [found] = judge(body, "kling", "createImageToVideo").violations
    assert (found.rule, found.severity) == ("mock/body.syntax", "refused")
    assert found.message.startswith(f"the body is no JSON: {said}")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("cfg_scale", "1e0", "should be a number from 0 to 1 in plain digits (0.5); is 1e0"),
        ("cfg_scale", "2", "should be at most 1; is 2"),
        ("camera_control", {"type": "simple", "config": {"pan": "1e0"}}, "should be a number from -10 to 10 in plain"),
        ("element_list", [{"element_id": "-5"}], "should be a whole number in digits alone; is -5"),
    ],
)
def test_a_number_in_a_text_is_told_in_words(field: str, value: Any, said: str) -> None:
    """The provider's message too: nobody wants to read the expression that holds the text to the number's bounds."""
    found = judge({"image": FRAME, "prompt": "waves", field: value}, "kling", "createImageToVideo").violations[0]
    assert found.message.startswith(said)
    assert found.provider_says is not None
    assert said in str(found.provider_says.message)


def test_every_pattern_of_a_request_that_a_message_could_show_has_words() -> None:
    """Outside rules, which have messages of their own, and conditions, which refuse nothing."""

    def patterns(node: Any) -> Iterator[Mapping[str, Any]]:
        if isinstance(node, dict):
            if isinstance(node.get("pattern"), str):
                yield node
            for name, below in node.items():
                yield from () if name in ("if", "not") else patterns(below)
        elif isinstance(node, list):
            for below in node:
                yield from patterns(below)

    for name in provider_names(bundled("specs")):
        schemas = read_documents(bundled("specs"), name)[f"{name}/schemas.yaml"]
        mute = [node["pattern"] for node in patterns(schemas) if "x-mock-pattern" not in node]
        assert set(mute) <= {"^kling_[0-9a-f]{12}$", "^[^eE]*[1-9]", "^kling-v2"}  # an id of replies, and conditions
