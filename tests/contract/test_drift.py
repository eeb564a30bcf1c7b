"""Each kind of drift: an example that is changed in one place, what is said of it, and the edit that explains it."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from kling_mock.contract.drift.comparing import Drift
from kling_mock.core.checks import check_deeply
from kling_mock.core.examples import check_examples
from kling_mock.loading import bundled, read_documents
from tests.contract.recorded import EVIDENCE, WHY, Change, after, compared, drifts, entry, told

TASK = "kling/query-a-task-that-succeeded.yaml"
CREATE = "kling/create-from-first-and-last-frame.yaml"
LIST = "kling/list-the-first-thirty-tasks.yaml"
REFUSED = "pixazo/refused-for-invalid-parameters.yaml"
BROKEN = "pixazo/failed-inside-the-gateway.yaml"
SCHEMAS, ERRORS = "kling/schemas.yaml", "kling/errors.yaml"
IMAGE = "https://example.com/first.png"


def only(*entries: Any) -> Drift:
    """The one drift of a recording, which its edits explain: applied to a copy of the specs they leave none."""
    found = drifts(*entries)
    assert [row.kind for row in found] == [found[0].kind], [(row.kind, row.message) for row in found]
    row = found[0]
    assert row.date == EVIDENCE["date"]
    known = after(row.provider, row.edits)
    assert drifts(*entries, known=known) == []
    documents = known[row.provider].documents
    wrong = [
        *check_examples(documents, row.provider),
        *check_deeply(documents, row.provider, known[row.provider].provider),
    ]
    assert wrong == []
    return row


def data(**values: Any) -> Change:
    """Put keys into the body's data."""
    return lambda body: body["data"].update(values)


def error(code: int, message: str) -> dict[str, Any]:
    """An error in the vendor's envelope."""
    return {"code": code, "message": message, "request_id": "b81d64e7-02c9-4f5a-9e37-6ac1f0d2854b"}


def test_an_unchanged_recording_is_explained() -> None:
    """The documents' own exchanges show no drift, and are counted by provider."""
    found = compared(entry(TASK), entry(CREATE), entry(REFUSED))
    assert found.drifts == ()
    assert found.exchanges == {"kling": 2, "pixazo": 1}


@pytest.mark.parametrize(
    ("name", "change", "pointer", "path", "value"),
    [
        (TASK, data(queue=3), "/data/queue", "/Task/properties/queue", {"type": "integer"}),
        (
            TASK,
            data(audit={"score": 0.5, "labels": ["a"], "by": None}),
            "/data/audit",
            "/Task/properties/audit",
            {
                "type": "object",
                "properties": {
                    "score": {"type": "number"},
                    "labels": {"type": "array", "items": {"type": "string"}},
                    "by": {"type": "null"},
                },
            },
        ),
        (
            TASK,
            lambda body: body["data"]["task_result"]["videos"][0].update(fps=24),
            "/data/task_result/videos/*/fps",
            "/Task/properties/task_result/properties/videos/items/properties/fps",
            {"type": "integer"},
        ),
        (
            LIST,
            lambda body: body["data"][0].update({"a/b": True}),
            "/data/*/a~1b",
            "/Task/properties/a~1b",
            {"type": "boolean"},
        ),
        (TASK, lambda body: body.update(trace="x"), "/trace", "/Envelope/properties/trace", {"type": "string"}),
    ],
    ids=["a number", "an object", "in a list", "with a slash", "at the top"],
)
def test_an_unknown_field(name: str, change: Change, pointer: str, path: str, value: Any) -> None:
    """A key that no schema names, though all are open: the schema of its neighbours gets it, by its type."""
    row = only(entry(name, change))
    assert (row.kind, row.pointer, row.message) == ("unknown-field", pointer, "is a key that the documents do not name")
    assert told(row.edits) == [("add", SCHEMAS, path, value)]
    assert row.edits[0].why == WHY


