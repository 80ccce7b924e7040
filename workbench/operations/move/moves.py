"""Moves as a whole: begun from a plan, resumed and undone from their journals; and deletions, journalled likewise."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import msgspec

from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import (
    ConnectorError,
    EndpointNotFound,
    FormatError,
    StoreError,
    Unsupported,
    unwrap_exception_group,
)
from workbench.model.event import Delivery
from workbench.model.start import FromEnd
from workbench.model.target_rules import Changes
from workbench.model.transfer import TransferState
from workbench.model.wording import with_article
from workbench.operations.edit.edit import Edit
from workbench.operations.edit.editor import Editor
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.journal_file import check_not_begun
from workbench.operations.journal.operation import Kind, Operation, State, now, whoami
from workbench.operations.journal.records import (
    find_journal,
    read_entries,
    read_record,
    settled_before,
    settled_by_target,
    undos_of,
)
from workbench.operations.journal.retention import keep_within
from workbench.operations.move.choice import Choice, Deletion, Selection
from workbench.operations.move.copies import unburdened
from workbench.operations.move.outcome import Ended, Progress
from workbench.operations.move.places import changed, check_places
from workbench.operations.move.plan import Plan, Purpose
from workbench.operations.move.planning import check_room, who_receives
from workbench.operations.move.routing import Routing, editor_of
from workbench.operations.move.run import run
from workbench.operations.move.taken_back import TakenBack, deleted_messages
from workbench.operations.move.targets import Targets
from workbench.session import PROCESS, Session

OnProgress = Callable[[Progress], None]


def _nobody(_: Progress) -> None:
    """Nobody is told."""


async def carry_out(
    session: Session,
    plan: Plan,
    on_progress: OnProgress = _nobody,
    stopped: asyncio.Event | None = None,
    force: bool = False,
) -> Ended:
    """Carry a plan out.

    Args:
        session: Whose connections.
        plan: What to do; it may be old, and read from a file.
        on_progress: Told how far it is.
        stopped: Set to end after the messages in hand.
        force: Whether targets are used though they may drop what they confirm.

    Raises:
        Unsupported: What the plan is about has changed.
        StoreError: It was begun before, or there can be no journal of it.
        WorkbenchError: It cannot begin; nothing was moved.
    """
    # Making room for it must not forget that it was carried out.
    await asyncio.to_thread(check_not_begun, plan.id)
    targets = Targets(session)
    await check_unchanged(session, plan, targets, force)
    if plan.engine == "broker":
        return await _transfer(session, plan, on_progress, stopped or asyncio.Event())
    async with editor_of(session, plan.edit) as editor:
        choice = await _choice_of(session, plan, targets, editor)
        return await _run(session, plan, choice, on_progress, stopped)


async def resume(
    session: Session, path: Path, on_progress: OnProgress = _nobody, stopped: asyncio.Event | None = None
) -> Ended:
    """Do further what was interrupted or stopped: nothing that was confirmed is published again.

    Raises:
        StoreError: The journal cannot be read, or another program works on it.
        Unsupported: Its source is another now, or its broker carried it out.
        WorkbenchError: It cannot begin.
    """
    record = await asyncio.to_thread(read_record, path)
    if record.operation.by_broker and (why := record.why_no_resume) is not None:
        raise Unsupported(why)
    plan = _plan_of(record.operation)
    await check_places(session, plan)
    if plan.undoes:
        undone = await asyncio.to_thread(read_record, find_journal(plan.undoes))
        await check_places(session, _plan_of(undone.operation))
    await permit(session, plan)
    await _check_same_log(session, plan)
    settled, _ = await asyncio.to_thread(settled_by_target, path)
    await _check_room_left(session, plan, settled)
    async with editor_of(session, plan.edit) as editor:
        with closing(await asyncio.to_thread(Journal.reopen, path)) as journal:
            messages = None
            if plan.undoes:
                original = find_journal(plan.undoes)
                choice: Choice = TakenBack(session, plan, original)
                messages = deleted_messages(original, plan.id) if plan.purpose == "restore" else None
            else:
                choice = await _choice_of(session, plan, Targets(session), editor)
            return await run(session, plan, choice, journal, on_progress, stopped, messages)


async def undo(
    session: Session,
    path: Path,
    plans: Sequence[Plan],
    on_progress: OnProgress = _nobody,
    stopped: asyncio.Event | None = None,
) -> AsyncGenerator[tuple[str, Ended], None]:
    """Take back what a move has done, as far as its targets still have the copies: each original is published where it
    came from, and its copy is removed. Of a deletion, all of it is published again.

    Args:
        session: Whose connections.
        path: The journal of the operation.
        plans: From `plan_undo`.
        on_progress: Told how far it is.
        stopped: Set to end after the messages in hand.

    Yields:
        The id of each operation that takes back, and what came of it, as soon as it has ended.

    Raises:
        WorkbenchError: It cannot begin.
    """
    for plan in plans:
        messages = deleted_messages(path, plan.id) if plan.purpose == "restore" else None
        choice = TakenBack(session, plan, path)
        yield plan.id, await _run(session, plan, choice, on_progress, stopped, messages)
        if stopped is not None and stopped.is_set():
            break


async def plan_undo(session: Session, path: Path) -> list[Plan]:
    """What `undo` would do, a plan for each target.

    Raises:
        StoreError: The journal cannot be read, or the operation goes on, or is an undo, or is being or was undone.
        Unsupported: It cannot be taken back, with the reason.
    """
    record = await asyncio.to_thread(read_record, path)
    operation = record.operation
    if (why := record.why_no_undo) is not None:
        raise StoreError(why)
    done = _plan_of(operation)
    await check_places(session, done)
    before = await asyncio.to_thread(undos_of, operation.id)
    if (open := next((each for each in before if each.state == "running" or each.can_go_on), None)) is not None:
        what = f"is being undone by operation {open.operation.id}, which is {open.state}"
        raise StoreError(f"Operation {operation.id} {what}: `workbench journal resume {open.operation.id}` goes on.")
    counts, second = await asyncio.to_thread(settled_by_target, path)
    if not counts:
        raise Unsupported(f"Operation {operation.id} has moved nothing that could be taken back.")
    for each in before:
        target = None if done.purpose == "delete" else each.operation.source
        counts[target] -= each.counts.done
        second[target] -= each.counts.extra
    counts, second = +counts, +second
    if not counts and not (second and done.purpose == "move"):
        raise StoreError(f"Operation {operation.id} was undone already, by operation {before[0].operation.id}.")
    if done.purpose == "delete":
        restored = _undo_plan(session, done, None, counts.total(), "restore")
        said = [*await _changes_again(session, path, done.source), *await _check_room_left(session, restored)]
        return [msgspec.structs.replace(restored, warnings=tuple(said))]
    plans, kept = [], []
    for target in dict.fromkeys((*counts, *second)):
        assert target is not None
        connector = await session.connector(target.connection)
        endpoint = await connector.endpoint(target)
        if Ability.REMOVE not in endpoint.abilities:
            kept.append(f"{target} keeps what was sent to it: {with_article(endpoint.kind)} gives nothing back.")
        else:
            purpose: Purpose = "move" if done.removes else "withdraw"
            plans.append(_undo_plan(session, done, endpoint, counts[target], purpose, second[target]))
    if not plans:
        raise Unsupported(" ".join(kept))
    if done.removes:
        all_of_it = msgspec.structs.replace(plans[0], moving=sum(each.moving for each in plans))
        kept += await _changes_again(session, path, done.source)
        kept += await _check_room_left(session, all_of_it)
    plans[0] = msgspec.structs.replace(plans[0], warnings=tuple(kept))
    return plans


async def _changes_again(session: Session, path: Path, source: Address) -> Sequence[str]:
    """What becomes of the messages of a journal where they are published again to what they came from, as far as the
    first of them show it, a sentence each."""
    try:
        rules = await (await session.connector(source.connection)).rules(source)
    except ConnectorError:
        # Whoever publishes there is told.
        return ()
    changes = Changes()
    for entry in await asyncio.to_thread(lambda: [*read_entries(path, most=_FIRST)]):
        with suppress(FormatError):
            changes.add(rules.examine(unburdened(entry.message.event, rules).event).changes)
    return changes.sentences()


async def check_unchanged(session: Session, plan: Plan, targets: Targets, force: bool = False) -> None:
    """Refuse a plan when what it is about has changed since it was made.

    Args:
        session: Whose connections.
        plan: The plan.
        targets: What is known of its targets, as they are now.
        force: Whether targets are used though they may drop what they confirm.

    Raises:
        Unsupported: It has, with what.
        WorkbenchError: A broker does not tell.
    """
    await check_places(session, plan)
    source = plan.source
    connector = await session.connector(source.connection)
    try:
        with unwrap_exception_group():
            async with asyncio.TaskGroup() as group:
                asked = group.create_task(connector.endpoint(source))
                group.create_task(targets.find_all(leg.address for leg in plan.legs))
    except EndpointNotFound as error:
        raise changed(str(error).rstrip(".")) from error
    endpoint = asked.result()
    if endpoint.kind != plan.kind:
        raise changed(f"{source} is {with_article(endpoint.kind)} now, and was {with_article(plan.kind)}")
    await _check_same_log(session, plan)
    for leg in plan.legs:
        try:
            target = await targets.find(leg.address)
        except ConnectorError as error:
            raise changed(str(error).rstrip(".")) from error
        kind = target.endpoint.kind
        if kind != leg.kind:
            raise changed(f"{leg.address} is {with_article(kind)} now, and was {with_article(leg.kind)}")
        if target.endpoint.family == "routes" and leg.sample is not None:
            receivers, reached = await who_receives(session, target.endpoint, leg.sample)
            if receivers != leg.receivers or reached != leg.reached:
                others = sorted(set(reached).symmetric_difference(leg.reached))
                told = f" ({', '.join(others[:_TOLD])} changed)" if others else ""
                raise changed(f"{leg.address} hands on to others now: {receivers}; it was: {leg.receivers}{told}")
        await check_room(session, targets, leg.address, leg.sample, leg.count, force)


async def _check_same_log(session: Session, plan: Plan) -> None:
    """Refuse a plan whose source is another log of the same name: its positions are those of other events.

    Raises:
        Unsupported: It is.
        WorkbenchError: Its broker does not tell.
    """
    source = plan.source
    connector = await session.connector(source.connection)
    if plan.source_id and await connector.log_id(source) not in (None, plan.source_id):
        raise changed(f"{source} was deleted, and made anew")
    if plan.ends and (behind := await _shrunk(session, plan)):
        raise changed(f"{source} ends earlier now, in partition {behind}: it was made anew, or lost events")


async def _check_room_left(
    session: Session, plan: Plan, done: Mapping[Address | None, int] | None = None
) -> Sequence[str]:
    """Refuse to go on where a target would certainly drop others to make room, as it is now; what is to be said where
    one might.

    Args:
        session: Whose connections.
        plan: What to go on with; an undo is never forced, though what it undoes may have been.
        done: How many of its messages have moved, by target; None: none.

    Raises:
        Unsupported: It would.
        WorkbenchError: A connection cannot be opened or listed.
    """
    done = done or {}
    samples = {leg.address: leg.sample for leg in plan.legs}
    if plan.undoes:
        # What was taken back is counted by the target, whatever its purpose.
        left = {} if plan.target is None else {plan.target: plan.moving - sum(done.values())}
    else:
        left = {leg.address: leg.count - done.get(leg.address, 0) for leg in plan.legs}
    targets, force = Targets(session), plan.is_forced and not plan.undoes
    said: list[str] = []
    await targets.find_all(left)
    for address, count in left.items():
        try:
            await targets.find(address)
        except ConnectorError:
            # What would go there stays in its source, with the reason.
            continue
        said += await check_room(session, targets, address, samples.get(address), max(count, 0), force, certainly=True)
    return said


async def permit(session: Session, plan: Plan) -> None:
    """See that all of a plan is allowed, before there is a journal of it.

    Raises:
        GuardRefused: It is not, or the name of a production connection was not typed.
        WorkbenchError: A connection cannot be opened.
    """
    if plan.purpose != "restore":
        connector = await session.connector(plan.source.connection)
        level = Level.DESTROY if plan.purpose == "delete" else Level.MOVE
        await connector.permit(level, f"{'deleting' if plan.purpose == 'delete' else 'moving'} events of {plan.source}")
    targets = {leg.address for leg in plan.legs} | ({plan.target} if plan.target is not None else set())
    for target in sorted(targets):
        connector = await session.connector(target.connection)
        await connector.permit(Level.PUBLISH, f"publishing to {target}")


async def _shrunk(session: Session, plan: Plan) -> str | None:
    """The partition whose end is before what the plan has seen of it; None: there is none."""
    async with session.browse(plan.source, FromEnd(1), 1) as stream:
        async for _ in stream:
            pass
    ends = {span.partition: int(span.end) for span in stream.coverage.spans}
    return next((each for each, end in plan.ends.items() if ends.get(each, int(end)) < int(end)), None)


async def _run(
    session: Session,
    plan: Plan,
    choice: Choice,
    on_progress: OnProgress,
    stopped: asyncio.Event | None,
    messages: Callable[[], AsyncIterator[Sequence[Delivery]]] | None = None,
) -> Ended:
    await permit(session, plan)
    await asyncio.to_thread(keep_within)
    with closing(await asyncio.to_thread(Journal.create, _operation(session, plan))) as journal:
        return await run(session, plan, choice, journal, on_progress, stopped, messages)


def _operation(session: Session, plan: Plan) -> Operation:
    kind: Kind = "undo" if plan.undoes else "delete" if plan.purpose == "delete" else "move"
    return Operation(
        id=plan.id,
        kind=kind,
        begun=now(),
        by=whoami(),
        source=plan.source,
        identity=plan.identity,
        title=plan.title,
        plan=msgspec.msgpack.encode(plan),
        process=PROCESS if session.is_embedded(plan.source.connection) else "",
        source_id=plan.source_id,
        by_broker=plan.engine == "broker",
        undoes=plan.undoes,
    )


_FIRST: Final = 100
"""Messages that are looked at for what changes about all of them."""
_TOLD: Final = 4
"""Receivers that are named which were added or taken away."""
_ASK: Final = 0.3
"""Seconds between two questions how far a broker is."""


async def _transfer(session: Session, plan: Plan, on_progress: OnProgress, stopped: asyncio.Event) -> Ended:
    """Have the broker move all, and watch it."""
    await permit(session, plan)
    start, state = time.monotonic(), TransferState(0, True)
    connector = await session.connector(plan.source.connection)
    [leg] = plan.legs
    count = plan.moving if plan.limit is not None else plan.depth
    with closing(await asyncio.to_thread(Journal.create, _operation(session, plan))) as journal:
        try:
            async with connector.transfer(plan.source, leg.address, count) as transfer:
                while state.running and not stopped.is_set():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stopped.wait(), _ASK)
                    state = await transfer.state()
                    seconds = time.monotonic() - start
                    on_progress(Progress(count, state.moved, seconds=seconds, phase="moved by the broker"))
        except ConnectorError as error:
            await asyncio.to_thread(journal.end, "interrupted", now(), str(error))
            raise
        ending: State = "stopped" if state.running else "interrupted" if state.reason else "done"
        why = "Stopped by its user." if state.running else state.reason
        ended = Ended(
            state=ending,
            verb="moved",
            moved=state.moved,
            failed=0,
            left=0,
            returned=None,
            twice=0,
            gone=0,
            open=0,
            missing=max(count - state.moved, 0) if ending == "done" else 0,
            reasons=(),
            why=why,
            seconds=time.monotonic() - start,
            by_broker=True,
        )
        remark = f"By the broker: {ended.sentence}. {why}".rstrip()
        await asyncio.to_thread(journal.end, ending, now(), remark)
    return ended


async def _choice_of(session: Session, plan: Plan, targets: Targets, editor: Editor | None) -> Choice:
    selected = Counter(map(bytes.fromhex, plan.selected)) if plan.scope == "selected" else None
    selection = Selection(session.query(plan.query) if plan.query else None, selected)
    if plan.purpose == "delete":
        return Deletion(selection)
    moved: set[bytes] = set()
    if not plan.again and not plan.removes:
        moved = await asyncio.to_thread(settled_before, plan.identity, plan.source, plan.source_id, plan.id)
    allowed = {leg.address for leg in plan.legs}
    return Routing(
        session, plan.source, plan.target, targets, selection, moved, plan.redrives, editor, plan.id, allowed
    )


def _plan_of(operation: Operation) -> Plan:
    if operation.kind == "seek":
        raise Unsupported(
            f"Operation {operation.id} moved no messages but a consumer group: `workbench journal undo {operation.id}`"
            " puts it back."
        )
    try:
        return msgspec.msgpack.decode(operation.plan, type=Plan)
    except msgspec.MsgspecError as error:
        raise StoreError(f"The plan of operation {operation.id} cannot be read: {error}.") from error


def _undo_plan(
    session: Session, done: Plan, target: Endpoint | None, count: int, purpose: Purpose, second: int = 0
) -> Plan:
    """The plan that takes back what went to one target, and what it may have of it twice."""
    from_there = done.source if target is None else target.address
    return msgspec.structs.replace(
        done,
        id=uuid.uuid4().hex[:12],
        made=now(),
        purpose=purpose,
        by=whoami(),
        source=from_there,
        kind=done.kind if target is None else target.kind,
        identity=session.broker_identity(from_there.connection),
        broker=next((leg.broker for leg in done.legs if leg.address == from_there), done.broker),
        removes=target is not None,
        ledger=False,
        scope="matching",
        query="",
        limit=None,
        selected=(),
        ends={},
        depth=0 if target is None else target.depth or 0,
        target=None if purpose == "withdraw" else done.source,
        guarantee="at least once",
        legs=(),
        stays=(),
        examined=count,
        moving=count,
        not_matching=0,
        moved_before=0,
        canary=(),
        warnings=(),
        price="",
        undoes=done.id,
        source_id="",
        edit=Edit(),
        preview=(),
        counted=0,
        alike={},
        second=second,
    )
