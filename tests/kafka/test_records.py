"""Record batches: headers, cut-off ends, damage, and what transactions leave out."""

import importlib.metadata

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.channel import Bytes
from connectors.kafka.fetch_protocol import Fetched
from connectors.kafka.records import COMPRESSED, batches, committed_batches, deliveries, survey, times_in
from tests.kafka.reading import BASE
from workbench.model.address import Address
from workbench.model.errors import FormatError

GZIP = 1
CONTROL, TRANSACTIONAL = 0x20, 0x10


def batch(base: int, count: int, codec: int = 0, producer: int = -1, attributes: int = 0, key: bytes = b"k") -> bytes:
    """One batch as a broker stores it."""
    builder = DefaultRecordBatchBuilder(2, codec, int(bool(attributes & TRANSACTIONAL)), producer, 0, 0, 1 << 20)
    for delta in range(count):
        builder.append(delta, BASE + delta, key, b"event-%d" % (base + delta), [("h", b"v")])
    data = bytearray(builder.build())
    data[0:8] = base.to_bytes(8, "big")
    data[22] |= attributes & 0xFF
    return bytes(data)


def fetched(data: bytes, aborted: list[tuple[int, int]] | None = None) -> Fetched:
    # Something in front and behind, as in an answer.
    return Fetched(("t", 0), 0, 0, 0, aborted or [], Bytes(bytearray(b"xx" + data + b"yy"), 2, 2 + len(data)))


def bodies(found: Fetched, start: int = 0, end: int | None = None) -> list[bytes | None]:
    address = Address("kafka", "t")
    return [
        each.event.body for one in committed_batches(found) for each in deliveries(one, address, "0", start, end, 0)
    ]


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from([0, GZIP])), min_size=1, max_size=5), st.data())
def test_a_batch_that_is_cut_off_is_left_for_the_next_fetch(sizes: list[tuple[int, int]], data: st.DataObject) -> None:
    whole, ends, base = b"", [], 0
    for count, codec in sizes:
        whole += batch(base, count, codec)
        base += count
        ends.append((len(whole), base, codec))
    cut = data.draw(st.integers(0, len(whole)))
    arrived = [(next_, codec) for length, next_, codec in ends if length <= cut]
    found = fetched(whole[:cut])
    assert [each.next for each in batches(found.records)] == [next_ for next_, _ in arrived]
    flags = 0
    for _, codec in arrived:
        flags |= codec
    seen = survey(found.records)
    assert (seen and (seen[0], seen[1] & COMPRESSED)) == ((arrived[-1][0], flags) if arrived else None)
    assert bodies(found) == [b"event-%d" % number for number in range(arrived[-1][0] if arrived else 0)]


def test_a_range_is_cut_out_of_a_batch() -> None:
    assert bodies(fetched(batch(10, 5)), start=11, end=13) == [b"event-11", b"event-12"]
    [one] = batches(fetched(batch(10, 5)).records)
    assert [offset for _, offset in times_in(one)] == [10, 11, 12, 13, 14]
    assert (one.base, one.next, one.events, one.newest) == (10, 15, 5, BASE + 4)


@given(st.integers(61, 200), st.integers(1, 255))
def test_a_damaged_batch_is_never_shown(place: int, change: int) -> None:
    data = bytearray(batch(0, 5))
    data[place % len(data[61:]) + 61] ^= change
    with pytest.raises(FormatError):
        bodies(fetched(bytes(data)))


def test_an_unknown_compression_is_not_taken_for_an_event() -> None:
    data = bytearray(batch(0, 2))
    data[22] |= 7
    with pytest.raises(FormatError):
        bodies(fetched(bytes(data)))


def mark(base: int, producer: int, commit: bool) -> bytes:
    return batch(base, 1, producer=producer, attributes=CONTROL | TRANSACTIONAL, key=bytes([0, 0, 0, commit]))


def test_an_aborted_transaction_ends_at_its_mark() -> None:
    data = (
        batch(0, 2, producer=1, attributes=TRANSACTIONAL)
        + batch(2, 2, producer=2, attributes=TRANSACTIONAL)
        + mark(4, 1, commit=False)
        + batch(5, 2, producer=1, attributes=TRANSACTIONAL)
        + mark(7, 2, commit=True)
        + mark(8, 1, commit=True)
        + batch(9, 1)
    )
    assert bodies(fetched(data, [(1, 0)])) == [b"event-%d" % number for number in (2, 3, 5, 6, 9)]
    assert bodies(fetched(data)) == [b"event-%d" % number for number in (0, 1, 2, 3, 5, 6, 9)]
    # The transaction began in what an earlier fetch brought.
    assert bodies(fetched(data[len(batch(0, 2)) :], [(1, 0)])) == [b"event-%d" % number for number in (2, 3, 5, 6, 9)]


def test_what_is_used_of_aiokafka_is_what_was_read() -> None:
    """Internal parts are used: see `channel.py`, `cluster.py`, `groups.py` before allowing another version."""
    assert importlib.metadata.version("aiokafka").startswith("0.14.")
    for name in ("_read_task", "_writer", "_closed_fut", "_protocol", "_versions"):
        assert name in AIOKafkaConnection.__init__.__code__.co_names
