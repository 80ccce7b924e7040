"""The one protocol between the core and a broker.

A connector is a class called with a `Connection`, registered in the entry-point group `event_workbench.connectors`
under its URL scheme. It translates its driver's exceptions to `ConnectorError`s, hands events over in batches, never
one by one, and gives back at once whatever it took to look at. `tests/contract/` holds what every connector must do;
docs/promises.md says the same to users.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, Self, TypeAlias, runtime_checkable

import msgspec

from workbench.connecting.check import Step
from workbench.connecting.config import Connection
from workbench.connecting.identity import BrokerIdentity
from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.errors import ConnectorError
from workbench.model.event import Delivery, Event
from workbench.model.groups import Group
from workbench.model.look import Coverage, Interruption, Progress
from workbench.model.ranges import Extent, Range
from workbench.model.receipt import Outcome, Receipt
from workbench.model.route import Route
from workbench.model.start import Start, Window
from workbench.model.target_rules import Rules
from workbench.model.transfer import TransferState

Purpose: TypeAlias = Literal["move", "destroy"]
"""What becomes of events that are settled: there is a copy of each elsewhere, or there is none."""


class Stream(Protocol):
    """Batches of deliveries, and what they covered. Iterating raises `ConnectorError` when the broker fails; a tail may
    be iterated again after `ConnectionLost` and goes on where it stopped."""

    @property
    def coverage(self) -> Coverage:
        """What was read so far and what could not be; may be asked at any time, also after the end."""
        ...

    @property
    def interruption(self) -> Interruption | None:
        """Why there is no connection at the moment, and when it is tried again; None while all is well, and always
        where a lost connection is an error at once."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        """The batches, none of them empty, in the order of each partition or queue."""
        ...


class Scan(Stream, Protocol):
    """What a search finds, as it is found: of one partition in its order, of several in none. Its coverage counts what
    was searched as read."""

    @property
    def progress(self) -> Progress:
        """How far it is; may be asked at any time, also before the first batch."""
        ...

    @property
    def coverages(self) -> Mapping[Address, Coverage]:
        """The coverage of each endpoint; may be asked at any time."""
        ...


class Publisher(Protocol):
    """A pipeline into any number of endpoints over one connection: `send` runs ahead of the receipts by a bounded
    window. What goes to one partition or queue keeps its order."""

    async def send(self, address: Address, events: Sequence[Event], partition: str | None = None) -> None:
        """Hand events for one endpoint over, in order; returns when the window has room for more.

        Args:
            address: An endpoint with `Ability.PUBLISH`. It is never created: where there is none, the receipts say so.
            events: What to publish. Its wire bytes are sent as they are, where this broker speaks their encoding.
            partition: Where to; None leaves it to the broker's own rule. Only where `Ability.PARTITIONS`.

        Raises:
            ConnectorError: Nothing can be published any more, wherever to; `receipts` tells what is not known of. What
                is wrong with one event or one endpoint is no error here: receipts say why, and the rest goes on.
        """
        ...

    async def finish(self) -> None:
        """No more will be sent: returns when the broker has answered for every event."""
        ...

    @property
    def obstacle(self) -> str | None:
        """Why the broker takes nothing for the moment, in a sentence, where it has said so; None: it takes events."""
        ...

    def receipts(self) -> AsyncIterator[Sequence[Receipt]]:
        """What became of each event, one receipt each, in the order of the answers; ends after `finish`. Hands over an
        empty batch when `obstacle` has changed."""
        ...


class Claims(Protocol):
    """Deliveries held while something is done with them. What is not settled is given back, in order, on leaving.

    Nothing is remembered of what was settled: a pass over a large queue that is settled on the way takes little memory.
    """

    @property
    def coverage(self) -> Coverage:
        """What was claimed so far and what could not be; after leaving, what it cost."""
        ...

    @property
    def lapsed(self) -> Set[int]:
        """The sequences whose lease is lost: others may get them, so whoever has not published them yet should not.
        Of those that were not settled; always empty where a claim holds for as long as its connection."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        """The deliveries in order, counted from 0; ends with the pass. Iterating raises `ConnectorError` when the
        broker fails: everything not settled is then back in its source."""
        ...

    async def settle(self, sequences: Sequence[int]) -> Sequence[Outcome]:
        """Let the source give these up, and wait until the broker has dealt with it.

        Args:
            sequences: Which, each at most once in the life of the claim.

        Returns:
            An outcome for each, in the same order. A broken connection is an outcome here: it is not known whether
            the broker still holds the event. So is a lease that was lost: the event is in its source again.
        """
        ...


class Connector(Protocol):
    """One connection to one broker, open while its context is."""

    def __init__(self, connection: Connection) -> None:
        """Keep `connection`; the broker is reached on entering the context or at first use."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exception: object) -> None: ...

    def check(self) -> AsyncIterator[Step]:
        """Try each step on the way into the broker, before the context is entered; nothing is left open."""
        ...

    async def endpoints(self) -> Sequence[Endpoint]:
        """All that there is and this user may see, by name; internal topics and exchanges left out. A `Listing` says
        what could not be read of it.

        Raises:
            ConnectorError: The broker could not be asked.
        """
        ...

    async def endpoint(self, address: Address) -> Endpoint:
        """One endpoint as it is now; never creates it.

        Raises:
            EndpointNotFound: There is none of this name.
        """
        ...

    async def rules(self, address: Address) -> Rules:
        """What an endpoint can hold of an event, and what it changes: asked before anything is sent there.

        Raises:
            EndpointNotFound: There is none of this name.
        """
        ...

    def browse(
        self, address: Address, start: Start | None = None, limit: int | None = None, force: bool = False
    ) -> AbstractAsyncContextManager[Stream]:
        """Show what is there, without taking it: the stream ends where the endpoint ended on entering.

        Args:
            address: An endpoint with `Ability.BROWSE`.
            start: Where to begin; None is the oldest there. Only of a log: see `check_start`.
            limit: At most so many events; None: all.
            force: Look even where that could make the broker give a message up.

        Raises:
            EndpointNotFound: On entering: there is none of this name.
            Unsupported: On entering: it cannot be browsed, or not from there.
            LookRefused: On entering or from the stream: looking on could lose a message, and `force` was not given.
        """
        ...

    def tail(
        self, address: Address, start: Start | None = None, pattern: str | None = None
    ) -> AbstractAsyncContextManager[Stream]:
        """Show what arrives, without taking it. Once entered, nothing published is missed; ends when left.

        Args:
            address: An endpoint with `Ability.TAIL`.
            start: Where to begin; None is now. Only of a log: see `check_start`.
            pattern: The part of an exchange to see, as a binding key; None: all of it.

        Raises:
            EndpointNotFound: On entering: there is none of this name.
            Unsupported: On entering: it cannot be tailed, or not from there.
        """
        ...

    def claim(
        self, address: Address, purpose: Purpose, limit: int | None = None
    ) -> AbstractAsyncContextManager[Claims]:
        """Hold what is there now, for one bounded pass. A log gives nothing up: it is claimed in a `Transaction`.

        Args:
            address: An endpoint with `Ability.CLAIM` and `Ability.REMOVE`.
            purpose: What becomes of the events that are settled.
            limit: At most so many; None: as many as one pass can hold.

        Raises:
            EndpointNotFound: On entering: there is none of this name.
            Unsupported: On entering: it cannot be claimed.
            LookRefused: On entering: what the broker would give up on its return could not be saved.
            ConnectorError: On leaving: it could not be saved; the sentence says where it is.
        """
        ...

    def publisher(self) -> AbstractAsyncContextManager[Publisher]:
        """A pipeline into the endpoints of this broker. Leaving the context before `finish` abandons what was not yet
        answered for.

        Raises:
            ConnectorError: On entering: the broker cannot be reached.
        """
        ...


