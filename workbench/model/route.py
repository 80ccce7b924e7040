"""Routes: who gets an event that is published to an endpoint which keeps nothing; and how AMQP 0-9-1 finds it.

https://www.rabbitmq.com/docs/exchanges and https://www.rabbitmq.com/tutorials/amqp-concepts#exchanges
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from workbench.model.address import Address

ExchangeType = Literal["direct", "fanout", "topic", "headers"]
"""Types of exchanges that give a copy to every queue whose binding matches."""


class Route(msgspec.Struct, frozen=True):
    """Who gets one event.

    Attributes:
        endpoints: Queues and streams, each once.
        remarks: What is not certain about that, a sentence each.
    """

    endpoints: tuple[Address, ...] = ()
    remarks: tuple[str, ...] = ()


def binding_matches(
    type: ExchangeType, pattern: bytes, arguments: Mapping[str, Any], key: bytes, headers: Mapping[str, Any]
) -> bool:
    """Whether an exchange of a type hands a message on by a binding.

    Args:
        type: The exchange's.
        pattern: The binding's key: the same (direct), or words of which `*` is any one and `#` any number (topic).
        arguments: The binding's: headers to match, and `x-match`, which is `all` if it is not there.
        key: The message's routing key.
        headers: The message's.
    """
    match type:
        case "fanout":
            return True
        case "direct":
            return pattern == key
        case "topic":
            return _topic_matches(_words(pattern), _words(key))
        case "headers":
            return _headers_match(arguments, headers)


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


def _headers_match(arguments: Mapping[str, Any], headers: Mapping[str, Any]) -> bool:
    how = str(arguments.get("x-match", "all"))
    with_x = how.endswith("-with-x")
    wanted = [
        (name, value)
        for name, value in arguments.items()
        if name != "x-match" and (with_x or not name.startswith("x-"))
    ]
    hits = (name in headers and value in (None, headers[name]) for name, value in wanted)
    return any(hits) if how.startswith("any") else all(hits)
