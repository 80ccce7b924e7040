"""Masking: what nobody may see, made unreadable before an event is shown, searched, exported or listed.

A rule is written `body.card.number`, `header.Authorization`, `property.user_id`, `key`, or `~ PATTERN` for a regular
expression (RE2's) over all text. Upper and lower case are the same in names; a path goes through arrays by itself, and
`*` in it is any name. It goes on into JSON that a string holds, and where it says so into base64:
`body.data.@base64.card.number`. What is masked keeps its shape: a string has as many `*` as it had characters, a number
is 0, an object or array is the string `***`; JSON stays JSON, and what no rule names stays as it was, byte for byte.

Where a rule cannot be applied, the safe side is to show too little:

- a body that is text and not JSON (XML, a broken or cut JSON) is masked whole when it holds the last name of a rule's
  path; so is a JSON of more than `READ` bytes, for that is as much as is read for one event;
- a string that holds broken JSON with such a name is masked whole, and so is one that `@base64` leads into and that is
  none, or holds no JSON;
- what is behind a schema registry's frame is masked whole by any rule that begins with `body`, unless the event says
  that it is JSON: nothing else tells it from Avro;
- MessagePack, CBOR and compressed JSON are masked whole when they hold a rule's path; all other binary bodies, Avro and
  Protobuf among them, whose names are not in them, are masked whole by any rule that begins with `body`;
- a body in another charset than UTF-8 is masked as the text that it is, and whole where the mask cannot be written so;
- a binary body is masked whole when a pattern matches it or what would be shown of it, a JSON when a pattern still
  matches it across several values;
- a body of more than `SEARCHED` bytes, a binary one of more than `READ`, is masked whole by any rule that begins with
  `body` and any pattern;
- a header or property that holds a table with a rule's name in it is masked whole, and a header whose name a pattern
  matches is left out;
- headers and properties that cannot be decoded are left out by any rule for them, and by any pattern.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from workbench.decode import codec
from workbench.decode.content_type import Binary, content_type
from workbench.decode.json_text import string, tokens
from workbench.decode.layout import lay_out
from workbench.facts.pattern import Pattern, literally
from workbench.model.content import Content, Value
from workbench.model.errors import ConfigError, FormatError
from workbench.model.event import Delivery, Event
from workbench.model.values import integer_in, value_text
from workbench.model.wire import Wire, with_header, with_property, without_header

READ: Final = 1024 * 1024
"""The largest JSON in which single values are masked."""
SEARCHED: Final = 16 * READ
"""The largest body that is searched for names and patterns."""

_Path = tuple[str, ...]
_EVERY: Final = "*"
_BASE64: Final = "@base64"
"""A step that a path takes into what a string holds in base64."""
_HIDDEN: Final = '"***"'
_LEFT_OUT: Final = "left out"
"""Stands for a header that must go; told from a value by its identity."""
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_WITH_NAMES: Final[tuple[Binary, ...]] = ("MessagePack", "CBOR")
_FORM: Final = "write body.PATH, header.NAME, property.NAME, key, or ~ and a regular expression"


class Masking:
    """A set of rules, compiled; `apply` is what it is for.

    Args:
        rules: As a user writes them.

    Raises:
        ConfigError: One of them is no rule.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self._headers: set[str] = set()
        self._properties: set[str] = set()
        self._paths: list[_Path] = []
        self._key = False
        patterns: list[str] = []
        for rule in rules:
            where, _, name = rule.partition(".")
            if rule.startswith("~"):
                patterns.append(_pattern(rule))
            elif rule == "key":
                self._key = True
            elif where == "header" and name:
                self._headers.add(_fold(name))
            elif where == "property" and name:
                self._properties.add(_fold(name))
            elif where == "body" and name and all(name.split(".")) and not name.startswith(_BASE64):
                self._paths.append(tuple(_fold(step) for step in name.split(".")))
            else:
                raise ConfigError(f"{rule!r} is no masking rule: {_FORM}.")
        self._text = Pattern("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None
        self._names = _names(self._paths) if self._paths else None
        self._idle = not rules

    def apply(self, delivery: Delivery) -> Delivery:
        """The delivery as it may be seen; the same object where no rule concerns it."""
        if self._idle:
            return delivery
        event = delivery.event
        body = event.body
        masked_body = self._body(event, body) if body and (self._names or self._text) else body
        key = self._masked_key(event.key)
        wire, written = self._content(event)
        if masked_body is body and key is event.key and wire is event.wire and written is event.written:
            return delivery
        masked = msgspec.structs.replace(event, key=key, body=masked_body, wire=wire, written=written)
        if "timestamp" in self._properties:
            masked = msgspec.structs.replace(masked, timestamp=None)
        return msgspec.structs.replace(delivery, event=masked)

    # Bodies.

    def _body(self, event: Event, body: bytes) -> bytes:
        if len(body) > SEARCHED:
            return b"*" * len(body)
        decoded = codec.decode(event)
        text = _text(event, decoded)
        if text is None:
            return self._binary(event, body, decoded)
        named = self._names.in_bytes(decoded.data) if self._names else False
        # A letter may be written as an escape, in a name as in a value.
        escaped = "\\u" in text or "\\/" in text
        if not named and not escaped and not (self._text and self._text.in_text(text)):
            return body
        like_json = text.lstrip(" \t\r\n")[:1] in ("{", "[", '"')
        if like_json and len(text) <= READ:
            try:
                masked = self._json(text, self._paths)
            except FormatError:
                pass
            else:
                if self._text and self._text.in_text(masked):
                    masked = '"' + "*" * max(len(text) - 2, 0) + '"'
                return body if masked == text else _encode(masked, body, decoded)
        if named or (escaped and like_json):
            return b"*" * len(body)
        masked = self._in_text(text) if self._text else text
        return body if masked == text else _encode(masked, body, decoded)

    def _json(self, text: str, paths: list[_Path]) -> str:
        """The JSON with the values at the paths masked, and with strings and numbers that a pattern matches."""
        pieces: list[str] = []
        done = 0
        # The rules that still fit, with the steps they have left, at each level that is open; and the level at which
        # everything is being left out.
        open_: list[list[_Path]] = []
        here: list[_Path] = list(paths)
        hidden_from: int | None = None
        hidden_start = 0
        offset = len(text) - len(text.lstrip("\ufeff"))
        source = text[offset:]
        for token in tokens(source):
            kind, start, end = token
            if kind in ("}", "]"):
                open_.pop()
                if hidden_from == len(open_):
                    pieces += source[done:hidden_start], _HIDDEN
                    done, hidden_from = end, None
                here = open_[-1] if open_ else []
                continue
            if kind == "key":
                name = string(source, token)
                here = [left for path in open_[-1] for left in _steps(path, name)]
                if hidden_from is None and self._text and self._text.in_text(name):
                    pieces += source[done:start], _string(self._in_text(name))
                    done = end
                continue
            if hidden_from is not None:
                if kind in ("{", "["):
                    open_.append([])
                continue
            hide = () in here
            if kind in ("{", "["):
                if hide:
                    hidden_from, hidden_start = len(open_), start
                open_.append([] if hide else here)
                continue
            said = string(source, token) if kind == "string" else source[start:end]
            if kind == "string":
                shown = "*" * len(said) if hide else self._held(said, here)
                if self._text and self._text.in_text(shown):
                    shown = self._in_text(shown)
                mask = said if shown == said else _string(shown)
            elif hide or (self._text and self._text.in_text(said)):
                mask = "0" if kind == "number" else "null"
            else:
                mask = said
            if mask is not said:
                pieces += source[done:start], mask
                done = end
        return text[:offset] + "".join([*pieces, source[done:]])

    def _held(self, said: str, paths: Sequence[_Path]) -> str:
        """A string with what the paths reach in it masked, where it holds JSON or base64."""
        if inside := [path[1:] for path in paths if path[:1] == (_BASE64,)]:
            return self._held_in_base64(said, inside)
        assert self._names is not None or not paths
        if not paths or said.lstrip(" \t\r\n")[:1] not in ("{", "[", '"'):
            return said
        try:
            return self._json(said, list(paths))
        except FormatError:
            named = self._names is None or self._names.in_text(said) or "\\" in said
            return "*" * len(said) if named else said

    def _held_in_base64(self, said: str, paths: list[_Path]) -> str:
        apart = "-" in said or "_" in said
        try:
            data = base64.b64decode(said + "=" * (-len(said) % 4), b"-_" if apart else None, validate=True)
            if () in paths:
                return "*" * len(said)
            masked = self._json(data.decode(), paths).encode()
        except (ValueError, FormatError):
            return "*" * len(said)
        if masked == data:
            return said
        return base64.b64encode(masked, b"-_" if apart else None).decode()

    def _binary(self, event: Event, body: bytes, decoded: codec.Decoded) -> bytes:
        hidden = not decoded.whole or (self._text and self._matches_binary(event, decoded)) or self._holds(decoded)
        return b"*" * len(body) if hidden else body

    def _matches_binary(self, event: Event, decoded: codec.Decoded) -> bool:
        assert self._text is not None
        data = decoded.data
        if len(data) > READ or self._text.in_text(data.decode("latin-1")):
            return True
        reading = lay_out(event, 8 * READ)
        # A hex dump is digits that are nobody's secret, beside the characters that were searched already.
        return reading.format != "hex" and self._text.in_text(reading.text)

    def _holds(self, decoded: codec.Decoded) -> bool:
        """Whether a body that is no text as it lies there holds a rule's path, or may do so."""
        data = decoded.data
        if _is_framed(decoded):
            return self._names is not None
        try:
            text = data.decode()
            if decoded.layers and decoded.format is None and len(data) <= READ and not _CONTROLS.search(text):
                return self._json(text, self._paths) != text
        except UnicodeDecodeError:
            pass
        except FormatError:
            return self._names is not None and self._names.in_bytes(data)
        if not self._names:
            return False
        for name in _WITH_NAMES:
            try:
                tree = codec.values(name, data)
            except FormatError:
                continue
            if isinstance(tree, Mapping | list):
                return _reaches(tree, self._paths, 0)
        return True

    # Keys, headers and properties.

    def _masked_key(self, key: bytes | None) -> bytes | None:
        if key and self._key:
            return b"*" * len(key)
        masked = self._value(key) if key and self._text else key
        return masked if isinstance(masked, bytes) else key

    def _content(self, event: Event) -> tuple[Wire | None, Content]:
        wire, written = event.wire, event.written
        if not (self._headers or self._properties or self._text):
            return wire, written
        try:
            content = event.content
            headers = [(name, value, self._header(name, value)) for name, value in content.headers]
            properties = [(name, value, self._property(name, value)) for name, value in content.properties.items()]
            if all(new is old for _, old, new in headers) and all(new is old for _, old, new in properties):
                return wire, written
            if wire is None:
                kept = tuple((name, new) for name, _, new in headers if new is not _LEFT_OUT)
                return None, Content(kept, {name: new for name, _, new in properties})
            # Splicing keeps every other byte. Of a name that comes more than once, all but the first go.
            for name, old, new in headers:
                if new is _LEFT_OUT:
                    wire = without_header(wire, name)
                elif new is not old:
                    wire = with_header(wire, name, new)
            for name, old, new in properties:
                if new is not old:
                    wire = with_property(wire, name, new)
            return wire, written
        except FormatError:
            return None, Content()

    def _header(self, name: str, value: Value) -> Value:
        if self._text and self._text.in_text(name):
            return _LEFT_OUT
        return self._mask_value(name, value, self._headers)

    def _property(self, name: str, value: Value) -> Value:
        return self._mask_value(name, value, self._properties)

    def _mask_value(self, name: str, value: Value, rules: set[str]) -> Value:
        if _fold(name) in rules:
            return _hide(value)
        if isinstance(value, Mapping | list | tuple) and _holds(value, self._headers | self._properties):
            return "***"
        return self._value(value) if self._text and value is not None else value

    def _value(self, value: Value) -> Value:
        """The value with what the patterns match masked; the same object where they match nothing."""
        assert self._text is not None
        if isinstance(value, str):
            return self._in_text(value) if self._text.in_text(value) else value
        if isinstance(value, bytes):
            try:
                text, charset = value.decode(), "utf-8"
            except UnicodeDecodeError:
                text, charset = value.decode("latin-1"), "latin-1"
            if self._text.in_text(text):
                return self._in_text(text).encode(charset)
            # What is no text, or could be an integer, is shown in hex.
            in_hex = charset == "latin-1" or integer_in(value) is not None
            return b"*" * len(value) if in_hex and self._text.in_text(value.hex()) else value
        if isinstance(value, Sequence | Mapping):
            return "***" if self._text.in_text(_flat(value)) else value
        return _hide(value) if self._text.in_text(value_text(value)) else value

    def _in_text(self, text: str) -> str:
        assert self._text is not None
        masked = self._text.mask(text)
        # Two masks side by side may let a pattern match anew.
        return "*" * len(text) if self._text.in_text(masked) else masked


def _is_framed(decoded: codec.Decoded) -> bool:
    return any(layer.startswith("schema") for layer in decoded.layers)


def _text(event: Event, decoded: codec.Decoded) -> str | None:
    """The text of a body in which single values can be masked; None where it is compressed or no text."""
    layers = decoded.layers[:-1] if decoded.charset else decoded.layers
    # Avro may happen to be characters alone, and even those of JSON.
    framed_json = len(layers) == 1 and _is_framed(decoded) and content_type(event).format == "JSON"
    if decoded.format or not decoded.whole or (layers and not framed_json):
        return None
    try:
        text = decoded.data.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROLS.search(text) else text


def _encode(text: str, body: bytes, decoded: codec.Decoded) -> bytes:
    """A masked text as the body was written: in its charset, behind its frame."""
    data = decoded.charset.encode(text) if decoded.charset else text.encode()
    if data is None:
        return b"*" * len(body)
    return body[:5] + data if decoded.layers and decoded.layers[0].startswith("schema") else data


def _hide(value: Value) -> Value:
    """Something of the same shape that says nothing."""
    match value:
        case None:
            return None
        case str():
            return "*" * len(value)
        case bytes():
            return b"*" * len(value)
        case bool():
            return False
        case int():
            return 0
        case datetime():
            return datetime(1970, 1, 1, tzinfo=UTC)
        case _:
            return "***"


def _holds(value: Value, names: set[str]) -> bool:
    """Whether a table somewhere inside has one of the names, as the tables of RabbitMQ's firehose do."""
    if isinstance(value, Mapping):
        return any(_fold(name) in names or _holds(inner, names) for name, inner in value.items())
    return isinstance(value, list | tuple) and any(_holds(inner, names) for inner in value)


def _pattern(rule: str) -> str:
    text = rule[1:].strip()
    try:
        pattern = Pattern(text)
    except FormatError as error:
        raise ConfigError(f"{rule!r} is no masking rule: it {error}.") from None
    if pattern.in_text("") or pattern.in_text("*" * 100):
        raise ConfigError(f"{rule!r} is no masking rule: it matches what is empty, or the mask itself.")
    return text


def _fold(name: str) -> str:
    """The name with its ASCII letters small: as bytes are compared without case."""
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def _names(paths: Sequence[_Path]) -> Pattern:
    """Matches all that holds the last name of a path, unless letters of it are escaped."""
    names = {_last_name(path) for path in paths}
    return Pattern("" if _EVERY in names else "(?i)" + "|".join(map(literally, sorted(names))))


def _last_name(path: _Path) -> str:
    """The last name of a path that stands in a body as it is: what base64 holds is not spelled there."""
    return path[path.index(_BASE64) - 1] if _BASE64 in path else path[-1]


def _steps(path: _Path, name: str) -> list[_Path]:
    """What is left of a path behind a name, once for each way to read it: a name with dots may be several steps."""
    whole = _fold(name)
    parts = tuple(whole.split("."))
    left = [path[1:]] if path[:1] in ((_EVERY,), (whole,)) else []
    fits = len(path) >= len(parts) > 1 and all(step in (_EVERY, part) for step, part in zip(path, parts, strict=False))
    if fits:
        left.append(path[len(parts) :])
    return left


def _reaches(value: Any, paths: Sequence[_Path], depth: int) -> bool:
    if () in paths or depth > 200:
        return True
    if isinstance(value, Mapping):
        return any(
            _reaches(inner, [left for path in paths for left in _steps(path, _name(name))], depth + 1)
            for name, inner in value.items()
        )
    if isinstance(value, list | tuple | set | frozenset):
        return any(_reaches(inner, paths, depth + 1) for inner in value)
    if isinstance(value, str | bytes) and paths:
        # What it holds is not looked into: the whole body is masked.
        text = _name(value)
        return any(path[:1] == (_BASE64,) for path in paths) or text.lstrip(" \t\r\n")[:1] in ("{", "[")
    return False


def _name(name: Any) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else str(name)


def _flat(value: Value) -> str:
    """All that a nested value says, a line for each, names included."""
    if isinstance(value, Mapping):
        return "\n".join(f"{name}\n{_flat(inner)}" for name, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return "\n".join(map(_flat, value))
    # What is no text is shown in hex.
    return f"{value.decode('latin-1')}\n{value_text(value)}" if isinstance(value, bytes) else value_text(value)


def _string(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair can only be written as an escape.
        return json.dumps(text)
    return json.dumps(text, ensure_ascii=False)
