import asyncio
import base64
import gzip
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import cbor2
import cramjam
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import deliveries
from workbench.decode import ndjson
from workbench.decode.display import visible, visible_bytes
from workbench.decode.layout import lay_out
from workbench.facts.conventions import Conventions
from workbench.facts.masking import READ, SEARCHED, Masking
from workbench.model import record_headers
from workbench.model.address import Address
from workbench.model.content import Content, Headers, Value
from workbench.model.errors import ConfigError
from workbench.model.event import Delivery, Event
from workbench.model.wire import Wire, encode
from workbench.query.query import Reading


def seen(event: Event) -> Delivery:
    return Delivery(event, Address("kafka", "t"), 0)


def masked(rules: list[str], body: bytes) -> bytes:
    found = Masking(rules).apply(seen(Event(b"key", body))).event.body
    assert found is not None
    return found


def everything(delivery: Delivery) -> str:
    """All that can be seen of a delivery, in every form in which it is shown, exported or stored."""
    event = delivery.event
    facts = Conventions.load([]).facts(delivery)
    line = ndjson.encode(delivery).decode()
    wire = event.wire.data if event.wire else b""
    encoded = b"".join(
        base64.b64decode(each) for each in re.findall(r'"([A-Za-z0-9+/=]{8,})"', line) if len(each) % 4 == 0
    )
    parts = [
        line,
        lay_out(event, 10_000_000).text,
        visible_bytes(event.body),
        visible_bytes(event.key),
        *(visible(f"{name} {value!r}") for name, value in event.headers),
        *(visible(f"{name} {value!r}") for name, value in event.properties.items()),
        *(fact.value for fact in facts.found),
        wire.decode("latin-1"),
        encoded.decode("latin-1"),
        (event.body or b"").decode("latin-1"),
    ]
    return "\n".join(parts)


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        (
            "body.card.number",
            b'{"card": {"number": "4111", "name": "x"}}',
            b'{"card": {"number": "****", "name": "x"}}',
        ),
        ("body.card.number", b'{"card": {"number": 4111.5}}', b'{"card": {"number": 0}}'),
        ("body.card", b'{ "card" : {"number": [1, {"a": "b"}]} , "x":1}', b'{ "card" : "***" , "x":1}'),
        ("body.card", b'{"card": [1, 2], "x": 1}', b'{"card": "***", "x": 1}'),
        (
            "body.cards.number",
            b'{"cards": [{"number": "1"}, {"number": "22"}]}',
            b'{"cards": [{"number": "*"}, {"number": "**"}]}',
        ),
        ("body.a", b'[{"a": "x"}, [[{"a": "y"}]]]', b'[{"a": "*"}, [[{"a": "*"}]]]'),
        ("body.*.secret", b'{"x": {"secret": "s"}, "secret": "t"}', b'{"x": {"secret": "*"}, "secret": "t"}'),
        ("body.a", b'{"a": "1", "a": "2"}', b'{"a": "*", "a": "*"}'),
        ("body.Card", b'{"CARD": "x"}', b'{"CARD": "*"}'),
        ("body.card.number", b'{"card.number": "x"}', b'{"card.number": "*"}'),
        ("body.card", b'{"c\\u0061rd": "x"}', b'{"c\\u0061rd": "*"}'),
        ("body.a", b'{"a": true, "b": null}', b'{"a": null, "b": null}'),
        ("body.a", b'{"a": "\\u00e9\\n", "b": 1.50}', b'{"a": "**", "b": 1.50}'),
        ("body.a", '{"a": "é", "ü": 1}'.encode(), '{"a": "*", "ü": 1}'.encode()),
        ("body.a", b'\xef\xbb\xbf{"a": "x"}', b'\xef\xbb\xbf{"a": "*"}'),
        ("body.a", b'{"a": NaN}', b'{"a": null}'),
        ("body.a.b", b'{"a": "{\\"b\\": \\"x\\", \\"c\\": 1.50}"}', b'{"a": "{\\"b\\": \\"*\\", \\"c\\": 1.50}"}'),
        ("body.a.b", b'"{\\"a\\": \\"{\\\\\\"b\\\\\\": 7}\\"}"', b'"{\\"a\\": \\"{\\\\\\"b\\\\\\": 0}\\"}"'),
        ("body.a.b", b'{"a": "{\\"b\\": 7,"}', b'{"a": "********"}'),
        ("body.a.@base64.b", b'{"a": "eyJiIjogN30", "c": "eyJiIjogN30"}', b'{"a": "eyJiIjogMH0=", "c": "eyJiIjogN30"}'),
        ("body.a.@base64.b", b'{"a": "no base64!"}', b'{"a": "**********"}'),
        ("body.a.@base64.b", b'{"a": "AAECAw=="}', b'{"a": "********"}'),
        (r"~ \b\d{4}\b", b'{"a": "is 4111 ok", "b": 4111, "c": 41}', b'{"a": "is **** ok", "b": 0, "c": 41}'),
        (r"~ \d{4}", b'{"4111": 1}', b'{"****": 1}'),
        (r"~ \d{4}", b'{"a": "\\u0034111"}', b'{"a": "****"}'),
        (r"~ \d{4}", b"pay with 4111 now", b"pay with **** now"),
    ],
)
def test_what_a_rule_names_is_masked_and_nothing_else(rule: str, before: bytes, after: bytes) -> None:
    assert masked([rule], before) == after


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ("body.card.number", b'{"card": {"name": "x"}, "number": 7}'),
        ("body.card.number", b'{"card": "number"}'),
        ("body.card.number", b"just text"),
        ("body.card.number", b"text \\u0041 with escapes"),
        (r"~ \d{4}", b'{"a": "\\n \\u00e9 41"}'),
        (r"~ \d{4}", b"\xff\xfe 41"),
        ("header.x", b"\xff\xfe"),
        ("body.card.number", msgspec.msgpack.encode({"card": {"name": "x"}, "number": 7})),
        ("body.card.number", cbor2.dumps({"card": {"name": "x"}, "number": 7})),
        ("body.card.number", gzip.compress(b'{"card": {"name": "x"}}', mtime=0)),
    ],
)
def test_an_event_that_no_rule_concerns_is_the_same_object(rule: str, body: bytes) -> None:
    delivery = seen(Event(b"key", body, None, Content((("a", b"b"), ("c", None)))))
    assert Masking([rule]).apply(delivery) is delivery


