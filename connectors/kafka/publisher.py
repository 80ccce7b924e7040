"""Publishing to a topic: record batches per partition, an idempotent producer, a receipt for each event.

One batch of each partition is on its way at a time, in up to two requests to each broker. A batch whose answer was lost
is sent again byte for byte, so that the broker recognises it by its sequence number (KIP-98): no event is doubled and
none overtakes another. (A broker that crashes forgets producers whose last event has a time of more than a day ago,
producer.id.expiration.ms: of events with such times, those on their way may then come twice.) While batches are on
their way the next ones fill, which makes them large when it is busy and quick when it is not.
"""

import asyncio
import json
import struct
from base64 import b64encode
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from time import time_ns
from typing import Any

from connectors.kafka.channel import Channel
from connectors.kafka.cluster import Cluster, Topic, persistently, run_beside
from connectors.kafka.configuration import Limit, largest
from connectors.kafka.driver import DefaultRecordBatchBuilder, InitProducerIdRequest, calc_crc32c
from connectors.kafka.errors import PASSING, Code, RetriableError, check, refusal
from connectors.kafka.ledger import Transaction
from connectors.kafka.partitioner import partitions_of
from connectors.kafka.produce import produce
from connectors.kafka.retry import Patience
from workbench.model import record_headers
from workbench.model.errors import (
    ConnectionLost,
    ConnectorError,
    FormatError,
    PublishRejected,
)
from workbench.model.event import Event, Position
from workbench.model.receipt import Receipt
from workbench.model.wire import Value

_BATCH_SIZE = 512 << 10
_REQUEST_SIZE = 8 << 20
_REQUESTS = 2
"""Requests on their way to a broker at a time: it writes the events of one while the next is sent."""
_WINDOW = 32 << 20
"""Bytes that may be on their way: far more than brokers answer for at once."""
_BREATH = 512
"""Events taken before the event loop runs again."""
_ROOM = 1 << 10
"""Bytes by which estimates of a batch's size may be too small."""
_LARGEST = 50 << 20
"""Where the broker does not say how large an event may be. Half of what makes it hang up (socket.request.max.bytes)."""
_TIMEOUT_MS = 15_000

_UNWELCOME = frozenset(
    {
        Code.CORRUPT_MESSAGE,
        Code.MESSAGE_TOO_LARGE,
        Code.RECORD_LIST_TOO_LARGE,
        Code.INVALID_TIMESTAMP,
        Code.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        Code.POLICY_VIOLATION,
        Code.INVALID_RECORD,
    }
)
"""Refusals of a batch for what one of its events is: the others are tried without it."""


_CHECKSUM = struct.Struct(">I")
_CHECKSUM_AT = 17
"""Where a batch has the checksum of all that is behind it."""
_NO_HEADERS: list[tuple[str, bytes | None]] = []
_FORGOTTEN = frozenset({Code.UNKNOWN_PRODUCER_ID, Code.OUT_OF_ORDER_SEQUENCE_NUMBER})


class Producer:
    """A producer's identity, and the number of its next event in one partition."""

    __slots__ = ("epoch", "id", "sequence")

    def __init__(self, identity: tuple[int, int]) -> None:
        self.id, self.epoch = identity
        self.sequence = 0


class Unwritable(Exception):
    """An event that has no bytes as a record.

    Attributes:
        index: Which of those that were handed over.
    """

    def __init__(self, index: int, why: str) -> None:
        super().__init__(why)
        self.index = index


