"""`kling-mock validate`, `price` and `explain` as people and scripts use them, mostly on the toy: its numbers stay."""

from __future__ import annotations

import base64
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from kling_mock import __version__
from kling_mock.cli import main
from kling_mock.contract.agreement import agreements
from kling_mock.loading import bundled
from kling_mock.report_explain import explained, ids

COMMAND = [sys.executable, "-P", "-m", "kling_mock"]
TOYS = Path(__file__).parent / "providers"
TOY = ("--specs", str(TOYS), "--provider", "toymaker")
MEDIA = bundled("fixtures") / "media"
BEAR = {"toy": "bear", "seconds": 4, "wish": "a walk"}
NO_KLIN = "there is no provider 'klin'; did you mean 'kling'? (known are 302ai, kling, pixazo, rixapi)"
KEYS = {"ok", "provider", "operation", "violations", "quote", "not_judged"}

Write = Callable[..., str]


def picture(name: str) -> str:
    """A picture as base64."""
    return base64.b64encode((MEDIA / name).read_bytes()).decode()


SMALL = {"toy": "bear", "photo": picture("square-300x300.png")}
WIDE = {"toy": "bear", "photo": picture("too-wide-751x300.png")}


def invoke(*words: str, stdin: str | bytes | None = None) -> Result:
    """Run the command in this process, with its two streams apart."""
    return CliRunner().invoke(main, list(words), input=stdin)


def validate(*words: str, stdin: str | bytes | None = None) -> Result:
    """`validate` with the toy."""
    return invoke("validate", *TOY, *words, stdin=stdin)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write payloads into the working directory; gives the file's name."""
    monkeypatch.chdir(tmp_path)

    def file(body: Any, name: str = "job.json") -> str:
        (tmp_path / name).write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        return name

    return file


# Exit codes


@pytest.mark.parametrize(
    ("body", "options", "code", "headline"),
    [
        (BEAR, [], 0, "accepted by toymaker orderToy"),
        ({"toy": "kite"}, [], 1, "refused by toymaker orderToy (HTTP 409)"),
        (WIDE, [], 1, "accepted by toymaker orderToy, then the task would fail"),
        (SMALL, [], 0, "accepted by toymaker orderToy with 1 warning"),
        (SMALL, ["--strict"], 1, "accepted by toymaker orderToy with 1 warning"),
        (BEAR, ["--strict"], 0, "accepted by toymaker orderToy"),
        (BEAR, ["--budget", "6"], 0, "accepted by toymaker orderToy"),
        (BEAR, ["--budget", "5.9"], 1, "accepted by toymaker orderToy"),
        (b'{"toy": ', [], 2, "cannot be judged: is no JSON: Expecting value at line 1 column 9"),
        (b'{"toy": "bear", "toy": "bear"}', [], 2, "cannot be judged: is no JSON: the key 'toy' is there twice"),
        (b"", [], 2, "cannot be judged: is no JSON: Expecting value at line 1 column 1"),
        (BEAR, ["--operation", "orderToi"], 2, "no operation 'orderToi' creates a task; did you mean 'orderToy'?"),
    ],
)
def test_exit_codes(write: Write, body: Any, options: list[str], code: int, headline: str) -> None:
    """0 fine, 1 refused, fails, warned of if strict, or over the budget; 2 for what cannot be judged, with why."""
    got = validate(write(body), *options)
    assert got.exit_code == code, got.output
    assert got.stdout.splitlines()[0].startswith("job.json: ")
    assert got.stdout.splitlines()[0].endswith(headline)


def test_what_cannot_be_read_is_2_and_the_others_are_judged(write: Write, tmp_path: Path) -> None:
    """A missing file and a folder say why; the file between them gets its verdict."""
    got = validate("nowhere.json", write(BEAR), str(tmp_path))
    assert got.exit_code == 2
    lines = got.stdout.splitlines()
    assert lines[0] == "nowhere.json: cannot be judged: cannot be read: No such file or directory"
    assert lines[1] == "job.json: accepted by toymaker orderToy"
    assert lines[3] == f"{tmp_path}: cannot be judged: cannot be read: Is a directory"
    assert lines[4] == "3 files: 6 thimbles"


