"""openapi-core as the referee: an implementation that is not ours judges requests and replies by the same documents."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from jsonschema_path import SchemaPath
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse
from openapi_core.validation.request.validators import V31RequestBodyValidator

from kling_mock.loading import bundled, provider_names
from kling_mock.yaml_files import read_yaml
from tests.conftest import PROVIDERS, TOYS


@cache
def read(uri: str) -> Any:
    """A document by its URI. openapi-core's own reader parses the file again for every `$ref`: 0.2 s a body."""
    path = Path(unquote(urlsplit(uri).path))
    return read_yaml(path, path.name)


@cache
def opened(folder: Path, name: str) -> OpenAPI:
    """A provider's document in openapi-core, as if it were served at /."""
    uri = (folder / name / "openapi.yaml").resolve().as_uri()
    document = {**read(uri), "servers": [{"url": "/"}]}
    return OpenAPI(SchemaPath.from_dict(document, base_uri=uri, handlers={"file": read}))


def where(name: str) -> Path:
    """The specs folder that a provider is in."""
    return TOYS if name in provider_names(TOYS) else bundled("specs")


@cache
def referee(name: str) -> Referee:
    """The referee of a provider; each is made once."""
    return Referee(name)


class Referee:
    """Judges one provider's exchanges; a verdict is a list of messages, empty when all is well."""

    def __init__(self, name: str) -> None:
        self._api = opened(where(name), name)
        self._bodies = V31RequestBodyValidator(self._api.spec)
        self._provider = PROVIDERS[name]

    def request(self, operation: str, body: Any) -> list[str]:
        """What is wrong with a JSON body of an operation, its credential and parameters left aside.

        Of a whole request without a credential openapi-core would say only that, and never look at the body.
        """
        words = self._provider.operations[operation]
        request = MockRequest(
            "http://localhost",
            words.method.lower(),
            words.path,
            data=json.dumps(body).encode(),
            content_type="application/json",
        )
        return [told(error) for error in self._bodies.iter_errors(request)]

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
