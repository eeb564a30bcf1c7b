"""What each endpoint of the control API answers, by operationId; the shapes are those of control.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from flask import Response, request
from msgspec import to_builtins

from kling_mock import __version__
from kling_mock.core.capabilities import Capabilities, Cell
from kling_mock.core.hiding import hidden
from kling_mock.core.model import Account, Task
from kling_mock.core.problems import closest
from kling_mock.core.provider import Provider
from kling_mock.core.showing import results
from kling_mock.payloads import CannotJudge, Judge
from kling_mock.server import control_money, control_webhooks, steering
from kling_mock.server.addresses import MEDIA
from kling_mock.server.control_document import JSON, Given, document, endpoints
from kling_mock.server.control_money import number, pack
from kling_mock.server.media_routes import media
from kling_mock.server.mock import Mock
from kling_mock.server.problem_details import Problem, reply

ACCOUNT, PROVIDER, STATE = "query/account", "query/provider", "query/state"


# The server


def index(mock: Mock, given: Given) -> Response:
    """GET /_mock: a program gets JSON, a browser a text to read."""
    rows = [{"method": row.method, "path": row.path, "summary": row.summary} for row in endpoints()]
    if request.accept_mimetypes.best_match((JSON, "text/plain", "text/html"), JSON) == JSON:
        return reply({"endpoints": rows, "document": "/_mock/openapi.json"})
    longest = max(len(row["path"]) for row in rows)
    lines = [f"{row['method']:6} {row['path']:{longest}}  {row['summary']}\n" for row in rows]
    return Response("".join(lines), 200, {"Cache-Control": "no-store"}, content_type="text/plain; charset=utf-8")


def health(mock: Mock, given: Given) -> Response:
    """GET /_mock/health"""
    return reply({"status": "ok", "version": __version__, "providers": list(mock.providers)})


def described(mock: Mock, given: Given) -> Response:
    """GET /_mock/openapi.json"""
    return reply(document().node)


def providers(mock: Mock, given: Given) -> Response:
    """GET /_mock/providers"""
    return reply({"providers": [_provider(provider) for provider in mock.providers.values()]})


def _provider(provider: Provider) -> dict[str, Any]:
    variables = {name: row.variable for name, row in provider.credentials.items() if row.variable}
    return {
        "name": provider.name,
        "title": provider.title,
        "version": provider.version,
        "digest": provider.digest,
        "default": provider.default,
        "environment": {"base_url": provider.base_url_variable} | variables,
        "hosts": sorted(provider.hosts),
        "variants": list(provider.variants),
        "states": list(provider.lifecycle.states),
        "operations": [
            {"id": row.id, "method": row.method, "path": row.path, "role": row.role}
            for row in provider.operations.values()
        ],
        "scenarios": [{"name": row.name, "shows": row.shows} for row in provider.scenarios.values()],
        "evidence": dict(provider.evidence),
    }


def capabilities(mock: Mock, given: Given) -> Response:
    """GET /_mock/providers/{name}/capabilities"""
    name = given.path["name"]
    if name not in mock.providers:
        raise Problem(404, f"there is no provider {steering.cut(name)!r}{closest(steering.cut(name), mock.providers)}")
    table = mock.providers[name].capabilities
    if table is None:
        raise Problem(404, f"{name} has no capability table: what works with which model is not known")
    return reply(_capabilities(table))


def _capabilities(table: Capabilities) -> dict[str, Any]:
    return {
        "features": {
            row.name: {
                "called": row.called,
                "field": row.field,
                "kinds": sorted(row.kinds),
                "severity": row.severity,
                "evidence": dict(row.evidence),
            }
            for row in table.features.values()
        },
        "matrix": {
            model: {mode: {name: _cell(cell) for name, cell in cells.items()} for mode, cells in modes.items()}
            for model, modes in table.matrix.items()
        },
        "evidence": dict(table.evidence),
    }


def _cell(cell: Cell) -> Any:
    """A cell as the documents write it."""
    if cell.seconds is None:
        return "undocumented"
    first_and_last = isinstance(cell.seconds, tuple)
    seconds = dict(zip(("from", "to"), cell.seconds, strict=True)) if first_and_last else sorted(cell.seconds)
    return {"seconds": seconds, "without": list(cell.without)} if cell.without else seconds


def judged(mock: Mock, given: Given) -> Response:
    """POST /_mock/judge: nothing is created, counted or written down."""
    asked = given.body
    if "provider" in asked:
        steering.provider(mock, asked["provider"], "/provider")
    try:
        verdict = Judge(mock.providers)(asked["body"], asked.get("provider"), asked.get("operation"), parsed=True)
    except CannotJudge as error:
        raise Problem(422, errors=[("/operation" if "operation" in asked else "/body", str(error))]) from None
    return reply(verdict.as_json())


def journal(mock: Mock, given: Given) -> Response:
    """GET /_mock/journal"""
    account, provider = _filters(mock, given)
    return reply({"exchanges": list(mock.exchanges(account, provider))})


def reset(mock: Mock, given: Given) -> Response:
    """POST /_mock/reset"""
    account = given.body.get("account")
    return reply({"reset": {"account": account, "tasks": steering.reset(mock, account)}})


def _filters(mock: Mock, given: Given) -> tuple[str | None, str | None]:
    """The account and the provider of the query; a misspelt one is refused, since it would look like nothing."""
    account, provider = given.query.get("account"), given.query.get("provider")
    if account is not None:
        steering.account(mock, account, ACCOUNT)
    if provider is not None:
        steering.provider(mock, provider, PROVIDER)
    return account, provider


# Accounts


def accounts(mock: Mock, given: Given) -> Response:
    """GET /_mock/accounts"""
    return reply({"accounts": [_account(mock, account, given.url) for account in mock.accounts.all()]})


def register(mock: Mock, given: Given) -> Response:
    """POST /_mock/accounts"""
    asked = given.body
    slots = int(asked["slots"]) if "slots" in asked else None
    chosen = {name: asked.get(name) for name in ("packs", "scenario", "variant")}
    account = steering.register(mock, asked["provider"], slots=slots, **chosen)
    return reply(_account(mock, account, given.url), 201, {"Location": f"/_mock/accounts/{quote(account.id, safe='')}"})


def account(mock: Mock, given: Given) -> Response:
    """GET /_mock/accounts/{id}"""
    return reply(_account(mock, steering.account(mock, given.path["id"], why="missing"), given.url))


def change_account(mock: Mock, given: Given) -> Response:
    """PATCH /_mock/accounts/{id}"""
    return reply(_account(mock, steering.change_account(mock, given.path["id"], given.body), given.url))


def _account(mock: Mock, account: Account, url: str) -> dict[str, Any]:
    found = steering.holdings(mock, account)
    return {
        "id": account.id,
        "provider": account.provider,
        "credentials": dict(account.credentials),
        "env": steering.environment(mock, account, url),
        "packs": [pack(mock, account, row, found.now, found.open_slots) for row in found.balances],
        "slots": account.slots,
        "open_slots": sum(found.open_slots.values()),
        "scenario": account.scenario,
        "variant": account.variant,
        "created_at": account.created,
    }


# Tasks


def tasks(mock: Mock, given: Given) -> Response:
    """GET /_mock/tasks"""
    account, provider = _filters(mock, given)
    state = given.query.get("state")
    _check_state(mock, state, [provider] if provider else mock.providers)
    rows = [_row(mock, task) for task in mock.store.tasks(account, provider)]
    return reply({"tasks": [row for row in rows if state in (None, row["state"])]})


def _check_state(mock: Mock, state: str | None, names: Iterable[str]) -> None:
    known = {known for name in names for known in mock.providers[name].lifecycle.states}
    if state is not None and state not in known:
        word = steering.cut(state)
        raise steering.Refused("value", f"there is no state {word!r}{closest(word, known)}", STATE)


def task(mock: Mock, given: Given) -> Response:
    """GET /_mock/tasks/{id}"""
    return reply(_task(mock, steering.task(mock, given.path["id"]), given.url))


def force(mock: Mock, given: Given) -> Response:
    """POST /_mock/tasks/{id}/state"""
    asked = given.body
    jump = asked.get("break", False)
    changed = steering.force_state(mock, given.path["id"], asked["state"], asked.get("reason"), jump)
    return reply(_task(mock, changed, given.url))


def _row(mock: Mock, task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "provider": task.provider,
        "account": task.account,
        "kind": task.kind,
        "state": steering.view(mock, task).state,
        "created_at": task.created,
        "timeline": [{"at": moment.at, "state": moment.state} for moment in task.timeline],
    }


def _task(mock: Mock, task: Task, url: str) -> dict[str, Any]:
    return _row(mock, task) | {
        "alias": hidden(task.alias),
        "scenario": task.scenario,
        "variant": task.variant,
        "parameters": hidden(task.parameters),
        "price": None if task.price is None else number(task.price),
        "reason": hidden(task.reason),
        "result": _result(mock, task, url),
    }


def _result(mock: Mock, task: Task, url: str) -> dict[str, Any] | None:
    if task.result is None:
        return None
    made: dict[str, Any] = to_builtins(task.result)
    del made["id"]
    files = results(task, url + MEDIA) if steering.view(mock, task).ends == "success" else []
    return made | {"files": [{key: row[key] for key in ("url", "watermarked", "cover")} for row in files]}


# Time


def clock(mock: Mock, given: Given) -> Response:
    """GET /_mock/clock"""
    return reply(to_builtins(steering.clock(mock, given.query.get("account"), ACCOUNT)))


def change_clock(mock: Mock, given: Given) -> Response:
    """POST /_mock/clock: exactly one of the changes is there, as the schema says."""
    asked = dict(given.body)
    owner = asked.pop("account", None)
    [(what, value)] = asked.items()
    return reply(to_builtins(CHANGES[what](mock, value, owner)))


CHANGES: Mapping[str, Callable[[Mock, Any, str | None], steering.Clock]] = {
    "advance": steering.advance,
    "set": steering.set_time,
    "speed": steering.run,
    "freeze": lambda mock, _, owner: steering.run(mock, 0, owner),
    "resume": lambda mock, _, owner: steering.resume(mock, owner),
}

VIEWS: Mapping[str, Callable[[Mock, Given], Response]] = {
    "getIndex": index,
    "getHealth": health,
    "getControlDocument": described,
    "listProviders": providers,
    "getCapabilities": capabilities,
    "judgePayload": judged,
    "readJournal": journal,
    "reset": reset,
    "listAccounts": accounts,
    "registerAccount": register,
    "getAccount": account,
    "changeAccount": change_account,
    "getLedger": control_money.ledger,
    "getReport": control_money.report,
    "listTasks": tasks,
    "getTask": task,
    "forceState": force,
    "getMedia": media,
    "getClock": clock,
    "changeClock": change_clock,
    **control_webhooks.VIEWS,
}
