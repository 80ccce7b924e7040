"""What a message says about how it died: the headers that RabbitMQ 4.0 writes when it dead-letters.

https://www.rabbitmq.com/docs/dlx#effects. As in 4.0, what a client writes into `x-death` is not believed: deaths are
remembered beside the message, and the headers are written anew from them.
"""

from datetime import UTC, datetime
from itertools import takewhile
from typing import Literal, TypeAlias

import msgspec

from connectors.memory.headers import with_headers, without_expiration
from workbench.model.content import Value
from workbench.model.event import Event

Reason = Literal["rejected", "expired", "maxlen", "delivery_limit"]


class Death(msgspec.Struct, frozen=True):
    """Why, where and how often a message died in one queue for one reason.

    Attributes:
        queue: The queue it left.
        reason: Why it left.
        exchange: The exchange it had come through, empty for the default one.
        key: The routing key it had come with.
        time: Of the first of these deaths, in milliseconds since 1970 UTC.
        expiration: Its own time to live, which dead-lettering takes away; None if it had none.
        count: How often.
    """

    queue: str
    reason: Reason
    exchange: str
    key: bytes
    time: int
    expiration: str | None = None
    count: int = 1


Deaths: TypeAlias = tuple[Death, ...]
"""All deaths of one message, the latest first."""


def add_death(deaths: Deaths, death: Death) -> Deaths:
    """The deaths of a message that died once more."""
    others = tuple(known for known in deaths if (known.queue, known.reason) != (death.queue, death.reason))
    again = next((known for known in deaths if known not in others), None)
    return (msgspec.structs.replace(again, count=again.count + 1) if again else death, *others)


def in_circles(deaths: Deaths, queue: str) -> bool:
    """Whether a message that may now enter `queue` was there before and nobody has rejected it since.

    RabbitMQ drops it (https://www.rabbitmq.com/docs/dlx#routing): it would go round for ever.
    """
    since = tuple(takewhile(lambda death: death.queue != queue, deaths))
    circle = deaths[: len(since) + 1]
    return len(circle) > len(since) and all(death.reason != "rejected" for death in circle)


def dead_letter(event: Event, deaths: Deaths, key: bytes) -> Event:
    """The event as it goes on: with a new routing key, its deaths in its headers, and no time to live."""
    latest = deaths[0]
    written: dict[str, Value] = {
        "x-death": [_table(death) for death in deaths],
        "x-last-death-exchange": latest.exchange,
        "x-last-death-queue": latest.queue,
        "x-last-death-reason": latest.reason,
    }
    if len(deaths) == 1 and latest.count == 1:
        written["x-first-death-exchange"] = latest.exchange
        written["x-first-death-queue"] = latest.queue
        written["x-first-death-reason"] = latest.reason
    return msgspec.structs.replace(without_expiration(with_headers(event, written)), key=key)


def _table(death: Death) -> dict[str, Value]:
    table: dict[str, Value] = {
        "count": death.count,
        "reason": death.reason,
        "queue": death.queue,
        "time": datetime.fromtimestamp(death.time // 1000, UTC),
        "exchange": death.exchange,
        "routing-keys": [_text(death.key)],
    }
    return table if death.expiration is None else {**table, "original-expiration": death.expiration}


def _text(key: bytes) -> str | bytes:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return key
