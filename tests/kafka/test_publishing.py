"""Publishing: receipts, order, partitions, and events that Kafka refuses."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka import KafkaConnector
from connectors.kafka.partitioner import murmur2, partitions_of
from tests.kafka.conftest import MakeTopic
from tests.kafka.reading import BASE, browse, by_partition, numbered, publish
from workbench.model.content import Content
from workbench.model.errors import PublishRejected
from workbench.model.event import Event


@given(st.binary(max_size=70))
def test_keys_hash_as_they_do_elsewhere(key: bytes) -> None:
    assert murmur2(key) == murmur2_of_aiokafka(key)


@given(
    st.lists(st.binary(max_size=9) | st.binary(min_size=24, max_size=25), max_size=60),
    st.integers(min_value=1, max_value=2**31 - 1),
)
def test_many_keys_hash_as_each_alone(keys: list[bytes], partitions: int) -> None:
    assert partitions_of(keys, partitions) == [(murmur2_of_aiokafka(key) & 0x7FFFFFFF) % partitions for key in keys]


async def test_each_event_has_a_receipt_that_names_its_place(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(3)
    events = numbered(10_000, size=100)
    receipts = await publish(connector, address, events)
    assert [receipt.sequence for receipt in receipts] == list(range(10_000))
    places = {delivery.position: delivery.event for delivery in await browse(connector, address)}
    assert [places[receipt.position] for receipt in receipts] == events


async def test_a_partition_keeps_the_order_in_which_events_were_sent(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    address = await topic(4)
    async with connector.publisher() as publisher:
        for first in range(0, 5_000, 7):
            await publisher.send(address, numbered(7, first=first))
        await publisher.finish()
    times: dict[str, list[int]] = {}
    for delivery in await browse(connector, address):
        assert delivery.position is not None
        times.setdefault(delivery.position.partition, []).append(delivery.event.timestamp or 0)
    assert all(some == sorted(some) for some in times.values())


async def test_a_chosen_partition_is_used(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(3)
    await publish(connector, address, numbered(5), partition=2)
    assert by_partition(await browse(connector, address)) == {"2": [0, 1, 2, 3, 4]}
    receipts = await publish(connector, address, numbered(1), partition=3)
    assert "has partitions 0 to 2: there is no 3" in str(receipts[0].error)


async def test_events_without_a_key_are_spread(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(3)
    await publish(connector, address, [Event(None, b"." * 1_000) for _ in range(3_000)])
    assert len(by_partition(await browse(connector, address))) == 3


async def test_an_event_that_is_too_large_is_refused_and_the_others_go_on(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    address = await topic(max_message_bytes="100000")
    events = [*numbered(3), Event(b"large", b"." * 200_000, timestamp=BASE), *numbered(3, first=3, size=90_000)]
    receipts = await publish(connector, address, events)
    refused = [receipt for receipt in receipts if receipt.error]
    assert [receipt.sequence for receipt in refused] == [3]
    assert isinstance(refused[0].error, PublishRejected)
    assert "takes no more than 100,000" in str(refused[0].error)
    assert len(await browse(connector, address)) == 6


async def test_an_event_that_the_broker_refuses_does_not_take_its_neighbours_along(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    address = await topic(cleanup_policy="compact")
    events = numbered(100)
    events[37] = Event(None, b"no key, and the topic is compacted", timestamp=BASE)
    receipts = await publish(connector, address, events)
    assert [receipt.sequence for receipt in receipts if receipt.error] == [37]
    found = [delivery.event for delivery in await browse(connector, address)]
    assert found == events[:37] + events[38:]


async def test_a_create_time_is_kept_and_none_is_now(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic()
    before = int(datetime.now(UTC).timestamp() * 1000)
    await publish(
        connector,
        address,
        [Event(b"a", b"", timestamp=12345), Event(b"b", b""), Event(b"c", b"", timestamp=1, timestamp_type="append")],
    )
    times = sorted(delivery.event.timestamp or 0 for delivery in await browse(connector, address))
    assert times[0] == 12345
    assert all(time >= before for time in times[1:])


async def test_the_broker_may_set_the_time(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(message_timestamp_type="LogAppendTime")
    await publish(connector, address, [Event(b"a", b"", timestamp=12345)])
    [delivery] = await browse(connector, address)
    assert delivery.time[1] == "append"
    assert delivery.time[0] > BASE


async def test_typed_header_values_become_text(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic()
    headers = (
        ("text", "grüße"),
        ("int", 2**63),
        ("float", 1.5),
        ("bool", True),
        ("null", None),
        ("bytes", b"\xff"),
        ("decimal", Decimal("1.10")),
        ("time", datetime(2026, 11, 23, tzinfo=UTC)),
        ("table", {"a": [1, b"x", None]}),
    )
    await publish(connector, address, [Event(b"", b"", written=Content(headers))])
    [delivery] = await browse(connector, address)
    assert dict(delivery.event.headers) == {
        "text": "grüße",
        "int": "9223372036854775808",
        "float": "1.5",
        "bool": "true",
        "null": None,
        "bytes": b"\xff",
        "decimal": "1.10",
        "time": "2026-11-23T00:00:00+00:00",
        "table": '{"a": [1, "x", null]}',
    }


async def test_what_is_left_before_finish_is_abandoned_without_a_trace(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    address = await topic()
    with pytest.raises(RuntimeError, match="changed my mind"):
        async with connector.publisher() as publisher:
            await publisher.send(address, numbered(10))
            raise RuntimeError("changed my mind")
    await publish(connector, address, numbered(1))
    assert len(await browse(connector, address)) in range(1, 12)


async def test_an_event_that_has_no_bytes_is_refused_and_the_others_go_on(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    address = await topic()
    events = numbered(5)
    half = "\ud83d"
    events[1] = Event(b"", b"", written=Content(((half, "x"),)))
    events[3] = Event(b"", b"", written=Content((("x", half),)))
    receipts = await publish(connector, address, events)
    assert [receipt.sequence for receipt in receipts if receipt.error] == [1, 3]
    assert [delivery.event for delivery in await browse(connector, address)] == [events[0], events[2], events[4]]
