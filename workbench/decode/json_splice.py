"""JSON changed as it is written: a value is put in, or taken out, and all else stays as it is.

Numbers, escapes, order and white space are kept; white space around what is put in follows that of its neighbours.
"""

import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from workbench.decode.json_text import tokens
from workbench.model.errors import FormatError

Steps: TypeAlias = tuple[str, ...]
"""The names and numbers that lead to a value."""
SPACES: Final = " \t\n\r"
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_MARK: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},:]', re.DOTALL)
"""What tells in JSON where a value ends: strings, in which anything may stand, and marks."""


class Member(NamedTuple):
    """A member of an object or an item of an array: its name, where it begins, its value begins, and where it ends."""

    name: str
    start: int
    value: int
    end: int


def bounds(text: str) -> tuple[int, int]:
    """Where the value of a text begins and ends, without the white space around it.

    Raises:
        FormatError: It is no JSON; the sentence says where.
    """
    try:
        # The quickest way to see that it is one. Some that this refuses are taken all the same, such as NaN.
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        for _ in tokens(text):
            pass
    return len(text) - len(text.lstrip(SPACES)), len(text.rstrip(SPACES))


def members_of(text: str) -> list[Member]:
    """The members of the object, or the items of the array, that a text is; none for all other values."""
    found: list[Member] = []
    depth = begin = colon = 0
    for mark in _MARK.finditer(text):
        at = mark.start()
        character = text[at]
        if character in "{[":
            depth += 1
            begin = at + 1 if depth == 1 else begin
        elif character in "}]":
            depth -= 1
        elif depth == 1 and character == ":":
            colon = at
        if (depth == 1 and character == ",") or depth == 0:
            start = _SPACE.match(text, begin).end()  # type: ignore[union-attr]
            if start < at:
                value = start if text[0] == "[" else _SPACE.match(text, colon + 1).end()  # type: ignore[union-attr]
                name = str(len(found)) if text[0] == "[" else _unquoted(text[start:colon].rstrip(SPACES))
                found.append(Member(name, start, value, value + len(text[value:at].rstrip(SPACES))))
            begin = at + 1
    return found


def _unquoted(name: str) -> str:
    return str(json.loads(name)) if "\\" in name else name[1:-1]


def find(text: str, steps: Steps) -> tuple[int, int]:
    """Where the value begins and ends to which steps lead.

    Raises:
        FormatError: There is none, or an object on the way has the name twice.
    """
    start, end = 0, len(text)
    for step in steps:
        inside = text[start:end]
        found = named(inside, members_of(inside), step)
        if found is None:
            raise FormatError(f"there is nothing at {_pointer(steps)!r}")
        start, end = start + found.value, start + found.end
    return start, end


def named(container: str, members: Sequence[Member], step: str) -> Member | None:
    """The member of a name, or the item of a number, among those of a container; None: there is none.

    Raises:
        FormatError: There are several.
    """
    if container[0] == "[":
        number = _index(step)
        return members[number] if number is not None and number < len(members) else None
    found = [each for each in members if each.name == step]
    if len(found) > 1:
        raise FormatError(f"it has {step!r} more than once, so that nobody can tell which is meant")
    return found[0] if found else None


def _index(step: str) -> int | None:
    plain = step.isascii() and step.isdecimal() and len(step) < 10 and (step == "0" or step[0] != "0")
    return int(step) if plain else None


def _pointer(steps: Steps) -> str:
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)


def put(text: str, steps: Steps, value: str, insert: bool) -> str:
    """The text with a value in a place.

    Args:
        text: A value.
        steps: The place.
        value: What is put there, as it is written.
        insert: Whether it may be a new member, and in an array moves what is there on; else it takes the place of what
            is there.

    Raises:
        FormatError: There is no such place.
    """
    if not steps:
        return value
    start, end = find(text, steps[:-1])
    inside, step = text[start:end], steps[-1]
    if inside[0] not in "{[":
        raise FormatError(f"{_pointer(steps[:-1])!r} is neither an object nor an array")
    members = members_of(inside)
    found = named(inside, members, step)
    if inside[0] == "[" and insert:
        number = len(members) if step == "-" else _index(step)
        if number is None or number > len(members):
            raise FormatError(f"{_pointer(steps)!r} is no place in an array of {len(members)}")
        new = _with_item(inside, members, number, value)
    elif found is not None:
        new = inside[: found.value] + value + inside[found.end :]
    elif insert:
        new = _with_member(inside, members, step, value)
    else:
        raise FormatError(f"there is nothing at {_pointer(steps)!r}")
    return text[:start] + new + text[end:]


def _with_member(inside: str, members: Sequence[Member], name: str, value: str) -> str:
    key = _quoted(name)
    if not members:
        return f"{{{key}:{value}}}"
    last = members[-1]
    colon = inside[last.start : last.value]
    colon = colon[colon.rindex(":") - len(colon) :] if ":" in colon else ":"
    lead = _lead(inside, members, len(members) - 1) or (" " if colon != ":" else "")
    return f"{inside[: last.end]},{lead}{key}{colon}{value}{inside[last.end :]}"


def _with_item(inside: str, members: Sequence[Member], number: int, value: str) -> str:
    if not members:
        return f"[{value}]"
    if number == len(members):
        last = members[-1]
        return f"{inside[: last.end]},{_lead(inside, members, number - 1)}{value}{inside[last.end :]}"
    lead = _lead(inside, members, max(number, min(1, len(members) - 1)))
    at = members[number].start
    return f"{inside[:at]}{value},{lead}{inside[at:]}"


def _lead(inside: str, members: Sequence[Member], number: int) -> str:
    """The white space before a member or an item."""
    before = inside[members[number - 1].end if number else 1 : members[number].start]
    return before.partition(",")[2] if number else before


def without(text: str, steps: Steps) -> str:
    """The text without the value to which steps lead, and without the comma that it no longer needs.

    Raises:
        FormatError: There is none.
    """
    find(text, steps)
    start, end = find(text, steps[:-1])
    inside = text[start:end]
    members = members_of(inside)
    found = named(inside, members, steps[-1])
    assert found is not None
    number = members.index(found)
    if len(members) == 1:
        begin, stop = 1, len(inside) - 1
    elif number:
        begin, stop = members[number - 1].end, found.end
    else:
        begin, stop = found.start, members[1].start
    return text[: start + begin] + text[start + stop :]


def _quoted(name: str) -> str:
    written = json.dumps(name, ensure_ascii=False)
    try:
        written.encode()
    except UnicodeEncodeError:
        return json.dumps(name)
    return written
