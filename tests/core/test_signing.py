"""Signatures of webhooks: the vendor's test vector, an independent library as the oracle, and rotation."""

from __future__ import annotations

import base64
import json
import time

import pytest
from standardwebhooks import Webhook as Oracle
from standardwebhooks.webhooks import WebhookVerificationError

from kling_mock.core.callbacks import Signing
from kling_mock.core.model import Secret
from kling_mock.core.signing import draw, good, headers, key, rotated, signature

DAY = 24 * 3600 * 1000
WORDS = Signing("webhook-id", "webhook-timestamp", "webhook-signature", "whsec_", 7 * DAY)
VECTOR = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="
BODY = b'{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}'
OTHER = "whsec_" + base64.b64encode(b"another secret").decode()


def accepted(secret: str, sent: dict[str, str], body: bytes = b"{}") -> bool:
    """Whether a receiver that has this secret takes the webhook, by the scheme's own library."""
    try:
        Oracle(secret).verify(body, sent)
    except WebhookVerificationError:
        return False
    return True


def test_the_vendors_test_vector() -> None:
    """Its callback page signs this body with this secret and gets this."""
    sent = headers(WORDS, [Secret(VECTOR)], 0, "9876543210", 1781080794, BODY)
    assert sent == {
        "webhook-id": "9876543210",
        "webhook-timestamp": "1781080794",
        "webhook-signature": "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=",
    }


@pytest.mark.parametrize("body", [b"{}", BODY, '{"prompt":"ein Märchen 🦊"}'.encode(), b'{"a": [1, 2]}\n'])
def test_the_schemes_library_takes_what_is_signed(body: bytes) -> None:
    """With the same secret and only with it, and only the very bytes that were signed."""
    sent = headers(WORDS, [Secret(VECTOR)], 0, "1", int(time.time()), body)
    assert accepted(VECTOR, sent, body)
    assert not accepted(OTHER, sent, body)
    assert not accepted(VECTOR, sent, body + b" ")


def test_a_timestamp_is_judged_by_the_receiver() -> None:
    """The library refuses what is signed for ten minutes ago, so the header must be wall time in seconds."""
    assert not accepted(VECTOR, headers(WORDS, [Secret(VECTOR)], 0, "1", int(time.time()) - 600, b"{}"))


def test_without_a_secret_nothing_is_signed() -> None:
    """The three headers are there only while a secret exists; one that ran out signs no more."""
    assert headers(WORDS, [], 0, "1", 1, b"{}") == {}
    assert headers(WORDS, [Secret(VECTOR, until=5)], 5, "1", 1, b"{}") == {}


@pytest.mark.parametrize("secrets", [[], [Secret(VECTOR)]])
def test_a_forged_one_is_refused(secrets: list[Secret]) -> None:
    """It has all three headers and a signature of the right form that no secret of the account gives."""
    sent = headers(WORDS, secrets, 0, "1", int(time.time()), b"{}", forged=True)
    assert len(sent) == 3
    assert len(base64.b64decode(sent["webhook-signature"].removeprefix("v1,"))) == 32
    assert not accepted(VECTOR, sent)


def test_both_secrets_sign_for_a_while() -> None:
    """After a rotation a receiver may have either; the new one's signature comes first; in the end it is alone."""
    secrets = rotated(WORDS, [Secret(VECTOR)], OTHER, 1000, emergency=False)
    assert secrets == (Secret(OTHER), Secret(VECTOR, until=1000 + 7 * DAY))
    now = int(time.time())
    during = headers(WORDS, secrets, 1000 + 7 * DAY - 1, "1", now, b"{}")
    signatures = during["webhook-signature"].split(" ")
    assert signatures == [signature(key("whsec_", each), "1", now, b"{}") for each in (OTHER, VECTOR)]
    assert accepted(OTHER, during)
    assert accepted(VECTOR, during)
    after = headers(WORDS, secrets, 1000 + 7 * DAY, "1", now, b"{}")
    assert accepted(OTHER, after)
    assert not accepted(VECTOR, after)


def test_in_an_emergency_the_old_one_is_dead_at_once() -> None:
    """Only the new one signs."""
    assert rotated(WORDS, [Secret(VECTOR)], OTHER, 1000, emergency=True) == (Secret(OTHER),)


def test_secrets_do_not_pile_up() -> None:
    """One that ran out is forgotten, one that is running out keeps its end, and none is there twice."""
    secrets = (Secret("c"), Secret("b", until=50), Secret("a", until=10))
    assert rotated(WORDS, secrets, "d", 20, emergency=False) == (
        Secret("d"),
        Secret("c", until=20 + 7 * DAY),
        Secret("b", until=50),
    )
    assert rotated(WORDS, [Secret("a")], "a", 20, emergency=False) == (Secret("a"),)
    assert good(secrets, 50) == (Secret("c"),)


def test_a_drawn_secret_is_repeatable_and_good() -> None:
    """The same source gives the same one, another source another; it stands for 32 bytes."""
    assert draw(WORDS, "x") == draw(WORDS, "x") != draw(WORDS, "y")
    assert len(key("whsec_", draw(WORDS, "x"))) == 32
    sent = headers(WORDS, [Secret(draw(WORDS, "x"))], 0, "1", int(time.time()), json.dumps({}).encode())
    assert accepted(draw(WORDS, "x"), sent)


def test_a_secret_may_lack_its_padding() -> None:
    """As the scheme's own library takes it."""
    assert key("whsec_", "whsec_dGVzdA") == key("whsec_", "whsec_dGVzdA==") == b"test"


@pytest.mark.parametrize("secret", ["", "whsec_", "dGVzdA==", "whsec_not base64", "whsec_dGVzd", "whsec_ä"])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    """Without the prefix, empty, or not base64: the reason says how one looks."""
    with pytest.raises(ValueError, match="a secret is 'whsec_' and then base64"):
        key("whsec_", secret)
