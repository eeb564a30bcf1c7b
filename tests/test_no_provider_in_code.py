"""No provider's knowledge is in the package's Python: the words are computed from `specs/`, not listed here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kling_mock.loading import bundled, provider_names, read_documents

PACKAGE = Path(__file__).parent.parent / "kling_mock"
PRODUCT = "kling"
NOT_SAID = {"status", "envelope", "headers", "evidence"}

# What the package may say although a spec says it too, each with its reason. At most twenty.
EXCEPTIONS = {
    "created_at": "a key of the control API's tasks, as the project's own interface has it",
    "account": "a key of the control API, and so a JSON pointer into its bodies",
    "base64": "the name of an encoding (RFC 4648)",
    "1000": "milliseconds in a second",
}


def distinctive(word: str) -> bool:
    """A word that nobody writes by chance: it has an underscore, a hyphen or a digit."""
    return len(word) > 1 and bool(re.search(r"[_\-0-9]", word)) and not word.isdigit()


def pieces(template: str) -> list[str]:
    """The constant parts of a message that are long enough to be recognised."""
    return [part.strip() for part in re.split(r"\{\$[^}]*\}", template) if len(part.strip()) > 8]


def headers_and_hosts(document: dict[str, Any]) -> Iterator[str]:
    """The names under which a provider is called and credentials are shown."""
    schemes = document.get("components", {}).get("securitySchemes", {}).values()
    yield from (scheme["name"] for scheme in schemes if "name" in scheme)
    yield from document.get("x-mock-environment", {}).values()
    for server in document.get("servers", []):
        yield re.sub(r"^https?://", "", server["url"])


def walk(node: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of a document."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def spec_words() -> dict[str, set[str]]:
    """The forbidden words by where they come from."""
    documents = read_documents(bundled("specs"))
    found: dict[str, set[str]] = {"folder": set(), "path": set(), "message": set(), "code": set(), "name": set()}
    found["folder"] = {name for name in provider_names(bundled("specs")) if name != PRODUCT}
    for file, document in documents.items():
        if file.endswith(".json"):
            continue
        for path in document.get("paths", {}):
            found["path"] |= {part for part in path.split("/") if part and "{" not in part}
        for entry in document.get("catalogue", {}).values():
            texts = (value for key, value in entry.items() if key not in NOT_SAID and isinstance(value, str))
            found["message"] |= {part for text in texts for part in pieces(text)}
            codes = [v for k, v in entry.items() if k != "status" and isinstance(v, int) and not isinstance(v, bool)]
            found["code"] |= {str(code) for code in codes if code >= 1000 or code < 0}
        found["name"] |= {word for word in headers_and_hosts(document) if distinctive(word) or "." in word}
        for state in document.get("states", {}).values():
            words = state.get("words", {}).values()
            found["name"] |= {word for word in words if isinstance(word, str) and distinctive(word)}
        for key, value in walk(document):
            if key == "properties" and isinstance(value, dict):
                found["name"] |= {name for name in value if distinctive(name)}
            if key == "enum" and isinstance(value, list):
                found["name"] |= {word for word in value if isinstance(word, str) and distinctive(word)}
    return found


def code_words(path: Path) -> tuple[set[str], list[str], set[str]]:
    """The identifiers, the string literals (docstrings too) and the numbers of a module."""
    names: set[str] = set()
    texts: list[str] = []
    numbers: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for field in ("id", "attr", "arg", "name"):
            if isinstance(word := getattr(node, field, None), str):
                names.add(word)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
            numbers.add(str(node.value))
        if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
            numbers.add(f"-{node.operand.value}")
    return names, texts, numbers


def offences(path: Path, words: dict[str, set[str]]) -> Iterator[str]:
    """Every forbidden word in a module, as "kind: word"."""
    names, texts, numbers = code_words(path)
    tokens = names | {token for text in texts for token in re.findall(r"[\w\-]+", text)}
    for kind in ("name", "folder"):
        yield from (f"{kind}: {word}" for word in words[kind] & tokens)
    hosts = (word for word in words["name"] if "." in word)
    yield from (f"name: {host}" for host in hosts if any(host in text for text in texts))
    for segment in words["path"]:
        in_a_path = any(re.search(rf"/{re.escape(segment)}(?![\w-])", text) for text in texts)
        if in_a_path or (distinctive(segment) and segment in tokens):
            yield f"path: {segment}"
    yield from (f"message: {word}" for word in words["message"] if any(word in text for text in texts))
    yield from (f"code: {word}" for word in words["code"] & (numbers | tokens))


WORDS = spec_words()
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_holds_no_word_of_a_provider(module: str) -> None:
    """Names, paths, codes and messages of providers are data."""
    found = {line for line in offences(PACKAGE / module, WORDS) if line.partition(": ")[2] not in EXCEPTIONS}
    assert found == set()


def test_the_words_are_really_found(tmp_path: Path) -> None:
    """The test above is able to fail: a module that knows a provider is caught for each kind of word."""
    module = tmp_path / "guilty.py"
    lines = ["image_tail = 1", "CODE = 1201", "URL = '/v1/videos/image2video'", "NAME = 'pixazo'"]
    module.write_text("\n".join([*lines, "TEXT = 'Account balance not enough'"]))
    kinds = {line.partition(":")[0] for line in offences(module, WORDS)}
    assert kinds == {"name", "code", "path", "message", "folder"}


def test_there_are_few_exceptions_and_all_are_needed() -> None:
    """At most twenty exceptions, each with a reason, and none that nothing uses."""
    assert len(EXCEPTIONS) <= 20
    assert all(EXCEPTIONS.values())
    said = {line.partition(": ")[2] for module in MODULES for line in offences(PACKAGE / module, WORDS)}
    assert set(EXCEPTIONS) - said == set()