def test_an_unknown_provider_is_one_line_with_the_closest(write: Write) -> None:
    """Exit 2: there is nothing to judge by."""
    for command in ("validate", "price"):
        got = invoke(command, "--provider", "klin", write(BEAR))
        assert (got.exit_code, got.stdout) == (2, "")
        assert got.stderr == f"kling-mock: {NO_KLIN}\n"


def test_a_payload_that_is_no_object_needs_an_operation(write: Write) -> None:
    """Nothing says what a list is for, unless the operation is named."""
    got = invoke("validate", write([1]))
    assert got.exit_code == 2
    assert "the payload is no JSON object, so nothing says what it is for; name an operation" in got.stdout
    got = validate(write([1]), "--operation", "orderToy")
    assert got.exit_code == 1
    assert "should be of type object; is array" in got.stdout


@pytest.mark.parametrize("budget", ["nan", "-1", "ten", "inf"])
def test_a_budget_is_an_amount(write: Write, budget: str) -> None:
    """Anything else is a usage error."""
    got = validate(write(BEAR), "--budget", budget)
    assert got.exit_code == 2
    assert f"{budget!r} is no amount such as 100" in got.stderr


# Text


def test_the_text_of_a_refusal(write: Write) -> None:
    """Pointer, message and rule; below them the provider's words and the repair with its price; then the price."""
    got = validate(write({"toy": "beer", "seconds": "4", "wind": 0, "hat": 1}))
    assert got.stdout.splitlines() == [
        "job.json: refused by toymaker orderToy (HTTP 422)",
        "  /toy       should be one of bear, train, kite; is beer   [orderToy/toy/enum]",
        "             the provider would say: We do not make beer",
        '             nearest valid: set toy to "bear" (6 thimbles: 4 seconds at 1.5 thimbles (assumed))',
        "  /wind      should be more than 0; is 0   [orderToy/wind/exclusiveMinimum]",
        "             the provider would say: wind should be more than 0; is 0",
        "             nearest valid: remove wind",
        "  /seconds   should be of type integer; is string   [warning: orderToy/seconds/type]",
        "  /hat       is no known key here and is ignored   [warning: orderToy/hat/unknown]",
        "  price: unknown: no table has a price for this combination",
    ]


def test_the_text_of_a_good_payload(write: Write) -> None:
    """The price with how it comes about."""
    got = validate(write(BEAR))
    assert got.stdout == (
        "job.json: accepted by toymaker orderToy\n  price: 6 thimbles (0.3 USD), 4 seconds at 1.5 thimbles (assumed)\n"
    )


def test_a_repair_says_what_it_does_to_the_price(write: Write) -> None:
    """The price after the repair beside the one before."""
    got = invoke("validate", "--provider", "kling", write(start_end()))
    assert (
        "the provider would say: model/mode/duration(kling-v2-1/std/5) is not supported with image_tail" in got.stdout
    )
    assert 'nearest valid: set mode to "pro" (5 s: 3.5 units instead of 2, assumed)\n' in got.stdout
    assert "[start_end]" in got.stdout
    assert "2026-03" in got.stdout
    assert "HTTP 400, code 1201" in got.stdout


def start_end(**others: Any) -> dict[str, Any]:
    """The payload of the issue: a last frame in a mode that has none."""
    frames = {"image": "https://x.example/a.png", "image_tail": "https://x.example/b.png", "prompt": "waves"}
    return {"model_name": "kling-v2-1", "mode": "std", "duration": "5", **frames, **others}


def test_what_is_not_judged_is_said(write: Write) -> None:
    """An image that was not fetched is named with its pointer."""
    got = invoke("validate", "--provider", "kling", write(start_end(mode="pro")))
    assert got.exit_code == 0, got.stdout
    assert "  not judged: /image: the image is a URL and was not fetched" in got.stdout


def test_no_text_of_a_payload_reaches_the_terminal_as_a_command(write: Write) -> None:
    """Escape characters and line breaks are written out, so a payload cannot paint or forge lines."""
    got = validate(write({"toy": "bear", "\x1b[31m\nkling: fine": 1}))
    assert "\x1b" not in got.stdout
    assert "/\\x1b[31m\\nkling: fine" in got.stdout


