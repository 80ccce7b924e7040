"""A body in one line, as tables show it."""

import re
from typing import Final

from workbench.decode.codec import decode
from workbench.decode.content_type import opaque
from workbench.decode.display import visible_bytes
from workbench.decode.layout import lay_out
from workbench.model.event import Event

LOOKED_AT: Final = 1_024
"""Bytes of a body, and characters of its text, from which a line is made where nobody asks for more."""
_SPACE: Final = re.compile(r'("(?:[^"\\]|\\.)*+(?:"|\Z))|[ \t\r\n]+', re.DOTALL)
"""A JSON string, or white space between tokens."""
_ESCAPE: Final = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\.", re.DOTALL
)
"""An escape in a JSON string: a pair of surrogates, one character, or any other."""
_READABLE: Final = 0xA0
"""From this code on an escaped character is shown as it is: those below are marks of JSON and control characters."""


def preview(event: Event, limit: int = LOOKED_AT) -> str:
    """The beginning of a body in one line: JSON without the space between its tokens and with letters as what they say,
    else text, else the hex digits of what is in its frame; `∅` for null. Not yet cut to a width, nor fit for a
    terminal: that is `display.visible`.

    Args:
        event: Its body is read.
        limit: At most about so many characters.
    """
    line = _line(event, limit)
    return _ESCAPE.sub(_unescape, line) if "\\u" in line and line.startswith(("{", "[", '"')) else line


def _line(event: Event, limit: int) -> str:
    body = event.body
    if not body:
        return "" if body is not None else "∅"
    if b"\n" not in body[:limit] and not opaque(event):
        if len(body) <= limit and body.isascii():
            return body.decode()
        line = visible_bytes(body, limit)
        if not line.startswith("0x"):
            return line
    found = lay_out(event, limit)
    if found.format == "hex":
        return visible_bytes(decode(event, limit).data, limit)
    line = found.text if found.format == "text" else _SPACE.sub(r"\1", found.text)
    return f"{line}…" if found.truncated else line


def _unescape(found: re.Match[str]) -> str:
    high, low, letter = found.groups()
    if high is not None:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10 | int(low, 16) & 0x3FF))
    code = int(letter, 16) if letter is not None else 0
    return chr(code) if code >= _READABLE and not 0xD800 <= code < 0xE000 else found[0]
