"""Which partitions can be asked now: a leader that has just died is waited for, and one that stays away hides no other.

A cluster notices a broker's death when its session runs out, after 9 s by default (`broker.session.timeout.ms`), and
names it as leader until then.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

from connectors.kafka.cluster import Cluster, Partition, run_together
from connectors.kafka.errors import Code, reason_of, refusal
from workbench.model.errors import ConnectionLost, ConnectorError
from workbench.model.look import Gap

_DEAD_SECONDS = 30.0
_ELECTING_SECONDS = 2.0
_PAUSE_SECONDS = 0.25


class Led(NamedTuple):
    """Partitions by whether they can be asked.

    Attributes:
        leaders: The broker that leads each that can.
        away: Why each other one cannot.
    """

    leaders: Mapping[Partition, int]
    away: Mapping[Partition, ConnectorError]

    def check(self) -> None:
        """Nothing, unless none can be asked.

        Raises:
            ConnectorError: Why.
        """
        if self.away and not self.leaders:
            raise next(iter(self.away.values()))

    @property
    def gaps(self) -> list[tuple[str, Gap]]:
        """What is not seen, by topic."""
        return [
            (topic, Gap(f"partition {number}", gap_reason(error), failed=True))
            for (topic, number), error in sorted(self.away.items())
        ]


def gap_reason(error: ConnectorError) -> str:
    """Why a partition cannot be asked, as the reason of a gap."""
    return reason_of(error) if isinstance(error, ConnectionLost) else "no broker leads it at the moment"


async def await_leaders(cluster: Cluster, leaders: Mapping[Partition, int], electing: float = _ELECTING_SECONDS) -> Led:
    """Partitions that can be asked, once their leaders can be reached, or have been away for too long.

    Args:
        cluster: Where they are.
        leaders: Who leads them, as far as is known; -1: nobody.
        electing: Seconds in which a partition without a leader may get one.

    Raises:
        ConnectorError: The cluster cannot be reached, or none of its brokers where it says that they are.
    """
    begun = time.monotonic()
    told = False
    while True:
        nodes = sorted({*leaders.values()} - {-1})
        asked = dict(zip(nodes, await run_together(_unreachable(cluster, node) for node in nodes), strict=True))
        lost = {node: error for node, error in asked.items() if error is not None}
        passed = time.monotonic() - begun
        elects = -1 in leaders.values() and passed < electing
        dead = bool(lost) and passed < _DEAD_SECONDS
        if dead and len(lost) == len(nodes):
            dead = await _lives(cluster, lost)
        if not (elects or dead):
            break
        if dead and not told:
            told = True
            first = next(iter(lost.values()))
            cluster.tell(f"{first} Waiting up to {_DEAD_SECONDS:g} s for another broker to lead its partitions.")
        await asyncio.sleep(_PAUSE_SECONDS)
        found = await cluster.leaders({topic for topic, _ in leaders})
        leaders = {each: found.get(each, -1) for each in leaders}
    away = {each: lost.get(node) or _leaderless(each) for each, node in leaders.items() if node in lost or node < 0}
    return Led({each: node for each, node in leaders.items() if each not in away}, away)


async def _unreachable(cluster: Cluster, node: int) -> ConnectionLost | None:
    """Why a broker cannot be reached."""
    try:
        await cluster.reach(node)
    except ConnectionLost as error:
        return error
    return None


async def _lives(cluster: Cluster, lost: Mapping[int, ConnectionLost]) -> bool:
    """Whether a broker besides those that are lost can be reached where the cluster says it is: else those addresses
    are wrong, and waiting does not help."""
    others = [node for node in cluster.brokers if node not in lost]
    return any(error is None for error in await run_together(_unreachable(cluster, node) for node in others))


def _leaderless(partition: Partition) -> ConnectorError:
    return refusal(Code.LEADER_NOT_AVAILABLE, f"read partition {partition[1]} of topic {partition[0]}")
