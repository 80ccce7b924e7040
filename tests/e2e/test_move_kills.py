"""Moves from and to Kafka whose program is killed at each step: what a reader of the target has in the end."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import DEADLINE, INSTALLED, managed, run
from tests.e2e.killed import STEPS, WINDOW
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import publish
from tests.kafka.test_moving import dead, seen_by_others
from workbench.model.address import Address
from workbench.operations.journal.records import find_journal, read_entries, records

KILLS: Final = [("journal", "before"), ("settle", "before"), *((step, "after") for step in STEPS)]
COUNT: Final = 1_000


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, for this program and for those that it starts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def two_topics(kafka: KafkaAddress, count: int) -> tuple[Address, Address]:
    """An origin, and a topic that holds so many of its dead letters."""

    async def make() -> tuple[Address, Address]:
        origin, source = await make_topic(kafka.bootstrap, 2), await make_topic(kafka.bootstrap, 3)
        async with connect(kafka.url) as connector:
            await publish(connector, source, [dead(number, origin.name, number % 2) for number in range(count)])
        return origin, source

    return asyncio.run(make())


def killed_at_each_step(move: list[str], connections: list[str]) -> str:
    """Move, and go on, each killed at the next step in its second window; returns the operation's id."""
    arguments = move
    for step, when in KILLS:
        done = run(sys.executable, "-m", "tests.e2e.killed", step, when, "2", *arguments)
        assert done.code == -signal.SIGKILL, (step, when, done)
        [record] = records()[0]
        assert record.state == "interrupted"
        arguments = ["journal", "resume", record.operation.id, *connections]
    return record.operation.id


def test_killed_at_each_step_kafka_to_kafka_is_exactly_once(kafka: KafkaAddress) -> None:
    origin, source = two_topics(kafka, COUNT)
    connections = ["-c", f"kafka={kafka.url}", "--guard", "move"]
    id = killed_at_each_step(["move", source.name, "--yes", *connections], connections)
    done = run("workbench", "journal", "resume", id, *connections)
    assert done.code == 0, done
    assert (done.records[0]["copied"], done.records[0]["twice"]) == (COUNT, 0)
    found = asyncio.run(seen_by_others(kafka, origin, COUNT))
    assert sorted(json.loads(each.value)["n"] for each in found) == list(range(COUNT))


@contextmanager
def a_queue(broker: RabbitMQAddress) -> Iterator[tuple[BlockingChannel, str]]:
    """A queue of the test's own, and a channel to look at it."""
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        name = f"move-kills-{uuid4().hex[:8]}"
        channel.queue_declare(name, durable=True)
        try:
            yield channel, name
        finally:
            channel.queue_delete(name)


def drained(channel: BlockingChannel, queue: str) -> list[tuple[int, str]]:
    """The number and the stamp of all that a queue holds, which is empty then."""
    found = []
    while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
        _, properties, body = got
        found.append((json.loads(body)["n"], str((properties.headers or {}).get("workbench-move"))))
    return found


def named_as_doubtful(id: str) -> set[str]:
    """The stamps of what the target may have twice, as the journal has it."""
    return {f"{id}/{each.sequence}" for each in read_entries(find_journal(id)) if each.twice}


def test_killed_at_each_step_kafka_to_rabbitmq_loses_nothing_and_names_what_may_be_there_twice(
    kafka: KafkaAddress, rabbitmq_4: RabbitMQAddress
) -> None:
    _, source = two_topics(kafka, COUNT)
    with a_queue(rabbitmq_4) as (channel, target):
        connections = ["-c", f"kafka={kafka.url}", "-c", f"rabbit={managed(rabbitmq_4)}", "--guard", "move"]
        move = ["move", str(source), f"rabbit/{target}", "--yes", *connections]
        id = killed_at_each_step(move, connections)
        done = run("workbench", "journal", "resume", id, *connections)
        assert done.code == 0, done
        assert done.records[0]["copied"] == COUNT
        found = drained(channel, target)
    assert {number for number, _ in found} == set(range(COUNT))
    twice = {stamp for stamp, count in Counter(stamp for _, stamp in found).items() if count > 1}
    assert twice <= named_as_doubtful(id)
    assert len(found) - COUNT <= len(KILLS) * 3 * WINDOW


def test_killed_at_each_step_rabbitmq_to_kafka_loses_nothing_and_names_what_may_be_there_twice(
    kafka: KafkaAddress, rabbitmq_4: RabbitMQAddress
) -> None:
    target = asyncio.run(make_topic(kafka.bootstrap, 2))
    with a_queue(rabbitmq_4) as (channel, source):
        for number in range(COUNT):
            channel.basic_publish("", source, b'{"n":%d}' % number, pika.BasicProperties(delivery_mode=2))
        connections = ["-c", f"kafka={kafka.url}", "-c", f"rabbit={managed(rabbitmq_4)}", "--guard", "move"]
        id = killed_at_each_step(["move", f"rabbit/{source}", str(target), "--yes", *connections], connections)
        done = run("workbench", "journal", "resume", id, *connections)
        assert done.code == 0, done
        assert done.records[0]["moved"] == COUNT
        assert drained(channel, source) == []
    found = asyncio.run(seen_by_others(kafka, target))
    assert {json.loads(each.value)["n"] for each in found} == set(range(COUNT))
    stamps = Counter(dict(each.headers)["workbench-move"].decode() for each in found)
    assert {stamp for stamp, count in stamps.items() if count > 1} <= named_as_doubtful(id)


def test_killed_at_random_kafka_to_kafka_is_exactly_once(kafka: KafkaAddress) -> None:
    killed_at_random(kafka, random.Random(), kills=4, count=4_000)


def killed_at_random(kafka: KafkaAddress, chance: random.Random, kills: int, count: int) -> None:
    """Kill a move so often, each time some moments after it has gone on, and see each message once on the target."""
    origin, source = two_topics(kafka, count)
    connections = ["-c", f"kafka={kafka.url}", "--guard", "move"]
    arguments = ["move", source.name, "--yes", "--rate", str(max(count // kills, 1_000)), *connections]
    for _ in range(kills):
        noted = journalled()
        with subprocess.Popen([INSTALLED, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            end = time.monotonic() + DEADLINE
            while journalled() == noted and process.poll() is None:
                assert time.monotonic() < end
                time.sleep(0.01)
            time.sleep(chance.random() / 10)
            process.kill()
        [record] = records()[0]
        arguments = ["journal", "resume", record.operation.id, *connections]
    done = run("workbench", "journal", "resume", record.operation.id, *connections)
    assert done.code == 0, done
    found = asyncio.run(seen_by_others(kafka, origin, count))
    assert sorted(json.loads(each.value)["n"] for each in found) == list(range(count))


def journalled() -> int:
    """How many messages there are in the one journal."""
    return sum(record.counts.total for record in records()[0])
