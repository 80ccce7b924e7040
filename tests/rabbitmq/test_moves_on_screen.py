"""Moving on the screen from a queue whose name a terminal would take for more than text."""

import msgspec
import pytest

from connectors.rabbitmq import RabbitMQConnector
from tests.rabbitmq.conftest import Rabbit
from tests.rabbitmq.doing import bodies, browse, numbered, publish_all
from tests.views.driver import running
from workbench.connecting.level import Level
from workbench.model.address import Address

NAME = "dead\x1b[31m\t\x00letters\u202e/100%"
"""RabbitMQ takes every name that is UTF-8."""
SHOWN = r"rabbit/dead␛[31m⇥␀letters\u{202e}/100%"


@pytest.mark.parametrize("selected", (False, True), ids=("all of it", "a selected event"))
async def test_from_a_queue_whose_name_has_control_characters_is_moved(rabbit: Rabbit, selected: bool) -> None:
    source, target = Address("rabbit", NAME), rabbit.queue()
    rabbit.channel.queue_declare(NAME, durable=True)
    count = 1 if selected else 3
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, source, numbered(3))
    given = msgspec.structs.replace(rabbit.connection(), level=Level.MOVE)
    async with running((160, 40), connections=[given]) as driver:
        await driver.go_to(str(source))
        if selected:
            await driver.press("enter", "b")
            await driver.shows(f"{SHOWN}: 3 read")
            await driver.until(lambda: driver.app.events.query_one("#table").has_focus)
        await driver.press("m")
        await driver.shows("(•) 1 selected" if selected else f"  of {SHOWN}", "enter plan")
        await driver.press("tab", f"={target}", "enter")
        if not selected:
            await driver.shows("enter look and plan")
            await driver.press("enter")
        await driver.shows(f"in {SHOWN} (classic queue)", f"r move {count}")
        await driver.press("r")
        await driver.shows(f"{count} moved, 0 failed")
        await driver.press("4")
        await driver.shows(f"of {SHOWN} →")
        assert driver.app.failures == []
    async with RabbitMQConnector(rabbit.connection()) as connector:
        assert len(bodies(await browse(connector, target))) == count
        assert len(bodies(await browse(connector, source))) == 3 - count
