"""Reading a RabbitMQ stream by offset, which takes nothing: https://www.rabbitmq.com/docs/streams#consuming."""

import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Final, TypeAlias

import msgspec

from connectors.rabbitmq.back_pressure import PREFETCH, BackPressure
from connectors.rabbitmq.client import Channel, Client
from connectors.rabbitmq.deliveries import deliveries, offset
from connectors.rabbitmq.frames import Arrival
from workbench.model.address import Address
from workbench.model.errors import Unsupported
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Span
from workbench.model.start import At, Beginning, FromEnd, Latest, Since, Start

_SILENCE: Final = 1.0
"""Seconds without a message after which nothing more is expected."""


WAITING: Final = 67_108_864
"""Bytes of messages that wait for a slow reader; what comes then is read again later."""

_TAG: Final = "look"

Place: TypeAlias = int | str | datetime
"""A value of `x-stream-offset`."""


class StreamLook:
    """A stream's messages from an offset on.

    Attributes:
        coverage: What was read so far.
    """

    gapless: ClassVar = True
    interruption: Final = None
    """A lost connection is an error at once here; `following.Following` goes on."""

    def __init__(
        self,
        channel: Channel,
        address: Address,
        place: Place,
        end: int | None = None,
        limit: int | None = None,
        note: str = "",
    ) -> None:
        self._channel = channel
        self._address = address
        self._place = place
        self._behind: int | None = None
        self._end = end
        self._limit = limit
        self._pressure = BackPressure(channel, address.name, _TAG, by_offset=True)
        self._first: int | None = None
        self.coverage = Coverage(notes=(note,) if note else ())

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        while batch := await self.next():
            yield batch
        await self.close()

    async def next(self) -> Sequence[Delivery]:
        """The next messages; none at the end."""
        read = self.coverage.read
        if read == self._limit or (self._end is not None and (self._behind or 0) >= self._end):
            return ()
        await self._pressure.let_more_come({"x-stream-offset": self._place if self._behind is None else self._behind})
        if self._end is None:
            arrivals = await self._channel.arrivals()
        else:
            arrivals = await self._channel.arrivals_within(_SILENCE)
        if not arrivals:
            return ()
        self._pressure.note(arrivals)
        batch = deliveries(arrivals, self._address, int(time.time() * 1000), "stream")
        if self._end is not None:
            batch = [seen for seen in batch if seen.position and int(seen.position.offset) < self._end]
        batch = batch[: None if self._limit is None else self._limit - read]
        if batch and batch[0].position and batch[-1].position:
            self._first = int(batch[0].position.offset) if self._first is None else self._first
            self._behind = int(batch[-1].position.offset) + 1
            span = Span("", str(self._first), str(self._behind))
            self.coverage = msgspec.structs.replace(self.coverage, read=read + len(batch), spans=(span,))
        return batch

    def lost_since(self, heard: int) -> int:
        """Nothing is lost: the log is read on from where it was."""
        return heard

    async def close(self) -> None:
        """End the consumer."""
        await self._channel.close()

    async def renew(self, client: Client) -> "StreamLook":
        """Go on behind the last message read."""
        place = self._place if self._behind is None else self._behind
        return StreamLook(await _consumer(client, self._address.name, place), self._address, place)


async def browse(client: Client, address: Address, start: Start | None, limit: int | None) -> StreamLook:
    """Read from `start` to where the stream ends now."""
    end = await _end(client, address.name) or 0
    place, note = _place(address, start or Beginning(), end)
    if limit == 0 or not end or (isinstance(place, int) and place >= end):
        return StreamLook(await client.channel(), address, place, 0, limit, note)
    return StreamLook(await _consumer(client, address.name, place), address, place, end, limit, note)


async def tail(client: Client, address: Address, start: Start | None) -> StreamLook:
    """Read from `start` on, for as long as the context is open."""
    end = await _end(client, address.name) or 0
    place, note = _place(address, start or Latest(), end)
    return StreamLook(await _consumer(client, address.name, place), address, place, note=note)


def _place(address: Address, start: Start, end: int) -> tuple[Place, str]:
    """What `x-stream-offset` means a start, and what to say about it."""
    match start:
        case At(position):
            return int(position.offset), ""
        case FromEnd(count, before):
            # No index tells where in a stream a time begins that messages are to be before.
            return max(0, end - count), "" if before is None else f"only the last {count:,} were looked at"
        case Since(time_ms):
            return datetime.fromtimestamp(time_ms // 1000, UTC), (
                "a stream is entered at the chunk of that time, so that some earlier messages may be among these"
            )
        case Latest():
            return end, ""
        case Beginning():
            return "first", ""
        case _:
            raise Unsupported(f"{address}: a stream has no consumer groups that can be read.")


async def _consumer(client: Client, stream: str, place: Place) -> Channel:
    """A channel of its own that consumes."""
    channel = await client.channel()
    try:
        channel.keep(WAITING)
        await channel.qos(PREFETCH)
        await channel.consume(stream, _TAG, {"x-stream-offset": place})
    except BaseException:
        await channel.close()
        raise
    return channel


async def depth(client: Client, stream: str) -> int:
    """How many messages a stream holds: from the first offset that is there to the end."""
    end = await _end(client, stream)
    if end is None:
        return 0
    async with await client.channel() as channel:
        # A whole chunk may come all the same.
        channel.keep(0)
        await channel.qos(1)
        await channel.consume(stream, "depth", {"x-stream-offset": "first"})
        arrivals = await channel.arrivals_within(_SILENCE)
    first = offset(arrivals[0]) if arrivals else None
    return 0 if first is None else end - first


async def _end(client: Client, stream: str) -> int | None:
    """The offset behind the last message, None for an empty stream: read from its last chunk. (The message count of a
    passive declare is 0 on 3.10 and late on 4.0.)"""
    last: Arrival | None = None
    async with await _consumer(client, stream, "last") as channel:
        arrivals = await channel.arrivals_within(_SILENCE)
        while arrivals:
            last = arrivals[-1]
            if channel.complete:
                channel.acknowledge_until(last[0])
                # The rest of a chunk comes before the answer to a later request on the same channel.
                await channel.qos(PREFETCH)
                arrivals = channel.fetch()
            else:
                rest = {"x-stream-offset": (offset(last) or 0) + 1}
                await channel.begin_again(stream, _TAG, rest, PREFETCH, None)
                arrivals = await channel.arrivals_within(_SILENCE)
    behind = offset(last) if last else None
    return None if behind is None else behind + 1