def test_the_types_of_an_unknown_field_are_those_of_all_exchanges() -> None:
    """One row for all of them, in several operations too; its edit fits each value."""
    row = only(
        entry(TASK, data(queue=3)),
        entry(TASK, data(queue=None), second=1),
        entry(LIST, lambda body: body["data"][0].update(queue=0.5), second=2),
    )
    assert row.operations == ("getImageToVideo", "listImageToVideo")
    assert (row.count, row.first) == (3, "some/recorded.har#/log/entries/0")
    assert row.edits[0].value == {"type": ["number", "null"]}
    assert row.edits[0].yaml() == f'queue: {{type: [number, "null"]}}  # {WHY}'


def test_the_same_drift_in_five_hundred_exchanges_is_one_row() -> None:
    """With how often, and the first one's place, whichever was written first."""
    late, early = entry(TASK, data(queue=3), second=30), entry(TASK, data(queue=4), second=1)
    others = [entry(TASK, data(queue=n, task_status_msg=str(n)), second=40) for n in range(498)]
    row = only(late, early, *others)
    assert (row.count, row.first) == (500, "some/recorded.har#/log/entries/1")


def test_a_missing_field() -> None:
    """A required key that is not there: it is no longer required."""
    row = only(entry(TASK, lambda body: body.pop("request_id")))
    assert (row.kind, row.pointer) == ("missing-field", "/request_id")
    assert row.message == "is missing, and the documents require it"
    assert told(row.edits) == [("remove", SCHEMAS, "/Envelope/required/2", None)]
    assert row.edits[0].where() == "remove kling/schemas.yaml#/Envelope/required/2"


COSTS = {
    "resource_pack_name": "Video-1000",
    "resource_pack_id": "r1",
    "resource_pack_type": "decreasing_total",
    "total_quantity": 1000,
    "remaining_quantity": 990.5,
    "purchase_time": 1722769557708,
    "effective_time": 1722769557708,
    "invalid_time": 1725361557708,
    "status": "online",
}


def balance(**pack: Any) -> dict[str, Any]:
    """A recorded look at the balance: a pack with other values than the documented ones."""
    packs = [{**COSTS, **pack}]
    inner = {"code": 0, "msg": "success", "resource_pack_subscribe_infos": packs}
    body = {"code": 0, "message": "SUCCEED", "request_id": "r", "data": inner}
    return entry(TASK, body=body, path="/account/costs?start_time=0&end_time=1725361557708")


def test_a_new_value() -> None:
    """A word that an enum does not have: the list gets it."""
    assert drifts(balance()) == []
    row = only(balance(status="frozen"))
    at = "/Costs/properties/data/properties/resource_pack_subscribe_infos/items/properties/status/enum"
    assert (row.kind, row.operations) == ("new-value", ("getAccountCosts",))
    assert row.pointer == "/data/resource_pack_subscribe_infos/*/status"
    assert row.message == "should be one of toBeOnline, online, expired, runOut; is frozen"
    assert told(row.edits) == [("add", SCHEMAS, f"{at}/-", "frozen")]
    assert row.edits[0].yaml() == f"- frozen  # {WHY}"
    assert len(drifts(balance(status="frozen"), balance(status="gone"))) == 2


def test_a_value_off_its_type() -> None:
    """The type becomes a list with the one that was seen."""
    row = only(balance(resource_pack_id=7), balance(resource_pack_id=8))
    at = "/Costs/properties/data/properties/resource_pack_subscribe_infos/items/properties/resource_pack_id/type"
    assert (row.kind, row.message, row.count) == ("wrong-type", "should be of type string; is integer", 2)
    assert told(row.edits) == [("replace", SCHEMAS, at, ["string", "integer"])]


