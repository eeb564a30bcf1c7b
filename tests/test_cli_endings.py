"""How every command ends that cannot go on: with one line, never a traceback, and never with the 1 of a refusal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from kling_mock.cli import main
from kling_mock.loading import load_providers
from tests.contract.recorded import entry, har
from tests.test_cli import COMMAND, assert_one_line, invoke, refused_to_serve, run

FULL = "/dev/full"
HAR = har(entry("kling/query-a-task-that-succeeded.yaml"))
PAYLOAD = {"image": "https://example.com/a.png", "prompt": "a lighthouse"}
PRINTING = (
    *("--help", "--version", "serve --help", "env", "token", "example", "example media/too-many-pixels-6400x6400.png"),
    *("specs", "scenarios", "show fail", "explain", "explain start_end", "check-spec", "validate FILE", "price FILE"),
    *("drift HAR", "contract --provider pixazo --dry-run", "serve --quiet --port 0"),
)
NAMING = (
    *("serve --port 0 --provider klin", "serve --port 0 --mount klin=/x", "serve --port 0 --variant klin=x"),
    *("env --mount klin=/x", "scenarios --provider klin", "show fail --provider klin", "explain --provider klin"),
    *("explain start_end --provider klin", "validate FILE --provider klin", "price FILE --provider klin"),
    *("drift HAR --provider klin", "contract --provider klin"),
)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """What stands for the files in the command lines here."""
    (tmp_path / "job.json").write_text(json.dumps(PAYLOAD), encoding="utf-8")
    (tmp_path / "recorded.har").write_bytes(HAR)
    return {"FILE": str(tmp_path / "job.json"), "HAR": str(tmp_path / "recorded.har")}


def words(line: str, given: dict[str, str]) -> list[str]:
    """A command line as its words, with the files in it."""
    return [given.get(word, word) for word in line.split()]


def ended(line: str, given: dict[str, str], redirection: str) -> subprocess.CompletedProcess[str]:
    """A command by the shell, with a stream led elsewhere; it must end within 30 s."""
    script = f'"$@" {redirection}'
    command = ["bash", "-c", script, "bash", *COMMAND, *words(line, given)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)


def test_each_command_is_tried_here() -> None:
    """A new command has to end in order too."""
    assert {line.split()[0] for line in PRINTING} - {"--help", "--version"} == set(main.commands)


@pytest.mark.skipif(not os.path.exists(FULL), reason="there is no full device on this system")
@pytest.mark.parametrize("line", PRINTING)
def test_a_full_disk_is_one_line_and_2(line: str, given: dict[str, str]) -> None:
    """1 would say that something is refused; the credentials that `serve` prints come before it."""
    done = ended(line, given, f"> {FULL}")
    said = [row for row in done.stderr.splitlines() if "opens-nothing" not in row and "KEY=mock" not in row]
    assert said == ["kling-mock: the output cannot be written: No space left on device"]
    assert done.returncode == 2


@pytest.mark.skipif(not os.path.exists(FULL), reason="there is no full device on this system")
def test_when_both_streams_are_full_the_code_says_it(given: dict[str, str]) -> None:
    """There is nobody left to tell."""
    assert ended("env", given, f"> {FULL} 2>&1").returncode == 2


@pytest.mark.parametrize("line", ["validate -", "price -", "drift -"])
def test_a_closed_standard_input_is_told(line: str, given: dict[str, str]) -> None:
    """One line that says why, and 2: nothing was judged."""
    done = ended(line, given, "<&-")
    told = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    assert len(told) == 1
    assert "cannot be read: standard input is closed; give a file, or pipe something in" in told[0]
    assert done.returncode == 2


@pytest.mark.parametrize("line", ["example media/too-many-pixels-6400x6400.png", "explain", "--help"])
def test_a_reader_that_leaves_is_141(line: str, given: dict[str, str]) -> None:
    """As in any shell, whatever the command, and without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, *words(line, given)], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=30
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("line", ["validate PIPE", "price PIPE", "drift PIPE", "show hanging"])
def test_ctrl_c_ends_with_one_line_and_130(line: str, tmp_path: Path) -> None:
    """As the shell has it, not the 1 of a refused payload, and no traceback."""
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    words_ = ["show", "hanging"] if line.startswith("show") else [line.split()[0], str(pipe)]
    process = subprocess.Popen(
        [*COMMAND, *words_],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job is started without
    )
    if words_[0] == "show":
        assert process.stdout is not None
        process.stdout.readline()  # what it shows, before it waits
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    else:
        with pipe.open("w"):  # opens once the command reads it
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
            assert out == ""
    assert (process.returncode, err) == (130, "kling-mock: interrupted\n")


@pytest.mark.parametrize("line", NAMING)
def test_an_unknown_provider_is_2_in_every_command(line: str, given: dict[str, str]) -> None:
    """It is a wrong command line, told in the same words, with what was probably meant and all there are."""
    command = words(line, given)
    done = refused_to_serve(*command[3:]) if command[0] == "serve" else run(*command)
    known = ", ".join(load_providers())
    assert_one_line(done, f"there is no provider 'klin'; did you mean 'kling'? (known are {known})", code=2)


def test_the_help_tells_the_exit_codes() -> None:
    """Of all commands, and why `serve` has another one for Ctrl-C."""
    said = " ".join(invoke("--help").stdout.split())
    for words_ in (
        "0 fine",
        "1 something is wrong with what was given",
        "2 the command line itself",
        "130 interrupted",
    ):
        assert words_ in said
    assert "141 nobody reads on" in said
    assert "`serve` is ended: 0" in said
