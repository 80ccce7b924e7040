"""What a connector offers besides the protocol."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import msgspec
import pytest

from tests.contract.steps import DEADLINE
from tests.contract.under_test import BrokerUnderTest, Contract
from workbench.connecting.guard import Guarded, confirm_nothing
from workbench.connecting.level import Level
from workbench.connecting.plugins import connect
from workbench.model.errors import GuardRefused


class ActionsContract(Contract):
    """The tests. A subclass names in `actions` what its connector offers; nothing, where it leaves that out."""

    actions: ClassVar[Sequence[str]] = ()

    async def test_what_it_offers_is_named_and_described(self, broker: BrokerUnderTest) -> None:
        async with asyncio.timeout(DEADLINE), guarded(broker, Level.PUBLISH) as connector:
            offered = connector.actions()
            assert [action.name for action in offered] == list(self.actions)
            assert all(action.help for action in offered)

    async def test_what_it_offers_is_done_and_says_what_came_of_it(self, broker: BrokerUnderTest) -> None:
        async with asyncio.timeout(DEADLINE), guarded(broker, Level.PUBLISH) as connector:
            for action in connector.actions():
                assert (await action.do()).endswith(".")

    async def test_what_it_offers_takes_the_right_to_publish(self, broker: BrokerUnderTest) -> None:
        async with asyncio.timeout(DEADLINE), guarded(broker, Level.LOOK) as connector:
            for action in connector.actions():
                with pytest.raises(GuardRefused, match=f"{action.name} needs 'publish'"):
                    await action.do()


def guarded(broker: BrokerUnderTest, level: Level) -> Guarded:
    """A connector behind a guard."""
    connection = msgspec.structs.replace(broker.connection, level=level)
    return Guarded(connect(connection), connection, confirm_nothing)