class Pack:
    """Events of one partition that fill, travel and are answered for as one record batch.

    Attributes:
        events: What is in it.
        numbers: Which of the publisher's events they are.
        sent: How often it was sent.
    """

    __slots__ = ("_append", "_builder", "_data", "_exact", "events", "numbers", "sent")

    def __init__(self, limit: int, transactional: bool) -> None:
        self._builder = DefaultRecordBatchBuilder(2, 0, int(transactional), -1, -1, -1, limit)
        self._append = self._builder.append
        self._data: bytearray | None = None
        self._exact: list[tuple[int, bytes]] = []
        self.events: list[Event] = []
        self.numbers: list[int] = []
        self.sent = 0

    def fill(self, numbers: Sequence[int], events: Sequence[Event], begin: int = 0) -> int:
        """Take events in, from the one at `begin`, until there is no room. The first of all always fits.

        Returns:
            Where the next batch begins.

        Raises:
            Unwritable: The event at its `index` cannot be written; those before it are taken in.
        """
        if self._data is not None:
            return begin
        append, position, index = self._append, len(self.events), begin
        now = time_ns() // 1_000_000
        try:
            for index in range(begin, len(events)):  # where it stopped counts
                event = events[index]
                content = event.written if event.wire is None else event.content
                headers = [_header(*header) for header in content.headers] if content.headers else _NO_HEADERS
                exact = None
                if event.wire is not None and event.wire.encoding == "kafka-2":
                    headers, exact = _stand_ins(event.wire.data)
                time = event.timestamp
                if time is None or event.timestamp_type != "create":
                    time = now
                if append(position, time, event.key, event.body, headers) is None:
                    break
                position += 1
                if exact is not None:
                    self._exact.append((int(self._builder.size()), exact))
            else:
                index = len(events)
        except (FormatError, ValueError, TypeError) as error:
            self._take(numbers, events, begin, index)
            raise Unwritable(index, str(error)) from error
        self._take(numbers, events, begin, index)
        return index

    def _take(self, numbers: Sequence[int], events: Sequence[Event], begin: int, end: int) -> None:
        self.events += events[begin:end]
        self.numbers += numbers[begin:end]

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self._data) if self._data is not None else int(self._builder.size())

    def seal(self, producer: Producer) -> bytearray:
        """The bytes to send, the same each time; nothing is added any more."""
        if self._data is None:
            self._builder.set_producer_state(producer.id, producer.epoch, producer.sequence)
            self._data = _with_exact(self._builder.build(), self._exact)
        return self._data


class Lane:
    """What is on its way to one partition."""

    __slots__ = ("busy", "leader", "number", "packs", "producer")

    def __init__(self, number: int, leader: int, producer: Producer) -> None:
        self.number = number
        self.leader = leader
        self.producer = producer
        self.packs: deque[Pack] = deque()
        self.busy = False


