"""RabbitMQ behind the connector protocol."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar, Self, TypeVar

from connectors.rabbitmq import endpoints, routing, streams, taps
from connectors.rabbitmq.check import check
from connectors.rabbitmq.claims import QueueClaims
from connectors.rabbitmq.client import Client
from connectors.rabbitmq.delivery_counts import Counted
from connectors.rabbitmq.outgoing_message import PREAMBLE
from connectors.rabbitmq.publisher import ExchangePublisher
from connectors.rabbitmq.queue_browse import QueueLook
from connectors.rabbitmq.queue_counts import count
from connectors.rabbitmq.queue_type import kind_of
from connectors.rabbitmq.reconnecting import Following
from connectors.rabbitmq.requeue_to_tail import Rescue
from connectors.rabbitmq.settings import KNOWN, Access, logins
from connectors.rabbitmq.shared import Opener, SharedClients
from connectors.rabbitmq.shovel import Shovelling
from connectors.rabbitmq.topology import Binding, Topology
from workbench.connecting.check import Step
from workbench.connecting.config import Connection
from workbench.connecting.connector import Claims, Publisher, Purpose, Stream
from workbench.connecting.hosts import is_loopback
from workbench.connecting.identity import BrokerIdentity
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConnectorError, EndpointNotFound, Unsupported, WorkbenchError
from workbench.model.event import Event
from workbench.model.listing import Listing
from workbench.model.look import Gap
from workbench.model.route import Route
from workbench.model.start import Latest, Start, check_start
from workbench.model.target_rules import Rules

T = TypeVar("T")


class RabbitMQConnector:
    """One virtual host of a RabbitMQ broker. Every look and every publisher has an AMQP connection of its own, so that
    none slows or ends another; tails, of which there may be hundreds, share one."""

    options: ClassVar = KNOWN
    """Those that its URL may have."""
    logins = staticmethod(logins)

    def __init__(self, connection: Connection) -> None:
        self._access = Access.read(connection)
        self._topology = Topology(self._access)
        self._counted = Counted()
        self._claims: dict[Address, list[QueueClaims]] = {}
        self._tailing = SharedClients()
        self._asking: Client
        self._node: str | None = None
        self._nodes = frozenset[str]()
        self._told: str | None = None
        self.recognise: Callable[[BrokerIdentity], None] = lambda identity: None
        """Refuses a broker: see `workbench.connecting.connector.RecognisingConnector`."""
        self._replaced = 0
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._topology)
            self._asking = await Client.open(self._access)
            opening.push_async_callback(self._end)
            self._open = opening.pop_all()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._open.aclose()

    async def _end(self) -> None:
        await self._asking.close()

    async def _ask(self) -> Client:
        """The connection for questions; a broken one is replaced."""
        if (lost := self._asking).lost:
            client = await Client.open(self._access)
            if self._asking is not lost:
                # Somebody who asks at the same time was faster.
                await client.close()
            else:
                self._asking, self._node = client, None
                self._replaced += 1
        return self._asking

    def _opener(self, patient: bool = False) -> Opener:
        """What opens connections to the broker that a guard was told of, and to no other: a tunnel may lead elsewhere
        by now.

        Args:
            patient: Whether they wait for a broker that blocks its publishers: see `Client.open`.
        """
        wanted = self._asking.cluster_name if self._told is None else self._told
        nodes = self._nodes

        def check_broker(client: Client) -> None:
            name = client.cluster_name
            # Nodes of a cluster without a name differ in theirs; which they are is not told to everybody.
            is_node = ("@" in name and "@" in wanted) and (not nodes or _is_of_node(name, nodes))
            if name != wanted and not is_node:
                raise ConnectorError(f"{self._access.name} led to {wanted}, and leads to {name} now.")
            if name != wanted and not nodes:
                self.recognise(BrokerIdentity(f"rabbitmq {name}"))

        async def connect() -> Client:
            client = await (Client.open(self._access, None) if patient else Client.open(self._access))
            try:
                check_broker(client)
            except WorkbenchError:
                await client.close()
                if self._asking.cluster_name == wanted:
                    # The next question is for the broker that is there now.
                    await self._asking.close()
                raise
            return client

        return Opener(connect, check_broker)

    @property
    def losses(self) -> int:
        """How often the connection for questions was lost: see `workbench.connecting.connector.LastingConnector`."""
        return self._replaced + self._asking.lost

    def check(self) -> AsyncIterator[Step]:
        """Try each step: names, ports, TLS, logging in, and the management API."""
        return check(self._access)

    def description(self) -> str:
        """RabbitMQ and its version."""
        return " ".join(filter(None, ("RabbitMQ", ".".join(map(str, self._asking.version)))))

    async def identity(self) -> BrokerIdentity:
        """The cluster's name, and the machine of its node: see `IdentifiedConnector`."""
        name = self._told = (await self._ask()).cluster_name
        if self._node is None:
            # Where nobody has named a cluster, each of its nodes calls it by its own name.
            self._nodes = await self._topology.nodes() if "@" in name else frozenset()
            self._node = name if "@" in name else await self._topology.node()
        node, nodes = self._node, self._nodes
        id = min(nodes) if len(nodes) > 1 else name
        hosts = (node.rpartition("@")[2],) if node else ()
        also = tuple(f"rabbitmq {each}" for each in sorted({name, *nodes}) if len(nodes) > 1)
        return BrokerIdentity(f"rabbitmq {id}" if id else "", hosts, also, sure=bool(nodes) or "@" not in name)

    async def endpoints(self) -> Listing[Endpoint]:
        """All queues, streams and exchanges: see `workbench.connecting.connector.Connector`."""
        queues, no_queues = await _as_far_as_told(self._topology.queues(), "queues")
        exchanges, no_exchanges = await _as_far_as_told(self._topology.exchanges(), "exchanges")
        if no_queues is not None and no_exchanges is not None:
            raise type(no_queues)(
                f"{no_queues} Without it nothing can be listed, but queues and exchanges that you name work."
            )
        bindings, _ = await _as_far_as_told(self._topology.bindings(), "what is bound to what")
        tracing = await self._topology.tracing()
        types = {exchange.name: exchange.type for exchange in exchanges}
        tappable = {
            binding.destination
            for binding in bindings
            if binding.destination_type == "queue" and binding.source and types.get(binding.source) in taps.TAPPABLE
        }
        used = {binding.source for binding in bindings}
        version = (await self._ask()).version
        found = [
            self._counted.annotate(
                endpoints.of_queue(queue, self._access.name, tracing or queue.name in tappable, version)
            )
            for queue in queues
            if not queue.name.startswith(taps.PREFIX)
        ]
        found += [
            endpoints.of_exchange(exchange, self._access.name)
            for exchange in exchanges
            if exchange.name
            and not exchange.internal
            and (not exchange.name.startswith("amq.") or exchange.name in used)
        ]
        return Listing(endpoints.link_dead_letters(found, bindings), (*queues.gaps, *exchanges.gaps, *bindings.gaps))

    async def endpoint(self, address: Address) -> Endpoint:
        """One queue, stream or exchange: see `workbench.connecting.connector.Connector`."""
        endpoint = self._counted.annotate(await self._endpoint(address))
        try:
            queues = await self._topology.settings()
            bindings = await self._topology.bindings()
        except ConnectorError:
            return endpoint
        others = [endpoints.of_queue(queue, self._access.name, False, ()) for queue in queues]
        others = [other for other in others if other.address != address]
        return next(
            found for found in endpoints.link_dead_letters([endpoint, *others], bindings) if found.address == address
        )

    async def recount(self, queues: Sequence[Endpoint]) -> Sequence[Endpoint | ConnectorError]:
        """How much queues hold now, which the management API tells late: see `RecountConnector`."""
        try:
            counts = await count(await self._ask(), [each.address.name for each in queues])
        except ConnectorError as error:
            counts = [error] * len(queues)
        return [endpoints.recounted(queue, answer) for queue, answer in zip(queues, counts, strict=True)]

    async def rules(self, address: Address) -> Rules:
        """What a queue, stream or exchange can hold: see `workbench.connecting.connector.Connector`."""
        endpoint = await self._endpoint(address, ask_for_taps=False)
        endpoints.check_works(endpoint)
        client = await self._ask()
        return endpoints.rules(endpoint, client.version, client.frame_max - PREAMBLE, self._access.user)

    async def route(self, address: Address, event: Event) -> Route:
        """Who gets a message, as far as the management API tells: see `RoutingConnector`."""
        return await routing.route(self._topology, address, event)

    async def _endpoint(self, address: Address, ask_for_taps: bool = True) -> Endpoint:
        """The same without what dead-letters to it, which takes a look at all queues; and, where that does not matter,
        without asking whether a queue can be tapped, which is two requests more."""
        client = await self._ask()
        ready, consumers = await self._exists(client, address)
        try:
            if address.namespace == "exchange":
                return endpoints.of_exchange(await self._topology.exchange(address.name), self._access.name)
            queue = await self._topology.queue(address.name)
            tappable = ask_for_taps and await self._tappable(address)
        except ConnectorError as error:
            kind = await kind_of(client, address.name) if address.namespace == "queue" else None
            if kind == "stream":
                ready = await streams.depth(client, address.name)
            return endpoints.amqp_only_endpoint(address, str(error), client.version, kind, ready, consumers)
        if queue.type == "stream":
            ready = await streams.depth(client, address.name)
        return endpoints.of_queue(queue, self._access.name, tappable, client.version, ready, consumers)

    async def _tappable(self, queue: Address) -> bool:
        bindings = await self._topology.bindings_to(queue.name)
        types = await self._types(bindings)
        return await self._topology.tracing() or any(
            types.get(binding.source) in taps.TAPPABLE for binding in bindings if binding.source
        )

    async def _exists(self, client: Client, address: Address) -> tuple[int, int]:
        """Ready messages and consumers, of a queue.

        Raises:
            EndpointNotFound: There is no such queue or exchange.
        """
        channel = await client.channel()
        try:
            if address.namespace == "queue":
                return await channel.count(address.name)
            if address.name:
                await channel.exists(address.name)
            return 0, 0
        except EndpointNotFound:
            raise EndpointNotFound(
                f"There is no {_words_for(address)} in the virtual host {self._access.vhost!r}."
            ) from None
        finally:
            await channel.close()

    async def _types(self, bindings: Sequence[Binding]) -> dict[str, str]:
        sources = {binding.source for binding in bindings if binding.source}
        return {name: (await self._topology.exchange(name)).type for name in sorted(sources)}

    @asynccontextmanager
    async def browse(
        self, address: Address, start: Start | None = None, limit: int | None = None, force: bool = False
    ) -> AsyncIterator[Stream]:
        """Show what is there: see `workbench.connecting.connector.Connector`."""
        endpoint = await self._endpoint(address, ask_for_taps=False)
        if Ability.BROWSE not in endpoint.abilities:
            raise Unsupported(endpoints.why_not(endpoint, Ability.BROWSE))
        if start is not None and endpoints.UNKNOWN in endpoint.detail:
            raise Unsupported(
                f"{address} may be a queue, in which you cannot choose where reading begins: to know that it is a"
                " stream takes the management API, or the right to configure it."
            )
        endpoints.check_works(endpoint)
        check_start(endpoint, start)
        async with await self._opener().open() as client:
            if endpoint.kind == "stream":
                yield await streams.browse(client, address, start, limit)
            else:
                look = QueueLook(client, endpoint, limit, force, self._rescue(client, endpoint))
                await look.open()
                try:
                    yield look
                finally:
                    await look.close()
                    self._counted.note(address, look.used, endpoint.depth or 0)

    def _rescue(self, client: Client, endpoint: Endpoint) -> Rescue:
        return Rescue(client, endpoint.address, self._access.user, endpoints.UNKNOWN not in endpoint.detail)

    @asynccontextmanager
    async def claim(self, address: Address, purpose: Purpose, limit: int | None = None) -> AsyncIterator[Claims]:
        """Hold messages of a queue, for either purpose: see `workbench.connecting.connector.Connector`."""
        endpoint = await self._endpoint(address, ask_for_taps=False)
        if Ability.CLAIM not in endpoint.abilities:
            raise Unsupported(endpoints.why_not(endpoint, Ability.CLAIM))
        endpoints.check_works(endpoint)
        async with await self._opener().open() as client:
            claims = QueueClaims(client, endpoint, limit, self._rescue(client, endpoint))
            await claims.open()
            open_claims = self._claims.setdefault(address, [])
            open_claims.append(claims)
            try:
                yield claims
            finally:
                last = open_claims[-1]
                open_claims.remove(claims)
                await claims.prepare_to_close(last)
                await claims.close()
                self._counted.note(address, claims.used, (endpoint.depth or 0) - claims.settled)

    @asynccontextmanager
    async def transfer(self, source: Address, target: Address, count: int) -> AsyncIterator[Shovelling]:
        """Have a shovel move messages of a queue: see `workbench.connecting.connector.TransferConnector`."""
        client = await self._ask()
        named, nodes = await self._topology.cluster_name(), await self._topology.nodes()
        is_other = named != client.cluster_name and not _is_of_node(client.cluster_name, nodes)
        if named and client.cluster_name and is_other:
            raise Unsupported(f"{self._access.name}: management= is of {named}, and AMQP of {client.cluster_name}.")
        async with Shovelling.start(self._topology, client, self._access.vhost, source, target, count) as shovelling:
            yield shovelling

    @asynccontextmanager
    async def tail(
        self, address: Address, start: Start | None = None, pattern: str | None = None
    ) -> AsyncIterator[Stream]:
        """Show what arrives: see `workbench.connecting.connector.Connector`."""
        endpoint = await self._endpoint(address)
        if pattern is not None and endpoint.kind != "exchange":
            raise Unsupported(f"{address} is a {endpoint.kind}: a pattern is for exchanges.")
        if Ability.TAIL not in endpoint.abilities:
            raise Unsupported(endpoints.why_not(endpoint, Ability.TAIL))
        start = None if start == Latest() else start
        check_start(endpoint, start)
        if endpoint.kind == "stream":
            following = Following(self._tailing, self._opener(), lambda client: streams.tail(client, address, start))
        else:
            tap = taps.Tap(address, await self._plan(address, pattern))
            following = Following(self._tailing, self._opener(), tap.open)
        await following.open()
        try:
            yield following
        finally:
            await following.close()

    async def _plan(self, address: Address, pattern: str | None) -> taps.Plan:
        if address.namespace == "queue":
            bindings = await self._topology.bindings_to(address.name)
            types = await self._types(bindings)
            return taps.of_queue(bindings, types, await self._topology.tracing(), address)
        exchange = await self._topology.exchange(address.name)
        bindings = await self._topology.bindings_from(address.name)
        return taps.of_exchange(exchange, bindings, await self._topology.alternate(exchange), pattern, address)

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[Publisher]:
        """A pipeline into queues, streams and exchanges: see `workbench.connecting.connector.Connector`."""
        connect = self._opener(patient=True).open
        client = await connect()
        publisher = ExchangePublisher(client, self._access.user, connect)
        try:
            await publisher.open()
            yield publisher
        finally:
            await publisher.close()


async def _as_far_as_told(listing: Awaitable[Listing[T]], what: str) -> tuple[Listing[T], ConnectorError | None]:
    """A listing, or an empty one that says why nothing was told."""
    try:
        return await listing, None
    except ConnectorError as error:
        return Listing(gaps=[Gap(what, str(error))]), error


def _is_of_node(cluster_name: str, nodes: Collection[str]) -> bool:
    """Whether a cluster without a name is called so by one of its nodes: by its name and its machine's long one."""
    name, _, host = cluster_name.partition("@")
    for node in nodes:
        own, _, lives = node.partition("@")
        if own == name and (is_loopback(lives) or lives.partition(".")[0] == host.partition(".")[0]):
            return True
    return False


def _words_for(address: Address) -> str:
    return f"{'exchange' if address.namespace == 'exchange' else 'queue or stream'} {address.name!r}"
