"""Of what kind a queue is, asked by AMQP alone.

A passive declare does not say. But a broker compares a declaration with the queue that is there, and answers with the
first setting that differs; asked for a type that does not exist, it can neither agree nor make a queue.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from connectors.rabbitmq.client import Client
from connectors.rabbitmq.errors import Invalid
from workbench.model.errors import AccessRefused

KINDS: Final[Mapping[str, str]] = {"classic": "classic queue", "quorum": "quorum queue", "stream": "stream"}
"""RabbitMQ's names of queue types."""

_NO_TYPE: Final = "unknown-to-rabbitmq"
_QUESTIONS: Final = 24
"""More settings than a queue can have."""

_DIFFERENCE: Final = re.compile(
    r"inequivalent arg '([^']+)' for queue .* but current is"
    r" (?:the value '(?P<value>.*)' of type '(?P<type>\w+)'|'(?P<plain>.*)'|none)\.?$",
    re.DOTALL,
)


async def kind_of(client: Client, queue: str) -> str | None:
    """The kind of a queue that is there; None where this user may not ask, for want of the right to configure it."""
    settings: dict[str, Any] = {"x-queue-type": _NO_TYPE}
    durable = True
    for _ in range(_QUESTIONS):
        channel = await client.channel()
        try:
            await channel.redeclare(queue, durable, settings)
            return None
        except AccessRefused:
            return None
        except Invalid as error:
            answer = _DIFFERENCE.search(str(error))
        finally:
            await channel.close()
        if answer is None:
            return None
        match answer[1]:
            case "x-queue-type":
                # RabbitMQ 3 writes no type down for a queue that was declared without one.
                return KINDS.get(answer["plain"] or answer["value"] or "classic")
            case "durable" | "auto_delete":
                # Quorum queues and streams are always durable, and never deleted with their last consumer.
                return "classic queue"
            case name if name not in settings and answer["type"]:
                settings[name] = _value(answer["value"], answer["type"])
            case _:
                return None
    return None


def _value(text: str, kind: str) -> Any:
    if kind == "bool":
        return text == "true"
    return text if kind == "longstr" else int(text)
