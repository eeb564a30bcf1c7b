"""Requests per second through the whole mock over each store, side by side, by ratio to memory.

Rounds alternate between the stores, so that a busy machine slows both.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from statistics import median

from bench.judging import VALID
from kling_mock.core.model import Request
from kling_mock.core.provider import Provider
from kling_mock.loading import load_providers
from kling_mock.server.mock import Mock, Options
from kling_mock.server.store import open_store

ROUNDS, CALLS, FILLED = 15, 100, 5_000
Calls = dict[str, Callable[[], object]]


def calls(provider: Provider, url: str) -> Calls:
    """A create, a query and a list, by a mock over a store."""
    mock = Mock([provider], Options(seed="bench"), store=open_store(url))
    create = next(o for o in provider.operations.values() if o.role == "create")
    key = list(provider.credentials.values())[-1].default
    headers = {"host": "127.0.0.1", "authorization": f"Bearer {key}", "content-type": "application/json"}
    asked = Request("POST", create.path, "", headers, json.dumps(VALID).encode())
    task = mock.answer(asked).headers["X-Mock-Task"]
    query = Request("GET", f"{create.path}/{task}", "", headers)
    page = Request("GET", create.path, "pageSize=30", headers)
    return {
        "create": lambda: mock.answer(asked),
        "query": lambda: mock.answer(query),
        "page of 30": lambda: mock.answer(page),
    }


def rate(call: Callable[[], object]) -> float:
    """Calls per second."""
    start = time.perf_counter()
    for _ in range(CALLS):
        call()
    return CALLS / (time.perf_counter() - start)


def compare(stores: dict[str, Calls], name: str) -> None:
    """Print a line: the rates, and their ratio."""
    rounds = [{store: rate(found[name]) for store, found in stores.items()} for _ in range(ROUNDS)]
    rates = {store: median(one[store] for one in rounds) for store in stores}
    ratio = median(one["sqlite"] / one["memory"] for one in rounds)
    print(f"{name:12}" + "".join(f"{store} {value:8.0f}/s   " for store, value in rates.items()) + f"ratio {ratio:.2f}")


def main() -> None:
    """Print the table for a fresh store and for a full one."""
    provider = next(p for p in load_providers().values() if p.default)
    with tempfile.TemporaryDirectory() as folder:
        urls = {"memory": "memory://", "sqlite": f"sqlite:///{folder}/bench.db"}
        stores = {store: calls(provider, url) for store, url in urls.items()}
        for name in ("create", "query", "page of 30"):
            compare(stores, name)
        for found in stores.values():
            for _ in range(FILLED):
                found["create"]()
        print(f"with {FILLED} tasks more:")
        for name in ("create", "query", "page of 30"):
            compare(stores, name)
        start = time.perf_counter()
        open_store(urls["sqlite"])
        print(f"opening it  {time.perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main()
