"""Transfers: moves that a broker carries out by itself."""

import msgspec


class TransferState(msgspec.Struct, frozen=True):
    """How far a transfer is.

    Attributes:
        moved: Events that have left the source since it began, as far as its depth tells.
        running: Whether it goes on.
        reason: Why it failed, a sentence; empty: it did not.
    """

    moved: int
    running: bool
    reason: str = ""
