"""A look shows what is there, costs what it said it would, and leaves everything as it was."""

import pytest

from connectors.rabbitmq import RabbitMQConnector
from connectors.rabbitmq.unacked import MOST
from tests.rabbitmq.conftest import Rabbit, eventually
from tests.rabbitmq.doing import bodies, browse, numbered, publish_all, read
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.model.errors import LookRefused, Unsupported
from workbench.model.look import Coverage


async def look(connector: RabbitMQConnector, queue: Address, force: bool = False) -> tuple[list[bytes], Coverage]:
    """What a look shows, and what it covered."""
    async with connector.browse(queue, force=force) as stream:
        seen = await read(stream)
    return bodies(seen), stream.coverage


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_order_depth_and_unacknowledged_are_as_before(rabbit: Rabbit, kind: str) -> None:
    queue = rabbit.queue(kind)
    events = numbered(5_000)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, events)
        for limit in (1, 4, 700, None, 3, 900):
            await browse(connector, queue, limit=limit)
    await rabbit.until_settled(queue, len(events))
    assert rabbit.drain(queue, len(events)) == bodies(events)


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_order_is_kept_when_a_look_takes_many_steps(
    rabbit: Rabbit, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.rabbitmq.unacked._STEP", 8)
    monkeypatch.setattr("connectors.rabbitmq.unacked._STEP_BYTES", 1_000)
    queue = rabbit.queue(kind)
    events = numbered(5_000)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, events)
        for _ in range(3):
            shown, coverage = await look(connector, queue)
    assert shown == bodies(events[: len(shown)])
    assert "further back" in coverage.gaps[0].what
    assert rabbit.drain(queue, len(events)) == bodies(events)


async def test_price_shown_is_the_price_paid(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=50)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(3))
        price = (await connector.endpoint(queue)).cost
        paid = [(await look(connector, queue))[1].notes for _ in range(2)]
        (_, _, third) = [seen.attempt for seen in await browse(connector, queue)]
    assert "counts as a delivery, of which a message has 50" in price.sentence
    assert "up to 1 of 50 deliveries are counted for a message now" in paid[0]
    assert "up to 2 of 50 deliveries are counted for a message now" in paid[1]
    assert third == 2


async def test_deliveries_used_up_are_part_of_the_price_as_far_as_a_look_has_seen(rabbit: Rabbit) -> None:
    queue, classic = rabbit.queue("quorum", x_delivery_limit=50), rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector:

        async def used() -> int | None:
            return (await connector.endpoint(queue)).cost.used

        await publish_all(connector, queue, numbered(3))
        await publish_all(connector, classic, numbered(3))
        told = [await used()]
        for _ in range(2):
            await look(connector, queue)
            await look(connector, classic)
            told.append(await used())
        async with connector.claim(queue, "move", limit=1) as claims:
            await read(claims)
        told.append(await used())
        assert told == [None, 1, 2, 3]

        async def listed() -> bool:
            return {endpoint.address: endpoint.cost.used for endpoint in await connector.endpoints()} == {
                queue: 3,
                classic: None,
            }

        await eventually(listed)
        # Whoever takes messages may have taken the one that it is known of.
        rabbit.drain(queue, 1)
        assert await used() is None


async def test_limit_of_a_policy_counts_when_it_is_smaller(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=50)
    vhost = rabbit.vhost.replace("/", "%2F")
    policy = {"pattern": ".*", "definition": {"delivery-limit": 9}, "apply-to": "queues"}
    rabbit.api.put(f"/api/policies/{vhost}/limit", json=policy).raise_for_status()
    async with RabbitMQConnector(rabbit.connection()) as connector:

        async def applied() -> bool:
            return (await connector.endpoint(queue)).cost.limit == 9

        await eventually(applied)


