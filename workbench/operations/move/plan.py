"""Plans: what a move will do, made before anything moves, to be read, kept in a file, and carried out later."""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from workbench.connecting.plain_files import named_content
from workbench.connecting.state_files import write_private
from workbench.model.address import Address
from workbench.model.errors import FormatError, StoreError
from workbench.model.event import Event
from workbench.model.wording import quantity
from workbench.operations.edit.edit import Edit

Scope = Literal["all", "matching", "selected"]
Engine = Literal["workbench", "broker"]
"""Who moves the messages: this program, or the broker by itself, which journals none of them."""
Guarantee = Literal["exactly once", "at least once"]
Purpose = Literal["move", "delete", "withdraw", "restore"]
"""What becomes of the messages: they move, or are copied; they are deleted; copies are taken back whose originals are
in their source still; or what a journal holds is published where it came from."""

CANARY: Final = (1, 5, 20)
"""How many messages go at a time, each followed by a wait, before all the others do."""
WATCH: Final = 10.0
"""Seconds that are waited after each step of a canary for messages that come back."""
REDRIVES: Final = 5
"""How often a message is moved at most, as its header counts."""
REDRIVES_FORCED: Final = 100_000
"""The same where that is forced."""
_FORM: Final = "event-workbench move plan 1"

# A plan is read from a file that somebody else may have written: its id, for one, names the journal.
Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{12}\Z")]
Key = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2})+\Z")]
Offset = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,19}\Z")]
Count = Annotated[int, msgspec.Meta(gt=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Leg(msgspec.Struct, frozen=True):
    """The way to one target.

    Attributes:
        address: The target.
        kind: What it is, in the broker's words.
        identity: What its connection leads to.
        count: Messages that go there, of those that were examined.
        receivers: Who gets them there, a line.
        sample: The key and the headers of one of them, by which who gets them is asked again; None: it does not depend
            on them.
        changes: What becomes of them there, a sentence each.
        removed: What they do not bring along, a sentence each.
        broker: What its broker calls itself; empty: it has not said.
        reached: What an exchange hands them on to, by name.
    """

    address: Address
    kind: str
    identity: str
    count: int = 0
    receivers: str = ""
    sample: Event | None = None
    changes: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    broker: str = ""
    reached: tuple[str, ...] = ()


class Stays(msgspec.Struct, frozen=True):
    """Messages that stay where they are, for one reason.

    Attributes:
        reason: Why, as the end of a sentence.
        count: How many, of those that were examined.
    """

    reason: str
    count: int


class Plan(msgspec.Struct, frozen=True):
    """What a move will do.

    Attributes:
        id: Twelve hexadecimal digits, which every copy is stamped with.
        made: When it was made, in milliseconds since 1970 UTC.
        purpose: What becomes of the messages.
        by: Who made it and where, `user@host`.
        source: Where the messages are.
        kind: What that is, in the broker's words.
        identity: What the source's connection leads to.
        removes: Whether the source lets go of what has moved; else it keeps it, and this is a copy.
        ledger: Whether it is kept at the broker how far a log is dealt with.
        scope: Which of the messages.
        query: What they match; empty: all do.
        limit: At most so many; None: all.
        selected: What they are found by in the source (`key_of`, hexadecimal), where they were selected one by one.
        ends: Of a log, by partition the offset behind the last: nothing newer is moved.
        depth: Messages in the source: of a queue, no more than so many are looked at.
        target: Where to; None: each to where it came from.
        guarantee: How often the target has each message in the end, whatever happens.
        legs: The targets, with what goes there.
        stays: What stays, and why.
        examined: How many messages the plan has looked at.
        moving: How many of these will move.
        not_matching: How many of these do not match.
        moved_before: How many of these an earlier move has dealt with, and this one leaves alone.
        again: Whether what an earlier move has dealt with is moved again.
        rate: Messages a second at most; None: as fast as it goes.
        canary: How many go at a time before all the others; empty: all go at once.
        watch: Seconds that are waited after each such step.
        redrives: How often a message is moved at most.
        warnings: What to know before, a sentence each.
        price: What looking at the source has cost, a sentence; empty: nothing.
        undoes: The id of the operation that it takes back; empty: none.
        engine: Who moves the messages.
        edit: What is changed about each of them.
        preview: What that changes about some of them, in lines, masked.
        source_id: What tells the source from another of its name; empty: nothing.
        broker: What the source's broker calls itself; empty: it has not said.
        counted: How many of the messages were looked at for `alike`.
        alike: What messages are found by of which there were several, alike in every byte, with how many.
        second: Of an undo, how many of the copies may be there twice.
    """

    id: Id
    made: int
    purpose: Purpose
    by: str
    source: Address
    kind: str
    identity: str
    removes: bool
    ledger: bool
    scope: Scope
    query: str
    limit: Count | None
    selected: tuple[Key, ...]
    ends: dict[str, Offset]
    depth: int
    target: Address | None
    guarantee: Guarantee
    legs: tuple[Leg, ...]
    stays: tuple[Stays, ...]
    examined: int
    moving: int
    not_matching: int
    moved_before: int
    again: bool
    rate: Seconds | None
    canary: tuple[Count, ...]
    watch: Seconds
    redrives: int
    warnings: tuple[str, ...]
    price: str
    undoes: str = ""
    engine: Engine = "workbench"
    edit: Edit = Edit()
    preview: tuple[str, ...] = ()
    source_id: str = ""
    broker: str = ""
    counted: int = 0
    alike: dict[Key, Count] = {}
    second: int = 0

    @property
    def verb(self) -> str:
        """What is done: "move", "copy" or "delete"."""
        if self.purpose == "delete":
            return "delete"
        return "move" if self.removes else "copy"

    @property
    def is_forced(self) -> bool:
        """Whether targets are used though they may drop what they confirm, or a message was moved too often."""
        return self.redrives >= REDRIVES_FORCED

    @property
    def title(self) -> str:
        """What it does, in a line without a full stop."""
        if self.purpose == "delete":
            return f"{quantity(self.moving, 'message')} of {self.source} deleted"
        where = str(self.target) if self.target is not None else "where they came from"
        if self.target is None and len(self.legs) == 1:
            where = str(self.legs[0].address)
        if self.undoes:
            return f"undo of {self.undoes}: {quantity(self.moving, 'message')} of {self.source} → {where}"
        return f"{quantity(self.moving, 'message')} of {self.source} → {where}"


def save_plan(plan: Plan, path: Path) -> None:
    """Write a plan into a file that only its user may read, as JSON that can be read before it is run.

    Raises:
        StoreError: It cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode({"form": _FORM, "plan": plan}), indent=2)
    try:
        write_private(path, text + b"\n")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error


def load_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        StoreError: The file cannot be read.
        FormatError: It holds no plan, or that of another version.
    """
    try:
        data = named_content(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        form = msgspec.json.decode(data, type=_Form).form
    except msgspec.MsgspecError as error:
        raise FormatError(f"{path} holds no plan: {error}.") from error
    if form != _FORM:
        raise FormatError(f"{path} holds no plan that this version can read: {form!r}.")
    try:
        plan = msgspec.json.decode(data, type=_File).plan
    except msgspec.MsgspecError as error:
        raise FormatError(f"{path} holds no plan: {error}.") from error
    if plan.undoes or plan.purpose not in ("move", "delete"):
        raise FormatError(f"{path} holds the plan of an undo, which only the journal makes.")
    return plan


class _Form(msgspec.Struct):
    form: str


class _File(msgspec.Struct):
    form: str
    plan: Plan
