"""The Publish screen: written by keys, sent to an embedded broker, and looked for there."""

import json
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.events import Paste
from textual.widgets import Input

from connectors.memory import Broker
from tests.hostile import deliveries as hostile
from tests.views.driver import NAME, Driver, address, running, shop
from views.app import Opening
from views.publish import PublishScreen
from views.widgets.fields import TextField, in_place
from views.widgets.publish.body_editor import BodyEditor
from views.widgets.publish.draft_fields import DraftFields, More
from views.widgets.publish.receipts import Receipts, ReceiptsPanel
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.decode.display import cells, visible
from workbench.facts.masking import Masking
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import ConnectionLost, PublishRejected
from workbench.model.event import Delivery, Event
from workbench.model.receipt import Receipt
from workbench.model.start import Beginning
from workbench.model.wire import encode
from workbench.operations.drafts.keeping import drafts_folder
from workbench.operations.sending import Sending
from workbench.operations.template import templates_folder

LARGE = 8 * 1024
"""Bytes of a body whose masking takes a moment."""
OBEYED = [*range(32), *range(127, 160), 0x202E, 0x2066, 0x200B]


@asynccontextmanager
async def publishing(
    what: Address | Delivery | None = None,
    size: tuple[int, int] = (120, 40),
    broker: Broker | None = None,
    config: ConfigFile | None = None,
) -> AsyncIterator[Driver]:
    """The program with the Publish screen open."""
    async with running(size, broker, config=config, connections=["shop"] if config else None) as driver:
        await open_publish(driver, what)
        yield driver


async def open_publish(driver: Driver, what: Address | Delivery | None) -> None:
    if isinstance(what, Delivery):
        driver.app.clone_event(what)
    else:
        driver.app.compose_event(what)
    await driver.until(lambda: isinstance(driver.app.screen, PublishScreen) and driver.app.screen.focused)


async def fill(driver: Driver, id: str, text: str) -> None:
    """Write a text into a field, in the place of what is there."""
    field = driver.app.screen.query_one(f"#{id}")
    field.focus()
    await driver.pilot.pause()
    assert isinstance(field, Input | BodyEditor)
    field.clear()
    field.post_message(Paste(text))
    await driver.pilot.pause()


async def there(driver: Driver, name: str) -> list[Event]:
    """What an endpoint holds, seen by browsing it."""
    connector = await driver.app.context.session.connector(NAME)
    start = Beginning() if name == "payments" else None
    async with connector.browse(address(name), start) as stream:
        return [delivery.event async for batch in stream for delivery in batch]


def busy(driver: Driver) -> bool:
    screen = driver.app.screen
    return isinstance(screen, PublishScreen) and screen.busy


def dead(body: bytes | None = b'{"id":7}', key: bytes = b"orders.dead") -> Delivery:
    """A dead letter as RabbitMQ sends one, with a number of 32 bits and an id."""
    death = {"queue": "orders", "reason": "rejected", "count": 2, "exchange": "", "routing-keys": ["orders"]}
    headers = (("x-death", [death]), ("x-first-death-queue", "orders"), ("ratio", 0.1), ("tenant", "north"))
    wire = encode(Content(headers, {"message_id": "m-1", "correlation_id": "flow-7"}))
    return Delivery(Event(key, body, wire), address("orders.dead"), 0)


# Sending.


@pytest.mark.parametrize("pasted", [["lorem " * 800], ["lorem " * 400] * 2], ids=["at-once", "piece-by-piece"])
async def test_a_line_that_becomes_too_long_to_be_wrapped_at_each_key_is_one_row(pasted: list[str]) -> None:
    async with publishing(address("orders")) as driver:
        body = driver.app.screen.query_one(BodyEditor)
        body.focus()
        await driver.pilot.pause()
        for piece in pasted:
            body.post_message(Paste(piece))
            await driver.pilot.pause()
        assert body.text == "".join(pasted)
        area = body.region

        def rows() -> list[str]:
            return [line[area.x : area.right] for line in driver.lines[area.y : area.bottom]]

        await driver.until(lambda: sum("lorem lorem" in row for row in rows()) == 1)


async def test_the_last_line_of_a_body_is_cut_as_a_whole() -> None:
    async with publishing(address("orders")) as driver:
        body = driver.app.screen.query_one(BodyEditor)
        await fill(driver, "body", "first\nlast")
        await driver.press("ctrl+end", "ctrl+x")
        assert body.text == "first\n"


