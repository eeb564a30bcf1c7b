"""Scenarios: courses of events that a caller can ask for by name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kling_mock.core.documents import Place
from kling_mock.core.durations import milliseconds
from kling_mock.core.errors import ErrorTable
from kling_mock.core.lifecycle import Latency, Lifecycle, span
from kling_mock.core.model import Delivery
from kling_mock.core.problems import Problem, SpecError, closest
from kling_mock.core.provider import Answer, Scenario

MARKER = re.compile(r"\[mock:([a-z0-9-]{1,60})\]")


def marked(texts: object) -> str | None:
    """The scenario that a prompt asks for by `[mock:NAME]`; `texts` is one text or a list of them."""
    for text in texts if isinstance(texts, list) else [texts]:
        if isinstance(text, str) and (match := MARKER.search(text)):
            return match[1]
    return None


def compile_scenarios(
    place: Place, lifecycle: Lifecycle, errors: ErrorTable, problems: list[Problem]
) -> dict[str, Scenario]:
    """Read all scenarios; what is wrong is added to `problems`."""
    found = {}
    for name, row in place.items():
        try:
            found[name] = _scenario(name, row, lifecycle, errors)
        except SpecError as error:
            problems.extend(error.problems)
    return found


def _scenario(name: str, place: Place, lifecycle: Lifecycle, errors: ErrorTable) -> Scenario:
    node = place.node
    path = tuple(node["timeline"]) if "timeline" in node else None
    breaks = frozenset(node.get("breaks", ()))
    if not MARKER.fullmatch(f"[mock:{name}]"):
        raise place.error(f"a scenario's name is lower case words with hyphens, not {name!r}")
    for index, state in enumerate(path or ()):
        if state not in lifecycle.states:
            where = place.get("timeline").item(index)
            raise where.error(f"unknown state {state!r}{closest(state, lifecycle.states)}")
    legal = path is None or lifecycle.legal(path)
    if legal == ("order" in breaks):
        said = "declares that it breaks the order and does not" if legal else "breaks the order and does not say so"
        raise place.error(f"the timeline {said}")
    answers = tuple(_answer(row, errors) for row in place.get("answers").each())
    return Scenario(name, node["shows"], path, node.get("reason"), _latency(place, lifecycle), answers, breaks)


def _latency(place: Place, lifecycle: Lifecycle) -> Latency:
    rows: dict[str, tuple[int, int]] = {}
    for state, row in place.get("latency").items():
        if state not in lifecycle.states:
            raise row.error(f"unknown state {state!r}{closest(state, lifecycle.states)}")
        rows[state] = span(row)
    return rows


def _answer(place: Place, errors: ErrorTable) -> Answer:
    node = place.node
    error = node.get("error")
    if error is not None and error not in errors.catalogue:
        raise place.get("error").error(f"no error {error!r} in the catalogue{closest(error, errors.catalogue)}")
    roles = [node["call"]] if isinstance(node["call"], str) else node["call"]
    return Answer(frozenset(roles), node.get("when", "after"), node.get("times"), error, _delivery(node))


def _delivery(node: Mapping[str, object]) -> Delivery:
    words = node.get("delivery")
    if not isinstance(words, Mapping):
        return Delivery()
    after = milliseconds(words["after"]) if "after" in words else 0
    return Delivery(after, words.get("cut_at"), bool(words.get("never", False)))
