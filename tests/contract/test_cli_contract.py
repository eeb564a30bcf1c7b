"""`kling-mock contract`: what it prints, how it ends, and that pytest's way is the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from kling_mock.cli import main
from kling_mock.contract.agreement import agreements
from kling_mock.contract.probes import PHASES
from kling_mock.loading import load_providers
from tests.contract.broken import Passed, billing

ROOT = Path(__file__).parents[2]
TOYS = ["--specs", str(ROOT / "tests" / "providers")]
TOY = ["--provider", "toymaker", *TOYS]
DEFAULT = next(row for row in agreements().values() if row.provider.default)
KEYS = {row.variable: row.default for row in DEFAULT.provider.credentials.values()}


def contract(*options: str, env: dict[str, str] | None = None) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["contract", *options], env=env, catch_exceptions=False)


def pytests_way(*options: str, env: Mapping[str, str] = KEYS) -> subprocess.CompletedProcess[str]:
    """What `pytest contract_tests` ends with, by default with the credentials of the default account."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "contract_tests", *options],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def not_found(passed: Passed) -> Passed:
    """A server that has lost its tasks."""
    return passed if passed.method == "POST" else passed._replace(status=500, body=b"<html>")


def test_the_mock_keeps_to_its_documents() -> None:
    """The plan, a line for each phase, the verdict; exit 0. Without a terminal there is neither color nor bar."""
    done = contract(*TOY, "--phases", "lifecycle,rules")
    assert done.exit_code == 0
    first, *rest = done.stdout.splitlines()
    assert first.startswith("toymaker at http://127.0.0.1:")
    assert first.endswith(", a mock: nothing is billed")
    assert [line.split()[0] for line in rest] == ["rules", "lifecycle", "rules", "lifecycle", "toymaker:"]
    assert rest[-1].startswith("toymaker: all of ")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_what_does_not_hold_is_told_with_all_that_repeats_it() -> None:
    """The check, the probe, what was expected and came, and a line for a shell, without a credential; exit 1."""
    with billing(DEFAULT.provider, not_found) as target:
        where = ["--target", target.url, "--provider", DEFAULT.provider.name]
        done = contract(*where, "--phases", "lifecycle", "--allow-spend", "1", env=KEYS)
    assert done.exit_code == 1
    told = done.stdout
    found = told[told.index("found: kling lifecycle: createImageToVideo, usual course\n") :]
    assert "\n  the task cannot be found\n  in        getImageToVideo\n" in found
    assert "  got       500" in found
    line = next(line for line in found.splitlines() if line.strip().startswith("repeat"))
    assert f"curl -i -X GET {target.url}/v1/videos/image2video/" in line
    assert '-H "authorization: Bearer $(kling-mock token --provider kling)"' in line
    assert not any(value in told for value in KEYS.values())
    assert "spent: 1 units for task" in told
    assert told.splitlines()[-1].endswith("probes fail")


def test_json_has_every_probe() -> None:
    """A list, or for a target its one report; the plan goes to standard error."""
    done = contract(*TOY, "--phases", "examples", "--format", "json")
    (report,) = json.loads(done.stdout)
    assert done.stderr.startswith("toymaker at http://")
    assert (report["provider"], report["holds"], report["stopped"], report["spent"]) == ("toymaker", True, None, [])
    examples = agreements(["toymaker"], [ROOT / "tests" / "providers"])["toymaker"].examples
    assert [row["probe"] for row in report["probes"]] == list(examples)
    assert all(row["calls"] == 1 and row["failures"] == [] for row in report["probes"])


def test_json_of_a_target_is_its_report() -> None:
    """With every failure's check, its curl line and which breakage it would be."""
    with billing(DEFAULT.provider, not_found) as target:
        where = ["--target", target.url, "--provider", DEFAULT.provider.name]
        done = contract(*where, "--phases", "lifecycle", "--format", "json", env=KEYS)
    report = json.loads(done.stdout)
    failures = [failure for row in report["probes"] for failure in row["failures"]]
    assert done.exit_code == 1
    assert {failure["check"] for failure in failures} >= {"schema", "error"}
    assert {failure["breaks"] for failure in failures} == {"shape", None}


