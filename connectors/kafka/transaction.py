"""One ledger of a cluster: claims from its topics, and what is published meanwhile, decided together."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Self

from connectors.kafka.cluster import BEGINNING, END, Cluster
from connectors.kafka.fetcher import retention_gap
from connectors.kafka.group_offsets import committed_offsets
from connectors.kafka.ledger import Coordination, advance
from connectors.kafka.pipeline import Pipeline
from connectors.kafka.publisher import ClusterPublisher
from connectors.kafka.reader import Queue, TopicStream
from workbench.connecting.connector import Purpose
from workbench.connecting.ledger_claims import LedgerClaims
from workbench.model.address import Address
from workbench.model.errors import Unsupported


class LedgerTransaction:
    """A ledger with one pipeline, which all of its publishers share: they write with one producer's identity."""

    def __init__(
        self, cluster: Cluster, coordination: Coordination, pipeline: Pipeline, topic_of: Callable[[Address], str]
    ) -> None:
        """See `open`."""
        self._cluster = cluster
        self._coordination = coordination
        self._pipeline = pipeline
        self._topic_of = topic_of
        self._publishes = False

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster, ledger: str, topic_of: Callable[[Address], str]) -> AsyncIterator[Self]:
        """A transaction; what is not decided on leaving is undone.

        Args:
            cluster: Where the topics are.
            ledger: The consumer group that keeps the offsets, and the transactional id.
            topic_of: The name of the topic at an address; raises `EndpointNotFound` where there can be none.
        """
        async with (
            Coordination.open(cluster, ledger) as coordination,
            Pipeline.open(cluster, coordination) as pipeline,
        ):
            yield cls(cluster, coordination, pipeline, topic_of)

    @asynccontextmanager
    async def claim(self, address: Address, purpose: Purpose, limit: int | None = None) -> AsyncIterator[LedgerClaims]:
        """Go over what the ledger has not dealt with yet, up to the end of each partition on entering."""
        topic = await self._cluster.topic(self._topic_of(address))
        if purpose == "destroy":
            raise Unsupported(f"{address} is a log: it keeps its events for as long as its retention says.")
        if self._publishes and self._coordination.failure:
            raise self._coordination.failure
        leaders = topic.leader_of
        beginnings = await self._cluster.offsets(dict.fromkeys(leaders, BEGINNING), leaders)
        ends = await self._cluster.offsets(dict.fromkeys(leaders, END), leaders)
        of_ledger = await committed_offsets(self._cluster, self._coordination.id)
        starts, gaps = dict(beginnings), []
        for each in starts.keys() & of_ledger.keys():
            if of_ledger[each] < beginnings[each]:
                gaps.append(retention_gap(each, of_ledger[each], beginnings[each]))
            starts[each] = min(max(of_ledger[each], beginnings[each]), ends[each])
        queues = [Queue(each, first, ends[each], leaders[each]) for each, first in starts.items()]
        stream = TopicStream(self._cluster, address, queues, limit=limit, gaps=gaps)

        async def settled(offsets: Mapping[str, int]) -> None:
            places = {(topic.name, int(partition)): offset for partition, offset in offsets.items()}
            if self._publishes:
                await self._pipeline.flush()
                await self._coordination.commit(places)
            else:
                await advance(self._cluster, self._coordination.id, places)

        try:
            yield LedgerClaims(stream, settled)
        finally:
            stream.close()

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[ClusterPublisher]:
        """A pipeline into topics; what it publishes counts when claims of this transaction are settled.

        Raises:
            Unsupported: There are no transactions here.
            AccessRefused: This user may not have this one.
        """
        if self._coordination.failure:
            raise self._coordination.failure
        self._publishes = True
        async with ClusterPublisher.open(self._pipeline, self._topic_of) as publisher:
            yield publisher
