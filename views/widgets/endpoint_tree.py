"""The tree of endpoints: a connection each, its queues and topics, its routes and its consumer groups.

Only visible lines are drawn, and the lines are made anew when a listing comes: ten thousand endpoints stay quick.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final, Literal

import msgspec
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from views.widgets.endpoint_names import shared_beginnings, shorten_name
from views.widgets.line_view import Lines
from views.widgets.styles import at_cursor, text_style
from workbench.decode.display import cells, visible
from workbench.model.address import Address
from workbench.model.groups import Group
from workbench.operations.watch import Watch, describe_state, sign
from workbench.table.sparkline import short, sparkline

_SPARK: Final = 4
_RIGHT: Final = 2 + 5 + 1 + 6 + 1 + _SPARK
"""Cells of the columns at the right: depth, rate, sparkline."""
_LEFT: Final = 4
"""Cells before a name: the cursor's sign, and a mark, with what is in a fold further in."""
_ORIGINS_FROM: Final = 56
"""Cells from which an endpoint of dead letters says in its own line where they come from."""
_FOLDED_AT_FIRST: Final = ("routes", "groups")


class Line(msgspec.Struct, frozen=True):
    """One line of the tree.

    Attributes:
        kind: What it stands for; `routes` and `groups` can be folded, as a `connection` can. An `origin` says where the
            dead letters of the endpoint above it come from; the cursor goes past it.
        connection: Whose.
        address: Of an endpoint.
        group: A consumer group's name.
    """

    kind: Literal["connection", "endpoint", "origin", "routes", "groups", "group"]
    connection: str
    address: Address | None = None
    group: str | None = None


