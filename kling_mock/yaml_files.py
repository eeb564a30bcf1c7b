"""Reading YAML as JSON: its scalars only, no key twice, and no document that is endless once its aliases are followed.

YAML 1.1 would turn `no`, `012` and dates into something else, and would let the second of two equal keys win; a spec
must mean what an OpenAPI tool in any language reads in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from kling_mock.core.problems import Problem, SpecError

try:
    from yaml._yaml import CParser as _Parser
except ImportError:  # pragma: no cover - PyYAML built without libyaml: slower, the same result
    _Parser = None  # type: ignore[assignment,misc]

DEEPEST = 100
MOST_REPEATED = 1_000_000
SHORT = 40
"""How long a text may be to be repeated as often as one likes."""
ALIAS = re.compile(r"(?:^|[\s\[\]{},:?-])\*[^\s\[\]{},]", re.MULTILINE)
"""Where there may be an alias: most documents have none, and need not be measured."""


class _Measure:
    """How deep a document is once its aliases are followed, and how much they repeat: values and their characters."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int] | None] = {}
        self._repeated = 0

    def of(self, node: yaml.CollectionNode, mark: yaml.Mark) -> tuple[int, int]:
        """The size and depth of a list or mapping; `mark` is where it stands, which an alias does not say itself."""
        self._known[id(node)] = None
        size, below = 1, 0
        for part in node.value:
            key, value = part if type(part) is tuple else (node, part)
            if key is not node:
                size += 1 + len(key.value)
            if type(value) is yaml.ScalarNode and len(value.value) < SHORT:
                size += 1 + len(value.value)
                continue
            more, deep = self._again(value, key.start_mark) if id(value) in self._known else self._first(value, key)
            size, below = size + more, max(below, deep)
        if below >= DEEPEST:
            raise _too_deep(mark)
        self._known[id(node)] = size, below + 1
        return size, below + 1

    def _first(self, value: yaml.Node, key: yaml.Node) -> tuple[int, int]:
        if isinstance(value, yaml.CollectionNode):
            return self.of(value, key.start_mark)
        self._known[id(value)] = found = 1 + len(value.value), 0
        return found

    def _again(self, value: yaml.Node, mark: yaml.Mark) -> tuple[int, int]:
        known = self._known[id(value)]
        if known is None:
            raise yaml.composer.ComposerError(None, None, "an alias holds itself", mark)
        self._repeated += known[0]
        if self._repeated > MOST_REPEATED:
            problem = f"aliases repeat more than {MOST_REPEATED:,} characters of the document, the most that is read,"
            raise yaml.composer.ComposerError(None, None, problem, mark)
        return known


def _too_deep(mark: yaml.Mark | None) -> yaml.MarkedYAMLError:
    return yaml.composer.ComposerError(None, None, f"is nested more than {DEEPEST} deep, the most that is read,", mark)


class _Constructor(yaml.constructor.SafeConstructor):
    """Refuses duplicate keys, keys that are not strings, and merge keys."""

    aliased = True

    def construct_document(self, node: yaml.Node) -> Any:
        """A document that can be followed to its ends."""
        if self.aliased and isinstance(node, yaml.CollectionNode):
            _Measure().of(node, node.start_mark)
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                problem = "a key is a text, no list or mapping; found one"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                problem = f"the key {key!r} is no string"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if key in seen or key == "<<":
                problem = "merge keys are not JSON" if key == "<<" else f"the key {key!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen[key] = self.construct_object(value_node, deep=True)
        return seen


_Constructor.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.constructor.SafeConstructor.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq", "map")
}


class _Resolver(yaml.resolver.BaseResolver):
    """JSON's scalars: true, false, null, numbers; everything else is a string. And not too deep: libyaml recurses."""

    def __init__(self) -> None:
        super().__init__()
        above: list[None] = []
        begin = above.append

        def descend(node: yaml.Node | None, _: object) -> None:
            begin(None)
            if len(above) > DEEPEST:
                raise _too_deep(node.start_mark if node else None)

        # Called for each node: nothing may be slower than what they replace, which does nothing here.
        me: Any = self
        me.descend_resolver, me.ascend_resolver = descend, above.pop


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
            self.aliased = ALIAS.search(stream) is not None
            yaml.reader.Reader.__init__(self, stream)
            for part in (yaml.scanner.Scanner, yaml.parser.Parser, yaml.composer.Composer, _Constructor, _Resolver):
                part.__init__(self)

        return type("JsonYamlLoader", (*parts, _Constructor, _Resolver), {"__init__": init})

    def init_c(self: Any, stream: Any) -> None:
        self.aliased = ALIAS.search(stream) is not None
        _Parser.__init__(self, stream)
        _Constructor.__init__(self)
        _Resolver.__init__(self)

    return type("JsonYamlLoader", (_Parser, _Constructor, _Resolver), {"__init__": init_c})


LOADER = _loader()


def read_yaml(path: Path, name: str) -> Any:
    """Parse one YAML file. Raises `SpecError` (with line and column) and names the file `name` in it."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), LOADER)  # noqa: S506 - a SafeConstructor
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise SpecError([Problem(name, "", f"{error.problem}{where}")]) from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError([Problem(name, "", f"cannot be read: {str(error).splitlines()[0][:200]}")]) from None
    except ValueError:
        raise SpecError([Problem(name, "", "a number is no JSON number")]) from None