def test_junit_counts_failures_and_what_was_left_out() -> None:
    """A case for each probe, which CI shows."""
    with billing(DEFAULT.provider, not_found) as target:
        where = ["--target", target.url, "--provider", DEFAULT.provider.name]
        done = contract(*where, "--phases", "lifecycle,webhooks", "--format", "junit", env=KEYS)
    (suite,) = ElementTree.fromstring(done.stdout)
    cases = list(suite)
    assert suite.get("tests") == str(len(cases))
    assert suite.get("failures") == str(sum(case.find("failure") is not None for case in cases)) != "0"
    assert suite.get("skipped") == str(sum(case.find("skipped") is not None for case in cases)) != "0"
    assert {case.get("classname") for case in cases} == {"kling.lifecycle", "kling.webhooks"}


def test_a_dry_run_sends_nothing() -> None:
    """Every probe with what it could cost, and what would be left out and why."""
    with billing(DEFAULT.provider) as target:
        where = ["--target", target.url, "--provider", DEFAULT.provider.name]
        done = contract(*where, "--dry-run", "--phases", "rules,lifecycle", "--allow-spend", "2", env=KEYS)
        assert set(target.asked) <= {("GET", "/_mock/health")}
    assert done.exit_code == 0
    told = done.stdout
    assert "  rules      image-is-readable, broken  free" in told
    assert "  lifecycle  createImageToVideo, usual course  could cost 1\n" in told
    assert "left out: could cost 3.5, and 2 may be spent" in told
    assert "left out: only a mock can be made to do it" in told


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--provider", "klingg"], "there is no provider 'klingg'; did you mean 'kling'"),
        (["--phases", "rule"], "there is no phase 'rule'; did you mean 'rules'"),
        (["--target", "http://127.0.0.1:9"], "a target is one provider's: give its name with --provider"),
        (["--target", "http://127.0.0.1:9", "--provider", "kling"], "nobody answers at http://127.0.0.1:9"),
        (["--target", "http://", "--provider", "kling"], "'http://' is no URL such as http://127.0.0.1:8787"),
        (["--target", "http://a:99999", "--provider", "kling"], "'http://a:99999' is no URL such as"),
        (["--target", "127.0.0.1:9", "--provider", "kling"], "'127.0.0.1:9' is no URL such as http://127.0.0.1:8787"),
        (["--allow-spend", "much"], "'much' is no amount such as 100"),
    ],
)
def test_what_cannot_run_is_told_in_one_line(options: list[str], says: str) -> None:
    """Exit 2, and what to do instead."""
    done = contract(*options)
    assert done.exit_code == 2
    assert says in " ".join(done.stderr.split())


def test_a_target_that_bills_wants_credentials() -> None:
    """The variables are named that would do."""
    with billing(DEFAULT.provider) as target:
        done = contract("--target", target.url, "--provider", "kling", env=dict.fromkeys(KEYS, ""))
    assert done.exit_code == 2
    assert "set KLING_API_KEY, or KLING_ACCESS_KEY and KLING_SECRET_KEY" in done.stderr


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kit's libraries are no dependencies of a server."""
    monkeypatch.setattr("kling_mock.cli_contract.find_spec", lambda name: None)
    done = contract()
    assert done.exit_code == 2
    assert "pip install 'kling-mock[contract]' (from a checkout: pip install '.[contract]')" in done.stderr


