"""The command as people and scripts use it: options, exit codes, what is printed where, and that it ends in order."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jwt
import pytest
import requests
import yaml
from click.testing import CliRunner, Result

from kling_mock import __version__, cli
from kling_mock.cli import main
from kling_mock.cli_types import Size
from kling_mock.loading import bundled, load_providers
from kling_mock.yaml_files import read_yaml

# -P: the package that is installed is tested, not the folder that pytest happens to run in.
COMMAND = [sys.executable, "-P", "-m", "kling_mock"]
COMMANDS = ("serve", "env", "token", "scenarios", "example", "check-spec")
NAMES = {
    *("KLING_BASE_URL", "KLING_ACCESS_KEY", "KLING_SECRET_KEY", "KLING_API_KEY"),
    *("AI302_BASE_URL", "AI302_API_KEY"),
    *("PIXAZO_BASE_URL", "PIXAZO_SUBSCRIPTION_KEY"),
    *("RIXAPI_BASE_URL", "RIXAPI_API_KEY"),
}
READY = re.compile(r"kling-mock ready on http://127\.0\.0\.1:([0-9]+)\n")
HEAVY = ("openapi_core", "schemathesis", "hypothesis", "pytest", "_pytest", "av")
PATH = "/v1/videos/image2video"
TOY = Path(__file__).parent / "providers" / "toymaker"
BODY = {"image": "https://example.com/a.png", "prompt": "a lighthouse"}


def run(*words: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; it must end within 20 s."""
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )


def invoke(*words: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, list(words))


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str, code: int = 1) -> None:
    """A user's error: the exit code, nothing on standard output, one line with these words on the other."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


@contextmanager
def served(*options: str, quiet: bool = True) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port as a process, and its URL."""
    command = [*COMMAND, "serve", "--port", "0", *(["--quiet"] if quiet else []), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert READY.fullmatch(line), (line, process.stderr.read() if process.stderr else "")
        yield process, line.split()[-1]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def refused_to_serve(*options: str) -> subprocess.CompletedProcess[str]:
    """What `serve` says that should not start; one that starts is ended and fails the test."""
    try:
        return subprocess.run(
            [*COMMAND, "serve", "--port", "0", *options], capture_output=True, text=True, timeout=8, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"it serves with {options}: {error.stdout!r}") from None


# What is kept


@pytest.mark.parametrize(
    ("options", "left"),
    [((), 4), (("--keep-tasks", "2"), 2), (("--keep-age", "30d"), 1), (("--keep-age", "86400"), 1)],
)
@pytest.mark.parametrize("store", ["memory://", "sqlite:///{folder}/mock.db"])
def test_tasks_are_forgotten_by_count_and_by_age(
    store: str, options: tuple[str, ...], left: int, tmp_path: Path
) -> None:
    """The newest stay; without options any age does; what was paid for the others is still in the sums."""
    with served("--at", "2026-03-01T12:00:00Z", "--store", store.format(folder=tmp_path), *options) as (_, url):
        key = {"Authorization": "Bearer " + load_providers(["kling"])["kling"].credentials["api_key"].default}
        made = [requests.post(url + PATH, json=BODY, headers=key, timeout=20) for _ in range(3)]
        requests.post(f"{url}/_mock/clock", json={"advance": "31d"}, timeout=20)
        made.append(requests.post(url + PATH, json=BODY, headers=key, timeout=20))
        rows = requests.get(f"{url}/_mock/tasks", timeout=20).json()["tasks"]
        assert [row["id"] for row in rows] == [row.json()["data"]["task_id"] for row in made[-left:]]
        packs = requests.get(f"{url}/_mock/accounts/kling-default/ledger", timeout=20).json()["packs"]
        assert (packs[0]["spent"], packs[0]["reserved"]) == (3, 1)


# Help


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_says_what_each_command_is_for(command: str, flag: str) -> None:
    """Help ends with 0, has a sentence, and a text for every option and no leaking markup."""
    got = invoke(command, flag)
    assert got.exit_code == 0
    assert f"{command} [OPTIONS]" in got.output
    assert "\b" not in got.output
    for option in main.commands[command].params:
        if option.param_type_name == "option":
            assert option.opts[0] in got.output


def test_help_teaches_by_example() -> None:
    """The group's help shows the three commands of a first day; the commands that need it show how they are used."""
    for words in ("kling-mock serve", 'eval "$(kling-mock env)"', "kling-mock token", "Exit codes: 0 fine"):
        assert words in invoke("--help").output
    assert 'eval "$(kling-mock env)"' in invoke("env", "--help").output
    assert "kling-mock example kling/" in invoke("example", "--help").output
    assert "[mock:fail]" in invoke("serve", "--help").output
    for option in ("--format", "--provider", "--seconds", "--specs"):
        assert any(option in invoke(command, "--help").output for command in COMMANDS)


@pytest.mark.parametrize("name", re.findall(r"kling-mock example (\S+) >", invoke("example", "--help").output))
def test_the_examples_of_the_help_exist(name: str) -> None:
    """What the help tells to type can be typed."""
    assert invoke("example", name).exit_code == 0


def test_every_latency_that_the_help_names_exists() -> None:
    """`--latency`'s help names the profiles of every bundled provider, the default first."""
    said = invoke("serve", "--help").output
    for provider in load_providers().values():
        assert all(profile in said for profile in provider.lifecycle.latency)
        assert next(iter(provider.lifecycle.latency)) == "fast"


def test_version() -> None:
    """The version is the package's."""
    assert invoke("--version").output == f"kling-mock, version {__version__}\n"


def test_a_mistyped_option_gets_a_suggestion() -> None:
    """Exit 2 and the option that was meant."""
    got = invoke("serve", "--prot", "1")
    assert got.exit_code == 2
    assert "--port" in got.output


# Serving


def test_the_ready_line_is_the_only_line_on_standard_output() -> None:
    """It comes at once through a pipe, health is 200 from then on, and requests are logged on the other stream."""
    with served(quiet=False) as (process, url):
        assert requests.get(f"{url}/_mock/health", timeout=5).status_code == 200
        assert requests.get(f"{url}/v1/nothing", timeout=5).status_code == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()  # `communicate` would pass over what readline buffered
    assert out == ""
    assert "GET /v1/nothing 404" in err
    assert "KLING_API_KEY=mock-" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("idle", [True, False])
def test_a_signal_ends_it_with_0(number: signal.Signals, idle: bool) -> None:
    """Ctrl-C and `kill` end the server in order, also while a client keeps its connection."""
    with served() as (process, url), requests.Session() as session:
        if not idle:
            assert session.get(f"{url}/_mock/health", timeout=5).status_code == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out) == (0, "")
        assert "Traceback" not in err


