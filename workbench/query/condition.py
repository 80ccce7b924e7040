"""Queries made of a value that somebody points at, and what becomes of the query that is there already.

What is written is what the value's own text is compared with, exactly: a query that was made of an event's value
matches that event. Only what a line of text can hold is written: a text with other characters than those becomes a
regular expression that spells them out.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

import msgspec

from workbench.model.content import Value
from workbench.model.errors import FormatError
from workbench.query.grammar import Either, Node, Step, Written, conjuncts, parse
from workbench.query.operators import Meaning, meaning, number_in
from workbench.query.query import quote

LONGEST: Final = 1_000
"""Characters of a text that are written into a query."""


class Condition(NamedTuple):
    """What holds for the events that have a value, and what holds for all others."""

    has: str
    lacks: str


def path_text(where: Literal["body", "header", "property"], steps: Sequence[Step]) -> str:
    """A path as queries write it: `header.x-death[].queue`, `body.'a name with spaces'`.

    Raises:
        FormatError: A name has characters that cannot be typed.
    """
    written: list[str] = [where]
    for number, step in enumerate(steps):
        if not isinstance(step, str):
            written.append("[]" if step is None else f"[{step}]")
            continue
        if not step.isprintable():
            raise FormatError("A name that leads here has characters that cannot be typed into a query.")
        # A header's name may have dots without quotes.
        parts = step.split(".") if where != "body" and not number else [step]
        plain = all(map(_PLAIN_STEP.fullmatch, parts))
        written.append(f".{step}" if plain else f".{quote(step)}")
    return "".join(written)


def equals(path: str, value: Value) -> Condition:
    """The condition that a symbol or path has a value.

    Raises:
        FormatError: No query can ask for it; the sentence says why.
    """
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes):
        raise FormatError("A query compares single values: go to one of those in it.")
    text = _text_of(value)
    if text is not None and not text.isprintable():
        return matches(path, f"\\A{_spell_out(text)}\\z")
    written = _write(value) if text is None else _text(text)
    return Condition(f"{path} = {written}", f"{path} != {written}")


def contains(path: str, text: str) -> Condition:
    """The condition that a text is somewhere in a symbol's.

    Raises:
        FormatError: No query can ask for it; the sentence says why.
    """
    if not (_text_of(text) or "").isprintable():
        return matches(path, _spell_out(text))
    written = f"{path} contains {_text(text)}"
    return Condition(written, f"not {written}")


def matches(path: str, pattern: str) -> Condition:
    """The condition that a regular expression matches."""
    written = f"{path} ~ {quote(pattern)}"
    return Condition(written, f"not {written}")


def exists(path: str) -> Condition:
    """The condition that there is a value."""
    return Condition(f"{path} exists", f"not {path} exists")


def join_conditions(query: str, condition: Condition, excluded: bool = False) -> str:
    """A query that asks for the events with a value too, or for those without it; the same, if it does so already. One
    that asks for the opposite so far asks for this instead: nothing could meet both.

    Args:
        query: What is asked already; may be empty.
        condition: The value.
        excluded: Whether for those without it.

    Raises:
        QueryError: It is no query.
    """
    wanted, opposite = (condition.lacks, condition.has) if excluded else condition
    if not query.strip():
        return wanted
    asked = conjuncts(query)
    same, other = _without_places(parse(wanted)), _without_places(parse(opposite))
    found = [(_without_places(part), begin, end) for part, begin, end in asked]
    for part, begin, end in reversed(found):
        if part == other:
            # What stood in quotes may have touched what is before and behind it.
            before = query[:begin] if not begin or query[begin - 1] in " (" else f"{query[:begin]} "
            after = query[end:] if query[end : end + 1] in ("", " ", ")") else f" {query[end:]}"
            query = f"{before}{wanted}{after}"
    if any(part in (same, other) for part, _, _ in found):
        return query
    before = f"({query.strip()})" if isinstance(asked[0][0], Either) else query.strip()
    return f"{before} and {wanted}"


_PLAIN_STEP: Final = re.compile(r"""[^\s()'",=!<>~.\[\]]+""")
_PLAIN_TEXT: Final = re.compile(r"[\w$@:/+*#%&|^.?;{}-]+")
_LITERAL: Final = frozenset(" _,:;/@#%&=<>!'\"~-")
"""Besides letters and digits, what means itself in a regular expression."""
_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _text_of(value: Value) -> str | None:
    """The text that a value is, None for what is none."""
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return None
        return text if text.isprintable() else None
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        raise FormatError("This text holds half a character, which no query can.") from None
    return value


def _text(text: str) -> str:
    """A text as a value: in quotes where it would not be one word, or would mean more than its text."""
    if len(text) > LONGEST:
        raise FormatError(f"This value has {len(text):,} characters: a query holds up to {LONGEST:,} of one.")
    plain = _PLAIN_TEXT.fullmatch(text) and meaning(Written(text, 0), 0) == Meaning(text)
    return text if plain and text.lower() not in ("and", "or", "not") else quote(text)


def _spell_out(text: str) -> str:
    """A regular expression for just this text, of characters that can be typed."""
    if len(text) > LONGEST:
        raise FormatError(f"This value has {len(text):,} characters: a query holds up to {LONGEST:,} of one.")
    return "".join(map(_pattern, text))


def _pattern(character: str) -> str:
    if not character.isprintable():
        return _ESCAPES.get(character) or f"\\x{{{ord(character):x}}}"
    return character if character.isalnum() or character in _LITERAL or not character.isascii() else f"\\{character}"


def _write(value: Value) -> str:
    """A value that is no text."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case bytes():
            written = f"0x{value.hex()}"
        case datetime():
            written = value.isoformat()
        case int():
            written = str(Decimal(value))
        case float():
            written = repr(value)
        case _:
            written = str(value)
    if not isinstance(value, bytes | datetime) and number_in(written) is None:
        raise FormatError(f"A query cannot ask for {written[:20]}: it is no number that can be compared.")
    if len(written) > LONGEST:
        raise FormatError(f"This value takes {len(written):,} characters: a query holds up to {LONGEST:,} of one.")
    return written


def _without_places(node: Node | Any) -> Any:
    """A part of a query, wherever in the text it stands, and whether in quotes or not where that means the same."""
    if isinstance(node, Written):
        return meaning(node, 0)
    if isinstance(node, tuple):
        return tuple(map(_without_places, node))
    if isinstance(node, msgspec.Struct):
        names = [name for name in node.__struct_fields__ if name != "column"]
        return (type(node), *(_without_places(getattr(node, name)) for name in names))
    return node
