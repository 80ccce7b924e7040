"""The one line format: an event, and where it was seen, as a line of JSON. Nothing is lost either way.

    {"address":"kafka/payments","position":{"partition":3,"offset":1200},"seen_at":"2026-11-23T10:03:22.140Z",
     "time":"2026-11-23T10:03:22.123Z","key":"1001","headers":[["traceparent","00-…"]],
     "body":{"json":{"reason":"declined"}},"properties":{}}

Only `body` must be there. Keys and bodies are bytes: null, a plain text, `{"text":…}`, `{"base64":…}`, or `{"json":…}`,
which stands for the JSON written compactly, as `encode` would. A body that is JSON, as `codec.decode` reads it, always
has `json`. Where other bytes would come of it, or a tool could spell its numbers anew, `text` or `base64` stands beside
it, and wins for as long as it says the same. A `json` that was edited wins over them, and is written compactly in
UTF-8. There is no `json` where it would lie: where an object repeats a key, a number is beyond every double, bytes are
no characters, it nests deeper than `DEPTH` or is larger than 4 MiB; nor for `NaN`, which is no JSON.

Headers and properties have types: what JSON can say is written plainly, the rest as an object with one member,
`{"base64":…}` for bytes, `{"decimal":"1.50"}`, `{"time":"2026-11-23T10:03:22Z"}`, `{"float":"NaN"}`. A nested table is
an object too, and written `{"table":{…}}` where it could be taken for one of these. `wire` holds the bytes in which a
broker sent headers and properties, in the encoding that `encoding` names. It wins for as long as it says what stands
there, and is passed over in a line that was edited. (Older lines name no encoding for AMQP's, and have others as an
object by their encoding.) Times are ISO 8601 in UTC, or milliseconds since 1970 where that cannot say them.

Values are compared, not spellings: 1 says the same as 1.0, and what a tool that has only doubles makes of a number says
the same as the number.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec

from workbench.decode.ndjson_body import is_unsteady, json_of, says_same
from workbench.decode.ndjson_values import base64_bytes, base64_text, exact_float, form_of, read_time, value_of
from workbench.model import wire as encodings
from workbench.model.address import Address
from workbench.model.content import Content
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
        line["headers"] = [(name, form_of(value)) for name, value in content.headers]
    line["body"] = None if event.body is None else _body(event)
    if content is not None:
        line["properties"] = {name: form_of(value) for name, value in content.properties.items()}
    if event.wire is not None:
        line["wire"] = base64_text(event.wire.data)
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


_to_json: Final = msgspec.json.Encoder().encode

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DOUBLE: Final = 2**53
"""Beyond this, not every whole number is a double, and tools that have nothing else round it."""
_ISO: Final = range(-62_135_596_800_000, 253_402_300_800_000)
"""The milliseconds that ISO 8601 can say: the years 1 to 9999."""


# Writing.


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
        return {"base64": base64_text(data)}


def _body(event: Event) -> object:
    body = event.body or b""
    found = json_of(event)
    if found is None:
        text = _text(body)
        return {"text": text} if isinstance(text, str) else text
    compact = found[1]
    form: dict[str, object] = {"json": msgspec.Raw(compact)}
    if compact != body or is_unsteady(body):
        text = _text(body)
        form |= {"text": text} if isinstance(text, str) else text
    return form


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


_said: Final = msgspec.json.Decoder(_Said, float_hook=exact_float).decode


def _event(said: _Said) -> Event:
    wire = None if said.wire is None else _wire(said.wire, said.encoding)
    if wire is not None and not _says(wire, said):
        wire = None
    written = Content()
    if wire is None:
        written = Content(
            tuple([(name, value_of(form)) for name, form in said.headers or ()]),
            {name: value_of(form) for name, form in (said.properties or {}).items()},
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
    return Wire(encoding, base64_bytes(form))


def _with_json(event: Event, said: _Said) -> Event:
    """The event with the `json` of key and body in the place of their bytes, where these say something else."""
    changes: dict[str, bytes] = {}
    if isinstance(said.body, dict) and len(said.body) == 2:
        found = json_of(event)
        shown = _to_json(said.body["json"])
        if found is None or not (found[1] == shown or says_same(found[0], said.body["json"])):
            changes["body"] = shown
    if isinstance(said.key, dict) and len(said.key) == 2:
        found = json_of(Event(body=event.key))
        if found is None or not says_same(found[0], said.key["json"]):
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
    headers = [(name, form_of(value)) for name, value in content.headers]
    properties = {name: form_of(value) for name, value in content.properties.items()}
    return (said.headers is None or says_same(headers, said.headers)) and (
        said.properties is None or says_same(properties, said.properties)
    )


def _milliseconds(time: str | int) -> int:
    if isinstance(time, int):
        return time
    if _LARGE.fullmatch(time) and -(2**63) <= int(time) < 2**63:
        return int(time)
    moment = read_time(time)
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
            return base64_bytes(text)
    raise FormatError(f'the {what} is none of null, a text, {{"json":…}}, {{"text":…}} and {{"base64":…}}')
