"""Steering a mock: accounts, forced states, clocks and resets, as functions that know no HTTP.

The control API and the pytest plugin call the same ones. What cannot be done raises `Refused`, a `ValueError` whose
text says why; what changes tasks does so in one transaction of the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from kling_mock.core.clock import Line
from kling_mock.core.courses import force
from kling_mock.core.durations import instant, milliseconds
from kling_mock.core.expressions import FILTERS
from kling_mock.core.lifecycle import observe
from kling_mock.core.model import Account, Decision, Found, Pack, Reads, Reply, Task, View
from kling_mock.core.packs import usual
from kling_mock.core.problems import closest
from kling_mock.core.provider import Provider
from kling_mock.server.mock import Mock

LATEST = 253_402_300_799_999
"""The last ms of the year 9999: no clock is taken beyond it, since no date could be written there."""


class Refused(ValueError):
    """What cannot be done: the thing is `missing`, a `value` means nothing, or it is in `conflict` with what is.

    `pointer` says which value of the request is meant.
    """

    def __init__(self, why: Literal["missing", "value", "conflict"], message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.why, self.pointer = why, pointer


class Clock(Struct, frozen=True):
    """A clock as it is shown: `now` in ms; `speed` against what is under it; `frozen` when time stands still here."""

    now: int
    iso: str
    speed: float
    frozen: bool
    account: str | None


# Looking up


def provider(mock: Mock, name: str, pointer: str = "") -> Provider:
    """A provider by name."""
    if name not in mock.providers:
        raise Refused("value", f"there is no provider {cut(name)!r}{closest(cut(name), mock.providers)}", pointer)
    return mock.providers[name]


def account(mock: Mock, id_: str, pointer: str = "", why: Literal["missing", "value"] = "value") -> Account:
    """An account by id."""
    found = mock.accounts.get(id_)
    if found is None:
        known = [known.id for known in mock.accounts.all()]
        raise Refused(why, f"there is no account {cut(id_)!r}{_nearest(cut(id_), known)}", pointer)
    return found


def task(mock: Mock, id_: str) -> Task:
    """A task by its id, whoever's it is and at whichever provider."""
    for name in mock.providers:
        found = mock.store.task(name, id_)
        if found is not None:
            return found
    raise Refused("missing", f"there is no task {cut(id_)!r}")


def view(mock: Mock, found: Task) -> View:
    """How a task looks now, by its account's clock."""
    return observe(mock.providers[found.provider].lifecycle, found, mock.clocks.now(found.account))


def holdings(mock: Mock, owner: Account) -> Found:
    """What an account's packs hold and how many slots are open, now."""
    return mock.store.fetch(Reads(balances=True), owner.provider, owner, mock.clocks.wall)


def environment(mock: Mock, owner: Account, url: str) -> dict[str, str]:
    """The environment variables of a client of this account; `url` is the server's, without a path."""
    served = mock.providers[owner.provider]
    base = url.rstrip("/") + mock.options.mounts.get(served.name, "")
    variables = {name: row.variable for name, row in served.credentials.items() if row.variable}
    shown = {variables[name]: value for name, value in owner.credentials.items() if name in variables}
    return {served.base_url_variable: base} | shown


# Changing


def register(
    mock: Mock,
    name: str,
    packs: Iterable[Mapping[str, Any]] | None = None,
    slots: int | None = None,
    scenario: str | None = None,
    variant: str | None = None,
    at: int | None = None,
) -> Account:
    """A new account; `packs` are {type, total, unit?, valid?, starts?, slots?}, the provider's own unless given.

    `at` is the account's time where its clock will be put ahead of the base clock: its packs last from then on.
    """
    chosen = provider(mock, name, "/provider")
    if scenario is not None:
        known_scenario(chosen, scenario)
    if variant is not None and variant not in chosen.variants:
        near = closest(cut(variant), chosen.variants)
        raise Refused("value", f"{name} has no variant {cut(variant)!r}{near}", "/variant")
    if slots is not None and (not isinstance(slots, int) or isinstance(slots, bool) or slots < 0):
        raise Refused("value", f"slots are a whole number from 0 on, not {cut(repr(slots))}", "/slots")
    now = mock.clocks.now() if at is None else at
    bought = usual(chosen.packs) if packs is None else _packs(chosen, packs, now)
    if at is not None:
        bought = tuple(pack if pack.since is not None else replace(pack, since=at) for pack in bought)
    return mock.accounts.register(chosen, bought, slots, scenario, variant)


