"""Reading YAML: what no reader could follow to its end is refused with a place, and what real documents do is read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kling_mock.core.problems import SpecError
from kling_mock.yaml_files import read_yaml
from tests.test_cli import run

DEEP = "is nested more than 100 deep, the most that is read, at line"
MUCH = "aliases repeat more than 1,000,000 characters of the document, the most that is read, at line"
BOMB = "a0: &a0 [" + "x, " * 9 + "x]\n"


def ladder(steps: int, copies: int, last: str = "") -> str:
    """Anchors of which each holds so many aliases of the one before."""
    rows = (f"a{step}: &a{step} [{', '.join([f'*a{step - 1}'] * copies)}]\n" for step in range(1, steps + 1))
    return BOMB + "".join(rows) + last


def refusal(tmp_path: Path, text: str) -> str:
    """Why a document is refused, and how long it took: never long."""
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(SpecError) as caught:
        read_yaml(path, "mine.yaml")
    assert time.process_time() - began < 5
    [problem] = caught.value.problems
    assert (problem.file, problem.pointer) == ("mine.yaml", "")
    return problem.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 400_000, f"{DEEP} 1 column 100"),
        ("{a: " * 400_000, f"{DEEP} 1 column 397"),
        ("- " * 100_000 + "x", f"{DEEP} 1 column 199"),
        ("? " * 100_000 + "x", f"{DEEP} 1 column 199"),
        ("".join(" " * level + "a:\n" for level in range(3000)), f"{DEEP} 100 column 100"),
        (ladder(3000, 1), f"{DEEP} 101 column 1"),
        (ladder(10, 9), f"{MUCH} 6 column 5"),
        (ladder(10, 9, "b: {? *a10 : 1}\n"), f"{MUCH} 6 column 5"),
        (f"a: &a '{'x' * 100_000}'\nb: [{'*a, ' * 100}]\n", f"{MUCH} 2 column 4"),
        ("a: &a {b: *a}\n", "an alias holds itself at line 1 column 8"),
        ("- &a\n  - *a\n", "an alias holds itself at line 1 column 3"),
        ("a: &a [1]\n? *a\n: 2\n", "a key is a text, no list or mapping; found one at line 1 column 4"),
        ("a: !!timestamp 2026-01-01\n", "could not determine a constructor for the tag 'tag:yaml.org,2002:timestamp'"),
        ("a: " + "9" * 5000, "a number is no JSON number"),
    ],
    ids=[
        "[",
        "{",
        "-",
        "?",
        "blocks",
        "by-aliases",
        "bomb",
        "key",
        "text",
        "self",
        "list",
        "list-key",
        "date",
        "digits",
    ],
)
def test_what_cannot_be_followed_to_its_end_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """At once, with what is wrong, where, and how much there may be."""
    assert message in refusal(tmp_path, text)


def test_a_deep_file_ends_the_command_with_a_line(tmp_path: Path) -> None:
    """And not with a fault of the process, which no test in it would survive."""
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 400_000, encoding="utf-8")
    done = run("scenarios", "--scenarios", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"kling-mock: deep.yaml#: {DEEP} 1 column 100\n" in done.stderr


def test_aliases_are_followed(tmp_path: Path) -> None:
    """Of lists, mappings and texts, inside each other, as often as documents do it."""
    path = tmp_path / "mine.yaml"
    path.write_text(ladder(3, 9, "b: &b {c: &c 'x', d: [*c, *c]}\ne: [*b, *b]\n" + "f: [" + "*c, " * 5000 + "]\n"))
    found = read_yaml(path, "mine.yaml")
    assert found["a1"] == [["x"] * 10] * 9
    assert len(found["a3"][8][8][8]) == 10
    assert found["e"] == [{"c": "x", "d": ["x", "x"]}] * 2
    assert found["f"] == ["x"] * 5000


@pytest.mark.parametrize("depth", [1, 99])
def test_what_is_no_deeper_than_allowed_is_read(tmp_path: Path, depth: int) -> None:
    """Down to the last level."""
    path = tmp_path / "mine.yaml"
    path.write_text("[" * depth + "7" + "]" * depth)
    found = read_yaml(path, "mine.yaml")
    for _ in range(depth):
        [found] = found
    assert found == 7
