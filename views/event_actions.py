"""What can be done with an event on Events, with those that are marked, and with their table."""

import asyncio
from collections.abc import Sequence
from typing import Final

from textual import on, work

from views.export import body_text, line_text
from views.external_editor import edit_externally
from views.shown_events import ShownEvents
from views.steady_app import KEY_WORK
from views.widgets.event_table import EventTable
from views.widgets.reason_line import ReasonLine
from workbench.decode.body_text import lines_to_read
from workbench.decode.display import visible
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import FormatError, QueryError, WorkbenchError
from workbench.operations.edit.external_program import PAGER
from workbench.query.condition import join_conditions
from workbench.table.columns import column_of, why_no_column

_AT_ONCE: Final = 500
"""Events that are read at once."""


class EventActions(ShownEvents):
    """Acts on the event at the cursor, or on all that are marked."""

    def cannot_find(self) -> str | None:
        return self._no_event()

    def do_find(self) -> None:
        self.host.ask("Find in this event", "A text; n and N go to the next and the previous.", self._find)

    def _find(self, text: str) -> None:
        if not self._in(self._inspector):
            self._go("inspector")
        self._inspector.search(text)

    def cannot_filter_by(self) -> str | None:
        if not self._in(self._inspector):
            return "Open an event with enter, and go to a value in it first."
        return None

    cannot_exclude = cannot_add_column = cannot_filter_by

    def do_filter_by(self) -> None:
        self._filter_by()

    def do_exclude(self) -> None:
        self._filter_by(excluded=True)

    def do_add_column(self) -> None:
        try:
            path = self._inspector.path()
            self._table.add_column(path)
        except (FormatError, QueryError) as error:
            self.host.say(str(error), "warning")
        else:
            self.host.say(f"{path} is a column now.")

    def _filter_by(self, excluded: bool = False) -> None:
        """Ask for the value at the inspector's cursor too, or for all but it, and stay where it is."""
        try:
            condition = self._inspector.condition()
            before = self._events.query
            asked = before.text if before is not None else ""
            query = self.context.session.query(join_conditions(asked, condition, excluded))
        except (FormatError, QueryError) as error:
            self.host.say(str(error), "warning")
            return
        self._query_bar.value = query.text
        self._filter(query, self._table.cursor)
        if not self.query_one("#events").display:
            # The query bar is out of sight.
            self.host.say(f"The events are filtered by {query.text}")

    def cannot_follow(self) -> str | None:
        if self._switcher.current == "group":
            return "A group is shown, and no events."
        return None

    def do_follow(self) -> None:
        self._table.follow = not self._table.follow

    @on(EventTable.Opened)
    def _open_event(self) -> None:
        self._go("inspector")

    def cannot_next_match(self) -> str | None:
        if not self._in(self._inspector):
            return "Open an event and find something in it with ctrl+f first."
        return None if self._inspector.sought else "Find something in this event with ctrl+f first."

    def do_next_match(self) -> None:
        self._inspector.next_match()

    cannot_previous_match = cannot_next_match

    def do_previous_match(self) -> None:
        self._inspector.previous_match()

    def cannot_trace(self) -> str | None:
        return self._no_event()

    @work(exclusive=True, group=KEY_WORK)
    async def do_trace(self) -> None:
        delivery = await self._delivery()
        if delivery is not None:
            self.host.follow_event(delivery)

    def cannot_clone(self) -> str | None:
        return self.cannot_publish() or self._no_event()

    def do_clone(self) -> None:
        self._clone()

    @work(exclusive=True, group=KEY_WORK)
    async def _clone(self, into_body: bool = False) -> None:
        # As it came: a clone of what is masked must not be made of asterisks.
        sequence = self._table.cursor
        delivery = await self.context.archive.get(sequence) if sequence is not None else None
        if delivery is not None:
            self.host.clone_event(delivery, into_body)

    def cannot_move(self) -> str | None:
        if self.context.store is None:
            return "This is a recording: no broker is connected."
        if self.host.operation is not None:
            return f"{self.host.operation.what} is running: one operation runs at a time."
        if not self._table.marks and self._events_to_move and (verb := self._table.verb) not in ("", "copied"):
            return f"This was {verb} already: {self.key_of('browse')} browses what is there now."
        return None if self._movable else "There is nothing to move: go to an event, or to an endpoint that holds some."

    def on_workbench_screen_operation_ended(self) -> None:
        """Show which of the events it has moved or deleted."""
        self._table.read_again()
        self._unmark_gone()

    @work(exclusive=True, group="unmark")
    async def _unmark_gone(self) -> None:
        """What was moved or deleted is not marked any more; what stayed is."""
        marks = sorted(self._table.marks)
        for at in range(0, len(marks), _AT_ONCE):
            some = marks[at : at + _AT_ONCE]
            found = await self.context.archive.rows(some)
            self._table.unmark(
                sequence
                for sequence, each in zip(some, found, strict=True)
                if each is not None and self.context.verb_of(sequence, each)
            )
        self._show_status()

    def do_move(self) -> None:
        self._ask_to_move(deletes=False)

    cannot_delete = cannot_move

    def do_delete(self) -> None:
        self._ask_to_move(deletes=True)

    @property
    def _movable(self) -> bool:
        """Whether there are events, or an endpoint that holds some."""
        return bool(self._events_to_move or self._endpoints_to_move)

    @property
    def _events_to_move(self) -> Sequence[int]:
        """The marked events, else the one at the cursor; none while the tree is gone through."""
        if self._in(self._tree) or self._switcher.current != "table":
            return ()
        at = self._table.cursor
        return sorted(self._table.marks) or ([at] if at is not None else [])

    @property
    def _endpoints_to_move(self) -> Sequence[Endpoint]:
        """The endpoint at the tree's cursor, else those whose events are shown."""
        line = self._tree.line if self._in(self._tree) else None
        addresses = self._sources.addresses if line is None else [line.address] if line.address is not None else []
        found = [self.context.endpoint(address) for address in addresses]
        return [each for each in found if each is not None and Ability.BROWSE in each.abilities]

    def _ask_to_move(self, deletes: bool) -> None:
        # The first picture would wait for it.
        from views.moving import Moving, scope_of, scope_of_held

        scopes = []
        events, endpoints = self._events_to_move, self._endpoints_to_move
        if self._table.marks and events:
            scopes.append(scope_of_held(self, f"{len(events):,} marked", events))
        cursor = self._table.cursor
        if events and cursor is not None:
            scopes.append(scope_of_held(self, "1 selected", [cursor]))
        addresses = [each.address for each in endpoints]
        where = ", ".join(visible(str(each), 60) for each in addresses)
        if endpoints and self._query_text and not self._in(self._tree):
            scopes.append(scope_of("all that match", visible(self._query_text, 60), addresses, self._query_text))
        if endpoints:
            depth = sum(each.depth or 0 for each in endpoints)
            scopes.append(scope_of(f"all {depth:,}" if depth else "all", f"of {where}", addresses))
        Moving(self, scopes, deletes).ask()

    def cannot_copy(self) -> str | None:
        return self._no_event()

    @work(exclusive=True, group=KEY_WORK)
    async def do_copy(self) -> None:
        delivery = await self._delivery()
        if self._in(self._inspector):
            self.host.copy(self._inspector.text_to_copy(), "The value at the cursor")
        elif delivery is not None:
            self.host.copy(*body_text(delivery))

    cannot_copy_line = cannot_copy

    @work(exclusive=True, group=KEY_WORK)
    async def do_copy_line(self) -> None:
        delivery = await self._delivery()
        if delivery is not None:
            try:
                self.host.copy(line_text(delivery), "The event's line")
            except WorkbenchError as error:
                self.host.say(str(error), "error")

    cannot_edit = cannot_clone

    def do_edit(self) -> None:
        self._clone(into_body=True)

    cannot_page = cannot_copy

    @work(exclusive=True, group=KEY_WORK)
    async def do_page(self) -> None:
        delivery = await self._delivery()
        if delivery is None:
            return
        try:
            await edit_externally(self.app, await asyncio.to_thread(lines_to_read, delivery.event), PAGER)
        except WorkbenchError as error:
            self.host.say(str(error), "error")

    def cannot_export(self) -> str | None:
        return None if len(self._events) else "There is no event to export."

    def do_export(self) -> None:
        marked = sorted(self._table.marks)
        self.host.export(marked or self.sequences, "marked" if marked else "shown")

    @work(exclusive=True, group=KEY_WORK)
    async def do_columns(self) -> None:
        from views.dialogs.column_list import ColumnList

        table, words = self._table, await self._events.vocabulary()
        shown = [column.id for column in table.columns]
        names = [*shown, *(column.id for column in table.all_columns), *words.paths]

        def choose(names: tuple[str, ...] | None) -> None:
            if names is not None:
                table.columns = [column_of(name) for name in names]

        if not self.is_closed:
            self.app.push_screen(ColumnList(list(dict.fromkeys(names)), shown, why_no_column), choose)

    def cannot_reasons(self) -> str | None:
        return None if self.query_one(ReasonLine).display else "Only dead letters have reasons: none are shown."

    def do_reasons(self) -> None:
        self._go("table")
        self.query_one(ReasonLine).focus()

    def cannot_sort(self) -> str | None:
        if self._switcher.current != "table":
            return "There are no events to sort."
        return None if self._table.chosen_column else "The table has no columns: C chooses some."

    def do_sort(self) -> None:
        self._events.sort_by(column_of(self._table.chosen_column))

    cannot_mark_range = ShownEvents._no_event
    cannot_mark_all = ShownEvents._no_event
    cannot_invert_marks = ShownEvents._no_event

    def do_mark_range(self) -> None:
        self._table.mark_range()
        self._show_status()

    @work(exclusive=True, group=KEY_WORK)
    async def do_mark_all(self) -> None:
        await self._table.mark_all()
        self._show_status()

    @work(exclusive=True, group=KEY_WORK)
    async def do_invert_marks(self) -> None:
        await self._table.invert_marks()
        self._show_status()

    def do_widen(self) -> None:
        self._table.widen(self._table.chosen_column, 2)

    def do_narrow(self) -> None:
        self._table.widen(self._table.chosen_column, -2)

    def do_colour(self) -> None:
        self._table.coloured = not self._table.coloured

    def do_times(self) -> None:
        self._table.relative_times = not self._table.relative_times
