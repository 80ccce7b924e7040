import codecs
import gzip
import json
import re
import subprocess
from base64 import b64encode
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit import strategies
from tests.unit.strategies import Sent
from workbench.cli.output import ndjson_lines
from workbench.decode import ndjson
from workbench.model import wire
from workbench.model.address import Address
from workbench.model.content import DEPTH, Content, Value
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event, Position
from workbench.model.wire import Wire

PAYMENT = (
    b'{"address":"kafka/payments","position":{"partition":3,"offset":1200},"time":"2026-11-23T10:03:22.123Z",'
    b'"key":"1001","headers":[["traceparent","00-4bf9"]],"body":{"json":{"reason":"declined"}},"properties":{}}\n'
)
TIME = 1_795_428_202_123


def exactly(value: object) -> str:
    """A text that tells apart what == does not (1, 1.0 and True; 0.0 and -0.0) and equates what it does not (NaN)."""
    return repr(value)


def written(*headers: tuple[str, Value], **properties: Value) -> Event:
    return Event(body=b"", written=Content(headers, properties))


def shown(event: Event) -> Any:
    """The line of an event, as any JSON tool reads it."""
    return json.loads(ndjson.encode(event))


def jq(program: str, *lines: bytes) -> list[bytes]:
    """The lines that jq makes of lines."""
    done = subprocess.run(["jq", "-c", program], input=b"".join(lines), stdout=subprocess.PIPE, check=True)
    return done.stdout.splitlines()


def read(**line: object) -> Event:
    """What a line with these members says, its body null where none is given."""
    return ndjson.decode(json.dumps({"body": None, **line}).encode()).event


# Both ways


@given(strategies.deliveries)
def test_a_delivery_comes_back_exactly(delivery: Delivery) -> None:
    line = ndjson.encode(delivery)
    assert exactly(ndjson.decode(line)) == exactly(ndjson.Line(delivery.event, delivery))
    assert line.count(b"\n") == 1


@given(strategies.deliveries, st.booleans())
def test_a_delivery_comes_back_from_a_line_that_another_tool_wrote_again(delivery: Delivery, escaped: bool) -> None:
    line = json.dumps(json.loads(ndjson.encode(delivery)), ensure_ascii=escaped).encode()
    assert exactly(ndjson.decode(line)) == exactly(ndjson.Line(delivery.event, delivery))


@given(strategies.events)
def test_an_event_comes_back_exactly(event: Event) -> None:
    assert exactly(ndjson.decode(ndjson.encode(event))) == exactly(ndjson.Line(event))


@given(strategies.sent)
def test_headers_and_properties_come_back_without_their_wire(message: Sent) -> None:
    event = Event(written=message.content)
    assert exactly(ndjson.decode(ndjson.encode(event)).event) == exactly(event)


BY_JQ = strategies.deliveries.filter(
    # jq 1.6 has only doubles, and without a wire nothing says what a number was.
    lambda seen: (seen.event.wire is not None or seen.event.written == Content()) and (seen.attempt or 0) < 2**53
)


@settings(max_examples=50)
@given(st.lists(BY_JQ, min_size=1, max_size=20))
def test_deliveries_come_back_through_jq(deliveries: list[Delivery]) -> None:
    lines = jq(".", *map(ndjson.encode, deliveries))
    assert exactly([ndjson.decode(line).delivery for line in lines]) == exactly(deliveries)


@given(strategies.bodies.filter(lambda body: "\ufffd".encode("utf-16")[2:] not in body))
def test_a_body_that_is_json_always_has_json(body: bytes) -> None:
    form = shown(Event(body=body))["body"]
    said = strategies.said_by(body)
    if said is None:
        assert "json" not in form
    else:
        assert exactly((form["json"],)) == exactly(said)


@given(strategies.bodies)
def test_an_edit_of_json_counts(body: bytes) -> None:
    line = shown(Event(body=body))
    if "json" in line["body"]:
        line["body"]["json"] = {"edited": line["body"]["json"]}
        edited = ndjson.decode(json.dumps(line).encode()).event.body
        assert edited is not None
        assert exactly(json.loads(edited)) == exactly(line["body"]["json"])


@given(st.binary() | st.text().map(str.encode) | strategies.documents.map(lambda body: b'{"body":%b}' % body))
def test_any_line_is_read_or_refused_in_a_sentence(line: bytes) -> None:
    try:
        ndjson.decode(line)
    except FormatError as error:
        assert re.fullmatch(r"This line is not an event: .*\.", str(error))


# Writing


