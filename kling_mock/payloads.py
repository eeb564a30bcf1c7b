"""Payloads judged in one Python call: `from kling_mock import judge`.

The judgement is the mock's own: the same compiled provider, the same steps, without a server, an account or a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

from msgspec.structs import replace

from kling_mock.core.calls import Call, body_for, images, not_taken
from kling_mock.core.documents import pointer
from kling_mock.core.expressions import ABSENT
from kling_mock.core.judging import judge as judge_call
from kling_mock.core.model import Quote, Request, Upload, Violation
from kling_mock.core.problems import closest
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.reading import NotJson, Reader, check_document, convert, parse_json
from kling_mock.core.verdicts import Finding, NotJudgedYet, Verdict, verdict
from kling_mock.loading import load_providers

SYNTAX, SITUATION = "mock/body.syntax", "body.syntax"
MEDIA_TYPE, UNTAKEN = "mock/body.media-type", "body.media-type"
FORMS = frozenset({"multipart/form-data", "application/x-www-form-urlencoded"})


class InvalidPayload(ValueError):
    """A payload that would be refused or would fail; `verdict` has it all, the text lists every violation."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        lines = [f"{row.pointer or '/'} {row.message} [{row.rule}]" for row in blocking(verdict)]
        super().__init__(f"{verdict.provider} {verdict.operation} would not accept this:\n" + "\n".join(lines))


class CannotJudge(ValueError):
    """There is nothing to judge by: an unknown provider or operation, or a body that fits none."""


def blocking(verdict: Verdict) -> list[Finding]:
    """The violations that would cost something: refusals and failures, not warnings."""
    return [finding for finding in verdict.violations if finding.severity != "warning"]


@cache
def bundled_providers() -> Mapping[str, Provider]:
    """The providers that ship with the package, compiled once per process."""
    return load_providers()


class Judge:
    """Judges payloads by a set of providers; `judge` is the one of the bundled providers."""

    def __init__(self, providers: Mapping[str, Provider] | None = None) -> None:
        self._given = providers

    @property
    def providers(self) -> Mapping[str, Provider]:
        """The providers asked, by name."""
        return bundled_providers() if self._given is None else self._given

    def __call__(
        self,
        body: Any,
        provider: str | None = None,
        operation: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        parsed: bool = False,
    ) -> Verdict:
        """Judge a body: a JSON document, or its text or bytes. Provider and operation are guessed from its shape.

        `parsed` says that a text is the document itself, a JSON string. `files` are the parts of a form, by field.
        What is no JSON is refused as the mock does it. Raises `CannotJudge` when there is nothing to judge by, and
        `NotJson` (a ValueError) where that is for want of any JSON.
        """
        document, problem = _document(body, parsed)
        try:
            found, chosen, other = self._target(document, provider, operation, files or {})
        except CannotJudge:
            if problem is not None and document is ABSENT:
                raise problem from None
            raise
        call = _call(found, chosen, ABSENT if problem else document, headers or {}, query or {}, files or {})
        if problem is not None:
            call = replace(
                call,
                violations=(
                    *call.violations,
                    Violation(SYNTAX, "", f"the body is no JSON: {problem}", situation=SITUATION),
                ),
            )
        told = verdict(call, measured(call), _measure)
        return told if other is None else replace(told, not_judged=(*told.not_judged, other))

    def require(self, body: Any, provider: str | None = None, operation: str | None = None, **words: Any) -> Verdict:
        """The verdict of a payload that would be accepted; raises `InvalidPayload` for any other."""
        found = self(body, provider, operation, **words)
        if not found.ok:
            raise InvalidPayload(found)
        return found

    def price(self, body: Any, provider: str | None = None, operation: str | None = None) -> Quote | None:
        """What a payload costs at a provider; None when no price is known."""
        return self(body, provider, operation).quote

    def target(
        self, document: Any, provider: str | None, operation: str | None, files: Mapping[str, bytes]
    ) -> tuple[Provider, Operation]:
        """The provider and the creating operation meant, by name or else by whose schema fits best.

        Only a key can say what a payload is for: without a single known one it is a `CannotJudge` that lists the
        candidates, unless they are one operation of several providers, where the default provider wins as in any draw.
        """
        return self._target(document, provider, operation, files)[:2]

    def _target(
        self, document: Any, provider: str | None, operation: str | None, files: Mapping[str, bytes]
    ) -> tuple[Provider, Operation, NotJudgedYet | None]:
        """The provider and operation meant, and what is to be said of a guess that another is as good as."""
        if provider is not None and provider not in self.providers:
            raise CannotJudge(f"there is no provider {provider!r}{closest(provider, self.providers)}")
        named = [self.providers[provider]] if provider else list(self.providers.values())
        rows = [(one, op) for one in named for op in one.operations.values() if op.role == "create"]
        if operation is not None:
            known = {op.id for _, op in rows}
            rows = [row for row in rows if row[1].id == operation]
            if not rows:
                raise CannotJudge(f"no operation {operation!r} creates a task{closest(operation, known)}")
        if len(rows) == 1:
            return *rows[0], None
        if not any(_known(op, document, files) for _, op in rows):
            return *_unguessed(rows, document), None
        return _guessed(rows, document, files)


def _known(operation: Operation, document: Any, files: Mapping[str, bytes]) -> int:
    """How many keys of a payload an operation knows."""
    known = next(iter(operation.bodies.values())).reader.members
    return sum(name in known for name in (*(document if isinstance(document, dict) else ()), *files))


