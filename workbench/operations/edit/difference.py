"""What an event differs in from the one that it was made of: as data, and in lines for people.

Bodies that are JSON are compared value by value, each as it is written: 1.0 is not 1. Other texts are compared line by
line, what is no text only by its size. However large two events are, comparing them takes bounded time and memory.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from itertools import islice, zip_longest
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from workbench.decode.body_text import editable_text
from workbench.decode.display import cells, visible
from workbench.decode.json_text import string, tokens
from workbench.model import wire
from workbench.model.content import Content, Value
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.values import bytes_text, value_to_copy, value_type
from workbench.query.condition import path_text

MOST: Final = 1_000
"""Changes that are told at most."""
VALUE: Final = 4_000
"""Characters of a value that are told at most."""
_COMPARED: Final = 256 * 1024
"""Characters of a JSON body beyond which it is compared as any text is."""
_DEEP: Final = 50
"""Levels of a JSON body that are compared value by value; what is deeper, as a whole."""
_LINES: Final = 400
"""Lines in which texts may differ, between those that are alike at their beginning and end, to be told one by one."""
_HIDDEN: Final = "***"
_KEPT: Final = 20
"""Characters that are told of what is alike before two long texts differ."""

What = Literal["key", "property", "header", "body"]
_Steps: TypeAlias = tuple[str | int, ...]


class Change(msgspec.Struct, frozen=True):
    """One thing in which two events differ.

    Attributes:
        what: What it is of.
        steps: The name of the header or property; the names and numbers that lead to a value in a JSON body; else none.
        before: What it was, as text; None: it was not there.
        after: What it is, as text; None: it is not there.
        line: Which line of a body that is no JSON, counted from 1 in the one where it is; 0: none.
    """

    what: What
    steps: tuple[str | int, ...]
    before: str | None
    after: str | None
    line: int = 0

    @property
    def place(self) -> str:
        """Where it is, as queries write it where they can: `header.tenant`, `body.items[0].id`, `body line 3`."""
        if self.line:
            return f"{self.what} line {self.line}"
        if self.what == "key":
            return self.what
        try:
            return path_text(self.what, self.steps)
        except FormatError:
            return ".".join((self.what, *map(str, self.steps)))


def difference(before: Event, after: Event, masked: tuple[Event, Event] | None = None) -> list[Change]:
    """In what an event differs from the one that it was made of, `MOST` changes at most.

    Args:
        before: The event that was.
        after: The one that is.
        masked: The two as they may be seen; what differs and is masked is told, but not what it is. None: nothing is
            masked.
    """
    return list(islice(_changes(before, after, masked or (before, after)), MOST))


def diff_lines(changes: Iterable[Change], width: int | None = None) -> Iterator[str]:
    """Changes in lines for people, safe for a terminal: `- header.tenant  north`, `+ header.tenant  south`.

    Args:
        changes: As `difference` has them.
        width: At most so many terminal cells of a line; None: everything.
    """
    for change in changes:
        place = visible(change.place, None if width is None else max(width // 2, 8))
        room = None if width is None else max(width - cells(place) - 4, 4)
        before, after = _around(change.before, change.after, room)
        for sign, value in (("-", before), ("+", after)):
            if value is not None:
                yield f"{sign} {place}  {visible(value, room)}".rstrip()


def _changes(before: Event, after: Event, shown: tuple[Event, Event]) -> Iterator[Change]:
    if before.key != after.key:
        old_key, new_key = [None if each.key is None else bytes_text(each.key) for each in shown]
        yield _change("key", (), old_key, new_key)
    # Two that are equal to Python may be of two types: 1 is True.
    if before.wire is None or after.wire is None or before.wire != after.wire:
        old, new = _Fields(before, shown[0]), _Fields(after, shown[1])
        yield from _of_fields("property", old.properties, new.properties, old.seen | new.seen)
        yield from _of_fields("header", old.headers, new.headers, old.seen | new.seen)
    if before.body != after.body:
        yield from _of_body(before, after, shown)


def _change(what: What, steps: _Steps, before: str | None, after: str | None, line: int = 0) -> Change:
    return Change(what, steps, *_around(before, after, VALUE), line)


def _around(before: str | None, after: str | None, room: int | None) -> tuple[str | None, str | None]:
    """Two texts, of which what they have in common at the beginning is cut where they are too long to be told."""
    if room is None or max(len(before or ""), len(after or "")) <= room:
        return before, after
    alike = 0
    if before is not None and after is not None:
        most = min(len(before), len(after))
        alike = next((at for at in range(most) if before[at] != after[at]), most)
    begin = max(alike - min(_KEPT, room // 3), 0)
    return _cut(before, begin, room), _cut(after, begin, room)


def _cut(text: str | None, begin: int, room: int) -> str | None:
    if text is None or (begin == 0 and len(text) <= room):
        return text
    head = "…" if begin else ""
    kept = text[begin : begin + room - len(head)]
    return f"{head}{kept[:-1]}…" if begin + len(kept) < len(text) else head + kept


# Headers and properties.


class _Field(NamedTuple):
    """A value, the name of its type, and how it may be shown."""

    value: Value
    type: str
    shown: str


_Named: TypeAlias = Mapping[str, Sequence[_Field]]


class _Fields:
    """The headers and properties of an event by their names, how they may be shown, and the names that may."""

    def __init__(self, event: Event, shown: Event) -> None:
        content, seen = _content(event), _content(shown)
        try:
            types = [kind for _, kind in wire.field_types(event.wire)] if event.wire is not None else []
        except FormatError:
            types = []
        texts: dict[str, list[str]] = {}
        for name, value in seen.headers:
            texts.setdefault(name, []).append(_text_of(value))
        headers: dict[str, list[_Field]] = {}
        for number, (name, value) in enumerate(content.headers):
            kind = types[number] if number < len(types) else value_type(value)
            fields, told = headers.setdefault(name, []), texts.get(name, [])
            fields.append(_Field(value, kind, told[len(fields)] if len(fields) < len(told) else _HIDDEN))
        self.headers: Final[_Named] = headers
        self.properties: Final[_Named] = {
            name: [_Field(value, value_type(value), _text_of(seen.properties.get(name, _HIDDEN)))]
            for name, value in content.properties.items()
        }
        self.seen: Final = frozenset((*texts, *seen.properties))


def _content(event: Event) -> Content:
    try:
        return event.content
    except FormatError:
        return Content()


def _of_fields(what: What, before: _Named, after: _Named, seen: Set[str]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        for old, new in zip_longest(before.get(name, ()), after.get(name, ())):
            if old is not None and new is not None:
                if old.type == new.type and _is_equal(old.value, new.value):
                    continue
                typed = old.type != new.type and old.shown == new.shown
                was, now = [f"{each.shown} ({each.type})" if typed else each.shown for each in (old, new)]
            else:
                was, now = [None if each is None else each.shown for each in (old, new)]
            yield _change(what, (name if name in seen else _HIDDEN,), was, now)


def _is_equal(one: Value, other: Value) -> bool:
    """Whether two values are the same. NaN is, though it does not equal itself, or refuses to be compared at all."""
    with suppress(ArithmeticError):
        if one == other:
            return True
    with suppress(ValueError):
        return repr(one) == repr(other)
    # Python writes no integer of so many digits.
    return False


def _text_of(value: Value) -> str:
    try:
        return value_to_copy(value)
    except ValueError:
        # As above, within a table or an array.
        return value_type(value)


# Bodies.


def _of_body(before: Event, after: Event, shown: tuple[Event, Event]) -> Iterator[Change]:
    try:
        old, new = (editable_text(each) for each in (before, after))
        old_shown, new_shown = (
            text if seen is own else editable_text(seen)
            for text, own, seen in ((old, before, shown[0]), (new, after, shown[1]))
        )
    except FormatError:
        yield Change("body", (), _size(before.body), _size(after.body))
        return
    told = False
    if before.body and after.body:
        one, other = _tree(old), _tree(new)
        if one is not None and other is not None:
            # What is not masked is read once.
            seen = [
                tree if text is own else _tree(text)
                for tree, own, text in ((one, old, old_shown), (other, new, new_shown))
            ]
            for change in _of_json((), one, other, seen[0], seen[1]):
                told = True
                yield change
    elif before.body is None or after.body is None:
        told = True
        was = None if before.body is None else old_shown
        yield _change("body", (), was, None if after.body is None else new_shown)
    if not told:
        lines = _of_lines(old_shown.splitlines(), new_shown.splitlines())
        first = next(lines, None)
        if first is not None:
            yield first
            yield from lines
        elif old != new and old_shown == new_shown and (old, new) != (old_shown, new_shown):
            yield Change("body", (), _HIDDEN, _HIDDEN)
        else:
            # The same text in other bytes: with other line ends, or compressed anew.
            yield Change("body", (), _size(before.body), _size(after.body))


def _size(body: bytes | None) -> str | None:
    return None if body is None else f"{len(body):,} bytes"


class _Node(NamedTuple):
    """A JSON value as it is written, and what is in it; of what is deeper than `_DEEP`, nothing."""

    text: str
    members: "dict[str, _Node] | None" = None
    items: "list[_Node] | None" = None


def _tree(text: str) -> _Node | None:
    """A text as JSON; None: it is none, is too large, or repeats a key."""
    if len(text) > _COMPARED:
        return None
    open_: list[tuple[int, dict[str, _Node] | list[_Node], str]] = []
    name, deeper, begin = "", 0, 0
    whole: _Node | None = None
    try:
        for token in tokens(text):
            kind = token.kind
            if kind == "key":
                name = name if deeper else string(text, token)
                continue
            if kind in ("{", "["):
                if deeper or len(open_) == _DEEP:
                    begin = begin if deeper else token.start
                    deeper += 1
                else:
                    open_.append((token.start, {} if kind == "{" else [], name))
                continue
            if kind not in ("}", "]"):
                if deeper:
                    continue
                node = _Node(text[token.start : token.end])
            elif deeper > 1:
                deeper -= 1
                continue
            elif deeper:
                deeper, node = 0, _Node(text[begin : token.end])
            else:
                start, held, name = open_.pop()
                written = text[start : token.end]
                node = _Node(written, held) if isinstance(held, dict) else _Node(written, None, held)
            if not open_:
                whole = node
            elif isinstance(container := open_[-1][1], list):
                container.append(node)
            elif name in container:
                return None
            else:
                container[name] = node
    except FormatError:
        return None
    return whole


def _of_json(steps: _Steps, before: _Node, after: _Node, old: _Node | None, new: _Node | None) -> Iterator[Change]:
    """In what two values differ; `old` and `new` are how they may be shown, None: not at all."""
    if before.text == after.text:
        return
    if before.members is not None and after.members is not None:
        if _is_hidden(old, new):
            yield _json_change(steps, _HIDDEN, _HIDDEN)
            return
        for name in dict.fromkeys((*before.members, *after.members)):
            there, here = before.members.get(name), after.members.get(name)
            seen = [None if each is None or each.members is None else each.members.get(name) for each in (old, new)]
            yield from _of_pair((*steps, name), there, here, seen[0], seen[1])
    elif before.items is not None and after.items is not None:
        if _is_hidden(old, new):
            yield _json_change(steps, _HIDDEN, _HIDDEN)
            return
        yield from _of_items(steps, (before.items, after.items), [each.items if each else None for each in (old, new)])
    elif not _is_same(before.text, after.text):
        yield _json_change(steps, _shown(before, old), _shown(after, new))


def _of_items(
    steps: _Steps, items: tuple[list[_Node], list[_Node]], shown: Sequence[list[_Node] | None]
) -> Iterator[Change]:
    """Of arrays, those items that neither all begin nor all end with."""
    before, after = items
    shortest = min(len(before), len(after))
    head = next((at for at in range(shortest) if before[at].text != after[at].text), shortest)
    most = shortest - head
    tail = next((at for at in range(most) if before[-1 - at].text != after[-1 - at].text), most)
    for at in range(head, max(len(before), len(after)) - tail):
        there = before[at] if at < len(before) - tail else None
        here = after[at] if at < len(after) - tail else None
        seen = [each[at] if each is not None and at < len(each) else None for each in shown]
        yield from _of_pair((*steps, at), there, here, seen[0], seen[1])


def _of_pair(
    steps: _Steps, before: _Node | None, after: _Node | None, old: _Node | None, new: _Node | None
) -> Iterator[Change]:
    if before is not None and after is not None:
        yield from _of_json(steps, before, after, old, new)
    else:
        yield _json_change(
            steps,
            None if before is None else _shown(before, old),
            None if after is None else _shown(after, new),
        )


def _is_hidden(old: _Node | None, new: _Node | None) -> bool:
    return all(each is None or (each.members is None and each.items is None) for each in (old, new))


def _shown(node: _Node, seen: _Node | None) -> str:
    return _HIDDEN if seen is None else seen.text


def _json_change(steps: _Steps, before: str | None, after: str | None) -> Change:
    return _change("body", steps, before, after)


def _is_same(one: str, other: str) -> bool:
    """Whether two values that hold no others say the same: a number as it is written, a string however escaped."""
    if not (one.startswith('"') and other.startswith('"')):
        return False
    first, second = ([string(text, token) for token in tokens(text)] for text in (one, other))
    return first == second


def _of_lines(before: list[str], after: list[str]) -> Iterator[Change]:
    shortest = min(len(before), len(after))
    head = next((at for at in range(shortest) if before[at] != after[at]), shortest)
    most = shortest - head
    tail = next((at for at in range(most) if before[-1 - at] != after[-1 - at]), most)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if max(len(old), len(new)) > _LINES:
        yield Change("body", (), f"{len(old):,} lines", f"{len(new):,} lines", head + 1)
        return
    for tag, start, stop, begin, end in difflib.SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            continue
        for at, (there, here) in enumerate(zip_longest(old[start:stop], new[begin:end])):
            number = head + 1 + at + (begin if here is not None else start)
            yield _change("body", (), there, here, number)
