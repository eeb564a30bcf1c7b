"""No file of the tree holds anything shaped like a key, but for dummies and look-alikes with their reasons."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROVIDERS

ROOT = Path(__file__).parents[1]
SHAPES: dict[str, str] = {
    "a token": r"eyJ[\w-]{8,}",
    "a key with the usual beginning": r"(?<![\w-])[srp]k[-_][\w-]{8,}",
    "what follows Bearer": r"[Bb]earer +[\w.-]{12,}",
    "an access key of a cloud": r"AKIA[A-Z0-9]{12,}|AIza[\w-]{30,}|LTAI[A-Za-z0-9]{12,}",
    "a token of a code host or a chat": r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abp]-[\w-]{10,}",
    "hexadecimal digits as keys have them": r"(?<![\w-])(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})(?![\w-])",
    "letters of both cases and digits": (
        r"(?<![A-Za-z0-9+/])(?=[A-Za-z]*\d)(?=[a-z\d]*[A-Z])(?=[A-Z\d]*[a-z])[A-Za-z0-9]{32,100}(?![\w+/])"
    ),
}
CREDENTIAL = re.compile("|".join(SHAPES.values()))
DUMMIES = {row.default for provider in PROVIDERS.values() for row in provider.credentials.values()}

# What is shaped like a key, and none, by file.
LOOKALIKES: dict[str, dict[str, str]] = {
    "fixtures/302ai/query-a-task-that-succeeded.yaml": {
        "85174ebef8d1b69deef798faac63e499": "the name of a file in the document's example",
        "2522944d90eaa1040ed3a7ed39401942": "the name of a file in the document's example",
    },
    "fixtures/kling/payloads/a-data-url-for-a-picture.json": {
        "iVBORw0KGgoAAAANSUhEUgAAASwAAAEsBAMAAACLU5NGAAAAMFBMVEW9XUu": "how a PNG begins in base64",
    },
    "fixtures/pixazo/payloads/a-data-url-for-a-picture.json": {
        "iVBORw0KGgoAAAANSUhEUgAAASwAAAEsBAMAAACLU5NGAAAAMFBMVEW9XUu": "how a PNG begins in base64",
    },
    "kling_mock/server/control.yaml": {
        "dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI": "testsecrettest... in base64: the vendor's published vector",
    },
    "tests/core/test_signing.py": {
        "dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI": "testsecrettest... in base64: the vendor's published vector",
    },
    "tests/server/test_webhooks_control.py": {
        "dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI": "testsecrettest... in base64: the vendor's published vector",
    },
    "tests/server/test_control_tasks.py": {"sk-abcdefgh1234": "the alphabet, to be hidden by the mock"},
    "tests/server/test_journal.py": {
        "e4da817fef1a464907d93367c3387068": "a digest that the test computes",
        "eyJhbGciOiJIUzI1NiJ9": "a token's header alone, to be hidden by the mock",
        "eyJhbGciOiJub25lIn0": "a token's header alone, to be hidden by the mock",
        "eyJpc3MiOiJhIn0": "a token's one claim, to be hidden by the mock",
        "bearer  abcdefgh1234": "the alphabet, to be hidden by the mock",
    },
    "tests/server/test_secrets_in_urls.py": {"sk-alpha-pass-0123": "words, to be hidden by the mock"},
    "tests/contract/test_drift_of_the_mock.py": {"Bearer nobody-knows-this-key": "it says what it is"},
    "tests/contract/test_recordings.py": {"Bearer abcdefgh12345": "the alphabet, to be hidden"},
    "tests/test_cli_drift.py": {
        "eyJhbGciOiJIUzI1NiJ9": "a token's header alone, to be hidden",
        "eyJpc3MiOiJtZSJ9": "a token's one claim, to be hidden",
    },
    "tests/test_cli.py": {"Bearer a-key-of-nobody-that-is-well-formed": "it says what it is"},
}


def files() -> Iterator[tuple[str, str]]:
    """The text files of the tree: those that git tracks, or all that lie where the project's own do."""
    folders = ("kling_mock", "specs", "fixtures", "tests", "contract_tests", "docs", "bench")
    lying = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    names = tracked() or [
        str(path.relative_to(ROOT))
        for path in (*ROOT.iterdir(), *lying)
        if path.is_file() and not any(part.startswith((".", "__")) for part in path.relative_to(ROOT).parts[:-1])
    ]
    for name in names:
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in content:
            yield name, content.decode("utf-8", "replace")


def tracked() -> list[str]:
    """The files that git tracks; none outside of a working tree."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return []
    done = subprocess.run([git, "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False, text=True)
    return [name for name in done.stdout.split("\0") if name]


def found(text: str) -> set[str]:
    """What in a text is shaped like a key and is no dummy."""
    return {match for match in CREDENTIAL.findall(text) if match.removeprefix("Bearer ") not in DUMMIES}


def test_no_file_holds_a_credential() -> None:
    """Whatever its kind: code, data, documents, scripts."""
    every = {name: strange for name, text in files() if (strange := found(text))}
    own = {name: set(rows) for name, rows in LOOKALIKES.items()}
    beyond = {name: rows - own.get(name, set()) for name, rows in every.items()}
    assert {name: rows for name, rows in beyond.items() if rows and name != "tests/test_credentials.py"} == {}
    assert every.pop("tests/test_credentials.py") == {row for rows in own.values() for row in rows}
    assert {name: own[name] - every.get(name, set()) for name in own} == {name: set() for name in own}, "needless"


def test_every_file_is_looked_at() -> None:
    """Payloads, code, workflows and documents are among them."""
    suffixes = {Path(name).suffix for name, _ in files()}
    assert {".py", ".yaml", ".json", ".md", ".toml"} <= suffixes


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_found(shape: str) -> None:
    """One sample of each, put together here so that it does not stand in this file, and found by its own row alone."""
    mixed = "aB3" * 11
    sample = {
        "a token": "eyJ" + mixed[:20],
        "a key with the usual beginning": "sk" + "_live_" + mixed[:12],
        "what follows Bearer": "Bearer " + "x" * 12,
        "an access key of a cloud": "AKIA" + "X" * 12,
        "a token of a code host or a chat": "ghp_" + "x" * 20,
        "hexadecimal digits as keys have them": "0a" * 16,
        "letters of both cases and digits": mixed[:32],
    }[shape]
    assert re.search(SHAPES[shape], f'"key": "{sample}"')
    assert found(f"key={sample}\n") == {sample}


@pytest.mark.parametrize("dummy", sorted(DUMMIES))
def test_dummies_say_that_they_are(dummy: str) -> None:
    """So that nobody takes one for a key, and no scanner reports them as such."""
    assert re.search(r"mock|fake|dummy|toy", dummy)
