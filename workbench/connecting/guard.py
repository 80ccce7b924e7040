"""The guard in front of every connector: what a connection's level does not allow never reaches its broker, and nothing
but a `WorkbenchError` comes back."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final, Self, TypeAlias

import msgspec

from workbench.connecting.check import Step
from workbench.connecting.config import Connection
from workbench.connecting.connector import (
    Action,
    ActionConnector,
    Claims,
    Connector,
    DescribedConnector,
    GroupConnector,
    IdentifiedConnector,
    LastingConnector,
    LedgerConnector,
    LogIdConnector,
    Publisher,
    Purpose,
    RangeConnector,
    RecognisingConnector,
    RecountConnector,
    RoutingConnector,
    Scan,
    ScanConnector,
    SeekConnector,
    Stream,
    Transaction,
    Transfer,
    TransferConnector,
)
from workbench.connecting.connector_boundary import (
    Boundary,
    BoundedClaims,
    BoundedPublisher,
    BoundedScan,
    BoundedStream,
    BoundedTransaction,
    BoundedTransfer,
    Entered,
    of_kind,
)
from workbench.connecting.identity import BrokerIdentity
from workbench.connecting.level import Level
from workbench.connecting.plugins import is_embedded, is_own
from workbench.model.address import Address
from workbench.model.dead_letter_names import DeadLetterNames
from workbench.model.endpoint import Endpoint
from workbench.model.errors import (
    AccessRefused,
    ConfigError,
    ConnectorError,
    EndpointNotFound,
    GuardRefused,
    Unsupported,
    WorkbenchError,
)
from workbench.model.event import Event
from workbench.model.groups import Group
from workbench.model.listing import Listing
from workbench.model.ranges import Extent, Range
from workbench.model.route import Route
from workbench.model.start import Start, Window
from workbench.model.target_rules import Rules

Confirm: TypeAlias = Callable[[Connection, Level], Awaitable[bool]]
"""Asks the user to type a production connection's name before something of this level; whether it was typed."""


_NO_RANGES: Final = "has no logs that can be searched in ranges"


Meet: TypeAlias = Callable[[Connection, BrokerIdentity], str]
"""Remembers a broker or recognises it; the name of the production connection that it is the broker of, else empty."""


def meet_nobody(connection: Connection, identity: BrokerIdentity) -> str:
    """Nothing is remembered."""
    return ""


async def confirm_nothing(connection: Connection, level: Level) -> bool:
    """Confirms nothing: there is nobody to ask."""
    return False


def level_of(connection: Connection) -> Level:
    """What is allowed through a connection, before its broker has said where it lives.

    Where nobody has said a level, it is `MOVE` for a broker within this process, `PUBLISH` for those on this machine,
    which may be the end of a tunnel, and `OBSERVE` for all others.
    """
    level = connection.level
    if level is None:
        embedded = is_embedded(connection.scheme)
        level = Level.MOVE if embedded else Level.PUBLISH if connection.loopback else Level.OBSERVE
    return min(level, connection.limit)


_USUAL_NAMES: Final = DeadLetterNames()