def test_a_value_off_its_bounds() -> None:
    """A bound moves to what was seen; a constant becomes a choice of both."""
    name = "302ai/query-a-task-that-succeeded.yaml"
    row = only(entry(name, lambda body: body["data"]["task"].update(createTime=-5)))
    assert (row.kind, row.pointer) == ("off-bounds", "/data/task/createTime")
    assert told(row.edits) == [("replace", "302ai/schemas.yaml", "/Instant/minimum", -5)]
    found = drifts(entry(name, lambda body: body.update(result=2)))
    assert [(row.kind, row.pointer) for row in found] == [("new-value", "/result")]
    assert [row[:3] for row in told(found[0].edits)] == [
        ("remove", "302ai/schemas.yaml", "/WebEnvelope/properties/result/const"),
        ("add", "302ai/schemas.yaml", "/WebEnvelope/properties/result/enum"),
    ]


def test_a_new_error_text() -> None:
    """A known code with words that no entry makes, not even one with holes: one more entry, dated by the recording."""
    row = only(entry(TASK, status=400, body=error(1201, "Task is being audited by somebody")))
    assert (row.kind, row.pointer) == ("new-error-text", "/message")
    said = "no error of the catalogue says this: code 1201, message Task is being audited by somebody"
    assert row.message == f"{said}; the nearest is parameter-invalid"
    value = {"status": 400, "code": 1201, "message": "Task is being audited by somebody", "evidence": EVIDENCE}
    assert told(row.edits) == [("add", ERRORS, "/catalogue/task-is-being-audited-by-somebody", value)]


def test_texts_that_an_entry_with_holes_makes_are_explained() -> None:
    """The field, the value and our own words may stand in the holes; whatever else is new."""
    for message in (
        "Task not found by id/external id: 852907951638025532",
        "model_name value 'kling-v9' is invalid",
        "cfg_scale should be at most 1; is 2",
    ):
        found = [row.kind for row in drifts(entry(TASK, status=400, body=error(1201, message)))]
        assert [kind for kind in found if kind.startswith("new-")] == [], message


def test_what_a_message_repeats_of_the_call_becomes_a_hole() -> None:
    """Ids of a thousand tasks are one new text: what the request had in it, and long ids, are left open."""
    ids = ["852907951638025532", "852907951638025533"]
    rows = [
        entry(
            TASK,
            status=400,
            path=f"/v1/videos/image2video/{id_}",
            body=error(1201, f"Task {id_} is locked for now (trace 2025110{n}123456789)"),
            second=n,
        )
        for n, id_ in enumerate(ids)
    ]
    row = only(*rows)
    assert row.count == 2
    message = "Task {$violation.value} is locked for now (trace {$request.id})"
    assert row.edits[0].path == "/catalogue/task-is-locked-for-now-trace"
    assert row.edits[0].value["message"] == message


def test_a_new_error_code() -> None:
    """A code that no entry has."""
    row = only(entry(TASK, status=400, body=error(1207, "Region is closed")))
    assert (row.kind, row.pointer) == ("new-error-code", "/code")
    assert row.message == "no error of the catalogue has this code: code 1207, message Region is closed"
    assert told(row.edits)[0][2:] == (
        "/catalogue/region-is-closed",
        {"status": 400, "code": 1207, "message": "Region is closed", "evidence": EVIDENCE},
    )


def test_a_new_status_of_an_error() -> None:
    """A known error under another status: the entry gets that one, and the recording as its evidence."""
    row = only(entry(TASK, status=402, body=error(1102, "Account balance not enough")))
    assert (row.kind, row.message) == ("new-error-status", "the error balance-empty came with the status 402")
    assert told(row.edits) == [
        ("replace", ERRORS, "/catalogue/balance-empty/status", 402),
        ("replace", ERRORS, "/catalogue/balance-empty/evidence", EVIDENCE),
    ]


