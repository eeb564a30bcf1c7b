"""A provider that is YAML only and shaped unlike the real ones, through the mock from end to end."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from kling_mock.core.model import Request
from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock
from tests.conftest import Answer, Client

BEAR = {"toy": "bear", "seconds": 4}
START = 1_767_225_600
MEDIA = Path(__file__).parents[2] / "fixtures" / "media"


@pytest.fixture
def mock(toymaker: Provider, make_mock: Callable[..., Mock]) -> Mock:
    """A mock of the toy alone."""
    return make_mock(toymaker)


@pytest.fixture
def toys(client: Callable[..., Client]) -> Client:
    """The default account of the toy."""
    return client("toymaker")


def order(toys: Client, **words: Any) -> str:
    """Order a toy and return the ticket."""
    answer = toys.send("POST", "/workshop/orders", BEAR | words)
    assert answer.status == 202, answer.json
    return str(answer.json["order"]["ticket"])


def show(toys: Client, ticket: str) -> Answer:
    """Look at an order."""
    return toys.send("GET", "/workshop/order", query={"ticket": ticket})


def slip(answer: Answer) -> tuple[int, str, str]:
    """Status, kind and text of an error in the toy's usual envelope."""
    problem = answer.json
    assert set(problem) == {"ok", "slip", "trace"}
    assert problem["ok"] is False
    return answer.status, problem["slip"]["kind"], problem["slip"]["text"]


# A toy's life


def test_an_order_is_taken(toys: Client) -> None:
    """A create answers 202 with the first state's words in three types, seconds, an offset and a price."""
    answer = toys.send("POST", "/workshop/orders", {"toy": "bear", "seconds": 4})
    assert (answer.status, answer.violations) == (202, [])
    ticket, trace = answer.json["order"].pop("ticket"), answer.json["trace"]
    assert answer.headers["x-mock-task"] == ticket
    assert ticket.startswith("toy_")
    assert len(ticket) == 20
    assert trace.startswith("trace-")
    assert answer.json == {
        "ok": True,
        "order": {
            "ticket": ticket,
            "step": 0,
            "says": "In the queue",
            "open": True,
            "ordered": START,
            "touched": "2026-01-01T01:00:00.000+01:00",
            "toy": "bear",
            "length": 4,
            "thimbles": 6,
        },
        "trace": trace,
    }


@pytest.mark.parametrize(
    ("after", "status", "step", "touched"),
    [("1999ms", 202, 0, "00.000"), ("2s", 202, 1, "02.000"), ("7999ms", 202, 1, "02.000"), ("8s", 200, 2, "08.000")],
)
def test_the_status_follows_the_state(toys: Client, after: str, status: int, step: int, touched: str) -> None:
    """While an order is open a look at it is 202, from its end on 200; it is touched when its state changed."""
    ticket = order(toys)
    toys.advance(after)
    answer = show(toys, ticket)
    assert (answer.status, answer.json["order"]["step"]) == (status, step)
    assert answer.json["order"]["touched"] == f"2026-01-01T01:00:{touched}+01:00"


def test_a_toy_that_is_done_has_a_film(toys: Client) -> None:
    """The success state alone shows results: an id of the spec's pattern, a URL of this server, milliseconds."""
    ticket = order(toys, seconds=8)
    assert "films" not in show(toys, ticket).json["order"]
    toys.advance("8s")
    [film] = show(toys, ticket).json["order"]["films"]
    assert film["fetch"] == f"http://localhost/_mock/media/toymaker/{ticket}/0.mp4"
    assert film["film"].startswith("film-")
    assert film["millis"] == 8000


@pytest.mark.parametrize("ask", ["marker", "prefer"])
def test_a_toy_breaks(toys: Client, ask: str) -> None:
    """The scenario `fail`, asked for in the wish or by Prefer, ends in the other words with the spec's reason."""
    words = {"wish": "a sad one [mock:fail]"} if ask == "marker" else {}
    headers = {"Prefer": "scenario=fail"} if ask == "prefer" else {}
    ticket = toys.send("POST", "/workshop/orders", BEAR | words, headers=headers).json["order"]["ticket"]
    toys.advance("7999ms")
    assert "why" not in show(toys, ticket).json["order"]
    toys.advance("1ms")
    answer = show(toys, ticket)
    assert answer.status == 200
    assert (answer.json["order"]["step"], answer.json["order"]["says"]) == (-1, "In the stove")
    assert answer.json["order"]["why"] == "The wood had a knot"
    assert "films" not in answer.json["order"]


