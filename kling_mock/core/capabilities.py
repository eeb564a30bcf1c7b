"""Which feature works with which model, mode and length: one table, one evaluator.

A feature says by a schema over the read document how a request asks for it; the matrix says, by model and mode ("*":
any), for which seconds it is there. What is not in the matrix is not there; `undocumented` is a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from msgspec import Struct

from kling_mock.core.documents import Place, tokens
from kling_mock.core.expressions import point, text
from kling_mock.core.model import Severity, Violation
from kling_mock.core.problems import closest
from kling_mock.core.reading import is_absent
from kling_mock.core.schemas import Schema, Schemas


class Feature(Struct, frozen=True):
    """How a request asks for a feature, and how its refusal speaks of it: another `nowhere`, if no mode has it.

    `fields` are all that can ask for it, `field` the first of them.
    """

    name: str
    kinds: frozenset[str]
    asked: Schema
    field: str
    dimensions: Mapping[str, str]
    called: str
    error: str | None
    nowhere: str | None
    severity: Severity
    evidence: Mapping[str, Any]
    fields: tuple[str, ...]

    def given(self, document: Any) -> tuple[str, ...]:
        """Those of its fields that a document has; the first one, if it has none."""
        found = tuple(at for at in self.fields if not is_absent(point(document, tokens(at))))
        return found or self.fields[:1]


class Cell(Struct, frozen=True):
    """For which seconds a feature is there (None: undocumented), and which features must not be asked for beside it."""

    seconds: frozenset[float] | tuple[float, float] | None
    without: tuple[str, ...] = ()

    def has(self, seconds: float | None) -> bool:
        """Whether the feature is there for this length; a job without a length has any."""
        if self.seconds is None or seconds is None:
            return True
        if isinstance(self.seconds, tuple):
            return self.seconds[0] <= seconds <= self.seconds[1]
        return seconds in self.seconds

    def nearest(self, seconds: float | None) -> list[float]:
        """The length that is there and nearest to `seconds`."""
        if seconds is None or not self.seconds:
            return []
        if isinstance(self.seconds, tuple):
            return [min(max(seconds, self.seconds[0]), self.seconds[1])]
        return [min(self.seconds, key=lambda length: (abs(length - seconds), length))]

    def told(self) -> str:
        """The seconds in words: "5, 10 s" or "3 to 15 s"."""
        if isinstance(self.seconds, tuple):
            return f"{text(self.seconds[0])} to {text(self.seconds[1])} s"
        return ", ".join(text(second) for second in sorted(self.seconds or ())) + " s"


class Capabilities(Struct, frozen=True):
    """A provider's table."""

    features: Mapping[str, Feature]
    matrix: Mapping[str, Mapping[str, Mapping[str, Cell]]]
    evidence: Mapping[str, Any]

    def cell(self, model: str, mode: str, feature: str) -> Cell | None:
        """What the matrix says; None when the feature is not there at all."""
        modes = self.matrix.get(model, {})
        return modes.get(mode, modes.get("*", {})).get(feature)

    def violations(self, kind: str, document: Any, job: Mapping[str, Any]) -> list[Violation]:
        """Every feature that a request for this kind of task asks for and does not get."""
        model, mode = job.get("model"), str(job.get("mode", "*"))
        if not isinstance(model, str) or model not in self.matrix:
            return []
        rows = (feature for feature in self.features.values() if kind in feature.kinds)
        asked = {feature.name: feature for feature in rows if feature.asked.holds(document)}
        found = (self._violation(feature, asked, model, mode, job, document) for feature in asked.values())
        return [violation for violation in found if violation is not None]

    def _violation(
        self,
        feature: Feature,
        asked: Collection[str],
        model: str,
        mode: str,
        job: Mapping[str, Any],
        document: Any,
    ) -> Violation | None:
        """What is wrong with a feature; `asked` are all that are asked for."""
        cell = self.cell(model, mode, feature.name)
        clash = next((name for name in cell.without if name in asked), None) if cell else None
        there = cell is not None and clash is None and cell.has(job.get("seconds"))
        if there and cell is not None and cell.seconds is not None:
            return None
        at = feature.given(document)[0]
        if there:
            message = f"{feature.called} with {model} is not documented"
            return Violation(feature.name, at, message, "warning")
        given = [text(job.get(name, "")) for name in feature.dimensions]
        values = {
            "field": at.rpartition("/")[2],
            "value": "/".join(given),
            "dimensions": "/".join(feature.dimensions.values()),
            "values": "/".join(given),
            "called": feature.called,
        }
        message = self._message(feature, model, mode, job, clash)
        somewhere = any(_there(cells, feature) for cells in self.matrix[model].values())
        error = feature.error if somewhere else feature.nowhere or feature.error
        return Violation(feature.name, at, message, feature.severity, "capabilities", error, values)

    def _message(self, feature: Feature, model: str, mode: str, job: Mapping[str, Any], clash: str | None) -> str:
        """What the feature needs: another partner, length, mode or model, whichever is nearest."""
        if clash is not None:
            return f"{feature.called} cannot be combined with {self.features[clash].called} in {model}"
        here = self.matrix[model]
        if (cell := self.cell(model, mode, feature.name)) and cell.seconds:
            this = text(job.get("seconds"))
            return f"{feature.called} needs {cell.told()} with {model} in mode {mode}; this is {this} s"
        modes = [
            f"mode {name} ({cells[feature.name].told()})" for name, cells in here.items() if _there(cells, feature)
        ]
        if modes:
            return f"{feature.called} needs {' or '.join(modes)} with {model}; this is {mode}"
        models = [name for name, rows in self.matrix.items() if any(_there(cells, feature) for cells in rows.values())]
        return f"{feature.called} is not there with {model}" + (f"; it is with {', '.join(models)}" if models else "")

    def choices(self, feature: str, model: str) -> Iterator[tuple[str, Cell]]:
        """The modes of a model in which a feature is there, with their cells."""
        for mode, cells in self.matrix.get(model, {}).items():
            if cells.get(feature):
                yield mode, cells[feature]


