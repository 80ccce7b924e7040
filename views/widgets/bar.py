"""A line at the edge of the screen."""

from rich.text import Text
from textual.widget import Widget


class Bar(Widget):
    """A line that is asked often and seldom says anything else: only then it is drawn.

    To draw a line at the upper and one at the lower edge, Textual would go through all that lies between them.
    """

    DEFAULT_CSS = "Bar { height: 1; background: $panel; color: $foreground; }"

    def __init__(self) -> None:
        super().__init__()
        self._drawn: Text | None = None
        self._asked = False

    def line(self) -> Text:
        """What it says now."""
        raise NotImplementedError

    def update(self) -> None:
        """It may say something else: now, or once all that is going on has been drawn."""
        self._compare()
        if not self._asked:
            self._asked = True
            self.call_after_refresh(self._compare_again)

    def _compare(self) -> None:
        # What was never drawn will be, whatever it says.
        if self.is_attached and self._drawn is not None and self.line() != self._drawn:
            self.refresh()

    def _compare_again(self) -> None:
        self._asked = False
        self._compare()

    def render(self) -> Text:
        """One line."""
        self._drawn = self.line()
        return self._drawn
