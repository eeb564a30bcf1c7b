"""`kling-mock drift` as people and CI use it: what it prints, how it ends, and what it never shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from kling_mock.cli import main
from kling_mock.loading import bundled
from kling_mock.yaml_files import LOADER
from tests.conftest import TOYS
from tests.contract.recorded import entry, har

TASK = "kling/query-a-task-that-succeeded.yaml"
CREATE = "kling/create-from-first-and-last-frame.yaml"
SECRET = "not-shaped-like-a-key"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJtZSJ9.c2lnbmF0dXJl"

Write = Callable[..., str]


def invoke(*words: str, stdin: str | bytes | None = None) -> Result:
    """Run `drift` in this process, with its two streams apart."""
    return CliRunner().invoke(main, ["drift", *words], input=stdin)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a HAR of some entries into the working directory; gives the file's name."""
    monkeypatch.chdir(tmp_path)

    def file(*entries: Any, name: str = "recorded.har", content: bytes | None = None) -> str:
        (tmp_path / name).write_bytes(har(*entries) if content is None else content)
        return name

    return file


def queue(n: int = 3) -> dict[str, Any]:
    """A recorded query whose reply has a key that no document names."""
    return entry(TASK, lambda body: body["data"].update(queue=n), second=n)


def test_what_is_explained_is_said_in_one_line(write: Write) -> None:
    """Exit 0, with how many exchanges of whom there were and what was left out."""
    page = entry(TASK)
    page["request"]["url"] = "https://www.example.org/"
    got = invoke(write(entry(TASK), entry(CREATE), page, queue() | {"_webSocketMessages": []}))
    assert got.stdout == (
        "2 exchanges of kling: all explained (of nobody here: 1 of www.example.org; left out: 1 WebSocket)\n"
    )
    assert (got.exit_code, got.stderr) == (0, "")


def test_drift_is_told_with_its_edit(write: Write) -> None:
    """Exit 1: kind, operation, pointer, what, how often and where first, and the YAML to paste."""
    got = invoke(write(*(queue(n) for n in range(12))))
    assert got.stdout.splitlines() == [
        "12 exchanges of kling: 1 drift",
        "",
        "unknown-field  kling getImageToVideo  /data/queue",
        "  is a key that the documents do not name",
        "  seen 12 times, first in recorded.har#/log/entries/0 on 2026-11-21",
        "  at kling/schemas.yaml#/Task/properties put",
        "      queue: {type: integer}  # observed 2026-11-21, recorded.har",
        "",
        'next: cp -r "$(kling-mock specs)" my-specs, make the edits there, kling-mock check-spec my-specs, then give '
        "--specs my-specs to serve, drift or contract",
    ]
    assert (got.exit_code, got.stderr) == (1, "")


def test_the_edits_are_made_in_a_copy_of_the_specs_or_in_ones_own(write: Write) -> None:
    """What the next step names is there after an installation too; a folder that was given is the place itself."""
    assert Path(CliRunner().invoke(main, ["specs"]).stdout.strip()) == bundled("specs")
    said = invoke(write(queue()), "--specs", str(TOYS)).stdout.splitlines()[-1]
    assert said == f"next: make the edits in {TOYS}, and run kling-mock check-spec on it"


def test_a_key_that_was_accepted_is_a_weak_sign(write: Write) -> None:
    """Told with its edit, and exit 0: it may have been ignored. Beside drift it changes nothing."""
    shaken = entry(CREATE, ask={"shake": 3})
    got = invoke(write(shaken))
    headline, _, title, message, _, where, what, *_ = got.stdout.splitlines()
    assert headline == "1 exchange of kling: all explained and 1 weak sign"
    assert title == "unknown-request-field (weak)  kling createImageToVideo  /shake"
    assert message.startswith("  is a key that the documents do not name, in a request that was accepted; ")
    assert where.startswith("  at kling/schemas.yaml#/")
    assert what == "      shake: {type: integer}  # observed 2026-11-21, recorded.har"
    assert (got.exit_code, got.stderr) == (0, "")
    both = invoke(write(shaken, queue()))
    assert (both.exit_code, both.stdout.splitlines()[0]) == (1, "2 exchanges of kling: 1 drift and 1 weak sign")
    told = invoke(write(shaken), "--format", "github")
    assert told.stdout.startswith("::notice file=recorded.har,title=unknown-request-field::kling createImageToVideo ")