def test_colors_for_terminals_only(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets none; a terminal does, unless NO_COLOR is set."""
    name = write({"toy": "kite"})
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31m" in on_terminal("validate", *TOY, name)
    assert "\x1b[" not in on_terminal("validate", *TOY, name, environment={"NO_COLOR": "1"})
    done = subprocess.run([*COMMAND, "validate", *TOY, name], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "\x1b[" not in done.stdout


def on_terminal(*words: str, environment: Mapping[str, str] | None = None) -> str:
    """All that the command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=os.environ | (environment or {})
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 4096):
            written += chunk
    except OSError:  # Linux's way to say that the other end is closed
        pass
    process.wait(20)
    os.close(ours)
    return written.decode()


# Several files, money


def test_standard_input(write: Write) -> None:
    """ "-" is judged like a file, also among others."""
    got = validate("-", stdin=json.dumps(BEAR))
    assert (got.exit_code, got.stdout.splitlines()[0]) == (0, "stdin: accepted by toymaker orderToy")
    got = validate("-", write({"toy": "train"}), stdin=json.dumps(BEAR))
    assert [line.partition(":")[0] for line in got.stdout.splitlines() if "accepted" in line] == ["stdin", "job.json"]


def test_the_sum_is_by_unit_and_names_what_is_unknown(write: Write) -> None:
    """6 + 2 x 8 thimbles; a train has no price, so it is named and the sum is a least one."""
    files = [
        write(BEAR, "a.json"),
        write({"toy": "kite", "seconds": 8, "wind": 1}, "b.json"),
        write({"toy": "train"}, "c.json"),
    ]
    got = validate(*files)
    assert got.exit_code == 0
    assert got.stdout.splitlines()[-2:] == ["3 files: at least 22 thimbles", "  price unknown: c.json"]
    got = validate(*files, "--budget", "20")
    assert got.exit_code == 1
    assert got.stdout.splitlines()[-1] == "over budget by 2 thimbles: 22 of 20"


def test_units_are_never_added_to_one_another(write: Write) -> None:
    """Each unit has its own sum, and its own budget."""
    files = [write(BEAR, "a.json"), write(start_end(mode="pro", model_name="kling-v2-6"), "b.json")]
    got = invoke("validate", "--specs", str(TOYS), *files, "--budget", "3")
    assert got.exit_code == 1
    assert "2 files: 6 thimbles, 2.5 units" in got.stdout
    assert "over budget by 3 thimbles: 6 of 3" in got.stdout
    assert "2.5 of 3" not in got.stdout


def test_a_price_that_nobody_knows_is_not_0(write: Write) -> None:
    """No sum at all is no 0 either, and within no budget."""
    got = validate(write({"toy": "train"}), "--budget", "1")
    assert got.exit_code == 2
    assert got.stdout.splitlines()[-3:] == [
        "1 file: price unknown",
        "  price unknown: job.json",
        "whether it is within the budget cannot be told: a price is unknown",
    ]


def test_a_machines_format_stays_whole_beside_the_sum(write: Write) -> None:
    """The sum and the budget go to the other stream."""
    got = validate(write(BEAR, "a.json"), write(BEAR, "b.json"), "--format", "json", "--budget", "10")
    assert got.exit_code == 1
    assert [row["file"] for row in json.loads(got.stdout)] == ["a.json", "b.json"]
    assert got.stderr.splitlines() == ["2 files: 12 thimbles", "over budget by 2 thimbles: 12 of 10"]


