"""The inspector, moved by keys and mouse, and read as it is drawn."""

import gzip
import json
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import cbor2
import msgspec
import pytest
from rich.cells import cell_len
from rich.style import Style
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.style import Style as VisualStyle

from connectors.memory.demo import frameworks, story
from connectors.memory.headers import with_headers
from tests.hostile import deliveries as hostile
from views.theme import ThemedApp
from views.widgets.inspector import listing
from views.widgets.inspector.inspector import TABS, Inspector
from views.widgets.inspector.listing import FOLDED
from views.widgets.inspector.page import FOUND, Tab
from views.widgets.inspector.tabs import LAID_OUT
from workbench.decode.codec import query_value
from workbench.decode.display import cells
from workbench.facts.conventions import Conventions
from workbench.facts.masking import Masking
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Delivery, Event, Position
from workbench.model.wire import Wire, encode
from workbench.query.query import Reading, compile

READING = Reading(Conventions.load([]).facts, query_value)
SEEN = round(datetime(2026, 11, 23, 10, 3, 22, tzinfo=UTC).timestamp() * 1000)
OBEYED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me")
ORDER = b'{"orderId":1001,"total":1.10,"items":[{"sku":"a-1","n":2},{"sku":"b-2","n":1}],"note":null,"id":"x","id":"y"}'


class Screen(ThemedApp):
    """The inspector alone."""

    def compose(self) -> ComposeResult:
        yield Inspector(id="inspector")

    def on_mount(self) -> None:
        self.query_one(Inspector).focus()


class Bench:
    """An inspector in a terminal of its own."""

    delivery: Delivery
    """The event that was shown last."""

    def __init__(self, inspector: Inspector, pilot: Pilot[None]) -> None:
        self.inspector, self.pilot = inspector, pilot

    async def show(self, event: Event | Delivery | bytes | None, reading: Reading = READING) -> None:
        """Show an event, or one with this body."""
        delivery = Event(b"key", event) if isinstance(event, bytes) else event
        if isinstance(delivery, Event):
            delivery = Delivery(delivery, Address("kafka", "orders"), SEEN, Position("3", "42"))
        if delivery is not None:
            self.delivery = delivery
        self.inspector.show(reading.mask(delivery) if delivery is not None else None, reading)
        await self.until_settled()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.until_settled()

    async def until_settled(self) -> None:
        """All is read and drawn."""
        await self.pilot.pause()
        while self.inspector.page is not None and not self.inspector.page.complete:
            await self.pilot.pause()
        await self.pilot.pause()

    async def go(self, begin: str) -> None:
        """Put the cursor on the first row that begins so."""
        await self.press("home")
        for _ in range(200):
            if self.cursor_line().strip(" ▾▸").startswith(begin):
                return
            await self.press("down")
        raise AssertionError(f"no row begins with {begin}: {self.lines()}")

    def lines(self) -> list[str]:
        """The tabs and what was found, and the rows as they are drawn, without the cursor's sign and spaces at ends."""
        inspector = self.inspector
        rows = [inspector.render_line(y).text[1:].rstrip() for y in range(inspector.size.height)]
        return [f"{inspector.tabs.plain}  {inspector.found}".rstrip(), *rows]

    def rows(self) -> list[str]:
        """What is drawn of the page, without the heading and what is blank."""
        return [line for line in self.lines()[2:] if line]

    def styled(self, text: str) -> list[Style]:
        """The styles of the segments that are just this text."""
        return [
            segment.style or Style()
            for y in range(self.inspector.size.height)
            for segment in self.inspector.render_line(y)
            if segment.text == text
        ]

    def cursor_line(self) -> str:
        page = self.inspector.page
        assert page is not None
        return self.lines()[1 + page.cursor - self.inspector.scroll_offset.y]


def _local(time: datetime) -> str:
    return time.astimezone().isoformat(" ", "milliseconds")


@asynccontextmanager
async def opened(width: int = 80, height: int = 24) -> AsyncIterator[Bench]:
    app = Screen()
    async with app.run_test(size=(width, height)) as pilot:
        await pilot.pause()
        yield Bench(app.query_one(Inspector), pilot)


# Tabs.


async def test_without_an_event_it_says_so() -> None:
    async with opened() as bench:
        await bench.show(None)
        assert bench.lines()[:2] == ["Body  Headers  Facts  Raw", "No event is chosen."]
        await bench.press("enter", "down", "right", "G", "y")
        assert bench.inspector.text_to_copy() == ""


async def test_the_active_tab_is_told_without_colour_and_changed_by_keys() -> None:
    async with opened() as bench:
        await bench.show(ORDER)

        def active() -> list[str]:
            tabs = bench.inspector.tabs
            return [
                tabs.plain[span.start : span.end]
                for span in tabs.spans
                if isinstance(span.style, VisualStyle) and span.style.underline and span.style.bold
            ]

        assert active() == ["Body"]
        for key, tab in (("right", "Headers"), ("]", "Facts"), ("]", "Raw"), ("right", "Body"), ("left", "Raw")):
            await bench.press(key)
            assert active() == [tab]
        await bench.press("[")
        assert active() == ["Facts"]