def test_a_line_looks_as_the_documentation_says() -> None:
    delivery = Delivery(
        Event(b"1001", b'{"reason":"declined"}', None, Content((("traceparent", "00-4bf9"),)), TIME),
        Address("kafka", "payments"),
        TIME + 17,
        Position("3", "1200"),
    )
    assert ndjson.encode(delivery) == PAYMENT.replace(b'"time"', b'"seen_at":"2026-11-23T10:03:22.140Z","time"')


def test_a_rabbitmq_line_says_how_it_was_delivered() -> None:
    sent = wire.encode(Content((("retry", 3),), {"type": "OrderPlaced"}))
    delivery = Delivery(
        Event(b"orders", b"", sent), Address("rabbit", "orders"), 0, exchange="", redelivered=True, attempt=2
    )
    assert json.loads(ndjson.encode(delivery)) == {
        "address": "rabbit/orders",
        "exchange": "",
        "redelivered": True,
        "attempt": 2,
        "seen_at": "1970-01-01T00:00:00.000Z",
        "key": "orders",
        "headers": [["retry", 3]],
        "body": {"text": ""},
        "properties": {"type": "OrderPlaced"},
        "wire": b64encode(sent.data).decode(),
        "encoding": "amqp-0-9-1",
    }


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (None, None),
        (b"", {"text": ""}),
        (b"hello", {"text": "hello"}),
        (b"caf\xe9", {"base64": "Y2Fm6Q=="}),
        (b"null", {"json": None}),
        (b'{"a":[1,-2.5,"\xc3\xa9"]}', {"json": {"a": [1, -2.5, "é"]}}),
        (
            b'{"ids":["4111111111111111","7e12"],"total":12.5}',
            {"json": {"ids": ["4111111111111111", "7e12"], "total": 12.5}},
        ),
        (b"18446744073709551617", {"json": 2**64 + 1, "text": "18446744073709551617"}),
        (b"1.0", {"json": 1.0, "text": "1.0"}),
        (b'{"a": 1}', {"json": {"a": 1}, "text": '{"a": 1}'}),
        (b"[1]\n", {"json": [1], "text": "[1]\n"}),
        (b"1e2", {"json": 100.0, "text": "1e2"}),
        (b"-0", {"json": 0, "text": "-0"}),
        (b"0.10", {"json": 0.1, "text": "0.10"}),
        (b'"\\u00e9"', {"json": "é", "text": '"\\u00e9"'}),
        (b"\xef\xbb\xbf{}", {"json": {}, "text": "\ufeff{}"}),
        (
            codecs.BOM_UTF16_LE + '{"a":"é"}'.encode("utf-16-le"),
            {"json": {"a": "é"}, "base64": "//57ACIAYQAiADoAIgDpACIAfQA="},
        ),
    ],
)
def test_a_body_is_shown_in_the_most_readable_form(body: bytes | None, form: object) -> None:
    assert shown(Event(body=body))["body"] == form


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'[{"a": {"b": ":"}, "c": [{"d":1, "\\u0064": 1}]}]',
        b"1e400",
        b"[" + b"9" * 400 + b"]",
        b"NaN",
        b'{"a": Infinity}',
        b'"\\ud800"',
        b'{"a":1} ,',
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1),
        b"[" + b"1," * 2_500_000 + b"1]",
    ],
)
def test_json_that_would_lie_is_text(body: bytes) -> None:
    line = ndjson.encode(Event(body=body))
    assert json.loads(line)["body"] == {"text": body.decode()}
    assert ndjson.decode(line).event.body == body


@pytest.mark.parametrize(
    "body",
    [
        b'{"total": 12.50, "id": 18446744073709551617, "rate": 3.14159265358979323846}',
        b'{"n":[1.0,-0.0,1e16,1E-400,9007199254740993.0,-1.5e+300,0.10,10000000000000000]}',
        b'{ "b": "\\/\\u00e9\\u0000\\u2028", "a": null, "": [ ] }\n',
        codecs.BOM_UTF8 + b'{"a": 1}',
        '{"a": "é"}'.encode("utf-16"),
        gzip.compress(b'{"a": 1.0}', mtime=0),
        b"\0\0\0\0\7" + b'{"a":1}',
    ],
)
def test_json_comes_back_through_jq_as_it_was_and_its_edit_counts(body: bytes) -> None:
    line = ndjson.encode(Event(body=body))
    [again, edited] = jq("., (.body.json = (.body.json | tostring))", line)
    assert ndjson.decode(again).event.body == body
    assert (
        json.loads(json.loads(ndjson.decode(edited).event.body or b"")).keys()
        == shown(Event(body=body))["body"]["json"].keys()
    )


