"""Following an endpoint through lost connections: it is tried again with growing pauses, and the gap is said."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import ClassVar, Protocol, Self

from connectors.rabbitmq.client import Client
from connectors.rabbitmq.shared import Opener, SharedClients
from workbench.connecting.retry import Backoff
from workbench.model.errors import ConnectionLost, ConnectorError
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap, Interruption, Span, stretch


class Source(Protocol):
    """What one connection delivers: a tap, or a stream from an offset on.

    Attributes:
        gapless: Whether it goes on where it was after a lost connection.
    """

    gapless: ClassVar[bool]

    @property
    def coverage(self) -> Coverage:
        """What it delivered so far."""
        ...

    def lost_since(self, heard: int) -> int:
        """From when on something may be lost with a connection on which the broker was last heard then, in ms."""
        ...

    async def next(self) -> Sequence[Delivery]:
        """The next batch.

        Raises:
            ConnectorError: There will be none on this connection.
        """
        ...

    async def close(self) -> None:
        """Complete the coverage, and leave nothing on the connection, on which others may go on."""
        ...

    async def renew(self, client: Client) -> Self:
        """The same on another connection, nothing delivered yet."""
        ...


class Following:
    """What arrives, until it is left.

    Attributes:
        interruption: While the connection is lost: why, since when, and when it is tried again.
    """

    def __init__(
        self, clients: SharedClients, opener: Opener, subscribe: Callable[[Client], Awaitable[Source]]
    ) -> None:
        self._clients = clients
        self._opener = opener
        self._subscribe = subscribe
        self._client: Client | None = None
        self._source: Source
        self._alone = False
        self._before = Coverage()
        self.interruption: Interruption | None = None

    async def open(self) -> None:
        """Connect and subscribe: from now on nothing is missed.

        Raises:
            ConnectorError: That is not possible.
        """
        self._client, self._source = await self._connect(self._subscribe)

    async def _connect(self, subscribe: Callable[[Client], Awaitable[Source]]) -> tuple[Client, Source]:
        client = await self._clients.acquire(self._opener, self._alone)
        try:
            return client, await subscribe(client)
        except BaseException:
            await self._clients.release(client)
            raise

    async def close(self) -> None:
        """End the subscription."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            if not client.lost:
                with suppress(ConnectionLost):
                    await self._source.close()
        finally:
            await self._clients.release(client)

    @property
    def coverage(self) -> Coverage:
        """What was read so far, over all connections, and when there was none."""
        covered = _together(self._before, self._source.coverage)
        if (lost := self.interruption) is None:
            return covered
        gap = Gap(f"what arrived {stretch(lost.since)}", f"{lost.reason.rstrip('.')}; trying again", lost.since)
        return _together(covered, Coverage(gaps=(gap,)))

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        while True:
            try:
                batch = await self._source.next()
            except ConnectorError as error:
                await self._again(error)
            else:
                yield batch

    async def _again(self, error: ConnectorError) -> None:
        assert self._client is not None
        if not isinstance(error, ConnectionLost):
            if self._alone or not self._client.lost:
                raise error
            # Another tail may have made the broker end the connection; whose own it is cannot blame others.
            self._alone = True
        since, first = self._source.lost_since(self._client.heard), str(error)
        backoff = Backoff()
        self.interruption = backoff.fail(first, since)
        await self.close()
        while True:
            await backoff.wait()
            try:
                client, source = await self._connect(self._source.renew)
            except ConnectionLost as failure:
                self.interruption = backoff.fail(str(failure), since)
            else:
                break
        self.interruption = None
        until = int(time.time() * 1000)
        when = stretch(since, until)
        interrupted = (
            Coverage(notes=(f"nothing was missed while the connection was lost {when} ({first.rstrip('.')})",))
            if source.gapless
            else Coverage(gaps=(Gap(f"what arrived {when}", first.rstrip("."), since, until),))
        )
        self._before = _together(self.coverage, interrupted)
        self._client, self._source = client, source


def _together(one: Coverage, other: Coverage) -> Coverage:
    spans = one.spans or other.spans
    if one.spans and other.spans:
        spans = (Span(one.spans[0].partition, one.spans[0].start, other.spans[-1].end),)
    return Coverage(
        one.read + other.read,
        spans,
        tuple(dict.fromkeys((*one.gaps, *other.gaps))),
        tuple(dict.fromkeys((*one.notes, *other.notes))),
    )
