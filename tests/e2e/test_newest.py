"""`browse -n`, `--from`, `--until` and `-w` on a real Kafka, of one topic and of several."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.brokers.kafka import KafkaAddress
from tests.e2e.command import run
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import BASE, publish
from workbench.model.event import Event


@pytest.fixture
def topics(kafka: KafkaAddress) -> tuple[str, str]:
    """Two topics of two partitions, with 700 events each: a millisecond apart, in turn; every tenth is marked."""

    async def make() -> tuple[str, str]:
        names = []
        async with connect(kafka.url) as connector:
            for turn in range(2):
                address = await make_topic(kafka.bootstrap, 2)
                names.append(address.name)
                for partition in range(2):
                    events = [
                        Event(b"marked" if number % 10 < 4 else b"plain", b"%d" % number, timestamp=BASE + number)
                        for number in range(2 * partition + turn, 2_800, 4)
                    ]
                    await publish(connector, address, events[:350], partition)
        return names[0], names[1]

    return asyncio.run(make())


def browse(kafka: KafkaAddress, *arguments: str) -> tuple[list[int], str]:
    done = run("workbench", "browse", "-c", f"k={kafka.url}", "-o", "body", *arguments)
    assert done.code == 0, done.err
    return [int(line) for line in done.out.splitlines()], done.err


def test_the_newest_and_the_first_of_one_topic(kafka: KafkaAddress, topics: tuple[str, str]) -> None:
    topic = topics[0]
    there = sorted([*range(0, 1_400, 4), *range(2, 1_402, 4)])
    assert browse(kafka, topic, "-n", "3") == (there[-3:], f"k/{topic}: 3 of 700 read from 2 partitions\n")
    assert browse(kafka, topic)[0] == there[-500:]
    assert browse(kafka, topic, "--from", "end-3")[0] == there[-3:]
    assert browse(kafka, topic, "--from", "beginning", "-n", "3")[0] == there[:3]


def test_until_counts_back_from_its_time(kafka: KafkaAddress, topics: tuple[str, str]) -> None:
    topic = topics[0]
    there = sorted([*range(0, 1_400, 4), *range(2, 1_402, 4)])
    moments = {at: datetime.fromtimestamp((BASE + at) / 1000, UTC).isoformat() for at in (100, 900)}
    early = [number for number in there if number < 900]
    assert browse(kafka, topic, "--until", moments[900], "-n", "3")[0] == early[-3:]
    assert browse(kafka, topic, "--until", moments[900])[0] == early[-500:]
    late = [number for number in early if number >= 100]
    assert browse(kafka, topic, "--from", moments[100], "--until", moments[900])[0] == late
    assert browse(kafka, topic, "--from", moments[100], "--until", moments[900], "-n", "5")[0] == late[:5]


def test_a_query_chooses_among_the_newest_and_shows_the_newest_that_match(
    kafka: KafkaAddress, topics: tuple[str, str]
) -> None:
    topic = topics[0]
    there = sorted([*range(0, 1_400, 4), *range(2, 1_402, 4)])
    marked = [number for number in there if number % 10 < 4]
    assert browse(kafka, topic, "-w", "key = marked", "-n", "7") == (
        marked[-7:],
        f"k/{topic}: 500 of 700 read from 2 partitions\n",
    )
    missed = browse(kafka, topic, "-w", "body = 0", "-n", "7")
    assert missed == (
        [],
        f"k/{topic}: 500 of 700 read from 2 partitions\n"
        f"k/{topic}: -w chose among the newest 500: --from beginning searches all, --from -1h an hour\n",
    )
    assert browse(kafka, topic, "-w", "key = marked")[0] == [each for each in there[-500:] if each % 10 < 4]
    assert browse(kafka, topic, "-w", "key = marked", "--from", "beginning", "-n", "7")[0] == marked[:7]


def test_several_topics_are_counted_together(kafka: KafkaAddress, topics: tuple[str, str]) -> None:
    both = sorted(
        number for turn in range(2) for first in (turn, 2 + turn) for number in range(first, 1_400 + first, 4)
    )
    assert browse(kafka, *topics, "-n", "9")[0] == both[-9:]
    assert browse(kafka, *topics, "--from", "beginning", "-n", "9")[0] == both[:9]
    marked = [number for number in both if number % 10 < 4]
    assert browse(kafka, *topics, "-w", "key = marked", "-n", "9")[0] == marked[-9:]
    assert len(browse(kafka, *topics)[0]) == 1_000
