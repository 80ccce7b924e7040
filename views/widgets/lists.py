"""Choices in a form, as lists: one of a few, several in an order, and a yes or no. Enter submits the form."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Checkbox
from textual.widgets.option_list import Option

from views.widgets.options import DialogOptions
from workbench.decode.display import visible


class Submitted(Message):
    """Enter was pressed in a list or on a toggle: whoever asks takes the answer."""


class ChoiceList(DialogOptions):
    """One of a few lines: the cursor chooses, and the line that is chosen is marked `(•)`."""

    DEFAULT_CSS = "ChoiceList, ChoiceList:focus { border: none; padding: 0; height: auto; max-height: 8; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", show=False)]

    def __init__(self, choices: Sequence[tuple[str, str]], chosen: int = 0, id: str | None = None) -> None:
        """Offer.

        Args:
            choices: What there is; each with a note, or "".
            chosen: The number of what is chosen at first.
            id: For CSS and for those who ask.
        """
        self._choices = choices
        width = max((len(visible(name)) for name, _ in choices), default=0)
        self._names = [(visible(name).ljust(width), visible(note)) for name, note in choices]
        super().__init__(*(Option(self._line(number, number == chosen)) for number in range(len(choices))), id=id)
        self.highlighted = chosen

    @property
    def chosen(self) -> int:
        """The number of what is chosen."""
        return self.highlighted or 0

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Mark it."""
        super().watch_highlighted(highlighted)
        for number in range(self.option_count):
            self.replace_option_prompt_at_index(number, self._line(number, number == highlighted))

    def _line(self, number: int, chosen: bool) -> Content:
        name, note = self._names[number]
        return Content.assemble("(•) " if chosen else "( ) ", name, ("  " + note if note else "", "$muted"))

    def action_submit(self) -> None:
        """Enter."""
        self.post_message(Submitted())


class CheckList(DialogOptions):
    """Several of many lines, in an order: space checks a line, ctrl with an arrow moves it, as J and K do."""

    DEFAULT_CSS = "CheckList, CheckList:focus { border: none; padding: 0; height: auto; max-height: 16; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", show=False),
        Binding("space", "select", show=False),
        Binding("ctrl+down,J", "move(1)", show=False),
        Binding("ctrl+up,K", "move(-1)", show=False),
    ]

    def __init__(self, items: Sequence[str], checked: Iterable[str], id: str | None = None) -> None:
        """Offer.

        Args:
            items: What there is, in order.
            checked: Which of them are checked at first.
            id: For CSS and for those who ask.
        """
        self._items, self._checked = list(items), set(checked)
        self._shown = list(self._items)
        super().__init__(*map(self._option, self._items), id=id)
        self.highlighted = 0 if self._items else None

    @property
    def checked(self) -> tuple[str, ...]:
        """What is checked, in the order it is in."""
        return tuple(item for item in self._items if item in self._checked)

    def filter(self, text: str) -> None:
        """Show only the items that hold a text; those that are not shown stay checked, and where they are."""
        shown = [item for item in self._items if text.casefold() in item.casefold()]
        if shown != self._shown:
            self._shown = shown
            self.clear_options()
            self.add_options(map(self._option, shown))
            self.highlighted = 0 if shown else None

    def add(self, item: str) -> None:
        """One more item, first and checked."""
        if item not in self._items:
            self._items.insert(0, item)
        self._checked.add(item)
        self._shown = []
        self.filter("")

    def _option(self, item: str) -> Option:
        return Option(Content(f"[{'x' if item in self._checked else ' '}] {visible(item)}"))

    def _draw(self, at: int) -> None:
        self.replace_option_prompt_at_index(at, self._option(self._shown[at]).prompt)

    def action_select(self) -> None:
        """Check the line, or not any more; a click does so, too."""
        if (at := self.highlighted) is not None:
            self._checked ^= {self._shown[at]}
            self._draw(at)

    def action_move(self, lines: int) -> None:
        """Move the line up or down, and the cursor with it."""
        if (at := self.highlighted) is None or not 0 <= at + lines < len(self._shown):
            return
        # Among those that are shown: what stands between two of them in the whole list stays where it is.
        one, other = self._items.index(self._shown[at]), self._items.index(self._shown[at + lines])
        for items, first, second in ((self._items, one, other), (self._shown, at, at + lines)):
            items[first], items[second] = items[second], items[first]
        self._draw(at)
        self._draw(at + lines)
        self.highlighted = at + lines

    def action_submit(self) -> None:
        """Enter."""
        self.post_message(Submitted())


class Toggle(Checkbox):
    """A yes or no: `[X]` or `[ ]`, where others only change its colour."""

    # Textual draws the sides in the colour of the ground.
    BUTTON_LEFT, BUTTON_INNER, BUTTON_RIGHT = "", "[ ]", ""
    DEFAULT_CSS = """
    Toggle {
        border: none; padding: 0; background: $background; width: 1fr;
        &:focus { border: none; background-tint: $background 0%; }
        & > .toggle--button, &.-on > .toggle--button { color: $foreground; background: $background; }
        &:focus > .toggle--label, &:blur > .toggle--label { background: $background; }
        &:focus > .toggle--label { background: $cursor; color: $foreground; text-style: $cursor-style; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", show=False)]

    def watch_value(self) -> None:
        """Draw it."""
        self.BUTTON_INNER = "[X]" if self.value else "[ ]"
        super().watch_value()

    def action_submit(self) -> None:
        """Enter."""
        self.post_message(Submitted())
