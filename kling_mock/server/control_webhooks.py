"""What the control API answers about webhooks: the delivery log, replays, and the secrets that sign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response

from kling_mock.core.hiding import hidden
from kling_mock.core.model import Secret, Webhook
from kling_mock.server import steering_webhooks as steering
from kling_mock.server.control_document import Given
from kling_mock.server.mock import Mock
from kling_mock.server.problem_details import Problem, reply
from kling_mock.server.steering import cut


def webhooks(mock: Mock, given: Given) -> Response:
    """GET /_mock/webhooks"""
    found = steering.delivery_log(mock, given.query.get("account"), given.query.get("task"))
    return reply({"webhooks": [_row(row) for row in found]})


def replay(mock: Mock, given: Given) -> Response:
    """POST /_mock/webhooks/{id}/replay"""
    return reply(_row(steering.replay(mock, given.path["id"], int(given.body.get("copy", 0)))))


def secrets(mock: Mock, given: Given) -> Response:
    """GET /_mock/webhooks/secrets"""
    owner = _owner(given)
    return reply(_secrets(owner, steering.secrets(mock, owner, "query/account")))


def rotate(mock: Mock, given: Given) -> Response:
    """POST /_mock/webhooks/secrets"""
    asked = given.body
    emergency = asked.get("rotate") == "emergency"
    return reply(_secrets(asked["account"], steering.rotate(mock, asked["account"], asked.get("secret"), emergency)))


def remove(mock: Mock, given: Given) -> Response:
    """DELETE /_mock/webhooks/secrets"""
    owner = _owner(given)
    return reply(_secrets(owner, steering.remove_secrets(mock, owner)))


def _owner(given: Given) -> str:
    if "account" not in given.query:
        raise Problem(400, errors=[("query/account", "is required")])
    return given.query["account"]


def _row(row: Webhook) -> dict[str, Any]:
    """A webhook as it is shown: without what an address may hide, and with the virtual times of its attempts only."""
    return {
        "id": row.id,
        "provider": row.provider,
        "account": row.account,
        "task": row.task,
        "url": hidden(row.url),
        "state": row.state,
        "due": row.due,
        "outcome": row.outcome,
        "reason": None if row.reason is None else hidden(row.reason),
        "copy": row.copy,
        "attempts": [{"at": each.at, "status": each.status, "error": each.error} for each in row.attempts],
    }


def _secrets(owner: str, found: tuple[Secret, ...]) -> dict[str, Any]:
    return {
        "account": cut(owner),
        "secret": found[0].value if found else None,
        "secrets": [{"secret": each.value, "until": each.until} for each in found],
    }


VIEWS: Mapping[str, Callable[[Mock, Given], Response]] = {
    "listWebhooks": webhooks,
    "replayWebhook": replay,
    "getSecrets": secrets,
    "rotateSecret": rotate,
    "removeSecrets": remove,
}
