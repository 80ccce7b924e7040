"""Drafts: clones that lose nothing but what they should, templates, and what survives a restart."""

import asyncio
import os
import struct
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.hostile import deliveries as hostile
from workbench.connecting.config import Connection
from workbench.facts.conventions import Conventions
from workbench.facts.masking import Masking
from workbench.model import record_headers
from workbench.model.address import Address
from workbench.model.content import Content, Value
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import FormatError, StoreError
from workbench.model.event import Delivery, Event, Position
from workbench.model.target_rules import Rules
from workbench.model.wire import Wire, decode, encode
from workbench.operations.drafts.check import DraftCheck
from workbench.operations.drafts.clone import clone
from workbench.operations.drafts.difference import differences
from workbench.operations.drafts.keeping import DRAFTS, KEPT, belongs_to, keep, load_drafts
from workbench.operations.drafts.model import Draft, Field, aim_at, from_template, next_target
from workbench.operations.drafts.render import Rendering, remarks, verdict
from workbench.operations.template import Template
from workbench.operations.template_process import TemplateProcess
from workbench.query.query import Reading
from workbench.session import Session

READING = Reading(Conventions.load([]).facts)
QUEUE = Address("rabbit", "orders.dead")
TOPIC = Address("kafka", "payments-dlt")
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def seen(event: Event, address: Address = QUEUE, position: Position | None = None) -> Delivery:
    return Delivery(event, address, 0, position)


def of_kafka(body: bytes | None = b"{}", *headers: tuple[str, Value]) -> Delivery:
    return seen(Event(b"k", body, written=Content(headers), timestamp=5), TOPIC, Position("3", "1200"))


def of_rabbit(headers: Any = (), **properties: Value) -> Delivery:
    return seen(Event(b"orders.dead", b"{}", encode(Content(tuple(headers), properties))))


def made(draft: Draft, count: int = 1, seed: int = 1) -> list[Event]:
    async def make() -> list[Event]:
        async with TemplateProcess() as templates:
            return [event async for batch in Rendering(draft, seed).events(count, templates) for event in batch]

    return asyncio.run(make())


def first(draft: Draft, seed: int = 1) -> Event:
    return made(draft, 1, seed)[0]


def names(draft: Draft) -> list[str]:
    return [name for name, _ in first(draft).headers]


def replaced(draft: Draft, **changes: Any) -> Draft:
    return msgspec.structs.replace(draft, **changes)


# Clones.


def exotic_wire() -> Wire:
    """Headers of types that no value written anew would have, twice of one name, and a property."""
    entries = [
        b"\x05small" + b"b" + struct.pack(">b", -5),
        b"\x05width" + b"U" + struct.pack(">h", 7),
        b"\x05float" + b"f" + struct.pack(">f", 0.1),
        b"\x05money" + b"D" + struct.pack(">Bi", 2, 150),
        b"\x04when" + b"T" + struct.pack(">q", 2**60),
        b"\x03two" + b"S" + struct.pack(">I", 1) + b"1",
        b"\x03two" + b"S" + struct.pack(">I", 1) + b"2",
        b"\x03bad" + b"S" + struct.pack(">I", 2) + b"\xff\xfe",
    ]
    table = b"".join(entries)
    return Wire("amqp-0-9-1", struct.pack(">H", 1 << 13 | 1 << 10) + struct.pack(">I", len(table)) + table + b"\x03abc")


def test_a_clone_that_is_not_edited_has_the_originals_bytes() -> None:
    delivery = seen(Event(b"k", b"\xff\0body", exotic_wire()))
    assert first(clone(delivery, READING)) == Event(b"k", b"\xff\0body", exotic_wire())


def test_an_edit_changes_its_own_header_and_no_other_byte() -> None:
    draft = clone(seen(Event(None, b"", exotic_wire())), READING)
    edited = (*draft.headers[:1], Field("width", "8", "number"), *draft.headers[2:])
    wire = first(replaced(draft, headers=edited)).wire
    assert wire is not None
    old, new = b"\x05width" + b"U" + struct.pack(">h", 7), b"\x05width" + b"I" + struct.pack(">i", 8)
    assert wire.data[6:] == exotic_wire().data[6:].replace(old, new)


def test_a_header_that_is_removed_is_the_one_chosen_of_two_of_its_name() -> None:
    draft = clone(seen(Event(None, b"", exotic_wire())), READING)
    kept_headers = tuple(field for field in draft.headers if field.value != "1")
    event = first(replaced(draft, headers=kept_headers))
    assert [value for name, value in event.headers if name == "two"] == ["2"]
    assert event.properties == {"correlation_id": "abc"}


