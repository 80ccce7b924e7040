"""The rows of a trace: lanes side by side with arrows from cause to effect, or, where there is no room, a tree."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from workbench.decode.display import cells, visible
from workbench.model.address import Address
from workbench.operations.saga.paths import Saga
from workbench.operations.saga.words import absence
from workbench.operations.trace import words
from workbench.operations.trace.forest import Step, Trace

TIME: Final = 11
"""Cells of the time, at the left."""
_LEAST: Final = 8
"""Cells of a lane from which on lanes can be told apart."""
_MOST: Final = 24
_LABEL: Final = 20
"""Cells that are kept behind the last lane for what is said of its events."""
_DEEPEST: Final = 10
"""Causes from which on a tree is not moved further to the right."""


class Piece(NamedTuple):
    """A part of a row, and how it looks: a component class of the widget without its prefix."""

    text: str
    look: str


class Missing(NamedTuple):
    """An event that should be there.

    Attributes:
        type: Its type.
        after: Which event it usually follows.
        place: Where it is usually seen, as an address.
        said: That it is missing, for people.
    """

    type: str
    after: int
    place: str
    said: str


def missing_of(found: Trace, saga: Saga | None) -> Missing | None:
    """What is missing in a trace.

    Args:
        found: The trace.
        saga: How it stands beside its usual path; None: that is not known.
    """
    if saga is None or saga.missing is None:
        return None
    came = (number for number, step in enumerate(found.steps) if step.facts.type == saga.after)
    after = min(came, key=lambda number: (found.steps[number].is_dead_letter, found.steps[number].time), default=None)
    return Missing(saga.missing, after, saga.place, absence(saga)) if after is not None else None


class Row(NamedTuple):
    """A row: an event, the time that passes before it, or one that is missing behind it.

    Attributes:
        step: Which event.
        kind: What of it.
    """

    step: int
    kind: Literal["event", "gap", "missing"] = "event"


class TraceRows:
    """The rows of one trace at one width; each is drawn when it is asked for."""

    def __init__(self, found: Trace, width: int, tree: bool, missing: Missing | None = None) -> None:
        """
        Args:
            found: The trace.
            width: Cells that there are.
            tree: Whether a tree is wanted also where lanes have room.
            missing: What should be there and is not; None: nothing.
        """
        self.found: Final = found
        self._missing = missing
        self._width = width
        lanes = found.lanes
        room = (width - TIME - _LABEL) // max(len(lanes), 1)
        self.tree: Final = tree or room < _LEAST
        """Whether it is drawn as a tree."""
        self.fits: Final = room >= _LEAST
        """Whether lanes have room."""
        names = words.lane_names(lanes)
        self._lane = max(min(room, _MOST), _LEAST)
        self._columns = {lane: TIME + 1 + number * self._lane for number, lane in enumerate(lanes)}
        self._names = {lane: visible(names[lane]) for lane in lanes}
        self.order: Final[Sequence[int]] = found.branches if self.tree else range(len(found.steps))
        """The events, from the top."""
        self.rows: Final = [
            row
            for number in self.order
            for row in (Row(number, "gap"), Row(number))
            if row.kind == "event" or (found.steps[number].gap is not None and not self.tree)
        ]
        """All rows, from the top."""
        if missing is not None:
            self.rows.insert(self._behind(missing.after), Row(missing.after, "missing"))
        self._row_of = {row.step: number for number, row in enumerate(self.rows) if row.kind == "event"}
        self._children = found.children
        self._waiting = frozenset(found.waiting)
        self._open = self._spans()

    def row_of(self, step: int) -> int:
        """The row that an event is in."""
        return self._row_of.get(step, 0)

    def last_row_of(self, step: int) -> int:
        """The row to see, too, where an event is seen: what is missing right below it."""
        row = self.row_of(step)
        return row + 1 if row + 1 < len(self.rows) and self.rows[row + 1].kind == "missing" else row

    def _behind(self, step: int) -> int:
        """The row behind all that an event caused in a tree, and behind everything in lanes."""
        if not self.tree:
            return len(self.rows)
        steps, at = self.found.steps, self.order.index(step) + 1
        while at < len(self.order) and steps[self.order[at]].level > steps[step].level:
            at += 1
        return at

    def header(self) -> Sequence[Piece]:
        """The names of the lanes."""
        if self.tree:
            return [Piece(f"{'time':>{TIME}} ", "head"), Piece("event", "head")]
        line = f"{'time':>{TIME}} "
        for lane in self._columns:
            name = visible(self._names[lane], self._lane - 1)
            line += name + " " * (self._lane - cells(name))
        return [Piece(line, "head")]

    def pieces(self, number: int) -> Sequence[Piece]:
        """A row, piece by piece, as wide as it comes."""
        row = self.rows[number]
        step = self.found.steps[row.step]
        if row.kind == "missing" and self._missing is not None:
            lead = Piece(f"{'':{TIME}} ", "time")
            return [lead, *(self._missing_branch if self.tree else self._missing_lane)(self._missing)]
        if row.kind == "gap":
            graph = self._graph(row.step - 1, gap=True)[0]
            said = words.span_text(step.gap or 0)
            first = graph.find("┊")
            if first < 0:
                return [Piece(f"{'┊':>{TIME}} {said}", "gap")]
            return [Piece(f"{'':{TIME}} {graph[: first + 1]} {said}", "gap")]
        time = Piece(f"{self._time(row.step, step):>{TIME}} ", "time")
        return [time, *(self._branch(row.step, step) if self.tree else self._lanes(row.step, step))]

    def _time(self, number: int, step: Step) -> str:
        if not step.timed:
            return "?"
        if number == 0 or step.time == self.found.started:
            try:
                return datetime.fromtimestamp(step.time / 1000).strftime("%H:%M:%S.%f")[:-5]
            except (ValueError, OverflowError, OSError):
                return "?"
        return words.since_start(self.found, step)

    def _label(self, number: int, step: Step, where: bool = False) -> list[Piece]:
        look = "failed" if step.failed else "held" if number in self._waiting else "type"
        said = [Piece(f" {visible(step.facts.type or 'event')}", look)]
        if where:
            said.append(Piece(f"  {visible(words.place_of(step))}", "place"))
        notes = " · ".join(map(visible, words.notes_of(self.found, number)))
        if notes:
            said.append(Piece(f"  {notes}", "failed" if step.failed or step.is_dead_letter else "note"))
        return said

    def _sign_look(self, number: int, step: Step) -> str:
        return "failed" if step.failed else "held" if number in self._waiting else "note" if step.held else "seen"

    # As a tree.

    def _branch(self, number: int, step: Step) -> list[Piece]:
        known = step.link is None or step.link.known
        lead = "" if step.link is None else _branch_to(step.level, known)
        sign = Piece(words.sign(step), self._sign_look(number, step))
        return [Piece(lead, "line" if known else "inferred"), sign, *self._label(number, step, where=True)]

    def _missing_branch(self, missing: Missing) -> list[Piece]:
        lead = Piece(_branch_to(self.found.steps[missing.after].level + 1, False), "inferred")
        place = Piece(f"  {visible(missing.place)}", "place")
        sign, type, said = _missing_pieces(missing)
        return [lead, sign, type, said, place]

    # As lanes.

    def _spans(self) -> list[dict[Address, bool]]:
        """For each event the lanes in which a line goes on below it, and whether the line is of a known cause."""
        until: dict[Address, tuple[int, bool]] = {}
        found = []
        for number, step in enumerate(self.found.steps):
            caused = self._children.get(number, ())
            mine = any(link.known for child in caused if (link := self.found.steps[child].link) is not None)
            if self._missing is not None and number == self._missing.after:
                caused = (*caused, len(self.found.steps))
            if caused:
                last, known = until.get(step.address, (0, False))
                until[step.address] = (max(last, caused[-1]), mine if last <= number else known or mine)
            found.append({lane: known for lane, (last, known) in until.items() if last > number})
        return found

    def _graph(self, number: int, gap: bool = False) -> tuple[str, list[str]]:
        """The lines that pass by below an event, and how each cell looks."""
        width = self._lane * len(self._columns)
        line, looks = [" "] * width, ["line"] * width
        for lane, known in self._open[number].items() if number >= 0 else ():
            at = self._columns[lane] - TIME - 1
            line[at] = "┊" if gap else "│" if known else "╎"
            looks[at] = "line" if known else "inferred"
        return "".join(line), looks

    def _lanes(self, number: int, step: Step) -> list[Piece]:
        cause = self.found.steps[step.link.cause].address if step.link is not None else step.address
        known = step.link is not None and step.link.known
        sign = Piece(words.sign(step), self._sign_look(number, step))
        return self._lane_row(number, step.address, cause, known, [sign, *self._label(number, step)])

    def _missing_lane(self, missing: Missing) -> list[Piece]:
        cause = self.found.steps[missing.after].address
        here = next((lane for lane in self._columns if str(lane) == missing.place), cause)
        return self._lane_row(len(self.found.steps), here, cause, False, _missing_pieces(missing))

    def _lane_row(
        self, number: int, here_lane: Address, cause_lane: Address, known: bool, event: Sequence[Piece]
    ) -> list[Piece]:
        """A row in lanes: the lines that pass by, an arrow from the lane of the cause, and what is drawn of the event,
        its sign and what is said of it."""
        graph, looks = self._graph(number - 1)
        line = list(graph)
        here, there = (self._columns[lane] - TIME - 1 for lane in (here_lane, cause_lane))
        end = max(here, there)
        rule, look = ("─", "line") if known else ("╌", "inferred")
        goes_on = number < len(self._open) and cause_lane in self._open[number]
        if there < here:
            for at in range(there + 1, here - 1):
                line[at], looks[at] = rule, look
            line[there], looks[there] = ("├" if goes_on else "└"), look
            line[here - 1], looks[here - 1] = "▶", look
        elif there > here:
            for at in range(here + 2, there):
                line[at], looks[at] = rule, look
            line[there], looks[there] = ("┤" if goes_on else "┘"), look
            line[here + 1], looks[here + 1] = "◀", look
        sign, *label = event
        line[here], looks[here] = sign
        taken = end + 1 + sum(cells(piece.text) for piece in label) + 1
        rest = _runs(line[taken:], looks[taken:])
        return [*_runs(line[: end + 1], looks[: end + 1]), *label, *([Piece(" ", "note"), *rest] if rest else ())]


def _branch_to(level: int, known: bool) -> str:
    return "  " * min(level - 1, _DEEPEST) + ("└─" if known else "└╌")


def _missing_pieces(missing: Missing) -> list[Piece]:
    type = Piece(f" {visible(missing.type)}", "failed")
    return [Piece(words.FAILED, "failed"), type, Piece(f"  {missing.said}", "failed")]


def _runs(line: Sequence[str], looks: Sequence[str]) -> list[Piece]:
    """Cells of one look together."""
    found: list[Piece] = []
    for text, look in zip(line, looks, strict=True):
        if found and (found[-1].look == look or text == " "):
            found[-1] = Piece(found[-1].text + text, found[-1].look)
        else:
            found.append(Piece(text, look))
    return found
