"""In what two events differ, as data and in lines."""

import gzip
import json
import random
from copy import deepcopy
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given

from tests.unit.strategies import documents, events
from workbench.facts.masking import Masking
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Delivery, Event
from workbench.model.wire import Wire, encode, with_header
from workbench.operations.edit.difference import MOST, VALUE, Change, diff_lines, difference


def lines(before: Event, after: Event, width: int | None = None) -> list[str]:
    return list(diff_lines(difference(before, after), width))


def of_bodies(before: str | bytes | None, after: str | bytes | None) -> list[str]:
    one, other = [Event(body=each.encode() if isinstance(each, str) else each) for each in (before, after)]
    return lines(one, other)


def test_it_tells_key_properties_headers_and_body() -> None:
    before = Event(b"k", b'{"a":1}', encode(Content((("tenant", "north"), ("old", 1)), {"priority": 1})))
    after = Event(None, b'{"a":2}', encode(Content((("new", True), ("tenant", "south")), {"type": "T"})))
    assert lines(before, after) == [
        "- key  k",
        "- property.priority  1",
        "+ property.type  T",
        "- header.tenant  north",
        "+ header.tenant  south",
        "- header.old  1",
        "+ header.new  true",
        "- body.a  1",
        "+ body.a  2",
    ]


def test_each_of_equal_headers_is_told() -> None:
    before = Event(written=Content((("h", "1"), ("h", "2"), ("h", "3"))))
    assert lines(before, Event(written=Content((("h", "1"), ("h", "4"))))) == [
        "- header.h  2",
        "+ header.h  4",
        "- header.h  3",
    ]


def test_a_value_that_is_of_another_type_is_told_with_its_type() -> None:
    before, after = [Event(wire=encode(Content((("h", value),)))) for value in (5, "5")]
    assert lines(before, after) == ["- header.h  5 (int32)", "+ header.h  5 (string)"]
    narrow = Event(wire=Wire("amqp-0-9-1", b"\x20\0" + (4).to_bytes(4, "big") + b"\1hb\5"))
    assert lines(narrow, before) == ["- header.h  5 (int8)", "+ header.h  5 (int32)"]
    assert lines(Event(written=Content((("h", True),))), Event(written=Content((("h", 1),)))) == [
        "- header.h  true",
        "+ header.h  1",
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('{"a":1,"b":2}', '{"a": 1, "c": 3}', ["- body.b  2", "+ body.c  3"]),
        ('{"a":{"b":{"c":1}}}', '{"a":{"b":{"c":2}}}', ["- body.a.b.c  1", "+ body.a.b.c  2"]),
        ('{"a":1.0}', '{"a":1}', ["- body.a  1.0", "+ body.a  1"]),
        ('{"a":123456789012345678901}', '{"a":123456789012345678902}',
         ["- body.a  123456789012345678901", "+ body.a  123456789012345678902"]),
        ('{"a":"é"}', '{"a":"\\u00e9","b":null}', ["+ body.b  null"]),
        ('{"a":{"b":1,"c":2}}', "{}", ['- body.a  {"b":1,"c":2}']),
        ('{"a":{}}', '{"a":[]}', ["- body.a  {}", "+ body.a  []"]),
        ("[1,2,3]", "[2,3]", ["- body[0]  1"]),
        ("[1,2,3]", "[1,9,2,3]", ["+ body[1]  9"]),
        ('[{"a":1},{"b":1}]', '[{"a":1},{"b":2}]', ["- body[1].b  1", "+ body[1].b  2"]),
        ('{"a b":1}', '{"a b":2}', ["- body.'a b'  1", "+ body.'a b'  2"]),
        ('{"a":1}', '{\n"a":1}', ['- body line 1  {"a":1}', "+ body line 1  {", '+ body line 2  "a":1}']),
        ('{"a":1,"a":1}', '{"a":1,"a":2}', ['- body line 1  {"a":1,"a":1}', '+ body line 1  {"a":1,"a":2}']),
        ("one\ntwo\nthree", "one\n2\nthree\nfour", ["- body line 2  two", "+ body line 2  2", "+ body line 4  four"]),
        ("<a>1</a>", "", ["- body line 1  <a>1</a>"]),
        ("a\r\nb", "a\nb", ["- body  4 bytes", "+ body  3 bytes"]),
        (None, "{}", ["+ body  {}"]),
        ("x", None, ["- body  x"]),
        (None, "", ["+ body"]),
        (b"\xff\xfe\xfd", "x", ["- body  3 bytes", "+ body  1 bytes"]),
        (gzip.compress(b'{"a":1}', mtime=0), gzip.compress(b'{"a":2}', mtime=0), ["- body.a  1", "+ body.a  2"]),
        ("a\x1b[31mb", "a", ["- body line 1  a␛[31mb", "+ body line 1  a"]),
    ],
)  # fmt: skip
def test_bodies_differ_in(before: str | bytes | None, after: str | bytes | None, expected: list[str]) -> None:
    assert of_bodies(before, after) == expected


def test_a_value_that_equals_nothing_is_no_difference_to_itself() -> None:
    before = Event(wire=Wire("amqp-0-9-1", b"\x20\0" + (12).to_bytes(4, "big") + b"\2ndd" + b"\x7f\xf8" + b"\0" * 6))
    assert lines(before, msgspec.structs.replace(before, wire=with_header(before.wire or Wire("", b""), "h", "x"))) == [
        "+ header.h  x"
    ]


