"""Fetching partitions to their ends, or for ever: it follows leaders and comes back from lost connections.

Of each partition only the next offset is remembered: whatever breaks, fetching goes on from there, so that nothing is
missed and nothing comes twice. Nothing is written to the cluster, and no consumer group takes part.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple, TypeAlias

from connectors.kafka.channel import Channel, Sifted
from connectors.kafka.cluster import BEGINNING, END, Cluster, Partition
from connectors.kafka.errors import Code, RetriableError, check
from connectors.kafka.fetch_connection import OwnConnection, TailConnection, TailConnections, Wish
from connectors.kafka.fetch_protocol import Fetched, form_of
from connectors.kafka.records import survey
from connectors.kafka.retry import Patience
from connectors.kafka.sifter import Sifter, Sifting
from workbench.model.errors import AccessRefused, ConnectionLost, ConnectorError, FormatError
from workbench.model.look import ALL, REST, Gap

_LEAST = 64 << 10
_WAIT_MS = 500
_REFRESH_SECONDS = 30.0
AWAY_MS = 1_000
"""Milliseconds between two questions who leads a partition that could not be asked yet."""
_MOST_ASKED = 256
"""Partitions in one request at most, where they have an end: an answer has a row for each that was asked for."""
_NAMED = 10_000
"""Gaps that are named at most: a topic may hold nothing but damaged batches."""


_SIFTED = 16 << 20
"""Bytes asked for at once where none are kept; twice as many where these come at once."""
_AT_ONCE = 0.25
"""Seconds in which an answer comes at once: whoever watches the progress does not wait for it."""
_FIRST = 1 << 20
"""Bytes of it asked for first: they tell what is compressed, and therefore to be kept."""


Line: TypeAlias = tuple[int, int]
"""A broker, and which of the connections to it."""


class Share:
    """What is to be fetched of one partition.

    Attributes:
        partition: Which.
        start: The first offset asked for.
        next: The next offset to ask for.
        end: Where to stop; None: never.
        leader: The broker to ask; -1 where none is known.
        served: When it last brought something, counted in answers; who waited longest comes first.
        forbidden: Whether the rest is done without: this user may not read it, or nobody leads it any more.
        kept: Whether what comes is kept as it is; else it is sifted, where it can be.
    """

    __slots__ = ("end", "forbidden", "kept", "leader", "next", "partition", "served", "start")

    def __init__(self, partition: Partition, start: int, end: int | None, leader: int) -> None:
        self.partition = partition
        self.start = self.next = start
        self.end = end
        self.leader = leader
        self.served = 0
        self.forbidden = False
        self.kept = True

    @property
    def finished(self) -> bool:
        """Whether all was fetched that can be."""
        return self.forbidden or (self.end is not None and self.next >= self.end)

    def rewind(self, offset: int) -> None:
        """Fetch from this offset on again, and soon: what came could not be kept."""
        self.next, self.served = offset, 0


class Chunk(NamedTuple):
    """Record batches of one partition, from an answer.

    Attributes:
        share: The partition.
        start: The offset that was asked for: earlier events of the first batch were not.
        flags: The flags of all batches together.
        fetched: The batches. Valid until the next chunks are asked for.
    """

    share: Share
    start: int
    flags: int
    fetched: Fetched


class Fetching:
    """Asks all leaders at once, and for the next batches before those in hand are looked at."""

    def __init__(
        self,
        cluster: Cluster,
        shares: Iterable[Share],
        *,
        size: int,
        lines: int = 1,
        wanted: Callable[[Share], bool] = lambda share: True,
        grow: Callable[[Partition, int], Awaitable[Share | None]] | None = None,
        away: Iterable[Partition] = (),
        sifting: Sifting | None = None,
        tails: TailConnections | None = None,
    ) -> None:
        """Nothing is asked for yet.

        Args:
            cluster: Where the partitions are.
            shares: What to fetch.
            size: Bytes to ask for at once.
            lines: Connections to each broker. With two, it looks for one answer while it sends another.
            wanted: Whether more of a partition is wanted at the moment.
            grow: Makes the share of a partition that is added to a topic later, or is led again, by the broker that
                leads it; None: it cannot be fetched yet. None in its place: none is added.
            away: Partitions that could not be asked when this began, which are to be fetched as soon as they can be.
            sifting: How answers are searched while they come in; None: all are kept.
            tails: Whose connections it shares; None: it has its own.
        """
        self.shares = {share.partition: share for share in shares}
        self._left = list(self.shares.values())
        self._endless = any(share.end is None for share in self._left)
        self.gaps: list[tuple[str, Gap]] = []
        self.unnamed = 0
        self.patience = Patience()
        self._cluster = cluster
        self._size = size
        self._lines = lines
        self._wanted = wanted
        self._grow = grow
        self.away = set(away)
        self._sifting = sifting
        self._tails = tails
        self._sifters: set[Line] = set()
        self._asked_at: dict[Line, float] = {}
        self._took: dict[Line, float] = {}
        self._connections: dict[Line, OwnConnection | TailConnection] = {}
        self._pending: dict[Line, asyncio.Future[list[Fetched]]] = {}
        self._flying: dict[Line, list[Share]] = {}
        self._asked: dict[Line, Mapping[Partition, int]] = {}
        self._trouble: ConnectorError | None = None
        self._ill: set[int] = set()
        self._answers = 0

    @property
    def finished(self) -> bool:
        """Whether all was fetched. Asked once what could not be kept of an answer is rewound."""
        while self._left and self._left[-1].finished:
            self._left.pop()
        return not self._left

    def miss(self, topic: str, gaps: Iterable[Gap]) -> None:
        """Remember what is not seen of a topic: the first by their names, the others by their number."""
        more = list(gaps)
        named = more[: max(_NAMED - len(self.gaps), 0)]
        self.gaps += [(topic, gap) for gap in named]
        self.unnamed += len(more) - len(named)

    def close(self) -> None:
        """Let all connections go."""
        for future in self._pending.values():
            future.cancel()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._pending.clear()
        self._flying.clear()

    async def chunks(self) -> list[Chunk]:
        """What the next answer brings; empty when it brings nothing, or when nothing is left or wanted.

        Raises:
            ConnectorError: A broker refuses, or what may pass did not. Asked again, it goes on where it stopped.
        """
        if trouble := self._trouble:
            self._trouble = None
            await self._recover(trouble)
        self._left = [share for share in self._left if not share.finished]
        for node in {share.leader for share in self._left}:
            for line in [(node, number) for number in range(self._lines)]:
                if line not in self._pending and self._waiting(node):
                    try:
                        await self._connect(line)
                    except (ConnectionLost, RetriableError) as error:
                        self._is_ill(node, error)
                        break
                    else:
                        self._ask(line)
        if not self._pending:
            return []
        # Those that are well are not kept waiting for one that is not, nor the other way round.
        timeout = _WAIT_MS / 1000 if self._trouble else None
        done, _ = await asyncio.wait(self._pending.values(), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for line in [line for line, future in self._pending.items() if future in done][:1]:
            self._flying.pop(line)
            try:
                return self._accept(line, self._pending.pop(line).result())
            except (ConnectionLost, RetriableError) as error:
                self.patience.note(self._connections[line].heard.at)
                self._is_ill(line[0], error)
        return []

    def _is_ill(self, node: int, error: ConnectorError) -> None:
        self._trouble = error
        self._ill.add(node)

    def _is_well(self, line: Line) -> None:
        self._ill.discard(line[0])
        if not (self._ill and self._ill & {share.leader for share in self._left if not share.finished}):
            self.patience.calm(self._connections[line].heard.at)

    def _hungry(self) -> list[Share]:
        return [share for share in self._left if not share.finished and self._wanted(share)]

    def _waiting(self, node: int) -> list[Share]:
        """What to ask a broker for next, who waited longest first."""
        flying = {share for line, shares in self._flying.items() if line[0] == node for share in shares}
        waiting = [share for share in self._hungry() if share.leader == node and share not in flying]
        # Each line has a part of it, so that there is something for the others.
        part = -(-(len(waiting) + len(flying)) // self._lines)
        # What has an end has something to bring before it; of what has none, any may be the one that brings something.
        if not self._endless:
            part = min(part, _MOST_ASKED)
        return sorted(waiting, key=lambda share: share.served)[:part]

    async def _connect(self, line: Line) -> None:
        node, _ = line
        if node < 0:
            topic = next(share.partition[0] for share in self.shares.values() if share.leader == node)
            check(Code.LEADER_NOT_AVAILABLE, f"read topic {topic}")
        connection = self._connections.get(line)
        if connection is not None and connection.connected:
            return
        if connection is not None:
            self._connections.pop(line).close()
        if self._tails is not None:
            self._connections[line] = await self._tails.join(node, {topic for topic, _ in self.shares})
            return
        channel = await Channel.open(self._cluster, node)
        self._connections[line] = OwnConnection(channel)
        self._sifters.discard(line)
        if self._sifting is not None:
            sifter = Sifter(channel.place, form_of(channel), self._sifting, self._is_kept)
            if channel.receive_by(sifter.receive):
                self._sifters.add(line)

    def _ask(self, line: Line) -> None:
        if shares := self._waiting(line[0]):
            offsets = self._asked[line] = {share.partition: share.next for share in shares}
            size = self._size
            if line in self._sifters and not any(share.kept for share in shares):
                size = _FIRST if not self._answers else _SIFTED * (2 if self._took.get(line, 1.0) < _AT_ONCE else 1)
            # A sample is taken of what each partition brings.
            each = max(min(size // len(shares), self._size), _LEAST)
            self._flying[line] = shares
            self._asked_at[line] = time.monotonic()
            wish = Wish(offsets, size, each, any_answer=self.patience.failing or bool(self._ill))
            self._pending[line] = self._connections[line].ask(wish)

    def _is_kept(self, partition: Partition) -> bool:
        return self.shares[partition].kept

    def _accept(self, line: Line, answer: list[Fetched]) -> list[Chunk]:
        """Take in an answer. What it refuses is dealt with afterwards."""
        self._answers += 1
        self._took[line] = time.monotonic() - self._asked_at[line]
        chunks = []
        nothing = all(fetched.is_empty for fetched in answer)
        for fetched in answer:
            share = self.shares[fetched.partition]
            if share.leader != line[0] or self._asked[line].get(fetched.partition) != share.next:
                continue  # another broker leads it by now, and is asked for the same
            if fetched.code == Code.OFFSET_OUT_OF_RANGE:
                self._is_ill(line[0], _OutOfRange(share))
            elif fetched.code != Code.NONE:
                try:
                    check(fetched.code, f"read topic {share.partition[0]}")
                except AccessRefused as error:
                    self._forbid(share.partition[0], line[0], error)
                except ConnectorError as error:
                    self._is_ill(line[0], error)
            elif fetched.sifted is not None:
                self._take_sifted(share, fetched.sifted)
            elif seen := _survey(share, fetched):
                chunks.append(Chunk(share, share.next, seen[1], fetched))
                share.next, share.served = seen[0], self._answers
            elif nothing and share.end is not None and fetched.stable >= share.end:
                # The last events before the end are gone (compaction).
                share.next = share.end
        if not self._trouble:
            self._is_well(line)
            if self._connections[line].connected:
                self._ask(line)
        return chunks

    def _forbid(self, topic: str, node: int, error: AccessRefused) -> None:
        """Do without a topic that this user may not read, unless it is the last one."""
        shares = [share for share in self.shares.values() if share.partition[0] == topic]
        if all(share.forbidden or share.partition[0] == topic for share in self.shares.values()):
            self._is_ill(node, error)
        elif not shares[0].forbidden:
            read = any(share.next > share.start for share in shares)
            self.miss(topic, [Gap(REST if read else ALL, str(error).rstrip("."))])
            for share in shares:
                share.forbidden = True

    def _take_sifted(self, share: Share, sifted: Sifted) -> None:
        """Go on behind what was ruled out, and keep the rest."""
        if sifted.next is None and not sifted.again:
            return  # only a part of a batch came
        passed, share.next, share.served = share.next, max(sifted.next or 0, share.next), self._answers
        # Where a broker sends what was not asked for, that is seen in what is kept.
        share.kept = sifted.again or (sifted.next is not None and sifted.next <= passed)
        if sifted.again:
            # Those of which nothing is known yet are likely written alike.
            for each in self._left:
                each.kept = each.kept or not each.served

    async def _recover(self, error: ConnectorError) -> None:
        """After something that may pass: pause, ask who leads what now, and go on."""
        if not isinstance(error, ConnectionLost | RetriableError):
            raise error
        try:
            await self.patience.wait(error)
        except ConnectorError as final:
            self._do_without(final)
        if isinstance(error, _OutOfRange):
            with suppress(ConnectionLost, RetriableError):  # it comes again, and counts
                await self._into_range(error.share)
        else:
            await self._follow()

    async def follow(self) -> None:
        """Ask from time to time who leads what, beside what is fetched: whoever is asked may stand still."""
        while True:
            await asyncio.sleep(AWAY_MS / 1000 if self.away else _REFRESH_SECONDS)
            with suppress(ConnectorError):  # what keeps fetching from going on is said there
                await self._follow()

    async def _follow(self) -> None:
        """Ask who leads what now."""
        try:
            leaders = await self._cluster.leaders({topic for topic, _ in self.shares})
        except (ConnectionLost, RetriableError):
            return  # whoever leads will not be reached either, and that counts
        for partition, leader in leaders.items():
            if share := self.shares.get(partition):
                if share.leader != leader:
                    share.leader = leader
                    self._ask_anew()
            elif self._grow and leader >= 0:
                grown = await self._grow(partition, leader)
                # Whoever asked at the same time may have added it meanwhile.
                if grown is not None and partition not in self.shares:
                    self.shares[partition] = grown
                    self._left.append(grown)
                    self._find(partition)
                    self._ask_anew()

    def _ask_anew(self) -> None:
        """Take back what a tail asks for, to which there may be no answer for long: others are to be asked, or for
        more."""
        if self._tails is not None:
            for line in [line for line, future in self._pending.items() if not future.done()]:
                self._pending.pop(line).cancel()
                del self._flying[line]

    def _find(self, partition: Partition) -> None:
        """A partition that could not be asked is fetched from now on, and missed no longer."""
        if partition in self.away:
            self.away.remove(partition)
            topic, number = partition
            self.gaps = [each for each in self.gaps if (each[0], each[1].what) != (topic, f"partition {number}")]

    def _do_without(self, error: ConnectorError) -> None:
        """Go on with the partitions that are well. What grows is asked for again later; of the others the rest is
        missed.

        Raises:
            ConnectorError: The error, where none is.
        """
        left = [share for share in self._left if not share.finished]
        lost = [share for share in left if share.leader in self._ill]
        if len(lost) == len(left) and not any(share.served and share not in lost for share in self.shares.values()):
            raise error
        for share in lost:
            if share.end is not None:
                what = f"partition {share.partition[1]}, offsets {share.next} to {share.end - 1}"
                self.miss(share.partition[0], [Gap(what, str(error).removesuffix("."), failed=True)])
                share.forbidden = True

    async def _into_range(self, share: Share) -> None:
        """Retention has overtaken the next offset, or the partition was cut back: go on where there is something."""
        leaders = {share.partition: share.leader}
        first = (await self._cluster.offsets({share.partition: BEGINNING}, leaders))[share.partition]
        last = (await self._cluster.offsets({share.partition: END}, leaders, committed=False))[share.partition]
        if share.next < first:
            until = first if share.end is None else min(first, share.end)
            self.miss(share.partition[0], [retention_gap(share.partition, share.next, until)])
            share.next = first
        elif share.next > last:
            what = f"partition {share.partition[1]}, what came before offset {last}"
            self.miss(share.partition[0], [Gap(what, "the partition was cut back")])
            share.next = last if share.end is None else share.end


class _OutOfRange(RetriableError):
    def __init__(self, share: Share) -> None:
        super().__init__(ConnectorError(f"Partition {share.partition[1]} has no offset {share.next} any more."))
        self.share = share


def _survey(share: Share, fetched: Fetched) -> tuple[int, int] | None:
    place = f"Partition {share.partition[1]} of topic {share.partition[0]} cannot be read from offset {share.next} on"
    try:
        seen = survey(fetched.records)
    except FormatError as error:
        raise ConnectorError(f"{place}: {error}.") from error
    if seen and seen[0] <= share.next:
        raise ConnectorError(f"{place}: the broker sends what is before it.")
    return seen


def retention_gap(partition: Partition, start: int, end: int) -> Gap:
    """The gap where retention was faster."""
    return Gap(f"partition {partition[1]}, offsets {start} to {end - 1}", "deleted before it was read")
