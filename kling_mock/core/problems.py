"""What can be wrong with a spec: `SpecError`, raised once at load with everything that was found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

MEANT = "; did you mean "


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a spec document: `file` as given to the loader, `pointer` a JSON pointer into it."""

    file: str
    pointer: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}#{self.pointer}: {self.message}"


class SpecError(Exception):
    """The spec's author made a mistake; `problems` lists every one that could be found in this pass."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(map(str, self.problems)))


def closest(word: object, known: Iterable[object]) -> str:
    """Say which known word was probably meant, as the tail of a message; empty when nothing is known."""
    choices = sorted(map(str, known))
    near = get_close_matches(str(word), choices, n=1, cutoff=0.6)
    if near:
        return f"{MEANT}{near[0]!r}?"
    return f"; known are {', '.join(choices)}" if choices else ""
