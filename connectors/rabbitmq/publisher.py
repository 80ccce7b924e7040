"""Publishing: confirmations in a pipeline, and every refusal told of the message it is about.

`basic.return` comes before the ack of the same message (https://www.rabbitmq.com/docs/confirms): only an ack of a
message that was not returned is a success. A message that the broker finds invalid closes the channel; those behind it
were not read and are sent again on a new one.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from connectors.rabbitmq import frames
from connectors.rabbitmq.client import Channel, Client
from connectors.rabbitmq.frames import Answer, Returned
from connectors.rabbitmq.refusals import Invalid
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, FormatError, PublishRejected, Unsupported
from workbench.model.event import Event
from workbench.model.receipt import Receipt
from workbench.model.wire import Wire, decode, encode

WINDOW: Final = 2_000
"""Messages that may be unconfirmed."""

WINDOW_BYTES: Final = 16_777_216
"""Bytes of bodies that may be unconfirmed; one larger message goes alone."""

_FLUSH: Final = 131_072
"""Bytes gathered before they are given to the network."""


class _Sent:
    """A message that the broker has not answered for."""

    __slots__ = ("body", "key", "properties", "returned", "sequence")

    def __init__(self, sequence: int, key: bytes, properties: bytes, body: bytes) -> None:
        self.sequence = sequence
        self.key = key
        self.properties = properties
        self.body = body
        self.returned: str | None = None


class ExchangePublisher:
    """A pipeline into an exchange, or through the default exchange into a queue."""

    def __init__(self, client: Client, address: Address, user: str) -> None:
        self._client = client
        self._address = address
        self._user = user.encode()
        self._exchange = address.name.encode() if address.namespace == "exchange" else b""
        self._queue = None if address.namespace == "exchange" else address.name.encode()
        self._channel: Channel
        self._mending = asyncio.Lock()
        self._count = 0
        self._tag = 0
        self._oldest = 1
        self._bytes = 0
        self._sent: dict[int, _Sent] = {}
        self._next_return = 1
        self._receipts: list[Receipt] = []
        self._finished = False
        self._fatal: ConnectorError | None = None
        self._announcement: tuple[bytes, bytes] = (b"", b"")

    async def open(self) -> None:
        """Open the channel on which to publish."""
        channel = await self._client.channel()
        await channel.confirm()
        self._channel = channel

    async def send(self, events: Sequence[Event], partition: int | None = None) -> None:
        """Hand events over: see `workbench.connecting.connector.Publisher`. There are no partitions."""
        if partition is not None:
            raise Unsupported(f"{self._address} has no partitions: leave the partition out.")
        pieces: list[bytes] = []
        gathered = 0
        for event in events:
            sequence, self._count = self._count, self._count + 1
            sent = self._read(sequence, event)
            if sent is None:
                continue
            alone = self._doubtful(sent)
            if not self._roomy(len(sent.body), alone):
                self._write(pieces)
                gathered = 0
                await self._until(partial(self._roomy, len(sent.body), alone))
            gathered += self._add(sent, pieces)
            if gathered >= _FLUSH:
                self._write(pieces)
                gathered = 0
            if alone:
                self._write(pieces)
                gathered = 0
                await self._until(lambda: not self._sent)
        self._write(pieces)
        self._take_answers()

    async def finish(self) -> None:
        """Wait for the rest of the answers: see `workbench.connecting.connector.Publisher`."""
        await self._until(lambda: not self._sent)
        self._finished = True
        self._channel.wake()

    async def receipts(self) -> AsyncIterator[Sequence[Receipt]]:
        """What became of the events: see `workbench.connecting.connector.Publisher`."""
        while True:
            self._take_answers()
            if self._receipts:
                batch, self._receipts = self._receipts, []
                yield batch
            elif self._finished:
                return
            elif self._fatal:
                raise self._fatal
            else:
                await self._news()

    def _read(self, sequence: int, event: Event) -> _Sent | None:
        key = self._queue if self._queue is not None else event.key or b""
        try:
            properties = _properties(event)
            if len(key) > 255:
                raise FormatError(f"its key has {len(key)} bytes, and AMQP allows 255")
            if len(properties) > self._client.frame_max - 20:
                raise FormatError(
                    f"its properties and headers take {len(properties):,} bytes,"
                    f" and this broker takes {self._client.frame_max - 20:,}"
                )
        except FormatError as error:
            self._reject(sequence, str(error).rstrip("."))
            return None
        return _Sent(sequence, key, properties, event.body or b"")

    def _doubtful(self, sent: _Sent) -> bool:
        """Whether the broker may find this message invalid: it then goes alone, so that no other's fate is unknown."""
        properties, body = sent.properties, sent.body
        if len(body) >= WINDOW_BYTES:
            return True
        # Property flags: bit 8 is expiration, bit 4 is user_id.
        flagged = len(properties) >= 2 and (properties[0] & 0x01 or properties[1] & 0x10)
        if not flagged and b"\x02CC" not in properties and b"\x03BCC" not in properties:
            return False
        try:
            content = decode(Wire("amqp-0-9-1", properties))
        except FormatError:
            return True
        user, expiration = content.properties.get("user_id"), content.properties.get("expiration")
        if user is not None and user != self._user.decode():
            return True
        if expiration is not None and not re.fullmatch(r"\d{1,18}", str(expiration)):
            return True
        return any(
            name in ("CC", "BCC") and not (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value))
            for name, value in content.headers
        )

    def _roomy(self, size: int, alone: bool) -> bool:
        if not self._sent:
            return True
        return not alone and len(self._sent) < WINDOW and self._bytes + size <= WINDOW_BYTES

    def _add(self, sent: _Sent, pieces: list[bytes]) -> int:
        self._tag += 1
        self._sent[self._tag] = sent
        self._bytes += len(sent.body)
        if self._announcement[0] != sent.key or not self._announcement[1]:
            self._announcement = sent.key, frames.publish_method(self._channel.number, self._exchange, sent.key)
        pieces.append(self._announcement[1])
        pieces += frames.content(self._channel.number, sent.properties, sent.body, self._client.frame_max)
        return len(sent.body) + len(sent.properties) + 64

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
            await channel.news()
            return
        async with self._mending:
            if channel is self._channel and self._fatal is None:
                await self._mend(channel.ended)

    async def _mend(self, error: ConnectorError) -> None:
        self._take_answers()
        text = str(error)
        if not isinstance(error, Invalid) and "access to topic" not in text:
            self._fatal = error
            return
        unanswered = list(self._sent.values())
        culprit = _culprit(unanswered, text)
        self._sent.clear()
        self._bytes = 0
        for sent in unanswered[: culprit + 1]:
            if sent is unanswered[culprit]:
                self._reject(sent.sequence, text.rstrip("."))
            else:
                self._reject(
                    sent.sequence, "it may have been taken: the broker closed the channel over a later message"
                )
        try:
            await self.open()
        except ConnectorError as failure:
            self._fatal = failure
            return
        self._tag, self._oldest, self._next_return, self._announcement = 0, 1, 1, (b"", b"")
        pieces: list[bytes] = []
        for sent in unanswered[culprit + 1 :]:
            self._add(sent, pieces)
        self._write(pieces)

    def _take_answers(self) -> None:
        for answer in self._channel.answers():
            if isinstance(answer, Returned):
                self._match(answer)
            else:
                self._settle(answer)

    def _match(self, returned: Returned) -> None:
        """Find the message that came back. Returns come in the order of publishing, so the search goes on from the
        last one found."""
        first: int | None = None
        for tag in range(self._next_return, self._tag + 1):
            sent = self._sent.get(tag)
            if sent is None or sent.returned is not None or sent.body != returned.body or sent.key != returned.key:
                continue
            if sent.properties == returned.properties:
                first = tag
                break
            first = first or tag
        if first is None:
            return
        self._next_return = first + 1
        self._sent[first].returned = f"{returned.text} ({returned.code})"

    def _settle(self, answer: Answer) -> None:
        if answer.multiple:
            for tag in range(self._oldest, answer.tag + 1):
                if tag in self._sent:
                    self._answered(tag, answer.taken)
            self._oldest = answer.tag + 1
        elif answer.tag in self._sent:
            self._answered(answer.tag, answer.taken)

    def _answered(self, tag: int, taken: bool) -> None:
        sent = self._sent.pop(tag)
        self._bytes -= len(sent.body)
        if sent.returned is not None:
            self._reject(sent.sequence, f"{self._nowhere(sent.key)}: {sent.returned}")
        elif taken:
            self._receipts.append(Receipt(sent.sequence))
        else:
            self._reject(
                sent.sequence, "the broker did not take it (basic.nack): the queue is full, or could not store it"
            )

    def _nowhere(self, key: bytes) -> str:
        if self._queue is not None:
            return f"there is no queue {self._address.name!r} any more"
        return f"no queue is bound to exchange {self._address.name!r} for the key {key.decode(errors='replace')!r}"

    def _reject(self, sequence: int, reason: str) -> None:
        self._receipts.append(
            Receipt(sequence, error=PublishRejected(f"{self._address} did not take an event: {reason}."))
        )
        self._channel.wake()