class Action(msgspec.Struct, frozen=True):
    """Something that a connector does besides the protocol, by its name.

    Attributes:
        name: A word or two, for the palette.
        help: What it does, in a sentence.
        do: Does it; answers with a sentence about what came of it.
    """

    name: str
    help: str
    do: Callable[[], Awaitable[str]]


@runtime_checkable
class ActionConnector(Connector, Protocol):
    """A connector that offers actions of its own."""

    def actions(self) -> Sequence[Action]:
        """What it offers, while it is entered; each publishes at most."""
        ...


@runtime_checkable
class DescribedConnector(Connector, Protocol):
    """A connector that knows what it is connected to."""

    def description(self) -> str:
        """The broker and its version, or its size, while it is entered: `RabbitMQ 4.0.5`, `Kafka, 3 brokers`."""
        ...


@runtime_checkable
class LastingConnector(Connector, Protocol):
    """A connector that outlives its connection: where that is lost, the next question goes over another."""

    @property
    def losses(self) -> int:
        """How often a connection was lost since it was entered, the one of now included: whoever needs to know whether
        the broker may have died meanwhile compares."""
        ...


@runtime_checkable
class TellingConnector(Connector, Protocol):
    """A connector that tells its user, in a sentence, what it waits for."""

    tell: Callable[[str], None]
    """Called with the sentence, once a wait; does nothing until it is set."""