def test_quiet_logs_no_request() -> None:
    """With --quiet the other stream has the credentials and nothing else."""
    with served() as (process, url):
        requests.get(f"{url}/v1/nothing", timeout=5)
        process.terminate()
        _, err = process.communicate(timeout=10)
    assert "nothing" not in err.replace("that-opens-nothing", "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--variant", "kling=x"], ["kling has no variant 'x'", "default"]),
        (["--variant", "302ai=offical"], ["'offical'", "did you mean 'official'?"]),
        (["--latency", "instan"], ["'instan'", "did you mean 'instant'?"]),
        (["--mount", "kling=/_mock"], ["/_mock"]),
        (["--mount", "kling=/a", "--mount", "rixapi=/a"], ["/a"]),
        (["--mount", "pixazo=/kling"], ["/kling"]),
    ],
)
def test_a_wrong_name_or_mount_is_one_line(options: list[str], words: list[str]) -> None:
    """Names are looked up before anything is served, and a mount that hides something is refused."""
    assert_one_line(refused_to_serve(*options), *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--variant", "kling"], "'kling' is not of the form PROVIDER=NAME"),
        (["--variant", "=x"], "'=x' is not of the form PROVIDER=NAME"),
        (["--mount", "kling="], "'kling=' is not of the form PROVIDER=/PREFIX"),
        (["--mount", "kling=/"], "PROVIDER=/PREFIX"),
        (["--at", "yesterday"], "'yesterday' is no instant such as 2026-03-01T12:00:00Z"),
        (["--at", "99999999999999999999"], "is no instant such as"),
        (["--keep-age", "a month"], "'a month' is no duration such as 90s, 31m, 1h30m or 3d"),
        (["--keep-age", "\u00b2"], "is no duration such as 90s"),
        (["--keep-tasks", "0"], "0 is not in the range x>=1"),
        (["--max-body", "64XB"], "'64XB' is no size such as 64MB"),
        (["--max-body", "0"], "'0' is no size such as 64MB"),
        (["--max-body", "5GB"], "'5GB' is no size such as 64MB (at most 4GB)"),
        (["--max-body", "\u00b2MB"], "is no size such as 64MB"),
        (["--max-body", ""], "is no size such as 64MB"),
        (["--speed", "-1"], "-1.0 is not in the range"),
        (["--speed", "nan"], "--speed"),
        (["--auth", "none"], "'none' is not one of 'registered', 'any'"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--specs", "/nowhere"], "Directory '/nowhere' does not exist"),
    ],
)
def test_a_bad_value_is_a_usage_error(options: list[str], words: str) -> None:
    """Exit 2, the usage, and what the option takes."""
    done = refused_to_serve(*options)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert words in done.stderr
    assert "Usage: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("written", "size"), [("64MB", 64 << 20), ("512kB", 512 << 10), ("1 gb", 1 << 30), ("77", 77), ("9b", 9)]
)
def test_sizes(written: str, size: int) -> None:
    """Units of any case, with or without a space, and plain bytes."""
    assert Size().convert(written, None, None) == size


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "1970-01-01", "9999-12-31T23:59:59Z"])
def test_any_instant_that_is_taken_can_be_served(at: str) -> None:
    """A clock at either end of the calendar creates and shows tasks; it gives no 5xx."""
    key = load_providers()["kling"].credentials["api_key"].default
    with served("--at", at) as (_, url):
        headers = {"Authorization": f"Bearer {key}"}
        made = requests.post(url + PATH, json=BODY, headers=headers, timeout=5)
        assert made.status_code == 200, made.text
        assert requests.get(f"{url}{PATH}/{made.json()['data']['task_id']}", headers=headers, timeout=5).ok
        assert requests.get(f"{url}/_mock/tasks", timeout=5).ok


