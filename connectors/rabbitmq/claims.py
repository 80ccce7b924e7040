"""Claiming from a queue: messages are held until each is acknowledged or, in the end, given back in their order."""

import time
from array import array
from collections.abc import AsyncIterator, Sequence, Set

from connectors.rabbitmq.client import Client
from connectors.rabbitmq.deliveries import attempt, deliveries
from connectors.rabbitmq.frames import Arrival
from connectors.rabbitmq.requeue_to_tail import Rescue
from connectors.rabbitmq.unacked import MOST, MOST_BYTES, Holding
from workbench.model.endpoint import Endpoint
from workbench.model.errors import ConnectorError
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap
from workbench.model.receipt import Outcome


class QueueClaims:
    """One pass over a classic or quorum queue. Of what is held it keeps the delivery tags, not the messages.

    Attributes:
        coverage: What was claimed so far, and in the end what giving back has cost.
        used: The deliveries counted for the message that has most, with this claim's; of a quorum queue.
    """

    def __init__(self, client: Client, endpoint: Endpoint, limit: int | None, rescue: Rescue) -> None:
        self._client = client
        self._endpoint = endpoint
        ready = endpoint.depth or 0
        self._wanted = min(ready, MOST, ready if limit is None else limit)
        self._behind = (ready if limit is None else min(ready, limit)) - self._wanted
        self._rescue = rescue
        self._tags = array("Q")
        self._settled = bytearray()
        self._doomed: dict[int, Arrival] = {}
        self.used = 0
        self._further = 0
        self._holding: Holding
        self.coverage = Coverage()

    async def open(self) -> None:
        """Prepare; nothing is taken yet.

        Raises:
            LookRefused: A message that would not survive being given back could not be saved.
        """
        if self._endpoint.kind == "quorum queue" and self._endpoint.cost.limit is not None:
            await self._rescue.check()
        self._channel = await self._client.channel()
        self._holding = Holding(self._client, self._channel, self._endpoint)

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        async for arrivals in self._holding.receive(self._wanted, MOST_BYTES):
            self._hold(arrivals, len(self._tags))
            self._tags.extend(arrival[0] for arrival in arrivals)
            self._settled.extend(bytes(len(arrivals)))
            self.coverage = Coverage(len(self._tags))
            yield deliveries(arrivals, self._endpoint.address, int(time.time() * 1000), self._endpoint.kind)

    def _hold(self, arrivals: Sequence[Arrival], begin: int) -> None:
        """Note how often these were delivered, and keep those that would not survive being given back."""
        limit = self._endpoint.cost.limit
        for number, arrival in enumerate(arrivals, begin):
            count = attempt(arrival)
            if limit is not None and count >= limit:
                self._doomed[number] = arrival
            else:
                self.used = max(self.used, count + 1)

    async def settle(self, sequences: Sequence[int]) -> Sequence[Outcome]:
        """Acknowledge these: see `workbench.connecting.connector.Claims`."""
        if any(not 0 <= sequence < len(self._tags) or self._settled[sequence] for sequence in sequences):
            raise ValueError("a sequence was settled before, or never claimed")
        try:
            await self._holding.finish()
            first = self._first_left_by({*sequences})
            # Up to the first that is left it is few commands for the broker.
            until = max((sequence for sequence in sequences if sequence < first), default=None)
            self._holding.acknowledge(
                None if until is None else self._tags[until],
                [self._tags[sequence] for sequence in sequences if sequence > first],
            )
            for sequence in sequences:
                self._settled[sequence] = 1
            # The queue answers behind the acknowledgements: what it has not dealt with by then is lost with it.
            await self._channel.count(self._endpoint.address.name)
        except ConnectorError as error:
            return [Outcome(sequence, error) for sequence in sequences]
        return [Outcome(sequence) for sequence in sequences]

    def _first_left_by(self, sequences: Set[int]) -> int:
        """The first sequence that is not settled, and is not when these are."""
        first = self._settled.find(0)
        while first in sequences:
            first = self._settled.find(0, first + 1)
        return len(self._settled) if first < 0 else first

    @property
    def settled(self) -> int:
        """How many were settled."""
        return self._settled.count(1)

    async def close(self) -> None:
        """Give back what was not settled.

        Raises:
            ConnectorError: A message that would not survive that could not be saved; the sentence says where it is.
        """
        if self._channel.ended is None:
            # Where all is settled, nothing is given back whose order has to be kept.
            async for arrivals in self._holding.rest(lambda: bool(self._settled.count(0) or self._further)):
                self._hold(arrivals, len(self._tags) + self._further)
                self._further += len(arrivals)
        doomed = [
            arrival
            for sequence, arrival in self._doomed.items()
            if sequence >= len(self._tags) or not self._settled[sequence]
        ]
        returned = self._settled.count(0) + self._further - len(doomed)
        self._holding.held = returned
        try:
            if doomed:
                await self._rescue.save(doomed, self._channel)
        finally:
            await self._holding.give_back()
            self._conclude(returned)

    def _conclude(self, returned: int) -> None:
        gaps, notes = [], []
        why = self._holding.exhausted
        behind = self._behind + (self._wanted - len(self._tags) if why else 0)
        if behind:
            gaps.append(Gap(f"{behind:,} messages further back", why or "one pass holds no more"))
        if returned:
            notes.append(f"{returned:,} messages were given back and are marked as redelivered now")
        if returned and self._endpoint.kind == "quorum queue":
            of = "" if self._endpoint.cost.limit is None else f" of {self._endpoint.cost.limit}"
            notes.append(f"up to {self.used}{of} deliveries are counted for a message now")
        if self._rescue.saved:
            notes.append(f"{self._rescue.saved:,} had used up their deliveries and were put at the end of the queue")
        self.coverage = Coverage(len(self._tags), (), tuple(gaps), tuple(notes))
