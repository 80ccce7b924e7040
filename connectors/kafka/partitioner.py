"""Which partition a key belongs to, as Kafka's own producer has it: murmur2 over the key's bytes.

Python takes longer to hash a key than the rest of publishing does, so many are hashed at once: as one large integer
with a lane of 64 bits for each key, in which a product of 32-bit numbers does not reach the next lane.
"""

import struct
from collections.abc import Sequence

_SEED = 0x9747B28C
_M = 0x5BD1E995
_ALL = 0xFFFFFFFF
_FEW = 8


def partitions_of(keys: Sequence[bytes], partitions: int) -> list[int]:
    """The partition of each key among so many
    (https://kafka.apache.org/documentation/#producerconfigs_partitioner.class)."""
    if partitions == 1:
        return [0] * len(keys)
    lengths: dict[int, list[int]] = {}
    for index, key in enumerate(keys):
        lengths.setdefault(len(key), []).append(index)
    found = [0] * len(keys)
    for indexes in lengths.values():
        if len(indexes) < _FEW:
            hashes: Sequence[int] = [murmur2(keys[index]) for index in indexes]
        else:
            hashes = murmur2_of_equally_long([keys[index] for index in indexes])
        for index, hashed in zip(indexes, hashes, strict=True):
            found[index] = (hashed & 0x7FFFFFFF) % partitions
    return found


def murmur2(data: bytes) -> int:
    """MurmurHash2, 32 bits, with the seed of Kafka's producer; unsigned."""
    length = len(data)
    mixed = _SEED ^ length
    words, rest = divmod(length, 4)
    for word in struct.unpack_from(f"<{words}I", data):
        word = word * _M & _ALL
        mixed = (mixed * _M & _ALL) ^ ((word ^ word >> 24) * _M & _ALL)
    if rest:
        mixed = (mixed ^ int.from_bytes(data[-rest:], "little")) * _M & _ALL
    mixed = (mixed ^ mixed >> 13) * _M & _ALL
    return mixed ^ mixed >> 15


def murmur2_of_equally_long(keys: Sequence[bytes]) -> Sequence[int]:
    """The same for several keys of one length."""
    ones = int.from_bytes(b"\x01\0\0\0\0\0\0\0" * len(keys), "little")
    all_ = ones * _ALL
    length = len(keys[0])
    words, rest = divmod(length, 4)
    fill = bytes(-length % 4)
    padded = fill.join([*keys, b""]) if fill else b"".join(keys)
    columns = struct.unpack(f"<{len(padded) // 4}I", padded)
    stride = words + bool(rest)

    def column(index: int) -> int:
        return int.from_bytes(struct.pack(f"<{len(keys)}Q", *columns[index::stride]), "little")

    mixed = ones * (_SEED ^ length)
    for index in range(words):
        word = column(index) * _M & all_
        mixed = (mixed * _M & all_) ^ ((word ^ word >> 24 & all_) * _M & all_)
    if rest:
        mixed = (mixed ^ column(words)) * _M & all_
    mixed = (mixed ^ mixed >> 13 & all_) * _M & all_
    mixed ^= mixed >> 15 & all_
    return struct.unpack(f"<{len(keys)}Q", mixed.to_bytes(8 * len(keys), "little"))
