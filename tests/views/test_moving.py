"""Moving and deleting from Events and Dead letters: the plan first, then what was decided of it."""

import asyncio
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from textual.events import Key, Paste

from connectors.memory import Broker, QueueSettings, embedded_broker
from tests.views.driver import NAME, Driver, address, order, running, shop
from views.app import Opening
from views.app_context import AppContext
from views.moving import Moving, scope_of
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Event
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.operation import Operation
from workbench.operations.journal.records import records
from workbench.operations.move.moves import carry_out
from workbench.operations.move.plan import load_plan
from workbench.operations.move.planning import Wanted, make_plan
from workbench.operations.template import templates_folder
from workbench.session import PROCESS, Session
from workbench.store.ingest import ingestions
from workbench.store.store import open_store

SHOP = [Connection.parse(f"{face}=demo://shop/{face}?seed=7") for face in ("rabbit", "kafka")]


def letters(count: int = 6) -> Broker:
    """A broker with a queue of orders, and as many dead letters of it."""
    broker = embedded_broker(f"moving-{uuid4().hex}")
    broker.declare_queue("orders", QueueSettings(dead_letter_exchange="", dead_letter_routing_key="orders.dead"))
    broker.declare_queue("orders.dead")
    for number in range(count):
        broker.publish("", msgspec.structs.replace(order(number), key=b"orders"))
    dying = broker.consume("orders")
    dying.reject(dying.take(limit=count))
    dying.close()
    return broker


def depths(driver: Driver) -> tuple[int, int]:
    """How many messages are in the queue, and how many are dead."""
    return driver.broker.queues["orders"].depth, driver.broker.queues["orders.dead"].depth


def guarded(broker: Broker, guard: str = "move", production: bool = False, masks: tuple[str, ...] = ()) -> ConfigFile:
    configured = Configured(f"memory://{broker.name}", guard=guard, production=production)
    return ConfigFile(connections={NAME: configured}, masks=masks)


async def open_dead(driver: Driver) -> None:
    """Browse the dead letters."""
    await driver.go_to("orders.dead")
    await driver.press("enter", "b")
    await driver.shows("6 read")


async def plan_all(driver: Driver) -> None:
    """Plan the move of all dead letters."""
    await driver.go_to("orders.dead")
    await driver.press("m")
    await driver.shows("(•) all 6")
    await driver.press("enter")
    await driver.shows("will be browsed once")
    await driver.press("enter")
    await driver.shows("6 → shop/orders, where they came from", "r move 6")


async def test_the_selected_event_moves_back_without_another_look() -> None:
    async with running(broker=letters()) as driver:
        await open_dead(driver)
        await driver.press("m")
        await driver.shows("(•) 1 selected", "( ) all 6")
        await driver.press("enter")
        await driver.shows("1 message, selected", "not run", "r move 1")
        assert depths(driver) == (0, 6)
        await driver.press("r")
        await driver.shows("1 moved, 0 failed in")
        assert depths(driver) == (1, 5)


async def test_marked_events_move_whatever_is_masked_of_them_and_arrive_as_they_were() -> None:
    broker = letters()
    sent = [each.event.body for each in broker.queues["orders.dead"].waiting()]
    async with running(broker=broker, config=guarded(broker, masks=("body.lines",)), connections=[NAME]) as driver:
        await open_dead(driver)
        await driver.press("g", "space", "space", "m")
        await driver.shows("(•) 2 marked")
        await driver.press("enter", "r")
        await driver.shows("2 moved, 0 failed")
        assert [each.event.body for each in driver.broker.queues["orders"].waiting()] == sent[:2]
        assert depths(driver) == (2, 4)


async def test_how_one_of_several_moves_ended_is_said_though_the_next_is_refused() -> None:
    broker = letters(2)
    broker.declare_queue("other.dead")
    broker.send("other.dead", Event(b"orders", b"{}"))
    async with running(broker=broker) as driver:
        sources = [address("orders.dead"), address("other.dead")]
        Moving(driver.app.events, [scope_of("all", "", sources)]).ask()
        await driver.press("tab", f"={address('orders')}", "enter")
        await driver.shows("enter look and plan")
        await driver.press("enter")
        await driver.shows("r move 3")
        broker.delete("other.dead")
        await driver.press("r")
        await driver.shows("no longer fits")
        said = [each.sentence for each in driver.app.messages]
        assert "2 moved" in said[-2] and "no longer fits" in said[-1]
        assert depths(driver) == (2, 0)


