"""A stranger's bytes as visible characters, for every terminal we write to.

Terminal escapes, line breaks, bidirectional overrides and characters that cannot be seen are shown as what they are
and never sent (CVE-2021-42574 shows what the last two can do to a reader). What is left has a width on which terminals
agree: flags, skin tones, variation selectors and joiners, which some draw as one glyph and some as several, are
spelled out too; a letter keeps at most two marks, for a tower of them would draw over the lines above. Letters of
scripts that run from right to left are shown as they are. Markup of any kind is plain text here: whoever draws a line
must not parse it.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_BREAKS: Final = {"\n": "⏎", "\r": "␍", "\t": "⇥", "\x1b": "␛", "\x7f": "␡", "\0": "␀"}
_PLAIN: Final = re.compile(r"[ -~]*")
_UNUSUAL: Final = re.compile(rb"[^ -~\n]")
_UNUSUAL_RUN: Final = re.compile("[ -~]?[^ -~\n]+")
"""With the letter that it may be marks of."""
_NARROW: Final = re.compile("[ -~\u00a0-\u00ac\u00ae-\u02ff\u2010-\u2027\u2190-\u21ff\u2500-\u25fc\u2713-\u2718]")
"""Characters of one cell, among them all that the program itself draws."""
_MARKS: Final = 2
"""How many marks a letter keeps: Vietnamese, Thai and Hindi need two."""
_SPELLED_OUT: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"))
_UNSEEN: Final = re.compile(
    # Unicode's Default_Ignorable_Code_Point that are letters or marks (DerivedCoreProperties.txt); flags; skin tones.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff"
    "\U000e0100-\U000e01ef]"
)
_CONTROLS: Final = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""What takes no cell, and may move a terminal or turn what it shows."""
_MEDIAL: Final = re.compile("[\u1161-\u11ff\ud7b0-\ud7fb]")
"""Hangul vowels and finals, which are drawn into the syllable before them."""


def visible(text: str, width: int | None = None) -> str:
    """One line of visible characters.

    Args:
        text: Any text.
        width: At most so many terminal cells; what is cut off is marked by `…`. None: everything.
    """
    if width is None:
        return text if _PLAIN.fullmatch(text) else "".join(_characters(text))
    if width <= 0:
        return ""
    # A letter with all its marks takes at least one cell: what is beyond could not be shown.
    head = text[: (1 + _MARKS) * (width + 1)]
    if _PLAIN.fullmatch(head):
        return head if len(head) <= width else head[: width - 1] + "…"
    used, kept = 0, []
    for piece in _characters(head):
        used += cells(piece)
        kept.append(piece)
        if used > width:
            break
    else:
        if len(head) == len(text):
            return "".join(kept)
    return _cut("".join(kept), width - 1) + "…"


def shorten_middle(text: str, width: int, behind: int | None = None) -> str:
    """At most so many terminal cells of a text's beginning and end, with `…` for what is between.

    Args:
        text: Any text.
        width: The cells.
        behind: Those of them that are the end's; None: half.
    """
    line = visible(text, width)
    if width < 5 or line == visible(text, 2 * width):
        return line
    behind = (width - 1) // 2 if behind is None else behind
    for count in range(behind, 0, -1):
        end = visible(text[-count:])
        if cells(end) <= behind:
            return visible(text, width - cells(end)) + end
    return line


def visible_bytes(data: bytes | None, width: int | None = None) -> str:
    """One line for a body or a key: its text where it is UTF-8, else its hex digits; `∅` for null."""
    if data is None:
        return "∅"
    head = data if width is None else data[: 12 * max(width, 0) + 12]
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or len(head) == len(data):
            return visible(f"0x{head.hex()}", width)
        text = head[: error.start].decode()
    return visible(text, width)


def visible_lines(lines: bytes) -> bytes:
    """The same lines, of visible characters."""
    if not _UNUSUAL.search(lines):
        return lines
    return b"\n".join(visible_bytes(line).encode() for line in lines.split(b"\n"))


def visible_json(lines: bytes) -> bytes:
    """The same JSON, or lines of JSON, with escapes for characters that are not shown as they are."""
    if not _UNUSUAL.search(lines):
        return lines
    return _UNUSUAL_RUN.sub(_escape, lines.decode(errors="backslashreplace")).encode()


def without_controls(drawn: str) -> str:
    """What is about to be drawn, as wide as it was, without what does more than being drawn.

    The last door: what `visible` was asked for shows it where it stands.
    """
    if drawn.isprintable():
        return drawn
    return "".join(each for each in drawn if unicodedata.category(each) not in _CONTROLS)


def count_fitting(text: str, width: int) -> int:
    """How many characters of a text fit into so many cells once they are shown; at least one, if there is any."""
    if _PLAIN.fullmatch(text, 0, max(width, 1) + 1):
        return min(len(text), max(width, 1))
    used = 0
    # As in `visible`: what is beyond could not be shown.
    head = text[: (1 + _MARKS) * (width + 1)]
    for place, piece in enumerate(_characters(head)):
        used += cells(piece)
        if used > width:
            return max(place, 1)
    return len(head)


def cells(text: str) -> int:
    """How many terminal cells a line takes that `visible` made: none for a mark, two for a wide character, else one."""
    return len(text) if text.isascii() else sum(map(_cells, text))


@lru_cache(4096)
def _cells(character: str) -> int:
    if _NARROW.match(character):
        return 1
    # Imported when it is asked: reading its tables takes longer than many a command, and than a picture.
    from wcwidth import wcwidth

    return wcwidth(character)


def _cut(line: str, width: int) -> str:
    used = 0
    for place, character in enumerate(line):
        used += _cells(character)
        if used > width:
            return line[:place]
    return line


def _characters(text: str) -> Iterator[str]:
    """What is shown for each character."""
    free = 0
    for character in text:
        if character in _BREAKS:
            piece, free = _BREAKS[character], 0
        else:
            category = unicodedata.category(character)
            if category in _SPELLED_OUT or _UNSEEN.match(character):
                piece, free = _spell_out(character), 0
            elif category in ("Mn", "Mc") or _MEDIAL.match(character):
                piece, free = (character, free - 1) if free else (_spell_out(character), 0)
            else:
                piece, free = character, _MARKS if category[0] == "L" else 0
        yield piece


def _escape(match: re.Match[str]) -> str:
    run = match[0]
    shown = zip(run, _characters(run), strict=True)
    return "".join(character if character == piece else json.dumps(character)[1:-1] for character, piece in shown)


def _spell_out(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"
