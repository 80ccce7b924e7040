"""The shop, alive: two brokers, the services at work on them, and the time in which they do it."""

import asyncio
from random import Random
from typing import Final

import msgspec

from connectors.memory.broker import Broker, Clock, wall_clock
from connectors.memory.demo.layout import declare
from connectors.memory.demo.scheduler import Agenda
from connectors.memory.demo.services import Services

HISTORY: Final = 30 * 60_000
"""Milliseconds for which the shop has traded before anybody looks."""
QUIET: Final = 0.8
"""Events a second in those."""
RUSH: Final = 15_000
"""Milliseconds before the opening in which the shop is as busy as it goes on, so that its queues are as full."""
EXPIRE: Final = 3_000
"""Milliseconds between two looks for what has expired."""
LIVELY: Final = 20.0
"""Events a second."""


class Settings(msgspec.Struct, frozen=True):
    """How a shop is opened.

    Attributes:
        seed: Chooses what happens: with the same clock, the same.
        clock: When it opens, in milliseconds since 1970 UTC; its time then goes from one happening to the next, so that
            all times are the same whenever it runs. None: now, and its time is the machine's.
        pace: Events a second; 0: nothing moves, neither time nor what somebody publishes.
    """

    seed: int = 7
    clock: int | None = None
    pace: float = LIVELY


class Shop:
    """One shop with its history; it lives while it is open, on the running event loop, without a task.

    Attributes:
        rabbit: Its queues, exchanges and a stream.
        kafka: Its topics and consumer groups.
    """

    def __init__(self, settings: Settings, wall: Clock = wall_clock) -> None:
        opening = wall() if settings.clock is None else settings.clock
        self._settings = settings
        self._wall = wall
        self._agenda = Agenda(opening - HISTORY)
        self._on_the_wall = False
        self._acting = False
        self._timer: asyncio.TimerHandle | None = None
        self._awaited = 0
        self.rabbit = Broker("shop/rabbit", self._clock)
        self.kafka = Broker("shop/kafka", self._clock)
        declare(self.rabbit, self.kafka)
        self._services = Services(self.rabbit, self.kafka, self._agenda, Random(settings.seed))
        self._services.stock_up()
        self._services.open(QUIET)
        self._expire()
        self._agenda.after(HISTORY * 0.3, self._services.cut_short)
        self.pass_time(HISTORY - RUSH)
        self._services.open(LIVELY)
        self.pass_time(RUSH)
        if settings.pace:
            self._services.open(settings.pace)
        self._on_the_wall = settings.clock is None and settings.pace > 0

    def open(self) -> None:
        """Let it live."""
        if self._settings.pace:
            self.rabbit.watchers.add(self._stir)
            self.kafka.watchers.add(self._stir)
            self._wait()

    def close(self) -> None:
        """Let nothing move any more."""
        self.rabbit.watchers.discard(self._stir)
        self.kafka.watchers.discard(self._stir)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pass_time(self, milliseconds: int) -> None:
        """Let at once happen what so much time would bring; only while the clock is the shop's own."""
        until = self._agenda.now + milliseconds
        while (due := self._agenda.due) is not None and due <= until:
            self._act()
        self._agenda.now = until

    def _clock(self) -> int:
        return self._wall() if self._on_the_wall else self._agenda.now

    def _expire(self) -> None:
        """Notice what has expired, also when nothing else happens."""
        self.rabbit.observe()
        self._agenda.after(EXPIRE, self._expire)

    def _act(self) -> None:
        self._agenda.next()()
        self._services.look()

    def _live(self) -> None:
        """Do what is due, and wait for what is next. A machine that slept does not catch up: it is then just later."""
        self._timer = None
        self._acting = True
        try:
            if self._on_the_wall:
                self._agenda.now = max(self._agenda.now, self._wall())
            until = self._agenda.now if self._on_the_wall else self._agenda.due
            while (due := self._agenda.due) is not None and until is not None and due <= until:
                self._act()
        finally:
            self._acting = False
        self._wait()

    def _stir(self) -> None:
        """Something has changed; when it was not ourselves, there may be work that comes before what is next."""
        if not self._acting:
            if self._on_the_wall:
                self._agenda.now = max(self._agenda.now, self._wall())
            self._services.look()
            self._wait()

    def _wait(self) -> None:
        """Wait for what is next. Who waits for it already is not made to wait anew."""
        due = self._agenda.due
        if due is None or (self._timer is not None and due == self._awaited):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._awaited = due
        delay = max(due - (self._wall() if self._on_the_wall else self._agenda.now), 0)
        self._timer = asyncio.get_running_loop().call_later(delay / 1000, self._live)
