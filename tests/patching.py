"""JSON Patch as RFC 6902 has it, without mercy: what cannot be carried out exactly as written is an error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any


def strictly(patch: Iterable[Mapping[str, Any]], document: Any) -> Any:
    """A copy of the document with the operations carried out. Raises `LookupError` for one that cannot be."""
    result = json.loads(json.dumps(document))  # nothing in it is there twice
    for operation in patch:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        parent = result
        for token in parents:
            parent = parent[int(token)] if isinstance(parent, list) else parent[token]
        key = int(last) if isinstance(parent, list) else last
        match operation["op"]:
            case "remove":
                del parent[key]
            case "replace":
                parent[key]  # it must be there
                parent[key] = operation["value"]
            case "add" if isinstance(parent, dict):
                parent[key] = operation["value"]
            case _:
                raise LookupError(operation)
    return result
