"""Moves from and to Kafka whose program is killed at each step: what a reader of the target has in the end."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.brokers.kafka import KafkaAddress
from tests.e2e.command import run
from tests.e2e.killed import STEPS
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import publish
from tests.kafka.test_moving import dead, seen_by_others
from workbench.model.address import Address
from workbench.operations.journal.journal import records

KILLS: Final = [(step, when) for step in STEPS for when in ("before", "after")]
COUNT: Final = 2_500


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
    connections = ["-c", f"kafka={kafka.url}"]
    id = killed_at_each_step(["move", source.name, "--yes", *connections], connections)
    done = run("workbench", "journal", "resume", id, *connections)
    assert done.code == 0, done
    assert (done.records[0]["copied"], done.records[0]["twice"]) == (COUNT, 0)
    found = asyncio.run(seen_by_others(kafka, origin, COUNT))
    assert sorted(json.loads(each.value)["n"] for each in found) == list(range(COUNT))