def test_kinds_are_those_of_the_wire() -> None:
    draft = clone(seen(Event(None, b"", exotic_wire())), READING)
    assert [field.kind for field in draft.headers] == [
        "int8", "int16", "float32", "decimal", "timestamp", "text", "text", "bytes",
    ]  # fmt: skip


def test_a_clone_keeps_a_kafka_header_whose_name_is_no_text() -> None:
    headers = [(b"caf\xe9", b"1"), (b"plain", b"\xff"), (b"nothing", None)]
    came = Wire("kafka-2", record_headers.write(headers))
    draft = clone(seen(Event(b"k", b"body", came), TOPIC), READING)
    assert first(draft).wire == came
    kept, *rest = draft.headers
    changed = first(msgspec.structs.replace(draft, headers=(*rest, Field("added", "text"), kept))).wire
    assert changed is not None
    assert record_headers.read(changed.data) == [*headers[1:], (b"added", b"text"), headers[0]]
    property_ = msgspec.structs.replace(draft, properties=(Field("app_id", "me"),))
    assert dict(first(property_).properties) == {"app_id": "me"}


def test_a_clone_of_a_dead_letter_loses_what_made_it_one() -> None:
    death = {"queue": "orders", "reason": "rejected", "count": 2, "exchange": "", "routing-keys": ["orders"]}
    delivery = of_rabbit(
        [("x-death", [death]), ("x-first-death-queue", "orders"), ("x-first-death-reason", "rejected"), ("tenant", "n")]
    )
    draft = clone(delivery, READING)
    assert names(draft) == ["tenant"]
    assert {field.reason for field in draft.headers if field.change} == {"RabbitMQ dead letter"}


def test_what_was_dropped_can_be_kept_one_by_one() -> None:
    delivery = of_kafka(
        b"{}",
        ("kafka_dlt-original-topic", "payments"),
        ("kafka_dlt-original-timestamp-type", "CreateTime"),
        ("kafka_dlt-exception-message", "declined"),
        ("retry_topic-attempts", b"\0\0\0\3"),
        ("tenant", "n"),
    )
    draft = clone(delivery, READING)
    assert names(draft) == ["tenant"]
    headers = tuple(msgspec.structs.replace(field, changed=field.value != "declined") for field in draft.headers)
    assert names(replaced(draft, headers=headers)) == ["kafka_dlt-exception-message", "tenant"]


def test_counts_of_what_is_no_dead_letter_stay() -> None:
    assert names(clone(of_rabbit([("root_id", "r"), ("id", "i"), ("retries", 0)]), READING)) == [
        "root_id", "id", "retries",
    ]  # fmt: skip


def test_a_users_own_convention_says_what_is_dropped() -> None:
    conventions = Conventions.load([{"name": "ours", "failure": {"reason": "header.why"}}])
    assert names(clone(of_kafka(b"", ("why", "x"), ("other", "y")), Reading(conventions.facts))) == ["other"]


def test_a_clone_has_an_identity_of_its_own_and_keeps_its_flow() -> None:
    old = "7f3a90c2-0000-4000-8000-000000000001"
    delivery = of_rabbit(
        [("ce_id", old), ("ce_specversion", "1.0"), ("traceparent", TRACEPARENT)], message_id=old, correlation_id="flow"
    )
    event = first(clone(delivery, READING))
    headers = dict(event.headers)
    assert headers["ce_id"] == event.properties["message_id"] != old
    assert len(str(headers["ce_id"])) == len(old)
    assert event.properties["correlation_id"] == "flow"
    version, trace, span, flags = str(headers["traceparent"]).split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert headers["traceparent"] != TRACEPARENT


def test_each_event_of_a_clone_has_a_fresh_id_and_an_equal_seed_repeats_it() -> None:
    draft = clone(of_rabbit(message_id="m"), READING)
    ids = [event.properties["message_id"] for event in made(draft, 10)]
    assert len({*ids, "m"}) == 11
    assert made(draft, 4)[3].properties["message_id"] == ids[3]
    assert made(draft, 4, seed=2)[3].properties["message_id"] != ids[3]


def test_a_fresh_id_can_be_turned_off() -> None:
    draft = clone(of_rabbit(message_id="m"), READING)
    fields = tuple(msgspec.structs.replace(field, changed=False) for field in draft.properties)
    assert first(replaced(draft, properties=fields)).wire == of_rabbit(message_id="m").event.wire


