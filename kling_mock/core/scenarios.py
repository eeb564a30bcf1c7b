"""Scenarios: courses of events that a caller can ask for by name.

A scenario changes what is fixed in a task at its create (timeline, latency, reason, result) and what later calls get
(answers, counted per task or per payload). Times and states follow from the first, never from a count.
A reference is a name with parameters: "slow seconds=90".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from kling_mock.core.documents import Place
from kling_mock.core.durations import milliseconds
from kling_mock.core.errors import ErrorTable
from kling_mock.core.lifecycle import FOR_EVER, Latency, Lifecycle, span
from kling_mock.core.model import NOW, Counter, Delivery, Raw, Reply, Result
from kling_mock.core.problems import Problem, SpecError, closest

PAIR = re.compile(r"[a-z_]{1,30}=[A-Za-z0-9_.:-]{1,40}")
REFERENCE = rf"([a-z0-9-]{{1,60}})((?: +{PAIR.pattern}){{0,8}})"
MARKER = re.compile(rf"\[mock:{REFERENCE}\]")
WHOLE = re.compile(REFERENCE)
HOLE = re.compile(r"\{([a-z_]+)\}")
MOST_BOUND = 500
HEADER_NAME, HEADER_VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"), re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})
ANY = "any"
"""How often, or for how long: without a limit."""
LATE = "late"
"""What a receiver's answer is that comes when its sender waits no more."""
UNFILLED = ("parameters", "enum")
ROLES = ("create", "query", "list", "balance", "cancel", "download")


class Sees(Struct, frozen=True):
    """How a call sees a task otherwise than it is: in another `state`, with other `words`, other keys of `task`."""

    state: str | None = None
    words: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)


class Answer(Struct, frozen=True):
    """What a scenario does to a call: on which roles, before or after the effects, how often, and what instead.

    The first `skip` calls are left alone, then `times` are answered so (None: all), as long as `lasts_ms` have not
    passed since the first call.
    """

    on: frozenset[str]
    when: Literal["before", "after"] = "after"
    skip: int = 0
    times: int | None = None
    lasts_ms: int | None = None
    error: str | None = None
    raw: Raw | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = NOW
    sees: Sees | None = None

    @property
    def limited(self) -> bool:
        """Whether it is for some calls only, by their number or time."""
        return bool(self.skip) or self.times is not None or self.lasts_ms is not None

    def applies(self, role: str, counter: Counter, now: int) -> bool:
        """Whether this call, after those counted before, is answered so."""
        if role not in self.on or counter.count < self.skip:
            return False
        if self.times is not None and counter.count >= self.skip + self.times:
            return False
        return self.lasts_ms is None or not counter.count or now < counter.since + self.lasts_ms

    def over(self, reply: Reply) -> Reply:
        """A reply with another in its place, other headers, another delivery."""
        if self.raw:
            reply = Reply(self.raw.status, None, raw=self.raw)
        return replace(reply, delivery=self.delivery, headers={**reply.headers, **self.headers})


class Hooks(Struct, frozen=True):
    """What a scenario does to webhooks: send `copies`, newest first, tell of another `state`, spoil the signature.

    The receiver's answers to the first `takes` attempts are taken for the status `taken_for`, or for none in time.
    """

    copies: int = 1
    reversed: bool = False
    state: str | None = None
    forged: bool = False
    takes: int = 0
    taken_for: int | None = None


class Scenario(Struct, frozen=True):
    """A named course of events: the timeline is fixed in a task at its create, the answers are what calls get."""

    name: str
    shows: str
    timeline: tuple[str, ...] | None = None
    reason: str | None = None
    latency: Latency = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    breaks: frozenset[str] = frozenset()
    hooks: Hooks = Hooks()
    longer_ms: int = 0
    expires_ms: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def answer(self, role: str, counter: Counter, now: int) -> Answer | None:
        """What happens to a call of this role, if anything does."""
        return next((answer for answer in self.answers if answer.applies(role, counter, now)), None)

    def answers_to(self, role: str) -> bool:
        """Whether it says something of calls of this role."""
        return any(role in answer.on for answer in self.answers)

    def limited(self, role: str) -> bool:
        """Whether what it does to a call of this role depends on those before, which must then be counted."""
        return any(role in answer.on and answer.limited for answer in self.answers)

    @property
    def steers(self) -> bool:
        """Whether it changes what is fixed in a task at its create."""
        own = (self.timeline, self.reason, self.expires_ms, self.longer_ms or None)
        return any(row is not None for row in own) or bool(self.latency) or self.hooks != Hooks()

    def meets(self, role: str, roles: Collection[str]) -> bool:
        """Whether a call of `role` that asks for it can meet it, or a later call about the task that such a call makes.

        `roles` are those that the provider has calls of.
        """
        answered = {each for answer in self.answers for each in answer.on & set(roles)}
        if role == "create":
            return self.steers or bool(answered - {"balance"})
        return role in answered

    def unmet(self, reference: str, role: str) -> str:
        """Why a call of `role` cannot meet it, in words."""
        answered = named({each for answer in self.answers for each in answer.on}) or "create"
        return f"the scenario {reference!r} is for calls of the sort {answered}; a {role} never meets it"

    def made(self, result: Result | None) -> Result | None:
        """What a task will have made under this scenario."""
        if result is None:
            return None
        expires = result.expires_ms if self.expires_ms is None else self.expires_ms
        return replace(result, duration=result.duration + self.longer_ms, expires_ms=expires)


