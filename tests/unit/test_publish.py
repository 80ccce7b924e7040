"""Publishing in batches, at a pace."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import TypeVar

import pytest

from connectors.memory import MemoryConnector, embedded_broker
from workbench.connecting.config import Connection
from workbench.decode.ndjson import Line
from workbench.model.address import Address
from workbench.model.errors import EndpointNotFound, FormatError
from workbench.model.event import Delivery, Event
from workbench.model.receipt import Receipt
from workbench.operations.publish import Published, at_rate, in_time, number_events, publish, until

TOPIC = Address("m", "topic")
Some = TypeVar("Some")


async def batches_of(*batches: Sequence[Some]) -> AsyncIterator[Sequence[Some]]:
    for batch in batches:
        yield batch


async def all_of(batches: AsyncIterable[Sequence[Event]]) -> list[Event]:
    return [event async for batch in batches for event in batch]


@pytest.fixture
async def connector(request: pytest.FixtureRequest) -> AsyncIterator[MemoryConnector]:
    name = f"publish-{request.node.name}"
    embedded_broker(name).declare_topic("topic", 1)
    async with MemoryConnector(Connection.parse(f"m=memory://{name}")) as opened:
        yield opened


async def test_each_event_has_one_receipt(connector: MemoryConnector) -> None:
    events = [Event(body=str(number).encode()) for number in range(1200)]
    receipts: list[Receipt] = []
    done = await publish(connector, TOPIC, batches_of(events[:7], events[7:]), receipts.extend)
    assert done == Published(1200, 0)
    assert [receipt.sequence for receipt in receipts] == list(range(1200))
    assert [receipt.position.offset for receipt in receipts if receipt.position] == [
        str(number) for number in range(1200)
    ]


async def test_what_came_before_a_line_that_cannot_be_read_is_published(connector: MemoryConnector) -> None:
    async def broken() -> AsyncIterator[Sequence[Event]]:
        yield [Event(body=b"one"), Event(body=b"two")]
        raise FormatError("Line 3: no event.")

    receipts: list[Receipt] = []
    with pytest.raises(FormatError, match="Line 3"):
        await publish(connector, TOPIC, broken(), receipts.extend)
    assert len(receipts) == 2
    assert (await connector.endpoint(TOPIC)).depth == 2


async def test_a_missing_endpoint_is_the_error_itself_and_not_a_group(connector: MemoryConnector) -> None:
    with pytest.raises(EndpointNotFound):
        await publish(connector, Address("m", "nowhere"), batches_of([Event(body=b"x")]), lambda _: None)


async def test_a_rate_keeps_all_events_in_their_order() -> None:
    events = [Event(body=str(number).encode()) for number in range(100)]
    assert await all_of(at_rate(batches_of(events[:30], events[30:]), 10_000)) == events


async def test_a_rate_hands_over_small_batches() -> None:
    events = [Event(body=b"x")] * 100
    assert max([len(batch) async for batch in at_rate(batches_of(events), 1_000)]) == 20


async def test_the_original_timing_keeps_all_events_in_their_order() -> None:
    times = (1_000, 900, None, 1_050, 1_050, 2_000)
    lines = [Line(Event(body=str(number).encode(), timestamp=time)) for number, time in enumerate(times)]
    assert await all_of(in_time(batches_of(lines[:4], lines[4:]), 100)) == [line.event for line in lines]


async def test_events_far_apart_are_handed_over_apart() -> None:
    events = [Event(body=b"a", timestamp=0), Event(body=b"b", timestamp=1), Event(body=b"c", timestamp=50_000)]
    assert [len(batch) async for batch in in_time(batches_of(list(map(Line, events))), 1_000)] == [2, 1]


async def test_events_without_a_time_are_as_far_apart_as_they_were_seen() -> None:
    seen = [Delivery(Event(body=b"x"), TOPIC, at) for at in (0, 1, 50_000)]
    lines = [Line(each.event, each) for each in seen]
    assert [len(batch) async for batch in in_time(batches_of(lines), 1_000)] == [2, 1]


async def test_events_are_made_by_their_number() -> None:
    events = await all_of(number_events(lambda number: Event(body=str(number).encode()), 450))
    assert [event.body for event in events] == [str(number).encode() for number in range(450)]


async def test_what_is_not_stopped_goes_through_whole() -> None:
    events = [Event(body=str(number).encode()) for number in range(10)]
    assert await all_of(until(asyncio.Event(), batches_of(events[:3], events[3:]))) == events


async def test_stopping_ends_a_wait_for_the_next_events() -> None:
    stopped = asyncio.Event()
    one_a_day = at_rate(batches_of([Event(body=b"x")] * 5), 1 / 86_400)
    seen: list[Event] = []
    async for batch in until(stopped, one_a_day):
        seen += batch
        asyncio.get_running_loop().call_soon(stopped.set)
    assert len(seen) == 1


async def test_an_error_in_the_events_is_the_error_itself() -> None:
    async def broken() -> AsyncIterator[Sequence[Event]]:
        yield [Event(body=b"one")]
        raise FormatError("Line 2: no event.")

    with pytest.raises(FormatError, match="Line 2"):
        await all_of(until(asyncio.Event(), broken()))
