"""Money never comes from nowhere: a machine that creates, polls, forces, cancels, travels, resets and restarts at will.

Beside it stands a small ledger of the test's own: what each task costs and when it is settled, by its timeline as it
was when last its course was changed before its end. After every step both must agree, on every kind of store.
"""

from __future__ import annotations

import contextlib
import copy
import shutil
import tempfile
from collections import Counter
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import Struct

from kling_mock.core.compiling import compile_provider
from kling_mock.core.durations import milliseconds
from kling_mock.core.model import Entry, Moment, Pack, Task
from kling_mock.core.provider import Provider
from kling_mock.loading import load_providers, read_documents
from kling_mock.server import steering
from kling_mock.server.mock import Mock, Options
from kling_mock.server.store import Retention, open_store
from tests.conftest import AT, SEED, TOYS, Answer, Client, Wall
from tests.server.storing import URLS

VIDEOS, IMAGES, ORDERS, ORDER = (
    "/v1/videos/image2video",
    "/v1/images/generations",
    "/workshop/orders",
    "/workshop/order",
)
PICTURE = "https://example.com/a.png"
JOBS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("kling", VIDEOS, {"model_name": "kling-v2-6", "mode": "pro", "duration": "5", "image": PICTURE}),  # 2.5
    ("kling", VIDEOS, {"model_name": "kling-v1", "mode": "std", "duration": "10", "image": PICTURE}),
    ("kling", VIDEOS, {"image": PICTURE, "duration": "7"}),  # refused
    ("kling", IMAGES, {"model_name": "kling-v3", "prompt": "a lighthouse", "resolution": "1k", "n": 2}),  # 16, 2 slots
    ("kling", IMAGES, {"model_name": "kling-v2-1", "prompt": "a lighthouse", "n": 3}),  # no price known, 3 slots
    ("toymaker", ORDERS, {"toy": "bear", "seconds": 4}),  # 6
    ("toymaker", ORDERS, {"toy": "kite", "seconds": 2, "wind": 3}),  # 4
    ("toymaker", ORDERS, {"toy": "train"}),  # no price known
)
PACKS = {
    "kling": (Pack("video", "units", Decimal(9), "Videos"), Pack("image", "image units", Decimal(47), "Images")),
    "toymaker": (Pack("toys", "thimbles", Decimal(15), "Toys"),),
}
SLOTS, FOR_EVER = 5, 10**15
DURATIONS = ("1ms", "1s", "4s", "5s", "31s", "10m", "3d")


@cache
def providers() -> tuple[Provider, Provider]:
    """One provider that has packs, and the toy, which lets its orders be cancelled, with a pack of its own."""
    documents = copy.deepcopy(dict(read_documents(TOYS)))
    order = documents["toymaker/openapi.yaml"]["paths"][ORDERS]["post"]
    order["x-mock-result"]["pack"] = "toys"
    documents["toymaker/openapi.yaml"]["x-mock-accounts"]["packs"] = [{"type": "toys", "unit": "thimbles", "total": 9}]
    return load_providers(["kling"])["kling"], compile_provider(documents, "toymaker")


def scenarios() -> st.SearchStrategy[str]:
    """Any scenario of either provider, and often none."""
    names = sorted({name for provider in providers() for name in provider.scenarios})
    return st.one_of(st.just(""), st.sampled_from(names))


def states() -> st.SearchStrategy[str]:
    """Any state of either provider."""
    return st.sampled_from(sorted({name for provider in providers() for name in provider.lifecycle.states}))


def lasting() -> st.SearchStrategy[str]:
    """How long a pack lasts."""
    return st.sampled_from(["0s", "5s", "10m", "1000d"])


class Job(Struct):
    """What the test knows of a task: what it costs, what it occupies, and when and how it is settled."""

    provider: str
    account: str
    path: str
    price: Decimal | None
    pack: str | None
    slots: int
    end: Moment | None
    paid: bool


