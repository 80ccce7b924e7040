r"""What a search looks for in bytes that nobody has decoded: needles, and the disguises that JSON has for them.

Inside a JSON text `/` may be written `\/` and any character `\u002f` (RFC 8259, section 7). Bytes that hold neither a
needle nor an escape that could stand for one of its characters hold no event that is looked for. Whatever else is
compressed or encrypted by the application itself is searched as it is.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache

from workbench.model.content import Value
from workbench.model.event import Event

_SHORT = {'"': '"', "\\": "\\", "/": "/", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_ESCAPE = re.compile(rb'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_LONG = {short.encode(): character for character, short in _SHORT.items()}


_MANY = 16 << 10
"""Bytes of data from which on another search than `in` pays."""
_SHORT_NEEDLE = 4
"""Bytes of a needle from which on the C library is the fastest; before, a pattern is."""
_MEMBERS = 12
"""Byte strings that are found faster in one pass than in one for each."""
_TOGETHER = 512 << 10
_MEMORY = 256 << 20
"""Bytes of all of them for which one pass is made, and bytes that it may take."""
_FEW = 64
_ESCAPE_LENGTH = len(rb"\u0000")
_RARE = 4 << 10
"""Backslashes are rare when there are more bytes than this to each, after the first few."""


def _find_occurrence(needle: bytes, data: bytearray, begin: int, end: int) -> bool:
    return data.find(needle, begin, end) >= 0


@cache
def _memmem() -> Callable[[bytes, bytearray, int, int], bool]:
    """Whether a needle occurs in some bytes, by the C library: three times as fast as `bytearray.find`, and it lets the
    interpreter go meanwhile. Where the library has no such function, by `find`."""
    # Most programs search for nothing.
    import ctypes

    try:
        search = ctypes.CDLL(None).memmem
    except (OSError, AttributeError, TypeError):
        return _find_occurrence
    search.restype = ctypes.c_void_p
    search.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)

    def occurs(needle: bytes, data: bytearray, begin: int, end: int) -> bool:
        if end - begin < len(needle):
            return False
        place = ctypes.c_char.from_buffer(data, begin)
        return search(ctypes.byref(place), end - begin, needle, len(needle)) is not None

    return occurs


@cache
def _memmem_in_bytes() -> Callable[[bytes, bytes], bool]:
    """The same in bytes that do not change."""
    import ctypes

    try:
        search = ctypes.CDLL(None).memmem
    except (OSError, AttributeError, TypeError):
        return lambda needle, data: needle in data
    search.restype = ctypes.c_void_p
    search.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
    return lambda needle, data: search(data, len(data), needle, len(needle)) is not None


def occurs(needle: bytes, data: bytes) -> bool:
    """Whether a needle occurs in bytes, three times as fast as by `in` where these are many."""
    if len(data) < _MANY:
        return needle in data
    if len(needle) < _SHORT_NEEDLE:
        return re.search(re.escape(needle), data) is not None
    return _memmem_in_bytes()(needle, data)


def _any_of(members: Sequence[bytes]) -> Callable[[bytes | bytearray, int, int], bool] | None:
    """Whether one of many byte strings occurs, in one pass over the bytes; None where that is no faster, or they are
    too long together. It lets the interpreter go meanwhile, as `memmem` does, which takes a pass for each."""
    if len(members) < _MEMBERS or sum(map(len, members)) > _TOGETHER:
        return None
    # It takes a while to load.
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MEMORY
    options.log_errors = False
    match = re2.compile(b"|".join(map(re2.escape, members)), options)._regexp.Match
    anywhere = re2._Anchor.UNANCHORED
    return lambda data, begin, end: match(anywhere, data, begin, end)[0][0] >= 0


def _rare_byte(needle: bytes) -> int | None:
    """Where in a needle there is a byte that texts and small numbers hardly ever hold; None: nowhere.

    No ASCII character has the eighth bit, a varint of a length or an offset has it only in even bytes
    (https://protobuf.dev/programming-guides/encoding/#signed-ints), and UTF-8 has no bytes from 0xf5 on (RFC 3629).
    """
    odd = [at for at, byte in enumerate(needle) if byte > 0x80 and byte % 2]
    return max(odd, key=lambda at: needle[at] >= 0xF5, default=None)


class Group:
    """Byte strings of which one shall occur: the ways in which one thing may be written."""

    def __init__(self, members: Sequence[bytes]) -> None:
        self._members = tuple(members)
        self._rare = [_rare_byte(each) for each in self._members]
        self._any = _any_of(self._members)
        self.reach = max(_ESCAPE_LENGTH, *map(len, self._members)) - 1
        """How many bytes in front of some others, at most, belong to what ends in these."""
        self._disguised = _disguises(self._members)

    def in_bytes(self, data: bytearray, begin: int, end: int) -> bool:
        """Whether a member occurs, or an escape that could stand for a part of one."""
        if self._any is not None:
            return self._any(data, begin, end) or self._in_disguise(data, begin, end)
        found = any(
            self._occurs(each, rare, data, begin, end) for each, rare in zip(self._members, self._rare, strict=True)
        )
        return found or self._in_disguise(data, begin, end)

    def _occurs(self, member: bytes, rare: int | None, data: bytearray, begin: int, end: int) -> bool:
        """Whether a member occurs: one byte is found faster than several, as long as it is rare."""
        if rare is None:
            return _memmem()(member, data, begin, end)
        byte, seen, position = member[rare], 0, begin + rare - 1
        while (position := data.find(byte, position + 1, end)) >= 0:
            if data.startswith(member, position - rare, end):
                return True
            seen += 1
            if seen > _FEW:
                return _memmem()(member, data, position - rare + 1, end)
        return False

    def in_part(self, part: bytes) -> bool:
        """Whether a member occurs, as it is or in the disguise of JSON's escapes."""
        return self._occurs_in(part) or (b"\\" in part and self._occurs_in(unescape(part)))

    def _occurs_in(self, part: bytes) -> bool:
        if self._any is not None:
            return self._any(part, 0, len(part))
        return any(each in part for each in self._members)

    def _in_disguise(self, data: bytearray, begin: int, end: int) -> bool:
        # One byte is found ten times faster than a pattern, as long as it is rare.
        position, seen = begin - 1, 0
        while (position := data.find(b"\\", position + 1, end)) >= 0:
            if self._disguised.match(data, position, end):
                return True
            seen += 1
            if seen > _FEW + (position - begin) // _RARE:
                return self._disguised.search(data, position + 1, end) is not None
        return False


class Needles:
    """What an event shall hold: of each group a member, in its key, its body, or a header's name or value."""

    def __init__(self, groups: Sequence[Sequence[bytes]]) -> None:
        """Any groups of byte strings; where there are none, every event is meant.

        Raises:
            ValueError: A group has no member, or an empty one.
        """
        if not all(group and all(group) for group in groups):
            raise ValueError("none of a search's needles may be empty")
        self._groups = [Group(members) for members in groups]

    def in_bytes(self, data: bytearray, begin: int, end: int) -> bool:
        """Whether bytes may hold events that hold the needles; when not, none in them does."""
        return all(group.in_bytes(data, begin, end) for group in self._groups)

    def sieve(self) -> "Sieve":
        """What searches bytes while they come in."""
        return Sieve(self._groups)

    def in_event(self, event: Event) -> bool:
        """Whether an event holds the needles, as they are or in the disguise of JSON's escapes."""
        parts = [event.key, event.body]
        if event.wire is not None:
            parts.append(event.wire.data)
        for name, value in event.written.headers:
            parts += [_bytes(name), _bytes(value)]
        return all(any(group.in_part(part) for part in parts if part) for group in self._groups)


class Sieve:
    """Searches bytes piece by piece while they come in, and are in a processor's cache. Made by `Needles.sieve`."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups
        self._missing = list(groups)
        self.reach = max((group.reach for group in groups), default=0)
        """How many bytes in front of a piece are looked at with it."""

    @property
    def missing(self) -> int:
        """How many groups have not been seen yet."""
        return len(self._missing)

    def begin(self) -> None:
        """Look at other bytes: none of their groups was seen."""
        self._missing = list(self._groups)

    def look(self, data: bytearray, begin: int, end: int, first: int) -> bool:
        """Look at a piece.

        Args:
            data: Where it is.
            begin: Where it begins.
            end: Where it ends.
            first: Where the bytes begin that came in before it and are still there.

        Returns:
            Whether all groups have been seen by now: if they never are, no event in the bytes holds the needles.
        """
        self._missing = [each for each in self._missing if not each.in_bytes(data, max(begin - each.reach, first), end)]
        return not self._missing


def unescape(text: bytes) -> bytes:
    """A JSON text with its escapes resolved; half of a surrogate pair stays as it is."""

    def character(match: re.Match[bytes]) -> bytes:
        if match[2]:
            return _LONG[match[2]].encode()
        return chr(int(match[1], 16)).encode("utf-8", "surrogatepass")

    joined = _ESCAPE.sub(character, text)
    if b"\xed" not in joined:
        return joined
    # Two escapes make one character beyond 16 bits.
    return re.sub(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]", _pair, joined)


def _pair(match: re.Match[bytes]) -> bytes:
    return match[0].decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass").decode("utf-16-le").encode()


def _disguises(needles: Sequence[bytes]) -> re.Pattern[bytes]:
    """Finds every escape that can stand for a part of a needle."""
    forms = set()
    for needle in needles:
        for character in needle.decode("utf-8", "replace"):
            if ord(character) >= 0x80:
                # Any of them: the needle may begin or end within a character.
                forms.add(rb"u(?!00[0-7])")
                continue
            digits = f"{ord(character):04x}"
            forms.add(
                ("u" + "".join(f"[{each}{each.upper()}]" if each.isalpha() else each for each in digits)).encode()
            )
            if short := _SHORT.get(character):
                forms.add(re.escape(short.encode()))
    return re.compile(rb"\\(?:" + b"|".join(sorted(forms)) + b")")


def _bytes(value: Value) -> bytes:
    # Half a character, too, which what a program wrote may hold.
    return (
        value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value if isinstance(value, bytes) else b""
    )
