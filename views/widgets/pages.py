"""What the inspector's tabs hold: an event's body, headers, facts and bytes, as rows of which only those seen are made.

A row's pieces hold a stranger's texts as they came: whoever draws them does so through `display.shown`.
"""

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

from workbench.decode import codec
from workbench.decode.display import cells, fitting, shown
from workbench.decode.outline import Outline
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event, TimestampType
from workbench.model.wire import Value, field_types
from workbench.query.query import Reading

LAID_OUT: Final = 8 * 1024 * 1024
"""Bytes of a body that are shown as JSON or text; Raw shows all."""
VALUES: Final = 256 * 1024
"""Characters shown of MessagePack and CBOR."""
LONGEST: Final = 16 * 1024
"""Characters shown of one value."""
LISTED: Final = 20_000
"""Headers and values in them that are listed."""
FOUND: Final = 10_000
"""Places found of which more are not counted."""
STEPS: Final = 1_000
"""Lines that are read at once; a few milliseconds."""
_DEEPEST: Final = 30
"""Levels beyond which lines are not set in further."""


_HEX: Final = re.compile(r"0x(?:[0-9a-f]{2})+|[0-9a-f]{2}(?: [0-9a-f]{2})+", re.IGNORECASE)


Tab = Literal["Body", "Headers", "Facts", "Raw"]


class Piece(NamedTuple):
    """A part of a row.

    Attributes:
        text: As it came.
        look: How it is drawn: a token of JSON, `heading`, `dim`, or empty.
        place: Where the page can find it: of its first character, the rest follow; -1: nothing is found in it.
        whole: Whether all of it stands for one place, as two digits do for a byte.
        width: Cells to cut it or fill it to; 0: as many as it takes.
    """

    text: str
    look: str = ""
    place: int = -1
    whole: bool = False
    width: int = 0


class Row(NamedTuple):
    """What stands in a row, and how far what is wrapped is set in."""

    pieces: list[Piece]
    indent: int = 0


class Page:
    """What one tab holds. Row 0 is a heading; a page that is not `complete` grows by `read_on`."""

    complete = True
    """Whether all rows are known."""

    def __init__(self, heading: str) -> None:
        self.heading = heading
        """What the page shows."""
        self.cursor = 0
        """The row at the cursor."""

    @property
    def rows(self) -> int:
        """How many rows are known."""
        return 1

    def row(self, number: int, width: int) -> Row:
        """One row.

        Args:
            number: Which, from 0.
            width: Cells that there are.
        """
        return Row([Piece(self.heading, "heading")])

    def copied(self, number: int) -> str:
        """The value in a row; of the heading: of the whole page."""
        return ""

    def toggle(self, number: int) -> None:
        """Fold or unfold what is in a row."""

    def resize(self, width: int) -> None:
        """Arrange the rows for so many cells; rows may be other ones then."""

    def read_on(self) -> None:
        """Get to know more rows.

        Raises:
            FormatError: It is not what the page took it for.
        """

    def places(self, text: str) -> Sequence[int]:
        """Where a text is, in upper or lower case; at most one more than `FOUND`."""
        return array("Q")

    def covers(self, text: str) -> int:
        """How many places a text takes."""
        return len(text)

    def row_of(self, place: int) -> int | None:
        """The row of a place, unfolding what it is in; None: it is not known yet."""
        return 0

    def place_of(self, number: int) -> int:
        """The first place in or behind a row."""
        return 0


class Sentence(Page):
    """A page that has only this to say."""

    def __init__(self, heading: str, sentence: str) -> None:
        super().__init__(heading)
        self._sentence = sentence

    @property
    def rows(self) -> int:
        return 2

    def row(self, number: int, width: int) -> Row:
        return Row([Piece(self._sentence, "dim")]) if number else super().row(number, width)


