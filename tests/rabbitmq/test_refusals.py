"""What goes wrong on the way in is one sentence that says what to do, without a credential, and changes nothing."""

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from pika import exceptions, spec
from pika.frame import Method

from connectors.rabbitmq import RabbitMQConnector
from connectors.rabbitmq.errors import refusal as refused
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import INSTALLED, run
from tests.rabbitmq.conftest import Rabbit, eventually, new_vhost
from tests.rabbitmq.doing import bodies, browse, numbered, publish_all, read
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.errors import (
    AccessRefused,
    ConfigError,
    ConnectionLost,
    ConnectorError,
    EndpointNotFound,
    Unsupported,
    WorkbenchError,
)

SECRET = "s3cret-word"


async def refusal(connection: Connection, kind: type[WorkbenchError], listing: bool = False) -> str:
    """The sentence with which a connection is refused."""
    with pytest.raises(kind) as refused:
        async with asyncio.timeout(30), RabbitMQConnector(connection) as connector:
            if listing:
                await connector.endpoints()
    sentence = str(refused.value)
    assert SECRET not in sentence
    assert "\n" not in sentence
    assert sentence[-1] in ".?"
    return sentence


@asynccontextmanager
async def answering(answer: Callable[[bytes], bytes], tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A port that answers the first bytes it gets, whatever they are."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(answer(await reader.read(65_536)))
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_nobody_listens() -> None:
    sentence = await refusal(Connection.parse(f"amqp://guest:{SECRET}@127.0.0.1:1"), ConnectionLost)
    assert sentence.startswith("Nobody listens at 127.0.0.1:1")


async def test_host_that_does_not_exist() -> None:
    await refusal(Connection.parse(f"amqp://guest:{SECRET}@nowhere.invalid"), ConnectionLost)


async def test_wrong_password(rabbit: Rabbit) -> None:
    sentence = await refusal(rabbit.connection(rabbit.url.replace("guest:guest", f"guest:{SECRET}")), AccessRefused)
    assert "refuses this user or password" in sentence


async def test_virtual_host_that_does_not_exist(rabbit: Rabbit) -> None:
    sentence = await refusal(rabbit.connection(f"{rabbit.broker.url}/nowhere"), EndpointNotFound)
    assert "no virtual host 'nowhere'" in sentence


async def test_virtual_host_that_this_user_may_not_enter(rabbit: Rabbit) -> None:
    sentence = await refusal(rabbit.connection(rabbit.url.replace("guest:guest", "reader:reader")), AccessRefused)
    assert "'reader'" in sentence


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"AMQP\x00\x01\x00\x00", b"\x01", b""])
async def test_what_answers_is_no_broker(answer: bytes) -> None:
    async with answering(lambda _: answer) as port:
        await refusal(Connection.parse(f"amqp://guest:{SECRET}@127.0.0.1:{port}"), ConnectorError)


async def test_certificate_of_an_unknown_authority(rabbit: Rabbit) -> None:
    sentence = await refusal(rabbit.connection(f"{rabbit.broker.tls_url}/"), ConnectionLost)
    assert "certificate" in sentence


async def test_expired_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    first, last = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)
    expired = authority.issue_cert("127.0.0.1", not_before=first, not_after=last)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    expired.configure_cert(context)
    async with answering(lambda _: b"", context) as port:
        url = f"amqps://guest:{SECRET}@127.0.0.1:{port}?ca={tmp_path / 'ca.pem'}"
        assert "expired" in await refusal(Connection.parse(url), ConnectionLost)


