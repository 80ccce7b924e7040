"""The one line format: an event, and where it was seen, as a line of JSON. Nothing is lost either way.

    {"address":"kafka/payments","position":{"partition":3,"offset":1200},"seen_at":"2026-11-23T10:03:22.140Z",
     "time":"2026-11-23T10:03:22.123Z","key":"1001","headers":[["traceparent","00-…"]],
     "body":{"json":{"reason":"declined"}},"properties":{}}

Only `body` must be there. Keys and bodies are bytes: null, a plain text, `{"text":…}`, `{"base64":…}`, or `{"json":…}`,
which stands for the JSON written compactly, as `encode` would. A body that is JSON, as `codec.decode` reads it, always
has `json`. Where other bytes would come of it, or a tool could spell its numbers anew, `text` or `base64` stands beside
it, and wins for as long as it says the same. A `json` that was edited wins over them, and is written compactly in
UTF-8. There is no `json` where it would lie: where an object repeats a key, a number is beyond every double, bytes are
no characters, it nests deeper than `DEPTH` or is larger than `_BIG`; nor for `NaN`, which is no JSON.

Headers and properties have types: what JSON can say is written plainly, the rest as an object with one member,
`{"base64":…}` for bytes, `{"decimal":"1.50"}`, `{"time":"2026-11-23T10:03:22Z"}`, `{"float":"NaN"}`. A nested table is
an object too, and written `{"table":{…}}` where it could be taken for one of these. `wire` holds the bytes in which a
broker sent headers and properties, in the encoding that `encoding` names. It wins for as long as it says what stands
there, and is passed over in a line that was edited. (Older lines name no encoding for AMQP's, and have others as an
object by their encoding.) Times are ISO 8601 in UTC, or milliseconds since 1970 where that cannot say them.

Values are compared, not spellings: 1 says the same as 1.0, and what a tool that has only doubles makes of a number says
the same as the number.
"""

import binascii
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec

from workbench.decode import codec
from workbench.decode.claims import opaque
from workbench.model import wire as encodings
from workbench.model.address import Address
from workbench.model.content import DEPTH, Content, Value
from workbench.model.errors import AddressError, FormatError
from workbench.model.event import Damaged, Delivery, Event, Position, TimestampType
from workbench.model.wire import Wire


class Line(msgspec.Struct, frozen=True):
    """What a line says.

    Attributes:
        event: The event.
        delivery: The event where it was seen; None where the line has no address or no time, as when it was written
            by hand.
    """

    event: Event
    delivery: Delivery | None = None


def encode(seen: Delivery | Event) -> bytes:
    """One line, with its line feed.

    Where wire bytes cannot be decoded the line shows neither headers nor properties, only the bytes.

    Raises:
        FormatError: Something that a user wrote cannot stand in JSON: half of a surrogate pair, a header nested deeper
            than `DEPTH` or of a type that is no `Value`. What a broker sent always can.
    """
    line: dict[str, object] = {}
    if isinstance(seen, Delivery):
        event = seen.event
        line["address"] = str(seen.address)
        if seen.position is not None:
            line["position"] = position(seen.position)
        if seen.exchange is not None:
            line["exchange"] = seen.exchange
        if seen.redelivered is not None:
            line["redelivered"] = seen.redelivered
        if seen.attempt is not None:
            line["attempt"] = seen.attempt
        if seen.id is not None:
            line["id"] = seen.id
        if seen.state is not None:
            line["state"] = seen.state
        line["seen_at"] = _time(seen.seen_at)
    else:
        event = seen
    if isinstance(seen, Damaged):
        # No event: whoever publishes lines must not publish this one.
        line["damaged"] = (event.body or b"").decode("utf-8", "replace")
        return _to_json(line) + b"\n"
    if event.timestamp is not None:
        line["time"] = _time(event.timestamp)
    if event.timestamp_type != "create":
        line["time_type"] = event.timestamp_type
    line["key"] = None if event.key is None else _text(event.key)
    content = _content(event)
    if content is not None:
        line["headers"] = [(name, _form(value, 1)) for name, value in content.headers]
    line["body"] = None if event.body is None else _body(event)
    if content is not None:
        line["properties"] = {name: _form(value, 1) for name, value in content.properties.items()}
    if event.wire is not None:
        line["wire"] = _base64(event.wire.data)
        line["encoding"] = event.wire.encoding
    try:
        return _to_json(line) + b"\n"
    except UnicodeEncodeError:
        raise FormatError("This event cannot be written as a line: a text in it holds half a character.") from None


