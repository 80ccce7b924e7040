"""A port that leads to one cluster and then to another, as a tunnel may: nothing goes on in the other one."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.brokers.kafka import Kafka, KafkaAddress
from tests.brokers.narrow import EVENT_HUBS, NarrowBroker, narrow
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import browse, numbered, publish
from workbench.connecting import config_edit
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.config_sources import own_path
from workbench.connecting.guard import Guarded
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, GuardRefused, Unsupported
from workbench.model.start import Beginning
from workbench.operations.journal.records import find_journal
from workbench.operations.seek import carry_out, plan_seek, plan_seek_undo
from workbench.session import Session

LED = r"kafka led to \S+, and leads to \S+ now"
OFFERED = {**EVENT_HUBS, 24: (0, 1), 25: (0, 1), 26: (0, 1), 28: (0, 2), 47: (0, 0)}
"""With transactions, and deleting the offsets of groups."""


@pytest.fixture
async def tunnel(kafka: KafkaAddress) -> AsyncIterator[NarrowBroker]:
    """A port that is all that its clients see of a cluster; it leads to the shared one."""
    async with narrow(kafka.bootstrap, OFFERED) as opened:
        yield opened


@pytest.fixture
async def address(kafka: KafkaAddress, own_kafka: Kafka) -> Address:
    """A topic that both clusters have."""
    made = await make_topic(kafka.bootstrap)
    return await make_topic(own_kafka.bootstrap, called=made.name)


def through(tunnel: NarrowBroker) -> Connection:
    return msgspec.structs.replace(Connection.parse(f"kafka={tunnel.url}"), level=Level.MOVE)


async def lead_elsewhere(tunnel: NarrowBroker, to: KafkaAddress) -> None:
    tunnel.lead_to(to.bootstrap)
    await tunnel.close()


async def bodies(of: KafkaAddress, address: Address) -> list[bytes | None]:
    """What a topic of a cluster has, seen past the tunnel."""
    async with connect(of.url) as connector:
        return [each.event.body for each in await browse(connector, address)]


async def committed(of: KafkaAddress, group: str) -> dict[str, str | None]:
    async with connect(of.url) as connector:
        return {each.partition: each.committed for each in (await connector.group(group)).partitions}


async def publish_through(connector: Guarded, address: Address) -> None:
    async with connector.publisher() as publisher:
        await publisher.send(address, numbered(1))
        await publisher.finish()
        [[receipt]] = [some async for some in publisher.receipts()]
        assert receipt.error is None


@pytest.mark.parametrize("production", [True, False])
async def test_a_publish_goes_on_in_no_other_cluster_than_it_was_allowed_for(
    kafka: KafkaAddress,
    own_kafka: Kafka,
    tunnel: NarrowBroker,
    address: Address,
    own_file: Path,
    production: bool,
) -> None:
    config_edit.add(own_file, "prod", own_kafka.url, "publish", production)
    async with Session([through(tunnel), "prod"], ConfigFile.read(own_path())) as session:
        await (await session.connector("prod")).endpoints()
        connector = await session.connector("kafka")
        async with connector.publisher() as publisher:
            receipts = aiter(publisher.receipts())
            await publisher.send(address, numbered(1))
            assert [each.error for each in await anext(receipts)] == [None]
            await lead_elsewhere(tunnel, own_kafka)
            with pytest.raises(ConnectorError, match=LED):
                await publisher.send(address, numbered(1, 1))
                await publisher.finish()
                for receipt in await anext(receipts):
                    assert receipt.error is not None
                    raise receipt.error
        assert await bodies(own_kafka, address) == []
        assert await bodies(kafka, address) == [b"event-0"]
        # Whoever asks anew is asked about the other one.
        if production:
            with pytest.raises(GuardRefused, match="kafka is production"):
                await publish_through(connector, address)
        else:
            await publish_through(connector, address)
        assert len(await bodies(own_kafka, address)) == int(not production)


async def test_a_transaction_is_decided_in_no_other_cluster(
    kafka: KafkaAddress, own_kafka: Kafka, tunnel: NarrowBroker, address: Address
) -> None:
    ledger = f"ledger-{address.name}"
    for each in (kafka, own_kafka):
        async with connect(each.url) as connector:
            await publish(connector, address, numbered(3))
    async with connect(tunnel.url) as connector:
        async with connector.transaction(ledger) as transaction, transaction.claim(address, "move") as claims:
            assert len(await anext(aiter(claims))) == 3
            await lead_elsewhere(tunnel, own_kafka)
            for outcome in await claims.settle([0, 1, 2]):
                with pytest.raises(ConnectorError, match=LED):
                    raise outcome.error or AssertionError
        assert (await connector.identity()).id == await id_of(own_kafka)
    async with connect(own_kafka.url) as connector:
        assert ledger not in {group.name for group in await connector.groups()}


async def id_of(cluster: KafkaAddress) -> str:
    async with connect(cluster.url) as connector:
        return (await connector.identity()).id


async def test_a_group_is_put_elsewhere_in_no_other_cluster(
    kafka: KafkaAddress, own_kafka: Kafka, tunnel: NarrowBroker, address: Address
) -> None:
    group = f"group-{address.name}"
    for each in (kafka, own_kafka):
        async with connect(each.url) as connector:
            await publish(connector, address, numbered(3))
            await connector.seek(group, address, {"0": "2"})
    async with Session([through(tunnel)]) as session:
        done = await plan_seek(session, group, address, Beginning())
        operation = await carry_out(session, done)
        plan = await plan_seek(session, group, address, Beginning())
        await lead_elsewhere(tunnel, own_kafka)
        with pytest.raises(Unsupported, match="kafka leads elsewhere now, and nothing was changed"):
            await carry_out(session, plan)
        with pytest.raises(Unsupported, match="kafka leads elsewhere now, so that there is nothing to put back"):
            await plan_seek_undo(session, find_journal(operation))
    assert await committed(kafka, group) == {"0": "0"}
    assert await committed(own_kafka, group) == {"0": "2"}


async def test_a_tail_goes_on_in_no_other_cluster_and_the_next_one_does(
    kafka: KafkaAddress, own_kafka: Kafka, tunnel: NarrowBroker, address: Address
) -> None:
    async with connect(kafka.url) as connector:
        await publish(connector, address, numbered(1))
    async with connect(own_kafka.url) as connector:
        await publish(connector, address, numbered(5))
    async with connect(tunnel.url) as connector:
        async with connector.tail(address, Beginning()) as stream:
            batches = aiter(stream)
            assert [each.event.body for each in await anext(batches)] == [b"event-0"]
            await lead_elsewhere(tunnel, own_kafka)
            with pytest.raises(ConnectorError, match=LED):
                await anext(batches)
        assert [each.event.body for each in await browse(connector, address)] == [
            b"event-%d" % number for number in range(5)
        ]