async def test_looking_at_a_queue_is_agreed_to_and_a_dry_run_changes_nothing() -> None:
    async with running(broker=letters()) as driver:
        await plan_all(driver)
        await driver.press("enter")
        await driver.shows("Dry run: 6 messages would be moved. Nothing was changed.")
        assert depths(driver) == (0, 6) and records()[0] == []


async def test_what_matches_the_filter_moves_and_the_rest_stays() -> None:
    async with running(broker=letters()) as driver:
        await open_dead(driver)
        await driver.press("slash", "=body.id >= 4", "enter", "m")
        await driver.shows("( ) all that match  body.id >= 4")
        await driver.press("down", "enter", "enter")
        await driver.shows("2 messages of 6 looked at, matching body.id >= 4")
        await driver.press("r")
        await driver.shows("2 moved, 0 failed")
        assert depths(driver) == (2, 4)


async def test_what_is_wrong_in_the_form_is_said_beneath_its_field() -> None:
    async with running(broker=letters()) as driver:
        await driver.go_to("orders.dead")
        await driver.press("m", "tab", "tab", "=0", "enter")
        await driver.shows("'0' is no number above 0.")
        await driver.press("backspace", "2", "enter", "enter")
        await driver.shows("4 more do not match, or are beyond the limit", "r move 2")


async def test_a_guard_refuses_in_place_and_nothing_begins() -> None:
    broker = letters()
    async with running(broker=broker, config=guarded(broker, "look"), connections=[NAME]) as driver:
        await plan_all(driver)
        await driver.press("r")
        await driver.shows("✖ shop is guarded at 'look'", "r move 6")
        assert depths(driver) == (0, 6) and records()[0] == []


async def test_a_production_connection_asks_for_its_name() -> None:
    broker = letters()
    async with running(broker=broker, config=guarded(broker, production=True), connections=[NAME]) as driver:
        await driver.go_to("orders.dead")
        await driver.press("m", "enter", "enter")
        await driver.shows("This needs the guard 'look'.")
        await driver.press("=shop", "enter")
        await driver.shows("r move 6")
        await driver.press("r")
        await driver.shows("This needs the guard 'move'.")
        await driver.press("escape")
        await driver.shows("✖ shop is production")
        assert depths(driver) == (0, 6)
        await driver.press("r", "=shop", "enter")
        await driver.shows("6 moved, 0 failed")


async def test_a_plan_is_kept_in_a_file(tmp_path: Path) -> None:
    async with running(broker=letters()) as driver:
        await plan_all(driver)
        path = tmp_path / "plan.json"
        await driver.press("s", f"={path}", "enter")
        await driver.shows("runs it.")
        assert load_plan(path).moving == 6
        assert depths(driver) == (0, 6)


async def test_messages_are_edited_on_their_way_and_the_plan_shows_the_difference() -> None:
    async with running(broker=letters()) as driver:
        await open_dead(driver)
        await driver.press("g", "m", "enter")
        await driver.shows("r move 1")
        await driver.press("e")
        await driver.press('={"currency": "EUR"}', "enter")
        await driver.shows("applies a JSON Merge Patch", "EUR", "r move 1")
        await driver.press("r")
        await driver.shows("1 moved, 0 failed")
        [moved] = driver.broker.queues["orders"].waiting()
        assert moved.event.body == b'{"id":0,"lines":[1,2],"currency":"EUR"}'


async def test_a_canary_shows_how_far_it_is_while_the_screen_is_used_and_escape_stops_it() -> None:
    async with running(broker=letters()) as driver:
        await driver.go_to("orders.dead")
        await driver.press("m", "tab", "tab", "tab", "tab", "space", "tab", "=600", "enter", "enter")
        await driver.shows("first 1, 5, 20, each watched for 600 s", "r move 6")
        await driver.press("r")
        await driver.shows("1 of 6 messages", "watching for")
        await driver.press("5")
        await driver.shows("embedded broker", "1 of 6 messages", "ctrl+x stops")
        await driver.press("1", "m")
        await driver.shows("A move is running: one operation runs at a time.")
        await driver.press("q")
        await driver.shows("Quit?", "A move is running")
        await driver.press("escape", "escape")
        await driver.shows("1 moved, 0 failed, 0 returned", "Stopped by its user.")
        assert depths(driver) == (1, 5)


async def test_quitting_ends_a_move_after_the_messages_in_hand() -> None:
    async with running(broker=letters()) as driver:
        await driver.go_to("orders.dead")
        await driver.press("m", "tab", "tab", "tab", "tab", "space", "tab", "=600", "enter", "enter", "r")
        await driver.shows("watching for")
        await driver.press("q")
        await driver.shows("A move is running")
        await driver.press("enter")
        await driver.until(lambda: not driver.app.is_running)
        assert [each.state for each in records()[0]] == ["stopped"]


