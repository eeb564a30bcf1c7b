"""Recordings: what a HAR or a journal may look like, what is left out of it, and what a file that is none is told."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from kling_mock.contract.drift.exchanges import Recorded, Recording
from kling_mock.contract.drift.recordings import Unreadable, read_recording
from kling_mock.contract.replies import UNSEEN
from kling_mock.core.expressions import ABSENT
from tests.contract.recorded import entry, har

TASK = "kling/query-a-task-that-succeeded.yaml"
CREATE = "kling/create-from-first-and-last-frame.yaml"
FORM = "302ai/create-in-standard-quality-for-five-seconds.yaml"


def one(*entries: Any) -> Recorded:
    """The one exchange of a HAR."""
    (found,) = read_recording(har(*entries), "a.har").exchanges
    return found


def test_an_entry_of_a_har() -> None:
    """Method, host, path, query, headers in lower case, both documents, and when it was."""
    found = one(entry(CREATE, second=7))
    assert (found.method, found.path, found.query, found.status) == ("POST", "/v1/videos/image2video", "", 200)
    assert (found.place, found.host) == ("a.har#/log/entries/0", "api-beijing.klingai.com")
    assert found.headers["content-type"] == found.content_type == "application/json"
    assert found.document["model_name"]
    assert found.reply["code"] == 0
    assert (found.at, found.took) == (1795262407000, 120)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON: Expecting value at line 1 column 1"),
        (
            b'{"log": {"entries": [\n{]}}',
            "is no JSON: Expecting property name enclosed in double quotes at line 2 column 2",
        ),
        (b'\xff\xfe{"a"', "is no text in UTF-8: byte 0"),
        (b"3", "is neither a HAR, which has /log/entries, nor a journal, which has /exchanges: it is no object"),
        (
            b'{"tasks": [], "of": 1}',
            "is neither a HAR, which has /log/entries, nor a journal, which has /exchanges: it has tasks, of",
        ),
        (b'{"log": {"entries": {}}}', "/log/entries should be a list; is object"),
        (b'{"log": {}}', "/log/entries should be a list; is missing"),
        (b'{"log": {"entries": null}}', "/log/entries should be a list; is null"),
        (b'{"exchanges": 3}', "/exchanges should be a list; is integer"),
        (b"[" * 100_000, "is no recording: its JSON is nested too deeply"),
    ],
)
def test_a_file_that_is_no_recording_is_told_why_and_where(content: bytes, message: str) -> None:
    """Broken JSON with its line and column, other JSON with what it has."""
    with pytest.raises(Unreadable) as told:
        read_recording(content)
    assert str(told.value) == message


def put(path: str, value: Any) -> dict[str, Any]:
    """An entry with another value at a path of keys; None takes the key away."""
    found = entry(CREATE)
    node = found
    *above, last = path.split("/")
    for key in above:
        node = node[key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return found


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (put("request/url", "wss://api.klingai.com/live"), "WebSocket"),
        (put("response/status", 101), "WebSocket"),
        ({**entry(TASK), "_webSocketMessages": []}, "WebSocket"),
        (put("request/url", "data:image/png;base64,AAAA"), "not over HTTP"),
        (put("request/url", "chrome-extension://abc/x.js"), "not over HTTP"),
        (put("response/status", 0), "without an answer"),
        (put("response/status", None), "without an answer"),
        (put("response/status", 304), "answered by a cache"),
        (put("request/url", None), "malformed: no url"),
        (put("request/url", "https://[half/x"), "malformed: no url"),
        (put("response", None), "malformed: no response"),
        (put("request", "GET /"), "malformed: no request"),
        ("an entry", "malformed: no request"),
        (
            entry(TASK, method="OPTIONS", headers={"Access-Control-Request-Method": "GET"}),
            "preflight of a browser",
        ),
    ],
)
def test_what_is_no_exchange_is_left_out_and_counted(broken: Any, reason: str) -> None:
    """WebSockets, preflights, calls without an answer and malformed entries; the others are read all the same."""
    found = read_recording(har(broken, entry(TASK), broken))
    assert found.skipped == {reason: 2}
    assert [row.status for row in found.exchanges] == [200]


def test_an_exchange_that_was_recorded_twice_counts_once() -> None:
    """The same moment, call and answer: a file that was merged with itself. Another moment is another call."""
    found = read_recording(har(entry(TASK), entry(TASK), entry(TASK, second=1)))
    assert (len(found.exchanges), found.skipped) == (2, {"recorded twice": 1})


def test_exchanges_come_in_the_order_of_time() -> None:
    """Whatever order they were written in; the place says where each stands."""
    found = read_recording(har(entry(TASK, second=9), entry(TASK, second=1)))
    assert [row.place for row in found.exchanges] == ["#/log/entries/1", "#/log/entries/0"]


@pytest.mark.parametrize(
    ("content", "document"),
    [
        ({"text": b64encode(b'{"a": 1}').decode(), "encoding": "base64"}, {"a": 1}),
        ({"text": "\ufeff{}"}, {}),
        ({"text": "<html>"}, ABSENT),
        ({"text": ""}, ABSENT),
        ({"size": 0}, ABSENT),
        ({"size": 512}, UNSEEN),
        ({}, UNSEEN),
        ({"text": "%", "encoding": "base64"}, ABSENT),
        ({"text": "abcde", "encoding": "base64"}, UNSEEN),
        ({"text": '{"a": "\ud83d"}'}, ABSENT),
    ],
)
def test_the_body_of_a_reply(content: dict[str, Any], document: Any) -> None:
    """Text or base64; an empty one is not one that was left out when the recording was saved."""
    assert one(put("response/content", content)).reply == document


def test_the_body_of_a_request_that_was_left_out_is_unseen() -> None:
    """A Content-Length without a body says so; without either there was none."""
    sent = entry(CREATE, headers={"content-length": "99"})
    del sent["request"]["postData"]
    assert one(sent).document is UNSEEN
    assert one(entry(TASK)).document is ABSENT
    assert one(put("request/postData/text", "{")).document is ABSENT


def test_forms_are_read_from_their_fields_or_their_text() -> None:
    """Browsers write params, proxies the text with its boundaries; a file is its name."""
    params = [{"name": "prompt", "value": "a cat"}, {"name": "input_image", "fileName": "a.png"}, {"name": 3}, None]
    sent = put("request/postData", {"mimeType": "multipart/form-data; boundary=x", "params": params})
    sent["request"]["headers"] = [{"name": "Content-Type", "value": "multipart/form-data; boundary=x"}]
    assert one(sent).document == {"prompt": "a cat", "input_image": "a.png"}
    text = (
        '--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na cat\r\n'
        '--x\r\nContent-Disposition: form-data; name="input_image"; filename="a.png"\r\n\r\n\x89PNG\r\n--x--\r\n'
    )
    sent["request"]["postData"] = {"mimeType": "multipart/form-data; boundary=x", "text": text}
    assert one(sent).document == {"prompt": "a cat", "input_image": "a.png"}
    sent["request"]["headers"] = []
    sent["request"]["postData"] = {"mimeType": "application/x-www-form-urlencoded", "text": "prompt=a+cat&n="}
    assert one(sent).document == {"prompt": "a cat", "n": ""}
    assert one(sent).headers["content-type"] == "application/x-www-form-urlencoded"


def test_odd_values_do_no_harm() -> None:
    """Times that are none, headers that are none, pseudo-headers of HTTP/2, a content type that nobody knows."""
    odd = entry(TASK) | {"startedDateTime": "yesterday", "time": "long"}
    odd["request"]["headers"] = [{"name": ":authority", "value": "x"}, {"name": "a"}, 7]
    odd["response"]["headers"] = None
    odd["response"]["content"]["mimeType"] = "x-unknown"
    found = one(odd)
    assert (found.at, found.took, found.headers, found.content_type) == (None, 0, {}, None)
    assert one(entry(TASK) | {"startedDateTime": "2026-11-21T12:00:00"}).at == 1795262400000


def row(**words: Any) -> dict[str, Any]:
    """An exchange as the journal writes it."""
    asked = {"method": "GET", "path": "/x", "query": "a=1", "headers": {"host": "h"}, "body": None}
    return {"at": 5, "provider": "kling", "request": asked, "reply": {"status": 200, "headers": {}, "body": {}}} | words


def test_a_journal_is_read_as_a_page_or_as_the_list_alone() -> None:
    """As `GET /_mock/journal` gives it, with more around it, or what a test kept of it."""
    page = read_recording(json.dumps({"exchanges": [row()], "next": None}).encode(), "j.json")
    bare = read_recording(json.dumps([row()]).encode(), "j.json")
    assert [one.place for one in (*page.exchanges, *bare.exchanges)] == ["j.json#/exchanges/0", "j.json#/0"]
    (found,) = bare.exchanges
    assert (found.provider, found.query, found.document, found.reply, found.at) == ("kling", "a=1", ABSENT, {}, 5)
    assert read_recording(b"[]") == Recording((), {})


def test_what_the_client_was_not_given_is_left_out_of_a_journal() -> None:
    """A reply that a scenario dropped or cut is none; a late one is. Rows of another form are counted."""
    replies = [{"status": 200, "body": None, "delivery": delivery} for delivery in ({"never": True}, {"cut_at": 0})]
    late = {"status": 200, "body": {}, "delivery": {"after_ms": 500}}
    rows = [*(row(reply=reply) for reply in replies), row(reply=late), row(provider=None), {"request": {}}]
    found = read_recording(json.dumps(rows).encode())
    assert len(found.exchanges) == 1
    assert found.skipped == {
        "not delivered, by a scenario": 2,
        "malformed: no status or provider": 1,
        "malformed: no reply": 1,
    }


def test_a_text_in_a_journal_is_what_no_provider_wrote() -> None:
    """A gateway's page: no document, and its type is told by how it begins."""
    (found,) = read_recording(json.dumps([row(reply={"status": 502, "body": "<html>"})]).encode()).exchanges
    assert (found.reply, found.content_type) == (ABSENT, "text/html")


def test_secrets_are_known_to_be_hidden() -> None:
    """What proves who calls, in headers, cookies and the query; not the words around it, nor what is short."""
    headers = {
        "Authorization": "Bearer abcdefgh12345",
        "X-Api-Key": "my-own-key-1",
        "Cookie": "sid=0123456789; theme=dark",
        "Accept": "application/json",
    }
    found = one(entry(TASK, headers=headers, path="/v1/x?token=querysecret&pageNum=123456789"))
    assert found.secrets == {"abcdefgh12345", "my-own-key-1", "0123456789", "querysecret"}
