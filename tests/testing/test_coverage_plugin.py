"""Coverage of behaviour in a user's test run: the table, the files, the gate, and several processes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from plugin_user import runner

from kling_mock.contract.coverage import counting, page, reports
from kling_mock.testing import coverage_plugin

if TYPE_CHECKING:
    from pathlib import Path

    from plugin_user import Run

pytest_plugins = ["pytester"]
IMPORTED = (counting, page, reports)  # see plugin_user
WALK = """
    def test_it(kling, client):
        kling.clock.follow_sleep()
        client.interval = 2
        client.wait(client.create(mode="pro"))
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test module of a user's."""
    return runner(pytester, monkeypatch)


def test_the_table_says_what_was_never_tested(run: Run) -> None:
    """By dimension, of the provider that was used; the run passes."""
    result = run(WALK, "--kling-coverage")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*= coverage of behaviour =*",
            "Kling AI (kling): *% covered, * of *",
            "  operations      2 of 10    20%  did what was asked of it",
            "  states          3 of 4     75%  shown in an answer",
            "  never tested:",
            "    states: failed",
            "next: --kling-coverage-report html:FILE (or json:, junit:) names all points",
        ]
    )
    result.stdout.no_fnmatch_line("Pixazo*")


def test_without_the_options_nothing_is_said(run: Run) -> None:
    """Coverage is asked for, or is not there."""
    run(WALK).stdout.no_fnmatch_line("*coverage*")


def test_the_reports_are_written(run: Run, pytester: pytest.Pytester) -> None:
    """Each format, in folders that are made; a test that changes the folder does not move them."""
    result = run(
        f"""
        def test_elsewhere(monkeypatch, tmp_path):
            monkeypatch.chdir(tmp_path)
        {WALK}
        """,
        *(f"--kling-coverage-report={name}:out/{name}" for name in ("json", "junit", "html")),
    )
    result.assert_outcomes(passed=2)
    folder = pytester.path / "out"
    document = json.loads((folder / "json").read_text("utf-8"))
    seen = {(row["operation"], row["name"]): row["seen"] for row in document["providers"][0]["points"]}
    assert seen["createImageToVideo", "mode=pro"] == 1
    assert seen["createImageToVideo", "mode=std"] == 0
    assert seen[None, "processing"] > 1
    assert ElementTree.parse(folder / "junit").getroot().tag == "testsuites"
    assert "<li" in (folder / "html").read_text("utf-8")
    result.stdout.fnmatch_lines([f"wrote {folder / 'html'}"])
    result.stdout.no_fnmatch_line("  operations *")


def test_a_report_that_cannot_be_written_fails_the_run(run: Run, pytester: pytest.Pytester) -> None:
    """With the file and the reason, after the table."""
    (pytester.path / "file").write_text("")
    result = run(WALK, "--kling-coverage-report=json:file/report.json")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED: the json report cannot be written: *file*"])


def test_less_than_the_minimum_fails_the_run(run: Run) -> None:
    """Though every test passed."""
    result = run(WALK, "--kling-coverage-min=80")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["FAILED: 80% of the behaviour should be covered (--kling-coverage-min); it is * of * points, *%"]
    )


def test_the_minimum_is_held_against_the_dimensions_that_count(run: Run) -> None:
    """Three of four states are exactly 75 percent."""
    result = run(WALK, "--kling-coverage-min=75", "--kling-coverage-of=states")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("FAILED*")
    assert run(WALK, "--kling-coverage-min=75.1", "--kling-coverage-of=states").ret == pytest.ExitCode.TESTS_FAILED


def test_a_minimum_without_any_use_of_the_mock_fails(run: Run) -> None:
    """Nothing was covered, which is less than anything."""
    result = run("def test_it():\n    pass", "--kling-coverage-min=0")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED: 0% of the behaviour *; it is nothing: no test used the mock"])


