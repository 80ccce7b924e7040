"""What an operation will do, made while it is waited for, and what to do with it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Final, Literal

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from views.dialogs.dialog import Dialog, Verb
from views.steady_app import KEY_WORK
from views.widgets.panel import Panel
from workbench.decode.display import visible
from workbench.model.errors import WorkbenchError
from workbench.operations.move.plan import Plan
from workbench.operations.move.words import plan_lines

Verdict = Literal["dry run", "run", "keep", "edit"]
MakePlans = Callable[[Callable[[str], None]], Awaitable[Sequence[Plan]]]
"""Makes plans; is given whom to tell how far it is, in a few words."""


class Decision(msgspec.Struct, frozen=True):
    """What was decided of plans.

    Attributes:
        verdict: To leave it at this, to carry them out, to keep them in a file, or to edit the messages on their way.
        plans: The plans.
    """

    verdict: Verdict
    plans: tuple[Plan, ...]


class PlanDialog(Dialog[Decision | None]):
    """Shows plans as soon as they are made; gives what was decided, or None where it was left."""

    DEFAULT_CSS = """
    PlanDialog {
        & .wide { height: auto; min-height: 12; max-height: 90%; width: 110; }
        & VerticalScroll { height: auto; max-height: 100%; }
        & #plan-error { color: $dead; height: auto; display: none; margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("enter", "decide('dry run')", show=False),
        Binding("r", "run", show=False),
        Binding("s", "decide('keep')", show=False),
        Binding("e", "decide('edit')", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(
        self,
        title: str,
        make: MakePlans,
        permit: Callable[[Plan], Awaitable[None]],
        verb: str,
        can_keep: bool = True,
    ) -> None:
        """Show.

        Args:
            title: What for.
            make: Makes the plans.
            permit: Raises where a plan must not be carried out, once all who have to be were asked.
            verb: What carrying it out is called: "move".
            can_keep: Whether a plan can be kept in a file, and what is shown is a dry run.
        """
        super().__init__()
        self._title, self._make, self._permit, self._verb = title, make, permit, verb
        self._can_keep: Final = can_keep
        self._plans: tuple[Plan, ...] | None = None
        self._asks = self._failed = False

    def compose(self) -> ComposeResult:
        with self.frame(self._title, ("esc", "cancel"), wide=True):
            with VerticalScroll():
                yield Static(Text("planning …", "muted"), id="plan-lines")
            yield Static("", id="plan-error")

    def on_mount(self) -> None:
        """Make the plans meanwhile."""
        self.query_one(VerticalScroll).focus()
        self._plan()

    @work(group=KEY_WORK)
    async def _plan(self) -> None:
        try:
            plans = tuple(await self._make(self._tell))
        except WorkbenchError as error:
            self._failed = True
            self._say_wrong(str(error))
            self.query_one("#plan-lines").display = False
            return
        self._plans = plans
        self.query_one("#plan-error").display = False
        self.query_one("#plan-lines", Static).update(_drawn(plans))
        panel = self.query_one(Panel)
        panel.state = f"plan {plans[0].id}, not run" if len(plans) == 1 else f"{len(plans)} plans, not run"
        panel.keys = self._verbs()

    def _tell(self, text: str) -> None:
        if self.is_attached:
            self.query_one("#plan-lines", Static).update(Text(visible(text), "muted"))

    def _verbs(self) -> list[Verb]:
        verbs: list[Verb] = [("enter", "dry run only")] if self._can_keep else []
        if self._moving:
            verbs.append(("r", f"{self._verb} {self._moving:,}"))
        if self._can_keep:
            verbs += [("e", "edit first"), ("s", "keep plan in a file")]
        return [*verbs, ("esc", "cancel")]

    @property
    def _moving(self) -> int:
        plans = self._plans or ()
        # What was undone already may have left second copies.
        return sum(plan.moving for plan in plans) or sum(plan.second for plan in plans)

    def _say_wrong(self, sentence: str) -> None:
        error = self.query_one("#plan-error", Static)
        error.update(Text(f"✖ {visible(sentence)}"))
        error.display = True

    def action_decide(self, verdict: Verdict) -> None:
        """Take it, once there is a plan."""
        if (plans := self._planned()) is not None and self._can_keep:
            self.dismiss(Decision(verdict, plans))

    def action_run(self) -> None:
        """Carry it out, where that is allowed."""
        if (plans := self._planned()) is None:
            return
        if not self._moving:
            self._say_wrong(f"There is nothing to {self._verb}.")
            return
        self._asks = True
        self._run(plans)

    def _planned(self) -> tuple[Plan, ...] | None:
        """The plans, where something can be decided about them now."""
        if self._plans is None and not self._failed:
            self._say_wrong("It is planned still: decide when the plan is shown.")
        return None if self._asks else self._plans

    @work(group=KEY_WORK)
    async def _run(self, plans: tuple[Plan, ...]) -> None:
        try:
            for plan in plans:
                await self._permit(plan)
        except WorkbenchError as error:
            self._say_wrong(str(error))
        else:
            self.dismiss(Decision("run", plans))
        finally:
            self._asks = False

    def action_scroll(self, lines: int) -> None:
        """Go down or up."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def _drawn(plans: Sequence[Plan]) -> Group:
    """Plans, one below the other."""
    parts: list[Text | Table] = []
    for number, plan in enumerate(plans, 1):
        if len(plans) > 1:
            parts.append(Text(f"{number} of {len(plans)}  {visible(plan.title, 200)}", "bold"))
        lines = Table.grid(padding=(0, 2, 0, 0))
        lines.add_column(style="muted", no_wrap=True, justify="right")
        lines.add_column(overflow="fold")
        for line in plan_lines(plan):
            lines.add_row(line.label, Text(line.text, "warn" if line.warns else ""))
        parts.append(lines)
        if number < len(plans):
            parts.append(Text())
    return Group(*parts)
