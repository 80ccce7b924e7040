"""Needles: byte strings without which a delivery cannot match a query, for searching raw bytes before decoding them.

They may let through what does not match and never exclude what does. Each group is one condition, its members the ways
in which it may stand in the bytes; every group must be met. What they rely on:

- AMQP wire bytes, Kafka records, MessagePack and this program's stored form hold the characters of a text unbroken.
- In JSON a character may stand as `\\uXXXX`, and `/`, `"`, `\\` and control characters as other escapes. So text from a
  body may be spelled by its own bytes or hide behind an escape.
- A number has endless spellings (`150`, `1.5e2`; in AMQP, binary), and so has no needle.
- A body that is compressed, or in another charset than UTF-8, or whose schema holds its field names, spells nothing:
  see `content_type.opaque`.
- A fact that is an id or a type is part of a text, or a number, truth or time written out, or bytes in hex (`0x…` or
  as a UUID). Origins and reasons may be put together otherwise and have no needle.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from workbench.decode.byte_search import occurs
from workbench.query.grammar import PATHS, All, Comparison, Either, Exists, Node, Not, Symbol, Word, Written
from workbench.query.operators import meaning

Needles: TypeAlias = tuple[tuple[bytes, ...], ...]
"""Groups of which each must be met by one of its members."""


class Escape(bytes):
    """A member of a group behind which another may hide, spelled with JSON's escapes."""


def without_escapes(needles: Needles) -> Needles:
    """The same for a search that resolves escapes itself."""
    return tuple(tuple(member for member in group if type(member) is not Escape) for group in needles)


def needles_of(node: Node, now: int, *, masked: bool = False) -> Needles | None:
    """The needles of a query; None where nothing can be excluded.

    Args:
        node: The query.
        now: As `meaning` has it.
        masked: The query is asked about masked deliveries, which hold `*` and 0 that the raw bytes do not.
    """
    groups = dict.fromkeys(_groups(node, now))
    return tuple(group for group in groups if not (masked and any(map(_MASKED.search, group)))) or None


def may_match(needles: Needles | None, data: bytes) -> bool:
    """Whether the bytes of one delivery or of many may hold one that matches, if no body among them is opaque."""
    if needles is None:
        return True
    # A backslash is rare, and looked for alone it takes a fiftieth of the time of two characters.
    escapes = b"\\" in data
    for group in needles:
        for member in group:
            if (escapes or member[:1] != b"\\") and occurs(member, data):
                break
        else:
            return False
    return True


def json_spellings(text: str) -> tuple[bytes, ...]:
    """The ways in which a text can stand in JSON, each needing at least these bytes."""
    return text.encode(), Escape(b"\\" if _OTHERWISE_ESCAPED.search(text) else b"\\u")


_OTHERWISE_ESCAPED: Final = re.compile(r'["\\/\x00-\x1f]')
_TEXT_OPERATORS: Final = ("=", "in", "contains", "starts")
_MASKED: Final = re.compile(rb"\*|(?:^|[:\[,\s])0(?:$|[,\]}\s])")
_BYTES_IN_HEX: Final = re.compile(r"(?:0x)?(?:[0-9a-f]{2})+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
"""How a fact tells bytes that are no text: see `facts.places`."""
_BINARY_PART: Final = re.compile(r"[0-9a-fA-FxETZ.:+-]+")
_SPELLED_OUT: Final = "true false inf nan Infinity NaN"


def _groups(node: Node, now: int) -> Sequence[tuple[bytes, ...]]:
    match node:
        case All(parts):
            return [group for part in parts for group in _groups(part, now)]
        case Either(parts):
            best = [max(_groups(part, now), key=_selectivity, default=None) for part in parts]
            merged = [member for group in best for member in group or ()]
            return [] if None in best else [_group(merged)]
        case Not():
            # What is absent from the bytes is just what matches.
            return []
        case Word(literal):
            return _values([literal], now, in_json=True, data=True)
        case Exists(symbol):
            return _names(symbol)
        case Comparison(symbol, operator, literals):
            texts = literals if operator in _TEXT_OPERATORS else ()
            return [*_names(symbol), *_comparison_needles(symbol, operator, texts, now)]


def _group(members: Iterable[bytes]) -> tuple[bytes, ...]:
    """Each member once; one that is meant as it is written comes before an escape of the same bytes."""
    return tuple(dict.fromkeys(sorted(members, key=lambda member: type(member) is Escape)))


def _selectivity(group: tuple[bytes, ...]) -> int:
    return min(map(len, group))


def _names(symbol: Symbol) -> list[tuple[bytes, ...]]:
    if symbol.name == "body":
        return [json_spellings(step) for step in symbol.path if isinstance(step, str) and step]
    if symbol.name == "header":
        name = symbol.path[0]
        # A backslash may be how a byte is shown that is not UTF-8.
        return [(name.encode(),)] if isinstance(name, str) and name and "\\" not in name else []
    return []


def _comparison_needles(symbol: Symbol, operator: str, texts: Sequence[Written], now: int) -> list[tuple[bytes, ...]]:
    equal = operator in ("=", "in")
    if symbol.name in ("type", "correlation", "causation", "message"):
        return [] if any(_may_be_binary(each.text, equal, now) for each in texts) else _facts(texts)
    if symbol.name == "key" or (symbol.name == "body" and not symbol.path):
        return _values(texts, now, data=equal, null=equal)
    if symbol.name in PATHS:
        return _values(texts, now, in_json=symbol.name == "body", data=equal, null=equal, typed=equal)
    return []


def _values(
    literals: Iterable[Written],
    now: int,
    *,
    in_json: bool = False,
    data: bool = False,
    null: bool = False,
    typed: bool = False,
) -> list[tuple[bytes, ...]]:
    """One group for the ways in which one of some values may stand in bytes; none where they have no end.

    Args:
        literals: The values.
        now: As `meaning` has it.
        in_json: They may be escaped as in JSON.
        data: The bytes behind `0x` may be meant.
        null: Null may be meant, which no bytes spell.
        typed: A number, truth or time may be meant.
    """
    members: list[bytes] = []
    for literal in literals:
        meant = meaning(literal, now)
        many = meant.number is not None or meant.truth is not None or meant.time is not None
        if not meant.text or (null and meant.null) or (typed and many):
            return []
        members += json_spellings(meant.text) if in_json else (meant.text.encode(),)
        if data and meant.data:
            members.append(meant.data)
    return [_group(members)] if members else []


def _facts(literals: Sequence[Written]) -> list[tuple[bytes, ...]]:
    """One group for the ways in which a fact can stand in bytes: as text, or as the bytes whose hex form it is."""
    members: list[bytes] = []
    for literal in literals:
        members += json_spellings(literal.text)
        if _BYTES_IN_HEX.fullmatch(literal.text):
            members.append(bytes.fromhex(literal.text.removeprefix("0x").replace("-", "")))
    return [_group(members)] if members else []


def _may_be_binary(text: str, whole: bool, now: int) -> bool:
    """Whether a fact that is this text (if `whole`), or holds it, can come from bytes that spell it neither as text nor
    as hex: a number, truth or time of AMQP, or half of a byte."""
    if not whole:
        return text in _SPELLED_OUT or _BINARY_PART.fullmatch(text) is not None
    try:
        float(text)
    except ValueError:
        return not text or text in ("true", "false") or meaning(Written(text, 0), now).time is not None
    return True
