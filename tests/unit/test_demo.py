"""The demo's shop: what a user finds in it, and that it lives."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack

import msgspec
import pytest

from connectors.memory.demo import DemoConnector
from connectors.memory.demo.layout import AUDIT, CONTRACT, KEPT, MUNICH, RETURNS
from connectors.memory.demo.shop import LIVELY, Settings, Shop
from connectors.memory.groups import group
from tests.hostile import deliveries as hostile
from workbench.connecting.config import Connection
from workbench.connecting.guard import Guarded
from workbench.decode.layout import lay_out
from workbench.facts.conventions import Conventions
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConfigError
from workbench.model.event import Delivery, Event
from workbench.model.start import OfGroup
from workbench.operations.publish import publish

CLOCK = 1_764_000_000_000
SOON = 20.0
"""Seconds after which a test gives up."""

Faces = tuple[Guarded, Guarded]


def connected(face: str, options: str) -> Guarded:
    connection = Connection.parse(f"{face}=demo://shop/{face}?{options}")
    return Guarded(DemoConnector(connection), connection)


async def opened(stack: AsyncExitStack, options: str) -> Faces:
    rabbit, kafka = connected("rabbit", options), connected("kafka", options)
    return await stack.enter_async_context(rabbit), await stack.enter_async_context(kafka)


@pytest.fixture
async def still() -> AsyncIterator[Faces]:
    """A shop as it opens, in which nothing moves."""
    async with AsyncExitStack() as stack:
        yield await opened(stack, f"clock={CLOCK}&pace=0")


@pytest.fixture
async def alive() -> AsyncIterator[Faces]:
    """A shop in a hurry."""
    async with AsyncExitStack() as stack:
        yield await opened(stack, f"clock={CLOCK}&pace=400")


async def events(connector: Guarded, name: str) -> list[Delivery]:
    """All that is in an endpoint."""
    (listed,) = [each for each in await connector.endpoints() if each.address.name == name and each.kind != "exchange"]
    async with connector.browse(listed.address, force=True) as stream:
        return [delivery async for batch in stream for delivery in batch]


async def everything(faces: Faces) -> list[Delivery]:
    """All that is in all endpoints that can be looked at."""
    found = []
    for connector in faces:
        for endpoint in await connector.endpoints():
            if Ability.BROWSE in endpoint.abilities:
                found += await events(connector, endpoint.address.name)
    return found


async def arriving(connector: Guarded, address: Address, wanted: Callable[[Delivery], bool]) -> Delivery:
    """The first event to arrive that is wanted."""
    async with asyncio.timeout(SOON), connector.tail(address) as stream:
        async for batch in stream:
            for delivery in batch:
                if wanted(delivery):
                    return delivery
    raise AssertionError("the tail has ended")


async def send(connector: Guarded, address: Address, *sent: Event) -> None:
    async def batches() -> AsyncIterator[Sequence[Event]]:
        yield sent

    await publish(connector, address, batches(), lambda receipts: None)


async def deploy(rabbit: Guarded) -> None:
    """As the screen does it."""
    body = json.dumps({"service": "payments", "version": "1.1"}).encode()
    await send(rabbit, Address("rabbit", "deployments"), Event(None, body))


def correlation(delivery: Delivery) -> str | None:
    return Conventions.load([]).facts(delivery).correlation


# What there is.


async def test_each_face_shows_its_broker(still: Faces) -> None:
    rabbit, kafka = [{each.address.name: each for each in await face.endpoints()} for face in still]
    assert {"orders", "payments", "shipping", "orders.dead", "payments.dead", "email.retry", RETURNS, MUNICH} <= {
        *rabbit
    }
    assert rabbit[AUDIT].kind == "stream"
    assert rabbit[CONTRACT].kind == "exchange"
    assert {"payments", "orders-events", "payments-dlt", "inventory", "clickstream"} <= {*kafka}
    assert {each.kind for each in kafka.values()} == {"topic"}
    assert kafka["payments"].partitions == 3


async def test_dead_letters_are_linked_and_there(still: Faces) -> None:
    rabbit, kafka = still
    dead = await rabbit.endpoint(Address("rabbit", "payments.dead"))
    assert dead.dead_letters_of == (Address("rabbit", "payments"),)
    assert Address("rabbit", "payments.dead") in (await rabbit.endpoint(Address("rabbit", "payments"))).dead_letters_to
    assert (await kafka.endpoint(Address("kafka", "payments-dlt"))).dead_letters_of == (Address("kafka", "payments"),)

    def holds(each: Endpoint) -> bool:
        return bool(each.depth and each.dead_letters_of and each.kind != "exchange")

    held = {each.address.name for face in still for each in await face.endpoints() if holds(each)}
    assert held >= {"orders.dead", "payments.dead", "shipping_error", "error", "payments-dlt", "inventory-dlq"}


async def test_a_queue_tells_who_reads_it_and_everything_tells_what_came_in(still: Faces) -> None:
    payments = await still[0].endpoint(Address("rabbit", "payments"))
    assert [reader.tag for reader in payments.readers] == ["payments-1.0-a", "payments-1.0-b"]
    for face in still:
        for endpoint in await face.endpoints():
            assert endpoint.published is not None and endpoint.published >= (endpoint.depth or 0)


async def test_one_consumer_group_is_stuck_on_a_record_that_was_cut_short(still: Faces) -> None:
    kafka = still[1]
    groups = {group.name: group for group in await kafka.groups()}
    stuck = [each for each in groups["fraud-scoring"].partitions if each.lag > 5]
    assert len(stuck) == 1 and stuck[0].member is not None
    async with kafka.browse(stuck[0].address, OfGroup("fraud-scoring")) as stream:
        waiting = [delivery async for batch in stream for delivery in batch]
    first = next(each for each in waiting if each.position and each.position.partition == stuck[0].partition)
    assert first.position and first.position.offset == stuck[0].committed
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(first.event.body or b"")
    assert groups["ledger"].lag < stuck[0].lag
    assert groups["nightly-report"].state == "Empty"


async def test_there_are_about_as_many_events_as_in_half_an_hour(still: Faces) -> None:
    counted = [each for face in still for each in await face.endpoints() if each.kind != "exchange"]
    assert 1_000 < sum(endpoint.published or 0 for endpoint in counted) < 2_500
    times = [delivery.time[0] for delivery in await everything(still)]
    assert min(times) < CLOCK - 25 * 60_000
    assert CLOCK - 5_000 < max(times) <= CLOCK


async def test_every_event_can_be_read_and_belongs_to_an_order_s_story(still: Faces) -> None:
    conventions = Conventions.load([])
    for delivery in await everything(still):
        reading = lay_out(delivery.event)
        facts = conventions.facts(delivery)
        if delivery.address.name not in ("catalogue", "clickstream"):
            assert facts.type, delivery
            assert facts.message, delivery
        if delivery.address.name != "catalogue":
            assert facts.correlation, delivery
        assert reading.format != "hex" or delivery.address.name.startswith("inventory")


async def test_there_is_every_kind_of_body(still: Faces) -> None:
    readings = [(delivery, lay_out(delivery.event)) for delivery in await everything(still)]
    assert {"JSON", "MessagePack", "null", "text"} <= {reading.format for _, reading in readings}
    notes = {note for _, reading in readings for note in reading.notes}
    assert {"gzip", "schema 42"} <= notes
    assert max(reading.size for _, reading in readings) > 300_000
    texts = "".join(reading.text for _, reading in readings)
    assert all(text in texts for text in ("Zoë", "京都", "مريم", "🫖"))


async def test_an_order_is_delivered_twice_now_and_then(still: Faces) -> None:
    messages = [Conventions.load([]).facts(each).message for each in await events(still[0], "analytics")]
    assert len(set(messages)) < len(messages)


async def test_every_dead_letter_says_why_and_where_it_was(still: Faces) -> None:
    conventions = Conventions.load([])
    said = set()
    for face in still:
        for endpoint in await face.endpoints():
            if endpoint.kind == "exchange" or not endpoint.dead_letters_of or endpoint.address.name == "email":
                continue
            for delivery in await events(face, endpoint.address.name):
                facts = conventions.facts(delivery)
                failure, origin = facts.failure, facts.origin
                assert failure is not None and failure.reason, delivery
                assert origin is not None and (origin.queue or origin.topic or origin.key), delivery
                assert facts.correlation and facts.type, delivery
                said.add((failure.convention, failure.type or failure.reason))
    assert said >= {
        ("Spring AMQP", "java.lang.NumberFormatException"),
        ("Spring Kafka", "java.lang.NullPointerException"),
        ("MassTransit", "System.TimeoutException"),
        ("NServiceBus", "System.NullReferenceException"),
        ("Kafka Connect", "org.apache.kafka.connect.errors.DataException"),
        ("RabbitMQ dead letter", "rejected"),
        ("RabbitMQ dead letter", "expired"),
        ("RabbitMQ dead letter", "delivery_limit"),
    }


async def test_both_brokers_tell_of_the_same_orders(still: Faces) -> None:
    rabbit, kafka = still
    placed = {correlation(each) for each in await events(rabbit, AUDIT)}
    paid = {correlation(each) for each in await events(kafka, "payments") if each.event.key != b"987"}
    assert paid and paid <= placed
    unpaid = {correlation(each) for each in await events(rabbit, "payments.dead")}
    assert unpaid and unpaid <= placed and not unpaid & paid


async def test_every_event_on_the_way_names_its_cause(alive: Faces) -> None:
    rabbit, kafka = alive
    conventions = Conventions.load([])
    flows: dict[str | None, str | None] = {}
    async with (
        asyncio.timeout(SOON),
        rabbit.tail(Address("rabbit", "payments", "exchange")) as requests,
        kafka.tail(Address("kafka", "payments")) as payments,
    ):
        while len(flows) < 20:
            for request in await anext(aiter(requests)):
                facts = conventions.facts(request)
                flows[facts.message] = facts.correlation
        async for batch in payments:
            for facts in map(conventions.facts, batch):
                if facts.causation in flows:
                    assert flows[facts.causation] == facts.correlation
                    return


# The same each time.


def all_of(shop: Shop) -> list[tuple[str, object]]:
    """Everything that two brokers hold."""
    queues = [(queue.name, [message.event for message in queue.waiting()]) for queue in shop.rabbit.queues.values()]
    topics = [
        (topic.name, [list(partition.read(partition.start, partition.end)) for partition in topic.partitions])
        for broker in (shop.rabbit, shop.kafka)
        for topic in broker.topics.values()
    ]
    return [*queues, *topics, ("committed", shop.kafka.committed)]


def test_a_seed_and_a_clock_give_the_same_events() -> None:
    one, other = Shop(Settings(3, CLOCK)), Shop(Settings(3, CLOCK))
    assert all_of(one) == all_of(other)
    for shop in (one, other):
        shop.pass_time(60_000)
    assert all_of(one) == all_of(other)
    assert all_of(one) != all_of(Shop(Settings(3, CLOCK)))


def test_another_seed_gives_others() -> None:
    assert all_of(Shop(Settings(3, CLOCK))) != all_of(Shop(Settings(4, CLOCK)))


async def test_living_goes_the_same_way_too() -> None:
    told: list[list[Event]] = []
    for _ in range(2):
        async with AsyncExitStack() as stack:
            _, kafka = await opened(stack, f"clock={CLOCK}&pace=400&seed=5")
            seen: list[Event] = []
            async with asyncio.timeout(SOON), kafka.tail(Address("kafka", "orders-events")) as stream:
                while len(seen) < 50:
                    seen += [delivery.event for delivery in await anext(aiter(stream))]
            told.append(seen[:50])
    assert told[0] == told[1]


# It lives.


async def test_nothing_moves_without_a_pace(still: Faces) -> None:
    before = [await face.endpoints() for face in still]
    await send(still[0], Address("rabbit", "deployments"), Event(None, b"{}"))
    await arriving_elsewhere()
    after = [await face.endpoints() for face in still]
    assert before[1] == after[1]
    assert [each.address.name for each, was in zip(after[0], before[0], strict=True) if each != was] == ["deployments"]


def test_nothing_expires_without_a_pace() -> None:
    now = CLOCK
    shop = Shop(Settings(pace=0), lambda: now)
    before = all_of(shop)
    waiting = shop.rabbit.queues["email.retry"].depth
    now += 3_600_000
    shop.rabbit.observe()
    assert waiting and shop.rabbit.queues["email.retry"].depth == waiting
    assert all_of(shop) == before


async def arriving_elsewhere() -> None:
    """Let another shop live for a while."""
    async with AsyncExitStack() as stack:
        _, other = await opened(stack, "seed=99&pace=400")
        for _ in range(5):
            await arriving(other, Address("kafka", "orders-events"), lambda each: True)


async def test_a_shop_lives_while_a_face_of_it_is_open_and_is_forgotten_then() -> None:
    options = f"clock={CLOCK}&pace=400"
    rabbit, kafka = connected("rabbit", options), connected("kafka", options)
    async with kafka:
        async with rabbit:
            pass
        await arriving(kafka, Address("kafka", "orders-events"), lambda each: True)
        traded = await kafka.endpoint(Address("kafka", "orders-events"))
    async with kafka:
        anew = await kafka.endpoint(Address("kafka", "orders-events"))
    assert (anew.published or 0) < (traded.published or 0)


async def test_a_closed_shop_stands_still() -> None:
    shop = Shop(Settings(pace=400))
    shop.open()
    shop.close()
    before = all_of(shop)
    await arriving_elsewhere()
    assert all_of(shop) == before


async def test_the_machine_s_time_is_the_shop_s_unless_it_is_given_one() -> None:
    async with AsyncExitStack() as stack:
        _, kafka = await opened(stack, "pace=400")
        seen = await arriving(kafka, Address("kafka", "orders-events"), lambda each: True)
    assert abs((seen.event.timestamp or 0) - seen.seen_at) < 60_000


async def test_a_busy_user_does_not_hold_the_shop_up() -> None:
    async with AsyncExitStack() as stack:
        rabbit, kafka = await opened(stack, f"clock={CLOCK}&pace=20")
        orders = Address("kafka", "orders-events")
        before = (await kafka.endpoint(orders)).published or 0
        async with asyncio.timeout(SOON):
            while ((await kafka.endpoint(orders)).published or 0) < before + 3:
                await send(rabbit, Address("rabbit", "analytics"), Event(None, b"{}"))


async def test_payments_with_a_comma_fail_until_the_fix_is_deployed_and_then_succeed_when_sent_again(
    alive: Faces,
) -> None:
    rabbit, kafka = alive
    dead = Address("rabbit", "payments.dead")

    def comma(delivery: Delivery) -> bool:
        facts = Conventions.load([]).facts(delivery)
        return facts.failure is not None and facts.failure.type == "java.lang.NumberFormatException"

    def of_flow(flow: str | None) -> Callable[[Delivery], bool]:
        return lambda each: correlation(each) == flow

    async with asyncio.timeout(SOON):
        letter = next(each for each in await events(rabbit, dead.name) if comma(each))
        exchange = Address("rabbit", "payments", "exchange")
        again = msgspec.structs.replace(letter.event, key=b"payment.requested")
        async with asyncio.TaskGroup() as tasks:
            back = tasks.create_task(
                arriving(rabbit, Address("rabbit", "payments.dlx", "exchange"), of_flow(correlation(letter)))
            )
            await asyncio.sleep(0)
            await send(rabbit, exchange, again)
        assert comma(await back)

        await deploy(rabbit)
        while (await rabbit.endpoint(Address("rabbit", "payments"))).readers[0].tag != "payments-1.1-a":
            await arriving(kafka, Address("kafka", "orders-events"), lambda each: True)
        async with asyncio.TaskGroup() as tasks:
            paid = tasks.create_task(arriving(kafka, Address("kafka", "payments"), of_flow(correlation(letter))))
            await asyncio.sleep(0)
            await send(rabbit, exchange, again)
        assert Conventions.load([]).facts(await paid).type in ("PaymentAuthorised", "PaymentFailed")

        # New ones succeed as well: of the next payments some have a comma.
        before = {correlation(each) for each in await events(rabbit, dead.name) if comma(each)}
        for _ in range(40):
            await arriving(kafka, Address("kafka", "payments"), lambda each: True)
        assert {correlation(each) for each in await events(rabbit, dead.name) if comma(each)} <= before


def test_what_timed_out_succeeds_when_it_is_sent_again() -> None:
    shop = Shop(Settings(clock=CLOCK, pace=0.001))
    letters = [message.event for message in shop.rabbit.queues["shipping_error"].waiting()]
    assert letters
    before = shop.kafka.topics["orders-events"].published
    for letter in letters:
        shop.rabbit.publish("", msgspec.structs.replace(letter, key=b"shipping"))
    shop.pass_time(60_000)
    assert shop.kafka.topics["orders-events"].published >= before + len(letters)
    # An order that was on its way may fail meanwhile, for its first time.
    dead = [message.event.body for message in shop.rabbit.queues["shipping_error"].waiting()]
    assert all(dead.count(letter.body) == 1 for letter in letters)


def test_whatever_is_published_to_it_the_shop_goes_on() -> None:
    shop = Shop(Settings(clock=CLOCK, pace=0.001))
    bodies = [delivery.event.body for _, delivery in hostile(huge=False)]
    bodies += [b'{"orderId":1e400}', b'{"orderId":99999999999999999999}', b'"\\ud800"', b"[" * 5_000, b"\xff", b""]
    bodies += [
        b'{"orderId":1,"customer":"\\ud800","amount":"nan","currency":"EUR"}',
        b'{"orderId":1,"customer":"c","amount":"1e999","currency":"EUR"}',
        b'{"orderId":1,"customer":{"id":"","name":"","city":""},"total":1,"currency":"","language":"de","lines":[]}',
        b'{"conversationId":"","messageId":"","message":{"orderId":1,"customer":"","carrier":""}}',
        b'{"service":"payments","version":"\\u0000"}',
    ]
    headers: Sequence[Content] = (
        Content(),
        Content((("retries", -5), ("ce_correlationid", b"\xff"), ("id", None)), {"message_id": 7}),
    )
    sent = [Event(b"k", body, None, content) for body in bodies for content in headers]
    queues, topics = ("orders", "payments", "shipping", "billing", "email", "deployments"), ("payments", "inventory")
    for event in sent:
        for queue in queues:
            shop.rabbit.publish("", msgspec.structs.replace(event, key=queue.encode()))
        for topic in topics:
            shop.kafka.append(topic, event)
    shop.pass_time(2 * 3_600_000)
    assert [queue for queue in queues if shop.rabbit.queues[queue].depth] == []
    assert shop.rabbit.queues["payments.dead"].published > len(sent)
    groups = [shop.kafka.committed_offsets(group, "payments") for group in ("orders", "ledger")]
    assert groups == [{number: each.end for number, each in enumerate(shop.kafka.topics["payments"].partitions)}] * 2


def test_a_shop_that_is_left_open_does_not_grow_for_ever() -> None:
    shop = Shop(Settings(clock=CLOCK, pace=1_000))
    shop.pass_time(50_000)
    assert shop.rabbit.queues["analytics"].published > 2 * KEPT
    assert any(partition.start for partition in shop.kafka.topics["inventory"].partitions)
    for queue in shop.rabbit.queues.values():
        assert queue.depth <= KEPT
    for topic in (*shop.rabbit.topics.values(), *shop.kafka.topics.values()):
        assert all(partition.end - partition.start <= KEPT for partition in topic.partitions)


def test_only_who_is_stuck_or_away_falls_behind() -> None:
    shop = Shop(Settings(clock=CLOCK, pace=LIVELY))
    shop.pass_time(1_800_000)
    waiting = {queue.name: queue.depth for queue in shop.rabbit.queues.values() if shop.rabbit.consumers(queue)}
    assert {name for name, depth in waiting.items() if depth > 100} == set()
    lags = {name: group(shop.kafka, "kafka", name).lag for name in shop.kafka.committed}
    assert {name for name, lag in lags.items() if lag > 100} == {"fraud-scoring", "nightly-report"}


def test_its_pace_is_what_was_asked_for() -> None:
    shop = Shop(Settings(clock=CLOCK, pace=LIVELY))

    def published() -> int:
        logs = sum(each.published for broker in (shop.rabbit, shop.kafka) for each in broker.topics.values())
        return logs + sum(queue.published for queue in shop.rabbit.queues.values())

    before = published()
    shop.pass_time(600_000)
    assert 0.7 * LIVELY < (published() - before) / 600 < 1.3 * LIVELY


# Options.


@pytest.mark.parametrize(
    "url",
    [
        "demo://shop/nats",
        "demo://shop/rabbit?speed=1",
        "demo://shop/rabbit?seed=x",
        "demo://shop/rabbit?pace=-1",
        "demo://shop/rabbit?pace=nan",
        "demo://shop/rabbit?pace=1e9",
        "demo://shop/rabbit?clock=1",
        "demo://shop/rabbit?clock=1e99",
        "demo://shop?seed=1",
        "demo://shop:1/rabbit",
    ],
)
def test_a_shop_that_there_is_not_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        DemoConnector(Connection.parse(f"shop={url}"))


async def test_without_a_face_a_shop_stands_still_on_one_broker() -> None:
    connection = Connection.parse("shop=demo://shop")
    async with DemoConnector(connection) as connector:
        kinds = {endpoint.address.name: endpoint.kind for endpoint in await connector.endpoints()}
    assert (kinds["orders.dead"], kinds["payments"], kinds["orders"]) == ("classic queue", "topic", "exchange")
