"""A broker that is reached on this machine and lives on another: it looks like the end of a tunnel."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec
import pytest

from tests.brokers.rabbitmq import RabbitMQAddress
from tests.rabbitmq.conftest import Rabbit
from tests.views.driver import running
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.config_sources import own_path
from workbench.connecting.level import Level
from workbench.model.errors import GuardRefused, Unsupported, WorkbenchError
from workbench.model.event import Event
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.operation import Operation
from workbench.operations.journal.records import find_journal
from workbench.operations.move.moves import carry_out, plan_undo, resume
from workbench.operations.move.plan import Plan
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session


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


class Tunnel:
    """A port of this machine that leads to one broker and then to another."""

    def __init__(self, to: str) -> None:
        self.to = to
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]
            self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = urlsplit(self.to)
        other_reader, other = await asyncio.open_connection(place.hostname, place.port)
        self._writers += [writer, other]
        await asyncio.gather(self._pass_on(reader, other), self._pass_on(other_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while some := await reader.read(1 << 16):
                writer.write(some)
        except ConnectionError:
            pass
        writer.close()


def says_production(file: Path, broker: RabbitMQAddress) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'[connections.prod]\nurl = "{broker.url}"\nguard = "publish"\nproduction = true\n')


@pytest.mark.parametrize("cut", [True, False])
async def test_a_tunnel_that_comes_to_lead_to_production_is_production(
    rabbitmq_3: RabbitMQAddress, rabbitmq_4: RabbitMQAddress, own_file: Path, cut: bool
) -> None:
    says_production(own_file, rabbitmq_4)
    tunnel = Tunnel(rabbitmq_3.url)
    async with tunnel.open() as port:
        management = quote(rabbitmq_3.management_url, safe="")
        given = Connection.parse(f"t=amqp://guest:guest@127.0.0.1:{port}?management={management}")
        given = msgspec.structs.replace(given, level=Level.MOVE)
        async with Session([given, "prod"], ConfigFile.read(own_path())) as session:
            await (await session.connector("prod")).endpoint(session.address("prod/exchange:amq.topic"))
            connector = await session.connector("t")
            async with connector.publisher():
                pass
            tunnel.to = rabbitmq_4.url
            if cut:
                tunnel.cut()
            # The first one may meet the other broker on a new connection, while that for questions is the old one.
            with pytest.raises(WorkbenchError, match=r"t led to .*, and leads to .* now|t is production"):
                async with connector.publisher():
                    pass
            with pytest.raises(GuardRefused, match="t is production"):
                async with connector.publisher():
                    pass


async def test_a_publish_does_not_go_on_at_a_broker_that_is_known_to_be_production_though_nodes_are_not_told(
    rabbitmq_3: RabbitMQAddress, rabbitmq_4: RabbitMQAddress, own_file: Path
) -> None:
    says_production(own_file, rabbitmq_4)
    here, there = Rabbit(rabbitmq_3, "/"), Rabbit(rabbitmq_4, "/")
    queue = there.queue()
    here.channel.queue_declare(queue.name)
    tunnel = Tunnel(rabbitmq_3.url)
    try:
        async with tunnel.open() as port:
            nobody = quote("http://127.0.0.1:1", safe="")
            given = Connection.parse(f"t=amqp://guest:guest@127.0.0.1:{port}?management={nobody}")
            given = msgspec.structs.replace(given, level=Level.MOVE)
            address = msgspec.structs.replace(queue, connection="t")
            async with Session([given, "prod"], ConfigFile.read(own_path())) as session:
                await (await session.connector("prod")).endpoint(session.address("prod/exchange:amq.topic"))
                connector = await session.connector("t")
                async with connector.publisher() as publisher:
                    receipts = aiter(publisher.receipts())
                    await publisher.send(address, [Event(body=b"1")])
                    assert [each.error for each in await anext(receipts)] == [None]
                    tunnel.to = rabbitmq_4.url
                    tunnel.cut()
                    with pytest.raises(WorkbenchError, match="t leads to the broker of prod now, which is production"):
                        await publisher.send(address, [Event(body=b"2")])
                        await publisher.finish()
                        for receipt in await anext(receipts):
                            assert receipt.error is not None
                            raise receipt.error
                with pytest.raises(GuardRefused, match="t is production"):
                    async with connector.publisher():
                        pass
        assert there.ready(queue) == 0
    finally:
        for each in (here, there):
            each.channel.queue_delete(queue.name)
            each.amqp.close()
            each.api.close()


async def test_what_was_planned_or_moved_through_a_tunnel_is_not_done_at_another_broker(
    rabbitmq_3: RabbitMQAddress, rabbitmq_4: RabbitMQAddress
) -> None:
    here = Rabbit(rabbitmq_3, "/")
    source, target = here.queue(), here.queue()
    try:
        here.publish(source, b"1", b"2")
        tunnel = Tunnel(rabbitmq_3.url)
        async with tunnel.open() as port:
            url = f"amqp://guest:guest@127.0.0.1:{port}"
            given = here.connection(url)
            async with Session([given]) as session:
                done = await make_plan(session, Wanted(source, target=target))
                assert (await carry_out(session, done)).moved == 2
                here.publish(source, b"3")
                plan = await make_plan(session, Wanted(source, target=target))
                begin(plan)
                tunnel.to = rabbitmq_4.url
                tunnel.cut()
            there = msgspec.structs.replace(given, options={"management": rabbitmq_4.management_url})
            async with Session([there]) as session:
                for refused in (
                    carry_out(session, msgspec.structs.replace(plan, id="0123456789ab")),
                    resume(session, find_journal(plan.id)),
                    plan_undo(session, find_journal(done.id)),
                ):
                    with pytest.raises(
                        Unsupported, match=r"rabbit leads to another broker now, rabbitmq \S+, and led to"
                    ):
                        await refused
            tunnel.to = rabbitmq_3.url
            async with Session([given]) as session:
                assert (await resume(session, find_journal(plan.id))).moved == 1
    finally:
        for queue in (source, target):
            here.channel.queue_delete(queue.name)
        here.amqp.close()
        here.api.close()


def begin(plan: Plan) -> None:
    """Leave a journal as of a program that died before it did anything."""
    encoded = msgspec.msgpack.encode(plan)
    operation = Operation(plan.id, "move", plan.made, "ann@here", plan.source, plan.identity, plan.title, encoded)
    Journal.create(operation).close()
