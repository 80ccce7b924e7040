"""Which partition an event goes to, as Kafka's own producer has it: with a key, murmur2 over the key's bytes.

Python takes longer to hash a key than the rest of publishing does, so many are hashed at once: as one large integer
with a lane of 64 bits for each key, in which a product of 32-bit numbers does not reach the next lane.
"""

import struct
from collections.abc import Sequence

from workbench.model.event import Event

_SEED = 0x9747B28C
_M = 0x5BD1E995
_ALL = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF
_FEW = 8


class Partitioner:
    """Chooses among the partitions of a topic: for an event with a key the key's, for those without one in turn."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._keyless = 0

    def choose(self, events: Sequence[Event]) -> int | Sequence[int]:
        """The partition that all of these events go to, or that of each; those without a key stay together."""
        keys = [event.key for event in events if event.key is not None]
        self._keyless = (self._keyless + 1) % self._partitions
        if not keys or self._partitions == 1:
            return self._keyless
        places = partitions_of(keys, self._partitions)
        if len(keys) == len(events):
            return places
        of_keys = iter(places)
        return [self._keyless if event.key is None else next(of_keys) for event in events]


def partitions_of(keys: Sequence[bytes], partitions: int) -> list[int]:
    """The partition of each key among so many
    (https://kafka.apache.org/documentation/#producerconfigs_partitioner.class)."""
    if partitions == 1:
        return [0] * len(keys)
    if len(keys) >= _FEW and len({*map(len, keys)}) == 1:
        return [(hashed & _POSITIVE) % partitions for hashed in murmur2_of_equally_long(keys)]
    lengths: dict[int, list[int]] = {}
    for index, key in enumerate(keys):
        lengths.setdefault(len(key), []).append(index)
    found = [0] * len(keys)
    for indexes in lengths.values():
        some = [keys[index] for index in indexes]
        hashes = map(murmur2, some) if len(some) < _FEW else murmur2_of_equally_long(some)
        for index, hashed in zip(indexes, hashes, strict=True):
            found[index] = (hashed & _POSITIVE) % partitions
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
    stride = words + bool(rest)
    padded = memoryview(bytes(-length % 4).join([*keys, b""])).cast("I")
    lanes = bytearray(8 * len(keys))
    low_halves = memoryview(lanes).cast("I")[::2]

    def column(index: int) -> int:
        low_halves[:] = padded[index::stride]
        return int.from_bytes(lanes, "little")

    mixed = ones * (_SEED ^ length)
    for index in range(words):
        word = column(index) * _M & all_
        mixed = (mixed * _M ^ (word ^ word >> 24 & all_) * _M) & all_
    if rest:
        mixed = (mixed ^ column(words)) * _M & all_
    mixed = (mixed ^ mixed >> 13 & all_) * _M & all_
    mixed ^= mixed >> 15 & all_
    return struct.unpack(f"<{len(keys)}Q", mixed.to_bytes(8 * len(keys), "little"))
