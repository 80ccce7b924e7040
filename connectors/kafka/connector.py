"""Kafka behind the connector protocol.

What lists is imported with it; all else where it is done: neither the screen's first picture nor a `publish` of one
event waits for what it does not need.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import msgspec

from connectors.kafka.cluster import BEGINNING, END, Cluster, Partition, Topic, run_beside, run_both, run_together
from connectors.kafka.configuration import describe_configs, limits_of
from connectors.kafka.settings import KNOWN, Settings
from connectors.kafka.versions import SHARE_GROUPS, TRANSACTIONS
from workbench.connecting.check import Step
from workbench.connecting.config import Connection, Secret
from workbench.connecting.connector import Claims, Purpose
from workbench.connecting.connector_boundary import Boundary
from workbench.connecting.identity import BrokerIdentity
from workbench.connecting.logins import Login
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConnectionLost, ConnectorError, EndpointNotFound, Unsupported, WorkbenchError
from workbench.model.groups import Group
from workbench.model.listing import Listing
from workbench.model.look import Gap
from workbench.model.ranges import Extent, Range
from workbench.model.start import At, Beginning, Latest, Since, Start, Window
from workbench.model.target_rules import Rules
from workbench.model.wording import quantity

if TYPE_CHECKING:
    from connectors.kafka.fetch_connection import TailConnections
    from connectors.kafka.groups import Times
    from connectors.kafka.leaders import Led
    from connectors.kafka.publisher import ClusterPublisher
    from connectors.kafka.reader import TopicStream
    from connectors.kafka.scan import ScanStream
    from connectors.kafka.share_dead_letters import DeadLetterTopic
    from connectors.kafka.transaction import LedgerTransaction

_ABILITIES = (
    Ability.BROWSE
    | Ability.TAIL
    | Ability.CLAIM
    | Ability.PUBLISH
    | Ability.BY_POSITION
    | Ability.BY_TIME
    | Ability.FROM_END
    | Ability.SCAN
    | Ability.RANGES
    | Ability.GROUPS
    | Ability.PARTITIONS
    | Ability.KEYS
    | Ability.TOMBSTONES
)
_ALWAYS = Window()
_UNDECIDED = "their transaction is still open"
_CONFIGURATION = (
    "cleanup.policy",
    "compression.type",
    "retention.ms",
    "retention.bytes",
    "max.message.bytes",
    "message.timestamp.type",
    "min.insync.replicas",
)


class _Searched(NamedTuple):
    """What a search goes through.

    Attributes:
        spans: The first offset of each partition, and the offset behind the last.
        leaders: Whom to ask.
        gaps: What is known not to be seen, by topic.
        notes: What to know about what is seen.
    """

    spans: Mapping[Partition, tuple[int, int]]
    leaders: Mapping[Partition, int]
    gaps: list[tuple[str, Gap]]
    notes: list[str]


class KafkaConnector:
    """One Kafka cluster: its topics are the endpoints. Looking at them writes nothing and costs nothing.

    Attributes:
        broker: What the broker is called, for sentences.
        kind: What it calls a topic.
        options: Those that its URL may have.
    """

    broker: ClassVar = "Kafka"
    kind: ClassVar = "topic"
    options: ClassVar[Sequence[str]] = KNOWN

    def __init__(self, connection: Connection, settings: Settings | None = None) -> None:
        """Read the connection; the cluster is reached at first use.

        Args:
            connection: Its name is that of the addresses.
            settings: How to reach the cluster; None: as the connection's `kafka://` URL says.

        Raises:
            ConfigError: It has an option, or a value of one, that this connector does not know.
        """
        self._name = connection.name
        self._cluster = self._told = self._cluster_of(settings or Settings.of(connection))
        self._left: list[Cluster] = []
        self._tails: dict[Cluster, TailConnections] = {}
        self._times: Times = {}  # of events that groups are to read next

    @staticmethod
    def logins(connection: Connection) -> Sequence[Login]:
        """Who gets the password, as far as the URL says; brokers that these name get it, too."""
        known = connection if connection.password else msgspec.structs.replace(connection, password=Secret(""))
        return Settings.of(known).logins

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        for each in (self._cluster, *self._left):
            await each.close()

    def _cluster_of(self, settings: Settings) -> Cluster:
        """A cluster that is let go when its places come to lead to another: the next question is for that one. What was
        begun keeps to the first, and so does what a guard was told of it."""
        cluster = Cluster(settings)

        def leave() -> None:
            if cluster is self._cluster:
                self._left.append(cluster)
                self._cluster = self._cluster_of(settings)
                self._cluster.tell = cluster.tell
                self._times = {}

        cluster.leave = leave
        return cluster

    @property
    def tell(self) -> Callable[[str], None]:
        """Tells the user what is waited for: see `workbench.connecting.connector.TellingConnector`."""
        return self._cluster.tell

    @tell.setter
    def tell(self, tell: Callable[[str], None]) -> None:
        self._cluster.tell = tell

    def check(self) -> AsyncIterator[Step]:
        """Try each step: names, ports, TLS, logging in, and the addresses that the brokers advertise."""
        from connectors.kafka.check import check

        return check(self._cluster.settings)

    def description(self) -> str:
        """What it is, and of how many brokers: a cluster does not tell its version."""
        count = len(self._cluster.places)
        return f"{self.broker}, {quantity(count, 'broker')}" if count else self.broker

    async def identity(self) -> BrokerIdentity:
        """The cluster's id, and the hosts that its brokers advertise: see `IdentifiedConnector`. What changes anything
        is done in this one."""
        asked = self._cluster
        try:
            await asked.topics(())
        except ConnectorError:
            if asked is self._cluster:
                raise
            asked = self._cluster
            await asked.topics(())
        self._told = asked
        hosts = tuple(host for host, _ in asked.places.values())
        return BrokerIdentity(f"kafka {asked.id}" if asked.id else "", hosts)

    async def endpoints(self) -> Listing[Endpoint]:
        """The topics, without those that Kafka made for itself; a topic that is not told of hides no other."""
        topics = {name: topic for name, topic in (await self._cluster.visible_topics()).items() if not topic.internal}
        whole, dead = await run_both(
            Boundary(f"{self._name}: listing").part(partial(self._endpoints_of, topics)), self._dead_letter_topics()
        )
        if isinstance(whole, ConnectionLost):
            raise whole
        listed = await self._describe_alone(topics) if isinstance(whole, WorkbenchError) else Listing(whole)
        return Listing(self._link(listed, dead), listed.gaps)

    async def endpoint(self, address: Address) -> Endpoint:
        """One topic as it is now."""
        topic = await self._topic(address)
        endpoints, dead = await run_both(self._endpoints_of({topic.name: topic}), self._dead_letter_topics())
        [endpoint] = self._link(endpoints, dead)
        return endpoint

    async def log_id(self, address: Address) -> str | None:
        """The topic's id: see `workbench.connecting.connector.LogIdConnector`."""
        from connectors.kafka.topic_ids import topic_id

        return await topic_id(self._cluster, self._topic_of(address))

    async def rules(self, address: Address) -> Rules:
        """What a topic can hold: no properties, headers without types, and events up to its `max.message.bytes`."""
        name = self._topic_of(address)
        _, (limit, keeps) = await run_both(self._cluster.topic(name), limits_of(self._cluster, name))
        return Rules(
            address,
            self.broker,
            encoding="kafka-2",
            properties=False,
            size=limit.bytes if limit else None,
            size_setting=limit.setting if limit else "",
            keeps=keeps,
        )

    @asynccontextmanager
    async def browse(
        self, address: Address, start: Start | None = None, limit: int | None = None, force: bool = False
    ) -> AsyncIterator["TopicStream"]:
        """Show what is there: up to the end of each partition on entering, merged by time. Nothing to force."""
        from connectors.kafka.reader import Queue, TopicStream
        from connectors.kafka.start_offsets import partitions_of, starts_of

        topic = await self._topic(address)
        led = await self._led(partitions_of(address, topic, start or Beginning()), topic.leader_of)
        leaders = led.leaders
        beginnings, ends, written = await self._borders(leaders, leaders)
        place = await starts_of(self._cluster, address, start or Beginning(), beginnings, ends, leaders)
        gaps = [*place.gaps, *(gap for _, gap in (*led.gaps, *_open_transactions(ends, written)))]
        queues = [Queue(each, first, place.ends[each], leaders[each]) for each, first in sorted(place.starts.items())]
        total = sum(ends[each] - beginnings[each] for each in ends)
        stream = TopicStream(
            self._cluster,
            address,
            queues,
            limit=limit,
            gaps=gaps,
            notes=place.notes,
            chosen=place.chosen,
            total=total,
        )
        try:
            yield stream
        finally:
            stream.close()

    @asynccontextmanager
    async def tail(
        self, address: Address, start: Start | None = None, pattern: str | None = None
    ) -> AsyncIterator["TopicStream"]:
        """Show what arrives: from the end of each partition on entering, or from before."""
        from connectors.kafka.fetch_connection import TailConnections
        from connectors.kafka.reader import Queue, TopicStream
        from connectors.kafka.start_offsets import late_start_of, partitions_of, starts_of

        if pattern is not None:
            raise Unsupported(f"{address} is a topic: a pattern chooses part of an exchange, and Kafka has none.")
        entered = time.time_ns() // 1_000_000
        topic = await self._topic(address)
        led = await self._led(partitions_of(address, topic, start or Latest()), topic.leader_of)
        leaders = led.leaders
        beginnings = await self._cluster.offsets(dict.fromkeys(leaders, BEGINNING), leaders)
        ends = await self._cluster.offsets(dict.fromkeys(leaders, END), leaders)
        place = await starts_of(self._cluster, address, start or Latest(), beginnings, ends, leaders)

        async def begin(partition: Partition, leader: int) -> int:
            return await late_start_of(self._cluster, start or Latest(), partition, leader, entered)

        queues = [Queue(each, first, None, leaders[each]) for each, first in sorted(place.starts.items())]
        stream = TopicStream(
            self._cluster,
            address,
            queues,
            begin=None if isinstance(start, At) else begin,
            away=led.away,
            gaps=[*(gap for _, gap in led.gaps), *place.gaps],
            notes=place.notes,
            chosen=place.chosen,
            tails=self._tails.setdefault(self._cluster, TailConnections(self._cluster)),
        )
        try:
            async with run_beside(stream.follow()):
                yield stream
        finally:
            stream.close()

    @asynccontextmanager
    async def scan(
        self, addresses: Sequence[Address], needles: Sequence[Sequence[bytes]], window: Window = _ALWAYS
    ) -> AsyncIterator["ScanStream"]:
        """Find the events that hold the needles: up to the end of each partition on entering."""
        from connectors.kafka.scan import Scanned, ScanStream
        from workbench.decode.byte_search import Needles

        if not addresses or not needles or not all(group and all(group) for group in needles):
            raise Unsupported("A search needs something to look for, and somewhere.")
        searched = await self._searched(addresses, window)
        shares = [Scanned(each, start, end, searched.leaders[each]) for each, (start, end) in searched.spans.items()]
        stream = ScanStream(self._cluster, self._name, shares, Needles(needles), window, searched.gaps, searched.notes)
        try:
            yield stream
        finally:
            stream.close()

    async def extents(self, addresses: Sequence[Address], window: Window = _ALWAYS) -> Sequence[Extent]:
        """What there is to search: up to the end of each partition now."""
        searched = await self._searched(addresses, window)
        return [
            Extent(
                address,
                tuple(
                    Range(address, str(number), start, end)
                    for (topic, number), (start, end) in sorted(searched.spans.items())
                    if topic == address.name
                ),
                tuple(gap for topic, gap in searched.gaps if topic == address.name),
                tuple(searched.notes),
            )
            for address in addresses
        ]

    @asynccontextmanager
    async def scan_range(
        self, range: Range, needles: Sequence[Sequence[bytes]], window: Window = _ALWAYS
    ) -> AsyncIterator["ScanStream"]:
        """Find the events of one partition that hold the needles, between two offsets."""
        from connectors.kafka.scan import Scanned, ScanStream
        from workbench.decode.byte_search import Needles

        leaders = (await self._topic(range.address)).leader_of
        partition = (range.address.name, int(range.partition))
        if partition not in leaders:
            raise EndpointNotFound(f"{range.address} has no partition {range.partition} any more.")
        share = Scanned(partition, range.start, range.end, leaders[partition])
        stream = ScanStream(self._cluster, self._name, [share], Needles(needles), window)
        try:
            yield stream
        finally:
            stream.close()

    async def _searched(self, addresses: Sequence[Address], window: Window) -> "_Searched":
        from connectors.kafka.newest import LATE, LATE_MS
        from connectors.kafka.start_offsets import starts_of

        topics = await run_together(self._topic(address) for address in addresses)
        known = {each: leader for topic in topics for each, leader in topic.leader_of.items()}
        led = await self._led(known, known)
        leaders = led.leaders
        beginnings, ends, written = await self._borders(leaders, leaders)
        gaps = [*led.gaps, *_open_transactions(ends, written)]
        start = Beginning() if window.since is None else Since(window.since)
        place = await starts_of(self._cluster, addresses[0], start, beginnings, ends, leaders)
        notes = list[str]()
        if window.until is not None:
            found = await self._cluster.offsets(dict.fromkeys(leaders, max(window.until + LATE_MS, 0)), leaders)
            reached = {each: end if found[each] < 0 else min(found[each], end) for each, end in ends.items()}
            notes += [LATE] if reached != ends else []
            ends = reached
        spans = {each: (min(start, ends[each]), ends[each]) for each, start in place.starts.items()}
        return _Searched(spans, leaders, gaps, notes)

    async def _led(self, partitions: Collection[Partition], leaders: Mapping[Partition, int]) -> "Led":
        """Which of some partitions can be asked, and whom.

        Raises:
            ConnectorError: None can.
        """
        from connectors.kafka.leaders import await_leaders

        led = await await_leaders(self._cluster, {each: leaders[each] for each in partitions})
        led.check()
        return led

    async def _borders(
        self, partitions: Collection[Partition], leaders: Mapping[Partition, int]
    ) -> Sequence[Mapping[Partition, int]]:
        """Where partitions begin, where their decided events end, and where all that is written to them ends."""
        return await run_together(
            self._cluster.offsets(dict.fromkeys(partitions, place), leaders, committed)
            for place, committed in ((BEGINNING, True), (END, True), (END, False))
        )

    @asynccontextmanager
    async def claim(self, address: Address, purpose: Purpose, limit: int | None = None) -> AsyncIterator[Claims]:
        """Nothing is claimed from a topic but in a transaction.

        Raises:
            EndpointNotFound: There is none of this name.
            Unsupported: It is a log.
        """
        yield await self._claims_of(address)

    async def _claims_of(self, address: Address) -> Claims:
        await self._topic(address)
        raise Unsupported(f"{address} is a log, from which nothing is removed: name a ledger to keep the position.")

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator["ClusterPublisher"]:
        """A pipeline into topics: idempotent, in order per partition, each event written to all in-sync replicas."""
        from connectors.kafka.pipeline import Pipeline
        from connectors.kafka.publisher import ClusterPublisher

        async with (
            Pipeline.open(self._told) as pipeline,
            ClusterPublisher.open(pipeline, self._topic_of) as publisher,
        ):
            yield publisher

    @asynccontextmanager
    async def transaction(self, ledger: str) -> AsyncIterator["LedgerTransaction"]:
        """What is published and how far the ledger is, decided together: see `LedgerTransaction`."""
        from connectors.kafka.transaction import LedgerTransaction

        async with LedgerTransaction.open(self._told, ledger, self._topic_of) as transaction:
            yield transaction

    async def groups(self) -> Listing[Group]:
        """All groups that this user may see, by name, with their lag: of consumers, share groups, Streams groups."""
        from connectors.kafka.groups import all_groups

        return await all_groups(self._cluster)

    async def group(self, name: str) -> Group:
        """One group, down to its partitions.

        Raises:
            EndpointNotFound: There is none of this name that this user may see.
        """
        from connectors.kafka.groups import one_group

        return await one_group(self._cluster, name, self._times)

    async def seek(self, group: str, address: Address, offsets: Mapping[str, str | None]) -> None:
        """Commit offsets in a group's name, which has no members."""
        from connectors.kafka.seek import seek

        topic = await self._told.topic(self._topic_of(address))
        places = {(topic.name, int(each)): None if at is None else int(at) for each, at in offsets.items()}
        await seek(self._told, group, places)

    async def _topic(self, address: Address) -> Topic:
        return await self._cluster.topic(self._topic_of(address))

    def _topic_of(self, address: Address) -> str:
        """The name of the topic at an address.

        Raises:
            EndpointNotFound: There can be none.
        """
        if address.namespace != "queue":
            raise EndpointNotFound(f"{self._name} is a Kafka cluster and has no exchanges: write {self._name}/TOPIC.")
        return address.name

    async def _endpoints_of(self, topics: Mapping[str, Topic]) -> list[Endpoint]:
        from connectors.kafka.leaders import await_leaders

        known = {each: leader for topic in topics.values() for each, leader in topic.leader_of.items()}
        led = await await_leaders(self._cluster, known, electing=0)
        if any(isinstance(error, ConnectionLost) for error in led.away.values()):
            led.check()
        leaders = led.leaders
        (beginnings, ends), (configuration, is_atomic) = await run_both(
            run_both(
                self._cluster.offsets(dict.fromkeys(leaders, BEGINNING), leaders),
                self._cluster.offsets(dict.fromkeys(leaders, END), leaders, committed=False),
            ),
            run_both(
                describe_configs(self._cluster, topics, _CONFIGURATION),
                self._cluster.offers(TRANSACTIONS),
            ),
        )
        abilities = _ABILITIES | (Ability.ATOMIC if is_atomic else Ability(0))
        return [
            _endpoint(
                Address(self._name, name), self.kind, abilities, topic, beginnings, ends, configuration.get(name, {})
            )
            for name, topic in sorted(topics.items())
        ]

    async def _dead_letter_topics(self) -> Sequence["DeadLetterTopic"]:
        """The topics of the dead letters of share groups. A user who may not know of them has the topics all the
        same."""
        asked = await Boundary(f"{self._name}: dead letters of share groups").part(self._ask_dead_letter_topics)
        return () if isinstance(asked, WorkbenchError) else asked

    async def _ask_dead_letter_topics(self) -> Sequence["DeadLetterTopic"]:
        if not await self._cluster.offers(SHARE_GROUPS):
            return ()
        from connectors.kafka.share_dead_letters import dead_letter_topics

        return await dead_letter_topics(self._cluster)

    def _link(self, endpoints: Sequence[Endpoint], dead: Sequence["DeadLetterTopic"]) -> Sequence[Endpoint]:
        if not dead:
            return endpoints
        from connectors.kafka.share_dead_letters import link

        return link(endpoints, dead)

    async def _describe_alone(self, topics: Mapping[str, Topic]) -> Listing[Endpoint]:
        found = await run_together(
            Boundary(f"Describing topic {name}").part(partial(self._endpoints_of, {name: topic}))
            for name, topic in topics.items()
        )
        errors = {name: each for name, each in zip(topics, found, strict=True) if isinstance(each, WorkbenchError)}
        if any(isinstance(error, EndpointNotFound) for error in errors.values()):
            # One that was deleted after it was named is not missing.
            there = await self._cluster.visible_topics()
            errors = {name: error for name, error in errors.items() if name in there}
        if errors and len(errors) == len(topics):
            raise next(iter(errors.values()))
        described = [one for each in found if not isinstance(each, WorkbenchError) for one in each]
        listed = sorted(described, key=lambda each: each.address.name)
        return Listing(listed, [Gap(f"topic {name}", str(error)) for name, error in sorted(errors.items())])


