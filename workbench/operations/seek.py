"""Putting a consumer group elsewhere in a log: shown first, journalled before, and undone from the journal."""

import asyncio
import uuid
from contextlib import closing
from pathlib import Path

import msgspec

from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, EndpointNotFound, StoreError, Unsupported
from workbench.model.start import Start
from workbench.model.wording import quantity
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.operation import Operation, now, place_of, whoami
from workbench.operations.journal.records import read_record
from workbench.session import PROCESS, Session


class Shift(msgspec.Struct, frozen=True):
    """Where a group goes on in one partition.

    Attributes:
        partition: Which.
        before: The next event that it would read; None: it has committed none.
        after: The next event that it will read; None: it will have committed none.
    """

    partition: str
    before: str | None
    after: str | None


class Seek(msgspec.Struct, frozen=True):
    """What is to change.

    Attributes:
        group: The group's name.
        address: The log.
        identity: What its connection leads to.
        shifts: The partitions in which something changes.
        is_new: Whether there is no such group yet.
        undoes: The id of the operation that it takes back; empty: none.
        broker: What the log's broker calls itself; empty: it has not said.
    """

    group: str
    address: Address
    identity: str
    shifts: tuple[Shift, ...]
    is_new: bool = False
    undoes: str = ""
    broker: str = ""

    @property
    def title(self) -> str:
        """What it does, in a line without a full stop."""
        where = f"{quantity(len(self.shifts), 'partition')} of {self.address}"
        return f"group {self.group} {'put back' if self.undoes else 'moved'} in {where}"


async def plan_seek(session: Session, group: str, address: Address, start: Start) -> Seek:
    """What it would change to let a group go on where a browse from there would begin.

    Raises:
        Unsupported: The group has members, or there is no such place.
        WorkbenchError: The broker does not tell.
    """
    broker = await session.broker_id(address.connection)
    async with session.browse(address, start) as stream:
        places = {span.partition: span.start for span in stream.coverage.spans}
    return await _plan(session, group, address, dict(places), broker)


async def plan_seek_undo(session: Session, path: Path) -> Seek:
    """What it would change to let the group of an operation stand where it stood before.

    Raises:
        StoreError: The journal cannot be read, or holds something else.
        Unsupported: The group has members, or the connection leads elsewhere now.
        WorkbenchError: The broker does not tell.
    """
    operation = (await asyncio.to_thread(read_record, path)).operation
    done = _seek_of(operation)
    await _check_place(session, done)
    broker = await session.broker_id(done.address.connection)
    places = {each.partition: each.before for each in done.shifts}
    return await _plan(session, done.group, done.address, places, broker, operation.id)


async def carry_out(session: Session, seek: Seek) -> str:
    """Do it; the id of the operation, which can be undone.

    Raises:
        StoreError: There can be no journal: nothing was changed.
        Unsupported: The connection leads elsewhere now.
        WorkbenchError: The broker refuses, or the group has members.
    """
    operation = Operation(
        id=uuid.uuid4().hex[:12],
        kind="seek",
        begun=now(),
        by=whoami(),
        source=seek.address,
        identity=seek.identity,
        title=seek.title,
        plan=msgspec.msgpack.encode(seek),
        process=PROCESS if session.is_embedded(seek.address.connection) else "",
    )
    await _permit(session, seek)
    await _check_place(session, seek, "and nothing was changed")
    with closing(await asyncio.to_thread(Journal.create, operation)) as journal:
        await _do(session, seek, journal)
    return operation.id


async def resume(session: Session, path: Path) -> None:
    """Do once more what was interrupted.

    Raises:
        StoreError: The journal cannot be read, or another program works on it.
        WorkbenchError: As `carry_out`.
    """
    seek = _seek_of((await asyncio.to_thread(read_record, path)).operation)
    await _check_place(session, seek)
    await _permit(session, seek)
    with closing(await asyncio.to_thread(Journal.reopen, path)) as journal:
        await _do(session, seek, journal)


async def _permit(session: Session, seek: Seek) -> None:
    connector = await session.connector(seek.address.connection)
    await connector.permit(Level.MOVE, f"moving the consumer group {seek.group!r}")


async def _do(session: Session, seek: Seek, journal: Journal) -> None:
    connector = await session.connector(seek.address.connection)
    try:
        await connector.seek(seek.group, seek.address, {each.partition: each.after for each in seek.shifts})
    except ConnectorError as error:
        await asyncio.to_thread(journal.end, "interrupted", now(), str(error))
        raise
    await asyncio.to_thread(journal.end, "done", now(), f"{seek.title}.")


async def _plan(
    session: Session, group: str, address: Address, places: dict[str, str | None], broker: str, undoes: str = ""
) -> Seek:
    connector = await session.connector(address.connection)
    stands: dict[str, str | None] = {}
    is_new = False
    try:
        found = await connector.group(group)
    except EndpointNotFound:
        is_new = True
    else:
        if found.members:
            members = quantity(len(found.members), "member")
            raise Unsupported(f"Group {group} has {members}: stop them first, they would commit over it.")
        stands = {each.partition: each.committed for each in found.partitions if each.address == address}
    shifts = tuple(
        Shift(partition, stands.get(partition), after)
        for partition, after in sorted(places.items(), key=lambda each: (len(each[0]), each[0]))
        if stands.get(partition) != after
    )
    identity = session.broker_identity(address.connection)
    return Seek(group, address, identity, shifts, is_new, undoes, broker)


async def _check_place(session: Session, seek: Seek, so: str = "so that there is nothing to put back") -> None:
    name = seek.address.connection
    elsewhere = place_of(session.broker_identity(name)) != place_of(seek.identity)
    if elsewhere or (seek.broker and await session.broker_id(name) not in ("", seek.broker)):
        raise Unsupported(f"{name} leads elsewhere now, {so}.")


def _seek_of(operation: Operation) -> Seek:
    try:
        return msgspec.msgpack.decode(operation.plan, type=Seek)
    except msgspec.MsgspecError as error:
        raise StoreError(f"What operation {operation.id} has changed cannot be read: {error}.") from error