def test_options_reach_the_mock() -> None:
    """--seed and --at repeat every byte, --latency instant ends at once, --public-url and --auth any are heard."""
    replies = []
    for _ in range(2):
        options = ["--seed", "7", "--at", "2026-03-01T12:00:00Z", "--latency", "instant", "--auth", "any"]
        with served(*options, "--public-url", "https://mock.example") as (_, url):
            headers = {"Authorization": "Bearer a-key-of-nobody-that-is-well-formed"}
            made = requests.post(url + PATH, json=BODY, headers=headers, timeout=5)
            shown = requests.get(f"{url}{PATH}/{made.json()['data']['task_id']}", headers=headers, timeout=5)
            replies.append((made.content, shown.content))
    assert replies[0] == replies[1]
    assert '"task_status":"succeed"' in shown.text
    assert "https://mock.example/_mock/media/" in shown.text


def test_two_runs_are_the_same_to_the_byte() -> None:
    """With --seed and --at: status, headers and body of a create, of its journal and of the rest of the control API."""
    key = load_providers()["kling"].credentials["api_key"].default
    headers = {"Authorization": f"Bearer {key}", "Host": "127.0.0.1:8787"}
    runs = []
    for _ in range(2):
        with served("--seed", "7", "--at", "2026-03-01T12:00:00Z") as (_, url):
            got = [requests.post(url + PATH, json=BODY, headers=headers, timeout=5)]
            for path in ("journal", "tasks", "accounts", "clock", "nothing"):
                got.append(requests.get(f"{url}/_mock/{path}", headers=headers, timeout=5))
            runs.append([(reply.status_code, list(reply.headers.items()), reply.content) for reply in got])
    assert runs[0] == runs[1]
    assert [status for status, *_ in runs[0]] == [200, 200, 200, 200, 200, 404]


def test_only_the_wanted_providers_are_served() -> None:
    """--provider may be given several times."""
    with served("--provider", "pixazo", "--provider", "kling") as (_, url):
        rows = requests.get(f"{url}/_mock/providers", timeout=5).json()["providers"]
    assert {row["name"] for row in rows} == {"kling", "pixazo"}


