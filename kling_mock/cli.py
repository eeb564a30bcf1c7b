"""The `kling-mock` command. Thin: each command reads its options, calls one function and prints.

Exit codes: 0 fine, 1 something is wrong with what was given (a spec, a port, a name), 2 the command line itself.
`validate`, `price` and `explain` have their own, which their help says.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from kling_mock import __version__
from kling_mock.cli_judging import explain, price, validate
from kling_mock.cli_options import fail, load, specs_option
from kling_mock.core.durations import instant
from kling_mock.core.examples import check_examples
from kling_mock.core.problems import SpecError, closest
from kling_mock.core.provider import Provider, Way
from kling_mock.loading import bundled, collisions, load_providers, provider_names, read_documents, read_yaml

HOST, PORT = "127.0.0.1", 8787
CONTROL = "_mock"
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
TOKEN_SECONDS = 1800


def prefixes_of(values: tuple[str, ...], known: Mapping[str, object]) -> dict[str, str]:
    """`NAME=/PREFIX` options as a mapping; a name must be known and a prefix must say something."""
    found = {name: "/" + prefix.strip("/") for name, prefix in pairs(values, "PROVIDER=/PREFIX").items()}
    for name, prefix in found.items():
        if not PREFIX.fullmatch(prefix):
            raise click.BadParameter(f"{prefix!r} is no prefix such as /{name}; PROVIDER=/PREFIX")
        if prefix.split("/")[1] == CONTROL:
            fail(f"/{CONTROL} belongs to the control API; mount {name} elsewhere")
        if name not in known:
            fail(f"there is no provider {name!r} here{closest(name, known)}")
    return found


def number(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """A number that is one."""
    if value != value:
        raise click.BadParameter("nan is no number")
    return value


def pairs(values: tuple[str, ...], what: str) -> dict[str, str]:
    """`NAME=VALUE` options as a mapping."""
    found = {}
    for value in values:
        name, equals, rest = value.partition("=")
        if not (name and equals and rest):
            raise click.BadParameter(f"{value!r} is not of the form {what}")
        found[name] = rest
    return found


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=(__doc__ or "").splitlines()[2])
@click.version_option(__version__, prog_name="kling-mock")
def main() -> None:
    """The fake Kling: develop and test against Kling AI's video API and its gateways, offline and for nothing.

    \b
    kling-mock validate FILE         what a payload would cost, before it costs anything
    kling-mock serve                 the server, all providers on one port
    eval "$(kling-mock env)"         base URLs and dummy credentials for your client
    kling-mock token                 a fresh JWT for the Authorization header
    """


class Size(click.ParamType[int]):
    """A number of bytes such as 64MB or 512kB."""

    name = "size"
    units: Mapping[str, int] = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read "64MB"."""
        if isinstance(value, int):
            return value
        digits = value.rstrip("bBkKmMgG ")
        unit = value[len(digits) :].strip().lower()
        if (
            not (digits.isascii() and digits.isdigit())
            or unit not in self.units
            or not 0 < int(digits) * self.units[unit] <= 4 * 1024**3
        ):
            self.fail(f"{value!r} is no size such as 64MB (at most 4GB)", param, ctx)
        return int(digits) * self.units[unit]


class Instant(click.ParamType[int]):
    """An instant such as 2026-03-01T12:00:00Z."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read ISO 8601 or seconds since 1970."""
        try:
            return instant(float(value) if str(value).replace(".", "", 1).isdigit() else value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@main.command()
@click.option("--host", default=HOST, show_default=True, help="The address to listen on.")
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--provider", "names", multiple=True, metavar="NAME", help="Serve only this provider. Repeatable.")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    callback=number,
    type=click.FloatRange(0, 10_000),
    help="Virtual s per real s.",
)
@click.option("--latency", metavar="PROFILE", help="How long tasks take: fast, instant, realistic.  [default: fast]")
@click.option(
    "--auth",
    default="registered",
    show_default=True,
    type=click.Choice(["registered", "any"]),
    help="Take registered credentials only, or every well-formed one.",
)
@click.option("--at", type=Instant(), metavar="INSTANT", help="Start frozen at this instant (2026-03-01T12:00:00Z).")
@click.option("--seed", help="Make ids and delays repeatable.")
@click.option(
    "--variant", "variants", multiple=True, metavar="PROVIDER=NAME", help="The shape of a provider's replies."
)
@click.option("--mount", "mounts", multiple=True, metavar="PROVIDER=/PREFIX", help="Serve a provider under a prefix.")
@click.option("--max-body", default="64MB", show_default=True, type=Size(), help="The longest body that is taken.")
@click.option("--public-url", metavar="URL", help="The address in result URLs.  [default: the request's own Host]")
@click.option(
    "--allow-host", "allowed_hosts", multiple=True, metavar="HOST", help="Allow the control API under this name."
)
@click.option("--fetch-images", is_flag=True, help="Fetch image URLs and judge the images. Never done by default.")
@click.option("--quiet", "-q", is_flag=True, help="Do not log requests on standard error.")
@specs_option
def serve(
    host: str,
    port: int,
    names: tuple[str, ...],
    speed: float,
    latency: str | None,
    auth: Any,
    at: int | None,
    seed: str | None,
    variants: tuple[str, ...],
    mounts: tuple[str, ...],
    max_body: int,
    public_url: str | None,
    allowed_hosts: tuple[str, ...],
    fetch_images: bool,
    quiet: bool,
    folders: tuple[Path, ...],
) -> None:
    """Serve the mock until Ctrl-C.

    Prints `kling-mock ready on URL` on standard output once it answers. State is kept in memory. Tasks take about 5 s;
    `[mock:fail]` in a prompt makes a task fail (`kling-mock scenarios` lists more).
    """
    import secrets

    from kling_mock.server.mock import Mock, Options
    from kling_mock.server.serving import listen

    providers = load(names, folders)
    prefixes = prefixes_of(mounts, providers)
    if clashes := collisions(providers, prefixes):
        fail(f"two providers want the same path: {clashes[0]}; mount one of them: --mount NAME=/prefix")
    options = Options(
        auth=auth,
        at=at,
        seed=seed if seed is not None else secrets.token_hex(8),
        speed=speed,
        latency=latency,
        variants=pairs(variants, "PROVIDER=NAME"),
        mounts=prefixes,
        public_url=public_url,
        max_body=max_body,
        fetch_images=fetch_images,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING if quiet else logging.INFO, format="%(message)s")
    try:
        mock = Mock(providers.values(), options)
        listener = listen(host, port)
    except ValueError as error:
        fail(str(error))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fail(f"cannot listen on {host}:{port}: {reason}; choose another with --port (0 takes a free one)")
    _run(mock, listener, host, allowed_hosts, providers)


