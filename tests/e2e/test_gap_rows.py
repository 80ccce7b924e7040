"""What the screen could not see is a row of its table, where it happened and as long as it was."""

import itertools
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import pytest

from connectors.rabbitmq.taps import ASK
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.fuzz import private
from tests.e2e.terminal import SEQUENCE, Terminal
from tests.e2e.test_standstill import STOOD, queues, until
from tests.rabbitmq.conftest import DEADLINE, Rabbit, new_vhost
from workbench.model.address import Address

MISSING = re.compile(
    r"(?:rabbit/exchange:(\S+)… · )?([\d.]+) s · (?:events may be|at least [\d,]+) missing: [^·]+"
    r" · (\d\d:\d\d:\d\d\.\d{3}) to (\d\d:\d\d:\d\d\.\d{3})"
)
ROUNDED = 0.06
"""Seconds by which a length in tenths of a second may be off, and a clock in milliseconds."""


class Relay:
    """What stands between the program and its broker, and can be cut."""

    def __init__(self, port: int) -> None:
        self._broker = ("127.0.0.1", port)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._run(self._accept, self._listener)

    def restore(self) -> None:
        """Let connections through again."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._run(self._accept, self._listener)

    def cut(self) -> None:
        """Break all connections, and refuse others."""
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()
        self._sockets.clear()
        self._threads.clear()

    def _run(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments))
        self._threads[-1].start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                broker = socket.create_connection(self._broker)
                self._sockets += [client, broker]
                self._run(self._pass_on, client, broker)
                self._run(self._pass_on, broker, client)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                target.sendall(chunk)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


class Cut(NamedTuple):
    """When events were lost, in seconds since 1970: after the first two moments, and before the others."""

    began: float
    lost: float
    restored: float
    back: float


def port_of(rabbit: Rabbit) -> int:
    port = urlsplit(rabbit.broker.url).port
    assert port is not None
    return port


@pytest.fixture
def rabbit(rabbitmq_4: RabbitMQAddress) -> Iterator[Rabbit]:
    made = new_vhost(rabbitmq_4)
    yield made
    made.remove()


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return {**private(tmp_path), "TZ": "UTC"}


@pytest.fixture
def relay(rabbit: Rabbit) -> Iterator[Relay]:
    made = Relay(port_of(rabbit))
    yield made
    made.cut()


@contextmanager
def tailing(
    rabbit: Rabbit, relay: Relay, exchanges: Sequence[Address], environment: Mapping[str, str]
) -> Iterator[Terminal]:
    """The screen with live endpoints in one table, each of which has shown an event."""
    url = rabbit.url.replace(f":{port_of(rabbit)}/", f":{relay.port}/")
    options = f"heartbeat=4&scope=fanout-*&management={quote(rabbit.broker.management_url, safe='')}"
    with Terminal("-c", f"rabbit={url}?{options}", columns=200, environment=environment) as terminal:
        terminal.until("exchanges ")
        terminal.press("/fanout-\r")
        terminal.until(exchanges[-1].name[:20])
        if len(exchanges) > 1:
            terminal.press(" " * len(exchanges))
        terminal.press("\r" if len(exchanges) > 1 else "l")
        terminal.until("live")
        for number, exchange in enumerate(exchanges):
            seen(terminal, f"before-{number}", rabbit, exchange)
        # The table alone has room for all of a gap's sentence.
        terminal.press("z")
        received = time.time()
        # What waited in a tap would be lost with it: a gap begins when nothing did.
        until(lambda: len(queues(rabbit)) >= len(exchanges) and time.time() > received + 2 * ASK)
        yield terminal
        # What is live is kept nowhere else: it asks.
        terminal.press("\x11y")
        assert terminal.wait() == 0


def seen(terminal: Terminal, text: str, rabbit: Rabbit, exchange: Address) -> None:
    """Publish an event until one is drawn."""
    end = time.monotonic() + DEADLINE
    while text.encode() not in terminal.received:
        assert time.monotonic() < end, bytes(terminal.received[-3000:])
        rabbit.publish(exchange, text.encode())
        terminal.drain()


def screen(terminal: Terminal, columns: int) -> str:
    """What is on the screen, line by line, once it is painted anew for another width."""
    terminal.drain()
    terminal.forget()
    terminal.resize(columns, 40)
    terminal.until(" help")
    terminal.drain(0.5)
    painted: dict[tuple[int, int], str] = {}
    row = column = 0
    for part in re.split(b"(" + SEQUENCE.pattern + b")", bytes(terminal.received)):
        if (moved := re.fullmatch(rb"\x1b\[(\d+);(\d+)H", part)) is not None:
            row, column = int(moved[1]), int(moved[2])
        elif not part.startswith(b"\x1b"):
            for character in part.decode():
                if character in "\r\n":
                    row, column = row + (character == "\n"), 1
                else:
                    painted[row, column] = character
                    column += 1
    return "\n".join("".join(painted.get((row, at), " ") for at in range(1, columns + 1)) for row in range(1, 41))


def assert_gaps(terminal: Terminal, exchanges: Sequence[Address], cut: Cut) -> None:
    """For each endpoint a row between its events before and after, as long as the time in which events were lost."""
    end = time.monotonic() + DEADLINE
    widths = itertools.cycle((201, 200))
    while len(found := list(MISSING.finditer(shown := screen(terminal, next(widths))))) < len(exchanges):
        assert time.monotonic() < end, shown
    assert "lost" not in MISSING.sub("", shown)
    several = len(exchanges) > 1
    assert len(found) == len(exchanges) and all((each[1] is not None) == several for each in found)
    for number, exchange in enumerate(exchanges):
        # A long name is cut.
        [each] = [each for each in found if exchange.name.startswith(each[1] or "")]
        since, upto = map(clock, each.group(3, 4))
        assert cut.began - ROUNDED <= since <= cut.lost + ROUNDED
        assert cut.restored - ROUNDED <= upto <= cut.back + ROUNDED
        assert abs(float(each[2]) - (upto - since)) <= ROUNDED
        assert f"before-{number}" in shown[: each.start()] and f"after-{number}" in shown[each.end() :]
        assert f"after-{number}" not in shown[: each.start()] and f"before-{number}" not in shown[each.end() :]


def clock(text: str) -> float:
    """The seconds since 1970 of a time of today."""
    now = datetime.now(UTC)
    at = datetime.combine(now.date(), datetime.strptime(text, "%H:%M:%S.%f").time(), UTC)
    return (at if at <= now else at - timedelta(days=1)).timestamp()


@pytest.mark.parametrize("count", [1, 3], ids=["one endpoint", "marked endpoints"])
def test_a_connection_that_was_lost_is_a_gap_between_the_events(
    rabbit: Rabbit, relay: Relay, environment: Mapping[str, str], count: int
) -> None:
    exchanges = [rabbit.exchange("fanout") for _ in range(count)]
    began = time.time()
    with tailing(rabbit, relay, exchanges, environment) as terminal:
        relay.cut()
        until(lambda: not queues(rabbit))
        lost = time.time()
        for exchange in exchanges:
            rabbit.publish(exchange, b"lost")
        restored = time.time()
        relay.restore()
        for number, exchange in enumerate(exchanges):
            seen(terminal, f"after-{number}", rabbit, exchange)
        assert_gaps(terminal, exchanges, Cut(began, lost, restored, time.time()))


def test_a_program_that_stood_still_has_a_gap_between_the_events(
    rabbit: Rabbit, relay: Relay, environment: Mapping[str, str]
) -> None:
    exchanges = [rabbit.exchange("fanout") for _ in range(2)]
    began = time.time()
    with tailing(rabbit, relay, exchanges, environment) as terminal:
        terminal.process.send_signal(signal.SIGSTOP)
        stopped = time.time()
        until(lambda: not queues(rabbit) and time.time() > stopped + STOOD)
        for exchange in exchanges:
            rabbit.publish(exchange, b"lost")
        went_on = time.time()
        terminal.process.send_signal(signal.SIGCONT)
        for number, exchange in enumerate(exchanges):
            seen(terminal, f"after-{number}", rabbit, exchange)
        assert_gaps(terminal, exchanges, Cut(began, stopped, went_on, time.time()))
