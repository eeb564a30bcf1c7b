"""Judgements per second beside the field's libraries on the same schema, in the same run.

`judge` does more than the others: schema, documented types, rules, capability table, price. The peers validate the
schema alone.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from kling_mock import judge
from kling_mock.core.calls import Call
from kling_mock.core.judging import judge as judge_call
from kling_mock.core.model import Request
from kling_mock.loading import bundled

OPERATION = "createImageToVideo"
VALID = {
    "model_name": "kling-v2-6",
    "image": "https://example.com/first.png",
    "image_tail": "https://example.com/last.png",
    "prompt": "Camera zooms out, the girl smiles",
    "negative_prompt": "",
    "duration": "5",
    "mode": "pro",
    "sound": "off",
    "callback_url": "",
    "external_task_id": "",
}
INVALID = {**VALID, "mode": "turbo", "cfg_scale": 7, "prompt": "x" * 3000}
LARGE = {**VALID, "image": base64.b64encode(bytes(range(256)) * 9216).decode()}


def rate(run: Callable[[], Any], seconds: float = 1.0) -> float:
    """How often `run` runs in a second: the best of three spells."""
    best = 0.0
    for _ in range(3):
        count, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds / 3:
            run()
            count += 1
        best = max(best, count / passed)
    return best


def ours(body: Any) -> Callable[[], Any]:
    """The whole judgement, without measuring images: what the mock does inside a request."""
    provider, operation = judge.target(body, None, OPERATION, {})
    request = Request(operation.method, operation.path, "", {"content-type": "application/json"})
    call = Call(provider, request, operation, document=body)
    return lambda: judge_call(call, {})


def schema_alone(body: Any) -> Callable[[], Any]:
    """Our compiled schema only."""
    _, operation = judge.target(body, None, OPERATION, {})
    schema = operation.bodies["application/json"].schema
    return lambda: schema.violations(body, "body")


def openapi_core(body: Any) -> Callable[[], Any]:
    """The independent referee on the whole request."""
    from openapi_core.testing import MockRequest

    from tests.referee import opened

    api = opened(bundled("specs"), "kling")
    path = judge.target(body, None, OPERATION, {})[1].path
    data = json.dumps(body).encode()
    headers = {"Authorization": "Bearer x"}
    request = MockRequest("http://localhost", "post", path, headers=headers, data=data, content_type="application/json")
    return lambda: list(api.iter_request_errors(request))


def plain_schema() -> dict[str, Any]:
    """The request schema with every `$ref` written out, for libraries that take no documents."""
    from kling_mock.core.documents import Place
    from kling_mock.loading import read_documents

    documents = read_documents(bundled("specs"))
    expanded = Place(documents, "kling/schemas.yaml", "", documents["kling/schemas.yaml"]).get("ImageToVideoRequest")
    schema: dict[str, Any] = expanded.expand()
    return schema


def jsonschema(body: Any) -> Callable[[], Any]:
    """The pure Python validator."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(plain_schema())
    return lambda: list(validator.iter_errors(body))


def pydantic(body: Any) -> Callable[[], Any]:
    """A model with the schema's plain keywords at its top level: what people write by hand."""
    from pydantic import Field, ValidationError, create_model

    fields: dict[str, Any] = {}
    for name, node in plain_schema()["properties"].items():
        limits = {"max_length": node["maxLength"]} if "maxLength" in node else {}
        limits |= {"ge": node["minimum"], "le": node["maximum"]} if "maximum" in node else {}
        choices = node.get("enum")
        kind = __import__("typing").Literal[tuple(choices)] if choices else float if "maximum" in node else Any
        kind = str | None if "maxLength" in node else kind
        fields[name] = (kind, Field(None, **limits))
    model = create_model("ImageToVideoRequest", **fields)

    def run() -> Any:
        try:
            return model.model_validate(body)
        except ValidationError as error:
            return error.errors(include_input=False)

    return run


PEERS: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "kling-mock judge (all)": ours,
    "kling-mock schema alone": schema_alone,
    "openapi-core": openapi_core,
    "jsonschema": jsonschema,
    "pydantic (top level)": pydantic,
}


def main() -> None:
    """Print a table: judgements per second, and how many times ours is that of each peer."""
    print(f"{'':26}{'valid':>14}{'invalid':>14}{'3 MB base64':>14}")
    first: list[float] = []
    for name, make in PEERS.items():
        rates = [rate(make(body)) for body in (VALID, INVALID, LARGE)]
        first = first or rates
        cells = "".join(f"{r:>8.0f}/s {own / r:>4.1f}" for r, own in zip(rates, first, strict=True))
        print(f"{name:26}{cells}")
    print("the second number: how many times as fast the whole judgement is", file=sys.stderr)


if __name__ == "__main__":
    main()
