"""The palette: every action by its name, and every endpoint and consumer group by a part of its name."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import ClassVar, Final, Generic, TypeAlias, TypeVar

import msgspec
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widgets import Input

from views.actions import key_name, of_screen
from views.dialogs.dialog import Dialog
from views.widgets.fields import TextField
from views.widgets.line_view import Lines
from views.widgets.panel import Panel
from views.widgets.styles import at_cursor, text_style
from views.workbench_screen import WorkbenchScreen
from workbench.decode.display import cells, visible
from workbench.model.endpoint import Endpoint

Named = TypeVar("Named")
Goal: TypeAlias = Endpoint | tuple[str, str]
"""Where one can go: an endpoint, or a consumer group by its connection and its name."""

FOUND: Final = 50
"""Endpoints and groups that are offered at most."""
RECENT: Final = 5
"""What was chosen last and is offered first."""
LONGEST: Final = 400
"""Characters from which on nothing is looked for: no name is as long, and each takes time with every key."""
_GROUP: Final = " group"
"""What tells the choice of a group from that of an endpoint."""
_WORD_STARTS: Final = "/.:-_ "


class Choice(msgspec.Struct, frozen=True):
    """One line of the palette.

    Attributes:
        id: What it is known by when it is chosen again.
        name: What is looked for first.
        note: What it does, or is; looked in last.
        keys: Its keys, as a user writes them.
        do: Does it.
        refusal: Why it cannot be done now; None: it can.
    """

    id: str
    name: str
    note: str
    keys: tuple[str, ...]
    do: Callable[[], object]
    refusal: str | None = None

    def rank(self, query: str) -> int | None:
        """How well it answers to what was typed: the lower, the better; None: not at all."""
        wanted, name, note = query.casefold(), self.name.casefold(), self.note.casefold()
        if wanted == name or query in self.keys:
            return 0
        if name.startswith(wanted):
            return 1
        words = wanted.split()
        if _begins_words(words, name):
            return 2
        if _begins_words(words, f"{name} {note}"):
            return 3
        if wanted in name:
            return 4
        if wanted in note:
            return 5
        return 6 if _scattered_pattern(wanted).search(name) else None


class Names(Generic[Named]):
    """Things by their names, such as endpoints by their addresses. All are looked through as one text, so that ten
    thousand are found among as quickly as ten."""

    def __init__(self, named: Iterable[tuple[str, Named]]) -> None:
        self._named: Final[list[Named]] = []
        self._places: Final[list[int]] = []
        folded = []
        place = 1
        for name, each in named:
            self._named.append(each)
            folded.append(name.casefold())
            self._places.append(place)
            place += len(folded[-1]) + 1
        self._text: Final = "\n" + "\n".join([*folded, ""])

    def find(self, query: str, most: int) -> list[tuple[int, Named]]:
        """Those that answer to a text, with a rank as `Choice.rank` has it; the best first."""
        wanted = query.casefold()
        found: dict[int, int] = {}
        for rank, places in self._passes(wanted):
            for place in places:
                found.setdefault(bisect_right(self._places, place) - 1, rank)
                if len(found) == most:
                    return self._of(found)
        return self._of(found)

    def _passes(self, wanted: str) -> Iterator[tuple[int, Iterator[int]]]:
        """Where it stands in the text: as a whole, at the start, at the start of a word, within words, scattered."""
        yield 0, self._all(f"\n{wanted}\n")
        yield 1, self._all(f"\n{wanted}")
        for separator in _WORD_STARTS:
            yield 2, self._all(f"{separator}{wanted}")
        yield 4, self._all(wanted)
        yield 6, (match.start() for match in _scattered_pattern(wanted).finditer(self._text))

    def _all(self, wanted: str) -> Iterator[int]:
        place = self._text.find(wanted)
        while place >= 0:
            # Of one that begins with the end of the line before, the line is what follows.
            yield place + 1 if wanted[0] == "\n" else place
            end = self._text.find("\n", place + 1)
            place = self._text.find(wanted, end if end >= 0 else len(self._text))

    def _of(self, found: dict[int, int]) -> list[tuple[int, Named]]:
        return [(rank, self._named[number]) for number, rank in found.items()]


class Choices(Lines, can_focus=False):
    """The lines that answer to what was typed, of which those in sight are drawn."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"choices--cursor", "choices--key", "choices--muted"}
    DEFAULT_CSS = """
    Choices {
        height: auto; max-height: 16; background: $panel;
        & > .choices--cursor { background: $cursor; text-style: $cursor-style; }
        & > .choices--key { color: $focus; text-style: bold; }
        & > .choices--muted { color: $muted; text-style: $muted-style; }
    }
    """
    cursor_line: reactive[int] = reactive(0)
    """The line that the cursor is on, from 0."""

    class Clicked(Message):
        """A line was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: Sequence[Choice] = ()
        self._nothing = ""
        self._names = 0

    @property
    def choice(self) -> Choice | None:
        """The line at the cursor; None: there is none."""
        return self._choices[self.cursor_line] if self.cursor_line < len(self._choices) else None

    def show(self, choices: Sequence[Choice], nothing: str) -> None:
        """Draw these, the cursor on the first; where there are none, say so."""
        self._choices, self._nothing = choices, nothing
        self._names = max((cells(choice.name) for choice in choices), default=0)
        self.cursor_line = 0
        self.virtual_size = Size(1, max(len(choices), 1))
        self.scroll_to(y=0, animate=False, force=True)
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as there are."""
        return max(len(self._choices), 1)

    def render_line(self, y: int) -> Strip:
        number = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if not self._choices and number == 0:
            segments = [Segment(f" {visible(self._nothing, max(width - 2, 0))}", text_style(self, "choices--muted"))]
        elif number < len(self._choices):
            segments = list(self._segments(self._choices[number], width))
        else:
            segments = []
        if self._choices and number == self.cursor_line:
            segments = list(at_cursor(segments, self.get_component_rich_style("choices--cursor")))
            filling = self.rich_style + self.get_component_rich_style("choices--cursor")
            return Strip(segments).adjust_cell_length(width, filling).apply_style(self.rich_style)
        return Strip(segments).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)

    def _segments(self, choice: Choice, width: int) -> Iterator[Segment]:
        muted, key_style = text_style(self, "choices--muted"), text_style(self, "choices--key")
        refused = choice.refusal is not None
        keys = visible(" ".join(choice.keys), 16)
        room = max(width - cells(keys) - 3, 0)
        name = visible(choice.name, room)
        # What they do stands in a column, unless a name is longer than most.
        name += " " * (min(self._names, width // 3) - cells(name))
        note = visible(choice.refusal or choice.note, max(room - cells(name) - 2, 0))
        yield Segment(f" {name}", muted if refused else Style())
        yield Segment(f"  {note}", muted)
        yield Segment(" " * max(width - cells(name) - cells(note) - cells(keys) - 4, 0), Style())
        yield Segment(f"{keys} ", muted if refused else key_style)

    def on_click(self, event: Click) -> None:
        """A click chooses."""
        line = event.y + self.scroll_offset.y
        if line < len(self._choices):
            self.cursor_line = line
            self.post_message(self.Clicked())

    def validate_cursor_line(self, line: int) -> int:
        return max(0, min(line, len(self._choices) - 1))

    def watch_cursor_line(self) -> None:
        self.scroll_to_region(Region(0, self.cursor_line, 1, 1), animate=False, force=True)
        self.refresh()

    @property
    def in_sight(self) -> int:
        """How many lines can be seen at once."""
        return self.size.height

    def move(self, lines: int) -> None:
        """Go down or up."""
        self.cursor_line += lines

    def go_to_end(self, last: bool) -> None:
        """Go to the first line or to the last."""
        self.cursor_line = len(self._choices) - 1 if last else 0


class Palette(Dialog[Choice | None]):
    """Asks what to do; gives it, or None when it was left."""

    DEFAULT_CSS = """
    Palette {
        align: center top;
        & > Panel { margin-top: 2; width: 92; max-width: 100%; height: auto; max-height: 90%; background: $panel; }
        & TextField { margin-bottom: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("down,ctrl+n,tab", "move('cursor_down')", show=False, priority=True),
        Binding("up,ctrl+p,shift+tab", "move('cursor_up')", show=False, priority=True),
        Binding("pagedown,ctrl+d", "move('page_down')", show=False, priority=True),
        Binding("pageup", "move('page_up')", show=False, priority=True),
    ]

    def __init__(self, screen: WorkbenchScreen, recent: Sequence[str]) -> None:
        """Offer.

        Args:
            screen: Where it is to be done.
            recent: The ids of what was chosen before, the last one first.
        """
        super().__init__()
        self._over: Final = screen
        self._recent: Final = recent
        self._actions: Final = list(_actions(screen))
        self._names: Names[Goal] | None = None

    def compose(self) -> ComposeResult:
        with Panel(title="Do something, or go to an endpoint or a group") as panel:
            panel.keys = (("enter", "do"), ("↑ ↓", "choose"), ("esc", "cancel"))
            yield TextField(placeholder="an action, or a part of a name")
            yield Choices()

    def on_mount(self) -> None:
        self._show("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Offer what answers to it."""
        self._show(event.value)

    def on_input_submitted(self) -> None:
        """Give what the cursor is on."""
        if (choice := self.query_one(Choices).choice) is not None:
            self.dismiss(choice)

    def on_choices_clicked(self) -> None:
        """As enter does."""
        self.on_input_submitted()

    def action_move(self, how: str) -> None:
        """Move the cursor of the list."""
        getattr(self.query_one(Choices), f"action_{how}")()

    def _show(self, typed: str) -> None:
        query = typed.strip().lstrip(":").lstrip()
        found = self._matches(query) if query else self._at_first()
        self.query_one(Choices).show(found, f"No action, endpoint or group is called {query!r}.")

    def _at_first(self) -> list[Choice]:
        """The recent ones, then all actions; what cannot be done comes last."""
        known = {choice.id: choice for choice in self._actions}
        if any("/" in id for id in self._recent):
            names = {id.removesuffix(_GROUP) for id in self._recent}
            choices = (self._going_to(goal) for name, goal in self._goals() if name in names)
            known |= {choice.id: choice for choice in choices}
        recent = [known[id] for id in self._recent if id in known]
        rest = [choice for choice in self._actions if choice not in recent]
        return sorted([*recent, *rest], key=lambda choice: choice.refusal is not None)

    def _matches(self, query: str) -> list[Choice]:
        """The best first; what cannot be done comes last, unless just that was typed."""
        if len(query) > LONGEST:
            return []
        if self._names is None:
            self._names = Names(self._goals())
        ranked = [(rank, choice) for choice in self._actions if (rank := choice.rank(query)) is not None]
        ranked += [(rank, self._going_to(goal)) for rank, goal in self._names.find(query, FOUND)]

        def order(each: tuple[int, Choice]) -> tuple[bool, int, int]:
            rank, choice = each
            recent = self._recent.index(choice.id) if choice.id in self._recent else len(self._recent)
            return rank > 0 and choice.refusal is not None, rank, recent

        return [choice for _, choice in sorted(ranked, key=order)]

    def _goals(self) -> Iterator[tuple[str, Goal]]:
        """Where one can go, by name."""
        context = self._over.context
        yield from ((str(endpoint.address), endpoint) for endpoint in context.endpoints())
        for connection, watch in context.watches.items():
            yield from ((f"{connection}/{group.name}", (connection, group.name)) for group in watch.groups)

    def _going_to(self, goal: Goal) -> Choice:
        host = self._over.host
        if isinstance(goal, Endpoint):
            address = str(goal.address)
            return Choice(address, address, goal.kind, (), partial(host.open_endpoint, goal.address))
        name = "/".join(goal)
        # An endpoint may be called so, too.
        return Choice(f"{name}{_GROUP}", name, "consumer group", (), partial(host.open_group, *goal))


def _actions(screen: WorkbenchScreen) -> Iterator[Choice]:
    """What can be done on a screen, and what its connections offer besides."""
    for action in of_screen(screen.ACTIONS_OF):
        keys = tuple(key_name(key) for key in screen.host.keys_of(action).split(",") if key)
        do = partial(screen.action_act, action.id)
        yield Choice(action.id, _name(action.id), action.help, keys, do, screen.why_not(action.id))
    for offer in screen.context.session.actions():
        yield Choice(offer.name, _name(offer.name), offer.help, (), partial(screen.host.act, offer))


def _name(id: str) -> str:
    return id.replace("_", " ").capitalize()


def _begins_words(wanted: Sequence[str], text: str) -> bool:
    """Whether each of some words is the beginning of a word of a text."""
    return all(re.search(rf"(?<![^\W_]){re.escape(word)}", text) for word in wanted)


def _scattered_pattern(wanted: str) -> re.Pattern[str]:
    """Finds the characters of a text in their order, with others between them, in a line.

    Each is the first of its kind behind the one before. Where any might be, a name such as `0000000000000000` would be
    gone through in millions of ways.
    """
    return re.compile("(?m)^" + "".join(rf"[^\n{re.escape(each)}]*+{re.escape(each)}" for each in wanted))
