"""A broker that is reached on this machine and lives on another: it looks like the end of a tunnel."""

import socket

import msgspec
import pytest

from tests.rabbitmq.conftest import Rabbit
from tests.views.driver import running
from workbench.connecting.level import Level


@pytest.mark.parametrize("said", [None, Level.PUBLISH])
async def test_a_tunnel_is_named_and_observed_unless_its_user_says_more(
    rabbit: Rabbit, said: Level | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The broker names the machine that it runs on, as it does behind a tunnel.
    monkeypatch.setattr(socket, "gethostname", lambda: "laptop")
    given = msgspec.structs.replace(rabbit.connection(), level=said)
    async with running((160, 40), connections=[given]) as driver:
        await driver.shows("rabbit tunnel")
        session = driver.app.context.session
        assert session.level("rabbit") == (said or Level.OBSERVE)
        await driver.press("5")
        await driver.shows("a tunnel: the broker says that it lives on")
        assert driver.app.failures == []
