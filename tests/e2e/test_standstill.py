"""A program that stood still: stopped, or on a machine that was suspended. The gap is as long as what was lost."""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import quote

import pytest

from connectors.rabbitmq.taps import LENGTH
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import INSTALLED
from tests.rabbitmq.conftest import DEADLINE, Rabbit, new_vhost
from workbench.model.address import Address

STOOD = 4.0
"""Seconds after which a program without a tick a second is certain that it stood still, and was not merely slow."""


@pytest.fixture
def rabbit(rabbitmq_4: RabbitMQAddress) -> Iterator[Rabbit]:
    made = new_vhost(rabbitmq_4)
    yield made
    made.remove()


class Tailed:
    """A running `workbench tail`, all of whose output is read at once."""

    def __init__(self, rabbit: Rabbit, address: Address, heartbeat: int) -> None:
        management = quote(rabbit.broker.management_url, safe="")
        url = f"rabbit={rabbit.url}?heartbeat={heartbeat}&management={management}"
        self._process = subprocess.Popen(
            [INSTALLED, "tail", "-c", url, str(address), "-o", "body"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
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

    def ended(self) -> None:
        """Wait for its end."""
        try:
            self._process.wait(DEADLINE)
        finally:
            self._process.kill()
            self._process.wait()
            for reader in self._readers:
                reader.join()
            for stream in (self._process.stdout, self._process.stderr):
                assert stream
                stream.close()


@contextmanager
def tailing(rabbit: Rabbit, address: Address, heartbeat: int) -> Iterator[Tailed]:
    """A tail that is subscribed; on leaving it is stopped as by Ctrl+C."""
    tailed = Tailed(rabbit, address, heartbeat)
    try:
        until(lambda: bool(tailed.err))
        yield tailed
        tailed.send(signal.SIGINT)
    finally:
        tailed.ended()


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


def gap(tailed: Tailed, what: str) -> tuple[float, float]:
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
