"""Fixtures as requests, written by a real client."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from contract_tests.target import Reply, Target
from kling_mock.loading import bundled, load_providers, read_yaml

FIXTURES = bundled("fixtures")
PROVIDERS = load_providers()
EXCHANGES = sorted(path.relative_to(FIXTURES).as_posix() for path in FIXTURES.glob("*/*.yaml"))


def load(name: str) -> dict[str, Any]:
    """One fixture."""
    fixture: dict[str, Any] = read_yaml(FIXTURES / name, name)
    return fixture


def provider_of(name: str) -> str:
    """The provider in whose folder a fixture lies."""
    return name.partition("/")[0]


def role(name: str) -> str:
    """The role of a fixture's operation."""
    return PROVIDERS[provider_of(name)].operations[load(name)["operation"]].role


CREATES = [name for name in EXCHANGES if role(name) == "create"]


def send(target: Target, name: str, headers: dict[str, str] | None = None) -> Reply:
    """Send a fixture's request with the target's credential."""
    fixture = load(name)
    asked, folder = fixture["request"], (FIXTURES / name).parent
    body = asked.get("body", {})
    files = {field: (Path(file).name, (folder / file).read_bytes()) for field, file in body.get("files", {}).items()}
    data = (folder / body["file"]).read_bytes() if "file" in body else body.get("form")
    url = "http://localhost" + asked["path"]
    request = requests.Request(asked["method"], url, asked.get("headers", {}), data=data, files=files or None).prepare()
    content = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
    parts = urlsplit(request.url or "")
    operation = target.provider.operations[fixture["operation"]]
    sent = {**request.headers, **target.credential(operation), **(headers or {})}
    return target.send(request.method or "", parts.path, sent, content, parts.query)
