"""A broker that offers less than Kafka does: a proxy in front of a real one, which answers ApiVersions with a table."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from tests.brokers.certificates import Certificates
from tests.brokers.kafka import KafkaAddress
from workbench.model.errors import unwrap_exception_group

PRODUCE, FETCH, METADATA, OFFSET_FETCH = 0, 1, 3, 9
DESCRIBE_GROUPS, LIST_GROUPS, API_VERSIONS, DESCRIBE_CONFIGS = 15, 16, 18, 32

EVENT_HUBS: Mapping[int, tuple[int, int]] = {
    PRODUCE: (0, 7),
    FETCH: (4, 6),
    2: (0, 7),
    METADATA: (0, 5),
    8: (0, 8),
    OFFSET_FETCH: (0, 8),
    10: (0, 4),
    11: (0, 7),
    12: (0, 4),
    13: (0, 4),
    14: (0, 5),
    DESCRIBE_GROUPS: (0, 5),
    LIST_GROUPS: (0, 4),
    17: (0, 1),
    API_VERSIONS: (0, 3),
    19: (0, 6),
    20: (0, 2),
    22: (0, 1),
    23: (0, 0),
    DESCRIBE_CONFIGS: (0, 2),
    36: (0, 1),
    37: (0, 1),
    42: (0, 1),
}
"""The first and the last version that Azure Event Hubs offers of each request, as users have published them
(https://github.com/aio-libs/aiokafka/issues/945)."""

_SIZE = struct.Struct(">i")
_NAME = struct.Struct(">h")
_HEAD = struct.Struct(">hhi")
_ROW = struct.Struct(">hhh")
_NOBODY = 1
"""A port where nobody listens."""

LARGEST_REQUEST = 1_046_528
"""Bytes of the largest request that Event Hubs takes; it closes the connection over a larger one
(https://learn.microsoft.com/azure/event-hubs/apache-kafka-configurations)."""


class NarrowBroker:
    """The proxy, while it runs.

    Attributes:
        bootstrap: Where it listens.
        asked: How often each version of each request came, by key and version.
        refused: What came and is not offered, or is too large: the connection was closed.
        connections: How many there were.
    """

    def __init__(
        self,
        target: str,
        offered: Mapping[int, tuple[int, int]],
        renamed: tuple[bytes, bytes] | None,
        absent: int | None,
        tls: ssl.SSLContext | None,
        largest: int | None,
    ) -> None:
        """See `narrow`."""
        self.lead_to(target)
        self._tls = tls
        self._largest = largest
        self._offered = offered
        self._renamed = renamed or (b"", b"")
        self._absent = absent
        self._port = 0
        self.asked = Counter[tuple[int, int]]()
        self.refused: list[tuple[int, int]] = []
        self.connections = 0
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._forgotten: set[asyncio.StreamWriter] = set()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"kafka://{self.bootstrap}"

    def lead_to(self, target: str) -> None:
        """Pass new connections on to another broker, as a tunnel may come to do."""
        host, _, port = target.rpartition(":")
        self._target = host, int(port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        broker_reader, broker_writer = await asyncio.open_connection(*self._target, ssl=self._tls)
        self.connections += 1
        self._open[broker_writer] = asyncio.current_task()
        waiting: dict[int, tuple[int, int]] = {}
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError), unwrap_exception_group():
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._requests(reader, broker_writer, waiting))
                    group.create_task(self._answers(broker_reader, writer, waiting))
        finally:
            for each in (writer, broker_writer):
                each.transport.abort()
                with suppress(OSError):
                    await each.wait_closed()
            del self._open[broker_writer]

    async def close(self) -> None:
        """End all connections."""
        tasks = [task for task in self._open.values() if task]
        for writer in self._open:
            writer.transport.abort()
        if tasks:
            await asyncio.wait(tasks)

    def forget(self) -> None:
        """Lose all connections that there are without a word, as a balancer of load does with idle ones: what comes
        over them is never answered."""
        self._forgotten |= self._open.keys()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: dict[int, tuple[int, int]]
    ) -> None:
        while True:
            request = await _frame(reader)
            key, version, correlation = _HEAD.unpack_from(request)
            if writer in self._forgotten:
                continue
            self.asked[key, version] += 1
            first, last = self._offered.get(key, (0, -1))
            if not first <= version <= last or (self._largest and _SIZE.size + len(request) > self._largest):
                self.refused.append((key, version))
                raise ConnectionResetError
            waiting[correlation] = key, version
            if self._renamed[1]:
                request = request.replace(self._renamed[1], self._renamed[0])
            writer.write(_SIZE.pack(len(request)) + request)
            await writer.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: dict[int, tuple[int, int]]
    ) -> None:
        while True:
            answer = await _frame(reader)
            (correlation,) = _SIZE.unpack_from(answer)
            key, version = waiting.pop(correlation)
            if key == API_VERSIONS:
                answer = answer[: _SIZE.size] + self._versions(version)
            elif key == METADATA:
                answer = _led_here(answer, version, self._port, self._absent)
            if self._renamed[0]:
                answer = answer.replace(*self._renamed)
            writer.write(_SIZE.pack(len(answer)) + answer)
            await writer.drain()

    def _versions(self, version: int) -> bytes:
        rows = [_ROW.pack(key, first, last) for key, (first, last) in self._offered.items()]
        if version >= 3:  # flexible: short counts, tags behind everything
            return b"\0\0" + bytes([len(rows) + 1]) + b"\0".join(rows) + b"\0" + bytes(4) + b"\0"
        return b"\0\0" + _SIZE.pack(len(rows)) + b"".join(rows) + (bytes(4) if version else b"")


