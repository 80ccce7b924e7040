"""Ledgers: how far a log's events are dealt with, kept as a consumer group's committed offsets, in sight of every tool.

With a transaction, what was published and how far the ledger got are decided together (KIP-98): one transactional id a
ledger, so that whoever opens it again fences out whoever had it before, and what that one left undecided is undone.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from connectors.kafka.cluster import GROUP, TRANSACTION, Cluster, Partition, group_by_topic
from connectors.kafka.driver import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    OffsetCommitRequest,
    TxnOffsetCommitRequest,
)
from connectors.kafka.errors import Code, check
from connectors.kafka.retry import patiently
from connectors.kafka.versions import TRANSACTIONS
from workbench.model.errors import AccessRefused, ConnectorError, Unsupported

_TIMEOUT_MS = 60_000
"""After which a coordinator undoes what nobody decides."""
_NO_GENERATION = -1
_FENCED = (Code.INVALID_PRODUCER_EPOCH, Code.PRODUCER_FENCED, Code.INVALID_TXN_STATE)


async def advance(cluster: Cluster, ledger: str, offsets: Mapping[Partition, int]) -> None:
    """Commit offsets to a ledger, or in the name of any group without members.

    Raises:
        ConnectorError: It is not known that they are committed.
    """

    async def attempt() -> None:
        rows = group_by_topic(offsets, lambda number, topic: (number, offsets[topic, number], ledger))
        request = OffsetCommitRequest(ledger, _NO_GENERATION, "", -1, rows)
        answer = await cluster.ask(request, await cluster.coordinator(GROUP, ledger))
        for code in _codes(answer.topics):
            if code in (Code.UNKNOWN_MEMBER_ID, Code.ILLEGAL_GENERATION):
                raise Unsupported(f"Group {ledger!r} has members: stop them first, they would commit over it.")
            check(code, f"commit the offsets of group {ledger}")

    await patiently(attempt)


class Coordination:
    """What the coordinators of a cluster are told of one ledger's transactions, one after the other.

    Attributes:
        id: The transactional id.
        identity: The producer's id and epoch.
        failure: Why nothing can be decided any more.
    """

    def __init__(self, cluster: Cluster, ledger: str) -> None:
        """See `opened`."""
        self.id = ledger
        self.identity = (-1, -1)
        self.failure: ConnectorError | None = None
        self._cluster = cluster
        self._included: set[Partition] = set()
        self._deciding = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster, ledger: str) -> AsyncIterator["Coordination"]:
        """Transactions for a ledger; what is not decided on leaving is undone.

        Where there can be none, `failure` says why.

        Raises:
            ConnectorError: On entering: the cluster could not be asked.
        """
        coordination = cls(cluster, ledger)
        try:
            if not await cluster.offers(TRANSACTIONS):
                raise Unsupported(f"{cluster.settings.name} offers no transactions: publish without a ledger.")
            coordination.identity = await patiently(coordination._begin)
        except (AccessRefused, Unsupported) as error:
            coordination.failure = error
        try:
            yield coordination
        finally:
            if coordination._included:
                # Where this fails, the coordinator does it later.
                with suppress(ConnectorError):
                    await coordination._ask(EndTxnRequest(ledger, *coordination.identity, False))

    async def include(self, partitions: Iterable[Partition]) -> None:
        """Make partitions part of the transaction, before anything is written to them.

        Raises:
            ConnectorError: They are not.
        """
        async with self._deciding:
            if self.failure:
                raise self.failure
            if not (fresh := [each for each in partitions if each not in self._included]):
                return

            async def attempt() -> None:
                topics = group_by_topic(fresh, lambda number, topic: number)
                answer = await self._ask(AddPartitionsToTxnRequest(self.id, *self.identity, topics))
                for code in _codes(answer.errors):
                    self.refuse(code)

            await patiently(attempt)
            self._included.update(fresh)

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Decide everything that was published since the last time, and advance the ledger, in one.

        Raises:
            ConnectorError: It is not known that it was decided, and nothing is decided after it.
        """
        async with self._deciding:
            try:
                if self.failure:
                    raise self.failure
                await patiently(lambda: self._add_ledger())
                await patiently(lambda: self._add_offsets(offsets))
                await patiently(lambda: self._end())
            except ConnectorError as error:
                self.failure = error
                raise
            self._included.clear()

    async def _begin(self) -> tuple[int, int]:
        answer = await self._ask(InitProducerIdRequest(self.id, _TIMEOUT_MS))
        self.refuse(answer.error_code)
        return answer.producer_id, answer.producer_epoch

    async def _add_ledger(self) -> None:
        answer = await self._ask(AddOffsetsToTxnRequest(self.id, *self.identity, self.id))
        self.refuse(answer.error_code)

    async def _add_offsets(self, offsets: Mapping[Partition, int]) -> None:
        rows = group_by_topic(offsets, lambda number, topic: (number, offsets[topic, number], self.id))
        request = TxnOffsetCommitRequest(self.id, self.id, *self.identity, rows)
        answer = await self._cluster.ask(request, await self._cluster.coordinator(GROUP, self.id))
        for code in _codes(answer.errors):
            self.refuse(code)

    async def _end(self) -> None:
        answer = await self._ask(EndTxnRequest(self.id, *self.identity, True))
        self.refuse(answer.error_code)

    async def _ask(self, request: Any) -> Any:
        return await self._cluster.ask(request, await self._cluster.coordinator(TRANSACTION, self.id))

    def refuse(self, code: int) -> None:
        """Raise the error for a broker's answer, or nothing for 0.

        Raises:
            RetriableError: Asking again may help.
            ConnectorError: It will not.
        """
        if code in _FENCED:
            raise ConnectorError(
                f"Transaction {self.id!r} was taken over: this is being done elsewhere, or it took more than"
                f" {_TIMEOUT_MS // 1000} s; what was not yet decided is undone."
            )
        check(code, f"use transactional id {self.id}")


def _codes(topics: Iterable[tuple[str, Iterable[tuple[int, int]]]]) -> Iterable[int]:
    return (code for _, partitions in topics for _, code in partitions)
