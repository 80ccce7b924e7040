"""The form in which a connection is added or edited: it tries each step on the way to the broker before it is saved."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import msgspec
from rich.table import Table
from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from views.dialogs.form import Answers, Choose, Field, Form, Switch
from views.dialogs.form import Entry as Line
from views.widgets.fields import TextField
from views.widgets.lists import ChoiceList
from views.widgets.panel import Panel
from workbench.connecting.check import Step, duration
from workbench.connecting.config import Connection, is_on_this_machine
from workbench.connecting.connection_formats import is_connection
from workbench.connecting.level import Level
from workbench.connecting.typed_url import while_typed
from workbench.decode.display import visible
from workbench.model.errors import WorkbenchError
from workbench.operations.connections import ConnectionForm, Entry, EntryError, Place
from workbench.session import Session

GUARDS: Final = (
    (Level.OBSERVE, "list endpoints, read topics and streams"),
    (Level.LOOK, "browse queues and tap exchanges too"),
    (Level.PUBLISH, "publish events too"),
    (Level.MOVE, "take events out of queues too"),
    (Level.DESTROY, "delete events for good too"),
)
_NETWORK: Final = ("DNS", "TCP", "TLS")
_TRYING: Final = "trying …"


class Kept(msgspec.Struct, frozen=True):
    """What came of the form.

    Attributes:
        before: The connection's name so far; None: it is new.
        connection: What it is now.
        sentence: Where it is kept, for the user.
    """

    before: str | None
    connection: Connection
    sentence: str


class ConnectionDialog(Form):
    """Asks for a connection, tries it and keeps it; `kept` says what came of it. What is left is left as it was."""

    DEFAULT_CSS = """
    ConnectionDialog {
        & .dialog { width: 84; }
        & #steps { height: auto; margin-top: 1; display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "save", show=False)]

    def __init__(self, session: Session, form: ConnectionForm) -> None:
        """Ask.

        Args:
            session: Whose connections they are.
            form: What is added or edited.
        """
        self._session, self._form = session, form
        self._on_top: Final = asyncio.Event()
        self.kept: Kept | None = None
        """What came of it; None: nothing."""
        entry = form.entry
        self._levels = [level for level, _ in GUARDS if level <= max(Level.MOVE, Level[entry.guard.upper() or "MOVE"])]
        guards = [(level.name.lower(), note) for level, note in GUARDS if level in self._levels]
        fields: list[Field] = [
            Line("name", "name", entry.name, placeholder="as its host", shown=while_typed),
            Line(
                "url",
                "URL",
                entry.url,
                own=True,
                placeholder="amqp://user@host/vhost  kafka://host:9092  FILE.properties",
                shown=while_typed,
            ),
            Line("password", "password", "", placeholder=form.password_source or "if the URL has none", hidden=True),
            Choose("guard", "guard", guards, self._levels.index(Level[entry.guard.upper()]) if entry.guard else 0),
            Switch("production", "production: asks for its name first, except to observe", entry.production),
        ]
        if form.can_be_unsaved:
            places = [(f"in {shorten(form.target, 56)}", ""), ("for this session only", "")]
            fields.append(Choose("saved", "keep it", places, 0 if entry.saved else 1))
        self._proposed = None if entry.guard else 0
        title = "Add a connection" if form.before is None else f"Edit {form.before}"
        super().__init__(title, fields, "try and save")

    def on_mount(self) -> None:
        """Make room for the steps, and say what else can be done."""
        self.query_one(".dialog > VerticalScroll", VerticalScroll).mount(Static("", id="steps"))
        self.query_one(Panel).keys = (
            ("enter", "try and save"),
            ("ctrl+s", "save untried"),
            ("tab", "next field"),
            ("esc", "cancel"),
        )

    def on_screen_resume(self) -> None:
        """It is what is answered next."""
        self._on_top.set()

    @on(Input.Changed, "#url")
    def _propose_guard(self, event: Input.Changed) -> None:
        """Propose to allow more on this machine than elsewhere, as long as the user has not chosen."""
        guard = self.query_one("#guard", ChoiceList)
        if self._proposed is not None and guard.chosen == self._proposed:
            level = Level.PUBLISH if is_on_this_machine(event.value) else Level.OBSERVE
            self._proposed = guard.highlighted = self._levels.index(level)

    @property
    def _entry(self) -> Entry:
        answers = self.answers
        return Entry(
            str(answers["name"]),
            str(answers["url"]),
            str(answers["password"]),
            self._levels[int(str(answers["guard"]))].name.lower(),
            bool(answers["production"]),
            not answers.get("saved", 0),
        )

    def take(self, answers: Answers) -> None:
        """Try it, then keep it."""
        name, url = self.query_one("#name", TextField), self.query_one("#url", TextField)
        if not url.value and is_connection(name.value):
            # It was pasted into the first field that there is.
            name.value, url.value = "", name.value
        self._try(self._entry)

    def action_save(self) -> None:
        """Keep it as it is."""
        for place in ("name", "url", "password", "guard"):
            self.say_wrong(place, None)
        try:
            self._keep(self._entry, self._form.read(self._entry))
        except EntryError as error:
            self.say_wrong(error.place, str(error))

    @work(exclusive=True, group="try")
    async def _try(self, entry: Entry) -> None:
        tried: list[Step] = []
        self._show(tried, _TRYING)
        try:
            connection = await self._form.complete(entry)
            async for step in self._session.connector_for(connection).check():
                tried.append(step)
                self._show(tried, _TRYING)
            self._show(tried, "")
            if (failed := next((step for step in tried if step.error), None)) is not None:
                raise EntryError(_place_of(failed, connection), failed.error or "")
            # Another question may lie on top: it is answered first. What was left in the meantime ends here.
            while not self.is_current:
                self._on_top.clear()
                await self._on_top.wait()
            self._keep(entry, connection)
        except EntryError as error:
            self._show(tried, "")
            self.say_wrong(error.place, str(error))
        except WorkbenchError as error:
            self._show(tried, "")
            self.say_wrong("url", str(error))

    def _keep(self, entry: Entry, connection: Connection) -> None:
        sentence = self._form.keep(entry, connection)
        self.kept = Kept(self._form.before, connection, sentence)
        self.dismiss(self.answers)

    def _show(self, steps: Sequence[Step], more: str) -> None:
        report = self.query_one("#steps", Static)
        report.display = bool(steps or more)
        report.update(steps_table(steps, more, errors=False))
        report.scroll_visible(animate=False)


def steps_table(steps: Sequence[Step], more: str = "", errors: bool = True) -> Table:
    """The steps of a check, a line each: how it went, what was tried, what came of it, how long it took.

    Args:
        steps: So far.
        more: What stands below them.
        errors: Whether what is wrong is said.
    """
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    for step in steps:
        found = step.error if step.error and errors else step.found if step.tried else "not tried"
        style = "muted" if not step.tried else "dead" if step.error else "live"
        table.add_row(
            Text.assemble((f"{step.sign} ", style), (visible(step.name), "" if step.tried else "muted")),
            Text(visible(found or ""), "" if step.error else "muted"),
            Text("" if step.seconds is None else duration(step.seconds), "muted"),
        )
    if more:
        table.add_row(Text(f"◌ {more}", "muted"), Text(), Text())
    return table


def _place_of(step: Step, connection: Connection) -> Place:
    """The field that is most likely wrong."""
    return "url" if step.name.startswith(_NETWORK) or connection.user is None else "password"


def shorten(path: Path, width: int | None = None) -> str:
    """A path as its user writes it, its end in so many cells."""
    home = Path.home()
    written = f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
    return written if width is None or len(written) <= width else f"…{written[1 - width :]}"
