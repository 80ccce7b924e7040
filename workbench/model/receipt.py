"""Receipts and outcomes: what became of each event that was published, and of each that was settled."""

import msgspec

from workbench.model.errors import ConnectorError, PublishRejected
from workbench.model.event import Position


class Receipt(msgspec.Struct, frozen=True):
    """What became of one published event.

    Attributes:
        sequence: Which: events are counted from 0 in the order in which the publisher was given them.
        position: Where it landed; None in a queue, and for an event that was not taken.
        error: Why it was not taken; None for one that the broker confirmed.
        resent: Whether it was sent again, because its first confirmation was lost: it may be there twice.
    """

    sequence: int
    position: Position | None = None
    error: PublishRejected | None = None
    resent: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """What became of one claimed event that was to be settled.

    Attributes:
        sequence: Which: events are counted from 0 in the order in which the claim handed them over.
        error: Why it may still be in its source; None for one that the broker has let go.
    """

    sequence: int
    error: ConnectorError | None = None
