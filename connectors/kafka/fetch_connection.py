"""Connections over which partitions are fetched: a reader's own, or one to each broker that all tails share.

A broker answers one request of a connection after the other, and waits for events before it answers. So what tails want
of a broker is put together: one request names it all, and its answer is taken apart.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import NamedTuple

from connectors.kafka.channel import Answer, Bytes, Channel
from connectors.kafka.cluster import Cluster, Partition
from connectors.kafka.errors import RetriableError
from connectors.kafka.fetch_protocol import Fetched, fetch, form_of, parse
from connectors.kafka.fetch_session import FetchSession
from workbench.connecting.last_heard import LastHeard
from workbench.model.errors import ConnectionLost, ConnectorError

_WAIT_MS = 500
"""For how long a broker may wait for events."""
_SHORT_MS = 20
"""The same while somebody is at work on events, who will ask for more in a moment."""
_AT_WORK_SECONDS = 1.0
"""Seconds after its last events in which a tail counts as being at work on them."""
_MOST = 4 << 20
"""Bytes of an answer to several tails, at most: it is received as a whole before any of them gets its part."""
_TURN_SECONDS = 0.002
"""Seconds in which those who were just answered ask again, if nothing keeps them from it."""


class Wish(NamedTuple):
    """What is asked for at once.

    Attributes:
        offsets: The partitions, and the first offset wanted of each. Those in front are served first.
        size: Bytes at most, of all together, unless the first batch alone is larger.
        each: Bytes at most, of each.
        any_answer: Whether an answer that brings nothing is waited for, too.
    """

    offsets: Mapping[Partition, int]
    size: int
    each: int
    any_answer: bool = True


class OwnConnection:
    """One that nobody shares.

    Attributes:
        channel: The connection.
        heard: When the broker was last heard.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.heard = LastHeard()

    @property
    def connected(self) -> bool:
        """Whether the broker is still there."""
        return self.channel.connected

    def ask(self, wish: Wish) -> "asyncio.Future[list[Fetched]]":
        """Ask for record batches; the answer, valid until the one after the next comes, fails with ConnectorError."""
        found: asyncio.Future[list[Fetched]] = asyncio.get_running_loop().create_future()

        def take(answer: "asyncio.Future[Answer]") -> None:
            if found.done():
                return
            try:
                found.set_result(parse(self.channel, answer.result()))
                self.heard.note()
            except Exception as error:
                found.set_exception(error)

        each = {topic: wish.each for topic, _ in wish.offsets}
        fetch(self.channel, wish.offsets, wish.size, each, _WAIT_MS).add_done_callback(take)
        return found

    def close(self) -> None:
        """Let the connection go."""
        self.heard.stop()
        self.channel.close()


class TailConnection:
    """A tail's part of a connection that it shares.

    Attributes:
        heard: When the broker was last heard.
    """

    def __init__(self, shared: "_Shared", topics: Collection[str]) -> None:
        self.topics = frozenset(topics)
        self.heard = shared.heard
        self.wish: Wish
        self.answered = 0.0
        """When it last got something, by the monotonic clock."""
        self._shared = shared
        self._found: asyncio.Future[list[Fetched]] | None = None

    @property
    def connected(self) -> bool:
        """Whether the broker is still there."""
        return self._shared.channel.connected

    @property
    def asks(self) -> bool:
        """Whether it waits for an answer."""
        return self._found is not None and not self._found.done()

    def ask(self, wish: Wish) -> "asyncio.Future[list[Fetched]]":
        """Ask for record batches; the answer fails with ConnectorError. A question that is cancelled is not asked."""
        self.wish = wish
        self._found = asyncio.get_running_loop().create_future()
        self._shared.hear(self)
        return self._found

    def answer(self, found: list[Fetched]) -> None:
        """It brought this."""
        if self._found is not None and not self._found.done():
            self.answered = time.monotonic()
            # Others ask on before this is looked at, and what comes then is received into the same buffer.
            self._found.set_result([each._replace(records=_copy(each.records)) for each in found])

    def fail(self, error: Exception) -> None:
        """There is no answer."""
        if self._found is not None and not self._found.done():
            self._found.set_exception(error)

    def close(self) -> None:
        """Leave the connection, which the last one to leave closes."""
        self._shared.leave(self)


def _copy(records: Bytes) -> Bytes:
    own = records.buffer[records.begin : records.end]
    return Bytes(own, 0, len(own))


