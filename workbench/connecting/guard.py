"""The guard in front of every connector: what a connection's level does not allow never reaches its broker."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Self, TypeAlias

from workbench.connecting.check import Step
from workbench.connecting.config import Connection, Level
from workbench.connecting.connector import Claims, Connector, GroupConnector, LogConnector, Publisher, Scan, Stream
from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.errors import GuardRefused, Unsupported
from workbench.model.groups import Group
from workbench.model.start import Start, Window

Confirm: TypeAlias = Callable[[Connection, Level], Awaitable[bool]]
"""Asks the user to type a production connection's name before something of this level; whether it was typed."""


async def nobody(connection: Connection, level: Level) -> bool:
    """Confirms nothing: there is nobody to ask."""
    return False


class Guarded:
    """A connector behind its connection's level; follows the `Connector` protocol itself."""

    def __init__(self, connector: Connector, connection: Connection, confirm: Confirm = nobody) -> None:
        """Guard `connector`, which was made for `connection`.

        Where nobody has said a level, it is `MOVE` for brokers on this machine and `OBSERVE` for all others.
        """
        self._connector = connector
        self._connection = connection
        self._confirm = confirm
        self._confirmed = Level.OBSERVE
        at_home = connection.loopback or getattr(connector, "embedded", False)
        self.level = connection.level if connection.level is not None else Level.MOVE if at_home else Level.OBSERVE
        """What is allowed."""

    async def __aenter__(self) -> Self:
        await self._connector.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._connector.__aexit__(*exception)

    def check(self) -> AsyncIterator[Step]:
        """Try each step on the way into the broker: always allowed."""
        return self._connector.check()

    async def endpoints(self) -> Sequence[Endpoint]:
        """All that there is: always allowed."""
        return await self._connector.endpoints()

    async def endpoint(self, address: Address) -> Endpoint:
        """One endpoint as it is now: always allowed."""
        return await self._connector.endpoint(address)

    @asynccontextmanager
    async def browse(
        self, address: Address, start: Start | None = None, limit: int | None = None, force: bool = False
    ) -> AsyncIterator[Stream]:
        """Show what is there: `LOOK` where that costs something."""
        await self._permit_look(address)
        async with self._connector.browse(address, start, limit, force) as stream:
            yield stream

    @asynccontextmanager
    async def tail(
        self, address: Address, start: Start | None = None, pattern: str | None = None
    ) -> AsyncIterator[Stream]:
        """Show what arrives: `LOOK` where that costs something."""
        await self._permit_look(address)
        async with self._connector.tail(address, start, pattern) as stream:
            yield stream

    @asynccontextmanager
    async def claim(
        self, address: Address, limit: int | None = None, ledger: str | None = None
    ) -> AsyncIterator[Claims]:
        """Hold events while something is done with them: `MOVE`."""
        await self._permit(Level.MOVE, f"taking events from {address}")
        async with self._connector.claim(address, limit, ledger) as claims:
            yield claims

    @asynccontextmanager
    async def publisher(self, address: Address, ledger: str | None = None) -> AsyncIterator[Publisher]:
        """Take events: `PUBLISH`."""
        await self._permit(Level.PUBLISH, f"publishing to {address}")
        entered = self._log.publisher(address, ledger) if ledger else self._connector.publisher(address)
        async with entered as publisher:
            yield publisher

    @asynccontextmanager
    async def scan(
        self, addresses: Sequence[Address], needles: Sequence[Sequence[bytes]], window: Window
    ) -> AsyncIterator[Scan]:
        """Find events by what their bytes hold: always allowed, for a log is read freely."""
        async with self._log.scan(addresses, needles, window) as scan:
            yield scan

    async def groups(self) -> Sequence[Group]:
        """All consumer groups: always allowed."""
        return await self._grouped.groups()

    async def group(self, name: str) -> Group:
        """One consumer group: always allowed."""
        return await self._grouped.group(name)

    @property
    def _grouped(self) -> GroupConnector:
        if isinstance(self._connector, GroupConnector):
            return self._connector
        raise Unsupported(
            f"{self._connection.name} keeps no logs with consumer groups: {self._connection.scheme}:// has none."
        )

    @property
    def _log(self) -> LogConnector:
        if isinstance(self._connector, LogConnector):
            return self._connector
        raise Unsupported(
            f"{self._connection.name} keeps no logs that can be searched: {self._connection.scheme}:// has none."
        )

    async def _permit_look(self, address: Address) -> None:
        if self.level >= Level.LOOK and not self._connection.production:
            return
        endpoint = await self._connector.endpoint(address)
        if endpoint.price.sentence:
            await self._permit(Level.LOOK, f"looking at {address}, which is not free,")

    async def _permit(self, level: Level, what: str) -> None:
        name = self._connection.name
        if level > self.level:
            raise GuardRefused(
                f"{name} is guarded at {self.level.name.lower()!r}: {what} needs {level.name.lower()!r}."
                f" --guard {level.name.lower()} allows it for a connection given by URL, `guard` in the configuration"
                " for one that stands there."
            )
        if self._connection.production and level > self._confirmed:
            if not await self._confirm(self._connection, level):
                raise GuardRefused(f"{name} is production: {what} needs its name to be typed, or --confirm {name}.")
            self._confirmed = level
