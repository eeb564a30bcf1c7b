"""What is struck out of a text before it is shown, and what stays so that people recognise it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_mock.core.hiding import hidden
from kling_mock.core.messages import show
from kling_mock.core.redaction import names_credential, redacted, redacted_query

HOOK = "https://example.com/hook"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:word@example.com/hook", "https://<credential>@example.com/hook"),
        ("https://me:w@rd@example.com/hook", "https://<credential>@example.com/hook"),
        ("https://me:w/r?d#@example.com/hook", "https://<credential>@example.com/hook"),
        ("http://me:pw@127.0.0.1:9/hook?mail=a@b.example", "http://<credential>@127.0.0.1:9/hook?mail=a@b.example"),
        (f"{HOOK}?auth=Basic bWU6cHc=&job=7", f"{HOOK}?auth=<credential>&job=7"),
        (f"{HOOK}?cb=http%253A%252F%252Fme%253Apw%2540example.org%252F&job=7", f"{HOOK}?cb=<credential>&job=7"),
        ("https://:word@example.com:8000/", "https://<credential>@example.com:8000/"),
        ("https:\\\\me:word@example.com/", "https:\\\\<credential>@example.com/"),
        ("me:word@example.com/hook", "<credential>@example.com/hook"),
        (f"{HOOK}?job=7&token=abc&mode=pro", f"{HOOK}?job=7&token=<credential>&mode=pro"),
        (f"{HOOK}?sig=a%2Bb;c?d/e==&job=7", f"{HOOK}?sig=<credential>&job=7"),
        (f"{HOOK}?to%6ben=abc", f"{HOOK}?to%6ben=<credential>"),
        (f"{HOOK}#access_token=abc&state=7", f"{HOOK}#access_token=<credential>&state=7"),
        (f"see {HOOK}?key=abc, then go on", f"see {HOOK}?key=<credential> then go on"),
        (
            f"{HOOK}?to=https%3A%2F%2Fme%3Aword%40example.org%2F%3Fkey%3Dabc%26job%3D7",
            f"{HOOK}?to=https%3A%2F%2F<credential>%40example.org%2F%3Fkey%3D<credential>%26job%3D7",
        ),
        (f"{HOOK}?to=https://example.org/?key=abc", f"{HOOK}?to=https://example.org/?key=<credential>"),
        (f"{HOOK}{'?a=' * 5}?key=abc", f"{HOOK}{'?a=' * 5}<credential>"),
    ],
)
def test_what_an_address_hides_is_struck_out(text: str, shown: str) -> None:
    """Whoever it names, whatever proves something; once struck out it stays as it is."""
    assert redacted(text) == shown
    assert redacted(shown) == shown
    assert hidden({"callback_url": [text]}) == {"callback_url": [shown]}


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:9/me@example.com",
        "http://127.0.0.1:9?mail=me@example.com&job=7",
        "http://[::1]:8000/me@example.com",
        f"{HOOK}?Expires=1700000000&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host",
        f"{HOOK}?x-oss-process=image%2Fresize&keyword=a%20cat&author=me&design=3",
        f"{HOOK}?token=&sig",
        f"{HOOK}?cb=http%253A%252F%252Fexample.org%252F&share=100%25",
        "is a = b? yes; c = d @ e",
    ],
)
def test_what_proves_nothing_stays(text: str) -> None:
    """People must recognise their own hook."""
    assert redacted(text) == text


@pytest.mark.parametrize(
    "name",
    [
        *("token", "access_token", "accessToken", "X-Amz-Security-Token", "key", "apikey", "api-key", "AWSAccessKeyId"),
        *("OSSAccessKeyId", "Key-Pair-Id", "secret", "wsSecret", "Signature", "X-Amz-Signature", "x-oss-signature"),
        *("sig", "sign", "auth", "auth_key", "authorization", "password", "passwd", "pwd", "X-Amz-Credential", "hmac"),
        *("jwt", "code", "sid", "sessionId", "q-ak", "x-api-key", "cookie"),
    ],
)
def test_names_that_say_that_their_value_proves_something(name: str) -> None:
    """As clouds, content networks and frameworks call them."""
    assert names_credential(name)
    assert redacted(f"{HOOK}?{name}=abc&job=7") == f"{HOOK}?{name}=<credential>&job=7"
    assert redacted_query(f"{name}=abc&job=7") == f"{name}=<credential>&job=7"


def test_keys_of_a_document_that_say_that_their_value_is_a_secret() -> None:
    """A client that puts its key into the body finds it nowhere; codes and counts of tokens are left alone."""
    secrets = dict.fromkeys(("api_key", "apiKey", "secretKey", "client-secret", "access_token"), "alpha-bravo-charlie")
    plain = {"code": "InvalidParameter", "key": "a-key-of-a-table", "max_tokens": 4096, "sign": "of-the-zodiac"}
    assert hidden({"body": secrets}) == {"body": dict.fromkeys(secrets, "<credential>")}
    assert hidden(plain) == plain


@pytest.mark.parametrize("name", ["keyword", "monkey", "author", "design", "assigned", "passenger", "barcode", "job"])
def test_names_that_only_look_alike(name: str) -> None:
    """A part of a word is none."""
    assert not names_credential(name)


def test_a_message_shows_no_credential() -> None:
    """A value that a rule refuses is told in its message."""
    assert show("https://me:word@a.example/?key=abc") == "https://<credential>@a.example/?key=<credential>"


@given(st.text(st.sampled_from("ab:@/?#&;=% \\"), max_size=40))
def test_striking_out_twice_is_striking_out_once(text: str) -> None:
    """What is written down has passed here more than once."""
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize("part", ["//a:x", "?a=", "//", "&a=b@", "//a@"])
def test_no_text_takes_long(part: str) -> None:
    """A megabyte of it, in a moment."""
    before = time.perf_counter()
    redacted(part * (1_000_000 // len(part)))
    assert time.perf_counter() - before < 10
