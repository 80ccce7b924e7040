"""Conventions as they are written: tables of TOML; `conventions.toml` says what one can have."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from workbench.facts.facts import Kind
from workbench.facts.pattern import Pattern
from workbench.facts.places import Reader, Steps, integer, steps_of, text, uuid_text
from workbench.model.errors import ConfigError, FormatError

_MATCHED: Final = 16 * 1024
_DEEPEST: Final = r"[\s\S]*(?:\nCaused by: | ---> )(?:[\w.$`]+: )?([^\r\n]*[^\r\n.:\s])"
"""The deepest cause in a stack of Java or .NET: what it says, or its type where it says nothing."""


class Spot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place and how it is read; see `conventions.toml`."""

    at: str
    path: str | int = ""
    decode: Literal["text", "integer", "uuid"] = msgspec.field(default="text", name="as")
    match: str = ""
    unless: str = ""
    starts: str = ""

    def split(self) -> tuple[str, str, Steps]:
        """`header`, `property` or `body`; the name there, as it is looked up; the steps into its value.

        Raises:
            ValueError: As `steps_of` has it.
        """
        where, _, name = self.at.partition(".")
        steps = steps_of(str(self.path)) if self.path != "" else ()
        if where != "body":
            return where, name.lower(), steps
        first, *rest = steps_of(name)
        return where, first[0], (*rest, *steps)

    @property
    def described(self) -> str:
        """The place as people read it, with the path to what is inside."""
        return f"{self.at} {self.path}" if self.path != "" else self.at

    @property
    def reader(self) -> Reader:
        """Reads what is there."""
        as_text = _DECODE[self.decode]
        match, unless = Pattern(self.match) if self.match else None, self.unless
        if match is None and not unless:
            return as_text

        def read(value: Any) -> str | None:
            said = as_text(value)
            if said is None:
                return None
            if len(said) > _MATCHED:
                said = f"{said[: _MATCHED // 2]}\n{said[-_MATCHED // 2 :]}"
            found = match.begins(said) if match is not None else said
            return None if unless and found is not None and not found.strip(unless) else found

        return read


Spots = tuple[Spot, ...]
_DECODE: Final[Mapping[str, Reader]] = {"text": text, "integer": integer, "uuid": uuid_text}


class Convention(NamedTuple):
    """One convention.

    Attributes:
        name: What it is called.
        newest: Which of equal headers counts, `first` or `last`.
        when: Places of which one must be there; none: it always speaks.
        places: Where it keeps what.
        lacks: What of their originals its dead letters do not have: `headers`, or nothing, empty.
    """

    name: str
    newest: str
    when: Spots
    places: Mapping[Kind, Spots]
    lacks: str = ""

    @property
    def headers(self) -> frozenset[str]:
        """The names of all headers that it reads, in small letters."""
        spots = (spot.split() for some in (self.when, *self.places.values()) for spot in some)
        return frozenset(name for where, name, _ in spots if where == "header")


_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_ABOUT: Final = ("origin", "failure")


@cache
def builtin_tables() -> tuple[Convention, ...]:
    """Those that ship, read once."""
    import tomli

    text = Path(__file__).with_name("conventions.toml").read_text(encoding="utf-8")
    return tuple(parse_table(table) for table in tomli.loads(text)["convention"])


def parse_table(table: Mapping[str, Any]) -> Convention:
    """A convention of a table.

    Raises:
        ConfigError: It has a key, a place, a path or a pattern that means nothing; the sentence names the convention
            and the key.
    """
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigError("A convention has no name: give it one, as in name = 'our events'.")
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if key in _ABOUT and isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": spots for inner, spots in value.items()}
        elif key not in ("name", "newest", "when", "lacks"):
            flat[key] = value
    for key in flat:
        if key not in _KINDS:
            raise ConfigError(
                f"The convention {name!r} has {key!r}, which means nothing: it can have name, when, newest, lacks,"
                f" {', '.join(_KINDS)}."
            )
    newest = table.get("newest", "last")
    if newest not in ("first", "last"):
        raise ConfigError(f"The convention {name!r} has newest = {newest!r}: write first or last.")
    lacks = table.get("lacks", "")
    if lacks not in ("", "headers"):
        raise ConfigError(f"The convention {name!r} has lacks = {lacks!r}: write headers, or leave it out.")
    places = {kind: _spots(name, kind, flat[kind]) for kind in _KINDS if kind in flat}
    if stacks := [spot for spot in places.get("failure.stack", ()) if not spot.match]:
        causes = tuple(msgspec.structs.replace(spot, match=_DEEPEST) for spot in stacks)
        places["failure.reason"] = (*places.get("failure.reason", ()), *causes)
    return Convention(name, newest, _spots(name, "when", table.get("when", ())), places, lacks)


def _spots(name: str, key: str, written: Any) -> Spots:
    many = written if isinstance(written, Sequence) and not isinstance(written, str) else (written,)
    return tuple(_spot(name, key, each) for each in many)


def _spot(name: str, key: str, written: Any) -> Spot:
    said = f"The convention {name!r} cannot be used: its {key!r}"
    try:
        spot = Spot(written) if isinstance(written, str) else msgspec.convert(written, Spot)
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
        if spot.path != "" or spot.match or spot.unless or spot.decode != "text" or (spot.starts and where == "body"):
            raise ConfigError(f"{said} can only say at, and for headers and properties starts.")
        if place.endswith("*") and (where != "header" or spot.starts):
            raise ConfigError(f"{said} has a *, which only a header's name can end in.")
    elif spot.starts or place.endswith("*"):
        raise ConfigError(f"{said} has starts or a *, which only when can have.")
    try:
        spot.split()
    except ValueError as error:
        raise ConfigError(f"{said} {error}.") from None
    try:
        if spot.match and not Pattern(spot.match).groups:
            raise ConfigError(f"{said} has a pattern without a group: put what is the value in brackets.")
    except FormatError as error:
        raise ConfigError(f"{said} has a pattern that {error}.") from None
    return spot
