"""Recordings on the command line: what was shown can be browsed and replayed without its broker."""

import os
import resource
import signal
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import INSTALLED, kcat_publish, managed, run

EVENTS = [f'{{"id":{number},"parity":"{"odd" if number % 2 else "even"}"}}' for number in range(20)]


@pytest.fixture
def topic(kafka: KafkaAddress) -> str:
    name = f"recordings-{uuid.uuid4().hex[:8]}"
    lines = "".join(f"{number}|{body}\n" for number, body in enumerate(EVENTS))
    kcat_publish(kafka, name, "-K", "|", stdin=lines.encode())
    return name


@pytest.fixture
def queue(rabbitmq_4: RabbitMQAddress) -> Iterator[str]:
    name = f"recordings-{uuid.uuid4().hex[:8]}"
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(name, durable=True)
        channel.exchange_declare(name, "fanout")
        channel.queue_bind(name, name)
    yield name
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.queue_delete(name)
        channel.exchange_delete(name)


@pytest.fixture
def recording(kafka: KafkaAddress, topic: str, tmp_path: Path) -> Path:
    file = tmp_path / "shop.db"
    assert run("workbench", "browse", "-c", f"k={kafka.url}", topic, "--record", str(file)).code == 0
    return file


def test_a_recording_shows_what_was_browsed_without_the_broker(
    kafka: KafkaAddress, topic: str, recording: Path
) -> None:
    live = run("workbench", "browse", "-c", f"k={kafka.url}", topic)
    kept = run("workbench", "browse", str(recording))
    assert (kept.code, kept.err) == (0, f"{recording}: 20 read\n")
    assert [record["body"] for record in kept.records] == [record["body"] for record in live.records]
    assert {record["address"] for record in kept.records} == {f"k/{topic}"}
    assert oct(recording.stat().st_mode)[-3:] == "600"
    assert [path.name for path in recording.parent.iterdir()] == ["shop.db"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["-w", "body.parity = odd and body.id > 15"], [17, 19]),
        (["-n", "2"], [18, 19]),
        (["-n", "2", "-w", "body.parity = even"], [16, 18]),
        (["-n", "2", "--until", "2090-01-01T00:00"], [18, 19]),
        (["-n", "2", "--from", "beginning"], [0, 1]),
        (["-n", "1000"], list(range(20))),
        (["--from", "end-3"], [17, 18, 19]),
        (["--from", "end-3", "-w", "body.parity = even"], [18]),
        (["--from", "end-0"], []),
        (["--from", "-1h", "-n", "1"], [0]),
        (["--from", "2090-01-01T00:00"], []),
        (["--until", "2020-01-01T00:00"], []),
    ],
)
def test_a_recording_is_selected_from_as_a_broker_is(recording: Path, options: list[str], found: list[int]) -> None:
    done = run("workbench", "browse", str(recording), *options)
    assert done.code == 0, done.err
    assert [record["body"]["json"]["id"] for record in done.records] == found


def test_the_newest_of_several_recordings_are_counted_together(recording: Path) -> None:
    copy = recording.with_name("copy.db")
    copy.write_bytes(recording.read_bytes())
    done = run("workbench", "browse", str(recording), str(copy), "-n", "3")
    assert (len(done.records), done.records[-1]["body"]["json"]["id"]) == (3, 19)
    alone = run("workbench", "browse", str(recording), "-n", "2")
    assert alone.err == f"{recording}: 2 of 20 read\n"


def test_only_what_is_shown_is_recorded(kafka: KafkaAddress, topic: str, tmp_path: Path) -> None:
    config = tmp_path / "masked.toml"
    config.write_text('masks = ["body.parity"]')
    file = tmp_path / "odd"
    recorded = run(
        *("workbench", "browse", "-c", f"k={kafka.url}", topic, "--config", str(config)),
        *("-w", "body.id in (1, 2)", "--record", str(file)),
    )
    kept = run("workbench", "browse", str(file))
    assert kept.out == recorded.out
    assert [record["body"]["json"]["id"] for record in kept.records] == [1, 2]
    assert "odd" not in kept.out
    assert b'"odd"' not in file.read_bytes()