def test_json_has_all_of_it(write: Write) -> None:
    """One document: counts, and each drift with its edits as JSON Patch and as YAML."""
    got = invoke(write(queue(), entry(TASK, status=400, body=moon())), "--format", "json")
    document = json.loads(got.stdout)
    assert got.exit_code == 1
    assert document["exchanges"] == {"kling": 2}
    field, error = document["drift"]
    assert field["edits"] == [
        {
            "file": "kling/schemas.yaml",
            "op": "add",
            "path": "/Task/properties/queue",
            "value": {"type": "integer"},
            "yaml": "queue: {type: integer}  # observed 2026-11-21, recorded.har",
        }
    ]
    assert {key: error[key] for key in ("kind", "provider", "operations", "count", "first", "date")} == {
        "kind": "new-error-text",
        "provider": "kling",
        "operations": ["getImageToVideo"],
        "count": 1,
        "first": "recorded.har#/log/entries/1",
        "date": "2026-11-21",
    }
    (edit,) = error["edits"]
    assert yaml.load(edit["yaml"], LOADER) == {"the-moon-is-in-the-way": edit["value"]}
    assert edit["value"]["evidence"] == {"kind": "observed", "source": "recorded.har", "date": "2026-11-21"}


def moon(message: str = "The moon is in the way") -> dict[str, Any]:
    """An error whose text nobody knows."""
    return {"code": 1201, "message": message, "request_id": "r"}


def test_github_gets_one_command_for_each_drift(write: Write) -> None:
    """Escaped, with the recording as its file; nothing at all where all is explained."""
    got = invoke(write(queue(), name="a,b.har"), "--format", "github")
    assert got.stdout == (
        "::error file=a%2Cb.har,title=unknown-field::kling getImageToVideo /data/queue: "
        "is a key that the documents do not name%0A"
        "seen once in a,b.har#/log/entries/0 on 2026-11-21%0A"
        "at kling/schemas.yaml#/Task/properties put%0A"
        "    queue: {type: integer}  # observed 2026-11-21, a,b.har\n"
    )
    assert invoke(write(entry(TASK)), "--format", "github").stdout == ""


def test_several_files_and_standard_input_are_one_recording(write: Write) -> None:
    """The same drift in two files is one row, first seen in the earlier one; a HAR may come through a pipe."""
    files = write(queue(5), name="late.har"), write(queue(1), name="early.har")
    got = invoke(*files)
    assert "seen 2 times, first in early.har#/log/entries/0" in got.stdout
    assert "first in stdin#" not in invoke("-", stdin=har(entry(TASK))).stdout
    assert "seen once in stdin#/log/entries/0" in invoke("-", stdin=har(queue())).stdout


def test_no_secret_of_an_address_is_printed(write: Write) -> None:
    """Of a hook that was recorded in a body, and of a file's signed address; the names of parameters are."""
    signed = "https://me:alpha-pass@h.example/a?job=42&Signature=bravo-token"
    rows = [
        entry(TASK, status=400, body=moon(f"no {signed} on the moon")),
        entry(TASK, lambda body: body["data"].update(hook=signed, task_status=signed)),
        entry(CREATE, ask={"callback_url": signed, "mode": signed}, body=created()),
        entry(TASK, status=400, body={"it": {f"?token=bravo-token&{signed}": 1, "oops": 7}}),
        entry(TASK, path="/v1/who/" + "sk" + "-alpha-pass-bravo-token", headers={}),
    ]
    name = write(*rows)
    for form in ("text", "json", "github"):
        got = invoke(name, "--format", form)
        assert got.exit_code == 1
        assert "h.example/a?job=42&Signature=<credential> on the moon" in got.output
        assert [secret for secret in ("alpha-pass", "bravo-token") if secret in got.output] == []


def test_no_secret_is_ever_printed(write: Write) -> None:
    """Tokens by their shape, whatever a header or the query held by its text; in every format."""
    texts = f"The key {SECRET} is on the moon, as is {TOKEN}"
    headers = {"authorization": f"Bearer {SECRET}", "x-signature": SECRET}
    rows = [
        entry(TASK, status=400, body=moon(texts), headers=headers),
        entry(TASK, lambda body: body["data"].update({SECRET: 1, "x": TOKEN}), headers=headers),
        entry(TASK, lambda body: body["data"].update(task_status=SECRET), headers=headers),
        entry(TASK, path=f"/v1/who/{SECRET}?token={SECRET}", headers=headers),
        entry(CREATE, headers=headers, ask={"model_name": SECRET}, body=created()),
    ]
    name = write(*rows)
    for form in ("text", "json", "github"):
        got = invoke(name, "--format", form)
        assert got.exit_code == 1
        assert SECRET not in got.output
        assert TOKEN[:20] not in got.output
        assert "The key <credential> is on the moon, as is <credential>" in got.output