def test_a_new_form_of_an_error() -> None:
    """An error in an envelope of nobody: envelope, entry and schema, and no list of missing fields."""
    row = only(entry(BROKEN, status=401, body={"statusCode": 401, "message": "Access denied due to missing key"}))
    assert (row.kind, row.pointer) == ("new-error-envelope", "")
    assert row.message == "an error of status 401 in a form that no envelope has: statusCode, message"
    assert [row[:3] for row in told(row.edits)] == [
        ("add", "pixazo/errors.yaml", "/envelopes/observed"),
        ("add", "pixazo/errors.yaml", "/catalogue/access-denied-due-to-missing-key"),
        ("replace", "pixazo/schemas.yaml", "/Error"),
    ]


@pytest.mark.parametrize("text", ["The moon is in the way", "月亮挡住了"])
def test_a_new_text_where_errors_have_no_code(text: str) -> None:
    """Where an envelope has nothing but a text, any other text is new, in a script without blanks too."""
    row = only(entry(BROKEN, lambda body: body.update(error=text)))
    assert (row.kind, row.pointer) == ("new-error-text", "/error")
    assert row.edits[0].value == {"status": 500, "error": text, "evidence": EVIDENCE}


def test_an_error_under_a_good_status() -> None:
    """A body that only the catalogue explains is an error, and its status is new; one that fits is what it says."""
    row = drifts(entry(TASK, body=error(1102, "Account balance not enough")))[-1]
    assert (row.kind, row.message) == ("new-error-status", "the error balance-empty came with the status 200")
    body = {"request_id": "klingai-video_1", "status": "FAILED", "error": "Invalid parameters"}
    assert drifts(entry(BROKEN, status=200, body=body, path="/v2/requests/status/klingai-video_1", method="GET")) == []


def test_an_unknown_status() -> None:
    """A good status that no response lists gets one, with the body of the other."""
    found = drifts(entry(TASK, status=203))
    assert [(row.kind, row.message) for row in found] == [
        ("unknown-status", "the status should be one of 200, default; is 203")
    ]
    ((op, file, path, value),) = told(found[0].edits)
    assert (op, file) == ("add", "kling/openapi.yaml")
    assert path == "/paths/~1v1~1videos~1image2video~1{id}/get/responses/203"
    assert value["content"]["application/json"]["schema"] == {"$ref": "schemas.yaml#/TaskFound"}
    assert drifts(entry(TASK, status=203), known=after("kling", found[0].edits)) == []


def test_an_unknown_content_type() -> None:
    """The right body under another type; what is no JSON at all is a text."""
    row = drifts(entry(TASK, content_type="text/json; charset=utf-8"))[0]
    assert (row.kind, row.message) == (
        "unknown-content-type",
        "the content type should be application/json; is text/json; charset=utf-8",
    )
    assert row.edits[0].path.endswith("/get/responses/200/content/text~1json")
    assert row.edits[0].value["schema"] == {"$ref": "schemas.yaml#/TaskFound"}
    page = drifts(entry(TASK, body="<html>Please sign in</html>", content_type="text/html"))[0]
    assert page.edits[0].value == {"schema": {"type": "string"}, "x-mock-body": ""}


def test_a_body_that_is_no_json() -> None:
    """A broken body is told; what should be done only a person can tell."""
    row = drifts(entry(TASK, body='{"code": 0,'))[0]
    assert (row.kind, row.message, row.edits) == ("no-json", "the body should be JSON; is none", ())


def test_a_page_of_something_in_between_is_explained() -> None:
    """A gateway's page under a 5xx is what the scenarios of the wire show; under 200 it is drift."""
    page = "<html><body><h1>502</h1></body></html>"
    assert drifts(entry(TASK, status=502, body=page, content_type="text/html")) == []
    assert [row.kind for row in drifts(entry(TASK, body=page, content_type="text/html"))] == ["unknown-content-type"]


