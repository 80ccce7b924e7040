"""The connections of the session: how each stands, what is wrong step by step, and how to add one."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from views.widgets.options import Options
from views.widgets.panel import Panel
from views.workbench_screen import WorkbenchScreen
from workbench.connecting.config import Connection
from workbench.connecting.config_edit import add
from workbench.connecting.connection_formats import connection_of, url_of
from workbench.connecting.guard import Guarded
from workbench.connecting.url import without_password
from workbench.decode.display import visible
from workbench.model.errors import ConfigError, WorkbenchError
from workbench.operations.watch import Watch, countdown, describe_state, sign


class Connections(WorkbenchScreen):
    """A line for each connection; enter tries each step on the way to its broker."""

    ACTIONS_OF = "connections"

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="connections"):
            with Panel(title="Connections", actions=("check", "add"), id="connections-panel"):
                yield Options(id="list")
            with Panel(title="Steps", id="steps"), VerticalScroll():
                yield Static("", id="steps-text")

    def on_mount(self) -> None:
        self.set_interval(1, lambda: self.show_listing(None))

    def on_screen_resume(self) -> None:
        """Go to the list."""
        self.query_one(Options).focus()

    def show_listing(self, watch: Watch | None) -> None:
        """Draw how the connections stand."""
        super().show_listing(watch)
        lines = [_line(each) for each in self.context.watches.values()]
        self.query_one(Options).show(lines, "No connection is open: a adds one.")

    def cannot_check(self) -> str | None:
        return None if self._name_at_cursor else "There is no connection: a adds one."

    @property
    def _name_at_cursor(self) -> str | None:
        at = self.query_one(Options).highlighted
        names = list(self.context.watches)
        return names[at] if at is not None and at < len(names) else None

    def do_check(self) -> None:
        if (name := self._name_at_cursor) is not None:
            self._check(name)

    def on_option_list_option_selected(self) -> None:
        """Enter tries the steps."""
        self.action_act("check")

    def do_refresh(self) -> None:
        self.host.list_again()

    def ask_connection(self) -> None:
        """Ask for a connection's name and URL."""
        self.host.ask(
            "Add a connection",
            "NAME=URL, such as shop=amqp://user:password@host/vhost or log=kafka://host:9092, or NAME and a"
            " broker's own connection string. On other machines it is read-only until its guard is raised in the"
            " configuration.",
            self._add,
            wrong=self._wrong,
        )

    def _wrong(self, text: str) -> str | None:
        try:
            connection = connection_of(text)
        except ConfigError as error:
            return str(error)
        if connection.name in self.context.session.names:
            return f"There is already a connection {connection.name!r}: choose another name."
        return None

    def _add(self, text: str) -> None:
        self._try(connection_of(text), text)

    @work(exclusive=True, group="steps")
    async def _try(self, connection: Connection, text: str) -> None:
        """Try the steps; a connection that stands is taken into the session, and saved. Another leaves nothing."""
        session = self.context.session

        async def guarded() -> Guarded:
            nonlocal connection
            connection = await session.with_password(connection)
            return session.connector_for(connection)

        if not await self._steps(connection.name, guarded):
            return
        session.add(connection)
        self.host.add_watch(connection.name)
        await self.host.pause()
        self.host.ask(
            f"{connection.name} is connected",
            "Save it to this configuration file? The password is not saved: next time, keyring, password_command or"
            " ${VARIABLE} gives it. Esc keeps the connection for this session only.",
            lambda path: self._save(connection, text, Path(path)),
            str(session.config.target),
        )

    def _save(self, connection: Connection, text: str, path: Path) -> None:
        url, _ = url_of(text)
        url = url.partition("=")[2] if "=" in url.partition("://")[0] else url
        level = "observe" if not connection.loopback else "move"
        try:
            add(path.expanduser(), connection.name, without_password(url), level, False)
        except ConfigError as error:
            self.host.say(str(error), "error")
        else:
            self.host.say(f"{connection.name} is saved in {path}.")

    @work(exclusive=True, group="steps")
    async def _check(self, name: str) -> None:
        self.context.session.retry(name)
        await self._steps(name, lambda: self.context.session.new_connector(name))

    async def _steps(self, name: str, unopened: Callable[[], Awaitable[Guarded]]) -> bool:
        """Try each step and tell as it goes; whether all stood."""
        text = Text()
        text.append(f"{visible(name)}\n\n", "bold")
        report = self.query_one("#steps-text", Static)
        report.update(text)
        well = True
        try:
            async for step in (await unopened()).check():
                text.append("✖ " if step.error else "● ", "dead" if step.error else "live")
                text.append(f"{visible(step.name)}  ")
                text.append(f"{visible(step.error or step.found)}\n", "" if step.error else "muted")
                well = well and step.error is None
                report.update(text)
        except WorkbenchError as error:
            text.append(f"✖ {visible(str(error))}", "bold")
            well = False
        report.update(text)
        return well


def _line(watch: Watch) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    well, waiting = watch.state == "connected", watch.state == "connecting"
    line.append(f"{sign(watch.state)} ", "" if waiting else "live" if well else "dead")
    if well:
        gaps = [f"{gap.what} cannot be listed: {gap.reason}" for gap in watch.gaps]
        rest = "; ".join([f"{len(watch.endpoints):,} endpoints{watch.terms}", *gaps])
    else:
        rest = describe_state(watch.state) + countdown(watch.state)
    line.append(f"{visible(watch.name, 24)}  ", "bold")
    line.append(visible(rest))
    return line
