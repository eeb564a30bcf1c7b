"""The corpus under fixtures/*/payloads: each payload's verdict is the one that a person looked at and wrote down."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from kling_mock import judge, load_providers
from tests import corpus
from tests.conftest import Answer, Client
from tests.corpus import FIXTURES, KEYS, OPTIONAL, PAYLOADS, load, provider_of, told

PROVIDERS = load_providers()
CREATES = [(name, op.id) for name, row in PROVIDERS.items() for op in row.operations.values() if op.role == "create"]

MakeClient = Callable[..., Client]


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_verdict_is_the_one_that_was_looked_at(name: str) -> None:
    """Changed on purpose? `python -m tests.corpus --write`, and the diff shows every payload that it touches."""
    assert told(corpus.judged(name)) == load(name)["verdict"]


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_says_where_it_comes_from(name: str) -> None:
    """A sentence, the client or page that it follows, why the verdict is right; written as the command writes."""
    found = load(name)
    assert set(KEYS) - OPTIONAL <= set(found) <= set(KEYS)
    assert found["shows"].endswith(".")
    assert len(found["follows"]) > 10
    assert len(found["because"]) > 10
    assert found["operation"] in PROVIDERS[provider_of(name)].operations
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+\.json", name.rpartition("/")[2]), "a sentence in kebab-case"
    assert (FIXTURES / name).read_text(encoding="utf-8") == corpus.written(found)


def test_every_create_has_a_payload_that_passes_and_most_one_that_does_not() -> None:
    """No operation without a client, and none of the providers without mistakes."""
    verdicts = [(provider_of(name), load(name)["operation"], load(name)["verdict"]["ok"]) for name in PAYLOADS]
    assert {(provider, operation) for provider, operation, ok in verdicts if ok} == set(CREATES)
    assert Counter(provider for provider, _, ok in verdicts if not ok).keys() == PROVIDERS.keys()
    assert len(verdicts) >= 60


def test_images_are_named_and_small() -> None:
    """A body names a picture of fixtures/media instead of holding it; it is there when the body is judged."""
    assert all((FIXTURES / name).stat().st_size < 2500 for name in PAYLOADS)
    name = "kling/payloads/a-first-frame-as-an-sdk-sends-it.json"
    assert load(name)["body"]["image"] == "<base64 of media/photo-1280x720.jpg>"
    assert corpus.body(name)["image"].startswith("/9j/")
    [url] = [row["rule"] for row in judge(load(name)["body"], "kling").as_json()["violations"]]
    assert url == "image-is-readable"


def test_a_changed_verdict_is_seen() -> None:
    """The same payload in another mode has another price, and one of another rule another line."""
    name = "kling/payloads/a-last-frame-in-a-mode-that-has-none.json"
    kept = load(name)["verdict"]
    assert kept["violations"] == ["refused /image_tail start_end"]
    assert kept["suggestions"] == ['replace /mode "pro"']
    assert told(judge({**corpus.body(name), "mode": "pro"}, "kling")) != kept
    assert told(judge({**corpus.body(name), "prompt": 7}, "kling"))["violations"] != kept["violations"]


def answer(client: Client, name: str) -> Answer:
    """The mock's answer to a payload, from an account that has no other task."""
    found = load(name)
    operation = client.provider.operations[found["operation"]]
    kind = corpus.headers(name)["content-type"]
    if kind == "application/json":
        sent, content_type = json.dumps(corpus.body(name)).encode(), kind
    else:
        sent, content_type = form(corpus.body(name), corpus.files(name), kind)
    return client.other().send(operation.method, operation.path, body=sent, headers={"content-type": content_type})


def form(values: dict[str, str], files: dict[str, bytes], kind: str) -> tuple[bytes, str]:
    """A form as a real client writes it: its body and content type."""
    import requests

    parts: Any = {key: (key, content) for key, content in files.items()}
    if kind == "multipart/form-data" and not files:
        parts, values = {key: (None, value) for key, value in values.items()}, {}
    ready = requests.Request("POST", "http://127.0.0.1/", data=values, files=parts or None).prepare()
    body = ready.body if isinstance(ready.body, bytes) else (ready.body or "").encode()
    return body, ready.headers["content-type"]


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_mock_says_the_same(name: str, client: MakeClient) -> None:
    """What is refused in the corpus is refused over HTTP, first things first; the rest is taken, with its warnings."""
    got = answer(client(provider_of(name)), name)
    lines = sorted(f"{row['severity']} {row['pointer'] or '(body)'} {row['rule']}" for row in got.judged)
    if PARENT in lines:  # the account has no such task; the payload cannot know
        assert load(name)["verdict"]["ok"]
        return
    assert lines == sorted(load(name)["verdict"]["violations"])
    assert (got.status < 300) is not any(line.startswith("refused") for line in lines), got.json


PARENT = "refused (body) mock/task.unknown"
