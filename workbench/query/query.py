"""The filter language: one text, one meaning, for the screen, the command line, searches, traces and moves.

`compile` turns a query into one exact predicate over decoded deliveries, and into needles for raw bytes that may only
over-include (see prefilter.py). The grammar is in grammar.py, how values compare in operators.py. What is left to say:

- A symbol may have several values: headers repeat, objects have repeated keys, `[]` means any element, conventions
  may differ, and `endpoint` is both `kafka/payments` and `payments`. A comparison holds where it holds for **any** of
  them. `!=` is `not … =`, so it also holds where there is no value at all.
- `origin` is the queue, topic or exchange that a dead letter came from, `reason` the failure's sentence or its type.
- `exists` holds where there is a value, null included; for `key` and `body`, which always are, where it is not null.
  `= null` holds for a null, never for what is absent.
- `body` is the text of the body as it is written; `body.PATH` the value there, if the body is JSON (RFC 8259, or with
  the `NaN` and `Infinity` that some writers send). In a body that is not, or that nests deeper than about a thousand
  levels, no path exists. Both mean the body as it can be read, see `codec.decode`: decompressed, whatever its charset.
- `header.NAME` may go on as a path into a nested table; a name that itself has dots needs no quotes.
- A word alone is looked for in the key, in the body as it is written and in its JSON's texts and names, in the names
  and texts of headers, and in the texts of properties. Numbers that are not written as text are not looked at.
- Case always counts; `~ '(?i)…'` is for the rest.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from workbench.facts.facts import NOTHING, Facts, Kind
from workbench.model.content import Content
from workbench.model.errors import FormatError, QueryError
from workbench.model.event import Delivery, Event
from workbench.model.start import Since, parse_start
from workbench.query import prefilter as needles_
from workbench.query.grammar import All, Comparison, Either, Exists, Node, Not, Step, Symbol, Word, Written, parse
from workbench.query.number_search import number_searches
from workbench.query.operators import Number, Test, meaning, number_in, number_test, test_of
from workbench.query.paths import follow, json_tree, repeating_json_tree, texts_in
from workbench.query.prefilter import Needles, needles_of


def no_facts(delivery: Delivery) -> Facts:
    """What is known of a delivery without conventions: nothing."""
    return NOTHING


def own_body(event: Event) -> object:
    """No codecs: the body as it came."""
    return event.body


class Reading(msgspec.Struct, frozen=True):
    """How deliveries are understood. All of it must pickle, so that worker processes can read too.

    Attributes:
        facts: What conventions say of a delivery. What they may make of bytes is said in prefilter.py.
        body: The body as it can be read: bytes (text, perhaps JSON), None, or what a codec decoded (dicts, lists and
            scalars). Bodies for which this is not the event's own must be `content_type.opaque`.
        masked: The delivery as it may be seen, `Masking.apply`; None where there are no rules. Rules hide only by `*`,
            by the number 0, and by leaving out.
    """

    facts: Callable[[Delivery], Facts] = no_facts
    body: Callable[[Event], object] = own_body
    masked: Callable[[Delivery], Delivery] | None = None

    def mask(self, delivery: Delivery) -> Delivery:
        """The delivery as it may be seen."""
        return delivery if self.masked is None else self.masked(delivery)

    async def mask_off_loop(self, delivery: Delivery) -> Delivery:
        """The delivery as it may be seen; a large one, which may take a second, leaves the event loop free."""
        if self.masked is None or len(delivery.event.body or b"") < _LARGE:
            return self.mask(delivery)
        return await asyncio.to_thread(self.masked, delivery)


_LARGE: Final = 8 * 1024
"""Bytes of a body from which on masking it may take more than some milliseconds."""

PLAIN: Final = Reading()
"""Events as they come: no conventions, no codecs."""


class Query:
    """A query, ready to be asked. Made by `compile`; equal texts at one time read alike are equal; pickles."""

    def __init__(self, text: str, now: int, reading: Reading) -> None:
        self.text: Final = text
        """The query as the user wrote it."""
        self.now: Final = now
        """What ages count back from, in milliseconds since 1970 UTC."""
        self.reading: Final = reading
        """How deliveries are understood."""
        _check_encoding(text)
        node = parse(text)
        self._holds: Final = _compile(node, now)
        self.needles: Final[Needles | None] = needles_of(node, now, masked=reading.masked is not None)
        """What the bytes of a match hold, unless its body is opaque; None where nothing can be excluded."""
        # What is masked has other numbers than its bytes.
        self.numbers: Final = number_searches(node, now) if reading.masked is None else ()
        """What numbers the bytes of a match hold, unless its body is opaque: each of these must be met."""

    def matches(self, delivery: Delivery) -> bool:
        """Whether a delivery is meant. Never raises: what cannot be read does not exist."""
        return self._holds(Seen(self.reading.mask(delivery), self.reading))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash((self.text, self.now))

    def __reduce__(self) -> tuple[Any, ...]:
        return Query, self._identity

    @property
    def _identity(self) -> tuple[str, int, Reading]:
        return self.text, self.now, self.reading


def quote(text: str) -> str:
    """A text as a value that means just this text."""
    return "'" + text.replace("'", "''") + "'"


def id_query(id: str) -> str:
    """The query for all that carries an id: of its flow, of itself or of its cause."""
    value = quote(id)
    return f"correlation = {value} or message = {value} or causation = {value}"


def compile(text: str, now: int | None = None, reading: Reading = PLAIN) -> Query:
    """Read a query; an empty one matches everything.

    Args:
        text: What the user wrote.
        now: What `age` and times such as -10m count back from, in milliseconds since 1970 UTC; None: this moment. It
            stays, so that what matches keeps matching.
        reading: How deliveries are understood.

    Raises:
        QueryError: It is no query; the error says what to write, and at which column.
    """
    return Query(text, round(time.time() * 1000) if now is None else now, reading)


class Seen:
    """One delivery while a query is asked about it: what is expensive to read is read once."""

    __slots__ = ("_body", "_content", "_facts", "_repeating", "_tree", "delivery", "reading")

    def __init__(self, delivery: Delivery, reading: Reading) -> None:
        self.delivery = delivery
        self.reading = reading
        self._facts: Facts | None = None
        self._content: Content | None = None
        self._body = self._tree = self._repeating = _UNREAD

    @property
    def facts(self) -> Facts:
        if self._facts is None:
            self._facts = self.reading.facts(self.delivery)
        return self._facts

    @property
    def attempts(self) -> int | None:
        """How often it was tried: as a convention counts, else as the broker does."""
        return self.facts.attempts if self.facts.attempts is not None else self.delivery.attempt

    @property
    def content(self) -> Content:
        if self._content is None:
            try:
                self._content = self.delivery.event.content
            except FormatError:
                self._content = Content()
        return self._content

    @property
    def body(self) -> object:
        if self._body is _UNREAD:
            self._body = self.reading.body(self.delivery.event)
        return self._body

    def tree(self) -> object:
        """The body's JSON, of repeated keys the last; `tree.NO_JSON` where it is none."""
        if self._tree is _UNREAD:
            self._tree = json_tree(self.body) if type(self.body) is bytes else self.body
        return self._tree

    def repeating(self) -> object:
        """The body's JSON with all repeated keys; `tree.NO_JSON` where it is none."""
        if self._repeating is _UNREAD:
            self._repeating = repeating_json_tree(self.body) if type(self.body) is bytes else self.body
        return self._repeating


