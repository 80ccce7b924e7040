"""Publishing: events in, a receipt for each."""

import asyncio
import time
from array import array
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Final

import msgspec

from workbench.connecting.connector import Connector, Publisher
from workbench.decode.ndjson import Line
from workbench.model.address import Address
from workbench.model.errors import (
    ConnectorError,
    FormatError,
    PublishRejected,
    StoreError,
    WorkbenchError,
    unwrap_exception_group,
)
from workbench.model.event import Event
from workbench.model.receipt import Receipt
from workbench.model.target_rules import Changes, Finding, Rules

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
        changes: What the target changes about the events, a sentence each.
    """

    confirmed: int
    refused: int
    unknown: int = 0
    resent: int = 0
    changes: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        """Events that are not confirmed, though they were sent."""
        return self.refused + self.unknown

    def summary(self, where: str = "") -> str:
        """The figures, for the end of a sentence; `where` follows the published."""
        twice = f" ({self.resent:,} of them sent again, and maybe there twice)" if self.resent else ""
        unknown = f", {self.unknown:,} not known" if self.unknown else ""
        return f"{self.confirmed:,} published{where}{twice}, {self.refused:,} refused{unknown}"

    @property
    def told_until(self) -> str:
        """The sentence behind that of an error."""
        unknown = f" Not known: {self.unknown:,}." if self.unknown else ""
        return f"Confirmed until then: {self.confirmed:,}.{unknown}"

    def with_others(self, others: "Published") -> "Published":
        """The figures of this one and of another together."""
        return Published(
            self.confirmed + others.confirmed,
            self.refused + others.refused,
            self.unknown + others.unknown,
            self.resent + others.resent,
        )

    def __add__(self, receipts: Sequence[Receipt]) -> "Published":
        failed = [receipt for receipt in receipts if receipt.error is not None]
        unknown = sum(receipt.state == "unknown" for receipt in failed)
        return Published(
            self.confirmed + len(receipts) - len(failed),
            self.refused + len(failed) - unknown,
            self.unknown + unknown,
            self.resent + sum(receipt.resent for receipt in receipts),
            self.changes,
        )


async def publish(
    connector: Connector,
    address: Address,
    batches: AsyncIterable[Sequence[Event]],
    on_receipts: Callable[[Sequence[Receipt]], None],
    partition: str | None = None,
    on_obstacle: Callable[[str | None], None] = lambda _: None,
) -> Published:
    """Publish batches as they come, as fast as the broker confirms them.

    The target's rules are asked about each event before it is sent: one that the target cannot hold is refused.

    Args:
        connector: The open connection of `address`.
        address: Where to.
        batches: What; read no faster than the publisher's window has room.
        on_receipts: Told of each event's receipt, in the order in which the broker answered.
        partition: Where in a topic; None leaves it to the broker's rule.
        on_obstacle: Told in a sentence why the broker takes nothing for the moment, and None when it does again.

    Raises:
        ConnectorError: Nothing (more) could be published, there or at all; every event that was sent has its receipt.
        FormatError, StoreError: `batches` could not be read on; all that came before is published, its receipts told.
    """
    published = Published(0, 0)

    def tell(receipts: Sequence[Receipt]) -> None:
        nonlocal published
        published += receipts
        on_receipts(receipts)

    asked = _Asked(await connector.rules(address), tell)
    closed: WorkbenchError | None = None
    obstacle: str | None = None
    with unwrap_exception_group():
        async with connector.publisher() as publisher, asyncio.TaskGroup() as group:
            sender = group.create_task(_send(publisher, address, asked.let_through(batches), partition))
            async for receipts in publisher.receipts():
                if publisher.obstacle != obstacle:
                    on_obstacle(obstacle := publisher.obstacle)
                errors = [each.error for each in receipts if each.error is not None and _of_target(each)]
                if errors and closed is None:
                    # The target takes nothing more: one sentence says so, and not a receipt for each event.
                    closed = errors[0]
                    if sender.cancel():
                        group.create_task(_finish(publisher))
                if errors:
                    receipts = [each for each in receipts if not _of_target(each)]
                if receipts:
                    tell(asked.renumber(receipts))
    if closed is None:
        closed = sender.result()
    if closed is not None:
        raise closed
    return msgspec.structs.replace(published, changes=asked.changes.sentences())


class _Asked:
    """Asks the target's rules about events on their way to the publisher, and keeps count of both."""

    def __init__(self, rules: Rules, tell: Callable[[Sequence[Receipt]], None]) -> None:
        self._rules = rules
        self._tell = tell
        # How many events the publisher had been given when one was refused, for each.
        self._refused = array("Q")
        self._given = 0
        self.changes = Changes()

    async def let_through(self, batches: AsyncIterable[Sequence[Event]]) -> AsyncIterator[Sequence[Event]]:
        """The events that the target can hold; of the others the receipts are told."""
        async for batch in batches:
            found = [self._rules.examine(event) for event in batch]
            allowed = batch
            if any(finding.refusal or finding.changes for finding in found):
                allowed = self._sort_out(batch, found)
            self._given += len(allowed)
            if allowed:
                yield allowed

    def _sort_out(self, batch: Sequence[Event], found: Sequence[Finding]) -> Sequence[Event]:
        allowed: list[Event] = []
        receipts = []
        for event, finding in zip(batch, found, strict=True):
            if finding.refusal:
                why = PublishRejected(f"{self._rules.address} was not sent an event: {finding.refusal}.")
                receipts.append(Receipt(self._given + len(allowed) + len(self._refused), error=why))
                self._refused.append(self._given + len(allowed))
            else:
                allowed.append(event)
                self.changes.add(finding.changes)
        if receipts:
            self._tell(receipts)
        return allowed

    def renumber(self, receipts: Sequence[Receipt]) -> Sequence[Receipt]:
        """The publisher's receipts, each with the number that its event had before others were taken out."""
        if not self._refused:
            return receipts
        return [
            msgspec.structs.replace(each, sequence=each.sequence + bisect_right(self._refused, each.sequence))
            for each in receipts
        ]


