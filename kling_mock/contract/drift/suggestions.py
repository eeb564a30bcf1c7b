"""What would explain a sign of drift: edits of the documents, with what was observed as their evidence.

Whoever edits decides: an edit makes the specs say what was seen, and seeing something once does not make it a rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kling_mock.contract.drift.edits import Edit, added, schema_of
from kling_mock.contract.drift.mending import Evidence, free, mended, slug, why_of
from kling_mock.contract.drift.novelties import LONG_ID, Novelty, general, new_name
from kling_mock.contract.drift.sightings import Word
from kling_mock.contract.drift.signs import Comparison, Sign
from kling_mock.contract.drift.suggestions_of_rules import laxer, stricter
from kling_mock.contract.replies import Misfit
from kling_mock.core.checks_shapes import raw, rows
from kling_mock.core.documents import Place, escape, pointer
from kling_mock.core.redaction import redacted

Suggest = Callable[[Comparison, Sequence[Sign], Evidence], list[Edit]]


def suggestions(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """The edits that would explain a drift, all of whose signs are given; none where only a person can tell."""
    by_kind = SUGGEST.get(signs[0].kind)
    return by_kind(comparison, signs, evidence) if by_kind else []


def _place(signs: Sequence[Sign]) -> Place:
    about: Misfit = signs[0].about
    return about.place


def _field(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """An unknown key: the schema that names its neighbours names it too."""
    place, name = _place(signs), str(signs[0].about.path[-1])
    return [
        added(place.file, f"{place.at}/properties", name, schema_of([s.about.value for s in signs]), why_of(evidence))
    ]


def _by_keyword(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """A value that a keyword of a schema does not allow: the keyword allows it."""
    return mended([sign.about for sign in signs], why_of(evidence))


def _status(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """A status that no response lists: like the first good response, or without a body."""
    place, status = _place(signs), signs[0].about.value
    like: Mapping[str, Any] = next(
        (response.follow().node for code, response in place.items() if code.startswith("2")), {}
    )
    content = {"content": like["content"]} if status // 100 == 2 and "content" in like else {}
    return [added(place.file, place.at, str(status), {"description": "Observed.", **content}, why_of(evidence))]


def _content_type(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """A content type that the response does not have: the known body, if it is JSON all the same, else a text."""
    place, media_type = _place(signs), str(signs[0].key[-1])
    like: Mapping[str, Any] = next((media.node for _, media in place.items()), {})
    documents = any(isinstance(sign.one.reply, dict | list) for sign in signs)
    value = like if documents else {"schema": {"type": "string"}, **({"x-mock-body": ""} if len(like) > 1 else {})}
    return [added(place.file, place.at, media_type, value, why_of(evidence))]


def _error(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """An error that no entry makes: one more entry."""
    new: Novelty = signs[0].about
    table, envelopes = comparison.catalogue.place, list(comparison.catalogue.place.get("envelopes").node)
    envelope = {"envelope": new.envelope} if new.envelope != envelopes[0] else {}
    entry = {"status": signs[0].one.status, **envelope, **new.values, "evidence": dict(evidence)}
    catalogue = table.get("catalogue")
    return [added(catalogue.file, catalogue.at, new_name(comparison.catalogue, new, signs[0].one.status), entry)]


def _error_status(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """A known error under another status: the entry has that one, on this evidence."""
    row = comparison.catalogue.place.get("catalogue").get(str(signs[0].about.like))
    return [
        Edit("replace", row.file, row.at + pointer(["status"]), signs[0].one.status),
        Edit("replace", row.file, f"{row.at}/evidence", dict(evidence)),
    ]


def _envelope(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """An error of another form: its envelope, an entry in it, and the schema of errors that lets it pass."""
    one, table = signs[0].one, comparison.catalogue.place
    values: dict[str, Any] = {}
    envelope = _templated(one.reply, values, one.document)
    envelopes, catalogue = table.get("envelopes"), table.get("catalogue")
    name = free("observed", envelopes.node)
    said = max((value for value in values.values() if isinstance(value, str)), key=len, default="")
    entry = {"status": one.status, "envelope": name, **values, "evidence": dict(evidence)}
    found = [
        added(envelopes.file, envelopes.at, name, envelope, why_of(evidence)),
        added(catalogue.file, catalogue.at, free(slug(said) or f"error-{one.status}", catalogue.node), entry),
    ]
    schema = comparison.judge.schema_of(signs[0].operation, one.status) if signs[0].operation else None
    return found + (_alternative(schema.follow(), [sign.one.reply for sign in signs], evidence) if schema else [])


def _templated(node: Any, values: dict[str, Any], request: Any, name: str = "value") -> Any:
    """A body as an envelope; what an entry would say of it is put into `values`."""
    if isinstance(node, dict):
        return {key: _templated(item, values, request, key) for key, item in node.items()}
    if isinstance(node, str) and LONG_ID.fullmatch(node):
        return "{$request.id}"
    if not isinstance(node, str | int) or isinstance(node, bool):
        return node
    key = free(re.sub(r"[^A-Za-z0-9_-]", "-", redacted(name).replace("status", "state")), values)
    values[key] = general(node, request) if isinstance(node, str) else node
    return f"{{$error.{key}}}"


def _alternative(schema: Place, seen: Sequence[Any], evidence: Evidence) -> list[Edit]:
    """One more form of a body beside those that its schema allows."""
    new = schema_of(seen)
    if "properties" in new:
        new["required"] = [key for key in new["properties"] if all(key in body for body in seen)]
    for word in ("oneOf", "anyOf"):
        if list(rows(raw(schema, word))):
            return [added(schema.file, f"{schema.at}/{word}", "-", new, why_of(evidence))]
    return [Edit("replace", schema.file, schema.at, {"anyOf": [schema.node, new]}, why_of(evidence))]


def _state(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """A word that no state has: a state with it, after the one that was seen before, else after the last but one."""
    lifecycle, place = comparison.provider.lifecycle, comparison.root.get("x-mock-lifecycle")
    word: Word = signs[0].about
    before = next((name for sign in signs for name in sorted(sign.more["before"])), lifecycle.usual[-2:][0])
    row = lifecycle.states[before]
    seen = {other.column: other.value for sign in signs for other in sign.more["words"]}
    name = free(slug(str(word.value)) or "observed", lifecycle.states)
    then = [after for after in row.then if after not in (before, name)] or [lifecycle.usual[-1]]
    value = {"words": {**row.words, **seen, word.column: word.value}, "then": then, "evidence": dict(evidence)}
    states = place.get("states")
    found = [added(states.file, states.at, name, value)]
    return [*found, added(states.file, f"{states.at}/{escape(before)}/then", "-", name, why_of(evidence))]


def _transition(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """A way that there is not: the state that was left leads there. Whether an end is none only a person can tell."""
    before, after = (sorted(states)[0] for states in signs[0].about)
    row = comparison.root.get("x-mock-lifecycle").get("states").get(before)
    return [added(row.file, f"{row.at}/then", "-", after, why_of(evidence))] if "then" in row.node else []


def _path(comparison: Comparison, signs: Sequence[Sign], evidence: Evidence) -> list[Edit]:
    """A call that no operation is: an operation, whose x-mock-* words are left to its author."""
    one, path = signs[0].one, str(signs[0].about)
    bodies = [sign.one.reply for sign in signs if isinstance(sign.one.reply, dict | list)]
    words = [word for part in path.split("/") for word in re.findall(r"[A-Za-z0-9]+", redacted(part)) if part != "{id}"]
    asked = [sign.one.document for sign in signs if isinstance(sign.one.document, dict | list)]
    content = {"content": {"application/json": {"schema": schema_of(bodies)}}} if bodies else {}
    operation: dict[str, Any] = {
        "operationId": one.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)
    }
    operation["summary"] = f"Observed: {why_of(evidence)}."
    if "{id}" in path:
        operation["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    if asked:
        operation["requestBody"] = {"content": {"application/json": {"schema": schema_of(asked)}}}
    operation["responses"] = {str(one.status): {"description": "Observed.", **content}}
    paths = comparison.root.get("paths")
    known = next((name for name in paths.node if re.sub(r"\{[^}]*\}", "{id}", name) == path), None)
    method = {one.method.lower(): operation}
    if known is None:
        return [added(paths.file, paths.at, path, method)]
    return [added(paths.file, f"{paths.at}/{escape(known)}", one.method.lower(), operation)]


SUGGEST: Mapping[str, Suggest] = {
    "unknown-path": _path,
    "unknown-status": _status,
    "unknown-content-type": _content_type,
    "unknown-field": _field,
    "missing-field": _by_keyword,
    "new-value": _by_keyword,
    "wrong-type": _by_keyword,
    "off-bounds": _by_keyword,
    "new-error-text": _error,
    "new-error-code": _error,
    "new-error-status": _error_status,
    "new-error-envelope": _envelope,
    "new-state": _state,
    "illegal-transition": _transition,
    "accepted-though-refused": stricter,
    "refused-though-accepted": laxer,
    "unknown-request-field": _field,
}