_Holds: TypeAlias = Callable[[Seen], bool]
Values: TypeAlias = Callable[[Seen], Iterable[object]]
"""The values of a symbol, those with precedence first."""

_UNREAD: Final[object] = object()
_KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "type": ("type",),
    "correlation": ("correlation",),
    "causation": ("causation",),
    "message": ("message",),
    "origin": ("origin.queue", "origin.topic", "origin.exchange"),
    "reason": ("failure.reason", "failure.type"),
}


def _check_encoding(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError("This character is not UTF-8. Check the terminal's encoding.", error.start) from None


def _compile(node: Node, now: int) -> _Holds:
    match node:
        case All(parts):
            every = [_compile(part, now) for part in parts]
            if len(every) == 2:
                one, other = every
                return lambda seen: one(seen) and other(seen)
            return lambda seen: all(holds(seen) for holds in every)
        case Either(parts):
            some = [_compile(part, now) for part in parts]
            return lambda seen: any(holds(seen) for holds in some)
        case Not(part):
            holds = _compile(part, now)
            return lambda seen: not holds(seen)
        case Word(literal):
            return _everywhere(literal, now)
        case Exists(symbol):
            return _exists(symbol)
        case Comparison(symbol, _, _) if symbol.name in ("time", "age", "size", "attempts"):
            return _compile_measure(node, now)
        case Comparison(symbol, operator, literals):
            ids = symbol.name not in ("header", "property") and not symbol.path
            return _any_value(symbol, test_of(operator, literals, now, ids=ids), node, now)


def _any_value(symbol: Symbol, test: Test, node: Comparison | Exists, now: int) -> _Holds:
    values = values_of(symbol)
    if symbol.name == "body" and symbol.path:
        # The bytes exclude most bodies for a fraction of what decoding them costs.
        groups = needles_.needles_of(node, now) or ()
        numbers = number_searches(node, now)

        def holds(seen: Seen) -> bool:
            body = seen.body
            if type(body) is bytes:
                for each in numbers:
                    if not each.may_match(body):
                        return False
                for group in groups:
                    for member in group:
                        if member in body:
                            break
                    else:
                        return False
            return any(test(value) for value in values(seen))

        return holds
    return lambda seen: any(test(value) for value in values(seen))


def _exists(symbol: Symbol) -> _Holds:
    match symbol.name:
        case "key":
            return lambda seen: seen.delivery.event.key is not None
        case "body" if not symbol.path:
            return lambda seen: seen.delivery.event.body is not None
        case "time" | "age" | "size" | "endpoint":
            return lambda seen: True
        case "attempts":
            return lambda seen: seen.facts.attempts is not None
        case "body":
            return _any_value(symbol, lambda value: True, Exists(symbol), 0)
        case _:
            values = values_of(symbol)
            return lambda seen: any(True for _ in values(seen))


# What a symbol's values are.


def values_of(symbol: Symbol) -> Values:
    name = symbol.name
    match name:
        case "key":
            return lambda seen: (seen.delivery.event.key,)
        case "body":
            return _fields(symbol.path) if symbol.path else _body
        case "header" | "property":
            return _entries(symbol)
        case "endpoint":
            return lambda seen: (str(seen.delivery.address), seen.delivery.address.name)
        case "partition" | "offset":
            return lambda seen: () if (place := seen.delivery.position) is None else (getattr(place, name),)
        case _:
            kinds = _KINDS[name]
            return lambda seen: [fact for kind in kinds for fact in seen.facts.all(kind)]


def _body(seen: Seen) -> Iterable[object]:
    body = seen.body
    return (body,) if body is None or type(body) in (bytes, str) else ()


def _fields(path: tuple[Step, ...]) -> Values:
    names = [step for step in path if isinstance(step, str)]
    quoted = [b'"' + name.encode() + b'"' for name in names]
    # What hides a name from its quoted form: \uXXXX, and for some characters every escape.
    escape = b"\\u" if all(len(needles_.json_spellings(name)[1]) == 2 for name in names) else b"\\"

    def values(seen: Seen) -> Iterable[object]:
        body = seen.body
        if type(body) is bytes:
            if b"\\" in body and escape in body:
                return follow(seen.repeating(), path)
            for name in quoted:
                if name not in body:
                    return ()
                if body.count(name) > 1:
                    return follow(seen.repeating(), path)
        return follow(seen.tree(), path)

    return values


def _entries(symbol: Symbol) -> Values:
    """Headers or properties. A name may hold dots: `header.a.b` is the header `a.b` and `b` in the table `a`."""
    name, *rest = symbol.path
    splits = {str(name): tuple(rest)}
    while not symbol.quoted and rest and isinstance(rest[0], str):
        name, rest = f"{name}.{rest[0]}", rest[1:]
        splits[name] = tuple(rest)

    def values(seen: Seen) -> Iterator[object]:
        content = seen.content
        entries = content.headers if symbol.name == "header" else content.properties.items()
        for name, value in entries:
            path = splits.get(name)
            if path is not None:
                yield from follow(value, path) if path else (value,)

    return values


# Numbers and times.


def _compile_measure(node: Comparison, now: int) -> _Holds:
    symbol, operator = node.symbol, node.operator
    if operator not in ("=", ">", ">=", "<", "<=", "in", "between"):
        raise QueryError(
            f"{symbol.name} cannot be compared with {operator}. Use = != > >= < <= in between.", symbol.column
        )
    match symbol.name:
        case "time":
            test = number_test(operator, [_moment(literal, now) for literal in node.literals])
            return lambda seen: test(seen.delivery.time[0])
        case "age":
            test = number_test(operator, [_span(literal) for literal in node.literals])
            return lambda seen: test(now - seen.delivery.time[0])
        case "size":
            test = number_test(operator, [_number(literal) for literal in node.literals])
            return lambda seen: test(len(seen.delivery.event.body or b""))
        case _:
            test = number_test(operator, [_number(literal) for literal in node.literals])
            return lambda seen: (attempts := seen.facts.attempts) is not None and test(attempts)


def _number(literal: Written) -> Number:
    number = number_in(literal.text)
    if number is None:
        raise QueryError(f"{literal.text!r} is not a number.", literal.column)
    return number


def _moment(literal: Written, now: int) -> int:
    number = number_in(literal.text)
    if isinstance(number, int) and len(literal.text) > 8:
        return number
    try:
        start = parse_start(literal.text, now)
    except FormatError:
        start = None
    if not isinstance(start, Since):
        raise QueryError(
            f"{literal.text!r} is not a time. Write 2026-11-23T10:00, -10m, or milliseconds since 1970.", literal.column
        )
    return start.time


def _span(literal: Written) -> int:
    try:
        start = parse_start(f"-{literal.text}", 0)
    except FormatError:
        start = None
    if not isinstance(start, Since) or literal.text.startswith("-"):
        raise QueryError(f"{literal.text!r} is not an age. Write 500ms, 30s, 10m, 2h or 1d.", literal.column)
    return -start.time


# Search.


def _everywhere(literal: Written, now: int) -> _Holds:
    text = literal.text
    if not text:
        raise QueryError("There is nothing between these quotes.", literal.column)
    data = meaning(literal, now).data
    wanted = (text.encode(),) if data is None else (text.encode(), data)

    def in_bytes(value: bytes) -> bool:
        return any(each in value for each in wanted)

    def in_texts(value: object) -> bool:
        return any(text in each if isinstance(each, str) else in_bytes(each) for each in texts_in(value))

    def in_body(seen: Seen) -> bool:
        body = seen.body
        if type(body) is bytes:
            return in_bytes(body) or (b"\\" in body and in_texts(seen.repeating()))
        return in_texts(body)

    def in_content(seen: Seen) -> bool:
        wire = seen.delivery.event.wire
        # A backslash may be how a name is shown that is not UTF-8: then the bytes say nothing.
        if wire is not None and "\\" not in text and not in_bytes(wire.data):
            return False
        content = seen.content
        return in_texts(content.headers) or in_texts([*content.properties.values()])

    def holds(seen: Seen) -> bool:
        key = seen.delivery.event.key
        return (key is not None and in_bytes(key)) or in_body(seen) or in_content(seen)

    return holds
