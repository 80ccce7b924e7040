"""A whole-queue move by RabbitMQ's own shovel: started, watched, and cleared away.

A shovel publishes with confirms and acknowledges what was confirmed, in the broker. It takes the first so many messages
and deletes itself behind the last; one that is deleted before gives back what it holds.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self
from urllib.parse import quote

from connectors.rabbitmq.client import Client
from connectors.rabbitmq.topology import Topology
from workbench.model.address import Address
from workbench.model.errors import EndpointNotFound
from workbench.model.transfer import TransferState

_PREFETCH: Final = 1_000
_STARTING: Final = 10.0
"""Seconds in which a shovel that was asked for is listed, or has ended already."""
_FAILING: Final = "terminated"


class Shovelling:
    """One shovel, for as long as its context is entered."""

    def __init__(self, topology: Topology, client: Client, name: str, source: str, depth: int, count: int) -> None:
        """See `start`."""
        self._topology = topology
        self._client = client
        self._name = name
        self._source = source
        self._depth = depth
        self._count = count
        self._began = time.monotonic()
        self._seen = False

    @classmethod
    @asynccontextmanager
    async def start(
        cls, topology: Topology, client: Client, vhost: str, source: Address, target: Address, count: int
    ) -> AsyncIterator[Self]:
        """Start a shovel; on leaving it is ended, if it has not ended by itself.

        Args:
            topology: The management API.
            client: A connection that asks how many messages are left.
            vhost: The virtual host of both.
            source: The queue.
            target: The queue or the exchange.
            count: How many messages it moves.

        Raises:
            AccessRefused: This user may not start one, or not see how it goes.
            EndpointNotFound: The broker has no shovels, or there is no such queue.
        """
        channel = await client.channel()
        try:
            depth, _ = await channel.count(source.name)
        finally:
            await channel.close()
        # Whoever may not see how it goes had better not begin.
        await topology.shovels()
        name = f"workbench-{uuid.uuid4().hex[:12]}"
        uri = f"amqp:///{quote(vhost, safe='')}"
        to = {"dest-exchange": target.name} if target.namespace == "exchange" else {"dest-queue": target.name}
        await topology.start_shovel(
            name,
            {
                "src-protocol": "amqp091",
                "src-uri": uri,
                "src-queue": source.name,
                "src-delete-after": count,
                "src-prefetch-count": _PREFETCH,
                "dest-protocol": "amqp091",
                "dest-uri": uri,
                "ack-mode": "on-confirm",
                **to,
            },
        )
        try:
            yield cls(topology, client, name, source.name, depth, count)
        finally:
            await asyncio.shield(topology.end_shovel(name))

    async def state(self) -> TransferState:
        """How far it is: see `workbench.connecting.connector.Transfer`."""
        channel = await self._client.channel()
        try:
            left, _ = await channel.count(self._source)
        except EndpointNotFound:
            return TransferState(0, False, f"There is no queue {self._source!r} any more.")
        finally:
            await channel.close()
        moved = min(max(self._depth - left, 0), self._count)
        shovel = next((each for each in await self._topology.shovels() if each.name == self._name), None)
        if shovel is not None:
            self._seen = True
            if shovel.state == _FAILING:
                return TransferState(0, False, f"The shovel has failed: {shovel.reason}.")
            return TransferState(moved, True)
        if self._seen or moved == self._count or time.monotonic() - self._began > _STARTING:
            return TransferState(moved, False)
        return TransferState(moved, True)
