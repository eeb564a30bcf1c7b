"""Folders of one's own on the command line: empty ones, those that replace a bundled provider, and other latencies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from kling_mock.core.problems import SpecError
from kling_mock.loading import bundled, load_providers, replacements
from tests.test_cli import assert_one_line, invoke, refused_to_serve, run, served

TOYS = Path(__file__).parent / "providers"


@contextmanager
def started(*options: str) -> Iterator[list[str]]:
    """What a server says on the other stream that is started and ended, without the lines of credentials."""
    lines: list[str] = []
    with served(*options) as (process, _):
        yield lines
        process.terminate()
        assert process.stderr is not None
        lines += [line.rstrip("\n") for line in process.stderr if line.startswith("kling-mock: ")]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A specs folder with the toy under the name of a bundled provider."""
    name = next(name for name, provider in load_providers().items() if not provider.default)
    shutil.copytree(TOYS / "toymaker", tmp_path / "mine" / name)
    return tmp_path / "mine" / name


# Folders without a provider


@pytest.mark.parametrize("command", ["serve", "env", "token", "scenarios"])
def test_an_empty_folder_is_an_error(command: str, tmp_path: Path) -> None:
    """Nothing would be served from it: it is told with what it should hold, and not passed over."""
    done = refused_to_serve("--specs", str(tmp_path)) if command == "serve" else run(command, "--specs", str(tmp_path))
    assert_one_line(done, f"{tmp_path} holds no provider: there is no openapi.yaml in a folder of it", code=2)
    assert f"put one at {tmp_path}/NAME/openapi.yaml" in done.stderr
    assert "#" not in done.stderr


def test_the_folder_of_one_provider_says_which_to_give() -> None:
    """One level too deep: the folder above it is named."""
    done = run("env", "--specs", str(TOYS / "toymaker"))
    assert_one_line(done, f"{TOYS / 'toymaker'} is the folder of one provider", f"that it lies in: {TOYS}", code=2)


def test_every_empty_folder_is_told(tmp_path: Path) -> None:
    """All of them in one go."""
    empty = [tmp_path / "one", tmp_path / "two"]
    for folder in empty:
        folder.mkdir()
    with pytest.raises(SpecError) as caught:
        load_providers((), [*empty, TOYS])
    assert [problem.file for problem in caught.value.problems] == [str(folder) for folder in empty]


# Folders that replace a bundled provider


def test_a_provider_of_the_same_name_replaces_the_bundled_one(copied: Path) -> None:
    """It is served from the folder, the start says so in one line that names both, and the help says it too."""
    with started("--specs", str(copied.parent)) as lines:
        pass
    served_there = load_providers([copied.name], [copied.parent])[copied.name]
    assert served_there.base_url_variable == load_providers(["toymaker"], [TOYS])["toymaker"].base_url_variable
    hidden = bundled("specs").resolve() / copied.name
    assert lines == [f"kling-mock: {copied.name} is served from {copied}, which replaces {hidden}"]
    assert "replaces the bundled one" in " ".join(invoke("serve", "--help").output.split())


def test_a_replaced_provider_that_is_not_served_is_not_spoken_of(copied: Path) -> None:
    """With --provider for another one nothing is replaced."""
    other = next(name for name in load_providers() if name != copied.name)
    with started("--specs", str(copied.parent), "--provider", other) as lines:
        pass
    assert lines == []


def test_the_last_folder_counts(copied: Path, tmp_path: Path) -> None:
    """Of two folders with the same provider the later one is served; a folder given twice replaces nothing new."""
    again = tmp_path / "again"
    shutil.copytree(copied.parent, again)
    name, bundle = copied.name, bundled("specs")
    assert replacements([copied.parent, again]) == {name: (again / name, copied)}
    assert replacements([again, copied.parent, again]) == {name: (again / name, copied)}
    assert replacements([again, again]) == {name: (again / name, bundle / name)}
    assert replacements([bundle]) == replacements([]) == replacements([TOYS]) == {}


# Folders that take from the bundled documents what they do not have


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """A specs folder with nothing but a copy of a bundled gateway, which speaks of another provider's rules."""
    shutil.copytree(bundled("specs") / "pixazo", tmp_path / "mine" / "acme")
    return tmp_path / "mine" / "acme"


