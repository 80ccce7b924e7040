"""Claiming from a queue: messages are held until each is acknowledged or, in the end, given back in their order."""

import time
from collections.abc import AsyncIterator, Callable, Sequence, Set
from typing import Final

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
from workbench.model.wording import quantity

_GROWTH: Final = 16
"""How fast steps grow: nothing is refused of what is near its delivery limit, and a move waits for each step."""


class QueueClaims:
    """One pass over a classic or quorum queue. It keeps none of the messages, and notes of those behind the first that
    is held which are settled.

    Attributes:
        lapsed: Nothing: a channel holds its messages for as long as it lives.
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
        # Of each behind the first that is held, whether it is settled.
        self._first = 0
        self._flags = bytearray()
        self._doomed: dict[int, Arrival] = {}
        self.lapsed: Set[int] = frozenset()
        self.used = 0
        self.settled = 0
        self._further = 0
        self._has_reached = False
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
        self._holding = Holding(self._client, self._channel, self._endpoint, _GROWTH)

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        async for arrivals in self._holding.receive(self._wanted, MOST_BYTES):
            self._hold(arrivals, self._claim_count)
            self._flags.extend(bytes(len(arrivals)))
            self.coverage = Coverage(self._claim_count)
            yield deliveries(arrivals, self._endpoint.address, int(time.time() * 1000), self._endpoint.kind)

    def _hold(self, arrivals: Sequence[Arrival], begin: int) -> None:
        """Note how often these were delivered, and keep those that would not survive being given back."""
        if self._endpoint.kind != "quorum queue":
            return
        limit = self._endpoint.cost.limit
        for number, arrival in enumerate(arrivals, begin):
            count = attempt(arrival)
            if limit is not None and count >= limit:
                self._doomed[number] = arrival
            else:
                self.used = max(self.used, count + 1)

    async def settle(self, sequences: Sequence[int]) -> Sequence[Outcome]:
        """Acknowledge these: see `workbench.connecting.connector.Claims`."""
        if len({*sequences}) < len(sequences) or any(map(self._is_settled, sequences)):
            raise ValueError("a sequence was settled before, or never claimed")
        try:
            left = sorted(sequences)
            while left:
                if not (room := self._holding.room(left)):
                    await self._holding.finish()
                    continue
                some, left = left[:room], left[room:]
                self._holding.acknowledge(some, self._first_left_by({*some}))
                self._note(some)
            # The queue answers behind the acknowledgements: what it has not dealt with by then is lost with it.
            await self._channel.count(self._endpoint.address.name)
        except ConnectorError as error:
            return [Outcome.failed(sequence, error) for sequence in sequences]
        return [Outcome(sequence) for sequence in sequences]

    @property
    def _claim_count(self) -> int:
        """How many were claimed so far."""
        return self._first + len(self._flags)

    def _is_settled(self, sequence: int) -> bool:
        """Whether it is not held."""
        return not self._first <= sequence < self._claim_count or bool(self._flags[sequence - self._first])

    def _first_left_by(self, sequences: Set[int]) -> int:
        """The first sequence that is not settled, and is not when these are."""
        first = self._flags.find(0)
        while first >= 0 and self._first + first in sequences:
            first = self._flags.find(0, first + 1)
        return self._claim_count if first < 0 else self._first + first

    def _note(self, sequences: Sequence[int]) -> None:
        """Note what is settled, and forget it where nothing before it is held."""
        self.settled += len(sequences)
        for sequence in sequences:
            self._flags[sequence - self._first] = 1
            self._doomed.pop(sequence, None)
        first = self._flags.find(0)
        settled = len(self._flags) if first < 0 else first
        del self._flags[:settled]
        self._first += settled

    @property
    def _left(self) -> int:
        """How many are held and not settled."""
        return self._claim_count + self._further - self.settled

    async def prepare_to_close(self, behind: "QueueClaims") -> None:
        """Have what must be held, so that giving back keeps the order.

        Args:
            behind: The last of the claims on this queue: what is behind its messages is what must be held as well.
        """
        if behind is self:
            # Where all is settled, nothing is given back whose order has to be kept.
            await self._reach(lambda: self._left > 0)
            return
        await self._reach(lambda: False)
        if self._left:
            await behind._reach(lambda: True)

    async def _reach(self, going_on: Callable[[], bool]) -> None:
        if self._channel.ended is not None:
            return
        async for arrivals in self._holding.rest(lambda: not self._has_reached and going_on()):
            self._hold(arrivals, self._claim_count + self._further)
            self._further += len(arrivals)
        # What others give back afterwards comes behind, and is not ours.
        self._has_reached = self._has_reached or going_on()

    async def close(self) -> None:
        """Give back what was not settled.

        Raises:
            ConnectorError: A message that would not survive that could not be saved; the sentence says where it is.
        """
        doomed = [*self._doomed.values()]
        returned = self._left - len(doomed)
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
        behind = self._behind + (self._wanted - self._claim_count if why else 0)
        if behind:
            gaps.append(Gap(f"{quantity(behind, 'message')} further back", why or "one pass holds no more"))
        if returned:
            notes.append(f"{quantity(returned, 'message')} given back, now marked as redelivered")
        if returned and self._endpoint.kind == "quorum queue":
            of = "" if self._endpoint.cost.limit is None else f" of {self._endpoint.cost.limit}"
            notes.append(f"up to {self.used}{of} deliveries are counted for a message now")
        if self._rescue.saved:
            notes.append(
                f"{self._rescue.saved:,} had used up their deliveries and were published to the tail of the queue"
            )
        self.coverage = Coverage(self._claim_count, (), tuple(gaps), tuple(notes))
