"""Steering webhooks: replays and the secrets that sign, as functions that know no HTTP."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from kling_mock.core import entropy as ids
from kling_mock.core.callbacks import Signing
from kling_mock.core.model import Account, Secret, Webhook
from kling_mock.core.provider import Provider
from kling_mock.core.signing import draw, good, key, rotated
from kling_mock.server.mock import Mock
from kling_mock.server.steering import Refused, account, cut, iso


def delivery_log(mock: Mock, owner: str | None = None, task: str | None = None) -> list[Webhook]:
    """The webhooks of an account and of a task, those to come included, in the order in which they are due."""
    if owner is not None:
        account(mock, owner, "query/account")
    rows = [row for row in mock.store.webhooks(owner) if task in (None, row.task)]
    return sorted(rows, key=lambda row: row.due)


def replay(mock: Mock, id_: str, copy: int = 0) -> Webhook:
    """Send a webhook once more, under the id that it had. One that is still on its way is not hurried."""
    row = next((row for row in mock.store.webhooks() if (row.id, row.copy) == (id_, copy)), None)
    if row is None:
        raise Refused("missing", f"there is no webhook {cut(id_)!r}" + (f" with the copy {copy}" if copy else ""))
    if row.outcome is None:
        raise Refused("conflict", f"the webhook is on its way: it is due at {iso(row.due)} by its account's clock")
    again = mock.store.replay(id_, copy)
    if again is None:
        raise Refused("missing", f"the webhook {cut(id_)!r} was forgotten")
    mock.deliverer.wake()
    return again


def secrets(mock: Mock, owner: str, pointer: str = "") -> tuple[Secret, ...]:
    """The secrets that sign an account's webhooks now, the newest first."""
    return good(account(mock, owner, pointer).secrets, mock.clocks.now(owner))


def rotate(mock: Mock, owner: str, value: str | None = None, emergency: bool = False) -> tuple[Secret, ...]:
    """Give an account a new secret, drawn unless given. The old ones sign too for a while, or not in an emergency."""
    words = _signing(mock, account(mock, owner, "/account"))
    if value is None:
        ordinal = mock.store.number(f"secret/{owner}")
        value = draw(words, ids.seed(mock.options.seed, owner, "secret", ordinal))
    try:
        key(words.prefix, value)
    except ValueError as error:
        raise Refused("value", str(error), "/secret") from None
    new = value
    return _changed(mock, owner, "/account", lambda old, now: rotated(words, old, new, now, emergency))


def remove_secrets(mock: Mock, owner: str) -> tuple[Secret, ...]:
    """Take an account's secrets away: its webhooks are no longer signed."""
    return _changed(mock, owner, "query/account", lambda old, now: ())


def _changed(
    mock: Mock, owner: str, pointer: str, change: Callable[[tuple[Secret, ...], int], tuple[Secret, ...]]
) -> tuple[Secret, ...]:
    """Replace an account's secrets; again, if another process came first."""
    while True:
        old = account(mock, owner, pointer)
        new = replace(old, secrets=change(old.secrets, mock.clocks.now(owner)))
        if mock.store.change_account(old, new):
            return new.secrets


def _signing(mock: Mock, owner: Account) -> Signing:
    words = signing_of(mock.providers[owner.provider])
    if words is None:
        raise Refused("conflict", f"nothing is known of {owner.provider} signing its webhooks", "/account")
    return words


def signing_of(provider: Provider) -> Signing | None:
    """How a provider signs its webhooks; None if it does not."""
    callbacks = (row for operation in provider.operations.values() for row in operation.callbacks)
    return next((row.signing for row in callbacks if row.signing), None)