def give_scenario(mock: Mock, id_: str, reference: str | None) -> tuple[Account, str | None]:
    """Give an account another default scenario, or none; gives the account and the scenario that it had.

    It is counted anew.
    """
    new, old = _changed(mock, id_, lambda owner: _with_scenario(mock, owner, reference))
    return new, old.scenario


def change_account(mock: Mock, id_: str, given: Mapping[str, Any]) -> Account:
    """Give an account another default scenario, and its packs another validity, as far as they are given: all or none.

    `packs` are {type, valid?, starts?}; each lasts from now on, what it holds stays.
    """

    def change(old: Account) -> Account:
        new = _with_scenario(mock, old, given["scenario"]) if "scenario" in given else old
        return _renewed(mock, new, given["packs"]) if "packs" in given else new

    return _changed(mock, id_, change)[0]


def _changed(mock: Mock, id_: str, change: Callable[[Account], Account]) -> tuple[Account, Account]:
    """The account after and before a change; once more, if another process changed it in between."""
    while True:
        old = account(mock, id_, why="missing")
        new = change(old)
        if mock.store.change_account(old, new):
            return new, old


def _with_scenario(mock: Mock, old: Account, reference: str | None) -> Account:
    if reference is not None:
        known_scenario(mock.providers[old.provider], reference)
    return replace(old, scenario=reference, chosen=old.chosen + 1)


def _renewed(mock: Mock, old: Account, rows: Iterable[Mapping[str, Any]]) -> Account:
    packs, now = {pack.type: pack for pack in old.packs}, mock.clocks.now(old.id)
    for index, row in enumerate(rows):
        at, type_ = f"/packs/{index}", row["type"]
        if type_ not in packs:
            raise Refused(
                "value", f"the account has no pack of the type {cut(type_)!r}{closest(cut(type_), packs)}", f"{at}/type"
            )
        begins = now + _understood(milliseconds, row.get("starts", 0), f"{at}/starts")
        packs[type_] = replace(packs[type_], since=begins, valid_ms=_lasts(row, at))
    return replace(old, packs=tuple(packs.values()))


def _lasts(row: Mapping[str, Any], at: str) -> int | None:
    """How long a pack is to last; None is as long as usual."""
    return _understood(milliseconds, row["valid"], f"{at}/valid") if "valid" in row else None


def known_scenario(chosen: Provider, reference: str) -> None:
    """Refuse what is no scenario of the provider, or has parameters that it does not take."""
    try:
        chosen.scenarios.find(reference)
    except ValueError as error:
        said = str(error).replace("there is no scenario", f"{chosen.name} has no scenario", 1)
        raise Refused("value", said, "/scenario") from None


def _packs(chosen: Provider, rows: Iterable[Mapping[str, Any]], now: int) -> tuple[Pack, ...]:
    known = {pack.type: pack for pack in _known_packs(chosen)}
    found: dict[str, Pack] = {}
    for index, row in enumerate(rows):
        at, type_ = f"/packs/{index}", row["type"]
        if type_ not in known:
            near = closest(cut(type_), known)
            raise Refused("value", f"{chosen.name} has no pack of the type {cut(type_)!r}{near}", f"{at}/type")
        if type_ in found:
            raise Refused("value", f"there is a pack of the type {type_!r} already", f"{at}/type")
        own = known[type_]
        since = now + _understood(milliseconds, row["starts"], f"{at}/starts") if "starts" in row else None
        unit, total = row.get("unit", own.unit), Decimal(str(row["total"]))
        found[type_] = Pack(type_, unit, total, own.name, since, _lasts(row, at), row.get("slots"))
    return tuple(found.values())


def _known_packs(chosen: Provider) -> Iterable[Pack]:
    """A pack for each type that some operation is paid from, and the provider's own, which win."""
    for operation in chosen.operations.values():
        words = operation.result
        if words and words.pack:
            yield Pack(words.pack, words.prices[0].unit if words.prices else "", Decimal(0))
    yield from chosen.packs