def test_a_bar_for_many_files_on_a_terminal_only(write: Write) -> None:
    """Ten files on a terminal show a bar; nine do not, and a pipe never does."""
    files = [write(BEAR, f"{number}.json") for number in range(10)]
    assert "judging" in on_terminal("validate", *TOY, *files)
    assert "judging" not in on_terminal("validate", *TOY, *files[:9])
    done = subprocess.run([*COMMAND, "validate", *TOY, *files], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


# Formats for machines


def test_json_of_one_file_is_the_verdict(write: Write) -> None:
    """The keys that the interface promises, and the repairs with their prices."""
    got = json.loads(validate(write({"toy": "beer"}), "--format", "json").stdout)
    assert set(got) == KEYS | {"suggestions"}
    assert (got["ok"], got["provider"], got["operation"], got["quote"]) == (False, "toymaker", "orderToy", None)
    [row] = got["violations"]
    assert set(row) == {"rule", "pointer", "severity", "message", "provider_says", "suggestion", "reason", "evidence"}
    assert row["provider_says"] == {"status": 422, "code": None, "message": "We do not make beer"}
    assert row["suggestion"] == [{"op": "replace", "path": "/toy", "value": "bear"}]
    assert got["not_judged"][0].keys() == {"rule", "why"}
    quote = json.loads(validate(write(BEAR), "--format", "json").stdout)["quote"]
    assert (quote["amount"], quote["unit"], quote["usd"]) == ("6", "thimbles", "0.3")
    assert (quote["how"], quote["evidence"]) == ("4 seconds at 1.5 thimbles (assumed)", {"kind": "assumed"})
    assert set(quote) == {"amount", "unit", "usd", "how", "evidence"}


def test_json_of_several_is_a_list(write: Write) -> None:
    """In the order given, each with its file; what cannot be judged is neither good nor bad."""
    got = validate(write(BEAR, "a.json"), "nowhere.json", "--format", "json")
    assert got.exit_code == 2
    first, second = json.loads(got.stdout)
    assert (first["file"], first["ok"], set(first)) == ("a.json", True, KEYS | {"suggestions", "file"})
    problem = "cannot be read: No such file or directory"
    assert second == {"file": "nowhere.json", "ok": None, "problem": problem}


def test_github_commands_are_escaped(write: Write) -> None:
    """%, line breaks, and in properties : and , too, so that no payload can write a command of its own."""
    name = write({"toy": "100%\n::error::beer"}, "a,b:c%.json")
    got = validate(name, "--format", "github")
    assert got.exit_code == 1
    [line] = got.stdout.splitlines()
    assert line.startswith("::error file=a%2Cb%3Ac%25.json,line=1,col=9,title=orderToy/toy/enum::/toy should be one of")
    assert "is 100%25%0A::error::beer" in line
    assert "%0Athe provider would say: We do not make 100%25" in line


def test_github_says_nothing_of_what_is_fine(write: Write) -> None:
    """No output at all; warnings are warnings, and errors when strict."""
    assert validate(write(BEAR), "--format", "github").stdout == ""
    name = write(SMALL)
    rule = "file=job.json,line=1,col=26,title=a-photo-is-better-large::/photo is small"
    assert validate(name, "--format", "github").stdout.startswith(f"::warning {rule}")
    assert validate(name, "--format", "github", "--strict").stdout.startswith(f"::error {rule}")
    assert validate("gone.json", "--format", "github").stdout == (
        "::error file=gone.json,title=cannot be judged::cannot be read: No such file or directory\n"
    )


def test_junit_counts_what_its_cases_are(write: Write) -> None:
    """A case for each file: fine, failed, warned of, impossible."""
    files = [write(BEAR, "a.json"), write({"toy": "kite", "hat": 1}, "b.json"), write(SMALL, "c.json"), "gone.json"]
    got = validate(*files, "--format", "junit")
    assert got.exit_code == 2
    [suite] = ElementTree.fromstring(got.stdout)
    assert {name: suite.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
    }
    fine, refused, warned, impossible = suite
    assert (fine.get("name"), fine.get("classname"), len(fine)) == ("a.json", "toymaker.orderToy", 0)
    assert [part.tag for part in refused] == ["failure", "system-out"]
    assert refused[0].get("type") == "a-kite-needs-wind"
    assert refused[0].get("message") == "refused by toymaker orderToy (HTTP 409)"
    assert "/wind must blow for a kite" in (refused[0].text or "")
    assert "hat" not in (refused[0].text or "")
    assert "/hat is no known key" in (refused[1].text or "")
    assert [part.tag for part in warned] == ["system-out"]
    assert impossible[0].tag == "error"
    strict = ElementTree.fromstring(validate("c.json", "--format", "junit", "--strict").stdout)
    assert strict.get("failures") == "1"


def test_junit_is_xml_whatever_a_payload_holds(write: Write) -> None:
    """XML knows no escape characters; they are written out, and markup is escaped."""
    got = validate(write({"toy": "<b>\x1b\x00]]>&"}), "--format", "junit")
    failure = ElementTree.fromstring(got.stdout).find(".//failure")
    assert failure is not None
    assert "is <b>\\x1b\\x00]]>&" in (failure.text or "")


def test_sarif_has_rules_and_places(write: Write) -> None:
    """Version 2.1.0; each result names its rule by id and index, its file and its pointer."""
    name = write({"toy": "kite", "hat": 1}, "a b.json")
    got = validate(name, "gone.json", "--format", "sarif")
    log = json.loads(got.stdout)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("kling-mock", __version__)
    assert [row["ruleId"] for row in run["results"]] == ["a-kite-needs-wind", "orderToy/hat/unknown"]
    assert [row["level"] for row in run["results"]] == ["error", "warning"]
    for row in run["results"]:
        assert driver["rules"][row["ruleIndex"]]["id"] == row["ruleId"]
        [place] = row["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] == "a%20b.json"
    assert run["results"][0]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "/wind"
    assert run["results"][0]["message"]["text"].startswith("/wind must blow for a kite\n")
    rule = next(row for row in driver["rules"] if row["id"] == "a-kite-needs-wind")
    assert rule["properties"]["evidence"] == {"kind": "assumed"}
    [invocation] = run["invocations"]
    assert invocation["executionSuccessful"] is False
    [told] = invocation["toolExecutionNotifications"]
    assert told["message"]["text"] == "cannot be read: No such file or directory"
    assert json.loads(validate(name, "--format", "sarif").stdout)["runs"][0]["invocations"][0]["executionSuccessful"]


# Prices


def prices(write: Write, body: Any, *options: str) -> dict[str, Any]:
    """The offers by provider."""
    got = invoke("price", write(body), "--format", "json", *options)
    assert got.exit_code == 0, got.output
    return {row["provider"]: row for row in json.loads(got.stdout)}


def amounts(found: Mapping[str, Any]) -> dict[str, str | None]:
    """What is asked for, in words."""
    return {
        name: f"{row['quote']['amount']} {row['quote']['unit']}" if row["quote"] else None
        for name, row in found.items()
        if name != "toymaker"
    }


def job(**others: Any) -> dict[str, Any]:
    """A job of the default provider, from one image."""
    return {"image": "https://x.example/a.png", "prompt": "waves", "sound": "off", **others}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            job(model_name="kling-v2-1", mode="std", duration="5"),
            {"kling": "2 units", "302ai": "0.3 PTC", "pixazo": "0.35 USD", "rixapi": None},
        ),
        (
            job(model_name="kling-v2-1", mode="std", duration=10),
            {"kling": "4 units", "302ai": "0.6 PTC", "pixazo": "0.7 USD", "rixapi": None},
        ),
        (
            job(model_name="kling-v2-6", mode="pro", duration="10"),
            {"kling": "5 units", "302ai": None, "pixazo": "0.7 USD", "rixapi": None},
        ),
        (
            job(model_name="kling-v2-1", mode="pro", duration="5"),
            {"kling": "3.5 units", "302ai": "0.5 PTC", "pixazo": "0.35 USD", "rixapi": None},
        ),
        (
            job(model_name="kling-v2-1", mode="pro", duration="10"),
            {"kling": "7 units", "302ai": "1 PTC", "pixazo": "0.7 USD", "rixapi": None},
        ),
        (
            job(model_name="kling-v3", mode="pro", duration="15", sound="on"),
            {"kling": "18 units", "302ai": None, "pixazo": None, "rixapi": None},
        ),
    ],
)
def test_the_same_job_at_every_provider(write: Write, body: Any, expected: dict[str, str | None]) -> None:
    """By hand from the tables: 2 or 4 a call, 0.5 and 1.2 a second; 0.3 and 0.6 PTC; 0.07 USD a second."""
    assert amounts(prices(write, body, "--all-providers")) == expected