async def test_an_event_is_written_sent_and_seen_by_browsing() -> None:
    async with publishing(address("quorum")) as driver:
        await fill(driver, "body", '{"id": 1}')
        await driver.shows("JSON ✔ 9 B")
        await driver.press("ctrl+s")
        await driver.shows("1 published to shop/quorum, 0 refused.", "1 ✔", "shop/quorum    ")
        [event] = await there(driver, "quorum")
        assert event.body == b'{"id": 1}'


async def test_a_receipt_says_partition_and_offset() -> None:
    async with publishing(address("payments")) as driver:
        await fill(driver, "key", "k")
        await fill(driver, "partition", "1")
        await fill(driver, "body", "x")
        await driver.press("escape", "s")
        await driver.shows("shop/payments 1:10")
        assert [event.key for event in await there(driver, "payments") if event.body == b"x"] == [b"k"]


async def test_letters_are_typed_in_fields_and_are_keys_outside() -> None:
    async with publishing(address("quorum")) as driver:
        await driver.press(*"sqjgnx6d")
        assert driver.app.screen.query_one(BodyEditor).text == "sqjgnx6d"
        await driver.press("escape", "s")
        await driver.shows("1 published")


async def test_a_template_is_filled_in_a_hundred_times() -> None:
    async with publishing(address("quorum")) as driver:
        await fill(driver, "body", '{"n": {{ seq }}}')
        await fill(driver, "count", "100")
        await driver.press("escape", "t")
        await driver.shows("template · JSON ✔ 8 B", '"n": 0')
        await driver.press("s")
        await driver.shows("100 published to shop/quorum, 0 refused.")
        assert [json.loads(event.body or b"")["n"] for event in await there(driver, "quorum")] == list(range(100))


async def test_progress_is_shown_and_can_be_stopped_from_any_field() -> None:
    async with publishing(address("quorum")) as driver:
        await fill(driver, "body", "x")
        await fill(driver, "count", "1000000")
        await fill(driver, "rate", "50")
        await driver.press("escape", "s")
        await driver.shows("of 1,000,000", "left", "/s", "ctrl+x stops")
        assert busy(driver)
        await driver.press("s")
        await driver.shows("Events are being published: ctrl+x stops that.")
        driver.app.screen.query_one(BodyEditor).focus()
        await driver.press("ctrl+x")
        await driver.shows("were not sent.")
        assert driver.app.screen.query_one(BodyEditor).text == "x"
        assert not busy(driver)
        sent = len(await there(driver, "quorum"))
        await driver.shows(f"{sent:,} published to shop/quorum, 0 refused; stopped, {1_000_000 - sent:,}")


async def test_what_may_have_been_taken_is_told_from_what_was_refused() -> None:
    async with publishing(address("quorum"), (160, 40)) as driver:
        sending, panel = Sending(address("quorum"), 10), driver.app.screen.query_one(ReceiptsPanel)
        driver.app.screen.add_class("receipts")
        lost = Receipt(2, error=ConnectionLost("The connection is gone."), state="unknown")
        sending.add_receipts([Receipt(0), Receipt(1, error=PublishRejected("Too large.")), lost])
        panel.show_progress(sending)
        panel.add(sending.take_received())
        panel.count(sending.published)
        await driver.shows("3 of 10", "✖ 1 refused", "? 1 unknown", "1 ✔  1 ✖  1 ?")
        rows = "\n".join(driver.lines)
        assert re.search("✖ .* Too large", rows) and re.search(r"\? .* The connection is gone", rows)


async def test_a_missing_target_and_one_that_is_not_there_are_sentences_in_place() -> None:
    async with publishing() as driver:
        await driver.press("ctrl+s")
        await driver.shows("There is no target")
        await fill(driver, "target", "elsewhere/orders")
        await driver.press("ctrl+s")
        await driver.shows("There is no shop/elsewhere/orders")
        await fill(driver, "target", "shop/nowhere")
        await driver.press("ctrl+s")
        await driver.shows("There is no shop/nowhere")
        assert not busy(driver)