def test_raw_ids_stay_as_long_as_they_were() -> None:
    delivery = of_kafka(b"{}", ("message-id", b"\xff" * 16))
    [(_, value)] = first(clone(delivery, READING)).headers
    assert isinstance(value, bytes) and len(value) == 16 and value != b"\xff" * 16


def test_another_users_id_and_copies_are_not_sent_again() -> None:
    event = first(clone(of_rabbit([("CC", ["audit"]), ("a", "b")], user_id="svc", app_id="shop"), READING))
    assert (event.headers, event.properties) == ((("a", "b"),), {"app_id": "shop"})


def test_an_id_in_the_body_is_told() -> None:
    draft = clone(of_kafka(b'{"messageId":"1"}'), READING)
    assert draft.remarks == ("Its body has an id of its own in body.messageId, which stays as it is.",)


def test_a_clone_does_not_take_the_originals_time() -> None:
    assert first(clone(of_kafka(), READING)).timestamp is None


def test_headers_that_cannot_be_read_are_sent_as_they_came() -> None:
    broken = Wire("amqp-0-9-1", b"\x20\0\0\0\0\xff")
    draft = clone(seen(Event(None, b"x", broken)), READING)
    assert first(draft).wire == broken
    assert "cannot be read" in draft.remarks[0]
    with pytest.raises(FormatError, match="cannot be read"):
        first(replaced(draft, headers=(Field("a", "b"),)))


def test_every_hostile_event_is_cloned_without_loss() -> None:
    refused = []
    for name, delivery in hostile():
        try:
            draft = clone(delivery, Reading())
        except FormatError:
            refused.append(name)
            continue
        whole = replaced(
            draft,
            headers=tuple(msgspec.structs.replace(field, changed=False) for field in draft.headers),
            properties=tuple(msgspec.structs.replace(field, changed=False) for field in draft.properties),
        )
        event = first(whole)
        assert (event.key, event.body, event.wire) == (delivery.event.key, delivery.event.body, delivery.event.wire)
        assert event.wire is not None or repr(event.headers) == repr(delivery.event.headers), name
    # No broker can have sent it: it is no UTF-8.
    assert refused == ["text: lone surrogates"]


# Where a dead letter came from.


def listed(*names: str) -> dict[Address, Endpoint]:
    addresses = [Address.parse(name) for name in names]
    return {
        each: Endpoint(each, "queue", "queue", Ability.PUBLISH | _KEYS[each.namespace], partitions=4)
        for each in addresses
    }


_KEYS = {"queue": Ability(0), "exchange": Ability.KEYS}
DEATH: Any = {
    "queue": "orders", "reason": "rejected", "count": 2, "exchange": "placed", "routing-keys": ["order.placed"],
}  # fmt: skip


def test_a_dead_letter_is_aimed_at_the_queue_it_died_in_and_offers_its_exchange_and_where_it_was_read() -> None:
    there = listed("rabbit/orders", "rabbit/exchange:placed", "rabbit/orders.dead")
    draft = clone(of_rabbit([("x-death", [DEATH])]), READING, there, aim=True)
    assert (draft.target, draft.came_from) == ("rabbit/orders", "queue orders, exchange placed with key order.placed")
    aims = [(draft.target, draft.key)]
    for _ in range(3):
        target = next_target(draft)
        assert target is not None
        draft = aim_at(draft, target)
        aims.append((draft.target, draft.key))
    assert aims == [
        ("rabbit/orders", None),
        ("rabbit/exchange:placed", b"order.placed"),
        ("rabbit/orders.dead", None),
        ("rabbit/orders", None),
    ]


def test_a_dead_letter_of_a_log_goes_back_to_its_partition() -> None:
    delivery = of_kafka(
        b"{}",
        ("kafka_dlt-original-topic", "payments"),
        ("kafka_dlt-original-partition", b"\0\0\0\3"),
        ("kafka_dlt-original-offset", b"\0\0\0\0\0\0\0\7"),
    )
    draft = clone(delivery, READING, listed("kafka/payments", "kafka/payments-dlt"), aim=True)
    assert (draft.target, draft.partition, draft.came_from) == ("kafka/payments", 3, "topic payments 3:7")


