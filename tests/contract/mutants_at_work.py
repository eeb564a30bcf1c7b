"""Broken mocks, each with the check that has to find it: those that do other things than their documents say."""

from __future__ import annotations

from msgspec.structs import replace

from kling_mock.core.model import Delivery
from tests.contract.breaking import Mutant, bare, replies, says
from tests.contract.changes import (
    accepting,
    all_found,
    allowing,
    anybodys_found,
    asked,
    by_default,
    cut,
    files,
    finding,
    finished_found,
    instead,
    of_state,
    once,
    pages,
    remaining,
    remembered,
    shown,
    signed_otherwise,
    told_by_put,
    told_nothing,
    told_twice,
    welcoming,
    while_ended,
)

USUAL = "createImageToVideo, usual"
ERROR = {"code": 1201, "message": "Task not found by id/external id: x", "request_id": "x"}
FORBIDDEN = {"code": 1103, "message": "No permission", "request_id": "x"}
FOUND = {"code": 0, "message": "SUCCEED", "request_id": "x", "data": []}

EXCHANGES: dict[str, Mutant] = {
    "a page of a web site": Mutant(
        "content-type", "lifecycle", instead(lambda wire: bare(wire, b"<html/>", "text/html"), "list"), USUAL, "found"
    ),
    "JSON that is called a text": Mutant(
        "content-type", "lifecycle", instead(lambda wire: bare(wire, wire.body, "text/plain"), "query"), USUAL
    ),
    "an empty body": Mutant("schema", "lifecycle", instead(lambda wire: bare(wire, b""), "query"), USUAL, "id"),
    "half a body": Mutant(
        "schema", "lifecycle", instead(lambda wire: bare(wire, wire.body[:40]), "create"), USUAL, "id"
    ),
    "bytes that are no text": Mutant(
        "readable", "lifecycle", instead(lambda wire: bare(wire, b"\xff" + wire.body), "query"), USUAL, "id"
    ),
    "a body that is nested without an end": Mutant(
        "readable",
        "lifecycle",
        instead(lambda wire: bare(wire, b"[" * 200_000 + b"]" * 200_000), "list"),
        USUAL,
        "found",
    ),
    "no answer": Mutant("answered", "lifecycle", cut("query"), USUAL),
    "an answer that breaks off": Mutant(
        "answered", "lifecycle", instead(lambda wire: replace(wire, delivery=Delivery(cut_at=60)), "list"), USUAL
    ),
    "no answer to any create": Mutant("answered", "fuzz", cut("create"), "linked calls"),
    "no answer to any query": Mutant("answered", "fuzz", cut("query"), "linked calls"),
    "no answer to one query of a task": Mutant("answered", "fuzz", cut("query", only=2), "linked calls"),
    "no answer to a list": Mutant("answered", "fuzz", cut("list"), "listImageToVideo"),
}

ANSWERS: dict[str, Mutant] = {
    "a refusal under status 200": Mutant(
        "refused",
        "rules",
        instead(lambda wire: replace(wire, status=200), "create", failing=True),
        "last-frame",
        "schema",
    ),
    "what is no JSON makes a task": Mutant("refused", "errors", accepting("body.syntax"), "body.syntax"),
    "any media type makes a task": Mutant("refused", "errors", accepting("body.media-type"), "body.media"),
    "a forged token is taken": Mutant("credential", "errors", welcoming("token.signature"), "token"),
    "an expired token is taken": Mutant("credential", "errors", welcoming("token.expired"), "token"),
    "a stranger's token is taken": Mutant("credential", "errors", welcoming("token.unknown"), "token"),
    "any text is a token": Mutant("credential", "errors", welcoming("token.malformed"), "token"),
    "a missing credential is forgiven": Mutant("credential", "errors", welcoming("token.missing"), "token"),
    "the task of somebody else is shown": Mutant("refused", "errors", finding(anybodys_found), "task.unknown"),
    "an unknown task is shown as nothing": Mutant(
        "refused",
        "errors",
        instead(lambda wire: says(wire, FOUND, 200), "query", failing=True),
        "task.unknown",
        "schema",
    ),
    "another method is taken": Mutant("method", "errors", asked("DELETE", method="GET"), "route.method"),
    "Allow lists too little": Mutant("method", "errors", allowing("POST"), "route.method"),
    "405 without Allow": Mutant("method", "errors", allowing(None), "route.method", provider="toymaker"),
    "an unfinished parent is taken": Mutant(
        "refused", "errors", finding(finished_found), "task.unfinished, extendVideo", provider="rixapi"
    ),
    "the list of an example is refused": Mutant(
        "accepted", "examples", instead(lambda wire: says(wire, ERROR, 400), "list"), "list-the-first"
    ),
    "the task of an example is refused for another reason": Mutant(
        "reason",
        "examples",
        instead(lambda wire: says(wire, FORBIDDEN, 403), "query", failing=True),
        "query-a-task-that-succeeded",
    ),
    "any page of a list is refused": Mutant(
        "accepted", "fuzz", instead(lambda wire: says(wire, ERROR, 400), "list"), "listImageToVideo"
    ),
}

