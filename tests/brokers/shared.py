"""The brokers that all tests share: started side by side on first use, or found already running."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from tests.brokers.install import BrokerUnavailable, RabbitMQRelease
from tests.brokers.kafka import Kafka, KafkaAddress
from tests.brokers.rabbitmq import RabbitMQ, RabbitMQAddress

VARIABLE = "WORKBENCH_TEST_BROKERS"
"""Names the file in which `python -m tests.brokers` writes the addresses of the brokers it runs."""

BROKERS = ("rabbitmq_3", "rabbitmq_4", "kafka")

Address = TypeVar("Address", RabbitMQAddress, KafkaAddress)


class SharedBrokers:
    """Every broker at most once, until `remove`."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(len(BROKERS))
        self._brokers = ExitStack()
        self._started: dict[str, Future[RabbitMQ | Kafka]] = {}

    def start(self, names: Iterable[str]) -> None:
        """Begin to start these brokers, and return at once."""
        for name in names:
            if name not in self._started:
                self._started[name] = self._threads.submit(self._start, name)

    def address(self, name: str, kind: type[Address]) -> Address:
        """The address of a broker, when it is ready.

        Raises:
            BrokerUnavailable: it cannot be installed or started.
        """
        self.start([name])
        broker = self._started[name].result()
        assert isinstance(broker, kind)
        return broker

    def write_addresses(self, file: Path) -> None:
        """Write the addresses of the brokers, when all are ready, for `running`."""
        addresses = {name: asdict(broker.result()) for name, broker in self._started.items()}
        unfinished = file.with_name(f"{file.name}.unfinished")
        unfinished.write_text(json.dumps(addresses, indent=2))
        unfinished.rename(file)  # whoever waits for the file finds all of it

    def remove(self) -> None:
        """End every broker and leave nothing of it."""
        self._threads.shutdown()
        self._brokers.close()

    def _start(self, name: str) -> RabbitMQ | Kafka:
        broker = _create(name)
        self._brokers.enter_context(broker)
        return broker


def running(name: str, kind: type[Address]) -> Address | None:
    """The address of a broker that runs already, or None when we are to start it.

    Raises:
        BrokerUnavailable: the file that `$WORKBENCH_TEST_BROKERS` names is not there.
    """
    file = os.environ.get(VARIABLE)
    if not file:
        return None
    try:
        return kind(**json.loads(Path(file).read_text())[name])
    except FileNotFoundError:
        raise BrokerUnavailable(f"${VARIABLE} names {file}, which is not there: do the brokers run?") from None


def _create(name: str) -> RabbitMQ | Kafka:
    match name:
        case "rabbitmq_3":
            return RabbitMQ("shared", "3.10")
        case "rabbitmq_4":
            return RabbitMQ("shared", "4.0")
        case _:
            return Kafka("shared")


@contextmanager
def rabbitmq(release: RabbitMQRelease) -> Iterator[RabbitMQAddress]:
    """A RabbitMQ that runs already, or one that is started for as long as the context is open."""
    found = running("rabbitmq_3" if release == "3.10" else "rabbitmq_4", RabbitMQAddress)
    if found is not None:
        yield found
        return
    with RabbitMQ("own", release) as broker:
        yield broker
