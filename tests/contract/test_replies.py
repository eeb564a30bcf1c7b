"""Replies held against the documents: what the examples show is fine, and each thing changed in one is named."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from kling_mock.contract.replies import UNSEEN, ReplyJudge
from kling_mock.core.documents import pointer
from kling_mock.core.expressions import ABSENT
from kling_mock.loading import read_documents
from tests.exchanges import EXCHANGES, load, operation_of, provider_of
from tests.referee import referee, where

REPLIES = [name for name in EXCHANGES if "reply" in load(name) and not load(name).get("abbreviated")]
TASK = "kling/query-a-task-that-succeeded.yaml"
JSON = "application/json"


@cache
def judge_of(name: str) -> ReplyJudge:
    """The judge of a provider's replies."""
    return ReplyJudge(read_documents(where(name), name), name)


def wrong(name: str, body: Any, status: int = 200, content_type: str | None = JSON) -> list[tuple[str, str, str, str]]:
    """Severity, rule, pointer and message of each violation of a fixture's reply with another body."""
    found = judge_of(provider_of(name).name).violations(operation_of(name).id, status, content_type, body)
    return [(row.severity, row.rule, row.pointer, row.message) for row in found]


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_that_the_documents_show_is_as_documented(name: str) -> None:
    """No example has a key, value, status or type that the documents do not say."""
    reply = load(name)["reply"]
    assert wrong(name, reply["body"], reply["status"]) == []


def changed(change: Callable[[Any], Any]) -> Any:
    """The body of a finished task's example after one change."""
    body = copy.deepcopy(load(TASK)["reply"]["body"])
    change(body)
    return body


@pytest.mark.parametrize(
    ("change", "severity", "at", "keyword", "message"),
    [
        (
            lambda body: body["data"].update(task_status="paused"),
            *("refused", "/data/task_status", "enum"),
            "should be one of submitted, processing, succeed, failed; is paused",
        ),
        (
            lambda body: body["data"].update(created_at="1722769557708"),
            *("refused", "/data/created_at", "type", "should be of type integer; is string"),
        ),
        (lambda body: body.pop("request_id"), "refused", "/request_id", "required", "is required"),
        (
            lambda body: body["data"].update(queue=3),
            *("warning", "/data/queue", "unknown", "is a key that the documents do not name"),
        ),
        (
            lambda body: body["data"]["task_result"]["videos"][0].update(fps=24),
            *("warning", "/data/task_result/videos/0/fps", "unknown", "is a key that the documents do not name"),
        ),
    ],
    ids=["enum", "type", "required", "unknown", "unknown in a list"],
)
def test_each_change_of_a_reply_is_named(
    change: Callable[[Any], Any], severity: str, at: str, keyword: str, message: str
) -> None:
    """One change, one violation: with the rule of its place, its pointer and a message."""
    rule = f"getImageToVideo/reply{at.replace('/0/', '/*/')}/{keyword}"
    assert wrong(TASK, changed(change)) == [(severity, rule, at, message)]


def test_a_status_that_no_response_lists_is_named() -> None:
    """A good status is not covered by `default`, which speaks of errors; the body is judged all the same."""
    body = changed(lambda body: body["data"].pop("task_id"))
    assert [(rule, message) for _, rule, _, message in wrong(TASK, body, 202)] == [
        ("getImageToVideo/reply/status", "the status should be one of 200, default; is 202"),
        ("getImageToVideo/reply/data/task_id/required", "is required"),
    ]
    assert [rule for _, rule, _, _ in wrong(TASK, ABSENT, 301)] == ["getImageToVideo/reply/status"]


def test_another_content_type_is_named_and_the_body_judged() -> None:
    """A right body under a wrong type is one violation; parameters of the type do not count."""
    body = load(TASK)["reply"]["body"]
    message = "the content type should be application/json; is text/html"
    assert wrong(TASK, body, 200, "text/html") == [("refused", "getImageToVideo/reply/content-type", "", message)]
    assert wrong(TASK, body, 200, "Application/JSON; charset=utf-8") == []
    assert wrong(TASK, body, 200, None) == []


def test_a_body_that_is_no_json_is_named_and_one_that_nobody_saw_is_not() -> None:
    """`ABSENT` is an empty or broken body, `UNSEEN` one that a recording left out."""
    assert wrong(TASK, ABSENT) == [("refused", "getImageToVideo/reply/syntax", "", "the body should be JSON; is none")]
    assert wrong(TASK, UNSEEN) == []
    assert wrong(TASK, ABSENT, 204)[0][1] == "getImageToVideo/reply/status"


def test_a_key_of_another_alternative_is_unknown() -> None:
    """Of alternatives the one that the body fits says which keys there are, and the nearest one what is wrong."""
    body = {
        "code": 0,
        "message": "SUCCEED",
        "data": {"task_id": "kling_9d44fd49ffc2", "task_status": "succeed", "task_status_msg": "", "task_result": {}},
    }
    name = "302ai/fetch-a-task.yaml"
    assert wrong(name, body) == []
    body["data"] |= {"etaTime": 0}
    assert [row[1] for row in wrong(name, body)] == ["fetchTask/reply/data/etaTime/unknown"]
    body["data"] |= {"task_status": "odd"}
    assert [row[1] for row in wrong(name, body)] == [
        "fetchTask/reply/data/etaTime/unknown",
        "fetchTask/reply/data/task_status/enum",
    ]


def test_keys_that_only_the_table_of_errors_writes_are_documented() -> None:
    """Where the schema of errors says little, the envelopes say what keys there are; no others."""
    name = "toymaker/refused-for-an-unknown-ticket.yaml"
    reply = load(name)["reply"]
    more = {**reply["body"], "fine": 3}
    assert [row[2] for row in wrong(name, more, reply["status"])] == ["/fine"]


def mutants(body: Any) -> Iterator[tuple[str, Any]]:
    """The body with each key left out, and with each leaf replaced by a value of another type."""

    def places(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        for key, item in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            yield (*path, key), item
            yield from places(item, (*path, key))

    for path, item in places(body, ()):
        for drop in (True, False):
            copied = copy.deepcopy(body)
            holder = copied
            for token in path[:-1]:
                holder = holder[token]
            if drop:
                del holder[path[-1]]
            else:
                holder[path[-1]] = [] if isinstance(item, str) else "odd"
            yield f"{pointer(path)} {'dropped' if drop else 'of another type'}", copied


@pytest.mark.parametrize("name", [name for name in REPLIES if load(name)["reply"]["status"] < 300])
def test_the_referee_agrees_on_what_breaks_the_documents(name: str) -> None:
    """openapi-core refuses exactly the mutants that are refused here: unknown keys alone are ours."""
    reply, judge, other = load(name)["reply"], judge_of(provider_of(name).name), referee(provider_of(name).name)
    operation = operation_of(name).id
    seen = set()
    for told, body in mutants(reply["body"]):
        found = judge.violations(operation, reply["status"], JSON, body)
        refused = [row for row in found if row.severity == "refused"]
        assert bool(refused) == bool(other.reply(operation, reply["status"], body)), (told, refused)
        seen.add(bool(refused))
    assert True in seen
