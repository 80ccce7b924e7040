"""The query language, held against a plain evaluator that shares nothing with it but the rules."""

import json
import pickle
import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.decode.content_type import opaque
from workbench.facts.conventions import Conventions
from workbench.facts.facts import Facts
from workbench.model import wire
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import QueryError
from workbench.model.event import Delivery, Event, Position
from workbench.model.wire import Wire
from workbench.query.completion import completions
from workbench.query.grammar import OPERATORS, SYMBOLS
from workbench.query.prefilter import may_match
from workbench.query.query import Reading, compile

NOW = 1_800_000_000_000


def seen(
    body: bytes | None = None,
    key: bytes | None = None,
    headers: Sequence[tuple[str, Any]] = (),
    properties: dict[str, Any] | None = None,
    **rest: Any,
) -> Delivery:
    timestamp = rest.pop("timestamp", None)
    event = Event(key, body, rest.pop("wire", None), Content(tuple(headers), properties or {}), timestamp)
    return Delivery(event, Address("kafka", "payments"), NOW, **rest)


def matches(query: str, delivery: Delivery, reading: Reading | None = None) -> bool:
    return compile(query, NOW, reading or Reading()).matches(delivery)


# The plain evaluator: a body becomes the list of all its paths and values, and a condition looks through that list.

Paths = list[tuple[tuple[str | int, ...], Any]]


class Object(list[tuple[str, Any]]):
    """A JSON object with every repeated key."""