class _Shared:
    """A connection that tails of different topics share."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.heard = LastHeard()
        self._session = FetchSession()
        self._tails: dict[TailConnection, None] = {}
        self._asked: dict[TailConnection, Wish] = {}
        self._answer: asyncio.Future[Answer] | None = None
        self._late: set[TailConnection] = set()
        self._turn: asyncio.TimerHandle | None = None

    def join(self, topics: Collection[str]) -> TailConnection | None:
        """A part of it; None where one of the topics is fetched over it already: from one offset at a time."""
        if not self.channel.connected or any(tail.topics & frozenset(topics) for tail in self._tails):
            return None
        tail = TailConnection(self, topics)
        self._tails[tail] = None
        return tail

    def leave(self, tail: TailConnection) -> None:
        """One leaves it, and the last one closes it."""
        self._tails.pop(tail, None)
        self._late.discard(tail)
        if not self._tails:
            self.heard.stop()
            self.channel.close()
            if self._turn is not None:
                self._turn.cancel()

    def hear(self, tail: TailConnection) -> None:
        """One asks: it is told to the broker with what the others ask for, who were answered with it."""
        self._late.discard(tail)
        if not self._late:
            self._send()

    def _send(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._late.clear()
        if self._answer is not None:
            return
        # Those who have waited longest are served first, also by brokers that remember no order.
        self._asked = {tail: tail.wish for tail in sorted(self._tails, key=_when_answered) if tail.asks}
        if not self._asked:
            return
        wishes = self._asked.values()
        offsets = {each: offset for wish in wishes for each, offset in wish.offsets.items()}
        each = {topic: wish.each for tail, wish in self._asked.items() for topic in tail.topics}
        size = min(sum(wish.size for wish in wishes), _MOST)
        since = time.monotonic() - _AT_WORK_SECONDS
        wait = _SHORT_MS if any(not tail.asks and tail.answered > since for tail in self._tails) else _WAIT_MS
        self._answer = fetch(self.channel, offsets, size, each, wait, self._session)
        self._answer.add_done_callback(self._take)

    def _take(self, answer: "asyncio.Future[Answer]") -> None:
        asked, self._asked, self._answer = self._asked, {}, None
        try:
            fetched = parse(self.channel, answer.result(), self._session)
        except Exception as error:
            # Those too who asked in the meantime: there is nobody else to answer them.
            for tail in self._tails:
                tail.fail(error)
            return
        self.heard.note()
        owners = {topic: tail for tail in asked if tail in self._tails for topic in tail.topics}
        found: dict[TailConnection, list[Fetched]] = {}
        for each in fetched:
            if (owner := owners.get(each.partition[0])) is not None:
                found.setdefault(owner, []).append(each)
        for tail, wish in asked.items():
            some = found.get(tail, [])
            if wish.any_answer or any(each.code or not each.is_empty for each in some):
                tail.answer(some)
                self._late.add(tail)
        self._late &= self._tails.keys()
        if self._late:
            self._turn = asyncio.get_running_loop().call_later(_TURN_SECONDS, self._send)
        else:
            self._send()


def _when_answered(tail: TailConnection) -> float:
    return tail.answered


class TailConnections:
    """The connections to the brokers of a cluster that its tails share."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._shared: dict[int, list[_Shared]] = {}
        self._opening: dict[int, asyncio.Lock] = {}
        self._failures: dict[int, tuple[int, ConnectorError]] = {}

    async def join(self, node: int, topics: Collection[str]) -> TailConnection:
        """A part of a connection to a broker, to be closed.

        Args:
            node: Which broker.
            topics: What is to be fetched.

        Raises:
            ConnectorError: It cannot be reached, or does not let the user in.
        """
        failures, _ = self._failures.get(node, (0, None))
        async with self._opening.setdefault(node, asyncio.Lock()):
            there = self._shared[node] = [each for each in self._shared.get(node, ()) if each.channel.connected]
            for shared in there:
                if (joined := shared.join(topics)) is not None:
                    return joined
            if (failed := self._failures.get(node)) is not None and failed[0] != failures:
                # One attempt answers all who waited for it, for whom a silent broker would be tried one by one.
                raise ConnectionLost(str(failed[1]))
            try:
                channel = await Channel.open(self._cluster, node)
            except (ConnectionLost, RetriableError) as error:
                self._failures[node] = failures + 1, error
                raise
            try:
                form_of(channel)
            except ConnectorError:
                channel.close()
                raise
            shared = _Shared(channel)
            there.append(shared)
            first = shared.join(topics)
            assert first is not None
            return first
