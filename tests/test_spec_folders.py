"""What every provider's folder must hold, beyond what compiling it asks for. A new folder is found by itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_spec_validator.readers import read_from_filename

from kling_mock.core.examples import check_examples
from kling_mock.loading import bundled, load_providers, provider_names, read_documents
from tests.referee import opened

SPECS = bundled("specs")
TOYS = Path(__file__).parent / "providers"
FOLDERS = [SPECS / name for name in provider_names(SPECS)]
ALL = [*FOLDERS, *(TOYS / name for name in provider_names(TOYS))]
KINDS = {"documented", "observed", "assumed"}
DATE = re.compile(r"20[0-9]{2}(-[0-9]{2}){0,2}")
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def name_of(folder: Path) -> str:
    """A folder's name, as the id of a test."""
    return folder.name


def documents(folder: Path) -> dict[str, Any]:
    """The documents of one provider, by file name."""
    found = read_documents(folder.parent).items()
    return {name.partition("/")[2]: node for name, node in found if name.startswith(f"{folder.name}/")}


def evidences(node: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every evidence below a node with its pointer; schemas that describe a property of this name are none."""
    rows = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in rows:
        if key == "evidence" and not at.endswith("/properties"):
            yield f"{at}/{key}", value
        else:
            yield from evidences(value, f"{at}/{key}")


def operations(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The operations of a folder's OpenAPI document, as written."""
    for path, item in documents(folder)["openapi.yaml"]["paths"].items():
        for method in METHODS & item.keys():
            yield f"{method} {path}", item[method]


def test_there_are_folders() -> None:
    """The tests below run for something."""
    assert len(FOLDERS) >= 4
    assert set(load_providers()) == {folder.name for folder in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_it_says_where_everything_comes_from(folder: Path) -> None:
    """SOURCES.md is there and speaks of all three kinds of evidence, as far as the folder has them."""
    text = (folder / "SOURCES.md").read_text(encoding="utf-8").lower()
    assert len(text) > 500
    for kind, count in load_providers([folder.name])[folder.name].evidence.items():
        assert not count or kind in text


@pytest.mark.parametrize("folder", ALL, ids=name_of)
def test_the_rules_examples_say_the_truth(folder: Path) -> None:
    """Every rule's valid example passes it and its invalid one breaks it."""
    assert check_examples(read_documents(folder.parent), folder.name) == []


@pytest.mark.parametrize("folder", ALL, ids=name_of)
def test_openapi_core_accepts_every_document(folder: Path) -> None:
    """The independent referee opens the folder's OpenAPI document and finds nothing wrong with it."""
    opened(folder.parent, folder.name).check_spec()


@pytest.mark.parametrize("folder", ALL, ids=name_of)
def test_the_specification_validator_finds_no_error(folder: Path) -> None:
    """All errors of the document as OpenAPI 3.1, not only the first, with the $refs that leave the file."""
    document, uri = read_from_filename(str(folder / "openapi.yaml"))
    assert [error.message[:200] for error in OpenAPIV31SpecValidator(document, base_uri=uri).iter_errors()] == []


@pytest.mark.parametrize("folder", ALL, ids=name_of)
def test_operations_have_names_of_their_own_and_words(folder: Path) -> None:
    """Each operationId is there, unique and an identifier; each operation has a summary."""
    found = dict(operations(folder))
    ids = Counter(operation.get("operationId") for operation in found.values())
    assert [name for name, count in ids.items() if count > 1] == []
    for where, operation in found.items():
        assert re.fullmatch(r"[a-z][A-Za-z0-9]*", operation["operationId"]), where
        assert operation.get("summary"), where


@pytest.mark.parametrize("folder", ALL, ids=name_of)
def test_every_row_that_needs_evidence_has_it(folder: Path) -> None:
    """Every entry of the catalogue, every state, latency, rule and scenario says how it is known."""
    found = documents(folder)
    tables = {
        "errors.yaml": found["errors.yaml"]["catalogue"],
        "lifecycle.yaml states": found["lifecycle.yaml"]["states"],
        "lifecycle.yaml latency": found["lifecycle.yaml"]["latency"],
        "rules.yaml": found.get("rules.yaml", {}),
        "scenarios.yaml": found["scenarios.yaml"],
    }
    rows = [(f"{file} {name}", row) for file, table in tables.items() for name, row in table.items()]
    own = [(where, row) for where, row in rows if row.keys() != {"$ref"}]  # another folder's row has its own there
    assert [where for where, row in own if row.get("evidence", {}).get("kind") not in KINDS] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_what_is_known_says_by_whom_and_when(folder: Path) -> None:
    """Evidence is of a known kind; observed and documented ones name a source and a date (year, month or day)."""
    rows = [(f"{file}#{at}", row) for file, document in documents(folder).items() for at, row in evidences(document)]
    known = [(where, row) for where, row in rows if row["kind"] != "assumed"]
    assert [where for where, row in rows if row["kind"] not in KINDS] == []
    assert [where for where, row in rows if not row.keys() <= {"kind", "source", "date", "note"}] == []
    assert [where for where, row in known if not row.get("source")] == []
    assert [where for where, row in known if not DATE.fullmatch(str(row.get("date")))] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_evidence_is_counted(folder: Path) -> None:
    """The counts that the README prints are those of the documents."""
    counts = load_providers([folder.name])[folder.name].evidence
    assert set(counts) == KINDS
    assert sum(counts.values()) > 20


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_provider_can_fail_slowly_and_in_its_words(folder: Path) -> None:
    """Each folder has the scenario `fail` with a reason, and the three latency profiles, `fast` first."""
    provider = load_providers([folder.name])[folder.name]
    assert provider.scenarios["fail"].reason
    assert list(provider.lifecycle.latency) == ["fast", "instant", "realistic"]


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_default_credentials_are_obviously_fake(folder: Path) -> None:
    """Nobody can take a default credential for a real one."""
    for row in load_providers([folder.name])[folder.name].credentials.values():
        assert "mock" in row.default
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+", row.variable)


def test_environment_variables_belong_to_one_provider() -> None:
    """`kling-mock env` prints no name twice."""
    providers = load_providers().values()
    names = [name for p in providers for name in (p.base_url_variable, *(c.variable for c in p.credentials.values()))]
    assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_provider_is_text_only(folder: Path) -> None:
    """A folder holds YAML and SOURCES.md, nothing else, and no file that nothing refers to."""
    assert {path.suffix for path in folder.iterdir()} <= {".yaml", ".md"}
    assert [path.name for path in folder.glob("*.md")] == ["SOURCES.md"]
    text = "".join(path.read_text(encoding="utf-8") for path in SPECS.glob("*/*.yaml"))
    for path in folder.glob("*.yaml"):
        assert path.name == "openapi.yaml" or path.name in text


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_servers_are_addresses(folder: Path) -> None:
    """Each server of the document is https with a host or a host variable, and has no path of its own."""
    for server in documents(folder)["openapi.yaml"].get("servers", []):
        parts = urlsplit(server["url"])
        assert (parts.scheme, parts.path.rstrip("/")) == ("https", "") or "{" in server["url"]
