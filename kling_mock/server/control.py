"""The control API under `/_mock/`, as a Flask blueprint: who may call it, its routes, and its refusals.

A guard looks at every request below the prefix before Flask's own routing counts, so that unknown paths and methods
get a problem too, whatever else the application serves.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from ipaddress import IPv4Address
from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from kling_mock.core.problems import closest
from kling_mock.core.routes import Routes
from kling_mock.server.control_document import Endpoint, endpoints, read
from kling_mock.server.control_views import VIEWS
from kling_mock.server.mock import Mock
from kling_mock.server.problem_details import Problem, from_http, from_refused
from kling_mock.server.steering import Refused
from kling_mock.server.store import StoreError

log = logging.getLogger("kling_mock")

PREFIX = "/_mock"
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
PORTS = {"http": "80", "https": "443"}


def control(mock: Mock, allowed_hosts: frozenset[str]) -> Blueprint:
    """The control API of one mock. `allowed_hosts` are host names it may be called by beside loopback's own.

    The host that the server is bound to belongs among them: what WSGI says of it can come from the caller.
    """
    blueprint = Blueprint("control", __name__)
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints():
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        rule = endpoint.path.replace("{", "<").replace("}", ">")
        view = _view(mock, endpoint)
        blueprint.add_url_rule(
            rule,
            endpoint.id,
            view,
            methods=[endpoint.method],
            provide_automatic_options=False,
            strict_slashes=rule != PREFIX,
        )
    routes = Routes(by_path.items())
    hosts = frozenset(_bare(host) for host in allowed_hosts)

    @blueprint.before_app_request
    def guard() -> Response | None:
        if request.path != PREFIX and not request.path.startswith(PREFIX + "/"):
            return None
        try:
            return _admit(routes, hosts)
        except Problem as problem:
            return problem.response()

    blueprint.register_error_handler(HTTPException, from_http)
    return blueprint


def _view(mock: Mock, endpoint: Endpoint) -> Callable[..., Response]:
    answer = VIEWS[endpoint.id]

    def view(**path: str) -> Response:
        try:
            return answer(mock, read(endpoint, path, mock.options.public_url))
        except Refused as refused:
            return from_refused(refused).response()
        except Problem as problem:
            return problem.response()
        except StoreError as error:
            log.error("%s", error)
            return Problem(503, str(error)).response()

    return view


def _admit(routes: Routes[dict[str, Endpoint]], hosts: frozenset[str]) -> Response | None:
    """Let the request through, or answer it here. Raises `Problem`."""
    # The index is the one path that people type with a slash at its end.
    found = routes.find(quote(PREFIX if request.path == f"{PREFIX}/" else request.path))
    known = found[0] if found else {}
    if not any(endpoint.public for endpoint in known.values()):
        _check_host(hosts)
        _check_origin()
    if not known:
        raise Problem(404, f"there is no {request.path[:100]}{closest(request.path[:100], _paths())}")
    methods = {*known, "OPTIONS"} | ({"HEAD"} if "GET" in known else set())
    allow = {"Allow": ", ".join(sorted(methods))}
    if request.method == "OPTIONS":
        return Response(status=204, headers=allow)
    if request.method not in methods:
        raise Problem(405, f"the path takes {allow['Allow']}, not {request.method[:20]}", headers=allow)
    return None


def _paths() -> list[str]:
    return sorted({endpoint.path for endpoint in endpoints()})


def _check_host(hosts: frozenset[str]) -> None:
    """Refuse names that only a foreign page's author has a reason to let point here (DNS rebinding)."""
    sent = request.headers.get("Host", "localhost")
    match = HOST.fullmatch(sent)
    if match is None or not (_loopback(_bare(match[1])) or _bare(match[1]) in hosts):
        raise Problem(403, f"the host {sent[:100]!r} is not this server's; `kling-mock serve --allow-host` lets it in")


def _bare(host: str) -> str:
    return host.strip("[]").lower().rstrip(".")


def _loopback(host: str) -> bool:
    if host in ("localhost", "::1"):
        return True
    try:
        return IPv4Address(host).is_loopback
    except ValueError:
        return False


def _check_origin() -> None:
    """Refuse requests of pages that were not served from here; programs send no Origin."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    if not _same_origin(origin, request.headers.get("Host", "localhost")):
        raise Problem(403, f"a page of the origin {origin[:100]!r} may not call the control API")


def _same_origin(origin: str, host: str) -> bool:
    try:
        scheme = urlsplit(origin).scheme
    except ValueError:
        return False
    match = HOST.fullmatch(origin.removeprefix(f"{scheme}://")) if scheme in PORTS else None
    mine = HOST.fullmatch(host)
    if match is None or mine is None:
        return False
    default = PORTS[scheme]
    return (_bare(match[1]), match[2] or default) == (_bare(mine[1]), mine[2] or default)
