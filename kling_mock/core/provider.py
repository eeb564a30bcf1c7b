"""A compiled provider: everything the documents say, in the form the judge and the decision ask for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kling_mock.core.callbacks import CallbackWords
from kling_mock.core.capabilities import Capabilities
from kling_mock.core.errors import ErrorTable
from kling_mock.core.expressions import Expression, Scope
from kling_mock.core.lifecycle import Lifecycle
from kling_mock.core.model import Pack, Violation
from kling_mock.core.packs import Standing
from kling_mock.core.pricing import Prices
from kling_mock.core.reading import Reader
from kling_mock.core.routes import Routes
from kling_mock.core.rules import Judged, Measured
from kling_mock.core.scenarios import Scenarios
from kling_mock.core.schemas import Rule, Schema
from kling_mock.core.templates import Template
from kling_mock.core.tokens import JwtWay

Role = Literal["create", "query", "list", "balance", "cancel"]


@dataclass(frozen=True, slots=True)
class Body:
    """One accepted media type of a request body; `rules` are the ids of those that stand in its schema."""

    media_type: str
    schema: Schema
    reader: Reader
    rules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One path, query or header parameter."""

    name: str
    where: Literal["path", "query", "header"]
    required: bool
    schema: Schema
    reader: Reader


@dataclass(frozen=True, slots=True)
class Way:
    """One way to prove who calls: a static credential (with the pattern of a well-formed one) or a JWT."""

    credential: str
    pattern: re.Pattern[str] | None = None
    jwt: JwtWay | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """A security scheme: the header that carries the credential, its prefix ("Bearer") and the ways, in order."""

    name: str
    header: str
    prefix: str
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class Parent:
    """A task to build upon: where its id is said, and the kinds that it may be of (None: any)."""

    id: Expression
    kinds: frozenset[str] | None = None

    def __call__(self, scope: Scope) -> Any:
        """The id, or ABSENT."""
        return self.id(scope)


@dataclass(frozen=True, slots=True)
class TaskWords:
    """Where an operation's task comes from: its kind and ids as expressions, and its parents."""

    kind: Expression
    new: Mapping[str, str] = field(default_factory=dict)
    find: Expression | None = None
    alias: Expression | None = None
    parents: tuple[Parent, ...] = ()
    to: str | None = None


@dataclass(frozen=True, slots=True)
class ResultWords:
    """What a create promises: the files it will have made and what they cost."""

    of: Literal["video", "image"]
    sizes: Mapping[str, tuple[int, int]]
    count: Expression
    seconds: Expression
    aspect: Expression
    slots: Expression
    id: str
    longer_ms: int
    expires_ms: int | None
    pack: str | None
    prices: tuple[Prices, ...]


@dataclass(frozen=True, slots=True)
class ReplyWords:
    """One 2xx response: its status, the states that it is for (None: any), and its body by variant."""

    status: int
    states: frozenset[str] | None
    bodies: Mapping[str, Template]


@dataclass(frozen=True, slots=True)
class PageWords:
    """Which page of which kind a list shows."""

    kind: Expression
    number: Expression
    size: Expression


@dataclass(frozen=True, slots=True)
class PacksWords:
    """Which packs a balance shows, and the provider's word for each way in which one can stand."""

    name: Expression
    words: Mapping[Standing, str]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the OpenAPI document.

    `incidental` are the paths into the body of what two requests for the same job may differ in.
    """

    id: str
    method: str
    path: str
    role: Role
    security: tuple[tuple[Scheme, ...], ...]
    parameters: tuple[Parameter, ...]
    bodies: Mapping[str, Body]
    body_required: bool
    replies: tuple[ReplyWords, ...]
    job: Mapping[str, Expression]
    pointers: Mapping[str, str]
    images: Mapping[str, tuple[str, ...]]
    task: TaskWords | None = None
    result: ResultWords | None = None
    page: PageWords | None = None
    packs: PacksWords | None = None
    callbacks: tuple[CallbackWords, ...] = ()
    incidental: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A restriction that needs more than the request: the field that brings it up, if one does, and why."""

    name: str
    why: str
    field: str | None
    path: list[str]


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential of an account: its environment variable, the default account's value, a new account's pattern."""

    name: str
    variable: str
    default: str
    new: str


@dataclass(frozen=True, slots=True)
class Provider:
    """A compiled folder of documents."""

    name: str
    title: str
    version: str
    default: bool
    hosts: frozenset[str]
    base_url_variable: str
    credentials: Mapping[str, Credential]
    packs: tuple[Pack, ...]
    variants: tuple[str, ...]
    request_ids: str
    lifecycle: Lifecycle
    scenarios: Scenarios
    errors: ErrorTable
    operations: Mapping[str, Operation]
    routes: Routes[Mapping[str, Operation]]
    judged: tuple[Judged, ...]
    measured: tuple[Measured, ...]
    capabilities: Capabilities | None
    not_judged: Mapping[str, NotJudged]
    keyword_evidence: Mapping[str, Any] | None
    rules: Mapping[str, Rule]
    digest: str
    evidence: Mapping[str, int]

    def variant(self, wanted: str | None) -> str:
        """The variant meant by `wanted`, or the default one."""
        return wanted if wanted in self.variants else self.variants[0]

    def refuse(self, violation: Violation, scope: Scope) -> Any:
        """The provider's error reply to one violation."""
        return self.errors.reply(self.errors.answer(violation), {**scope, "violation": spoken(violation)})

    def told(self, violation: Violation, scope: Scope) -> tuple[int, Mapping[str, Any]]:
        """The status and the values of the catalogue entry that answers one violation."""
        entry = self.errors.catalogue[self.errors.answer(violation)]
        return entry.status, entry.values({**scope, "violation": spoken(violation)})

    def paths(self) -> Sequence[str]:
        """Every path template."""
        return sorted({operation.path for operation in self.operations.values()})


def spoken(violation: Violation) -> dict[str, Any]:
    """A violation as error texts speak of it: `$violation.field`, `$violation.value` and its other values."""
    return {
        "rule": violation.rule,
        "pointer": violation.pointer,
        "message": violation.message,
        **violation.values,
    }