async def test_what_a_target_cannot_hold_is_said_before_it_is_sent() -> None:
    async with publishing(address("quorum")) as driver:
        await fill(driver, "body", "x")
        await driver.press("escape", "N")
        await driver.shows("shop/quorum cannot be sent this: its body is null, which this broker does not have")
        await driver.press("s")
        await driver.shows("0 published to shop/quorum, 1 refused.")
        assert not await there(driver, "quorum")


async def test_a_refusal_is_listed_with_its_reason() -> None:
    async with publishing(address("placed", "exchange")) as driver:
        await fill(driver, "key", "nobody.listens")
        await driver.press("ctrl+s")
        await driver.shows(
            "0 published to shop/exchange:placed, 1 refused.", "0 ✔  1 ✖", "✖ no queue for key nobody.listens"
        )


async def test_a_guard_that_does_not_allow_publishing_refuses() -> None:
    broker = shop()
    config = ConfigFile(connections={"shop": Configured(f"memory://{broker.name}", guard="look")})
    async with publishing(address("quorum"), broker=broker, config=config) as driver:
        await driver.press("ctrl+s")
        await driver.shows("shop is guarded at 'look'")
        assert await there(driver, "quorum") == []


async def test_production_wants_its_name_typed() -> None:
    broker = shop()
    config = ConfigFile(connections={"shop": Configured(f"memory://{broker.name}", guard="publish", production=True)})
    async with publishing(address("quorum"), broker=broker, config=config) as driver:
        await driver.press("ctrl+s")
        await driver.shows("shop is production")
        await driver.press("escape")
        await driver.shows("needs its name to be typed")
        assert broker.queues["quorum"].depth == 0
        await driver.press("ctrl+s")
        await driver.shows("Type the connection's name")
        await driver.press(*"shop", "enter")
        await driver.shows("1 published to shop/quorum")
        assert broker.queues["quorum"].depth == 1


# Writing.


async def test_the_target_is_completed() -> None:
    async with publishing() as driver:
        await driver.press(*"shop/quo")
        await driver.shows("shop/quorum")
        await driver.press("right")
        assert driver.app.screen.query_one("#target", TextField).value == "shop/quorum"


async def test_what_is_not_json_says_where() -> None:
    async with publishing(address("quorum")) as driver:
        await fill(driver, "body", '{\n"a": 1,\n}')
        await driver.shows("line 3, column 1: not JSON ✖")
        await fill(driver, "body", '{"a":1}')
        await driver.press("escape", "f")
        await driver.shows('2    "a": 1')


async def test_a_template_that_cannot_be_read_says_its_line_and_is_not_sent() -> None:
    async with publishing(address("quorum")) as driver:
        await fill(driver, "body", "{\n{{ nothing }}\n}")
        await driver.press("escape", "t")
        await driver.shows("template · ✖ The template's body cannot be filled in", "'nothing' is undefined")
        await driver.press("s")
        await driver.shows("The template's body cannot be filled in at line 2")
        assert await there(driver, "quorum") == []


async def test_headers_and_properties_are_added_edited_and_removed() -> None:
    async with publishing(address("quorum")) as driver:
        await driver.press("escape", "n", *"tenant", "tab", *"north", "enter")
        await driver.shows("tenant", "north")
        await driver.press("n", *"n", "tab", *"5x", "tab", "tab", "space", "shift+tab", "shift+tab", "enter")
        await driver.shows("✖ '5x' is no value")
        await driver.press("backspace", "enter")
        await driver.press("n", *"app_id", "tab", *"shop", "tab", "space", "shift+tab", "enter")
        await driver.shows("property", "app_id")
        await driver.press("s")
        await driver.shows("1 published")
        [event] = await there(driver, "quorum")
        assert (event.headers, event.properties) == ((("tenant", "north"), ("n", 5)), {"app_id": "shop"})
        # The table has the property first; the cursor goes to `tenant`.
        await driver.press("g", "j", "enter", "tab", "end", *"!", "enter")
        await driver.shows("north!")
        await driver.press("x")
        await driver.hides("tenant")


async def test_a_tombstone_has_no_body() -> None:
    async with publishing(address("payments")) as driver:
        await driver.press("escape", "N")
        await driver.shows("∅ No body: a tombstone", "no body: a tombstone")
        await driver.press("s")
        await driver.shows("1 published")
        assert [event.body for event in await there(driver, "payments")].count(None) == 1