def all_paths(value: Any, path: tuple[str | int, ...] = ()) -> Paths:
    found: Paths = [(path, value)]
    if isinstance(value, dict):
        value = Object(value.items())
    if isinstance(value, Object):
        for name, item in value:
            found += all_paths(item, (*path, name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            found += all_paths(item, (*path, index))
    return found


def json_in(body: bytes | None) -> Paths:
    try:
        text = (body or b"").decode()
        return all_paths(json.loads(text, object_pairs_hook=Object, parse_float=Fraction, parse_int=Fraction))
    except ValueError:
        return []


def at(paths: Paths, wanted: Sequence[str | int | None]) -> list[Any]:
    def fits(path: tuple[str | int, ...]) -> bool:
        return len(path) == len(wanted) and all(
            isinstance(step, int) if want is None else type(step) is type(want) and step == want
            for step, want in zip(path, wanted, strict=True)
        )

    return [value for path, value in paths if fits(path)]


def plain_text(value: Any) -> str | None:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return value if isinstance(value, str) else None


def plain_number(value: Any) -> Fraction | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | Fraction | Decimal):
        return Fraction(value)
    if isinstance(value, float):
        return None if value != value else Fraction(repr(value))
    text = plain_text(value)
    try:
        number = json.loads(text, parse_float=Fraction, parse_int=Fraction) if text and text.strip() == text else None
    except ValueError:
        return None
    return number if isinstance(number, Fraction) else None


def plain_compare(operator: str, value: Any, literals: Sequence[tuple[str, bool]], ids: bool) -> bool:
    (literal, quoted), text = literals[0], plain_text(value)
    if isinstance(value, datetime) and operator in ("=", ">", ">=", "<", "<="):
        # The only literal here that is a time; it is local, as it names no zone.
        if quoted or literal != "2026-11-23":
            return False
        value, literal = value.timestamp(), str(datetime(2026, 11, 23).timestamp())
    number = None if quoted else plain_number(literal)
    match operator:
        case "=":
            typed = {"true": True, "false": False, "null": None}.get(literal, ...) if not quoted else ...
            if typed is not ... and value is typed:
                return True
            if text == literal or (not quoted and isinstance(value, bytes) and literal == f"0x{value.hex()}"):
                return True
            return not ids and number is not None and plain_number(value) == number
        case "in":
            return any(plain_compare("=", value, [each], ids) for each in literals)
        case "between":
            return plain_compare(">=", value, literals[:1], ids) and plain_compare("<=", value, literals[1:], ids)
        case "contains":
            return text is not None and literal in text
        case "starts":
            return text is not None and text[: len(literal)] == literal
        case "~":
            return text is not None and re.search(literal, text) is not None
    left: Any = text if number is None else plain_number(value)
    right: Any = literal if number is None else number
    if left is None:
        return False
    return bool({">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[operator])


def strings(paths: Paths) -> list[Any]:
    return [step for path, _ in paths for step in path if isinstance(step, str)] + [value for _, value in paths]


def evaluate(node: Any, delivery: Delivery) -> bool:
    event = delivery.event
    content = event.content
    match node:
        case ("and", *parts):
            return all(evaluate(part, delivery) for part in parts)
        case ("or", *parts):
            return any(evaluate(part, delivery) for part in parts)
        case ("not", part):
            return not evaluate(part, delivery)
        case ("word", word, quoted):
            texts = [
                event.key,
                event.body,
                *strings(json_in(event.body)),
                *strings(all_paths(list(content.properties.values()))),
            ]
            texts += [part for name, value in content.headers for part in (name, *strings(all_paths(value)))]
            spelled = [word.encode(), *([bytes.fromhex(word[2:])] if word.startswith("0x") and not quoted else [])]
            return any(
                any(each in text for each in spelled) if isinstance(text, bytes) else word in text
                for text in texts
                if isinstance(text, str | bytes)
            )
        case (operator, name, path, *literals):
            values = {
                "key": [event.key],
                "body": at(json_in(event.body), path) if path else [event.body],
                "header": [
                    value
                    for each, item in content.headers
                    if each == path[:1][0]
                    for value in at(all_paths(item), path[1:])
                ]
                if name == "header"
                else [],
                "offset": [delivery.position.offset] if delivery.position else [],
                "endpoint": [str(delivery.address), delivery.address.name],
                "correlation": [each for each in correlations(delivery)],
            }[name]
            if operator == "exists":
                return values != [None] if name == "key" or (name, path) == ("body", ()) else bool(values)
            if operator == "!=":
                return not evaluate(("=", name, path, *literals), delivery)
            ids = name != "header" and not path
            return any(plain_compare(operator, value, literals, ids) for value in values)
    raise AssertionError(node)


def correlations(delivery: Delivery) -> list[str]:
    return list(Conventions.load([]).facts(delivery).all("correlation"))


# What is asked, and of what.

NAMES = ["a", "b", "é/", "to.tal"]
WORDS = ["x", "x/y", "é", "150", "150.0", "1.5e2", "-0", "18446744073709551617", "18446744073709551616", "1.10", "1.1"]
WORDS += ["true", "null", "0xff00", "007", 'q"', "\\u", "2026-11-23", "it's", "7f3a90c2-0000-4000-8000-0123456789ab"]
UUID = bytes.fromhex("7f3a90c20000400080000123456789ab")


def written_number(text: str) -> Any:
    return msgspec.Raw(text.encode())


scalars = st.sampled_from(WORDS) | st.sampled_from(
    ["150", "150.0", "1.5e2", "-0", "18446744073709551617", "1.10", "1e400", "NaN", "true", "null"]
).map(written_number)


@st.composite
def json_bodies(draw: st.DrawFn) -> bytes:
    def write(depth: int) -> str:
        kind = draw(st.integers(0, 5 if depth < 3 else 2))
        if kind < 3:
            value = draw(scalars)
            return bytes(value).decode() if isinstance(value, msgspec.Raw) else write_text(value)
        items = range(draw(st.integers(0, 3)))
        if kind == 3:
            return "[" + ",".join(write(depth + 1) for _ in items) + "]"
        return "{" + ", ".join(f"{write_text(draw(st.sampled_from(NAMES)))}:{write(depth + 1)}" for _ in items) + "}"

    def write_text(text: str) -> str:
        # Every character in each of the ways that JSON allows.
        ways = [[json.dumps(character)[1:-1], json.dumps(character, ensure_ascii=False)[1:-1]] for character in text]
        for character, way in zip(text, ways, strict=True):
            way.append(f"\\u{ord(character):04X}")
            way += ["\\/"] if character == "/" else []
        return '"' + "".join(draw(st.sampled_from(way)) for way in ways) + '"'

    body = write(0).encode()
    damage = draw(st.integers(0, 8))
    return body[:-1] if damage == 0 else b" " + body + b"x" if damage == 1 else body


texts = st.sampled_from(WORDS)
header_values = (
    texts
    | texts.map(str.encode)
    | st.sampled_from(
        [None, True, 150, 2**63 - 1, 1.5, Decimal("1.10"), b"\xff\x00", b"", UUID, datetime(2026, 11, 23, tzinfo=UTC)]
    )
)
nested = (
    header_values
    | st.lists(header_values, max_size=2)
    | st.dictionaries(st.sampled_from(NAMES[:2]), header_values, max_size=2)
)
header_names = st.sampled_from(["a", "b", "é/", "correlation_id", "kafka_correlationId"])


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    content = Content(
        tuple(draw(st.lists(st.tuples(header_names, nested), max_size=3))),
        draw(st.dictionaries(st.sampled_from(["correlation_id", "type"]), texts, max_size=1)),
    )
    as_wire = wire.encode(content) if draw(st.booleans()) else None
    event = Event(
        draw(st.none() | texts.map(str.encode) | st.just(b"\xff\x00")),
        draw(st.none() | json_bodies() | texts.map(str.encode) | st.binary(max_size=8) | st.just(b"\xff\x00")),
        as_wire,
        Content() if as_wire else content,
    )
    position = draw(
        st.none() | st.sampled_from(["150", "007", "18446744073709551617"]).map(lambda at: Position("0", at))
    )
    return Delivery(event, Address("kafka", draw(st.sampled_from(["x", "150"]))), NOW, position)


literals = st.tuples(texts, st.booleans())
steps = st.lists(st.sampled_from([*NAMES, 0, 1, None]), min_size=1, max_size=3).map(tuple)
patterns = st.sampled_from(["^x", "[0-9]+$", "é|y", "^$", "a.*b"]).map(lambda pattern: (pattern, True))


@st.composite
def asked(draw: st.DrawFn) -> tuple[Any, list[Delivery]]:
    """Some deliveries and a query that mostly speaks of what is in them."""
    batch = draw(st.lists(deliveries(), min_size=1, max_size=4))

    def symbol() -> tuple[str, tuple[Any, ...], list[Any]]:
        about = draw(st.sampled_from(batch))
        content = about.event.content
        match draw(st.integers(0, 9)):
            case 0 | 1 | 2 | 3:
                found = [(path, value) for path, value in json_in(about.event.body) if path]
                path, value = draw(st.sampled_from(found)) if found else (draw(steps), None)
                path = tuple(None if isinstance(step, int) and draw(st.booleans()) else step for step in path)
                return "body", path, [value]
            case 4 | 5 if content.headers:
                name, item = draw(st.sampled_from(content.headers))
                path, value = draw(st.sampled_from(all_paths(item)))
                return "header", (name, *path), [value]
            case 6:
                return "correlation", (), list(correlations(about))
            case 7:
                return "key", (), [about.event.key]
            case 8:
                return "body", (), [about.event.body]
            case _:
                name = draw(st.sampled_from(["offset", "endpoint", "header"]))
                return name, ("a",) if name == "header" else (), []

    def literal(values: list[Any]) -> tuple[str, bool]:
        # A value that is there, as a user could write it, else any.
        there = bool(values) and draw(st.integers(0, 3)) > 0
        value = draw(st.sampled_from(values)) if there else None
        if isinstance(value, Fraction):
            value = str(Decimal(value.numerator) / Decimal(value.denominator)) if abs(value) < 10**20 else "150"
        text = plain_text(value if not isinstance(value, Decimal | int | float) else str(value))
        return (text, draw(st.booleans()) or needs_quotes(text, "'\"(),")) if text else draw(literals)

    def condition() -> Any:
        name, path, values = symbol()
        operators = ["=", "=", "!=", ">", ">=", "<", "<=", "contains", "starts", "~", "between", "in", "exists", "word"]
        match draw(st.sampled_from(operators)):
            case "exists":
                return ("exists", name, path)
            case "word":
                word, quoted = literal(values)
                return ("word", word, quoted or needs_quotes(word, "'\"(),=<>~"))
            case "~":
                return ("~", name, path, draw(patterns))
            case ("between" | "in") as operator:
                return (operator, name, path, literal(values), literal(values))
            case ("contains" | "starts") as operator:
                text, _ = literal(values)
                return (operator, name, path, (text[: draw(st.integers(1, len(text)))], True))
            case operator:
                return (operator, name, path, literal(values))

    def node(depth: int) -> Any:
        match draw(st.integers(0, 6 if depth < 2 else 3)):
            case 4:
                return ("not", node(depth + 1))
            case (5 | 6) as kind:
                return ("and" if kind == 5 else "or", node(depth + 1), node(depth + 1))
        return condition()

    return node(0), batch


def needs_quotes(text: str, special: str) -> bool:
    return any(character.isspace() or character in special for character in text)


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def render_literal(literal: tuple[str, bool]) -> str:
    return quote(literal[0]) if literal[1] else literal[0]


def render(node: Any) -> str:
    match node:
        case ("not", part):
            return f"not ({render(part)})"
        case (("and" | "or") as word, one, other):
            return f"({render(one)}) {word} ({render(other)})"
        case ("word", word, quoted):
            return render_literal((word, quoted))
        case (operator, name, path, *values):
            steps = [
                f".{quote(step)}" if isinstance(step, str) else "[]" if step is None else f"[{step}]" for step in path
            ]
            symbol = name + "".join(steps)
            values = [render_literal(value) for value in values]
            match operator:
                case "exists":
                    return f"{symbol} exists"
                case "between":
                    return f"{symbol} between {values[0]} and {values[1]}"
                case "in":
                    return f"{symbol} in ({', '.join(values)})"
            return f"{symbol} {operator} {values[0]}"
    raise AssertionError(node)


def facts(delivery: Delivery) -> Facts:
    return Conventions.load([]).facts(delivery)


READING = Reading(facts)


@settings(max_examples=600, deadline=None)
@given(asked())
@example((("word", "x", False), [seen(b'"\\u0078"')]))
@example(
    (
        ("=", "body", ("a",), ("1", False)),
        [seen(b'{"a":1,"a":2}'), seen(b'{"a":2,"a":1}'), seen(b'{"\\u0061":1,"a":2}')],
    )
)
def test_a_query_means_what_the_plain_evaluator_says(case: tuple[Any, list[Delivery]]) -> None:
    node, batch = case
    query = compile(render(node), NOW, READING)
    assert [query.matches(delivery) for delivery in batch] == [evaluate(node, delivery) for delivery in batch]


@settings(max_examples=600, deadline=None)
@given(asked())
def test_needles_let_through_whatever_matches(case: tuple[Any, list[Delivery]]) -> None:
    node, batch = case
    query = compile(render(node), NOW, READING)
    for delivery in batch:
        if query.matches(delivery) and not opaque(delivery.event):
            event = delivery.event
            pieces = [event.key or b"", event.body or b""]
            pieces += [event.wire.data] if event.wire else [wire.encode(event.written).data]
            assert may_match(query.needles, b"\x93".join(pieces)), query.needles


@given(asked())
def test_a_query_survives_the_way_to_another_process(case: tuple[Any, list[Delivery]]) -> None:
    query = compile(render(case[0]), NOW)
    assert pickle.loads(pickle.dumps(query)) == query


@given(st.text(max_size=40))
@example("body.a[99999999999]=1")
@example("body.'a''b'.c.=1")
def test_any_text_is_a_query_or_an_error_with_a_column_inside_it(text: str) -> None:
    try:
        compile(text, NOW)
    except QueryError as error:
        assert 0 <= error.column <= len(text)


# The rules, one by one.


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ("body.n = 150", b'{"n":150}', True),
        ("body.n = 150", b'{"n":1.5e2}', True),
        ("body.n = 150", b'{"n":"150"}', True),
        ("body.n = '150'", b'{"n":150}', False),
        ("body.n = '150'", b'{"n":"150"}', True),
        ("body.n = 1.1", b'{"n":"1.10"}', True),
        ("body.n = 0.1", b'{"n":0.1000000000000000055}', False),
        ("body.n > 18446744073709551616", b'{"n":18446744073709551617}', True),
        ("body.n = 18446744073709551616", b'{"n":18446744073709551617}', False),
        ("body.n > 100", b'{"n":"about 150"}', False),
        ("body.n > 100", b'{"n":1e999999999}', True),
        ("body.n > 100", b'{"n":NaN}', False),
        ("body.x = 1", b'{"n":NaN,"x":1}', True),
        ("body.x = 1", b'{"n":1e99999999999999999999,"x":1}', True),
        ("body.x = 1", b'{"n":' + b"9" * 10_000 + b',"x":1}', True),
        ("body.n = true", b'{"n":true}', True),
        ("body.n = 1", b'{"n":true}', False),
        ("body.n = null", b'{"n":null}', True),
        ("body.n = null", b"{}", False),
        ("body.n exists", b'{"n":null}', True),
        ("body.n != 1", b"{}", True),
        ("body.n != 1", b'{"n":[1]}', True),
        ("body.n[] = 1", b'{"n":[0,1]}', True),
        ("body.n[1] = 1", b'{"n":[0,1]}', True),
        ("body[].n = 1", b'[{"n":1}]', True),
        ("body.n = 1", b'{"n":1', False),
        ("body.n = 1", b"[" * 100_000, False),
        ("body.n exists", b'\xff{"n":1}', False),
        ("body.n = 1", b'{"n":1,"x":"\\ud800"}', True),
        ('body."a.b" = 1', b'{"a.b":1}', True),
        ("body.a.b = 1", b'{"a.b":1}', False),
        ("body = null", None, True),
        ("body exists", None, False),
        ("body = ''", b"", True),
        ("body exists", b"", True),
        ("size = 4", b"null", True),
        ("body = null", b"null", True),
        ("PAID", b"paid", False),
        ("~paid or '~paid'", b"~paid", True),
    ],
)
def test_values_compare_exactly(query: str, body: bytes | None, expected: bool) -> None:
    if query.startswith("~"):
        with pytest.raises(QueryError):
            compile(query, NOW)
        return
    assert matches(query, seen(body)) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("header.retry = 3", True),
        ("header.retry > 2.5", True),
        ("header.retry ~ '^[0-9]$'", True),
        ("header.x-death[].queue = orders", True),
        ("header.x-death[0].count = 2", True),
        ("header.NServiceBus.RelatedTo = m1", True),
        ('header."NServiceBus.RelatedTo" = m1', True),
        ('header."x-death[].queue" exists', False),
        ("header.empty exists and header.empty = null", True),
        ("header.bin = 0xff00", True),
        ("property.priority >= 5", True),
        ("property.timestamp > 2026-11-22T00:00+00:00", True),
        ("property.missing exists", False),
        ("key starts test", True),
        ("key = 'test-1' and not key ~ '^test-2'", True),
        ("partition = 3 and offset between 1000 and 2000", True),
        ("offset = 1200.0", False),
        ("endpoint in (payments, refunds)", True),
        ("endpoint = kafka/payments", True),
        ("age < 1s", True),
        ("time between -1m and 2999-01-01", True),
        ("orders test", True),
        ("orders and (nothing or m1)", True),
    ],
)
def test_headers_properties_and_places(query: str, expected: bool) -> None:
    headers = [
        ("retry", b"3"),
        ("x-death", [{"queue": "orders", "count": 2}]),
        ("NServiceBus.RelatedTo", "m1"),
        ("empty", None),
        ("bin", b"\xff\x00"),
    ]
    properties = {"priority": 5, "timestamp": datetime(2026, 11, 23, tzinfo=UTC)}
    delivery = seen(b"{}", b"test-1", headers, properties, position=Position("3", "1200"))
    assert matches(query, delivery) is expected


