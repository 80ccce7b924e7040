"""A replay reads its source first, gives it back, and can be stopped at any time."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pika
import pytest

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import INSTALLED, kcat_publish, managed, run
from tests.kafka.conftest import make_topic
from tests.rabbitmq.conftest import DEADLINE

COUNT = 5
MINUTES = 10
"""How far apart the events are: the first is published at once, the others later than any test waits."""


class Source:
    """What is replayed, and where to."""

    def __init__(self, connection: str, source: str, target: str, queue: str | None = None) -> None:
        self.arguments = ("replay", "-c", connection, source, target)
        self.target = ("browse", "-c", connection, target, "--json")
        self.queue = queue


@pytest.fixture
def channel(rabbitmq_4: RabbitMQAddress) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    with closing(pika.BlockingConnection(pika.URLParameters(f"{rabbitmq_4.url}?heartbeat=0"))) as connection:
        yield connection.channel()


@pytest.fixture(params=["topic", "queue", "file", "recording"])
def source(
    request: pytest.FixtureRequest,
    kafka: KafkaAddress,
    rabbitmq_4: RabbitMQAddress,
    channel: pika.adapters.blocking_connection.BlockingChannel,
    tmp_path: Path,
) -> Iterator[Source]:
    name, target = f"replay-{uuid4().hex[:8]}", f"target-{uuid4().hex[:8]}"
    begin = int(time.time()) - 3_600
    if request.param == "queue":
        for queue in (name, target):
            channel.queue_declare(queue, durable=True)
        for number in range(COUNT):
            properties = pika.BasicProperties(timestamp=begin + number * MINUTES * 60)
            channel.basic_publish("", name, b"%d" % number, properties)
        yield Source(f"r={managed(rabbitmq_4)}", f"r/{name}", f"r/{target}", name)
        for queue in (name, target):
            channel.queue_delete(queue)
        return
    connection = f"k={kafka.url}"
    kcat_publish(kafka, target, stdin=b"before\n")
    lines = tmp_path / "lines.ndjson"
    moments = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin + n * MINUTES * 60)) for n in range(COUNT))
    lines.write_text("".join(f'{{"body":"{number}","time":"{moment}"}}\n' for number, moment in enumerate(moments)))
    if request.param == "file":
        yield Source(connection, str(lines), f"k/{target}")
        return
    name = asyncio.run(make_topic(kafka.bootstrap)).name
    done = run("workbench", "publish", "-c", connection, f"k/{name}", "--file", str(lines))
    assert done.code == 0, done.err
    if request.param == "recording":
        recording = str(tmp_path / "recording.db")
        done = run(
            "workbench", "browse", "-c", connection, f"k/{name}", "--from", "beginning", 
            "--record", recording,
        )  # fmt: skip
        assert done.code == 0, done.err
        yield Source(connection, recording, f"k/{target}")
    else:
        yield Source(connection, f"k/{name}", f"k/{target}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_replay_that_waits_holds_nothing_and_stops_quietly(
    source: Source, channel: pika.adapters.blocking_connection.BlockingChannel, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [INSTALLED, *source.arguments, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        try:
            # The first event is published, and the second is a long way off.
            assert '"sequence":0' in process.stdout.readline()
            if source.queue is not None:
                assert channel.queue_declare(source.queue, passive=True).method.message_count == COUNT
            process.send_signal(number)
            out, err = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert out == ""
    *said, last = err.splitlines()
    assert last == "Stopped: 1 published, 0 refused."
    assert not any(line.startswith((" ", "Traceback", "Task", "workbench:")) for line in said), err
    if source.queue is not None:
        assert channel.queue_declare(source.queue, passive=True).method.message_count == COUNT


def test_events_older_than_their_topic_keeps_any_are_told_of(kafka: KafkaAddress, tmp_path: Path) -> None:
    address = asyncio.run(make_topic(kafka.bootstrap, retention_ms="1800000"))
    moments = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago)) for ago in (3_600, 60))
    lines = tmp_path / "lines.ndjson"
    lines.write_text("".join(f'{{"body":"b","time":"{moment}"}}\n' for moment in moments))
    done = run("workbench", "replay", "-c", f"k={kafka.url}", str(lines), f"k/{address.name}", "--speed", "1000000")
    assert done.code == 0, done.err
    assert f"k/{address.name} keeps events for 30 m 0 s by their own times: older ones may soon be deleted." in done.err


def test_a_queue_says_what_the_look_costs_before(
    rabbitmq_4: RabbitMQAddress, channel: pika.adapters.blocking_connection.BlockingChannel
) -> None:
    name = f"replay-{uuid4().hex[:8]}"
    for queue in (name, f"{name}-to"):
        channel.queue_declare(queue, durable=True)
    try:
        for number in range(3_000):
            channel.basic_publish("", name, b"%d" % number)
        done = run("workbench", "replay", "-c", f"r={managed(rabbitmq_4)}", name, f"{name}-to", "--rate", "1000000")
        assert done.code == 0, done.err
        price, covered, *_, published = done.err.splitlines()
        assert "redelivered" in price
        assert "3,000 read" in covered
        assert published == "3,000 published, 0 refused."
        seen = [body for _, _, body in (channel.basic_get(f"{name}-to", auto_ack=True) for _ in range(3_000))]
        assert seen == [b"%d" % number for number in range(3_000)]
        assert channel.queue_declare(name, passive=True).method.message_count == 3_000
    finally:
        for queue in (name, f"{name}-to"):
            channel.queue_delete(queue)
