"""Examples of rules as parts of bodies: a rule stands in a schema, and its example is a value of that schema only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kling_mock.core.documents import tokens
from kling_mock.core.expressions import ABSENT


def placed(bases: Iterable[Any], field: str | None, example: Any) -> Iterator[Any]:
    """Bodies that have an example where a rule may look at it: as the whole, or in a body at any place above its field.

    The field of a rule says where its violations are told: "/input/text" may be told of by a rule over the whole body,
    over `input`, or over the text.
    """
    if isinstance(example, dict):
        yield example
    path = tokens(field or "")
    for base in bases:
        for length in range(1, len(path) + 1):
            yield put(base, path[:length], example)


def put(value: Any, path: list[str], new: Any) -> Any:
    """A copy of a document with another value at a path of keys; what is not there is made, and objects are joined."""
    if not path:
        return {**value, **new} if isinstance(value, dict) and isinstance(new, dict) else new
    known = value if isinstance(value, dict) else {}
    return {**known, path[0]: put(known.get(path[0], ABSENT), path[1:], new)}
