"""Publishing: events in, a receipt for each."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Final

import msgspec

from workbench.connecting.connector import Connector, Publisher
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, FormatError, PublishUnknown, StoreError, WorkbenchError, lone_error
from workbench.model.event import Event
from workbench.model.ndjson import Line
from workbench.model.receipt import Receipt

_PACE_SECONDS: Final = 0.02
"""Events due within so long go out together: nobody sees the difference, and batches are what is fast."""


_BATCH: Final = 200
"""Events that are made at once: between batches, others have their turn."""


class Published(msgspec.Struct, frozen=True):
    """How a publishing ended.

    Attributes:
        confirmed: Events that the broker has taken.
        refused: Events that it has not.
        unknown: Events that were sent, and of which it is not known whether it has taken them.
        resent: How many of the confirmed were sent again and may be there twice.
    """

    confirmed: int
    refused: int
    unknown: int = 0
    resent: int = 0

    @property
    def failed(self) -> int:
        """Events that are not confirmed, though they were sent."""
        return self.refused + self.unknown

    def told(self, where: str = "") -> str:
        """The figures, for the end of a sentence; `where` follows the published."""
        twice = f" ({self.resent:,} of them sent again, and maybe there twice)" if self.resent else ""
        unknown = f", {self.unknown:,} not known" if self.unknown else ""
        return f"{self.confirmed:,} published{where}{twice}, {self.refused:,} refused{unknown}"

    @property
    def told_until(self) -> str:
        """The sentence behind that of an error."""
        unknown = f" Not known: {self.unknown:,}." if self.unknown else ""
        return f"Confirmed until then: {self.confirmed:,}.{unknown}"

    def __add__(self, receipts: Sequence[Receipt]) -> "Published":
        failed = [receipt.error for receipt in receipts if receipt.error is not None]
        unknown = sum(isinstance(error, PublishUnknown) for error in failed)
        return Published(
            self.confirmed + len(receipts) - len(failed),
            self.refused + len(failed) - unknown,
            self.unknown + unknown,
            self.resent + sum(receipt.resent for receipt in receipts),
        )


async def publish(
    connector: Connector,
    address: Address,
    batches: AsyncIterable[Sequence[Event]],
    on_receipts: Callable[[Sequence[Receipt]], None],
    partition: int | None = None,
) -> Published:
    """Publish batches as they come, as fast as the broker confirms them.

    Args:
        connector: The open connection of `address`.
        address: Where to.
        batches: What; read no faster than the publisher's window has room.
        on_receipts: Told of each event's receipt, in the order in which the broker answered.
        partition: Where in a topic; None leaves it to the broker's rule.

    Raises:
        ConnectorError: Nothing (more) could be published; every event that was sent has its receipt.
        FormatError, StoreError: `batches` could not be read on; all that came before is published, its receipts told.
    """
    published = Published(0, 0)
    with lone_error():
        async with connector.publisher(address) as publisher, asyncio.TaskGroup() as group:
            sender = group.create_task(_send(publisher, batches, partition))
            async for receipts in publisher.receipts():
                published += receipts
                on_receipts(receipts)
    if (broken := sender.result()) is not None:
        raise broken
    return published


async def numbered(event: Callable[[int], Event], count: int) -> AsyncIterator[Sequence[Event]]:
    """The events number 0 to `count` - 1, made as they are asked for."""
    for start in range(0, count, _BATCH):
        yield [event(number) for number in range(start, min(start + _BATCH, count))]
        await asyncio.sleep(0)


async def until(stopped: asyncio.Event, batches: AsyncIterable[Sequence[Event]]) -> AsyncIterator[Sequence[Event]]:
    """The same events, and no more of them once it is stopped, even while the next are being waited for."""
    iterator = aiter(batches)

    async def following() -> Sequence[Event] | None:
        return await anext(iterator, None)

    while not stopped.is_set():
        with lone_error():
            async with asyncio.TaskGroup() as group:
                batch = group.create_task(following())
                stop = group.create_task(stopped.wait())
                await asyncio.wait((batch, stop), return_when=asyncio.FIRST_COMPLETED)
                batch.cancel()
                stop.cancel()
        if batch.cancelled() or (events := batch.result()) is None:
            return
        yield events


async def at_rate(batches: AsyncIterable[Sequence[Event]], rate: float) -> AsyncIterator[Sequence[Event]]:
    """The same events, at most `rate` a second, in small batches that keep the pace even."""
    start, sent = time.monotonic(), 0
    step = max(1, round(rate * _PACE_SECONDS))
    async for batch in batches:
        for at in range(0, len(batch), step):
            await asyncio.sleep(max(start + sent / rate - time.monotonic(), 0))
            yield batch[at : at + step]
            sent += len(batch[at : at + step])


async def in_time(batches: AsyncIterable[Sequence[Line]], speed: float) -> AsyncIterator[Sequence[Event]]:
    """The events, as far apart as their times are, divided by `speed`.

    The time of an event that has none of its own is when it was seen. One that was not seen either, or that is older
    than an event before it, follows at once.
    """
    start, first, newest = time.monotonic(), None, None
    async for batch in batches:
        due: list[Event] = []
        for line in batch:
            moment = line.event.timestamp if line.delivery is None else line.delivery.time[0]
            if moment is not None and (newest is None or moment > newest):
                first = moment if first is None else first
                newest = moment
                wait = start + (newest - first) / 1000 / speed - time.monotonic()
                if wait > _PACE_SECONDS and due:
                    yield due
                    due = []
                if wait > _PACE_SECONDS:
                    await asyncio.sleep(wait)
            due.append(line.event)
        if due:
            yield due


async def _send(
    publisher: Publisher, batches: AsyncIterable[Sequence[Event]], partition: int | None
) -> WorkbenchError | None:
    broken: WorkbenchError | None = None
    try:
        async for batch in batches:
            await publisher.send(batch, partition)
    except (ConnectorError, FormatError, StoreError) as error:
        # What was sent before is answered for all the same: the receipts must not end short of what the broker has.
        broken = error
    try:
        await publisher.finish()
    except ConnectorError as error:
        broken = broken or error
    return broken
