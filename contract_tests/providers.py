"""The providers whose documents are held against a target: those that ship, the tests' own, and those of `--specs`.

A provider's fixtures lie in `fixtures/NAME/` if it ships, else in the folder `fixtures` beside its documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from contract_tests.folders import MORE
from kling_mock.core.provider import Provider
from kling_mock.loading import bundled, load_providers, provider_names

PROVIDERS: Mapping[str, Provider] = load_providers(folders=MORE)


def specs_of(name: str) -> Path:
    """The specs folder that a provider is in; the one given last goes before the others."""
    return next((folder for folder in reversed(MORE) if name in provider_names(folder)), bundled("specs"))


def fixtures_of(name: str) -> Path:
    """The folder of a provider's fixtures."""
    specs = specs_of(name)
    return bundled("fixtures") / name if specs == bundled("specs") else specs / name / "fixtures"