async def test_another_event_keeps_the_tab_and_begins_at_its_top() -> None:
    async with opened(height=8) as bench:
        await bench.show(json.dumps(list(range(50))).encode())
        await bench.press("end")
        assert bench.rows()[-1] == "  ]"
        await bench.show(json.dumps(list(range(100, 150))).encode())
        assert bench.rows()[:2] == ["▾ [", "    100,"]
        await bench.press("right")
        await bench.show(Event(b"k", b"{}", None, Content((("h", b"v"),))))
        assert bench.inspector.tab == "Headers"
        assert bench.lines()[1].startswith("1 header")


async def test_a_tab_is_found_as_it_was_left() -> None:
    async with opened() as bench:
        await bench.show(ORDER)
        await bench.go('"total"')
        await bench.press("right", "down", "left")
        assert bench.inspector.text_to_copy() == "1.10"


# Body.


async def test_json_is_drawn_with_every_key_and_digit_and_strings_as_what_they_say() -> None:
    async with opened() as bench:
        await bench.show(b'{"a":1.10,"n":18446744073709551617,"e":1e5,"u":"\\u00e9","x":{},"id":"x","id":"y"}')
        assert bench.lines()[1] == "JSON · 81 bytes · keys more than once: id"
        assert bench.rows() == [
            "▾ {",
            '    "a": 1.10,',
            '    "n": 18446744073709551617,',
            '    "e": 1e5,',
            '    "u": "é",',
            '    "x": {},',
            '    "id": "x",',
            '    "id": "y"',
            "  }",
        ]


async def test_tokens_are_told_apart() -> None:
    async with opened() as bench:
        await bench.show(b'{"k": "s", "n": 5, "w": null}')
        styles = [bench.styled(token)[0] for token in ('"k"', '"s"', "5", "null")]
        assert len({style.color for style in styles}) == 4
        assert styles[0].bold and not styles[1].bold and styles[3].italic


@pytest.mark.parametrize("theme", ["workbench-dark", "workbench-light"])
async def test_all_stands_out_from_its_background(theme: str) -> None:
    async with opened() as bench:
        bench.pilot.app.theme = theme
        await bench.show(Event(None, ORDER, None, Content((("name", b"value"),))))
        for _ in TABS:
            for y in range(20):
                for text, style, _ in bench.inspector.render_line(y):
                    assert style and style.color and style.bgcolor
                    front, back = style.color.get_truecolor(), style.bgcolor.get_truecolor()
                    assert not text.strip() or abs(sum(front) - sum(back)) > 180, text
            await bench.press("right")


@pytest.mark.parametrize("key", ["enter", "space"])
async def test_a_container_is_folded_and_unfolded(key: str) -> None:
    async with opened() as bench:
        await bench.show(ORDER)
        await bench.go('"items"')
        unfolded = bench.rows()
        await bench.press(key)
        assert bench.rows()[3:5] == ['  ▸ "items": [ … 2 items ],', '    "note": null,']
        await bench.press("home", "down", key)
        assert bench.rows() == ["▸ { … 6 fields }"]
        await bench.press(key, "down", "down", "down", key)
        assert bench.rows() == unfolded


async def test_a_click_on_the_sign_or_on_the_cursor_folds() -> None:
    async with opened() as bench:
        await bench.show(ORDER)
        await bench.pilot.click(Inspector, offset=(7, 4))
        assert bench.inspector.text_to_copy().startswith("[{") and "▸" not in "".join(bench.rows())
        await bench.pilot.click(Inspector, offset=(7, 4))
        assert bench.rows()[3] == '  ▸ "items": [ … 2 items ],'
        await bench.pilot.click(Inspector, offset=(1, 1))
        assert bench.rows() == ["▸ { … 6 fields }"]


async def test_what_has_nothing_in_it_is_not_folded() -> None:
    async with opened() as bench:
        await bench.show(ORDER)
        await bench.go('"total"')
        before = bench.rows()
        await bench.press("enter")
        assert bench.rows() == before


async def test_a_long_value_is_wrapped_at_words() -> None:
    async with opened(width=40) as bench:
        long = " ".join(str(number) for number in range(40))
        await bench.show(json.dumps({"a": long, "b": 1}).encode())
        rows = bench.rows()
        first = next(number for number, row in enumerate(rows) if '"a"' in row)
        last = next(number for number, row in enumerate(rows) if '"b"' in row)
        assert last - first > 2 and not any(row.endswith("…") for row in rows)
        assert " ".join(row.strip() for row in rows[first:last]) == f'"a": "{long}",'