async def test_looks_beyond_the_delivery_limit_of_a_quorum_queue_lose_nothing(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum")
    events = numbered(10)
    shown = refused = 0
    # RabbitMQ 4 gives a message up after 20 deliveries, if nothing else is said.
    for _ in range(23):
        # Each by a program of its own, which remembers nothing.
        async with RabbitMQConnector(rabbit.connection()) as connector:
            if not shown:
                await publish_all(connector, queue, events)
            try:
                await look(connector, queue)
                shown += 1
            except LookRefused:
                refused += 1
    assert sorted(rabbit.drain(queue, len(events))) == sorted(bodies(events))
    assert shown >= 15
    assert refused == (0 if rabbit.release == "3.10" else 23 - shown)


async def test_look_near_the_limit_is_refused_unless_forced(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=7)
    events = numbered(10)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, events)
        for _ in range(2):
            await look(connector, queue)
        with pytest.raises(LookRefused, match="given up after 7"):
            await look(connector, queue)
        shown, _ = await look(connector, queue, force=True)
    assert sorted(shown) == bodies(events)


async def test_forced_looks_rescue_what_would_be_deleted(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=2)
    events = numbered(5)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, events)
        notes = [note for _ in range(8) for note in (await look(connector, queue, force=True))[1].notes]
    assert any("published to the tail of the queue" in note for note in notes)
    assert sorted(rabbit.drain(queue, len(events))) == sorted(bodies(events))


async def test_queue_with_a_tiny_limit_is_not_touched(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=3)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(1))
        with pytest.raises(LookRefused, match="gives a message up"):
            await look(connector, queue)
    assert rabbit.amqp.channel().basic_get(queue.name)[0].redelivered is False


async def test_behind_a_single_active_consumer_a_look_is_refused(rabbit: Rabbit) -> None:
    queue = rabbit.queue(x_single_active_consumer=True)
    rabbit.publish(queue, b"one")
    rabbit.channel.basic_consume(queue.name, lambda *_: None)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        with pytest.raises(Unsupported, match="single active consumer"):
            await look(connector, queue)
        assert Ability.BROWSE not in (await connector.endpoint(queue)).abilities


async def test_exclusive_queue_of_another_is_refused(rabbit: Rabbit) -> None:
    rabbit.channel.queue_declare("private", exclusive=True)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        with pytest.raises(Unsupported, match="exclusive"):
            await look(connector, Address("rabbit", "private"))


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_queue_whose_messages_are_held_by_others_is_said_and_not_waited_for(rabbit: Rabbit, kind: str) -> None:
    queue = rabbit.queue(kind)
    rabbit.publish(queue, b"one", b"two")
    rabbit.channel.basic_consume(queue.name, lambda *_: None)
    rabbit.amqp.process_data_events(1)
    async with RabbitMQConnector(rabbit.connection()) as connector:

        async def known() -> bool:
            return "unacknowledged" in dict((await connector.endpoint(queue)).detail)

        await eventually(known)
        shown, coverage = await look(connector, queue)
    assert shown == []
    assert "consumers held about 2 further messages" in str(coverage)


async def test_consumer_that_takes_messages_meanwhile_is_a_gap(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(2_000))
        async with connector.browse(queue) as stream:
            for _ in range(500):
                rabbit.channel.basic_get(queue.name, auto_ack=True)
            await read(stream)
    assert stream.coverage.read == 1_500
    assert stream.coverage.gaps[0].what == "500 of 2,000 messages"


async def test_more_than_a_look_can_hold_is_a_gap(rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST == 50_000
    monkeypatch.setattr("connectors.rabbitmq.queue_browse.MOST", 100)
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(130))
        shown, coverage = await look(connector, queue)
    assert len(shown) == 100
    assert coverage.gaps[0].what == "30 messages further back"
    assert coverage.gaps[0].reason == "a look holds 100, unless more are asked for: browse -n 130 reads all"


async def test_queue_deleted_while_it_is_read_is_one_sentence(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(3_000))
        with pytest.raises(Exception, match=r"deleted|no queue") as failure:
            async with connector.browse(queue) as stream:
                async for _ in stream:
                    rabbit.channel.queue_delete(queue.name)
    assert "Traceback" not in str(failure.value)