async def test_a_body_may_be_taken_from_a_file_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"\xff\0\r\n")
    async with publishing(address("quorum")) as driver:
        await driver.press("escape", "l", f"={tmp_path / 'body'}", "enter")
        await driver.shows("cannot be edited here", "UTF-8.")
        await driver.press("s")
        await driver.shows("1 published")
        assert [event.body for event in await there(driver, "quorum")] == [b"\xff\0\r\n"]


async def test_a_template_file_is_opened() -> None:
    folder = templates_folder()
    folder.mkdir(parents=True)
    (folder / "order.toml").write_text('key = "k"\nbody = \'{"id": "{{ id }}"}\'\n[set]\nid = "o{{ seq }}"\n')
    async with publishing(address("quorum")) as driver:
        await driver.press("escape", "o")
        await driver.shows("one of yours: order")
        await driver.press("=order", "enter")
        await driver.shows('"id": "o0"')


LOOPS = "{% set r = range(99999) %}{% for a in r %}{% for b in r %}{% for c in r %}{% endfor %}{% endfor %}{% endfor %}"


async def test_a_template_without_end_is_said_and_the_screen_goes_on() -> None:
    async with publishing(address("quorum")) as driver:
        await fill(driver, "body", LOOPS)
        await driver.press("ctrl+t")
        await fill(driver, "target", "shop/payments")
        # The partition's field comes before the template is given up: it is not the screen that loops.
        await driver.until(lambda: driver.app.screen.query_one("#partition").display)
        assert "not done" not in driver.text
        await driver.shows("✖ The template is not done with one event", "after 2 seconds: does it loop without end?")
        await driver.press("ctrl+s")
        await driver.shows("does it loop without end? Confirmed until then: 0.")
        assert not busy(driver)
        await fill(driver, "body", "{{ seq }}")
        await driver.shows("template · text 1 B")


async def test_the_line_at_the_cursor_keeps_its_colours() -> None:
    async with publishing(address("quorum")) as driver:
        await fill(driver, "body", '{"a": 1}\n{"a": 1}')
        await driver.until_settled()
        editor = driver.app.screen.query_one(BodyEditor)
        elsewhere, at_cursor = (
            [(segment.text, segment.style.color) for segment in editor.render_line(line) if segment.style]
            for line in (0, 1)
        )
        assert dict(at_cursor)['"a"'] == dict(elsewhere)['"a"'] != dict(elsewhere)["{"]


async def test_the_footer_names_what_works_where_the_cursor_is() -> None:
    async with publishing(dead()) as driver:
        await driver.until(lambda: "ctrl+s send" in driver.lines[-1] and "ctrl+r other target" in driver.lines[-1])
        assert "n add" not in driver.lines[-1] and "ctrl+x" not in driver.lines[-1]
        await driver.press("escape")
        await driver.until(lambda: "n add" in driver.lines[-1] and "esc go back" in driver.lines[-1])
        await fill(driver, "count", "1000000")
        await fill(driver, "rate", "50")
        await driver.press("escape", "s")
        await driver.until(lambda: "ctrl+x stop" in driver.lines[-1] and "esc stop" in driver.lines[-1])
        await driver.press("ctrl+x")
        await driver.until(lambda: "ctrl+x" not in driver.lines[-1] and "esc go back" in driver.lines[-1])


# Who receives it.


async def test_an_exchange_says_who_gets_the_event_before_it_is_sent() -> None:
    async with publishing(address("placed", "exchange")) as driver:
        await driver.shows("✖ no queue for an event without a key")
        # The cursor is where it hangs on.
        await driver.press(*"order.placed")
        await driver.shows("✔ 1 queue gets it: orders")
        await fill(driver, "key", "plced")
        await driver.shows("✖ no queue for key plced")
        await fill(driver, "key", "order.paid")
        await driver.shows("✔ 1 queue gets it: orders")
        await driver.press("ctrl+s")
        await driver.shows("1 published to shop/exchange:placed", "  orders  ")


async def test_a_topic_says_its_partitions_and_who_reads_it_and_a_queue_who_consumes_it() -> None:
    async with publishing(address("payments")) as driver:
        await driver.shows("✔ 2 partitions, read by ledger", "partition  any")
        await fill(driver, "target", "shop/quorum")
        await driver.shows("⚠ quorum queue: no consumer reads it now")
        await driver.hides("partition  any")
        await fill(driver, "target", "shop/nowhere")
        await driver.shows("⚠ shop/nowhere is not listed")


