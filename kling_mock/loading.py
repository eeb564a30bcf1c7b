"""Reading spec folders from disk: which provider is described where, and its documents together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from kling_mock.core.compiling import compile_provider, referred
from kling_mock.core.documents import Documents
from kling_mock.core.problems import Problem, SpecError, closest
from kling_mock.core.provider import Provider
from kling_mock.core.routes import overlap, segments
from kling_mock.core.words import WORDS
from kling_mock.yaml_files import read_yaml


def bundled(name: str) -> Path:
    """A folder that ships with the package ("specs", "fixtures"): inside it when installed, beside it in a checkout."""
    here = Path(__file__).resolve().parent
    inside = here / name
    return inside if inside.is_dir() else here.parent / name


@cache
def _read(folder: Path) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    # What all providers share lies beside their folders.
    own = {
        path.relative_to(folder).as_posix(): path for path in sorted([*folder.glob("*.yaml"), *folder.glob("*/*.yaml")])
    }
    waiting = {**_lent(folder), **own}
    wanted = list(own)
    while wanted:
        name = wanted.pop(0)
        if name in waiting:
            try:
                found[name] = read_yaml(waiting.pop(name), name)
            except SpecError as error:
                problems.extend(error.problems)
            else:
                wanted += sorted(referred(name, found[name]))
    words = folder / WORDS
    found[WORDS] = json.loads((words if words.is_file() else bundled("specs") / WORDS).read_text(encoding="utf-8"))
    return found, tuple(problems)


def _lent(folder: Path) -> dict[str, Path]:
    """The bundled documents that a folder of a user's own may refer to, by path relative to the bundled specs.

    None of a provider that the folder describes itself: that replaces the bundled one as a whole.
    """
    root, own = bundled("specs"), provider_names(folder)
    paths = [*root.glob("*.yaml"), *(path for path in root.glob("*/*.yaml") if path.parent.name not in own)]
    return {path.relative_to(root).as_posix(): path for path in paths}


def bundled_words() -> Any:
    """The schema of the x-mock-* words."""
    return json.loads((bundled("specs") / WORDS).read_text(encoding="utf-8"))


def read_documents(folder: Path, name: str | None = None) -> Documents:
    """All documents below a specs folder, by path relative to it, with the schema of words.

    Raises `SpecError` for files that cannot be read: those of the provider `name`, or any.
    """
    found, problems = _read(folder)
    if mine := [
        problem
        for problem in problems
        if name is None or problem.file.startswith(f"{name}/") or "/" not in problem.file
    ]:
        raise SpecError(mine)
    return found


def provider_names(folder: Path) -> list[str]:
    """The providers that a specs folder describes."""
    return sorted(path.parent.name for path in folder.glob("*/openapi.yaml"))


class Missing(Problem):
    """Something asked for that is not there: nothing in a document is wrong, so no place in one is told."""

    def __str__(self) -> str:
        return self.message


def _sources(folders: Iterable[Path]) -> dict[str, list[Path]]:
    """The folders that describe each provider, the bundled one first; the last one counts.

    Raises `SpecError` for a folder of the caller's without any provider.
    """
    found: dict[str, list[Path]] = {}
    problems = []
    for folder in (bundled("specs"), *folders):
        names = provider_names(folder)
        if not names:
            problems.append(Missing(str(folder), "", _empty(folder)))
        for name in names:
            found.setdefault(name, []).append(folder)
    if problems:
        raise SpecError(problems)
    return found


def _empty(folder: Path) -> str:
    if (folder / "openapi.yaml").is_file():
        above = folder.resolve().parent
        return f"{folder} is the folder of one provider; give the folder of provider folders that it lies in: {above}"
    return (
        f"{folder} holds no provider: there is no openapi.yaml in a folder of it; put one at {folder}/NAME/openapi.yaml"
    )


def replacements(folders: Iterable[Path]) -> dict[str, tuple[Path, Path]]:
    """The providers that are described more than once: the folder that counts, and the one that it replaces."""
    found = {}
    for name, (*others, last) in _sources(folders).items():
        if hidden := [folder for folder in others if folder.resolve() != last.resolve()]:
            found[name] = last / name, hidden[-1] / name
    return found


def load_providers(names: Sequence[str] = (), folders: Iterable[Path] = ()) -> dict[str, Provider]:
    """Load providers by name (all of them by default) from the given specs folders and the bundled one.

    Where a name is in several folders the last one counts. Raises `SpecError` for unknown names, for folders without
    a provider and for anything wrong in the documents.
    """
    where = {name: paths[-1] for name, paths in _sources(folders).items()}
    problems: list[Problem] = []
    found: dict[str, Provider] = {}
    for name in names or where:
        if name not in where:
            raise SpecError([Missing("", "", unknown_provider(name, where))])
        try:
            found[name] = compile_provider(read_documents(where[name], name), name)
        except SpecError as error:
            problems.extend(error.problems)
    if problems:
        raise SpecError(problems)
    return found


def unknown_provider(name: str, where: Iterable[str]) -> str:
    """That there is no such provider, with the one that was probably meant and all there are."""
    known = f"known are {', '.join(sorted(where))}"
    near = closest(name, where)
    return f"there is no provider {name!r}{near}" + ("" if near.endswith(known) else f" ({known})")


def collisions(providers: Mapping[str, Provider], mounts: Mapping[str, str]) -> list[str]:
    """What one request could mean twice: pairs of paths of two providers, and mounts that hide something."""
    rows = [(name, mounts.get(name, "") + path) for name, provider in providers.items() for path in provider.paths()]
    found = [
        f"{one} {path} and {other} {rival}"
        for index, (one, path) in enumerate(rows)
        for other, rival in rows[index + 1 :]
        if one != other and overlap(path, rival)
    ]
    for name, prefix in mounts.items():
        hidden = [(other, path) for other, path in rows if other != name and _below(path, prefix)]
        found += [f"{name} at {prefix} and {other} {path}" for other, path in hidden]
    return found


def _below(path: str, prefix: str) -> bool:
    """Whether some request for the template `path` lies under `prefix`."""
    mine, theirs = segments(path), segments(prefix)
    return len(mine) >= len(theirs) and all(a == b or "{" in a for a, b in zip(mine, theirs, strict=False))
