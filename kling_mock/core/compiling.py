"""Documents in, `Provider` out: the one place where a spec is read, and refused if anything in it is not understood."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from hashlib import sha256
from posixpath import dirname, join, normpath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from kling_mock.core.capabilities import Capabilities, compile_capabilities
from kling_mock.core.documents import Documents, Place, tokens
from kling_mock.core.durations import milliseconds
from kling_mock.core.entropy import check_pattern
from kling_mock.core.errors import ErrorTable, compile_errors
from kling_mock.core.forms import check_forms
from kling_mock.core.lifecycle import Lifecycle, compile_lifecycle
from kling_mock.core.model import Pack
from kling_mock.core.nearness import nearness
from kling_mock.core.operations import compile_operation
from kling_mock.core.problems import Problem, SpecError, closest
from kling_mock.core.provider import Credential, NotJudged, Operation, Provider, Scheme
from kling_mock.core.references import check_references
from kling_mock.core.routes import PARAMETER, Routes, segments
from kling_mock.core.rules import Judged, Measured, compile_compare
from kling_mock.core.scenarios import compile_scenarios
from kling_mock.core.schemas import Rule, Schema, Schemas, check_schema
from kling_mock.core.security import compile_schemes
from kling_mock.core.words import METHODS, check_words

T = TypeVar("T")


def compile_provider(documents: Documents, name: str) -> Provider:
    """Compile the provider whose OpenAPI document is "{name}/openapi.yaml".

    `documents` maps paths to parsed documents and holds everything that is referred to, and "x-mock.schema.json".
    Raises `SpecError` with every problem that could be found.
    """
    file = f"{name}/openapi.yaml"
    if file not in documents:
        raise SpecError([Problem(file, "", "there is no such document")])
    root = Place(documents, file, "", documents[file])
    if not isinstance(root.node, Mapping) or not str(root.node.get("openapi", "")).startswith("3.1"):
        raise root.error("is no OpenAPI 3.1 document")
    if problems := list(check_forms(root)) or check_words(documents, root):
        raise SpecError(problems)
    return _Compiler(documents, name, root).provider()


class _Compiler:
    """Collects the problems of independent parts, so that an author sees them all at once."""

    def __init__(self, documents: Documents, name: str, root: Place) -> None:
        self.documents, self.name, self.root = documents, name, root
        self.problems: list[Problem] = []
        self.reached = reached(documents, name)
        self.schemas = Schemas(self.reached)

    def provider(self) -> Provider:
        root = self.root
        variants = tuple(root.node.get("x-mock-variants", ["default"]))
        none: dict[str, Scheme] = {}
        schemes = self._try(compile_schemes, root, none)
        lifecycle = self._try(compile_lifecycle, root.get("x-mock-lifecycle"), None)
        errors = self._try(compile_errors, root.get("x-mock-errors"), None)
        rules, judged, measured = self._rules()
        capabilities = None
        if "x-mock-capabilities" in root.node:
            capabilities = self._try(self._capabilities, root.get("x-mock-capabilities"), None)
        operations = self._operations(schemes, variants)
        if errors:
            self._check_rules(errors, {role for operation in operations.values() for role in operation.images})
        scenarios = None
        self._check_paths()
        self._check_patterns()
        if lifecycle:
            self._check_states(operations, lifecycle)
            self.problems += check_references(root, lifecycle, variants)
        if lifecycle and errors:
            roles = {operation.role for operation in operations.values()} | {"download"}
            scenarios = compile_scenarios(root.get("x-mock-scenarios"), lifecycle, errors, roles, self.problems)
        if self.problems or lifecycle is None or errors is None or scenarios is None:
            raise SpecError(self.problems)
        credentials = _credentials(root)
        return Provider(
            name=self.name,
            title=root.get("info").get("title").node,
            version=str(root.get("info").get("version").node),
            default=bool(root.node.get("x-mock-default", False)),
            hosts=_hosts(root),
            base_url_variable=root.node["x-mock-environment"]["base_url"],
            credentials=credentials,
            packs=_packs(root),
            variants=variants,
            request_ids=root.node.get("x-mock-request-id", "{uuid}"),
            lifecycle=lifecycle,
            scenarios=scenarios,
            errors=errors,
            operations=operations,
            routes=_routes(operations, bool(root.node.get("x-mock-routing", {}).get("trailing_slash"))),
            judged=judged,
            measured=measured,
            capabilities=capabilities,
            not_judged=_not_judged(root),
            keyword_evidence=root.node.get("x-mock-evidence"),
            rules=rules,
            digest=digest(self.reached),
            evidence=count_evidence(self.documents, self.name),
        )

    def _check_states(self, operations: Mapping[str, Operation], lifecycle: Lifecycle) -> None:
        """Operations may only speak of states that the lifecycle has."""
        for operation in operations.values():
            named = {state for words in operation.replies for state in words.states or ()}
            named |= {state for words in operation.callbacks for state in words.states}
            if operation.task and operation.task.to:
                named.add(operation.task.to)
            place = self.root.get("paths").get(operation.path).get(operation.method.lower())
            for state in sorted(named - set(lifecycle.states)):
                self.problems.append(place.problem(f"unknown state {state!r}{closest(state, lifecycle.states)}"))
            if None not in (states := {words.states for words in operation.replies}):
                missing = set(lifecycle.states) - {state for some in states for state in some or ()}
                if missing:
                    message = f"no 2xx response is for the states {', '.join(sorted(missing))}"
                    self.problems.append(place.get("responses").problem(message))

    def _check_paths(self) -> None:
        """No two paths may differ in the names of their parameters only: one would hide the other."""
        seen: dict[tuple[str, ...], str] = {}
        for path, place in self.root.get("paths").items():
            key = tuple("{}" if PARAMETER.fullmatch(segment) else segment for segment in segments(path))
            if key in seen:
                self.problems.append(place.problem(f"is the same path as {seen[key]}"))
            seen.setdefault(key, path)

    def _check_patterns(self) -> None:
        """Ids of requests and credentials must be drawable."""
        rows = self.root.get("x-mock-accounts").get("credentials").items()
        for place in (self.root.get("x-mock-request-id", "{uuid}"), *(row.get("new") for _, row in rows)):
            if problem := check_pattern(place.node):
                self.problems.append(place.problem(problem))

    def _try(self, compile_: Callable[[Place], T], place: Place, fallback: T) -> T:
        try:
            return compile_(place)
        except SpecError as error:
            self.problems.extend(error.problems)
            return fallback

    def _rules(self) -> tuple[dict[str, Rule], tuple[Judged, ...], tuple[Measured, ...]]:
        """The rules by id, those over the read document, those over images; the others stand in request schemas."""
        named: dict[str, Rule] = {}
        judged: list[Judged] = []
        measured: list[Measured] = []
        for id_, place in self.root.get("x-mock-rules").items():
            if problem := _unreadable(place.get("strike", "")):
                self.problems.append(problem)
                continue
            schema = place.get("compare").get("when", True) if "compare" in place.node else place.get("schema", True)
            try:
                check_schema(schema)
            except SpecError as error:
                self.problems.extend(error.problems)
                continue
            rule = named[id_] = Rule(id_, place.node, nearness(place))
            kinds = frozenset(place.node.get("kinds", ()))
            if "fact" in place.node:
                fact = place.get("fact")
                compiled = self._schema(fact.get("schema"), id_)
                if compiled is not None:
                    measured.append(Measured(rule, frozenset(fact.get("of").node), compiled))
            elif "compare" in place.node:
                compare = place.get("compare")
                when = self._schema(compare.get("when"), id_) if "when" in compare.node else None
                judged.append(Judged(rule, kinds, compare=compile_compare(compare, when)))
            elif kinds:
                judged.append(Judged(rule, kinds, schema=self._schema(place.get("schema"), id_)))
            else:
                schema = place.get("schema")
                self.schemas.rules[f"{schema.file}#{schema.at}"] = rule
        return named, tuple(judged), tuple(measured)

    def _schema(self, place: Place, subject: str) -> Schema | None:
        try:
            return self.schemas.compile(place, subject)
        except SpecError as error:
            self.problems.extend(error.problems)
            return None

    def _capabilities(self, place: Place) -> Capabilities:
        return compile_capabilities(place, self.schemas)

    def _check_rules(self, errors: ErrorTable, roles: Collection[str]) -> None:
        """The error of a rule or feature must be in the catalogue, and the images it speaks of in some operation."""
        features = self.root.get("x-mock-capabilities").get("features")
        for _, place in (*self.root.get("x-mock-rules").items(), *features.items()):
            for role in place.get("fact").get("of").each():
                if role.node not in roles:
                    self.problems.append(role.problem(f"no operation has such an image{closest(role.node, roles)}"))
            for word in ("error", "nowhere"):
                error = place.node.get(word)
                if error is not None and error not in errors.catalogue:
                    message = f"no error {error!r} in the catalogue{closest(error, errors.catalogue)}"
                    self.problems.append(place.get(word).problem(message))

    def _operations(self, schemes: Mapping[str, Scheme], variants: tuple[str, ...]) -> dict[str, Operation]:
        found: dict[str, Operation] = {}
        for path, item in self.root.get("paths").items():
            for method in METHODS:
                if method in item.node:
                    place = item.get(method)
                    try:
                        operation = compile_operation(self.root, path, item, method, self.schemas, schemes, variants)
                    except SpecError as error:
                        self.problems.extend(error.problems)
                        continue
                    if operation.id in found:
                        self.problems.append(place.problem(f"the operationId {operation.id!r} is there twice"))
                    found[operation.id] = operation
        return found


def _unreadable(place: Place) -> Problem | None:
    """What is wrong with a pattern of words, if it is none."""
    try:
        re.compile(place.node)
    except re.error as error:
        return place.problem(f"is no pattern: {error}")
    return None


def _routes(operations: Mapping[str, Operation], trailing_slash: bool) -> Routes[Mapping[str, Operation]]:
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations.values():
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return Routes(by_path.items(), trailing_slash)


def _not_judged(root: Place) -> dict[str, NotJudged]:
    rows = [(name, row.node) for name, row in root.get("x-mock-not-judged").items()]
    return {name: NotJudged(name, node["why"], node.get("field"), tokens(node.get("field", ""))) for name, node in rows}


def _hosts(root: Place) -> frozenset[str]:
    """The host names of `servers`; one with a variable in its host belongs to nobody."""
    hosts = (urlsplit(str(server.node.get("url", ""))).hostname for server in root.get("servers").each())
    return frozenset(host for host in hosts if host and "{" not in host)


def _credentials(root: Place) -> dict[str, Credential]:
    variables = root.node["x-mock-environment"]
    rows = root.get("x-mock-accounts").get("credentials").expand()
    return {name: Credential(name, variables.get(name, ""), row["default"], row["new"]) for name, row in rows.items()}


def _packs(root: Place) -> tuple[Pack, ...]:
    return tuple(_pack(row) for row in root.get("x-mock-accounts").get("packs", []).expand())


def _pack(row: Mapping[str, Any]) -> Pack:
    lasts = milliseconds(row["valid"]) if "valid" in row else None
    return Pack(row["type"], row["unit"], Decimal(str(row["total"])), row.get("name", ""), valid_ms=lasts)


def reached(documents: Documents, name: str) -> dict[str, Any]:
    """The documents of a provider's folder and all that `$ref`s lead to from there."""
    found: dict[str, Any] = {}
    waiting = [file for file in documents if file.startswith(name + "/")]
    while waiting:
        file = waiting.pop()
        if file not in found and file in documents:
            found[file] = documents[file]
            waiting += referred(file, documents[file])
    return found


