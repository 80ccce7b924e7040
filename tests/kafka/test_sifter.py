"""What is searched while it comes in: nothing that may hold a needle is let go, and what is kept is as it was sent."""

import socket
import struct
from collections.abc import Sequence
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.kafka import sifter
from connectors.kafka.channel import Answer, Sifted
from connectors.kafka.driver import DefaultRecordBatchBuilder
from connectors.kafka.fetch_protocol import FORMS
from connectors.kafka.records import Batch
from connectors.kafka.sifter import Sifter, Sifting
from workbench.decode.byte_search import Needles

FORM = FORMS[10]
GZIP = 1
TOPIC = "topic"


def batch(base: int, *bodies: bytes, codec: int = 0) -> bytes:
    """A batch as a broker stores it."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, 0, 0, 1 << 20)
    for delta, body in enumerate(bodies):
        builder.append(delta, 0, None, body, [])
    return base.to_bytes(8, "big") + bytes(builder.build())[8:]


def answer(*partitions: bytes) -> bytes:
    """An answer with the records of so many partitions of one topic."""
    rows = [
        FORM.found.pack(number, 0, 0, 0, 0, number % 2)
        + bytes(16 * (number % 2))
        + struct.pack(">i", len(records))
        + records
        for number, records in enumerate(partitions)
    ]
    name = struct.pack(">h", len(TOPIC)) + TOPIC.encode() + struct.pack(">i", len(rows))
    return FORM.head.pack(1, 0, 0, 0, 1) + name + b"".join(rows)


def received(
    *answers: bytes, needles: Sequence[Sequence[bytes]] = ((b"needle",),), kept: bool = False, hidden: bool = False
) -> list[Answer]:
    """What is made of some answers."""

    def hides(one: Batch) -> bool:
        return hidden

    made = Sifter("broker:1", FORM, Sifting(Needles(needles).sieve, hides), lambda partition: kept)
    source, broker = socket.socketpair()
    with source, broker:
        whole = b"".join(struct.pack(">i", len(each)) + each for each in answers)
        sending = Thread(target=broker.sendall, args=(whole,))
        sending.start()
        found = [made.receive(source) for _ in answers]
        sending.join()
    return found


def sifted(records: bytes, needles: Sequence[Sequence[bytes]] = ((b"needle",),), hidden: bool = False) -> Sifted:
    """What is known of the records of a partition."""
    [found] = received(answer(b"", records), needles=needles, hidden=hidden)
    return found.sifted[TOPIC, 1]


BODIES = st.lists(
    st.sampled_from([b"", b"needl", b"eedle", b"a needle", rb"a n\u0065edle", b"x" * 90]), min_size=1, max_size=4
)


@given(st.lists(BODIES, max_size=6), st.integers(61, 200), st.integers(0, 80))
@settings(max_examples=200)
def test_all_is_passed_that_holds_no_needle_and_nothing_else(
    some: list[list[bytes]], at_once: int, missing: int
) -> None:
    base, records, bases = 7, b"", []
    for bodies in some:
        bases.append(base)
        records += batch(base, *bodies)
        base += len(bodies)
    cut = batch(base, b"x" * 40)[:-missing] if missing else b""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sifter, "_AT_ONCE", at_once)
        [found] = received(answer(b"", records + cut))
    hit = next(
        (at for at, bodies in zip(bases, some, strict=True) if b"a needle" in bodies or rb"a n\u0065edle" in bodies),
        None,
    )
    if not records and not cut:
        assert not found.sifted
    elif hit is not None:
        # A piece may begin before it.
        told = found.sifted[TOPIC, 1]
        assert told.again and (told.next is None or (told.next in bases and told.next <= hit))
    elif some:
        assert found.sifted[TOPIC, 1] == (base, False)
    else:
        assert found.sifted[TOPIC, 1].next is None


def test_a_batch_that_holds_one_of_two_needles_is_passed_and_one_that_holds_both_is_not() -> None:
    needles = [[b"one", b"uno"], [b"two"]]
    assert sifted(batch(0, b"one") + batch(1, b"uno"), needles) == (2, False)
    assert sifted(batch(0, b"nothing") + batch(1, b"one and two"), needles).again


def test_needles_far_apart_in_one_batch_are_seen_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sifter, "_AT_ONCE", 61)
    records = batch(0, b"x" * 100) + batch(1, b"one" + b"x" * 500 + b"two")
    assert sifted(records, [[b"one"], [b"two"]]) == (1, True)


def test_what_is_compressed_is_asked_for_again_and_what_was_before_it_is_not() -> None:
    assert sifted(batch(0, b"nothing") + batch(1, b"needle", codec=GZIP)) == (1, True)
    assert sifted(batch(5, b"nothing", codec=GZIP)) == (5, True)


def test_what_hides_its_text_is_asked_for_again() -> None:
    assert sifted(batch(3, b"nothing"), hidden=True) == (3, True)


def test_what_is_no_batch_is_asked_for_again() -> None:
    assert sifted(bytes(100)).again
    assert sifted(b"short").again


def test_what_is_kept_is_as_it_was_sent_and_the_rest_of_an_answer_too() -> None:
    first, second = batch(0, b"needle" * 40_000), batch(9, b"nothing")
    whole = answer(first, second)
    for found in received(whole, whole, whole, kept=True):
        assert found.buffer[: len(whole)] == whole and not found.sifted
    let_go = answer(b"", b"")
    for found in received(whole, whole, whole):
        assert found.buffer[: len(let_go)] == let_go
        assert found.sifted == {(TOPIC, 0): (0, True), (TOPIC, 1): (10, False)}


def test_an_answer_that_ends_early_is_a_lost_connection() -> None:
    made = Sifter("broker:1", FORM, Sifting(Needles([[b"needle"]]).sieve, lambda batch: False), lambda partition: False)
    source, broker = socket.socketpair()
    with source:
        with broker:
            broker.sendall(struct.pack(">i", 1000) + answer(batch(0, b"x" * 500))[:300])
        with pytest.raises(OSError):
            made.receive(source)
