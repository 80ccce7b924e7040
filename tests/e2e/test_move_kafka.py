"""`workbench move` on Kafka and between brokers, as a user and a script run it."""

import asyncio
import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import DEADLINE, INSTALLED, managed, run
from tests.e2e.test_move_kills import a_queue, drained, two_topics
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import publish
from tests.kafka.test_moving import dead, seen_by_others
from workbench.model.address import Address
from workbench.operations.journal.records import records


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, for this program and for those that it starts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def count_at(kafka: KafkaAddress, topic: Address) -> int:
    """How many events a reader of what is committed has."""
    return len(asyncio.run(seen_by_others(kafka, topic)))


def test_neither_a_dry_run_nor_a_missing_yes_nor_a_guard_changes_anything(kafka: KafkaAddress, tmp_path: Path) -> None:
    origin, source = two_topics(kafka, 5)
    move = ("move", source.name, "-c", f"kafka={kafka.url}", "--guard", "move")
    dry = run("workbench", *move, "--dry-run")
    assert (dry.code, dry.records[0]["moving"], dry.records[0]["guarantee"]) == (0, 5, "exactly once")
    unasked = run("workbench", *move)
    assert (unasked.code, unasked.err) == (2, "Nothing was changed: add --yes to go on.\n")
    guarded = run("workbench", *move, "--yes", "--guard", "publish")
    assert guarded.code == 1 and "needs 'move'" in guarded.err
    config = tmp_path / "workbench.toml"
    config.write_text(f'[connections.live]\nurl = "{kafka.url}"\nguard = "move"\nproduction = true\n')
    produced = run("workbench", "move", f"live/{source.name}", "--yes", "--config", str(config))
    assert produced.code == 1 and "needs its name to be typed, or --confirm live" in produced.err
    assert (records(), count_at(kafka, origin)) == (([], []), 0)
    confirmed = run("workbench", "move", f"live/{source.name}", "--yes", "--config", str(config), "--confirm", "live")
    assert (confirmed.code, count_at(kafka, origin)) == (0, 5)


def test_exit_codes_say_how_much_was_done(kafka: KafkaAddress) -> None:
    origin, source = two_topics(kafka, 5)
    connection = ("-c", f"kafka={kafka.url}", "--guard", "move")
    assert run("workbench", "move", source.name, "--yes", "-w", "body.n = 99", *connection).code == 4
    assert run("workbench", "move", f"{source.name}-not", "--yes", *connection).code == 1
    assert run("workbench", "move", source.name, "--yes", "-w", "what is (", *connection).code == 2
    assert run("workbench", "move", "--yes", *connection).code == 2

    async def add_what_cannot_go() -> None:
        async with connect(kafka.url) as connector:
            await publish(connector, source, [dead(5, f"{origin.name}-that-was")])

    asyncio.run(add_what_cannot_go())
    partly = run("workbench", "move", source.name, "--yes", *connection)
    assert (partly.code, partly.records[-1]["copied"], partly.records[-1]["stay"]) == (3, 5, 1)
    assert "which is not there" in partly.err


def test_a_plan_is_kept_in_a_file_and_run_later(kafka: KafkaAddress, tmp_path: Path) -> None:
    origin, source = two_topics(kafka, 5)
    connection, file = ("-c", f"kafka={kafka.url}", "--guard", "move"), tmp_path / "plan.json"
    planned = run("workbench", "move", source.name, "--plan", str(file), *connection)
    assert planned.code == 0 and file.stat().st_mode & 0o777 == 0o600
    assert count_at(kafka, origin) == 0
    elsewhere = run(
        "workbench", "move", "--plan", str(file), "--yes", "-c", "kafka=kafka://127.0.0.1:1", "--guard", "move"
    )
    assert elsewhere.code == 1 and "The plan no longer fits: kafka leads elsewhere now" in elsewhere.err
    for option in (("-n", "1"), ("--canary",), ("--rate", "1"), ("-H", "a=b")):
        refused = run("workbench", "move", "--plan", str(file), "--yes", *option, *connection)
        assert refused.code == 2 and "is decided by the plan" in refused.err
    assert count_at(kafka, origin) == 0
    done = run("workbench", "move", "--plan", str(file), "--yes", *connection)
    assert (done.code, done.records[-1]["copied"], count_at(kafka, origin)) == (0, 5, 5)
    assert f"Planned by {json.loads(planned.out)['by']} " in done.err
    plan = json.loads(file.read_text())
    plan["plan"]["ends"] = {each: "1000" for each in plan["plan"]["ends"]}
    plan["plan"]["id"] = "0123456789ab"
    file.write_text(json.dumps(plan))
    shrunk = run("workbench", "move", "--plan", str(file), "--yes", *connection)
    assert shrunk.code == 1 and "ends earlier now" in shrunk.err
    file.write_text("{}")
    assert run("workbench", "move", "--plan", str(file), "--yes", *connection).code == 1


