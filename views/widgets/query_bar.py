"""The query on the events that are shown: written with completion, told where it is wrong, and how many match."""

from collections.abc import Callable
from typing import ClassVar, Final, Literal

from rich.text import Text
from textual import on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from views.widgets.styles import text_style
from workbench.decode.display import cells, visible
from workbench.model.errors import QueryError
from workbench.query.completion import Completions, completions
from workbench.query.query import Query
from workbench.query.vocabulary import Vocabulary

PAUSE: Final = 0.3
"""Seconds without a key after which what was written is asked."""
_SIGN: Final = "/ "
_NONE: Final = Completions(0, ())


class QueryBar(Widget):
    """One line, and while it is written another below it: what may follow, or what is wrong and where."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"query-bar--error", "query-bar--candidate", "query-bar--dim"}
    DEFAULT_CSS = """
    QueryBar {
        height: auto;
        & > Horizontal { height: 1; }
        & .query-sign { width: 2; text-style: bold; color: $focus; }
        & Input { width: 1fr; text-style: $field-style; }
        & .query-count { width: auto; max-width: 50%; height: 1; padding: 0 1; color: $muted; }
        & > .query-below { height: auto; max-height: 4; display: none; }
        & > .query-bar--error { color: $dead; text-style: bold; }
        & > .query-bar--candidate { text-style: bold reverse; }
        & > .query-bar--dim { color: $muted; text-style: $muted-style; }
    }
    """
    FIELD_KEYS: ClassVar = (("enter", "apply"), ("tab", "complete"), ("↑", "earlier"), ("esc", "leave"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("tab", "complete(1)", show=False),
        Binding("shift+tab", "complete(-1)", show=False),
        Binding("up", "earlier", show=False),
        Binding("down", "later", show=False),
    ]

    class Changed(Message):
        """Another query holds.

        Attributes:
            query: It; None: everything matches.
        """

        def __init__(self, query: Query | None) -> None:
            super().__init__()
            self.query = query

    class Left(Message):
        """The field is done with."""

    class Entered(Message):
        """Something is going to be written: who knows what occurs in the events tells it by `learn`."""

    def __init__(self, compile: Callable[[str], Query], id: str | None = None) -> None:
        """An empty field.

        Args:
            compile: Reads a query; raises QueryError where it is none.
            id: The widget's.
        """
        super().__init__(id=id)
        self._compile = compile
        self._words = Vocabulary()
        self._field = _Field(self._complete)
        self._count = Static("", classes="query-count")
        self._counted = 0
        self._below = Static("", classes="query-below")
        self._holds = ""
        self._error: QueryError | None = None
        self._insists = False
        self._timer: Timer | None = None
        # What tab goes through: the candidates, which of them is in the field, and what the field holds then.
        self._offered = _NONE
        self._chosen: int | None = None
        self._completed = ""
        self._history: list[str] = []
        self._recalled: int | None = None
        self._draft = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(_SIGN, classes="query-sign")
            yield self._field
            yield self._count
        yield self._below

    def on_mount(self) -> None:
        """Offer what may stand where the cursor is; say it again in the colours of another theme."""
        self.watch(self._field, "selection", self._offer, init=False)
        self.app.theme_changed_signal.subscribe(self, lambda theme: self._tell())

    # What the screen says and asks.

    @property
    def value(self) -> str:
        """The query's text. One that is set is taken to hold already: nobody is told."""
        return self._field.value

    @value.setter
    def value(self, text: str) -> None:
        self._stop()
        with self._field.prevent(Input.Changed):
            self._field.value = text
        self._field.cursor_position = len(self._field.value)
        self._holds = self._field.value
        self._error = self._chosen = None
        self._offer()

    def count(self, matching: int, of: int, doing: str = "") -> None:
        """Tell how many events match.

        Args:
            matching: So many of those that were asked.
            of: How many were asked.
            doing: What is being done with them, such as `searching…`; where there is none, what is so instead.
        """
        text = f"{doing} {matching:,} of {of:,} held".lstrip() if of else doing
        # As long as it is as wide as before, the screen need not be laid out for it.
        self._count.update(Text(text), layout=len(text) != self._counted)
        self._counted = len(text)

    def learn(self, words: Vocabulary) -> None:
        """Offer what occurs in the events, too."""
        self._words = words
        self._offer()

    def _complete(self, text: str, cursor: int) -> Completions:
        return completions(text, cursor, self._words.paths, self._words.values)

    def focus_field(self) -> None:
        """Let the user write."""
        self._field.focus()

    # Writing.

    @on(Input.Changed)
    def _written(self, event: Input.Changed) -> None:
        event.stop()
        self._stop()
        self._error = None
        self._timer = self.set_timer(PAUSE, self._ask_when_written)
        if self._recalled is not None and self.value != self._history[self._recalled]:
            self._recalled = None
        self._offer()

    def _ask_when_written(self) -> None:
        """Let what was written hold, unless it is half of a word: the events from before stay until it is whole."""
        try:
            self._compile(self.value)
        except QueryError:
            self._ask()
        else:
            if not self._half_written:
                self._ask()

    @property
    def _half_written(self) -> bool:
        """Whether the word at the cursor may become another."""
        cursor = self._field.cursor_position
        return bool(
            self._chosen is None and self._offered.candidates and self.value[self._offered.start : cursor].strip()
        )

    def _ask(self, insists: bool = False) -> bool:
        """Let what was written hold; False: it is no query, and that is told.

        Args:
            insists: Whether an error is told that may only be for want of what is being written.
        """
        self._stop()
        text = self.value
        try:
            query = self._compile(text) if text.strip() else None
        except QueryError as error:
            self._error, self._insists = error, insists
            self._tell()
            return False
        if text.strip() != self._holds.strip():
            self._holds = text
            self.post_message(self.Changed(query))
        return True

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        event.stop()
        if self._ask(insists=True):
            self._leave()

    def action_leave(self) -> None:
        """Leave the field; what is no query goes, and what held before is there again."""
        if not self._ask():
            self.value = self._holds
        self._leave()

    def _leave(self) -> None:
        text = self.value.strip()
        if text:
            self._history = [*(each for each in self._history if each != text), text]
        self._recalled = None
        self.post_message(self.Left())

    def on_descendant_focus(self) -> None:
        """Offer again."""
        self._offer()
        self.post_message(self.Entered())

    def on_descendant_blur(self) -> None:
        """Offer nothing to nobody."""
        self._tell()

    # What was written before.

    def action_earlier(self) -> None:
        """Write the query before this one in the field."""
        if self._recalled is None:
            self._draft = self.value
        self._recall((len(self._history) if self._recalled is None else self._recalled) - 1)

    def action_later(self) -> None:
        """Write the query after this one, at last what was being written."""
        if self._recalled is not None:
            self._recall(self._recalled + 1)

    def _recall(self, number: int) -> None:
        if 0 <= number <= len(self._history):
            self._recalled = number if number < len(self._history) else None
            self._write(self._draft if self._recalled is None else self._history[number])

    def _write(self, text: str, cursor: int | None = None) -> None:
        self._field.value = text
        self._field.cursor_position = len(self._field.value) if cursor is None else cursor

    # Completion.

    def _offer(self) -> None:
        """Know what may stand at the cursor."""
        if self._chosen is None or self.value != self._completed:
            self._chosen = None
            self._offered = self._complete(self.value, self._field.cursor_position) if self.value.strip() else _NONE
        self._tell()

    def action_complete(self, by: Literal[1, -1]) -> None:
        """Write the first candidate in the place of what is there of it; then the next one."""
        if self._chosen is not None and len(self._offered.candidates) == 1:
            self._chosen = None
            self._offer()
        offered = self._offered
        if not offered.candidates:
            raise SkipAction
        if self._chosen is None:
            cursor = self._field.cursor_position
            self._chosen = 0 if by > 0 else len(offered.candidates) - 1
        else:
            cursor = offered.start + len(offered.candidates[self._chosen])
            self._chosen = (self._chosen + by) % len(offered.candidates)
        tail, candidate = self.value[cursor:], offered.candidates[self._chosen]
        head = self.value[: offered.start] + candidate
        self._completed = head + tail
        self._write(self._completed, len(head))

    # What stands below.

    def _tell(self) -> None:
        """Say below what is wrong, else what may follow."""
        error = self._error
        writing = bool(self._field.has_focus and self.value)
        # Where something may follow, what is wrong may be that it does not yet.
        waits = writing and self._offered.candidates and not self._insists
        line: Text | None = None
        if error is not None and not waits:
            line = self._error_line(error)
        elif writing:
            line = self._candidates()
        self._below.display = line is not None
        self._below.update(line or "")

    def _error_line(self, error: QueryError) -> Text:
        """What is wrong, with a caret under the place; in the caret's line where there is room."""
        width = max(self.size.width, 1)
        style = text_style(self, "query-bar--error")
        at = cells(_SIGN) + cells(self.value[: error.column]) - self._field.scroll_offset.x
        at = max(0, min(at, width - 1))
        said = visible(error.message)
        if at + 2 + cells(said) <= width:
            return Text(f"{' ' * at}^ {said}", style)
        if cells(said) < at:
            return Text(f"{' ' * (at - cells(said) - 1)}{said} ^", style)
        return Text(f"{' ' * at}^\n{said}", style)

    def _candidates(self) -> Text:
        """The candidates, the one that tab would write or has written first among those that there is room for."""
        dim = text_style(self, "query-bar--dim")
        line = Text(" " * cells(_SIGN), no_wrap=True, overflow="crop")
        candidates = self._offered.candidates
        if not candidates:
            return line.append("enter or escape: back to the events", dim)
        best = text_style(self, "query-bar--candidate")
        first = self._chosen or 0
        line.append(visible(candidates[first], 40), best)
        room = self.size.width - cells(line.plain)
        for candidate in (*candidates[first + 1 :], *candidates[:first]):
            text = visible(candidate, 40)
            room -= cells(text) + 2
            if room < 2:
                line.append(" …", dim)
                break
            line.append("  ").append(text, dim)
        return line


class _Field(Input):
    """The field; what cannot be seen is not in it."""

    def __init__(self, complete: Callable[[str, int], Completions]) -> None:
        super().__init__(
            placeholder="type = OrderPlaced and body.total > 100, or any text",
            suggester=_Next(complete),
            select_on_focus=False,
            compact=True,
        )

    def validate_value(self, value: str) -> str:
        """Only what a terminal shows: text is pasted, too."""
        return "".join(
            character if character.isprintable() else " " if character.isspace() else "" for character in value
        )


class _Next(Suggester):
    """The first candidate at the end of the field."""

    def __init__(self, complete: Callable[[str, int], Completions]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        """The whole text, as it would be."""
        if not value.strip():
            return None
        found = self._complete(value, len(value))
        # Behind a space anything may follow.
        written = value[found.start :]
        if not found.candidates or not written.strip():
            return None
        return value[: found.start] + found.candidates[0]