def decode(line: bytes) -> Line:
    """What a line says, as `encode` wrote it, as another JSON tool wrote it again, or as a user wrote it.

    Raises:
        FormatError: The line is not JSON, has a key or a form that is not known here (a mistake, or from a newer
            version), or a number that would have to be rounded.
    """
    try:
        # Half a surrogate pair is called that only with more behind it; else msgspec takes the line for truncated.
        said = _said(line + b"      ")
        event = _event(said)
        seen_at = said.time if said.seen_at is None else said.seen_at
        if said.address is None or seen_at is None:
            return Line(event)
        place = said.position
        delivery = Delivery(
            event,
            Address.parse(said.address),
            _milliseconds(seen_at),
            None if place is None else Position(str(place.partition), str(place.offset)),
            said.exchange,
            said.redelivered,
            said.attempt,
            said.id,
            said.state,
        )
    except UnicodeDecodeError:
        raise FormatError("This line is not an event: it is not UTF-8.") from None
    except RecursionError:
        raise FormatError("This line is not an event: it nests too deep.") from None
    except (msgspec.DecodeError, AddressError, FormatError) as error:
        raise FormatError(f"This line is not an event: {str(error).removesuffix('.')}.") from None
    return Line(event, delivery)


def position(place: Position) -> dict[str, int | str]:
    """A position as a line has it: numbers where no JSON tool would round them, else texts."""
    return {"partition": _number(place.partition), "offset": _number(place.offset)}


def value_text(value: Value) -> str:
    """The value of a header or a property as a line has it: JSON.

    Raises:
        FormatError: As `encode` does.
    """
    try:
        return _to_json(_form(value, 1)).decode()
    except UnicodeEncodeError:
        raise FormatError("This value cannot be written: a text in it holds half a character.") from None


def value_from(text: str) -> Value:
    """The value of a header or a property from JSON as a line has it.

    Raises:
        FormatError: It is not JSON, or a form that is not known here, or a number that would have to be rounded.
    """
    try:
        return _value(_any(text), 1)  # type: ignore[no-any-return]
    except RecursionError:
        raise FormatError(f"{text[:20]!r} nests too deep.") from None
    except (msgspec.DecodeError, UnicodeError, FormatError) as error:
        raise FormatError(f"{text[:20]!r} is no value: {str(error).removesuffix('.')}.") from None


_to_json: Final = msgspec.json.Encoder().encode
_from_json: Final = msgspec.json.Decoder().decode

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_ISO: Final = range(-62_135_596_800_000, 253_402_300_800_000)
"""The milliseconds that ISO 8601 can say: the years 1 to 9999."""

_DOUBLE: Final = 2**53
"""Beyond this, not every whole number is a double, and tools that have nothing else round it."""
_BIG: Final = 4 << 20
"""A body of more bytes is not tried as JSON: decoded, it could take many times the memory."""


# Writing. Everything becomes what JSON can say before msgspec sees it, which would write NaN as null, Decimal as text.


def _content(event: Event) -> Content | None:
    try:
        return event.content
    except FormatError:
        return None


def _number(text: str) -> int | str:
    canonical = text.isascii() and text.isdecimal() and len(text) <= 15 and (text[0] != "0" or text == "0")
    return int(text) if canonical else text


def _time(milliseconds: int) -> str | int:
    if milliseconds not in _ISO:
        return milliseconds if abs(milliseconds) <= _DOUBLE else str(milliseconds)
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": _base64(data)}


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _body(event: Event) -> object:
    body = event.body or b""
    found = _json(event)
    if found is None:
        text = _text(body)
        return {"text": text} if isinstance(text, str) else text
    compact = found[1]
    form: dict[str, object] = {"json": msgspec.Raw(compact)}
    if compact != body or _is_unsteady(body):
        text = _text(body)
        form |= {"text": text} if isinstance(text, str) else text
    return form


_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_UNSTEADY: Final = re.compile(rb"[:,\[]-?(?:[0-9]{16}|[0-9]+(?:\.0(?![0-9])|(?:\.[0-9]+)?e))")
"""Numbers that another tool may write otherwise: 1.0 as 1, 1e16 with its zeros, long ones rounded."""
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG: Final = b"0" * 16
_HUGE: Final = re.compile(rb"[0-9]{309}")
"""A number that is no double, and that many tools make the largest one of."""


