"""Texts that say the same but for ids and numbers, and the query that selects them.

`order 17 not found` and `order 18 not found` are `order … not found`.
"""

import re
from typing import Final

from workbench.query.query import quote

LONGEST: Final = 200
"""Characters of a text that a query names."""
_DIFFERENT: Final = re.compile(
    r"(?i)"
    # Addresses of people and of machines.
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\[[0-9a-f]*:[0-9a-f:.]*\](?::[0-9]+)?"
    # An object of Java without a name of its own.
    r"|(?<=@)[0-9a-f]{5,16}(?![^\W_])"
    r"|(?<![^\W_])(?:"
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|0x[0-9a-f]+|(?=[a-f]*[0-9])[0-9a-f]{12,}"
    r"|(?=(?:[a-z]*[0-9]){2})[0-9a-z]{16,}"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+)?"
    # Numbers, those of a port or a line too, and what is measured.
    r"|[0-9]+(?:[.,:][0-9]+)*(?:[nuµm]?s|min|[mhd]|[kmg]?i?b)?"
    r")(?![^\W_])"
)
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")


def same_for_all(text: str) -> str:
    """A text without what looks like an id, a number, a time or an address: `…` stands for it."""
    return _DIFFERENT.sub("…", text)


def query_for(field: str, same: str, text: str | None, ends: bool = True) -> str:
    """What selects the events that have a text in a field; one that no query could hold is cut, or stands as a pattern.

    Args:
        field: As a query has it.
        same: What is the same in all the texts.
        text: The text, where it is always the same; empty: none of them has one.
        ends: Whether the texts end there, and do not only begin so.
    """
    if text == "":
        return f"not {field} exists"
    if text is not None and text.isprintable() and (ends or len(text) > LONGEST):
        return f"{field} = {quote(text)}" if len(text) <= LONGEST else f"{field} starts {quote(text[:LONGEST])}"
    said = text or same
    pieces = map(_as_pattern, re.split(r"(…|[^ -~]+)", said[:LONGEST]))
    pattern = "".join(("^", *pieces, "$" if ends and len(said) <= LONGEST else ""))
    return f"{field} ~ {quote(pattern)}"


def _as_pattern(piece: str) -> str:
    if piece == "…":
        return r"\S+"
    return _SPECIAL.sub(r"\\\g<0>", piece) if piece.isascii() and piece.isprintable() else r"[\s\S]+"