class TopicPublisher:
    """A pipeline into one topic."""

    def __init__(
        self,
        cluster: Cluster,
        topic: Topic,
        identity: tuple[int, int],
        largest: Limit | None,
        transaction: Transaction | None = None,
    ) -> None:
        """See `open`."""
        self._transaction = transaction
        self._cluster = cluster
        self._topic = topic.name
        self._largest = largest
        self._batch_size = min(_BATCH_SIZE, largest.bytes if largest else _BATCH_SIZE)
        self._request_size = min(_REQUEST_SIZE, cluster.settings.max_request or _REQUEST_SIZE)
        self._lanes = {number: Lane(number, leader, Producer(identity)) for number, leader in topic.leaders.items()}
        self._keyless = 0
        self._channels: dict[int, Channel] = {}
        self._opening = defaultdict[int, asyncio.Lock](asyncio.Lock)
        self._requests = Counter[int]()
        self._count = 0
        self._moved = asyncio.Condition()
        self._work = asyncio.Event()
        self._receipts: asyncio.Queue[list[Receipt] | None] = asyncio.Queue()
        self._failure: ConnectorError | None = None
        self._patience = Patience()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, cluster: Cluster, topic: Topic, transaction: Transaction | None = None
    ) -> AsyncIterator["TopicPublisher"]:
        """A publisher that works while the context is open.

        Args:
            cluster: Where the topic is.
            topic: Where to publish.
            transaction: What decides on all that is published; None: each event counts when it is written.

        Raises:
            ConnectorError: On entering: the cluster gives out no producer id.
        """
        identity = transaction.identity if transaction else await _identity(cluster, topic.name)
        publisher = cls(cluster, topic, identity, await largest(cluster, topic.name), transaction)
        if transaction:
            transaction.publishers.append(publisher)
        try:
            async with run_beside(publisher._pump()):
                yield publisher
        finally:
            if transaction:
                transaction.publishers.remove(publisher)
            for channel in publisher._channels.values():
                channel.close()

    async def send(self, events: Sequence[Event], partition: int | None = None) -> None:
        """Put events into batches, in order; returns when the window has room for more."""
        for begin in range(0, len(events), _BREATH):
            await self._room()
            some = events[begin : begin + _BREATH]
            first, self._count = self._count, self._count + len(some)
            if partition is not None and partition not in self._lanes:
                why = f"Topic {self._topic} has partitions 0 to {max(self._lanes)}: there is no {partition}."
                self._refused(range(first, self._count), why)
                continue
            for lane, (numbers, chosen) in self._by_lane(some, first, partition).items():
                done = 0
                while done < len(chosen):
                    done = self._put(lane, numbers, chosen, done)
        await self._room()

    async def finish(self) -> None:
        """No more will be sent: returns when all events are answered for."""
        try:
            await self.flush()
        finally:
            self._receipts.put_nowait(None)

    async def flush(self) -> None:
        """Return when all events that were sent are answered for.

        Raises:
            ConnectorError: Nothing can be published any more.
        """
        async with self._moved:
            await self._moved.wait_for(lambda: self._failure or not any(lane.packs for lane in self._lanes.values()))
        if self._failure:
            raise self._failure

    async def receipts(self) -> AsyncIterator[Sequence[Receipt]]:
        """What became of each event; ends after `finish`."""
        while (receipts := await self._receipts.get()) is not None:
            yield receipts
        # Whoever asks again is told the same.
        self._receipts.put_nowait(None)
        if self._failure:
            raise self._failure

    async def _room(self) -> None:
        self._work.set()
        await asyncio.sleep(0)
        async with self._moved:
            await self._moved.wait_for(lambda: self._failure or self._on_their_way < _WINDOW)
        if self._failure:
            raise self._failure

    def _by_lane(
        self, events: Sequence[Event], first: int, partition: int | None
    ) -> dict[Lane, tuple[Sequence[int], Sequence[Event]]]:
        """Which events go where, with their numbers: with a key to the key's partition, without one in turn."""
        numbers = range(first, first + len(events))
        if partition is not None:
            return {self._lanes[partition]: (numbers, events)}
        keys = [event.key for event in events if event.key is not None]
        self._keyless = (self._keyless + 1) % len(self._lanes)
        if not keys or len(self._lanes) == 1:
            return {self._lanes[self._keyless]: (numbers, events)}
        places = partitions_of(keys, len(self._lanes))
        if len(keys) < len(events):
            of_keys = iter(places)
            places = [self._keyless if event.key is None else next(of_keys) for event in events]
        chosen: list[list[int]] = [[] for _ in self._lanes]
        for index, place in enumerate(places):
            chosen[place].append(index)
        return {
            lane: ([first + index for index in indexes], [events[index] for index in indexes])
            for lane, indexes in zip(self._lanes.values(), chosen, strict=True)
        }

    def _put(self, lane: Lane, numbers: Sequence[int], events: Sequence[Event], begin: int) -> int:
        """Put some of the events in a batch, and say where the rest begins."""
        try:
            if lane.packs and (done := lane.packs[-1].fill(numbers, events, begin)) > begin:
                return done
            pack = Pack(self._batch_size, self._transaction is not None)
            pack.fill(numbers, events[: begin + 1], begin)
        except Unwritable as error:
            self._refused([numbers[error.index]], f"The event cannot be written: {error}.")
            return error.index + 1
        if pack.size > (self._largest.bytes if self._largest else _LARGEST):
            why = ", more than Kafka lets through"
            if self._largest:
                why = f", and topic {self._topic} takes no more than {self._largest.bytes:,} ({self._largest.setting})"
            self._refused([numbers[begin]], f"The event takes {pack.size:,} bytes{why}.")
        else:
            lane.packs.append(pack)
        return begin + 1

    def _refused(self, numbers: Iterable[int], why: str) -> None:
        self._receipts.put_nowait([Receipt(number, error=PublishRejected(why)) for number in numbers])

    @property
    def _on_their_way(self) -> int:
        return sum(pack.size for lane in self._lanes.values() for pack in lane.packs)

    async def _pump(self) -> None:
        """Keep each broker that leads a partition with something to send at work."""
        async with asyncio.TaskGroup() as group:
            while not self._failure:
                await self._work.wait()
                self._work.clear()
                idle: dict[int, list[Lane]] = {}
                led = Counter(lane.leader for lane in self._lanes.values())
                for lane in self._lanes.values():
                    if lane.packs and not lane.busy:
                        idle.setdefault(lane.leader, []).append(lane)
                for node, lanes in idle.items():
                    lanes.sort(key=lambda lane: lane.packs[0].numbers[0])
                    while lanes and self._requests[node] < _REQUESTS:
                        chosen: list[Lane] = []
                        size = 0
                        # A share of the lanes a request, so that there is something for the next one.
                        for lane in lanes[: -(-led[node] // _REQUESTS)]:
                            size += lane.packs[0].size
                            if not chosen or size <= self._request_size:
                                chosen.append(lane)
                                lane.busy = True
                        lanes = [lane for lane in lanes if not lane.busy]
                        self._requests[node] += 1
                        group.create_task(self._deliver(node, chosen))

    async def _deliver(self, node: int, lanes: Sequence[Lane]) -> None:
        try:
            await self._produce(node, lanes)
            self._patience.calm()
        except ConnectorError as error:
            await self._pause(error)
        finally:
            self._requests[node] -= 1
            for lane in lanes:
                lane.busy = False
            self._work.set()
            async with self._moved:
                self._moved.notify_all()

    async def _produce(self, node: int, lanes: Sequence[Lane]) -> None:
        if node < 0:
            check(Code.LEADER_NOT_AVAILABLE, f"write to topic {self._topic}")
        async with self._opening[node]:
            channel = self._channels.get(node)
            if channel is None or not channel.connected:
                if channel is not None:
                    channel.close()
                channel = self._channels[node] = await Channel.open(self._cluster, node)
        if self._transaction:
            await self._transaction.include((self._topic, lane.number) for lane in lanes)
        batches: list[tuple[int, bytearray]] = []
        size = 0
        for lane in lanes:
            size += lane.packs[0].size
            if batches and size > self._request_size:
                break  # they have grown since they were chosen: the rest goes with the next request
            batches.append((lane.number, lane.packs[0].seal(lane.producer)))
            lane.packs[0].sent += 1
        transaction = self._transaction.id if self._transaction else None
        again: ConnectorError | None = None
        for number, code, offset in await produce(channel, self._topic, batches, transaction):
            try:
                await self._settle(self._lanes[number], code, offset)
            except ConnectorError as error:
                again = error
        if again:
            raise again

    async def _settle(self, lane: Lane, code: int, offset: int) -> None:
        """Take note of the answer for a lane's first pack.

        Raises:
            ConnectorError: It has to be sent again.
        """
        pack = lane.packs[0]
        if code in (Code.NONE, Code.DUPLICATE_SEQUENCE_NUMBER):
            lane.producer.sequence = (lane.producer.sequence + len(pack.events)) & 0x7FFFFFFF
            lane.packs.popleft()
            partition, known = str(lane.number), code == Code.NONE and offset >= 0
            self._receipts.put_nowait(
                [
                    Receipt(number, Position(partition, str(place)) if known else None)
                    for place, number in enumerate(pack.numbers, offset)
                ]
            )
        elif code in PASSING:
            check(code, f"write to topic {self._topic}")
        elif code in (Code.INVALID_PRODUCER_EPOCH, Code.PRODUCER_FENCED, Code.INVALID_TXN_STATE) and self._transaction:
            self._transaction.refuse(code)
        elif code in _FORGOTTEN and pack.sent == 1 and not self._transaction:
            # Retention has made the broker forget this producer. Nothing of the pack was taken.
            lane.producer = Producer(await _identity(self._cluster, self._topic))
            lane.packs[0] = self._repacked(pack, 0, len(pack.events))
        elif code in _UNWELCOME and len(pack.events) > 1:
            half = len(pack.events) // 2
            lane.packs.popleft()
            lane.packs.appendleft(self._repacked(pack, half, len(pack.events)))
            lane.packs.appendleft(self._repacked(pack, 0, half))
            if code in (Code.MESSAGE_TOO_LARGE, Code.RECORD_LIST_TOO_LARGE):
                self._batch_size = max(self._batch_size // 2, 1 << 10)
        else:
            lane.packs.popleft()
            self._refused(pack.numbers, str(refusal(code, f"write to topic {self._topic}")))

    def _repacked(self, pack: Pack, begin: int, end: int) -> Pack:
        """Some events of a pack in a pack of their own, to be numbered anew."""
        part = Pack(pack.size + _ROOM, self._transaction is not None)
        part.fill(pack.numbers[begin:end], pack.events[begin:end])
        return part

    async def _pause(self, error: ConnectorError) -> None:
        """After something that may pass: wait a little, ask who leads what now; give up if it lasts too long."""
        try:
            if not isinstance(error, ConnectionLost | RetriableError):
                raise error
            await self._patience.wait(error)
        except ConnectorError as final:
            self._failure = final
            self._receipts.put_nowait(None)
            return
        try:
            leaders = await self._cluster.leaders([self._topic])
        except ConnectorError:
            return  # the next attempt fails for the same reason, and counts
        for lane in self._lanes.values():
            if not lane.busy or lane.leader not in leaders.values():
                lane.leader = leaders.get((self._topic, lane.number), lane.leader)


async def _identity(cluster: Cluster, topic: str) -> tuple[int, int]:
    """A producer id and epoch of our own."""

    async def attempt() -> tuple[int, int]:
        answer = await cluster.ask(InitProducerIdRequest(None, _TIMEOUT_MS))
        # Refused where the user may write to no topic at all.
        check(answer.error_code, f"write to topic {topic}")
        return answer.producer_id, answer.producer_epoch

    return await persistently(attempt)


def _stand_ins(data: bytes) -> tuple[list[tuple[str, bytes | None]], bytes]:
    """Headers for aiokafka, which takes names for text where some are none; and the bytes to put in their place.

    Raises:
        FormatError: The bytes are no headers.
    """
    headers = record_headers.read(data)
    return [("?" * len(name), value) for name, value in headers], record_headers.write(headers)


def _with_exact(batch: bytearray, exact: Sequence[tuple[int, bytes]]) -> bytearray:
    """A finished batch with the bytes that stand-ins stand for, each given with the place where it ends."""
    for end, headers in exact:
        batch[end - len(headers) : end] = headers
    if exact:
        _CHECKSUM.pack_into(batch, _CHECKSUM_AT, calc_crc32c(memoryview(batch)[_CHECKSUM_AT + _CHECKSUM.size :]))
    return batch


def _header(name: str, value: Value) -> tuple[str, bytes | None]:
    """A header as Kafka's are: a name and bytes. What another kind of broker gave a type becomes its text.

    Raises:
        ValueError: The name or the value has no bytes.
    """
    name.encode()  # the builder writes half a record before it finds out
    if value is None or isinstance(value, bytes):
        return name, value
    if isinstance(value, str):
        return name, value.encode()
    if isinstance(value, datetime | Decimal):
        return name, _text(value).encode()
    return name, json.dumps(value, default=_text, ensure_ascii=False).encode()


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return b64encode(value).decode()
    return value.isoformat() if isinstance(value, datetime) else str(value)
