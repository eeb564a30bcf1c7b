"""The README says what is true: its table, its links, its options and its two first commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

import kling_mock
from kling_mock.cli import main
from kling_mock.loading import load_providers
from tests import readme

TEXT = readme.README.read_text(encoding="utf-8")
TYPED = re.compile(r"kling-mock((?:[ ]+(?:\[mock:[^ ]*|[-\w.=:/]+|'[^']*'))+)")
MARKDOWN = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/scenarios.md",
    "docs/scenario-rules.md",
    "specs/README.md",
    "fixtures/README.md",
]


def commands() -> list[tuple[str, list[str]]]:
    """Every `kling-mock COMMAND ...` that the README types or names: the command and its words."""
    found = []
    for match in TYPED.finditer(TEXT):
        name, *words = match[1].split()
        if name in main.commands:
            found.append((name, words))
    return found


def slug(heading: str) -> str:
    """A heading's anchor on GitHub."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_table_of_evidence_is_that_of_the_specs() -> None:
    """`python -m tests.readme --write` renews it."""
    assert readme.table() == readme.rows()
    assert len(readme.rows().splitlines()) == len(load_providers())


@pytest.mark.parametrize("name", MARKDOWN)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    """To a file or folder of the repository, and to a heading in it where one is named."""
    path = readme.ROOT / name
    links = re.findall(r"\[[^\]]*\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
    for link in links:
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.M)
            assert anchor in map(slug, headings), f"{name}: {link}"


def test_the_readme_links_to_the_house() -> None:
    """The files that explain the house are linked, and so is each provider's folder."""
    for file in ("specs/README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        assert f"]({file})" in TEXT


def test_every_command_of_the_readme_exists_with_its_options() -> None:
    """Each option named after `kling-mock COMMAND` is one that the command has."""
    found = commands()
    assert {"serve", "env", "token", "example", "scenarios", "check-spec"} <= {name for name, _ in found}
    for name, words in found:
        known = {option for row in main.commands[name].params for option in (*row.opts, *row.secondary_opts)}
        known |= {"--help", "-h"}
        for word in words:
            if word.startswith("-"):
                assert word.partition("=")[0] in known, f"kling-mock {name} {word}"


def test_every_option_of_the_readme_belongs_to_some_command() -> None:
    """An option in backquotes without its command (`--fetch-images`) exists too, pytest's among them."""
    plugins = (Path(kling_mock.__file__).parent / "testing").glob("*plugin.py")
    known = {option for file in plugins for option in re.findall(r'"(--[a-z-]+)"', file.read_text(encoding="utf-8"))}
    known |= {option for command in main.commands.values() for row in command.params for option in row.opts}
    said = set(re.findall(r"`(--[a-z-]+)[^`]*`", TEXT))
    assert "--fetch-images" in said
    assert said <= known | {"--help"}


def test_every_value_that_the_readme_gives_to_serve_is_taken() -> None:
    """The options of `serve` in the README parse as they stand."""
    serve = main.commands["serve"]
    for name, words in commands():
        if name == "serve" and not {"--help", "-h"} & set(words):
            with click.Context(serve, info_name="serve") as context:
                serve.parse_args(context, [word.rstrip(".,;") for word in words])


@pytest.mark.parametrize("name", re.findall(r"kling-mock example (\S+) >", TEXT))
def test_every_example_of_the_readme_exists(name: str) -> None:
    """`kling-mock example NAME` prints a file for each name in the README."""
    from click.testing import CliRunner

    assert CliRunner().invoke(main, ["example", name]).exit_code == 0


def first_screen() -> list[str]:
    """The commands of the two blocks before the first heading below the title and before the first transcript."""
    above = TEXT.partition("<!-- transcript:")[0]
    return [block.strip() for block in re.findall(r"```sh\n(.*?)```", above, re.S)]


def test_both_first_commands_are_single_lines_on_the_first_screen() -> None:
    """One installs and serves, one installs and passes the tests; both within 25 lines, both valid shell."""
    serve, test = first_screen()
    for command in (serve, test):
        assert "\n" not in command
        assert len(command) <= 100
        assert subprocess.run(["bash", "-n", "-c", command], check=False).returncode == 0
        assert TEXT[: TEXT.index(command)].count("\n") < 25
    assert shlex.split(serve)[-2:] == [".venv/bin/kling-mock", "serve"]
    assert shlex.split(test)[-2:] == [".venv/bin/pytest", "-q"]
    assert "pip install -q '.[test]'" in test


def test_ci_finds_the_test_command() -> None:
    """The comment by which `.ci/run` finds the second command stands right before its block."""
    assert re.search(r"<!-- test command -->\n```sh\npython3 [^\n]*\n```", TEXT)


def test_every_provider_has_a_transcript_and_one_fails() -> None:
    """What CI types covers all bundled providers and one failure; the blocks are valid shell."""
    names = [name.strip() for name, _ in readme.blocks()]
    others = readme.PROMISES.keys() - {name for name in names if name.endswith("fails")}
    assert {name.split()[0] for name in names if name not in others} == set(load_providers())
    assert any(name.endswith("fails") for name in names)
    for name, block in readme.blocks():
        assert subprocess.run(["bash", "-n", "-c", block], check=False).returncode == 0, name


def test_every_variable_of_the_readme_is_one_that_env_prints() -> None:
    """`$NAME` in capitals comes from `kling-mock env`."""
    known = {p.base_url_variable for p in load_providers().values()}
    known |= {row.variable for p in load_providers().values() for row in p.credentials.values()}
    assert set(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", TEXT)) <= known
