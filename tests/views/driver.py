"""The program on an embedded broker, driven by keys, and read as it is drawn."""

import asyncio
import threading
import unicodedata
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import uuid4

from textual.dom import DOMNode
from textual.events import Key, Paste
from textual.keys import _character_to_key
from textual.pilot import Pilot

from connectors.memory import Broker, QueueSettings, embedded_broker
from views.app import Opening, Workbench, open_workbench
from views.theme import DARK_THEME
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Event
from workbench.session import Session

PATIENCE = 60.0
"""Seconds after which a test gives up."""
NAME = "shop"
"""The connection's."""

_CHARACTERS = {"tab": "\t", "enter": "\r", "escape": "\x1b", "backspace": "\x7f", "plus": "+", "slash": "/"}
"""Of the keys that Unicode names otherwise."""

Node = TypeVar("Node", bound=DOMNode)


def address(name: str, kind: str = "") -> Address:
    return Address.parse(f"{NAME}/{kind}{':' if kind else ''}{name}")


def shop() -> Broker:
    """A broker with a queue of three orders, one of them dead, and a topic of twenty payments that a group reads."""
    broker = embedded_broker(f"screen-{uuid4().hex}")
    broker.declare_exchange("placed", "topic")
    broker.declare_exchange("dlx", "fanout")
    broker.declare_queue("orders", QueueSettings(dead_letter_exchange="dlx"))
    broker.declare_queue("orders.dead")
    broker.declare_queue("quorum", QueueSettings("quorum queue"))
    broker.bind("placed", "orders", "order.#")
    broker.bind("dlx", "orders.dead")
    broker.declare_topic("payments", 2)
    for number in range(4):
        broker.publish("placed", order(number))
    dying = broker.consume("orders")
    dying.reject(dying.take(limit=1))
    dying.close()
    for number in range(20):
        broker.append("payments", payment(number), partition=number % 2)
    broker.commit("ledger", "payments", 0, 4)
    broker.commit("ledger", "payments", 1, 10)
    return broker


def order(number: int) -> Event:
    properties = {"correlation_id": f"flow-{number}", "type": "OrderPlaced", "content_type": "application/json"}
    return Event(b"order.placed", b'{"id":%d,"lines":[1,2]}' % number, written=Content((), properties))


def payment(number: int) -> Event:
    headers = (("correlation_id", f"flow-{number // 2}"), ("type", "PaymentSettled"))
    return Event(b"k%d" % number, b'{"id":%d,"total":%d.5}' % (number, number), written=Content(headers))


def pressed(key: str) -> Key:
    """The press of a key, named as Textual names it or by its character."""
    if len(key) == 1:
        return Key(_character_to_key(key), key)
    try:
        return Key(key, unicodedata.lookup(key.replace("_", " ")))
    except KeyError:
        return Key(key, _CHARACTERS.get(key))


class Driver:
    """The running program."""

    def __init__(self, app: Workbench, pilot: Pilot[None], broker: Broker) -> None:
        self.app, self.pilot, self.broker = app, pilot, broker
        self._held = threading.Event()

    def hold(self, run: Callable[[Callable[[], bool]], object]) -> None:
        """Let what runs on some thread stand still until `let_go`, or the end of the program.

        Args:
            run: Runs something there.
        """
        run(self._held.wait)

    def let_go(self) -> None:
        """Let go on what is held."""
        self._held.set()
        self._held = threading.Event()

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other; `=text` pastes a text into the field that has the focus."""
        for key in keys:
            # As the terminal's reader hands it on. The pilot would wait after each key for the processor to be idle.
            await self.app.on_event(Paste(key[1:]) if key.startswith("=") else pressed(key))
            await self.until(lambda: self.app.input_done)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when a condition holds; show the screen where it does not come to hold."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await self.pilot.pause(0.02)
        except TimeoutError:
            raise AssertionError(f"the screen is\n{self.text}") from None

    async def shows(self, *texts: str) -> None:
        """Return when all texts are on the screen."""
        await self.until(lambda: all(text in self.text for text in texts))

    async def hides(self, text: str) -> None:
        """Return when a text is not on the screen any more."""
        await self.until(lambda: text not in self.text)

    async def go_to(self, name: str, kind: str = "") -> None:
        """Put the cursor of the tree on an endpoint: of the only connection, or of one that is named."""
        target = Address.parse(name) if "/" in name else address(name, kind)
        await self.until(lambda: self.app.context.endpoint(target))
        self.app.show_endpoint(target)
        await self.pilot.pause()

    async def until_settled(self) -> None:
        """Return when the screen has not changed for a while."""
        before: Sequence[str] = []
        while (now := self.lines) != before:
            before = now
            await self.pilot.pause(0.25)

    async def open(self, name: str = "payments", text: str = "PaymentSettled") -> None:
        """Open a topic."""
        await self.go_to(name)
        await self.press("enter")
        await self.shows(text)
        await self.until(lambda: self.app.events.query_one("#table").has_focus)

    @property
    def lines(self) -> Sequence[str]:
        """What is on the screen, line by line."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        """What is on the screen, with what is told in passing."""
        return "\n".join([*self.lines, *(each.sentence for each in self.app.messages)])

    def one(self, kind: type[Node]) -> Node:
        """The only widget of a kind on the screen of the mode."""
        screen = self.app.base_screen
        assert screen is not None
        return screen.query_one(kind)  # type: ignore[type-var]


@asynccontextmanager
async def running(
    size: tuple[int, int] = (120, 40),
    broker: Broker | None = None,
    opening: Opening | None = None,
    config: ConfigFile | None = None,
    connections: Sequence[Connection | str] | None = None,
    connected: bool = True,
) -> AsyncIterator[Driver]:
    """The program on a broker, all of its endpoints listed unless they need not be `connected`."""
    broker = broker or shop()
    given = [Connection.parse(f"{NAME}=memory://{broker.name}")] if connections is None else connections
    async with (
        Session(given, config) as session,
        open_workbench(session, opening or Opening()) as app,
        app.run_test(size=size, notifications=True) as pilot,
    ):
        driver = Driver(app, pilot, broker)
        if config is None or config.theme is None:
            # Not what the terminal that the tests are run in can show.
            app.theme = DARK_THEME.name
        if connected:
            await driver.until(lambda: all(watch.state == "connected" for watch in app.context.watches.values()))
        await pilot.pause()
        try:
            yield driver
        finally:
            driver.let_go()
