"""Searching in ranges: in which order what is found is handed over, and what is said of what was not searched."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable, Sequence

import pytest

from workbench.cluster.range_scan import RangeScan
from workbench.cluster.range_search import Job, Piece, Sealed, search_range
from workbench.connecting.config import Connection, Secret, without_secrets
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, LoginRefused, unwrap_exception_group
from workbench.model.event import Delivery, Event, Position
from workbench.model.look import Gap
from workbench.model.ranges import Extent, Range, divide
from workbench.model.start import Window

ORDERS, AUDIT = Address("k", "orders"), Address("k", "audit")
LARGE = 250_000
"""Offsets of a partition that is searched in several ranges."""


def delivery(part: Range, offset: int) -> Delivery:
    return Delivery(Event(body=b"%d" % offset), part.address, 0, Position(part.partition, str(offset)))


def extents(*sizes: int) -> list[Extent]:
    return [
        Extent(ORDERS, tuple(Range(ORDERS, str(number), 0, size) for number, size in enumerate(sizes))),
        Extent(AUDIT, (Range(AUDIT, "0", 5, 6),), (Gap("partition 1", "it has no leader"),), ("a note",)),
    ]


async def scanned(
    scan: RangeScan, take: Callable[[Sequence[Delivery]], Awaitable[None]] | None = None
) -> list[tuple[str, str, int]]:
    """The address, the partition and the offset of all that is found, in the order in which it is handed over."""
    found = []
    with unwrap_exception_group():
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            running = group.create_task(scan.run())
            async for batch in scan:
                for each in batch:
                    assert each.position is not None
                    found.append((each.address.name, each.position.partition, int(each.position.offset)))
                if take is not None:
                    await take(batch)
            running.cancel()
    return found


def test_ranges_are_divided_by_turns_and_none_is_empty() -> None:
    whole = [Range(ORDERS, "0", 10, 35), Range(ORDERS, "1", 7, 7), Range(ORDERS, "2", 0, 10)]
    assert [(each.partition, each.start, each.end) for each in divide(whole, 10)] == [
        ("0", 10, 20),
        ("2", 0, 10),
        ("0", 20, 30),
        ("0", 30, 35),
    ]


async def test_what_is_found_of_a_partition_is_handed_over_in_its_order_whoever_is_first() -> None:
    others = 0
    all_others = asyncio.Event()

    async def carry(part: Range) -> Piece:
        nonlocal others
        if (part.address, part.partition, part.start) == (ORDERS, "0", 0):
            await all_others.wait()
        else:
            others += 1
            if others == 5:
                all_others.set()
        return Piece((delivery(part, part.start), delivery(part, part.end - 1)), part.end)

    scan = RangeScan(extents(LARGE, LARGE), carry, width=2)
    found = await scanned(scan)
    assert found[0] != ("orders", "0", 0)
    for partition in ("0", "1"):
        offsets = [offset for name, number, offset in found if (name, number) == ("orders", partition)]
        assert len(offsets) > 4
        assert offsets == sorted(offsets)
    assert (scan.progress.done, scan.progress.total) == (2 * LARGE + 1, 2 * LARGE + 1)
    covered = scan.coverages[ORDERS]
    assert covered.complete and covered.read == covered.total == 2 * LARGE
    assert [(each.start, each.end) for each in covered.spans] == [("0", str(LARGE))] * 2
    assert scan.coverages[AUDIT].gaps == (Gap("partition 1", "it has no leader"),)
    assert scan.coverages[AUDIT].notes == ("a note",)


async def test_a_range_goes_on_where_its_worker_stopped() -> None:
    asked: list[tuple[int, int]] = []

    async def carry(part: Range) -> Piece:
        if part.address == ORDERS:
            asked.append((part.start, part.end))
        reached = min(part.start + 400, part.end)
        return Piece(tuple(delivery(part, each) for each in range(part.start, reached)), reached)

    found = await scanned(RangeScan(extents(1000), carry, width=2))
    assert asked == [(0, 1000), (400, 1000), (800, 1000)]
    assert [offset for name, _, offset in found if name == "orders"] == list(range(1000))


async def test_a_range_that_cannot_be_searched_is_a_gap_and_the_others_go_on() -> None:
    async def carry(part: Range) -> Piece:
        if part.partition == "1":
            return Piece((delivery(part, 0),), 40, error=ConnectorError("The disk is full."))
        return Piece((delivery(part, part.start),), part.end)

    scan = RangeScan(extents(100, 100), carry, width=1)
    assert sorted(await scanned(scan)) == [("audit", "0", 5), ("orders", "0", 0), ("orders", "1", 0)]
    covered = scan.coverages[ORDERS]
    assert covered.gaps == (Gap("partition 1, offsets 40 to 99", "The disk is full"),)
    assert (covered.read, covered.total) == (140, 200)


async def test_a_login_that_is_refused_ends_the_search() -> None:
    asked = 0

    async def carry(part: Range) -> Piece:
        nonlocal asked
        asked += 1
        return Piece((), part.start, error=LoginRefused("The password is wrong."))

    with pytest.raises(LoginRefused):
        await scanned(RangeScan(extents(*[100] * 50), carry, width=1))
    assert asked <= 3


async def test_no_more_is_searched_than_is_taken() -> None:
    begun = 0

    async def carry(part: Range) -> Piece:
        nonlocal begun
        begun += 1
        return Piece((delivery(part, part.start),), part.end)

    ahead: list[int] = []
    taken = 0

    async def take(batch: Sequence[Delivery]) -> None:
        nonlocal taken
        taken += 1
        for _ in range(20):
            await asyncio.sleep(0)
        ahead.append(begun - taken)

    await scanned(RangeScan(extents(*[100] * 50), carry, width=2), take)
    assert begun == taken == 51
    assert max(ahead) <= 6


async def test_nothing_is_counted_as_searched_that_was_not_handed_over() -> None:
    async def carry(part: Range) -> Piece:
        return Piece((delivery(part, part.start),), part.end)

    scan = RangeScan(extents(*[100] * 50), carry, width=2)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(scan.run())
        async for _ in scan:
            break
        running.cancel()
    assert scan.coverage.read == 100
    assert scan.coverage.total == 5001


def test_what_goes_to_a_worker_shows_nothing_and_its_password_is_known_there_as_one() -> None:
    connection = Connection.parse("k=memory://ops:hunter2-of-old@broker")
    job = Sealed.of(Job(connection, None, (), Window()))
    assert "hunter2" not in repr(job) and "broker" not in repr(job)
    Secret._texts.clear()
    brought: Job = pickle.loads(pickle.dumps(job)).open()
    assert brought.connection.password is not None
    assert brought.connection.password.reveal() == "hunter2-of-old"
    assert without_secrets("hunter2-of-old is wrong") == "… is wrong"


def test_a_worker_of_another_version_refuses_a_range() -> None:
    job = Job(Connection.parse("k=memory://broker"), None, (), Window(), version="9.9")
    piece: Piece = Sealed(search_range(Sealed.of(job), Sealed.of(Range(ORDERS, "0", 3, 9)))).open()
    assert (piece.found, piece.reached) == ((), 3)
    assert "and this is 9.9" in str(piece.error)


def test_what_a_worker_cannot_do_comes_back_as_a_sentence() -> None:
    for url in ("k=memory://broker", "k=nothing://broker"):
        job = Job(Connection.parse(url), None, (), Window())
        piece: Piece = Sealed(search_range(Sealed.of(job), Sealed.of(Range(ORDERS, "0", 0, 9)))).open()
        assert piece.reached == 0
        assert str(piece.error).endswith(".")