def test_a_scenario_may_go_backwards(toys: Client) -> None:
    """A scenario that declares what it breaks shows a state again that was left."""
    ticket, steps = order(toys, wish="[mock:backwards]"), []
    for _ in range(9):
        steps.append(show(toys, ticket).json["order"]["step"])
        toys.advance("2s")
    assert steps == [0, 1, 1, 1, 0, 1, 1, 1, 2]


def test_a_busy_workshop_takes_the_second_order(toys: Client) -> None:
    """A scenario's answer before the effects refuses once, with the entry's own headers, and makes no task."""
    first = toys.send("POST", "/workshop/orders", BEAR | {"wish": "[mock:busy]"})
    assert slip(first) == (429, "workshop-busy", "The bench is full")
    assert first.headers["retry-after"] == "3"
    assert list(toys.mock.store.tasks()) == []
    assert toys.send("POST", "/workshop/orders", BEAR | {"wish": "[mock:busy]"}).status == 202


def test_an_answer_is_lost(toys: Client) -> None:
    """A scenario's delivery cuts the first answer though the order exists, and delays each look at it."""
    taken = toys.send("POST", "/workshop/orders", BEAR | {"wish": "[mock:lost]"})
    assert taken.delivery.cut_at == 5
    [task] = toys.mock.store.tasks()
    for _ in range(2):
        late = show(toys, task.id)
        assert (late.status, late.delivery.after_ms) == (202, 1000)


def test_an_unknown_scenario_is_a_warning(toys: Client) -> None:
    """A misspelt scenario is told with the closest name, and the order goes its usual way."""
    answer = toys.send("POST", "/workshop/orders", BEAR | {"wish": "[mock:fial]"})
    assert answer.status == 202
    assert answer.violations == [
        {
            "rule": "mock/scenario",
            "pointer": "",
            "message": "there is no scenario 'fial'; did you mean 'fail'?; the call goes on without one",
            "severity": "warning",
        }
    ]


def test_a_latency_profile_can_be_preferred(toys: Client) -> None:
    """`Prefer: latency=lazy` dates the order by that profile: a minute at least in the queue."""
    answer = toys.send("POST", "/workshop/orders", BEAR, headers={"Prefer": "latency=lazy"})
    toys.advance("59s")
    assert show(toys, answer.json["order"]["ticket"]).json["order"]["step"] == 0
    toys.advance("61s")
    assert show(toys, answer.json["order"]["ticket"]).json["order"]["step"] == 1


def test_orders_are_listed_newest_first(toys: Client) -> None:
    """The list shows pages of its default size; the parameters' text is read as numbers."""
    tickets = [order(toys) for _ in range(3)]
    rows = toys.send("GET", "/workshop/orders").json["tickets"]
    assert rows == [[tickets[2], 0], [tickets[1], 0]]
    assert toys.send("GET", "/workshop/orders", query="sheet=2").json["tickets"] == [[tickets[0], 0]]


def test_a_form_is_taken_too(toys: Client) -> None:
    """A second media type of the same schema: form texts become the schema's types."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = toys.send("POST", "/workshop/orders", headers=form, body=b"toy=bear&seconds=8")
    assert (answer.status, answer.violations) == (202, [])
    assert answer.json["order"]["length"] == 8


# Cancelling


@pytest.mark.parametrize("after", ["0s", "2s", "7999ms"])
def test_an_open_order_can_be_cancelled(toys: Client, after: str) -> None:
    """DELETE with the ticket in a header ends an open order now, in the spec's fifth state, and it stays so."""
    ticket = order(toys)
    toys.advance(after)
    answer = toys.send("DELETE", "/workshop/order", headers={"X-Ticket": ticket})
    assert answer.status == 200
    assert (answer.json["order"]["step"], answer.json["order"]["says"]) == (-2, "Back to timber")
    toys.advance("1h")
    later = show(toys, ticket)
    assert (later.status, later.json["order"]["step"]) == (200, -2)
    assert later.json["order"]["touched"] == answer.json["order"]["touched"]
    assert "films" not in later.json["order"]


