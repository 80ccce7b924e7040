"""Which header, property or body field means what: correlation, causation, message id, type, origin, failure, attempts.

The conventions of frameworks and brokers are data, in `conventions.toml`, which says how one is written; users add
their own. This module reads facts out of a delivery by them: for every event that is stored, so it decodes only what
some convention names.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from workbench.decode.codec import query_value
from workbench.facts.facts import NOTHING, Fact, Facts, Kind
from workbench.facts.pattern import Pattern
from workbench.model.content import Content, Value
from workbench.model.errors import ConfigError, FormatError
from workbench.model.event import Delivery
from workbench.model.values import bytes_text, value_text

LOOKED_INTO: Final = 4 * 1024 * 1024
"""Bytes of a body beyond which it is not looked into."""
_MOST: Final = 1000
"""Facts of one event beyond which no more are read: a stranger may repeat a header ten thousand times."""
_REMEMBERED: Final = 4096
_MATCHED: Final = 16 * 1024
_NO_CONTENT: Final = Content()


class Conventions:
    """A set of conventions, compiled; `facts` is what it is for."""

    def __init__(self, conventions: Sequence["_Convention"]) -> None:
        self.names: Final = tuple(convention.name for convention in conventions)
        """What the conventions are called, in order of precedence."""
        self._conventions: Final = tuple(conventions)
        self._places: dict[str, dict[str, _Name]] = {"header": {}, "property": {}, "body": {}}
        self._prefixes: list[tuple[str, int]] = []
        self._remembered: dict[str, _Name] = {}
        self._gated = self._count = 0
        for number, convention in enumerate(conventions):
            self._compile(number, convention)
        self._properties = self._places["property"]
        self._decoder, self._fields, self._unset = _body_decoder(self._places["body"])

    def __reduce__(self) -> tuple[Any, ...]:
        return (_builtin, ()) if self is _builtin() else (Conventions, (self._conventions,))

    @classmethod
    def builtin(cls) -> "Conventions":
        """Those that ship, read once."""
        return _builtin()

    @classmethod
    def load(cls, extra: Iterable[Mapping[str, Any]]) -> "Conventions":
        """Those that ship, and before them a user's own.

        Args:
            extra: A mapping each, as a `[[convention]]` table of `conventions.toml` is.

        Raises:
            ConfigError: One has a key, a place or a pattern that means nothing.
        """
        own = [_parse(table) for table in extra]
        return cls([*own, *_builtin_conventions()]) if own else _builtin()

    def facts(self, delivery: Delivery) -> Facts:
        """What the conventions say of an event. Headers that cannot be decoded and bodies that are no JSON say nothing.

        Bodies up to `LOOKED_INTO` bytes are looked into as everybody reads them: out of compression, in any charset.
        """
        event = delivery.event
        body = event.body
        try:
            content = event.content
        except FormatError:
            content = _NO_CONTENT
        hits: list[tuple[int, int, _Place, Any]] = []
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
            elif isinstance(said, Mapping):
                seen |= self._heard(self._looked_into_values(said), hits)
        if not hits:
            return NOTHING
        if len(hits) > 1:
            hits.sort()
        unheard = self._gated & ~seen
        found = []
        for _, _, place, value in hits:
            if place.convention & unheard:
                continue
            text = place.read(value if place.body or not place.path else _inside(value, place.path))
            if text:
                found.append(Fact(place.kind, text, place.name, place.source))
        return Facts(tuple(found)) if found else NOTHING

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

    def _look_into(self, body: bytes, hits: list[tuple[int, int, "_Place", Any]]) -> int:
        """Add what the top level of a JSON object says to `hits`; which conventions it recognises."""
        try:
            found = msgspec.structs.astuple(self._decoder.decode(body))
        except msgspec.MsgspecError:
            if b"NaN" not in body and b"Infinity" not in body:
                return 0
            found = self._looked_into_leniently(body)
        except RecursionError:
            return 0
        return self._heard(found, hits)

    def _heard(self, found: tuple[Any, ...], hits: list[tuple[int, int, "_Place", Any]]) -> int:
        if found == self._unset:
            return 0
        seen = 0
        for known, value in zip(self._fields, found, strict=True):
            if value is not msgspec.UNSET:
                seen |= known.marks
                if known.nested and isinstance(value, msgspec.Raw):
                    value = _tree(value)
                for place in known.places:
                    inside = _inside(value, place.path) if place.path else value
                    if inside is not None:
                        hits.append((place.rank, 0, place, inside))
        return seen

    def _looked_into_leniently(self, body: bytes) -> tuple[Any, ...]:
        # NaN is not JSON, and Python's own reader takes it, as many writers send it.
        try:
            tree = json.loads(body, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            return self._unset
        return self._looked_into_values(tree) if isinstance(tree, dict) else self._unset

    def _looked_into_values(self, tree: Mapping[Any, Any]) -> tuple[Any, ...]:
        return tuple(_Tree(tree[name]) if name in tree else msgspec.UNSET for name in self._places["body"])

    def _compile(self, number: int, convention: "_Convention") -> None:
        bit = 1 << number
        if convention.when:
            self._gated |= bit
        for spot in convention.when:
            where, name, _ = _split(spot.at)
            known = self._places[where].get(name, _UNKNOWN)
            if name.endswith("*"):
                self._prefixes.append((name[:-1], bit))
            elif spot.starts:
                self._places[where][name] = known._replace(starts=(*known.starts, (spot.starts.lower(), bit)))
            else:
                self._places[where][name] = known._replace(marks=known.marks | bit)
        for kind, spots in convention.places.items():
            for spot in spots:
                where, name, path = _split(spot.at)
                path = (*path, *filter(None, spot.path.split(".")))
                place = _Place(
                    self._count,
                    1 if convention.newest == "first" else -1,
                    bit,
                    convention.name,
                    kind,
                    spot.at,
                    where == "body",
                    path,
                    _reader(spot),
                )
                self._count += 1
                known = self._places[where].get(name, _UNKNOWN)
                self._places[where][name] = known._replace(
                    places=(*known.places, place), nested=known.nested or bool(path)
                )


class _Place(NamedTuple):
    """A place compiled. `newest` is 1 where the first of equal headers counts, -1 where the last does."""

    rank: int
    newest: int
    convention: int
    name: str
    kind: Kind
    source: str
    body: bool
    path: tuple[str, ...]
    read: Callable[[Any], str | None]


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
            text = (_text(value) or "").lower()
            for start, bit in self.starts:
                if text.startswith(start):
                    marks |= bit
        return marks


_UNKNOWN: Final = _Name()


class _Tree(NamedTuple):
    """A value of a body, decoded already; numbers are text."""

    value: Any


# Reading values.


def _reader(spot: "_Spot") -> Callable[[Any], str | None]:
    as_text = _DECODE[spot.decode]
    match = Pattern(spot.match) if spot.match else None
    unless = spot.unless
    if match is None and not unless:
        return lambda value: as_text(_value(value))

    def read(value: Any) -> str | None:
        text = as_text(_value(value))
        if text is None:
            return None
        if len(text) > _MATCHED:
            text = f"{text[: _MATCHED // 2]}\n{text[-_MATCHED // 2 :]}"
        found = match.begins(text) if match is not None else text
        return None if unless and found is not None and not found.strip(unless) else found

    return read


def _inside(value: Any, path: tuple[str, ...]) -> Any:
    if type(value) is _Tree:
        value = value.value
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list | tuple) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _value(value: Any) -> Any:
    """What a header, a property or a piece of JSON holds. A number of JSON is its own text: no digit is lost."""
    if isinstance(value, _Tree):
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


def _tree(value: msgspec.Raw) -> Any:
    if bytes(value)[0] not in b"{[":
        return value
    try:
        return _Tree(msgspec.json.decode(value))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Tree(None)


def _text(value: Any) -> str | None:
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
            return None if isinstance(first, list | Mapping) else _text(first)
        case _:
            return None


def _binary(value: Any) -> Any:
    """The bytes of a text that nobody wrote as one: what happens to be UTF-8 comes as text from logs."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) and not value.isprintable() else value


