"""The steps on the way into a Kafka cluster, each tried by itself."""

from collections.abc import AsyncIterator

import msgspec

from connectors.kafka.cluster import Cluster
from connectors.kafka.permissions import permissions
from connectors.kafka.settings import Settings
from workbench.connecting.check import Step, network, not_tried, step
from workbench.model.wording import quantity


async def check(settings: Settings) -> AsyncIterator[Step]:
    """Name, port and TLS of the first brokers; then logging in and permissions; then the addresses that the brokers
    advertise."""
    login = f"Kafka {settings.who or 'without a user'}"
    reachable = False
    for host, port in settings.hosts:
        failed = False
        async for tried in network(host, port, settings.context()):
            yield tried
            failed = failed or tried.error is not None
        reachable = reachable or not failed
    if not reachable:
        yield not_tried(login)
        return
    cluster = Cluster(settings)
    try:
        entered = await step(login, lambda: _enter(cluster))
        yield entered
        if entered.error:
            return
        yield await step("permissions", lambda: permissions(cluster))
        for node, place in cluster.places.items():
            if place not in settings.hosts:
                async for tried in network(*place, settings.context()):
                    yield msgspec.structs.replace(tried, name=f"advertised by broker {node}: {tried.name}")
    finally:
        await cluster.close()


async def _enter(cluster: Cluster) -> str:
    topics = await cluster.visible_topics()
    return f"{quantity(len(cluster.places), 'broker')}, {quantity(len(topics), 'topic')}"
