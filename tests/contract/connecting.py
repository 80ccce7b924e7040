"""Getting in, or being told why not."""

import asyncio

import pytest

from tests.contract.steps import DEADLINE
from tests.contract.under_test import BrokerUnderTest, Contract
from workbench.connecting.plugins import connect
from workbench.model.errors import AccessRefused, ConnectionLost


class ConnectingContract(Contract):
    """The tests."""

    async def test_wrong_password_is_refused_and_not_repeated(self, broker: BrokerUnderTest) -> None:
        with pytest.raises(AccessRefused) as refusal:
            async with asyncio.timeout(DEADLINE), connect(broker.intruder) as connector:
                await connector.endpoints()
        assert "wrong-password" not in str(refusal.value)

    async def test_nobody_listening_is_a_lost_connection(self, broker: BrokerUnderTest) -> None:
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(DEADLINE), connect(broker.nowhere) as connector:
                await connector.endpoints()
