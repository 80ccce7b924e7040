"""`workbench dead` on the demo's shop and on real brokers."""

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import pika

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import managed, run
from tests.e2e.terminal import sent_to_terminal
from tests.e2e.test_hostile import obeyed
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import publish
from workbench.model.content import Content
from workbench.model.event import Event

SHOP = ("-c", "kafka=demo://shop/kafka?seed=7&pace=0")


def spring(number: int, sentence: str, topic: str) -> Event:
    headers = (
        ("kafka_dlt-original-topic", topic.encode()),
        ("kafka_dlt-exception-message", sentence.encode()),
        ("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
        ("ce_specversion", b"1.0"),
        ("ce_type", b"Placed"),
    )
    return Event(b"%d" % number, json.dumps({"code": number % 2}).encode(), None, Content(headers))


def with_dead_letters(kafka: KafkaAddress) -> tuple[str, str]:
    """A topic and the one of its dead letters, which nothing but its name says; their names."""

    async def make() -> tuple[str, str]:
        origin = await make_topic(kafka.bootstrap, 1)
        dead = await make_topic(kafka.bootstrap, 2, called=f"{origin.name}-dlt")
        async with connect(kafka.url) as connector:
            sentences = [f"order {number} is unknown" for number in range(7)] + ["no\x1b[2J stock"]
            await publish(connector, dead, [spring(*each, origin.name) for each in enumerate(sentences)])
        return origin.name, dead.name

    return asyncio.run(make())


def test_dead_letters_on_kafka_are_found_by_the_name_of_their_topic(kafka: KafkaAddress) -> None:
    origin, dead = with_dead_letters(kafka)
    connection = ("-c", f"k={kafka.url}")
    [listed] = [each for each in run("workbench", "ls", *connection).records if each["address"] == f"k/{dead}"]
    assert listed["dead_letters_of"] == [f"k/{origin}"]
    done = run("workbench", "dead", *connection)
    assert done.code == 0, done.err
    # Other tests' topics are there too.
    first, second = [each for each in done.records if each["origin"] == origin]
    assert (first["reason"], first["origin"], first["type"], first["count"]) == (
        "order … is unknown",
        origin,
        "Placed",
        7,
    )
    assert (second["reason"], second["count"]) == ("no\x1b[2J stock", 1)
    assert first["endpoints"] == {f"k/{dead}": 7}
    assert sum(count for _, count in first["arrivals"]) == 7
    alone = run("workbench", "dead", *connection, dead)
    assert (alone.records, alone.err) == ([first, second], "8 dead letters in 2 groups, in 1 endpoint\n")
    for group in alone.records:
        found = run("workbench", "browse", *connection, dead, "--from", "beginning", "-w", group["query"])
        assert len(found.records) == group["count"]


def test_a_reason_of_a_stranger_is_not_obeyed_by_the_terminal(kafka: KafkaAddress) -> None:
    _, dead = with_dead_letters(kafka)
    received = sent_to_terminal("dead", "-c", f"k={kafka.url}", dead)
    assert obeyed(received) == set()
    assert "order … is unknown" in received.decode()


def test_dead_letters_are_grouped_by_a_field(kafka: KafkaAddress) -> None:
    _, dead = with_dead_letters(kafka)
    done = run("workbench", "dead", "-c", f"k={kafka.url}", dead, "--by", "body.code")
    assert {each["body.code"]: each["count"] for each in done.records} == {"0": 4, "1": 4}
    assert all("body.code = " in each["query"] for each in done.records)
    wrong = run("workbench", "dead", "-c", f"k={kafka.url}", dead, "--by", "what is this")
    assert wrong.code == 2 and "--by" in wrong.err


def test_a_queue_of_dead_letters_is_browsed_when_asked_and_told_of_else(rabbitmq_4: RabbitMQAddress) -> None:
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        name = f"orders-{uuid4().hex[:8]}"
        channel.queue_declare(
            name, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{name}.dlq"}
        )
        channel.queue_declare(f"{name}.dlq")
        try:
            channel.confirm_delivery()
            for number in range(3):
                channel.basic_publish("", name, b"%d" % number, pika.BasicProperties(type="Placed"))
                method, _, _ = channel.basic_get(name)
                assert method is not None
                channel.basic_reject(method.delivery_tag, requeue=False)
            arguments = ("dead", "-c", managed(rabbitmq_4))
            done = run("workbench", *arguments)
            assert (done.code, done.records) == (3, [])
            assert f"{name}.dlq: not read (--look browses it)" in done.err
            done = run("workbench", *arguments, "--look")
            assert done.code == 0, done.err
            found = [each for each in done.records if each["origin"] == name]
            assert [each["count"] for each in found] == [3], done.err
            [group] = found
            assert (group["reason"], group["origin"], group["type"]) == ("rejected", name, "Placed")
        finally:
            channel.queue_delete(name)
            channel.queue_delete(f"{name}.dlq")


def test_dead_letters_of_a_recording_are_grouped_and_none_are_said_to_be_none(tmp_path: Path) -> None:
    recording = tmp_path / "shop.db"
    done = run("workbench", "browse", *SHOP, "payments-dlt", "--from", "beginning", "--record", str(recording))
    assert done.code == 0, done.err
    live, kept = run("workbench", "dead", *SHOP, "payments-dlt"), run("workbench", "dead", str(recording))
    assert kept.code == 0, kept.err
    assert [each["reason"] for each in kept.records] == [each["reason"] for each in live.records] != []
    none = run("workbench", "dead", "-c", "k=memory://empty")
    assert (none.code, none.out, none.err) == (
        0,
        "",
        "there are no dead-letter queues or topics, or this user may not see them\n",
    )


def test_a_users_own_names_count(tmp_path: Path, kafka: KafkaAddress) -> None:
    async def make() -> str:
        address = await make_topic(kafka.bootstrap, 1, called=f"parked-{uuid4().hex[:8]}")
        async with connect(kafka.url) as connector:
            await publish(connector, address, [spring(1, "why not", "orders")])
        return address.name

    name = asyncio.run(make())
    config = tmp_path / "workbench.toml"
    config.write_text(f'dead_letters = ["{name}"]\n[connections.k]\nurl = "{kafka.url}"\n')
    found = run("workbench", "dead", "--config", str(config)).records
    [group] = [each for each in found if f"k/{name}" in each["endpoints"]]
    assert (group["reason"], group["endpoints"]) == ("why not", {f"k/{name}": 1})


def test_the_table_fits_a_terminal() -> None:
    shown = sent_to_terminal("dead", *SHOP, columns=80).decode().splitlines()
    [title] = [line for line in shown if line.startswith("count")]
    assert title.split() == ["count", "oldest", "newest", "from", "type", "reason"]
    assert all(len(row) <= 80 for row in shown)
