"""A program that stood still: stopped, or on a machine that was suspended. The gap is as long as what was lost.

A machine that sleeps moves the wall clock and CLOCK_BOOTTIME on, and not CLOCK_MONOTONIC, by which the event loop's
timers go: to them, a connection of minutes ago was there a moment ago. `suspend.c` plays that.
"""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from connectors.rabbitmq.taps import LENGTH
from tests.brokers import install
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import INSTALLED
from tests.rabbitmq.conftest import DEADLINE, Rabbit, new_vhost
from workbench.model.address import Address

STOOD = 4.0
"""Seconds after which a program without a tick a second is certain that it stood still, and was not merely slow."""
SLEPT: Final = 180
"""Seconds for which a machine is suspended."""


@pytest.fixture
def rabbit(rabbitmq_4: RabbitMQAddress) -> Iterator[Rabbit]:
    made = new_vhost(rabbitmq_4)
    yield made
    made.remove()


class Running:
    """A running command, all of whose output is read at once."""

    def __init__(self, rabbit: Rabbit, heartbeat: int, command: Sequence[str], environment: Mapping[str, str]) -> None:
        management = quote(rabbit.broker.management_url, safe="")
        url = f"rabbit={rabbit.url}?heartbeat={heartbeat}&management={management}"
        self._process = subprocess.Popen(
            [INSTALLED, *command, "-c", url, "-o", "body"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        self.out: list[bytes] = []
        self.err: list[str] = []
        assert self._process.stdout and self._process.stderr
        self._readers = [
            threading.Thread(target=lambda stream: self.out.extend(stream), args=[self._process.stdout]),
            threading.Thread(
                target=lambda stream: self.err.extend(map(bytes.decode, stream)), args=[self._process.stderr]
            ),
        ]
        for reader in self._readers:
            reader.start()

    def send(self, number: signal.Signals) -> float:
        """Send a signal; returns when, in seconds since 1970."""
        self._process.send_signal(number)
        return time.time()

    def ended(self) -> int:
        """Wait for its end; returns its exit code."""
        try:
            return self._process.wait(DEADLINE)
        finally:
            self._process.kill()
            self._process.wait()
            for reader in self._readers:
                reader.join()
            for stream in (self._process.stdout, self._process.stderr):
                assert stream
                stream.close()


@contextmanager
def running(
    rabbit: Rabbit, heartbeat: int, command: Sequence[str], environment: Mapping[str, str] = {}
) -> Iterator[Running]:
    """A command; on leaving its end is waited for."""
    started = Running(rabbit, heartbeat, command, environment)
    try:
        yield started
    finally:
        started.ended()


@contextmanager
def tailing(rabbit: Rabbit, address: Address, heartbeat: int, environment: Mapping[str, str] = {}) -> Iterator[Running]:
    """A tail that is subscribed; on leaving it is stopped as by Ctrl+C."""
    with running(rabbit, heartbeat, ("tail", str(address)), environment) as tailed:
        until(lambda: bool(tailed.err))
        yield tailed
        tailed.send(signal.SIGINT)


class Suspension:
    """The clocks of a machine that can be suspended, for one program."""

    def __init__(self, folder: Path) -> None:
        install.tools()
        library = folder / "suspend.so"
        source = Path(__file__).with_name("suspend.c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-nostdlib", "-o", library, source], check=True, timeout=DEADLINE)
        self._slept = folder / "slept"
        self._slept.write_text("0")
        self.environment: Final = {"LD_PRELOAD": str(library), "SUSPENDED": str(self._slept)}
        """Variables with which the program has these clocks."""

    def sleep(self, program: Running) -> float:
        """Suspend the program's machine; returns when, in seconds since 1970."""
        return program.send(signal.SIGSTOP)

    def wake(self, program: Running) -> float:
        """Go on, `SLEPT` seconds later; returns when that is by the program's clock, in seconds since 1970."""
        self._slept.write_text(str(SLEPT))
        return program.send(signal.SIGCONT) + SLEPT


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def queues(rabbit: Rabbit) -> dict[str, int]:
    """Every queue there, and how many messages are ready in it."""
    found = rabbit.api.get(f"/api/queues/{quote(rabbit.vhost, safe='')}").raise_for_status().json()
    return {each["name"]: int(each.get("messages_ready", 0)) for each in found}


def bindings(rabbit: Rabbit, exchange: Address) -> list[object]:
    """What an exchange routes to."""
    place = f"/api/exchanges/{quote(rabbit.vhost, safe='')}/{quote(exchange.name, safe='')}/bindings/source"
    found: list[object] = rabbit.api.get(place).raise_for_status().json()
    return found


def close_connection(rabbit: Rabbit) -> None:
    """Close the program's connection, as a broker does that has heard nothing of it for long."""

    def closed() -> bool:
        for each in rabbit.api.get(f"/api/vhosts/{quote(rabbit.vhost, safe='')}/connections").json():
            if each.get("client_properties", {}).get("connection_name") == "event-workbench":
                rabbit.api.delete(f"/api/connections/{quote(each['name'], safe='')}")
        return not queues(rabbit)

    until(closed)


def gap(tailed: Running, what: str) -> tuple[float, float]:
    """From when to when, in seconds since 1970, something was not seen."""
    found = re.search(rf"not seen: {what} from (\S+) to ([^\s,]+)[ ,]", tailed.err[-1])
    assert found, tailed.err
    since, upto = (datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() for text in found.groups())
    return since, upto


def test_a_connection_that_was_lost_meanwhile_is_a_gap_from_before(rabbit: Rabbit) -> None:
    exchange = rabbit.exchange("fanout")
    began = time.time()
    with tailing(rabbit, exchange, heartbeat=4) as tailed:
        rabbit.publish(exchange, b"before")
        until(lambda: tailed.out == [b"before\n"])
        stopped = tailed.send(signal.SIGSTOP)
        # What comes just after lies in the socket, and is no sign of life when it is read.
        rabbit.publish(exchange, b"meanwhile")
        until(lambda: not queues(rabbit) and time.time() > stopped + STOOD)
        rabbit.publish(exchange, b"lost")
        went_on = tailed.send(signal.SIGCONT)
        until(lambda: bool(queues(rabbit)))

        def after_is_seen() -> bool:
            rabbit.publish(exchange, b"after")
            return tailed.out[-1] == b"after\n"

        until(after_is_seen)
        back = time.time()
    assert b"lost\n" not in tailed.out
    since, upto = gap(tailed, "what arrived")
    assert began <= since <= stopped
    assert went_on <= upto <= back


def test_what_was_lost_while_the_machine_was_suspended_is_a_gap_as_long_as_it_slept(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    exchange = rabbit.exchange("fanout")
    suspension = Suspension(tmp_path)
    began = time.time()
    with tailing(rabbit, exchange, heartbeat=600, environment=suspension.environment) as tailed:
        rabbit.publish(exchange, b"before")
        until(lambda: tailed.out == [b"before\n"])
        stopped = suspension.sleep(tailed)
        close_connection(rabbit)
        rabbit.publish(exchange, b"lost")
        woke = suspension.wake(tailed)
        until(lambda: bool(queues(rabbit)))

        def after_is_seen() -> bool:
            rabbit.publish(exchange, b"after")
            return tailed.out[-1] == b"after\n"

        until(after_is_seen)
        back = time.time() + SLEPT
    assert b"lost\n" not in tailed.out
    since, upto = gap(tailed, "what arrived")
    assert began <= since <= stopped
    assert woke <= upto <= back


def test_copies_that_a_tap_dropped_meanwhile_are_a_gap_from_before(rabbit: Rabbit) -> None:
    exchange = rabbit.exchange("fanout")
    with tailing(rabbit, exchange, heartbeat=600) as tailed:
        rabbit.publish(exchange, b"before")
        until(lambda: tailed.out == [b"before\n"])
        stopped = tailed.send(signal.SIGSTOP)
        number, published = 0, rabbit.amqp.channel()
        while min(queues(rabbit).values()) == 0 or time.time() < stopped + STOOD:
            for _ in range(LENGTH // 2):
                number += 1
                published.basic_publish(exchange.name, "", b"%d" % number)
        published.basic_publish(exchange.name, "", b"last")
        published.close()
        went_on = tailed.send(signal.SIGCONT)
        until(lambda: tailed.out[-1] == b"last\n")
        end = time.time()
    assert len(tailed.out) < number
    since, upto = gap(tailed, "part of what arrived")
    assert since <= stopped
    assert went_on <= upto <= end + DEADLINE


@pytest.mark.parametrize("expected", [("--none",), ("--count", "1")], ids=["nothing", "an event"])
def test_expect_cannot_tell_what_arrived_while_the_machine_was_suspended(
    rabbit: Rabbit, tmp_path: Path, expected: tuple[str, ...]
) -> None:
    exchange = rabbit.exchange("fanout")
    suspension = Suspension(tmp_path)
    command = ("expect", str(exchange), "-w", "body = lost", "--timeout", "8s", *expected)
    with running(rabbit, 600, command, suspension.environment) as expecting:
        # It is bound last, and is subscribed then.
        until(lambda: bool(bindings(rabbit, exchange)))
        suspension.sleep(expecting)
        close_connection(rabbit)
        rabbit.publish(exchange, b"lost")
        suspension.wake(expecting)
        assert expecting.ended() == 3
    assert any("not seen: what arrived from " in line for line in expecting.err), expecting.err
