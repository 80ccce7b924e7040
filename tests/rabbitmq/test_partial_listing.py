"""A management API that does not tell everything, or tells of something oddly, hides nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from connectors.rabbitmq import RabbitMQConnector
from tests.rabbitmq.conftest import Rabbit
from workbench.model.errors import ConnectorError

Change = Callable[[str, Any], Any]


@asynccontextmanager
async def told_differently(rabbit: Rabbit, change: Change) -> AsyncIterator[RabbitMQConnector]:
    """A connector whose management API is the broker's, but for what `change` makes of an answer; None: status 500."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        async with httpx.AsyncClient(auth=("guest", "guest"), trust_env=False, timeout=60) as api:
            answer = change(path, (await api.get(f"{rabbit.broker.management_url}{path}")).json())
        body = json.dumps(answer).encode()
        status = b"500 Oh" if answer is None else b"200 OK"
        writer.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with RabbitMQConnector(rabbit.connection(management=url)) as connector:
            yield connector


async def test_one_odd_queue_hides_no_other(rabbit: Rabbit) -> None:
    odd, other = rabbit.queue(), rabbit.queue()

    def change(path: str, answer: Any) -> Any:
        if "/queues/" in path:
            for queue in answer["items"] if isinstance(answer, dict) and "items" in answer else answer:
                if queue["name"] == odd.name:
                    queue["consumers"] = {"odd": True}
                    queue["type"] = 7
        return answer

    async with told_differently(rabbit, change) as connector:
        listed = await connector.endpoints()
        assert [endpoint.address for endpoint in listed if endpoint.kind != "exchange"] == [other]
        assert [gap.what for gap in listed.gaps] == [f"queue {odd.name}"]
        assert (await connector.endpoint(other)).address == other


@pytest.mark.parametrize(
    ("missing", "what"),
    [("/queues/", "queues"), ("/exchanges/", "exchanges"), ("/bindings/", "what is bound to what")],
)
async def test_what_is_not_told_is_named(rabbit: Rabbit, missing: str, what: str) -> None:
    queue, exchange = rabbit.queue(), rabbit.exchange()
    async with told_differently(rabbit, lambda path, answer: None if missing in path else answer) as connector:
        listed = await connector.endpoints()
    left = {queue: "queues", exchange: "exchanges"}
    assert {endpoint.address for endpoint in listed} == {each for each, of in left.items() if of != what}
    [gap] = listed.gaps
    assert gap.what == what and "HTTP status 500" in gap.reason


async def test_nothing_told_at_all_is_an_error(rabbit: Rabbit) -> None:
    async with told_differently(rabbit, lambda path, answer: None) as connector:
        with pytest.raises(ConnectorError, match="Without it nothing can be listed"):
            await connector.endpoints()


@pytest.mark.parametrize("whole", [True, False])
async def test_many_queues_are_asked_for_at_once_or_else_page_by_page(rabbit: Rabbit, whole: bool) -> None:
    queues = [rabbit.queue() for _ in range(3)]
    asked = list[str]()

    def change(path: str, answer: Any) -> Any:
        if "/queues/" not in path:
            return answer
        asked.append(path)
        if "page=1" in path:
            return {**answer, "page_count": 7, "items": answer["items"][:1]}
        return answer if whole and "page" not in path else None

    async with told_differently(rabbit, change) as connector:
        listed = await connector.endpoints()
    named = sorted(each.address for each in listed if each.kind != "exchange")
    if whole:
        assert (named, listed.gaps, len(asked)) == (sorted(queues), (), 2)
    else:
        assert (named, len(asked)) == (sorted(queues)[:1], 3)
        assert [gap.what for gap in listed.gaps] == ["pages 2 to 7 of the queues"]
