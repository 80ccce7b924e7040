"""Dead letters: why events failed, in groups, and where they wait."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.events import Resize
from textual.widgets import Static

from views.host import Host
from views.moving import Moving, Scope, scope_of
from views.painting import Rows
from views.widgets.dead_groups import group_lines
from views.widgets.explanation import Explanation
from views.widgets.key_bar import KeyBar
from views.widgets.options import Options
from views.widgets.panel import Panel
from views.workbench_screen import WayBack, WorkbenchScreen
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.errors import QueryError
from workbench.model.look import Coverage
from workbench.model.start import Window
from workbench.operations.browse_defaults import price_of, price_sentence
from workbench.operations.dead.groups import Group, Groups
from workbench.operations.reading import Reading
from workbench.operations.watch import Watch
from workbench.query.field import Field

MOST: Final = 100_000
"""Dead letters of one endpoint that are read, the newest."""
_LONGEST: Final = 500
"""Cells of a reason that are shown of the line at the cursor."""
_FILTER: Final = 20
"""Cells of what is filtered by in the frame."""
_BEAT: Final = 0.3
"""Seconds between two drawings while dead letters are read."""
_ACTIONS: Final = ("move", "delete_group", "read_queues", "group_by", "filter", "read_again")


class DeadLetters(WorkbenchScreen):
    """Groups of dead letters, the largest first, and behind them the endpoints that were not read."""

    ACTIONS_OF = "dead_letters"

    def __init__(self, host: Host) -> None:
        """Begin with nothing read."""
        super().__init__(host)
        self._by: str | None = None
        self._filter = ""
        self._look = False
        self._groups = Groups()
        self._reading: Reading | None = None
        self._is_reading = self._is_outdated = False
        self._lines: Sequence[Group | Endpoint] = ()

    def compose_body(self) -> ComposeResult:
        with Panel(id="dead-letters", title="Dead letters"):
            with Rows(id="failed"):
                yield Static("", id="dead-head")
                yield Options(id="dead")
                yield Static("", id="dead-detail")
            yield Explanation(
                "No endpoint holds dead letters.",
                "Dead-letter queues and topics are known by what the broker says, or by their names. As soon as there"
                " is anything in them, it is grouped here by why it failed, where it comes from and its type.",
                [(self.key_of("events"), "all endpoints"), (self.key_of("connections"), "connections")],
                "✖      67  payments  PaymentRequested  account … is closed",
            )

    def on_mount(self) -> None:
        """Draw while dead letters are read."""
        self.set_interval(_BEAT, self._tick)

    def on_screen_resume(self) -> None:
        """Go to the list."""
        self.query_one(Options).focus()

    def show_listing(self, watch: Watch | None) -> None:
        """Draw what is there now; at first, what may be read freely is read."""
        super().show_listing(watch)
        if self._reading is None and self.is_current and self._endpoints():
            self._read()
        self._paint()

    def _endpoints(self) -> Sequence[Endpoint]:
        return [each for each in self.context.endpoints() if each.holds_dead_letters]

    @property
    def _coverage(self) -> dict[Address | Path, Coverage]:
        return self._reading.coverage if self._reading is not None else {}

    # Reading.

    def _read(self) -> None:
        field = Field(self._by, self.context.session.reading) if self._by is not None else None
        groups = Groups(field)
        reading = Reading(self.context.session, Window(), groups.add, MOST)
        self._groups, self._reading, self._is_reading = groups, reading, True
        self._is_outdated = False
        self._read_all(reading, [each for each in self._endpoints() if self._look or not price_of(each)])

    @work(exclusive=True, group="read")
    async def _read_all(self, reading: Reading, endpoints: list[Endpoint]) -> None:
        try:
            await reading.read(endpoints)
        finally:
            # One that was cancelled ends after the next has begun.
            if self._reading is reading:
                self._is_reading = False
                if not self.is_closed:
                    self._paint()

    def on_resize(self, event: Resize) -> None:
        """Lines are as wide as the list."""
        if self._reading is not None:
            self.call_after_refresh(self._paint)

    def _tick(self) -> None:
        if self._is_reading and self.is_current:
            self._paint()

    def _read_if_agreed(self) -> None:
        """Read anew; where queues are read, that costs what it did, and is asked again."""
        if self._look:
            self._ask_to_look()
        else:
            self._read()

    def _ask_to_look(self) -> None:
        queues = [each for each in self._endpoints() if price_of(each)]
        sentence = price_sentence(len(queues), sum(each.depth or 0 for each in queues), map(price_of, queues))
        self.host.agree("Read dead-letter queues", sentence, "read", self._look_into)

    def _look_into(self) -> None:
        self._look = True
        self._read()

    def cannot_read_queues(self) -> str | None:
        if not any(price_of(each) for each in self._endpoints()):
            return "There is no dead-letter queue with messages in it."
        return None

    def do_read_queues(self) -> None:
        self._ask_to_look()

    def cannot_read_again(self) -> str | None:
        return None if self._endpoints() else "No endpoint holds dead letters."

    def do_read_again(self) -> None:
        self._read_if_agreed()

    def cannot_move(self) -> str | None:
        if self.host.operation is not None:
            return f"{self.host.operation.what} is running: one operation runs at a time."
        match self._line():
            case None:
                return self._nothing or "There are no dead letters."
            case Group() as group if self._groups.query_of(group) is None:
                return "No query selects this group: open it with enter, and mark what is to be moved."
        return None

    cannot_delete_group = cannot_move

    def do_move(self) -> None:
        self._ask_to_move(deletes=False)

    def do_delete_group(self) -> None:
        self._ask_to_move(deletes=True)

    def _ask_to_move(self, deletes: bool) -> None:
        scopes = []
        match self._line():
            case Group() as group:
                places = list(group.places)
                where = ", ".join(visible(str(each), 60) for each in places)
                query = self._groups.query_of(group) or ""
                scopes = [scope_of(f"{group.count:,} of this group", f"in {where}", places, query)]
                for place in places:
                    if (endpoint := self.context.endpoint(place)) is not None:
                        scopes.append(_all_of(endpoint))
            case Endpoint() as endpoint:
                scopes = [_all_of(endpoint)]
        Moving(self, scopes, deletes).ask()

    def on_workbench_screen_operation_ended(self) -> None:
        """What was read may be elsewhere now: it is read again where that is free."""
        if self._reading is not None and not self._look:
            self._read()
        elif self._reading is not None:
            self._is_outdated = True
        self._paint()

    def do_group_by(self) -> None:
        self.host.ask(
            "Group by",
            "A field in place of the reason, such as body.error.code; reason goes back to that.",
            self._group_by,
            self._by or "reason",
            _why_no_field,
        )

    def _group_by(self, text: str) -> None:
        self._by = None if text == "reason" else text
        self._read_if_agreed()

    def cannot_filter(self) -> str | None:
        return None if self._filter or self._lines else "There are no dead letters."

    def do_filter(self) -> None:
        self.host.ask(
            "Filter",
            "A text in the reason or the type, or in where they come from or are.",
            self._filter_by,
            self._filter,
            verb="filter",
        )

    def _filter_by(self, text: str) -> None:
        self._filter = text
        self._paint()

    def _passes(self, line: Group | Endpoint) -> bool:
        """Whether what is filtered by is in one of its texts."""
        texts: tuple[str, ...]
        if isinstance(line, Group):
            texts = (line.reason, line.text or "", line.type, line.origin, *map(str, line.places))
        else:
            texts = (str(line.address), *(origin.name for origin in line.dead_letters_of))
        wanted = self._filter.casefold()
        return any(wanted in text.casefold() for text in texts)

    @property
    def _nothing(self) -> str:
        """Why nothing is in the list, where a filter is why; else empty."""
        return f"Nothing here has {visible(self._filter, _LONGEST)!r}." if self._filter else ""

    def way_back(self) -> WayBack | None:
        """Stop reading, show all again, or go back."""
        if self._is_reading:
            return WayBack("stop reading", self._stop)
        if self._filter:
            return WayBack("show all", lambda: self._filter_by(""))
        return super().way_back()

    def _stop(self) -> None:
        self._is_reading = False
        self.workers.cancel_group(self, "read")
        self._paint()

    # What is drawn.

    def _paint(self) -> None:
        endpoints = self._endpoints()
        covered = self._coverage
        groups = list(self._groups)
        unread = [each for each in endpoints if each.address not in covered]
        is_there = bool(endpoints or groups)
        all_lines = len(groups) + len(unread)
        groups, unread = [*filter(self._passes, groups)], [*filter(self._passes, unread)]
        self.query_one("#failed").display, self.query_one(Explanation).display = is_there, not is_there
        panel = self.query_one("#dead-letters", Panel)
        panel.set_class(not is_there, "explained")
        panel.keys = [("enter", "open"), *self.keys_in(_ACTIONS)] if is_there else ()
        states = [(each, self._state_of(each)) for each in unread]
        # Before the first layout, the list has no width yet; there are two lines of frame and two cells of padding.
        width = self.query_one(Options).scrollable_content_region.width or self.size.width - 4
        head, lines = group_lines(groups, states, width, self._by or "reason", round(time.time() * 1000))
        self.query_one("#dead-head", Static).update(head)
        self._lines = [*groups, *unread]
        self.query_one(Options).show(lines, self._nothing)
        read, there = self._groups.counted, sum(each.depth or 0 for each in endpoints)
        verb = "reading… " if self._is_reading else ""
        panel.state = f"{verb}{read:,} of {max(there, read):,} read" if is_there else ""
        if is_there and self._filter:
            shown = len(self._lines)
            panel.state = f"{shown:,} of {all_lines:,} with {visible(self._filter, _FILTER)!r}, {panel.state}"
        if self._is_outdated:
            panel.note = f"read before the last move: {self.key_of('read_again')} reads again"
            self._tell_detail()
            self.query_one(KeyBar).update()
            return
        gaps = [gap for each in covered.values() for gap in each.gaps]
        panel.note = (
            f"not seen: {gaps[0].what}" + (f" and {len(gaps) - 1} more" if len(gaps) > 1 else "") if gaps else ""
        )
        self._tell_detail()
        self.query_one(KeyBar).update()

    def _state_of(self, endpoint: Endpoint) -> str:
        return "reading…" if self._is_reading and (self._look or not price_of(endpoint)) else "not read"

    def _tell_detail(self) -> None:
        """Say of the line at the cursor what there is no room for in it."""
        detail = self.query_one("#dead-detail", Static)
        match self._line():
            case Group() as group:
                where = ", ".join(
                    f"{visible(str(address), _LONGEST)} {count:,}" for address, count in group.places.items()
                )
                query = self._groups.query_of(group)
                text = Text(
                    f"{visible(group.text or group.reason, _LONGEST) or 'no reason is known'}\n", overflow="fold"
                )
                text.append(f"in {where}\n", "muted")
                detail.update(text.append(query or "no query selects these", "muted"))
            case Endpoint() as endpoint:
                price = price_of(endpoint)
                detail.update(Text(f"{visible(str(endpoint.address), _LONGEST)} was not read. {price}", "muted"))
            case _:
                detail.update("")

    # What can be done with a line.

    def _line(self) -> Group | Endpoint | None:
        at = self.query_one(Options).highlighted
        return self._lines[at] if at is not None and at < len(self._lines) else None

    def on_option_list_option_highlighted(self) -> None:
        """Another line has the cursor."""
        self._tell_detail()

    def on_option_list_option_selected(self, event: Options.OptionSelected) -> None:
        """Open the events of a group, or an endpoint that was not read."""
        match self._line():
            case Group() as group:
                self.host.open_matching(list(group.places), self._groups.query_of(group))
            case Endpoint() as endpoint:
                self.host.open_endpoint(endpoint.address)


def _all_of(endpoint: Endpoint) -> Scope:
    return scope_of(f"all {endpoint.depth or 0:,}", f"of {visible(str(endpoint.address), 60)}", [endpoint.address])


def _why_no_field(text: str) -> str | None:
    try:
        Field(text)
    except QueryError as error:
        return error.message
    return None