def test_json_in_a_charset_that_the_event_names_is_read_so() -> None:
    body = '{"a":"é"}'.encode("utf-16-be")
    event = Event(None, body, written=Content((("content-type", "application/json; charset=utf-16be"),)))
    line = ndjson.encode(event)
    assert json.loads(line)["body"] == {"json": {"a": "é"}, "base64": b64encode(body).decode()}
    assert ndjson.decode(line).event == event


@pytest.mark.parametrize(
    ("held", "edited", "counts"),
    [
        (b"[1.0]", [1], False),
        (b"[1.0]", [2], True),
        (b"[1.0]", [True], True),
        (b"[18446744073709551617]", [18446744073709552000], False),
        (b"[18446744073709551617]", [18446744073709551616], True),
        (b"[18446744073709551617]", [1.8446744073709552e19], False),
        (b'{"a": 1}', {"a": 1, "b": 2}, True),
        (b'{"a": 1, "b": 2}', {"b": 2, "a": 1}, False),
        (b'{"a": 1}', {}, True),
        (b'["1.0" ]', ["1"], True),
    ],
)
def test_json_is_edited_where_its_values_differ(held: bytes, edited: Any, counts: bool) -> None:
    line = {"body": {"json": edited, "text": held.decode()}, "key": {"json": edited, "text": held.decode()}}
    event = ndjson.decode(json.dumps(line).encode()).event
    expected = json.dumps(edited, separators=(",", ":")).encode() if counts else held
    assert (event.body, event.key) == (expected, expected)


def test_wide_json_is_json_however_many_brackets_it_has() -> None:
    body = b"[" + b"[],{}," * 1000 + b"0]"
    assert "json" in shown(Event(body=body))["body"]


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, None),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (0.5, 0.5),
        ("1", "1"),
        (float("nan"), {"float": "NaN"}),
        (float("-inf"), {"float": "-Infinity"}),
        (Decimal("1.50"), {"decimal": "1.50"}),
        (datetime(2026, 11, 23, 12, tzinfo=UTC), {"time": "2026-11-23T12:00:00Z"}),
        (b"\x00", {"base64": "AA=="}),
        ([{"count": 1}], [{"count": 1}]),
        ({"time": "noon"}, {"table": {"time": "noon"}}),
        ({"time": "noon", "zone": "Z"}, {"time": "noon", "zone": "Z"}),
        ({"table": {"json": 1}}, {"table": {"table": {"table": {"json": 1}}}}),
    ],
)
def test_a_header_value_has_one_form_and_no_other_value_has_it(value: Value, form: object) -> None:
    line = ndjson.encode(written(("n", value)))
    assert json.loads(line)["headers"] == [["n", form]]
    assert exactly(ndjson.decode(line).event.headers) == exactly((("n", value),))


def test_a_key_that_is_null_differs_from_an_empty_one() -> None:
    assert (shown(Event())["key"], shown(Event(key=b""))["key"]) == (None, "")
    assert shown(Event(key=b"\xff"))["key"] == {"base64": "/w=="}


@pytest.mark.parametrize(
    ("milliseconds", "time"),
    [
        (TIME, "2026-11-23T10:03:22.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, 253_402_300_800_000),
        (-(2**63), str(-(2**63))),
    ],
)
def test_a_time_is_iso_where_that_can_say_it(milliseconds: int, time: object) -> None:
    line = ndjson.encode(Event(timestamp=milliseconds))
    assert json.loads(line)["time"] == time
    assert ndjson.decode(line).event.timestamp == milliseconds


def test_who_set_the_time_is_said_where_it_was_not_the_producer() -> None:
    assert shown(Event(timestamp=0, timestamp_type="append"))["time_type"] == "append"
    assert "time_type" not in shown(Event(timestamp=0))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("0", 0), ("1200", 1200), ("", ""), ("007", "007"), ("-1", "-1"), ("٣", "٣"), ("9" * 16, "9" * 16)],
)
def test_a_position_is_a_number_where_every_tool_keeps_it(text: str, shown: object) -> None:
    assert ndjson.position(Position("0", text)) == {"partition": 0, "offset": shown}


