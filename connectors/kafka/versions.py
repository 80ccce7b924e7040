"""Which version of a request is sent: the newest that a broker and we know.

Each broker is asked what it offers on each connection (ApiVersions, KIP-35), before anything else is said: brokers of
one cluster may differ, and services that speak Kafka's protocol offer less than Kafka does. What is not offered is
never sent: such a broker would close the connection, which looks as if it had gone.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from workbench.model.errors import Unsupported

Offered: TypeAlias = Mapping[int, tuple[int, int]]
"""The first and the last version that a broker offers of each request, by the request's key."""

TRANSACTIONS = (24, 25, 26, 28)
"""AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit: what publishing and settling in one takes."""

SHARE_GROUPS = (77, 90)
"""ShareGroupDescribe, DescribeShareGroupOffsets: what telling of share groups takes."""


def negotiate_version(place: str, offered: Offered, key: int, name: str, ours: Iterable[int]) -> int:
    """The version to send.

    Args:
        place: `host:port` of the broker.
        offered: What it offers.
        key: Which request (https://kafka.apache.org/protocol#protocol_api_keys).
        name: Its name, for the sentence.
        ours: The versions of it that are known here.

    Raises:
        Unsupported: There is none.
    """
    known = sorted(ours)
    if key not in offered:
        raise Unsupported(f"The broker at {place} does not offer {name}.")
    first, last = offered[key]
    if both := [version for version in known if first <= version <= last]:
        return both[-1]
    raise Unsupported(f"The broker at {place} offers {name} {_range(first, last)}, not {_range(known[0], known[-1])}.")


def _range(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first} to {last}"
