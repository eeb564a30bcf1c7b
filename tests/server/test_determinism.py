"""The same seed, instant and calls give the same bytes and the same journal, whatever the machine's clock says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

from kling_mock.core.model import Request
from kling_mock.server.mock import Mock, Options
from tests.conftest import AT, PROVIDERS, Answer, Client, Wall
from tests.exchanges import created_as, poll, send, written

VIDEOS = "/v1/videos/image2video"


@cache
def asked(name: str) -> Request:
    """The fixture's create, written once: the boundary of a form is a real client's chance."""
    return written(created_as(Client(mock(), PROVIDERS[name])))


def make(client: Client, **headers: str) -> Answer:
    """Create a task."""
    return send(client, asked(client.provider.name), **headers)


def mock(seed: str = "one", wall: int = AT, at: int = AT) -> Mock:
    """A mock with all providers and a wall clock of its own."""
    return Mock(PROVIDERS.values(), Options(at=at, seed=seed), wall=Wall(wall))


def calls(running: Mock) -> Iterator[Answer]:
    """A day's work at every provider: creates, polls over time, failures, refusals, another account."""
    for provider in PROVIDERS.values():
        mine = Client(running, provider)
        for caller in (mine, mine.other()):
            made = make(caller)
            yield made
            yield make(caller, prefer="scenario=fail")
            yield make(caller, prefer="scenario=charged-no-answer")
            for _ in range(3):
                yield poll(caller, made.headers["x-mock-task"])
                caller.advance("3s")
            yield caller.send("POST", "/no/such/path", {"a": 1})
            yield caller.send("POST", VIDEOS, body=b"{", headers={"authorization": "x"})
    kling = Client(running, PROVIDERS["kling"])
    yield kling.send("POST", "/v1/images/generations", {"prompt": "x", "n": 9})
    kling.advance("10s")
    yield kling.send("GET", "/v1/images/generations")
    yield kling.send("GET", VIDEOS)
    yield kling.send("GET", "/account/costs", query={"start_time": 0, "end_time": 1})


def seen(answer: Answer) -> tuple[object, ...]:
    """All of an answer that a client could see."""
    return answer.status, tuple(answer.headers.items()), answer.body, answer.delivery


def test_the_same_calls_give_the_same_bytes_and_journals() -> None:
    """Status, headers in their order, body, delivery and every line of the journal; the wall is years apart."""
    one, two = mock(), mock(wall=AT + 86_400_000 * 400)
    assert [seen(answer) for answer in calls(one)] == [seen(answer) for answer in calls(two)]
    assert json.dumps(list(one.exchanges())) == json.dumps(list(two.exchanges()))


def test_the_journal_holds_virtual_times() -> None:
    """Nothing of the wall clock is in it: the same run at another wall time cannot be told apart, nor its date."""
    wall = AT + 86_400_000 * 400 + 123
    running = mock(wall=wall)
    list(calls(running))
    assert str(wall)[:7] not in json.dumps(list(running.exchanges()))


def test_another_seed_gives_other_ids() -> None:
    """Ids come from the seed; nothing else of an answer differs."""
    one, two = (make(Client(mock(seed), PROVIDERS["kling"])) for seed in ("one", "two"))
    assert one.json["data"]["task_id"] != two.json["data"]["task_id"]
    assert one.json["request_id"] != two.json["request_id"]
    assert one.json["data"]["created_at"] == two.json["data"]["created_at"] == AT
    assert one.json.keys() == two.json.keys()


def test_another_instant_gives_other_times_and_the_same_ids() -> None:
    """Ids do not depend on the time."""
    one, two = (make(Client(mock(at=at), PROVIDERS["kling"])).json["data"] for at in (AT, AT + 1))
    assert one["task_id"] == two["task_id"]
    assert two["created_at"] - one["created_at"] == 1


def test_accounts_do_not_disturb_each_other() -> None:
    """What an account gets depends on its own calls only: parallel workers may share a server."""
    alone, busy = mock(), mock()
    quiet = [Client(running, PROVIDERS["kling"]).other() for running in (alone, busy)]
    answers = []
    for client in quiet:
        if client.mock is busy:
            list(calls(busy))
        answers.append(seen(make(client)))
    assert answers[0] == answers[1]


def test_no_id_is_given_twice() -> None:
    """Within one run every task and request has its own."""
    running = mock()
    kling = Client(running, PROVIDERS["kling"])
    made = [make(client).json for client in (kling, kling.other(), kling, kling.other()) for _ in range(50)]
    assert len({row["data"]["task_id"] for row in made}) == len({row["request_id"] for row in made}) == 200


def test_a_reset_begins_anew() -> None:
    """After a reset the same calls give the same bytes again."""
    running = mock()
    kling = Client(running, PROVIDERS["kling"])
    first = seen(make(kling))
    running.store.reset(None)
    assert seen(make(kling)) == first