async def test_a_very_long_value_is_folded_to_its_beginning_and_unfolded_whole() -> None:
    async with opened(width=40, height=40) as bench:
        long = "".join(f"{number:04}" for number in range(250))
        await bench.show(json.dumps({"a": long, "b": 1}).encode())
        folded = bench.rows()
        assert folded[1].startswith('    "a": "00000001') and "▸ 1,002 characters" in folded[FOLDED + 1]
        assert folded[FOLDED + 2] == '    "b": 1'
        await bench.go('"a"')
        await bench.press("enter")
        rows = bench.rows()
        last = rows.index('    "b": 1')
        assert "".join(row.strip() for row in rows[1:last]) == f'"a": "{long}",'
        await bench.press("space")
        assert bench.rows() == folded


async def test_a_value_higher_than_the_screen_is_gone_through() -> None:
    async with opened(width=40, height=8) as bench:
        await bench.show(json.dumps({"a": "\n".join(f"line {number:03}" for number in range(30)), "b": 1}).encode())
        await bench.go('"a"')
        await bench.press("enter")
        seen: set[str] = set()
        for _ in range(90):
            seen |= {f"{number:03}" for number in range(30) if any(f"line {number:03}" in row for row in bench.lines())}
            if bench.inspector.text_to_copy() == "1":
                break
            await bench.press("down")
        assert len(seen) == 30 and bench.inspector.text_to_copy() == "1"
        await bench.press("up", "pagedown", "up")
        assert bench.inspector.text_to_copy().startswith("line 000")