def test_an_unknown_path() -> None:
    """A call that is answered and that no operation is; ids in its path are a parameter."""
    body = {"code": 0, "data": {"n": 1}}
    rows = [
        entry(TASK, path=f"/v1/videos/effects/8529079516380255{n}/frames?token=secret-of-mine", body=body)
        for n in (10, 11)
    ]
    found = drifts(*rows)
    assert [(row.kind, row.count, row.operations) for row in found] == [("unknown-path", 2, ())]
    assert found[0].message == "no operation is GET /v1/videos/effects/{id}/frames; it answered 200"
    ((op, file, path, value),) = told(found[0].edits)
    assert (op, file, path) == ("add", "kling/openapi.yaml", "/paths/~1v1~1videos~1effects~1{id}~1frames")
    assert value["get"]["operationId"] == "getV1VideosEffectsFrames"
    assert value["get"]["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["code"] == {
        "type": "integer"
    }


def test_an_unknown_method_is_an_operation_of_its_path() -> None:
    """DELETE of a task that is answered 200: the path item gets it."""
    row = drifts(entry(TASK, method="DELETE", body={"code": 0}))[0]
    assert row.message == "no operation is DELETE /v1/videos/image2video/{id}; it answered 200"
    assert told(row.edits)[0][2] == "/paths/~1v1~1videos~1image2video~1{id}/delete"


def test_a_path_that_the_provider_does_not_know_either_is_explained() -> None:
    """A client's mistake is no drift: the refusal is the catalogue's, or a page that says 404."""
    spring = {"timestamp": "2026-01-01T00:00:00.000+00:00", "status": 404, "error": "Not Found", "path": "/v2"}
    assert drifts(entry(TASK, path="/v2/nothing", status=404, body=spring)) == []
    assert drifts(entry(TASK, path="/favicon.ico", status=404, body="<html>", content_type="text/html")) == []
    rows = drifts(entry(TASK, path="/v2/nothing", status=404, body=error(1209, "Gone for good")))
    assert [(row.kind, row.operations) for row in rows] == [("new-error-code", ())]


def test_a_new_state() -> None:
    """A word that no state has: a value of the schema, and a state after the one that was seen before."""
    rows = [
        entry(TASK, data(task_status="processing", task_result={}), second=1),
        entry(TASK, data(task_status="paused", task_result={}), second=2),
    ]
    value, state = drifts(*rows)
    assert (value.kind, value.edits[0].path, value.edits[0].value) == ("new-value", "/TaskState/enum/-", "paused")
    assert (state.kind, state.pointer) == ("new-state", "/data/task_status")
    assert state.message == "no state has the word paused for task_status"
    words = {"words": {"task_status": "paused"}, "then": ["succeed", "failed"], "evidence": EVIDENCE}
    assert told(state.edits) == [
        ("add", "kling/lifecycle.yaml", "/states/paused", words),
        ("add", "kling/lifecycle.yaml", "/states/processing/then/-", "paused"),
    ]
    assert drifts(*rows, known=after("kling", [*value.edits, *state.edits])) == []


def test_states_out_of_order() -> None:
    """A task that goes on after its end; the other way round, and with states that nobody saw, all is well."""
    failed = entry(TASK, data(task_status="failed", task_result={}), second=1)
    running = entry(TASK, data(task_status="processing", task_result={}), second=2)
    (row,) = drifts(failed, running)
    assert (row.kind, row.pointer, row.edits) == ("illegal-transition", "/data/task_status", ())
    assert row.message == "a task was processing after it had been failed; no way leads there"
    assert row.first == "some/recorded.har#/log/entries/1"
    submitted = entry(TASK, data(task_status="submitted", task_result={}), second=0)
    assert drifts(submitted, failed) == []
    (back,) = drifts(running, entry(TASK, data(task_status="submitted", task_result={}), second=3))
    assert told(back.edits) == [("add", "kling/lifecycle.yaml", "/states/processing/then/-", "submitted")]
    other = entry(TASK, data(task_id="1", task_status="processing", task_result={}), second=2)
    assert drifts(failed, other) == []


