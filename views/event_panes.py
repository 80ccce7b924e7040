"""The panels of Events: what is in them, how they lie at each width, and where the focus is."""

from collections.abc import Sequence
from typing import Final, Literal

from textual import on
from textual.app import ComposeResult
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Input

from views.cost_banner import PriceBanner
from views.host import Host
from views.painting import Columns, Rows, Switcher
from views.widgets.endpoint_card import EndpointCard
from views.widgets.endpoint_tree import EndpointTree
from views.widgets.event_table import EventTable
from views.widgets.group_table import GroupTable
from views.widgets.inspector.inspector import Inspector
from views.widgets.inspector.page import Tab
from views.widgets.key_bar import KeyBar
from views.widgets.panel import NARROW, WIDE, Panel
from views.widgets.progress_row import ProgressRow
from views.widgets.query_bar import QueryBar
from views.widgets.reason_line import ReasonLine
from views.workbench_screen import WorkbenchScreen

_FRAME: Final = 5
"""Cells of the tree's panel that are border, padding and scrollbar."""
_TREE: Final = (34, 42)
"""Cells that the tree's panel has at least, and may always have: it is as wide as the names in it, up to a third of the
screen."""
_TREE_WIDE: Final = (44, 52)
"""Likewise where three panels stand side by side, up to a quarter of the screen."""

_EVENT_KEYS: Final = (("filter_by", "filter by value"), ("exclude", "exclude it"), ("zoom", "zoom"))
"""What stands in the lower border of an event, by the actions."""


class EventPanes(WorkbenchScreen):
    """Endpoints, their events, and one event in full, each in a panel."""

    ACTIONS_OF = "events"
    FIELD_KEYS = (("enter", "to the list"), ("esc", "show all endpoints"))
    # Focused as soon as it is composed: otherwise its panel would be drawn twice.
    AUTO_FOCUS = "#tree"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._pane: Literal["tree", "table", "inspector"] = "tree"
        self._zoomed = False

    def compose_body(self) -> ComposeResult:
        with Columns(id="panes"):
            with Panel(title="Endpoints", actions=("filter",), id="endpoints"):
                yield Input(id="tree-filter", placeholder="endpoints whose name holds …", select_on_focus=False)
                yield EndpointTree(id="tree")
            with Rows(id="right"):
                with Panel(title="Events", id="events"):
                    yield QueryBar(self.context.session.query, id="query")
                    yield PriceBanner(id="banner")
                    yield ReasonLine(id="reasons")
                    yield ProgressRow(id="reading")
                    with Switcher(initial="table", id="main"):
                        yield EventTable(id="table")
                        yield GroupTable(id="group")
                with Panel(title="Endpoint", id="event"), Switcher(initial="card", id="detail"):
                    yield EndpointCard(id="card")
                    yield Inspector(id="inspector")

    @property
    def _tree(self) -> EndpointTree:
        return self.query_one(EndpointTree)

    @property
    def _table(self) -> EventTable:
        return self.query_one(EventTable)

    @property
    def _inspector(self) -> Inspector:
        return self.query_one(Inspector)

    @property
    def _query_bar(self) -> QueryBar:
        return self.query_one(QueryBar)

    @property
    def _banner(self) -> PriceBanner:
        return self.query_one(PriceBanner)

    @property
    def _group_table(self) -> GroupTable:
        return self.query_one(GroupTable)

    @property
    def _switcher(self) -> Switcher:
        return self.query_one("#main", Switcher)

    def _go(self, pane: Literal["tree", "table", "inspector"]) -> None:
        """Put the focus into a pane, which on a narrow screen is the one that shows."""
        self._pane = pane
        self._arrange()
        self._show_detail()
        if pane == "table" and self._switcher.current == "group":
            self._group_table.query_one("DataTable").focus()
        else:
            {"tree": self._tree, "table": self._table, "inspector": self._inspector}[pane].focus()

    def _arrange(self) -> None:
        alone = self._zoomed or self.size.width < NARROW
        endpoints = self.query_one("#endpoints")
        endpoints.display = not alone or self._pane == "tree"
        self.query_one("#right").display = not alone or self._pane != "tree"
        self.query_one("#event").display = not alone or self._pane == "inspector"
        self.query_one("#events").display = not alone or self._pane != "inspector"
        (least, most), share = (_TREE_WIDE, 4) if self.size.width >= WIDE else (_TREE, 3)
        wanted = max(least, min(self._tree.wanted_width + _FRAME, max(most, self.size.width // share)))
        endpoints.styles.width = "1fr" if alone else wanted

    def on_resize(self, event: Resize) -> None:
        self._arrange()

    def on_descendant_focus(self) -> None:
        focused = self.focused
        if focused is self._tree:
            self._pane = "tree"
        elif focused in (self._table, self.query_one(ReasonLine)) or (
            focused is not None and focused in self._group_table.query("*")
        ):
            self._pane = "table"
        elif focused is self._inspector:
            self._pane = "inspector"
        self._show_detail()
        self.query_one(KeyBar).update()

    @on(Inspector.Labelled)
    def _show_detail(self) -> None:
        """Show the event at the table's cursor, or what the tree's is on where there is none or the user is there."""
        has_event = self._switcher.current == "table" and self._inspector.page is not None
        inspected = self._pane == "inspector" or (self._pane == "table" and has_event)
        self.query_one("#detail", Switcher).current = "inspector" if inspected else "card"
        self.query_one(EndpointCard).draw()
        panel = self.query_one("#event", Panel)
        found = f" · {self._inspector.found}" if self._inspector.found else ""
        panel.title = f"Event{found}" if inspected else self._card_title
        panel.state = self._inspector.tabs if inspected else ""
        actions = _EVENT_KEYS if inspected and has_event else ()
        panel.keys = [(key, label) for id, label in actions if (key := self.key_of(id))]

    @property
    def _card_title(self) -> str:
        """What the card is about."""
        line = self._tree.line
        if line is None or line.kind in ("endpoint", "origin"):
            return "Endpoint"
        return "Group" if line.kind == "group" else "Connection"

    def action_show_tab(self, tab: Tab) -> None:
        """Show a tab of the event that was clicked in its panel's border."""
        self._inspector.tab = tab
        self._go("inspector")

    def cannot_zoom(self) -> str | None:
        return (
            "A screen this narrow shows one panel at a time: tab goes to the next."
            if self.size.width < NARROW
            else None
        )

    def do_zoom(self) -> None:
        self._zoomed = not self._zoomed
        self._arrange()

    def do_pane(self) -> None:
        order: Sequence[Literal["tree", "table", "inspector"]] = ("tree", "table", "inspector")
        self._go(order[(order.index(self._pane) + 1) % len(order)])

    def _in(self, widget: Widget) -> bool:
        return self.focused is widget or (self.focused is not None and widget in self.focused.ancestors)
