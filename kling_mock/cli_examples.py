"""`kling-mock example`: the payloads and pictures that come with the package."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path  # noqa: TID251 - a command line, not the core
from typing import Any, NamedTuple

import click

from kling_mock.cli_options import fail
from kling_mock.core.problems import closest
from kling_mock.core.provider import Operation, Provider
from kling_mock.loading import bundled, load_providers
from kling_mock.yaml_files import read_yaml


class Shown(NamedTuple):
    """One example: its bytes, and how it is sent where that does not go without saying."""

    content: bytes
    sent: str = ""


@click.command()
@click.argument("name", required=False)
def example(name: str | None) -> None:
    """Print an example payload or image, or list them.

    A form is printed as JSON of its fields, as `validate` takes it, with files as base64; how it is sent is told on
    standard error.

    \b
    kling-mock example kling/create-from-first-and-last-frame > payload.json
    kling-mock example media/square-300x300.png > first.png
    """
    known = {**payloads(), **pictures()}
    if name is None:
        width = max(map(len, known))
        for key, path in known.items():
            click.echo(f"{key:{width}} {read_yaml(path, key)['shows'] if path.suffix == '.yaml' else ''}".rstrip())
        return
    wanted = name.removesuffix(".json")
    if wanted not in known:
        fail(f"there is no example {name!r}{closest(wanted, known)}")
    found = shown(known[wanted])
    if found.sent:
        click.echo(f"kling-mock: this is a form; it is sent by\n{found.sent}", err=True)
    click.echo(found.content, nl=False)


def payloads() -> dict[str, Path]:
    """The fixtures that are payloads, by name: those with JSON beside them, and forms that make a task."""
    folder = bundled("fixtures")
    found = {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.glob("*/*.yaml"))}
    return {name: path for name, path in found.items() if path.with_suffix(".json").is_file() or _form(path)}


def pictures() -> dict[str, Path]:
    """The pictures, by name."""
    folder = bundled("fixtures")
    paths = [path for path in sorted(folder.glob("media/*")) if path.suffix in (".png", ".jpg")]
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _form(path: Path) -> Mapping[str, Any]:
    """The body of a fixture that is a form with files; nothing for any other."""
    body = read_yaml(path, path.name)["request"].get("body")
    return body if isinstance(body, dict) and body.get("files") else {}


def shown(path: Path) -> Shown:
    """An example by its file."""
    if path.suffix != ".yaml":
        return Shown(path.read_bytes())
    body = _form(path)
    if not body:
        return Shown(path.with_suffix(".json").read_bytes())
    row = read_yaml(path, path.name)
    files = {field: (path.parent / file).resolve() for field, file in body["files"].items()}
    fields = {
        **body.get("form", {}),
        **{name: base64.b64encode(file.read_bytes()).decode() for name, file in files.items()},
    }
    provider = load_providers([path.parent.name])[path.parent.name]
    operation = provider.operations[row["operation"]]
    sent = "\n".join(_sent(provider, operation, row["request"]["path"], body.get("form", {}), files))
    return Shown(json.dumps(fields, indent=2, ensure_ascii=False).encode() + b"\n", sent)


def _sent(
    provider: Provider, operation: Operation, path: str, form: Mapping[str, Any], files: Mapping[str, Path]
) -> Iterator[str]:
    """The lines of a shell that send a form, with the variables of `kling-mock env`."""
    for file in files.values():
        yield f"kling-mock example media/{file.name} > {file.name}"
    parts = [f"-F {shlex.quote(f'{name}={value}')}" for name, value in form.items()]
    parts += [f"-F {name}=@{file.name}" for name, file in files.items()]
    yield " ".join(
        [f'curl -X {operation.method} "${provider.base_url_variable}{path}"', *_proof(provider, operation), *parts]
    )


def _proof(provider: Provider, operation: Operation) -> Iterator[str]:
    """The header that says who calls, by the first static credential that is taken."""
    for scheme in (scheme for alternative in operation.security for scheme in alternative):
        for way in scheme.ways:
            if way.jwt is None:
                value = f"{scheme.prefix} ${provider.credentials[way.credential].variable}".strip()
                yield f'-H "{scheme.header.title()}: {value}"'
                return