def test_an_origin_that_is_not_listed_is_said_and_nothing_is_aimed_at() -> None:
    draft = clone(of_rabbit([("x-death", [DEATH])]), READING, listed("rabbit/orders.dead"), aim=True)
    assert draft.target == ""
    assert draft.remarks == ("Its facts name the queue orders and the exchange placed: not listed.",)
    target = next_target(draft)
    assert target is not None and str(target.address) == "rabbit/orders.dead"


def test_an_origin_is_offered_and_not_aimed_at_where_its_user_was_careful() -> None:
    draft = clone(of_rabbit([("x-death", [DEATH])]), READING, listed("rabbit/orders"))
    target = next_target(draft)
    assert draft.target == "" and target is not None and str(target.address) == "rabbit/orders"


def test_what_is_no_dead_letter_goes_to_where_it_was_read() -> None:
    draft = clone(of_rabbit(), READING, listed("rabbit/orders.dead"), aim=True)
    assert (draft.target, next_target(draft)) == ("rabbit/orders.dead", None)


# What differs.


def test_what_differs_from_the_original_is_named() -> None:
    delivery = seen(
        Event(
            b"k",
            b'{"id": 1, "total": 476.4, "lines": [{"n": 1}], "gone": 0}',
            encode(Content((("x-death", [DEATH]), ("tenant", "n")), {"message_id": "m", "type": "T"})),
        )
    )
    draft = replaced(clone(delivery, READING), body=b'{"id":1,"total":476.40001,"lines":[{"n":2}],"new":1}', key=b"j")
    assert list(differences(draft, first(draft))) == [
        "key", "message_id", "-x-death", "total", "lines.0.n", "-gone", "new",
    ]  # fmt: skip
    unchanged = clone(seen(Event(b"k", b"text")), READING)
    assert list(differences(unchanged, first(unchanged))) == []
    assert list(differences(replaced(unchanged, body=b"other"), Event(b"k", b"other"))) == ["body"]


# What is masked.


def test_what_is_masked_is_not_shown_and_sent_as_it_was() -> None:
    reading = Reading(masked=Masking(["body.card", "header.token", "property.app_id", "key", "~ secret-\\w+"]).apply)
    event = Event(
        b"who",
        b'{"card":"4111"}',
        encode(Content((("token", "t0k"), ("secret-name", "v"), ("plain", "p")), {"app_id": "shop"})),
    )
    draft = clone(seen(event), reading)
    written = msgspec.json.encode((draft.headers, draft.properties)).decode()
    assert "t0k" not in written and "secret-name" not in written and "shop" not in written
    assert draft.locked == "holds what is masked" and draft.hidden_key
    assert first(draft) == event


# Bodies.


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"\0\0\0\0\x2a{}", "carries schema 42"),
        (b"\x1f\x8b\x08" + b"\0" * 9, "is not UTF-8"),
        (b"x" * 65_537, "has 65,537 bytes"),
        (b"{}", None),
        (b"", None),
        (None, None),
    ],
)
def test_bytes_that_are_no_text_are_never_edited_as_text(body: bytes | None, reason: str | None) -> None:
    assert Draft(body=body).locked == reason


def test_a_locked_body_is_no_template() -> None:
    body = b"\0\0\0\0\x2a{{ seq }}"
    assert first(Draft(body=body, key=b"{{ seq }}", template=True)) == Event(b"0", body)


@pytest.mark.parametrize(
    ("body", "sentence", "wrong"),
    [
        (b'{"a": 1}', "JSON ✔ 8 B", False),
        (b'{\n"a": 1,\n}', "line 3, column 1: not JSON ✖ 11 B", True),
        (b'{"a":1,"a":2}', "'a' more than once ✖ 13 B", True),
        (b"plain", "text 5 B", False),
        (b"", "empty", False),
        (None, "no body: a tombstone", False),
        (b"\xff", "as it came, 1 B", False),
    ],
)
def test_a_body_is_judged_as_it_is_written(body: bytes | None, sentence: str, wrong: bool) -> None:
    found = verdict(Event(body=body))
    assert (found.sentence, found.wrong) == (sentence, wrong)


def test_a_body_that_claims_to_be_json_must_be() -> None:
    assert verdict(Event(body=b"plain", written=Content((), {"content_type": "application/json"}))).wrong


# Rendering.


