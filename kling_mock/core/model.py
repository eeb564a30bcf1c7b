"""The nouns: what travels between the judge, the decision, the store and the server. Plain values, no behaviour.

Instants and durations are integer milliseconds unless a name says otherwise; instants count from the Unix epoch and
are virtual (an account's clock), never the wall's. Amounts are `Decimal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    """How the server hands a reply over: whole and now, later, slowly, cut after some bytes, or never.

    `after_ms` and `over_ms` are wall time: they delay the bytes, not the task.
    """

    after_ms: int = 0
    over_ms: int = 0
    cut_at: int | None = None
    never: bool = False

    @property
    def lossy(self) -> bool:
        """Whether the client cannot have the whole reply."""
        return self.never or self.cut_at is not None


NOW = Delivery()


class Raw(Struct, frozen=True):
    """A reply that no provider wrote: text of any type, as a gateway in between sends it."""

    status: int
    content_type: str
    text: str


class Reply(Struct, frozen=True):
    """An HTTP reply before it is bytes: `body` is a JSON document."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = NOW
    error: str | None = None
    raw: Raw | None = None


class Wire(Struct, frozen=True):
    """A reply as it goes over the wire: `body` is bytes, `headers` are complete but for what HTTP itself adds.

    `tells` is the account, ordinal and time of the exchange, if it tells the client of a task: should it not arrive,
    the journal has to say so.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    delivery: Delivery = NOW
    tells: tuple[str, int, int] | None = None


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
    """One job. It holds all that its later states and answers depend on, so a changed spec does not change it.

    `media` is the URL under which its files were when it was made; replies name them under the server's own.
    `settled` is the end at which its money was settled, where its course was changed after it: it is so once only.
    `asked` says that its create, or a user's rule, asked for its `scenario`; else that was its account's.
    """

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
    callback: str | None = None
    settled: Moment | None = None
    asked: bool = False


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
    """A prepaid amount of one unit for one type of job, to be spent from `since` on (None: its account's making).

    `valid_ms` is how long it lasts from then on; None is as the provider's own pack of that type, and then anew.
    `slots` is how many jobs it pays for may be open at once; None is as many as its account says.
    """

    type: str
    unit: str
    total: Decimal
    name: str = ""
    since: int | None = None
    valid_ms: int | None = None
    slots: int | None = None


class Attempt(Struct, frozen=True):
    """One try to deliver a webhook: virtual and wall ms, and the receiver's status, or what went wrong before one.

    `said` is what the receiver really answered, where a scenario lets its sender take that for something else.
    """

    at: int
    wall: int
    status: int | None
    error: str | None = None
    said: int | None = None


class Webhook(Struct, frozen=True):
    """One notification of a task's state, to be POSTed to `url` at `due` (virtual ms) or later.

    `id` stays the same over attempts and replays. `changed` is the instant the state began, and what the body tells of.
    `outcome` is None while it waits. `copy` counts from 0, for a scenario that sends the same one more than once;
    `forged` spoils its signature; what answers the first `takes` attempts is taken for the status `taken_for`, or for
    an answer that came too late.
    """

    id: str
    provider: str
    account: str
    task: str
    url: str
    state: str
    changed: int
    due: int
    copy: int = 0
    forged: bool = False
    attempts: tuple[Attempt, ...] = ()
    outcome: Literal["delivered", "given up", "refused"] | None = None
    reason: str | None = None
    takes: int = 0
    taken_for: int | None = None


class Secret(Struct, frozen=True):
    """A secret that signs webhooks, until the virtual ms `until` (None: until it is replaced)."""

    value: str
    until: int | None = None


class Account(Struct, frozen=True):
    """A namespace at one provider: its credentials, packs, slots, default scenario and variant, and webhook secrets.

    The newest secret comes first; `chosen` is how often the scenario was changed.
    """

    id: str
    provider: str
    credentials: Mapping[str, str]
    created: int
    packs: tuple[Pack, ...] = ()
    slots: int | None = None
    scenario: str | None = None
    variant: str | None = None
    secrets: tuple[Secret, ...] = ()
    chosen: int = 0


# What a decision may ask of the store: the closed sets of reads and effects.


class Page(Struct, frozen=True):
    """A page of an account's tasks of one kind, newest first; `number` counts from 1."""

    kind: str
    number: int
    size: int


def counter_in_lists(task: str) -> str:
    """The name under which the lists that show a task are counted; `task` is its id."""
    return f"list/{task}/"


class Reads(Struct, frozen=True):
    """All that must be fetched before `decide`: tasks by id, one by alias, a page, and what the account has open."""

    tasks: tuple[str, ...] = ()
    alias: str | None = None
    page: Page | None = None
    balances: bool = False
    counters: tuple[str, ...] = ()

    def counted(self, page: Iterable[Task]) -> tuple[str, ...]:
        """The names of all counters that are needed: a list is counted for each task on it that has a scenario."""
        return (*self.counters, *(counter_in_lists(task.id) for task in page if task.scenario))


class Balance(Struct, frozen=True):
    """What one pack holds at an instant. total = balance + reserved + spent, always."""

    pack: Pack
    reserved: Decimal
    spent: Decimal

    @property
    def balance(self) -> Decimal:
        """What can still be reserved."""
        return self.pack.total - self.reserved - self.spent


class Counter(Struct, frozen=True, array_like=True):
    """How often something was called before, and when first (virtual ms)."""

    count: int = 0
    since: int = 0


class Found(Struct, frozen=True):
    """What the store found for `Reads` at `now` (virtual ms); `ordinal` numbers the account's requests from 1.

    `owner` is the account whose clock and counters these are: the caller's, or the found task's for a call without one.
    """

    now: int = 0
    owner: str = ""
    ordinal: int = 1
    tasks: Mapping[str, Task] = field(default_factory=dict)
    alias: Task | None = None
    page: tuple[Task, ...] = ()
    balances: tuple[Balance, ...] = ()
    open_slots: Mapping[str, int] = field(default_factory=dict)
    counters: Mapping[str, Counter] = field(default_factory=dict)


class PutTask(Struct, frozen=True):
    """Effect: a new task, or an old one with a new timeline."""

    task: Task


class Append(Struct, frozen=True):
    """Effect: lines for the ledger."""

    entries: tuple[Entry, ...]


class Withdraw(Struct, frozen=True):
    """Effect: take back the ledger lines and webhooks of a task that are dated after `now`."""

    account: str
    task: str
    now: int


class Post(Struct, frozen=True):
    """Effect: webhooks for the outbox."""

    webhooks: tuple[Webhook, ...]


class Count(Struct, frozen=True):
    """Effect: one more call counted under `name` for the account, at virtual ms `at`."""

    account: str
    name: str
    at: int


class Sight(Struct, frozen=True, array_like=True):
    """A task as a reply showed it: in which state, and whether its reader could tell that it had ended."""

    task: str
    state: str
    ended: bool


class Exchange(Struct, frozen=True):
    """One request and its reply, as the journal keeps them. `at` is the account's virtual time in ms.

    `ordinal` numbers the account's requests. `billed` is what the call reserved, if it made a task; `lost` says that
    the client was not told of that task; `fingerprint` is the same for payloads that ask for the same job; `saw` are
    the tasks that the reply showed. `scenario` is the one, as it was asked for, that changed the answer or that rules
    the task which the call made.
    """

    at: int
    ordinal: int
    provider: str
    account: str | None
    operation: str | None
    role: str | None
    task: str | None
    request: Mapping[str, Any]
    reply: Mapping[str, Any]
    violations: tuple[Violation, ...] = ()
    billed: Decimal | None = None
    unit: str | None = None
    lost: bool = False
    fingerprint: str | None = None
    saw: tuple[Sight, ...] = ()
    scenario: str | None = None


class Record(Struct, frozen=True):
    """Effect: a line of the journal."""

    exchange: Exchange


Effect = PutTask | Append | Withdraw | Count | Post | Record


class Decision(Struct, frozen=True):
    """The reply, and what the store must do in the same transaction.

    `lost` says that the reply, by a scenario, does not tell the client of the task that the call made; `saw` are the
    tasks that it shows; `scenario` is the one that changed the reply or rules the task that the call made.
    """

    reply: Reply
    effects: tuple[Effect, ...] = ()
    violations: tuple[Violation, ...] = ()
    task: str | None = None
    lost: bool = False
    saw: tuple[Sight, ...] = ()
    scenario: str | None = None
