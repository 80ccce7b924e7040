"""What is around the events: panes, mouse, many endpoints, production, strangers' names, other programs' leftovers."""

import sqlite3
import unicodedata
from contextlib import closing
from pathlib import Path

import pytest
from rich.cells import cell_len

from connectors.memory import QueueSettings, embedded_broker
from tests.hostile import deliveries as hostile
from tests.views.driver import address, payment, pressed, running, shop
from views.app import Opening
from views.connections import Connections
from views.events import Events
from views.widgets.endpoint_tree import EndpointTree
from views.widgets.event_table import EventTable
from views.widgets.inspector.inspector import Inspector
from views.widgets.key_bar import KeyBar
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.model.event import Delivery, Event
from workbench.model.look import Look
from workbench.store.store import open_store

OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")
STRANGE = ("\x1b[31mred\x1b[0m", "user\u202egnp.exe", "a\tb\nc\rd", "\x9b2J", "wide 漢字" * 20, "Z\u0300\u0301" * 40)


def obeyed(text: str) -> set[str]:
    return {letter for letter in text.replace("\n", "") if unicodedata.category(letter) in OBEYED}


async def test_tab_goes_through_the_panes_of_a_wide_screen() -> None:
    async with running() as driver:
        await driver.open()
        for pane in (Inspector, EndpointTree, EventTable):
            await driver.press("tab")
            assert driver.one(pane).has_focus
            assert all(driver.one(other).region.width for other in (EndpointTree, EventTable))


async def test_a_narrow_screen_shows_one_pane() -> None:
    async with running((80, 24)) as driver:
        assert driver.one(EndpointTree).region.width == 80
        await driver.open()
        assert driver.one(EventTable).region.width == 80
        assert "correlation" in driver.text and "key" not in driver.lines[3]
        await driver.press("enter")
        assert driver.one(Inspector).region.width == 80
        await driver.shows('"total": 19.5')
        await driver.press("escape", "tab", "tab")
        assert driver.one(EndpointTree).has_focus
        assert all(cell_len(line) == 80 for line in driver.lines)
        assert driver.lines[-1].rstrip().endswith("? help")


async def test_a_screen_that_is_made_narrow_keeps_the_pane_that_was_worked_in() -> None:
    async with running() as driver:
        await driver.open()
        await driver.pilot.resize_terminal(80, 24)
        await driver.pilot.pause()
        assert driver.one(EventTable).has_focus and driver.one(EventTable).region.width == 80
        await driver.pilot.resize_terminal(120, 40)
        await driver.pilot.pause()
        assert driver.one(EndpointTree).region.width and driver.one(Inspector).region.width


async def test_the_mouse_opens_chooses_and_presses_keys() -> None:
    async with running() as driver:
        await driver.shows("payments")
        line = next(number for number, text in enumerate(driver.lines) if "payments" in text)
        await driver.pilot.click(offset=(8, line), times=2)
        await driver.shows("k19")
        table = driver.one(EventTable)
        row = next(number for number, text in enumerate(driver.lines) if " k17 " in text)
        await driver.pilot.click(offset=(table.region.x + 5, row))
        found = await driver.app.context.archive.get(table.cursor or 0)
        assert found is not None and found.event.key == b"k17"
        column = driver.lines[-1].index("? help")
        await driver.pilot.click(KeyBar, offset=(column, 0))
        await driver.shows("Keys of Events")


async def test_ten_thousand_endpoints_are_listed_filtered_and_found() -> None:
    broker = embedded_broker("ten-thousand")
    if not broker.queues:
        for number in range(10_000):
            broker.declare_queue(f"queue-{number:05}")
    async with running(broker=broker) as driver:
        await driver.shows("10,000 queues", "queue-00000")
        await driver.press("G")
        await driver.shows("queue-09999")
        await driver.press("slash", "=0777")
        await driver.hides("queue-09999")
        await driver.shows("queue-00777", "queue-07770")
        await driver.press("escape")
        await driver.go_to("queue-05000")
        await driver.shows("queue-05000")
        await driver.press("colon", "=queue-04242")
        await driver.shows("shop/queue-04242")


async def test_a_broker_without_endpoints_says_so() -> None:
    async with running(broker=embedded_broker("nothing-at-all")) as driver:
        await driver.shows("nothing that you may see", "● shop empty")
        await driver.press("b")
        await driver.shows("Go to an endpoint first")


async def test_a_production_connection_is_framed_and_asks_before_a_look_that_costs() -> None:
    broker = shop()
    config = ConfigFile(connections={"live": Configured(f"memory://{broker.name}", "publish", production=True)})
    async with running(broker=broker, config=config, connections=["live"]) as driver:
        await driver.go_to("live/payments")
        await driver.press("enter")
        await driver.shows("k19")
        assert driver.app.events.has_class("production")
        await driver.go_to("live/orders")
        await driver.press("b", "b")
        await driver.shows("live is production", "Type the connection's name")
        await driver.press("=other", "enter")
        await driver.shows("The name does not match")
        await driver.press("escape")
        await driver.shows("failed")
        await driver.go_to("live/orders")
        await driver.press("b", "b")
        await driver.shows("Type the connection's name")
        await driver.press("=live", "enter")
        await driver.shows("OrderPlaced")


async def test_a_question_that_no_key_opens_itself_takes_no_key_typed_before_it() -> None:
    broker = shop()
    config = ConfigFile(connections={"live": Configured(f"memory://{broker.name}", "publish", production=True)})
    async with running(broker=broker, config=config, connections=["live"]) as driver:
        await driver.go_to("live/orders")
        # All at once: a slow machine would open the question between two keys that wait for one another.
        for key in ("b", "b", "question_mark"):
            driver.app.post_message(pressed(key))
        await driver.shows("live is production")
        # Beneath it lies what the key has opened.
        await driver.press("escape")
        await driver.shows("Keys of Events")