def test_an_unknown_price_says_why(write: Write) -> None:
    """No table, a length that is not taken, or no such operation."""
    found = prices(write, job(model_name="kling-v3", mode="pro", duration="15"), "--all-providers")
    assert found["rixapi"]["why"] == "no table has a price for it"
    assert found["pixazo"]["why"] == "does not take this seconds: it should be one of 5, 10; is 15"
    words = {"prompt": "a lighthouse", "model_name": "kling-v2-6", "mode": "pro", "aspect_ratio": "1:1"}
    found = prices(write, words, "--all-providers")
    assert amounts(found) == {"kling": "2.5 units", "302ai": None, "pixazo": None, "rixapi": None}
    assert found["pixazo"]["why"] == "has no operation that makes a video from words alone"
    got = invoke("price", write(words), "--all-providers")
    assert "pixazo  unknown" in got.stdout
    assert "unknown               has no operation" in got.stdout


def test_what_a_provider_has_no_word_for_is_said(write: Write) -> None:
    """A gateway that takes only the seconds prices another job, strictly speaking."""
    found = prices(write, job(model_name="kling-v2-1", mode="std", duration="5"), "--provider", "pixazo")
    assert list(found) == ["pixazo"]
    assert found["pixazo"]["without"] == ["model", "mode", "sound"]
    assert found["pixazo"]["operation"] == "createImageToVideo"


