"""Whatever strangers put into events and names, the terminal is sent no character that it would obey."""

import unicodedata
import uuid
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from tests import hostile
from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import INSTALLED, kcat_publish, managed, run
from tests.e2e.terminal import sent_to_terminal
from workbench.decode import ndjson
from workbench.model.errors import FormatError

OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")


def obeyed(received: bytes) -> set[str]:
    """The characters among those received that terminals act on; the terminal's own line ends are none of ours."""
    text = received.replace(b"\r\n", b"").decode()
    return {character for character in text if unicodedata.category(character) in OBEYED}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus as NDJSON; what cannot even be written as a line is left out."""
    file = tmp_path_factory.mktemp("hostile") / "lines"
    written = []
    for _, delivery in hostile.deliveries(huge=False):
        try:
            written.append(ndjson.encode(delivery))
        except FormatError:
            continue
    assert len(written) >= 100
    file.write_bytes(b"".join(written))
    return file


@pytest.fixture(scope="module")
def topic(kafka: KafkaAddress, lines: Path) -> str:
    name = f"hostile-{uuid.uuid4().hex[:8]}"
    kcat_publish(kafka, name, stdin=b"zero\n")
    done = run("workbench", "publish", "-c", f"k={kafka.url}", name, "--file", str(lines))
    assert done.code in (0, 3), done.err
    return name


@pytest.fixture(scope="module")
def queue(rabbitmq_4: RabbitMQAddress, lines: Path) -> Iterator[str]:
    """A queue with a hostile name, bound to an exchange with a hostile name."""
    name = f"\x1b[31mhostile\u202e\t{uuid.uuid4().hex[:8]}"
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(name, durable=True)
        channel.exchange_declare(name, "fanout")
        channel.queue_bind(name, name)
    done = run("workbench", "publish", "-c", f"r={managed(rabbitmq_4)}", f"r/{name}", "--file", str(lines))
    assert done.code in (0, 3), done.err[-2000:]
    yield name
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.queue_delete(name)
        channel.exchange_delete(name)


def test_browsing_a_topic(kafka: KafkaAddress, topic: str) -> None:
    received = sent_to_terminal("browse", "-c", f"k={kafka.url}", topic, "--from", "beginning")
    assert received.count(b"\n") > 100
    assert obeyed(received) == set()


def test_browsing_a_queue(rabbitmq_4: RabbitMQAddress, queue: str) -> None:
    received = sent_to_terminal("browse", "-c", f"r={managed(rabbitmq_4)}", f"r/{queue}", "-o", "json")
    assert received.count(b"\n") > 100
    assert obeyed(received) == set()


def test_tailing(kafka: KafkaAddress, topic: str) -> None:
    arguments = ("-c", f"k={kafka.url}", topic, "--from", "beginning", "--idle", "2")
    received = sent_to_terminal("tail", *arguments)
    assert received.count(b"\n") > 100
    assert obeyed(received) == set()


def test_listing(rabbitmq_4: RabbitMQAddress, queue: str) -> None:
    received = sent_to_terminal("ls", "-c", f"r={managed(rabbitmq_4)}", columns=200)
    assert b"hostile" in received
    assert obeyed(received) == set()


def test_browsing_a_recording(kafka: KafkaAddress, topic: str, tmp_path: Path) -> None:
    file = str(tmp_path / "hostile.db")
    done = run("workbench", "browse", "-c", f"k={kafka.url}", topic, "--from", "beginning", "--record", file)
    assert done.code == 0, done.err
    received = sent_to_terminal("browse", file, "-o", "body")
    assert received.count(b"\n") > 100
    assert obeyed(received) == set()


def test_publishing(rabbitmq_4: RabbitMQAddress, queue: str, lines: Path) -> None:
    for what in (("one",), ("--file", str(lines))):
        received = sent_to_terminal("publish", "-c", f"r={managed(rabbitmq_4)}", f"r/{queue}", *what)
        assert b"published to" in received
        assert obeyed(received) == set()


@pytest.mark.parametrize("one", [False, True])
def test_groups(kafka: KafkaAddress, topic: str, one: bool) -> None:
    name = f"\x1b[31mreaders\u202e\t{topic}"
    read = run("kcat", "-b", kafka.bootstrap, "-G", name, topic, "-c", "1", "-o", "beginning", "-q")
    assert read.code == 0, read.err
    options = ("-g", name) if one else ()
    received = sent_to_terminal("groups", "-c", f"k={kafka.url}", *options, columns=200)
    assert b"readers" in received
    assert obeyed(received) == set()


def test_expecting(kafka: KafkaAddress, topic: str, lines: Path) -> None:
    publish = (str(INSTALLED), "publish", "-c", f"k={kafka.url}", topic, "--file", str(lines), "--json")
    received = sent_to_terminal(
        *("expect", "-c", f"k={kafka.url}", topic, "-w", "type = nothing", "--timeout", "15s"),
        *("--", "sh", "-c", '"$@" > /dev/null 2>&1; true', "sh", *publish),
    )
    assert b"others did" in received
    assert obeyed(received) == set()


@pytest.mark.parametrize("command", ["browse", "tail", "publish", "ls"])
def test_a_hostile_name_that_does_not_exist(kafka: KafkaAddress, command: str) -> None:
    body = ("x",) if command == "publish" else ()
    received = sent_to_terminal(command, "-c", f"k={kafka.url}", "k/\x1b[31m\u202enot\rthere", *body)
    assert received
    assert obeyed(received) == set()