class EndpointTree(Lines):
    """What there is, live. The cursor stays on its line when others come and go."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "endpoint-tree--cursor",
        "endpoint-tree--connection",
        "endpoint-tree--dim",
        "endpoint-tree--dead",
        "endpoint-tree--mark",
        "endpoint-tree--open",
        "endpoint-tree--rate",
        "endpoint-tree--sign",
        "endpoint-tree--live",
    }
    DEFAULT_CSS = """
    EndpointTree {
        & > .endpoint-tree--cursor { background: $background; }
        &:focus > .endpoint-tree--cursor { background: $cursor; text-style: $cursor-style; }
        & > .endpoint-tree--connection { text-style: bold; }
        & > .endpoint-tree--dim { color: $muted; text-style: $muted-style; }
        & > .endpoint-tree--dead { color: $dead; text-style: bold; }
        & > .endpoint-tree--sign { color: $focus; text-style: bold; }
        & > .endpoint-tree--live { color: $live; }
        & > .endpoint-tree--mark { color: $warn; text-style: bold; }
        & > .endpoint-tree--open { color: $focus; text-style: bold; }
        & > .endpoint-tree--rate { color: $live; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "unfold", show=False),
        Binding("left", "fold", show=False),
    ]

    cursor_line: reactive[int] = reactive(0)
    """The line that the cursor is on, from 0."""

    class Moved(Message):
        """The cursor is on another line."""

        def __init__(self, line: Line | None) -> None:
            super().__init__()
            self.line = line

    class Opened(Message):
        """A line was clicked twice."""

        def __init__(self, line: Line) -> None:
            super().__init__()
            self.line = line

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._watches: Mapping[str, Watch] = {}
        self._others: Mapping[str, Sequence[Address]] = {}
        self._lines: list[Line] = []
        self._flipped: set[tuple[str, str]] = set()
        self._filter = ""
        self.empty = Text()
        """What it says beneath its lines where there is no endpoint."""
        self.marks: set[Address] = set()
        """Endpoints that were marked."""
        self.open_addresses: frozenset[Address] = frozenset()
        """Endpoints whose events are shown."""
        self.wanted_width = 0
        """Cells in which nine of ten names are not cut: one that is very long must not take the room of all else."""
        self._beginnings: dict[str, tuple[Sequence[str], Sequence[str]]] = {}
        self._bars = _SPARK
        self._styles: dict[str, Style] = {}
        self._base = Style()

    @property
    def line(self) -> Line | None:
        """The line that the cursor is on; None: there is none."""
        return self._lines[self.cursor_line] if self.cursor_line < len(self._lines) else None

    def show(self, watches: Mapping[str, Watch], others: Mapping[str, Sequence[Address]]) -> None:
        """Draw what was listed.

        Args:
            watches: The connections.
            others: Endpoints that are known without being listed, such as those of a recording, by connection.
        """
        before = self.line
        self._watches, self._others = watches, others
        self._lines = list(self._all())
        widths = sorted(cells(address.name) for watch in watches.values() for address in watch.endpoints)
        self.wanted_width = _LEFT + (widths[len(widths) * 9 // 10] if widths else 0) + 1 + _RIGHT
        # Where names have no room, the rate is told once.
        self._bars = _SPARK if self.wanted_width <= self.size.width else 1
        self._learn_beginnings()
        self.extend_to(Size(1, len(self._lines)))
        if before is not None and before in self._lines:
            self.set_reactive(EndpointTree.cursor_line, self._lines.index(before))
        elif self.cursor_line >= len(self._lines):
            self.cursor_line = max(len(self._lines) - 1, 0)
        if self.line != before:
            self.post_message(self.Moved(self.line))
        self.refresh()

    def _learn_beginnings(self) -> None:
        """Find out what many names of a connection begin with, which is left out where they have no room."""
        room = self.size.width - _LEFT - _RIGHT
        for name, watch in self._watches.items():
            names = [address.name for address in watch.endpoints]
            if self._beginnings.get(name, ((), ()))[0] != names:
                self._beginnings[name] = names, shared_beginnings(names, room)

    def filter(self, text: str) -> None:
        """Show only endpoints and groups whose names hold this text, upper and lower case alike; empty: all.

        The cursor goes to the first that is found, unless it is on one: enter opens it.
        """
        self._filter = text.casefold()
        self.show(self._watches, self._others)
        if text and (self.line is None or self.line.kind not in ("endpoint", "group")):
            found = (number for number, line in enumerate(self._lines) if line.kind in ("endpoint", "group"))
            self.cursor_line = next(found, 0)

    def go_to(self, address: Address) -> None:
        """Put the cursor on an endpoint, unfolding what it is in."""
        self._put_cursor("routes", address.connection, lambda line: line.address == address)

    def go_to_group(self, connection: str, name: str) -> None:
        """Put the cursor on a consumer group, unfolding what it is in."""
        self._put_cursor("groups", connection, lambda line: (line.connection, line.group) == (connection, name))

    def _put_cursor(self, within: str, connection: str, wanted: Callable[[Line], bool]) -> None:
        for _ in range(2):
            for number, line in enumerate(self._lines):
                if wanted(line):
                    self.cursor_line = number
                    return
            self._flipped |= {(within, connection)}
            self._flipped -= {("connection", connection)}
            self.show(self._watches, self._others)

    def toggle_mark(self) -> None:
        """Mark the endpoint at the cursor, or no longer; the cursor goes on."""
        if self.line is not None and self.line.address is not None:
            self.marks ^= {self.line.address}
            self.refresh()
            self.action_cursor_down()

    def can_fold(self, line: Line) -> bool:
        """Whether a line holds others."""
        return line.kind in ("connection", "routes", "groups")

    def toggle(self, line: Line) -> None:
        """Fold, or unfold so that as much as can be of what is in it is in sight."""
        before = len(self._lines)
        self._flipped ^= {(line.kind, line.connection)}
        self.show(self._watches, self._others)
        if (more := len(self._lines) - before) > 0:
            shown = Region(0, self._lines.index(line), 1, min(1 + more, self.in_sight))
            self.scroll_to_region(shown, animate=False, force=True)

    # Which lines there are.

    def _all(self) -> Iterator[Line]:
        for name in dict.fromkeys((*self._watches, *self._others)):
            yield Line("connection", name)
            if self._is_folded("connection", name):
                continue
            watch = self._watches.get(name)
            endpoints = list(watch.endpoints.values()) if watch else []
            listed = {endpoint.address for endpoint in endpoints}
            others = [address for address in self._others.get(name, ()) if address not in listed]
            apart = self.size.width < _ORIGINS_FROM
            for endpoint in endpoints:
                if endpoint.family != "routes" and self._matches_filter(endpoint.address.name):
                    yield Line("endpoint", name, endpoint.address)
                    if apart and endpoint.holds_dead_letters and endpoint.dead_letters_of:
                        yield Line("origin", name, endpoint.address)
            yield from (Line("endpoint", name, address) for address in others if self._matches_filter(address.name))
            routes = [endpoint.address for endpoint in endpoints if endpoint.family == "routes"]
            if routes := [address for address in routes if self._matches_filter(address.name)]:
                yield Line("routes", name)
                if not self._is_folded("routes", name):
                    yield from (Line("endpoint", name, address) for address in routes)
            groups = [group.name for group in watch.groups if self._matches_filter(group.name)] if watch else []
            if groups:
                yield Line("groups", name)
                if not self._is_folded("groups", name):
                    yield from (Line("group", name, group=group) for group in groups)

    def _is_folded(self, kind: str, connection: str) -> bool:
        if self._filter:
            return False
        return (kind in _FOLDED_AT_FIRST) != ((kind, connection) in self._flipped)

    def _matches_filter(self, name: str) -> bool:
        return self._filter in name.casefold()

    # Drawing.

    def render_lines(self, crop: Region) -> list[Strip]:
        # These walk up the tree of widgets, which for every line would take as long as all else.
        self._base = self.rich_style
        self._styles = {part: text_style(self, part) for part in self.COMPONENT_CLASSES}
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        number = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if number >= len(self._lines):
            return self._said(number - len(self._lines), width)
        here = number == self.cursor_line
        segments: Iterable[Segment] = self._segments(self._lines[number], width, here)
        if here:
            cursor = self.get_component_rich_style("endpoint-tree--cursor")
            segments = at_cursor(segments, cursor)
        return Strip(segments).adjust_cell_length(width, self._base).apply_style(self._base)

    def _said(self, number: int, width: int) -> Strip:
        """A line of what is said where there is no endpoint."""
        lines = (
            () if any(line.address for line in self._lines) else self.empty.wrap(self.app.console, max(width - 2, 1))
        )
        # Apart from the connections, where there are any.
        number -= bool(self._lines)
        if not 0 <= number < len(lines):
            return Strip.blank(width, self._base)
        pieces = [Segment(visible(text), style) for text, style, _ in lines[number].render(self.app.console)]
        said = Strip([Segment("  "), *Segment.apply_style(pieces, self._style("dim"))])
        return said.adjust_cell_length(width, self._base).apply_style(self._base)

    def _segments(self, line: Line, width: int, here: bool) -> list[Segment]:
        left, right = self._parts(line, width)
        used = sum(cells(text) for text, _ in right)
        room = max(width - used - 2, 1)
        drawn = [Segment("▌" if here else " ", self._style("sign"))]
        for number, (text, style) in enumerate(left):
            # The second is a name.
            piece = self._shorten(line.connection, text, room) if number == 1 else visible(text, room)
            room -= cells(piece)
            drawn.append(Segment(piece, style))
        drawn.append(Segment(" " * (room + 1), Style()))
        return drawn + [Segment(text, style) for text, style in right]

    def _shorten(self, connection: str, name: str, room: int) -> str:
        return shorten_name(name, room, self._beginnings.get(connection, ((), ()))[1])

    def _parts(self, line: Line, width: int) -> tuple[list[tuple[str, Style]], list[tuple[str, Style]]]:
        """What stands on the left and may be cut, and what stands on the right."""
        dim, plain = self._style("dim"), Style()
        fold = "" if not self.can_fold(line) else "▸ " if self._is_folded(line.kind, line.connection) else "▾ "
        watch = self._watches.get(line.connection)
        match line.kind:
            case "connection":
                left = [(fold, dim), (line.connection, self._style("connection"))]
                if watch is None:
                    return left, []
                state = watch.state
                if state != "connected":
                    left.append((f"  {describe_state(state)}", dim if state == "connecting" else self._style("dead")))
                    return left, [(sign(state), dim if state == "connecting" else self._style("dead"))]
                if not watch.endpoints:
                    left.append((" empty", dim))
                return left, [(sign(state).ljust(self._bars), self._style("live"))]
            case "routes":
                kinds = Counter(
                    endpoint.kind
                    for endpoint in (watch.endpoints.values() if watch else ())
                    if endpoint.family == "routes" and self._matches_filter(endpoint.address.name)
                )
                named = ", ".join(f"{kind}s {count:,}" for kind, count in kinds.items())
                return [(fold, dim), (named, plain)], []
            case "groups":
                groups = watch.groups if watch else ()
                lag = sum(group.lag for group in groups)
                return [(fold, dim), (f"groups {len(groups):,}", plain)], [self._lag(lag, dim)]
            case "group":
                group = self._group(line)
                left = [("    ", plain), (line.group or "", plain)]
                if group is None:
                    return left, []
                if group.kind:
                    left.append((f"  {group.kind}", dim))
                right = [self._lag(group.lag, dim)]
                return left, [("not all known  ", dim), *right] if group.gaps else right
            case "origin":
                return [("    ", plain), (f"↳ from {self._origins(line, width - 14)}", dim)], []
            case "endpoint":
                return self._endpoint_parts(line, width)

    def _origins(self, line: Line, room: int) -> str:
        watch = self._watches.get(line.connection)
        endpoint = watch.endpoints.get(line.address) if watch and line.address else None
        origins = endpoint.dead_letters_of if endpoint else ()
        return ", ".join(self._shorten(line.connection, each.name, room) for each in origins)

    def _endpoint_parts(self, line: Line, width: int) -> tuple[list[tuple[str, Style]], list[tuple[str, Style]]]:
        address, watch, dim = line.address, self._watches.get(line.connection), self._style("dim")
        assert address is not None
        endpoint = watch.endpoints.get(address) if watch else None
        is_open = address in self.open_addresses
        mark = "◆" if address in self.marks else "•" if is_open else " "
        inner = "  " if endpoint is not None and endpoint.family == "routes" else ""
        left = [
            (f"{mark} {inner}", self._style("mark" if address in self.marks else "open")),
            (address.name or "(default)", self._style("open") if is_open else Style()),
        ]
        if endpoint is None:
            return left, []
        rates = watch.rates(address) if watch else ()
        rate = rates[-1] if rates else 0.0
        dead = endpoint.holds_dead_letters
        if endpoint.family == "routes" and not any(rates):
            return left, []
        depth = "" if endpoint.depth is None or endpoint.family == "routes" else short(endpoint.depth)
        counted = self._style("dead") if dead else Style() if endpoint.depth else dim
        right = [(f"  {depth:>5}", counted), (f" {f'{short(rate)}/s' if rate else '':>6} ", dim)]
        if dead:
            right.append(("✖".ljust(self._bars), self._style("dead")))
            if width >= _ORIGINS_FROM and endpoint.dead_letters_of:
                left.append((f"  ↳ from {self._origins(line, width // 2)}", dim))
        else:
            right.append((sparkline(rates, self._bars), self._style("rate")))
        return left, right

    def _lag(self, lag: int, style: Style) -> tuple[str, Style]:
        """A lag, which ends where the columns of depth and rate do."""
        return (f"  lag {short(lag)}" + " " * (self._bars + 1), style)

    def _group(self, line: Line) -> Group | None:
        watch = self._watches.get(line.connection)
        return next((group for group in watch.groups if group.name == line.group), None) if watch else None

    def _style(self, part: str) -> Style:
        name = f"endpoint-tree--{part}"
        return self._styles[name] if name in self._styles else text_style(self, name)

    # The cursor.

    def validate_cursor_line(self, line: int) -> int:
        return max(0, min(line, len(self._lines) - 1))

    def watch_cursor_line(self, before: int, line: int) -> None:
        self.scroll_to_region(Region(0, line, 1, 1), animate=False, force=True)
        self.refresh()
        if before != line:
            self.post_message(self.Moved(self.line))

    @property
    def in_sight(self) -> int:
        """How many lines can be seen at once."""
        return self.size.height

    def move(self, lines: int) -> None:
        """Go down or up."""
        line = max(0, min(self.cursor_line + lines, len(self._lines) - 1))
        self.cursor_line = self._past_origin(line, 1 if lines > 0 else -1)

    def go_to_end(self, last: bool) -> None:
        """Go to the first line or to the last."""
        self.cursor_line = self._past_origin(len(self._lines) - 1, -1) if last else 0

    def _past_origin(self, line: int, by: Literal[1, -1]) -> int:
        """A line that the cursor may be on: this one or one beside it."""
        if 0 <= line < len(self._lines) and self._lines[line].kind == "origin":
            return line + by if line + by < len(self._lines) else line - 1
        return line

    def action_unfold(self) -> None:
        """Unfold the line at the cursor."""
        line = self.line
        if line is not None and self.can_fold(line) and self._is_folded(line.kind, line.connection):
            self.toggle(line)

    def action_fold(self) -> None:
        """Fold the line at the cursor."""
        line = self.line
        if line is not None and self.can_fold(line) and not self._is_folded(line.kind, line.connection):
            self.toggle(line)

    def on_click(self, event: Click) -> None:
        """Go to a line; twice: open it."""
        number = self._past_origin(self.scroll_offset.y + event.y, -1)
        if number < len(self._lines):
            self.cursor_line = number
            line = self._lines[number]
            if self.can_fold(line) and event.x < 6:
                self.toggle(line)
            elif event.chain == 2:
                self.post_message(self.Opened(line))

    def on_resize(self) -> None:
        """Lines are as wide as the tree, and some say more where there is room."""
        self.show(self._watches, self._others)
