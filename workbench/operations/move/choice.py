"""What becomes of each message of an operation: which are meant, and where each of these goes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

from workbench.model.address import Address
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event
from workbench.model.target_rules import Rules
from workbench.operations.move.copies import key_of
from workbench.query.query import Query


class Way(NamedTuple):
    """Where a message goes.

    Attributes:
        address: The target.
        partition: Which partition of it; None: the broker's choice.
        rules: What the target can hold.
        event: What goes there in its place: its original, which it lacks something of, or what it was edited to; None:
            the message as it came.
    """

    address: Address
    partition: str | None
    rules: Rules
    event: Event | None = None


class Removal(NamedTuple):
    """A message is taken away, and nothing is published of it.

    Attributes:
        extra: Whether it is a second copy of what is taken back: its original is published for another.
    """

    extra: bool = False


class Stay(NamedTuple):
    """A message stays where it is.

    Attributes:
        why: What decides it: it is not meant; it was moved before; or it cannot go.
        reason: Of one that cannot go, the end of a sentence.
    """

    why: Literal["not meant", "moved before", "cannot"]
    reason: str = ""


NOT_MEANT: Final = Stay("not meant")
MOVED_BEFORE: Final = Stay("moved before")


class Choice(Protocol):
    """What becomes of each message of a source, and what is published of it."""

    async def prepare(self) -> None:
        """Ask the brokers what has to be known.

        Raises:
            WorkbenchError: They do not tell.
        """
        ...

    async def foresee(self, batch: Sequence[Delivery]) -> None:
        """Ask the brokers what has to be known of these messages, before it is decided about each."""
        ...

    async def decide(self, delivery: Delivery) -> Way | Stay | Removal:
        """Where it goes, or why it stays, or that it is taken away."""
        ...

    def outgoing(self, delivery: Delivery, way: Way, sequence: int) -> Event:
        """What is published.

        Raises:
            FormatError: Nothing can be.
        """
        ...

    def begin_pass(self, done: Mapping[bytes, int]) -> None:
        """The source is gone through from its beginning, perhaps not for the first time.

        Args:
            done: What those are found by that were dealt with before, or are not tried again, with how many there are
                of each.
        """
        ...

    @property
    def missing(self) -> int | None:
        """How many this pass has still to find; None: any number."""
        ...


class Selection:
    """Which messages of a source are meant: those that match, or those that were selected one by one.

    Args:
        query: What they match; None: all do.
        selected: By what they are found (`key_of`), with how many there are of each; None: they are not selected.
    """

    def __init__(self, query: Query | None, selected: Mapping[bytes, int] | None) -> None:
        self._query = query
        self._selected = None if selected is None else Counter(selected)
        self._left = Counter(self._selected)

    def begin_pass(self, done: Mapping[bytes, int]) -> None:
        """Mean anew what was decided about in an earlier pass, and not dealt with: see `Choice.begin_pass`."""
        if self._selected is not None:
            self._left = self._selected - Counter(done)

    def takes(self, delivery: Delivery) -> bool:
        """Whether a message is meant; of those that were selected, each once in a pass."""
        if self._selected is None:
            return self._query is None or self._query.matches(delivery)
        key = key_of(delivery)
        if not self._left[key]:
            return False
        self._left[key] -= 1
        return True

    @property
    def missing(self) -> int | None:
        """How many of the selected messages this pass has not seen yet; None: they are not selected one by one."""
        return None if self._selected is None else self._left.total()


class Deletion:
    """Deletes what is meant."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    async def prepare(self) -> None:
        """Nothing has to be asked."""

    async def foresee(self, batch: Sequence[Delivery]) -> None:
        """Nothing has to be asked."""

    async def decide(self, delivery: Delivery) -> Way | Stay | Removal:
        """Whether it is deleted."""
        return Removal() if self._selection.takes(delivery) else NOT_MEANT

    def outgoing(self, delivery: Delivery, way: Way, sequence: int) -> Event:
        """Nothing is published."""
        raise FormatError("It is deleted.")

    def begin_pass(self, done: Mapping[bytes, int]) -> None:
        """See `Choice.begin_pass`."""
        self._selection.begin_pass(done)

    @property
    def missing(self) -> int | None:
        """How many of the selected messages this pass has not seen yet."""
        return self._selection.missing