class Scenarios(Mapping[str, Scenario]):
    """A provider's scenarios by name, with their parameters' defaults; `find` takes a reference.

    `roles` are the sorts of calls that the provider has.
    """

    def __init__(
        self, places: Mapping[str, Place], lifecycle: Lifecycle, errors: ErrorTable, roles: Collection[str]
    ) -> None:
        self._places, self._lifecycle, self._errors = dict(places), lifecycle, errors
        self.roles = frozenset(roles)
        self._known = {name: self._compile(name, {}) for name in places}
        self._bound: dict[str, Scenario] = {}

    def __getitem__(self, name: str) -> Scenario:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def with_more(self, more: Mapping[str, Place]) -> Scenarios:
        """These and a user's own, which go before those of the same name. Raises `SpecError`."""
        return Scenarios({**self._places, **more}, self._lifecycle, self._errors, self.roles)

    def find(self, reference: str) -> Scenario:
        """The scenario that "NAME key=value ..." means. Raises `ValueError` with what is wrong."""
        found = self._known.get(reference) or self._bound.get(reference)
        if found is None:
            found = self._bind(reference)
            if len(self._bound) >= MOST_BOUND:
                self._bound.clear()
            self._bound[reference] = found
        return found

    def recall(self, reference: str | None) -> Scenario | None:
        """The scenario of a stored task; None if it has none, or the documents no longer know it."""
        try:
            return self.find(reference) if reference else None
        except ValueError:
            return None

    def _bind(self, reference: str) -> Scenario:
        name, *pairs = reference.split(" ")
        if name not in self._known:
            raise ValueError(f"there is no scenario {name[:60]!r}{closest(name[:60], self._known)}")
        match = WHOLE.fullmatch(reference)
        if match is None:
            raise ValueError(f"the scenario {name!r} {_unpaired(pairs, self._known[name].parameters)}")
        known = self._known[name].parameters
        given = dict(pair.split("=", 1) for pair in match[2].split())
        for key, value in given.items():
            if key not in known:
                takes = closest(key, known) if known else "; it takes none"
                raise ValueError(f"the scenario {name!r} has no parameter {key!r}{takes}")
            given[key] = self._value(name, key, value)
        if given.get("lasts", known.get("lasts")) != known.get("lasts") and "times" in known:
            # For a while means each time in it; who wants fewer says so.
            given.setdefault("times", ANY)
        try:
            return self._compile(name, given)
        except SpecError as error:
            told = "; ".join(problem.message for problem in error.problems)
            raise ValueError(f"the scenario {name!r} cannot be with {match[2].strip()}: {told}") from None

    def _value(self, name: str, key: str, written: str) -> Any:
        """The value that a reference gives a parameter, where it is one of those that the scenario takes."""
        value = _typed(written, self._known[name].parameters[key], key)
        listed = self._places[name].get("enum").get(key).node
        if listed is not None and value not in listed:
            raise ValueError(f"the parameter {key} of {name!r} is {_either(listed)}, not {written!r}")
        return value

    def _compile(self, name: str, given: Mapping[str, Any]) -> Scenario:
        place = self._places[name]
        values = {**place.node.get("parameters", {}), **given}
        filled = Place(place.documents, place.file, place.at, _filled(place.node, values)) if values else place
        scenario = _scenario(name, filled, self._lifecycle, self._errors)
        if scenario.answers and not scenario.steers and not any(self.roles & answer.on for answer in scenario.answers):
            asked = named({role for answer in scenario.answers for role in answer.on})
            raise place.get("answers").error(
                f"there are no calls of the sort {asked} here; known are {named(self.roles)}"
            )
        return scenario


def marked(texts: object) -> str | None:
    """The reference that a text asks for by `[mock:NAME key=value]`; `texts` is one text or a list of them."""
    for text in texts if isinstance(texts, list) else [texts]:
        if isinstance(text, str) and (match := MARKER.search(text)):
            return match[1] + "".join(f" {pair}" for pair in match[2].split())
    return None