def test_a_constant_of_an_operation_must_be_the_jobs(write: Write) -> None:
    """A path that means another model or mode is no offer; the one whose constants fit is found."""
    found = prices(write, job(model_name="kling-v2-1", mode="std", duration="10"), "--provider", "302ai")
    assert found["302ai"]["operation"] == "m2v21ImageToVideo10s"
    back = {"input_image": "https://x.example/a.png"}
    found = prices(write, back, "--all-providers", "--operation", "m2v21ImageToVideo10s")
    assert amounts(found) == {"302ai": "0.6 PTC", "kling": "4 units", "pixazo": "0.7 USD", "rixapi": None}
    found = prices(write, back, "--all-providers", "--operation", "m2v21ImageToVideoHq10s")
    assert amounts(found) == {"302ai": "1 PTC", "kling": "7 units", "pixazo": "0.7 USD", "rixapi": None}


def test_the_price_at_ones_own_provider(write: Write) -> None:
    """One line, from standard input too."""
    body = job(model_name="kling-v2-6", mode="pro", duration="5")
    line = "kling  2.5 units (0.35 USD)  createImageToVideo: 5 seconds at 0.5 units (documented)\n"
    assert invoke("price", write(body)).stdout == line
    assert invoke("price", "-", stdin=json.dumps(body)).stdout == line


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "job.json: is no JSON: "),
        ([1], "job.json: the payload is no JSON object, so nothing says what it is for; name an operation"),
    ],
)
def test_a_payload_without_a_job_is_2(write: Write, body: Any, message: str) -> None:
    """One line on the other stream."""
    got = invoke("price", write(body))
    assert (got.exit_code, got.stdout) == (2, "")
    assert got.stderr.startswith(f"kling-mock: {message}")


def test_several_payloads_are_priced_and_added_up(write: Write) -> None:
    """Each under its name, then the sum at each provider; an unknown price is named there, never 0."""
    one = write(job(model_name="kling-v2-6", mode="pro", duration="5"), "a.json")
    two = write(job(model_name="kling-v2-1", mode="std", duration="5"), "b.json")
    got = invoke("price", one, two, "--provider", "kling", "--provider", "rixapi")
    assert got.exit_code == 0
    lines = [" ".join(line.split()) for line in got.stdout.splitlines()]
    assert lines[0:2] == [
        "a.json",
        "kling 2.5 units (0.35 USD) createImageToVideo: 5 seconds at 0.5 units (documented)",
    ]
    assert lines[3:5] == ["b.json", "kling 2 units (0.28 USD) createImageToVideo: 1 call of 5 s at 2 units (assumed)"]
    assert lines[6:] == [
        "kling, 2 files: 4.5 units",
        "rixapi, 2 files: price unknown",
        "price unknown: a.json, b.json",
    ]


def test_a_payload_that_has_no_price_hides_no_other(write: Write) -> None:
    """The others are priced all the same; the exit code tells."""
    good = write(job(model_name="kling-v2-6", mode="pro", duration="5"), "a.json")
    bad = write(b"{", "b.json")
    got = invoke("price", good, bad, "--format", "json")
    assert got.exit_code == 2
    first, second = json.loads(got.stdout)
    assert (first["file"], [row["quote"]["amount"] for row in first["offers"]]) == ("a.json", ["2.5"])
    assert second["file"] == "b.json"
    assert second["problem"].startswith("is no JSON: ")
    assert got.stderr.startswith("kling-mock: b.json: is no JSON: ")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["validate", "--provider", "kling", "--provider", "rixapi"], "--provider"),
        (["validate", "--operation", "a", "--operation", "b"], "--operation"),
        (["price", "--operation", "a", "--operation", "b"], "--operation"),
        (["explain", "--provider", "kling", "--provider", "rixapi"], "--provider"),
    ],
)
def test_what_can_be_one_thing_only_is_given_once(write: Write, words: list[str], option: str) -> None:
    """The last of several is not taken in silence."""
    got = invoke(*words, write(BEAR))
    assert (got.exit_code, got.stdout) == (2, "")
    assert f"Invalid value for '{option}': is given 2 times ({words[2]}, {words[4]})" in got.stderr
    assert "run the command once for each" in got.stderr