async def test_deleting_needs_its_guard_and_the_journal_brings_back_what_was_deleted() -> None:
    broker = letters()
    async with running(broker=broker, config=guarded(broker, "destroy"), connections=[NAME]) as driver:
        await open_dead(driver)
        await driver.press("delete", "enter")
        await driver.shows("nowhere: they are deleted", "r delete 1")
        await driver.press("r")
        await driver.shows("1 deleted, 0 failed")
        assert depths(driver) == (0, 5)
        await driver.press("4")
        await driver.shows("1 message of shop/orders.dead deleted", ", done")
        await driver.press("u")
        await driver.shows("each is published there again")
        await driver.press("r")
        await driver.shows("1 taken back")
        assert depths(driver) == (0, 6)


async def test_deleting_is_refused_where_the_guard_is_move() -> None:
    async with running(broker=letters()) as driver:
        await open_dead(driver)
        await driver.press("delete", "enter", "r")
        await driver.shows("✖ shop is guarded at 'move'")
        assert depths(driver) == (0, 6)


async def test_a_group_in_several_queues_moves_by_a_plan_for_each() -> None:
    broker = letters()
    broker.declare_queue("bills", QueueSettings(dead_letter_exchange="", dead_letter_routing_key="bills.dead"))
    broker.declare_queue("bills.dead")
    for name in ("orders.dead", "bills.dead"):
        for number in range(2):
            headers = (
                ("x-exception-message", "no account"),
                ("x-original-exchange", ""),
                ("x-original-routingKey", "orders"),
            )
            broker.publish("", Event(name.encode(), b'{"id":%d}' % number, written=Content(headers)))
    async with running((140, 40), broker=broker) as driver:
        await driver.press("3")
        await driver.shows("0 of 10 read")
        await driver.press("b", "enter")
        await driver.shows("10 of 10 read", "no account")
        row = next(
            number for number, line in enumerate(each for each in driver.lines if "✖ " in each) if "no account" in line
        )
        await driver.press("g", *["down"] * row, "m")
        await driver.shows("(•) 4 of this group")
        await driver.press("tab", "=shop/orders", "enter", "enter")
        await driver.shows("1 of 2", "2 of 2", "2 plans, not run", "r move 4")
        await driver.press("r")
        await driver.until(lambda: len(records()[0]) == 2)
        await driver.shows("2 moved, 0 failed", "reads again")
        assert broker.queues["orders.dead"].depth == 6 and broker.queues["bills.dead"].depth == 0


async def test_there_is_nothing_to_move_on_a_connection() -> None:
    async with running(broker=shop()) as driver:
        await driver.press("g", "m")
        await driver.shows("There is nothing to move")


@pytest.mark.parametrize("size", [(80, 24), (220, 60), (30, 8)])
async def test_the_dialogs_are_drawn_at_any_size(size: tuple[int, int]) -> None:
    async with running(size, broker=letters()) as driver:
        await driver.go_to("orders.dead")
        await driver.press("m", "enter", "enter")
        await driver.until(lambda: "not run" in driver.text or size[0] < 80)
        assert all(len(line) <= size[0] for line in driver.lines)
        await driver.press("r")
        await driver.shows("6 moved, 0 failed")


async def redrive_payments(driver: Driver, watch: int) -> None:
    """In the demo: move the payments back that failed for a comma, with a canary."""
    await driver.press("3")
    await driver.shows("read queues")
    await driver.press("b", "enter")
    await driver.shows("Character , is neither")
    await driver.until(lambda: "reading…" not in driver.text)
    rows = [line for line in driver.lines if "✖ " in line]
    row = next(number for number, line in enumerate(rows) if "Character , is" in line)
    await driver.press("g", *["down"] * row, "m", *["tab"] * 4, "space", "tab", f"={watch}", "enter", "enter")
    await driver.shows("stops when any comes back", "r move")
    await driver.press("r")


async def test_in_the_demo_the_canary_stops_where_the_fix_is_not_deployed() -> None:
    async with running((140, 40), connections=SHOP, opening=Opening(demo=True)) as driver:
        await redrive_payments(driver, 600)
        await driver.shows("1 moved, 0 failed, 1 returned", "1 message came back to rabbit/payments.dead")


async def test_in_the_demo_nothing_comes_back_when_the_fix_is_deployed() -> None:
    async with running((140, 40), connections=SHOP, opening=Opening(demo=True)) as driver:
        await driver.press("colon", "=deploy", "enter")
        await driver.shows("payments 1.1 is deployed")
        await redrive_payments(driver, 1)
        await driver.shows(" moved, 0 failed, 0 returned")


