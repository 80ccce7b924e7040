"""Making a plan: the source is looked at once, its targets are asked what they can hold, and nothing is changed."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, Literal, NamedTuple

import msgspec

from workbench.facts.tiers import Tiers
from workbench.model.address import Address
from workbench.model.content import Content, Value
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConnectorError, FormatError, Unsupported
from workbench.model.event import Delivery, Event
from workbench.model.groups import Group
from workbench.model.route import Route
from workbench.model.start import Beginning
from workbench.model.target_rules import Changes
from workbench.model.wording import quantity, with_article
from workbench.operations.browse_defaults import price_of
from workbench.operations.drafts.audience import audience
from workbench.operations.edit.difference import diff_lines, difference
from workbench.operations.edit.edit import Edit, touched
from workbench.operations.edit.editor import Editor
from workbench.operations.journal.operation import now, whoami
from workbench.operations.journal.records import records, same_source, settled_before
from workbench.operations.move.choice import Selection, Stay, Way
from workbench.operations.move.copies import key_of, unburdened
from workbench.operations.move.plan import REDRIVES, REDRIVES_FORCED, WATCH, Engine, Leg, Plan, Scope, Stays
from workbench.operations.move.routing import Routing, editor_of
from workbench.operations.move.targets import Target, Targets
from workbench.session import Session

_PREVIEWED: Final = 3
"""Edited messages whose differences are kept."""
_LINES: Final = 20
_WIDTH: Final = 200
_COUNTED: Final = 100_000
"""Messages of which it is kept how many are alike."""
_REASONS: Final = 100
"""Reasons for staying that are told apart."""


class Wanted(msgspec.Struct, frozen=True):
    """What a move is asked for.

    Attributes:
        source: Where the messages are.
        purpose: Whether they move or are deleted.
        target: Where to; None: each to where it came from.
        query: What they match; empty: all do.
        selected: The messages themselves, where they were selected; they are found again in the source.
        limit: At most so many; None: all.
        look: How many messages of the source are looked at for the plan at most; None: as many as one look holds.
        again: Whether what an earlier move has dealt with is moved again.
        force: Whether a target that drops its oldest, or that messages came back from too often, is used all the same.
        rate: Messages a second at most; None: as fast as it goes.
        canary: How many go at a time before all the others; empty: all go at once.
        watch: Seconds that are waited after each such step.
        engine: Who moves the messages.
        edit: What is changed about each of them.
    """

    source: Address
    purpose: Literal["move", "delete"] = "move"
    target: Address | None = None
    query: str = ""
    selected: tuple[Delivery, ...] | None = None
    limit: int | None = None
    look: int | None = None
    again: bool = False
    force: bool = False
    rate: float | None = None
    canary: tuple[int, ...] = ()
    watch: float = WATCH
    engine: Engine = "workbench"
    edit: Edit = Edit()


def _nobody(_: object) -> None:
    """Nobody is told."""


async def make_plan(
    session: Session,
    wanted: Wanted,
    on_examined: Callable[[int], None] = _nobody,
    on_price: Callable[[str], None] = _nobody,
) -> Plan:
    """Look at the source once, and say what the move would do. A queue is looked at only if it was not selected from:
    that has its price.

    Args:
        session: Whose connections.
        wanted: What is asked for.
        on_examined: Told how many messages were looked at so far.
        on_price: Told in a sentence, before the source is looked at, what that costs, where it costs something.

    Raises:
        FormatError: The edit names what is locked, or its patch is none.
        WorkbenchError: The source cannot be looked at or claimed, or a target cannot be asked, or must not be used.
    """
    async with editor_of(session, wanted.edit) as editor:
        return await _make_plan(session, wanted, editor, on_examined, on_price)


async def _make_plan(
    session: Session,
    wanted: Wanted,
    editor: Editor | None,
    on_examined: Callable[[int], None],
    on_price: Callable[[str], None],
) -> Plan:
    source = wanted.source
    connector = await session.connector(source.connection)
    endpoint = await connector.endpoint(source)
    _check_source(endpoint, wanted.purpose)
    identity = session.broker_identity(source.connection)
    selected = None if wanted.selected is None else Counter(key_of(each) for each in wanted.selected)
    source_id = await connector.log_id(source) or "" if endpoint.family == "log" else ""
    moved: set[bytes] = set()
    if not wanted.again and endpoint.family == "log":
        moved = await asyncio.to_thread(settled_before, identity, source, source_id)
    query = session.query(wanted.query) if wanted.query else None
    limit = REDRIVES_FORCED if wanted.force else REDRIVES
    selection = Selection(query, selected)
    targets = Targets(session)
    routing = Routing(session, source, wanted.target, targets, selection, moved, limit, editor)
    if wanted.purpose == "move":
        await routing.prepare()
    survey = _Survey(session, selection, routing, wanted)
    depth, ends, price = endpoint.depth or 0, {}, ""
    if wanted.selected is not None:
        await survey.take(wanted.selected)
    else:
        if price := price_of(endpoint):
            on_price(price)
        start = Beginning() if endpoint.family == "log" else None
        async with session.browse(source, start, wanted.look) as stream:
            async for batch in stream:
                await survey.take(batch)
                on_examined(survey.examined)
                await asyncio.sleep(0)
        ends = {span.partition: span.end for span in stream.coverage.spans}
        survey.warnings += [f"Not seen: {gap.what} ({gap.reason})." for gap in stream.coverage.gaps]
        if endpoint.family == "queue":
            # Further ones may have come before the look.
            depth = max(depth, survey.examined)
    legs, atomic = [], True
    for address, count in survey.ways.items():
        target = await targets.find(address)
        leg = await _leg(session, target.endpoint, survey)
        legs.append(leg)
        survey.warnings += await check_room(session, targets, address, leg.sample, count, wanted.force)
        atomic = atomic and _is_atomic(source, target.endpoint)
    removes = Ability.REMOVE in endpoint.abilities
    if wanted.engine == "broker":
        _check_transfer(wanted, removes, legs, survey)
    ledger = Ability.CLAIM in endpoint.abilities and not removes and wanted.selected is None
    known = await asyncio.to_thread(_warnings, endpoint, identity, removes)
    warnings = [*known, *_sensitive(session, wanted.edit), *survey.warnings]
    scope: Scope = "selected" if selected is not None else "matching" if wanted.query else "all"
    return Plan(
        id=uuid.uuid4().hex[:12],
        made=now(),
        purpose=wanted.purpose,
        by=whoami(),
        source=source,
        kind=endpoint.kind,
        identity=identity,
        removes=removes,
        ledger=ledger,
        scope=scope,
        query=wanted.query,
        limit=wanted.limit,
        selected=tuple(key.hex() for key in (selected or Counter()).elements()),
        ends=ends,
        depth=depth,
        target=wanted.target,
        guarantee="exactly once" if atomic and ledger and legs else "at least once",
        legs=tuple(legs),
        stays=tuple(Stays(reason, count) for reason, count in survey.stays.most_common()),
        examined=survey.examined,
        moving=survey.moving,
        not_matching=survey.not_meant,
        moved_before=survey.moved_before,
        again=wanted.again,
        rate=wanted.rate,
        canary=wanted.canary,
        watch=wanted.watch,
        redrives=limit,
        warnings=tuple(warnings),
        price=price,
        engine=wanted.engine,
        edit=wanted.edit,
        preview=tuple(survey.preview),
        source_id=source_id,
        broker=await session.broker_id(source.connection),
        counted=survey.counted if selected is None else 0,
        alike={key.hex(): count for key, count in survey.keys.items() if count > 1},
    )


def _check_transfer(wanted: Wanted, removes: bool, legs: Sequence[Leg], survey: "_Survey") -> None:
    """Refuse to have the broker do what it cannot: it moves the first messages of a queue as they are.

    Raises:
        Unsupported: It cannot.
    """
    source = wanted.source
    if not removes:
        raise Unsupported(f"{source} gives nothing up: only a queue is moved by its broker.")
    if wanted.edit:
        raise Unsupported("A broker moves messages as they are: it edits none.")
    if wanted.query or wanted.selected is not None or wanted.rate is not None or wanted.canary:
        raise Unsupported("A broker moves all that is there: it knows no query, no selection, no rate and no canary.")
    if survey.stays:
        raise Unsupported(f"A broker moves all that is there, and some cannot go: {next(iter(survey.stays))}.")
    if len(legs) > 1:
        raise Unsupported(f"A broker moves to one target, and these go to {len(legs)}: name a TARGET.")
    if legs and legs[0].address.connection != source.connection:
        raise Unsupported(f"The broker of {source} does not reach {legs[0].address}.")
    survey.warnings.append(
        "The broker moves them by itself: none is journalled or stamped, and the move cannot be undone."
    )


class _Survey:
    """What is found out about the messages of a source."""

    def __init__(self, session: Session, selection: Selection, routing: Routing, wanted: Wanted) -> None:
        self._mask = session.reading.mask
        self._selection = selection
        self._routing = routing
        self._limit = wanted.limit
        self._deletes = wanted.purpose == "delete"
        self._edits = bool(wanted.edit)
        self.examined = self.moving = self.not_meant = self.moved_before = 0
        self.ways: dict[Address, int] = {}
        self.first: dict[Address, Delivery] = {}
        self.changes: dict[Address, Changes] = {}
        self.removed: dict[Address, dict[str, None]] = {}
        self.stays: Counter[str] = Counter()
        self.warnings: list[str] = []
        self.preview: list[str] = []
        self._previewed = 0
        self.counted = 0
        self.keys = Counter[bytes]()

    async def take(self, batch: Sequence[Delivery]) -> None:
        """Examine messages."""
        if not self._deletes:
            await self._routing.foresee(batch)
        for delivery in batch:
            self.examined += 1
            if delivery.position is None and delivery.id is None and self.counted < _COUNTED:
                self.counted += 1
                self.keys[key_of(delivery)] += 1
            if self._deletes:
                if self._selection.takes(delivery) and not self._is_full():
                    self.moving += 1
                else:
                    self.not_meant += 1
                continue
            found = await self._routing.decide(delivery)
            if isinstance(found, Way):
                if self._is_full():
                    self.not_meant += 1
                    continue
                self._add(delivery, found)
            elif found.why == "not meant":
                self.not_meant += 1
            elif found.why == "moved before":
                self.moved_before += 1
            else:
                self._stay(found)

    def _is_full(self) -> bool:
        return self._limit is not None and self.moving >= self._limit

    def _add(self, delivery: Delivery, way: Way) -> None:
        at = way.address
        try:
            copy = unburdened(way.event or delivery.event, way.rules)
        except FormatError as error:
            self._stay(Stay("cannot", str(error).rstrip(".")))
            return
        if way.event is not None and self._edits and self._previewed < _PREVIEWED:
            self._preview(delivery, way.event)
        self.moving += 1
        self.ways[at] = self.ways.get(at, 0) + 1
        self.first.setdefault(at, delivery)
        self.changes.setdefault(at, Changes()).add(way.rules.examine(copy.event).changes)
        removed = self.removed.setdefault(at, {})
        for what, why in copy.removed:
            removed[f"{what} stays behind: it {why}."] = None

    def _preview(self, delivery: Delivery, edited: Event) -> None:
        """Keep in what an edited message differs from the one that came, as it may be seen."""
        seen = self._mask(delivery).event, self._mask(msgspec.structs.replace(delivery, event=edited)).event
        changes = difference(delivery.event, edited, seen)
        self._previewed += 1
        self.preview += islice(diff_lines(changes, _WIDTH), _LINES)

    def _stay(self, found: Stay) -> None:
        reason = found.reason if found.reason in self.stays or len(self.stays) < _REASONS else "other reasons"
        self.stays[reason] += 1


def _check_source(endpoint: Endpoint, purpose: str) -> None:
    if purpose == "delete" and Ability.REMOVE not in endpoint.abilities:
        raise Unsupported(f"Nothing can be deleted from {endpoint.address}: it is {with_article(endpoint.kind)}.")
    if Ability.BROWSE not in endpoint.abilities:
        raise Unsupported(f"{endpoint.address} cannot be moved from: it cannot be browsed.")
    if endpoint.family == "queue" and not endpoint.abilities & Ability.CLAIM:
        raise Unsupported(f"Nothing can be taken from {endpoint.address}: another consumer has it for itself.")


def _is_atomic(source: Address, target: Endpoint) -> bool:
    return target.address.connection == source.connection and Ability.ATOMIC in target.abilities


async def _leg(session: Session, endpoint: Endpoint, survey: _Survey) -> Leg:
    address = endpoint.address
    sample = _sample_of(survey.first[address].event)
    said, reached = await who_receives(session, endpoint, sample)
    changes = survey.changes[address].sentences()
    identity = session.broker_identity(address.connection)
    removed = tuple(survey.removed[address])
    broker = await session.broker_id(address.connection)
    # A plan may be shown to others: it keeps of a message what it has to ask with again.
    kept = sample if endpoint.family == "routes" else None
    return Leg(address, endpoint.kind, identity, survey.ways[address], said, kept, changes, removed, broker, reached)


def _sample_of(event: Event) -> Event:
    """The key and the headers of an event, but for what a plan cannot hold and only an embedded broker has: a text with
    half a character, a number of more than 64 bits."""
    headers = tuple(each for each in event.written.headers if _fits(each))
    properties = {name: value for name, value in event.written.properties.items() if _fits((name, value))}
    return msgspec.structs.replace(event, body=None, written=Content(headers, properties))


def _fits(part: tuple[str, Value]) -> bool:
    try:
        msgspec.msgpack.encode(part)
    except (UnicodeEncodeError, OverflowError):
        return False
    return True


class Receivers(NamedTuple):
    """Who gets what is published to an endpoint.

    Attributes:
        sentence: In a line.
        reached: What an exchange hands it on to, by name.
    """

    sentence: str
    reached: tuple[str, ...] = ()


async def who_receives(session: Session, endpoint: Endpoint, sample: Event) -> Receivers:
    """Who gets what is published to an endpoint.

    Args:
        session: Whose connections.
        endpoint: Which.
        sample: An event, of which key and headers count.
    """
    groups: Sequence[Group] = ()
    route: Route | None = None
    try:
        connector = await session.connector(endpoint.address.connection)
        if Ability.GROUPS in endpoint.abilities:
            groups = await connector.groups()
        elif endpoint.family == "routes":
            route = await connector.route(endpoint.address, sample)
    except ConnectorError as error:
        return Receivers(f"who reads it is not known: {error}")
    reached = () if route is None else tuple(sorted(each.name for each in route.endpoints))
    return Receivers(audience(endpoint, sample.key, groups, route).sentence, reached)


async def check_room(
    session: Session,
    targets: Targets,
    address: Address,
    sample: Event | None,
    count: int,
    force: bool,
    certainly: bool = False,
) -> list[str]:
    """Refuse a target that would confirm messages and then drop others to make room, or hand them on to one that would;
    what is to be said, if it is forced.

    Args:
        session: Whose connections.
        targets: What is known of targets.
        address: The target.
        sample: A message that goes there, by which it is asked who gets it; None: it does not depend on any.
        count: Messages that go there.
        force: Whether it is used all the same.
        certainly: Whether it is used, too, where it only might drop some: its limit is not one of events, or not known.
            What to go on with, or to take back, cannot be forced.

    Raises:
        Unsupported: It would.
        ConnectorError: The target cannot be asked.
    """
    target = await targets.find(address)
    reached = [target]
    if target.endpoint.family == "routes" and sample is not None:
        connector = await session.connector(address.connection)
        # Who gets it is said in the plan, also where that is not known.
        with suppress(ConnectorError):
            route = await connector.route(address, sample)
            await targets.find_all(route.endpoints)
            reached = [await targets.find(each) for each in route.endpoints]
    said = [
        f"{each.endpoint.address} {each.rules.forgets}: what it confirms it may not keep."
        for each in reached
        if _may_drop(each, count)
    ]
    if not force and said and (not certainly or any(_is_limited(each) and _may_drop(each, count) for each in reached)):
        raise Unsupported(
            f"{said[0]} Raise its limit, {'or make room' if certainly else 'make room, or force the move'}."
        )
    return said


def _may_drop(target: Target, count: int) -> bool:
    """Whether a target may drop others to make room for so many."""
    endpoint, rules = target
    if not rules.forgets:
        return False
    return rules.forgets_beyond is None or endpoint.depth is None or endpoint.depth + count > rules.forgets_beyond


def _is_limited(target: Target) -> bool:
    """Whether it is known what a target has, and beyond how much it drops."""
    return target.rules.forgets_beyond is not None and target.endpoint.depth is not None


def _sensitive(session: Session, edit: Edit) -> list[str]:
    if not edit:
        return []
    named = [str(each) for each in touched(edit, Tiers(session.conventions.tables)) if each.tier == "sensitive"]
    return [f"Edited: {', '.join(named)}, by which events are found, followed or read."] if named else []


def _warnings(endpoint: Endpoint, identity: str, removes: bool) -> list[str]:
    said = []
    if removes and endpoint.consumers:
        said.append(f"{quantity(endpoint.consumers, 'consumer')} of {endpoint.address} may take messages meanwhile.")
    for record in records()[0]:
        of = record.operation
        if same_source(of, identity, endpoint.address) and record.state in ("running", "interrupted"):
            left = "can be resumed" if record.can_go_on else "its broker may go on with it"
            goes_on = "is running" if record.state == "running" else f"was interrupted, and {left}"
            said.append(f"Operation {of.id} of {of.by} on the same source {goes_on}.")
    return said