def force_state(mock: Mock, id_: str, state: str, reason: str | None = None, jump: bool = False) -> Task:
    """Put a task into a state now: by the shortest legal way, or by a `jump` that breaks the order."""
    served = mock.providers[task(mock, id_).provider]
    states = served.lifecycle.states
    if state not in states:
        raise Refused("value", f"there is no state {cut(state)!r}{closest(cut(state), states)}", "/state")
    if reason is not None and states[state].ends != "failure":
        raise Refused("value", f"a task that is {state!r} has no reason to fail", "/reason")

    def step(found: Found) -> Decision:
        if id_ not in found.tasks:
            raise Refused("missing", f"there is no task {cut(id_)!r}")
        try:
            return Decision(Reply(200, None), force(served, found.tasks[id_], state, reason, found.now, jump))
        except ValueError as error:
            raise Refused("conflict", f'{error}; "break": true jumps there all the same', "/state") from None

    mock.store.decide(Reads((id_,)), served.name, None, None, mock.clocks.wall, step)
    mock.deliverer.wake()
    return task(mock, id_)


def reset(mock: Mock, owner: str | None = None) -> int:
    """Forget what an account did (tasks, ledger, exchanges, webhooks), or all did; gives how many tasks there were."""
    if owner is not None:
        account(mock, owner, "/account")
    return mock.store.reset(owner)


# Time


def clock(mock: Mock, owner: str | None = None, pointer: str = "") -> Clock:
    """The clock of an account, or the base clock."""
    if owner is not None:
        account(mock, owner, pointer)
    now, speed = mock.clocks.now(owner), mock.clocks.speed(owner)
    return Clock(now, iso(now), speed, 0 in (speed, mock.clocks.speed(None)), owner)


def advance(mock: Mock, by: object, owner: str | None = None) -> Clock:
    """Let time jump ahead: "31m", or seconds."""
    duration = _understood(milliseconds, by, "/advance")
    return _turn(mock, owner, lambda line, source: _jumped(line, source, line.at(source) + duration, "/advance"))


def set_time(mock: Mock, at: object, owner: str | None = None) -> Clock:
    """Let time jump to an instant that is not past."""
    to = _understood(instant, at, "/set")
    return _turn(mock, owner, lambda line, source: _jumped(line, source, to, "/set"))


def run(mock: Mock, speed: float, owner: str | None = None) -> Clock:
    """Let time go on from here so many times faster than what is under it; 0 freezes."""
    return _turn(mock, owner, lambda line, source: line.run(source, speed))


def resume(mock: Mock, owner: str | None = None) -> Clock:
    """Let a frozen clock go on from here, as fast as before; one that runs just goes on."""
    return _turn(mock, owner, lambda line, source: line.run(source, mock.clocks.pace(owner)))


def _turn(mock: Mock, owner: str | None, change: Callable[[Line, int], Line]) -> Clock:
    """Change a clock; every call sees the time before or after it."""
    clock(mock, owner, "/account")
    mock.clocks.change(owner, change)
    return clock(mock, owner)


def _jumped(line: Line, source: int, to: int, pointer: str) -> Line:
    now = line.at(source)
    if to < now:
        raise Refused("conflict", f"the clock is at {iso(now)} and time never goes back", pointer)
    if to > LATEST:
        raise Refused("conflict", "the clock would go beyond the year 9999", pointer)
    return line.turn(source, to, line.speed)


def _understood(read: Callable[[object], int], written: object, pointer: str) -> int:
    try:
        return read(written)
    except ValueError as error:
        raise Refused("value", str(error), pointer) from None


def iso(at: int) -> str:
    """An instant in ms as ISO 8601 in UTC."""
    return str(FILTERS["iso"](at, ""))


def cut(name: str) -> str:
    """A caller's word as it may stand in a message."""
    return name[:60]


def _nearest(word: str, known: Iterable[str]) -> str:
    """The word probably meant; not all known ones, of which there may be thousands."""
    near = closest(word, known)
    return near if near.startswith("; did") else ""
