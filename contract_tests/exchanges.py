"""Fixtures as requests, written by a real client."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from contract_tests.providers import PROVIDERS, fixtures_of
from contract_tests.target import Reply, Target
from kling_mock.loading import read_yaml

EXCHANGES = [f"{name}/{path.name}" for name in PROVIDERS for path in sorted(fixtures_of(name).glob("*.yaml"))]


def path_of(name: str) -> Path:
    """The file of a fixture."""
    provider, _, file = name.partition("/")
    return fixtures_of(provider) / file


def load(name: str) -> dict[str, Any]:
    """One fixture."""
    fixture: dict[str, Any] = read_yaml(path_of(name), name)
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
    asked, folder = fixture["request"], path_of(name).parent
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
