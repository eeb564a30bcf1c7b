"""Broken mocks, each with the check that has to find it: those that have other documents.

What is broken by a change of what the mock does is in `mutants_at_work`.
"""

from __future__ import annotations

from typing import Any

from tests.contract.breaking import GONE, Mutant

I2V = "/paths/~1v1~1videos~1image2video"
USUAL = "createImageToVideo, usual"
TOLD = "createImage, "


def without(*names: str) -> Any:
    """A change that takes rows with one of these texts in them out of a list."""
    return lambda rows: [row for row in rows if not any(name in str(row) for name in names)]


def one(
    check: str, file: str, pointer: str, value: Any, phases: str = "lifecycle", probes: str = USUAL, also: str = ""
) -> Mutant:
    """A mutant by one change of one document."""
    return Mutant(check, phases, ((file, pointer, value),), probes, also)


OTHER_SHAPE: dict[str, Mutant] = {
    "a number for a text": one(
        "schema", "replies", "/query/data/final_unit_deduction", "{$task.price|number}", also="agreement"
    ),
    "a text for a number": one("schema", "replies", "/created/data/created_at", "{$task.created|ms|text}", also="time"),
    "a member is missing": one("schema", "replies", "/query/data/updated_at", GONE),
    "null where a text was promised": one("schema", "replies", "/query/data/task_status_msg", None, also="agreement"),
    "a file without its address": one(
        "schema", "replies", "/query/data/task_result/videos/$value/$as/url", GONE, also="result agreement"
    ),
    "the create does not say which task": one("id", "replies", "/created/data/task_id", GONE, also="schema"),
    "201 in place of 200": Mutant(
        "status",
        "lifecycle",
        (
            (
                "openapi",
                f"{I2V}/post/responses",
                lambda node: {"201" if key == "200" else key: value for key, value in node.items()},
            ),
        ),
        USUAL,
        "id",
    ),
    "an ended task under the status of a running one": Mutant(
        "status",
        "lifecycle",
        (("openapi", "/paths/~1workshop~1order/get/responses/202/x-mock-when/state", ["waiting", "carving", "ready"]),),
        provider="toymaker",
    ),
    "errors in another envelope": one(
        "error",
        "errors",
        "/envelopes/kling",
        {"error": {"code": "{$error.code}"}},
        "errors",
        "task.unknown",
        "reason schema",
    ),
    "an error of another status": one(
        "error", "errors", "/catalogue/task-unknown/status", 410, "errors", "task.unknown", "reason"
    ),
    "an error of a code that nobody documents": one(
        "error", "errors", "/catalogue/parameter-invalid/code", 1299, "rules", "last-frame", "reason"
    ),
}

OTHER_VERDICT: dict[str, Mutant] = {
    "a rule is forgotten": one(
        "refused", "schemas", "/ImageToVideoRequest/allOf", without("last-frame-or-camera"), "rules", "last-frame"
    ),
    "a rule only warns": one("refused", "rules", "/image-is-at-least-300-px/severity", "warning", "rules", "image-is"),
    "a rule of two values is forgotten": one(
        "refused", "rules", "/shots-fill-the-video/severity", "warning", "rules", "shots"
    ),
    "a rule is answered by another error": one(
        "reason", "rules", "/last-frame-or-camera/error", "content-unsafe", "rules", "last-frame"
    ),
    "a warning refuses": one("accepted", "rules", "/model-is-the-old-name/severity", "refused", "rules", "model"),
    "a long prompt is refused": one("accepted", "schemas", "/Prompt/maxLength", 10, "rules", "intelligence"),
    "an example is refused": one("accepted", "schemas", "/Duration/enum", ["5", 5, "", None], "examples", ""),
    "a job that should fail succeeds": Mutant(
        "fails", "rules", (("rules", "/a-photo-fits-the-bench/severity", "warning"),), provider="toymaker"
    ),
    "any model does anything": one(
        "refused", "capabilities", "/features/start_end/kinds", ["images/generations"], "rules", "start_end"
    ),
    "any number is taken": Mutant(
        "refused", "fuzz", (("schemas", "/Order/properties/wind/maximum", GONE),), "orderToy", provider="toymaker"
    ),
    "a value of a list is refused": Mutant(
        "accepted",
        "fuzz",
        (("schemas", "/Order/properties/toy/enum", ["bear", "kite"]),),
        "orderToy",
        provider="toymaker",
    ),
    "an alias is good for two tasks": one(
        "refused", "openapi", f"{I2V}/post/x-mock-task/alias", GONE, "errors", "alias.taken, createImageToVideo"
    ),
    "a page of any size is taken": Mutant(
        "refused",
        "fuzz",
        (("openapi", "/paths/~1workshop~1orders/get/parameters/1/schema/maximum", GONE),),
        "listToys",
        provider="toymaker",
    ),
    "a parent of nobody is taken": Mutant(
        "refused",
        "errors",
        (("openapi", "/paths/~1kling~1v1~1videos~1video-extend/post/x-mock-task/parents", GONE),),
        "task.unknown, extendVideo",
        provider="rixapi",
    ),
}