def compile_scenarios(
    place: Place, lifecycle: Lifecycle, errors: ErrorTable, roles: Collection[str], problems: list[Problem]
) -> Scenarios:
    """Read all scenarios (an object, or an array of them); what is wrong is added to `problems`."""
    rows = rows_of(place)
    for name, row in list(rows.items()):
        try:
            Scenarios({name: row}, lifecycle, errors, roles)
        except SpecError as error:
            problems.extend(error.problems)
            del rows[name]
    return Scenarios(rows, lifecycle, errors, roles)


def rows_of(place: Place) -> dict[str, Place]:
    """The rows of an object, or of an array of objects; a later one goes before an earlier one of the same name."""
    tables = place.each() if isinstance(place.node, list) else [place]
    return {name: row for table in tables for name, row in table.items()}


def named(roles: Collection[str]) -> str:
    """Sorts of calls, in the order in which a client makes them."""
    return ", ".join(role for role in ROLES if role in roles)


def _unpaired(pairs: Collection[str], known: Mapping[str, Any]) -> str:
    """What is wrong with the parameters that a reference gives, which are not all of the form key=value."""
    wrong = next((pair for pair in pairs if pair and not PAIR.fullmatch(pair)), None)
    if wrong is None:
        return "takes eight parameters at most"
    key, equals, value = wrong.partition("=")
    such = " ".join(f"{name}={default}" for name, default in known.items()) or "none here"
    if equals and not value:
        return f"is given no value for {key!r}; its parameters are {such}"
    return f"is given {wrong[:60]!r}, which is no parameter with a value; its parameters are {such}"


def _typed(written: str, like: Any, key: str) -> Any:
    """A parameter's value in the type of its default."""
    if isinstance(like, str) or (written == ANY and key == "times"):
        return written
    try:
        value = int(written) if isinstance(like, int) else float(written)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        any_ = f", or {ANY!r}" if key == "times" else ""
        raise ValueError(f"the parameter {key} is a number such as {like}{any_}, not {written!r}")
    return value


def _either(values: Iterable[Any]) -> str:
    """Values of which one is taken: "500, 502 or 503"."""
    *others, last = map(str, values)
    return f"{', '.join(others)} or {last}" if others else last


def _filled(node: Any, values: Mapping[str, Any]) -> Any:
    """A node with its holes filled; a string that is exactly one hole takes the value's type."""
    if isinstance(node, Mapping):
        return {key: _filled(value, values) if key not in UNFILLED else value for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(item, values) for item in node]
    if isinstance(node, str):
        whole = HOLE.fullmatch(node)
        if whole and whole[1] in values:
            return values[whole[1]]
        return HOLE.sub(lambda match: str(values.get(match[1], match[0])), node)
    return node


def _scenario(name: str, place: Place, lifecycle: Lifecycle, errors: ErrorTable) -> Scenario:
    node = place.node
    if not WHOLE.fullmatch(name):
        raise place.error(f"a scenario's name is lower case words with hyphens, not {name!r}")
    path = tuple(node["timeline"]) if "timeline" in node else None
    for index, state in enumerate(path or ()):
        _known_state(place.get("timeline").item(index), state, lifecycle)
    _check_enum(place)
    result = place.get("result", {})
    scenario = Scenario(
        name=name,
        shows=node["shows"],
        timeline=path,
        reason=node.get("reason"),
        latency=_latency(place, lifecycle),
        answers=tuple(_answer(row, lifecycle, errors) for row in place.get("answers").each()),
        breaks=frozenset(node.get("breaks", ())),
        hooks=_hooks(place.get("webhooks", {}), lifecycle),
        longer_ms=_duration(result, "longer") or 0,
        expires_ms=_duration(result, "expires"),
        parameters=node.get("parameters", {}),
        evidence=node["evidence"],
    )
    _check_breaks(place, scenario, lifecycle)
    return scenario


def _check_enum(place: Place) -> None:
    """Values are listed of parameters that are there, and what a parameter is unless given is one of them."""
    parameters = place.node.get("parameters", {})
    for name, row in place.get("enum").items():
        if name not in parameters:
            raise row.error(f"there is no parameter {name!r}{closest(name, parameters)}")
        if parameters[name] not in row.node:
            raise row.error(f"lists {_either(row.node)}, and not {parameters[name]}, which {name} is unless given")


def _check_breaks(place: Place, scenario: Scenario, lifecycle: Lifecycle) -> None:
    """What a scenario breaks and what it says that it breaks must be the same."""
    path, broken = scenario.timeline, set()
    if path is not None and not lifecycle.legal(path):
        broken.add("order")
    for answer in scenario.answers:
        if answer.sees:
            broken |= {"agreement"} if answer.sees.state else set()
            broken |= {"word"} if answer.sees.words else set()
            broken |= {"shape"} if answer.sees.task else set()
        retyped = any(name.lower() == "content-type" for name in answer.headers)
        if retyped or (answer.raw and answer.raw.status < 300):
            broken.add("shape")
    if scenario.hooks.state:
        broken.add("agreement")
    for what in sorted(broken ^ scenario.breaks):
        said = "breaks it and does not say so" if what in broken else "says that it breaks it and does not"
        raise place.error(f"{what}: the scenario {said}")