class Tree(Page):
    """Values that can be folded."""

    def __init__(self, heading: str, outline: Outline) -> None:
        super().__init__(heading)
        self._outline = outline
        outline.read_on(STEPS)

    @property
    def complete(self) -> bool:  # type: ignore[override]
        return self._outline.complete

    @property
    def rows(self) -> int:
        return 1 + self._outline.rows

    def read_on(self) -> None:
        self._outline.read_on(STEPS)

    def row(self, number: int, width: int) -> Row:
        if not number:
            return Row([Piece(self.heading if self.complete else f"{self.heading} · reading on …", "heading")])
        outline = self._outline
        line = outline.line(number - 1)
        indent = min(2 * min(outline.depth(line), _DEEPEST), width // 2)
        folds, folded = outline.can_fold(line), outline.is_folded(line)
        pieces = [Piece(" " * indent), Piece("▸ " if folded else "▾ " if folds else "  ", "sign")]
        for look, start, end in outline.parts(line):
            text = outline.text[start : min(end, start + LONGEST)]
            pieces.append(Piece(text, look, start))
            if end - start > LONGEST:
                pieces.append(Piece(f"… of {end - start:,} characters", "dim"))
            if look == "key":
                pieces.append(Piece(": ", "mark"))
        if folds and folded:
            members = outline.members(line)
            what = "field" if outline.closing(line) == "}" else "item"
            pieces.append(Piece(f" … {members:,} {what}{'' if members == 1 else 's'} ", "dim"))
            pieces.append(Piece(outline.closing(line), "mark"))
        if outline.has_comma(line, folds and folded):
            pieces.append(Piece(",", "mark"))
        return Row(pieces, indent + 4)

    def copied(self, number: int) -> str:
        return self._outline.copied(self._outline.line(number - 1)) if number else self._outline.text

    def toggle(self, number: int) -> None:
        if number:
            self._outline.toggle(self._outline.line(number - 1))

    def places(self, text: str) -> Sequence[int]:
        return _found(text, self._outline.text)

    def row_of(self, place: int) -> int | None:
        if not self.complete and place >= self._outline.read_to:
            return None
        line = self._outline.line_at(place)
        self._outline.reveal(line)
        return 1 + self._outline.row(line)

    def place_of(self, number: int) -> int:
        return self._outline.start(self._outline.line(number - 1)) if number else 0


class Prose(Page):
    """Text, its lines wrapped."""

    complete = False

    def __init__(self, heading: str, text: str) -> None:
        super().__init__(heading)
        self._text = text
        self._width = 0
        self._starts = array("I")
        self._at = 0

    @property
    def rows(self) -> int:
        return 1 + len(self._starts)

    def resize(self, width: int) -> None:
        if width != self._width:
            before = self.place_of(self.cursor) if self.cursor else -1
            self._width, self._at, self.complete = width, 0, False
            self._starts = array("I")
            self.read_on()
            if before >= 0:
                self.cursor = min(bisect_right(self._starts, before), len(self._starts))

    def read_on(self) -> None:
        text, width = self._text, max(self._width, 1)
        # A letter takes a cell at least, with up to two marks.
        most = 3 * (width + 1)
        at = self._at
        for _ in range(STEPS):
            if at >= len(text):
                self.complete = True
                break
            self._starts.append(at)
            end = text.find("\n", at, at + most)
            ahead = text[at : end if end >= 0 else at + most]
            at += fitting(ahead, width) if ahead else 0
            at += at == end
        self._at = at

    def row(self, number: int, width: int) -> Row:
        if not number:
            return Row([Piece(self.heading if self.complete else f"{self.heading} · reading on …", "heading")])
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else self._at
        return Row([Piece(self._text[start:end].removesuffix("\n"), "", start)])

    def copied(self, number: int) -> str:
        """The line, however many rows it takes."""
        if not number:
            return self._text
        place = self._starts[number - 1]
        end = self._text.find("\n", place)
        return self._text[self._text.rfind("\n", 0, place) + 1 : end if end >= 0 else None]

    def places(self, text: str) -> Sequence[int]:
        return _found(text, self._text)

    def row_of(self, place: int) -> int | None:
        return bisect_right(self._starts, place) if self.complete or place < self._at else None

    def place_of(self, number: int) -> int:
        return self._starts[number - 1] if number else 0


class Bytes(Page):
    """Bytes in hex, some under the heading and some under headings of their own."""

    def __init__(self, heading: str, sections: Sequence[tuple[str, bytes]]) -> None:
        super().__init__(heading)
        self._sections = sections
        self.resize(80)

    def resize(self, width: int) -> None:
        self._each = each = 16 if width >= 76 else 8 if width >= 43 else 4
        self._begins: list[tuple[int, int]] = []
        row = place = 0
        for title, data in self._sections:
            self._begins.append((row, place))
            row += bool(title) + -(-len(data) // each)
            place += len(data)
        self._rows = row

    @property
    def rows(self) -> int:
        return 1 + self._rows

    def _find(self, number: int) -> tuple[str, bytes, int, int]:
        """The section that a row is in, its title and bytes; where in them the row begins, less than 0: it is the
        title; and the place of the first of them."""
        which = bisect_right(self._begins, number - 1, key=lambda begin: begin[0]) - 1
        title, data = self._sections[which]
        row, place = self._begins[which]
        return title, data, (number - 1 - row - bool(title)) * self._each, place

    def row(self, number: int, width: int) -> Row:
        if not number:
            return super().row(number, width)
        title, data, start, place = self._find(number)
        if start < 0:
            return Row([Piece(title, "heading")])
        each = self._each
        row = data[start : start + each]
        pieces = [Piece(f"{start:08x}", "dim"), Piece("  ")]
        for at, byte in enumerate(row):
            pieces.append(Piece(f"{byte:02x}", "number" if byte else "dim", place + start + at, whole=True))
            pieces.append(Piece("  " if at == 7 and each == 16 else " "))
        missing = each - len(row)
        pieces.append(Piece(" " * (3 * missing + (each == 16 and len(row) < 8) + 1)))
        plain = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        return Row([*pieces, Piece(plain, "string", place + start)])

    def copied(self, number: int) -> str:
        """A row's bytes, or all under a heading."""
        if not number:
            return self._sections[0][1].hex() if self._sections else ""
        _, data, start, _ = self._find(number)
        return data.hex() if start < 0 else data[start : start + self._each].hex(" ")

    def places(self, text: str) -> Sequence[int]:
        """Where a text is in its bytes; `0x1f8b` and `1f 8b` are the bytes they say."""
        data = _digits(text)
        pattern = re.compile(re.escape(data or text.encode("utf-8", "surrogatepass")), 0 if data else re.IGNORECASE)
        found = array("Q")
        for (_, part), (_, place) in zip(self._sections, self._begins, strict=True):
            found.extend(place + match.start() for match in islice(pattern.finditer(part), FOUND + 1 - len(found)))
        return found

    def covers(self, text: str) -> int:
        return len(_digits(text) or text.encode("utf-8", "surrogatepass"))

    def row_of(self, place: int) -> int | None:
        which = bisect_right(self._begins, place, key=lambda begin: begin[1]) - 1
        row, begin = self._begins[which]
        return 1 + row + bool(self._sections[which][0]) + (place - begin) // self._each

    def place_of(self, number: int) -> int:
        if not number:
            return 0
        _, _, start, place = self._find(number)
        return place + max(start, 0)


class Entry(NamedTuple):
    """A row of a list: its cells, of which only a heading has one; and the value that is copied of it."""

    cells: tuple[str, ...]
    value: Value = ""


class Entries(Page):
    """Names and values, one of their columns as wide as there is room."""

    def __init__(self, heading: str, entries: Sequence[Entry], wide: int) -> None:
        super().__init__(heading)
        self._entries = entries
        self._wide = wide
        self._columns = [
            max((cells(shown(entry.cells[column], 40)) for entry in entries if len(entry.cells) > 1), default=0)
            for column in range(3)
        ]
        self._text = "\n".join(cell for entry in entries for cell in entry.cells)
        self._begins = array("Q")
        at = 0
        for entry in entries:
            self._begins.append(at)
            at += sum(len(cell) + 1 for cell in entry.cells)

    @property
    def rows(self) -> int:
        return 1 + len(self._entries)

    def row(self, number: int, width: int) -> Row:
        if not number:
            return super().row(number, width)
        entry = self._entries[number - 1]
        place = self._begins[number - 1]
        if len(entry.cells) == 1:
            return Row([Piece(entry.cells[0], "heading", place)])
        columns = [min(column, width // 3) for column in self._columns]
        columns[self._wide] = max(width - sum(columns) + columns[self._wide] - 4, 4)
        pieces: list[Piece] = []
        indent = 0
        for column, (cell, look) in enumerate(zip(entry.cells, _LOOKS[self._wide], strict=True)):
            last = column == len(entry.cells) - 1
            pieces.append(Piece(cell[:LONGEST], look, place, width=0 if last else columns[column]))
            if len(cell) > LONGEST:
                pieces.append(Piece(f"… of {len(cell):,} characters", "dim"))
            if not last:
                pieces.append(Piece("  "))
            indent += columns[column] + 2 if column < self._wide else 0
            place += len(cell) + 1
        return Row(pieces, indent)

    def copied(self, number: int) -> str:
        if number:
            return _copied(self._entries[number - 1].value)
        return "\n".join("\t".join(entry.cells) for entry in self._entries)

    def places(self, text: str) -> Sequence[int]:
        return _found(text, self._text)

    def row_of(self, place: int) -> int | None:
        return bisect_right(self._begins, place)

    def place_of(self, number: int) -> int:
        return self._begins[number - 1] if number else 0


_LOOKS: Final = {1: ("key", "", "dim"), 2: ("key", "dim", "")}
"""How the columns of a list look, by which of them is the widest."""


# The four tabs.


def page(tab: Tab, delivery: Delivery, reading: Reading, broken: str = "") -> Page:
    """What a tab shows of an event.

    Args:
        tab: Which.
        delivery: As it may be seen.
        reading: Says the facts.
        broken: Why the body turned out not to be the JSON that it began as; empty: it is not known to be.
    """
    match tab:
        case "Body":
            return _body(delivery.event, broken)
        case "Headers":
            return _headers(delivery.event)
        case "Facts":
            return _facts(delivery, reading)
        case "Raw":
            return _raw(delivery.event)


def _body(event: Event, broken: str) -> Page:
    if event.body is None:
        return Sentence("null", "There is no body: a tombstone, which is not the same as an empty body.")
    if not event.body:
        return Sentence("empty", "The body is empty: it has no bytes.")
    read = codec.read(event)
    said = [f"{read.size:,} {'byte' if read.size == 1 else 'bytes'}", *read.notes]
    if broken:
        said.append(broken)
    if read.format in ("JSON", "text"):
        text, cut = codec.text_of(event, LAID_OUT)
        if cut:
            said.append(f"its first {len(text):,} characters")
        if text and read.format == "JSON" and not broken:
            return Tree(" · ".join(("JSON", *said)), Outline.of_json(text, cut))
        if text:
            return Prose(" · ".join(("text", *said)), text)
    if read.format in ("MessagePack", "CBOR"):
        if read.truncated:
            read = codec.read(event, VALUES)
        if read.truncated:
            said.append(f"its first {len(read.text):,} characters")
        return Tree(" · ".join((read.format, *said)), Outline.of_lines(read.text))
    data = codec.decode(event).data
    return Bytes(" · ".join(("no text, in hex", *said)), (("", data),))


def _headers(event: Event) -> Page:
    try:
        content = event.content
        sent = [kind for _, kind in field_types(event.wire)] if event.wire is not None else []
    except FormatError as error:
        return Sentence("not readable", f"{error} Raw shows their bytes.")
    entries: list[Entry] = []
    if content.properties:
        entries.append(Entry(("Properties",)))
        for name, value in content.properties.items():
            entries += _entries(name, value, _property_type(name, value), 0)
    if content.headers:
        entries.append(Entry(("Headers",)))
    kinds = sent or [_type(value) for _, value in content.headers]
    for number, ((name, value), kind) in enumerate(zip(content.headers, kinds, strict=True)):
        entries += islice(_entries(name, value, kind, 0), LISTED)
        if len(entries) > LISTED:
            entries.append(Entry((f"and {len(content.headers) - number - 1:,} headers more",)))
            break
    heading = f"{_count(len(content.headers), 'header')}, {_count(len(content.properties), 'property')}"
    return Entries(heading, entries, 2)


def _facts(delivery: Delivery, reading: Reading) -> Page:
    event = delivery.event
    found = reading.facts(delivery).found
    entries = [Entry(("What the conventions say" if found else "No convention says anything of this event",))]
    for fact in found:
        entries.append(Entry((fact.kind, fact.value, f"{fact.convention} · {fact.source}"), fact.value))
    entries.append(Entry(("Where and when it was seen",)))
    for name, value, note in _seen(delivery):
        entries.append(Entry((name, value, note), value))
    entries.append(Entry(("What it is made of",)))
    for name, value, note in _made_of(event):
        entries.append(Entry((name, value, note), value))
    conventions = len({fact.convention for fact in found})
    heading = f"{_count(len(found), 'fact')} by {_count(conventions, 'convention')}"
    return Entries(heading, entries, 1)


def _raw(event: Event) -> Page:
    sections = [("", event.body or b"")]
    if event.key:
        sections.append((f"Key · {_count(len(event.key), 'byte')}", event.key))
    if event.wire is not None:
        data = event.wire.data
        sections.append((f"Properties and headers · {event.wire.encoding} · {_count(len(data), 'byte')}", data))
    body = "null" if event.body is None else "empty" if not event.body else _count(len(event.body), "byte")
    return Bytes(f"Body · {body}", sections)


def _found(text: str, where: str) -> Sequence[int]:
    pattern = re.compile(re.escape(text), re.IGNORECASE)
    return array("Q", (match.start() for match in islice(pattern.finditer(where), FOUND + 1)))


def _digits(text: str) -> bytes:
    """The bytes that hex digits are, if they are written as such: `0x1f8b` or `1f 8b`; none where they are not."""
    digits = _HEX.fullmatch(text)
    return bytes.fromhex(text.strip().lower().removeprefix("0x")) if digits else b""


def _count(number: int, what: str) -> str:
    plural = what if number == 1 else f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number:,} {plural}"


# Headers.


def _entries(name: str, value: Value, kind: str, depth: int) -> Iterator[Entry]:
    """The rows of a value: its own, and those of what is in it."""
    name = "  " * depth + (name or "(no name)")
    if isinstance(value, Mapping):
        yield Entry((name, kind, _count(len(value), "field")), value)
        members: Iterator[tuple[str, Value]] = iter(value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        yield Entry((name, kind, _count(len(value), "item")), value)
        members = ((f"[{number}]", item) for number, item in enumerate(value))
    else:
        text = _text(value)
        number = _number(value)
        yield Entry((name, kind, text if number is None else f"{text} (as a number: {number:,})"), value)
        return
    for inner, item in islice(members, LISTED):
        yield from _entries(inner, item, _type(item), depth + 1)


def _text(value: Value) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case bytes():
            return _bytes(value)
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def _bytes(data: bytes) -> str:
    try:
        return f"0x{data.hex()}" if _number(data) is not None else data.decode()
    except UnicodeDecodeError:
        return f"0x{data.hex()}"


def _number(value: Value) -> int | None:
    """The integer in bytes that are as long as one and hold what no text does: so Spring writes partitions."""
    if not isinstance(value, bytes) or len(value) not in (1, 2, 4, 8) or min(value) > 8:
        return None
    return int.from_bytes(value, signed=True)


def _copied(value: Value) -> str:
    """A value as text, tables and arrays as JSON."""
    nested = isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes)
    return json.dumps(value, default=_text, ensure_ascii=False) if nested else _text(value)


def _type(value: Value) -> str:
    for kind, name in _NAMES:
        if isinstance(value, kind):
            return name
    return type(value).__name__


_NAMES: Final[Sequence[tuple[Any, str]]] = (
    (type(None), "null"),
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (Decimal, "decimal"),
    (str, "string"),
    (bytes, "bytes"),
    (datetime, "timestamp"),
    (Mapping, "table"),
    (Sequence, "array"),
)


def _property_type(name: str, value: Value) -> str:
    if name == "timestamp":
        return "timestamp"
    return "uint8" if isinstance(value, int) else "string"


# Facts.


_SET_BY: Final[Mapping[TimestampType, str]] = {
    "create": "set by the producer",
    "append": "set by the broker when it appended the event",
    "received": "when this program read it",
}


def _seen(delivery: Delivery) -> Iterator[tuple[str, str, str]]:
    address, position = delivery.address, delivery.position
    yield "address", str(address), ""
    if position is not None:
        if position.partition:
            yield "partition", position.partition, ""
        yield "offset", position.offset, ""
    if delivery.exchange is not None:
        yield "exchange", delivery.exchange, "" if delivery.exchange else "the default exchange"
    time, kind = delivery.time
    yield "time", _local(time), _SET_BY[kind]
    yield "seen", _local(delivery.seen_at), _SET_BY["received"]
    if delivery.redelivered is not None:
        yield "redelivered", "yes" if delivery.redelivered else "no", "whether the broker delivered it before"
    if delivery.attempt is not None:
        yield "attempt", f"{delivery.attempt:,}", "how often it was delivered before, as the broker counts"


def _made_of(event: Event) -> Iterator[tuple[str, str, str]]:
    key = event.key
    yield "key", "none" if key is None else _bytes(key[:LONGEST]), "" if key is None else _count(len(key), "byte")
    body = event.body
    yield "body", "null" if body is None else _count(len(body), "byte"), "a tombstone" if body is None else ""
    try:
        content = event.content
        counts = f"{_count(len(content.headers), 'header')}, {_count(len(content.properties), 'property')}"
    except FormatError as error:
        counts = str(error)
    wire = event.wire
    yield "headers", counts, "" if wire is None else f"{_count(len(wire.data), 'byte')} of {wire.encoding}"


def _local(milliseconds: int) -> str:
    """A time as the user's clock shows it, with its zone."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(" ", "milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds:,} ms after 1970"
