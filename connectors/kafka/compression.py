"""Undoing the compression of record batches, in bounded memory: a stranger may write 10 KB that come to gigabytes."""

import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Final

import cramjam

from workbench.model.errors import FormatError

MOST: Final = 128 << 20
"""Bytes that a batch may come to. Producers fill a batch to a megabyte or so before they compress it; one event may be
larger."""
_ROOM = 64 << 10
_TOO_LITTLE = "failed to write whole buffer"
"""What cramjam says where there is too little room, and not damage."""
_XERIAL = b"\x82SNAPPY\x00"
"""Begins Snappy as Java writes it: in blocks (https://github.com/xerial/snappy-java)."""
_XERIAL_BLOCKS = 16
_SIZE = struct.Struct(">i")
_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4

_INTO: Mapping[int, Callable[[memoryview, memoryview], int]] = {
    _LZ4: cramjam.lz4.decompress_into,
    _ZSTD: cramjam.zstd.decompress_into,
}


def decompress(codec: int, data: memoryview, room: bytearray, begin: int) -> tuple[bytearray, int]:
    """Decompress.

    Args:
        codec: Which (https://kafka.apache.org/documentation/#recordbatch).
        data: What was compressed.
        room: Where to write; what is in it is lost.
        begin: Where in the room to begin.

    Returns:
        Where it was written, a larger room if this one is too small, and the end of it there.

    Raises:
        FormatError: It is damaged, comes to more than `MOST`, or the codec is not known.
    """
    try:
        if codec in _INTO:
            return _into(_INTO[codec], data, room, begin)
        if codec == _SNAPPY:
            return _snappy(data, room, begin)
        if codec == _GZIP:
            return _gzip(data, room, begin)
    except (cramjam.DecompressionError, zlib.error, struct.error) as error:
        raise FormatError(str(error)) from error
    raise FormatError(f"its compression, number {codec}, is not known")


def _into(
    decompress: Callable[[memoryview, memoryview], int], data: memoryview, room: bytearray, begin: int
) -> tuple[bytearray, int]:
    # How much it comes to is not always written down, so more is tried. First what room there is: batches are alike,
    # and a little more for each would be new memory for each.
    likely = max(min(len(data) * 8, MOST), _ROOM)
    size = len(room) - begin
    if size < _ROOM:
        size = likely
    while True:
        room = _with_room(room, begin + size)
        try:
            return room, begin + decompress(data, memoryview(room)[begin : begin + size])
        except cramjam.DecompressionError as error:
            if str(error) != _TOO_LITTLE:
                raise
        if size >= MOST:
            raise _too_much()
        size = min(max(size * 4, likely), MOST)


def _gzip(data: memoryview, room: bytearray, begin: int) -> tuple[bytearray, int]:
    reader = zlib.decompressobj(wbits=31)
    plain = reader.decompress(data, MOST)
    if not reader.eof:
        raise _too_much() if len(plain) == MOST else FormatError("its compressed data are cut off")
    room = _with_room(room, begin + len(plain))
    room[begin : begin + len(plain)] = plain
    return room, begin + len(plain)


def _snappy(data: memoryview, room: bytearray, begin: int) -> tuple[bytearray, int]:
    blocks = [data]
    if bytes(data[: len(_XERIAL)]) == _XERIAL:
        blocks, position = [], _XERIAL_BLOCKS
        while position < len(data):
            (size,) = _SIZE.unpack_from(data, position)
            position += _SIZE.size
            if not 0 <= size <= len(data) - position:
                raise FormatError("its compressed data are cut off")
            blocks.append(data[position : position + size])
            position += size
    sizes = [cramjam.snappy.decompress_raw_len(block) for block in blocks]
    if sum(sizes) > MOST:
        raise _too_much()
    room, end = _with_room(room, begin + sum(sizes)), begin
    for block, size in zip(blocks, sizes, strict=True):
        end += cramjam.snappy.decompress_raw_into(block, memoryview(room)[end : end + size])
    return room, end


def _with_room(room: bytearray, size: int) -> bytearray:
    return room if len(room) >= size else bytearray(size)


def _too_much() -> FormatError:
    return FormatError(f"it comes to more than {MOST >> 20} MB when it is decompressed")
