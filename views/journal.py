"""Journal: what was moved and deleted; to be resumed, undone and forgotten."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.widgets import Static

from views.catch_up import CatchUp
from views.dialogs.message_page import MessagePage
from views.host import Host
from views.steady_app import KEY_WORK
from views.undoing import Undoing
from views.widgets.explanation import Explanation
from views.widgets.key_bar import KeyBar
from views.widgets.operations import Details, entry_line, operation_lines, operation_story
from views.widgets.options import Options
from views.widgets.panel import NARROW, Panel
from views.workbench_screen import WayBack, WorkbenchScreen
from workbench.decode.display import visible
from workbench.model.errors import StoreError, WorkbenchError
from workbench.model.wording import quantity
from workbench.operations.journal.journal_file import Entry
from workbench.operations.journal.records import Record, read_entries, read_failures, read_steps, records
from workbench.operations.journal.retention import forget
from workbench.operations.watch import Watch

MOST: Final = 500
"""Messages of an operation that are listed."""
_MOST_BYTES: Final = 16_777_216
_BEAT: Final = 1.0
"""Seconds between two readings while an operation runs."""
_ACTIONS: Final = ("resume", "undo", "forget")


class Journal(WorkbenchScreen):
    """The operations, the newest first, and all that is known of the one at the cursor."""

    ACTIONS_OF = "journal"
    DEFAULT_CSS = """
    Journal {
        & #journal-body { height: 1fr; }
        & #operations { height: 3fr; }
        & #operation { height: 2fr; }
        & #journal-head { height: 1; }
        & #unreadable { height: auto; max-height: 4; color: $warn; }
        & #listed, & #listed:focus { height: 1fr; border: none; padding: 0; }
        & #listed { text-wrap: nowrap; text-overflow: ellipsis; }
        & #operations.explained { height: 1fr; }
        &.wide #journal-body { layout: horizontal; }
        &.wide #operations { width: 3fr; height: 1fr; }
        &.wide #operation { width: 2fr; height: 1fr; }
        &.narrow #told { padding: 0 1; }
    }
    """

    def __init__(self, host: Host) -> None:
        """Begin with nothing read."""
        super().__init__(host)
        self._records: Sequence[Record] = ()
        self._details: Details | None = None
        self._reading = CatchUp(self, self._read, 0.2)

    def compose_body(self) -> ComposeResult:
        with Container(id="journal-body"):
            with Panel(title="Journal", id="operations"):
                with Vertical(id="journal-list"):
                    yield Static("", id="journal-head")
                    yield Options(id="listed")
                yield Static("", id="unreadable")
                yield Explanation(
                    "Nothing was moved or deleted yet.",
                    "Each move and each deletion is a line here, with every message as it was: to be resumed, undone or"
                    " forgotten.",
                    [
                        (self.key_of("dead_letters"), "dead letters, to be moved back to where they came from"),
                        (self.key_of("move", "events"), "on Events moves events to another endpoint"),
                    ],
                    "✔ 2026-03-14 10:03:22  done  67  0  0  67 messages of payments-dlt → payments",
                )
            with Panel(title="Operation", id="operation"), VerticalScroll(id="told"):
                yield Static("", id="told-text")

    def on_mount(self) -> None:
        """Read now, and again while an operation runs."""
        self.query_one("#unreadable").display = False
        self.set_interval(_BEAT, self._tick)
        self._reading.request()

    def on_screen_resume(self) -> None:
        """Go to the list, and read what was written while another screen was shown."""
        self._list.focus()
        self._reading.request()

    def on_workbench_screen_operation_ended(self) -> None:
        """Read how it ended."""
        self._reading.request()

    def show_listing(self, watch: Watch | None) -> None:
        """What can be resumed depends on the connections that there are."""
        super().show_listing(watch)

    def _tick(self) -> None:
        if self.is_current and (self.host.operation is not None or any(r.state == "running" for r in self._records)):
            self._reading.request()

    @property
    def _list(self) -> Options:
        return self.query_one("#listed", Options)

    @property
    def _record(self) -> Record | None:
        """The operation at the cursor."""
        at = self._list.highlighted
        return self._records[at] if at is not None and at < len(self._records) else None

    # Reading.

    async def _read(self) -> None:
        before = self._record
        found, wrong = await asyncio.to_thread(records)
        if self.is_closed:
            return
        self._records = found
        self._draw(wrong)
        places = [each.path for each in found]
        if before is not None and before.path in places:
            # What is new comes above it.
            self._list.highlighted = places.index(before.path)
        await self._read_details()

    @work(exclusive=True, group="details")
    async def _read_about_cursor(self) -> None:
        await self._read_details()

    async def _read_details(self) -> None:
        record = self._record
        details = await asyncio.to_thread(_details_of, record.path) if record is not None else None
        if not self.is_closed and record == self._record:
            self._details = details
            self._tell()

    def on_option_list_option_highlighted(self) -> None:
        """Another operation has the cursor."""
        self._tell()
        self.query_one(KeyBar).update()
        self._read_about_cursor()

    # What is drawn.

    def _draw(self, wrong: Sequence[str]) -> None:
        found = self._records
        is_there = bool(found)
        self.query_one("#journal-list").display = is_there
        self.query_one("#operation").display = is_there
        self.query_one(Explanation).display = not is_there
        panel = self.query_one("#operations", Panel)
        panel.set_class(not is_there, "explained")
        panel.keys = [("enter", "messages"), *self.keys_in(_ACTIONS)] if is_there else ()
        unfinished = sum(each.can_go_on for each in found)
        of = f"{unfinished:,} not finished of " if unfinished else ""
        panel.state = f"{of}{len(found):,}" if is_there else ""
        unreadable = self.query_one("#unreadable", Static)
        unreadable.display = bool(wrong)
        unreadable.update(Text("\n".join(f"! {visible(each, 300)}" for each in wrong)))
        is_narrow = self.size.width < NARROW
        head, lines = operation_lines(found, is_narrow)
        self.query_one("#journal-head", Static).update(head)
        self._list.show(lines, "")
        self.query_one(KeyBar).update()

    def _tell(self) -> None:
        """Draw all that is known of the operation at the cursor."""
        record, details = self._record, self._details
        panel, text = self.query_one("#operation", Panel), self.query_one("#told-text", Static)
        if record is None:
            panel.state = ""
            text.update("")
            return
        panel.state = f"{record.operation.id}, {record.state}"
        text.update(operation_story(record, details))

    # What can be done with an operation.

    def _why_none(self) -> str | None:
        return None if self._record is not None else "There is no operation."

    def _why_elsewhere(self, record: Record) -> str | None:
        """Why nothing can be done at its brokers from here."""
        if self.host.operation is not None:
            return f"{self.host.operation.what} is running: one operation runs at a time."
        name = record.operation.source.connection
        if name not in self.context.session.names:
            return f"There is no connection {visible(name, 60)} here: it was operated on through it."
        return None

    def cannot_resume(self) -> str | None:
        record = self._record
        if record is None:
            return self._why_none()
        return record.why_no_resume or self._why_elsewhere(record)

    def do_resume(self) -> None:
        record = self._record
        assert record is not None
        counts = record.counts
        unknown = f"{quantity(counts.open, 'message')} of unknown outcome. " if counts.open else ""
        sentence = f"{counts.done:,} done. {unknown}Nothing that was confirmed is published again."
        if record.operation.kind == "seek":
            sentence = "The group is put there once more."
        self.host.agree("Resume?", f"{record.operation.title}: {sentence}", "resume", lambda: self._resume(record.path))

    def _resume(self, path: Path) -> None:
        self.host.resume_operation(path)
        self._reading.request()

    def cannot_undo(self) -> str | None:
        record = self._record
        if record is None:
            return self._why_none()
        return record.why_no_undo or self._why_elsewhere(record)

    def do_undo(self) -> None:
        record = self._record
        assert record is not None
        Undoing(self, record, self._reading.request).ask()

    def cannot_forget(self) -> str | None:
        record = self._record
        if record is not None and record.state == "running":
            return f"Operation {record.operation.id} is running."
        return self._why_none()

    def do_forget(self) -> None:
        record = self._record
        assert record is not None
        lost = (
            f"{quantity(record.counts.open, 'message')} of unknown outcome in it: resume it first to find out. "
            if record.counts.open
            else ""
        )
        kept = "its messages are deleted from the journal, and it can be neither resumed nor undone."
        self.host.agree(
            "Forget?", f"{record.operation.title}: {lost}{kept}", "forget", lambda: self._forget(record.path)
        )

    @work(group=KEY_WORK)
    async def _forget(self, path: Path) -> None:
        try:
            await asyncio.to_thread(forget, path)
        except StoreError as error:
            self.host.say(str(error), "error")
        else:
            self.host.say(f"Operation {path.stem} is forgotten.")
        self._reading.request()

    def on_option_list_option_selected(self) -> None:
        """Show its messages."""
        if (record := self._record) is not None:
            self._show_messages(record)

    @work(group=KEY_WORK, exclusive=True)
    async def _show_messages(self, record: Record) -> None:
        mask = self.context.session.reading.mask_off_loop
        try:
            found = await asyncio.to_thread(_first_entries, record.path)
        except WorkbenchError as error:
            self.host.say(str(error), "error")
            return
        lines = []
        for entry in found:
            seen = await mask(entry.message)
            lines.append(entry_line(msgspec.structs.replace(entry, message=seen)))
        left = record.counts.total - len(found)
        more = f"and {left:,} more: `workbench journal show {record.operation.id} --messages`" if left > 0 else ""
        if not self.is_closed and self.is_current:
            self.app.push_screen(MessagePage(f"Messages of {record.operation.id}", lines, more))

    def do_pane(self) -> None:
        (self.query_one("#told") if self._list.has_focus else self._list).focus()

    def way_back(self) -> WayBack | None:
        """From the operation to the list, from there to the screen before."""
        return super().way_back() if not self.query_one("#told").has_focus else WayBack("back", self._list.focus)


def _details_of(path: Path) -> Details:
    try:
        steps, stays = read_steps(path)
        return Details(path, steps, stays, read_failures(path))
    except StoreError as error:
        return Details(path, wrong=str(error))


def _first_entries(path: Path) -> list[Entry]:
    """The first messages of an operation, as many as there is room for."""
    found: list[Entry] = []
    size = 0
    with closing(read_entries(path)) as entries:
        for entry in entries:
            found.append(entry)
            size += entry.message.memory
            if len(found) == MOST or size >= _MOST_BYTES:
                break
    return found