def test_malformed_wire_is_kept_and_nothing_is_shown_of_it() -> None:
    event = Event(body=b"", wire=Wire("amqp-0-9-1", b"\xff"))
    line = ndjson.encode(event)
    assert json.loads(line).keys() == {"key", "body", "wire", "encoding"}
    assert ndjson.decode(line).event == event


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (("n", "\ud800"), "half a character"),
        (("\udfff", ""), "half a character"),
        (("n", deep(DEPTH)), "nests deeper than 100"),
        (("n", deep(100_000)), "nests deeper than 100"),
        (("n", object()), "a header is a object"),
    ],
)
def test_what_json_cannot_say_is_refused(header: Any, reason: str) -> None:
    with pytest.raises(FormatError, match=f"cannot be written as a line: .*{reason}"):
        ndjson.encode(written(header))


def test_headers_come_back_as_deep_as_they_may_nest() -> None:
    event = written(("n", deep(DEPTH - 1)))
    assert ndjson.decode(ndjson.encode(event)).event == event


# Reading


def test_the_documented_line_is_read() -> None:
    line = ndjson.decode(PAYMENT)
    assert line.event == Event(b"1001", b'{"reason":"declined"}', None, Content((("traceparent", "00-4bf9"),)), TIME)
    assert line.delivery == Delivery(line.event, Address("kafka", "payments"), TIME, Position("3", "1200"))


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b'{"body":"hello"}', Event(body=b"hello")),
        (b'{"body":null,"key":"1"}', Event(key=b"1")),
        (b'{"body":{"json":{"a": [1, 2.50]}},"key":"1"}\r\n', Event(b"1", b'{"a":[1,2.5]}')),
        (b'{"body":{"json":"a"},"key":{"json":7}}', Event(b"7", b'"a"')),
        (b' {"key": {"text": "k"}, "body": {"base64": "AA=="}} ', Event(b"k", b"\0")),
        (b'{"body":"","time":0}', Event(body=b"", timestamp=0)),
        (b'{"body":"","time":"1970-01-01T01:00+01:00"}', Event(body=b"", timestamp=0)),
        (b'{"body":"","headers":[["a",{"json":{"b":1}}],["a",{"text":"c"}]]}', written(("a", '{"b":1}'), ("a", "c"))),
        (b'{"body":"","properties":{"priority":5}}', written(priority=5)),
    ],
)
def test_a_line_written_by_hand_is_read(line: bytes, event: Event) -> None:
    assert ndjson.decode(line) == ndjson.Line(event)


SENT = wire.encode(Content((("retry", 3), ("ratio", 1.0)), {"priority": 5}))
LINE = json.loads(ndjson.encode(Event(body=b"", wire=SENT)))


@pytest.mark.parametrize(
    "unedited",
    [
        LINE,
        {"body": "", "wire": LINE["wire"]},
        {"body": "", "wire": LINE["wire"], "headers": LINE["headers"]},
        {**LINE, "key": "other", "body": "other"},
        {**LINE, "headers": [["retry", 3.0], ["ratio", 1]]},
    ],
)
def test_wire_wins_while_it_says_what_the_line_shows(unedited: dict[str, Any]) -> None:
    assert ndjson.decode(json.dumps(unedited).encode()).event.wire == SENT


def test_a_wire_whose_numbers_jq_rounded_wins() -> None:
    sent = wire.encode(
        Content((("id", 2**62 + 1), ("ratio", 1e22), ("nested", {"n": [2.0]})), {"timestamp": 2**62 + 1})
    )
    [line] = jq(".", ndjson.encode(Event(body=b"", wire=sent)))
    assert ndjson.decode(line).event.wire == sent


def test_wires_of_older_lines_are_read() -> None:
    assert ndjson.decode(json.dumps({"body": "", "wire": LINE["wire"]}).encode()).event.wire == SENT
    named = {"body": "", "wire": {"kafka-2": "AA=="}}
    assert ndjson.decode(json.dumps(named).encode()).event.wire == Wire("kafka-2", b"\0")


@pytest.mark.parametrize(
    "edited",
    [
        {"headers": []},
        {"headers": [["retry", 4], ["ratio", 1.0]]},
        {"headers": [["retry", True], ["ratio", 1.0]]},
        {"headers": [["ratio", 1.0], ["retry", 3]]},
        {"properties": {}},
        {"properties": {"priority": 5, "type": "a"}},
        {"wire": "/w=="},
    ],
)
def test_wire_is_passed_over_in_an_edited_line(edited: dict[str, Any]) -> None:
    line = {**LINE, **edited}
    event = ndjson.decode(json.dumps(line).encode()).event
    assert event.wire is None
    assert exactly(event.headers) == exactly(tuple((name, value) for name, value in line["headers"]))
    assert event.properties == line["properties"]