def test_max_body_is_heard() -> None:
    """A body over --max-body is 413, and the mock's own header says which limit that is and what sets it."""
    key = load_providers()["kling"].credentials["api_key"].default
    with served("--max-body", "1kB") as (_, url):
        headers = {"Authorization": f"Bearer {key}"}
        got = [
            requests.post(url + PATH, json={**BODY, "prompt": "a" * size}, headers=headers, timeout=5)
            for size in (500, 1025)
        ]
    assert [reply.status_code for reply in got] == [200, 413]
    told = "the body is longer than the 1,024 bytes that this server takes (kling-mock serve --max-body SIZE)"
    assert [row["message"] for row in json.loads(got[1].headers["X-Mock-Violations"])] == [told]
    assert "max-body" not in got[1].text


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A specs folder with the toy under two names: `first` and `second` want the same paths."""
    for name in ("first", "second"):
        shutil.copytree(TOY, tmp_path / "specs" / name)
    return tmp_path / "specs"


def test_two_providers_with_the_same_paths_do_not_start(copied: Path) -> None:
    """The clash is told with both paths and the way out."""
    done = refused_to_serve("--specs", str(copied))
    assert_one_line(done, "first /workshop/order", "second /workshop/order", "--mount NAME=/prefix")


def test_one_of_them_under_a_prefix_starts(copied: Path) -> None:
    """With --mount both answer, each by its path, and `env` names the prefix in the base URL."""
    with served("--specs", str(copied), "--mount", "second=/two") as (_, url):
        rows = [requests.post(f"{url}{prefix}/workshop/orders", json={}, timeout=5) for prefix in ("", "/two")]
        journal = requests.get(f"{url}/_mock/journal", timeout=5).json()["exchanges"]
    assert [row.status_code for row in rows] == [422, 422]
    assert sorted(row["provider"] for row in journal) == ["first", "second"]
    got = invoke("env", "--specs", str(copied), "--mount", "second=/two", "--format", "json")
    assert f"http://{cli.HOST}:{cli.PORT}/two" in json.loads(got.output).values()


def test_serving_imports_nothing_heavy() -> None:
    """A server that has made and shown a task never loaded the contract kit's libraries."""
    script = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('\\nmodules', *sys.modules, file=sys.stderr))\n"
        "sys.argv = ['kling-mock', 'serve', '--port', '0', '--quiet']\n"
        "from kling_mock.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        key = load_providers()["kling"].credentials["api_key"].default
        image = invoke("example", "kling/create-from-an-image-with-six-shots").stdout_bytes
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        assert requests.post(url + PATH, data=image, headers=headers, timeout=5).status_code == 200
        assert requests.get(f"{url}/_mock/tasks", timeout=5).status_code == 200
    finally:
        process.terminate()
        _, err = process.communicate(timeout=10)
    assert process.returncode == 0
    loaded = {name.partition(".")[0] for name in err.rpartition("modules ")[2].split()}
    assert "uvicorn" in loaded
    assert loaded & set(HEAVY) == set()


# The environment


def test_the_environment_has_the_promised_names() -> None:
    """In JSON: every name of the issue, base URLs without a path, and obviously fake credentials."""
    values = json.loads(invoke("env", "--format", "json").stdout)
    assert set(values) == NAMES
    for name, value in values.items():
        assert value == "http://127.0.0.1:8787" if name.endswith("BASE_URL") else "mock" in value


@pytest.mark.parametrize(
    ("options", "base"),
    [
        (["--port", "9"], "http://127.0.0.1:9"),
        (["--host", "mock.test"], "http://mock.test:8787"),
        (["--url", "https://mock.test/"], "https://mock.test"),
        (["--mount", "kling=/k/"], "http://127.0.0.1:8787/k"),
    ],
)
def test_the_environment_of_another_server(options: list[str], base: str) -> None:
    """--host, --port, --url and --mount change the base URLs."""
    values = json.loads(invoke("env", "--format", "json", *options).stdout)
    assert values["KLING_BASE_URL"] == base


def test_an_unknown_mount_is_told() -> None:
    """`env --mount` for a provider that is not there is an error as with `serve`, not silence."""
    done = run("env", "--mount", "klin=/x")
    assert_one_line(done, "'klin'", "did you mean 'kling'?", code=2)


def test_the_shell_format_is_evaluated_by_bash() -> None:
    """`eval "$(kling-mock env)"` exports every variable."""
    script = f'eval "$({sys.executable} -m kling_mock env --url https://mock.test:1)"; env -0'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20, check=True)
    found = dict(row.split("=", 1) for row in done.stdout.split("\0") if "=" in row)
    values = json.loads(invoke("env", "--format", "json", "--url", "https://mock.test:1").stdout)
    assert {name: found.get(name) for name in NAMES} == values