def test_a_recorded_tail_of_both_brokers_is_replayed_to_another(
    kafka: KafkaAddress, rabbitmq_4: RabbitMQAddress, topic: str, queue: str, tmp_path: Path
) -> None:
    file = tmp_path / "both.db"
    connections = ("-c", f"k={kafka.url}", "-c", f"r={managed(rabbitmq_4)}")
    command = [str(INSTALLED), "tail", *connections, f"k/{topic}", f"r/exchange:{queue}", "--record", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tail:
        try:
            assert tail.stderr and tail.stderr.readline().startswith(b"tailing ")
            assert run("workbench", "publish", *connections, f"k/{topic}", "first", "-k", "one").code == 0
            assert tail.stdout and b"first" in tail.stdout.readline()
            assert run("workbench", "publish", *connections, f"r/exchange:{queue}", "second", "-H", "a=1").code == 0
            assert b"second" in tail.stdout.readline()
            tail.send_signal(signal.SIGINT)
            assert tail.wait(30) == 130
        finally:
            tail.kill()
    kept = run("workbench", "browse", str(file))
    assert [(record["address"], record["body"]) for record in kept.records] == [
        (f"k/{topic}", {"text": "first"}),
        (f"r/exchange:{queue}", {"text": "second"}),
    ]
    done = run("workbench", "replay", *connections, str(file), f"k/{topic}", "--speed", "1000")
    assert (done.code, done.err) == (0, "2 published, 0 refused.\n")
    bodies = run("workbench", "browse", *connections, f"k/{topic}", "--from", "end-2", "-o", "body").out
    assert bodies == "first\nsecond\n"


def test_a_recording_of_a_recording_is_a_part_of_it(recording: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.db"
    assert run("workbench", "browse", str(recording), "-w", "body.id < 3", "--record", str(part)).code == 0
    assert [record["body"]["json"]["id"] for record in run("workbench", "browse", str(part)).records] == [0, 1, 2]


def test_a_recording_never_takes_the_place_of_a_file(kafka: KafkaAddress, topic: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    done = run("workbench", "browse", "-c", f"k={kafka.url}", topic, "--record", str(tmp_path / "mine"))
    assert (done.code, done.out) == (1, "")
    assert done.err == f"workbench: {tmp_path / 'mine'} already exists: choose another name.\n"
    assert (tmp_path / "mine").read_text() == "mine"


def test_an_address_that_does_not_exist_leaves_no_recording(kafka: KafkaAddress, tmp_path: Path) -> None:
    for command in ("browse", "tail"):
        file = tmp_path / command
        done = run("workbench", command, "-c", f"k={kafka.url}", "not-there", "--record", str(file))
        assert (done.code, file.exists()) == (1, False), done.err


def newer(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 65536)


def other(file: Path) -> None:
    file.write_text("a text, whatever its name says")


def gone(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (newer, "is a recording of a newer version of this program"),
        (cut, "is damaged"),
        (other, "is not a recording"),
        (gone, "There is no file"),
    ],
)
@pytest.mark.parametrize("command", ["browse", "replay"])
def test_a_file_that_cannot_be_played_is_one_sentence(
    kafka: KafkaAddress, topic: str, recording: Path, spoil: object, said: str, command: str
) -> None:
    assert callable(spoil)
    spoil(recording)
    # Two connections: with one, a name that is no file is an endpoint's.
    connections = ("-c", f"k={kafka.url}", "-c", "m=memory://empty")
    target = (f"k/{topic}", "--rate", "1000") if command == "replay" else ()
    done = run("workbench", command, *connections, str(recording), *target)
    assert done.code in (1, 2)
    assert done.out == ""
    assert [line for line in done.err.splitlines() if line.startswith("workbench: ")] == done.err.splitlines()[-1:]
    assert said in done.err
    assert "Traceback" not in done.err
    depths = run("workbench", "ls", "-c", f"k={kafka.url}", topic).records
    assert [record["depth"] for record in depths] == [20]


@pytest.mark.parametrize("start", ["latest", "0:3", "group:x"])
def test_a_recording_has_no_groups_and_no_partitions_to_start_from(recording: Path, start: str) -> None:
    done = run("workbench", "browse", str(recording), "--from", start)
    assert (done.code, done.out) == (2, "")
    assert "is read from its beginning" in done.err


def test_nothing_arrives_in_a_recording(recording: Path) -> None:
    done = run("workbench", "tail", str(recording))
    assert (done.code, done.out) == (2, "")
    assert "nothing arrives" in done.err


def test_a_full_disk_under_a_recording_is_one_sentence(kafka: KafkaAddress, topic: str, tmp_path: Path) -> None:
    lines = b"".join(b"%0300d\n" % number for number in range(10_000))
    kcat_publish(kafka, topic, stdin=lines)
    file = tmp_path / "large.db"
    command = [str(INSTALLED), "browse", "-c", f"k={kafka.url}", topic, "--from", "beginning", "--record", str(file)]
    done = subprocess.run(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000)),
    )
    assert done.returncode == 1
    said = done.stderr.decode().splitlines()
    assert said[-1].startswith(f"workbench: There is no space to store more events in {tmp_path}: free some")
    assert len([line for line in said if line.startswith("workbench: ")]) == 1
    kept = run("workbench", "browse", str(file), "-o", "body")
    assert kept.code == 0
    assert kept.out.splitlines()[:20] == EVENTS


def test_damaged_events_are_left_out_of_a_replay(kafka: KafkaAddress, topic: str, recording: Path) -> None:
    with sqlite3.connect(recording) as database:
        database.execute("UPDATE batches SET deliveries = zeroblob(length(deliveries))")
    database.close()
    done = run("workbench", "replay", "-c", f"k={kafka.url}", str(recording), f"k/{topic}", "--rate", "1000")
    assert done.code == 3
    assert "Left out: 20 damaged events." in done.err
    depths = run("workbench", "ls", "-c", f"k={kafka.url}", topic).records
    assert [record["depth"] for record in depths] == [20]
