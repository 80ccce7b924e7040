"""The screen while events arrive: from a key to its paint, how far behind the newest event it is, memory, processor.

    python -m tests.benchmarks.screen [--held N] [--rate N] [--keys N]

The installed `workbench` runs in a pseudo-terminal of 160 by 50 cells and follows a topic of four partitions, which
`kcat` fills, first with what is to be held and then at a rate. The key is page up: it is painted when the
terminal has got rows that were not there before, all of which had to be fetched from the store.
"""

import argparse
import asyncio
import fcntl
import math
import os
import pty
import re
import statistics
import struct
import subprocess
import tempfile
import termios
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from aiokafka.admin import NewTopic

from tests.brokers.kafka import Kafka, KafkaAddress
from tests.brokers.shared import running
from tests.e2e.command import INSTALLED
from tests.kafka.conftest import admin

COLUMNS: Final = 160
ROWS: Final = 50
NUMBER: Final = re.compile(rb'"n":(\d{9})')
"""An event's number, as it stands at the beginning of its body in the table."""
PAGE_UP: Final = b"\x1b[5~"
STEPS: Final = 50
"""Bursts a second in which events are published."""
PAUSE: Final = 0.15
"""Seconds from one paint to the next key."""
LONGEST: Final = 120.0
"""Seconds after which what is waited for does not come."""


