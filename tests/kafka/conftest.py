"""Topics and connections for the tests of the Kafka connector."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import Kafka, KafkaAddress
from tests.kafka.strict import StrictKafka
from workbench.connecting.config import Connection
from workbench.model.address import Address

DEADLINE = 120.0
"""Seconds in which what a test waits for must have come, on a machine as busy as a full run makes it."""

MakeTopic = Callable[..., Awaitable[Address]]


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """aiokafka's own client, to arrange with what is not under test."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def make_topic(bootstrap: str, partitions: int = 1, *, called: str | None = None, **config: str) -> Address:
    """A new topic, ready to be written to; `config` has underscores for dots."""
    name = called or f"kafka-tests-{uuid.uuid4().hex[:12]}"
    topic_configs = {key.replace("_", "."): value for key, value in config.items()}
    async with admin(bootstrap) as client:
        answer = await client.create_topics([NewTopic(name, partitions, 1, topic_configs=topic_configs)])
        assert all(code == 0 for _, code, *_ in answer.topic_errors), answer
        async with asyncio.timeout(DEADLINE):
            while not led(await client.describe_topics([name]), partitions):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    return Address("kafka", name)


def led(described: list[dict[str, Any]], partitions: int) -> bool:
    """Whether the brokers know of the topic and of all its leaders: they learn of it a little later."""
    [topic] = described
    leaders = [partition["leader"] for partition in topic["partitions"]]
    return len(leaders) == partitions and min(leaders) >= 0


def connect(url: str, **options: str) -> KafkaConnector:
    """A connector named kafka, not yet entered."""
    query = "&".join(f"{key}={value}" if value else key for key, value in options.items())
    return KafkaConnector(Connection.parse(f"kafka={url}{'?' if query else ''}{query}"))


async def workbench(*arguments: str) -> tuple[int | None, str, str]:
    """The command line's exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workbench",
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.fixture(scope="session")
def own_kafka() -> Iterator[Kafka]:
    """A broker that only these tests use: to kill, and to fill. It compacts without delay."""
    with Kafka("kafka-tests") as broker:

        async def hasten() -> None:
            async with admin(broker.bootstrap) as client:
                hasty = ConfigResource(ConfigResourceType.BROKER, "1", {"log.cleaner.backoff.ms": "100"})
                await client.alter_configs([hasty])

        asyncio.run(hasten())
        yield broker


@pytest.fixture(scope="session")
def strict() -> Iterator[StrictKafka]:
    """A broker that permits its users nothing but what a test permits them."""
    with StrictKafka("strict") as broker:
        yield broker


@pytest.fixture
async def connector(kafka: KafkaAddress) -> AsyncIterator[KafkaConnector]:
    """A connector to the shared broker."""
    async with connect(kafka.url) as connected:
        yield connected


@pytest.fixture
def topic(kafka: KafkaAddress) -> MakeTopic:
    """Call it with a number of partitions for a new topic."""

    async def make(partitions: int = 1, **config: str) -> Address:
        return await make_topic(kafka.bootstrap, partitions, **config)

    return make