def _open_transactions(ends: Mapping[Partition, int], written: Mapping[Partition, int]) -> list[tuple[str, Gap]]:
    """What is written and not decided, by topic: the last stable offsets, and the ends."""
    return [
        (topic, Gap(f"partition {number}, offsets {ends[topic, number]} to {behind - 1}", _UNDECIDED))
        for (topic, number), behind in written.items()
        if behind > ends[topic, number]
    ]


def _endpoint(
    address: Address,
    kind: str,
    abilities: Ability,
    topic: Topic,
    beginnings: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    configuration: Mapping[str, str],
) -> Endpoint:
    mine = [(topic.name, number) for number in topic.leaders]
    known = [each for each in mine if each in ends and each in beginnings]
    without = [str(number) for _, number in mine if (topic.name, number) not in ends]
    state = (("without a leader", f"partition {', '.join(without)}"),) if without else ()
    return Endpoint(
        address=address,
        kind=kind,
        family="log",
        abilities=abilities,
        depth=None if without else sum(ends[each] - beginnings[each] for each in known),
        published=None if without else sum(ends[each] for each in known),
        partitions=len(topic.leaders),
        trouble=f"no broker leads partition {', '.join(without)}" if without else "",
        detail=(*state, ("replicas", str(topic.replicas)), *configuration.items()),
    )
