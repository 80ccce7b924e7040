"""Reading a fact out of a value: steps into what is nested, and the text of what is there."""

import uuid
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from workbench.model.values import bytes_text, value_text

Steps: TypeAlias = tuple[tuple[str, int | None], ...]
"""Steps into a value: a member's name each, and the place of an item where it can be one, below 0 from the end."""
Reader: TypeAlias = Callable[[Any], str | None]
"""What a value says, as text; None: nothing."""
_LOOKED_INTO: Final = 1024 * 1024
"""Characters of a text beyond which it is not taken for JSON."""


class Tree(NamedTuple):
    """A value of a body, decoded already; numbers are text."""

    value: Any


def steps_of(path: str) -> Steps:
    """The steps of a path, one at each dot.

    Raises:
        ValueError: It is no path; the sentence begins in the middle and has no full stop.
    """
    steps = []
    for step in path.split("."):
        if not step or step != step.strip():
            raise ValueError("has a step without a name: write one between two dots")
        if "[" in step or "]" in step:
            raise ValueError("has a step with brackets: write items.0.id, and items.-1.id for the last")
        digits = step.removeprefix("-")
        index = int(step) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None
        if index == 0 and step != "0":
            raise ValueError(f"has the step {step}: items count from 0 at the beginning, and from -1 at the end")
        steps.append((step, index))
    return tuple(steps)


def inside(value: Any, steps: Steps) -> Any:
    """What is where the steps lead, None where they lead nowhere. A text on the way may be JSON."""
    if type(value) is Tree:
        value = value.value
    for name, index in steps:
        if isinstance(value, str | bytes):
            value = _json_in(value)
        if isinstance(value, dict):
            value = value.get(name)
        elif index is not None and isinstance(value, list | tuple) and -len(value) <= index < len(value):
            value = value[index]
        else:
            return None
    return value


def tree(value: msgspec.Raw) -> Any:
    """A piece of JSON, decoded where there may be something inside it."""
    if bytes(value)[0] not in b'{["':
        return value
    try:
        return Tree(msgspec.json.decode(value))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Tree(None)


def text(value: Any) -> str | None:
    """A value as text; of a list its first item."""
    if type(value) is str:
        return value
    value = _plain(value)
    match value:
        case str():
            return value
        case bytes():
            return bytes_text(value)
        case int() if abs(value) >= 1 << 64:
            return None
        case bool() | int() | float() | Decimal():
            return value_text(value)
        case date():
            return value.isoformat()
        case [first, *_]:
            return None if isinstance(first, list | Mapping) else text(first)
        case _:
            return None


def integer(value: Any) -> str | None:
    """The number in 1, 2, 4 or 8 big-endian bytes, else what `text` says."""
    value = _binary(_plain(value))
    if isinstance(value, bytes) and len(value) in (1, 2, 4, 8):
        return str(int.from_bytes(value, signed=True))
    return text(value)


def uuid_text(value: Any) -> str | None:
    """The UUID in 16 bytes, else what `text` says, other bytes in hex."""
    value = _binary(_plain(value))
    if not isinstance(value, bytes):
        return text(value)
    try:
        said = value.decode()
        if said.isprintable():
            return said
    except UnicodeDecodeError:
        pass
    return str(uuid.UUID(bytes=value)) if len(value) == 16 else value.hex()


def _plain(value: Any) -> Any:
    """What a header, a property or a piece of JSON holds. A number of JSON is its own text: no digit is lost."""
    if isinstance(value, Tree):
        return value.value
    if not isinstance(value, msgspec.Raw):
        return value
    written = bytes(value)
    if written[0] == 0x22:
        try:
            return msgspec.json.decode(written)
        except (msgspec.MsgspecError, ValueError):
            return None
    # Objects and arrays are no value; where a place is inside them, they come as a tree.
    return None if written[0] in b"{[n" else written.decode()


def _binary(value: Any) -> Any:
    """The bytes of a text that nobody wrote as one: what happens to be UTF-8 comes as text from logs."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) and not value.isprintable() else value


def _json_in(value: str | bytes) -> Any:
    """What a text holds that is an object or a list in JSON; None: it is none."""
    if value[:1] not in _BEGINNINGS or len(value) > _LOOKED_INTO:
        return None
    try:
        return msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


_BEGINNINGS: Final = ("{", "[", b"{", b"[")
