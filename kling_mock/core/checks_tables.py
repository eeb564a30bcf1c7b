"""Tables that must agree with the rest of a spec: rules, kinds, prices, capabilities, accounts, scenarios."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from kling_mock.core.checks_requests import bodies, templates
from kling_mock.core.checks_shapes import Shapes, entries, operations, raw, reached, rows
from kling_mock.core.documents import Place, tokens
from kling_mock.core.expressions import text
from kling_mock.core.lifecycle import Lifecycle
from kling_mock.core.problems import Problem, closest
from kling_mock.core.provider import Operation, Provider
from kling_mock.core.scenarios import rows_of

ALGORITHMS = ("HS256", "HS384", "HS512")
CLAIMS = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")


def check_kinds(root: Place) -> Iterator[Problem]:
    """Every kind that is spoken of is one that a create makes."""
    made = {op.get("x-mock-task").node["kind"] for _, _, op in operations(root) if _role(op) == "create"}
    if any("{$" in kind for kind in made):
        return
    for place in _named_kinds(root):
        if isinstance(place.node, str) and "{$" not in place.node and place.node not in made:
            yield place.problem(f"no create makes the kind {place.node!r}{closest(place.node, made)}")


def _role(operation: Place) -> str:
    return str(operation.node.get("x-mock-role"))


def _named_kinds(root: Place) -> Iterator[Place]:
    """Every place where a kind is named."""
    for _, row in (*root.get("x-mock-rules").items(), *features(root)):
        yield from row.get("kinds").each()
    for _, _, operation in operations(root):
        if _role(operation) != "create":
            yield operation.get("x-mock-task").get("kind")
            yield operation.get("x-mock-page").get("kind")
        for parent in operation.get("x-mock-task").get("parents").each():
            yield from parent.get("kinds").each() if isinstance(parent.node, dict) else ()
        for template in templates(operation):
            yield from _conditions(template)


def _conditions(place: Place) -> Iterator[Place]:
    """The kinds in the `$when`s of a template."""
    for key, below in place.items():
        if key == "$when":
            kinds = below.get("kind")
            yield from kinds.each() if isinstance(kinds.node, list) else [kinds]
        else:
            yield from _conditions(below)
    for below in place.each():
        yield from _conditions(below)


def features(root: Place) -> list[tuple[str, Place]]:
    """The features of the capability table."""
    return list(root.get("x-mock-capabilities").get("features").items())


def check_fields(root: Place, shapes: Shapes) -> Iterator[Problem]:
    """Fields that rules, features and what is not judged show must be in a request of their kinds."""
    for _, row in (*root.get("x-mock-rules").items(), *features(root), *root.get("x-mock-not-judged").items()):
        schemas = requests(root, set(row.node.get("kinds", ())))
        for place in _pointers(row):
            found = [shapes.lost([schema], _path(place)) for schema in schemas]
            wrong = [lost for lost in found if lost is not None]
            if wrong and len(wrong) == len(found):
                names = {name for _, some in wrong for name in some}
                message = f"no request has {place.node}: there is no {wrong[0][0]!r}{closest(wrong[0][0], names)}"
                yield place.problem(message)


def _path(place: Place) -> list[str]:
    return [name for name in tokens(place.node) if name != "-"]


def _pointers(row: Place) -> Iterator[Place]:
    """The pointers into a request that a rule, a feature or a restriction names."""
    compare = row.get("compare")
    spots = [raw(row, "field"), raw(compare, "sum"), raw(compare, "equals")]
    spots += [*rows(raw(row, "fields")), *(raw(step, "path") for step in rows(raw(row, "repair")))]
    yield from (spot for spot in spots if isinstance(spot.node, str))


def requests(root: Place, kinds: Collection[str]) -> list[Place]:
    """The request schemas of the creates of these kinds, of all operations if none is named."""
    return [
        schema
        for _, _, op in operations(root)
        if not kinds or (_role(op) == "create" and op.get("x-mock-task").node["kind"] in kinds)
        for schema in bodies(op)
    ]


def check_unused(root: Place) -> Iterator[Problem]:
    """Rules that no request comes by."""
    seen = {(place.file, place.at) for place in reached(requests(root, ()))}
    for id_, rule in root.get("x-mock-rules").items():
        if "schema" in rule.node and "kinds" not in rule.node:
            spots = (raw(rule, "schema"), rule.get("schema"))
            if not any((spot.file, spot.at) in seen for spot in spots):
                yield rule.problem(f"nothing refers to the schema of the rule {id_!r}, and it names no kinds")


def check_prices(root: Place, provider: Provider, shapes: Shapes) -> Iterator[Problem]:
    """Rows of prices for values that no request can have."""
    users: dict[tuple[str, str], list[tuple[Place, Place, Place]]] = {}
    for _, item, operation in operations(root):
        for table in operation.get("x-mock-result").get("price").each():
            users.setdefault((table.file, table.at), []).append((item, operation, table))
    for jobs in users.values():
        table = jobs[0][2]
        known = [_union(jobs_of(jobs), str(name), provider, shapes) for name in table.node["by"]]
        for row in table.get("rows").each():
            for cell, name, words in zip(row.each(), table.node["by"], known, strict=False):
                if words is not None and cell.node not in words:
                    yield cell.problem(f"no request has the {name} {cell.node!r}{closest(cell.node, words - {''})}")


def jobs_of(rows_: Iterable[tuple[Place, Place, Place]]) -> list[tuple[Place, Place]]:
    """The path items and operations of some uses of a table."""
    return [(item, operation) for item, operation, _ in rows_]


def _union(jobs: Iterable[tuple[Place, Place]], name: str, provider: Provider, shapes: Shapes) -> set[str] | None:
    """All values that a parameter of these jobs may have; None if any."""
    found: set[str] = {""}
    for item, operation in jobs:
        words = _words(item, operation, provider.operations[operation.node["operationId"]], name, shapes)
        if words is None:
            return None
        found |= words
    return found


def _words(item: Place, place: Place, operation: Operation, name: str, shapes: Shapes) -> set[str] | None:
    """The values that one parameter of a job may have; None if any."""
    written = {**(item.get("x-mock-parameters").node or {}), **(place.get("x-mock-parameters").node or {})}
    if name not in written:
        return set()
    if name in operation.pointers:
        return shapes.values(bodies(place), tokens(operation.pointers[name]))
    value = written[name]
    return None if "{$" in str(value) else {text(value)}


def check_matrix(root: Place, provider: Provider, shapes: Shapes) -> Iterator[Problem]:
    """Rows of the capability matrix for models and modes that no request can name."""
    jobs = [(item, op) for _, item, op in operations(root) if _role(op) == "create"]
    models, modes = (_union(jobs, name, provider, shapes) for name in ("model", "mode"))
    for model, row in root.get("x-mock-capabilities").get("matrix").items():
        if models is not None and model not in models:
            yield row.problem(f"no request has the model {model!r}{closest(model, models - {''})}")
        for mode, cells in row.items():
            if modes is not None and mode not in {"*", *modes}:
                yield cells.problem(f"no request has the mode {mode!r}{closest(mode, {'*', *modes} - {''})}")


def check_accounts(root: Place) -> Iterator[Problem]:
    """Environment variables and packs that mean two things; tokens signed in ways that nobody can check."""
    yield from _twice(entries(raw(root, "x-mock-environment")), "the environment variable")
    packs = root.get("x-mock-accounts").get("packs").each()
    yield from _twice((("", raw(pack, "type")) for pack in packs), "the pack type")
    for _, scheme in root.get("components").get("securitySchemes").items():
        for way in scheme.get("x-mock-token").each():
            for algorithm in way.get("jwt").get("algorithms").each():
                if algorithm.node not in ALGORITHMS:
                    hint = closest(algorithm.node, ALGORITHMS)
                    yield algorithm.problem(f"the algorithm {algorithm.node!r} is not understood{hint}")
            for claim in way.get("jwt").get("requires").each():
                hint = closest(claim.node, CLAIMS)
                if claim.node not in CLAIMS and hint.startswith("; did"):
                    yield claim.problem(f"tokens have no claim {claim.node!r}{hint}")


def _twice(named: Iterable[tuple[str, Place]], what: str) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for _, place in named:
        if place.node in seen:
            yield place.problem(f"{what} {place.node!r} is there twice, at {seen[place.node]} too")
        seen.setdefault(str(place.node), place.at)


def check_scenarios(root: Place, lifecycle: Lifecycle) -> Iterator[Problem]:
    """A task can be made to fail, with a reason; a reason is only given where a task fails."""
    cancels = {op.get("x-mock-task").node.get("to") for _, _, op in operations(root) if _role(op) == "cancel"}
    failures = {name for name, state in lifecycle.states.items() if state.ends == "failure"}
    place, shown = root.get("x-mock-scenarios"), False
    for row in rows_of(place).values():
        ends = row.node.get("timeline", [None])[-1]
        if ends in failures and "reason" in row.node:
            shown = True
        elif ends in failures - cancels:
            yield row.problem(f"ends in the failure {ends!r} without a reason")
        elif "reason" in row.node:
            yield raw(row, "reason").problem("a reason is never shown: the timeline does not end in a failure")
    if failures - cancels and not shown:
        names = ", ".join(sorted(failures - cancels))
        yield place.problem(f"no scenario ends in a failure ({names}) with a reason")


def check_responses(root: Place) -> Iterator[Problem]:
    """Every operation says what an error looks like."""
    for _, _, operation in operations(root):
        statuses: Mapping[str, object] = operation.get("responses").node or {}
        if not any(status == "default" or status.startswith("4") for status in statuses):
            yield raw(operation, "responses").problem("has no response for errors: `default` or a 4xx status")


def check_texts(root: Place) -> Iterator[Problem]:
    """Texts that callers read must say something."""
    spots: list[tuple[Place, tuple[str, ...]]] = [
        (row, ("message", "reason")) for _, row in root.get("x-mock-rules").items()
    ]
    spots += [(row, ("shows", "reason")) for row in rows_of(root.get("x-mock-scenarios")).values()]
    spots += [(row, ("called",)) for _, row in features(root)]
    spots += [(row, ("why",)) for _, row in root.get("x-mock-not-judged").items()]
    spots += [(row, tuple(row.node)) for _, row in root.get("x-mock-errors").get("catalogue").items()]
    for row, names in spots:
        for name in names:
            place = raw(row, name)
            if isinstance(place.node, str) and not place.node.strip():
                yield place.problem(f"{name!r} is empty")
