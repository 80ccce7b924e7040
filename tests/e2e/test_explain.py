"""`workbench explain` on real brokers, on lines, and on what strangers wrote."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from tests import hostile
from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import kcat_publish, managed, run
from tests.e2e.terminal import sent_to_terminal
from tests.e2e.test_hostile import obeyed
from workbench.decode import ndjson
from workbench.model.errors import FormatError

CONFIG = """
[[conventions]]
name = "ours"
correlation = { at = "header.chain", path = "0" }
causation = { at = "header.chain", path = "-1" }
"""


@pytest.fixture
def topic(kafka: KafkaAddress) -> str:
    name = f"explain-{uuid.uuid4().hex[:8]}"
    kcat_publish(kafka, name, "-p", "0", "-H", "correlation_id=first", stdin=b"zero\n")
    kcat_publish(kafka, name, "-p", "0", "-H", 'chain=["root", "parent"]', stdin=b"one\n")
    return name


@pytest.fixture
def queue(rabbitmq_4: RabbitMQAddress) -> Iterator[str]:
    name = f"explain-{uuid.uuid4().hex[:8]}"
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(name, durable=True)
        properties = pika.BasicProperties(headers={"chain": ["root", "parent"]}, message_id="m-1")
        channel.basic_publish("", name, b"{}", properties)
    yield name
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        connection.channel().queue_delete(name)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "workbench.toml"
    file.write_text(CONFIG)
    return file


def test_an_event_of_a_topic_is_explained_by_its_position(kafka: KafkaAddress, topic: str) -> None:
    done = run("workbench", "explain", "-c", f"k={kafka.url}", topic, "0:0", "-o", "table")
    assert done.code == 0, done.err
    assert done.out.splitlines()[1].split() == ["correlation", "first", "headers:", "header.correlation_id"]


def test_a_list_that_is_json_in_a_header_is_read_by_the_users_convention(
    kafka: KafkaAddress, topic: str, config: Path
) -> None:
    done = run("workbench", "explain", "--config", str(config), "-c", f"k={kafka.url}", topic, "0:1", "--json")
    assert [(each["fact"], each["value"], each["convention"]) for each in done.records] == [
        ("correlation", "root", "ours"),
        ("causation", "parent", "ours"),
    ]


def test_a_header_that_no_convention_reads_is_shown(kafka: KafkaAddress, topic: str) -> None:
    done = run("workbench", "explain", "-c", f"k={kafka.url}", topic, "0:1", "-o", "table")
    assert done.out.startswith("No convention says anything about this event.\n")
    assert '["root", "parent"]' in done.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("position", "code", "said"),
    [("0:9", 1, "there is no 9"), ("first", 2, "partition:offset (3:1200)"), (None, 2, "Say which event")],
)
def test_a_position_at_which_no_event_is_says_so(
    kafka: KafkaAddress, topic: str, position: str | None, code: int, said: str
) -> None:
    done = run("workbench", "explain", "-c", f"k={kafka.url}", topic, *([position] if position else []))
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_a_queue_whose_browsing_costs_is_not_touched_and_a_line_of_it_is_explained(
    rabbitmq_4: RabbitMQAddress, queue: str, config: Path
) -> None:
    connection = ("-c", f"r={managed(rabbitmq_4)}")
    refused = run("workbench", "explain", *connection, queue, "1")
    assert refused.code == 2
    assert "explain a line of that" in refused.err
    browsed = run("workbench", "browse", *connection, queue, "--json")
    assert browsed.records[0]["redelivered"] is False
    done = run("workbench", "explain", "--config", str(config), "-", "--json", stdin=browsed.out.encode())
    assert ("causation", "parent") in [(each["fact"], each["value"]) for each in done.records]


def test_a_line_of_a_file_and_an_event_of_a_recording_are_counted_from_1(
    kafka: KafkaAddress, topic: str, tmp_path: Path
) -> None:
    lines, recording = tmp_path / "lines", tmp_path / "seen.db"
    browse = ("workbench", "browse", "-c", f"k={kafka.url}", topic)
    lines.write_text(run(*browse, "--json", "--record", str(recording)).out)
    for place in (lines, recording):
        first = run("workbench", "explain", str(place), "--json")
        assert [(each["fact"], each["value"]) for each in first.records] == [("correlation", "first")]
        second = run("workbench", "explain", str(place), "2", "--json")
        assert [(each["fact"], each["place"]) for each in second.records] == [(None, "header.chain")]
        assert run("workbench", "explain", str(place), "3").err == f"workbench: There is no event 3 in {place}.\n"
        assert run("workbench", "explain", str(place), "0").code == 2


def test_a_convention_with_a_wrong_path_is_refused_with_file_and_key(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(CONFIG.replace('"-1"', '"ids[0]"'))
    done = run("workbench", "explain", "--config", str(file), '{"body":null}')
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"workbench: {file}: The convention 'ours' cannot be used: its 'causation' has a step with brackets: write"
        " items.0.id, and items.-1.id for the last.\n"
    )


def test_what_is_masked_is_masked_here_too(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('masks = ["header.secret", "header.correlation_id"]')
    line = '{"body":null,"headers":[["secret","4711-0815"],["correlation_id","flow-12"]]}'
    done = run("workbench", "explain", "--config", str(file), line)
    assert "4711" not in done.out
    assert "flow" not in done.out
    assert [each["place"] for each in done.records] == ["header.correlation_id", "header.secret"]


def test_nothing_that_a_stranger_wrote_is_obeyed(tmp_path: Path) -> None:
    lines = []
    for _, delivery in hostile.deliveries(huge=False):
        try:
            lines.append(ndjson.encode(delivery))
        except FormatError:
            continue
    file = tmp_path / "lines"
    # Three dozen of them, for each is a command.
    for number, line in enumerate(lines[:: len(lines) // 36]):
        file.write_bytes(line)
        for output in ("table", "json") if number % 6 == 0 else ("table",):
            received = sent_to_terminal("explain", str(file), "-o", output)
            assert received or output == "json"
            assert b"failed unexpectedly" not in received
            assert obeyed(received) == set()
