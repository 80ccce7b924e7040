"""Endpoints: the queues, exchanges, streams and topics of a broker, and what each can do."""

from enum import Flag, auto
from typing import Literal

import msgspec

from workbench.model.address import Address

Family = Literal["queue", "log", "routes"]
"""How an endpoint treats events: a queue gives each up to whoever takes it, a log keeps it and is read from a place,
and routes keep nothing and hand it on."""


class Ability(Flag):
    """What can be done with one endpoint: a classic queue, a stream and an exchange of one broker differ."""

    BROWSE = auto()
    """Print the messages in a queue, topic or stream without consuming them."""
    TAIL = auto()
    """Print messages as they arrive, without consuming them."""
    CLAIM = auto()
    """Hold events while something is done with them, then settle or release each."""
    REMOVE = auto()
    """Settling an event removes it: a move is a move and not a copy."""
    ATOMIC = auto()
    """Publish and settle in one transaction."""
    PUBLISH = auto()
    """Take events."""
    BY_POSITION = auto()
    """Read from a position: `At`."""
    BY_TIME = auto()
    """Read from a time: `Since`."""
    FROM_END = auto()
    """Read the newest: `FromEnd`."""
    SCAN = auto()
    """Search at the speed of the wire, decoding only what may match."""
    RANGES = auto()
    """Search a range of it by itself, from whichever machine."""
    GROUPS = auto()
    """Consumer groups keep their positions here: `OfGroup` reads from one."""
    PARTITIONS = auto()
    """Holds its events in numbered partitions; one can be chosen when publishing."""
    KEYS = auto()
    """Keeps an event's key as it was published. (A queue published to directly does not: its name takes the place.)"""
    TOMBSTONES = auto()
    """Keeps a null body apart from an empty one."""
    PROPERTIES = auto()
    """Keeps an event's properties."""


class LookCost(msgspec.Struct, frozen=True):
    """What a look at an endpoint costs.

    Attributes:
        sentence: For the user, before the look; empty where looking is free.
        used: Looks already counted towards `limit` by the message that has most, a lower bound; None: not known.
        limit: Deliveries after which the broker dead-letters or deletes a message; None: no limit.
    """

    sentence: str = ""
    used: int | None = None
    limit: int | None = None


class Consumer(msgspec.Struct, frozen=True):
    """One who reads a queue now.

    Attributes:
        tag: The name it gave itself, or got from the broker; one of a kind on its channel only.
        channel: The channel it reads on, as the broker names it: from where to where, and which; empty: not known.
        prefetch: How many messages it may hold unacknowledged; 0: any number.
        active: Whether it gets messages: not while another is the single active one.
        acknowledges: Whether it acknowledges what it has received; else the queue forgets each message on sending it.
    """

    tag: str
    channel: str
    prefetch: int
    active: bool
    acknowledges: bool


class Endpoint(msgspec.Struct, frozen=True):
    """One queue, exchange, stream or topic, as it was when it was listed.

    Attributes:
        address: Where it is.
        kind: What it is, in the broker's own words: for people, and for no program to compare.
        family: How it treats events.
        abilities: What can be done with it.
        depth: Events that can be read now; None where the broker does not say.
        published: Events that ever came in; counted on by the broker, so that two listings give a rate; it may begin
            anew when the broker does. None where the broker does not say.
        partitions: How many partitions; None where there are none.
        consumers: How many consumers read it now; None where the broker does not say.
        held: Events that its consumers hold, which nobody else sees meanwhile; None where the broker does not say.
        dead_letters_to: Where its dead letters go.
        dead_letters_of: Whose dead letters come here.
        dead_letters_by_name: Whether its name alone says that dead letters come here.
        cost: What looking at it costs.
        detail: Further facts to show, name and text: an exchange's type, a policy, a limit.
        readers: Who the consumers are, where the broker says; always empty in a listing of all endpoints.
        trouble: Why it, or a part of it, can be neither read nor written now, without a full stop; empty: it can.
    """

    address: Address
    kind: str
    family: Family
    abilities: Ability
    depth: int | None = None
    published: int | None = None
    partitions: int | None = None
    consumers: int | None = None
    held: int | None = None
    dead_letters_to: tuple[Address, ...] = ()
    dead_letters_of: tuple[Address, ...] = ()
    dead_letters_by_name: bool = False
    cost: LookCost = LookCost()
    detail: tuple[tuple[str, str], ...] = ()
    readers: tuple[Consumer, ...] = ()
    trouble: str = ""

    @property
    def takes_dead_letters(self) -> bool:
        """Whether dead letters come here, as the broker or the name says."""
        return bool(self.dead_letters_of) or self.dead_letters_by_name

    @property
    def holds_dead_letters(self) -> bool:
        """Whether dead letters wait here that nobody reads: a queue for retries has its consumers."""
        return bool(self.takes_dead_letters and self.depth and not self.consumers)