def test_collecting_is_no_run(run: Run) -> None:
    """No gate and no table where no test was meant to run."""
    result = run(WALK, "--kling-coverage-min=80", "--collect-only")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*coverage*")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kling-coverage-min=120"], "*--kling-coverage-min: should be a percentage from 0 to 100; is '120'"),
        (["--kling-coverage-min=much"], "*--kling-coverage-min: should be a percentage from 0 to 100; is 'much'"),
        (["--kling-coverage-report=xml:a"], "*should be FORMAT:FILE with json or junit or html; is 'xml:a'"),
        (["--kling-coverage-report=html"], "*should be FORMAT:FILE with json or junit or html; is 'html'"),
        (
            ["--kling-coverage", "--kling-coverage-of=state"],
            "*--kling-coverage-of: there is no dimension 'state'; did you mean 'states'?",
        ),
        (["--kling-coverage-of=states"], "*--kling-coverage-of says what to count: it needs --kling-coverage*"),
    ],
)
def test_options_that_make_no_sense_are_told(run: Run, options: list[str], message: str) -> None:
    """Before any test runs."""
    result = run(WALK, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_the_help_names_every_dimension() -> None:
    """And only those that there are."""
    assert coverage_plugin.DIMENSIONS.split(",") == list(counting.DIMENSIONS)


def test_webhooks_and_other_providers_are_seen(run: Run, pytester: pytest.Pytester) -> None:
    """What became of a webhook is known when the server ends; a provider that a test touched has its own table."""
    result = run(
        """
        import time

        import requests

        def test_webhook(kling, client):
            client.create(callback_url="http://127.0.0.1:9/nobody-listens")
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                log = requests.get(kling.base_url + "/_mock/webhooks", timeout=20).json()
                if any(row["attempts"] for row in log["webhooks"]):
                    break
                time.sleep(0.05)

        def test_other(kling):
            kling.allow_violations("*")
            other = kling.provider("pixazo")
            requests.post(other.base_url + "/kling-ai-video/v1/getImageToVideoTask", json={}, timeout=20)
        """,
        "--kling-coverage",
        "--kling-coverage-report=json:coverage.json",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["Kling AI (kling): *", "Pixazo (pixazo): *"])
    document = json.loads((pytester.path / "coverage.json").read_text("utf-8"))
    assert [row["provider"] for row in document["providers"]] == ["kling", "pixazo"]
    seen = {row["name"]: row["seen"] for row in document["providers"][0]["points"] if row["dimension"] == "webhooks"}
    assert seen["failed"] >= 1
    assert seen["delivered"] == 0


def test_workers_are_added_up(run: Run, pytester: pytest.Pytester) -> None:
    """Two of them under pytest-xdist see what one process would have seen."""
    source = """
        import pytest

        @pytest.mark.parametrize("mode", ["std", "pro", "std", "pro"])
        def test_it(kling, client, mode):
            client.create(mode=mode)
    """
    options = ["--kling-coverage-report=json:coverage.json", "--kling-coverage-min=90", "--kling-coverage"]
    result = run(source, "-n", "2", *options, apart=True)
    result.assert_outcomes(passed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.outlines.count("  states          1 of 4     25%  shown in an answer") == 1
    document = json.loads((pytester.path / "coverage.json").read_text("utf-8"))
    seen = {(row["operation"], row["name"]): row["seen"] for row in document["providers"][0]["points"]}
    assert [seen["createImageToVideo", f"mode={mode}"] for mode in ("std", "pro")] == [2, 2]
    assert seen[None, "create -> submitted"] == 4


def test_a_failed_run_keeps_its_exit_code(run: Run) -> None:
    """A gate that is passed makes nothing well."""
    source = """
        def test_it(kling, client):
            client.create()
            assert False
    """
    assert run(source, "--kling-coverage-min=0").ret == pytest.ExitCode.TESTS_FAILED


def test_the_plugin_loads_nothing_of_it_before_it_is_asked_for(tmp_path: Path) -> None:
    """Every test run imports the plugin, and few ask for coverage."""
    code = "import sys, kling_mock.testing.plugin; print(*(m for m in sys.modules if m.startswith('kling_mock.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    loaded = done.stdout.split()
    assert "kling_mock.testing.coverage_plugin" in loaded
    assert not [name for name in loaded if name.startswith("kling_mock.contract")]