@contextmanager
def objecting(tls: ssl.SSLContext) -> Iterator[int]:
    """A port that speaks TLS and says what it objects to, as brokers do; asyncio's servers hang up without a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    accepted, _ = server.accept()
                    with accepted, suppress(OSError), tls.wrap_socket(accepted, server_side=True) as secured:
                        secured.recv(1)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield server.getsockname()[1]
        # What is accepted last ends the loop.
        server.shutdown(socket.SHUT_RDWR)
        serving.join()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """One that a server trusts, in `ca.pem`; clients have `good.pem`, `expired.pem` and `foreign.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    first, last = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)
    issued = {
        "good": authority.issue_cert("alice@example.org"),
        "expired": authority.issue_cert("alice@example.org", not_before=first, not_after=last),
        "foreign": trustme.CA().issue_cert("alice@example.org"),
    }
    for name, each in issued.items():
        each.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / f"{name}.pem"))
    return authority


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
@pytest.mark.parametrize(
    ("client", "host", "said"),
    [
        ("", "127.0.0.1", "client certificate"),
        ("expired", "127.0.0.1", "client certificate has expired"),
        ("foreign", "127.0.0.1", "does not know the authority of the client certificate"),
        ("good", "localhost", "is for another host"),
    ],
)
async def test_a_certificate_that_lacks_or_is_the_wrong_one(
    authority: trustme.CA, tmp_path: Path, client: str, host: str, said: str, newest: ssl.TLSVersion
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = newest
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with objecting(context) as port:
        certificate = f"&cert={tmp_path / client}.pem" if client else ""
        url = f"amqps://guest:{SECRET}@{host}:{port}?ca={tmp_path / 'ca.pem'}{certificate}"
        sentence = await refusal(Connection.parse(f"r={url}"), ConnectionLost)
        async with asyncio.timeout(30):
            connector = RabbitMQConnector(Connection.parse(f"r={url}"))
            [failed] = [step async for step in connector.check() if step.error and step.name.startswith("TLS")]
    assert said in sentence and said in (failed.error or "")
    assert ".." not in sentence and "()" not in sentence


async def test_what_a_broker_offers_that_takes_no_password() -> None:
    start = spec.Connection.Start(server_properties={}, mechanisms=b"EXTERNAL AMQPLAIN", locales=b"en_US")
    frame = Method(0, start).marshal()
    async with answering(lambda _: frame) as port:
        sentence = await refusal(Connection.parse(f"amqp://guest:{SECRET}@127.0.0.1:{port}"), AccessRefused)
    assert sentence.endswith("lets nobody in by user name and password (PLAIN). It offers EXTERNAL, AMQPLAIN.")


async def test_plain_amqp_at_a_tls_port(rabbit: Rabbit) -> None:
    await refusal(rabbit.connection(rabbit.broker.tls_url.replace("amqps", "amqp")), ConnectionLost)


async def test_tls_at_a_plain_port(rabbit: Rabbit) -> None:
    assert "TLS" in await refusal(rabbit.connection(rabbit.broker.url.replace("amqp", "amqps", 1)), ConnectionLost)


async def test_tls_with_a_client_certificate_works(rabbit: Rabbit) -> None:
    files = {"ca": rabbit.broker.ca_file, "cert": rabbit.broker.client_cert, "key": rabbit.broker.client_key}
    url = rabbit.url.replace(rabbit.broker.url, rabbit.broker.tls_url)
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection(url, **files)) as connector:
        await publish_all(connector, queue, numbered(2_000))
        assert bodies(await browse(connector, queue)) == bodies(numbered(2_000))


@pytest.mark.parametrize(
    "options",
    [
        "ca=/does/not/exist",
        "cert=/does/not/exist",
        "key=/dev/null",
        "management=nonsense",
        "management=ftp://x",
        "management=http://a:1,http://b:2",
        "management=http://a,http://b",
        "nope=1",
    ],
)
def test_option_that_cannot_be_used(options: str) -> None:
    with pytest.raises(ConfigError) as refused:
        RabbitMQConnector(Connection.parse(f"amqps://guest:{SECRET}@localhost?{options}"))
    assert SECRET not in str(refused.value)


async def test_management_api_that_nobody_answers_at(rabbit: Rabbit) -> None:
    connection = rabbit.connection(management="http://127.0.0.1:1")
    sentence = await refusal(connection, ConnectorError, listing=True)
    assert "Nobody listens at the management API at http://127.0.0.1:1" in sentence
    assert "that you name work" in sentence


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "403 Forbidden", "500 Oops", "200 OK"])
async def test_management_api_that_answers_something_else(rabbit: Rabbit, status: str) -> None:
    answer = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<garbage>"
    async with answering(lambda _: answer.encode()) as port:
        management = f"http://guest:{SECRET}@127.0.0.1:{port}"
        await refusal(rabbit.connection(management=management), ConnectorError, listing=True)


def unmanaged(rabbit: Rabbit, url: str = "") -> RabbitMQConnector:
    """A connector that reaches no management API."""
    return RabbitMQConnector(rabbit.connection(url, management="http://127.0.0.1:1"))


async def test_named_queues_work_without_the_management_api(rabbit: Rabbit) -> None:
    queue, exchange = rabbit.queue("quorum"), rabbit.exchange("fanout")
    rabbit.bind(queue, exchange)
    async with unmanaged(rabbit) as connector:
        await publish_all(connector, exchange, numbered(100))
        async with connector.browse(queue) as stream:
            seen = [delivery async for batch in stream for delivery in batch]
        assert bodies(seen) == bodies(numbered(100))
        assert "policies were not known" in str(stream.coverage)
        with pytest.raises(Unsupported, match="without knowing its bindings"):
            async with connector.tail(queue):
                pass
        with pytest.raises(EndpointNotFound):
            await connector.endpoint(Address("rabbit", "missing"))


async def test_kind_of_a_queue_is_known_without_the_management_api(rabbit: Rabbit) -> None:
    settings: dict[str, Any] = {"x_dead_letter_exchange": "it's", "x_expires": 1_000_000, "x_max_length_bytes": 10**9}
    rabbit.channel.queue_declare("plain", durable=True)
    rabbit.channel.queue_declare("passing", auto_delete=True)
    kinds = {
        Address("rabbit", "plain"): "classic queue",
        Address("rabbit", "passing"): "classic queue",
        rabbit.queue(): "classic queue",
        rabbit.queue(x_max_priority=3, x_single_active_consumer=True, **settings): "classic queue",
        rabbit.queue("quorum"): "quorum queue",
        rabbit.queue("quorum", x_delivery_limit=3, x_dead_letter_routing_key="'", **settings): "quorum queue",
        rabbit.queue("stream"): "stream",
        rabbit.queue("stream", x_max_age="7D", x_max_length_bytes=10**9): "stream",
    }
    before = rabbit.names()
    async with unmanaged(rabbit) as connector:
        assert {address: (await connector.endpoint(address)).kind for address in kinds} == kinds
        with pytest.raises(EndpointNotFound):
            await connector.endpoint(Address("rabbit", "missing"))
    assert rabbit.names() == before


async def test_stream_is_read_without_the_management_api(rabbit: Rabbit) -> None:
    stream = rabbit.queue("stream")
    async with unmanaged(rabbit) as connector:
        await publish_all(connector, stream, numbered(50))
        assert (await connector.endpoint(stream)).depth == 50
        assert bodies(await browse(connector, stream)) == bodies(numbered(50))
        async with connector.tail(stream) as tail:
            await publish_all(connector, stream, numbered(10, begin=50))
            assert bodies(await read(tail, 10)) == bodies(numbered(10, begin=50))


def unconfiguring(rabbit: Rabbit) -> RabbitMQConnector:
    """A connector that cannot learn of what kind a queue is."""
    rights = {"configure": "", "write": ".*", "read": ".*"}
    vhost = rabbit.vhost.replace("/", "%2F")
    rabbit.api.put(f"/api/permissions/{vhost}/reader", json=rights).raise_for_status()
    return unmanaged(rabbit, rabbit.url.replace("guest:guest", "reader:reader"))


async def test_where_the_kind_cannot_be_known_a_stream_that_looks_empty_is_said(rabbit: Rabbit) -> None:
    stream = rabbit.queue("stream")
    async with unconfiguring(rabbit) as connector:
        async with connector.browse(stream) as look:
            assert await read(look) == []
        assert "of what kind this queue is was not known, and a stream would look empty" in str(look.coverage)


async def test_where_the_kind_cannot_be_known_a_stream_that_looks_full_is_refused(rabbit: Rabbit) -> None:
    stream = rabbit.queue("stream")
    rabbit.publish(stream, b"one")

    async def counted() -> bool:
        return rabbit.ready(stream) == 1

    # A stream's messages are counted every few seconds, and it looks empty until then.
    await eventually(counted)
    async with unconfiguring(rabbit) as connector:
        with pytest.raises(Unsupported, match="is a stream: to read it as one takes the management API"):
            await browse(connector, stream)


async def test_user_without_permission_for_this_queue(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    rabbit.publish(queue, b"one")
    vhost = rabbit.vhost.replace("/", "%2F")
    rights = {"configure": "", "write": "", "read": "^other$"}
    rabbit.api.put(f"/api/permissions/{vhost}/reader", json=rights).raise_for_status()
    async with RabbitMQConnector(rabbit.connection(rabbit.url.replace("guest:guest", "reader:reader"))) as connector:
        with pytest.raises(AccessRefused, match=queue.name):
            await browse(connector, queue)
    message: Any = rabbit.channel.basic_get(queue.name)
    assert message[0].redelivered is False


def test_more_connections_than_the_process_may_have_is_a_sentence(rabbitmq_4: RabbitMQAddress) -> None:
    rabbit = new_vhost(rabbitmq_4)
    exchange = rabbit.exchange().name
    url = f"rabbit={rabbit.url}?management={rabbit.broker.management_url}"
    # Tails of one connection share what they open.
    many = [part for number in range(16) for part in ("-c", f"{number}{url}")]
    exchanges = [f"{number}rabbit/exchange:{exchange}" for number in range(16)]
    # Bash sets both limits: the program cannot allow itself more.
    done = run("bash", "-c", 'ulimit -n 32 && exec "$@"', "bash", str(INSTALLED), "tail", *many, *exchanges)
    assert (done.code, done.out) == (1, "")
    assert re.search(r": This program may have no more than 32 files and connections open: allow more", done.err)
    # What the shell begins with is not the limit: it may be raised.
    one = ('ulimit -S -n 12 && exec "$@"', "bash", str(INSTALLED), "ls", "-c", url)
    assert run("bash", "-c", *one).code == 0
    rabbit.remove()


@pytest.mark.parametrize("code", [320, 402, 541])
def test_a_password_that_a_broker_repeats_is_not_told(code: int) -> None:
    own = Connection.parse(f"amqp://guest:{SECRET}@localhost")
    repeated = exceptions.ConnectionClosedByBroker(code, f"NOT_ALLOWED - {own.user} with {SECRET} is refused")
    assert "guest with … is refused" in str(refused(repeated, "localhost:5672"))
    # Where it is its user's name, that is shown all the same.
    Connection.parse("amqp://guest:guest@localhost")
    repeated = exceptions.ConnectionClosedByBroker(403, "ACCESS_REFUSED - access refused for user 'guest'")
    assert str(refused(repeated, "localhost:5672")) == "localhost:5672: access refused for user 'guest'."
