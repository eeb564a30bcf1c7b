"""How a mock is broken on purpose: by other documents than the suite holds it to, or by a change of what it does.

The suite under test gets the documents as they ship; only the mock that it is aimed at is another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from kling_mock.contract.agreement import Agreement, agreements
from kling_mock.contract.probes import Probe
from kling_mock.contract.referee import Referee
from kling_mock.contract.suite import Report, Settings, Suite
from kling_mock.core.calls import Call
from kling_mock.core.compiling import compile_provider
from kling_mock.core.documents import tokens
from kling_mock.core.model import Wire
from kling_mock.core.provider import Provider
from kling_mock.loading import bundled, provider_names, read_documents
from kling_mock.server.bodies import encode
from kling_mock.server.mock import Mock, Options
from kling_mock.server.serving import Running

TOYS = Path(__file__).parents[1] / "providers"
GONE = object()
"""Put by a patch where something is taken away."""

Patch = tuple[tuple[str, str, Any], ...]
"""Changes of documents: the file without its ending, a pointer into it, and what stands there now."""
Change = Callable[[Mock], None]
Edit = Callable[[Any, Call], Any]


class Mutant(NamedTuple):
    """A broken mock: how, the check that must find it, and in which phases (and probes, by a part of their names).

    `also` are checks that cannot but fail too.
    """

    check: str
    phases: str
    how: Patch | Change
    probes: str = ""
    also: str = ""
    provider: str = "kling"


@cache
def agreed() -> Mapping[str, Agreement]:
    """The documents as they ship, of every provider."""
    return agreements(folders=[TOYS])


@cache
def referee(name: str) -> Referee:
    """The referee of a provider's replies; to make one takes a while."""
    return Referee(agreed()[name])


@cache
def planned(name: str, phases: tuple[str, ...], max_examples: int = 3) -> tuple[Probe, ...]:
    """The probes of some phases: they are the same for every target."""
    settings = Settings(phases, max_examples)
    return tuple(Suite(agreed()[name], "http://127.0.0.1:9", settings, {}, referee(name)).plan())


# Documents


def patched(name: str, patch: Patch) -> Provider:
    """A provider by its documents with some places changed. A change that is a function gets what stood there."""
    folder = TOYS if name in provider_names(TOYS) else bundled("specs")
    documents = dict(read_documents(folder, name))
    for file, pointer, value in patch:
        path = f"{name}/{file}.yaml"
        node = json.loads(json.dumps(documents[path]))  # YAML's aliases become parts of their own
        documents[path] = _put(node, tokens(pointer), value)
    return compile_provider(documents, name)


def _put(node: Any, path: list[str], value: Any) -> Any:
    key: Any = int(path[0]) if isinstance(node, list) else path[0]
    if len(path) > 1:
        node[key] = _put(node[key], path[1:], value)
    elif value is GONE:
        del node[key]
    else:
        node[key] = value(node[key]) if callable(value) else value
    return node


# What a mock does


def replies(edit: Edit, *roles: str, failing: bool = False) -> Change:
    """A mock whose replies to operations of these roles are edited: successes, or else errors."""

    def change(mock: Mock) -> None:
        finish = mock.finish

        def finished(prepared: Any, facts: Any) -> Wire:
            wire, call = finish(prepared, facts), prepared.call
            if call.operation is None or call.operation.role not in roles or (wire.status >= 400) is not failing:
                return wire
            told = edit(json.loads(wire.body), call)
            return told(wire) if callable(told) else says(wire, told)

        mock.finish = finished  # type: ignore[method-assign]

    return change


def says(wire: Wire, document: Any, status: int | None = None) -> Wire:
    """The reply with another document as its body."""
    return bare(wire, encode(document), status=status)


def bare(wire: Wire, body: bytes, type_: str = "application/json", status: int | None = None) -> Wire:
    """The reply with other bytes as its body."""
    headers = {**wire.headers, "Content-Type": type_, "Content-Length": str(len(body))}
    return replace(wire, status=status or wire.status, headers=headers, body=body)


# Running


@contextmanager
def serving(name: str, how: Patch | Change = ()) -> Iterator[str]:
    """A mock of one provider, broken so, in this process; its address."""
    provider = agreed()[name].provider if callable(how) else patched(name, how)
    mock = Mock([provider], Options(seed="contract"))
    if callable(how):
        how(mock)
    with Running(mock) as running:
        yield running.url


def held(mutant: Mutant) -> Report:
    """What the suite says of a broken mock."""
    probes = planned(mutant.provider, tuple(mutant.phases.split(",")))
    with serving(mutant.provider, mutant.how) as url:
        suite = Suite(agreed()[mutant.provider], url, Settings(), {}, referee(mutant.provider))
        return suite.run(probe for probe in probes if mutant.probes in probe.name)


def told(report: Report) -> str:
    """The failures of a report in short."""
    rows = [f"{failure.check}: {failure.probe}: {failure.message}" for failure in report.failures]
    return "\n".join(["the suite says:", *rows[:10]]) if rows else "it survived"
