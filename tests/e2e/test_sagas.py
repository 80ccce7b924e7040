"""`workbench sagas` on the demo's shop and on a real broker."""

import json
import time
import uuid
from pathlib import Path

import pika

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import kcat_publish, managed, run
from tests.e2e.terminal import sent_to_terminal
from tests.e2e.test_hostile import obeyed

DEMO = ("-c", "kafka=demo://shop/kafka?seed=7&pace=0")


def published(kafka: KafkaAddress, topic: str, flows: dict[str, tuple[str, ...]]) -> None:
    begun = round(time.time() * 1000) - 600_000
    lines = [
        json.dumps({"body": {"json": {"type": type}}, "headers": [["correlation_id", id]], "time": begun + 100 * step})
        for id, types in flows.items()
        for step, type in enumerate(types)
    ]
    done = run("workbench", "publish", "-c", f"k={kafka.url}", topic, "--file", "-", stdin="\n".join(lines).encode())
    assert done.code == 0, done.err


def test_a_flow_on_kafka_that_does_not_go_on_is_listed(kafka: KafkaAddress) -> None:
    topic = f"sagas-{uuid.uuid4().hex[:8]}"
    kcat_publish(kafka, topic, "-K", ":", stdin=b"k:none\n")
    whole = {f"flow-{number}": ("Placed", "Paid", "Shipped") for number in range(9)}
    published(kafka, topic, {**whole, "flow-stuck\x1b[2J": ("Placed", "Paid")})
    arguments = ("-c", f"k={kafka.url}", topic)
    done = run("workbench", "sagas", *arguments)
    path, saga = done.records
    assert [step["type"] for step in path["path"]["steps"]] == ["Placed", "Paid", "Shipped"]
    assert (saga["correlation"], saga["last"]["type"], saga["missing"]) == ("flow-stuck\x1b[2J", "Paid", "Shipped")
    assert done.code == 0
    assert done.err.endswith("1 stuck of 10 flows in 30 events\n")
    received = sent_to_terminal("sagas", *arguments)
    assert obeyed(received) == set()
    assert "Placed (10 flows) → Paid 100% 100 ms → Shipped 90% 100 ms" in received.decode()


def test_the_stuck_orders_of_the_demo_come_first_with_their_dead_letters() -> None:
    done = run("workbench", "sagas", *DEMO, "--since", "beginning")
    paths = {each["path"]["type"]: each["path"] for each in done.records if "path" in each}
    steps = [step["type"] for step in paths["OrderAccepted"]["steps"]]
    assert steps[0] == "OrderAccepted"
    assert {"PaymentAuthorised", "OrderPaid", "OrderShipped"} <= set(steps)
    assert "OrderCancelled" in paths["OrderAccepted"]["compensations"]
    sagas = [each for each in done.records if "path" not in each]
    assert sagas and all(saga["stuck"] and saga["missing"] in steps for saga in sagas)
    assert sagas[0]["dead"]["reason"]
    ranks = [(saga["dead"] is None, -saga["waiting"]) for saga in sagas]
    assert ranks == sorted(ranks)


def test_all_lists_also_what_was_compensated() -> None:
    done = run("workbench", "sagas", *DEMO, "--since", "beginning", "--all")
    assert "OrderCancelled" in {each.get("compensation") for each in done.records} | {
        each.get("last", {}).get("type") for each in done.records
    }


def test_the_table_of_stuck_flows_fits_a_terminal() -> None:
    shown = sent_to_terminal("sagas", *DEMO, "--since", "beginning", "-n", "5", columns=80).decode().splitlines()
    [title] = [line for line in shown if line.startswith("correlation")]
    assert title.split() == ["correlation", "last", "waits", "for", "for", "why"]
    rows = shown[shown.index(title) + 1 :][:5]
    assert all(len(row) <= 80 for row in rows)


def test_without_flows_that_are_alike_nothing_is_stuck(kafka: KafkaAddress) -> None:
    topic = f"sagas-{uuid.uuid4().hex[:8]}"
    kcat_publish(kafka, topic, stdin=b"none\n")
    done = run("workbench", "sagas", "-c", f"k={kafka.url}", topic)
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("0 stuck of 0 flows in 1 event\n")


def test_the_flows_of_a_recording_are_judged_at_its_end(kafka: KafkaAddress, tmp_path: Path) -> None:
    topic, file = f"sagas-{uuid.uuid4().hex[:8]}", tmp_path / "seen.db"
    kcat_publish(kafka, topic, stdin=b"none\n")
    whole = {f"flow-{number}": ("Placed", "Paid", "Shipped") for number in range(9)}
    published(kafka, topic, {**whole, "flow-stuck": ("Placed",)})
    arguments = ("-c", f"k={kafka.url}", topic, "--from", "beginning", "--record", str(file))
    assert run("workbench", "browse", *arguments).code == 0
    done = run("workbench", "sagas", str(file))
    [saga] = [each for each in done.records if "path" not in each]
    assert (saga["correlation"], saga["missing"]) == ("flow-stuck", "Paid")
    assert 590_000 < saga["waiting"] < 900_000
    assert (done.code, done.err) == (0, "1 stuck of 10 flows in 29 events\n")


def test_a_flow_of_more_types_than_are_told_apart_is_not_judged_and_the_exit_code_tells(kafka: KafkaAddress) -> None:
    topic = f"sagas-{uuid.uuid4().hex[:8]}"
    kcat_publish(kafka, topic, "-K", ":", stdin=b"k:none\n")
    whole = {f"flow-{number}": ("Placed", "Paid") for number in range(9)}
    published(kafka, topic, {**whole, "long": tuple(f"T{number}" for number in range(101))})
    done = run("workbench", "sagas", "-c", f"k={kafka.url}", topic)
    assert "1 flow not judged: more than 100 types of events have the same correlation id" in done.err
    assert done.err.endswith("0 stuck of 9 flows in 120 events\n")
    assert done.code == 3


def test_messages_that_consumers_hold_are_told_by_the_exit_code(rabbitmq_4: RabbitMQAddress) -> None:
    queue = f"sagas-{uuid.uuid4().hex[:8]}"
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, durable=True)
        channel.confirm_delivery()
        channel.basic_publish("", queue, b"{}")
        channel.basic_get(queue)
        deadline = time.monotonic() + 60
        done = run("workbench", "sagas", "-c", f"r={managed(rabbitmq_4)}", queue, "--look")
        while "held by consumers" not in done.err and time.monotonic() < deadline:
            # The broker's statistics come every few seconds.
            done = run("workbench", "sagas", "-c", f"r={managed(rabbitmq_4)}", queue, "--look")
        channel.queue_delete(queue)
    assert "1 message (held by consumers)" in done.err
    assert done.code == 3