OTHER_ERROR: dict[str, Mutant] = {
    "no credential is asked for": one("credential", "openapi", f"{I2V}/get/security", [], "errors", "token"),
    "a missing credential is called a wrong one": one(
        "reason", "errors", "/situations/token.missing", "token-invalid", "errors", "token"
    ),
    "an expired token is called a wrong one": one(
        "reason", "errors", "/situations/token.expired", "token-invalid", "errors", "token"
    ),
    "an unknown task has another error": one(
        "reason", "errors", "/situations/task.unknown", "resource-unknown", "errors", "task.unknown"
    ),
    "an unknown path has another error": one(
        "reason", "errors", "/situations/route.path", "resource-unknown", "errors", "route.path"
    ),
    "a wrong method has another error": one(
        "method", "errors", "/situations/route.method", "path-unknown", "errors", "route.method"
    ),
    "500 for what is no JSON": one(
        "reason", "errors", "/situations/body.syntax", "server-error", "errors", "body.syntax"
    ),
    "503 for a media type": one(
        "reason", "errors", "/situations/body.media-type", "server-unavailable", "errors", "body.media"
    ),
    "a taken alias has another error": one(
        "reason", "errors", "/situations/alias.taken", "resource-unknown", "errors", "alias.taken"
    ),
    "a scenario's error never comes": one(
        "reason", "scenarios", "/in-arrears/answers/0/error", "balance-empty", "errors", "in-arrears"
    ),
    "a cancelled task is cancelled again for another reason": Mutant(
        "reason",
        "lifecycle",
        (("errors", "/situations/task.finished", "no-such-ticket"),),
        "cancelToy",
        provider="toymaker",
    ),
}

OTHER_LIFE: dict[str, Mutant] = {
    "a state comes back": Mutant(
        "order",
        "lifecycle",
        (
            ("lifecycle", "/states/carving/then", ["waiting", "ready", "broken", "cancelled"]),
            ("lifecycle", "/usual", ["waiting", "carving", "waiting", "carving", "ready"]),
            ("scenarios", "/backwards/breaks", GONE),
        ),
        "usual",
        provider="toymaker",
    ),
    "a word that nobody knows": one(
        "word", "lifecycle", "/states/processing/words/task_status", "queueing", also="schema"
    ),
    "the query shows another id": one("id", "replies", "/query/data/task_id", "{$task.id}0"),
    "the create shows another id": one("found", "replies", "/created/data/task_id", "{$task.id}0"),
    "the list has another kind": one("found", "openapi", f"{I2V}/get/x-mock-page/kind", "images/generations"),
    "the caller's own id is changed": one(
        "alias", "replies", "/created/data/task_info/external_task_id", "x{$task.alias}"
    ),
    "the caller's own id is lost": one("alias", "replies", "/query/data/task_info", {}),
    "the time of creation is that of the last change": one(
        "time", "replies", "/query/data/created_at", "{$task.changed|ms}", also="agreement"
    ),
    "times in another unit": Mutant(
        "time",
        "lifecycle",
        tuple(("replies", f"/{reply}/order/ordered", "{$task.created|ms}") for reply in ("taken", "shown")),
        "usual",
        provider="toymaker",
    ),
    "two queries tell of two states": Mutant(
        "agreement", "lifecycle", (("replies", "/request/status", "QUEUED"),), "usual", provider="pixazo"
    ),
    "a success without files": one("result", "replies", "/query/data/task_result", GONE),
    "another price": one("money", "pricing", "/video/1/rows/0/5", "3"),
}

OTHER_WEBHOOK: dict[str, Mutant] = {
    "a webhook tells another time": one(
        "agreement", "replies", "/callback/created_at", "{$task.changed|ms}", "webhooks", TOLD
    ),
    "a webhook tells another price": one(
        "agreement", "replies", "/callback/final_unit_deduction", "1000", "webhooks", TOLD
    ),
    "a webhook tells of another task": one("webhook", "replies", "/callback/task_id", "{$task.id}0", "webhooks", TOLD),
    "a webhook lacks a member": one("webhook", "replies", "/callback/task_status", GONE, "webhooks", TOLD),
    "a state is not told": one(
        "webhook", "webhooks", "/callback/states", ["submitted", "succeed", "failed"], "webhooks", TOLD
    ),
    "a webhook is not signed": one(
        "webhook", "webhooks", "/callback/signing/headers/signature", "x-signed", "webhooks", TOLD
    ),
    "a webhook of another content type": one(
        "webhook", "webhooks", "/callback/content_type", "text/plain", "webhooks", TOLD
    ),
}

BY_DOCUMENTS = {**OTHER_SHAPE, **OTHER_VERDICT, **OTHER_ERROR, **OTHER_LIFE, **OTHER_WEBHOOK}