def referred(file: str, document: Any) -> set[str]:
    """The other files that a document's `$ref`s lead to."""
    return {normpath(join(dirname(file), other)) for other in _files(document)}


def _files(node: Any) -> Iterator[str]:
    """The other files that a document's `$ref`s name."""
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            yield reference.partition("#")[0]
        for value in node.values():
            yield from _files(value)
    elif isinstance(node, list):
        for value in node:
            yield from _files(value)


def digest(documents: Documents) -> str:
    """A digest of documents (16 hex digits); of those reached it tells all that a provider depends on."""
    lines = sorted(f"{file}\0{json.dumps(document, sort_keys=True)}" for file, document in documents.items())
    return sha256("\n".join(lines).encode()).hexdigest()[:16]


def count_evidence(documents: Documents, name: str) -> dict[str, int]:
    """How many entries of a provider's own folder are documented, observed and assumed."""
    counts = {"documented": 0, "observed": 0, "assumed": 0}

    def count(node: Any) -> None:
        if isinstance(node, Mapping):
            kind = node["evidence"].get("kind") if isinstance(node.get("evidence"), Mapping) else None
            if kind in counts:
                counts[kind] += 1
            for value in node.values():
                count(value)
        elif isinstance(node, list):
            for value in node:
                count(value)

    for file, document in documents.items():
        if file.startswith(name + "/"):
            count(document)
    return counts
