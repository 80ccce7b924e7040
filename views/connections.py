"""The connections of the session: how each stands and what is wrong, step by step; adding, editing, removing them."""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.events import Resize
from textual.widgets import Static

from views.connection_dialog import ConnectionDialog, Kept, shorten, steps_table
from views.dialogs.form import Answers
from views.host import Host
from views.steady_app import KEY_WORK
from views.widgets.connection_table import ConnectionTable, Row
from views.widgets.explanation import Explanation
from views.widgets.holdings import Holdings, largest
from views.widgets.key_bar import KeyBar
from views.widgets.panel import WIDE, Panel
from views.workbench_screen import WayBack, WorkbenchScreen
from workbench.connecting.check import Step, duration
from workbench.connecting.logins import describe_receivers
from workbench.connecting.url import for_editing, without_password
from workbench.decode.display import visible
from workbench.model.errors import ConfigError, NotTrusted, WorkbenchError
from workbench.model.wording import quantity
from workbench.operations.connections import ConnectionForm, check_editable, forget, what_is_forgotten
from workbench.operations.watch import Watch, countdown, describe_state


class _Check(msgspec.Struct, frozen=True):
    """What came of trying a connection's steps.

    Attributes:
        at: When, in seconds since 1970.
        steps: So far.
        done: Whether there are no more.
        error: Why none could be tried; empty: they could.
    """

    at: float
    steps: tuple[Step, ...] = ()
    done: bool = False
    error: str = ""


