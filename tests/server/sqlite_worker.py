"""A process of its own over a store in a file, for the tests that need several: `python -m ... DOING FILE [COUNT]`.

It says "ready" when the store is open, and begins when it is given a line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import repeat

from kling_mock.loading import load_providers
from kling_mock.server.mock import Mock, Options
from kling_mock.server.store import Store, open_store
from tests.conftest import AT, Answer, Client, Wall
from tests.server.storing import ANN, Keeper

VIDEOS = "/v1/videos/image2video"


def kling(store: Store) -> Client:
    """A client of a mock over this store, frozen at `AT`; any text is a key."""
    provider = load_providers(["kling"])["kling"]
    return Client(Mock([provider], Options(at=AT, seed="worker", auth="any"), wall=Wall(), store=store), provider)


def make(client: Client) -> Answer:
    """Create a video."""
    return client.send("POST", VIDEOS, {"image": "https://example.com/a.png"})


def create(store: Store, count: int) -> Iterator[object]:
    """Create tasks; the id of each, once it is answered."""
    client = kling(store)
    return (make(client).json["data"]["task_id"] for _ in repeat(None))


def race(store: Store, count: int) -> Iterator[object]:
    """Create a task for each account with one slot, when told to: whether it was made."""
    client = kling(store)
    rivals = [account for account in store.accounts() if account.slots == 1]
    return (make(Client(client.mock, client.provider, account)).status for account in rivals if sys.stdin.readline())


def number(store: Store, count: int) -> Iterator[object]:
    """The next numbers of a sequence."""
    return (store.number("rows") for _ in range(count))


def decide(store: Store, count: int) -> Iterator[object]:
    """The numbers of requests that are decided."""
    return (Keeper(store).found(ANN).ordinal for _ in range(count))


def lease(store: Store, count: int) -> Iterator[object]:
    """The ids of the rows that this process gets hold of."""
    while taken := store.lease(AT, AT + 60_000, 5):
        yield from (row.webhook.id for row in taken)


DOINGS = {"create": create, "race": race, "number": number, "decide": decide, "lease": lease}


def main(doing: str, path: str, count: str = "0") -> None:
    """Do it, and print what it gives, a line each."""
    words = DOINGS[doing](open_store(f"sqlite:///{path}"), int(count))
    print("ready", flush=True)
    sys.stdin.readline()
    for word in words:
        print(word, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
