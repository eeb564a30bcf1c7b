"""Path templates and how a request path finds one: by literal segments first, parameters last."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar
from urllib.parse import unquote

T = TypeVar("T")
PARAMETER = re.compile(r"\{([^{}/]+)\}")


def segments(path: str) -> tuple[str, ...]:
    """The segments of a template or a request path; a leading slash counts for nothing."""
    return tuple(path.lstrip("/").split("/"))


def overlap(one: str, other: str) -> bool:
    """Whether some request path fits both templates."""
    mine, theirs = segments(one), segments(other)
    pairs = zip(mine, theirs, strict=False)
    return len(mine) == len(theirs) and all(a == b or "{" in a or "{" in b for a, b in pairs)


class Routes(Generic[T]):
    """Templates to targets. A look-up costs a step per segment, however many templates there are."""

    def __init__(self, targets: Iterable[tuple[str, T]], trailing_slash: bool = False) -> None:
        self._tree: dict[str, object] = {}
        self._trailing_slash = trailing_slash
        for template, target in targets:
            node: dict[str, object] = self._tree
            for segment in segments(template):
                key = "{}" if PARAMETER.fullmatch(segment) else segment
                node = node.setdefault(key, {})  # type: ignore[assignment]
            node["/"] = (PARAMETER.findall(template), target)

    def find(self, path: str) -> tuple[T, Mapping[str, str]] | None:
        """The target of a (percent-encoded) request path and its decoded parameters."""
        if self._trailing_slash and path.endswith("/") and len(path) > 1:
            path = path[:-1]
        parts = [unquote(part, errors="replace") for part in segments(path)]
        found = self._walk(self._tree, parts, 0, [])
        if found is None:
            return None
        (names, target), values = found
        return target, dict(zip(names, values, strict=True))

    def _walk(
        self, node: dict[str, object], parts: list[str], index: int, values: list[str]
    ) -> tuple[tuple[list[str], T], list[str]] | None:
        if index == len(parts):
            leaf = node.get("/")
            return None if leaf is None else (leaf, values)  # type: ignore[return-value]
        part = parts[index]
        branch = node.get(part) if part != "/" else None
        if isinstance(branch, dict) and part != "{}" and (found := self._walk(branch, parts, index + 1, values)):
            return found
        branch = node.get("{}")
        if part and isinstance(branch, dict):
            return self._walk(branch, parts, index + 1, [*values, part])
        return None
