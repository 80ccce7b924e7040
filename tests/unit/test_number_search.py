"""Numbers are looked for in bytes without missing one that the exact query takes."""

import json
from array import array
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.decode.codec import query_value
from workbench.decode.content_type import opaque
from workbench.facts.masking import Masking
from workbench.model.address import Address
from workbench.model.event import Delivery, Event
from workbench.query.query import PLAIN, Query, Reading, compile
from workbench.store.batch import candidates, encode

READING = Reading(body=query_value)
NUMBERS = st.one_of(
    st.sampled_from(["990", "990.0", "9.9e2", "99E+1", "991", "989.9999999999999999999", "-990", "0", "-0.0"]),
    st.sampled_from(["990.00000000000000001", "1e400", "-1e400", "1" + "0" * 40, "9007199254740993"]),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str).filter(lambda text: "E" not in text or "." in text),
)
VALUES = st.one_of(
    NUMBERS,
    NUMBERS.map(lambda text: f'"{text}"'),
    st.sampled_from(
        ["true", "null", '"word"', "NaN", "Infinity", "-Infinity", "[991]", '{"total": 991}', '"\\u0039\\u0039\\u0031"']
    ),
)
NAMES = st.sampled_from(['"total"', '"tot\\u0061l"', '"subtotal"', '"other"', '"total "'])
SPACE = st.sampled_from(["", " ", "\n\t", "  \r\n"])
OPERATORS = st.sampled_from(["=", "!=", ">", ">=", "<", "<="])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """JSON that nests, repeats names, spells them with escapes; sometimes cut off."""
    members = []
    for _ in range(draw(st.integers(0, 4))):
        value = draw(VALUES)
        if draw(st.booleans()):
            value = "{" + draw(SPACE) + draw(NAMES) + draw(SPACE) + ":" + draw(SPACE) + value + draw(SPACE) + "}"
        members.append(draw(NAMES) + draw(SPACE) + ":" + draw(SPACE) + value)
    body = ("{" + ",".join(members) + "}").encode()
    return body[: draw(st.integers(0, len(body)))] if draw(st.integers(0, 9)) == 0 else body


def seen(body: bytes) -> Delivery:
    return Delivery(Event(b"key", body), Address("m", "t"), 0)


def may_match(query: Query, delivery: Delivery) -> bool:
    return opaque(delivery.event) or all(each.may_match(encode(delivery)) for each in query.numbers)


@st.composite
def queries(draw: st.DrawFn) -> str:
    path = draw(st.sampled_from(["body.total", "body.other.total", "body.total.total", "body.total[0]"]))
    number = draw(NUMBERS)
    match draw(st.sampled_from(["plain", "between", "in", "and"])):
        case "between":
            return f"{path} between {number} and {draw(NUMBERS)}"
        case "in":
            return f"{path} in ({number}, {draw(NUMBERS)})"
        case "and":
            return f"{path} {draw(OPERATORS)} {number} and body.other {draw(OPERATORS)} {draw(NUMBERS)}"
        case _:
            return f"{path} {draw(OPERATORS)} {number}"


@given(queries(), st.lists(bodies(), min_size=1, max_size=8))
def test_what_the_query_takes_is_never_ruled_out(text: str, some: list[bytes]) -> None:
    query = compile(text, 0, READING)
    deliveries = [seen(body) for body in some]
    wanted = {index for index, each in enumerate(deliveries) if exactly(text, each)}
    assert wanted <= {index for index, each in enumerate(deliveries) if may_match(query, each)}
    encoded = [encode(each) for each in deliveries]
    hidden = [index for index, each in enumerate(deliveries) if opaque(each.event)]
    ends = array("I", accumulate(map(len, encoded)))
    assert wanted <= set(candidates(b"".join(encoded), ends, hidden, query.needles, query.numbers))
    assert wanted == {index for index, each in enumerate(deliveries) if query.matches(each)}


def exactly(text: str, delivery: Delivery) -> bool:
    """The query asked of a body that is decoded first, so that no byte of it is looked at."""
    reading = Reading(body=decoded)
    return compile(text, 0, reading).matches(delivery)


def decoded(event: Event) -> object:
    from workbench.query.paths import repeating_json_tree

    return repeating_json_tree(event.body or b"")


@pytest.mark.parametrize(
    ("body", "may"),
    [
        (b'{"total": 991}', True),
        (b'{"total" :\n"991"}', True),
        (b'{"total": 9.91e2}', True),
        (b'{"total": 989}', False),
        (b'{"total": "word", "other": 991}', False),
        (b'{"subtotal": 991, "of": "total"}', False),
        (rb'{"tot\u0061l": 991}', True),
        (b'{"total": 1, "total": 991}', True),
        (b'{"total": -Infinity}', True),
    ],
)
def test_only_what_may_compare_so_is_decoded(body: bytes, may: bool) -> None:
    query = compile("body.total > 990", 0, PLAIN)
    assert may_match(query, seen(body)) is may


@pytest.mark.parametrize(
    "text", ["body.total = word", "body.total > ''", "body > 990", "header.x > 990", "body[0] > 1"]
)
def test_what_compares_no_number_of_a_member_rules_nothing_out(text: str) -> None:
    assert compile(text, 0, PLAIN).numbers == ()


def test_what_is_masked_is_not_compared_by_its_bytes() -> None:
    reading = Reading(body=query_value, masked=Masking(("body.total",)).apply)
    query = compile("body.total = 0", 0, reading)
    delivery = seen(json.dumps({"total": 991}).encode())
    assert query.matches(delivery) and may_match(query, delivery)
