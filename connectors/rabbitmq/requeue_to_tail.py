"""Rescuing a message that its queue would give up if it were returned once more: it goes to the end of the queue."""

import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from connectors.rabbitmq.client import Channel, Client
from connectors.rabbitmq.deliveries import deliveries
from connectors.rabbitmq.frames import Arrival
from connectors.rabbitmq.publisher import ExchangePublisher
from workbench.connecting.spool import keep, spool
from workbench.model.address import Address
from workbench.model.errors import AccessRefused, ConnectorError, LookRefused, StoreError
from workbench.model.event import Event
from workbench.model.receipt import Receipt
from workbench.model.wire import Wire, decode, without_header, without_property


class Rescue:
    """Publishes held messages to their own queue again, confirmed, and only then acknowledges them.

    Until then they are kept on disk, for the queue gives them up should this program or its connection end.

    Attributes:
        saved: How many were.
    """

    def __init__(self, client: Client, address: Address, user: str, known: bool = True) -> None:
        """
        Args:
            client: A connection.
            address: The queue.
            user: Who is logged in.
            known: Whether the queue is known to count deliveries, and is not only taken for one that does.
        """
        self._counts = "counts" if known else "may count"
        self._client = client
        self._address = address
        self._user = user
        self.saved = 0

    async def check(self, otherwise: str = "") -> None:
        """Make sure that it could be done.

        Args:
            otherwise: What else can be done where it could not; the end of a sentence.

        Raises:
            LookRefused: This user may not publish to the queue, or nothing can be kept on disk meanwhile.
        """
        try:
            with spool([]):
                pass
        except StoreError as error:
            raise LookRefused(
                f"{self._address} {self._counts} deliveries, and a message at its limit could not be kept on disk while"
                f" it is rescued{otherwise}: {_inside(error)}"
            ) from error
        try:
            # Nobody gets this one: it comes back, or shows that publishing is not allowed.
            await self._publish([Event(f"workbench.nobody.{uuid.uuid4().hex}".encode(), b"")])
        except AccessRefused:
            raise LookRefused(
                f"{self._address} {self._counts} deliveries, and this user may not publish, so that a message at its"
                f" limit could not be rescued: ask for the right to write to the default exchange{otherwise}."
            ) from None

    async def save(self, arrivals: Sequence[Arrival], held_on: Channel) -> None:
        """Put these at the end of the queue; what cannot be put there is on disk afterwards.

        Raises:
            ConnectorError: The queue did not take one of them. Those stay on disk, where the sentence says.
        """
        held = deliveries(arrivals, self._address, int(time.time() * 1000), "quorum queue")
        with ExitStack() as stack:
            path = None
            try:
                path = stack.enter_context(spool(held))
                # The folder: what a look rescues in several steps is in several files.
                fate = f"What was in hand is kept in {path.parent}, for `workbench publish --file`."
            except StoreError as error:
                # A copy in the queue is safe without it, and given back they would be gone for certain.
                fate = f"What was in hand could not be kept on disk either, and is given up: {_inside(error)}"
            try:
                left = await self._put_back(arrivals, held_on)
                if left:
                    if path is not None:
                        with suppress(StoreError, OSError):
                            keep([held[number] for number in left])
                            path.unlink()
                    raise ConnectorError(
                        f"{self._address} holds messages that have used up their deliveries, and takes no copy of them:"
                        " is its length limited?"
                    )
            except ConnectorError as error:
                raise type(error)(f"{error} {fate}") from error

    async def _put_back(self, arrivals: Sequence[Arrival], held_on: Channel) -> list[int]:
        """Publish copies and acknowledge what they are copies of; returns which the queue did not take."""
        key = self._address.name.encode()
        receipts = await self._publish([Event(key, arrival[5], self._to_publish(arrival[4])) for arrival in arrivals])
        taken = {receipt.sequence for receipt in receipts if receipt.error is None}
        self.saved += len(taken)
        held_on.acknowledge(arrivals[number][0] for number in sorted(taken))
        # The queue answers behind the acknowledgements: only then are the originals out of danger.
        await held_on.count(self._address.name)
        return [number for number in range(len(arrivals)) if number not in taken]

    def _to_publish(self, properties: bytes) -> Wire:
        """Without the count that is to begin anew, and without what would refuse the copy or make further ones."""
        wire = without_header(Wire("amqp-0-9-1", properties), "x-delivery-count")
        if decode(wire).properties.get("user_id") not in (None, self._user):
            wire = without_property(wire, "user_id")
        return without_header(wire, "CC")

    async def _publish(self, events: Sequence[Event]) -> list[Receipt]:
        publisher = ExchangePublisher(self._client, self._user)
        await publisher.open()
        await publisher.send(Address(self._address.connection, "", "exchange"), events)
        await publisher.finish()
        receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
        for receipt in receipts:
            if isinstance(receipt.error, AccessRefused):
                raise receipt.error
        return receipts


def _inside(error: StoreError) -> str:
    """An error's sentence as the end of another."""
    return str(error)[:1].lower() + str(error)[1:]