def test_json_in_a_frame_that_says_it_is_json_keeps_what_no_rule_names() -> None:
    content = Content((), {"content_type": "application/json"})
    event = Event(b"key", b'\0\0\0\0\x2a{"a": "x", "b": 1}', encode(content))
    assert Masking(["body.a"]).apply(seen(event)).event.body == b'\0\0\0\0\x2a{"a": "*", "b": 1}'


def test_a_secret_in_base64_is_never_seen() -> None:
    inside = base64.b64encode(json.dumps({"card": [{"number": SECRET}]}).encode()).decode()
    for body in ({"data": inside}, {"data": inside.rstrip("=")}, {"data": [inside, inside]}):
        shown = masked(["body.data.@base64.card.number"], json.dumps(body).encode())
        for text in re.findall(r"[A-Za-z0-9+/=]{16,}", shown.decode()):
            assert SECRET.encode() not in base64.b64decode(text + "==")
        assert b"data" in shown


def test_without_rules_nothing_is_done() -> None:
    delivery = seen(Event(b"key", b'{"a": 1}'))
    assert Masking([]).apply(delivery) is delivery


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ("body.card.number", b"<card><number>4111</number></card>"),
        ("body.card.number", b'{"card": {"number": "4111"'),
        ("body.card.number", b'{"card": {"NUMBER": "4111",}}'),
        ("body.card.number", b'{"card": {"n\\u0075mber": "4111"'),
        ("body.card.number", b'{"card":{"number":4111}}\n{"card":{"number":4112}}'),
        ("body.card.number", b'{"card": {"number": "4111", "x": "\xff"}}'),
        ("body.card.number", msgspec.msgpack.encode({"card": {"number": "4111"}})),
        ("body.card.number", cbor2.dumps({"card": [{"number": "4111"}]})),
        ("body.card.number", gzip.compress(b'{"card": {"number": "4111"}}', mtime=0)),
        ("body.card.number", bytes(cramjam.zstd.compress(b'{"card": {"number": "4111", '))),
        ("body.card.number", bytes(cramjam.gzip.compress(b" " * 20_000_000))),
        ("body.card.number", b"\0\0\0\0\x2a\x02\x084111"),
        ("body.card.number", b'\0\0\0\0\x2a{"card": {"number": "4111"}}'),
        ("body.card.number", b"\0\0\0\0\x2a[4111"),
        ("body.card.number", msgspec.msgpack.encode({"card": '{"number": "4111"}'})),
        ("body.card.number", b"\x0a\x084111"),
        ("body.card.number", b'{"card": {"number": "4111"}, "x": "' + b"x" * READ + b'"}'),
        (r"~ \d{4}", b"\xff\xfe4111\xff"),
        (r"~ \d{4}", gzip.compress(b"4111", mtime=0)),
        (r"~ \d{4}", b"x" * (SEARCHED + 1)),
    ],
)
def test_where_a_rule_cannot_be_applied_the_whole_body_is_masked(rule: str, body: bytes) -> None:
    assert masked([rule], body) == b"*" * len(body)