def test_a_template_is_filled_in_for_each_event() -> None:
    draft = Draft(
        key=b"k{{ seq }}",
        body=b'{"n": {{ seq }}}',
        headers=(Field("n", "{{ seq * 2 }}"), Field("typed", '{"base64":"AAE="}', "bytes"), Field("m", "{{ who }}")),
        properties=(Field("app_id", "app-{{ seq }}"), Field("priority", "{{ seq }}")),
        template=True,
        values={"who": "w{{ seq }}"},
    )
    event = made(draft, 4)[3]
    assert event == Event(
        b"k3",
        b'{"n": 3}',
        written=Content((("n", "6"), ("typed", b"\0\1"), ("m", "w3")), {"app_id": "app-3", "priority": 3}),
    )


@pytest.mark.parametrize("template", [False, True])
async def test_the_first_event_is_made_without_leaving_the_others_half_made(template: bool) -> None:
    begun: list[Any] = []
    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=begun.append)
    try:
        async with Session() as session, TemplateProcess() as templates:
            event = await DraftCheck(session, templates).first_event(Draft(body=b"{{ seq }}", template=template), 1)
            assert event.body == (b"0" if template else b"{{ seq }}")
            assert len(begun) >= 2 and all(each.ag_frame is None for each in begun)
    finally:
        sys.set_asyncgen_hooks(*before)


def test_without_the_toggle_braces_are_only_braces() -> None:
    assert first(Draft(body=b"{{ 7 * 7 }}", headers=(Field("a", "{{ x"),))).body == b"{{ 7 * 7 }}"


