"""Where foreign exceptions end: what a connector raises or hands over is a `ConnectorError`, or what the protocol says.

A driver, a stranger's bytes or a plugin may raise anything. Behind the boundary there are only `WorkbenchError`s, and
cancellation, which passes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

import msgspec

from workbench.connecting.config import without_secrets_in
from workbench.connecting.connector import Claims, Publisher, Purpose, Stream, Transaction, Transfer
from workbench.connecting.error_log import log_unexpected
from workbench.connecting.foreign_texts import clean
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, WorkbenchError
from workbench.model.event import Delivery, Event
from workbench.model.listing import Listing
from workbench.model.look import Coverage, Gap, Interruption, Progress
from workbench.model.receipt import Outcome, Receipt
from workbench.model.transfer import TransferState

Item = TypeVar("Item")
Held = TypeVar("Held")


class Boundary(msgspec.Struct, frozen=True):
    """The boundary around one thing that is done through a connector.

    Attributes:
        what: What is being done, as the beginning of a sentence: "r: listing".
        foreign: Whether a stranger's plugin does it, whose own sentences may hold a password.
    """

    what: str
    foreign: bool = False

    @contextmanager
    def within(self) -> Iterator[None]:
        """Around a call of the connector.

        Raises:
            WorkbenchError: As the connector raised it, or for what else it raised.
        """
        try:
            yield
        # A plugin that wants to end the program must not: its user would take that for success.
        except (Exception, SystemExit) as error:
            raise self.translate(error) from error.__cause__

    def translate(self, error: BaseException) -> WorkbenchError:
        """The error to raise for one that came out of the connector; what nobody expected is logged."""
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if isinstance(error, WorkbenchError):
            return without_secrets_in(error) if self.foreign else error
        return ConnectorError(log_unexpected(error, self.what))

    def told(self, said: Item) -> Item:
        """What the connector hands over, without a password in what it says where it is foreign."""
        return clean(said) if self.foreign else said

    def all_told(self, said: Sequence[Item]) -> Sequence[Item]:
        """The same of several."""
        return [*map(clean, said)] if self.foreign else said

    async def part(self, call: Callable[[], Awaitable[Item]]) -> Item | WorkbenchError:
        """A part of what is listed, or why it cannot be told: a connector asks like this so that it hides no other."""
        try:
            with self.within():
                return await call()
        except WorkbenchError as error:
            return error

    async def answer(self, call: Callable[[], Awaitable[Item]], kind: type[Item]) -> Item:
        """What a method of the connector answers.

        Raises:
            WorkbenchError: It failed, or its answer is none of this kind.
        """
        with self.within():
            return self.told(of_kind(await call(), kind))

    async def listing(self, call: Callable[[], Awaitable[Sequence[Item]]], kind: type[Item]) -> Listing[Item]:
        """What a method of the connector lists, with what it could not read.

        Raises:
            WorkbenchError: It failed, or its answer is no listing of this kind.
        """
        with self.within():
            listed = await call()
            gaps = listed.gaps if isinstance(listed, Listing) else ()
            return Listing(self.all_told(_all_of_kind(listed, kind)), self.all_told(gaps))


def of_kind(value: Any, kind: type[Item]) -> Item:
    """The value, if it is what the protocol says.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected, not {type(value).__name__}")
    return value


def _all_of_kind(values: Any, kind: type[Item]) -> Sequence[Item]:
    """The values, if they are what the protocol says; asked of all of them at once, for that is cheap."""
    if not isinstance(values, Sequence):
        raise TypeError(f"a sequence of {kind.__name__} expected, not {type(values).__name__}")
    for found in set(map(type, values)):
        if not issubclass(found, kind):
            raise TypeError(f"{kind.__name__} expected, not {found.__name__}")
    return values


class Batches(Generic[Item]):
    """The batches of a stream; what goes wrong in taking one is translated."""

    def __init__(self, boundary: Boundary, batches: AsyncIterator[Sequence[Item]], kind: type[Item]) -> None:
        self._boundary = boundary
        self._batches = batches
        self._kind = kind

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Item]:
        try:
            found = _all_of_kind(await anext(self._batches), self._kind)
            # Events are a stranger's words, and many.
            return found if self._kind is Delivery else self._boundary.all_told(found)
        except StopAsyncIteration:
            raise
        except (Exception, SystemExit) as error:
            raise self._boundary.translate(error) from error.__cause__


class Bounded(Generic[Held]):
    """What a connector hands over for a while, behind the boundary; what it says of itself never fails."""

    def __init__(self, boundary: Boundary, held: Held) -> None:
        self._boundary = boundary
        self._held = held
        self._failures: dict[str, str] = {}

    def _batches(self, batches: Callable[[], AsyncIterator[Sequence[Item]]], kind: type[Item]) -> Batches[Item]:
        with self._boundary.within():
            return Batches(self._boundary, aiter(batches()), kind)

    def _property_or_reason(self, name: str, kind: type[Item]) -> Item | str:
        """A property, or the sentence that says why there is none: logged once, for it is asked again and again."""
        try:
            return self._boundary.told(of_kind(getattr(self._held, name), kind))
        except (Exception, SystemExit) as error:
            if name not in self._failures:
                self._failures[name] = str(self._boundary.translate(error))
            return self._failures[name]

    @property
    def coverage(self) -> Coverage:
        """What was read; a gap where the connector cannot say it."""
        said = self._property_or_reason("coverage", Coverage)
        return Coverage(gaps=(Gap("what was covered", said.rstrip(".")),)) if isinstance(said, str) else said


