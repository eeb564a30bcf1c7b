"""The `kling-mock` command. Thin: each command reads its options, calls one function and prints.

Exit codes are told by `EXIT_CODES`; `validate`, `price`, `drift` and `contract` have their own for 1 and 2.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from kling_mock import __version__
from kling_mock.cli_contract import contract
from kling_mock.cli_drift import drift
from kling_mock.cli_ending import Commands
from kling_mock.cli_examples import example
from kling_mock.cli_judging import explain, validate
from kling_mock.cli_options import HOST, PORT, cannot, fail, load, prefixes_of, specs_option
from kling_mock.cli_pricing import price
from kling_mock.cli_scenarios import scenarios, show
from kling_mock.cli_serving import serve
from kling_mock.cli_types import Address, Host, url_of
from kling_mock.core.examples import check_examples
from kling_mock.core.problems import SpecError, closest
from kling_mock.core.provider import Provider, Way
from kling_mock.credentials import TOKEN_SECONDS, signed
from kling_mock.loading import bundled, load_providers, provider_names, read_documents

EXIT_CODES = (
    "Exit codes: 0 fine, 1 something is wrong with what was given (a spec, a port, a name), 2 the command line itself "
    "(an option, a provider that is not there) or an output that cannot be written, 130 interrupted by Ctrl-C (which "
    "is how `serve` is ended: 0), 141 nobody reads on. The help of `validate`, `price`, `drift` and `contract` "
    "says what 1 and 2 are there."
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="kling-mock")
def main() -> None:
    """The fake Kling: develop and test against Kling AI's video API and its gateways, offline and for nothing.

    \b
    kling-mock validate FILE         what a payload would cost, before it costs anything
    kling-mock serve                 the server, all providers on one port
    eval "$(kling-mock env)"         base URLs and dummy credentials for your client
    kling-mock token                 a fresh JWT for the Authorization header
    kling-mock contract              does a server keep to the documents?
    """


def shell(values: Mapping[str, str]) -> str:
    """Lines for `eval`."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())


def dotenv(values: Mapping[str, str]) -> str:
    """Lines for a .env file."""
    return "\n".join(f"{name}={value}" for name, value in values.items())


FORMATS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "shell": shell,
    "dotenv": dotenv,
    "json": lambda values: json.dumps(values, indent=2),
}


@main.command()
@click.option("--format", "form", default="shell", show_default=True, type=click.Choice(list(FORMATS)))
@click.option("--host", default=HOST, show_default=True, type=Host(), help="The server's host name or address.")
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(1, 65535), help="The server's port.")
@click.option("--url", type=Address(), help="The server's http(s)://host[:port], instead of host and port.")
@click.option("--mount", "mounts", multiple=True, metavar="PROVIDER=/PREFIX", help="As given to `serve`.")
@specs_option
def env(form: str, host: str, port: int, url: str | None, mounts: tuple[str, ...], folders: tuple[Path, ...]) -> None:
    """Print base URLs and dummy credentials as environment variables.

    \b
    eval "$(kling-mock env)"
    kling-mock env --format dotenv > .env
    """
    base = url or url_of(host, port)
    values = {}
    providers = load((), folders)
    prefixes = prefixes_of(mounts, providers)
    for provider in providers.values():
        values[provider.base_url_variable] = base + prefixes.get(provider.name, "")
        values |= {row.variable: row.default for row in provider.credentials.values() if row.variable}
    click.echo(FORMATS[form](values))


def token_way(provider: Provider) -> Way | None:
    """The way of a provider that takes JWTs."""
    schemes = {s.name: s for o in provider.operations.values() for alternative in o.security for s in alternative}
    return next((way for scheme in schemes.values() for way in scheme.ways if way.jwt), None)


@main.command()
@click.option("--provider", "name", help="Whose token.  [default: the first provider that takes JWTs]")
@click.option(
    "--seconds", default=TOKEN_SECONDS, show_default=True, help="How long it lasts; one of 0 or less has expired."
)
@specs_option
def token(name: str | None, seconds: int, folders: tuple[Path, ...]) -> None:
    """Print a fresh JWT, signed with the credentials in the environment, else with the default account's."""
    providers = load((), folders)
    ways = {p.name: (p, way) for p in providers.values() if (way := token_way(p))}
    if name is not None and name not in ways:
        wrong = fail if name in providers else cannot
        wrong(f"{name!r} takes no JWTs{closest(name, ways)}")
    if not ways:
        fail("no provider takes JWTs")
    made = signed_for(*(ways[name] if name else next(iter(ways.values()))), seconds)
    if seconds <= 0:
        click.echo(f"kling-mock: the token has expired already (--seconds {seconds})", err=True)
    click.echo(made)


def unpaired(provider: Provider, way: Way) -> str | None:
    """What to tell of a key in the environment whose secret is not there, or the other way round."""
    assert way.jwt is not None
    rows = [provider.credentials[name] for name in (way.jwt.issuer, way.jwt.secret)]
    own = [row.variable for row in rows if os.environ.get(row.variable, "") not in ("", row.default)]
    lacking = [row.variable for row in rows if not os.environ.get(row.variable)]
    if not (own and lacking):
        return None
    return (
        f"{own[0]} is set and {lacking[0]} is not: there is no token, since no server would take one of that key with "
        "the default account's other half; set both, or neither (kling-mock env prints the default account's)"
    )


def signed_for(provider: Provider, way: Way, seconds: int) -> str:
    """A JWT by the credentials in the environment, else by the default account's; a clear end for half a pair."""
    known = {name: os.environ.get(row.variable) or row.default for name, row in provider.credentials.items()}
    if note := unpaired(provider, way):
        fail(note)
    return signed(known, way, seconds)


for command in (example, serve, validate, price, explain, scenarios, show, contract, drift):
    main.add_command(command)


@main.command()
def specs() -> None:
    """Print the folder of the bundled specs, to copy it and make the copy yours.

    \b
    cp -r "$(kling-mock specs)" my-specs
    kling-mock check-spec my-specs && kling-mock serve --specs my-specs
    """
    click.echo(str(bundled("specs")))


@main.command("check-spec")
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
def check_spec(folder: Path | None) -> None:
    """Check a folder of provider folders, or one provider's folder: every problem with file and JSON pointer.

    Without FOLDER the bundled specs are checked. Exits 1 when anything is wrong.
    """
    from kling_mock.core.checks import check_deeply

    root, names = _spec_names(folder or bundled("specs"))
    problems = 0
    for name in names:
        try:
            provider = load_providers([name], [root])[name]
            documents = read_documents(root, name)
            wrong = [*check_examples(documents, name), *check_deeply(documents, name, provider)]
        except SpecError as error:
            wrong = list(error.problems)
        else:
            counts = ", ".join(f"{count} {kind}" for kind, count in provider.evidence.items())
            click.echo(
                f"{name}: {len(provider.operations)} operations, {len(provider.errors.catalogue)} errors; {counts}"
            )
        for problem in wrong:
            click.echo(str(problem), err=True)
        problems += len(wrong)
    sys.exit(1 if problems else 0)


def _spec_names(folder: Path) -> tuple[Path, list[str]]:
    """The specs folder and the names of providers meant by a folder of folders, or by one provider's."""
    if (folder / "openapi.yaml").is_file():
        return folder.resolve().parent, [folder.resolve().name]
    names = provider_names(folder)
    if not names:
        fail(f"{folder} holds no provider: there is no openapi.yaml in it or in a folder of it")
    return folder, names
