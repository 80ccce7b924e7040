"""What `workbench find` searches where no address is given."""

from uuid import uuid4

import pytest

from connectors.memory import embedded_broker
from connectors.memory import endpoints as memory_endpoints
from workbench.cli.find import _all_logs
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.session import Session


async def test_a_log_that_cannot_be_browsed_is_told_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(memory_endpoints._LOGS, "stream", Ability.PUBLISH)
    broker = embedded_broker(f"find-{uuid4().hex}")
    broker.declare_topic("orders")
    broker.declare_topic("audit", kind="stream")
    async with Session([Connection.parse(f"m=memory://{broker.name}")]) as session:
        endpoints, missing = await _all_logs(session)
    assert [each.address.name for each in endpoints] == ["orders"]
    assert [gap.reason for gap in missing[Address("m", "audit")].gaps] == ["it cannot be browsed"]