class BoundedStream(Bounded[Stream]):
    """A `Stream` behind the boundary."""

    @property
    def interruption(self) -> Interruption | None:
        """Why there is no connection at the moment; None where the connector cannot say it."""
        said = self._property_or_reason("interruption", cast(type[Interruption], Interruption | None))
        return None if isinstance(said, str) else said

    def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        return self._batches(lambda: aiter(self._held), Delivery)


class BoundedScan(BoundedStream):
    """A `Scan` behind the boundary."""

    @property
    def progress(self) -> Progress:
        """How far it is; nowhere, where the connector cannot say it."""
        said = self._property_or_reason("progress", Progress)
        return Progress(0, 1, 0.0) if isinstance(said, str) else said

    @property
    def coverages(self) -> Mapping[Address, Coverage]:
        """The coverage of each endpoint; of none, where the connector cannot say it."""
        said = self._property_or_reason("coverages", cast(type[Mapping[Address, Coverage]], Mapping))
        return {} if isinstance(said, str) else said


class BoundedClaims(Bounded[Claims]):
    """`Claims` behind the boundary."""

    @property
    def lapsed(self) -> Set[int]:
        """Whose lease is lost.

        Raises:
            WorkbenchError: The connector cannot say it: then nothing that is held can be relied on.
        """
        with self._boundary.within():
            return of_kind(self._held.lapsed, cast(type[Set[int]], Set))

    def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        return self._batches(lambda: aiter(self._held), Delivery)

    async def settle(self, sequences: Sequence[int]) -> Sequence[Outcome]:
        """Let the source give these up."""
        with self._boundary.within():
            outcomes = _all_of_kind(await self._held.settle(sequences), Outcome)
            if len(outcomes) != len(sequences):
                raise TypeError(f"{len(sequences)} outcomes expected, not {len(outcomes)}")
            return self._boundary.all_told(outcomes)


class BoundedPublisher(Bounded[Publisher]):
    """A `Publisher` behind the boundary."""

    async def send(self, address: Address, events: Sequence[Event], partition: str | None = None) -> None:
        """Hand events for one endpoint over, in order."""
        with self._boundary.within():
            await self._held.send(address, events, partition)

    async def finish(self) -> None:
        """No more will be sent."""
        with self._boundary.within():
            await self._held.finish()

    @property
    def obstacle(self) -> str | None:
        """Why the broker takes nothing for the moment."""
        with self._boundary.within():
            obstacle = self._held.obstacle
            return None if obstacle is None else self._boundary.told(of_kind(obstacle, str))

    def receipts(self) -> AsyncIterator[Sequence[Receipt]]:
        """What became of each event."""
        return self._batches(self._held.receipts, Receipt)


class BoundedTransfer(Bounded[Transfer]):
    """A `Transfer` behind the boundary."""

    async def state(self) -> TransferState:
        """How far it is."""
        return await self._boundary.answer(lambda: self._held.state(), TransferState)


class BoundedTransaction(Bounded[Transaction]):
    """A `Transaction` behind the boundary."""

    @asynccontextmanager
    async def claim(self, address: Address, purpose: Purpose, limit: int | None = None) -> AsyncIterator[Claims]:
        """Hold what the ledger has not dealt with yet."""

        def opened() -> AbstractAsyncContextManager[Claims]:
            return self._held.claim(address, purpose, limit)

        async with Entered(self._boundary, opened, BoundedClaims) as claims:
            yield claims

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[Publisher]:
        """Take events."""
        async with Entered(self._boundary, lambda: self._held.publisher(), BoundedPublisher) as publisher:
            yield publisher


class Entered(Generic[Held, Item]):
    """A context of a connector behind the boundary. What is raised within it, by whoever uses it, passes unchanged."""

    def __init__(
        self,
        boundary: Boundary,
        open: Callable[[], AbstractAsyncContextManager[Held]],
        bounded: Callable[[Boundary, Held], Item],
    ) -> None:
        self._boundary = boundary
        self._open = open
        self._bounded = bounded

    async def __aenter__(self) -> Item:
        with self._boundary.within():
            self._context = self._open()
            return self._bounded(self._boundary, await self._context.__aenter__())

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._context.__aexit__(kind, raised, trace)
        except (Exception, SystemExit) as error:
            if not _holds(error, raised):
                raise self._boundary.translate(error) from error.__cause__


def _holds(error: BaseException, raised: BaseException | None) -> bool:
    """Whether an error is the one that was raised within, alone or in a group as task groups make them."""
    if isinstance(error, BaseExceptionGroup):
        return any(_holds(each, raised) for each in error.exceptions)
    return error is raised
