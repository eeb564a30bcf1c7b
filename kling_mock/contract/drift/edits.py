"""Edits of the specs: a JSON Patch operation on a document, and the YAML that a person pastes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from kling_mock.core.documents import escape, tokens
from kling_mock.core.messages import json_type

PLAIN = re.compile(r"\$?[A-Za-z][A-Za-z0-9 _./-]*[A-Za-z0-9]")
TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
WIDTH, LINE = 10_000, 100


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of `file`, a path below the specs folder: an operation of RFC 6902.

    `why` is told in a comment where what is put has no `evidence` of its own.
    """

    op: Literal["add", "replace", "remove"]
    file: str
    path: str
    value: Any = None
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """The edit as a JSON document."""
        value = {} if self.op == "remove" else {"value": self.value}
        return {"file": self.file, "op": self.op, "path": self.path, **value, "yaml": self.yaml()}

    def where(self) -> str:
        """Where it goes, in words: "at kling/schemas.yaml#/Task/properties put"."""
        above = f"{self.file}#{self.path.rpartition('/')[0]}"
        if self.op == "remove":
            return f"remove {self.file}#{self.path}"
        return f"at {above} put" + (" instead" if self.op == "replace" else "")

    def yaml(self) -> str:
        """What to put there: a line of a list, or a key with its value; nothing where something is removed."""
        if self.op == "remove":
            return ""
        last = self.path.rpartition("/")[2]
        written = in_yaml([self.value] if last == "-" else {tokens(f"/{last}")[0]: self.value})
        if not self.why or (isinstance(self.value, Mapping) and "evidence" in self.value):
            return written
        first, newline, rest = written.partition("\n")
        return f"{first}  # {self.why}{newline}{rest}"


def added(file: str, at: str, key: str | int, value: Any, why: str = "") -> Edit:
    """One more key below a place; the key "-" adds to a list."""
    return Edit("add", file, f"{at}/{escape(key)}", value, why)


class _Dumper(yaml.SafeDumper):
    """The style of the specs: what is short on one line, the rest below each other.

    Texts are in double quotes unless they are plain in every YAML: a reader takes some for numbers or booleans.
    """

    def ignore_aliases(self, data: Any) -> bool:
        """The same value twice is written twice."""
        return True

    def represent(self, data: Any) -> None:
        """Write a document; its top is never one line in braces."""
        node = self.represent_data(data)
        if isinstance(node, yaml.CollectionNode):
            node.flow_style = False
        self.serialize(node)

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        """A list, on one line if it is short."""
        return super().represent_sequence(tag, sequence, flow_style=_short(sequence))

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        """An object, on one line if it is short."""
        return super().represent_mapping(tag, mapping, flow_style=_short(mapping))


def _short(value: Any) -> bool:
    return len(json.dumps(value, ensure_ascii=False)) <= LINE


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    tag = "tag:yaml.org,2002:str"
    plain = PLAIN.fullmatch(value) and dumper.resolve(yaml.ScalarNode, value, (True, False)) == tag  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(tag, value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def in_yaml(value: Any) -> str:
    """A value as YAML that JSON's readers and those of YAML 1.1 understand alike."""
    dumped: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)
    return dumped.removesuffix("\n").removesuffix("\n...")


def schema_of(values: Sequence[Any]) -> dict[str, Any]:
    """A schema of values that were seen: their types, the keys of objects and the items of lists; nothing required."""
    node: dict[str, Any] = {"type": one_or_list(json_type(value) for value in values)}
    objects = [value for value in values if isinstance(value, dict)]
    if keys := list(dict.fromkeys(key for value in objects for key in value)):
        node["properties"] = {key: schema_of([value[key] for value in objects if key in value]) for key in keys}
    if items := [item for value in values if isinstance(value, list) for item in value]:
        node["items"] = schema_of(items)
    return node


def one_or_list(types: Iterable[str]) -> str | list[str]:
    """Names of types as JSON Schema writes them; an integer is a number."""
    found = set(types)
    found -= {"integer"} if "number" in found else set()
    ordered = [name for name in TYPES if name in found]
    return ordered[0] if len(ordered) == 1 else ordered
