"""Looking into a queue: its messages are held for a moment, shown, and given back in their order."""

import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from connectors.rabbitmq.client import Client
from connectors.rabbitmq.deliveries import attempt, deliveries
from connectors.rabbitmq.endpoints import UNKNOWN
from connectors.rabbitmq.errors import Invalid
from connectors.rabbitmq.frames import Arrival
from connectors.rabbitmq.requeue_to_tail import Rescue
from connectors.rabbitmq.unacked import MOST, MOST_BYTES, Holding
from workbench.model.endpoint import Endpoint
from workbench.model.errors import ConnectorError, LookRefused, Unsupported
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap
from workbench.model.wording import quantity

MARGIN: Final = 5
"""Deliveries that a look leaves to a message before its limit: others deliver it as well."""


class QueueLook:
    """What is in a queue, as a stream that ends.

    Attributes:
        coverage: What was read so far, and in the end the price paid.
        used: The deliveries counted for the message that has most, with this look's; None where none are counted.
    """

    interruption: Final = None
    """A lost connection gives everything back: it is an error at once."""

    def __init__(self, client: Client, endpoint: Endpoint, limit: int | None, force: bool, rescue: Rescue) -> None:
        self._client = client
        self._endpoint = endpoint
        self._ready = endpoint.depth or 0
        self._asked = self._ready if limit is None else min(self._ready, limit)
        self._most = min(self._asked, MOST) if limit is None else self._asked
        self._force = force
        self._counts = endpoint.kind == "quorum queue"
        self._delivery_limit = endpoint.cost.limit
        self._holding: Holding
        self._rescue = rescue
        self._open = False
        self._refused: LookRefused | None = None
        self._failed: ConnectorError | None = None
        self._broken = ""
        self._further = 0
        self.coverage = Coverage()
        self.used: int | None = None

    async def open(self) -> None:
        """Prepare; nothing is taken yet.

        Raises:
            LookRefused: Looking could cost a message its life.
        """
        limit = self._delivery_limit
        if self._counts and limit is not None:
            if limit <= MARGIN and not self._force:
                raise LookRefused(
                    f"{self._endpoint.address} gives a message up after {limit} deliveries, and each look is one:"
                    " raise its delivery limit (-1 is none), or force the look."
                )
            if not self._force:
                await self._rescue.check(", or force the look")
        self._channel = await self._client.channel()
        self._holding = Holding(self._client, self._channel, self._endpoint)
        self._open = True

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        address = self._endpoint.address
        asked = self._most
        try:
            async for arrivals in self._holding.receive(asked, MOST_BYTES):
                if shown := (await self._count(arrivals))[: asked - self.coverage.read]:
                    self.coverage = Coverage(self.coverage.read + len(shown))
                    yield deliveries(shown, address, int(time.time() * 1000), self._endpoint.kind)
                if not self._going_on():
                    break
        except Invalid as error:
            # Once the broker has counted what is in a stream, it no longer looks empty, and refuses this consumer.
            if UNKNOWN in self._endpoint.detail and "rabbit_stream_queue" in str(error):
                raise Unsupported(
                    f"{address} is a stream: to read it as one takes the management API, or the right to configure the"
                    " queue."
                ) from error
            raise
        except ConnectorError as error:
            self._broken = str(error).rstrip(".")
            raise
        await self.close()
        if self._refused is not None:
            raise self._refused

    async def close(self) -> None:
        """Give everything back, and say what it cost.

        Raises:
            ConnectorError: A message that would not survive that could not be saved; the sentence says where it is.
        """
        if not self._open:
            return
        self._open = False
        if self._channel.ended is None:
            async for arrivals in self._holding.rest(self._going_on):
                self._further += len(await self._count(arrivals))
        await self._holding.give_back()
        self._conclude()
        if self._failed is not None:
            raise self._failed

    def _going_on(self) -> bool:
        return not self._refused and not self._failed

    async def _count(self, arrivals: Sequence[Arrival]) -> Sequence[Arrival]:
        """Note how often these were delivered, and save those that would not survive being given back. Going on may
        then be refused, or pointless. Returns them, with those that had to be received as well before any was saved."""
        limit = self._delivery_limit
        if not self._counts:
            return arrivals
        if limit is not None and any(attempt(arrival) >= limit for arrival in arrivals):
            await self._holding.finish()
            arrivals = [*arrivals, *self._holding.aside()]
        counts = [attempt(arrival) for arrival in arrivals]
        # What is saved begins anew.
        self.used = max(self.used or 0, *(count + 1 for count in counts if limit is None or count < limit), 0)
        if limit is None:
            return arrivals
        if doomed := [arrival for arrival, count in zip(arrivals, counts, strict=True) if count >= limit]:
            self._holding.held -= len(doomed)
            try:
                await self._rescue.save(doomed, self._channel)
            except ConnectorError as error:
                self._failed = self._failed or error
        if not self._force and max(counts) + MARGIN >= limit:
            self._refused = self._refused or LookRefused(
                f"{self._endpoint.address} holds a message that was delivered {max(counts) + 1} times and is given up"
                f" after {limit}: browsing on could lose it. Raise the delivery limit (-1 is none), or force the look."
                " That message now stands behind those that were delivered before."
            )
        return arrivals

    def _conclude(self) -> None:
        read, gaps, notes = self.coverage.read, [], []
        if read < self._most and not self._holding.exhausted:
            gaps.append(
                Gap(
                    f"{self._asked - read:,} of {self._asked:,} messages",
                    self._broken or "consumers took or hold them, or browsing was stopped",
                )
            )
        elif read < self._asked:
            why = self._holding.exhausted or (
                f"a look holds {self._most:,}, unless more are asked for: browse -n {self._asked} reads all"
            )
            gaps.append(Gap(f"{quantity(self._asked - read, 'message')} further back", why))
        detail = dict(self._endpoint.detail)
        if self._endpoint.consumers and (unacknowledged := detail.get("unacknowledged")):
            further = "message" if unacknowledged == "1" else "messages"
            notes.append(f"consumers held about {unacknowledged} further {further}, which nobody else can see")
        if UNKNOWN in self._endpoint.detail:
            notes.append(
                "of what kind this queue is was not known, and a stream would look empty: that takes the management"
                " API, or the right to configure the queue"
            )
        elif self._counts and "not known" in detail:
            notes.append(
                "the queue's policies were not known, which may give a message fewer deliveries:"
                f" {detail['not known'].rstrip('.')}"
            )
        if read:
            notes.append("the messages are marked as redelivered now")
        if self._further:
            notes.append(f"{quantity(self._further, 'further message')} held for a moment, to keep the order")
        if self.used:
            of = "" if self._delivery_limit is None else f" of {self._delivery_limit}"
            notes.append(f"up to {self.used}{of} deliveries are counted for a message now")
        if self._rescue.saved:
            saved = quantity(self._rescue.saved, "message")
            notes.append(f"published to the tail of the queue, for no delivery was left: {saved}")
        self.coverage = Coverage(read, (), tuple(gaps), tuple(notes))
