"""The corpus: payloads as public clients send them, each with the verdict that a person has looked at.

`python -m tests.corpus` says whose verdict has changed, `python -m tests.corpus --write` writes the new ones down, so
that a change of verdict is a change in the diff.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from kling_mock import Verdict, judge
from kling_mock.core.expressions import text
from kling_mock.core.model import Quote
from kling_mock.core.repairing import Suggestion
from kling_mock.loading import bundled

FIXTURES = bundled("fixtures")
PAYLOADS = sorted(path.relative_to(FIXTURES).as_posix() for path in FIXTURES.glob("*/payloads/*.json"))
KEYS = ("shows", "follows", "because", "operation", "headers", "files", "body", "verdict")
OPTIONAL = {"headers", "files"}
MEDIA = re.compile(r"<(base64|data URL) of (media/[\w.-]+)>")


def load(name: str) -> dict[str, Any]:
    """One payload's file, as it stands."""
    found: dict[str, Any] = json.loads((FIXTURES / name).read_text(encoding="utf-8"))
    return found


def provider_of(name: str) -> str:
    """The provider in whose folder a payload lies."""
    return name.partition("/")[0]


def filled(value: Any) -> Any:
    """A body with the images that it names in place of their names."""
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    named = MEDIA.fullmatch(value) if isinstance(value, str) else None
    if named is None:
        return value
    content = base64.b64encode((FIXTURES / named[2]).read_bytes()).decode()
    return content if named[1] == "base64" else f"data:image/png;base64,{content}"


def body(name: str) -> Any:
    """The body of a payload as a client sends it."""
    return filled(load(name)["body"])


def files(name: str) -> dict[str, bytes]:
    """The file parts of a payload that is a form."""
    return {field: (FIXTURES / path).read_bytes() for field, path in load(name).get("files", {}).items()}


def headers(name: str) -> Mapping[str, str]:
    """The headers of a payload: JSON, unless it has files or says otherwise."""
    found = load(name)
    usual = "multipart/form-data" if "files" in found else "application/json"
    return {"content-type": usual} | found.get("headers", {})


def judged(name: str) -> Verdict:
    """What is to be said of a payload now."""
    operation = load(name)["operation"]
    return judge(body(name), provider_of(name), operation, headers=headers(name), files=files(name))


def told(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it is kept: what would change a reader's mind, a line each; no texts that may be reworded."""
    return {
        "ok": verdict.ok,
        "violations": [f"{row.severity} {row.pointer or '(body)'} {row.rule}" for row in verdict.violations],
        "suggestions": [line for row in verdict.suggestions for line in lines(row)],
        "price": price(verdict.quote),
        "not_judged": [row.rule for row in verdict.not_judged],
    }


def lines(suggestion: Suggestion) -> list[str]:
    """A repair, an operation a line."""
    return [
        f"{row['op']} {row['path']}" + (f" {json.dumps(row['value'])[:60]}" if "value" in row else "")
        for row in suggestion.patch
    ]


def price(quote: Quote | None) -> str | None:
    """A price in short; None where it is not known."""
    return None if quote is None else f"{text(quote.amount)} {quote.unit}"


def written(payload: Mapping[str, Any]) -> str:
    """The text of a payload's file: keys in their order, short lists and objects on one line."""
    ordered = {key: payload[key] for key in KEYS if key in payload}
    return pretty(ordered) + "\n"


def pretty(value: Any, indent: int = 0) -> str:
    """JSON with two spaces of indent, in which whatever fits stands on one line."""
    short = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (indent and len(short) + indent <= 100):
        return short
    inner, pad = indent + 2, "\n" + " " * (indent + 2)
    if isinstance(value, list):
        parts = [pretty(item, inner) for item in value]
        return "[" + pad + ("," + pad).join(parts) + "\n" + " " * indent + "]"
    parts = [f"{json.dumps(key, ensure_ascii=False)}: {pretty(item, inner)}" for key, item in value.items()]
    return "{" + pad + ("," + pad).join(parts) + "\n" + " " * indent + "}"


def main() -> int:
    """Compare every verdict with the one written down, or write them all down."""
    changed = 0
    for name in PAYLOADS:
        payload = load(name)
        now = told(judged(name))
        if payload.get("verdict") != now:
            changed += 1
            print(f"{name}\n  was {json.dumps(payload.get('verdict'))}\n  is  {json.dumps(now)}")
        if "--write" in sys.argv:
            (FIXTURES / name).write_text(written({**payload, "verdict": now}), encoding="utf-8")
    print(f"{len(PAYLOADS)} payloads, {changed} changed")
    return 0 if "--write" in sys.argv else int(changed > 0)


if __name__ == "__main__":
    sys.exit(main())
