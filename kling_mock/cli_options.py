"""What every file of the `kling-mock` command shares: common options, loading with a clear end, colors."""

from __future__ import annotations

import os  # noqa: TID251 - a command line, not the core
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path  # noqa: TID251
from typing import NoReturn

import click

from kling_mock.cli_ending import CANNOT
from kling_mock.core.problems import SpecError
from kling_mock.core.provider import Provider
from kling_mock.loading import Missing, load_providers, unknown_provider
from kling_mock.reports import plain

HOST, PORT = "127.0.0.1", 8787
CONTROL = "_mock"
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")

specs_option = click.option(
    "--specs",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of provider folders of your own, beside the bundled ones; a provider of the same name replaces the "
    "bundled one. May be given several times: the last one counts.",
)


def fail(message: str) -> NoReturn:
    """End with one clear line and exit code 1."""
    click.echo(f"kling-mock: {message}", err=True)
    sys.exit(1)


def cannot(message: str) -> NoReturn:
    """End with one clear line and the exit code of what cannot be done at all, such as a wrong command line."""
    click.echo(f"kling-mock: {plain(message)}", err=True)
    sys.exit(CANNOT)


def malformed(error: SpecError) -> NoReturn:
    """End with every problem of the documents; what was asked for and is not there is a wrong command line."""
    if all(isinstance(problem, Missing) for problem in error.problems):
        cannot("; ".join(map(str, error.problems)))
    fail("\n            ".join(map(str, error.problems)))


def content_of(file: str) -> bytes:
    """The bytes of a file; "-" is standard input. Raises `OSError`."""
    if file == "-" and sys.stdin is None:
        raise OSError("standard input is closed; give a file, or pipe something in")
    with click.open_file(file, "rb") as stream:
        content: bytes = stream.read()
    return content


def load(names: tuple[str, ...], folders: tuple[Path, ...]) -> dict[str, Provider]:
    """The providers, or a clear end with every problem of their documents."""
    try:
        return load_providers(names, folders)
    except SpecError as error:
        malformed(error)


def prefixes_of(values: tuple[str, ...], known: Mapping[str, object]) -> dict[str, str]:
    """`NAME=/PREFIX` options as a mapping; a name must be known and a prefix must say something."""
    found = {name: "/" + prefix.strip("/") for name, prefix in pairs(values, "PROVIDER=/PREFIX").items()}
    for name, prefix in found.items():
        if not PREFIX.fullmatch(prefix):
            raise click.BadParameter(f"{prefix!r} is no prefix such as /{name}; PROVIDER=/PREFIX")
        if prefix.split("/")[1] == CONTROL:
            fail(f"/{CONTROL} belongs to the control API; mount {name} elsewhere")
    known_providers(found, known)
    return found


def known_providers(names: Iterable[str], known: Iterable[str]) -> None:
    """Every provider named must be there; exit 2 with what was probably meant."""
    for name in names:
        if name not in known:
            cannot(unknown_provider(name, known))


def pairs(values: tuple[str, ...], what: str) -> dict[str, str]:
    """`NAME=VALUE` options as a mapping."""
    found = {}
    for value in values:
        name, equals, rest = value.partition("=")
        if not (name and equals and rest):
            raise click.BadParameter(f"{value!r} is not of the form {what}")
        found[name] = rest
    return found


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