def test_a_pattern_that_reaches_across_values_masks_the_whole_json() -> None:
    found = masked([r'~ "ssn":\s*"\d+"'], b'{"ssn": "4111"}')
    assert json.loads(found) == "*" * 13


def test_a_key_is_masked() -> None:
    delivery = seen(Event(b"4111 x", b"{}"))
    assert Masking(["key"]).apply(delivery).event.key == b"******"
    assert Masking([r"~ \d{4}"]).apply(delivery).event.key == b"**** x"


def test_headers_of_kafka_are_masked_by_name_or_by_pattern() -> None:
    headers: Headers = (("Authorization", b"Bearer x"), ("a", b"4111!"), ("b", None), ("c", b"ok"), ("id-4111", b"x"))
    found = Masking(["header.authorization", r"~ \d{4}"]).apply(seen(Event(None, b"", None, Content(headers))))
    assert found.event.headers == (("Authorization", b"********"), ("a", b"****!"), ("b", None), ("c", b"ok"))


AMQP: dict[str, Value] = {
    "secret": "4111",
    "count": 4111,
    "table": {"deep": [{"Secret": "4111"}]},
    "time": datetime(2026, 1, 1, tzinfo=UTC),
    "kept": 1.5,
}


def test_properties_and_headers_of_amqp_are_masked_in_the_wire_too() -> None:
    wire = encode(Content(tuple(AMQP.items()), {"user_id": "4111", "timestamp": AMQP["time"], "type": "x"}))
    event = Event(b"", b"", wire, timestamp=1_767_225_600_000)
    rules = ["header.secret", "property.user_id", "property.timestamp", "header.count", "header.time"]
    found = Masking(rules).apply(seen(event)).event
    assert dict(found.headers) == {
        "secret": "****",
        "count": 0,
        "table": "***",
        "time": datetime(1970, 1, 1, tzinfo=UTC),
        "kept": 1.5,
    }
    assert found.properties == {"user_id": "****", "timestamp": datetime(1970, 1, 1, tzinfo=UTC), "type": "x"}
    assert found.timestamp is None
    assert found.wire is not None and b"4111" not in found.wire.data


