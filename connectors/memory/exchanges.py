"""Exchanges: which queues a message goes to (https://www.rabbitmq.com/tutorials/amqp-concepts#exchanges)."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from workbench.model.content import Headers, Value

ExchangeType = Literal["direct", "fanout", "topic", "headers"]


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
        return list(dict.fromkeys(bound.queue for bound in self.bindings if self._matches(bound, key, headers)))

    def _matches(self, binding: Binding, key: bytes, headers: Headers) -> bool:
        match self.type:
            case "fanout":
                return True
            case "direct":
                return binding.key == key
            case "topic":
                return _topic_matches(_words(binding.key), _words(key))
            case "headers":
                return _headers_match(binding.arguments, dict(headers))


def _words(key: bytes) -> Sequence[bytes]:
    return key.split(b".") if key else ()


def _topic_matches(pattern: Sequence[bytes], words: Sequence[bytes]) -> bool:
    """Whether a pattern fits: `*` is one word, `#` any number of them. In time linear in both, whatever is asked."""
    places = _beyond_hashes(pattern, {0})
    for word in words:
        steps = {
            place if pattern[place] == b"#" else place + 1
            for place in places
            if place < len(pattern) and pattern[place] in (b"#", b"*", word)
        }
        places = _beyond_hashes(pattern, steps)
    return len(pattern) in places


def _beyond_hashes(pattern: Sequence[bytes], places: set[int]) -> set[int]:
    """These places in the pattern, and those that are reached when each `#` stands for no word."""
    reached = set(places)
    for place in places:
        while place < len(pattern) and pattern[place] == b"#":
            place += 1
            reached.add(place)
    return reached


def _headers_match(arguments: Mapping[str, Value], headers: Mapping[str, Value]) -> bool:
    wanted = [(name, value) for name, value in arguments.items() if not name.startswith("x-")]
    hits = (name in headers and value in (None, headers[name]) for name, value in wanted)
    return any(hits) if arguments.get("x-match") == "any" else all(hits)