@runtime_checkable
class LogIdConnector(Connector, Protocol):
    """A connector whose broker gives each log an id of its own."""

    async def log_id(self, address: Address) -> str | None:
        """What tells a log from another of its name, made before or after it, which has the same positions; None where
        its broker does not say.

        Raises:
            ConnectorError: The broker could not be asked.
        """
        ...


@runtime_checkable
class GroupConnector(Connector, Protocol):
    """A connector with logs that consumer groups read."""

    async def groups(self) -> Sequence[Group]:
        """All consumer groups that this user may see, by name; a `Listing` says what could not be read of them.

        It is asked again and again: where `oldest_unread` takes reading events, `group` alone tells it.

        Raises:
            ConnectorError: The broker could not be asked.
        """
        ...

    async def group(self, name: str) -> Group:
        """One consumer group as it is now.

        Raises:
            EndpointNotFound: There is none of this name.
        """
        ...


@runtime_checkable
class RecountConnector(Connector, Protocol):
    """A connector whose `endpoints` may be late in what it says queues hold."""

    async def recount(self, queues: Sequence[Endpoint]) -> Sequence[Endpoint | ConnectorError]:
        """Queues that were listed, in their order, with depth and consumers as they are now; or why that is not known
        of one: `EndpointNotFound` where it is gone. It may be asked about ten thousand.

        Args:
            queues: Endpoints of the family `queue`, as `endpoints` listed them.
        """
        ...


@runtime_checkable
class SeekConnector(GroupConnector, Protocol):
    """A connector whose consumer groups can be put elsewhere in a log."""

    async def seek(self, group: str, address: Address, offsets: Mapping[str, str | None]) -> None:
        """Let a group go on elsewhere; one that there is not is made.

        Args:
            group: Its name.
            address: A log with `Ability.GROUPS`.
            offsets: The next event to read, by partition; None: the group has committed nothing there any more.

        Raises:
            EndpointNotFound: There is no such log.
            Unsupported: The group has members, which would commit over it, or is of a kind that keeps no offsets.
        """
        ...


@runtime_checkable
class RoutingConnector(Connector, Protocol):
    """A connector with endpoints of the family `routes`."""

    async def route(self, address: Address, event: Event) -> Route:
        """Who would get an event that was published to such an endpoint now; nothing is published.

        Args:
            address: Where to.
            event: Its key and its headers count.

        Raises:
            EndpointNotFound: There is none of this name.
            ConnectorError: The broker could not be asked, or does not tell this user.
        """
        ...


@runtime_checkable
class ScanConnector(Connector, Protocol):
    """A connector with logs that can be searched."""

    def scan(
        self, addresses: Sequence[Address], needles: Sequence[Sequence[bytes]], window: Window
    ) -> AbstractAsyncContextManager[Scan]:
        """Find events by what their bytes hold, in what is there on entering.

        An event is found if it has of each group at least one member in its key, its body, or a header's name or value,
        as it is or spelled with JSON's escapes. More may be found, and is for a query to refuse: so are events whose
        bodies say what their bytes do not spell (`content_type.opaque`: compressed by their application, in another
        charset), in a log that is seen to hold such.

        Args:
            addresses: Endpoints with `Ability.SCAN`.
            needles: The groups, none of them and none of their members empty.
            window: Events whose time is outside are not found.

        Raises:
            EndpointNotFound: On entering: there is none of one of the names.
            Unsupported: On entering: one cannot be searched, or there is nothing to look for.
        """
        ...


