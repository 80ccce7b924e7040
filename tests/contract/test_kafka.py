"""Apache Kafka passes the contract; and so does Event Hubs, as far as a Kafka can be like it, but for transactions."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ClassVar
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.brokers.kafka import KafkaAddress
from tests.brokers.narrow import EventHubs
from tests.contract.steps import eventually
from tests.contract.suite import ConnectorContract
from tests.contract.under_test import BrokerUnderTest, Kind, Place
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.endpoint import Ability


class KafkaUnderTest(BrokerUnderTest):
    """The shared Kafka, of which a test has the topics that it makes."""

    def __init__(self, kafka: KafkaAddress, admin: AIOKafkaAdminClient) -> None:
        self._kafka = kafka
        self._admin = admin
        self._prefix = f"contract-{uuid4().hex}"
        self._topics: list[str] = []
        sasl = urlsplit(kafka.sasl_url)
        wrong = f"kafka://{sasl.username}:wrong-password@{sasl.hostname}:{sasl.port}?tls&sasl=plain&ca={kafka.ca_file}"
        self.connection = Connection.parse(f"kafka={kafka.url}")
        self.intruder = Connection.parse(f"kafka={wrong}")
        self.nowhere = Connection.parse("kafka=kafka://127.0.0.1:1")

    async def create(
        self,
        kind: str,
        *,
        partitions: int = 1,
        pattern: str = "#",
        dead_letters_to: Address | None = None,
        delivery_limit: int | None = None,
    ) -> Place:
        """A topic with a new name."""
        name = f"{self._prefix}-{len(self._topics)}"
        await self._admin.create_topics([NewTopic(name, partitions, 1)])
        self._topics.append(name)

        async def led() -> bool:
            (topic,) = await self._admin.describe_topics([name])
            leaders = [partition["leader"] for partition in topic["partitions"]]
            return len(leaders) == partitions and all(leader >= 0 for leader in leaders)

        await eventually(led)
        address = Address("kafka", name)
        return Place(address, address, address)

    async def commit(self, group: str, address: Address, offsets: Mapping[int, int]) -> None:
        """Commit offsets as a consumer does that was given its partitions by hand."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka.bootstrap, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            places = {TopicPartition(address.name, partition): offset for partition, offset in offsets.items()}
            consumer.assign(list(places))
            await consumer.commit(places)
        finally:
            await consumer.stop()

    async def inventory(self) -> set[str]:
        """The topics and groups of the contract's tests: others may be working on this broker too."""
        groups = {name for name, *_ in await self._admin.list_consumer_groups()}
        return {name for name in {*await self._admin.list_topics(), *groups} if name.startswith("contract-")}

    async def remove(self) -> None:
        """Delete the topics."""
        if self._topics:
            await self._admin.delete_topics(self._topics)


@asynccontextmanager
async def under_test(kafka: KafkaAddress) -> AsyncIterator[KafkaUnderTest]:
    """A broker of which a test has the topics that it makes, as long as it lasts."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        broker = KafkaUnderTest(kafka, admin)
        yield broker
        await broker.remove()
    finally:
        await admin.close()


class TestKafka(ConnectorContract):
    """The suite against `kafka://`."""

    kinds: ClassVar[Sequence[Kind]] = (
        Kind(
            "topic",
            "log",
            Ability.BROWSE
            | Ability.TAIL
            | Ability.CLAIM
            | Ability.ATOMIC
            | Ability.PUBLISH
            | Ability.BY_POSITION
            | Ability.BY_TIME
            | Ability.FROM_END
            | Ability.SCAN
            | Ability.RANGES
            | Ability.GROUPS
            | Ability.PARTITIONS
            | Ability.KEYS
            | Ability.TOMBSTONES,
            keeps="records",
            keys="any",
            times="published",
            positions="counted",
        ),
    )

    @pytest.fixture
    async def broker(self, kafka: KafkaAddress) -> AsyncIterator[KafkaUnderTest]:
        """The shared broker; what a test makes there goes with it."""
        async with under_test(kafka) as broker:
            yield broker


class TestEventHubs(TestKafka):
    """The suite against `eventhubs://`: over TLS, by a connection string, in older versions, without transactions."""

    kinds: ClassVar[Sequence[Kind]] = [
        replace(kind, name="event hub", abilities=kind.abilities & ~Ability.ATOMIC) for kind in TestKafka.kinds
    ]

    @pytest.fixture
    async def broker(self, event_hubs: EventHubs) -> AsyncIterator[KafkaUnderTest]:
        """A shared broker, behind a proxy that closes the connection on whatever is not offered."""
        async with under_test(event_hubs.kafka) as broker:
            broker.connection = Connection.parse(f"kafka={event_hubs.url()}")
            broker.intruder = Connection.parse(f"kafka={event_hubs.url(key='wrong-password')}")
            broker.nowhere = Connection.parse("kafka=eventhubs://tests:key@127.0.0.1:1")
            yield broker
