"""The Journal screen: what was moved and deleted, and what can be done about it."""

import asyncio
import re
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from connectors.memory import Broker
from tests.views.driver import NAME, Driver, address, order, running, shop
from views.events import Events
from views.journal import Journal as JournalScreen
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.model.start import Beginning
from workbench.operations import seek
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.journal_file import Entry, journal_folder
from workbench.operations.journal.operation import EntryState, Operation
from workbench.operations.journal.records import records
from workbench.operations.move.copies import key_of
from workbench.operations.move.moves import carry_out
from workbench.operations.move.plan import Plan
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session


async def move_dead_orders(driver: Driver) -> str:
    """Move what is in the dead-letter queue back to its queue."""
    session = driver.app.context.session
    plan = await make_plan(session, Wanted(address("orders.dead"), target=address("orders")))
    assert (await carry_out(session, plan)).moved == plan.moving
    return plan.id


async def interrupt_move(broker: Broker) -> Path:
    """Leave a journal as a program does that is killed when it has journalled the first message and done nothing."""
    async with Session([Connection.parse(f"{NAME}=memory://{broker.name}")]) as session:
        source = address("orders.dead")
        plan: Plan = await make_plan(session, Wanted(source, target=address("orders")))
        async with session.browse(source) as stream:
            [delivery] = [each async for batch in stream for each in batch]
        operation = Operation(
            plan.id, "move", plan.made, plan.by, source, plan.identity, plan.title, msgspec.msgpack.encode(plan)
        )
        with closing(Journal.create(operation)) as journal:
            journal.add([Entry(0, key_of(delivery), delivery, address("orders"))])
            return journal.path


async def test_without_an_operation_it_says_what_will_stand_here() -> None:
    async with running() as driver:
        await driver.press("4")
        await driver.shows("Nothing was moved or deleted yet.", "on Events moves events")
        await driver.press("r", "u", "x", "enter")
        await driver.shows("There is no operation.")


async def test_an_operation_is_a_line_with_its_counts_and_tells_its_steps() -> None:
    async with running() as driver:
        id = await move_dead_orders(driver)
        await driver.press("4")
        await driver.shows("1 message of shop/orders.dead → shop/orders", f"{id}, done", "1 moved, 0 failed")
        [line] = [line for line in driver.lines if "✔ " in line and "→" in line]
        assert line.split()[5:8] == ["1", "0", "0"]
        await driver.press("r")
        await driver.shows("is done: nothing is left.")


async def test_its_messages_are_shown_masked() -> None:
    async with running(config=ConfigFile(masks=("body.lines",))) as driver:
        await move_dead_orders(driver)
        await driver.press("4")
        await driver.shows("1 moved, 0 failed")
        await driver.press("enter")
        await driver.shows("Messages of", '{"id":0,"lines":"***"}')
        await driver.press("escape")
        await driver.hides("Messages of")


async def test_a_move_is_undone_when_its_plan_was_seen() -> None:
    async with running() as driver:
        await move_dead_orders(driver)
        queues = driver.broker.queues
        assert (queues["orders"].depth, queues["orders.dead"].depth) == (4, 0)
        await driver.press("4")
        await driver.shows("1 moved, 0 failed")
        await driver.press("u")
        await driver.shows("Undo", "copies that are still there are taken out of it", "r take back 1")
        assert queues["orders.dead"].depth == 0
        await driver.press("r")
        await driver.shows("1 taken back, 0 failed")
        assert (queues["orders"].depth, queues["orders.dead"].depth) == (3, 1)
        await driver.until(lambda: any("✔" in line and "undo of " in line for line in driver.text.splitlines()))
        await driver.press("g")
        # In its line, and beside the list.
        await driver.until(lambda: driver.text.count("undo of ") > 1)
        await driver.press("u")
        await driver.shows("is an undo itself")


async def test_what_was_interrupted_is_resumed_from_the_question_at_the_start() -> None:
    broker = shop()
    await interrupt_move(broker)
    async with running(broker=broker) as driver:
        await driver.shows("Interrupted: 1 message of shop/orders.dead", "leave it for later")
        await driver.press("enter")
        await driver.shows("1 moved, 0 failed")
        assert broker.queues["orders.dead"].depth == 0
        [record] = records()[0]
        assert record.state == "done"


async def test_the_question_can_lead_to_the_journal_and_resume_there() -> None:
    broker = shop()
    await interrupt_move(broker)
    async with running(broker=broker) as driver:
        await driver.shows("leave it for later")
        await driver.press("j", "j", "enter")
        await driver.until(lambda: isinstance(driver.app.screen, JournalScreen))
        await driver.shows("interrupted", "outcome of 1 message: resume finds out", "1 not finished of 1")
        await driver.press("u")
        await driver.shows("it can be undone when it has come to its end")
        await driver.press("r", "enter")
        await driver.shows("1 moved, 0 failed")
        assert broker.queues["orders.dead"].depth == 0


