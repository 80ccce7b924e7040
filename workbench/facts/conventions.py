"""Which header, property or body field means what: correlation, causation, message id, type, origin, failure, attempts.

The conventions of frameworks and brokers are data, in `conventions.toml`, which says how one is written; users add
their own. This module reads facts out of a delivery by them: for every event that is stored, so it decodes only what
some convention names.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from workbench.decode.codec import query_value
from workbench.facts.convention_tables import Convention, Spot, builtin_tables, parse_table
from workbench.facts.facts import NOTHING, Fact, Facts, Kind
from workbench.facts.places import Reader, Steps, Tree, inside, steps_of, text, tree
from workbench.model.content import Content, Value
from workbench.model.errors import FormatError
from workbench.model.event import Delivery

LOOKED_INTO: Final = 4 * 1024 * 1024
"""Bytes of a body beyond which it is not looked into."""
_MOST: Final = 1000
"""Facts of one event beyond which no more are read: a stranger may repeat a header ten thousand times."""
_REMEMBERED: Final = 4096
_NO_CONTENT: Final = Content()
_UNSET: Final = msgspec.UNSET


class Conventions:
    """A set of conventions, compiled; `facts` is what it is for."""

    def __init__(self, conventions: Sequence[Convention]) -> None:
        self.names: Final = tuple(convention.name for convention in conventions)
        """What the conventions are called, in order of precedence."""
        self.tables: Final = tuple(conventions)
        """The conventions themselves, likewise."""
        self._places: dict[str, dict[str, _Name]] = {"header": {}, "property": {}, "body": {}}
        self._prefixes: list[tuple[str, int]] = []
        self._remembered: dict[str, _Name] = {}
        self._gated = self._count = 0
        self._items = False
        for number, convention in enumerate(conventions):
            self._compile(number, convention)
        self._properties = self._places["property"]
        self._decoder, self._fields, self._unset = _body_decoder(self._places["body"])

    def __reduce__(self) -> tuple[Any, ...]:
        return (_builtin, ()) if self is _builtin() else (Conventions, (self.tables,))

    @classmethod
    def load(cls, extra: Iterable[Mapping[str, Any]]) -> "Conventions":
        """Those that ship, and before them a user's own.

        Args:
            extra: A mapping each, as a `[[convention]]` table of `conventions.toml` is.

        Raises:
            ConfigError: One has a key, a place, a path or a pattern that means nothing.
        """
        own = [parse_table(table) for table in extra]
        return cls([*own, *builtin_tables()]) if own else _builtin()

    def facts(self, delivery: Delivery) -> Facts:
        """What the conventions say of an event. Headers that cannot be decoded and bodies that are no JSON say nothing.

        Bodies up to `LOOKED_INTO` bytes are looked into as everybody reads them: out of compression, in any charset.
        """
        hits: list[_Hit] = []
        unheard = self._look(delivery, hits)
        if not hits:
            return NOTHING
        if len(hits) > 1:
            hits.sort()
        found = []
        for _, _, place, value in hits:
            if place.gate & unheard:
                continue
            said = place.read(value)
            if said:
                found.append(Fact(place.kind, said, place.name, place.source))
        return Facts(tuple(found)) if found else NOTHING

    def looked_at(self, delivery: Delivery) -> Sequence["LookedAt"]:
        """All that was looked at for the facts of an event, those with precedence first."""
        hits: list[_Hit] = []
        unheard = self._look(delivery, hits)
        hits.sort(key=lambda hit: hit[:2])
        return [
            LookedAt(
                self.tables[place.number],
                place.kind,
                place.described,
                place.root,
                place.read(value) or None,
                not place.gate & unheard,
            )
            for _, _, place, value in hits
        ]

    def _look(self, delivery: Delivery, hits: list["_Hit"]) -> int:
        """Add what is at a place that some convention names to `hits`; which conventions are not recognised."""
        event = delivery.event
        body = event.body
        try:
            content = event.content
        except FormatError:
            content = _NO_CONTENT
        seen = 0
        if content.headers:
            remembered = self._remembered
            for name, value in content.headers:
                known = remembered.get(name)
                if known is None:
                    known = self._recognise(name)
                if known is not _UNKNOWN and value is not None:
                    seen |= known.seen(value)
                    for place in known.places:
                        hits.append((place.rank, len(hits) * place.newest, place, value))
                    if len(hits) > _MOST:
                        break
        for name, value in content.properties.items():
            known = self._properties.get(name.lower(), _UNKNOWN)
            if known is not _UNKNOWN and value is not None:
                seen |= known.seen(value)
                for place in known.places:
                    hits.append((place.rank, 0, place, value))
        if body and len(body) <= LOOKED_INTO:
            # Of most bodies it is seen at once that they are what everybody reads.
            said = body if body[0] == 0x7B and body[1:2] != b"\0" and body.isascii() else query_value(event)
            if type(said) is bytes:
                if said[:1] == b"{" or said[:1].isspace():
                    seen |= self._look_into(said, hits)
                elif self._items and said[:1] == b"[":
                    seen |= self._heard(self._values_in(json_value(said)), hits)
            elif isinstance(said, Mapping | list):
                seen |= self._heard(self._values_in(said), hits)
        return self._gated & ~seen

    def _recognise(self, name: str) -> "_Name":
        key = name.lower()
        known = self._places["header"].get(key, _UNKNOWN)
        marks = 0
        for prefix, bit in self._prefixes:
            if key.startswith(prefix):
                marks |= bit
        if marks:
            known = known._replace(marks=known.marks | marks)
        if len(self._remembered) < _REMEMBERED:
            self._remembered[name] = known
        return known

    def _look_into(self, body: bytes, hits: list["_Hit"]) -> int:
        """Add what the top level of a JSON object says to `hits`; which conventions it recognises."""
        try:
            found = msgspec.structs.astuple(self._decoder.decode(body))
        except msgspec.MsgspecError:
            if b"NaN" not in body and b"Infinity" not in body:
                return 0
            found = self._values_in(json_value(body))
        except RecursionError:
            return 0
        return self._heard(found, hits)

    def _heard(self, found: tuple[Any, ...], hits: list["_Hit"]) -> int:
        if found == self._unset:
            return 0
        seen = 0
        # This runs for every event: dozens of names, of which few are there.
        for known, value in zip(self._fields, found, strict=False):
            if value is _UNSET:
                continue
            seen |= known.marks
            if known.nested and isinstance(value, msgspec.Raw):
                value = tree(value)
            for place in known.places:
                there = inside(value, place.path) if place.path else value
                if there is not None:
                    hits.append((place.rank, 0, place, there))
        return seen

    def _values_in(self, values: object) -> tuple[Any, ...]:
        """What a decoded body has at the places that conventions name."""
        if isinstance(values, Mapping):
            names = self._places["body"]
            return tuple(Tree(values[name]) if name in values else msgspec.UNSET for name in names)
        if isinstance(values, list):
            found = [inside(values, steps_of(name)) for name in self._places["body"]] if self._items else []
            return tuple(msgspec.UNSET if item is None else Tree(item) for item in found) or self._unset
        return self._unset

    def _compile(self, number: int, convention: Convention) -> None:
        # Only those that wait for something have a bit: integers of more than thirty bits take longer.
        bit = self._gated + 1 if convention.when else 0
        self._gated |= bit
        for spot in convention.when:
            self._mark(spot, bit)
        for kind, spots in convention.places.items():
            for spot in spots:
                where, name, path = spot.split()
                place = _Place(
                    self._count,
                    1 if convention.newest == "first" else -1,
                    number,
                    bit,
                    convention.name,
                    kind,
                    spot.at,
                    path,
                    spot.reader if where == "body" or not path else _reader_inside(path, spot.reader),
                    spot.described,
                    f"{where}.{name}",
                )
                self._count += 1
                self._items = self._items or (where == "body" and steps_of(name)[0][1] is not None)
                known = self._places[where].get(name, _UNKNOWN)
                self._places[where][name] = known._replace(
                    places=(*known.places, place), nested=known.nested or bool(path)
                )

    def _mark(self, spot: Spot, bit: int) -> None:
        """Let what is at a place be one of the marks by which a convention is recognised."""
        where, name, _ = spot.split()
        known = self._places[where].get(name, _UNKNOWN)
        if name.endswith("*"):
            self._prefixes.append((name[:-1], bit))
        elif spot.starts:
            self._places[where][name] = known._replace(starts=(*known.starts, (spot.starts.lower(), bit)))
        else:
            self._places[where][name] = known._replace(marks=known.marks | bit)


class LookedAt(NamedTuple):
    """A place of an event where a convention looks, and something is.

    Attributes:
        convention: Which.
        kind: What it looks for.
        place: Where, with the path to it.
        root: The header, the property or the first step of the body, as it is looked up.
        value: What it says; None: what is there is no value, or does not match.
        recognised: Whether the convention speaks of this event.
    """

    convention: Convention
    kind: Kind
    place: str
    root: str
    value: str | None
    recognised: bool


class _Place(NamedTuple):
    """A place compiled. `newest` is 1 where the first of equal headers counts, -1 where the last does; `number` is the
    convention's, `gate` the bit of one that waits to be recognised."""

    rank: int
    newest: int
    number: int
    gate: int
    name: str
    kind: Kind
    source: str
    path: Steps
    read: Reader
    described: str
    root: str


