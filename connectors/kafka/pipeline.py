"""Publishing to the topics of a cluster: record batches per partition, an idempotent producer, receipts for all events.

One batch of each partition is on its way at a time, in up to two requests to each broker. A batch whose answer was lost
is sent again byte for byte, so that the broker recognises it by its sequence number (KIP-98): no event is doubled and
none overtakes another. (A broker that crashes forgets producers whose last event has a time of more than a day ago,
producer.id.expiration.ms: of events with such times, those on their way may then come twice.) While batches are on
their way the next ones fill, which makes them large when it is busy and quick when it is not.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from connectors.kafka.channel import Channel
from connectors.kafka.cluster import Cluster, Partition, persistently, run_beside, run_both
from connectors.kafka.configuration import largest
from connectors.kafka.driver import InitProducerIdRequest
from connectors.kafka.errors import PASSING, Code, RetriableError, check, refusal
from connectors.kafka.lanes import Lane, Target
from connectors.kafka.ledger import Coordination
from connectors.kafka.produce import produce
from connectors.kafka.record_batch import Owner, Pack, Producer, Unwritable
from connectors.kafka.retry import patiently
from workbench.model.errors import (
    AccessRefused,
    ConnectionLost,
    ConnectorError,
    EndpointNotFound,
    PublishRejected,
    Unsupported,
)
from workbench.model.event import Event, Position
from workbench.model.receipt import Receipt, State

_REQUEST_SIZE = 8 << 20
_REQUESTS = 2
"""Requests on their way to a broker at a time: it writes the events of one while the next is sent."""
_WINDOW = 32 << 20
"""Bytes that may be on their way: far more than brokers answer for at once."""
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

_FORGOTTEN = frozenset({Code.UNKNOWN_PRODUCER_ID, Code.OUT_OF_ORDER_SEQUENCE_NUMBER})


class Pipeline:
    """What is on its way into a cluster: of one publisher, or of all that publish in one transaction.

    Attributes:
        owners: Who puts events in.
        failure: Why nothing can be published any more, wherever to.
    """

    def __init__(self, cluster: Cluster, coordination: Coordination | None = None) -> None:
        """See `open`."""
        self._cluster = cluster
        self._coordination = coordination
        self._identity = coordination.identity if coordination else None
        self._request_size = min(_REQUEST_SIZE, cluster.settings.max_request or _REQUEST_SIZE)
        self._targets: dict[str, Target] = {}
        self._finding = asyncio.Lock()
        self._channels: dict[int, Channel] = {}
        self._opening = defaultdict[int, asyncio.Lock](asyncio.Lock)
        self._requests = Counter[int]()
        self._moved = asyncio.Condition()
        self._work = asyncio.Event()
        self.owners: set[Owner] = set()
        self.failure: ConnectorError | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster, coordination: Coordination | None = None) -> AsyncIterator["Pipeline"]:
        """A pipeline that works while the context is open.

        Args:
            cluster: Where the topics are.
            coordination: What decides on all that is published; None: each event counts when it is written.
        """
        pipeline = cls(cluster, coordination)
        try:
            async with run_beside(pipeline._pump()):
                yield pipeline
        finally:
            for channel in pipeline._channels.values():
                channel.close()

    @property
    def transactional(self) -> bool:
        """Whether a transaction decides on what is published."""
        return self._coordination is not None

    async def target(self, name: str) -> Target:
        """A topic, which is asked for when it is first published to.

        Raises:
            EndpointNotFound: There is none of this name.
            ConnectorError: Nothing can be sent there.
        """
        async with self._finding:
            if (target := self._targets.get(name)) is None:
                topic = await self._cluster.topic(name)
                identity, limit = await run_both(
                    self._known_identity(name), patiently(lambda: largest(self._cluster, name))
                )
                self._identity = identity
                target = Target(topic, identity, limit)
                self._targets[name] = target
        if target.failure:
            raise target.failure
        return target

    async def _known_identity(self, topic: str) -> tuple[int, int]:
        return self._identity or await _identity(self._cluster, topic)

    def put(self, owner: Owner, lane: Lane, numbers: Sequence[int], events: Sequence[Event]) -> None:
        """Put events into the batches of a lane, in order."""
        done = 0
        while done < len(events):
            done = self._put(owner, lane, numbers, events, done)

    async def room(self) -> None:
        """Return when there is room for more.

        Raises:
            ConnectorError: Nothing can be published any more.
        """
        self._work.set()
        await asyncio.sleep(0)
        async with self._moved:
            await self._moved.wait_for(lambda: self.failure or self._on_their_way < _WINDOW)
        if self.failure:
            raise self.failure

    async def flush(self, owner: Owner | None = None) -> None:
        """Return when all events that were put in are answered for, or all of one owner.

        Raises:
            ConnectorError: Nothing can be published any more.
        """

        def waiting() -> bool:
            return any(owner is None or pack.owner is owner for lane in self._lanes for pack in lane.packs)

        async with self._moved:
            await self._moved.wait_for(lambda: self.failure or not waiting())
        if self.failure:
            raise self.failure

    def abandon(self, owner: Owner) -> None:
        """Send nothing of an owner that was not sent before; what is on its way is answered for, as the order of the
        others needs it."""
        self.owners.discard(owner)
        for lane in self._lanes:
            under_way = 1 if lane.busy or (lane.packs and lane.packs[0].sent) else 0
            packs = list(lane.packs)
            lane.packs = deque([*packs[:under_way], *(pack for pack in packs[under_way:] if pack.owner is not owner)])

    def _put(self, owner: Owner, lane: Lane, numbers: Sequence[int], events: Sequence[Event], begin: int) -> int:
        """Put some of the events in a batch, and say where the rest begins."""
        target = lane.target
        try:
            last = lane.packs[-1] if lane.packs else None
            if last and last.owner is owner and (done := last.fill(numbers, events, begin)) > begin:
                return done
            pack = Pack(target.batch_size, self.transactional, owner)
            pack.fill(numbers, events[: begin + 1], begin)
        except Unwritable as error:
            refuse(owner, [numbers[error.index]], PublishRejected(f"The event cannot be written: {error}."))
            return error.index + 1
        limit = target.largest
        if pack.size > (limit.bytes if limit else _LARGEST):
            why = ", more than Kafka lets through"
            if limit:
                why = f", and topic {target.topic} takes no more than {limit.bytes:,} ({limit.setting})"
            refuse(owner, [numbers[begin]], PublishRejected(f"The event takes {pack.size:,} bytes{why}."))
        else:
            lane.packs.append(pack)
        return begin + 1

    @property
    def _lanes(self) -> Iterable[Lane]:
        return (lane for target in self._targets.values() for lane in target.lanes.values())

    @property
    def _on_their_way(self) -> int:
        return sum(pack.size for lane in self._lanes for pack in lane.packs)

    async def _pump(self) -> None:
        """Keep each broker that leads a partition with something to send at work."""
        async with asyncio.TaskGroup() as group:
            while not self.failure:
                await self._work.wait()
                self._work.clear()
                idle: dict[int, list[Lane]] = {}
                led = Counter(lane.leader for lane in self._lanes)
                for lane in self._lanes:
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
        failed: Mapping[Lane, ConnectorError] = {}
        try:
            failed = await self._produce(node, lanes)
        finally:
            self._requests[node] -= 1
            await self._release([lane for lane in lanes if lane not in failed])
        errors = {lane.target: error for lane, error in failed.items()}
        for target in {lane.target for lane in lanes} - errors.keys():
            target.patience.calm()
        if not errors:
            return
        try:
            async with asyncio.TaskGroup() as group:
                for target, error in errors.items():
                    group.create_task(self._pause(target, error))
        finally:
            await self._release(failed)

    async def _release(self, lanes: Iterable[Lane]) -> None:
        for lane in lanes:
            lane.busy = False
            self._fail_late(lane)
        self._work.set()
        async with self._moved:
            self._moved.notify_all()

    async def _produce(self, node: int, lanes: Sequence[Lane]) -> Mapping[Lane, ConnectorError]:
        """Send the first pack of each lane, and note the answers; returns what has to be sent again, and why."""
        failed: dict[Lane, ConnectorError] = {}
        try:
            if node < 0:
                topics = ", ".join(sorted({lane.target.topic for lane in lanes}))
                check(Code.LEADER_NOT_AVAILABLE, f"write to topic {topics}")
            async with self._opening[node]:
                channel = self._channels.get(node)
                if channel is None or not channel.connected:
                    if channel is not None:
                        channel.close()
                    channel = self._channels[node] = await Channel.open(self._cluster, node)
            included = await self._include(lanes, failed)
            if self.failure:
                return {}
            batches: list[tuple[Partition, bytearray]] = []
            size = 0
            for lane in included:
                size += lane.packs[0].size
                if batches and size > self._request_size:
                    break  # they have grown since they were chosen: the rest goes with the next request
                batches.append(((lane.target.topic, lane.number), lane.packs[0].seal(lane.producer)))
                lane.packs[0].sent += 1
            transaction = self._coordination.id if self._coordination else None
            try:
                answers = await produce(channel, batches, transaction) if batches else []
            except Unsupported:
                for lane in included[: len(batches)]:
                    lane.packs[0].sent -= 1
                raise
        except ConnectorError as error:
            return {} if self.failure else dict.fromkeys(lanes, error) | failed
        for topic, partition, code, offset in answers:
            if self.failure:
                # All that was on its way was answered for as not known, be it while an answer was settled.
                return {}
            lane = self._targets[topic].lanes[partition]
            try:
                await self._settle(lane, code, offset)
            except ConnectorError as error:
                failed[lane] = error
        return failed

    async def _include(self, lanes: Sequence[Lane], failed: dict[Lane, ConnectorError]) -> Sequence[Lane]:
        """The lanes whose partitions are part of the transaction now; a topic that this user may not write to hinders
        no other."""
        if self._coordination is None:
            return lanes
        by_target = defaultdict[Target, list[Lane]](list)
        for lane in lanes:
            by_target[lane.target].append(lane)
        for target, own in by_target.items():
            try:
                await self._coordination.include((target.topic, lane.number) for lane in own)
            except AccessRefused as error:
                failed.update(dict.fromkeys(own, error))
        return [lane for lane in lanes if lane not in failed]

    async def _settle(self, lane: Lane, code: int, offset: int) -> None:
        """Take note of the answer for a lane's first pack.

        Raises:
            ConnectorError: It has to be sent again.
        """
        pack, target = lane.packs[0], lane.target
        if code in (Code.NONE, Code.DUPLICATE_SEQUENCE_NUMBER):
            lane.producer.sequence = (lane.producer.sequence + len(pack.events)) & 0x7FFFFFFF
            lane.packs.popleft()
            partition, known = str(lane.number), code == Code.NONE and offset >= 0
            state: State = "pending" if self.transactional else "settled"
            pack.owner.take_receipts(
                [
                    Receipt(number, Position(partition, str(place)) if known else None, None, False, state)
                    for place, number in enumerate(pack.numbers, offset)
                ]
            )
        elif code in PASSING:
            check(code, f"write to topic {target.topic}")
        elif code in (Code.INVALID_PRODUCER_EPOCH, Code.PRODUCER_FENCED, Code.INVALID_TXN_STATE) and self._coordination:
            self._coordination.refuse(code)
        elif code in _FORGOTTEN and pack.sent == 1 and not self.transactional:
            # Retention has made the broker forget this producer. Nothing of the pack was taken.
            lane.producer = Producer(await _identity(self._cluster, target.topic))
            if not self.failure:
                lane.packs[0] = self._repack(pack, 0, len(pack.events))
        elif code in _UNWELCOME and len(pack.events) > 1:
            half = len(pack.events) // 2
            lane.packs.popleft()
            lane.packs.appendleft(self._repack(pack, half, len(pack.events)))
            lane.packs.appendleft(self._repack(pack, 0, half))
            if code in (Code.MESSAGE_TOO_LARGE, Code.RECORD_LIST_TOO_LARGE):
                target.batch_size = max(target.batch_size // 2, 1 << 10)
        else:
            lane.packs.popleft()
            error = refusal(code, f"write to topic {target.topic}")
            if pack.sent > 1 or code == Code.UNKNOWN_SERVER_ERROR:
                # An attempt before this one, or this one, may have been written.
                leave_open(pack.owner, pack.numbers, target.topic, error)
            else:
                refuse(pack.owner, pack.numbers, PublishRejected(str(error)) if code in _UNWELCOME else error)

    def _repack(self, pack: Pack, begin: int, end: int) -> Pack:
        """Some events of a pack in a pack of their own, to be numbered anew."""
        part = Pack(pack.size + _ROOM, self.transactional, pack.owner)
        part.fill(pack.numbers[begin:end], pack.events[begin:end])
        return part

    async def _pause(self, target: Target, error: ConnectorError) -> None:
        """After something that may pass: wait a little, ask who leads what now; give up if it lasts too long."""
        try:
            if not isinstance(error, ConnectionLost | RetriableError):
                raise error
            await target.patience.wait(error)
        except ConnectorError as final:
            sent = any(pack.sent for lane in target.lanes.values() for pack in lane.packs)
            hopeless = not isinstance(final, AccessRefused | EndpointNotFound)
            if isinstance(final, ConnectionLost) or (self.transactional and (sent or hopeless)):
                self._fail(final)
            else:
                target.failure = final
                for lane in target.lanes.values():
                    if not lane.busy:
                        self._fail_late(lane)
            return
        try:
            leaders = await self._cluster.leaders([target.topic])
        except ConnectorError:
            return  # the next attempt fails for the same reason, and counts
        for lane in target.lanes.values():
            lane.leader = leaders.get((target.topic, lane.number), lane.leader)

    def _fail(self, error: ConnectorError) -> None:
        """Publish nothing any more: of what was sent, it is not known what became of it."""
        self.failure = error
        for target in self._targets.values():
            target.failure = target.failure or error
        for lane in self._lanes:
            self._fail_late(lane)
        for owner in self.owners:
            owner.end()

    def _fail_late(self, lane: Lane) -> None:
        """Answer for what a lane holds, if nothing is sent there any more."""
        target = lane.target
        if (error := target.failure) is None or not lane.packs:
            return
        packs, lane.packs = lane.packs, deque()
        for pack in packs:
            if pack.sent:
                leave_open(pack.owner, pack.numbers, target.topic, error)
            else:
                refuse(pack.owner, pack.numbers, error)


def refuse(owner: Owner, numbers: Iterable[int], error: ConnectorError) -> None:
    """Tell an owner that events were not taken."""
    owner.take_receipts([Receipt(number, error=error) for number in numbers])


def leave_open(owner: Owner, numbers: Iterable[int], topic: str, error: ConnectorError) -> None:
    """Tell an owner that it is not known whether events were taken."""
    why = ConnectorError(f"It is not known whether topic {topic} took an event: {error}")
    owner.take_receipts([Receipt(number, error=why, state="unknown") for number in numbers])


async def _identity(cluster: Cluster, topic: str) -> tuple[int, int]:
    """A producer id and epoch of our own."""

    async def attempt() -> tuple[int, int]:
        answer = await cluster.ask(InitProducerIdRequest(None, _TIMEOUT_MS))
        # Refused where the user may write to no topic at all.
        check(answer.error_code, f"write to topic {topic}")
        return answer.producer_id, answer.producer_epoch

    return await persistently(attempt)
