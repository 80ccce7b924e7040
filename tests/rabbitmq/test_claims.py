"""What is claimed is held, settled one by one, and otherwise given back in order."""

import asyncio

import pytest

from connectors.rabbitmq import RabbitMQConnector
from tests.rabbitmq.conftest import DEADLINE, Rabbit
from tests.rabbitmq.doing import bodies, browse, close_connections, numbered, publish_all
from workbench.connecting.connector import Claims
from workbench.model.errors import ConnectionLost, Unsupported
from workbench.model.event import Delivery

KINDS = pytest.mark.parametrize("kind", ["classic", "quorum"])


async def claimed(claims: Claims) -> list[Delivery]:
    """All deliveries of a pass."""
    async with asyncio.timeout(DEADLINE):
        return [delivery async for batch in claims for delivery in batch]


@KINDS
async def test_settled_events_are_gone_and_the_others_back_in_order(rabbit: Rabbit, kind: str) -> None:
    queue = rabbit.queue(kind)
    events = numbered(3_000)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, events)
        async with connector.claim(queue, "move") as claims:
            assert bodies(await claimed(claims)) == bodies(events)
            outcomes = await claims.settle(range(0, 3_000, 3))
        assert [(outcome.sequence, outcome.error) for outcome in outcomes] == [(n, None) for n in range(0, 3_000, 3)]
        left = [event for number, event in enumerate(events) if number % 3]
        assert bodies(await browse(connector, queue)) == bodies(left)
    assert claims.coverage.read == 3_000
    assert rabbit.ready(queue) == len(left)
    assert rabbit.drain(queue, len(left)) == bodies(left)


@KINDS
async def test_limited_claims_keep_the_order(rabbit: Rabbit, kind: str) -> None:
    queue = rabbit.queue(kind)
    events = numbered(50)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, events)
        for limit in (50, 7, 20):
            async with connector.claim(queue, "move", limit=limit) as claims:
                assert len(await claimed(claims)) == limit
        assert bodies(await browse(connector, queue)) == bodies(events)


@KINDS
async def test_settling_while_claiming(rabbit: Rabbit, kind: str) -> None:
    queue = rabbit.queue(kind)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(5_000))
        async with connector.claim(queue, "move") as claims:
            seen = 0
            async for batch in claims:
                outcomes = await claims.settle(range(seen, seen + len(batch)))
                assert not any(outcome.error for outcome in outcomes)
                seen += len(batch)
    assert seen == 5_000
    assert rabbit.ready(queue) == 0


@KINDS
@pytest.mark.parametrize("order", ["first to last", "last to first", "with gaps", "but one"])
async def test_what_was_settled_does_not_come_back(rabbit: Rabbit, kind: str, order: str) -> None:
    numbers = range(1_200)
    settled = {
        "first to last": [numbers],
        "last to first": [range(begin, begin + 100) for begin in range(1_100, -1, -100)],
        "with gaps": [numbers[1::2], numbers[::4]],
        "but one": [numbers[1:]],
    }[order]
    left = sorted(set(numbers).difference(*settled))
    for _ in range(3):
        queue = rabbit.queue(kind)
        async with RabbitMQConnector(rabbit.connection()) as connector:
            await publish_all(connector, queue, numbered(len(numbers) + 50))
            async with connector.claim(queue, "move", limit=len(numbers)) as claims:
                await claimed(claims)
                for sequences in settled:
                    assert not any(outcome.error for outcome in await claims.settle(sequences))
            expected = [b"event %d" % number for number in (*left, *range(len(numbers), len(numbers) + 50))]
            assert bodies(await browse(connector, queue)) == expected


@KINDS
async def test_settling_meanwhile_claims_no_more_than_asked_for(rabbit: Rabbit, kind: str) -> None:
    queue = rabbit.queue(kind)
    # So large that they arrive one by one.
    rabbit.publish(queue, *[b"%d" % number + bytes(300_000) for number in range(20)])
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.claim(queue, "move", limit=8) as claims:
        claimed = 0
        async for batch in claims:
            await claims.settle(range(claimed, claimed + len(batch)))
            claimed += len(batch)
    assert claimed == 8
    assert [body.rstrip(b"\0") for body in rabbit.drain(queue, 12)] == [b"%d" % number for number in range(8, 20)]


async def test_event_at_its_delivery_limit_survives_being_given_back(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=2)
    events = numbered(4)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, events)
        for _ in range(6):
            async with connector.claim(queue, "move") as claims:
                assert sorted(bodies(await claimed(claims))) == bodies(events)
    assert sorted(rabbit.drain(queue, 4)) == bodies(events)


async def test_settling_in_a_deleted_queue_is_an_outcome(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(3))
        async with connector.claim(queue, "move") as claims:
            await claimed(claims)
            rabbit.channel.queue_delete(queue.name)
            outcomes = await claims.settle([0, 2])
    assert [outcome.sequence for outcome in outcomes] == [0, 2]
    assert all("no queue" in str(outcome.error) for outcome in outcomes)


async def test_settling_twice_is_a_mistake_that_is_told(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(3))
        async with connector.claim(queue, "move") as claims:
            await claimed(claims)
            await claims.settle([1])
            with pytest.raises(ValueError, match="settled before"):
                await claims.settle([1])


async def test_stream_cannot_be_claimed(rabbit: Rabbit) -> None:
    stream = rabbit.queue("stream")
    async with RabbitMQConnector(rabbit.connection()) as connector:
        with pytest.raises(Unsupported, match="gives nothing up"):
            async with connector.claim(stream, "move"):
                pass


@KINDS
async def test_settling_when_the_connection_is_killed_has_an_unknown_outcome(rabbit: Rabbit, kind: str) -> None:
    queue = rabbit.queue(kind)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(5))
        async with connector.claim(queue, "move") as claims:
            await claimed(claims)
            settled = await claims.settle([0])
            await close_connections(rabbit)
            outcomes = await claims.settle([1, 3])
    assert [outcome.state for outcome in settled] == ["settled"]
    assert [(outcome.sequence, outcome.state) for outcome in outcomes] == [(1, "unknown"), (3, "unknown")]
    assert all(isinstance(outcome.error, ConnectionLost) for outcome in outcomes)
    await rabbit.until_settled(queue, 4)
    assert sorted(rabbit.drain(queue, 4)) == bodies(numbered(5))[1:]