@pytest.mark.parametrize(("wish", "step"), [("", 2), ("[mock:fail]", -1)])
def test_an_order_that_has_ended_cannot_be_cancelled(toys: Client, wish: str, step: int) -> None:
    """After the end a cancel is refused with the reason task.finished, and nothing changes."""
    ticket = order(toys, wish=wish)
    toys.advance("8s")
    answer = toys.send("DELETE", "/workshop/order", headers={"X-Ticket": ticket})
    assert slip(answer) == (409, "too-late", f"Ticket {ticket} is done with")
    assert answer.wrong == [("mock/task.finished", "")]
    assert show(toys, ticket).json["order"]["step"] == step


def test_an_order_is_cancelled_once(toys: Client) -> None:
    """A second cancel is refused like any after the end."""
    ticket = order(toys)
    toys.send("DELETE", "/workshop/order", headers={"X-Ticket": ticket})
    again = toys.send("DELETE", "/workshop/order", headers={"X-Ticket": ticket})
    assert (again.status, again.wrong) == (409, [("mock/task.finished", "")])


def test_a_cancelled_order_was_not_broken(toys: Client) -> None:
    """An order that was going to break and is cancelled before has no reason for breaking."""
    ticket = order(toys, wish="[mock:fail]")
    answer = toys.send("DELETE", "/workshop/order", headers={"X-Ticket": ticket})
    assert answer.json["order"]["step"] == -2
    assert "why" not in answer.json["order"]


# Refusals


def test_an_unknown_ticket(toys: Client) -> None:
    """No such task: the catalogue's entry, its text filled with what was asked for."""
    answer = show(toys, "toy_nobody")
    assert slip(answer) == (404, "no-such-ticket", "Nothing hangs on ticket toy_nobody")
    assert answer.wrong == [("mock/task.unknown", "")]


def test_a_missing_ticket(toys: Client) -> None:
    """A required query parameter that is not there is named in the envelope and by its pointer."""
    answer = toys.send("GET", "/workshop/order")
    assert slip(answer) == (422, "bad-order", "ticket is required")
    assert answer.wrong == [("showToy/query/ticket/required", "query/ticket")]
    assert answer.json["slip"]["about"] == "ticket"


def test_a_missing_ticket_header(toys: Client) -> None:
    """A required header that is not there is named in lower case, as headers are read."""
    answer = toys.send("DELETE", "/workshop/order")
    assert slip(answer) == (422, "bad-order", "x-ticket is required")
    assert answer.wrong == [("cancelToy/header/x-ticket/required", "header/x-ticket")]


@pytest.mark.parametrize(
    ("key", "refusal", "rule"),
    [
        (None, (401, "no-key", "Show your key"), "missing"),
        ("", (401, "no-key", "Show your key"), "missing"),
        ("sesame", (401, "bent-key", "That is no key"), "malformed"),
        ("toy-of-nobody", (403, "wrong-key", "The key does not fit"), "unknown"),
    ],
)
def test_a_key_that_does_not_open(toys: Client, key: str | None, refusal: tuple[int, str, str], rule: str) -> None:
    """Missing, malformed and unknown keys have each their answer and a hint; the key is never repeated."""
    answer = toys.send("POST", "/workshop/orders", BEAR, headers={"X-Toy-Key": key})
    assert slip(answer) == refusal
    assert answer.wrong == [(f"mock/token.{rule}", "header/x-toy-key")]
    assert answer.headers["x-mock-hint"]
    assert ("www-authenticate" in answer.headers) == (rule == "missing")
    assert not key or key not in answer.body.decode() + str(answer.headers)


def test_another_account_cannot_see_the_order(toys: Client) -> None:
    """To another account an order does not exist: not to look at, not to cancel, not in its list."""
    ticket, other = order(toys), toys.other()
    assert show(other, ticket).wrong == [("mock/task.unknown", "")]
    assert other.send("DELETE", "/workshop/order", headers={"X-Ticket": ticket}).wrong == [("mock/task.unknown", "")]
    assert other.send("GET", "/workshop/orders").json["tickets"] == []
    assert show(toys, ticket).status == 202


