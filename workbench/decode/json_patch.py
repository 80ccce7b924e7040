"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396), applied to JSON as it is written.

Nothing is decoded and written anew: what a patch does not name stays as it was written, numbers, escapes, order and
white space alike, and what it puts in is written as in the patch.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, NamedTuple

import msgspec

from workbench.decode.json_splice import SPACES, Steps, bounds, find, members_of, named, put, without
from workbench.model.content import DEPTH
from workbench.model.errors import FormatError

LARGEST: Final = 64 << 20
"""Characters that a patched text may have: copies of copies grow fast."""


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
        bounds(text)
        _check(text, 0)
    except FormatError as error:
        raise FormatError(f"This is no JSON Merge Patch: {str(error).removesuffix('.')}.") from None
    return text


def apply_patch(text: str, operations: Sequence[Operation]) -> str:
    """The text with each operation done, one after the other.

    Raises:
        FormatError: It is no JSON, an operation cannot be done, or a test fails; none of them counts then.
    """
    start, end = bounds(text)
    head, text, tail = text[:start], text[start:end], text[end:]
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
    start, end = bounds(text)
    return text[:start] + _merge(text[start:end], patch.strip(SPACES), 0) + text[end:]


def pointed_at(operations: Sequence[Operation]) -> list[str]:
    """The places that operations change, with dots between their steps, as queries write them."""
    changed = [each.path for each in operations if each.op != "test"]
    changed += [each.source for each in operations if each.op == "move" and isinstance(each.source, str)]
    return [".".join(_steps(pointer, "")) for pointer in changed]


def merged_at(patch: str) -> list[str]:
    """The places that a merge patch changes, with dots between their steps."""
    text = patch.strip(SPACES)
    if text[:1] != "{":
        return [""]
    found = []
    for each in members_of(text):
        inner = merged_at(text[each.value : each.end]) if text[each.value] == "{" else [""]
        found += [f"{each.name}.{path}" if path else each.name for path in inner or [""]]
    return found


# Operations.


def _steps(pointer: str, said: str) -> Steps:
    if pointer and not pointer.startswith("/"):
        raise FormatError(f"{said} has the path {pointer!r}, which does not begin with /.")
    steps = pointer.split("/")[1:]
    if any("~" in step.replace("~0", "").replace("~1", "") for step in steps):
        raise FormatError(f"{said} has a ~ in the path {pointer!r}: write ~0 for it, and ~1 for a /.")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def _add(text: str, operation: Operation) -> str:
    return put(text, _steps(operation.path, ""), _value_of(operation), insert=True)


def _remove(text: str, operation: Operation) -> str:
    return without(text, _steps(operation.path, ""))


def _replace(text: str, operation: Operation) -> str:
    return put(text, _steps(operation.path, ""), _value_of(operation), insert=False)


def _move(text: str, operation: Operation) -> str:
    source = _steps(str(operation.source), "")
    start, end = find(text, source)
    if operation.path == operation.source:
        return text
    return put(without(text, source), _steps(operation.path, ""), text[start:end], insert=True)


def _copy(text: str, operation: Operation) -> str:
    start, end = find(text, _steps(str(operation.source), ""))
    return put(text, _steps(operation.path, ""), text[start:end], insert=True)


def _test(text: str, operation: Operation) -> str:
    start, end = find(text, _steps(operation.path, ""))
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
    for each in members_of(patch):
        value = patch[each.value : each.end]
        there = named(text, members_of(text), each.name)
        if value == "null":
            text = text if there is None else without(text, (each.name,))
            continue
        before = "null" if there is None else text[there.value : there.end]
        after = _merge(before, value, depth + 1)
        if there is None or after != before:
            text = put(text, (each.name,), after, insert=True)
    return text


def _check(patch: str, depth: int) -> None:
    """Refuse a merge patch that repeats a key or nests too deep."""
    text = patch.strip(SPACES)
    if depth > DEPTH:
        raise FormatError(f"it nests deeper than {DEPTH}")
    if text[0] != "{":
        return
    members = members_of(text)
    if len({each.name for each in members}) < len(members):
        raise FormatError("it repeats a key")
    for each in members:
        if text[each.value] == "{":
            _check(text[each.value : each.end], depth + 1)
