"""The agreement that a target is held to: a provider's compiled documents, their text, and its fixtures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from kling_mock.contract.errors import Catalogue
from kling_mock.contract.readings import Reading, read, same
from kling_mock.contract.target import Answer
from kling_mock.core.documents import Documents, Place
from kling_mock.core.expressions import ABSENT
from kling_mock.core.lifecycle import State
from kling_mock.core.provider import Operation, Provider
from kling_mock.loading import bundled, load_providers, provider_names, read_documents
from kling_mock.yaml_files import read_yaml


class Sighting(Struct, frozen=True):
    """A task as one reply shows it: the values that its template takes from the task, by expression.

    `states` are the states that have these words: none for a word of nobody, several where words are shared. `created`
    is the instant of its creation in ms; `absent` is what the template takes from the task and the reply does not have.
    `files` says whether there is a list of files at all.
    """

    id: str
    values: Mapping[str, Any]
    states: tuple[str, ...]
    urls: tuple[str, ...]
    files: bool = False
    created: float | None = None
    absent: frozenset[str] = frozenset()


class Form(NamedTuple):
    """One way in which an operation answers: the variant, the states that it is for, and the body's template."""

    status: int
    variant: str
    template: Place


@dataclass(frozen=True)
class Agreement:
    """One provider's documents, compiled (`provider`) and as they stand (`root`), and the folder of its fixtures."""

    provider: Provider
    documents: Documents
    fixtures: Path

    @property
    def root(self) -> Place:
        """The OpenAPI document."""
        file = f"{self.provider.name}/openapi.yaml"
        return Place(self.documents, file, "", self.documents[file])

    def place(self, operation: Operation) -> Place:
        """The operation in the document."""
        return self.root.get("paths").get(operation.path).get(operation.method.lower())

    @cached_property
    def forms(self) -> dict[str, list[Form]]:
        """The ways in which each operation answers with success, by its id."""
        return {row.id: list(self._forms(row)) for row in self.provider.operations.values()}

    def _forms(self, operation: Operation) -> Iterator[Form]:
        for status, response in self.place(operation).get("responses").items():
            for _, media in response.get("content").items():
                for variant in self.provider.variants:
                    body = media.get("x-mock-body")
                    template = body if body.node is not None else media.get("x-mock-bodies").get(variant)
                    if template.node is not None and status.isdigit():
                        yield Form(int(status), variant, template)

    # What a reply says

    def reading(self, operation: Operation, answer: Answer) -> Reading | None:
        """What a successful reply says, by the form that it fits best; None for what is no such reply."""
        document = answer.document
        if answer.status >= 300 or document is ABSENT:
            return None
        templates = [form.template for form in self.forms[operation.id] if form.status == answer.status]
        return closest(templates, document) if templates else None

    def sightings(self, operation: Operation, answer: Answer) -> list[Sighting]:
        """The tasks that a reply shows, in order."""
        reading = self.reading(operation, answer)
        return [] if reading is None else self.shown(reading)

    def shown(self, reading: Reading) -> list[Sighting]:
        """The tasks that a reading tells of."""
        return [self._sighting(row) for row in reading.each() if isinstance(row.value("task.id"), str)]

    def _sighting(self, row: Reading) -> Sighting:
        values = {name: bound.value for name, bound in row.bound.items() if name.startswith(("task.", "state."))}
        found = [file.value("item.url") for file in row.rows.get("task.results", [])]
        return Sighting(
            id=row.value("task.id"),
            values=values,
            states=tuple(self.states(values)),
            urls=tuple(url for url in found if isinstance(url, str)),
            files="task.results" in row.rows,
            created=row.bound["task.created"].instant if "task.created" in row.bound else None,
            absent=frozenset(row.absent),
        )

    def states(self, values: Mapping[str, Any]) -> Iterator[str]:
        """The states whose words a task is shown with, by the columns that tell how a task is."""
        words = {name.removeprefix("state."): value for name, value in values.items() if name.startswith("state.")}
        telling = [name for name in words if name in self.columns]
        for name, state in self.provider.lifecycle.states.items():
            if telling and all(same(state.words[column], words[column]) for column in telling):
                yield name

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns of words that tell a running task, a success and a failure apart."""
        states = self.provider.lifecycle.states.values()
        return frozenset(column for state in states for column in state.words if _tells(list(states), column))

    @cached_property
    def errors(self) -> Catalogue:
        """The table of errors, by which replies are recognised."""
        return Catalogue(self.provider)

    # Fixtures

    @cached_property
    def examples(self) -> dict[str, Mapping[str, Any]]:
        """The fixtures that are exchanges, by file name."""
        rows = sorted(self.fixtures.glob("*.yaml")) if self.fixtures.is_dir() else []
        return {path.stem: read_yaml(path, path.name) for path in rows}


def closest(templates: Iterable[Place], document: Any) -> Reading:
    """A document as it is read by the template that it fits best."""
    return min((read(template, document) for template in templates), key=_strangeness)


def _strangeness(reading: Reading) -> tuple[bool, int]:
    return "task.id" not in reading.bound and not reading.rows, len(reading.misfits)


def _tells(states: list[State], column: str) -> bool:
    """Whether no word of a column is that of two different ends."""
    ends: dict[str, set[str | None]] = {}
    for state in states:
        ends.setdefault(repr(state.words[column]), set()).add(state.ends)
    return all(len(found) == 1 for found in ends.values())


def agreements(names: Sequence[str] = (), folders: Sequence[Path] = ()) -> dict[str, Agreement]:
    """The agreements of providers by name (all of them by default): the bundled ones and those of these folders.

    A provider's fixtures lie in the fixtures that ship, or in the folder `fixtures` beside its documents.
    Raises `SpecError`.
    """
    found = {}
    for name, provider in load_providers(names, folders).items():
        specs = next((folder for folder in reversed(folders) if name in provider_names(folder)), bundled("specs"))
        own = specs == bundled("specs")
        fixtures = bundled("fixtures") / name if own else specs / name / "fixtures"
        found[name] = Agreement(provider, read_documents(specs, name), fixtures)
    return found