def _json(event: Event) -> tuple[object, bytes] | None:
    """The value of a body that is JSON, and that as JSON written compactly; None where it is none, or would lie."""
    text = event.body or b""
    if not text or len(text) > _BIG:
        return None
    # ASCII that begins so is nothing else by accident, whatever the event claims.
    plain = text[0] in b"{[" and text.isascii() and b"\0" not in text
    if not plain and opaque(event):
        decoded = codec.decode(event)
        bad = decoded.charset is not None and decoded.complaints
        if decoded.format is not None or not decoded.whole or bad or len(decoded.data) > _BIG:
            return None
        text = decoded.data
    try:
        value = _from_json(text)
        compact = _to_json(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if compact != text and compact != msgspec.json.format(text, indent=-1) and _members(compact) != _members(text):
        # An object repeats a key.
        return None
    if len(compact) > 308 and _HUGE.search(compact) and _HUGE.search(_STRING.sub(b"", compact)):
        return None
    # What nests deeper, some tool could not read; few openings cannot nest deep, which spares most bodies the walk.
    if compact.count(b"[") + compact.count(b"{") > DEPTH and _depth(value) > DEPTH:
        return None
    return value, compact


def _is_unsteady(json: bytes) -> bool:
    """Whether compact JSON has numbers that another tool may write otherwise."""
    digits = json.translate(_DIGITS)
    # Most have none that could be one, which is seen without the slower search.
    if b".0" not in json and b"0e" not in digits and _LONG not in digits:
        return False
    return bool(_UNSTEADY.search(b"," + _STRING.sub(b'""', json)))


def _members(json: bytes) -> int:
    return _STRING.sub(b"", json).count(b":")


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, list | dict)]:
        level = [item for held in level for item in (held.values() if isinstance(held, dict) else held)]
        depth += 1
    return depth


def _form(value: Value, depth: int) -> object:
    """What stands in the line for the value of a header or a property."""
    if isinstance(value, str) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": _FLOATS[str(value)]}
    if isinstance(value, bytes):
        return {"base64": _base64(value)}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, datetime):
        return {"time": value.isoformat().replace("+00:00", "Z")}
    if depth == DEPTH:
        raise FormatError(f"This event cannot be written as a line: a header nests deeper than {DEPTH}.")
    if isinstance(value, Mapping):
        table = {name: _form(item, depth + 1) for name, item in value.items()}
        return {"table": table} if len(table) == 1 and next(iter(table)) in _TAGS else table
    if isinstance(value, Sequence):
        return [_form(item, depth + 1) for item in value]
    raise FormatError(f"This event cannot be written as a line: a header is a {type(value).__name__}.")


_FLOATS: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


# Reading. The errors say what is wrong; `decode` makes sentences of them.


class _Position(msgspec.Struct, forbid_unknown_fields=True):
    partition: int | str
    offset: int | str


_Milliseconds = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    body: Any
    address: str | None = None
    position: _Position | None = None
    exchange: str | None = None
    redelivered: bool | None = None
    attempt: int | None = None
    seen_at: str | _Milliseconds | None = None
    time: str | _Milliseconds | None = None
    time_type: TimestampType = "create"
    key: Any = None
    headers: list[tuple[str, Any]] | None = None
    properties: dict[str, Any] | None = None
    wire: str | dict[str, str] | None = None
    encoding: str | None = None
    id: str | None = None
    state: str | None = None


def _exact(text: str) -> float:
    number = float(text)
    digits = text.lower().partition("e")[0].replace(".", "").lstrip("-0").rstrip("0")
    # 17 digits name every double: more promise what none holds, as do numbers that overflow or vanish.
    if math.isinf(number) or len(digits) > 17 or (digits and not number):
        raise ValueError(f"the number {text} would be rounded, write it as text")
    return number


_said: Final = msgspec.json.Decoder(_Said, float_hook=_exact).decode
_any: Final = msgspec.json.Decoder(float_hook=_exact).decode


def _event(said: _Said) -> Event:
    wire = None if said.wire is None else _wire(said.wire, said.encoding)
    if wire is not None and not _says(wire, said):
        wire = None
    written = Content()
    if wire is None:
        written = Content(
            tuple([(name, _value(form, 1)) for name, form in said.headers or ()]),
            {name: _value(form, 1) for name, form in (said.properties or {}).items()},
        )
    event = Event(
        None if said.key is None else _bytes(said.key, "key"),
        None if said.body is None else _bytes(said.body, "body"),
        wire,
        written,
        None if said.time is None else _milliseconds(said.time),
        said.time_type,
    )
    return _with_json(event, said)


def _wire(form: str | dict[str, str], encoding: str | None) -> Wire:
    if isinstance(form, dict):
        if len(form) != 1 or encoding is not None:
            raise FormatError("the wire is not in one encoding")
        [(encoding, form)] = form.items()
    elif encoding is None:
        encoding = encodings.OLDEST
    if encoding not in encodings.ENCODINGS:
        raise FormatError(f"the encoding {encoding!r} is not known")
    return Wire(encoding, _from_base64(form))


