"""Groups of every kind: each tells who reads and how far it has got, and one that cannot be read hides no other."""

import asyncio
import json
import struct
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest
from msgspec.structs import replace

from connectors.kafka import KafkaConnector
from connectors.kafka.cluster import Topic
from tests.brokers import install
from tests.brokers.kafka import KafkaAddress
from tests.brokers.narrow import EVENT_HUBS, LIST_GROUPS, narrow
from tests.kafka.conftest import MakeTopic, admin, connect, workbench
from tests.kafka.reading import numbered, publish
from tests.kafka.test_groups import commit
from workbench.model.groups import Group

_HERE = Path(__file__).parent


def new_group() -> str:
    return f"kafka-tests-{uuid.uuid4().hex}"


def as_listed(group: Group) -> Group:
    """A group as it is among all: no event is looked at for that."""
    partitions = tuple(replace(each, oldest_unread=None) for each in group.partitions)
    return replace(group, partitions=partitions)


@asynccontextmanager
async def program(name: str, jars: Path, *arguments: str, ready: bytes) -> AsyncIterator[None]:
    """A Java program of this folder, which has said on entering that it is ready, and ends with its input."""
    java = ["java", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{jars}/*"]
    process = await asyncio.create_subprocess_exec(
        *java, str(_HERE / f"{name}.java"), *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin and process.stdout
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == ready
        yield
    finally:
        process.stdin.close()
        async with asyncio.timeout(60):
            await process.communicate()


@asynccontextmanager
async def odd_member(
    kafka: KafkaAddress, group: str, assignment: bytes, protocol_type: str = "consumer"
) -> AsyncIterator[None]:
    """The only member of a group, with an assignment in whatever form it likes."""
    client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap, client_id="odd")
    await client.bootstrap()
    try:
        node = await client.coordinator_lookup(0, group)
        member = ""
        while True:
            request = JoinGroupRequest(group, 30_000, 30_000, member, None, protocol_type, [("own", b"\0\0")])
            joined = await client.send(node, request)
            if joined.error_code != 79:  # MEMBER_ID_REQUIRED
                break
            member = joined.member_id
        request = SyncGroupRequest(
            group, joined.generation_id, joined.member_id, None, [(joined.member_id, assignment)]
        )
        synced = await client.send(node, request)
        assert joined.error_code == synced.error_code == 0
        yield
        await client.send(node, LeaveGroupRequest(group, joined.member_id))
    finally:
        await client.close()


@pytest.mark.parametrize(
    "assignment", [b'{"my":"own assignment"}', b"\0\1", b"\0\0\0\0\0\1\0\4caf\xe9\0\0\0\0", b"\xff" * 40]
)
async def test_an_assignment_of_its_own_form_is_named_and_hides_nothing(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic, assignment: bytes
) -> None:
    address, odd, other = await topic(1), new_group(), new_group()
    await publish(connector, address, numbered(3))
    await commit(kafka, other, address, {0: 1})
    async with odd_member(kafka, odd, assignment):
        groups = {group.name: group for group in await connector.groups()}
    [member] = groups[odd].members
    [gap] = groups[odd].gaps
    assert (groups[odd].state, member.client, groups[odd].partitions) == ("Stable", "odd", ())
    assert (gap.what, gap.reason) == (f"what is assigned to {member.name}", "it is in a form of its own")
    assert (groups[other].lag, groups[other].gaps) == (2, ())


async def test_an_assignment_without_user_data_is_read(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address, name = await topic(2), new_group()
    topics = struct.pack(">hih", 0, 1, len(address.name)) + address.name.encode() + struct.pack(">ii", 1, 1)
    async with odd_member(kafka, name, topics):
        group = await connector.group(name)
    assert [(each.partition, each.member) for each in group.partitions] == [("1", group.members[0].name)]
    assert group.gaps == ()


async def test_a_member_without_an_assignment_is_shown(connector: KafkaConnector, kafka: KafkaAddress) -> None:
    name = new_group()
    async with odd_member(kafka, name, b""):
        group = await connector.group(name)
    assert (len(group.members), group.gaps) == (1, ())


async def test_a_group_of_another_protocol_is_named_by_it(connector: KafkaConnector, kafka: KafkaAddress) -> None:
    name = new_group()
    async with odd_member(kafka, name, b"\0\1\0\0", "connect"):
        group = await connector.group(name)
    assert (group.kind, [gap.reason for gap in group.gaps]) == (
        "classic (connect)",
        ["it is in the form of the protocol 'connect'"],
    )


async def test_commands_about_other_things_do_not_look_at_groups(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address, name = await topic(1), new_group()
    await publish(connector, address, numbered(1))
    place = f"k/{address.name}"
    async with odd_member(kafka, name, b'{"my":"own assignment"}'):
        for command in (
            ("browse", place, "-n", "1", "-o", "body"),
            ("ls",),
            ("ls", place),
            ("publish", place, "x"),
            ("tail", place, "--idle", "0.1"),
            ("connections", "check"),
        ):
            code, _, errors = await workbench(*command, "-c", f"k={kafka.url}")
            assert (code, "group" in errors) == (0, False), (command, errors)
        code, output, errors = await workbench("groups", "--json", "-c", f"k={kafka.url}")
        table = await workbench("groups", "-o", "table", "-c", f"k={kafka.url}")
    [record] = [record for record in map(json.loads, output.splitlines()) if record["group"] == name]
    assert (code, record["kind"], record["gaps"][0]["reason"]) == (0, "classic", "it is in a form of its own")
    assert f"not seen of group {name}: what is assigned to" in errors
    assert f"not seen of group {name}: what is assigned to" in table[2]


@pytest.mark.parametrize("offered", [EVENT_HUBS, {**EVENT_HUBS, LIST_GROUPS: (0, 5)}])
async def test_a_group_whose_name_is_no_text_is_told_and_hides_no_other(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic, offered: Mapping[int, tuple[int, int]]
) -> None:
    address, name, other = await topic(1), new_group(), new_group()
    await publish(connector, address, numbered(3))
    for each in (name, other):
        await commit(kafka, each, address, {0: 1})
    odd = name.encode()[:-4] + b"caf\xe9"
    async with narrow(kafka.bootstrap, offered, (name.encode(), odd)) as broker, connect(broker.url) as narrowed:
        groups = {group.name: group for group in await narrowed.groups()}
    shown = name[:-4] + "caf\\xe9"
    assert (groups[shown].lag, groups[shown].state, groups[shown].gaps) == (2, "Empty", ())
    assert groups[other] == as_listed(await connector.group(other))


async def test_a_group_whose_description_is_broken_is_told_and_hides_no_other(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address, odd, *others = await topic(1), *(new_group() for _ in range(4))
    await publish(connector, address, numbered(3))
    for each in (odd, *others):
        await commit(kafka, each, address, {0: 1})
    # A state that is longer than the answer.
    broken = odd.encode() + b"\0\x05Empty", odd.encode() + b"\x7f\xffEmpty"
    async with narrow(kafka.bootstrap, renamed=broken) as broker, connect(broker.url) as narrowed:
        groups = {group.name: group for group in await narrowed.groups()}
        assert (await narrowed.group(odd)).gaps == groups[odd].gaps
    assert [(gap.what, gap.reason) for gap in groups[odd].gaps] == [
        ("its members", "The broker's response cannot be read")
    ]
    assert groups[odd].lag == 2
    assert [groups[each] for each in others] == [as_listed(await connector.group(each)) for each in others]


async def test_a_topic_whose_configuration_is_broken_is_told_and_hides_no_other(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    odd, other = await topic(1), await topic(1)
    await publish(connector, odd, numbered(3))
    size = len(odd.name).to_bytes(2)
    broken = b"\x02" + size + odd.name.encode(), b"\x02\x7f\xff" + odd.name.encode()
    async with narrow(kafka.bootstrap, renamed=broken) as broker, connect(broker.url) as narrowed:
        listed = {each.address: each for each in await narrowed.endpoints()}
    assert listed[odd].depth == 3
    assert "retention.ms" not in dict(listed[odd].detail)
    assert dict(listed[other].detail) == dict((await connector.endpoint(other)).detail)
    assert "retention.ms" in dict(listed[other].detail)


async def test_a_topic_that_is_deleted_while_it_is_listed_is_not_missing(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays, goes = await topic(1), await topic(1)
    named = connector._cluster.visible_topics

    async def then_deleted() -> Mapping[str, Topic]:
        found = await named()
        monkeypatch.setattr(connector._cluster, "visible_topics", named)
        async with admin(kafka.bootstrap) as client:
            await client.delete_topics([goes.name])
        # Other tests' topics come and go.
        return {each.name: found[each.name] for each in (stays, goes)}

    monkeypatch.setattr(connector._cluster, "visible_topics", then_deleted)
    listing = await connector.endpoints()
    assert ([each.address for each in listing], listing.gaps) == ([stays], ())


async def test_groups_of_a_broker_that_is_not_there_hide_no_others(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address, name = await topic(1), new_group()
    await publish(connector, address, numbered(3))
    await commit(kafka, name, address, {0: 1})
    async with narrow(kafka.bootstrap, absent=99) as broker:
        async with connect(broker.url) as narrowed:
            listed = await narrowed.groups()
        code, output, errors = await workbench("groups", "--json", "-c", f"k={broker.url}")
    assert (name in [group.name for group in listed], [gap.what for gap in listed.gaps]) == (
        True,
        ["the groups of broker 99"],
    )
    assert (code, name in output, "the groups of broker 99" in errors) == (3, True, True)


async def test_a_consumer_group_tells_its_members(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address = await topic(2)
    await publish(connector, address, numbered(10), partition=1)
    name, classic = new_group(), new_group()
    await commit(kafka, classic, address, {0: 0})
    arguments = (kafka.bootstrap, name, address.name)
    async with program("NewerMember", install.kafka(), *arguments, ready=b"committed\n"):
        group = await connector.group(name)
        listed = {each.name: each for each in await connector.groups()}
    [member] = group.members
    assert (group.kind, member.client, member.host, group.state) == ("consumer", "newer", "127.0.0.1", "Stable")
    assert [(each.partition, each.member) for each in group.partitions] == [("0", member.name), ("1", member.name)]
    assert (group.partitions[1].committed, group.lag, group.gaps) == ("10", 0, ())
    assert (listed[name], listed[classic].state, listed[classic].kind) == (group, "Empty", "classic")
    left = await connector.group(name)
    assert (left.state, left.members, left.lag) == ("Empty", (), 0)


async def test_a_share_group_tells_its_members_and_what_it_has_not_dealt_with(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address, name = await topic(1), new_group()
    await publish(connector, address, numbered(10))
    arguments = (kafka.bootstrap, name, address.name)
    async with program("ShareMember", install.kafka(), *arguments, ready=b"committed\n"):
        group = await becomes(connector, name, lag=0)
    [member] = group.members
    [partition] = group.partitions
    assert (group.kind, group.state, member.client, member.host) == ("share", "Stable", "sharing", "127.0.0.1")
    # How far it is for certain is written down later than what it has dealt with.
    assert (partition.partition, partition.end, partition.oldest_unread) == ("0", "10", None)
    assert (partition.member, group.gaps) == (member.name, ())
    await publish(connector, address, numbered(2))
    left = await connector.group(name)
    assert (left.state, left.members, left.lag) == ("Empty", (), 2)
    assert as_listed(left) in await connector.groups()
    code, output, _ = await workbench("groups", "-o", "table", "-c", f"k={kafka.url}")
    assert code == 0
    [line] = [line for line in output.splitlines() if line.startswith(name)]
    assert line.split()[1:6] == ["k", "share", "Empty", "0", "2"]


async def test_a_streams_group_tells_its_members(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address, name = await topic(2), new_group()
    for partition in range(2):
        await publish(connector, address, numbered(3), partition)
    jars = install.jars("frameworks-streams", _HERE.parent / "frameworks" / "streams.xml", "fetching Streams")
    async with program("StreamsMember", jars, kafka.bootstrap, name, address.name, ready=b"read\n"):
        group = await becomes(connector, name, lag=0)
    [member] = group.members
    assert (group.kind, member.host, group.state, group.gaps) == ("streams", "127.0.0.1", "Stable", ())
    assert member.client.startswith("streaming")
    assert [(each.address, each.partition, each.committed, each.member) for each in group.partitions] == [
        (address, "0", "3", member.name),
        (address, "1", "3", member.name),
    ]
    assert name in [each.name for each in await connector.groups()]


async def becomes(connector: KafkaConnector, name: str, lag: int) -> Any:
    """A group, when it has read so far: what a member commits is known a little later."""
    async with asyncio.timeout(30):
        while True:
            group = await connector.group(name)
            if group.partitions and group.lag == lag and all(each.committed for each in group.partitions):
                return group
            await asyncio.sleep(0.05)
