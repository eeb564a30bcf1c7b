"""Payloads judged in a second of processor time, beside the field's libraries on the same schema, in the same run.

Ours judge more than the others: schema, documented types, rules, images, capability table, price. The peers validate
the schema alone; openapi-core with its documents read once (its own reader parses a file again for every `$ref`).
"""

from __future__ import annotations

import argparse
import base64
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from kling_mock import judge
from kling_mock.core.calls import Call
from kling_mock.core.judging import judge as judge_call
from kling_mock.core.model import Request
from kling_mock.loading import bundled

PROVIDER, OPERATION = "kling", "createImageToVideo"
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
PICTURE = bundled("fixtures") / "media" / "photo-1280x720.jpg"
ROUNDS, SPELL = 9, 0.1

Run = Callable[[], Any]


def large(picture: Path = PICTURE) -> dict[str, Any]:
    """The valid body with a picture of 3 MB of base64: a photo, and after it what no decoder looks at."""
    content = picture.read_bytes()
    return {**VALID, "image": base64.b64encode(content + bytes(9 * 2**18 - len(content))).decode()}


def spell(run: Run, seconds: float = SPELL) -> float:
    """How often `run` runs in a second of processor time: what else the machine does is left out."""
    count, start = 0, time.process_time()
    while (passed := time.process_time() - start) < seconds:
        run()
        count += 1
    return count / passed


def rate(run: Run, seconds: float = 1.0) -> float:
    """How often `run` runs in a second: the best of three spells by the clock on the wall."""
    best = 0.0
    for _ in range(3):
        count, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds / 3:
            run()
            count += 1
        best = max(best, count / passed)
    return best


def public(body: Any) -> Run:
    """`judge()` as a user calls it: the images measured, all rules and the price, suggestions where it is refused."""
    return partial(judge, body, PROVIDER, OPERATION)


def public_text(body: Any) -> Run:
    """`judge()` of the JSON text, which openapi-core is given too."""
    return partial(judge, json.dumps(body), PROVIDER, OPERATION)


def inner(body: Any) -> Run:
    """The judgement without measuring images and without suggestions: what the mock does inside a request."""
    provider, operation = judge.target(body, PROVIDER, OPERATION, {})
    request = Request(operation.method, operation.path, "", {"content-type": "application/json"})
    call = Call(provider, request, operation, document=body)
    return lambda: judge_call(call, {})


def schema_alone(body: Any) -> Run:
    """Our compiled schema only."""
    _, operation = judge.target(body, PROVIDER, OPERATION, {})
    schema = operation.bodies["application/json"].schema
    return lambda: schema.violations(body, "body")


def openapi_core(body: Any) -> Run:
    """The independent referee on the body of a request: it decodes the JSON text, then validates."""
    from openapi_core.testing import MockRequest
    from openapi_core.validation.request.validators import V31RequestBodyValidator

    from tests.referee import opened

    validator = V31RequestBodyValidator(opened(bundled("specs"), PROVIDER).spec)
    path = judge.target(body, PROVIDER, OPERATION, {})[1].path
    data = json.dumps(body).encode()
    request = MockRequest("http://localhost", "post", path, data=data, content_type="application/json")
    return lambda: list(validator.iter_errors(request))


def openapi_schema(body: Any) -> Run:
    """The schema validator inside openapi-core, without a request around it."""
    from openapi_core.validation.schemas import oas31_schema_validators_factory

    from tests.referee import opened

    spec = opened(bundled("specs"), PROVIDER).spec
    path = judge.target(body, PROVIDER, OPERATION, {})[1].path
    schema = spec / "paths" / path / "post" / "requestBody" / "content" / "application/json" / "schema"
    validator = oas31_schema_validators_factory.create(spec, schema).validator
    return lambda: list(validator.iter_errors(body))


def plain_schema() -> dict[str, Any]:
    """The request schema with every `$ref` written out, for libraries that take no documents."""
    from kling_mock.core.documents import Place
    from kling_mock.loading import read_documents

    documents = read_documents(bundled("specs"))
    expanded = Place(documents, "kling/schemas.yaml", "", documents["kling/schemas.yaml"]).get("ImageToVideoRequest")
    schema: dict[str, Any] = expanded.expand()
    return schema


def jsonschema(body: Any) -> Run:
    """The pure Python validator."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(plain_schema())
    return lambda: list(validator.iter_errors(body))


def pydantic(body: Any) -> Run:
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


OURS, REFEREE = "judge()", "openapi-core"
PEERS: Mapping[str, Callable[[Any], Run]] = {
    OURS: public,
    "judge() of a text": public_text,
    "inside the mock": inner,
    "our schema alone": schema_alone,
    REFEREE: openapi_core,
    "its schema validator": openapi_schema,
    "jsonschema": jsonschema,
    "pydantic (top level)": pydantic,
}


def measured(body: Any, rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """Each peer's rate, and how many times it that of the referee is; medians over rounds in which all take turns."""
    runs = {name: make(body) for name, make in PEERS.items()}
    for run in runs.values():
        run()
    rows = [{name: spell(run) for name, run in runs.items()} for _ in range(rounds)]
    return {
        name: (median(row[name] for row in rows), median(row[name] / row[REFEREE] for row in rows)) for name in runs
    }


def main() -> None:
    """Print a table: payloads a second of processor time, and how many times openapi-core's that is."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = options.parse_args().rounds
    found = {name: measured(body, rounds) for name, body in bodies().items()}
    print(f"{'':22}" + "".join(f"{name:>22}" for name in found))
    for name in PEERS:
        cells = (f"{rows[name][0]:>12.0f}/s {rows[name][1]:>6.1f} x" for rows in found.values())
        print(f"{name:22}" + "".join(cells))
    print(f"x: times the rate of {REFEREE} on the same body, its documents read once")


def bodies() -> dict[str, dict[str, Any]]:
    """The bodies that are judged."""
    return {"valid": VALID, "invalid": INVALID, "3 MB of base64": large()}


if __name__ == "__main__":
    main()