async def test_a_receipt_leads_to_the_event_in_a_topic() -> None:
    async with publishing(address("payments")) as driver:
        await fill(driver, "partition", "1")
        await fill(driver, "body", "landed here")
        await driver.press("ctrl+s")
        await driver.shows("shop/payments 1:10")
        driver.app.screen.query_one(Receipts).focus()
        await driver.press("enter")
        await driver.until(lambda: driver.app.screen is driver.app.events)
        await driver.shows("landed here")


async def test_a_receipt_of_an_exchange_leads_to_a_queue_that_got_the_event() -> None:
    async with publishing(address("placed", "exchange")) as driver:
        await fill(driver, "key", "order.placed")
        await driver.shows("✔ 1 queue gets it: orders")
        await driver.press("ctrl+s")
        await driver.shows("1 published")
        driver.app.screen.query_one(Receipts).focus()
        await driver.press("enter")
        await driver.shows("shop/orders: ", "b browse")


async def test_how_many_says_what_it_comes_to() -> None:
    async with publishing(address("quorum")) as driver:
        await driver.shows("1 event at once")
        await fill(driver, "count", "1000")
        await fill(driver, "rate", "100")
        await driver.shows("1,000 events at 100/s: 10 s")


# Clones.


async def test_a_clone_is_sent_without_what_made_it_a_dead_letter_and_with_a_fresh_id() -> None:
    async with publishing(dead()) as driver:
        await driver.shows("clone of shop/orders.dead", "2 dropped: RabbitMQ dead letter", "made anew: AMQP")
        await fill(driver, "target", "shop/quorum")
        await driver.press("ctrl+s")
        await driver.shows("1 published to shop/quorum")
        await driver.press("escape", "s")
        await driver.until(lambda: driver.broker.queues["quorum"].depth == 2)
        one, two = await there(driver, "quorum")
        assert [name for name, _ in one.headers] == ["ratio", "tenant"]
        assert one.properties["correlation_id"] == "flow-7"
        assert len({"m-1", one.properties["message_id"], two.properties["message_id"]}) == 3


async def test_what_a_clone_drops_or_makes_anew_can_be_kept() -> None:
    delivery = dead()
    async with publishing(delivery) as driver:
        await driver.shows("3 kept · 1 new · 2 dropped", "↻ message_id", "▸ 2 dropped: RabbitMQ dead letter")
        await driver.press("escape", "j", "space", "G", "enter")
        await driver.shows("▾ 2 dropped", "✖ x-death", "= message_id")
        await driver.press("space")
        await driver.shows("6 kept", "= x-death", "= x-first-death-queue")
        await fill(driver, "target", "shop/quorum")
        await driver.press("ctrl+s")
        await driver.shows("1 published to shop/quorum")
        [event] = await there(driver, "quorum")
        assert event.wire == delivery.event.wire


async def test_a_clone_of_a_dead_letter_is_aimed_at_its_origin_and_offers_where_it_was_read() -> None:
    async with publishing(dead()) as driver:
        target = driver.app.screen.query_one("#target", TextField)
        assert (target.value, target.has_focus) == ("shop/orders", True)
        await driver.shows("came from queue orders", "ctrl+r shop/orders.dead instead, where it was read")
        await driver.press("ctrl+r")
        await driver.shows("ctrl+r shop/orders instead, the queue")
        assert target.value == "shop/orders.dead"
        await driver.press("ctrl+r", "ctrl+s")
        await driver.shows("1 published to shop/orders,")


async def test_an_origin_that_is_gone_is_said_and_no_target_is_chosen() -> None:
    broker = shop()
    broker.delete("orders")
    async with publishing(dead(), broker=broker) as driver:
        await driver.shows("Its facts name the queue orders: not listed.", "ctrl+r shop/orders.dead, where it was read")
        assert driver.app.screen.query_one("#target", TextField).value == ""


async def test_what_differs_from_the_original_is_named() -> None:
    async with publishing(dead(b'{"id":7,"total":1}')) as driver:
        await fill(driver, "body", '{"id":7,"total":2}')
        await driver.shows("differs from the original:", "total", "message_id", "-x-death")