def test_facts_come_from_the_conventions() -> None:
    delivery = seen(
        b'{"type":"OrderPlaced"}', headers=[("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    )
    assert matches("type = OrderPlaced and correlation starts 0af7 and not reason exists", delivery, READING)


def test_a_binary_correlation_is_found_by_its_uuid() -> None:
    delivery = seen(headers=[("kafka_correlationId", UUID)])
    query = compile("correlation = 7f3a90c2-0000-4000-8000-0123456789ab", NOW, READING)
    assert query.matches(delivery)
    assert may_match(query.needles, msgspec.msgpack.encode(delivery))


def test_headers_that_cannot_be_decoded_do_not_exist() -> None:
    assert not matches("header.a exists", seen(wire=Wire("amqp-0-9-1", b"\xff")))


@pytest.mark.parametrize(
    ("query", "column", "says"),
    [
        ("totl > 5", 0, "body.totl"),
        ("typ = x", 0, "Unknown field typ. Did you mean type?"),
        ("correlation_id = x", 0, "Did you mean correlation?"),
        ("headers.retry = 3", 0, "Did you mean header.retry?"),
        ("a and headers exists", 6, "Did you mean header.NAME?"),
        ("payload.items[0].sku = 3", 0, "Did you mean body.items[0].sku?"),
        ("!type = x", 0, "Write not type"),
        ("a and", 5, "Incomplete query"),
        ("type =", 6, "Missing value."),
        ("type = = x", 7, "Missing value before =."),
        ("type=>x", 4, "Unknown operator =>. Did you mean >=?"),
        ("size === 3", 5, "Unknown operator ===. Did you mean =?"),
        ("size <> 3", 5, "Did you mean !=?"),
        ("size !~ 3", 5, "Unknown operator !~. Use =, !=,"),
        ("correlation is x", 12, "Unknown operator is. Did you mean =?"),
        ("body.reason LIKE x", 12, "Unknown operator LIKE. Did you mean ~?"),
        ("header.a exist", 9, "Did you mean exists?"),
        ("type", 0, "type is a field: compare it, as in type = x"),
        ("body.total 5", 0, "body.total is a field"),
        ("type:OrderPlaced", 0, "Write type = OrderPlaced, or quote it"),
        ("body.a.b:1", 0, "Write body.a.b = 1, or quote it"),
        ("a && b", 2, "Write and instead of &&"),
        ("type = a || b", 9, "Write or instead of ||"),
        ("(a or b", 0, "Missing closing parenthesis."),
        ("type = 'a", 7, "Missing closing quote."),
        ("a)", 1, "Unexpected ')'."),
        ("body.items[x] = 1", 10, "Invalid path."),
        ("key.a = 1", 3, "no fields"),
        ("header = 1", 0, "needs a name"),
        ("key ~ '('", 6, "regular expression"),
        ("time > soon", 7, "not a time"),
        ("age > soon", 6, "not an age"),
        ("size > big", 7, "not a number"),
        ("time contains 5", 0, "compared with"),
        ("key in 5", 7, "in takes a list"),
        ("key between 1", 13, "two values"),
        ("contains x", 0, "Quote it"),
        ("''", 0, "nothing between"),
        ("(" * 1000, 100, "nested"),
        ("a \udc80", 2, "UTF-8"),
    ],
)
def test_an_error_points_at_the_column_and_says_what_to_do(query: str, column: int, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        compile(query, NOW)
    assert caught.value.column == column
    assert says in str(caught.value) and f"column {column + 1}" in str(caught.value)


@pytest.mark.parametrize("query", ["typo", "is it", "host.example:9092", "urn:uuid:7f3a", "header", "a&b"])
def test_a_word_that_is_no_field_is_searched_for(query: str) -> None:
    assert matches(query, seen(query.encode()))


@pytest.mark.parametrize("query", ["'type'", "'type:x'", "'&&'"])
def test_what_is_quoted_is_searched_for(query: str) -> None:
    assert matches(query, seen(query.strip("'").encode()))


def test_ids_need_no_quotes() -> None:
    for word in ("7f3a90c2-0000-4000-8000-0123456789ab", "urn:uuid:7f3a", "dGVzdA==", "a@b.example", "{x}", "50%"):
        assert matches(f"key={word}", seen(key=word.encode())), word


def test_a_hostile_body_cannot_hang_an_innocent_pattern() -> None:
    # With backtracking this pattern would take longer than the universe is old.
    assert not matches("body ~ '^(\\w+\\s?)*$'", seen(b"a" * 100_000 + b"!"))


def test_an_empty_query_matches_everything_and_has_no_needles() -> None:
    query = compile(" ", NOW)
    assert query.matches(seen()) and query.needles is None


@pytest.mark.parametrize(
    ("query", "needles"),
    [
        ("body.orderId = A7", ((b"orderId", b"\\u"), (b"A7", b"\\u"))),
        ("body.orderId = 1001", ((b"orderId", b"\\u"),)),
        ("body.path = /a", ((b"path", b"\\u"), (b"/a", b"\\"))),
        ("key = 1001", ((b"1001",),)),
        ("not key = a", None),
        ("key = a or size > 5", None),
        ("key = ab or header.retry exists", ((b"ab", b"retry"),)),
        ("type = a and age < 1m", ((b"a", b"\\u"),)),
        ("type contains a", None),
        ("origin = orders", None),
        ("key ~ abc", None),
        ("body = null", None),
        ("correlation = 0xc0ff", ((b"0xc0ff", b"\xc0\xff", b"\\u"),)),
        ("correlation = c0ff", ((b"c0ff", b"\xc0\xff", b"\\u"),)),
        (f"message = {uuid.UUID(bytes=UUID)}", ((str(uuid.UUID(bytes=UUID)).encode(), UUID, b"\\u"),)),
        ("correlation = c0ff-ee", ((b"c0ff-ee", b"\\u"),)),
    ],
)
def test_needles_are_what_every_match_must_hold(query: str, needles: Any) -> None:
    assert compile(query, NOW).needles == needles


@pytest.mark.parametrize(
    "body", [b"\x1f\x8b\x08", b"\x78\x9c", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x00\0\0\0\1", b"\x81\xa1a\1"]
)
def test_what_is_compressed_or_binary_is_opaque(body: bytes) -> None:
    assert opaque(Event(None, body))
    assert not opaque(Event(None, b'{"a":1}'))
    assert opaque(Event(None, b"text", None, Content((), {"content_encoding": "Snappy"})))


# Completion.


def complete(text: str) -> list[str]:
    found = completions(text, len(text), ["body.total", "header.retry"], lambda symbol: [f"{symbol} 1", "OrderPlaced"])
    return [text[: found.start] + candidate for candidate in found.candidates]


def test_completion_knows_what_may_follow() -> None:
    assert set(SYMBOLS) < set(complete(""))
    assert complete("ty") == ["type"]
    assert complete("a and not body.t") == ["a and not body.total"]
    assert set(complete("type ")) == {f"type {word}" for word in OPERATORS}
    assert complete("type = ") == ["type = 'type 1'", "type = OrderPlaced"]
    assert complete("(type in (a, Ord") == ["(type in (a, OrderPlaced"]
    assert complete("type = 'type") == ["type = 'type 1'"]
    assert complete("type = a o") == ["type = a or", "type = a origin", "type = a offset"]


@given(asked(), st.data())
def test_completing_never_fails_wherever_the_cursor_stands(
    case: tuple[Any, list[Delivery]], data: st.DataObject
) -> None:
    text = render(case[0])
    cursor = data.draw(st.integers(0, len(text)))
    assert completions(text, cursor).start <= cursor
