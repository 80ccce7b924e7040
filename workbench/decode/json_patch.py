"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396), applied to JSON as it is written.

Nothing is decoded and written anew: what a patch does not name stays as it was written, numbers, escapes, order and
white space alike, and what it puts in is written as in the patch. Whitespace around it follows that of its neighbours.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from workbench.decode.json_text import Token, string, tokens
from workbench.model.content import DEPTH
from workbench.model.errors import FormatError

LARGEST: Final = 64 << 20
"""Characters that a patched text may have: copies of copies grow fast."""
_Steps: TypeAlias = tuple[str, ...]


class Operation(msgspec.Struct, frozen=True):
    """One operation of a JSON Patch.

    Attributes:
        op: What it does.
        path: Where, as a JSON Pointer (RFC 6901).
        value: What is put in or tested, as it is written.
        source: Where a value is moved or copied from.
    """

    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: str
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    source: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="from")


def read_patch(text: str) -> tuple[Operation, ...]:
    """The operations of a JSON Patch.

    Raises:
        FormatError: It is none; the sentence says where.
    """
    try:
        operations = msgspec.json.decode(text, type=tuple[Operation, ...])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(f"This is no JSON Patch: {str(error).removesuffix('.')}.") from None
    for number, each in enumerate(operations, 1):
        said = f"Operation {number} of the JSON Patch, {each.op},"
        if each.op in ("add", "replace", "test") and isinstance(each.value, msgspec.UnsetType):
            raise FormatError(f"{said} has no value.")
        if each.op in ("move", "copy") and isinstance(each.source, msgspec.UnsetType):
            raise FormatError(f"{said} does not say from where.")
        for pointer in (each.path, each.source):
            if isinstance(pointer, str):
                _steps(pointer, said)
        if each.op == "remove" and not each.path:
            raise FormatError(f"{said} would leave nothing: write replace, with the value null.")
        if isinstance(each.source, str) and each.op == "move" and each.path.startswith(f"{each.source}/"):
            raise FormatError(f"{said} moves {each.source!r} into itself.")
    return operations


def read_merge_patch(text: str) -> str:
    """A JSON Merge Patch, held to be one.

    Raises:
        FormatError: It is no JSON, or repeats a key.
    """
    try:
        _check(text, 0)
    except FormatError as error:
        raise FormatError(f"This is no JSON Merge Patch: {str(error).removesuffix('.')}.") from None
    return text


def apply_patch(text: str, operations: Sequence[Operation]) -> str:
    """The text with each operation done, one after the other.

    Raises:
        FormatError: It is no JSON, an operation cannot be done, or a test fails; none of them counts then.
    """
    whole = _whole(text)
    head, text, tail = text[: whole.start], text[whole.start : whole.end], text[whole.end :]
    for each in operations:
        text = _DO[each.op](text, each)
        if len(text) > LARGEST:
            raise FormatError(f"the patch makes more than {LARGEST:,} characters of it")
    return head + text + tail


def apply_merge_patch(text: str, patch: str) -> str:
    """The text with a merge patch applied: what is null in the patch is removed, what is an object is merged.

    Raises:
        FormatError: It is no JSON, or has a key twice that the patch names.
    """
    whole, put = _whole(text), _whole(patch)
    merged = _merge(text[whole.start : whole.end], patch[put.start : put.end], 0)
    return text[: whole.start] + merged + text[whole.end :]


def pointed_at(operations: Sequence[Operation]) -> list[str]:
    """The places that operations change, with dots between their steps, as queries write them."""
    changed = [each.path for each in operations if each.op != "test"]
    changed += [each.source for each in operations if each.op == "move" and isinstance(each.source, str)]
    return [".".join(_steps(pointer, "")) for pointer in changed]


def merged_at(patch: str) -> list[str]:
    """The places that a merge patch changes, with dots between their steps."""
    whole = _whole(patch)
    text = patch[whole.start : whole.end]
    if text[:1] != "{":
        return [""]
    found = []
    for each in _members(text):
        inner = merged_at(text[each.value : each.end]) if text[each.value] == "{" else [""]
        found += [f"{each.name}.{path}" if path else each.name for path in inner or [""]]
    return found


# What stands where.


class _Member(NamedTuple):
    """A member of an object or an item of an array: its name, where it begins, its value begins, and where it ends."""

    name: str
    start: int
    value: int
    end: int


def _whole(text: str) -> Token:
    """Where the value of a text begins and ends, without the white space around it."""
    first = last = None
    for token in tokens(text):
        first, last = first or token, token
    if first is None or last is None:
        raise FormatError("it is empty, and no JSON")
    return Token(first.kind, first.start, last.end)


def _members(text: str) -> list[_Member]:
    """The members of the object, or the items of the array, that a text is."""
    found: list[_Member] = []
    depth, name, start, value = 0, "", -1, -1
    for token in tokens(text):
        kind = token.kind
        if kind in ("}", "]"):
            depth -= 1
        elif depth == 1 and kind == "key":
            name, start = string(text, token), token.start
            continue
        elif depth == 1:
            value = token.start
            start = value if start < 0 else start
        if kind in ("{", "["):
            depth += 1
        elif depth == 1 and kind != "key":
            found.append(_Member(str(len(found)) if text[0] == "[" else name, start, value, token.end))
            start = -1
    return found


def _find(text: str, steps: _Steps) -> tuple[int, int]:
    """Where the value begins and ends to which steps lead."""
    start, end = 0, len(text)
    for step in steps:
        inside = text[start:end]
        found = _named(inside, _members(inside) if inside[:1] in ("{", "[") else [], step)
        if found is None:
            raise FormatError(f"there is nothing at {_pointer(steps)!r}")
        start, end = start + found.value, start + found.end
    return start, end


