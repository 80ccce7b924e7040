"""Bodies that are JSON, as a line can hold them: which of them, and whether a tool that rewrote one changed it."""

import re
from decimal import Decimal
from typing import Final

import msgspec

from workbench.decode import codec
from workbench.decode.content_type import opaque
from workbench.model.content import DEPTH
from workbench.model.event import Event

_BIG: Final = 4 << 20
"""A body of more bytes is not tried as JSON: decoded, it could take many times the memory."""


def json_of(event: Event) -> tuple[object, bytes] | None:
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


def is_unsteady(json: bytes) -> bool:
    """Whether compact JSON has numbers that another tool may write otherwise."""
    digits = json.translate(_DIGITS)
    # Most have none that could be one, which is seen without the slower search.
    if b".0" not in json and b"0e" not in digits and _LONG not in digits:
        return False
    return bool(_UNSTEADY.search(b"," + _STRING.sub(b'""', json)))


def says_same(held: object, shown: object) -> bool:
    """Whether a JSON value is still what was held, as far as tools keep values: 1 is 1.0, and 1 is not true."""
    if isinstance(held, dict):
        return (
            isinstance(shown, dict)
            and held.keys() == shown.keys()
            and all(says_same(value, shown[name]) for name, value in held.items())
        )
    if isinstance(held, list | tuple):
        return isinstance(shown, list | tuple) and len(held) == len(shown) and all(map(says_same, held, shown))
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


def _members(json: bytes) -> int:
    return _STRING.sub(b"", json).count(b":")


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, list | dict)]:
        level = [item for held in level for item in (held.values() if isinstance(held, dict) else held)]
        depth += 1
    return depth


_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_UNSTEADY: Final = re.compile(rb"[:,\[]-?(?:[0-9]{16}|[0-9]+(?:\.0(?![0-9])|(?:\.[0-9]+)?e))")
"""Numbers that another tool may write otherwise: 1.0 as 1, 1e16 with its zeros, long ones rounded."""
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG: Final = b"0" * 16
_HUGE: Final = re.compile(rb"[0-9]{309}")
"""A number that is no double, and that many tools make the largest one of."""
_to_json: Final = msgspec.json.Encoder().encode
_from_json: Final = msgspec.json.Decoder().decode