def created() -> dict[str, Any]:
    """The reply of a create that was accepted."""
    data = {"task_id": "1", "task_status": "submitted", "created_at": 1, "updated_at": 1}
    return {"code": 0, "message": "SUCCEED", "request_id": "r", "data": data}


def test_what_no_terminal_should_see_is_written_as_an_escape(write: Write) -> None:
    """A key or a message of a recording cannot move the cursor, nor break the report's lines."""
    got = invoke(write(entry(TASK, lambda body: body["data"].update({"a\x1b[2J\nb": 1}))))
    assert "/data/a\\x1b[2J\\nb" in got.stdout
    assert "\x1b" not in got.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "recorded.har is no JSON: Expecting property name enclosed in double quotes at line 1 column 2"),
        (
            b"{}",
            "recorded.har is neither a HAR, which has /log/entries, nor a journal, which has /exchanges: it has no key",
        ),
        (b"[]", "there is no exchange in recorded.har"),
        (har(queue() | {"_webSocketMessages": []}), "there is no exchange in recorded.har (left out: 1 WebSocket)"),
    ],
)
def test_a_file_without_an_exchange_cannot_be_compared(write: Write, content: bytes, message: str) -> None:
    """Exit 2 with one line that says why, and nothing on the other stream."""
    got = invoke(write(content=content))
    assert (got.exit_code, got.stdout, got.stderr) == (2, "", f"kling-mock: {message}\n")


def test_hosts_of_nobody_are_named_with_what_to_do(write: Write) -> None:
    """A recording of a relay or of the mock: say whose they are; then the same file is compared."""
    row = queue()
    row["request"]["url"] = row["request"]["url"].replace("api-beijing.klingai.com", "127.0.0.1:8787")
    got = invoke(write(row))
    assert (got.exit_code, got.stdout) == (2, "")
    why = "no exchange in recorded.har is one of any provider here: they went to 127.0.0.1"
    assert got.stderr.startswith(f"kling-mock: {why}; say whose they are: --provider 302ai, kling")
    assert "1 exchange of kling: 1 drift" in invoke("recorded.har", "--provider", "kling").stdout
    assert invoke("recorded.har", "--provider", "pixazo").exit_code == 2


def test_a_misspelt_provider_or_file_ends_with_2(write: Write) -> None:
    """With what was probably meant, and why the file cannot be read."""
    got = invoke(write(queue()), "--provider", "klimg")
    assert (got.exit_code, got.stderr) == (
        2,
        "kling-mock: there is no provider 'klimg'; did you mean 'kling'? (known are 302ai, kling, pixazo, rixapi)\n",
    )
    got = invoke("gone.har")
    assert (got.exit_code, got.stderr) == (2, "kling-mock: gone.har cannot be read: No such file or directory\n")


def test_a_folder_of_ones_own_is_compared_too(write: Write) -> None:
    """`--specs` adds providers; their journal is known by its provider's name."""
    reply = {"status": 200, "headers": {}, "body": {"ok": True, "order": {}, "trace": "t"}}
    asked = {"method": "GET", "path": "/workshop/order", "query": "ticket=toy_1", "headers": {}, "body": None}
    journal = [{"at": 0, "provider": "toymaker", "request": asked, "reply": reply}]
    name = write(content=json.dumps(journal).encode(), name="journal.json")
    assert invoke(name).exit_code == 2
    got = invoke(name, "--specs", str(TOYS))
    assert (got.exit_code, got.stdout.splitlines()[0]) == (1, "1 exchange of toymaker: 6 drifts")
    assert "missing-field  toymaker showToy  /order/ticket" in got.stdout


def test_the_help_says_how_it_ends() -> None:
    """Exit codes are documented where they are looked for."""
    told = " ".join(invoke("--help").stdout.split())
    assert (
        "Exits 0 when all is explained but for weak signs, 1 when there is drift, 2 when a file cannot be read" in told
    )
