"""Judging a request: schema, rules over measured facts, price. No store, no lock, no clock.

The shell has already found the operation, looked at the credential and decoded the body; what went wrong there comes
in as violations and is judged together with the rest, so that every stage that could be judged is reported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from kling_mock.core.callbacks import called_back
from kling_mock.core.calls import Call, body_for, fingerprint, images, preferences, spoken
from kling_mock.core.expressions import ABSENT, Scope
from kling_mock.core.model import Page, Quote, Reads, Result, Violation
from kling_mock.core.pricing import quote
from kling_mock.core.problems import closest
from kling_mock.core.provider import Operation, ResultWords
from kling_mock.core.reading import convert
from kling_mock.core.rules import Image
from kling_mock.core.scenarios import marked
from kling_mock.core.schemas import unknown_keys, unknown_parameters

DIMENSIONS = ("model", "mode", "seconds", "sound")
NUMERIC = {"seconds": "number", "count": "integer"}

Facts = Mapping[str, Mapping[str, Any]]


class Judgement(Struct, frozen=True):
    """What is known of a request without looking into the store.

    `scenario` is the reference that the request itself asks for; `fingerprint` is the same for the same job.
    """

    call: Call
    scope: Scope
    violations: tuple[Violation, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    result: Result | None = None
    quote: Quote | None = None
    scenario: str | None = None
    variant: str = ""
    latency: str | None = None
    fingerprint: str = ""
    callback: str | None = None

    @property
    def refused(self) -> tuple[Violation, ...]:
        """The violations that the provider answers with an error, in its order of stages."""
        rank = self.call.provider.errors.rank
        return tuple(sorted((v for v in self.violations if v.severity == "refused"), key=rank))

    @property
    def operation(self) -> Operation:
        """The operation; only asked for when there is one."""
        assert self.call.operation is not None
        return self.call.operation


def judge(call: Call, facts: Facts) -> Judgement:
    """Judge a call: every violation that can be found without the store, what the job is and what it costs."""
    request, provider = call.request, call.provider
    wanted = {**call.preferences, **preferences(request.headers)}
    variant = provider.variant(wanted.get("variant"))
    scope: dict[str, Any] = {"request": spoken(call), "account": call.account, "variant": variant}
    if call.operation is None:
        return Judgement(call, scope, call.violations, variant=variant)
    violations = [*call.violations, *_preferences(call, wanted), *_parameters(call, scope["request"])]
    violations += _body(call, scope["request"])
    job = job_of(call.operation, scope)
    if call.operation.role == "create":
        document = scope["request"]["body"]
        violations += _rules(call, document, facts, violations)
        violations += _capabilities(call, document, job, violations)
        violations += _unfetched(facts)
    scope["parameters"] = job
    alias = alias_of(call.operation, scope)
    scenario = _scenario(call, wanted, job, alias, violations)
    words, result, price = call.operation.result, None, None
    if words is not None:
        price = quote(words.prices, job, _count(words, scope))
        if all(violation.severity != "refused" for violation in violations):
            result = _result(words, job, scope, facts)
    mark = fingerprint(call, scope["request"]["body"]) if call.operation.role == "create" else ""
    return Judgement(
        call=call,
        scope=scope,
        violations=tuple(violations),
        parameters=job,
        result=result,
        quote=price,
        scenario=scenario,
        variant=variant,
        latency=wanted.get("latency"),
        fingerprint=mark,
        callback=called_back(call.operation.callbacks, scope),
    )


def alias_of(operation: Operation, scope: Scope) -> str | None:
    """The caller's own id for the task, if the operation has one and it is given."""
    alias = operation.task.alias(scope) if operation.task and operation.task.alias else None
    return alias if isinstance(alias, str) and alias else None


def _preferences(call: Call, wanted: Mapping[str, str]) -> Iterator[Violation]:
    """Warnings for a variant or latency profile that the provider does not have: the call goes on without."""
    known = {"variant": call.provider.variants, "latency": call.provider.lifecycle.latency}
    for name, choices in known.items():
        value = wanted.get(name)
        if value is not None and value not in choices:
            message = f"there is no {name} {value[:60]!r}{closest(value[:60], choices)}; the call goes on without one"
            yield Violation(f"mock/{name}", "", message, "warning")


