"""Where messages go: what each target is and what it can hold, asked once for an operation."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.errors import ConnectorError, unwrap_exception_group
from workbench.model.target_rules import Rules
from workbench.session import Session

_FEW: Final = 4
"""Targets of a connection that are asked for one by one: beyond it, one listing is cheaper for the broker."""
_AT_ONCE: Final = 16


class Target(NamedTuple):
    """An endpoint that messages go to.

    Attributes:
        endpoint: What it is.
        rules: What it can hold.
    """

    endpoint: Endpoint
    rules: Rules


class Targets:
    """What is known of targets."""

    def __init__(self, session: Session) -> None:
        """Ask through the connections of `session`."""
        self._session = session
        self._known: dict[Address, Target | ConnectorError] = {}
        self._listed: dict[str, Mapping[Address, Endpoint]] = {}

    async def listed(self, connection: str) -> Mapping[Address, Endpoint]:
        """All that a connection has.

        Raises:
            WorkbenchError: It cannot be listed.
        """
        if connection not in self._listed:
            connector = await self._session.connector(connection)
            self._listed[connection] = {each.address: each for each in await connector.endpoints()}
        return self._listed[connection]

    async def find(self, address: Address) -> Target:
        """One target.

        Raises:
            ConnectorError: There is none, or its broker does not tell.
        """
        await self.find_all([address])
        found = self._known[address]
        if isinstance(found, ConnectorError):
            raise found
        return found

    async def find_all(self, addresses: Iterable[Address]) -> None:
        """Ask about targets, side by side; what goes wrong with one, `find` says.

        Raises:
            WorkbenchError: A connection cannot be opened or listed.
        """
        unknown = [address for address in dict.fromkeys(addresses) if address not in self._known]
        for connection in {address.connection for address in unknown}:
            if sum(address.connection == connection for address in unknown) > _FEW:
                await self.listed(connection)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(address: Address) -> None:
            async with gate:
                try:
                    self._known[address] = await self._ask(address)
                except ConnectorError as error:
                    self._known[address] = error

        with unwrap_exception_group():
            async with asyncio.TaskGroup() as group:
                for address in unknown:
                    group.create_task(ask(address))

    async def _ask(self, address: Address) -> Target:
        connector = await self._session.connector(address.connection)
        endpoint = self._listed.get(address.connection, {}).get(address)
        if endpoint is None:
            with unwrap_exception_group():
                async with asyncio.TaskGroup() as group:
                    asked = group.create_task(connector.endpoint(address))
                    rules = group.create_task(connector.rules(address))
            return Target(asked.result(), rules.result())
        found = await connector.rules(address)
        # A listing may be late in what a queue holds, and that is what its room depends on.
        return Target(await connector.endpoint(address) if found.forgets else endpoint, found)