@runtime_checkable
class RangeConnector(Connector, Protocol):
    """A connector with logs of which ranges can be searched apart from one another, by other processes too."""

    async def extents(self, addresses: Sequence[Address], window: Window) -> Sequence[Extent]:
        """What there is to search, of each log in the order of the addresses.

        Args:
            addresses: Endpoints with `Ability.RANGES`.
            window: What is before and behind it may be left out.

        Raises:
            EndpointNotFound: There is none of one of the names.
        """
        ...

    def scan_range(
        self, range: Range, needles: Sequence[Sequence[bytes]], window: Window
    ) -> AbstractAsyncContextManager[Scan]:
        """Find events by what their bytes hold, as `ScanConnector.scan` does, in a range.

        The scan may be left at any time while a batch is waited for. The end of its coverage's one span is then the
        offset behind what was searched, with all that was found before it handed over.

        Args:
            range: Part of what `extents` told, perhaps to another process.
            needles: The groups; none of them: everything is found.
            window: Events whose time is outside are not found.

        Raises:
            EndpointNotFound: On entering: there is no such log, or no such partition, any more.
        """
        ...


@runtime_checkable
class IdentifiedConnector(Connector, Protocol):
    """A connector whose broker says which one it is."""

    async def identity(self) -> BrokerIdentity:
        """What the broker calls itself, and where it says that it lives; asked before each thing that needs a guard, so
        that an answer that was kept must be of the broker that would be reached now.

        Raises:
            ConnectorError: It cannot be asked.
        """
        ...


@runtime_checkable
class RecognisingConnector(Connector, Protocol):
    """A connector that does not always know whether a new connection is to the broker that `identity` told of."""

    recognise: Callable[[BrokerIdentity], None]
    """Called with what the broker of such a connection calls itself, before anything is done there; raises
    `ConnectorError` where nothing may be. Refuses nothing until it is set."""


class Transfer(Protocol):
    """A move that the broker carries out by itself, while its context is open."""

    async def state(self) -> TransferState:
        """How far it is.

        Raises:
            ConnectorError: The broker does not tell.
        """
        ...


@runtime_checkable
class TransferConnector(Connector, Protocol):
    """A connector whose broker moves whole queues by itself."""

    def transfer(self, source: Address, target: Address, count: int) -> AbstractAsyncContextManager[Transfer]:
        """Have the first events of a queue moved, each confirmed before it is let go; on leaving, what is not moved yet
        stays.

        Args:
            source: An endpoint with `Ability.REMOVE`.
            target: An endpoint of the same connection.
            count: How many.

        Raises:
            EndpointNotFound: On entering: there is none of this name.
            AccessRefused: On entering: this user may not have this done.
        """
        ...


class Transaction(Protocol):
    """One ledger: how far logs are dealt with, decided together with what is published meanwhile. Its publishers and
    its claims come and go; it lives on."""

    def claim(
        self, address: Address, purpose: Purpose, limit: int | None = None
    ) -> AbstractAsyncContextManager[Claims]:
        """Hold what the ledger has not dealt with yet, up to the end on entering. Settling advances the ledger, and
        decides in one on all that was published in this transaction and is still pending.

        Args:
            address: A log with `Ability.CLAIM`.
            purpose: "move", though it is a copy: a log keeps its events.
            limit: At most so many; None: all.

        Raises:
            EndpointNotFound: On entering: there is none of this name.
            Unsupported: On entering: it cannot be claimed for this.
        """
        ...

    def publisher(self) -> AbstractAsyncContextManager[Publisher]:
        """A pipeline whose receipts are pending. What is published counts for nobody before claims of this transaction
        are settled.

        Raises:
            Unsupported: On entering: this broker publishes in no transaction (its endpoints have no `Ability.ATOMIC`).
            AccessRefused: On entering: this user may not.
        """
        ...


@runtime_checkable
class LedgerConnector(Connector, Protocol):
    """A connector whose ledgers keep the place of whoever claims from its logs."""

    def transaction(self, ledger: str) -> AbstractAsyncContextManager[Transaction]:
        """One transaction after the other for one ledger. On entering, what an earlier one left undecided is undone,
        and whoever still has that one can decide nothing any more; on leaving, what is undecided is undone.

        Args:
            ledger: Where it is kept how far events are settled, in sight of the broker's own tools.

        Raises:
            ConnectorError: On entering: the broker cannot be reached.
        """
        ...