async def test_an_event_that_was_moved_is_shown_so_and_not_moved_twice() -> None:
    async with running(broker=letters()) as driver:
        await open_dead(driver)
        await driver.press("g", "space", "m", "enter")
        await driver.shows("r move 1")
        await driver.press("r")
        await driver.shows("1 moved, 0 failed")
        await driver.until(lambda: any("→" in line and "OrderPlaced" in line for line in driver.lines))
        await driver.hides("1 marked")
        await driver.press("g")
        await driver.shows("this event was moved")
        await driver.press("m")
        await driver.shows("This was moved already: b browses what is there now.")
        await driver.press("b", "b")
        await driver.shows("5 read")
        assert not any("→" in line and "OrderPlaced" in line for line in driver.lines)


async def test_operations_that_end_at_once_all_leave_their_marks() -> None:
    broker = embedded_broker(f"marks-{uuid4().hex}")
    names = ("one", "two", "three")
    for name in names:
        broker.declare_queue(name)
        broker.send(name, Event(b"k", b"{}"))
    broker.declare_queue("to")
    async with (
        Session([Connection.parse(f"m=memory://{broker.name}")]) as session,
        open_store() as store,
        ingestions(store) as looks,
    ):
        context = AppContext(session, store, looks, {})
        plans = []
        for name in names:
            look = context.browse(Address("m", name), None, None)
            await look.wait_closed()
            plans.append(await make_plan(session, Wanted(Address("m", name), target=Address("m", "to"))))
            await carry_out(session, plans[-1])
        await asyncio.gather(*(context.take_departures(each.id) for each in plans))
        seen = enumerate(await store.rows(range(store.upto)))
        assert [context.verb_of(number, delivery) for number, delivery in seen if delivery] == ["moved"] * 3


async def test_all_that_can_be_edited_is_in_one_form_and_what_is_wrong_is_said_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (templates_folder()).mkdir(parents=True)
    (templates_folder() / "mended.toml").write_text(
        'body = \'{"id": {{ body.id }}, "by": "{{ who }}"}\'\n[set]\nwho = "nobody"\n'
    )
    async with running(broker=letters()) as driver:
        await open_dead(driver)
        await driver.press("g", "m", "enter")
        await driver.shows("r move 1")
        await driver.press("e")
        await driver.shows("ctrl+e body in $EDITOR", "remove properties")
        await driver.press("tab", "tab", "=lost", "tab", "=who=me", "tab", "=mended", "enter")
        await driver.shows("cannot be read")
        await driver.press("ctrl+a", "ctrl+k", "=mended", "tab", "tab", "tab", "=x-death=1", "enter")
        await driver.shows("The header x-death cannot be edited")
        await driver.press("ctrl+a", "ctrl+k", "=note='a b; c'", "tab", "tab", "=priority=5", "tab", "=type", "enter")
        await driver.shows("fills in a template for body", "sets header note", "removes property type", "r move 1")
        await driver.press("e")
        await driver.shows("note='a b; c'")
        await driver.press("enter")
        await driver.shows("r move 1")
        await driver.press("r")
        await driver.shows("1 moved, 0 failed")
        [moved] = driver.broker.queues["orders"].waiting()
        content = moved.event.content
        assert (moved.event.key, moved.event.body) == (b"orders", b'{"id": 0, "by": "me"}')
        assert dict(content.headers)["note"] == "a b; c"
        assert content.properties["priority"] == 5 and "type" not in content.properties


async def test_keys_typed_ahead_of_a_plan_wait_for_it_in_production_too() -> None:
    broker = letters()
    async with running(broker=broker, config=guarded(broker, production=True), connections=[NAME]) as driver:
        await driver.go_to("orders.dead")
        await driver.press("m", "enter", "enter")
        await driver.shows("This needs the guard 'look'.")
        driver.app.post_message(Paste("shop"))
        for key in ("enter", "r"):
            driver.app.post_message(Key(key, None))
        await driver.shows("This needs the guard 'move'.")
        driver.app.post_message(Paste("shop"))
        driver.app.post_message(Key("enter", None))
        await driver.shows("6 moved, 0 failed")


async def test_another_operation_on_the_same_source_is_warned_of_before_a_move() -> None:
    async with running(broker=letters()) as driver:
        session, source = driver.app.context.session, address("orders.dead")
        other = Operation(
            "0" * 12, "move", 1, "ann@there", source, session.broker_identity(NAME), "6 messages", b"", PROCESS
        )
        with closing(Journal.create(other)):
            await plan_all(driver)
            await driver.shows(f"Operation {'0' * 12} of ann@there on the same source is running.")
