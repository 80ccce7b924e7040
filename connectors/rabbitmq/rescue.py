"""Rescuing a message that its queue would give up if it were returned once more: it goes to the end of the queue."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from connectors.rabbitmq.client import Channel, Client
from connectors.rabbitmq.deliveries import deliveries
from connectors.rabbitmq.frames import Arrival
from connectors.rabbitmq.publisher import ExchangePublisher
from workbench.connecting.keeping import keep, kept
from workbench.model.address import Address
from workbench.model.errors import AccessRefused, ConnectorError, LookRefused, StoreError
from workbench.model.event import Delivery, Event
from workbench.model.receipt import Receipt
from workbench.model.wire import Wire, decode, without_header, without_property


class Rescue:
    """Publishes held messages to their own queue again, confirmed, and only then acknowledges them.

    Until then they are kept on disk, for the queue gives them up should this program or its connection end.

    Attributes:
        saved: How many were.
    """

    def __init__(self, client: Client, address: Address, user: str) -> None:
        self._client = client
        self._address = address
        self._user = user
        self.saved = 0

    async def check(self) -> None:
        """Make sure that it could be done.

        Raises:
            LookRefused: This user may not publish to the queue, or nothing can be kept on disk meanwhile.
        """
        with self._kept([]):
            pass
        try:
            # Nobody gets this one: it comes back, or shows that publishing is not allowed.
            await self._publish([Event(f"workbench.nobody.{uuid.uuid4().hex}".encode(), b"")])
        except AccessRefused:
            raise LookRefused(
                f"{self._address} counts deliveries, and this user may not publish, so that a message at its limit"
                " could not be rescued: ask for the right to write to the default exchange, or force the look."
            ) from None

    async def save(self, arrivals: Sequence[Arrival], held_on: Channel) -> None:
        """Put these at the end of the queue.

        Raises:
            LookRefused: They cannot be kept on disk meanwhile; none was published.
            ConnectorError: The queue did not take one of them. Those stay on disk, where the sentence says.
        """
        key = self._address.name.encode()
        copies = [Event(key, arrival[5], self._portable(arrival[4])) for arrival in arrivals]
        held = deliveries(arrivals, self._address, int(time.time() * 1000), "quorum queue")
        with self._kept(held) as path:
            try:
                receipts = await self._publish(copies)
                taken = {receipt.sequence for receipt in receipts if receipt.error is None}
                held_on.acknowledge(arrivals[sequence][0] for sequence in sorted(taken))
            except ConnectorError as error:
                raise type(error)(f"{error} {_again(path)}") from error
            self.saved += len(taken)
            left = [delivery for sequence, delivery in enumerate(held) if sequence not in taken]
            rest = keep(left) if left else None
        if rest is not None:
            raise ConnectorError(
                f"{self._address} holds messages that have used up their deliveries, and takes no copy of them:"
                f" is its length limited? {_again(rest)}"
            )

    @contextmanager
    def _kept(self, held: Sequence[Delivery]) -> Iterator[Path]:
        try:
            with kept(held) as path:
                yield path
        except StoreError as error:
            raise LookRefused(
                f"{self._address} counts deliveries, and a message at its limit could not be kept on disk while it is"
                f" rescued: {str(error)[:1].lower()}{str(error)[1:]}"
            ) from error

    def _portable(self, properties: bytes) -> Wire:
        """Without the count that is to begin anew, and without what would refuse the copy or make further ones."""
        wire = without_header(Wire("amqp-0-9-1", properties), "x-delivery-count")
        if decode(wire).properties.get("user_id") not in (None, self._user):
            wire = without_property(wire, "user_id")
        return without_header(wire, "CC")

    async def _publish(self, events: Sequence[Event]) -> list[Receipt]:
        publisher = ExchangePublisher(self._client, Address(self._address.connection, "", "exchange"), self._user)
        await publisher.open()
        await publisher.send(events)
        await publisher.finish()
        return [receipt async for batch in publisher.receipts() for receipt in batch]


def _again(path: Path) -> str:
    # The folder: what a look rescues in several steps is in several files.
    return f"What was in hand is kept in {path.parent}, for `workbench publish --file`."