def _parameters(call: Call, spoken: dict[str, Any]) -> Iterator[Violation]:
    """Judge path, query and header parameters; their read values and defaults replace what was sent."""
    assert call.operation is not None
    known = frozenset(parameter.name for parameter in call.operation.parameters if parameter.where == "query")
    yield from unknown_parameters(call.operation.id, spoken["query"], known)
    for parameter in call.operation.parameters:
        sent = spoken[parameter.where]
        name = parameter.name.lower() if parameter.where == "header" else parameter.name
        prefix = f"{parameter.where}/{name}"
        if name not in sent or sent[name] == "":
            if parameter.required:
                yield _missing(call.operation, prefix, name)
            elif parameter.reader.default is not ABSENT and parameter.where == "query":
                sent[name] = parameter.reader.default
            continue
        read = parameter.reader.read(sent[name])
        yield from parameter.schema.violations(sent[name] if read is ABSENT else read, "parameters", prefix)
        if read is not ABSENT and parameter.where != "header":
            sent[name] = read


def _missing(operation: Operation, at: str, name: str) -> Violation:
    return Violation(
        f"{operation.id}/{at}/required",
        at,
        "is required",
        situation="parameters.required",
        values={"field": name, "value": "null"},
    )


def _body(call: Call, spoken: dict[str, Any]) -> list[Violation]:
    """Judge the body as sent, then put the document as read in its place."""
    operation, document = call.operation, call.document
    assert operation is not None
    if document is ABSENT or not operation.bodies:
        return []
    body = body_for(operation, call.request.headers.get("content-type", ""))
    if body is None:
        return []
    found = body.schema.violations(document, "body")
    found += unknown_keys(operation.id, body.reader.unknown(document))
    spoken["body"] = body.reader.read(document) if isinstance(document, dict) else document
    return found


def _rules(call: Call, document: Any, facts: Facts, found: Collection[Violation]) -> list[Violation]:
    """What rules say of the images and of the read document, as far as its fields have not been refused."""
    provider, operation = call.provider, call.operation
    assert operation is not None
    pictures = [Image(role, at, value, facts.get(at)) for role, at, value in images(operation, call.document)]
    broken = [violation for rule in provider.measured for violation in rule.violations(pictures)]
    if not isinstance(document, dict) or operation.task is None:
        return broken
    kind = operation.task.kind({})
    refused = [violation.pointer for violation in found if violation.severity == "refused"]
    for judged in provider.judged:
        if kind in judged.kinds and not (refused and any(_touched(field, refused) for field in judged.reads)):
            violation = judged.violation(document, pictures)
            if violation is not None:
                broken.append(violation)
    return broken


def _unfetched(facts: Facts) -> Iterator[Violation]:
    """Warnings for images that were to be fetched and were not: nothing is known of them."""
    for at, fact in facts.items():
        if fact.get("reachable") is False:
            message = f"was not fetched, so nothing of the image is judged: {fact['why']}"
            yield Violation("mock/image.unfetched", at, message, "warning")


def _touched(field: str, pointers: Collection[str]) -> bool:
    """Whether something at or below the field was refused already."""
    return any(at == field or at.startswith(field + "/") for at in pointers)


def _capabilities(call: Call, document: Any, job: Mapping[str, Any], found: Collection[Violation]) -> list[Violation]:
    """What the capability table refuses: looked at only when model, mode and length are ones that there are."""
    table, operation = call.provider.capabilities, call.operation
    if table is None or operation is None or operation.task is None or not isinstance(document, dict):
        return []
    asked = [operation.pointers[name] for name in DIMENSIONS if name in operation.pointers]
    if any(violation.severity == "refused" and violation.pointer in asked for violation in found):
        return []
    return table.violations(str(operation.task.kind({})), document, job)


def job_of(operation: Operation, scope: Scope) -> dict[str, Any]:
    """The job's parameters, each in its fixed type; what is not given is not there."""
    job = {}
    for name, read in operation.job.items():
        value = read(scope)
        if name in NUMERIC and value is not ABSENT:
            value = convert(value, NUMERIC[name])
        if value is not ABSENT and value is not None:
            job[name] = value
    return job