def _integer(value: Any) -> str | None:
    value = _binary(value)
    if isinstance(value, bytes) and len(value) in (1, 2, 4, 8):
        return str(int.from_bytes(value, signed=True))
    return _text(value)


def _uuid(value: Any) -> str | None:
    value = _binary(value)
    if not isinstance(value, bytes):
        return _text(value)
    try:
        text = value.decode()
        if text.isprintable():
            return text
    except UnicodeDecodeError:
        pass
    return str(uuid.UUID(bytes=value)) if len(value) == 16 else value.hex()


_DECODE: Final[Mapping[str, Callable[[Any], str | None]]] = {"text": _text, "integer": _integer, "uuid": _uuid}


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


# Conventions as they are written.


class _Spot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: str
    path: str = ""
    decode: Literal["text", "integer", "uuid"] = msgspec.field(default="text", name="as")
    match: str = ""
    unless: str = ""
    starts: str = ""


_Spots = tuple[_Spot, ...]


class _Convention(NamedTuple):
    name: str
    newest: str
    when: _Spots
    places: Mapping[Kind, _Spots]


_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_ABOUT: Final = ("origin", "failure")


def _split(at: str) -> tuple[str, str, tuple[str, ...]]:
    """`header`, `property` or `body`; the name there, as it is looked up; the steps into its value."""
    where, _, name = at.partition(".")
    if where != "body":
        return where, name.lower(), ()
    first, *path = name.split(".")
    return where, first, tuple(path)


