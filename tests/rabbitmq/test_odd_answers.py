"""What answers oddly, a management API behind a proxy or a broker that is none, hides no more than what is odd."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from connectors.rabbitmq import RabbitMQConnector
from tests.rabbitmq.conftest import Rabbit
from tests.rabbitmq.doing import publish, read
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.errors import ConnectorError, EndpointNotFound, Unsupported
from workbench.model.event import Event
from workbench.model.listing import Listing

Change = Callable[[str, bytes], tuple[int, bytes]]
"""Takes a path and the broker's answer to it; returns the status and the answer to give instead."""


@asynccontextmanager
async def proxied(rabbit: Rabbit, change: Change) -> AsyncIterator[RabbitMQConnector]:
    """A connector whose way to the broker's real management API leads through something that changes the answers."""
    async with httpx.AsyncClient(base_url=rabbit.broker.management_url, auth=("guest", "guest")) as api:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                request = await reader.readuntil(b"\r\n\r\n")
                path = request.split(b" ")[1].decode()
                status, body = change(path, (await api.get(path)).content)
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body)))
                writer.write(body)
                await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            management = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with RabbitMQConnector(rabbit.connection(management=management)) as connector:
                yield connector


async def listed(rabbit: Rabbit, change: Change) -> Listing[Endpoint]:
    """What there is, by such a way."""
    async with proxied(rabbit, change) as connector:
        found = await connector.endpoints()
    assert isinstance(found, Listing)
    return found


def first_queue(alter: Callable[[dict[str, Any]], Any]) -> Change:
    """Alters the first queue of the first page."""

    def change(path: str, body: bytes) -> tuple[int, bytes]:
        if not path.startswith("/api/queues"):
            return 200, body
        page = json.loads(body)
        page["items"][0] = alter(page["items"][0])
        return 200, json.dumps(page).encode()

    return change


@pytest.mark.parametrize(
    "odd",
    [
        {"messages_ready": "many"},
        {"arguments": None, "effective_policy_definition": None, "message_stats": None},
        {"consumers": None, "durable": None, "state": None},
        {"policy": 7, "exclusive": "owner", "message_stats": {"publish": "x", "ack_details": "y"}},
        {"consumers": [], "messages": {}},
        {"arguments": [[[[1]]]], "effective_policy_definition": "none"},
    ],
)
async def test_odd_field_of_a_queue_hides_nothing(rabbit: Rabbit, odd: dict[str, Any]) -> None:
    queues = {rabbit.queue(), rabbit.queue()}
    found = await listed(rabbit, first_queue(lambda queue: {**queue, **odd}))
    assert {endpoint.address for endpoint in found} >= queues
    assert found.gaps == ()


