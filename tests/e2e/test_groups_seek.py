"""`workbench groups seek`: a consumer group goes on elsewhere, and back where it was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.brokers.kafka import KafkaAddress
from tests.e2e.command import run
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import numbered, publish
from workbench.model.errors import Unsupported
from workbench.operations.journal.records import find_journal
from workbench.operations.move.moves import plan_undo
from workbench.session import Session


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, for the programs that it starts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def a_topic(kafka: KafkaAddress) -> str:
    """A topic of two partitions with ten events each, a millisecond apart; its address."""

    async def make() -> str:
        address = await make_topic(kafka.bootstrap, 2)
        async with connect(kafka.url) as connector:
            for partition in range(2):
                await publish(connector, address, numbered(10), partition)
        return str(address)

    return asyncio.run(make())


@asynccontextmanager
async def a_member(kafka: KafkaAddress, group: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that is in the group, and has its partitions."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        async with asyncio.timeout(60):
            while not consumer.assignment():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        yield consumer
    finally:
        await consumer.stop()


def committed(group: str, *connection: str) -> dict[str, str | None]:
    """Where a group stands, by partition."""
    [record] = run("workbench", "groups", "-g", group, *connection).records
    return {each["partition"]: each["committed"] for each in record["partitions"]}


def test_a_group_goes_where_it_is_put_and_back(kafka: KafkaAddress) -> None:
    address, group = a_topic(kafka), f"seek-{uuid4().hex}"
    connection = ("-c", f"kafka={kafka.url}", "--guard", "move")

    async def read_a_little() -> None:
        async with a_member(kafka, group, address.partition("/")[2]) as consumer:
            topic = address.partition("/")[2]
            await consumer.commit({TopicPartition(topic, 0): 4})

    asyncio.run(read_a_little())
    done = run("workbench", "groups", "seek", group, address, "--to", "latest", "--yes", *connection)
    assert done.code == 0, done
    assert [(each["partition"], each["from"], each["to"]) for each in done.records] == [
        ("0", "4", "10"),
        ("1", None, "10"),
    ]
    assert committed(group, *connection) == {"0": "10", "1": "10"}
    one = run("workbench", "groups", "seek", group, address, "--to", "1:3", "--yes", *connection)
    assert [(each["partition"], each["from"], each["to"]) for each in one.records] == [("1", "10", "3")]
    time = run("workbench", "groups", "seek", group, address, "--to", "2000-01-01T00:00", "--dry-run", *connection)
    assert [each["to"] for each in time.records] == ["0", "0"]
    assert committed(group, *connection) == {"0": "10", "1": "3"}
    [last, first] = run("workbench", "journal").records
    # The Journal screen says how it is put back.
    with pytest.raises(Unsupported, match=f"journal undo {last['id']}` puts it back"):
        asyncio.run(plan_undo(Session(), find_journal(last["id"])))
    assert (last["kind"], last["state"]) == ("seek", "done")
    for each in (last, first):
        assert run("workbench", "journal", "undo", each["id"], "--yes", *connection).code == 0
    assert committed(group, *connection) == {"0": "4"}
    again = run("workbench", "journal", "undo", first["id"], "--yes", *connection)
    assert (again.code, again.out) == (0, "")


def test_a_group_that_has_members_stays_where_it_is(kafka: KafkaAddress) -> None:
    address, group = a_topic(kafka), f"seek-{uuid4().hex}"
    arguments = (
        "groups",
        "seek",
        group,
        address,
        "--to",
        "beginning",
        "--yes",
        "-c",
        f"kafka={kafka.url}",
        "--guard",
        "move",
    )

    async def seek_while_read() -> None:
        async with a_member(kafka, group, address.partition("/")[2]):
            done = await asyncio.to_thread(run, "workbench", *arguments)
        assert done.code == 1
        assert done.err == f"workbench: Group {group} has 1 member: stop them first, they would commit over it.\n"

    asyncio.run(seek_while_read())
    assert run("workbench", "journal").records == []


def test_nothing_is_changed_without_a_yes_a_place_or_the_guards_leave(kafka: KafkaAddress) -> None:
    address, group = a_topic(kafka), f"seek-{uuid4().hex}"
    connection = ("-c", f"kafka={kafka.url}", "--guard", "move")
    asked = run("workbench", "groups", "seek", group, address, "--to", "beginning", *connection)
    assert (asked.code, len(asked.records)) == (2, 2)
    assert asked.err == "Nothing was changed: add --yes to go on.\n"
    beyond = run("workbench", "groups", "seek", group, address, "--to", "0:99", "--yes", *connection)
    assert beyond.code == 1 and "there is no 99" in beyond.err
    refused = run(
        "workbench", "groups", "seek", group, address, "--to", "beginning", "--yes", *connection, "--guard", "publish"
    )
    assert refused.code == 1 and "needs 'move'" in refused.err
    assert run("workbench", "groups", "-g", group, *connection).code == 1
    assert run("workbench", "journal").records == []
