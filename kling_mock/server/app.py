"""The Flask application: every provider and the control API, complete by itself under any WSGI server.

`flask --app kling_mock.server.app run` and Flask's test client work. What WSGI cannot do (drop a connection before the
first byte, hold thousands of calls) is approximated here and done properly by `kling_mock.server.lane`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from urllib.parse import quote, urlsplit

from flask import Flask, Response, request

from kling_mock.core.hiding import hidden
from kling_mock.core.model import Request, Wire
from kling_mock.loading import load_providers
from kling_mock.server.control import control
from kling_mock.server.mock import Mock, wire

log = logging.getLogger("kling_mock")
CONTROL = "/_mock"
NEVER_SECONDS = 3600
SPOILT = "kling_mock.spoilt"
"""Set in the environ by the lane, which has done already what scenarios do to downloads."""


def is_control(path: str) -> bool:
    """Whether a path belongs to the control API and not to a provider."""
    return path == CONTROL or path.startswith(CONTROL + "/")


def create_app(mock: Mock | None = None, allowed_hosts: Iterable[str] = ()) -> Flask:
    """The application of `mock`; without one, all bundled providers with their default accounts.

    `allowed_hosts` are host names, beside loopback's, under which the control API may be called.
    """
    mock = mock or Mock(load_providers().values())
    app = Flask("kling_mock", static_folder=None)
    app.register_blueprint(control(mock, frozenset(allowed_hosts)))

    @app.before_request
    def provider() -> Response | None:
        """Answer as a provider before Flask routes, so that any path and any method gets the provider's answer."""
        # Here and not in `create_app`: a server may make its processes after that.
        mock.deliverer.start()
        if is_control(request.path):
            return None if SPOILT in request.environ else _spoilt(mock)
        return _response(answer(mock, _request(mock)))

    return app


def _spoilt(mock: Mock) -> Response | None:
    """A file that a scenario keeps from its reader; WSGI can say another thing in its place, or end early."""
    reply = mock.download(request.method, request.path)
    return None if reply is None or not (reply.raw or reply.delivery.lossy) else _response(wire(reply))


def answer(mock: Mock, asked: Request) -> Wire:
    """The mock's answer; its own failure is the provider's 500, with the reason in the log."""
    try:
        return mock.answer(asked)
    except Exception as error:
        log.exception("the mock failed at %s %s", asked.method, hidden(asked.path)[:200])
        return mock.failure(asked, error)


def _request(mock: Mock) -> Request:
    environ = request.environ
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    path = urlsplit(raw).path if raw.startswith("/") else quote(environ.get("PATH_INFO", "/").encode("latin-1"))
    limit = mock.options.max_body
    body = b"" if (request.content_length or 0) > limit else request.get_data(cache=False)
    oversized = (request.content_length or len(body)) > limit or len(body) > limit
    return Request(
        method=request.method,
        path=path or "/",
        query=request.query_string.decode("latin-1"),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=b"" if oversized else body,
        scheme=request.scheme,
        oversized=oversized,
    )


def _response(wire: Wire) -> Response:
    delivery = wire.delivery
    if delivery.never:
        time.sleep(NEVER_SECONDS)
    if delivery.after_ms:
        time.sleep(delivery.after_ms / 1000)
    body = wire.body if delivery.cut_at is None else _cut(wire.body, delivery.cut_at)
    response = Response(body, wire.status)
    response.headers.clear()
    response.headers.extend(wire.headers)
    return response


def _cut(body: bytes, at: int) -> Iterator[bytes]:
    """The beginning of a body, then an exception: the nearest that WSGI has to a dropped connection."""
    yield body[:at]
    raise ConnectionAbortedError("the scenario cuts the answer here")
