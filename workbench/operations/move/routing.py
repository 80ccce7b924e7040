"""Which messages move, and where each goes: the same for the plan that tells it and for the run that does it."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from workbench.decode.display import visible
from workbench.facts.facts import Fact, Facts
from workbench.facts.tiers import Tiers
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConnectionLost, ConnectorError, FormatError
from workbench.model.event import Delivery, Event
from workbench.operations.dead.originals import Original, Pointing, original_of, read_originals
from workbench.operations.drafts.origin import origins
from workbench.operations.edit.edit import Edit
from workbench.operations.edit.editor import Editor
from workbench.operations.edit.schemas import Schemas
from workbench.operations.move.choice import MOVED_BEFORE, NOT_MEANT, Selection, Stay, Way
from workbench.operations.move.copies import copy_of, key_of, redrives
from workbench.operations.move.targets import Targets
from workbench.operations.template_process import TemplateProcess
from workbench.session import Session

_PLACES: Final = ("origin.queue", "origin.topic", "origin.exchange", "origin.key", "origin.partition")
"""Facts that say where a message came from, which many messages share."""
_MOST_ORIGINS: Final = 10_000
_LACKS: Final = {"everything": "key, body and headers", "headers": "the headers of its original"}


@asynccontextmanager
async def editor_of(session: Session, edit: Edit) -> AsyncIterator[Editor | None]:
    """What applies an edit while the context is open; None where it changes nothing.

    Raises:
        FormatError: On entering: it names what is locked, or its patch is none.
    """
    if not edit:
        yield None
        return
    async with TemplateProcess(session.variables) as templates:
        yield Editor(edit, Tiers(session.conventions.tables), templates)


class Routing:
    """Decides of each message of a source whether it moves, and where to.

    Args:
        session: Whose connections and conventions.
        source: Where the messages are.
        target: Where to; None: each to where it came from.
        targets: What is known of the targets.
        selection: Which messages are meant.
        moved: What was moved before, by what it is found.
        redrives: How often a message is moved at most.
        editor: Edits each message that moves; None: they go as they came.
        id: The id of the operation; empty while it is planned.
        allowed: The only targets that are used; None: any.
    """

    def __init__(
        self,
        session: Session,
        source: Address,
        target: Address | None,
        targets: Targets,
        selection: Selection,
        moved: Collection[bytes],
        redrives: int,
        editor: Editor | None = None,
        id: str = "",
        allowed: Collection[Address] | None = None,
    ) -> None:
        self._session = session
        self._reading = session.reading
        self._source = source
        self._target = target
        self._targets = targets
        self._selection = selection
        self._moved = moved
        self._redrives = redrives
        self._editor = editor
        self._schemas = Schemas.of(session.config)
        self._pointing = Pointing(session.conventions)
        self._pointers: dict[int, Original] = {}
        self._originals: Mapping[Original, Delivery | str] = {}
        self._edited = 0
        self._id = id
        self._allowed = allowed
        self._listed: Mapping[Address, Endpoint] = {}
        self._origins: dict[tuple[Fact, ...], tuple[Address, str | None] | str] = {}
        self._ways: dict[Address, Way | str] = {}
        self._only_way: Way | None = None

    def begin_pass(self, done: Mapping[bytes, int]) -> None:
        """See `Choice.begin_pass`."""
        self._selection.begin_pass(done)

    @property
    def missing(self) -> int | None:
        """How many of the selected messages this pass has not seen yet; None: they are not selected one by one."""
        return self._selection.missing

    async def prepare(self) -> None:
        """Ask the brokers about the target, or about what there is to come from.

        Raises:
            WorkbenchError: They do not tell.
        """
        if self._target is not None:
            await self._targets.find(self._target)
        else:
            self._listed = await self._targets.listed(self._source.connection)

    async def foresee(self, batch: Sequence[Delivery]) -> None:
        """Read the originals of dead letters that lack something of them, before each message is decided about.

        Raises:
            ConfigError: A convention cannot be used.
        """
        conventions = self._session.conventions
        self._pointers = {}
        for delivery in batch:
            if self._pointing.may_lack(delivery.event):
                found = original_of(delivery, self._reading.facts(delivery), conventions)
                if found is not None:
                    self._pointers[id(delivery)] = found
        self._originals = await read_originals(self._session, self._pointers.values()) if self._pointers else {}

    async def decide(self, delivery: Delivery) -> Way | Stay:
        """What becomes of a message."""
        if not self._selection.takes(delivery):
            return NOT_MEANT
        if delivery.position is not None and key_of(delivery) in self._moved:
            return MOVED_BEFORE
        event = delivery.event
        if (pointer := self._pointers.get(id(delivery))) is not None:
            original = self._originals[pointer]
            if isinstance(original, str):
                return Stay("cannot", f"it lacks {_LACKS[pointer.lacks]}, and {original}")
            event = original.event
        try:
            times = redrives(event)
        except FormatError as error:
            return Stay("cannot", f"its headers cannot be read: {str(error).rstrip('.')}")
        if times >= self._redrives:
            return Stay("cannot", f"it was moved {times} times already, and came back each time")
        found = self._only_way or await self._way(delivery)
        if isinstance(found, str):
            return Stay("cannot", found)
        if self._editor is not None:
            [edited] = await self._editor.apply([event], self._edited)
            if edited.event is None:
                return Stay("cannot", edited.reason.rstrip("."))
            event = edited.event
            self._edited += 1
            if self._schemas:
                facts = self._reading.facts(msgspec.structs.replace(delivery, event=event))
                if (fault := self._schemas.fault(event, facts.type)) is not None:
                    return Stay("cannot", fault.rstrip("."))
        if refusal := found.rules.refusal(event):
            return Stay("cannot", refusal)
        return found if event is delivery.event else found._replace(event=event)

    def outgoing(self, delivery: Delivery, way: Way, sequence: int) -> Event:
        """What is published of a message.

        Raises:
            FormatError: Its headers cannot be read.
        """
        return copy_of(way.event or delivery.event, way.rules, self._id, sequence).event

    async def _way(self, delivery: Delivery) -> Way | str:
        partition = None
        if self._target is not None:
            address = self._target
        else:
            origin = self._origin(delivery)
            if isinstance(origin, str):
                return origin
            address, partition = origin
        if address == self._source:
            return "it would go to where it is"
        way = await self._way_to(address, partition)
        if self._target is not None and isinstance(way, Way):
            self._only_way = way
        return way

    async def _way_to(self, address: Address, partition: str | None) -> Way | str:
        if (way := self._ways.get(address)) is None:
            way = self._ways[address] = await self._ask(address)
        return way if partition is None or isinstance(way, str) else way._replace(partition=partition)

    def _origin(self, delivery: Delivery) -> tuple[Address, str | None] | str:
        """Where a message came from: the address and perhaps the partition; or why that is not known."""
        facts = self._reading.facts(delivery)
        said = tuple(fact for fact in facts.found if fact.kind in _PLACES)
        if (known := self._origins.get(said)) is None:
            known = self._find_origin(delivery, Facts(said))
            if len(self._origins) < _MOST_ORIGINS:
                self._origins[said] = known
        return known

    def _find_origin(self, delivery: Delivery, facts: Facts) -> tuple[Address, str | None] | str:
        found = origins(delivery, facts, self._listed)
        if found is None:
            return "nothing in it says where it came from"
        if len(found.targets) < 2:
            where = ", ".join(found.missing[:3]) or found.story
            return f"it came from {visible(where, 200)}, which is not there"
        number = found.targets[0].partition
        return found.targets[0].address, None if number is None else str(number)

    async def _ask(self, address: Address) -> Way | str:
        if self._allowed is not None and address not in self._allowed:
            return f"it would go to {address}, which the plan does not name"
        try:
            target = await self._targets.find(address)
        except ConnectionLost:
            # What is wrong with one target stops no other; a broker that does not answer does.
            raise
        except ConnectorError as error:
            return str(error).rstrip(".")
        if Ability.PUBLISH not in target.endpoint.abilities:
            return f"{address} takes no events"
        return Way(address, None, target.rules)
