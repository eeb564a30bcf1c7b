"""The same job at each provider: carried over by the parameters that jobs have in common, and priced there.

A provider takes the job over where one of its operations makes the same thing of the same input, has a word for every
feature that the job asks for, and its own constants (the model in its path, say) are the job's. What else the operation
has no word for is left out, and said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kling_mock.core.calls import Call
from kling_mock.core.documents import pointer, tokens
from kling_mock.core.expressions import ABSENT, point, text
from kling_mock.core.judging import judge as judge_call
from kling_mock.core.model import Quote, Request
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.reading import Reader, convert, is_absent
from kling_mock.payloads import CannotJudge, Judge

PRICED = ("model", "mode", "seconds", "sound", "count")
COMMON = (*PRICED, "prompt", "aspect")
SWITCH: Mapping[str, bool] = {"on": True, "off": False, "true": True, "false": False}


class Offer(NamedTuple):
    """What a job costs at a provider: `quote` is None where that is unknown, and `why` says why."""

    provider: str
    operation: str | None
    quote: Quote | None
    why: str
    without: tuple[str, ...] = ()


class Job(NamedTuple):
    """What a payload asks for: the parameters that jobs have in common, and its features by the fields that ask.

    `pictured` is whether it gives pictures, which some operations can do without.
    """

    parameters: Mapping[str, Any]
    features: Mapping[str, Mapping[str, Any]]
    operation: Operation
    pictured: bool


def offers(judge: Judge, body: Any, names: list[str] | None, operation: str | None = None) -> Iterator[Offer]:
    """The job of a payload at each of the named providers, its own one by default. Raises `CannotJudge`."""
    found, meant = judge.target(body, None, operation, {})
    for name in names if names is not None else [found.name]:
        if name == found.name:
            yield _own(judge, body, found, meant)
        else:
            yield _elsewhere(judge, judge.providers[name], job_of(found, meant, body))


def job_of(provider: Provider, operation: Operation, document: Any) -> Job:
    """The job that a payload asks for. Its features are those of the capability table, with the value of each field."""
    judged = judge_call(call_of(provider, operation, document), {})
    known = {name: judged.parameters[name] for name in COMMON if not is_absent(judged.parameters.get(name))}
    read, table, task = judged.scope["request"]["body"], provider.capabilities, operation.task
    kind = task.kind({}) if task else None
    rows = table.features.values() if table and isinstance(read, dict) else ()
    asked = (row for row in rows if kind in row.kinds and row.asked.holds(read))
    features = {row.name: {at: point(read, tokens(at)) for at in row.given(read)} for row in asked}
    return Job(known, features, operation, _pictured(operation, read))


def _pictured(operation: Operation, document: Any) -> bool:
    """Whether a document gives one of the operation's pictures, in whatever way."""
    return any(not is_absent(point(document, list(path[:1]))) for path in operation.images.values())


def _own(judge: Judge, body: Any, provider: Provider, operation: Operation) -> Offer:
    verdict = judge(body, provider.name, operation.id)
    return Offer(provider.name, operation.id, verdict.quote, verdict.quote.how if verdict.quote else _no_price())


def _no_price() -> str:
    return "no table has a price for it"


def _elsewhere(judge: Judge, provider: Provider, job: Job) -> Offer:
    """The best offer of a provider: a known price before an unknown one, then the one that leaves out least."""
    like = [operation for operation in provider.operations.values() if same_kind(operation, job)]
    if not like:
        return Offer(provider.name, None, None, f"has no operation that makes {_made(job)}")
    rows = [_offer(judge, provider, operation, job) for operation in like]
    return min(rows, key=lambda row: (row.quote is None, row.operation is None, len(row.without)))


def same_kind(one: Operation, job: Job) -> bool:
    """Whether an operation creates the same of the same: videos or images, from pictures or from words alone."""
    if one.role != "create" or one.result is None or job.operation.result is None:
        return False
    like = bool(one.images) in (bool(job.operation.images), job.pictured)
    return one.result.of == job.operation.result.of and like


def _made(job: Job) -> str:
    made = job.operation.result.of if job.operation.result else "task"
    article = "an" if made[:1] in "aeiou" else "a"
    return f"{article} {made} from {'pictures' if job.pictured else 'words alone'}"