class Bank(RuleBasedStateMachine):
    """One mock with two accounts at two providers, that keeps only three tasks."""

    kind = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder, self.wall = Path(tempfile.mkdtemp()), Wall()
        self.jobs: dict[str, Job] = {}
        self.latest: dict[str, int] = {}
        self.valid: dict[tuple[str, str | None], tuple[int, int]] = {}

    def teardown(self) -> None:
        self.mock.store.close()
        shutil.rmtree(self.folder)

    def _open(self) -> None:
        store = open_store(URLS[self.kind].format(folder=self.folder), Retention(tasks=3))
        self.mock = Mock(providers(), Options(at=AT, seed=SEED), wall=self.wall, store=store)

    @initialize()
    def begin(self) -> None:
        """Both accounts with small packs, so that they are used up."""
        self._open()
        self.clients = {}
        for provider in providers():
            account = self.mock.accounts.register(provider, PACKS[provider.name], SLOTS, None)
            self.clients[provider.name] = Client(self.mock, provider, account)

    def job(self, number: int) -> tuple[str, Job]:
        """One of the newest tasks; the oldest of them is forgotten."""
        return list(self.jobs.items())[-1 - number % min(4, len(self.jobs))]

    def now(self, account: str) -> int:
        """The account's time."""
        return self.mock.clocks.now(account)

    # What a client does

    @rule(number=st.integers(0, len(JOBS) - 1), scenario=scenarios())
    def create(self, number: int, scenario: str) -> None:
        """Create a task, or be refused for the payload, the balance, the slots or by a scenario."""
        provider, path, body = JOBS[number]
        client = self.clients[provider]
        answer = client.send("POST", path, body, {"prefer": f'scenario="{scenario}"'} if scenario else {})
        assert answer.status not in (401, 403) or scenario, answer.json
        if (id_ := answer.headers.get("x-mock-task")) is not None:
            task = self.mock.store.task(provider, id_)
            assert task is not None, "a task that an answer names is there"
            assert id_ not in self.jobs, "each create makes a task of its own"
            assert task.price is None or self._spendable(task), "nothing is spent from a pack that is not valid"
            self._note(task, path)

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 3))
    def poll(self, number: int) -> None:
        """Ask for a task, which may be forgotten; what it shows as deducted is what the ledger has taken."""
        id_, job = self.job(number)
        told = self._deducted(self._ask(id_, job))
        back = self._ended(job) and not job.paid
        assert told is None or told == (Decimal(0) if back else job.price)

    def _deducted(self, answer: Answer) -> Decimal | None:
        """What a task's own reply shows as deducted, if a scenario lets one come and a price is known."""
        if answer.status != 200 or "json" not in answer.headers.get("content-type", "") or not answer.body:
            return None
        found = answer.json.get("data")
        told = found.get("final_unit_deduction") if isinstance(found, dict) else None
        return None if told is None else Decimal(told)

    def _ask(self, id_: str, job: Job) -> Answer:
        client = self.clients[job.provider]
        if job.provider == "toymaker":
            return client.send("GET", ORDER, query={"ticket": id_})
        return client.send("GET", f"{job.path}/{id_}")

    @rule(path=st.sampled_from([VIDEOS, IMAGES]))
    def look_at_the_list(self, path: str) -> None:
        """List tasks."""
        self.clients["kling"].send("GET", path)

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 3))
    def cancel(self, number: int) -> None:
        """Cancel an order, which may have ended or be forgotten."""
        id_, job = self.job(number)
        if job.provider == "toymaker":
            self.clients["toymaker"].send("DELETE", ORDER, headers={"X-Ticket": id_})
            self._moved(id_)

    # What a test does

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 3), state=states(), jump=st.booleans())
    def force(self, number: int, state: str, jump: bool) -> None:
        """Force a state, legally or not, also out of an end."""
        id_, _ = self.job(number)
        with contextlib.suppress(steering.Refused):
            steering.force_state(self.mock, id_, state, jump=jump)
        self._moved(id_)

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 3), duration=st.sampled_from(DURATIONS), first=states(), then=states())
    def let_it_end_and_move_it(self, number: int, duration: str, first: str, then: str) -> None:
        """Force a task twice after some time, without a look at anything in between."""
        id_, job = self.job(number)
        steering.advance(self.mock, duration, job.account)
        for state in (first, then):
            with contextlib.suppress(steering.Refused):
                steering.force_state(self.mock, id_, state, jump=True)
            self._moved(id_)

    @rule(duration=st.sampled_from(DURATIONS))
    def wait(self, duration: str) -> None:
        """Let the machine's time pass."""
        self.wall.forward(duration)

    @rule(duration=st.sampled_from(DURATIONS), whose=st.sampled_from(["kling", "toymaker", None]))
    def advance(self, duration: str, whose: str | None) -> None:
        """Let an account's time, or everybody's, jump ahead."""
        steering.advance(self.mock, duration, self._id(whose))

    @rule(speed=st.sampled_from([0, 0.5, 1, 60]), whose=st.sampled_from(["kling", "toymaker", None]))
    def run_at(self, speed: float, whose: str | None) -> None:
        """Freeze, resume, slow down, speed up."""
        steering.run(self.mock, speed, self._id(whose))

    @rule(type_=st.sampled_from(["video", "image", "toys"]), starts=st.sampled_from(["0s", "5s"]), lasts=lasting())
    def renew(self, type_: str, starts: str, lasts: str) -> None:
        """Let a pack start anew, and end at once, soon, or hardly ever."""
        client = self.clients["toymaker" if type_ == "toys" else "kling"]
        assert client.account is not None
        id_ = client.account.id
        since = self.now(id_) + milliseconds(starts)
        steering.change_account(self.mock, id_, {"packs": [{"type": type_, "starts": starts, "valid": lasts}]})
        client.account = self.mock.accounts.get(id_)
        self.valid[id_, type_] = (since, since + milliseconds(lasts))

    @precondition(lambda self: len(self.jobs) > 5)
    @rule(whose=st.sampled_from(["kling", "toymaker", None]))
    def reset(self, whose: str | None) -> None:
        """Forget what one account did, or what all did."""
        account = self._id(whose)
        steering.reset(self.mock, account)
        self.jobs = {id_: job for id_, job in self.jobs.items() if account not in (None, job.account)}

    @precondition(lambda self: self.kind != "memory")
    @rule()
    def restart(self) -> None:
        """Another process opens the same file."""
        self.mock.store.close()
        self._open()
        for client in self.clients.values():
            client.mock = self.mock

    def _id(self, whose: str | None) -> str | None:
        account = self.clients[whose].account if whose else None
        return account.id if account else None

    # What must be

    def _spendable(self, task: Task) -> bool:
        """Whether the pack that a new task is paid from was valid at its create, by what the test set."""
        assert task.result is not None
        since, until = self.valid.get((task.account, task.result.pack), (0, FOR_EVER))
        return since <= task.created < until

    def _note(self, task: Task, path: str) -> None:
        """Note a task, and its end as it is planned now."""
        lifecycle = self.mock.providers[task.provider].lifecycle
        last, made = task.timeline[-1], task.result
        assert made is not None
        end = last if lifecycle.ended(last.state) else None
        paid = end is not None and lifecycle.states[end.state].ends == "success"
        self.jobs[task.id] = Job(task.provider, task.account, path, task.price, made.pack, made.slots, end, paid)

    def _moved(self, id_: str) -> None:
        """Note the new course of a task, unless it has ended before: its money is settled for good."""
        job = self.jobs[id_]
        task = self.mock.store.task(job.provider, id_)
        if task is not None and not self._ended(job):
            self._note(task, job.path)

    def _ended(self, job: Job) -> bool:
        return job.end is not None and job.end.at <= self.now(job.account)

    @invariant()
    def the_sums_agree(self) -> None:
        """balance + reserved + spent is the total, none below 0, and each what the tasks come to; so are the slots."""
        for client in self.clients.values():
            assert client.account is not None
            found = steering.holdings(self.mock, client.account)
            mine = [job for job in self.jobs.values() if job.account == client.account.id]
            for row in found.balances:
                priced = [(job, job.price) for job in mine if job.pack == row.pack.type and job.price is not None]
                reserved = sum((price for job, price in priced if not self._ended(job)), Decimal(0))
                spent = sum((price for job, price in priced if self._ended(job) and job.paid), Decimal(0))
                assert (row.reserved, row.spent) == (reserved, spent)
                assert row.balance + row.reserved + row.spent == row.pack.total
                assert min(row.balance, row.reserved, row.spent) >= 0, "nothing is given that is not there"
            taken = Counter[str]()
            for job in mine:
                taken[job.pack or ""] += 0 if self._ended(job) else job.slots
            assert found.open_slots == +taken
            assert all(slots <= SLOTS for slots in taken.values())

    @invariant()
    def each_task_is_paid_once(self) -> None:
        """One reserve, at most one settle or refund, of the same amount; each slot is taken once and freed once."""
        for client in self.clients.values():
            assert client.account is not None
            rows: dict[str, list[Entry]] = {}
            for entry in self.mock.store.entries(client.account.id):
                rows.setdefault(entry.task, []).append(entry)
            assert rows.keys() == {id_ for id_, job in self.jobs.items() if job.account == client.account.id}
            for id_, entries in rows.items():
                self._check_lines(self.jobs[id_], entries)

    def _check_lines(self, job: Job, entries: list[Entry]) -> None:
        money = Counter((entry.of, entry.amount) for entry in entries if entry.of != "slots")
        expected = Counter() if job.price is None else Counter([("reserve", job.price)])
        if job.end is not None and job.price is not None:
            expected[("settle" if job.paid else "refund", job.price)] += 1
        assert money == expected
        slots = sorted(entry.amount for entry in entries if entry.of == "slots")
        assert slots == ([-job.slots, job.slots] if job.end else [job.slots])
        assert {entry.at for entry in entries if entry.of in ("settle", "refund")} <= {job.end.at if job.end else 0}

    @invariant()
    def what_is_billed_is_a_task(self) -> None:
        """The journal bills exactly the tasks that were made and have a price, each once."""
        billed = [(row.task, row.billed) for row in self.mock.store.exchanges() if row.billed is not None]
        assert sorted(billed) == sorted((id_, job.price) for id_, job in self.jobs.items() if job.price is not None)

    @invariant()
    def time_never_goes_back(self) -> None:
        """No clock is behind where it was."""
        for client in self.clients.values():
            assert client.account is not None
            now = self.now(client.account.id)
            assert now >= self.latest.get(client.account.id, 0)
            self.latest[client.account.id] = now

    @rule()
    def ask_for_the_balance(self) -> None:
        """The official API tells the same."""
        client = self.clients["kling"]
        assert client.account is not None
        answer = client.send("GET", "/account/costs", query={"start_time": 0, "end_time": 1})
        told = {row["resource_pack_name"]: row for row in answer.json["data"]["resource_pack_subscribe_infos"]}
        for row in steering.holdings(self.mock, client.account).balances:
            assert Decimal(str(told[row.pack.name]["remaining_quantity"])) == row.balance


class OnDisk(Bank):
    """The same with a file."""

    kind = "sqlite"


QUICK = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


@pytest.mark.parametrize("machine", [Bank, OnDisk], ids=lambda machine: machine.kind)
def test_money_is_neither_made_nor_lost(machine: type[Bank]) -> None:
    """Whatever is done in whichever order, on every kind of store."""
    run_state_machine_as_test(machine, settings=QUICK)