async def test_a_line_that_was_changed_says_what_it_was() -> None:
    async with publishing(dead()) as driver:
        await fill(driver, "body", '{\n  "id": 8\n}')
        await driver.until(lambda: re.search(r'"id": 8 +◂ was 7 ', driver.text))
        await fill(driver, "body", '{"id": 8, "more": true}')
        await driver.shows("true}   ◂ id was 7, more new")
        await fill(driver, "body", '{"id":7}')
        await driver.hides("◂")


async def test_a_binary_body_is_locked_and_sent_as_it_is() -> None:
    body = b"\0\0\0\0\x2a\x02\xff"
    async with publishing(dead(body)) as driver:
        await driver.shows("cannot be edited here", "schema 42.")
        assert not driver.app.screen.query_one(BodyEditor).display
        await driver.press("escape", "f")
        await driver.shows("There is no text to format.")
        await fill(driver, "target", "shop/quorum")
        await driver.press("ctrl+s")
        await driver.shows("1 published")
        assert [event.body for event in await there(driver, "quorum")] == [body]


async def test_a_clone_goes_back_unasked_only_where_nobody_was_careful() -> None:
    async with publishing(dead()) as driver:
        assert driver.app.screen.query_one("#target", TextField).value == "shop/orders"
    broker = shop()
    for careful in (
        Configured(f"memory://{broker.name}", guard="move", production=True),
        Configured(f"memory://{broker.name}", guard="publish"),
    ):
        async with publishing(dead(), broker=broker, config=ConfigFile(connections={"shop": careful})) as driver:
            assert driver.app.screen.query_one("#target", TextField).value == ""


async def test_what_is_masked_is_sent_and_not_shown() -> None:
    broker = shop()
    config = ConfigFile(
        connections={"shop": Configured(f"memory://{broker.name}", guard="publish")}, masks=("body.card", "key")
    )
    async with publishing(dead(b'{"card":"4111"}', b"dead-key"), broker=broker, config=config) as driver:
        await driver.shows("cannot be edited here", "masked.", "masked: kept until you type", '"card": "****"')
        assert "4111" not in driver.text and "dead-key" not in driver.text
        await fill(driver, "target", "shop/quorum")
        await driver.press("ctrl+s")
        await driver.shows("1 published")
        assert [event.body for event in await there(driver, "quorum")] == [b'{"card":"4111"}']
        assert "4111" not in driver.text


async def test_a_large_event_is_masked_beside_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = Masking.apply
    threads: set[threading.Thread] = set()

    def noted(self: Masking, delivery: Delivery) -> Delivery:
        if len(delivery.event.body or b"") > LARGE:
            threads.add(threading.current_thread())
        return apply(self, delivery)

    monkeypatch.setattr(Masking, "apply", noted)
    broker = shop()
    config = ConfigFile(connections={"shop": Configured(f"memory://{broker.name}")}, masks=("body.card",))
    body = json.dumps({"card": "4111", "rest": "x" * 2 * LARGE}).encode()
    async with publishing(dead(body), broker=broker, config=config) as driver:
        await driver.shows("masked.", '"card": "****"')
    assert threads and threading.main_thread() not in threads


async def test_no_hostile_event_reaches_the_terminal() -> None:
    async with running((80, 24)) as driver:
        # Some of them, for each is drawn several times; the texts of all of them are drawn in the test below.
        for name, delivery in list(hostile())[::20]:
            await open_publish(driver, delivery)
            assert not any(chr(code) in "".join(driver.lines) for code in OBEYED), name
            assert all(cells(line) <= 80 for line in driver.lines), name
            await driver.press("escape", "escape")
            await driver.until(lambda: not isinstance(driver.app.screen, PublishScreen))


def test_a_text_in_place_has_as_many_characters_and_none_that_is_obeyed() -> None:
    for _, delivery in hostile():
        text = (delivery.event.body or b"")[:5000].decode("utf-8", "replace")
        drawn = in_place(text)
        assert len(drawn) == len(text)
        assert all(
            visible(character) == character for character in drawn if character not in "\t" and not is_mark(character)
        )
    assert in_place("नमस्ते") == "नमस्ते"


def is_mark(character: str) -> bool:
    import unicodedata

    return unicodedata.category(character) in ("Mn", "Mc")


