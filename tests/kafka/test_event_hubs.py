"""Event Hubs by its Kafka endpoint: how one gets in, what is never sent, and what passes without a word."""

import asyncio
from collections.abc import Iterable

import msgspec
import pytest

from connectors.kafka.connector import KafkaConnector
from connectors.kafka.event_hubs import EventHubsConnector, settings_of
from tests.brokers.certificates import Certificates
from tests.brokers.narrow import LARGEST_REQUEST, PRODUCE, EventHubs
from tests.brokers.narrow import event_hubs as stand_in
from tests.e2e.command import run
from tests.kafka.conftest import connect as connect_kafka
from tests.kafka.conftest import make_topic
from tests.kafka.reading import browse, numbered, publish
from tests.kafka.strict import READ, TOPIC, WRITE, Permission, StrictKafka, permit
from workbench.connecting.config import Connection, without_secrets
from workbench.connecting.connection_formats import connection_of
from workbench.connecting.plugins import connect
from workbench.decode import ndjson
from workbench.model.content import Content
from workbench.model.errors import AccessRefused, ConfigError, EndpointNotFound, LoginRefused
from workbench.model.event import Event
from workbench.model.receipt import Receipt
from workbench.model.wire import field_types


def opened(event_hubs: EventHubs, hub: str = "", max_idle: float | None = None) -> KafkaConnector:
    """A connector named kafka, not yet entered."""
    connection = Connection.parse(f"kafka={event_hubs.url(hub)}")
    settings = settings_of(connection)
    if max_idle is not None:
        settings = msgspec.structs.replace(settings, max_idle=max_idle)
    return KafkaConnector(connection, settings)


async def test_a_pasted_connection_string_gets_in(event_hubs: EventHubs, monkeypatch: pytest.MonkeyPatch) -> None:
    # Authorities of one's own are named by an option, and a connection string has none.
    monkeypatch.setenv("SSL_CERT_FILE", str(event_hubs.ca))
    address = await make_topic(event_hubs.kafka.bootstrap)
    async with connect(connection_of(f"kafka={event_hubs.connection_string}")) as connector:
        assert isinstance(connector, EventHubsConnector)
        assert address in [endpoint.address for endpoint in await connector.endpoints()]
        steps = [step async for step in connector.check()]
    assert not any(step.error for step in steps)
    assert "Kafka tests" in [step.name for step in steps]


async def test_the_command_line_takes_a_connection_string_and_says_no_key(
    event_hubs: EventHubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(event_hubs.ca))
    hub = (await make_topic(event_hubs.kafka.bootstrap)).name
    string = event_hubs.connection_string
    key = string.rpartition("SharedAccessKey=")[2]
    listed = await asyncio.to_thread(run, "workbench", "ls", "-c", f"eh={string}")
    assert listed.code == 0 and f"eh/{hub}" in [record["address"] for record in listed.records]
    sent = await asyncio.to_thread(run, "workbench", "publish", "-c", f"eh={string}", "--guard", "move", hub, "hello")
    seen = await asyncio.to_thread(run, "workbench", "browse", "-c", string, hub)
    assert (sent.code, [record["body"] for record in seen.records]) == (0, [{"text": "hello"}])
    wrong = string.replace(key, key[::-1])
    for text in (wrong, wrong.replace("SharedAccessKeyName=tests;", ""), string.replace("sb:", "https:")):
        refused = await asyncio.to_thread(run, "workbench", "ls", "-c", text)
        assert refused.code in (1, 2)
        assert key not in refused.err and key[::-1] not in refused.err
    without = string.replace(f";SharedAccessKey={key}", "")
    asked = await asyncio.to_thread(run, "workbench", "ls", "-c", without)
    assert "names user 'tests' but no password" in asked.err


async def test_a_wrong_key_is_told_by_the_name_of_the_policy(event_hubs: EventHubs) -> None:
    async with EventHubsConnector(Connection.parse(f"kafka={event_hubs.url(key='wrong')}")) as connector:
        with pytest.raises(LoginRefused, match="does not let user 'tests' in: the name or the password is wrong"):
            await connector.endpoints()


async def test_a_connection_for_one_hub_sees_this_one(event_hubs: EventHubs) -> None:
    hub, other = await make_topic(event_hubs.kafka.bootstrap), await make_topic(event_hubs.kafka.bootstrap)
    settings = settings_of(Connection.parse(f"kafka={event_hubs.url()}"))
    for only, seen in ((hub, [hub]), (other, [other])):
        # The real one knows the connection string of the namespace alone.
        of_hub = msgspec.structs.replace(settings, only=only.name)
        async with KafkaConnector(Connection.parse("kafka=eventhubs://h"), of_hub) as connector:
            assert [endpoint.address for endpoint in await connector.endpoints()] == seen
    gone = msgspec.structs.replace(settings, only="gone")
    async with KafkaConnector(Connection.parse("kafka=eventhubs://h"), gone) as connector:
        with pytest.raises(EndpointNotFound, match="kafka has no topic 'gone'"):
            await connector.endpoints()


