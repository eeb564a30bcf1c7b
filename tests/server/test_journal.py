"""The journal: the shape of an entry, what is hidden and cut, and how long it is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kling_mock.core.hiding import hidden
from kling_mock.core.model import Decision, Delivery, Exchange, Reads, Record, Reply, Request, Violation
from kling_mock.server.journal import HEADERS, answered, asked, shown
from kling_mock.server.memory import MemoryStore
from kling_mock.server.store import Retention
from tests.conftest import AT, Client

MakeClient = Callable[..., Client]
VIDEOS = "/v1/videos/image2video"
IMAGE = {"image": "https://example.com/a.png", "prompt": "dusk"}


@pytest.fixture
def kling(client: MakeClient) -> Client:
    """A client with an account of its own."""
    return client("kling").other()


def rows(client: Client) -> list[dict[str, Any]]:
    """What the journal has of this client's account."""
    return list(client.mock.exchanges(client.account.id if client.account else None))


class Journal:
    """A store, asked for nothing but its journal."""

    def __init__(self, most: int = 10_000) -> None:
        self.store = MemoryStore(Retention(exchanges=most))

    def add(
        self,
        provider: str,
        account: str | None,
        operation: str | None,
        request: Request,
        reply: Reply,
        violations: tuple[Violation, ...] = (),
    ) -> None:
        """Write down an exchange."""
        row = Exchange(
            at=AT,
            ordinal=1,
            provider=provider,
            account=account,
            operation=operation,
            role=None,
            task=None,
            request=asked(request, None, None),
            reply=answered(reply),
            violations=violations,
        )
        self.store.decide(Reads(), provider, None, None, lambda: AT, lambda found: Decision(reply, (Record(row),)))

    def read(self, account: str | None = None, provider: str | None = None) -> Iterator[dict[str, Any]]:
        """The exchanges as JSON."""
        return map(shown, self.store.exchanges(account, provider))

    def reset(self, account: str | None) -> None:
        """Forget them."""
        self.store.reset(account)


def add(journal: Journal, account: str | None = "one", provider: str = "kling", **request: Any) -> None:
    """Write down an exchange that never was."""
    journal.add(provider, account, "list", Request(**({"method": "GET", "path": "/"} | request)), Reply(200, {}))


def test_an_entry_of_a_create(kling: Client) -> None:
    """Every key of an entry, exactly."""
    body = {**IMAGE, "duration": 5}
    answer = kling.send("POST", VIDEOS, body, {"prefer": "variant=default", "x-private": "1"}, query="a=1&b=2")
    assert kling.account is not None
    assert rows(kling) == [
        {
            "at": AT,
            "ordinal": 1,
            "provider": "kling",
            "account": kling.account.id,
            "operation": "createImageToVideo",
            "role": "create",
            "task": answer.json["data"]["task_id"],
            "request": {
                "method": "POST",
                "path": VIDEOS,
                "query": "a=1&b=2",
                "headers": {"content-type": "application/json", "prefer": "variant=default"},
                "body": body,
            },
            "reply": {
                "status": 200,
                "headers": {
                    "X-Mock-Violations": answer.headers["x-mock-violations"],
                    "X-Mock-Task": answer.json["data"]["task_id"],
                },
                "body": answer.json,
            },
            "violations": [
                *(
                    {
                        "rule": "createImageToVideo/query/*/unknown",
                        "pointer": f"query/{name}",
                        "message": "is no known key here and is ignored",
                        "severity": "warning",
                    }
                    for name in "ab"
                ),
                {
                    "rule": "createImageToVideo/duration/type",
                    "pointer": "/duration",
                    "message": "should be of type string; is integer",
                    "severity": "warning",
                },
            ],
            "billed": {"amount": "1", "unit": "units"},
            "lost": False,
            "fingerprint": "e4da817fef1a464907d93367c3387068",
            "saw": [{"task": answer.json["data"]["task_id"], "state": "submitted", "ended": False}],
            "scenario": None,
        }
    ]


def test_an_entry_of_a_refusal(kling: Client) -> None:
    """A body that could not be read is null; no operation and no task where there was none."""
    kling.send("POST", VIDEOS, body=b"{")
    kling.send("GET", "/nowhere")
    broken, unknown = rows(kling)[0], list(kling.mock.exchanges())[-1]
    assert (broken["request"]["body"], broken["task"], broken["reply"]["status"]) == (None, None, 400)
    assert [row["rule"] for row in broken["violations"]] == ["mock/body.syntax"]
    assert (unknown["operation"], unknown["account"], unknown["reply"]["status"]) == (None, None, 404)


def test_an_entrys_time_is_the_accounts_own(kling: Client) -> None:
    """`at` is virtual: an account that has travelled is ahead of another one."""
    other = kling.other()
    kling.advance("31m")
    for client in (kling, other):
        client.send("GET", VIDEOS)
    assert (rows(kling)[0]["at"], rows(other)[0]["at"]) == (AT + 31 * 60_000, AT)


def test_store_refusals_are_written_down(kling: Client) -> None:
    """What only the store can know is a violation in the journal as in the header."""
    answer = kling.send("GET", f"{VIDEOS}/nobody")
    assert rows(kling)[0]["violations"] == answer.violations != []