def _properties(event: Event) -> bytes:
    """The property list to send: the event's own bytes, or what the user wrote.

    Raises:
        FormatError: RabbitMQ could not read it, and would close the connection with all that is on its way.
    """
    content = event.content
    if event.wire is not None and event.wire.encoding == "amqp-0-9-1":
        if not all(_is_finite(value) for _, value in content.headers):
            raise FormatError("a header holds a number that is not finite, which RabbitMQ cannot take")
        return event.wire.data
    if event.timestamp is not None and "timestamp" not in content.properties:
        properties = {**content.properties, "timestamp": event.timestamp // 1000}
        content = msgspec.structs.replace(content, properties=properties)
    return encode(content).data


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list) or all(map(_is_finite, value))


def _culprit(unanswered: Sequence[_Sent], text: str) -> int:
    """Which of them closed the channel, as far as the broker's words tell; else the last: none is sent twice."""
    if found := re.search(r"message size (\d+)", text):
        size = int(found[1])
        return next((n for n, sent in enumerate(unanswered) if len(sent.body) == size), len(unanswered) - 1)
    if found := re.search(r"access to topic '(.*?)' in exchange", text):
        return next((n for n, sent in enumerate(unanswered) if sent.key.decode() == found[1]), len(unanswered) - 1)
    return len(unanswered) - 1
