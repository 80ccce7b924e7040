"""The brokers themselves: that a test can rely on them, and that nothing of them is left."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx
import pika
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pika.exceptions import AMQPConnectionError, ChannelClosedByBroker

from tests.brokers.fixtures import OwnBrokers
from tests.brokers.install import BrokerUnavailable, RabbitMQRelease
from tests.brokers.kafka import Kafka, KafkaAddress
from tests.brokers.rabbitmq import RabbitMQ, RabbitMQAddress

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["rabbitmq-3.10", "rabbitmq-4.0"])
def test_a_killed_rabbitmq_comes_back_on_its_port_with_its_data(
    own_broker: OwnBrokers, kind: Literal["rabbitmq-3.10", "rabbitmq-4.0"]
) -> None:
    broker = own_broker(kind)
    publish_durably(broker, b"before")
    assert take(broker) == b"before"
    # A queue declared just before a crash may not be on disk yet; a restart in good order puts it there.
    broker.stop()
    broker.start()
    first = broker.pid
    publish_durably(broker, b"kept")

    broker.kill()
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(pika.URLParameters(broker.url))
    broker.start()

    assert broker.pid != first
    assert take(broker) == b"kept"
    assert broker.rabbitmqctl("list_queues", "name", "messages").split() == ["orders", "0"]


async def test_a_killed_kafka_comes_back_on_its_port_with_its_data(own_broker: OwnBrokers) -> None:
    broker = own_broker("kafka")
    first = broker.pid
    await produce(broker, b"kept")

    broker.kill()
    broker.start()

    assert broker.pid != first
    assert await read(broker) == b"kept"


@pytest.mark.parametrize("release", ["3.10", "4.0"])
def test_a_removed_rabbitmq_leaves_no_process_and_no_file(release: RabbitMQRelease) -> None:
    broker = RabbitMQ("removed", release)
    assert_leaves_nothing(broker)
    with pytest.raises(BrokerUnavailable):
        broker.rabbitmqctl("status")


def test_a_removed_kafka_leaves_no_process_and_no_file() -> None:
    assert_leaves_nothing(Kafka("removed"))


def test_no_broker_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.brokers", "--json", str(tmp_path / "brokers.json")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line.startswith("export WORKBENCH_TEST_BROKERS=") for line in process.stdout)
        assert list(json.loads((tmp_path / "brokers.json").read_text())) == ["rabbitmq_3", "rabbitmq_4", "kafka"]
        started = descendants(process.pid)
        assert {"epmd", "beam.smp", "java"} <= set(started.values())
        process.kill()
    wait_until(lambda: not any(alive(pid) for pid in started), "the brokers to end")


def test_the_shared_rabbitmqs_are_of_different_releases(
    rabbitmq_3: RabbitMQAddress, rabbitmq_4: RabbitMQAddress
) -> None:
    for broker in (rabbitmq_3, rabbitmq_4):
        overview = httpx.get(f"{broker.management_url}/api/overview", auth=("guest", "guest"), trust_env=False).json()
        assert overview["rabbitmq_version"].startswith(f"{broker.release}.")


def test_the_reader_may_look_and_not_declare(rabbitmq_4: RabbitMQAddress) -> None:
    parameters = pika.URLParameters(rabbitmq_4.url.replace("guest:guest", "reader:reader"))
    with (
        pika.BlockingConnection(parameters) as connection,
        pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"),
    ):
        connection.channel().queue_declare("forbidden")
    queues = httpx.get(f"{rabbitmq_4.management_url}/api/queues", auth=("reader", "reader"), trust_env=False)
    assert queues.is_success


def test_rabbitmq_speaks_tls(rabbitmq_3: RabbitMQAddress, rabbitmq_4: RabbitMQAddress) -> None:
    for broker in (rabbitmq_3, rabbitmq_4):
        for certificate in (False, True):
            parameters = pika.URLParameters(broker.tls_url)
            parameters.ssl_options = pika.SSLOptions(tls(broker, certificate), "127.0.0.1")
            with pika.BlockingConnection(parameters) as connection:
                assert connection.is_open


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_kafka_knows_alice(kafka: KafkaAddress, mechanism: str) -> None:
    address = urlsplit(kafka.sasl_url)
    producer = AIOKafkaProducer(
        bootstrap_servers=f"{address.hostname}:{address.port}",
        security_protocol="SASL_SSL",
        ssl_context=tls(kafka, certificate=False),
        sasl_mechanism=mechanism,
        sasl_plain_username=address.username,
        sasl_plain_password=address.password,
    )
    async with producer:
        assert await producer.send_and_wait("alices", b"hello")


async def test_kafka_speaks_tls(kafka: KafkaAddress) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=urlsplit(kafka.tls_url).netloc,
        security_protocol="SSL",
        ssl_context=tls(kafka, certificate=True),
    )
    async with producer:
        assert await producer.send_and_wait("alices", b"hello")


def publish_durably(broker: RabbitMQAddress, body: bytes) -> None:
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.queue_declare("orders", durable=True)
        channel.confirm_delivery()
        channel.basic_publish("", "orders", body, pika.BasicProperties(delivery_mode=2), mandatory=True)


def take(broker: RabbitMQAddress) -> bytes:
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        _, _, body = connection.channel().basic_get("orders", auto_ack=True)
        assert isinstance(body, bytes)
        return body


async def produce(broker: KafkaAddress, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        await producer.send_and_wait("orders", value)


async def read(broker: KafkaAddress) -> bytes:
    consumer = AIOKafkaConsumer("orders", bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    async with consumer:
        value = (await consumer.getone()).value
    assert isinstance(value, bytes)
    return value


def tls(broker: RabbitMQAddress | KafkaAddress, certificate: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=broker.ca_file)
    if certificate:
        context.load_cert_chain(broker.client_cert, broker.client_key)
    return context


def assert_leaves_nothing(broker: RabbitMQ | Kafka) -> None:
    folder = Path(broker.ca_file).parents[1]
    with broker:
        started = descendants(broker.pid)
        broker.stop()
        assert not alive(broker.pid)
        assert folder.exists()
    wait_until(lambda: not any(alive(pid) for pid in started), "every process to end")
    assert not folder.exists()


def descendants(pid: int) -> dict[int, str]:
    """The process and all it started, with their names (proc_pid_stat(5))."""
    names, children = {}, dict[int, list[int]]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = stat.read_text().partition(" (")
        except (FileNotFoundError, ProcessLookupError):
            continue
        names[int(number)], _, fields = rest.rpartition(") ")
        children.setdefault(int(fields.split()[1]), []).append(int(number))
    found = {}
    todo = [pid]
    while todo:
        found[todo[-1]] = names[todo[-1]]
        todo.extend(children.get(todo.pop(), []))
    return found


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)
