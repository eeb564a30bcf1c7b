"""Reading spec folders from disk: YAML with JSON's scalars only, and the documents of a provider together.

YAML 1.1 would turn `no`, `012` and dates into something else, and would let the second of two equal keys win; a spec
must mean what an OpenAPI tool in any language reads in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kling_mock.core.compiling import compile_provider
from kling_mock.core.documents import Documents
from kling_mock.core.problems import Problem, SpecError, closest
from kling_mock.core.provider import Provider
from kling_mock.core.routes import overlap, segments
from kling_mock.core.words import WORDS

try:
    from yaml._yaml import CParser as _Parser
except ImportError:  # pragma: no cover - PyYAML built without libyaml: slower, the same result
    _Parser = None  # type: ignore[assignment,misc]


def bundled(name: str) -> Path:
    """A folder that ships with the package ("specs", "fixtures"): inside it when installed, beside it in a checkout."""
    here = Path(__file__).resolve().parent
    inside = here / name
    return inside if inside.is_dir() else here.parent / name


class _Constructor(yaml.constructor.SafeConstructor):
    """Refuses duplicate keys, keys that are not strings, and merge keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is no string", key_node.start_mark
                )
            if key in seen or key == "<<":
                problem = "merge keys are not JSON" if key == "<<" else f"the key {key!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen[key] = self.construct_object(value_node, deep=True)
        return seen


class _Resolver(yaml.resolver.BaseResolver):
    """JSON's scalars: true, false, null, numbers; everything else is a string."""


_NUMBER = r"-?(?:0|[1-9][0-9]*)"
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^null$", "n"),
    ("int", f"^{_NUMBER}$", "-0123456789"),
    ("float", rf"^{_NUMBER}(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$", "-0123456789"),
):
    _Resolver.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _loader() -> type[Any]:
    if _Parser is None:  # pragma: no cover
        parts: tuple[type, ...] = (yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser, yaml.composer.Composer)

        def init(self: Any, stream: Any) -> None:
            yaml.reader.Reader.__init__(self, stream)
            for part in (yaml.scanner.Scanner, yaml.parser.Parser, yaml.composer.Composer, _Constructor, _Resolver):
                part.__init__(self)

        return type("JsonYamlLoader", (*parts, _Constructor, _Resolver), {"__init__": init})

    def init_c(self: Any, stream: Any) -> None:
        _Parser.__init__(self, stream)
        _Constructor.__init__(self)
        _Resolver.__init__(self)

    return type("JsonYamlLoader", (_Parser, _Constructor, _Resolver), {"__init__": init_c})


LOADER = _loader()


def read_yaml(path: Path, name: str) -> Any:
    """Parse one YAML file. Raises `SpecError` (with line and column) and names the file `name` in it."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), LOADER)  # noqa: S506 - a SafeConstructor
        json.dumps(document)
        return document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise SpecError([Problem(name, "", f"{error.problem}{where}")]) from None
    except RecursionError:
        raise SpecError([Problem(name, "", "is nested too deeply")]) from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError([Problem(name, "", f"cannot be read: {str(error).splitlines()[0][:200]}")]) from None
    except ValueError:
        raise SpecError([Problem(name, "", "an alias holds itself, or a number is no JSON number")]) from None


@cache
def _read(folder: Path) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    own = sorted(folder.glob("*/*.yaml"))
    # What all providers share lies beside their folders; a folder of a user's own may name the bundled ones.
    shared = {path.name: path for root in (bundled("specs"), folder) for path in sorted(root.glob("*.yaml"))}
    for name, path in {**shared, **{path.relative_to(folder).as_posix(): path for path in own}}.items():
        try:
            found[name] = read_yaml(path, name)
        except SpecError as error:
            problems.extend(error.problems)
    words = folder / WORDS
    found[WORDS] = json.loads((words if words.is_file() else bundled("specs") / WORDS).read_text(encoding="utf-8"))
    return found, tuple(problems)


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
