"""The brokers of one cluster: a connection to each, who leads which partition, where each partition begins and ends.

aiokafka makes and authenticates the connections and knows the requests. Its own client is not used: it asks for
metadata in a way that creates the topic asked for, and reports every failure to connect as one and the same.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import msgspec

from connectors.kafka.driver import (
    AIOKafkaConnection,
    FindCoordinatorRequest,
    MetadataRequest,
    OffsetRequest,
    disconnect,
    drop,
    offer_of,
    versions_of,
)
from connectors.kafka.errors import Code, RetriableError, check, translate_errors
from connectors.kafka.settings import Settings
from connectors.kafka.versions import negotiate_version
from workbench.connecting.open_files import check_room
from workbench.model.errors import (
    AccessRefused,
    ConnectionLost,
    ConnectorError,
    EndpointNotFound,
    WorkbenchError,
    unwrap_exception_group,
)

T = TypeVar("T")
U = TypeVar("U")

Partition: TypeAlias = tuple[str, int]
"""A topic and the number of one of its partitions."""

BEGINNING = -2
"""In place of a time: the first offset there is (ListOffsets, https://kafka.apache.org/protocol#The_Messages_ListOffsets)."""
END = -1
"""In place of a time: the offset behind the last one; for readers of committed events, behind the last decided one."""

GROUP, TRANSACTION = 0, 1
"""Kinds of coordinators (FindCoordinator)."""

CLIENT = "event-workbench"
_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 30
_ANY_SECONDS = 10
"""Seconds in which whichever broker was asked has to answer before another one is."""
_NEXT_SECONDS = 0.5
"""Seconds after which the next broker is tried beside one that has not let us in yet: it may stand still."""
_PATIENCE_SECONDS = 5
_PAUSE_SECONDS = 0.1


class Topic(msgspec.Struct, frozen=True):
    """A topic as the cluster describes it.

    Attributes:
        name: Its name.
        internal: Whether Kafka made it for itself.
        leaders: The broker that leads each partition; -1 where there is none at the moment.
        replicas: How many copies of each partition there are.
    """

    name: str
    internal: bool
    leaders: Mapping[int, int]
    replicas: int

    @property
    def leader_of(self) -> dict[Partition, int]:
        """The same, by topic and number."""
        return {(self.name, number): leader for number, leader in self.leaders.items()}


class Cluster:
    """Connections to the brokers of one cluster, made when they are needed, and what the brokers know of each other.

    Once it is known what the cluster calls itself, no connection is made to another one: what was allowed there, begun
    there or known from there has no meaning elsewhere, and a tunnel may come to lead elsewhere.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tell: Callable[[str], None] = lambda sentence: None
        """Tells the user what is waited for."""
        self.leave: Callable[[], None] = lambda: None
        """Called when its places lead to another cluster by now."""
        self._tls: ssl.SSLContext | None = None
        self.id = ""
        """What the cluster calls itself, as of the first metadata; empty: it does not say."""
        self._places: dict[int, tuple[str, int]] = {}
        self._shared: dict[int | None, AIOKafkaConnection] = {}
        self._locks: dict[int | None, asyncio.Lock] = {}
        self._alone = asyncio.Lock()

    async def close(self) -> None:
        """Close what is open; the cluster can be used again."""
        connections, self._shared = list(self._shared.values()), {}
        for connection in connections:
            await disconnect(connection)

    @property
    def brokers(self) -> list[int]:
        """The ids of the brokers, as of the last metadata."""
        return sorted(self._places)

    @property
    def places(self) -> Mapping[int, tuple[str, int]]:
        """Host and port of each broker as it advertises itself, as of the last metadata."""
        return self._places

    async def connect(self, node: int | None = None, max_idle: float | None = None) -> AIOKafkaConnection:
        """A connection of the caller's own, to a broker or, for None, to the first of the URL's that answers.

        Args:
            node: Which broker.
            max_idle: Seconds without a word after which it closes itself; None: the caller sees to that.

        Raises:
            ConnectorError: No broker can be reached that way, or none lets the user in.
        """
        if node is not None:
            if node not in self._places:
                await self.topics(())
            if node not in self._places:
                raise ConnectionLost(f"Broker {node} of {self.settings.name} is not available at the moment.")
            place = self._places[node]
            return await self._open(*place, place not in self.settings.hosts, max_idle)
        places = [*dict.fromkeys([*self.settings.hosts, *self._places.values()])]
        failures: list[ConnectorError] = []
        opened: list[AIOKafkaConnection] = []

        async def attempt(host: str, port: int) -> None:
            try:
                opened.append(await self._open(host, port, False, max_idle, _ANY_SECONDS))
            except ConnectorError as error:
                failures.append(error)

        with unwrap_exception_group():
            async with asyncio.TaskGroup() as group:
                trying = set[asyncio.Task[None]]()
                for place in places:
                    trying.add(group.create_task(attempt(*place)))
                    timeout = None if place == places[-1] else _NEXT_SECONDS
                    _, trying = await asyncio.wait(trying, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                    if opened:
                        break
                while trying and not opened:
                    _, trying = await asyncio.wait(trying, return_when=asyncio.FIRST_COMPLETED)
                for task in trying:
                    task.cancel()
        if opened:
            for other in opened[1:]:
                await disconnect(other)
            return opened[0]
        # Being turned away says more than not being answered.
        raise next((error for error in failures if isinstance(error, AccessRefused)), failures[0])

    async def reach(self, node: int) -> None:
        """Connect to a broker, unless it is connected.

        Raises:
            ConnectorError: It cannot be reached.
        """
        await self._sharing(node)

    async def ask(self, request: Any, node: int | None = None) -> Any:
        """Send a request over a connection that all share and return the answer.

        A connection that broke is made anew, once: so only what may be asked twice is asked this way.

        Args:
            request: An aiokafka request.
            node: Which broker to ask; None: any.

        Raises:
            ConnectorError: The broker cannot be reached, or does not answer.
        """
        fresh = False
        while True:
            connection, made = await self._sharing(node)
            fresh = fresh or made
            try:
                return await self.exchange(connection, request, first=fresh)
            except ConnectionLost:
                drop(connection)
                if fresh:
                    raise

    async def ask_apart(
        self, names: Sequence[str], ask: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]], node: int | None = None
    ) -> tuple[dict[str, T], dict[str, WorkbenchError]]:
        """Ask about several things at once or, where the answer cannot be read, about fewer: an odd one hides no other.

        An answer that cannot be read ends its connection, as if the broker had: so the broker is asked for something
        else in between.

        Args:
            names: About what.
            ask: Asks about some of them; the answers are by name.
            node: Which broker it asks; None: any.

        Returns:
            The answers, and why there is none.

        Raises:
            ConnectorError: The broker cannot be reached, or refuses to answer at all.
        """
        try:
            return dict(await ask(names)), {}
        except ConnectionLost:
            await self.ask(MetadataRequest([], allow_auto_topic_creation=False), node)
        if len(names) > 1:
            half = len(names) // 2
            first, second = await self.ask_apart(names[:half], ask, node), await self.ask_apart(names[half:], ask, node)
            return first[0] | second[0], first[1] | second[1]
        # It may have been the answer to another, on the connection that all share.
        async with self._alone:
            try:
                return dict(await ask(names)), {}
            except ConnectionLost:
                await self.ask(MetadataRequest([], allow_auto_topic_creation=False), node)
                return {}, {names[0]: ConnectorError("The broker's response cannot be read.")}

    async def offers(self, keys: Collection[int]) -> bool:
        """Whether every broker offers these requests, in whatever version; one that is not there is not asked.

        Raises:
            ConnectorError: None could be asked.
        """
        if not self._places:
            await self.topics(())

        async def does(node: int) -> bool | None:
            try:
                connection, _ = await self._sharing(node)
            except ConnectionLost:
                return None
            return all(key in offer_of(connection) for key in keys)

        found = [each for each in await run_together(map(does, self.brokers)) if each is not None]
        return bool(found) and all(found)

    async def _sharing(self, node: int | None) -> tuple[AIOKafkaConnection, bool]:
        """The connection to a broker that all share, and whether it was made just now."""
        async with self._locks.setdefault(node, asyncio.Lock()):
            connection = self._shared.get(node)
            if connection is not None and connection.connected():
                return connection, False
            connection = self._shared[node] = await self.connect(node, self.settings.max_idle)
            return connection, True

    async def exchange(self, connection: AIOKafkaConnection, request: Any, first: bool = False) -> Any:
        """Send a request over a connection and return the answer; a connection that gives none is closed.

        Raises:
            Unsupported: The broker offers no version of it that is known here.
            ConnectorError: The broker breaks the connection off or does not answer in time.
        """
        settings = self.settings
        place = f"{connection.host}:{connection.port}"
        name = type(request).__name__.removesuffix("Request")
        negotiate_version(place, offer_of(connection), request.API_KEY, name, versions_of(request))
        with translate_errors(place, tls=settings.tls, user=settings.who, first=first):
            try:
                return await connection.send(request)
            except TimeoutError:
                drop(connection)
                raise

    async def topics(self, names: Collection[str] | None = None) -> dict[str, Topic]:
        """Describe topics; those that there are not, or that this user may not see, are left out. Creates none.

        Args:
            names: Which; None: all.

        Raises:
            ConnectorError: The cluster could not be asked.
        """
        return {
            name: Topic(
                name,
                internal,
                {number: leader for _, number, leader, *_ in sorted(partitions, key=lambda each: each[1])},
                max((len(replicas) for _, _, _, replicas, *_ in partitions), default=0),
            )
            for code, name, internal, partitions in await self._metadata(names)
            if code in (Code.NONE, Code.LEADER_NOT_AVAILABLE)
        }

    async def visible_topics(self) -> dict[str, Topic]:
        """Describe all topics that there are, or the one that the connection is for.

        Raises:
            EndpointNotFound: That one is not there.
            ConnectorError: The cluster could not be asked.
        """
        if (only := self.settings.only) is None:
            return await self.topics()
        return {only: await self.topic(only)}

    async def topic(self, name: str) -> Topic:
        """Describe one topic.

        Raises:
            EndpointNotFound: There is none of this name.
            AccessRefused: There may be one, but not for this user.
            ConnectorError: The cluster could not be asked.
        """
        if topic := (await self.topics((name,))).get(name):
            return topic
        for code, *_ in await self._metadata((name,)):
            if code == Code.TOPIC_AUTHORIZATION_FAILED:
                check(code, f"see topic {name}")
        raise EndpointNotFound(f"{self.settings.name} has no topic {name!r}.")

    async def _metadata(self, names: Collection[str] | None) -> list[tuple[int, str, bool, list[tuple[Any, ...]]]]:
        wanted = None if names is None else list(names)
        answer = await self.ask(MetadataRequest(wanted, allow_auto_topic_creation=False))
        self._recognise(answer)
        self._places = {node: (host, port) for node, host, port, _ in answer.brokers}
        topics: list[tuple[int, str, bool, list[tuple[Any, ...]]]] = answer.topics
        return topics

    def _recognise(self, metadata: Any) -> None:
        """See that it is this cluster that answers.

        Raises:
            ConnectorError: It is another one.
        """
        found: str = getattr(metadata, "cluster_id", None) or ""
        if self.id and found != self.id:
            self.leave()
            raise ConnectorError(f"{self.settings.name} led to {self.id}, and leads to {found or 'another'} now.")
        self.id = found

    async def coordinator(self, kind: int, key: str) -> int:
        """The broker that coordinates a group or a transactional id.

        Raises:
            ConnectorError: There is none, or the user may not know.
        """
        what = "use group" if kind == GROUP else "use transactional id"

        async def find() -> int:
            answer = await self.ask(FindCoordinatorRequest(key, kind))
            check(answer.error_code, f"{what} {key}")
            if answer.coordinator_id not in self._places:
                await self.topics(())
            return int(answer.coordinator_id)

        return await persistently(find)

    async def offsets(
        self, wanted: Mapping[Partition, int], leaders: Mapping[Partition, int], committed: bool = True
    ) -> dict[Partition, int]:
        """Ask where partitions stand.

        Args:
            wanted: A time in milliseconds for each, for the first offset at or after it, or `BEGINNING` or `END`.
            leaders: Who leads them, as far as is known.
            committed: Whether `END` is the end for readers of committed events.

        Returns:
            An offset for each; -1 where no event is as young as the time.

        Raises:
            ConnectorError: A leader could not be asked, or refuses.
        """
        leaders = dict(leaders)

        async def ask(node: int, partitions: Collection[Partition]) -> dict[Partition, int]:
            topics = group_by_topic(partitions, lambda number, topic: (number, wanted[topic, number]))
            answer = await self.ask(OffsetRequest(-1, int(committed), topics), node)
            found = {}
            for topic, rows in answer.topics:
                for number, code, _, offset in rows:
                    check(code, f"read topic {topic}")
                    found[topic, number] = offset
            return found

        async def attempt() -> dict[Partition, int]:
            nodes: dict[int, list[Partition]] = {}
            for partition in wanted:
                nodes.setdefault(leaders.get(partition, -1), []).append(partition)
            try:
                if without := nodes.get(-1):
                    check(Code.LEADER_NOT_AVAILABLE, f"read partition {without[0][1]} of topic {without[0][0]}")
                answers = await run_together(ask(node, partitions) for node, partitions in nodes.items())
            except (RetriableError, ConnectionLost) as error:
                leaders.update(await self.leaders({topic for topic, _ in wanted}))
                raise error if isinstance(error, RetriableError) else RetriableError(error) from None
            return {partition: offset for answer in answers for partition, offset in answer.items()}

        return await persistently(attempt)

    async def leaders(self, topics: Collection[str]) -> dict[Partition, int]:
        """Who leads each partition of some topics, asked anew.

        Raises:
            ConnectorError: The cluster could not be asked.
        """
        found = await self.topics(topics)
        return {(name, number): node for name, topic in found.items() for number, node in topic.leaders.items()}

    async def _open(
        self, host: str, port: int, advertised: bool, max_idle: float | None, answers: float = _ANSWER_SECONDS
    ) -> AIOKafkaConnection:
        settings = self.settings
        settings.check_login(host, port)
        if settings.tls and self._tls is None:
            self._tls = settings.context()
        with translate_errors(f"{host}:{port}", tls=settings.tls, user=settings.who, advertised=advertised, first=True):
            connection = AIOKafkaConnection(
                host,
                port,
                client_id=CLIENT,
                request_timeout_ms=round(answers * 1000),
                max_idle_ms=None if max_idle is None else round(max_idle * 1000),
                ssl_context=self._tls,
                security_protocol=settings.protocol,
                sasl_mechanism=settings.mechanism if settings.user is not None else None,
                sasl_plain_username=settings.user,
                sasl_plain_password=settings.password.reveal() if settings.password else None,
            )
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await connection.connect()
                if self.id:
                    question = MetadataRequest([], allow_auto_topic_creation=False)
                    self._recognise(await self.exchange(connection, question, first=True))
            except BaseException as error:
                await disconnect(connection)
                if isinstance(error, OSError):
                    check_room()
                raise
            return connection


def group_by_topic(partitions: Iterable[Partition], row: Callable[[int, str], T]) -> list[tuple[str, list[T]]]:
    """Partitions as requests want them: under their topics, a row each."""
    topics: dict[str, list[T]] = {}
    for topic, number in partitions:
        topics.setdefault(topic, []).append(row(number, topic))
    return list(topics.items())


async def run_together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do things side by side; the first failure stops the others and is raised as it is, not in a group."""
    with unwrap_exception_group():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]


async def run_both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Do two things side by side, so that their questions to a broker share its time to answer; as `run_together`."""
    with unwrap_exception_group():
        async with asyncio.TaskGroup() as group:
            one, other = group.create_task(first), group.create_task(second)
    return one.result(), other.result()


@asynccontextmanager
async def run_beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something while the block runs, and stop it then; what the block raises leaves it as it is, not in a group."""
    raised: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        try:
            yield
        except BaseException as error:
            raised = error
        task.cancel()
    if raised is not None:
        raise raised


async def persistently(attempt: Callable[[], Awaitable[T]], seconds: float = _PATIENCE_SECONDS) -> T:
    """Do something again until its failure is not one that passes, or does not pass in time.

    Raises:
        ConnectorError: The last failure.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await attempt()
        except RetriableError as passing:
            if asyncio.get_running_loop().time() > deadline:
                raise passing.final from None
        await asyncio.sleep(_PAUSE_SECONDS)