def test_calls_that_overlap_may_answer_in_any_order() -> None:
    """A query that began before another had ended may show an older state."""
    slow = entry(TASK, data(task_status="succeed"), second=1) | {"time": 5000}
    assert drifts(slow, entry(TASK, data(task_status="processing", task_result={}), second=2)) == []
    late = entry(TASK, data(task_status="processing", task_result={}), second=9)
    assert [row.kind for row in drifts(slow, late)] == ["illegal-transition"]
    # Of two that have ended the one that began later counts, whichever ended last.
    older = entry(TASK, data(task_status="processing", task_result={}), second=0) | {"time": 7000}
    ended = entry(TASK, data(task_status="succeed"), second=1)
    assert drifts(older, ended) == []
    assert [row.kind for row in drifts(older, ended, late)] == ["illegal-transition"]


def test_words_of_several_states_in_one_reply() -> None:
    """Each word is known, but no state has them together."""
    found = drifts(entry("pixazo/query-a-task-that-succeeded.yaml", lambda body: body.update(message="IN_PROGRESS")))
    assert [(row.kind, row.edits) for row in found] == [("mixed-states", ())]
    assert found[0].message == "no state has these words together: message IN_PROGRESS, task_status succeed"


CREATED = {
    "code": 0,
    "message": "SUCCEED",
    "request_id": "r",
    "data": {"task_id": "1", "task_status": "submitted", "created_at": 1, "updated_at": 1},
}


PLAIN = {
    "model_name": "kling-v1",
    "mode": "std",
    "image": IMAGE,
    "image_tail": "",
    "duration": "5",
    "camera_control": "",
    "static_mask": "",
}


def asked(**keys: Any) -> dict[str, Any]:
    """A recorded create that was accepted, with some keys of its body replaced."""
    return entry(CREATE, body=CREATED, ask={**PLAIN, **keys})


def test_a_value_that_was_accepted_and_the_schema_refuses() -> None:
    """A model that the documents do not know made a task: the enum gets it, and the rule that fired is named."""
    assert drifts(asked()) == []
    row = only(asked(model_name="kling-v9"))
    assert (row.kind, row.pointer, row.operations) == (
        "accepted-though-refused",
        "/model_name",
        ("createImageToVideo",),
    )
    assert row.message.startswith("was accepted, against our rule: should be one of kling-v1, kling-v1-5,")
    assert row.message.endswith("is kling-v9 [createImageToVideo/model_name/enum]")
    assert told(row.edits) == [("add", SCHEMAS, "/VideoModel/enum/-", "kling-v9")]


def test_a_bound_that_was_passed() -> None:
    """A number beyond its maximum, and a parameter of the query beyond its own."""
    row = only(asked(cfg_scale=1.2), asked(cfg_scale=1.5), asked(cfg_scale=1.3))
    assert row.count == 3
    assert told(row.edits) == [("replace", SCHEMAS, "/Share/maximum", 1.5)]
    row = only(entry(LIST, path="/v1/videos/image2video?pageNum=1&pageSize=600"))
    assert (row.kind, row.pointer) == ("accepted-though-refused", "query/pageSize")
    assert told(row.edits) == [("replace", "kling/openapi.yaml", "/components/parameters/PageSize/schema/maximum", 600)]


def test_a_rule_that_is_stricter_than_reality_becomes_a_warning() -> None:
    """A rule of the request schema leaves it, and warns from then on, on the evidence of the recording."""
    camera = {"type": "simple", "config": {"zoom": 5}}
    row = only(asked(model_name="kling-v1-5", mode="pro", image_tail=IMAGE, camera_control=camera))
    assert row.message == "was accepted, against our rule: cannot be combined with image_tail [last-frame-or-camera]"
    rule = "/last-frame-or-camera"
    parts = read_documents(bundled("specs"))[SCHEMAS]["ImageToVideoRequest"]["allOf"]
    number = parts.index({"$ref": f"rules.yaml#{rule}/schema"})
    assert told(row.edits) == [
        ("replace", "kling/rules.yaml", f"{rule}/severity", "warning"),
        ("replace", "kling/rules.yaml", f"{rule}/evidence", EVIDENCE),
        ("add", "kling/rules.yaml", f"{rule}/kinds", ["videos/image2video"]),
        ("remove", SCHEMAS, f"/ImageToVideoRequest/allOf/{number}", None),
    ]