@pytest.mark.parametrize(
    "value",
    [Decimal("sNaN"), [Decimal("NaN")], float("nan"), 10**5_000, [10**5_000]],
    ids=["sNaN", "in", "NaN", "int", "ints"],
)
def test_odd_values_equal_themselves_and_differ_from_others(value: Any) -> None:
    one, same, other = (Event(written=Content((("h", each),))) for each in (value, deepcopy(value), "x"))
    assert lines(one, same) == []
    assert len(lines(one, other)) == 2
    if isinstance(value, int):
        assert len(lines(one, Event(written=Content((("h", value + 1),))))) == 2


def test_places_are_data() -> None:
    [change] = difference(Event(body=b'{"a":[{"b c":1}]}'), Event(body=b'{"a":[{"b c":2}]}'))
    assert change == Change("body", ("a", 0, "b c"), "1", "2")
    assert change.place == "body.a[0].'b c'"


def test_a_long_text_is_told_from_where_it_differs() -> None:
    before = Event(body=json.dumps({"text": "x" * 10_000 + "1"}).encode())
    after = Event(body=json.dumps({"text": "x" * 10_000 + "2"}).encode())
    [change] = difference(before, after)
    assert change.before is not None and change.before.endswith('x1"') and len(change.before) <= VALUE
    assert lines(before, after, 40)[1].endswith('x2"')
    assert all(len(line) <= 40 for line in lines(before, after, 40))


def masked(before: Event, after: Event, *rules: str) -> list[str]:
    mask = Masking(rules)
    seen = [mask.apply(Delivery(each, Address("c", "q"), 0)).event for each in (before, after)]
    return list(diff_lines(difference(before, after, (seen[0], seen[1]))))


@pytest.mark.parametrize(
    ("before", "after", "rules", "expected"),
    [
        ({"card": {"no": "4111"}, "a": 1}, {"card": {"no": "4222"}, "a": 2}, ["body.card.no"],
         ['- body.card.no  "****"', '+ body.card.no  "****"', "- body.a  1", "+ body.a  2"]),
        ({"card": {"no": "4111"}}, {"card": {"no": "4222"}}, ["body.card"],
         ["- body.card  ***", "+ body.card  ***"]),
        ({"card": "4111"}, {"card": "4222"}, ["~ 4[0-9]{3}"], ['- body.card  "****"', '+ body.card  "****"']),
    ],
)  # fmt: skip
def test_what_is_masked_is_told_to_differ_and_not_how(
    before: Any, after: Any, rules: list[str], expected: list[str]
) -> None:
    one, other = [Event(body=json.dumps(each).encode()) for each in (before, after)]
    assert masked(one, other, *rules) == expected


def test_masked_headers_and_texts_are_not_told() -> None:
    before = Event(b"secret", b"<card>4111</card>", written=Content((("token", "abc"), ("secret-1", "x")), {"p": "1"}))
    after = Event(b"other", b"<card>4222</card>", written=Content((("token", "xyz"), ("secret-2", "x")), {"p": "2"}))
    said = masked(before, after, "key", "body.card", "header.token", "property.p", "~ secret-\\d")
    assert said and not any(secret in line for line in said for secret in ("4111", "4222", "abc", "xyz", "secret-"))
    assert "- header.token  ***" in said and "+ header.***  ***" in said


@given(events, events)
def test_events_that_differ_are_told_to_and_equal_ones_are_not(one: Event, other: Event) -> None:
    assert difference(one, one) == []
    told = difference(one, other)
    for change in told:
        assert change.before is not None or change.after is not None
    assert all("\n" not in line and "\x1b" not in line for line in diff_lines(told, 60))
    if one.key != other.key or one.body != other.body:
        assert told


@given(documents, documents)
def test_json_that_differs_is_told_to(one: bytes, other: bytes) -> None:
    assert bool(difference(Event(body=one), Event(body=other))) == (one != other)


def of_words(seed: int) -> bytes:
    chance = random.Random(seed)
    return b"\n".join(b"%d" % chance.randrange(70) for _ in range(400))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"[" * 100_000 + b"]" * 100_000, b"[" * 100_000 + b"1" + b"]" * 100_000, id="deep"),
        pytest.param(b'{"a":"' + b"x" * 4_000_000 + b'"}', b'{"a":"' + b"x" * 4_000_000 + b'y"}', id="large"),
        pytest.param(json.dumps(dict.fromkeys(map(str, range(20_000)), 1)).encode(), b'{"a":1}', id="members"),
        pytest.param(b"[1" + b",1" * 60_000 + b"]", b"[2" + b",2" * 60_000 + b"]", id="items"),
        pytest.param(b"a\nb\n" * 500_000, b"b\nc\n" * 500_000, id="lines"),
        pytest.param(of_words(1), of_words(2), id="alike"),
        pytest.param(b"a\nb\n" * 99, b"a\na\nb\n" * 66, id="few"),
        pytest.param(gzip.compress(b"x" * 50_000_000, mtime=0), gzip.compress(b"y" * 50_000_000, mtime=0), id="bomb"),
    ],
)
def test_however_large_events_are_they_are_compared(before: bytes, after: bytes) -> None:
    told = difference(Event(body=before), Event(body=after))
    assert 0 < len(told) <= MOST
    assert sum(len(each.before or "") + len(each.after or "") for each in told) <= 2 * MOST * VALUE
    assert max(len(line) for line in diff_lines(told, 100)) <= 100


def test_headers_that_cannot_be_read_are_no_difference_by_themselves() -> None:
    broken = Event(body=b"1", wire=Wire("amqp-0-9-1", b"\x20"))
    assert lines(broken, msgspec.structs.replace(broken, body=b"2")) == ["- body  1", "+ body  2"]
