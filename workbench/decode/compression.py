"""What is around a body: compressed forms, each opened in bounded time and memory, and made.

No more than `OPENED` bytes are taken out of one form, whatever it claims to hold, and no more than `_MEMBERS` of the
gzip files that may follow one another in a body.
"""

import os
import zlib
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

OPENED: Final = 4 * 1024 * 1024
"""Bytes taken out of a compressed body at most."""

Inside: TypeAlias = tuple[bytes, bool] | None
"""What was inside and whether that is all of it; None where it is not what it looked like."""

UNMARKED: Final = {"snappy": "bare snappy", "br": "Brotli", "deflate": "bare DEFLATE"}
"""Forms that begin with any bytes, by the content encodings by which alone they are known. Frames of snappy do have a
mark, and so has what HTTP calls deflate; many take it for DEFLATE without zlib's header."""
MARKED: Final = frozenset(("gzip", "x-gzip", "zlib", "zstd", "lz4"))
"""The content encodings of forms that are known by their first bytes."""


def detect(data: bytes) -> str | None:
    """The form that these bytes begin as, where it has a mark."""
    return next((name for name, begin in _BEGINNINGS if data.startswith(begin)), None)


def decompress(name: str, data: bytes) -> Inside:
    """What is inside a compressed form, as far as `OPENED` bytes.

    Args:
        name: What `detect` or `UNMARKED` calls it.
        data: The compressed bytes.
    """
    return _OPEN[name](data)


def compress(name: str, data: bytes) -> bytes:
    """Bytes in a compressed form; equal bytes give equal ones.

    Args:
        name: What `detect` or `UNMARKED` calls it.
        data: What is to be inside.
    """
    return _CLOSE[name](data)


_BEGINNINGS: Final = (
    ("gzip", b"\x1f\x8b\x08"),
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("lz4", b"\x04\x22\x4d\x18"),
    ("snappy", b"\xff\x06\x00\x00sNaPpY"),
    *(("zlib", bytes((0x78, level))) for level in (0x01, 0x5E, 0x9C, 0xDA)),
)
_MEMBERS: Final = 1000
_CHUNK: Final = 64 * 1024
_ROOM: Final = 64 * 1024


def _inflate(window: int) -> Callable[[bytes], Inside]:
    def open_with(data: bytes) -> Inside:
        out = bytearray()
        at = 0
        # A gzip file may be several, one behind the other.
        for _ in range(_MEMBERS):
            decompressor = zlib.decompressobj(window)
            while not decompressor.eof and at < len(data) and len(out) <= OPENED:
                # What follows a member is copied each time, so it had better not be all that is left.
                chunk = data[at : at + _CHUNK]
                try:
                    out += decompressor.decompress(chunk, OPENED + 1 - len(out))
                except zlib.error:
                    return (bytes(out[:OPENED]), False) if out else None
                at += len(chunk) - len(decompressor.unused_data) - len(decompressor.unconsumed_tail)
            if len(out) > OPENED:
                return bytes(out[:OPENED]), False
            if not decompressor.eof:
                return (bytes(out), False) if out else None
            if at == len(data):
                return bytes(out), True
        return bytes(out), False

    return open_with


def _cramjam(name: str, function: str) -> Callable[[bytes], Inside]:
    def into(data: bytes, room: int) -> tuple[bytes, int] | None:
        """What is inside and how much that is; None where that is not known, for it does not fit, or is broken."""
        import cramjam

        # It writes into what it is given and fails when that is full; the mark at the end tells whether it got there.
        mark = os.urandom(16)
        out = bytearray(room) + mark
        try:
            size = getattr(getattr(cramjam, name), function)(data, out)
        except cramjam.DecompressionError:
            return (bytes(out[:room]), room + 1) if out[room:] != mark else None
        return bytes(out[: min(size, room)]), size

    def open_with(data: bytes) -> Inside:
        # Most bodies are small, and room for the largest would take longer to make than they take to be opened.
        room = min(max(_ROOM, 16 * len(data)), OPENED)
        inside = into(data, room)
        if room < OPENED and (inside is None or inside[1] > room):
            inside = into(data, OPENED)
        return None if inside is None else (inside[0], inside[1] <= OPENED)

    return open_with


_OPEN: Final[Mapping[str, Callable[[bytes], Inside]]] = {
    # 32 more than the largest window: gzip or zlib, whichever it begins like; less than 0: neither's header.
    "gzip": _inflate(32 + zlib.MAX_WBITS),
    "zlib": _inflate(32 + zlib.MAX_WBITS),
    "bare DEFLATE": _inflate(-zlib.MAX_WBITS),
    "zstd": _cramjam("zstd", "decompress_into"),
    "lz4": _cramjam("lz4", "decompress_into"),
    "snappy": _cramjam("snappy", "decompress_into"),
    "bare snappy": _cramjam("snappy", "decompress_raw_into"),
    "Brotli": _cramjam("brotli", "decompress_into"),
}


def _deflate(window: int) -> Callable[[bytes], bytes]:
    def close_with(data: bytes) -> bytes:
        compressor = zlib.compressobj(wbits=window)
        return compressor.compress(data) + compressor.flush()

    return close_with


def _with_cramjam(name: str, function: str) -> Callable[[bytes], bytes]:
    def close_with(data: bytes) -> bytes:
        import cramjam

        return bytes(getattr(getattr(cramjam, name), function)(data))

    return close_with


_CLOSE: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    # 16 more than the largest window: gzip's header, without a time.
    "gzip": _deflate(16 + zlib.MAX_WBITS),
    "zlib": _deflate(zlib.MAX_WBITS),
    "bare DEFLATE": _deflate(-zlib.MAX_WBITS),
    "zstd": _with_cramjam("zstd", "compress"),
    "lz4": _with_cramjam("lz4", "compress"),
    "snappy": _with_cramjam("snappy", "compress"),
    "bare snappy": _with_cramjam("snappy", "compress_raw"),
    "Brotli": _with_cramjam("brotli", "compress"),
}