@pytest.mark.parametrize(
    "words", [["explain"], ["explain", "start_end"], ["validate", "job.json"], ["price", "job.json"]]
)
def test_a_reader_that_goes_away_is_no_refusal(write: Write, words: list[str]) -> None:
    """`| head -1` ends it as it ends any command: no traceback, and not the exit code of a refused payload."""
    write(job(model_name="kling-v2-6", mode="pro", duration="5"))
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run([*COMMAND, *words], stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)
    assert (run.returncode, run.stderr) == (141, b"")


# Explain


def explain(*words: str) -> list[str]:
    """The lines of an explanation, blanks in a row as one."""
    got = invoke("explain", *words)
    assert got.exit_code == 0, got.output
    return [" ".join(line.split()) for line in got.stdout.splitlines()]


def test_a_rule_is_explained() -> None:
    """What it says, what the provider answers, evidence, and both examples."""
    assert explain("a-kite-needs-wind", *TOY) == [
        "toymaker rule a-kite-needs-wind",
        "says /wind must blow for a kite",
        "severity refused",
        "the provider HTTP 409: text A kite needs wind",
        "evidence assumed",
        'valid {"toy": "kite", "wind": 3}',
        'invalid {"toy": "kite"}',
    ]


def test_a_rule_that_fails_the_task_says_with_what() -> None:
    """No HTTP answer: the task ends with this reason."""
    lines = explain("a-photo-fits-the-bench", *TOY)
    assert "severity fails" in lines
    assert "the task fails The photo hung over the bench" in lines
    assert not any("HTTP" in line for line in lines)


def test_a_feature_is_explained_by_its_table() -> None:
    """Each model and mode with its seconds, the models that have it not, and the vendor's message."""
    lines = explain("start_end", "--provider", "kling")
    assert lines[0] == "kling feature start_end"
    assert any(line.startswith("the provider HTTP 400: code 1201, message model/mode/duration(") for line in lines)
    assert any(line.startswith("evidence ") and "2026-03" in line for line in lines)
    assert "kling-v2-1 pro: 5, 10 s" in lines
    assert not any(line.startswith("kling-v2-1 std") for line in lines)
    assert "kling-v2-master no" in lines


def test_an_error_is_explained() -> None:
    """Status, text, and what it answers."""
    assert explain("no-wind", *TOY) == [
        "toymaker error no-wind",
        "status HTTP 409",
        "text A kite needs wind",
        "evidence assumed",
        "of a-kite-needs-wind",
    ]
    assert "answers body.enum" in explain("no-such-toy", *TOY)


def test_an_error_is_explained_by_its_code() -> None:
    """As a client's log shows it; every provider that has it says what it is."""
    lines = invoke("explain", "1303").stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "kling error too-many-tasks",
        "",
        "rixapi error too-many-tasks",
    ]
    assert "kling error" in invoke("explain", "1201", "--provider", "kling").stdout


@pytest.mark.parametrize(
    ("rule", "lines"),
    [
        ("mock/token.missing", ["says no credential", "error token-missing", "status HTTP 401", "code 1001"]),
        ("mock/failure", ["says the mock itself failed", "error server-error", "status HTTP 500", "code 5000"]),
    ],
)
def test_a_rule_of_the_mocks_own_is_explained(rule: str, lines: list[str]) -> None:
    """What X-Mock-Violations names: the situation, and the error that the provider answers with."""
    first, *rows = invoke("explain", rule, "--provider", "kling").stdout.splitlines()
    assert first == f"kling answer to {rule}"
    assert [" ".join(row.split()) for row in rows] == lines


def test_a_name_is_explained_in_any_case_and_others_that_have_it_are_named() -> None:
    """START_END is start_end; who has none says who does, with exit code 1."""
    assert invoke("explain", "START_END").stdout == invoke("explain", "start_end").stdout != ""
    got = invoke("explain", "start_end", "--provider", "pixazo")
    said = "kling-mock: pixazo has no 'start_end'; kling and rixapi have it\n"
    assert (got.exit_code, got.stdout, got.stderr) == (1, "", said)


def test_a_scenario_is_explained() -> None:
    """What it shows, how it is asked for, the states and the reason."""
    assert explain("fail", *TOY) == [
        "toymaker scenario fail",
        "shows taken, then broken on the bench",
        "asked for by [mock:fail] in a prompt, or the header Prefer: scenario=fail",
        "states waiting -> carving -> broken",
        "the task fails The wood had a knot",
        "evidence assumed",
    ]