def test_ctrl_c_ends_with_one_line() -> None:
    """Exit 130, no traceback."""
    command = [sys.executable, "-P", "-m", "kling_mock", "contract", "--provider", "kling"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("kling at http://")
            time.sleep(1.0)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert told.splitlines()[-1] == "kling-mock: interrupted"
    assert "Traceback" not in told


def test_help_tells_the_exit_codes_and_phases() -> None:
    """What they mean, and what the target may be."""
    done = contract("--help")
    told = " ".join(done.stdout.split())
    assert "0 it holds, 1 something does not, 2 the suite cannot run, 3 money was spent" in told
    assert ",".join(PHASES) in told


def test_pytests_way_is_the_same() -> None:
    """`pytest contract_tests --target URL`: a test for each probe, left out ones are skipped with the reason."""
    with billing(DEFAULT.provider) as target:
        options = ["--target", target.url, "--provider", "kling", "--phases", "lifecycle", "-n", "0", "-q", "-rs"]
        done = pytests_way(*options)
    assert done.returncode == 0, done.stdout
    assert "only a mock can be made to do it" in done.stdout
    assert "4 passed" in done.stdout


def test_pytests_way_has_one_purse() -> None:
    """Whatever number of processes is asked for, a target is asked by one, and what was spent is told at the end."""
    with billing(DEFAULT.provider) as target:
        options = ["--target", target.url, "--provider", "kling", "--phases", "lifecycle", "-n", "2", "-q"]
        done = pytests_way(*options, "--allow-spend", "1")
        made = [task.id for task in target.mock.store.tasks()]
    assert done.returncode == 0, done.stdout
    assert len(made) == 1
    assert f"spent: 1 units for task {made[0]}" in done.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--allow-spend", "nan"], "'nan' is no amount such as 100"),
        (["--phases", "fuz"], "there is no phase fuz; there are examples, rules,"),
        (["--provider", "klin"], "there is no provider klin; there are 302ai, kling,"),
        (["--target", "http://127.0.0.1:9"], "a target is one provider's: give its name with --provider"),
    ],
)
def test_pytests_way_refuses_what_says_nothing(options: list[str], says: str) -> None:
    """In one line, as the command line does."""
    done = pytests_way("-n", "0", *options, env={})
    assert done.returncode == 4
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_pytests_way_ends_at_a_wrong_key() -> None:
    """Once, with what the command line says, and not with a failure for each test; exit 2."""
    command = ["-n", "0", "-q", "--provider", "kling"]
    nobody = dict.fromkeys(KEYS, "") | {"KLING_API_KEY": "wrongkey"}
    with billing(DEFAULT.provider) as target:
        done = pytests_way(*command, "--target", target.url, "--phases", "errors", env=nobody)
    assert done.returncode == 2
    assert "the credentials in KLING_API_KEY are refused (401/1002: " in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "failed" not in done.stdout


def test_every_provider_is_run_by_default() -> None:
    """One after the other, each at a mock of its own."""
    done = contract("--phases", "errors")
    assert done.exit_code == 0
    told = [line.partition(":")[0] for line in done.stdout.splitlines() if ": all of " in line]
    assert told == list(load_providers())


def test_coverage_is_told_written_and_held_against_a_minimum(tmp_path: Path) -> None:
    """What the run has not met is named; too little of it exits with 1, though all of it holds."""
    file = tmp_path / "reports" / "coverage.json"
    options = [*TOY, "--phases", "lifecycle", "--coverage", "--coverage-report", f"json:{file}"]
    done = contract(*options, "--coverage-min", "99.5")
    assert done.exit_code == 1
    assert "toymaker: all of " in done.stdout
    assert "  operations      4 of 4    100%" in done.stdout
    assert "never tested:" in done.stdout
    assert "99.5% of the behaviour should be met (--coverage-min); it is " in done.stderr
    assert json.loads(file.read_text())["providers"][0]["provider"] == "toymaker"
    assert contract(*options, "--coverage-min", "10").exit_code == 0


def test_coverage_of_a_wrong_form_is_refused() -> None:
    """The forms are named."""
    done = contract("--coverage-report", "pdf:file")
    assert done.exit_code == 2
    assert "'pdf:file' is not FORMAT:FILE with json, junit, html" in " ".join(done.stderr.split())