def _named(container: str, members: Sequence[_Member], step: str) -> _Member | None:
    """The member of a name, or the item of a number."""
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


def _steps(pointer: str, said: str) -> _Steps:
    if pointer and not pointer.startswith("/"):
        raise FormatError(f"{said} has the path {pointer!r}, which does not begin with /.")
    steps = pointer.split("/")[1:]
    if any("~" in step.replace("~0", "").replace("~1", "") for step in steps):
        raise FormatError(f"{said} has a ~ in the path {pointer!r}: write ~0 for it, and ~1 for a /.")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def _pointer(steps: _Steps) -> str:
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)


# Splicing.


def _put(text: str, steps: _Steps, value: str, insert: bool) -> str:
    """The text with a value in a place: in that of what is there, or between its neighbours."""
    if not steps:
        return value
    start, end = _find(text, steps[:-1])
    inside, step = text[start:end], steps[-1]
    if inside[0] not in "{[":
        raise FormatError(f"{_pointer(steps[:-1])!r} is neither an object nor an array")
    members = _members(inside)
    found = _named(inside, members, step)
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


def _with_member(inside: str, members: Sequence[_Member], name: str, value: str) -> str:
    key = _quoted(name)
    if not members:
        return f"{{{key}:{value}}}"
    last = members[-1]
    colon = inside[last.start : last.value]
    colon = colon[colon.rindex(":") - len(colon) :] if ":" in colon else ":"
    lead = _lead(inside, members, len(members) - 1) or (" " if colon != ":" else "")
    return f"{inside[: last.end]},{lead}{key}{colon}{value}{inside[last.end :]}"


def _with_item(inside: str, members: Sequence[_Member], number: int, value: str) -> str:
    if not members:
        return f"[{value}]"
    if number == len(members):
        last = members[-1]
        return f"{inside[: last.end]},{_lead(inside, members, number - 1)}{value}{inside[last.end :]}"
    lead = _lead(inside, members, max(number, min(1, len(members) - 1)))
    at = members[number].start
    return f"{inside[:at]}{value},{lead}{inside[at:]}"


def _lead(inside: str, members: Sequence[_Member], number: int) -> str:
    """The white space before a member or an item."""
    before = inside[members[number - 1].end if number else 1 : members[number].start]
    return before.partition(",")[2] if number else before


def _without(text: str, steps: _Steps) -> str:
    _find(text, steps)
    start, end = _find(text, steps[:-1])
    inside = text[start:end]
    members = _members(inside)
    found = _named(inside, members, steps[-1])
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


# Operations.


def _add(text: str, operation: Operation) -> str:
    return _put(text, _steps(operation.path, ""), _value_of(operation), insert=True)


def _remove(text: str, operation: Operation) -> str:
    return _without(text, _steps(operation.path, ""))


def _replace(text: str, operation: Operation) -> str:
    return _put(text, _steps(operation.path, ""), _value_of(operation), insert=False)


def _move(text: str, operation: Operation) -> str:
    source = _steps(str(operation.source), "")
    start, end = _find(text, source)
    if operation.path == operation.source:
        return text
    return _put(_without(text, source), _steps(operation.path, ""), text[start:end], insert=True)


def _copy(text: str, operation: Operation) -> str:
    start, end = _find(text, _steps(str(operation.source), ""))
    return _put(text, _steps(operation.path, ""), text[start:end], insert=True)


def _test(text: str, operation: Operation) -> str:
    start, end = _find(text, _steps(operation.path, ""))
    if not _is_same(text[start:end], _value_of(operation)):
        raise FormatError(f"its value at {operation.path!r} is not the one that the patch tests for")
    return text


_DO: Final[Mapping[str, Callable[[str, Operation], str]]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _value_of(operation: Operation) -> str:
    assert not isinstance(operation.value, msgspec.UnsetType)
    return bytes(operation.value).decode()


class _Number(NamedTuple):
    """A number, which equals numbers alone: to Python 1 is True."""

    value: Decimal | str


def _is_same(one: str, other: str) -> bool:
    """Whether two values are equal (RFC 6902, 4.6): numbers by what they are worth, objects in any order."""
    if one == other:
        return True
    try:
        return bool(_plain(one) == _plain(other))
    except (RecursionError, InvalidOperation):
        return False


def _plain(text: str) -> Any:
    return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_Number)


def _number(text: str) -> _Number:
    return _Number(Decimal(text))


# Merging.


def _merge(text: str, patch: str, depth: int) -> str:
    if patch[0] != "{":
        return patch
    if depth > DEPTH:
        raise FormatError(f"the patch nests deeper than {DEPTH}")
    if text[:1] != "{":
        text = "{}"
    for each in _members(patch):
        value = patch[each.value : each.end]
        there = _named(text, _members(text), each.name)
        if value == "null":
            text = text if there is None else _without(text, (each.name,))
            continue
        before = "null" if there is None else text[there.value : there.end]
        after = _merge(before, value, depth + 1)
        if there is None or after != before:
            text = _put(text, (each.name,), after, insert=True)
    return text


def _check(patch: str, depth: int) -> None:
    """Refuse a merge patch that repeats a key or nests too deep."""
    whole = _whole(patch)
    text = patch[whole.start : whole.end]
    if depth > DEPTH:
        raise FormatError(f"it nests deeper than {DEPTH}")
    if text[0] != "{":
        return
    members = _members(text)
    if len({each.name for each in members}) < len(members):
        raise FormatError("it repeats a key")
    for each in members:
        if text[each.value] == "{":
            _check(text[each.value : each.end], depth + 1)
