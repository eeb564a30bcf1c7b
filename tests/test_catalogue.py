"""Errors as they are known: the vendor's whole table with the texts that were seen, and every refusal in a fixture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kling_mock.loading import bundled, read_documents
from tests.conftest import AT, PROVIDERS, TOYS
from tests.exchanges import EXCHANGES, load, provider_of

# The vendor's table of errors (reference kling-official, section 2): HTTP status and code.
TABLE = [
    (401, 1000),
    (401, 1001),
    (401, 1002),
    (401, 1003),
    (401, 1004),
    (429, 1100),
    (429, 1101),
    (429, 1102),
    (403, 1103),
    (400, 1200),
    (400, 1201),
    (404, 1202),
    (404, 1203),
    (400, 1300),
    (400, 1301),
    (429, 1302),
    (429, 1303),
    (429, 1304),
    (500, 5000),
    (503, 5001),
    (504, 5002),
]
# Of the mock's own: what a server of limited size has to say, in the vendor's envelope and its code for parameters.
BEYOND = {"body-too-large": (413, 1200), "media-type-unknown": (415, 1200)}

# The texts that were seen (the same reference, sections 1, 5 and 7.1 to 7.3), with what fills their placeholders.
TEXTS: list[tuple[int, int, str, dict[str, Any]]] = [
    (401, 1002, "The token was expected to have 3 parts, but got 0", {"parts": 0}),
    (400, 1201, "model_name value 'kling-v3-0' is invalid", {"field": "model_name", "value": "kling-v3-0"}),
    (400, 1201, "mode value 'std' is invalid", {"field": "mode", "value": "std"}),
    (400, 1201, "duration value '99' is invalid", {"field": "duration", "value": "99"}),
    (
        400,
        1201,
        "model/mode/duration(kling-v2-5-turbo/std/5) is not supported with image_tail",
        {"dimensions": "model/mode/duration", "values": "kling-v2-5-turbo/std/5", "called": "image_tail"},
    ),
    (
        400,
        1201,
        "model/mode(kling-v2-6/std) is not supported with sound on",
        {"dimensions": "model/mode", "values": "kling-v2-6/std", "called": "sound on"},
    ),
    (400, 1201, "camera_control is only supported in std mode with 5s duration and kling-v1", {}),
    (400, 1201, "Image tail is not supported by the current model", {}),
    (400, 1201, "File is not in a valid base64 format", {}),
    (400, 1201, "Image pixel is invalid", {}),
    (
        400,
        1201,
        "The resolution or aspect ratio of the input image is invalid. "
        "Please ensure it meets the required specifications.",
        {},
    ),
    (400, 1201, "Task not found by id/external id: 867283741759111202", {"value": "867283741759111202"}),
    (400, 1201, "External_task_id mine already exists", {"value": "mine"}),
    (429, 1102, "Account balance not enough", {}),
    (429, 1303, "parallel task over resource pack limit", {}),
]
ERRORS = PROVIDERS["kling"].errors


def rendered(values: Mapping[str, Any]) -> Iterator[tuple[str, int, Any, Any]]:
    """What every entry of the catalogue answers when a violation says these values: name, status, code, message."""
    said = {"field": "", "value": "", "message": "", "dimensions": "", "values": "", "called": "", **values}
    request = {"id": "r", "method": "POST", "target": "/"}
    for name in ERRORS.catalogue:
        reply = ERRORS.reply(name, {"violation": said, "request": request, "now": AT})
        yield name, reply.status, reply.body.get("code"), reply.body.get("message")


@pytest.mark.parametrize(("status", "code"), TABLE)
def test_every_row_of_the_vendors_table_is_in_the_catalogue(status: int, code: int) -> None:
    """With its HTTP status, in the vendor's envelope, with some text."""
    found = [message for _, *row, message in rendered({}) if row == [status, code]]
    assert found, "no entry has this status and code"
    assert all(found), "an entry has no text"


def test_the_catalogue_pairs_no_other_status_and_code() -> None:
    """What is not in the table is one of the mock's own two, or comes in another envelope without a code."""
    rows = {name: (status, code) for name, status, code, _ in rendered({})}
    assert {name: row for name, row in rows.items() if row[1] is not None and row not in TABLE} == BEYOND
    assert [name for name, row in rows.items() if row[1] is None] == ["path-unknown"]


@pytest.mark.parametrize(("status", "code", "text", "values"), TEXTS)
def test_a_text_that_was_seen_is_rendered_to_the_letter(
    status: int, code: int, text: str, values: dict[str, Any]
) -> None:
    """Some entry says it, with the status and code that it was seen with."""
    assert (status, code, text) in [tuple(row) for _, *row in rendered(values)]


def test_every_entry_that_calls_itself_observed_has_a_text_above() -> None:
    """So nothing is called observed that this table does not know."""
    seen = {name for *_, text, values in TEXTS for name, _, _, message in rendered(values) if message == text}
    claimed = {name for name, row in ERRORS.catalogue.items() if row.evidence["kind"] == "observed"}
    assert claimed - seen == {"path-unknown"}, "its body is no text of the vendor's"


# Refusals in fixtures

PLACEHOLDER = re.compile(r"\{(\$[^{}]*)\}")
REFUSED = [name for name in EXCHANGES if load(name).get("reply", {}).get("status", 0) >= 400]


def catalogue(provider: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The envelopes and the catalogue of a provider, as they are written."""
    folder = TOYS if (TOYS / provider).is_dir() else bundled("specs")
    document = read_documents(folder, provider)[f"{provider}/errors.yaml"]
    return document["envelopes"], document["catalogue"]


def absent(template: Any) -> bool:
    """Whether a part of an envelope is left out where nothing fills it."""
    named = PLACEHOLDER.fullmatch(template) if isinstance(template, str) else None
    return named is not None and not named[1].startswith("$error.")


def fits(template: Any, values: Mapping[str, Any], body: Any) -> bool:
    """Whether a body is what a template makes of an entry's values, whatever fills its other placeholders."""
    if isinstance(template, dict):
        if not isinstance(body, dict) or body.keys() - template.keys():
            return False
        return all(fits(part, values, body[key]) if key in body else absent(part) for key, part in template.items())
    if not isinstance(template, str):
        return type(template) is type(body) and bool(template == body)
    named = PLACEHOLDER.fullmatch(template)
    if named and named[1].startswith("$error."):
        return fits(values.get(named[1].removeprefix("$error.")), {}, body)
    parts = PLACEHOLDER.split(template)
    pattern = "".join(".+" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return isinstance(body, str) and re.fullmatch(pattern, body) is not None


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_in_a_fixture_is_one_of_the_catalogue(name: str) -> None:
    """Status, envelope, code and text: what the documents show, the mock can answer, and it is not assumed."""
    envelopes, entries = catalogue(provider_of(name).name)
    first, reply = next(iter(envelopes)), load(name)["reply"]
    found = [
        key
        for key, row in entries.items()
        if row["status"] == reply["status"]
        and fits(envelopes[row.get("envelope", first)], {"name": key, **row}, reply["body"])
    ]
    assert found, f"nothing in the catalogue says {reply['body']}"
    kinds = {entries[key]["evidence"]["kind"] for key in found}
    assert kinds - {"assumed"} or provider_of(name).name == "toymaker"


def test_there_are_refusals_to_look_at() -> None:
    """Of the toy and of one that ships, at least."""
    assert {"toymaker", "pixazo"} <= {provider_of(name).name for name in REFUSED}
