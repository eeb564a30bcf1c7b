"""What compiles and is wrong all the same: each case breaks one thing in a copy of a spec, and is told where.

A case is what is done (`put` a value, `call` a key by another name, `take` it away), the file and the pointer, the new
value or name; then where the problem is and what it says.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from kling_mock.core.checks import check_deeply
from kling_mock.core.compiling import compile_provider
from kling_mock.core.documents import tokens
from kling_mock.core.examples import check_examples
from kling_mock.core.problems import Problem
from kling_mock.loading import bundled, provider_names, read_documents

SPECS, TOYS = bundled("specs"), Path(__file__).parent / "providers"
ALL = [(folder, name) for folder in (SPECS, TOYS) for name in provider_names(folder)]
Documents = dict[str, Any]

I2V, ONE, T2V = (
    "/paths/~1v1~1videos~1image2video",
    "/paths/~1v1~1videos~1image2video~1{id}",
    "/paths/~1v1~1videos~1text2video",
)
POST, JWT = f"{I2V}/post", "/components/securitySchemes/token/x-mock-token/1/jwt"
LINK = f"{POST}/responses/200/links/task"
API, SCHEMAS, RULES, ERRORS, REPLIES = "openapi", "schemas", "rules", "errors", "replies"


def node_at(documents: Documents, name: str, path: list[str]) -> Any:
    """The node at a path of a document."""
    node = documents[name]
    for token in path:
        node = node[int(token)] if isinstance(node, list) else node[token]
    return node


def put(documents: Documents, name: str, at: str, value: Any) -> None:
    """Put a value at a pointer; "-" appends to a list."""
    *path, last = tokens(at)
    node = node_at(documents, name, path)
    if isinstance(node, list):
        node.append(value) if last == "-" else node.__setitem__(int(last), value)
    else:
        node[last] = value


def take(documents: Documents, name: str, at: str, value: Any = None) -> None:
    """Take away what is at a pointer."""
    *path, last = tokens(at)
    node = node_at(documents, name, path)
    del node[int(last) if isinstance(node, list) else last]


def call(documents: Documents, name: str, at: str, value: str) -> None:
    """Give a key another name, in its place."""
    *path, last = tokens(at)
    node = node_at(documents, name, path)
    rows = [(value if key == last else key, item) for key, item in node.items()]
    node.clear()
    node.update(rows)


def found(documents: Documents, name: str) -> list[Problem]:
    """What is wrong with documents that compile."""
    provider = compile_provider(documents, name)
    return [*check_examples(documents, name), *check_deeply(documents, name, provider)]


CASES: dict[str, tuple[Any, str, str, Any, str, str, str]] = {
    # paths, parameters and expressions
    "a path variable of another name": (
        call,
        API,
        ONE,
        "/v1/videos/image2video/{task}",
        API,
        "/paths/~1v1~1videos~1image2video~1{task}/get",
        "no path parameter is declared for {task}",
    ),
    "a path parameter of another name": (
        put,
        API,
        "/components/parameters/Id/name",
        "idd",
        API,
        f"{ONE}/get/parameters/0",
        "the path has no {idd}; did you mean 'id'?",
    ),
    "a path parameter that is not required": (
        take,
        API,
        "/components/parameters/Id/required",
        None,
        API,
        f"{ONE}/get/parameters/0",
        "needs required: true",
    ),
    "a job's parameter in no request": (
        put,
        API,
        f"{POST}/x-mock-parameters/model",
        "{$request.body#/model_nam}",
        API,
        f"{POST}/x-mock-parameters/model",
        "did you mean 'model_name'?",
    ),
    "a job's parameter deep in no request": (
        put,
        API,
        f"{POST}/x-mock-parameters/watermark",
        "{$request.body#/watermark_info/enable}",
        API,
        f"{POST}/x-mock-parameters/watermark",
        "did you mean 'enabled'?",
    ),
    "a job's parameter in the items of no request": (
        put,
        API,
        f"{POST}/x-mock-parameters/prompt/1",
        "{$request.body#/multi_prompt/*/promt}",
        API,
        f"{POST}/x-mock-parameters/prompt/1",
        "did you mean 'prompt'?",
    ),
    "an image in no request": (
        put,
        API,
        f"{POST}/x-mock-parameters/images/last",
        "{$request.body#/image_tial}",
        API,
        f"{POST}/x-mock-parameters/images/last",
        "did you mean 'image_tail'?",
    ),
    "an alias in no request": (
        put,
        API,
        f"{POST}/x-mock-task/alias",
        "{$request.body#/external_taskid}",
        API,
        f"{POST}/x-mock-task/alias",
        "did you mean 'external_task_id'?",
    ),
    "a parent in no request": (
        put,
        API,
        f"{POST}/x-mock-task/parents",
        ["{$request.body#/promt}"],
        API,
        f"{POST}/x-mock-task/parents/0",
        "did you mean 'prompt'?",
    ),
    "a parent with kinds in no request": (
        put,
        API,
        f"{POST}/x-mock-task/parents",
        [{"id": "{$request.body#/promt}"}],
        API,
        f"{POST}/x-mock-task/parents/0/id",
        "did you mean 'prompt'?",
    ),
    "a parent of a kind that nobody makes": (
        put,
        API,
        f"{POST}/x-mock-task/parents",
        [{"id": "{$request.body#/prompt}", "kinds": ["videos/text2videos"]}],
        API,
        f"{POST}/x-mock-task/parents/0/kinds/0",
        "did you mean 'videos/text2video'?",
    ),
    "an id where no parameter is": (
        put,
        API,
        f"{ONE}/get/x-mock-task/find",
        "{$request.path.idd}",
        API,
        f"{ONE}/get/x-mock-task/find",
        "no path parameter 'idd' is declared; did you mean 'id'?",
    ),
    "an id in a body that is not there": (
        put,
        API,
        f"{ONE}/get/x-mock-task/find",
        "{$request.body#/id}",
        API,
        f"{ONE}/get/x-mock-task/find",
        "there is none",
    ),
    "a page number in no query": (
        put,
        API,
        f"{I2V}/get/x-mock-page/number",
        "{$request.query.pageNumber}",
        API,
        f"{I2V}/get/x-mock-page/number",
        "did you mean 'pageNum'?",
    ),
    "slots by no parameter": (
        put,
        API,
        "/paths/~1v1~1images~1generations/post/x-mock-result/slots",
        "{$parameters.cuont}",
        API,
        "/paths/~1v1~1images~1generations/post/x-mock-result/slots",
        "did you mean 'count'?",
    ),
    "a reply that speaks of no request's part": (
        put,
        REPLIES,
        "/created/data/task_info/external_task_id",
        "{$task.request#/external_taskid}",
        REPLIES,
        "/created/data/task_info/external_task_id",
        "did you mean 'external_task_id'?",
    ),
    "a reply that speaks of no parameter": (
        put,
        REPLIES,
        "/task/watermark_info/enabled",
        "{$task.parameters.watermrk ?? false}",
        REPLIES,
        "/task/watermark_info/enabled",
        "did you mean 'watermark'?",
    ),
    "a callback to no part of the request": (
        call,
        API,
        f"{POST}/callbacks/task/{{$request.body#~1callback_url}}",
        "{$request.body#/callback}",
        API,
        f"{POST}/callbacks/task/{{$request.body#~1callback}}",
        "did you mean 'callback_url'?",
    ),
    # schemas and the fields of OpenAPI
    "a keyword in a request": (
        call,
        SCHEMAS,
        "/Prompt/maxLength",
        "maxLenght",
        SCHEMAS,
        "/Prompt/maxLenght",
        "did you mean 'maxLength'?",
    ),
    "a keyword in a reply": (
        call,
        SCHEMAS,
        "/Envelope/properties",
        "propertes",
        SCHEMAS,
        "/Envelope/propertes",
        "did you mean 'properties'?",
    ),
    "a keyword in a rule": (
        call,
        RULES,
        "/image-is-at-least-300-px/fact/schema/properties/width/minimum",
        "minimun",
        RULES,
        "/image-is-at-least-300-px/fact/schema/properties/width/minimun",
        "did you mean 'minimum'?",
    ),
    "a keyword in a parameter": (
        call,
        API,
        "/components/parameters/PageSize/schema/maximum",
        "maximun",
        API,
        "/components/parameters/PageSize/schema/maximun",
        "did you mean 'maximum'?",
    ),
    "a keyword in what is documented": (
        call,
        SCHEMAS,
        "/Text/x-mock-documented/type",
        "tpye",
        SCHEMAS,
        "/Text/x-mock-documented/tpye",
        "did you mean 'type'?",
    ),
    "the words of no pattern": (
        call,
        SCHEMAS,
        "/Share/pattern",
        "x-pattern",
        SCHEMAS,
        "/Share/x-mock-pattern",
        "there is no 'pattern' beside it",
    ),
    "the words of a pattern": (
        put,
        SCHEMAS,
        "/Share/x-mock-pattern",
        7,
        SCHEMAS,
        "/Share/x-mock-pattern",
        "should be a text such as",
    ),
    "a type in a reply": (
        put,
        SCHEMAS,
        "/Task/properties/task_id/type",
        "strng",
        SCHEMAS,
        "/Task/properties/task_id",
        "no JSON Schema",
    ),
    "a required name in a request": (
        put,
        SCHEMAS,
        "/ImageRequest/required/0",
        "promt",
        SCHEMAS,
        "/ImageRequest/required/0",
        "did you mean 'prompt'?",
    ),
    "a default that is not in its enum": (
        put,
        SCHEMAS,
        "/Mode/default",
        "standard",
        SCHEMAS,
        "/Mode/default",
        "refused by its own schema",
    ),
    "a default that is too large": (
        put,
        API,
        "/components/parameters/PageSize/schema/default",
        501,
        API,
        "/components/parameters/PageSize/schema/default",
        "at most 500",
    ),
    "a field of the root": (call, API, "/servers", "server", API, "/server", "did you mean 'servers'?"),
    "a field of the info": (call, API, "/info/summary", "sumary", API, "/info/sumary", "did you mean 'summary'?"),
    "a field of a path item": (
        call,
        API,
        f"{ONE}/get",
        "gett",
        API,
        f"{ONE}/gett",
        "did you mean 'get'?",
    ),
    "a field of an operation": (
        call,
        API,
        f"{POST}/summary",
        "summry",
        API,
        f"{POST}/summry",
        "did you mean 'summary'?",
    ),
    "a field of a response": (
        call,
        API,
        f"{POST}/responses/200/links",
        "link",
        API,
        f"{POST}/responses/200/link",
        "did you mean 'links'?",
    ),
    "a field of a parameter": (
        call,
        API,
        "/components/parameters/Id/description",
        "descripton",
        API,
        "/components/parameters/Id/descripton",
        "did you mean 'description'?",
    ),
    "a field of a request body": (
        call,
        API,
        f"{POST}/requestBody/required",
        "requird",
        API,
        f"{POST}/requestBody/requird",
        "did you mean 'required'?",
    ),
    "a status": (
        call,
        API,
        f"{POST}/responses/default",
        "defualt",
        API,
        f"{POST}/responses/defualt",
        "mean 'default'?",
    ),
    "no response for errors": (
        take,
        API,
        f"{POST}/responses/default",
        None,
        API,
        f"{POST}/responses",
        "has no response for errors",
    ),
    # links
    "a link to no operation": (
        put,
        API,
        f"{LINK}/operationId",
        "getImageToVideos",
        API,
        f"{LINK}/operationId",
        "did you mean 'getImageToVideo'?",
    ),
    "a link with no parameter": (
        call,
        API,
        f"{LINK}/parameters/id",
        "idd",
        API,
        f"{LINK}/parameters/idd",
        "did you mean 'id'?",
    ),
    "a link from no part of the reply": (
        put,
        API,
        f"{LINK}/parameters/id",
        "$response.body#/data/taskid",
        API,
        f"{LINK}/parameters/id",
        "did you mean 'task_id'?",
    ),
    # tables
    "a rule's field in no request": (
        put,
        RULES,
        "/first-or-last-frame/field",
        "/imge",
        RULES,
        "/first-or-last-frame/field",
        "did you mean 'image'?",
    ),
    "a rule's field in no request of its kinds": (
        put,
        RULES,
        "/shots-fill-the-video/field",
        "/multi_promt",
        RULES,
        "/shots-fill-the-video/field",
        "did you mean 'multi_prompt'?",
    ),
    "a sum of nothing": (
        put,
        RULES,
        "/shots-fill-the-video/compare/equals",
        "/duraton",
        RULES,
        "/shots-fill-the-video/compare/equals",
        "did you mean 'duration'?",
    ),
    "a comparison whose example is right": (
        put,
        RULES,
        "/shots-fill-the-video/invalid/document/duration",
        "6",
        RULES,
        "/shots-fill-the-video/invalid",
        "does not break the rule",
    ),
    "a rule that nothing refers to": (
        put,
        SCHEMAS,
        "/ImageToVideoRequest/allOf",
        [],
        RULES,
        "/first-or-last-frame",
        "nothing refers to",
    ),
    "a feature asked for by no part of a request": (
        put,
        "capabilities",
        "/features/start/asked/required/0",
        "imge",
        "capabilities",
        "/features/start/asked/required/0",
        "did you mean 'image'?",
    ),
    "a documented word that is not accepted": (
        put,
        SCHEMAS,
        "/ImageRequest/properties/image_reference/x-mock-documented/enum/0",
        "subjekt",
        SCHEMAS,
        "/ImageRequest/properties/image_reference/x-mock-documented/enum/0",
        "did you mean 'subject'?",
    ),
    "a rule for no kind": (
        put,
        RULES,
        "/shots-fill-the-video/kinds/0",
        "videos/image2vido",
        RULES,
        "/shots-fill-the-video/kinds/0",
        "did you mean 'videos/image2video'?",
    ),
    "a feature for no kind": (
        put,
        "capabilities",
        "/features/start/kinds/0",
        "videos/image2vido",
        "capabilities",
        "/features/start/kinds/0",
        "did you mean 'videos/image2video'?",
    ),
    "a condition on no kind": (
        put,
        REPLIES,
        "/task/task_result/videos/$when/kind/0",
        "videos/image2vido",
        REPLIES,
        "/task/task_result/videos/$when/kind/0",
        "did you mean 'videos/image2video'?",
    ),
    "a query for no kind": (
        put,
        API,
        f"{ONE}/get/x-mock-task/kind",
        "videos/image2vido",
        API,
        f"{ONE}/get/x-mock-task/kind",
        "did you mean 'videos/image2video'?",
    ),
    "a list of no kind": (
        put,
        API,
        f"{I2V}/get/x-mock-page/kind",
        "videos/image2vido",
        API,
        f"{I2V}/get/x-mock-page/kind",
        "did you mean 'videos/image2video'?",
    ),
    "a price for no model": (
        put,
        "pricing",
        "/video/0/rows/0/0",
        "kling-v33",
        "pricing",
        "/video/0/rows/0/0",
        "did you mean 'kling-v3'?",
    ),
    "a price for no mode": (
        put,
        "pricing",
        "/video/0/rows/0/1",
        "standard",
        "pricing",
        "/video/0/rows/0/1",
        "no request has the mode",
    ),
    "a capability of no model": (
        call,
        "capabilities",
        "/matrix/kling-v1-6",
        "kling-v16",
        "capabilities",
        "/matrix/kling-v16",
        "did you mean 'kling-v1-6'?",
    ),
    "an algorithm": (
        put,
        API,
        f"{JWT}/algorithms/0",
        "HS265",
        API,
        f"{JWT}/algorithms/0",
        "did you mean 'HS256'?",
    ),
    "two credentials in one variable": (
        put,
        API,
        "/x-mock-environment/secret_key",
        "KLING_ACCESS_KEY",
        API,
        "/x-mock-environment/secret_key",
        "is there twice",
    ),
    "two packs of one type": (
        put,
        API,
        "/x-mock-accounts/packs/-",
        {"type": "video", "unit": "units", "total": 1},
        API,
        "/x-mock-accounts/packs/2/type",
        "is there twice",
    ),
    "no scenario that fails": (
        put,
        API,
        "/x-mock-scenarios",
        {"late": {"shows": "a long wait", "latency": {"processing": "1h"}, "evidence": {"kind": "assumed"}}},
        API,
        "/x-mock-scenarios",
        "no scenario ends in a failure",
    ),
    "a failure without a reason": (
        take,
        "scenarios",
        "/fail/reason",
        None,
        "scenarios",
        "/fail",
        "without a reason",
    ),
    "an empty message of a rule": (
        put,
        RULES,
        "/image-is-readable/message",
        "",
        RULES,
        "/image-is-readable/message",
        "'message' is empty",
    ),
    "an empty message of an error": (
        put,
        ERRORS,
        "/catalogue/server-error/message",
        " ",
        ERRORS,
        "/catalogue/server-error/message",
        "is empty",
    ),
    # errors
    "an envelope without a key": (
        call,
        ERRORS,
        "/envelopes/kling/message",
        "mesage",
        ERRORS,
        "/envelopes/kling/mesage",
        "mean 'message'",
    ),
    "an envelope of another type": (
        put,
        ERRORS,
        "/envelopes/kling/code",
        "code {$error.code}",
        ERRORS,
        "/envelopes/kling/code",
        "should be of type integer",
    ),
    "an entry of another type": (
        put,
        ERRORS,
        "/catalogue/server-error/code",
        "5000",
        ERRORS,
        "/catalogue/server-error/code",
        "should be of type integer",
    ),
    "an entry without a value": (
        call,
        ERRORS,
        "/catalogue/server-error/message",
        "mesage",
        ERRORS,
        "/catalogue/server-error",
        "the entry has no 'message'; did you mean 'mesage'?",
    ),
    "a value that no violation has": (
        put,
        ERRORS,
        "/catalogue/task-unknown/message",
        "no task {$violation.vlaue}",
        ERRORS,
        "/catalogue/task-unknown/message",
        "did you mean 'value'?",
    ),
    "a value that no entry has": (
        put,
        ERRORS,
        "/envelopes/kling/message",
        "{$error.mesage ?? 'wrong'}",
        ERRORS,
        "/envelopes/kling/message",
        "did you mean 'message'?",
    ),
    # replies
    "a reply without a key": (
        call,
        REPLIES,
        "/created/data/task_id",
        "taskid",
        REPLIES,
        "/created/data/taskid",
        "mean 'task_id'",
    ),
    "a reply without a key at all": (
        take,
        REPLIES,
        "/created/data/task_status",
        None,
        REPLIES,
        "/created/data",
        "/data/task_status is required",
    ),
    "a reply of another type": (
        put,
        REPLIES,
        "/task/created_at",
        "{$task.created|iso}",
        REPLIES,
        "/task/created_at",
        "should be of type integer",
    ),
    "a reply with a key that is only nearly there": (
        call,
        REPLIES,
        "/task/final_unit_deduction",
        "final_units_deduction",
        REPLIES,
        "/task/final_units_deduction",
        "did you mean 'final_unit_deduction'?",
    ),
    "a file in a reply without a key": (
        call,
        REPLIES,
        "/task/task_result/videos/$value/$as/url",
        "ulr",
        REPLIES,
        "/task/task_result/videos/$value/$as/ulr",
        "mean 'url'",
    ),
    "a reason that is not always there": (
        put,
        REPLIES,
        "/task/task_status_msg",
        "{$task.reason}",
        REPLIES,
        "/task/task_status_msg",
        "is required",
    ),
    "a word of a state that no reply has": (
        put,
        "lifecycle",
        "/states/failed/words/task_status",
        "faild",
        REPLIES,
        "/task/task_status",
        "should be one of",
    ),
    "a word of a pack that no reply has": (
        put,
        API,
        "/paths/~1account~1costs/get/x-mock-packs/words/empty",
        "runout",
        REPLIES,
        "/costs/data/resource_pack_subscribe_infos/$as/status",
        "should be one of",
    ),
    "a filter that cannot be": (
        put,
        REPLIES,
        "/task/created_at",
        "{$task.kind|ms}",
        REPLIES,
        "/task/created_at",
        "created_at is required",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_is_found(case: str) -> None:
    """The problem is told with file, pointer and what was probably meant."""
    act, file, at, value, where, pointer, message = CASES[case]
    documents = deepcopy(
        {
            file: node
            for file, node in read_documents(SPECS, "kling").items()
            if "/" not in file or file.startswith("kling/")
        }
    )
    act(documents, f"kling/{file}.yaml", at, value)
    problems = found(documents, "kling")
    told = [p.message for p in problems if (p.file, p.pointer) == (f"kling/{where}.yaml", pointer)]
    assert any(message in text for text in told), "\n".join(map(str, problems)) or "nothing was found"


@pytest.mark.parametrize(("folder", "name"), ALL, ids=[name for _, name in ALL])
def test_nothing_is_wrong_with_a_right_spec(folder: Path, name: str) -> None:
    """The bundled specs and the toy have no problem."""
    assert found(dict(read_documents(folder, name)), name) == []