def _with_json(event: Event, said: _Said) -> Event:
    """The event with the `json` of key and body in the place of their bytes, where these say something else."""
    changes: dict[str, bytes] = {}
    if isinstance(said.body, dict) and len(said.body) == 2:
        found = _json(event)
        shown = _to_json(said.body["json"])
        if found is None or not (found[1] == shown or _same(found[0], said.body["json"])):
            changes["body"] = shown
    if isinstance(said.key, dict) and len(said.key) == 2:
        found = _json(Event(body=event.key))
        if found is None or not _same(found[0], said.key["json"]):
            changes["key"] = _to_json(said.key["json"])
    return msgspec.structs.replace(event, **changes) if changes else event


def _says(wire: Wire, said: _Said) -> bool:
    """Whether the bytes say what the line shows; what it does not show was not edited."""
    if said.headers is None and said.properties is None:
        return True
    try:
        content = encodings.decode(wire)
    except FormatError:
        return False
    headers = [(name, _form(value, 1)) for name, value in content.headers]
    properties = {name: _form(value, 1) for name, value in content.properties.items()}
    return (said.headers is None or _same(headers, said.headers)) and (
        said.properties is None or _same(properties, said.properties)
    )


def _same(held: object, shown: object) -> bool:
    """Whether a JSON value is still what was held, as far as tools keep values: 1 is 1.0, and 1 is not true."""
    if isinstance(held, dict):
        return (
            isinstance(shown, dict)
            and held.keys() == shown.keys()
            and all(_same(value, shown[name]) for name, value in held.items())
        )
    if isinstance(held, list | tuple):
        return isinstance(shown, list | tuple) and len(held) == len(shown) and all(map(_same, held, shown))
    if isinstance(held, bool) != isinstance(shown, bool):
        return False
    return held == shown or (
        isinstance(held, int | float) and isinstance(shown, int | float) and _is_rounded(held, shown)
    )


def _is_rounded(held: float, shown: float) -> bool:
    """Whether a number is what a tool that has only doubles makes of another: the shortest text that names the double,
    whole numbers filled up with zeros."""
    try:
        double = float(held)
    except OverflowError:
        return False
    return shown == double if isinstance(shown, float) else Decimal(shown) == Decimal(repr(double))


def _milliseconds(time: str | int) -> int:
    if isinstance(time, int):
        return time
    if _LARGE.fullmatch(time) and -(2**63) <= int(time) < 2**63:
        return int(time)
    moment = _datetime(time)
    if moment.utcoffset() is None:
        raise FormatError(f"the time {time!r} names no zone, such as Z at its end")
    return (moment - _EPOCH) // _MILLISECOND


_LARGE: Final = re.compile(r"-?[0-9]{16,19}")


def _bytes(form: object, what: str) -> bytes:
    """The bytes of a key or a body; those beside a `json`, where there are two."""
    match form:
        case str():
            return form.encode()
        case {"json": value, **others} if not others:
            return _to_json(value)
        case {"text": str(text), **others} if not others.keys() - {"json"}:
            return text.encode()
        case {"base64": str(text), **others} if not others.keys() - {"json"}:
            return _from_base64(text)
    raise FormatError(f'the {what} is none of null, a text, {{"json":…}}, {{"text":…}} and {{"base64":…}}')


def _value(form: Any, depth: int) -> Any:
    """The value of a header or a property."""
    if not isinstance(form, dict | list):
        return form
    if depth == DEPTH:
        raise FormatError(f"a header nests deeper than {DEPTH}")
    if isinstance(form, list):
        return [_value(item, depth + 1) for item in form]
    if len(form) == 1:
        [(tag, held)] = form.items()
        if tag == "table" and isinstance(held, dict):
            form = held
        elif tag in _TAGS:
            return _untag(tag, held)
    return {name: _value(item, depth + 1) for name, item in form.items()}


def _untag(tag: str, held: object) -> Value:
    if tag == "json":
        return _to_json(held).decode()
    if not isinstance(held, str) or tag == "table":
        raise FormatError(f'{{"{tag}":…}} does not hold a text; a table like it is written {{"table":{{"{tag}":…}}}}')
    return _TAGS[tag](held)


def _from_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise FormatError(f"{text[:20]!r} is not base64") from None


def _datetime(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise FormatError(f"{text!r} is not a time, such as 2026-11-23T10:03:22.123Z") from None


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise FormatError(f"{text!r} is not a decimal number") from None


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FormatError(f"{text!r} is not a floating-point number") from None


_TAGS: Final[Mapping[str, Callable[[str], Value]]] = {
    "base64": _from_base64,
    "decimal": _decimal,
    "time": _datetime,
    "float": _float,
    "text": str,
    "json": str,
    "table": str,
}
"""The names that make an object with one member something else than a table, and the readers of the texts in them."""