async def number_events(event: Callable[[int], Event], count: int) -> AsyncGenerator[Sequence[Event], None]:
    """The events number 0 to `count` - 1, made as they are asked for."""
    for start in range(0, count, _BATCH):
        yield [event(number) for number in range(start, min(start + _BATCH, count))]
        await asyncio.sleep(0)


async def begin(batches: AsyncIterator[Sequence[Event]]) -> AsyncIterator[Sequence[Event]]:
    """The same events, the first of them made already: what can make none is told before anything is sent.

    Raises:
        FormatError: There is no first one; the sentence says why.
    """
    first = await anext(batches, None)

    async def all_of_them() -> AsyncIterator[Sequence[Event]]:
        if first is not None:
            yield first
        async for batch in batches:
            yield batch

    return all_of_them()


async def until(stopped: asyncio.Event, batches: AsyncIterable[Sequence[Event]]) -> AsyncIterator[Sequence[Event]]:
    """The same events, and no more of them once it is stopped, even while the next are being waited for."""
    iterator = aiter(batches)

    async def next_batch() -> Sequence[Event] | None:
        return await anext(iterator, None)

    while not stopped.is_set():
        with unwrap_exception_group():
            async with asyncio.TaskGroup() as group:
                batch = group.create_task(next_batch())
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


def _of_target(receipt: Receipt) -> bool:
    """Whether a receipt says that its target takes nothing, whatever is sent."""
    return receipt.error is not None and receipt.state != "unknown" and not isinstance(receipt.error, PublishRejected)


async def _send(
    publisher: Publisher, address: Address, batches: AsyncIterable[Sequence[Event]], partition: str | None
) -> WorkbenchError | None:
    broken: WorkbenchError | None = None
    try:
        async for batch in batches:
            await publisher.send(address, batch, partition)
    except (ConnectorError, FormatError, StoreError) as error:
        # What was sent before is answered for all the same: the receipts must not end short of what the broker has.
        broken = error
    unanswered = await _finish(publisher)
    return broken or unanswered


async def _finish(publisher: Publisher) -> ConnectorError | None:
    try:
        await publisher.finish()
    except ConnectorError as error:
        return error
    return None
