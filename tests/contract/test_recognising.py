"""Which error of the catalogue a reply is, told from its status and body alone."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from kling_mock.contract.errors import Catalogue
from kling_mock.core.compiling import compile_provider
from kling_mock.core.provider import Provider
from tests.conftest import AT, PROVIDERS
from tests.contract.recorded import KNOWN
from tests.exchanges import every_provider


def relayed(code: str) -> dict[str, Any]:
    """A relay's error of this code, in words that nobody has heard."""
    return {"error": {"message": "Something else", "type": "rix_api_error", "param": "", "code": code}}


def refusal(message: str, code: int = 1201) -> dict[str, Any]:
    """The vendor's error with this message."""
    return {"code": code, "message": message, "request_id": "id-1"}


@every_provider
def test_every_error_is_told_from_the_others_by_its_answer(provider: Provider) -> None:
    """Rendered with words of a request, an entry is recognised; only what looks just like it is taken for it too."""
    words = {"field": "image_tail", "value": "v 1", "message": "is required", "rule": "r", "pointer": "/image_tail"}
    more = {"parts": 2, "dimensions": "model/mode", "values": "kling-v1/std", "called": "sound on"}
    request = {"id": "id-1", "method": "PATCH", "target": "/x"}
    catalogue = Catalogue(provider)
    for variant in provider.variants:
        scope = {"request": request, "violation": {**words, **more}, "now": AT + 54_321, "variant": variant}
        replies = {name: provider.errors.reply(name, scope) for name in provider.errors.catalogue}
        for name, reply in replies.items():
            alike = [other for other, row in replies.items() if (row.status, row.body) == (reply.status, reply.body)]
            assert name in alike
            assert catalogue.made_by(reply.body, reply.status) == alike


def test_an_answer_that_no_entry_makes_is_no_error(toymaker: Provider) -> None:
    """Another status, another text, a page of a gateway, and an empty body."""
    catalogue = Catalogue(toymaker)
    body: dict[str, Any] = {"ok": False, "slip": {"kind": "no-key", "text": "Show your key"}, "trace": "trace-1"}
    assert catalogue.recognised(body, 401) == ["no-key"]
    assert catalogue.recognised(body, 402) == []
    assert catalogue.recognised({**body, "ok": True}, 401) == []
    assert catalogue.recognised({**body, "ok": 0}, 401) == []
    assert catalogue.recognised("<html></html>", 401) == []
    assert catalogue.recognised(None, 401) == []


def test_a_sentence_is_nobodys_promise() -> None:
    """An entry is known by its codes, whatever it says or whether it says anything; under any status, if asked so."""
    catalogue = Catalogue(PROVIDERS["kling"])
    assert catalogue.coded(refusal("No money", 1102), 429) == ["balance-empty"]
    assert catalogue.coded({"code": 1102}, 429) == ["balance-empty"]
    assert catalogue.coded(refusal("No money", 1102), 200) == []
    assert catalogue.coded(refusal("No money", 1102)) == ["balance-empty"]
    for other in (refusal("No money", 1099), {**refusal("x"), "code": "1102"}, {"message": "x"}, [], "text"):
        assert catalogue.coded(other, 429) == []


def test_a_sentence_needs_no_blank() -> None:
    """Chinese is written without any: another text in it makes no other error."""
    body = {"err_code": -10004, "message": "No money", "message_cn": "余额不足", "message_jp": "残高不足"}
    for question in (Catalogue(PROVIDERS["302ai"]).coded, Catalogue(PROVIDERS["302ai"]).recognised):
        assert question({"error": {**body, "type": "api_error"}}, 402) == ["balance-empty"]


def test_an_entrys_name_is_a_code(toymaker: Provider) -> None:
    """Where the envelope shows it, two entries of one status are told apart by it."""
    body = {"ok": False, "slip": {"kind": "bent-key", "text": "Bent, it seems"}, "trace": "trace-1"}
    assert Catalogue(toymaker).coded(body, 401) == ["bent-key"]


def test_what_an_envelope_writes_for_entries_without_a_code_is_their_code() -> None:
    """An entry that names none has the envelope's own, and is no error with the code of another entry."""
    catalogue = Catalogue(PROVIDERS["rixapi"])
    assert catalogue.coded(relayed("unknown_parameter"), 400) == ["parameter-unknown"]
    assert catalogue.coded(relayed(""), 400) == ["key-refused", "key-missing", "model-unsupported"]
    assert catalogue.coded({"error": {"message": "apikey error", "type": "rix_api_error", "param": ""}}, 400) == []


def test_a_text_that_nobody_says_is_the_only_entry_with_its_codes() -> None:
    """One code, one entry; of several with the same code nobody knows which: our judgement says no such thing."""
    catalogue = Catalogue(PROVIDERS["kling"])
    assert catalogue.recognised(refusal("No money", 1102), 429) == ["balance-empty"]
    assert catalogue.recognised(refusal("image is required"), 400) == ["parameter-invalid"]
    assert catalogue.recognised(refusal("image is being audited"), 400) == []


def test_the_most_specific_entry_is_meant() -> None:
    """Where two fit, it is the one with more text of its own, wherever it stands in the table."""
    documents = deepcopy(dict(KNOWN["kling"].documents))
    table = documents["kling/errors.yaml"]["catalogue"]
    table["mode-invalid"] = {**table["value-invalid"], "message": "mode value '{$violation.value}' is invalid"}
    catalogue = Catalogue(compile_provider(documents, "kling"))
    assert catalogue.made_by(refusal("mode value 'fast' is invalid"), 400) == ["mode-invalid"]
    assert catalogue.made_by(refusal("sound value 'fast' is invalid"), 400) == ["value-invalid"]