async def test_number_that_is_told_as_a_text_is_read(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    found = await listed(rabbit, first_queue(lambda told: {**told, "messages_ready": "5"}))
    assert {endpoint.depth for endpoint in found if endpoint.address == queue} == {5}


@pytest.mark.parametrize("odd", [None, 5, [], {}, {"name": None}, {"type": "classic"}, {"name": "", "type": 7}])
async def test_queue_that_cannot_be_read_is_said_and_hides_no_other(rabbit: Rabbit, odd: Any) -> None:
    queues = {rabbit.queue(), rabbit.queue()}
    found = await listed(rabbit, first_queue(lambda _: odd))
    assert len(queues & {endpoint.address for endpoint in found}) == 1
    assert [gap.what for gap in found.gaps] == ["queue"]


async def test_text_that_is_not_utf_8_is_one_fields(rabbit: Rabbit) -> None:
    queue = rabbit.queue()

    def change(path: str, body: bytes) -> tuple[int, bytes]:
        return 200, body.replace(b'"classic"', b'"classic\xff"') if path.startswith("/api/queues") else body

    found = await listed(rabbit, change)
    assert queue in {endpoint.address for endpoint in found}


@pytest.mark.parametrize("answer", [(200, b"<html>Please log in</html>"), (503, b"busy"), (200, b"null"), (200, b"")])
@pytest.mark.parametrize("part", ["queues", "exchanges", "bindings"])
async def test_part_that_cannot_be_asked_for_is_said_and_the_others_are_listed(
    rabbit: Rabbit, part: str, answer: tuple[int, bytes]
) -> None:
    queue, exchange = rabbit.queue(), rabbit.exchange("fanout")
    found = await listed(rabbit, lambda path, body: answer if path.startswith(f"/api/{part}") else (200, body))
    assert [gap.what for gap in found.gaps] == ["what is bound to what" if part == "bindings" else part]
    assert ({queue, exchange} & {endpoint.address for endpoint in found}) == {
        address for address, kind in ((queue, "queues"), (exchange, "exchanges")) if kind != part
    }


async def test_answer_without_an_end_is_not_read_to_it(rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.rabbitmq.topology.MOST_BYTES", 1_048_576)
    rabbit.queue()
    with pytest.raises(ConnectorError, match="more than 1 MB"):
        await listed(rabbit, lambda path, body: (200, b"[" * 2_000_000))


async def test_names_that_no_queue_can_have_are_said_and_cost_no_connection(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    rabbit.publish(queue, b"here")
    async with RabbitMQConnector(rabbit.connection()) as connector:
        for namespace in ("queue", "exchange"):
            for name in ("\udcff", "x" * 256, "\udcff\nx"):
                with pytest.raises(EndpointNotFound, match="There is no"):
                    await connector.endpoint(Address("rabbit", name, namespace))
        with pytest.raises(Unsupported, match="UTF-8"):
            async with connector.tail(rabbit.exchange("topic"), pattern="\udcff"):
                pass
        async with connector.browse(queue) as look:
            assert len(await read(look)) == 1


async def test_keys_that_are_not_utf_8_are_refused_alone_or_taken(rabbit: Rabbit) -> None:
    exchange, queue = rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(queue, exchange)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        receipts = await publish(connector, exchange, [Event(b"a", b"0"), Event(b"\xff\xfe", b"1"), Event(b"b", b"2")])
    assert [receipt.error is None for receipt in receipts][::2] == [True, True]
    assert not any(receipt.resent for receipt in receipts)
    assert rabbit.drain(queue, rabbit.ready(queue)) == [b"%d" % r.sequence for r in receipts if r.error is None]


def method(code: int, arguments: bytes) -> bytes:
    """A method frame on channel 0 of the class `connection`."""
    return struct.pack(">BHIHH", 1, 0, 4 + len(arguments), 10, code) + arguments + b"\xce"


def table(data: bytes) -> bytes:
    """A field table."""
    return struct.pack(">I", len(data)) + data


def start(mechanisms: bytes = b"PLAIN", properties: bytes = b"") -> bytes:
    """`connection.start`."""
    texts = b"".join(struct.pack(">I", len(text)) + text for text in (mechanisms, b"en_US"))
    return method(10, b"\x00\x09" + table(properties) + texts)


def close(code: int, text: bytes) -> bytes:
    """`connection.close`."""
    return method(50, struct.pack(">HB", code, len(text)) + text + bytes(4))


TUNE = method(30, struct.pack(">HIH", 2047, 131_072, 60))
SMALL = method(30, struct.pack(">HIH", 2047, 8, 60))
OPEN_OK = method(41, b"\x00")


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([b""], "does not speak AMQP"),
        ([start(b"EXTERNAL")], "lets nobody in by user name and password"),
        ([start(), b""], "refuses this user or password"),
        ([start(), close(403, b"ACCESS_REFUSED - no")], "refuses this user or password"),
        ([start(), close(541, b"INTERNAL_ERROR")], "541"),
        ([start(), close(320, b"CONNECTION_FORCED - going down")], "going down"),
        ([start(), close(320, b"CONNECTION_FORCED - \xff\xfe")], "closed the connection"),
        ([start(properties=b"\x07version?\x00")], "AMQP 0-9-1"),
        ([start(properties=b"\x07versionS\x00\x00\x00\x01\xb2"), TUNE, b""], "gave no reason"),
        ([start(), TUNE, close(530, b"NOT_ALLOWED - vhost x not found")], "no virtual host 'x'"),
        ([start(), SMALL, OPEN_OK], "AMQP 0-9-1"),
        ([start(), method(99, b"")], "AMQP 0-9-1"),
        ([start(), b"\x01\x00\x00\x7f\xff\xff\xff\x00"], "AMQP 0-9-1"),
    ],
)
async def test_broker_that_is_odd_or_leaves_while_it_is_greeted_is_one_sentence(
    answers: list[bytes], sentence: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in answers:
                if not await reader.read(65_536):
                    break
                writer.write(answer)
                await writer.drain()
            if answers[-1] and (b"\x00\x0a\x00\x32" in answers[-1] or answers[-1] == OPEN_OK):
                await reader.read()
        except OSError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectorError) as refused:
            async with asyncio.timeout(30), RabbitMQConnector(Connection.parse(f"amqp://guest:pw@127.0.0.1:{port}")):
                pass
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