@pytest.mark.parametrize(
    ("pattern", "value", "masked"),
    [
        ("~ ^true$", True, False),
        ("~ 2026-01-01T00", datetime(2026, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)),
        ("~ ^00004111$", b"\0\0\x41\x11", b"****"),
        ("~ 2026-01-01T00", {"at": datetime(2026, 1, 1, tzinfo=UTC)}, "***"),
        ("~ grüße", ["grüße".encode()], "***"),
        ("~ ff4111", [b"\xff\x41\x11"], "***"),
    ],
)
def test_a_pattern_masks_the_values_that_show_what_it_matches(pattern: str, value: Value, masked: Value) -> None:
    found = Masking([pattern]).apply(seen(Event(None, b"", None, Content((("a", value),)))))
    assert found.event.headers == (("a", masked),)


def test_a_header_that_comes_twice_in_amqp_leaves_nothing_behind() -> None:
    wire = encode(Content((("a", "4111"), ("a", "4112"), ("b", "x"))))
    found = Masking(["header.a"]).apply(seen(Event(b"", b"", wire))).event
    assert found.headers == (("a", "****"), ("b", "x"))


def test_properties_that_cannot_be_decoded_are_left_out() -> None:
    delivery = seen(Event(b"", b"", Wire("amqp-0-9-1", b"\x20\x00\x00\x00\x00\x10\x06secret")))
    found = Masking(["header.secret"]).apply(delivery).event
    assert (found.wire, found.headers) == (None, ())


@pytest.mark.parametrize(
    "rule", ["", "body", "body.", "body..a", "header.", "card.number", "~ (", "~", "~ .*", r"~ \*+", "keys", "HEADER.x"]
)
def test_a_rule_that_is_none_is_refused_in_one_sentence(rule: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Masking(["key", rule])
    assert "\n" not in str(refused.value)


def test_hostile_events_are_masked_in_bounded_time_and_stay_events() -> None:
    masking = Masking(["body.a", "body.payload.*", "header.x-death", "property.type", r"~ \b\d{16}\b"])
    for name, delivery in deliveries():
        found = masking.apply(delivery)
        assert masking.apply(found).event.key == found.event.key, name


SECRET = "S3CR3T-4111"
NAMES = st.sampled_from(["card", "number", "x", "a.b", "é", 'q"', "Number", ""])
OTHER = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)
PATHS = st.lists(st.sampled_from(["card", "number", "a.b", "é", "x"]), min_size=1, max_size=4)
HIDDEN: st.SearchStrategy[Any] = st.sampled_from([SECRET, [SECRET], {"y": SECRET, SECRET: 1}, [{"z": [SECRET]}]])


@st.composite
def with_a_secret(draw: st.DrawFn) -> tuple[list[str], Any]:
    """A path, and JSON that holds the secret there, among other things."""
    path = draw(PATHS)
    value: Any = draw(HIDDEN)
    for name in reversed(path):
        around = draw(st.dictionaries(NAMES, OTHER, max_size=2))
        items = list({**around, name: value}.items())
        value = dict(draw(st.permutations(items)))
        for _ in range(draw(st.integers(0, 2))):
            value = [draw(OTHER), value]
    return path, value


def escaped(string: re.Match[str]) -> str:
    return re.sub("[A-Za-z]", lambda letter: f"\\u{ord(letter[0]):04x}", string[0])


ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "JSON": lambda value: json.dumps(value).encode(),
    "JSON, in UTF-8 and with space": lambda value: json.dumps(value, ensure_ascii=False, indent=1).encode(),
    "JSON, letters escaped": lambda value: re.sub(r'"[^"\\]*"', escaped, json.dumps(value)).encode(),
    "JSON, cut short": lambda value: json.dumps(value).encode()[:-1],
    "JSON in a string": lambda value: json.dumps(json.dumps(value)).encode(),
    "JSON in a frame": lambda value: b"\0\0\0\0\x2a" + json.dumps(value).encode(),
    "gzip": lambda value: gzip.compress(json.dumps(value).encode()),
    "UTF-16": lambda value: json.dumps(value).encode("utf-16"),
    "MessagePack": msgspec.msgpack.encode,
    "CBOR": cbor2.dumps,
}


