"""The firehose: where an administrator has turned it on for a virtual host, it also shows what goes through the default
exchange, which no binding can see (https://www.rabbitmq.com/docs/firehose)."""

from collections.abc import Mapping
from typing import Final

from connectors.rabbitmq.frames import Arrival
from workbench.model.content import Content
from workbench.model.errors import FormatError
from workbench.model.look import Gap
from workbench.model.wire import Wire, decode, encode

EXCHANGE: Final = "amq.rabbitmq.trace"
DEFAULT: Final = "publish."
"""The key under which it announces what is published to the default exchange."""

NOTE: Final = (
    "messages published straight to the queue are rebuilt from the firehose, in which the widths of numbers in headers"
    " may differ"
)
UNSEEN: Final = Gap("dead letters that come straight to the queue", "the firehose does not show them")


def traced_message(arrival: Arrival, queue: str) -> Arrival | None:
    """The message that the firehose tells of, if this queue got it."""
    tag, redelivered, _, _, properties, body = arrival
    try:
        told = dict(decode(Wire("amqp-0-9-1", properties)).headers)
        queues, keys, inner = told.get("routed_queues"), told.get("routing_keys"), told.get("properties")
        if not isinstance(queues, list | tuple) or queue not in queues or not isinstance(inner, Mapping):
            return None
        headers = inner.get("headers")
        content = Content(
            tuple(headers.items()) if isinstance(headers, Mapping) else (),
            {name: value for name, value in inner.items() if name != "headers"},
        )
        key = str(keys[0]).encode() if isinstance(keys, list | tuple) and keys else b""
        return tag, redelivered, b"", key, encode(content).data, body
    except FormatError:
        return None