def _unguessed(rows: list[tuple[Provider, Operation]], document: Any) -> tuple[Provider, Operation]:
    """The target of a payload that says nothing: the default provider's operation, if all candidates share one name."""
    mine = [row for row in rows if row[0].default]
    if len(mine) == 1 and len({op.id for _, op in rows}) == 1:
        return mine[0]
    if isinstance(document, dict):
        keys = ", ".join(repr(str(key)[:40]) for key in list(document)[:5])
        why = f"no operation knows {keys}" if keys else "the payload is empty"
    else:
        why = "the payload is no JSON object"
    names = list(dict.fromkeys(op.id for _, op in rows))
    wanted = (
        f"an operation: {', '.join(names)}" if len(names) > 1 else f"a provider: {', '.join(p.name for p, _ in rows)}"
    )
    raise CannotJudge(f"{why}, so nothing says what it is for; name {wanted}")


class Fit(NamedTuple):
    """How badly a payload fits an operation, the better one first."""

    foreign: int  # keys that no operation of the provider knows
    other: bool  # than the default provider
    model: bool  # one that the operation does not have
    strange: int  # keys that the operation does not know
    refusals: int


def _guessed(
    rows: list[tuple[Provider, Operation]], document: Any, files: Mapping[str, bytes]
) -> tuple[Provider, Operation, NotJudgedYet | None]:
    """What a payload fits best: by the provider that knows its keys, then by model, unknown keys and refusals."""
    fits = [(_fit(provider, operation, document, files), number) for number, (provider, operation) in enumerate(rows)]
    (best, number), *others = sorted(fits)
    provider, operation = rows[number]
    for fit, another in others:
        second = rows[another][1]
        seen = {way[0] for way in operation.images.values()} - {way[0] for way in second.images.values()}
        worse = best.strange + best.refusals
        near = fit.strange + fit.refusals <= worse + 1 and not fit.refusals and (worse > 0 or another < number)
        if rows[another][0] is provider and near and not any(document.get(name) for name in seen):
            why = f"guessed from the keys; {second.id} takes this payload too: name the one that is meant"
            return provider, operation, NotJudgedYet("operation", why)
    return provider, operation, None


def _fit(provider: Provider, operation: Operation, document: Any, files: Mapping[str, bytes]) -> Fit:
    mine = [op for op in provider.operations.values() if op.role == "create"]
    keys = [*document, *files]
    foreign = sum(not any(_known(op, {key: None}, {}) for op in mine) for key in keys)
    strange = len(keys) - _known(operation, document, files)
    sound = _sound(document)
    refused = judge_call(_call(provider, operation, document, {}, {}, files), {}).refused if sound else ()
    model = any(row.pointer == operation.pointers.get("model") for row in refused)
    return Fit(foreign, not provider.default, model, strange, len(refused))


def _sound(document: Any) -> bool:
    """Whether a document can be judged at all."""
    try:
        check_document(document)
    except NotJson:
        return False
    return True


def _document(body: Any, parsed: bool) -> tuple[Any, NotJson | None]:
    """The document in a body, and why it is none that a provider would read."""
    if parsed or not isinstance(body, str | bytes):
        try:
            check_document(body)
        except NotJson as error:
            return body, error
        return body, None
    try:
        return parse_json(body.encode(errors="surrogatepass") if isinstance(body, str) else body), None
    except NotJson as error:
        return ABSENT, error


def _call(
    provider: Provider,
    operation: Operation,
    document: Any,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    files: Mapping[str, bytes],
) -> Call:
    """The call that a request with this body would be, without anybody who makes it."""
    media_type = next(iter(operation.bodies), "application/json")
    lower = {"content-type": media_type} | {name.lower(): value for name, value in headers.items()}
    uploads = {pointer([name]): Upload(name, "", content) for name, content in files.items()}
    body = body_for(operation, lower["content-type"])
    if isinstance(document, dict) and body is not None and body.media_type in FORMS:
        document = {name: _read(value, body.reader.members.get(name)) for name, value in document.items()}
    if files and isinstance(document, dict):
        document = {**document, **dict.fromkeys(files, "file")}
    request = Request(operation.method, operation.path, urlencode(query), lower)
    if body is None and operation.bodies:
        told = not_taken(operation, lower["content-type"])
        return Call(provider, request, operation, violations=(Violation(MEDIA_TYPE, "", told, situation=UNTAKEN),))
    return Call(provider, request, operation, document=document, uploads=uploads)


def _read(value: Any, reader: Reader | None) -> Any:
    """A form's value: a text on the way, and there what its schema says, as far as it can be read as that."""
    if not isinstance(value, str) or reader is None or reader.type in (None, "string"):
        return value
    read = convert(value, reader.type)
    return value if read is ABSENT else read


def measured(call: Call) -> dict[str, Mapping[str, Any]]:
    """The facts of the images in a call."""
    if call.operation is None or call.document is ABSENT:
        return {}
    rows = list(images(call.operation, call.document))
    if not rows:
        return {}
    from kling_mock.server.facts import measure  # it brings Pillow, which most judgements can do without

    return {at: measure(call.uploads[at].content if at in call.uploads else value) for _, at, value in rows}


def _measure(given: str | bytes) -> Mapping[str, Any]:
    from kling_mock.server.facts import measure

    return measure(given)


judge = Judge()
