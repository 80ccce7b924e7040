"""Brokers for the tests. Those named after a broker are shared: a test makes queues and topics of its own there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, overload

import pytest

from tests.brokers import install, narrow
from tests.brokers.certificates import Certificates
from tests.brokers.kafka import Kafka, KafkaAddress
from tests.brokers.narrow import EventHubs
from tests.brokers.rabbitmq import RabbitMQ, RabbitMQAddress
from tests.brokers.shared import BROKERS, VARIABLE, SharedBrokers, running

_OF_ALL_WORKERS = pytest.StashKey[tuple[SharedBrokers, Path]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the brokers once for all workers, which find them as any already running ones (pytest-xdist)."""
    if not config.getoption("numprocesses", None) or hasattr(config, "workerinput") or VARIABLE in os.environ:
        return
    shared, folder = SharedBrokers(), Path(tempfile.mkdtemp())
    config.stash[_OF_ALL_WORKERS] = shared, folder
    shared.start(BROKERS)
    shared.write_addresses(folder / "brokers.json")
    os.environ[VARIABLE] = str(folder / "brokers.json")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the brokers of all workers."""
    if (started := config.stash.get(_OF_ALL_WORKERS, None)) is not None:
        shared, folder = started
        shared.remove()
        shutil.rmtree(folder)
        del os.environ[VARIABLE]


class OwnBrokers:
    """Starts brokers that one test has for itself, to stop and kill as it likes."""

    def __init__(self, brokers: ExitStack) -> None:
        self._brokers = brokers

    @overload
    def __call__(self, kind: Literal["rabbitmq-3.10", "rabbitmq-4.0"]) -> RabbitMQ: ...
    @overload
    def __call__(self, kind: Literal["kafka"]) -> Kafka: ...
    def __call__(self, kind: Literal["rabbitmq-3.10", "rabbitmq-4.0", "kafka"]) -> RabbitMQ | Kafka:
        match kind:
            case "rabbitmq-3.10":
                return self._brokers.enter_context(RabbitMQ("own", "3.10"))
            case "rabbitmq-4.0":
                return self._brokers.enter_context(RabbitMQ("own", "4.0"))
            case "kafka":
                return self._brokers.enter_context(Kafka("own"))


@pytest.fixture(scope="session")
def tools() -> None:
    """kcat, amqp-tools and tmux are there."""
    install.tools()


@pytest.fixture(scope="session")
def shared_brokers(request: pytest.FixtureRequest) -> Iterator[SharedBrokers]:
    """The brokers that this run's tests name, starting side by side."""
    shared = SharedBrokers()
    if VARIABLE not in os.environ:
        named = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
        shared.start(name for name in BROKERS if name in named)
    try:
        yield shared
    finally:
        shared.remove()


@pytest.fixture(scope="session")
def rabbitmq_3(shared_brokers: SharedBrokers) -> RabbitMQAddress:
    """RabbitMQ 3.10."""
    return running("rabbitmq_3", RabbitMQAddress) or shared_brokers.address("rabbitmq_3", RabbitMQAddress)


@pytest.fixture(scope="session")
def rabbitmq_4(shared_brokers: SharedBrokers) -> RabbitMQAddress:
    """RabbitMQ 4.0."""
    return running("rabbitmq_4", RabbitMQAddress) or shared_brokers.address("rabbitmq_4", RabbitMQAddress)


@pytest.fixture(scope="session")
def kafka(shared_brokers: SharedBrokers) -> KafkaAddress:
    """Kafka, which creates a topic that is asked for and not there."""
    return running("kafka", KafkaAddress) or shared_brokers.address("kafka", KafkaAddress)


@pytest.fixture(scope="session")
def kafka_of_event_hubs(kafka: KafkaAddress) -> Iterator[KafkaAddress]:
    """A Kafka that lets in who has a connection string; one of its own where the running one does not."""
    if kafka.connection_string:
        yield kafka
    else:
        with Kafka("event-hubs") as own:
            yield own


@pytest.fixture(scope="session")
def certificates_of_event_hubs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """What the stand-in for Event Hubs shows."""
    return Certificates.issue(tmp_path_factory.mktemp("event-hubs") / "certificates")


@pytest.fixture
async def event_hubs(
    kafka_of_event_hubs: KafkaAddress, certificates_of_event_hubs: Certificates
) -> AsyncIterator[EventHubs]:
    """A Kafka that is as much like Event Hubs as it can be; nothing that the service refuses may reach it."""
    async with narrow.event_hubs(kafka_of_event_hubs, certificates_of_event_hubs) as found:
        yield found
    assert found.broker.refused == []


@pytest.fixture
def own_broker() -> Iterator[OwnBrokers]:
    """Call it with "rabbitmq-3.10", "rabbitmq-4.0" or "kafka" for a started broker of the test's own."""
    with ExitStack() as brokers:
        yield OwnBrokers(brokers)