def test_ctrl_c_ends_it_after_the_messages_in_hand_and_resume_finishes(kafka: KafkaAddress) -> None:
    origin, source = two_topics(kafka, 1_500)
    connection = ("-c", f"kafka={kafka.url}", "--guard", "move")
    arguments = ("move", source.name, "--yes", "--rate", "500", *connection)
    with subprocess.Popen(
        [INSTALLED, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        end = time.monotonic() + DEADLINE
        while not sum(record.counts.total for record in records()[0]):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.02)
        # It is running, however long the others take.
        process.send_signal(signal.SIGSTOP)
        again = run("workbench", "move", source.name, "--dry-run", *connection)
        assert any("on the same source is running" in each for each in again.records[0]["warnings"])
        [record] = records()[0]
        taken = run("workbench", "journal", "resume", record.operation.id, *connection)
        assert taken.code == 1 and "is running" in taken.err
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=DEADLINE)
    stopped = json.loads(out.splitlines()[-1])
    assert (process.returncode, stopped["state"], stopped["open"]) == (130, "stopped", 0)
    assert count_at(kafka, origin) == stopped["copied"] < 1_500
    done = run("workbench", "journal", "resume", record.operation.id, *connection)
    assert (done.code, done.records[0]["copied"], count_at(kafka, origin)) == (0, 1_500, 1_500)


def test_what_a_queue_cannot_hold_stays_and_what_changes_is_said_before(
    kafka: KafkaAddress, rabbitmq_4: RabbitMQAddress
) -> None:
    async def make() -> Address:
        source = await make_topic(kafka.bootstrap, 1)
        async with connect(kafka.url) as connector:
            letters = [dead(number, "gone", body=None if number == 2 else b"") for number in range(4)]
            await publish(connector, source, letters)
        return source

    source = asyncio.run(make())
    with a_queue(rabbitmq_4) as (channel, target):
        connections = ("-c", f"kafka={kafka.url}", "-c", f"rabbit={managed(rabbitmq_4)}", "--guard", "move")
        done = run("workbench", "move", str(source), f"rabbit/{target}", "--yes", *connections)
        plan, ended = done.records
        assert plan["guarantee"] == "at least once"
        assert any("keeps no keys" in each for each in plan["targets"][0]["changes"])
        assert "its body is null, which RabbitMQ does not have" in plan["stays"][0]["reason"]
        assert (done.code, ended["copied"], ended["stay"]) == (3, 3, 1)
        assert [number for number, _ in drained(channel, target)] == [0, 1, 3]


def test_a_stream_is_copied_and_what_was_copied_is_left_out(kafka: KafkaAddress, rabbitmq_4: RabbitMQAddress) -> None:
    target = asyncio.run(make_topic(kafka.bootstrap, 1))
    with a_queue(rabbitmq_4) as (channel, name):
        stream = f"{name}-stream"
        channel.queue_declare(stream, durable=True, arguments={"x-queue-type": "stream"})
        try:
            for number in range(60):
                channel.basic_publish("", stream, b'{"n":%d}' % number)
            connections = ("-c", f"kafka={kafka.url}", "-c", f"rabbit={managed(rabbitmq_4)}", "--guard", "move")
            move = ("move", f"rabbit/{stream}", str(target), "--yes", *connections)
            first = run("workbench", *move, "-n", "25", "--canary", "--watch", "0.1")
            assert (first.code, first.records[-1]["copied"]) == (0, 25)
            second = run("workbench", *move)
            assert second.code == 0
            assert (second.records[0]["moved_before"], second.records[-1]["copied"]) == (25, 35)
        finally:
            channel.queue_delete(stream)
    found = asyncio.run(seen_by_others(kafka, target, 60))
    assert [json.loads(each.value)["n"] for each in found] == list(range(60))


def test_a_broker_inside_the_program_is_another_one_in_the_next(tmp_path: Path) -> None:
    shop = ("-c", "kafka=demo://shop/kafka?seed=7&pace=0")
    first = run("workbench", "move", "payments-dlt", "--yes", *shop)
    assert (first.code, first.records[0]["guarantee"]) == (0, "exactly once")
    second = run("workbench", "move", "payments-dlt", "--dry-run", *shop)
    assert (second.records[0]["moving"], second.records[0]["moved_before"]) == (first.records[-1]["copied"], 0)
    file = tmp_path / "plan.json"
    run("workbench", "move", "payments-dlt", "--plan", str(file), *shop)
    later = run("workbench", "move", "--plan", str(file), "--yes", *shop)
    assert later.code == 1
    assert "demo://shop/kafka was a broker of another program, and ended with it" in later.err
