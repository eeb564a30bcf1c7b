"""Rules over the read document and over images: what a plain schema of the request cannot say.

A rule with `kinds` is judged here: a `schema` over the document as read, or a `compare`, one of two closed forms:
numbers that must add up, images that must be of one size. `fact` rules look at one image. A rule whose fields have been
refused already, or are not there, is not judged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from kling_mock.core.documents import Place, tokens
from kling_mock.core.expressions import ABSENT, point, text
from kling_mock.core.model import Violation
from kling_mock.core.schemas import Rule, Schema

Fact = Mapping[str, Any]
ADDRESS: Fact = {"given": "url"}


class Image(Struct, frozen=True):
    """An image of a request: its role, where it stands, and what was measured of it."""

    role: str
    pointer: str
    value: str
    fact: Fact | None


class Compare(Struct, frozen=True):
    """The numbers at `sum` add up to the one at `equals`, or the images in `images` (and `with`) agree in `same`.

    Where the image `with` is not known (a URL), nothing can be held against it.
    """

    sum: str | None = None
    equals: str | None = None
    images: frozenset[str] = frozenset()
    like: str | None = None
    same: tuple[str, ...] = ()
    tolerance: float = 0.0
    when: Schema | None = None

    def broken(self, document: Any, images: Collection[Image]) -> bool:
        """Whether the comparison could be made and fails."""
        if self.when is not None and not self.when.holds(document):
            return False
        return self._adds_up(document) is False if self.sum else self._agree(images) is False

    def _adds_up(self, document: Any) -> bool | None:
        parts = point(document, tokens(self.sum or ""))
        total = _number(point(document, tokens(self.equals or "")))
        numbers = [_number(part) for part in parts] if isinstance(parts, list) else []
        if not numbers or total is None:
            return None
        known = [number for number in numbers if number is not None]
        return sum(known) == total if len(known) == len(numbers) else None

    def _agree(self, images: Collection[Image]) -> bool | None:
        known = self._known(images, self.images)
        if self.like and known:
            whole = self._known(images, {self.like})[:1]
            known = known + whole if whole else []
        if len(known) < 2:
            return None
        return all(
            max(row) - min(row) <= self.tolerance for row in ([fact[name] for fact in known] for name in self.same)
        )

    def _known(self, images: Collection[Image], roles: Collection[str]) -> list[Fact]:
        """The facts of the images in some roles, of those for which all that is compared was measured."""
        facts = (image.fact for image in images if image.role in roles)
        return [
            fact
            for fact in facts
            if isinstance(fact, Mapping) and all(isinstance(fact.get(name), int | float) for name in self.same)
        ]

    def mended(self, document: Any) -> Iterator[tuple[str, float]]:
        """Values that would make the numbers add up, with their pointers: another last number, else another whole."""
        parts, total = point(document, tokens(self.sum or "")), _number(point(document, tokens(self.equals or "")))
        numbers = [number for part in parts if (number := _number(part)) is not None] if isinstance(parts, list) else []
        if not self.sum or not self.equals or total is None or not numbers or len(numbers) < len(parts):
            return
        head, _, rest = self.sum.partition("/*")
        yield f"{head}/{len(numbers) - 1}{rest}", total - sum(numbers[:-1])
        yield self.equals, sum(numbers)


class Judged(Struct, frozen=True):
    """A rule that is judged on the read document, for some kinds of task.

    `reads` are the fields without which it cannot be judged; "" is the whole document.
    """

    rule: Rule
    kinds: frozenset[str]
    schema: Schema | None = None
    compare: Compare | None = None
    reads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        fields = (self.rule.field or "", self.compare.equals if self.compare else None)
        force_setattr(self, "reads", tuple(field for field in fields if field is not None))

    def violation(self, document: Any, images: Collection[Image]) -> Violation | None:
        """The rule's violation, if it is broken."""
        if self.schema is not None:
            broken = not self.schema.holds(document)
        else:
            assert self.compare is not None
            broken = self.compare.broken(document, images)
        if not broken:
            return None
        value = point(document, tokens(self.rule.field or ""))
        return self.rule.violation(self.rule.field or "", "" if value is ABSENT else value)


class Measured(Struct, frozen=True):
    """A rule over each image in some roles; `passes` is whether it holds for an address, not fetched."""

    rule: Rule
    of: frozenset[str]
    schema: Schema
    passes: bool = False

    def __post_init__(self) -> None:
        force_setattr(self, "passes", self.schema.holds(ADDRESS))

    def violations(self, images: Iterable[Image]) -> Iterable[Violation]:
        """One violation per image that breaks the rule."""
        for image in images:
            if image.role not in self.of or not image.fact or (self.passes and image.fact == ADDRESS):
                continue
            if not self.schema.holds(image.fact):
                found = self.rule.violation(image.pointer, image.value)
                values = {"message": found.message, **found.values}  # what a provider says knows nothing of our measure
                yield replace(found, message=f"{found.message}; {seen(image.fact)}", values=values)


def seen(fact: Fact) -> str:
    """What was found to be given as an image, in words."""
    if fact["given"] not in ("base64", "file"):
        words = {"url": "is a URL", "prefixed": "begins with data:", "text": "is neither"}
        return words.get(fact["given"], f"is {fact['given']}")
    size = f"{fact['bytes']} bytes" if "bytes" in fact else "unknown size"
    if "format" not in fact:
        return f"is {'base64 of ' if fact['given'] == 'base64' else ''}{size} that begin like no image"
    if "width" not in fact:
        return f"is a {fact['format']} of {size}"
    return f"is a {fact['format']} of {fact['width']} x {fact['height']} px (ratio {fact['ratio']}), {size}"


def compile_compare(place: Place, when: Schema | None = None) -> Compare:
    """Read a comparison, which counts where the read document fits `when`."""
    node = place.node
    return Compare(
        sum=node.get("sum"),
        equals=node.get("equals"),
        images=frozenset(node.get("images", ())),
        like=node.get("with"),
        same=tuple(node.get("same", ())),
        tolerance=node.get("tolerance", 0.0),
        when=when,
    )


def _number(value: Any) -> float | None:
    try:
        return float(text(value))
    except ValueError:
        return None
