"""How far an operation is, and how it ended."""

import msgspec

from workbench.model.wording import quantity
from workbench.operations.journal.operation import State


class Progress(msgspec.Struct, frozen=True):
    """How far a move is.

    Attributes:
        total: Messages that are to move, as far as that is known.
        moved: The target has them and, where this is a move, the source not.
        failed: The target did not take them.
        left: They cannot go, and stay.
        returned: They came back to where they were.
        seconds: How long it takes so far.
        phase: What goes on, in words.
        failure: Why the last of those failed that did; empty: none has.
    """

    total: int
    moved: int = 0
    failed: int = 0
    left: int = 0
    returned: int = 0
    seconds: float = 0.0
    phase: str = ""
    failure: str = ""


class Ended(msgspec.Struct, frozen=True):
    """How a move ended.

    Attributes:
        state: Whether it came to its end.
        verb: "moved", "copied", "deleted" or "taken back".
        moved: How many.
        failed: The target did not take them: they are in their source.
        left: They cannot go, and stay.
        returned: They came back; None: nobody watched.
        twice: The target may have them twice.
        gone: In flight when the program ended, and not in the source any more.
        open: Whether the source or the target has them is not known: `resume` finds out.
        missing: Planned to move, and not in the source any more.
        reasons: Why messages stayed or failed, with how many.
        why: Why it did not come to its end, or what else is to be known of it, a sentence; may be empty.
        seconds: How long it took.
        by_broker: Whether the broker carried it out by itself: then it cannot be resumed.
        extra: Second copies of what was taken back, which were removed too: so many at least, where it was cut short.
        unseen: Second copies that the target may have had, and that were not seen there.
        cut_short: Whether it went on after a loss.
    """

    state: State
    verb: str
    moved: int
    failed: int
    left: int
    returned: int | None
    twice: int
    gone: int
    open: int
    missing: int
    reasons: tuple[tuple[str, int], ...]
    why: str
    seconds: float
    by_broker: bool = False
    extra: int = 0
    unseen: int = 0
    cut_short: bool = False

    @property
    def can_go_on(self) -> bool:
        """Whether there is something left to resume."""
        return not self.by_broker and (self.state != "done" or self.open > 0)

    @property
    def complete(self) -> bool:
        """Whether all that was to move has moved, and nothing came back."""
        return self.state == "done" and not (
            self.failed or self.left or self.returned or self.gone or self.open or self.missing
        )

    @property
    def sentence(self) -> str:
        """What came of it, in a line without a full stop."""
        parts = [f"{self.moved:,} {self.verb}", f"{self.failed:,} failed"]
        if self.returned is not None:
            parts.append(f"{self.returned:,} returned")
        if self.left:
            parts.append(f"{self.left:,} cannot go and stay")
        if self.missing:
            parts.append(f"{self.missing:,} no longer there")
        if self.extra:
            parts.append(f"{'at least ' * self.cut_short}{quantity(self.extra, 'second copy')} removed")
        if self.unseen:
            parts.append(f"up to {quantity(self.unseen, 'second copy')} not seen there")
        if self.twice:
            parts.append(f"{self.twice:,} maybe there twice")
        if self.gone:
            parts.append(f"{self.gone:,} gone from the source before they were confirmed")
        if self.open:
            parts.append(f"{self.open:,} of unknown outcome")
        return f"{', '.join(parts)} in {self.seconds:,.1f} s"