@asynccontextmanager
async def narrow(
    target: str,
    offered: Mapping[int, tuple[int, int]] = EVENT_HUBS,
    renamed: tuple[bytes, bytes] | None = None,
    absent: int | None = None,
    certificates: Certificates | None = None,
    ca: str | None = None,
    largest: int | None = None,
) -> AsyncIterator[NarrowBroker]:
    """A broker that offers what a table says, and closes the connection on whatever exceeds it.

    Args:
        target: `host:port` of the real one, the only one of its cluster.
        offered: The first and the last version of each request, by key.
        renamed: A name that the real one knows, and the bytes of the same number that stand for it here: Kafka keeps no
            names that are not UTF-8, and others that speak its protocol do.
        absent: The id of a second broker of the cluster, which cannot be reached.
        certificates: What to show to clients; None: no TLS is spoken with them.
        ca: File of the authority of the real one's certificate; None: no TLS is spoken with it.
        largest: Bytes of the largest request that is taken; None: of any size.
    """
    outwards = ssl.create_default_context(cafile=ca) if ca else None
    inwards = None
    if certificates:
        inwards = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        inwards.load_cert_chain(certificates.server, certificates.server_key)
    broker = NarrowBroker(target, offered, renamed, absent, outwards, largest)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0, ssl=inwards)
    broker._port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        await broker.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = _SIZE.unpack(await reader.readexactly(_SIZE.size))
    return await reader.readexactly(size)


def _led_here(answer: bytes, version: int, port: int, absent: int | None) -> bytes:
    """Metadata with this port for each broker's, and perhaps with one broker more (https://kafka.apache.org/protocol#The_Messages_Metadata)."""
    changed = bytearray(answer)
    position = _SIZE.size + (_SIZE.size if version >= 3 else 0)
    (brokers,) = _SIZE.unpack_from(answer, position)
    if absent is not None:
        _SIZE.pack_into(changed, position, brokers + 1)
    position += _SIZE.size
    for _ in range(brokers):
        position += _SIZE.size  # its id
        position += _NAME.size + _NAME.unpack_from(answer, position)[0]
        _SIZE.pack_into(changed, position, port)
        position += _SIZE.size
        if version >= 1:
            position += _NAME.size + max(_NAME.unpack_from(answer, position)[0], 0)
    if absent is not None:
        host = b"127.0.0.1"
        changed[position:position] = (
            _SIZE.pack(absent)
            + (_NAME.pack(len(host)) + host + _SIZE.pack(_NOBODY))
            + (_NAME.pack(-1) if version >= 1 else b"")
        )
    return bytes(changed)


class EventHubs:
    """What there is of Event Hubs to test against: a real Kafka that lets in who has a connection string, behind a
    proxy with Event Hubs' versions and limits that speaks TLS.

    Attributes:
        broker: The proxy.
        kafka: The real one.
        connection_string: As the portal shows it, of this proxy.
        ca: File of the authority that signed its certificate.
    """

    def __init__(self, broker: NarrowBroker, kafka: KafkaAddress, ca: Path) -> None:
        self.broker = broker
        self.kafka = kafka
        self.ca = ca
        port = broker.bootstrap.rpartition(":")[2]
        self.connection_string = kafka.connection_string.replace("/;", f":{port}/;", 1)

    def url(self, hub: str = "", key: str | None = None) -> str:
        """A URL of the namespace, or of a hub of it."""
        said = dict(pair.split("=", 1) for pair in self.kafka.connection_string.split(";"))
        login = f"{said['SharedAccessKeyName']}:{quote(key or said['SharedAccessKey'], safe='')}"
        return f"eventhubs://{login}@{self.broker.bootstrap}{f'/{hub}' if hub else ''}?ca={self.ca}"


@asynccontextmanager
async def event_hubs(kafka: KafkaAddress, certificates: Certificates) -> AsyncIterator[EventHubs]:
    """Event Hubs, as far as a Kafka can be like it."""
    target = kafka.sasl_url.rpartition("@")[2]
    async with narrow(
        target, EVENT_HUBS, certificates=certificates, ca=kafka.ca_file, largest=LARGEST_REQUEST
    ) as broker:
        yield EventHubs(broker, kafka, certificates.ca)