def _there(cells: Mapping[str, Cell], feature: Feature) -> bool:
    cell = cells.get(feature.name)
    return cell is not None and bool(cell.seconds)


def compile_capabilities(place: Place, schemas: Schemas) -> Capabilities:
    """Read the table. Raises `SpecError` for features in the matrix that nobody declares."""
    shared = place.node["evidence"]
    features = {name: _feature(name, row, schemas, shared) for name, row in place.get("features").items()}
    matrix: dict[str, dict[str, dict[str, Cell]]] = {}
    for model, modes in place.get("matrix").items():
        matrix[model] = {}
        for mode, cells in modes.items():
            for name, cell in cells.items():
                if name not in features:
                    raise cell.error(f"unknown feature {name!r}{closest(name, features)}")
            matrix[model][mode] = {name: _cell(cell, features) for name, cell in cells.items()}
    return Capabilities(features, matrix, shared)


def _feature(name: str, place: Place, schemas: Schemas, shared: Mapping[str, Any]) -> Feature:
    node = place.node
    fields = tuple(node.get("fields", ())) or (node["field"],)
    return Feature(
        name=name,
        kinds=frozenset(node["kinds"]),
        asked=schemas.compile(place.get("asked"), name),
        field=fields[0],
        dimensions=dict(node["dimensions"]),
        called=node["called"],
        error=node.get("error"),
        nowhere=node.get("nowhere"),
        severity=node.get("severity", "refused"),
        evidence=node.get("evidence", shared),
        fields=fields,
    )


def _cell(place: Place, features: Collection[str]) -> Cell:
    node = place.node
    if node == "undocumented":
        return Cell(None)
    without = tuple(node.get("without", ())) if isinstance(node, dict) else ()
    for name in without:
        if name not in features:
            raise place.error(f"unknown feature {name!r}{closest(name, features)}")
    seconds = node["seconds"] if isinstance(node, dict) and "seconds" in node else node
    if isinstance(seconds, dict):
        return Cell((seconds["from"], seconds["to"]), without)
    return Cell(frozenset(seconds), without)
