"""Changes of what a mock does: each function makes one, for `Mutant.how`."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import Any

from msgspec.structs import replace

from kling_mock.core.calls import Call
from kling_mock.core.model import Account, Delivery, Found, Moment, Request, Wire
from kling_mock.server.accounts import Caller
from kling_mock.server.mock import Mock
from tests.contract.breaking import Change, replies

# Replies


def once(edit: Any, *roles: str, after: int = 0) -> Change:
    """A mock that edits replies from the nth of an account's on."""

    def change(mock: Mock) -> None:
        seen: dict[str, int] = {}

        def edited(document: Any, call: Call) -> Any:
            owner = call.account.id if call.account else ""
            seen[owner] = seen.get(owner, 0) + 1
            return edit(document, seen[owner]) if seen[owner] > after else document

        replies(edited, *roles)(mock)

    return change


def shown(name: str, value: Any, *, roles: tuple[str, ...] = ("query",), after: int = 0) -> Change:
    """A mock that shows another value of a task; a function gets the old one and which reply it is."""

    def edit(document: Any, count: int) -> Any:
        task = document["data"]
        task[name] = value(task.get(name), count) if callable(value) else value
        return document

    return once(edit, *roles, after=after)


def while_ended(**members: Any) -> Change:
    """A mock that shows other members of a task that has ended, after the first time."""
    ended: set[str] = set()

    def edit(document: Any, call: Call) -> Any:
        task = document["data"]
        if task["task_status"] in ("succeed", "failed"):
            if task["task_id"] in ended:
                task.update(members)
            ended.add(task["task_id"])
        return document

    return replies(edit, "query")


def of_state(state: str, **members: Any) -> Change:
    """A mock that shows other members of a task in one state."""

    def edit(document: Any, call: Call) -> Any:
        if document["data"]["task_status"] == state:
            document["data"].update(members)
        return document

    return replies(edit, "query")


def files(change: Any) -> Change:
    """A mock that shows other addresses of files."""

    def edit(document: Any, count: int) -> Any:
        for file in document["data"].get("task_result", {}).get("videos", ()):
            file["url"] = change(file["url"], count)
        return document

    return once(edit, "query")


def pages(change: Any) -> Change:
    """A mock whose lists are changed."""
    return replies(lambda document, call: {**document, "data": change(document["data"])}, "list")


def instead(wire: Any, *roles: str, failing: bool = False) -> Change:
    """A mock that answers something else."""
    return replies(lambda document, call: wire, *roles, failing=failing)


def cut(role: str, only: int | None = None) -> Change:
    """A mock that closes the connection in place of an answer, each time or only the nth of an account's."""
    lost = Delivery(cut_at=0)
    return once(
        lambda document, count: lambda wire: replace(wire, delivery=lost) if only in (None, count) else wire, role
    )


def allowing(value: str | None) -> Change:
    """A mock whose Allow header is another one, or none."""

    def change(mock: Mock) -> None:
        finish = mock.finish

        def finished(prepared: Any, facts: Any) -> Wire:
            wire = finish(prepared, facts)
            headers = {name: text for name, text in wire.headers.items() if name != "Allow"}
            return replace(
                wire, headers=headers if value is None or "Allow" not in wire.headers else {**headers, "Allow": value}
            )

        mock.finish = finished  # type: ignore[method-assign]

    return change


def accepting(situation: str) -> Change:
    """A mock that creates a task in spite of one violation of a body."""

    def change(mock: Mock) -> None:
        prepare = mock.prepare

        def prepared(request: Request) -> Any:
            found = prepare(request)
            if not any(row.situation == situation for row in found.call.violations):
                return found
            job = {"image": "https://example.com/first.png", "prompt": "dusk"}
            return replace(found, call=replace(found.call, document=job, violations=()))

        mock.prepare = prepared  # type: ignore[method-assign]

    return change


def asked(of: str = "GET", **members: str) -> Change:
    """A mock that takes requests of one method for others."""

    def change(mock: Mock) -> None:
        prepare = mock.prepare
        mock.prepare = lambda request: prepare(  # type: ignore[method-assign]
            replace(request, **members) if request.method == of else request
        )

    return change


