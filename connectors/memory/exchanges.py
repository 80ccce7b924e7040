"""Exchanges: which queues a message goes to (https://www.rabbitmq.com/tutorials/amqp-concepts#exchanges)."""

from collections.abc import Mapping

import msgspec

from workbench.model.content import Headers, Value
from workbench.model.route import ExchangeType, binding_matches


class Binding(msgspec.Struct, frozen=True):
    """What an exchange hands to one queue.

    Attributes:
        queue: The queue's name.
        key: A routing key (direct), a pattern of words (topic); fanout and headers exchanges do not look at it.
        arguments: Headers to match, and `x-match`: `all` (if absent) or `any`; only headers exchanges look at them.
    """

    queue: str
    key: bytes = b""
    arguments: Mapping[str, Value] = {}


class Exchange:
    """A named exchange. The default exchange is none of these: there, every queue is bound by its own name."""

    def __init__(self, name: str, type: ExchangeType) -> None:
        self.name = name
        self.type: ExchangeType = type
        self.bindings: list[Binding] = []
        self.published = 0
        """How many messages ever came in."""

    def route(self, key: bytes, headers: Headers) -> list[str]:
        """The queues that get a message with this routing key and these headers: each once, in the order bound."""
        said = dict(headers)
        matching = (
            bound.queue for bound in self.bindings if binding_matches(self.type, bound.key, bound.arguments, key, said)
        )
        return list(dict.fromkeys(matching))