def test_the_shell_format_is_quoted() -> None:
    """Whatever a spec's author gives as a default credential, the shell takes it as it stands."""
    value = "$(touch x)'\"; echo y `id` \\"
    script = f'{cli.shell({"TRICKY": value})}\nprintf %s "$TRICKY"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == value


def test_the_dotenv_format() -> None:
    """One NAME=VALUE a line, the same values."""
    rows = dict(line.split("=", 1) for line in invoke("env", "--format", "dotenv").stdout.splitlines())
    assert rows == json.loads(invoke("env", "--format", "json").stdout)


# Tokens


def test_a_token_is_a_jwt_of_the_default_account() -> None:
    """HS256, the default access key as issuer, valid since a moment ago and for half an hour."""
    values = json.loads(invoke("env", "--format", "json").stdout)
    environment = dict.fromkeys(("KLING_ACCESS_KEY", "KLING_SECRET_KEY"), "")
    done = run("token", environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    token = done.stdout.strip()
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    claims = jwt.decode(token, values["KLING_SECRET_KEY"], algorithms=["HS256"])
    assert claims["iss"] == values["KLING_ACCESS_KEY"]
    assert claims["nbf"] <= time.time() < claims["exp"] <= time.time() + cli.TOKEN_SECONDS


def test_a_token_uses_the_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account of one's own signs with its own keys; --seconds says how long."""
    secret = "another-secret-that-opens-nothing-either"
    monkeypatch.setenv("KLING_ACCESS_KEY", "another")
    monkeypatch.setenv("KLING_SECRET_KEY", secret)
    got = invoke("token", "--seconds", "60")
    claims = jwt.decode(got.stdout.strip(), secret, algorithms=["HS256"])
    assert claims["iss"] == "another"
    assert 0 < claims["exp"] - time.time() <= 60


@pytest.mark.parametrize(("name", "code"), [("302ai", 1), ("klin", 2)])
def test_a_provider_without_tokens_is_one_line(name: str, code: int) -> None:
    """Who takes no JWT is told with those who do; one that is not there is a wrong command line."""
    assert_one_line(run("token", "--provider", name), f"'{name}'", "kling", code=code)


@pytest.mark.parametrize("seconds", ["0", "-5"])
def test_a_token_that_has_expired_is_told(seconds: str) -> None:
    """It is printed all the same, for who wants to see an expired one refused; the other stream says so."""
    got = invoke("token", "--seconds", seconds)
    assert (got.exit_code, got.stderr) == (0, f"kling-mock: the token has expired already (--seconds {seconds})\n")
    claims = jwt.decode(got.stdout.strip(), options={"verify_signature": False})
    assert claims["exp"] <= time.time()


def test_a_printed_token_opens_the_server() -> None:
    """What `token` prints is accepted by what `serve` serves."""
    token = run("token").stdout.strip()
    with served() as (_, url):
        got = requests.get(url + PATH, headers={"Authorization": f"Bearer {token}"}, timeout=5)
    assert (got.status_code, got.json()["code"]) == (200, 0)


def test_no_two_tokens_are_the_same() -> None:
    """Two within a second differ by their `jti`, so that a jump of the clock between them parts them."""
    tokens = [invoke("token").stdout.strip() for _ in range(3)]
    claims = [jwt.decode(token, options={"verify_signature": False}) for token in tokens]
    assert len(set(tokens)) == len({row["jti"] for row in claims}) == 3
    assert all(set(row) == {"iss", "exp", "nbf", "jti"} for row in claims)


def test_a_short_secret_signs_without_a_warning() -> None:
    """PyJWT would warn on the other stream, with a line of its source; the token is the only line there is."""
    key = json.loads(invoke("env", "--format", "json").stdout)["KLING_ACCESS_KEY"]
    done = run("token", environment={"KLING_ACCESS_KEY": key, "KLING_SECRET_KEY": "short"})
    assert (done.returncode, done.stderr) == (0, "")
    assert jwt.decode(done.stdout.strip(), options={"verify_signature": False})["iss"] == key


@pytest.mark.parametrize("given", ["KLING_ACCESS_KEY", "KLING_SECRET_KEY"])
def test_half_a_pair_of_keys_is_told(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 1 and no token, since none would be taken; the other stream says what is missing, and never what is set."""
    [lacking] = {"KLING_ACCESS_KEY", "KLING_SECRET_KEY"} - {given}
    monkeypatch.setenv(given, "one-of-my-own-account")
    monkeypatch.delenv(lacking, raising=False)
    got = invoke("token")
    assert (got.exit_code, got.stdout) == (1, "")
    assert got.stderr.startswith(f"kling-mock: {given} is set and {lacking} is not: there is no token")
    assert "one-of-my-own-account" not in got.stderr
    monkeypatch.setenv(given, json.loads(invoke("env", "--format", "json").stdout)[given])
    assert invoke("token").stderr == ""


# Scenarios and examples


def test_a_wrong_file_of_rules_says_what_is_expected_and_what_to_do(tmp_path: Path) -> None:
    """An empty file, and every wrong place of another; exit code 1, and nothing on standard output."""
    file = tmp_path / "mine.yaml"
    file.touch()
    got = invoke("scenarios", "--scenarios", str(file))
    assert (got.exit_code, got.stdout) == (1, "")
    assert got.stderr.startswith("kling-mock: mine.yaml#: the file is empty; expected is `rules:` with a list")
    assert f"next: mend {file}; docs/scenario-rules.md" in got.stderr
    file.write_text('rules:\n  - {scenario: fail, nth: "2"}\n  - {operation: createImageToVideo}\n', encoding="utf-8")
    lines = invoke("scenarios", "--scenarios", str(file)).stderr.splitlines()
    assert lines[0] == "kling-mock: mine.yaml#/rules/0/nth: should be a whole number, is a text (2)"
    assert lines[1] == "mine.yaml#/rules/1: needs 'scenario'; it has operation"


def test_each_scenario_is_listed_with_the_parameters_that_it_takes() -> None:
    """With what they are unless given."""
    lines = invoke("scenarios", "--provider", "kling").stdout.splitlines()
    found = next(line for line in lines if line.startswith("  server-error "))
    assert found.endswith(" (call=create times=1 lasts=any)")
    assert next(line for line in lines if line.startswith("  stuck ")).endswith("never leaves processing")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["softly-refused"], "kling: there is no scenario 'softly-refused' here; 302ai has it: --provider 302ai"),
        (
            ["other-words times=2", "--provider", "rixapi"],
            "rixapi: there is no scenario 'other-words' here; pixazo has it: --provider pixazo",
        ),
        (
            ["busy", "--specs", str(Path(__file__).parent / "providers")],
            "kling: there is no scenario 'busy' here; toymaker has it: --provider toymaker",
        ),
        (
            ["slow seconds="],
            "kling: the scenario 'slow' is given no value for 'seconds'; its parameters are seconds=280",
        ),
        (
            ["slow 90"],
            "kling: the scenario 'slow' is given '90', which is no parameter with a value; "
            "its parameters are seconds=280",
        ),
        (["bad-gateway status=600"], "kling: the parameter status of 'bad-gateway' is 500, 502, 503 or 504, not '600'"),
    ],
)
def test_a_scenario_that_cannot_be_shown_says_why(arguments: list[str], said: str) -> None:
    """Which provider has it, which parameter has no value, which values there are."""
    got = invoke("show", *arguments)
    assert (got.exit_code, got.stdout, got.stderr) == (1, "", f"kling-mock: {said}\n")


def test_a_provider_of_ones_own_is_shown_by_its_own_fixtures(tmp_path: Path) -> None:
    """They lie beside its documents, as `contract` reads them; without any it is said where one is looked for."""
    shutil.copytree(Path(__file__).parent / "providers" / "toymaker", tmp_path / "toymaker")
    asked = ("show", "fail", "--specs", str(tmp_path), "--provider", "toymaker")
    assert "create" in invoke(*asked).stdout
    shutil.rmtree(tmp_path / "toymaker" / "fixtures")
    said = f"toymaker has no fixture of a create in {tmp_path / 'toymaker' / 'fixtures'}; put one there"
    assert invoke(*asked).stderr == f"kling-mock: {said}\n"


def test_a_scenario_that_nobody_has_is_told_with_the_nearest() -> None:
    """At the provider that was asked."""
    assert invoke("show", "charged-no-anser").stderr == (
        "kling-mock: kling: there is no scenario 'charged-no-anser'; did you mean 'charged-no-answer'?\n"
    )


def test_scenarios_are_listed_with_what_they_show() -> None:
    """Every scenario of every provider, `fail` among them; --provider shows only one's."""
    every = invoke("scenarios").stdout
    for name, provider in load_providers().items():
        lines = invoke("scenarios", "--provider", name).stdout.splitlines()
        assert lines[0] == name
        assert [line.split()[0] for line in lines[1:]] == list(provider.scenarios)
        assert "fail" in provider.scenarios
        assert all(scenario.shows in every for scenario in provider.scenarios.values())


def test_examples_are_listed_and_each_can_be_printed() -> None:
    """Every line of the list names a file that is printed byte for byte, or a form."""
    names = [line.split()[0] for line in invoke("example").stdout.splitlines()]
    assert "kling/create-from-first-and-last-frame" in names
    assert "media/square-300x300.png" in names
    for name in names:
        got = invoke("example", name)
        assert got.exit_code == 0
        path = bundled("fixtures") / name
        if not path.is_file() and not path.with_suffix(".json").is_file():
            assert got.stderr.startswith("kling-mock: this is a form; it is sent by\n")
            continue
        assert got.stdout_bytes == (path if path.is_file() else path.with_suffix(".json")).read_bytes()


def test_an_example_of_a_form_can_be_judged_and_sent(tmp_path: Path) -> None:
    """Its fields are JSON that `validate` takes, and the lines on the other stream send it to a server."""
    got = invoke("example", "302ai/create-in-high-quality-for-five-seconds")
    judged = CliRunner().invoke(main, ["validate", "-", "--provider", "302ai"], input=got.stdout)
    assert (judged.exit_code, "accepted by 302ai" in judged.stdout) == (0, True)
    _, *lines = got.stderr.splitlines()
    assert lines[0] == "kling-mock example media/square-300x300.png > square-300x300.png"
    with served() as (_process, url):
        kling_mock = f'kling-mock() {{ {sys.executable} -P -m kling_mock "$@"; }}'
        script = "\n".join([kling_mock, f'eval "$(kling-mock env --url {url})"', *lines])
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert json.loads(done.stdout)["data"]["task"]["id"].startswith("kling_"), done.stderr


def test_an_example_payload_may_be_named_with_its_ending() -> None:
    """`.json` is optional."""
    name = "kling/create-from-first-and-last-frame"
    assert json.loads(invoke("example", f"{name}.json").stdout) == json.loads(invoke("example", name).stdout)


@pytest.mark.parametrize("name", ["../pyproject.toml", "/etc/passwd", "kling", "kling/create-from-first-and-last-fram"])
def test_an_unknown_example_is_one_line(name: str) -> None:
    """No way out of the folder; a near miss gets a suggestion."""
    assert_one_line(run("example", name), f"there is no example '{name}'")


# Checking specs


def test_the_bundled_specs_are_in_order() -> None:
    """Exit 0, one line for each provider, nothing on the other stream."""
    got = invoke("check-spec")
    assert got.exit_code == 0, got.output
    assert got.stderr == ""
    assert [line.partition(":")[0] for line in got.stdout.splitlines()] == list(load_providers())
    assert all(
        re.search(r"[0-9]+ operations, [0-9]+ errors; [0-9]+ documented", line) for line in got.stdout.splitlines()
    )


def test_one_providers_folder_can_be_checked() -> None:
    """A folder with an openapi.yaml in it means that provider alone."""
    got = invoke("check-spec", str(bundled("specs") / "pixazo"))
    assert (got.exit_code, len(got.stdout.splitlines())) == (0, 1)


@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_without_a_provider_is_one_line(inside: bool, tmp_path: Path) -> None:
    """An empty folder, and one with other things in it."""
    if inside:
        (tmp_path / "notes").mkdir()
        (tmp_path / "notes" / "a.yaml").write_text("a: 1\n", encoding="utf-8")
    assert_one_line(run("check-spec", str(tmp_path)), str(tmp_path), "no openapi.yaml")


def edited(path: Path, **changes: object) -> None:
    """Set top-level entries of a YAML file's rows, by `row__key`."""
    document = read_yaml(path, path.name)
    for name, value in changes.items():
        row, _, key = name.partition("__")
        document[row.replace("_", "-")][key] = value
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def test_every_problem_is_told_with_file_and_pointer(copied: Path) -> None:
    """Mistakes in three providers: one line each, with the file, the pointer and the closest match; exit 1."""
    shutil.copytree(TOY, copied / "third")
    scenario = {"shows": "a", "timeline": ["waitin"], "evidence": {"kind": "assumed"}}
    with (copied / "first" / "scenarios.yaml").open("a", encoding="utf-8") as file:
        file.write(yaml.safe_dump({"one": scenario, "two": scenario}))
    edited(copied / "second" / "errors.yaml", situations__token="wrong-kee")
    edited(copied / "third" / "lifecycle.yaml", latency__quick={"carvin": "1s", "evidence": {"kind": "assumed"}})
    done = run("check-spec", str(copied))
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [
        "first/scenarios.yaml#/one/timeline/0",
        "first/scenarios.yaml#/two/timeline/0",
        "second/errors.yaml#/situations/token",
        "third/lifecycle.yaml#/latency/quick/carvin",
    ]
    for meant in ("waiting", "wrong-key", "carving"):
        assert f"did you mean '{meant}'?" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("openapi: 3.1.0\nopenapi: 3.1.0\n", "the key 'openapi' is there twice at line 2"),
        ("a: [1\n", "at line 2"),
        ("", ""),
        ("[]\n", ""),
        ("openapi: 3.1.0\n", ""),
        ("openapi: 3.1.0\npaths: 7\n", ""),
        ("\x00", ""),
    ],
)
def test_a_broken_document_is_told_once(text: str, said: str, copied: Path) -> None:
    """Bad YAML and documents of the wrong shape: a line with the file, told once, no traceback; exit 1."""
    (copied / "first" / "openapi.yaml").write_text(text, encoding="utf-8")
    done = run("check-spec", str(copied))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("first/openapi.yaml#")
    assert said in done.stderr
    assert len(set(lines)) == len(lines)


