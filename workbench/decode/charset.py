"""The characters of a body: whatever charset it is written in, everybody reads UTF-8.

A byte order mark says what the bytes are, before anything that the event says; a charset that an event names is used
unless the bytes contradict it. Charsets are Python's codecs by their names.
"""

import codecs
from functools import lru_cache
from typing import Final, NamedTuple


class Charset(NamedTuple):
    """How a text is written.

    Attributes:
        codec: The name of Python's codec, the order of the bytes included.
        mark: The byte order mark it begins with; empty where there is none.
    """

    codec: str
    mark: bytes = b""

    @property
    def name(self) -> str:
        """For people: `UTF-16LE with a byte order mark`."""
        name = _NAMES.get(self.codec, self.codec)
        return f"{name} with a byte order mark" if self.mark else name

    def encode(self, text: str) -> bytes | None:
        """The text so written; None where this charset does not have its characters."""
        try:
            return self.mark + text.encode(self.codec)
        except UnicodeError:
            return None


class Transcoded(NamedTuple):
    """A text in UTF-8.

    Attributes:
        data: The text, without a mark; what is no character in its charset is U+FFFD.
        charset: How it was written.
        valid: Whether all of it was characters.
    """

    data: bytes
    charset: Charset
    valid: bool = True


@lru_cache(256)
def python_codec(charset: str) -> str | None:
    """Python's name of a charset, in small letters; None where it has none, or none that is meant for strangers."""
    try:
        # Python also knows codecs that are no charsets, such as zlib, and some that take time for long texts.
        name = codecs.lookup(charset.strip()[:40]).name
    except (LookupError, ValueError):
        return None
    if name == "ascii":
        return "utf-8"
    return name if name.startswith(_KNOWN) and name != "utf-7" else None


def transcode(data: bytes, codec: str, whole: bool) -> Transcoded | None:
    """The text in UTF-8; None where it is UTF-8 as it is, or no text in that charset.

    Args:
        data: As it came.
        codec: The codec that the event names, of those that `python_codec` gives; `utf-8` where it names none.
        whole: False where more would follow.
    """
    for mark, marked in _MARKS:
        if data.startswith(mark):
            if marked == "utf-8":
                return Transcoded(data[len(mark) :], Charset(marked, mark))
            if found := _decode(data, Charset(marked, mark), whole):
                return found
    if codec.startswith("utf-8") or (_writes_ascii(codec) and data.isascii()):
        return None
    # A charset that writes ASCII otherwise is often named of what is UTF-8, and its own texts hardly ever look so.
    if not _writes_ascii(codec) and _is_utf8(data[:_HEAD]):
        return None
    if codec in ("utf-16", "utf-32"):
        codec = _with_order(data[:_HEAD], codec)
    return _decode(data, Charset(codec), whole)


def utf8_text(head: bytes, cut: bool) -> tuple[str | None, bool]:
    """The text of a body's beginning, None where it is none, and whether it is valid UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    try:
        text = decoder.decode(head, not cut)
        return (text, True) if _readable(text) else (None, True)
    except UnicodeError:
        text = head.decode("utf-8", "backslashreplace")
        broken = len(text) - len(head.decode("utf-8", "ignore"))
        # Each bad byte is written in four characters: a few spoil a text, many are no text.
        return (text, False) if broken // 4 * 20 < len(head) and _readable(text) else (None, False)


def _readable(text: str) -> bool:
    """Whether characters are a text's, and not those that any bytes make."""
    head = text[:_HEAD]
    if "\0" in head:
        return False
    controls = sum(head.count(chr(code)) for code in range(1, 32) if code not in (9, 10, 13, 27))
    return controls * 10 <= len(head)


_HEAD: Final = 256 * 1024
_KNOWN: Final = (
    "utf-", "iso8859", "cp", "latin", "koi8", "shift", "euc", "gb", "big5", "mac", "johab", "tis",
    "hp-roman8", "kz1048", "ptcp154",
)  # fmt: skip
_NAMES: Final = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16LE",
    "utf-16-be": "UTF-16BE",
    "utf-32-le": "UTF-32LE",
    "utf-32-be": "UTF-32BE",
}
_MARKS: Final = (
    # The mark of UTF-16LE begins that of UTF-32LE.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def _decode(data: bytes, charset: Charset, whole: bool) -> Transcoded | None:
    decoder = codecs.getincrementaldecoder(charset.codec)("replace")
    text = decoder.decode(data[len(charset.mark) :], whole)
    head = text[:_HEAD]
    # A few bad characters spoil a text, many are no text.
    bad = head.count("\ufffd")
    if not text or bad * 20 >= len(head) > 0 or not _readable(head):
        return None
    return Transcoded(text.encode("utf-8", "replace"), charset, "\ufffd" not in text)


@lru_cache(256)
def _writes_ascii(codec: str) -> bool:
    ascii = bytes(range(9, 127))
    return ascii.decode(codec, "replace") == ascii.decode()


def _is_utf8(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _with_order(head: bytes, codec: str) -> str:
    """The codec with the order of bytes that a text's beginning speaks for: the high bytes of its characters are zero
    more often than the low ones. Where nothing does, it is big-endian (RFC 2781, section 4.3)."""
    step = 2 if codec == "utf-16" else 4
    first, last = head[::step].count(0), head[step - 1 :: step].count(0)
    return f"{codec}-le" if last > first else f"{codec}-be"