def test_a_strangers_headers_are_never_filled_in() -> None:
    draft = replaced(clone(of_kafka(b"{{ seq }}", ("x", "{{ env }}")), READING), template=True)
    event = first(draft)
    assert (event.body, event.headers) == (b"0", (("x", "{{ env }}"),))


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        (Draft(body=b"{\n{{ seq }\n}", template=True), "body cannot be read at line 2"),
        (Draft(body=b"{\n\n{{ missing }}\n}", template=True), "body cannot be filled in at line 3: 'missing'"),
        (Draft(headers=(Field("h", "{{"),), template=True), "header h cannot be read at line 1"),
    ],
)
def test_a_template_that_cannot_be_filled_in_says_its_line(draft: Draft, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        first(draft)


@pytest.mark.parametrize(
    ("value", "is_"),
    [
        ("5", 5),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ('{"decimal":"1.50"}', Decimal("1.50")),
        ('{"time":"2026-11-23T10:00:00Z"}', datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ('{"a":[1,"b"]}', {"a": [1, "b"]}),
        ('"text"', "text"),
    ],
)
def test_typed_values_are_written_as_in_a_line(value: str, is_: Value) -> None:
    assert first(Draft(headers=(Field("h", value, "typed"),))).headers == (("h", is_),)


@pytest.mark.parametrize("value", ["", "five", "0.1234567890123456789", '{"base64":"?"}', "[" * 5000])
def test_a_value_that_is_not_of_its_kind_is_a_sentence(value: str) -> None:
    with pytest.raises(FormatError):
        first(Draft(headers=(Field("h", value, "typed"),)))


def test_properties_that_are_numbers_may_be_written_as_text() -> None:
    event = first(Draft(properties=(Field("delivery_mode", "2"), Field("app_id", "7"))))
    assert decode(encode(event.content)).properties == {"delivery_mode": 2, "app_id": "7"}


def test_a_template_file_becomes_a_draft_for_the_same_target() -> None:
    template = Template("k", "{{ id }}", {"a": "b"}, {"priority": 3, "type": "T"}, {"id": "{{ seq }}"})
    draft = from_template(template, Draft(target="m/q", count=5))
    assert (draft.target, draft.count, draft.template) == ("m/q", 5, True)
    assert first(draft) == Event(b"k", b"0", written=Content((("a", "b"),), {"priority": 3, "type": "T"}))


# Remarks.


def test_what_a_target_cannot_hold_is_said_by_its_rules() -> None:
    topic = Endpoint(Address("k", "t"), "topic", "log", Ability.PUBLISH | Ability.PARTITIONS | Ability.KEYS)
    draft = Draft(body=b"x", properties=(Field("app_id", "a"), Field("type", "T")), partition=1)
    kafka = Rules(topic.address, "Kafka", properties=False)
    assert list(remarks(draft, first(draft), topic.address, topic, kafka)) == [
        "k/t has no properties, and leaves out app_id, type.",
    ]
    assert list(remarks(draft, first(draft), topic.address, topic, None)) == []
    queue = Endpoint(Address("r", "q"), "classic queue", "queue", Ability.PUBLISH)
    rules = Rules(queue.address, "RabbitMQ", null_bodies=False, keys=False)
    null = replaced(draft, key=b"k", body=None)
    assert list(remarks(null, first(null), queue.address, queue, rules)) == [
        "r/q cannot be sent this: its body is null, which RabbitMQ does not have: it would become an empty body.",
        "r/q has no partitions: leave that empty.",
    ]
    keyed = replaced(draft, key=b"k", partition=None)
    assert list(remarks(keyed, first(keyed), queue.address, queue, rules)) == [
        "r/q keeps no keys: its own name takes their place.",
    ]
    deaf = Endpoint(Address("r", "x"), "exchange", "routes", Ability.TAIL)
    assert list(remarks(Draft(), first(Draft()), deaf.address, deaf, None)) == ["r/x takes no events."]


def test_a_schema_of_another_registry_is_told() -> None:
    draft = clone(of_kafka(b"\0\0\0\0\x2a{}"), READING)
    assert list(remarks(draft, None, TOPIC, None, None)) == []
    assert list(remarks(draft, None, Address("eu", "payments"), None, None)) == [
        "Schema 42 is a number of kafka's registry: eu may know another schema by it."
    ]


# Keeping.


def test_drafts_survive_a_restart_the_one_left_last_first(tmp_path: Path) -> None:
    wired = clone(seen(Event(b"\xff", b"\xff\0", exotic_wire())), READING)
    plain = Draft(target="m/q", body=None, headers=(Field("a", "b"),), rate=0.5, values={"x": "1"})
    keep(wired, tmp_path)
    keep(plain, tmp_path)
    assert load_drafts(tmp_path) == ([plain, wired], [])
    keep(replaced(wired, count=7), tmp_path)
    [newest, _], _ = load_drafts(tmp_path)
    assert newest.count == 7
    assert first(newest).wire == exotic_wire()


def test_a_draft_belongs_to_the_connections_it_was_written_with() -> None:
    shop, prod = (Connection.parse(url).identity for url in ("shop=amqp://u:p@localhost", "prod=amqp://prod:5671/v"))
    draft = Draft(target="prod/orders", connections=(prod, shop))
    assert (shop, prod) == ("shop=amqp://localhost/", "prod=amqp://prod:5671/v")
    assert belongs_to(draft, [shop, prod]) and belongs_to(draft, [shop, prod, "x=kafka://y/"])
    assert not belongs_to(draft, [shop]) and not belongs_to(draft, [prod.replace("prod:", "stage:"), shop])
    old = Draft(target="prod/orders")
    assert belongs_to(old, [prod]) and not belongs_to(old, [shop]) and belongs_to(Draft(), [shop])


def test_only_the_user_may_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "drafts"
    keep(Draft(), folder)
    assert [path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())] == [0o700, 0o600]


def test_the_oldest_go(tmp_path: Path) -> None:
    for number in range(DRAFTS + 3):
        keep(Draft(count=number + 1), tmp_path)
    drafts, _ = load_drafts(tmp_path)
    assert len(drafts) == DRAFTS and drafts[0].count == DRAFTS + 3


@pytest.mark.parametrize("damage", [b"", b"{", b'{"count":"x"}', b"\xff\xfe", b'{"original":"{}"}', b"[" * 100_000])
def test_a_damaged_file_is_a_sentence_and_set_aside(tmp_path: Path, damage: bytes) -> None:
    keep(whole := Draft(target="m/q"), tmp_path)
    (tmp_path / "damaged.json").write_bytes(damage)
    drafts, [sentence] = load_drafts(tmp_path)
    assert drafts == [whole]
    assert "damaged.damaged" in sentence
    assert load_drafts(tmp_path) == ([whole], [])
    assert (tmp_path / "damaged.damaged").read_bytes() == damage


def test_a_pipe_among_the_drafts_is_set_aside(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    drafts, [sentence] = load_drafts(tmp_path)
    assert (drafts, "pipe.damaged now: Not a file" in sentence) == ([], True)


def test_a_draft_that_is_too_large_or_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    keep(small := Draft(), tmp_path)
    with pytest.raises(StoreError, match="is not kept when the program ends"):
        keep(replaced(small, body=b"x" * KEPT), tmp_path)
    assert load_drafts(tmp_path) == ([small], [])
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="No draft can be kept"):
        keep(small, tmp_path / "file")


def test_there_is_no_draft_where_none_was_kept(tmp_path: Path) -> None:
    assert load_drafts(tmp_path / "nowhere") == ([], [])
