"""Headers larger than a frame: RabbitMQ itself writes such, and nothing but the memory bounds what is read of them."""

import asyncio

import pytest

from connectors.rabbitmq import RabbitMQConnector
from tests.rabbitmq.conftest import DEADLINE, Rabbit, eventually
from tests.rabbitmq.doing import bodies, browse, publish, publish_all, read
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Event

FRAME = 131_072
"""Bytes of a frame, as RabbitMQ negotiates it."""

PRODUCED = FRAME - 20 - 17
"""Bytes of the value of a lone header `stack` in the largest content header that a producer can send."""


async def dead_lettered(rabbit: Rabbit, kind: str, sizes: list[int], bound: Address | None = None) -> Address:
    """A queue of dead letters, whose only header had so many bytes before `x-death` came to it."""
    dead = rabbit.queue(kind)
    target = {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": dead.name}
    if bound is not None:
        rabbit.bind(dead, bound, "dead")
        target = {"x_dead_letter_exchange": bound.name, "x_dead_letter_routing_key": "dead"}
    source = rabbit.queue(x_message_ttl=1, **target)
    for number, size in enumerate(sizes):
        rabbit.publish(source, b"%d" % number, headers={"stack": "x" * size})

    async def arrived() -> bool:
        return rabbit.ready(dead) == len(sizes)

    await eventually(arrived)
    return dead


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_dead_letters_around_the_size_of_a_frame_are_browsed_claimed_and_given_back(
    rabbit: Rabbit, kind: str
) -> None:
    sizes = [10, PRODUCED - 2_000, PRODUCED - 300, PRODUCED - 200, PRODUCED - 100, PRODUCED - 1, PRODUCED, 10]
    dead = await dead_lettered(rabbit, kind, sizes)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        seen = await browse(connector, dead)
        assert [len(str(dict(delivery.event.headers)["stack"])) for delivery in seen] == sizes
        assert all("x-death" in dict(delivery.event.headers) for delivery in seen)
        await rabbit.until_settled(dead, len(sizes))
        async with connector.claim(dead, "move") as claims:
            assert bodies(await read(claims)) == [b"%d" % number for number in range(len(sizes))]
            assert [outcome.error for outcome in await claims.settle([0, 5])] == [None, None]
        await rabbit.until_settled(dead, len(sizes) - 2)
        assert bodies(await browse(connector, dead)) == [b"1", b"2", b"3", b"4", b"6", b"7"]


async def test_dead_letters_that_take_several_frames_are_read(rabbit: Rabbit) -> None:
    # Every queue on the way copies the keys, CC among them, into its own entry of x-death.
    last = queue = rabbit.queue()
    for _ in range(5):
        exchange = rabbit.exchange("fanout")
        rabbit.bind(queue, exchange)
        queue = rabbit.queue(x_dead_letter_exchange=exchange.name, x_message_ttl=1)
    rabbit.publish(queue, b"large", headers={"CC": [f"{number:03}".ljust(240, "x") for number in range(500)]})

    async def arrived() -> bool:
        return rabbit.ready(last) == 1

    await eventually(arrived)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        (seen,) = await browse(connector, last)
    assert seen.event.body == b"large"
    assert seen.event.wire is not None
    assert len(seen.event.wire.data) > 4 * FRAME


async def test_dead_letters_beyond_a_frame_are_tailed(rabbit: Rabbit) -> None:
    exchange = rabbit.exchange("direct")
    async with RabbitMQConnector(rabbit.connection()) as connector:
        probe = rabbit.queue()
        rabbit.bind(probe, exchange, "dead")
        async with connector.tail(exchange) as tail:
            await dead_lettered(rabbit, "classic", [PRODUCED, PRODUCED - 50, 1], exchange)
            assert sorted(bodies(await read(tail, 3))) == [b"0", b"1", b"2"]


async def test_what_is_too_large_to_be_published_again_is_one_events_receipt(rabbit: Rabbit) -> None:
    dead, target = await dead_lettered(rabbit, "classic", [PRODUCED, 1]), rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector:
        grown, small = (delivery.event for delivery in await browse(connector, dead))
        receipts = await publish(connector, target, [small, grown, small])
        seen = await browse(connector, target)
    assert [receipt.error is None for receipt in receipts] == [True, False, True]
    assert "this broker takes 131,052" in str(receipts[1].error)
    assert bodies(seen) == [b"1", b"1"]


async def test_largest_headers_that_fit_a_frame_are_published(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    events = [
        Event(body=b"%d" % size, written=Content((("stack", "x" * size),)))
        for size in (PRODUCED - 1, PRODUCED, PRODUCED + 1, 4 * FRAME)
    ]
    async with RabbitMQConnector(rabbit.connection()) as connector:
        receipts = await publish(connector, queue, events)
        assert [receipt.error is None for receipt in receipts] == [True, True, False, False]
        await publish_all(connector, queue, events[:2])
        async with asyncio.timeout(DEADLINE):
            assert bodies(await browse(connector, queue)) == bodies(events[:2]) * 2
