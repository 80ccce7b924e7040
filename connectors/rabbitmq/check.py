"""The steps on the way into a RabbitMQ, each tried by itself."""

import uuid
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from connectors.rabbitmq.client import Client
from connectors.rabbitmq.settings import Access
from connectors.rabbitmq.taps import PERMISSIONS, PREFIX, declare
from connectors.rabbitmq.topology import Topology
from workbench.connecting.check import Step, network, not_tried, step
from workbench.model.errors import AccessRefused
from workbench.model.wording import quantity


async def check(access: Access) -> AsyncIterator[Step]:
    """Name, port and TLS of each node; then logging in and permissions; then the management API. What is pointless is
    not tried."""
    login, management = f"AMQP {access.user} at vhost {access.vhost}", f"management {access.management_user}"
    reachable = False
    for host, port in access.hosts:
        failed = False
        async for tried in network(host, port, access.tls):
            yield tried
            failed = failed or tried.error is not None
        reachable = reachable or not failed
    if not reachable:
        yield not_tried(login)
        yield not_tried(management)
        return
    entered = await step(login, lambda: _enter(access))
    yield entered
    if entered.error:
        yield not_tried(management)
        return
    yield await step("permissions", lambda: _try_tap(access))
    reachable = False
    for url in access.management:
        parts = urlsplit(url)
        place = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        failed = False
        async for tried in network(*place, access.management_tls):
            if tried.error or not tried.name.startswith("DNS"):
                yield tried
            failed = failed or tried.error is not None
        reachable = reachable or not failed
    if not reachable:
        yield not_tried(management)
        return
    yield await step(management, lambda: _ask_management(access))


async def _enter(access: Access) -> str:
    async with await Client.open(access) as client:
        return f"RabbitMQ {'.'.join(map(str, client.version))}"


async def _try_tap(access: Access) -> str:
    """Make the queues that a tap needs, which go with their connection: no broker tells a user what it may do."""
    async with await Client.open(access) as client:
        try:
            await declare(await client.channel(), f"{PREFIX}{uuid.uuid4().hex}")
        except AccessRefused:
            return f"may not tap queues and exchanges: {PERMISSIONS}"
    return "may tap queues and exchanges"


async def _ask_management(access: Access) -> str:
    async with Topology(access) as topology:
        return quantity(len(await topology.queues()), "queue")
