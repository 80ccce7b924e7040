"""Searching and publishing on Kafka, side by side with `kcat`, over the same data in the same run.

    python -m tests.benchmarks.kafka [--events N] [publish|scan|find|growth]…

Times are wall-clock times of whole processes, start included, unless a line says otherwise. What is compared takes
turns, and a ratio is that of two neighbours: the machine's speed drifts. Printed is the median of some rounds, and in
brackets the least and the most. `kcat` comes from https://github.com/edenhill/kcat (apt-get install kcat).
"""

import argparse
import asyncio
import os
import random
import shlex
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import Kafka
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.event import Event

ROUNDS = 5
PUBLISHED = 10
"""Rounds of publishing, which are short."""
FILES = 20
EVENTS_PUBLISHED = 100_000
NEEDLE = "c0ffee0ddba11000-5ca1ab1e"
"""Looks like the correlations of the other events, and is in one event alone: the first of the first topic."""
CODECS = ("none", "lz4", "zstd")
_SEARCH = """
import asyncio, sys
from connectors.kafka import KafkaConnector
from workbench.connecting.config import Connection
from workbench.model.address import Address

async def search(bootstrap, needle, *topics):
    async with KafkaConnector(Connection.parse(f"kafka=kafka://{bootstrap}")) as connector:
        async with connector.scan([Address("kafka", topic) for topic in topics], [[needle.encode()]]) as stream:
            print("found", sum([len(batch) async for batch in stream]))

asyncio.run(search(*sys.argv[1:]))
"""
_PUBLISH = """
import asyncio, sys
from connectors.kafka import KafkaConnector
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.event import Event

async def publish(bootstrap, topic, file):
    with open(file, "rb") as lines:
        pairs = [line.rstrip(b"\\n").split(b"\\t", 1) for line in lines]
    events = [Event(key, body) for key, body in pairs]
    async with KafkaConnector(Connection.parse(f"kafka=kafka://{bootstrap}")) as connector:
        async with connector.publisher() as publisher:
            await publisher.send(Address("kafka", topic), events)
            await publisher.finish()
            receipts = [receipt async for some in publisher.receipts() for receipt in some]
    print("published", sum(receipt.error is None for receipt in receipts))

asyncio.run(publish(*sys.argv[1:]))
"""


def line(number: int, chance: random.Random, correlation: str | None = None) -> str:
    """Key, tab and about 400 bytes of JSON."""
    key = correlation or f"{chance.getrandbits(64):016x}-{number:08x}"
    kind = ("order.created", "order.paid", "order.shipped", "payment.failed", "inventory.reserved")[number % 5]
    bits = chance.getrandbits(128)
    sku, price, customer = bits % 99999, bits % 9973 / 100, bits % 999983
    return (
        f'{key}\t{{"id":"{bits:032x}","type":"{kind}","correlationId":"{key}","tenant":"acme-{number % 50}",'
        f'"data":{{"orderId":{bits % 999999937},"customer":{{"id":{customer},"email":"user{customer}@example.com"}},'
        f'"items":[{{"sku":"SKU-{sku:05}","qty":{number % 9},"price":{price}}},{{"sku":"SKU-{sku // 7:05}","qty":1,'
        f'"price":{price / 2}}}],"total":{price * 3},"currency":"EUR"}},"source":"checkout-service"}}\n'
    )


