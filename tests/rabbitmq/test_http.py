"""A management API that is none sends whatever it likes; what of it is read stays small."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connectors.rabbitmq.settings import Access
from connectors.rabbitmq.topology import MOST_BYTES, Topology
from workbench.connecting.config import Connection
from workbench.model.errors import ConnectorError


@asynccontextmanager
async def answered(body: bytes, encoding: str) -> AsyncIterator[Topology]:
    """A management API that has one answer to everything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        place = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Topology(Access.read(Connection.parse(f"r=amqp://h?management={place}"))) as topology:
            yield topology


def bomb(unit: bytes, count: int) -> bytes:
    """So many repetitions, compressed as gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = unit * 100_000
    return b"".join([packer.compress(b"["), *(packer.compress(block) for _ in range(count // 100_000)), packer.flush()])


@pytest.mark.parametrize(
    ("body", "encoding", "sentence"),
    [
        (bomb(b"          ", 100_000_000), "gzip", "more than 64 MB"),
        (bomb(b"0,", 20_000_000), "gzip", "more than 4,000,000 values"),
        (b"[]", "br", "cannot be decompressed"),
        (b"no gzip", "gzip", "cannot be decompressed"),
        (gzip.compress(b'[{"name": "q"}]')[:-12], "gzip", "is no RabbitMQ management API"),
    ],
    ids=["spaces", "values", "another encoding", "no gzip", "cut short"],
)
async def test_what_is_compressed_stays_small(body: bytes, encoding: str, sentence: str) -> None:
    assert len(body) < 1_100_000
    async with answered(body, encoding) as topology:
        tracemalloc.start()
        try:
            with pytest.raises(ConnectorError, match=sentence):
                await topology.settings()
            assert tracemalloc.get_traced_memory()[1] < 3 * MOST_BYTES
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_an_answer_is_read_compressed_or_not(encoding: str) -> None:
    body = b'[{"name": "orders", "type": "classic"}]'
    async with answered(gzip.compress(body) if encoding == "gzip" else body, encoding) as topology:
        assert [queue.name for queue in await topology.settings()] == ["orders"]