_Hit: TypeAlias = tuple[int, int, _Place, Any]
"""A value at a place: the place's rank, where it is among equal headers, the place, and the value."""


class _Name(NamedTuple):
    """What the presence of one name means: its places, the conventions it recognises, those that it recognises if its
    value begins in some way, and whether a place is inside its value."""

    places: tuple[_Place, ...] = ()
    marks: int = 0
    starts: tuple[tuple[str, int], ...] = ()
    nested: bool = False

    def seen(self, value: Value) -> int:
        marks = self.marks
        if self.starts:
            said = (text(value) or "").lower()
            for start, bit in self.starts:
                if said.startswith(start):
                    marks |= bit
        return marks


_UNKNOWN: Final = _Name()


def _reader_inside(path: Steps, read: Reader) -> Reader:
    return lambda value: read(inside(value, path))


def _body_decoder(body: Mapping[str, _Name]) -> tuple[msgspec.json.Decoder[Any], tuple[_Name, ...], tuple[Any, ...]]:
    """A decoder that takes the named fields of an object as they are written and passes over all others, what the
    fields mean, and what it returns where there is none."""
    fields = [f"field{number}" for number in range(len(body))]
    shape = msgspec.defstruct(
        "Body",
        [(field, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for field in fields],
        rename=dict(zip(fields, body, strict=True)),
        gc=False,
    )
    return msgspec.json.Decoder(shape), tuple(body.values()), (msgspec.UNSET,) * len(body)


def json_value(body: bytes) -> object:
    """What JSON holds as Python's own reader takes it, NaN too, as many writers send it; numbers are text."""
    try:
        return json.loads(body, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None


def builtin_facts(delivery: Delivery) -> Facts:
    """What the conventions that ship say of an event: they are read when the first is asked about."""
    return _builtin().facts(delivery)


@cache
def _builtin() -> Conventions:
    return Conventions(builtin_tables())
