"""Dead-letter endpoints that are known by their names, where the broker does not know whose dead letters they hold."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from workbench.model.address import Address
from workbench.model.endpoint import Endpoint

_QUEUES: Final = (
    # MassTransit's ErrorQueueNameFormatter and DeadLetterQueueNameFormatter.
    "*_error",
    "*_skipped",
    # NServiceBus's and Rebus's default.
    "error",
    # Spring Cloud Stream's RabbitMQ binder.
    "*.dlq",
    # Dramatiq's `xq_name`.
    "*.XQ",
    # Wolverine's default.
    "wolverine-dead-letter-queue",
    "*-dlq",
    "*_dlq",
    "*.dead",
    "*.dead-letter",
    "*-dead-letter",
    "dead-letter.*",
)
"""How frameworks, and people, name queues of dead letters; `*` stands for where they come from."""
_LOGS: Final = (
    # Spring Kafka's DeadLetterPublishingRecoverer, before and since 3.0.
    "*.DLT",
    "*-dlt",
    # Spring Cloud Stream's Kafka binder.
    "error.*.*",
    # SmallRye's `dead-letter-queue` strategy.
    "dead-letter-topic-*",
    # Share groups (KIP-1191).
    "dlq.*",
    "*.dlq",
    "*-dlq",
    "*_dlq",
    "*.dead",
    "*.dead-letter",
    "*-dead-letter",
)
"""The same for topics and streams."""


class DeadLetterNames:
    """Names by which endpoints that hold dead letters are known, and what those come from.

    Args:
        own: A user's own patterns, which go before those of frameworks: a name, or `connection/name`; `*` stands for
            where the dead letters come from.
    """

    def __init__(self, own: Sequence[str] = ()) -> None:
        self._own: Final = tuple(map(_pattern, own))

    def link(self, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
        """The same endpoints; those that hold dead letters by their name say so, and of which of the others."""
        linked = list(endpoints)
        named = [(at, found) for at, each in enumerate(endpoints) if (found := self._found(each))]
        there = {each.address for each in endpoints} if named else set()
        for at, found in named:
            origin = _origin(linked[at], found)
            of = (origin,) if origin is not None and origin in there and origin != linked[at].address else ()
            linked[at] = msgspec.structs.replace(linked[at], dead_letters_by_name=True, dead_letters_of=of)
        return linked

    def origin_of(self, endpoint: Endpoint) -> Address | None:
        """Where the dead letters of an endpoint come from, going by its name; None: it does not say, or holds none."""
        found = self._found(endpoint)
        return None if found is None else _origin(endpoint, found)

    def _found(self, endpoint: Endpoint) -> re.Match[str] | None:
        if endpoint.dead_letters_of or endpoint.family == "routes":
            return None
        address = endpoint.address
        for pattern in self._own:
            if found := pattern.fullmatch(address.name) or pattern.fullmatch(str(address)):
                return found
        # Most names are none, among ten thousand that are listed every other second.
        if not _MAYBE.search(address.name):
            return None
        return (_QUEUE if endpoint.family == "queue" else _LOG).fullmatch(address.name)


def _origin(endpoint: Endpoint, found: re.Match[str]) -> Address | None:
    name = next(filter(None, found.groups()), None)
    return Address(endpoint.address.connection, name) if name else None


def _pattern(*globs: str) -> re.Pattern[str]:
    return re.compile(
        "|".join(re.escape(glob).replace(r"\*", "(.+)", 1).replace(r"\*", ".*") for glob in globs), re.I | re.S
    )


_QUEUE: Final = _pattern(*_QUEUES)
_LOG: Final = _pattern(*_LOGS)
_MAYBE: Final = re.compile("error|skipped|dead|dl[qt]|xq", re.I)
