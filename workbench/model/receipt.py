"""Receipts and outcomes: what became of each event that was published, and of each that was settled."""

from typing import Literal

import msgspec

from workbench.model.errors import ConnectionLost, ConnectorError
from workbench.model.event import Position

State = Literal["settled", "pending", "unknown"]
"""Whether it is decided what becomes of an event: the broker has answered, with an error or without; it has, and a
transaction is still to decide; or the connection broke before it did."""


class Receipt(msgspec.Struct, frozen=True):
    """What became of one published event.

    Attributes:
        sequence: Which: events are counted from 0 in the order in which the publisher was given them.
        position: Where it landed; None in a queue, and for an event that was not taken.
        error: Why it was not taken, or why that is not known; None for one that the broker has taken. A
            `PublishRejected` is about this event, any other error about its target: the next would meet the same.
        resent: Whether it was sent again, because its first confirmation was lost: it may be there twice.
        state: "pending" for what a transaction has taken: it becomes what the outcomes of its next settling say.
        id: The broker's own name for it; None where it gives none.
    """

    sequence: int
    position: Position | None = None
    error: ConnectorError | None = None
    resent: bool = False
    state: State = "settled"
    id: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What became of one claimed event that was to be settled.

    Attributes:
        sequence: Which: events are counted from 0 in the order in which the claim handed them over.
        error: Why it may still be in its source; None for one that the broker has let go.
        state: "pending" for what is settled when others are, which the error names.
    """

    sequence: int
    error: ConnectorError | None = None
    state: State = "settled"

    @classmethod
    def failed(cls, sequence: int, error: ConnectorError) -> "Outcome":
        """The outcome that an error means: not known where the connection broke, else that the broker refused."""
        return cls(sequence, error, "unknown" if isinstance(error, ConnectionLost) else "settled")