@given(with_a_secret(), st.sampled_from(sorted(ENCODERS)))
def test_a_secret_at_a_rules_place_in_a_body_is_never_seen(found: tuple[list[str], Any], form: str) -> None:
    path, value = found
    body = ENCODERS[form](value)
    result = Masking([f"body.{'.'.join(path)}"]).apply(seen(Event(b"key", body)))
    assert SECRET not in everything(result)
    if form == "JSON":
        assert result.event.body is not None
        json.loads(result.event.body)


@given(OTHER, st.lists(st.sampled_from(["body", "key", "header", "name", "table"]), min_size=1), st.booleans())
def test_a_secret_that_a_pattern_matches_is_never_seen(value: Any, places: list[str], amqp: bool) -> None:
    body = json.dumps([value, {f"of {SECRET}": f"is {SECRET}!"}] if "body" in places else value).encode()
    headers: list[tuple[str, Value]] = [("plain", b"x")]
    if "header" in places:
        headers.append(("correlation_id", f"is {SECRET}!".encode()))
    if "name" in places:
        headers.append((f"id-{SECRET}", b"x"))
    if "table" in places and amqp:
        headers.append(("x-death", [{"queue": SECRET, SECRET: 1}]))
    content = Content(tuple(headers), {"correlation_id": f"is {SECRET}!"} if amqp else {})
    key = SECRET.encode() if "key" in places else b"key"
    event = Event(key, body, encode(content)) if amqp else Event(key, body, None, content)
    assert SECRET not in everything(Masking([rf"~ {SECRET}"]).apply(seen(event)))


@given(st.sampled_from(["secret", "Secret", "SECRET"]), st.integers(0, 3), st.booleans())
def test_a_secret_in_a_header_or_property_is_never_seen(name: str, before: int, amqp: bool) -> None:
    others: list[tuple[str, Value]] = [(f"other-{n}", b"x") for n in range(before)]
    headers = (*others, (name, SECRET.encode()), ("last", b"y"))
    content = Content(headers, {"correlation_id": SECRET} if amqp else {})
    event = Event(b"", b"{}", encode(content)) if amqp else Event(b"", b"{}", None, content)
    assert SECRET not in everything(Masking(["header.secret", "property.correlation_id"]).apply(seen(event)))


def test_kafka_headers_are_masked_beside_names_that_are_no_text() -> None:
    headers = [(b"caf\xe9", b"kept"), (b"password", b"secret"), (b"note", b"card 4111111111111111")]
    wire = Wire("kafka-2", record_headers.write(headers))
    found = Masking(["header.password", "~[0-9]{16}"]).apply(seen(Event(None, b"", wire)))
    assert found.event.wire is not None
    assert record_headers.read(found.event.wire.data) == [
        (b"caf\xe9", b"kept"),
        (b"password", b"******"),
        (b"note", b"card ****************"),
    ]
    assert "secret" not in everything(found) and "4111" not in everything(found)


async def test_a_large_body_is_masked_while_the_event_loop_goes_on() -> None:
    large = json.dumps([{"card": "4111-1111"}] * (READ // 25)).encode()
    steps = 0
    during: list[int] = []

    def apply(delivery: Delivery) -> Delivery:
        before = steps
        masked = Masking([r"~ \d{4}-\d{4}"]).apply(delivery)
        during.append(steps - before)
        return masked

    async with asyncio.TaskGroup() as group:
        masking = group.create_task(Reading(masked=apply).mask_off_loop(seen(Event(None, large))))
        while not masking.done():
            await asyncio.sleep(0)
            steps += 1
    assert during[0] > 10
    assert b"4111" not in (masking.result().event.body or b"")
