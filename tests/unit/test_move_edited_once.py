"""A message that is edited is edited once: what is published again after a crash is what was published before it."""

from uuid import uuid4

import pytest

from connectors.memory import embedded_broker
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.errors import StoreError
from workbench.model.event import Event
from workbench.operations.edit.edit import Edit
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.records import find_journal, read_record
from workbench.operations.move import moves
from workbench.operations.move.planning import Wanted, make_plan
from workbench.operations.template import Template
from workbench.session import Session


async def test_a_copy_that_was_in_flight_is_sent_again_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = embedded_broker(f"edited-{uuid4().hex}")
    broker.declare_queue("from")
    broker.declare_queue("to")
    broker.publish("", Event(b"from", b'{"id": 1}'))
    mark_done = Journal.mark_done

    def lose(journal: Journal, confirmed: list[int], settled: list[int], at: int) -> None:
        """The disk is full when the confirmation is to be noted."""
        if confirmed:
            raise StoreError("The disk is full.")
        mark_done(journal, confirmed, settled, at)

    edit = Edit(template=Template(body='{"id": "{{ uuid() }}"}'))
    async with Session([Connection.parse(f"m=memory://{broker.name}")]) as session:
        plan = await make_plan(session, Wanted(Address("m", "from"), target=Address("m", "to"), edit=edit))
        with monkeypatch.context() as patched:
            patched.setattr(Journal, "mark_done", lose)
            with pytest.raises(StoreError, match="The disk is full"):
                await moves.carry_out(session, plan)
        record = read_record(find_journal(plan.id))
        assert (record.state, record.counts.in_flight) == ("interrupted", 1)
        ended = await moves.resume(session, record.path)
    assert (ended.moved, ended.twice, ended.open) == (1, 1, 0)
    first, second = [message.event for message in broker.queues["to"].waiting()]
    assert first == second
    assert first.body not in (None, b'{"id": 1}')
    assert not broker.queues["from"].waiting()