@pytest.mark.parametrize(
    ("body", "refusal", "wrong"),
    [
        (b"{", (400, "unreadable"), ("mock/body.syntax", "")),
        (b"", (400, "unreadable"), ("mock/body.syntax", "")),
        (b"[]", (422, "bad-order"), ("orderToy/type", "")),
        (b"{}", (422, "bad-order"), ("orderToy/toy/required", "/toy")),
        (b'{"toy": "robot"}', (422, "no-such-toy"), ("orderToy/toy/enum", "/toy")),
        (b'{"toy": "bear", "seconds": 3}', (422, "no-such-toy"), ("orderToy/seconds/enum", "/seconds")),
        (b'{"toy": "kite"}', (409, "no-wind"), ("a-kite-needs-wind", "/wind")),
        (b'{"toy": "bear", "wind": 0}', (422, "bad-order"), ("orderToy/wind/exclusiveMinimum", "/wind")),
    ],
)
def test_a_bad_order(toys: Client, body: bytes, refusal: tuple[int, str], wrong: tuple[str, str]) -> None:
    """Each kind of bad body has the catalogue's entry for its situation, and its rule and pointer beside it."""
    answer = toys.send("POST", "/workshop/orders", body=body, headers={"content-type": "application/json"})
    assert slip(answer)[:2] == refusal
    assert answer.wrong == [wrong]
    assert list(toys.mock.store.tasks()) == []


def test_the_first_failing_stage_answers(toys: Client) -> None:
    """The toy looks at the body before the key: both are reported, the body's error is the reply."""
    answer = toys.send("POST", "/workshop/orders", {"toy": "robot"}, headers={"X-Toy-Key": None})
    assert slip(answer) == (422, "no-such-toy", "We do not make robot")
    assert set(answer.wrong) == {("orderToy/toy/enum", "/toy"), ("mock/token.missing", "header/x-toy-key")}


def test_an_undocumented_type_passes_with_a_warning(toys: Client) -> None:
    """A number as text is accepted, is read as the number, and is warned of."""
    answer = toys.send("POST", "/workshop/orders", {"toy": "bear", "seconds": "8"})
    assert (answer.status, answer.json["order"]["length"]) == (202, 8)
    assert [(v["rule"], v["pointer"], v["severity"], v["message"]) for v in answer.violations] == [
        ("orderToy/seconds/type", "/seconds", "warning", "should be of type integer; is string")
    ]


def test_an_unknown_key_is_ignored_with_a_warning(toys: Client) -> None:
    """A misspelt key passes and is told with the closest known one."""
    answer = toys.send("POST", "/workshop/orders", BEAR | {"wihs": "x"})
    assert (answer.status, answer.wrong) == (202, [("orderToy/wihs/unknown", "/wihs")])
    assert answer.violations[0]["message"] == "is no known key here and is ignored; did you mean 'wish'?"


@pytest.mark.parametrize(
    ("photo", "status", "wrong"),
    [
        ("", 202, []),
        (None, 202, [("orderToy/photo/type", "/photo")]),
        ("photo-1280x720.jpg", 202, []),
        ("square-300x300.png", 202, [("a-photo-is-better-large", "/photo")]),
        ("not-an-image.bin", 422, [("a-photo-is-a-picture", "/photo")]),
    ],
)
def test_a_photo_is_optional_and_measured(
    toys: Client, photo: str | None, status: int, wrong: list[tuple[str, str]]
) -> None:
    """Rules over measured facts refuse, warn or pass; no photo is fine; no base64 comes back."""
    sent = base64.b64encode((MEDIA / photo).read_bytes()).decode() if photo else photo
    answer = toys.send("POST", "/workshop/orders", BEAR | {"photo": sent})
    assert (answer.status, answer.wrong) == (status, wrong)
    assert not sent or sent[:40] not in answer.body.decode() + str(answer.headers)


def test_a_photo_that_fails_later(toys: Client) -> None:
    """A rule of the severity `fails` lets the order in, says so, and breaks it at its usual end with the reason."""
    photo = base64.b64encode((MEDIA / "too-wide-751x300.png").read_bytes()).decode()
    answer = toys.send("POST", "/workshop/orders", BEAR | {"photo": photo})
    assert (answer.status, answer.wrong) == (202, [("a-photo-fits-the-bench", "/photo")])
    assert answer.violations[0]["severity"] == "fails"
    toys.advance("8s")
    order = show(toys, answer.json["order"]["ticket"]).json["order"]
    assert (order["step"], order["why"]) == (-1, "The photo hung over the bench")


