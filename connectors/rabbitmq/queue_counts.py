"""How much queues hold now, asked for many at once.

A passive declare tells it exactly and declares nothing (https://www.rabbitmq.com/docs/queues#lengths); any user who may
enter the virtual host may ask. To a queue that expires when it is not used it counts as use.
"""

from collections.abc import Sequence
from typing import Final

from connectors.rabbitmq.client import Client, check_name
from workbench.model.errors import ConnectorError, EndpointNotFound, Unsupported

_AHEAD: Final = 256
"""Questions on their way at most."""


async def count(client: Client, queues: Sequence[str]) -> list[tuple[int, int] | ConnectorError]:
    """How many messages of each queue are ready and how many consumers it has, in their order; or why that cannot be
    told: `EndpointNotFound` where the queue is gone."""
    answers: list[tuple[int, int] | ConnectorError] = []
    ahead = _AHEAD
    while len(answers) < len(queues):
        if (reason := _unaskable(queues[len(answers)])) is not None:
            answers.append(reason)
            continue
        try:
            channel = await client.channel()
        except ConnectorError as error:
            answers += [error] * (len(queues) - len(answers))
            break
        try:
            while channel.ended is None and (some := _askable(queues, len(answers), ahead)):
                answers += await channel.counts(some)
                ahead = min(2 * ahead, _AHEAD)
            if channel.ended is not None and len(answers) < len(queues):
                # The broker closes the channel over the first queue that it does not answer for. Where one is refused,
                # many may be, and what was asked behind each was asked in vain.
                answers.append(channel.ended)
                ahead = 1
        finally:
            await channel.close()
    return answers


def _askable(queues: Sequence[str], begin: int, most: int) -> Sequence[str]:
    """The next queues to ask for, up to one that there is no asking for."""
    some = queues[begin : begin + most]
    return next((some[:number] for number, name in enumerate(some) if _unaskable(name) is not None), some)


def _unaskable(name: str) -> ConnectorError | None:
    try:
        check_name("queue", name)
    except EndpointNotFound as error:
        # It is listed all the same.
        return Unsupported(str(error))
    return None
