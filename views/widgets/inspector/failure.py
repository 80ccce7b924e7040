"""Why an event failed, above its body: the reason, what it was thrown by, where it came from, and its stack trace."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from views.widgets.inspector.facts import fact_condition, fact_path, fact_text
from views.widgets.inspector.listing import Line, Listing
from views.widgets.inspector.page import NOTHING_HERE, Piece, find_text
from views.widgets.inspector.wrapping import rows_of
from workbench.decode.display import cells, visible
from workbench.facts.facts import Fact, Facts, Kind
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.wording import quantity
from workbench.query.condition import Condition

_TITLE = "Why it failed"
_INDENT = 2
_TO_SECONDS = len("2026-11-25 10:03:22")
_BETWEEN = " · "
_ASKED_FOR: Final[Sequence[Kind]] = ("failure.type", "origin.topic", "origin.queue", "origin.exchange", "attempts")
"""Of which of the facts in a line a filter is made, best first."""


class _Said(NamedTuple):
    """One of the lines: how it is drawn, its text, and the fact it is about."""

    look: str
    text: str
    fact: Fact | None


def failure_of(facts: Facts, event: Event, dead_letter: bool) -> "Failure | None":
    """The lines that say why an event failed; None where nothing says that it did.

    Args:
        facts: What the conventions say of it.
        event: As it may be seen.
        dead_letter: Whether it is known to have failed, by where it was seen.
    """
    failure = facts.failure
    if failure is not None and (failure.reason or failure.type or failure.stack):
        return Failure(failure.convention, facts, event)
    return Failure("", facts, event) if dead_letter else None


class Failure(Listing):
    """Why an event failed, as one convention says; where none does, that it is not known."""

    def __init__(self, convention: str, facts: Facts, event: Event) -> None:
        super().__init__(_TITLE)
        self._convention = convention
        self._event = event

        def first(*kinds: Kind, by: str | None = convention) -> Fact | None:
            said = (fact for kind in kinds for fact in facts.found if fact.kind == kind)
            return next((fact for fact in said if by is None or fact.convention == by), None)

        thrown, stack = first("failure.type"), first("failure.stack")
        reason = first("failure.reason") or thrown
        about = [*_about(first, facts, None if reason is thrown else thrown)]
        self._lines = [_Said("dead", reason.value, reason)] if reason is not None else []
        if not convention:
            self._lines.append(_Said("", "Nothing in this event says why.", None))
        if about:
            facts_about = {fact.kind: fact for _, fact in about}
            main = next((facts_about[kind] for kind in _ASKED_FOR if kind in facts_about), about[0][1])
            self._lines.append(_Said("dim", _BETWEEN.join(text for text, _ in about), main))
        self._trace: Sequence[str] = ()
        if stack is not None:
            self._trace = stack.value.replace("\t", "    ").splitlines()
            self._lines.append(_Said("dim", "\n".join(self._trace), stack))
        self._stack = stack
        self._text = "\n".join(said.text for said in self._lines)
        self.cursor = 1

    @property
    def keys(self) -> int:
        return len(self._lines)

    @property
    def length(self) -> int:
        """How many places there are."""
        return len(self._text) + 1

    def _begin(self, key: int) -> int:
        return sum(len(said.text) + 1 for said in self._lines[:key])

    def row(self, number: int) -> Sequence[Piece]:
        if number:
            return super().row(number)
        convention = visible(self._convention)
        room = self._width - cells(convention) - 1
        if room < len(_TITLE) + 1:
            return [Piece(_TITLE, "heading")]
        return [Piece(_TITLE, "heading", width=room), Piece(convention, "dim")]

    def line(self, key: int, width: int) -> Line:
        said = self._lines[key]
        margin = Piece(" " * _INDENT)
        if said.fact is self._stack and self._stack is not None:
            title = f"stack trace  {quantity(len(self._trace), 'line')} "
            # What it says is made by `unfolded`.
            return Line([margin], folded=[margin, Piece(title, "dim"), Piece("▸", "sign")])
        count = f"{len(said.text):,} characters"
        begin = self._begin(key)
        if said.fact is not None and said.fact.kind == "failure.type" and said.look == "dim":
            # What was thrown stands out from what is known of it.
            thrown, between, rest = said.text.partition(_BETWEEN)
            told = [Piece(thrown, "", begin), Piece(between + rest, "dim", begin + len(thrown))]
            return Line([margin, *told], _INDENT, count)
        return Line([margin, Piece(said.text, said.look, begin)], _INDENT, count)

    def unfold(self, key: int, width: int) -> Iterator[list[Piece]]:
        if self._lines[key].fact is not self._stack or self._stack is None:
            yield from super().unfold(key, width)
            return
        yield [Piece(" " * _INDENT), Piece("stack trace ", "dim"), Piece("▾", "sign")]
        place = self._begin(key)
        for line in self._trace:
            margin = Piece(" " * (_INDENT + 2))
            yield from rows_of([margin, Piece(line, "", place)], width, _INDENT + 6)
            place += len(line) + 1

    def text_to_copy(self, number: int) -> str:
        key = self._key_at(number)
        if key is None:
            return self._text
        said = self._lines[key]
        return self._stack.value if self._stack is not None and said.fact is self._stack else said.text

    def _fact(self, number: int) -> Fact:
        fact = self._lines[self._key_at(number) or 0].fact if self._lines else None
        if fact is None:
            raise FormatError(NOTHING_HERE)
        return fact

    def path(self, number: int) -> str:
        return fact_path(self._fact(number), self._event)

    def condition(self, number: int) -> Condition:
        """The condition for what comes first in the line."""
        return fact_condition(self._fact(number), self._event)

    def places(self, text: str) -> Sequence[int]:
        return find_text(text, self._text)

    def row_of(self, place: int) -> int | None:
        key = 0
        while key + 1 < len(self._lines) and self._begin(key + 1) <= place:
            key += 1
        return self.row_at(key, place)

    def place_of(self, number: int) -> int:
        key = self._key_at(number)
        return 0 if key is None else self._begin(key)


def _about(first: Callable[..., Fact | None], facts: Facts, thrown: Fact | None) -> Iterator[tuple[str, Fact]]:
    """What is said besides the reason: a text, and the fact it is about."""
    anywhere = partial(first, by=None)
    if thrown is not None:
        yield thrown.value.rpartition(".")[2] or thrown.value, thrown
    attempts = first("attempts") or anywhere("attempts")
    if attempts is not None:
        yield f"attempt {attempts.value}", attempts
    origin = facts.origin
    if origin is not None:
        of = partial(first, by=origin.convention)
        place = of("origin.topic", "origin.queue")
        position = f"{origin.partition or ''}:{origin.offset}".lstrip(":") if origin.offset else origin.partition or ""
        via = [f"exchange {origin.exchange}"] if origin.exchange else []
        via += [f"key {origin.key}"] if origin.key else []
        if place is not None:
            yield f"from {place.value} {position}".rstrip() + (f" ({', '.join(via)})" if via else ""), place
        elif (exchange := of("origin.exchange", "origin.key")) is not None:
            yield f"from {', '.join(via)}", exchange
        if (group := of("origin.group")) is not None:
            yield f"group {group.value}", group
    time = first("failure.time")
    if time is not None:
        # The title says which zone it is.
        yield fact_text(time)[:_TO_SECONDS], time
