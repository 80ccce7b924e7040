"""One event in full: its body as a tree, its headers with their types, what conventions make of it, and its bytes."""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final, get_args

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.style import Style

from views.widgets.inspector.page import FOUND, NOTHING_HERE, Page, Piece, Tab
from views.widgets.line_view import Lines
from views.widgets.styles import at_cursor, text_style
from workbench.decode.display import cells, visible
from workbench.facts.facts import NOTHING, Facts
from workbench.model.errors import FormatError, QueryError
from workbench.model.event import Delivery
from workbench.query.condition import Condition
from workbench.query.query import PLAIN, Reading, compile

TABS: Final[tuple[Tab, ...]] = get_args(Tab)
_MARGIN: Final = 1
"""Cells at the left, for the sign of the cursor."""
_LOOKS: Final = ("key", "string", "number", "word", "mark", "sign", "heading", "dim", "dead", "rule")


class Inspector(Lines):
    """Four tabs about one event. Lines are wrapped, and long ones folded until they are asked for."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"inspector--{look}" for look in _LOOKS),
        "inspector--cursor",
        "inspector--bar",
        "inspector--found",
        "inspector--found-here",
    }
    DEFAULT_CSS = """
    Inspector {
        scrollbar-size-vertical: 1; scrollbar-gutter: stable; overflow-x: hidden;
        & > .inspector--cursor { background: $cursor; text-style: $cursor-style; }
        & > .inspector--bar { color: $focus; text-style: bold; }
        & > .inspector--dead { color: $dead; text-style: bold; }
        & > .inspector--rule { color: $frame; text-style: $muted-style; }
        & > .inspector--key { color: $name; text-style: bold; }
        & > .inspector--string { color: $string; }
        & > .inspector--number { color: $number; }
        & > .inspector--word { color: $word; text-style: italic; }
        & > .inspector--mark { color: $muted; }
        & > .inspector--sign { color: $muted; }
        & > .inspector--heading { text-style: bold; }
        & > .inspector--dim { color: $muted; text-style: $muted-style; }
        & > .inspector--found { text-style: bold underline; }
        & > .inspector--found-here { text-style: bold reverse underline; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,left_square_bracket", "previous_tab", show=False),
        Binding("right,right_square_bracket", "next_tab", show=False),
        Binding("enter,space", "toggle", show=False),
    ]

    class Labelled(Message):
        """Other tabs, or other things found, stand in the border now. Replaces its predecessor."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Inspector.Labelled)

    tab: reactive[Tab] = reactive[Tab]("Body", init=False)
    """The tab that shows."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._delivery: Delivery | None = None
        self._reading: Reading = PLAIN
        self._facts: Facts = NOTHING
        self._counts: Mapping[Tab, int] = {}
        self._dead_letter = False
        self._pages: dict[Tab, Page] = {}
        self._laid_out = Size(0, 0)
        self._text = ""
        self._places: Sequence[int] = ()
        self._at: int | None = None
        self._sought: int | None = None
        self._base = RichStyle()

    # What is shown.

    def show(self, delivery: Delivery | None, reading: Reading, dead_letter: bool = False) -> None:
        """Show another event.

        Args:
            delivery: As it may be seen: masked already; None: no event is chosen.
            reading: Says its facts.
            dead_letter: Whether it is known to have failed, by where it was seen.
        """
        self._dead_letter = dead_letter
        self._delivery, self._reading = delivery, reading
        self._facts = NOTHING if delivery is None else reading.facts(delivery)
        self._counts = {}
        if delivery is not None:
            # The first picture would wait for it.
            from views.widgets.inspector.tabs import counts

            self._counts = counts(delivery, self._facts)
        self._pages.clear()
        self.scroll_to(y=0, animate=False, force=True)
        self._turn()

    @property
    def page(self) -> Page | None:
        """What the tab holds; None where no event is chosen."""
        if self._delivery is None:
            return None
        if self.tab not in self._pages:
            self._pages[self.tab] = self._make(self.tab, self._delivery)
        return self._pages[self.tab]

    def _make(self, tab: Tab, delivery: Delivery, broken: str = "") -> Page:
        from views.widgets.inspector.tabs import page

        made = page(tab, delivery, self._facts, self._dead_letter, broken)
        made.resize(self._width)
        return made

    def watch_tab(self) -> None:
        """Show the other tab, where it was left."""
        self._turn()
        self._to_cursor()

    def _turn(self) -> None:
        """Draw another page, and read what it still has to."""
        self._places, self._at, self._sought = (), None, None
        self._relayout()
        self._read_rest()

    def _read_rest(self) -> None:
        # Where there is no room there are no rows yet.
        if self._width and self.page is not None and not self.page.complete:
            self._read_on()

    @work(exclusive=True, group="read-on")
    async def _read_on(self) -> None:
        """Read a large body, bit by bit."""
        page = self.page
        while page is not None and page is self.page and not page.complete:
            await asyncio.sleep(0)
            self._read_step(page)

    def _read_step(self, before: Page) -> None:
        cursor = before.cursor
        try:
            before.read_on()
        except FormatError as error:
            assert self._delivery is not None
            self._pages["Body"] = self._make("Body", self._delivery, str(error))
            self._turn()
            return
        moved = before.cursor - cursor
        # Laying out the screen anew for each step would take longer than the steps.
        if moved or before.complete or before.rows > 1.5 * self._laid_out.height:
            self._relayout()
        if moved:
            # What is seen stays where it is, below a value that takes more rows than it did.
            self.scroll_to(y=self.scroll_offset.y + moved, animate=False, force=True)
        if self._sought is not None:
            self._seek()

    def _relayout(self) -> None:
        """Rows are other ones, or others."""
        page = self.page
        rows = 1 if page is None else page.rows
        self._laid_out = Size(self._width, rows)
        self.extend_to(self._laid_out)
        self.refresh()
        self.post_message(self.Labelled())

    def on_resize(self) -> None:
        """Wrap anew."""
        for each in self._pages.values():
            each.resize(self._width)
        self._relayout()
        self._to_cursor()
        self._read_rest()

    @property
    def _width(self) -> int:
        """Cells that a page has."""
        return max(self.scrollable_content_region.width - _MARGIN, 0)

    # Drawing.

    def render_lines(self, crop: Region) -> list[Strip]:
        # This walks up the tree of widgets: once, and not for every line.
        self._base = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One row."""
        page = self.page
        number = self.scroll_offset.y + y
        if page is None:
            strip = Strip([Segment(visible(" No event is chosen.", self._width), self._style("dim"))] if y == 0 else [])
        elif number < page.rows:
            strip = self._row(page, number)
        else:
            strip = Strip([])
        return strip.adjust_cell_length(self.size.width).apply_style(self._base)

    def _row(self, page: Page, number: int) -> Strip:
        width = self._width
        strip = self._draw(page.row(number), width)
        if number not in page.extent(page.cursor):
            return Strip.join([Strip([Segment(" " * _MARGIN)]), strip])
        strip = Strip.join([Strip([Segment("▌", self._style("bar"))]), strip])
        if not self.has_focus:
            return strip
        return Strip(at_cursor(strip.adjust_cell_length(width + _MARGIN), self._cursor_style()))

    @property
    def tabs(self) -> Content:
        """The tabs, for the border of the panel around: a click on one is the screen's action `show_tab`."""
        names: list[Content] = []
        for tab in TABS:
            number = self._counts.get(tab, 0)
            here = Style(bold=True, underline=True) if tab == self.tab else Style()
            name = Content.styled(tab, here).stylize("$foreground" if tab == self.tab else "$muted")
            said = Content.styled(f" {number:,}" if number else "", "$muted")
            names.append((name + said).stylize(Style.from_meta({"@click": f"screen.show_tab('{tab}')"})))
        return Content("  ").join(names)

    @property
    def sought(self) -> str:
        """The text that was looked for last; empty: none was."""
        return self._text

    @property
    def found(self) -> str:
        """What was found, for the border too; empty: nothing was looked for."""
        if not self._text or self._delivery is None or self._at is None:
            return ""
        part = f" in {page.part}, Raw has all" if (page := self.page) is not None and page.part else ""
        if not len(self._places):
            return f"nothing found: {self._text}{part}"
        many = f"{FOUND:,}+" if len(self._places) > FOUND else f"{len(self._places):,}"
        return f"{self._at + 1:,} of {many}" + (" …" if self._sought is not None else "") + part

    def _draw(self, pieces: Sequence[Piece], width: int) -> Strip:
        """Pieces in one line, what was found in them marked."""
        strips: list[Strip] = []
        used = 0
        for piece in pieces:
            if used > width:
                break
            # One cell more than there is tells that something must be cut.
            room = width - used + 1
            strip = Strip([Segment(visible(text, room), style) for text, style in self._mark_matches(piece)])
            if piece.width > strip.cell_length:
                strip = strip.adjust_cell_length(piece.width)
            strips.append(strip)
            used += strip.cell_length
        strip = Strip.join(strips)
        if strip.cell_length <= width:
            return strip
        return Strip.join([strip.crop(0, width - 1), Strip([Segment("…")])]) if width > 0 else Strip([])

    def _mark_matches(self, piece: Piece) -> Iterator[tuple[str, RichStyle]]:
        """A piece, cut where what was found begins and ends."""
        style = self._style(piece.look)
        page = self.page
        if piece.place < 0 or not len(self._places) or page is None:
            yield piece.text, style
            return
        length = page.covers(self._text, piece.place)
        begin, end = piece.place, piece.place + (1 if piece.whole else len(piece.text))
        done = begin
        for number in range(bisect_right(self._places, begin - length), bisect_left(self._places, end)):
            mark = style + self._mark("found-here" if number == self._at else "found")
            if piece.whole:
                yield piece.text, mark
                return
            start, stop = max(self._places[number], done), min(self._places[number] + length, end)
            yield piece.text[done - begin : start - begin], style
            yield piece.text[start - begin : stop - begin], mark
            done = stop
        yield piece.text[done - begin :], style

    def _style(self, look: str) -> RichStyle:
        return text_style(self, f"inspector--{look}") if look else RichStyle()

    def _mark(self, name: str) -> RichStyle:
        """What a part looks like besides its colours."""
        return self.get_component_rich_style(f"inspector--{name}").without_color

    def _cursor_style(self) -> RichStyle:
        full = self.get_component_rich_style("inspector--cursor")
        return RichStyle(bgcolor=full.bgcolor) + full.without_color

    # The cursor.

    def move(self, lines: int) -> None:
        """Go so many rows down; first through those of a value that is higher than what is seen."""
        page = self.page
        if page is None:
            return
        top, height = self.scroll_offset.y, self.in_sight
        here = page.extent(page.cursor)
        first, last = here.start - top, here.stop - top
        if lines > 0 and first < height < last:
            self.scroll_to(y=top + min(lines, last - height), animate=False, force=True)
        elif lines < 0 and first < 0 < last:
            self.scroll_to(y=top + max(lines, first), animate=False, force=True)
        else:
            self._go(here.stop - 1 + lines if lines > 0 else here.start + lines)

    def _go(self, row: int, seen: int | None = None) -> None:
        """Put the cursor on the value in a row.

        Args:
            row: Which.
            seen: The row that must be seen; None: as many of the value's as there is room for.
        """
        page = self.page
        if page is not None:
            page.cursor = page.extent(max(0, min(row, page.rows - 1))).start
            self._relayout()
            self._to_cursor(seen)

    def _to_cursor(self, seen: int | None = None) -> None:
        """Scroll as little as shows the value at the cursor."""
        page = self.page
        if page is None:
            return
        top, height = self.scroll_offset.y, self.in_sight
        here = page.extent(page.cursor)
        first, last = here.start, here.stop
        if seen is not None and last - first >= height:
            first, last = seen, seen + 1
        if first < top or last - first >= height:
            self.scroll_to(y=first, animate=False, force=True)
        elif last > top + height:
            self.scroll_to(y=last - height, animate=False, force=True)

    @property
    def in_sight(self) -> int:
        """How many lines can be seen at once."""
        return max(self.size.height, 1)

    def go_to_end(self, last: bool) -> None:
        """Go to the first row or to the last."""
        page = self.page
        self._go(page.rows - 1 if last and page is not None else 0)

    def action_next_tab(self) -> None:
        """Show the next tab."""
        self.tab = TABS[(TABS.index(self.tab) + 1) % len(TABS)]

    def action_previous_tab(self) -> None:
        """Show the previous tab."""
        self.tab = TABS[(TABS.index(self.tab) - 1) % len(TABS)]

    # Textual's own is no key's: it toggles an attribute by its name.
    def action_toggle(self) -> None:  # type: ignore[override]
        """Fold or unfold what is at the cursor."""
        page = self.page
        if page is not None:
            page.toggle(page.cursor)
            self._go(page.cursor)
            self._read_rest()

    def on_click(self, event: Click) -> None:
        """Go to a value, and fold it if the cursor was there already or its sign was hit."""
        page = self.page
        x, y = event.x, event.y
        row = self.scroll_offset.y + y
        if page is None or row >= page.rows:
            return
        at = _MARGIN
        signs: list[range] = []
        for piece in page.row(row):
            length = cells(visible(piece.text))
            signs += [range(at, at + length)] if piece.look == "sign" else []
            at += max(length, piece.width)
        if row in page.extent(page.cursor) or any(x in sign for sign in signs):
            page.toggle(row)
            self._read_rest()
        self._go(row)

    def text_to_copy(self) -> str:
        """The text of the value at the cursor: a string's text, all of a container, bytes in hex."""
        page = self.page
        text = page.text_to_copy(page.cursor) if page is not None else ""
        # Half of a surrogate pair can be sent nowhere.
        return text.encode("utf-8", "backslashreplace").decode()

    # Filtering.

    def path(self) -> str:
        """The path or symbol of the value at the cursor, as queries and columns write it.

        Raises:
            FormatError: It has none; the sentence says why.
        """
        page = self.page
        if page is None:
            raise FormatError(NOTHING_HERE)
        return page.path(page.cursor)

    def condition(self) -> Condition:
        """The condition that an event has the value at the cursor, which this one meets.

        Raises:
            FormatError: No query can ask for it; the sentence says why.
        """
        page = self.page
        if page is None or self._delivery is None:
            raise FormatError(NOTHING_HERE)
        found = page.condition(page.cursor)
        try:
            met = compile(found.has, reading=self._reading).matches(self._delivery)
        except QueryError:
            met = False
        if not met:
            raise FormatError("No query can ask for this value.")
        return found

    # Finding.

    def search(self, text: str) -> None:
        """Find a text in the tab, in upper or lower case, and go to the first place from the cursor on."""
        self._text = text
        page = self.page
        self._places = page.places(text) if page is not None and text else ()
        self._at, self._sought = 0, None
        if page is not None and len(self._places):
            here = bisect_left(self._places, page.place_of(page.cursor))
            self._to_place(here if here < min(len(self._places), FOUND) else 0)
        self._relayout()

    def next_match(self) -> None:
        """Go to the next place; after another event or tab was shown, find the text in it."""
        self._step(1)

    def previous_match(self) -> None:
        """Go to the previous place."""
        self._step(-1)

    def _step(self, by: int) -> None:
        if self._at is None:
            self.search(self._text)
        elif len(self._places):
            self._to_place((self._at + by) % min(len(self._places), FOUND))

    def _to_place(self, number: int) -> None:
        self._at = self._sought = number
        self._seek()
        # What it is in may be unfolded now.
        self._read_rest()

    def _seek(self) -> None:
        """Go to what is sought, once it was read."""
        page = self.page
        if page is None or self._sought is None:
            return
        row = page.row_of(self._places[self._sought])
        if row is not None:
            self._sought = None
            self._go(row, row)
        self.refresh()
