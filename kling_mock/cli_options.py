"""What every file of the `kling-mock` command shares: the specs option, loading with a clear end, colors."""

from __future__ import annotations

import os  # noqa: TID251 - a command line, not the core
import sys
from pathlib import Path  # noqa: TID251
from typing import NoReturn

import click

from kling_mock.core.problems import SpecError
from kling_mock.core.provider import Provider
from kling_mock.loading import load_providers

specs_option = click.option(
    "--specs",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of provider folders of your own, beside the bundled ones. May be given several times.",
)


def fail(message: str) -> NoReturn:
    """End with one clear line and exit code 1."""
    click.echo(f"kling-mock: {message}", err=True)
    sys.exit(1)


def load(names: tuple[str, ...], folders: tuple[Path, ...]) -> dict[str, Provider]:
    """The providers, or a clear end with every problem of their documents."""
    try:
        return load_providers(names, folders)
    except SpecError as error:
        fail("\n            ".join(map(str, error.problems)))


def colored() -> bool | None:
    """False where NO_COLOR asks for none; else click decides, by whether a terminal is written to."""
    return False if os.environ.get("NO_COLOR") else None

scenarios_option = click.option(
    "--scenarios",
    "scenario_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A YAML file with scenarios of your own, and rules that choose one by call, body and turn.",
)