class Connections(WorkbenchScreen):
    """A line for each connection, and all that is known of the one at the cursor."""

    ACTIONS_OF = "connections"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._checks: dict[str, _Check] = {}

    def compose_body(self) -> ComposeResult:
        with Container(id="connections"):
            actions = ("check", "add", "edit_connection", "remove_connection")
            with Panel(title="Connections", actions=actions, id="connection-list"):
                yield ConnectionTable()
                yield Explanation(
                    "No connection is open.",
                    "A new one is tried step by step before it is saved. Reading never consumes.",
                    [(self.key_of("add"), "adds one: a URL, a connection string, or a client's properties file")],
                    "amqp://user@rabbit.example/vhost or kafka://kafka.example:9092",
                )
            with Panel(title="Connection", id="connection"), VerticalScroll(id="details"):
                yield Static("", id="details-text")
            # Shown where a wide screen leaves room for it.
            with Panel(title="Largest endpoints", id="holdings"), VerticalScroll(can_focus=False):
                yield Holdings()

    def on_mount(self) -> None:
        self.set_interval(1, lambda: self.show_listing(None))

    def on_screen_resume(self) -> None:
        """Go to the list."""
        self._list.focus()

    def show_listing(self, watch: Watch | None) -> None:
        """Draw how the connections stand."""
        super().show_listing(watch)
        rows = [self._row(each) for each in self.context.watches.values()]
        self._list.show(rows)
        self._list.display = bool(rows)
        self.query_one(Explanation).display = not rows
        self.query_one("#connection-list").set_class(not rows, "explained")
        self.query_one("#connection").display = bool(rows)
        self.query_one("#connections").set_class(not rows, "alone")
        panel = self.query_one("#connection-list", Panel)
        panel.state = f"{len(rows):,}" if rows else ""
        panel.keys = self.keys_in(panel.actions) if rows else ()
        self._tell()

    @property
    def _list(self) -> ConnectionTable:
        return self.query_one(ConnectionTable)

    @property
    def _name_at_cursor(self) -> str | None:
        return self._list.name_at_cursor

    @on(ConnectionTable.Moved)
    def _tell_of_another(self) -> None:
        self._tell()
        self.query_one(KeyBar).update()

    # What is known of a connection.

    def _row(self, watch: Watch) -> Row:
        session = self.context.session
        try:
            guard = session.level(watch.name).name.lower()
        except WorkbenchError:
            guard = ""
        return Row(watch, guard, session.is_production(watch.name), self._url(watch.name))

    def _url(self, name: str) -> str:
        """Without what is secret in it; empty where it cannot be read."""
        try:
            return without_password(for_editing(self.context.session.describe(name).reveal_url()))
        except WorkbenchError:
            return ""

    def _tell(self) -> None:
        """Draw all that is known of the connection at the cursor."""
        name = self._name_at_cursor
        watch = self.context.watches.get(name) if name is not None else None
        panel, text = self.query_one("#connection", Panel), self.query_one("#details-text", Static)
        if name is None or watch is None:
            panel.title, panel.state = "Connection", ""
            text.update("")
            return
        panel.title = visible(name)
        self._show_holdings(watch)
        facts = Table.grid(padding=(0, 2, 0, 0))
        facts.add_column(style="muted", no_wrap=True)
        facts.add_column(overflow="fold")
        for label, value in self._facts(watch):
            facts.add_row(label, value)
        check = self._checks.get(name)
        parts = [facts] if check is None else [facts, Text(), *_render_check(check)]
        panel.state = "" if check is None or not check.done else f"checked {_clock(check.at)}"
        text.update(Group(*parts))

    def _show_holdings(self, watch: Watch) -> None:
        """Draw what the connection at the cursor holds, where there is room for that."""
        panel = self.query_one("#holdings", Panel)
        if self.size.width >= WIDE:
            panel.title = f"Largest endpoints of {visible(watch.name)}"
            shown, there = len(largest(watch)), sum(bool(each.depth) for each in watch.endpoints.values())
            panel.state = f"{shown:,} of {there:,}" if shown < there else f"{there:,}"
            self.query_one(Holdings).show(watch)

    def on_resize(self, event: Resize) -> None:
        """A wide screen shows more."""
        self._tell()

    def _facts(self, watch: Watch) -> Sequence[tuple[str, Text]]:
        row = self._row(watch)
        facts = [("URL", Text(visible(row.url)))] if row.url else []
        guard = Text(row.guard)
        if row.production:
            guard.append("  production: asks for its name first, except to observe", "dead")
        if tunnel := self.context.session.tunnel_to(watch.name):
            guard.append(f"  a tunnel: the broker says that it lives on {visible(tunnel, 60)}", "warn")
        facts += [("guard", guard), ("configured", Text(self._origin(watch.name)))]
        if watch.state == "connected":
            took = "" if watch.took is None else f", answers in {duration(watch.took)}"
            facts += [
                ("broker", Text(f"{visible(watch.broker) or 'connected'}{took}")),
                ("lists", Text(f"{quantity(len(watch.endpoints), 'endpoint')}{watch.terms}")),
            ]
            if watch.groups:
                lag = sum(group.lag for group in watch.groups)
                facts.append(("groups", Text(f"{quantity(len(watch.groups), 'consumer group')}, lag {lag:,}")))
            dead = [each for each in watch.endpoints.values() if each.holds_dead_letters]
            if dead:
                many = f"{sum(each.depth or 0 for each in dead):,} in {quantity(len(dead), 'endpoint')}"
                facts.append(("dead letters", Text(many, "dead")))
            facts += [("missing", Text(f"{visible(gap.what)}: {visible(gap.reason)}", "warn")) for gap in watch.gaps]
        elif watch.state == "connecting":
            facts.append(("state", Text(describe_state(watch.state), "muted")))
        elif isinstance(watch.state, NotTrusted):
            facts.append(("state", Text(f"{describe_state(watch.state)}; {self.key_of('check')} asks", "warn")))
        else:
            at = "" if watch.failed_at is None else f"{_clock(watch.failed_at / 1000)}  "
            error = Text(f"{at}{describe_state(watch.state)}", "dead")
            facts.append(("last error", error.append(countdown(watch.state), "muted")))
        return facts

    def _origin(self, name: str) -> str:
        match self.context.session.origin(name):
            case "session":
                return "for this session only"
            case "start":
                return "in no file: given at the start, by -c or as the demo"
            case Path() as path:
                theirs = " (not trusted)" if path == self.context.session.config.stranger else ""
                return f"in {visible(shorten(path))}{theirs}"

    # Actions.

    def _why_no_connection(self) -> str | None:
        return None if self._name_at_cursor is not None else "There is no connection: a adds one."

    def cannot_check(self) -> str | None:
        return self._why_no_connection()

    def do_check(self) -> None:
        if (name := self._name_at_cursor) is None:
            return
        if name in self.context.session.untrusted:
            self.host.agree(
                f"Connect to {visible(name, 40)}?", self._what_is_let_in(name), "connect", lambda: self._let_in(name)
            )
        else:
            self.run_worker(self._check(name), exclusive=True, group=f"check {name}")

    def _what_is_let_in(self, name: str) -> str:
        """What it means to open a connection of a file that is not trusted."""
        session = self.context.session
        try:
            places = describe_receivers(session.describe(name))
        except WorkbenchError as error:
            return str(error)
        return (
            f"It is in {visible(shorten(session.config.stranger or Path()))}, which is not trusted, and leads to"
            f" {visible(places)}. It gets no password, variable or file of yours."
        )

    def _let_in(self, name: str) -> None:
        self.context.session.let_in(name)
        self.context.watches[name].refresh()

    @on(ConnectionTable.Chosen)
    def _check_clicked(self) -> None:
        self.action_act("check")

    def do_refresh(self) -> None:
        self.host.list_again()

    def cannot_edit_connection(self) -> str | None:
        """Not while events go through it, and not where it is in no file of the user's."""
        if (name := self._name_at_cursor) is None:
            return self._why_no_connection()
        if self.host.is_publishing:
            return "Events are being published: wait until that is done, or stop it first."
        try:
            check_editable(self.context.session, name)
        except ConfigError as error:
            return str(error)
        return None

    def do_edit_connection(self) -> None:
        if (name := self._name_at_cursor) is not None:
            self._ask(ConnectionForm(self.context.session, name))

    def cannot_remove_connection(self) -> str | None:
        return self.cannot_edit_connection()

    def do_remove_connection(self) -> None:
        if (name := self._name_at_cursor) is None:
            return
        looks = len(self.context.ingestions.of_connection(name))
        open_looks = f" {quantity(looks, 'open view')} of it will be closed." if looks else ""
        sentence = (
            f"{what_is_forgotten(self.context.session, name)}{open_looks} Events already shown stay until you quit."
        )
        self.host.agree(f"Remove {name}?", sentence, "remove", lambda: self._remove(name))

    def do_pane(self) -> None:
        (self.query_one("#details") if self._list.has_focus else self._list).focus()

    def way_back(self) -> WayBack | None:
        """From the details to the list, from there to the screen before."""
        return super().way_back() if self._list.has_focus else WayBack("back to the list", self._list.focus)

    def ask_connection(self) -> None:
        """Ask for a new connection."""
        self._ask(ConnectionForm(self.context.session))

    def _ask(self, form: ConnectionForm) -> None:
        dialog = ConnectionDialog(self.context.session, form)

        def apply(answers: Answers) -> None:
            if dialog.kept is not None:
                self._apply(dialog.kept)

        self.host.fill(dialog, apply)

    @work(group=KEY_WORK)
    async def _apply(self, kept: Kept) -> None:
        """Let the session have what was added or edited."""
        session, name = self.context.session, kept.connection.name
        place = None
        if kept.before is not None:
            place = session.names.index(kept.before)
            self._checks.pop(kept.before, None)
            await self.host.drop_connection(kept.before)
        session.add(kept.connection, place)
        self.host.add_watch(name)
        self.host.say(kept.sentence)
        if not self.is_closed:
            self.show_listing(None)
            self._list.go_to(name)

    @work(group=KEY_WORK)
    async def _remove(self, name: str) -> None:
        if name not in self.context.session.names:
            return
        try:
            sentence = forget(self.context.session, name)
        except ConfigError as error:
            self.host.say(str(error), "error")
            return
        self._checks.pop(name, None)
        await self.host.drop_connection(name)
        self.host.say(sentence)

    async def _check(self, name: str) -> None:
        """Try each step, and tell as it goes."""
        session, at = self.context.session, time.time()
        session.retry(name)
        check = self._checks[name] = _Check(at)
        self._tell()
        try:
            async for step in (await session.new_connector(name)).check():
                if self.is_closed or name not in session.names:
                    return
                check = self._checks[name] = msgspec.structs.replace(check, steps=(*check.steps, step))
                self._tell()
        except WorkbenchError as error:
            check = msgspec.structs.replace(check, error=str(error))
        if name in session.names and not self.is_closed:
            self._checks[name] = msgspec.structs.replace(check, done=True)
            self._tell()


def _render_check(check: _Check) -> Sequence[Table | Text]:
    parts: list[Table | Text] = [steps_table(check.steps, "" if check.done or check.error else "trying …")]
    if check.error:
        parts.append(Text(f"✖ {visible(check.error)}", "dead"))
    return parts


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")