def test_large_integers_are_never_rounded() -> None:
    assert read(headers=[["n", 2**64 + 1]]).headers == (("n", 2**64 + 1),)
    assert read(body={"json": [2**64 + 1]}).body == b"[18446744073709551617]"


@pytest.mark.parametrize("number", ["1e400", "1e-400", "3.14159265358979323846"])
def test_a_number_that_would_be_rounded_is_refused(number: str) -> None:
    for line in (f'{{"body":{{"json":{number}}}}}', f'{{"body":"","headers":[["a",{number}]]}}'):
        with pytest.raises(FormatError, match=f"the number {number} would be rounded"):
            ndjson.decode(line.encode())


@pytest.mark.parametrize("number", ["0.10000000000000001", "5e-324", "-0.0", "1.50", "1.7976931348623157e+308"])
def test_a_number_that_names_a_double_is_read(number: str) -> None:
    assert exactly(read(headers=[["a", float(number)]]).headers) == exactly((("a", float(number)),))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "truncated"),
        (b"body", "malformed"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"key":"1"}', "missing required field `body`"),
        (b'{"body":"","colour":"red"}', "unknown field `colour`"),
        (b'{"body":"","address":"a/b","position":{"partition":1,"offset":1,"epoch":1}}', "unknown field `epoch`"),
        (b'{"body":{"a":1}}', 'the body is none of null, a text, {"json":'),
        (b'{"body":{"text":"a","base64":""}}', "the body is none of"),
        (b'{"body":{"json":1,"xml":""}}', "the body is none of"),
        (b'{"body":"","wire":"AAA=","encoding":"morse"}', "the encoding 'morse' is not known"),
        (b'{"body":"","wire":{"kafka-2":"AA=="},"encoding":"kafka-2"}', "not in one encoding"),
        (b'{"body":{"text":1}}', "the body is none of"),
        (b'{"body":1}', "the body is none of"),
        (b'{"body":"","key":1}', "the key is none of"),
        (b'{"body":{"base64":"A"}}', "'A' is not base64"),
        (b'{"body":"","wire":"???"}', "is not base64"),
        (b'{"body":"","time":"soon"}', "'soon' is not a time"),
        (b'{"body":"","time":"2026-11-23T10:00"}', "names no zone"),
        (b'{"body":"","time":true}', "time"),
        (b'{"body":"","time":9223372036854775808}', "time"),
        (b'{"body":"","time_type":"guessed"}', "guessed"),
        (b'{"body":"","time":0,"address":"orders"}', "'orders' is not an address"),
        (b'{"body":"","headers":{"a":"b"}}', "got `object`"),
        (b'{"body":"","headers":[["a"]]}', "length 2"),
        (b'{"body":"","headers":[["a",{"decimal":"x"}]]}', "'x' is not a decimal"),
        (b'{"body":"","headers":[["a",{"float":"x"}]]}', "'x' is not a floating-point"),
        (b'{"body":"","headers":[["a",{"time":"x"}]]}', "'x' is not a time"),
        (b'{"body":"","headers":[["a",{"time":5}]]}', '{"table":{"time":'),
        (b'{"body":"\xff"}', "not UTF-8"),
        (b'{"body":"\xed\xa0\x80"}', "not UTF-8"),
        (b'{"body":"\\ud800"}', "surrogate pair"),
        (b'{"body":"\\udc00 and more"}', "surrogate pair"),
        (b'{"body":NaN}', "malformed"),
        (b'{"body":{"json":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "nests too deep"),
        (b'{"body":"","headers":[["a",' + b"[" * 200 + b"]" * 200 + b"]]}", "nests deeper than 100"),
        (b'{"body":"","headers":[["a",' + b"[" * 100_000 + b"]" * 100_000 + b"]]}", "nests too deep"),
    ],
)
def test_a_line_that_is_no_event_is_refused_with_the_reason(line: bytes, reason: str) -> None:
    with pytest.raises(FormatError, match="This line is not an event: ") as refused:
        ndjson.decode(line)
    assert reason in str(refused.value)


def test_an_event_that_cannot_be_a_line_is_named_in_its_own_and_ends_no_output() -> None:
    place = Address("m", "t")
    half = Event(b"k", b"secret", None, Content((("a", "\ud800"),)))
    lines = ndjson_lines([Delivery(half, place, 1, Position("0", "7")), Delivery(Event(b"k", b"next"), place, 2)])
    first, second = map(json.loads, lines.splitlines())
    assert (first["address"], first["position"]["offset"]) == ("m/t", 7)
    assert first["damaged"] == "This event cannot be written as a line: a text in it holds half a character."
    assert "body" not in first and second["body"] == {"text": "next"}
