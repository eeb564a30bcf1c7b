"""The option that adds providers, and the target of each test.

Nothing here loads a provider while it is imported: the option has not been read by then.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contract_tests.folders import MORE

if TYPE_CHECKING:
    from contract_tests.bundle import Referee
    from contract_tests.target import Target


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--specs FOLDER`: test the providers of this specs folder too."""
    parser.addoption("--specs", action="append", default=[], type=Path, metavar="FOLDER", help="more providers to test")


def pytest_configure(config: pytest.Config) -> None:
    """Remember the folders before the test modules are imported, which are parametrised by what is in them."""
    MORE.extend(folder.resolve() for folder in config.getoption("--specs", []))


@pytest.fixture
def aim() -> Callable[[str], Target]:
    """Make a fresh target of a provider, by name."""
    from contract_tests.providers import PROVIDERS
    from contract_tests.target import Target

    return lambda name: Target(PROVIDERS[name])


@pytest.fixture(scope="session")
def referee() -> Callable[[str], Referee]:
    """The referee of a provider, by name; each is made once."""
    from contract_tests.bundle import Referee

    known: dict[str, Referee] = {}
    return lambda name: known.get(name) or known.setdefault(name, Referee(name))
