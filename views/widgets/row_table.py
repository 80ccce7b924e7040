"""A table whose cursor is a row. Textual's, which takes a while to import: it is imported where one is shown."""

from rich.text import Text
from textual.strip import Strip
from textual.widgets import DataTable

from views.widgets.styles import with_bar


class RowTable(DataTable[Text]):
    """Rows of cells."""

    def __init__(self) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False)

    def render_line(self, y: int) -> Strip:
        return with_bar(super().render_line(y))