class Terminal:
    """A program in a pseudo-terminal, and when it sent what."""

    def __init__(self, *command: str, environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.painted: list[tuple[float, set[int]]] = []
        """Every time that rows were painted, and which."""
        self.text = b""
        """The last that was sent."""
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, key: bytes) -> float:
        """Press a key; returns when."""
        now = time.perf_counter()
        os.write(self._ours, key)
        return now

    def wait(self, begin: int, wanted: "re.Pattern[bytes] | set[int]", others: bool = False) -> float:
        """Wait for a text; or for a row of these numbers, or of none of them, in a paint from number `begin` on.

        Returns:
            When it came.
        """
        deadline = time.monotonic() + LONGEST
        with self._came:
            while True:
                if isinstance(wanted, re.Pattern):
                    if wanted.search(self.text):
                        return time.perf_counter()
                else:
                    for at, numbers in self.painted[begin:]:
                        if numbers - wanted if others else numbers & wanted:
                            return at
                    begin = len(self.painted)
                if not self._came.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"It never came; the last was {self.text[-500:]!r}.")

    def close(self) -> None:
        """End the program."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._ours, 1 << 16)
            except OSError:
                return
            now = time.perf_counter()
            with self._came:
                self.text = (self.text + data)[-(1 << 16) :]
                # A row may be cut in two by the read before.
                numbers = set(map(int, NUMBER.findall(self.text[-len(data) - 12 :])))
                if numbers:
                    self.painted.append((now, numbers))
                self._came.notify_all()


class Source:
    """Numbered events of some 400 bytes, through `kcat`."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        command = ["kcat", "-P", "-b", bootstrap, "-t", topic, "-K", "\t", "-X", "linger.ms=10", "-X", "acks=1"]
        self._kcat = subprocess.Popen(command, stdin=subprocess.PIPE)
        self.count = 0
        self.times: dict[int, float] = {}
        """When bursts were published, by the number behind their last event."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: None)

    def publish(self, count: int) -> None:
        """Publish some at once."""
        pipe: IO[bytes] | None = self._kcat.stdin
        assert pipe is not None
        filling = b"." * 220
        pipe.write(
            b"".join(
                b'%x\t{"n":%09d,"type":"order.paid","correlationId":"7f3a90c2-0000-4000-8000-%012x","total":%d.50,"note":"%s"}\n'
                % (number % 97, number, number // 10, number % 1000, filling)
                for number in range(self.count, self.count + count)
            )
        )
        pipe.flush()
        self.count += count
        self.times[self.count] = time.perf_counter()

    def begin(self, rate: int) -> None:
        """Publish so many a second from now on."""

        def run() -> None:
            began, first = time.perf_counter(), self.count
            while not self._stop.wait(1 / STEPS):
                due = first + int((time.perf_counter() - began) * rate)
                if due > self.count:
                    self.publish(due - self.count)

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Publish no more."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._kcat.kill()
        self._kcat.wait()


def processes(root: int) -> list[int]:
    """A process and all that come from it."""
    children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
    return [root, *(each for child in children for each in processes(int(child)))]


def resident(pid: int) -> float:
    """Megabytes that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def used(pid: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantiles(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and the worst, in milliseconds; `never` where nothing was painted."""
    if not seconds:
        return "never"
    ordered = sorted(seconds)
    p99 = ordered[math.ceil(len(ordered) * 0.99) - 1]
    return (
        f"median {statistics.median(ordered) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, worst {ordered[-1] * 1000:.0f} ms"
    )


async def make(bootstrap: str, topic: str) -> None:
    """Make a topic."""
    async with admin(bootstrap) as client:
        await client.create_topics([NewTopic(topic, 4, 1)])


async def delete(bootstrap: str, topic: str) -> None:
    """Make room."""
    async with admin(bootstrap) as client:
        await client.delete_topics([topic])


def keys(terminal: Terminal, count: int) -> list[float]:
    """Page up through the table; the time from each key to the rows it brings."""
    taken: list[float] = []
    begin = len(terminal.painted)
    terminal.press(PAGE_UP)
    time.sleep(1)
    shown = set().union(*(numbers for _, numbers in terminal.painted[begin:]))
    for _ in range(count):
        begin = len(terminal.painted)
        pressed = terminal.press(PAGE_UP)
        taken.append(terminal.wait(begin, shown, others=True) - pressed)
        time.sleep(PAUSE)
        shown = set().union(*(numbers for _, numbers in terminal.painted[begin:]))
    return taken


def behind(terminal: Terminal, source: Source, begin: int) -> list[float]:
    """How long before each paint its newest event was published."""
    ends = sorted(source.times)
    return [at - source.times[ends[bisect_right(ends, max(numbers))]] for at, numbers in terminal.painted[begin:]]


def measured(terminal: Terminal, source: Source, held: int, rate: int, count: int) -> None:
    """All figures of one run."""
    terminal.wait(0, re.compile(rb"live"))
    began = time.perf_counter()
    for _ in range(0, held, 10_000):
        source.publish(10_000)
    terminal.wait(0, set(range(source.count - ROWS, source.count)))
    seconds = time.perf_counter() - began
    print(f"{held:,} events held after {seconds:.0f} s, {held / seconds / 1000:.0f} k/s", flush=True)
    time.sleep(3)
    pid = terminal.process.pid
    for what, pace in ((f"{rate:,} events a second arriving", rate), ("nothing arriving", 0)):
        if pace:
            source.begin(pace)
            time.sleep(2)
            begin, before, then = len(terminal.painted), used(pid), time.perf_counter()
            time.sleep(5)
            spent = (used(pid) - before) / (time.perf_counter() - then)
            late = behind(terminal, source, begin)
            print(f"{what}, followed: {quantiles(late)} behind, {spent:.0%} of a core")
        else:
            source.close()
            time.sleep(3)
        before = used(pid)
        line = f"{what}: key to paint {quantiles(keys(terminal, count))}"
        if not pace:
            # Unlike the time, this is the same on a machine that does something else as well.
            line += f"; {(used(pid) - before) / count * 1000:.0f} ms of processor a key"
        print(line, flush=True)
        each = [f"{resident(process):.0f}" for process in processes(pid)]
        print(f"{what}: {source.count:,} held, {each[0]} MB resident; its workers {' '.join(each[1:]) or 'none'}")


@contextmanager
def screen(broker: KafkaAddress, topic: str) -> Iterator[Terminal]:
    """`workbench` on a topic, with nothing configured."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder}
        terminal = Terminal(str(INSTALLED), "-c", f"kafka={broker.url}", f"kafka/{topic}", environment=environment)
        try:
            yield terminal
        finally:
            terminal.close()


def main() -> None:
    """Start a broker if none runs, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--keys", type=int, default=200)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        broker = running("kafka", KafkaAddress) or stack.enter_context(Kafka("benchmark"))
        topic = f"bench-{os.getpid()}"
        asyncio.run(make(broker.bootstrap, topic))
        stack.callback(lambda: asyncio.run(delete(broker.bootstrap, topic)))
        source = Source(broker.bootstrap, topic)
        stack.callback(source.close)
        terminal = stack.enter_context(screen(broker, topic))
        measured(terminal, source, arguments.held, arguments.rate, arguments.keys)


if __name__ == "__main__":
    main()
