"""Publishing: confirmations in a pipeline, and every refusal told of the message it is about.

`basic.return` comes before the ack of the same message (https://www.rabbitmq.com/docs/confirms): only an ack of a
message that was not returned is a success.

A message that the broker cannot take may make it close the channel, or the connection. Messages behind that one were
not read. Those before it may be stored, but their confirmations may never come; and which one it was, the broker seldom
says. So what is unanswered is sent again on a new channel, one message at a time, until the culprit closes that, too:
what is confirmed on the way may be there twice, and its receipt says so. Messages that are known to be risky travel
alone, so that this need not happen; so does the first to each exchange, which shows whether this user may write to it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final

from connectors.rabbitmq import frames
from connectors.rabbitmq.client import Channel, Client, check_name
from connectors.rabbitmq.errors import Blocked
from connectors.rabbitmq.frames import Answer, Returned
from connectors.rabbitmq.outgoing_message import Outgoing, Target, is_risky, prepare, returned_error
from workbench.model.address import Address
from workbench.model.errors import (
    AccessRefused,
    ConnectionLost,
    ConnectorError,
    EndpointNotFound,
    FormatError,
    PublishRejected,
    Unsupported,
)
from workbench.model.event import Event
from workbench.model.receipt import Receipt

WINDOW: Final = 2_000
"""Messages that may be unconfirmed."""

WINDOW_BYTES: Final = 16_777_216
"""Bytes of messages that may be unconfirmed; one larger message goes alone."""

_LOSSES: Final = 3
"""Connections lost one after the other, without an answer between them, after which no other is tried."""

_FLUSH: Final = 131_072
"""Bytes gathered before they are given to the network."""


class ExchangePublisher:
    """A pipeline into the exchanges of a virtual host, and through the default exchange into its queues.

    Args:
        client: A connection.
        user: Who is logged in there.
        reconnect: Opens another connection when the broker closes this one, which then is the publisher's own; None
            gives up instead.
    """

    def __init__(self, client: Client, user: str, reconnect: Callable[[], Awaitable[Client]] | None = None) -> None:
        self._client = client
        self._reconnect = reconnect
        self._user = user
        self._targets: dict[Address, Target] = {}
        self._proven: set[bytes] = set()
        self._refused: dict[bytes, ConnectorError] = {}
        self._channel: Channel
        self._mending = asyncio.Lock()
        self._examined: Channel | None = None
        self._count = 0
        self._tag = 0
        self._oldest = 1
        self._bytes = 0
        self._sent: dict[int, Outgoing] = {}
        self._suspects: deque[Outgoing] = deque()
        self._innocent: list[Outgoing] = []
        self._losses = 0
        self._next_return = 1
        self._receipts: list[Receipt] = []
        self._finished = False
        self._fatal: ConnectorError | None = None
        self._announced: Target | None = None
        self._announced_key = self._announcement = b""

    async def open(self) -> None:
        """Open the channel on which to publish."""
        channel = await self._client.channel()
        await channel.confirm()
        self._channel = channel

    async def close(self) -> None:
        """End the connection that is in use."""
        await self._client.close()

    async def send(self, address: Address, events: Sequence[Event], partition: str | None = None) -> None:
        """Hand events over: see `workbench.connecting.connector.Publisher`. There are no partitions."""
        first, self._count = self._count, self._count + len(events)
        numbers = range(first, self._count)
        try:
            if partition is not None:
                raise Unsupported(f"{address} has no partitions: leave the partition out.")
            target = await self._target(address)
        except ConnectorError as error:
            if error is self._fatal:
                raise
            self._refuse(numbers, error)
            return
        # What was refused for all a while ago may be allowed by now.
        self._refused.pop(target.exchange, None)
        pieces: list[bytes] = []
        gathered = 0
        for sequence, event in zip(numbers, events, strict=True):
            try:
                sent = prepare(sequence, target, event, self._client.frame_max)
            except FormatError as error:
                self._reject(sequence, target, str(error).rstrip("."))
                continue
            # A message that may close the channel goes alone, so that no other's fate is unknown.
            unproven = target.exchange not in self._proven
            alone = unproven or len(sent.body) >= WINDOW_BYTES or is_risky(sent, self._user)
            if not self._roomy(sent.size, alone):
                self._write(pieces)
                gathered = 0
                await self._until(partial(self._roomy, sent.size, alone))
            if refused := self._refused.get(target.exchange):
                self._refuse(numbers[sequence - first :], refused)
                break
            gathered += self._add(sent, pieces)
            if gathered >= _FLUSH:
                self._write(pieces)
                gathered = 0
            if alone:
                self._write(pieces)
                gathered = 0
                await self._until(self._answered_for)
        self._write(pieces)
        self._take_answers()

    async def _target(self, address: Address) -> Target:
        """Where an address is; whether there is such an exchange is asked when it is first published to.

        Raises:
            EndpointNotFound: There is not, or there can be no queue of this name.
        """
        if (target := self._targets.get(address)) is None:
            target = Target(address)
            if target.queue is not None:
                check_name("queue", address.name)
            while target.exchange:
                try:
                    channel = await self._client.channel()
                    await channel.exists(address.name)
                    await channel.close()
                    break
                except ConnectorError:
                    if not self._client.lost:
                        raise
                    await self._until(lambda: not self._client.lost)
            self._targets[address] = target
        return target

    async def finish(self) -> None:
        """Wait for the rest of the answers: see `workbench.connecting.connector.Publisher`."""
        await self._until(self._answered_for)
        self._finished = True
        self._channel.wake()

    @property
    def obstacle(self) -> str | None:
        """Why nothing is taken for the moment: see `workbench.connecting.connector.Publisher`."""
        if self._client.blocked is None or self._client.lost:
            return None
        return (
            f"{self._client.place} blocks publishers: {self._client.blocked}. What is sent waits until the broker has"
            " room again."
        )

    async def receipts(self) -> AsyncIterator[Sequence[Receipt]]:
        """What became of the events: see `workbench.connecting.connector.Publisher`."""
        told = None
        while True:
            self._take_answers()
            if self._receipts:
                batch, self._receipts = self._receipts, []
                yield batch
            elif self.obstacle != told:
                told = self.obstacle
                yield []
            elif self._fatal:
                raise self._fatal
            elif self._finished:
                return
            else:
                await self._news()

    def _answered_for(self) -> bool:
        return not self._sent and not self._suspects and not self._innocent

    def _roomy(self, size: int, alone: bool) -> bool:
        if self._suspects or self._channel.ended:
            return False
        if not self._sent:
            return True
        return not alone and len(self._sent) < WINDOW and self._bytes + size <= WINDOW_BYTES

    def _add(self, sent: Outgoing, pieces: list[bytes]) -> int:
        self._tag += 1
        self._sent[self._tag] = sent
        self._bytes += sent.size
        if self._announced is not sent.target or self._announced_key != sent.key:
            self._announced, self._announced_key = sent.target, sent.key
            self._announcement = frames.publish_method(self._channel.number, sent.target.exchange, sent.key)
        pieces.append(self._announcement)
        pieces += frames.content(self._channel.number, sent.properties, sent.body, self._client.frame_max)
        return sent.size + 64

    def _write(self, pieces: list[bytes]) -> None:
        if pieces and not self._channel.ended:
            self._channel.write(pieces)
        pieces.clear()

    async def _until(self, done: Callable[[], bool]) -> None:
        while True:
            self._take_answers()
            if self._fatal:
                raise self._fatal
            if done():
                return
            await self._news()

    async def _news(self) -> None:
        """Wait until an answer comes; a channel that was closed is replaced."""
        channel = self._channel
        if channel.ended is None:
            await channel.wait_for_news()
            return
        async with self._mending:
            if channel is self._channel and self._fatal is None:
                await self._mend(channel.ended)

    async def _mend(self, error: ConnectorError) -> None:
        """Go on after the broker has closed the channel or the connection over one of the unanswered messages.

        Who waits for this may be cancelled: whoever waits next goes on with it, and no message is forgotten.
        """
        if self._examined is not self._channel:
            self._examined = self._channel
            self._examine(error)
        if self._fatal is None:
            await self._go_on()

    def _examine(self, error: ConnectorError) -> None:
        """Find out what a closed channel means for each of the unanswered messages."""
        self._take_answers()
        unanswered = list(self._sent.values())
        self._sent.clear()
        self._bytes = 0
        self._losses = self._losses + 1 if isinstance(error, ConnectionLost) else 0
        if self._is_hopeless(error):
            self._give_up([*unanswered, *self._suspects], error)
            return
        if self._is_of_target(error):
            self._refuse_target(unanswered, error)
        elif len(unanswered) == 1:
            if isinstance(error, ConnectionLost):
                self._leave_open(unanswered[0], str(error))
            else:
                self._reject(unanswered[0].sequence, unanswered[0].target, str(error).rstrip("."))
                self._innocent += self._suspects
                self._suspects.clear()
        else:
            self._suspects.extend(unanswered)

    async def _go_on(self) -> None:
        """Open another channel, and send again what is to be sent again."""
        try:
            if self._client.lost and self._reconnect is not None:
                await self._client.close()
                self._client = await self._reconnect()
            await self.open()
        except ConnectorError as failure:
            self._give_up([*self._suspects, *self._innocent], failure)
            return
        self._tag, self._oldest, self._next_return, self._announced = 0, 1, 1, None
        for sent in self._suspects:
            sent.resent = True
        pieces: list[bytes] = []
        for sent in self._innocent:
            sent.resent = False
            self._add(sent, pieces)
        self._innocent.clear()
        self._write(pieces)
        self._try_suspect()

    def _is_hopeless(self, error: ConnectorError) -> bool:
        """Whether every other message would meet the same."""
        if isinstance(error, Blocked) or self._losses >= _LOSSES:
            return True
        return self._client.lost and (self._reconnect is None or isinstance(error, AccessRefused))

    def _is_of_target(self, error: ConnectorError) -> bool:
        """Whether every other message to the same exchange would meet the same."""
        return isinstance(error, EndpointNotFound) or (
            isinstance(error, AccessRefused) and "access to topic" not in str(error)
        )

    def _refuse_target(self, unanswered: Sequence[Outgoing], error: ConnectorError) -> None:
        """Publish no more to the exchange that was refused."""
        exchanges = {sent.target.exchange for sent in unanswered}
        if len(exchanges) != 1:
            # The one that is refused is found among them like any other culprit.
            self._suspects.extend(unanswered)
            return
        [exchange] = exchanges
        self._refused[exchange] = error
        self._proven.discard(exchange)
        self._targets = {at: target for at, target in self._targets.items() if target.exchange != exchange}
        if len(unanswered) == 1:
            self._refuse([unanswered[0].sequence], error)
        else:
            for sent in unanswered:
                self._leave_open(sent, str(error))
        for sent in self._suspects:
            if sent.target.exchange == exchange:
                self._leave_open(sent, str(error))
        self._innocent += [sent for sent in self._suspects if sent.target.exchange != exchange]
        self._suspects.clear()

    def _give_up(self, unanswered: Sequence[Outgoing], error: ConnectorError) -> None:
        self._suspects.clear()
        self._innocent.clear()
        for sent in unanswered:
            self._leave_open(sent, str(error))
        self._fatal = error
        self._channel.wake()

    def _try_suspect(self) -> None:
        """Send the next of the messages of which one closed a channel, when the one before is answered for."""
        if self._suspects and not self._sent and not self._channel.ended:
            pieces: list[bytes] = []
            self._add(self._suspects.popleft(), pieces)
            self._write(pieces)

    def _take_answers(self) -> None:
        for answer in self._channel.answers():
            if isinstance(answer, Returned):
                self._match(answer)
            else:
                self._settle(answer)
        self._try_suspect()

    def _match(self, returned: Returned) -> None:
        """Find the message that came back. Returns come in the order of publishing, so the search goes on from the
        last one found."""
        first: int | None = None
        for tag in range(self._next_return, self._tag + 1):
            sent = self._sent.get(tag)
            if sent is None or sent.returned is not None or sent.body != returned.body or sent.key != returned.key:
                continue
            if sent.target.exchange != returned.exchange:
                continue
            if sent.properties == returned.properties:
                first = tag
                break
            first = first or tag
        if first is None:
            return
        self._next_return = first + 1
        self._sent[first].returned = returned

    def _settle(self, answer: Answer) -> None:
        if answer.multiple:
            for tag in range(self._oldest, answer.tag + 1):
                if tag in self._sent:
                    self._answer(tag, answer.taken)
            self._oldest = answer.tag + 1
        elif answer.tag in self._sent:
            self._answer(answer.tag, answer.taken)

    def _answer(self, tag: int, taken: bool) -> None:
        sent = self._sent.pop(tag)
        self._bytes -= sent.size
        self._losses = 0
        self._proven.add(sent.target.exchange)
        if sent.returned is not None:
            self._refuse([sent.sequence], returned_error(sent, sent.returned))
        elif taken:
            self._receipts.append(Receipt(sent.sequence, resent=sent.resent))
        else:
            self._reject(
                sent.sequence,
                sent.target,
                "the broker did not take it (basic.nack): the queue is full, or could not store it",
            )

    def _reject(self, sequence: int, target: Target, reason: str) -> None:
        self._refuse([sequence], PublishRejected(f"{target.address} did not take an event: {reason}."))

    def _refuse(self, sequences: Iterable[int], error: ConnectorError) -> None:
        self._receipts += [Receipt(sequence, error=error) for sequence in sequences]
        self._channel.wake()

    def _leave_open(self, sent: Outgoing, reason: str) -> None:
        why = ConnectorError(f"It is not known whether {sent.target.address} took an event: {reason}")
        self._receipts.append(Receipt(sent.sequence, error=why, state="unknown"))
        self._channel.wake()
