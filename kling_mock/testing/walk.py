"""A client's walk through one scenario, over real HTTP: create, look until the end, list, download.

`kling-mock show` prints it, the page of scenarios is made of it, and a test walks every scenario of every provider.
The client is as simple as clients are: it tries a create three times, looks every two seconds, then less often, and
knows nothing of the mock but the clock, which it moves instead of waiting.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
from msgspec import Struct
from msgspec.structs import replace

from kling_mock.contract.receiver import Got, Receiver
from kling_mock.core.calls import Call, spoken
from kling_mock.core.durations import milliseconds
from kling_mock.core.model import Account, Request, Task
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.signing import key, signature
from kling_mock.credentials import credential
from kling_mock.server import steering, steering_webhooks
from kling_mock.server.addresses import MEDIA
from kling_mock.server.serving import Running
from kling_mock.yaml_files import read_yaml

PATIENCE_SECONDS = 1.5
TRIES, LOOKS = 3, 10
EARLY_SECONDS = 0.05
"""How much too early a timer may be."""
MOMENT_SECONDS = 0.5
LONGEST_WAIT = milliseconds("1d")


class Asked(Struct, frozen=True):
    """A call to be made: `path` is a whole URL for a file, which belongs to no operation."""

    role: str
    method: str
    path: str
    headers: Mapping[str, str] = {}
    content: Mapping[str, Any] = {}
    operation: Operation | None = None


class Came(Struct, frozen=True):
    """What came: said in words, with the status, and the document of a reply that is JSON and whole."""

    said: str
    status: int | None = None
    document: Any = None


class Step(Struct, frozen=True):
    """One call of the walk: when (ms since its beginning, on the account's clock), what was asked, what came.

    `state` is the state that the reply showed, as far as a client can read it.
    """

    at: int
    role: str
    method: str
    path: str
    came: str
    status: int | None = None
    state: str | None = None


class Walk(Struct, frozen=True):
    """What a client met: its steps, the tasks that the account has in the end, and what is spent by unit."""

    steps: tuple[Step, ...]
    ids: tuple[str, ...]
    spent: Mapping[str, str]

    @property
    def tasks(self) -> int:
        """How many tasks there are in the end."""
        return len(self.ids)

    def told(self) -> str:
        """The walk in one line: what came of each sort of call, when it was first something else, and the webhooks."""
        parts: list[tuple[str, list[str]]] = []
        last = ""
        for step in (step for step in self.steps if step.role != "webhook"):
            if not parts or parts[-1][0] != step.role:
                parts.append((step.role, []))
                last = ""
            if step.came != last:
                at = f" ({step.at / 1000:g} s)" if step.role == "query" else ""
                parts[-1][1].append(step.came + at)
            last = step.came
        told = [f"{role}: {', then '.join(came)}" for role, came in parts]
        hooks = [step.came for step in self.steps if step.role == "webhook"]
        if hooks:
            early = " (before the answer to the create)" if self.steps[0].role == "webhook" else ""
            told.append(f"webhooks: {hooks[0]}{early}{''.join(f', then {hook}' for hook in hooks[1:])}")
        return "; ".join(told)


class Walker:
    """A client of one provider on a running mock, with an account of its own that has the scenario."""

    def __init__(self, running: Running, provider: Provider, fixtures: Path, scenario: str | None) -> None:
        self._url, self._mock, self._provider = running.url, running.mock, provider
        self._exchanges = Exchanges(provider, fixtures)
        self._account: Account = steering.register(self._mock, provider.name, scenario=scenario)
        steering.run(self._mock, 0, self._account.id)
        self._began = self._now()
        self._steps: list[Step] = []
        self._file = ""
        self._session = requests.Session()
        self._session.trust_env = False
        self._receiver, self._taken = Receiver(), 0
        self._exchanges.callback = self._receiver.url
        self._signing = next((row.signing for op in provider.operations.values() for row in op.callbacks), None)
        if self._signing:
            steering_webhooks.rotate(self._mock, self._account.id)

    def walk(self) -> Walk:
        """Create, look, list, download; take webhooks as they come."""
        with self._session, self._receiver:
            task = self._create()
            if task is not None:
                self._look(task)
                self._list()
                self._download()
        found = steering.holdings(self._mock, self._account)
        spent = {row.pack.unit: str(row.spent) for row in found.balances if row.spent}
        return Walk(tuple(self._steps), tuple(task.id for task in self._tasks()), spent)

    def _now(self) -> int:
        return self._mock.clocks.now(self._account.id)

    def _tasks(self) -> list[Task]:
        return list(self._mock.store.tasks(self._account.id))

    def _create(self) -> Task | None:
        """Try a create until it is answered well; the task is the newest that there is then, told or not."""
        for _ in range(TRIES):
            if self._send(self._exchanges.create(self._account)).state is not None:
                break
            self._pass(2000)
        return next(iter(reversed(self._tasks())), None)

    def _look(self, task: Task) -> None:
        """Ask for the task until two answers in a row show that it has ended; less often in the end."""
        ended = 0
        for number in range(LOOKS):
            step = self._send(self._exchanges.query(self._account, task))
            state = self._provider.lifecycle.states.get(step.state or "")
            ended = ended + 1 if state and state.ends else 0
            if ended == 2:
                break
            self._pass(2000 if number < 4 else self._until_change(task))
        self._pass(60_000)
        self._send(self._exchanges.query(self._account, task))

    def _until_change(self, task: Task) -> int:
        """How long until the task changes, in ms; at most a day."""
        following = steering.view(self._mock, task).following
        left = LONGEST_WAIT if following is None else following - self._now()
        return min(max(2000, left), LONGEST_WAIT)

    def _pass(self, ms: int) -> None:
        steering.advance(self._mock, ms / 1000, self._account.id)
        self._take()

    def _take(self) -> None:
        """Wait for the webhooks that are due now, and write down what came."""
        patience = time.monotonic() + 5
        while self._due() and time.monotonic() < patience:
            time.sleep(0.002)
        self._note(time.perf_counter())

    def _note(self, until: float) -> None:
        """Write down the webhooks that came before a moment."""
        for got in self._receiver.got[self._taken :]:
            if got.at >= until:
                return
            self._taken += 1
            state = self._shown(json.loads(got.body))
            said = f"{state or 'no state that is known'}{self._signature(got)}"
            self._steps.append(Step(self._now() - self._began, "webhook", got.method, got.path, said, None, state))

    def _due(self) -> bool:
        rows = self._mock.store.webhooks(self._account.id)
        return any(row.outcome is None and row.due <= self._now() for row in rows)

    def _signature(self, got: Got) -> str:
        """Whether a webhook is signed by the account's secret."""
        if self._signing is None:
            return ""
        owner = self._mock.accounts.get(self._account.id) or self._account
        sent = got.headers.get(self._signing.signature_header.lower(), "")
        names = (self._signing.id_header, self._signing.timestamp_header)
        id_, seconds = (got.headers.get(name.lower(), "0") for name in names)
        known = {signature(key(self._signing.prefix, row.value), id_, int(seconds), got.body) for row in owner.secrets}
        return " (signed)" if known & set(sent.split()) else " (the signature is wrong)"

    def _list(self) -> None:
        asked = self._exchanges.listing(self._account)
        if asked is not None:
            self._send(asked)

    def _download(self) -> None:
        """Fetch the file that was named last, twice, if one was."""
        for _ in range(2 if self._file else 0):
            self._send(Asked("download", "GET", self._file))

    def _send(self, asked: Asked) -> Step:
        """Send a call and write down what came of it."""
        began = time.perf_counter()
        came = self._came(asked)
        # Whole seconds only: what is late on purpose is late by those, a busy machine by less.
        took, state = int(time.perf_counter() - began + EARLY_SECONDS), None
        if came.document is not None and came.status and came.status < 300:
            state, self._file = self._shown(came.document), self._named(came.document)
        said = came.said or f"{came.status} {state or 'no state that is known'}" + (f" after {took} s" if took else "")
        path = asked.path.removeprefix(self._url)
        # What came long before the answer came first; what came at about the same time is told after it.
        self._note(time.perf_counter() - MOMENT_SECONDS)
        step = Step(self._now() - self._began, asked.role, asked.method, path, said, came.status, state)
        self._steps.append(step)
        self._take()
        return step

    def _shown(self, document: Any) -> str | None:
        """The state that a reply tells of: the one of whose words it holds most, the first of equals."""
        leaves = set(_leaves(document))
        held = {name: len(leaves & _hashable(row.words)) for name, row in self._provider.lifecycle.states.items()}
        best = max(held, key=lambda name: held[name])
        return best if held[best] else None

    def _named(self, document: Any) -> str:
        """The address of the first file that a reply names, or the one that was named before."""
        texts = [value for _, value in _leaves(document) if isinstance(value, str)]
        return next((text for text in texts if text.startswith(f"{self._url}{MEDIA}/")), self._file)

    def _came(self, asked: Asked) -> Came:
        url = asked.path if "://" in asked.path else self._url + asked.path
        try:
            with self._session.request(
                asked.method, url, headers=dict(asked.headers), timeout=PATIENCE_SECONDS, stream=True, **asked.content
            ) as reply:
                return _read(reply)
        except requests.Timeout:
            return Came(f"no answer within {PATIENCE_SECONDS} s")
        except requests.ConnectionError:
            return Came("connection reset, no answer")


def _read(reply: requests.Response) -> Came:
    """Read a reply to its end, if it has one."""
    status, type_ = reply.status_code, reply.headers.get("content-type", "no type").partition(";")[0]
    got = b""
    try:
        for part in reply.iter_content(8):
            got += part
    except requests.RequestException:
        return Came(
            f"{status}, broken off after {len(got)} of {reply.headers.get('content-length', '?')} bytes", status
        )
    try:
        document = json.loads(got) if type_ == "application/json" else None
    except ValueError:
        document = None
    if document is None:
        return Came(f"{status} {type_}" + ("" if got else ", no bytes"), status)
    return Came("" if status < 300 else f"{status} {_sentence(document)}", status, document)


def _sentence(document: Any) -> str:
    """The text of an error: the first that has more than one word."""
    texts = (value for _, value in _leaves(document) if isinstance(value, str))
    return next((text for text in texts if " " in text), "")


def _leaves(node: Any) -> Iterator[Any]:
    """The values of a document with their types; numbers in arrays are left out, they are dates and not words."""
    if isinstance(node, Mapping):
        for value in node.values():
            yield from _leaves(value)
    elif isinstance(node, list):
        for item in node:
            yield from () if isinstance(item, int) else _leaves(item)
    elif node is not None:
        yield (type(node), node)


def _hashable(words: Mapping[str, Any]) -> set[Any]:
    return {(type(value), value) for value in words.values() if value != ""}


class Exchanges:
    """A provider's fixtures as calls of one's own: another account's credential, another task's id."""

    def __init__(self, provider: Provider, folder: Path) -> None:
        self._provider, self._folder = provider, folder
        self.callback = ""
        rows = (read_yaml(path, path.name) for path in sorted(folder.glob("*.yaml")))
        self._known = [(provider.operations[row["operation"]], row["request"]) for row in rows]

    def create(self, account: Account) -> Asked:
        """The first create whose task some query asks for."""
        kinds = {self._kind(operation, asked) for operation, asked in self._known if operation.role == "query"}
        asked = self._asked("create", account, kinds)
        for row in asked.operation.callbacks if asked.operation and self.callback else ():
            where, _, name = row.pointer.rpartition("/")
            if where == "header":
                return replace(asked, headers={**asked.headers, name: self.callback})
            if where == "" and "json" in asked.content:
                return replace(asked, content={"json": {**asked.content["json"], name: self.callback}})
        return asked

    def query(self, account: Account, task: Task) -> Asked:
        """A query for one's own task."""
        return self._asked("query", account, {task.kind}, task)

    def listing(self, account: Account) -> Asked | None:
        """A list, if the provider has one."""
        pages = [operation for operation in self._provider.operations.values() if operation.role == "list"]
        return Asked("list", "GET", pages[0].path, credential(account.credentials, pages[0])) if pages else None

    def _asked(self, role: str, account: Account, kinds: set[str], task: Task | None = None) -> Asked:
        for operation, asked in self._known:
            if operation.role == role and self._kind(operation, asked) in kinds:
                headers = {**asked.get("headers", {}), **credential(account.credentials, operation)}
                path, content = asked["path"], self._content(asked.get("body", {}))
                if task is not None:
                    old = self._old(operation, asked, content)
                    path = path.replace(old, task.id)
                    content = json.loads(json.dumps(content).replace(old, task.id)) if content else {}
                return Asked(role, operation.method, path, headers, content, operation)
        of = f" for {', '.join(sorted(kinds))}" if kinds else ""
        raise LookupError(f"{self._provider.name} has no fixture of a {role}{of} in {self._folder}; put one there")

    def _content(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body as requests takes it."""
        if "file" in body:
            return {"json": json.loads((self._folder / body["file"]).read_bytes())}
        files = {
            name: (Path(file).name, (self._folder / file).read_bytes()) for name, file in body.get("files", {}).items()
        }
        return {"data": body["form"], "files": files} if "form" in body else {}

    def _scope(self, operation: Operation, asked: Mapping[str, Any], document: Any = None) -> dict[str, Any]:
        path, _, query = asked["path"].partition("?")
        found = self._provider.routes.find(path)
        call = Call(
            self._provider,
            Request(asked["method"], path, query),
            operation,
            found[1] if found else {},
            document=document,
        )
        return {"request": spoken(call)}

    def _kind(self, operation: Operation, asked: Mapping[str, Any]) -> str:
        return str(operation.task.kind(self._scope(operation, asked))) if operation.task else ""

    def _old(self, operation: Operation, asked: Mapping[str, Any], content: Mapping[str, Any]) -> str:
        """The id that the fixture asks for."""
        assert operation.task is not None
        assert operation.task.find is not None
        return str(operation.task.find(self._scope(operation, asked, content.get("json"))))
