"""The way out: publishers for any number of targets, and what became of each message, window by window."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import groupby
from typing import Self

import msgspec

from workbench.connecting.connector import Publisher, Transaction
from workbench.model.address import Address
from workbench.model.errors import ConnectorError
from workbench.model.event import Event
from workbench.model.receipt import Receipt
from workbench.session import Session


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A message on its way out.

    Attributes:
        sequence: Its number in the operation.
        address: Where to.
        partition: Which partition; None: the broker's choice.
        event: What is published.
    """

    sequence: int
    address: Address
    partition: str | None
    event: Event


class Answers:
    """What became of the messages of one window, as it comes in."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._complete = asyncio.Event()
        self.receipts: dict[int, Receipt] = {}
        """The receipt of each, by its number in the operation."""
        if not count:
            self._complete.set()

    def add(self, sequence: int, receipt: Receipt) -> None:
        """Take a receipt in."""
        self.receipts[sequence] = receipt
        self._missing -= 1
        if not self._missing:
            self._complete.set()

    async def all(self) -> dict[int, Receipt]:
        """The receipts, when there is one for each."""
        await self._complete.wait()
        return self.receipts


class Outbox:
    """Publishers, one a connection, each opened when it is first needed.

    Args:
        publisher: Opens a publisher into a connection.
    """

    def __init__(self, publisher: "Callable[[str], AbstractAsyncContextManager[Publisher]]") -> None:
        self._publisher = publisher
        self._open = AsyncExitStack()
        self._lanes: dict[str, _Lane] = {}
        self._tasks = asyncio.TaskGroup()
        self._listening: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        for task in self._listening:
            task.cancel()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            await self._open.aclose()

    async def send(self, window: Sequence[Outgoing]) -> Answers:
        """Hand messages over, in order; returns when all are, and perhaps before they are answered for.

        Raises:
            ConnectorError: A connection cannot be opened. (One that breaks later is said by the receipts.)
        """
        answers = Answers(len(window))
        for connection, of_connection in groupby(window, lambda each: each.address.connection):
            if connection not in self._lanes:
                publisher = await self._open.enter_async_context(self._publisher(connection))
                self._lanes[connection] = _Lane(publisher)
                self._listening.append(self._tasks.create_task(self._lanes[connection].listen()))
            lane = self._lanes[connection]
            for (address, partition), some in groupby(of_connection, lambda each: (each.address, each.partition)):
                await lane.send(address, partition, list(some), answers)
        return answers


@asynccontextmanager
async def outbox_of(session: Session, transaction: Transaction | None) -> AsyncIterator[Outbox]:
    """An outbox whose publishers are a session's, or those of a transaction."""

    @asynccontextmanager
    async def publisher(connection: str) -> AsyncIterator[Publisher]:
        if transaction is not None:
            context = transaction.publisher()
        else:
            context = (await session.connector(connection)).publisher()
        async with context as opened:
            yield opened

    async with Outbox(publisher) as outbox:
        yield outbox


class _Lane:
    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._given = 0
        self._waiting: dict[int, tuple[int, Answers]] = {}
        self._broken: ConnectorError | None = None

    async def send(self, address: Address, partition: str | None, some: Sequence[Outgoing], answers: Answers) -> None:
        for number, each in enumerate(some, self._given):
            self._waiting[number] = (each.sequence, answers)
        self._given += len(some)
        try:
            if self._broken is not None:
                raise self._broken
            await self._publisher.send(address, [each.event for each in some], partition)
        except ConnectorError as error:
            self._break(error)

    async def listen(self) -> None:
        try:
            async for receipts in self._publisher.receipts():
                for receipt in receipts:
                    if (waiting := self._waiting.pop(receipt.sequence, None)) is not None:
                        sequence, answers = waiting
                        answers.add(sequence, receipt)
        except ConnectorError as error:
            self._break(error)

    def _break(self, error: ConnectorError) -> None:
        """Nothing can be published any more: of what is not answered for, nothing is known."""
        self._broken = error
        waiting, self._waiting = self._waiting, {}
        for sequence, answers in waiting.values():
            answers.add(sequence, Receipt(sequence, error=error, state="unknown"))