class Bench:
    """A broker, and topics filled for this run."""

    def __init__(self, broker: Kafka, folder: Path, events: int) -> None:
        self.broker = broker
        self.folder = folder
        self.events = events
        self.files = [folder / f"events-{number}" for number in range(FILES)]
        chance = random.Random(7)
        for index, file in enumerate(self.files):
            with file.open("w") as lines:
                if index == 0:
                    lines.write(line(0, chance, NEEDLE))
                lines.writelines(line(number, chance) for number in range(index == 0, events // FILES))

    async def topics(self, count: int, partitions: int) -> list[str]:
        """New topics."""
        names = [f"bench-{uuid.uuid4().hex[:8]}" for _ in range(count)]
        client = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        await client.start()
        await client.create_topics([NewTopic(name, partitions, 1) for name in names])
        await client.close()
        return names

    def fill(self, topics: list[str], codec: str, files: int = FILES) -> None:
        """Spread some of the events over topics, compressed by the producer that wrote them."""
        for index, name in enumerate(topics):
            some = " ".join(map(str, self.files[: files or FILES][index :: len(topics)]))
            options = f"-K '\t' -z {codec} -X linger.ms=50 -X acks=1"
            command = f"cat {some} | kcat -P -b {self.broker.bootstrap} -t {name} {options}"
            subprocess.run(command, shell=True, check=True)

    async def delete(self, topics: list[str]) -> None:
        """Make room."""
        client = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        await client.start()
        await client.delete_topics(topics)
        await client.close()

    def kcat(self, topics: list[str]) -> None:
        """`kcat -e | grep`, one after the other, as a user would in a loop."""
        found = 0
        for name in topics:
            done = subprocess.run(
                f"kcat -C -q -e -o beginning -b {self.broker.bootstrap} -t {name} | grep -c {NEEDLE}",
                shell=True,
                capture_output=True,
                text=True,
                check=False,
            )
            found += int(done.stdout)
        assert found == 1, found

    def scan(self, topics: list[str], cores: str | None = None, processes: int = 1) -> None:
        """The connector's scan in a process of its own, on some of the cores, or in several with a share each."""
        bound = ["taskset", "-c", cores] if cores else []
        some = [self._ours(_SEARCH, NEEDLE, *topics[part::processes], before=bound) for part in range(processes)]
        found = [process.communicate()[0].strip() for process in some]
        assert sorted(found) == ["found 0"] * (processes - 1) + ["found 1"], found

    def find(self, topics: list[str]) -> None:
        """`workbench find` for the id, from the command line."""
        self._command("find", NEEDLE, *topics)

    def browse(self, topics: list[str]) -> None:
        """`workbench browse -w` for the correlation, from the command line."""
        self._command("browse", *topics, "--from", "beginning", "-w", f"correlation = {NEEDLE}")

    def _command(self, *words: str) -> None:
        command = [str(Path(sys.executable).parent / "workbench"), *words, "-c", f"k={self.broker.url}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=self._environment())
        assert done.stdout.count("\n") == 1, (done.stdout, done.stderr)

    def _environment(self) -> dict[str, str]:
        # As installed: there the bytecode is kept.
        return {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode")}

    def publish(self, topic: str, file: Path) -> None:
        """The connector's publisher in a process of its own, which reads the events from a file."""
        printed, _ = self._ours(_PUBLISH, topic, str(file)).communicate()
        assert printed.strip() == f"published {EVENTS_PUBLISHED}", printed

    def socket(self, topics: list[str], partitions: int) -> None:
        """A bare socket that asks for the same bytes and drops them."""
        drop(self.broker.bootstrap, topics, partitions)

    def _ours(self, program: str, *arguments: str, before: Sequence[str] = ()) -> "subprocess.Popen[str]":
        command = [*before, sys.executable, "-c", program, self.broker.bootstrap, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self._environment())


class Figures(list[float]):
    """Seconds, or ratios, of some rounds."""

    def __str__(self) -> str:
        return f"{median(self):.3f} ({min(self):.3f} to {max(self):.3f})"

    def of(self, others: "Figures") -> "Figures":
        """Their ratios, round by round."""
        return Figures(mine / other for mine, other in zip(self, others, strict=True))


def in_turn(*works: Callable[[], None], rounds: int = ROUNDS) -> list[Figures]:
    """Seconds that each takes, in rounds that follow one that does not count."""
    figures = [Figures() for _ in works]
    for counts in (False, *[True] * rounds):
        for work, seconds in zip(works, figures, strict=True):
            begin = time.perf_counter()
            work()
            if counts:
                seconds.append(time.perf_counter() - begin)
    return figures


def drop(bootstrap: str, topics: list[str], partitions: int) -> None:
    """Fetch everything over one socket without looking at it; which offset comes next is asked for in headers alone."""
    host, port = bootstrap.split(":")
    size = 16 << 20
    buffer = bytearray(size + (4 << 20))
    view = memoryview(buffer)
    with socket.create_connection((host, int(port))) as stream:
        offsets = {(topic, number): 0 for topic in topics for number in range(partitions)}
        open_ = dict(offsets)
        while open_:
            grouped: dict[str, list[bytes]] = {}
            for topic, number in open_:
                row = struct.pack(">iiqqi", number, -1, offsets[topic, number], -1, size // len(open_))
                grouped.setdefault(topic, []).append(row)
            body = struct.pack(">iiiibii", -1, 500, 1, size, 0, 0, -1) + struct.pack(">i", len(grouped))
            for topic, rows in grouped.items():
                body += struct.pack(">h", len(topic)) + topic.encode() + struct.pack(">i", len(rows)) + b"".join(rows)
            body = struct.pack(">hhih", 1, 10, 1, 0) + body + struct.pack(">i", 0)
            stream.sendall(struct.pack(">i", len(body)) + body)
            (length,) = struct.unpack(">i", stream.recv(4, socket.MSG_WAITALL))
            got = 0
            while got < length:
                got += stream.recv_into(view[got:length])
            position = 18
            (names,) = struct.unpack_from(">i", buffer, 14)
            for _ in range(names):
                (name,) = struct.unpack_from(">h", buffer, position)
                topic = buffer[position + 2 : position + 2 + name].decode()
                position += 2 + name
                (rows_,) = struct.unpack_from(">i", buffer, position)
                position += 4
                for _ in range(rows_):
                    number, _, high, _, _, aborted, records = struct.unpack_from(">ihqqqii", buffer, position)
                    position += 38 + 16 * max(aborted, 0)
                    end, next_ = position + records, offsets[topic, number]
                    while position + 61 <= end:
                        base, length = struct.unpack_from(">qi", buffer, position)
                        if position + 12 + length > end:
                            break
                        next_ = base + struct.unpack_from(">i", buffer, position + 23)[0] + 1
                        position += 12 + length
                    position = end
                    offsets[topic, number] = next_
                    if next_ >= high:
                        open_.pop((topic, number), None)


async def scanning(bench: Bench) -> None:
    """Find one event among all of four topics of four partitions."""
    print(f"\nfind one of {bench.events:,} events in 4 topics of 4 partitions (seconds)")
    for codec in CODECS:
        topics = await bench.topics(4, 4)
        bench.fill(topics, codec)
        scan, kcat, bare = in_turn(
            partial(bench.scan, topics), partial(bench.kcat, topics), partial(bench.socket, topics, 4)
        )
        print(f"  {codec:5} scan {scan}  kcat|grep {kcat}  bare socket {bare}")
        print(
            f"        scan/kcat {scan.of(kcat)}  scan/socket {scan.of(bare)}  socket/kcat {bare.of(kcat)}", flush=True
        )
        await bench.delete(topics)


async def finding(bench: Bench) -> None:
    """The same by the commands that a user types."""
    print(f"\nfind one of {bench.events:,} events in 4 topics of 4 partitions from the command line (seconds)")
    for codec in CODECS:
        topics = await bench.topics(4, 4)
        bench.fill(topics, codec)
        find, browse, kcat = in_turn(
            partial(bench.find, topics), partial(bench.browse, topics), partial(bench.kcat, topics)
        )
        print(f"  {codec:5} find {find}  browse -w {browse}  kcat|grep {kcat}")
        print(f"        find/kcat {find.of(kcat)}  browse/kcat {browse.of(kcat)}", flush=True)
        await bench.delete(topics)


async def growth(bench: Bench) -> None:
    """How the time grows with events, partitions, cores and processes."""
    print("\ngrowth, uncompressed (seconds)")
    for partitions, files in (*((4, FILES * fifth // 5) for fifth in range(1, 6)), *((2**n, 4) for n in range(5))):
        topics = await bench.topics(1, partitions)
        bench.fill(topics, "none", files)
        [seconds] = in_turn(partial(bench.scan, topics))
        events = bench.events * files // FILES
        print(f"  {events:>9,} events in {partitions:2} partitions {seconds}", flush=True)
        await bench.delete(topics)
    print(f"\nfind one of {bench.events:,} events in 4 topics of 4 partitions (seconds)")
    for codec in CODECS:
        topics = await bench.topics(4, 4)
        bench.fill(topics, codec)
        one, two, core = in_turn(
            partial(bench.scan, topics), partial(bench.scan, topics, processes=2), partial(bench.scan, topics, "0")
        )
        print(
            f"  {codec:5} one process {one}  two with half of the topics each {two}  one on one core {core}", flush=True
        )
        await bench.delete(topics)


async def publishing(bench: Bench) -> None:
    """Events acknowledged by all in-sync replicas."""
    chance = random.Random(11)
    source = [line(number, chance) for number in range(EVENTS_PUBLISHED)]
    file = bench.folder / "events.txt"
    file.write_text("".join(source))
    pairs = [each.rstrip("\n").split("\t", 1) for each in source]
    events = [Event(key.encode(), body.encode()) for key, body in pairs]
    print(f"\npublish {EVENTS_PUBLISHED:,} events with acks=all to 4 partitions (seconds)")
    [ours, theirs, process] = await bench.topics(3, 4)
    command = f"kcat -P -b {bench.broker.bootstrap} -t {theirs} -K '\\t' -X acks=all -l {file}"

    async def publish() -> None:
        async with (
            KafkaConnector(Connection.parse(f"kafka={bench.broker.url}")) as connector,
            connector.publisher() as publisher,
        ):
            await publisher.send(Address("kafka", ours), events)
            await publisher.finish()
            answered = [receipt async for some in publisher.receipts() for receipt in some]
        assert len(answered) == EVENTS_PUBLISHED and not any(receipt.error for receipt in answered)

    publisher, kcat, whole = await asyncio.to_thread(
        in_turn,
        lambda: asyncio.run(publish()),
        lambda: assert_ok(command),
        lambda: bench.publish(process, file),
        rounds=PUBLISHED,
    )
    ratios = publisher.of(kcat)
    print(f"  publisher, connecting included, in a process that has the events {publisher}  kcat -P {kcat}")
    print(f"  publisher/kcat {ratios}, by rounds: {' '.join(f'{ratio:.2f}' for ratio in ratios)}")
    print(f"  publisher in a process of its own that reads the file {whole}  publisher/kcat {whole.of(kcat)}")


def assert_ok(command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(shlex.split(command), check=True)


PARTS = {"publish": publishing, "scan": scanning, "find": finding, "growth": growth}


def main() -> None:
    """Start a broker, run what is asked for, print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="publish|scan|find|growth")
    parser.add_argument("--events", type=int, default=5_000_000)
    arguments = parser.parse_args()
    # The tests' brokers compile little, to start fast; this goes before their own options.
    os.environ["_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=4"
    with Kafka("benchmark") as broker, TemporaryDirectory() as folder:
        bench = Bench(broker, Path(folder), arguments.events)
        for part in arguments.parts or PARTS:
            asyncio.run(PARTS[part](bench))


if __name__ == "__main__":
    main()