def test_a_feature_that_a_model_has_after_all() -> None:
    """A cell of the capability table that only warns."""
    found = drifts(asked(model_name="kling-v1", mode="std", sound="on"))
    assert [(row.kind, row.message.rpartition("[")[2]) for row in found] == [("accepted-though-refused", "sound]")]
    assert told(found[0].edits)[0][:2] == ("add", "kling/capabilities.yaml")
    assert drifts(asked(model_name="kling-v1", mode="std", sound="on"), known=after("kling", found[0].edits)) == []


def test_a_picture_is_looked_at() -> None:
    """A picture in the body is measured: one that the rules refuse and that was accepted is drift."""
    small = (bundled("fixtures") / "media/just-too-small-299x300.png").read_bytes()
    found = drifts(asked(image=b64encode(small).decode()))
    assert [(row.kind, row.pointer) for row in found] == [("accepted-though-refused", "/image")]
    assert told(found[0].edits)[0][2].endswith("/severity")
    assert b64encode(small).decode()[:40] not in json.dumps([row.as_json() for row in found])


def test_a_request_that_was_refused_and_the_rules_accept() -> None:
    """The catalogue explains the refusal, but nothing in the request calls for it: a rule is missing."""
    refusal = error(1201, "duration value '5' is invalid")
    one = entry(
        CREATE,
        status=400,
        body=refusal,
        ask={"model_name": "kling-v1-6", "mode": "pro", "image_tail": "", "camera_control": ""},
    )
    row = only(one)
    assert (row.kind, row.operations) == ("refused-though-accepted", ("createImageToVideo",))
    assert row.message == "was refused (400: duration value '5' is invalid); our rules accept it"
    ((op, file, path, rule),) = told(row.edits)
    assert (op, file, path) == ("add", "kling/rules.yaml", "/duration-value-5-is-invalid")
    assert rule["error"] == "value-invalid"
    assert rule["invalid"]["model_name"] == "kling-v1-6"


def test_refusals_for_other_reasons_say_nothing_of_the_rules() -> None:
    """Money, keys, limits and unknown ids are no matter of the request's content; nor is what was left out of it."""
    for status, body in (
        (429, error(1102, "Account balance not enough")),
        (401, error(1004, "The token has expired")),
        (400, error(1201, "External_task_id order-1042 already exists")),
    ):
        assert drifts(entry(CREATE, status=status, body=body)) == [], body
    abridged = entry(
        CREATE, status=400, body=error(1201, "Image pixel is invalid"), ask={"image": "<13579 characters>"}
    )
    assert drifts(abridged) == []


@pytest.mark.parametrize("status", [401, 402, 403, 404, 429, 500])
def test_a_new_error_that_is_no_matter_of_the_request_is_one_drift(status: int) -> None:
    """Its status says that it is about keys, money, limits or the server: no rule is missing."""
    found = drifts(entry(CREATE, status=status, body=error(1999, "Come back on Monday"), ask=PLAIN))
    assert [row.kind for row in found] == ["new-error-code"]