def test_a_gateway_is_added_by_documents_alone(acme: Path) -> None:
    """It is checked and served beside the one it is a copy of, each with tasks of its own."""
    done = run("check-spec", str(acme.parent))
    assert (done.returncode, done.stderr) == (0, "")
    body, made = (
        {"image": "https://example.com/a.png", "prompt": "a lighthouse"},
        "/kling-ai-video/v1/getImageToVideoTask",
    )
    with served("--specs", str(acme.parent), "--mount", "acme=/acme", "--latency", "instant") as (_, url):
        ids = {}
        for name, base in (("pixazo", url), ("acme", f"{url}/acme")):
            credentials = requests.post(f"{url}/_mock/accounts", json={"provider": name}, timeout=5).json()[
                "credentials"
            ]
            key = {"Ocp-Apim-Subscription-Key": next(iter(credentials.values()))}
            ids[name] = requests.post(base + made, json=body, headers=key, timeout=5).json()["request_id"]
            refused = requests.post(base + made, json={**body, "image": ""}, headers=key, timeout=5)
            assert refused.status_code == 400
        states = [
            requests.post(f"{base}/kling-ai-polling/v1/getImageToVideoStatus", json={"task_id": ids["acme"]}, timeout=5)
            for base in (url, f"{url}/acme")
        ]
    assert [state.status_code for state in states] == [404, 200]
    assert states[1].json()["data"]["task_status"] == "succeed"


def test_a_document_of_ones_own_goes_before_the_bundled_one(acme: Path) -> None:
    """A file of the same name in the folder is the one that is referred to, with what is wrong in it."""
    other = acme.parent / "kling"
    other.mkdir()
    text = (bundled("specs") / "kling" / "rules.yaml").read_text(encoding="utf-8")
    (other / "rules.yaml").write_text(text.replace("image-is-readable:", "image-is-legible:"), encoding="utf-8")
    done = run("check-spec", str(acme.parent))
    assert done.returncode == 1
    said = "acme/rules.yaml#/image-is-readable/fact/schema: $ref '../kling/rules.yaml#/image-is-readable/fact/schema' "
    assert f"{said}has no 'image-is-readable'; did you mean 'image-is-legible'?" in done.stderr


def test_a_provider_that_is_replaced_lends_nothing(acme: Path) -> None:
    """A folder that describes it anew describes it as a whole: what it lacks is not taken from the bundled one."""
    shutil.copytree(bundled("specs") / "kling", acme.parent / "kling")
    (acme.parent / "kling" / "rules.yaml").unlink()
    with pytest.raises(SpecError) as caught:
        load_providers(["acme"], [acme.parent])
    assert "$ref names 'kling/rules.yaml', which is not a document here" in caught.value.problems[0].message


# Names and latencies that are not there


@pytest.mark.parametrize("command", ["serve", "scenarios"])
def test_an_unknown_provider_is_told_with_all_that_there_are(command: str) -> None:
    """The closest match and the list, and no file in which nothing is wrong."""
    name = next(iter(load_providers()))
    known = ", ".join(sorted(load_providers()))
    done = refused_to_serve("--provider", f"{name}x") if command == "serve" else run(command, "--provider", f"{name}x")
    said = f"kling-mock: there is no provider '{name}x'; did you mean '{name}'? (known are {known})"
    assert_one_line(done, said, code=2)
    assert done.stderr.startswith(said)
    assert run("scenarios", "--provider", "~").stderr == f"kling-mock: there is no provider '~'; known are {known}\n"


def test_a_provider_without_the_latency_is_named_at_the_start() -> None:
    """It keeps its own default: one line says so, with its profiles; the others are not spoken of."""
    toy = load_providers(["toymaker"], [TOYS])["toymaker"]
    own = list(toy.lifecycle.latency)
    chosen = next(name for name in next(iter(load_providers().values())).lifecycle.latency if name not in own)
    both = ["--provider", "toymaker", "--provider", next(iter(load_providers()))]
    with started("--specs", str(TOYS), *both, "--latency", chosen) as lines:
        pass
    said = f"toymaker has no latency profile {chosen!r} and keeps its default {own[0]!r}; known are {', '.join(own)}"
    assert lines == [f"kling-mock: {said}"]


def test_a_start_without_surprises_says_nothing() -> None:
    """Where every provider has the profile and none is replaced there are only the credentials."""
    with started("--latency", "instant") as lines:
        pass
    assert lines == []


def test_a_folder_of_ones_own_is_beside_the_bundled_ones() -> None:
    """`env` names its variables along with theirs."""
    toy = load_providers(["toymaker"], [TOYS])["toymaker"]
    values = json.loads(invoke("env", "--format", "json", "--specs", str(TOYS)).stdout)
    assert toy.base_url_variable in values
    assert len(values) > len(json.loads(invoke("env", "--format", "json").stdout))