async def test_the_question_is_answered_once_and_what_was_left_stays_interrupted() -> None:
    broker = shop()
    path = await interrupt_move(broker)
    async with running(broker=broker) as driver:
        await driver.shows("leave it for later")
        await driver.press("escape")
        await driver.hides("leave it for later")
        await driver.press("question_mark", "escape", "r")
        assert isinstance(driver.app.screen, Events)
        assert path.exists() and broker.queues["orders.dead"].depth == 1


async def test_an_operation_elsewhere_is_not_offered_and_says_why_it_cannot_go_on() -> None:
    await interrupt_move(shop())
    async with running() as driver:
        await driver.press("4")
        await driver.shows("interrupted", "1 not finished of 1")
        assert "leave it for later" not in driver.text
        await driver.press("r", "enter")
        await driver.shows("leads elsewhere now")


async def test_a_group_that_was_put_elsewhere_is_put_back() -> None:
    async with running() as driver:
        session, committed = driver.app.context.session, driver.broker.committed["ledger"]
        before = dict(committed)
        await seek.carry_out(session, await seek.plan_seek(session, "ledger", address("payments"), Beginning()))
        assert set(committed.values()) == {0}
        await driver.press("4")
        await driver.shows("seek: group ledger moved in 2 partitions", ", done")
        await driver.press("u")
        await driver.shows("Group ledger in shop/payments: partition 0 from 0 to 4,", "0 to 10.")
        assert set(committed.values()) == {0}
        await driver.press("enter")
        await driver.shows("Group ledger is where it was.")
        assert committed == before


async def test_an_operation_is_forgotten_after_a_yes() -> None:
    async with running() as driver:
        await move_dead_orders(driver)
        await driver.press("4")
        await driver.shows("1 moved, 0 failed")
        await driver.press("x")
        await driver.shows("can be neither resumed nor undone")
        await driver.press("escape")
        assert len(list(journal_folder().glob("*.journal"))) == 1
        await driver.press("x", "enter")
        await driver.shows("is forgotten", "Nothing was moved or deleted yet.")
        assert not list(journal_folder().iterdir())


async def test_a_journal_that_cannot_be_read_is_named() -> None:
    journal_folder().mkdir(parents=True)
    (journal_folder() / "broken.journal").write_bytes(b"no database \x1b[31m" * 100)
    async with running() as driver:
        # Where its lines are cut depends on the folder's name.
        said = "broken.journal cannot be read: file is not a database.".replace(" ", "")

        def is_said() -> bool:
            return said in re.sub(r"[\s│┃]+", "", driver.text)

        await driver.press("4")
        await driver.until(is_said)
        await move_dead_orders(driver)
        await driver.press("1", "4")
        await driver.shows("1 moved, 0 failed")
        await driver.until(is_said)


async def test_what_was_done_on_an_embedded_broker_ends_with_the_program() -> None:
    async with running() as driver:
        await move_dead_orders(driver)
        assert len(records()[0]) == 1
    assert not list(journal_folder().glob("*.journal"))


async def test_an_operation_of_another_process_s_embedded_broker_is_not_listed() -> None:
    path = await interrupt_move(shop())
    path.unlink()
    operation = Operation("0" * 12, "move", 1, "me@here", address("orders"), "shop=memory://x/", "x", b"", "another")
    with closing(await asyncio.to_thread(Journal.create, operation)):
        assert records()[0] == []


@pytest.mark.parametrize("size", [(80, 24), (220, 60), (30, 8)])
async def test_it_is_drawn_at_any_size(size: tuple[int, int]) -> None:
    broker = shop()
    for number in range(60):
        broker.publish("", msgspec.structs.replace(order(number), key=b"orders.dead"))
    async with running(size, broker=broker) as driver:
        for _ in range(3):
            await move_dead_orders(driver)
            broker.publish("", msgspec.structs.replace(order(1), key=b"orders.dead"))
        await driver.press("4")
        await driver.until(lambda: isinstance(driver.app.screen, JournalScreen))
        await driver.until(lambda: driver.text.count("✔ ") >= 3 or size[0] < 80)
        assert all(len(line) <= size[0] for line in driver.lines)


async def test_entries_that_failed_say_why() -> None:
    broker = shop()
    path = await interrupt_move(broker)
    with closing(Journal.reopen(path)) as journal:
        journal.mark_failed([(0, "The target has\x1b[2J no room.")])
        journal.mark([0], EntryState.FAILED)
        journal.end("done", 1_795_600_800_000, "0 moved, 1 failed, 0 returned in 1.0 s")
    async with running(broker=broker) as driver:
        await driver.press("4")
        await driver.shows("1 failed: The target has␛[2J no room.", "0 moved, 1 failed")