def test_a_new_refusal_of_what_the_rules_accept_is_two_drifts() -> None:
    """The text is new, and so is that there is a reason at all; the rule names the entry that is suggested."""
    one = entry(
        CREATE,
        status=400,
        body=error(1201, "Lighthouses are out of stock"),
        ask={"camera_control": "", "image_tail": ""},
    )
    text, rule = drifts(one)
    assert (text.kind, rule.kind) == ("new-error-text", "refused-though-accepted")
    assert rule.edits[0].value["error"] == text.edits[0].path.rpartition("/")[2] == "lighthouses-are-out-of-stock"
    assert drifts(one, known=after("kling", [*text.edits, *rule.edits])) == []


def test_a_recording_is_compared_with_its_own_providers_only() -> None:
    """Other hosts are counted and left alone; a provider that is named takes the hosts that have its paths."""
    page = entry(TASK, path="/index.html")
    page["request"]["url"] = "https://www.example.org/index.html"
    found = compared(page, entry(TASK))
    assert (found.exchanges, found.foreign) == ({"kling": 1}, {"www.example.org": 1})
    relayed = entry(TASK, data(queue=1))
    relayed["request"]["url"] = "https://relay.example/v1/videos/image2video/852907951638025532"
    assert compared(page, relayed).exchanges == {}
    mine = compared(page, relayed, only="kling")
    assert (mine.exchanges, mine.foreign) == ({"kling": 1}, {"www.example.org": 1})
    assert [row.kind for row in mine.drifts] == ["unknown-field"]
    behind = entry(TASK, data(queue=1), path="/proxy/to/v1/videos/image2video/852907951638025532")
    assert [row.kind for row in drifts(behind)] == ["unknown-path"]
    behind["request"]["url"] = behind["request"]["url"].replace("api-beijing.klingai.com", "localhost:9")
    assert [row.kind for row in compared(behind, only="kling").drifts] == ["unknown-field"]


def test_evidence_is_dated_in_this_century_or_not_at_all() -> None:
    """What the grammar of evidence takes: a recording without times, or with impossible ones, gives none."""
    for when in ("1970-01-01T00:00:00Z", "yesterday", None):
        (row,) = drifts(entry(TASK, data(queue=3)) | {"startedDateTime": when})
        assert (row.date, row.edits[0].why) == (None, "observed, recorded.har")


SHAKE = "is a key that the documents do not name, in a request that was accepted; it may have been ignored"


def test_a_key_of_a_request_that_was_accepted() -> None:
    """The provider may know it: its own, weak kind, with the edit that names it by the types that were sent."""
    row = only(asked(shake=3), asked(shake=0.5), asked(shake=7))
    assert (row.kind, row.weak, row.pointer, row.count) == ("unknown-request-field", True, "/shake", 3)
    assert (row.operations, row.message) == (("createImageToVideo",), SHAKE)
    (edit,) = row.edits
    assert (edit.op, edit.file, edit.value) == ("add", SCHEMAS, {"type": "number"})
    assert edit.path.endswith("/properties/shake")
    assert edit.why == WHY


def test_a_key_of_a_request_deep_in_its_body() -> None:
    """The schema of its neighbours gets it."""
    camera = {"type": "simple", "config": {"zoom": 5, "spin": 1}}
    row = only(asked(model_name="kling-v1-5", mode="pro", camera_control=camera))
    assert (row.kind, row.pointer) == ("unknown-request-field", "/camera_control/config/spin")
    assert row.edits[0].path.endswith("/properties/spin")


def test_a_key_of_a_request_that_was_refused_says_nothing() -> None:
    """Nor does one of a request that got an error of the provider's under any status."""
    refused = entry(CREATE, status=429, body=error(1102, "Account balance not enough"), ask={**PLAIN, "shake": 3})
    assert drifts(refused) == []


def test_drift_of_other_kinds_is_not_weak() -> None:
    """It decides on how a comparison ends."""
    found = drifts(asked(shake=3), entry(TASK, data(queue=3), second=1))
    assert [(row.kind, row.weak) for row in found] == [("unknown-field", False), ("unknown-request-field", True)]
    assert [row.as_json()["weak"] for row in found] == [False, True]
