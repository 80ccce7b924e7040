"""Users who may do a part of what there is to do: each command says what it lacks, and reads what may be read.

The rows of docs/permissions.md for Kafka: `carrier` has just what they name.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pytest
from aiokafka import AIOKafkaConsumer

from tests.e2e.forks import Forks
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import numbered, publish
from tests.kafka.strict import (
    CLUSTER,
    DESCRIBE,
    GROUP,
    PREFIX,
    READ,
    TOPIC,
    TRANSACTION,
    WRITE,
    Permission,
    StrictKafka,
    permit,
)
from workbench.model.content import Content
from workbench.model.event import Event

READ_A, READ_B, WRITE_B = (
    Permission(READ, TOPIC, "may.a"),
    Permission(READ, TOPIC, "may.b"),
    Permission(WRITE, TOPIC, "may.b"),
)
PERMITTED: Final[Mapping[str, Sequence[Permission]]] = {
    "blind": (),
    "seer": (
        Permission(DESCRIBE, TOPIC, "may.", PREFIX),
        Permission(DESCRIBE, GROUP, "billing"),
        Permission(DESCRIBE, CLUSTER, "kafka-cluster"),
    ),
    "reader": (Permission(READ, TOPIC, "may.", PREFIX),),
    "half": (READ_A, Permission(DESCRIBE, TOPIC, "may.b")),
    "writer": (Permission(WRITE, TOPIC, "may.", PREFIX),),
    "mover": (READ_A, WRITE_B, Permission(READ, GROUP, "workbench-move-", PREFIX)),
    "carrier": (
        READ_A,
        WRITE_B,
        Permission(READ, GROUP, "workbench-move-", PREFIX),
        Permission(WRITE, TRANSACTION, "workbench-move-", PREFIX),
        Permission(READ, GROUP, "billing"),
    ),
}
"""By user; `boss` may do everything."""

SEE, READ_IT, WRITE_IT = "no permission to see topic", "no permission to read topic", "no permission to write to topic"
THE_GROUP: Final = "no permission to use group billing"
THE_OFFSETS: Final = "no permission to commit the offsets of group billing"
MAY_NOT_SEE: Final = "or this user may not see"

CHECK, LS, BOTH, FROM_GROUP = (
    "connections check",
    "ls",
    "browse k/may.a k/may.b --from beginning",
    "browse k/may.a --from group:billing",
)
TAIL, FIND, TRACE = (
    "tail k/may.a k/may.b --from beginning --idle 2",
    "find event- k/may.a k/may.b",
    "trace flow-1 k/may.a k/may.b",
)
NOWHERE, SAGAS, DEAD, GROUPS = "trace nowhere", "sagas k/may.a k/may.b", "dead k/may.dlt k/may.b", "groups -g billing"
SEEK, PUBLISH, MOVE = (
    "groups seek billing k/may.a --to beginning -y",
    "publish k/may.b hello",
    "move k/may.a k/may.b -n 1 -y",
)

Said = tuple[int, str]
SAID: Final[Mapping[str, Mapping[str, Said]]] = {
    "blind": {
        CHECK: (0, MAY_NOT_SEE),
        LS: (0, MAY_NOT_SEE),
        BOTH: (1, SEE),
        FROM_GROUP: (1, SEE),
        TAIL: (1, SEE),
        FIND: (1, SEE),
        TRACE: (1, SEE),
        NOWHERE: (4, MAY_NOT_SEE),
        SAGAS: (1, SEE),
        DEAD: (1, SEE),
        GROUPS: (1, THE_GROUP),
        SEEK: (1, SEE),
        PUBLISH: (1, SEE),
        MOVE: (1, SEE),
    },
    "seer": {
        CHECK: (0, "may read 0 and write to 0 of 3 topics"),
        LS: (0, ""),
        BOTH: (1, READ_IT),
        FROM_GROUP: (1, READ_IT),
        TAIL: (1, READ_IT),
        FIND: (1, READ_IT),
        TRACE: (1, READ_IT),
        NOWHERE: (3, READ_IT),
        SAGAS: (1, READ_IT),
        DEAD: (1, READ_IT),
        GROUPS: (0, "not seen of group billing: how old the events of topic may.a are"),
        SEEK: (1, THE_OFFSETS),
        PUBLISH: (1, WRITE_IT),
        MOVE: (1, READ_IT),
    },
    "reader": {
        CHECK: (0, "may read 3 and write to 0 of 3 topics"),
        LS: (0, ""),
        BOTH: (0, ""),
        FROM_GROUP: (1, THE_GROUP),
        TAIL: (0, ""),
        FIND: (0, ""),
        TRACE: (0, ""),
        NOWHERE: (4, ""),
        SAGAS: (0, ""),
        DEAD: (0, ""),
        GROUPS: (1, THE_GROUP),
        SEEK: (1, THE_GROUP),
        PUBLISH: (1, WRITE_IT),
        MOVE: (1, "no permission to"),
    },
    "half": {
        CHECK: (0, "may read 1 and write to 0 of 2 topics"),
        LS: (0, ""),
        BOTH: (3, f"{READ_IT} may.b"),
        FROM_GROUP: (1, THE_GROUP),
        TAIL: (3, f"{READ_IT} may.b"),
        FIND: (3, f"{READ_IT} may.b"),
        TRACE: (3, f"{READ_IT} may.b"),
        NOWHERE: (3, f"{READ_IT} may.b"),
        SAGAS: (3, f"{READ_IT} may.b"),
        DEAD: (1, f"{SEE} may.dlt"),
        GROUPS: (1, THE_GROUP),
        SEEK: (1, THE_GROUP),
        PUBLISH: (1, WRITE_IT),
        MOVE: (1, "no permission to"),
    },
    "writer": {
        CHECK: (0, "may read 0 and write to 3 of 3 topics"),
        LS: (0, ""),
        BOTH: (1, READ_IT),
        TAIL: (1, READ_IT),
        FIND: (1, READ_IT),
        TRACE: (1, READ_IT),
        SAGAS: (1, READ_IT),
        DEAD: (1, READ_IT),
        PUBLISH: (0, ""),
        MOVE: (1, READ_IT),
    },
    "mover": {MOVE: (1, "no permission to use transactional id workbench-move-")},
    "carrier": {FROM_GROUP: (0, ""), GROUPS: (0, ""), SEEK: (0, ""), PUBLISH: (0, ""), MOVE: (0, "")},
    "boss": {
        CHECK: (0, "may read"),
        BOTH: (0, ""),
        FROM_GROUP: (0, ""),
        FIND: (0, ""),
        DEAD: (0, ""),
        GROUPS: (0, ""),
        PUBLISH: (0, ""),
        MOVE: (0, ""),
    },
}
"""The exit code of each command, and what it says."""


@pytest.fixture(scope="module")
def shop(strict: StrictKafka) -> StrictKafka:
    """Topics with events, a group that has read one of them, and users."""

    of_flow = Event(None, b"event-3", None, Content((("correlation_id", "flow-1"),)))

    async def prepare() -> None:
        for name in ("may.a", "may.b", "may.dlt"):
            address = await make_topic(strict.bootstrap, called=name)
            async with connect(strict.url) as connector:
                await publish(connector, address, [*numbered(3), of_flow])
        consumer = AIOKafkaConsumer(
            "may.a", bootstrap_servers=strict.bootstrap, group_id="billing", auto_offset_reset="earliest"
        )
        await consumer.start()
        await consumer.getone()
        await consumer.commit()
        await consumer.stop()
        for user, permissions in PERMITTED.items():
            await permit(strict, user, permissions)

    asyncio.run(prepare())
    return strict


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with Forks("builtins:dict", tmp_path_factory.mktemp("users")) as forks:
        yield forks


@pytest.mark.parametrize("user", SAID)
def test_a_user_is_told_what_it_lacks_and_reads_what_it_may(user: str, shop: StrictKafka, forks: Forks) -> None:
    said = SAID[user]

    def run(text: str) -> tuple[str, ...]:
        since = ("--since", "beginning") if re.match("find|trace|sagas|dead", text) else ()
        return (*text.split(), *since, "-c", f"k={shop.login(user)}", "--guard", "move")

    sent = forks.run([(run(text), "stdout" if text == CHECK else "stderr") for text in said])
    found = {text: next(each for each in sent if each.arguments == run(text)) for text in said}
    assert {text: each.code for text, each in found.items()} == {text: code for text, (code, _) in said.items()}, found
    for text, (_, sentence) in said.items():
        received = found[text].received.decode()
        assert sentence in received
        assert sentence or "permission" not in received
