"""The Publish screen in a real terminal, on real brokers: an event is written, sent, and found again."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.fuzz import private
from tests.e2e.terminal import Terminal
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import publish
from workbench.model.event import Event

ENTER, TAB, SEND, END = "\r", "\t", "\x13", "\x1b[F"


class Shop:
    """A topic exchange, two queues that it fills, and a queue for the dead letters of the first."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel
        self.name = f"publish-{uuid4().hex[:8]}"
        self.exchange, self.dead, self.audit = (f"{self.name}-{part}" for part in ("placed", "dead", "audit"))
        channel.exchange_declare(self.exchange, "topic")
        dead_letters = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": self.dead}
        for queue, arguments in ((self.name, dead_letters), (self.dead, {}), (self.audit, {})):
            channel.queue_declare(queue, arguments=arguments)
        for queue in (self.name, self.audit):
            channel.queue_bind(queue, self.exchange, "order.*")

    def bury(self, body: bytes) -> None:
        """Let a message be published, and rejected by the consumer of the first queue."""
        self._channel.basic_publish(
            self.exchange, "order.placed", body, pika.BasicProperties(message_id="m-1", content_type="application/json")
        )
        [(tag, _)] = self._taken(self.name)
        self._channel.basic_reject(tag, requeue=False)

    def bodies(self, queue: str) -> list[bytes]:
        """Take what is in a queue."""
        return [body for _, body in self._taken(queue)]

    def _taken(self, queue: str) -> list[tuple[int, bytes]]:
        taken = []
        for method, _, body in self._channel.consume(queue, inactivity_timeout=2):
            if method is None:
                break
            taken.append((method.delivery_tag, body))
        self._channel.cancel()
        return taken

    def remove(self) -> None:
        """Delete all of it."""
        for queue in (self.name, self.dead, self.audit):
            self._channel.queue_delete(queue)
        self._channel.exchange_delete(self.exchange)


@contextmanager
def shop_on(rabbitmq: RabbitMQAddress) -> Iterator[Shop]:
    with pika.BlockingConnection(pika.URLParameters(f"{rabbitmq.url}/?heartbeat=0")) as connection:
        shop = Shop(connection.channel())
        try:
            yield shop
        finally:
            shop.remove()


def url_of(rabbitmq: RabbitMQAddress) -> str:
    return f"r={rabbitmq.url}/?management={quote(rabbitmq.management_url, safe='')}"


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return private(tmp_path)


def test_an_event_goes_through_an_exchange_and_its_receipt_leads_to_it(
    rabbitmq_4: RabbitMQAddress, environment: Mapping[str, str]
) -> None:
    with shop_on(rabbitmq_4) as shop, Terminal("-c", url_of(rabbitmq_4), environment=environment) as terminal:
        terminal.until("Endpoints")
        terminal.press("6")
        terminal.until("→ completes")
        terminal.press(f"r/exchange:{shop.exchange}{TAB}order.plced.x")
        terminal.until("no queue for key order.plced.x")
        terminal.press(f"\x15order.placed{TAB}{TAB}" + '{"id": 7}')
        terminal.until(f"2 queues get it: {shop.name}, {shop.audit}")
        terminal.press(SEND)
        terminal.until("1 published")
        # Count, rate, receipts.
        terminal.press(TAB * 3 + ENTER)
        terminal.until(": Messages are marked")
        terminal.press("b")
        terminal.until('"id"')
        terminal.press("q")
        assert terminal.wait() == 0
        assert [shop.bodies(queue) for queue in (shop.name, shop.audit)] == [[b'{"id": 7}']] * 2


def test_an_event_goes_to_a_topic_and_its_receipt_leads_to_it(
    kafka: KafkaAddress, environment: Mapping[str, str]
) -> None:
    async def make() -> str:
        address = await make_topic(kafka.bootstrap, 2)
        async with connect(kafka.url) as connector:
            await publish(connector, address, [Event(b"k", b"first")], 1)
        return address.name

    topic = asyncio.run(make())
    with Terminal("-c", f"k={kafka.url}", environment=environment) as terminal:
        terminal.until("Endpoints")
        terminal.press("6")
        terminal.until("→ completes")
        terminal.press(f"k/{topic}")
        terminal.until("2 partitions, no consumer group reads it")
        # Key, partition, fields, body.
        terminal.press(f"{TAB}k{TAB}1{TAB}{TAB}second")
        terminal.until("text 6 B")
        terminal.press(SEND)
        terminal.until(" 1:1")
        terminal.press(TAB * 3 + ENTER)
        terminal.until("second")
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_dead_letter_is_cloned_mended_and_sent_to_its_origin_by_eight_keys(
    rabbitmq_3: RabbitMQAddress, environment: Mapping[str, str]
) -> None:
    with shop_on(rabbitmq_3) as shop:
        shop.bury(b'{"id": 7, "total": "x"}')
        shop.bodies(shop.audit)
        address = f"r/{shop.dead}"
        with Terminal(address, "-c", url_of(rabbitmq_3), environment=environment) as terminal:
            terminal.until(": Messages are marked")
            keys = 0
            # Typed: what is at the body's end is taken away, and written anew.
            for key, typed, drawn in (
                ("b", "", '"total"'),
                ("c", "", f"queue {shop.name}"),
                *[(TAB, "", "")] * 3,
                (END, "\x7f\x7f\x7f\x7f9}", "JSON ✔ 21 B"),
                (SEND, "", "1 published"),
            ):
                keys += 1
                terminal.press(key + typed)
                terminal.until(drawn)
            assert keys <= 8
            terminal.press("\x11")
            assert terminal.wait() == 0
        assert [json.loads(body) for body in shop.bodies(shop.name)] == [{"id": 7, "total": 9}]
        assert shop.bodies(shop.audit) == []