@cache
def _builtin_conventions() -> tuple[_Convention, ...]:
    import tomli

    text = files("workbench.facts").joinpath("conventions.toml").read_text(encoding="utf-8")
    return tuple(_parse(table) for table in tomli.loads(text)["convention"])


@cache
def _builtin() -> Conventions:
    return Conventions(_builtin_conventions())


def _parse(table: Mapping[str, Any]) -> _Convention:
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigError("A convention has no name: give it one, as in name = 'our events'.")
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if key in _ABOUT and isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": spots for inner, spots in value.items()}
        elif key not in ("name", "newest", "when"):
            flat[key] = value
    for key in flat:
        if key not in _KINDS:
            raise ConfigError(
                f"The convention {name!r} has {key!r}, which means nothing: it can have name, when, newest,"
                f" {', '.join(_KINDS)}."
            )
    newest = table.get("newest", "last")
    if newest not in ("first", "last"):
        raise ConfigError(f"The convention {name!r} has newest = {newest!r}: write first or last.")
    return _Convention(
        name,
        newest,
        _spots(name, "when", table.get("when", ())),
        {kind: _spots(name, kind, flat[kind]) for kind in _KINDS if kind in flat},
    )


def _spots(name: str, key: str, written: Any) -> _Spots:
    many = written if isinstance(written, Sequence) and not isinstance(written, str) else (written,)
    return tuple(_spot(name, key, each) for each in many)


def _spot(name: str, key: str, written: Any) -> _Spot:
    said = f"The convention {name!r} cannot be used: its {key!r}"
    try:
        spot = _Spot(written) if isinstance(written, str) else msgspec.convert(written, _Spot)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{said} is neither a place nor a table with at, path, as, match, unless and starts ({error})."
        ) from None
    where, _, place = spot.at.partition(".")
    if where not in ("header", "property", "body") or not place:
        raise ConfigError(
            f"{said} names {spot.at!r}, which is no place: write header.NAME, property.NAME or body.PATH."
        )
    if key == "when":
        if spot.path or spot.match or spot.unless or spot.decode != "text" or (spot.starts and where == "body"):
            raise ConfigError(f"{said} can only say at, and for headers and properties starts.")
        if place.endswith("*") and (where != "header" or spot.starts):
            raise ConfigError(f"{said} has a *, which only a header's name can end in.")
    elif spot.starts or place.endswith("*"):
        raise ConfigError(f"{said} has starts or a *, which only when can have.")
    try:
        if spot.match and not Pattern(spot.match).groups:
            raise ConfigError(f"{said} has a pattern without a group: put what is the value in brackets.")
    except FormatError as error:
        raise ConfigError(f"{said} has a pattern that {error}.") from None
    return spot