def _known_state(place: Place, state: str, lifecycle: Lifecycle) -> str:
    if state not in lifecycle.states:
        raise place.error(f"unknown state {state!r}{closest(state, lifecycle.states)}")
    return state


def _latency(place: Place, lifecycle: Lifecycle) -> Latency:
    rows: dict[str, tuple[int, int]] = {}
    for state, row in place.get("latency").items():
        rows[_known_state(row, state, lifecycle)] = FOR_EVER if row.node == "never ends" else span(row)
    return rows


def _duration(place: Place, name: str) -> int | None:
    """A duration of the place in ms, if it is there."""
    if name not in place.node:
        return None
    try:
        return milliseconds(place.node[name])
    except ValueError as error:
        raise place.get(name).error(str(error)) from None


def _hooks(place: Place, lifecycle: Lifecycle) -> Hooks:
    node = place.node
    if "state" in node:
        _known_state(place.get("state"), node["state"], lifecycle)
    status = None if node.get("answered") == LATE else _number(place, "answered")
    if status is not None and not 300 <= status <= 599:
        raise place.get("answered").error(f"should be a status from 300 to 599, or {LATE!r}; {status} is none of them")
    return Hooks(
        copies=node.get("copies", 1),
        reversed=node.get("reversed", False),
        state=node.get("state"),
        forged=node.get("forged", False),
        takes=(_number(place, "times") or 1) if "answered" in node else 0,
        taken_for=status,
    )


def _answer(place: Place, lifecycle: Lifecycle, errors: ErrorTable) -> Answer:
    node = place.node
    error = node.get("error")
    if error is not None and error not in errors.catalogue:
        raise place.get("error").error(f"no error {error!r} in the catalogue{closest(error, errors.catalogue)}")
    raw = node.get("reply")
    sees = node.get("sees")
    if sees and "state" in sees:
        _known_state(place.get("sees").get("state"), sees["state"], lifecycle)
    roles = node["call"] if isinstance(node["call"], list) else [node["call"]]
    for role in roles:
        if role not in ROLES:
            raise place.get("call").error(f"no calls of the sort {role!r}{closest(str(role), ROLES)}")
    if "download" in roles and (error or sees):
        raise place.error("a file comes from no provider: its download has a reply, headers or a delivery only")
    delivery = _delivery(place.get("delivery", {}))
    if node.get("when") == "before" and not (error or raw or delivery.never or delivery.cut_at == 0):
        raise place.error(
            "what comes before the effects needs an `error` or a `reply`; or no answer: `never`, `cut_at: 0`"
        )
    return Answer(
        on=frozenset(roles),
        when=node.get("when", "after"),
        skip=_number(place, "skip") or 0,
        times=None if node.get("times") == ANY else _number(place, "times"),
        lasts_ms=None if node.get("lasts") == ANY else _duration(place, "lasts"),
        error=error,
        raw=_raw(place.get("reply")) if raw else None,
        headers=dict(_header(name, row) for name, row in place.get("headers", {}).items()),
        delivery=delivery,
        sees=Sees(sees.get("state"), sees.get("words", {}), sees.get("task", {})) if sees else None,
    )


def _raw(place: Place) -> Raw:
    """A reply that no provider wrote. One below 200 is no answer, and one from 600 on is no HTTP."""
    status = _number(place, "status")
    if status is None or not 200 <= status <= 599:
        raise place.get("status").error(f"should be a status from 200 to 599; {status} is none")
    return Raw(status, place.node["type"], place.node.get("text", ""))


def _number(place: Place, name: str) -> int | None:
    value = place.node.get(name)
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise place.get(name).error(f"a whole number from 0 on is expected, got {value!r}")
    return value


def _header(name: str, place: Place) -> tuple[str, str]:
    """A header that HTTP can send, and that does not say how long its reply is."""
    value = str(place.node)
    if not HEADER_NAME.fullmatch(name) or name.lower() in FRAMING:
        raise place.error(f"{name!r} is no header that a reply can be given")
    if not HEADER_VALUE.fullmatch(value):
        raise place.error("a header's value is one line of Latin-1")
    return name, value


def _delivery(place: Place) -> Delivery:
    return Delivery(
        after_ms=_duration(place, "after") or 0,
        over_ms=_duration(place, "over") or 0,
        cut_at=_number(place, "cut_at"),
        never=bool(place.node.get("never", False)),
    )