# Drafts.


async def test_a_draft_survives_a_restart() -> None:
    broker = shop()
    async with publishing(address("quorum"), broker=broker) as driver:
        await fill(driver, "body", "what I was writing")
        await fill(driver, "key", "k")
    async with publishing(broker=broker) as driver:
        await driver.shows("what I was writing", "shop/quorum")
        await driver.press("ctrl+s")
        await driver.shows("1 published to shop/quorum")


async def test_what_was_typed_last_is_kept_when_the_screen_is_left() -> None:
    async with publishing(address("quorum")) as driver:
        await driver.press(*"abc", "escape", "escape")
        await driver.until(lambda: not isinstance(driver.app.screen, PublishScreen))
        await driver.press("6")
        await driver.shows("abc")


async def test_another_draft_can_be_opened() -> None:
    async with publishing(address("quorum")) as driver:
        await fill(driver, "body", "the first")
        await driver.press("escape", "escape")
        await open_publish(driver, address("orders"))
        await fill(driver, "body", "the second")
        await driver.press("escape", "w")
        await driver.shows("an empty draft", "the first")
        await driver.press("down", "down", "enter")
        await driver.until(lambda: driver.app.screen.query_one(BodyEditor).text == "the first")


async def test_a_draft_is_offered_only_where_all_its_connections_are() -> None:
    broker = shop()
    async with publishing(address("quorum"), broker=broker) as driver:
        await fill(driver, "body", "for the one shop")
    async with publishing(broker=shop()) as driver:
        assert driver.app.screen.query_one(BodyEditor).text == ""
        await driver.press("escape", "w")
        await driver.shows("an empty draft")
        assert "for the one shop" not in driver.text
    async with publishing(broker=broker) as driver:
        await driver.shows("for the one shop")


async def test_the_drafts_of_the_demo_end_with_it() -> None:
    broker = shop()
    for again in range(2):
        async with running(broker=broker, opening=Opening(demo=True)) as driver:
            await open_publish(driver, None)
            assert driver.app.screen.query_one(BodyEditor).text == ""
            await fill(driver, "target", "shop/quorum")
            await fill(driver, "body", f"in the demo {again}")
            await driver.press("escape", "escape", "6", "escape", "w")
            await driver.shows("an empty draft", "shop/quorum")
    assert not drafts_folder().exists()


async def test_a_damaged_draft_is_one_sentence() -> None:
    folder = drafts_folder()
    folder.mkdir(parents=True)
    (folder / "x.json").write_bytes(b"{")
    async with publishing() as driver:
        await driver.shows("A draft could not be read and lies in")
        assert driver.app.screen.query_one(BodyEditor).text == ""


@pytest.mark.parametrize("theme", ["workbench-dark", "workbench-16", "workbench-light"])
async def test_it_is_usable_in_a_small_terminal(theme: str) -> None:
    async with running((80, 24)) as driver:
        driver.app.theme = theme
        await open_publish(driver, dead())
        await driver.shows(
            "Target", "key", "count", "rate", "JSON ✔ 8 B", "As it will be sent", "2 dropped", "ctrl+s send"
        )
        await driver.press("escape", "v")
        await driver.shows("Receipts")
        await driver.hides("As it will be sent")


@pytest.mark.parametrize(("body", "said"), [(b"\xff", " 1 byte."), (b"\xff\xfe\xfd", " 3 bytes.")])
async def test_a_body_that_is_no_text_is_counted_in_its_place(tmp_path: Path, body: bytes, said: str) -> None:
    path = tmp_path / "body"
    path.write_bytes(body)
    async with running((160, 40)) as driver:
        await driver.press("6", "escape", "l", f"={path}", "enter")
        await driver.shows("The body is sent byte for byte", said)


@pytest.mark.parametrize(("count", "said"), [(1, "… 1 more is sent"), (2, "… 2 more are sent")])
def test_fields_that_are_not_listed_are_counted(count: int, said: str) -> None:
    assert DraftFields().draw(More(count), 40).plain == said


async def test_a_wide_screen_tells_of_the_target_beside_the_form() -> None:
    async with publishing(address("payments"), (220, 60)) as driver:
        await driver.shows("partitions  2", "ledger · ")
        await fill(driver, "target", "shop/orders")
        await driver.shows("none: nobody reads it")