async def test_a_look_that_could_lose_a_message_is_refused_and_forced_only_with_the_name() -> None:
    broker = shop()
    broker.declare_queue("worn", QueueSettings("quorum queue", delivery_limit=6))
    broker.publish("", Event(b"worn", b"last"))
    for _ in range(2):
        consumer = broker.consume("worn")
        consumer.give_back(consumer.take())
        consumer.close()
    async with running(broker=broker) as driver:
        await driver.go_to("worn")
        await driver.press("b", "b")
        await driver.shows("F browses anyway")
        await driver.press("F", "=other", "enter")
        await driver.shows("The name does not match")
        await driver.press("=", "ctrl+u", "=worn", "enter")
        await driver.shows("1 read")
        assert broker.queues["worn"].depth == 1


async def test_strange_names_are_shown_and_never_obeyed() -> None:
    broker = embedded_broker("strange-names")
    if not broker.queues:
        for name in STRANGE:
            broker.declare_queue(name)
            broker.declare_exchange(name, "fanout")
            broker.declare_topic(f"topic {name}")
            broker.append(f"topic {name}", payment(1))
            broker.commit(f"group {name}", f"topic {name}", 0, 0)
    async with running((160, 45), broker=broker) as driver:
        seen = set()
        for _ in range(4):
            await driver.press("G", "enter")
        for _ in range(len(STRANGE) * 5 + 4):
            await driver.press("k")
            seen |= obeyed(driver.text)
        for name in STRANGE:
            await driver.go_to(f"topic {name}")
            await driver.press("enter")
            await driver.shows("PaymentSettled")
            seen |= obeyed(driver.text)
            await driver.go_to(name)
            await driver.press("enter", "b", "l", "p")
            await driver.pilot.pause(0.1)
            seen |= obeyed(driver.text)
            await driver.press("escape", "escape", "1")
        assert seen == set()
        assert all(cell_len(line) == 160 for line in driver.lines)


async def test_no_hostile_event_is_obeyed_on_the_whole_screen(tmp_path: Path) -> None:
    path = tmp_path / "hostile.db"
    corpus = [delivery for _, delivery in hostile(huge=False)]
    assert len(corpus) >= 100
    async with open_store(tmp_path) as store:
        for where in dict.fromkeys(each.address for each in corpus):
            look = store.look(Look(where, "tail", 0))
            await store.append(look, [each for each in corpus if each.address == where])
        await store.record(path)
    async with running(opening=Opening(recording=path), connections=[]) as driver:
        await driver.until(lambda: len(driver.app.events.sequences) == len(corpus))
        seen = set()
        for part in range(4):
            driver.app.events.query_one(EventTable).focus()
            await driver.press("g")
            # Each row of the table; the inspector's own test draws each event in each of its parts.
            for _ in range(0, len(corpus), 7):
                await driver.press("pagedown")
                seen |= obeyed(driver.text)
            if part < 3:
                await driver.press("enter", "right", "escape")
        assert seen == set()


async def test_a_damaged_event_of_a_recording_is_a_row_that_says_so_among_the_others(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    async with open_store(tmp_path) as store:
        look = store.look(Look(address("payments"), "tail", 0))
        await store.append(look, [Delivery(payment(number), address("payments"), number) for number in range(3)])
        await store.record(path)
    with closing(sqlite3.connect(path)) as database, database:
        # The first byte of an event says that it is an array.
        database.execute("UPDATE batches SET deliveries = CAST(x'ff' || substr(deliveries, 2) AS BLOB)")
    async with running((160, 40), opening=Opening(recording=path), connections=[]) as driver:
        await driver.until(lambda: len(driver.app.events.sequences) == 3)
        await driver.shows("damaged: ", "PaymentSettled", '"total":2.5')
        driver.app.events.query_one(EventTable).focus()
        await driver.press("g", "enter")
        await driver.until(lambda: driver.one(Inspector).has_focus)
        assert not driver.app.failures


@pytest.mark.parametrize("key", ["2", "3", "4", "5"])
async def test_every_screen_fits_a_small_terminal(key: str) -> None:
    async with running((80, 24)) as driver:
        await driver.press(key)
        await driver.until(lambda: not isinstance(driver.app.base_screen, Events))
        assert all(cell_len(line) == 80 for line in driver.lines)
        assert "? help" in driver.lines[-1]


async def test_a_refused_connection_leaves_the_others_working() -> None:
    broker = shop()
    both = [Connection.parse(f"shop=memory://{broker.name}"), Connection.parse("gone=amqp://127.0.0.1:1")]
    async with running((160, 40), broker=broker, connections=both, connected=False) as driver:
        await driver.shows("○ gone", "● shop")
        await driver.open()
        await driver.press("5")
        assert isinstance(driver.app.base_screen, Connections)
        await driver.press("j", "enter")
        await driver.shows("✖ TCP")


@pytest.mark.parametrize("columns", range(1, 5))
async def test_a_terminal_of_no_width_ends_no_screen(columns: int) -> None:
    async with running() as driver:
        for mode in ("dead_letters", "connections", "journal", "trace", "publish", "events"):
            driver.app.go(mode)
            await driver.pilot.resize_terminal(columns, 20)
            await driver.until_settled()
            await driver.pilot.resize_terminal(120, 40)
        assert not driver.app.failures