TASKS: dict[str, Mutant] = {
    "a task is lost": Mutant(
        "found", "lifecycle", once(lambda document, count: lambda wire: says(wire, ERROR, 400), "query", after=3), USUAL
    ),
    "the list is without the new task": Mutant("found", "lifecycle", pages(lambda rows: rows[1:]), USUAL),
    "the list is the wrong way round": Mutant("found", "lifecycle", pages(lambda rows: rows[::-1]), "listImageToVideo"),
    "the list does not know of pages": Mutant("found", "lifecycle", asked(query=""), "listImageToVideo, newest"),
    "the list has other tasks too": Mutant("found", "lifecycle", finding(all_found), "listImageToVideo, newest"),
    "the same answer to every create": Mutant("id", "lifecycle", remembered, "listImageToVideo, newest"),
    "a task never ends": Mutant("end", "lifecycle", of_state("succeed", task_status="processing"), USUAL),
    "a task starts anew": Mutant(
        "order", "lifecycle", shown("task_status", lambda word, count: "submitted" if count == 6 else word), USUAL
    ),
    "an ended task goes on": Mutant("end", "lifecycle", while_ended(task_status="processing"), USUAL, "agreement"),
    "an ended task changes": Mutant("end", "lifecycle", while_ended(updated_at=32_503_680_000_000), USUAL, "agreement"),
    "the files change after the end": Mutant(
        "end", "lifecycle", files(lambda url, count: f"{url}?{count}"), USUAL, "agreement"
    ),
    "a cancelled task goes on": Mutant(
        "end",
        "lifecycle",
        replies(
            lambda document, call: {
                **document,
                "order": {**document["order"], "step": 1, "says": "On the bench", "open": True},
            },
            "query",
        ),
        "cancelToy",
        "status",
        "toymaker",
    ),
    "the time of creation moves": Mutant(
        "time", "lifecycle", shown("created_at", lambda at, count: at + count), USUAL, "agreement"
    ),
    "the last change goes back": Mutant(
        "time", "lifecycle", shown("updated_at", lambda at, count: at - count), USUAL, "agreement end"
    ),
    "the list tells of another state": Mutant(
        "agreement", "lifecycle", pages(lambda rows: [{**row, "task_status": "submitted"} for row in rows]), USUAL
    ),
    "the list shows other files": Mutant(
        "agreement", "lifecycle", pages(lambda rows: [{**row, "task_result": {"videos": []}} for row in rows]), USUAL
    ),
    "times of another zone": Mutant(
        "time",
        "lifecycle",
        shown("created_at", lambda at, count: at + 8 * 3_600_000, roles=("create", "query")),
        USUAL,
        "agreement",
    ),
    "one file too many": Mutant(
        "result",
        "lifecycle",
        of_state(
            "succeed", task_result={"videos": 2 * [{"id": "1", "url": "http://127.0.0.1:9/x.mp4", "duration": "5"}]}
        ),
        USUAL,
        "agreement",
    ),
    "a file is not there": Mutant(
        "result",
        "lifecycle",
        files(lambda url, count: url.replace("/_mock/media/", "/_mock/media/no")),
        USUAL,
        "agreement",
    ),
    "a file is no video": Mutant(
        "result",
        "lifecycle",
        files(lambda url, count: url.partition("/_mock/")[0] + "/_mock/health"),
        USUAL,
        "agreement",
    ),
    "a file's address has no host": Mutant(
        "result", "lifecycle", files(lambda url, count: "http://[nowhere"), USUAL, "agreement"
    ),
    "a file's address is none": Mutant("result", "lifecycle", files(lambda url, count: "soon"), USUAL, "agreement"),
    "a failure shows files": Mutant(
        "result",
        "lifecycle",
        of_state("failed", task_result={"videos": [{"id": "1", "url": "http://127.0.0.1/x.mp4", "duration": "5"}]}),
        "createImageToVideo, scenario fail",
    ),
    "a failure is billed": Mutant(
        "money", "lifecycle", remaining(lambda row, tasks: row["total_quantity"] - 2 * len(tasks)), "scenario fail"
    ),
    "a success costs nothing": Mutant("money", "lifecycle", remaining(lambda row, tasks: row["total_quantity"]), USUAL),
    "a failure shows a price": Mutant(
        "money",
        "lifecycle",
        of_state("failed", final_unit_deduction="2"),
        "createImageToVideo, scenario fail",
        "agreement",
    ),
}

WEBHOOKS: dict[str, Mutant] = {
    "webhooks never come": Mutant("webhook", "webhooks", told_nothing, "createImage, "),
    "webhooks come by another method": Mutant("webhook", "webhooks", told_by_put, "createImage, "),
    "webhooks come in the wrong order": Mutant("webhook", "webhooks", by_default("webhook-reordered"), "createImage, "),
    "each state is told twice": Mutant("webhook", "webhooks", told_twice, "createImage, "),
    "webhooks are signed wrongly": Mutant("webhook", "webhooks", signed_otherwise, "createImage, "),
    "the last webhook disagrees": Mutant(
        "agreement", "webhooks", by_default("webhook-disagrees"), "createImage, ", "webhook"
    ),
}

AT_WORK = {**EXCHANGES, **ANSWERS, **TASKS, **WEBHOOKS}
