"""Looks: one reading of one endpoint, and what it covered."""

from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from workbench.model.address import Address

ALL: Final = "all"
REST: Final = "the rest"
"""What is not seen of an endpoint of which nothing was read, and of one that could not be read to its end."""
_NAMED = 3
"""Gaps of one reason that a sentence names."""


class Span(msgspec.Struct, frozen=True):
    """A stretch of one partition that was read.

    Attributes:
        partition: Which.
        start: The first offset asked for.
        end: The offset behind the last one read.
    """

    partition: str
    start: str
    end: str


class Gap(msgspec.Struct, frozen=True):
    """Something that was not seen.

    Attributes:
        what: Which part: a partition, a stretch of time, a number of messages.
        reason: Why.
        since: When the last was received before it, in milliseconds since 1970 UTC; None: it is no stretch of time.
        until: When the first was received after it; None: it goes on.
        at_least: How many are missing at least; None: that is not known.
        failed: Whether it could not be read, though it may be there.
    """

    what: str
    reason: str
    since: int | None = None
    until: int | None = None
    at_least: int | None = None
    failed: bool = False


def stretch(since: int, until: int | None = None) -> str:
    """A stretch of time in words; both ends are in milliseconds since 1970 UTC, None: it goes on."""
    return f"since {_clock(since)}" if until is None else f"from {_clock(since)} to {_clock(until)}"


def _clock(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Progress(msgspec.Struct, frozen=True):
    """How far a search has got.

    Attributes:
        done: Offsets searched.
        total: Offsets to search.
        seconds: How long it took so far.
    """

    done: int
    total: int
    seconds: float

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.done / self.total if self.total else 1.0

    @property
    def rate(self) -> float:
        """Offsets a second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at this rate; None before there is one."""
        return (self.total - self.done) / self.rate if self.rate else None


class Coverage(msgspec.Struct, frozen=True):
    """What a look read, and what it could not.

    Attributes:
        read: Deliveries handed over.
        spans: The stretches read, a partition each; empty for a queue.
        gaps: What was not seen.
        notes: What to know about what was seen, such as the price paid.
        total: How many deliveries there were to read, where that is known. What was not read of a log counts by its
            offsets, of which not every one need have an event.
    """

    read: int = 0
    spans: tuple[Span, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    total: int | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing was missed."""
        return not self.gaps

    @property
    def is_cut_short(self) -> bool:
        """Whether the look ended before its end."""
        return any(gap.what in (ALL, REST) for gap in self.gaps)

    def cut_short(self, reason: str) -> "Coverage":
        """The same of a look that ended before its end: what is behind it was not seen. One that did before stays as it
        is.

        Args:
            reason: Why it ended; a full stop behind it is left out.
        """
        if self.is_cut_short:
            return self
        rest = Gap(REST if self.read else ALL, reason.rstrip("."))
        return msgspec.structs.replace(self, gaps=(*self.gaps, rest))

    @property
    def counted(self) -> str:
        """How much was read, and of how much: `500 of 2,000,000 read`."""
        of = f" of {self.total:,}" if self.total is not None and self.total > self.read else ""
        return f"{self.read:,}{of} read"

    @property
    def remarks(self) -> str:
        """What was not seen, and what else to know; empty where there is nothing to say."""
        parts: list[str] = []
        by_reason: dict[str, list[str]] = {}
        for gap in self.gaps:
            by_reason.setdefault(gap.reason, []).append(gap.what)
        for reason, some in by_reason.items():
            more = f" and {len(some) - _NAMED:,} more" if len(some) > _NAMED else ""
            parts.append(f"not seen: {', '.join(some[:_NAMED])}{more} ({reason})")
        return "; ".join([*parts, *self.notes])

    def __str__(self) -> str:
        counted = self.counted + (f" from {len(self.spans)} partitions" if len(self.spans) > 1 else "")
        return "; ".join(filter(None, [counted, self.remarks]))


class Interruption(msgspec.Struct, frozen=True):
    """A connection that is lost for the moment.

    Attributes:
        reason: Why, in a sentence.
        since: When the broker was last heard, in milliseconds since 1970 UTC.
        retry_at: When it is tried again, in milliseconds since 1970 UTC.
    """

    reason: str
    since: int
    retry_at: int


class Look(msgspec.Struct, frozen=True):
    """One reading of one endpoint. Every batch belongs to one, so that looking twice doubles nothing.

    Attributes:
        address: What was read.
        kind: How.
        at: When it began, in milliseconds since 1970 UTC.
        coverage: What it saw, so far or in the end.
    """

    address: Address
    kind: Literal["browse", "tail", "scan"]
    at: int
    coverage: Coverage = Coverage()
