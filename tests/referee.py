"""openapi-core as the referee: an implementation that is not ours judges requests and replies by the same documents."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from kling_mock.core.provider import Provider
from kling_mock.loading import bundled, load_providers, read_documents


@cache
def opened(folder: Path, name: str) -> OpenAPI:
    """A provider's document in openapi-core, as if it were served at /."""
    document = {**read_documents(folder)[f"{name}/openapi.yaml"], "servers": [{"url": "/"}]}
    return OpenAPI.from_dict(document, base_uri=(folder / name / "openapi.yaml").resolve().as_uri())


class Referee:
    """Judges one provider's exchanges; a verdict is a list of messages, empty when all is well."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self._folder = folder or bundled("specs")
        self._api = opened(self._folder, name)
        self._provider: Provider = load_providers([name], [self._folder])[name]

    def request(self, operation: str, body: Any) -> list[str]:
        """What is wrong with a JSON body of an operation."""
        words = self._provider.operations[operation]
        request = MockRequest(
            "http://localhost",
            words.method.lower(),
            words.path,
            data=json.dumps(body).encode(),
            content_type="application/json",
        )
        found = self._api.unmarshal_request(request)
        return [told(error) for error in found.errors if "Security" not in type(error).__name__]

    def reply(self, operation: str, status: int, body: Any) -> list[str]:
        """What is wrong with a JSON reply of an operation."""
        words = self._provider.operations[operation]
        request = MockRequest("http://localhost", words.method.lower(), words.path)
        response = MockResponse(json.dumps(body).encode(), status_code=status, content_type="application/json")
        return [told(error) for error in self._api.unmarshal_response(request, response).errors]


def told(error: Any) -> str:
    """An error of openapi-core in short; its own text repeats the whole body."""
    inner = getattr(error.__cause__, "schema_errors", None) or []
    rows = [f"/{'/'.join(map(str, row.absolute_path))}: {row.validator}: {row.message[:120]}" for row in inner]
    return "; ".join(rows) or f"{type(error).__name__}: {str(error)[:200]}"