def test_the_hub_is_part_of_what_logs_in() -> None:
    settings = settings_of(connection_of("Endpoint=sb://ns/;SharedAccessKeyName=p;SharedAccessKey=k+/=;EntityPath=h"))
    assert settings.password is not None
    assert (settings.hosts, settings.user, settings.protocol, settings.only) == (
        (("ns", 9093),),
        "$ConnectionString",
        "SASL_SSL",
        "h",
    )
    assert settings.password.reveal() == ("Endpoint=sb://ns/;SharedAccessKeyName=p;SharedAccessKey=k+/=;EntityPath=h")
    assert without_secrets(f"it said {settings.password.reveal()}.") == "it said …."
    assert "k+/=" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("eh=eventhubs://ns", "eh: Event Hubs lets in who has a policy and its key"),
        ("eh=eventhubs://p@ns", "eh: Event Hubs lets in who has a policy and its key"),
        ("eh=eventhubs://p:@ns", "eh: Event Hubs lets in who has a policy and its key"),
        ("eh=eventhubs://p:k@a,b", "one host and at most one hub"),
        ("eh=eventhubs://p:k@a/b/c", "one host and at most one hub"),
        ("eh=eventhubs://p:k@a?tls", "'tls' is no option of eventhubs:// connections; they have ca"),
    ],
)
def test_what_cannot_be_a_namespace_is_told(url: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        EventHubsConnector(Connection.parse(url))


async def test_no_request_is_too_large(event_hubs: EventHubs) -> None:
    address = await make_topic(event_hubs.kafka.bootstrap, 8, max_message_bytes="2000000")
    async with opened(event_hubs) as connector:
        receipts = await publish(connector, address, numbered(6_000, size=1_000))
        assert not any(receipt.error for receipt in receipts)
        limit = (await connector.rules(address)).size
        assert limit is not None and limit < LARGEST_REQUEST
        largest = Event(b"k", bytes(limit - 200))
        assert errors(await publish(connector, address, [largest])) == []
        [error] = errors(await publish(connector, address, [Event(b"k", bytes(limit))]))
        assert f"takes no more than {limit:,} (max.request.size)" in error
        assert len(await browse(connector, address)) == 6_001
    assert event_hubs.broker.asked[PRODUCE, 7] > 6
    assert event_hubs.broker.refused == []


@pytest.mark.parametrize(("claim", "operation"), [("Listen", READ), ("Send", WRITE)])
async def test_a_policy_that_lacks_a_claim_is_told(
    claim: str, operation: int, strict: StrictKafka, certificates_of_event_hubs: Certificates
) -> None:
    # ACLs of a Kafka stand in for claims: the service itself is not here to be asked.
    hub = await make_topic(strict.bootstrap)
    async with connect_kafka(strict.url) as other:
        await publish(other, hub, numbered(2))
    await permit(strict, "$ConnectionString", [Permission(operation, TOPIC, hub.name)])
    async with stand_in(strict, certificates_of_event_hubs) as found, opened(found) as connector:
        async with asyncio.timeout(20):
            while hub not in [each.address for each in await connector.endpoints()]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        if claim == "Listen":
            assert len(await browse(connector, hub)) == 2
            [error] = errors(await publish(connector, hub, numbered(1)))
            assert f"no permission to write to topic {hub.name}" in error
        else:
            assert errors(await publish(connector, hub, numbered(1))) == []
            with pytest.raises(AccessRefused, match=f"no permission to read topic {hub.name}.* on Event Hubs, a claim"):
                await browse(connector, hub)


AMQP = (("count", b"T\x05"), ("name", b"\xa1\x05hello"), ("urgent", b"A"), ("id", b"\x98" + bytes(16)))
"""Headers as Event Hubs makes them of the application properties of an AMQP producer."""


async def test_what_producers_said_in_amqp_is_shown_as_what_it_says(event_hubs: EventHubs) -> None:
    source, target = await make_topic(event_hubs.kafka.bootstrap), await make_topic(event_hubs.kafka.bootstrap)
    async with opened(event_hubs) as connector:
        ours = Event(b"1", b"ours", written=Content((("plain", "A"), ("name", "hello"))))
        await publish(connector, source, [Event(b"0", b"theirs", written=Content(AMQP)), ours])
        theirs, plain = [delivery.event for delivery in await browse(connector, source)]
        assert theirs.headers == (("count", 5), ("name", "hello"), ("urgent", True), ("id", bytes(16)))
        assert theirs.wire is not None
        assert [kind for _, kind in field_types(theirs.wire)] == ["int", "string", "boolean", "uuid"]
        assert (plain.wire, plain.headers) == (None, ours.headers)
        async with connector.scan([source], [[b"hello"]]) as scan:
            found = [delivery.event.key async for batch in scan for delivery in batch]
        assert found == [b"0", b"1"]
        # Where they are sent on, they are what they were, and so they are through a line of NDJSON.
        assert (await connector.rules(target)).examine(theirs).changes == ()
        through = ndjson.decode(ndjson.encode(theirs)).event
        assert not errors(await publish(connector, target, [theirs, through]))
        for delivery in await browse(connector, target):
            assert delivery.event.wire == theirs.wire
    async with KafkaConnector(Connection.parse(f"kafka={event_hubs.kafka.url}")) as plainly:
        first, *_ = await browse(plainly, target)
        as_bytes = [(name, value.encode() if isinstance(value, str) else value) for name, value in first.event.headers]
        assert as_bytes == [*AMQP]


def errors(receipts: Iterable[Receipt]) -> list[str]:
    return [str(receipt.error) for receipt in receipts if receipt.error]


async def test_connections_that_were_forgotten_while_idle_are_made_anew_without_a_word(event_hubs: EventHubs) -> None:
    address = await make_topic(event_hubs.kafka.bootstrap)
    async with opened(event_hubs, max_idle=0.5) as connector, connector.publisher() as publisher:
        await publisher.send(address, numbered(1))
        await publisher.flush()
        async with connector.browse(address) as stream:
            await connector.endpoint(address)
            event_hubs.broker.forget()
            await asyncio.sleep(0.6)  # what is waited for is that nothing happens
            async with asyncio.timeout(10):
                assert (await connector.endpoint(address)).depth == 1
                await publisher.send(address, numbered(1, first=1))
                await publisher.flush()
                assert len([delivery async for batch in stream for delivery in batch]) == 1
                assert stream.interruption is None
    async with opened(event_hubs) as connector:
        assert len(await browse(connector, address)) == 2
