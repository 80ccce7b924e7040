"""The dead letters of share groups (KIP-1191): where a group is configured to have them, and what they are."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from connectors.kafka import KafkaConnector
from connectors.kafka.share_dead_letters import DeadLetterTopic, link
from tests.brokers import install
from tests.brokers.kafka import KafkaAddress
from tests.brokers.narrow import LIST_GROUPS, narrow
from tests.kafka.conftest import DEADLINE, MakeTopic, admin, connect, make_topic, workbench
from tests.kafka.reading import browse, publish
from tests.kafka.test_group_kinds import new_group, program
from workbench.connecting.config import Connection
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.event import Delivery, Event
from workbench.operations.dead.originals import original_of, read_originals
from workbench.operations.move.moves import carry_out
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session

SENT = Event(b"k", b'{"id":1}', written=Content((("tenant", "north"),)))


@pytest.fixture
async def dead(kafka: KafkaAddress) -> AsyncIterator[Address]:
    """A topic that may hold dead letters of share groups: brokers want this beginning of its name."""
    # The name of the setting has underscores for dots.
    address = await make_topic(kafka.bootstrap, called=f"dlq.{new_group()}", errors_deadletterqueue_group_enable="true")
    yield address
    async with admin(kafka.bootstrap) as client:
        await client.delete_topics([address.name])


async def dead_letters(connector: KafkaConnector, address: Address) -> list[Delivery]:
    """Those that are there, at least one; the broker writes them when it has answered the consumer."""
    async with asyncio.timeout(DEADLINE):
        while not (found := await browse(connector, address)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


@pytest.mark.parametrize(
    ("copied", "told", "lacks", "event"),
    [
        ("false", "without key and body", "everything", Event()),
        ("true", "with key and body", "headers", Event(SENT.key, SENT.body)),
    ],
)
async def test_a_share_group_s_dead_letters_are_known_and_lead_to_their_originals(
    connector: KafkaConnector,
    kafka: KafkaAddress,
    topic: MakeTopic,
    dead: Address,
    copied: str,
    told: str,
    lacks: str,
    event: Event,
) -> None:
    address, group = await topic(1), new_group()
    await publish(connector, address, [Event(body=b"before"), SENT])
    arguments = (kafka.bootstrap, group, address.name, dead.name, copied)
    async with program("ShareRejecter", install.kafka(), *arguments, ready=b"rejected\n"):
        letters = await dead_letters(connector, dead)
        listed = {each.address: each for each in await connector.endpoints()}
    # The group is known by what it has committed, whether anybody reads for it or not.
    alone = await connector.endpoint(dead)
    assert (alone.dead_letters_of, alone.takes_dead_letters) == ((address,), True)
    assert ("dead letters of", f"share group {group}, {told}") in alone.detail
    assert listed[dead].dead_letters_of == (address,)
    assert listed[address].dead_letters_to == (await connector.endpoint(address)).dead_letters_to == (dead,)
    letter = letters[-1]
    assert (letter.event.key, letter.event.body) == (event.key, event.body)
    async with Session([Connection.parse(f"kafka={kafka.url}")]) as session:
        facts = session.reading.facts(letter)
        assert facts.origin is not None and (facts.origin.topic, facts.origin.group) == (address.name, group)
        assert (facts.origin.partition, facts.origin.offset) == ("0", "1")
        assert (facts.attempts, facts.reason) == (1, "Offset rejected by client.")
        original = original_of(letter, facts, session.conventions)
        assert original is not None and original.lacks == lacks
        found = (await read_originals(session, [original]))[original]
        assert isinstance(found, Delivery)
        assert (found.event.key, found.event.body, found.event.headers) == (SENT.key, SENT.body, SENT.headers)
    code, output, _ = await workbench("dead", "-o", "table", "-c", f"kafka={kafka.url}", str(dead))
    assert (code, "Offset rejected by client." in output, address.name in output) == (0, True, True)


async def test_what_comes_back_to_a_share_group_s_dead_letters_stops_a_canary(
    connector: KafkaConnector,
    kafka: KafkaAddress,
    topic: MakeTopic,
    dead: Address,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though a dead letter has nothing of the copy that it was, nor of how often that was moved."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    address, group = await topic(1), new_group()
    await publish(connector, address, [SENT, SENT])
    arguments = (kafka.bootstrap, group, address.name, dead.name, "false")
    async with (
        program("ShareRejecter", install.kafka(), *arguments, ready=b"rejected\n"),
        Session([msgspec.structs.replace(Connection.parse(f"kafka={kafka.url}"), level=Level.MOVE)]) as session,
    ):
        async with asyncio.timeout(DEADLINE):
            while len(await browse(connector, dead)) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        plan = await make_plan(session, Wanted(dead, canary=(1, 5), watch=30))
        ended = await carry_out(session, plan)
        assert (ended.moved, ended.returned) == (1, 1)
        assert ended.why == f"Stopped: 1 message came back to {dead}."
        again = (await browse(connector, address))[-1].event
        assert (again.key, again.body, again.headers[0]) == (SENT.key, SENT.body, SENT.headers[0])


async def test_a_broker_that_has_no_share_groups_is_not_asked_for_them(kafka: KafkaAddress, dead: Address) -> None:
    async with narrow(kafka.bootstrap) as broker, connect(broker.url) as narrowed:
        listed = await narrowed.endpoints()
    assert dead.name in [each.address.name for each in listed]
    assert (listed.gaps, broker.refused) == ((), [])


async def test_a_broker_that_does_not_list_its_groups_lists_its_topics(kafka: KafkaAddress, dead: Address) -> None:
    without = {key: (0, 99) for key in range(100) if key != LIST_GROUPS}
    async with narrow(kafka.bootstrap, without) as broker, connect(broker.url) as narrowed:
        assert dead.name in [each.address.name for each in await narrowed.endpoints()]


def test_several_groups_share_topics_and_dead_letters() -> None:
    names = ("orders", "payments", "dlq.a", "dlq.b", "other")
    listed = [
        Endpoint(Address("k", name), "topic", "log", Ability.BROWSE, detail=(("replicas", "1"),)) for name in names
    ]
    topics = [
        DeadLetterTopic("dlq.a", "one", ("orders", "payments"), False),
        DeadLetterTopic("dlq.a", "two", ("orders",), True),
        DeadLetterTopic("dlq.b", "three", ("orders",), False),
        DeadLetterTopic("dlq.gone", "four", (), False),
    ]
    found = {each.address.name: each for each in link(listed, topics)}
    assert [each.name for each in found["orders"].dead_letters_to] == ["dlq.a", "dlq.b"]
    assert [each.name for each in found["payments"].dead_letters_to] == ["dlq.a"]
    assert [each.name for each in found["dlq.a"].dead_letters_of] == ["orders", "payments"]
    assert found["dlq.a"].detail[1:] == (
        ("dead letters of", "share group one, without key and body"),
        ("dead letters of", "share group two, with key and body"),
    )
    assert found["other"] is listed[-1]