def test_an_unknown_room_and_gesture(toys: Client) -> None:
    """An unknown path and a wrong method come in the toy's second envelope, the latter with Allow."""
    nowhere = toys.send("GET", "/workshop/cellar")
    assert (nowhere.status, nowhere.json) == (
        404,
        {"ok": False, "door": "closed", "asked": "GET /workshop/cellar", "at": START},
    )
    assert nowhere.wrong == [("mock/route.path", "")]
    gesture = toys.send("PATCH", "/workshop/order")
    assert (gesture.status, gesture.headers["allow"]) == (405, "DELETE, GET")
    assert gesture.wrong == [("mock/route.method", "")]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | WORDS, st.lists, max_leaves=5)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(st.sampled_from(["toy", "seconds", "wish", "wind", "photo", "x"]), VALUES).map(
        lambda body: json.dumps(body).encode()
    ),
    st.fixed_dictionaries({"toy": st.sampled_from(["bear", "kite"]), "wish": WORDS, "seconds": VALUES}).map(
        lambda body: json.dumps(body).encode()
    ),
)
HEADERS = st.dictionaries(st.sampled_from(["x-toy-key", "x-ticket", "prefer", "content-type", "host"]), st.text())
MEDIA_TYPES = st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain", "", ";", "a/b"])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@drawn(
    method=st.sampled_from(["GET", "POST", "DELETE", "PATCH", "HEAD", "get", ""]),
    path=st.sampled_from(["/workshop/orders", "/workshop/order", "/workshop/order/", "/", "//", "", "/%ff/%00"]),
    query=st.one_of(st.text(max_size=20), WORDS.map("ticket={}".format), WORDS.map("sheet={}&lines=3".format)),
    headers=HEADERS,
    media_type=MEDIA_TYPES,
    body=BODIES,
)
def test_nothing_that_is_sent_breaks_the_mock(
    toys: Client, method: str, path: str, query: str, headers: dict[str, str], media_type: str, body: bytes
) -> None:
    """Whatever comes in, an answer of the toy's own goes out, never a 5xx, with its violations as short ASCII."""
    answer = toys.send(method, path, query=query, headers={"content-type": media_type} | headers, body=body)
    assert answer.status < 500
    assert answer.json["ok"] is (answer.status < 300)
    note = answer.headers.get("x-mock-violations", "[]")
    assert note.isascii()
    assert len(note) <= 4096
    assert isinstance(json.loads(note), list)
    assert len(list(toys.mock.exchanges())) == 1
    toys.mock.store.reset(None)


# Beside the others


def test_the_toy_lives_beside_the_real_providers(
    providers: Mapping[str, Provider], make_mock: Callable[..., Mock], client: Callable[..., Client]
) -> None:
    """Served with the bundled providers its replies are the same bytes as alone."""
    alone, among = client("toymaker"), client("toymaker")
    among.mock = make_mock(*providers.values())
    replies = [toys.send("POST", "/workshop/orders", BEAR).body for toys in (alone, among)]
    assert replies[0] == replies[1]


def test_the_same_calls_give_the_same_bytes(toymaker: Provider, make_mock: Callable[..., Mock]) -> None:
    """Two mocks of one seed answer and journal the same calls byte for byte; another seed gives other ids."""

    def run(seed: str) -> tuple[list[bytes], list[dict[str, Any]]]:
        mock = make_mock(toymaker, seed=seed)
        headers = {"x-toy-key": "toy-mock-key-that-opens-nothing", "content-type": "application/json"}
        bodies = [mock.answer(Request("POST", "/workshop/orders", "", headers, b'{"toy":"bear"}')).body for _ in "ab"]
        return bodies, list(mock.exchanges())

    assert run("one") == run("one")
    assert run("one")[0] != run("two")[0]
    assert len(set(run("one")[0])) == 2


def test_the_journal_holds_no_key(toys: Client) -> None:
    """What was asked and answered is written down without the credential."""
    order(toys)
    [exchange] = toys.mock.exchanges()
    assert exchange["account"] == "toymaker-default"
    assert exchange["operation"] == "orderToy"
    assert "toy-mock-key" not in str(exchange)