def test_a_wrong_example_of_a_rule_is_a_problem(copied: Path) -> None:
    """check-spec runs the examples of the rules: one that is right and wrong the wrong way round is told."""
    path = copied / "second" / "rules.yaml"
    rules = read_yaml(path, path.name)
    name, rule = next((name, rule) for name, rule in rules.items() if "valid" in rule)
    rule["valid"], rule["invalid"] = rule["invalid"], rule["valid"]
    path.write_text(yaml.safe_dump(rules, sort_keys=False), encoding="utf-8")
    done = run("check-spec", str(copied))
    assert done.returncode == 1
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [
        f"second/rules.yaml#/{name}/valid",
        f"second/rules.yaml#/{name}/invalid",
    ]


def test_a_broken_spec_does_not_serve(copied: Path) -> None:
    """`serve --specs` with a mistake ends with its place, not with a traceback."""
    shutil.rmtree(copied / "second")
    (copied / "first" / "openapi.yaml").write_text("a: [1\n", encoding="utf-8")
    assert_one_line(refused_to_serve("--specs", str(copied)), "first/openapi.yaml#", "at line 2")


# Pipes and colours


@pytest.mark.parametrize(
    "words", ["example", "scenarios", "env", "check-spec", "example media/too-many-pixels-6400x6400.png"]
)
def test_a_reader_that_leaves_is_no_traceback(words: str) -> None:
    """`kling-mock example | head -c 1`: no noise on the other stream, however much was still to come."""
    script = f"{sys.executable} -m kling_mock {words} | head -c 1 >/dev/null"
    for _ in range(3):
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20)
        assert done.stderr == ""


@pytest.mark.parametrize("command", [["scenarios"], ["example"], ["--help"], ["serve", "--help"], ["check-spec"]])
@pytest.mark.parametrize("variable", ["NO_COLOR", "FORCE_COLOR"])
def test_no_escape_codes_in_pipes(command: list[str], variable: str) -> None:
    """What is printed into a pipe is plain text."""
    done = run(*command, environment={variable: "1"})
    assert "\x1b" not in done.stdout + done.stderr


def test_the_script_and_the_module_are_the_same_command() -> None:
    """`kling-mock` is installed beside the interpreter, and `python -m kling_mock` does the same."""
    script = Path(sys.executable).parent / "kling-mock"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=20)
    assert done.stdout == run("--version").stdout
