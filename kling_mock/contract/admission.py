"""Before the first probe: is anything of the provider's at the address, and does it take the credentials?

A request that only reads tells; nothing that could make or change a task is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from msgspec.structs import replace

from kling_mock.contract.agreement import Agreement
from kling_mock.contract.failures import brief
from kling_mock.contract.phases.strangers import anything
from kling_mock.contract.target import Answer, Target, Unanswered
from kling_mock.core.model import Request
from kling_mock.core.provider import Operation
from kling_mock.core.redaction import redacted
from kling_mock.credentials import credential, needs, way_of

READING = ("list", "balance", "query")
BARRED = frozenset({401, 403})
"""Statuses that blame who calls, whatever body they come with."""


def objection(agreement: Agreement, target: Target, credentials: Mapping[str, str], whose: str = "") -> str | None:
    """Why no probe could tell anything of a target; None where they can.

    `whose` says where the credentials come from, where that is not the environment.
    """
    missed: list[tuple[Request, Answer]] = []
    for operation in _reading(agreement):
        asked = anything(agreement, operation).request()
        request = replace(asked, headers={**asked.headers, **credential(credentials, operation)})
        try:
            answer = target.send(request)
        except Unanswered:
            return None  # the probes tell of that, each where it happens
        if not _misses(agreement, answer):
            if not operation.security or not _bars(agreement, answer):
                return None
            told = f"are refused ({_told(agreement, answer, credentials)})"
            names = _variables(agreement, operation, credentials)
            return f"{whose} {told}" if whose else f"the credentials in {names} {told}; set those of an account there"
        missed.append((request, answer))
    return _nowhere(agreement, target.url, *missed[0]) if missed else None


def _reading(agreement: Agreement) -> list[Operation]:
    """The operations that only read, first those that ask who calls."""
    rows = (row for row in agreement.provider.operations.values() if row.role in READING)
    return sorted(rows, key=lambda row: not row.security)


def _situations(agreement: Agreement, answer: Answer) -> set[str]:
    """The stages of the situations that an error reply answers, by the provider's own table."""
    names = agreement.errors.recognised(answer.document, answer.status)
    return {row.partition(".")[0] for name in names for row in agreement.provider.errors.answered(name)}


def _bars(agreement: Agreement, answer: Answer) -> bool:
    """Whether a reply refuses the credential: by the provider's table, or by its status where that does not know it."""
    if agreement.errors.recognised(answer.document, answer.status):
        return "token" in _situations(agreement, answer)
    return answer.status in BARRED


def _misses(agreement: Agreement, answer: Answer) -> bool:
    """Whether a reply says that nobody has such a path, and not that a task is unknown."""
    if answer.status != 404:
        return False
    known, stages = agreement.errors.recognised(answer.document, 404), _situations(agreement, answer)
    return not known or ("route" in stages and "task" not in stages)


def _variables(agreement: Agreement, operation: Operation, credentials: Mapping[str, str]) -> str:
    """The variables of the environment that an operation's credential was made of."""
    scheme = next(scheme for way in operation.security for scheme in way)
    names = sorted(needs(way_of(credentials, scheme)))
    return " and ".join(agreement.provider.credentials[name].variable for name in names)


def _told(agreement: Agreement, answer: Answer, credentials: Mapping[str, str]) -> str:
    """A refusal in short: status, code and text as the provider's envelope has them, or the content type."""
    codes, text = agreement.errors.said(answer.document, answer.status)
    if not codes and not text:
        return _plainly(answer)
    for secret in sorted(credentials.values(), key=len, reverse=True):
        text = text.replace(secret, "<credential>")
    first = "/".join([str(answer.status), *codes])
    return f"{first}: {brief(redacted(text))}" if text else first


def _plainly(answer: Answer) -> str:
    type_ = answer.headers.get("content-type", "").partition(";")[0].strip()
    return f"{answer.status} {type_}" if type_ else f"{answer.status} without a content type"


def _nowhere(agreement: Agreement, url: str, request: Request, answer: Answer) -> str:
    """Nothing of the provider's is there; and why, where the address shows it."""
    name = agreement.provider.name
    told = f"nothing of {name}'s is at {redacted(url)}: {request.method} {request.path} answered {_plainly(answer)}"
    twice = next(_repeated(urlsplit(url).path.split("/")[1:], request.path), None)
    if twice is None:
        return f"{told}; is the address the one in place of the provider's own?"
    again = redacted(url.removesuffix(twice))
    return f"{told}; the target's path {twice} stands in the operations' paths already; leave it out: {again}"


def _repeated(segments: Sequence[str], path: str) -> Iterator[str]:
    """The ends of an address's path with which an operation's path begins, the longest first."""
    ends = ("/" + "/".join(segments[number:]) for number in range(len(segments)) if segments[number])
    return (end for end in ends if f"{path}/".startswith(f"{end}/"))
