"""What several files here set up: the control API of the default provider, and a provider whose answers fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kling_mock.loading import bundled, load_providers
from kling_mock.server.mock import Mock
from tests.conftest import PROVIDERS
from tests.server.control_client import Control

DELIVERIES = """
reset: {shows: no byte of an answer, answers: [{call: create, delivery: {cut_at: 0}}], evidence: {kind: assumed}}
short: {shows: a part of an answer, answers: [{call: create, delivery: {cut_at: 20}}], evidence: {kind: assumed}}
hangs: {shows: no answer, answers: [{call: create, delivery: {never: true}}], evidence: {kind: assumed}}
late: {shows: a late answer, answers: [{call: create, delivery: {after: 600ms}}], evidence: {kind: assumed}}
"""


@pytest.fixture
def control(make_mock: Callable[..., Mock]) -> Control:
    """The control API of a mock of the default provider, time frozen."""
    return Control(make_mock(PROVIDERS["kling"]))


@pytest.fixture
def cutting(tmp_path: Path, make_mock: Callable[..., Mock]) -> Mock:
    """The default provider with a scenario for each delivery."""
    shutil.copytree(bundled("specs") / "kling", tmp_path / "kling")
    with (tmp_path / "kling" / "scenarios.yaml").open("a", encoding="utf-8") as file:
        file.write(DELIVERIES)
    return make_mock(*load_providers(["kling"], [tmp_path]).values())