def test_an_odd_delivery_is_written_down() -> None:
    """A reply that came late, cut or never says so; a usual one does not."""
    journal = Journal()
    for delivery in (Delivery(), Delivery(after_ms=5), Delivery(cut_at=0), Delivery(never=True)):
        reply = Reply(200, {}, delivery=delivery)
        journal.add("kling", None, None, Request("GET", "/"), reply)
    assert [row["reply"].get("delivery") for row in journal.read()] == [
        None,
        {"after_ms": 5, "over_ms": 0, "cut_at": None, "never": False},
        {"after_ms": 0, "over_ms": 0, "cut_at": 0, "never": False},
        {"after_ms": 0, "over_ms": 0, "cut_at": None, "never": True},
    ]


def test_it_is_read_by_account_and_provider() -> None:
    """Each filter alone and both together."""
    journal = Journal()
    for account, provider in (("one", "kling"), ("two", "kling"), ("three", "pixazo"), (None, "kling")):
        add(journal, account, provider)
    assert [row["account"] for row in journal.read()] == ["one", "two", "three", None]
    assert [row["account"] for row in journal.read("two")] == ["two"]
    assert [row["account"] for row in journal.read(provider="kling")] == ["one", "two", None]
    assert list(journal.read("three", "kling")) == []


def test_only_harmless_headers_are_kept() -> None:
    """Credentials, cookies and whatever else a client sends are left out."""
    journal = Journal()
    sent = {"authorization": "Bearer x", "cookie": "a=b", "ocp-apim-subscription-key": "k", "x-api-key": "k"}
    add(journal, headers=sent | dict.fromkeys(HEADERS, "kept"))
    assert next(journal.read())["request"]["headers"] == dict.fromkeys(HEADERS, "kept")
    assert not HEADERS & sent.keys()


@pytest.mark.parametrize(
    "text",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl",
        "eyJhbGciOiJub25lIn0.eyJpc3MiOiJhIn0.",
        "sk-mock-302ai-key-that-opens-nothing",
        "Bearer mock-kling-api-key-that-opens-nothing",
        "bearer  abcdefgh1234",
    ],
)
def test_what_is_shaped_like_a_credential_is_hidden(text: str) -> None:
    """As a value, inside a text, as a key and deep inside."""
    assert hidden(text) == "<credential>"
    assert hidden(f"see {text}, please") == "see <credential>, please"
    assert hidden({text: [{"a": text}]}) == {"<credential>": [{"a": "<credential>"}]}


@pytest.mark.parametrize("text", ["a task", "sk-", "risk-management-team", "eyJ", "the bearer of news", "x" * 100])
def test_other_texts_are_left_alone(text: str) -> None:
    """Ordinary words are no credentials."""
    assert hidden(text) == text


def test_violations_are_hidden_too() -> None:
    """A rule, pointer or message may repeat what the caller sent, so it is looked through like the rest."""
    journal, secret = Journal(), "sk-mock-302ai-key-that-opens-nothing"
    violation = Violation(f"create/{secret}/unknown", f"/{secret}", f"is {secret}", "warning")
    journal.add("kling", None, None, Request("GET", "/"), Reply(200, {}), (violation,))
    assert secret not in json.dumps(list(journal.read()))


def test_long_texts_without_blanks_are_cut(kling: Client) -> None:
    """Base64 becomes its length; a long prompt stays."""
    image, prompt = "A" * 100_000, "a word " * 350
    kling.send("POST", VIDEOS, {"image": image, "prompt": prompt, "dynamic_masks": [{"mask": image}]})
    body = rows(kling)[0]["request"]["body"]
    assert body == {
        "image": "<100000 characters>",
        "prompt": prompt,
        "dynamic_masks": [{"mask": "<100000 characters>"}],
    }


def test_it_keeps_the_newest() -> None:
    """Beyond its size the oldest are forgotten."""
    journal = Journal(most=3)
    for n in range(5):
        add(journal, path=f"/{n}")
    assert [row["request"]["path"] for row in journal.read()] == ["/2", "/3", "/4"]
    journal.reset("nobody")
    for n in range(5, 7):
        add(journal, path=f"/{n}")
    assert [row["request"]["path"] for row in journal.read()] == ["/4", "/5", "/6"]


def test_ten_thousand_are_kept() -> None:
    """The usual size."""
    journal = Journal()
    for _ in range(10_001):
        add(journal)
    assert sum(1 for _ in journal.read()) == 10_000


def test_a_reset_forgets_one_account_or_all() -> None:
    """One account's exchanges go, the others stay; without a name all go."""
    journal = Journal()
    for account in ("one", "two", "one", None):
        add(journal, account)
    journal.reset("one")
    assert [row["account"] for row in journal.read()] == ["two", None]
    journal.reset(None)
    assert list(journal.read()) == []


def test_reading_while_writing() -> None:
    """A reader sees the journal as it was; an exchange that comes meanwhile does not break it."""
    journal = Journal()
    for _ in range(3):
        add(journal)
    seen = 0
    for _ in journal.read():
        add(journal)
        seen += 1
    assert seen == 3


def test_every_exchange_is_written_down_once(kling: Client) -> None:
    """Accepted, refused, unknown, unauthorised: one entry each, in order."""
    kling.send("POST", VIDEOS, IMAGE)
    kling.send("POST", VIDEOS, {})
    kling.send("GET", VIDEOS, headers={"authorization": None})
    kling.send("DELETE", VIDEOS)
    assert [row["reply"]["status"] for row in kling.mock.exchanges()] == [200, 400, 401, 404]
