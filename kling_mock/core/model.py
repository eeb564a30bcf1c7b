"""The nouns: what travels between the judge, the decision, the store and the server. Plain values, no behaviour.

Instants and durations are integer milliseconds unless a name says otherwise; instants count from the Unix epoch and
are virtual (an account's clock), never the wall's. Amounts are `Decimal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field

Severity = Literal["refused", "fails", "warning"]


class Request(Struct, frozen=True):
    """An HTTP request as it came in. `path` is still percent-encoded, `query` has no "?", header names are lower case.

    `oversized` says that the body was longer than the server takes and is not here.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    scheme: str = "http"
    oversized: bool = False

    @property
    def host(self) -> str:
        """The Host header, or "localhost" when there is none."""
        return self.headers.get("host", "localhost")


class Upload(Struct, frozen=True):
    """One file part of a multipart body."""

    name: str
    content_type: str
    content: bytes


class Violation(Struct, frozen=True):
    """One thing wrong with a request. `situation` names the row of the provider's error table that answers it."""

    rule: str
    pointer: str
    message: str
    severity: Severity = "refused"
    situation: str = ""
    error: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        """The first word of the situation; the provider's `order` ranks stages."""
        return self.situation.partition(".")[0]


class Delivery(Struct, frozen=True):
    """How the server hands a reply over: whole and now, later, cut after some bytes, or never."""

    after_ms: int = 0
    cut_at: int | None = None
    never: bool = False


NOW = Delivery()
ABORT = Delivery(cut_at=0)


class Reply(Struct, frozen=True):
    """An HTTP reply before it is bytes: `body` is a JSON document."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = NOW
    error: str | None = None


class Wire(Struct, frozen=True):
    """A reply as it goes over the wire: `body` is bytes, `headers` are complete but for what HTTP itself adds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    delivery: Delivery = NOW


class Quote(Struct, frozen=True):
    """What a request costs: `amount` in `unit`, `usd` where a rate is known, `how` it was computed.

    `what` is what is paid for, in short ("5 s"); `evidence` says how well the price is known, as in the specs.
    """

    amount: Decimal
    unit: str
    how: str
    usd: Decimal | None = None
    what: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Moment(Struct, frozen=True, array_like=True):
    """From `at` on, a task is in `state`."""

    at: int
    state: str


class Task(Struct, frozen=True):
    """One job. It holds all that its later states and answers depend on, so a changed spec does not change it."""

    id: str
    provider: str
    account: str
    operation: str
    kind: str
    variant: str
    created: int
    timeline: tuple[Moment, ...]
    entropy: str
    alias: str | None = None
    scenario: str | None = None
    reason: str | None = None
    request: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    result: Result | None = None
    price: Decimal | None = None
    media: str = ""


class Result(Struct, frozen=True):
    """What a task will have made: `count` files of one type, their size in pixels and length in ms, and until when."""

    of: Literal["video", "image"]
    count: int
    width: int
    height: int
    aspect: str
    duration: int = 0
    expires_ms: int | None = None
    pack: str | None = None
    slots: int = 1
    id: str = "{uuid}"


class View(Struct, frozen=True):
    """A task as seen at one instant: its state, since when, and when the next change is due (None: never)."""

    state: str
    words: Mapping[str, Any]
    changed: int
    following: int | None
    ends: Literal["success", "failure"] | None


class Entry(Struct, frozen=True):
    """One dated line of an account's ledger. Sums count entries whose `at` has come."""

    at: int
    account: str
    pack: str
    of: Literal["reserve", "settle", "refund", "slots"]
    amount: Decimal
    task: str


class Pack(Struct, frozen=True):
    """A prepaid amount of one unit for one type of job; `valid_ms` is how long after the purchase it lasts."""

    type: str
    unit: str
    total: Decimal
    name: str = ""


class Account(Struct, frozen=True):
    """A namespace at one provider: its credentials, packs, slots, default scenario and default variant."""

    id: str
    provider: str
    credentials: Mapping[str, str]
    created: int
    packs: tuple[Pack, ...] = ()
    slots: int | None = None
    scenario: str | None = None
    variant: str | None = None


# What a decision may ask of the store: the closed sets of reads and effects.


class Page(Struct, frozen=True):
    """A page of an account's tasks of one kind, newest first; `number` counts from 1."""

    kind: str
    number: int
    size: int


class Reads(Struct, frozen=True):
    """All that must be fetched before `decide`: tasks by id, one by alias, a page, and what the account has open."""

    tasks: tuple[str, ...] = ()
    alias: str | None = None
    page: Page | None = None
    balances: bool = False
    counter: str | None = None


class Balance(Struct, frozen=True):
    """What one pack holds at an instant. total = balance + reserved + spent, always."""

    pack: Pack
    reserved: Decimal
    spent: Decimal

    @property
    def balance(self) -> Decimal:
        """What can still be reserved."""
        return self.pack.total - self.reserved - self.spent


class Found(Struct, frozen=True):
    """What the store found for `Reads`."""

    tasks: Mapping[str, Task] = field(default_factory=dict)
    alias: Task | None = None
    page: tuple[Task, ...] = ()
    balances: tuple[Balance, ...] = ()
    open_slots: int = 0
    counter: int = 0


class PutTask(Struct, frozen=True):
    """Effect: a new task, or an old one with a new timeline."""

    task: Task


class Append(Struct, frozen=True):
    """Effect: lines for the ledger."""

    entries: tuple[Entry, ...]


class Withdraw(Struct, frozen=True):
    """Effect: take back the ledger lines of a task that are dated after `now`."""

    account: str
    task: str
    now: int


class Count(Struct, frozen=True):
    """Effect: one more call counted under `name` for the account."""

    account: str
    name: str


Effect = PutTask | Append | Withdraw | Count


class Decision(Struct, frozen=True):
    """The reply, and what the store must do in the same transaction."""

    reply: Reply
    effects: tuple[Effect, ...] = ()
    violations: tuple[Violation, ...] = ()
    task: str | None = None
