"""Messages as bytes in a journal: all of each, so that what is published from there is what came.

It is msgpack. What msgpack has no form for is spelled: texts with half a character, decimals and large numbers, which
headers of embedded brokers may hold.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from workbench.model.event import Delivery, Event
from workbench.store.batch import is_plain, restore, to_storable

_SPELLED: Final = b"\xc1"
"""What a spelled message begins with, and msgpack never does (https://github.com/msgpack/msgpack/blob/master/spec.md)."""
_ESCAPE: Final = re.compile(r"\\(\\|ud[89a-f][0-9a-f]{2})")
_encode: Final = msgspec.msgpack.Encoder().encode

T = TypeVar("T", Delivery, Event)


def pack(message: Delivery | Event) -> bytes:
    """A message as bytes."""
    event = message.event if isinstance(message, Delivery) else message
    try:
        if is_plain(event.written):
            return _encode(message)
    except UnicodeEncodeError:
        # Half a character is in it.
        pass
    told = msgspec.to_builtins(message, builtin_types=(bytes, Decimal, datetime))
    return _SPELLED + _encode(to_storable(_in_texts(told, _spell)))


def unpack(data: bytes, type: type[T]) -> T:
    """The message that was packed; sequences in its headers are lists, times are in UTC.

    Raises:
        msgspec.MsgspecError: The bytes are damaged.
        ValueError: The same.
        ArithmeticError: The same.
    """
    if not data.startswith(_SPELLED):
        return msgspec.msgpack.decode(data, type=type)
    told = msgspec.msgpack.decode(memoryview(data)[1:], ext_hook=restore)
    return msgspec.convert(_in_texts(told, _read), type)


def _spell(text: str) -> str:
    return text.replace("\\", r"\\").encode("utf-8", "backslashreplace").decode()


def _read(spelled: str) -> str:
    return _ESCAPE.sub(lambda found: "\\" if found[1] == "\\" else chr(int(found[1][1:], 16)), spelled)


def _in_texts(value: Any, change: Any) -> Any:
    match value:
        case str():
            return change(value)
        case Mapping():
            return {change(name): _in_texts(item, change) for name, item in value.items()}
        case list() | tuple():
            return [_in_texts(item, change) for item in value]
    return value
