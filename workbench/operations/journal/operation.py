"""Operations: what was asked for, by whom, and how it stands. A journal has one."""

import getpass
import socket
import time
from typing import Literal

import msgspec

from workbench.model.address import Address

Kind = Literal["move", "undo", "delete", "seek"]
State = Literal["running", "interrupted", "stopped", "done"]
"""Whether it goes on; was cut short, by a crash or a lost connection; was stopped by its user or by a canary; or came
to its end."""


class EntryState:
    """How far one message is. Numbers, for they stand in every row."""

    IN_FLIGHT = 0
    """Its copy may have been published."""
    CONFIRMED = 1
    """The target has confirmed its copy; the source still has it."""
    SETTLED = 2
    """The source has let it go."""
    FAILED = 3
    """The target did not take it; the source has it."""
    GONE = 4
    """It was in flight when the program ended, and was not in the source any more."""


class Counts(msgspec.Struct, frozen=True):
    """How many messages of an operation are how far.

    Attributes:
        in_flight: Published, and nothing heard of it.
        confirmed: The target has them, and the source still may.
        settled: The target has them and the source not; of a deletion, the source not.
        extra: Those of the settled that were second copies of what was taken back.
        failed: The target did not take them: they are in their source.
        gone: In flight when the program ended, and not in the source any more: somebody took them.
        twice: Published a second time, since the first was not answered for: the target may have them twice.
    """

    in_flight: int = 0
    confirmed: int = 0
    settled: int = 0
    failed: int = 0
    gone: int = 0
    twice: int = 0
    extra: int = 0

    @property
    def done(self) -> int:
        """Messages that were moved, deleted or taken back for good."""
        return self.settled - self.extra

    @property
    def total(self) -> int:
        """Messages in the journal."""
        return self.in_flight + self.confirmed + self.settled + self.failed + self.gone

    @property
    def open(self) -> int:
        """Messages that `resume` has to look for."""
        return self.in_flight + self.confirmed


class Operation(msgspec.Struct, frozen=True):
    """An operation as its journal begins.

    Attributes:
        id: Twelve hexadecimal digits; the stamp of each copy begins with it.
        kind: What it does.
        begun: When, in milliseconds since 1970 UTC.
        by: Who ran it and where, `user@host`.
        source: Where it takes messages from.
        identity: What the source's connection leads to: see `Connection.identity`.
        title: What it does, in a line without a full stop.
        plan: What to do, encoded, so that it can be done further.
        source_id: What tells the source from another of its name: see `LogIdConnector`; empty: nothing.
        by_broker: Whether the broker carries it out by itself: then none of its messages is in the journal.
        undoes: The id of the operation that it takes back; empty: none.
        process: The `workbench.session.PROCESS` that the source lives and ends with; empty: it does not end.
    """

    id: str
    kind: Kind
    begun: int
    by: str
    source: Address
    identity: str
    title: str
    plan: bytes
    process: str = ""
    source_id: str = ""
    by_broker: bool = False
    undoes: str = ""


def place_of(identity: str) -> str:
    """What a connection leads to, whatever it is called: see `Connection.identity`."""
    return identity.partition("=")[2]


def now() -> int:
    """The present, in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def whoami() -> str:
    """Who runs this and where, `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A user without a name: of a container, for one.
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