class Guarded:
    """A connector behind its connection's level and behind a `Boundary`; follows the `Connector` protocol itself."""

    def __init__(
        self,
        connector: Connector,
        connection: Connection,
        confirm: Confirm = confirm_nothing,
        dead_letters: DeadLetterNames = _USUAL_NAMES,
        meet: Meet = meet_nobody,
    ) -> None:
        """Guard `connector`, which was made for `connection`.

        Args:
            connector: What is guarded.
            connection: What it was made for.
            confirm: Asks for a production connection's name.
            dead_letters: The names of endpoints that hold dead letters, where the broker does not know.
            meet: Recognises the broker, should it be one of production.
        """
        self._dead_letters = dead_letters
        self._connector = connector
        self._is_foreign = not is_own(connection.scheme)
        self._connection = connection
        self._confirm = confirm
        self._confirmed = Level.OBSERVE
        self._meet = meet
        self._met = ""
        self._identity: BrokerIdentity | None = None
        self._is_noted = False
        self.tunnel_to = ""
        """The host where a broker that is reached on this machine says that it lives; empty: on this machine, or it has
        not said so yet."""
        self.is_production = connection.production
        """Whether it is production: it is called so, or its broker was met as such."""
        if isinstance(connector, RecognisingConnector):
            connector.recognise = self._recognise

    @property
    def level(self) -> Level:
        """What is allowed, as far as is known of the broker."""
        level = level_of(self._connection)
        return Level.OBSERVE if self.tunnel_to and self._connection.level is None else level

    async def identify(self) -> None:
        """Learn which broker this is by now, and whether it is production: a tunnel may lead elsewhere than it did, and
        somebody may have met the broker as production meanwhile.

        Raises:
            ConnectorError: It cannot be asked.
            ConfigError: It cannot be known whether it is production.
        """
        self._met = self._meet(self._connection, await self.broker())
        self.is_production = bool(self._met) or self._connection.production
        self._is_noted = True

    def _recognise(self, identity: BrokerIdentity) -> None:
        """Refuse a broker that may be the one that was told of, and is known to be another one that is production."""
        met = self._meet(self._connection, identity)
        if met and met != self._met and not self._connection.production:
            raise ConnectorError(f"{self.name} leads to the broker of {met} now, which is production.")

    async def broker(self) -> BrokerIdentity:
        """Which broker this is by now: always allowed.

        Raises:
            ConnectorError: It cannot be asked.
        """
        connector = self._connector
        before = self._identity
        if not isinstance(connector, IdentifiedConnector):
            return BrokerIdentity()
        boundary = self._boundary(f"Asking which broker {self.name} is")
        self._identity = found = await boundary.answer(lambda: connector.identity(), BrokerIdentity)
        self.tunnel_to = found.elsewhere if self._connection.loopback else ""
        if before is not None and before.id != found.id:
            # What was typed was meant for the other one.
            self._confirmed = Level.OBSERVE
        return found

    async def _note_broker(self) -> None:
        """Learn once which broker this is, so that it is known again by whatever URL it is met. What needs a guard asks
        again, and says what is wrong."""
        if not self._is_noted:
            with suppress(ConnectorError, ConfigError):
                await self.identify()

    @property
    def name(self) -> str:
        """The connection's name."""
        return self._connection.name

    async def __aenter__(self) -> Self:
        with self._boundary(f"Opening {self._connection.name}").within():
            await self._connector.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        with self._boundary(f"Closing {self._connection.name}").within():
            await self._connector.__aexit__(*exception)

    async def check(self) -> AsyncIterator[Step]:
        """Try each step on the way into the broker: always allowed. What goes wrong is the last step."""
        try:
            boundary = self._boundary(f"Checking {self._connection.name}")
            with boundary.within():
                async for step in self._connector.check():
                    yield boundary.told(of_kind(step, Step))
        except WorkbenchError as error:
            yield Step("check", error=str(error))

    async def endpoints(self) -> Listing[Endpoint]:
        """All that there is: always allowed."""
        boundary = self._boundary(f"Listing {self._connection.name}")
        found = await boundary.listing(lambda: self._connector.endpoints(), Endpoint)
        await self._note_broker()
        return Listing(self._dead_letters.link(found), found.gaps)

    async def endpoint(self, address: Address) -> Endpoint:
        """One endpoint as it is now: always allowed."""
        found = await self._describe(address)
        if self._connection.production:
            await self._note_broker()
        beside = [found]
        if (origin := self._dead_letters.origin_of(found)) is not None:
            # Its own name tells where it has its dead letters from; this user may not see that.
            with suppress(EndpointNotFound, AccessRefused):
                beside.append(await self._describe(origin))
        return self._dead_letters.link(beside)[0]

    async def _describe(self, address: Address) -> Endpoint:
        return await self._boundary(f"Describing {address}").answer(lambda: self._connector.endpoint(address), Endpoint)

    async def recount(self, queues: Sequence[Endpoint]) -> Sequence[Endpoint | ConnectorError]:
        """What listed queues hold now, in their order, or why that is not known of one: always allowed. Where a listing
        is never late, they are as they were listed."""
        connector = self._connector
        if not isinstance(connector, RecountConnector) or not queues:
            return queues
        boundary = self._boundary(f"Asking what queues of {self._connection.name} hold")
        with boundary.within():
            answers = await connector.recount(queues)
            return [
                boundary.told(each if isinstance(each, ConnectorError) else of_kind(each, Endpoint))
                for _, each in zip(queues, answers, strict=True)
            ]

    async def refresh(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint with what it holds now, asked for in the cheapest way: always allowed. Only its depth and its
        consumers are sure to be of now."""
        if endpoint.family != "queue" or not isinstance(self._connector, RecountConnector):
            return await self.endpoint(endpoint.address)
        [found] = await self.recount([endpoint])
        if isinstance(found, ConnectorError):
            raise found
        return found

    async def rules(self, address: Address) -> Rules:
        """What an endpoint can hold: always allowed."""
        return await self._boundary(f"Asking what {address} can hold").answer(
            lambda: self._connector.rules(address), Rules
        )

    async def route(self, address: Address, event: Event) -> Route:
        """Who would get an event: always allowed."""
        connector = self._connector
        if not isinstance(connector, RoutingConnector):
            raise self._lacks("routes nothing")
        return await self._boundary(f"Asking who gets what {address} is sent").answer(
            lambda: connector.route(address, event), Route
        )

    @asynccontextmanager
    async def browse(
        self, address: Address, start: Start | None = None, limit: int | None = None, force: bool = False
    ) -> AsyncIterator[Stream]:
        """Show what is there: `LOOK` where that costs something."""
        await self._permit_look(address)

        def open_now() -> AbstractAsyncContextManager[Stream]:
            return self._connector.browse(address, start, limit, force)

        async with Entered(self._boundary(f"Looking at {address}"), open_now, BoundedStream) as stream:
            yield stream

    @asynccontextmanager
    async def tail(
        self, address: Address, start: Start | None = None, pattern: str | None = None
    ) -> AsyncIterator[Stream]:
        """Show what arrives: `LOOK` where that costs something."""
        await self._permit_look(address)

        def open_now() -> AbstractAsyncContextManager[Stream]:
            return self._connector.tail(address, start, pattern)

        async with Entered(self._boundary(f"Following {address}"), open_now, BoundedStream) as stream:
            yield stream

    @asynccontextmanager
    async def claim(self, address: Address, purpose: Purpose, limit: int | None = None) -> AsyncIterator[Claims]:
        """Hold events while something is done with them: `MOVE`, or `DESTROY` where no copy is left."""
        await self._permit_claim(address, purpose)

        def open_now() -> AbstractAsyncContextManager[Claims]:
            return self._connector.claim(address, purpose, limit)

        async with Entered(self._boundary(f"Taking events from {address}"), open_now, BoundedClaims) as claims:
            yield claims

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[Publisher]:
        """Take events: `PUBLISH`."""
        await self.permit(Level.PUBLISH, "publishing")
        boundary = self._boundary(f"Publishing to {self._connection.name}")
        async with Entered(boundary, lambda: self._connector.publisher(), BoundedPublisher) as publisher:
            yield publisher

    @asynccontextmanager
    async def transaction(self, ledger: str) -> AsyncIterator[Transaction]:
        """Publish and settle in one: `MOVE`, and `DESTROY` for claims that leave no copy."""
        connector = self._connector
        if not isinstance(connector, LedgerConnector):
            raise self._lacks("keeps no ledgers")
        await self.permit(Level.MOVE, f"the ledger {ledger!r}")
        boundary = self._boundary(f"Keeping the ledger {ledger!r} on {self._connection.name}")
        async with Entered(boundary, lambda: connector.transaction(ledger), BoundedTransaction) as transaction:
            yield GuardedTransaction(transaction, self._permit_claim)

    @asynccontextmanager
    async def transfer(self, source: Address, target: Address, count: int) -> AsyncIterator[Transfer]:
        """Have the broker move events by itself: `MOVE`."""
        connector = self._connector
        if not isinstance(connector, TransferConnector):
            raise self._lacks("moves nothing by itself")
        await self.permit(Level.MOVE, f"having events of {source} moved")

        def open_now() -> AbstractAsyncContextManager[Transfer]:
            return connector.transfer(source, target, count)

        async with Entered(self._boundary(f"Having {source} moved"), open_now, BoundedTransfer) as transfer:
            yield transfer

    @asynccontextmanager
    async def scan(
        self, addresses: Sequence[Address], needles: Sequence[Sequence[bytes]], window: Window
    ) -> AsyncIterator[Scan]:
        """Find events by what their bytes hold: always allowed, for a log is read freely."""
        connector = self._connector
        if not isinstance(connector, ScanConnector):
            raise self._lacks("has no logs that can be searched")

        def open_now() -> AbstractAsyncContextManager[Scan]:
            return connector.scan(addresses, needles, window)

        async with Entered(self._boundary(f"Searching {self._connection.name}"), open_now, BoundedScan) as scan:
            yield scan

    async def extents(self, addresses: Sequence[Address], window: Window) -> Sequence[Extent]:
        """What there is to search of logs: always allowed."""
        connector = self._connector
        if not isinstance(connector, RangeConnector):
            raise self._lacks(_NO_RANGES)
        boundary = self._boundary(f"Searching {self._connection.name}")
        with boundary.within():
            return [boundary.told(of_kind(each, Extent)) for each in await connector.extents(addresses, window)]

    @asynccontextmanager
    async def scan_range(self, range: Range, needles: Sequence[Sequence[bytes]], window: Window) -> AsyncIterator[Scan]:
        """Find events in a range of a log: always allowed."""
        connector = self._connector
        if not isinstance(connector, RangeConnector):
            raise self._lacks(_NO_RANGES)

        def open_now() -> AbstractAsyncContextManager[Scan]:
            return connector.scan_range(range, needles, window)

        async with Entered(self._boundary(f"Searching {range.address}"), open_now, BoundedScan) as scan:
            yield scan

    async def groups(self) -> Listing[Group]:
        """All consumer groups: always allowed."""
        boundary = self._boundary(f"Listing the consumer groups of {self._connection.name}")
        connector = self._connector
        if not isinstance(connector, GroupConnector):
            raise self._lacks("has no consumer groups")
        return await boundary.listing(lambda: connector.groups(), Group)

    async def group(self, name: str) -> Group:
        """One consumer group: always allowed."""
        boundary = self._boundary(f"Describing a consumer group of {self._connection.name}")
        connector = self._connector
        if not isinstance(connector, GroupConnector):
            raise self._lacks("has no consumer groups")
        return await boundary.answer(lambda: connector.group(name), Group)

    async def seek(self, group: str, address: Address, offsets: Mapping[str, str | None]) -> None:
        """Let a consumer group go on elsewhere: `MOVE`."""
        connector = self._connector
        if not isinstance(connector, SeekConnector):
            raise self._lacks("has no consumer groups that can be moved")
        await self.permit(Level.MOVE, f"moving the consumer group {group!r}")
        with self._boundary(f"Moving a consumer group of {self._connection.name}").within():
            await connector.seek(group, address, offsets)

    def description(self) -> str:
        """The broker and its version, or its size; empty where it does not say."""
        connector = self._connector
        if not isinstance(connector, DescribedConnector):
            return ""
        boundary = self._boundary(f"Asking what {self._connection.name} is")
        with boundary.within():
            return boundary.told(of_kind(connector.description(), str))

    async def log_id(self, address: Address) -> str | None:
        """What tells a log from another of its name, as far as its broker says."""
        connector = self._connector
        if not isinstance(connector, LogIdConnector):
            return None
        with self._boundary(f"Asking what {address} is").within():
            found = await connector.log_id(address)
            return None if found is None else of_kind(found, str)

    @property
    def losses(self) -> int:
        """How often a connection was lost and replaced; 0 where the connector does not say."""
        connector = self._connector
        if not isinstance(connector, LastingConnector):
            return 0
        with self._boundary(f"Asking how {self._connection.name} has lasted").within():
            return of_kind(connector.losses, int)

    def actions(self) -> Sequence[Action]:
        """What the connector offers besides; to do it takes `PUBLISH`."""
        connector = self._connector
        if not isinstance(connector, ActionConnector):
            return ()
        boundary = self._boundary(f"Asking what {self._connection.name} offers")
        with boundary.within():
            return [
                msgspec.structs.replace(boundary.told(action), do=functools.partial(self._act, action))
                for action in connector.actions()
            ]

    async def _act(self, action: Action) -> str:
        name = self._boundary("").told(action.name)
        await self.permit(Level.PUBLISH, name)
        return await self._boundary(f"Doing {name!r} on {self._connection.name}").answer(action.do, str)

    def _boundary(self, what: str) -> Boundary:
        return Boundary(what, self._is_foreign)

    def _lacks(self, what: str) -> Unsupported:
        return Unsupported(f"{self._connection.name}: this broker {what}.")

    async def _permit_claim(self, address: Address, purpose: Purpose) -> None:
        if purpose == "destroy":
            await self.permit(Level.DESTROY, f"destroying events of {address}")
        else:
            await self.permit(Level.MOVE, f"taking events from {address}")

    async def _permit_look(self, address: Address) -> None:
        await self.identify()
        if self.level >= Level.LOOK and not self.is_production:
            return
        endpoint = await self.endpoint(address)
        if endpoint.cost.sentence:
            await self.permit(Level.LOOK, f"browsing {address}, which is not free,")

    async def permit(self, level: Level, what: str) -> None:
        """See that something of a level is allowed, before anything is begun that would come to need it.

        Raises:
            GuardRefused: It is not, or the name of a production connection was not typed.
        """
        name = self._connection.name
        if level > Level.OBSERVE:
            await self.identify()
        if level > self.level:
            lives = f" Its broker says that it lives on {self.tunnel_to}." if self.tunnel_to else ""
            way = (
                f" --guard {level.name.lower()} allows it for a connection given by URL, `guard` in the configuration"
                " for a configured one."
            )
            if level > self._connection.limit:
                way = (
                    " A configured connection of its name, or to its host and port, allows no more, or its file is not"
                    " trusted: `workbench connections` lists them."
                )
            raise GuardRefused(
                f"{name} is guarded at {self.level.name.lower()!r}: {what} needs {level.name.lower()!r}.{way}{lives}"
            )
        if self.is_production and level > self._confirmed:
            asked = self._identity
            if not await self._confirm(self._connection, level):
                raise GuardRefused(f"{name} is production: {what} needs its name to be typed, or --confirm {name}.")
            # Typing takes a while: a tunnel may lead elsewhere by now, and others may have noticed.
            await self.identify()
            if asked is not None and self._identity is not None and asked.id != self._identity.id:
                raise GuardRefused(
                    f"{name} led to {asked.id} when its name was asked for, and leads to {self._identity.id} now."
                )
            self._confirmed = level


class GuardedTransaction:
    """A `Transaction` behind its connection's level."""

    def __init__(self, transaction: Transaction, permit_claim: Callable[[Address, Purpose], Awaitable[None]]) -> None:
        """Guard `transaction`, which is permitted itself."""
        self._transaction = transaction
        self._permit_claim = permit_claim

    @asynccontextmanager
    async def claim(self, address: Address, purpose: Purpose, limit: int | None = None) -> AsyncIterator[Claims]:
        """Hold events: `MOVE`, or `DESTROY` where no copy is left."""
        await self._permit_claim(address, purpose)
        async with self._transaction.claim(address, purpose, limit) as claims:
            yield claims

    def publisher(self) -> AbstractAsyncContextManager[Publisher]:
        """Take events: allowed with the transaction."""
        return self._transaction.publisher()