async def test_what_is_seen_stays_while_more_is_made_of_a_value_above(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_AT_ONCE", -1)
    async with opened(width=40, height=8) as bench:
        await bench.show(json.dumps({"a": "\n".join(f"line {number:04}" for number in range(900)), "b": 1}).encode())
        await bench.go('"a"')
        page = bench.inspector.page
        assert page is not None
        bench.inspector.action_toggle()
        bench.inspector.action_cursor_bottom()
        bench.inspector.action_cursor_up()
        assert not page.complete and bench.inspector.text_to_copy() == "1"
        await bench.until_settled()
        assert bench.inspector.text_to_copy() == "1" and page.rows > 900
        assert [row.strip() for row in bench.rows()[-3:]] == ['line 0899",', '"b": 1', "}"]


async def test_what_is_found_in_a_long_value_is_gone_to_once_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_AT_ONCE", -1)
    async with opened(width=40, height=8) as bench:
        await bench.show(json.dumps({"a": "\n".join(f"line {number:04}" for number in range(900))}).encode())
        bench.inspector.search("0897")
        await bench.until_settled()
        assert any("0897" in row for row in bench.rows())


async def test_it_is_said_what_a_body_was_taken_for() -> None:
    async with opened() as bench:
        for event, heading, row in (
            (Event(), "null", "There is no body: a tombstone, which is not the same as an empty body."),
            (Event(None, b""), "empty", "The body is empty: it has no bytes."),
            (Event(None, b"one\ntwo"), "text · 7 bytes", "one"),
            (Event(None, b"5"), "text · 1 byte", "5"),
            (Event(None, gzip.compress(b'{"a":1}', mtime=0)), "JSON · 27 bytes · gzip", "▾ {"),
            (Event(None, b'\0\0\0\0\x2a{"a":1}'), "JSON · 12 bytes · schema 42", "▾ {"),
            (Event(None, msgspec.msgpack.encode({"a": b"\xff"})), "MessagePack · 6 bytes", "▾ {"),
            (Event(None, cbor2.dumps({"a": [1]})), "CBOR · 5 bytes", "▾ {"),
            (Event(None, b"\xfd\xfe\x00\x01"), "no text, in hex · 4 bytes", None),
        ):
            await bench.show(event)
            assert bench.lines()[1] == heading
            assert row is None or bench.rows()[0] == row
        assert bench.rows()[0].split() == ["0000", "fd", "fe", "00", "01", "...."]


async def test_the_values_of_messagepack_are_a_tree() -> None:
    async with opened() as bench:
        await bench.show(msgspec.msgpack.encode({"a": [1, b"\xff", None], 5: 18446744073709551615}))
        assert bench.rows() == [
            "▾ {",
            '  ▾ "a": [',
            "      1,",
            "      0xff,",
            "      null",
            "    ],",
            "    5: 18446744073709551615",
            "  }",
        ]
        await bench.go('"a"')
        await bench.press("enter")
        assert bench.rows()[1] == '  ▸ "a": [ … 3 items ],'


async def test_text_is_wrapped_and_none_of_it_missing() -> None:
    async with opened(width=30) as bench:
        words = " ".join(f"word{number}" for number in range(40))
        await bench.show(f"first\n\n{words}\nlast\n".encode())
        rows = bench.lines()[2:]
        assert rows[:2] == ["first", ""]
        end = rows.index("last")
        assert "".join("".join(rows[2:end]).split()) == "".join(words.split())
        await bench.pilot.resize_terminal(60, 24)
        await bench.until_settled()
        assert bench.lines()[2:].index("last") < end
        await bench.press("home", "down", "down", "down")
        assert bench.inspector.text_to_copy() == words


async def test_a_large_body_is_seen_before_all_of_it_was_read() -> None:
    async with opened() as bench:
        body = json.dumps([{"number": number, "text": "x" * 50} for number in range(40_000)]).encode()
        assert len(body) > 3_000_000
        bench.inspector.show(Delivery(Event(None, body), Address("k", "t"), SEEN), READING)
        page = bench.inspector.page
        assert page is not None and not page.complete and page.rows < 2_000
        assert bench.lines()[1] == "JSON · 3,177,780 bytes · reading on …" or "reading on" in bench.lines()[1]
        assert bench.rows()[2] == '      "number": 0,'
        await bench.until_settled()
        assert page.rows == 1 + 2 + 4 * 40_000
        await bench.press("end", "up", "up", "up")
        assert bench.inspector.text_to_copy() == "39999"


async def test_reading_a_large_body_stops_when_another_event_is_shown() -> None:
    async with opened() as bench:
        body = b"[" + b"0," * 500_000 + b"0]"
        bench.inspector.show(Delivery(Event(None, body), Address("k", "t"), SEEN), READING)
        left = bench.inspector.page
        await bench.show(b"{}")
        assert left is not None and not left.complete
        assert bench.rows() == ["  {}"]


async def test_a_body_that_turns_out_to_be_no_json_is_shown_as_text() -> None:
    async with opened(width=100) as bench:
        await bench.show(b"[" + b'"0123456789",' * 20_000 + b"oops]")
        assert bench.lines()[1] == "text · 260,006 bytes · not JSON at line 1, column 260002"
        assert bench.rows()[0].startswith('["0123456789","0123456789"')
        await bench.press("end")
        assert bench.rows()[-1].endswith("oops]")


async def test_of_a_huge_body_the_beginning_is_shown_and_that_is_said() -> None:
    async with opened(width=100) as bench:
        await bench.show(b'{"a":"' + b"x" * (LAID_OUT + 10) + b'"}')
        assert bench.lines()[1].endswith(f"its first {LAID_OUT:,} characters")
        assert bench.rows()[1].startswith('    "a": "xxx')


async def test_what_a_string_says_is_found_however_it_was_written() -> None:
    async with opened() as bench:
        await bench.show(b'{"a":"x\\ty","customer":"Zo\\u00eb","b":"\\ud83d\\ude00!","last":"zo"}')
        assert '    "customer": "Zoë",' in bench.rows() and '    "a": "x⇥y",' in bench.rows()
        bench.inspector.search("zoë")
        assert bench.lines()[0].endswith("1 of 1") and bench.inspector.text_to_copy() == "Zoë"
        assert bench.styled("Zoë")[0].reverse
        bench.inspector.search("!")
        assert bench.inspector.text_to_copy() == "\U0001f600!" and bench.styled("!")[0].reverse
        bench.inspector.search('"last"')
        assert bench.inspector.text_to_copy() == "zo" and bench.styled('"last"')[0].reverse
        await bench.press("left")
        assert any("Zo\\u00eb" in row for row in bench.rows())


# Why it failed.


BODY = {"orderId": 1147, "customer": "Zoë"}
CAUSE = frameworks.Cause("11111111-2222-3333-4444-555555555555", "m-0")
DEATH = {
    **{"count": 3, "reason": "rejected", "queue": "orders", "exchange": "shop", "routing-keys": ["order.placed"]},
    "time": datetime(2026, 11, 25, 10, tzinfo=UTC),
}


def _sent(type: str = "PaymentRequested") -> Event:
    return frameworks.spring_amqp(type, "payment.requested", BODY, "m-1", CAUSE, SEEN)


def _logged() -> Event:
    return frameworks.spring_kafka("PaymentAuthorised", "1147", BODY, "m-1", CAUSE, SEEN)


def _failed() -> Iterator[tuple[str, Event, str, str, str]]:
    """Events as frameworks give them up: by which convention, the reason, what is said below it, and the origin."""
    at = _local(datetime.fromtimestamp(SEEN / 1000, UTC))[:19]
    died = _local(datetime(2026, 11, 25, 10, tzinfo=UTC))[:19]
    billed = frameworks.nservicebus("IssueInvoice", "billing", BODY, "m-1", CAUSE, SEEN)
    shipped = frameworks.masstransit("ShipOrder", BODY, "m-1", CAUSE, SEEN)
    yield (
        *("Spring AMQP", frameworks.recovered_by_spring(_sent(), story.ACQUIRER_TIMEOUT, "shop")),
        *("Read timed out", "SocketTimeoutException · from exchange shop, key payment.requested", "shop"),
    )
    yield (
        *("MassTransit", frameworks.faulted_by_masstransit(shipped, story.CARRIER_TIMEOUT, "shipping", 5, SEEN)),
        *(story.CARRIER_TIMEOUT.message, f"TimeoutException · attempt 5 · from shipping · {at}", "shipping"),
    )
    yield (
        *("NServiceBus", frameworks.failed_in_nservicebus(billed, story.NO_TAX_NUMBER, "billing", SEEN)),
        *(story.NO_TAX_NUMBER.message, f"NullReferenceException · attempt 3 · from billing · {at}", "billing"),
    )
    yield (
        *("Spring Kafka", frameworks.dead_in_spring_kafka(_logged(), story.SCORE, "payments", 1, 25, "ledger")),
        *(f"Listener failed; {story.SCORE.message}", "IllegalStateException · from payments 1:25 · group ledger"),
        "payments",
    )
    yield (
        *("Kafka Connect", frameworks.dead_in_connect(_logged(), story.MAIL_SERVER, "inventory", 0, 7)),
        *(story.MAIL_SERVER.message, "SMTPServerDisconnected · from inventory 0:7", "inventory"),
    )
    yield (
        *("Kafka Streams", frameworks.dead_in_streams(_logged(), story.SCORE, "payments", 0, 7)),
        *(story.SCORE.message, "IllegalStateException · from payments 0:7", "payments"),
    )
    yield (
        *("RabbitMQ dead letter", with_headers(_sent(), {"x-death": [DEATH]}), "rejected"),
        *(f"attempt 3 · from orders (exchange shop, key order.placed) · {died}", "orders"),
    )
    celery = with_headers(frameworks.celery("mail.send", [1147], "m-1", CAUSE, SEEN, 3), {"x-death": [DEATH]})
    yield (
        *("RabbitMQ dead letter", celery, "rejected"),
        *(f"attempt 3 · from orders (exchange shop, key order.placed) · {died}", "orders"),
    )


@pytest.mark.parametrize(("convention", "event", "reason", "about", "origin"), [*_failed()])
async def test_an_event_that_failed_opens_on_why(
    convention: str, event: Event, reason: str, about: str, origin: str
) -> None:
    async with opened(width=100) as bench:
        await bench.show(event)
        lines = bench.lines()
        assert lines[1].split("  ")[0] == "Why it failed" and lines[1].endswith(f" {convention}")
        assert lines[2:4] == [f"  {reason}", f"  {about}"]
        # The cursor is on the reason: it is what is copied and filtered by.
        assert bench.inspector.text_to_copy() == reason
        assert compile(bench.inspector.condition().has, SEEN, READING).matches(bench.delivery)
        assert bench.inspector.condition().has.startswith("reason = ")
        assert any(row.startswith("─ JSON · ") for row in bench.rows())
        assert READING.facts(bench.delivery).all("origin.queue") == (origin,) or origin in about


async def test_a_stack_trace_is_folded_until_it_is_asked_for() -> None:
    event = frameworks.dead_in_spring_kafka(_logged(), story.NO_ACCOUNT, "payments", 1, 25, "ledger")
    stack = dict(event.headers)["kafka_dlt-exception-stacktrace"]
    assert isinstance(stack, str)
    async with opened(width=120, height=40) as bench:
        await bench.show(event)
        folded = bench.rows()
        assert "  stack trace  5 lines ▸" in folded and not any("LedgerListener" in row for row in folded)
        await bench.press("down", "down")
        assert bench.inspector.text_to_copy() == stack
        await bench.press("enter")
        rows = [row.strip() for row in bench.rows()]
        # A space is not drawn where a line is wrapped.
        assert "".join(stack.split()) in "".join("".join(rows).split())
        assert "─ JSON" in bench.rows()[rows.index("▾ {") - 1]
        await bench.press("space")
        assert bench.rows() == folded
        # What is found in it is unfolded, and the body below is found too.
        bench.inspector.search("LedgerListener")
        assert bench.styled("LedgerListener")[0].reverse
        bench.inspector.search("orderId")
        assert bench.inspector.text_to_copy() == "1147" and bench.styled("orderId")[0].reverse


async def test_a_dead_letter_that_says_nothing_opens_on_that() -> None:
    delivery = Delivery(_sent(), Address("rabbit", "orders.dead"), SEEN)
    async with opened() as bench:
        bench.inspector.show(delivery, READING, dead_letter=True)
        await bench.until_settled()
        assert bench.lines()[1:3] == ["Why it failed", "  Nothing in this event says why."]
        assert bench.lines()[3].startswith("─ JSON · ")


async def test_what_did_not_fail_opens_on_its_body() -> None:
    async with opened() as bench:
        await bench.show(_sent())
        assert bench.lines()[1].startswith("JSON · ") and "Why it failed" not in "".join(bench.lines())


# Headers.


async def test_headers_of_amqp_have_their_types() -> None:
    death = {"queue": "orders", "count": 3, "time": datetime(2026, 11, 23, tzinfo=UTC)}
    headers = (("x-death", [death]), ("small", 5), ("large", 1 << 40), ("ratio", 1.5), ("raw", b"\xff\xfe"))
    wire = encode(Content(headers, {"content_type": "application/json", "delivery_mode": 2, "message_id": "m-1"}))
    async with opened() as bench:
        await bench.show(Event(b"orders", b"{}", wire))
        await bench.press("right")
        assert bench.lines()[1] == "5 headers, 3 properties"
        assert [row.split() for row in bench.rows()] == [
            ["Properties"],
            ["content_type", "application/json"],
            ["delivery_mode", "2", "uint8"],
            ["message_id", "m-1"],
            ["Headers"],
            ["x-death", "1", "item", "array"],
            ["[0]", "3", "fields", "table"],
            ["queue", "orders"],
            ["count", "3", "int"],
            ["time", *_local(datetime(2026, 11, 23, tzinfo=UTC)).split(), "timestamp"],
            ["small", "5", "int32"],
            ["large", "1099511627776", "int64"],
            ["ratio", "1.5", "float64"],
            ["raw", "0xfffe", "bytes"],
        ]
        await bench.go("x-death")
        copied = json.loads(bench.inspector.text_to_copy())
        assert copied == [{"queue": "orders", "count": 3, "time": "2026-11-23T00:00:00+00:00"}]
        await bench.go("raw")
        assert bench.inspector.text_to_copy() == "0xfffe"


async def test_headers_of_kafka_are_bytes_and_may_repeat() -> None:
    headers = (("id", b"one"), ("id", b"two"), ("partition", b"\0\0\0\7"), ("bad", b"\xc3\x28"), ("none", None))
    async with opened() as bench:
        await bench.show(Event(None, b"{}", None, Content(headers)))
        await bench.press("right")
        assert [" ".join(row.split()) for row in bench.rows()[1:]] == [
            "id one bytes",
            "id two bytes",
            "partition 0x00000007 (as a number: 7) bytes",
            "bad 0xc328 bytes",
            "none null null",
        ]
        await bench.go("id")
        await bench.press("down")
        assert bench.inspector.text_to_copy() == "two"


async def test_properties_that_cannot_be_read_are_said_and_their_bytes_shown() -> None:
    async with opened() as bench:
        await bench.show(Event(b"key", b"{}", Wire("amqp-0-9-1", b"\x20\x00\x00\x00\x10\x00\x05x-dea")))
        await bench.press("right")
        assert bench.lines()[1] == "not readable" and "cannot be read" in bench.rows()[0]
        await bench.press("left", "left")
        assert "x-dea" in bench.rows()[-1] or any("x-d" in row for row in bench.rows())


async def test_a_header_that_is_a_time_is_shown_as_one() -> None:
    event = frameworks.dead_in_spring_kafka(_logged(), story.NO_ACCOUNT, "payments", 1, 25, "ledger")
    local = _local(datetime.fromtimestamp(SEEN / 1000, UTC))
    async with opened(width=140, height=40) as bench:
        await bench.show(event)
        await bench.press("right")
        assert any(
            row.startswith("kafka_dlt-original-timestamp ") and f"(as a time: {local})" in row for row in bench.rows()
        )
        await bench.press("right")
        assert any(row.startswith("origin.time ") and local in row for row in bench.rows())
        await bench.go("origin.time")
        assert bench.inspector.text_to_copy() == str(SEEN)


async def test_a_long_header_is_shown_to_its_end() -> None:
    async with opened(width=60, height=40) as bench:
        long = "".join(f"{number:04}" for number in range(500))
        await bench.show(Event(None, b"{}", None, Content((("a-name-that-is-rather-long-itself", long), ("b", "c")))))
        await bench.press("right")
        assert "a-name-that-is-rather-long-itself" in bench.rows()[1]
        assert any("▸ 2,000 characters" in row for row in bench.rows())
        await bench.press("down", "down", "enter", "end")
        assert bench.rows()[-2].endswith("0499") and bench.rows()[-1].split() == ["b", "c"]


# Facts.


async def test_each_fact_stands_with_its_convention_and_all_that_is_known_of_the_delivery() -> None:
    wire = encode(Content((), {"correlation_id": "7f3a90c2", "message_id": "m-1"}))
    event = Event(b"orders.placed", b'{"a":1}', wire, timestamp=SEEN - 1000)
    delivery = Delivery(event, Address("rabbit", "orders"), SEEN, None, "shop", True, 3)
    async with opened(width=110) as bench:
        await bench.show(delivery)
        await bench.press("right", "right")
        facts = READING.facts(delivery)
        rows = [row.split() for row in bench.rows()]
        for fact in facts.found:
            assert [fact.kind, fact.value, *fact.convention.split(), "·", *fact.source.split()] in rows
        assert {"7f3a90c2", "m-1"} <= {fact.value for fact in facts.found}
        said = {row[0]: row[1:] for row in rows}
        assert said["address"] == ["rabbit/orders"]
        assert said["exchange"] == ["shop"]
        assert said["redelivered"][0] == "yes" and said["attempt"][0] == "3"
        assert said["key"][0] == "orders.placed" and said["body"][:2] == ["7", "bytes"]
        local = datetime.fromtimestamp(SEEN / 1000 - 1).astimezone()
        assert said["time"][:2] == local.isoformat(" ", "milliseconds").split() and "producer" in said["time"]
        await bench.go("correlation")
        assert bench.inspector.text_to_copy() == "7f3a90c2"
        assert bench.lines()[1] == f"{len(facts.found)} facts by {len({fact.convention for fact in facts.found})}" + (
            " convention" if len({fact.convention for fact in facts.found}) == 1 else " conventions"
        )


async def test_where_a_fact_was_found_is_cut_until_it_is_asked_for() -> None:
    event = frameworks.nservicebus("IssueInvoice", "billing", BODY, "m-1", CAUSE, SEEN)
    async with opened(width=60) as bench:
        await bench.show(event)
        await bench.press("right", "right")
        await bench.go("message")
        assert bench.cursor_line().endswith("… ▸") and "header.NServiceBus.MessageId" not in "".join(bench.lines())
        await bench.press("enter")
        assert "header.NServiceBus.MessageId" in "".join(bench.lines()) and bench.inspector.text_to_copy() == "m-1"


async def test_a_place_in_a_log_is_a_fact() -> None:
    async with opened() as bench:
        await bench.show(Event(None, None))
        await bench.press("right", "right")
        rows = [row.split() for row in bench.rows()]
        assert ["partition", "3"] in rows and ["offset", "42"] in rows
        assert ["key", "none"] in rows and ["body", "null", "a", "tombstone"] in rows
        assert bench.rows()[0] == "No convention recognises this event"


async def test_what_is_masked_is_nowhere() -> None:
    reading = Reading(READING.facts, READING.body, Masking(["body.card", "header.Authorization"]).apply)
    event = Event(b"k", b'{"card":"4111111111111111"}', None, Content((("Authorization", b"Bearer abc"),)))
    async with opened() as bench:
        await bench.show(event, reading)
        for _ in TABS:
            drawn = "\n".join(bench.lines())
            assert "4111" not in drawn and "34 31 31 31" not in drawn and "abc" not in drawn
            await bench.press("right")
        assert '"card": "****************"' in "\n".join(bench.lines())


# Raw.


async def test_raw_has_the_bytes_of_body_key_and_properties() -> None:
    wire = encode(Content((), {"message_id": "m-1"}))
    async with opened() as bench:
        await bench.show(Event(b"the key", bytes(range(250, 256)) + b"0123456789abcdef", wire))
        await bench.press("left")
        rows = [bench.lines()[1], *bench.rows()]
        assert rows[0] == "Body · 22 bytes"
        assert rows[1] == "0000  fa fb fc fd fe ff 30 31  32 33 34 35 36 37 38 39  ......0123456789"
        assert rows[2] == "0010  61 62 63 64 65 66" + " " * 33 + "abcdef"
        assert rows[3] == "Key · 7 bytes" and rows[4].endswith("the key")
        assert rows[5] == f"Properties and headers · amqp-0-9-1 · {len(wire.data)} bytes" and "m-1" in rows[6]
        await bench.go("0010")
        assert bench.inspector.text_to_copy() == "61 62 63 64 65 66"
        await bench.go("Key")
        assert bench.inspector.text_to_copy() == b"the key".hex()


async def test_a_narrow_dump_has_fewer_bytes_in_a_row() -> None:
    for width, each in ((80, 16), (60, 8), (30, 4)):
        async with opened(width=width) as bench:
            await bench.show(bytes(range(32, 64)))
            await bench.press("left")
            assert len(bench.rows()[0].split()) >= each and bench.rows()[1].startswith(f"{each:04x}")
            assert all(len(row) <= width for row in bench.rows())


# Finding.


async def test_a_text_is_found_in_folded_parts_and_marked() -> None:
    async with opened() as bench:
        await bench.show(ORDER)
        await bench.go('"items"')
        await bench.press("enter")
        await bench.press("home")
        bench.inspector.search("SKU")
        assert bench.lines()[0].endswith("1 of 2") and bench.inspector.text_to_copy() == "a-1"
        here, other = bench.styled("sku")
        assert here.reverse and other.underline and not other.reverse
        bench.inspector.next_match()
        assert bench.lines()[0].endswith("2 of 2") and bench.inspector.text_to_copy() == "b-2"
        bench.inspector.next_match()
        assert bench.lines()[0].endswith("1 of 2")
        bench.inspector.previous_match()
        assert bench.lines()[0].endswith("2 of 2") and bench.inspector.text_to_copy() == "b-2"


async def test_finding_begins_at_the_cursor() -> None:
    async with opened() as bench:
        await bench.show(ORDER)
        await bench.go('"note"')
        bench.inspector.search('"id"')
        assert bench.lines()[0].endswith("1 of 2") and bench.inspector.text_to_copy() == "x"
        bench.inspector.search("sku")
        assert bench.lines()[0].endswith("1 of 2")


async def test_what_is_not_found_is_said() -> None:
    async with opened() as bench:
        await bench.show(ORDER)
        bench.inspector.search("nowhere")
        assert bench.lines()[0].endswith("nothing found: nowhere")
        bench.inspector.next_match()
        bench.inspector.search("")
        assert bench.lines()[0].endswith("Raw")


@pytest.mark.parametrize(("begin", "end"), [(b'{"a": "', b'needle"}'), (b"plain ", b"needle")])
async def test_what_part_of_a_large_body_was_searched_is_said(
    begin: bytes, end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("views.widgets.inspector.tabs.LAID_OUT", 2_000)
    async with opened() as bench:
        await bench.show(begin + b"x" * 3_000 + end)
        bench.inspector.search("needle")
        assert bench.inspector.found == "nothing found: needle in the first 2,000 characters, Raw has all"
        bench.inspector.search("a")
        assert bench.inspector.found == "1 of 1 in the first 2,000 characters, Raw has all"
        bench.inspector.tab = "Raw"
        await bench.until_settled()
        bench.inspector.search("needle")
        assert bench.inspector.found == "1 of 1"


async def test_finding_goes_on_in_another_event_and_tab() -> None:
    async with opened() as bench:
        await bench.show(ORDER)
        bench.inspector.search("sku")
        await bench.show(b'{"a": 1, "sku": "c-3"}')
        assert bench.lines()[0].endswith("Raw")
        bench.inspector.next_match()
        assert bench.lines()[0].endswith("1 of 1") and bench.inspector.text_to_copy() == "c-3"
        await bench.press("left")
        bench.inspector.next_match()
        assert bench.lines()[0].endswith("1 of 1") and bench.inspector.tab == "Raw"


@pytest.mark.parametrize(
    ("tab", "text", "copied"),
    [
        ("Headers", "TWO", "value two"),
        ("Facts", "m-77", "m-77"),
        ("Raw", "0x7a7a", "7a 7a 31 22 7d"),
        ("Raw", "7a 7a", "7a 7a 31 22 7d"),
        ("Raw", "ZZ1", "7a 7a 31 22 7d"),
    ],
)
async def test_each_tab_is_searched(tab: Tab, text: str, copied: str) -> None:
    headers = (("one", b"value one"), ("two", b"value two"), ("message_id", b"m-77"))
    async with opened() as bench:
        await bench.show(Event(None, b'{"a":"0123456789zz1"}', None, Content(headers)))
        bench.inspector.tab = tab
        await bench.until_settled()
        bench.inspector.search(text)
        assert bench.lines()[0].rstrip("0123456789").endswith(" of ")
        assert bench.inspector.text_to_copy() == copied


async def test_a_place_that_was_not_read_yet_is_gone_to_when_it_is() -> None:
    async with opened() as bench:
        body = b"[" + b"0," * 100_000 + b'"here"]'
        bench.inspector.show(Delivery(Event(None, body), Address("k", "t"), SEEN), READING)
        bench.inspector.search("here")
        assert bench.lines()[0].endswith("1 of 1 …")
        await bench.until_settled()
        assert bench.lines()[0].endswith("1 of 1") and bench.inspector.text_to_copy() == "here"


async def test_of_very_many_places_the_first_are_counted() -> None:
    async with opened() as bench:
        await bench.show(b"[" + b"0," * 20_000 + b"0]")
        bench.inspector.search("0")
        assert bench.lines()[0].endswith(f"1 of {FOUND:,}+")
        bench.inspector.previous_match()
        assert bench.lines()[0].endswith(f"{FOUND:,} of {FOUND:,}+")


# Moving.


async def test_keys_move_the_cursor_and_the_screen_follows() -> None:
    async with opened(height=11) as bench:
        await bench.show(json.dumps(list(range(100))).encode())
        page = bench.inspector.page
        assert page is not None
        inspector = bench.inspector
        for move, row in (
            (inspector.action_cursor_down, 1),
            (inspector.action_cursor_down, 2),
            (inspector.action_cursor_up, 1),
            (inspector.action_page_down, 12),
            (inspector.action_half_page_down, 17),
            (inspector.action_half_page_up, 12),
            (inspector.action_page_up, 1),
            (inspector.action_cursor_bottom, 102),
            (inspector.action_cursor_down, 102),
            (inspector.action_cursor_top, 0),
            (inspector.action_cursor_up, 0),
        ):
            move()
            assert page.cursor == row
            await bench.until_settled()
            assert 0 <= row - inspector.scroll_offset.y < 11
        for key, row in (("end", 102), ("home", 0), ("down", 1), ("pagedown", 12), ("pageup", 1), ("up", 0)):
            await bench.press(key)
            assert page.cursor == row


# A stranger's events.


@pytest.mark.parametrize(("width", "height"), [(80, 24), (23, 6)])
async def test_no_hostile_event_breaks_a_line_or_is_obeyed(width: int, height: int) -> None:
    async with opened(width, height) as bench:
        inspector = bench.inspector
        for name, delivery in hostile(huge=width == 80):
            inspector.show(delivery, READING)
            for tab in TABS:
                inspector.tab = tab
                for move in (inspector.action_cursor_down, inspector.action_cursor_bottom):
                    for y in range(height):
                        strip = inspector.render_line(y)
                        assert strip.cell_length == cell_len(strip.text) == cells(strip.text) == width, name
                        assert not [each for each in strip.text if unicodedata.category(each) in OBEYED], name
                    move()
                inspector.action_toggle()
                if len(delivery.event.body or b"") < 1_000_000:
                    inspector.text_to_copy().encode()
                    inspector.search("a")
                    inspector.next_match()
        await bench.until_settled()
