"""What may be shown of a document: nothing shaped like a credential or a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kling_mock.core.calls import lightened
from kling_mock.core.expressions import ABSENT
from kling_mock.core.redaction import STRUCK, names_secret, redacted

DENSE = re.compile(r"[A-Za-z0-9+/=_~-]{101,}")
SHORTEST, LONGEST = 10, 100
"""Characters: no credential is shorter than the first, no file as short as the second."""


def hidden(value: Any) -> Any:
    """A document in which what is shaped like a credential or a file is replaced, and long texts are cut."""
    if isinstance(value, str):
        if len(value) < SHORTEST and value.isascii():
            return value
        written = lightened(value).encode("utf-8", "backslashreplace").decode()
        shown = redacted(written)
        return DENSE.sub(_counted, shown) if len(shown) > LONGEST else shown
    if isinstance(value, Mapping):
        return {hidden(str(key)): STRUCK if _proves(key, item) else hidden(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(item) for item in value]
    return None if value is ABSENT else value


def _proves(key: object, item: Any) -> bool:
    """Whether a value is a credential by its key's name: api_key, clientSecret."""
    return isinstance(item, str) and len(item) >= SHORTEST and isinstance(key, str) and names_secret(key)


def _counted(match: re.Match[str]) -> str:
    return f"<{len(match[0])} characters>"
