"""What became of the events that the command line publishes: printed, and what is open kept on disk."""

import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence

from workbench.cli.exit_codes import Exit
from workbench.cli.output import Format, json_line
from workbench.cli.runner import fail, give_up_stdout
from workbench.cli.stdio import drain, say, write, write_json
from workbench.connecting.spool import keep_unpublished
from workbench.decode import ndjson
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.errors import StoreError
from workbench.model.event import Delivery, Event
from workbench.model.receipt import Receipt
from workbench.model.wording import quantity
from workbench.operations import publish as publishing


class Receipts:
    """Prints what became of each event: refusals always, confirmations as NDJSON or, one alone, as a sentence."""

    def __init__(self, address: Address, form: Format) -> None:
        self._target = address
        self._address = str(address)
        self._form = form
        self.published = publishing.Published(0, 0)
        self.broken: OSError | None = None
        """Why they cannot be printed any more."""
        self._answered = self._sent = 0
        self._open: dict[int, Event] = {}

    def keep_open(self, rest: Callable[[int], Iterable[bytes]] | None) -> None:
        """Keep on disk what is not known to be published, with what was not sent yet, and say where it is."""
        now = round(time.time() * 1000)
        events = [Delivery(event, self._target, now) for event in self._open.values()]
        counted = _Counted(rest(self._sent) if rest is not None else ())
        if not self._sent or not (events or rest):
            return
        try:
            path = keep_unpublished(events, counted)
        except StoreError as error:
            fail(str(error), Exit.FAILED)
            return
        if not events and not counted.count:
            path.unlink(missing_ok=True)
            return
        doubtful = f", of which {len(events):,} may be there already" if events else ""
        count = quantity(len(events) + counted.count, "event")
        say(f"workbench: {count}{doubtful}: workbench publish {self._target} --file {path} goes on with them.")

    @property
    def stopped(self) -> str:
        """What a user who stops it has to know."""
        under_way = self._sent - self._answered
        unknown = f"; {under_way:,} more were on their way, and may be there or not" if under_way else ""
        return f"Stopped: {self.published.summary()}{unknown}."

    async def follow(self, batches: AsyncIterable[Sequence[Event]]) -> AsyncIterator[Sequence[Event]]:
        """The same events, counted, and no more of them while nobody reads the receipts."""
        async for batch in batches:
            await self.taken(drain)
            self._open.update(enumerate(batch, self._sent))
            self._sent += len(batch)
            yield batch

    async def taken(self, draining: Callable[[], Awaitable[None]]) -> None:
        """Wait for whoever reads them, if anybody still does."""
        try:
            await draining()
        except OSError as error:
            self._break(error)

    def _break(self, error: OSError) -> None:
        self.broken = error
        give_up_stdout()

    def write(self, receipts: Sequence[Receipt]) -> None:
        lines = []
        self._answered += len(receipts)
        self.published += receipts
        for receipt in receipts:
            if receipt.state != "unknown":
                self._open.pop(receipt.sequence, None)
            position = receipt.position
            if self._form == "json":
                record: dict[str, object] = {"address": self._address, "sequence": receipt.sequence}
                if position is not None:
                    record["position"] = ndjson.position(position)
                if receipt.error is not None:
                    record["error"] = str(receipt.error)
                if receipt.state == "unknown":
                    record["unknown"] = True
                if receipt.id is not None:
                    record["id"] = receipt.id
                if receipt.resent:
                    record["resent"] = True
                lines.append(json_line(record))
            elif receipt.error is None and receipt.sequence == 0:
                where = f" {position.partition}:{position.offset}" if position else ""
                lines.append(f"published to {visible(self._address)}{where}\n".encode())
            if receipt.error is not None and receipt.state != "unknown":
                fail(f"event {receipt.sequence}: {receipt.error}", Exit.FAILED)
        _say_unknown(receipts)
        try:
            (write_json if self._form == "json" else write)(b"".join(lines))
        except OSError as error:
            self._break(error)


def _say_unknown(receipts: Sequence[Receipt]) -> None:
    """Say once for all events what a broken connection has left open: there may be very many."""
    unknown: dict[str, list[int]] = {}
    for receipt in receipts:
        if receipt.state == "unknown":
            unknown.setdefault(str(receipt.error), []).append(receipt.sequence)
    for error, sequences in unknown.items():
        others = f" and {len(sequences) - 1:,} more" if len(sequences) > 1 else ""
        fail(f"event {min(sequences)}{others}: {error}", Exit.FAILED)


class _Counted:
    """Lines, and how many were taken."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.count += 1
            yield line