def _run(mock: Any, listener: Any, host: str, allowed_hosts: tuple[str, ...], providers: dict[str, Provider]) -> None:
    from kling_mock.server.serving import serve as run

    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

    def ready() -> None:
        for provider in providers.values():
            known = " ".join(f"{row.variable}={row.default}" for row in provider.credentials.values())
            click.echo(f"{provider.name:8} {known}", err=True)
        click.echo(f"kling-mock ready on {url}")
        sys.stdout.flush()

    run(mock, listener, (host, *allowed_hosts), ready)


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
@click.option("--host", default=HOST, show_default=True, help="The server's address.")
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(1, 65535), help="The server's port.")
@click.option("--url", help="The server's URL, instead of host and port.")
@click.option("--mount", "mounts", multiple=True, metavar="PROVIDER=/PREFIX", help="As given to `serve`.")
@specs_option
def env(form: str, host: str, port: int, url: str | None, mounts: tuple[str, ...], folders: tuple[Path, ...]) -> None:
    """Print base URLs and dummy credentials as environment variables.

    \b
    eval "$(kling-mock env)"
    kling-mock env --format dotenv > .env
    """
    base = (url or f"http://{host}:{port}").rstrip("/")
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
@click.option("--seconds", default=TOKEN_SECONDS, show_default=True, help="How long it lasts.")
@specs_option
def token(name: str | None, seconds: int, folders: tuple[Path, ...]) -> None:
    """Print a fresh JWT, signed with the credentials in the environment, else with the default account's."""
    import jwt

    ways = {p.name: (p, way) for p in load((), folders).values() if (way := token_way(p))}
    if name is not None and name not in ways:
        fail(f"{name!r} takes no JWTs{closest(name, ways)}")
    if not ways:
        fail("no provider takes JWTs")
    provider, way = ways[name] if name else next(iter(ways.values()))
    assert way.jwt is not None
    issuer, secret = (
        os.environ.get(provider.credentials[key].variable) or provider.credentials[key].default
        for key in (way.jwt.issuer, way.jwt.secret)
    )
    now = int(time.time())
    claims = {"iss": issuer, "exp": now + seconds, "nbf": now - way.jwt.backdated_ms // 1000}
    click.echo(jwt.encode(claims, secret, algorithm=way.jwt.algorithms[0]))


@main.command()
@click.option("--provider", "names", multiple=True, metavar="NAME", help="Only this provider's. Repeatable.")
@specs_option
def scenarios(names: tuple[str, ...], folders: tuple[Path, ...]) -> None:
    """List the scenarios: what `[mock:NAME]` in a prompt or `Prefer: scenario=NAME` shows."""
    for provider in load(names, folders).values():
        click.echo(provider.name)
        for scenario in provider.scenarios.values():
            click.echo(f"  {scenario.name:20} {scenario.shows}")


@main.command()
@click.argument("name", required=False)
def example(name: str | None) -> None:
    """Print an example payload or image, or list them.

    \b
    kling-mock example kling/create-from-first-and-last-frame > payload.json
    kling-mock example media/square-300x300.png > first.png
    """
    folder = bundled("fixtures")
    payloads = [path for path in sorted(folder.glob("*/*.json")) if path.with_suffix(".yaml").is_file()]
    pictures = [path for path in sorted(folder.glob("media/*")) if path.suffix in (".png", ".jpg")]
    files = {path.relative_to(folder).as_posix().removesuffix(".json"): path for path in (*payloads, *pictures)}
    if name is None:
        for known, path in files.items():
            shows = read_yaml(path.with_suffix(".yaml"), known)["shows"] if path in payloads else ""
            click.echo(f"{known:46} {shows}".rstrip())
    elif (wanted := name.removesuffix(".json")) in files:
        click.echo(files[wanted].read_bytes(), nl=False)
    else:
        fail(f"there is no example {name!r}{closest(wanted, files)}")


for command in (validate, price, explain):
    main.add_command(command)


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