def _scenario(
    call: Call, wanted: Mapping[str, str], job: Mapping[str, Any], alias: str | None, violations: list[Violation]
) -> str | None:
    """The scenario asked for: by a marker in prompt or alias, or by Prefer; one that cannot be is a warning."""
    marker = marked(job.get("prompt", "")) or marked(alias)
    reference = marker or wanted.get("scenario")
    if reference is None or call.operation is None:
        return None
    known, role = call.provider.scenarios, call.operation.role
    try:
        scenario = known.find(reference)
    except ValueError as error:
        problem = str(error)
    else:
        # A header may stand on every call of a client; a marker is for this job.
        if not marker or scenario.meets(role, known.roles):
            return reference
        problem = f"{scenario.unmet(reference, role)}; give it to the account, or ask for it by Prefer on such a call"
    violations.append(Violation("mock/scenario", "", f"{problem}; the call goes on without one", "warning"))
    return None


def _result(words: ResultWords, job: Mapping[str, Any], scope: Scope, facts: Facts) -> Result:
    """What a create that nobody refuses will have made."""
    slots = convert(words.slots(scope), "integer")
    aspect = _aspect(words.sizes, job.get("aspect"), facts)
    width, height = words.sizes[aspect]
    seconds = job.get("seconds")
    return Result(
        of=words.of,
        count=_count(words, scope),
        width=width,
        height=height,
        aspect=aspect,
        duration=int(seconds * 1000) + words.longer_ms if seconds else 0,
        expires_ms=words.expires_ms,
        pack=words.pack,
        slots=slots if isinstance(slots, int) else 1,
        id=words.id,
    )


def _count(words: ResultWords, scope: Scope) -> int:
    count = convert(words.count(scope), "integer")
    return count if isinstance(count, int) and count > 0 else 1


def _aspect(sizes: Mapping[str, tuple[int, int]], wanted: Any, facts: Facts) -> str:
    """The aspect ratio asked for, else that of the first image, else the first one."""
    if wanted in sizes:
        return str(wanted)
    ratio = next((fact["ratio"] for fact in facts.values() if "ratio" in fact), None)
    if ratio is None:
        return next(iter(sizes))
    return min(sizes, key=lambda name: abs(sizes[name][0] / sizes[name][1] - ratio))


def reads(judgement: Judgement) -> Reads:
    """What the decision will need from the store."""
    call, operation = judgement.call, judgement.call.operation
    counters = (*(pick.counter for pick in call.picks), *counters_of(judgement))
    if operation is None or judgement.refused:
        return Reads(counters=counters)
    scope = judgement.scope
    task, page = operation.task, operation.page
    if operation.role == "create" and task:
        parents = tuple(str(parent(scope)) for parent in task.parents if parent(scope) is not ABSENT)
        return Reads(parents, alias_of(operation, scope), balances=True, counters=counters)
    if operation.role == "list" and page:
        return Reads(page=Page(page.kind(scope), page.number(scope), page.size(scope)), counters=counters)
    if task and task.find:
        wanted = str(task.find(scope))
        return Reads((wanted,), None if call.anonymous else wanted, counters=counters)
    return Reads(balances=True, counters=counters)


def counters_of(judgement: Judgement) -> tuple[str, ...]:
    """Every name under which this call may be counted: which scenario rules it is only known once its task is found."""
    call = judgement.call
    if call.operation is None:
        return ()
    asked = filter(None, (judgement.scenario, *(pick.scenario for pick in call.picks), standing(judgement)))
    own = () if call.operation.role == "list" else (None,)  # its tasks' counters are found with them
    return tuple(dict.fromkeys(counter_of(judgement, reference) for reference in (*own, *asked)))


def counter_of(judgement: Judgement, reference: str | None) -> str:
    """The name under which a call is counted: by payload for a create, by task for what asks for one, by scenario.

    `reference` is None for a task's own scenario.
    """
    operation = judgement.operation
    if operation.role == "create":
        what = judgement.fingerprint
    else:
        find = operation.task.find if operation.task else None
        what = str(find(judgement.scope)) if find else ""
    return f"{operation.role}/{what}/{reference or ''}"


def standing(judgement: Judgement) -> str | None:
    """The account's own scenario; one that it is given anew is told from the one before, and counts anew."""
    account = judgement.call.account
    return f"{account.scenario}#{account.chosen}" if account and account.scenario else None