def _offer(judge: Judge, provider: Provider, operation: Operation, job: Job) -> Offer:
    """What one operation takes for the job, or why it is another job there."""
    body: dict[str, Any] = {}
    without = []
    for name, value in job.parameters.items():
        fixed = operation.job[name]({}) if name in operation.job else ABSENT
        if not is_absent(fixed) and not isinstance(fixed, list):
            if text(fixed) != text(value):
                return Offer(provider.name, None, None, f"has {name} {text(fixed)} only, not {text(value)}")
        elif not put(operation, body, operation.pointers.get(name, ""), value) and name in PRICED:
            without.append(name)
    unsaid = [name for name, fields in job.features.items() if not _says(operation, body, job.operation, fields)]
    if unsaid:
        return Offer(provider.name, None, None, f"has no word for {', '.join(unsaid)}")
    return _priced(judge, provider, operation, body, tuple(without))


def _says(operation: Operation, body: dict[str, Any], own: Operation, fields: Mapping[str, Any]) -> bool:
    """Whether an operation has a word for a feature; what has the same name in both is written down.

    A field is an image, which is known by its role, a parameter, which is by its name, or something of its own.
    """
    names = {at: name for name, at in own.pointers.items()}
    roles = {pointer(path[:1]): role for role, path in own.images.items()}
    for at, value in fields.items():
        if (role := roles.get(at)) in operation.images:
            put(operation, body, pointer(operation.images[str(role)]), value)  # what is odd about it there, is told
            continue
        if names.get(at) in operation.job:
            continue
        if _reader(operation, tokens(at)) is None or not put(operation, body, at, value):
            return False
    return True


def _reader(operation: Operation, path: list[str]) -> Reader | None:
    """How the operation's body reads a member; None where it knows none there."""
    reader: Reader | None = next(iter(operation.bodies.values())).reader
    for token in path:
        reader = reader.members.get(token) if reader else None
    return reader


def put(operation: Operation, body: dict[str, Any], at: str, value: Any) -> bool:
    """Write a value where the operation's body says it, in its type; False where it has no word for it."""
    path = tokens(at)
    if not path or "*" in path:
        return False
    reader = _reader(operation, path)
    written = _typed(value, reader.type if reader else None)
    if written is ABSENT:
        return False
    for token in path[:-1]:
        body = body.setdefault(token, {})
    body[path[-1]] = written
    return True


def _typed(value: Any, type_: str | None) -> Any:
    """A value in the type that the other provider has for it: "on" and true are the same wish."""
    if type_ == "boolean" and isinstance(value, str):
        return SWITCH.get(value.lower(), ABSENT)
    if type_ == "string" and isinstance(value, bool):
        return "on" if value else "off"
    return convert(value, type_) if type_ else value


def _priced(
    judge: Judge, provider: Provider, operation: Operation, body: Mapping[str, Any], without: tuple[str, ...]
) -> Offer:
    judged = judge_call(call_of(provider, operation, dict(body)), {})
    asked = {operation.pointers[name]: name for name in PRICED if name in operation.pointers}
    for violation in judged.refused:
        if violation.pointer in asked and point(body, tokens(violation.pointer)) is not ABSENT:
            why = f"does not take this {asked[violation.pointer]}: it {violation.message}"
            return Offer(provider.name, None, None, why)
    why = judged.quote.how if judged.quote else _no_price()
    pictures = {pointer(path): path[0] for path in operation.images.values()}
    odd = [row for row in judged.violations if row.severity == "warning" and row.pointer in pictures]
    notes = [f"{pictures[row.pointer]} {row.message}" for row in odd]
    return Offer(provider.name, operation.id, judged.quote, "; ".join([why, *notes]), without)


def call_of(provider: Provider, operation: Operation, document: Any) -> Call:
    """The call that a request with this document would be."""
    if not operation.bodies:
        raise CannotJudge(f"{operation.id} takes no body")
    headers = {"content-type": next(iter(operation.bodies))}
    return Call(provider, Request(operation.method, operation.path, "", headers), operation, document=document)