def remembered(mock: Mock) -> None:
    """A mock that answers every create of an account with the first answer."""
    first: dict[str, Any] = {}
    replies(lambda document, call: first.setdefault(call.account.id, document), "create")(mock)


# Callers, tasks and money


def welcoming(*situations: str) -> Change:
    """A mock that takes credentials which are wrong in one of these ways for its default account's."""

    def change(mock: Mock) -> None:
        identify = mock.accounts.identify

        def identified(provider: Any, operation: Any, request: Request) -> Caller:
            caller = identify(provider, operation, request)
            if caller.violation and caller.violation.situation in situations:
                return Caller(mock.accounts.defaults[provider.name])
            return caller

        mock.accounts.identify = identified  # type: ignore[method-assign]

    return change


def refusing(mock: Mock) -> None:
    """A mock that never finds the credential that it is shown."""
    identify = mock.accounts.identify
    mock.accounts.identify = lambda provider, operation, request: identify(  # type: ignore[method-assign]
        provider, operation, replace(request, headers={})
    )


def finding(change_found: Any) -> Change:
    """A mock that finds something else in its store."""

    def change(mock: Mock) -> None:
        decide = mock.store.decide

        def decided(reads: Any, provider: str, account: Account | None, claimed: Any, wall: int, step: Any) -> Any:
            given = lambda found: step(change_found(mock, reads, found))  # noqa: E731
            return decide(reads, provider, account, claimed, wall, given)

        mock.store.decide = decided  # type: ignore[method-assign]

    return change


def finished_found(mock: Mock, reads: Any, found: Found) -> Found:
    ended = {id_: replace(task, timeline=(Moment(task.created, "succeed"),)) for id_, task in found.tasks.items()}
    return replace(found, tasks=ended) if reads.balances else found


def anybodys_found(mock: Mock, reads: Any, found: Found) -> Found:
    known = {id_: mock.store.task("kling", id_) for id_ in reads.tasks}
    return replace(found, tasks={id_: task for id_, task in known.items() if task is not None})


def all_found(mock: Mock, reads: Any, found: Found) -> Found:
    if reads.page is None:
        return found
    return replace(found, page=tuple(sorted(mock.store.tasks(found.owner), key=lambda task: -task.created)))


def remaining(cost: Any) -> Change:
    """A mock whose packs hold something else; `cost` gets the account's tasks."""

    def change(mock: Mock) -> None:
        def edit(document: Any, call: Call) -> Any:
            tasks = list(mock.store.tasks(call.account.id))  # type: ignore[union-attr]
            for row in document["data"]["resource_pack_subscribe_infos"]:
                row["remaining_quantity"] = cost(row, tasks)
            return document

        replies(edit, "balance")(mock)

    return change


# Webhooks


def by_default(scenario: str) -> Change:
    """A mock all of whose accounts have a scenario."""

    def change(mock: Mock) -> None:
        register = mock.accounts.register
        mock.accounts.register = lambda provider, packs, slots, chosen, variant=None: register(  # type: ignore[method-assign]
            provider, packs, slots, chosen or scenario, variant
        )

    return change


def told_twice(mock: Mock) -> None:
    """A mock that tells each state twice, under two ids."""
    sent = mock.webhooks._sent

    def twice(provider: Any, words: Any, task: Any, lease: Any) -> Any:
        sent(provider, words, task, replace(lease, webhook=replace(lease.webhook, id="another")))
        return sent(provider, words, task, lease)

    mock.webhooks._sent = twice  # type: ignore[method-assign]


def signed_otherwise(mock: Mock) -> None:
    """A mock that signs another body than it sends."""
    signed = mock.webhooks._signed
    mock.webhooks._signed = lambda words, lease, wall, body: signed(words, lease, wall, body + b" ")  # type: ignore[method-assign]


def told_by_put(mock: Mock) -> None:
    """A mock whose webhooks are no POSTs."""
    sent = mock.webhooks._sent
    mock.webhooks._sent = lambda provider, words, *rest: sent(provider, changed(words, method="PUT"), *rest)  # type: ignore[method-assign]


def told_nothing(mock: Mock) -> None:
    """A mock whose webhooks go nowhere."""
    mock.webhooks._sent = lambda provider, words, task, lease: replace(lease.webhook, outcome="delivered")  # type: ignore[method-assign]