def test_a_keyword_is_explained_by_its_schema() -> None:
    """The id of a violation of a plain keyword: what is accepted, and what the documents ask for."""
    assert explain("orderToy/seconds/type", *TOY)[:3] == [
        "toymaker keyword orderToy/seconds/type",
        "in orderToy /seconds",
        'documented type: "integer"; anything else is a warning',
    ]
    assert 'accepted enum: ["bear", "train", "kite"]' in explain("orderToy/toy/enum", *TOY)
    assert "severity warning" in explain("orderToy/hat/unknown", *TOY)


def test_without_a_name_everything_is_listed() -> None:
    """Every rule, feature, error and scenario of every provider; each listed id can be explained."""
    got = invoke("explain", "--specs", str(TOYS))
    assert "toymaker" in got.stdout.splitlines()
    assert any(line.split()[:2] == ["rule", "a-kite-needs-wind"] for line in got.stdout.splitlines())
    for agreement in agreements().values():
        for kind, name, _ in ids(agreement):
            assert f"  {kind:10}  {name} " in got.stdout
            lines = list(explained(agreement, name))
            assert f"{agreement.provider.name} {kind} {name}" in lines  # an error and a scenario may have one name
            assert len(lines) > 2
        assert {kind for kind, _, _ in ids(agreement)} >= {"rule", "error", "scenario"}


def test_an_unknown_name_gets_the_closest() -> None:
    """One line and exit 1; far-off words are sent to the list."""
    got = invoke("explain", "a-kite-neds-wind", *TOY)
    assert (got.exit_code, got.stdout) == (1, "")
    assert got.stderr == "kling-mock: nothing here is called 'a-kite-neds-wind'; did you mean 'a-kite-needs-wind'?\n"
    assert invoke("explain", "zzzzzz", *TOY).stderr.endswith("'zzzzzz'; `kling-mock explain` lists all\n")
    assert "did you mean 'kling'?" in invoke("explain", "--provider", "klin").stderr


@pytest.mark.parametrize("command", ["validate", "price", "explain"])
def test_help_says_how_it_is_used(command: str) -> None:
    """A usage line, the exit codes where they differ, and a command to copy."""
    got = invoke(command, "--help")
    assert got.exit_code == 0
    assert f"kling-mock {command}" in got.output
    assert "\b" not in got.output
    for option in main.commands[command].params:
        if option.param_type_name == "option":
            assert option.opts[0] in got.output


def spec_problem(folder: Path) -> Iterator[str]:
    """A provider whose document is none."""
    (folder / "broken").mkdir()
    (folder / "broken" / "openapi.yaml").write_text("openapi: 3.1.0\n")
    yield str(folder)


def test_specs_that_are_wrong_are_nothing_to_judge_by(write: Write, tmp_path: Path) -> None:
    """Exit 2 with the document's problem, not a verdict by half of them."""
    name = write(BEAR)
    [folder] = spec_problem(tmp_path)
    got = invoke("validate", "--specs", folder, name)
    assert (got.exit_code, got.stdout) == (2, "")
    assert "broken/openapi.yaml" in got.stderr


def test_a_key_that_would_ring_the_terminal_is_shown_as_text(tmp_path: Path) -> None:
    """In no format of lines does a payload's own word reach a terminal or a log as a command."""
    (tmp_path / "payload.json").write_text(json.dumps({"image": "x", "\x1b[31mred\x07": 1}))
    for form in ("text", "github"):
        done = invoke("validate", str(tmp_path / "payload.json"), "--format", form)
        assert "\x1b" not in done.output
        assert "\x07" not in done.output
        assert "\\x1b[31mred" in done.output


def test_a_verdict_shows_no_secret_of_an_address(write: Write) -> None:
    """What was given instead is said without what it hides."""
    name = write(
        {"image": "https://example.com/a.png", "mode": "http://me:alpha-pass@h/?sig=bravo-token", "prompt": "a"}
    )
    got = CliRunner().invoke(main, ["validate", name, "--provider", "kling"])
    assert "is http://<credential>@h/?sig=<credential>" in got.output
    assert [secret for secret in ("alpha-pass", "bravo-token") if secret in got.output] == []
