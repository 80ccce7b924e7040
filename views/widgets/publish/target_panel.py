"""Where an event goes: address, key and partition, who receives it there, and what stands against it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from views.widgets.fields import Completing, FieldRow, TextField
from views.widgets.panel import Panel
from workbench.decode.display import visible, visible_bytes
from workbench.model.endpoint import Ability, Endpoint
from workbench.operations.drafts.audience import Audience
from workbench.operations.drafts.model import Draft, Target

_SIGNS: Final = {"good": ("✔", "live"), "warn": ("⚠", "warn"), "wrong": ("✖", "dead")}


class TargetPanel(Panel):
    """The fields `target`, `key` and `partition`, and what is known of the target."""

    DEFAULT_CSS = """
    TargetPanel {
        height: auto;
        & #target { width: 3fr; }
        & #key { width: 2fr; }
        & #partition { width: 8; }
        & #audience, & #came-from { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & #remarks { height: auto; max-height: 4; color: $warn; }
    }
    """

    def __init__(self, targets: Callable[[], Iterable[str]]) -> None:
        """Frame.

        Args:
            targets: The addresses that can be published to, as a user may write them.
        """
        super().__init__(title="Target", id="target-panel")
        self._targets: Final = targets

    def compose(self) -> ComposeResult:
        with FieldRow():
            yield Static("to", classes="label first")
            yield TextField(
                placeholder="connection/name; → completes",
                id="target",
                suggester=Completing(self._targets),
                select_on_focus=True,
            )
            yield Static("key", classes="label")
            yield TextField(id="key", placeholder="none", select_on_focus=True)
            yield Static("partition", classes="label", id="partition-label")
            yield TextField(id="partition", placeholder="any", restrict=r"[0-9]*", select_on_focus=True)
        yield Static("", id="audience")
        yield Static("", id="came-from")
        yield Static("", id="remarks")

    def begin(self, draft: Draft) -> None:
        """Show the fields of another draft."""
        self.state = f"clone of {draft.made_from}" if draft.made_from else ""
        key = self.query_one("#key", TextField)
        bytes_shown = "masked" if draft.hidden_key else visible_bytes(draft.key, 30)
        key.placeholder = f"{bytes_shown}: kept until you type" if draft.key else "none"

    def show_endpoint(self, endpoint: Endpoint | None, partition: int | None) -> None:
        """Show the field for a partition where there are any."""
        there = partition is not None or (endpoint is not None and Ability.PARTITIONS in endpoint.abilities)
        for id in ("#partition", "#partition-label"):
            self.query_one(id).display = there

    def show_audience(self, audience: Audience | None) -> None:
        """Say who receives it; None: there is no target, or it is not known."""
        line = Text(no_wrap=True, overflow="ellipsis")
        if audience is not None:
            sign, style = _SIGNS[audience.kind]
            line.append(f"{sign} ", style)
            line.append(visible(audience.sentence), "" if audience.kind == "good" else style)
        self.query_one("#audience", Static).update(line)

    def show_origin(self, draft: Draft, other: Target | None, key: str) -> None:
        """Say where a dead letter was and came from, and what else it may be aimed at.

        Args:
            draft: Its clone.
            other: What `key` aims it at; None: nothing else.
            key: As a user writes it.
        """
        line = Text(no_wrap=True, overflow="ellipsis")
        if draft.came_from:
            line.append("came from ", "muted").append(visible(draft.came_from, 70))
        if other is not None:
            line.append(f"{'   ' if draft.came_from else ''}{key} ", "focus")
            line.append(visible(f"{other.address}{' instead' if draft.target else ''}, {other.what}"), "muted")
        shown = self.query_one("#came-from", Static)
        shown.update(line)
        shown.display = bool(line.plain)

    def show_remarks(self, sentences: Sequence[str]) -> None:
        """Say what to know before it is sent."""
        shown = self.query_one("#remarks", Static)
        shown.update(Text("\n".join(f"⚠ {visible(each)}" for each in sentences)))
        shown.display = bool(sentences)
