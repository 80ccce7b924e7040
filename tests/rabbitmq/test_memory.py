"""What a broker sends is bounded in bytes, however slow the reader is, and the connection lives on meanwhile."""

import asyncio

import pytest

from connectors.rabbitmq import RabbitMQConnector
from connectors.rabbitmq.frames import Mailbox
from tests.rabbitmq.conftest import Rabbit, eventually
from tests.rabbitmq.doing import bodies, browse, publish_all, read
from workbench.model.event import Event

SIZE = 10_000
ROOM = 200_000


def large(count: int, begin: int = 0) -> list[Event]:
    """So many events of `SIZE` bytes."""
    return [Event(b"k", (b"%d " % number).ljust(SIZE, b"x")) for number in range(begin, begin + count)]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The most bytes that waited to be fetched, as the only number; taps and streams have room for `ROOM`."""
    most = [0]
    end = Mailbox._end

    def watched(mailbox: Mailbox, body: bytes) -> None:
        end(mailbox, body)
        most[0] = max(most[0], mailbox.size)

    monkeypatch.setattr(Mailbox, "_end", watched)
    monkeypatch.setattr("connectors.rabbitmq.taps.WAITING", ROOM)
    monkeypatch.setattr("connectors.rabbitmq.streams.WAITING", ROOM)
    return most


async def test_tap_whose_reader_stands_still_holds_no_more_than_its_room_and_loses_nothing(
    rabbit: Rabbit, held: list[int]
) -> None:
    exchange, queue = rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(queue, exchange)
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.tail(exchange) as tail:
        await publish_all(connector, exchange, large(500))
        seen = bodies(await read(tail, 100))
        await publish_all(connector, exchange, large(500, begin=500))
        seen += bodies(await read(tail, 1_000 - len(seen)))
        assert seen == bodies(large(1_000))
        assert tail.coverage.gaps == ()
    assert held[0] <= ROOM + SIZE


async def test_stream_whose_reader_stands_still_is_read_on_without_a_gap(rabbit: Rabbit, held: list[int]) -> None:
    stream = rabbit.queue("stream")
    async with RabbitMQConnector(rabbit.connection()) as connector:
        async with connector.tail(stream) as tail:
            await publish_all(connector, stream, large(500))
            assert bodies(await read(tail, 500)) == bodies(large(500))
            await publish_all(connector, stream, large(500, begin=500))
            assert bodies(await read(tail, 500)) == bodies(large(500, begin=500))
        assert bodies(await browse(connector, stream)) == bodies(large(1_000))
        assert bodies(await browse(connector, stream, limit=90)) == bodies(large(90))
    assert held[0] <= ROOM + SIZE


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_look_and_claim_stop_at_what_one_pass_holds_and_say_so(
    rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("connectors.rabbitmq.queue_browse.MOST_BYTES", 2 * 1_048_576)
    monkeypatch.setattr("connectors.rabbitmq.claims.MOST_BYTES", 2 * 1_048_576)
    queue = rabbit.queue(kind)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, large(600))

        async def there() -> bool:
            return rabbit.ready(queue) == 600

        await eventually(there)
        async with connector.browse(queue) as look:
            seen = await read(look)
        assert 2 * 1_048_576 // SIZE <= len(seen) <= 2 * 1_048_576 // SIZE + 20
        assert bodies(seen) == bodies(large(len(seen)))
        assert f"{600 - len(seen)} messages further back (2 MB is what one pass holds)" in str(look.coverage)
        await eventually(there)
        async with connector.claim(queue, "move") as claims:
            claimed = await read(claims)
        assert len(claimed) <= 2 * 1_048_576 // SIZE + 20
        assert f"{600 - len(claimed)} messages further back (2 MB is what one pass holds)" in str(claims.coverage)
        await eventually(there)
        assert rabbit.drain(queue, 600) == bodies(large(600))


async def test_dropped_copies_are_counted(rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.rabbitmq.taps.WAITING", ROOM)
    monkeypatch.setattr("connectors.rabbitmq.back_pressure.PREFETCH", 100)
    monkeypatch.setattr("connectors.rabbitmq.taps.LENGTH_BYTES", 10 * SIZE)
    exchange, queue = rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(queue, exchange)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        async with connector.tail(exchange) as tail:
            await publish_all(connector, exchange, large(400))
            await asyncio.sleep(0)
            seen = await read(tail, 1)
        (gap,) = tail.coverage.gaps
    assert 0 < len(seen) < 400
    assert "at least" in gap.what
    assert int(gap.what.partition("at least ")[2].partition(" ")[0]) in range(250, 400)
